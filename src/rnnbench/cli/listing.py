"""The verb list: tasks and models, in lines for a terminal, as Markdown or JSON. Nothing heavy is imported."""

from __future__ import annotations

import argparse
import json
import shutil
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..console import show
from ..options import BadOption, plain_text
from .choices import Facts, choice_signature, grouped_choices, named_choice, working_choices

OPTION_COLUMN = 30  # where the text beside an option begins
NARROWEST = 60  # columns that text is wrapped to at least
EXTRAS = {"download": "the data are fetched once", "local data": "the data are in a folder of RNNBENCH_DATA"}
PARTS = ("Data", "Floor", "Best", "Source", "Licence", "Needs")  # paragraphs of a task's docstring
GENERATED = {"Data": "generated.", "Licence": "none is needed.", "Needs": "nothing."}  # where they are not there


def terminal_width() -> int:
    """The columns of the terminal, or of COLUMNS; 80 where there is none."""
    return max(shutil.get_terminal_size((80, 24)).columns, NARROWEST)


def list_all(group: str, width: int) -> str:
    """One line for each task or model, in groups: its name, what it is, and in brackets what it needs."""
    found = grouped_choices(group)
    every = [one for ones in found.values() for one in ones]
    room = max(len(one["name"]) for one in every)
    lines = []
    for title, ones in found.items():
        lines += [title[0].upper() + title[1:], *(_line(one, room, width) for one in ones), ""]
    needed = sorted({name for one in every for name in one["needs"]})
    notes = [f"[{name}]: {EXTRAS[name]}." for name in needed if name in EXTRAS]
    if extras := [name for name in needed if name not in EXTRAS]:
        notes.insert(0, f"[{extras[0]}] and the like: pip install 'rnnbench[{extras[0]}]'.")
    more = "Floors" if group == "task" else "Sizes"
    notes.append(f"Options of one: rnnbench list {group}s NAME. {more} and sources: --details.")
    return "\n".join([*lines, *(textwrap.fill(note, width) for note in notes)])


def _line(one: Facts, room: int, width: int) -> str:
    needs = f" [{', '.join(one['needs'])}]" if one["needs"] else ""
    line = f"  {one['name']:<{room}}  {one['about']}{needs}"
    return line if len(line) <= width else f"{line[: width - 3]}..."


def task_details() -> str:
    """A paragraph for each task: structure, data, floor, best known, source, licence, and the extra that it needs."""
    return "\n\n".join(map(_details, working_choices("task")))


def _details(name: str) -> str:
    doc = choice_signature("task", name)
    told = {part: doc.doc_line(part) or GENERATED.get(part, "none known.") for part in PARTS}
    better = {"max": "higher", "min": "lower"}[doc.constants["direction"]]
    about = f"{doc.doc.split(chr(10), 1)[0]}  {doc.constants['structure']}, {doc.constants['headline']} ({better} is better)"
    lines = [
        textwrap.fill(f"{part:<8} {text}", 120, initial_indent="  ", subsequent_indent=" " * 11) for part, text in told.items()
    ]
    return "\n".join([f"{name}: {about}", *lines])


def describe_choice(group: str, name: str, width: int) -> str:
    """A task or model: its docstring, its options with defaults, ranges and units, and the defaults that it changes."""
    one = named_choice(group, name)
    changed = " ".join(f"{key}={written(value)}" for key, value in one["settings"].items())
    parts = [
        f"{name}: {one['about']}",
        choice_signature(group, name).doc,
        "\n".join(["Options:", *option_lines(one["options"], width)]),
        wrapped(f"{group}={name} sets: {changed}", width) if changed else "",
    ]
    return "\n\n".join(filter(None, parts))


def option_lines(options: Iterable[Facts], width: int) -> Iterator[str]:
    """Lines for each option: `KEY=DEFAULT`, and beside it, wrapped to `width`, what it means and what is allowed."""
    for one in options:
        head = f"  {one['key']}={written(one['default'])}"
        needs = f"; needs {', '.join(one['needs'])}" if one["needs"] else ""
        text = f"{one['about']} [{one['allowed']}{needs}]"
        first = head.ljust(OPTION_COLUMN)
        if len(head) + 2 > OPTION_COLUMN:
            yield head
            first = " " * OPTION_COLUMN
        yield wrapped(text, width, first)


def wrapped(text: str, width: int, first: str = "") -> str:
    """`text` after `first`, in lines of `width` columns that begin below its first word."""
    return textwrap.fill(text, width, initial_indent=first, subsequent_indent=" " * len(first), break_on_hyphens=False)


def written(value: Any) -> str:
    """A value as it stands on a command line."""
    if isinstance(value, list):
        return f"[{','.join(map(plain_text, value))}]"
    return "''" if value == "" else plain_text(value)


def choices_in(format: str, group: str, name: str | None) -> str:
    """The task or model `name`, or all of them, as JSON or as tables in Markdown."""
    found = {"": [named_choice(group, name)]} if name else grouped_choices(group)
    if format == "json":
        every = [one for ones in found.values() for one in ones]
        return json.dumps(every[0] if name else every, indent=1, ensure_ascii=False)
    columns = ("name", "about", "needs", *(("floor",) if group == "task" else ()), "source")
    tables = [(title, columns, ones) for title, ones in found.items()]
    if name:
        tables.append(("Options", ("key", "default", "allowed", "about", "needs"), found[""][0]["options"]))
    return markdown_tables(tables)


def markdown_tables(tables: Iterable[tuple[str, Sequence[str], Iterable[Mapping[str, Any]]]]) -> str:
    """Tables of a title, the names of its columns and its rows, in Markdown."""
    from ..analysis.render import to_markdown  # takes longer than the list itself
    from ..analysis.table import Cell, Column, Table

    def cell(value: Any) -> Cell:
        text = ", ".join(value) if isinstance(value, list) else written(value)
        return Cell(text, (text,))

    return to_markdown(
        [
            Table(
                title,
                "",
                {},
                tuple(Column(name, (name,), left=True) for name in columns),
                tuple(tuple(cell(row[name]) for name in columns) for row in rows),
            )
            for title, columns, rows in tables
        ]
    ).rstrip()


def list_command(options: argparse.Namespace) -> int:
    models, sizes = options.kind == "models", options.details or options.budget
    if options.name and sizes:
        raise BadOption(f"--details and --budget are of all {options.kind}; leave out {options.name}, or the flag")
    if bool(options.budget or options.task) > models or (options.task and not options.budget):
        raise BadOption("--budget PARAMS, and with it --task TASK, is for `rnnbench list models`")
    if options.format != "terminal" and sizes:
        raise BadOption(f"--format {options.format} is not for --details and --budget; leave out one of them")
    group = options.kind.removesuffix("s")
    if models and sizes:
        from .sizes import model_details, widths_within  # imports torch

        text = widths_within(options.budget, options.task or "adding") if options.budget else model_details()
    elif options.details:
        text = task_details()
    elif options.format != "terminal":
        text = choices_in(options.format, group, options.name)
    elif options.name:
        text = describe_choice(group, options.name, terminal_width())
    else:
        text = list_all(group, terminal_width())
    show(f"{text}\n")
    return 0
