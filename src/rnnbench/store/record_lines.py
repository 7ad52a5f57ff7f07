"""Reads many records as fast as can be: what they have in common is read once, and stands in memory once.

`record_text` gives each value of a record a line, and most lines of a sweep's records are the same. So a text is cut where a
member of the record begins, or of an object in it, and what was read lately is not read again. Any other text is read whole.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from .record import Parsed, canonical, parse_record

LONGEST_KEPT = 4_000  # characters of a member
MOST_KEPT = 2_000  # members of records, and as many of the objects in them

Member = tuple[str, Any, str]  # name, value, and the canonical text of both


class RecordReader:
    """`parse` is `parse_record`; the records that it gives share values, so they are to be read only."""

    def __init__(self) -> None:
        self._kept = functools.lru_cache(MOST_KEPT)(self._member)
        self._kept_inside = functools.lru_cache(MOST_KEPT)(_member_inside)

    def parse(self, text: str | bytes) -> Parsed:
        try:
            letters = text if isinstance(text, str) else text.decode()
            members = _members(letters.removesuffix("\n"), "\n ", self._member, self._kept)
            _, checksum, _ = members.pop("checksum")
            return _values(members), checksum, hashlib.sha256(_canonical_text(members).encode()).hexdigest()
        except (ValueError, KeyError, TypeError):  # laid out otherwise, or no record
            return parse_record(text)

    def _member(self, piece: str) -> Member:
        """The member of a record in `name": value`; ValueError where it is not one, or is laid out otherwise."""
        name, _, value = piece.partition('": ')
        if not (value.startswith("{\n") and name.isidentifier()):
            return _member_inside(piece)
        members = _members(value, "\n  ", _member_inside, self._kept_inside)
        return name, _values(members), f'"{name}":{_canonical_text(members)}'


def _members(text: str, line: str, read: Callable[[str], Member], kept: Callable[[str], Member]) -> dict[str, Member]:
    """By name the members of an object in which `line` begins each; ValueError where `text` is none.

    JSON has no line's end within a string. So if every piece is one member, together they are the object's.
    """
    start, end = f'{{{line}"', f"{line[:-1]}}}"
    if not (text.startswith(start) and text.endswith(end)):
        raise ValueError("no object, or one that is laid out otherwise")
    pieces = text[len(start) : -len(end)].split(f',{line}"')
    return {member[0]: member for member in [(kept if len(piece) <= LONGEST_KEPT else read)(piece) for piece in pieces]}


def _member_inside(piece: str) -> Member:
    """The member in `name": value`, whatever its value; ValueError where it is not one."""
    found = json.loads(f'{{"{piece}}}')
    ((name, value),) = found.items()
    return name, value, canonical(found)[1:-1]


def _values(members: Mapping[str, Member]) -> dict[str, Any]:
    return {name: value for name, value, _ in members.values()}


def _canonical_text(members: Mapping[str, Member]) -> str:
    return f"{{{','.join([members[name][2] for name in sorted(members)])}}}"
