"""The GRU's fused recurrence with the reset gate after the product. Its equations stand in `gru`."""

from __future__ import annotations

import torch
from torch import Tensor

from .chunks import backwards, before, chunks, earlier, steps
from .lengths import outside
from .products import InputGradients, add_outer, adding, multiplying, read_input, stepping
from .recurrence import Context, Request, finish_forward, only_once, sigmoid_backward


class ResetAfter(torch.autograd.Function):
    """The form with n = tanh(W_n x + b_n + r * q), q = R_n h + b_hn; for the conventions see `recurrence`."""

    @staticmethod
    def forward(
        ctx: Context, x: Tensor, h: Tensor, W: Tensor, R: Tensor, b_i: Tensor, b_h: Tensor, request: Request
    ) -> tuple[Tensor, Tensor]:
        (T, B, _), H, keep = x.shape, R.shape[1], request.keep
        W_t, b, b_hn = input_share(W, b_i, b_h)
        hs, qs, pieces = x.new_empty(T + 1, B, H), x.new_empty(T if keep else 1, B, H), chunks(T, B, 3, x)
        hs[0] = h
        gates = x.new_empty(T if keep else pieces[0][1], B, 3 * H)
        minus, multiply, h = x.new_full((B, H), -1), multiplying(R.t(), B, T), hs[0]
        for start, stop in pieces:
            a = gates[start:stop] if keep else gates[: stop - start]
            read_input(x[start:stop], W_t, b, out=a)
            q_s = qs[start:stop] if keep else qs.expand(stop - start, B, H)
            with stepping(R, B):
                for rz, r, z, n, q, h_t in steps(a[..., : 2 * H], *a.split(H, 2), q_s, hs[start + 1 : stop + 1]):
                    product_rz, product_n = multiply(h).split((2 * H, H), 1)
                    rz.add_(product_rz).sigmoid_()
                    torch.add(product_n, b_hn, out=q)
                    n.addcmul_(r, q, value=2).sigmoid_()
                    torch.add(minus, n, alpha=2, out=n)
                    torch.lerp(n, h, z, out=h_t)
                    h = h_t
        return finish_forward(ctx, request, hs, x, W, R, hs, gates, qs)

    @staticmethod
    @only_once
    def backward(ctx: Context, gy: Tensor, gh: Tensor) -> tuple[Tensor | None, ...]:
        x, W, R, hs, gates, qs, lengths = ctx.saved_tensors
        (T, B, H), sink = gy.shape, ctx.request.sink
        gy, dh, g0 = outside(gy, gh, lengths)
        of_input, dR, db_h = InputGradients(x, W, ctx.needs_input_grad[0]), torch.zeros_like(R), R.new_zeros(3 * H)
        pieces = chunks(T, B, 3, x)
        ds, all_totals = gates.new_empty(pieces[0][1], B, 3 * H), gates.new_empty(pieces[0][1], B, H)
        add_product, norms = adding(R, B, T), None if sink is None else gy.new_empty(T)
        for start, stop in reversed(pieces):
            d, totals = ds[: stop - start], all_totals[: stop - start]
            (r, z, n), q = gates[start:stop].split(H, 2), qs[start:stop]
            d_r, d_z, d_q = d.split(H, 2)
            d_n = torch.ops.aten.tanh_backward(1 - z, n)  # ∂h_t/∂a_n; likewise the others, until ∂L/∂h_t multiplies them
            torch.mul(d_n, r, out=d_q)
            sigmoid_backward(d_n * q, r, grad_input=d_r)
            sigmoid_backward(hs[start:stop] - n, z, grad_input=d_z)
            totals[-1] = dh
            with stepping(R, B):
                for (d_t, d_3, z_t, total, total_row), dh_before, g in zip(
                    backwards(d, d.unflatten(2, (3, H)), z, totals, totals.unsqueeze(2)),
                    earlier(totals, dh),
                    before(gy, g0, start, stop),
                    strict=True,
                ):
                    d_3.mul_(total_row)
                    torch.addcmul(g, total, z_t, out=dh_before)
                    add_product(dh_before, d_t, dh_before)
            if norms is not None:
                torch.linalg.vector_norm(totals, dim=(1, 2), out=norms[start:stop])
            add_outer(dR, d, hs[start:stop])
            db_h.add_(d.sum((0, 1)))
            torch.mul(d_n, totals, out=d_q)
            of_input.add(d, start, stop)
        if sink is not None:
            sink.h = norms
        return of_input.dx, dh, of_input.dW, dR, of_input.db, db_h, None


def input_share(W: Tensor, b_i: Tensor, b_h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(Wᵀ, b, b_hn): what makes the input's share of the pre-activations, n's doubled, and the bias that stays outside."""
    H, b = len(W) // 3, b_i.clone()
    b[: 2 * H] += b_h[: 2 * H]
    return double_n(W, H).t(), double_n(b, H), b_h[2 * H :]


def double_n(W: Tensor, H: int) -> Tensor:
    """W with the rows of n doubled: the 2 in tanh(a) = 2 σ(2 a) - 1."""
    W = W.clone()
    W[2 * H :] *= 2
    return W
