"""What another's file may hold at most, so that reading it stops nobody: nesting, size, kinds of values."""

from __future__ import annotations

import math
from typing import Any

import yaml

DEEPEST = 50  # levels of nesting that a record may have; ours have 5
LARGEST = 1_000_000  # characters of a config.yaml; ours have 2,000


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


def load_settings(text: str) -> Any:
    """The value of a YAML text that JSON could hold, too; ValueError, in a few words, for all else.

    Nesting and aliases are looked for before anything is built: the C library's own recursion would end the process.
    """
    depth = 0
    try:
        for event in yaml.parse(text, yaml.CSafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:
                raise ValueError(f"nested more than {DEEPEST} levels deep")
            if isinstance(event, yaml.AliasEvent):
                raise ValueError("an alias")
        value = yaml.load(text, yaml.CSafeLoader)
    except (yaml.YAMLError, TypeError, OverflowError, AttributeError) as error:
        raise ValueError(type(error).__name__) from None
    if not _is_plain(value):
        raise ValueError("a value that is neither text, a finite number, true, false nor null")
    return value


def _is_plain(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) for key in value) and all(map(_is_plain, value.values()))
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))
