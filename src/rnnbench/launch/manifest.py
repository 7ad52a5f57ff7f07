"""What a sweep is made of, how far it has come, and how long the rest will take: read from plain files, torch not needed.

    runs/sweeps/<name>/manifest.json               the runs that belong to it: folder, id, overrides; the command lines
    runs/sweeps/<name>/manifest-<digest>.json      the same, under a name that tells what is in it
    runs/sweeps/<name>/.lock                       locked while they are added to

A sweep is what all its manifests list. So two folders of runs can be merged by copying one over the other: where both have a
sweep of one name, manifest.json is that of one of them, and the others' runs stand in the file that the digest names.

The cost of every question grows with the sweep that is asked about, not with the store that it lies in.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
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
from ..store.own_files import MANIFEST_COPY, own_files, remove_files
from ..store.record import DamagedRecord, write_atomically
from ..store.run_folder import RunFolder

TRIES = 20  # to read the manifests of a sweep while another process writes them


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
    most: float = 0.0  # seconds, should it make all steps
    share: float = 1.0  # of its training steps, what runs like it made before they ended
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


@dataclass
class Manifest:
    """What belongs to a sweep: its runs by their folders' names, and the command lines, less its name and folder."""

    runs: dict[str, dict[str, str]] = field(default_factory=dict)
    commands: list[list[str]] = field(default_factory=list)

    def text(self) -> bytes:
        commands = {"commands": self.commands} if self.commands else {}
        return json.dumps({"schema": 1, "runs": self.runs, **commands}, indent=0, ensure_ascii=False).encode()

    def copy_name(self) -> str:
        """The name of the file that a copy of another manifest cannot overwrite."""
        return f"manifest-{hashlib.sha256(self.text()).hexdigest()[:16]}.json"


def write_manifest(runs: Path, sweep: str | None, jobs: Iterable[Job], command: Sequence[str] = ()) -> None:
    """Adds `jobs` to the manifest of `sweep`, and the words of the command line that asked for them.

    Two commands that name one sweep make one sweep of their runs.
    """
    assert sweep
    folder = runs / "sweeps" / sweep
    folder.mkdir(parents=True, exist_ok=True)
    jobs, nothing_new = list(jobs), False
    with contextlib.suppress(DamagedRecord):
        before = whole_manifest(folder)
        told = _joined(before, jobs, command)
        nothing_new = told == before
        if nothing_new and (folder / told.copy_name()).exists():
            return
    try:
        with locked(folder / ".lock"):
            _write(folder, _joined(_usable(folder), jobs, command))
    except OSError:
        if not nothing_new:  # else the folder may be read-only
            raise


def _write(folder: Path, told: Manifest) -> None:
    """Writes both files of the manifest, then removes those that they stand for. Killed in between, nothing is lost."""
    for name in (told.copy_name(), "manifest.json"):
        write_atomically(folder / name, told.text())
    remove_files(path for path in own_files(folder, MANIFEST_COPY) if path.name != told.copy_name())


def _usable(folder: Path) -> Manifest:
    """What those manifests list that can be read; the others are set aside."""
    found = Manifest()
    for path in _files(folder):
        try:
            found = _union(found, _read(path))
        except DamagedRecord as error:
            _set_aside(path, error)
    return found


def _union(one: Manifest, other: Manifest) -> Manifest:
    commands = one.commands + [command for command in other.commands if command not in one.commands]
    return Manifest({**one.runs, **other.runs}, commands)


def _joined(before: Manifest, jobs: Iterable[Job], command: Sequence[str]) -> Manifest:
    """A manifest with the runs of `jobs`.

    A run that 0.1 named and nobody has begun goes where it is one of `jobs` under another name. Of command lines that differ in
    the launcher alone the last one stays.
    """
    told = {**before.runs, **{job.name: {"id": job.id, "words": job.words} for job in jobs}}
    for job in jobs:
        for path in job.replaces:
            name = run_name(path)
            if name != job.name and name in told and not os.path.lexists(path):
                del told[name]
    if not command:
        return Manifest(told, before.commands)
    others = [words for words in before.commands if _asked(words) != _asked(command)]
    same = list(command) in before.commands
    return Manifest(told, before.commands if same else [*others, list(command)])


def _asked(command: Sequence[str]) -> list[str]:
    """The words of a command line that say what is run, not by which launcher."""
    return [word for word in command if not word.startswith("hydra")]


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
    return whole_manifest(folder).runs


class Gone(DamagedRecord):
    """A manifest that was not there any more when it was read."""


def whole_manifest(folder: Path, tries: int = TRIES) -> Manifest:
    """What all manifests in `folder` list; DamagedRecord where there is none, or one cannot be trusted.

    A writer removes a copy once another stands for it: where one is gone by the time it is read, they are listed again.
    """
    found = Manifest()
    try:
        for path in _files(folder) or [folder / "manifest.json"]:
            found = _union(found, _read(path))
    except Gone:
        if tries > 1:
            return whole_manifest(folder, tries - 1)
        raise
    return found


def _files(folder: Path) -> list[Path]:
    path = folder / "manifest.json"
    return [*own_files(folder, MANIFEST_COPY), *([path] if os.path.lexists(path) else [])]


def _read(path: Path) -> Manifest:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        runs, commands = dict(told["runs"]), told.get("commands", [])
    except (OSError, ValueError, LookupError, TypeError, RecursionError, AttributeError) as error:
        kind = Gone if isinstance(error, FileNotFoundError) else DamagedRecord
        raise kind(f"{path}: no manifest of a sweep ({type(error).__name__})") from None
    for name, about in runs.items():
        if not isinstance(about, dict) or not all(isinstance(about.get(key), str) for key in ("id", "words")):
            raise DamagedRecord(f"{path}: no manifest of a sweep ({name!r:.60} has no id and words)")
        parts = Path(name).parts
        if ".." in parts or Path(name).is_absolute() or not name.isprintable() or max(map(len, parts), default=256) > 255:
            raise DamagedRecord(f"{path}: {name!r:.60} is no run of this store")
    if not isinstance(commands, list) or not all(
        isinstance(words, list) and words and all(isinstance(word, str) for word in words) for words in commands
    ):
        raise DamagedRecord(f"{path}: no manifest of a sweep (its commands are no lists of words)")
    return Manifest(runs, commands)


def sweep_folder(sweep_or_path: str, runs: Path) -> Path | None:
    """The folder of the sweep that is called so, or is that folder; None where there is no such sweep."""
    places = (Path(sweep_or_path), runs / "sweeps" / sweep_or_path)
    return next((folder for folder in places if (folder / "manifest.json").exists()), None)


def named_folder(sweep_or_path: str, runs: Path) -> tuple[Path, bool]:
    """(folder, whether it is a sweep's). FileNotFoundError where there is neither such a sweep nor such a folder."""
    if folder := sweep_folder(sweep_or_path, runs):
        return folder, True
    if Path(sweep_or_path).is_dir():
        return Path(sweep_or_path), False
    there = sorted(path.parent.name for path in runs.glob("sweeps/*/manifest.json"))
    below = sorted(runs.glob(f"*/sweeps/{glob.escape(sweep_or_path)}/manifest.json")) if sweep_or_path else []
    if below:
        raise FileNotFoundError(
            f"no sweep {sweep_or_path!r} in {runs}; it is in {below[0].parents[2]}: name that folder of runs"
        )
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
