"""`rnnbench.runs`: what was run, as a table."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow

from ..analysis.run_details import GROUPS
from ..analysis.run_rows import ABOUT, RESULT, Row, run_row
from ..launch.status import run_state
from ..store.find import FoundRun, find_runs
from ..store.run_folder import RunFolder


def runs_table(paths: Iterable[Path]) -> pyarrow.Table:
    """A row for each run at or below `paths`; a column that a run has nothing for is null there.

    FileNotFoundError where a path is not there. A record that cannot be trusted is a warning, never a row.
    """
    found, complaints = find_runs(paths)
    for line in complaints:
        warnings.warn(line, stacklevel=3)
    rows = [_row(run) for run in found]
    fixed = [*ABOUT, *RESULT]
    others = sorted({name for row in rows for name in row} - set(fixed), key=_place)
    return pyarrow.table({name: _column([row.get(name) for row in rows]) for name in (*fixed, *others)})


def _place(name: str) -> tuple[int, str]:
    """Scores, then speeds, then options by group."""
    order = ("test", "validation", "speed", *GROUPS)
    return order.index(name.partition(".")[0]), name


def _row(run: FoundRun) -> Row:
    return run_row(run, "" if run.record else run_state(RunFolder(run.path)).kind)


def _column(values: list[Any]) -> pyarrow.Array:
    """Values of one type as they are; lists, and those of several types, as text."""
    try:
        if not any(isinstance(value, list | dict) for value in values):
            return pyarrow.array(values)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, OverflowError):
        pass
    return pyarrow.array([value if value is None or isinstance(value, str) else json.dumps(value) for value in values])
