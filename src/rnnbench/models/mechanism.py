"""The contract of a mechanism: one layer, in one direction, and its state as a tree of tensors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

State = Any  # a tensor, or a tuple of states; every tensor's first axis is the batch


class Mechanism(nn.Module, ABC):
    """One recurrent layer reading forward in time.

    Options are the constructor's parameters after `input_size`. A cell stands alone:

        >>> y, state = LSTM(input_size=8, hidden_size=16)(torch.randn(4, 10, 8))
        >>> y.shape
        torch.Size([4, 10, 16])
    """

    version: ClassVar[int]  # raised when the numbers that the mechanism makes change

    input_size: int
    output_size: int

    @abstractmethod
    def forward(self, x: Tensor, state: State | None = None, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        """x (B, T, input_size) to (y (B, T, output_size), state after each row's last valid step).

        `state` None starts from the mechanism's own initial state. `lengths` (B,) counts the valid steps of a row;
        padding stands at the end and changes neither valid outputs nor gradients. What y holds at padding is unsaid.
        """

    @abstractmethod
    def initial_state(self, batch_size: int) -> State:
        """The state that a row starts from."""


def tree_map(function: Callable[..., Tensor], *states: State) -> State:
    """`function` on the corresponding tensors of equally built states."""
    first = states[0]
    if isinstance(first, Tensor):
        return function(*states)
    return tuple(tree_map(function, *parts) for parts in zip(*states, strict=True))


def detach(state: State) -> State:
    return tree_map(Tensor.detach, state)


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
    """x (B, T, ...) with the valid steps of each row in reverse order; padding stays where it is."""
    if lengths is None:
        return x.flip(1)
    steps = torch.arange(x.shape[1], device=x.device)
    index = lengths.unsqueeze(1) - 1 - steps
    index = torch.where(index < 0, steps, index)
    return x.gather(1, index.view(*index.shape, *[1] * (x.dim() - 2)).expand_as(x))


def leaves(state: State) -> list[Tensor]:
    """The tensors of a state, in order."""
    return [state] if isinstance(state, Tensor) else [leaf for part in state for leaf in leaves(part)]
