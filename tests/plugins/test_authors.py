"""Mistakes in a user's own task or cell: found before training, in one line that names file and line, or the law."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rnnbench.cli.main import main
from rnnbench.config.compose import compose_jobs
from rnnbench.run.plugin_checks import named_errors
from tests.support.plugins import CELL, TASK, Site

DRAW = "        ones = torch"
THRESHOLD = "self.solved_below = length, sequences, solved_below"
HERE = "  # here"  # on the line that is named as {line}
# What is edited, into what, the options that are given, what is said.
TASKS = {
    "no draw": (TASK[TASK.index("    def draw") :], "", [], "{name}: Ones has no `draw`; a task defines draw(random, rows)"),
    "a wrong floor": ("self.length / 4", "self.length / 40", [], "`floor` is 0.2, and `floor_guess` scores 2"),
    "a floor of another sign": ("self.length / 4", "-self.length / 4", [], "`floor` is -2, and `floor_guess` scores 2"),
    "a floor that cannot be": ("self.length / 4", f"1 / 0{HERE}", [], "{line}: ZeroDivisionError: division by zero"),
    "no floor_guess": (
        "def floor_guess",
        "def guess",
        [],
        "{name}: Generated has no guess; the task must define `floor_guess`",
    ),
    "no direction": ('"min"', '"minimum"', [], "Ones.direction = 'minimum' is not allowed; allowed: 'min', 'max'"),
    "the other direction": ('"min"', '"max"', [], "knowing the targets scores 0, no better than the floor 2"),
    "no structure": ('"N->1"', '"N->2"', [], "Ones.structure = 'N->2' is not allowed; allowed: 'N->N', 'N->1', 'N->M', '1->N'"),
    "no causality": ("False", '"no"', [], "Ones.causal = 'no' is not allowed; allowed: True, False"),
    "targets without an axis": (
        "ones.sum(1, keepdim=True)",
        "ones.sum(1)",
        [],
        "`targets` is torch.float32 (4, 1); expected torch.float32 (4, 1, 1)",
    ),
    "targets of another type": (
        "ones.sum(1, keepdim=True)",
        "ones.sum(1, keepdim=True).double()",
        [],
        "`targets` is torch.float64 (4, 1, 1)",
    ),
    "inputs of another width": (
        "Reals(1), Reals(1)",
        "Reals(2), Reals(1)",
        [],
        "`inputs` is torch.float32 (4, 8, 1); expected torch.float32 (4, 8, 2)",
    ),
    "no scored step": ("true[:, None]", "~true[:, None]", [], "no step of train is scored"),
    "lengths beyond the steps": ("(rows,), self.length)", "(rows,), 99)", [], "`lengths` go from 1 to the number of steps"),
    "no threshold": (
        THRESHOLD,
        "_ = length, sequences, solved_below",
        [],
        "`solved_below`, the mse of a solved task, is missing",
    ),
    "an error in draw": (DRAW, f"        rows[0]{HERE}\n{DRAW}", [], "{line}: TypeError: 'int' object is not subscriptable"),
    "an error in the constructor": (
        "        self.length, self",
        f"        length.size{HERE}\n        self.length, self",
        [],
        "{line}: AttributeError: 'int' object",
    ),
    "a range that is missing": (
        DRAW,
        f"        range(self.length)[0]{HERE}\n{DRAW}",
        ["task.length=0"],
        "{line}: IndexError: range object index out of range; it was made with task.length=0",
    ),
    "an error in score": (
        "    def draw",
        f"    def score(self, outputs, batch):\n        return self.no{HERE}\n\n    def draw",
        [],
        "{line}: AttributeError",
    ),
}
CELLS = {
    "a product that does not fit": (
        "@ self.W.t()",
        f"@ self.W{HERE}",
        [],
        "{line}: RuntimeError: mat1 and mat2 shapes cannot be multiplied",
    ),
    "an attribute that is not there": (
        "return h, h, {}",
        f"return h, h, self.no{HERE}",
        [],
        "{line}: AttributeError: 'Leaky' object has no attribute 'no'",
    ),
    "outputs of another width": (
        "return h, h, {}",
        "return h[:, :1], h, {}",
        [],
        "{name}: y is (2, 3, 1); expected (B, T, output_size), here (2, 3, 8)",
    ),
    "a step of two values": (
        "return h, h, {}",
        "return h, h",
        [],
        "{name}: step returns the output, the state after it and its gates by name; got 2 values",
    ),
    "a gate that is a number": ("return h, h, {}", 'return h, h, {"n": 3}', [], "gates are tensors (B, H); n is none"),
    "an option of every model": ("rate: float", "layers: int = 3, rate: float", [], "Leaky: layers: settings of every model"),
    "a state without a batch": ("new_zeros(batch_size, self", "new_zeros(self", [], "the state has tensors of [(8,)]"),
    "an error in the constructor": (
        "self.W =",
        f"1 / 0{HERE}\n        self.W =",
        [],
        "{line}: ZeroDivisionError: division by zero",
    ),
    "no units": ("rate: float", "rate: float", ["model.hidden_size=0"], "output_size is 0; expected at least 1"),
    "a division by no units": (
        "self.W =",
        f"1 / hidden_size{HERE}\n        self.W =",
        ["model.hidden_size=0"],
        "{line}: ZeroDivisionError: division by zero; it was made with model.hidden_size=0",
    ),
}
EVERY = [("task", case) for case in TASKS] + [("cell", case) for case in CELLS]


@pytest.mark.parametrize(("what", "case"), EVERY)
def test_a_mistake_is_found_before_training(what: str, case: str, site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    source, cases = (TASK, TASKS) if what == "task" else (CELL, CELLS)
    old, new, options, said = cases[case]
    assert old in source
    path = Path(f"my_{what}.py").absolute()
    text = source.replace(old, new, 1)
    path.write_text(text, encoding="utf-8")
    line = next((number for number, line in enumerate(text.splitlines(), 1) if HERE in line), 0)
    name = f"task={path}:Ones" if what == "task" else f"model={path}:Leaky"
    chosen = [name, "model=gru"] if what == "task" else ["task=adding", name]
    assert main(["train", *chosen, *options, "tracker=none"]) == 2
    out, err = capfd.readouterr()
    assert out == "" and err.count("\n") == 1 and len(err) <= 401
    assert said.format(name=name, line=f"{path}:{line}") in err
    assert not Path("runs").exists()


def test_what_is_right_passes(site: Site) -> None:
    from rnnbench.run.plan import survey_runs

    Path("my_task.py").write_text(TASK, encoding="utf-8")
    Path("my_cell.py").write_text(CELL, encoding="utf-8")
    (survey,) = survey_runs(compose_jobs(["task=./my_task.py:Ones", "model=./my_cell.py:Leaky"], sweep=False))
    assert survey.length == 8


def test_a_budget_needs_a_width(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    Path("my_cell.py").write_text(CELL.replace("hidden_size", "width"), encoding="utf-8")
    assert main(["train", "task=adding", "model=./my_cell.py:Leaky", "budget.params=5k", "tracker=none"]) == 2
    assert "a budget sets model.hidden_size, which this model does not have" in capfd.readouterr().err


@pytest.mark.parametrize("sequences", [1, 7, 30, 199])
def test_a_floor_is_not_judged_by_few_sequences(sequences: int, site: Site) -> None:
    """Their own floor lies beside that of many; a floor that is wrong by far is what `check_task` finds."""
    from rnnbench.run.plan import survey_runs

    Path("my_task.py").write_text(TASK, encoding="utf-8")
    assert survey_runs(compose_jobs(["task=./my_task.py:Ones", "model=gru", f"task.sequences={sequences}"], sweep=False))


def test_an_error_while_training_names_the_line_and_is_kept(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    """It comes only in training: at the steps of a sequence of more than three."""
    path = Path("my_cell.py").absolute()
    path.write_text(
        CELL.replace("        h = ", "        assert len(x) < 4, 'a large batch'\n        h = ", 1), encoding="utf-8"
    )
    assert main(["train", "task=adding", "task.length=4", f"model={path}:Leaky", "train.steps=2", "tracker=none"]) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert f"{path}:19: AssertionError: a large batch" in line
    (failure,) = Path("runs").rglob("failure.json")
    assert json.loads(failure.read_text())["message"] == f"{path}:19: AssertionError: a large batch"


@pytest.mark.parametrize("word", ["model=./my_cell.py", "'model=./my_cell.py'", "model=my_cell.py"])
def test_a_file_without_a_class_is_said_of_that_word(word: str, site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    Path("my_cell.py").write_text(CELL, encoding="utf-8")
    word = word.strip("'")
    for words in (["task=adding", "model.hidden_size=3", word], ["model.hidden_size=3", word, "task=adding", "runs='a b'"]):
        assert main(["train", *words]) == 2
        assert f"{word}: name its class after a colon; allowed here: {word[6:]}:Leaky" in capfd.readouterr().err


def test_an_option_is_not_blamed_for_the_choice_after_it(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "model.hidden_size=3", "task.length=5", "task=adding", "model=GRU"]) == 2
    assert "no model 'GRU'; did you mean 'gru'?" in capfd.readouterr().err


def test_errors_of_ours_stay_as_they_are() -> None:
    (settings,) = compose_jobs(["task=adding", "model=gru"], sweep=False)
    with pytest.raises(ZeroDivisionError), named_errors(settings):
        print(1 / 0)
