"""Timing: measure how long ago something was, or do something at the right moment.

    measure   inputs   0 0 1 0 0 0 1 0 0 0 1      (period = 3: a spike 3 + I steps after the one before, I = 0, 1, 1)
              targets  - - 0 - - - 1 - - - 1      I, asked for at each spike
    spikes    inputs   0 0 1 0 0 0 1 0 0 0 0      I = 0 is fed at the first step, then at each spike the I of the next
              targets  0 0 1 0 0 0 1 0 0 0 1      the network spikes by itself, 3 + I steps after its last spike
    cos       inputs   0 0 1 0 0 0 0 0 0 0        one spike, after a wait of less than a period, starts the function
              targets  - - f(0) f(1) f(2) ...     f(t) = (1 - cos(2 pi t / period)) / 2; or triangle, rectangle

A row holds `spikes` spikes or periods and starts from nothing; `spikes=1` is the NMSD of 2002, `spikes=100` its MSD. I is
drawn from 0 to `delays`. In 2002 the period is 10 to 50 (10 and 25 for functions); the functions have no input there, which
leaves one single sequence: here the start varies. For spikes, input and target of measure change places; how exactly, 2002
does not say: here I is fed as a real number at the spike before. The triangle rises to 1 over half a period and falls back, the
rectangle is 1 in the second half. A row is correct where no answer is off by .49 or more, .3 for the functions.

Floor: the variance of the target, the error of always answering its mean: delays (delays + 2) / 12 (measure); p (1 - p) with
p = 1 / (period + delays / 2) (spikes); that of the function over a period (near 1/8 cos, 1/12 triangle, 1/4 rectangle).

Best: 0; in 2002 peephole LSTMs measure 49 from 50 steps, and generate cos of period 25 at a root mean squared error of .086.

Source: Gers, Schraudolph & Schmidhuber 2002, JMLR 3.

Group: memory probes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy
import torch
from torch import Tensor

from rnnbench.options import Needs, Positive, Range, Share

from .task import REGRESSION, Batch, Reals, Sums, Task, Totals


class Timing(Task):
    version = 1
    structure = "N->N"
    causal = True
    headline = "mse"
    direction = "min"

    scoring = REGRESSION
    inputs = Reals(1)
    targets = Reals(1)

    def __init__(
        self,
        form: Literal["measure", "spikes", "cos", "triangle", "rectangle"] = "measure",  # what is to be predicted; see above
        period: Annotated[int, Range(2)] = 10,  # steps between spikes, or of one period of the function (F of 2002)
        delays: Annotated[Positive, Needs("form", values=("measure", "spikes"))] = 1,  # largest delay of a spike, in steps
        spikes: Positive = 10,  # spikes, or periods of the function, per sequence
        sequences: Positive = 1000,  # sequences in the validation set, and in the test set
        solved_above: Share = 0.99,  # share of sequences without an error that counts as solved
    ):
        self.form, self.period, self.delays, self.spikes = form, period, delays, spikes
        self.sequences, self.solved_above = sequences, solved_above
        self.tolerance = 0.49 if form in ("measure", "spikes") else 0.3
        phase = numpy.arange(period) / period
        self.function = {
            "cos": (1 - numpy.cos(2 * numpy.pi * phase)) / 2,
            "triangle": 1 - abs(2 * phase - 1),
            "rectangle": (phase > 0.5) * 1.0,
        }.get(form, numpy.zeros(period))
        rate = 1 / (period + delays / 2)
        self.mean = {"measure": delays / 2, "spikes": rate}.get(form, self.function.mean())
        self.variance = {"measure": delays * (delays + 2) / 12, "spikes": rate * (1 - rate)}.get(form, self.function.var())

    @property
    def floor(self) -> float:
        return float(self.variance)

    def solved(self, scores: Mapping[str, float]) -> bool:
        return scores["correct"] > self.solved_above

    def draw(self, random: numpy.random.Generator, rows: int) -> Batch:
        if self.form in ("measure", "spikes"):
            late = random.integers(0, self.delays + 1, (rows, self.spikes))
            at = (self.period + late).cumsum(1) - 1  # the step of each spike
            lengths = at[:, -1] + 1
            inputs, targets, scored = numpy.zeros((3, rows, lengths.max()))
            if self.form == "measure":
                numpy.put_along_axis(inputs, at, 1, 1)
                numpy.put_along_axis(targets, at, late, 1)
                numpy.put_along_axis(scored, at, 1, 1)
            else:
                inputs[:, 0] = late[:, 0]
                numpy.put_along_axis(inputs, at[:, :-1], late[:, 1:], 1)
                numpy.put_along_axis(targets, at, 1, 1)
                scored = numpy.arange(lengths.max()) < lengths[:, None]
        else:
            begin = random.integers(0, self.period, rows)
            lengths = begin + self.spikes * self.period
            since = numpy.arange(lengths.max()) - begin[:, None]
            scored = (since >= 0) & (since < self.spikes * self.period)
            inputs, targets = since == 0, numpy.where(scored, self.function[since % self.period], 0)
        return Batch(
            torch.from_numpy(inputs).float().unsqueeze(-1),
            torch.from_numpy(targets).float().unsqueeze(-1),
            scored=torch.from_numpy(scored).bool(),
            lengths=torch.from_numpy(lengths),
            fresh=torch.ones(rows, dtype=torch.bool),
        )

    def score(self, outputs: Tensor, batch: Batch) -> Sums:
        near = (outputs - batch.targets).abs().squeeze(-1) < self.tolerance
        asked = batch.scored.any(1)
        right = (near | ~batch.scored).all(1) & asked
        return super().score(outputs, batch) | {"right": right.sum().double(), "rows": asked.sum().double()}

    def finish(self, sums: Totals) -> dict[str, float]:
        return super().finish(sums) | {"correct": sums["right"] / sums["rows"]}

    def floor_guess(self, batch: Batch) -> Tensor:
        return torch.full_like(batch.targets, float(self.mean))
