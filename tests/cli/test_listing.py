"""What a newcomer reads first: lists of tasks and models, the help of `rnnbench` and of its verbs."""

from __future__ import annotations

import functools
import json
import re
import tomllib
from pathlib import Path

import pytest

import rnnbench
from rnnbench.cli.choices import choice_facts, grouped_choices
from rnnbench.cli.listing import EXTRAS
from rnnbench.cli.main import main
from rnnbench.cli.parser import FORMATS, HOMES, VERB_GROUPS, TopParser, make_parser, verbs_of
from rnnbench.config.schema import (
    GIVEN,
    choice_names,
    choice_settings,
    file_comment,
    group_options,
    option_keys,
    read_signature,
)
from rnnbench.models.registry import mechanism_files
from rnnbench.options import Needs, Range
from rnnbench.tasks import task_files
from rnnbench.tracking.make import TRACKERS

ROOT = Path(rnnbench.__file__).parents[2]
WIDTH = 80
GROUPS = {
    "task": ["memory probes", "text", "pictures", "your own data", "music"],
    "model": ["LSTM", "RNN", "GRU", "minimal, by a parallel scan", "fixed context, without recurrence"],
}
OURS = {group: [name for name in choice_names(group) if name in names] for group, names in (
    ("task", {path.stem for path in (ROOT / "conf/task").glob("*.yaml")} | set(task_files())),
    ("model", {path.stem for path in (ROOT / "conf/model").glob("*.yaml")} | set(mechanism_files())),
)}  # fmt: skip
EVERY = [(group, name) for group, names in OURS.items() for name in names]


@pytest.fixture(autouse=True)
def _width(monkeypatch):
    monkeypatch.setenv("COLUMNS", str(WIDTH))


@functools.cache
def abouts(group: str) -> dict[str, str]:
    return {name: choice_facts(group, name)["about"] for name in OURS[group]}


def printed(capsys, *words: str) -> list[str]:
    try:
        assert main(list(words)) == 0
    except SystemExit as end:
        assert end.code == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(("group", "name"), EVERY)
def test_each_choice_has_a_sentence_of_its_own(group, name):
    about = abouts(group)[name]
    assert len(about.split()) > 1 and about.endswith(".") and "..." not in about
    assert [other for other, said in abouts(group).items() if said == about] == [name], "a setting says its difference"


@pytest.mark.parametrize("group", GROUPS)
def test_each_choice_has_one_line(group, capsys):
    lines = printed(capsys, "list", f"{group}s")
    for name, about in abouts(group).items():
        (line,) = [line for line in lines if line.split()[:1] == [name] and line.startswith("  ")]
        assert len(line) <= WIDTH and about in line
        assert all(need in line for need in choice_facts(group, name)["needs"])


@pytest.mark.parametrize("group", GROUPS)
def test_choices_stand_in_the_groups_that_their_files_name(group, capsys):
    found = grouped_choices(group)
    assert [title for title in found if title != "plug-ins"] == GROUPS[group]
    assert sorted(one["name"] for ones in found.values() for one in ones) == sorted(choice_names(group))
    lines = printed(capsys, "list", f"{group}s")
    titles = [title[0].upper() + title[1:] for title in GROUPS[group]]
    assert [line for line in lines if line in titles] == titles and max(map(len, lines)) <= WIDTH


@pytest.mark.parametrize(
    ("group", "name", "line"),
    [
        ("task", "adding_short", "adding with 30 steps; for demonstrations."),
        ("task", "caption_mnist", "Write the name of an MNIST digit. [digits, download]"),
        ("task", "translation_zh", "English to Chinese. [translation, local data]"),
        ("model", "gru", "Gated recurrent unit."),
        ("model", "lstm_nfg", "Ablation NFG: no forget gate; peepholes."),
    ],
)
def test_known_lines(group, name, line, capsys):
    assert [name, *line.split()] in [one.split() for one in printed(capsys, "list", f"{group}s")]


def test_what_a_task_needs_is_an_extra_or_data():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for name in OURS["task"]:
        needs = choice_facts("task", name)["needs"]
        assert set(needs) <= {*extras, *EXTRAS}, name
        doc = read_signature("task", choice_settings("task", name)["task"]["name"])
        assert not needs or doc.doc_line("Data"), f"{name} needs {needs}, and its docstring names no data"
        assert all(need in re.findall(r"\w+", doc.doc_line("Needs")) for need in needs if need in extras)


@pytest.mark.parametrize("group", GROUPS)
def test_a_narrow_terminal_cuts_lines_and_no_name(group, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    lines = printed(capsys, "list", f"{group}s")
    assert max(map(len, lines)) <= 60 and any(line.endswith("...") for line in lines)
    assert {line.split()[0] for line in lines if line.startswith("  ")} == set(choice_names(group))


@pytest.mark.parametrize(("group", "name"), [("task", None), ("model", None), ("task", "adding"), ("model", "lstm_cifg")])
def test_formats(group, name, capsys):
    words = ["list", f"{group}s", *([name] if name else [])]
    found = json.loads("\n".join(printed(capsys, *words, "--format", "json")))
    every = [found] if name else found
    assert [one["name"] for one in every] == [name] if name else {one["name"] for one in every} == set(choice_names(group))
    assert all(one["options"] and one["source"] for one in every)
    markdown = printed(capsys, *words, "--format", "md")
    assert printed(capsys, *words, "--format", "markdown") == markdown
    assert all(any(line.startswith(f"| {one['name']} |") for line in markdown) for one in every)
    if group == "task":
        assert all(one["floor"] for one in every)


def test_one_choice_says_all_of_it(capsys):
    text = "\n".join(printed(capsys, "list", "models", "lstm_cifg"))
    assert "lstm_cifg: Ablation CIFG: coupled input and forget gates." in text
    assert "model=lstm_cifg sets: model.peepholes=diagonal model.CIFG=true" in text
    assert "model.CIFG=true coupled input and forget gate: f = 1 - i [true or false]" in " ".join(text.split())


# Help


def documented() -> list[tuple[str, str]]:
    """(key, comment) of every option there is."""
    groups = {group: group_options(group, {}) for group in ("network", "train", "trainer", "budget", "launcher")}
    groups |= {f"tracker={name}": group_options("tracker", {"name": name}) for name in TRACKERS}
    groups |= {f"task={name}": read_signature("task", name).options for name in task_files()}
    groups |= {f"model={name}": read_signature("mechanism", name).options for name in mechanism_files()}
    groups["model"] = read_signature("stack", "").options
    return [(f"{group}.{name}", one.comment) for group, options in groups.items() for name, one in options.items()]


def test_every_option_says_what_it_is():
    named = [(key, comment) for key, comment in documented() if key.rpartition(".")[2] not in GIVEN]
    assert len(named) > 250
    assert [key for key, comment in named if len(comment.split()) < 2] == []


@pytest.mark.parametrize(
    "words",
    [[], ["task=adding"], ["model=gru"], ["task=translation", "model=tcn"], ["task=adding", "model=irnn", "tracker=none"]],
)
def test_train_help_has_a_line_for_each_setting_of_the_choice(words, capsys):
    lines = printed(capsys, "train", *words, "--help")
    assert max(map(len, lines)) <= WIDTH
    chosen = dict(word.split("=") for word in words)
    keys = [line.split("=")[0].strip() for line in lines if re.match(r"  [\w.]+=\S", line)]
    expected = set(option_keys({"task": "adding", "model": "lstm", **chosen}))
    for group, signature in (("task", {}), ("model", read_signature("stack", "").options)):
        if group not in chosen:
            expected = {key for key in expected if not key.startswith(f"{group}.")} | {
                f"{group}.{key}" for key in signature if key not in GIVEN
            }
    choices = {"task", "model", "trainer", "tracker"}
    launcher = {f"hydra.launcher.{key}" for key in group_options("launcher", {})}
    assert set(keys) - choices == expected | launcher
    assert len(keys) == len(set(keys))


def test_train_help_shows_the_defaults_of_the_chosen_task(capsys):
    text = "\n".join(printed(capsys, "train", "task=adding_short", "model=irnn", "--help"))
    assert "train.steps=800 " in text and "task.length=30 " in text and "model.nonlinearity=relu" in text
    assert "[whole number, at least 1]" in text


def test_help_groups_every_verb_once(capsys):
    parser = make_parser()
    assert (
        isinstance(parser, TopParser) and set(parser.groups) == set(HOMES) and set(parser.groups.values()) == set(VERB_GROUPS)
    )
    lines = printed(capsys, "--help")
    assert max(map(len, lines)) <= WIDTH
    assert [line[:-1] for line in lines if re.fullmatch(r"\w+:", line)] == [*VERB_GROUPS, "options"]
    for verb in HOMES:
        assert sum(re.match(rf"  {verb}( |$)", line) is not None for line in lines) == 1, verb


@pytest.mark.parametrize("verb", [verb for verb in HOMES if verb != "train"])
def test_help_of_a_verb_names_its_words(verb, capsys):
    lines = printed(capsys, verb, "--help")
    assert max(map(len, lines)) <= WIDTH and len(lines) > 6
    for action in verbs_of(make_parser())[verb]._actions:
        assert action.help or action.choices, f"{verb}: {action.dest} says nothing"


def test_one_list_of_formats():
    for verb, parser in verbs_of(make_parser()).items():
        for action in parser._actions:
            if "--format" in action.option_strings:
                assert action.choices and [name for name in FORMATS if name in action.choices] == action.choices, verb
                assert action.choices[0] == action.default == "terminal"


def test_ranges_are_written_out():
    assert str(Range(0, 2**32 - 1)) == "at least 0 and at most 4294967295"
    assert str(Range(0, 0.5, open_low=True)) == "more than 0 and at most 0.5"
    assert "window to be set" in str(Needs("window"))
    assert file_comment("task", "no_such_task") == ()
