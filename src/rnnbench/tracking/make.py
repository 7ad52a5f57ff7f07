"""Makes the trackers that the settings name."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import sys
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from ..plugins.live import class_signature
from ..signatures import Signature, read_class
from .mirror import Mirror
from .tensorboard_tracker import TensorboardTracker
from .tracker import WANDB, NoTracker, NotSetUp, Run, Tracker, TrackerUnavailable
from .trackio_tracker import TrackioTracker
from .wandb_account import from_variable, has_key, say_error, wandb_settings, wanted_mode
from .wandb_note import agents_note, read_note
from .wandb_tracker import WandbTracker

TRACKERS: dict[str, type[Tracker]] = {
    "auto": WandbTracker,
    "none": NoTracker,
    "wandb": WandbTracker,
    "tensorboard": TensorboardTracker,
    "trackio": TrackioTracker,
}


def make_tracker(name: str, options: Mapping[str, Any]) -> Tracker:
    """The tracker `name` with its `options`; TrackerUnavailable where it cannot be had.

    `auto` is W&B if a key is configured or a mode was asked for, else none; by itself it never refuses to train.
    """
    options = {key: value for key, value in options.items() if key != "also"}
    if name != "auto" or options.get("mode", "auto") != "auto":
        return tracker_class(name)(**options)
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
    trackers = {"wandb" if name == "auto" else name: make_tracker(name, options)}
    return Mirror({**{other: make_tracker(other, {}) for other in options.get("also", ())}, **trackers})


@functools.cache
def plugins() -> dict[str, EntryPoint]:
    """Trackers of other packages by name: the entry points `rnnbench.trackers`. Nothing of theirs is imported."""
    return {entry.name: entry for entry in entry_points(group="rnnbench.trackers")}


def tracker_names() -> list[str]:
    """Every tracker there is."""
    return [*TRACKERS, *plugins()]


def tracker_class(name: str) -> type[Tracker]:
    """The class of a tracker; NotSetUp where another package's cannot be imported."""
    if name in TRACKERS:
        return TRACKERS[name]
    try:
        found = plugins()[name].load()
    except (Exception, SystemExit) as error:
        raise NotSetUp(f"tracker {name} cannot be imported ({type(error).__name__}: {error})") from None
    if not (isinstance(found, type) and issubclass(found, Tracker)):
        raise NotSetUp(f"tracker {name}: {plugins()[name].value} is no class derived from rnnbench's Tracker")
    return found


def check_package(name: str) -> None:
    """NotSetUp where the package of a tracker is not there, or holds no tracker."""
    found = tracker_class(name)
    if name in TRACKERS:
        found()


def tracker_signature(name: str) -> Signature:
    """The options of a tracker. Another package's are read from its source; it is imported where that is not enough.

    TrackerUnavailable where it cannot be imported either.
    """
    if name in TRACKERS:
        kind = TRACKERS[name]
        return read_class(Path(str(sys.modules[kind.__module__].__file__)), name=kind.__name__)
    entry = plugins()[name]
    with contextlib.suppress(Exception):  # of a parent package too, which is imported to find the file
        spec = importlib.util.find_spec(entry.module)
        if spec and spec.origin:
            return read_class(Path(spec.origin), name=entry.attr)
    return class_signature(tracker_class(name), "tracker")
