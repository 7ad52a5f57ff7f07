"""Makes the tracker that the settings name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .tracker import NoTracker, Tracker, TrackerUnavailable
from .wandb_tracker import WandbTracker, _say, _settings, has_key

TRACKERS: dict[str, type[Tracker]] = {"auto": WandbTracker, "none": NoTracker, "wandb": WandbTracker}


def make_tracker(name: str, options: Mapping[str, Any]) -> Tracker:
    """The tracker `name` with its `options`; TrackerUnavailable where it cannot be had.

    `auto` is W&B if a key is configured or a mode was asked for, else none; by itself it never refuses to train.
    """
    if name != "auto" or options.get("mode", "auto") != "auto":
        return TRACKERS[name](**options)
    try:
        return WandbTracker(**options) if has_key(_settings()) else NoTracker()
    except TrackerUnavailable as error:
        _say(f"no tracker: {error}")
        return NoTracker()
