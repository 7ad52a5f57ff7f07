"""Aggregates over tasks: equal to the figures of rliable, and by hand."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy
import pytest

from rnnbench.analysis.aggregate import aggregate_tables, interquartile_mean, probability_of_improvement, target_of
from rnnbench.analysis.grouping import group_runs
from rnnbench.options import BadOption
from rnnbench.store.find import find_runs
from tests.analysis.test_tables import write

# By rliable 1.2.0: scores by task, of each seed; the mean and its interval of 50,000 resamples.
GOLD = json.loads((Path(__file__).parents[1] / "fixtures" / "rliable.json").read_text(encoding="utf-8"))
MODELS = {name: one for name, one in GOLD.items() if "iqm" in one}
PAIRS = {name: one for name, one in GOLD.items() if "p" in one}
NEAR = 0.012  # of a bound from 9,999 resamples to one from 50,000 or 5,000: their chance alone

# Means of C and D are multiples of this. Of D 97.47 % are at most .45 (a million resamples): a hair decides about the bound.
STEP = 0.0251


@pytest.mark.parametrize("name", MODELS)
def test_interquartile_mean_is_that_of_rliable(name: str) -> None:
    gold = MODELS[name]
    found = interquartile_mean(gold["scores"])
    assert found.value == pytest.approx(gold["iqm"], rel=1e-12)
    near = STEP if name in "CD" else NEAR
    assert found.low == pytest.approx(gold["low"], abs=near) and found.high == pytest.approx(gold["high"], abs=near)
    assert interquartile_mean(gold["scores"]) == found, "the same scores give the same interval"


@pytest.mark.parametrize("pair", PAIRS)
def test_probability_of_improvement_is_that_of_rliable(pair: str) -> None:
    gold, (one, other) = PAIRS[pair], (MODELS[name]["scores"] for name in pair)
    found = probability_of_improvement(one, other)
    assert found.value == pytest.approx(gold["p"], rel=1e-12)
    assert found.low == pytest.approx(gold["low"], abs=3 * NEAR) and found.high == pytest.approx(gold["high"], abs=3 * NEAR)
    assert probability_of_improvement(other, one).value == pytest.approx(1 - gold["p"])


BY_HAND = {  # scores by task: the mean of the middle half of all
    "eight": ([[0, 1, 2, 3], [4, 5, 6, 7]], 3.5),
    "an outlier": ([[0, 1, 2, 1000]], 1.5),
    "unequal numbers of seeds": ([[1], [2, 3, 4, 5, 6, 100]], 4.0),
    "one seed": ([[0.25], [0.75]], 0.5),
}


@pytest.mark.parametrize(("scores", "mean"), BY_HAND.values(), ids=BY_HAND)
def test_interquartile_means_by_hand(scores: list[list[float]], mean: float) -> None:
    found = interquartile_mean(scores)
    assert found.value == pytest.approx(mean)
    assert (found.low is None) == all(len(task) == 1 for task in scores)


def test_probability_by_counting_pairs() -> None:
    rng = numpy.random.default_rng(1)
    one, other = ([rng.integers(0, 4, size=size).tolist() for size in sizes] for sizes in ((3, 5), (4, 2)))
    chances = [
        numpy.mean([(a > b) + (a == b) / 2 for a, b in itertools.product(*tasks)]) for tasks in zip(one, other, strict=True)
    ]
    assert probability_of_improvement(one, other).value == pytest.approx(numpy.mean(chances))


def test_one_seed_of_each_leaves_no_interval() -> None:
    one, other = [[0.91], [0.5]], [[0.90], [0.4]]
    found = probability_of_improvement(one, other)
    assert (found.value, found.low, found.high) == (1.0, None, None)
    assert probability_of_improvement([[0.91, 0.92], [0.5]], other).low is not None


@pytest.mark.parametrize("bad", [[], [[]], [[1.0], []], [[float("nan")]], [[float("inf"), 1.0]]])
def test_what_has_no_mean_is_refused(bad: list[list[float]]) -> None:
    for call in (lambda: interquartile_mean(bad), lambda: probability_of_improvement(bad, [[1.0]])):
        with pytest.raises(ValueError, match="no mean"):
            call()
    with pytest.raises(ValueError, match="tasks"):
        probability_of_improvement([[1.0]], [[1.0], [2.0]])


TARGETS = {  # task: the score that counts as 1, and why
    "adding": (0.0, "best known"),
    "copy_memory": (0.0, "best known"),
    "char_lm": (1.5, "the best run here"),  # its docstring begins with the name of a corpus
}


@pytest.mark.parametrize(("task", "expected"), TARGETS.items(), ids=TARGETS)
def test_what_counts_as_one(task: str, expected: tuple[float, str], tmp_path: Path) -> None:
    for seed, score in enumerate((1.5, 2.5) if task == "char_lm" else (0.05, 0.06)):
        never = {"solved": None} if task == "char_lm" else {}  # its default: solved_below=0
        options = {"solved_below": 0.0} if never else {}
        write(tmp_path, task, seed=seed, score=score, task_options=options, rows=1, **never)
    (block,), _ = group_runs(*find_runs([tmp_path]))
    target = target_of(block)
    assert target and (target.value, target.source) == expected


def test_nothing_better_than_the_floor_is_said(tmp_path: Path) -> None:
    write(tmp_path, "char_lm", score=9.0, task_options={}, rows=1)
    write(tmp_path, "adding", score=0.05, task_options={"length": 100}, rows=1)
    write(tmp_path, "copy_memory", model="gru", score=0.05, task_options={"delay": 9}, rows=1)
    blocks, _ = group_runs(*find_runs([tmp_path]))
    with pytest.raises(BadOption, match="no model has finished runs of every task") as refused:
        aggregate_tables(blocks)
    assert "char_lm: no floor, or nothing better than it: left out" in str(refused.value)
    write(tmp_path, "copy_memory", score=0.05, task_options={"delay": 9}, rows=1)
    (means,) = aggregate_tables(group_runs(*find_runs([tmp_path]))[0])
    assert [row[0].text for row in means.rows] == ["lstm"]
    assert "gru: no finished run of adding: left out" in means.gaps
    adding, copy = 1 - 0.05 / 0.1667, 1 - 0.05 / 0.0945
    assert means.rows[0][1].values[0] == pytest.approx((adding + copy) / 2)
