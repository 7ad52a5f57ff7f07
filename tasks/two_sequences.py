"""Two sequences: the first few numbers tell the class, noise follows.

    3a, class 1   1  1  1   .31 -.52 .08 .67 -.11 .40     target 1      (length = 9, informative = 3)
    3a, class 2  -1 -1 -1  -.05  .28 .61 -.73 .19 -.36    target 0

Each half of the rows, on average, is of one class. The first `informative` numbers are 1 in class 1 and -1 in class 2, all
others N(0, variance .2); a row has T to T + T/10 steps. The answer is wanted once, after the last step.

`form=3a`: the target is 1 or 0; right where it is off by less than .2.
`form=3b`: N(0, variance .2) is added to the informative numbers, too.
`form=3c`: as 3a, with the target .2 in class 1 and .8 in class 2, right within .1. N(0, variance .1) is added to the targets
that are trained on, and so to what train.window_error looks at; rows of validation and test have none. Which class has which
target makes no difference to a network whose first weights are as likely as their negatives.

Solved: by the share of right rows and, where `solved_error` is given, by the mean absolute error, too. The paper's criteria
ST1 and ST2 are without and with it, of 256 rows that are randomly chosen (`redrawn`).

Floor: 1/4 (3a and 3b), .09 (3c), always answering 1/2.

Best: 0; in 1997 the LSTM solved 3a after 27,380 rows and 3c after 269,650 (T = 100, three informative numbers).

Source: Hochreiter & Schmidhuber 1997, experiment 3; 3a is of Bengio, Simard & Frasconi 1994.

Group: memory probes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy
import torch
from torch import Tensor

from rnnbench.options import AboveZero, Needs, Positive, Range, Share

from .task import Batch, Reals, Split, Sums, Task, Totals, regression

NOISE, NOISE_OF_TARGETS = 0.2, 0.1  # variances
REDRAWN = 2**32  # a run's seed is smaller


class TwoSequences(Task):
    version = 1
    structure = "N->1"
    causal = False
    headline = "mse"
    direction = "min"

    inputs = Reals(1)
    targets = Reals(1)

    def __init__(
        self,
        length: Annotated[int, Range(2)] = 100,  # steps of the shortest sequence
        informative: Positive = 3,  # numbers at the beginning that tell the class; at most the length
        form: Literal["3a", "3b", "3c"] = "3a",  # noise: after them (3a), on them as well (3b), or on the targets as well (3c)
        sequences: Positive = 1000,  # sequences in the validation set, and in the test set
        solved_above: Share = 0.99,  # share of correct answers that counts as solved
        solved_error: AboveZero | None = None,  # mean absolute error below which alone it counts as solved; null: any
        redrawn: Annotated[
            bool, Needs("train.rule", values=("online",))
        ] = False,  # draw the validation sequences anew at each evaluation, by the run's seed (1997)
    ):
        if informative > length:
            raise ValueError(f"task.informative={informative} is more than task.length={length}")
        self.length, self.informative, self.form, self.sequences = length, informative, form, sequences
        self.solved_above, self.solved_error, self.redrawn = solved_above, solved_error, redrawn
        self.right_within = 0.1 if form == "3c" else 0.2
        self.scoring = regression(self.right_within)
        self.longest = length + length // 10

    @property
    def floor(self) -> float:
        return 0.3**2 if self.form == "3c" else 1 / 4

    def solved(self, scores: Mapping[str, float]) -> bool:
        return scores["correct"] > self.solved_above and (self.solved_error is None or scores["mae"] < self.solved_error)

    def score(self, outputs: Tensor, batch: Batch) -> Sums:
        errors = (outputs - batch.targets).abs().squeeze(-1).double()
        return super().score(outputs, batch) | {"absolute_error": torch.where(batch.scored, errors, 0.0).sum()}

    def finish(self, sums: Totals) -> dict[str, float]:
        return super().finish(sums) | {"mae": sums["absolute_error"] / sums["answers"]}

    def _draw_for(self, random: numpy.random.Generator, rows: int, split: Split) -> Batch:
        batch = self.draw(random, rows)
        if self.form != "3c" or split != "train":
            return batch
        noise = random.normal(0, NOISE_OF_TARGETS**0.5, (rows, 1, 1))
        return batch._replace(targets=batch.targets + torch.from_numpy(noise).float())

    def draw(self, random: numpy.random.Generator, rows: int) -> Batch:
        lengths = random.integers(self.length, self.longest + 1, rows)
        first = random.integers(0, 2, rows).astype(bool)
        numbers = random.normal(0, NOISE**0.5, (rows, self.longest)).astype("float32")
        if self.form != "3b":
            numbers[:, : self.informative] = 0
        numbers[:, : self.informative] += numpy.where(first, 1, -1)[:, None]
        numbers[numpy.arange(self.longest) >= lengths[:, None]] = 0
        return Batch(
            inputs=torch.from_numpy(numbers[:, : lengths.max(), None]),
            targets=self._of_classes(torch.from_numpy(first)).view(rows, 1, 1),
            scored=torch.ones(rows, 1, dtype=torch.bool),
            lengths=torch.from_numpy(lengths),
            fresh=torch.ones(rows, dtype=torch.bool),
        )

    def _of_classes(self, first: Tensor) -> Tensor:
        """(B,) the targets, without noise, of rows that are of class 1 where `first`."""
        one, two = (0.2, 0.8) if self.form == "3c" else (1.0, 0.0)
        return torch.where(first, one, two)

    def noise_free(self, batch: Batch) -> Batch:
        if self.form != "3c":
            return batch
        return batch._replace(targets=self._of_classes(batch.inputs[:, :1] > 0))  # no noise is on the first number

    def validation_at(self, step: int, seed: int) -> Batch | None:
        return self.noise_free(self.batch("train", step, self.sequences, REDRAWN + seed)) if self.redrawn else None

    def floor_guess(self, batch: Batch) -> Tensor:
        return torch.full_like(batch.targets, 0.5)
