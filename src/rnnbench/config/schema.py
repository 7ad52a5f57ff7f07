"""What can be set: the options of every group, read from the signatures that they configure, and the files of conf/."""

from __future__ import annotations

import copy
import functools
import itertools
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from rnnbench.tasks import find_task, task_names, task_plugins

from ..groups import BudgetSettings, NetworkSettings, TrainerSettings, TrainSettings
from ..models.registry import find_mechanism, mechanism_names, mechanism_plugins
from ..options import BadOption, Count, Option, Seed, shortened
from ..plugins.classes import PluginFacts, named_before, read_plugin, signature_of
from ..plugins.references import Plugin, file_plugin, is_file, trust
from ..signatures import Signature, dataclass_options, read_class
from ..store.record import Config
from ..store.yaml_files import read_yaml
from ..tracking.make import TRACKERS, tracker_names, tracker_signature
from ..tracking.tracker import TrackerUnavailable

LAUNCHER, SWEEPER = "hydra_plugins.rnnbench.Processes", "hydra_plugins.rnnbench.Checked"  # launch/launcher.py
SUBMITIT, RAY = "hydra_plugins.hydra_submitit_launcher", "hydra_plugins.hydra_ray_launcher"  # packages of extras
LAUNCHERS = {
    "processes": LAUNCHER,
    "slurm": f"{SUBMITIT}.submitit_launcher.SlurmLauncher",
    "submitit_local": f"{SUBMITIT}.submitit_launcher.LocalLauncher",
    "ray": f"{RAY}.ray_launcher.RayLauncher",
}

HERE = Path(__file__).parents[1]
CONF = Path(str(files("rnnbench.conf")))
CHOICES = ("task", "model", "trainer", "tracker")  # groups a user picks one of
UNNAMED = ("network", "train", "budget")  # groups of which there is one setting only
HASHED = ("task", "model", "network", "train")  # what changes a run's numbers, with the seed


GIVEN = ("input_size", "build")
GROUPS: dict[str, type] = {
    "network": NetworkSettings,
    "train": TrainSettings,
    "trainer": TrainerSettings,
    "budget": BudgetSettings,
}


CLASSES: dict[str, tuple[Callable[[str], Path | Plugin], str, tuple[str, ...]]] = {
    "task": (find_task, "Task", ("version", "structure", "causal", "headline", "direction")),
    "mechanism": (find_mechanism, "Mechanism", ("version",)),
}


CONSTANTS: dict[str, tuple[str | bool, ...]] = {  # what class attributes of a task may be
    "structure": ("N->N", "N->1", "N->M", "1->N"),
    "causal": (True, False),
    "direction": ("min", "max"),
}


def read_signature(group: str, name: str) -> Signature:
    """The signature of the class that a group configures. Ours are read as text; nothing heavy is imported for it.

    A task's or mechanism's `name` may be a file with a class. BrokenPlugin where a class of others cannot be used.
    """
    if group in CLASSES:
        find, base, needed = CLASSES[group]
        place = find(name)
        if isinstance(place, Plugin):
            _check_trusted(place)
        signature, where = signature_of(place, base), place.said if isinstance(place, Plugin) else str(place)
        if lacking := [constant for constant in needed if constant not in signature.constants]:
            raise BadOption(f"{where}: {signature.class_name} lacks {', '.join(lacking)}, class attributes with a literal")
        for constant, allowed in CONSTANTS.items() if group == "task" else ():
            if (value := signature.constants[constant]) not in allowed:
                raise BadOption(
                    f"{where}: {signature.class_name}.{constant} = {shortened(repr(value))} is not allowed; "
                    f"allowed: {', '.join(map(repr, allowed))}"
                )
        return signature
    if group == "tracker":
        try:
            return tracker_signature(name)
        except TrackerUnavailable as error:
            raise BadOption(str(error)) from None
    file, class_name = {"stack": ("models/stack.py", "Stack"), "launcher": ("launch/launcher.py", "Processes")}[group]
    return read_class(HERE / file, name=class_name)


def plugin_facts(group: str, name: str) -> PluginFacts | None:
    """What is known of the class, where it is not ours."""
    place = CLASSES[group][0](name)
    if not isinstance(place, Plugin):
        return None
    _check_trusted(place)
    return read_plugin(place)


def _check_trusted(plugin: Plugin) -> None:
    if not plugin.package and not named_before(plugin):
        raise BadOption(
            f"{plugin.said} stands in settings that were read from a file, and was never named here; a file is code: "
            f"`rnnbench list {plugin.kind}s {plugin.reference}` names it"
        )


def trust_choice(group: str, name: object) -> None:
    """For `group=name` that the user gives: a file with a class may be imported from now on."""
    if group in ("task", "model") and is_file(name):
        trust(file_plugin("task" if group == "task" else "model", str(name)).reference)


def trust_classes(config: Config) -> None:
    """For settings that come from another process of ours: what they name was named by the user there."""
    for group in ("task", "model"):
        if reference := config[group].get("class"):
            trust(str(reference))


def task_reference(task: Config) -> str:
    """What names the class of a task's settings: its name, or its file with the class."""
    return str(task.get("class") or task.get("name", ""))


def mechanism_reference(model: Config) -> str:
    """The same of a model's settings."""
    return str(model.get("class") or model["mechanism"])


# Options that belong to no group.
SINGLE = {
    "seed": Option("seed", Seed, 0, "random seed of weights, batches and dropout"),
    "runs": Option("runs", str, "runs", "folder of runs"),
    "sweep": Option("sweep", str | None, None, "name of the sweep that the run belongs to; it is also the group in W&B"),
    "experiment_name": Option("experiment_name", str | None, None, "name of the experiment that +experiment=NAME chose"),
    "accept_changes": Option(
        "accept_changes", bool, False, "continue from a checkpoint of other code, libraries or another device; it is recorded"
    ),
    "again": Option("again", bool, False, "run a recorded setting once more: sets repeat to the next free number"),
    "repeat": Option("repeat", Count, 0, "number of a repetition; 0 is the run that tables count"),
    "keep_predictions": Option(
        "keep_predictions", bool, False, "write the answers on the test split, with probabilities, to predictions.csv"
    ),
    "test": Option("test", bool, True, "evaluate on the test split at the end; trials of `rnnbench tune` do not"),
    "test_seed": Option("test_seed", Seed, 0, "random seed of a generated task's test split; 0: the one that all runs share"),
}
ALSO = Option("also", tuple[str, ...], (), "other trackers to use as well, with their defaults")
TUNING = 2**31  # seeds from here on are for searches, and for them only


def group_options(group: str, settings: Config) -> dict[str, Option]:
    """The options of one part of the settings; which, depends on the name or mechanism that stands there.

    What the program gives to a stack or mechanism is no option.
    """
    if group in GROUPS:
        return dict(dataclass_options(GROUPS[group]))
    if group == "model":
        stack, own = read_signature("stack", "").options, read_signature("mechanism", mechanism_reference(settings))
        if taken := sorted(({*stack, *NAMING["model"]} - {*GIVEN}) & {*own.options}):
            raise BadOption(f"{own.class_name}: {', '.join(taken)}: settings of every model have such names; choose others")
        merged = {**stack, **own.options}
        return {name: option for name, option in merged.items() if name not in GIVEN}
    named = task_reference(settings) if group == "task" else settings.get("name", "")
    options = dict(read_signature(group, named).options)
    return options | {"also": ALSO} if group == "tracker" else options


NAMING = {"task": ("name", "class"), "model": ("name", "mechanism", "class"), "tracker": ("name",)}  # `class`: of a file


@functools.cache
def base_file() -> Config:
    """What conf/config.yaml says of a run, and to Hydra."""
    return load_yaml(CONF / "config.yaml")


@functools.cache
def file_departures(group: str, name: str) -> Config:
    """The departures in conf/<group>/<name>.yaml; none where there is no such file."""
    path = CONF / group / f"{name}.yaml"
    return load_yaml(path) if path.exists() else {}


@functools.cache
def file_comment(group: str, name: str) -> tuple[str, ...]:
    """The lines of the comment at the top of conf/<group>/<name>.yaml; none where there is no such file.

    The first line is a short sentence that says what the choice is; of a task, `Needs:` says what has to be there.
    """
    path = CONF / group / f"{name}.yaml"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    comment = itertools.takewhile(lambda line: line.startswith("#"), lines)
    return tuple(line.removeprefix("#").strip() for line in comment if not line.startswith("# @package"))


def load_yaml(path: Path) -> dict[str, Any]:
    """The settings in a file; BadOption, in one line, where it cannot be read or a key stands twice."""
    loaded = read_yaml(path)
    if loaded is None:  # comments only
        return {}
    if not isinstance(loaded, dict):
        raise BadOption(f"{path}: settings expected, `name: value` a line")
    return {str(key): value for key, value in loaded.items()}


@functools.cache
def choice_names(group: str) -> tuple[str, ...]:
    """What can stand after `group=`."""
    own = {"task": task_names(), "model": tuple(mechanism_names())}.get(group, ())
    return tuple(sorted({*own, *(path.stem for path in (CONF / group).glob("*.yaml"))}))


def choice_settings(group: str, name: str) -> dict[str, Any]:
    """One choice of a group, defaults and departures together. BadOption for a file with a class that the user never named."""
    if group in ("task", "model") and is_file(name):
        plugin = file_plugin("task" if group == "task" else "model", name)
        naming = {"name": plugin.name, **({"mechanism": plugin.name} if group == "model" else {}), "class": plugin.reference}
        settings = {**naming, **default_settings(group, naming)}
        return {"task": settings} if group == "task" else settings
    return _named_settings(group, name)


@functools.cache
def _named_settings(group: str, name: str) -> dict[str, Any]:
    departures = copy.deepcopy(dict(file_departures(group, name)))
    if group == "task":
        task = departures.pop("task", {})
        kind = {"name": task.get("name", name)}
        return {"task": {**kind, **default_settings("task", kind), **task}, **departures}
    kind = {"name": name, "mechanism": departures.get("mechanism", name)} if group == "model" else {}
    kind = {"name": name} if group == "tracker" else kind
    return {**kind, **default_settings(group, kind or departures), **departures}


def is_choice(group: str, name: object) -> bool:
    """Whether `name` can stand after `group=`; trackers of other packages are looked for only where it is none of ours."""
    if group in ("task", "model") and is_file(name):
        return True
    return name in choice_names(group) or (group == "tracker" and name in tracker_names())


def all_choices() -> dict[tuple[str, str], dict[str, Any]]:
    """Every choice of every group; of other packages only what names it, so that nothing of theirs is imported."""
    return {(group, name): _short_settings(group, name) for group in CHOICES for name in every_choice(group)}


def is_plugin(group: str, name: str) -> bool:
    """Whether `group=name` names a task, model or tracker that is not ours."""
    if group == "tracker":
        return name not in TRACKERS and name in tracker_names()
    known = {"task": task_plugins, "model": mechanism_plugins}
    return group in known and (is_file(name) or name in known[group]())


def _short_settings(group: str, name: str) -> dict[str, Any]:
    if is_plugin(group, name):
        naming = {"name": name, **({"mechanism": name} if group == "model" else {})}
        return {"task": naming} if group == "task" else naming
    return choice_settings(group, name)


def every_choice(group: str) -> list[str]:
    """What can stand after `group=`, trackers of other packages too."""
    return list(dict.fromkeys([*choice_names(group), *(tracker_names() if group == "tracker" else [])]))


def default_settings(group: str, kind: Config) -> dict[str, Any]:
    plain = {name: option.default for name, option in group_options(group, kind).items()}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}


def launcher_keys(name: str, prefix: str = "hydra.launcher") -> list[str]:
    """Every dotted option of a launcher: those in its file, and none that would run a command."""

    def below(value: Any, key: str) -> list[str]:
        return (
            [leaf for name, item in value.items() for leaf in below(item, f"{key}.{name}")]
            if isinstance(value, dict)
            else [key]
        )

    return below(
        default_settings("launcher", {}) if name == "processes" else dict(file_departures("hydra/launcher", name)), prefix
    )


def option_keys(chosen: Config) -> list[str]:
    """Every dotted option there is for the chosen task, model, trainer and tracker."""
    return [*SINGLE, *(f"{group}.{key}" for group in (*UNNAMED, *CHOICES) for key in _known(group, chosen))]


def find_option(key: str, chosen: Config) -> Option | None:
    """What is known of a dotted option beside the chosen task, model, trainer and tracker."""
    group, _, name = key.partition(".")
    return SINGLE.get(key) or (_known(group, chosen).get(name) if group in (*UNNAMED, *CHOICES) else None)


def _known(group: str, chosen: Config) -> dict[str, Option]:
    name = {"trainer": "cpu", "tracker": "auto", **chosen}.get(group)
    if group in CHOICES and not is_choice(group, name):
        return {}
    settings = choice_settings(group, str(name)) if group in CHOICES else {}
    return group_options(group, settings.get("task", settings))


def dump_yaml(config: Config) -> str:
    return yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
