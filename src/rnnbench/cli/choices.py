"""Facts of each task and model that can be chosen, and of its options, as plain values."""

from __future__ import annotations

import sys
from collections import defaultdict
from typing import Any

from rnnbench.tasks import task_files

from ..config.schema import (
    choice_names,
    choice_settings,
    file_comment,
    file_departures,
    group_options,
    is_choice,
    is_plugin,
    mechanism_reference,
    read_signature,
    task_reference,
    trust_choice,
)
from ..console import say
from ..models.registry import mechanism_files
from ..options import BadOption, Option, describe, unknown
from ..plugins.references import unusable
from ..signatures import Signature
from .parser import error_line

PLUGINS = "plug-ins"  # the group of tasks and models of other packages
Facts = dict[str, Any]


def grouped_choices(group: str) -> dict[str, list[Facts]]:
    """What is known of every task or model, by the group that its file names; the largest group first, plug-ins last."""
    found: dict[str, list[Facts]] = defaultdict(list)
    for name in working_choices(group):
        one = choice_facts(group, name)
        found[one["group"]].append(one)
    for ones in found.values():
        ones.sort(key=lambda one: one["name"] != one.get("cell"))  # a cell before its named settings
    return dict(sorted(found.items(), key=lambda item: (item[0] == PLUGINS, -len(item[1]))))


def working_choices(group: str) -> list[str]:
    """The tasks or models by name. Those of other packages that cannot be used are left out, each with a line that says why."""
    names = []
    for name in choice_names(group):
        try:
            choice_signature(group, name)
            names.append(name)
        except BadOption as error:
            if not is_plugin(group, name):
                raise
            say(error_line(str(error)), sys.stderr)
    ours = task_files() if group == "task" else mechanism_files()
    for line in unusable("task" if group == "task" else "model", ours):
        say(error_line(line), sys.stderr)
    return names


def named_choice(group: str, name: str) -> Facts:
    """What is known of the task or model `name`; BadOption where there is none."""
    trust_choice(group, name)
    if not is_choice(group, name):
        raise unknown(group, name, choice_names(group))
    return choice_facts(group, name)


def choice_signature(group: str, name: str) -> Signature:
    """The signature of the class of a task or model."""
    if group == "task":
        return read_signature("task", task_reference(choice_settings("task", name)["task"]))
    return read_signature("mechanism", mechanism_reference(choice_settings("model", name)))


def choice_facts(group: str, name: str) -> Facts:
    """What a task or model is: its group, a sentence, what it needs, floor, source, the defaults it changes, its options."""
    signature, comment = choice_signature(group, name), file_comment(group, name)
    needs = next((line.removeprefix("Needs:").strip(" .") for line in comment if line.startswith("Needs:")), "")
    node = choice_settings(group, name)
    settings = node["task"] if group == "task" else node
    constants = signature.constants
    task = {
        "structure": constants.get("structure"),
        "score": constants.get("headline"),
        "better": {"max": "higher", "min": "lower"}.get(constants.get("direction", "")),
        "floor": signature.doc_line("Floor"),
    }
    return {
        "name": name,
        "group": PLUGINS if is_plugin(group, name) else signature.doc_line("Group").rstrip("."),
        "about": comment[0] if comment else signature.doc.split("\n", 1)[0] or f"{signature.class_name}, without a docstring.",
        "needs": needs.split(", ") if needs else [],
        **(task if group == "task" else {"cell": node["mechanism"]}),
        "source": signature.doc_line("Source"),
        "settings": changed_defaults(group, name),
        "options": [
            option_facts(f"{group}.{key}", option, settings.get(key, option.default))
            for key, option in group_options(group, settings).items()
        ],
    }


def changed_defaults(group: str, name: str) -> Facts:
    """What the file of a task or model changes of the defaults, as dotted options."""
    found: Facts = {}
    for key, value in file_departures(group, name).items():
        found |= {f"{key}.{option}": part for option, part in value.items()} if group == "task" else {f"{group}.{key}": value}
    return {key: value for key, value in found.items() if key not in ("task.name", "model.mechanism")}


def option_facts(key: str, option: Option, default: Any) -> Facts:
    """An option: its key, its default here, what is allowed, what it means, and what it needs to have an effect."""
    return {
        "key": key,
        "default": list(default) if isinstance(default, tuple) else default,
        "allowed": describe(option.annotation),
        "about": option.comment,
        "needs": [str(one) for one in option.needs],
    }
