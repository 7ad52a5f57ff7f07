"""From words to settings: the schema, composition, validation, and what makes two runs the same run.

The schema is read from the signatures (options.py); the files of conf/ are departures from it. Both go into Hydra's
ConfigStore, so that help, `--cfg`, completion and overrides know every option, and a user's own `--config-dir` can
build on any of them. Neither a file nor an override may name code. Nothing here imports torch.
"""

from __future__ import annotations

import copy
import functools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from . import conf, models, options, tasks, tracking  # type: ignore[attr-defined]  # conf and tasks lie beside src
from .budget import number
from .options import BadOption, Signature, unknown

HERE = Path(__file__).parent
CONF = Path(str(conf.__file__)).parent
CHOICES = ("task", "model", "trainer", "tracker")  # groups a user picks one of
UNNAMED = ("network", "train", "budget")  # groups of which there is one setting only
HASHED = ("task", "model", "network", "train")  # what changes a run's numbers, with the seed

# Parts of Hydra's own settings that a command line may change, and values that may not stand anywhere.
HYDRA_KEYS = re.compile(r"hydra\.(run\.dir|sweep\.(dir|subdir)|verbose|job\.(name|num)|launcher\..*|mode)")
HYDRA_GROUPS = ("hydra/launcher",)
CODE = re.compile(r"_target_|_partial_|_call_|\(\)")
LAUNCHER, SWEEPER = "hydra_plugins.rnnbench.Processes", "hydra_plugins.rnnbench.Checked"  # launcher.py
SUBMITIT, RAY = "hydra_plugins.hydra_submitit_launcher", "hydra_plugins.hydra_ray_launcher"  # packages of extras
LAUNCHERS = {
    "processes": LAUNCHER,
    "slurm": f"{SUBMITIT}.submitit_launcher.SlurmLauncher",
    "submitit_local": f"{SUBMITIT}.submitit_launcher.LocalLauncher",
    "ray": f"{RAY}.ray_launcher.RayLauncher",
}
LAUNCHING = (
    *LAUNCHERS.values(),
    SWEEPER,
    "hydra._internal.core_plugins.basic_launcher.BasicLauncher",
    "hydra._internal.core_plugins.basic_sweeper.BasicSweeper",
)
PLAIN = re.compile(r"\$\{[\w.]+\}")  # an interpolation that only names another setting


def signature(group: str, name: str) -> Signature:
    """The options of a setting, read from the class that it configures."""
    if group == "task":
        return options.read(tasks.sources()[name], base="Task")
    if group == "mechanism":
        return options.read(models.sources()[name], base="Mechanism")
    if group == "tracker":
        return options.read(HERE / "tracking.py", name=tracking.TRACKERS[name].__name__)
    place = {"stack": ("models/stack.py", "Stack"), "network": ("network.py", "build")}
    place |= {"train": ("training.py", "Learner"), "trainer": ("training.py", "train"), "budget": ("budget.py", "options")}
    place |= {"launcher": ("launcher.py", "Processes")}
    file, class_name = place[group]
    return options.read(HERE / file, name=class_name)


# Options that belong to no group; config.yaml says what they are.
SINGLE = {
    "seed": options.Option("seed", options.Seed, 0),
    "runs": options.Option("runs", str, "runs"),
    "sweep": options.Option("sweep", str | None, None),
    "accept_changes": options.Option("accept_changes", bool, False),
    "test": options.Option("test", bool, True),
}
TUNING = 2**31  # seeds from here on are for searches, and for them only

# Constructor parameters that the program fills in.
FILLED = {
    "input_size",
    "build",
    "task",
    "build_core",
    "build_writer",
    "network",
    "journal",
    "seed",
    "learner",
    "progress",
    "test",
}


def schema(group: str, settings: Mapping[str, Any]) -> dict[str, options.Option]:
    """The options of one part of the settings; which, depends on the name or mechanism that stands there."""
    if group == "model":
        merged = {**signature("stack", "").options, **signature("mechanism", settings["mechanism"]).options}
    elif group in ("task", "tracker"):
        merged = dict(signature(group, settings["name"]).options)
    else:
        merged = dict(signature(group, "").options)
    return {name: option for name, option in merged.items() if name not in FILLED}


NAMING = {"task": ("name",), "model": ("name", "mechanism"), "tracker": ("name",)}


@functools.cache
def file(group: str, name: str) -> Mapping[str, Any]:
    """The departures in conf/<group>/<name>.yaml; none where there is no such file."""
    path = CONF / group / f"{name}.yaml"
    return load_yaml(path) if path.exists() else {}


def load_yaml(path: Path) -> dict[str, Any]:
    """The settings in a file; BadOption, in one line, where it cannot be read or a key stands twice."""
    try:
        loaded = OmegaConf.to_container(OmegaConf.load(path))
    except (yaml.YAMLError, OmegaConfBaseException, ValueError, OSError, RecursionError) as error:
        raise BadOption(f"{path}: {' '.join(str(error).split())}") from None
    if not isinstance(loaded, dict):
        raise BadOption(f"{path}: settings expected, `name: value` a line")
    return {str(key): value for key, value in loaded.items()}


def names(group: str) -> list[str]:
    """What can stand after `group=`."""
    own = {"task": tasks.NAMES, "model": tuple(models.sources())}.get(group, ())
    return sorted({*own, *(path.stem for path in (CONF / group).glob("*.yaml"))})


@functools.cache
def node(group: str, name: str) -> dict[str, Any]:
    """One choice of a group, defaults and departures together."""
    departures = copy.deepcopy(dict(file(group, name)))
    if group == "task":
        task = departures.pop("task", {})
        kind = {"name": task.get("name", name)}
        return {"task": {**kind, **_defaults("task", kind), **task}, **departures}
    kind = {"name": name, "mechanism": departures.get("mechanism", name)} if group == "model" else {}
    return {**kind, **_defaults(group, kind or departures), **departures}


def nodes() -> dict[tuple[str, str], dict[str, Any]]:
    """Every choice of every group."""
    return {(group, name): node(group, name) for group in CHOICES for name in names(group)}


def _defaults(group: str, kind: Mapping[str, Any]) -> dict[str, Any]:
    plain = {name: option.default for name, option in schema(group, kind).items()}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}


@functools.cache
def register() -> None:
    """Puts the whole schema into Hydra's ConfigStore; every command that composes calls it first."""
    store = ConfigStore.instance()
    for (group, name), whole in nodes().items():
        store.store(name=name, group=group, node=whole, package="_global_" if group == "task" else group, provider="rnnbench")
    register_launchers()
    store.store(name="checked", group="hydra/sweeper", node={"_target_": SWEEPER})
    base = load_yaml(CONF / "config.yaml")
    base |= {group: _defaults(group, {}) for group in UNNAMED}
    store.store(name="config", node=base, provider="rnnbench")


def register_launchers() -> None:
    """Puts our settings of launchers in the place of those that the plugins bring along."""
    for name, target in LAUNCHERS.items():
        own = _defaults("launcher", {}) if name == "processes" else {}
        node = {"_target_": target, **own, **file("hydra/launcher", name)}
        ConfigStore.instance().store(name=name, group="hydra/launcher", node=node)


# Refusals


def jobs(overrides: Sequence[str], sweep: bool, config_dir: str | None = None) -> list[dict[str, Any]]:
    """The checked settings of every job that `overrides` ask for; BadOption at the first that cannot be.

    Everything is checked before anything starts: names, keys, types, ranges, and that nothing names code.
    """
    register()
    found = []
    for job in split(overrides, sweep):
        parsed = _parse(job)
        for override in parsed:
            _check_key(override, parsed, own_files=config_dir is not None)
        found.append(resolve(_composed(job, config_dir)))
    return found


def _parse(overrides: Sequence[str]) -> list[Override]:
    parser, found = OverridesParser.create(), []
    for line in overrides:
        try:
            found += parser.parse_overrides([line])
        except HydraException as error:
            if line.startswith("-"):
                raise BadOption(str(error).splitlines()[0]) from None
            if "=" not in line:
                raise BadOption(f"{line!r}: OPTION=VALUE is allowed, such as task=adding or train.steps=500") from None
            raise BadOption(f"{line}: cannot be read; a value with spaces or signs stands in quotes: \"KEY='VALUE'\"") from None
    return found


def split(overrides: Sequence[str], sweep: bool) -> Iterator[list[str]]:
    """The overrides of each job of a sweep, by Hydra's own rules."""
    parsed = _parse(overrides)
    if not sweep:
        for override in parsed:
            if override.is_sweep_override():
                raise BadOption(f"{override.input_line}: several values make a sweep; add -m")
        yield list(overrides)
        return
    for override in parsed:
        if isinstance(override._value, Glob):
            raise BadOption(f"{override.input_line}: name the values; there are: {', '.join(names(override.key_or_group))}")
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    for batch in BasicSweeper.split_arguments(parsed, max_batch_size=None):
        yield from (list(job) for job in batch)


def changed(settings: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """`settings` with the values that `overrides` give to some of them."""
    cfg = OmegaConf.create(dict(settings))
    for override in _parse(overrides):
        line = override.input_line or ""
        if override.is_sweep_override() or CODE.search(line) or "$" in line:
            raise BadOption(f"{line}: one value, a word or a number")
        OmegaConf.update(cfg, override.key_or_group, override.value(), force_add=True)
    found = OmegaConf.to_container(cfg)
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}


def swept(overrides: Sequence[str]) -> list[str]:
    """The overrides of a sweep as Hydra must be told them.

    It applies single values also to the settings from which the sweep starts, where no task and no model is chosen yet and
    so none of their options is known: `++` sets them there too.
    """
    return [
        line
        if override.is_sweep_override() or line.startswith("+") or override.key_or_group in (*CHOICES, *HYDRA_GROUPS)
        else f"++{line}"
        for line, override in zip(overrides, _parse(overrides), strict=True)
    ]


def _check_key(override: Override, job: Sequence[Override], own_files: bool) -> None:
    """Refuses what names code, and what is no option; says which is near."""
    line, key = override.input_line or "", override.key_or_group
    if CODE.search(line) or "${" in PLAIN.sub("", line):
        raise BadOption(f"{line}: settings are words and numbers; code and resolvers are not allowed")
    if "@" in key or override.package:
        raise BadOption(f"{line}: a choice stands in its own group; packages (@) are not allowed")
    if key.startswith("hydra"):
        if not HYDRA_KEYS.fullmatch(key) and key not in HYDRA_GROUPS:
            raise BadOption(
                f"{line}: of Hydra's own settings these can be changed: hydra.run.dir, hydra.sweep.dir, "
                "hydra.launcher.*, hydra.verbose, hydra/launcher"
            )
        if key == "hydra/launcher" and not own_files and str(override.value()) not in (allowed := [*LAUNCHERS, "basic"]):
            raise unknown("launcher", str(override.value()), allowed)
        if key.startswith("hydra.launcher."):
            chosen = str(next((o.value() for o in reversed(job) if o.key_or_group == "hydra/launcher"), "processes"))
            known = launcher_keys(chosen)
            if key not in known:
                raise unknown("option", key, known)
            if chosen == "processes":
                schema("launcher", {})[key.removeprefix("hydra.launcher.")].check(override.value(), key)
        return
    if own_files:
        return  # names may come from the user's files; what they make is checked when composed
    if key in CHOICES:
        value = override.value()
        if value is None or value == "":
            raise BadOption(f"missing value: {key}=...; there are: {', '.join(names(key))}")
        if value not in names(key):
            raise unknown(key, str(value), names(key))
        return
    known = keys({o.key_or_group: o.value() for o in job if o.key_or_group in CHOICES})
    if key not in known:
        group = key.partition(".")[0] + "."
        near = [name for name in known if name.startswith(group)]
        raise unknown("option", key, near or {name.partition(".")[0] + ".*" * ("." in name) for name in known})
    if line.endswith("="):
        raise BadOption(f"missing value: {key}")


def launcher_keys(name: str, prefix: str = "hydra.launcher") -> list[str]:
    """Every dotted option of a launcher: those in its file, and none that would run a command."""

    def below(value: Any, key: str) -> list[str]:
        return (
            [leaf for name, item in value.items() for leaf in below(item, f"{key}.{name}")]
            if isinstance(value, dict)
            else [key]
        )

    return below(_defaults("launcher", {}) if name == "processes" else dict(file("hydra/launcher", name)), prefix)


def keys(chosen: Mapping[str, Any]) -> list[str]:
    """Every dotted option there is for the chosen task, model, trainer and tracker."""
    return [*SINGLE, *(f"{group}.{key}" for group in (*UNNAMED, *CHOICES) for key in _known(group, chosen))]


def option(key: str, chosen: Mapping[str, Any]) -> options.Option | None:
    """What is known of a dotted option beside the chosen task, model, trainer and tracker."""
    group, _, name = key.partition(".")
    return SINGLE.get(key) or (_known(group, chosen).get(name) if group in (*UNNAMED, *CHOICES) else None)


def _known(group: str, chosen: Mapping[str, Any]) -> dict[str, options.Option]:
    name = {"trainer": "cpu", "tracker": "auto", **chosen}.get(group)
    if group in CHOICES and name not in names(group):
        return {}
    settings = node(group, str(name)) if group in CHOICES else {}
    return schema(group, settings.get("task", settings))


def _composed(overrides: Sequence[str], config_dir: str | None) -> dict[str, Any]:
    """What Hydra composes from `overrides`. Choices are composed once for each combination, values set on a copy."""
    choices = tuple(line for line in overrides if line.partition("=")[0].lstrip("+~") in (*CHOICES, *HYDRA_GROUPS))
    cfg = copy.deepcopy(_compose(choices, config_dir))
    for override in _parse([line for line in overrides if line not in choices]):
        if not override.key_or_group.startswith("hydra"):
            OmegaConf.update(cfg, override.key_or_group, override.value(), force_add=True)
    try:
        composed = OmegaConf.to_container(cfg, resolve=True)
    except OmegaConfBaseException as error:
        raise BadOption(str(error).splitlines()[0]) from None
    assert isinstance(composed, dict)
    return composed  # type: ignore[return-value]


@functools.cache
def _compose(choices: tuple[str, ...], config_dir: str | None) -> Any:
    for group in ("task", "model"):
        if not any(line.partition("=")[0].lstrip("+") == group for line in choices):
            raise BadOption(f"missing value: {group}=...; there are: {', '.join(names(group))}")
    GlobalHydra.instance().clear()
    place = initialize_config_dir(str(Path(config_dir).absolute()), version_base="1.3") if config_dir else None
    try:
        with place or initialize(config_path=None, version_base="1.3"):
            cfg = compose("config", overrides=list(choices), return_hydra_config=True)
    except HydraException as error:
        raise BadOption(" ".join(str(error).split())) from None
    refuse_code(OmegaConf.to_container(cfg))
    if config_dir:
        _refuse_hydra(cfg, choices)
    OmegaConf.set_struct(cfg, False)
    del cfg["hydra"]
    return cfg


OURS_ONLY = (
    "run",
    "sweep",
    "launcher",
    "sweeper",
    "job_logging",
    "hydra_logging",
    "env",
    "callbacks",
    "searchpath",
    "output_subdir",
    "job",
)


def _plain_node(node: Any) -> Any:
    plain = OmegaConf.to_container(node) if OmegaConf.is_config(node) else node
    varying = ("override_dirname", "name")  # of hydra.job: they follow the command line
    return {key: value for key, value in plain.items() if key not in varying} if isinstance(plain, dict) else plain


def _refuse_hydra(cfg: Any, choices: tuple[str, ...]) -> None:
    """BadOption where a user's files change how Hydra itself is set: its logging, say, can name classes to be made."""
    launching = tuple(line for line in choices if line.startswith("hydra/"))
    (task, model) = (f"{group}={names(group)[0]}" for group in ("task", "model"))
    GlobalHydra.instance().clear()
    with initialize(config_path=None, version_base="1.3"):
        ours = compose("config", overrides=[task, model, *launching], return_hydra_config=True).hydra
    for key in OURS_ONLY:
        mine, theirs = (_plain_node(node.get(key)) for node in (ours, cfg.hydra))
        if mine != theirs:
            raise BadOption(
                f"hydra.{key} is changed by a file of --config-dir; files may set task, model, train and the like only"
            )


def resolve(composed: Mapping[str, Any]) -> dict[str, Any]:
    """Composed settings, checked against the signatures; BadOption for what is unknown, missing, mistyped or out of range."""
    config: dict[str, Any] = {}
    for group in ("task", "model", "network", "train", "budget", "trainer", "tracker"):
        given = dict(composed.get(group) or {})
        naming = {key: given.pop(key) for key in NAMING.get(group, ()) if key in given}
        _check_names(group, naming)
        known = schema(group, naming)
        for key in given:
            if key not in known:
                raise unknown("option", f"{group}.{key}", [f"{group}.{name}" for name in known])
        checked = {name: option.check(given.get(name, option.default), f"{group}.{name}") for name, option in known.items()}
        config[group] = {**naming, **checked}
    extra = set(composed) - set(config) - {*SINGLE, "hydra"}
    if extra:
        raise unknown("option", sorted(extra)[0], [*config, *SINGLE])
    for name, option in SINGLE.items():
        config[name] = option.check(composed.get(name, option.default), name)
    _check_together(config)
    return config


def _check_names(group: str, naming: Mapping[str, Any]) -> None:
    if group == "task" and naming.get("name") not in tasks.NAMES:
        raise unknown("task", str(naming.get("name")), tasks.NAMES)
    if group == "model":
        if naming.get("mechanism") not in models.sources():
            raise unknown("mechanism", str(naming.get("mechanism")), models.sources())
        if not re.fullmatch(r"\w[\w-]{0,99}", str(naming.get("name")), re.ASCII):
            raise BadOption(f"model.name={naming.get('name')!r} is not allowed; allowed: letters, digits, _ and -")
    if group == "tracker" and naming.get("name") not in tracking.TRACKERS:
        raise unknown("tracker", str(naming.get("name")), tracking.TRACKERS)


def _check_together(config: Mapping[str, Any]) -> None:
    """What each option allows by itself but not beside the others."""
    task, model = config["task"], config["model"]
    about = signature("task", task["name"]).constants
    writes = about["structure"] in ("N->M", "1->N")
    if config["network"]["kind"] == "encoder_decoder" and not writes:
        raise BadOption(
            f"network.kind=encoder_decoder needs a task with a source, and task={task['name']} has none; allowed: plain"
        )
    for name, neutral in (("attention", "none"), ("writer", "")):
        if config["network"][name] != neutral and config["network"]["kind"] == "plain":
            raise BadOption(
                f"network.{name}={config['network'][name]} needs network.kind=encoder_decoder; a plain network has "
                f"network.{name}={neutral}"
            )
    forced = config["train"]["forcing"] == config["train"]["forcing_end"] == 1
    if config["network"]["kind"] == "plain" and not forced:
        raise BadOption("train.forcing below 1 needs network.kind=encoder_decoder; a plain network reads what was written")
    if config["train"]["beam"] > 1 and not writes:
        raise BadOption(f"train.beam={config['train']['beam']}: task={task['name']} writes no answer; allowed: 1")
    by_step = config["network"]["attention"] == "additive" or not forced
    if by_step and (model["recurrent_dropout"] or (model["dropout"] and model["dropout_mask"] == "sequence")):
        raise BadOption(
            "one dropout mask a row (model.recurrent_dropout, model.dropout_mask=sequence) needs a writer that goes through "
            "the row at once: not network.attention=additive, and not train.forcing below 1"
        )
    if model["bidirectional"] and writes and config["network"]["kind"] == "plain":
        raise BadOption(
            f"model={model['name']} reads both directions, and a plain network writes with the same core; "
            "allowed: network.kind=encoder_decoder, or model.bidirectional=false"
        )
    if model["bidirectional"] and about["causal"]:
        fitting = [name for name in names("model") if not node("model", name)["bidirectional"]]
        raise BadOption(
            f"model={model['name']} reads both directions, and task={task['name']} is causal (a step may not see later ones); "
            f"models that fit: {', '.join(fitting)}"
        )
    budget = config["budget"]
    if budget["params"]:
        number(budget["params"])
    if budget["match"] and budget["match"] not in names("model"):
        raise unknown("model", budget["match"], names("model"))
    if bool(budget["match"]) != bool(budget["width"]) or (budget["params"] and budget["match"]):
        raise BadOption("a budget is budget.params=COUNT, or budget.match=MODEL with budget.width=HIDDEN_SIZE")
    if config["network"]["backend"] == "library" and config["train"]["instruments"]:
        raise BadOption(
            "network.backend=library does not show the gradient of every step; allowed: train.instruments=false beside it"
        )
    writer = config["network"]["writer"]
    if writer and writer not in models.sources():
        raise unknown("mechanism", writer, models.sources())
    if config["train"]["batch_size"] < config["trainer"]["devices"]:
        raise BadOption(
            f"train.batch_size={config['train']['batch_size']} is less than trainer.devices={config['trainer']['devices']}; "
            "every device needs a row"
        )
    if config["test"] == (config["seed"] >= TUNING):
        raise BadOption(
            f"seed={config['seed']} with test={str(config['test']).lower()}: seeds from {TUNING} on are those of searches "
            "(`rnnbench tune`), which never read the test split; a run that does takes one below"
        )
    sweep = config["sweep"]
    if sweep is not None and not re.fullmatch(r"\w[\w.-]{0,99}", sweep, re.ASCII):
        raise BadOption(f"sweep={sweep!r} is not allowed; allowed: letters, digits, _, - and ., the first no sign")
    if "\0" in config["runs"] or any(len(os.fsencode(part)) > 255 for part in Path(config["runs"]).parts):
        raise BadOption(f"runs={config['runs'][:50]!r}: no folder can have that name")


def writable(folder: str, option: str = "runs=") -> Path:
    """What there is already of the `folder` that `option` names; BadOption where it cannot be made or written to."""
    place = Path(folder).absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise BadOption(f"{option}{folder!r}: no folder can be written there ({place} is not a writable folder)")
    return place


def refuse_code(composed: Any, where: str = "") -> None:
    """BadOption if anything in the composed settings, Hydra's own included, names code that is not ours or Hydra's."""
    if isinstance(composed, Mapping):
        for key, value in composed.items():
            place = f"{where}.{key}" if where else str(key)
            ours = place in ("hydra.launcher._target_", "hydra.sweeper._target_") and str(value) in LAUNCHING
            if (CODE.search(str(key)) and not ours) or (place == "hydra.callbacks" and value):
                raise BadOption(f"{place}={value!r}: settings are words and numbers; code is not allowed")
            refuse_code(value, place)
    elif isinstance(composed, list | tuple):
        for item in composed:
            refuse_code(item, where)
    elif isinstance(composed, str) and not where.startswith("hydra") and "${" in PLAIN.sub("", composed):
        raise BadOption(f"{where}={composed!r}: settings are words and numbers; resolvers are not allowed")


# What makes two runs the same run


def departures(config: Mapping[str, Any]) -> dict[str, Any]:
    """What differs from the defaults in the signatures, by dotted name; a new option with a neutral default changes nothing."""
    found = {}
    for group in HASHED:
        naming = {key: config[group][key] for key in NAMING.get(group, ())}
        known = schema(group, naming)
        for key, value in config[group].items():
            if key in known and value != (list(d) if isinstance(d := known[key].default, tuple) else d):
                found[f"{group}.{key}"] = value
    return found


def versions(config: Mapping[str, Any]) -> dict[str, int]:
    """The versions of what makes a run's numbers."""
    return {
        "task": signature("task", config["task"]["name"]).constants["version"],
        "model": signature("mechanism", config["model"]["mechanism"]).constants["version"],
        "network": _version("network.py"),
        "train": _version("training.py"),
    }


@functools.cache
def _version(file: str) -> int:
    found = re.search(r"^VERSION = (\d+)", (HERE / file).read_text(encoding="utf-8"), re.MULTILINE)
    assert found, file
    return int(found[1])


def setting(config: Mapping[str, Any], fingerprint: str) -> dict[str, Any]:
    """All that determines a run's numbers but the seed; its digest is the setting's id."""
    kinds = {"task": config["task"]["name"], "mechanism": config["model"]["mechanism"]}
    return {**kinds, "departures": departures(config), "versions": versions(config), "data": fingerprint}


def dump(config: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
