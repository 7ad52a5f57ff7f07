"""Records in, tables out: one block a task setting, one row a model setting, its seeds in one cell.

    adding length=200
    model    #    mse                       floor 0.167  solved          seeds
    gru      1–2  0.0021 [0.0012, 0.0030]   below        3/3 [.44, 1]    3
    lstm     1–2  0.0024 [0.0010, 0.0038]   below        2/2 [.34, 1]    2/3
    lstm: seed 1 is missing

Runs stand in one row only where nothing but the seed differs. What is missing, unfinished, diverged or
refused is named under the table; a diverged run is in no mean and counts as not solved. A rank is a range: the best
and the worst place that significant differences allow (`comparisons.places`).
Pure functions of what `records.find` returns; torch is never imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from ..store.find import FoundRun
from ..store.record import canonical
from .formatting import (
    format_compact,
    format_duration,
    format_interval,
    format_number,
    format_seeds,
    format_share,
    natural_key,
    option_text,
)
from .grouping import ModelResults, TaskResults, group_runs, stopped_when_solved
from .intervals import ENOUGH, NEAR, Estimate, against_floor, bootstrap, student, wilson
from .significance import rank_ranges
from .table import Cell, Column, Table

RANKED = (
    "the best and worst place that differences of means significant at 5 % allow (Welch's t test, Holm's correction over all "
    "pairs); none for one seed, at the floor, or where a run diverged or was refused."
)


def compare_runs(stored: Iterable[FoundRun], complaints: Iterable[str]) -> list[Table]:
    """A table for each task setting, and a last one without rows where something was refused. Raises NoRuns."""
    found, refusals = group_runs(stored, complaints)
    tables = [tabulate(block) for block in found]
    if refusals:
        gaps = tuple(" ".join(refusal.split()) for refusal in refusals)
        tables.append(Table("Refused", "", {}, (), (), gaps))
    return tables


def tabulate(block: TaskResults) -> Table:
    """The table of one task setting, best first."""
    task = block.task or {"version": None, "fingerprint": "", "headline": None, "direction": None, "floor": None, "unit": ""}
    most = min((len(entry.finished) for entry in block.entries if entry.finished), default=0)
    estimates = _estimates(block, robust=most >= ENOUGH)
    order = sorted(block.entries, key=lambda entry: _place(entry, estimates, block.lower_is_better))
    floor, arrow = task["floor"], {"min": " ↓", "max": " ↑"}.get(task["direction"], "")
    columns = (
        Column("model", ("model", "row", "setting"), left=True, words=True),
        Column("#", ("rank_best", "rank_worst"), spare=2),
        Column(f"{block.headline}{arrow}", ("estimator", "value", "low", "high"), left=True),
        Column("floor" if floor is None else f"floor {format_number(floor)}", ("against_floor",), left=True),
        Column("solved", ("solved", "solved_of", "solved_low", "solved_high"), left=True),
        Column("to solve", ("seconds_to_solved",), spare=4),
        Column("parameters", ("parameters",), spare=3),
        Column("steps/s", ("steps_per_second",), spare=5),
        Column("tokens/s", ("tokens_per_second",), spare=6),
        Column("seeds", ("seeds", "missing", "unfinished", "diverged", "refused")),
    )
    ranks = _ranks(block, estimates)
    rows = tuple(_row(block, entry, estimates, ranks) for entry in order)
    about = {
        "task": block.name,
        "task_version": task["version"],
        "task_options": canonical(block.options),
        "fingerprint": task["fingerprint"],
        "score": task["headline"],
        "direction": task["direction"],
        "floor": floor,
    }
    gaps = [gap for entry in order for gap in _gaps(block, entry)]
    hardware = {canonical(run.record["hardware"]) for entry in order for run in entry.recorded if run.record}
    if len(hardware) > 1:
        gaps.append(f"run on {len(hardware)} kinds of hardware: do not compare their speeds")
    return Table(block.label, _caption(block), about, columns, rows, tuple(gaps), tuple(_notes(block, rows, estimates)))


def _estimates(block: TaskResults, robust: bool) -> dict[str, Estimate]:
    """Each entry's score over its finished seeds; one estimator for the whole block."""
    estimator: Callable[[Sequence[float]], Estimate] = bootstrap if robust else student
    return {entry.label: estimator(block.scores(entry)) for entry in block.entries if entry.finished}


def _place(entry: ModelResults, estimates: Mapping[str, Estimate], lower_is_better: bool) -> tuple[bool, float, list[Any]]:
    """Sorts the best first, and what has no score last."""
    value = estimates[entry.label].value if entry.label in estimates else 0.0
    return entry.label not in estimates, value if lower_is_better else -value, natural_key(entry.label)


def _ranks(block: TaskResults, estimates: Mapping[str, Estimate]) -> dict[str, tuple[int, int]]:
    """By entry: its best and worst place; none for one at its floor, of one seed, or of which a run has no score."""
    floor = block.task["floor"] if block.task else None
    there = {
        entry.label: block.scores(entry)
        for entry in block.entries
        if len(entry.finished) >= 2 and not entry.diverged and not entry.refused
        if against_floor(estimates[entry.label], floor) != "at"
    }
    return rank_ranges(there, block.lower_is_better)


def rank_cell(place: tuple[int, int] | None) -> str:
    return "–".join(map(str, sorted(set(place or ()))))


def _row(
    block: TaskResults, entry: ModelResults, estimates: Mapping[str, Estimate], ranks: Mapping[str, tuple[int, int]]
) -> tuple[Cell, ...]:
    estimate = estimates.get(entry.label)
    records = [run.record for run in entry.recorded if run.record]
    cells = [Cell(entry.label, (entry.model, entry.label, entry.setting))]
    if estimate:
        place = ranks.get(entry.label)
        cells.append(Cell(rank_cell(place), place or (None, None)))
        cells.append(Cell(format_interval(estimate), (estimate.estimator, estimate.value, estimate.low, estimate.high)))
        verdict = against_floor(estimate, block.task["floor"] if block.task else None)
        good = "below" if block.lower_is_better else "above"
        cells.append(Cell(verdict, (verdict,), {good: "good", "undecided": "warn"}.get(verdict, "poor")))
    else:
        cells.append(Cell("", (None, None)))
        word, tone = ("diverged", "poor") if entry.diverged else ("–", "warn")
        cells.append(Cell(word, (None, None, None, None), tone))
        cells.append(Cell("", (None,)))
    solved = sum(bool(record["solved"]) for record in records)
    if any(record["solved"] is not None for record in records):
        rate = wilson(solved, len(records))
        low, high = rate.low or 0.0, rate.high or 0.0
        cells.append(
            Cell(f"{solved}/{len(records)} [{format_share(low)}, {format_share(high)}]", (solved, len(records), low, high))
        )
    else:
        cells.append(Cell("", (None, None, None, None)))
    cells.append(_median((record["seconds_to_solved"] for record in records if record["solved"]), format_duration))
    parameters = records[0]["model"]["parameters"] if records else None
    cells.append(Cell("" if parameters is None else format_compact(parameters), (parameters,)))
    for speed in ("steps_per_second", "tokens_per_second"):
        cells.append(_median((run.record["speed"].get(speed) for run in entry.finished if run.record), format_compact))
    done, wanted = len(entry.finished), len(block.wanted(entry))
    lists = [
        {run.config["seed"] for run in entry.finished},
        block.wanted(entry) - entry.seeds,
        {run.config["seed"] for run in entry.unfinished},
        {run.config["seed"] for run in entry.diverged},
        set(entry.refused),
    ]
    values = tuple(" ".join(map(str, sorted(seeds))) for seeds in lists)
    cells.append(Cell(f"{done}" if done == wanted else f"{done}/{wanted}", values, "" if done == wanted else "warn"))
    return tuple(cells)


def _median(values: Iterable[float | None], shown: Callable[[float], str]) -> Cell:
    known = [value for value in values if value is not None]
    return Cell(shown(median(known)), (median(known),)) if known else Cell("", (None,))


def _caption(block: TaskResults) -> str:
    if block.task is None:
        return f"no run has finished yet · {_options(block.options)}".strip(" ·")
    unit = f" ({block.task['unit']})" if block.task["unit"] else ""
    better = "lower" if block.lower_is_better else "higher"
    records = [run.record for entry in block.entries for run in entry.recorded if run.record]
    shared = (
        {
            key: value
            for key, value in records[0]["departures"].items()
            if not key.startswith("task.") and all(record["departures"].get(key) == value for record in records)
        }
        if records
        else {}
    )
    parts = [f"test {block.headline}{unit}, {better} is better", _options(block.options)]
    parts.append(f"every run: {_options(shared)}" if shared else "")
    return " · ".join(part for part in parts if part)


def _options(options: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={option_text(value)}" for key, value in options.items())


def _gaps(block: TaskResults, entry: ModelResults) -> Iterable[str]:
    """What this entry lacks, in words."""
    if missing := block.wanted(entry) - entry.seeds:
        yield f"{entry.label}: {format_seeds(missing)} missing"
    if entry.unfinished:
        yield f"{entry.label}: {format_seeds(run.config['seed'] for run in entry.unfinished)} unfinished"
    for run in entry.diverged:
        step = run.record["diverged_step"] if run.record else None
        yield f"{entry.label}: seed {run.config['seed']} diverged{'' if step is None else f' at step {step}'}"
    if entry.refused:
        yield f"{entry.label}: {format_seeds(entry.refused)} refused"


def _notes(block: TaskResults, rows: Sequence[Sequence[Cell]], estimates: Mapping[str, Estimate]) -> Iterable[str]:
    """How to read this table: only what applies to it."""
    records = [run.record for entry in block.entries for run in entry.recorded if run.record]
    verdicts = {row[3].text for row in rows}
    estimators = {estimate.estimator for estimate in estimates.values()}
    if "mean" in estimators:
        yield "[ ] is a 95 % interval: Student's t over seeds; Wilson's for the share solved."
    if "interquartile mean" in estimators:
        yield f"Scores are interquartile means with 95 % BCa bootstrap intervals ({ENOUGH} seeds or more in every row)."
    if "one seed" in estimators:
        yield "A score without an interval is one seed: it settles nothing."
    if any(row[1].text for row in rows):
        yield f"Sorted by score; #: {RANKED}"
    if "at" in verdicts:
        yield f"at: the interval holds the floor and stays within {100 * NEAR:.0f} % of it."
    if "undecided" in verdicts:
        yield "undecided: the interval does not exclude the floor, or there is none."
    if any(entry.diverged for entry in block.entries):
        yield "A diverged run is in no mean; it counts as not solved."
    if any(record["solved"] is not None for record in records):
        yield "solved: validation passed the task's bound at an evaluation; the test split has no say in it."
    if any(stopped_when_solved(record) for record in records):
        yield "Runs stop when validation says solved: beyond that, scores are not to be ranked by; time and share solved are."
    if 0 < sum(bool(record["solved"]) for record in records) < len(records):
        yield "to solve: the median of the seeds that solved it."
