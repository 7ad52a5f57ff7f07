"""Makes the tracker that the settings name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .tracker import NoTracker, Tracker, TrackerUnavailable
from .wandb_tracker import WandbTracker, _say, _settings, has_key

TRACKERS: dict[str, type[Tracker]] = {"auto": WandbTracker, "none": NoTracker, "wandb": WandbTracker}


def make_tracker(options: Mapping[str, Any]) -> Tracker:
    """The tracker called `options["name"]`, from the rest of `options`; TrackerUnavailable where it cannot be had.

    `auto` is W&B if a key is configured or a mode was asked for, else none; by itself it never refuses to train.
    """
    name, rest = options["name"], {key: value for key, value in options.items() if key != "name"}
    if name != "auto" or rest.get("mode", "auto") != "auto":
        return TRACKERS[name](**rest)
    try:
        return WandbTracker(**rest) if has_key(_settings()) else NoTracker()
    except TrackerUnavailable as error:
        _say(f"no tracker: {error}")
        return NoTracker()
