"""The GRU with the reset gate after the product as one product and one kernel a step, by Numba on a CPU.

Of a step, all but the product with R is one pass through memory, forward and backward; `gru_reset_after` takes half a dozen.
The equations are those of `gru`. A set of kernels is a module with

    gru_forward(b_n, a, qs, hs)
    gru_backward(gates, qs, hs, gy, dh, dhs, d, d_n)

which return a function (t, product) that makes step t of a chunk; where products are small, `gru_sequence` takes its place.
Forward, a (steps, B, 3H), the input's share of the pre-activations, that of n doubled, becomes the gates r, z, n; product (B,
3H) is R h; qs (steps, B, H), which holds q = R_n h + b_n, and hs (steps + 1, B, H) are written; b_n is (H). Backward, product
(B, H) is what the next step's gates say of ∂L/∂h_t, dh (B, H) what goes past them, which becomes that of ∂L/∂h_{t-1}, and
gy[t] what comes from outside; d[t] (B, 3H) becomes ∂L/∂(R h), d_n[t] (B, H) ∂L/∂a_n, and dhs[t] the whole ∂L/∂h_t. qs[0] and
dhs[0] always, where there is no more of them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .chunks import backwards, chunks
from .gru_reset_after import input_share
from .lengths import outside
from .products import InputGradients, add_outer, multiplying, read_input, stepping
from .recurrence import Context, Request, finish_forward, only_once


class GRUSteps(torch.autograd.Function):
    """y (T, B, H) and the final h; arguments as `ResetAfter`'s, with a set of kernels in the request."""

    @staticmethod
    def forward(
        ctx: Context, x: Tensor, h: Tensor, W: Tensor, R: Tensor, b_i: Tensor, b_h: Tensor, request: Request
    ) -> tuple[Tensor, Tensor]:
        (T, B, _), H, keep, kernel = x.shape, R.shape[1], request.keep, request.kernel
        assert kernel is not None
        W_t, b, b_n = input_share(W, b_i, b_h)
        pieces = chunks(T, B, 3, x)
        hs, qs = x.new_empty(T + 1, B, H), x.new_empty(T if keep else 1, B, H)
        gates, multiply = x.new_empty(T if keep else pieces[0][1], B, 3 * H), multiplying(R.t(), B, T)
        hs[0] = h
        for start, stop in pieces:
            a, q = (gates[start:stop], qs[start:stop]) if keep else (gates[: stop - start], qs)
            read_input(x[start:stop], W_t, b, out=a)
            step = kernel.gru_forward(b_n.detach(), a, q, hs[start : stop + 1])
            with stepping(R, B):
                for k, h_t in enumerate(hs[start:stop].unbind(0)):
                    step(k, multiply(h_t))
        return finish_forward(ctx, request, hs, x, W, R, hs, gates, qs)

    @staticmethod
    @only_once
    def backward(ctx: Context, gy: Tensor, gh: Tensor) -> tuple[Tensor | None, ...]:
        x, W, R, hs, gates, qs, lengths = ctx.saved_tensors
        (T, B, H), sink, kernel = gy.shape, ctx.request.sink, ctx.request.kernel
        assert kernel is not None
        gy, _, g0 = outside(gy, gh, lengths)
        dh, product = torch.zeros(2, B, H, dtype=gh.dtype, device=gh.device)
        if lengths is None:
            product.copy_(gh)
        of_input, dR, db_h = InputGradients(x, W, ctx.needs_input_grad[0]), torch.zeros_like(R), R.new_zeros(3 * H)
        multiply, pieces = multiplying(R, B, T), chunks(T, B, 3, x)
        norms = None if sink is None else gy.new_empty(T)
        every_d, every_d_n = gy.new_empty(pieces[0][1], B, 3 * H), gy.new_empty(pieces[0][1], B, H)
        totals = gy.new_empty(1 if norms is None else pieces[0][1], B, H)
        for start, stop in reversed(pieces):
            d, d_n, dhs = every_d[: stop - start], every_d_n[: stop - start], totals[: stop - start]
            saved = gates[start:stop], qs[start:stop], hs[start : stop + 1]
            step = kernel.gru_backward(*saved, gy[start:stop].contiguous(), dh, dhs, d, d_n)
            with stepping(R, B):
                for k, (d_t,) in zip(reversed(range(stop - start)), backwards(d), strict=True):
                    step(k, product)
                    product = multiply(d_t)
            if norms is not None:
                torch.linalg.vector_norm(dhs, dim=(1, 2), out=norms[start:stop])
            add_outer(dR, d, hs[start:stop])
            db_h.add_(d.sum((0, 1)))
            d[..., 2 * H :] = d_n  # the input's share of n is not multiplied by r
            of_input.add(d, start, stop)
        if sink is not None:
            sink.h = norms
        return of_input.dx, g0 + dh + product, of_input.dW, dR, of_input.db, db_h, None
