"""The intervals against published examples and against other people's code."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy
import pytest
from scipy import stats

from rnnbench.analysis.intervals import BOUNDS, Estimate, best_of, expected_best, scale_of, student, summarize, wilson

# Cushny & Peebles 1905 in Student 1908: additional hours of sleep, ten patients, second drug less the first.
SLEEP = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]


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


@pytest.mark.parametrize(
    ("metric", "scale"),
    [
        ("mse", "log"),
        ("test.mse", "log"),
        ("validation.perplexity", "log"),
        ("seconds_per_step", "log"),
        ("phoneme_error_rate", "log"),
        ("accuracy", "share"),
        ("test.exact", "share"),
        ("bleu", "share"),
        ("loss", "plain"),  # nats are logarithms already
        ("bpc", "plain"),
        ("nll", "plain"),
        ("first.train/fall/core.0.0", "plain"),
        ("parameters", "plain"),
    ],
)
def test_the_scale_is_that_of_the_metric(metric: str, scale: str) -> None:
    assert scale_of(metric) == scale


def test_errors_are_summed_up_by_their_logarithms() -> None:
    """Of 1, 10 and 100: the geometric mean 10; half-width t(2) ln 10 / sqrt 3, so a factor of e^5.72 = 305."""
    found = summarize([1.0, 10.0, 100.0], "mse")
    factor = numpy.exp(stats.t.ppf(0.975, 2) * numpy.log(10) / numpy.sqrt(3))
    assert (found.value, found.low, found.high) == (pytest.approx(10), pytest.approx(10 / factor), pytest.approx(10 * factor))
    assert found.estimator == "geometric mean" and factor == pytest.approx(305, abs=1)
    assert summarize([0.0, 1.0, 3.0], "mse") == Estimate(1.0, None, None, "median, since a value of 0 has no logarithm")


def test_shares_are_cut_to_their_range() -> None:
    wide = student([0.5, 0.99, 1.0])
    assert summarize([0.5, 0.99, 1.0], "accuracy") == Estimate(wide.value, wide.low, 1.0, "mean") and wide.high > 1
    assert summarize([50.0, 99.0, 100.0], "bleu").high == 100
    assert summarize([0.5, 0.99, 1.0], "horizon") == wide
    assert summarize([0.5], "accuracy") == summarize([0.5], "mse") == Estimate(0.5, None, None, "one seed")


@pytest.mark.parametrize("metric", BOUNDS)
def test_no_interval_leaves_the_range_of_its_metric(metric: str) -> None:
    """Of values at either end, which would: the mean and the other end stay those of Student's interval."""
    least, most = BOUNDS[metric]
    for end in filter(math.isfinite, (least, most)):
        values = [end, end, end + (0.01 if end == least else -0.01)]
        wide, found = student(values), summarize(values, metric)
        assert found == Estimate(wide.value, max(least, wide.low), min(most, wide.high), "mean") != wide


def test_a_loss_below_zero_is_left_as_it_is() -> None:
    """The loss of a user's own task may be a negative log-density."""
    assert summarize([-0.2, 0.1, 0.3], "loss") == student([-0.2, 0.1, 0.3])


def test_what_is_solved_in_part_has_no_mean() -> None:
    scores, solved = [0.2, 0.97, 0.99, 0.98], [False, True, True, True]
    assert summarize(scores, "accuracy", solved=solved) == Estimate(0.98, None, None, "median of solved")
    for alike in ([True] * 4, [False] * 4, []):
        assert summarize(scores, "accuracy", solved=alike) == summarize(scores, "accuracy")


@pytest.mark.parametrize("law", ["normal", "log-normal"])
def test_log_t_covers(law: str) -> None:
    """At three values as often as it says; BCa covers 57 to 70 % there."""
    generator, inside = numpy.random.default_rng(0), 0
    for _ in range(1000):
        values = generator.normal(size=3)
        found = summarize(
            values.tolist() if law == "normal" else numpy.exp(values).tolist(), "nll" if law == "normal" else "mse"
        )
        inside += found.low <= (0 if law == "normal" else 1) <= found.high
    assert abs(inside / 1000 - 0.95) < 0.021


def test_the_best_of_some_takes_twice_as_many_and_ten() -> None:
    values = [float(value) for value in range(1, 21)]
    assert best_of(values, 5, True).value == pytest.approx(expected_best(values, "min", again=False)[4])
    assert best_of(values, 5, False).value == pytest.approx(expected_best(values, "max", again=False)[4])
    low, high = best_of(values, 5, True), best_of([-value for value in values], 5, False)
    assert (low.low, low.high) == (pytest.approx(-high.high), pytest.approx(-high.low)), "the mirror image"
    for runs, count in ((9, 2), (19, 10), (50, 200)):
        with pytest.raises(ValueError, match=f"the best of {count} takes {max(10, 2 * count)} at least"):
            best_of([1.0 * run for run in range(runs)], count, True)


def test_the_interval_of_a_best_is_exact_for_normal_values() -> None:
    """Five standard normal values have -1.163 for expected minimum; each end misses it in 5 % of samples at most."""
    generator, below, above = numpy.random.default_rng(0), 0, 0
    for _ in range(400):
        found = best_of(generator.normal(size=10).tolist(), 5, True, level=0.90)
        below, above = below + (found.low > -1.16296), above + (found.high < -1.16296)
    assert below / 400 <= 0.075 and above / 400 <= 0.075


def test_import_is_light() -> None:
    code = "import sys, rnnbench.analysis.intervals; sys.exit('scipy' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


ALONE = """
import json, sys
from rnnbench.analysis import student_t
{before}
freedom, shares = (1, 2, 4, 4.7, 99, 1e4), (0.6, 0.975, 0.995, 1 - 1e-9)
ours = [student_t.quantile(n, p) for n in freedom for p in shares] + [float(student_t.share_below(n, -2.5)) for n in freedom]
loaded = "scipy.special" in sys.modules
import scipy.special, scipy.stats
theirs = [float(scipy.special.stdtrit(n, p)) for n in freedom for p in shares]
assert ours == theirs + [float(scipy.special.stdtr(n, -2.5)) for n in freedom]
assert scipy.stats.t.ppf(0.975, 4) > 2.7 and scipy.special.gamma(5) == 24  # what is imported later is whole
print(json.dumps(loaded))
"""


LACKING = """
import importlib
real = importlib.import_module
def import_module(name, *rest):
    if name.endswith("_ufuncs"):
        raise ImportError(name)
    return real(name, *rest)
importlib.import_module = import_module
"""


@pytest.mark.parametrize(
    ("before", "loaded"), [("", False), ("import scipy.special", True), (LACKING, True)], ids=["alone", "whole", "lacking"]
)
def test_students_t_is_scipys_to_the_digit(before: str, loaded: bool) -> None:
    code = ALONE.format(before=before)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    assert json.loads(done.stdout) is loaded
