"""`rnnbench show`: a run is found by folder, name or id, shown whole, and repeated by the command that is shown."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from rnnbench.analysis.run_details import LEGEND, listed_settings
from rnnbench.cli.main import main
from rnnbench.config.compose import compose_jobs
from rnnbench.config.repeat import repeat_words
from rnnbench.store.find import find_runs
from rnnbench.store.run_folder import RunFolder
from tests.analysis.test_tables import write

TINY = ["task.length=6", "task.sequences=40", "train.batch_size=8", "model.hidden_size=8", "train.steps=3", "tracker=none"]


def shown(capfd: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["show", *words, "--format", "json"]) == 0
    return dict(json.loads(capfd.readouterr().out))


@pytest.fixture
def two() -> tuple[Path, Path]:
    return write(Path("runs"), model="lstm"), write(Path("runs"), model="lstm", seed=1, score=0.02)


def test_a_run_is_named_by_folder_name_or_id(two, capfd):
    run = two[0]
    identity = RunFolder(run).config()["id"]
    names = [str(run), "/".join(run.parts[1:]), run.name, "/".join(run.parts[-2:]), identity[:6], identity[:8], identity]
    assert {shown(capfd, name)["path"] for name in names} == {str(run)}


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("lstm", "no run of that folder, name or id"),
        ("runs/adding", "2 runs"),
        ("runs", "2 runs"),
        ("ffffffff", "no run of that folder, name or id"),
        ("", "no run of that folder, name or id"),
        ("s0-" + "f" * 8, "no run of that folder"),
        ("../runs", "no run of that folder"),
    ],
)
def test_a_name_of_none_or_several_is_one_line(word, said, two, capfd):
    assert main(["show", word]) == 2
    error = capfd.readouterr().err
    assert error.count("\n") == 1 and len(error) <= 401 and said in error


def test_an_ambiguous_id_names_the_runs(capfd):
    for number in range(5):
        (Path("runs/adding/lstm") / f"s{number}-abcd000{number}").mkdir(parents=True)
    assert main(["show", "abcd"]) == 2
    error = capfd.readouterr().err
    assert "5 runs: " in error and "and 2 more" in error


def test_what_differs_from_the_defaults_stands_first(two, capfd):
    settings = shown(capfd, str(two[0]))["settings"]
    differing = [key for key, one in settings.items() if one["differs"]]
    assert list(settings)[: len(differing)] == differing
    assert "train.batch_size" not in differing and {"task.name", "model.name", "seed"} < set(differing)
    assert settings["train.batch_size"] == {"value": 50, "default": 50, "differs": False}
    assert main(["show", str(two[0])]) == 0
    out = capfd.readouterr().out
    assert out.index("settings that differ") < out.index("settings at the options' own") < out.index("scores")
    assert "floor 0.167" in out and "task.solved_below=0.01" in out and str(two[0]) in out


@pytest.mark.parametrize(
    ("words", "default", "changed"),
    [
        ([], {"task.marks": "halves", "model.CIFG": False}, {"task.length": 6, "model.hidden_size": 8}),
        (["model=gru", "model.zoneout=.5"], {"task.marks": "halves"}, {"model.zoneout": 0.5, "task.sequences": 40}),
        (["task.length=100", "model.hidden_size=128"], {"task.length": 100, "model.hidden_size": 128}, {"train.steps": 3}),
        (["task=./mine.py:Mine", "model=./mine.py:Cell"], {"task.marks": "halves", "model.zoneout": 0.0}, {"task.length": 6}),
    ],
    ids=["ours", "a cell's option", "given as by default", "classes of a file"],
)
def test_options_of_the_task_and_the_model_are_held_against_their_defaults(words, default, changed):
    Path("mine.py").write_text(
        "from rnnbench.models.cells.gru import GRU\nfrom rnnbench.tasks.adding import Adding\n"
        "class Mine(Adding):\n    pass\nclass Cell(GRU):\n    pass\n"
    )
    (settings,) = compose_jobs(["task=adding", "model=lstm", *TINY, *words], sweep=False)
    found = listed_settings(settings.plain())
    for name, value in default.items():
        assert found[name] == {"value": value, "default": value, "differs": False}, name
    for name, value in changed.items():
        assert found[name]["value"] == value != found[name]["default"] is not None and found[name]["differs"], name


def test_of_two_runs_only_what_differs_is_shown(two, capfd):
    found = shown(capfd, *map(str, two))
    assert found["settings"] == {"seed": [0, 1]}
    assert found["scores"] == {"validation mse": [0.01, 0.02], "test mse": [0.01, 0.02]}
    assert found["versions"] == found["data"] == {}
    other = write(Path("runs"), model="gru", task_options={"length": 100, "sequences": 5}, status="diverged")
    found = shown(capfd, str(two[0]), str(other))
    assert found["settings"]["model.name"] == ["lstm", "gru"] and found["settings"]["task.sequences"] == [None, 5]
    assert found["result"]["status"] == ["finished", "diverged"] and found["scores"]["test mse"] == [0.01, None]
    assert main(["show", *map(str, two)]) == 0
    out = capfd.readouterr().out
    assert "the same: state and steps, versions, data" in out and "A  adding" in out
    assert out.splitlines()[-1] == LEGEND  # ids and fields are explained, of one run too
    assert main(["show", str(two[0])]) == 0
    assert capfd.readouterr().out.splitlines().count(LEGEND) == 1
    assert main(["show", *map(str, two), str(other)]) == 2


def test_a_run_that_is_not_recorded_says_how_to_go_on(capfd):
    path = write(Path("runs"), record=False)
    RunFolder(path).fail("out of memory")
    found = shown(capfd, str(path))
    assert found["result"] == {"status": "failed", "reason": "out of memory"}
    assert found["commands"]["continue"] == f"rnnbench train --again {path}"
    assert found["scores"]["test"] is None and found["scores"]["at_step"] == 2000


def test_samples_are_shown(capfd):
    path = write(Path("runs"), rows=2)
    with open(path / "metrics.jsonl", "a") as file:
        file.write(json.dumps({"step": 3000, "validation/samples": [{"written": "a\x1b[2Jb"}]}) + "\n")
    with open(path / "timings.jsonl", "a") as file:
        file.write(json.dumps({"step": 3000}) + "\n")
    assert main(["show", str(path)]) == 0
    assert "written     a\\x1b[2Jb" in capfd.readouterr().out


def test_the_command_that_is_shown_is_answered_from_the_record(capfd):
    """Also of settings that need quotes, of lists, and of a model's own file."""
    assert main(["train", "task=adding", "model=irnn", *TINY, "seed=5", "train.learning_rate=3e-4"]) == 0
    ((run,), _) = find_runs([Path("runs")])
    line = shown(capfd_after(capfd), run.path.name)["commands"]
    words = shlex.split(line["repeat"])
    assert words[:2] == ["rnnbench", "train"] and "model=irnn" in words
    assert main(words[1:]) == 0
    assert "recorded before" in capfd.readouterr().out
    assert "train.steps=6" in line["more steps"]


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("gru.py", ["task=adding", "model=./gru.py:gru"]),  # a class that is named like ours
        ("adding.py", ["task=./adding.py:adding", "model=gru"]),
        ("mine.py", ["task=adding", "model=./mine.py:Cell"]),
    ],
    ids=["a model of our name", "a task of our name", "another name"],
)
@pytest.mark.parametrize("recorded", [True, False])
def test_a_class_in_a_file_has_no_command_elsewhere(file, words, recorded, capfd):
    Path(file).write_text(
        "from rnnbench.models.cells.gru import GRU\nfrom rnnbench.tasks.adding import Adding\n"
        "class gru(GRU):\n    pass\nclass adding(Adding):\n    pass\nclass Cell(GRU):\n    pass\n"
    )
    assert main(["train", *words, *TINY]) == 0
    ((run,), _) = find_runs([Path("runs")])
    if not recorded:
        (run.path / "record.json").unlink()
    found = shown(capfd_after(capfd), str(run.path))["commands"]
    if recorded:
        assert list(found.values()) == [f"rnnbench train --again {run.path} again=true"]
        before = (run.path / "record.json").read_text()
        assert main(shlex.split(*found.values())[1:]) == 0
        assert "which gave the same" in capfd.readouterr().out
        assert (run.path / "record.json").read_text() == before and len(find_runs([Path("runs")])[0]) == 2
        Path(file).unlink()
        found = shown(capfd, str(run.path))["commands"]
        assert "is a class in a file, which no command names elsewhere" in found["no command repeats it here"]
    else:
        assert found == {"continue": f"rnnbench train --again {run.path}"}


def capfd_after(capfd: pytest.CaptureFixture[str]) -> pytest.CaptureFixture[str]:
    capfd.readouterr()
    return capfd


WORDS = [
    ["task=adding", "model=lstm"],
    ["task=adding_short", "model=gru", "train.clip=null", "seed=3"],
    ["task=copy_memory", "model=irnn", "task.delay=7"],
    ["task=adding", "model=deep_bilstm", "model.dropout=0.2"],
    ["task=adding", "model=peephole_lstm", "train.optimizer=sgd", "train.momentum=.9", "test=false", "seed=2147483648"],
    ["task=adding", "model=rnn", "trainer.devices=2", "train.batch_size=4"],
    ["task=adding", "model=lstm", "train.precision=64"],
]


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_the_words_ask_for_the_same_settings(words):
    (settings,) = compose_jobs([*words, "tracker=none"], sweep=False)
    (again,) = compose_jobs([*repeat_words(settings.plain()), "tracker=none"], sweep=False)
    assert again.identity("") == settings.identity("") and again.seed == settings.seed
    assert again.plain() == settings.plain()


def test_a_number_that_an_option_takes_as_text_is_not_quoted():
    (settings,) = compose_jobs(["task=adding", "model=lstm", "train.precision=64", "tracker=none"], sweep=False)
    assert "train.precision=64" in repeat_words(settings.plain())


@pytest.mark.parametrize("text", ["a b.txt", "it's.txt", 'say "x"', "a=b", "null", "1e3", "é,ü", "$HOME", "(x)"])
def test_a_text_in_the_words_is_read_as_it_was(text):
    from rnnbench.config.overrides import hydra_words
    from rnnbench.config.repeat import word_of

    assert hydra_words([word_of("task.file", text)])[0].value == text
    assert hydra_words([word_of("task.files", [text, "x"])])[0].value == [text, "x"]


def test_settings_of_another_version_say_why_there_is_no_command(two, capfd):
    found = shown(capfd, str(write(Path("runs"), model="no_such_cell")))
    assert "no model 'no_such_cell' here" in found["commands"]["no command repeats it here"]


def test_of_a_guess_that_is_right_no_command_asks_for_more_steps(capfd):
    words = ["task=two_sequences", "task.length=12", "task.sequences=20", "model=lstm_1997", "model.hidden_size=2"]
    words += ["network.output=logistic", "train.rule=guess", "train.batch_size=1", "train.precision=64", "train.window=1"]
    words += ["train.select=last", "train.steps=500", "train.eval_every=500", "tracker=none"]
    assert main(["train", *words]) == 0
    (path,) = Path("runs").glob("*/*/*/record.json")
    assert json.loads(path.read_text())["solved_step"]  # a window of one row is easy to guess
    capfd.readouterr()
    assert main(["show", str(path.parent)]) == 0
    out = capfd.readouterr().out
    assert "to repeat it" in out and "for more steps" not in out
