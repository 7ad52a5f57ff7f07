"""Adding: the sum of the two marked numbers among many.

    numbers  .31 .80 .05 .62 .47 .93
    marks     0   1   0   0   1   0      (length = 6, one mark in each half)
    target                        1.27

Each step feeds (number, mark); the answer is wanted once, after the last step. Numbers are U[0, 1].

Floor: 1/6, the variance of the sum of two U[0, 1] numbers, reached by always answering 1.

Source: Hochreiter & Schmidhuber 1997; this form: Arjovsky, Shah & Bengio 2016, arXiv:1511.06464.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy
import torch
from torch import Tensor

from rnnbench.options import AboveZero, Positive, Range

from .task import Batch, Reals, Sums, Task, squared_error


class Adding(Task):
    version = 1
    structure = "N->1"
    causal = False
    headline = "mse"
    direction = "min"

    inputs = Reals(2)
    targets = Reals(1)
    floor = 1 / 6

    def __init__(
        self,
        length: Annotated[int, Range(2)] = 100,  # steps
        marks: Literal["halves", "anywhere"] = "halves",  # one in each half; or any two places (Bai et al. 2018)
        sequences: Positive = 1000,  # sequences in the validation set, and in the test set
        solved_below: AboveZero = 0.01,  # mean squared error that counts as solved
    ):
        self.length, self.marks, self.sequences, self.solved_below = length, marks, sequences, solved_below

    def solved(self, scores: Mapping[str, float]) -> bool:
        return scores["mse"] < self.solved_below

    def draw(self, random: numpy.random.Generator, rows: int) -> Batch:
        inputs = torch.zeros(rows, self.length, 2)
        inputs[..., 0] = torch.from_numpy(random.random((rows, self.length), dtype="float32"))
        half = self.length // 2
        if self.marks == "halves":
            first = random.integers(0, half, rows)
            second = random.integers(half, self.length, rows)
        else:
            first = random.integers(0, self.length, rows)
            second = (first + random.integers(1, self.length, rows)) % self.length
        row = torch.arange(rows)
        inputs[row, torch.from_numpy(first), 1] = 1
        inputs[row, torch.from_numpy(second), 1] = 1
        targets = (inputs[..., 0] * inputs[..., 1]).sum(1).view(rows, 1, 1)
        return Batch(
            inputs,
            targets,
            scored=torch.ones(rows, 1, dtype=torch.bool),
            lengths=torch.full((rows,), self.length),
            fresh=torch.ones(rows, dtype=torch.bool),
        )

    def loss(self, outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        return squared_error(outputs, batch)

    def score(self, outputs: Tensor, batch: Batch) -> Sums:
        total, count = squared_error(outputs.double(), batch)
        return {"squared_error": total, "answers": count.double()}

    def finish(self, sums: Mapping[str, float]) -> dict[str, float]:
        return {"mse": sums["squared_error"] / sums["answers"]}

    def floor_guess(self, batch: Batch) -> Tensor:
        return torch.ones_like(batch.targets)
