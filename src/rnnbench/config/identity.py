"""What makes two runs the same run: departures from the defaults, versions, data; their digest is the id.

Functions of plain settings, as config.yaml and records hold them, those of earlier versions and scrubbed ones too: an option
that is absent is as by default, one that is not known here makes no difference.
"""

from __future__ import annotations

from ..groups import NetworkSettings, TrainSettings
from ..store.record import Config
from .schema import HASHED, NAMING, group_options, read_signature


def departures(config: Config) -> dict[str, object]:
    """What differs from the defaults in the signatures, by dotted name; a new option with a neutral default changes nothing."""
    found = {}
    for group in HASHED:
        naming = {key: config[group][key] for key in NAMING.get(group, ())}
        known = group_options(group, naming)
        for key, value in config[group].items():
            if key in known and value != (list(d) if isinstance(d := known[key].default, tuple) else d):
                found[f"{group}.{key}"] = value
    return found


def versions(config: Config) -> dict[str, int]:
    """The versions of what makes a run's numbers."""
    return {
        "task": read_signature("task", config["task"]["name"]).constants["version"],
        "model": read_signature("mechanism", config["model"]["mechanism"]).constants["version"],
        "network": NetworkSettings.version,
        "train": TrainSettings.version,
    }


def setting_identity(config: Config, fingerprint: str) -> Config:
    """All that determines a run's numbers but the seed; its digest is the setting's id."""
    kinds = {"task": config["task"]["name"], "mechanism": config["model"]["mechanism"]}
    return {**kinds, "departures": departures(config), "versions": versions(config), "data": fingerprint}
