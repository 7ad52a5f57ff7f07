"""What there is to choose, as text; read from sources and settings, so that it costs milliseconds."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from . import config
from .options import Option, describe, unknown


def all_(kind: str) -> str:
    """A line for each task (structure, what it is, floor, source) or model (mechanism and departures, what it is, source)."""
    group = kind.removesuffix("s")
    width = max(map(len, config.names(group))) + 2
    return "\n".join(f"{name:<{width}}{_line(group, name)}" for name in config.names(group))


PARTS = ("Data", "Floor", "Best", "Source", "Licence", "Needs")  # paragraphs of a task's docstring
GENERATED = {"Data": "generated.", "Licence": "none is needed.", "Needs": "nothing."}  # where they are not there


def details() -> str:
    """A paragraph for each task: structure, data, floor, best known, source, licence, and the extra that it needs."""
    return "\n\n".join(map(_details, config.names("task")))


def _details(name: str) -> str:
    doc = _signature("task", name)
    told = {part: doc.doc_line(part) or GENERATED.get(part, "none known.") for part in PARTS}
    better = {"max": "higher", "min": "lower"}[doc.constants["direction"]]
    about = f"{doc.doc.split(chr(10), 1)[0]}  {doc.constants['structure']}, {doc.constants['headline']} ({better} is better)"
    lines = [
        textwrap.fill(f"{part:<8} {text}", 120, initial_indent="  ", subsequent_indent=" " * 11) for part, text in told.items()
    ]
    return "\n".join([f"{name}: {about}", *lines])


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
        return config.signature("task", config.node("task", name)["task"]["name"])
    return config.signature("mechanism", config.node("model", name)["mechanism"])


def _departures(model: str) -> str:
    settings = config.file("model", model)
    return ", ".join(f"{key}={str(value).lower() if isinstance(value, bool) else value}" for key, value in settings.items())


def one(kind: str, name: str) -> str:
    """The docstring of a task or model, and its options with defaults, ranges and units."""
    group = kind.removesuffix("s")
    if name not in config.names(group):
        raise unknown(group, name, config.names(group))
    node = config.node(group, name)
    settings = node["task"] if group == "task" else node
    known = config.schema(group, settings)
    parts = [_signature(group, name).doc, _options(group, known, settings)]
    if group == "task":
        trained = {f"{part}.{key}": value for part in ("network", "train") for key, value in node.get(part, {}).items()}
        parts.append("Trained with: " + ", ".join(f"{key}={value}" for key, value in trained.items()))
    return "\n\n".join(parts)


def train(overrides: Sequence[str], config_dir: str | None) -> str:
    """The help of `rnnbench train`: what can be chosen, and every setting of the choice in `overrides`."""
    said = {word.partition("=")[0].lstrip("+") for word in overrides}
    chosen = [*overrides, *(f"{group}={name}" for group, name in (("task", "adding"), ("model", "lstm")) if group not in said)]
    groups = (f"{group}: {', '.join(config.names(group))}" for group in (*config.CHOICES, "hydra/launcher"))
    return "\n".join(
        [
            "rnnbench train: one run, or with -m a sweep; started again, it goes on where it stopped",
            "",
            "rnnbench train task=TASK model=MODEL [OPTION=VALUE ...]",
            "rnnbench train --again RUN",
            "rnnbench train -m task=TASK,TASK model=MODEL,MODEL seed=0,1,2",
            "",
            "== What can be chosen (group=option) ==",
            *groups,
            "",
            f"== The settings of {' '.join(chosen)} (OPTION=VALUE changes one) ==",
            config.dump(config.jobs(chosen, sweep=False, config_dir=config_dir)[0]),
            "Options of one task or model, with ranges and units: rnnbench list tasks NAME, rnnbench list models NAME.",
            "--cfg job, --info, --hydra-help, --config-dir DIR and -m are Hydra's.",
        ]
    )


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
