"""The contrasts and claims of a table as values: what was asked, at which scale, and the verdict. Torch is never imported."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ..analysis.grouping import stopped_when_solved
from ..analysis.significance import holm
from ..store.record import canonical
from .cell_results import NOT_RUN, better_of
from .declaration import contrast_looks, metric_of, places_of
from .grid import RATES, TIMES, Contrast
from .matching import CellRuns
from .table_runs import TableRuns
from .verdicts import (
    ContrastTest,
    Verdict,
    after_last_look,
    claim_verdict,
    compare_means,
    compare_shares,
    compare_times,
    contrast_verdict,
)

DRIFT = 2  # by what factor a step's time may change between blocks of runs; up to 1.6 was seen between blocks minutes apart


@dataclass(frozen=True)
class ContrastResult:
    """A contrast and what became of it."""

    row: str
    name: str
    about: Contrast
    scale: str
    answer: ContrastTest | None
    verdict: Verdict = NOT_RUN
    p: float = 1.0  # after Holm's correction over the contrasts of its family that were open at its look
    turns: int | None = None  # how often the sides took turns, where they did so too seldom for their times to settle it
    at_floor: bool = False  # whether no run has left the floor, so that its scale says nothing


@dataclass(frozen=True)
class ClaimResult:
    """The claim that a row makes, and the contrasts that it is made of."""

    row: str
    number: int | None
    says: str
    verdict: Verdict
    contrasts: tuple[ContrastResult, ...]


@dataclass(frozen=True)
class _Asked:
    """A contrast with the runs of its sides, and (seeds, level) of each of its looks that is complete."""

    about: Contrast
    metric: str
    scale: str
    sides: list[CellRuns]
    looks: list[tuple[int, float]]
    last: bool  # whether no look of the plan is to come
    better: str  # more or less of the metric; empty where nobody says

    def at(self, seeds: int) -> list[CellRuns]:
        """Its sides at the look of so many seeds."""
        return [side.of(seeds) for side in self.sides]


def contrast_results(runs: TableRuns) -> dict[tuple[str, str], ContrastResult]:
    """Every contrast of the rows that are shown, by (row, name)."""
    families = {tuple(runs.table.family(row)): None for row in runs.rows}
    found = {place: one for rows in families for place, one in _family(runs, rows).items()}
    return {place: found[place] for place in runs.table.contrasts if place[0] in runs.rows}


def _family(runs: TableRuns, rows: Sequence[str]) -> dict[tuple[str, str], ContrastResult]:
    """The contrasts of the rows of a family, look by look: a verdict that is reached at a look stays.

    At each look Holm's correction is over those that no look before has settled; what is missing counts as p = 1. The chance of
    a false verdict on what is declared is then at most the level of the look, and over all looks at most the table's.
    """
    found, open_ = dict[tuple[str, str], ContrastResult](), dict[tuple[str, str], _Asked]()
    for place, one in runs.table.contrasts.items():
        if place[0] in rows:
            asked = _ask(runs, place[0], one)
            if isinstance(asked, Verdict):
                found[place] = ContrastResult(*place, one, "", None, asked)
            else:
                open_[place], found[place] = asked, ContrastResult(*place, one, asked.scale, None)
    for index in range(max((len(asked.looks) for asked in open_.values()), default=0)):
        for place, taken in _take_look(open_, found, index).items():
            found[place] = taken
            if taken.verdict.word != "undecided":
                del open_[place]
    return found


def _take_look(
    open_: Mapping[tuple[str, str], _Asked], found: Mapping[tuple[str, str], ContrastResult], index: int
) -> dict[tuple[str, str], ContrastResult]:
    """What look number `index` says of the contrasts that are open, by place; those that have not come so far are left out."""
    count = sum(one.verdict.word in ("undecided", "missing") for one in found.values())
    taken, answers = dict[tuple[str, str], ContrastResult](), dict[tuple[str, str], ContrastTest]()
    for place, asked in open_.items():
        if index < len(asked.looks):
            try:
                answers[place] = _answer(asked, *asked.looks[index], count)
            except ValueError as error:
                taken[place] = replace(found[place], answer=None, p=1.0, verdict=Verdict("undecided", str(error), "warn"))
    raw = [answer.p_same if open_[place].about.expect == "same" else answer.p for place, answer in answers.items()]
    for (place, answer), p in zip(answers.items(), holm([*raw, *[1.0] * (count - len(raw))]), strict=False):
        asked = open_[place]
        seeds, level = asked.looks[index]
        verdict, turns = contrast_verdict(_expected_of(asked, answer), answer, p, count, level), None
        if _may_be_drift(asked, answer) and (turns := _turns(asked, seeds)) is not None:
            note = f"the sides did not run in turn, and a machine may drift by a factor of {DRIFT}"
            verdict = Verdict("undecided", note, "warn")
        may = len(asked.sides) > 1 or asked.scale != "paper"  # one that is held against a number may fail at the paper's scale
        at_floor = may and all(side.at_floor(asked.metric) for side in asked.at(seeds))
        if at_floor and verdict.word != "undecided":
            verdict = Verdict("undecided", "no run has left the floor: nothing is learned of it at this scale", "warn")
        if asked.last and index == len(asked.looks) - 1:
            verdict = after_last_look(verdict)
        if verdict.word == "holds" and (note := _stopped_note(asked, seeds)):
            verdict = replace(verdict, why=f"{verdict.why}; {note}")
        taken[place] = replace(found[place], answer=answer, p=p, verdict=verdict, turns=turns, at_floor=at_floor)
    return taken


def _stopped_note(asked: _Asked, seeds: int) -> str:
    """What a reader must know of two scores that are the same."""
    records = [record for side in asked.at(seeds) for record in side.records]
    if asked.about.expect == "same" and asked.metric == "score" and all(map(stopped_when_solved, records)):
        return "every run stopped when it had solved its task"
    return ""


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


def _ask(runs: TableRuns, row: str, one: Contrast) -> _Asked | Verdict:
    """The contrast at the first scale at which both sides were run as far as the first look; why not, where there is none.

    Where the runs there do not answer it (one diverged, say), no other scale does in their place.
    """
    why, asked = NOT_RUN, places_of(runs.table, row, one)
    for scale in runs.scales(row):
        if any(scale not in runs.scales(place) for place, _ in asked):
            continue
        sides = [runs.cells[runs.table.cell(*place, scale).place] for place in asked]
        there = min(side.first_seeds() for side in sides)
        planned = contrast_looks(runs.table, row, one, scale)
        looks = [(seeds, level) for seeds, level in planned if seeds <= there]
        if looks:
            metric = metric_of(runs.table, row, one)
            records = (record for side in sides for record in side.records)
            return _Asked(one, metric, scale, sides, looks, looks == planned, better_of(runs, row, metric, records))
        if any(side.runs for side in sides):
            why = Verdict("undecided", "the first look is not complete", "warn")
    return why


def _answer(asked: _Asked, seeds: int, level: float, count: int) -> ContrastTest:
    """At the look of so many seeds; ValueError says why its runs do not answer.

    The interval is at the level of the verdict, which for sameness is of two one-sided tests. Pairs are made only where
    flipping their signs can reach `level` among `count` contrasts at all. Where some runs of a side solved their task and
    others did not, the shares that solved it are compared in place of means.
    """
    one, metric, sides = asked.about, asked.metric, asked.at(seeds)
    confidence = 1 - (2 * level if one.expect == "same" else level)
    if metric in TIMES:
        return compare_times(sides[0].times(metric), sides[1].times(metric), one.margin)
    for side in sides:
        if lost := side.lost(metric):
            raise ValueError(f"{lost} of {len(side.runs)} runs of {side.cell.name} have no {metric} (diverged, or not finite)")
    if metric == "seconds_per_step":
        kinds = {canonical(record["hardware"]) for side in sides for record in side.records}
        if len(kinds) > 1:
            raise ValueError(f"run on {len(kinds)} kinds of hardware")
    learned = [side.learned(metric) for side in sides] if metric not in RATES else []
    if any(side.in_part for side in learned):
        solved = [[float(run) for run in side.solved(metric)] for side in sides]
        if one.expect == "same" or len(solved) < 2 or not all(solved) or not asked.better:
            raise ValueError(f"{' and '.join(str(side) for side in learned if side.runs)}: means over them say nothing")
        return compare_shares(solved[0], solved[1], None, confidence)
    a = sides[0].values(metric)
    if len(sides) == 1:
        return compare_means(a, float(one.b), one.margin, one.ratio, confidence=confidence)
    b = sides[1].values(metric)
    if metric in RATES:
        return compare_shares(a, b, one.margin, confidence)
    return compare_means(a, b, one.margin, one.ratio, 2 / 2 ** len(a) < level / count, confidence)


def _expected_of(asked: _Asked, answer: ContrastTest) -> str:
    """What is expected of the answer: where shares solved stand for a loss, more of what was expected to be less."""
    by_shares = answer.unit == "share" and asked.metric not in RATES
    return {"more": "less", "less": "more"}[asked.about.expect] if by_shares and asked.better == "less" else asked.about.expect


def _may_be_drift(asked: _Asked, answer: ContrastTest) -> bool:
    """Whether times a step differ by no more than a machine may become faster or slower between two blocks of runs."""
    if asked.metric != "seconds_per_step":
        return False
    (one, other), about = answer.shows, asked.about
    limit = DRIFT * (1 + (about.margin or 0) if about.expect == "same" else 1)
    return min(one, other) <= 0 or abs(math.log(one / other / (about.ratio or 1))) <= math.log(limit)


def _turns(asked: _Asked, seeds: int) -> int | None:
    """How often the sides took turns, in the order of time; None where they did so half as often as they could, or more."""
    ends = [(datetime.fromisoformat(one["ended"]), side) for side, runs in enumerate(asked.at(seeds)) for one in runs.records]
    turns = sum(one[1] != other[1] for one, other in itertools.pairwise(sorted(ends)))
    return None if len(asked.sides) > 1 and turns >= seeds else turns
