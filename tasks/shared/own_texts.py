"""Texts of a user's set, or any of the hub's, as language models read them: the rows of one column, in their order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy

from rnnbench.data.sets import Loaded, Place, load_set
from rnnbench.data.table_files import FILES, Reading
from rnnbench.data.tables import DataError, check_text
from rnnbench.options import amount

from .batch import SPLITS, Split
from .found import length_facts, named_splits, odd_splits, one_place, split_words

KINDS = (*FILES, ".txt")  # a line of a text file is a row


def own_place(
    task: str,
    text: str | None,
    hub: str | None,
    file: str | None,
    config: str | None,
    revision: str | None,
    splits: tuple[str | None, str | None, str | None],
    reading: Reading,
) -> Place | None:
    """Where the texts lie; None where no option names them. `text` is the option of that name, unless it is as by default.

    DataError, one line, where several options name texts.
    """
    named = named_splits(*splits)
    if not (hub or file or named):
        return None
    if text is not None:
        raise DataError(f"task={task} needs one of task.text={text} and task.hub=, task.file= or task.train=, and has both")
    return one_place(task, hub, file, config, revision, named, reading, KINDS, in_time=True)


def own_texts(place: Place, column: str) -> tuple[Loaded, dict[Split, list[str]]]:
    """What was read, and the rows of the column of each split that is there."""
    found = load_set(place, [column])
    for split, table in found.tables.items():
        check_text(table, f"{place.name}: split {split!r}", [column])
    return found, {split: found.tables[split].column(0).to_pylist() for split in SPLITS if split in found.tables}


def read_facts(found: Loaded, rows: Mapping[Split, list[str]], sizes: Mapping[Split, int], unit: str) -> dict[str, Any]:
    """For the record: files and rows by split, how many of `unit` each split has, and how long rows are."""
    lengths = {split: numpy.array(list(map(len, side))) for split, side in rows.items()}
    counts = {split: len(side) for split, side in rows.items()}
    return {**found.facts(), "rows": counts, unit: dict(sizes), **length_facts(lengths)}


def read_notes(place: Place, found: Loaded, facts: Mapping[str, Any], unit: str) -> list[str]:
    """What was found, in one line, and what was not read."""
    rows = ", ".join(f"{split} {count:,}" for split, count in facts["rows"].items())
    sizes = ", ".join(split_words(split, facts["files"], size) for split, size in facts[unit].items())
    line = (
        f"{amount(sum(facts['rows'].values()), 'row')}: {rows}; {unit}: {sizes}; "
        f"characters a row: median {facts['median_length']:g}, longest {facts['longest']:,}"
    )
    return [f"{place.name}: {one}" for one in (line, *odd_splits(found))]
