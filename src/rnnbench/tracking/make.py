"""Makes the trackers that the settings name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .mirror import Mirror
from .tracker import NoTracker, Run, Tracker, TrackerUnavailable
from .wandb_account import from_variable, has_key, say_error, wandb_settings, wanted_mode
from .wandb_note import agents_note, read_note
from .wandb_tracker import WandbTracker

WANDB = ("auto", "wandb")
TRACKERS: dict[str, type[Tracker]] = {"auto": WandbTracker, "none": NoTracker, "wandb": WandbTracker}


def make_tracker(name: str, options: Mapping[str, Any]) -> Tracker:
    """The tracker `name` with its `options`; TrackerUnavailable where it cannot be had.

    `auto` is W&B if a key is configured or a mode was asked for, else none; by itself it never refuses to train.
    """
    if name != "auto" or options.get("mode", "auto") != "auto":
        return TRACKERS[name](**options)
    try:
        wanted, where = wanted_mode()
        if has_key(wandb_settings()) or wanted == "offline":
            return WandbTracker(**options)
        if wanted == "online":
            say_error(f"no tracker: {where}, and there is no API key (`wandb login`, or WANDB_API_KEY)")
    except TrackerUnavailable as error:
        say_error(f"no tracker: {error}")
    return NoTracker()


def is_wanted_elsewhere(run: Run, name: str, options: Mapping[str, Any], recorded: Mapping[str, Any]) -> bool:
    """Whether a recorded run is to be sent: an agent of a W&B sweep waits for it, or another project is asked for.

    `recorded` are the settings of the tracker that it was made with.
    """
    if name not in WANDB:
        return False
    before = read_note(run).get("project") or (recorded.get("project") if recorded.get("name") in WANDB else None)
    asked = options.get("project") or (None if before else from_variable("project"))
    return bool(agents_note()) or (asked is not None and asked != before)


def make_mirror(name: str, options: Mapping[str, Any]) -> Mirror:
    """What a run reports to, by its settings; TrackerUnavailable where the user insisted on a tracker that cannot be had."""
    return Mirror({"wandb" if name == "auto" else name: make_tracker(name, options)})
