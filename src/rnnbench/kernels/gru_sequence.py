"""The GRU of small matrices: a whole sequence as one call of machine code, products included, as in `lstm_sequence`.

The equations are those of `gru`. A set of kernels that has this is a module with

    gru_forward_whole(steps, x, W_t, b, b_n, R_t, gates, qs, hs, product)
    gru_backward_whole(steps, gy, x, W, R, gates, qs, hs, product, dh, dhs, d, d_n, norms, dx, dW, dR, db, db_h)
    gru_before_forward_whole(steps, x, W_t, b, R_rz_t, R_n_t, gates, rhs, hs, product_rz, product_n)
    gru_before_backward_whole(steps, gy, x, W, R_rz, R_n, gates, rhs, hs, product, dh, of_n, d, d_rzs, d_ns, norms, dx, dW,
                              dR_rz, dR_n, db)

The first two reset after the product, and what they call q and d_n is what `gru_steps` does; the others before it: rhs (T, B,
H) holds r * h_{t-1}. gates (T, B, 3H) and hs (T + 1, B, H) are written, hs from its second row on; where no backward pass
follows, gates have the steps of a chunk, qs and rhs one. Backward, product (B, H) is ∂L/∂h of the last state; product + dh
becomes that of the initial one. dhs, of_n, d, d_n, d_rzs and d_ns are room; norms (T), if it has any, becomes ‖∂L/∂h_t‖; dx is
set, if it has steps; the other gradients are added to.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .chunks import cached
from .gru_reset_after import double_n, input_share
from .lengths import arriving
from .products import transposed
from .recurrence import Context, Request, finish_forward, only_once


class GRUSequence(torch.autograd.Function):
    """As `ResetAfter`, with a set of kernels in the request."""

    @staticmethod
    def forward(
        ctx: Context, x: Tensor, h: Tensor, W: Tensor, R: Tensor, b_i: Tensor, b_h: Tensor, request: Request
    ) -> tuple[Tensor, Tensor]:
        (T, B, _), H, keep, kernel = x.shape, R.shape[1], request.keep, request.kernel
        assert kernel is not None
        W_t, b, b_n = input_share(W, b_i, b_h)
        steps = cached(T, B, 3 * H)
        hs, gates, qs = room_for_states(x, h, steps, keep)
        room = x.new_empty(B, 3 * H)
        kernel.gru_forward_whole(steps, x, W_t.contiguous(), b, b_n.detach(), transposed(R), gates, qs, hs, room)
        return finish_forward(ctx, request, hs, x, W, R, hs, gates, qs)

    @staticmethod
    @only_once
    def backward(ctx: Context, gy: Tensor, gh: Tensor) -> tuple[Tensor | None, ...]:
        x, W, R, hs, gates, qs, lengths = ctx.saved_tensors
        (T, B, H), sink, kernel = gy.shape, ctx.request.sink, ctx.request.kernel
        assert kernel is not None
        steps = cached(T, B, 3 * H)
        gy, product, g0 = arriving(gy, gh, lengths)
        dh, dhs, norms = gy.new_zeros(B, H), gy.new_empty(1, B, H), gy.new_empty(0 if sink is None else T)
        d, d_n = gy.new_empty(steps, B, 3 * H), gy.new_empty(steps, B, H)
        dx = torch.empty_like(x) if ctx.needs_input_grad[0] else x[:0]
        dW, dR, (db, db_h) = torch.zeros_like(W), torch.zeros_like(R), gy.new_zeros(2, 3 * H)
        saved, sums = (x, W, R, gates, qs, hs), (dx, dW, dR, db, db_h)
        kernel.gru_backward_whole(steps, gy, *saved, product, dh, dhs, d, d_n, norms, *sums)
        if sink is not None:
            sink.h = norms
        return dx if ctx.needs_input_grad[0] else None, dh + product + g0, dW, dR, db, db_h, None


class GRUBeforeSequence(torch.autograd.Function):
    """As `ResetBefore`, with a set of kernels in the request."""

    @staticmethod
    def forward(
        ctx: Context, x: Tensor, h: Tensor, W: Tensor, R: Tensor, b_i: Tensor, b_h: Tensor, request: Request
    ) -> tuple[Tensor, Tensor]:
        (T, B, _), H, keep, kernel = x.shape, R.shape[1], request.keep, request.kernel
        assert kernel is not None
        W_t, b, R_t = double_n(W, H).t().contiguous(), double_n(b_i + b_h, H), double_n(R, H).t()
        steps = cached(T, B, 3 * H)
        hs, gates, rhs = room_for_states(x, h, steps, keep)
        matrices = W_t, b, R_t[:, : 2 * H].contiguous(), R_t[:, 2 * H :].contiguous()
        room = x.new_empty(B, 2 * H), x.new_empty(B, H)
        kernel.gru_before_forward_whole(steps, x, *matrices, gates, rhs, hs, *room)
        return finish_forward(ctx, request, hs, x, W, R, hs, gates, rhs)

    @staticmethod
    @only_once
    def backward(ctx: Context, gy: Tensor, gh: Tensor) -> tuple[Tensor | None, ...]:
        x, W, R, hs, gates, rhs, lengths = ctx.saved_tensors
        (T, B, H), sink, kernel = gy.shape, ctx.request.sink, ctx.request.kernel
        assert kernel is not None
        steps = cached(T, B, 3 * H)
        gy, product, g0 = arriving(gy, gh, lengths)
        dh, of_n, norms = gy.new_zeros(B, H), gy.new_empty(B, H), gy.new_empty(0 if sink is None else T)
        d, d_rz, d_n = (gy.new_empty(steps, B, width) for width in (3 * H, 2 * H, H))
        dx = torch.empty_like(x) if ctx.needs_input_grad[0] else x[:0]
        dW, dR, db = torch.zeros_like(W), torch.zeros_like(R), gy.new_zeros(3 * H)
        saved = x, W, R[: 2 * H], R[2 * H :], gates, rhs, hs
        sums = dx, dW, dR[: 2 * H], dR[2 * H :], db
        kernel.gru_before_backward_whole(steps, gy, *saved, product, dh, of_n, d, d_rz, d_n, norms, *sums)
        if sink is not None:
            sink.h = norms
        return dx if ctx.needs_input_grad[0] else None, dh + product + g0, dW, dR, db, db.clone(), None


def room_for_states(x: Tensor, h: Tensor, steps: int, keep: bool) -> tuple[Tensor, Tensor, Tensor]:
    """hs (T + 1, B, H), which begins with h; gates (T, B, 3H), or of a chunk; q, or r * h (T, B, H), or of one step."""
    (T, B, _), H = x.shape, h.shape[1]
    hs = x.new_empty(T + 1, B, H)
    hs[0] = h
    return hs, x.new_empty(T if keep else steps, B, 3 * H), x.new_empty(T if keep else 1, B, H)
