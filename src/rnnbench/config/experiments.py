"""Experiments: task, model, training and tracker in one file, which `+experiment=NAME` stands for.

    # conf/experiment/NAME.yaml, or experiment/NAME.yaml in the folder of --config-dir
    task: adding                 # a choice, or {name: adding, length: 20} with options of it
    model: rnn,lstm              # several values make a sweep, as on the command line
    model.hidden_size: 32        # an option by its dotted name
    train: {steps: 500}          # or in its group
    defaults: [override /tracker: none]   # a choice as Hydra's own files have it

A file says what words of a command line would: words and numbers, no code. What stands on the command line itself wins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..options import BadOption, shortened, unknown
from ..plugins.references import is_file
from .checks import CODE
from .repeat import word_of
from .schema import CHOICES, CONF, SINGLE, UNNAMED, load_yaml

GROUP = "experiment"
KEYS = (f"+{GROUP}", GROUP)  # what names one on a command line
RECORDED = "experiment_name"  # the option that keeps its name; no part of a run's id


def experiment_files(config_dir: str | None = None) -> dict[str, Path]:
    """The experiments by name: those of `config_dir` first, then ours."""
    folders = [CONF / GROUP, *([Path(config_dir) / GROUP] if config_dir else [])]
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.yaml"))}


def with_experiment(words: Sequence[str], config_dir: str | None = None) -> list[str]:
    """`words` with those of the experiment that one of them names in its place; what else the words say stays as it is.

    BadOption where there is no such experiment, or its file holds anything but options.
    """
    named = [word for word in words if word.partition("=")[0] in KEYS]
    others = [word for word in words if word not in named]
    if not named:
        return others
    name = named[-1].partition("=")[2].strip("'\"")
    there = experiment_files(config_dir)
    if len(named) > 1 or name not in there:
        if len(named) > 1 or "," in name:
            raise BadOption(f"{shortened(' '.join(named))}: one experiment at a time; give the command once for each")
        raise unknown(GROUP, shortened(name), there)
    said = {word.lstrip("+").partition("=")[0] for word in others}
    found = [line for key, line in _lines(load_yaml(there[name]), there[name]) if key not in said]
    return [*found, *others, *([] if RECORDED in said else [f"{RECORDED}={name}"])]


def _lines(settings: Mapping[str, Any], path: Path) -> Iterator[tuple[str, str]]:
    """(key, override) of each option in an experiment's file."""
    try:
        options = list(_options(settings))
    except BadOption as error:
        raise BadOption(f"{path}: {error}") from None
    for key, value in options:
        if key.partition(".")[0] not in (*CHOICES, *UNNAMED, *SINGLE):
            raise BadOption(f"{path}: {unknown('option', key, (*CHOICES, *UNNAMED, *SINGLE))}")
        items = value if isinstance(value, list) else [value]
        if not all(item is None or isinstance(item, str | int | float) for item in items):
            raise BadOption(f"{path}: {key}={shortened(str(value))}: a word, a number or a list of these is allowed")
        if any(CODE.search(str(item)) or is_file(item) for item in (key, *items)):
            raise BadOption(f"{path}: {key}={shortened(str(value))}: a file may not name code; name it on the command line")
        several = isinstance(value, str) and "," in value and (key in CHOICES or key == "seed")
        yield key, f"{key}={value}" if several else word_of(key, value)


def _options(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of each option; in a group with choices `name` is the choice."""
    for key, value in settings.items():
        if key == "defaults" and isinstance(value, list):
            yield from _hydras_choices(value)
        elif not isinstance(value, dict):
            yield key, value
        else:
            for name, item in value.items():
                yield key if name == "name" and key in CHOICES else f"{key}.{name}", item


def _hydras_choices(defaults: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    """(group, choice) of each `override /task: adding` in the list that experiments of other Hydra programs begin with."""
    for item in defaults:
        if item == "_self_":
            continue
        if not isinstance(item, dict) or len(item) != 1:
            raise BadOption(f"defaults: {shortened(str(item))}: in an experiment `override /GROUP: NAME` is allowed")
        ((group, name),) = item.items()
        yield str(group).removeprefix("override ").strip().lstrip("/"), name
