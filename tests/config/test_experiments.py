"""`+experiment=NAME`: task, model and more in one file. Names of one's own files, and texts as a shell hands them over."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnnbench.cli.main import main
from rnnbench.config.checks import resolve
from rnnbench.config.compose import compose_jobs
from rnnbench.config.experiments import experiment_files, with_experiment
from rnnbench.config.labels import run_name
from rnnbench.config.overrides import split_sweep, sweep_overrides
from rnnbench.config.settings import Settings
from rnnbench.options import BadOption
from rnnbench.run.plan import plan_run
from rnnbench.store.run_folder import RunFolder

OWN = """\
task: {name: adding, length: 5, sequences: 20}
model: gru
model.hidden_size: 4
train:
  steps: 3
  batch_size: 4
tracker: none
seed: 3
"""
HYDRAS = """\
# @package _global_
defaults:
  - override /task: adding
  - override /model: gru
  - override /tracker: none
  - _self_
task: {length: 5, sequences: 20}
model: {hidden_size: 4}
train: {steps: 3, batch_size: 4}
seed: 3
"""
WORDS = ["task=adding", "task.length=5", "task.sequences=20", "model=gru", "model.hidden_size=4", "train.steps=3"]
WORDS += ["train.batch_size=4", "tracker=none", "seed=3"]
DOTTED = "".join(word.replace("=", ": ") + "\n" for word in WORDS)


@pytest.fixture
def own() -> str:
    """The folder of --config-dir, with an experiment."""
    write("own", OWN)
    return "mine"


def write(name: str, text: str, group: str = "experiment") -> None:
    path = Path("mine", group, f"{name}.yaml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def settings(*words: str, config_dir: str | None = None) -> Settings:
    return compose_jobs(with_experiment(words, config_dir), sweep=False, config_dir=config_dir)[0]


@pytest.mark.parametrize("name", experiment_files())
@pytest.mark.parametrize("more", [[], ["seed=0,1"], ["model=gru", "train.steps=5"]], ids=" ".join)
def test_the_shipped_experiments_are_sweeps_that_can_be(name: str, more: list[str]) -> None:
    jobs = compose_jobs(with_experiment([f"+experiment={name}", *more]), sweep=True)
    assert {job.experiment_name for job in jobs} == {name}
    assert all(resolve(job.plain()) == job for job in jobs)
    if "model=gru" in more:
        assert [(job.setting, job.train.steps) for job in jobs] == [("gru", 5)]


@pytest.mark.parametrize("text", [OWN, HYDRAS, DOTTED], ids=["in groups", "as Hydra's", "dotted"])
def test_an_experiment_is_its_words(text: str, own: str) -> None:
    """One's own files are composed by Hydra, words alone by us."""
    write("own", text)
    found, plain = settings("+experiment=own", config_dir=own), settings(*WORDS)
    assert found.experiment_name == "own" and plain.experiment_name is None
    assert {**found.plain(), "experiment_name": None} == plain.plain()
    assert plan_run(found).id == plan_run(plain).id  # recorded, not hashed
    assert plan_run(found).folder.path == plan_run(plain).folder.path
    assert run_name(found.plain(), "x") == run_name(plain.plain(), "x")


WINS = {
    "train.steps=7": lambda job: job.train.steps == 7 and job.train.batch_size == 4,
    "model=lstm": lambda job: job.setting == "lstm" and job.model.options["hidden_size"] == 4,
    "model.hidden_size=5": lambda job: job.setting == "gru" and job.model.options["hidden_size"] == 5,
    "++seed=1": lambda job: job.seed == 1,
    "experiment_name=other": lambda job: job.experiment_name == "other",
}


@pytest.mark.parametrize("word", WINS)
@pytest.mark.parametrize("before", [True, False])
def test_what_stands_on_the_command_line_wins(word: str, before: bool, own: str) -> None:
    words = [word, "+experiment=own"] if before else ["experiment=own", word]
    assert WINS[word](settings(*words, config_dir=own))


def test_ones_own_experiment_comes_before_ours(own: str) -> None:
    write("char_lm", OWN)
    assert settings("+experiment=char_lm", config_dir=own).task.name == "adding"
    assert settings("+experiment=char_lm").task.name == "char_lm"


REFUSED = {
    "+experiment=charlm": ("", "no experiment 'charlm'; did you mean 'char_lm'? there are: char_lm, memory_probe, own"),
    "+experiment=own,char_lm": (OWN, "one experiment at a time"),
    "+experiment=": (OWN, "no experiment ''"),
    "unknown group": ("teask: adding\n", "no option 'teask'; did you mean 'task'?"),
    "unknown option": (f"{OWN}train.stesp: 4\n", "train.stesp"),
    "no number": (f"{OWN}budget: {{width: x}}\n", "budget.width='x' is not allowed"),
    "too deep": ("train: {steps: {most: 3}}\n", "a word, a number or a list of these is allowed"),
    "Hydra's list": ("defaults: [lstm]\n", "in an experiment `override /GROUP: NAME` is allowed"),
    "Hydra's settings": ("hydra: {run: {dir: x}}\n", "no option 'hydra.run'"),
    "a class": ("model: ./cell.py:Cell\n", "a file may not name code"),
    "code": (f"{OWN}network: {{_target_: os.system}}\n", "a file may not name code"),
    "a resolver": ("runs: ${oc.env:HOME}\n", "code and resolvers are not allowed"),
    "no settings": ("- task\n", "settings expected"),
    "twice": ("seed: 1\nseed: 2\n", "seed"),
    "several": (OWN.replace("model: gru", "model: gru,lstm"), "several values make a sweep; add -m"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_experiments_that_are_refused(kind: str, own: str, capfd) -> None:
    text, said = REFUSED[kind]
    if text:
        write("own", text)
    word = kind if kind.startswith("+") else "+experiment=own"
    assert main(["train", word, "--config-dir", own]) == 2
    out, error = capfd.readouterr()
    assert said in error and error.count("\n") == 1 and len(error) <= 400 and not out and not Path("runs").exists()


def test_a_run_keeps_the_name_of_its_experiment(own: str, capfd) -> None:
    assert main(["train", "+experiment=own", "--config-dir", own]) == 0
    (path,) = Path("runs/adding/gru").glob("*/record.json")
    folder = RunFolder(path.parent)
    assert (folder.record() or {})["config"]["experiment_name"] == folder.config()["experiment_name"] == "own"
    capfd.readouterr()
    assert main(["train", *WORDS]) == 0
    assert "recorded before" in capfd.readouterr()[0]


def test_an_option_of_an_experiment_without_effect_is_left_out(own: str, capfd) -> None:
    """One that is typed is refused: an experiment is used with other choices than its own."""
    write("own", f"{OWN}train.momentum: 0.5\n")
    assert main(["train", "+experiment=own", "trainer.fast_dev_run=true", "--config-dir", own]) == 0
    assert "train.momentum=0.5 has no effect" in capfd.readouterr()[0]
    assert main(["train", *WORDS, "train.momentum=0.5"]) == 2


def test_of_what_only_the_task_s_file_sets_without_effect_nothing_is_said(capfd) -> None:
    words = ["task=noise_free_lag", "train.rule=online", "train.batch_size=1", "trainer.fast_dev_run=true"]
    words += ["model=lstm_1997", "train.precision=64", "train.select=last", "network.output=logistic", "task.error=squared"]
    assert main(["train", *words]) == 0
    assert "has no effect" not in "".join(capfd.readouterr())
    assert main(["train", *words, "train.momentum=0.9"]) == 2
    assert "train.momentum=0.9 has no effect" in capfd.readouterr()[1]


def test_a_sweep_and_an_estimate_take_an_experiment(own: str, capfd) -> None:
    words = ["+experiment=memory_probe", "task.delay=2", "task.sequences=20", "train.steps=2", "train.batch_size=2"]
    assert main(["estimate", *words, "tracker=none"]) == 0
    assert "3 runs, 0 recorded before" in capfd.readouterr()[0]
    assert main(["train", "-m", "+experiment=own", "seed=0,1", "--config-dir", own, "sweep=s", "hydra/launcher=basic"]) == 0
    kept = [RunFolder(path.parent).record() for path in Path("runs/adding/gru").glob("*/record.json")]
    assert sorted((one["seed"], one["config"]["experiment_name"]) for one in kept) == [(0, "own"), (1, "own")]


# One's own models


MODELS = {
    "mine": ("defaults: [lstm]\nhidden_size: 5\n", "mine"),
    "alone": ("mechanism: lstm\nhidden_size: 5\n", "alone"),
    "says": ("defaults: [lstm]\nname: called\nhidden_size: 5\n", "called"),
    "lstm": ("mechanism: lstm\nhidden_size: 5\n", "lstm"),
    "twice": ("defaults: [mine]\n", "twice"),
    "odd name": ("defaults: [lstm]\nhidden_size: 5\n", "lstm"),  # no name of a folder of runs
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_of_ones_own_bears_the_name_of_its_file(name: str) -> None:
    for one, (text, _) in MODELS.items():
        write(one, text, "model")
    found = settings("task=adding", f"model='{name}'", config_dir="mine")
    plain = settings("task=adding", "model=lstm", "model.hidden_size=5")
    assert (found.setting, found.model.name) == (MODELS[name][1], "lstm")
    assert found.identity("") == plain.identity("") and plan_run(found).id == plan_run(plain).id
    assert plan_run(found).folder.path.parent == Path("runs/adding", MODELS[name][1])
    assert run_name(found.plain(), "x").startswith(f"adding / {MODELS[name][1]}-5 / ")
    assert settings("task=adding", f"model='{name}'", "model.name=typed", config_dir="mine").setting == "typed"


def test_a_sweep_over_models_of_ones_own(capfd) -> None:
    """By a launcher that has Hydra compose each job again."""
    write("mine", MODELS["mine"][0], "model")
    words = [word for word in WORDS if not word.startswith("model")]
    assert (
        main(["train", "-m", *words, "model=mine,gru", "model.hidden_size=4", "--config-dir", "mine", "hydra/launcher=basic"])
        == 0
    )
    assert sorted(path.parent.parent.name for path in Path("runs").rglob("record.json")) == ["gru", "mine"]


# Texts without quotes

TEXTS = [
    "~/x (1)#.txt",
    "größe.csv",
    "~/Daten/größe.csv",
    "数据/文本.txt",
    "it's.txt",
    'a"b.txt',
    "a&b;c.txt",
    "x!.txt",
    "a  b.csv",
]
TEXTS += ["x=1.txt", "50%.txt", "$HOME/x.csv", "(1).txt", "C:\\x.txt", "\\x(1).txt", "é", "a:b", "x\\'(.txt"]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_taken_as_it_stands(text: str) -> None:
    words = ["task=text_classification", "model=gru", f"task.file={text}"]
    assert settings(*words).task.options["file"] == text
    (job,) = split_sweep(words, sweep=True)
    assert compose_jobs(job, sweep=False)[0].task.options["file"] == text
    (line,) = sweep_overrides(words[2:])  # what Hydra itself is told
    assert compose_jobs([*words[:2], line], sweep=False)[0].task.options["file"] == text
    two = compose_jobs([*words[:2], f"task.file={text},other (2).csv"], sweep=True)
    assert [one.task.options["file"] for one in two] == [text, "other (2).csv"]


UNREAD = {
    "task.file='a": "cannot be read; a value with spaces or signs stands in quotes",
    "task.file=[a": "cannot be read",
    "task.file={a}.txt": "cannot be read",
    "task.file=größe.csv,b.csv": "several values make a sweep; add -m",
    "seed=" + ",".join(map(str, range(200))): "several values make a sweep; add -m",
    "task.file=${oc.env:HOME}(": "code and resolvers are not allowed",
    "train.steps=5(": "train.steps='5(' is not allowed; allowed: whole number, at least 1",
    "train.learning_rate=interval(1e-4,1e-1)": "`rnnbench tune TASK MODEL --space FILE` searches one: train.learning_rate: {",
    "größe=1": "cannot be read",
    "train.steps=${train.steps}": "train.steps: a value that refers to itself",
}


@pytest.mark.parametrize("word", UNREAD)
@pytest.mark.parametrize("sweep", [False, True])
def test_what_is_no_text_is_refused(word: str, sweep: bool) -> None:
    if sweep and "add -m" in UNREAD[word]:
        return
    with pytest.raises(BadOption) as refused:
        compose_jobs(["task=text_classification", "model=gru", word], sweep=sweep)
    assert UNREAD[word] in str(refused.value) and len(str(refused.value)) <= 400 and "\n" not in str(refused.value)


def test_a_file_with_a_comma_in_its_name_is_read_as_the_message_says() -> None:
    Path("a,b.csv").touch()
    words = ["task=text_classification", "model=gru"]
    with pytest.raises(BadOption, match="a value with a comma stands in quotes"):
        compose_jobs([*words, "task.file=a,b.csv"], sweep=False)
    assert settings(*words, 'task.file="a,b.csv"').task.options["file"] == "a,b.csv"
