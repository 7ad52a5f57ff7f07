"""The contract of a tracker: a mirror of the record that is told rows and an end."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

STOPPED = ("failed", "interrupted")  # the server shows these as failed; any other status is a result, diverged too
SUMMARY: tuple[Literal["scores", "steps", "solved_step"], ...] = (
    "scores",
    "steps",
    "solved_step",
)  # what a mirror's summary holds of a record, beside the last rows and the status

MirrorRow = Mapping[str, Any]


class TrackerUnavailable(RuntimeError):
    """The mirror that was asked for cannot be had; the message is one line and says what would help."""


@dataclass(frozen=True)
class Run:
    """What a mirror is told before the first row."""

    id: str  # letters, digits, - and _
    name: str  # what is displayed: task/model/seed
    folder: Path  # the run's own; the mirror keeps its files below it
    config: Mapping[str, Any]  # nested plain dicts, so that a dashboard can group by model.name
    group: str | None = None  # the sweep
    job_type: str = "train"


class Tracker(ABC):
    """A mirror of one run."""

    @abstractmethod
    def start(self, run: Run, rows: Iterable[MirrorRow] = ()) -> None:
        """Opens the mirror of `run`, and brings it level with `rows`, the local log so far.

        Raises TrackerUnavailable where the user insisted on a mirror that cannot be had.
        """

    @abstractmethod
    def row(self, values: MirrorRow) -> None:
        """The next row of the local log; numbers that are not finite become null, as there."""

    @abstractmethod
    def finish(self, summary: MirrorRow, status: str) -> None:
        """The end of the run, or of this attempt at it, within about `FINISH` seconds; `status` joins the summary."""


class NoTracker(Tracker):
    """No mirror."""

    def start(self, run: Run, rows: Iterable[MirrorRow] = ()) -> None:
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
