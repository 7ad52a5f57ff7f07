"""Verdicts against known answers."""

from __future__ import annotations

import math

import numpy
import pytest

from rnnbench.analysis.intervals import Estimate
from rnnbench.analysis.significance import against_margin, difference_of_shares, holm, log_rank, seeds_needed
from rnnbench.reproduction.verdicts import (
    ContrastTest,
    Verdict,
    claim_verdict,
    compare_means,
    compare_shares,
    compare_times,
    contrast_verdict,
    one_more,
    takes,
    theirs,
    value_verdict,
)

TIGHT = [0.101, 0.099, 0.100, 0.102, 0.098]
WIDE = [0.05, 0.30, 0.12, 0.22, 0.09]


@pytest.mark.parametrize(
    ("values", "reported", "estimator", "expected"),
    [
        (TIGHT, 0.100, "single", "reproduced"),
        (TIGHT, 0.107, "single", "reproduced"),  # within the margin of .01
        (TIGHT, 0.200, "single", "better"),  # an error: ours is lower
        (TIGHT, 0.050, "single", "worse"),
        (WIDE, 0.150, "single", "underpowered"),  # their value is one of ours, but so would be many
        (WIDE, 0.900, "single", "better"),
        ([0.1], 0.100, "single", "underpowered"),
        ([], 0.100, "single", "underpowered"),
        (TIGHT, 0.100, "mean", "reproduced"),
        (TIGHT, 0.111, "mean", "underpowered"),  # apart, though not by the margin and chance
        (TIGHT, 0.050, "mean", "worse"),
        (TIGHT, 0.098, "best", "reproduced"),
        (TIGHT, 0.010, "best", "worse"),
        ([0.166, 0.168, 0.165, 0.169, 0.167], 0.164, "single", "both at floor"),
        ([0.166, 0.168, 0.165, 0.169, 0.167], 0.177, "single", "both at floor"),  # theirs is beyond the floor
        ([0.166, 0.168, 0.165, 0.169, 0.167], 0.002, "single", "worse"),
    ],
)
def test_of_a_value(values, reported, estimator, expected):
    found = value_verdict(values, reported, estimator, 0.01, True, floor=0.1667, seeds=5 if estimator == "best" else None)
    assert found.word == expected


def test_higher_may_be_better():
    accuracies = [0.91, 0.92, 0.915, 0.918, 0.913]
    assert value_verdict(accuracies, 0.85, "single", 0.01, False).word == "better"
    assert value_verdict(accuracies, 0.97, "single", 0.01, False).word == "worse"
    assert theirs(accuracies, "best", 5, False)[0] > numpy.mean(accuracies)


def test_a_best_needs_to_be_known_and_narrow():
    assert value_verdict([0.05, 0.30, 0.1, 0.2, 0.12], 0.05, "best", 0.01, True, seeds=5).word == "underpowered"
    assert value_verdict(TIGHT, 0.098, "best", 0.01, True).word == "not comparable"


def test_the_spread_of_a_reported_mean_counts():
    assert value_verdict(TIGHT, 0.105, "mean", 0.01, True).word == "reproduced"
    assert value_verdict(TIGHT, 0.105, "mean", 0.01, True, seeds=5, sd=0.03).word == "underpowered"


@pytest.mark.parametrize(
    ("estimator", "seeds", "runs"), [("mean", 5, 20), ("mean", 3, 10), ("best", 5, 5), ("best", 5, 50), ("single", 1, 5)]
)
def test_two_samples_of_one_setting_are_seldom_told_apart(estimator, seeds, runs):
    """Whatever the source's estimator: its own chance counts, however many runs of ours there are."""
    chance, apart = numpy.random.default_rng(1), 0
    for _ in range(1000):
        given = chance.normal(size=seeds)
        reported = {"mean": given.mean(), "best": given.min(), "single": given[0]}[estimator]
        found = value_verdict(list(chance.normal(size=runs)), reported, estimator, 0.1, True, seeds=seeds)
        apart += found.word in ("better", "worse")
    assert apart / 1000 < 0.07


def test_shares_have_wilsons_interval():
    assert value_verdict([1.0] * 5, 0.9, "mean", 0.05, False, seeds=10, shares=True).word == "underpowered"
    assert value_verdict([1.0] * 40, 0.5, "mean", 0.05, False, seeds=10, shares=True).word == "better"


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
        (B, A, "same", 0.1, 2.0, "holds"),
        (B, A, "same", 0.1, 3.0, "fails"),
        ([4.0] * 8, [1.0] * 8, "same", 0.01, 4.0, "holds"),
    ],
)
def test_of_a_contrast(a, b, expect, margin, ratio, expected):
    answer = compare_means(a, b, margin, ratio)
    p = answer.p_same if expect == "same" else answer.p
    assert contrast_verdict(expect, answer, p, 1, 0.05).word == expected


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


def test_what_is_of_nobody_knows_what_is_not_comparable():
    assert value_verdict([0.1, 0.11, 0.12], 5.0, "unknown", 0.1, True).word == "not comparable"


def test_the_expected_best_of_as_many_as_there_are_is_the_best():
    assert theirs([3.0, 1.0, 2.0], "best", 3, True) == (1.0, "expected best of 3")
    value, _ = theirs([3.0, 1.0, 2.0], "best", 2, True)
    assert value == pytest.approx((1 + 1 + 2) / 3), "over the three pairs"
