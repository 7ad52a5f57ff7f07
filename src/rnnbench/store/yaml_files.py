"""Reads YAML files: settings, tables and rules of a search that people write, and a run's config.yaml.

Other people's files are read, too, so what a file can ask for is bounded: its size, its nesting, and how many values it stands
for. (With aliases ten lines can stand for a billion.)
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from ..options import BadOption
from .bounds import DEEPEST

FLOAT = re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$")  # 1e-4 and 2.5e0, which YAML 1.1 takes for text
MOST_BYTES = 1_000_000  # of a file
MOST_VALUES = 200_000
LONGEST_NUMBER = 40  # signs of a number; a longer one takes the square of its length to read
NUMBER = re.compile(r"[-+]?(0[xb][0-9a-f_]+|[0-9][0-9_:.]*)", re.IGNORECASE)  # decimal, hexadecimal, binary, base 60


class StrictLoader(yaml.CSafeLoader):
    """Plain values only. A duplicate key is refused, 1e-4 is a number, and a date is text."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, f"line {line}: a key is one word")
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"line {line}: duplicate key {key.value!r}")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


StrictLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in StrictLoader.yaml_implicit_resolvers.items()
}
StrictLoader.add_implicit_resolver("tag:yaml.org,2002:float", FLOAT, list("-+0123456789"))


def parse_yaml(path: Path, loader: type[yaml.CSafeLoader] = StrictLoader) -> Any:
    """What stands in the file. OSError where it cannot be read; ValueError, in one line, for what is no YAML or is refused."""
    with open(path, "rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ValueError(f"larger than {MOST_BYTES / 1e6:g} MB, as large as a YAML file may be")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ValueError(f"line {line}: not UTF-8 (byte 0x{data[error.start]:02x}); save it as UTF-8") from None
    try:
        _check_events(text)
        return yaml.load(text, loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(f"{place}cannot be read as YAML: {' '.join(str(error.problem or error).split())}") from None
    except (yaml.YAMLError, TypeError, OverflowError, AttributeError) as error:  # the last three of odd dates, say
        raise ValueError(" ".join(str(error).replace(' in "<unicode string>"', "").split())) from None
    except ValueError as error:  # of a number with thousands of digits
        raise ValueError(str(error).partition(";")[0]) from None


def _check_events(text: str) -> None:
    """ValueError for deep nesting and for more values than a file may stand for, before anything is built of them."""
    sizes: dict[str, int] = {}  # by anchor
    opened: list[tuple[str | None, int]] = []  # collections: anchor, values before
    values = 0  # aliases count as what they stand for
    for event in yaml.parse(text, yaml.CSafeLoader):
        line = event.start_mark.line + 1
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, before = opened.pop()
            sizes[anchor or ""] = values - before
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise ValueError(f"line {line}: *{event.anchor} stands for nothing before it")
            values += sizes[event.anchor]
        elif isinstance(event, yaml.NodeEvent):
            if isinstance(event, yaml.CollectionStartEvent):
                opened.append((event.anchor, values))
            else:
                _check_scalar(event, line)
                if event.anchor:
                    sizes[event.anchor] = 1
            values += 1
        if len(opened) > DEEPEST:
            raise ValueError(f"line {line}: nested more than {DEEPEST} deep")
        if values > MOST_VALUES:
            raise ValueError(f"line {line}: stands for more than {MOST_VALUES} values, its aliases unfolded")


def _check_scalar(event: yaml.ScalarEvent, line: int) -> None:
    """ValueError for a number that is longer than any that can be meant; a text in quotes may be as long as it likes."""
    read_as_number = event.implicit[0] or event.tag not in (None, "!", "tag:yaml.org,2002:str")
    if read_as_number and len(event.value) > LONGEST_NUMBER and NUMBER.fullmatch(event.value.strip()):
        raise ValueError(f"line {line}: a number of {len(event.value)} signs; at most {LONGEST_NUMBER}, or in quotes as text")


def read_yaml(path: Path) -> Any:
    """What stands in the file; BadOption, in one line that names the file, where it cannot be read."""
    try:
        return parse_yaml(path)
    except OSError as error:
        raise BadOption(f"{path}: {error.strerror or error}") from None
    except ValueError as error:
        raise BadOption(f"{path}: {error}") from None
