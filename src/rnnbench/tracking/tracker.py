"""The contract of a tracker: a mirror of a run's record that is told rows and an end.

A tracker of your own is a class derived from `Tracker`, in a package that names it under the entry points `rnnbench.trackers`:

    [project.entry-points."rnnbench.trackers"]
    mlflow = "my_package:MlflowTracker"

`tracker=mlflow` or `tracker.also=[mlflow]` uses it; `rnnbench sync --to mlflow` sends it runs that were made before. Its
options are the parameters of its constructor, as `tracker.<name>`. The example in README.md beside this file has 30 lines.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

STOPPED = ("failed", "interrupted")  # trackers show these as failed; any other status is a result, diverged too
WANDB = ("auto", "wandb")  # names of trackers that are W&B, or may be
LATEST = 2  # layout of names, settings and results: see layout.py

MirrorRow = Mapping[str, Any]  # numbers, texts, tables (lists of dicts), Picture, Histogram


class TrackerUnavailable(RuntimeError):
    """The mirror that was asked for cannot be had; the message is one line and says what would help."""


class NotSetUp(TrackerUnavailable):
    """Its package or key is not there, which is known before anything is tried."""


@dataclass(frozen=True)
class Run:
    """What a mirror is told before the first row."""

    id: str  # letters, digits, - and _
    name: str  # what is displayed
    folder: Path  # the run's own; the mirror keeps its files below it
    config: Mapping[str, Any]  # nested plain dicts, so that a dashboard can group by model.name
    group: str | None = None  # the sweep
    facts: Mapping[str, Any] = field(default_factory=dict)  # joins the config: setting, departures, data
    headline: str | None = None  # the score that ranks models
    direction: Literal["min", "max"] = "min"  # which way it is better
    sweep_folder: Path | None = None  # where jobs of its sweep can tell each other something


@dataclass(frozen=True)
class Picture:
    """A picture, drawn when it is asked for."""

    draw: Callable[[], bytes]  # a PNG
    caption: str = ""


@dataclass(frozen=True)
class ConfusionPicture(Picture):
    """How often each class was answered where which was right; the picture is for trackers that have no chart of the kind."""

    classes: tuple[str, ...] = ()
    counts: tuple[tuple[int, ...], ...] = ()  # counts[right][answered]


@dataclass(frozen=True)
class Histogram:
    """Shares of values by bin."""

    shares: tuple[float, ...]
    edges: tuple[float, ...]  # one more than there are shares


class Tracker(ABC):
    """A mirror of one run. What a method raises ends the mirror, never the run."""

    layout: int = LATEST  # how rows, settings and results are named and ordered; `start` may set an earlier one
    histograms: bool = False  # gates as a Histogram instead of numbers

    @abstractmethod
    def start(self, run: Run) -> None:
        """Opens the mirror of `run`. All rows so far follow through `row`, from the first on, then new ones.

        A mirror that has some of them already, because the run is resumed, either starts again or leaves those out. Raises
        TrackerUnavailable where the user insisted on a mirror that cannot be had.
        """

    @abstractmethod
    def row(self, values: MirrorRow) -> None:
        """The next row; `step` is the training step."""

    @abstractmethod
    def finish(self, summary: MirrorRow, status: str) -> None:
        """The end of the run, or of this attempt at it: `finished`, `diverged`, `failed` or `interrupted`."""


class NoTracker(Tracker):
    """No mirror."""

    def start(self, run: Run) -> None:
        pass

    def row(self, values: MirrorRow) -> None:
        pass

    def finish(self, summary: MirrorRow, status: str) -> None:
        pass


def finite(value: Any) -> Any:
    """`value` as JSON can hold it: nested plain dicts, and null for a number that is not finite."""
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def is_table(value: object) -> bool:
    """Whether a logged value is rows of texts, by column."""
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def numbers_of(values: MirrorRow) -> dict[str, float]:
    """The entries of `values` that are numbers, for trackers that take nothing else; true is 1."""
    return {key: float(value) for key, value in values.items() if isinstance(value, bool | int | float)}
