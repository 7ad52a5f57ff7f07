"""Differences, equivalence and times to solve against published examples and other people's code."""

from __future__ import annotations

import itertools
import math

import numpy
import pytest
from scipy import stats

from rnnbench.analysis import significance
from rnnbench.analysis.intervals import best_of, expected_best, student, summarize
from rnnbench.analysis.significance import (
    _by_labels,
    _welch,
    against_margin,
    difference,
    difference_of_shares,
    holm,
    log_rank,
    log_rank_scores,
    pairing_helps,
    rank_ranges,
    seeds_needed,
    time_to_solve,
)

# Darwin 1876 in Fisher 1935, section 17: heights of crossed less self-fertilised plants, fifteen pairs, eighths of an inch.
MAIZE = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
# Miller 1981 in R's survival package, `aml`: weeks to relapse, with and without maintained chemotherapy.
KEPT = [9, 13, 13, 18, 23, 28, 31, 34, 45, 48, 161]
KEPT_SEEN = [1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 0]
LEFT = [5, 5, 8, 8, 12, 16, 23, 27, 30, 33, 43, 45]
LEFT_SEEN = [1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1]


def test_paired_permutation_published() -> None:
    """Fisher counts 1,726 of the 32,768 ways that differ as much: p = 0.0527; his t interval is (0.03, 41.84)."""
    found = difference(MAIZE, [0.0] * 15, paired=True)
    assert found.p == pytest.approx(1726 / 32768, abs=0.007)  # 9,999 of the ways are drawn
    assert (found.value, found.low, found.high) == tuple(pytest.approx(x, abs=0.01) for x in (20.933, 0.03, 41.84))


def test_permutation_of_few_is_exact() -> None:
    a, b = [5.0, 6.0, 9.0], [1.0, 2.0, 4.0, 4.5]
    pool, seen = a + b, []
    for chosen in itertools.combinations(range(7), 3):
        first = [pool[index] for index in chosen]
        rest = [pool[index] for index in range(7) if index not in chosen]
        seen.append(sum(first) / 3 - sum(rest) / 4)
    own = sum(a) / 3 - sum(b) / 4
    assert difference(a, b).p == pytest.approx(sum(abs(s) >= abs(own) - 1e-12 for s in seen) / len(seen))


def test_of_unequal_samples_that_lie_apart_no_labels_mirror_the_observed_ones() -> None:
    """1 of 10 ways differs by as much; twice the one-sided share would say .2."""
    assert difference([9.0, 10.0], [0.0, 1.0, 2.0]).p == pytest.approx(1 / 10)
    assert difference([9.0, 10.0, 11.0], [0.0, 1.0, 2.0]).p == pytest.approx(2 / 20), "of equal ones the mirror image does"


def test_differences_of_odd_samples() -> None:
    same = difference([0.5, 0.5, 0.5], [0.5, 0.5])
    assert (same.value, same.low, same.high, same.p) == (0.0, 0.0, 0.0, 1.0)
    apart = difference([1.0, 1.0], [0.0, 0.0])
    assert (apart.low, apart.high) == (1.0, 1.0)
    with pytest.raises(ValueError, match="no difference"):
        difference([1.0], [2.0, 3.0])
    with pytest.raises(ValueError, match="in pairs"):
        difference([1.0, 2.0], [2.0, 3.0, 4.0], paired=True)


def test_pairing_is_found_where_seeds_move_both() -> None:
    draw = numpy.random.default_rng(0)
    seeds = draw.normal(size=12)
    assert pairing_helps((seeds + 0.1 * draw.normal(size=12)).tolist(), (seeds + 1).tolist())
    assert not pairing_helps(draw.normal(size=12).tolist(), draw.normal(size=12).tolist())
    assert not pairing_helps([1.0, 2.0], [1.0, 2.0])
    assert not pairing_helps([1.0] * 5, [1.0, 2.0, 3.0, 4.0, 5.0])


@pytest.mark.parametrize("paired", [False, True])
def test_equivalence_is_an_interval_within_the_margin(paired: bool) -> None:
    """Schuirmann 1987: at 5 %, two one-sided tests say yes exactly where the 90 % interval lies within the margins."""
    draw = numpy.random.default_rng(3)
    answers = []
    for _ in range(60):
        a, b = draw.normal(0.0, 1, 9), draw.normal(0.2, 1, 9)
        margin = draw.uniform(0.3, 1.6)
        test = stats.ttest_rel(a, b) if paired else stats.ttest_ind(a, b, equal_var=False)
        low, high = test.confidence_interval(0.90)
        answers.append(-margin < low and high < margin)
        assert (against_margin(a.tolist(), b.tolist(), margin, paired)[0] < 0.05) == answers[-1]
    assert 5 < sum(answers) < 55


def test_equivalence_of_odd_samples() -> None:
    assert against_margin([1.0, 1.0], [1.0, 1.0], 0.1) == (0.0, 1.0)
    assert against_margin([1.0, 1.0], [2.0, 2.0], 0.1) == (1.0, 0.0)
    with pytest.raises(ValueError, match="margin"):
        against_margin([1.0, 1.0], [2.0, 2.0], 0.0)


def test_median_times_published() -> None:
    """R's survfit gives the medians 31 and 23; the log-log bounds follow from Greenwood's sums by hand."""
    kept = time_to_solve(KEPT, [bool(s) for s in KEPT_SEEN])
    left = time_to_solve(LEFT, [bool(s) for s in LEFT_SEEN])
    assert (kept.value, kept.low, kept.high) == (31, 13, math.inf)
    assert (left.value, left.low, left.high) == (23, 5, 33)


def test_log_rank_published() -> None:
    """R's survdiff on `aml`: 7 and 11 relapses where 10.69 and 7.31 were expected; p = 0.0653 by the normal approximation."""
    kept, left = [bool(s) for s in KEPT_SEEN], [bool(s) for s in LEFT_SEEN]
    scores = log_rank_scores([*KEPT, *LEFT], [*kept, *left])
    assert sum(scores[: len(KEPT)]) == pytest.approx(7 - 10.69, abs=5e-3)
    assert sum(scores[len(KEPT) :]) == pytest.approx(11 - 7.31, abs=5e-3)
    p, longer = log_rank(KEPT, kept, LEFT, left)
    assert p == pytest.approx(0.0653, abs=0.01) and longer == 1


def test_log_rank_of_few_is_exact() -> None:
    """Five against five, wholly apart: 2 of the 252 ways; the normal approximation would say .0018."""
    p, longer = log_rank([1.0, 2, 3, 4, 5], [True] * 5, [6.0, 7, 8, 9, 10], [True] * 5)
    assert (p, longer) == (pytest.approx(2 / 252), -1)


MEDIAN = [6, 6, 5, 4, 8, 2, 2, 1, 6, 8, 4]


def exact_median(times: list[int], solved: tuple[bool, ...]) -> float:
    """By whole numbers: left / of counts the share that is left."""
    left, of = 1, 1
    for time in sorted(set(times)):
        watched = sum(at >= time for at in times)
        left *= watched - sum(done for at, done in zip(times, solved, strict=True) if at == time)
        of *= watched
        if 2 * left <= of:
            return time
    return math.inf


def test_the_median_time_does_not_miss_one_half_by_rounding() -> None:
    """One of the four longest was given up on; half are left after 5, of which a product of floats makes a little more."""
    solved = [index != 7 for index in range(11)]
    assert time_to_solve([float(time) for time in MEDIAN], solved).value == 5
    for pattern in itertools.islice(itertools.product([True, False], repeat=11), 0, None, 13):
        assert time_to_solve([float(time) for time in MEDIAN], pattern).value == exact_median(MEDIAN, pattern)


ONE, NONE, TWO = [1.0, math.nan, 2.0], [1.0, math.inf, 2.0], [1.0, 2.0, 3.0]
YES = [True] * 3


@pytest.mark.parametrize("bad", [ONE, NONE])
@pytest.mark.parametrize(
    "asked",
    [
        lambda bad: student(bad),
        lambda bad: student(bad[1:2]),
        lambda bad: summarize(bad, "mse"),
        lambda bad: summarize(bad, "accuracy", solved=[True, False, True]),
        lambda bad: best_of(bad * 4, 2, True),
        lambda bad: difference(bad, TWO),
        lambda bad: difference(TWO, bad, paired=True),
        lambda bad: against_margin(bad, TWO, 0.5),
        lambda bad: against_margin(TWO, bad, 0.5, paired=True),
        lambda bad: against_margin(TWO, TWO, bad[1]),
        lambda bad: pairing_helps(bad * 2, TWO * 2),
        lambda bad: rank_ranges({"a": bad, "b": TWO}, True),
        lambda bad: time_to_solve(bad, YES),
        lambda bad: log_rank(bad, YES, TWO, YES),
        lambda bad: log_rank(TWO, YES, bad, YES),
        lambda bad: log_rank_scores(bad, YES),
    ],
)
def test_what_is_not_finite_is_refused_everywhere(asked, bad) -> None:
    with pytest.raises(ValueError, match="finite"):
        asked(bad)


@pytest.mark.parametrize("runs", [([], [], [1.0], [True]), ([1.0], [True], [], []), ([1.0], [], [1.0], [True])])
def test_log_rank_takes_runs_of_both(runs) -> None:
    with pytest.raises(ValueError, match="times of"):
        log_rank(*runs)


@pytest.mark.parametrize("counts", [(1, 0, 1, 2), (3, 2, 1, 2), (1, 2, 0, 0), (1, 2, -1, 2)])
def test_what_is_no_share_has_no_difference(counts) -> None:
    with pytest.raises(ValueError, match="is no share"):
        difference_of_shares(*counts)


def test_a_trial_that_is_not_finite_counts_as_the_worst() -> None:
    assert expected_best([1.0, math.nan, 2.0], "min") == expected_best([1.0, None, 2.0], "min")
    assert expected_best([1.0, -math.inf], "max") == [1.0, 1.0]


def test_places_of_cells_that_solve_in_part_are_by_the_share_solved() -> None:
    """Ten of ten against one of ten: Fisher's p is 1e-4; the means of nine failures and one hit say nothing (p = .3)."""
    split = [0.1] * 9 + [0.99]
    samples, solved = {"a": [0.9, 0.91] * 5, "b": split}, {"a": [True] * 10, "b": [False] * 9 + [True]}
    assert rank_ranges(samples, False, metric="accuracy", solved=solved) == {"a": (1, 1), "b": (2, 2)}
    once = {"a": [True] * 9 + [False], "b": [True] * 10}
    assert rank_ranges(samples, False, metric="accuracy", solved=once) == {"a": (1, 2), "b": (1, 2)}


def test_places_of_equal_shares_are_by_those_that_solved() -> None:
    low, high = [0.010, 0.011, 0.012, 0.5], [0.020, 0.021, 0.022, 0.4]
    half = {"a": [True] * 3 + [False], "b": [True] * 3 + [False]}
    assert rank_ranges({"a": low, "b": high}, True, solved=half) == {"a": (1, 1), "b": (2, 2)}
    assert rank_ranges({"a": low, "b": high}, True) == {"a": (1, 2), "b": (1, 2)}, "the means are of nothing"


def test_places_are_on_the_scale_of_the_metric() -> None:
    """Errors that differ by a factor: one outlier hides it on the plain scale, and not on that of logarithms."""
    few, many = [1e-4, 2e-4, 1e-4, 3e-3, 2e-4], [1e-2, 3e-2, 2e-2, 4e-1, 2e-2]
    assert rank_ranges({"a": few, "b": many}, True, metric="mse") == {"a": (1, 1), "b": (2, 2)}
    assert rank_ranges({"a": few, "b": many}, True, metric="nll") == {"a": (1, 2), "b": (1, 2)}
    with pytest.raises(ValueError, match="no logarithm"):
        rank_ranges({"a": [0.0, 1.0], "b": [1.0, 2.0]}, True, metric="mse")


def test_times_where_few_or_none_solve() -> None:
    never = time_to_solve([100.0, 100.0, 100.0], [False] * 3)
    assert never.value == math.inf
    assert time_to_solve([1.0, 2.0, 3.0], [True] * 3).value == 2.0
    assert log_rank([5.0, 5.0], [False, False], [5.0], [False]) == (1.0, 0)
    with pytest.raises(ValueError, match="runs"):
        time_to_solve([], [])


def test_holm_published() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize(("one", "other", "runs"), [(0.9, 0.6, 38), (0.9, 0.7, 72)])
def test_seeds_needed_known(one: float, other: float, runs: int) -> None:
    assert seeds_needed(one, other) == runs == seeds_needed(other, one)
    with pytest.raises(ValueError, match="different"):
        seeds_needed(0.5, 0.5)


@pytest.mark.parametrize(
    ("a", "b"), [([1.0, 2, 3, 4], [5.0, 6, 7, 9]), ([1.0, 2, 3], [7.0, 5, 6, 9, 8]), ([9.0, 8, 7, 6, 5], [1.0, 2, 3])]
)
def test_samples_that_lie_apart_have_the_exact_p_without_resampling(a: list[float], b: list[float]) -> None:
    whole = stats.permutation_test(
        (a, b), lambda x, y: abs(numpy.mean(x) - numpy.mean(y)), n_resamples=numpy.inf, alternative="greater"
    )
    assert difference(a, b).p == pytest.approx(whole.pvalue)


def test_of_unequal_samples_that_lie_apart_other_labels_may_be_as_extreme() -> None:
    """Ten values against twelve close by and eight far off: with eight far ones the smaller sample would differ by more."""
    a, b = [0.5 + k / 1000 for k in range(10)], [*(0.52 + k / 1000 for k in range(12)), *[1.0] * 8]
    random = numpy.random.default_rng(1)
    drawn = (random.permutation([*a, *b]) for _ in range(20_000))
    share = numpy.mean([abs(one[:10].mean() - one[10:].mean()) >= abs(numpy.mean(a) - numpy.mean(b)) for one in drawn])
    assert difference(a, b).p == pytest.approx(share, abs=4 * math.sqrt(share / 20_000)) and share > 0.003


@pytest.mark.parametrize(("one", "other", "level"), [(0.8, 0.2, 0.05 / 6), (1.0, 0.6, 0.05), (0.9, 0.6, 0.05)])
def test_so_many_seeds_give_fishers_test_its_power(one: float, other: float, level: float) -> None:
    runs = seeds_needed(one, other, 0.8, 1 - level)
    counts = numpy.arange(runs + 1)
    chance = numpy.outer(stats.binom.pmf(counts, runs, one), stats.binom.pmf(counts, runs, other))
    told = [[chance[i, j] > 1e-9 and difference_of_shares(i, runs, j, runs)[1] <= level for j in counts] for i in counts]
    assert 0.8 <= chance[numpy.array(told, bool)].sum() < 0.96


def test_many_seeds_that_lie_apart_are_not_held_to_the_number_of_resamples() -> None:
    a, b = [float(k) for k in range(12)], [float(k) for k in range(20, 32)]
    assert difference(a, b).p == pytest.approx(2 / math.comb(24, 12))
    assert difference(a, [-1.0 - k for k in range(12)], paired=True).p == pytest.approx(2 / 2**12)


def test_places_are_what_welchs_test_allows():
    """Worst first where more is better; one alone, and none, have no place; samples without spread are asked by permutation."""
    samples = {"a": [0.1, 0.11, 0.12], "b": [0.105, 0.115, 0.125], "c": [0.9, 0.91, 0.92]}
    assert rank_ranges(samples, lower_is_better=True) == {"a": (1, 2), "b": (1, 2), "c": (3, 3)}
    assert rank_ranges(samples, lower_is_better=False) == {"a": (2, 3), "b": (2, 3), "c": (1, 1)}
    assert rank_ranges({}, True) == rank_ranges({"a": [1.0, 2.0]}, True) == {}
    for one, other in ((1.0, 2.0), (0.1, 0.2), (0.7, 0.9)):
        assert rank_ranges({"a": [one] * 3, "b": [other] * 3}, True) == {"a": (1, 2), "b": (1, 2)}, "p = .1 at best"
    assert rank_ranges({"a": [1.0] * 5, "b": [2.0] * 5}, True) == {"a": (1, 1), "b": (2, 2)}


def test_many_places_of_one_distribution_are_seldom_told_apart():
    rng = numpy.random.default_rng(0)
    told = sum(
        any(place != (1, 5) for place in rank_ranges(dict(enumerate(rng.normal(size=(5, 4)))), True).values())
        for _ in range(400)
    )
    assert told / 400 < 0.08, "the chance of any false order is 5 %"


def test_the_interval_of_a_time_at_which_all_solve_holds_it():
    found = time_to_solve([5.0, 5.0], [True, True])
    assert found.low == found.value == 5


@pytest.mark.parametrize(("one", "other"), [(3, 4), (5, 5), (8, 8), (10, 12)])
@pytest.mark.parametrize("apart", [0.0, 0.5, 2.0])
def test_labels_are_permuted_as_scipy_does(one: int, other: int, apart: float) -> None:
    random = numpy.random.default_rng(one)
    x, y = random.normal(size=one).round(1), (random.normal(size=other) + apart).round(1)
    for resamples in (999, 9999):
        found = stats.permutation_test(
            (x, y),
            lambda x, y, axis: abs(x.mean(axis=axis) - y.mean(axis=axis)),
            vectorized=True,
            alternative="greater",
            n_resamples=resamples,
            rng=numpy.random.default_rng(0),
        )
        assert _by_labels(x, y, resamples) == found.pvalue


def test_all_pairs_at_once_are_scipys_pairs() -> None:
    rng = numpy.random.default_rng(3)
    samples = [rng.normal(rng.normal(), rng.uniform(0.1, 9), size=rng.integers(2, 9)) for _ in range(12)]
    samples += [numpy.full(3, 2.0), numpy.full(5, 0.1), numpy.full(4, 0.1)]
    first, second = numpy.triu_indices(len(samples), 1)
    p, differences = _welch(samples, first, second)
    for at, (one, other) in enumerate(itertools.combinations(samples, 2)):
        assert differences[at] == pytest.approx(one.mean() - other.mean())
        if max(numpy.ptp(one), numpy.ptp(other)) == 0:
            assert math.isnan(p[at]), "without any spread the test says nothing"
        else:
            assert p[at] == pytest.approx(stats.ttest_ind(one, other, equal_var=False).pvalue, rel=1e-9)


@pytest.mark.parametrize("kind", ["spread", "none", "solved in part"])
def test_the_number_of_tests_does_not_grow_with_the_pairs(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 40 settings there are 780 pairs; scipy is asked for as many tests as there are kinds of pairs."""
    calls = []
    for name in ("difference_of_shares", "_by_chance", "_t_test"):
        real = getattr(significance, name)
        monkeypatch.setattr(significance, name, lambda *given, real=real, name=name: calls.append(name) or real(*given))
    significance._of_shares.cache_clear()
    significance._without_spread.cache_clear()
    spread = 0.0 if kind == "none" else 0.01
    samples = {str(at): [at + spread * k for k in range(5)] for at in range(40)}
    solved = {str(at): [True] * (1 + at % 4) + [False] * (4 - at % 4) for at in range(40)} if kind == "solved in part" else None
    places = rank_ranges(samples, True, solved=solved)
    if kind == "spread":
        assert calls == [] and places["0"] == (1, 1) and places["39"] == (40, 40)
    elif kind == "none":
        assert calls.count("_by_chance") == 1
    else:
        assert calls.count("difference_of_shares") <= 12
