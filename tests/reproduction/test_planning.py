"""What `reproduce --hours` does next: chances, choice, and by simulation how many verdicts an hour it reaches."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy
import pytest

from rnnbench.cli.reproduce import _plan_lines
from rnnbench.reproduction.declaration import CellSpec
from rnnbench.reproduction.grid import Seeds
from rnnbench.reproduction.planning import UNSEEN, MissingRun, Question, contrast_chance, next_question, value_chance
from rnnbench.reproduction.verdicts import ValueTest, compare_means, compare_value, first_settled, value_verdict

LEVEL = 0.05
LOOKS = Seeds(first=3, more=3, most=12).judged(LEVEL)
SPREAD = [-1.0, -0.5, 0.0, 0.5, 1.0]


@functools.cache
def runs(count: int, minutes: float, words: str = "a") -> tuple[MissingRun, ...]:
    cell = CellSpec("row", words, "paper", (), (words,), Seeds(first=max(count, 1)), minutes)
    return tuple(MissingRun(cell, seed, minutes) for seed in range(count))


def value_test(away: float, spread: float = 0.3) -> ValueTest:
    return compare_value([10 + away + spread * one for one in SPREAD], 10.0, "single", True)


@pytest.mark.parametrize("away", [0.0, 0.3, 0.9, 1.1, 2.0, 5.0])
def test_the_chance_is_blind_to_direction(away):
    assert value_chance(value_test(away), 1.0, 10, LEVEL) == pytest.approx(value_chance(value_test(-away), 1.0, 10, LEVEL))
    a, b = [away + 0.3 * one for one in SPREAD], [0.2 * one for one in SPREAD]
    for expect in ("more", "less", "same"):
        one, other = compare_means(a, b, 0.5, None), compare_means(b, a, 0.5, None)
        assert contrast_chance(expect, one, 10, LEVEL) == pytest.approx(contrast_chance(expect, other, 10, LEVEL))


def test_the_chance_is_high_where_a_verdict_is_near_and_low_at_the_margin():
    close, at_margin, far = (value_chance(value_test(away), 1.0, 10, LEVEL) for away in (0.4, 1.0, 4.0))
    assert close > 0.9 and far > 0.9 and at_margin < 0.1
    small, none = (compare_means([away + one for one in SPREAD], SPREAD, None, None) for away in (1.5, 0.0))
    assert contrast_chance("more", small, 20, LEVEL) > 0.7 > 0.3 > contrast_chance("more", none, 20, LEVEL)


@pytest.mark.parametrize("away", [0.0, 0.5, 0.8, 1.3, 1.8])
def test_the_chance_is_what_happens(away):
    """Given five runs, how often does the look of ten reach a verdict? The mean moves as its standard error shrinks."""
    generator, first = numpy.random.default_rng(0), [away + 0.9 * one for one in SPREAD]
    test = compare_value(first, 0.0, "single", True)
    spread, hits = float(numpy.std(first, ddof=1)), 0
    for _ in range(400):
        mean = away + spread / math.sqrt(5) * generator.normal()
        more = (mean + spread * generator.normal(size=5)).tolist()
        word = value_verdict([*first, *more], 0.0, "single", 1.0, True)[0].word
        hits += word in ("reproduced", "better", "worse")
    assert abs(value_chance(test, 1.0, 10, LEVEL) - hits / 400) < 0.12


def test_of_several_questions_the_one_that_is_worth_most_a_minute_is_next():
    cheap = Question("cheap", 1.0, 0.1, runs(1, 1.0))
    likely = Question("likely", 1.0, 0.9, runs(2, 2.0))
    minor = Question("minor", 0.1, 0.9, runs(1, 2.0))
    never = Question("never", 1.0, 0.0, runs(1, 0.001))
    done = Question("done", 1.0, 1.0, ())
    for order in itertools.permutations([cheap, likely, minor, never, done]):
        assert next_question(order) is likely
    assert likely.minutes == 4.0 and next_question([cheap, likely], minutes=1.5) is cheap
    assert next_question([never, done]) is None and next_question([likely], minutes=1.9) is None


def test_the_plan_says_what_the_hours_are_enough_for():
    """In the order of worth; what no run can settle is left out."""
    asked = [
        ("t", Question(name, 1.0, chance, runs(2, 30.0, name))) for name, chance in (("b", 0.4), ("a", 0.5), ("never", 0.0))
    ]
    first, second, total = _plan_lines(asked, 1.5)
    assert first == "t: a, paper scale: a verdict with a chance of 0.50 for 2 runs, 1:00:00" and ": b, " in second
    assert total.startswith("1.5 h are enough for the first 1 (about 1:00:00) of 2 open questions")


def test_a_run_that_serves_two_cells_costs_once():
    once, again = runs(1, 5.0, "same"), runs(1, 5.0, "same")
    assert Question("both", 1.0, 0.5, (*once, *again)).minutes == 5.0


# By simulation


@dataclass
class Asked:
    """A printed value with a true distance from ours, and what a run costs. The margin is 1."""

    away: float
    spread: float
    minutes: float
    stream: numpy.random.Generator
    looks: list[tuple[int, float]] = field(default_factory=lambda: LOOKS)
    made: list[float] = field(default_factory=list)
    word: str = ""
    chance: float = UNSEEN

    @property
    def look(self) -> tuple[int, float] | None:
        return None if self.settled else next((one for one in self.looks if one[0] > len(self.made)), None)

    @property
    def settled(self) -> bool:
        return self.word in ("reproduced", "better", "worse")

    def run(self) -> None:
        self.made.append(self.away + self.spread * float(self.stream.normal()))
        there = [one for one in self.looks if one[0] <= len(self.made)]
        if not there or there[-1][0] < len(self.made):
            return
        found = first_settled(
            there, lambda seeds, level: value_verdict(self.made[:seeds], 0.0, "single", 1.0, True, level=level)
        )
        if found:
            self.word = found[0].word
        if found and found[1] and self.look:
            self.chance = value_chance(found[1], 1.0, *self.look)

    def question(self, name: str) -> Question:
        look = self.look
        if look is None:
            return Question(name, 1.0, 0.0, ())
        return Question(name, 1.0, self.chance, runs(look[0] - len(self.made), self.minutes))


def many(seed: int) -> list[Asked]:
    """Half of them as printed but for the chance in one run of theirs, half away by up to four margins."""
    generator = numpy.random.default_rng(seed)
    found = []
    for _ in range(40):
        spread = float(generator.uniform(0.3, 1.5))
        same = generator.random() < 0.5
        away = float(generator.normal() * spread if same else generator.choice([-1, 1]) * generator.uniform(0, 4))
        minutes = float(math.exp(generator.uniform(math.log(1), math.log(90))))
        found.append(Asked(away, spread, minutes, numpy.random.default_rng(int(generator.integers(2**31)))))
    return found


def in_order(asked: list[Asked]) -> Asked | None:
    return next((one for one in asked if one.look), None)


def cheapest(asked: list[Asked]) -> Asked | None:
    return min((one for one in asked if one.look), key=lambda one: one.question("").minutes, default=None)


def by_worth(asked: list[Asked]) -> Asked | None:
    found = next_question(one.question(str(number)) for number, one in enumerate(asked))
    return asked[int(found.name)] if found else None


def spend(choose: Callable[[list[Asked]], Asked | None], seed: int, minutes: float) -> list[Asked]:
    asked = many(seed)
    while (one := choose(asked)) is not None and one.minutes <= minutes:
        one.run()
        minutes -= one.minutes
    return asked


def test_more_verdicts_an_hour_than_in_order_and_no_fewer_than_cheapest_first():
    """Ten hours for 40 values whose looks would take about 170: verdicts of 12 draws, and how many of them are false."""
    verdicts, false, settled = dict[str, int](), 0, 0
    for choose in (in_order, cheapest, by_worth):
        for seed in range(12):
            asked = [one for one in spend(choose, seed, 600.0) if one.settled]
            verdicts[choose.__name__] = verdicts.get(choose.__name__, 0) + len(asked)
            if choose is by_worth:
                settled += len(asked)
                false += sum((one.word == "reproduced") != (abs(one.away) <= 1) for one in asked)
    print(verdicts, f"{false} of {settled} false")
    assert verdicts["by_worth"] >= 1.5 * verdicts["in_order"]
    assert verdicts["by_worth"] >= verdicts["cheapest"]
    assert false <= LEVEL * 12 * 40
