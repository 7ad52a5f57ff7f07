"""Verdicts against known answers."""

from __future__ import annotations

import math

import numpy
import pytest
from scipy import stats

from rnnbench.analysis.intervals import Estimate, off_floor
from rnnbench.analysis.significance import against_margin, difference_of_shares, holm, log_rank, seeds_needed
from rnnbench.reproduction.verdicts import (
    ContrastTest,
    Verdict,
    bound_verdict,
    claim_verdict,
    compare_means,
    compare_ratio,
    compare_shares,
    compare_times,
    compare_value,
    contrast_verdict,
    one_more,
    ratio_verdict,
    readings_text,
    share_span_verdict,
    span_verdict,
    takes,
    under_our_choice,
    value_verdict,
)

TIGHT = [0.101, 0.099, 0.100, 0.102, 0.098]
WIDE = [0.05, 0.30, 0.12, 0.22, 0.09]
FLOOR = [0.166, 0.168, 0.165, 0.169, 0.167]
TEN = [0.100, 0.101, 0.099, 0.102, 0.098, 0.1005, 0.0995, 0.1015, 0.0985, 0.100]


def word(*asked, **more) -> str:
    return value_verdict(*asked, **more)[0].word


# of TIGHT: s = .00158, I = d +- 2.1318 x .000707 = d +- .00151, one more run within 2.7764 x .00173 = .0048
@pytest.mark.parametrize(
    ("values", "reported", "estimator", "expected"),
    [
        (TIGHT, 0.100, "single", "reproduced"),
        (TIGHT, 0.108, "single", "reproduced"),  # -.008 +- .0015 lies within the margin of .01
        (TIGHT, 0.109, "single", "open"),  # -.009 +- .0015 does not, and .109 is no run of ours
        (TIGHT, 0.111, "single", "open"),
        (TIGHT, 0.112, "single", "better"),  # -.012 +- .0015 lies wholly outside: an error, ours is lower
        (TIGHT, 0.200, "single", "better"),
        (TIGHT, 0.050, "single", "worse"),
        (WIDE, 0.150, "single", "compatible"),  # their value is one of ours, but so would be many
        (WIDE, 0.400, "single", "compatible"),
        (WIDE, 0.900, "single", "better"),
        ([0.1], 0.100, "single", "open"),
        ([], 0.100, "single", "open"),
        (TIGHT, 0.100, "mean", "reproduced"),
        (TIGHT, 0.111, "mean", "open"),  # -.011 +- .0021: apart, though not by the margin and chance
        (TIGHT, 0.050, "mean", "worse"),
        (TEN, 0.0985, "best", "reproduced"),
        (TEN, 0.010, "best", "worse"),
        (TIGHT, 0.0985, "best", "open"),  # five runs say nothing of the best of five
        (FLOOR, 0.164, "single", "both at floor"),
        (FLOOR, 0.177, "single", "both at floor"),  # theirs is beyond the floor
        (FLOOR, 0.002, "single", "worse"),
        ([0.1] * 3, 0.105, "single", "open"),  # no spread at all: how far seeds lie apart is not known
        ([0.1] * 3, 0.120, "single", "open"),
    ],
)
def test_of_a_value(values, reported, estimator, expected):
    assert word(values, reported, estimator, 0.01, True, 0.1667, 5 if estimator != "single" else None) == expected


def test_higher_may_be_better():
    accuracies = [0.91, 0.92, 0.915, 0.918, 0.913]
    assert word(accuracies, 0.85, "single", 0.01, False) == "better"
    assert word(accuracies, 0.97, "single", 0.01, False) == "worse"
    assert word([1 - value for value in TEN], 0.9015, "best", 0.01, False, seeds=5) == "reproduced"


def test_the_interval_of_a_single_run_is_students():
    """I = d -+ t(.95, 4) s / sqrt 5; m* is its farther end, at which the value is just reproduced."""
    for reported in (0.100, 0.104, 0.090):
        ours = stats.ttest_1samp(TIGHT, reported)
        low, high = (bound - reported for bound in ours.confidence_interval(0.90))
        test = compare_value(TIGHT, reported, "single", True)
        assert (test.apart.low, test.apart.high) == (pytest.approx(low), pytest.approx(high))
        assert test.least_margin == pytest.approx(max(-low, high))
        for factor, expected in ((1.001, True), (0.999, False)):
            assert (word(TIGHT, reported, "single", factor * test.least_margin, True) == "reproduced") == expected


@pytest.mark.parametrize("seeds", [2, 5, 20])
def test_the_interval_of_a_mean_is_welchs_with_their_deviation(seeds):
    theirs = stats.ttest_ind_from_stats(numpy.mean(WIDE), numpy.std(WIDE, ddof=1), 5, 0.1, 0.03, seeds, equal_var=False)
    half = abs(compare_value(WIDE, 0.1, "mean", True, seeds, sd=0.03).apart.high - (numpy.mean(WIDE) - 0.1))
    error = (numpy.mean(WIDE) - 0.1) / theirs.statistic
    one, other = numpy.var(WIDE, ddof=1) / 5, 0.03**2 / seeds
    free = (one + other) ** 2 / (one**2 / 4 + other**2 / (seeds - 1))
    assert half == pytest.approx(stats.t.ppf(0.95, free) * error)
    own = compare_value(WIDE, 0.1, "mean", True, seeds)
    expected = stats.t.ppf(0.95, 4) * numpy.std(WIDE, ddof=1) * math.sqrt(1 / 5 + 1 / seeds)
    assert (own.apart.high - own.apart.low) / 2 == pytest.approx(expected), "ours, where theirs is not given"


def test_the_level_of_a_look_widens_the_interval():
    whole, third = (compare_value(TIGHT, 0.1, "single", True, level=level).least_margin for level in (0.05, 0.05 / 3))
    assert third / whole == pytest.approx(stats.t.ppf(1 - 0.05 / 3, 4) / stats.t.ppf(0.95, 4))


@pytest.mark.parametrize(
    ("runs", "seeds", "judged"), [(9, 2, False), (10, 5, True), (19, 10, False), (20, 10, True), (50, 200, False)]
)
def test_a_best_of_k_takes_2k_runs_of_ours(runs, seeds, judged):
    values = list(numpy.random.default_rng(0).normal(1, 0.001, size=runs))
    found, test = value_verdict(values, 0.999, "best", 0.1, True, seeds=seeds)
    assert (found.word == "reproduced") == judged == (test is not None)
    assert judged or (found.word == "open" and f"the best of {seeds} takes" in found.why)


def test_a_best_of_nobody_knows_how_many_is_not_comparable():
    assert word(TIGHT, 0.098, "best", 0.01, True) == "not comparable"
    assert word([0.1, 0.11, 0.12], 5.0, "unknown", 0.1, True) == "not comparable"


def test_the_spread_of_a_reported_mean_counts():
    assert word(TIGHT, 0.105, "mean", 0.01, True) == "reproduced"
    assert word(TIGHT, 0.105, "mean", 0.01, True, seeds=5, sd=0.03) == "compatible"


@pytest.mark.parametrize(
    ("estimator", "seeds", "runs"), [("mean", 5, 20), ("mean", 3, 10), ("best", 5, 10), ("best", 5, 20), ("single", 1, 5)]
)
def test_two_samples_of_one_setting_are_seldom_told_apart(estimator, seeds, runs):
    """Whatever the source's estimator: its own chance counts, however many runs of ours there are."""
    chance, apart, count = numpy.random.default_rng(1), 0, 200 if estimator == "best" else 1000
    for _ in range(count):
        given = chance.normal(size=seeds)
        reported = {"mean": given.mean(), "best": given.min(), "single": given[0]}[estimator]
        apart += word(list(chance.normal(size=runs)), reported, estimator, 0.1, True, seeds=seeds) in ("better", "worse")
    assert apart / count < 0.07


def test_shares_have_newcombes_interval():
    """Of 5 of 5 against 9 of 10, difference_of_shares has it; one run of theirs in ten may fail by chance."""
    found = compare_value([1.0] * 5, 0.9, "mean", False, 10, shares=True)
    effect, *_ = difference_of_shares(5, 5, 9, 10, level=0.90)
    assert (found.apart.low, found.apart.high) == (pytest.approx(effect.low), pytest.approx(effect.high))
    assert word([1.0] * 5, 0.9, "mean", 0.05, False, seeds=10, shares=True) == "compatible"
    assert word([1.0] * 40, 0.5, "mean", 0.05, False, seeds=10, shares=True) == "better"


@pytest.mark.parametrize(
    ("spread", "seeds", "says"),
    [
        (0.79, None, "one run of theirs cannot settle this at this margin"),  # with a chance of 80 % it takes s <= .78 margin
        (0.77, None, "about 8 seeds would settle it"),  # t(.95, 7) .77 / sqrt 8 = .516, of seven .566
        (0.45, 3, "about 10 seeds would settle it"),  # 1.833 x sqrt(.45^2/10 + .45^2/3) = .543
        (0.77, 3, "3 runs of theirs cannot settle this at this margin"),  # 1.645 x .77 / sqrt 3 = .73, of any number of ours
        (2.0, 3, "3 runs of theirs cannot settle this at this margin"),
    ],
)
def test_what_is_compatible_says_what_would_settle_it(spread, seeds, says):
    """At .45 from the printed value: the half-width must shrink to .55."""
    shape = numpy.array([-1.0, 1.0, -1.0, 1.0]) / math.sqrt(4 / 3)
    values = list(5 + 0.45 + spread * shape)
    found, test = value_verdict(values, 5.0, "mean" if seeds else "single", 1.0, True, seeds=seeds)
    assert found.word == "compatible" and says in found.why, found
    assert found.more_seeds == (not found.why.endswith("this margin")) and test.least_margin > 1


def test_what_is_open_is_not_left_to_the_chance_in_theirs():
    """s = 2 over 4 runs and 4 of theirs: d = 4.55 lies beyond t(.975, 3) sqrt 2 = 4.50, and I reaches down to 1.22: more seeds
    of ours lift that above the margin of 1.25, though 1.28 deviations of theirs are wider."""
    values = list(5 + 4.55 + 2 * numpy.array([-1.0, 1.0, -1.0, 1.0]) / math.sqrt(4 / 3))
    found, test = value_verdict(values, 5.0, "mean", 1.25, True, seeds=4)
    assert (found.word, found.more_seeds) == ("open", True) and not test.inside and found.why == "about 5 seeds would settle it"


def test_what_is_under_our_choice_is_reached_or_not_and_never_worse():
    words = {
        one: under_our_choice(Verdict(one, "why"), "the rate").word
        for one in ("reproduced", "better", "worse", "compatible", "open", "both at floor")
    }
    assert set(words.values()) == {"reached", "not reached", "compatible", "open", "both at floor"}
    assert (words["reproduced"], words["better"], words["worse"]) == ("reached", "reached", "not reached")
    assert under_our_choice(Verdict("worse", "why"), "the rate").why == "under our choice of the rate: why"


def test_the_seeds_that_it_would_take_are_those_of_the_same_spread():
    """Whatever number of seeds the effect and its spread were seen with (0.8 of a deviation: 26 of each)."""
    for count in (3, 5, 30):
        spread = numpy.linspace(-1, 1, count)
        values = spread / spread.std(ddof=1)
        answer = compare_means(list(values + 0.8), list(values), None, None)
        asked = int(takes(answer, 0.05).split()[1])
        assert asked == max(25, count + 1)


def test_one_more_run_falls_into_its_interval_as_often_as_it_says():
    chance, inside = numpy.random.default_rng(0), 0
    for _ in range(4000):
        *values, more = chance.normal(size=6)
        one = one_more(values)
        inside += one.low < more < one.high
    assert abs(inside / 4000 - 0.95) < 0.012


# Newcombe 1998, table II: solved/runs of each, and the bounds of method 10
@pytest.mark.parametrize(
    ("cells", "low", "high"),
    [((56, 70, 48, 80), 0.0524, 0.3339), ((9, 10, 3, 10), 0.1705, 0.8090), ((6, 7, 2, 7), 0.0582, 0.8062)],
)
def test_shares_published(cells, low, high):
    effect, *_ = difference_of_shares(*cells)
    assert (effect.low, effect.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_fisher_published():
    """The lady tasting tea: 3 of 4 cups of each kind told right (Fisher 1935)."""
    assert difference_of_shares(3, 4, 1, 4)[1] == pytest.approx(34 / 70)


def test_shares_are_the_same_at_the_level_at_which_the_interval_fits():
    effect, _, same, beyond = difference_of_shares(30, 40, 29, 40, margin=0.3)
    assert 0 < same < 0.05 and beyond == 1.0
    shown, *_ = difference_of_shares(30, 40, 29, 40, level=1 - 2 * same)
    assert max(abs(shown.low), abs(shown.high)) == pytest.approx(0.3, abs=1e-6)
    assert difference_of_shares(40, 40, 0, 40, margin=0.3)[2:] == (1.0, pytest.approx(0, abs=1e-9))
    assert effect.value == pytest.approx(1 / 40)


def test_log_rank_knows_which_takes_longer():
    fast, slow = ([1.0, 2, 3, 4, 5], [True] * 5), ([6.0, 7, 8, 9, 9], [True, True, True, True, False])
    assert log_rank(*slow, *fast)[1] == 1 and log_rank(*fast, *slow)[1] == -1
    assert contrast_verdict("more", compare_times(slow, fast), 0.01, 1, 0.05).word == "holds"
    assert contrast_verdict("less", compare_times(slow, fast), 0.01, 1, 0.05).word == "fails"


def test_log_rank_of_what_all_solve_at_once_is_undecided():
    at_once = ([25.0] * 8, [True] * 8)
    assert log_rank(*at_once, *at_once) == (1.0, 0)
    with pytest.raises(ValueError, match="no number"):
        holm([0.1, math.nan])


def test_beyond_a_margin_is_a_test_of_its_own():
    near, far = [1.0, 1.1, 0.9, 1.0, 1.05], [2.0, 2.1, 1.9, 2.0, 2.05]
    assert against_margin(near, far, 0.5)[1] < 1e-4 < 0.4 < against_margin(near, far, 1.0)[1]
    assert against_margin([1.0] * 3, [2.0] * 3, 1.5) == (0.0, 1.0)


A, B, NEAR_A = [1.0, 1.1, 0.9, 1.05, 0.95, 1.02, 0.98, 1.0], [2.0, 2.1, 1.9, 2.05, 1.95, 2.02, 1.98, 2.0], [1.0] * 7 + [1.01]


@pytest.mark.parametrize(
    ("a", "b", "expect", "margin", "ratio", "expected"),
    [
        (B, A, "more", None, None, "holds"),
        (A, B, "more", None, None, "fails"),
        (A, B, "less", None, None, "holds"),
        (A, NEAR_A, "more", None, None, "undecided"),
        (A, NEAR_A, "more", 0.5, None, "equivalent"),
        (A, NEAR_A, "same", 0.5, None, "holds"),
        (A, NEAR_A, "same", 0.001, None, "undecided"),
        (A, B, "same", 0.5, None, "fails"),
        (A, B, "less", 2.0, None, "equivalent"),  # sure, and less than what matters
        (A, B, "less", 0.5, None, "holds"),
        (A, B, "less", 1.001, None, "undecided"),  # sure, and seen inside the margin
        (B, A, "more", 1.001, None, "undecided"),
        (B, A, "more", 1.02, 1.0, "undecided"),  # twice as much, where 2.02 times would matter
        (B, A, "more", 0.5, 1.0, "holds"),
        (B, A, "same", 0.1, 2.0, "holds"),
        (B, A, "same", 0.1, 3.0, "fails"),
        ([4.0] * 8, [1.0] * 8, "same", 0.01, 4.0, "holds"),
    ],
)
def test_of_a_contrast(a, b, expect, margin, ratio, expected):
    answer = compare_means(a, b, margin, ratio)
    p = answer.p_same if expect == "same" else answer.p
    assert contrast_verdict(expect, answer, p, 1, 0.05).word == expected


def test_times_inside_their_margin_do_not_hold():
    fast, slow = ([1.0, 2, 3, 4, 5], [True] * 5), ([6.0, 7, 8, 9, 10], [True] * 5)
    for margin, expected in ((None, "holds"), (4.0, "holds"), (6.0, "undecided")):  # medians 8 and 3
        answer = compare_times(slow, fast, margin)
        assert contrast_verdict("more", answer, answer.p, 1, 0.05).word == expected
    never = ([9.0] * 5, [False] * 5)
    answer = compare_times(never, fast, 6.0)
    assert contrast_verdict("more", answer, answer.p, 1, 0.05).word == "holds", "a time that is infinite is beyond any margin"


def test_the_interval_of_a_contrast_is_at_its_level():
    for confidence in (0.90, 0.95, 0.99):
        found = compare_means(A, B, None, None, confidence=confidence).effect
        expected = stats.ttest_ind(A, B, equal_var=False).confidence_interval(confidence)
        assert (found.low, found.high) == (pytest.approx(expected.low), pytest.approx(expected.high))
        near = [value + 0.05 for value in A]
        asked = takes(compare_means(A, near, None, None, confidence=confidence), 0.05)
        assert asked == takes(compare_means(A, near, None, None), 0.05), "the seeds are the same"


def test_what_takes_too_many_seeds_is_not_worth_asking():
    answer = compare_means([1.0, 2.0, 3.0, 4.001], [1.0, 2.0, 3.0, 4.0], None, None)
    assert takes(answer, 0.05) == "not worth asking"


def test_what_holds_alone_need_not_hold_among_many():
    answer = compare_means([1.0, 2, 3, 4], [3.0, 5, 6, 7], None, None)
    assert 0.01 < answer.p < 0.1
    adjusted = holm([answer.p, *[1.0] * 9])[0]
    assert contrast_verdict("less", answer, adjusted, 10, 0.05).word == "undecided"


def verdict(word: str) -> Verdict:
    return Verdict(word)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["holds", "holds"], "holds"),
        (["fails", "fails"], "fails"),
        (["equivalent", "equivalent"], "equivalent"),
        (["fails", "equivalent"], "fails"),
        (["holds", "fails"], "holds only when first"),
        (["holds", "undecided"], "undecided"),
        (["holds", "fails", "undecided"], "holds in part"),
        ([], "missing"),
        (["fails", "undecided"], "fails in part"),
        (["undecided"], "undecided"),
    ],
)
def test_of_a_claim(words, expected):
    whens = ["when first", "when second", "when third"]
    assert claim_verdict([(verdict(word), when) for word, when in zip(words, whens, strict=False)]).word == expected


def test_a_condition_under_which_one_holds_and_one_fails_is_none_under_which_the_claim_holds():
    asked = [(verdict("holds"), "here"), (verdict("holds"), "there"), (verdict("fails"), "there")]
    assert claim_verdict(asked) == Verdict("holds only here", "not there", "warn")
    assert claim_verdict(asked[1:]) == Verdict("holds in part", "not there", "warn")


def test_it_says_how_many_seeds_it_would_take():
    answer = compare_shares([1.0] * 9 + [0.0], [1.0] * 6 + [0.0] * 4, None)
    assert takes(answer, 0.05) == f"about {seeds_needed(0.9, 0.6)} seeds each"
    none = ContrastTest(Estimate(0.0, -1.0, 1.0, ""), 1.0, 1.0, 1.0, (5, 5))
    assert takes(none, 0.05) == ""
    assert math.isnan(none.shows[0])


def test_a_number_is_compared_by_flipping_signs():
    answer = compare_means([0.5, 0.4, 0.6, 0.5, 0.7, 0.3], 0.0, None, None)
    assert answer.p == pytest.approx(2 / 2**6) and answer.effect.estimator == "paired difference"
    assert answer.shows == (pytest.approx(0.5), 0.0)


def test_pairs_are_made_where_they_help_and_where_they_are_allowed():
    a = [float(k) + 0.1 * (k % 3) for k in range(12)]
    b = [float(k) + 0.5 for k in range(12)]
    assert compare_means(a, b, None, None, pairs=True).effect.estimator == "paired difference"
    assert compare_means(a, b, None, None).effect.estimator == "difference"


def test_a_ratio_shows_the_means_that_it_is_of():
    answer = compare_means([1.0, 100.0], [4.0, 25.0], None, 1.0)
    assert answer.shows == (10, 10) and abs(answer.effect.value) < 1e-12


NARROW = [9000.0, 10000.0, 11000.0, 10500.0, 9500.0, 10200.0, 9800.0, 10300.0, 9700.0, 10000.0]
LONG = [15000.0, 20000.0, 22000.0, 18000.0, 25000.0, 21000.0, 19000.0, 20000.0, 21000.0, 140000.0]


@pytest.mark.parametrize(
    ("values", "printed", "expected"),
    [
        (NARROW, 10000, "reproduced"),
        (NARROW, 14000, "reproduced"),  # 1.4 times as long, and the interval is narrow
        (NARROW, 15000, "open"),  # 1.5 times: its interval reaches across the factor
        (NARROW, 17000, "better"),
        (NARROW, 6000, "worse"),
        (LONG, 32000, "compatible"),  # one long run decides: means of eight go from 19,000 to 60,000
        (LONG, 5000, "worse"),
        (LONG, 400000, "better"),
        (NARROW[:9], 10000, "open"),  # fewer than a bootstrap takes
        ([], 10000, "open"),
    ],
)
def test_times_against_a_printed_mean_by_a_factor(values, printed, expected):
    verdict, test = ratio_verdict(values, printed, 8, 1.5)
    assert verdict.word == expected
    assert (test is None) == (len(values) < 10)


def test_the_interval_of_a_ratio():
    """m* is a factor, the same for a ratio and its inverse; more printed runs make it smaller; times scale out."""
    base = compare_ratio(NARROW, 10000, 8)
    assert base.ratio and 1 < base.least_margin < 1.1 and base.inside and base.ours == 10000
    assert compare_ratio([10 * value for value in NARROW], 100000, 8).least_margin == pytest.approx(base.least_margin)
    assert compare_ratio(NARROW, 10000, 1).least_margin > base.least_margin > compare_ratio(NARROW, 10000, 200).least_margin
    assert compare_ratio(NARROW, 20000, 8).apart.value == pytest.approx(math.log(0.5))
    with pytest.raises(ValueError, match="not positive"):
        compare_ratio([1.0, 0.0] * 5, 10, 2)


def test_of_times_with_long_tails_few_of_the_same_setting_are_called_another():
    random, judged = numpy.random.default_rng(0), []
    for _ in range(150):
        ours, theirs = random.lognormal(10, 0.6, 20), random.lognormal(10, 0.6, 20).mean()
        judged.append(ratio_verdict(list(ours), theirs, 20, 1.5)[0].word)
    assert judged.count("better") + judged.count("worse") <= 2
    assert judged.count("reproduced") > 40


@pytest.mark.parametrize(
    ("printed", "means", "counts", "expected", "part"),
    [
        (100.0, [60, 90, 150], (2, 2, 2), "within the text's span", "2 of 3 within a factor of 1.5"),
        (100.0, [60, 90, 150], (3, 4, 6), "within the text's span", "of 4 other readings (2 are not run) 3 are told apart"),
        (100.0, [200, 290], (1, 1, 1), "worse", "outside of the text's span"),
        (100.0, [60, 90, 181], (2, 2, 2), "the text does not settle it", "span [60, 181]"),
        (100.0, [300], (0, 5, 5), "worse", "of 5 other readings none is told apart from it"),
        (100.0, [300], (1, 5, 5), "worse", "of 5 other readings 1 is told apart from it"),  # and does not always solve the task
        (100.0, [300], (0, 0, 5), "worse", "its other readings are not run"),
    ],
)
def test_the_span_of_a_text_is_never_a_reproduction(printed, means, counts, expected, part):
    verdict = span_verdict(Verdict("worse", "", "poor"), printed, 1.5, means, readings_text(*counts))
    assert verdict.word == expected and part in verdict.why and "reproduced" not in verdict.word


@pytest.mark.parametrize(
    ("like", "counts", "expected", "part"),
    [
        (0, (0, 31, 31), "worse", "2 of 30; of 31 other readings none is told apart from it"),
        (0, (2, 31, 31), "worse", "of 31 other readings 2 are told apart from it"),
        (1, (2, 31, 31), "the text does not settle it", "as stated: worse, 2 of 30; "),
        (0, (0, 0, 31), "worse", "its other readings are not run"),
    ],
)
def test_a_reading_settles_nothing_unless_it_has_their_share_and_not_ours(like, counts, expected, part):
    verdict = share_span_verdict(Verdict("worse", "2 of 30", "poor"), like, readings_text(*counts))
    assert verdict.word == expected and part in verdict.why


@pytest.mark.parametrize(
    ("times", "lost", "printed", "expected"),
    [
        ([56000, 100000, 120000, 140000] * 5, 1, 30000, "worse"),  # even if it had solved the task then
        ([56000, 100000, 120000, 140000] * 5, 1, 110000, None),  # it may be as long, or longer
        ([56000, 100000, 120000, 140000] * 5, 1, 900000, None),  # shorter as far as is known
        ([104000] * 10, 10, 31000, "worse"),  # none of them
        ([104000] * 9, 9, 31000, None),  # fewer than a bootstrap takes
    ],
)
def test_runs_that_are_lost_bound_a_mean_from_below(times, lost, printed, expected):
    solved = [False] * lost + [True] * (len(times) - lost)
    verdict = bound_verdict([float(one) for one in times], solved, printed, 20, 1.5)
    assert (verdict.word if verdict else None) == expected
    if verdict:
        assert f"a mean of at least 104,000: {lost} of {len(times)} runs" in verdict.why


def test_a_bound_holds_however_long_the_lost_runs_would_have_taken():
    random, held = numpy.random.default_rng(0), 0
    for _ in range(40):
        times, lost = random.lognormal(11, 0.8, 20), random.random(20) < 0.2
        longer = numpy.where(lost, times * 10 ** random.uniform(0, 5, 20), times)
        printed = float(random.lognormal(10, 0.5))
        if bound_verdict(times.tolist(), (~lost).tolist(), printed, 20, 1.5):
            held += 1
            assert bound_verdict(longer.tolist(), (~lost).tolist(), printed, 20, 1.5)
    assert 5 < held < 35


@pytest.mark.parametrize(
    ("values", "floor", "best", "expected"),
    [
        ([0.1742, 0.1738, 0.0064, 0.0014], 0.176, 0.0, [False, False, True, True]),
        ([0.103, 0.271, 0.103], 0.1135, 1.0, [False, True, False]),
        ([0.1742, 0.166, 0.0014], 0.176, 0.0, []),  # one has begun to learn: no two groups
        ([0.001, 0.002], 0.176, 0.0, [True, True]),
        ([0.5], 1.0, 1.0, []),
        ([], 0.176, 0.0, []),
    ],
)
def test_which_runs_left_the_floor(values, floor, best, expected):
    assert off_floor(values, floor, best) == expected
