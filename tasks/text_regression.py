"""Text regression: a number for a text, on data of your own: a rating, a price, how alike two texts are.

    text     not bad at all
    tokens   7 4 12 3
    target   0.8                   (less the training mean, over the training deviation; answered once, after the last word)

    rnnbench train task=text_regression task.file=ratings.csv task.value_column=stars model=gru

`hub`, `file`, `train`, `validation` and `test` say where the data lie, and how they are read, as for text_classification. A
split that is missing is taken from the training texts, as there, too; equal texts stand on one side.

`mse` is in squared training deviations; `rmse` and `mae` are in the units of the data; `pearson` is the correlation of
answers and values.

Refused, in one line: a value that is missing or no number, a text without a word, values that are all the same.

Floor: mse on the test split of always answering the mean of the training values.

Best: none known: it is your data.

Source: your data; its licence is for you to keep.

Data: any set of the hub with a column of texts and one of numbers; a file or folder of yours.

Licence: that of your data.

Needs: nothing; jieba the extra zh.

Group: your own data.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import numpy
import torch
from torch import Tensor

from rnnbench.data.cache import cache_entry, read_arrays, write_arrays
from rnnbench.data.series import deviations, numbers
from rnnbench.data.sets import Loaded, load_set
from rnnbench.data.table_files import Reading
from rnnbench.data.tables import DataError, check_text
from rnnbench.data.text import Ragged, Vocabulary, batches_of, evaluation_rows, rows_of
from rnnbench.options import AtLeastZero, Needs, Positive, Range, Where

from .shared.batch import Dataset
from .shared.facts import load_facts, save_facts
from .shared.found import found_line, length_facts, named_splits, odd_splits, one_place, row_facts
from .shared.labels import first_place, seen_facts
from .shared.rows import Cut, Texts, answered_once, completed
from .shared.vectors import Vectors
from .shared.words import WrittenVocabulary, vocabulary_key, vocabulary_notes
from .task import REGRESSION, SPLITS, Batch, Facts, Kept, Reals, Split, Sums, Task, Tokens, Totals


class TextRegression(Task):
    version = 1
    structure = "N->1"
    causal = False
    headline = "mse"
    direction = "min"
    unit = "squared training deviations"

    scoring = REGRESSION
    dataset: ValuedTexts

    def __init__(
        self,
        hub: Annotated[str | None, Where()] = None,  # id on the Hugging Face hub, or a folder
        file: Annotated[str | None, Where()] = None,  # a CSV, TSV, JSON or parquet file, several by a pattern, or a folder
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
        drop_empty: Annotated[bool, Where(path=False)] = False,  # rows without a text or a value are left out, else refused
        text_column: Annotated[str, Where(path=False)] = "text",  # the column with the texts
        value_column: Annotated[str, Where(path=False)] = "value",  # the column with the numbers
        tokenizer: Literal["basic_english", "whitespace", "characters", "jieba"] = "basic_english",  # jieba: the extra zh
        min_frequency: Annotated[Positive, Needs("vocabulary", values=(None,))] = 2,  # smallest number of occurrences of a word
        max_vocabulary: Annotated[int, Range(3), Needs("vocabulary", values=(None,))] = 30000,  # words, special ones included
        max_length: Positive = 200,  # words; the rest of a longer text is cut off
        vocabulary: Annotated[
            str | None, Where()
        ] = None,  # vocabulary in place of the training text's: a file with a token a line, or a JSON list of them
        vectors: Annotated[
            str | None, Where()
        ] = None,  # file of word vectors (GloVe as text) to begin with; network.embedding is their width
        solved_below: AtLeastZero = 0.0,  # mse that counts as solved; 0 = never
    ):
        named = named_splits(train, validation, test)
        reading = Reading(separator, header, encoding, drop_empty=drop_empty)
        self.place = one_place("text_regression", hub, file, config, revision, named, reading)
        if text_column == value_column:
            raise DataError(f"task.text_column and task.value_column are both {text_column!r}; two columns are needed")
        self.columns, self.solved_below = [text_column, value_column], solved_below
        self.cut = Cut(tokenizer, min_frequency, max_vocabulary, max_length)
        self.own_vocabulary = WrittenVocabulary(vocabulary) if vocabulary else None
        self.vectors = Vectors(vectors) if vectors else None

    def look(self) -> None:
        self.place.check(self.columns)

    def prepare(self) -> None:
        if hasattr(self, "inputs"):
            return
        found = load_set(self.place, self.columns)
        published = {split: self._texts(found, split) for split in SPLITS if split in found.tables}
        total = hashlib.sha256()
        for split, part in published.items():
            total.update(f"{split} {len(part)} ".encode() + part.labels.astype("<f8").tobytes())
            total.update("\0".join(part.texts).encode())
        self.sha256 = total.hexdigest()
        key = {"version": self.version, "data": self.sha256, "cut": list(self.cut), "notes": 1}
        key |= vocabulary_key(self.own_vocabulary)
        folder = cache_entry("text_regression", key, lambda folder: self._make(folder, found, published))
        facts = load_facts(folder)
        self.vocabulary = Vocabulary.load(folder / "vocabulary.json")
        self.dataset = ValuedTexts(folder, facts["mean"], facts["deviation"])
        self.inputs, self.targets = Tokens(len(self.vocabulary)), Reals(1)
        self.found = {**found.facts(), **facts["found"]}
        counts = numpy.bincount(self.dataset.tokens["train"].values, minlength=len(self.vocabulary))
        said = (found_line(self.found), *odd_splits(found))
        self.notes = [
            *(f"{self.place.name}: {line}" for line in said),
            *vocabulary_notes(self.own_vocabulary, self.vocabulary, counts),
        ]

    def _texts(self, found: Loaded, split: Split) -> Texts:
        rows = found.tables[split]
        check_text(rows, f"{self.place.name}: split {split!r}", self.columns[:1])
        return Texts(rows.column(0).to_pylist(), numbers(rows.column(1).to_pylist(), lambda row: found.where(split, row)))

    def _make(self, folder: Path, found: Loaded, published: Mapping[Split, Texts]) -> None:
        parts = completed(published)
        texts = {split: part.texts for split, part in parts.items()}
        first = {split: part.texts for split, part in published.items()}
        vocabulary, tokens, lengths = self.cut.encoded(
            texts, lambda text: first_place(text, first, found.where), self.own_vocabulary
        )
        values = parts["train"].labels
        mean, deviation = float(values.mean()), float(deviations(values))
        if values.min() == values.max():
            raise DataError(f"{self.place.name}: every training text has the value {mean:g}; there is nothing to learn")
        vocabulary.save(folder / "vocabulary.json")
        for split in SPLITS:
            answers = ((parts[split].labels - mean) / deviation).astype(numpy.float32)
            rows = tokens[split]
            write_arrays(folder / f"{split}.arrow", {"tokens": (rows.values, rows.offsets), "answers": answers})
        sizes = row_facts({split: len(part) for split, part in parts.items()})
        about = {
            **sizes,
            "seen": seen_facts(parts),
            **length_facts(lengths, self.cut.max_length),
            "mean": mean,
            "deviation": deviation,
        }
        save_facts(folder, {"mean": mean, "deviation": deviation, "found": about})

    def score(self, outputs: Tensor, batch: Batch) -> Sums:
        answered, wanted = (one.double()[batch.scored] for one in (outputs, batch.targets))
        pairs = {"answered": answered, "wanted": wanted, "answered_2": answered**2, "wanted_2": wanted**2}
        moments = {name: value.sum() for name, value in {**pairs, "product": answered * wanted}.items()}
        return super().score(outputs, batch) | moments | {"absolute_error": (answered - wanted).abs().sum()}

    def finish(self, sums: Totals) -> dict[str, float]:
        count, unit = sums["answers"], self.dataset.deviation
        x, y = sums["answered"] / count, sums["wanted"] / count
        spread = (sums["answered_2"] / count - x * x) * (sums["wanted_2"] / count - y * y)
        mse = sums["squared_error"] / count
        return {
            "mse": mse,
            "rmse": math.sqrt(mse) * unit,
            "mae": sums["absolute_error"] / count * unit,
            "pearson": (sums["product"] / count - x * y) / math.sqrt(spread) if spread > 1e-12 else 0.0,
        }

    def restore(self, kept: Kept) -> None:
        super().restore(kept)
        self.targets = Reals(1)

    def about(self) -> Facts:
        facts = {"sha256": self.sha256, "licence": "that of your data", "vocabulary": len(self.vocabulary)}
        return {**facts, **self.dataset.about(), "found": self.found}


class ValuedTexts(Dataset):
    """Texts with a number each, in training deviations from the training mean; the guess is that mean."""

    def __init__(self, folder: Path, mean: float, deviation: float):
        arrays = {split: read_arrays(folder / f"{split}.arrow") for split in SPLITS}
        self.tokens = {split: Ragged(*arrays[split]["tokens"]) for split in SPLITS}
        self.answers = {split: numpy.asarray(arrays[split]["answers"]) for split in SPLITS}
        self.mean, self.deviation = mean, deviation

    @property
    def floor(self) -> float:
        return float(numpy.square(self.answers["test"].astype(numpy.float64)).mean())

    def floor_guess(self, batch: Batch) -> Tensor:
        return torch.zeros_like(batch.targets)

    def row_numbers(self, split: Split, index: int, batch_size: int) -> numpy.ndarray:
        return evaluation_rows(self.tokens[split], index, batch_size)

    def batches(self, split: Split, batch_size: int) -> int:
        return batches_of(self.tokens[split], split, batch_size)

    def batch(self, split: Split, index: int, batch_size: int, seed: int) -> Batch:
        """Rows of similar length; see `Task.batch`."""
        rows = rows_of(self.tokens[split], split, index, batch_size, seed)
        return answered_once(*self.tokens[split].padded(rows, pad=0), self.answers[split][rows].reshape(-1, 1, 1))

    def about(self) -> Facts:
        return {f"{split}_texts": len(texts) for split, texts in self.tokens.items()}
