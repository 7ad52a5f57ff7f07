"""How often verdicts on values are right, simulated: at the true value, and at one margin off. The margin is 1 throughout."""

from __future__ import annotations

import math
from statistics import fmean

import numpy
import pytest

from rnnbench.reproduction.grid import FIRST_LOOKS, Seeds
from rnnbench.reproduction.verdicts import first_settled, told_apart, value_verdict

LEVEL, SAMPLES = 0.05, 600
MORE = 3 * math.sqrt(LEVEL * (1 - LEVEL) / SAMPLES)  # three standard errors of a share that is the level


def shares(sd: float, seeds: Seeds, printed: float, estimator: str = "single") -> dict[str, float]:
    """How often each word is reached over all looks; our runs are normal around 0, and their printed value is given."""
    chance, found = numpy.random.default_rng(0), dict[str, float]()
    for _ in range(SAMPLES):
        runs = (sd * chance.normal(size=seeds.looks[-1])).tolist()
        verdict, _ = first_settled(
            seeds.judged(LEVEL),
            lambda count, level, runs=runs: value_verdict(runs[:count], printed, estimator, 1.0, True, level=level),
        )
        found[verdict.word] = found.get(verdict.word, 0) + 1 / SAMPLES
    return found


@pytest.mark.parametrize(("sd", "first"), FIRST_LOOKS)
def test_at_the_seeds_that_are_declared_the_true_value_is_reproduced(sd, first):
    seeds = Seeds(pilot=sd)
    assert seeds.looks == [first]
    found = shares(sd, seeds, printed=0.0)
    assert found["reproduced"] >= 0.8
    assert found.get("better", 0) + found.get("worse", 0) <= LEVEL


@pytest.mark.parametrize(("sd", "first"), FIRST_LOOKS)
def test_one_margin_off_is_seldom_reproduced(sd, first):
    assert shares(sd, Seeds(first=first), printed=1.0).get("reproduced", 0) <= LEVEL + MORE


@pytest.mark.parametrize(
    "seeds", [Seeds(first=3, more=3, most=12), Seeds(first=4, added=(8, 16)), Seeds(first=3, more=3, most=9, added=(20,))]
)
@pytest.mark.parametrize("sd", [0.3, 1.0])
def test_looks_share_one_level(seeds, sd):
    """Four planned ones; and such as were added when the first had left the verdict open."""
    assert sum(level for _, level in seeds.judged(LEVEL)) <= LEVEL * (1 + 1e-9)
    assert shares(sd, seeds, printed=1.0).get("reproduced", 0) <= LEVEL + MORE


def test_one_run_of_theirs_settles_what_spreads_by_less_than_078_margins():
    """A value that is itself a run of the same setting: with 80 % at .78 margins, however many seeds of ours."""
    chance, reproduced = numpy.random.default_rng(0), 0
    for _ in range(250):
        printed, *runs = (0.78 * chance.normal(size=201)).tolist()
        reproduced += value_verdict(runs, printed, "single", 1.0, True)[0].word == "reproduced"
    assert abs(reproduced / 250 - 0.8) < 0.08


def test_readings_that_are_one_setting_are_seldom_told_apart_and_others_are():
    """Three runs each of what sixty are as stated: of ten such readings two means are often a factor of 3 apart."""
    random, found, wide = numpy.random.default_rng(0), 0, 0
    for _ in range(60):
        stated, *others = (random.lognormal(10, 0.8, count).tolist() for count in (60, *[3] * 10))
        means = [fmean(times) for times in others]
        wide += max(means) > 3 * min(means)
        found += any(told_apart((stated, [True] * 60), [(times, [True] * 3) for times in others]))
    assert wide > 20 and found <= 6
    slow = [(random.lognormal(14, 0.8, 3).tolist(), [True] * 3) for _ in range(10)]
    assert all(told_apart((stated, [True] * 60), slow))
