"""Records in, tables out: one block a task setting, one row a model setting, its seeds in one cell.

    adding length=200
    model    #    mse                       floor 0.167  solved          seeds
    gru      1–2  0.0021 [0.0012, 0.0030]   below        3/3 [.44, 1]    3
    lstm     1–2  0.0024 [0.0010, 0.0038]   below        2/2 [.34, 1]    2/3
    lstm: seed 1 is missing

Runs stand in one row only where nothing but the seed differs. What is missing, unfinished, diverged or
refused is named under the table; a diverged run is in no mean and counts as not solved. A rank is a range: the best
and the worst place that significant differences allow (`significance.rank_ranges`).
Pure functions of what `find_runs` returns; torch is never imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from ..config.labels import option_text
from ..store.find import FoundRun
from ..store.record import canonical
from .comparison_text import block_gaps, comparison_caption, comparison_notes
from .formatting import format_compact, format_duration, format_interval, format_number, format_share, natural_key
from .grouping import Asked, ModelResults, TaskResults, group_runs
from .intervals import NEAR, Estimate, against_floor, is_bimodal, summarize, wilson
from .naming import OPTIONS, all_options
from .significance import can_be_ranked, rank_ranges
from .table import Cell, Column, Table


def compare_runs(stored: Iterable[FoundRun], complaints: Iterable[str], asked: Asked | None = None) -> list[Table]:
    """A table for each task setting, and a last one without rows where something was refused. Raises NoRuns."""
    found, refusals = group_runs(stored, complaints, asked)
    return [*map(tabulate, found), *refused_table(refusals)]


def blocks_by(
    key: str, values: Sequence[Any], stored: Sequence[FoundRun], complaints: Iterable[str], asked: Asked | None = None
) -> tuple[list[TaskResults], list[str]]:
    """As `group_runs`, with a block for each value of an option: settings that differ in it are not ranked together.

    `values`: of each run, in order.
    """
    parts: dict[str, list[FoundRun]] = {}
    for run, value in zip(stored, values, strict=True):
        parts.setdefault(option_text(value), []).append(run)
    blocks, refusals = list[TaskResults](), list(complaints)
    for text, runs in sorted(parts.items(), key=lambda item: natural_key(item[0])):
        found, refusals = group_runs(runs, refusals, asked)
        for block in found:
            block.label += f" {key}={text}"
        blocks += found
    return sorted(blocks, key=lambda block: natural_key(block.label)), refusals


def refused_table(refusals: Iterable[str]) -> list[Table]:
    """A table without rows that names what was refused; none where nothing was."""
    gaps = tuple(" ".join(refusal.split()) for refusal in refusals)
    return [Table("Refused", "", {}, (), (), gaps)] if gaps else []


def estimate_entries(block: TaskResults) -> dict[str, Estimate]:
    """By label the score of each entry that has one, with its interval."""
    return {
        entry.label: summarize(block.scores(entry), block.headline, solved=block.solved(entry))
        for entry in block.entries
        if entry.finished
    }


def tabulate(block: TaskResults, options: Sequence[str] = ()) -> Table:
    """The table of one task setting, best first, with a column for each of `options`, which are dotted names."""
    task, estimates = block.task, estimate_entries(block)
    by_share = any(is_bimodal(block.solved(entry)) for entry in block.entries)
    order = sorted(block.entries, key=lambda entry: _place(block, entry, estimates, by_share))
    arrow = {"min": " ↓", "max": " ↑"}[task["direction"]] if task else ""
    columns: tuple[Column, ...] = (
        Column("model", ("model", "row", "setting"), left=True, words=True),
        Column("#", ("rank_best", "rank_worst"), spare=2),
        Column(f"{block.headline}{arrow}", ("estimator", "value", "low", "high"), left=True),
        Column(
            f"floor {format_number(block.floor)}" if block.floor is not None and block.one_floor else "floor",
            ("against_floor", "floor"),
            left=True,
        ),
        Column(
            block.solved_by or "solved by", ("solved_by", "solved_score", "solved_score_low", "solved_score_high"), left=True
        ),
        Column("solved", ("solved", "solved_of", "solved_low", "solved_high"), left=True),
        Column("to solve", ("seconds_to_solved",), spare=4),
        Column("parameters", ("parameters",), spare=3),
        Column("steps/s", ("steps_per_second",), spare=5),
        Column("tokens/s", ("tokens_per_second",), spare=6),
        Column("seeds", ("seeds", "missing", "unfinished", "diverged", "refused")),
    )
    ranks = find_ranks(block, estimates)
    columns += tuple(Column(name, (name,), left=True) for name in options)
    rows = tuple((*_row(block, entry, estimates, ranks), *_option_cells(entry, options)) for entry in order)
    about = {
        "task": block.name,
        "task_version": task["version"] if task else None,
        "task_options": canonical(block.options),
        "fingerprint": task["fingerprint"] if task else "",
        "score": task["headline"] if task else None,
        "direction": task["direction"] if task else None,
        "floor": block.floor,
    }
    gaps = block_gaps(block, order)
    hardware = {canonical(record["hardware"]) for entry in order for record in entry.records}
    if len(hardware) > 1:
        gaps.append(f"run on {len(hardware)} kinds of hardware: do not compare their speeds")
    notes = tuple(comparison_notes(block, rows, estimates))
    return Table(block.label, comparison_caption(block), about, columns, rows, tuple(gaps), notes)


def _place(
    block: TaskResults, entry: ModelResults, estimates: Mapping[str, Estimate], by_share: bool
) -> tuple[bool, float, float, list[str | float]]:
    """Sorts the best first, and what has no score last; `by_share` by the share solved, then by score."""
    value = estimates[entry.label].value if entry.label in estimates else 0.0
    solved = block.solved(entry) if by_share else []
    share = sum(solved) / len(solved) if solved else 0.0
    return entry.label not in estimates, -share, value if block.lower_is_better else -value, natural_key(entry.label)


def find_ranks(block: TaskResults, estimates: Mapping[str, Estimate], at_floor: bool = False) -> dict[str, tuple[int, int]]:
    """By label the best and worst place; none for an entry of one seed, or of which a run has no score.

    Nor for one at its floor, unless `at_floor`.
    """
    there = [
        entry
        for entry in block.entries
        if can_be_ranked(block.scores(entry), block.headline) and not entry.diverged and not entry.refused
        if at_floor or against_floor(estimates[entry.label], block.floor_of(entry)) != "at"
    ]
    scores = {entry.label: block.scores(entry) for entry in there}
    solved = {entry.label: block.solved(entry) for entry in there}
    return rank_ranges(scores, block.lower_is_better, metric=block.headline, solved=solved)


def find_best(block: TaskResults, estimates: Mapping[str, Estimate]) -> str | None:
    """The label of the entry that has the best score of all, and is significantly better than each that has several seeds."""
    if not estimates:
        return None
    best = (min if block.lower_is_better else max)(estimates, key=lambda label: estimates[label].value)
    return best if find_ranks(block, estimates, at_floor=True).get(best) == (1, 1) else None


def rank_cell(place: tuple[int, int] | None) -> str:
    return "–".join(map(str, sorted(set(place or ()))))


def _row(
    block: TaskResults, entry: ModelResults, estimates: Mapping[str, Estimate], ranks: Mapping[str, tuple[int, int]]
) -> tuple[Cell, ...]:
    speeds = [run.record["speed"] for run in entry.finished if run.record]
    parameters = entry.record["model"]["parameters"] if entry.record else None
    return (
        Cell(entry.label, (entry.model, entry.label, entry.setting)),
        *_score_cells(block, entry, estimates.get(entry.label), ranks.get(entry.label)),
        _solved_metric_cell(block, entry),
        _solved_cell(entry),
        _median((record["seconds_to_solved"] for record in entry.records if record["solved"]), format_duration),
        Cell("" if parameters is None else format_compact(parameters), (parameters,)),
        _median((speed["steps_per_second"] for speed in speeds), format_compact),
        _median((speed["tokens_per_second"] for speed in speeds), format_compact),
        _seeds_cell(entry),
    )


def _option_cells(entry: ModelResults, options: Sequence[str]) -> Iterable[Cell]:
    if not options:
        return
    known = all_options(entry.config, OPTIONS) | {f"{group}.name": entry.config[group]["name"] for group in ("task", "model")}
    for name in options:
        value = known.get(name)
        shown = "" if value is None else option_text(value)
        yield Cell(shown, (value if isinstance(value, str | int | float | None) else shown,))


def _score_cells(
    block: TaskResults, entry: ModelResults, estimate: Estimate | None, place: tuple[int, int] | None
) -> tuple[Cell, Cell, Cell]:
    """Rank, score and how it stands to the floor."""
    if estimate is None:
        word, tone = ("diverged", "poor") if entry.diverged else ("–", "warn")
        return Cell("", (None, None)), Cell(word, (None, None, None, None), tone), Cell("", (None, None))
    return (
        Cell(rank_cell(place), place or (None, None)),
        Cell(format_interval(estimate), (estimate.estimator, estimate.value, estimate.low, estimate.high)),
        floor_cell(estimate, block.floor_of(entry), block.lower_is_better, named=not block.one_floor),
    )


def floor_cell(estimate: Estimate, floor: float | None, lower_is_better: bool, named: bool = False) -> Cell:
    """How a score stands to the floor: good only where it is better by more than NEAR of the floor. `named`: the floor, too."""
    verdict = against_floor(estimate, floor)
    if floor is None or not verdict:
        return Cell("", (verdict, floor))
    number = f" {format_number(floor)}" if named else ""
    if estimate.estimator == "one seed":
        return Cell(f"1 seed{number}", (verdict, floor), "warn")
    better = "below" if lower_is_better else "above"
    if verdict == better and abs(estimate.value - floor) <= NEAR * abs(floor):
        return Cell(f"barely {verdict}{number}", (verdict, floor), "warn")
    return Cell(f"{verdict}{number}", (verdict, floor), {better: "good", "undecided": "warn"}.get(verdict, "poor"))


def _solved_metric_cell(block: TaskResults, entry: ModelResults) -> Cell:
    """The metric that says solved, on test, where it is not the score itself."""
    if block.solved_by is None:
        return Cell("", (None, None, None, None))
    scores = [record["scores"]["test"] for run in entry.finished if (record := run.record)]
    values = [value for one in scores if one and (value := one.get(block.solved_by)) is not None]
    if not values:
        return Cell("", (block.solved_by, None, None, None))
    found = summarize(values, block.solved_by)
    return Cell(format_interval(found), (block.solved_by, found.value, found.low, found.high))


def _solved_cell(entry: ModelResults) -> Cell:
    """The share of recorded runs that solved the task, with its interval."""
    records = entry.records
    if all(record["solved"] is None for record in records):
        return Cell("", (None, None, None, None))
    solved = sum(bool(record["solved"]) for record in records)
    rate = wilson(solved, len(records))
    low, high = rate.low or 0.0, rate.high or 0.0
    return Cell(f"{solved}/{len(records)} [{format_share(low)}, {format_share(high)}]", (solved, len(records), low, high))


def _seeds_cell(entry: ModelResults) -> Cell:
    done, wanted = len(entry.finished), len(entry.seeds | entry.asked)
    lists = [
        {run.config["seed"] for run in entry.finished},
        entry.missing,
        {run.config["seed"] for run in entry.unfinished},
        {run.config["seed"] for run in entry.diverged},
        set(entry.refused),
    ]
    values = tuple(" ".join(map(str, sorted(seeds))) for seeds in lists)
    return Cell(f"{done}" if done == wanted else f"{done}/{wanted}", values, "" if done == wanted else "warn")


def _median(values: Iterable[float | None], shown: Callable[[float], str]) -> Cell:
    known = [value for value in values if value is not None]
    return Cell(shown(median(known)), (median(known),)) if known else Cell("", (None,))
