"""Depth, direction, dropout and the first state around a mechanism: one wrapper for the whole zoo."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..kernels.recurrence import GradientSink
from ..options import Needs, Positive, Rate
from .dropout import RecurrentDropout, Zoneout
from .mechanism import Mechanism, State, at_last, check_width, first_state, flip, leaves, tree_map
from .recompute import read_in_segments


class Stack(nn.Module):
    """`layers` of a mechanism, in one direction or two.

    A layer of an interleaved stack reads what both directions of the layer below made, as in PyTorch; separate ones are two
    stacks, one a direction, whose ends are read side by side (Tai, Socher & Manning 2015, arXiv:1503.00075). Reading backward
    is exact for ragged rows: each row's valid steps are reversed, read forward and reversed again.

    Recurrent dropout: Gal & Ghahramani 2016, arXiv:1512.05287; zoneout: Krueger et al. 2017, arXiv:1606.01305.

    Between layers everything is time-major. The state is a tuple of one entry a layer, each a tuple of one state a direction.
    """

    def __init__(
        self,
        build: Callable[[int], Mechanism],
        input_size: int,
        layers: Positive = 1,  # layers of the cell, each reading the one below
        bidirectional: bool = False,  # each layer reads forward and backward
        two_forward: bool = False,  # control of bidirectional: both directions read forward
        tied_directions: bool = False,  # both directions share weights
        depth_form: Annotated[
            Literal["interleaved", "separate"], Needs("layers", least=2), Needs("bidirectional", "two_forward")
        ] = "interleaved",  # a layer reads both directions of the layer below, or only its own
        dropout: Annotated[Rate, Needs("layers", least=2)] = 0.0,  # dropout probability between layers
        dropout_mask: Annotated[
            Literal["step", "sequence"], Needs("dropout")
        ] = "step",  # a new mask per step, or one per sequence
        recurrent_dropout: Rate = 0.0,  # variational dropout on the recurrent input (Gal & Ghahramani 2016)
        zoneout: Rate = 0.0,  # zoneout probability of the output h (Krueger et al. 2017)
        cell_zoneout: Rate = 0.0,  # zoneout probability of the cell state c
        initial_state: Literal[
            "zero", "learned"
        ] = "zero",  # initial state of a sequence; learned: a parameter that starts at zero
    ):
        super().__init__()
        if bidirectional and two_forward:
            raise ValueError("model.bidirectional and model.two_forward exclude each other")
        if tied_directions and not bidirectional:
            raise ValueError("model.tied_directions=true needs model.bidirectional=true")
        self.bidirectional, self.directions = bidirectional, 2 if bidirectional or two_forward else 1
        self.separate, self.dropout, self.mask = depth_form == "separate", dropout, dropout_mask
        self.layers: Any = nn.ModuleList()  # of one list of cells a layer; tied directions have one cell
        for _ in range(layers):
            cells = [build(input_size) for _ in range(1 if tied_directions else self.directions)]
            if zoneout or cell_zoneout:
                cells = [Zoneout(cell, zoneout, cell_zoneout) for cell in cells]
            if recurrent_dropout:
                cells = [RecurrentDropout(cell, recurrent_dropout) for cell in cells]
            self.layers.append(nn.ModuleList(cells))
            input_size = cells[0].output_size * (1 if self.separate else self.directions)
        self.output_size = cells[0].output_size * self.directions
        self.recurrent = cells[0].recurrent  # else the state is a window of what was read
        self.initial: Any = None
        if initial_state == "learned":
            if not self.recurrent:
                raise ValueError(f"model.initial_state=learned: {type(cells[0]).__name__} starts from nothing")
            self.initial = nn.ParameterList(leaf[0] for leaf in leaves(self._zero_state(1)))

    def _zero_state(self, batch_size: int) -> State:
        return tuple(tuple(cell.initial_state(batch_size) for cell in self._cells(layer)) for layer in self.layers)

    def _cells(self, layer: Any) -> list[Mechanism]:
        """The cell of each direction."""
        return [layer[direction % len(layer)] for direction in range(self.directions)]

    def initial_state(self, batch_size: int) -> State:
        state = self._zero_state(batch_size)
        if self.initial is None:
            return state
        learned = iter(self.initial)
        return tree_map(lambda zeros: zeros + next(learned), state)

    def forward(self, x: Tensor, state: State | None = None, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        """x (B, T, D) to (y (B, T, output_size), state); see Mechanism.forward."""
        y, state = self.unroll(x.transpose(0, 1), first_state(self.initial_state(len(x)), state), lengths)
        return y.transpose(0, 1), state

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """`forward` of one step: x (B, D) to (y (B, output_size), state)."""
        if self.training or self.bidirectional or torch.is_grad_enabled() or torch.is_autocast_enabled(x.device.type):
            y, state = self(x.unsqueeze(1), state)
            return y[:, 0], state
        parts, states = [x] * self.directions, []
        for depth, (layer, begin) in enumerate(zip(self.layers, state, strict=True)):
            if depth and not self.separate:
                parts = [self._together(parts, None)] * self.directions
            ends = []
            for direction, (cell, start) in enumerate(zip(layer, begin, strict=True)):
                parts[direction], end = cell.advance(parts[direction], start)
                ends.append(end)
            states.append(tuple(ends))
        return self._together(parts, None), tuple(states)

    def unroll(
        self, x: Tensor, state: State, lengths: Tensor | None = None, observe: Callable[..., None] | None = None
    ) -> tuple[Tensor, State]:
        """The time-major twin of `forward`. `observe`, if given, is called with each cell's name, itself, x, state and y."""
        check_width(x, self.layers[0][0])
        parts, states = self._apart(x, lengths), []  # what each direction reads, in its own order
        for depth, (layer, begin) in enumerate(zip(self.layers, state, strict=True)):
            if depth and self.separate:
                parts = [self._drop(part) for part in parts]
            elif depth:
                parts = self._apart(self._drop(self._together(parts, lengths)), lengths)
            ends = []
            for direction, (cell, start) in enumerate(zip(self._cells(layer), begin, strict=True)):
                y, end = read_in_segments(cell, parts[direction], start, lengths)
                if observe:
                    observe(f"{depth}.{direction}", cell, parts[direction], start, y)
                parts[direction] = y
                ends.append(end)
            states.append(tuple(ends))
        return self._together(parts, lengths), tuple(states)

    def _apart(self, x: Tensor, lengths: Tensor | None) -> list[Tensor]:
        return [x, flip(x, lengths)] if self.bidirectional else [x] * self.directions

    def _together(self, parts: list[Tensor], lengths: Tensor | None) -> Tensor:
        if self.bidirectional:
            parts = [parts[0], flip(parts[1], lengths)]
        return torch.cat(parts, -1) if len(parts) > 1 else parts[0]

    def _drop(self, x: Tensor) -> Tensor:
        if self.mask == "sequence":
            return x * functional.dropout(torch.ones_like(x[0]), self.dropout, self.training)
        return functional.dropout(x, self.dropout, self.training)

    def last(self, y: Tensor, lengths: Tensor | None) -> Tensor:
        """(B, output_size): what each direction had when it had read the whole row: at its end, and at its start."""
        if not self.bidirectional:
            return at_last(y, lengths)
        forward, backward = y.chunk(2, -1)
        return torch.cat([at_last(forward, lengths), backward[:, 0]], -1)

    # what instruments ask for

    @torch.no_grad()
    def activity(self, x: Tensor, state: State | None = None, lengths: Tensor | None = None) -> dict[str, Tensor]:
        """What each layer and direction does with x (B, T, D): `0.0/h` its outputs, `0.0/i` and so on its gates.

        Each is (valid steps of all rows, H). May go through time step by step: for a small batch, in evaluation mode.
        """
        found: dict[str, Tensor] = {}
        valid = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
        if lengths is not None:
            valid = torch.arange(x.shape[1], device=x.device) < lengths.unsqueeze(1)

        def observe(name: str, cell: Mechanism, x: Tensor, state: State, y: Tensor) -> None:
            found[f"{name}/h"] = y.transpose(0, 1)[valid]
            for gate, values in cell.gates(x.transpose(0, 1), state, y.transpose(0, 1)).items():
                found[f"{name}/{gate}"] = values[valid]

        self.unroll(x.transpose(0, 1), self.initial_state(len(x)) if state is None else state, lengths, observe)
        return found

    def recurrent_matrices(self) -> dict[str, Tensor]:
        """`0.0/h` and so on: the square matrices (H, H) of each layer and direction, by gate."""
        return {
            f"{depth}.{direction}/{gate}": matrix
            for depth, layer in enumerate(self.layers)
            for direction, cell in enumerate(self._cells(layer))
            for gate, matrix in cell.recurrent_matrices().items()
        }


@contextmanager
def recording(stack: Stack) -> Iterator[dict[str, GradientSink]]:
    """Around a forward and a backward pass: the norms of ∂L/∂h_t and ∂L/∂c_t of each layer and direction (`0.0`).

    Filled when the block ends. The steps stand in the order in which the cell read them, those of several calls one after
    the other. A state that no loss reached, and a mechanism without recurrence, has None.
    """
    found: dict[str, GradientSink] = {}
    cells: list[tuple[int, int, Mechanism, list[GradientSink | list[GradientSink]]]] = [
        (depth, turn, cell, []) for depth, layer in enumerate(stack.layers) for turn, cell in enumerate(layer)
    ]
    for _, _, cell, sinks in cells:
        cell.record(sinks)
    try:
        yield found
    finally:
        for depth, turn, cell, sinks in cells:
            cell.record(None)
            sharing = stack.directions // len(stack.layers[depth])  # tied directions call one cell in turn
            for direction in range(sharing):
                calls = [call if isinstance(call, list) else [call] for call in sinks[direction::sharing]]
                h, c = ([getattr(sink, name) for call in calls for sink in call] for name in ("h", "c"))
                found[f"{depth}.{turn + direction}"] = GradientSink(_joined(h), _joined(c))


def _joined(norms: list[Tensor | None]) -> Tensor | None:
    known = [part for part in norms if part is not None]
    return torch.cat(known) if known else None
