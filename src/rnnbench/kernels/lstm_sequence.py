"""The LSTM of small matrices, with every departure: a whole sequence as one call of machine code, products included.

Where a product is small, calling a library for it costs more than the product. Signals wait for the end of the call. The
equations are those of `lstm`, the gradients those of `lstm_fused`. A set of kernels that has this is a module with

    lstm_forward_whole(steps, form, x, W_t, b, R_t, p, V_t, M_t, Q_t, gates, cs, tanh_cs, hs, ms, es, product, through,
                       of_gates)
    lstm_backward_whole(steps, form, ends, gc, ge, gy, x, W, R, p, V, M, Q, gates, cs, tanh_cs, hs, ms, es,
                        product, dc, de, nothing, dhs, dcs, d, d_os, d_es, norms, dx, dW, dR, db, dp, dV, dM, dQ)

All arrays are contiguous. `steps` are those of a chunk, which stays in the cache; `form` are the flags of `Form`; p is (3, H).

Forward, what the backward pass needs is written: gates (T, B, G H) and tanh_cs (T, B, H), and from their second row on hs
(T + 1, B, P) and cs (T + 1, B, H), whose first rows are the initial state; with M also ms (T + 1, B, H), which M multiplies;
with Q also es (T + 1, B, 3H), the gates that Q multiplies. Where no backward pass follows, all but hs have room for one chunk.
product (B, G H), through (B, H) and of_gates (B, 3H) are room for products.

Backward, product (B, P), dc (B, H) and de (B, 3H) are the gradients at the final h, c and gates, and become those of the
initial ones. The final state's gradients gc and ge join dc and de where `ends` (T, B, 1), if it has steps, is 1. nothing
(3, B, H) has a row of zeros and two of room. Room for a chunk are d, which becomes ∂L/∂a, d_os (steps, B, H) its part of o
for V, d_es (steps, B, 3H) its parts of i, f and o for Q, and dhs (steps, B, P), the whole ∂L/∂h_t for M; without M one step
of dhs is enough, as it is of dcs (1, B, H). norms (2, T), if it has columns, becomes ‖∂L/∂h_t‖ and ‖∂L/∂c_t‖. dx is set, if it
has steps; the other gradients are added to.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .chunks import cached
from .lengths import arriving, final, last
from .lstm_fused import Form, FormContext, Weights
from .lstm_steps import diagonals
from .products import transposed
from .recurrence import Request, finish_forward, only_once


class LSTMSequence(torch.autograd.Function):
    """As `FusedLSTM`, but e and Q are (B, 3H) and (3H, 3H), and the request names a set of kernels."""

    @staticmethod
    def forward(
        ctx: FormContext,
        x: Tensor,
        h: Tensor,
        c: Tensor,
        e: Tensor | None,
        W: Tensor,
        R: Tensor,
        b: Tensor,
        p: Tensor | None,
        V: Tensor | None,
        M: Tensor | None,
        Q: Tensor | None,
        form: Form,
        request: Request,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        (T, B, _), H, G, lengths, kernel = x.shape, c.shape[1], len(form.gates), request.lengths, request.kernel
        assert kernel is not None
        keep = request.keep or lengths is not None  # where rows end early, their last states are looked up
        steps = cached(T, B, G * H)
        room, absent = T if keep else min(steps, T), x.new_empty(0, 0, 0)
        hs, cs, tanh_cs = x.new_empty(T + 1, B, h.shape[1]), x.new_empty(room + 1, B, H), x.new_empty(room, B, H)
        ms = absent if M is None else x.new_empty(room + 1, B, H)
        es = absent if e is None else x.new_empty(room + 1, B, 3 * H)
        gates, product = x.new_empty(room, B, G * H), x.new_empty(B, G * H)
        through, of_gates = x.new_empty(B, H), x.new_empty(B, 3 * H)
        hs[0], cs[0] = h, c
        if e is not None:
            es[0] = e
        matrices = transposed(W), b, transposed(R), diagonals(form, p, c), transposed(V), transposed(M), transposed(Q)
        buffers = gates, cs, tanh_cs, hs, ms, es, product, through, of_gates
        kernel.lstm_forward_whole(steps, form.flags, x, *matrices, *buffers)
        ctx.form = form
        end = room if room >= T else (T - 1) % steps + 1  # where the last state was written
        e_T = None if e is None else final(es[: end + 1], lengths)
        y, h_T = finish_forward(ctx, request, hs, x, W, R, p, V, M, Q, hs, cs, tanh_cs, gates, ms, es)
        return y, h_T, final(cs[: end + 1], lengths), e_T

    @staticmethod
    @only_once
    def backward(ctx: FormContext, gy: Tensor, gh: Tensor, gc: Tensor, ge: Tensor | None) -> tuple[Tensor | None, ...]:
        x, W, *others, hs, cs, tanh_cs, gates, ms, es, lengths = ctx.saved_tensors
        weights, form, sink, kernel = Weights(*others), ctx.form, ctx.request.sink, ctx.request.kernel
        assert kernel is not None
        (T, B, P), H, G, (R, p, V, M, Q) = gy.shape, gc.shape[1], len(form.gates), weights
        steps, absent, no_rows = cached(T, B, G * H), gy.new_empty(0, 0, 0), gy.new_empty(0, 0)
        gy, product, g0 = arriving(gy, gh, lengths)
        gc, ge = gc.contiguous(), no_rows if ge is None else ge.contiguous()
        dc, de = (g.clone() if lengths is None else torch.zeros_like(g) for g in (gc, ge))
        ends = absent if lengths is None else last(lengths, T, gy)
        nothing = absent if V is M is Q is None else gy.new_zeros(3, B, H)
        dhs, dcs = gy.new_empty(1 if M is None else steps, B, P), gy.new_empty(1, B, H)
        d, d_os = gy.new_empty(steps, B, G * H), absent if V is None else gy.new_empty(steps, B, H)
        d_es = absent if Q is None else gy.new_empty(steps, B, 3 * H)
        norms = gy.new_empty(2, 0 if sink is None else T)
        dx = torch.empty_like(x) if ctx.needs_input_grad[0] else x[:0]
        dW, dR, db, dp = torch.zeros_like(W), torch.zeros_like(R), gy.new_zeros(G * H), gy.new_zeros(0 if p is None else 3, H)
        of_products = [None if part is None else torch.zeros_like(part) for part in (V, M, Q)]
        kernel.lstm_backward_whole(
            *(steps, form.flags, ends, gc, ge, gy, x, W, R, diagonals(form, p, dc), V, M, Q, gates, cs, tanh_cs, hs, ms, es),
            *(product, dc, de, nothing, dhs, dcs, d, d_os, d_es, norms, dx, dW, dR, db, dp),
            *(no_rows if part is None else part for part in of_products),
        )
        if lengths is not None:  # rows without a step: their final state is the initial one
            none = (lengths == 0).unsqueeze(1)
            dc.addcmul_(gc, none)
            if Q is not None:
                de.addcmul_(ge, none)
        if sink is not None:
            sink.h, sink.c = norms
        there = [k for k, gate in enumerate("ifo") if gate in form.gates and (gate != "o" or V is None)]
        of_state = product + g0, dc, None if Q is None else de
        of_weights = dW, dR, db, None if p is None else dp[there], *of_products
        return dx if ctx.needs_input_grad[0] else None, *of_state, *of_weights, None, None
