"""Activations that are computed again in the backward pass instead of being kept: `trainer.recompute`.

A recurrence is read in segments of time. Of each, only the state before it is kept; what the backward pass needs of its steps
is computed again when it gets there. The last segment keeps its own: it would be computed again at once. So the activations
within a cell take the memory of one segment, and the steps of the others are computed twice. More segments would save little
more, since inputs and outputs are kept anyway, and take longer. What is drawn at random is the same.

Source: Chen, Xu, Zhang & Guestrin 2016, Training deep nets with sublinear memory cost, arXiv:1604.06174.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .mechanism import Mechanism, State

Result = TypeVar("Result")
SEGMENTS = 4  # of a sequence


def set_recompute(network: nn.Module, on: bool) -> None:
    """Sets whether the mechanisms of `network` recompute their activations while it trains."""
    for part in network.modules():
        if isinstance(part, Mechanism):
            part.recompute = on


def read_in_segments(cell: Mechanism, x: Tensor, state: State, lengths: Tensor | None = None) -> tuple[Tensor, State]:
    """`cell.unroll`, of a recurrent cell that recomputes its activations: in segments, where gradients are wanted."""
    size = -(-len(x) // SEGMENTS)
    if not (cell.recompute and cell.recurrent and torch.is_grad_enabled()) or size >= len(x):
        return cell.unroll(x, state, lengths)
    reader, sinks, outputs = cell.reader(state), cell.sinks, []
    of_segments: list[Any] | None = None if sinks is None else []
    cell.record(of_segments)
    try:
        for start, segment in zip(range(0, len(x), size), x.split(size), strict=True):
            valid = None if lengths is None else (lengths - start).clamp(0, len(segment))
            y, state = recomputed(start + size < len(x), reader, segment, state, valid, around=cell)
            outputs.append(y)
    finally:
        cell.record(sinks)
    if sinks is not None:
        sinks.append(of_segments)
    return torch.cat(outputs), state


def recomputed(wanted: bool, function: Callable[..., Result], *arguments: Any, around: Mechanism) -> Result:
    """function(*arguments); where `wanted` and gradients are, too, its activations are computed again in the backward pass.

    `around` is the mechanism that it is a part of: what is recorded of gradients is recorded once.
    """
    if not (wanted and torch.is_grad_enabled()):
        return function(*arguments)
    again = _recorded_elsewhere(around, around.sinks is not None)
    return checkpoint(function, *arguments, use_reentrant=False, context_fn=lambda: (contextlib.nullcontext(), again))


@contextlib.contextmanager
def _recorded_elsewhere(cell: Mechanism, recorded: bool) -> Iterator[None]:
    """Inside, `cell` computes as it did, with a record of gradients or without; the record itself is thrown away."""
    before = cell.sinks
    cell.record([] if recorded else None)
    try:
        yield
    finally:
        cell.record(before)
