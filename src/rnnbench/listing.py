"""What there is to choose, as text; read from sources and settings, so that it costs milliseconds."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from . import config
from .options import Option, describe, unknown


def all_(kind: str) -> str:
    """A line for each task (structure, what it is, floor, source) or model (mechanism and departures, what it is, source)."""
    group = kind.removesuffix("s")
    width = max(map(len, config.names(group))) + 2
    return "\n".join(f"{name:<{width}}{_line(group, name)}" for name in config.names(group))


def _line(group: str, name: str) -> str:
    doc = _signature(group, name)
    what = doc.doc.split("\n", 1)[0].rstrip(".")
    if group == "task":
        floor = doc.doc_line("Floor").rstrip(".")
        return f"{doc.constants['structure']}  {what.rstrip('?')}. Floor: {floor}. {doc.doc_line('Source')}"
    departures = _departures(name)
    return f"{departures + '. ' if departures else ''}{what}. {doc.doc_line('Source')}"


def _signature(group: str, name: str) -> Any:
    if group == "task":
        return config.signature("task", config.nodes()["task", name]["task"]["name"])
    return config.signature("mechanism", config.nodes()["model", name]["mechanism"])


def _departures(model: str) -> str:
    settings = config.files("model").get(model, {})
    return ", ".join(f"{key}={str(value).lower() if isinstance(value, bool) else value}" for key, value in settings.items())


def one(kind: str, name: str) -> str:
    """The docstring of a task or model, and its options with defaults, ranges and units."""
    group = kind.removesuffix("s")
    if name not in config.names(group):
        raise unknown(group, name, config.names(group))
    node = config.nodes()[group, name]
    settings = node["task"] if group == "task" else node
    known = config.schema(group, settings)
    parts = [_signature(group, name).doc, _options(group, known, settings)]
    if group == "task":
        trained = {f"{part}.{key}": value for part in ("network", "train") for key, value in node.get(part, {}).items()}
        parts.append("Trained with: " + ", ".join(f"{key}={value}" for key, value in trained.items()))
    return "\n\n".join(parts)


def _options(group: str, known: Mapping[str, Option], settings: Mapping[str, Any]) -> str:
    rows = [
        (f"{group}.{name}={settings.get(name, option.default)}", describe(option.annotation), option.comment)
        for name, option in known.items()
    ]
    width = max(len(row[0]) for row in rows) + 2
    lines = [f"  {key:<{width}}{allowed}{f' ({comment})' if comment else ''}" for key, allowed, comment in rows]
    return "Options:\n" + "\n".join(
        textwrap.shorten(line, 200, placeholder=" ...") if len(line) > 200 else line for line in lines
    )
