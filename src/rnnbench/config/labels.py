"""What a setting is called in comparisons, reports and trackers: its name, and the options in which it differs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..options import BadOption
from ..store.record import Config
from .identity import departures
from .places import places
from .schema import file_departures

SUFFIXES = {"hidden_size": "-", "length": "-T"}  # options that stand at the name itself: lstm-64, adding-T30
SHORT = {"train.learning_rate": "lr"}
LONGEST = 128  # characters of a run's name that W&B takes
UNKNOWN = (AttributeError, BadOption, KeyError, TypeError)  # what settings raise that another version wrote


def option_text(value: object) -> str:
    """An option's value as one would type it; of a path only the last part."""
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, str):
        return f"…/{value.rstrip('/').rpartition('/')[2]}" if value.startswith(("/", "~")) else value
    return json.dumps(value, ensure_ascii=False)


def setting_label(name: str, options: Mapping[str, Any]) -> str:
    """`lstm-64 lr=.01`: the name of a task or model, and `options` in which it differs, by the key that each is set with.

    A model's or task's own option stands without its group.
    """
    texts = {key: option_text(value) for key, value in options.items()}
    texts = {key: text.removeprefix("0") if text.startswith("0.") else text for key, text in texts.items()}
    ends = [f"{sign}{texts[key]}" for key, sign in SUFFIXES.items() if key in texts]
    others = [f"{SHORT.get(key, key)}={text}" for key, text in texts.items() if key not in SUFFIXES]
    return " ".join(["".join([name, *ends]), *others])


def run_name(config: Config, setting: str) -> str:
    """`adding-T30 / lstm-64 lr=.01 / s0`: the labels of task and model by what is not as by default, and the seed.

    `setting` is the id of what the seeds share. Its first digits stand at the end where the name does not say all that differs,
    so that two settings have two names: files of one name may lie in two folders.
    """
    task, model, seed = config["task"]["name"], config["model"]["name"], config["seed"]
    try:
        options, elsewhere = _chosen(config), places(config)
    except UNKNOWN:  # settings of another version
        return f"{task} / {model} / s{seed} {setting[:8]}"
    of_task = {key.removeprefix("task."): value for key, value in options.items() if key.startswith("task.")}
    of_model = {key.removeprefix("model."): value for key, value in options.items() if not key.startswith("task.")}
    label = f"{setting_label(task, of_task)} / {setting_label(model, of_model)}"
    name = f"{label} / s{seed}"
    if len(name) <= LONGEST and not elsewhere and not any(map(_is_shortened, options.values())):
        return name
    end = f" / s{seed} {setting[:8]}"
    return (label if len(label + end) <= LONGEST else f"{label[: LONGEST - len(end) - 1]}…") + end


def _chosen(config: Config) -> dict[str, Any]:
    """The departures from what the names of task and model stand for, and from the defaults of all else; the learning rate
    first."""
    file = preset_options(config)
    found = {key: value for key, value in departures(config).items() if key not in file or file[key] != value}
    for key, value in file.items():
        group, _, name = key.partition(".")
        if name in config[group] and config[group][name] != value:
            found[key] = config[group][name]
    return dict(sorted(found.items(), key=lambda item: item[0] != "train.learning_rate"))


def preset_options(config: Config) -> dict[str, Any]:
    """What the files of the task and of the model set, by dotted name."""
    by_task = file_departures("task", config["task"]["name"])
    file = {f"{group}.{key}": value for group, options in by_task.items() for key, value in options.items()}
    return file | {f"model.{key}": value for key, value in file_departures("model", config["model"]["name"]).items()}


def _is_shortened(value: object) -> bool:
    """Whether `option_text` does not say all of `value`."""
    if isinstance(value, float):
        return float(option_text(value)) != value
    return isinstance(value, str) and option_text(value) != value
