"""Equal tuning: the same points, and the same seeds of each, for every model. Only validation data are looked at."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, NamedTuple

from scipy.stats import qmc

from ..analysis.intervals import expected_best
from ..config.schema import TUNING
from ..config.settings import Value
from ..config.winners import Winner, Winners, option_word, winner_of_search
from ..search.space import search_dimensions
from ..store.record import Record, digest
from .outcomes import outcome_of
from .runs import CardRun, Entrants, Line
from .suite import Measure, Suite

RANKING = 2  # version of `rank_key`

Point = Mapping[str, Value]


@dataclass(frozen=True)
class Trial:
    """One point of the search for a task and model, with a run for each of its seeds."""

    task: str
    model: str
    point: Point
    lines: tuple[Line, ...]


def search_points(suite: Suite, entrants: Entrants) -> list[Point]:
    """The points of the search: the suite's own setting, then a Halton sequence over the space, which depends on no model.

    BadOption where the space does not fit one of the tasks and models.
    """
    assert suite.tuning
    chosen = [{"task": task.reference, "model": model} for task in suite.here.values() for model in entrants.models.values()]
    dimensions = search_dimensions(suite.tuning.space, chosen)
    shares = qmc.Halton(len(dimensions), scramble=False).random(suite.tuning.trials)[1:]  # the first is a corner
    return [{}, *({one.key: one.at(float(share)) for one, share in zip(dimensions, row, strict=True)} for row in shares)]


def search_trials(suite: Suite, entrants: Entrants, known: Collection[tuple[str, str]] = ()) -> list[Trial]:
    """Every trial of the search, for each task and model that is not `known`."""
    assert suite.tuning
    points, seeds = search_points(suite, entrants), range(TUNING, TUNING + suite.tuning.seeds)
    found = []
    for task in suite.here:
        for model in (model for model in entrants.models if (task, model) not in known):
            for point in points:
                words = (
                    *suite.setting(task, *entrants.named(model)),
                    *(option_word(key, value) for key, value in point.items()),
                    "test=false",
                )
                lines = tuple(Line(task, model, (*words, f"seed={seed}")) for seed in seeds)
                found.append(Trial(task, model, point, lines))
    return found


def validation_score(record: Record) -> float:
    """The headline on validation; of a run that diverged or has none, the floor, or the worst there can be without one."""
    about = record["task"]
    score = (record["scores"]["validation"] or {}).get(about["headline"])
    if score is None or record["status"] == "diverged" or not math.isfinite(score):
        score = about["floor"]
    return (math.inf if about["direction"] == "min" else -math.inf) if score is None else float(score)


def rank_key(measure: Measure, records: Sequence[Record]) -> tuple[float, ...]:
    """Sorts the better of two points first: by the measure of the task, on validation, as a mean over the seeds.

    Of points that solve a task as often, the better is that which solves it sooner; where the share that solves is the measure,
    first that whose other runs score better. A run that diverged was watched for all its steps without solving the task.
    """
    sign = 1 if records[0]["task"]["direction"] == "min" else -1
    if measure == "score":
        return (sign * fmean(map(validation_score, records)),)
    outcomes = list(map(outcome_of, records))
    solved, steps = -fmean(one.solved for one in outcomes), fmean(one.steps for one in outcomes)
    others = [validation_score(record) for record, one in zip(records, outcomes, strict=True) if not one.solved]
    score = sign * fmean(others) if others else 0.0  # the score of a run that stopped at solved is none
    return (solved, score, steps) if measure == "solved" else (solved, steps, score)


class Search(NamedTuple):
    """What the search for a task and model has found."""

    task: str
    model: str
    winner: Winner
    row: dict[str, Any]  # for the page: default, chosen, expected best of n
    plan: str  # digest of the suite's version, points and seeds, which are the same for every model


def search_plan(suite: Suite, task: str) -> str:
    """A digest of what is searched and how: two searches for a task are equal ones only where it is the same."""
    assert suite.tuning
    return digest([suite.version, suite.tuning.model_dump(mode="json"), suite.tasks[task].measure, RANKING])


def choose_winners(suite: Suite, entrants: Entrants, trials: Sequence[Trial], runs: Sequence[CardRun]) -> list[Search]:
    """The best point of each task and model."""
    record_of = {run.line: run.record for run in runs}
    by_pair: dict[tuple[str, str], list[tuple[Trial, list[Record]]]] = {}
    for trial in trials:
        records = [record for line in trial.lines if (record := record_of[line])]
        by_pair.setdefault((trial.task, trial.model), []).append((trial, records))
    found = []
    for (task, model), tried in by_pair.items():
        measure, direction = suite.tasks[task].measure, tried[0][1][0]["task"]["direction"]
        best, records = min(tried, key=lambda one: rank_key(measure, one[1]))
        means = [fmean(map(validation_score, of_point)) for _, of_point in tried]
        curve = expected_best(means, direction, again=False)
        row = {
            "task": task,
            "model": model,
            "words": [option_word(key, value) for key, value in best.point.items()],
            "headline": records[0]["task"]["headline"],
            "default": means[0],
            "best": fmean(map(validation_score, records)),
            "expected": [curve[n - 1] for n in (1, 2, 4, 8, 16, 32) if n <= len(curve)],
        }
        winner = winner_of_search(suite.setting(task, *entrants.named(model)), best.point)
        found.append(Search(task, model, winner, row, search_plan(suite, task)))
    return found


def winners_of(searches: Iterable[Search]) -> Winners:
    """What searches chose, by task and model."""
    winners: Winners = {}
    for one in searches:
        winners.setdefault(one.task, {})[one.model] = one.winner
    return winners
