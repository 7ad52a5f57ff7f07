"""A table: columns, cells with what a reader sees and the raw values behind it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ..console import visible

Value = str | int | float | None
FORMATS: tuple[str, ...] = ("terminal", "markdown", "html", "latex", "csv", "json")  # that a table is shown in


@dataclass(frozen=True)
class Column:
    """A column: its title for readers, the names of its values for machines."""

    title: str
    names: tuple[str, ...]
    left: bool = False  # aligned to the left
    words: bool = False  # text, which may stand in several lines; numbers never do
    spare: int = 0  # left out of a narrow terminal, the highest first; 0 never


@dataclass(frozen=True)
class Cell:
    """What a reader sees, and the raw values behind it, one for each of the column's names."""

    text: str
    values: tuple[Value, ...]
    tone: str = ""  # good, poor or warn
    link: str = ""  # where its text leads, in Markdown
    strong: bool = False  # in bold


@dataclass(frozen=True)
class Table:
    """Rows of cells; `about` is what all rows share, `gaps` what is not there, `notes` how to read it."""

    title: str
    caption: str
    about: Mapping[str, Value]
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    gaps: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def shown(self, spare: float = math.inf) -> list[int]:
        """The columns in which any row has something to read, without those that are more spare than that."""
        there = [index for index, column in enumerate(self.columns) if column.spare <= spare]
        return [index for index in there if any(row[index].text for row in self.rows)]


def legend(tables: Iterable[Table]) -> list[str]:
    """The notes of all tables, each once."""
    return list(dict.fromkeys(note for table in tables for note in table.notes))


def visible_table(table: Table) -> Table:
    """The table with all that a reader sees of it made `visible`; its raw values are as they were."""
    return replace(
        table,
        title=visible(table.title),
        caption=visible(table.caption),
        columns=tuple(replace(column, title=visible(column.title)) for column in table.columns),
        rows=tuple(tuple(replace(cell, text=visible(cell.text)) for cell in row) for row in table.rows),
        gaps=tuple(map(visible, table.gaps)),
        notes=tuple(map(visible, table.notes)),
    )
