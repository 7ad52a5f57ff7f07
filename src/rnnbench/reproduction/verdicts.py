"""What measurements say of what was claimed: of a reported value, of a contrast of two settings, of a claim made of contrasts.

Pure functions. Of a reported value, d is our value less the printed one, by the source's own estimator, and I its interval at
the level of the look (two one-sided tests, so that I holds 1 - 2 level):

    reproduced      I lies within the margin
    better, worse   I lies wholly outside the margin, and the printed value outside the interval in which the source's estimator
                    would fall if it were of our runs; or the share of our runs that solve the task differs from theirs
    compatible      neither, and the printed value lies inside that interval
    open            else

m*, the least margin at which it would be reproduced, is the larger of the ends of I. A contrast is decided at the level of its
look, with Holm's correction over its row or claim; what is not decided is `undecided`, never "the same".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist, fmean, geometric_mean, stdev

import numpy

from ..analysis import student_t
from ..analysis.intervals import (
    FEWEST_FOR_BOOTSTRAP,
    LEVEL,
    NEAR,
    Estimate,
    against_floor,
    best_of,
    check_finite,
    student,
    wilson,
)
from ..analysis.significance import (
    Difference,
    against_margin,
    difference,
    difference_of_shares,
    holm,
    log_rank,
    pairing_helps,
    seeds_needed,
    time_to_solve,
)
from ..options import amount

NEWLY = "newly declared"  # of seeds, where a plan has no look left
NEWLY_NOTE = f"{NEWLY}: all seeds of the plan were run; only others, under a new plan, can settle it."
POWER = 0.8  # of a setting that is the source's own, to be reproduced
NOT_WORTH = "not worth asking"
MOST_SEEDS = 1000  # beyond which a question is not worth asking


@dataclass(frozen=True)
class Verdict:
    word: str
    why: str = ""
    tone: str = ""  # good, poor or warn
    more_seeds: bool = False  # whether more seeds of ours may settle it
    by_shares: bool = False  # whether the share of runs that solve the task decided


# Against a reported value


@dataclass(frozen=True)
class ValueTest:
    """Our value against a printed one."""

    ours: float  # by the source's estimator
    estimator: str  # what `ours` is, in words
    apart: Estimate  # ours less theirs, with its interval I
    inside: bool  # whether theirs lies where the source's estimator would fall if it were of our runs
    chance: float  # the standard deviation of what is printed
    count: int  # runs of ours
    ratio: bool = False  # whether `apart` is the logarithm of ours over theirs, and margins are factors

    @property
    def least_margin(self) -> float:
        """m*: the least margin at which the value would be reproduced."""
        assert self.apart.low is not None and self.apart.high is not None
        widest = max(abs(self.apart.low), abs(self.apart.high))
        return math.exp(widest) if self.ratio else widest


def one_more(values: Sequence[float], level: float = LEVEL) -> Estimate:
    """The mean of `values` with the interval in which one more run would fall.

    Source: Hahn & Meeker 1991, Statistical Intervals, section 4.7.
    """
    mean = student(values, level)
    if mean.low is None or mean.high is None:
        return mean
    half = (mean.high - mean.low) / 2 * math.sqrt(len(values) + 1)
    return Estimate(mean.value, mean.value - half, mean.value + half, "one more run")


def compare_value(
    values: Sequence[float],
    reported: float,
    estimator: str,
    lower_is_better: bool,
    seeds: int | None = None,
    sd: float | None = None,
    level: float = 1 - LEVEL,
    shares: bool = False,
) -> ValueTest:
    """Ours less a printed value: a `single` run, the `mean` or the `best` of `seeds`, whose deviation is `sd`.

    A mean of nobody knows how many is taken as of one; a deviation that is not given as ours. `shares`: the values are zeros
    and ones. ValueError for fewer than two values, for values that are all the same, whose spread nobody knows, for fewer than
    a best takes (`best_of`), and for what is not finite.
    """
    if len(values) < 2:
        raise ValueError("one seed" if values else "no run finished")
    check_finite([*values, reported])
    if shares:
        return _compare_share(values, reported, seeds or 1, level)
    count, spread = len(values), stdev(values)
    if not spread:
        raise ValueError(f"all {count} runs have the same value: how far seeds lie apart is not known")
    if estimator == "best":
        ours = best_of(values, seeds or count, lower_is_better, 1 - 2 * level)
        assert ours.low is not None and ours.high is not None
        half, chance, bounds = _half(spread, count, 1, None, level / 2), spread, (ours.low - reported, ours.high - reported)
    else:
        ours, theirs = Estimate(fmean(values), None, None, "mean"), None if estimator == "single" else seeds or 1
        away, within = ours.value - reported, _half(spread, count, theirs, sd, level)
        half, bounds = _half(spread, count, theirs or 1, sd if theirs else None, level / 2), (away - within, away + within)
        chance = (spread if sd is None or not theirs else sd) / math.sqrt(theirs or 1)
    apart = Estimate(ours.value - reported, *bounds, "difference")
    return ValueTest(ours.value, ours.estimator, apart, abs(apart.value) <= half, chance, count)


def _half(spread: float, count: int, theirs: int | None, sd: float | None, tail: float) -> float:
    """Half the width of the interval of our mean less theirs: of `theirs` runs with deviation `sd` or ours; None: of a number.

    Source: Welch 1947, Biometrika 34.
    """
    own, other, free = spread**2 / count, 0.0, count - 1.0
    if theirs is not None:
        other = (spread if sd is None else sd) ** 2 / theirs
    if theirs is not None and theirs > 1 and sd is not None and own + other > 0:
        free = (own + other) ** 2 / (own**2 / (count - 1) + other**2 / (theirs - 1))
    return student_t.quantile(free, 1 - tail) * math.sqrt(own + other)


def _compare_share(values: Sequence[float], reported: float, seeds: int, level: float) -> ValueTest:
    solved = (round(sum(values)), len(values), round(reported * seeds), seeds)
    apart, *_ = difference_of_shares(*solved, level=1 - 2 * level)
    wide, *_ = difference_of_shares(*solved, level=1 - level)
    assert wide.low is not None and wide.high is not None and apart.low is not None and apart.high is not None
    ours, moved = fmean(values), round(reported * seeds) / seeds - reported  # a share is rounded to runs
    bounds = Estimate(ours - reported, apart.low + moved, apart.high + moved, "difference of shares")
    inside = wide.low + moved <= 0 <= wide.high + moved
    return ValueTest(ours, "share", bounds, inside, math.sqrt(ours * (1 - ours) / seeds), len(values))


def value_verdict(
    values: Sequence[float],
    reported: float,
    estimator: str,
    margin: float,
    lower_is_better: bool,
    floor: float | None = None,
    seeds: int | None = None,
    sd: float | None = None,
    level: float = 1 - LEVEL,
    shares: bool = False,
) -> tuple[Verdict, ValueTest | None]:
    """(reproduced, better, worse, compatible, open, both at floor or not comparable; the test behind it, if there is one).

    The values are of the paper's own setting; `level` is that of the look, the rest as for `compare_value`.
    """
    if estimator == "unknown":
        return Verdict("not comparable", "nobody knows what theirs is of: a run, a mean, or the best of some", "warn"), None
    if estimator == "best" and seeds is None:
        return Verdict("not comparable", "theirs is the best of nobody knows how many", "warn"), None
    if floor is not None and len(values) > 1:
        mean = wilson(round(sum(values)), len(values), 1 - level) if shares else student(values, 1 - level)
        no_better = reported >= floor if lower_is_better else reported <= floor
        if against_floor(mean, floor) == "at" and (no_better or abs(reported - floor) <= NEAR * abs(floor)):
            return Verdict("both at floor", "neither learned: this says nothing of how good they are", "warn"), None
    try:
        test = compare_value(values, reported, estimator, lower_is_better, seeds, sd, level, shares)
    except ValueError as error:
        return Verdict("open", str(error), "warn", more_seeds=True), None
    low, high = test.apart.low, test.apart.high
    assert low is not None and high is not None
    why = f"our {test.estimator}" if estimator == "best" else ""
    if test.least_margin <= margin:
        return Verdict("reproduced", "the interval stays within the margin", "good"), test
    if (low > margin or high < -margin) and not test.inside:
        better = (test.apart.value < 0) == lower_is_better
        return Verdict("better" if better else "worse", why, "good" if better else "poor"), test
    settles, helps = what_settles(test, margin, estimator, seeds, level)
    if test.inside:
        return Verdict("compatible", settles, "warn", helps), test
    return Verdict("open", settles, "warn", helps), test


RESAMPLES = 10_000


def resampled_means(values: Sequence[float], seeds: int) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Means of as many of `values` as there are, and of `seeds` of them, drawn with replacement."""
    random, data = numpy.random.default_rng(0), numpy.array(values)
    ours, theirs = (data[random.integers(0, len(data), (RESAMPLES, count))].mean(1) for count in (len(data), seeds))
    return ours, theirs


def compare_ratio(values: Sequence[float], reported: float, seeds: int, level: float = 1 - LEVEL) -> ValueTest:
    """Our mean over a printed mean of `seeds` runs, for times, of which a few are very long: by the bootstrap.

    Ours varies as means of as many resampled runs as we have, theirs as means of `seeds` of them. ValueError for fewer values
    than a bootstrap takes, and for what is not finite or not positive.

    Source: Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 13.
    """
    if len(values) < FEWEST_FOR_BOOTSTRAP:
        raise ValueError(f"{amount(len(values), 'run')}: a bootstrap takes {FEWEST_FOR_BOOTSTRAP}")
    check_finite([*values, reported])
    if min(*values, reported) <= 0:
        raise ValueError("a time that is not positive")
    (ours, theirs), mean = resampled_means(values, seeds), fmean(values)
    low, high = numpy.quantile(numpy.log(ours / reported) - numpy.log(theirs / mean), [level, 1 - level])
    least, most = numpy.quantile(theirs, [level / 2, 1 - level / 2])
    apart = Estimate(math.log(mean / reported), float(low), float(high), "logarithm of the ratio")
    return ValueTest(mean, "the mean", apart, bool(least <= reported <= most), float(theirs.std()), len(values), ratio=True)


def ratio_verdict(
    values: Sequence[float], reported: float, seeds: int | None, ratio: float, level: float = 1 - LEVEL
) -> tuple[Verdict, ValueTest | None]:
    """As `value_verdict`, of times, whose means may differ by the factor `ratio`."""
    try:
        test = compare_ratio(values, reported, seeds or 1, level)
    except ValueError as error:
        return Verdict("open", str(error), "warn", more_seeds=True), None
    low, high, margin = test.apart.low, test.apart.high, math.log(ratio)
    assert low is not None and high is not None
    if test.least_margin <= ratio:
        return Verdict("reproduced", "the interval stays within the margin", "good"), test
    if (low > margin or high < -margin) and not test.inside:
        return Verdict("better" if high < 0 else "worse", "", "good" if high < 0 else "poor"), test
    why = f"the ratio may lie from {math.exp(low):.2g} to {math.exp(high):.2g}"
    return Verdict("compatible" if test.inside else "open", why, "warn", more_seeds=True), test


def bound_verdict(
    times: Sequence[float], solved: Sequence[bool], reported: float, seeds: int | None, ratio: float, level: float = 1 - LEVEL
) -> Verdict | None:
    """`worse` where our mean is, however long the runs that did not solve their task would have taken; None else.

    They count with the time at which they were stopped. The lower ends, by the bootstrap, of our mean and of means of `seeds`
    of our runs can only grow with their times.
    """
    if len(times) < FEWEST_FOR_BOOTSTRAP:
        return None
    check_finite([*times, reported])
    ours, theirs = resampled_means(times, seeds or 1)
    if numpy.quantile(ours, level) <= ratio * reported or numpy.quantile(theirs, level / 2) <= reported:
        return None
    lost = len(solved) - sum(solved)
    why = f"a mean of at least {fmean(times):,.0f}: {lost} of {len(solved)} runs did not solve it until they were stopped"
    return Verdict("worse", why, "poor")


Times = tuple[Sequence[float], Sequence[bool]]  # and whether the task was solved then


def told_apart(stated: Times, others: Sequence[Times], level: float = 1 - LEVEL) -> list[bool]:
    """Which of the readings of a text differ from the setting as stated: by log-rank, with Holm's correction over all of them.

    Readings are run a few times each. The means of so few runs of one setting often lie a factor of 3 apart.
    """
    return [p < level for p in holm([log_rank(*times, *stated)[0] for times in others])]


FACTOR = 3  # between the longest and the shortest time that readings of a text give: beyond, the text does not settle it


def readings_text(apart: int, there: int, planned: int) -> str:
    """How many readings are told apart from the setting as stated, of those that are run, of `planned` besides it."""
    if not there:
        return "its other readings are not run"
    missing = f" ({planned - there} are not run)" if planned > there else ""
    return f"of {amount(there, 'other reading')}{missing} {apart or 'none'} {'are' if apart > 1 else 'is'} told apart from it"


def span_verdict(stated: Verdict, reported: float, ratio: float, means: Sequence[float], others: str) -> Verdict:
    """What the readings of a text say of a printed mean that its setting as stated, judged as `stated`, does not reproduce.

    `means`: first that of the setting as stated, then those of readings that are told apart from it and always solve the task.
    `others` is what `readings_text` says of them. It is never `reproduced`.
    """
    low, high = min(means), max(means)
    if len(means) < 2:
        return _beside(stated, others)
    reached = sum(abs(math.log(mean / reported)) <= math.log(ratio) for mean in means)
    said = f"as stated: {stated.word}; {others}; with it, those of them that always solve the task span "
    said += f"[{low:,.0f}, {high:,.0f}], {reached} of {len(means)} within a factor of {ratio:g}"
    if high > FACTOR * low:
        return Verdict("the text does not settle it", said, "warn")
    if low <= reported <= high:
        return Verdict("within the text's span", said, "warn")
    return Verdict(stated.word, f"outside of the text's span; {said}", stated.tone, stated.more_seeds)


def share_span_verdict(stated: Verdict, like: int, others: str) -> Verdict:
    """The same where the share of runs that solve the task decided: the text does not settle it where a reading has theirs.

    `like`: readings told apart from the setting as stated whose share is not told apart from that of the source.
    """
    if not like:
        return _beside(stated, others)
    said = f"as stated: {stated.word}, {stated.why}; {others}, and {like} of them not from theirs"
    return Verdict("the text does not settle it", said, "warn")


def _beside(stated: Verdict, others: str) -> Verdict:
    return replace(stated, why="; ".join(filter(None, [stated.why, others])))


Judged = tuple[Verdict, ValueTest | None]


def first_settled(looks: Iterable[tuple[int, float]], judge: Callable[[int, float], Judged]) -> Judged | None:
    """What `judge` says of (seeds, level) at the first look at which it reaches a verdict, which stays; else at the last."""
    found = None
    for seeds, level in looks:
        found = judge(seeds, level)
        if found[0].word not in ("open", "compatible"):
            break
    return found


def what_settles(test: ValueTest, margin: float, estimator: str, seeds: int | None, level: float) -> tuple[str, bool]:
    """(what it would take to settle a value that is compatible or open, whether seeds of ours can).

    The seeds are those at which I has shrunk to the distance that is left to the margin, at the difference as it is seen.
    """
    runs = {"single": "one run of theirs", "best": f"one best of {seeds} of theirs"}.get(
        estimator, f"{seeds or 1} runs of theirs"
    )
    never = f"{runs} cannot settle this at this margin"
    away, left = abs(test.apart.value), abs(margin - abs(test.apart.value))
    if test.inside and test.chance * NormalDist().inv_cdf((1 + POWER) / 2) > margin:
        return never, False
    if test.inside and away > margin and NormalDist().inv_cdf(1 - level / 2) * test.chance >= away:
        return never, False
    assert test.apart.low is not None and test.apart.high is not None
    error = (test.apart.high - test.apart.low) / 2 / student_t.quantile(test.count - 1, 1 - level)
    fixed = 0.0 if estimator != "mean" else min(test.chance, error)  # what does not shrink with our seeds
    own = math.sqrt(max(error**2 - fixed**2, 0.0) * test.count)
    if NormalDist().inv_cdf(1 - level) * fixed > left:
        return never, False
    for count in range(test.count + 1, MOST_SEEDS + 1):
        if student_t.quantile(count - 1, 1 - level) * math.hypot(own / math.sqrt(count), fixed) <= left:
            return f"about {count} seeds would settle it", True
    return "the seeds that it would take are not worth asking", False


def after_last_look(verdict: Verdict) -> Verdict:
    """What is not settled when all declared looks are taken: only new seeds, under a new declaration, could settle it."""
    why = ", ".join(filter(None, [verdict.why, NEWLY])) if verdict.more_seeds else verdict.why
    return replace(verdict, why=why, more_seeds=False)


def under_our_choice(verdict: Verdict, what: str) -> Verdict:
    """The verdict on a value where the source does not say `what`: reached or not reached, never better or worse."""
    words = {"reproduced": "reached", "better": "reached", "worse": "not reached"}
    why = ": ".join(filter(None, [f"under our choice of {what}", "ours is better" * (verdict.word == "better"), verdict.why]))
    return Verdict(words.get(verdict.word, verdict.word), why, verdict.tone, verdict.more_seeds)


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
    margin: float | None = None  # in the unit of the effect; of times, of their medians
    confidence: float = LEVEL  # of the effect's interval

    @property
    def sign(self) -> int:
        return (self.effect.value > 0) - (self.effect.value < 0)

    @property
    def inside_margin(self) -> bool:
        """Whether the difference that is seen is less than the margin."""
        seen = self.shows[0] - self.shows[1] if self.unit == "time" else self.effect.value
        return self.margin is not None and abs(seen) < self.margin


def compare_means(
    a: Sequence[float],
    b: Sequence[float] | float,
    margin: float | None,
    ratio: float | None,
    pairs: bool = False,
    confidence: float = LEVEL,
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
    found: Difference = difference(a, b, paired, confidence)
    effect = Estimate(found.value, found.low, found.high, "paired difference" if paired else "difference")
    same, far = (1.0, 1.0) if margin is None else against_margin(a, b, margin, paired)
    unit = "" if ratio is None else "log"
    return ContrastTest(effect, found.p, same, far, (len(a), len(b)), unit, shows, margin, confidence)


def compare_shares(a: Sequence[float], b: Sequence[float], margin: float | None, confidence: float = LEVEL) -> ContrastTest:
    """The difference of two shares. ValueError where either has no run."""
    if not a or not b:
        raise ValueError("a run of each at least")
    solved = (round(sum(a)), len(a), round(sum(b)), len(b))
    effect, p, same, far = difference_of_shares(*solved, margin, confidence)
    return ContrastTest(effect, p, same, far, (len(a), len(b)), "share", (fmean(a), fmean(b)), margin, confidence)


def shares_verdict(solved: int, runs: int, their_solved: int, their_runs: int, level: float) -> Verdict:
    """better or worse, where the share of our runs that solve a task is not that of theirs (Fisher's test); else open."""
    effect, p, _, _ = difference_of_shares(solved, runs, their_solved, their_runs, None)
    said = f"{solved} of {runs} runs solve it, where {their_solved} of {their_runs} did"
    if p >= level:
        return Verdict("open", f"{said}, and Fisher's test does not tell the shares apart", "warn", more_seeds=True)
    word, tone = ("better", "good") if effect.value > 0 else ("worse", "poor")
    return Verdict(word, f"{said} (Fisher's test)", tone, by_shares=True)


def compare_times(
    a: tuple[Sequence[float], Sequence[bool]], b: tuple[Sequence[float], Sequence[bool]], margin: float | None = None
) -> ContrastTest:
    """Which takes longer, by log-rank; the effect is the sign only. ValueError where either has no run."""
    if not a[0] or not b[0]:
        raise ValueError("a run of each at least")
    p, longer = log_rank(*a, *b)
    shows = (time_to_solve(*a).value, time_to_solve(*b).value)
    effect = Estimate(float(longer), None, None, "log-rank")
    return ContrastTest(effect, p, 1.0, 1.0, (len(a[0]), len(b[0])), "time", shows, margin)


def contrast_verdict(expect: str, answer: ContrastTest, p: float, count: int, level: float) -> Verdict:
    """holds, fails, equivalent or undecided; `p` is the answer's own after Holm's correction over `count` contrasts.

    What is shown to be less than the margin is equivalent, however sure the difference is; what is seen to be less than the
    margin does not hold, however sure. Other questions than the one that was declared are answered at `level` / `count`.
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
        if right and answer.inside_margin:
            return Verdict("undecided", "there is a difference, and it is seen inside the margin", "warn")
        return Verdict("holds", "", "good") if right else Verdict("fails", "it is the other way round", "poor")
    seeds = takes(answer, level / count)
    return Verdict("undecided", seeds, "warn", more_seeds=seeds not in ("", NOT_WORTH))


def takes(answer: ContrastTest, level: float) -> str:
    """How many seeds it would take to tell a from b, were the effect what it seems, at 80 % power."""
    one, other = answer.shows
    low, high, count = answer.effect.low, answer.effect.high, min(answer.counts)
    if low is None or high is None or not answer.effect.value:
        return ""
    if answer.unit == "share":
        return _about(max(count + 1, seeds_needed(one, other, level=1 - level)))
    free = count - 1 if answer.effect.estimator == "paired difference" else sum(answer.counts) - 2
    error = (high - low) / 2 / student_t.quantile(free, (1 + answer.confidence) / 2)
    z = NormalDist().inv_cdf(1 - level / 2) + NormalDist().inv_cdf(0.8)
    needed = math.ceil(count * (z * error / answer.effect.value) ** 2)
    return _about(max(needed, count + 1))


def _about(seeds: int) -> str:
    return f"about {seeds} seeds each" if seeds <= MOST_SEEDS else NOT_WORTH


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
    held = [when for when in held if when not in failed]  # what holds and fails under one condition does not hold under it
    only, never = ("; ".join(dict.fromkeys(filter(None, whens))) for whens in (held, failed))
    not_ = f"not {never}" if never else f"{len(failed)} fail"
    if "holds" not in words:
        return Verdict("fails in part", f"{not_}; {open_} open", "poor")
    if open_:
        return Verdict("holds in part", "; ".join(filter(None, [only, not_, f"{open_} open"])), "warn")
    return Verdict(f"holds only {only}" if only else "holds in part", not_, "warn")
