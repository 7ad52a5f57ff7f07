"""What a step of a fused recurrence does besides its product, as machine code: one pass through memory in place of ten.

Compiled by Numba (the extra `compiled`) at the first call, in seconds, and kept beside this file or in the user's cache for
later processes. Imported by `recurrence` only, where Numba is. For float32 and float64 on a CPU; the equations
are those of `lstm` and `gru`, the gradients those of `lstm_fused` and `gru_reset_after`; what each kernel reads and writes is
said in `lstm_steps` and `gru_steps`.

The vectorised exponential is the textbook one: x = n ln 2 + r with |r| <= ln 2 / 2, a Taylor polynomial for e^r of degree 7
(its error, 5e-9 of the value, is below float32's rounding), and 2^n put together from bits.

Source: Lam, Pitrou & Seibert 2015, Numba; Cody & Waite 1980, Software manual for the elementary functions (the reduction).
"""

from __future__ import annotations

import contextlib
import importlib
import math
import sys
import types
from collections.abc import Callable
from typing import Any

import numba
import numpy
import torch
from llvmlite import ir
from numba import types as numba_types
from numba.extending import intrinsic, overload, register_jitable
from torch import Tensor

from . import lstm_1997

if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
    raise ImportError("NUMBA_DISABLE_JIT is set")


def _import_without_blas() -> None:
    """Imports what Numba would import at the first call, without SciPy's linear algebra.

    Numba only looks whether that is there. Importing it takes as long as all of Numba, and no step needs it. Code that does
    has it imported when it is called.
    """
    if BLAS in sys.modules:
        return
    sys.modules[BLAS] = stand_in = types.ModuleType(BLAS)
    try:
        with contextlib.suppress(ImportError):  # of a Numba that is laid out otherwise: it is imported later then
            importlib.import_module("numba.np.arraymath")
    finally:
        if sys.modules.get(BLAS) is stand_in:
            del sys.modules[BLAS]


BLAS = "scipy.linalg.cython_blas"
_import_without_blas()

OPTIONS: dict[str, Any] = {"fastmath": {"contract"}, "error_model": "numpy"}  # a multiplication and an addition may be one
Array = numpy.ndarray
F = numpy.float32
PER_LN_2, LN_2_HIGH, LN_2_LOW = F(1 / math.log(2)), F(0.693359375), F(math.log(2) - 0.693359375)
TAYLOR = tuple(F(1 / math.factorial(k)) for k in range(8))
LARGEST = F(87)  # e^87 and e^-87 are normal numbers


@intrinsic
def _power_of_two(context: Any, n: Any) -> Any:
    """2^n as float32 from an int32 between -126 and 127: the bits of its exponent."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        integer = ir.IntType(32)
        biased = builder.add(arguments[0], ir.Constant(integer, 127))
        return builder.bitcast(builder.shl(biased, ir.Constant(integer, 23)), ir.FloatType())

    return numba_types.float32(numba_types.int32), generate


def sigmoid(x: Any) -> Any:  # the annotation of x that Numba compares with those below
    """1 / (1 + e^-x); compiled as one of the two below."""
    raise NotImplementedError


def _sigmoid_float32(x: Any) -> Any:
    y = min(max(-x, -LARGEST), LARGEST)
    n = numpy.floor(y * PER_LN_2 + F(0.5))
    r = (y - n * LN_2_HIGH) - n * LN_2_LOW
    e = TAYLOR[7]
    e = e * r + TAYLOR[6]
    e = e * r + TAYLOR[5]
    e = e * r + TAYLOR[4]
    e = e * r + TAYLOR[3]
    e = e * r + TAYLOR[2]
    e = e * r + TAYLOR[1]
    e = e * r + TAYLOR[0]
    return F(1) / (F(1) + e * _power_of_two(numpy.int32(n)))  # type: ignore[call-arg]


def _sigmoid_float64(x: Any) -> Any:
    return 1 / (1 + math.exp(-x))


@overload(sigmoid, jit_options=OPTIONS)  # type: ignore[arg-type]
def _choose_sigmoid(x: Any) -> Any:
    return _sigmoid_float32 if x == numba_types.float32 else _sigmoid_float64


def lstm_forward_step(t: int, product: Array, p: Array, a: Array, cs: Array, tanh_cs: Array, hs: Array) -> None:
    H, one, two = cs.shape[2], a.dtype.type(1), a.dtype.type(2)
    p_i, p_f, p_o = p[0], p[1], p[2]
    for b in range(a.shape[1]):
        i, f, g, o = a[t, b, :H], a[t, b, H : 2 * H], a[t, b, 2 * H : 3 * H], a[t, b, 3 * H :]
        r_i, r_f, r_g, r_o = product[b, :H], product[b, H : 2 * H], product[b, 2 * H : 3 * H], product[b, 3 * H :]
        before, c, tanh_c, h = cs[t, b], cs[t + 1, b], tanh_cs[t, b], hs[t + 1, b]
        for j in range(H):
            old = before[j]
            i[j] = sigmoid(i[j] + r_i[j] + p_i[j] * old)
            f[j] = sigmoid(f[j] + r_f[j] + p_f[j] * old)
            g[j] = two * sigmoid(two * (g[j] + r_g[j])) - one
            new = f[j] * old + i[j] * g[j]
            o[j] = sigmoid(o[j] + r_o[j] + p_o[j] * new)
            c[j] = new
            tanh_c[j] = two * sigmoid(two * new) - one
            h[j] = o[j] * tanh_c[j]


def lstm_backward_step(
    t: int,
    product: Array,
    p: Array,
    gates: Array,
    cs: Array,
    tanh_cs: Array,
    gy: Array,
    dc: Array,
    dhs: Array,
    dcs: Array,
    d: Array,
) -> None:
    H, one, k = cs.shape[2], d.dtype.type(1), min(t, len(dhs) - 1)
    p_i, p_f, p_o = p[0], p[1], p[2]
    for b in range(d.shape[1]):
        i, f, g, o = gates[t, b, :H], gates[t, b, H : 2 * H], gates[t, b, 2 * H : 3 * H], gates[t, b, 3 * H :]
        d_i, d_f, d_g, d_o = d[t, b, :H], d[t, b, H : 2 * H], d[t, b, 2 * H : 3 * H], d[t, b, 3 * H :]
        c, tanh_c, later, out, through = cs[t, b], tanh_cs[t, b], dc[b], gy[t, b], product[b]
        dh, all_dc = dhs[k, b], dcs[k, b]
        for j in range(H):
            dh_t = out[j] + through[j]
            to_o = dh_t * tanh_c[j] * o[j] * (one - o[j])
            total = later[j] + dh_t * o[j] * (one - tanh_c[j] * tanh_c[j]) + to_o * p_o[j]
            to_i = total * g[j] * i[j] * (one - i[j])
            to_f = total * c[j] * f[j] * (one - f[j])
            d_i[j] = to_i
            d_f[j] = to_f
            d_g[j] = total * i[j] * (one - g[j] * g[j])
            d_o[j] = to_o
            dh[j] = dh_t
            all_dc[j] = total
            later[j] = total * f[j] + to_i * p_i[j] + to_f * p_f[j]


def gru_forward_step(t: int, product: Array, b_n: Array, a: Array, qs: Array, hs: Array) -> None:
    H, one, two, k = hs.shape[2], a.dtype.type(1), a.dtype.type(2), min(t, len(qs) - 1)
    for b in range(a.shape[1]):
        r, z, n = a[t, b, :H], a[t, b, H : 2 * H], a[t, b, 2 * H :]
        r_r, r_z, r_n = product[b, :H], product[b, H : 2 * H], product[b, 2 * H :]
        before, h, q = hs[t, b], hs[t + 1, b], qs[k, b]
        for j in range(H):
            r[j] = sigmoid(r[j] + r_r[j])
            z[j] = sigmoid(z[j] + r_z[j])
            q[j] = r_n[j] + b_n[j]
            n[j] = two * sigmoid(n[j] + two * r[j] * q[j]) - one
            h[j] = n[j] + z[j] * (before[j] - n[j])


def gru_backward_step(
    t: int, product: Array, gates: Array, qs: Array, hs: Array, gy: Array, dh: Array, dhs: Array, d: Array, d_n: Array
) -> None:
    H, one, k = hs.shape[2], d.dtype.type(1), min(t, len(dhs) - 1)
    for b in range(d.shape[1]):
        r, z, n = gates[t, b, :H], gates[t, b, H : 2 * H], gates[t, b, 2 * H :]
        d_r, d_z, d_q, to_n = d[t, b, :H], d[t, b, H : 2 * H], d[t, b, 2 * H :], d_n[t, b]
        h, q, later, out, through, all_dh = hs[t, b], qs[t, b], dh[b], gy[t, b], product[b], dhs[k, b]
        for j in range(H):
            dh_t = later[j] + out[j] + through[j]
            total = dh_t * (one - z[j]) * (one - n[j] * n[j])
            to_n[j] = total
            d_q[j] = total * r[j]
            d_r[j] = total * q[j] * r[j] * (one - r[j])
            d_z[j] = dh_t * (h[j] - n[j]) * z[j] * (one - z[j])
            all_dh[j] = dh_t
            later[j] = dh_t * z[j]


def _kept(function: Callable[..., Any]) -> Any:
    """`function` as machine code, compiled at its first call and kept for later processes where that can be."""
    try:
        return numba.njit(cache=True, **OPTIONS)(function)
    except RuntimeError:  # neither this file's folder nor the user's cache can be written
        return numba.njit(**OPTIONS)(function)


def kernel(step: Callable[..., None]) -> Callable[..., Callable[[int, Tensor], None]]:
    """`step` (t, product, *arrays) as a function of a chunk's tensors, all contiguous, that returns a function (t, product)."""
    compiled = _kept(step)
    types_at_hand = set()

    def over(*tensors: Tensor) -> Callable[[int, Tensor], None]:
        nonlocal compiled
        arrays = [tensor.numpy() for tensor in tensors]
        dtype = arrays[0].dtype
        if dtype not in types_at_hand:
            signature = tuple(numba.typeof(one) for one in (0, numpy.empty((1, 1), dtype), *arrays))
            try:
                compiled.compile(signature)
            except Exception:  # what was kept is damaged, or there is no room to keep it
                compiled = numba.njit(**OPTIONS)(step)
                compiled.compile(signature)
            types_at_hand.add(dtype)
        return lambda t, product: compiled(t, product.numpy(), *arrays)

    return over


lstm_forward, lstm_backward = kernel(lstm_forward_step), kernel(lstm_backward_step)
gru_forward, gru_backward = kernel(gru_forward_step), kernel(gru_backward_step)

for part in (
    lstm_1997.sigmoid,
    lstm_1997.hidden_units,
    lstm_1997.output_units,
    lstm_1997.cut_gradient,
    lstm_1997.apply,
    lstm_1997.move,
    lstm_1997.is_end,
    lstm_1997.begin_row,
):
    register_jitable(**OPTIONS)(part)
lstm_1997_rows = _kept(lstm_1997.train_rows)


def load_compiled() -> None:
    """Makes a step of each kernel, so that all are compiled, or loaded, before a process is forked from this one."""
    B, H = 1, 1
    one, many = torch.zeros(B, H), torch.zeros(2, B, H)
    four, three, rows = torch.zeros(1, B, 4 * H), torch.zeros(1, B, 3 * H), torch.zeros(3, H)
    lstm_forward(rows, four, many, many[:1], many.clone())(0, four[0])
    lstm_backward(rows, four, many, many[:1], many[:1], one, many[:1], many[:1], four.clone())(0, one)
    gru_forward(rows[0], three, many[:1], many)(0, three[0])
    gru_backward(three, many[:1], many, many[:1], one, many[:1], three.clone(), many[:1])(0, one)
