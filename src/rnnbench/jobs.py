"""What a sweep is made of, how far it has come, and how long the rest will take: read from plain files, torch not needed.

    runs/sweeps/<name>/manifest.json     the runs that belong to it: folder, id, overrides
    runs/sweeps/<name>/.lock             locked while they are added to

The cost of every question grows with the sweep that is asked about, not with the store that it lies in.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .lease import Watch, locked
from .records import DamagedRecord, Held, RunFolder, write_atomically

CONTEXT = 2**29  # bytes that a process has on a GPU beside its tensors
SISTERS = 50  # run folders beside a run that are looked into for what they took


@dataclass
class Job:
    """One run of a sweep, before it is run."""

    config: dict[str, Any]
    words: str  # the overrides that tell it from the others
    folder: RunFolder
    id: str
    setting: str  # the id that it shares with other seeds
    length: int  # steps of a sequence
    expected: float = 0.0  # seconds
    needed: int = 0  # bytes on a GPU; 0 where nothing is known
    overrides: list[str] = field(default_factory=list)  # all, for a launcher that is not ours

    @property
    def name(self) -> str:
        return "/".join(self.folder.path.parts[-3:])


# The manifest


def write_manifest(runs: Path, sweep: str, jobs: Iterable[Job]) -> None:
    """Adds `jobs` to the manifest of `sweep`; two commands that name one sweep make one sweep of their runs."""
    folder = runs / "sweeps" / sweep
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / ".lock"):
        before = read_manifest(folder) if (folder / "manifest.json").exists() else {}
        told = {**before, **{job.name: {"id": job.id, "words": job.words} for job in jobs}}
        if told != before:
            text = json.dumps({"schema": 1, "runs": told}, indent=0, ensure_ascii=False)
            write_atomically(folder / "manifest.json", text.encode())


def read_manifest(folder: Path) -> dict[str, dict[str, str]]:
    """The runs of a sweep by their folders' names; DamagedRecord where there is no such list."""
    path = folder / "manifest.json"
    try:
        runs = dict(json.loads(path.read_text(encoding="utf-8"))["runs"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise DamagedRecord(f"{path}: no manifest of a sweep ({type(error).__name__})") from None
    for name in runs:
        if ".." in Path(name).parts or Path(name).is_absolute() or "\0" in name:
            raise DamagedRecord(f"{path}: {name!r} is no run of this store")
    return runs


# What runs take


def expect(jobs: Sequence[Job]) -> int:
    """Sets what each job is expected to take; returns of how many it is known, the others go by steps and lengths.

    It is known from recorded runs beside it: of the same setting, else of the same task and model by their seconds a step.
    """
    by_setting, by_place, needs = measured({job.folder.path.parent for job in jobs})
    for job in jobs:
        job.needed = needs.get(job.setting, 0)
        if seconds := by_setting.get(job.setting):
            job.expected = statistics.median(seconds)
        elif rate := by_place.get(job.folder.path.parent):
            job.expected = statistics.median(rate) * job.config["train"]["steps"]
    known = [job for job in jobs if job.expected]
    a_step = statistics.median(job.expected / work(job) for job in known) if known else 1e-4  # seconds a step of a sequence
    for job in jobs:
        job.expected = job.expected or work(job) * a_step
    return len(known)


def gpu_need(record: Mapping[str, Any]) -> int:
    """Bytes of a GPU that a run like that of `record` needs; 0 where it does not tell."""
    if record["hardware"]["device"] != "cuda" or not record["speed"]["peak_memory_bytes"]:
        return 0
    return int(record["speed"]["peak_memory_bytes"]) + CONTEXT


def work(job: Job) -> int:
    """Steps of sequences that a job has to go through, one after another."""
    return int(job.config["train"]["steps"]) * max(1, job.length)


def measured(places: Iterable[Path]) -> tuple[dict[str, list[float]], dict[Path, list[float]], dict[str, int]]:
    """From some recorded runs in each of `places`: seconds by setting, seconds a step by place, bytes of a GPU by setting."""
    needs: dict[str, int] = {}
    by_setting: dict[str, list[float]] = {}
    by_place: dict[Path, list[float]] = {}
    for place in places:
        for folder in sisters(place):
            with contextlib.suppress(DamagedRecord, OSError, LookupError, TypeError):
                record = RunFolder(folder).record()
                if record and record["status"] == "finished":
                    by_setting.setdefault(record["setting"], []).append(record["speed"]["seconds"])
                    by_place.setdefault(place, []).append(record["speed"]["seconds"] / record["steps"])
                    needs[record["setting"]] = max(needs.get(record["setting"], 0), gpu_need(record))
    return by_setting, by_place, needs


def sisters(place: Path) -> Iterator[Path]:
    """Some run folders in `place`, in no order: a store may have a hundred thousand."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(place) as entries:
        for entry in itertools.islice(entries, SISTERS):
            yield Path(entry.path)


# Status


@dataclass(frozen=True)
class State:
    """How a run stands: one of KINDS, and a word more."""

    kind: str
    about: str = ""


KINDS = ("recorded", "running", "interrupted", "failed", "damaged", "missing")


def state(folder: RunFolder, words: str = "") -> State:
    if (folder.path / "record.json").exists():
        try:
            folder.record()
        except (DamagedRecord, OSError) as error:
            return State("damaged", str(error))
        return State("recorded")
    if not folder.path.exists():
        return State("missing", words)
    step = last_step(folder)
    reached = f"at step {step}" if step else "before its first checkpoint"
    if holder := Watch(folder.path).holder():
        return State("running", f"{reached}, by {holder}")
    if message := folder.failure():
        return State("failed", message)
    return State("interrupted", reached) if (folder.path / "config.yaml").exists() else State("missing", words)


def last_step(folder: RunFolder) -> int:
    """The step of the newest checkpoint; 0 where there is none."""
    with contextlib.suppress(OSError, ValueError):
        return max((int(name[:9]) for name in os.listdir(folder.path / "checkpoints") if name.endswith(".pt")), default=0)
    return 0


def named(sweep_or_path: str, runs: Path) -> tuple[Path, bool]:
    """(folder, whether it is a sweep's). FileNotFoundError where there is neither such a sweep nor such a folder."""
    for folder in (Path(sweep_or_path), runs / "sweeps" / sweep_or_path):
        if (folder / "manifest.json").exists():
            return folder, True
    if Path(sweep_or_path).is_dir():
        return Path(sweep_or_path), False
    there = sorted(path.parent.name for path in runs.glob("sweeps/*/manifest.json"))
    raise FileNotFoundError(f"no sweep or folder {sweep_or_path!r}; sweeps in {runs}: {', '.join(there) or 'none'}")


def members(folder: Path, is_sweep: bool, unreadable: list[str] | None = None) -> Iterator[tuple[str, RunFolder, str]]:
    """(name, folder, overrides) of every run of a sweep, or of every run folder at or below a folder.

    Folders that may not be read go into `unreadable`.
    """
    if is_sweep:
        store = folder.parent.parent
        for name, about in read_manifest(folder).items():
            yield name, RunFolder(store / name), about["words"]
        return
    from .records import folders

    for path in folders(folder, unreadable):
        yield "/".join(path.parts[-3:]), RunFolder(path), ""


def status(folder: Path, is_sweep: bool) -> Iterator[str]:
    """A line of counts, then one for each run that is not recorded."""
    counts: Counter[str] = Counter()
    lines = []
    unreadable: list[str] = []
    for name, run, words in members(folder, is_sweep, unreadable):
        found = state(run, words)
        counts[found.kind] += 1
        if found.kind != "recorded":
            lines.append((KINDS.index(found.kind), name, found))
    kinds = ", ".join(f"{counts[kind]} {kind}" for kind in KINDS if counts[kind])
    yield f"{'sweep ' * is_sweep}{folder.name}: {counts.total()} runs{': ' * bool(kinds)}{kinds}"
    for _, name, found in sorted(lines, key=lambda line: line[:2]):
        yield f"  {found.kind:11}  {name}  {found.about}".rstrip()
    yield from (f"  unreadable   {line}" for line in unreadable)


def overview(runs: Path) -> Iterator[str]:
    """A line for each sweep of a store, the one that was touched last at the end."""
    found = sorted(runs.glob("sweeps/*/manifest.json"), key=lambda path: path.stat().st_mtime)
    for path in found:
        names = read_manifest(path.parent)
        recorded = sum(os.path.exists(runs / name / "record.json") for name in names)
        yield f"sweep {path.parent.name}: {len(names)} runs, {recorded} recorded"
    if not found:
        yield f"no sweeps in {runs}; `rnnbench train -m ...` makes one"


# Prune


def prune(folder: Path, is_sweep: bool, days: float, dry: bool) -> Iterator[str]:
    """Removes checkpoints that nothing has touched for `days`, of runs that nobody runs; records are not touched."""
    freed, limit = 0, time.time() - days * 86400
    unreadable: list[str] = []
    for name, run, _ in members(folder, is_sweep, unreadable):
        files = [*run.path.glob("checkpoints/*.pt"), *run.path.glob(".*"), *run.path.glob("checkpoints/.*")]
        files = [path for path in files if path.is_file()]
        recorded = (run.path / "record.json").exists()
        if not files or (not recorded and max(path.stat().st_mtime for path in files) > limit):
            continue
        if Watch(run.path).holder():
            continue
        step, size = last_step(run), sum(path.stat().st_size for path in files)
        try:
            with run.lease() if not dry else contextlib.nullcontext():
                for path in files * (not dry):
                    path.unlink(missing_ok=True)
        except Held:
            continue
        freed += size
        yield f"  {name}  {size / 1e6:.1f} MB{f', was at step {step}' if step and not recorded else ''}"
    yield from (f"  unreadable   {line}" for line in unreadable)
    yield f"{'would free' if dry else 'freed'} {freed / 1e6:.1f} MB"


def clock(seconds: float) -> str:
    """A duration as one reads it: 0:07, 3:20, 2:05:00."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
