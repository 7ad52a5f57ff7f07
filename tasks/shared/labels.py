"""Labels of texts: as a file has them, as the numbers of their classes, and what is odd about them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy

from rnnbench.data.tables import DataError
from rnnbench.options import amount, shortened

from .batch import Split
from .rows import Splittable, Texts, alike

if TYPE_CHECKING:
    import pyarrow

WHOLE = re.compile("0|-?[1-9][0-9]{0,17}")
TRUTH = {"true", "True", "TRUE", "false", "False", "FALSE"}
MISSING = ("null", "none", "na", "n/a", "nan", "-1")  # what other programs write for a value that is missing
SEEN: tuple[tuple[Split, Split, str], ...] = (  # (split, an earlier one, what is wrong with rows that stand in both)
    ("validation", "train", "they were trained on"),
    ("test", "train", "they were trained on"),
    ("test", "validation", "the best step was selected on them"),
)
Disagreeing = tuple[int, list[tuple[Split, int]]]  # how many texts, and (split, row) of the first two that disagree
Where = Callable[[Split, int], str]  # what a message calls row `row`, from 0, of a published split


def split_row(name: str, split: Split, row: int) -> str:
    """What a message calls a row of the data set `name`."""
    return f"{name}: split {split!r} row {row + 1}"


def first_place(value: object, columns: Mapping[Split, Sequence[object]], where: Where) -> str:
    """What a message calls the first row that holds `value`."""
    return next(where(split, values.index(value)) for split, values in columns.items() if value in values)


def named_classes(numbers: Sequence[str], names: Sequence[str]) -> list[str]:
    """The names of classes that the data number; a number stays where it has no name."""
    return [names[int(one)] if one.isdecimal() and int(one) < len(names) else one for one in numbers]


def typed_labels(written: Mapping[Split, pyarrow.ChunkedArray]) -> dict[Split, pyarrow.ChunkedArray]:
    """The labels of CSV and TSV files, which are text as they stand there. Where all of them are whole numbers in one way of
    writing, they are sorted as numbers: int64. A -1 is a class of its own there.
    """
    import pyarrow

    distinct = {value for column in written.values() for value in column.unique().to_pylist()}
    numbers = all(WHOLE.fullmatch(value) for value in distinct) and "-1" not in distinct
    kind = pyarrow.int64() if numbers else pyarrow.string()
    return {split: column.cast(kind) for split, column in written.items()}


def as_before(labels: Mapping[Split, pyarrow.ChunkedArray]) -> dict[Split, pyarrow.ChunkedArray]:
    """Labels as the fingerprint of data has them: TRUE and False in small letters, where these are all."""
    import pyarrow
    import pyarrow.compute

    distinct = {value for column in labels.values() for value in column.unique().to_pylist()}
    if distinct <= TRUTH and len({value.lower() for value in distinct}) == len(distinct):
        return {split: pyarrow.compute.utf8_lower(column) for split, column in labels.items()}
    return dict(labels)


def numbered(
    labels: Mapping[Split, Sequence[int | str]], where: Where, strangers: bool = False, unit: str = "text"
) -> tuple[list[str], dict[Split, numpy.ndarray]]:
    """(names of the classes, in order, and the labels of each split as their numbers, (rows,) int64); a row is a `unit`.

    Raises DataError, one line, for a label that is missing (-1 or empty), for one that training rows lack, unless `strangers`:
    then it is a class that nothing is trained for, and for labels that are numbers in one split and text in another.
    """
    for split, values in labels.items():
        if missing := sum(value == -1 for value in values):
            raise DataError(
                f"{where(split, values.index(-1))}: split {split!r} has no label (-1) in {missing} of "
                f"{amount(len(values), 'row')}; "
                "a class of yours that is called -1 must be text"
            )
        if blank := [value for value in values if isinstance(value, str) and not value.strip()]:
            raise DataError(
                f"{where(split, values.index(blank[0]))}: split {split!r} has no label in {len(blank)} of "
                f"{amount(len(values), 'row')}; fill them in, or leave the rows out"
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
                f"training {unit} has; correct it, leave it out, or add training {unit}s that have it"
            )
    found = sorted({value for values in labels.values() for value in values})
    numbers = {label: number for number, label in enumerate(found)}
    counted = {split: numpy.array([numbers[value] for value in values], numpy.int64) for split, values in labels.items()}
    return [str(label) for label in found], counted


def disagreeing(parts: Mapping[Split, Texts]) -> Disagreeing:
    """How many texts have several labels, white space and case apart, and where the first such pair stands: (split, row)s."""
    keys = numpy.concatenate([part.keys for part in parts.values()])
    labels = numpy.concatenate([part.labels for part in parts.values()])
    _, first, group = numpy.unique(keys, return_index=True, return_inverse=True)
    odd = (labels != labels[first[group]]).nonzero()[0]
    if not len(odd):
        return 0, []
    places = [(split, row) for split, part in parts.items() for row in (0, len(part.texts))]
    ends = numpy.cumsum([len(part.texts) for part in parts.values()])

    def place(number: int) -> tuple[Split, int]:
        part = int(numpy.searchsorted(ends, number, side="right"))
        return places[2 * part][0], int(number - (ends[part - 1] if part else 0))

    return len(numpy.unique(keys[odd])), [place(int(first[group[odd[0]]])), place(int(odd[0]))]


def disagreeing_note(odd: Disagreeing, name: str, where: Callable[[Split, int], str], what: str) -> list[str]:
    """A line for texts of the data set `name` that stand there with different answers: `what` they have."""
    count, pair = odd
    places = " and ".join(where(split, row).removeprefix(f"{name}: ") for split, row in pair)
    return (
        [f"{amount(count, 'text')} {'has' if count == 1 else 'have'} {what}, first {places}: no model gets all of them right"]
        if count
        else []
    )


def oddities(
    parts: Mapping[Split, Texts], classes: Sequence[str], labels: Mapping[Split, numpy.ndarray] | None = None
) -> list[str]:
    """What is odd about texts and their labels, though they can be learnt from: a line each. `labels` are the numbers of all
    labels of a split, where a text may have several; by default those of `parts`.
    """
    single, found = labels is None, list[str]()
    labels = labels or {split: part.labels for split, part in parts.items()}
    if len(classes) == 1 and sum(map(len, labels.values())) == sum(map(len, parts.values())):
        found.append(f"every text has the label {shortened(classes[0])!r}: with one class there is nothing to learn")
    if missing := [label for label in classes if label.casefold() in MISSING]:
        found.append(f"the labels {', '.join(map(repr, missing))} are classes like others, not read as missing")
    same = Counter(alike(label) for label in classes)
    if like := [label for label in classes if same[alike(label)] > 1]:
        found.append(
            f"the labels {shortened(', '.join(map(repr, like)), 100)} differ in white space or case only, and are classes each"
        )
    values = Counter(number for number in map(_number, classes) if number is not None)
    if like := [label for label in classes if (number := _number(label)) is not None and values[number] > 1]:
        found.append(f"the labels {shortened(', '.join(map(repr, like)), 100)} are the same numbers, and are classes each")
    if untrained := sorted({*numpy.concatenate([*labels.values()]).tolist()} - {*labels["train"].tolist()}):
        found += untrained_note([classes[number] for number in untrained])
    found += lone_class_notes(labels, classes) if single else []
    for split, earlier, why in SEEN:
        texts = parts[split].texts
        if len(again := seen_rows(parts, split, earlier)):
            found.append(
                f"{len(again)} of {amount(len(texts), 'text')} of {split} stand in {earlier} too, "
                f"{shortened(texts[again[0]])!r} for one: {why}"
            )
    return found


def untrained_note(classes: Sequence[str], unit: str = "text") -> list[str]:
    """A line for classes that no training `unit` has."""
    names = shortened(", ".join(map(repr, classes)), 100)
    return [f"no training {unit} has the labels {names}: nothing is trained for them"] if classes else []


def lone_class_notes(labels: Mapping[Split, numpy.ndarray], classes: Sequence[str], unit: str = "text") -> list[str]:
    """A line for each split that is scored and of which every `unit` has one class, where training has several."""
    if len(numpy.unique(labels["train"])) < 2:
        return []
    there = {split: numpy.unique(labels[split]) for split in ("validation", "test") if split in labels}
    return [
        f"every {unit} of {split} has the label {shortened(classes[found[0]])!r}: scores there say nothing of other labels"
        for split, found in there.items()
        if len(found) == 1
    ]


def seen_rows(parts: Mapping[Split, Splittable], split: Split, earlier: Split = "train") -> numpy.ndarray:
    """The rows of a split that stand in an earlier one too; of texts, white space and case apart."""
    return numpy.isin(parts[split].keys, parts[earlier].keys).nonzero()[0]


def seen_facts(parts: Mapping[Split, Splittable]) -> dict[str, int]:
    """For the record: how many rows of validation and test stand in train too, and how many of test in validation, which may
    be taken from train."""
    return {
        split if earlier == "train" else f"{split}_in_{earlier}": len(seen_rows(parts, split, earlier))
        for split, earlier, _ in SEEN
    }


def _number(label: str) -> float | None:
    try:
        return float(label)
    except ValueError:
        return None
