"""The runs of a declared table: which records its cells have, and at which scale each cell is shown.

Cells of a row are shown at one scale each, the paper's where it has been run; a reduced scale is never held against a paper's
number as if it were the same. What was not run is there as a hole with its cost. Torch is never imported.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..store.find import FoundRun, find_runs
from .declaration import CellSpec, Declaration
from .matching import CellRuns, match_runs


@dataclass
class TableRuns:
    """The runs of every cell of a table, before anything is computed from them."""

    table: Declaration
    cells: dict[tuple[str, str], CellRuns]  # all, by (name, scale)
    unplaced: list[str]  # complaints about what belongs to no cell
    only: str | None = None  # a scale that was asked for

    @property
    def complaints(self) -> list[str]:
        """All that was refused: what belongs to no cell, and of each cell, odd logs too once a metric was read from them."""
        return [*self.unplaced, *(line for runs in self.cells.values() for line in runs.refused)]

    @property
    def rows(self) -> list[str]:
        """Those that have the scale that was asked for."""
        return [row for row in self.table.grid.rows if self.scales(row)]

    def scales(self, row: str) -> list[str]:
        there = self.table.scales(row)
        return [scale for scale in (*there, "smoke") if scale == self.only] if self.only else there

    def shown(self, row: str, column: str) -> CellRuns:
        """The cell at the scale that is shown: the first with two runs, else with one, else the cheapest."""
        there = [self.cells[self.table.cell(row, column, scale).place] for scale in self.scales(row)]
        return next((m for enough in (2, 1) for m in there if len(m.runs) >= enough), there[-1])

    def of_row(self, row: str, scale: str | None = None) -> list[CellRuns]:
        """The cells of a row at one of its scales; None: each at the scale that is shown."""
        if scale is None:
            return [self.shown(row, column) for column in self.table.columns(row)]
        return [self.cells[self.table.cell(row, column, scale).place] for column in self.table.columns(row)]

    @property
    def measured(self) -> list[CellRuns]:
        return [m for row in self.rows for m in self.of_row(row)]


def match_table(
    table: Declaration, stored: Iterable[FoundRun], complaints: Iterable[str] = (), scale: str | None = None
) -> TableRuns:
    """The runs among `stored` that belong to the cells of `table`, ladders and readings included."""
    cells: list[CellSpec] = []
    own = TableRuns(table, {}, list(complaints), only=scale)
    for row in own.rows:
        for at in own.scales(row):
            cells += table.cells(row, at)
        arms = [cell for group in (*table.rungs(row), *table.readings(row)) for cell in group]
        cells += [cell for cell in arms if cell.quirks and scale in (None, cell.scale)]
    own.cells = match_runs(table, cells, stored)
    return own


def find_table_runs(table: Declaration, runs: Path | None, scale: str | None = None, committed: bool = True) -> TableRuns:
    """The runs of `table` among its own records (`committed`) and those below `runs` where there are any."""
    own = table.folder / "results.jsonl" if committed else None
    places = [path for path in (own, runs) if path is not None and path.exists()]
    stored, complaints = find_runs(places)
    return match_table(table, stored, complaints, scale)
