"""How far a sweep is, and which checkpoints can go."""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..store.lease import Held, Watch
from ..store.record import DamagedRecord
from ..store.run_folder import RunFolder
from .manifest import member_runs, read_manifest

# Status


@dataclass(frozen=True)
class RunState:
    """How a run stands: one of KINDS, and a word more."""

    kind: str
    about: str = ""


KINDS = ("recorded", "running", "interrupted", "failed", "damaged", "missing")


def run_state(folder: RunFolder, words: str = "") -> RunState:
    if (folder.path / "record.json").exists():
        try:
            folder.record()
        except (DamagedRecord, OSError) as error:
            return RunState("damaged", str(error))
        return RunState("recorded")
    if not folder.path.exists():
        return RunState("missing", words)
    step = last_step(folder)
    reached = f"at step {step}" if step else "before its first checkpoint"
    if holder := Watch(folder.path).holder():
        return RunState("running", f"{reached}, by {holder}")
    if message := folder.failure():
        return RunState("failed", message)
    return RunState("interrupted", reached) if (folder.path / "config.yaml").exists() else RunState("missing", words)


def last_step(folder: RunFolder) -> int:
    """The step of the newest checkpoint; 0 where there is none."""
    with contextlib.suppress(OSError, ValueError):
        return max((int(name[:9]) for name in os.listdir(folder.path / "checkpoints") if name.endswith(".pt")), default=0)
    return 0


def status_lines(folder: Path, is_sweep: bool) -> Iterator[str]:
    """A line of counts, then one for each run that is not recorded."""
    counts: Counter[str] = Counter()
    lines = []
    unreadable: list[str] = []
    for name, run, words in member_runs(folder, is_sweep, unreadable):
        found = run_state(run, words)
        counts[found.kind] += 1
        if found.kind != "recorded":
            lines.append((KINDS.index(found.kind), name, found))
    kinds = ", ".join(f"{counts[kind]} {kind}" for kind in KINDS if counts[kind])
    yield f"{'sweep ' if is_sweep else ''}{folder.name}: {counts.total()} runs{': ' if kinds else ''}{kinds}"
    for _, name, found in sorted(lines, key=lambda line: line[:2]):
        yield f"  {found.kind:11}  {name}  {found.about}".rstrip()
    yield from (f"  unreadable   {line}" for line in unreadable)


def overview_lines(runs: Path) -> Iterator[str]:
    """A line for each sweep of a store, the one that was touched last at the end."""
    found = sorted(runs.glob("sweeps/*/manifest.json"), key=lambda path: path.stat().st_mtime)
    for path in found:
        names = read_manifest(path.parent)
        recorded = sum(os.path.exists(runs / name / "record.json") for name in names)
        yield f"sweep {path.parent.name}: {len(names)} runs, {recorded} recorded"
    if not found:
        yield f"no sweeps in {runs}; `rnnbench train -m ...` makes one"


# Prune


def prune_lines(folder: Path, is_sweep: bool, days: float, dry: bool) -> Iterator[str]:
    """Removes checkpoints that nothing has touched for `days`, of runs that nobody runs; records are not touched."""
    freed, limit = 0, time.time() - days * 86400
    unreadable: list[str] = []
    for name, run, _ in member_runs(folder, is_sweep, unreadable):
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
                for path in () if dry else files:
                    path.unlink(missing_ok=True)
        except Held:
            continue
        freed += size
        yield f"  {name}  {size / 1e6:.1f} MB{f', was at step {step}' if step and not recorded else ''}"
    yield from (f"  unreadable   {line}" for line in unreadable)
    yield f"{'would free' if dry else 'freed'} {freed / 1e6:.1f} MB"
