"""Composition, departures, and what makes two runs the same run."""

from __future__ import annotations

import math
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from pydantic import ValidationError

from rnnbench.cli.main import main
from rnnbench.config.checks import refuse_code, resolve
from rnnbench.config.compose import compose_jobs
from rnnbench.config.compose_by_hydra import _composed
from rnnbench.config.hydra_store import register_config
from rnnbench.config.overrides import hydra_words
from rnnbench.config.plain_overrides import compose_plainly, plain_words
from rnnbench.config.schema import choice_names, group_options
from rnnbench.config.settings import Settings
from rnnbench.options import BadOption
from rnnbench.reproduction.grid import Scale, Seeds
from rnnbench.store.record import digest
from rnnbench.store.yaml_files import read_yaml
from rnnbench.tasks import task_names


def one(*overrides):
    (job,) = compose_jobs(list(overrides), sweep=False)
    return job


def identity(*overrides, seed=0):
    return digest([one(*overrides).identity(""), seed])


# A task's options and a model's do not touch, so each with one of the other kind says what all pairs would.
PAIRS = [(task, "lstm") for task in choice_names("task")] + [("adding", model) for model in choice_names("model")]


@pytest.mark.parametrize(("task", "model"), PAIRS)
def test_every_task_goes_with_every_model_that_fits(task, model):
    job = one(f"task={task}", f"model={model}")
    assert job.task.name in task_names()
    assert job.setting == model
    assert resolve(job.plain()) == job


def test_settings_are_the_signatures_then_the_file_then_the_command_line():
    job = one("task=adding", "model=irnn", "model.hidden_size=9", "train.clip=null")
    from_file = {"nonlinearity": "relu", "recurrent_init": "identity", "input_init": "small", "zero_bias": True}
    defaults = {name: option.default for name, option in group_options("model", {"mechanism": "rnn"}).items()}
    assert job.plain()["model"] == {"name": "irnn", "mechanism": "rnn", **defaults, **from_file, "hidden_size": 9}
    assert job.train.clip is None


def test_departures_are_from_the_signatures():
    found = one("task=adding", "model=irnn", "task.length=200", "train.precision='64'").departures
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
    named = one("task=adding", "model=deep_bilstm").identity("")
    spelt = one("task=adding", "model=lstm", "model.layers=2", "model.bidirectional=true").identity("")
    assert named == spelt


def test_golden_identity():
    """The id of one run of old: if this changes, records of users are orphaned. Raise a version instead, and say so."""
    setting = one("task=adding", "model=lstm").identity("")
    assert (
        digest({**setting, "departures": {"task.length": 200}})
        == "ec6b9036264aa4050f877de32c41060c97ae510dfdc3e29f67a0a72532e2dae1"
    )


def test_a_sweep_is_every_combination():
    jobs = compose_jobs(["task=adding,copy_memory", "model=rnn,gru", "seed=0,1,2", "train.steps=5"], sweep=True)
    assert len(jobs) == 12
    assert len({(j.task.name, j.setting, j.seed) for j in jobs}) == 12
    assert {j.train.steps for j in jobs} == {5}


def test_a_users_folder_adds_settings(tmp_path):
    folder = tmp_path / "mine/task"
    folder.mkdir(parents=True)
    (folder / "long_adding.yaml").write_text("# @package _global_\ndefaults: [adding]\ntask: {length: 400}\n")
    (job,) = compose_jobs(["task=long_adding", "model=lstm", "train.steps=3"], sweep=False, config_dir=str(folder.parent))
    assert job.task.options["length"] == 400
    assert job.train.steps == 3


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
        (["--help"], "train.learning_rate=0.00"),
        (["--cfg", "job", "task=adding", "model=gru", "model.hidden_size=3"], "hidden_size: 3"),
        (["task=adding", "model=gru", "--cfg", "job", "model.hidden_size=3"], "hidden_size: 3"),
        (["task=adding", "model=gru", "--info", "defaults"], "adding"),
    ],
)
def test_help_and_cfg_are_hydras(words, said):
    done = subprocess.run([sys.executable, "-m", "rnnbench", "train", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert said in done.stdout


# Composition without Hydra


def by_hydra(*overrides: str) -> Settings:
    """As Hydra composes it, whether or not it could be done without."""
    register_config()
    return resolve(_composed(overrides, None))


def same_by_both(overrides: Sequence[str]) -> None:
    words = plain_words(overrides)
    assert words is not None, overrides
    plainly, hydras = [], []
    for found, compose in ((plainly, lambda: resolve(compose_plainly(words))), (hydras, lambda: by_hydra(*overrides))):
        try:
            found.append(compose())
        except BadOption as error:  # the two exclude each other, by both in the same words
            found.append(str(error))
    assert plainly == hydras


def test_each_task_and_each_model_is_composed_as_by_hydra() -> None:
    for task, model in PAIRS:
        same_by_both([f"task={task}", f"model={model}"])


@pytest.mark.slow
def test_pairs_with_values_are_composed_as_by_hydra() -> None:
    draw = random.Random(0)
    values = ["train.steps=7", "train.clip=null", "train.learning_rate=1e-4", "trainer=ddp", "tracker=none", "seed=3"]
    values += ["network.tied=true", "model.hidden_size=9", "runs=some/where", "train.learning_rate=.5", "sweep=a-b"]
    for _ in range(100):
        pair = [f"task={draw.choice(choice_names('task'))}", f"model={draw.choice(choice_names('model'))}"]
        chosen = draw.sample(values, 3)
        if len({word.partition("=")[0] for word in chosen}) == 3 and "model.hidden_size=9" not in chosen:
            same_by_both(pair + chosen)


@pytest.mark.slow
def test_all_pairs_are_composed_as_by_hydra() -> None:
    for task in choice_names("task"):
        for model in choice_names("model"):
            same_by_both([f"task={task}", f"model={model}"])


@pytest.mark.parametrize(
    "line",
    ["train.steps='5'", "+train.steps=5", "~train.clip", "task.file=a b", "seed=1,2", "runs=${seed}", "model=[x", "a", "x=-"],
)
def test_what_is_not_plain_is_left_to_hydra(line: str) -> None:
    assert plain_words([line]) is None


def test_plain_values_are_read_as_by_hydra() -> None:
    texts = [
        "0",
        "-3",
        "1.5",
        ".5",
        "-2.",
        "1e-4",
        "-1E+3",
        "true",
        "false",
        "null",
        "abc",
        "a-b.c/d",
        "/x/y",
        "[1,2]",
        "[a,.5]",
        "[]",
    ]
    for text in texts:
        (ours,), (theirs,) = plain_words([f"x={text}"]), hydra_words([f"x={text}"])
        assert (ours.value, type(ours.value)) == (theirs.value, type(theirs.value)), text


def test_of_an_option_that_stands_twice_the_last_counts_by_both() -> None:
    same_by_both(["task=adding", "model=gru", "train.steps=7", "train.clip=null", "train.steps=9"])
    assert plain_words(["task=adding", "task=reverse"]) is None


YAML = ["1", "-3", "1.5", "1e-4", "2.5e0", "1.5E4", "-1e+3", "true", "null", "abc", "1e", "9782e1d8", "[1, 2e-1]"]


@pytest.mark.parametrize("text", YAML)
def test_yaml_is_read_as_by_omegaconf(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.yaml").write_text(f"x: {text}\n", encoding="utf-8")
    ours, theirs = read_yaml(tmp_path / "x.yaml")["x"], OmegaConf.to_container(OmegaConf.load(tmp_path / "x.yaml"))["x"]
    assert (ours, type(ours)) == (theirs, type(theirs))


# What is taken away, added, and shown


@pytest.mark.parametrize("words", [["~train.clip"], ["train.clip=null"], ["++train.clip=null"]])
@pytest.mark.parametrize("sweep", [False, True])
def test_an_option_that_is_taken_away_is_null(words, sweep):
    for settings in compose_jobs(["task=adding", "model=gru", *words, *(["seed=0,1"] if sweep else [])], sweep):
        assert settings.train.clip is None


@pytest.mark.parametrize("more", [[], ["-m", "hydra.launcher.workers=1"], ["-m", "hydra/launcher=basic"]])
def test_it_is_null_however_it_is_run(more, capfd):
    quick = ["task=adding", "model=gru", "task.length=6", "train.steps=1", "tracker=none"]
    assert main(["train", *quick, "~train.clip", *more]) == 0
    (path,) = Path("runs").glob("adding/gru/*/config.yaml")
    assert read_yaml(path)["train"]["clip"] is None


def test_the_settings_that_are_shown_are_those_that_are_run(capfd):
    assert main(["train", "task=adding", "model=gru", "~train.clip", "++train.steps=7", "--cfg", "job"]) == 0
    out = capfd.readouterr().out
    assert "clip: null" in out and "steps: 7" in out


def test_a_folder_with_quotes_in_its_name(capfd):
    Path("o'brien's").mkdir()
    os.chdir("o'brien's")
    quick = ["task=adding", "model=gru", "task.length=6", "train.steps=1", "tracker=none"]
    assert main(["train", "-m", *quick, "hydra/launcher=basic"]) == 0
    assert "1 of 1 run recorded" in capfd.readouterr().out


@pytest.mark.parametrize("given", [True, "5", 5.0, 0, 1001, 200_000_000, None])
def test_seeds_of_a_table_are_whole_numbers_within_bounds(given):
    with pytest.raises(ValidationError):
        Seeds.model_validate({"first": given})


@pytest.mark.parametrize("given", [True, "5", -1, math.inf])
def test_costs_of_a_table_are_numbers(given):
    with pytest.raises(ValidationError):
        Scale.model_validate({"minutes": given})


def test_the_most_seeds_of_a_table():
    assert Seeds.model_validate({"first": 999, "more": 1, "most": 1000}).looks == [999, 1000]
    with pytest.raises(ValidationError):
        Seeds.model_validate({"first": 1, "more": 1, "most": 200_000_000})
