"""Python: public names, the words that calls make, what they raise, the table of runs; the notebook runs from end to end."""

from __future__ import annotations

import ast
import json
import signal
import subprocess
import sys
import threading
import time
import types
from pathlib import Path
from typing import Any

import pyarrow
import pytest

import rnnbench
from rnnbench.cli.main import main
from rnnbench.config.compose import compose_jobs
from rnnbench.config.overrides import split_sweep
from rnnbench.interface import call
from rnnbench.interface.call import command_words
from rnnbench.options import BadOption, Failed
from tests.support.documents import ROOT, code_blocks

NOTEBOOK = Path(rnnbench.__file__).parents[2] / "docs" / "notebook.ipynb"
QUICK = ["task.length=6", "task.sequences=20", "train.steps=3", "train.batch_size=4", "model.hidden_size=4", "tracker=none"]


def test_public_names_are_there_and_load_nothing_heavy() -> None:
    code = """
import sys, rnnbench
heavy = {"torch", "numpy", "hydra", "pyarrow", "yaml", "wandb", "datasets", "pytorch_lightning"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
assert set(rnnbench.__all__) <= set(dir(rnnbench))
assert not hasattr(rnnbench, "nothing")
for name in rnnbench.__all__:
    assert getattr(rnnbench, name) is not None
    assert name == "__version__" or rnnbench.__doc__.count(name), name
assert "pytorch_lightning" not in sys.modules
from rnnbench import *
assert issubclass(MODELS["gru"], Mechanism) and issubclass(TASKS["adding"], Task) and Stack and Batch and Tokens(2) and Bits(1)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    wanted = {
        "Task",
        "Batch",
        "Tokens",
        "Reals",
        "Bits",
        "Mechanism",
        "Stack",
        "MODELS",
        "TASKS",
        "load",
        "runs",
        "train",
        "sweep",
        "__version__",
    }
    assert set(rnnbench.__all__) == wanted


@pytest.mark.parametrize(
    ("options", "value"),
    [
        ({"train.steps": 7}, 7),
        ({"train.learning_rate": 1e-5}, 1e-5),
        ({"train.instruments": False}, False),
        ({"sweep": None}, None),
        ({"sweep": "null"}, "null"),
        ({"runs": "a b, c"}, "a b, c"),
        ({"runs": "it's 5"}, "it's 5"),
        ({"runs": Path("x/y")}, "x/y"),
        ({"runs": "42"}, "42"),
        ({"tracker.also": ["tensorboard"]}, ["tensorboard"]),
    ],
    ids=str,
)
def test_python_values_arrive_as_they_are(options: dict[str, Any], value: object) -> None:
    (settings,) = compose_jobs(command_words(["task=adding", "model=gru"], options), sweep=False)
    group, _, name = next(iter(options)).rpartition(".")
    plain = settings.plain()
    assert (plain[group] if group else plain)[name] == value


def test_lists_of_a_sweep_are_several_values() -> None:
    words = command_words(["task=adding"], {"model": ["gru", "lstm"], "seed": range(2), "runs": "a b"}, sweep=True)
    jobs = [settings.plain() for settings in compose_jobs(words, sweep=True)]
    found = [(job["model"]["name"], job["seed"], job["runs"]) for job in jobs]
    assert (
        found == [(name, seed, "a b") for name in ("gru", "lstm") for seed in (0, 1)]
        and len(list(split_sweep(words, True))) == 4
    )


@pytest.mark.parametrize("words", [["-m"], ["--help"], [3]], ids=str)
def test_flags_are_refused_before_anything_starts(words: list[Any]) -> None:
    with pytest.raises(BadOption, match="flags are for the command line"):
        command_words(words, {})
    with pytest.raises(BadOption, match="a number, true or false, text, null or a list"):
        command_words([], {"seed": object()})


def test_a_refusal_and_a_failure_raise_with_their_line(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BadOption, match=r"^no task 'adin'; did you mean 'adding'\?") as refused:
        rnnbench.train("task=adin", model="gru")
    assert isinstance(refused.value, ValueError) and "\n" not in str(refused.value) and len(str(refused.value)) <= 400
    assert capfd.readouterr() == ("", "") and not Path("runs").exists()
    diverging = ["model=rnn", "train.learning_rate=1e30", "train.clip=null", "train.optimizer=sgd", "train.log_every=1"]
    with pytest.raises(Failed, match="diverged at step"):
        rnnbench.train("task=adding", *QUICK, *diverging, "train.steps=20")


def test_an_interrupt_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process gets one SIGINT, and the call waits for it to end."""
    child = (
        "import time\ntry:\n    print('begun', flush=True)\n    time.sleep(60)\n"
        "except KeyboardInterrupt:\n    open('saved', 'w')\n"
    )

    def interrupt(*words: object, **how: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("builtins.print", interrupt)
    with pytest.raises(KeyboardInterrupt):
        call._run([sys.executable, "-c", child])
    assert Path("saved").exists()


def test_workers_that_outlive_a_killed_command_keep_nobody_waiting() -> None:
    """They hold its output open; what it said before is not lost."""
    worker = "import time; print('worker', flush=True); time.sleep(60)"
    command = f"import os, subprocess, sys; subprocess.Popen([sys.executable, '-c', {worker!r}]); os.kill(os.getpid(), 9)"
    began = time.monotonic()
    assert call._run([sys.executable, "-c", command])[0] == -signal.SIGKILL
    assert time.monotonic() - began < 45


def test_the_table_has_a_row_a_run_and_every_option(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "task=adding", "model=gru", *QUICK]) == 0
    assert (
        main(
            [
                "train",
                "task=copy_memory",
                "model=lstm_1997",
                "model.input_bias=[-1.0,-1.0,-1.0,-1.0]",
                "task.delay=3",
                *QUICK[1:],
            ]
        )
        == 0
    )
    begun = Path("runs/adding/rnn/s1-00000000")
    begun.mkdir(parents=True)
    config = (next(Path("runs/adding/gru").iterdir()) / "config.yaml").read_text()
    (begun / "config.yaml").write_text(config.replace("seed: 0", "seed: 1"))
    table = rnnbench.runs()
    assert isinstance(table, pyarrow.Table) and table.num_rows == 3
    rows = {row["path"]: row for row in table.to_pylist()}
    assert rows[str(begun)]["status"] == "interrupted" and rows[str(begun)]["score"] is None
    (gru,) = (row for row in rows.values() if row["model"] == "gru" and row["status"] == "finished")
    record = json.loads(Path(gru["path"], "record.json").read_text())
    assert gru["score"] == gru["test.mse"] == record["scores"]["test"]["mse"] and gru["floor"] == record["task"]["floor"]
    assert gru["speed.steps_per_second"] == record["speed"]["steps_per_second"]
    for group in ("task", "model", "network", "train", "trainer"):
        for name, value in record["config"][group].items():
            if name != "name" and not isinstance(value, list):
                assert str(gru[f"{group}.{name}"]) == str(value)
    assert len(table.to_pandas()) == 3
    assert rnnbench.runs([Path("runs/adding"), "runs/copy_memory"]).num_rows == 3
    with pytest.raises(FileNotFoundError, match="no run, folder or results file at nowhere"):
        rnnbench.runs("nowhere")


def test_the_best_rate_of_each_model_as_the_docs_say(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the mean over seeds: the best single run of the LSTM is of the other rate."""
    scores = {("gru", 0.1): [0.5, 0.5], ("gru", 0.2): [0.6, 0.7], ("lstm", 0.1): [0.1, 0.9], ("lstm", 0.2): [0.3, 0.3]}
    rows = [
        {"model": model, "train.learning_rate": rate, "validation.mse": score}
        for (model, rate), found in scores.items()
        for score in found
    ]
    monkeypatch.setattr(rnnbench, "runs", lambda place: pyarrow.Table.from_pylist(rows))
    (block,) = (block.text for block in code_blocks(ROOT / "docs/runs.md") if "groupby" in block.text)
    exec(compile(block, "docs/runs.md", "exec"), {})
    shown = [line.split() for line in capsys.readouterr().out.splitlines()[1:3]]
    assert shown == [["gru", "0.1", "0.5"], ["lstm", "0.2", "0.3"]]


def run_notebook(path: Path, parameters: dict[str, object]) -> dict[str, Any]:
    """The names that its cells leave, with `parameters` in place of the cell that sets them; `shown` are the cells' values."""
    names: dict[str, Any] = {"shown": []}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] != "code":
            continue
        if "parameters" in cell["metadata"].get("tags", ()):
            names |= parameters
            continue
        tree = ast.parse("".join(cell["source"]))
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, str(path), "exec"), names)
        if isinstance(last, ast.Expr):
            names["shown"].append(eval(compile(ast.Expression(last.value), str(path), "eval"), names))  # noqa: S307 - ours
    return names


def test_the_notebook_trains_sweeps_and_plots(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    display = types.ModuleType("IPython.display")
    display.SVG = str  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), threading.enumerate()
    names = run_notebook(NOTEBOOK, {"STEPS": 4, "LENGTH": 6, "SEEDS": 1, "RUNS": "runs/notebook"})
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), threading.enumerate()) == before
    assert names["table"].num_rows == 3 and set(names["frame"]["status"]) == {"finished"}
    assert names["run"].record["seed"] == 0 and "1 recorded before" in capfd.readouterr().out
    metrics, _, frame, picture = names["shown"]
    assert set(metrics) >= {"mse"} and len(frame) == 3 and picture.startswith("<svg") and picture.count("validation mse") >= 1
