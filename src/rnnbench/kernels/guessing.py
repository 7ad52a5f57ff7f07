"""Random weight guessing with the LSTM of 1997: forward passes alone, new weights after each row that is wrong.

A guess is a vector of all weights, W, R, b, V, D and c in this order, row by row. The first guess is put in before the first
row; after a wrong row the next one is. The state goes on from call to call, so that the rows may come in any parts.

The forward pass is that of `lstm_1997`, (6) to (9). Large weights make it chaotic, and whether a row is right would then depend
on how sums are rounded: so these functions are compiled as they are written, no multiplication and addition as one, and count
the same rows in plain Python.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy

from .lstm_1997 import Array, NetworkForm, NetworkWeights, Sequences, sigmoid
from .recurrence import compiled_or_plain


class Guesses(NamedTuple):
    """Guesses, and how far they have come; `counts` and `error` are changed in place."""

    drawn: Array  # (K, number of weights) those from number `first` on
    first: int
    counts: Array  # (2,) int64: guesses put in so far; right rows in a row of the last of them, -1 once it was given up
    error: Array  # (1,) sum of the mean absolute errors of these rows

    @classmethod
    def none_yet(cls) -> tuple[Array, Array]:
        """`counts` and `error` before the first guess."""
        return numpy.array([0, -1]), numpy.zeros(1)


class Goal(NamedTuple):
    """When guessing ends: `window` rows in a row are right, and the mean absolute error of their outputs is below a bound."""

    window: int
    error_below: float
    tolerance: float  # a row is right where each output is less than this off, at every step that is scored


def guess_sequences(
    weights: NetworkWeights, form: NetworkForm, rows: Sequences, guesses: Guesses, goal: Goal
) -> tuple[int, float]:
    """Reads each of `rows` in turn, until they are at an end, `goal` is met, or all guesses are given up.

    A guess is given up after a wrong row, and where `goal.window` right rows have too large an error.
    Returns (rows read, sum of their squared errors).
    """
    read, total = compiled_or_plain("guess_1997_rows", guess_rows)(weights, form, rows, guesses, goal)
    return int(read), float(total)


def guess_rows(weights: NetworkWeights, form: NetworkForm, rows: Sequences, guesses: Guesses, goal: Goal) -> tuple[int, float]:
    """`guess_sequences`, in this process's Python or as machine code."""
    (H, _), (_, C), counts, total = weights.W.shape, weights.V.shape, guesses.counts, 0.0
    y, new, s = numpy.zeros(H), numpy.zeros(H), numpy.zeros(C)
    for n in range(len(rows.lengths)):
        if counts[1] < 0:
            place = counts[0] - guesses.first
            if place == len(guesses.drawn):
                return n, total
            put_in(weights, guesses.drawn[place])
            counts[0] += 1
            counts[1] = 0
            guesses.error[0] = 0.0
        worst, error, squares = read_row(weights, form, rows, n, y, new, s)
        total += squares
        guesses.error[0] += error
        counts[1] = counts[1] + 1 if worst < goal.tolerance else -1
        if counts[1] == goal.window:
            if guesses.error[0] < goal.error_below * goal.window:
                return n + 1, total
            counts[1] = -1
    return len(rows.lengths), total


def put_in(weights: NetworkWeights, guess: Array) -> None:
    """Makes `guess` the weights."""
    at = put_matrix(weights.W, guess, 0)
    at = put_matrix(weights.R, guess, at)
    at = put_vector(weights.b, guess, at)
    at = put_matrix(weights.V, guess, at)
    at = put_matrix(weights.D, guess, at)
    put_vector(weights.c, guess, at)


def put_matrix(matrix: Array, guess: Array, at: int) -> int:
    """Fills `matrix` from place `at` of `guess` on; returns the place after it."""
    for u in range(matrix.shape[0]):
        for m in range(matrix.shape[1]):
            matrix[u, m] = guess[at + u * matrix.shape[1] + m]
    return at + matrix.shape[0] * matrix.shape[1]


def put_vector(vector: Array, guess: Array, at: int) -> int:
    """`put_matrix` of a vector."""
    for u in range(len(vector)):
        vector[u] = guess[at + u]
    return at + len(vector)


def read_row(
    weights: NetworkWeights, form: NetworkForm, rows: Sequences, n: int, y: Array, new: Array, s: Array
) -> tuple[float, float, float]:
    """Of the outputs at the scored steps of row `n`: the largest error and the mean of them, without sign, and the sum of their
    squares."""
    once, worst, error, squares, answers = rows.scored.shape[1] < rows.places.shape[1], 0.0, 0.0, 0.0, 0
    for u in range(len(y)):
        y[u] = form.begin
    for v in range(len(s)):
        s[v] = 0.0
    for t in range(rows.lengths[n]):
        step_forward(weights, form, rows, n, t, y, new, s)
        answer = 0 if once else t
        if rows.scored[n, answer] and (not once or t == rows.lengths[n] - 1):
            off = errors_of(weights, rows, n, t, answer, y)
            worst, error, squares, answers = max(worst, off[0]), error + off[1], squares + off[2], answers + 1
    return worst, error / max(answers * weights.V.shape[0], 1), squares


def step_forward(
    weights: NetworkWeights, form: NetworkForm, rows: Sequences, n: int, t: int, y: Array, new: Array, s: Array
) -> None:
    """A step of row `n`: y (H,) are the hidden activations of the step before, then those of this one; s (C,) the states."""
    W, R, b, H, C = weights.W, weights.R, weights.b, len(y), len(s)
    unbiased, blocks = H - len(b), C // form.block
    for u in range(H):
        net = b[u - unbiased] if u >= unbiased else 0.0
        for j in range(rows.places.shape[2]):
            net += W[u, rows.places[n, t, j]] * rows.values[n, t, j]
        for m in range(R.shape[1]):
            net += R[u, m] * y[m]
        new[u] = sigmoid(net)
    for v in range(C):
        if form.forget_gate:
            s[v] *= new[H - blocks + v // form.block]
        s[v] += new[C + v // form.block] * (form.g[0] * new[v] + form.g[1])
        y[v] = form.h[0] * sigmoid(s[v]) + form.h[1] if form.h[0] != 0.0 else s[v]
        if form.output_gate:
            y[v] *= new[C + blocks + v // form.block]
    for u in range(C, H):
        y[u] = new[u]


def errors_of(weights: NetworkWeights, rows: Sequences, n: int, t: int, answer: int, y: Array) -> tuple[float, float, float]:
    """Of the outputs at a step: the largest error and the sum of them, without sign, and the sum of their squares."""
    V, D, c, kind, given = weights.V, weights.D, weights.c, rows.classes[n, answer], n % len(rows.targets)
    worst, error, squares = 0.0, 0.0, 0.0
    for k in range(V.shape[0]):
        net = c[k] if len(c) else 0.0
        for v in range(V.shape[1]):
            net += V[k, v] * y[v]
        if D.shape[1]:
            for j in range(rows.places.shape[2]):
                net += D[k, rows.places[n, t, j]] * rows.values[n, t, j]
        target = (1.0 if k == kind else 0.0) if kind >= 0 else rows.targets[given, answer, k]
        off = target - sigmoid(net)
        worst, error, squares = max(worst, abs(off)), error + abs(off), squares + off * off
    return worst, error, squares
