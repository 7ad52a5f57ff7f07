"""Seconds of training, evaluations and compiling not counted, and the work done in them."""

from __future__ import annotations

import math
import time

import torch

from rnnbench.tasks.task import Batch

from ..kernels.compile_time import compile_seconds
from .devices import Devices


class Clock:
    """Counts seconds between `start` and `stop`, and the sequences and tokens trained on."""

    def __init__(self) -> None:
        self.seconds = 0.0  # up to the last call of `read` or `stop`, also before a restart
        self.totals = [0, 0]  # sequences and tokens of all rows, over all devices
        self.work = [0, 0]  # sequences and tokens of this device since the last row
        self.row_seconds, self.row_step = 0.0, 0  # at the last row
        self._since: float | None = None  # reading of the system's clock, less what was compiled; None while stopped

    def start(self) -> None:
        self._since = time.monotonic() - compile_seconds()

    def stop(self) -> None:
        if self._since is not None:
            self.seconds += time.monotonic() - compile_seconds() - self._since
        self._since = None

    def read(self) -> float:
        """Seconds of training up to now; the clock goes on if it was running."""
        if self._since is not None:
            self.stop()
            self.start()
        return self.seconds

    def count(self, batch: Batch) -> None:
        """Adds a batch to the work since the last row."""
        self.work = [self.work[0] + len(batch.lengths), self.work[1] + int(batch.lengths.sum())]

    def end_row(self, step: int, devices: Devices) -> dict[str, float]:
        """Seconds so far, and speeds since the last row over all devices, for a row after `step` steps."""
        sequences, tokens = devices.sum(torch.tensor(self.work, device=devices.device)).tolist()
        passed = max(self.read() - self.row_seconds, 1e-9)
        timings = {
            "seconds": self.seconds,
            "steps_per_second": (step - self.row_step) / passed,
            "sequences_per_second": sequences / passed,
            "tokens_per_second": tokens / passed,
        }
        self.totals = [self.totals[0] + sequences, self.totals[1] + tokens]
        self.work = [0, 0]
        self.row_seconds, self.row_step = self.seconds, step
        return timings

    @property
    def pace(self) -> float:
        """Steps per second over all rows; not a number before the first."""
        return self.row_step / (self.seconds or math.nan)
