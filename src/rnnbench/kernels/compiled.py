"""Steps and whole sequences of recurrences as machine code: one pass through memory in place of ten.

Compiled by Numba (the extra `compiled`) at the first call, in seconds, and kept beside this file or in the user's cache for
later processes. Imported by `recurrence` only, where Numba is. For float32 and float64 on a CPU. What each kernel computes,
reads and writes is said where it is called: in `lstm_steps`, `lstm_sequence`, `gru_steps`, `gru_sequence`, `rnn` and `minimal`.

The vectorised exponential is the textbook one: x = n ln 2 + r with |r| <= ln 2 / 2, a Taylor polynomial for e^r of degree 7
(its error, 5e-9 of the value, is below float32's rounding), and 2^n put together from bits.

Source: Lam, Pitrou & Seibert 2015, Numba; Cody & Waite 1980, Software manual for the elementary functions (the reduction).
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import math
import sys
import types
from collections.abc import Callable
from pathlib import Path
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

from . import guessing, lstm_1997, rtrl
from .compile_time import counted_as_compiling

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
AS_WRITTEN: dict[str, Any] = {"error_model": "numpy"}  # each operation is rounded as in plain Python
F = numpy.float32
PER_LN_2, LN_2_HIGH, LN_2_LOW = F(1 / math.log(2)), F(0.693359375), F(math.log(2) - 0.693359375)
TAYLOR = tuple(F(1 / math.factorial(k)) for k in range(8))
ROWS, VECTORS = 4, 2  # of a block of a product: its 8 sums fit into a processor's 16 registers or more
VECTOR = 64 if get_host_cpu_features().get("avx512f") else 32  # bytes
BY_HAND = True  # this set makes a whole sequence in one call, too
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


def exponential(x: Any) -> Any:
    """e^x; compiled as one of the two below."""
    raise NotImplementedError


@register_jitable(**OPTIONS)
def _exponential_float32(x: Any) -> Any:
    y = min(max(x, -LARGEST), LARGEST)
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
    return e * _power_of_two(numpy.int32(n))  # type: ignore[call-arg]


def _exponential_float64(x: Any) -> Any:
    return math.exp(x)


@overload(exponential, jit_options=OPTIONS)  # type: ignore[arg-type]
def _choose_exponential(x: Any) -> Any:
    return _exponential_float32 if x == numba_types.float32 else _exponential_float64


def _sigmoid_float32(x: Any) -> Any:
    return F(1) / (F(1) + _exponential_float32(-x))


def _sigmoid_float64(x: Any) -> Any:
    return 1 / (1 + math.exp(-x))


@overload(sigmoid, jit_options=OPTIONS)  # type: ignore[arg-type]
def _choose_sigmoid(x: Any) -> Any:
    return _sigmoid_float32 if x == numba_types.float32 else _sigmoid_float64


@intrinsic
def _multiply_block(context: Any, out: Any, a: Any, M: Any, start: Any, row: Any, column: Any) -> Any:
    """ROWS rows from `row` and a block of columns from `column` of `multiply`, whose sums stay in registers."""
    dtype, a_transposed = out.dtype, a.layout == "F"
    assert {part.dtype for part in (a, M)} == {dtype} and out.layout == M.layout == "C" and a.layout in "CF"

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        row, column = arguments[4:]
        kinds: tuple[Any, ...] = signature.args[:4]
        out, a, M = (context.make_array(k)(context, builder, value) for k, value in zip(kinds[:3], arguments, strict=False))
        start = None if kinds[3] == numba_types.none else context.make_array(kinds[3])(context, builder, arguments[3])
        (K, N), height = (builder.extract_value(M.shape, axis) for axis in (0, 1)), builder.extract_value(a.shape, 0)
        scalar = context.get_value_type(dtype)
        vector, index = ir.VectorType(scalar, lanes(dtype)), ir.IntType(32)

        def at(array: Any, row: Any, width: Any, column: Any) -> Any:
            return builder.gep(array.data, [builder.add(builder.mul(row, width), column)])

        def vectors(array: Any, row: Any) -> list[Any]:
            starts = [builder.add(column, column.type(lanes(dtype) * part)) for part in range(VECTORS)]
            return [builder.bitcast(at(array, row, N, start), vector.as_pointer()) for start in starts]

        def first_sums(row: Any) -> list[Any]:
            if start is None:
                return [vector(None)] * VECTORS
            of_row = row if kinds[3].ndim == 2 else row.type(0)
            return [builder.load(pointer, align=size) for pointer in vectors(start, of_row)]

        rows = [builder.add(row, row.type(part)) for part in range(ROWS)]
        fused, size = ("contract",), numpy.dtype(str(dtype)).itemsize
        sums = [[cgutils.alloca_once_value(builder, first) for first in first_sums(one)] for one in rows]
        with cgutils.for_range(builder, K) as loop:
            weights = [builder.load(pointer, align=size) for pointer in vectors(M, loop.index)]
            for one, ofs in zip(rows, sums, strict=True):
                place = at(a, loop.index, height, one) if a_transposed else at(a, one, K, loop.index)
                first = builder.insert_element(vector(ir.Undefined), builder.load(place), index(0))
                everywhere = builder.shuffle_vector(first, vector(ir.Undefined), ir.VectorType(index, lanes(dtype))(None))
                for total, weight in zip(ofs, weights, strict=True):
                    product = builder.fmul(everywhere, weight, flags=fused)
                    builder.store(builder.fadd(builder.load(total), product, flags=fused), total)
        for one, ofs in zip(rows, sums, strict=True):
            for pointer, total in zip(vectors(out, one), ofs, strict=True):
                builder.store(builder.load(total), pointer, align=size)
        return context.get_dummy_value()

    return numba_types.void(out, a, M, start, row, column), generate


def lanes(dtype: Any) -> int:
    """Numbers of a type in a vector."""
    return VECTOR // (4 if dtype == numba_types.float32 else 8)


def multiply(a: Array, M: Array, out: Array, start: Any) -> None:
    """out = start + a M, from a (rows, K), which may be a transposed view, and M (K, N).

    `start` is None for 0, (N) or (rows, N); where a is transposed, it may be `out`. By blocks of ROWS rows and VECTORS vectors
    of columns, as a library does; the rest with four rows of M at a time, or where a is transposed, four of its columns.
    """
    (K, N), width = M.shape, VECTORS * VECTOR // M.itemsize
    whole_rows, whole_columns, even = len(a) // ROWS * ROWS, N // width * width, K // 4 * 4
    for column in range(0, whole_columns, width):
        for b in range(0, whole_rows, ROWS):
            _multiply_block(out, a, M, start, b, column)  # type: ignore[call-arg]
    last = N
    if a.flags.f_contiguous:
        if whole_columns < N:
            multiply_by_columns(a.T, M, out, start, whole_columns)
        last = whole_columns
    elif 0 < whole_columns < N:  # a last block, which makes some columns of the one before again
        for b in range(0, whole_rows, ROWS):
            _multiply_block(out, a, M, start, b, N - width)  # type: ignore[call-arg]
        whole_columns = N
    for b in range(len(a)):
        first = whole_columns if b < whole_rows else 0
        if first == last:
            continue
        row = out[b, first:last]
        if start is None:
            for j in range(len(row)):
                row[j] = 0
        elif start.ndim == 1:
            for j in range(len(row)):
                row[j] = start[first + j]
        else:
            for j in range(len(row)):
                row[j] = start[b, first + j]
        for k in range(0, even, 4):
            a_0, a_1, a_2, a_3 = a[b, k], a[b, k + 1], a[b, k + 2], a[b, k + 3]
            M_0, M_1, M_2, M_3 = M[k, first:last], M[k + 1, first:last], M[k + 2, first:last], M[k + 3, first:last]
            for j in range(len(row)):
                row[j] += a_0 * M_0[j] + a_1 * M_1[j] + a_2 * M_2[j] + a_3 * M_3[j]
        for k in range(even, K):
            a_0, M_0 = a[b, k], M[k, first:last]
            for j in range(len(row)):
                row[j] += a_0 * M_0[j]


def multiply_by_columns(a: Array, M: Array, out: Array, start: Any, first: int) -> None:
    """The columns of `multiply` from `first` on, which are few, for aᵀ M from a (K, rows)."""
    (K, N), rows, even = M.shape, a.shape[1], len(a) // 4 * 4
    sums = numpy.empty((N - first, rows), out.dtype)
    for j in range(N - first):
        total = sums[j]
        for b in range(rows):
            total[b] = 0
    for k in range(0, even, 4):
        a_0, a_1, a_2, a_3 = a[k], a[k + 1], a[k + 2], a[k + 3]
        for j in range(N - first):
            M_0, M_1, M_2, M_3, total = M[k, first + j], M[k + 1, first + j], M[k + 2, first + j], M[k + 3, first + j], sums[j]
            for b in range(rows):
                total[b] += M_0 * a_0[b] + M_1 * a_1[b] + M_2 * a_2[b] + M_3 * a_3[b]
    for k in range(even, K):
        a_0 = a[k]
        for j in range(N - first):
            M_0, total = M[k, first + j], sums[j]
            for b in range(rows):
                total[b] += M_0 * a_0[b]
    for b in range(rows):
        for j in range(N - first):
            if start is None:
                out[b, first + j] = sums[j, b]
            elif start.ndim == 1:
                out[b, first + j] = start[first + j] + sums[j, b]
            else:
                out[b, first + j] = start[b, first + j] + sums[j, b]


def row_by_row(steps: Array) -> Array:
    """(steps * B, N) of (steps, B, N)."""
    return steps.reshape(steps.shape[0] * steps.shape[1], steps.shape[2])


def copy_columns(a: Array, out: Array, first: int, last: int, at: int) -> None:
    """Copies the columns from `first` to before `last` of a (rows, N) to `out`, from column `at` on.

    Numba's assignment of arrays would take longer, and seconds to compile for the message of its error.
    """
    for b in range(len(a)):
        row, copied = a[b, first:last], out[b, at:]
        for j in range(len(row)):
            copied[j] = row[j]


def add_rows(d: Array, db: Array) -> None:
    """Adds the rows of d (rows, N) to db (N)."""
    for row in range(len(d)):
        for j in range(len(db)):
            db[j] += d[row, j]


def add_input_gradients(d: Array, x: Array, W: Array, dx: Array, dW: Array, db: Array) -> None:
    """The gradients of x Wᵀ + b over the steps of a chunk: sets dx, if it has steps, and adds to dW and db."""
    multiply(row_by_row(d).T, row_by_row(x), dW, dW)
    add_rows(row_by_row(d), db)
    if len(dx) > 0:
        multiply(row_by_row(d), W, row_by_row(dx), None)


def norm(a: Array, of_columns: Array) -> float:
    """‖a‖ of a (B, N); of_columns (N) is overwritten."""
    of_columns[:] = 0
    for b in range(len(a)):
        for j in range(len(of_columns)):
            of_columns[j] += a[b, j] * a[b, j]
    return math.sqrt(of_columns.sum())


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
        c, tanh_c, later, out, through = cs[t, b], tanh_cs[t, b], dc[b], gy[min(t, len(gy) - 1), b], product[b]
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


def lstm_forward_sequence(
    steps: int,
    form: Any,
    x: Array,
    W_t: Array,
    b: Array,
    R_t: Array,
    p: Array,
    V_t: Any,
    M_t: Any,
    Q_t: Any,
    gates: Array,
    cs: Array,
    tanh_cs: Array,
    hs: Array,
    ms: Array,
    es: Array,
    product: Array,
    through: Array,
    of_gates: Array,
) -> None:
    H, kept = cs.shape[2], len(gates) == len(x)
    for start in range(0, len(x), steps):
        stop = min(start + steps, len(x))
        s = start if kept else 0
        a, c, tanh_c, h = gates[s : s + stop - start], cs[s:], tanh_cs[s:], hs[start:]
        m, e = h if M_t is None else ms[s:], es[s:]
        if start > s:  # the chunk before was written to the same place
            copy_columns(c[steps], c[0], 0, H, 0)
            if Q_t is not None:
                copy_columns(e[steps], e[0], 0, 3 * H, 0)
        multiply(row_by_row(x[start:stop]), W_t, row_by_row(a), b)
        for t in range(len(a)):
            multiply(h[t], R_t, product, None)
            if Q_t is not None:
                multiply(e[t], Q_t, of_gates, None)
                for row in range(len(product)):
                    for j in range(2 * H):
                        product[row, j] += of_gates[row, j]
                    for j in range(2 * H, 3 * H):
                        product[row, H + j] += of_gates[row, j]
            if V_t is None:
                lstm_forward_step(t, product, form, p, a, c, tanh_c, m)
            else:
                lstm_forward_step(t, product, (form[0], form[1], None, form[3], form[4], form[5]), p, a, c, tanh_c, m)
                multiply(c[t + 1], V_t, through, None)
                lstm_output_gate(product[:, a.shape[2] - H :], through, a[t, :, a.shape[2] - H :], tanh_c[t], m[t + 1])
            if Q_t is not None:
                copy_columns(a[t], e[t + 1], 0, 2 * H, 0)
                copy_columns(a[t], e[t + 1], 3 * H, 4 * H, 2 * H)
            if M_t is not None:
                multiply(m[t + 1], M_t, h[t + 1], None)


def lstm_output_gate(product: Array, through: Array, a: Array, tanh_c: Array, m: Array) -> None:
    for b in range(len(a)):
        for j in range(tanh_c.shape[1]):
            o = sigmoid(a[b, j] + product[b, j] + through[b, j])
            a[b, j] = o
            m[b, j] = o * tanh_c[b, j]


def lstm_backward_sequence(
    steps: int,
    form: Any,
    ends: Array,
    gc: Array,
    ge: Array,
    gy: Array,
    x: Array,
    W: Array,
    R: Array,
    p: Array,
    V: Any,
    M: Any,
    Q: Any,
    gates: Array,
    cs: Array,
    tanh_cs: Array,
    hs: Array,
    ms: Array,
    es: Array,
    product: Array,
    dc: Array,
    de: Array,
    nothing: Array,
    dhs: Array,
    dcs: Array,
    d: Array,
    d_os: Array,
    d_es: Array,
    norms: Array,
    dx: Array,
    dW: Array,
    dR: Array,
    db: Array,
    dp: Array,
    dV: Array,
    dM: Array,
    dQ: Array,
) -> None:
    H, of_columns = cs.shape[2], numpy.empty(max(hs.shape[2], cs.shape[2]), d.dtype)
    for start in range((len(x) - 1) // steps * steps, -1, -steps):
        stop = min(start + steps, len(x))
        a, c, tanh_c, out = gates[start:stop], cs[start : stop + 1], tanh_cs[start:stop], gy[start:stop]
        d_chunk = d[: stop - start]
        for t in range(len(a) - 1, -1, -1):
            k = min(t, len(dhs) - 1)
            if len(ends) > 0:
                for b in range(len(dc)):
                    for j in range(H):
                        dc[b, j] += gc[b, j] * ends[start + t, b, 0]
                    if Q is not None:
                        for j in range(3 * H):
                            de[b, j] += ge[b, j] * ends[start + t, b, 0]
            if V is None and M is None and Q is None:
                lstm_backward_step(t, product, form, p, a, c, tanh_c, out, dc, dhs, dcs, d_chunk)
            else:
                lstm_backward_step_with_products(
                    t, product, form, p, V, M, Q, a, c, tanh_c, out, dc, de, nothing, dhs[k], dcs, d_chunk, d_os, d_es
                )
            multiply(d_chunk[t], R, product, None)
            if norms.shape[1] > 0:
                norms[0, start + t] = norm(dhs[k], of_columns[: hs.shape[2]])
                norms[1, start + t] = norm(dcs[0], of_columns[:H])
        add_input_gradients(d_chunk, x[start:stop], W, dx[start:stop], dW, db)
        multiply(row_by_row(d_chunk).T, row_by_row(hs[start:stop]), dR, dR)
        if len(dp) > 0:
            lstm_diagonals_of_chunk(form, d_chunk, c, dp)
        if V is not None:
            multiply(row_by_row(d_os[: stop - start]).T, row_by_row(c[1:]), dV, dV)
        if M is not None:
            multiply(row_by_row(dhs[: stop - start]).T, row_by_row(ms[start + 1 : stop + 1]), dM, dM)
        if Q is not None:
            multiply(row_by_row(d_es[: stop - start]).T, row_by_row(es[start:stop]), dQ, dQ)


def lstm_backward_step_with_products(
    t: int,
    product: Array,
    form: Any,
    p: Array,
    V: Any,
    M: Any,
    Q: Any,
    gates: Array,
    cs: Array,
    tanh_cs: Array,
    gy: Array,
    dc: Array,
    de: Array,
    nothing: Array,
    dh: Array,
    dcs: Array,
    d: Array,
    d_os: Array,
    d_es: Array,
) -> None:
    """`lstm_backward_step` with V, M or Q: first what comes to the output gate, at last what comes to i and f through Q."""
    H, G, one = cs.shape[2], d.shape[2] // cs.shape[2], d.dtype.type(1)
    through, of_others = nothing[1], nothing[2]
    for b in range(len(dh)):
        for j in range(dh.shape[1]):
            dh[b, j] = gy[t, b, j] + product[b, j]
    if M is None:
        copy_columns(dh, through, 0, H, 0)
    else:
        multiply(dh, M, through, None)
    if form[2] is not None:
        for b in range(len(dc)):
            o, d_o = gates[t, b, (G - 1) * H :], d[t, b, (G - 1) * H :]
            for j in range(H):
                to_o = through[b, j] * tanh_cs[t, b, j]
                if Q is not None:
                    to_o += de[b, 2 * H + j]
                to_o *= o[j] * (one - o[j])
                d_o[j] = to_o
                if V is None:
                    dc[b, j] += to_o * p[2, j]
                through[b, j] *= o[j]
        if V is not None:
            copy_columns(d[t], d_os[t], (G - 1) * H, G * H, 0)
            multiply(d_os[t], V, of_others, None)
            for b in range(len(dc)):
                for j in range(H):
                    dc[b, j] += of_others[b, j]
    inner = (form[0], form[1], None, form[3], form[4], form[5])
    lstm_backward_step(t, through, inner, p, gates, cs, tanh_cs, nothing[:1], dc, nothing[2:], dcs, d)
    if Q is not None:
        for b in range(len(dc)):
            for gate in range(2):
                row, d_row, later = gates[t, b, gate * H :], d[t, b, gate * H :], de[b, gate * H :]
                for j in range(H):
                    more = later[j] * row[j] * (one - row[j])
                    d_row[j] += more
                    dc[b, j] += more * p[gate, j]
        copy_columns(d[t], d_es[t], 0, 2 * H, 0)
        copy_columns(d[t], d_es[t], 3 * H, 4 * H, 2 * H)
        multiply(d_es[t], Q, de, None)


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


def gru_forward_sequence(
    steps: int, x: Array, W_t: Array, b: Array, b_n: Array, R_t: Array, gates: Array, qs: Array, hs: Array, product: Array
) -> None:
    for start in range(0, len(x), steps):
        stop = min(start + steps, len(x))
        s = start if len(gates) == len(x) else 0
        a, q, h = gates[s : s + stop - start], qs[s:] if len(qs) == len(x) else qs, hs[start:]
        multiply(row_by_row(x[start:stop]), W_t, row_by_row(a), b)
        for t in range(len(a)):
            multiply(h[t], R_t, product, None)
            gru_forward_step(t, product, b_n, a, q, h)


def gru_backward_sequence(
    steps: int,
    gy: Array,
    x: Array,
    W: Array,
    R: Array,
    gates: Array,
    qs: Array,
    hs: Array,
    product: Array,
    dh: Array,
    dhs: Array,
    d: Array,
    d_n: Array,
    norms: Array,
    dx: Array,
    dW: Array,
    dR: Array,
    db: Array,
    db_h: Array,
) -> None:
    H, of_columns = hs.shape[2], numpy.empty(hs.shape[2], d.dtype)
    for start in range((len(x) - 1) // steps * steps, -1, -steps):
        stop = min(start + steps, len(x))
        a, q, h, out, d_chunk = gates[start:stop], qs[start:stop], hs[start:], gy[start:stop], d[: stop - start]
        for t in range(len(a) - 1, -1, -1):
            gru_backward_step(t, product, a, q, h, out, dh, dhs, d_chunk, d_n)
            multiply(d_chunk[t], R, product, None)
            if len(norms) > 0:
                norms[start + t] = norm(dhs[0], of_columns)
        multiply(row_by_row(d_chunk).T, row_by_row(h[: stop - start]), dR, dR)
        add_rows(row_by_row(d_chunk), db_h)
        for t in range(stop - start):  # the input's share of n is not multiplied by r
            copy_columns(d_n[t], d_chunk[t], 0, H, 2 * H)
        add_input_gradients(d_chunk, x[start:stop], W, dx[start:stop], dW, db)


def gru_before_forward_sequence(
    steps: int,
    x: Array,
    W_t: Array,
    b: Array,
    R_rz_t: Array,
    R_n_t: Array,
    gates: Array,
    rhs: Array,
    hs: Array,
    product_rz: Array,
    product_n: Array,
) -> None:
    H, one, two = hs.shape[2], x.dtype.type(1), x.dtype.type(2)
    for start in range(0, len(x), steps):
        stop = min(start + steps, len(x))
        s = start if len(gates) == len(x) else 0
        chunk = gates[s : s + stop - start]
        multiply(row_by_row(x[start:stop]), W_t, row_by_row(chunk), b)
        for t in range(len(chunk)):
            a, before, h, rh = chunk[t], hs[start + t], hs[start + t + 1], rhs[min(s + t, len(rhs) - 1)]
            multiply(before, R_rz_t, product_rz, None)
            for row in range(len(a)):
                rz, of_rz, old, read = a[row], product_rz[row], before[row], rh[row]
                for j in range(2 * H):
                    rz[j] = sigmoid(rz[j] + of_rz[j])
                for j in range(H):
                    read[j] = rz[j] * old[j]
            multiply(rh, R_n_t, product_n, None)
            for row in range(len(a)):
                z, n, of_n, old, new = a[row, H:], a[row, 2 * H :], product_n[row], before[row], h[row]
                for j in range(H):
                    n_j = two * sigmoid(n[j] + of_n[j]) - one
                    n[j] = n_j
                    new[j] = n_j + z[j] * (old[j] - n_j)


def gru_before_backward_sequence(
    steps: int,
    gy: Array,
    x: Array,
    W: Array,
    R_rz: Array,
    R_n: Array,
    gates: Array,
    rhs: Array,
    hs: Array,
    product: Array,
    dh: Array,
    of_n: Array,
    d: Array,
    d_rzs: Array,
    d_ns: Array,
    norms: Array,
    dx: Array,
    dW: Array,
    dR_rz: Array,
    dR_n: Array,
    db: Array,
) -> None:
    H, one, of_columns = hs.shape[2], d.dtype.type(1), numpy.empty(hs.shape[2], d.dtype)
    for start in range((len(x) - 1) // steps * steps, -1, -steps):
        stop = min(start + steps, len(x))
        d_chunk, d_rz, d_n = d[: stop - start], d_rzs[: stop - start], d_ns[: stop - start]
        for t in range(len(d_chunk) - 1, -1, -1):
            k = start + t
            for b in range(len(dh)):
                z, n, old = gates[k, b, H : 2 * H], gates[k, b, 2 * H :], hs[k, b]
                later, out, through, to_z, to_n = dh[b], gy[k, b], product[b], d_rz[t, b, H:], d_n[t, b]
                for j in range(H):
                    total = later[j] + out[j] + through[j]
                    later[j] = total
                    to_n[j] = total * (one - z[j]) * (one - n[j] * n[j])
                    to_z[j] = total * (old[j] - n[j]) * z[j] * (one - z[j])
            if len(norms) > 0:
                norms[k] = norm(dh, of_columns)
            multiply(d_n[t], R_n, of_n, None)
            for b in range(len(dh)):
                r, z, old, later, through, to_r = gates[k, b], gates[k, b, H:], hs[k, b], dh[b], of_n[b], d_rz[t, b]
                for j in range(H):
                    to_r[j] = through[j] * old[j] * r[j] * (one - r[j])
                    later[j] = later[j] * z[j] + through[j] * r[j]
            multiply(d_rz[t], R_rz, product, None)
        for t in range(stop - start):
            copy_columns(d_rz[t], d_chunk[t], 0, 2 * H, 0)
            copy_columns(d_n[t], d_chunk[t], 0, H, 2 * H)
        multiply(row_by_row(d_rz).T, row_by_row(hs[start:stop]), dR_rz, dR_rz)
        multiply(row_by_row(d_n).T, row_by_row(rhs[start:stop]), dR_n, dR_n)
        add_input_gradients(d_chunk, x[start:stop], W, dx[start:stop], dW, db)


def rnn_forward_sequence(
    flags: Any, factors: Array, x: Array, W_t: Array, b: Array, R_t: Array, hs: Array, product: Array
) -> None:
    squashed, rectified = flags
    scale, centre, zero = factors[0], factors[1], factors.dtype.type(0)
    multiply(row_by_row(x), W_t, row_by_row(hs[1:]), b)
    for t in range(len(x)):
        multiply(hs[t], R_t, product, None)
        for row in range(hs.shape[1]):
            h, through = hs[t + 1, row], product[row]
            for j in range(hs.shape[2]):
                a = h[j] + through[j]
                if squashed is not None:
                    a = scale * sigmoid(a) + centre
                if rectified is not None:
                    a = max(a, zero)
                h[j] = a


def rnn_backward_sequence(
    steps: int,
    flags: Any,
    factors: Array,
    gy: Array,
    x: Array,
    W: Array,
    R: Array,
    hs: Array,
    product: Array,
    dh: Array,
    d: Array,
    norms: Array,
    dx: Array,
    dW: Array,
    dR: Array,
    db: Array,
) -> None:
    rectified, zero, of_columns = flags[1], factors.dtype.type(0), numpy.empty(hs.shape[2], d.dtype)
    constant, linear, square = factors[2], factors[3], factors[4]
    for start in range((len(x) - 1) // steps * steps, -1, -steps):
        stop = min(start + steps, len(x))
        d_chunk = d[: stop - start]
        for t in range(len(d_chunk) - 1, -1, -1):
            for b in range(d.shape[1]):
                h, out, through, total, d_row = hs[start + t + 1, b], gy[start + t, b], product[b], dh[b], d_chunk[t, b]
                for j in range(d.shape[2]):
                    slope = constant + h[j] * (linear + square * h[j])
                    if rectified is not None:
                        slope = slope if h[j] > zero else zero
                    total[j] = out[j] + through[j]
                    d_row[j] = total[j] * slope
            if len(norms) > 0:
                norms[start + t] = norm(dh, of_columns)
            multiply(d_chunk[t], R, product, None)
        add_input_gradients(d_chunk, x[start:stop], W, dx[start:stop], dW, db)
        multiply(row_by_row(d_chunk).T, row_by_row(hs[start:stop]), dR, dR)


def shares_of_gates(f: Array, i: Array, s: Array) -> None:
    """Of one row of minLSTM: f and i (H), before their sigmoids, become f / (f + i) and 1 - i, and s (H) 1 - f.

    All three are shares of powers of e that are at most 1, so that none is a quotient of two zeros.
    """
    zero = f.dtype.type(0)
    for j in range(len(f)):
        most = max(max(-f[j], -i[j]), zero)
        one, of_f, of_i = exponential(-most), exponential(-f[j] - most), exponential(-i[j] - most)
        f[j], i[j], s[j] = (one + of_i) / ((one + of_i) + (one + of_f)), of_i / (one + of_i), of_f / (one + of_f)


def minimal_forward_sequence(
    positive: Any, steps: int, x: Array, W_t: Any, b: Any, gates: Array, slopes: Any, hs: Array, lengths: Any, before: int
) -> None:
    T, H, one, half = len(hs) - 1, hs.shape[2], gates.dtype.type(1), gates.dtype.type(0.5)
    for start in range(0, T, steps):
        stop = min(start + steps, T)
        first = start if len(gates) == T else 0
        a = gates[first : first + stop - start]
        if W_t is not None:
            multiply(row_by_row(x[start:stop]), W_t, row_by_row(a), b)
        for t in range(len(a)):
            for row in range(a.shape[1]):
                z, n, old, h = a[t, row, :H], a[t, row, a.shape[2] - H :], hs[start + t, row], hs[start + t + 1, row]
                if lengths is not None and before + start + t >= lengths[row]:
                    for j in range(H):
                        h[j] = old[j]
                    continue
                if slopes is not None:
                    shares_of_gates(z, a[t, row, H : 2 * H], slopes[first + t, row])
                for j in range(H):
                    n_j = n[j]
                    if positive is not None:
                        squashed = sigmoid(n_j)
                        n_j = n_j + half if n_j >= 0 else squashed
                    n[j] = n_j
                    if slopes is not None:
                        h[j] = z[j] * old[j] + (one - z[j]) * n_j
                    else:
                        z_j = sigmoid(z[j])
                        z[j] = z_j
                        h[j] = (one - z_j) * old[j] + z_j * n_j


def minimal_backward_sequence(
    positive: Any,
    steps: int,
    gates: Array,
    slopes: Any,
    hs: Array,
    gy: Array,
    lengths: Any,
    before: int,
    dh: Array,
    total: Array,
    norms: Array,
    d: Array,
    x: Array,
    W: Any,
    dx: Array,
    dW: Array,
    db: Array,
) -> None:
    H, one, half, of_columns = hs.shape[2], d.dtype.type(1), d.dtype.type(0.5), numpy.empty(hs.shape[2], d.dtype)
    last = d.shape[2] - H
    for start in range((len(gy) - 1) // steps * steps, -1, -steps):
        stop = min(start + steps, len(gy))
        d_chunk = d[: stop - start]
        for t in range(stop - start - 1, -1, -1):
            k = start + t
            for row in range(d.shape[1]):
                z, n, old, out = gates[k, row, :H], gates[k, row, last:], hs[k, row], gy[k, row]
                d_z, d_n, later, whole = d_chunk[t, row, :H], d_chunk[t, row, last:], dh[row], total[row]
                if lengths is not None and before + k >= lengths[row]:
                    for j in range(d.shape[2]):
                        d_chunk[t, row, j] = 0
                    for j in range(H):
                        whole[j] = 0
                        later[j] += out[j]
                    continue
                for j in range(H):
                    n_j, dh_j = n[j], later[j] + out[j]
                    slope = one
                    if positive is not None:
                        slope = one if n_j >= half else n_j * (one - n_j)
                    if slopes is not None:
                        z_j, kept = one - z[j], z[j]
                    else:
                        z_j, kept = z[j], one - z[j]
                    d_n[j] = dh_j * z_j * slope
                    d_z[j] = dh_j * (n_j - old[j]) * z_j * kept
                    whole[j] = dh_j
                    later[j] = dh_j * kept
                if slopes is not None:
                    i, d_i, s = gates[k, row, H : 2 * H], d_chunk[t, row, H : 2 * H], slopes[k, row]
                    for j in range(H):
                        d_i[j] = d_z[j] * i[j]
                        d_z[j] = -d_z[j] * s[j]
            if len(norms) > 0:
                norms[k] = norm(total, of_columns)
        if W is not None:
            add_input_gradients(d_chunk, x[start:stop], W, dx[start:stop], dW, db)


def _kept(function: Callable[..., Any], options: dict[str, Any] = OPTIONS) -> Any:
    """`function` as machine code, compiled at its first call and kept for later processes where that can be."""
    try:
        kept = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # neither this file's folder nor the user's cache can be written
        return numba.njit(**options)(function)
    if function.__module__ != __name__:
        _made_of(kept, options)
    return kept


@functools.cache
def _plain_sources() -> str:
    """The text of the files whose plain functions are compiled here."""
    return "".join(Path(str(module.__file__)).read_text(encoding="utf-8") for module in (lstm_1997, rtrl, guessing))


def _made_of(kept: Any, options: dict[str, Any]) -> None:
    """Has what is kept of a function forgotten when one of the files that its code is of changes, or an option.

    Numba looks at the function's own file only.
    """
    made_of = hashlib.sha256(f"{_plain_sources()}{options}".encode()).hexdigest()
    index = kept._cache._cache_file
    index._source_stamp = (index._source_stamp, made_of)


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
            types = {kind for kind in kinds if isinstance(kind, torch.dtype) and kind.is_floating_point}
            if len(types) > 1:  # it would read and write numbers of another width
                raise ValueError(f"machine code takes numbers of one type, got {', '.join(sorted(map(str, types)))}")
            signature = tuple(numba.typeof(unwrapped(argument)) for argument in arguments)
            with counted_as_compiling():
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
for part in (
    multiply,
    multiply_by_columns,
    row_by_row,
    copy_columns,
    add_rows,
    add_input_gradients,
    norm,
    lstm_forward_step,
    lstm_output_gate,
    lstm_backward_step,
    lstm_backward_step_with_products,
    lstm_diagonals_of_chunk,
    gru_forward_step,
    gru_backward_step,
    shares_of_gates,
):
    register_jitable(**OPTIONS)(part)
lstm_forward, lstm_backward = Kernel(lstm_forward_step).of_chunk, Kernel(lstm_backward_step).of_chunk
gru_forward, gru_backward = Kernel(gru_forward_step).of_chunk, Kernel(gru_backward_step).of_chunk
lstm_diagonals = Kernel(lstm_diagonals_of_chunk)
minimal_forward, minimal_backward = Kernel(minimal_forward_sequence), Kernel(minimal_backward_sequence)
lstm_forward_whole, lstm_backward_whole = Kernel(lstm_forward_sequence), Kernel(lstm_backward_sequence)
gru_forward_whole, gru_backward_whole = Kernel(gru_forward_sequence), Kernel(gru_backward_sequence)
gru_before_forward_whole, gru_before_backward_whole = Kernel(gru_before_forward_sequence), Kernel(gru_before_backward_sequence)
rnn_forward_whole, rnn_backward_whole = Kernel(rnn_forward_sequence), Kernel(rnn_backward_sequence)

for of_1997 in (
    lstm_1997.sigmoid,
    lstm_1997.squashed,
    lstm_1997.forget,
    lstm_1997.hidden_units,
    lstm_1997.output_units,
    lstm_1997.cut_gradient,
    lstm_1997.apply,
    lstm_1997.move,
    lstm_1997.is_end,
    lstm_1997.begin_row,
    lstm_1997.new_work,
):
    register_jitable(**OPTIONS)(of_1997)
lstm_1997_rows, lstm_1997_read = _kept(lstm_1997.train_rows), _kept(lstm_1997.forward_rows)
lstm_1997_piece = _kept(lstm_1997.train_rows_of_piece)
for of_guesses in (
    guessing.put_in,
    guessing.put_matrix,
    guessing.put_vector,
    guessing.read_row,
    guessing.step_forward,
    guessing.errors_of,
):
    register_jitable(**AS_WRITTEN)(of_guesses)
guess_1997_rows = _kept(guessing.guess_rows, AS_WRITTEN)
for of_rtrl in (rtrl.read_step, rtrl.carry, rtrl.add_gradient, rtrl.begin_sensitivities):
    register_jitable(**OPTIONS)(of_rtrl)
rtrl_rows = _kept(rtrl.train_rtrl_rows)
