"""Text classification: the class of a text, on a data set of your own or any of the hub's.

    text     where is my card ?
    tokens   7 4 12 58 3
    target   2                     (the classes are numbered as they sort; answered once, after the last word)

Name the data and its two columns, and nothing has to be written:

    rnnbench train task=text_classification task.hub=ORG/NAME task.text_column=text task.label_column=label model=gru
    rnnbench train task=text_classification task.file=reviews.csv model=gru
    rnnbench train task=text_classification task.train=old.csv task.test=new.csv model=gru

`hub` is an id on the Hugging Face hub, or a folder; `file` is a CSV, TSV, JSON or parquet file, packed too (.gz, .bz2,
.xz), several by a pattern, or a folder: one that `save_to_disk` of datasets wrote, or one of files. Their splits are those
that datasets would find: `train.csv`, `dev.csv` or `val.csv`, `test.csv`; `train/0000.parquet`;
`data/train-00000-of-00001.parquet`; those that `configs:` in the head of a README.md lists. `train`, `validation` and `test`
name splits of the set, rows of them (`train[:80%]`), or files, in their place (`test=validation`). Published splits are used.
Without a test split the validation split is the test; without validation, 5 % of the training texts select; a single file is
cut into 80, 10 and 10 %. These cuts are the same for every run, and equal texts stand on one side.

Labels of CSV and TSV files are text, as it stands there; where all are whole numbers they sort as numbers. Classes that
datasets numbers (ClassLabel) have its names. In a TSV file whose lines have equally many tabs each line is a row, and a quote
is a character like others, unless a field stands in quotes as a whole.

Where data lie, and how they are read, is no part of a run's id; what they are is. Before training, one line says what was
found: files, rows of each split, classes, rows that were dropped, test rows that stand in train or validation, and how long
texts are.
The record keeps it (`found`).

Refused, each in one line before anything trains: a column that is not there, a split without rows, a value that is missing
(unless `drop_empty`), a label that training texts lack, a text without a word, text that is not of its encoding, files of
two kinds for one split, and a vocabulary without a word. Said in one line: a single class, labels that look like one, texts
with several labels, texts that stand in a split and in a later one, a vocabulary that covers less than half of the training
text, rows that two splits have in common, files that are not read.

Floor: accuracy on the test split of always answering the class that is the most frequent in training.

Best: none known: it is your data.

Source: your data; its licence is for you to keep.

Data: any set of the hub with a column of texts and one of classes; a file or folder of yours.

Licence: that of your data.

Needs: nothing; jieba the extra zh, bpe the extra tokenizers, torchtext_basic_english the extra torchtext.

Group: your own data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from rnnbench.data.cache import cache_entry
from rnnbench.data.sets import Loaded, load_set
from rnnbench.data.table_files import BETWEEN, Reading, label_text, streamed
from rnnbench.data.tables import DataError, check_text, table_digest
from rnnbench.options import Needs, Positive, Range, Share, Where, shortened

from .shared.facts import load_facts, save_facts
from .shared.found import found_line, named_splits, odd_splits, one_place, text_facts
from .shared.labels import (
    Disagreeing,
    as_before,
    disagreeing,
    disagreeing_note,
    first_place,
    named_classes,
    numbered,
    oddities,
    typed_labels,
)
from .shared.rows import Cut, Rows, Texts, completed, new_texts, use_rows, write_texts
from .shared.vectors import Vectors
from .shared.words import WrittenVocabulary, vocabulary_key
from .task import CLASSES, SPLITS, Facts, Kept, NewRows, Split, Task

if TYPE_CHECKING:
    import pyarrow


class TextClassification(Task):
    version = 1
    structure = "N->1"
    causal = False
    headline = "accuracy"
    direction = "max"

    scoring = CLASSES
    _numbers: Sequence[str] = ()  # of the classes, where their names are the library's

    def __init__(
        self,
        hub: Annotated[
            str | None, Where()
        ] = None,  # id on the Hugging Face hub, or a folder: of files, or saved by datasets.save_to_disk
        file: Annotated[
            str | None, Where()
        ] = None,  # a CSV, TSV, JSON or parquet file, several by a pattern (part*.csv), or a folder as for hub
        config: Annotated[
            str | None, Where(path=False), Needs("hub")
        ] = None,  # configuration of the hub's data set, of several
        revision: Annotated[
            str | None, Needs("hub")
        ] = None,  # revision of the hub's data set; refs/convert/parquet for one with a script
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
        drop_empty: Annotated[
            bool, Where(path=False)
        ] = False,  # leave out rows without a text or a label; else they are refused
        text_column: str = "text",  # column of the texts
        pair_column: str | None = None,  # second column of texts, read after the first and <sep>, for pairs of texts
        label_column: str = "label",  # column of the classes: whole numbers or texts
        tokenizer: Literal[  # tokenizer; jieba, bpe and torchtext_basic_english need an extra
            "basic_english", "whitespace", "characters", "bytes", "bpe", "jieba", "torchtext_basic_english"
        ] = "basic_english",
        min_frequency: Annotated[Positive, Needs("vocabulary", values=(None,))] = 2,  # smallest number of occurrences of a word
        max_vocabulary: Annotated[int, Range(3), Needs("vocabulary", values=(None,))] = 30000,  # words, special ones included
        max_length: Positive = 200,  # largest number of words; longer texts are cut
        vocabulary: Annotated[
            str | None, Where(), Needs("tokenizer", besides=("bpe",))
        ] = None,  # vocabulary in place of the training text's: a file with a token a line, or a JSON list of them
        vectors: Annotated[
            str | None, Where()
        ] = None,  # file of pretrained word vectors (GloVe, text); network.embedding is their size
        order: Literal[
            "kept", "shuffled"
        ] = "kept",  # order of a text's words; shuffled: random, to measure what order is worth
        solved_above: Share = 1.0,  # accuracy that counts as solved; 1: never
    ):
        named = named_splits(train, validation, test)
        self.place = one_place(
            "text_classification", hub, file, config, revision, named, Reading(separator, header, encoding, quote, drop_empty)
        )
        if text_column == label_column:
            raise DataError(f"task.text_column and task.label_column are both {text_column!r}; two columns are needed")
        self.texts = [text_column, *([pair_column] if pair_column else [])]
        if len({*self.texts, label_column}) < len(self.texts) + 1:
            raise DataError(f"task.pair_column={pair_column!r} is one of the other two columns; a third is needed")
        self.columns, self.order, self.solved_above = [text_column, label_column], order, solved_above
        self.cut = Cut(tokenizer, min_frequency, max_vocabulary, max_length)
        self.own_vocabulary = WrittenVocabulary(vocabulary) if vocabulary else None
        self.vectors = Vectors(vectors, tokenizer.startswith("torchtext")) if vectors else None

    def look(self) -> None:
        self.place.check([*self.columns, *self.texts[1:]])

    def prepare(self) -> None:
        if hasattr(self, "inputs"):
            return
        found = load_set(self.place, [*self.columns, *self.texts[1:]])
        for split, rows in found.tables.items() if self.texts[1:] else ():
            found.tables[split] = self._paired(rows, split)
        written: list[Split] = [split for split in SPLITS if split in found.text_labels]
        labels = typed_labels({split: found.tables[split].column(1) for split in written})
        tables: dict[Split, pyarrow.Table] = {
            split: self._plain(found, split, labels.get(split)) for split in SPLITS if split in found.tables
        }
        before = as_before({split: rows.column(1) for split, rows in tables.items() if split in labels})
        hashed = {**tables, **{split: tables[split].set_column(1, self.columns[1], before[split]) for split in before}}
        self.sha256 = table_digest(*hashed.values())
        key = {"version": self.version, "data": self.sha256, "published": list(tables), "cut": list(self.cut), "notes": 5}
        if any(not hashed[split].equals(tables[split]) for split in tables):
            key["labels"] = table_digest(*tables.values())
        names = found.names(self.columns[1])
        key |= {"names": names} if names else {}
        key |= vocabulary_key(self.own_vocabulary)
        folder = cache_entry("text_classification", key, lambda part: self._make(part, found, tables))
        facts = load_facts(folder)
        self.classes, self._numbers = facts["classes"], facts.get("numbers", ())
        self.found = {**found.facts(), **facts["found"]}
        odd = (*odd_splits(found), *self._disagreeing(facts["disagreeing"], found, tables), *facts["notes"])
        self.notes = [f"{self.place.name}: {line}" for line in (found_line(self.found), *odd)]
        self.vocabulary = use_rows(self, Rows(folder, len(self.classes), self.order == "shuffled"))

    def _paired(self, rows: pyarrow.Table, split: str) -> pyarrow.Table:
        """The table with both texts of a pair in its first column."""
        import pyarrow.compute

        check_text(rows, f"{self.place.name}: split {split!r}", self.texts)
        both = (rows.column(name).cast(pyarrow.string()) for name in self.texts)
        return rows.select(self.columns).set_column(0, self.texts[0], pyarrow.compute.binary_join_element_wise(*both, BETWEEN))

    def _plain(self, found: Loaded, split: Split, labels: pyarrow.ChunkedArray | None) -> pyarrow.Table:
        """Texts as text and labels as int64 or text; DataError, one line, where they are something else."""
        import pyarrow
        from pyarrow import types

        rows = found.tables[split] if labels is None else found.tables[split].set_column(1, self.columns[1], labels)
        where, (text, label) = f"{self.place.name}: split {split!r}", rows.column_names
        check_text(rows, where, [text])
        kind = pyarrow.string()
        if types.is_floating(rows.column(1).type):
            values = rows.column(1).to_pylist()
            odd = next((row for row, value in enumerate(values) if not value.is_integer()), 0)
            raise DataError(f"{found.where(split, odd)} has {values[odd]} for {label!r}; allowed: whole numbers or text")
        if not types.is_boolean(rows.column(1).type):
            check_text(rows, where, [label], numbers=True)
            kind = pyarrow.int64() if types.is_integer(rows.column(1).type) else kind
        try:
            return rows.cast(pyarrow.schema([(text, pyarrow.string()), (label, kind)]))
        except pyarrow.ArrowInvalid:
            raise DataError(f"{where}: column {label!r} has a whole number of more than 64 bits; write it as text") from None

    def _disagreeing(self, odd: Disagreeing, found: Loaded, tables: Mapping[Split, pyarrow.Table]) -> list[str]:
        """Texts with several labels; the names of their lines are of this file, the rows are of all of the same content."""

        def where(split: Split, row: int) -> str:
            (label,) = named_classes([str(tables[split].column(1)[row])], found.names(self.columns[1]))
            return f"{found.where(split, row)} ({shortened(label)!r})"

        return disagreeing_note(odd, self.place.name, where, "several labels")

    def _make(self, folder: Path, found: Loaded, tables: Mapping[Split, pyarrow.Table]) -> None:
        numbers, labels = numbered({split: rows.column(1).to_pylist() for split, rows in tables.items()}, found.where)
        names = found.names(self.columns[1])
        classes = named_classes(numbers, names)
        texts = {split: rows.column(0).to_pylist() for split, rows in tables.items()}
        published = {split: Texts(texts[split], labels[split]) for split in tables}
        odd = disagreeing(published)
        parts = completed(published)
        lengths = write_texts(folder, self.cut, parts, lambda text: first_place(text, texts, found.where), self.own_vocabulary)
        facts = text_facts(parts, classes, lengths, self.cut.max_length)
        about = {"numbers": numbers} if names else {}
        save_facts(folder, {"classes": classes, "notes": oddities(parts, classes), "disagreeing": odd, "found": facts, **about})

    def keep(self) -> Kept:
        return {**super().keep(), "classes": self.classes, **({"numbers": self._numbers} if self._numbers else {})}

    def restore(self, kept: Kept) -> None:
        super().restore(kept)
        names = kept.get("classes", ())  # runs of earlier versions do not keep them
        self.classes = [] if isinstance(names, int) else list(names)
        numbers = kept.get("numbers", ())
        self._numbers = () if isinstance(numbers, int) else numbers

    def new_rows(self, path: str) -> Iterator[NewRows]:
        if self.order == "shuffled":
            raise DataError("order=shuffled: its texts were read in an order that new texts do not have")
        named = dict(zip(self._numbers, self.classes, strict=False))

        def as_label(value: Any) -> str | None:
            label = label_text(value)
            return None if label is None else named.get(label, label)

        return new_texts(self.cut, self.vocabulary, streamed(path, self.texts, self.columns[1], self.place.reading, as_label))

    def about(self) -> Facts:
        facts = {"sha256": self.sha256, "licence": "that of your data", "classes": len(self.classes), **self.dataset.about()}
        return {**facts, "found": self.found}
