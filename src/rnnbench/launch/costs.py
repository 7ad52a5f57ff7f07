"""What runs take: seconds, steps and GPU memory, from recorded runs beside them."""

from __future__ import annotations

import contextlib
import itertools
import os
import statistics
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ..store.record import DamagedRecord, Record
from ..store.run_folder import RunFolder
from .manifest import Job

CONTEXT = 2**29  # bytes that a process has on a GPU beside its tensors
SISTERS = 50  # run folders beside a run that are looked into for what they took


# What runs take


def expect_costs(jobs: Sequence[Job]) -> int:
    """Sets what each job is expected to take; returns of how many it is known, the others go by steps and lengths.

    It is known from recorded runs beside it: of the same setting, else of the same task and model by their seconds a step.
    """
    by_setting, by_place, needs = recorded_costs({job.folder.path.parent for job in jobs})
    for job in jobs:
        job.needed = needs.get(job.setting, 0)
        if spent := by_setting.get(job.setting):
            job.expected, _ = typical(spent)
        elif rate := by_place.get(job.folder.path.parent):
            job.expected = statistics.median(rate) * job.settings.train.steps
    known = [job for job in jobs if job.expected]
    a_step = (
        statistics.median(job.expected / sequence_steps(job) for job in known) if known else 1e-4
    )  # seconds a step of a sequence
    for job in jobs:
        job.expected = job.expected or sequence_steps(job) * a_step
    return len(known)


class Pace:
    """How long jobs of a sweep take against what was expected: those of the same task and model, else all that have ended."""

    def __init__(self) -> None:
        self._sums: dict[Path | None, tuple[float, float]] = {}  # by place; None: all. Seconds taken, and expected

    def took(self, job: Job, seconds: float) -> None:
        """A job ended after so long."""
        for place in (job.folder.path.parent, None):
            taken, expected = self._sums.get(place, (0.0, 0.0))
            self._sums[place] = taken + seconds, expected + job.expected

    def expects(self, job: Job) -> float | None:
        """The seconds that a job will take; None before any has ended."""
        taken, expected = self._sums.get(job.folder.path.parent) or self._sums.get(None) or (0.0, 0.0)
        return job.expected * taken / expected if expected else None


def gpu_need(record: Record) -> int:
    """Bytes of a GPU that a run like that of `record` needs; 0 where it does not tell."""
    peak = record["speed"]["peak_memory_bytes"]
    return int(peak) + CONTEXT if peak and record["hardware"]["device"] == "cuda" else 0


def sequence_steps(job: Job) -> int:
    """Steps of sequences that a job has to go through, one after another."""
    return job.settings.train.steps * max(1, job.length)


def typical(spent: Sequence[tuple[float, int]]) -> tuple[float, float]:
    """The medians of the (seconds, steps) of some runs: each for itself."""
    seconds, steps = zip(*spent, strict=True)
    return statistics.median(seconds), statistics.median(steps)


def recorded_costs(
    places: Iterable[Path],
) -> tuple[dict[str, list[tuple[float, int]]], dict[Path, list[float]], dict[str, int]]:
    """From some recorded runs in each of `places`: by setting the (seconds, steps) that training took, seconds a step by place,
    bytes of a GPU by setting."""
    needs: dict[str, int] = {}
    by_setting: dict[str, list[tuple[float, int]]] = {}
    by_place: dict[Path, list[float]] = {}
    for place in places:
        for folder in sister_folders(place):
            with contextlib.suppress(DamagedRecord, OSError):
                record = RunFolder(folder).record()
                seconds = record["speed"]["seconds"] if record and record["status"] == "finished" else None
                if record and seconds and record["steps"] > 0:
                    by_setting.setdefault(record["setting"], []).append((seconds, record["steps"]))
                    by_place.setdefault(place, []).append(seconds / record["steps"])
                    needs[record["setting"]] = max(needs.get(record["setting"], 0), gpu_need(record))
    return by_setting, by_place, needs


def sister_folders(place: Path) -> Iterator[Path]:
    """Some run folders in `place`, in no order: a store may have a hundred thousand."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(place) as entries:
        for entry in itertools.islice(entries, SISTERS):
            yield Path(entry.path)


def format_clock(seconds: float) -> str:
    """A duration as one reads it: 0:07, 3:20, 2:05:00."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
