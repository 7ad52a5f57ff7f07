"""Labels of texts: as a file has them, as the numbers of their classes, and what is odd about them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy

from rnnbench.data.tables import DataError
from rnnbench.options import shortened

from .batch import Split
from .rows import Texts, alike

if TYPE_CHECKING:
    import pyarrow

WHOLE = re.compile("-?[0-9]{1,18}")
MISSING = ("null", "none", "na", "n/a", "nan")  # what other programs write for a value that is missing
Disagreeing = tuple[int, list[tuple[Split, int]]]  # how many texts, and (split, row) of the first two that disagree
Where = Callable[[Split, int], str]  # what a message calls row `row`, from 0, of a published split


def split_row(name: str, split: Split, row: int) -> str:
    """What a message calls a row of the data set `name`."""
    return f"{name}: split {split!r} row {row + 1}"


def first_place(value: object, columns: Mapping[Split, Sequence[object]], where: Where) -> str:
    """What a message calls the first row that holds `value`."""
    return next(where(split, values.index(value)) for split, values in columns.items() if value in values)


def typed_labels(written: Mapping[Split, pyarrow.ChunkedArray], where: Where) -> dict[Split, pyarrow.ChunkedArray]:
    """The labels of CSV and TSV files, which are text: as int64 where all of them are whole numbers, as `true` and `false`
    where all of them are one of these; else as they stand there, `null` and `NA` too.

    Raises DataError, one line, for fractions, and where two labels would become one, as `01` and `1` would.
    """
    import pyarrow
    import pyarrow.compute
    import pyarrow.csv

    if not written:
        return {}
    distinct = pyarrow.chunked_array([chunk for column in written.values() for chunk in column.chunks]).unique()
    sink = pyarrow.BufferOutputStream()
    pyarrow.csv.write_csv(pyarrow.table({"label": distinct}), sink)
    content = sink.getvalue()
    found = pyarrow.csv.read_csv(
        pyarrow.BufferReader(content),
        read_options=pyarrow.csv.ReadOptions(block_size=content.size + 1),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(null_values=[]),
    )["label"].combine_chunks()
    columns = {split: column.to_pylist() for split, column in written.items()}
    labels = distinct.to_pylist()
    if pyarrow.types.is_floating(found.type):
        odd = next(label for label in labels if not WHOLE.fullmatch(label.strip()))
        raise DataError(
            f"{first_place(odd, columns, where)} has the label {shortened(odd)!r}; all labels are numbers, and not all are "
            "whole; allowed: whole numbers of 64 bits without a sign + or a point, or words"
        )
    if not (pyarrow.types.is_integer(found.type) or pyarrow.types.is_boolean(found.type)):
        return dict(written)
    first: dict[object, str] = {}
    for value, label in zip(found.to_pylist(), labels, strict=True):
        if (other := first.setdefault(value, label)) != label:
            raise DataError(
                f"{first_place(label, columns, where)} has the label {shortened(label)!r} beside {shortened(other)!r}: both "
                f"are {str(value).lower()}; write a class in one way everywhere, or with a letter before it if these are two"
            )
    return {split: found.take(pyarrow.compute.index_in(column, distinct)) for split, column in written.items()}


def numbered(
    labels: Mapping[Split, Sequence[int | str]], where: Where, strangers: bool = False
) -> tuple[list[str], dict[Split, numpy.ndarray]]:
    """(names of the classes, in order, and the labels of each split as their numbers, (texts,) int64).

    Raises DataError, one line, for a label that is missing (-1 or empty), for one that training texts lack, unless `strangers`:
    then it is a class that nothing is trained for, and for labels that are numbers in one split and text in another.
    """
    for split, values in labels.items():
        if missing := sum(value == -1 for value in values):
            raise DataError(
                f"{where(split, values.index(-1))}: split {split!r} has no label (-1) in {missing} of {len(values)} rows; "
                "a class of yours that is called -1 must be text"
            )
        if blank := [value for value in values if isinstance(value, str) and not value.strip()]:
            raise DataError(
                f"{where(split, values.index(blank[0]))}: split {split!r} has no label in {len(blank)} of {len(values)} rows; "
                "fill them in, or leave the rows out"
            )
        if isinstance(values[0], str) != isinstance(labels["train"][0], str):
            kinds = ["text" if isinstance(side[0], str) else "whole numbers" for side in (labels["train"], values)]
            raise DataError(
                f"{where(split, 0)}: labels are {kinds[0]} in 'train' and {kinds[1]} in {split!r}; make both the same"
            )
        new = sorted(set(values) - set(labels["train"]), key=str)
        if new and not strangers:
            raise DataError(
                f"{where(split, values.index(new[0]))}: split {split!r} has the label {shortened(str(new[0]))!r}, which no "
                "training text has; correct it, leave it out, or add training texts that have it"
            )
    found = sorted({value for values in labels.values() for value in values})
    numbers = {label: number for number, label in enumerate(found)}
    counted = {split: numpy.array([numbers[value] for value in values], numpy.int64) for split, values in labels.items()}
    return [str(label) for label in found], counted


def disagreeing(texts: Mapping[Split, Sequence[str]], labels: Mapping[Split, Sequence[object]]) -> Disagreeing:
    """How many texts have several labels, white space and case apart, and where the first such pair stands: (split, row)s."""
    first: dict[str, tuple[Split, int]] = {}
    found: dict[str, list[tuple[Split, int]]] = {}
    for split, rows in texts.items():
        for row, text in enumerate(rows):
            other, place = first.setdefault(alike(text), (split, row))
            if labels[other][place] != labels[split][row]:
                found.setdefault(alike(text), [(other, place), (split, row)])
    return len(found), next(iter(found.values()), [])


def oddities(parts: Mapping[Split, Texts], classes: Sequence[str]) -> list[str]:
    """What is odd about texts and their labels, though they can be learnt from: a line each."""
    found = []
    if len(classes) == 1:
        found.append(f"every text has the label {shortened(classes[0])!r}: with one class there is nothing to learn")
    if missing := [label for label in classes if label.casefold() in MISSING]:
        found.append(f"the labels {', '.join(map(repr, missing))} are classes like others, not read as missing")
    same = Counter(alike(label) for label in classes)
    if like := [label for label in classes if same[alike(label)] > 1]:
        found.append(
            f"the labels {shortened(', '.join(map(repr, like)), 100)} differ in white space or case only, and are classes each"
        )
    trained = set(parts["train"].labels.tolist())
    if untrained := sorted({label for part in parts.values() for label in part.labels.tolist()} - trained):
        names = shortened(", ".join(repr(classes[number]) for number in untrained), 100)
        found.append(f"no training text has the labels {names}: nothing is trained for them")
    seen = set(map(alike, parts["train"].texts))
    for split in ("validation", "test"):
        texts = parts[split].texts
        if again := [text for text in texts if alike(text) in seen]:
            found.append(
                f"{len(again)} of {len(texts)} texts of {split} stand in train too, {shortened(again[0])!r} for one: "
                "scores there are of texts that were seen"
            )
    return found
