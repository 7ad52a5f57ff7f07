"""Finds runs below folders and in results.jsonl files."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .collector import without_collecting
from .record import Config, DamagedRecord, Record, verified
from .record_lines import RecordReader
from .run_folder import RunFolder

RUN = re.compile(r"s\d+-[0-9a-z]+")  # the name of a run's folder
LEVELS = 4  # below a folder of searches at which runs lie; below a folder of runs it is 3
MOST_FOLDERS = 20_000  # that are looked at on a level


@dataclass(frozen=True)
class FoundRun:
    """A run that was found: its folder, its settings, and its record unless it is unfinished."""

    path: Path
    config: Config
    record: Record | None
    failure: str | None = None  # why the last attempt at an unfinished run failed


@without_collecting()
def find_runs(paths: Iterable[Path]) -> tuple[list[FoundRun], list[str]]:
    """(runs, complaints) under `paths`: run folders, folders that hold them, results.jsonl files.

    FileNotFoundError for a path that is not there. A damaged record is a complaint, never a row.
    """
    runs: list[FoundRun] = []
    complaints: list[str] = []
    reader = RecordReader()
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"no run, folder or results file at {path}")
        if path.name == "record.json" and os.path.isfile(path):
            path = path.parent
        if path.is_file():
            _read_results(path, runs, complaints)
            continue
        for folder in run_folders(path, complaints):
            try:
                record = RunFolder(folder).record(reader.parse)
                config: Config = record["config"] if record else RunFolder(folder).config()
            except (DamagedRecord, OSError, UnicodeDecodeError) as error:
                complaints.append(" ".join(str(error).split()))
                continue
            runs.append(FoundRun(folder, config, record, None if record else RunFolder(folder).failure()))
    return runs, complaints


def only_finished_run(path: Path) -> Path:
    """The folder of the one finished run at or below `path`. A run that diverged has no weights, and is none of them.

    FileNotFoundError, one line, where there is none; ValueError where there are several.
    """
    ended = {run.path: run.record["status"] for run in find_runs([path])[0] if run.record}
    finished = [folder for folder, status in ended.items() if status == "finished"]
    if len(finished) > 1:
        raise ValueError(f"{path}: {len(finished)} finished runs there; name one, such as {finished[0]}")
    if not finished:
        diverged = f", {len(ended)} that diverged, such as {next(iter(ended))}" if ended else ""
        raise FileNotFoundError(f"{path}: no finished runs there{diverged}; one is needed")
    return finished[0]


def _read_results(path: Path, runs: list[FoundRun], complaints: list[str]) -> None:
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            record = verified(line, f"{path}:{number}")
            runs.append(FoundRun(path, record["config"], record))
        except DamagedRecord as error:
            complaints.append(str(error))


def run_folders(
    path: Path, complaints: list[str] | None = None, above: frozenset[tuple[int, int]] = frozenset()
) -> Iterator[Path]:
    """Run folders at or below `path`, in order of their names; a link back to a folder above is not followed.

    A folder that may not be read is a complaint.
    """
    try:
        entries = sorted(os.scandir(path), key=lambda entry: entry.name)
        names = {entry.name for entry in entries}
        if "record.json" in names:
            yield path
            return
        place = path.stat()
    except OSError as error:
        if complaints is None:
            raise
        complaints.append(f"{path}: {error.strerror}")
        return
    folders = [entry for entry in entries if os.path.isdir(entry)]
    within = any(entry.name != "checkpoints" for entry in folders)  # then config.yaml may be another's
    if "config.yaml" in names and not (within and _foreign(path / "config.yaml")):
        yield path
        return
    here = (place.st_dev, place.st_ino)
    for entry in folders:
        if not entry.name.startswith(".") and here not in above:
            yield from run_folders(Path(entry.path), complaints, above | {here})


def nearby_runs(path: Path) -> Iterator[Path]:
    """The run folders nearest to `path`: itself, or one that it lies in; else those below.

    As deep as runs of a study lie below all searches; no link is followed.
    """
    for place in (path, *path.absolute().parents[:2]):
        if _is_run(place):
            yield place
            return
    folders = [str(path)]
    for _ in range(LEVELS):
        below = []
        for folder in folders[:MOST_FOLDERS]:
            with contextlib.suppress(OSError), os.scandir(folder) as entries:
                below += sorted(entry.path for entry in entries if entry.is_dir(follow_symlinks=False) and entry.name[0] != ".")
        folders = []
        for folder in below:
            if not RUN.fullmatch(os.path.basename(folder)):
                folders.append(folder)
            elif any(os.path.exists(os.path.join(folder, name)) for name in ("record.json", "config.yaml")):
                yield Path(folder)


def _is_run(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return (path / "record.json").is_file() or ((path / "config.yaml").is_file() and not _foreign(path / "config.yaml"))
    return False


def _foreign(path: Path) -> bool:
    """Whether a config.yaml is not that of a run, which names its run's id."""
    try:
        return not any(line.startswith("id:") for line in path.read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError):
        return True
