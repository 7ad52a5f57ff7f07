"""Which runs settle the most open questions an hour: what `reproduce --hours` does next.

    reported values and contrasts that are open
      -> Question: the runs that its next look lacks, their minutes, and the chance that this look reaches a verdict
      -> the question with the largest importance x chance / minutes is taken next

The chance is blind to direction: it is the same for a difference and for its opposite, and a verdict counts whatever it says.
The looks and their levels are those that were declared; the order in which questions are taken changes neither, so false
verdicts stay as rare as declared. Torch is never imported.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, median

from ..analysis import student_t
from .cell_results import CellResult, ReportedResult
from .contrast_results import ContrastResult
from .declaration import CellSpec, Declaration, contrast_looks, places_of, shared_scales
from .evaluate import Results
from .matching import CellRuns
from .verdicts import ContrastTest, ValueTest

UNSEEN = 0.5  # the chance of a verdict where nothing was run: it may be as likely as not
UNKNOWN_MINUTES = 60.0  # of a run whose cost nobody declared and nobody measured


@dataclass(frozen=True)
class MissingRun:
    """A run that a look lacks."""

    cell: CellSpec
    seed: int
    minutes: float
    known: bool = True  # whether its minutes were declared or measured

    def fits(self, minutes: float) -> bool:
        """Whether it ends within `minutes`, as far as is known."""
        return self.minutes <= minutes or (not self.known and minutes > 0)

    @property
    def key(self) -> tuple[tuple[str, ...], int]:
        """The words and the seed that run it; the same for runs of two cells that are one run."""
        return self.cell.words_of(self.seed), self.seed


@dataclass(frozen=True)
class Question:
    """A reported value or a contrast that is open, and its next look."""

    name: str
    importance: float
    chance: float  # of a verdict at its next look
    missing: tuple[MissingRun, ...]  # runs of that look, by seed

    @property
    def minutes(self) -> float:
        return sum({run.key: run.minutes for run in self.missing}.values())

    @property
    def worth(self) -> float:
        """What is expected of a minute."""
        return self.importance * self.chance / max(self.minutes, 1e-3)


class Planner:
    """The open questions of tables: which is next, and what there is after its runs.

    tables: each with the rows that are asked for. measure: gives the results of a table as they are now.
    """

    def __init__(
        self,
        tables: Mapping[str, tuple[Declaration, Sequence[str]]],
        scale: str | None,
        measure: Callable[[Declaration], Results],
    ):
        self.tables, self.scale, self.measure = tables, scale, measure
        self.results = {name: measure(table) for name, (table, _) in tables.items()}
        self._failed: set[tuple[tuple[str, ...], int]] = set()  # runs that left no record; they are not tried again
        self._name_questions()

    def _name_questions(self) -> None:
        self.questions = [
            (name, question)
            for name, results in self.results.items()
            for question in open_questions(results, self.tables[name][1], self.scale)
            if not any(run.key in self._failed for run in question.missing)
        ]

    def next(self, minutes: float) -> tuple[str, Question] | None:
        """The table and the question that is worth most within `minutes`; None for none."""
        best = next_question((question for _, question in self.questions), minutes)
        return next((pair for pair in self.questions if pair[1] is best), None)

    def see(self, name: str, tried: Iterable[MissingRun]) -> None:
        """Measures table `name` again, in which `tried` were run."""
        results = self.results[name] = self.measure(self.tables[name][0])
        self._failed |= {run.key for run in tried if run.seed not in results.runs.cells[run.cell.place].runs}
        self._name_questions()

    def may_settle(self) -> int:
        """How many questions more runs may still settle."""
        return sum(question.chance > 0 and bool(question.missing) for _, question in self.questions)


def next_question(questions: Iterable[Question], minutes: float = math.inf) -> Question | None:
    """The one that is worth most, of those that may be settled and whose next run ends within `minutes`; None for none."""
    able = [one for one in questions if one.chance > 0 and one.missing and one.missing[0].fits(minutes)]
    return max(able, key=lambda one: one.worth, default=None)


def open_questions(results: Results, rows: Sequence[str], scale: str | None = None) -> Iterator[Question]:
    """Those of `rows` that more runs may settle, each with the runs of its next look that are not there."""
    for row in rows:
        for cell in results.cells.get(row, ()):
            for number, value in enumerate(cell.reported):
                if scale in (None, "paper"):
                    yield from _value_question(results, cell, value, number)
    for (row, _), one in results.contrasts.items():
        if row in rows and one.verdict.word in ("undecided", "missing"):
            yield from _contrast_questions(results, one, scale)


def _importance(results: Results, row: str) -> float:
    return 1 / max(results.table.grid.rows[row].priority, 1)


def _missing(results: Results, cells: Iterable[CellSpec], seeds: int) -> tuple[MissingRun, ...]:
    """What the look of `seeds` seeds lacks, by seed; its cost is what runs of the cell took, else what was declared."""
    found = []
    for cell in cells:
        runs = results.runs.cells[cell.place]
        minutes = _minutes(runs)
        known = minutes is not None
        found += [
            MissingRun(cell, seed, UNKNOWN_MINUTES if minutes is None else minutes, known)
            for seed in range(seeds)
            if seed not in runs.runs
        ]
    return tuple(sorted(found, key=lambda run: run.seed))


def _minutes(runs: CellRuns) -> float | None:
    taken = [record["speed"]["seconds"] / 60 for record in runs.records if record["speed"]["seconds"]]
    return median(taken) if taken else runs.cell.minutes


def _value_question(results: Results, cell: CellResult, value: ReportedResult, number: int) -> Iterator[Question]:
    """The question of a reported value at the paper's scale, if more of our seeds may settle it."""
    table, row, column = results.table, cell.runs.cell.row, cell.runs.cell.column
    if "paper" not in results.runs.scales(row) or (value.about.differs and value.about.differs.kind != "unknown"):
        return
    if value.about.differs and not value.about.differs.chosen:
        return  # until a setting is chosen
    at_paper = cell.runs.cell.scale == "paper" and bool(cell.runs.runs)
    if at_paper and not value.verdict.more_seeds:
        return
    spec = table.cell(row, column, "paper")
    there = results.runs.cells[spec.place].first_seeds()
    look = next(((seeds, level) for seeds, level in spec.seeds.judged(table.grid.level) if seeds > there), None)
    if look is None or value.about.estimator == "unknown":
        return
    about = table.grid.rows[row]
    margin = math.log(about.ratio) if about.ratio else about.margin_at(value.about.value)
    chance = value_chance(value.test, margin, *look) if at_paper and value.test else UNSEEN
    name = f"{row}/{column}" + (f" ({value.about.source})" if number else "")
    yield Question(name, _importance(results, row), chance, _missing(results, [spec], look[0]))


def _contrast_questions(results: Results, one: ContrastResult, scale: str | None) -> Iterator[Question]:
    """The question of a contrast: at its scale, or at each that it may be asked at where none has been run."""
    table, sides = results.table, places_of(results.table, one.row, one.about)
    able = [at for at in shared_scales(table, one.row, sides) if at in results.runs.scales(one.row) and scale in (None, at)]
    for at in [one.scale] if one.scale else able:
        if at not in able:
            continue
        cells = [table.cell(*place, at) for place in sides]
        there = min(results.runs.cells[cell.place].first_seeds() for cell in cells)
        look = next(((seeds, level) for seeds, level in contrast_looks(table, one.row, one.about, at) if seeds > there), None)
        if look is None:
            continue
        count = sum(len(table.grid.rows[row].contrasts) for row in table.family(one.row))
        answer = one.answer if one.scale == at else None
        chance = contrast_chance(one.about.expect, answer, look[0], look[1] / count) if answer else UNSEEN
        missing = _missing(results, cells, look[0])
        if one.turns is not None and one.turns + _turns(missing) < look[0]:
            chance = 0.0  # its times will not have been taken in turn either
        if one.at_floor:
            chance = 0.0  # more seeds will not leave it
        yield Question(f"{one.row}.{one.name}", _importance(results, one.row), chance, missing)


def _turns(missing: Sequence[MissingRun]) -> int:
    """How often the sides take turns where `missing` is run in order."""
    return sum(one.cell != other.cell for one, other in itertools.pairwise(missing)) + bool(missing)


# The chance of a verdict


def value_chance(test: ValueTest, margin: float, seeds: int, level: float) -> float:
    """The chance that the look of `seeds` seeds calls the value reproduced, better or worse, were ours what it seems."""
    low, high = test.apart.low, test.apart.high
    assert low is not None and high is not None
    now = (high - low) / 2 / student_t.quantile(test.count - 1, 1 - level)
    then = now * math.sqrt(test.count / seeds)
    half = student_t.quantile(seeds - 1, 1 - level) * then
    printed = student_t.quantile(seeds - 1, 1 - level / 2) * math.hypot(test.chance, then)
    return _falls(test.apart.value, now, then, within=margin - half, beyond=max(margin + half, printed))


def contrast_chance(expect: str, answer: ContrastTest, seeds: int, level: float) -> float:
    """The chance that the look of `seeds` seeds a side settles a contrast, were the effect what it is seen to be.

    `level`: of its look, over the contrasts of its family.
    """
    count = min(answer.counts)
    low, high, away = answer.effect.low, answer.effect.high, abs(answer.effect.value)
    if low is None or high is None:  # of times there is the p only
        away, now = NormalDist().inv_cdf(1 - max(answer.p, 1e-12) / 2), 1.0
    else:
        free = count - 1 if answer.effect.estimator == "paired difference" else sum(answer.counts) - 2
        now = (high - low) / 2 / student_t.quantile(max(free, 1), (1 + answer.confidence) / 2)
    then = now * math.sqrt(count / seeds)
    apart = NormalDist().inv_cdf(1 - level / 2) * then
    margin = answer.margin if low is not None and answer.margin is not None else 0.0
    within = margin - NormalDist().inv_cdf(1 - level) * then if margin else -1.0
    return _falls(away, now, then, within, beyond=margin + apart if expect == "same" else max(margin, apart))


def _falls(away: float, now: float, then: float, within: float, beyond: float) -> float:
    """The chance that what is seen at `away`, with standard error `now`, falls inside ±`within` or outside ±`beyond` once its
    standard error is `then`."""
    moves = math.sqrt(max(now**2 - then**2, 0.0))
    if not moves:
        return float(abs(away) <= within or abs(away) >= beyond)
    at = NormalDist(abs(away), moves)
    inside = at.cdf(within) - at.cdf(-within) if within > 0 else 0.0
    return inside + at.cdf(-beyond) + 1 - at.cdf(beyond)
