"""The cells of a table as values: estimate, floor, rank, and verdicts on what was reported. Torch is never imported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from ..analysis.intervals import RANGES, Estimate, against_floor, summarize, wilson
from ..analysis.significance import Difference, can_be_ranked, difference, rank_ranges, time_to_solve
from ..store.record import Record
from .grid import LOWER, RATES, TIMES, Reported
from .matching import CellRuns, Learned
from .table_runs import TableRuns
from .verdicts import (
    Judged,
    ValueTest,
    Verdict,
    after_last_look,
    bound_verdict,
    first_settled,
    ratio_verdict,
    readings_text,
    share_span_verdict,
    shares_verdict,
    span_verdict,
    told_apart,
    under_our_choice,
    value_verdict,
)

NOT_RUN = Verdict("missing", "", "warn")


@dataclass(frozen=True)
class ReportedResult:
    """A reported value against ours."""

    about: Reported
    verdict: Verdict
    test: ValueTest | None = None  # ours against it; None where there is none

    @property
    def own_choice(self) -> bool:
        """Whether the source does not say a part of the setting, so that the value is judged under our choice of it."""
        return self.about.differs is not None and self.about.differs.kind == "unknown"


@dataclass(frozen=True)
class CellResult:
    """What a table shows of one cell."""

    runs: CellRuns
    metric: str
    estimate: Estimate | None  # of the metric over seeds; None where no run has it
    level: float  # of the estimate's interval: that of the look at which a verdict is reached
    floor: float | None  # of the headline; None for other metrics
    against_floor: str  # below, above, at, undecided; empty without a floor
    solved: int  # runs that solved their task
    solved_of: int  # runs whose task can be solved
    solved_in_time: int  # runs with a time to solve
    learned: Learned  # which runs solved the task, or left the floor
    rank: tuple[int, int] | None = None  # best and worst rank; None where the cell has none
    reported: tuple[ReportedResult, ...] = ()


@dataclass(frozen=True)
class RungResult:
    """A step of a ladder."""

    cell: CellResult
    count: int  # values of the metric
    change: Difference | None  # against the rung before; None for the first, and where either has no mean that says anything
    best: float | None  # of all seeds


def row_results(table_runs: TableRuns, row: str, scale: str | None = None) -> tuple[CellResult, ...]:
    """The cells of a row at one scale; None: each at the scale at which it is shown."""
    cells = [cell_result(table_runs, runs) for runs in table_runs.of_row(row, scale)]
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
        found, before, mixed = [], list[float](), False
        for runs in (table_runs.cells[cell.place] for cell in rungs):
            values = runs.values(metric)
            able = len(values) > 1 and len(before) > 1 and not (mixed or runs.learned(metric).in_part)
            change = difference(values, before) if able else None
            best = (min if _lower_is_better(table_runs, runs) else max)(values) if values else None
            found.append(RungResult(cell_result(table_runs, runs), len(values), change, best))
            before, mixed = values, runs.learned(metric).in_part
        yield tuple(found)


def cell_result(table_runs: TableRuns, runs: CellRuns) -> CellResult:
    """The cell without rank and reported values."""
    metric = table_runs.table.grid.rows[runs.cell.row].metric
    level = _level(table_runs, runs)
    learned = runs.learned(metric)
    estimate = _cell_estimate(metric, runs, 1 - level, learned)
    floor = runs.finished[0]["task"]["floor"] if runs.finished and metric == "score" else None
    solved = [record["solved"] for record in runs.records if record["solved"] is not None]
    return CellResult(
        runs,
        metric,
        estimate,
        level,
        floor,
        against_floor(estimate, floor) if estimate else "",
        sum(solved),
        len(solved),
        sum(record["solved_step"] is not None for record in runs.records),
        learned,
    )


def _level(table_runs: TableRuns, runs: CellRuns) -> float:
    """The level of the last look that is complete; of the first, where none is."""
    looks, there = runs.cell.seeds.judged(table_runs.table.grid.level), runs.first_seeds()
    return [looks[0][1], *(level for seeds, level in looks if seeds <= there)][-1]


def _cell_estimate(metric: str, runs: CellRuns, confidence: float, learned: Learned) -> Estimate | None:
    """The row's metric over the seeds of a cell, on the metric's scale."""
    if metric in TIMES:
        can = runs.runs and all(record["solved"] is not None for record in runs.records)
        return time_to_solve(*runs.times(metric), confidence) if can else None
    values = runs.values(metric)
    if not values:
        return None
    if metric in RATES:
        return wilson(round(sum(values)), len(values), confidence)
    return summarize(values, runs.headline(metric), confidence, learned.runs)


def better_of(table_runs: TableRuns, row: str, metric: str, records: Iterable[Record]) -> str:
    """more or less of a metric, whichever is better; empty where nobody says: not the row, the task, nor its name."""
    about = table_runs.table.grid.rows[row]
    if metric == about.metric and about.better:
        return about.better
    if metric == "score":
        directions = {record["task"]["direction"] for record in records}
        return {"min": "less", "max": "more"}[directions.pop()] if len(directions) == 1 else ""
    return "more" if metric.rpartition(".")[2] in RANGES else ""


def _lower_is_better(table_runs: TableRuns, runs: CellRuns) -> bool:
    row = table_runs.table.grid.rows[runs.cell.row]
    if row.metric in LOWER and not row.better:
        return True
    return better_of(table_runs, runs.cell.row, row.metric, runs.records) == "less"


def _reported_result(table_runs: TableRuns, cell: CellResult, reported: Reported) -> ReportedResult:
    """What the cell says of a value that was reported for it: at each look that is complete, until a verdict is reached."""
    runs, differs = cell.runs, reported.differs
    if not runs.runs:
        return ReportedResult(reported, NOT_RUN)
    if runs.cell.scale != "paper":
        return ReportedResult(reported, Verdict("not comparable", f"{runs.cell.scale} scale", "warn"))
    if differs and differs.kind != "unknown":
        return ReportedResult(reported, Verdict("not comparable", differs.says, "warn"))
    if differs and not differs.chosen:
        return ReportedResult(reported, Verdict("open", f"validation has not chosen yet: {differs.says}", "warn"))
    there, planned = runs.first_seeds(), runs.cell.seeds.judged(table_runs.table.grid.level)
    found = first_settled(
        [(seeds, level) for seeds, level in planned if seeds <= there],
        lambda seeds, level: _judge_value(table_runs, cell, runs.of(seeds), reported, level),
    )
    verdict, test = found or (Verdict("open", "the first look is not complete", "warn", more_seeds=True), None)
    if there >= planned[-1][0]:
        verdict = after_last_look(verdict)
    if (test and verdict.word != "reproduced") or verdict.word in ("better", "worse"):
        verdict = _with_readings(table_runs, runs, reported, verdict)
    return ReportedResult(reported, under_our_choice(verdict, differs.says) if differs else verdict, test)


def _with_readings(table_runs: TableRuns, runs: CellRuns, reported: Reported, verdict: Verdict) -> Verdict:
    """The verdict beside what the other readings of the source's text gave; as it is, where there are none.

    Only readings whose times to solve are told apart from those as stated count: a few trials of each differ by chance.
    """
    table, metric = table_runs.table, table_runs.table.grid.rows[runs.cell.row].metric
    others = [
        table_runs.cells.get(cell.place)
        for cells in table.readings(runs.cell.row)
        for cell in cells
        if cell.column == runs.cell.column and cell.place != runs.cell.place
    ]
    if not others:
        return verdict
    there = [one for one in others if one and not one.missing()]
    different = told_apart(runs.times(metric), [one.times(metric) for one in there], table.grid.level)
    apart = [one for one, differs in zip(there, different, strict=True) if differs]
    said = readings_text(len(apart), len(there), len(others))
    if verdict.by_shares:
        judged = [_judge_shares(one, metric, reported, table.grid.level) for one in apart]
        like = sum(one is None or one.word == "open" for one in judged)
        return share_span_verdict(verdict, like, said)
    stated = fmean(runs.times(metric)[0])
    means = [mean for one in apart if (mean := mean_time(one, metric))]
    ratio = table.grid.rows[runs.cell.row].ratio
    assert ratio is not None  # a row with readings has one
    return span_verdict(verdict, reported.value, ratio, [stated, *means], said)


def mean_time(runs: CellRuns, metric: str) -> float | None:
    """The mean of the metric over the runs; None before the first look is complete, and where a run has none."""
    return None if runs.missing() or runs.lost(metric) else fmean(runs.values(metric))


def _judge_value(table_runs: TableRuns, cell: CellResult, runs: CellRuns, reported: Reported, level: float) -> Judged:
    """What the runs of one look say."""
    row = table_runs.table.grid.rows[runs.cell.row]
    by_shares = _judge_shares(runs, row.metric, reported, level)
    if by_shares and by_shares.word != "open":
        return by_shares, None
    if lost := runs.lost(row.metric):
        if row.ratio and (found := _judge_bound(runs, row.metric, row.ratio, reported, level)):
            return found, None
        if by_shares:
            return by_shares, None
        return Verdict("open", _lost_words(runs, row.metric, lost), "warn"), None
    learned = runs.learned(row.metric)
    if row.metric not in RATES and learned.in_part:
        return Verdict("open", f"{learned}: a mean over them says nothing", "warn"), None
    if row.ratio:
        return ratio_verdict(runs.values(row.metric), reported.value, reported.seeds, row.ratio, level)
    return value_verdict(
        runs.values(row.metric),
        reported.value,
        reported.estimator,
        row.margin_at(reported.value),
        _lower_is_better(table_runs, runs),
        cell.floor,
        reported.seeds,
        reported.sd,
        level,
        shares=row.metric in RATES,
    )


def _judge_bound(runs: CellRuns, metric: str, ratio: float, reported: Reported, level: float) -> Verdict | None:
    """`worse` where our mean is, whatever the runs that did not solve the task would have taken; None where they may decide.

    Where the source does not say that all its runs solved the task, its mean may be of those that did: of ours that did it has
    to be so, too.
    """
    if not reported.all_may_have_solved:
        return None
    (times, solved), against = runs.times(metric), (reported.value, reported.seeds, ratio, level)
    if reported.solved is None and any(solved):
        alone = [time for time, done in zip(times, solved, strict=True) if done]
        if not bound_verdict(alone, [True] * len(alone), *against):
            return None
    return bound_verdict(times, solved, *against)


def _lost_words(runs: CellRuns, metric: str, lost: int) -> str:
    if metric in TIMES:
        return f"{lost} of {len(runs.runs)} runs did not solve it: the mean is at least {fmean(runs.times(metric)[0]):,.0f}"
    return f"{lost} of {len(runs.runs)} runs diverged, or have a score that is not finite: a mean over the others says nothing"


def _judge_shares(runs: CellRuns, metric: str, reported: Reported, level: float) -> Verdict | None:
    """What the share of runs that solve the task says; None where the source does not say its own, or every run solved it."""
    records = runs.records
    if metric not in TIMES or reported.solved is None or reported.seeds is None or not records:
        return None
    if any(record["solved"] is None for record in records):  # a task that cannot be solved
        return None
    solved = sum(record["solved_step"] is not None for record in records)
    if solved == len(records) and reported.solved == reported.seeds:
        return None
    return shares_verdict(solved, len(records), reported.solved, reported.seeds, level)


def _row_ranks(table_runs: TableRuns, row: str, cells: Sequence[CellResult]) -> dict[str, tuple[int, int]]:
    """By cell: the best and worst rank; none for a cell at its floor, of one seed, or of which a run has no score."""
    metric = table_runs.table.grid.rows[row].metric
    if metric in (*TIMES, *RATES) or isinstance(table_runs.table.grid.rows[row].columns, dict):
        return {}  # a row's own columns are arms of an experiment, not rivals
    there = [
        cell
        for cell in cells
        if cell.runs.records
        and can_be_ranked(cell.runs.values(metric), cell.runs.headline(metric))
        and not cell.runs.lost(metric)
        and cell.against_floor != "at"
    ]
    if len({cell.runs.cell.scale for cell in there}) != 1:
        return {}
    return rank_ranges(
        {cell.runs.cell.name: cell.runs.values(metric) for cell in there},
        _lower_is_better(table_runs, there[0].runs),
        min(cell.level for cell in there),
        there[0].runs.headline(metric),
        {cell.runs.cell.name: cell.runs.solved(metric) for cell in there},
    )
