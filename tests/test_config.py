"""Composition, departures, and what makes two runs the same run."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rnnbench.cli.main import main
from rnnbench.config.checks import refuse_code, resolve
from rnnbench.config.compose import compose_jobs
from rnnbench.config.identity import departures, setting_identity
from rnnbench.config.schema import choice_names, group_options
from rnnbench.options import BadOption
from rnnbench.store.record import digest
from rnnbench.tasks import NAMES


def one(*overrides):
    (job,) = compose_jobs(list(overrides), sweep=False)
    return job


def identity(*overrides, seed=0):
    return digest([setting_identity(one(*overrides), ""), seed])


# A task's options and a model's do not touch, so each with one of the other kind says what all pairs would.
PAIRS = [(task, "lstm") for task in choice_names("task")] + [("adding", model) for model in choice_names("model")]


@pytest.mark.parametrize(("task", "model"), PAIRS)
def test_every_task_goes_with_every_model_that_fits(task, model):
    job = one(f"task={task}", f"model={model}")
    assert job["task"]["name"] in NAMES
    assert job["model"]["name"] == model
    assert resolve(job) == job


def test_settings_are_the_signatures_then_the_file_then_the_command_line():
    job = one("task=adding", "model=irnn", "model.hidden_size=9", "train.clip=null")
    from_file = {"nonlinearity": "relu", "recurrent_init": "identity", "input_init": "small", "zero_bias": True}
    defaults = {name: option.default for name, option in group_options("model", {"mechanism": "rnn"}).items()}
    assert job["model"] == {"name": "irnn", "mechanism": "rnn", **defaults, **from_file, "hidden_size": 9}
    assert job["train"]["clip"] is None


def test_departures_are_from_the_signatures():
    found = departures(one("task=adding", "model=irnn", "task.length=200", "train.precision='64'"))
    assert found["task.length"] == 200
    assert found["model.nonlinearity"] == "relu"
    assert found["train.precision"] == "64"
    assert "task.marks" not in found


def test_what_changes_the_identity_and_what_does_not():
    base = identity("task=adding", "model=lstm")
    assert base == identity("task=adding", "model=lstm", "runs=elsewhere", "tracker=none", "trainer.workers=2", "sweep=a")
    assert base == identity("task=adding", "model=lstm", "task.length=100")
    different = {
        base,
        identity("task=adding", "model=lstm", seed=1),
        identity("task=adding", "model=lstm", "task.length=99"),
        identity("task=adding", "model=gru"),
        identity("task=adding", "model=lstm", "model.layers=2"),
        identity("task=adding", "model=lstm", "train.steps=7"),
        identity("task=adding", "model=lstm", "network.read=mean"),
    }
    assert len(different) == 7


def test_a_named_setting_is_the_same_run_as_its_departures_spelt_out():
    named = setting_identity(one("task=adding", "model=deep_bilstm"), "")
    spelt = setting_identity(one("task=adding", "model=lstm", "model.layers=2", "model.bidirectional=true"), "")
    assert named == spelt


def test_golden_identity():
    """The id of one run of old: if this changes, records of users are orphaned. Raise a version instead, and say so."""
    setting = setting_identity(one("task=adding", "model=lstm"), "")
    assert (
        digest({**setting, "departures": {"task.length": 200}})
        == "ec6b9036264aa4050f877de32c41060c97ae510dfdc3e29f67a0a72532e2dae1"
    )


def test_a_sweep_is_every_combination():
    jobs = compose_jobs(["task=adding,copy_memory", "model=rnn,gru", "seed=0,1,2", "train.steps=5"], sweep=True)
    assert len(jobs) == 12
    assert len({(j["task"]["name"], j["model"]["name"], j["seed"]) for j in jobs}) == 12
    assert {j["train"]["steps"] for j in jobs} == {5}


def test_a_users_folder_adds_settings(tmp_path):
    folder = tmp_path / "mine/task"
    folder.mkdir(parents=True)
    (folder / "long_adding.yaml").write_text("# @package _global_\ndefaults: [adding]\ntask: {length: 400}\n")
    (job,) = compose_jobs(["task=long_adding", "model=lstm", "train.steps=3"], sweep=False, config_dir=str(folder.parent))
    assert job["task"]["length"] == 400
    assert job["train"]["steps"] == 3


@pytest.mark.parametrize("value", ["${oc.env:HOME}", "${oc.decode:x}", "{_target_:os.system}", "${ oc.env:HOME }"])
def test_resolvers_and_targets_are_refused(value):
    with pytest.raises(BadOption, match="code"):
        one("task=adding", "model=lstm", f"tracker.project={value}")


def test_refuse_code_looks_everywhere():
    for composed in (
        {"hydra": {"callbacks": {"x": 1}}},
        {"hydra": {"launcher": {"_target_": "os.system"}}},
        {"hydra": {"job_logging": {"handlers": {"x": {"()": "os.system"}}}}},
        {"task": [{"_target_": "x"}]},
    ):
        with pytest.raises(BadOption):
            refuse_code(composed)
    refuse_code({"hydra": {"launcher": {"_target_": "hydra._internal.core_plugins.basic_launcher.BasicLauncher"}}})


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", "train"),
        ("tr", "train"),
        ("train task=co", "task=copy_memory"),
        ("train task=adding model=pee", "model=peephole_lstm"),
        ("train task=adding model=lstm task.le", "task.length="),
        ("train train.le", "train.learning_rate="),
        ("train -m task=adding,co", "task=adding,copy_memory"),
        ("train task=adding train.opt", "train.optimizer="),
        ("train train.optimizer=a", "train.optimizer=adam"),
        ("train --conf", "--config-dir"),
        ("train t", "train."),
        ("compare --fo", "--format"),
        ("compare --format m", "markdown"),
        ("benchmark ov", "overhead"),
        ("baseline senti", "sentiment"),
        ("prepare adding task.le", "task.length="),
        ("list models gr", "gru"),
        ("list mo", "models"),
    ],
)
def test_completion(line, expected, monkeypatch, capsys):
    monkeypatch.setenv("COMP_LINE", f"rnnbench {line}")
    assert main(["complete"]) == 0
    assert expected in capsys.readouterr().out.split("\n")


def test_flags_and_words_stand_in_any_order(capsys):
    assert main(["list", "--budget", "1k", "models", "--task", "adding"]) == 0
    said = capsys.readouterr().out
    assert main(["list", "models", "--budget", "1k", "--task", "adding"]) == 0
    assert capsys.readouterr().out == said


def test_completion_leaves_files_to_the_shell(monkeypatch, capsys):
    for line in ("report runs/", "train task=char_lm task.text=my", "nonsense x"):
        monkeypatch.setenv("COMP_LINE", f"rnnbench {line}")
        assert main(["complete"]) == 0
        assert not capsys.readouterr().out.strip()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--help"], "learning_rate: 0.00"),
        (["--cfg", "job", "task=adding", "model=gru", "model.hidden_size=3"], "hidden_size: 3"),
        (["task=adding", "model=gru", "--cfg", "job", "model.hidden_size=3"], "hidden_size: 3"),
        (["task=adding", "model=gru", "--info", "defaults"], "adding"),
    ],
)
def test_help_and_cfg_are_hydras(words, said):
    done = subprocess.run([sys.executable, "-m", "rnnbench", "train", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
