"""Text classification: the class of a text, on a data set of your own or any of the hub's.

    text     where is my card ?
    tokens   7 4 12 58 3
    target   2                     (the classes are numbered as they sort; answered once, after the last word)

Name the data and its two columns, and nothing has to be written:

    rnnbench train task=text_classification task.hub=ORG/NAME task.text_column=text task.label_column=label model=gru
    rnnbench train task=text_classification task.file=reviews.csv model=gru

`hub` is an id on the Hugging Face hub, or a folder that holds `<split>-*.parquet`; `file` is a CSV, TSV, JSON or parquet
file, or a folder with a `train`, and perhaps a `validation` and a `test` of these. Published splits are used. Without a test
split the validation split is the test; without validation, 5 % of the training texts select; a single file is cut into 80, 10
and 10 %. These cuts are the same for every run, and equal texts stand on one side. Labels are whole numbers or texts; those of
CSV and TSV files are numbers where all of them are. In a TSV file whose lines have equally many tabs each line is a row, and a
quote is a character like others, unless a field stands in quotes as a whole.

Refused, each in one line before anything trains: a column that is not there, a split without rows, a label that is missing (-1)
or that training texts lack, labels that would become one (01 and 1), a text without a word, text that is not UTF-8, two files
for one split, and a vocabulary without a word. Said in one line: a single class, texts with several labels, texts that stand in
train and in a later split, a vocabulary that covers less than half of the training text, files that are not read.

Floor: accuracy on the test split of always answering the class that is the most frequent in training.

Best: none known: it is your data.

Source: your data; its licence is for you to keep.

Data: any set of the hub with a column of texts and one of classes; a file or folder of yours.

Licence: that of your data.

Needs: nothing; jieba the extra zh, bpe the extra tokenizers, torchtext_basic_english the extra torchtext.

Group: your own data.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from rnnbench.data.cache import cache_entry
from rnnbench.data.hub import check_columns, read_split, splits
from rnnbench.data.tables import DataError, check_text, table_digest
from rnnbench.data.user_files import FILES, expanded, file_table, place, user_file
from rnnbench.options import Needs, Positive, Range, Share, shortened

from .shared.facts import load_facts, save_facts
from .shared.labels import Disagreeing, disagreeing, first_place, numbered, oddities, split_row, typed_labels
from .shared.rows import Cut, Rows, Texts, completed, use_rows, write_texts
from .shared.vectors import Vectors
from .task import SPLITS, Facts, Split, Task

if TYPE_CHECKING:
    import pyarrow

WRITTEN = (".csv", ".tsv")  # files whose labels are text, whatever they look like


class TextClassification(Task):
    version = 1
    structure = "N->1"
    causal = False
    headline = "accuracy"
    direction = "max"

    def __init__(
        self,
        hub: str | None = None,  # id on the Hugging Face hub, or a folder that holds <split>-*.parquet
        file: str | None = None,  # a CSV, TSV, JSON or parquet file, or a folder with train, validation and test
        config: Annotated[str | None, Needs("hub")] = None,  # configuration of the hub's data set, where it has several
        revision: Annotated[
            str | None, Needs("hub")
        ] = None,  # revision of the hub's data set; refs/convert/parquet for one with a script
        text_column: str = "text",  # column of the texts
        label_column: str = "label",  # column of the classes: whole numbers or texts
        tokenizer: Literal[  # tokenizer; jieba, bpe and torchtext_basic_english need an extra
            "basic_english", "whitespace", "characters", "bytes", "bpe", "jieba", "torchtext_basic_english"
        ] = "basic_english",
        min_frequency: Positive = 2,  # smallest number of occurrences of a word in the vocabulary
        max_vocabulary: Annotated[int, Range(3)] = 30000,  # largest vocabulary, <pad> and <unk> included
        max_length: Positive = 200,  # largest number of words; longer texts are cut
        vectors: str | None = None,  # file of pretrained word vectors (GloVe, text); network.embedding is their size
        order: Literal[
            "kept", "shuffled"
        ] = "kept",  # order of a text's words; shuffled: random, to measure what order is worth
        solved_above: Share = 1.0,  # accuracy that counts as solved; 1: never
    ):
        if (hub is None) == (file is None):
            raise DataError("task=text_classification needs one of task.hub=ID and task.file=PATH")
        if text_column == label_column:
            raise DataError(f"task.text_column and task.label_column are both {text_column!r}; two columns are needed")
        self.hub, self.file, self.config, self.revision = hub, file, config, revision
        self.text_column, self.label_column, self.order, self.solved_above = text_column, label_column, order, solved_above
        self.cut = Cut(tokenizer, min_frequency, max_vocabulary, max_length)
        self.name = str(hub or file)
        self.vectors = Vectors(vectors, tokenizer.startswith("torchtext")) if vectors else None
        self._unread: list[str] = []  # files or splits beside those that are read
        self._paths = {} if hub else self._files()
        if hub:
            check_columns(hub, splits(hub, config), [text_column, label_column], config)

    def _files(self) -> dict[Split, str]:
        """The file of each split; one that stands alone is for training."""
        folder = expanded(str(self.file))
        if not folder.is_dir():
            user_file(str(self.file))
            return {"train": str(self.file)}
        there = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in FILES]
        files: dict[Split, str] = {}
        for path in there:
            split = next((split for split in SPLITS if split == path.stem), None)
            if split in files:
                raise DataError(
                    f"{self.file} has two files for {split}: {Path(files[split]).name}, {path.name}; keep one of them there"
                )
            if split:
                files[split] = str(path)
        names = [path.name for path in there]
        if "train" not in files:
            raise DataError(
                f"{self.file} has no train{{{','.join(FILES)}}}; there are: {shortened(', '.join(names), 150) or 'none'}"
            )
        self._unread = [path.name for path in there if path.stem not in files]
        return {split: files[split] for split in SPLITS if split in files}

    def _published(self) -> dict[Split, pyarrow.Table]:
        columns = [self.text_column, self.label_column]
        if self.file:
            tables = {split: file_table(path, self.text_column, [self.label_column]) for split, path in self._paths.items()}
            return self._with_typed_labels(tables)
        there = splits(self.name, self.config, self.revision, fetch=True)
        if "train" not in there:
            raise DataError(f"{self.hub}: no split 'train'; there are: {', '.join(there) or 'none'}")
        self._unread = [split for split in there if split not in SPLITS]
        return {split: read_split(self.name, split, columns, self.config, self.revision) for split in SPLITS if split in there}

    def _with_typed_labels(self, tables: dict[Split, pyarrow.Table]) -> dict[Split, pyarrow.Table]:
        written = {split: rows.column(1) for split, rows in tables.items() if self._paths[split].lower().endswith(WRITTEN)}
        for split, labels in typed_labels(written, self._where).items():
            tables[split] = tables[split].set_column(1, self.label_column, labels)
        return tables

    def _where(self, split: Split, row: int) -> str:
        """What a message calls a row: a line of the file, if the file has lines."""
        return place(self._paths[split], row) if self.file else split_row(self.name, split, row)

    def prepare(self) -> None:
        if hasattr(self, "inputs"):
            return
        tables = {split: self._plain(rows, split) for split, rows in self._published().items()}
        self.sha256 = table_digest(*tables.values())
        key = {"version": self.version, "data": self.sha256, "published": list(tables), "cut": list(self.cut), "notes": 2}
        folder = cache_entry("text_classification", key, lambda part: self._make(part, tables))
        facts = load_facts(folder)
        self.classes = facts["classes"]
        odd = (*self._left_unread(), *self._disagreeing(facts["disagreeing"], tables), *facts["notes"])
        self.notes = [f"{self.name}: {line}" for line in odd]
        self.vocabulary = use_rows(self, Rows(folder, len(self.classes), self.order == "shuffled"))

    def _plain(self, rows: pyarrow.Table, split: Split) -> pyarrow.Table:
        """Texts as text and labels as int64 or text; DataError, one line, where they are something else."""
        import pyarrow
        from pyarrow import types

        where, (text, label) = f"{self.name}: split {split!r}", rows.column_names
        check_text(rows, where, [text])
        kind = pyarrow.string()
        if types.is_floating(rows.column(1).type):
            values = rows.column(1).to_pylist()
            odd = next((row for row, value in enumerate(values) if not value.is_integer()), 0)
            raise DataError(f"{self._where(split, odd)} has {values[odd]} for {label!r}; allowed: whole numbers or text")
        if not types.is_boolean(rows.column(1).type):
            check_text(rows, where, [label], numbers=True)
            kind = pyarrow.int64() if types.is_integer(rows.column(1).type) else kind
        try:
            return rows.cast(pyarrow.schema([(text, pyarrow.string()), (label, kind)]))
        except pyarrow.ArrowInvalid:
            raise DataError(f"{where}: column {label!r} has a whole number of more than 64 bits; write it as text") from None

    def _left_unread(self) -> list[str]:
        names = shortened(", ".join(self._unread), 100)
        return [f"not read: {names}; what is read is called {', '.join(SPLITS)}"] if names else []

    def _disagreeing(self, found: Disagreeing, tables: Mapping[Split, pyarrow.Table]) -> list[str]:
        """Texts with several labels; the names of their lines are of this file, the rows are of all of the same content."""
        count, pair = found
        rows = [
            f"{self._where(split, row).removeprefix(f'{self.name}: ')} ({shortened(str(tables[split].column(1)[row]))!r})"
            for split, row in pair
        ]
        return (
            [f"{count} texts have several labels, first {' and '.join(rows)}: no model gets all of them right"] if count else []
        )

    def _make(self, folder: Path, tables: Mapping[Split, pyarrow.Table]) -> None:
        texts, columns = ({split: rows.column(side).to_pylist() for split, rows in tables.items()} for side in (0, 1))
        classes, labels = numbered(columns, self._where)
        parts = completed({split: Texts(texts[split], labels[split]) for split in tables})
        write_texts(folder, self.cut, parts, lambda text: first_place(text, texts, self._where))
        save_facts(folder, {"classes": classes, "notes": oddities(parts, classes), "disagreeing": disagreeing(texts, columns)})

    def about(self) -> Facts:
        return {"sha256": self.sha256, "licence": "that of your data", "classes": len(self.classes), **self.dataset.about()}
