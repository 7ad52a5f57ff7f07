"""The LSTM, with and without diagonal peepholes and its gates, as one product and one kernel a step.

Kernels are Numba's on a CPU and Triton's on a GPU, which has them for all four gates. Of a step, all but the product with R is
one pass through memory, forward and backward; `lstm_fused` takes a dozen, and has every departure. The equations are those of
`lstm`, the gradients those of `lstm_fused`. A set of kernels is a module with

    lstm_forward(flags, p, a, cs, tanh_cs, hs)
    lstm_backward(flags, p, gates, cs, tanh_cs, gy, dc, dhs, dcs, d)
    lstm_diagonals(flags, d, cs, dp)

The first two return a function (t, product) that makes step t of a chunk; the last adds to dp (3, H) the gradients of p over a
chunk. `flags` are those of `Form`. Forward, a (steps, B, G H), the input's share of the pre-activations, becomes the gates
that there are of i, f, g, o; product (B, G H) is the state's share; cs and hs (steps + 1, B, H) and tanh_cs (steps, B, H) are
written; p is (3, H). Backward, product (B, H) is what the next step's gates say of ∂L/∂h_t and gy[t] what comes from outside;
dc (B, H) is what later steps say of ∂L/∂c_t, and becomes that of ∂L/∂c_{t-1}; d[t] (B, G H) becomes ∂L/∂a, and dhs[t] and
dcs[t] the whole gradients of the states (dhs[0] and dcs[0] always, where there is no more of them).

Where products are so small that calling a library costs more than they do, `lstm_sequence` takes its place.
"""

from __future__ import annotations

import importlib.util
from types import ModuleType
from typing import Protocol

import torch
from torch import Tensor

from .chunks import backwards, chunks
from .lengths import final, last, outside
from .lstm_fused import Form
from .products import InputGradients, add_outer, multiplying, read_input, stepping
from .recurrence import Context, Request, finish_forward, machine_code, only_once


def kernels(x: Tensor, form: Form) -> ModuleType | None:
    """The set of kernels for x's device and type and a form, or None where there is none."""
    if form == Form() and x.is_cuda and x.dtype == torch.float32 and importlib.util.find_spec("triton") is not None:
        from . import lstm_triton  # compiles for a GPU, so it is imported where there is one

        return lstm_triton
    return machine_code(x)


class StepsContext(Context, Protocol):
    form: Form


class LSTMSteps(torch.autograd.Function):
    """y (T, B, H) and the final h, c from x (T, B, I), h and c (B, H), W (G H, I), R (G H, H), b (G H), p (rows, H) or None.

    The request names a set of kernels.
    """

    @staticmethod
    def forward(
        ctx: StepsContext,
        x: Tensor,
        h: Tensor,
        c: Tensor,
        W: Tensor,
        R: Tensor,
        b: Tensor,
        p: Tensor | None,
        form: Form,
        request: Request,
    ) -> tuple[Tensor, Tensor, Tensor]:
        (T, B, _), H, G, lengths, kernel = x.shape, R.shape[1], len(form.gates), request.lengths, request.kernel
        assert kernel is not None
        pieces = chunks(T, B, G, x)
        keep = request.keep or lengths is not None  # where rows end early, their last states are looked up
        room = T if keep else pieces[0][1]
        hs, cs, tanh_cs = x.new_empty(T + 1, B, H), x.new_empty(room + 1, B, H), x.new_empty(room, B, H)
        gates, W_t, multiply = x.new_empty(room, B, G * H), W.t(), multiplying(R.t(), B, T)
        hs[0], p_ifo = h, diagonals(form, p, h)
        for start, stop in pieces:
            s, t = (start, stop) if keep else (0, stop - start)
            a = gates[s:t]
            read_input(x[start:stop], W_t, b, out=a)
            cs[s] = c
            step = kernel.lstm_forward(form.flags, p_ifo, a, cs[s : t + 1], tanh_cs[s:t], hs[start : stop + 1])
            with stepping(R, B), torch.cuda.device_of(x):
                for k, h_t in enumerate(hs[start:stop].unbind(0)):
                    step(k, multiply(h_t))
            c = cs[t]
        c_T = final(cs, lengths) if keep else c.clone()
        ctx.form = form
        return *finish_forward(ctx, request, hs, x, W, R, p, hs, cs, tanh_cs, gates), c_T

    @staticmethod
    @only_once
    def backward(ctx: StepsContext, gy: Tensor, gh: Tensor, gc: Tensor) -> tuple[Tensor | None, ...]:
        x, W, R, p, hs, cs, tanh_cs, gates, lengths = ctx.saved_tensors
        (T, B, H), form, sink, kernel = gy.shape, ctx.form, ctx.request.sink, ctx.request.kernel
        assert kernel is not None
        gy, _, g0 = outside(gy, gh, lengths)
        dc, product = (torch.zeros(B, H, dtype=g.dtype, device=g.device) for g in (gc, gh))
        ends = None if lengths is None else last(lengths, T, gy)  # where the final state's gradient comes in
        if ends is None:
            dc.copy_(gc)
            product.copy_(gh)
        of_input, dR, dp = InputGradients(x, W, ctx.needs_input_grad[0]), torch.zeros_like(R), R.new_zeros(3, H)
        G, p_ifo, multiply = len(form.gates), diagonals(form, p, dc), multiplying(R, B, T)
        pieces = chunks(T, B, G, x)
        every_d, norms = gy.new_empty(pieces[0][1], B, G * H), None if sink is None else gy.new_empty(2, T)
        totals = gy.new_empty(2, 1 if norms is None else pieces[0][1], B, H)
        for start, stop in reversed(pieces):
            d, c, (dhs, dcs) = every_d[: stop - start], cs[start : stop + 1], totals[:, : stop - start]
            saved = gates[start:stop], c, tanh_cs[start:stop]
            step = kernel.lstm_backward(form.flags, p_ifo, *saved, gy[start:stop].contiguous(), dc, dhs, dcs, d)
            with stepping(R, B), torch.cuda.device_of(x):
                for t, (d_t,) in zip(reversed(range(start, stop)), backwards(d), strict=True):
                    if ends is not None:
                        dc.addcmul_(gc, ends[t])
                    step(t - start, product)
                    product = multiply(d_t)
            if norms is not None:
                torch.linalg.vector_norm(totals[:, : stop - start], dim=(2, 3), out=norms[:, start:stop])
            of_input.add(d, start, stop)
            add_outer(dR, d, hs[start:stop])
            if p is not None:
                kernel.lstm_diagonals(form.flags, d, c, dp)
        if lengths is not None:  # rows without a step: their final state is the initial one
            dc.addcmul_(gc, (lengths == 0).unsqueeze(1))
        if sink is not None and norms is not None:
            sink.h, sink.c = norms
        there = [k for k, gate in enumerate("ifo") if gate in form.gates]
        return of_input.dx, g0 + product, dc, of_input.dW, dR, of_input.db, None if p is None else dp[there], None, None


def diagonals(form: Form, p: Tensor | None, like: Tensor) -> Tensor:
    """p_i, p_f and p_o (3, H); zeros for one that there is not."""
    none = like.new_zeros(like.shape[1])
    return torch.stack([none if row is None else row.detach().to(like.dtype) for row in form.peepholes(p)])
