"""The law of live options: each changes numbers under some setting; where a rule says that it has no effect, it changes none.

Only what stands in the id is meant: options of task, model, network and train; not network.backend, which changes rounding.
"""

from __future__ import annotations

import hashlib
import typing
from pathlib import Path
from typing import Any

import pytest
import torch

from rnnbench.cli.main import main
from rnnbench.config.checks import resolve
from rnnbench.config.compose import compose_jobs
from rnnbench.config.identity import departures
from rnnbench.config.liveness import Liveness
from rnnbench.config.schema import GIVEN, group_options, read_signature
from rnnbench.config.settings import Settings
from rnnbench.models.registry import MODELS
from rnnbench.options import Needs, Option, plain_text
from rnnbench.run.execute import execute
from rnnbench.run.plan import make_task, new_network, plan_run
from rnnbench.store.run_folder import RunFolder
from rnnbench.tasks import load, task_names
from rnnbench.tasks.task import SPLITS, Task
from tests.tasks.test_tasks import SMALL, mirror  # noqa: F401 - a fixture

ONCE = ["task=temporal_order", "task.length=12", "task.sequences=20", "model.hidden_size=8", "train.batch_size=4"]
ADDING = ["task=adding", "task.length=6", "task.sequences=20", "model=gru", "model.hidden_size=4", "train.batch_size=4"]
ADDING += ["train.steps=8", "train.eval_every=2", "train.log_every=2", "train.learning_rate=0.05"]
REVERSE = ["task=reverse", "task.length=3", "task.shortest=2", "task.symbols=2", "task.sequences=20", "model=gru"]
REVERSE += ["model.hidden_size=8", "train.batch_size=4", "train.steps=4", "train.eval_every=2"]
WRITES = [*REVERSE, "network.kind=encoder_decoder"]
CARRIES = [
    *["task=embedded_reber", "task.form=continual", "task.window=9", "task.windows=5", "task.streams=4", "model=gru"],
    *["model.hidden_size=4", "train.batch_size=4", "train.steps=4", "train.eval_every=2"],
]

BY_ROW = ["task=embedded_reber", "task.sequences=20", "task.error=squared", "model=lstm_1997", "model.hidden_size=4"]
BY_ROW += ["network.output=logistic", "train.batch_size=1", "train.precision=64", "train.steps=8", "train.eval_every=4"]
ONLINE = [*BY_ROW, "train.rule=online"]
GUESS = [*BY_ROW, "train.rule=guess", "train.window=50"]

# What an option is tried with, where it is not the default: words beside it, and its other value.
MODEL: dict[str, tuple[list[str], Any]] = {
    "model.bidirectional": ([], True),
    "model.tied_directions": (["model.bidirectional=true"], True),
    "model.depth_form": (["model.layers=2", "model.bidirectional=true"], "separate"),
    "model.dropout": (["model.layers=2"], 0.5),
    "model.dropout_mask": (["model.layers=2", "model.dropout=0.5"], "sequence"),
    "model.cell_zoneout": (["model=lstm"], 0.5),
    "lstm model.proj_size": ([], 3),
    "lstm_1997 model.input_bias": ([], [1.0] * 8),
    "lstm_1997 model.output_bias": ([], [1.0] * 8),
    "lstm_1997 model.forget_bias": (["model.forget_gate=true"], [1.0] * 8),
    "lstm_1997 model.bias_spread": (["model.input_bias=[1,1,1,1,1,1,1,1]"], True),
    "lstm_1997 model.block_size": ([], 2),
    "transformer model.heads": ([], 2),
    "transformer model.context": ([], 2),
    "tcn model.kernel": ([], 3),
}
NETWORK: dict[str, tuple[list[str], Any]] = {
    "network.kind": ([*REVERSE, "network.kind=plain", "network.attention=none"], "encoder_decoder"),
    "network.embedding": ([], 5),
    "network.tied": ([*CARRIES, "model.hidden_size=8", "network.embedding=8"], True),
    "network.attention": (WRITES, "additive"),
    "network.writer": (WRITES, "rnn"),
    "network.output": (["task.error=squared"], "logistic"),
}
TRAIN: dict[str, tuple[list[str], Any]] = {
    "train.rule": (BY_ROW, "online"),
    "train.each_step": (ONLINE, True),
    "train.cells_after": ([*ONLINE, "network.direct=true"], 1),
    "train.step_decay": ([*ONLINE, "train.each_step=true"], 0.9),
    "train.window": (["train.window_wrong=99", "train.window_error=0.9", *ONLINE], 5),
    "train.window_wrong": ([*ONLINE, "train.window=5", "train.window_error=0.9"], 5),
    "train.window_error": ([*ONLINE, "train.window=5", "train.window_wrong=5", "train.window_error=0.9"], 0.01),
    "train.guess_spread": (GUESS, 0.5),
    "train.optimizer": ([], "sgd"),
    "train.log_every": (["train.eval_every=8"], 1),
    "train.momentum": (["train.optimizer=sgd"], 0.9),
    "train.weight_noise": ([], 0.1),
    "train.clip": ([], 1e-4),
    "train.clip_by": (["train.clip=0.001"], "value"),
    "train.forcing": (WRITES, 0.5),
    "train.forcing_end": (WRITES, 0.5),
    "train.warmup": ([], 6),
    "train.decay": (["train.schedule=plateau", "train.learning_rate=1"], 0.1),
    "train.decay_window": (["train.schedule=plateau", "train.learning_rate=1", "train.steps=40"], 1),
    "train.decay_after": (["train.schedule=plateau", "train.learning_rate=1"], 3),
    "train.select": (["train.learning_rate=1", "train.steps=40"], "last"),
    "train.averaging": (["train.optimizer=rmsprop"], 0.5),
    "train.mean_over": ([*CARRIES, "train.optimizer=sgd"], "rows"),
    "train.patience": (["train.learning_rate=1"], 1),
    "train.beam": ([*WRITES, "train.steps=40", "train.learning_rate=0.01"], 4),
    "train.length_penalty": ([*WRITES, "train.beam=4", "train.steps=40", "train.learning_rate=0.01"], 2.0),
    "train.samples": (["task=caption", "model=gru", "model.hidden_size=4", "train.steps=2", "train.eval_every=1"], 1),
    "train.stop_when_solved": (["task.solved_below=1000"], False),
    "train.carry": (CARRIES, False),
    "train.precision": ([], "64"),
}
TASKS: dict[str, tuple[dict[str, Any], Any]] = {
    "adding.solved_above": ({"form": "hochreiter", "length": 20}, 0.5),
    "associative_recall.pairs": ({}, 2),
    "associative_recall.length": ({}, 20),
    "embedded_reber.reset": ({}, None),  # of what reads pieces: tests/training/test_streams.py
    "embedded_reber.length": ({"form": "streams"}, 30),
    "embedded_reber.train_length": ({"form": "streams", "length": 50}, 30),
    "char_lm.text": ({}, "ptb"),
    "char_lm.window": ({}, 9),
    "char_lm.held_out": ({}, 0.1),
    "char_lm.held_out_limit": ({}, 2_000),
    "char_lm.validation_limit": ({}, 100),
    "char_lm.stretch": ({}, 1),
    "copy_memory.shortest": ({}, 3),
    "couplet.rhymes": ({}, None),  # needs the extra zh
    "formal_language.language": ({}, "anbn"),
    "formal_language.test_shortest": ({}, 4),
    "formal_language.kinds": ({"language": "dyck"}, 3),
    "intent.tokenizer": ({}, "characters"),
    "intent.hub": ({}, "benayas/snips"),
    "music.data": ({}, "nottingham"),
    "noise_free_lag.symbols": ({"form": "2c"}, 2),
    "pronunciation.data": ({}, None),  # two packages of data
    "pronunciation.stress": ({}, None),
    "reverse.length": ({}, 4),
    "reverse.shortest": ({}, 1),
    "selective_copy.symbols": ({}, 2),
    "sentiment.hub": ({}, "stanfordnlp/imdb"),
    "sentiment.tokenizer": ({}, "characters"),
    "sequential_digits.pool": ({}, 2),
    "sequential_digits.permutation": ({"order": "permuted"}, 1),
    "sequential_digits.data": ({}, None),  # the other is MNIST
    "caption.data": ({}, None),
    "tagging.data": ({}, None),  # pypinyin's data, from the extra zh
    "text_classification.hub": ({}, None),  # one of hub and file must be; both are paths
    "text_classification.file": ({}, None),
    "text_classification.config": ({}, None),  # which folder of the hub's: says where
    "text_classification.revision": ({}, None),
    "text_classification.text_column": ({}, None),
    "text_classification.label_column": ({}, None),
    "text_classification.pair_column": ({}, None),  # tests/data/test_sets.py
    **{  # where data lie and how they are read: tests/data/test_sets.py
        f"text_classification.{name}": ({}, None)
        for name in ("train", "validation", "test", "separator", "header", "encoding", "quote", "drop_empty")
    },
    "text_classification.tokenizer": ({}, "characters"),
    **{  # where data lie, and cuts of what has no splits: tests/tasks/test_sequences.py
        f"{task}.{name}": ({}, None)
        for task in ("sequence_classification", "forecasting", "tagging", "text_regression", "text_labels")
        for name in ("hub", "file", "config", "revision", "train", "validation", "test", "separator", "header", "encoding")
    },
    **{f"tagging.{name}": ({}, None) for name in ("token_column", "tag_column", "tokens", "tags")},
    **{f"text_regression.{name}": ({}, None) for name in ("drop_empty", "text_column", "value_column")},
    "text_regression.tokenizer": ({}, "characters"),
    **{  # tests/tasks/test_text_labels.py
        f"text_labels.{name}": ({}, None) for name in ("quote", "drop_empty", "text_column", "label_column", "label_separator")
    },
    "text_labels.tokenizer": ({}, "characters"),
    "sequence_classification.values_column": ({}, None),
    "sequence_classification.label_column": ({}, None),
    "sequence_classification.held_out": ({}, None),
    "forecasting.columns": ({}, None),
    "forecasting.held_out": ({}, None),
    "photo_caption.hub": ({}, None),
    "photo_caption.min_frequency": ({}, 30),
    **{f"translation.{name}": ({}, None) for name in ("hub", "file", "train", "validation", "test")},
    "two_sequences.solved_error": ({}, 0.5),
    "two_sequences.redrawn": ({}, None),  # tests/training/test_online.py
    "translation.source_column": ({}, None),  # the small set has two columns, and both are needed
    "translation.target_column": ({}, None),
    "translation.source_symbols": ({}, "characters"),
    "translation.target_symbols": ({}, "characters"),
    "translation.bleu": ({}, "char"),
    "translation.lowercase": ({}, None),  # the small set has small letters only; tests/tasks/test_pair_tasks.py
    "word_lm.text": ({}, "wikitext2"),
    "word_lm.min_frequency": ({}, 200),
    **{  # tests/tasks/test_own_texts.py
        f"{task}.{name}": ({}, None)
        for task in ("char_lm", "word_lm")
        for name in ("hub", "file", "config", "revision", "train", "validation", "test")
    },
    **{
        f"{task}.{name}": ({}, None)
        for task in ("char_lm", "word_lm")
        for name in ("separator", "header", "encoding", "text_column")
    },
    "word_lm.tokenizer": ({}, "characters"),
    "word_lm.validation_limit": ({}, 100),
    "word_lm.stretch": ({}, 1),
    "word_lm.held_out": ({}, None),  # of a file: test_text_tasks
    "couplet.data": ({}, None),
}
SMALLER = {"max_length": 2, "max_vocabulary": 4, "min_frequency": 25}  # so that they cut the small sets
UNTRIED = ("vectors", "vocabulary", "order")  # files enter by their digest; shuffled: tests/tasks/test_text_tasks.py


def other(option: Option) -> Any:
    """A value that is not the default."""
    parts = typing.get_args(option.annotation)
    if typing.get_origin(option.annotation) is typing.Literal:
        return next(part for part in parts if part != option.default)
    if isinstance(option.default, bool):
        return not option.default
    if isinstance(option.default, float):
        return option.default / 2 if option.default else 0.5
    assert isinstance(option.default, int), option
    return option.default * 2 if option.default > 1 else option.default + 1


def settled(words: list[str], key: str = "", value: Any = None) -> Settings:
    chosen = [word for word in words if not word.startswith(("task=", "model="))]
    last = {word.partition("=")[0]: word for word in words if word.startswith(("task=", "model="))}
    task = last.get("task", "")
    chosen = [word for word in chosen if not word.startswith("task.") or word in words[words.index(task) :]]
    (job,) = compose_jobs([*last.values(), *chosen, "tracker=none"], sweep=False)
    if not key:
        return job
    plain = job.plain()
    group, _, name = key.partition(".")
    plain[group][name] = value
    return resolve(plain)


def network_numbers(settings: Settings) -> str:
    """What a network makes of a batch: its weights, outputs in training and evaluation, loss and gradients."""
    task = make_task(settings)
    task.prepare()
    network, _ = new_network(settings, task)
    batch = task.batch("train", 0, 4, 0)
    found = [parameter.detach().clone() for parameter in network.parameters()]
    for training in (True, False):
        network.train(training)
        outputs, _ = network(batch, None)
        found.append(outputs.detach())
        total, count = task.loss(outputs, batch)
        network.zero_grad()
        (total / count).backward()
        found += [p.grad if p.grad is not None else torch.zeros(1) for p in network.parameters()]
    return digest(found)


def digest(found: list[torch.Tensor]) -> str:
    whole = hashlib.sha256()
    for tensor in found:
        whole.update(str(tuple(tensor.shape)).encode() + tensor.double().numpy().tobytes())
    return whole.hexdigest()


def run_numbers(settings: Settings, runs: Path) -> tuple[object, ...]:
    """The scores and the log of a short run, with all that was written."""
    import dataclasses

    record = execute(dataclasses.replace(settings, runs=str(runs)))
    assert record is not None
    (path,) = runs.glob("*/*/*/record.json")
    return record["scores"], record["steps"], RunFolder(path.parent).metrics()


def task_numbers(task: Task) -> tuple[object, ...]:
    """Batches of every split, the floor, where solved begins, and what a guess scores."""
    task.prepare()
    found: list[object] = [task.fingerprint, task.floor]
    for split in SPLITS:
        batches = task.batches(split, 7) if split != "train" else 3
        found.append(batches)
        for index in range(min(batches, 12)):
            batch = task.batch(split, index, 7, 0)
            found.append(digest([part for part in batch if isinstance(part, torch.Tensor)]))
    score = task.score if task.source is None else task.score_written
    batch = task.batch("test", 0, 7, 0)
    sums = score(task.floor_guess(batch), batch)
    found.append({name: torch.as_tensor(value).tolist() for name, value in sums.items()})
    bounds = [0, 1e-3, 0.007, 0.01, 0.05, 0.25, 0.49, 0.5, 0.9, 0.985, 0.995, 1.0, 30, 99]
    names = (task.headline, "mse", "mae", "correct", "accuracy")
    found.append([task.solved(dict.fromkeys(names, bound)) for bound in bounds])
    return tuple(found)


@pytest.fixture
def small_sets(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """The data that the tests of tasks read."""
    monkeypatch.setenv("RNNBENCH_DATA", str(mirror))


MECHANISM_OPTIONS = [
    (mechanism, name)
    for mechanism in MODELS
    for name in group_options("model", {"mechanism": mechanism})
    if mechanism == "gru" or name in read_signature("mechanism", mechanism).options
    if name not in GIVEN
]


@pytest.mark.parametrize("mechanism, name", MECHANISM_OPTIONS, ids=".".join)
def test_every_option_of_a_model_changes_numbers_somewhere(mechanism: str, name: str) -> None:
    option = group_options("model", {"mechanism": mechanism})[name]
    beside, value = MODEL.get(f"{mechanism} model.{name}") or MODEL.get(f"model.{name}") or ([], other(option))
    words = [*ONCE, f"model={mechanism}", *beside]
    base, changed = settled(words), settled(words, f"model.{name}", value)
    assert departures(changed.plain()) != departures(base.plain())
    assert network_numbers(changed) != network_numbers(base)


@pytest.mark.parametrize("key", [f"network.{name}" for name in group_options("network", {}) if name != "backend"])
def test_every_option_of_a_network_changes_numbers_somewhere(key: str) -> None:
    option = group_options("network", {})[key.partition(".")[2]]
    beside, value = NETWORK.get(key) or ([], other(option))
    words = [*ONCE, "model=gru", *beside]
    base, changed = settled(words), settled(words, key, value)
    assert departures(changed.plain()) != departures(base.plain())
    assert network_numbers(changed) != network_numbers(base)


@pytest.mark.parametrize("key", [f"train.{name}" for name in group_options("train", {})])
def test_every_option_of_training_changes_numbers_somewhere(key: str) -> None:
    option = group_options("train", {})[key.partition(".")[2]]
    beside, value = TRAIN.get(key) or ([], other(option))
    words = [*ADDING, *beside]
    base, changed = settled(words), settled(words, key, value)
    assert departures(changed.plain()) != departures(base.plain())
    assert run_numbers(changed, Path("changed")) != run_numbers(base, Path("base"))


@pytest.mark.usefixtures("small_sets")
@pytest.mark.parametrize("name", task_names())
def test_every_option_of_a_task_changes_numbers_somewhere(name: str) -> None:
    small = {key: value for key, value in SMALL.get(name, {}).items() if key not in ("min_frequency",)}
    kept = SMALL.get(name, {})
    dead = []
    for option in read_signature("task", name).options.values():
        beside, value = TASKS.get(f"{name}.{option.name}") or ({}, SMALLER.get(option.name) or 0)
        if option.name in UNTRIED or value is None:
            continue
        base = {**(small if option.name == "min_frequency" else kept), **beside}
        if f"{name}.{option.name}" not in TASKS and option.name not in SMALLER:
            value = other(option)
            value = value + base.get(option.name, option.default) if type(value) is int else value
        for needs in option.needs:
            if not any(part in needs for part in base.values()) and needs.values:
                base = {**base, needs.options[0]: needs.values[0]}
        if option.name == "min_frequency":
            base["min_frequency"] = 1
        if task_numbers(load(name, **{**base, option.name: value})) == task_numbers(load(name, **base)):
            dead.append(f"{option.name}={value} beside {base}")
    assert not dead


# Where a rule says that an option has no effect

WITH_NEEDS = [
    *((f"model.{name}", needs) for name, o in group_options("model", {"mechanism": "gru"}).items() for needs in o.needs),
    *(("model.forget_bias", needs) for needs in read_signature("mechanism", "lstm").options["forget_bias"].needs),
    *((f"{group}.{name}", needs) for group in ("network", "train") for name, o in group_options(group, {}).items()
      for needs in o.needs),
]  # fmt: skip
UNMET: dict[str, list[str]] = {
    "layers of at least 2": ["model.bidirectional=true", "model.dropout=0.5"],
    "bidirectional or two_forward to be set": ["model.layers=2"],
    "dropout to be set": ["model.layers=2"],
    "chrono=0": ["model=lstm", "model.chrono=5"],
    "NFG=false": ["model=lstm", "model.NFG=true"],
    "network.spread=0": ["network.spread=0.1"],
    "spread=0": ["network.spread=0.1"],
    "task.structure=N->1": ["task=copy_memory", "task.delay=3"],
    "clip to be set": ["train.clip=null"],
    "each_step to be set": ONLINE,
    "rule=batch": ONLINE,
    "rule other than guess": GUESS,
    "network.direct=true": ONLINE,
    "biases of at least 1": ["model=rnn", "model.biases=0"],
    "kind=plain": WRITES,
    "beam of at least 2": WRITES,
}


@pytest.mark.parametrize("mechanism, name", MECHANISM_OPTIONS, ids=".".join)
def test_of_a_given_range_of_all_first_weights_a_rule_says_what_it_leaves_without_effect(mechanism: str, name: str) -> None:
    option = group_options("model", {"mechanism": mechanism})[name]
    beside, value = MODEL.get(f"{mechanism} model.{name}") or MODEL.get(f"model.{name}") or ([], other(option))
    words = [*ONCE, f"model={mechanism}", *(word for word in beside if "bias" not in word), "network.spread=0.1"]
    base, changed = settled(words), settled(words, f"model.{name}", value)
    dead = f"model.{name}" in Liveness(changed.plain()).effectless()
    assert dead == (network_numbers(changed) == network_numbers(base))


def without_effect(key: str, needs: Needs) -> tuple[list[str], Settings, Any]:
    """(words beside which an option lacks what it needs, their settings, a value of it that is not the default)."""
    group, _, name = key.partition(".")
    words = [*(ADDING if group == "train" else [*ONCE, "model=gru"]), *UNMET.get(str(needs), [])]
    words = [word for word in words if not word.startswith(f"{key}=")]
    words += ["model=lstm"] if key == "model.forget_bias" else []
    base = settled(words)
    option = group_options(group, {"name": "", "mechanism": base.model.name})[name]
    _, value = (MODEL | TRAIN | NETWORK).get(key) or ([], other(option))
    return words, base, value


@pytest.mark.parametrize("key, needs", WITH_NEEDS, ids=lambda part: str(part))
def test_what_a_rule_calls_without_effect_changes_nothing(key: str, needs: Needs) -> None:
    words, base, value = without_effect(key, needs)
    changed = settled(words, key, value)
    assert key in Liveness(changed.plain()).effectless()
    assert departures(changed.plain()) == departures(base.plain())
    assert changed.identity("") == base.identity("") and changed.identity("", as_in_0_1=True) != base.identity("")
    if key.startswith("train."):
        assert run_numbers(changed, Path("changed"))[:2] == run_numbers(base, Path("base"))[:2]
    assert network_numbers(changed) == network_numbers(base)


@pytest.mark.usefixtures("small_sets")
@pytest.mark.parametrize("name", task_names())
def test_what_a_task_calls_without_effect_changes_nothing(name: str, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("film\ngood\n")
    for option in read_signature("task", name).options.values():
        for needs in option.needs:
            if option.where or option.name in ("revision", "redrawn") or name == "pronunciation":
                continue  # where the data lie; of a set of the hub: tests/run/test_places.py; of a rule; two packages of data
            (switch,) = needs.options
            kinds = typing.get_args(read_signature("task", name).options[switch].annotation) or needs.besides
            kinds = [str(tmp_path / "words.txt")] if switch == "vocabulary" else kinds
            without = [kind for kind in kinds if kind not in needs and kind != "tiny_shakespeare"]
            assert without
            value = TASKS.get(f"{name}.{option.name}", ({}, None))[1] or other(option)
            for kind in without:
                base = {**SMALL.get(name, {}), switch: kind} | ({"length": 20} if name == "adding" else {})
                changed = load(name, **{**base, option.name: value})
                assert task_numbers(changed) == task_numbers(load(name, **base)), (option.name, kind)


# What is said of it

QUICK = [*ADDING[:5], "train.batch_size=4", "train.steps=2", "train.eval_every=2", "tracker=none"]


@pytest.mark.parametrize("key, needs", WITH_NEEDS, ids=lambda part: str(part))
def test_a_single_run_that_names_one_is_refused(key: str, needs: Needs, capsys: pytest.CaptureFixture[str]) -> None:
    words, base, value = without_effect(key, needs)
    task = {word.partition("=")[0]: word for word in words if word.startswith(("task=", "model="))}
    rest = [f"{k}={plain_text(v)}" for k, v in base.departures.items() if k != key]
    assert main(["train", *task.values(), *rest, f"{key}={plain_text(value)}", "tracker=none"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"rnnbench: {key}=") and "has no effect: it needs" in error
    assert error.count("\n") == 1 and len(error) < 400 and not Path("runs").exists()


def test_jobs_that_become_equal_are_one_run(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-m", *QUICK, "model.layers=1,2", "model.dropout=0,0.5", "sweep=s"]) == 0
    out = capfd.readouterr().out
    assert "model.dropout=0.5 has no effect" in out and "in 1 of 4 jobs; it is left out" in out
    assert out.count("has no effect") == 1 and "3 of 3 runs recorded" in out
    records = [RunFolder(path.parent).record() or {} for path in Path("runs").glob("*/*/*/record.json")]
    found = sorted((r["config"]["model"]["layers"], r["config"]["model"]["dropout"]) for r in records)
    assert found == [(1, 0.0), (2, 0.0), (2, 0.5)]


def test_an_option_that_is_as_by_default_may_be_named() -> None:
    assert main(["train", *QUICK, "train.momentum=0", "model.dropout=0"]) == 0


def test_a_budget_and_a_width_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *QUICK, "budget.params=1k"]) == 2
    assert "model.hidden_size=4 has no effect: the budget sets the width" in capsys.readouterr().err


def test_needs_compare_as_they_say() -> None:
    name = "layers"
    assert 2 in Needs(name, least=2) and 1 not in Needs(name, least=2) and None not in Needs(name, least=2)
    assert "a" in Needs(name, values=("a", "b")) and "c" not in Needs(name, values=("a", "b"))
    assert "c" in Needs(name, besides=("a",)) and "a" not in Needs(name, besides=("a",))
    assert 0.5 in Needs(name) and 0 not in Needs(name) and "" not in Needs(name)
    assert str(Needs("a", "b")) == "a or b to be set" and str(Needs("a", least=2)) == "a of at least 2"
    assert str(Needs("a", values=(True, 0.5))) == "a=true or 0.5" and str(Needs("a", besides=("x", "y"))) == "a other than x, y"


# Several devices

DRAWING = [
    ["network.dropout=0.5"],
    ["model.layers=2", "model.dropout=0.5"],
    ["model.recurrent_dropout=0.5"],
    ["model.zoneout=0.5"],
    ["model=lstm", "model.cell_zoneout=0.5"],
    ["model=tcn", "model.block_dropout=0.5"],
    ["model=transformer", "model.block_dropout=0.5"],
    [*WRITES, "train.forcing=0.5"],
]


@pytest.mark.parametrize("words", [*DRAWING, [], ["model.layers=1", "model.dropout=0.5"], WRITES], ids=" ".join)
def test_devices_are_part_of_the_id_where_training_draws_numbers(words: list[str]) -> None:
    base = settled([*ONCE, "model=gru", *words])
    task = make_task(base)
    task.prepare()
    network, _ = new_network(base, task)
    network.train()
    network.forcing = base.train.forcing
    before = torch.get_rng_state()
    network(task.batch("train", 0, 4, 0), None)
    draws = not torch.equal(before, torch.get_rng_state())
    assert draws == Liveness(base.plain()).draws() == (words in DRAWING)
    two, machines = (
        settled([*ONCE, "model=gru", *words], "trainer.devices", 2),
        settled([*ONCE, "model=gru", *words], "trainer.nodes", 2),
    )
    plan_run(base).folder.start({**base.plain(), "id": "", "setting": ""})
    assert [(plan_run(several).id != plan_run(base).id) for several in (two, machines)] == [draws, draws]
    assert (two.identity("") != base.identity("")) == draws and two.identity("") == machines.identity("")


def test_noise_on_weights_is_drawn_by_each_device() -> None:
    noisy = settled([*ONCE, "model=gru", "train.weight_noise=0.1"])
    two = settled([*ONCE, "model=gru", "train.weight_noise=0.1"], "trainer.devices", 2)
    assert Liveness(noisy.plain()).draws() and two.identity("") != noisy.identity("")


def test_a_run_of_0_1_is_gone_on_with_where_it_lies() -> None:
    """What had no effect was part of its id."""
    old = settled(QUICK, "train.momentum", 0.5)
    new = plan_run(settled(QUICK))
    assert plan_run(old).id == new.id and plan_run(old).settings == new.settings
    identity = old.identity("", as_in_0_1=True)
    from rnnbench.store.record import digest as digest_of

    folder = RunFolder(new.folder.path.with_name(f"s0-{digest_of([identity, 0])[:8]}"))
    folder.path.mkdir(parents=True)
    folder.start({**old.plain(), "id": "", "setting": ""})
    assert plan_run(old).folder.path == folder.path and plan_run(old).settings.train.momentum == 0.5
    assert plan_run(settled(QUICK)).id == new.id
