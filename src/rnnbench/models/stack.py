"""Depth, direction and dropout around a mechanism: one wrapper for the whole zoo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnbench.options import Positive, Rate

from .mechanism import Mechanism, State, at_last, flip


class Stack(nn.Module):
    """`layers` of a mechanism; each layer of a bidirectional one reads both directions, as in PyTorch.

    Dropout stands between layers, as in the library's own layers. Reading backward is exact for ragged rows: each row's
    valid steps are reversed, read forward and reversed again.

    The state is a tuple of one entry a layer, each a tuple of one state a direction.
    """

    def __init__(
        self,
        build: Callable[[int], Mechanism],
        input_size: int,
        layers: Positive = 1,
        bidirectional: bool = False,  # every layer reads both directions
        dropout: Rate = 0.0,  # share zeroed between layers
    ):
        super().__init__()
        self.bidirectional, self.dropout = bidirectional, dropout
        directions = 2 if bidirectional else 1
        self.layers: Any = nn.ModuleList()  # of one list of cells a layer
        for _ in range(layers):
            cells = [build(input_size) for _ in range(directions)]
            self.layers.append(nn.ModuleList(cells))
            input_size = directions * cells[0].output_size
        self.output_size = input_size

    def initial_state(self, batch_size: int) -> State:
        return tuple(tuple(cell.initial_state(batch_size) for cell in layer) for layer in self.layers)

    def forward(self, x: Tensor, state: State | None = None, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        """x (B, T, D) to (y (B, T, output_size), state); see Mechanism.forward."""
        states = []
        for depth, layer in enumerate(self.layers):
            if depth:
                x = functional.dropout(x, self.dropout, self.training)
            begin = (None, None) if state is None else state[depth]
            outputs, ends = [], []
            for direction, (cell, start) in enumerate(zip(layer, begin, strict=False)):
                y, end = cell(flip(x, lengths) if direction else x, start, lengths)
                outputs.append(flip(y, lengths) if direction else y)
                ends.append(end)
            x = torch.cat(outputs, -1) if self.bidirectional else outputs[0]
            states.append(tuple(ends))
        return x, tuple(states)

    def last(self, y: Tensor, lengths: Tensor | None) -> Tensor:
        """(B, output_size): what each direction had when it had read the whole row: at its end, and at its start."""
        if not self.bidirectional:
            return at_last(y, lengths)
        forward, backward = y.chunk(2, -1)
        return torch.cat([at_last(forward, lengths), backward[:, 0]], -1)
