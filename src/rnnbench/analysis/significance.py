"""Whether two settings differ, and by how much: differences, equivalence, times to solve, and many questions at once.

"Not significant" is not "the same": a claim that one setting matches another takes `against_margin`, with a margin that was
declared before. Runs that never solved their task are censored, not dropped: `time_to_solve` and `log_rank` know how long
each was watched. All tests are two-sided; resampling is seeded, and exact where there are few enough ways. Values that are not
finite are refused by ValueError, everywhere.
"""

from __future__ import annotations

import functools
import itertools
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from . import student_t
from .intervals import LEVEL, RESAMPLES, Estimate, check_finite, is_bimodal, on_scale, scale_of, wilson


@dataclass(frozen=True)
class Difference:
    """The mean of a less the mean of b, with its interval and the two-sided probability of one as large by chance."""

    value: float
    low: float
    high: float
    p: float
    paired: bool


def difference(a: Sequence[float], b: Sequence[float], paired: bool = False, level: float = LEVEL) -> Difference:
    """Mean(a) - mean(b) with Welch's t interval (Student's for pairs), and the p of a permutation test of the same mean.

    `paired`: a[k] and b[k] share a seed; signs are flipped instead of labels drawn. Pairing is worth it only where the two
    move together over seeds. ValueError for fewer than two values, pairs of unequal number, and values that are not finite.
    Source: Fisher 1935, The Design of Experiments, section 21; Welch 1947, Biometrika 34.
    """
    found, samples = _mean_difference(a, b, paired, level)
    assert found.low is not None and found.high is not None
    return Difference(found.value, found.low, found.high, _by_chance(samples), paired)


def mean_difference(a: Sequence[float], b: Sequence[float], level: float = LEVEL) -> Estimate:
    """Mean(a) - mean(b) with Welch's t interval, as `difference` has it, without a test; no interval of values without spread.

    ValueError as there.
    """
    found, _ = _mean_difference(a, b, False, level)
    spread = len(set(a)) > 1 or len(set(b)) > 1
    return found if spread else Estimate(found.value, None, None, found.estimator)


def _mean_difference(a: Sequence[float], b: Sequence[float], paired: bool, level: float) -> tuple[Estimate, tuple[Any, ...]]:
    """(the difference of the means with its interval, the samples of a permutation test of it)."""
    x, y, test = _t_test(a, b, paired)
    value = float(x.mean() - y.mean())
    with warnings.catch_warnings(action="ignore"):
        bounds = test.confidence_interval(level)
    low, high = (value if math.isnan(bound) else float(bound) for bound in bounds)  # no spread at all
    return Estimate(value, low, high, "difference of means"), (x - y,) if paired else (x, y)


def _t_test(a: Sequence[float], b: Sequence[float], paired: bool = False) -> tuple[Any, Any, Any]:
    """(a, b, Welch's t test of them, or Student's of their pairs), which says nothing where there is no spread at all."""
    from scipy import stats

    x, y = _samples(a, b, paired)
    with warnings.catch_warnings(action="ignore"):  # of values without spread
        return x, y, stats.ttest_rel(x, y) if paired else stats.ttest_ind(x, y, equal_var=False)


def _samples(a: Sequence[float], b: Sequence[float], paired: bool) -> tuple[Any, Any]:
    """Both as arrays. ValueError for fewer than two values, pairs of unequal number, and values that are not finite."""
    import numpy

    if min(len(a), len(b)) < 2 or (paired and len(a) != len(b)):
        raise ValueError(f"{len(a)} and {len(b)} values{' in pairs' if paired else ''} allow no difference with an interval")
    check_finite([*a, *b])
    return numpy.asarray(a, dtype=float), numpy.asarray(b, dtype=float)


def _by_chance(samples: tuple[Any, ...]) -> float:
    """The two-sided p of a permutation test of the mean difference; of one sample, with its signs flipped.

    Exact where there are at most RESAMPLES ways. Where there are more and two samples of one size lie wholly apart (of one: it
    lies on one side of 0), two ways: no others make the means differ as much. Else of random labels, ten times as many where
    p is small.
    """
    sizes = [len(sample) for sample in samples]
    if len(samples) == 1:
        (signs,) = samples
        apart, ways = bool((signs > 0).all() or (signs < 0).all()), 2 ** sizes[0]
    else:
        one, other = samples
        apart = len(one) == len(other) and bool(one.max() < other.min() or other.max() < one.min())
        ways = math.comb(sum(sizes), sizes[0])
    if apart and ways > RESAMPLES:
        return 2 / ways
    p = 1.0
    for resamples in (RESAMPLES, 10 * RESAMPLES):
        p = _by_signs(samples[0], resamples) if len(samples) == 1 else _by_labels(samples[0], samples[1], resamples)
        if ways <= resamples or p > 0.002:
            break
    return p


def _by_signs(sample: Any, resamples: int) -> float:
    """The p of a permutation test of the mean of one sample with its signs flipped."""
    import numpy
    from scipy import stats

    rng = numpy.random.default_rng(0)
    options: dict[str, Any] = {"permutation_type": "samples", "vectorized": True, "batch": RESAMPLES}
    return float(stats.permutation_test((sample,), _mean, n_resamples=resamples, rng=rng, **options).pvalue)


def _mean(x: Any, axis: int) -> Any:
    return x.mean(axis=axis)


def _by_labels(x: Any, y: Any, resamples: int) -> float:
    """The share of labels that make the means differ by as much as they do, in either direction.

    As scipy's permutation_test of the absolute difference gives it, to the digit; that makes the labels of each test anew, one
    by one in Python, and here tests of samples of one size share them. (Twice the smaller of the one-sided shares is something
    else where the sizes are unequal: the labels that mirror the observed ones are not among the ways then.)
    """
    import numpy

    labels, exact = _labels(len(x) + len(y), len(x), resamples)
    drawn = numpy.concatenate([x, y])[labels]
    differences = abs(drawn[:, : len(x)].mean(axis=-1) - drawn[:, len(x) :].mean(axis=-1))
    observed = abs(x.mean() - y.mean())
    tolerance = 100 * numpy.finfo(float).eps * observed  # of values that are equal but for rounding
    more = 0 if exact else 1  # the labels as they are
    return float(((differences >= observed - tolerance).sum() + more) / (len(labels) + more))


@functools.lru_cache(maxsize=8)
def _labels(total: int, first: int, resamples: int) -> tuple[Any, bool]:
    """(rows of the numbers below `total`, those of the first sample before the others; whether they are all ways there are)."""
    import numpy

    if math.comb(total, first) <= resamples:
        chosen = itertools.combinations(range(total), first)
        return numpy.array([[*one, *sorted(set(range(total)).difference(one))] for one in chosen], numpy.uint16), True
    rng = numpy.random.default_rng(0)
    return numpy.array([rng.permutation(total) for _ in range(resamples)], numpy.uint16), False


def rank_ranges(
    samples: Mapping[str, Sequence[float]],
    lower_is_better: bool,
    level: float = 1 - LEVEL,
    metric: str = "",
    solved: Mapping[str, Sequence[bool]] | None = None,
) -> dict[str, tuple[int, int]]:
    """The best and the worst place that each sample may have: before it stand those that are significantly better.

    Every pair is asked by Welch's t test on the scale of `metric`, with Holm's correction over all pairs: a permutation of a
    few seeds has no p small enough for so many questions. (Of two samples without any spread it is asked nevertheless: Welch's
    test says nothing there.) `solved`: of each sample, whether each of its runs solved the task. A pair of which a side solved
    it in part is asked for the share solved, by Fisher's test, and where the shares are equal for the runs that solved it.
    Nothing for fewer than two samples. ValueError as for `difference`, and where a value is not on the scale.
    """
    if len(samples) < 2:
        return {}
    import numpy

    done = solved or {}
    sides: list[Side] = [(on_scale(sample, metric), done.get(name, ())) for name, sample in samples.items()]
    first, second = numpy.triu_indices(len(sides), 1)
    p, difference = _welch([numpy.asarray(values, dtype=float) for values, _ in sides], first, second)
    better_first = (difference < 0) == lower_is_better
    solves_in_part = numpy.array([is_bimodal(runs) for _, runs in sides])
    for at in numpy.flatnonzero(numpy.isnan(p) | solves_in_part[first] | solves_in_part[second]):
        p[at], better_first[at] = _which_is_better(sides[first[at]], sides[second[at]], lower_is_better)
    significant = numpy.array(holm(p.tolist())) < level
    best = numpy.where(better_first, first, second)[significant]
    least = numpy.where(better_first, second, first)[significant]
    better, worse = (numpy.bincount(places, minlength=len(sides)).tolist() for places in (best, least))
    return {name: (1 + worse[at], len(sides) - better[at]) for at, name in enumerate(samples)}


def _welch(samples: Sequence[Any], first: Any, second: Any) -> tuple[Any, Any]:
    """(the p of Welch's t test of samples first[k] and second[k], for all k at once; the mean of the one less the other's).

    NaN where neither has any spread: the test says nothing there. ValueError for fewer than two values, or one not finite.
    """
    import numpy

    for sample in samples:
        _samples(sample, sample, paired=False)
    sizes, means = (numpy.array([f(sample) for sample in samples]) for f in (len, numpy.mean))
    spread = numpy.array([sample.var(ddof=1) if numpy.ptp(sample) > 0 else 0.0 for sample in samples]) / sizes
    difference, both = means[first] - means[second], spread[first] + spread[second]
    with numpy.errstate(invalid="ignore", divide="ignore"):
        each = spread**2 / (sizes - 1)
        p = 2 * student_t.share_below(both**2 / (each[first] + each[second]), -abs(difference) / numpy.sqrt(both))
    return p, difference


def can_be_ranked(values: Sequence[float], metric: str) -> bool:
    """Whether `rank_ranges` takes a sample: two values at least, on the scale of its metric."""
    return len(values) >= 2 and (scale_of(metric) != "log" or min(values) > 0)


Side = tuple[Sequence[float], Sequence[bool]]  # values, and whether the run of each solved its task; nothing where none can


def _which_is_better(one: Side, other: Side, lower_is_better: bool) -> tuple[float, bool]:
    """(p of no difference between two samples of a ranking, whether the first is the better).

    Asked of those pairs only for which `_welch` is not the answer.
    """
    import numpy

    samples = [one[0], other[0]]
    if is_bimodal(one[1]) or is_bimodal(other[1]):
        counts = [(sum(side[1]), len(side[1])) for side in (one, other)]
        if counts[0][0] * counts[1][1] != counts[1][0] * counts[0][1]:
            return _of_shares(*counts[0], *counts[1])
        samples = [[value for value, done in zip(*side, strict=True) if done] for side in (one, other)]
        if min(map(len, samples)) < 2:
            return 1.0, False
    x, y, test = _t_test(samples[0], samples[1])
    flat = max(numpy.ptp(x), numpy.ptp(y)) == 0
    p = _without_spread(len(x), len(y), bool(x[0] == y[0])) if flat else float(test.pvalue)
    return p, bool((x.mean() < y.mean()) == lower_is_better)


@functools.cache
def _of_shares(solved: int, runs: int, other_solved: int, other_runs: int) -> tuple[float, bool]:
    """(p of no difference between two shares, whether the first is the larger)."""
    difference, p, *_ = difference_of_shares(solved, runs, other_solved, other_runs)
    return p, difference.value > 0


@functools.cache
def _without_spread(one: int, other: int, equal: bool) -> float:
    """The p of a permutation test of samples of those sizes, of which each holds one value again and again."""
    import numpy

    return _by_chance((numpy.zeros(one), numpy.full(other, 0.0 if equal else 1.0)))


def pairing_helps(a: Sequence[float], b: Sequence[float]) -> bool:
    """Whether a and b rise and fall together over shared seeds: their correlation is positive at p < 0.05, one-sided."""
    from scipy import stats

    check_finite([*a, *b])
    if len(a) != len(b) or len(a) < 4 or len(set(a)) < 2 or len(set(b)) < 2:
        return False
    return bool(stats.pearsonr(a, b, alternative="greater").pvalue < 0.05)


def against_margin(a: Sequence[float], b: Sequence[float], margin: float, paired: bool = False) -> tuple[float, float]:
    """(p of two one-sided t tests: small where mean(a) - mean(b) lies within ±`margin`; of one: small where it lies outside).

    ValueError as for `difference`, and for a margin that is not positive and finite.
    Source: Schuirmann 1987, Journal of Pharmacokinetics and Biopharmaceutics 15(6).
    """
    from scipy import stats

    if not 0 < margin < math.inf:
        raise ValueError(f"margin {margin}: a finite number above 0")
    x, y = _samples(a, b, paired)

    def p(limit: float, side: str) -> float:
        """Against mean(a) - mean(b) lying on that side of `limit`."""
        with warnings.catch_warnings(action="ignore"):  # as in `difference`
            test = stats.ttest_rel if paired else functools.partial(stats.ttest_ind, equal_var=False)
            return float(test(x - limit, y, alternative=side).pvalue)

    inside, outside = (p(-margin, "greater"), p(margin, "less")), (p(margin, "greater"), p(-margin, "less"))
    if any(map(math.isnan, inside)):  # no spread at all
        apart = abs(float(x.mean() - y.mean()))
        return float(apart >= margin), float(apart <= margin)
    return max(inside), min(outside)


def time_to_solve(times: Sequence[float], solved: Sequence[bool], level: float = LEVEL) -> Estimate:
    """The median time to solve (Kaplan & Meier 1958), its interval where Greenwood's log-log band crosses one half.

    `times` are those of solving, or of giving up where `solved` is False. The value, or a bound, is infinite where the curve
    never gets there. ValueError for no runs, and for times that are not finite. Source of the interval: Brookmeyer & Crowley
    1982, Biometrics 38(1).
    """
    if not times or len(times) != len(solved):
        raise ValueError(f"{len(times)} times of {len(solved)} runs")
    check_finite(times)
    from scipy import stats

    curve = stats.ecdf(_censored(times, solved)).sf
    with warnings.catch_warnings(action="ignore"):  # of the ends, where the band has no width
        band = curve.confidence_interval(level, method="log-log")

    def crossing(survival: Any) -> float:
        """The first time at which no more than half are left."""
        for time, left in zip(curve.quantiles, survival, strict=True):
            if left <= 0.5:
                return float(time)
        return math.inf

    value, low, high = _median_time(times, solved), crossing(band.low.probabilities), crossing(band.high.probabilities)
    return Estimate(value, min(low, value), high, "median time to solve")  # the band has no number where none is left


def _median_time(times: Sequence[float], solved: Sequence[bool]) -> float:
    """The first time at which no more than half are left, in fractions: a product of floats may miss one half."""
    left = Fraction(1)
    for time in sorted(set(times)):
        watched = sum(at >= time for at in times)
        left *= 1 - Fraction(sum(done for at, done in zip(times, solved, strict=True) if at == time), watched)
        if left <= Fraction(1, 2):
            return float(time)
    return math.inf


def log_rank(
    times: Sequence[float], solved: Sequence[bool], other_times: Sequence[float], other_solved: Sequence[bool]
) -> tuple[float, int]:
    """(the p of one curve of times to solve behind both samples, 1 where the first takes longer, -1 where it is faster, or 0).

    Labels are permuted over the log-rank scores, whose sum in a sample is what it solved less what was expected of it: a few
    runs are too few for the normal approximation. Source: Mantel 1966, Cancer Chemotherapy Reports 50; Peto & Peto 1972,
    Journal of the Royal Statistical Society A 135(2). ValueError for no runs of either, and for times that are not finite.
    """
    if not times or not other_times or len(times) != len(solved) or len(other_times) != len(other_solved):
        raise ValueError(f"{len(times)} and {len(other_times)} times of {len(solved)} and {len(other_solved)} runs")
    scores = log_rank_scores([*times, *other_times], [*solved, *other_solved])
    one, other = scores[: len(times)], scores[len(times) :]
    if len(set(scores)) < 2:
        return 1.0, 0
    import numpy

    fewer = sum(one) / len(one) - sum(other) / len(other)
    p = _by_chance((numpy.asarray(one), numpy.asarray(other)))
    return p, 0 if abs(fewer) < 1e-12 else (1 if fewer < 0 else -1)


def _censored(times: Sequence[float], solved: Sequence[bool]) -> Any:
    from scipy import stats

    pairs = list(zip(times, solved, strict=True))
    return stats.CensoredData([time for time, done in pairs if done], right=[time for time, done in pairs if not done])


def log_rank_scores(times: Sequence[float], solved: Sequence[bool]) -> list[float]:
    """Of each run: 1 if it solved, less the hazard (Nelson & Aalen) that it was under until then.

    ValueError for times that are not finite.
    """
    check_finite(times)
    hazard, summed = {}, 0.0
    for time in sorted(set(times)):
        events = sum(done for at, done in zip(times, solved, strict=True) if at == time)
        summed += events / sum(at >= time for at in times)
        hazard[time] = summed
    return [done - hazard[time] for time, done in zip(times, solved, strict=True)]


def difference_of_shares(
    solved: int, runs: int, other_solved: int, other_runs: int, margin: float | None = None, level: float = LEVEL
) -> tuple[Estimate, float, float, float]:
    """(one share less the other with its interval, the p of Fisher's exact test, those of being within and beyond `margin`).

    The interval is Newcombe's, of two Wilson intervals; the last two are the least levels of one-sided tests at which it lies
    within the margin and beyond it, 1 without a margin. Source: Fisher 1935; Newcombe 1998, Statistics in Medicine 17(8),
    method 10. ValueError for what is no share.
    """
    from scipy import stats

    one_share, other_share = wilson(solved, runs), wilson(other_solved, other_runs)

    def newcombe(level: float) -> tuple[float, float]:
        one, other = wilson(solved, runs, level), wilson(other_solved, other_runs, level)
        assert None not in (one.low, one.high, other.low, other.high)
        below = math.hypot(one.value - one.low, other.high - other.value)  # type: ignore[operator]
        above = math.hypot(one.high - one.value, other.value - other.low)  # type: ignore[operator]
        return one.value - other.value - below, one.value - other.value + above

    value = one_share.value - other_share.value
    p = float(stats.fisher_exact([[solved, runs - solved], [other_solved, other_runs - other_solved]]).pvalue)

    def least(holds: Callable[[float, float], bool]) -> float:
        """The least level of a one-sided test whose interval `holds`: it shrinks as the level grows."""
        low, high = 1e-12, 0.5
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (low, middle) if holds(*newcombe(1 - 2 * middle)) else (middle, high)
        return high if high < 0.4999 else 1.0

    within = beyond = 1.0
    if margin is not None:
        limit = margin
        within = least(lambda low, high: -limit < low and high < limit)
        beyond = least(lambda low, high: low > limit or high < -limit)
    return Estimate(value, *newcombe(level), "difference of shares"), p, within, beyond


def holm(p: Sequence[float]) -> list[float]:
    """The p values of several questions asked at once, so raised that the chance of any false yes stays below the level.

    Source: Holm 1979, Scandinavian Journal of Statistics 6(2).
    """
    if any(math.isnan(one) for one in p):
        raise ValueError("a p that is no number")
    order = sorted(range(len(p)), key=lambda index: p[index])
    adjusted, highest = [0.0] * len(p), 0.0
    for place, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p) - place) * p[index]))
        adjusted[index] = highest
    return adjusted


def seeds_needed(one: float, other: float, power: float = 0.8, level: float = LEVEL) -> int:
    """Runs for each of two settings so that Fisher's test tells solve rates `one` and `other` apart with probability `power`.

    The normal approximation to two proportions, with the continuity correction for an exact test. ValueError unless both are
    rates and differ. Source: Casagrande, Pike & Smith 1978, Biometrics 34(3); Fleiss, Levin & Paik 2003, Statistical Methods
    for Rates and Proportions, section 4.2.
    """
    from statistics import NormalDist

    if not (0 <= one <= 1 and 0 <= other <= 1) or one == other:
        raise ValueError(f"rates {one} and {other}: two different shares")
    mean = (one + other) / 2
    z, needed = NormalDist().inv_cdf((1 + level) / 2), NormalDist().inv_cdf(power)
    spread = z * math.sqrt(2 * mean * (1 - mean)) + needed * math.sqrt(one * (1 - one) + other * (1 - other))
    apart = abs(one - other)
    runs = (spread / apart) ** 2
    return math.ceil(runs / 4 * (1 + math.sqrt(1 + 4 / (runs * apart))) ** 2 - 1e-9)
