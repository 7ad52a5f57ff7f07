"""Multilabel classification: the labels of a text, none, one or several, on data of your own: topics, emotions, faults.

    text     the screen is cracked and it will not charge
    tokens   4 12 7 33 9 5 21 8 40
    target   0 1 0 1               (one where the text has the label; answered once, after the last word)

    rnnbench train task=text_labels task.file=tickets.csv model=gru

`hub`, `file`, `train`, `validation` and `test` say where the data lie, and how they are read, as for text_classification. A
split that is missing is taken from the training texts, as there, too; equal texts stand on one side. The column of labels
holds lists of texts or of whole numbers (JSON, parquet), or text with `label_separator` between labels: `screen;battery`.
Labels that datasets numbers (ClassLabel) have its names. An empty list or an empty field is a text without labels.

Each label has a probability of its own: the sigmoid of an output, trained with the binary cross-entropy. A label is answered
where its probability is more than a half. `micro_f1` is the F1 of all labels of all texts together, `macro_f1` the mean over
labels of their F1, which is 0 of a label that is neither answered nor there. `exact` is the share of texts whose labels are
all right, and `loss` is in nats a text, summed over labels. The record has precision, recall and F1 of each label.

Refused, in one line: labels of another type, an empty label among others, a label that a later split has and training lacks.

Floor: micro-F1 on the test split of always answering the labels whose answer has the highest micro-F1 in training.

Best: none known: it is your data.

Source: your data; its licence is for you to keep.

Data: any set of the hub with a column of texts and one of labels; a file or folder of yours.

Licence: that of your data.

Needs: nothing; jieba the extra zh.

Group: your own data.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy
import torch
from torch import Tensor

from rnnbench.data.cache import cache_entry
from rnnbench.data.sets import Loaded, load_set
from rnnbench.data.table_files import NAMED, Reading, streamed
from rnnbench.data.tables import DataError, check_text
from rnnbench.data.text import Ragged
from rnnbench.options import Needs, Positive, Range, Share, Where, shortened

from .shared.facts import load_facts, save_facts
from .shared.found import found_line, named_splits, odd_splits, one_place, text_facts
from .shared.labels import disagreeing, disagreeing_note, first_place, named_classes, numbered, oddities, typed_labels
from .shared.rows import Cut, Rows, Texts, completed, new_texts, use_rows, write_texts
from .shared.vectors import Vectors
from .shared.words import WrittenVocabulary, vocabulary_key
from .task import LABELS, SPLITS, Batch, Bits, Facts, Kept, NewRows, Split, Task


class TextLabels(Task):
    version = 1
    structure = "N->1"
    causal = False
    headline = "micro_f1"
    direction = "max"

    scoring = LABELS
    dataset: LabelSets
    _numbers: Sequence[str] = ()  # of the labels in the data, where their names are the library's; else their names

    def __init__(
        self,
        hub: Annotated[str | None, Where()] = None,  # id on the Hugging Face hub, or a folder
        file: Annotated[str | None, Where()] = None,  # a CSV, TSV, JSON or parquet file, several by a pattern, or a folder
        config: Annotated[str | None, Where(path=False), Needs("hub")] = None,  # of the hub's data set, where it has several
        revision: Annotated[str | None, Needs("hub")] = None,  # of the hub's data set
        train: Annotated[str | None, Where()] = None,  # split or file for training
        validation: Annotated[str | None, Where()] = None,  # split or file for validation
        test: Annotated[str | None, Where()] = None,  # split or file for the test
        separator: Annotated[
            str, Where(path=False), Needs("file", "train")
        ] = "auto",  # of a text file: comma, tab, semicolon, bar, space or a character; auto: a tab in .tsv, else a comma
        header: Annotated[
            bool, Where(path=False), Needs("file", "train")
        ] = True,  # the first line of a text file names the columns; else they are called 0, 1, ...
        encoding: Annotated[str, Where(path=False), Needs("file", "train")] = "utf-8",  # encoding of a text file
        quote: Annotated[
            Literal["auto", "double", "single", "none"], Where(path=False), Needs("file", "train")
        ] = "auto",  # quotation mark around a field of a text file that holds a separator
        drop_empty: Annotated[bool, Where(path=False)] = False,  # leave out rows without a text; else they are refused
        text_column: Annotated[str, Where(path=False)] = "text",  # column of the texts
        label_column: Annotated[str, Where(path=False)] = "label",  # column of the labels: lists, or text with separators
        label_separator: Annotated[
            str, Where(path=False)
        ] = "semicolon",  # between labels: comma, tab, semicolon, bar, space or a text
        tokenizer: Literal["basic_english", "whitespace", "characters", "jieba"] = "basic_english",  # jieba: the extra zh
        min_frequency: Annotated[Positive, Needs("vocabulary", values=(None,))] = 2,  # smallest number of occurrences of a word
        max_vocabulary: Annotated[int, Range(3), Needs("vocabulary", values=(None,))] = 30000,  # words, special ones included
        max_length: Positive = 200,  # largest number of words; longer texts are cut
        vocabulary: Annotated[
            str | None, Where()
        ] = None,  # vocabulary in place of the training text's: a file with a token a line, or a JSON list of them
        vectors: Annotated[
            str | None, Where()
        ] = None,  # file of pretrained word vectors (GloVe, text); network.embedding is their size
        solved_above: Share = 1.0,  # micro-F1 that counts as solved; 1: never
    ):
        named = named_splits(train, validation, test)
        reading = Reading(separator, header, encoding, quote, drop_empty, may_be_empty=label_column)
        self.place = one_place("text_labels", hub, file, config, revision, named, reading)
        if text_column == label_column:
            raise DataError(f"task.text_column and task.label_column are both {text_column!r}; two columns are needed")
        if not label_separator:
            raise DataError(f"task.label_separator='' is not allowed; allowed: {', '.join(NAMED)}, or a text")
        self.columns, self.solved_above = [text_column, label_column], solved_above
        self.label_separator = NAMED.get(label_separator, label_separator)
        self.cut = Cut(tokenizer, min_frequency, max_vocabulary, max_length)
        self.own_vocabulary = WrittenVocabulary(vocabulary) if vocabulary else None
        self.vectors = Vectors(vectors) if vectors else None

    def look(self) -> None:
        self.place.check(self.columns)

    def prepare(self) -> None:
        if hasattr(self, "inputs"):
            return
        found = load_set(self.place, self.columns)
        self.classes, rows = self._labels(found)
        sets = {labels: number for number, labels in enumerate(dict.fromkeys(one for side in rows.values() for one in side))}
        published = {
            split: Texts(found.tables[split].column(0).to_pylist(), numpy.array([sets[one] for one in labels]))
            for split, labels in rows.items()
        }
        total = hashlib.sha256(json.dumps(self.classes).encode())
        for split, part in published.items():
            total.update(f"{split} {len(part)} ".encode())
            for pair in zip(part.texts, rows[split], strict=True):
                total.update(json.dumps(pair).encode())
        self.sha256 = total.hexdigest()
        key = {"version": self.version, "data": self.sha256, "cut": list(self.cut), "notes": 1}
        key |= vocabulary_key(self.own_vocabulary)
        folder = cache_entry("text_labels", key, lambda part: self._make(part, found, published, list(sets)))
        facts = load_facts(folder)
        self.found = {**found.facts(), **facts["found"]}
        differing = disagreeing_note(facts["disagreeing"], self.place.name, found.where, "different labels")
        said = (found_line(self.found), *odd_splits(found), *differing, *facts["notes"])
        self.notes = [f"{self.place.name}: {line}" for line in said]
        self.vocabulary = use_rows(self, LabelSets(folder, facts["sets"], len(self.classes)))
        self.targets = Bits(len(self.classes))

    def _labels(self, found: Loaded) -> tuple[list[str], dict[Split, list[tuple[int, ...]]]]:
        """(names of the labels, in order, and of each row of each split the numbers of its labels, in order)."""
        import pyarrow

        rows = {split: self._written(found, split) for split in SPLITS if split in found.tables}
        ends = {split: numpy.cumsum([len(row) for row in side]) for split, side in rows.items()}
        every = {split: [label for row in side for label in row] for split, side in rows.items()}
        if not every["train"]:
            raise DataError(f"{self.place.name}: no training text has a label; there is nothing to learn")
        texts = {split: values for split, values in every.items() if split in found.text_labels}
        typed = typed_labels({split: pyarrow.chunked_array([values], pyarrow.string()) for split, values in texts.items()})
        every |= {split: column.to_pylist() for split, column in typed.items()}

        def where(split: Split, label: int) -> str:
            return found.where(split, int(numpy.searchsorted(ends[split], label, side="right")))

        names, numbers = numbered({split: values for split, values in every.items() if values}, where)
        nothing = numpy.zeros(0, numpy.int64)
        self._numbers, classes = names, named_classes(names, found.names(self.columns[1]))
        if odd := next((name for name in classes if self.label_separator in name), ""):
            raise DataError(
                f"{self.place.name}: the label {shortened(odd)!r} holds {self.label_separator!r}, the text between labels; "
                "task.label_separator= names another"
            )
        return classes, {
            split: [tuple(sorted({*one.tolist()})) for one in numpy.split(numbers.get(split, nothing), ends[split][:-1])]
            for split in rows
        }

    def _written(self, found: Loaded, split: Split) -> list[list[Any]]:
        """The labels of each row as the data have them; DataError, one line, where they are no labels."""
        from pyarrow import types

        table, separator = found.tables[split], self.label_separator
        check_text(table, f"{self.place.name}: split {split!r}", self.columns[:1])
        kind, values = table.column(1).type, table.column(1).to_pylist()
        if types.is_string(kind) or types.is_large_string(kind):
            rows = [[label.strip() for label in value.split(separator)] if value.strip() else [] for value in values]
        elif types.is_integer(kind):
            rows = [[value] for value in values]
        elif types.is_list(kind) or types.is_large_list(kind):
            rows = values
        else:
            raise DataError(
                f"{self.place.name}: split {split!r}: column {self.columns[1]!r} holds {kind}; allowed: lists of texts or of "
                f"whole numbers, or text with {separator!r} between labels"
            )
        for number, row in enumerate(rows):
            for label in row:
                if type(label) not in (str, int) or label == "":
                    said = "an empty label" if label in ("", None) else f"{label!r} for a label"
                    raise DataError(f"{found.where(split, number)} has {said}; allowed: texts or whole numbers")
                if rows is values and isinstance(label, str) and separator in label:
                    raise DataError(
                        f"{found.where(split, number)} has the label {label!r}, which holds {separator!r}, the text between "
                        "labels; task.label_separator= names another"
                    )
        return rows

    def _make(self, folder: Path, found: Loaded, published: Mapping[Split, Texts], sets: Sequence[tuple[int, ...]]) -> None:
        parts = completed(published)
        texts = {split: part.texts for split, part in published.items()}
        lengths = write_texts(folder, self.cut, parts, lambda text: first_place(text, texts, found.where), self.own_vocabulary)
        labels = {split: numpy.array([one for row in part.labels for one in sets[row]], int) for split, part in parts.items()}
        notes, odd = oddities(parts, self.classes, labels), disagreeing(published)
        facts = text_facts(parts, self.classes, lengths, self.cut.max_length, labels)
        save_facts(folder, {"sets": sets, "notes": notes, "disagreeing": odd, "found": facts})

    def keep(self) -> Kept:
        return {**super().keep(), "classes": self.classes, "numbers": self._numbers}

    def restore(self, kept: Kept) -> None:
        super().restore(kept)
        names, numbers = kept["classes"], kept["numbers"]
        assert not isinstance(names, int) and not isinstance(numbers, int)
        self.classes, self._numbers, self.targets = list(names), numbers, Bits(len(names))

    def new_rows(self, path: str) -> Iterator[NewRows]:
        as_label = partial(self._joined, dict(zip(self._numbers, self.classes, strict=True)))
        rows = streamed(path, self.columns[:1], self.columns[1], self.place.reading, as_label)
        return new_texts(self.cut, self.vocabulary, rows)

    def _joined(self, named: Mapping[str, str], value: Any) -> str | None:
        """The labels of a new row, as an answer is written; None where they are missing. `named`: names by numbers."""
        if value is None:
            return None
        if isinstance(value, str):
            value = [label.strip() for label in value.split(self.label_separator)]
        labels = map(str, value if isinstance(value, list) else [value])
        return self.label_separator.join(named.get(label, label) for label in labels)

    def about(self) -> Facts:
        facts = {"sha256": self.sha256, "licence": "that of your data", "labels": len(self.classes), **self.dataset.about()}
        return {**facts, "found": self.found}


class LabelSets(Rows):
    """Texts that have some of several labels; the answer of a row is the number of its set of labels."""

    def __init__(self, folder: Path, sets: Sequence[Sequence[int]], labels: int):
        """What `write_texts` left in `folder`; `sets` are the numbers of the labels, below `labels`, of each set."""
        self.sets, self.labels = Ragged.of(sets), labels
        super().__init__(folder, len(sets))

    def _ones(self, numbers: numpy.ndarray) -> numpy.ndarray:
        """(B, labels) float32: one where a set has the label."""
        found = numpy.zeros((len(numbers), self.labels + 1), numpy.float32)
        numpy.put_along_axis(found, self.sets.padded(numbers, pad=self.labels)[0], 1, axis=1)
        return found[:, :-1]

    def _counts(self, split: Split) -> numpy.ndarray:
        """(labels,) how many texts of a split have each label."""
        rows = numpy.bincount(self._numbers(split), minlength=len(self.sets))
        return numpy.bincount(self.sets.values, numpy.repeat(rows, self.sets.lengths), minlength=self.labels)

    def _numbers(self, split: Split) -> numpy.ndarray:
        """(texts,) the number of the set of each text."""
        numbers = self.answers[split]
        assert isinstance(numbers, numpy.ndarray)
        return numbers

    def _guess(self) -> numpy.ndarray:
        """(labels,) bool: the labels that, always answered, have the highest micro-F1 in training: some of the commonest."""
        counts = self._counts("train")
        order = numpy.argsort(-counts, kind="stable")
        sizes = numpy.arange(1, len(order) + 1)
        scores = 2 * counts[order].cumsum() / (sizes * len(self.tokens["train"]) + counts.sum())
        guess = numpy.zeros(len(order), bool)
        guess[order[: sizes[scores.argmax()]]] = True
        return guess

    @property
    def floor(self) -> float:
        counts = self._counts("test")
        return float(2 * counts[self.guess].sum() / (self.guess.sum() * len(self.tokens["test"]) + counts.sum()))

    def floor_guess(self, batch: Batch) -> Tensor:
        """(B, 1, labels): 1 where the label is answered, else -1."""
        signs = torch.from_numpy(numpy.where(self.guess, 1.0, -1.0)).to(batch.targets.device)
        return signs.float().expand(*batch.targets.shape)

    def batch(self, split: Split, index: int, batch_size: int, seed: int) -> Batch:
        found = super().batch(split, index, batch_size, seed)
        return found._replace(targets=torch.from_numpy(self._ones(found.targets[:, 0].numpy())).unsqueeze(1))
