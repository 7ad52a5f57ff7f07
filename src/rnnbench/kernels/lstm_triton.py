"""The kernels of `lstm_steps` for a GPU, in Triton.

There a step is so small that launches are what costs: two each way instead of a dozen. With TRITON_INTERPRET=1 set before the
import they run on a CPU, for tests.

Source: Tillet, Kung & Cox 2019, Triton; the recurrence as in `lstm`.
"""

from __future__ import annotations

from collections.abc import Callable

import triton
import triton.language as tl
from torch import Tensor

BLOCK = 256  # cells of a program


@triton.jit
def forward_step(a, product, c_before, p, c, tanh_c, h, cells, H: tl.constexpr, BLOCK: tl.constexpr):
    """a (B, 4H), the input's share, is overwritten by i, f, g, o; writes c, tanh(c) and h (B, H) from c_before; p (3, H)."""
    cell = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = cell < cells
    unit = cell % H
    offset = (cell // H) * 4 * H + unit
    gate, more = a + offset, product + offset
    old = tl.load(c_before + cell, inside)
    i = tl.sigmoid(tl.load(gate, inside) + tl.load(more, inside) + tl.load(p + unit, inside) * old)
    f = tl.sigmoid(tl.load(gate + H, inside) + tl.load(more + H, inside) + tl.load(p + H + unit, inside) * old)
    g = 2 * tl.sigmoid(2 * (tl.load(gate + 2 * H, inside) + tl.load(more + 2 * H, inside))) - 1
    new = f * old + i * g
    seen = tl.load(p + 2 * H + unit, inside) * new
    o = tl.sigmoid(tl.load(gate + 3 * H, inside) + tl.load(more + 3 * H, inside) + seen)
    squashed = 2 * tl.sigmoid(2 * new) - 1
    tl.store(gate, i, inside)
    tl.store(gate + H, f, inside)
    tl.store(gate + 2 * H, g, inside)
    tl.store(gate + 3 * H, o, inside)
    tl.store(c + cell, new, inside)
    tl.store(tanh_c + cell, squashed, inside)
    tl.store(h + cell, o * squashed, inside)


@triton.jit
def backward_step(product, gates, c_before, tanh_c, p, gy, dc, dh, all_dc, d, cells, H: tl.constexpr, BLOCK: tl.constexpr):
    """Writes d (B, 4H) = ∂L/∂a and the whole gradients dh, all_dc; dc, what later steps say of ∂L/∂c_t, becomes c_{t-1}'s."""
    cell = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = cell < cells
    unit = cell % H
    offset = (cell // H) * 4 * H + unit
    i, f = tl.load(gates + offset, inside), tl.load(gates + offset + H, inside)
    g, o = tl.load(gates + offset + 2 * H, inside), tl.load(gates + offset + 3 * H, inside)
    squashed, dh_t = tl.load(tanh_c + cell, inside), tl.load(gy + cell, inside) + tl.load(product + cell, inside)
    d_o = dh_t * squashed * o * (1 - o)
    dc_t = tl.load(dc + cell, inside) + dh_t * o * (1 - squashed * squashed) + d_o * tl.load(p + 2 * H + unit, inside)
    d_i = dc_t * g * i * (1 - i)
    d_f = dc_t * tl.load(c_before + cell, inside) * f * (1 - f)
    tl.store(d + offset, d_i, inside)
    tl.store(d + offset + H, d_f, inside)
    tl.store(d + offset + 2 * H, dc_t * i * (1 - g * g), inside)
    tl.store(d + offset + 3 * H, d_o, inside)
    tl.store(dh + cell, dh_t, inside)
    tl.store(all_dc + cell, dc_t, inside)
    seen = d_i * tl.load(p + unit, inside) + d_f * tl.load(p + H + unit, inside)
    tl.store(dc + cell, dc_t * f + seen, inside)


def lstm_forward(flags: object, p: Tensor, a: Tensor, cs: Tensor, tanh_cs: Tensor, hs: Tensor) -> Callable[[int, Tensor], None]:
    """Of all four gates, whatever `flags`."""
    H, size = tanh_cs.shape[2], tanh_cs[0].numel()

    def step(t: int, product: Tensor) -> None:
        grid = (triton.cdiv(size, BLOCK),)
        forward_step[grid](a[t], product, cs[t], p, cs[t + 1], tanh_cs[t], hs[t + 1], size, H, BLOCK)

    return step


def lstm_backward(
    flags: object,
    p: Tensor,
    gates: Tensor,
    cs: Tensor,
    tanh_cs: Tensor,
    gy: Tensor,
    dc: Tensor,
    dhs: Tensor,
    dcs: Tensor,
    d: Tensor,
) -> Callable[[int, Tensor], None]:
    H, size = tanh_cs.shape[2], tanh_cs[0].numel()

    def step(t: int, product: Tensor) -> None:
        grid, k = (triton.cdiv(size, BLOCK),), min(t, len(dhs) - 1)
        given = product, gates[t], cs[t], tanh_cs[t], p, gy[t]
        backward_step[grid](*given, dc, dhs[k], dcs[k], d[t], size, H, BLOCK)

    return step


def lstm_diagonals(flags: object, d: Tensor, cs: Tensor, dp: Tensor) -> None:
    d_i, d_f, _, d_o = d.chunk(4, 2)
    for dp_gate, d_gate, seen in zip(dp, (d_i, d_f, d_o), (cs[:-1], cs[:-1], cs[1:]), strict=True):
        dp_gate.add_((d_gate * seen).sum((0, 1)))
