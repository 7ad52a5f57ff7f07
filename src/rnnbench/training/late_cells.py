"""When the hidden layer of a network that is trained row by row joins it: once the error stops falling.

Hochreiter & Schmidhuber 1997 add cell and gate so in experiments 2a and 2b, by a test that is not printed. Ours looks after
each stretch of `every` rows: the layer joins where the stretch's mean squared error is not lower than that of the stretch
before by a hundredth of it.
"""

from __future__ import annotations

import math

import numpy

FALLS = 0.99  # an error falls where it is below this share of the one before


class LateCells:
    """Follows the error. `every` 0: the layer is there from the first row."""

    def __init__(self, every: int):
        self.every = every
        # squared errors of this stretch and of the one before, and the row that the layer joined after (-1: not yet)
        self.numbers = numpy.array([0.0, math.inf, -1.0])

    @property
    def joined(self) -> int | None:
        """The row after which the layer joined; None before."""
        row = int(self.numbers[2]) if self.every else 0
        return None if row < 0 else row

    def stretch_end(self, step: int, end: int) -> int:
        """The row, at most `end`, up to which training may go on after `step` rows without a look."""
        return end if self.joined is not None else min(end, (step // self.every + 1) * self.every)

    def add(self, total: float, step: int) -> None:
        """Takes the squared errors of the rows since the last call, of which the last one is number `step`."""
        if self.joined is not None:
            return
        self.numbers[0] += total
        if step % self.every == 0:
            now, before, _ = self.numbers
            self.numbers[:] = 0.0, now, -1 if now < FALLS * before else step
