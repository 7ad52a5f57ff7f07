"""What goes when runs and sweeps are removed: the files that rnnbench wrote, told by their names, and folders left empty.

A run that a process holds stays, and so does what lies behind a link, and every file that is not ours. Of a sweep, runs stay
that another sweep's manifest lists too, or that were not made by it. What changes between the plan and the removal stays.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..options import BadOption, amount, shortened
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
from .manifest import Manifest, read_manifest, whole_manifest
from .status import is_behind_link, run_state

LAST = "config.yaml"  # of a run: what it is found by, should the removal be cut off
SHOWN = 3  # files that a line names


Stamps = dict[str, tuple[int, int]]  # of a run's files by name: when each was written, and its size


@dataclass
class Removal:
    """What is to go, and what stays though it was named."""

    runs: dict[Path, str] = field(default_factory=dict)  # by folder: how it stands
    stamps: dict[Path, Stamps] = field(default_factory=dict)  # by folder: what that was read from
    listed: dict[Path, Path] = field(default_factory=dict)  # by folder of a run that was not named by itself: its store
    sweeps: dict[Path, list[Path]] = field(default_factory=dict)  # by folder: its runs that go with it
    manifests: dict[Path, Manifest] = field(default_factory=dict)  # by the sweep's folder
    shared: dict[Path, str] = field(default_factory=dict)  # by folder of a run that is not the sweep's alone: why it stays
    stays: dict[Path, str] = field(default_factory=dict)  # by folder: why it cannot go
    size: int = 0  # bytes


def plan_removal(sweeps: Iterable[Path], runs: Iterable[Path]) -> Removal:
    """What goes with these folders of sweeps and of runs.

    DamagedRecord where another sweep's manifest cannot be read; BadOption for a sweep's folder that is in no store's sweeps/.
    """
    found = Removal()
    leaving = dict.fromkeys(map(_absolute, sweeps))
    for sweep in leaving:
        if sweep.parent.name != "sweeps":
            raise BadOption(
                f"{shortened(str(sweep))}: a copy of a sweep; allowed: the folder runs/sweeps/{shortened(sweep.name)} itself, "
                "whose runs lie in that store; a copy can be deleted as any folder"
            )
        store = sweep.parent.parent
        found.manifests[sweep] = whole_manifest(sweep)
        found.sweeps[sweep] = []
        for run in (store / name for name in found.manifests[sweep].runs if os.path.lexists(store / name)):
            if why := why_shared(run, store, leaving):
                found.shared[run] = why
            else:
                found.sweeps[sweep].append(run)
                found.listed[run] = store
                _add(found, run, store)
    for run in map(_absolute, runs):
        found.shared.pop(run, None)  # it was named by itself
        found.listed.pop(run, None)
        _add(found, run, run.parents[2])
    for run in found.runs:
        found.size += sum(size for _, size in found.stamps[run].values())
    return found


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))


def why_shared(run: Path, store: Path, leaving: Collection[Path]) -> str:
    """Why a run stays that sweeps list which are `leaving`: another one lists it too, or made it. Empty where it goes."""
    if other := listed_elsewhere(run, store, leaving):
        return f"sweep {other} lists it too"
    maker = _maker(run, unknown=next(iter(leaving)).name)
    if maker is not None and store / "sweeps" / maker in leaving:
        return ""
    return f"{f'sweep {shortened(maker)}' if maker else 'a command of its own'} made it; it goes when it is named itself"


def _maker(run: Path, unknown: str) -> str | None:
    """The sweep that made a run, None where it was no sweep; `unknown` where nothing there tells."""
    folder = RunFolder(run)
    with contextlib.suppress(DamagedRecord, OSError):
        if record := folder.record():
            return record["sweep"]
    with contextlib.suppress(DamagedRecord, OSError):
        return folder.config().get("sweep", unknown)
    return unknown


def listed_elsewhere(run: Path, store: Path, leaving: Collection[Path]) -> str:
    """The last sweep of `store` that lists a run, of those that are not `leaving`; empty where there is none."""
    name, found = run.relative_to(store).as_posix(), ""
    for path in sorted(store.glob("sweeps/*/manifest.json")):
        if path.parent not in leaving:
            try:
                written = path.parent.stat().st_mtime_ns, path.stat().st_mtime_ns
            except OSError as error:
                raise DamagedRecord(f"{path}: no manifest of a sweep ({error.strerror})") from None
            found = path.parent.name if name in _names(path.parent, written) else found
    return found


@functools.lru_cache(maxsize=1000)
def _names(sweep: Path, written: tuple[int, int]) -> frozenset[str]:
    """The runs that a sweep lists, read again where its folder or its manifest was `written` since."""
    return frozenset(read_manifest(sweep))


def _add(found: Removal, run: Path, store: Path) -> None:
    if is_behind_link(run, store):
        found.stays[run] = "there is a link on the way to it"
    elif holder := Watch(run).holder():
        found.stays[run] = f"held by {holder}"
    else:
        found.stamps[run] = run_stamps(run)  # before its state: what changes in between is seen
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


def run_stamps(run: Path) -> Stamps:
    """When each file of a run was written, and its size; without those of its lease and what is half-written."""
    found: Stamps = {}
    for path in run_files(run):
        if not LEASE.fullmatch(path.name) and not HALF_WRITTEN.fullmatch(path.name):
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                found[str(path.relative_to(run))] = (status.st_mtime_ns, status.st_size)
    return found


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
    for run, why in (planned.shared | planned.stays).items():
        yield f"  {_short(run)}  stays: {why}"
    sweeps = (
        f" and {amount(len(planned.sweeps), 'sweep')} ({', '.join(path.name for path in planned.sweeps)})"
        if planned.sweeps
        else ""
    )
    yield f"{amount(len(planned.runs), 'run')}{sweeps}, {planned.size / 1e6:.1f} MB; copies at W&B stay"


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


class Changed(RuntimeError):
    """What was to go is not what was planned."""


def remove_planned(planned: Removal, stayed: list[Path]) -> Iterator[str]:
    """Removes what was planned; a line for each thing that stays after all, then how much went.

    A run stays that has changed since, or that another sweep lists by now, and is added to `stayed`; so does a manifest that
    has changed.
    """
    kept = set(planned.stays)
    for run in planned.runs:
        try:
            remove_run(run, planned)
        except (Held, Changed, DamagedRecord, OSError) as error:
            kept.add(run)
            stayed.append(run)
            yield f"  {_short(run)}  stays: {error}"
            continue
        if os.path.lexists(run):
            yield f"  {_short(run)}  what rnnbench did not write stays there: {', '.join(sorted(os.listdir(run))[:SHOWN])}"
    for sweep, runs in planned.sweeps.items():
        if left := kept.intersection(runs):
            yield f"  sweep {sweep.name}  stays, with what stays of it: {amount(len(left), 'run')}"
            continue
        try:
            remove_sweep(sweep, planned.manifests[sweep])
        except (Changed, DamagedRecord, OSError) as error:
            yield f"  sweep {sweep.name}  stays: {error}"
    yield f"removed {len(planned.runs.keys() - kept)} of {amount(len(planned.runs) + len(planned.stays), 'run')}"


def remove_run(run: Path, planned: Removal) -> None:
    """Removes our files of a run, and its folder and those above it up to the store where they are empty then.

    Held where a process has it; Changed where it is not as planned; OSError where a file cannot be removed.
    """
    with RunFolder(run).lease():
        if run_stamps(run) != planned.stamps[run]:
            raise Changed("it has changed since it was looked at; give the command again")
        if (store := planned.listed.get(run)) and (why := why_shared(run, store, planned.sweeps)):
            raise Changed(why)
        for segment in _segments(run):
            shutil.rmtree(segment)
        remove_files(run_files(run))
    for place in (run / "wandb", run / "checkpoints", run, run.parent, run.parent.parent):
        with contextlib.suppress(OSError):  # not empty, or not there
            if not place.is_symlink():
                place.rmdir()


def remove_sweep(sweep: Path, planned: Manifest) -> None:
    """Removes a sweep's manifests, and its folder where nothing else lies there. Changed where they are not as planned."""
    with locked(sweep / ".lock"):
        if whole_manifest(sweep) != planned:
            raise Changed("its manifest has changed since it was looked at; give the command again")
        remove_files(own_files(sweep, MANIFEST_COPY, HALF_WRITTEN))
        remove_files(own_files(sweep, SWEEP_FILE))
    for place in (sweep, sweep.parent):
        with contextlib.suppress(OSError):
            place.rmdir()
