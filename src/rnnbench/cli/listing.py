"""What there is to choose, as text; read from sources and settings, so that it costs milliseconds."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from rnnbench.tasks import task_files

from ..config.compose import compose_jobs
from ..config.schema import (
    CHOICES,
    choice_names,
    choice_settings,
    dump_yaml,
    file_departures,
    group_options,
    is_choice,
    is_plugin,
    mechanism_reference,
    read_signature,
    task_reference,
    trust_choice,
)
from ..console import say, show
from ..models.registry import mechanism_files
from ..options import BadOption, Option, describe, unknown
from ..plugins.references import unusable
from .parser import error_line


def list_all(kind: str) -> str:
    """A line for each task (structure, what it is, floor, source) or model (mechanism and departures, what it is, source)."""
    group = kind.removesuffix("s")
    names = working_choices(group)
    width = max(map(len, names)) + 2
    return "\n".join(f"{name:<{width}}{_line(group, name)}" for name in names)


def working_choices(group: str) -> list[str]:
    """The tasks or models by name. Those of other packages that cannot be used are left out, each with a line that says why."""
    names = []
    for name in choice_names(group):
        try:
            _signature(group, name)
            names.append(name)
        except BadOption as error:
            if not is_plugin(group, name):
                raise
            say(error_line(str(error)), sys.stderr)
    ours = task_files() if group == "task" else mechanism_files()
    for line in unusable("task" if group == "task" else "model", ours):
        say(error_line(line), sys.stderr)
    return names


PARTS = ("Data", "Floor", "Best", "Source", "Licence", "Needs")  # paragraphs of a task's docstring
GENERATED = {"Data": "generated.", "Licence": "none is needed.", "Needs": "nothing."}  # where they are not there


def task_details() -> str:
    """A paragraph for each task: structure, data, floor, best known, source, licence, and the extra that it needs."""
    return "\n\n".join(map(_details, working_choices("task")))


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
        return read_signature("task", task_reference(choice_settings("task", name)["task"]))
    return read_signature("mechanism", mechanism_reference(choice_settings("model", name)))


def _departures(model: str) -> str:
    settings = file_departures("model", model)
    return ", ".join(f"{key}={str(value).lower() if isinstance(value, bool) else value}" for key, value in settings.items())


def describe_choice(kind: str, name: str) -> str:
    """The docstring of a task or model, and its options with defaults, ranges and units."""
    group = kind.removesuffix("s")
    trust_choice(group, name)
    if not is_choice(group, name):
        raise unknown(group, name, choice_names(group))
    node = choice_settings(group, name)
    settings = node["task"] if group == "task" else node
    known = group_options(group, settings)
    parts = [_signature(group, name).doc, _options(group, known, settings)]
    if group == "task":
        trained = {f"{part}.{key}": value for part in ("network", "train") for key, value in node.get(part, {}).items()}
        parts.append("Trained with: " + ", ".join(f"{key}={value}" for key, value in trained.items()))
    return "\n\n".join(parts)


def train_help(overrides: Sequence[str], config_dir: str | None) -> str:
    """The help of `rnnbench train`: what can be chosen, and every setting of the choice in `overrides`."""
    said = {word.partition("=")[0].lstrip("+") for word in overrides}
    chosen = [*overrides, *(f"{group}={name}" for group, name in (("task", "adding"), ("model", "lstm")) if group not in said)]
    groups = (f"{group}: {', '.join(choice_names(group))}" for group in (*CHOICES, "hydra/launcher"))
    return "\n".join(
        [
            "rnnbench train: one run, or with -m a sweep; started again, it goes on where it stopped",
            "",
            "rnnbench train task=TASK model=MODEL [OPTION=VALUE ...]",
            "rnnbench train --again RUN",
            "rnnbench train -m task=TASK,TASK model=MODEL,MODEL seed=0,1,2",
            "rnnbench train --resume SWEEP",
            "",
            "== What can be chosen (group=option) ==",
            *groups,
            "",
            f"== The settings of {' '.join(chosen)} (OPTION=VALUE changes one) ==",
            dump_yaml(compose_jobs(chosen, sweep=False, config_dir=config_dir)[0].plain()),
            "Options of one task or model, with ranges and units: rnnbench list tasks NAME, rnnbench list models NAME.",
            "--cfg job, --info, --hydra-help, --config-dir DIR and -m are Hydra's.",
        ]
    )


def _options(group: str, known: Mapping[str, Option], settings: Mapping[str, Any]) -> str:
    rows = [
        (
            f"{group}.{name}={settings.get(name, option.default)}",
            describe(option.annotation),
            "; ".join([*filter(None, [option.comment]), *(f"needs {needs}" for needs in option.needs)]),
        )
        for name, option in known.items()
    ]
    width = max(len(row[0]) for row in rows) + 2
    lines = [f"  {key:<{width}}{allowed}{f' ({comment})' if comment else ''}" for key, allowed, comment in rows]
    return "Options:\n" + "\n".join(
        textwrap.shorten(line, 200, placeholder=" ...") if len(line) > 200 else line for line in lines
    )


def list_command(options: argparse.Namespace) -> int:
    models = options.kind == "models"
    if options.name and (options.details or options.budget):
        raise BadOption(f"--details and --budget are of all {options.kind}; without them, {options.name} is told about")
    if bool(options.budget or options.task) > models or (options.task and not options.budget):
        raise BadOption("--budget PARAMS, and with it --task TASK, is of `rnnbench list models`")
    if models and (options.details or options.budget):
        from .sizes import model_details, widths_within  # imports torch

        show(f"{widths_within(options.budget, options.task or 'adding') if options.budget else model_details()}\n")
        return 0
    if options.details:
        show(f"{task_details()}\n")
        return 0
    show(f"{describe_choice(options.kind, options.name) if options.name else list_all(options.kind)}\n")
    return 0
