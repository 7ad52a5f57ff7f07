"""A run as its tracker sees it."""

from __future__ import annotations

from ..tracking.make import make_tracker
from ..tracking.tracker import Run, Tracker
from .plan import Plan


def tracker_of(planned: Plan) -> Tracker:
    """The tracker that a run's settings name; TrackerUnavailable where it cannot be had."""
    return make_tracker(planned.settings.tracker.name, planned.settings.tracker.options)


def mirrored_run(planned: Plan) -> Run:
    """The run as mirrors see it: where its folder lies is nobody else's, and what was accepted stands under `changes`."""
    public = {key: value for key, value in planned.settings.plain().items() if key not in ("runs", "accept_changes")}
    return Run(planned.id[:16], planned.name.rpartition("-")[0], planned.folder.path, public, planned.settings.sweep)
