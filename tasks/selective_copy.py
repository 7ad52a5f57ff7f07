"""Selective copy: repeat, in order, the few symbols that were scattered among blanks.

    inputs   0 3 0 0 1 0 4 0   5 5 5
    targets  - - - - - - - -   3 1 4      (length = 8, symbols = 3, vocabulary = 6: 0 is the blank, 5 the cue)

`length` steps hold `symbols` symbols of vocabulary - 2 kinds at places drawn anew for each row, the rest are blanks; then one
cue for each answer. Only the answers are scored. The spacing is what a filter of fixed lags cannot learn.

Gu & Dao 2023 and Feng et al. 2024 have length 4096, 16 symbols, a vocabulary of 16; the default length is shorter, so that a
processor can train on it. The layout is that of the S4 repository (torch_copying_data, variable=True), where both come from.

Floor: 1 / (vocabulary - 2) of the symbols, a guess among their kinds.

Best: 1; at length 4096 Mamba's S6 reaches .998 and minGRU .995 (Feng et al. 2024).

Source: Gu & Dao 2023, arXiv:2312.00752; Feng et al. 2024, arXiv:2410.01201; the idea: Jing et al. 2019,
arXiv:1706.02761.

Group: memory probes.
"""

from __future__ import annotations

from typing import Annotated

import numpy
import torch
from torch import Tensor

from rnnbench.options import Positive, Range, Share

from .task import Batch, Task, Tokens, certain


class SelectiveCopy(Task):
    version = 1
    structure = "N->N"
    causal = True
    headline = "accuracy"
    direction = "max"
    unit = "share of symbols"

    def __init__(
        self,
        length: Positive = 256,  # steps before the first cue; 4096 in both papers
        symbols: Positive = 16,  # number of symbols to remember
        vocabulary: Annotated[int, Range(4)] = 16,  # number of tokens: blank, cue, and kinds of symbols
        sequences: Positive = 1000,  # sequences in the validation set, and in the test set
        solved_above: Share = 0.99,  # accuracy that counts as solved
    ):
        if symbols > length:
            raise ValueError(f"task.symbols={symbols} do not fit into task.length={length}")
        self.length, self.symbols, self.vocabulary = length, symbols, vocabulary
        self.sequences, self.solved_above = sequences, solved_above
        self.inputs, self.targets = Tokens(vocabulary), Tokens(vocabulary)

    @property
    def floor(self) -> float:
        return 1 / (self.vocabulary - 2)

    def draw(self, random: numpy.random.Generator, rows: int) -> Batch:
        symbols = random.integers(1, self.vocabulary - 1, (rows, self.symbols))
        places = random.random((rows, self.length), dtype="float32").argpartition(self.symbols - 1, 1)[:, : self.symbols]
        inputs = numpy.full((rows, self.length + self.symbols), self.vocabulary - 1)
        inputs[:, : self.length] = 0
        numpy.put_along_axis(inputs, numpy.sort(places, 1), symbols, 1)
        targets = numpy.zeros_like(inputs)
        targets[:, self.length :] = symbols
        steps = numpy.arange(self.length + self.symbols)
        return Batch(
            torch.from_numpy(inputs),
            torch.from_numpy(targets),
            scored=torch.from_numpy(steps >= self.length).expand(rows, -1).clone(),
            lengths=torch.full((rows,), len(steps)),
            fresh=torch.ones(rows, dtype=torch.bool),
        )

    def floor_guess(self, batch: Batch) -> Tensor:
        return certain(1, self.vocabulary, batch)  # any one kind
