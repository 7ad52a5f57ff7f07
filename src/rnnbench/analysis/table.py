"""A table: columns, cells with what a reader sees and the raw values behind it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

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

    def shown(self) -> list[int]:
        """The columns in which any row has something to read."""
        return [index for index in range(len(self.columns)) if any(row[index].text for row in self.rows)]


def legend(tables: Iterable[Table]) -> list[str]:
    """The notes of all tables, each once."""
    return list(dict.fromkeys(note for table in tables for note in table.notes))
