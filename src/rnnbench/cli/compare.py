"""The verbs that compare runs: compare, report."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from ..analysis.comparison import compare_runs
from ..analysis.render import export
from ..analysis.report import write_report
from ..console import say, show
from ..launch.status import asked_seeds
from ..options import BadOption, nearest, output_error
from ..store.find import FoundRun, find_runs

PICTURES = (".pdf", ".svg", ".png")  # that `rnnbench figure` draws


def chosen_runs(options: argparse.Namespace) -> tuple[list[FoundRun], list[str]]:
    try:
        runs, complaints = find_runs(options.paths or [Path("runs")])
    except FileNotFoundError as error:
        raise BadOption(f"{error}; `rnnbench train task=adding model=lstm` makes one") from None
    if options.task:
        there = sorted({run.config["task"]["name"] for run in runs})
        if options.task not in there:
            raise BadOption(
                f"no runs of task {options.task!r}{nearest(options.task, there) or ';'} there are: {', '.join(there)}"
            )
        runs = [run for run in runs if run.config["task"]["name"] == options.task]
    return runs, complaints


def print_complaints(lines: Iterable[str]) -> None:
    """A line each, beside what is printed."""
    for line in lines:
        say(line, sys.stderr)


def compare_command(options: argparse.Namespace) -> int:
    runs, complaints = chosen_runs(options)
    found = compare_runs(runs, complaints, asked_seeds(runs))
    show(f"{export(found, options.format)}\n")
    if options.format == "csv":  # whose rows have no place for what was refused
        print_complaints(gap for table in found for gap in table.gaps)
    return 0


def report_command(options: argparse.Namespace) -> int:
    if options.output.suffix not in (".html", ".htm"):
        hint = f"; for a paper: rnnbench figure learning -o {options.output}" if options.output.suffix in PICTURES else ""
        raise BadOption(f"--output {options.output}: the report is an HTML page; allowed: a name such as report.html{hint}")
    try:
        runs, complaints = chosen_runs(options)
        write_report(runs, complaints, options.output, asked_seeds(runs))
    except OSError as error:
        raise output_error(f"--output {options.output}", error) from None
    say(str(options.output))
    return 0
