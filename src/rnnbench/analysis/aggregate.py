"""Models over several tasks: normalised scores, their interquartile mean, and how probably one model beats another.

A score of 0 is the task's floor, 1 the best known one. The figures are those of the package rliable.
Source: Agarwal et al. 2021, Deep Reinforcement Learning at the Edge of the Statistical Precipice, arXiv:2108.13264.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..config.labels import UNKNOWN
from ..config.schema import read_signature, task_reference
from ..options import BadOption, amount
from .comparison_text import block_overlap
from .formatting import format_interval, format_number, natural_key
from .grouping import TaskResults, name_entries, solved_option
from .intervals import LEVEL, RANGES, RESAMPLES, Estimate, check_finite
from .table import Cell, Column, Table

BEST = re.compile(r"(?P<value>\d*\.?\d+)(?=[ ,;.]|$)")  # what the paragraph `Best:` of a task begins with
CUT = 0.25  # of the scores at either end
Scores = Sequence[Sequence[float]]  # of one model: by task, of each seed


@dataclass(frozen=True)
class Target:
    """The score that counts as 1 on a task, and where it comes from."""

    value: float
    source: str


def interquartile_mean(scores: Scores) -> Estimate:
    """The mean of the middle half of all scores, with a bootstrap interval that draws the seeds of each task anew.

    ValueError for a task without scores, and for scores that are not finite.
    """
    import numpy

    _check(scores)
    drawn = numpy.sort(numpy.concatenate(_resampled(scores, numpy.random.default_rng(0)), axis=1), axis=1)
    whole = numpy.sort(numpy.concatenate([numpy.asarray(task, dtype=float) for task in scores]))
    cut = int(CUT * len(whole))
    inner = slice(cut, len(whole) - cut)
    low, high = numpy.quantile(drawn[:, inner].mean(axis=1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    one = all(len(task) == 1 for task in scores)
    value = float(whole[inner].mean())
    return Estimate(value, None, None, "one seed") if one else Estimate(value, float(low), float(high), "interquartile mean")


def probability_of_improvement(one: Scores, other: Scores) -> Estimate:
    """The probability that a run of `one` scores higher than one of `other`, a tie counting half, as the mean over tasks.

    With a bootstrap interval that draws the seeds of each model and task anew. ValueError as for `interquartile_mean`, and
    where the numbers of tasks differ.
    """
    import numpy

    _check(one)
    _check(other)
    if len(one) != len(other):
        raise ValueError(f"{len(one)} and {amount(len(other), 'task')} cannot be held against each other")
    rng = numpy.random.default_rng(0)
    drawn = zip(_resampled(one, rng), _resampled(other, rng), strict=True)
    chances = numpy.mean([_chance(first, second) for first, second in drawn], axis=0)
    whole = [
        _chance(numpy.asarray([first], dtype=float), numpy.asarray([second], dtype=float))
        for first, second in zip(one, other, strict=True)
    ]
    value = float(numpy.mean(whole))
    if all(len(task) == 1 for task in (*one, *other)):
        return Estimate(value, None, None, "one seed")
    low, high = numpy.quantile(chances, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, float(low), float(high), "probability of improvement")


def _check(scores: Scores) -> None:
    if not scores or not all(scores):
        raise ValueError("a task without scores has no mean")
    check_finite([score for task in scores for score in task])


def _resampled(scores: Scores, rng: Any) -> list[Any]:
    """For each task an array of RESAMPLES rows, each of as many scores as there are, drawn from them."""
    import numpy

    arrays = [numpy.asarray(task, dtype=float) for task in scores]
    return [array[rng.integers(len(array), size=(RESAMPLES, len(array)))] for array in arrays]


def _chance(first: Any, second: Any) -> Any:
    """By row, the share of pairs in which the first is larger; a tie is half a pair."""
    larger = (first[:, :, None] > second[:, None, :]).mean(axis=(1, 2))
    equal = (first[:, :, None] == second[:, None, :]).mean(axis=(1, 2))
    return larger + equal / 2


def target_of(block: TaskResults) -> Target | None:
    """What counts as 1: the best known score that the task's docstring names, else what counts as solved, else the most that a
    share can be, else the best run here. None where none of them is better than the floor, or there is no floor."""
    if block.task is None or block.floor is None:
        return None
    scores = [score for entry in block.entries for score in block.scores(entry)]
    best = (min if block.lower_is_better else max)(scores, default=None)
    range_end = RANGES.get(block.headline.rpartition(".")[2])
    most = Target(range_end[1], "the most there can be") if range_end and not block.lower_is_better else None
    for found in (_documented(block), _solved(block), most, Target(best, "the best run here") if best is not None else None):
        if found and (found.value < block.floor if block.lower_is_better else found.value > block.floor):
            return found
    return None


def _documented(block: TaskResults) -> Target | None:
    try:
        paragraph = read_signature("task", task_reference(block.entries[0].config["task"])).doc_line("Best")
    except UNKNOWN:
        return None
    found = BEST.match(paragraph)
    return Target(float(found["value"]), "best known") if found else None


def _solved(block: TaskResults) -> Target | None:
    """What counts as solved, where the headline says so and a run can reach it."""
    if all(record["solved"] is None for entry in block.entries for record in entry.records):
        return None
    config = block.entries[0].config
    name = solved_option(config)
    value = block.options.get(name) if name else None
    right = name == ("solved_below" if block.lower_is_better else "solved_above")
    return Target(float(value), "solved") if right and isinstance(value, int | float) else None


def aggregate_tables(blocks: Sequence[TaskResults]) -> list[Table]:
    """Two tables: each model's interquartile mean over the tasks, and the probability that one beats another.

    A model that lacks a task is named and left out. BadOption where nothing is left.
    """
    name_entries(blocks)
    targets = {block.label: target for block in blocks if (target := target_of(block))}
    used = [block for block in blocks if block.label in targets]
    gaps = [f"{block.label}: no floor, or nothing better than it: left out" for block in blocks if block.label not in targets]
    scores: dict[str, list[list[float]]] = {}
    for label in sorted({entry.label for block in used for entry in block.entries}, key=natural_key):
        of_tasks = [_normalised(block, targets[block.label], label) for block in used]
        if lacking := [block.label for block, found in zip(used, of_tasks, strict=True) if not found]:
            gaps.append(f"{label}: no finished run of {', '.join(lacking)}: left out")
        else:
            scores[label] = of_tasks
        diverged = {block.label: len(entry.diverged) for block in used for entry in block.entries if entry.label == label}
        gaps += [f"{label}: {number} diverged on {task}, not counted" for task, number in diverged.items() if number]
    gaps += [f"{block.label}: {line}" for block in used for line in (block.unequal, block_overlap(block)) if line]
    if not scores:
        raise BadOption(f"--aggregate: no model has finished runs of every task ({gaps[0] if gaps else 'no task'})")
    return [_means_table(scores, used, targets, gaps), *([_chances_table(scores)] if len(scores) > 1 else [])]


def _normalised(block: TaskResults, target: Target, label: str) -> list[float]:
    floor = block.floor or 0.0
    entries = [entry for entry in block.entries if entry.label == label]
    return [(score - floor) / (target.value - floor) for entry in entries for score in block.scores(entry)]


def _means_table(
    scores: Mapping[str, Scores], blocks: Sequence[TaskResults], targets: Mapping[str, Target], gaps: Sequence[str]
) -> Table:
    found = {label: interquartile_mean(of_model) for label, of_model in scores.items()}
    rows = tuple(
        (
            Cell(label, (label,)),
            Cell(format_interval(mean), (mean.value, mean.low, mean.high)),
            Cell(str(sum(map(len, scores[label]))), (sum(map(len, scores[label])),)),
        )
        for label, mean in sorted(found.items(), key=lambda item: -item[1].value)
    )
    columns = (
        Column("model", ("model",), left=True, words=True),
        Column("interquartile mean ↑", ("value", "low", "high"), left=True),
        Column("runs", ("runs",)),
    )
    scale = []
    for block in blocks:
        target = targets[block.label]
        ends = f"0 is the floor {format_number(block.floor or 0.0)}, 1 is {format_number(target.value)}"
        scale.append(f"{block.label}: {ends} ({target.source}).")
    notes = (
        *scale,
        "interquartile mean: of the middle half of all normalised scores; [ ]: 95 % interval of a bootstrap that draws the "
        "seeds of each task anew. It says how sure the seeds make us, not what other tasks would give.",
    )
    return Table(
        f"{amount(len(scores), 'model')} over {amount(len(blocks), 'task')}",
        "normalised test scores",
        {},
        columns,
        rows,
        tuple(gaps),
        notes,
    )


def _chances_table(scores: Mapping[str, Scores]) -> Table:
    pairs: dict[tuple[str, str], Estimate] = {}
    for one, other in itertools.combinations(scores, 2):
        found = pairs[one, other] = probability_of_improvement(scores[one], scores[other])
        low, high = (None if bound is None else 1 - bound for bound in (found.high, found.low))
        pairs[other, one] = Estimate(1 - found.value, low, high, found.estimator)
    rows = tuple(
        (
            Cell(one, (one,)),
            *(Cell("", (None, None, None)) if one == other else _chance_cell(pairs[one, other]) for other in scores),
        )
        for one in scores
    )
    columns = (
        Column("better than →", ("model",), left=True, words=True),
        *(Column(other, tuple(f"{other} {name}" for name in ("value", "low", "high"))) for other in scores),
    )
    note = (
        "A row's probability to score higher than a column on a task, ties counting half; in bold: its interval, over seeds, "
        "excludes ½."
    )
    return Table("Probability of improvement", "", {}, columns, rows, (), (note,))


def _chance_cell(found: Estimate) -> Cell:
    sure = found.low is not None and found.high is not None and not found.low <= 0.5 <= found.high
    return Cell(format_interval(found), (found.value, found.low, found.high), strong=sure)
