"""Output that cannot be written, files and words that are not there, names that are no class."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

import rnnbench
from rnnbench.cli.main import main
from rnnbench.store.run_folder import RunFolder

FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["--version"],
        *([verb, "--help"] for verb in ("list", "estimate", "show", "train")),
        ["list", "models"],
        *(
            ["train", "task=adding", "model=gru", *flags]
            for flags in (["--cfg", "job"], ["--cfg", "all"], ["--info", "config"])
        ),
        ["train", "--hydra-help"],
    ],
    ids=" ".join,
)
def test_a_full_disk_is_said_in_one_line(words, monkeypatch, capfd):
    with FULL.open("w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main(words) == 1
        monkeypatch.undo()
    assert capfd.readouterr().err == "rnnbench: could not write the output: No space left on device\n"


def test_what_hydra_shows_is_whole(capfd):
    assert main(["train", "task=adding", "model=gru", "--cfg", "job", "--package", "budget"]) == 0
    assert capfd.readouterr().out == "# @package budget\nparams: ''\nmatch: ''\nwidth: 0\nembeddings: true\ntolerance: 0.01\n"


SAID = {
    "no such file": (["sweep", "nofile.yaml"], "sweep nofile.yaml: there is no such file; allowed: a YAML file with `runs:`"),
    "no end of a list": (["sweep", "list.yaml"], "list.yaml: line 2, column 1: cannot be read as YAML: did not find expected"),
    "no quotes": (
        ["sweep", "quotes.yaml"],
        "quotes.yaml: line 2, column 1: cannot be read as YAML: found unexpected end of stream",
    ),
    "a tab": (["sweep", "tab.yaml"], "tab.yaml: line 2, column 1: cannot be read as YAML: found character that cannot start"),
    "an unknown flag of show": (
        ["show", "--foo"],
        "unrecognized arguments: --foo; did you mean '--format'? (try rnnbench show --help)",
    ),
    "an unknown flag of table": (["table", "--wite"], "unrecognized arguments: --wite; did you mean '--write'?"),
    "an unknown flag of list": (["list", "--fromat=json"], "unrecognized arguments: --fromat=json; did you mean '--format'?"),
    "nothing to show": (["show"], "the following arguments are required: RUN"),
}


@pytest.mark.parametrize("case", SAID)
def test_what_is_wrong_is_said(case, capfd):
    Path("list.yaml").write_text("runs: [task=adding model=lstm\n")
    Path("quotes.yaml").write_text("runs: 'task=adding\n")
    Path("tab.yaml").write_text("runs:\n\t- task=adding\n")
    words, said = SAID[case]
    try:
        code = main(words)
    except SystemExit as end:
        code = int(end.code or 0)
    err = capfd.readouterr().err
    assert code == 2 and err.startswith(f"rnnbench: {said}") and err.count("\n") == 1


@pytest.mark.parametrize(
    ("table", "name", "said"),
    [
        ("MODELS", "peephole_lstm", "no class of a model 'peephole_lstm'"),
        ("MODELS", "GRU", "did you mean 'gru'?"),
        ("TASKS", "adding_short", "no class of a task 'adding_short'; did you mean 'adding'?"),
    ],
)
def test_a_name_that_is_no_class_is_explained(table, name, said):
    classes = getattr(rnnbench, table)
    with pytest.raises(KeyError) as missing:
        classes[name]
    (text,) = missing.value.args
    assert said in text and f"rnnbench list {table.lower()} NAME" in text
    assert name not in classes and classes.get(name) is None


@pytest.mark.parametrize("name", ["gru", "lstm", "lstm_1997", "min_gru", "min_lstm", "rnn", "tcn", "transformer"])
@pytest.mark.parametrize("size", [0, -1])
def test_a_cell_has_units(name, size):
    with pytest.raises(ValueError, match=rf"^hidden_size={size} is not allowed; allowed: whole number, at least 1$"):
        rnnbench.MODELS[name](4, hidden_size=size)
    assert rnnbench.MODELS[name](4, hidden_size=1)(torch.zeros(2, 3, 4))[0].shape == (2, 3, 1)


def test_a_run_that_another_process_holds_is_not_done(capfd):
    words = ["train", "task=adding", "task.length=4", "model=rnn", "model.hidden_size=2", "train.steps=2", "tracker=none"]
    assert main(words) == 0
    (record,) = Path("runs").rglob("record.json")
    record.unlink()
    capfd.readouterr()
    with RunFolder(record.parent).lease():
        assert main(words) == 1
    said = capfd.readouterr()
    assert "left alone" in said.out
    assert said.err == "rnnbench: nothing was trained: another process holds the run; `rnnbench status` shows it\n"
