"""The GRU's fused recurrence with the reset gate after the product. Its equations stand in `gru`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .recurrence import (
    StateGradients,
    add_gradients,
    adding,
    backwards,
    before,
    chunks,
    earlier,
    final,
    machine_code,
    multiplying,
    once,
    outside,
    padding,
    sigmoid_backward,
    stepping,
    steps,
)


class ResetAfter(torch.autograd.Function):
    """The form with n = tanh(W_n x + b_n + r * q), q = R_n h + b_hn; for the conventions see `recurrence`."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        h: Tensor,
        W: Tensor,
        R: Tensor,
        b_i: Tensor,
        b_h: Tensor,
        lengths: Tensor | None,
        keep: bool,
        sink: StateGradients | None,
    ) -> tuple[Tensor, Tensor]:
        (T, B, _), H = x.shape, R.shape[1]
        W_t, b = double_n(W, H).t(), b_i.clone()
        b[: 2 * H] += b_h[: 2 * H]
        b, b_hn = double_n(b, H), b_h[2 * H :]
        hs, qs = x.new_empty(T + 1, B, H), x.new_empty(T if keep else 1, B, H)
        hs[0] = h
        pieces = chunks(T, B, 3, x)
        gates = x.new_empty(T if keep else pieces[0][1], B, 3 * H)
        compiled = machine_code(x)
        minus, multiply, h = x.new_full((B, H), -1), multiplying(R.t(), B), hs[0]
        for start, stop in pieces:
            a = gates[start:stop] if keep else gates[: stop - start]
            torch.mm(x[start:stop].flatten(0, 1), W_t, out=a.flatten(0, 1)).add_(b)
            q_s = qs[start:stop] if keep else qs.expand(stop - start, B, H)
            if compiled is not None:
                step = compiled.gru_forward(b_hn.detach(), a, q_s, hs[start : stop + 1])
                with stepping(R, B):
                    for k, h in enumerate(hs[start:stop].unbind(0)):
                        step(k, multiply(h))
                continue
            with stepping(R, B):
                for rz, r, z, n, q, h_t in steps(a[..., : 2 * H], *a.split(H, 2), q_s, hs[start + 1 : stop + 1]):
                    product_rz, product_n = multiply(h).split((2 * H, H), 1)
                    rz.add_(product_rz).sigmoid_()
                    torch.add(product_n, b_hn, out=q)
                    n.addcmul_(r, q, value=2).sigmoid_()
                    torch.add(minus, n, alpha=2, out=n)
                    torch.lerp(n, h, z, out=h_t)
                    h = h_t
        h_T = final(hs, lengths)
        if lengths is not None:
            hs[1:].masked_fill_(padding(lengths, T), 0)
        if keep:
            ctx.save_for_backward(x, W, R, hs, gates, qs, lengths)
            ctx.sink, ctx.compiled = sink, compiled
        return hs[1:], h_T

    @staticmethod
    @once
    def backward(ctx: Any, gy: Tensor, gh: Tensor) -> tuple[Tensor | None, ...]:
        x, W, R, hs, gates, qs, lengths = ctx.saved_tensors
        T, B, H = gy.shape
        gy, dh, g0 = outside(gy, gh, lengths)
        dx = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        dW, dR, db_i, db_h = torch.zeros_like(W), torch.zeros_like(R), R.new_zeros(3 * H), R.new_zeros(3 * H)
        pieces = chunks(T, B, 3, x)
        ds, all_totals = gates.new_empty(pieces[0][1], B, 3 * H), gates.new_empty(pieces[0][1], B, H)
        add_product, norms = adding(R, B), None if ctx.sink is None else gy.new_empty(T)
        compiled = ctx.compiled
        if compiled is not None:
            multiply, product = multiplying(R, B), torch.zeros_like(all_totals[0])
            dh = product.clone() if lengths is not None else product.add(gh)
        for start, stop in reversed(pieces):
            d, totals = ds[: stop - start], all_totals[: stop - start]
            if compiled is not None:
                d_n, g = d.new_empty(stop - start, B, H), gy[start:stop].contiguous()
                step = compiled.gru_backward(gates[start:stop], qs[start:stop], hs[start : stop + 1], g, dh, totals, d, d_n)
                with stepping(R, B):
                    for k, (d_t,) in zip(reversed(range(stop - start)), backwards(d), strict=True):
                        step(k, product)
                        product = multiply(d_t)
            else:
                r, z, n = gates[start:stop].split(H, 2)
                d_n = factors(r, z, n, qs[start:stop], hs[start:stop], d)
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
                d_n.mul_(totals)
            if norms is not None:
                torch.linalg.vector_norm(totals, dim=(1, 2), out=norms[start:stop])
            dR.addmm_(d.flatten(0, 1).t(), hs[start:stop].flatten(0, 1))
            db_h.add_(d.sum((0, 1)))
            d[..., 2 * H :] = d_n  # the input's share of n is not multiplied by r
            add_gradients(d, x, W, dx, dW, db_i, start, stop)
        if norms is not None:
            ctx.sink.h = norms
        if compiled is not None:
            dh = g0 + dh + product
        return dx, dh, dW, dR, db_i, db_h, None, None, None


def factors(r: Tensor, z: Tensor, n: Tensor, q: Tensor, h: Tensor, d: Tensor) -> Tensor:
    """∂h_t/∂a_n for the steps of a chunk; d receives likewise what ∂L/∂h_t multiplies to give ∂L/∂(R h); h is h_{t-1}."""
    d_r, d_z, d_q = d.chunk(3, 2)
    d_n = torch.ops.aten.tanh_backward(1 - z, n)
    torch.mul(d_n, r, out=d_q)
    sigmoid_backward(d_n * q, r, grad_input=d_r)
    sigmoid_backward(h - n, z, grad_input=d_z)
    return d_n


def double_n(W: Tensor, H: int) -> Tensor:
    """W with the rows of n doubled: the 2 in tanh(a) = 2 σ(2 a) - 1."""
    W = W.clone()
    W[2 * H :] *= 2
    return W
