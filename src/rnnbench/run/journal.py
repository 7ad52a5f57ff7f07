"""Where training reports to: the local log, its mirror and the checkpoints; and how a checkpoint is found again."""

from __future__ import annotations

import datetime
import io
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from rnnbench.tasks.task import Task

from ..console import say
from ..store.log import Log
from ..store.run_folder import RunFolder, checkpoint_step
from ..tracking.mirror import Mirror

if TYPE_CHECKING:
    from ..training.checkpoint import Checkpoint


class Journal:
    """Where training reports to: the local log first, then its mirror; and the checkpoints."""

    def __init__(
        self,
        about: Mapping[str, Any],  # stands in every checkpoint
        name: str,
        folder: RunFolder,
        log: Log,
        mirror: Mirror,
        task: Task,
        steps: int,
    ):
        self.about, self.name, self.folder, self.log, self.mirror = about, name, folder, log, mirror
        self.task, self.steps = task, steps
        self.shown: dict[str, float] = {}  # what the progress bar shows
        self._said_at = time.monotonic()

    def row(self, step: int, metrics: dict[str, Any], timings: dict[str, float]) -> None:
        self.log.append(step, metrics, timings)
        self.mirror.row({"step": step, **metrics, **timings})
        score = f"validation/{self.task.headline}"
        self.shown |= {key: metrics[key] for key in ("train/loss", score) if key in metrics}
        if score in metrics and not sys.stdout.isatty() and time.monotonic() - self._said_at > 10:  # seconds
            self._said_at = time.monotonic()
            say(
                f"{self.name}  step {step}/{self.steps}  loss {metrics['train/loss']:.4g}  validation {self.task.headline} "
                f"{metrics[score]:.4g}  {timings['steps_per_second']:.3g} steps/s"
            )

    def save(self, step: int, checkpoint: Mapping[str, object]) -> None:
        buffer = io.BytesIO()
        torch.save({**self.about, "offsets": self.log.offsets(), "learner": checkpoint}, buffer)
        self.folder.save_checkpoint(step, buffer.getvalue())


class SilentRecorder:
    """A journal that keeps nothing."""

    def row(self, step: int, metrics: dict[str, Any], timings: dict[str, float]) -> None:
        pass

    def save(self, step: int, checkpoint: Mapping[str, object]) -> None:
        pass


def restore_checkpoint(
    folder: RunFolder, run: str, check: Callable[[Checkpoint], None]
) -> tuple[dict[str, Any] | None, Log, Path | None]:
    """(checkpoint, log cut to where it was, its file) of the newest that can be trusted; (None, empty log, None) without."""
    checkpoint, path = trusted_checkpoint(folder, run, check, folder.set_aside)
    return checkpoint, folder.open_log(tuple(checkpoint["offsets"]) if checkpoint else (0, 0)), path


def trusted_checkpoint(
    folder: RunFolder, run: str, check: Callable[[Checkpoint], None], leave_out: Callable[[Path], None] = lambda _: None
) -> tuple[dict[str, Any] | None, Path | None]:
    """The newest checkpoint whose checksum fits, that is this run's, whose log is there and that `check` takes; and its file.

    `check` raises where training could not continue from what it is given. Those before it go to `leave_out`. What the machine
    cannot do just now (memory, disk) is no reason to leave one out.
    """
    for path, data in folder.checkpoints():
        if data is None:
            say(f"{path}: left out: its content does not fit its checksum")
            leave_out(path)
            continue
        try:
            checkpoint = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
            if checkpoint["run"] != run or "made_by" not in checkpoint:
                raise ValueError("it belongs to another run, or version")
            check_about(checkpoint)
            check(checkpoint["learner"])
            if checkpoint["learner"]["kept"]["step"] != checkpoint_step(path):
                raise ValueError("it is of another step than its name tells")
            folder.check_log(tuple(checkpoint["offsets"]))
            return checkpoint, path
        except (MemoryError, OSError):
            raise
        except Exception as error:  # whatever a foreign file holds: it is left out, and nothing of it was run
            say(f"{path}: left out: {(str(error).splitlines() or [''])[0] or type(error).__name__}")
            leave_out(path)
    return None, None


def check_about(checkpoint: Mapping[str, Any]) -> None:
    """ValueError where what stands in a checkpoint beside the learner's part is not of its kind."""
    offsets, made_by, changes = (checkpoint.get(name) for name in ("offsets", "made_by", "changes"))
    good = isinstance(offsets, list | tuple) and len(offsets) == 2 and all(type(one) is int and one >= 0 for one in offsets)
    good = good and isinstance(made_by, dict) and all(isinstance(one, str) for one in (*made_by, *made_by.values()))
    if not good or not isinstance(changes, list) or not all(isinstance(change, dict) for change in changes):
        raise ValueError("it does not say what made it, or where its log ends")
    datetime.datetime.fromisoformat(checkpoint["started"])
