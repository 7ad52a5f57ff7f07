"""Equal state and equal time a step: the width that is found, its runs, and what the page says of them."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
import yaml

from rnnbench.card import sizes
from rnnbench.card.outcomes import SamplePair, answer_family
from rnnbench.card.page import BesidesVerdict, Card, besides_table
from rnnbench.card.runs import Entrants, EqualWidth, besides_lines, card_lines, find_card_runs
from rnnbench.card.sizes import WIDTHS, check_budget, equal_widths, keep_widths, kept_widths, width_of_time
from rnnbench.card.suite import load_suite, read_suite
from rnnbench.cli.main import main
from rnnbench.config.compose import compose_jobs
from rnnbench.config.schema import trust_choice
from rnnbench.options import BadOption
from rnnbench.run.plan import make_task, within_budget
from rnnbench.store.find import find_runs
from tests.card.test_card import CARD, MGU, SUITE, tiny  # noqa: F401 - a fixture
from tests.card.test_outcomes import GOOD, POOR

BESIDES = {**SUITE, "besides": ["adding"]}


# The width of equal time


def timed(truth: Callable[[int], float], noise: float = 0.0, seed: int = 0) -> Callable[[int, int], float]:
    """A ratio with noise of that deviation, which falls with the times it is measured."""
    random = numpy.random.default_rng(seed)
    return lambda width, times: truth(width) * math.exp(noise / math.sqrt(times) * random.normal())


@pytest.mark.parametrize("power", [0.4, 1.0, 2.0])
@pytest.mark.parametrize("wanted", [7, 40, 300])
@pytest.mark.parametrize("start", [10, 64, 500])
def test_the_width_of_equal_time_is_the_one_at_which_the_ratio_is_one(power: float, wanted: int, start: int) -> None:
    width, ratio = width_of_time(timed(lambda width: (width / wanted) ** power), start, tolerance=0.03)
    assert ratio == (width / wanted) ** power
    assert abs(ratio - 1) <= 0.03 or width == wanted


@pytest.mark.parametrize("seed", range(20))
def test_noise_of_a_measurement_seldom_finds_another_width(seed: int) -> None:
    """The ratio that counts is measured anew: it is the true one but for its own noise of 1 %."""
    truth = lambda width: 0.2 + 0.8 * width / 100  # noqa: E731
    width, ratio = width_of_time(timed(truth, noise=0.014, seed=seed), 64, tolerance=0.03)
    assert abs(ratio - 1) <= 0.03 and abs(truth(width) - 1) <= 0.03 + 4 * 0.01


@pytest.mark.parametrize(
    ("truth", "nearest"),
    [
        (lambda width: 0.9 if width <= 64 else 1.2, {64}),  # a jump, as where a vector of the processor is full
        (lambda width: 1.5 + width / 1000, {1}),  # even one unit takes longer
        (lambda _: 0.5, {64}),  # no width takes as long, and none is nearer than another
    ],
)
def test_where_no_width_takes_as_long_the_nearest_is_named_and_its_ratio(
    truth: Callable[[int], float], nearest: set[int]
) -> None:
    width, ratio = width_of_time(timed(truth), 64, tolerance=0.03)
    assert abs(ratio - 1) > 0.03 and ratio == truth(width)
    assert width in nearest


# Both widths of real cells


def of_state(cell: str, opponent: str) -> EqualWidth:
    Path("besides.yaml").write_text(yaml.safe_dump(BESIDES))
    entrants = Entrants(cell, {cell: cell, opponent: opponent})
    state, time = equal_widths(read_suite(Path("besides.yaml")), entrants, rounds=1)
    assert (state.equal, time.equal) == ("state", "time") and {state.task, time.task} == {"adding"}
    assert time.width >= 1 and 0 < time.ratio < math.inf
    return state


@pytest.mark.parametrize(("cell", "opponent", "times"), [("gru", "lstm", 2), ("lstm", "gru", 1 / 2), ("rnn", "gru", 1)])
def test_the_width_of_equal_state_is_that_of_the_arithmetic(cell: str, opponent: str, times: float) -> None:
    """An LSTM carries two numbers a unit, a GRU and an RNN one; adding at 200 parameters."""
    words = ["budget.params=200", "budget.tolerance=0.5", "task.sequences=8", "task=adding", "task.length=4"]
    (settings,) = compose_jobs([*words, f"model={opponent}"], sweep=False)
    task = make_task(settings)
    units = within_budget(settings, task).model.options["hidden_size"]
    found = of_state(cell, opponent)
    assert found.width in {math.floor(units * times), math.ceil(units * times)}
    assert found.ratio == pytest.approx(found.width / (units * times)) and found.met


def test_a_cell_without_a_state_is_not_compared_at_equal_state() -> None:
    found = of_state("gru", "transformer")
    assert not found.met


# Runs and page


@pytest.fixture
def besides(tiny: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """A suite with widths besides; seven units of the cell take as long as the opponent, on every machine."""
    Path("tiny.yaml").write_text(yaml.safe_dump(BESIDES))
    monkeypatch.setattr(sizes, "time_ratio", lambda *_: lambda width, _: width / 7)


def test_a_card_says_what_came_out_at_equal_state_and_time_apart_from_the_rest(
    besides: None, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main([*CARD, "-o", "out"]) == 0
    assert "the widths at which MGU has the state, and the time a step, of its opponents" in capfd.readouterr().out
    card = json.loads(Path("out/card.json").read_text())
    assert [(one["equal"], one["task"], one["opponent"]) for one in card["besides"]] == [
        ("state", "adding", "rnn"),
        ("time", "adding", "rnn"),
    ]
    assert [len(runs) for runs in card["besides_runs"]] == [4, 4] and not card["unmet"]
    assert {task: {name: len(found) for name, found in models.items()} for task, models in card["runs"].items()} == {
        task: {"MGU": 4, "rnn": 5} for task in ("adding", "parity")
    }  # at equal parameters, as without
    assert sum(int(card["row"][word]) for word in ("ahead", "behind", "open")) == len(card["verdicts"]) == 2
    assert f"of {len(card['verdicts'])} comparisons" in card["says"]
    for name in ("card.html", "card.md"):
        page = Path("out", name).read_text()
        assert page.index("Where is it better?") < page.index("At equal state and at equal time a step")
        assert "correction is over these 2 comparisons alone; the 2 at equal parameters and the summary do not count" in page
    records = [run.record for run in find_runs([Path("runs")])[0] if run.record]
    widths = {record["config"]["model"]["hidden_size"] for record in records if record["model"]["name"] == "MGU"}
    assert {one["width"] for one in card["besides"]} <= widths  # the chosen width is recorded
    assert sum(record["model"]["name"] == "rnn" for record in records) == 10  # the opponent runs once
    stamps = {run.path: (run.path / "record.json").stat().st_mtime_ns for run in find_runs([Path("runs")])[0]}
    assert main([*CARD, "-o", "out"]) == 0  # answered from the records and the widths beside the page
    assert {run.path: (run.path / "record.json").stat().st_mtime_ns for run in find_runs([Path("runs")])[0]} == stamps
    again = json.loads(Path("out/card.json").read_text())
    assert {key for key in card if again[key] != card[key]} <= {"costs", "row"}  # times, measured anew


def test_what_a_card_takes_includes_them(besides: None, capfd: pytest.CaptureFixture[str]) -> None:
    keep = [EqualWidth("adding", "rnn", "state", 9, 1.0, True), EqualWidth("adding", "rnn", "time", 5, 1.0, True)]
    suite, entrants = read_suite(Path("tiny.yaml")), Entrants("gru", {"gru": "gru", "rnn": "rnn"})
    keep_widths(suite, entrants, Path("out"), keep)
    assert main(["card", "gru", "tracker=none", "--estimate", "-o", "out"]) == 0
    assert "26 runs, 0 recorded before" in capfd.readouterr().out  # 2 tasks of 4 + 5, and 2 widths of 4
    lines = besides_lines(suite, entrants, None, [*keep, EqualWidth("adding", "rnn", "time", 7, 1.2, False)])
    assert len(lines) == 8 and not any(word.startswith("budget.") for line in lines for word in line.words)
    runs = find_card_runs([*card_lines(suite, entrants, None), *lines], {}, ["tracker=none"])
    assert len({run.folder.path for run in runs if run.folder}) == 26


def test_widths_are_kept_for_this_cell_and_suite_alone(besides: None, capfd: pytest.CaptureFixture[str]) -> None:
    suite, entrants = read_suite(Path("tiny.yaml")), Entrants("gru", {"gru": "gru", "rnn": "rnn"})
    assert kept_widths(suite, entrants, Path("out")) is None
    keep = [EqualWidth("adding", "rnn", "state", 9, 1.0, True)]
    keep_widths(suite, entrants, Path("out"), keep)
    assert kept_widths(suite, entrants, Path("out")) == keep
    for other in (Entrants("lstm", {"lstm": "lstm", "rnn": "rnn"}), Entrants("gru", {"gru": "gru", "lstm": "lstm"})):
        assert kept_widths(suite, other, Path("out")) is None
    Path("other.py").write_text(MGU.replace("(1 - f)", "(1.0 - f)"))
    paths = [f"{Path(name).absolute()}:MGU" for name in ("my_cell.py", "other.py")]
    for path in paths:
        trust_choice("model", path)
    filed, other = (Entrants("gru", {"gru": "gru", "MGU": path}) for path in paths)
    none = [EqualWidth("adding", "MGU", "state", 9, math.inf, False)]  # of an opponent without state
    keep_widths(suite, filed, Path("out"), none)
    assert kept_widths(suite, filed, Path("out")) == none and "Infinity" not in Path("out", WIDTHS).read_text()
    assert kept_widths(suite, other, Path("out")) is None  # a class of that name with another source
    for text in ("{", "[]", '{"about": 3, "widths": [{"width": 3}]}'):
        Path("out", WIDTHS).write_text(text)
        with pytest.raises(BadOption, match=r"out/widths\.json: no widths of a card; remove it"):
            kept_widths(suite, entrants, Path("out"))
    assert main(["card", "gru", "tracker=none", "--estimate", "-o", "out"]) == 2
    assert capfd.readouterr().err.count("\n") == 1


def test_a_model_that_misses_the_budget_is_named_with_its_task() -> None:
    suite = load_suite("quick")
    check_budget(suite, Entrants("gru", {"gru": "gru", "rnn": "rnn"}))
    with pytest.raises(
        BadOption, match=r"^quick/1 cannot compare tcn on temporal_order: no width of tcn comes within 3 %"
    ) as said:
        check_budget(suite, Entrants("gru", {"gru": "gru", "tcn": "tcn"}))
    assert "budget." not in str(said.value)  # which a suite sets


def test_a_width_that_is_not_met_is_named_and_not_run(besides: None) -> None:
    suite, entrants = read_suite(Path("tiny.yaml")), Entrants("gru", {"gru": "gru", "rnn": "rnn"})
    keep_widths(suite, entrants, Path("out"), [EqualWidth("adding", "rnn", "time", 7, 1.25, False)])
    assert main(["card", "gru", "tracker=none", "-o", "out"]) == 0
    said = "Adding, rnn: no width of gru has an equal time a step; the nearest, 7, has 1.250 times"
    assert all(said in Path("out", name).read_text() for name in ("card.md", "card.html"))
    assert not json.loads(Path("out/card.json").read_text())["besides"]


def test_runs_that_diverged_are_named_there_too() -> None:
    suite, width = load_suite("quick"), EqualWidth("adding", "lstm", "time", 7, 1.01, True)
    lost = dataclasses.replace(
        GOOD, outcomes=tuple(one._replace(diverged=number < 2) for number, one in enumerate(GOOD.outcomes))
    )
    other = dataclasses.replace(POOR, model="lstm")
    card = Card("mine", suite, "", "", samples={"adding": {"mine": GOOD, "lstm": other}})
    card.besides = [BesidesVerdict(width, lost, *answer_family(suite, [SamplePair("adding", lost, other)]))]
    assert besides_table(card).gaps == ("Adding, 20 steps, lstm, equal time a step: 2 of 5 runs of mine diverged",)


def test_the_family_is_corrected_by_itself() -> None:
    """p of a pair of five seeds that lie apart is 2/252; of two such questions Holm's is twice that."""
    suite = load_suite("quick")
    (alone,) = answer_family(suite, [SamplePair("adding", GOOD, POOR)])
    two = answer_family(suite, [SamplePair("adding", GOOD, POOR), SamplePair("parity", POOR, GOOD)])
    assert alone.p == pytest.approx(2 / 252) and [one.p for one in two] == [pytest.approx(4 / 252)] * 2
    assert [one.word for one in two] == ["ahead", "behind"]


def test_the_full_suite_has_two_such_tasks_and_a_screening_none() -> None:
    full, quick = load_suite("card"), load_suite("quick")
    assert len(full.besides) == 2 and not quick.besides
    assert all(full.tasks[name].draws and not full.tasks[name].needs for name in full.besides)  # on every machine
