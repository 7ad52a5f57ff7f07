"""The intervals against published examples and against other people's code."""

from __future__ import annotations

import subprocess
import sys

import numpy
import pytest
from scipy import stats

from rnnbench.analysis import intervals
from rnnbench.analysis.intervals import ENOUGH, Estimate, bootstrap, interquartile_mean, student, wilson

# Cushny & Peebles 1905 in Student 1908: additional hours of sleep, ten patients, second drug less the first.
SLEEP = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
# Efron & Tibshirani 1993, An Introduction to the Bootstrap, table 14.1: 26 children, test A.
SPATIAL = [48, 36, 20, 29, 42, 42, 20, 42, 22, 41, 45, 14, 6, 0, 33, 28, 34, 4, 32, 24, 47, 41, 24, 26, 30, 41]


@pytest.mark.parametrize(
    ("solved", "runs", "low", "high"),  # Newcombe 1998, table I, method 3
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_published(solved: int, runs: int, low: float, high: float) -> None:
    estimate = wilson(solved, runs)
    assert (estimate.low, estimate.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_wilson_agrees_with_scipy_and_mirrors() -> None:
    for runs in (1, 3, 10, 37):
        for solved in range(runs + 1):
            ours, mirror = wilson(solved, runs), wilson(runs - solved, runs)
            theirs = stats.binomtest(solved, runs).proportion_ci(0.95, "wilson")
            assert (ours.low, ours.high) == (pytest.approx(theirs.low, abs=1e-12), pytest.approx(theirs.high, abs=1e-12))
            assert ours.low == pytest.approx(1 - mirror.high)
            assert 0 <= ours.low <= ours.value <= ours.high <= 1


@pytest.mark.parametrize(("solved", "runs"), [(0, 0), (4, 3), (-1, 3)])
def test_wilson_refuses(solved: int, runs: int) -> None:
    with pytest.raises(ValueError, match="is no share"):
        wilson(solved, runs)


def test_student_published() -> None:
    estimate = student(SLEEP)  # the interval as R prints it for its data set `sleep`
    assert (estimate.value, estimate.low, estimate.high) == tuple(
        pytest.approx(x, abs=1e-7) for x in (1.58, 0.7001142, 2.4598858)
    )


def test_student_of_few() -> None:
    assert student([0.5]) == Estimate(0.5, None, None, "one seed")
    same = student([0.25, 0.25, 0.25])
    assert (same.low, same.high) == (0.25, 0.25)
    two = student([0.0, 2.0])  # t(1) at 0.975 is 12.7062; the standard error is 1
    assert two.high == pytest.approx(1 + 12.7062047)
    with pytest.raises(ValueError, match="no values"):
        student([])


def test_interquartile_mean_known() -> None:
    assert interquartile_mean([5, 8, 4, 38, 8, 6, 9, 7, 7, 3, 1, 6]) == 6.5  # cuts 1 3 4 and 8 9 38
    assert interquartile_mean([1, 2, 3, 1000]) == 2.5
    assert interquartile_mean([[1, 2, 3, 1000], [0, 0, 4, 4]], axis=1).tolist() == [2.5, 2.0]


def test_bootstrap_published() -> None:
    """Efron & Tibshirani 1993, table 14.2: variance 171.5, BCa 90 % (115.8, 259.6) from 2000 resamples."""
    estimate = bootstrap(SPATIAL, numpy.var, "variance", level=0.90)
    assert estimate.value == pytest.approx(171.5, abs=0.05)
    assert estimate.low == pytest.approx(115.8, abs=3)
    assert estimate.high == pytest.approx(259.6, abs=6)


def test_bootstrap_is_repeatable_and_robust() -> None:
    values = [*numpy.random.default_rng(1).normal(size=11).tolist(), 100.0]
    estimate = bootstrap(values)
    assert estimate == bootstrap(values)
    assert estimate.low < estimate.value < estimate.high < 10  # a mean would stand near 8, with an interval to 27
    same = bootstrap([0.5] * 12)
    assert (same.low, same.value, same.high) == (0.5, 0.5, 0.5)
    nearly = bootstrap([1.0] * 11 + [0.0])  # the acceleration is 0/0 here
    assert (nearly.low, nearly.value, nearly.high) == (1.0, 1.0, 1.0)
    with pytest.raises(ValueError, match="two values"):
        bootstrap([1.0])


def test_interquartile_mean_covers(monkeypatch: pytest.MonkeyPatch) -> None:
    """From ENOUGH values on, the interval holds the truth about as often as it says (0 for a symmetric law)."""
    generator = numpy.random.default_rng(0)
    found = 0
    monkeypatch.setattr(intervals, "RESAMPLES", 499)
    for _ in range(200):
        estimate = bootstrap(generator.normal(size=ENOUGH).tolist())
        found += estimate.low <= 0 <= estimate.high
    assert 0.88 <= found / 200 <= 0.98


def test_import_is_light() -> None:
    code = "import sys, rnnbench.analysis.intervals; sys.exit('scipy' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
