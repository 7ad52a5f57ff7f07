"""The verbs that compare runs: compare, report."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from ..analysis.aggregate import aggregate_tables
from ..analysis.comparison import blocks_by, refused_table, tabulate
from ..analysis.condition import Condition
from ..analysis.grouping import group_runs
from ..analysis.model_matrix import model_matrix
from ..analysis.render import export
from ..analysis.report import write_report
from ..analysis.run_rows import Row, known_names, run_row, runs_view, with_names
from ..analysis.table import Table
from ..analysis.table_choice import arrange, option_words
from ..console import say, show
from ..launch.status import asked_seeds, run_state
from ..options import BadOption, nearest, output_error, unknown
from ..store.find import FoundRun, find_runs
from ..store.run_folder import RunFolder

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
    _check_together(options)
    runs, complaints = chosen_runs(options)
    found = compared_tables(options, runs, complaints)
    if options.aggregate and options.format == "csv" and len(found) > 1:  # CSV has one header
        print_complaints([*found[-1].gaps, "the probabilities of improvement stand in the other formats only, such as json"])
        found = found[:1]
    show(f"{export(found, options.format)}\n")
    if options.format == "csv":  # whose rows have no place for what was refused
        print_complaints(gap for table in found for gap in table.gaps)
    return 0


def _check_together(options: argparse.Namespace) -> None:
    """BadOption for flags of which each stands for a table of its own, or which that table does not take."""
    flags = {
        "--runs": options.runs,
        "--aggregate": options.aggregate,
        "--layout matrix": options.layout == "matrix",
    }
    views = [flag for flag, given in flags.items() if given]
    if len(views) > 1:
        raise BadOption(f"{' and '.join(views)}: each makes a table of its own; give one of them")
    takes = {"--columns": options.columns, "--sort": options.sort, "--by": options.by}
    for flag, value in takes.items():
        if value and views and (views != ["--runs"] or flag == "--by"):
            raise BadOption(f"{flag} beside {views[0]} has no effect; leave one of them out")


def compared_tables(options: argparse.Namespace, runs: list[FoundRun], complaints: list[str]) -> list[Table]:
    """The tables that the flags ask for. BadOption for a name that no run has, and where no run is left."""
    columns = [word for word in (options.columns or "").split(",") if word]
    told: list[Row] = []
    if options.where or options.by or options.sort or columns or options.runs:
        told = [run_row(run, "" if run.record else run_state(RunFolder(run.path)).kind) for run in runs]
    known, asked = known_names(told), asked_seeds(runs)
    if options.where:
        every = runs
        runs, told = _runs_where(Condition(options.where, known), runs, told, complaints)
        kept = {run.path for run in runs}
        for run in every:
            if run.path not in kept:  # left out, not missing; the runs of a setting share the set of its seeds
                asked.get(run.path, set()).discard(run.config["seed"])
    if options.runs:
        return [runs_view(told, columns, options.sort, complaints)]
    if options.by:
        dotted = option_words(known, known)
        if options.by not in dotted:
            raise unknown("option", options.by, dotted)
        values = [with_names(row).get(options.by) for row in told]
        blocks, refusals = blocks_by(options.by, values, runs, complaints, asked)
    else:
        blocks, refusals = group_runs(runs, complaints, asked)
    if options.aggregate:
        return [*aggregate_tables(blocks), *refused_table(refusals)]
    if options.layout == "matrix":
        return [model_matrix(blocks), *refused_table(refusals)]
    extra = option_words([options.by or "", *columns, options.sort.removeprefix("-")], known)
    found = [*(tabulate(block, extra) for block in blocks), *refused_table(refusals)]
    return arrange(found, columns, options.sort, known) if columns or options.sort else found


def _runs_where(
    condition: Condition, runs: list[FoundRun], rows: list[Row], complaints: list[str]
) -> tuple[list[FoundRun], list[Row]]:
    """Those of the runs, with their rows, of which the condition holds. One that it cannot be asked of is a complaint.

    BadOption where it can be asked of none, or holds of none.
    """
    kept: list[tuple[FoundRun, Row]] = []
    refused: list[BadOption] = []
    for run, row in zip(runs, rows, strict=True):
        try:
            if condition.holds(with_names(row)):
                kept.append((run, row))
        except BadOption as error:
            refused.append(error)
    if refused and len(refused) == len(runs):
        raise refused[0]
    if runs and not kept:
        raise BadOption(f"{condition.said}: holds of no run of {len(runs):,} there")
    complaints += map(str, refused)
    return [run for run, _ in kept], [row for _, row in kept]


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
