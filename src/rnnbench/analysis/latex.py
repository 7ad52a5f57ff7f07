"""Tables for LaTeX, as wide as a page of its article.

pdfLaTeX sets them with the packages array, booktabs, longtable and pdflscape.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

from .column_widths import column_widths, find_spare, left_out, table_width
from .table import Cell, Table, legend, visible_table

LINE, SMALL_LINE, LONG_LINE = 62, 80, 128  # figures on a line; in small print; in small print on a page that is turned
SMALL = r"\footnotesize\setlength{\tabcolsep}{3pt}"


def to_latex(tables: Sequence[Table]) -> str:
    """A longtable with booktabs' rules for each table, with a caption and a label; notes are in small print.

    A table that is wider than a line is in small print, with texts in several lines. One that is still wider is on a page that
    is turned; of one that is wider than that, spare columns are left out, which is said.
    """
    lines: list[str] = []
    tables = list(map(visible_table, tables))
    for table in tables:
        spare = find_spare([table], LONG_LINE)
        titles = ", ".join(left_out([table], spare))
        if table.rows:
            lines += [*_longtable(table, spare, _label(table, lines)), ""]
        else:
            lines += [rf"\paragraph{{{_latex(table.title)}}} {_latex(table.caption)}", ""]
        gaps = [*([f"Left out: {titles}; --format csv shows all."] if titles else []), *table.gaps]
        lines += [rf"{_latex(gap)}\par" for gap in gaps]
    lines += [rf"{{\small {_latex(note)}\par}}" for note in legend(tables)]
    return "\n".join(lines).rstrip() + "\n"


def _longtable(table: Table, spare: int, label: str) -> Iterator[str]:
    shown = table.shown(spare)
    line, before, after = _place(table, spare)
    widths = column_widths(table, shown, line)
    wrapped = {index for index in shown if any(len(row[index].text) > widths[index] for row in table.rows)}
    kinds = {index: "l" if table.columns[index].left else "r" for index in shown}
    # half an em is as wide as a figure
    kinds |= {index: rf">{{\raggedright\arraybackslash}}p{{{widths[index] / 2:g}em}}" for index in wrapped}
    head = rf"\toprule {' & '.join(_latex(table.columns[index].title) for index in shown)} \\ \midrule"
    caption = ". ".join(filter(None, [table.title, table.caption]))
    yield rf"{before}\begin{{longtable}}{{{''.join(kinds.values())}}}"
    yield rf"\caption{{{_latex(caption)}}}\label{{{label}}}\\"
    yield rf"{head} \endfirsthead"
    yield rf"{head} \endhead"
    for row in table.rows:
        cells = " & ".join(_cell(row[index], index in wrapped) for index in shown)
        yield rf"{'{}' if cells.startswith(('[', '*')) else ''}{cells} \\"  # either would belong to the line before
    yield r"\bottomrule"
    yield rf"\end{{longtable}}{after}"


def _place(table: Table, spare: int) -> tuple[int, str, str]:
    """(figures on a line, what stands before the table, what stands after it)."""
    shown = table.shown(spare)
    in_one_line = column_widths(table, shown, LINE) == column_widths(table, shown, 10 * LONG_LINE)
    if in_one_line and table_width(table, spare) <= LINE:
        return LINE, "", ""
    if table_width(table, spare) <= SMALL_LINE:
        return SMALL_LINE, f"{{{SMALL}", "}"
    return LONG_LINE, rf"\begin{{landscape}}{SMALL}", r"\end{landscape}"


def _cell(cell: Cell, wrapped: bool) -> str:
    text = _latex(cell.text)
    if wrapped:
        text = re.sub(r"(/|\\_)(?=.)", r"\1\\allowbreak ", text)  # names and paths break there, too
    return rf"\textbf{{{text}}}" if cell.strong and text else text


def _label(table: Table, lines: Sequence[str]) -> str:
    """What `\\ref` calls a table: its title in small letters, and a number where `lines` hold that label already."""
    name = "tab:" + (re.sub(r"[^a-z0-9]+", "-", table.title.lower()).strip("-") or "runs")
    taken, label, number = set(re.findall(r"\\label\{([^}]*)\}", "\n".join(lines))), name, 1
    while label in taken:
        number += 1
        label = f"{name}-{number}"
    return label


SIGNS = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "`": r"\textasciigrave{}",
    "|": r"\textbar{}",
    "“": "``",
    "”": "''",
    '"': "''",
    "−": "$-$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "<": "$<$",
    ">": "$>$",
    "↓": r"$\downarrow$",
    "↑": r"$\uparrow$",
    "→": r"$\rightarrow$",
    "←": r"$\leftarrow$",
    "–": "--",
    "²": "$^2$",
    "ⁿ": "$^n$",
    "ᵀ": r"$^\top$",
    "≥": r"$\ge$",
    "≤": r"$\le$",
    "≠": r"$\neq$",
    "≈": r"$\approx$",
    "∞": r"$\infty$",
    "·": r"$\cdot$",
    "∂": r"$\partial$",
    "‖": r"$\Vert$",
    "½": r"$\frac12$",
    "°": r"$^\circ$",
    "\N{ZERO WIDTH NON-JOINER}": "{}",
    "\N{ZERO WIDTH JOINER}": "",
}
for letter in "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΦΨΩ":
    word = unicodedata.name(letter).rpartition(" ")[2].replace("LAMDA", "LAMBDA")  # Unicode's spelling
    SIGNS[letter] = rf"$\{word.capitalize() if letter.isupper() else word.lower()}$"


def _latex(words: str) -> str:
    """`words` as LaTeX sets them: two hyphens are no dash, and what opens a quotation is told from what ends it."""
    words = re.sub("-(?=-)", "-\N{ZERO WIDTH NON-JOINER}", re.sub(r'(?<![^\s(])"', "“", words))
    return "".join(SIGNS.get(sign, sign) for sign in words)
