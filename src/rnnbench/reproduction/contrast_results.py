"""The contrasts and claims of a table as values: what was asked, at which scale, and the verdict. Torch is never imported."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..analysis.grouping import stopped_when_solved
from ..analysis.significance import holm
from ..store.record import canonical
from .cell_results import NOT_RUN
from .declaration import contrast_level, metric_of, places_of
from .grid import RATES, TIMES, Contrast
from .matching import CellRuns
from .table_runs import TableRuns
from .verdicts import ContrastTest, Verdict, claim_verdict, compare_means, compare_shares, compare_times, contrast_verdict


@dataclass(frozen=True)
class ContrastResult:
    """A contrast and what became of it."""

    row: str
    name: str
    about: Contrast
    scale: str
    answer: ContrastTest | None
    verdict: Verdict = NOT_RUN
    p: float = 1.0  # after Holm's correction
    note: str = ""  # what a reader must know if it holds


@dataclass(frozen=True)
class ClaimResult:
    """The claim that a row makes, and the contrasts that it is made of."""

    row: str
    number: int | None
    says: str
    verdict: Verdict
    contrasts: tuple[ContrastResult, ...]


def contrast_results(runs: TableRuns) -> dict[tuple[str, str], ContrastResult]:
    """Every contrast of the rows that are shown, by (row, name).

    Holm's correction is over all that the table declares; what is missing counts as p = 1.
    """
    asked = {place: _ask(runs, *place, one) for place, one in runs.table.contrasts.items() if place[0] in runs.rows}
    count, answered = len(runs.table.contrasts), [(place, one, one.answer) for place, one in asked.items() if one.answer]
    raw = [answer.p_same if one.about.expect == "same" else answer.p for _, one, answer in answered]
    adjusted = holm([*raw, *[1.0] * (count - len(raw))])[: len(raw)]
    for (place, one, answer), p in zip(answered, adjusted, strict=True):
        level = contrast_level(runs.table, one.row, one.about, one.scale)
        verdict = contrast_verdict(one.about.expect, answer, p, count, level)
        if one.note and verdict.word == "holds":
            verdict = replace(verdict, why=f"{verdict.why}; {one.note}")
        asked[place] = replace(one, p=p, verdict=verdict)
    return asked


def claim_results(runs: TableRuns, contrasts: Iterable[ContrastResult]) -> dict[str, ClaimResult]:
    """The claim of each row that makes one, by row."""
    found, contrasts = {}, list(contrasts)
    for row in runs.rows:
        about = runs.table.grid.rows[row]
        if about.says:
            asked = tuple(one for one in contrasts if one.row == row)
            found[row] = ClaimResult(row, about.claim, about.says, _judge_claim(asked), asked)
    return found


def _judge_claim(asked: Sequence[ContrastResult]) -> Verdict:
    if all(one.verdict.word == "missing" for one in asked):
        return NOT_RUN
    return claim_verdict([(one.verdict, one.about.when) for one in asked])


def _ask(runs: TableRuns, row: str, name: str, one: Contrast) -> ContrastResult:
    """The contrast at the first scale at which both sides were run as far as the stopping rule's first look.

    Where the runs there do not answer it (one diverged, say), no other scale does in their place.
    """
    why, metric = NOT_RUN, metric_of(runs.table, row, one)
    for scale in runs.scales(row):
        asked = places_of(runs.table, row, one)
        if any(scale not in runs.scales(place) for place, _ in asked):
            continue
        sides = [runs.cells[runs.table.cell(*place, scale).place] for place in asked]
        seeds = min(side.look() for side in sides)
        if not seeds:
            if any(side.runs for side in sides):
                why = Verdict("undecided", "the first look is not complete", "warn")
            continue
        sides, note = [side.of(seeds) for side in sides], ""
        if one.expect == "same" and metric == "score" and all(stopped_when_solved(r) for side in sides for r in side.records):
            note = "every run stopped when it had solved its task"
        level = contrast_level(runs.table, row, one, scale) / len(runs.table.contrasts)
        try:
            return ContrastResult(row, name, one, scale, _answer(metric, one, sides, level), note=note)
        except ValueError as error:
            return ContrastResult(row, name, one, scale, None, Verdict("undecided", str(error), "warn"))
    return ContrastResult(row, name, one, "", None, why)


def _answer(metric: str, one: Contrast, sides: Sequence[CellRuns], level: float) -> ContrastTest:
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
