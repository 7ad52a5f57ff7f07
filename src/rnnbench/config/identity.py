"""What makes two runs the same run: departures from the defaults, versions, data; their digest is the id.

Functions of plain settings, as config.yaml and records hold them, those of earlier versions and scrubbed ones too: an option
that is absent is as by default, one that is not known here makes no difference.
"""

from __future__ import annotations

import math

from ..groups import NetworkSettings, TrainSettings
from ..store.record import Config
from .liveness import Liveness, plain_default
from .schema import HASHED, NAMING, group_options, read_signature


def departures(config: Config, as_in_0_1: bool = False) -> dict[str, object]:
    """What differs from the defaults in the signatures and has an effect, by dotted name.

    A new option with a neutral default changes nothing. The number of devices is one of these where training draws numbers on
    each of them. Up to version 0.1 it was not, and what has no effect was.
    """
    found = {}
    for group in HASHED:
        naming = {key: config[group][key] for key in NAMING.get(group, ())}
        known = group_options(group, naming)
        for key, value in config[group].items():
            if key in known and value != plain_default(known[key]):
                found[f"{group}.{key}"] = value
    if as_in_0_1:
        return found
    liveness = Liveness(config)
    devices = math.prod((config.get("trainer") or {}).get(name, 1) for name in ("devices", "nodes"))
    if devices > 1 and liveness.draws():
        found["trainer.devices"] = devices  # of all machines
    without = liveness.effectless()
    return {key: value for key, value in found.items() if key not in without}


def versions(config: Config) -> dict[str, int]:
    """The versions of what makes a run's numbers."""
    return {
        "task": read_signature("task", config["task"]["name"]).constants["version"],
        "model": read_signature("mechanism", config["model"]["mechanism"]).constants["version"],
        "network": NetworkSettings.version,
        "train": TrainSettings.version,
    }


def setting_identity(config: Config, fingerprint: str, as_in_0_1: bool = False) -> Config:
    """All that determines a run's numbers but the seed; its digest is the setting's id."""
    kinds = {"task": config["task"]["name"], "mechanism": config["model"]["mechanism"]}
    return {**kinds, "departures": departures(config, as_in_0_1), "versions": versions(config), "data": fingerprint}
