"""All tables of a declared table in the order in which they are read, and its README."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from ..analysis.formatting import format_duration, format_seeds
from ..analysis.table import Table
from .cell_results import CellResult
from .claim_table import claims_table, contrasts_table, verdict_counts
from .evaluate import Results
from .ladder_table import ladder_tables
from .readings_table import readings_tables
from .verdict_table import cell_text, cells_table, summary_text

MADE = "<!-- made by `rnnbench table"


def all_tables(results: Results, rows: Sequence[str] | None = None) -> list[Table]:
    """Claims, contrasts, cells, ladders and readings; cells before contrasts where no claim is made."""
    claims, cells, contrasts = claims_table(results, rows), cells_table(results, rows), contrasts_table(results, rows)
    found = [claims, contrasts, cells] if claims else [cells, contrasts]
    return [one for one in [*found, *ladder_tables(results, rows), *readings_tables(results, rows)] if one]


def table_readme(results: Results, markdown: Callable[[Sequence[Table]], str]) -> str:
    """The page of a table: generated, so that the same records give the same bytes."""
    table, grid = results.table, results.table.grid
    lines = [
        f"# {grid.title}",
        "",
        f"{MADE} {table.name} --write`; what is written here by hand is lost -->",
        "",
    ]
    lines += [" ".join(grid.about.split()), "", f"{summary_text(results)}.", ""]
    if counts := verdict_counts(results):
        lines += [f"{counts}.", ""]
    if grid.columns:
        lines += [*_matrix(results), ""]
    notes_file = table.folder / "findings.md"
    if notes_file.exists():
        lines += [notes_file.read_text(encoding="utf-8").strip(), ""]
    lines += [markdown([_headed(one, grid.title) for one in all_tables(results)]), ""]
    if table.reports.sources:
        lines += ["### Sources", ""]
        for key, source in table.reports.sources.items():
            version = f", {source.version}" if source.version else ""
            lines.append(f"- {key}: {source.authors} ({source.year}). {source.title}. {source.where}{version}.")
        lines.append("")
    lines += ["### How to repeat a cell, and its runs", ""]
    lines += ["`--again` makes in ./runs what is committed here, and holds it against that.", ""]
    for row, about in grid.rows.items():
        lines += [f'<a id="{row}"></a>**{about.title}** (declaration {table.digest(row)})', ""]
        for cell in results.cells[row]:
            lines += _repeat(results, cell)
        lines.append("")
        if about.ladder:
            lines += [f"The ladder: `rnnbench reproduce {table.called} --rows {row} --as published`", ""]
        if about.readings:
            lines += [f"Its readings: `rnnbench reproduce {table.called} --rows {row} --as readings`", ""]
        for scale in table.scales(row):
            if reduction := about.scales[scale].reduction:  # type: ignore[index]
                lines += [f"Scale {scale}: {reduction}.", ""]
    return "\n".join(lines).rstrip() + "\n"


def _headed(table: Table, title: str) -> Table:
    """Without what the page has said already."""
    return replace(table, title="Cells" if table.title == title else table.title, caption="")


def _matrix(results: Results) -> Iterator[str]:
    """The table as a paper prints it; a cell links to its runs."""
    columns = {name: column.title or name for name, column in results.table.grid.columns.items()}
    yield f"| | {' | '.join(columns.values())} |"
    yield f"|:--|{'|'.join('--:' for _ in columns)}|"
    for row, about in results.table.grid.rows.items():
        if isinstance(about.columns, dict):
            continue
        there = {cell.runs.cell.column: cell for cell in results.cells[row]}
        cells = []
        for name in columns:
            cell = there.get(name)
            if cell is None:
                cells.append("")
            elif not cell.runs.runs:
                cells.append("·")
            else:
                at = " at floor" if cell.against_floor == "at" else ""
                mark = {"paper": "", "laptop": " ᴸ", "smoke": " ˢ"}[cell.runs.cell.scale]
                cells.append(f"[{cell_text(cell).split(' [')[0]}](#{row}){at}{mark}")
        yield f"| [{about.title}](#{row}) | {' | '.join(cells)} |"
    yield ""
    yield "ᴸ: laptop scale, a reduction of the paper's setting that the row names. ·: not run yet."


def _repeat(results: Results, result: CellResult) -> Iterator[str]:
    measured, cell = result.runs, result.runs.cell
    command = f"rnnbench reproduce {results.table.called} --rows {cell.row} --columns {cell.column} --scale {cell.scale}"
    runs = [f"s{record['seed']} {record['id'][:8]}" for record in measured.records]
    if runs:
        took = f"{len(runs)} seed{'s' if len(runs) > 1 else ''}, {format_duration(measured.seconds)} of training"
        took += f"; {format_seeds(missing)} not run yet" if (missing := measured.missing()) else ""
        yield f"- {cell.column}: `{command} --again` ({took}); {', '.join(runs)}"
        return
    cost = f", about {format_duration(cell.minutes * 60 * cell.seeds.first)} on one core" if cell.minutes else ""
    yield f"- {cell.column}: `{command}` ({cell.seeds.first} seeds{cost}); not run yet"
