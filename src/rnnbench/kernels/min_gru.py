"""The minimal gated unit without a recurrent product, minGRU, in one pass through memory by machine code.

    z_t = σ(W_z x_t + b_z)
    n_t = W_n x_t + b_n                          or g of it, where candidates are positive: g(a) = a + ½ for a >= 0, else σ(a)
    h_t = (1 - z_t) * h_{t-1} + z_t * n_t

The gradients, with δ_t = ∂L/∂h_t: δn = δ_t * z_t * g', δz = δ_t * (n_t - h_{t-1}) * z_t * (1 - z_t), and h_{t-1} gets
(1 - z_t) * δ_t. Between the passes lie z, n and h of every step. A set of kernels is a module with

    min_gru_forward(positive, a, hs, lengths, start)
    min_gru_backward(positive, gates, hs, gy, dh, dhs, d, lengths, start)

for the steps of a chunk that begins with step `start`. Forward, a (steps, B, 2H) becomes z and n, and hs (steps + 1, B, H) is
written from its first row on. Backward, dh (B, H) is what later steps say of ∂L/∂h_t, and becomes that of the state before the
chunk; d becomes ∂L/∂a, dhs[t] the whole ∂L/∂h_t (dhs[0] always, where there is no more of them), zero where a row has ended. A
row that has ended keeps its state. `positive` is True or None, `lengths` (B,) or None.

Source: Feng et al. 2024, arXiv:2410.01201.
"""

from __future__ import annotations

from types import ModuleType
from typing import Protocol

import torch
from torch import Tensor

from .chunks import chunks, longest
from .lengths import check_shapes, ragged
from .products import InputGradients, read_input
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
    return MinGRUSteps.apply(x.to(W.dtype).contiguous(), h.to(W.dtype), W, b, positive, request)


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
        hs, pieces, W_t = x.new_empty(T + 1, B, H), chunks(T, B, 2, x), W.t()
        gates = x.new_empty(T if keep else longest(pieces), B, 2 * H)
        hs[0] = h
        for start, stop in pieces:
            a = gates[start:stop] if keep else gates[: stop - start]
            read_input(x[start:stop], W_t, b, out=a)
            kernel.min_gru_forward(positive or None, a, hs[start : stop + 1], request.lengths, start)
        if keep:
            ctx.save_for_backward(x, W, hs, gates, request.lengths)
            ctx.request, ctx.positive = request, positive
        return hs[1:], hs[-1].clone()

    @staticmethod
    @only_once
    def backward(ctx: MinGRUContext, gy: Tensor, gh: Tensor) -> tuple[Tensor | None, ...]:
        x, W, hs, gates, lengths = ctx.saved_tensors
        (T, B, H), sink, kernel = gy.shape, ctx.request.sink, ctx.request.kernel
        assert kernel is not None
        dh, pieces = gh.clone(memory_format=torch.contiguous_format), chunks(T, B, 2, x)
        of_input = InputGradients(x, W, ctx.needs_input_grad[0])
        every_d, norms = gy.new_empty(longest(pieces), B, 2 * H), None if sink is None else gy.new_empty(T)
        totals = gy.new_empty(1 if norms is None else longest(pieces), B, H)
        for start, stop in reversed(pieces):
            d, dhs = every_d[: stop - start], totals[: stop - start]
            given = gates[start:stop], hs[start : stop + 1], gy[start:stop].contiguous()
            kernel.min_gru_backward(ctx.positive or None, *given, dh, dhs, d, lengths, start)
            if norms is not None:
                torch.linalg.vector_norm(dhs, dim=(1, 2), out=norms[start:stop])
            of_input.add(d, start, stop)
        if sink is not None:
            sink.h = norms
        return of_input.dx, dh, of_input.dW, of_input.db, None, None
