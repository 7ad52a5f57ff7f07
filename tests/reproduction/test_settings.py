"""Settings that take turns over the seeds of a cell, and what validation is still to choose for one."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from rnnbench.analysis.render import to_markdown
from rnnbench.cli import reproduce
from rnnbench.cli.main import main
from rnnbench.options import BadOption
from rnnbench.reproduction.declaration import load_declaration, table_names
from rnnbench.reproduction.evaluate import measure_table
from rnnbench.reproduction.overview import OWN_CHOICE, count_table, hours_sentence
from rnnbench.reproduction.planning import MissingRun, Question, open_questions
from rnnbench.reproduction.readme import table_details
from tests.reproduction.test_declared import GRID, REPORTED, edited, write
from tests.reproduction.test_reproductions import lines, record, run, sealed

RATES = ["train.learning_rate=0.01", "train.learning_rate=0.02", "train.learning_rate=0.03"]
WIDTHS = ["model.hidden_size=3", "model.hidden_size=4", "model.hidden_size=5"]


def with_turns(turns: list[str]) -> dict[str, Any]:
    scales = copy.deepcopy(GRID["rows"]["adding"]["scales"])
    scales["paper"]["turns"] = turns
    return edited(scales=scales)


def pending(**more: Any) -> dict[str, Any]:
    differs = {"kind": "unknown", "says": "the width", "tried": WIDTHS, "chosen": False, **more}
    return {**REPORTED, "values": {"adding/lstm": [{**REPORTED["values"]["adding/lstm"][0], "differs": differs}]}}


def test_seeds_take_words_in_turn_and_a_run_of_another_turn_does_not_count(tmp_path):
    table = load_declaration(str(write(tmp_path / "t", with_turns(RATES))))
    cell = table.cell("adding", "lstm", "paper")
    assert [cell.words_of(seed)[-1] for seed in range(5)] == [*RATES, *RATES[:2]]
    assert cell.settings == [(*cell.words, rate) for rate in RATES]
    assert table.cell("adding", "lstm", "laptop").settings == [table.cell("adding", "lstm", "laptop").words]
    found = [record(cell.words_of(seed), seed, 0.1 + seed / 100) for seed in range(3)]
    found += [record(cell.words_of(1), 0, 0.9), record(cell.words, 1, 0.8), record(cell.words_of(2), 4, 0.7)]
    lines(table.folder / "results.jsonl", found)
    own = measure_table(table, None)
    runs = own.runs.cells[cell.place]
    assert runs.values("score") == pytest.approx([0.1, 0.11, 0.12]) and not runs.missing() and not own.runs.complaints


def test_a_batch_of_hours_runs_each_seed_by_the_words_of_its_turn(tmp_path, monkeypatch):
    table = load_declaration(str(write(tmp_path / "t", with_turns(RATES))))
    cell, launched = table.cell("adding", "lstm", "paper"), []
    monkeypatch.setattr(reproduce, "launch_sweep", lambda lines, *_, **__: launched.extend(lines) or 0)
    missing = tuple(MissingRun(cell, seed, 1.0) for seed in range(5))
    code, tried = reproduce._run_batch("t", Question("adding/lstm", 1.0, 0.5, missing), 9.0, ["hydra.launcher.workers=4"])
    assert code == 0 and list(tried) == list(missing[:4])
    assert launched == [[*cell.words_of(seed), f"seed={seed}"] for seed in range(4)]


@pytest.mark.parametrize(
    "model", [{"name": "cell", "class": "gone.py:Cell"}, {"name": "lstm", "mechanism": "of_a_later_version"}]
)
def test_a_run_of_code_that_is_not_here_stops_no_table(tmp_path, model):
    table = load_declaration(str(write(tmp_path / "t", GRID)))
    cell = table.cell("adding", "lstm", "paper")
    foreign = record(cell.words, 0, 0.5)
    foreign["config"]["model"] = {**foreign["config"]["model"], **model}
    lines(table.folder / "results.jsonl", [sealed(foreign), record(cell.words, 1, 0.1)])
    own = measure_table(table, None)
    assert list(own.runs.cells[cell.place].runs) == [1]


def test_a_declaration_without_turns_has_the_digest_that_it_had(tmp_path):
    plain, turned = (
        load_declaration(str(write(tmp_path / name, grid))) for name, grid in (("a", GRID), ("b", with_turns(RATES)))
    )
    assert plain.digest("adding") != turned.digest("adding")
    assert load_declaration("feng2024").digest("length_32_symbols_4") == "788c2c5c"


@pytest.mark.parametrize(
    ("grid", "reported", "said"),
    [
        (with_turns(RATES[:1]), REPORTED, "turns: two at least, and none twice"),
        (with_turns([*RATES, RATES[0]]), REPORTED, "turns: two at least, and none twice"),
        (with_turns(["seed=1", "seed=2"]), REPORTED, "words of a cell are task="),
        (GRID, pending(kind="other", tried=[], chosen=True), "this is of kind other"),
        (GRID, pending(beside="seed=3"), "words of a cell are task="),
        (GRID, pending(tried=WIDTHS[:2]), "three values at least; got 2"),
    ],
)
def test_what_cannot_be_declared_is_refused_in_a_line(tmp_path, grid, reported, said):
    with pytest.raises(BadOption, match=said) as error:
        load_declaration(str(write(tmp_path / "t", grid, reported)))
    assert "\n" not in str(error.value) and len(str(error.value)) < 400


def test_what_is_not_chosen_has_no_verdict_and_its_cost_is_on_the_page(tmp_path):
    table = load_declaration(str(write(tmp_path / "t", GRID, pending(beside="task.marks=anywhere"))))
    (choice,) = table.choices("adding")
    assert [words[-2:] for words in choice.runs] == [(width, "task.marks=anywhere") for width in WIDTHS]
    assert choice.minutes == pytest.approx(0.3)
    cell = table.cell("adding", "lstm", "paper")
    for scores, word in (([], "missing"), ([0.1, 0.1001, 0.1002], "open")):  # as good as reproduced
        lines(table.folder / "results.jsonl", [record(cell.words, seed, score) for seed, score in enumerate(scores)])
        own = measure_table(table, None, "paper")
        counts = count_table(own)
        assert counts.judged == {OWN_CHOICE: 1} and counts.verdicts == {word: 1}
        assert counts.choices == pytest.approx(18) and "choosing what the source does not say takes 0.0 h" in hours_sentence(
            counts
        )
        assert not [one for one in open_questions(own, ["adding"]) if one.name == "adding/lstm"], "no seed can settle it"
        page = table_details(own, lambda tables: to_markdown(tables))
        assert (
            "validation is to choose among `model.hidden_size=3`, `model.hidden_size=4`, `model.hidden_size=5` (3 runs" in page
        )
        assert "--rows adding --as choices`" in page
    chosen = load_declaration(str(write(tmp_path / "t", GRID, pending(chosen=True))))
    assert not chosen.choices("adding") and count_table(measure_table(chosen, None, "paper")).verdicts == {"reached": 1}


def test_choices_are_run_once_and_ranked_by_validation(tmp_path):
    table = write(tmp_path / "t", GRID, pending())
    words = ["reproduce", str(table), "--as", "choices", "tracker=none"]
    done = run(*words)
    assert done.returncode == 0, done.stderr
    assert "1 choice, 3 runs" in done.stdout and "adding/lstm, by validation: model.hidden_size=" in done.stdout
    assert done.stdout.count("no score") == 0 and len(list(Path("runs").glob("adding/lstm/*/record.json"))) == 3
    own = measure_table(load_declaration(str(table)), Path("runs"))
    assert not own.runs.cells["adding/lstm", "paper"].runs, "a run that chooses is none that is reported"
    again = run(*words)
    assert again.returncode == 0 and len(list(Path("runs").glob("adding/lstm/*/record.json"))) == 3
    assert [line for line in again.stdout.splitlines() if "by validation" in line] == [
        line for line in done.stdout.splitlines() if "by validation" in line
    ]


@pytest.mark.parametrize("more", [["--scale", "paper"], ["--again"], ["--columns", "gru"]])
def test_choices_that_are_none_are_refused(tmp_path, capsys, more):
    table = write(tmp_path / "t", GRID, pending())
    assert main(["reproduce", str(table), "--as", "choices", *more, "tracker=none"]) == 2
    error = capsys.readouterr().err
    assert "--as choices" in error and error.count("\n") == 1 and not Path("runs").exists()


@pytest.mark.parametrize("name", table_names())
def test_of_every_row_with_values_a_margin_stands_with_its_reason(name):
    table = load_declaration(name)
    for place in table.reports.values:
        row = table.grid.rows[place.partition("/")[0]]
        assert row.gap or row.ratio or row.margin_note, place


@pytest.mark.parametrize("name", table_names())
def test_what_differs_is_said_of_every_value_that_is_context(name):
    """A value whose estimator nobody knows is context, too; of all others what the source says otherwise, or does not say."""
    table = load_declaration(name)
    for values in table.reports.values.values():
        for value in values:
            assert value.estimator != "unknown" or (value.differs and value.differs.kind == "other")
            assert value.differs is None or len(value.differs.says) > 3
