"""The minimal gated unit without a recurrent product, minGRU, in one pass through memory by machine code.

    z_t = σ(W_z x_t + b_z)
    n_t = W_n x_t + b_n                          or g of it, where candidates are positive: g(a) = a + ½ for a >= 0, else σ(a)
    h_t = (1 - z_t) * h_{t-1} + z_t * n_t

The gradients, with δ_t = ∂L/∂h_t: δn = δ_t * z_t * g', δz = δ_t * (n_t - h_{t-1}) * z_t * (1 - z_t), and h_{t-1} gets
(1 - z_t) * δ_t. Between the passes lie z, n and h of every step. A set of kernels is a module with

    min_gru_forward(positive, steps, x, W_t, b, gates, hs, lengths, before)
    min_gru_backward(positive, steps, gates, hs, gy, lengths, before, dh, total, norms, d, x, W, dx, dW, db)

for steps of a sequence from `before` on, `steps` of them at a time in the processor's cache. Forward, hs (T + 1, B, H) is
written from its second row on, and gates become z and n (T, B, 2H); where no backward pass follows, they have the steps of a
chunk. Backward, dh (B, H) is what later steps say of ∂L/∂h_t, and becomes that of the state before the first; d (steps, B, 2H)
is room for ∂L/∂a of a chunk, total (B, H) for the whole ∂L/∂h_t, zero where a row has ended; norms (T), if it has any, becomes
‖∂L/∂h_t‖. dx is set, if it has steps; dW and db are added to. A row that has ended keeps its state. `positive` is True or
None, `lengths` (B,) or None. Where W_t, b and W are None, the caller makes these products: gates come with W x + b, d is read.

Source: Feng et al. 2024, arXiv:2410.01201.
"""

from __future__ import annotations

from types import ModuleType
from typing import Protocol

import torch
from torch import Tensor

from .chunks import cached, chunks, longest
from .lengths import check_shapes, ragged
from .products import LARGE_MATRIX, InputGradients, read_input
from .recurrence import Context, GradientSink, Request, only_once


def min_gru(
    x: Tensor,
    h: Tensor,
    W: Tensor,
    b: Tensor,
    positive: bool,
    lengths: Tensor | None,
    sink: GradientSink | None,
    kernel: ModuleType,
) -> tuple[Tensor, Tensor]:
    """(all states (T, B, H), h (B, H) after each row's last valid step) from x (T, B, I) and the initial h (B, H), by `kernel`.

    W (2H, I) and b (2H) have the rows of z, then those of n. Raises ValueError for other shapes.
    """
    (T, B, inputs), H = x.shape, h.shape[1]
    check_shapes(W=(W, (2 * H, inputs)), b=(b, (2 * H,)), h=(h, (B, H)), lengths=(lengths, (B,)))
    request = Request(ragged(lengths, T), torch.is_grad_enabled(), sink, kernel)
    return MinGRUSteps.apply(
        x.to(W.dtype).contiguous(), h.to(W.dtype), W.contiguous(), b.to(W.dtype).contiguous(), positive, request
    )


class MinGRUContext(Context, Protocol):
    positive: bool


class MinGRUSteps(torch.autograd.Function):
    """All states (T, B, H) and the last one from x (T, B, I), h (B, H), W (2H, I) and b (2H).

    The request names a set of kernels.
    """

    @staticmethod
    def forward(
        ctx: MinGRUContext, x: Tensor, h: Tensor, W: Tensor, b: Tensor, positive: bool, request: Request
    ) -> tuple[Tensor, Tensor]:
        (T, B, _), H, keep, kernel = x.shape, h.shape[1], request.keep, request.kernel
        assert kernel is not None
        hs, W_t = x.new_empty(T + 1, B, H), W.t().contiguous()
        hs[0] = h
        if products_in_cache(W):
            steps = cached(T, B, 2 * H)
            gates = x.new_empty(T if keep else steps, B, 2 * H)
            kernel.min_gru_forward(positive or None, steps, x, W_t, b, gates, hs, request.lengths, 0)
        else:
            pieces = chunks(T, B, 2, x)
            gates = x.new_empty(T if keep else longest(pieces), B, 2 * H)
            for start, stop in pieces:
                a = gates[start:stop] if keep else gates[: stop - start]
                read_input(x[start:stop], W_t, b, out=a)
                states = hs[start : stop + 1]
                kernel.min_gru_forward(positive or None, stop - start, x, None, None, a, states, request.lengths, start)
        if keep:
            ctx.save_for_backward(x, W, hs, gates, request.lengths)
            ctx.request, ctx.positive = request, positive
        return hs[1:], hs[-1].clone()

    @staticmethod
    @only_once
    def backward(ctx: MinGRUContext, gy: Tensor, gh: Tensor) -> tuple[Tensor | None, ...]:
        x, W, hs, gates, lengths = ctx.saved_tensors
        (T, B, H), sink, kernel, gy = gy.shape, ctx.request.sink, ctx.request.kernel, gy.contiguous()
        assert kernel is not None
        of_input, positive = InputGradients(x, W, ctx.needs_input_grad[0]), ctx.positive or None
        dx = x[:0] if of_input.dx is None else of_input.dx
        sums = dx, of_input.dW, of_input.db
        dh, total = gh.clone(memory_format=torch.contiguous_format), gy.new_empty(B, H)
        norms = gy.new_empty(0 if sink is None else T)
        if products_in_cache(W):
            steps = cached(T, B, 2 * H)
            d = gy.new_empty(steps, B, 2 * H)
            kernel.min_gru_backward(positive, steps, gates, hs, gy, lengths, 0, dh, total, norms, d, x, W, *sums)
        else:
            pieces = chunks(T, B, 2, x)
            every_d = gy.new_empty(longest(pieces), B, 2 * H)
            for start, stop in reversed(pieces):
                d, given = every_d[: stop - start], (gates[start:stop], hs[start : stop + 1], gy[start:stop])
                rest = dh, total, norms[start:stop], d, x, None, *sums
                kernel.min_gru_backward(positive, stop - start, *given, lengths, start, *rest)
                of_input.add(d, start, stop)
        if sink is not None:
            sink.h = norms
        return of_input.dx, dh, of_input.dW, of_input.db, None, None


def products_in_cache(W: Tensor) -> bool:
    """Whether the kernels make the products with W, too; a large one is the library's, by longer chunks."""
    return W.numel() < LARGE_MATRIX
