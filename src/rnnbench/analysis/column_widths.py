"""How wide the columns of a table are, in letters, where a line has a width: in a terminal, or on a page."""

from __future__ import annotations

from collections.abc import Sequence

from .table import Table

FEW_WORDS, MOST_WORDS = 12, 24  # letters that a text in several lines needs at least, and for a long word


def find_spare(tables: Sequence[Table], width: int | None) -> int:
    """How spare a column may be and still stand in every table, so that all fit into `width`."""
    most = max((column.spare for table in tables for column in table.columns), default=0)
    for spare in range(most, 0, -1):
        if width is None or all(table_width(table, spare) <= width for table in tables):
            return spare
    return 0


def left_out(tables: Sequence[Table], spare: int) -> list[str]:
    """The titles of the columns that are more spare than that."""
    shown = {table.columns[index] for table in tables for index in table.shown()}
    return sorted({column.title for column in shown if column.spare > spare})


def table_width(table: Table, spare: int) -> int:
    """The width that a table needs without the columns that are more spare than that, with two spaces between columns."""
    chosen = table.shown(spare)
    return sum(_least(table, index) for index in chosen) + 2 * (len(chosen) - 1)


def column_widths(table: Table, chosen: Sequence[int], width: int) -> dict[int, int]:
    """The width of each column: what it needs, and of what is left of `width` more for the texts that take most lines."""
    widths, widest = (
        {index: _least(table, index) for index in chosen},
        {index: max(map(len, _texts(table, index))) for index in chosen},
    )
    for _ in range(width - sum(widths.values()) - 2 * (len(chosen) - 1)):
        short = [index for index in chosen if widths[index] < widest[index]]
        if not short:
            break
        widths[max(short, key=lambda index: widest[index] / widths[index])] += 1
    return widths


def _least(table: Table, index: int) -> int:
    """The width that a column needs: of its widest cell; of text, of its longest word, within bounds."""
    texts = _texts(table, index)
    widest = max(map(len, texts))
    if not table.columns[index].words:
        return widest
    longest = max(len(word) for text in texts for word in text.split() or [""])
    return min(widest, max(FEW_WORDS, min(longest, MOST_WORDS)))


def _texts(table: Table, index: int) -> list[str]:
    return [table.columns[index].title, *(row[index].text for row in table.rows)]
