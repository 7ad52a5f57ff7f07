"""Arithmetic: add or subtract two numbers that are written out with letters in between.

    text     3 e 3 6 d 9 - h 1 h 3 9 f 9 4 c = - 1 0 6 2 5      (3369 - 13994 = -10625)
    inputs   3 e 3 6 d 9 - h 1 h 3 9 f 9 4 c = - 1 0 6 2
    targets  - - - - - - - - - - - - - - - - - 1 0 6 2 5        and at "=" the minus sign: 6 steps are scored

Two numbers of 1 to `digits` digits (the number of digits is drawn first), the first with a minus sign half of the time, with +
or - between them; after each character of the question 0 to `distractors` letters are put in. The answer follows "=", a
character a step, without leading zeros; only its characters are scored, each from the true ones before it. With `end_mark` a
"." ends it, and is scored, too: 40 symbols, as in the paper by what others say of it.
A row is one problem. Jozefowicz et al. say what is asked and show one example; how digits and letters are drawn is ours, and
they feed an endless text, 35 characters at a time with the state carried over.

Floor: accuracy on the test split of always answering the character that 1,000 training answers have most often.

Best: 1; the best of Jozefowicz et al. is .921 (MUT1), their LSTM with a forget bias of 1 has .902, their GRU .896.

Source: Jozefowicz, Zaremba & Sutskever 2015, section 3.5.

Group: memory probes.
"""

from __future__ import annotations

import functools
from typing import Annotated

import numpy
import torch
from torch import Tensor

from rnnbench.options import Count, Positive, Range, Share

from .task import Batch, Task, Tokens, certain

SYMBOLS = "0123456789+-=abcdefghijklmnopqrstuvwxyz."  # the last one with end_mark only
CODES = numpy.zeros(128, int)
CODES[[ord(symbol) for symbol in SYMBOLS]] = range(len(SYMBOLS))
LETTERS = SYMBOLS.index("a")


class Arithmetic(Task):
    version = 1
    structure = "N->N"
    causal = True
    headline = "accuracy"
    direction = "max"
    unit = "share of the answers' characters"

    def __init__(
        self,
        digits: Annotated[int, Range(1, 18)] = 8,  # largest number of digits of a number
        distractors: Count = 3,  # largest number of letters after a character of the question
        sequences: Positive = 1000,  # problems in the validation set, and in the test set
        solved_above: Share = 0.99,  # accuracy that counts as solved
        end_mark: bool = False,  # a "." ends the answer and is scored, too
    ):
        self.digits, self.distractors, self.sequences, self.solved_above = digits, distractors, sequences, solved_above
        self._mark = "." if end_mark else ""
        self.inputs = self.targets = Tokens(len(SYMBOLS) if end_mark else len(SYMBOLS) - 1)

    @functools.cached_property
    def _guess(self) -> int:
        batch = self.batch("train", 0, 1000, 0)
        return int(batch.targets[batch.scored].bincount().argmax())

    @functools.cached_property
    def floor(self) -> float:
        test = self.batch("test", 0, self.sequences, 0)
        return float((test.targets[test.scored] == self._guess).double().mean())

    def draw(self, random: numpy.random.Generator, rows: int) -> Batch:
        digits = random.integers(1, self.digits + 1, (2, rows))
        first, second = random.integers(numpy.where(digits > 1, 10 ** (digits - 1), 0), 10**digits)
        first *= 1 - 2 * random.integers(0, 2, rows)
        minus = random.integers(0, 2, rows)
        results = first + second * (1 - 2 * minus)
        questions = [f"{a}{'+-'[m]}{b}=" for a, b, m in zip(first.tolist(), second.tolist(), minus.tolist(), strict=True)]
        answers = [f"{result}{self._mark}" for result in results.tolist()]
        text = "".join(question + answer for question, answer in zip(questions, answers, strict=True))
        asked, said = (numpy.array([len(part) for part in parts]) for parts in (questions, answers))
        row = numpy.repeat(numpy.arange(rows), asked + said)
        place = numpy.arange(len(text)) - numpy.repeat((asked + said).cumsum() - asked - said, asked + said)
        gap = random.integers(0, self.distractors + 1, len(text)) * (place < asked[row] - 1)
        ends = (1 + gap).cumsum()
        lengths = numpy.bincount(row, 1 + gap).astype(int)
        at = ends - 1 - gap - (lengths.cumsum() - lengths)[row]
        symbols = random.integers(LETTERS, LETTERS + 26, (rows, lengths.max()))
        symbols[row, at] = CODES[numpy.frombuffer(text.encode(), numpy.uint8)]
        steps = numpy.arange(lengths.max() - 1)
        valid = steps < lengths[:, None] - 1
        return Batch(
            inputs=torch.from_numpy(numpy.where(valid, symbols[:, :-1], 0)),
            targets=torch.from_numpy(numpy.where(valid, symbols[:, 1:], 0)),
            scored=torch.from_numpy(valid & (steps >= (lengths - said)[:, None] - 1)),
            lengths=torch.from_numpy(lengths - 1),
            fresh=torch.ones(rows, dtype=torch.bool),
        )

    def floor_guess(self, batch: Batch) -> Tensor:
        return certain(self._guess, self.targets.size, batch)
