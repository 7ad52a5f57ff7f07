"""Associative recall: pairs of a key and a value are shown once; each key that comes again asks for its value.

    inputs   2 8 4 7   0 0 4 0 0 0 0 0 2 0      (length = 14, pairs = 2, vocabulary = 12: keys 1-5, values 6-11)
    targets  - - - -   - - 7 - - - - - 8 -      (scored at the queries only)

Keys are drawn from 1 to vocabulary/2 - 1, values from vocabulary/2 on, without repetition within a row. After the pairs each
key is asked for once, at an even distance; the slot i = 1, 2, ... is taken with probability proportional to i^(power - 1),
without replacement, so that near ones are more likely. What is no query is 0, as in the paper's figure 2, or a random token.

The paper's grid of (length, pairs): (64, 4), (128, 8), (256, 16), (512, 64), with a vocabulary of 8192.

Floor: accuracy 2 / vocabulary on the queries, a guess among the values.

Best: 1, which attention reaches on the whole grid (Arora et al. 2023, figure 2); no LSTM or GRU is reported there.

Source: Arora et al. 2023 (Zoology), arXiv:2312.04927, and its multiquery_ar.py.

Group: memory probes.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy
import torch
from torch import Tensor

from rnnbench.options import Positive, Range, Share

from .task import Batch, Task, Tokens, certain


class AssociativeRecall(Task):
    version = 1
    structure = "N->N"
    causal = True
    headline = "accuracy"
    direction = "max"
    unit = "share of queries"

    def __init__(
        self,
        length: Annotated[int, Range(4)] = 64,  # steps of a sequence
        pairs: Positive = 4,  # pairs of a key and a value; each needs four steps
        vocabulary: Annotated[int, Range(4)] = 8192,  # tokens: 0, the keys and the values
        power: Annotated[float, Range(0, 1, open_low=True)] = 0.01,  # exponent of the distribution of distances; 1: uniform
        filler: Literal[
            "zero", "random"
        ] = "zero",  # tokens between queries: zero, or random ones (later default of the paper's code)
        sequences: Positive = 1000,  # sequences in the validation set, and in the test set; 3,000 in the paper
        solved_above: Share = 0.99,  # accuracy that counts as solved
    ):
        if length % 2 or 4 * pairs > length or pairs >= vocabulary // 2:
            raise ValueError(
                f"task.length={length} must be even and at least 4 * task.pairs={pairs}, "
                f"and task.vocabulary={vocabulary} more than 2 * pairs + 1"
            )
        self.length, self.pairs, self.vocabulary, self.power, self.filler = length, pairs, vocabulary, power, filler
        self.sequences, self.solved_above = sequences, solved_above
        self.inputs = self.targets = Tokens(vocabulary)
        self.first_value = vocabulary // 2

    @property
    def floor(self) -> float:
        return 1 / (self.vocabulary - self.first_value)

    def draw(self, random: numpy.random.Generator, rows: int) -> Batch:
        keys = 1 + distinct(random, rows, self.pairs, self.first_value - 1)
        values = self.first_value + distinct(random, rows, self.pairs, self.vocabulary - self.first_value)
        shown = 2 * self.pairs  # steps
        slots = numpy.arange(1, (self.length - shown) // 2 + 1)
        # the highest of log-weights plus Gumbel noise, in order, are a draw without replacement
        noisy = (self.power - 1) * numpy.log(slots) + random.gumbel(size=(rows, len(slots)))
        queries = shown + 2 * numpy.argsort(-noisy, 1)[:, : self.pairs]
        inputs = numpy.zeros((rows, self.length), int)
        if self.filler == "random":
            inputs = random.integers(0, self.vocabulary, (rows, self.length))
        inputs[:, 0:shown:2], inputs[:, 1:shown:2] = keys, values
        numpy.put_along_axis(inputs, queries, keys, 1)
        targets = numpy.zeros_like(inputs)
        numpy.put_along_axis(targets, queries, values, 1)
        return Batch(
            torch.from_numpy(inputs),
            torch.from_numpy(targets),
            scored=torch.from_numpy(targets > 0),
            lengths=torch.full((rows,), self.length),
            fresh=torch.ones(rows, dtype=torch.bool),
        )

    def floor_guess(self, batch: Batch) -> Tensor:
        return certain(self.first_value, self.vocabulary, batch)


def distinct(random: numpy.random.Generator, rows: int, count: int, kinds: int) -> numpy.ndarray:
    """(rows, count) numbers below `kinds`, no two alike in a row, in random order."""
    if count**2 > kinds:  # repetitions are likely
        return random.random((rows, kinds)).argsort(1)[:, :count]
    drawn = random.integers(0, kinds, (rows, count))
    while True:
        ordered = numpy.sort(drawn, 1)
        again = (ordered[:, 1:] == ordered[:, :-1]).any(1)
        if not again.any():
            return drawn
        drawn[again] = random.integers(0, kinds, (int(again.sum()), count))
