"""The cells of a table for readers: what was measured, what was reported, and the verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ..analysis.comparison import rank_cell
from ..analysis.comparison_text import RANKED
from ..analysis.formatting import format_brief, format_compact, format_duration, format_interval, format_number, format_share
from ..analysis.table import Cell, Column, Table
from .cell_results import CellResult, ReportedResult
from .evaluate import Results
from .grid import RATES, TIMES

MARKS = {"seen": "", "secondary": " (secondary)"}
CELLS = (
    Column("row", ("row", "title"), left=True, words=True),
    Column("column", ("column",), left=True),
    Column("scale", ("scale",), left=True),
    Column("measured", ("metric", "estimator", "value", "low", "high"), left=True),
    Column("floor", ("floor", "against_floor"), left=True, spare=2),
    Column("solved", ("solved", "solved_of"), left=True, spare=3),
    Column("#", ("rank",), spare=4),
    Column("reported", ("reported", "source", "sure", "theirs", "selection", "ours_by_theirs"), left=True),
    Column("verdict", ("verdict", "why"), left=True, words=True),
    Column("parameters", ("parameters",), spare=5),
    Column("seeds", ("seeds", "missing", "diverged")),
    Column("cost", ("core_hours", "core_hours_missing"), spare=1),
)
NOTES = (
    "[ ] is a 95 % interval: Student's t over seeds, BCa of interquartile means if a whole row has 10, Wilson's for a share.",
    "Verdicts, ranks and contrasts are of means; where a run of a cell has no score (it diverged, say), it has none of them.",
    f"#: {RANKED} Where a row has several looks, each has its share of the 5 %. Ranks take scores to be about normal, "
    "contrasts do not: where the two disagree, the contrast counts.",
    "not comparable: measured in another setting than the reported one, which is named.",
    "underpowered: these seeds leave it open.",
    "reported: the value, then its estimator (of runs), then which evaluation of a run it is of, where that is known.",
)
REPORTED = (7, 8)  # columns of CELLS that differ between the lines of one cell


def cell_text(cell: CellResult) -> str:
    """The value of a cell in a few words."""
    found = cell.estimate
    if found is None:
        return "diverged" if cell.runs.diverged else "–"
    if cell.metric in TIMES:
        return f"{format_brief(found.value)} ({cell.solved_in_time}/{len(cell.runs.records)} solved)"
    if cell.metric in RATES:
        return f"{format_share(found.value)} [{format_share(found.low or 0)}, {format_share(found.high or 0)}]"
    return format_interval(found)


def cells_table(results: Results, rows: Sequence[str] | None = None) -> Table:
    """A line a cell, and a reported value."""
    shown = list(rows or results.rows)
    lines = [line for row in shown for cell in results.cells[row] for line in _lines(results, cell)]
    gaps = tuple(dict.fromkeys(_gaps(results, shown)))
    used = {"#": any(line[6].text for line in lines), "reported": any(line[7].text for line in lines)}
    notes = tuple(note for note in NOTES if used.get(note.partition(":")[0], True))
    return Table(
        results.table.grid.title, summary_text(results), {"table": results.table.name}, CELLS, tuple(lines), gaps, notes
    )


def _lines(results: Results, cell: CellResult) -> Iterator[tuple[Cell, ...]]:
    """A line for each reported value; one where none is reported. The cell's own numbers stand in the first only."""
    for index, reported in enumerate(cell.reported or (None,)):
        line = (*_measured_cells(results, cell), *_reported_cells(cell, reported), *_run_cells(cell))
        yield (
            line
            if not index
            else tuple(Cell(one.text if place in REPORTED else "", one.values, one.tone) for place, one in enumerate(line))
        )


def _measured_cells(results: Results, cell: CellResult) -> tuple[Cell, ...]:
    about, found, records = cell.runs.cell, cell.estimate, cell.runs.records
    raw = (found.estimator, found.value, found.low, found.high) if found else ("", None, None, None)
    rank = rank_cell(cell.rank)
    return (
        Cell(about.row, (about.row, results.table.grid.rows[about.row].title)),
        Cell(results.table.columns(about.row)[about.column].title or about.column, (about.column,)),
        Cell(about.scale if records else "", (about.scale,)),
        Cell(cell_text(cell), (cell.metric, *raw), "" if found else "warn"),
        Cell(
            "" if cell.floor is None else f"{format_number(cell.floor)} {cell.against_floor}".strip(),
            (cell.floor, cell.against_floor),
        ),
        Cell(
            f"{cell.solved}/{cell.solved_of}" if cell.solved_of else "",
            (cell.solved if cell.solved_of else None, cell.solved_of or None),
        ),
        Cell(rank, (rank,)),
    )


def _reported_cells(cell: CellResult, reported: ReportedResult | None) -> tuple[Cell, Cell]:
    if reported is None:
        word = "" if cell.runs.records else "missing"
        return Cell("", (None,) * 6), Cell(word, (word, ""))
    about, verdict = reported.about, reported.verdict
    other = reported.ours is not None and reported.estimator != "mean"
    by = f", ours {format_number(reported.ours or 0.0)} by {reported.estimator}" if other else ""
    printed = f" (printed as {about.printed})" if about.printed else ""
    selection = f", {about.selection}" if about.selection != "unknown" else ""
    words = f"{format_number(about.value)}{printed} {about.estimator}{selection}{MARKS[about.sure]}{by}"
    return (
        Cell(words, (about.value, f"{about.source}, {about.at}", about.sure, about.estimator, about.selection, reported.ours)),
        Cell(verdict.word + (f": {verdict.why}" if verdict.why else ""), (verdict.word, verdict.why), verdict.tone),
    )


def _run_cells(cell: CellResult) -> tuple[Cell, Cell, Cell]:
    """Parameters, seeds and cost."""
    runs, about = cell.runs, cell.runs.cell
    missing, diverged = runs.missing(), len(runs.diverged)
    parameters = runs.records[0]["model"]["parameters"] if runs.records else None
    seeds = f"{len(runs.finished)}" + (f" + {diverged} diverged" if diverged else "")
    numbers = (" ".join(map(str, sorted(runs.runs))), " ".join(map(str, missing)), diverged)
    hours = len(missing) * (about.minutes or 0) / 60
    took = format_duration(runs.seconds) if runs.records else (f"about {format_duration(hours * 3600)}" if hours else "")
    return (
        Cell(format_compact(parameters) if parameters else "", (parameters,)),
        Cell(seeds if not missing else f"{seeds}/{about.seeds.first}", numbers, "warn" if missing else ""),
        Cell(took, (round(runs.seconds / 3600, 4), round(hours, 4))),
    )


def _gaps(results: Results, shown: Sequence[str]) -> Iterator[str]:
    """Reductions of what is shown, what came of running it again, and what was refused."""
    for cell in (cell.runs.cell for row in shown for cell in results.cells[row] if cell.runs.runs):
        about = results.table.grid.rows[cell.row].scales.get(cell.scale)  # type: ignore[call-overload]
        if about and about.reduction:
            yield f"{cell.row} at {cell.scale} scale: {about.reduction}"
    every = results.runs.cells.values()
    for runs in (runs for runs in every if runs.cell.row in shown):
        yield from (f"run again: {line}" for line in runs.repeated(results.table.grid.rows[runs.cell.row].metric))
    others = {line for runs in every if runs.cell.row not in shown for line in runs.refused}
    yield from (f"refused: {line}" for line in results.runs.complaints if line not in others)


def summary_text(results: Results) -> str:
    """How much of the table there is: cells by scale, seeds, hours, and what the holes would take."""
    there = [m for m in results.runs.measured if m.runs]
    scales = Counter(m.cell.scale for m in there)
    counted = ", ".join(f"{scales[scale]} at {scale} scale" for scale in ("paper", "laptop", "smoke") if scales[scale])
    seconds = {record["id"]: record["speed"]["seconds"] or 0 for m in results.runs.cells.values() for record in m.records}
    holes = sum(len(m.missing()) * (m.cell.minutes or 0) * 60 for m in results.runs.measured)
    words = (
        f"{len(there)} of {len(results.runs.measured)} cells measured{f' ({counted})' if counted else ''}, {len(seconds)} runs"
    )
    words += f", {format_duration(sum(seconds.values()))} of training" if seconds else ""
    return words + (f"; the holes would take about {format_duration(holes)} on one core" if holes else "")
