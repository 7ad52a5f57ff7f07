"""The pages of a declared table: README.md with what was found, DETAILS.md with how; and the page of all tables.

They are made of committed records only, so that the same records give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from ..analysis.formatting import format_duration, format_number, format_seeds
from ..analysis.table import Table
from ..options import amount
from .cell_results import CellResult
from .claim_table import CLAIMS_TITLE, claims_table, contrasts_table, declared_text
from .evaluate import Results
from .ladder_table import ladder_tables
from .matching import is_compiled
from .matrix import matrix_tables
from .overview import contrasts_sentence, count_table, hours_sentence, overview_tables, values_sentence
from .readings_table import readings_tables
from .verdict_table import cells_tables

MADE = "<!-- made by `rnnbench table"
Markdown = Callable[[Sequence[Table]], str]


def all_tables(results: Results, rows: Sequence[str] | None = None) -> list[Table]:
    """Claims, contrasts, cells, ladders and readings; cells before contrasts where no claim is made."""
    claims, cells, contrasts = claims_table(results, rows), cells_tables(results, rows), contrasts_table(results, rows)
    found = [claims, contrasts, *cells] if claims else [*cells, contrasts]
    return [one for one in [*found, *ladder_tables(results, rows), *readings_tables(results, rows)] if one]


def table_pages(results: Results, markdown: Markdown) -> dict[str, str]:
    """The pages of a table by their file names."""
    return {"README.md": table_readme(results, markdown), "DETAILS.md": table_details(results, markdown)}


def table_readme(results: Results, markdown: Markdown) -> str:
    """What was found: three sentences, the matrix or the claims, findings; then what the table is."""
    grid, counts = results.table.grid, count_table(results)
    head, findings = _findings(results)
    lines = [f"# {grid.title}", "", _made(results), "", "## What was found", ""]
    lines += [head or " ".join(filter(None, map(str.strip, _sentences(results)))), ""]
    claims = claims_table(results)
    if tables := [*([replace(claims, title="")] if claims else []), *matrix_tables(results)]:
        lines += [markdown(tables), ""]
    if head:
        lines += [" ".join(filter(None, [values_sentence(counts), contrasts_sentence(counts), hours_sentence(counts)])), ""]
    if moved := [row for row in results.rows if results.declared_before(row)]:
        names = f"{len(moved)} of {amount(len(results.rows), 'row')}" if len(moved) > 3 else ", ".join(moved)
        lines += [f"Rules were changed after runs had been collected, of {names}: [which](DETAILS.md#rows).", ""]
    lines += [findings, ""] if findings else []
    lines += ["## What it is", "", " ".join(grid.about.split()), ""]
    lines += ["[Details](DETAILS.md): every contrast and cell with its margin, sources, commands, and digests.", ""]
    return _joined(lines)


def table_details(results: Results, markdown: Markdown) -> str:
    """Every contrast and cell, the sources, and of each row its margin, commands and runs."""
    table, grid = results.table, results.table.grid
    lines = [f"# {grid.title}: details", "", _made(results), ""]
    lines += ["[What was found](README.md)", ""]
    lines += [markdown([one for one in all_tables(results) if one.title != CLAIMS_TITLE]), ""]
    if table.reports.sources:
        lines += ["### Sources", ""]
        for key, source in table.reports.sources.items():
            version = f", {source.version}" if source.version else ""
            lines.append(f"- {key}: {source.authors} ({source.year}). {source.title}. {source.where}{version}.")
        lines.append("")
    lines += ['### <a id="rows"></a>Rows: margins, commands and runs', ""]
    lines += ["`--again` makes in ./runs what is committed here, and holds it against that.", ""]
    if any(is_compiled(run) for cell in results.runs.cells.values() for run in cell.runs.values()):
        lines[-2] += (
            " The runs were made with machine code: the same digits take `pip install -c constraints.txt -e '.[compiled]'`."
        )
    for row in grid.rows:
        lines += [*_row_lines(results, row), ""]
    return _joined(lines)


def overview_page(tables: Sequence[Results], markdown: Markdown) -> str:
    """The page of all tables that come with the program."""
    lines = ["# Reported tables", "", f"{MADE} all --write`; what is written here by hand is lost -->", ""]
    lines += ["What papers report and textbooks say, run again: each table's page says what was found.", ""]
    lines += [markdown(overview_tables(tables)), ""]
    lines += [f"- [{one.table.name}]({one.table.name}/README.md): {one.table.grid.title}" for one in tables]
    lines += ["", "[How to run a table, and how to declare one](../docs/reproduce.md)."]
    return _joined(lines)


def _made(results: Results) -> str:
    return f"{MADE} {results.table.name} --write`; what is written here by hand is lost -->"


def _joined(lines: Sequence[str]) -> str:
    """One blank line between parts."""
    found = list[str]()
    for line in "\n".join(lines).split("\n"):
        if line.strip() or (found and found[-1]):
            found.append(line.rstrip() if not line.strip() else line)
    return "\n".join(found).rstrip() + "\n"


def _findings(results: Results) -> tuple[str, str]:
    """(the head, the rest) of what is written by hand: the head ends where the first heading begins."""
    file = results.table.folder / "findings.md"
    text = file.read_text(encoding="utf-8").strip() if file.exists() else ""
    lines = text.split("\n")
    start = next((index for index, line in enumerate(lines) if line.startswith("#")), len(lines))
    return "\n".join(lines[:start]).strip(), "\n".join(lines[start:]).strip()


def _sentences(results: Results) -> Iterator[str]:
    """The three sentences of a table for which nobody has written any."""
    counts = count_table(results)
    yield hours_sentence(counts)
    yield values_sentence(counts)
    yield contrasts_sentence(counts)


def _row_lines(results: Results, row: str) -> Iterator[str]:
    """A row: its declaration, margin, scales, and how to repeat its cells."""
    table, about = results.table, results.table.grid.rows[row]
    yield f'<a id="{row}"></a>**{about.title}** (declaration {declared_text(results, row)})'
    yield ""
    if margin := _margin_text(results, row):
        yield f"- {margin}"
    for scale in table.scales(row):
        if reduction := about.scales[scale].reduction:  # type: ignore[index]
            yield f"- Scale {scale}: {reduction}."
    for cell in results.cells[row]:
        yield _repeat(results, cell)
    for choice in table.choices(row):
        among = ", ".join(f"`{' '.join(words)}`" for words in choice.tried)
        cost = f"{amount(len(choice.runs), 'run')}, about {format_duration(choice.minutes * 60)} on one core"
        yield f"- {choice.cell.column}, before its runs: validation is to choose among {among} ({cost})"
    if table.choices(row):
        yield f"- What is to be chosen: `rnnbench reproduce {table.called} --rows {row} --as choices`"
    if about.ladder:
        yield f"- The ladder: `rnnbench reproduce {table.called} --rows {row} --as published`"
    if about.readings:
        yield f"- Its readings: `rnnbench reproduce {table.called} --rows {row} --as readings`"


def _margin_text(results: Results, row: str) -> str:
    """The margin of a row's reported values, and where it is from; empty where none are reported."""
    about = results.table.grid.rows[row]
    if not any(place.partition("/")[0] == row for place in results.table.reports.values):
        return ""
    if about.ratio:
        return f"Margin: a factor of {about.ratio:g} between means."
    if about.value_margin is None:
        return ""
    margin, gap = format_number(about.value_margin), about.gap
    if gap:
        values = " and ".join(f"{value:g}" for value in gap.between)
        text = f"Margin {margin}: a third of the gap of {gap.says} ({values}), which the source calls a difference: {gap.at}."
        return (
            f"{text} Or a factor of {format_number(gap.cube_root)}, a third of it as a factor, where that is less."
            if gap.factor
            else text
        )
    return f"Margin {margin}: as declared; {about.margin_note or 'the source calls no two values of the row different'}."


def _repeat(results: Results, result: CellResult) -> str:
    measured, cell = result.runs, result.runs.cell
    command = f"rnnbench reproduce {results.table.called} --rows {cell.row} --columns {cell.column} --scale {cell.scale}"
    runs = [f"s{record['seed']} {record['id'][:8]}" for record in measured.records]
    if runs:
        took = f"{amount(len(runs), 'seed')}, {format_duration(measured.seconds)} of training"
        took += f"; {format_seeds(missing)} not run yet" if (missing := measured.missing()) else ""
        return f"- {cell.column}: `{command} --again` ({took}); {', '.join(runs)}"
    cost = f", about {format_duration(cell.minutes * 60 * cell.seeds.first)} on one core" if cell.minutes else ""
    return f"- {cell.column}: `{command}` ({cell.seeds.first} seeds{cost}); not run yet"
