"""The GRU's fused recurrence with the reset gate before the product. Its equations stand in `gru`."""

from __future__ import annotations

import torch
from torch import Tensor

from .chunks import backwards, before, chunks, steps
from .gru_reset_after import double_n
from .lengths import outside
from .products import InputGradients, add_outer, adding, multiplying, read_input, stepping
from .recurrence import Context, Request, finish_forward, only_once, sigmoid_backward, tanh_backward


class ResetBefore(torch.autograd.Function):
    """The form with n = tanh(W_n x + b_n + R_n (r * h)); for the conventions see `recurrence`."""

    @staticmethod
    def forward(
        ctx: Context, x: Tensor, h: Tensor, W: Tensor, R: Tensor, b_i: Tensor, b_h: Tensor, request: Request
    ) -> tuple[Tensor, Tensor]:
        (T, B, _), H, keep = x.shape, R.shape[1], request.keep
        W_t, b = double_n(W, H).t(), double_n(b_i + b_h, H)
        R_rz, R_n = double_n(R, H).split((2 * H, H))
        hs, pieces = x.new_empty(T + 1, B, H), chunks(T, B, 3, x)
        hs[0] = h
        gates = x.new_empty(T if keep else pieces[0][1], B, 3 * H)
        minus, rh, h = x.new_full((B, H), -1), x.new_empty(B, H), hs[0]
        add_rz, add_n = adding(R_rz.t(), B, T), adding(R_n.t(), B, T)
        for start, stop in pieces:
            a = gates[start:stop] if keep else gates[: stop - start]
            read_input(x[start:stop], W_t, b, out=a)
            with stepping(R, B):
                for rz, r, z, n, h_t in steps(a[..., : 2 * H], *a.split(H, 2), hs[start + 1 : stop + 1]):
                    add_rz(rz, h, rz)
                    rz.sigmoid_()
                    add_n(n, torch.mul(r, h, out=rh), n)
                    n.sigmoid_()
                    torch.add(minus, n, alpha=2, out=n)
                    torch.lerp(n, h, z, out=h_t)
                    h = h_t
        return finish_forward(ctx, request, hs, x, W, R, hs, gates)

    @staticmethod
    @only_once
    def backward(ctx: Context, gy: Tensor, gh: Tensor) -> tuple[Tensor | None, ...]:
        x, W, R, hs, gates, lengths = ctx.saved_tensors
        (T, B, H), sink = gy.shape, ctx.request.sink
        gy, dh, g0 = outside(gy, gh, lengths)
        of_input, dR = InputGradients(x, W, ctx.needs_input_grad[0]), torch.zeros_like(R)
        (R_rz, R_n), (dR_rz, dR_n) = R.split((2 * H, H)), dR.split((2 * H, H))
        add_rz, multiply_n = adding(R_rz, B, T), multiplying(R_n, B, T)
        pieces = chunks(T, B, 3, x)
        every_d, norms = gates.new_empty(pieces[0][1], B, 3 * H), None if sink is None else gy.new_empty(T)
        for start, stop in reversed(pieces):
            d, h = every_d[: stop - start], hs[start:stop]
            (r, z, n), (d_r, d_z, d_n) = gates[start:stop].split(H, 2), d.split(H, 2)
            sigmoid_backward(h, r, grad_input=d_r)  # ∂(r h)/∂a_r; the other two ∂h_t/∂a, until ∂L/∂h_t multiplies them
            sigmoid_backward(h - n, z, grad_input=d_z)
            tanh_backward(1 - z, n, grad_input=d_n)
            with stepping(R, B):
                for t, (d_rz, d_zn, d_r_t, d_n_t, r_t, z_t), g in zip(
                    reversed(range(start, stop)),
                    backwards(d[..., : 2 * H], d[..., H:].unflatten(2, (2, H)), d_r, d_n, r, z),
                    before(gy, g0, start, stop),
                    strict=True,
                ):
                    if norms is not None:
                        norms[t] = dh.norm()
                    d_zn.mul_(dh.unsqueeze(1))
                    d_rh = multiply_n(d_n_t)
                    d_r_t.mul_(d_rh)
                    torch.addcmul(g, dh, z_t, out=dh).addcmul_(d_rh, r_t)
                    add_rz(dh, d_rz, dh)
            of_input.add(d, start, stop)
            add_outer(dR_rz, d[..., : 2 * H], h)
            add_outer(dR_n, d_n, r * h)
        if sink is not None:
            sink.h = norms
        return of_input.dx, dh, of_input.dW, dR, of_input.db, of_input.db.clone(), None
