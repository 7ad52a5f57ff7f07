"""Random weight guessing, the control of 1997: no gradient, new weights after each row that is wrong.

All weights are drawn anew, uniform in ± `train.guess_spread`. The rows are those that train.rule=online trains on, in order;
they are right or wrong by their targets without noise. Training ends when `train.window` rows in a row are right, and their
mean absolute error is below `train.window_error`; else all is drawn anew. Guess n is number n % size of a
block of guesses, a pure function of the seed and n // size.

Source: Hochreiter & Schmidhuber 1997, section 5, who compare with it; the spread and the window are ours.
"""

from __future__ import annotations

import functools

import numpy

from ..kernels.guessing import Goal, Guesses, guess_sequences
from ..kernels.lstm_1997 import Array, NetworkForm
from .learner import Learner
from .online import Done, Loop, Stream

STREAMS = 0x6E55  # the first word of the keys of guesses; those of batches begin with another
BLOCK = 1000  # guesses that are drawn together; fewer where there are many weights


class Guessing(Loop):
    """Guesses all weights of the network of a learner."""

    def __init__(self, learner: Learner, most: int | None = None):
        super().__init__(learner, most)
        self.stream = Stream(learner.task, learner.seed, noise_free=True)
        self.counts, self.error = Guesses.none_yet()
        self.goal = Goal(self.options.window, self.options.window_error, self.tolerance)
        self.size = sum(part.size for part in self.online.weights)
        self.block = max(1, min(BLOCK, 10**6 // self.size))
        self._drawn = functools.lru_cache(1)(self._draw)

    def _draw(self, index: int) -> Array:
        key = numpy.random.SeedSequence((STREAMS, self.learner.seed, index))
        spread = self.options.guess_spread
        return numpy.random.Generator(numpy.random.Philox(key)).uniform(-spread, spread, (self.block, self.size))

    def read(self, end: int) -> Done:
        rows = self.stream.rows(self.learner.step, end)
        index = int(self.counts[0]) // self.block
        guesses = Guesses(self._drawn(index), index * self.block, self.counts, self.error)
        assert isinstance(self.online.form, NetworkForm)
        done, total = guess_sequences(self.online.weights, self.online.form, rows, guesses, self.goal)
        return Done(done, total, int(rows.lengths[:done].sum()), bool(self.counts[1] == self.goal.window))

    def kept(self) -> tuple[Array, ...]:
        return self.counts, self.error

    def measured(self) -> dict[str, float]:
        guesses, right = self.counts.tolist()
        return {"train/guesses": guesses, "train/right": max(right, 0)}
