"""The rule of a card's verdicts, held against scores whose truth is known."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy
import pytest
from scipy import stats

from rnnbench.analysis.grouping import trained_with
from rnnbench.analysis.intervals import Estimate
from rnnbench.card.outcomes import (
    RATIO,
    RunOutcome,
    Sample,
    SamplePair,
    answer_family,
    compare,
    judge,
    outcome_of,
    seeds_to_tell_apart,
    verdict_summary,
)
from rnnbench.card.suite import Measure, Suite, load_suite
from rnnbench.store.find import find_runs
from tests.support.documents import ROOT

SUITES = {name: load_suite(name) for name in ("quick", "card")}
MEASURES: list[Measure] = ["steps_to_solve", "solved", "score"]


def drawn(random: numpy.random.Generator, seeds: int, model: str, skill: float = 0.0) -> Sample:
    """Runs of which three in four solve the task, after 100 to 800 steps; `skill` makes them sooner, more often and better."""
    outcomes = []
    for _ in range(seeds):
        solved = bool(random.random() < 0.75 + skill)
        steps = 100 * (1 + random.integers(0, 8)) * (1 - skill) if solved else 800.0
        outcomes.append(RunOutcome(float(random.normal(-10 * skill, 1)), solved, float(steps)))
    return Sample(model, tuple(outcomes), "loss", lower_is_better=True)


def simulated(suite: Suite, random: numpy.random.Generator, skill: float = 0.0) -> dict[str, dict[str, Sample]]:
    def models() -> dict[str, Sample]:
        own = drawn(random, suite.seeds, "mine", skill)
        return {"mine": own, **{name: drawn(random, suite.opponent_seeds, name) for name in suite.opponents}}

    return {task: models() for task in suite.tasks}


@pytest.mark.parametrize(("name", "cards"), [("quick", 150), ("card", 25)])
def test_one_model_under_two_names_is_called_different_in_a_card_of_twenty(name: str, cards: int) -> None:
    """Of simulated cards of disjoint seeds: no more than 99 % of counts with a chance of 5 % a card."""
    suite, random = SUITES[name], numpy.random.default_rng(0)
    told = 0
    for _ in range(cards):
        verdicts = judge(suite, simulated(suite, random), "mine")
        assert len(verdicts) == len(suite.tasks) * len(suite.opponents)
        told += any(one.word in ("ahead", "behind") for one in verdicts)
    assert told <= stats.binom.ppf(0.99, cards, suite.level)


@pytest.mark.parametrize("name", SUITES)
@pytest.mark.parametrize(("skill", "word"), [(0.74, "ahead"), (-0.74, "behind")])
def test_a_score_far_better_or_worse_is_told_apart_on_every_task(name: str, skill: float, word: str) -> None:
    """The means lie more than seven deviations apart."""
    suite, random = SUITES[name], numpy.random.default_rng(1)
    verdicts = judge(suite, simulated(suite, random, skill), "mine")
    assert {one.word for one in verdicts if one.measure == "score"} == {word}
    assert {one.word for one in verdicts} <= {word, "not seen", "open"}


def of(*outcomes: tuple[float, bool, float], lower: bool = True) -> Sample:
    return Sample("a", tuple(RunOutcome(*one) for one in outcomes), "loss", lower)


GOOD, POOR = of(*[(0.1 + k / 100, True, 100 + k) for k in range(5)]), of(*[(0.9 + k / 100, False, 800) for k in range(5)])


@pytest.mark.parametrize("measure", MEASURES)
def test_five_seeds_that_lie_apart_are_told_apart_and_the_better_is_named(measure: Measure) -> None:
    """p is 2 of the 252 ways to label ten runs."""
    assert compare(measure, GOOD, POOR)[:2] == (pytest.approx(2 / 252), 1)
    assert compare(measure, POOR, GOOD)[:2] == (pytest.approx(2 / 252), -1)
    assert compare(measure, GOOD, GOOD)[:2] == (pytest.approx(1), 0)


@pytest.mark.parametrize(("measure", "apart"), [("steps_to_solve", 698), ("solved", -1), ("score", 0.8)])
def test_the_difference_has_an_interval_that_turns_with_the_sides(measure: Measure, apart: float) -> None:
    one, other, none = (compare(measure, *pair).gap for pair in ((POOR, GOOD), (GOOD, POOR), (GOOD, GOOD)))
    assert one.value == pytest.approx(apart) and one.low <= one.value <= one.high
    assert (other.low, other.value, other.high) == pytest.approx((-one.high, -one.value, -one.low))
    assert one.low < one.high and none.low < none.value == 0 < none.high


def test_the_interval_of_a_difference_holds_the_true_one() -> None:
    """Of steps that a training of 800 cuts off, in 95 of 100 samples; the means are those of 20,000 runs."""
    random = numpy.random.default_rng(2)
    whole = [drawn(random, 20_000, "a", skill).times[0] for skill in (0.2, 0)]
    truth = numpy.mean(whole[0]) - numpy.mean(whole[1])
    pairs = ((drawn(random, 10, "a", 0.2), drawn(random, 20, "b")) for _ in range(100))
    held = sum(found.low <= truth <= found.high for found in (compare("steps_to_solve", *pair).gap for pair in pairs))
    assert 88 <= held <= 100


def test_a_metric_on_a_log_scale_has_a_ratio() -> None:
    one, other = (dataclasses.replace(of(*[(value * k, True, 1) for k in (0.5, 1, 2)]), headline="mse") for value in (0.2, 0.1))
    found = compare("score", one, other).gap
    assert found.value == pytest.approx(2) and found.low < 2 < found.high and found.estimator == RATIO
    naught = dataclasses.replace(of((0.0, True, 1), (0.1, True, 1)), headline="mse")  # 0 has no logarithm
    assert compare("score", one, naught).gap.value == pytest.approx(0.7 / 3 - 0.05)
    assert seeds_to_tell_apart("score", one, naught, 0.05)


def test_values_without_spread_have_a_difference_and_no_interval() -> None:
    flat, later = of((1.0, True, 100), (1.0, True, 100)), of((0.5, True, 800), (0.5, True, 800))
    for measure, gap in (("steps_to_solve", -700), ("score", 0.5)):
        assert compare(measure, flat, later).gap == Estimate(gap, None, None, "difference of means")


def test_a_higher_score_is_better_where_the_task_says_so() -> None:
    higher = [dataclasses.replace(sample, lower_is_better=False) for sample in (GOOD, POOR)]
    assert [compare("score", *pair)[1] for pair in ((GOOD, POOR), tuple(higher))] == [1, -1]


@pytest.mark.parametrize(("sd", "wanted"), [(0.5, 4), (1.0, 16), (2.0, 63)])
def test_the_seeds_that_tell_a_difference_of_one(sd: float, wanted: int) -> None:
    """(1.960 + 0.842)**2 * 2 sd**2 = 15.7 sd**2, for values whose sample variance is sd**2."""
    step = sd / 1.5811388300841898  # of five values a step apart
    one, other = (of(*[(centre + step * k, False, 1) for k in range(-2, 3)]) for centre in (0, 1))
    assert seeds_to_tell_apart("score", one, other, 0.05) == wanted


@pytest.mark.parametrize("measure", MEASURES)
def test_no_number_of_seeds_tells_equal_samples_apart(measure: Measure) -> None:
    assert seeds_to_tell_apart(measure, GOOD, GOOD, 0.05) is None
    (found,) = answer_family(SUITES["quick"], [SamplePair("adding", GOOD, GOOD)])
    assert found.equal and found.seeds is None


def test_two_medians_of_never_are_not_called_equal() -> None:
    one, other = (of(*[(0.5, run < solved, 1000 if run < solved else 3000) for run in range(20)]) for solved in (5, 6))
    (found,) = answer_family(SUITES["quick"], [SamplePair("adding", one, other)])
    assert found.own.value == found.other.value == math.inf and not found.equal and found.seeds is None


@pytest.mark.parametrize("level", [0.05, 0.05 / 6])
def test_so_few_seeds_that_no_p_is_small_enough_are_never_said_to_be_enough(level: float) -> None:
    far = of(*[(centre, True, 1) for centre in (5.0, 5.1, 5.2)])
    seeds = seeds_to_tell_apart("score", of(*[(centre, True, 1) for centre in (0.0, 0.1, 0.2)]), far, level)
    assert seeds and 2 / math.comb(2 * seeds, seeds) <= level < 2 / math.comb(2 * seeds - 2, seeds - 1)


def summary_of(words: list[str]) -> str:
    suite = SUITES["quick"]
    verdicts = judge(suite, simulated(suite, numpy.random.default_rng(0)), "mine")
    return verdict_summary(suite, [dataclasses.replace(one, word=word) for one, word in zip(verdicts, words, strict=True)])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["not seen"] * 6, "Ahead nowhere. Behind nowhere. 6 of 6 comparisons: not seen."),
        (
            ["behind"] * 6,
            "Behind lstm and gru on adding; lstm and gru on temporal_order; lstm and gru on parity. 0 of 6",
        ),
        (["ahead", "behind", *["not seen"] * 4], "Ahead of lstm on adding. Behind gru on adding. 4 of 6"),
    ],
)
def test_a_summary_says_where_and_never_better(words: list[str], said: str) -> None:
    found = summary_of(words)
    assert said in found and "better" not in found


def committed(model: str, where: Callable[[dict], bool]) -> Sample:
    """Runs of a model on temporal order 6a at the length of 1997, as they are committed."""
    found = {}
    for run in find_runs([ROOT / "sweeps/hochreiter1997/results.jsonl"])[0]:
        record = run.record
        task = record and record["task"]
        if record and task["name"] == "temporal_order" and record["model"]["name"] == model and where(record["departures"]):
            found.setdefault(record["setting"], {})[record["seed"]] = outcome_of(record)
    most = max(found.values(), key=len)
    return Sample(model, tuple(most[seed] for seed in sorted(most)), "accuracy", lower_is_better=False)


def test_the_rnn_is_behind_on_temporal_order() -> None:
    """By stored records of 100 steps: the RNN solves it in 0 of 10 runs, the GRU in 5 of 5."""
    rnn, gru = (committed(model, lambda departures: "task.form" not in departures) for model in ("rnn", "gru"))
    assert (rnn.share, gru.share) == ((0, 10), (5, 5))
    for measure in MEASURES:
        p, side, _ = compare(measure, rnn, gru)
        assert 16 * p < 0.05 and side == -1  # Holm's correction of card/1 at its hardest


def test_a_run_that_diverged_has_the_floors_score_and_solved_nothing() -> None:
    runs = find_runs([ROOT / "sweeps/hochreiter1997/results.jsonl"])[0]
    record = next(run.record for run in runs if run.record["solved_step"])
    changed = {**record, "status": "diverged", "solved_step": None, "scores": {"validation": None, "test": None}}
    found = outcome_of(changed)
    assert (found.score, found.solved, found.diverged) == (record["task"]["floor"], False, True)
    assert found.steps == trained_with(record, "steps") > record["steps"]  # it was watched for all of them
