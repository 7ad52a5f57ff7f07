"""The peephole LSTM on a GPU: of a step, all but the product with R is one Triton kernel, forward and backward.

There a step is so small that launches are what costs: two each way instead of a dozen. The equations are those of `lstm`,
the gradients those of `lstm_fused`. With TRITON_INTERPRET=1 set before the import it runs on a CPU, for tests.

Source: Tillet, Kung & Cox 2019, Triton; the recurrence as in `lstm`.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from .recurrence import add_gradients, final, last, once, outside, padding

BLOCK = 256  # cells of a program


@triton.jit
def forward_step(a, c_before, p, c, tanh_c, h, cells, H: tl.constexpr, BLOCK: tl.constexpr):
    """a (B, 4H): pre-activations, overwritten by i, f, g, o; writes c, tanh(c) and h (B, H) from c_before; p (3, H)."""
    cell = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = cell < cells
    unit = cell % H
    gate = a + (cell // H) * 4 * H + unit
    old = tl.load(c_before + cell, inside)
    i = tl.sigmoid(tl.load(gate, inside) + tl.load(p + unit, inside) * old)
    f = tl.sigmoid(tl.load(gate + H, inside) + tl.load(p + H + unit, inside) * old)
    g = 2 * tl.sigmoid(2 * tl.load(gate + 2 * H, inside)) - 1
    new = f * old + i * g
    o = tl.sigmoid(tl.load(gate + 3 * H, inside) + tl.load(p + 2 * H + unit, inside) * new)
    squashed = 2 * tl.sigmoid(2 * new) - 1
    tl.store(gate, i, inside)
    tl.store(gate + H, f, inside)
    tl.store(gate + 2 * H, g, inside)
    tl.store(gate + 3 * H, o, inside)
    tl.store(c + cell, new, inside)
    tl.store(tanh_c + cell, squashed, inside)
    tl.store(h + cell, o * squashed, inside)


@triton.jit
def backward_step(gates, c_before, tanh_c, p, dh, dc, d, cells, H: tl.constexpr, BLOCK: tl.constexpr):
    """Writes d (B, 4H) = ∂L/∂a from dh = ∂L/∂h_t; dc is what later steps say of ∂L/∂c_t, then what this one says of c_{t-1}."""
    cell = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = cell < cells
    unit = cell % H
    offset = (cell // H) * 4 * H + unit
    i, f = tl.load(gates + offset, inside), tl.load(gates + offset + H, inside)
    g, o = tl.load(gates + offset + 2 * H, inside), tl.load(gates + offset + 3 * H, inside)
    squashed, dh_t = tl.load(tanh_c + cell, inside), tl.load(dh + cell, inside)
    d_o = dh_t * squashed * o * (1 - o)
    dc_t = tl.load(dc + cell, inside) + dh_t * o * (1 - squashed * squashed) + d_o * tl.load(p + 2 * H + unit, inside)
    d_i = dc_t * g * i * (1 - i)
    d_f = dc_t * tl.load(c_before + cell, inside) * f * (1 - f)
    tl.store(d + offset, d_i, inside)
    tl.store(d + offset + H, d_f, inside)
    tl.store(d + offset + 2 * H, dc_t * i * (1 - g * g), inside)
    tl.store(d + offset + 3 * H, d_o, inside)
    dc_before = dc_t * f + d_i * tl.load(p + unit, inside) + d_f * tl.load(p + H + unit, inside)
    tl.store(dc + cell, dc_before, inside)


class Peephole(torch.autograd.Function):
    """y (T, B, H) and the final h, c from x (T, B, I), h and c (B, H), W (4H, I), R (4H, H), b (4H), p (3, H)."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        h: Tensor,
        c: Tensor,
        W: Tensor,
        R: Tensor,
        b: Tensor,
        p: Tensor,
        lengths: Tensor | None,
        keep: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        (T, B, _), H = x.shape, R.shape[1]
        hs, cs = x.new_empty(T + 1, B, H), x.new_empty(T + 1, B, H)
        hs[0], cs[0], p = h, c, p.contiguous()
        gates, tanh_cs = x.new_empty(T, B, 4 * H), x.new_empty(T, B, H)
        torch.addmm(b, x.flatten(0, 1), W.t(), out=gates.flatten(0, 1))
        grid, R_t = (triton.cdiv(B * H, BLOCK),), R.t()
        with torch.cuda.device_of(x):
            for t in range(T):
                gates[t].addmm_(hs[t], R_t)
                forward_step[grid](gates[t], cs[t], p, cs[t + 1], tanh_cs[t], hs[t + 1], B * H, H, BLOCK)
        h_T, c_T = final(hs, lengths), final(cs, lengths)
        if lengths is not None:
            hs[1:].masked_fill_(padding(lengths, T), 0)
        if keep:
            ctx.save_for_backward(x, W, R, p, hs, cs, tanh_cs, gates, lengths)
        return hs[1:], h_T, c_T

    @staticmethod
    @once
    def backward(ctx: Any, gy: Tensor, gh: Tensor, gc: Tensor) -> tuple[Tensor | None, ...]:
        x, W, R, p, hs, cs, tanh_cs, gates, lengths = ctx.saved_tensors
        T, B, H = gy.shape
        gy, dh, g0 = outside(gy, gh, lengths)
        ends = None if lengths is None else last(lengths, T, gy)
        dc = gc.clone(memory_format=torch.contiguous_format) if ends is None else torch.zeros_like(tanh_cs[0])
        d, dh, grid = torch.empty_like(gates), dh.contiguous(), (triton.cdiv(B * H, BLOCK),)
        with torch.cuda.device_of(x):
            for t in reversed(range(T)):
                if ends is not None:
                    dc.addcmul_(gc, ends[t])
                backward_step[grid](gates[t], cs[t], tanh_cs[t], p, dh, dc, d[t], B * H, H, BLOCK)
                torch.addmm(gy[t - 1] if t else g0, d[t], R, out=dh)
        if lengths is not None:  # rows without a step: their final state is the initial one
            dc.addcmul_(gc, (lengths == 0).unsqueeze(1))
        dx = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        dW, dR, db = torch.zeros_like(W), torch.zeros_like(R), R.new_zeros(4 * H)
        add_gradients(d, x, W, dx, dW, db, 0, T)
        dR.addmm_(d.flatten(0, 1).t(), hs[:-1].flatten(0, 1))
        (d_i, d_f, _, d_o), c_before, c = d.chunk(4, 2), cs[:-1], cs[1:]
        dp = torch.stack([(d_i * c_before).sum((0, 1)), (d_f * c_before).sum((0, 1)), (d_o * c).sum((0, 1))])
        return dx, dh, dc, dW, dR, db, dp, None, None
