"""How far a sweep is, and which checkpoints can go."""

from __future__ import annotations

import contextlib
import glob
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ..options import amount, shortened
from ..store.find import FoundRun, nearby_runs
from ..store.lease import Held, Watch
from ..store.own_files import CHECKPOINT, SET_ASIDE, own_files, remove_files, stale_files
from ..store.record import DamagedRecord
from ..store.run_folder import RunFolder, checkpoint_step
from .manifest import member_runs, read_manifest, run_name

CLAUSE = re.compile(r"[,;] ")  # ends of the beginning of a reason
LONGEST = 160  # characters of what follows it
Failed = TypeVar("Failed")
DIVERGED = b'\n "status": "diverged",\n'  # in a record as RunFolder.finish writes it
CHECKED = 5000  # records of a store that `status` without a name checks, for time

# Status


@dataclass(frozen=True)
class RunState:
    """How a run stands: one of KINDS, and a word more."""

    kind: str
    about: str = ""


KINDS = ("recorded", "running", "interrupted", "failed", "damaged", "missing")
TROUBLE = ("failed", "damaged", "recorded", "interrupted", "running", "missing")  # the order of lines; recorded: diverged


def run_state(folder: RunFolder, words: str = "") -> RunState:
    try:
        if record := folder.record():
            diverged = record["status"] == "diverged"
            return RunState("recorded", f"diverged at step {record['diverged_step']}" if diverged else "")
    except (DamagedRecord, OSError) as error:
        return RunState("damaged", str(error))
    if not folder.path.exists():
        return RunState("missing", words)
    step = last_step(folder)
    reached = f"at step {step}" if step else "before its first checkpoint"
    if holder := Watch(folder.path).holder():
        return RunState("running", f"{reached}, by {holder}")
    if message := folder.failure():
        return RunState("failed", message.removeprefix(f"{run_name(folder.path)}: "))
    return RunState("interrupted", reached) if (folder.path / "config.yaml").exists() else RunState("missing", words)


def last_step(folder: RunFolder) -> int:
    """The step of the newest checkpoint; 0 where there is none."""
    with contextlib.suppress(OSError):
        return max(map(checkpoint_step, folder.checkpoint_files()), default=0)
    return 0


def status_lines(folder: Path, is_sweep: bool) -> Iterator[str]:
    """A line of counts; then what went wrong, with reasons and folders, and a line for each run that is not recorded."""
    found: list[tuple[RunState, RunFolder, str, str]] = []
    unreadable: list[str] = []
    for name, run, words in member_runs(folder, is_sweep, unreadable):
        found.append((run_state(run, words), run, name, words))
    counts = count_text([state for state, *_ in found])
    yield f"{'sweep ' if is_sweep else ''}{folder.name}: {amount(len(found), 'run')}{': ' if counts else ''}{counts}"
    for kind in TROUBLE:
        of_kind = sorted((one for one in found if one[0].kind == kind), key=lambda one: one[2])
        if kind == "failed":
            yield from _failed_lines(of_kind)
        elif kind == "recorded":
            yield from (
                f"  diverged     {run.path}  {state.about[9:]}  {words}".rstrip()
                for state, run, _, words in of_kind
                if state.about
            )
        else:
            yield from (f"  {kind:11}  {name}  {state.about}".rstrip() for state, _, name, _ in of_kind)
    yield from (f"  unreadable   {line}" for line in unreadable)


def count_text(states: Sequence[RunState]) -> str:
    """`4 recorded (1 diverged), 2 failed`."""
    counts = Counter(state.kind for state in states)
    diverged = sum(state.kind == "recorded" and bool(state.about) for state in states)
    of_them = {"recorded": f" ({diverged} diverged)" if diverged else ""}
    return ", ".join(f"{counts[kind]} {kind}{of_them.get(kind, '')}" for kind in KINDS if counts[kind])


def _failed_lines(found: Sequence[tuple[RunState, RunFolder, str, str]]) -> Iterator[str]:
    for reason, group in by_reason(found, lambda one: one[0].about).items():
        yield f"  {len(group)} failed: {reason}"
        yield from (f"    {run.path}  {failure_rest(state.about)}{words}".rstrip() for state, run, _, words in group)


def by_reason(failed: Iterable[Failed], about: Callable[[Failed], str]) -> dict[str, list[Failed]]:
    """What failed by the beginning of its reason, such as `out of memory`, the commonest first; `about` gives the reason."""
    found: dict[str, list[Failed]] = {}
    for one in failed:
        found.setdefault(CLAUSE.split(about(one), maxsplit=1)[0], []).append(one)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def failure_rest(reason: str) -> str:
    """What a reason says beyond its beginning, shortened, with two spaces after it; empty where that is all."""
    rest = CLAUSE.split(reason, maxsplit=1)[1:]
    return f"{shortened(rest[0], LONGEST)}  " if rest else ""


def overview_lines(runs: Path) -> Iterator[str]:
    """A line for each sweep of a store, the one that was touched last at the end, and one for the runs of none of them."""
    found = sorted(runs.glob("sweeps/*/manifest.json"), key=lambda path: path.lstat().st_mtime)
    listed: set[Path] = set()
    below = list(nearby_runs(runs))
    checked = len(below) <= CHECKED
    for path in found:
        try:
            folders = [runs / name for name in read_manifest(path.parent)]
        except DamagedRecord as error:
            yield f"sweep {path.parent.name}: {error}"
            continue
        listed.update(folders)
        yield f"sweep {path.parent.name}: {amount(len(folders), 'run')}, {_overview(folders, checked)}"
    lower = sorted(runs.glob("*/sweeps/*/manifest.json"))
    for path in lower:  # sweeps of stores below; a damaged manifest is said by its own store
        with contextlib.suppress(DamagedRecord):
            listed.update(path.parents[2] / name for name in read_manifest(path.parent))
    if others := [path for path in below if path not in listed]:
        yield f"runs of no sweep: {len(others)}, {_overview(others, checked)}"
    if not checked:
        yield f"more than {CHECKED:,} runs: their records are counted, not checked; `rnnbench status SWEEP` checks a sweep's"
    for path in lower:
        yield f"sweep {path.parent.name}: `rnnbench status {path.parent.name} --runs {path.parents[2]}`"
    if not found and not lower:
        yield f"no sweeps in {runs}; `rnnbench train -m ...` makes one"


def _overview(folders: Sequence[Path], checked: bool) -> str:
    """How many are recorded, and how the others stand; where records are not `checked`, by what stands in the folders."""
    diverged, counts = 0, Counter[str]()
    for folder in folders:
        if checked or not os.path.exists(folder / "record.json"):
            state = run_state(RunFolder(folder))
            counts[state.kind] += 1
            diverged += state.kind == "recorded" and bool(state.about)
        else:
            counts["recorded"] += 1
            with contextlib.suppress(OSError):
                if (folder / "record.json").is_file():  # a pipe would be waited for
                    diverged += DIVERGED in (folder / "record.json").read_bytes()
    kinds = ("failed", "damaged", "interrupted", "running", "missing")
    more = "".join(f", {counts[kind]} {kind}" for kind in kinds if counts[kind])
    return f"{counts['recorded']} recorded{f' ({diverged} diverged)' if diverged else ''}{more}"


SEED = re.compile(r"(?:^| )seed=(\d+)(?= |$)")  # among the words of a run


def asked_seeds(runs: Iterable[FoundRun]) -> dict[Path, set[int]]:
    """By the folder of each run, the seeds that its sweep's manifest lists for its setting; none where there is none."""
    listed: dict[Path, dict[str, dict[str, str]]] = {}
    found: dict[Path, set[int]] = {}
    settings: dict[Path, dict[str, set[int]]] = {}
    for run in runs:
        place = run.path.absolute()
        if not (sweep := run.config.get("sweep")) or len(place.parts) < 4:
            continue
        folder = place.parents[2] / "sweeps" / str(sweep)
        if folder not in listed:
            try:
                listed[folder] = read_manifest(folder)
            except (DamagedRecord, OSError, ValueError):  # ValueError: the name of a sweep that no folder can have
                listed[folder] = {}
            seeds = settings[folder] = {}
            for about in listed[folder].values():
                if word := SEED.search(about["words"]):
                    seeds.setdefault(SEED.sub("", about["words"]), set()).add(int(word[1]))
        if own := listed[folder].get(run_name(place)):
            found[run.path] = settings[folder].get(SEED.sub("", own["words"]), set())
    return found


# Prune


def prune_lines(folder: Path, is_sweep: bool, days: float, dry: bool) -> Iterator[str]:
    """Removes checkpoints that nothing has touched for `days`, of runs that nobody runs, and what killed processes left behind.

    Only files that rnnbench wrote, by their names, and none behind a link below `folder`. Records are not touched.
    """
    freed, limit = 0, time.time() - days * 86400
    unreadable: list[str] = []
    for name, run, _ in member_runs(folder, is_sweep, unreadable):
        try:
            found = _removable(run, limit)
            if not found:
                continue
            if is_behind_link(run.path, folder.parent.parent if is_sweep else folder):
                yield f"  {name}  left alone: there is a link on the way to it"
                continue
            step, size = last_step(run), sum(path.stat().st_size for path in found)
            if Watch(run.path).holder():
                continue
            with run.lease() if not dry else contextlib.nullcontext():
                remove_files(() if dry else found)
        except Held:
            continue
        except OSError as error:
            yield f"  {name}  left alone: {error}"
            continue
        freed += size
        unfinished = any(CHECKPOINT.fullmatch(path.name) for path in found) and not os.path.lexists(run.path / "record.json")
        yield f"  {name}  {size / 1e6:.1f} MB{f', was at step {step}' if step and unfinished else ''}"
    for path in [] if dry else _litter(folder):
        with contextlib.suppress(OSError):
            remove_files([path])
    yield from (f"  unreadable   {line}" for line in unreadable)
    yield f"{'would free' if dry else 'freed'} {freed / 1e6:.1f} MB"


def _litter(folder: Path) -> Iterator[Path]:
    """What killed processes left half-written in a folder of runs, of its sweeps, of a study and of its trials."""
    for pattern in ("sweeps/*", "*", "trials/*", "*/trials/*"):
        for place in (folder / name for name in glob.glob(pattern, root_dir=folder)):
            if not is_behind_link(place, folder):
                with contextlib.suppress(PermissionError):  # said above
                    yield from stale_files(place)
    yield from stale_files(folder)


def _removable(run: RunFolder, limit: float) -> list[Path]:
    """What nobody needs of a run that nobody runs: half-written files; its checkpoints where it is recorded or they are old."""
    checkpoints = own_files(run.place, CHECKPOINT, SET_ASIDE)
    recorded = os.path.lexists(run.path / "record.json")
    if not recorded and checkpoints and max(path.stat().st_mtime for path in checkpoints) > limit:
        checkpoints = []
    found = [*checkpoints, *run.half_written()]
    return [path for path in found if not path.parent.is_symlink()]


def is_behind_link(path: Path, top: Path) -> bool:
    """Whether a folder from `path` up to, and without, `top` is a link: what lies there may be somebody else's."""
    return any(place.is_symlink() for place in (path, *path.parents) if place != top and place.is_relative_to(top))
