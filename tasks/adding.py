"""Adding: the sum of the two marked numbers among many.

    numbers  .31 .80 .05 .62 .47 .93
    marks     0   1   0   0   1   0      (length = 6, one mark in each half)
    target                        1.27

Each step feeds (number, mark); the answer is wanted once, after the last step.

`form=arjovsky`: numbers U[0, 1], the target is their sum; `marks` says where the two marks stand.
`form=hochreiter` (1997): numbers U[-1, 1]; a row has T to T + T/10 steps; one mark is among the first ten, the other among
the first T/2 - 1 places left; the two ends are marked -1, and a number marked at the very first step is made 0; the target
is 1/2 + sum/4, correct within .04.
Of a mark at the very first step the text can be read otherwise: `first_pair=marker` keeps the mark -1 and shows the number
that was drawn, which counts as 0; `both` shows mark -1 and 0; `never` draws no mark there; `kept` shows mark 1 and the number,
which counts as 0.
`form=pascanu` (2013): numbers U[0, 1]; T' = T to 1.1 T steps; one mark in the first tenth, the other before T'/2; the target
is the mean of the two, correct where the squared error is below .04. They draw one length a batch, here each row has its own.

Floor: 1/6, the variance of the sum of two U[0, 1] numbers, reached by always answering 1 (arjovsky); 1/24, always 1/2
(pascanu); (2 - p)/48, always 1/2, where p = 1/10 + 9/10 / (T/2 - 1) is the share of rows with a mark at the first step
(hochreiter).

Best: 0, which LSTMs come near at every length up to 1000 (Hochreiter & Schmidhuber 1997).

Source: Hochreiter & Schmidhuber 1997; this form: Arjovsky, Shah & Bengio 2016, arXiv:1511.06464; marks anywhere: Bai, Kolter &
Koltun 2018, arXiv:1803.01271; the mean: Pascanu, Mikolov & Bengio 2013, arXiv:1211.5063, and their trainingRNNs/addition.py.

Group: memory probes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy
import torch
from torch import Tensor

from rnnbench.options import AboveZero, Needs, Positive, Range, Share

from .task import REGRESSION, Batch, Reals, Task, regression

TOLERANCE = {"hochreiter": 0.04, "pascanu": 0.2}  # errors below it are correct, as each paper counts


class Adding(Task):
    version = 1
    structure = "N->1"
    causal = False
    headline = "mse"
    direction = "min"

    inputs = Reals(2)
    targets = Reals(1)

    def __init__(
        self,
        length: Annotated[int, Range(2)] = 100,  # steps; in forms hochreiter and pascanu the fewest, at least 10
        marks: Annotated[
            Literal["halves", "anywhere"], Needs("form", values=("arjovsky",))
        ] = "halves",  # one mark in each half, or two anywhere (Bai et al. 2018)
        sequences: Positive = 1000,  # sequences in the validation set, and in the test set
        solved_below: Annotated[
            AboveZero, Needs("form", values=("arjovsky",))
        ] = 0.01,  # mean squared error that counts as solved
        form: Literal[
            "arjovsky", "hochreiter", "pascanu"
        ] = "arjovsky",  # paper whose numbers, lengths and target are used; see above
        solved_above: Annotated[
            Share, Needs("form", values=("hochreiter", "pascanu"))
        ] = 0.99,  # share of correct answers that counts as solved
        first_pair: Annotated[
            Literal["value", "marker", "both", "never", "kept"], Needs("form", values=("hochreiter",))
        ] = "value",  # how a mark at the first step is shown; see above
    ):
        if form != "arjovsky" and length < 10:
            raise ValueError(f"task.form={form} places its marks in at least 10 steps; got length={length}")
        self.length, self.marks, self.sequences, self.solved_below = length, marks, sequences, solved_below
        self.form, self.solved_above, self.first_pair = form, solved_above, first_pair
        self.right_within = TOLERANCE.get(form)
        self.scoring = regression(TOLERANCE[form]) if form in TOLERANCE else REGRESSION
        self.longest = {"arjovsky": length, "hochreiter": length + length // 10, "pascanu": length + length // 10 - 1}[form]

    @property
    def floor(self) -> float:
        marked = self.form == "hochreiter" and self.first_pair != "never"
        first = 1 / 10 + 9 / 10 / (self.length // 2 - 1) if marked else 0
        return {"arjovsky": 1 / 6, "hochreiter": (2 - first) / 48, "pascanu": 1 / 24}[self.form]

    def solved(self, scores: Mapping[str, float]) -> bool:
        return scores["correct"] > self.solved_above if self.form in TOLERANCE else scores["mse"] < self.solved_below

    def draw(self, random: numpy.random.Generator, rows: int) -> Batch:
        numbers = random.random((rows, self.longest), dtype="float32")
        lengths = numpy.full(rows, self.length)
        if self.form != "arjovsky":
            lengths = random.integers(self.length, self.longest + 1, rows)
        first, second = self._places(random, lengths)
        row, marks = numpy.arange(rows), numpy.zeros_like(numbers)
        if self.form == "hochreiter":
            numbers = 2 * numbers - 1
            at_first = (first == 0) | (second == 0)
            shown = numpy.where(at_first & (self.first_pair in ("value", "both")), 0, numbers[:, 0])
            numbers[at_first, 0] = 0
            marks[row, lengths - 1] = -1
        marks[row, first] = marks[row, second] = 1
        scale, shift = {"arjovsky": (1, 0), "hochreiter": (0.25, 0.5), "pascanu": (0.5, 0)}[self.form]
        numbers[numpy.arange(self.longest) >= lengths[:, None]] = 0
        targets = (numbers[row, first] + numbers[row, second]) * scale + shift
        if self.form == "hochreiter":
            numbers[:, 0] = shown
            marks[:, 0] = numpy.where(at_first & (self.first_pair in ("value", "kept")), 1, -1)
        return Batch(
            inputs=torch.from_numpy(numpy.stack([numbers, marks], -1)[:, : lengths.max()]),
            targets=torch.from_numpy(targets).float().view(rows, 1, 1),
            scored=torch.ones(rows, 1, dtype=torch.bool),
            lengths=torch.from_numpy(lengths),
            fresh=torch.ones(rows, dtype=torch.bool),
        )

    def _places(self, random: numpy.random.Generator, lengths: numpy.ndarray) -> tuple[numpy.ndarray, numpy.ndarray]:
        """Where the two marks of each row stand."""
        rows, half = len(lengths), self.length // 2
        if self.form == "hochreiter":
            begin = self.first_pair == "never"
            first = random.integers(begin, 10, rows)
            second = random.integers(begin, half - 1, rows)
            return first, second + (second >= first)
        if self.form == "pascanu":
            return random.integers(0, lengths // 10), lengths // 10 + random.integers(0, lengths * 2 // 5)
        if self.marks == "halves":
            return random.integers(0, half, rows), random.integers(half, self.length, rows)
        first = random.integers(0, self.length, rows)
        return first, (first + random.integers(1, self.length, rows)) % self.length

    def floor_guess(self, batch: Batch) -> Tensor:
        return torch.full_like(batch.targets, 1 if self.form == "arjovsky" else 0.5)
