"""A declared table with what was measured, as values: cells, contrasts, claims and ladders. Torch is never imported."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..store.find import FoundRun
from .cell_results import CellResult, RungResult, ladder_results, row_results
from .contrast_results import ClaimResult, ContrastResult, claim_results, contrast_results
from .declaration import Declaration, places_of
from .table_runs import TableRuns, find_table_runs, match_table


@dataclass(frozen=True)
class Results:
    """Everything that a table shows, as values."""

    runs: TableRuns
    cells: dict[str, tuple[CellResult, ...]]  # as they are shown, by row
    contrasts: dict[tuple[str, str], ContrastResult]  # by (row, name)
    claims: dict[str, ClaimResult]  # by row
    ladders: dict[str, tuple[tuple[RungResult, ...], ...]]  # by row, the published setting first

    @property
    def table(self) -> Declaration:
        return self.runs.table

    @property
    def rows(self) -> list[str]:
        return list(self.cells)

    def declared_before(self, row: str) -> list[str]:
        """The digests of what was declared of a row when runs of it were collected, where they are not that of now."""
        name = f"{self.table.name}/{row}"
        records = [record for runs in self.runs.cells.values() if runs.cell.row == row for record in runs.records]
        before = {record["declared"][name] for record in records if name in record.get("declared", {})}
        return sorted(before - {self.table.digest(row)})


def evaluate_table(
    table: Declaration, stored: Iterable[FoundRun], complaints: Iterable[str] = (), scale: str | None = None
) -> Results:
    """What `stored` says of the cells, contrasts and claims of `table`."""
    return evaluate_runs(match_table(table, stored, complaints, scale))


def measure_table(table: Declaration, runs: Path | None, scale: str | None = None) -> Results:
    """What the table's own records say, with those below `runs` where there are any."""
    return evaluate_runs(find_table_runs(table, runs, scale))


def evaluate_runs(runs: TableRuns) -> Results:
    """All that a table shows of its runs. DamagedRecord where a metric is read from a log that is damaged."""
    contrasts = contrast_results(runs)
    return Results(
        runs,
        {row: row_results(runs, row) for row in runs.rows},
        contrasts,
        claim_results(runs, contrasts.values()),
        {row: tuple(ladder_results(runs, row)) for row in runs.rows},
    )


def undecided(results: Results, rows: Sequence[str]) -> set[tuple[str, str]]:
    """(row, column) of the cells that more seeds could help: sides of contrasts, and values, that are not settled."""
    found = set()
    for (row, _), one in results.contrasts.items():
        if row in rows and one.verdict.word == "undecided":
            found |= set(places_of(results.table, row, one.about))
    for row in results.rows:
        for cell in results.cells[row]:
            if row in rows and any(one.verdict.more_seeds for one in cell.reported):
                found.add((row, cell.runs.cell.column))
    return found
