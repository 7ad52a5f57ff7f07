"""Each run as one row: every option, what became of it, scores, speed and folder, by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..options import amount, unknown
from ..store.find import FoundRun
from ..store.record import Record, canonical, headline_score
from .formatting import format_number, natural_key
from .naming import OPTIONS, all_options
from .run_details import GROUPS, value_text
from .table import Cell, Column, Table, Value

ABOUT = ("path", "status", "reason", "task", "model", "seed", "sweep", "id", "setting", "repeat")
RESULT = ("headline", "score", "floor", "solved", "solved_step", "steps", "best_step", "parameters", "started", "ended")
NAMED = {("task", "name"), ("model", "name")}  # columns by themselves
Row = dict[str, Any]


def run_row(run: FoundRun, state: str) -> Row:
    """The values of a run by name; what it has nothing for is absent. `state`: how it stands where it is not recorded."""
    config, source = run.config, run.record or run.config
    row: Row = {
        "path": str(run.path),
        "status": run.record["status"] if run.record else state,
        "reason": _reason(run),
        "task": config["task"]["name"],
        "model": config["model"]["name"],
        "seed": config.get("seed"),
        "sweep": config.get("sweep"),
        "id": source.get("id"),
        "setting": source.get("setting"),
        "repeat": source.get("repeat", 0),
    }
    row |= all_options(config, OPTIONS)
    for group in GROUPS:
        options = config.get(group) or {}
        row |= {f"{group}.{name}": value for name, value in options.items() if (group, name) not in NAMED}
    return row | (_results(run.record) if run.record else {})


def _reason(run: FoundRun) -> str | None:
    if run.record and run.record["status"] == "diverged":
        return f"diverged at step {run.record['diverged_step']}"
    return run.failure


def _results(record: Record) -> Row:
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


def known_names(rows: Iterable[Row]) -> list[str]:
    """All names that a row of them has, `task.name` and `model.name` too."""
    return list(dict.fromkeys(["task.name", "model.name", *(name for row in rows for name in row)]))


def with_names(row: Row) -> Row:
    """The row with `task.name` and `model.name`, as options are called elsewhere."""
    return {**row, "task.name": row["task"], "model.name": row["model"]}


def runs_view(rows: Sequence[Row], columns: Sequence[str] = (), sort: str = "", refusals: Sequence[str] = ()) -> Table:
    """A table with a row for each run: the options in which they differ, status, reason, scores, speed and folder.

    `columns`: these instead; `all` for all that there are. `sort`: the name to sort by, with a minus sign largest first.
    BadOption for a name that no run has.
    """
    known = known_names(rows)
    for word in [*columns, *([sort.removeprefix("-")] if sort else [])]:
        if word not in known and word != "all":
            raise unknown("column", word, known)
    chosen = [*known] if "all" in columns else list(columns) or _usual_columns(rows)
    shown = [with_names(row) for row in rows]
    key = sort.removeprefix("-")
    there = sorted((row for row in shown if not sort or row.get(key) is not None), key=lambda row: sort_key(row.get(key)))
    lacking = [row for row in shown if sort and row.get(key) is None]
    if not sort:
        there = sorted(shown, key=lambda row: [natural_key(str(row.get(name, ""))) for name in (*chosen, "path")])
    lines = [*(there[::-1] if sort.startswith("-") else there), *lacking]
    heads = tuple(Column(name, (name,), left=_is_words(lines, name), words=_is_words(lines, name)) for name in chosen)
    cells = tuple(tuple(Cell(_text(row.get(name)), (_plain(row.get(name)),)) for name in chosen) for row in lines)
    return Table(f"{amount(len(rows), 'run')}", "", {}, heads, cells, tuple(refusals))


def _usual_columns(rows: Sequence[Row]) -> list[str]:
    """Task, model, the options in which the runs that have them differ, seed, status, reason, scores, speed and folder."""
    values: dict[str, set[str]] = {}
    for row in rows:
        for name, value in row.items():
            if name.partition(".")[0] in OPTIONS and "." in name:
                values.setdefault(name, set()).add(canonical(value))
    differing = [name for name, seen in values.items() if len(seen) > 1 and name not in ("model.mechanism",)]
    there = [name for name in ("reason", "score", "headline", "solved") if any(row.get(name) is not None for row in rows)]
    validation = [f"validation.{name}" for name in dict.fromkeys(row["headline"] for row in rows if "headline" in row)]
    end = [name for name in (*validation, "speed.steps_per_second") if any(row.get(name) is not None for row in rows)]
    return ["task", "model", *differing, "seed", "status", *there, *end, "path"]


def sort_key(value: Any) -> tuple[int, Any]:
    """Numbers before texts, texts in natural order."""
    return (0, value) if isinstance(value, int | float) else (1, natural_key(str(value)))


def _is_words(rows: Iterable[Row], name: str) -> bool:
    return not all(isinstance(row.get(name), int | float | None) for row in rows)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return format_number(value) if isinstance(value, float) else value_text(value)


def _plain(value: Any) -> Value:
    return value if isinstance(value, str | int | float | None) else value_text(value)
