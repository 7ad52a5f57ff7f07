"""What another's file may hold at most, so that reading it stops nobody: nesting, kinds of values."""

from __future__ import annotations

import math
from typing import Any

from ..options import fits_64_bits

DEEPEST = 50  # levels of nesting that a record or a YAML file may have; our records have 5


def nested_too_deeply(value: object) -> bool:
    """Whether there are values more than DEEPEST levels down, which would stop functions that call themselves."""
    level = [value]
    for _ in range(DEEPEST):
        level = [item for one in level if isinstance(one, dict | list) for item in _items(one)]
        if not level:
            return False
    return True


def _items(value: dict[Any, Any] | list[Any]) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value


def is_plain(value: object) -> bool:
    """Whether JSON and Arrow could hold `value`, too: text, finite numbers, whole ones in 64 bits, true, false, null, lists,
    and mappings of names."""
    if isinstance(value, dict):
        return all(isinstance(key, str) for key in value) and all(map(is_plain, value.values()))
    if isinstance(value, list):
        return all(map(is_plain, value))
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, str) or (isinstance(value, int) and fits_64_bits(value))
