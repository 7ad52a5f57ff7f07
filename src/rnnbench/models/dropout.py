"""Noise on the state of a mechanism while it trains, as wrappers around it; they go through time step by step.

    recurrent dropout   the products with recurrent matrices read m * h_{t-1}, with one mask m a row and call
    zoneout             h_t = m_t * h_{t-1} + (1 - m_t) * h~_t, c likewise, with a new mask each step; h~ is the cell's own

Recurrent dropout scales what it keeps by 1 / (1 - rate) and is off in evaluation, where zoneout uses the mean of m_t.

Source: Gal & Ghahramani 2016, arXiv:1512.05287; Krueger et al. 2017, arXiv:1606.01305.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from .mechanism import Mechanism, State, Step, leaves, tree_map


class RecurrentDropout(Mechanism):
    def __init__(self, cell: Mechanism, rate: float):
        super().__init__()
        if not cell.recurrent_matrices():
            raise ValueError(f"model.recurrent_dropout={rate} needs a recurrent matrix, and {type(cell).__name__} has none")
        self.cell, self.rate = cell, rate
        self.input_size, self.output_size = cell.input_size, cell.output_size

    def initial_state(self, batch_size: int) -> State:
        return self.cell.initial_state(batch_size)

    def step(self, x: Tensor, state: State, seen: Tensor | None = None) -> Step:
        return self.cell.step(x, state, seen)

    def advance(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        return self.cell.advance(x, state)

    def unroll(self, x: Tensor, state: State, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        return self.reader(state)(x, state, lengths)

    def reader(self, state: State) -> Callable[..., tuple[Tensor, State]]:
        if not self.training:
            return self.cell.unroll
        mask = functional.dropout(torch.ones_like(leaves(state)[0]), self.rate, training=True)
        return functools.partial(self.cell.loop, mask=mask)

    def recurrent_matrices(self) -> dict[str, Tensor]:
        return self.cell.recurrent_matrices()


class Zoneout(Mechanism):
    def __init__(self, cell: Mechanism, rate: float, cell_rate: float):
        super().__init__()
        if not cell.recurrent:
            raise ValueError(f"model.zoneout={rate} needs a recurrent state, and {type(cell).__name__} has none")
        if cell_rate and len(leaves(cell.initial_state(1))) < 2:
            raise ValueError(f"model.cell_zoneout={cell_rate} needs a state c beside h, and {type(cell).__name__} has none")
        self.cell, self.rates = cell, (rate, cell_rate)  # of h and of c
        self.input_size, self.output_size = cell.input_size, cell.output_size

    def initial_state(self, batch_size: int) -> State:
        return self.cell.initial_state(batch_size)

    def step(self, x: Tensor, state: State, seen: Tensor | None = None) -> Step:
        _, new, gates = self.cell.step(x, state, seen)
        rates = itertools.chain(self.rates, itertools.repeat(0.0))
        new = tree_map(lambda before, after: self._mix(before, after, next(rates)), state, new)
        return leaves(new)[0], new, gates

    def _mix(self, before: Tensor, after: Tensor, rate: float) -> Tensor:
        if not rate:
            return after
        if self.training:
            return torch.where(torch.rand_like(after) < rate, before, after)
        return torch.lerp(after, before, rate)

    def recurrent_matrices(self) -> dict[str, Tensor]:
        return self.cell.recurrent_matrices()
