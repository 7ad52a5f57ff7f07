"""What a checkpoint holds, and how it is split over devices again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple, TypedDict, cast

import torch
from torch import Tensor, nn

from ..groups import TrainSettings
from ..models.mechanism import State, detach, tree_map
from ..networks.trainable import TrainableNetwork
from .devices import Devices
from .loader import interleave
from .optimizer import make_optimizer

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
    """All that training needs to continue to the same numbers; tensors and plain values only."""

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


NUMBER = int | float
KINDS: dict[str, Any] = {  # of the values of KEPT
    **dict.fromkeys(("step", "stale", "reductions", "_row_step"), int),
    **dict.fromkeys(("seconds", "_row_at"), NUMBER),
    **dict.fromkeys(("seconds_to_solved", "characters_per_second"), NUMBER | None),
    "stopped": bool,
    "solved_step": int | None,
    "best": dict,
    "scores": dict,
    "totals": list,
}


def check_checkpoint(checkpoint: Checkpoint, network: TrainableNetwork, options: TrainSettings) -> None:
    """An exception of some kind, with a message, where `network` could not be trained on from `checkpoint`.

    Nothing of `network` is changed: each part is held against what it would be put into, before anything is.
    """
    if lacks := Checkpoint.__annotations__.keys() - checkpoint.keys():
        raise ValueError(f"it lacks {', '.join(sorted(lacks))}")
    kept = checkpoint["kept"]
    for name, kind in KINDS.items():
        if not isinstance(kept[name], kind):
            raise TypeError(f"its {name} is {kept[name]!r:.40}")
    _check_weights(checkpoint["network"], network)
    best = cast(dict[str, Any], kept["best"])
    if best:
        _check_weights(best["weights"], network)
        scores = (best["score"], *best["scores"].values())
        if not isinstance(best["step"], int) or not all(isinstance(score, NUMBER) for score in scores):
            raise TypeError("its best evaluation has no scores")
    optimizer = make_optimizer(network.parameters(), options)
    optimizer.load_state_dict(checkpoint["optimizer"])
    if any(optimizer.defaults.keys() - group.keys() for group in optimizer.param_groups):
        raise ValueError("its optimizer is another")
    for parameter, values in optimizer.state.items():
        for name, value in values.items():
            if isinstance(value, Tensor) and value.dim() and value.shape != parameter.shape:
                raise ValueError(f"its optimizer's {name} has the shape {tuple(value.shape)}, not {tuple(parameter.shape)}")
    for states in checkpoint["random"]:
        torch.Generator().set_state(states["cpu"])
    if checkpoint["state"] is not None:
        network.carry(checkpoint["state"], torch.ones(options.batch_size, dtype=torch.bool))
    if not all(isinstance(value, Tensor) for step in checkpoint["window"] for value in step):
        raise TypeError("its losses are no tensors")
    if [type(count) for count in checkpoint["work"]] != [int, int]:
        raise TypeError("its counts are not whole numbers")


def _check_weights(weights: Mapping[str, Tensor], network: nn.Module) -> None:
    """ValueError where `weights` are not those of `network` by name, shape and type."""

    def shapes(values: Mapping[str, Tensor]) -> dict[str, object]:
        return {name: (value.shape, value.dtype) for name, value in values.items()}

    if shapes(weights) != shapes(network.state_dict()):
        raise ValueError("its weights are of another network")


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
