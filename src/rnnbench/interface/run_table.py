"""`rnnbench.runs`: what was run, as a table."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow

from ..launch.status import run_state
from ..store.find import FoundRun, find_runs
from ..store.record import Record, headline_score
from ..store.run_folder import RunFolder

GROUPS = ("task", "model", "network", "train", "budget", "trainer", "tracker")  # of options
ABOUT = ("path", "status", "task", "model", "seed", "sweep", "id", "setting", "repeat")
RESULT = ("headline", "score", "floor", "solved", "solved_step", "steps", "best_step", "parameters", "started", "ended")


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


def _row(run: FoundRun) -> dict[str, Any]:
    config, source = run.config, run.record or run.config
    row: dict[str, Any] = {
        "path": str(run.path),
        "status": run.record["status"] if run.record else run_state(RunFolder(run.path)).kind,
        "task": config["task"]["name"],
        "model": config["model"]["name"],
        "seed": config.get("seed"),
        "sweep": config.get("sweep"),
        "id": source.get("id"),
        "setting": source.get("setting"),
        "repeat": source.get("repeat", 0),
    }
    for group in GROUPS:
        options = config.get(group) or {}
        row |= {f"{group}.{name}": value for name, value in options.items() if (group, name) not in NAMED}
    return row | (_results(run.record) if run.record else {})


NAMED = {("task", "name"), ("model", "name")}  # columns by themselves


def _results(record: Record) -> dict[str, Any]:
    scores: Mapping[str, Any] = record["scores"]
    return {
        "headline": record["task"]["headline"],
        "score": headline_score(record),
        "floor": record["task"]["floor"],
        "parameters": record["model"]["parameters"],
        **{name: record[name] for name in RESULT if name not in ("headline", "score", "floor", "parameters")},  # type: ignore[literal-required]
        **{f"{split}.{name}": value for split in ("test", "validation") for name, value in (scores[split] or {}).items()},
        **{f"speed.{name}": value for name, value in record["speed"].items()},
    }


def _column(values: list[Any]) -> pyarrow.Array:
    """Values of one type as they are; lists, and those of several types, as text."""
    try:
        if not any(isinstance(value, list | dict) for value in values):
            return pyarrow.array(values)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, OverflowError):
        pass
    return pyarrow.array([value if value is None or isinstance(value, str) else json.dumps(value) for value in values])
