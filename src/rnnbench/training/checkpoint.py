"""What a checkpoint holds, and how it is split over devices again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import NamedTuple, TypedDict

import torch
from torch import Tensor, nn

from ..models.mechanism import State, detach, tree_map
from .devices import Devices
from .loader import interleave

# Name of a value in a checkpoint: the attribute of the learner, or of a part of it, that holds the value.
KEPT = {
    "step": "step",
    "stopped": "selection.stopped",
    "best": "selection.best",
    "stale": "selection.stale",
    "past": "selection.past",
    "reductions": "selection.reductions",
    "solved_step": "selection.solved_step",
    "seconds_to_solved": "selection.seconds_to_solved",
    "seconds": "clock.seconds",
    "scores": "scores",
    "characters_per_second": "reporter.characters_per_second",
    "totals": "clock.totals",
    "_row_at": "clock.row_seconds",
    "_row_step": "clock.row_step",
}

Window = list[tuple[Tensor, ...]]  # loss, and gradient norm where it is clipped, of each step since the last row


class Checkpoint(TypedDict):
    """All that training needs to go on to the same numbers; tensors and plain values only."""

    kept: dict[str, object]  # by the names of KEPT
    network: dict[str, Tensor]
    optimizer: dict[str, object]
    random: list[dict[str, Tensor]]  # states of the generators, by rank
    state: State | None  # carried from batch to batch, of the rows of all devices
    window: Window  # losses are sums over devices
    work: list[int]  # sequences and tokens since the last row, over all devices


class DevicePart(NamedTuple):
    """What differs from device to device."""

    random: dict[str, Tensor] | None  # None where the checkpoint was made on fewer devices
    state: State | None
    window: Window
    work: list[int]


def kept_values(learner: nn.Module) -> dict[str, object]:
    return {name: attrgetter(place)(learner) for name, place in KEPT.items()}


def restore_values(learner: nn.Module, kept: Mapping[str, object]) -> None:
    """Gives the learner what `kept_values` took of one; a checkpoint of version 0.1 lacks `past`, which no run needed then."""
    for name, place in KEPT.items():
        part, _, attribute = place.rpartition(".")
        if name in kept or name != "past":
            setattr(attrgetter(part)(learner) if part else learner, attribute, kept[name])


def device_part(state: State | None, window: Window, work: list[int], device: torch.device) -> DevicePart:
    """This device's part, with the present states of the random generators."""
    random = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        random["cuda"] = torch.cuda.get_rng_state(device)
    return DevicePart(random, None if state is None else detach(state), window, work)


def make_checkpoint(
    learner: nn.Module, network: nn.Module, optimizer: torch.optim.Optimizer, parts: Sequence[DevicePart]
) -> Checkpoint:
    """The checkpoint of a learner whose devices have `parts`, by rank."""
    return {
        "kept": kept_values(learner),
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "random": [part.random for part in parts if part.random is not None],
        "state": None if parts[0].state is None else tree_map(interleave, *(part.state for part in parts)),
        "window": [_joined(steps) for steps in zip(*(part.window for part in parts), strict=True)],
        "work": [sum(counts) for counts in zip(*(part.work for part in parts), strict=True)],
    }


def _joined(steps: Sequence[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """One step of the window on all devices: the sum of its losses, and the gradient norm, the same on all of them."""
    loss = sum((step[0].cpu() for step in steps[1:]), steps[0][0].cpu())
    return loss, *(value.cpu() for value in steps[0][1:])


def split_checkpoint(checkpoint: Checkpoint, devices: Devices) -> DevicePart:
    """The part of this device: its rows of the state; sums over devices go on at rank 0."""
    rank, count, device = devices.rank, devices.count, devices.device
    state = checkpoint["state"]
    if state is not None:
        state = tree_map(lambda part: part[rank::count].to(device), state)
    window: Window = [tuple(value.to(device) for value in step) for step in checkpoint["window"]]
    if rank:
        window = [(torch.zeros_like(loss), *norm) for loss, *norm in window]
    random = checkpoint["random"][rank] if rank < len(checkpoint["random"]) else None
    return DevicePart(random, state, window, [0, 0] if rank else list(checkpoint["work"]))


def set_random_state(random: Mapping[str, Tensor], device: torch.device) -> None:
    """Sets the generators to the states that a checkpoint has of them."""
    torch.set_rng_state(random["cpu"])
    if "cuda" in random and device.type == "cuda":
        torch.cuda.set_rng_state(random["cuda"], device)
