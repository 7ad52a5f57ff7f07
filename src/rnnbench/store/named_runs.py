"""A run by what a user calls it: its folder, its name in the folder of runs, or its id."""

from __future__ import annotations

import contextlib
import glob
import re
from collections.abc import Iterator
from pathlib import Path

from ..options import BadOption, amount, nearest
from .find import RUN, run_folders
from .record import DamagedRecord
from .run_folder import RunFolder

ID = re.compile(r"[0-9a-f]{4,32}")
SHORT = 8  # digits of the id that a folder's name holds
SHOWN = 3  # runs that a message names


def one_run(word: str, runs: Path) -> Path:
    """The folder of the run that `word` names: a run folder, a folder with one run in it, or a run below `runs` by its name
    (`adding/gru/s0-1a2b3c4d`, or the end of it) or the first digits of its id. BadOption where there is none, or more than one.
    """
    if word and Path(word).is_dir():
        found, where = list(run_folders(Path(word), [])), word
    else:
        found, where = list(named_runs(word, runs)), str(runs)
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(str(path) for path in found[:SHOWN])
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise BadOption(f"{word}: {amount(len(found), 'run')}: {names}{more}; name one")
    known = [path.name for path in _all_runs(runs)]
    near = nearest(word.rpartition("/")[2], known) or "; `rnnbench status` and `rnnbench compare` name them"
    raise BadOption(f"{word}: no run of that folder, name or id in {where}{near}")


def named_runs(word: str, runs: Path) -> Iterator[Path]:
    """The runs below `runs` whose name ends with `word`, or whose id begins with it."""
    parts = tuple(Path(word).parts)
    for path in _all_runs(runs):
        names_it = bool(parts) and path.parts[-len(parts) :] == parts and len(parts) <= 3
        if names_it or (ID.fullmatch(word) and path.name.rpartition("-")[2].startswith(word[:SHORT]) and _has_id(path, word)):
            yield path


def _all_runs(runs: Path) -> list[Path]:
    """The run folders below `runs` by their names, in order."""
    found = (runs / name for name in glob.glob("*/*/s*-*", root_dir=runs))
    return sorted(path for path in found if RUN.fullmatch(path.name) and path.is_dir())


def _has_id(path: Path, word: str) -> bool:
    if len(word) <= SHORT:
        return True
    with contextlib.suppress(DamagedRecord, OSError):
        return str(RunFolder(path).config().get("id", "")).startswith(word)
    return False
