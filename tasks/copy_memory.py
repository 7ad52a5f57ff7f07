"""Copy memory: repeat, after a long blank, the symbols seen at the start.

    inputs   3 1 4 2   0 0 0 9   0 0 0 0
    targets  0 0 0 0   0 0 0 0   3 1 4 2      (symbols = 4, delay = 4, 9 is the cue)

`form=arjovsky` asks T = delay: `symbols` of 8 kinds, delay - 1 blanks, one cue, `symbols` blanks, as tokens:
T + 2 * symbols steps in all. `form=bai` is the variant of Bai et al. 2018: 8 kinds, delay - 1 blanks, the delimiter repeated
symbols + 1 times, and one real number a step in place of a token. In both forms every step is scored.

Floor: 10 ln 8 / (T + 20) nats a step for 10 symbols: blanks are certain, the symbols a guess among 8.

Source: Arjovsky, Shah & Bengio 2016, arXiv:1511.06464; Bai, Kolter & Koltun 2018, arXiv:1803.01271.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import numpy
import torch
from torch import Tensor

from rnnbench.options import Positive, Share

from .task import Batch, Reals, Stream, Sums, Task, Tokens, correct, cross_entropy

KINDS = 8  # symbols 1..8; 0 is the blank, 9 the cue


class CopyMemory(Task):
    version = 1
    structure = "N->N"
    causal = True
    headline = "loss"
    direction = "min"
    unit = "nats a step"

    targets = Tokens(KINDS + 1)

    def __init__(
        self,
        delay: Positive = 100,  # steps between the last symbol and the first answer
        symbols: Positive = 10,  # how many there are to remember
        form: Literal["arjovsky", "bai"] = "arjovsky",  # tokens and one cue; or one real number a step and a train of cues
        sequences: Positive = 1000,  # sequences in the validation set, and in the test set
        solved_above: Share = 0.99,  # accuracy on the remembered symbols that counts as solved
    ):
        self.delay, self.symbols, self.form = delay, symbols, form
        self.sequences, self.solved_above = sequences, solved_above
        self.inputs: Stream = Tokens(KINDS + 2) if form == "arjovsky" else Reals(1)
        self.steps = delay + 2 * symbols

    @property
    def floor(self) -> float:
        return self.symbols * math.log(KINDS) / self.steps

    def solved(self, scores: Mapping[str, float]) -> bool:
        return scores["accuracy"] > self.solved_above

    def draw(self, random: numpy.random.Generator, rows: int) -> Batch:
        symbols = torch.from_numpy(random.integers(1, KINDS + 1, (rows, self.symbols)))
        inputs = torch.zeros(rows, self.steps, dtype=torch.int64)
        inputs[:, : self.symbols] = symbols
        cue = self.symbols + self.delay - 1
        inputs[:, cue : cue + (1 if self.form == "arjovsky" else self.symbols + 1)] = KINDS + 1
        targets = torch.zeros_like(inputs)
        targets[:, -self.symbols :] = symbols
        return Batch(
            inputs if self.form == "arjovsky" else inputs.float().unsqueeze(-1),
            targets,
            scored=torch.ones_like(targets, dtype=torch.bool),
            lengths=torch.full((rows,), self.steps),
            fresh=torch.ones(rows, dtype=torch.bool),
        )

    def loss(self, outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        return cross_entropy(outputs, batch)

    def score(self, outputs: Tensor, batch: Batch) -> Sums:
        total, count = cross_entropy(outputs.double(), batch)
        recalled = correct(outputs, batch)[:, -self.symbols :]
        return {
            "nats": total,
            "steps": count.double(),
            "recalled": recalled.sum().double(),
            "symbols": torch.tensor(float(recalled.numel()), dtype=torch.float64, device=outputs.device),
        }

    def finish(self, sums: Mapping[str, float]) -> dict[str, float]:
        return {"loss": sums["nats"] / sums["steps"], "accuracy": sums["recalled"] / sums["symbols"]}

    def floor_guess(self, batch: Batch) -> Tensor:
        certain = torch.full((*batch.targets.shape, KINDS + 1), -math.inf, device=batch.targets.device)
        certain[:, : -self.symbols, 0] = 0
        certain[:, -self.symbols :, 1:] = 0
        return certain
