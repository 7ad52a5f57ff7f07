"""Minimal gated units without a recurrent product, minGRU and minLSTM, in one pass through memory by machine code.

    minGRU   z_t = σ(W_z x_t + b_z)
             h_t = (1 - z_t) * h_{t-1} + z_t * n_t
    minLSTM  f_t = σ(W_f x_t + b_f),  i_t = σ(W_i x_t + b_i),  s_t = f_t / (f_t + i_t)
             h_t = s_t * h_{t-1} + (1 - s_t) * n_t
    n_t = W_n x_t + b_n                          or g of it, where candidates are positive: g(a) = a + ½ for a >= 0, else σ(a)

The gradients, with δ_t = ∂L/∂h_t: δn = δ_t * z_t * g', δz = δ_t * (n_t - h_{t-1}) * z_t * (1 - z_t), and h_{t-1} gets
(1 - z_t) * δ_t. Of minLSTM, whose z_t is 1 - s_t, δf = -δz * (1 - f_t) and δi = δz * (1 - i_t).

Between the passes lie hs (T + 1, B, H), which is written from its second row on, and of every step gates, in which products
with W become

    minGRU   z and n (T, B, 2H)
    minLSTM  s, 1 - i and n (T, B, 3H), and in `slopes` (T, B, H) 1 - f: 1 less a number near 1 would be rounded to nothing

Where no backward pass follows, they have the steps of a chunk. A set of kernels is a module with

    minimal_forward(positive, steps, x, W_t, b, gates, slopes, hs, lengths, before)
    minimal_backward(positive, steps, gates, slopes, hs, gy, lengths, before, dh, total, norms, d, x, W, dx, dW, db)

for steps of a sequence from `before` on, `steps` of them at a time in the processor's cache. Of minGRU `slopes` is None.
Backward, dh (B, H) is what later steps say of ∂L/∂h_t, and becomes that of the state before the first; d (steps, B, G H) is
room for ∂L/∂a of a chunk, total (B, H) for the whole ∂L/∂h_t, zero where a row has ended; norms (T), if it has any, becomes
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
from .recurrence import Context, GradientSink, Request, machine_code, only_once


def minimal_kernel(W: Tensor, backend: str) -> ModuleType | None:
    """The kernels for a cell with the weights W; None where a scan computes it, as `backend` says or for want of them.

    ValueError where `backend` is compiled and there are none.
    """
    kernel = None if torch.is_autocast_enabled("cpu") else machine_code(W)
    if kernel is None and backend == "compiled":
        raise ValueError(
            "no machine code here: Numba is missing or switched off, or the device, type or precision is not for it"
        )
    return kernel if backend in ("auto", "compiled") else None


def minimal(
    G: int,
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

    G is 2 for minGRU, whose W (G H, I) and b (G H) have the rows of z and n, and 3 for minLSTM, of f, i and n. Raises
    ValueError for other shapes.
    """
    (T, B, inputs), H = x.shape, h.shape[1]
    check_shapes(W=(W, (G * H, inputs)), b=(b, (G * H,)), h=(h, (B, H)), lengths=(lengths, (B,)))
    request = Request(ragged(lengths, T), torch.is_grad_enabled(), sink, kernel)
    return MinimalSteps.apply(
        x.to(W.dtype).contiguous(), h.to(W.dtype), W.contiguous(), b.to(W.dtype).contiguous(), positive, request
    )


class MinimalContext(Context, Protocol):
    positive: bool


class MinimalSteps(torch.autograd.Function):
    """All states (T, B, H) and the last one from x (T, B, I), h (B, H), W (G H, I) and b (G H), G of 2 or 3.

    The request names a set of kernels.
    """

    @staticmethod
    def forward(
        ctx: MinimalContext, x: Tensor, h: Tensor, W: Tensor, b: Tensor, positive: bool, request: Request
    ) -> tuple[Tensor, Tensor]:
        (T, B, _), H, keep, kernel = x.shape, h.shape[1], request.keep, request.kernel
        assert kernel is not None
        G = len(W) // H
        hs, W_t = x.new_empty(T + 1, B, H), W.t().contiguous()
        hs[0] = h
        if products_in_cache(W):
            steps = cached(T, B, G * H)
            gates, slopes = _room(x, T if keep else steps, G, H)
            kernel.minimal_forward(positive or None, steps, x, W_t, b, gates, slopes, hs, request.lengths, 0)
        else:
            pieces = chunks(T, B, G, x)
            gates, slopes = _room(x, T if keep else longest(pieces), G, H)
            for start, stop in pieces:
                where = slice(start, stop) if keep else slice(stop - start)
                a, s, states = gates[where], None if slopes is None else slopes[where], hs[start : stop + 1]
                read_input(x[start:stop], W_t, b, out=a)
                kernel.minimal_forward(positive or None, stop - start, x, None, None, a, s, states, request.lengths, start)
        if keep:
            ctx.save_for_backward(x, W, hs, gates, slopes, request.lengths)
            ctx.request, ctx.positive = request, positive
        return hs[1:], hs[-1].clone()

    @staticmethod
    @only_once
    def backward(ctx: MinimalContext, gy: Tensor, gh: Tensor) -> tuple[Tensor | None, ...]:
        x, W, hs, gates, slopes, lengths = ctx.saved_tensors
        (T, B, H), sink, kernel, gy = gy.shape, ctx.request.sink, ctx.request.kernel, gy.contiguous()
        assert kernel is not None
        G = len(W) // H
        of_input, positive = InputGradients(x, W, ctx.needs_input_grad[0]), ctx.positive or None
        dx = x[:0] if of_input.dx is None else of_input.dx
        sums = dx, of_input.dW, of_input.db
        dh, total = gh.clone(memory_format=torch.contiguous_format), gy.new_empty(B, H)
        norms = gy.new_empty(0 if sink is None else T)
        if products_in_cache(W):
            steps = cached(T, B, G * H)
            d = gy.new_empty(steps, B, G * H)
            kernel.minimal_backward(positive, steps, gates, slopes, hs, gy, lengths, 0, dh, total, norms, d, x, W, *sums)
        else:
            pieces = chunks(T, B, G, x)
            every_d = gy.new_empty(longest(pieces), B, G * H)
            for start, stop in reversed(pieces):
                d, s = every_d[: stop - start], None if slopes is None else slopes[start:stop]
                given = gates[start:stop], s, hs[start : stop + 1], gy[start:stop]
                rest = dh, total, norms[start:stop], d, x, None, *sums
                kernel.minimal_backward(positive, stop - start, *given, lengths, start, *rest)
                of_input.add(d, start, stop)
        if sink is not None:
            sink.h = norms
        return of_input.dx, dh, of_input.dW, of_input.db, None, None


def _room(x: Tensor, steps: int, G: int, H: int) -> tuple[Tensor, Tensor | None]:
    """(gates, slopes) of so many steps."""
    rows = x.shape[1]
    return x.new_empty(steps, rows, G * H), x.new_empty(steps, rows, H) if G == 3 else None


def products_in_cache(W: Tensor) -> bool:
    """Whether the kernels make the products with W, too; a large one is the library's, by longer chunks."""
    return W.numel() < LARGE_MATRIX
