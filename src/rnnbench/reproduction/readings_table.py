"""The readings of a text for readers: what it leaves open, what each of them gives, which a printed number excludes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean

from ..analysis.formatting import format_number
from ..analysis.table import Cell, Column, Table
from .cell_results import mean_time
from .declaration import CellSpec
from .evaluate import Results
from .verdict_table import AT_LEAST

READINGS = (
    Column("detail", ("detail",), left=True, words=True),
    Column("reading", ("reading",), left=True, words=True),
    Column("mean", ("mean",)),
    Column("solved", ("solved", "runs")),
)
NOTE = (
    "Each line departs from the setting as stated in one detail. Struck readings are excluded by the printed number that is "
    "named; they are not run."
)


def readings_tables(results: Results, rows: Sequence[str] | None = None) -> Iterator[Table]:
    """A table a row: its setting as stated, each other reading alone, those that are struck, and the span of all of them."""
    for row in results.rows:
        if rows and row not in rows:
            continue
        about = results.table.grid.rows[row]
        for cells in results.table.readings(row):
            names = {cell.quirks[0]: cell for cell in cells if len(cell.quirks) == 1}
            lines = [_line(results, "", "as stated", cells[0])]
            lines += [
                _line(results, quirk.detail, quirk.says, names[name]) for name, quirk in about.quirks.items() if name in names
            ]
            struck = [quirk for quirk in about.quirks.values() if quirk.struck]
            lines += [
                (*_words(one.detail, f"{one.says} (struck: {one.struck})"), Cell("", (None,)), Cell("", (None, None)))
                for one in struck
            ]
            title = results.table.columns(row)[cells[0].column].title or cells[0].column
            bound = (f"{AT_LEAST}.",) if any("≥" in line[2].text for line in lines) else ()
            yield Table(
                f"Readings: {about.title}, {title}",
                _span(results, cells),
                {"table": results.table.name},
                READINGS,
                tuple(lines),
                (),
                (NOTE, *bound),
            )


def _words(detail: str, says: str) -> tuple[Cell, Cell]:
    return Cell(detail, (detail,)), Cell(says, (says,))


def _line(results: Results, detail: str, says: str, cell: CellSpec) -> tuple[Cell, ...]:
    runs = results.runs.cells.get(cell.place)
    if runs is None or not runs.runs:
        return (*_words(detail, says), Cell("–", (None,), "warn"), Cell("", (None, None)))
    metric = results.table.grid.rows[cell.row].metric
    times, solved = runs.times(metric)
    mean, known = fmean(times), sum(solved)
    shown = f"{'' if all(solved) else '≥ '}{format_number(round(mean))}"
    return (
        *_words(detail, says),
        Cell(shown, (mean if all(solved) else None,)),
        Cell(f"{known}/{len(times)}", (known, len(times))),
    )


def _span(results: Results, cells: Sequence[CellSpec]) -> str:
    metric = results.table.grid.rows[cells[0].row].metric
    found = [runs for cell in cells if (runs := results.runs.cells.get(cell.place)) and runs.runs]
    if not found:
        return f"{len(cells)} combinations of readings; none is run"
    counts = f"{len(cells)} combinations of readings, {len(found)} of them run"
    means = [mean for runs in found if (mean := mean_time(runs, metric))]
    if not means:
        return f"{counts}; in none of these every run solves it"
    low, high = (format_number(round(end)) for end in (min(means), max(means)))
    return f"{counts}; every run solves it in {len(means)} of these, whose means go from {low} to {high}"
