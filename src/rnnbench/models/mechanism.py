"""The contract of a mechanism: one layer, in one direction, and its state as a tree of tensors."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..kernels.lengths import shortest
from ..kernels.recurrence import Context, GradientSink
from ..options import checking_options

State = Any  # a tensor, or a tuple of states; every tensor's first axis is the batch
Step = tuple[Tensor, State, dict[str, Tensor]]  # y (B, D), the state after the step, its gates (B, H) by name


class Mechanism(nn.Module, ABC):
    """One layer that reads forward in time, of which it remembers a state of fixed size.

    Options are the constructor's parameters after `input_size`. A cell stands alone:

        >>> y, state = LSTM(input_size=8, hidden_size=16)(torch.randn(4, 10, 8))
        >>> y.shape
        torch.Size([4, 10, 16])

    `step` is the equations, and enough for a mechanism to be whole; `unroll` may be given in a faster form.
    """

    version: ClassVar[int] = 1  # raised when the numbers that the mechanism makes change
    recurrent: ClassVar[bool] = True  # the state's first tensor is the last output; where false, the state is a window
    backends: ClassVar[tuple[str, ...]] = ("loop",)  # what computes `unroll`
    pointwise: ClassVar[tuple[str, ...]] = ()  # matrices of parameters that are multiplied element by element

    input_size: int
    output_size: int
    backend: str = "auto"  # of `backends`, or auto; changes no number beyond rounding, so a model's options do not name it
    sinks: list[Any] | None = None  # see `record`
    recompute: bool = False  # activations are computed again in the backward pass: see `recompute.py`; by rounding only

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if "__init__" in vars(cls):
            cls.__init__ = checking_options(cls.__init__)  # type: ignore[method-assign]

    @abstractmethod
    def step(self, x: Tensor, state: State, seen: Tensor | None = None) -> Step:
        """x (B, input_size) and the state before it, to (y (B, output_size), the state after it, gates by name).

        `seen`, where given, is what products with recurrent matrices read in place of the last output.
        """

    def advance(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """(y (B, output_size), the state after it): `step` where neither gates nor gradients are wanted, in evaluation mode.

        May be given in a faster form.
        """
        return self.step(x, state)[:2]

    @abstractmethod
    def initial_state(self, batch_size: int) -> State:
        """The state that a row starts from."""

    def forward(self, x: Tensor, state: State | None = None, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        """x (B, T, input_size) to (y (B, T, output_size), state after each row's last valid step).

        `state` None starts from the mechanism's own initial state. `lengths` (B,) counts the valid steps of a row;
        padding stands at the end and changes neither valid outputs nor gradients. What y holds at padding is unsaid.
        ValueError where x or `state` has another shape.
        """
        check_width(x, self)
        y, state = self.unroll(x.transpose(0, 1), first_state(self.initial_state(len(x)), state), lengths)
        return y.transpose(0, 1), state

    def unroll(self, x: Tensor, state: State, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        """The time-major twin of `forward`: x (T, B, input_size) to (y (T, B, output_size), state)."""
        return self.loop(x, state, lengths)

    def reader(self, state: State) -> Callable[..., tuple[Tensor, State]]:
        """What `unroll` does to consecutive parts of one sequence that begins in `state`: what is drawn once, is drawn here."""
        return self.unroll

    def loop(self, x: Tensor, state: State, lengths: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, State]:
        """`unroll` step by step in plain autograd. `mask` (B, H) multiplies what recurrent matrices read."""
        sink, outputs = self.sink(), []
        whole = 0 if lengths is None else shortest(lengths, len(x))
        for t, x_t in enumerate(x):
            seen = None if mask is None else leaves(state)[0] * mask
            y, new, _ = self.step(x_t, state, seen)
            if sink is not None:
                _watch(sink, leaves(new), t, len(x))
            if t < whole:
                y, new = tree_map(as_it_is, (y, new))
            elif lengths is not None:
                ended = lengths <= t
                y, new = reset(y, ended, torch.zeros_like(y)), reset(new, ended, state)
            outputs.append(y)
            state = new
        return torch.stack(outputs), state

    @torch.no_grad()
    def gates(self, x: Tensor, state: State | None = None, y: Tensor | None = None) -> dict[str, Tensor]:
        """The gates (B, T, H) by name while reading x (B, T, input_size).

        With y (B, T, output_size), what the mechanism gave for x, all steps are computed at once where `seen_by_gates` says
        that this can be; else step by step, so for a small batch.
        """
        if not self.recurrent:
            return {}
        state = self.initial_state(len(x)) if state is None else state
        if y is not None:
            outputs = torch.cat([leaves(state)[0].unsqueeze(1), y[:, :-1]], 1).flatten(0, 1)
            seen = self.seen_by_gates(outputs)
            if seen is not None:
                gates = self.step(x.flatten(0, 1), seen)[2]
                return {name: values.unflatten(0, x.shape[:2]) for name, values in gates.items()}
        found = []
        for x_t in x.unbind(1):
            _, state, gates = self.step(x_t, state)
            found.append(gates)
        return {name: torch.stack([gates[name] for gates in found], 1) for name in found[0]}

    def seen_by_gates(self, y: Tensor) -> State | None:
        """A state after output y (N, output_size) in which all that gates depend on is true; None where y is not enough."""
        return y if isinstance(self.initial_state(1), Tensor) else None

    def recurrent_matrices(self) -> dict[str, Tensor]:
        """The square matrices (H, H) through which the state acts on the next step, by gate; none where it does not."""
        return {}

    def record(self, sinks: list[Any] | None) -> None:
        """From now on each forward pass appends to `sinks` the GradientSink that its backward pass fills, or a list of them,
        in the order of time, where it reads in segments; None ends that."""
        for part in self.modules():  # a wrapper may leave it to what it wraps
            if isinstance(part, Mechanism):
                part.sinks = sinks

    def sink(self) -> GradientSink | None:
        """Where this forward pass shall leave the gradients of its states; None unless they are recorded."""
        if self.sinks is None or not torch.is_grad_enabled():
            return None
        sink = GradientSink()
        self.sinks.append(sink)
        return sink


def _watch(sink: GradientSink, state: list[Tensor], t: int, steps: int) -> None:
    """Writes the norm of the total gradient of the state after step t to `sink`, once it is known."""

    def write(gradient: Tensor, norms: Tensor) -> None:
        norms[t] = gradient.norm()

    for name, leaf in zip(("h", "c"), state, strict=False):
        if t == 0:
            setattr(sink, name, leaf.new_zeros(steps))
        if leaf.requires_grad:
            leaf.register_hook(functools.partial(write, norms=getattr(sink, name)))


def check_width(x: Tensor, cell: Mechanism) -> None:
    """ValueError where `cell` cannot read x (.., .., D): some libraries read beyond the end of what is too short."""
    wanted = getattr(cell, "input_size", None)
    if x.dim() != 3 or wanted not in (None, x.shape[2]):
        raise ValueError(f"inputs of 3 dimensions, the last of {wanted}, are read here; got {tuple(x.shape)}")


def first_state(own: State, given: State | None) -> State:
    """`given`, or for None a model's `own` of as many rows. ValueError where the two have other shapes."""
    if given is None:
        return own
    got, wanted = ([tuple(leaf.shape) for leaf in leaves(one)] for one in (given, own))
    if got != wanted:
        raise ValueError(f"a state of {' '.join(map(str, wanted))} is read here; got {' '.join(map(str, got))}")
    return given


def leaves(state: State) -> list[Tensor]:
    """The tensors of a state, in order."""
    return [state] if isinstance(state, Tensor) else [leaf for part in state for leaf in leaves(part)]


def tree_map(function: Callable[..., Tensor], *states: State) -> State:
    """`function` on the corresponding tensors of equally built states."""
    first = states[0]
    if isinstance(first, Tensor):
        return function(*states)
    return tuple(tree_map(function, *parts) for parts in zip(*states, strict=True))


def detach(state: State) -> State:
    return tree_map(Tensor.detach, state)


def as_it_is(tensor: Tensor) -> Tensor:
    """What `reset` makes of it where no row begins anew: gradients are added up in the same order, so to the same bits."""
    return tensor.view_as(tensor)


def reset(state: State, fresh: Tensor, initial: State) -> State:
    """`state` with the rows that begin anew (`fresh`, (B,) bool) put back to `initial`."""

    def choose(old: Tensor, new: Tensor) -> Tensor:
        return torch.where(fresh.view(-1, *[1] * (old.dim() - 1)), new, old)

    return tree_map(choose, state, initial)


def at_last(y: Tensor, lengths: Tensor | None) -> Tensor:
    """(B, D): y (B, T, D) at each row's last valid step."""
    if lengths is None:
        return y[:, -1]
    return y[torch.arange(len(y), device=y.device), lengths - 1]


def flip(x: Tensor, lengths: Tensor | None) -> Tensor:
    """x (T, B, ...) with the valid steps of each row in reverse order; padding stays where it is."""
    if lengths is None:
        return x.flip(0)
    steps = torch.arange(len(x), device=x.device).unsqueeze(1)
    index = lengths - 1 - steps
    index = torch.where(index < 0, steps, index)
    rows = index * x.shape[1] + torch.arange(x.shape[1], device=x.device)
    return Rearranged.apply(x, rows.flatten())


class Rearranged(torch.autograd.Function):
    """x (T, B, ...) with the T B rows of it in another order, one that is undone by applying it again.

    So its gradient is itself, where that of a gather would add up rows one by one.
    """

    @staticmethod
    def forward(ctx: Context, x: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        return x.flatten(0, 1).index_select(0, rows).view(x.shape)

    @staticmethod
    def backward(ctx: Context, gradient: Tensor) -> tuple[Tensor, None]:
        return Rearranged.apply(gradient, *ctx.saved_tensors), None
