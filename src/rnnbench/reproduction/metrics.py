"""The metrics of a run: numbers from its record and its log."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from pathlib import Path

from ..analysis.grouping import trained_with
from ..store.find import FoundRun
from ..store.log import LogRow
from ..store.record import Record
from ..store.run_folder import RunFolder
from .grid import FROM_LOGS, TIMES

BOUNDLESS = ("train/gradient_norm", "train/loss")


def nearly_equal(one: float | None, other: float | None) -> bool:
    """Whether two runs of one setting and seed gave one number, to what rounding may change on another machine."""
    return one == other or (one is not None and other is not None and math.isclose(one, other, rel_tol=1e-4))


def time_per_step(record: Record, metric: str) -> int:
    """What one of TIMES counts in a step."""
    return int(trained_with(record, "batch_size")) if metric == "sequences_to_solve" else 1


def metric_value(run: FoundRun, metric: str, folder: Path | None = None) -> float | None:
    """The metric of a run, whose log lies in `folder`; None where it has none."""
    record = run.record
    assert record is not None
    if metric == "diverged":
        return float(record["status"] == "diverged")
    if metric == "solved":
        return None if record["solved"] is None else float(record["solved"])
    model = record["model"]
    sizes = {"parameters": model["parameters"], "multiply_adds": model["multiply_adds"], "state_size": model["state_size"]}
    if metric in sizes:
        return float(sizes[metric])
    if metric.startswith(FROM_LOGS) or metric == "recall_lag":
        kept = record.get("measures", {})
        if metric in kept or metric == "recall_lag" or folder is None:
            return kept.get(metric)
        return logged_values(folder).get(metric)
    if record["status"] == "diverged":
        return None
    if metric == "seconds_per_step":
        speed = record["speed"]["steps_per_second"]
        return 1 / speed if speed else None
    if metric in TIMES:
        return None if record["solved_step"] is None else float(record["solved_step"] * time_per_step(record, metric))
    split, _, name = metric.partition(".")
    scores = record["scores"]["validation" if split == "validation" else "test"] or {}
    return scores.get(name or record["task"]["headline"])


# The log of a run, as a few numbers


@functools.lru_cache(maxsize=4096)
def logged_values(folder: Path) -> Mapping[str, float]:
    """`first.KEY`, `last.KEY`, `max.KEY` and `mean.KEY` of every number in the log and of the `derived_values` of its rows."""
    columns: dict[str, list[float]] = {}
    for row in RunFolder(folder).metrics():
        for key, value in {**row, **derived_values(row)}.items():
            if value is None and key.startswith(BOUNDLESS):
                value = math.inf  # a log holds null for what is not finite
            if isinstance(value, int | float) and key != "step":
                columns.setdefault(key, []).append(float(value))
    found: dict[str, float] = {}
    for key, values in columns.items():
        found |= {f"first.{key}": values[0], f"last.{key}": values[-1], f"max.{key}": max(values)}
        found[f"mean.{key}"] = math.fsum(values) / len(values)
    return found


def derived_values(row: LogRow) -> dict[str, float]:
    """Of each layer's full state, h and c together, in steps back from the last one:

    `train/fall/PLACE`, log10 of the gradient's norm at the first step over that at the last; and `train/decay/PLACE`, the slope
    of its natural logarithm per step back by least squares. Absent where the gradient is zero.
    """
    curves: dict[str, list[list[float]]] = {}
    for key, value in row.items():
        if key.startswith("train/state_gradient/"):
            curves.setdefault(key.split("/")[2], []).append(value)
    found = {}
    for place, parts in curves.items():
        norms = [math.sqrt(sum((value or 0.0) ** 2 for value in step)) for step in zip(*parts, strict=True)]
        if len(norms) < 2 or min(norms) <= 0:
            continue
        found[f"train/fall/{place}"] = math.log10(norms[0] / norms[-1])
        back = range(len(norms))[::-1]
        mean = (len(norms) - 1) / 2
        logs = [math.log(norm) for norm in norms]
        spread = sum((lag - mean) ** 2 for lag in back)
        found[f"train/decay/{place}"] = sum((lag - mean) * log for lag, log in zip(back, logs, strict=True)) / spread
    return found
