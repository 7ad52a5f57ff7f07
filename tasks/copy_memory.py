"""Copy memory: repeat, after a long blank, the symbols seen at the start.

    inputs   3 1 4 2   0 0 0 9   0 0 0 0
    targets  0 0 0 0   0 0 0 0   3 1 4 2      (symbols = 4, delay = 4, 9 is the cue)

`form=arjovsky` asks T = delay: `symbols` of 8 kinds, delay - 1 blanks, one cue, `symbols` blanks, as tokens:
T + 2 * symbols steps in all. `form=bai` is the variant of Bai et al. 2018: 8 kinds, delay - 1 blanks, the delimiter repeated
symbols + 1 times, and one real number a step in place of a token. In both forms every step is scored. With `shortest`, each
row draws its delay anew, from `shortest` to `delay` (Henaff et al. 2016), so that counting steps is of no use.

Floor: 10 ln 8 / (T + 20) nats a step for 10 symbols: blanks are certain, the symbols a guess among 8; T is the mean delay.

Best: 0, which unitary and orthogonal networks come near (Arjovsky et al. 2016; Henaff et al. 2016).

Source: Arjovsky, Shah & Bengio 2016, arXiv:1511.06464; Bai, Kolter & Koltun 2018, arXiv:1803.01271; variable delay: Henaff,
Szlam & LeCun 2016, arXiv:1602.06662.

Group: memory probes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import numpy
import torch
from torch import Tensor

from rnnbench.options import Positive, Share

from .task import Batch, Reals, Stream, Task, Tokens, Totals, asked_steps

KINDS = 8  # symbols 1..8; 0 is the blank, 9 the cue


def symbol(batch: Batch) -> Tensor:
    """(B, S) bool: the steps that ask for a symbol; the blanks are 0."""
    return batch.targets > 0


class CopyMemory(Task):
    version = 1
    structure = "N->N"
    causal = True
    headline = "loss"
    direction = "min"
    unit = "nats a step"

    scoring = asked_steps(symbol)
    targets = Tokens(KINDS + 1)

    def __init__(
        self,
        delay: Positive = 100,  # steps between the last symbol and the first answer
        symbols: Positive = 10,  # number of symbols to remember
        form: Literal[
            "arjovsky", "bai"
        ] = "arjovsky",  # arjovsky: tokens and one cue; bai: one real number per step and several cues
        sequences: Positive = 1000,  # sequences in the validation set, and in the test set
        solved_above: Share = 0.99,  # accuracy on the remembered symbols that counts as solved
        shortest: Positive | None = None,  # draw each sequence's delay from this to task.delay; null: always task.delay
    ):
        if shortest is not None and shortest > delay:
            raise ValueError(f"task.shortest={shortest} is more than task.delay={delay}")
        self.delay, self.symbols, self.form, self.shortest = delay, symbols, form, shortest
        self.sequences, self.solved_above = sequences, solved_above
        self.inputs: Stream = Tokens(KINDS + 2) if form == "arjovsky" else Reals(1)
        self.steps = delay + 2 * symbols

    @property
    def floor(self) -> float:
        spared = (self.delay - self.shortest) / 2 if self.shortest else 0
        return self.symbols * math.log(KINDS) / (self.steps - spared)

    def solved(self, scores: Mapping[str, float]) -> bool:
        return scores["accuracy"] > self.solved_above

    def draw(self, random: numpy.random.Generator, rows: int) -> Batch:
        symbols = random.integers(1, KINDS + 1, (rows, self.symbols))
        spared = random.integers(0, self.delay - self.shortest + 1, rows) if self.shortest else numpy.zeros(rows, int)
        lengths = (self.steps - spared)[:, None]
        steps = numpy.arange(lengths.max())
        inputs = numpy.zeros((rows, len(steps)), int)
        inputs[:, : self.symbols] = symbols
        answers = lengths - self.symbols  # the step of the first; the cue stands before it
        inputs[(steps >= answers - 1) & (steps < (answers if self.form == "arjovsky" else lengths))] = KINDS + 1
        targets = numpy.zeros_like(inputs)
        numpy.put_along_axis(targets, answers + numpy.arange(self.symbols), symbols, 1)
        tokens = torch.from_numpy(inputs)
        return Batch(
            tokens if self.form == "arjovsky" else tokens.float().unsqueeze(-1),
            torch.from_numpy(targets),
            scored=torch.from_numpy(steps < lengths),
            lengths=torch.from_numpy(lengths[:, 0]),
            fresh=torch.ones(rows, dtype=torch.bool),
        )

    def finish(self, sums: Totals) -> dict[str, float]:
        scores = super().finish(sums)
        return {"loss": scores["loss"], "accuracy": scores["accuracy"]}

    def floor_guess(self, batch: Batch) -> Tensor:
        certain = torch.full((*batch.targets.shape, KINDS + 1), -math.inf, device=batch.targets.device)
        certain[..., 0] = torch.where(batch.targets == 0, 0.0, -math.inf)
        certain[..., 1:] = torch.where(batch.targets > 0, 0.0, -math.inf).unsqueeze(-1)
        return certain
