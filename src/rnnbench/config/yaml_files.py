"""Reads YAML files that people write: settings, tables, rules of a search."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from ..options import BadOption

FLOAT = re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$")  # 1e-4 and 2.5e0, which YAML 1.1 takes for text


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


def read_yaml(path: Path) -> Any:
    """What stands in the file; BadOption, in one line that names the file, where it cannot be read."""
    try:
        return yaml.load(path.read_text(encoding="utf-8"), StrictLoader)
    except (yaml.YAMLError, ValueError, OSError, RecursionError) as error:
        raise BadOption(f"{path}: {' '.join(str(error).split())}") from None
