"""A table as its paper prints it: a row a task, a column a network, ours beside what was reported, one matrix a scale."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import fmean, median

from ..analysis.formatting import format_brief, format_plus_minus
from ..analysis.table import Cell, Column, Table
from .cell_results import CellResult, ReportedResult, row_results
from .evaluate import Results
from .grid import RATES, SCALES, TIMES
from .overview import OWN_CHOICE, judged_as
from .units import in_percent, printed_text, to_unit
from .verdict_table import AT_LEAST, cell_text, scale_text

MARKS = {  # of a verdict, and how it is explained
    "reproduced": ("✓", "reproduced"),
    "reached": ("✓", "reproduced"),
    "better": ("▲", "better than reported"),
    "worse": ("▼", "worse than reported"),
    "not reached": ("✗", "not reached"),
    "compatible": ("≈", "compatible, not settled"),
    "within the text's span": ("~", "between readings of the source's text"),
    "the text does not settle it": ("~", "between readings of the source's text"),
    "open": ("?", "open"),
}
OURS = "°: under our choice of what the source does not say"
NOT_JUDGED = "( ): reported for another setting, or of runs that are not described: not judged"
AT_FLOOR = "at floor: no better than a guess that learns nothing"
HOLE = "·: not run"


def matrix_tables(results: Results) -> list[Table]:
    """Ours and, at the paper's scale, what was reported: a table for each scale at which there is either.

    Rows with columns of their own have tables of their own, which come first.
    """
    found = []
    for scale in SCALES:
        rows = matrix_rows(results, scale)
        groups = dict[tuple[str, ...], list[str]]()
        for row in rows:
            own = results.table.grid.rows[row].columns
            groups.setdefault(tuple(own) if isinstance(own, dict) else (), []).append(row)
        found += [(not own, _matrix(results, scale, {row: rows[row] for row in group})) for own, group in groups.items()]
    tables = [table for _, table in sorted(found, key=lambda one: one[0])]
    legend = tuple(_legend([line for one in tables for line in one.rows]))
    return [*tables[:-1], *(replace(one, notes=legend) for one in tables[-1:])]


def matrix_rows(results: Results, scale: str) -> dict[str, tuple[CellResult, ...]]:
    """The rows of a scale in which anything was run or, at the paper's scale, reported.

    A row with columns of its own is there at the paper's scale only: others are the arms of a claim.
    """
    found = {}
    for row in results.rows:
        own = isinstance(results.table.grid.rows[row].columns, dict)
        if scale in results.runs.scales(row) and (scale == "paper" or not own):
            cells = row_results(results.runs, row, scale)
            if any((cell.runs.runs and not own) or (cell.reported and scale == "paper") for cell in cells):
                found[row] = cells
    return found


def _matrix(results: Results, scale: str, rows: Mapping[str, tuple[CellResult, ...]]) -> Table:
    """The table of rows that have the same columns."""
    grid = results.table.grid
    own = grid.rows[next(iter(rows))].columns
    specs = own if isinstance(own, dict) else grid.columns
    columns = {name: column.title or name for name, column in specs.items()}
    lines = []
    for row, cells in rows.items():
        there, percent = {cell.runs.cell.column: cell for cell in cells}, in_percent(results.table, row)
        title = grid.rows[row].title + (", in\u00a0%" if percent else "")
        texts = (_cell(results, there[name], percent) if name in there else Cell("", (None,)) for name in columns)
        lines.append((Cell(title, (title,), link=f"DETAILS.md#{row}"), *texts))
    heads = (Column("", ("row",), left=True, words=True), *(Column(title, (name,)) for name, title in columns.items()))
    title = f"{', '.join(columns.values())}, {scale_text(scale)}" if specs is own else scale_text(scale).capitalize()
    return Table(title, "", {}, heads, tuple(lines))


def _cell(results: Results, cell: CellResult, percent: bool) -> Cell:
    """`ours ± half / theirs` and the mark of the verdict."""
    reported = _main_values(results, cell) if cell.runs.cell.scale == "paper" else ()
    theirs = [_theirs(results, cell, value) for value in reported]
    text = " / ".join(filter(None, [_ours(cell, percent, reported), ", ".join(theirs)]))
    for sign in ("± ", "/ ", "· /", " ±", ", ", "at floor"):  # a line of a narrow page does not end within a number
        text = text.replace(sign, sign.replace(" ", "\u00a0"))
    tones = [value.verdict.tone for value in reported if value.verdict.word in MARKS]
    return Cell(text, (text,), next(iter(tones), ""))


def _main_values(results: Results, cell: CellResult) -> Sequence[ReportedResult]:
    """What is reported for a cell by the first of the table's sources that reports anything for it."""
    for source in results.table.reports.sources:
        if found := [one for one in cell.reported if one.about.source == source]:
            return found
    return ()


def _theirs(results: Results, cell: CellResult, value: ReportedResult) -> str:
    how = judged_as(results.table, cell.runs.cell.row, cell.runs.cell.column, value.about)
    printed = printed_text(value.about)
    if not how:
        return f"({printed})"
    mark = f" {MARKS[value.verdict.word][0]}" if value.verdict.word in MARKS else ""
    return f"{printed}{'°' if how == OWN_CHOICE else ''}{mark}"


def _ours(cell: CellResult, percent: bool, reported: Sequence[ReportedResult]) -> str:
    """Our value; of times to solve the median of those that solved, or what a reported mean is held against: the mean."""
    found = cell.estimate
    if not cell.runs.runs:
        return "·"
    if found is None or cell.metric in RATES:
        return cell_text(cell, percent)
    if cell.metric in TIMES:
        taken, there = cell.runs.times(cell.metric)
        times = [time for time, done in zip(taken, there, strict=True) if done]
        solved = f"{len(times)}/{len(taken)} solved"
        for value in reported:
            if value.test and value.about.estimator == "mean":
                return f"{solved}, mean {format_brief(value.test.ours)}"
        means = [one for one in reported if one.about.estimator == "mean" and one.about.all_may_have_solved]
        if 0 < len(times) < len(taken) and any(one.verdict.word != "not comparable" for one in means):
            return f"{solved}, mean ≥ {format_brief(fmean(taken))}"
        if len(times) == len(cell.runs.records):
            return f"{solved}, median {format_brief(found.value)}"
        return f"{solved}, their median {format_brief(median(times))}" if times else solved
    if found.estimator == "median of solved":
        return str(cell.learned)
    floor = " at floor" if cell.against_floor == "at" else ""
    return f"{format_plus_minus(to_unit(found, percent))}{floor}"


def _legend(lines: Sequence[Sequence[Cell]]) -> Iterator[str]:
    """How to read the marks that occur."""
    text = " ".join(cell.text for line in lines for cell in line[1:])
    if "/\u00a0" in text:
        reached = ", or after ° reached under our choice" if re.search(r"°\s✓", text) else ""
        used = dict.fromkeys(f"{sign} {says}{reached * (sign == '✓')}" for sign, says in MARKS.values() if sign in text)
        yield f"Ours / reported{': ' if used else ''}{', '.join(used)}."
    if "±" in text or "[" in text:
        yield "±, [ ]: interval over seeds at 95 %, or at the level of the row's look."
    more = [
        says
        for sign, says in (("≥", AT_LEAST), ("°", OURS), ("(", NOT_JUDGED), ("at\u00a0floor", AT_FLOOR), ("·", HOLE))
        if sign in text
    ]
    if more:
        yield f"{'; '.join(more)}."
