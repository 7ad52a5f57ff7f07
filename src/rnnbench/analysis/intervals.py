"""How sure a few seeds make us: intervals for a solve rate and for a score.

A probe's runs either solve it or do not, so their honest summary is a share with its interval (`wilson`). Scores are summed up
on the scale of their metric (`scale_of`), which is declared here once and never chosen from the data: errors, times and
perplexities by their geometric mean with Student's interval of the logarithms, all others by their mean with Student's
interval (`summarize`). An interval is cut to the range of its metric: a share lies between 0 and 1, and no loss is negative.
Where some runs of a cell solve their task and others do not, a mean says nothing: `summarize` gives the median of those that
did.

All intervals hold 95 % unless told otherwise. The same values give the same interval: resampling is seeded.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, median, stdev

from . import student_t

LEVEL = 0.95
RESAMPLES = 9999
FEWEST_FOR_BOOTSTRAP = 10  # runs; below that a bootstrap interval of 95 % holds the truth in 57 to 70 % of samples (n = 3)

# The scale of each metric by the last part of its name; every other metric is plain. Losses in nats or bits are logarithms
# already.
LOGARITHMIC = ("mse", "perplexity", "phoneme_error_rate", "word_error_rate", "seconds_per_step")
SHARES = ("accuracy", "exact", "f1", "micro_f1", "macro_f1", "in_scope_accuracy", "accuracy_ambiguous", "correct")
RANGES = dict.fromkeys(SHARES, (0.0, 1.0))
RANGES |= dict.fromkeys(("bleu", "sacrebleu", "word_by_word_bleu"), (0.0, 100.0))
BOUNDS = RANGES | dict.fromkeys(("loss", "bpc", "nll", "mae"), (0.0, math.inf)) | {"skill": (-math.inf, 1.0)}


@dataclass(frozen=True)
class Estimate:
    """A value with its interval; `low` and `high` are None where one value allows no interval."""

    value: float
    low: float | None
    high: float | None
    estimator: str  # what `value` is, in words


def check_finite(values: Sequence[float]) -> None:
    """ValueError where one of `values` is no finite number."""
    if not all(map(math.isfinite, values)):
        raise ValueError("values that are not finite have no mean")


def wilson(solved: int, runs: int, level: float = LEVEL) -> Estimate:
    """The share `solved / runs` with Wilson's score interval, which is never empty nor outside [0, 1].

    Raises ValueError unless 0 <= solved <= runs and runs > 0.
    Source: Wilson 1927, JASA 22(158); the method of choice for small n in Newcombe 1998, Statistics in Medicine 17.
    """
    if not 0 <= solved <= runs or runs == 0:
        raise ValueError(f"{solved} solved of {runs} runs is no share")
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = solved / runs
    centre = (share + z * z / (2 * runs)) / (1 + z * z / runs)
    half = z * math.sqrt(share * (1 - share) / runs + z * z / (4 * runs * runs)) / (1 + z * z / runs)
    low = 0.0 if solved == 0 else centre - half  # exact at the ends, where rounding would leave 1e-17
    high = 1.0 if solved == runs else centre + half
    return Estimate(share, low, high, "share")


def student(values: Sequence[float], level: float = LEVEL) -> Estimate:
    """The mean of `values` with Student's t interval; no interval from one value.

    Right for values about normal; for the two-humped scores of a memory probe read the solve rate instead.
    Raises ValueError for no values, and for values that are not finite. Source: Student 1908, Biometrika 6(1).
    """
    if not values:
        raise ValueError("no values, no mean")
    check_finite(values)
    mean = fmean(values)
    if len(values) == 1:
        return Estimate(mean, None, None, "one seed")
    half = student_t.quantile(len(values) - 1, (1 + level) / 2) * stdev(values) / math.sqrt(len(values))
    return Estimate(mean, mean - half, mean + half, "mean")


def scale_of(metric: str) -> str:
    """log, share or plain: the scale on which intervals and ranks of a metric are taken, by the last part of its name."""
    name = metric.rpartition(".")[2]
    return "log" if name in LOGARITHMIC else "share" if name in RANGES else "plain"


def on_scale(values: Sequence[float], metric: str) -> list[float]:
    """`values` on the scale of `metric`, on which means are compared. ValueError where a value has no logarithm."""
    if scale_of(metric) != "log":
        return list(values)
    if min(values, default=1.0) <= 0:
        raise ValueError(f"{metric} of 0 or less has no logarithm")
    return [math.log(value) for value in values]


def summarize(values: Sequence[float], metric: str, level: float = LEVEL, solved: Sequence[bool] | None = None) -> Estimate:
    """The values of one cell as an estimate on the scale of `metric`: the one rule of all tables.

    `solved`: of each value, whether its run solved the task. Where some did and some did not, the median of those that did,
    without an interval. Raises ValueError for no values, and for values that are not finite.
    """
    if solved and is_bimodal(solved):
        check_finite(values)
        middle = median(value for value, done in zip(values, solved, strict=True) if done)
        return Estimate(middle, None, None, "median of solved")
    if scale_of(metric) == "log" and min(values, default=1.0) <= 0:
        check_finite(values)
        return Estimate(median(values), None, None, "median, since a value of 0 has no logarithm")
    found = student(on_scale(values, metric), level)
    if scale_of(metric) == "log":
        low, high = (None if bound is None else math.exp(bound) for bound in (found.low, found.high))
        name = "geometric mean" if len(values) > 1 else found.estimator
        return Estimate(values[0] if len(values) == 1 else math.exp(found.value), low, high, name)
    if found.low is None or found.high is None:
        return found
    least, most = BOUNDS.get(metric.rpartition(".")[2], (-math.inf, math.inf))
    low = max(least, found.low) if least <= min(values) else found.low  # a plug-in's loss may be a negative log-density
    high = min(most, found.high) if max(values) <= most else found.high
    return Estimate(found.value, low, high, found.estimator)


def is_bimodal(solved: Sequence[bool]) -> bool:
    """Whether some runs solved their task and others did not, so that a mean over them describes neither."""
    return any(solved) and not all(solved)


AT_FLOOR, OFF_FLOOR = 0.02, 0.1  # of the way from the floor to the best score there is: at the floor up to, off it from


def gains_over_floor(values: Sequence[float], floor: float, best: float) -> list[float]:
    """Of each value, what share it has come of the way from the floor to the best score; none where the two are one."""
    return [(value - floor) / (best - floor) for value in values] if best != floor else []


def off_floor(values: Sequence[float], floor: float, best: float) -> list[bool]:
    """Of each value, whether its run left the floor; none where a value lies between, so that runs fall into no two groups."""
    gains = gains_over_floor(values, floor, best)
    apart = all(gain <= AT_FLOOR or gain >= OFF_FLOOR for gain in gains)
    return [gain >= OFF_FLOOR for gain in gains] if apart else []


def best_of(values: Sequence[float], count: int, lower_is_better: bool, level: float = LEVEL) -> Estimate:
    """The expected best of `count` runs with its interval.

    The interval is the wider, at each end, of the bootstrap's percentiles and of the exact one for normal values (from the
    noncentral t distribution): for so few runs the first alone misses the truth too often. Raises ValueError for fewer runs
    than 2 `count`, or than a bootstrap takes, and for values that are not finite.
    """
    import numpy

    if len(values) < max(2 * count, FEWEST_FOR_BOOTSTRAP):
        raise ValueError(f"{len(values)} runs: the best of {count} takes {max(2 * count, FEWEST_FOR_BOOTSTRAP)} at least")
    check_finite(values)
    sign = 1.0 if lower_is_better else -1.0
    data, total = sign * numpy.asarray(values, dtype=float), len(values)
    weights = numpy.array([math.comb(total - i - 1, count - 1) / math.comb(total, count) for i in range(total)])
    value = float(numpy.sort(data) @ weights)
    drawn = numpy.random.default_rng(0).integers(total, size=(RESAMPLES, total))
    tail = (1 - level) / 2
    low, high = numpy.quantile(numpy.sort(data[drawn], axis=1) @ weights, [tail, 1 - tail])
    below, above = (float(data.mean() - t * data.std(ddof=1)) for t in _normal_best(total, count, level))
    low, high = min(float(low), below), max(float(high), above)
    bounds = sorted((sign * low, sign * high))
    return Estimate(sign * value, bounds[0], bounds[1], f"expected best of {count}")


@functools.lru_cache(maxsize=256)
def _normal_best(total: int, count: int, level: float) -> tuple[float, float]:
    """How many deviations below the mean of `total` normal values the expected best of `count` lies: most and least."""
    from scipy import integrate, stats

    def density(x: float) -> float:
        return float(-x * count * stats.norm.pdf(x) * stats.norm.sf(x) ** (count - 1))

    below, root, tail = integrate.quad(density, -10, 10)[0], math.sqrt(total), (1 - level) / 2
    least, most = (float(stats.nct.ppf(p, total - 1, below * root)) / root for p in (tail, 1 - tail))
    return most, least


def expected_best(values: Sequence[float | None], direction: str, again: bool = True) -> list[float]:
    """The expected best of n values drawn from `values`, for n from 1 to their number.

    `again`: a value may be drawn again, as Dodge et al. have it, which a search of a few trials looks the worse for; else none
    may, and the mean over samples is right: the i-th best of N is the best of n in C(N-i, n-1) of C(N, n) ways.

    None, a trial without a value, counts as the worst, and so does what is not finite. Of independent trials (random search) it
    estimates what a search of n trials finds; each term is the chance that the i-th best of N is the best of n:
    ((N-i+1)/N)^n - ((N-i)/N)^n.
    Source: Dodge et al. 2019, Show Your Work, arXiv:1909.03004, equation 6.
    """
    known = [value for value in values if value is not None and math.isfinite(value)]
    if not known:
        return []
    worst = max(known) if direction == "min" else min(known)
    best_first = sorted([*known, *[worst] * (len(values) - len(known))], reverse=direction == "max")
    count = len(best_first)

    def chance(i: int, n: int) -> float:
        """Of the value at index i being the best of n."""
        if again:
            return ((count - i) / count) ** n - ((count - i - 1) / count) ** n
        return math.comb(count - i - 1, n - 1) / math.comb(count, n)

    chances = [[chance(i, n) for i in range(count)] for n in range(1, count + 1)]
    return [sum(chance * value for chance, value in zip(row, best_first, strict=True)) for row in chances]


NEAR = 0.1  # of the floor: an interval that holds the floor and stays this close to it is at the floor


def against_floor(estimate: Estimate, floor: float | None) -> str:
    """below, above: the interval excludes the floor. at: it holds it and stays within NEAR of it. Else undecided."""
    if floor is None or math.isnan(floor):
        return ""
    if estimate.low is None or estimate.high is None:
        return "undecided"
    if not estimate.low <= floor <= estimate.high:
        return "below" if estimate.high < floor else "above"
    return "at" if max(floor - estimate.low, estimate.high - floor) <= NEAR * abs(floor) else "undecided"
