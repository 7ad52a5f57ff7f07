"""What is said about settings that a run never comes to: where it is said, the setting changes nothing, and else it does."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace

import pytest

from rnnbench.config.compose import compose_jobs
from rnnbench.config.notes import setting_notes
from rnnbench.config.settings import Settings
from rnnbench.groups import TrainSettings
from rnnbench.reproduction.declaration import table_names
from rnnbench.tasks import load
from rnnbench.training.schedule import is_evaluated, is_logged, learning_rate
from rnnbench.training.selection import Selection
from tests.reproduction.test_declared import SHORTENED
from tests.test_house import ROOT

TASK = load("adding", length=3, sequences=1)


def settings(**train: object) -> Settings:
    (job,) = compose_jobs(["task=adding", "model=gru"], sweep=False)
    return replace(job, train=replace(job.train, **train))


def trained(options: TrainSettings) -> tuple[list[float], int, int]:
    """(the rate of each step, rows that are logged besides evaluations, the last step), where no score is better."""
    selection, rates, rows = Selection(TASK, options), [], 0
    for step in range(1, options.steps + 1):
        rates.append(learning_rate(options, step - 1, selection.reductions))
        rows += is_logged(options, step) and not is_evaluated(options, step)
        if is_evaluated(options, step):
            selection.consider(step, 0.0, {"mse": float(step)}, {})
            if selection.stopped:
                break
    return rates, rows, step


RUNS = [{"steps": steps, "eval_every": every, "stop_when_solved": False} for steps in range(1, 9) for every in range(1, 9)]


def said(options: TrainSettings, name: str) -> bool:
    return any(line.startswith(f"train.{name}=") for line in setting_notes(settings(**vars(options))))


@pytest.mark.parametrize("patience", range(5))
def test_patience_that_never_ends_training_is_said(patience: int):
    found = set()
    for run in RUNS:
        options = TrainSettings(**run, patience=patience)
        acts = trained(options)[2] < options.steps
        assert said(options, "patience") == (patience > 0 and not acts)
        found.add(acts)
    assert found == ({True, False} if patience else {False})


@pytest.mark.parametrize("decay_after", range(4))
def test_a_schedule_that_never_lowers_the_rate_is_said(decay_after: int):
    found = set()
    for run, window, schedule in itertools.product(RUNS, (0, 2), ("plateau", "step")):
        options = TrainSettings(**run, schedule=schedule, decay_after=decay_after, decay_window=window)
        acts = trained(options)[0][-1] < options.learning_rate
        assert said(options, "schedule") == (not acts)
        assert not said(replace(options, schedule="linear"), "schedule")
        found.add(acts)
    assert found == {True, False}


@pytest.mark.parametrize("warmup", range(6))
def test_a_warm_up_that_is_not_over_is_said(warmup: int):
    for run in RUNS:
        options = TrainSettings(**run, warmup=warmup)
        assert said(options, "warmup") == (not math.isclose(max(trained(options)[0]), options.learning_rate))


@pytest.mark.parametrize("every", [1, 3, 8, 9])
def test_rows_and_evaluations_after_the_end_are_said(every: int):
    for steps in range(1, 9):
        evaluated = TrainSettings(steps=steps, eval_every=every)
        assert said(evaluated, "eval_every") == (every > steps)
        logged = TrainSettings(steps=steps, eval_every=10, log_every=every)
        assert said(logged, "log_every") == (every > steps)
        if every > steps:
            assert trained(logged)[1] == 0
    assert not setting_notes(settings(steps=3)), "of what nobody set nothing is said"


def test_what_chooses_by_the_test_split_is_said():
    line = "chooses by the test split, as task.validation=test"
    for words, begin in (
        (["train.select=best"], "train.select=best"),
        (["train.select=last", "train.patience=2"], "train.patience=2"),
        (["train.select=last"], ""),
    ):
        (job,) = compose_jobs(["task=sequential_digits", "model=gru", "task.validation=test", *words], sweep=False)
        assert [note.startswith(f"{begin} {line}") for note in setting_notes(job)] == ([True] if begin else [])
        assert not setting_notes(compose_jobs(["task=sequential_digits", "model=gru", *words], sweep=False)[0])


def test_a_note_is_one_line_that_names_both_options():
    late = settings(steps=10, warmup=20, patience=5, schedule="plateau", eval_every=300, log_every=300)
    assert setting_notes(late) == [
        "train.warmup=20 is longer than train.steps=10: train.learning_rate is never reached",
        "train.eval_every=300 is more than train.steps=10: the last step alone is evaluated",
        "train.log_every=300 is more than train.steps=10: evaluations alone are logged",
        "train.patience=5 never ends training: train.steps=10 with train.eval_every=300 has 1 evaluation",
        "train.schedule=plateau never lowers the learning rate: train.steps=10 with train.eval_every=300 has 1 evaluation, and "
        "train.decay_after=0",
    ]


@pytest.mark.parametrize("table", table_names())
def test_of_committed_records_nothing_is_said(table: str):
    """But of rows that are too short at a reduced scale for what the paper's training does later."""
    short = {note for (name, _, _), notes in SHORTENED.items() if name == table for note in notes}
    path = ROOT / "sweeps" / table / "results.jsonl"
    configs = {json.dumps(json.loads(line)["config"]) for line in path.read_text("utf-8").splitlines()} if path.exists() else ()
    for config in map(json.loads, configs):
        train = TrainSettings(**config["train"])
        made = replace(settings(), train=train)
        assert {note.split()[0] for note in setting_notes(made)} <= short, config
