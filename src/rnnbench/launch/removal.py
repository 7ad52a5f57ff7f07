"""What goes when runs and sweeps are removed: the files that rnnbench wrote, told by their names, and folders left empty.

A run that a process holds stays, and so does what lies behind a link, and every file that is not ours. Of a sweep, runs stay
that another sweep's manifest lists too.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..run.tracked_run import describe_run
from ..store.lease import Held, Watch, locked
from ..store.own_files import (
    CHECKPOINT,
    HALF_WRITTEN,
    LEASE,
    MANIFEST_COPY,
    RUN_FILE,
    SET_ASIDE,
    SWEEP_FILE,
    own_files,
    remove_files,
)
from ..store.record import DamagedRecord
from ..store.run_folder import RunFolder
from ..tracking.wandb_note import NOTE, own_segments
from .manifest import read_manifest
from .status import is_behind_link, run_state

LAST = "config.yaml"  # of a run: what it is found by, should the removal be cut off
SHOWN = 3  # files that a line names


@dataclass
class Removal:
    """What is to go, and what stays though it was named."""

    runs: dict[Path, str] = field(default_factory=dict)  # by folder: how it stands
    sweeps: dict[Path, list[Path]] = field(default_factory=dict)  # by folder: its runs that no other sweep lists
    shared: dict[Path, str] = field(default_factory=dict)  # by folder: which other sweep lists the run, too
    stays: dict[Path, str] = field(default_factory=dict)  # by folder: why it cannot go
    size: int = 0  # bytes


def plan_removal(sweeps: Iterable[Path], runs: Iterable[Path]) -> Removal:
    """What goes with these folders of sweeps and of runs. DamagedRecord where another sweep's manifest cannot be read."""
    found = Removal()
    leaving = list(dict.fromkeys(map(_absolute, sweeps)))
    for sweep in leaving:
        store = sweep.parent.parent
        others = listed_elsewhere(sweep, leaving)
        names = [name for name in read_manifest(sweep) if os.path.lexists(store / name)]
        found.shared |= {store / name: others[name] for name in names if name in others}
        found.sweeps[sweep] = [store / name for name in names if name not in others]
        for run in found.sweeps[sweep]:
            _add(found, run, store)
    for run in map(_absolute, runs):
        found.shared.pop(run, None)  # it was named by itself
        _add(found, run, run.parents[2])
    for run in found.runs:
        found.size += sum(path.stat().st_size for path in run_files(run))
    return found


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))


def listed_elsewhere(sweep: Path, leaving: Collection[Path]) -> dict[str, str]:
    """By the run's name the sweep that lists it too, of those in the same store that are not `leaving` as well."""
    found: dict[str, str] = {}
    for path in sorted(sweep.parent.glob("*/manifest.json")):
        if path.parent not in leaving:
            found |= dict.fromkeys(read_manifest(path.parent), path.parent.name)
    return found


def _add(found: Removal, run: Path, store: Path) -> None:
    if is_behind_link(run, store):
        found.stays[run] = "there is a link on the way to it"
    elif holder := Watch(run).holder():
        found.stays[run] = f"held by {holder}"
    else:
        state = run_state(RunFolder(run))
        found.runs[run] = f"{state.kind}{f' ({state.about})' if state.kind == 'recorded' and state.about else ''}"


def run_files(run: Path) -> list[Path]:
    """The files in a run's folder that are ours, those that it is found by at the end."""
    folder = RunFolder(run)
    first = [path for path in own_files(run, RUN_FILE) if path.name != LAST]
    kept = own_files(folder.place, CHECKPOINT, SET_ASIDE, HALF_WRITTEN) if not folder.place.is_symlink() else []
    note = run / NOTE
    mirrored = [note] if note.is_file() and not note.is_symlink() and not note.parent.is_symlink() else []
    ends = [path for path in own_files(run, RUN_FILE) if path.name == LAST]
    return [*first, *kept, *own_files(run, HALF_WRITTEN), *mirrored, *ends, *own_files(run, LEASE)]


def _segments(run: Path) -> list[Path]:
    """The folders that W&B's client wrote for this run, below its folder."""
    folder = RunFolder(run)
    with contextlib.suppress(DamagedRecord, OSError, LookupError, TypeError, AttributeError):
        record = folder.record()
        return own_segments(describe_run(folder, record["config"] if record else folder.config(), record), run)
    return []


def planned_lines(planned: Removal) -> Iterator[str]:
    """What would go and what would stay, a line each."""
    for run, state in planned.runs.items():
        yield f"  {_short(run)}  {state}"
    for run, other in planned.shared.items():
        yield f"  {_short(run)}  stays: sweep {other} lists it too"
    for run, why in planned.stays.items():
        yield f"  {_short(run)}  stays: {why}"
    sweeps = f" and {len(planned.sweeps)} sweeps ({', '.join(path.name for path in planned.sweeps)})" if planned.sweeps else ""
    yield f"{len(planned.runs)} runs{sweeps}, {planned.size / 1e6:.1f} MB; copies at W&B stay"


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def remove_planned(planned: Removal) -> Iterator[str]:
    """Removes what was planned; a line for each thing that stays after all, then how much went."""
    kept = set(planned.stays)
    for run in planned.runs:
        try:
            remove_run(run)
        except (Held, OSError) as error:
            kept.add(run)
            yield f"  {_short(run)}  stays: {error}"
            continue
        if os.path.lexists(run):
            yield f"  {_short(run)}  what rnnbench did not write stays there: {', '.join(sorted(os.listdir(run))[:SHOWN])}"
    for sweep, runs in planned.sweeps.items():
        if left := kept.intersection(runs):
            yield f"  sweep {sweep.name}  stays, with the {len(left)} runs of it that do"
            continue
        try:
            remove_sweep(sweep)
        except OSError as error:
            yield f"  sweep {sweep.name}  stays: {error}"
    yield f"removed {len(planned.runs.keys() - kept)} of {len(planned.runs) + len(planned.stays)} runs"


def remove_run(run: Path) -> None:
    """Removes our files of a run, and its folder and those above it up to the store where they are empty then.

    Held where a process has it; OSError where a file cannot be removed.
    """
    segments = _segments(run)
    with RunFolder(run).lease():
        for segment in segments:
            shutil.rmtree(segment)
        remove_files(run_files(run))
    for place in (run / "wandb", run / "checkpoints", run, run.parent, run.parent.parent):
        with contextlib.suppress(OSError):  # not empty, or not there
            if not place.is_symlink():
                place.rmdir()


def remove_sweep(sweep: Path) -> None:
    """Removes a sweep's manifests, and its folder where nothing else lies there."""
    with locked(sweep / ".lock"):
        remove_files(own_files(sweep, MANIFEST_COPY, HALF_WRITTEN))
        remove_files(own_files(sweep, SWEEP_FILE))
    for place in (sweep, sweep.parent):
        with contextlib.suppress(OSError):
            place.rmdir()
