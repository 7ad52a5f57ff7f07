"""Sequences of numbers with a class, in files of the user's: `.ts` of the UCR and UEA archives, tables, lists of numbers.

a.ts       @data, then 1,2.5,3:4,5,6:walk    values between commas, dimensions between colons, the class last
a.csv      label,t0,t1,t2                    a row a sequence: the other columns are its steps; the last ones may be empty
a.jsonl    {"values": [1, 2.5], "label": 1}  a list of numbers, or of lists with a number for each dimension

Source of .ts: https://www.aeon-toolkit.org and https://timeseriesclassification.com. Messages name the file and its line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy

from ..options import amount, shortened
from .table_files import Reading, csv_rows, file_kind, head_names
from .tables import DataError
from .user_files import text_file

MOST_DIMENSIONS = 4096
LARGEST = float(numpy.finfo(numpy.float32).max)
MISSING = ("", "?", "nan", "NaN", "None")


class Series(NamedTuple):
    """Sequences end to end: sequence r is `values[offsets[r]:offsets[r + 1]]`, with the class `labels[r]`."""

    values: numpy.ndarray  # (steps, dimensions) float32
    offsets: numpy.ndarray  # (sequences + 1,)
    labels: list[str]  # empty where the file has no classes
    where: Callable[[int], str]  # what a message calls sequence r


def read_series(path: str, label: str, reading: Reading, new: bool = False) -> Series:
    """The sequences of a `.ts`, CSV or TSV file; `label` is the column with the class, which a `new` file may lack.

    DataError, one line, where a row is no sequence with a class.
    """
    found = _ts_rows(path, new) if file_kind(path) == ".ts" else _wide_rows(path, label, reading, new)
    lines: list[str] = []

    def rows() -> Iterator[tuple[numpy.ndarray, str | None]]:
        for line, steps, name in found:
            lines.append(line)
            yield steps, name

    return joined_series(rows(), lambda row: f"{path}: {lines[row]}", path)


def joined_series(rows: Iterable[tuple[numpy.ndarray, str | None]], where: Callable[[int], str], name: str) -> Series:
    """One Series of ((steps, dimensions) values, class) rows, all of the same dimensions; `where(r)` is what a message calls
    row r. The class is None where there are no classes.
    """
    values: list[numpy.ndarray] = []
    labels: list[str] = []
    for row, (steps, label) in enumerate(rows):
        if not len(steps):
            raise DataError(f"{where(row)} has no values; leave the row out")
        if values and steps.shape[1] != values[0].shape[1]:
            raise DataError(f"{where(row)} has {steps.shape[1]} dimensions where {where(0)} has {values[0].shape[1]}")
        values.append(steps.astype(numpy.float32))
        if label is None:
            continue
        if not label.strip():
            raise DataError(f"{where(row)} has no class; fill it in, or leave the row out")
        labels.append(label)
    if not values:
        raise DataError(f"{name} has no rows")
    offsets = numpy.concatenate([[0], numpy.cumsum([len(steps) for steps in values])])
    return Series(numpy.concatenate(values), offsets, labels, where)


def deviations(values: numpy.ndarray) -> numpy.ndarray:
    """(columns,) the standard deviation of each column of `values`; 1 where all its values are the same.

    The deviation of equal values may be a little above 0, since their mean is rounded.
    """
    found = values.std(0)
    return numpy.where((values.max(0) == values.min(0)) | (found == 0), 1.0, found)


def all_within(values: numpy.ndarray) -> bool:
    """Whether all values are finite as float32, too."""
    return bool((abs(values) < LARGEST).all())  # false where one is no number


def numbers(fields: Sequence[object], where: Callable[[int], str]) -> numpy.ndarray:
    """(fields,) float64. DataError for a field that is no finite number, or is missing (? or empty); `where(n)` is the n-th."""
    try:
        found = numpy.array(fields, numpy.float64)
        if all_within(found):
            return found
    except (ValueError, TypeError):
        pass
    odd = next(place for place, field in enumerate(fields) if not _is_number(field))
    missing = str(fields[odd]).strip() in MISSING
    what = "no value" if missing else f"{shortened(str(fields[odd]), 40)!r}"
    raise DataError(f"{where(odd)} has {what}; expected numbers: fill missing ones in, or leave the row out")


def _is_number(field: object) -> bool:
    try:
        return abs(float(str(field))) < LARGEST
    except ValueError:
        return False


def _ts_rows(path: str, new: bool) -> Iterator[tuple[str, numpy.ndarray, str | None]]:
    """(`line 7`, (steps, dimensions) values, class) of each sequence; of a `new` file without classes the class is None."""
    begun, classified = False, True
    classes: tuple[str, ...] = ()
    with text_file(path, newline=None) as file:
        for number, line in enumerate(file, 1):
            text, where = line.strip(), f"{path}: line {number}"
            if not text or text.startswith(("#", "%")):
                continue
            if not begun:
                key, _, rest = text.partition(" ")
                begun = key.lower() == "@data"
                if not text.startswith("@"):
                    raise DataError(
                        f"{where} is {shortened(text, 40)!r} before @data; expected lines that begin with @, then @data"
                    )
                if key.lower() == "@timestamps" and rest.strip().lower() == "true":
                    raise DataError(f"{where}: sequences with time stamps are not read; write equally spaced values")
                if key.lower() == "@classlabel" and rest.split()[:1] != ["false"]:
                    classes = tuple(rest.split()[1:])
                elif new and key.lower() == "@classlabel":
                    classified = False
                elif key.lower() in ("@classlabel", "@targetlabel"):
                    raise DataError(f"{where}: its rows have no classes; expected @classLabel true, and the classes")
                continue
            *dimensions, last = text.split(":")
            label = last.strip() if classified else None
            dimensions += [] if classified else [last]
            if not dimensions:
                raise DataError(f"{where} has no colon; expected dimensions between colons, and the class last")
            if label is not None and classes and label not in classes:
                raise DataError(
                    f"{where} has the class {shortened(label, 40)!r}; @classLabel names {shortened(', '.join(classes))}"
                )
            steps = _side_by_side([numbers(one.split(","), partial(_step, where)) for one in dimensions], where)
            yield f"line {number}", steps, label
    if not begun:
        raise DataError(f"{path} has no @data; expected lines that begin with @, then @data, then a sequence a line")


def _step(where: str, number: int) -> str:
    return f"{where}: step {number + 1}"


def _side_by_side(dimensions: Sequence[numpy.ndarray], where: str) -> numpy.ndarray:
    lengths = [len(one) for one in dimensions]
    if len(set(lengths)) > 1:
        raise DataError(f"{where} has dimensions of {min(lengths)} and {max(lengths)} steps; expected the same number for all")
    if len(lengths) > MOST_DIMENSIONS:
        raise DataError(f"{where} has {amount(len(lengths), 'dimension')}; allowed: at most {MOST_DIMENSIONS}")
    return numpy.stack(dimensions, axis=1)


def _wide_rows(path: str, label: str, reading: Reading, new: bool) -> Iterator[tuple[str, numpy.ndarray, str | None]]:
    """(`line 7`, (steps, 1) values, class) of each row; of a `new` file without the column `label` the class is None."""
    rows = csv_rows(path, reading)
    begin, first = next(rows, ("", []))
    head = head_names(path, first, reading)
    if head.count(label) != 1 and not (new and label not in head):
        raise DataError(
            f"{path}: {head.count(label) or 'no'} columns {label!r}; there are: {shortened(', '.join(head), 150)}; "
            "task.label_column= names the one with the class, and task.header=false reads a file without names"
        )
    place = head.index(label) if label in head else None
    if not reading.header:
        rows = iter([(begin, first), *rows])
    for line, fields in rows:
        where = f"{path}: {line}"
        if len(fields) != len(head):
            raise DataError(f"{where} has {amount(len(fields), 'field')} where the first line has {len(head)}")
        steps = [field for number, field in enumerate(fields) if number != place]
        while steps and not steps[-1].strip():
            steps.pop()
        yield line, numbers(steps, partial(_step, where))[:, None], None if place is None else fields[place]


def listed_rows(
    values: Sequence[object], labels: Sequence[object] | None, where: Callable[[int], str]
) -> Iterator[tuple[numpy.ndarray, str | None]]:
    """((steps, dimensions) values, class) of each row of a column of lists: of numbers, or of lists with a number for each
    dimension. `labels` are None where there are no classes; `where(r)` is what a message calls row r.
    """
    for row, steps in enumerate(values):
        try:
            found = numpy.array(steps, numpy.float64)
        except (ValueError, TypeError):
            found = numpy.empty(())
        if found.ndim not in (1, 2) or not all_within(found) or found.shape[1:] == (0,):
            raise DataError(
                f"{where(row)} has {shortened(str(steps), 60)}; expected a list of numbers within float32, or of lists of "
                "equally many"
            )
        yield found[:, None] if found.ndim == 1 else found, None if labels is None else str(labels[row])
