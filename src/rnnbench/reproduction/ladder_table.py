"""The ladders of a table for readers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..analysis.formatting import format_interval, format_number
from ..analysis.intervals import Estimate
from ..analysis.table import Cell, Column, Table
from .cell_results import RungResult
from .evaluate import Results
from .verdict_table import cell_text

LADDER = (
    Column("rung", ("rung",), left=True, words=True),
    Column("quirk", ("quirk",), left=True, words=True),
    Column("measured", ("value",), left=True),
    Column("floor", ("floor",)),
    Column("change", ("change", "low", "high"), left=True),
    Column("best seed", ("best",)),
    Column("seeds", ("seeds",)),
)
NOTE = (
    "change: against the rung above, with its 95 % interval; none where some runs solved the task and others did not. best "
    "seed: of all seeds, which is no estimate."
)


def ladder_tables(results: Results, rows: Sequence[str] | None = None) -> Iterator[Table]:
    """From the setting with every quirk to the one with none, a quirk less each rung, and what each costs or gains."""
    for row, ladders in results.ladders.items():
        if rows and row not in rows:
            continue
        about = results.table.grid.rows[row]
        for rungs in ladders:
            assert about.ladder is not None  # else there are no rungs
            taken = rungs[0].cell.runs.cell.quirks
            names = [about.ladder.first, *(f"without {name}" for name in taken)]
            names[-1] = about.ladder.last
            quirks = ["every quirk", *(about.quirks[name].says for name in taken)]
            lines = [_rung_line(*line) for line in zip(rungs, names, quirks, strict=True)]
            cell = rungs[0].cell.runs.cell
            column = results.table.columns(row)[cell.column].title or cell.column
            title = f"Ladder: {about.title}, {column}, {cell.scale} scale"
            yield Table(title, "", {"table": results.table.name}, LADDER, tuple(lines), (), (NOTE,))


def _rung_line(rung: RungResult, name: str, quirk: str) -> tuple[Cell, ...]:
    cell, change = rung.cell, rung.change
    value = cell.estimate.value if rung.count and cell.estimate else None
    shown = format_interval(Estimate(change.value, change.low, change.high, "")) if change else ""
    return (
        Cell(name, (name,)),
        Cell(quirk, (quirk,)),
        Cell(cell_text(cell), (value,)),
        Cell("" if cell.floor is None else format_number(cell.floor), (cell.floor,)),
        Cell(shown, (change.value, change.low, change.high) if change else (None, None, None)),
        Cell("" if rung.best is None else format_number(rung.best), (rung.best,)),
        Cell(str(rung.count), (rung.count,)),
    )
