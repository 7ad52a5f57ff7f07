"""Which columns of comparison tables are shown, and by which value their rows are sorted."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from ..options import unknown
from .naming import OPTIONS
from .run_rows import sort_key
from .table import Cell, Table, Value

RANK = 1  # the place of the column of ranks
ABOUT = {  # the column that a note is about, by its first word
    **dict.fromkeys(("barely", "at", "undecided"), "against_floor"),
    "solved": "solved",
    "to solve": "seconds_to_solved",
}
SCORE = "score"  # names the column of the headline in every table


def option_words(words: Iterable[str], known: Collection[str]) -> list[str]:
    """Those of `words` that are dotted options of the runs, each once."""
    return list(dict.fromkeys(word for word in words if word in known and word.partition(".")[0] in OPTIONS and "." in word))


def arrange(tables: Sequence[Table], columns: Sequence[str], sort: str, known: Collection[str]) -> list[Table]:
    """The tables with these columns beside the model, and sorted by `sort`, with a minus sign largest first.

    A column is named by one of its values, as CSV has them, by the first word of its title, or by `score`. BadOption for a name
    that no table has; `known` holds the options that might be meant.
    """
    full = [table for table in tables if table.rows]
    there = {word for table in full for word in _places(table)}
    for word in [*columns, *([sort.removeprefix("-")] if sort else [])]:
        if word not in there:
            raise unknown("column", word, {*there, *known})
    return [_arranged(table, columns, sort) if table.rows else table for table in tables]


def _places(table: Table) -> dict[str, tuple[int, int]]:
    """By word: the column, and the value of it to sort by."""
    found: dict[str, tuple[int, int]] = {}
    for index, column in enumerate(table.columns):
        value = column.names.index("value") if "value" in column.names else 0
        found.update({name: (index, at) for at, name in enumerate(column.names)})
        words = [column.title.split()[0]] if column.title.split() else []
        for word in [*words, *([SCORE] if "value" in column.names else [])]:
            found.setdefault(word, (index, value))
    return found


def _arranged(table: Table, columns: Sequence[str], sort: str) -> Table:
    places, rows = _places(table), list(table.rows)
    if place := places.get(sort.removeprefix("-")) if sort else None:
        there = [row for row in rows if _value(row, place) is not None]
        there.sort(key=lambda row: sort_key(_value(row, place)), reverse=sort.startswith("-"))
        rows = there + [row for row in rows if _value(row, place) is None]
        notes = tuple(note for note in table.notes if not note.startswith("Sorted by"))
        table = replace(table, notes=(*notes, f"Sorted by {sort.removeprefix('-')}."))
    if columns:
        kept = list(dict.fromkeys([0, *(places[word][0] for word in columns if word in places)]))
        table = replace(table, columns=tuple(replace(table.columns[index], spare=0) for index in kept))
        rows = [tuple(row[index] for index in kept) for row in rows]
        names = {name for column in table.columns for name in column.names}
        about = ((note, ABOUT.get(note.partition(":")[0])) for note in table.notes)
        table = replace(table, notes=tuple(note for note, name in about if name is None or name in names))
        if RANK not in kept:
            plain = tuple(f"{note.partition('; #:')[0]}." if "; #:" in note else note for note in table.notes)
            table = replace(table, notes=plain)
    return replace(table, rows=tuple(rows))


def _value(row: Sequence[Cell], place: tuple[int, int]) -> Value:
    index, at = place
    return row[index].values[at]
