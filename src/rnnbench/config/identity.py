"""What makes two runs the same run: departures from the defaults, versions, data; their digest is the id."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

from .schema import HASHED, HERE, NAMING, group_options, read_signature

# What makes two runs the same run


def departures(config: Mapping[str, Any]) -> dict[str, Any]:
    """What differs from the defaults in the signatures, by dotted name; a new option with a neutral default changes nothing."""
    found = {}
    for group in HASHED:
        naming = {key: config[group][key] for key in NAMING.get(group, ())}
        known = group_options(group, naming)
        for key, value in config[group].items():
            if key in known and value != (list(d) if isinstance(d := known[key].default, tuple) else d):
                found[f"{group}.{key}"] = value
    return found


def versions(config: Mapping[str, Any]) -> dict[str, int]:
    """The versions of what makes a run's numbers."""
    return {
        "task": read_signature("task", config["task"]["name"]).constants["version"],
        "model": read_signature("mechanism", config["model"]["mechanism"]).constants["version"],
        "network": _version("networks/build_network.py"),
        "train": _version("training/learner.py"),
    }


@functools.cache
def _version(file: str) -> int:
    found = re.search(r"^VERSION = (\d+)", (HERE / file).read_text(encoding="utf-8"), re.MULTILINE)
    assert found, file
    return int(found[1])


def setting_identity(config: Mapping[str, Any], fingerprint: str) -> dict[str, Any]:
    """All that determines a run's numbers but the seed; its digest is the setting's id."""
    kinds = {"task": config["task"]["name"], "mechanism": config["model"]["mechanism"]}
    return {**kinds, "departures": departures(config), "versions": versions(config), "data": fingerprint}
