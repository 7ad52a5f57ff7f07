"""A run as its trackers see it: what it is called there, and what identifies it. Torch is not imported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..config.identity import departures
from ..config.labels import UNKNOWN, run_name
from ..config.schema import read_signature, task_reference
from ..options import BadOption
from ..store.record import Config, Record
from ..store.run_folder import RunFolder
from ..tracking.tracker import Run

PRIVATE = (
    "runs",
    "accept_changes",
    "again",
    "repeat",
    "keep_predictions",
    "id",
    "setting",
    "code",
)  # of config.yaml: never shown


def public_config(config: Config) -> dict[str, Any]:
    """Settings without where the run's folder lies; what was accepted stands under `changes` in the record."""
    return {key: value for key, value in config.items() if key not in PRIVATE}


def describe_run(folder: RunFolder, config: Config, record: Record | None) -> Run:
    """The run in `folder` as trackers see it. KeyError, TypeError or AttributeError where `config` is no run's."""
    source: Mapping[str, Any] = record or config
    facts = {"setting": source["setting"], "departures": record["departures"] if record else _departures(config)}
    if record:
        facts["data"] = record["task"]["fingerprint"]
    return run_of(folder, config, source["id"], facts, source.get("repeat", 0))


def run_of(folder: RunFolder, config: Config, identity: str, facts: Mapping[str, Any], repeat: int = 0) -> Run:
    """The run as trackers see it; `facts` hold its setting's id, its departures and the fingerprint of its data."""
    return Run(
        identity[:16],
        run_name(config, facts["setting"]) + (f" again {repeat}" if repeat else ""),
        folder.path,
        public_config(config),
        config.get("sweep"),
        {**facts, "departures": nested(facts["departures"])},
        *_headline(task_reference(config["task"])),
        folder.path.parents[2] / "sweeps" / config["sweep"] if config.get("sweep") else None,
    )


def _headline(task: str) -> tuple[Any, Any]:
    """(the score that ranks models, which way it is better); (None, min) of a task that is not here."""
    try:
        constants = read_signature("task", task).constants
    except (BadOption, LookupError):
        return None, "min"
    return constants.get("headline"), constants.get("direction", "min")


def _departures(config: Config) -> dict[str, object]:
    try:
        return departures(config)
    except UNKNOWN:  # settings of another version
        return {}


def nested(options: Mapping[str, Any]) -> dict[str, Any]:
    """`{"train.clip": 5}` as `{"train": {"clip": 5}}`: a dashboard takes dots for levels."""
    found: dict[str, Any] = {}
    for key, value in options.items():
        group, _, name = key.partition(".")
        found.setdefault(group, {})[name] = value
    return found
