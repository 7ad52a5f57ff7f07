"""winners.yaml: what `tune` writes for several tasks, and who reads it."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest

from rnnbench.cli.main import main
from rnnbench.config.run_lists import listed_runs
from rnnbench.config.winners import (
    UNDER,
    add_winners,
    changed_settings,
    options_of,
    read_winners,
    winner_of_search,
    winning_words,
    words_of_winner,
)
from rnnbench.launch.resume import absolute_words
from rnnbench.options import BadOption
from rnnbench.reproduction.declaration import load_declaration
from rnnbench.store.find import find_runs

RATE = {"train.learning_rate": 0.003}
KEPT = {"adding": {"gru": {**RATE, "train.optimizer": "sgd"}, "lstm": {"train.clip": None}}}


def test_winners_are_read_as_they_were_written_and_others_stay() -> None:
    path = Path("searches/winners.yaml")
    add_winners(path, KEPT)
    assert read_winners(path) == KEPT
    add_winners(path, {"adding": {"lstm": RATE}, "parity": {"rnn": RATE}})
    assert read_winners(path) == {"adding": {"gru": KEPT["adding"]["gru"], "lstm": RATE}, "parity": {"rnn": RATE}}
    assert path.read_text().startswith("# ")


def test_winners_of_searches_at_the_same_time_are_all_kept() -> None:
    path, found = Path("winners.yaml"), {f"task{number}": {"gru": RATE} for number in range(40)}
    with ProcessPoolExecutor(4, get_context("spawn")) as pool:
        list(pool.map(add_winners, [path] * len(found), [{task: models} for task, models in found.items()]))
    assert read_winners(path) == found and {one.name for one in Path().iterdir()} == {"winners.yaml", ".winners.yaml.lock"}


@pytest.mark.parametrize("named", ["./cells/my_cell.py:MGU", "cells/my_cell.py:MGU", "{here}/cells/my_cell.py:MGU"])
def test_a_cell_of_ones_own_has_its_winner_however_it_is_named(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here, path = Path.cwd(), Path("searches/winners.yaml")
    add_winners(path, {"adding": {str(here / "cells/my_cell.py:MGU"): RATE, "gru": RATE}})
    assert str(here) not in path.read_text() and "../cells/my_cell.py:MGU" in path.read_text()
    words = ["task=adding", f"model={named.format(here=here)}"]
    assert words_of_winner(read_winners(path), words) == ["train.learning_rate=0.003"]
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    assert words_of_winner(read_winners(Path("../searches/winners.yaml")), ["task=adding", "model=../cells/my_cell.py:MGU"])


def test_a_winner_that_replaces_another_is_named() -> None:
    path = Path("winners.yaml")
    assert add_winners(path, KEPT) == [] == add_winners(path, KEPT)
    assert add_winners(path, {"adding": {"lstm": RATE}}) == ["adding/lstm"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a",
        "adding: 3",
        "adding: {lstm: 3}",
        "adding: {lstm: {rate: 1}}",
        "adding: {lstm: {train.clip: [1]}}",
        "adding: {lstm: {under: 3}}",
        "a: [",
        "{",
    ],
)
def test_what_is_no_winners_file_is_refused_and_left_as_it_is(text: str) -> None:
    path = Path("winners.yaml")
    path.write_text(text)
    with pytest.raises(BadOption, match=r"winners\.yaml: "):
        read_winners(path)
    with pytest.raises(BadOption):
        add_winners(path, KEPT)
    assert path.read_text() == text


@pytest.mark.parametrize(
    ("task", "model", "words"),
    [
        ("adding", "gru", ["train.learning_rate=0.003", "train.optimizer=sgd"]),
        ("adding", "lstm", ["train.clip=null"]),
        ("adding", "grü", "no model 'grü'; did you mean 'gru'"),
        ("copy_memory", "gru", r"no task 'copy_memory'.*`rnnbench tune copy_memory gru` finds one"),
    ],
)
def test_the_words_of_a_winner(task: str, model: str, words: list[str] | str) -> None:
    if isinstance(words, list):
        assert winning_words(KEPT, task, model) == words_of_winner(KEPT, [f"model={model}", f"task={task}", "seed=1"]) == words
        return
    with pytest.raises(BadOption, match=words):
        winning_words(KEPT, task, model)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["task=adding"], "missing: model="),
        ([], "missing: model= and task="),
        (["task=adding", "model=gru", "train.learning_rate=1"], "train.learning_rate=1 and the winner of adding and gru"),
    ],
)
def test_a_line_that_has_no_one_winner_is_refused(words: list[str], said: str) -> None:
    with pytest.raises(BadOption, match=said):
        words_of_winner(KEPT, words)


SMALL = "task.length=6 task.sequences=20 train.batch_size=4 train.steps=2 model.hidden_size=4"


def test_a_sweep_runs_with_the_winners_that_its_file_names() -> None:
    add_winners(Path("mine/winners.yaml"), {"adding": {"gru": RATE, "rnn": {"train.learning_rate": 0.004}}})
    Path("mine/all.yaml").write_text(
        f"runs: [task=adding model=gru, task=adding model=rnn]\nshared: {SMALL}\nwinners: winners.yaml\n"
    )
    assert main(["sweep", "mine/all.yaml", "tracker=none"]) == 0
    found = {run.config["model"]["name"]: run.config["train"]["learning_rate"] for run in find_runs([Path("runs")])[0]}
    assert found == {"gru": 0.003, "rnn": 0.004}


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ("", ""),
        ("task.length=5", "task.length=6 (here 5)"),
        ("train.steps=3", "train.steps=2 (here 3)"),
        ("model.hidden_size=5 train.steps=3", "model.hidden_size=4 (here 5) and 1 more"),
        ("train.learning_rate=1", ""),  # which the winner sets
    ],
)
def test_a_sweep_says_under_which_other_settings_a_winner_was_found(
    other: str, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    winner = winner_of_search(["task=adding", "model=gru", *SMALL.split(), "seed=9"], RATE)
    add_winners(Path("winners.yaml"), {"adding": {"gru": winner}})
    Path("all.yaml").write_text(f"runs: ['task=adding model=gru seed=0,1 {SMALL} {other}']\nwinners: winners.yaml\n")
    if "learning_rate" in other:
        with pytest.raises(BadOption, match="one of them sets it"):
            listed_runs(Path("all.yaml"))
        return
    assert len(listed_runs(Path("all.yaml"))) == 2
    assert capfd.readouterr().out == (said and f"all.yaml: the winner of adding and gru was found under {said}\n")


def test_a_note_on_a_winner_refuses_no_line() -> None:
    """Without its seed a line may be none: test=false is for the seeds of searches alone."""
    winner = winner_of_search(["task=adding", "model=gru", *SMALL.split(), "seed=9"], RATE)
    add_winners(Path("winners.yaml"), {"adding": {"gru": winner}})
    Path("all.yaml").write_text(f"runs: ['task=adding model=gru test=false seed={2**31 + 2} {SMALL}']\nwinners: winners.yaml\n")
    assert len(listed_runs(Path("all.yaml"))) == 1


def test_versions_that_a_hand_written_winner_does_not_name_are_no_difference() -> None:
    winner = {**RATE, "under": {"task.length": 10, "train.steps": 5000}}
    (said,) = changed_settings(winner, ["task=adding", "task.length=12", "model=gru"])
    assert said == "task.length=10 (here 12)"


def test_winners_of_a_model_in_a_file_are_found_from_another_folder() -> None:
    Path("mine").mkdir()
    Path("mine/my_cell.py").write_text("from rnnbench import MODELS\n\n\nclass Mine(MODELS['gru']):\n    pass\n")
    add_winners(Path("mine/winners.yaml"), {"adding": {str(Path("mine/my_cell.py:Mine").absolute()): RATE}})
    Path("mine/all.yaml").write_text("runs: [task=adding model=./my_cell.py:Mine]\nwinners: winners.yaml\n")
    ((*words, rate),) = listed_runs(Path("mine/all.yaml"), partial(absolute_words, folder=str(Path("mine").absolute())))
    assert words[1] == f"model={Path('mine/my_cell.py:Mine').absolute()}" and rate == "train.learning_rate=0.003"


def test_a_sweep_whose_winners_are_not_there_starts_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    Path("all.yaml").write_text(f"runs: [task=adding model=gru]\nshared: {SMALL}\nwinners: winners.yaml\n")
    assert main(["sweep", "all.yaml", "tracker=none"]) == 2
    assert "winners.yaml: No such file" in capfd.readouterr().err and not Path("runs").exists()


GRID = """
title: Mine
about: What is asked.
winners: winners.yaml
rows:
  adding:
    title: Adding
    words: task=adding
    columns: {lstm: {words: model=lstm}}
    scales: {laptop: {words: train.steps=10, minutes: 0.5}}
"""


def test_a_table_runs_with_winners_and_its_digest_tells_them_apart() -> None:
    Path("mine").mkdir()
    Path("mine/grid.yaml").write_text(GRID)
    digests = []
    for rate in (0.003, 0.004):
        add_winners(Path("mine/winners.yaml"), {"adding": {"lstm": {"train.learning_rate": rate}}})
        table = load_declaration("mine")
        assert f"train.learning_rate={rate}" in table.cell("adding", "lstm", "laptop").words
        digests.append(table.digest("adding"))
    assert len(set(digests)) == 2


def test_tune_takes_several_tasks_and_writes_their_winners(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("optuna")
    words = ["tune", "adding,temporal_order", "rnn", "task.length=10", *SMALL.split()[1:], "tracker=none"]
    assert main([*words, "--trials", "2", "--sampler", "random"]) == 0
    found = read_winners(Path("searches/winners.yaml"))
    assert {task: sorted(models) for task, models in found.items()} == {"adding": ["rnn"], "temporal_order": ["rnn"]}
    for task, models in found.items():
        assert set(options_of(models["rnn"])) == {"train.learning_rate", "train.clip"}
        under = models["rnn"][UNDER]
        assert under["task.length"] == 10 and under["model.hidden_size"] == 4 and under["train.steps"] == 2, task
        assert {"task.version", "model.version", "network.version", "train.version"} < set(under)
    assert "searches/winners.yaml" in capfd.readouterr().out


def test_tune_with_a_task_that_is_none_starts_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("optuna")
    assert main(["tune", "adding,addding", "rnn", "--trials", "1"]) == 2
    assert "addding" in capfd.readouterr().err and not Path("searches").exists()
