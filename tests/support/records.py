"""A record with every field that a run writes, for tests that need one and not a run."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

RECORD: dict[str, Any] = {
    "id": "0" * 32,
    "setting": "1" * 32,
    "status": "finished",
    "seed": 0,
    "sweep": None,
    "task": {
        "name": "adding",
        "version": 1,
        "options": {"length": 100},
        "structure": "N->1",
        "headline": "mse",
        "direction": "min",
        "unit": "",
        "fingerprint": "",
        "floor": 0.1667,
        "expected_floor": 0.1667,
        "about": {},
    },
    "model": {
        "name": "lstm",
        "mechanism": "lstm",
        "version": 1,
        "options": {},
        "parameters": 400,
        "state_size": 8,
        "multiply_adds": 100,
    },
    "network": {},
    "train": {},
    "config": {
        "task": {"name": "adding"},
        "model": {"name": "lstm", "mechanism": "lstm"},
        "network": {},
        "train": {},
        "budget": {},
        "trainer": {},
        "tracker": {},
        "seed": 0,
        "sweep": None,
        "test": True,
    },
    "departures": {},
    "steps": 100,
    "best_step": 100,
    "diverged_step": None,
    "scores": {"validation": {"mse": 0.1}, "test": {"mse": 0.1}},
    "weights": None,
    "solved": False,
    "solved_on_test": False,
    "solved_step": None,
    "seconds_to_solved": None,
    "speed": {
        "seconds": 50.0,
        "steps_per_second": 2.0,
        "sequences_per_second": 16.0,
        "tokens_per_second": 160.0,
        "peak_memory_bytes": 9 << 20,
    },
    "versions": {"python": "3.12.3", "torch": "2.6.0", "rnnbench": "0.1.0"},
    "commit": None,
    "hardware": {"system": "Linux", "machine": "x86_64", "processor": "a processor", "device": "cpu"},
    "process": {"threads": 1},
    "changes": [],
    "started": "2025-03-01T10:00:00+00:00",
    "ended": "2025-03-01T10:01:00+00:00",
}


def filled(part: Mapping[str, Any], full: Mapping[str, Any] = RECORD) -> dict[str, Any]:
    """`part` with what it lacks of `full`, on every level but those of settings, options and scores."""
    found = copy.deepcopy(dict(part))
    for key, value in full.items():
        if key not in found:
            found[key] = copy.deepcopy(value)
        elif isinstance(value, dict) and isinstance(found[key], dict) and key not in ("options", "departures", "scores"):
            found[key] = filled(found[key], value)
    return found
