"""The LSTM of 1997, trained row by row: forward pass, cut gradients and update of many rows in one call.

    net_u(t) = sum_m W_um x_m(t) + sum_m R_um y_m(t-1) + b_u           u: cells, input gates, output gates, forget gates
    y_in = f(net_in)   y_out = f(net_out)   s_v(t) = s_v(t-1) + y_in g(net_v)   y_v = y_out h(s_v)           (6) to (9)
    y_k = f(sum_v V_kv y_v + sum_m D_km x_m + c_k)                     at the steps that are scored

Of the error (sum over k) 1/2 (target_k - y_k)^2, cut where hidden units re-enter (equations by their numbers in the paper):

    e_k = f'(net_k) (target_k - y_k)                                   (19)
    e_out = f'(net_out) sum_v h(s_v) sum_k V_kv e_k                    (21)
    e_s = y_out h'(s) sum_k V_kv e_k                                   (23)
    P_v,m += g(net_v) f'(net_in) y_m    weights of the input gate: sum_v e_s P_v,m                           (25), (26)
    Q_v,m += g'(net_v) y_in y_m         weights of the cell: e_s Q_v,m                                       (27), (28)

With forget gates (2000), y_f = f(net_f), the state is s_v(t) = y_f s_v(t-1) + y_in g(net_v), and the traces fade with it:

    F_v,m <- y_f F_v,m + s_v(t-1) f'(net_f) y_m     weights of the forget gate: sum_v e_s F_v,m;     P <- y_f P + ..., Q too

A row's updates are added up over its steps and made at its end. `train_piece` makes them at each step, and ends at the first
wrong prediction; its rows may go on from one another. f is logistic; g and h are given as (span, low), the
function span * f(x) + low, or the identity where span is 0. Inputs are sparse: at each step `entries` places, with values.

`forward_rows` is the forward pass alone, of an evaluation. The functions are plain Python; `compiled` makes machine code of
them where Numba is, 30 microseconds for a row of 105 steps.

Source: Hochreiter & Schmidhuber 1997, Long short-term memory, appendix A; Gers, Schmidhuber & Cummins 2000, Learning to forget.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

import numpy

from .recurrence import compiled_or_plain

Array = numpy.ndarray


class NetworkWeights(NamedTuple):
    """The weights of a network, float64 and contiguous; changed in place. I inputs, C cells, H hidden units, K outputs."""

    W: Array  # (H, I)
    R: Array  # (H, H); (H, C) where they see cells and no gates, (0, 0) where they see inputs only
    b: Array  # (N,) of the last N hidden units, the others have none
    V: Array  # (K, C)
    D: Array  # (K, I); (K, 0) where outputs see cells only
    c: Array  # (K,), or (0,)


class NetworkForm(NamedTuple):
    """What the network computes, besides its weights."""

    block: int  # cells of a block
    output_gate: bool
    g: tuple[float, float]  # (span, low)
    h: tuple[float, float]
    begin: float  # activation of all hidden units before the first step
    each_step: bool = False  # weights change after each step instead of each row
    forget_gate: bool = False
    step_decay: float = 1.0  # factor on the rate after each step; a row, or a stream of them, begins with the whole rate


class Sequences(NamedTuple):
    """N rows of at most T steps; S = T, or 1 where the last step alone is answered."""

    places: Array  # (N, T, entries) int64: which inputs are not zero
    values: Array  # (N, T, entries)
    classes: Array  # (N, S) int64: the output that should be one; -1 where `targets` count
    targets: Array  # (N, S, K); (1, S, K) where none counts
    scored: Array  # (N, S) bool
    lengths: Array  # (N,) int64


class Recent(NamedTuple):
    """The last rows that were trained on, in a ring; changed in place."""

    errors: Array  # (window,) mean |target - output| of each
    wrong: Array  # (window,) bool: an output was off by the tolerance or more
    sums: Array  # (3,) rows so far, wrong ones in the ring, sum of the errors in the ring

    @classmethod
    def empty(cls, window: int) -> Recent:
        return cls(numpy.zeros(window), numpy.zeros(window, bool), numpy.zeros(3))


class Rule(NamedTuple):
    """When training ends: of the last `window` rows at most so many are wrong, and the mean error is below a bound."""

    most_wrong: int
    error_below: float
    tolerance: float


class Work(NamedTuple):
    """What a row needs while it is read. Traces are over inputs, hidden units and the constant 1."""

    y: Array  # (H,) hidden activations of the step before
    new: Array  # (H,) and of this one
    s: Array  # (C,) states
    hs: Array  # (C,) h of them
    slope: Array  # (C,) dy_v/ds_v
    P: Array  # (C, I) traces of input gates
    P_seen: Array  # (C, H) or (C, 0)
    P_one: Array  # (C,)
    Q: Array  # (C, I) traces of cells
    Q_seen: Array
    Q_one: Array
    F: Array  # (C, I) traces of forget gates; no row without these
    F_seen: Array
    F_one: Array
    back: Array  # (C,) errors at the cells


class AtOutputs(Protocol):
    """What the outputs see of the hidden units, and leave for them."""

    @property
    def new(self) -> Array: ...
    @property
    def back(self) -> Array: ...


def train_sequences(
    weights: NetworkWeights, form: NetworkForm, rows: Sequences, rate: float, recent: Recent, rule: Rule
) -> tuple[int, float]:
    """Trains on each of `rows` in turn, until they are at an end or `rule` holds.

    Returns (rows trained on, sum of their squared errors). `rule` is looked at after each row; it holds only where the ring of
    `recent` is full, and never where the ring has no place.
    """
    done, total = compiled_or_plain("lstm_1997_rows", train_rows)(weights, form, rows, rate, recent, rule)
    return int(done), float(total)


def sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-min(max(x, -700.0), 700.0)))  # e^700 is a number


def forward_rows(net: Array, R: Array, form: NetworkForm, lengths: Array, y: Array, s: Array, gates: Array, ys: Array) -> None:
    """The forward pass alone, (6) to (9), of what the inputs and biases give, net (T, B, H).

    y (B, C), s (B, C) and the gates (B, H - C) begin as the state that the rows start from and end as that after `lengths`
    steps; ys (T, B, C) gets the activations of the cells at these steps. R is (H, H), (H, C), or (H, 0).
    """
    H, C, seen = net.shape[2], y.shape[1], R.shape[1]
    new, blocks = numpy.zeros(H), C // form.block
    for n in range(len(lengths)):
        for t in range(lengths[n]):
            for u in range(H):
                total = net[t, n, u]
                for m in range(seen):
                    total += R[u, m] * (y[n, m] if m < C else gates[n, m - C])
                new[u] = total if u < C else sigmoid(total)
            for u in range(C, H):
                gates[n, u - C] = new[u]
            for v in range(C):
                if form.forget_gate:
                    s[n, v] *= new[H - blocks + v // form.block]
                s[n, v] += new[C + v // form.block] * squashed(new[v], form.g)
                y[n, v] = squashed(s[n, v], form.h)
                if form.output_gate:
                    y[n, v] *= new[C + blocks + v // form.block]
                ys[t, n, v] = y[n, v]


def squashed(x: float, how: tuple[float, float]) -> float:
    """g or h of x."""
    return how[0] * sigmoid(x) + how[1] if how[0] != 0.0 else x


def hidden_units(weights: NetworkWeights, form: NetworkForm, rows: Sequences, n: int, t: int, work: Work) -> None:
    """Net inputs, gates, states and cells of a step, (6) to (9), and the traces, (25) and (27)."""
    W, R, b = weights.W, weights.R, weights.b
    H, C, unbiased = W.shape[0], weights.V.shape[1], W.shape[0] - len(b)
    blocks, entries, new, y = C // form.block, rows.places.shape[2], work.new, work.y
    for u in range(H):
        net = b[u - unbiased] if u >= unbiased else 0.0
        for j in range(entries):
            net += W[u, rows.places[n, t, j]] * rows.values[n, t, j]
        for m in range(R.shape[1]):
            net += R[u, m] * y[m]
        new[u] = net if u < C else sigmoid(net)
    if form.forget_gate:
        forget(form, rows, n, t, work)
    for v in range(C):
        y_in = new[C + v // form.block]
        y_out = new[C + blocks + v // form.block] if form.output_gate else 1.0
        f = sigmoid(new[v])
        g = form.g[0] * f + form.g[1]
        work.s[v] += y_in * g
        to_p, to_q = g * y_in * (1.0 - y_in), form.g[0] * f * (1.0 - f) * y_in
        for j in range(entries):
            work.P[v, rows.places[n, t, j]] += to_p * rows.values[n, t, j]
            work.Q[v, rows.places[n, t, j]] += to_q * rows.values[n, t, j]
        for m in range(R.shape[1]):
            work.P_seen[v, m] += to_p * y[m]
            work.Q_seen[v, m] += to_q * y[m]
        work.P_one[v] += to_p
        work.Q_one[v] += to_q
        if form.h[0] == 0.0:
            work.hs[v], work.slope[v] = work.s[v], y_out
        else:
            f = sigmoid(work.s[v])
            work.hs[v], work.slope[v] = form.h[0] * f + form.h[1], y_out * form.h[0] * f * (1.0 - f)
        new[v] = y_out * work.hs[v]


def forget(form: NetworkForm, rows: Sequences, n: int, t: int, work: Work) -> None:
    """States and traces of cells fade by their forget gates; the gates' own traces grow by what these act on."""
    first = len(work.new) - len(work.s) // form.block
    for v in range(len(work.s)):
        y_f = work.new[first + v // form.block]
        to_f = work.s[v] * y_f * (1.0 - y_f)
        work.s[v] *= y_f
        for m in range(work.P.shape[1]):
            work.P[v, m] *= y_f
            work.Q[v, m] *= y_f
            work.F[v, m] *= y_f
        for j in range(rows.places.shape[2]):
            work.F[v, rows.places[n, t, j]] += to_f * rows.values[n, t, j]
        for m in range(work.P_seen.shape[1]):
            work.P_seen[v, m] *= y_f
            work.Q_seen[v, m] *= y_f
            work.F_seen[v, m] = y_f * work.F_seen[v, m] + to_f * work.y[m]
        work.P_one[v] *= y_f
        work.Q_one[v] *= y_f
        work.F_one[v] = y_f * work.F_one[v] + to_f


def output_units(
    weights: NetworkWeights, change: NetworkWeights, rows: Sequences, n: int, t: int, work: AtOutputs
) -> tuple[float, float, float]:
    """Outputs, their errors (19), and what these ask of the output weights and of the cells.

    Returns (the largest error, the sum of the
    errors, the sum of their squares), without sign.
    """
    V, D, c, entries = weights.V, weights.D, weights.c, rows.places.shape[2]
    answer = t if rows.scored.shape[1] == rows.places.shape[1] else 0
    kind, given = rows.classes[n, answer], n % len(rows.targets)
    worst, error, square = 0.0, 0.0, 0.0
    for v in range(V.shape[1]):
        work.back[v] = 0.0
    for k in range(V.shape[0]):
        net = c[k] if len(c) else 0.0
        for v in range(V.shape[1]):
            net += V[k, v] * work.new[v]
        if D.shape[1]:
            for j in range(entries):
                net += D[k, rows.places[n, t, j]] * rows.values[n, t, j]
        f = sigmoid(net)
        off = ((1.0 if k == kind else 0.0) if kind >= 0 else rows.targets[given, answer, k]) - f
        worst, error, square = max(worst, abs(off)), error + abs(off), square + off * off
        e = f * (1.0 - f) * off
        for v in range(V.shape[1]):
            work.back[v] += V[k, v] * e
            change.V[k, v] += e * work.new[v]
        if D.shape[1]:
            for j in range(entries):
                change.D[k, rows.places[n, t, j]] += e * rows.values[n, t, j]
        if len(c):
            change.c[k] += e
    return worst, error, square


def cut_gradient(form: NetworkForm, change: NetworkWeights, rows: Sequences, n: int, t: int, work: Work) -> None:
    """What the errors at the cells ask of the weights of gates, (21) and (26), and cells, (23) and (28)."""
    C, seen, block, entries = len(work.s), work.P_seen.shape[1], form.block, rows.places.shape[2]
    if form.output_gate:
        for q in range(C // block):
            u, e = C + C // block + q, 0.0
            for v in range(q * block, (q + 1) * block):
                e += work.hs[v] * work.back[v]
            e *= work.new[u] * (1.0 - work.new[u])
            for j in range(entries):
                change.W[u, rows.places[n, t, j]] += e * rows.values[n, t, j]
            for m in range(seen):
                change.R[u, m] += e * work.y[m]
            change.b[u] += e
    for v in range(C):
        e, u = work.slope[v] * work.back[v], C + v // block
        for m in range(work.P.shape[1]):
            change.W[v, m] += e * work.Q[v, m]
            change.W[u, m] += e * work.P[v, m]
        for m in range(seen):
            change.R[v, m] += e * work.Q_seen[v, m]
            change.R[u, m] += e * work.P_seen[v, m]
        change.b[v] += e * work.Q_one[v]
        change.b[u] += e * work.P_one[v]
        if form.forget_gate:
            u = len(change.b) - C // block + v // block
            for m in range(work.F.shape[1]):
                change.W[u, m] += e * work.F[v, m]
            for m in range(seen):
                change.R[u, m] += e * work.F_seen[v, m]
            change.b[u] += e * work.F_one[v]


def apply(weights: NetworkWeights, change: NetworkWeights, rate: float) -> None:
    """(22): the weights move by `rate` times `change`, which is then zero."""
    unbiased = len(change.b) - len(weights.b)
    move(weights.W, change.W, rate)
    move(weights.R, change.R, rate)
    move(weights.V, change.V, rate)
    move(weights.D, change.D, rate)
    for u in range(len(change.b)):
        if u >= unbiased:
            weights.b[u - unbiased] += rate * change.b[u]
        change.b[u] = 0.0
    for k in range(len(weights.c)):
        weights.c[k] += rate * change.c[k]
        change.c[k] = 0.0


def move(weight: Array, change: Array, rate: float) -> None:
    numbers, changes = weight.reshape(-1), change.reshape(-1)  # in one loop: rows are short
    for at in range(len(numbers)):
        numbers[at] += rate * changes[at]
        changes[at] = 0.0


def is_end(recent: Recent, rule: Rule, error: float, is_wrong: bool) -> bool:
    """Whether `rule` holds after a row with this mean error."""
    window, count = len(recent.errors), recent.sums
    if window == 0:
        return False
    at = int(count[0]) % window
    count[1] += (1.0 if is_wrong else 0.0) - (1.0 if recent.wrong[at] else 0.0)
    count[2] += error - recent.errors[at]
    recent.errors[at], recent.wrong[at] = error, is_wrong
    count[0] += 1.0
    return count[0] >= window and count[1] <= rule.most_wrong and count[2] < rule.error_below * window


def begin_row(work: Work, begin: float) -> None:
    for u in range(len(work.y)):
        work.y[u] = begin
    for v in range(len(work.s)):
        work.s[v], work.P_one[v], work.Q_one[v] = 0.0, 0.0, 0.0
        for m in range(work.P.shape[1]):
            work.P[v, m], work.Q[v, m] = 0.0, 0.0
        for m in range(work.P_seen.shape[1]):
            work.P_seen[v, m], work.Q_seen[v, m] = 0.0, 0.0
    for v in range(len(work.F_one)):
        work.F_one[v] = 0.0
        for m in range(work.F.shape[1]):
            work.F[v, m] = 0.0
        for m in range(work.F_seen.shape[1]):
            work.F_seen[v, m] = 0.0


def new_work(weights: NetworkWeights, form: NetworkForm) -> tuple[NetworkWeights, Work]:
    """(room for what a row asks of the weights, room for reading it), all zero."""
    (H, inputs), (outputs, C), seen = weights.W.shape, weights.V.shape, weights.R.shape[1]
    change = NetworkWeights(
        numpy.zeros((H, inputs)),
        numpy.zeros(weights.R.shape),
        numpy.zeros(H),
        numpy.zeros((outputs, C)),
        numpy.zeros(weights.D.shape),
        numpy.zeros(weights.c.shape),
    )
    units, cells, forgetting = numpy.zeros((2, H)), numpy.zeros((6, C)), C if form.forget_gate else 0
    over_inputs, over_seen = numpy.zeros((2, C, inputs)), numpy.zeros((2, C, seen))
    work = Work(
        *(units[0], units[1], cells[0], cells[1], cells[2]),
        *(over_inputs[0], over_seen[0], cells[3]),
        *(over_inputs[1], over_seen[1], cells[4]),
        *(numpy.zeros((forgetting, inputs)), numpy.zeros((forgetting, seen)), numpy.zeros(forgetting)),
        cells[5],
    )
    return change, work


def train_rows(
    weights: NetworkWeights, form: NetworkForm, rows: Sequences, rate: float, recent: Recent, rule: Rule
) -> tuple[int, float]:
    """`train_sequences`, in this process's Python or as machine code."""
    H, outputs = len(weights.W), len(weights.V)
    change, work = new_work(weights, form)
    once, total = rows.scored.shape[1] < rows.places.shape[1], 0.0
    for n in range(len(rows.lengths)):
        begin_row(work, form.begin)
        worst, error, answers, now = 0.0, 0.0, 0, rate
        for t in range(rows.lengths[n]):
            hidden_units(weights, form, rows, n, t, work)
            answer = 0 if once else t
            if rows.scored[n, answer] and (not once or t == rows.lengths[n] - 1):
                off = output_units(weights, change, rows, n, t, work)
                worst, error, total, answers = max(worst, off[0]), error + off[1], total + off[2], answers + 1
                cut_gradient(form, change, rows, n, t, work)
            if form.each_step or t == rows.lengths[n] - 1:
                apply(weights, change, now)
            now *= form.step_decay
            for u in range(H):
                work.y[u] = work.new[u]
        if is_end(recent, rule, error / max(answers * outputs, 1), worst >= rule.tolerance):
            return n + 1, total
    return len(rows.lengths), total


class StreamWork(NamedTuple):
    """What a stream is read with, piece after piece."""

    change: NetworkWeights
    work: Work
    rate: Array  # (1,) of the next update

    @classmethod
    def begin(cls, weights: NetworkWeights, form: NetworkForm, rate: float) -> StreamWork:
        return cls(*new_work(weights, form), numpy.array([rate]))


def train_piece(
    weights: NetworkWeights, form: NetworkForm, rows: Sequences, fresh: Array, tolerance: float, stream: StreamWork
) -> tuple[int, float, bool]:
    """Trains on the rows of a piece of a stream in turn, up to the first step that has an output off by `tolerance` or more.

    The weights change after each step, that one included. Rows that are `fresh` (N,) begin with no state and no traces, the
    others with those of the row before. Returns (steps read, sum of their squared errors, whether the last one was wrong).
    """
    found = compiled_or_plain("lstm_1997_piece", train_rows_of_piece)(weights, form, rows, fresh, tolerance, stream)
    return int(found[0]), float(found[1]), bool(found[2])


def train_rows_of_piece(
    weights: NetworkWeights, form: NetworkForm, rows: Sequences, fresh: Array, tolerance: float, stream: StreamWork
) -> tuple[int, float, bool]:
    """`train_piece`, in this process's Python or as machine code."""
    steps, total, work = 0, 0.0, stream.work
    for n in range(len(rows.lengths)):
        if fresh[n]:
            begin_row(work, form.begin)
        for t in range(rows.lengths[n]):
            hidden_units(weights, form, rows, n, t, work)
            off = output_units(weights, stream.change, rows, n, t, work)
            cut_gradient(form, stream.change, rows, n, t, work)
            apply(weights, stream.change, stream.rate[0])
            stream.rate[0] *= form.step_decay
            for u in range(len(work.y)):
                work.y[u] = work.new[u]
            steps, total = steps + 1, total + off[2]
            if not off[0] < tolerance:
                return steps, total, True
    return steps, total, False
