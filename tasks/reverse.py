"""Reverse: read symbols, then write them from the last to the first.

    source   3 1 4 1 5
    inputs   ^ 5 1 4 1 3        (^ starts; while training, the true symbols are fed)
    targets  5 1 4 1 3 $        ($ ends)

Lengths are uniform from `shortest` to `length`; there are `symbols` kinds of symbol.

Floor: exact matches of a guess that never looks at the source: at most symbols ** -shortest over the number of lengths.

Best: 1.

Source: the probe of Grefenstette et al. 2015, arXiv:1506.02516 (reversal); Sutskever, Vinyals & Le 2014 on why it is hard.

Group: memory probes.
"""

from __future__ import annotations

from typing import Annotated

import numpy
import torch
from torch import Tensor
from torch.nn import functional

from rnnbench.options import Positive, Range, Share

from .task import WRITING, Batch, Sums, Task, Tokens, Totals


class Reverse(Task):
    version = 1
    structure = "N->M"
    causal = False
    headline = "exact"
    direction = "max"
    unit = "share of rows written without a mistake"

    scoring = WRITING

    def __init__(
        self,
        length: Positive = 20,  # largest number of symbols
        shortest: Positive = 20,  # smallest number of symbols
        symbols: Annotated[int, Range(2)] = 10,  # kinds of symbols
        sequences: Positive = 500,  # sequences in the validation set, and in the test set
        solved_above: Share = 0.99,  # share of exact matches that counts as solved
    ):
        if shortest > length:
            raise ValueError(f"task.shortest={shortest} is more than task.length={length}")
        self.length, self.shortest, self.symbols, self.sequences = length, shortest, symbols, sequences
        self.solved_above = solved_above
        self.end, self.start, self.longest = symbols, symbols + 1, length + 1
        self.source, self.inputs, self.targets = Tokens(symbols), Tokens(symbols + 2), Tokens(symbols + 1)

    @property
    def floor(self) -> float:
        """Always writing one string of `shortest` symbols; any other guess is right less often."""
        return self.symbols**-self.shortest / (self.length - self.shortest + 1)

    def draw(self, random: numpy.random.Generator, rows: int) -> Batch:
        lengths = torch.from_numpy(random.integers(self.shortest, self.length + 1, rows))
        steps = torch.arange(self.length)
        valid = steps < lengths.unsqueeze(1)
        source = torch.where(valid, torch.from_numpy(random.integers(0, self.symbols, (rows, self.length))), 0)
        backward = (lengths.unsqueeze(1) - 1 - steps).clamp(min=0)
        reversed_ = torch.where(valid, source.gather(1, backward), self.end)
        last = torch.full((rows, 1), self.end)
        return Batch(
            inputs=torch.cat([torch.full((rows, 1), self.start), reversed_], 1),
            targets=torch.cat([reversed_, last], 1),
            scored=torch.arange(self.length + 1) <= lengths.unsqueeze(1),
            lengths=lengths + 1,
            fresh=torch.ones(rows, dtype=torch.bool),
            source=source,
            source_lengths=lengths,
        )

    def score_written(self, written: Tensor, batch: Batch) -> Sums:
        wanted = torch.where(batch.scored, batch.targets, self.end)
        wanted = functional.pad(wanted, (0, self.longest - wanted.shape[1]), value=self.end)
        asked = batch.scored.any(1)
        return {"exact": ((written == wanted).all(1) & asked).sum().double(), "rows": asked.sum().double()}

    def finish(self, sums: Totals) -> dict[str, float]:
        return {"exact": sums["exact"] / sums["rows"]} | super().finish(sums)

    def floor_guess(self, batch: Batch) -> Tensor:
        """What is written, (B, longest): the same symbol `shortest` times."""
        guess = batch.targets.new_full((len(batch.targets), self.longest), self.end)
        guess[:, : self.shortest] = 0
        return guess
