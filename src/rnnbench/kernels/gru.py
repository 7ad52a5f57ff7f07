"""The gated recurrent unit, with the reset gate after or before the product.

    r = σ(W_r x_t + b_r + R_r h_{t-1})
    z = σ(W_z x_t + b_z + R_z h_{t-1})
    n = tanh(W_n x_t + b_n + r * (R_n h_{t-1} + b_hn))      after the product (the library's form)
    n = tanh(W_n x_t + b_n + R_n (r * h_{t-1}))             before it; here b_hn joins b_n
    h_t = (1 - z) * n + z * h_{t-1}

Rows of W, R and the biases stand in the order r, z, n. z keeps the old state; in Cho et al. it stands for 1 - z in some
equations and z in others, which changes names, not the function.

Source: Cho et al. 2014, arXiv:1406.1078, reset before the product (its first version); after: Chung et al. 2014 and cuDNN.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .recurrence import (
    StateGradients,
    add_gradients,
    adding,
    backwards,
    before,
    biases,
    choose,
    chunks,
    enter,
    final,
    outside,
    padding,
    ragged,
    sigmoid_backward,
    stepping,
    steps,
)


def gru(
    x: Tensor,
    h: Tensor,
    W: Tensor,
    R: Tensor,
    b_i: Tensor | None = None,
    b_h: Tensor | None = None,
    *,
    reset: str = "after",
    lengths: Tensor | None = None,
    backend: str = "auto",
    sink: StateGradients | None = None,
) -> tuple[Tensor, Tensor]:
    """(y (T, B, H), h (B, H) after each row's last valid step) from x (T, B, I) and the initial state h (B, H).

    W (3H, I), R (3H, H), b_i and b_h (3H) or None. `lengths` (B,) counts valid steps; y is zero at padding.
    `reset` is after or before the product; `backend` is auto, library or fused; `sink` receives the norms of ∂L/∂h_t from
    the fused one. Raises ValueError for an unknown form or back end, or one that cannot do what is asked for.
    """
    if reset not in ("after", "before"):
        raise ValueError(f"no reset {reset!r}; there are: after, before")
    lengths = ragged(lengths, len(x))
    x = enter(x, R, lengths)
    faster = x.is_cuda or torch.is_autocast_enabled(x.device.type)
    b_i, b_h = biases(R, b_i, b_h)
    if choose(backend, reset == "after", faster, sink) == "library":
        return library(x, h, W, R, b_i, b_h, lengths)
    fused = ResetAfter if reset == "after" else ResetBefore
    return fused.apply(x, h.to(R.dtype), W, R, b_i, b_h, lengths, torch.is_grad_enabled(), sink)


def library(
    x: Tensor, h: Tensor, W: Tensor, R: Tensor, b_i: Tensor, b_h: Tensor, lengths: Tensor | None
) -> tuple[Tensor, Tensor]:
    y, h_T = torch.gru(x, h.unsqueeze(0), (W, R, b_i, b_h), True, 1, 0.0, torch.is_grad_enabled(), False, False)
    if lengths is None:
        return y, h_T[0]
    return y.masked_fill(padding(lengths, len(x)), 0), final(torch.cat([h.unsqueeze(0).to(y.dtype), y]), lengths)


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
        pieces = chunks(T, B, H, x)
        gates = x.new_empty(T if keep else pieces[0][1], B, 3 * H)
        product, minus = x.new_empty(B, 3 * H), x.new_full((B, H), -1)
        p_rz, p_n = product[:, : 2 * H], product[:, 2 * H :]
        h, R_t = hs[0], R.t()
        for start, stop in pieces:
            a = gates[start:stop] if keep else gates[: stop - start]
            torch.addmm(b, x[start:stop].flatten(0, 1), W_t, out=a.flatten(0, 1))
            q_s = qs[start:stop] if keep else qs.expand(stop - start, B, H)
            with stepping(R, B):
                for rz, r, z, n, q, h_t in steps(a[..., : 2 * H], *a.split(H, 2), q_s, hs[start + 1 : stop + 1]):
                    torch.mm(h, R_t, out=product)
                    rz.add_(p_rz).sigmoid_()
                    torch.add(p_n, b_hn, out=q)
                    n.addcmul_(r, q, value=2).sigmoid_()
                    torch.add(minus, n, alpha=2, out=n)
                    torch.lerp(n, h, z, out=h_t)
                    h = h_t
        h_T = final(hs, lengths)
        if lengths is not None:
            hs[1:].masked_fill_(padding(lengths, T), 0)
        if keep:
            ctx.save_for_backward(x, W, R, hs, gates, qs, lengths)
            ctx.sink = sink
        return hs[1:], h_T

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gy: Tensor, gh: Tensor) -> tuple[Tensor | None, ...]:
        x, W, R, hs, gates, qs, lengths = ctx.saved_tensors
        T, B, H = gy.shape
        gy, dh, g0 = outside(gy, gh, lengths)
        dx = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        dW, dR, db_i, db_h = torch.zeros_like(W), torch.zeros_like(R), R.new_zeros(3 * H), R.new_zeros(3 * H)
        pieces = chunks(T, B, H, x)
        ds, all_totals = gates.new_empty(pieces[0][1], B, 3 * H), gates.new_empty(pieces[0][1], B, H)
        add_product, norms = adding(R, B), gy.new_empty(T)
        for start, stop in reversed(pieces):
            d, totals = ds[: stop - start], all_totals[: stop - start]
            (r, z, n), q = gates[start:stop].split(H, 2), qs[start:stop]
            d_r, d_z, d_q = d.split(H, 2)
            d_n = torch.ops.aten.tanh_backward(1 - z, n)  # ∂h_t/∂a_n; likewise the others, until ∂L/∂h_t multiplies them
            torch.mul(d_n, r, out=d_q)
            sigmoid_backward(d_n * q, r, grad_input=d_r)
            sigmoid_backward(hs[start:stop] - n, z, grad_input=d_z)
            totals[-1] = dh
            earlier = [*backwards(totals[:-1]), (dh,)]
            with stepping(R, B):
                for (d_t, d_3, z_t, total), (dh_before,), g in zip(
                    backwards(d, d.unflatten(2, (3, H)), z, totals), earlier, before(gy, g0, start, stop), strict=True
                ):
                    d_3.mul_(total.unsqueeze(1))
                    torch.addcmul(g, total, z_t, out=dh_before)
                    add_product(dh_before, d_t, dh_before)
            if ctx.sink is not None:
                torch.linalg.vector_norm(totals, dim=(1, 2), out=norms[start:stop])
            dR.addmm_(d.flatten(0, 1).t(), hs[start:stop].flatten(0, 1))
            db_h.add_(d.sum((0, 1)))
            torch.mul(d_n, totals, out=d_q)
            add_gradients(d, x, W, dx, dW, db_i, start, stop)
        if ctx.sink is not None:
            ctx.sink.h = norms
        return dx, dh, dW, dR, db_i, db_h, None, None, None


def double_n(W: Tensor, H: int) -> Tensor:
    """W with the rows of n doubled: the 2 in tanh(a) = 2 σ(2 a) - 1."""
    W = W.clone()
    W[2 * H :] *= 2
    return W
