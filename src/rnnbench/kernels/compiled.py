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
from llvmlite.binding import get_host_cpu_features
from numba import types as numba_types
from numba.core import cgutils
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
ROWS, VECTORS = 4, 2  # of a block of a product: its 8 sums fit into a processor's 16 registers or more
VECTOR = 64 if get_host_cpu_features().get("avx512f") else 32  # bytes
BY_HAND = True  # this set makes a whole chunk of steps in one call, too
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


@intrinsic
def _multiply_block(context: Any, out: Any, a: Any, M: Any, row: Any, column: Any) -> Any:
    """ROWS rows from `row` and a block of columns from `column` of out = a M, whose sums stay in registers."""
    dtype = out.dtype

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        arrays = [
            context.make_array(kind)(context, builder, value)
            for kind, value in zip(signature.args[:3], arguments, strict=False)
        ]
        (out, a, M), (row, column) = arrays, arguments[3:]
        K, N = (builder.extract_value(M.shape, axis) for axis in (0, 1))
        scalar = context.get_value_type(dtype)
        vector, index = ir.VectorType(scalar, lanes(dtype)), ir.IntType(32)

        def at(array: Any, row: Any, width: Any, column: Any) -> Any:
            return builder.gep(array.data, [builder.add(builder.mul(row, width), column)])

        def vectors(array: Any, row: Any) -> list[Any]:
            starts = [builder.add(column, column.type(lanes(dtype) * part)) for part in range(VECTORS)]
            return [builder.bitcast(at(array, row, N, start), vector.as_pointer()) for start in starts]

        rows = [builder.add(row, row.type(part)) for part in range(ROWS)]
        sums = [[cgutils.alloca_once_value(builder, vector(None)) for _ in range(VECTORS)] for _ in rows]
        fused, size = ("contract",), numpy.dtype(str(dtype)).itemsize
        with cgutils.for_range(builder, K) as loop:
            weights = [builder.load(pointer, align=size) for pointer in vectors(M, loop.index)]
            for one, ofs in zip(rows, sums, strict=True):
                first = builder.insert_element(vector(ir.Undefined), builder.load(at(a, one, K, loop.index)), index(0))
                everywhere = builder.shuffle_vector(first, vector(ir.Undefined), ir.VectorType(index, lanes(dtype))(None))
                for total, weight in zip(ofs, weights, strict=True):
                    product = builder.fmul(everywhere, weight, flags=fused)
                    builder.store(builder.fadd(builder.load(total), product, flags=fused), total)
        for one, ofs in zip(rows, sums, strict=True):
            for pointer, total in zip(vectors(out, one), ofs, strict=True):
                builder.store(builder.load(total), pointer, align=size)
        return context.get_dummy_value()

    return numba_types.void(out, a, M, row, column), generate


def lanes(dtype: Any) -> int:
    """Numbers of a type in a vector."""
    return VECTOR // (4 if dtype == numba_types.float32 else 8)


def multiply(a: Array, M: Array, out: Array) -> None:
    """out = a M, from a (rows, K) and M (K, N): for products so small that calling a library would cost more.

    By blocks of ROWS rows and VECTORS vectors of columns, as a library does; the rest with four rows of M at a time.
    """
    (K, N), width = M.shape, VECTORS * VECTOR // M.itemsize
    whole_rows, whole_columns, even = len(a) // ROWS * ROWS, N // width * width, K // 4 * 4
    for column in range(0, whole_columns, width):
        for b in range(0, whole_rows, ROWS):
            _multiply_block(out, a, M, b, column)  # type: ignore[call-arg]
    for b in range(len(a)):
        first = whole_columns if b < whole_rows else 0
        if first == N:
            continue
        row = out[b, first:]
        for j in range(len(row)):
            row[j] = 0
        for k in range(0, even, 4):
            a_0, a_1, a_2, a_3 = a[b, k], a[b, k + 1], a[b, k + 2], a[b, k + 3]
            M_0, M_1, M_2, M_3 = M[k, first:], M[k + 1, first:], M[k + 2, first:], M[k + 3, first:]
            for j in range(len(row)):
                row[j] += a_0 * M_0[j] + a_1 * M_1[j] + a_2 * M_2[j] + a_3 * M_3[j]
        for k in range(even, K):
            a_0, M_0 = a[b, k], M[k, first:]
            for j in range(len(row)):
                row[j] += a_0 * M_0[j]


def columns(form: Any, H: int) -> tuple[int, int, int, int]:
    """Where the columns of i, f, g and o begin in (..., G H); a gate that is missing has none."""
    at_i = 0 * H
    at_f = at_i if form[0] is None else at_i + H
    at_g = at_f if form[1] is None else at_f + H
    return at_i, at_f, at_g, at_g + H


def lstm_forward_step(t: int, product: Array, form: Any, p: Array, a: Array, cs: Array, tanh_cs: Array, hs: Array) -> None:
    has_i, has_f, has_o, coupled, squash_input, squash_output = form
    H, one, two = cs.shape[2], a.dtype.type(1), a.dtype.type(2)
    at_i, at_f, at_g, at_o = columns(form, H)
    p_i, p_f, p_o = p[0], p[1], p[2]
    for b in range(a.shape[1]):
        i, f, g, o = a[t, b, at_i : at_i + H], a[t, b, at_f : at_f + H], a[t, b, at_g : at_g + H], a[t, b, at_o : at_o + H]
        r_i, r_f, r_g, r_o = product[b, at_i:], product[b, at_f:], product[b, at_g:], product[b, at_o:]
        before, c, tanh_c, h = cs[t, b], cs[t + 1, b], tanh_cs[t, b], hs[t + 1, b]
        for j in range(H):
            old = before[j]
            i_j = f_j = o_j = one
            if has_i is not None:
                i_j = sigmoid(i[j] + r_i[j] + p_i[j] * old)
                i[j] = i_j
            if has_f is not None:
                f_j = sigmoid(f[j] + r_f[j] + p_f[j] * old)
                f[j] = f_j
            if coupled is not None:
                f_j = one - i_j
            g_j = g[j] + r_g[j]
            if squash_input is not None:
                g_j = two * sigmoid(two * g_j) - one
            g[j] = g_j
            new = f_j * old + i_j * g_j
            if has_o is not None:
                o_j = sigmoid(o[j] + r_o[j] + p_o[j] * new)
                o[j] = o_j
            c[j] = new
            squashed = new if squash_output is None else two * sigmoid(two * new) - one
            tanh_c[j] = squashed
            h[j] = o_j * squashed


def lstm_backward_step(
    t: int,
    product: Array,
    form: Any,
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
    has_i, has_f, has_o, coupled, squash_input, squash_output = form
    H, one, k = cs.shape[2], d.dtype.type(1), min(t, len(dhs) - 1)
    at_i, at_f, at_g, at_o = columns(form, H)
    p_i, p_f, p_o = p[0], p[1], p[2]
    for b in range(d.shape[1]):
        row, d_row = gates[t, b], d[t, b]
        i, f, g, o = row[at_i : at_i + H], row[at_f : at_f + H], row[at_g : at_g + H], row[at_o : at_o + H]
        d_i, d_f, d_g, d_o = d_row[at_i : at_i + H], d_row[at_f : at_f + H], d_row[at_g : at_g + H], d_row[at_o : at_o + H]
        c, tanh_c, later, out, through = cs[t, b], tanh_cs[t, b], dc[b], gy[t, b], product[b]
        dh, all_dc = dhs[k, b], dcs[k, b]
        for j in range(H):
            i_j = f_j = o_j = one
            if has_i is not None:
                i_j = i[j]
            if has_f is not None:
                f_j = f[j]
            if coupled is not None:
                f_j = one - i_j
            if has_o is not None:
                o_j = o[j]
            g_j, before, dh_t = g[j], c[j], out[j] + through[j]
            slope = one if squash_output is None else one - tanh_c[j] * tanh_c[j]
            total = later[j] + dh_t * o_j * slope
            if has_o is not None:
                to_o = dh_t * tanh_c[j] * o_j * (one - o_j)
                d_o[j] = to_o
                total += to_o * p_o[j]
            kept = total * f_j
            if has_i is not None:
                to_i = total * (g_j if coupled is None else g_j - before) * i_j * (one - i_j)
                d_i[j] = to_i
                kept += to_i * p_i[j]
            if has_f is not None:
                to_f = total * before * f_j * (one - f_j)
                d_f[j] = to_f
                kept += to_f * p_f[j]
            d_g[j] = total * i_j * (one if squash_input is None else one - g_j * g_j)
            dh[j] = dh_t
            all_dc[j] = total
            later[j] = kept


def lstm_diagonals_of_chunk(form: Any, d: Array, cs: Array, dp: Array) -> None:
    """Adds to dp (3, H) the gradients of p over the steps of a chunk."""
    H = cs.shape[2]
    at_i, at_f, _, at_o = columns(form, H)
    for t in range(len(d)):
        for b in range(d.shape[1]):
            before, c, row = cs[t, b], cs[t + 1, b], d[t, b]
            if form[0] is not None:
                for j in range(H):
                    dp[0, j] += row[at_i + j] * before[j]
            if form[1] is not None:
                for j in range(H):
                    dp[1, j] += row[at_f + j] * before[j]
            if form[2] is not None:
                for j in range(H):
                    dp[2, j] += row[at_o + j] * c[j]


def lstm_forward_steps(R_t: Array, product: Array, form: Any, p: Array, a: Array, cs: Array, tanh_cs: Array, hs: Array) -> None:
    for t in range(len(a)):
        multiply(hs[t], R_t, product)
        lstm_forward_step(t, product, form, p, a, cs, tanh_cs, hs)


def lstm_backward_steps(
    R: Array,
    product: Array,
    ends: Any,
    gc: Array,
    form: Any,
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
    for t in range(len(d) - 1, -1, -1):
        if ends is not None:
            for b in range(len(dc)):
                for j in range(dc.shape[1]):
                    dc[b, j] += gc[b, j] * ends[t, b, 0]
        lstm_backward_step(t, product, form, p, gates, cs, tanh_cs, gy, dc, dhs, dcs, d)
        multiply(d[t], R, product)


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


def gru_forward_steps(R_t: Array, product: Array, b_n: Array, a: Array, qs: Array, hs: Array) -> None:
    for t in range(len(a)):
        multiply(hs[t], R_t, product)
        gru_forward_step(t, product, b_n, a, qs, hs)


def gru_backward_steps(
    R: Array, product: Array, gates: Array, qs: Array, hs: Array, gy: Array, dh: Array, dhs: Array, d: Array, d_n: Array
) -> None:
    for t in range(len(d) - 1, -1, -1):
        gru_backward_step(t, product, gates, qs, hs, gy, dh, dhs, d, d_n)
        multiply(d[t], R, product)


def rnn_forward_steps(R_t: Array, product: Array, flags: Any, factors: Array, hs: Array) -> None:
    squashed, rectified = flags
    scale, centre, zero = factors[0], factors[1], factors.dtype.type(0)
    for t in range(len(hs) - 1):
        multiply(hs[t], R_t, product)
        for b in range(hs.shape[1]):
            h, through = hs[t + 1, b], product[b]
            for j in range(hs.shape[2]):
                a = h[j] + through[j]
                if squashed is not None:
                    a = scale * sigmoid(a) + centre
                if rectified is not None:
                    a = max(a, zero)
                h[j] = a


def rnn_backward_steps(
    R: Array, product: Array, flags: Any, factors: Array, hs: Array, gy: Array, dhs: Array, d: Array
) -> None:
    rectified, zero = flags[1], factors.dtype.type(0)
    constant, linear, square = factors[2], factors[3], factors[4]
    for t in range(len(d) - 1, -1, -1):
        k = min(t, len(dhs) - 1)
        for b in range(d.shape[1]):
            h, out, through, dh, d_row = hs[t + 1, b], gy[t, b], product[b], dhs[k, b], d[t, b]
            for j in range(d.shape[2]):
                slope = constant + h[j] * (linear + square * h[j])
                if rectified is not None:
                    slope = slope if h[j] > zero else zero
                total = out[j] + through[j]
                dh[j] = total
                d_row[j] = total * slope
        multiply(d[t], R, product)


def min_gru_forward_steps(positive: Any, a: Array, hs: Array, lengths: Any, start: int) -> None:
    H, one, half = hs.shape[2], a.dtype.type(1), a.dtype.type(0.5)
    for t in range(len(a)):
        for b in range(a.shape[1]):
            z, n, before, h = a[t, b, :H], a[t, b, H:], hs[t, b], hs[t + 1, b]
            if lengths is not None and start + t >= lengths[b]:
                h[:] = before
                continue
            for j in range(H):
                z_j, n_j = sigmoid(z[j]), n[j]
                if positive is not None:
                    squashed = sigmoid(n_j)
                    n_j = n_j + half if n_j >= 0 else squashed
                z[j], n[j] = z_j, n_j
                h[j] = (one - z_j) * before[j] + z_j * n_j


def min_gru_backward_steps(
    positive: Any, gates: Array, hs: Array, gy: Array, dh: Array, dhs: Array, d: Array, lengths: Any, start: int
) -> None:
    H, one, half = hs.shape[2], d.dtype.type(1), d.dtype.type(0.5)
    for t in range(len(d) - 1, -1, -1):
        k = min(t, len(dhs) - 1)
        for b in range(d.shape[1]):
            z, n, before, out = gates[t, b, :H], gates[t, b, H:], hs[t, b], gy[t, b]
            d_z, d_n, later, total = d[t, b, :H], d[t, b, H:], dh[b], dhs[k, b]
            if lengths is not None and start + t >= lengths[b]:
                d[t, b, :] = 0
                total[:] = 0
                for j in range(H):
                    later[j] += out[j]
                continue
            for j in range(H):
                z_j, n_j, whole = z[j], n[j], later[j] + out[j]
                slope = one
                if positive is not None:
                    slope = one if n_j >= half else n_j * (one - n_j)
                d_n[j] = whole * z_j * slope
                d_z[j] = whole * (n_j - before[j]) * z_j * (one - z_j)
                total[j] = whole
                later[j] = whole * (one - z_j)


def _kept(function: Callable[..., Any]) -> Any:
    """`function` as machine code, compiled at its first call and kept for later processes where that can be."""
    try:
        return numba.njit(cache=True, **OPTIONS)(function)
    except RuntimeError:  # neither this file's folder nor the user's cache can be written
        return numba.njit(**OPTIONS)(function)


class Kernel:
    """A function of numbers, arrays, None and tuples of them as machine code; for an array it is given a contiguous tensor."""

    def __init__(self, function: Callable[..., None]):
        self.function, self.compiled = function, _kept(function)
        self.at_hand: set[Any] = set()  # for which types and forms

    def __call__(self, *arguments: Any) -> None:
        self.prepared(*arguments)(*map(unwrapped, arguments))

    def prepared(self, *arguments: Any) -> Any:
        """The machine code for such arguments."""
        kinds = [argument.dtype if isinstance(argument, Tensor) else type(argument) for argument in arguments]
        key = (*kinds, *(argument for argument in arguments if isinstance(argument, tuple)))
        if key not in self.at_hand:
            signature = tuple(numba.typeof(unwrapped(argument)) for argument in arguments)
            try:
                self.compiled.compile(signature)
            except Exception:  # what was kept is damaged, or there is no room to keep it
                self.compiled = numba.njit(**OPTIONS)(self.function)
                self.compiled.compile(signature)
            self.at_hand.add(key)
        return self.compiled

    def of_chunk(self, *arguments: Any) -> Callable[[int, Tensor], None]:
        """For a function (t, product, *arguments) that makes step t of a chunk: a function (t, product)."""
        product = next(argument for argument in arguments if isinstance(argument, Tensor)).new_empty(1, 1)
        compiled, arrays = self.prepared(0, product, *arguments), [unwrapped(argument) for argument in arguments]
        return lambda t, product: compiled(t, product.numpy(), *arrays)


def unwrapped(argument: Any) -> Any:
    if not isinstance(argument, Tensor):
        return argument
    if not argument.is_contiguous():  # blocks of a product are read and written as if it were
        raise ValueError(f"machine code takes contiguous arrays; one has the strides {argument.stride()}")
    return argument.numpy()


register_jitable(inline="always")(columns)  # as a call, it would keep the loops of the steps from being vectorised
for part in (multiply, lstm_forward_step, lstm_backward_step, gru_forward_step, gru_backward_step):
    register_jitable(**OPTIONS)(part)
lstm_forward, lstm_backward = Kernel(lstm_forward_step).of_chunk, Kernel(lstm_backward_step).of_chunk
gru_forward, gru_backward = Kernel(gru_forward_step).of_chunk, Kernel(gru_backward_step).of_chunk
lstm_diagonals = Kernel(lstm_diagonals_of_chunk)
lstm_forward_by_hand, lstm_backward_by_hand = Kernel(lstm_forward_steps), Kernel(lstm_backward_steps)
rnn_forward_by_hand, rnn_backward_by_hand = Kernel(rnn_forward_steps), Kernel(rnn_backward_steps)
min_gru_forward, min_gru_backward = Kernel(min_gru_forward_steps), Kernel(min_gru_backward_steps)
gru_forward_by_hand, gru_backward_by_hand = Kernel(gru_forward_steps), Kernel(gru_backward_steps)

for of_1997 in (
    lstm_1997.sigmoid,
    lstm_1997.hidden_units,
    lstm_1997.output_units,
    lstm_1997.cut_gradient,
    lstm_1997.apply,
    lstm_1997.move,
    lstm_1997.is_end,
    lstm_1997.begin_row,
):
    register_jitable(**OPTIONS)(of_1997)
lstm_1997_rows = _kept(lstm_1997.train_rows)


def load_compiled() -> None:
    """Makes a step of each kernel, so that all are compiled, or loaded, before a process is forked from this one."""
    B, H = 1, 1
    one, many = torch.zeros(B, H), torch.zeros(2, B, H)
    four, three, rows, form = (
        torch.zeros(1, B, 4 * H),
        torch.zeros(1, B, 3 * H),
        torch.zeros(3, H),
        (True, True, True, None, True, True),
    )
    lstm_forward(form, rows, four, many, many[:1], many.clone())(0, four[0])
    lstm_backward(form, rows, four, many, many[:1], many[:1], one, many[:1], many[:1], four.clone())(0, one)
    gru_forward(rows[0], three, many[:1], many)(0, three[0])
    gru_backward(three, many[:1], many, many[:1], one, many[:1], three.clone(), many[:1])(0, one)
    lstm_forward_by_hand(four[0].view(H, 4 * H), four[0].clone(), form, rows, four, many, many[:1], many.clone())
    lstm_diagonals(form, four, many, rows)
    rnn_forward_by_hand(one, one.clone(), (True, None), torch.zeros(5), many)
    rnn_backward_by_hand(one, one.clone(), (True, None), torch.zeros(5), many, many[:1], many[1:], many[:1].clone())
    two = torch.zeros(1, B, 2 * H)
    min_gru_forward(None, two, many, None, 0)
    min_gru_backward(None, two, many, many[:1], one, many[:1].clone(), two.clone(), None, 0)
    gru_forward_by_hand(three[0].view(H, 3 * H), three[0].clone(), rows[0], three, many[:1], many)
    lstm_backward_by_hand(
        four[0].view(4 * H, H),
        one.clone(),
        None,
        one,
        form,
        rows,
        four,
        many,
        many[:1],
        many[:1],
        one,
        many[:1],
        many[:1],
        four.clone(),
    )
    gru_backward_by_hand(
        three[0].view(3 * H, H), one.clone(), three, many[:1], many, many[:1], one, many[:1], three.clone(), many[:1]
    )
