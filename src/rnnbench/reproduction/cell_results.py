"""The cells of a table as values: estimate, floor, rank, and verdicts on what was reported. Torch is never imported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ..analysis.intervals import ENOUGH, Estimate, against_floor, bootstrap, student, wilson
from ..analysis.significance import Difference, difference, rank_ranges, time_to_solve
from .grid import LOWER, RATES, TIMES, Reported
from .matching import CellRuns
from .table_runs import TableRuns
from .verdicts import Verdict, theirs, value_verdict

NOT_RUN = Verdict("missing", "", "warn")


@dataclass(frozen=True)
class ReportedResult:
    """A reported value against ours."""

    about: Reported
    verdict: Verdict
    ours: float | None  # our value by the source's estimator; None where there is none
    estimator: str  # what `ours` is, in words


@dataclass(frozen=True)
class CellResult:
    """What a table shows of one cell."""

    runs: CellRuns
    metric: str
    estimate: Estimate | None  # of the metric over seeds; None where no run has it
    floor: float | None  # of the headline; None for other metrics
    against_floor: str  # below, above, at, undecided; empty without a floor
    solved: int  # runs that solved their task
    solved_of: int  # runs whose task can be solved
    solved_in_time: int  # runs with a time to solve
    rank: tuple[int, int] | None = None  # best and worst rank; None where the cell has none
    reported: tuple[ReportedResult, ...] = ()


@dataclass(frozen=True)
class RungResult:
    """A step of a ladder."""

    cell: CellResult
    count: int  # values of the metric
    change: Difference | None  # against the rung before; None for the first, and where either has fewer than two values
    best: float | None  # of all seeds


def row_results(table_runs: TableRuns, row: str) -> tuple[CellResult, ...]:
    """The cells of a row as they are shown."""
    cells = [cell_result(table_runs, runs) for runs in table_runs.of_row(row)]
    ranks = _row_ranks(table_runs, row, cells)
    return tuple(
        replace(
            cell,
            rank=ranks.get(cell.runs.cell.name),
            reported=tuple(
                _reported_result(table_runs, cell, value)
                for value in table_runs.table.reports.values.get(f"{row}/{cell.runs.cell.column}", ())
            ),
        )
        for cell in cells
    )


def ladder_results(table_runs: TableRuns, row: str) -> Iterator[tuple[RungResult, ...]]:
    """The rungs of each ladder of a row of which every cell was asked for."""
    metric = table_runs.table.grid.rows[row].metric
    for rungs in table_runs.table.rungs(row):
        if any(cell.place not in table_runs.cells for cell in rungs):
            continue
        found, before = [], list[float]()
        for runs in (table_runs.cells[cell.place] for cell in rungs):
            values = runs.values(metric)
            change = difference(values, before) if len(values) > 1 and len(before) > 1 else None
            best = theirs(values, "best", None, _lower_is_better(table_runs, runs))[0] if values else None
            found.append(RungResult(cell_result(table_runs, runs), len(values), change, best))
            before = values
        yield tuple(found)


def cell_result(table_runs: TableRuns, runs: CellRuns) -> CellResult:
    """The cell without rank and reported values."""
    metric = table_runs.table.grid.rows[runs.cell.row].metric
    estimate = _cell_estimate(table_runs, runs)
    floor = runs.finished[0]["task"]["floor"] if runs.finished and metric == "score" else None
    solved = [record["solved"] for record in runs.records if record["solved"] is not None]
    return CellResult(
        runs,
        metric,
        estimate,
        floor,
        against_floor(estimate, floor) if estimate else "",
        sum(solved),
        len(solved),
        sum(record["solved_step"] is not None for record in runs.records),
    )


def _cell_estimate(table_runs: TableRuns, runs: CellRuns) -> Estimate | None:
    """The row's metric over the seeds of a cell; one estimator for all cells of a row."""
    metric = table_runs.table.grid.rows[runs.cell.row].metric
    if metric in TIMES:
        can = runs.runs and all(record["solved"] is not None for record in runs.records)
        return time_to_solve(*runs.times(metric)) if can else None
    values = runs.values(metric)
    if metric in RATES:
        return wilson(round(sum(values)), len(values)) if values else None
    if not values:
        return None
    fewest = min((len(m.runs) for m in table_runs.of_row(runs.cell.row) if m.runs), default=0)
    return bootstrap(values) if min(fewest, len(values)) >= ENOUGH else student(values)


def _lower_is_better(table_runs: TableRuns, runs: CellRuns) -> bool:
    row = table_runs.table.grid.rows[runs.cell.row]
    if row.better or row.metric in LOWER:
        return row.better != "more"
    return row.metric not in RATES and any(record["task"]["direction"] == "min" for record in runs.records[:1])


def _reported_result(table_runs: TableRuns, cell: CellResult, reported: Reported) -> ReportedResult:
    runs, verdict = cell.runs, _judge_value(table_runs, cell, reported)
    values = [] if runs.lost(cell.metric) else runs.values(cell.metric)
    if not values:
        return ReportedResult(reported, verdict, None, "")
    ours, words = theirs(values, reported.estimator, reported.seeds, _lower_is_better(table_runs, runs))
    return ReportedResult(reported, verdict, ours, words)


def _judge_value(table_runs: TableRuns, cell: CellResult, reported: Reported) -> Verdict:
    """What the cell says of a value that was reported for it."""
    runs, row = cell.runs, table_runs.table.grid.rows[cell.runs.cell.row]
    if not runs.runs:
        return NOT_RUN
    if runs.cell.scale != "paper":
        return Verdict("not comparable", f"{runs.cell.scale} scale", "warn")
    if reported.differs:
        return Verdict("not comparable", reported.differs, "warn")
    assert row.margin is not None  # declaration._check
    if lost := runs.lost(row.metric):
        what = "did not solve it" if row.metric in TIMES else "diverged, or have a score that is not finite"
        return Verdict("underpowered", f"{lost} of {len(runs.runs)} runs {what}: a mean over the others says nothing", "warn")
    return value_verdict(
        runs.values(row.metric),
        reported.value,
        reported.estimator,
        row.margin,
        _lower_is_better(table_runs, runs),
        cell.floor,
        reported.seeds,
        reported.sd,
        1 - table_runs.table.grid.level / len(runs.cell.seeds.looks),
        shares=row.metric in RATES,
    )


def _row_ranks(table_runs: TableRuns, row: str, cells: Sequence[CellResult]) -> dict[str, tuple[int, int]]:
    """By cell: the best and worst rank; none for a cell at its floor, of one seed, or of which a run has no score."""
    metric = table_runs.table.grid.rows[row].metric
    if metric in (*TIMES, *RATES) or isinstance(table_runs.table.grid.rows[row].columns, dict):
        return {}  # a row's own columns are arms of an experiment, not rivals
    there, samples = [], {}
    for cell in cells:
        values = cell.runs.values(metric)
        if len(values) >= 2 and not cell.runs.lost(metric) and against_floor(student(values), cell.floor) != "at":
            there.append(cell.runs)
            samples[cell.runs.cell.name] = values
    if len({runs.cell.scale for runs in there}) != 1:
        return {}
    looks = max(len(runs.cell.seeds.looks) for runs in there)
    return rank_ranges(samples, _lower_is_better(table_runs, there[0]), table_runs.table.grid.level / looks)
