"""What settings are called beside each other: every option that differs within what is shown, and nothing else."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rnnbench.analysis.comparison import tabulate
from rnnbench.analysis.grouping import SHARES_SOLVED, TaskResults, group_runs, solved_option
from rnnbench.analysis.naming import Named, all_options, make_labels, matching_labels, unequal_line, usual_options, with_budget
from rnnbench.config.schema import choice_settings, default_settings, read_signature
from rnnbench.store.find import FoundRun
from rnnbench.tasks import find_task, task_names
from tests.support.records import filled


def config_of(words: str) -> dict[str, Any]:
    """`lstm model.hidden_size=64 train.steps=100` as settings of the adding task; what is not said is absent."""
    model, *options = words.split()
    config: dict[str, Any] = {
        "task": {"name": "adding"},
        "model": dict(choice_settings("model", model)),
        "network": {},
        "train": {},
    }
    usual = default_settings("model", config["model"])
    config["model"] = {
        key: value for key, value in config["model"].items() if key in ("name", "mechanism") or value != usual[key]
    }
    for option in options:
        key, _, value = option.partition("=")
        group, _, name = key.partition(".")
        config[group][name] = value if value.isalpha() else ast.literal_eval(value)
    return config


def named(words: str, **more: str) -> Named:
    config = config_of(words)
    return Named(config["model"]["name"], all_options(config), words, usual_options(config), **more)


# settings: (their labels, what a line says besides)
LABELS: dict[tuple[str, ...], tuple[list[str], str]] = {
    ("lstm",): (["lstm"], ""),
    ("lstm", "gru", "rnn"): (["lstm", "gru", "rnn"], ""),
    ("rnn", "rnn train.learning_rate=.01"): (["rnn lr=.001", "rnn lr=.01"], ""),
    ("rnn", "rnn train.learning_rate=.01", "gru"): (["rnn lr=.001", "rnn lr=.01", "gru lr=.001"], ""),
    ("lstm", "min_gru model.hidden_size=110"): (["lstm-128", "min_gru-110"], ""),
    ("lstm", "lstm model.layers=2", "rnn"): (["lstm layers=1", "lstm layers=2", "rnn layers=1"], ""),
    ("gru train.steps=100", "lstm train.steps=200"): (["gru", "lstm"], "not equal: train.steps 100 (gru), 200 (lstm)"),
    ("gru", "lstm train.learning_rate=.01"): (["gru", "lstm"], "not equal: train.learning_rate 0.001 (gru), 0.01 (lstm)"),
    ("gru train.steps=9", "lstm train.steps=9"): (["gru", "lstm"], ""),
    ("lstm model.forget_bias=5", "rnn"): (["lstm", "rnn"], "not equal: model.forget_bias 5 (lstm)"),
    ("lstm", "lstm model.forget_bias=5", "rnn"): (["lstm forget_bias=1", "lstm forget_bias=5", "rnn"], ""),
    ("rnn train.optimizer=sgd train.momentum=.9", "rnn"): (
        ["rnn train.optimizer=sgd train.momentum=.9", "rnn train.optimizer=adam"],
        "",
    ),
    ("lstm", "bilstm"): (["lstm", "bilstm"], ""),
    ("rnn network.dropout=.5", "rnn network.dropout=.5 train.learning_rate=.1"): (["rnn lr=.001", "rnn lr=.1"], ""),
}


@pytest.mark.parametrize(("settings", "expected"), LABELS.items(), ids=map(" | ".join, LABELS))
def test_labels_say_what_differs(settings: tuple[str, ...], expected: tuple[list[str], str]) -> None:
    found = [named(words) for words in settings]
    labels = make_labels(found)
    assert (labels, unequal_line(found, labels)) == expected
    assert [make_labels(found[::-1])[::-1], len(set(labels))] == [labels, len(labels)]


BUDGETS: dict[tuple[str, ...], tuple[list[str], str]] = {
    ("lstm 48 10k", "gru 56 10k"): (["lstm", "gru"], ""),
    ("lstm 48 10k", "lstm 130 70k"): (["lstm budget.params=10k", "lstm budget.params=70k"], ""),
    ("lstm 48 10k", "gru 150 70k"): (["lstm", "gru"], "not equal: budget.params 10k (lstm), 70k (gru)"),
    ("lstm 48 10k", "lstm 64"): (["lstm budget.params=10k", "lstm-64"], ""),
}


@pytest.mark.parametrize(("settings", "expected"), BUDGETS.items(), ids=map(" | ".join, BUDGETS))
def test_a_width_that_a_budget_gave_is_in_no_label(settings: tuple[str, ...], expected: tuple[list[str], str]) -> None:
    """It differs from task to task, and one model is one row of a matrix; the budget stands in its place where it differs."""
    found = []
    for words in settings:
        model, width, *params = words.split()
        one = named(f"{model} model.hidden_size={width}")
        budget = {"params": params[0], "match": "", "width": 0, "embeddings": True, "tolerance": 0.02} if params else {}
        found.append(replace(one, options=with_budget(one.options, {"budget": budget})))
    labels = make_labels(found)
    assert (labels, unequal_line(found, labels)) == expected


def test_settings_that_nothing_tells_apart_end_with_their_ids() -> None:
    assert make_labels([named("lstm"), Named("lstm", named("lstm").options, "abcd", {})]) == ["lstm lstm", "lstm abcd"]


def test_what_tells_apart_in_one_table_is_said_in_all() -> None:
    swept, alone = [named("rnn"), named("rnn train.learning_rate=.01")], [named("rnn"), named("gru")]
    assert matching_labels([swept, alone]) == [["rnn lr=.001", "rnn lr=.01"], ["rnn lr=.001", "gru lr=.001"]]


def grouped(*records: dict[str, Any]) -> TaskResults:
    runs = [FoundRun(Path(f"nowhere/{number}"), record["config"], filled(record)) for number, record in enumerate(records)]  # type: ignore[arg-type]
    (block,), _ = group_runs(runs, [])
    return block


CODES = {
    "one": (["a"], ["lstm"]),
    "two": (["a", "b"], ["lstm other code", "lstm"]),
    "three": (["a", "b", "c"], ["lstm other code 1", "lstm other code 2", "lstm"]),
}


@pytest.mark.parametrize(("codes", "expected"), CODES.values(), ids=CODES)
def test_other_code_of_a_plugin_is_a_word(codes: list[str], expected: list[str]) -> None:
    """The newest run has no word."""
    records = [
        {
            "id": f"{code * 32}",
            "setting": f"{code * 32}",
            "code": {"model": code * 32},
            "ended": f"2025-03-0{day}T10:00:00+00:00",
        }
        for day, code in enumerate(codes, 1)
    ]
    config = config_of("lstm") | {"seed": 0, "budget": {}, "trainer": {}, "tracker": {}, "sweep": None, "test": True}
    block = grouped(*({**record, "config": config} for record in records))
    assert [entry.label for entry in sorted(block.entries, key=lambda entry: entry.setting)] == expected


@pytest.mark.parametrize("name", task_names())
def test_the_metric_that_says_solved_is_the_one_that_the_task_reads(name: str) -> None:
    """With its default settings: what `solved` reads of the scores in the source of the task, or the headline."""
    constants = read_signature("task", name).constants
    config = {"task": {"name": name, **default_settings("task", {"name": name})}, "model": {"name": "rnn", "mechanism": "rnn"}}
    option = solved_option(config)
    tree = ast.parse(find_task(name).read_text(encoding="utf-8"))  # type: ignore[union-attr]
    own = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "solved"]
    read = (
        [
            node.slice.value
            for node in ast.walk(own[0])
            if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant)
        ]
        if own
        else []
    )  # type: ignore[attr-defined]
    by_headline = option in (None, "solved_below" if constants["direction"] == "min" else "solved_above")
    assert by_headline == (not own or constants["headline"] in read)
    if not by_headline:
        assert sum(metric in SHARES_SOLVED for metric in read) == 1  # an error may be asked for besides


def test_copy_memory_shows_its_accuracy() -> None:
    """Nats are its headline, accuracy says solved."""
    about = {"name": "copy_memory", "headline": "loss", "unit": "nats a step", "options": {"delay": 10}}
    config = config_of("lstm") | {"task": {"name": "copy_memory", "delay": 10}, "seed": 0, "sweep": None}
    scores = {"validation": {"loss": 0.1, "accuracy": 0.5}, "test": {"loss": 0.1, "accuracy": 0.625}}
    table = tabulate(grouped({"task": about, "config": config, "scores": scores}))
    shown = {table.columns[index].title: table.rows[0][index].text for index in table.shown()}
    assert shown["accuracy"] == "0.625" and "loss ↓" in shown
    alone = tabulate(grouped({"config": config_of("lstm") | {"seed": 0, "sweep": None}}))
    assert "accuracy" not in [alone.columns[index].title for index in alone.shown()]
