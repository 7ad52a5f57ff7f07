"""Noise-free lag: predict each next symbol; the last one is the first one again.

    2a   inputs  y a1 a2 a3   targets  a1 a2 a3 y                      (lag = 4: the same a1 a2 a3 in every row)
    2b   inputs  y a2 a1 a2   targets  a2 a1 a2 y                      (the middle is drawn anew: no local regularity)
    2c   inputs  b y a3 a1 a4 a2 a2 e   target  - - - - - - - y        (lag = 4, drawn 1 more; asked for after e)

The first symbol is x or y, each half of the time. `form=2a` and `2b` have lag - 1 distractors a1, a2, ...; every step is
scored in training, the accuracy is that of the last. `form=2c` feeds b, x or y, lag + k distractors out of `symbols` (k is
geometric, a further one with probability 9/10), then e; only the last step is scored, so nothing else helps to train.
A row is right where the last symbol is predicted. `error=squared` (1997): outputs are to be one at the next symbol, else zero,
and a row is right where none is off by .25 or more, of all steps in 2a, of the last in 2b, by .2 in 2c, which then has two
outputs only, of x and of y.

Floor: accuracy 1/2 on the last symbol, a guess between x and y.

Best: 1; in 1997 the LSTM solved 18 of 18 trials of 2a and of 2b at lag 100, and all of 2c up to lag 1000.

Source: Hochreiter & Schmidhuber 1997, experiment 2.

Group: memory probes.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy
import torch
from torch import Tensor

from rnnbench.options import Needs, Positive, Range, Share

from .task import Batch, Task, Tokens, asked_steps, certain, units, within


class NoiseFreeLag(Task):
    version = 1
    structure = "N->N"
    causal = True
    headline = "accuracy"
    direction = "max"
    unit = "share of last symbols"

    def __init__(
        self,
        lag: Annotated[int, Range(2)] = 100,  # steps from the first symbol to the answer (2c: the least number of distractors)
        form: Literal[
            "2a", "2b", "2c"
        ] = "2a",  # symbols in between: always the same (2a), random (2b), or random in number, too (2c)
        symbols: Annotated[
            Positive | None, Needs("form", values=("2c",))
        ] = None,  # kinds of distractors; null: as many as the lag
        sequences: Positive = 1000,  # sequences in the validation set, and in the test set
        solved_above: Share = 0.99,  # accuracy on the last symbol that counts as solved
        error: Literal[
            "cross_entropy", "squared"
        ] = "cross_entropy",  # loss: cross-entropy, or squared error of outputs from 0 to 1 (1997)
    ):
        self.lag, self.form, self.sequences, self.solved_above = lag, form, sequences, solved_above
        self.distractors = (symbols or lag) if form == "2c" else lag - 1
        self.x = self.distractors  # the token of x; y is the next, then b and e
        self.inputs = Tokens(self.distractors + (4 if form == "2c" else 2))
        self.targets = Tokens(self.distractors + 2)
        self.scoring = asked_steps(self._last)
        self.first_target = 0  # the symbol that the first output stands for
        if error == "squared":
            self.right_within = 0.2 if form == "2c" else 0.25
            self.scoring = units(self._right)
            if form == "2c":
                self.first_target, self.targets = self.x, Tokens(2)

    floor = 1 / 2

    def draw(self, random: numpy.random.Generator, rows: int) -> Batch:
        kept = self.x + random.integers(0, 2, rows)
        if self.form == "2c":
            lengths = 2 + self.lag + random.geometric(1 / 10, rows)
            steps = numpy.arange(lengths.max())
            inputs = random.integers(0, self.distractors, (rows, len(steps)))
            inputs[:, 0], inputs[:, 1] = self.x + 2, kept
            inputs[numpy.arange(rows), lengths - 1] = self.x + 3
            inputs[steps >= lengths[:, None]] = 0
            targets = numpy.where(steps == lengths[:, None] - 1, kept[:, None] - self.first_target, 0)
            scored = steps == lengths[:, None] - 1
        else:
            middle = numpy.arange(self.lag - 1)[None].repeat(rows, 0)
            if self.form == "2b":
                middle = random.integers(0, self.distractors, (rows, self.lag - 1))
            inputs = numpy.concatenate([kept[:, None], middle], 1)
            targets = numpy.concatenate([middle, kept[:, None]], 1)
            scored, lengths = numpy.ones_like(inputs, bool), numpy.full(rows, self.lag)
        return Batch(
            torch.from_numpy(inputs),
            torch.from_numpy(targets),
            scored=torch.from_numpy(scored),
            lengths=torch.from_numpy(lengths),
            fresh=torch.ones(rows, dtype=torch.bool),
        )

    def _last(self, batch: Batch) -> Tensor:
        """(B, S) bool: the steps that ask for the last symbol."""
        return batch.targets >= self.x

    def _right(self, outputs: Tensor, batch: Batch) -> Tensor:
        """(B, S) bool: what counts as right of squared errors."""
        assert self.right_within is not None
        right = within(outputs, batch, self.right_within)
        return right | ~self._last(batch) if self.form == "2b" else right

    def floor_guess(self, batch: Batch) -> Tensor:
        if self.form == "2a" and self.right_within is not None:  # all but the last symbol follow from the place
            return torch.nn.functional.one_hot(batch.targets.clamp(max=self.x), self.targets.size).float()
        return certain(self.x - self.first_target, self.targets.size, batch)
