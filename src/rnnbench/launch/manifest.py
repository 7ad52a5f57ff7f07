"""What a sweep is made of, how far it has come, and how long the rest will take: read from plain files, torch not needed.

    runs/sweeps/<name>/manifest.json     the runs that belong to it: folder, id, overrides
    runs/sweeps/<name>/.lock             locked while they are added to

The cost of every question grows with the sweep that is asked about, not with the store that it lies in.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..config.settings import Settings
from ..console import say
from ..run.survey import Survey
from ..store.find import nearby_runs, run_folders
from ..store.lease import locked
from ..store.record import DamagedRecord, write_atomically
from ..store.run_folder import RunFolder


@dataclass
class Job:
    """One run of a sweep, before it is run."""

    settings: Settings
    words: str  # the overrides that tell it from the others
    folder: RunFolder
    id: str
    setting: str  # the id that it shares with other seeds
    length: int  # steps of a sequence
    expected: float = 0.0  # seconds
    needed: int = 0  # bytes on a GPU; 0 where nothing is known
    overrides: list[str] = field(default_factory=list)  # all, for a launcher that is not ours
    replaces: set[Path] = field(default_factory=set)  # where 0.1 would have put the run, and those that now are the same

    @classmethod
    def of(cls, settings: Settings, words: str, survey: Survey, overrides: Sequence[str] = ()) -> Job:
        """The job of a run that was surveyed."""
        folder = RunFolder(Path(survey.folder))
        return cls(settings, words, folder, survey.id, survey.setting, survey.length, overrides=list(overrides))

    @property
    def name(self) -> str:
        return run_name(self.folder.path)


# The manifest


def write_manifest(runs: Path, sweep: str | None, jobs: Iterable[Job]) -> None:
    """Adds `jobs` to the manifest of `sweep`; two commands that name one sweep make one sweep of their runs."""
    assert sweep
    folder = runs / "sweeps" / sweep
    folder.mkdir(parents=True, exist_ok=True)
    path, jobs = folder / "manifest.json", list(jobs)
    with contextlib.suppress(DamagedRecord):
        before = read_manifest(folder)
        if _joined(before, jobs) == before:
            return  # then the folder may be read-only
    with locked(folder / ".lock"):
        try:
            before = read_manifest(folder) if os.path.lexists(path) else {}
        except DamagedRecord as error:
            _set_aside(path, error)
            before = {}
        told = _joined(before, jobs)
        if told != before:
            text = json.dumps({"schema": 1, "runs": told}, indent=0, ensure_ascii=False)
            write_atomically(path, text.encode())


def _joined(before: dict[str, dict[str, str]], jobs: Iterable[Job]) -> dict[str, dict[str, str]]:
    """The runs of a manifest with those of `jobs`.

    A run that 0.1 named and nobody has begun goes where it is one of `jobs` under another name.
    """
    told = {**before, **{job.name: {"id": job.id, "words": job.words} for job in jobs}}
    for job in jobs:
        for path in job.replaces:
            name = run_name(path)
            if name != job.name and name in told and not os.path.lexists(path):
                del told[name]
    return told


def _set_aside(path: Path, error: DamagedRecord) -> None:
    """Renames a manifest that holds none, and says so; raises `error` where it is no file of ours to read and rename."""
    if path.is_symlink() or not path.is_file() or not os.access(path, os.R_OK):
        raise error
    aside = path.with_suffix(".unusable")
    path.replace(aside)
    say(f"{error}: set aside as {aside.name}; records are what counts, and runs of other commands are listed when given again")


def run_name(path: Path) -> str:
    """The run as its sweep's manifest names it: task/model/run."""
    return "/".join(path.parts[-3:])


def read_manifest(folder: Path) -> dict[str, dict[str, str]]:
    """The runs of a sweep by their folders' names; DamagedRecord where there is no such list."""
    path = folder / "manifest.json"
    try:
        runs = dict(json.loads(path.read_text(encoding="utf-8"))["runs"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise DamagedRecord(f"{path}: no manifest of a sweep ({type(error).__name__})") from None
    for name, about in runs.items():
        if not isinstance(about, dict) or not all(isinstance(about.get(key), str) for key in ("id", "words")):
            raise DamagedRecord(f"{path}: no manifest of a sweep ({name!r:.60} has no id and words)")
        parts = Path(name).parts
        if ".." in parts or Path(name).is_absolute() or not name.isprintable() or max(map(len, parts), default=256) > 255:
            raise DamagedRecord(f"{path}: {name!r:.60} is no run of this store")
    return runs


def named_folder(sweep_or_path: str, runs: Path) -> tuple[Path, bool]:
    """(folder, whether it is a sweep's). FileNotFoundError where there is neither such a sweep nor such a folder."""
    for folder in (Path(sweep_or_path), runs / "sweeps" / sweep_or_path):
        if (folder / "manifest.json").exists():
            return folder, True
    if Path(sweep_or_path).is_dir():
        return Path(sweep_or_path), False
    there = sorted(path.parent.name for path in runs.glob("sweeps/*/manifest.json"))
    raise FileNotFoundError(f"no sweep or folder {sweep_or_path!r}; sweeps in {runs}: {', '.join(there) or 'none'}")


def is_ours(folder: Path) -> bool:
    """Whether runs, sweeps or studies lie in `folder` where they do in one of ours."""
    marks = ("sweeps/*/manifest.json", "search.json", "*/search.json", "journal.log", "*/journal.log", "trials", "*/trials")
    return any(glob.glob(mark, root_dir=folder) for mark in marks) or any(nearby_runs(folder))


def member_runs(folder: Path, is_sweep: bool, unreadable: list[str] | None = None) -> Iterator[tuple[str, RunFolder, str]]:
    """(name, folder, overrides) of every run of a sweep, or of every run folder at or below a folder.

    Folders that may not be read go into `unreadable`.
    """
    if is_sweep:
        store = folder.parent.parent
        for name, about in read_manifest(folder).items():
            yield name, RunFolder(store / name), about["words"]
        return

    for path in run_folders(folder, unreadable):
        yield run_name(path), RunFolder(path), ""
