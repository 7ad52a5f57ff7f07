"""Temporal order: in which order did two (or three) rare symbols come, far apart among distractors?

    inputs   E  b X d a   c Y d a   B      (X and Y matter; a b c d distract; E opens, B asks for the answer)
    target                          1      (XX = 0, XY = 1, YX = 2, YY = 3)

`form=6a`: a row has T to T + T/10 steps; the two places are drawn from T/10 to 2T/10 and from 5T/10 to 6T/10; 4 classes.
`form=6b`: three places, T/10 to 2T/10, 33T/100 to 43T/100, 66T/100 to 76T/100; 8 classes. T = 100 is that of 1997.
Each is answered once, after the last step. `error=squared` (1997): there is an output for each class, one where it is the
target, else zero, and a row is right where no output is off by .3 or more; else a row is right where the class is.

Floor: accuracy 1/4 (6a) or 1/8 (6b), a guess among the classes.

Best: 1; the LSTMs of 1997 are wrong on 1 of 2,560 rows (6a) and on 2 (6b).

Source: Hochreiter & Schmidhuber 1997, experiment 6.

Group: memory probes.
"""

from __future__ import annotations

import itertools
from functools import partial
from typing import Annotated, Literal

import numpy
import torch
from torch import Tensor

from rnnbench.options import Positive, Range, Share

from .task import Batch, Task, Tokens, certain, units, within

SYMBOLS = "EBXYabcd"
PLACES = {"6a": ((10, 20), (50, 60)), "6b": ((10, 20), (33, 43), (66, 76))}  # hundredths of T, both ends included


class TemporalOrder(Task):
    version = 1
    structure = "N->1"
    causal = False
    headline = "accuracy"
    direction = "max"

    inputs = Tokens(8)

    def __init__(
        self,
        length: Annotated[int, Range(10)] = 100,  # steps of the shortest sequence
        form: Literal["6a", "6b"] = "6a",  # two symbols and 4 classes (6a), or three symbols and 8 classes (6b)
        sequences: Positive = 1000,  # sequences in the validation set, and in the test set
        solved_above: Share = 0.99,  # accuracy that counts as solved
        error: Literal[
            "cross_entropy", "squared"
        ] = "cross_entropy",  # loss: cross-entropy, or squared error of outputs from 0 to 1 (1997)
        counted_from: Literal[0, 1] = 0,  # number of the first step, where places are drawn by number
    ):
        self.length, self.form, self.sequences, self.solved_above = length, form, sequences, solved_above
        self.places = [(first * length // 100, last * length // 100) for first, last in PLACES[form]]
        self.counted_from = counted_from
        if error == "squared":
            self.right_within = 0.3
            self.scoring = units(partial(within, tolerance=self.right_within))
        self.targets = Tokens(2 ** len(self.places))
        self.classes = ["".join(symbols) for symbols in itertools.product("XY", repeat=len(self.places))]

    @property
    def floor(self) -> float:
        return 1 / self.targets.size

    def draw(self, random: numpy.random.Generator, rows: int) -> Batch:
        lengths = random.integers(self.length, self.length + self.length // 10 + 1, rows)
        steps, row = numpy.arange(lengths.max()), numpy.arange(rows)
        inputs = random.integers(4, 8, (rows, len(steps)))
        targets = numpy.zeros(rows, int)
        for first, last in self.places:
            ys = random.integers(0, 2, rows)
            inputs[row, random.integers(first, last + 1, rows) - self.counted_from] = SYMBOLS.index("X") + ys
            targets = 2 * targets + ys
        inputs[:, 0] = SYMBOLS.index("E")
        inputs[row, lengths - 1] = SYMBOLS.index("B")
        inputs[steps >= lengths[:, None]] = 0
        return Batch(
            torch.from_numpy(inputs),
            torch.from_numpy(targets).view(rows, 1),
            scored=torch.ones(rows, 1, dtype=torch.bool),
            lengths=torch.from_numpy(lengths),
            fresh=torch.ones(rows, dtype=torch.bool),
        )

    def floor_guess(self, batch: Batch) -> Tensor:
        return certain(0, self.targets.size, batch)
