"""Refusals: unknown names and options, values out of range, options that exclude each other, and anything that names code."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rnnbench.tasks import NAMES

from ..models.registry import mechanism_files
from ..options import BadOption, unknown
from ..tracking.make import TRACKERS
from .budget import parse_count
from .schema import LAUNCHERS, NAMING, SINGLE, SWEEPER, TUNING, choice_names, choice_settings, group_options, read_signature

CODE = re.compile(r"_target_|_partial_|_call_|\(\)")
LAUNCHING = (
    *LAUNCHERS.values(),
    SWEEPER,
    "hydra._internal.core_plugins.basic_launcher.BasicLauncher",
    "hydra._internal.core_plugins.basic_sweeper.BasicSweeper",
)
PLAIN = re.compile(r"\$\{[\w.]+\}")  # an interpolation that only names another setting


def resolve(composed: Mapping[str, Any]) -> dict[str, Any]:
    """Composed settings, checked against the signatures; BadOption for what is unknown, missing, mistyped or out of range."""
    config: dict[str, Any] = {}
    for group in ("task", "model", "network", "train", "budget", "trainer", "tracker"):
        given = dict(composed.get(group) or {})
        naming = {key: given.pop(key) for key in NAMING.get(group, ()) if key in given}
        _check_names(group, naming)
        known = group_options(group, naming)
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
    if group == "task" and naming.get("name") not in NAMES:
        raise unknown("task", str(naming.get("name")), NAMES)
    if group == "model":
        if naming.get("mechanism") not in mechanism_files():
            raise unknown("mechanism", str(naming.get("mechanism")), mechanism_files())
        if not re.fullmatch(r"\w[\w-]{0,99}", str(naming.get("name")), re.ASCII):
            raise BadOption(f"model.name={naming.get('name')!r} is not allowed; allowed: letters, digits, _ and -")
    if group == "tracker" and naming.get("name") not in TRACKERS:
        raise unknown("tracker", str(naming.get("name")), TRACKERS)


def _check_together(config: Mapping[str, Any]) -> None:
    """What each option allows by itself but not beside the others."""
    task, model = config["task"], config["model"]
    about = read_signature("task", task["name"]).constants
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
        fitting = [name for name in choice_names("model") if not choice_settings("model", name)["bidirectional"]]
        raise BadOption(
            f"model={model['name']} reads both directions, and task={task['name']} is causal (a step may not see later ones); "
            f"models that fit: {', '.join(fitting)}"
        )
    budget = config["budget"]
    if budget["params"]:
        parse_count(budget["params"])
    if budget["match"] and budget["match"] not in choice_names("model"):
        raise unknown("model", budget["match"], choice_names("model"))
    if bool(budget["match"]) != bool(budget["width"]) or (budget["params"] and budget["match"]):
        raise BadOption("a budget is budget.params=COUNT, or budget.match=MODEL with budget.width=HIDDEN_SIZE")
    if config["network"]["backend"] == "library" and config["train"]["instruments"]:
        raise BadOption(
            "network.backend=library does not show the gradient of every step; allowed: train.instruments=false beside it"
        )
    writer = config["network"]["writer"]
    if writer and writer not in mechanism_files():
        raise unknown("mechanism", writer, mechanism_files())
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


def writable_folder(folder: str, option: str = "runs=") -> Path:
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
