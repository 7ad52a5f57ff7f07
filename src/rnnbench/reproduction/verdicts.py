"""What measurements say of what was claimed: of a reported value, of a contrast of two settings, of a claim made of contrasts.

Pure functions. A value is held against the source's own estimator: one run against what one more run of ours would give, a
mean against our mean, the best of n against our expected best of n; the chance that is in theirs is counted too. A contrast is
decided at a level that its looks share, with Holm's correction over all contrasts of the table; what is not decided is
`undecided`, never "the same".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, geometric_mean, stdev

from ..analysis.intervals import LEVEL, NEAR, Estimate, against_floor, expected_best, student, wilson
from ..analysis.significance import (
    Difference,
    against_margin,
    difference,
    difference_of_shares,
    log_rank,
    pairing_helps,
    seeds_needed,
    time_to_solve,
)


@dataclass(frozen=True)
class Verdict:
    word: str
    why: str = ""
    tone: str = ""  # good, poor or warn


# Against a reported value


def one_more(values: Sequence[float], level: float = LEVEL) -> Estimate:
    """The mean of `values` with the interval in which one more run would fall.

    Source: Hahn & Meeker 1991, Statistical Intervals, section 4.7.
    """
    mean = student(values, level)
    if mean.low is None or mean.high is None:
        return mean
    half = (mean.high - mean.low) / 2 * math.sqrt(len(values) + 1)
    return Estimate(mean.value, mean.value - half, mean.value + half, "one more run")


def theirs(values: Sequence[float], estimator: str, seeds: int | None, lower_is_better: bool) -> tuple[float, str]:
    """(our value by the source's estimator, what it is in words)."""
    if estimator != "best":
        return fmean(values), "mean"
    count = min(len(values), seeds or len(values))
    direction = "min" if lower_is_better else "max"
    return expected_best(list(values), direction, again=False)[count - 1], f"expected best of {count}"


def value_verdict(
    values: Sequence[float],
    reported: float,
    estimator: str,
    margin: float,
    lower_is_better: bool,
    floor: float | None = None,
    seeds: int | None = None,
    sd: float | None = None,
    level: float = LEVEL,
    shares: bool = False,
) -> Verdict:
    """reproduced, better, worse, both at floor, or underpowered; the values are of the paper's own setting.

    reproduced: within `margin` of what was reported, the interval too; of a single run, also where it is one that our runs
    would give and the mean's interval is no wider than the margin. better, worse: apart by more than the margin and chance,
    theirs included: of a mean of `seeds` (one, where it is not said) with `sd`, ours where theirs is not given; of the best of
    some, no more than that of one more run. `shares`: the values are zeros and ones, and the interval is Wilson's.
    """
    if len(values) < 2:
        return Verdict("underpowered", "one seed" if values else "no run finished", "warn")
    mean = wilson(round(sum(values)), len(values), level) if shares else student(values, level)
    one = one_more(values, level)
    assert mean.low is not None and mean.high is not None and one.low is not None and one.high is not None
    if floor is not None and against_floor(mean, floor) == "at":
        no_better = reported >= floor if lower_is_better else reported <= floor
        if no_better or abs(reported - floor) <= NEAR * abs(floor):
            return Verdict("both at floor", "neither learned: this says nothing of how good they are", "warn")
    settled = (mean.high - mean.low) / 2 <= margin
    if estimator == "best":
        if seeds is None:
            return Verdict("not comparable", "theirs is the best of nobody knows how many", "warn")
        ours, words = theirs(values, estimator, seeds, lower_is_better)
        if len(values) < seeds:
            return Verdict("underpowered", f"{len(values)} seeds, and theirs is the best of {seeds}", "warn")
        away = ours - reported
        if abs(away) <= margin:
            return Verdict("reproduced", f"our {words}", "good") if settled else _open()
        apart = abs(away) > margin + one.high - one.value
        return _better(away, lower_is_better, f"our {words}") if apart else _open()
    if estimator == "unknown":
        return Verdict("not comparable", "nobody knows what theirs is of: a run, a mean, or the best of some", "warn")
    chance = 0.0  # in theirs; of a single run it is asked whether ours would give it
    if estimator == "mean":
        error = (stdev(values) if sd is None else sd) / math.sqrt(seeds or 1)
        chance = error * NormalDist().inv_cdf((1 + level) / 2)
    away = mean.value - reported
    below, above = (math.hypot(half, chance) for half in (mean.value - mean.low, mean.high - mean.value))
    if max(below - away, above + away) <= margin:
        return Verdict("reproduced", "the interval stays within the margin", "good")
    if estimator == "single" and one.low <= reported <= one.high:
        return Verdict("reproduced", "one run of ours would give it", "good") if settled else _open()
    return _better(away, lower_is_better) if abs(away) > margin + (below if away > 0 else above) else _open()


def _better(away: float, lower_is_better: bool, why: str = "") -> Verdict:
    better = (away < 0) == lower_is_better
    return Verdict("better", why, "good") if better else Verdict("worse", why, "poor")


def _open() -> Verdict:
    return Verdict("underpowered", "these seeds leave it open", "warn")


# Contrasts


@dataclass(frozen=True)
class ContrastTest:
    """What the runs say: the effect of a over b, and how likely one as large is by chance."""

    effect: Estimate
    p: float  # of no difference, two-sided
    p_same: float  # of more than the margin between them; 1 without a margin
    p_beyond: float  # of less than the margin between them; 1 without a margin
    counts: tuple[int, int]
    unit: str = ""
    shows: tuple[float, float] = (math.nan, math.nan)  # a and b by themselves

    @property
    def sign(self) -> int:
        return (self.effect.value > 0) - (self.effect.value < 0)


def compare_means(
    a: Sequence[float], b: Sequence[float] | float, margin: float | None, ratio: float | None, pairs: bool = False
) -> ContrastTest:
    """The difference of two means, or with a `ratio` the logarithm of a / (b ratio); b may be a number.

    `pairs`: a[k] and b[k] share a seed, and are paired if that is shown to help. ValueError for fewer than two values.
    """
    constant = isinstance(b, int | float)
    b = [float(b)] * len(a) if isinstance(b, int | float) else list(b)
    if len(a) < 2 or len(b) < 2:
        raise ValueError("two values of each at least")
    shows = (fmean(a), fmean(b))
    if ratio is not None:
        if min(*a, *b) <= 0:
            raise ValueError("a ratio of what is not above 0")
        # of which the test is; to twelve digits, past which logarithms do not give a constant back
        shows = (float(f"{geometric_mean(a):.12g}"), float(f"{geometric_mean(b):.12g}"))
        a, b = [math.log(x) for x in a], [math.log(x * ratio) for x in b]
        margin = None if margin is None else math.log1p(margin)
    paired = constant or (pairs and len(a) == len(b) and pairing_helps(a, b))
    found: Difference = difference(a, b, paired)
    effect = Estimate(found.value, found.low, found.high, "paired difference" if paired else "difference")
    same, far = (1.0, 1.0) if margin is None else against_margin(a, b, margin, paired)
    unit = "" if ratio is None else "log"
    return ContrastTest(effect, found.p, same, far, (len(a), len(b)), unit, shows)


def compare_shares(a: Sequence[float], b: Sequence[float], margin: float | None) -> ContrastTest:
    """The difference of two shares. ValueError where either has no run."""
    if not a or not b:
        raise ValueError("a run of each at least")
    solved = (round(sum(a)), len(a), round(sum(b)), len(b))
    effect, p, same, far = difference_of_shares(*solved, margin)
    return ContrastTest(effect, p, same, far, (len(a), len(b)), "share", (fmean(a), fmean(b)))


def compare_times(a: tuple[Sequence[float], Sequence[bool]], b: tuple[Sequence[float], Sequence[bool]]) -> ContrastTest:
    """Which takes longer, by log-rank; the effect is the sign only. ValueError where either has no run."""
    if not a[0] or not b[0]:
        raise ValueError("a run of each at least")
    p, longer = log_rank(*a, *b)
    shows = (time_to_solve(*a).value, time_to_solve(*b).value)
    return ContrastTest(Estimate(float(longer), None, None, "log-rank"), p, 1.0, 1.0, (len(a[0]), len(b[0])), "time", shows)


def contrast_verdict(expect: str, answer: ContrastTest, p: float, count: int, level: float) -> Verdict:
    """holds, fails, equivalent or undecided; `p` is the answer's own after Holm's correction over `count` contrasts.

    What is shown to be less than the margin is equivalent, however sure the difference is. Other questions than the one that
    was declared are answered at `level` / `count`.
    """
    if expect == "same":
        if p < level:
            return Verdict("holds", "equivalent within the margin", "good")
        if answer.p_beyond * count < level:
            return Verdict("fails", "further apart than the margin", "poor")
        return Verdict("undecided", "", "warn")
    if answer.p_same * count < level:
        return Verdict("equivalent", "no difference that matters", "poor")
    if p < level and answer.sign:
        right = answer.sign > 0 if expect == "more" else answer.sign < 0
        return Verdict("holds", "", "good") if right else Verdict("fails", "it is the other way round", "poor")
    return Verdict("undecided", takes(answer, level / count), "warn")


def takes(answer: ContrastTest, level: float) -> str:
    """How many seeds it would take to tell a from b, were the effect what it seems, at 80 % power."""
    one, other = answer.shows
    low, high, count = answer.effect.low, answer.effect.high, min(answer.counts)
    if low is None or high is None or not answer.effect.value:
        return ""
    from scipy.special import stdtrit

    if answer.unit == "share":
        return f"about {max(count + 1, seeds_needed(one, other, level=1 - level))} seeds each"
    free = count - 1 if answer.effect.estimator == "paired difference" else sum(answer.counts) - 2
    error = (high - low) / 2 / float(stdtrit(free, (1 + LEVEL) / 2))
    z = NormalDist().inv_cdf(1 - level / 2) + NormalDist().inv_cdf(0.8)
    needed = math.ceil(count * (z * error / answer.effect.value) ** 2)
    return f"about {max(needed, count + 1)} seeds each" if needed < 10_000 else "no number of seeds at hand"


# Claims


def claim_verdict(verdicts: Sequence[tuple[Verdict, str]]) -> Verdict:
    """Of a claim made of contrasts, each (its verdict, when it is asked): holds, fails or equivalent where all are; holds only
    when ..., where some fail; holds in part or fails in part, where others are open; undecided where none fails."""
    words = [verdict.word for verdict, _ in verdicts]
    if not words:
        return Verdict("missing", "", "warn")
    if all(word == "holds" for word in words):
        return Verdict("holds", "", "good")
    held = [when for verdict, when in verdicts if verdict.word == "holds"]
    failed = [when for verdict, when in verdicts if verdict.word in ("fails", "equivalent")]
    open_ = len(words) - len(held) - len(failed)
    if len(failed) == len(words):
        return Verdict("equivalent" if set(words) == {"equivalent"} else "fails", "", "poor")
    if not failed:
        return Verdict("undecided", f"{len(held)} hold, {open_} open", "warn")
    only, never = ("; ".join(dict.fromkeys(filter(None, whens))) for whens in (held, failed))
    not_ = f"not {never}" if never else f"{len(failed)} fail"
    if not held:
        return Verdict("fails in part", f"{not_}; {open_} open", "poor")
    if open_:
        return Verdict("holds in part", f"{only}; {not_}; {open_} open", "warn")
    return Verdict(f"holds only {only}" if only else "holds in part", not_, "warn")
