"""Multiplication: the product of the two marked numbers among many.

    numbers  .50 .80 .05 .40 .47 .93 .12 .60 .33 .71
    marks    -1   1   0   1   0   0   0   0   0  -1      (length = 10, form = hochreiter)
    target                                       .32

Each step feeds (number, mark), numbers U[0, 1]; the answer is wanted once, after the last step.

`form=hochreiter` (1997): a row has T to T + T/10 steps; one mark is among the first ten, the other among the first T/2 - 1
places left; the two ends are marked -1, and a number marked at the very first step is made 1; correct within .04.
Of a mark at the very first step the text can be read otherwise: `first_pair=marker` keeps the mark -1 and shows the number
that was drawn, which counts as 1; `both` shows mark -1 and 1; `never` draws no mark there; `kept` shows mark 1 and the number,
which counts as 1.
`form=pascanu` (2013): T' = T to 1.1 T steps; one mark in the first tenth, the other before T'/2, the ends unmarked; correct
where the squared error is below .04. They draw one length a batch, here each row has its own.

Floor: 7/144, the variance of the product of two U[0, 1] numbers, reached by always answering 1/4 (pascanu); with the share
p = 1/10 + 9/10 / (T/2 - 1) of rows with a mark at the first step, (1 - p)/9 + p/3 - ((1 + p)/4)^2, always (1 + p)/4
(hochreiter).

Best: 0; the LSTM of 1997 is wrong on 14 of 2,560 rows, at a mean error of .0139, after 1,273,000 rows (T = 100).

Source: Hochreiter & Schmidhuber 1997, experiment 5; Pascanu, Mikolov & Bengio 2013, arXiv:1211.5063, and their
trainingRNNs/multiplication.py.

Group: memory probes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy
import torch
from torch import Tensor

from rnnbench.options import Needs, Positive, Range, Share

from .task import Batch, Reals, Task, regression

TOLERANCE = {"hochreiter": 0.04, "pascanu": 0.2}  # errors below it are correct, as each paper counts


class Multiplication(Task):
    version = 1
    structure = "N->1"
    causal = False
    headline = "mse"
    direction = "min"

    inputs = Reals(2)
    targets = Reals(1)

    def __init__(
        self,
        length: Annotated[int, Range(10)] = 100,  # steps of the shortest sequence
        form: Literal["hochreiter", "pascanu"] = "hochreiter",  # paper whose lengths, marks and criterion are used; see above
        sequences: Positive = 1000,  # sequences in the validation set, and in the test set
        solved_above: Share = 0.99,  # share of correct answers that counts as solved
        first_pair: Annotated[
            Literal["value", "marker", "both", "never", "kept"], Needs("form", values=("hochreiter",))
        ] = "value",  # how a mark at the first step is shown; see above
    ):
        self.length, self.form, self.sequences, self.solved_above = length, form, sequences, solved_above
        self.first_pair, self.right_within = first_pair, TOLERANCE[form]
        self.scoring = regression(self.right_within)
        self.longest = length + length // 10 - (form == "pascanu")
        marked = form == "hochreiter" and first_pair != "never"
        first = 1 / 10 + 9 / 10 / (length // 2 - 1) if marked else 0  # share of rows marked at the first step
        self.mean = (1 + first) / 4
        self.variance = (1 - first) / 9 + first / 3 - self.mean**2

    @property
    def floor(self) -> float:
        return self.variance

    def solved(self, scores: Mapping[str, float]) -> bool:
        return scores["correct"] > self.solved_above

    def draw(self, random: numpy.random.Generator, rows: int) -> Batch:
        lengths = random.integers(self.length, self.longest + 1, rows)
        numbers = random.random((rows, self.longest), dtype="float32")
        row, marks = numpy.arange(rows), numpy.zeros_like(numbers)
        if self.form == "hochreiter":
            begin = self.first_pair == "never"
            first, second = random.integers(begin, 10, rows), random.integers(begin, self.length // 2 - 1, rows)
            second += second >= first
            at_first = (first == 0) | (second == 0)
            shown = numpy.where(at_first & (self.first_pair in ("value", "both")), 1, numbers[:, 0])
            numbers[at_first, 0] = 1
            marks[row, lengths - 1] = -1
        else:
            first = random.integers(0, lengths // 10)
            second = lengths // 10 + random.integers(0, lengths * 2 // 5)
        marks[row, first] = marks[row, second] = 1
        numbers[numpy.arange(self.longest) >= lengths[:, None]] = 0
        targets = numbers[row, first] * numbers[row, second]
        if self.form == "hochreiter":
            numbers[:, 0] = shown
            marks[:, 0] = numpy.where(at_first & (self.first_pair in ("value", "kept")), 1, -1)
        return Batch(
            inputs=torch.from_numpy(numpy.stack([numbers, marks], -1)[:, : lengths.max()]),
            targets=torch.from_numpy(targets).view(rows, 1, 1),
            scored=torch.ones(rows, 1, dtype=torch.bool),
            lengths=torch.from_numpy(lengths),
            fresh=torch.ones(rows, dtype=torch.bool),
        )

    def floor_guess(self, batch: Batch) -> Tensor:
        return torch.full_like(batch.targets, self.mean)
