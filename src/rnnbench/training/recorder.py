"""Where training reports to: rows and checkpoints."""

from __future__ import annotations

import math
import time
from typing import Protocol

from ..networks.cost import peak_memory
from ..networks.instruments import Measured
from .checkpoint import Checkpoint
from .clock import Clock
from .devices import Devices

Row = dict[str, Measured | list[dict[str, str]]]  # by the names in the log; texts that were written are dictionaries


class Recorder(Protocol):
    """Keeps rows and checkpoints; training knows nothing of files."""

    def row(self, step: int, metrics: Row, timings: dict[str, float]) -> None:
        """Takes the row after `step` steps: `metrics` are the same each time, `timings` (seconds, speeds, bytes) are not."""

    def save(self, step: int, checkpoint: Checkpoint) -> None:
        """Takes a checkpoint after `step` steps."""


class Reporter:
    """The row being filled, and the time of the last checkpoint."""

    def __init__(self, journal: Recorder, clock: Clock):
        self._journal, self._clock = journal, clock
        self.row: Row = {}
        self.characters_per_second: float | None = None  # of the texts written last
        self.save_seconds = math.inf  # between checkpoints, where evaluations are rarer
        self.saved_step = 0  # of the last checkpoint
        self._saved_at = time.monotonic()

    def start(self) -> None:
        """Counts `save_seconds` from now on."""
        self._saved_at = time.monotonic()

    def is_overdue(self, seconds: float = math.inf) -> bool:
        """Whether the last checkpoint is older than `save_seconds`, or than `seconds` where that is less."""
        return time.monotonic() - self._saved_at > min(self.save_seconds, seconds)

    def write(self, step: int, devices: Devices, evaluated: bool) -> None:
        """Hands the row to the journal with the speed since the last one; where `evaluated`, also peak memory, slow to read."""
        timings = self._clock.end_row(step, devices)
        if evaluated:
            timings["peak_memory_bytes"] = peak_memory(devices.device)
        if "validation/samples" in self.row and self.characters_per_second is not None:
            timings["characters_per_second"] = self.characters_per_second
        self._journal.row(step, self.row, timings)
        self.row = {}

    def save(self, step: int, checkpoint: Checkpoint) -> None:
        """Hands a checkpoint to the journal."""
        self._journal.save(step, checkpoint)
        self._saved_at, self.saved_step = time.monotonic(), step
