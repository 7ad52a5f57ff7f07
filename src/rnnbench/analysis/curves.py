"""Curves of logged values: one a label and seed, their mean, and as many points as a chart can show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, geometric_mean

from ..store.find import FoundRun
from ..store.log import LogRow
from ..store.run_folder import RunFolder

POINTS = 300  # of one curve at most
BUDGET = 12_000  # points of one chart, shared by its thin lines; as many again for its thick ones
Curve = list[tuple[float, float]]
Logs = Mapping[str, Mapping[int, list[LogRow]]]  # deterministic rows by label and seed


def read_log(run: FoundRun, unread: list[str]) -> list[LogRow]:
    """The deterministic rows of a run's log; none, and a complaint, where it cannot be read."""
    try:
        return [row for row in RunFolder(run.path).metrics() if isinstance(row["step"], int)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        unread.append(f"{run.path}: its log cannot be read ({type(error).__name__})")
        return []


def logged_series(logs: Logs, key: str) -> dict[tuple[str, int], Curve]:
    """A logged value over steps, one curve a label and seed; rows without a finite value are left out."""
    found = {}
    for label, seeds in logs.items():
        for seed, rows in seeds.items():
            curve = [(row["step"], row[key]) for row in rows if isinstance(row.get(key), int | float)]
            if curve := [(step, value) for step, value in curve if math.isfinite(value)]:
                found[label, seed] = curve
    return found


def mean_curve(curves: Sequence[Curve], geometric: bool) -> Curve:
    """The mean of curves at the steps that all of them have; it ends where the first of them ends."""
    if not curves:
        return []
    by_step = [dict(curve) for curve in curves]
    common = set.intersection(*(set(values) for values in by_step))
    mean = geometric_mean if geometric else fmean
    return [(step, mean([values[step] for values in by_step])) for step in sorted(common)]


def thinned(curve: Curve, points: int) -> Curve:
    """At most `points` points: both ends, and the lowest and the highest of each stretch between, so that spikes stay."""
    if len(curve) <= points:
        return curve
    inner, kept = curve[1:-1], [curve[0]]
    stretches = max(1, (points - 2) // 2)
    for stretch in range(stretches):
        piece = inner[len(inner) * stretch // stretches : len(inner) * (stretch + 1) // stretches]
        ends = {min(piece, key=lambda point: point[1]), max(piece, key=lambda point: point[1])}
        kept += sorted(ends)
    return [*kept, curve[-1]]


def packed_curve(curve: Curve, curves: int) -> dict[str, list[float]]:
    """A curve as two lists, thinned so that a chart of so many `curves` keeps to its budget."""
    kept = thinned(curve, max(30, min(POINTS, BUDGET // curves)))
    return {"step": [step for step, _ in kept], "value": [short_number(value) for _, value in kept]}


def short_number(value: float) -> float:
    """Four significant digits: what a pixel can show."""
    return float(f"{value:.4g}")
