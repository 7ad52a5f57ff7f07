"""A declared table with what was measured: which runs a cell shows, what its contrasts and claims come to, and its ranks.

Cells of a row are shown at one scale each, the paper's where it has been run; a reduced scale is never held against a paper's
number as if it were the same. What was not run is there as a hole with its cost. Torch is never imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..analysis.grouping import stopped_when_solved
from ..analysis.intervals import ENOUGH, Estimate, against_floor, bootstrap, student, wilson
from ..analysis.significance import holm, rank_ranges, time_to_solve
from ..store.find import FoundRun, find_runs
from ..store.record import canonical
from .declaration import CellSpec, Declaration, contrast_level, metric_of, places_of
from .grid import LOWER, RATES, TIMES, Contrast, Reported
from .matching import CellRuns, match_runs
from .verdicts import (
    TestResult,
    Verdict,
    claim_verdict,
    compare_means,
    compare_shares,
    compare_times,
    contrast_verdict,
    value_verdict,
)

NOT_RUN = Verdict("missing", "", "warn")


@dataclass
class ContrastResult:
    """A contrast and what became of it."""

    row: str
    name: str
    about: Contrast
    scale: str
    answer: TestResult | None
    verdict: Verdict = NOT_RUN
    p: float = 1.0  # after Holm's correction
    note: str = ""  # what a reader must know if it holds


@dataclass
class Results:
    """Everything that a table shows, as values."""

    table: Declaration
    cells: dict[tuple[str, str], CellRuns]  # all, by (name, scale)
    complaints: list[str]
    asked: dict[tuple[str, str], ContrastResult] = field(default_factory=dict)  # contrasts, by (row, name)
    only: str | None = None  # a scale that was asked for

    @property
    def rows(self) -> list[str]:
        """Those that have the scale that was asked for."""
        return [row for row in self.table.grid.rows if self.scales(row)]

    def scales(self, row: str) -> list[str]:
        there = self.table.scales(row)
        return [scale for scale in (*there, "smoke") if scale == self.only] if self.only else there

    def shown(self, row: str, column: str) -> CellRuns:
        """The cell at the scale that is shown: the first with two runs, else with one, else the cheapest."""
        there = [self.cells[self.table.cell(row, column, scale).place] for scale in self.scales(row)]
        return next((m for enough in (2, 1) for m in there if len(m.runs) >= enough), there[-1])

    def of_row(self, row: str) -> list[CellRuns]:
        return [self.shown(row, column) for column in self.table.columns(row)]

    @property
    def measured(self) -> list[CellRuns]:
        return [m for row in self.rows for m in self.of_row(row)]


def evaluate_table(
    table: Declaration, stored: Iterable[FoundRun], complaints: Iterable[str] = (), scale: str | None = None
) -> Results:
    """What `stored` says of the cells and contrasts of `table`."""
    cells: list[CellSpec] = []
    own = Results(table, {}, list(complaints), only=scale)
    for row in own.rows:
        for at in own.scales(row):
            cells += table.cells(row, at)
        cells += [cell for rungs in table.rungs(row) for cell in rungs if scale in (None, cell.scale)]
    own.cells, refused = match_runs(table, cells, stored)
    own.complaints += [*refused, *(line for m in own.cells.values() for line in m.refused)]
    for place, one in table.contrasts.items():
        if place[0] in own.rows:
            own.asked[place] = _ask(own, *place, one)
    _decide(own)
    return own


def _ask(own: Results, row: str, name: str, one: Contrast) -> ContrastResult:
    """The contrast at the first scale at which both sides were run as far as the stopping rule's first look.

    Where the runs there do not answer it (one diverged, say), no other scale does in their place.
    """
    why, metric = NOT_RUN, metric_of(own.table, row, one)
    for scale in own.scales(row):
        asked = places_of(own.table, row, one)
        if any(scale not in own.scales(place) for place, _ in asked):
            continue
        sides = [own.cells[own.table.cell(*place, scale).place] for place in asked]
        seeds = min(side.look() for side in sides)
        if not seeds:
            if any(side.runs for side in sides):
                why = Verdict("undecided", "the first look is not complete", "warn")
            continue
        sides, note = [side.of(seeds) for side in sides], ""
        if one.expect == "same" and metric == "score" and all(stopped_when_solved(r) for side in sides for r in side.records):
            note = "every run stopped when it had solved its task"
        level = contrast_level(own.table, row, one, scale) / len(own.table.contrasts)
        try:
            return ContrastResult(row, name, one, scale, _answer(metric, one, sides, level), note=note)
        except ValueError as error:
            return ContrastResult(row, name, one, scale, None, Verdict("undecided", str(error), "warn"))
    return ContrastResult(row, name, one, "", None, why)


def _answer(metric: str, one: Contrast, sides: Sequence[CellRuns], level: float) -> TestResult:
    """Of sides with the same seeds; ValueError says why their runs do not answer.

    Pairs are made only where flipping their signs can reach `level` at all.
    """
    if metric in TIMES:
        return compare_times(sides[0].times(metric), sides[1].times(metric))
    for side in sides:
        if lost := side.lost(metric):
            raise ValueError(f"{lost} of {len(side.runs)} runs of {side.cell.name} have no {metric} (diverged, or not finite)")
    if metric == "seconds_per_step":
        kinds = {canonical(record["hardware"]) for side in sides for record in side.records}
        if len(kinds) > 1:
            raise ValueError(f"run on {len(kinds)} kinds of hardware")
    a = sides[0].values(metric)
    if len(sides) == 1:
        return compare_means(a, float(one.b), one.margin, one.ratio)
    b = sides[1].values(metric)
    if metric in RATES:
        return compare_shares(a, b, one.margin)
    return compare_means(a, b, one.margin, one.ratio, pairs=2 / 2 ** len(a) < level)


def _decide(own: Results) -> None:
    """Verdicts of all contrasts, with Holm's correction over all that the table declares; what is missing counts as p = 1."""
    count, answered = len(own.table.contrasts), [one for one in own.asked.values() if one.answer]
    raw = [(one.answer.p_same if one.about.expect == "same" else one.answer.p) for one in answered if one.answer]
    for one, p in zip(answered, holm([*raw, *[1.0] * (count - len(raw))])[: len(raw)], strict=True):
        assert one.answer is not None
        one.p = p
        level = contrast_level(own.table, one.row, one.about, one.scale)
        one.verdict = contrast_verdict(one.about.expect, one.answer, p, count, level)
        if one.note and one.verdict.word == "holds":
            one.verdict = replace(one.verdict, why=f"{one.verdict.why}; {one.note}")


def undecided(own: Results, rows: Sequence[str]) -> set[tuple[str, str]]:
    """(row, column) of the cells that more seeds could help: sides of contrasts, and values, that are not settled."""
    found = set()
    for (row, _), one in own.asked.items():
        if row in rows and one.verdict.word == "undecided":
            found |= set(places_of(own.table, row, one.about))
    for place, values in own.table.reports.values.items():
        row, _, column = place.partition("/")
        if row in rows and own.scales(row):
            measured = own.shown(row, column)
            if any(judge_value(own, measured, value).word == "underpowered" for value in values):
                found.add((row, column))
    return found


# Numbers and verdicts of a cell


def cell_lower_is_better(own: Results, measured: CellRuns) -> bool:
    metric, better = own.table.grid.rows[measured.cell.row].metric, own.table.grid.rows[measured.cell.row].better
    if better or metric in LOWER:
        return better != "more"
    return metric not in RATES and any(record["task"]["direction"] == "min" for record in measured.records[:1])


def cell_floor(own: Results, measured: CellRuns) -> float | None:
    """The floor of the headline; None for other metrics."""
    records, metric = measured.finished, own.table.grid.rows[measured.cell.row].metric
    return records[0]["task"]["floor"] if records and metric == "score" else None


def cell_estimate(own: Results, measured: CellRuns) -> Estimate | None:
    """The row's metric over the seeds of a cell; one estimator for all cells of a row."""
    metric = own.table.grid.rows[measured.cell.row].metric
    if metric in TIMES:
        can = measured.runs and all(record["solved"] is not None for record in measured.records)
        return time_to_solve(*measured.times(metric)) if can else None
    values = measured.values(metric)
    if metric in RATES:
        return wilson(round(sum(values)), len(values)) if values else None
    if not values:
        return None
    fewest = min((len(m.runs) for m in own.of_row(measured.cell.row) if m.runs), default=0)
    return bootstrap(values) if min(fewest, len(values)) >= ENOUGH else student(values)


def judge_value(own: Results, measured: CellRuns, reported: Reported) -> Verdict:
    """What the cell says of a value that was reported for it."""
    row = own.table.grid.rows[measured.cell.row]
    if not measured.runs:
        return NOT_RUN
    if measured.cell.scale != "paper":
        return Verdict("not comparable", f"{measured.cell.scale} scale", "warn")
    if reported.differs:
        return Verdict("not comparable", reported.differs, "warn")
    assert row.margin is not None  # declared._check
    if lost := measured.lost(row.metric):
        what = "did not solve it" if row.metric in TIMES else "diverged, or have a score that is not finite"
        return Verdict(
            "underpowered", f"{lost} of {len(measured.runs)} runs {what}: a mean over the others says nothing", "warn"
        )
    values = measured.values(row.metric)
    return value_verdict(
        values,
        reported.value,
        reported.estimator,
        row.margin,
        cell_lower_is_better(own, measured),
        cell_floor(own, measured),
        reported.seeds,
        reported.sd,
        1 - own.table.grid.level / len(measured.cell.seeds.looks),
        shares=row.metric in RATES,
    )


def row_ranks(own: Results, row: str) -> dict[str, tuple[int, int]]:
    """By cell: the best and worst place; none for a cell at its floor, of one seed, or of which a run has no score."""
    metric = own.table.grid.rows[row].metric
    if metric in (*TIMES, *RATES) or isinstance(own.table.grid.rows[row].columns, dict):
        return {}  # a row's own columns are arms of an experiment, not rivals
    there = {}
    for measured in own.of_row(row):
        values, level = measured.values(metric), cell_floor(own, measured)
        if (
            len(values) >= 2
            and not measured.lost(metric)
            and not (level is not None and against_floor(student(values), level) == "at")
        ):
            there[measured.cell.name] = measured
    if len({measured.cell.scale for measured in there.values()}) != 1:
        return {}
    looks = max(len(measured.cell.seeds.looks) for measured in there.values())
    lower = cell_lower_is_better(own, next(iter(there.values())))
    samples = {name: measured.values(metric) for name, measured in there.items()}
    return rank_ranges(samples, lower, own.table.grid.level / looks)


def judge_claim(asked: Sequence[ContrastResult]) -> Verdict:
    if all(one.verdict.word == "missing" for one in asked):
        return NOT_RUN
    return claim_verdict([(one.verdict, one.about.when) for one in asked])


def measure_table(table: Any, runs: Path | None, scale: str | None = None, committed: bool = True) -> Any:
    """What the table's own records say (`committed`), with those below `runs` where there are any."""
    own = table.folder / "results.jsonl" if committed else None
    places = [path for path in (own, runs) if path is not None and path.exists()]
    stored, complaints = find_runs(places)
    return evaluate_table(table, stored, complaints, scale)
