"""Writes the pages that are made from the program: `python -m docs.gallery`, which `make docs` calls.

build/docs/source becomes the source of Sphinx: the pages of docs/ that are written by hand, and beside them

    models/      a page for each cell: equations, sizes, time, named settings, options
    tasks/       a page for each task: worked example, floor, best known, options
    tables/      the reported tables, as sweeps/ has them
    reference/   settings, commands, Python names

All of it comes from docstrings, signatures, conf/, sweeps/ and docs/benchmarks.jsonl, so that no text stands twice.

A link of a page that is written by hand leads to a file of the repository, so that it holds there, too. Here it becomes a link
to the page that is made of that file (PAGES_OF), or to the file at the project's address.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import inspect
import os
import pydoc
import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import rnnbench
from rnnbench.analysis.comparison import compare_runs
from rnnbench.analysis.render import to_markdown as table_markdown
from rnnbench.analysis.table import Table
from rnnbench.benchmarks.history import read_saved
from rnnbench.benchmarks.models import ROWS, STEPS, WIDTH
from rnnbench.card.committed import CELLS, committed_card, complete_cards
from rnnbench.card.outcomes import verdict_summary
from rnnbench.card.page import TESTS, Card, verdict_table
from rnnbench.cli.parser import make_parser, verbs_of
from rnnbench.config.schema import (
    GIVEN,
    GROUPS,
    SINGLE,
    choice_names,
    choice_settings,
    file_comment,
    file_departures,
    group_options,
    read_signature,
)
from rnnbench.models.details import MechanismDetails, mechanism_details
from rnnbench.options import Option, describe
from rnnbench.signatures import Signature
from rnnbench.store.find import find_runs

from .docstrings import Block, equations, markdown_cell, markdown_text, split_blocks, to_markdown

HERE = Path(__file__).parent
ROOT = HERE.parent
SWEEPS = ROOT / "sweeps"
BUILD = ROOT / "build" / "docs" / "source"
ADDRESS = "https://github.com/rnnbench/rnnbench/blob/main"
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)\s#]+)")  # the path of a link that leads to a file
# Pages by the files of the repository that they are made of.
PAGES_OF = (
    (r"docs/(.+)", r"\1"),
    (r"tasks/README\.md", "tasks/index.md"),
    (r"tasks/(\w+)\.py", r"tasks/\1.md"),
    (r"src/rnnbench/models/cells/(\w+)\.py", r"models/\1.md"),
    (r"conf/model", "models/index.md"),
    (r"conf/card", "models/cards.md"),
    (r"sweeps/(.+\.md)", r"tables/\1"),
    (r"src/rnnbench/groups\.py", "reference/settings.md"),
    (r"src/rnnbench/cli/parser\.py", "reference/commands.md"),
    (r"src/rnnbench/__init__\.py", "reference/api.md"),
)
NUMBER = re.compile(r"[\d,./]+[×kM]?|–")
BETTER = ("below", "above")  # the floor, whichever of them is better
FLOOR = "Floor: the best score without memory."
FIELDS = ("Floor", "Best", "Source", "Data", "Licence", "Needs")  # paragraphs of a task's docstring that begin so
STRUCTURES = {
    "N->1": "one answer after the last step",
    "N->N": "an answer at every step",
    "N->M": "a sequence is read, then another one is written",
    "1->N": "one thing is read, then a sequence is written",
}
# Classes that are documented beside what `rnnbench` itself offers.
CONTRACTS = (
    "rnnbench.run.load.Trained",
    "rnnbench.models.mechanism.Mechanism",
    "rnnbench.models.stack.Stack",
    "rnnbench.tasks.task.Task",
    "rnnbench.tasks.shared.batch.Batch",
    "rnnbench.tasks.shared.batch.Tokens",
    "rnnbench.tasks.shared.batch.Reals",
    "rnnbench.tasks.shared.batch.Bits",
    "rnnbench.tracking.tracker.Tracker",
    "rnnbench.tracking.tracker.Run",
)


def page_makers() -> dict[str, Callable[[], str]]:
    """What makes each page, by its path; nothing is made before it is called."""
    mechanisms = sorted({choice_settings("model", name)["mechanism"] for name in choice_names("model")})
    tasks = sorted({choice_settings("task", name)["task"]["name"] for name in choice_names("task")})
    return {
        "models/index.md": functools.partial(models_index, mechanisms),
        **{f"models/{name}.md": functools.partial(model_page, name) for name in mechanisms},
        "models/cards.md": cards_page,
        "tasks/index.md": functools.partial(tasks_index, tasks),
        **{f"tasks/{name}.md": functools.partial(task_page, name) for name in tasks},
        **{f"tables/{path.relative_to(SWEEPS)}": functools.partial(table_page, path) for path in sorted(SWEEPS.rglob("*.md"))
           if path.name != "findings.md"},
        "reference/settings.md": settings_page,
        "reference/commands.md": commands_page,
        "reference/api.md": api_page,
    }  # fmt: skip


def main() -> None:
    """Writes all pages, in place of those that are there."""
    shutil.rmtree(BUILD, ignore_errors=True)
    shutil.copytree(HERE, BUILD, ignore=shutil.ignore_patterns("__pycache__", "*.py", "*.jsonl"))
    for path, make in page_makers().items():
        place = BUILD / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(make(), encoding="utf-8")
    for source in hand_written():
        place = source.relative_to(HERE)
        (BUILD / place).write_text(with_made_links(source, str(place)), encoding="utf-8")


def hand_written() -> list[Path]:
    """The pages of docs/."""
    return sorted(HERE.rglob("*.md"))


def made_of(path: str) -> str:
    """The page that is made of a file of the repository; the file at the project's address where there is none."""
    for pattern, page in PAGES_OF:
        if found := re.fullmatch(pattern, path):
            return found.expand(page)
    return f"{ADDRESS}/{path}"


def with_made_links(source: Path, place: str) -> str:
    """The text of a page of the repository that becomes `place`, with links from there."""

    def from_place(link: re.Match[str]) -> str:
        page = made_of(os.path.relpath(source.parent / link[0], ROOT))
        return page if page.startswith(ADDRESS) else os.path.relpath(page, Path(place).parent)

    return LINK.sub(from_place, source.read_text(encoding="utf-8"))


# Models


def models_index(mechanisms: Sequence[str]) -> str:
    times, where = model_times()
    details = sizes()
    parts = [
        "# Models",
        "A *cell* is one layer that reads a sequence step by step. A *model* is a cell with named settings: `irnn` is the cell "
        "`rnn` with rectified units and an identity matrix. Any model is trained by `model=NAME`, and any option of it is set "
        "by `model.OPTION=VALUE`.",
        f"*Parameters* are those of the core at {WIDTH} units and {WIDTH} inputs, without embedding and read-out. "
        f"*Time* is that of a forward and a backward pass beside `torch.nn.LSTM` of the same width "
        f"(sequences of {STEPS} steps, batch size {ROWS}, one thread; {where}).",
    ]
    head = ("model", "what it is", "parameters", "time")
    for mechanism in mechanisms:
        about = markdown_text(headline_of(read_signature("mechanism", mechanism)))
        rows = [
            [f"`{name}`", markdown_cell(about_model(name)), f"{details[name].parameters:,}", time_of(times, name)]
            for name in models_of(mechanism)
        ]
        parts += [f"## {mechanism}", f"{about}. [Equations and options]({mechanism}.md).", markdown_table(head, rows)]
    return page(*parts, "[What six of them are worth](cards.md), by `rnnbench card`.", toctree([*mechanisms, "cards"]))


def model_page(mechanism: str) -> str:
    cell, details = read_signature("mechanism", mechanism), sizes()
    title, *blocks = split_blocks(cell.doc)
    first = next((block for block in blocks if block.literal), Block([], True))
    times, where = model_times()
    rows = [
        [
            f"`{name}`",
            markdown_cell(about_model(name)) + code_list(departures("model", name)),
            f"{details[name].parameters:,}",
            f"{details[name].state_size:,}",
            time_of(times, name),
        ]
        for name in models_of(mechanism)
    ]
    return page(
        f"# {mechanism}",
        markdown_text(" ".join(title.lines)),
        equations(first.lines),
        to_markdown([block for block in blocks if block is not first and not block.lines[0].startswith(("Source:", "Group:"))]),
        f"**Source.** {markdown_text(cell.doc_line('Source'))}",
        "## Named settings",
        f"Parameters and state at {WIDTH} units and {WIDTH} inputs; time beside `torch.nn.LSTM` ({where}).",
        markdown_table(("model", "what it is, and its settings", "parameters", "state", "time"), rows),
        "## Options of the cell",
        option_table("model", cell.options),
        "Depth, direction, dropout and the first state are [options of every model](../reference/settings.md#model).",
    )


def models_of(mechanism: str) -> list[str]:
    """The names of the models of a cell, its own first."""
    names = [name for name in choice_names("model") if choice_settings("model", name)["mechanism"] == mechanism]
    return sorted(names, key=lambda name: (name != mechanism, name))


def about_model(name: str) -> str:
    """What the file of a named setting says; of a cell by itself, the first line of its docstring."""
    said = head_comment("model", name)
    return said or headline_of(read_signature("mechanism", choice_settings("model", name)["mechanism"]))


@functools.cache
def sizes() -> dict[str, MechanismDetails]:
    settings = {name: choice_settings("model", name) for name in choice_names("model")}
    return {one.name: one for one in mechanism_details(settings, WIDTH)}


@functools.cache
def model_times() -> tuple[dict[str, float], str]:
    """(the time of each model over that of PyTorch's LSTM, where and when it was measured), as last saved."""
    saved = [line for line in read_saved(HERE / "benchmarks.jsonl") if line["what"] == "models"][-1]
    return {name: row["value"] for name, row in saved["rows"].items()}, f"{saved['processor']}, {saved['when'][:10]}"


def time_of(times: Mapping[str, float], name: str) -> str:
    return f"{times[name]:.2f}×" if name in times else "–"


def cards_page() -> str:
    quick = [committed_card("quick", cell) for cell in CELLS]
    full = complete_cards("card")
    parts = [
        "# Cards",
        "What `rnnbench card` says of cells, from the records that come with the program. [How to read a card, and how to make "
        "one](../tutorials/card.md).",
        f"Ahead or behind: p is at most {quick[0].suite.level:g}. {TESTS}, with Holm's correction over all comparisons of a "
        "card.",
        *verdict_table(quick[0]).notes[1:],
    ]
    if full:
        suite = full[0].suite
        parts += cards_section(
            full,
            "open",
            f"`rnnbench card NAME --full`: the suite {suite.version}, {suite.seeds} seeds of the cell and "
            f"{suite.opponent_seeds} of each opponent, each model under the settings of an equal search.",
        )
    suite = quick[0].suite
    parts += cards_section(
        quick,
        "not seen",
        f"`rnnbench card NAME --quick`: the suite {suite.version}, {suite.seeds} seeds a model. It is a screening, no "
        "comparison for a paper: only differences of about 3 times the spread between seeds are seen.",
    )
    return page(*parts)


def cards_section(cards: Sequence[Card], left: str, about: str) -> list[str]:
    """The cards of one suite: what came out in a table, then card by card. `left` is neither ahead nor behind."""
    version, words = cards[0].suite.version, ("ahead", "behind", left)
    anchors = {card.cell: f"{card.cell}-{version}".replace("_", "-").replace("/", "-") for card in cards}
    rows = [[f"[{card.cell}](#{anchors[card.cell]})", *(places(card, word) for word in words)] for card in cards]
    parts = [f"## {version}", about, markdown_table(("cell", *words), rows)]
    for card in cards:
        table = dataclasses.replace(verdict_table(card), title="", caption="", notes=())
        parts += [f"### {card.cell}, {version}", verdict_summary(card.suite, card.verdicts), table_markdown([table])]
    return parts


def places(card: Card, word: str) -> str:
    """Where a card says `word`: task by task, with the opponents."""
    found: dict[str, list[str]] = {}
    for one in card.verdicts:
        if one.word == word:
            found.setdefault(one.task.replace("_", " "), []).append(one.opponent)
    return "; ".join(f"{task} ({', '.join(opponents)})" for task, opponents in found.items()) or "–"


# Tasks


def tasks_index(tasks: Sequence[str]) -> str:
    generated = {name: not read_signature("task", name).doc_line("Data") for name in tasks}
    parts = [
        "# Tasks",
        "A task says what is fed, what is wanted, and what is scored. Any task is trained on by `task=NAME`, and any option "
        f"of it is set by `task.OPTION=VALUE`. {FLOOR} The page of a task says what its floor is, and what is known to be "
        "possible.",
    ]
    for title, wanted in (("Generated data", True), ("Real data", False)):
        rows = [
            [f"[{name}]({name}.md)", markdown_cell(headline_of(read_signature("task", name))),
             STRUCTURES[read_signature("task", name).constants["structure"]], score_words(read_signature("task", name))]
            for name in tasks
            if generated[name] == wanted
        ]  # fmt: skip
        parts += [f"## {title}", markdown_table(("task", "what is asked", "answers", "score"), rows)]
    return page(*parts, toctree(tasks))


def task_page(name: str) -> str:
    task = read_signature("task", name)
    title, *blocks = split_blocks(task.doc)
    text = [block for block in blocks if not block.lines[0].startswith(tuple(f"{field}:" for field in (*FIELDS, "Group")))]
    told = {field: task.doc_line(field) for field in FIELDS}
    parts = [
        f"# {name}",
        markdown_text(" ".join(title.lines)),
        to_markdown(text),
        f"{STRUCTURES[task.constants['structure']].capitalize()}. Score: {score_words(task)}.",
        f"**Floor** (the best score without memory). {markdown_text(told.pop('Floor'))}",
        *(f"**{field}.** {markdown_text(said)}" for field, said in told.items() if said),
    ]
    parts.append(best_table(table for table in committed() if table.about["task"] == name))
    settings = [one for one in choice_names("task") if choice_settings("task", one)["task"]["name"] == name]
    rows = [[f"`{one}`", markdown_cell(head_comment("task", one)) + code_list(departures("task", one))] for one in settings]
    parts += ["## Named settings", markdown_table(("task", "what it is, and its settings"), rows)]
    return page(*parts, "## Options", option_table("task", task.options))


def score_words(task: Signature) -> str:
    unit = task.constants.get("unit", "")
    better = {"max": "higher", "min": "lower"}[task.constants["direction"]]
    return f"{task.constants['headline'].replace('_', ' ')}{f', {unit}' if unit else ''} ({better} is better)"


@functools.cache
def committed() -> list[Table]:
    """The comparison of all committed results: a table for each task setting, best model first."""
    runs, complaints = find_runs(sorted(SWEEPS.glob("*/results.jsonl")))
    return [table for table in compare_runs(runs, complaints) if table.rows]


def best_table(tables: Iterable[Table]) -> str:
    """The best model of each setting of a task on which one is better than the floor; empty where there is none."""
    rows = []
    for table in tables:
        columns = [column.title.split()[0] for column in table.columns]
        cells = dict(zip(columns, table.rows[0], strict=True))
        if cells["floor"].text in BETTER:
            words = (table.title, cells["model"].text, cells[str(table.about["score"])].text)
            numbers = (f"{table.about['floor']:.3g}", cells["parameters"].text, cells["seeds"].text)
            rows.append([*map(markdown_cell, words), *numbers])
    if not rows:
        return ""
    head = ("setting", "best model", "test score: mean, 95 % interval", "floor", "parameters", "seeds")
    return "## Best in the committed results\n\n" + markdown_table(head, rows)


# Tables


def table_page(path: Path) -> str:
    """A page of sweeps/, with anchors that Sphinx leaves alone: links to places inside a page are written as HTML."""
    text = with_made_links(path, f"tables/{path.relative_to(SWEEPS)}")
    text = re.sub(r"\[([^\]]*)\]\((DETAILS)\.md(#\w+)\)", r'<a href="\2.html\3">\1</a>', text)
    if path == SWEEPS / "README.md":
        folders = sorted(one.parent.name for one in SWEEPS.glob("*/README.md"))
        text += "\n" + toctree([f"{folder}/README" for folder in folders])
    elif path.name == "README.md":
        text += "\n" + toctree(["DETAILS"])
    return text


# Reference


def settings_page() -> str:
    parts = [
        "# Settings",
        "Every option is set on the command line as `GROUP.OPTION=VALUE`. Defaults and ranges are those of the program. "
        "Options of one cell or task stand on [its page](../models/index.md).",
        "## run",
        option_table("", SINGLE),
        "## model",
        "Options of every model, beside those of its cell.",
        option_table("model", read_signature("stack", "").options),
    ]
    for group, kind in GROUPS.items():
        about = split_blocks(kind.__doc__ or "")[0]
        parts += [f"## {group}", to_markdown([about]), option_table(group, group_options(group, {}))]
    parts.append("## tracker")
    for name in choice_names("tracker"):
        if options := group_options("tracker", {"name": name}):
            parts += [f"### tracker={name}", option_table("tracker", options)]
    for group in ("trainer", "hydra/launcher"):
        rows = [
            [f"`{name}`", markdown_cell(head_comment(group, name)) + code_list(departures(group, name))]
            for name in choice_names(group)
        ]
        parts += [f"## Choices of {group}", markdown_table(("name", "what it is, and its settings"), rows)]
    return page(*parts)


def commands_page() -> str:
    parts = ["# Commands", "What `rnnbench --help` and `rnnbench COMMAND --help` say."]
    for name, parser in verbs_of(make_parser()).items():
        parser.formatter_class = functools.partial(argparse.HelpFormatter, width=100)
        parts += [f"## {name}", "```text", parser.format_help().rstrip(), "```"]
    return page(*parts)


def api_page() -> str:
    """What `rnnbench.__all__` names, then the classes that cells, tasks and trackers of a user's own derive from or use."""
    offered = {f"rnnbench.{name}": getattr(rnnbench, name) for name in rnnbench.__all__}
    documented = {name: value for name, value in offered.items() if inspect.isclass(value) or inspect.isfunction(value)}
    contracts = {path: pydoc.locate(path) for path in CONTRACTS}
    more = {path: value for path, value in contracts.items() if value not in documented.values()}
    tables = [name for name in offered if name not in documented and not name.startswith("rnnbench.__")]
    return page(
        "# Python",
        "`import rnnbench` takes milliseconds; PyTorch is imported when a name that needs it is first used.",
        eval_rst([".. autosummary::", "   :nosignatures:", "", *(f"   {name}" for name in (*documented, *more))]),
        "## rnnbench",
        *(
            f"`{name}`: a mapping from name to class, of {', '.join(f'`{key}`' for key in sorted(offered[name]))}."
            for name in tables
        ),
        *(autodoc(name, value) for name, value in documented.items()),
        "## Classes to derive from, and what they use",
        *(autodoc(name, value) for name, value in more.items()),
    )


def autodoc(name: str, value: object) -> str:
    if inspect.isclass(value):
        return eval_rst([f".. autoclass:: {name}", "   :members:", "   :member-order: bysource"])
    return eval_rst([f".. autofunction:: {name}"])


# Parts of pages


def page(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"


def eval_rst(lines: Sequence[str]) -> str:
    return "\n".join(["```{eval-rst}", *lines, "```"])


def toctree(names: Iterable[str]) -> str:
    return "\n".join(["```{toctree}", ":hidden:", "", *names, "```"])


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown already; columns of numbers stand to the right."""
    rows = list(rows)
    numbers = [all(NUMBER.fullmatch(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---:" if one else "---" for one in numbers], *rows))


def option_table(group: str, options: Mapping[str, Option]) -> str:
    rows = []
    for name, option in options.items():
        if name not in GIVEN:
            needs = "".join(f"; needs {needs}" for needs in option.needs)
            allowed = markdown_cell(describe(option.annotation))
            rows.append(
                [
                    f"`{f'{group}.' if group else ''}{name}`",
                    f"`{option.default}`",
                    allowed,
                    markdown_cell(f"{option.comment}{needs}"),
                ]
            )
    return markdown_table(("option", "default", "allowed", "meaning"), rows) if rows else "None."


def headline_of(doc: Signature) -> str:
    """The first line of a docstring, without its full stop."""
    return " ".join(split_blocks(doc.doc)[0].lines).rstrip(".")


def head_comment(group: str, name: str) -> str:
    """The comment at the beginning of a choice's file in conf/, on one line; empty where there is no such file."""
    return " ".join(file_comment(group, name)).rstrip(".")


def departures(group: str, name: str) -> dict[str, Any]:
    """What a named setting changes, as dotted options."""
    found: dict[str, Any] = {}
    for key, value in file_departures(group, name).items():
        if isinstance(value, dict):
            found |= {f"{key}.{option}": part for option, part in value.items() if (key, option) != ("task", "name")}
        elif key != "mechanism":
            found[key] = value
    return found


def code_list(settings: Mapping[str, Any]) -> str:
    """Settings in code, on a line of their own in a cell; empty where there are none."""
    return "<br>" * bool(settings) + " ".join(f"`{key}={plain(value)}`" for key, value in settings.items())


def plain(value: object) -> str:
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


if __name__ == "__main__":
    main()
