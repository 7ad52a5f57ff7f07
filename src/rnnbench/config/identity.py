"""What makes two runs the same run: departures from the defaults, versions, data; their digest is the id.

Functions of plain settings, as config.yaml and records hold them, those of earlier versions and scrubbed ones too: an option
that is absent is as by default, one that is not known here makes no difference.
"""

from __future__ import annotations

import math

from ..groups import NetworkSettings, TrainSettings
from ..plugins.callbacks import callback_digests
from ..store.record import Config
from .liveness import Liveness, plain_default
from .schema import HASHED, NAMING, group_options, mechanism_reference, plugin_facts, read_signature, task_reference


def departures(config: Config, as_in_0_1: bool = False, places: bool = True) -> dict[str, object]:
    """What differs from the defaults in the signatures and has an effect, by dotted name; unless `places`, without options that
    say where data lie (options.Where).

    A new option with a neutral default changes nothing. The numbers of devices and of micro batches are among these where
    training draws numbers on each of them, and so are callbacks, which may do anything. Up to version 0.1 they were not, and
    what has no effect was.
    """
    found = {}
    for group in HASHED:
        naming = {key: config[group][key] for key in NAMING.get(group, ()) if key != "class" or key in config[group]}
        known = group_options(group, naming)
        for key, value in config[group].items():
            if key in known and value != plain_default(known[key]) and (places or not known[key].says_where(value)):
                found[f"{group}.{key}"] = value
    if as_in_0_1:
        return found
    liveness = Liveness(config)
    trainer = config.get("trainer") or {}
    devices = math.prod(trainer.get(name, 1) for name in ("devices", "nodes"))  # of all machines
    for name, count in (("devices", devices), ("micro_batches", trainer.get("micro_batches", 1))):
        if count > 1 and liveness.draws():
            found[f"trainer.{name}"] = count
    if trainer.get("callbacks"):
        found["trainer.callbacks"] = trainer["callbacks"]
    without = liveness.effectless()
    return {key: value for key, value in found.items() if key not in without}


def versions(config: Config) -> dict[str, int]:
    """The versions of what makes a run's numbers."""
    return {
        "task": read_signature("task", task_reference(config["task"])).constants["version"],
        "model": read_signature("mechanism", mechanism_reference(config["model"])).constants["version"],
        "network": NetworkSettings.version,
        "train": TrainSettings.version,
    }


def code_digests(config: Config) -> dict[str, str]:
    """The digests of the code of what is not ours: task, model, the writer of an encoder-decoder, callbacks."""
    writer = (config.get("network") or {}).get("writer")
    named = {
        "task": ("task", task_reference(config["task"])),
        "model": ("mechanism", mechanism_reference(config["model"])),
        **({"writer": ("mechanism", writer)} if writer else {}),
    }
    found = {part: plugin_facts(*place) for part, place in named.items()}
    callbacks = callback_digests((config.get("trainer") or {}).get("callbacks", ()))
    return {part: facts.code[:32] for part, facts in found.items() if facts} | callbacks


def setting_identity(config: Config, fingerprint: str, as_in_0_1: bool = False, with_places: bool = False) -> Config:
    """All that determines a run's numbers but the seed; its digest is the setting's id.

    What the data are says their fingerprint. `with_places`: also where they lie, which was part of it before 0.2. The code of
    what is not ours is part of it: its equations may change while its version stays.
    """
    kinds = {"task": config["task"]["name"], "mechanism": config["model"]["mechanism"]}
    code, test_seed = code_digests(config), config.get("test_seed")
    return {
        **kinds,
        "departures": departures(config, as_in_0_1, with_places or as_in_0_1),
        "versions": versions(config),
        "data": fingerprint,
        **({"code": code} if code else {}),
        **({"test_seed": test_seed} if test_seed else {}),
    }
