"""Sequence classification: the class of a sequence of numbers, on data of your own.

    inputs   0.1 0.9 1.3 0.4     (a number a step, or several; less the training mean, over the training deviation)
    target   walk                (answered once, after the last step)

    rnnbench train task=sequence_classification task.file=gestures.csv model=gru
    rnnbench train task=sequence_classification task.train=Beef_TRAIN.ts task.test=Beef_TEST.ts model=lstm

`file` is a `.ts` file of the UCR and UEA archives (values between commas, dimensions between colons, the class last), or a CSV
or TSV file with a sequence a row (`label_column` is its class, the other columns are its steps, in their order, and a shorter
sequence leaves the last ones empty), or a JSON or parquet file with a column of lists (`values_column`: numbers, or lists with
a number for each dimension). A folder is split as for text_classification; in names of `.ts` files case does not count.
Without a validation split `held_out` of the training sequences select; of a single file as many are the test. These cuts are
the same for every run, and equal sequences stand on one side. Classes are text.

Refused, in one line: a value that is missing or no number, rows of other dimensions, a class of a named split that training
lacks. Said in one line: a class that the cut left to validation or test, splits of the same rows, files that are not read.

Floor: accuracy on the test split of always answering the class that is the most frequent in training.

Best: none known: it is your data.

Source: your data; its licence is for you to keep. The archives: Dau et al. 2019, arXiv:1810.07758 (UCR); Bagnall et al. 2018,
arXiv:1811.00075 (UEA).

Data: files of yours; any set of the hub with a column of lists and one of classes.

Licence: that of your data.

Needs: nothing.

Group: your own data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from typing import Annotated, Literal

import numpy

from rnnbench.data.series import Series, deviations, joined_series, listed_rows, read_series
from rnnbench.data.sets import Files, Part, Sliced, Splits
from rnnbench.data.table_files import FILES, Reading, columns_of, file_kind
from rnnbench.data.tables import DataError
from rnnbench.data.text import evaluation_rows
from rnnbench.options import Needs, Range, Share, Where

from .shared.found import found_line, length_facts, named_splits, odd_splits, one_place, row_facts
from .shared.labels import lone_class_notes, named_classes, numbered, seen_facts, untrained_note
from .shared.rows import answered_once, completed
from .shared.series import ClassifiedSequences, LabelledSequences
from .task import CLASSES, SPLITS, Facts, Kept, NewRows, Reals, Split, Task, Tokens

TOGETHER = 1000  # new sequences that are answered at once
WIDE = (".ts", ".csv", ".tsv")  # files with a sequence a row
KINDS = (*FILES, ".ts")


class SequenceClassification(Task):
    version = 1
    structure = "N->1"
    causal = False
    headline = "accuracy"
    direction = "max"

    scoring = CLASSES
    dataset: ClassifiedSequences

    def __init__(
        self,
        hub: Annotated[str | None, Where()] = None,  # id on the Hugging Face hub, or a folder
        file: Annotated[str | None, Where()] = None,  # a .ts, CSV, TSV, JSON or parquet file, several by a pattern, or a folder
        config: Annotated[str | None, Where(path=False), Needs("hub")] = None,  # of the hub's data set, where it has several
        revision: Annotated[str | None, Needs("hub")] = None,  # of the hub's data set
        train: Annotated[str | None, Where()] = None,  # the split of the set that trains, or a file
        validation: Annotated[str | None, Where()] = None,  # the split that selects, or a file
        test: Annotated[str | None, Where()] = None,  # the split that is reported, or a file
        separator: Annotated[
            str, Where(path=False), Needs("file", "train")
        ] = "auto",  # of a text file: comma, tab, semicolon, bar, space or a character; auto: a tab in .tsv, else a comma
        header: Annotated[
            bool, Where(path=False), Needs("file", "train")
        ] = True,  # of a text file: whether its first line names the columns; else they are called 0, 1, ...
        encoding: Annotated[str, Where(path=False), Needs("file", "train")] = "utf-8",  # of a text file
        values_column: Annotated[str, Where(path=False)] = "values",  # of a JSON or parquet file: the column of lists
        label_column: Annotated[str, Where(path=False)] = "label",  # the column with the classes
        held_out: Annotated[
            float, Range(0, 0.5, open_low=True, open_high=True)
        ] = 0.2,  # share of the training sequences that selects, or is the test, where there is no such split
        scale: Literal["standard", "none"] = "standard",  # standard: less the training mean, over the training deviation
        solved_above: Share = 1.0,  # accuracy that counts as solved; 1 = never
    ):
        named = named_splits(train, validation, test)
        self.reading = Reading(separator, header, encoding)
        self.place = one_place("sequence_classification", hub, file, config, revision, named, self.reading, KINDS)
        self.values_column, self.label_column, self.held_out = values_column, label_column, held_out
        self.scale, self.solved_above = scale, solved_above

    def look(self) -> None:
        self.place.parts()

    def prepare(self) -> None:
        if hasattr(self, "inputs"):
            return
        found = Splits(*self.place.parts(fetch=True))
        series: dict[Split, Series] = {split: self._read(found.parts[split]) for split in SPLITS if split in found.parts}
        if len(widths := {one.values.shape[1] for one in series.values()}) > 1:
            raise DataError(
                f"{self.place.name}: splits of {min(widths)} and {max(widths)} dimensions; expected the same for all"
            )
        self.sha256 = hashlib.sha256(b"".join(_content(one) for one in series.values())).hexdigest()
        self.sha256 = hashlib.sha256(f"{self.sha256} {list(series)}".encode()).hexdigest()
        self.classes, labels = numbered(
            {split: one.labels for split, one in series.items()}, lambda split, row: series[split].where(row), unit="sequence"
        )
        names = found.names(self.label_column)
        self.numbers, self.classes = self.classes, named_classes(self.classes, names)
        published = {split: LabelledSequences.of(one, labels[split]) for split, one in series.items()}
        parts = completed(published, self.held_out, (self.held_out, self.held_out / (1 - self.held_out)))
        self.found = {**found.facts(), **self._facts(parts)}
        values = numpy.concatenate(parts["train"].rows).astype(numpy.float64)
        self.mean, self.deviation = values.mean(0), deviations(values)
        if self.scale == "none":
            self.mean, self.deviation = numpy.zeros(values.shape[1]), numpy.ones(values.shape[1])
        parts = {
            split: LabelledSequences([self._scaled(row) for row in part.rows], part.labels) for split, part in parts.items()
        }
        self.dataset = ClassifiedSequences(parts, len(self.classes))
        self.inputs, self.targets = Reals(widths.pop()), Tokens(len(self.classes))
        every = numpy.concatenate([part.labels for part in parts.values()])
        lacking = numpy.setdiff1d(every, parts["train"].labels).tolist()
        untrained = untrained_note([self.classes[number] for number in lacking], "sequence")
        lone = lone_class_notes({split: part.labels for split, part in parts.items()}, self.classes, "sequence")
        odd = (*odd_splits(found), *untrained, *lone)
        said = (found_line(self.found, "steps"), *odd)
        self.notes = [f"{self.place.name}: {line}" for line in said]

    def _read(self, part: Part, new: bool = False) -> Series:
        """The sequences of a split; those of a `new` file may lack their classes."""
        if isinstance(part, Sliced):
            picked = part.pick(lambda one: _rows(self._read(one)))
            return joined_series(picked, lambda row: f"{part.name}: sequence {row + 1}", part.name)
        if isinstance(part, Files) and file_kind(part.files[0]) in WIDE:
            several = [read_series(path, self.label_column, self.reading, new) for path in part.files]
            part.sizes = [len(one.offsets) - 1 for one in several]
            places = [partial(one.where, row) for one in several for row in range(len(one.offsets) - 1)]
            rows = (row for one in several for row in _rows(one))
            return several[0] if len(several) == 1 else joined_series(rows, lambda row: places[row](), part.files[0])
        unlabelled = new and self.label_column not in columns_of(part.files[0], self.reading)
        table = part.read([self.values_column, *([] if unlabelled else [self.label_column])], text=False).table
        values, *labels = (column.to_pylist() for column in table.columns)
        return joined_series(listed_rows(values, labels[0] if labels else None, part.where), part.where, part.files[0])

    def _facts(self, parts: dict[Split, LabelledSequences]) -> dict[str, object]:
        counts = numpy.bincount(numpy.concatenate([part.labels for part in parts.values()]), minlength=len(self.classes))
        return {
            **row_facts({split: len(part) for split, part in parts.items()}),
            "classes": {name: int(count) for name, count in zip(self.classes, counts, strict=True)},
            "seen": seen_facts(parts),
            **length_facts({split: numpy.array([len(row) for row in part.rows]) for split, part in parts.items()}),
        }

    def _scaled(self, row: numpy.ndarray) -> numpy.ndarray:
        return ((row - self.mean) / self.deviation).astype(numpy.float32)

    def keep(self) -> Kept:
        numbers = {"mean": [repr(float(one)) for one in self.mean], "deviation": [repr(float(one)) for one in self.deviation]}
        return {**numbers, "classes": list(self.classes), "numbers": list(self.numbers)}

    def restore(self, kept: Kept) -> None:
        self.classes, self.mean, self.deviation = (kept[name] for name in ("classes", "mean", "deviation"))  # type: ignore[assignment]
        self.numbers = kept.get("numbers", self.classes)  # type: ignore[assignment] # runs of earlier versions do not keep them
        self.mean, self.deviation = (numpy.array(list(map(float, one))) for one in (self.mean, self.deviation))
        self.inputs, self.targets = Reals(len(self.mean)), Tokens(len(self.classes))

    def new_rows(self, path: str) -> Iterator[NewRows]:
        part = Files([path], self.reading)
        series = self._read(part, new=True)
        if series.values.shape[1] != self.inputs.size:
            raise DataError(f"{path} has {series.values.shape[1]} dimensions; the run was trained on {self.inputs.size}")
        rows = numpy.split(series.values, series.offsets[1:-1])
        for begin in range(0, len(rows), TOGETHER):
            steps = LabelledSequences([self._scaled(row) for row in rows[begin : begin + TOGETHER]], numpy.zeros(0)).ragged()
            batches = []
            for index in range(-(-len(steps) // 100)):
                places = evaluation_rows(steps, index, 100)
                batches.append((places, answered_once(*steps.padded(places, pad=0))))
            named = dict(zip(self.numbers, self.classes, strict=True))
            known = [named.get(label, label) for label in series.labels[begin : begin + TOGETHER]]
            labels: list[str | None] = [*known] or [None] * len(steps)
            yield NewRows([f"row {begin + number + 1}" for number in range(len(steps))], labels, batches)

    def about(self) -> Facts:
        facts = {"sha256": self.sha256, "licence": "that of your data", "classes": len(self.classes), **self.dataset.about()}
        return {**facts, "found": self.found}


def _rows(series: Series) -> list[tuple[numpy.ndarray, str]]:
    return list(zip(numpy.split(series.values, series.offsets[1:-1]), series.labels, strict=True))


def _content(series: Series) -> bytes:
    """What the fingerprint is made of."""
    labels = "\0".join(series.labels).encode()
    shape = f"{series.values.shape} ".encode()
    return hashlib.sha256(shape + series.values.tobytes() + series.offsets.astype("<i8").tobytes() + labels).digest()
