"""A recurrent network of logistic units, trained row by row with its whole gradient: real-time recurrent learning.

    net_k(t) = sum_m W_km x_m(t) + sum_l R_kl y_l(t-1)     y_k(t) = f(net_k)           k: hidden units, without biases
    dy_k(t)/dW_um = f'(net_k) (x_m(t) [k = u] + sum_l R_kl dy_l(t-1)/dW_um)
    dy_k(t)/dR_um = f'(net_k) (y_m(t-1) [k = u] + sum_l R_kl dy_l(t-1)/dR_um)

The sensitivities dy/dW and dy/dR are carried forward from step to step, H³ + H² I of them, so that nothing of the past is
kept and nothing of the gradient is cut. They begin at 0, as the activations do. Outputs, their errors, and when a row's updates
are made are those of `lstm_1997`, as are the names of what is read and changed.

Source: Williams & Zipser 1989, A learning algorithm for continually running fully recurrent neural networks.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy

from .lstm_1997 import Array, NetworkWeights, Recent, Rule, Sequences, apply, is_end, output_units, sigmoid
from .recurrence import compiled_or_plain


class RTRLForm(NamedTuple):
    """How the network is trained."""

    each_step: bool = False  # weights change after each step instead of each row
    step_decay: float = 1.0  # factor on the rate after each step of a row


class Sensitivities(NamedTuple):
    """What a row needs while it is read."""

    y: Array  # (H,) hidden activations of the step before
    new: Array  # (H,) and of this one
    back: Array  # (H,) errors at them
    old: Array  # (H,) room
    to_W: Array  # (H, H, I) of unit k to weight (u, m)
    to_R: Array  # (H, H, H)


def train_rtrl(
    weights: NetworkWeights, form: RTRLForm, rows: Sequences, rate: float, recent: Recent, rule: Rule
) -> tuple[int, float]:
    """As `lstm_1997.train_sequences`, of a network whose hidden units are logistic and see each other."""
    done, total = compiled_or_plain("rtrl_rows", train_rtrl_rows)(weights, form, rows, rate, recent, rule)
    return int(done), float(total)


def read_step(weights: NetworkWeights, rows: Sequences, n: int, t: int, work: Sensitivities) -> None:
    """The hidden units of a step, and how they depend on each weight."""
    W, R, H, entries = weights.W, weights.R, weights.W.shape[0], rows.places.shape[2]
    for k in range(H):
        net = 0.0
        for j in range(entries):
            net += W[k, rows.places[n, t, j]] * rows.values[n, t, j]
        for m in range(H):
            net += R[k, m] * work.y[m]
        work.new[k] = sigmoid(net)
    carry(R, work.to_W, work)
    carry(R, work.to_R, work)
    for u in range(H):
        slope = work.new[u] * (1.0 - work.new[u])
        for j in range(entries):
            work.to_W[u, u, rows.places[n, t, j]] += slope * rows.values[n, t, j]
        for m in range(H):
            work.to_R[u, u, m] += slope * work.y[m]


def carry(R: Array, to: Array, work: Sensitivities) -> None:
    """What sensitivities become through the recurrent weights, in place."""
    H = to.shape[0]
    for u in range(H):
        for m in range(to.shape[2]):
            for k in range(H):
                work.old[k] = to[k, u, m]
            for k in range(H):
                total = 0.0
                for i in range(H):
                    total += R[k, i] * work.old[i]
                to[k, u, m] = work.new[k] * (1.0 - work.new[k]) * total


def add_gradient(to: Array, change: Array, work: Sensitivities) -> None:
    """Adds what the errors at the hidden units ask of the weights with the sensitivities `to`."""
    for k in range(to.shape[0]):
        for u in range(to.shape[1]):
            for m in range(to.shape[2]):
                change[u, m] += work.back[k] * to[k, u, m]


def begin_sensitivities(work: Sensitivities) -> None:
    for k in range(len(work.y)):
        work.y[k] = 0.0
        for u in range(len(work.y)):
            for m in range(work.to_W.shape[2]):
                work.to_W[k, u, m] = 0.0
            for m in range(work.to_R.shape[2]):
                work.to_R[k, u, m] = 0.0


def train_rtrl_rows(
    weights: NetworkWeights, form: RTRLForm, rows: Sequences, rate: float, recent: Recent, rule: Rule
) -> tuple[int, float]:
    """`train_rtrl`, in this process's Python or as machine code."""
    (H, inputs), outputs = weights.W.shape, weights.V.shape[0]
    change = NetworkWeights(
        numpy.zeros((H, inputs)),
        numpy.zeros((H, H)),
        numpy.zeros(0),
        numpy.zeros((outputs, H)),
        numpy.zeros(weights.D.shape),
        numpy.zeros(weights.c.shape),
    )
    units = numpy.zeros((4, H))
    work = Sensitivities(units[0], units[1], units[2], units[3], numpy.zeros((H, H, inputs)), numpy.zeros((H, H, H)))
    once, total = rows.scored.shape[1] < rows.places.shape[1], 0.0
    for n in range(len(rows.lengths)):
        begin_sensitivities(work)
        worst, error, answers, now = 0.0, 0.0, 0, rate
        for t in range(rows.lengths[n]):
            read_step(weights, rows, n, t, work)
            answer = 0 if once else t
            if rows.scored[n, answer] and (not once or t == rows.lengths[n] - 1):
                off = output_units(weights, change, rows, n, t, work)
                worst, error, total, answers = max(worst, off[0]), error + off[1], total + off[2], answers + 1
                add_gradient(work.to_W, change.W, work)
                add_gradient(work.to_R, change.R, work)
            if form.each_step or t == rows.lengths[n] - 1:
                apply(weights, change, now)
            now *= form.step_decay
            for k in range(H):
                work.y[k] = work.new[k]
        if is_end(recent, rule, error / max(answers * outputs, 1), worst >= rule.tolerance):
            return n + 1, total
    return len(rows.lengths), total
