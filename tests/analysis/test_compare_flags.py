"""The flags of `compare`: rows, columns, order, layouts and formats, on runs with known answers."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rnnbench.analysis.comparison_text import RANKED
from rnnbench.analysis.render import export, to_terminal
from rnnbench.analysis.table import FORMATS, Cell, Column, Table
from rnnbench.analysis.table_choice import arrange
from rnnbench.cli.main import main
from tests.analysis.test_tables import write

Compare = Callable[..., str]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tasks, two models, two widths of one of them, three seeds; gru is far better on adding; one run diverged."""
    root = tmp_path_factory.mktemp("store")
    ends = {
        "adding": {"lstm-8": 0.1, "lstm-16": 0.11, "gru-8": 0.04},
        "copy_memory": {"lstm-8": 0.05, "lstm-16": 0.05, "gru-8": 0.05},
    }
    for task, models in ends.items():
        for label, score in models.items():
            model, _, width = label.partition("-")
            for seed in range(3):
                options = {"hidden_size": int(width)}
                last = (task, label, seed) == ("copy_memory", "gru-8", 2)
                status = {"status": "diverged"} if last else {}
                about: dict[str, Any] = {"length": 100} if task == "adding" else {"delay": 20}
                score_of_seed = None if last else score * (1 + seed / 100)
                write(root, task, model, seed, score_of_seed, model_options=options, task_options=about, rows=2, **status)
    return root


@pytest.fixture
def compare(store: Path, capfd: pytest.CaptureFixture[str]) -> Compare:
    def call(*words: str, code: int = 0) -> str:
        assert main(["compare", str(store), *words]) == code
        out, err = capfd.readouterr()
        if code:
            assert not out and err.count("\n") == 1 and len(err) <= 401
        return err if code else out

    return call


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


WHERE = {
    "model.hidden_size > 8": {("adding", "lstm"), ("copy_memory", "lstm")},
    "model.name == 'gru' and task.name == 'adding'": {("adding", "gru")},
    "status == 'diverged'": {("copy_memory", "gru")},
    "score < .05 and task == 'adding'": {("adding", "gru")},
    "task.delay == 20": {("copy_memory", "gru"), ("copy_memory", "lstm")},
}


@pytest.mark.parametrize(("where", "expected"), WHERE.items(), ids=WHERE)
def test_where_chooses_runs(compare: Compare, where: str, expected: set[tuple[str, str]]) -> None:
    rows = rows_of(compare("--where", where, "--format", "csv"))
    assert {(row["task"], row["model"]) for row in rows} == expected


def test_runs_have_a_row_each_with_what_differs(compare: Compare) -> None:
    rows = rows_of(compare("--runs", "--format", "csv"))
    assert len(rows) == 18
    assert {"task", "model", "model.hidden_size", "seed", "status", "reason", "score", "path"} <= set(rows[0])
    assert "train.batch_size" not in rows[0], "the same in all"
    (diverged,) = [row for row in rows if row["status"] == "diverged"]
    assert (diverged["reason"], diverged["score"], diverged["seed"]) == ("diverged at step 400", "", "2")
    assert all(Path(row["path"], "record.json").exists() for row in rows)
    every = rows_of(compare("--runs", "--columns", "all", "--format", "csv"))
    assert {"train.batch_size", "id", "speed.steps_per_second", "test.mse"} <= set(every[0])
    few = rows_of(compare("--runs", "--columns", "seed,score", "--sort=-score", "--format", "csv"))
    scores = [float(row["score"]) for row in few if row["score"]]
    assert list(few[0]) == ["seed", "score"] and scores == sorted(scores, reverse=True) and few[-1]["score"] == ""


def test_columns_and_order_of_tables(compare: Compare) -> None:
    found = json.loads(compare("--columns", "score,model.hidden_size", "--sort", "model.hidden_size", "--format", "json"))
    adding = found[0]["rows"]
    assert [row["model.hidden_size"] for row in adding] == [8, 8, 16]
    assert set(adding[0]) == {"model", "row", "setting", "estimator", "value", "low", "high", "model.hidden_size"}
    worst = json.loads(compare("--sort=-value", "--format", "json"))[0]
    assert [row["row"] for row in worst["rows"]] == ["lstm-16", "lstm-8", "gru-8"]
    assert {"Sorted by value.", RANKED} <= set(worst["notes"])


@pytest.mark.parametrize(
    ("column", "told", "untold"),
    [
        ("score", set(), {"solved", "undecided", "barely", "at"}),
        ("solved", {"solved"}, {"undecided", "barely", "at"}),
        ("against_floor", set(), {"solved", "to solve"}),
    ],
)
def test_notes_are_of_the_columns_that_are_shown(compare: Compare, column: str, told: set[str], untold: set[str]) -> None:
    found = json.loads(compare("--columns", column, "--format", "json"))
    words = {note.partition(":")[0] for table in found for note in table["notes"]}
    assert told <= words and not untold & words


def test_chosen_columns_stay_in_a_narrow_terminal(compare: Compare) -> None:
    columns = ["score", "parameters", "steps/s"]
    table = Table(
        "t", "", {}, tuple(Column(name, (name,), spare=5) for name in columns), (tuple(Cell("x", ("x",)) for _ in columns),)
    )
    (arranged,) = arrange([table], columns[1:], "", ())
    shown = to_terminal([arranged], width=10)
    assert all(name in shown for name in columns) and "Left out" not in shown
    assert "Left out" in to_terminal([table], width=10)


def test_by_an_option_settings_stand_in_tables_of_their_own(compare: Compare) -> None:
    found = json.loads(compare("--by", "model.hidden_size", "--format", "json"))
    assert [table["title"] for table in found] == [
        "adding model.hidden_size=8",
        "adding model.hidden_size=16",
        "copy_memory model.hidden_size=8",
        "copy_memory model.hidden_size=16",
    ]
    assert [[row["row"] for row in table["rows"]] for table in found[:2]] == [["gru", "lstm"], ["lstm"]]
    assert {row["model.hidden_size"] for row in found[1]["rows"]} == {16}


def test_matrix_has_the_best_in_bold_only_where_it_is_significant(compare: Compare) -> None:
    text = compare("--layout", "matrix", "--format", "latex")
    assert text.count(r"\textbf") == 1 and re.search(r"gru-8 & 12\.3k & \\textbf\{0\.04\d* ", text)
    assert text.count(r"\caption{") == text.count(r"\label{tab:") == 1
    assert text.index(r"\begin{longtable}") < text.index(r"\caption{") < text.index(r"\toprule")
    (table,) = json.loads(compare("--layout", "matrix", "--format", "json"))
    assert "mse (lower is better; geometric mean, interval of the logarithms)" in table["caption"]
    assert [row["model"] for row in table["rows"]] == ["gru-8", "lstm-8", "lstm-16"]
    assert table["rows"][0]["adding value"] == pytest.approx(0.0404, abs=1e-4)
    assert "**" in compare("--layout", "matrix", "--format", "markdown")


def test_a_better_score_of_one_seed_takes_the_bold(store: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, model="rnn", score=0.001, model_options={"hidden_size": 8}, rows=1)
    assert main(["compare", str(store), str(tmp_path), "--task", "adding", "--layout", "matrix", "--format", "latex"]) == 0
    assert r"\textbf" not in capfd.readouterr().out


def test_aggregate_is_of_normalised_scores(compare: Compare) -> None:
    means, chances = json.loads(compare("--aggregate", "--format", "json"))
    assert [row["model"] for row in means["rows"]] == ["gru-8", "lstm-8", "lstm-16"]
    assert "copy_memory: 0 is the floor 0.0945, 1 is 0 (best known)." in means["notes"]
    assert "gru-8: 1 diverged on copy_memory, not counted" in means["gaps"]
    by_name = {row["model"]: row for row in chances["rows"]}
    assert by_name["gru-8"]["lstm-8 value"] == pytest.approx(1 - by_name["lstm-8"]["gru-8 value"])


def test_a_run_that_a_condition_cannot_be_asked_of_costs_only_itself(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for seed, rate in enumerate(("0.01", "[1]")):
        path = write(tmp_path, seed=seed, record=not seed, rows=1)
        config = (path / "config.yaml").read_text(encoding="utf-8")
        (path / "config.yaml").write_text(config.replace("learning_rate: 0.001", f"learning_rate: {rate}"), encoding="utf-8")
    assert main(["compare", str(tmp_path), "--where", "train.learning_rate > 0", "--format", "csv"]) == 0
    out, err = capfd.readouterr()
    assert (
        [row["seeds"] for row in rows_of(out)] == ["0"]
        and err.count("\n") == 1
        and "[1] and 0 have no order" in err
        and "s1-" in err
    )
    assert main(["compare", str(tmp_path), "--where", "train.learning_rate > 'a'"]) == 2


BAD = {
    ("--where", "model.hiden_size > 1"): "did you mean 'model.hidden_size'",
    ("--where", "seed > 99"): "holds of no run of 18 there",
    ("--by", "model.hiden_size"): "did you mean 'model.hidden_size'",
    ("--by", "seed"): "no option 'seed'",
    ("--sort", "scor"): "did you mean 'score'",
    ("--columns", "score,parametres"): "did you mean 'parameters'",
    ("--runs", "--columns", "sead"): "did you mean 'seed'",
    ("--runs", "--sort", "sead"): "did you mean 'seed'",
    ("--runs", "--aggregate"): "each makes a table of its own",
    ("--runs", "--layout", "matrix"): "each makes a table of its own",
    ("--layout", "matrix", "--sort", "score"): "has no effect",
    ("--aggregate", "--columns", "score"): "has no effect",
    ("--runs", "--by", "seed"): "has no effect",
    ("--format", "jsn"): "did you mean 'json'",
    ("--layout", "matrx"): "did you mean 'matrix'",
}


@pytest.mark.parametrize(("words", "says"), BAD.items(), ids=map(" ".join, BAD))
def test_what_cannot_be_is_refused_in_a_line(compare: Compare, words: tuple[str, ...], says: str) -> None:
    assert says in compare(*words, code=2)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("view", [(), ("--runs",), ("--layout", "matrix"), ("--aggregate",), ("--by", "model.hidden_size")])
def test_every_view_in_every_format(compare: Compare, view: tuple[str, ...], format: str) -> None:
    assert "gru" in compare(*view, "--format", format)


@pytest.mark.parametrize("format", FORMATS)
def test_bold_in_every_format(format: str) -> None:
    """Not in CSV and JSON, which hold values."""
    rows = ((Cell("x", ("x",)), Cell("7", (7,), strong=True)), (Cell("y", ("y",)), Cell("8", (8,))))
    table = Table("t", "", {}, (Column("x", ("x",)), Column("a", ("a",))), rows)
    text = export([table], format)
    bold = {"markdown": "**7**", "md": "**7**", "latex": r"\textbf{7}", "html": "<b>7</b>"}
    assert bold.get(format, "7") in text and text.count("8") >= 1
    assert not re.search(r"(\*\*|\\textbf\{|<b>)8", text)
