"""Tables as text: for a terminal, as CSV, Markdown or a fragment of HTML."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from ..console import visible
from ..store.record import plain
from .column_widths import column_widths, find_spare, left_out, table_width
from .drawing import page_policy
from .latex import to_latex
from .table import FORMATS, Cell, Table, Value, legend, visible_table


def to_terminal(tables: Sequence[Table], width: int | None = None, colour: bool = False) -> str:
    """For a terminal of `width` columns, where spare columns are left out and said so; None: as wide as it is.

    A number is never cut: where the others do not fit, lines are longer than the terminal is wide.
    """
    tables = list(map(visible_table, tables))
    from rich import box
    from rich.console import Console
    from rich.table import Table as Grid
    from rich.text import Text

    file = io.StringIO()
    spare = find_spare(tables, width)

    def console_of(width: int) -> Console:
        return Console(file=file, width=width, force_terminal=colour, no_color=not colour, highlight=False)

    console = console_of(width or 10_000)
    for table in tables:
        console.print(Text(table.title, style="bold"))
        if table.caption:
            console.print(Text(table.caption, style="dim"))
        if table.rows:
            grid = Grid(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
            chosen = table.shown(spare)
            for index, room in column_widths(table, chosen, console.width).items():
                column = table.columns[index]
                justify: Any = "left" if column.left else "right"
                grid.add_column(column.title, justify=justify, no_wrap=not column.words, width=room)
            for row in table.rows:
                grid.add_row(*(Text(row[index].text, style=_style(row[index])) for index in chosen))
            console_of(max(console.width, table_width(table, spare))).print(grid)
        for gap in table.gaps:
            console.print(Text(gap, style="yellow"))
        console.print()
    notes = legend(tables)
    if titles := left_out(tables, spare):
        notes.append(f"Left out: {', '.join(titles)}; a wider terminal or --format csv shows all.")
    for note in notes:
        console.print(Text(note, style="dim"))
    return "\n".join(line.rstrip() for line in file.getvalue().rstrip().split("\n")) + "\n"


TONES = {"good": "green", "poor": "red", "warn": "yellow", "": ""}  # colours of a terminal


def _style(cell: Cell) -> str:
    return " ".join(filter(None, ["bold" if cell.strong else "", TONES[cell.tone]]))


FORMULA = re.compile(r"\s*[=+@\uff1d\uff0b\uff0d\uff20-]")  # what a spreadsheet computes, in wide forms too
NUMBER = re.compile(r"[-+]?\d+(\.\d*)?([eE][-+]?\d+)?", re.ASCII)


def cell_value(value: Value) -> Value:
    """`value` as a cell of a CSV file: text is `visible`, after an apostrophe where a spreadsheet would compute it."""
    if not isinstance(value, str):
        return value
    text = visible(value)
    return f"'{text}" if FORMULA.match(text) and not NUMBER.fullmatch(text) else text


def to_csv(tables: Sequence[Table]) -> str:
    """Raw values, one line a row, under one header; lists of seeds are parted by spaces. Gaps are columns, not notes."""
    full = [table for table in tables if table.rows]
    headers = {(*table.about, *(name for column in table.columns for name in column.names)) for table in full}
    if len(headers) > 1:
        raise ValueError("these tables have different columns; write them one by one")
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerows(headers)
    for table in full:
        for row in table.rows:
            writer.writerow(map(cell_value, [*table.about.values(), *(value for cell in row for value in cell.values)]))
    return file.getvalue()


def to_plain(tables: Sequence[Table]) -> list[dict[str, Any]]:
    """Raw values as JSON can hold them: of each table its title, what its rows share, its rows by name, gaps and notes."""
    return [
        {
            "title": table.title,
            "caption": table.caption,
            **plain(table.about),
            "rows": [plain(_by_name(table, row)) for row in table.rows],
            "gaps": list(table.gaps),
            "notes": list(table.notes),
        }
        for table in tables
    ]


def _by_name(table: Table, row: Sequence[Cell]) -> dict[str, Value]:
    cells = zip(table.columns, row, strict=True)
    return {name: value for column, cell in cells for name, value in zip(column.names, cell.values, strict=True)}


def to_markdown(tables: Sequence[Table]) -> str:
    """GitHub's tables, with gaps and notes as lists."""
    lines: list[str] = []
    tables = list(map(visible_table, tables))
    for table in tables:
        shown = table.shown()
        lines += [f"### {_marked(table.title)}", ""] if table.title else []
        lines += [_marked(table.caption), ""] if table.caption else []
        if table.rows:
            lines.append(f"| {' | '.join(_marked(table.columns[index].title) for index in shown)} |")
            lines.append(f"|{'|'.join(':--' if table.columns[index].left else '--:' for index in shown)}|")
            lines += [f"| {' | '.join(_linked(row[index]) for index in shown)} |" for row in table.rows]
            lines.append("")
        lines += [*(f"- {_marked(gap)}" for gap in table.gaps), ""]
    lines += [f"{_marked(note)}  " for note in legend(tables)]
    return "\n".join(lines).rstrip() + "\n"


def _linked(cell: Cell) -> str:
    text = f"**{_marked(cell.text)}**" if cell.strong and cell.text else _marked(cell.text)
    return f"[{text}]({cell.link})" if cell.link and cell.text else text


def _marked(words: str) -> str:
    """`words` with what Markdown would read as markup made plain."""
    return re.sub(r"[\\`*<>|]|^#|(?<!\w)_|_(?!\w)|\](?=[\[(])", r"\\\g<0>", words)


def to_html(table: Table, marks: Mapping[str, str] | None = None, links: Mapping[str, str] | None = None) -> str:
    """A fragment: the table and its gaps. `marks` holds HTML to stand before a row's name, `links` where a title leads."""
    shown, lines = table.shown(), ['<div class="scroll"><table>']
    side = {index: ' class="left"' if table.columns[index].left else "" for index in shown}
    titles = {index: _title(table.columns[index].title, links or {}) for index in shown}
    heads = (f'<th scope="col"{side[index]}>{titles[index]}</th>' for index in shown)
    lines.append(f"<thead><tr>{''.join(heads)}</tr></thead><tbody>")
    for row in table.rows:
        cells = []
        for index in shown:
            words = html.escape(row[index].text)
            if index == 0:
                cells.append(f'<th scope="row">{(marks or {}).get(row[index].text, "")}{words}</th>')
            else:
                words = f"<b>{words}</b>" if row[index].strong and words else words
                tone = f'<span class="{row[index].tone}">{words}</span>' if row[index].tone and words else words
                cells.append(f"<td{side[index]}>{tone}</td>")
        lines.append(f"<tr>{''.join(cells)}</tr>")
    lines.append("</tbody></table></div>")
    if table.gaps:
        lines.append(f'<ul class="gaps">{"".join(f"<li>{html.escape(gap)}</li>" for gap in table.gaps)}</ul>')
    return "\n".join(lines)


def _title(title: str, links: Mapping[str, str]) -> str:
    text = html.escape(title)
    return f'<a href="{html.escape(links[title])}">{text}</a>' if title in links else text


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width"><title>{title}</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 80em; padding: 0 1em; color: #222 }}
.scroll {{ overflow-x: auto }} table {{ border-collapse: collapse; font-size: 13px }}
th, td {{ border-bottom: 1px solid #ddd; padding: .3em .6em; text-align: right; font-weight: normal; vertical-align: top }}
thead th {{ font-weight: bold }} .left, th:first-child {{ text-align: left }}
figure {{ margin: 1em 0; display: inline-block; max-width: 100% }} img {{ max-width: 100% }} figcaption {{ font-size: 13px }}
.good {{ color: #176f2c }} .poor {{ color: #b3261e }} .warn {{ color: #8a5a00 }}
</style></head><body>{body}</body></html>"""


def to_page(tables: Sequence[Table], below: Mapping[str, str] | None = None) -> str:
    """A whole page of HTML that needs no other file; `below`: HTML that stands below a table, by its title."""
    parts = []
    tables = list(map(visible_table, tables))
    for table in tables:
        caption = f"<p>{html.escape(table.caption)}</p>" if table.caption else ""
        parts.append(f"<h2>{html.escape(table.title)}</h2>{caption}{to_html(table)}{(below or {}).get(table.title, '')}")
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in legend(tables))
    title = html.escape(tables[0].title if tables else "")
    return PAGE.format(policy=page_policy(), title=title, body="".join(parts) + f"<ul>{notes}</ul>")


def export(tables: Sequence[Table], format: str = "terminal") -> str:
    """`tables` as text in one of FORMATS, ready to print. A terminal's width and colours are those of standard output."""
    if format == "csv":
        return to_csv(tables).rstrip("\n")
    if format == "markdown":
        return to_markdown(tables).rstrip("\n")
    if format == "json":
        return json.dumps(to_plain(tables), indent=1, ensure_ascii=True)
    if format in ("html", "latex"):
        return (to_page if format == "html" else to_latex)(tables).rstrip("\n")
    if format != "terminal":
        raise ValueError(f"no format '{format}'; there are: {', '.join(FORMATS)}")
    if not sys.stdout.isatty():
        return to_terminal(tables).rstrip("\n")
    from rich.console import Console

    console = Console()
    return to_terminal(tables, console.width, colour=console.color_system is not None and not console.no_color).rstrip("\n")
