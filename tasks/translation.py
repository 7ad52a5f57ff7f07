"""Translation: read a sentence, then write it in another language.

    source   zwei hunde spielen im schnee .
    inputs   $ two dogs play in the snow .          ($ starts; while training, the true words are fed)
    targets  two dogs play in the snow . $          ($ ends)

multi30k, German to English: 29,000, 1,014 and 1,000 captions of pictures, published splits (test: 2016, flickr). `hub` may
be any other data set with a column for each language, or with the column `translation` of both that datasets makes,
`local/tatoeba_en_zh` (English and Chinese, split by the English sentence) among them. Files of yours: `file`, `train`,
`validation` and `test`, as for text_classification; a split that is missing is taken from the training pairs, the same for
every run. Vocabularies are of the training rows. Words are the tokens of sacrebleu's tokenizer 13a, which BLEU counts.

BLEU (0 to 100) and chrF are sacrebleu's, over the corpus, from statistics that add up over batches. What was written, joined by
spaces where it is words, is held against the reference as the data set has it, and sacrebleu cuts both by `bleu`. With
`lowercase` all is lower case, the references too: such a BLEU is higher than a cased one. Where a source has several
translations, each is a row with one reference. `word_by_word_bleu`, in the record, is the baseline N->N: each word replaced by
the likeliest one of IBM model 1 (Brown et al. 1993), in the order of the source.

Floor: BLEU on the test split of always writing the training sentence that has the highest BLEU over the training rows.

Best: none quoted: BLEU in lower case by tokenizer 13a is not what papers print.

Source: Elliott et al. 2016, arXiv:1605.00459, as bentrevett/multi30k (CC BY-NC-SA 4.0; captions of Flickr30k: research use).
Tatoeba: tatoeba.org by way of manythings.org/anki (CC BY 2.0 FR). BLEU: Papineni et al. 2002; Post 2018, arXiv:1804.08771.

Data: multi30k (31,014 pairs), from the hub; tatoeba_en_zh, from a mirror; any pairs of texts.

Licence: CC BY-NC-SA 4.0 (multi30k); CC BY 2.0 FR (Tatoeba).

Needs: the extra translation.

Group: text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import numpy
from torch import Tensor

from rnnbench.data.cache import cache_entry
from rnnbench.data.sets import Part, Place, Splits
from rnnbench.data.split_names import instructed
from rnnbench.data.tables import DataError, check_sound, check_text, table_digest
from rnnbench.data.text import characters, need
from rnnbench.data.user_files import expanded, text_file
from rnnbench.options import AtLeastZero, Positive, Range, Where

from .shared.bleu import COUNTED, bleu_counts, bleu_scores
from .shared.facts import load_facts, save_facts
from .shared.floors import dictionary, most_bleu
from .shared.found import found_line, length_facts, named_splits, odd_splits, row_facts
from .shared.pairs import PairPart, Pairs, asked_rows, sums, use_pairs, write_pairs
from .shared.rows import completed, none_empty, text_keys
from .task import SPLITS, WRITING, Batch, Facts, Kept, Split, Sums, Task, Totals

if TYPE_CHECKING:
    import pyarrow


HUB = "bentrevett/multi30k"  # what is read by default
FEATURE = "translation"  # the column in which datasets keeps both texts
Found = TypeVar("Found")
NOT_KNOWN = "\u2047"  # how `<unk>` is written; no text has it
LICENCES = {"bentrevett/multi30k": "CC BY-NC-SA 4.0", "local/tatoeba_en_zh": "CC BY 2.0 FR"}


class Translation(Task):
    version = 1
    structure = "N->M"
    causal = False
    answers = True
    headline = "bleu"
    direction = "max"
    most = 100.0
    unit = "of 100"

    scoring = WRITING
    dataset: Pairs
    found: Facts = {}  # what was found of data that are named

    def __init__(
        self,
        hub: Annotated[
            str, Where(besides=("bentrevett/multi30k", "local/tatoeba_en_zh"))
        ] = "bentrevett/multi30k",  # id on the hub, local/<name>, or a folder: of tables, or of <split>.<column>
        file: Annotated[
            str | None, Where()
        ] = None,  # in place of hub: a CSV, TSV, JSON or parquet file with both columns, several by a pattern, or a folder
        train: Annotated[str | None, Where()] = None,  # split or file for training
        validation: Annotated[str | None, Where()] = None,  # split or file for validation
        test: Annotated[str | None, Where()] = None,  # split or file for the test
        source_column: str = "de",  # column of the texts that are read
        target_column: str = "en",  # column of the texts that are written
        source_symbols: Literal["words", "characters"] = "words",  # read words, or characters
        target_symbols: Literal["words", "characters"] = "words",  # write words, or characters
        bleu: Literal["13a", "zh", "char", "intl", "none"] = "13a",  # tokenizer of sacrebleu; zh for Chinese
        lowercase: bool = True,  # lower-case sources, targets and references
        min_frequency: Positive = 2,  # smallest number of occurrences of a symbol in a vocabulary
        max_vocabulary: Annotated[int, Range(3)] = 30000,  # largest vocabulary of each side
        max_length: Positive = 100,  # largest number of symbols that are read or written
        solved_above: AtLeastZero = 100.0,  # BLEU that counts as solved; 100: never
    ):
        self.columns, self.kinds = (source_column, target_column), (source_symbols, target_symbols)
        self.tokenizer, self.lowercase, self.solved_above = bleu, lowercase, solved_above
        self.min_frequency, self.max_vocabulary, self.max_length = min_frequency, max_vocabulary, max_length
        need("sacrebleu", "translation")
        if source_column == target_column:
            raise ValueError(f"source_column and target_column are both {source_column!r}; two languages are needed")
        named = named_splits(train, validation, test)
        # a file, not a split of the set that is read by default
        alone = train is not None and hub == HUB and not instructed(train) and train not in SPLITS
        self.place = Place(None if file or alone else hub, file, named=named)
        self.name = self.place.name
        self.texts = expanded(hub) if not file and hub[:1] in (".", "/", "~") else None  # of a folder with a text a line
        if self.texts is None or not (self.texts / f"train.{source_column}").is_file():
            self.texts = None

    def look(self) -> None:
        if self.texts is None:
            for part in self.place.parts()[0].values():
                _with_columns(part.check, self.columns)
        elif missing := [f"{s}.{c}" for s in SPLITS for c in self.columns if not (self.texts / f"{s}.{c}").is_file()]:
            raise DataError(f"{self.name}: there is no {missing[0]}")

    def prepare(self) -> None:
        if hasattr(self, "inputs"):
            return
        notes: list[str] = []
        if self.texts:
            files = {split: [f"{split}.{column}" for column in self.columns] for split in SPLITS}
            facts: dict[str, Any] = {"files": files, "dropped": 0}
            tables = {split: _lines(self.texts, split, self.columns) for split in SPLITS}
        else:
            found = Splits(*self.place.parts(fetch=True))
            tables = {split: self._read(found.parts[split], split) for split in SPLITS if split in found.parts}
            notes = [f"{self.place.name}: {line}" for line in odd_splits(found)]
            facts = found.facts()
        self.sha256 = table_digest(*tables.values())
        cut = [
            *self.columns,
            *self.kinds,
            self.tokenizer,
            self.lowercase,
            self.min_frequency,
            self.max_vocabulary,
            self.max_length,
        ]
        key: dict[str, object] = {"version": self.version, "data": self.sha256, "cut": cut}
        if len(tables) < len(SPLITS):
            key["published"] = list(tables)
        folder = cache_entry("translation", key, lambda part: self._make(part, all_splits(tables)))
        pairs = Pairs(folder, load_facts(folder))
        if self.name != HUB or self.place.named:
            lengths = {split: side.lengths for split, side in pairs.sources.items()}
            rows = row_facts({split: len(side) for split, side in pairs.sources.items()})
            self.found = {**facts, **rows, **length_facts(lengths)}
            notes = [f"{self.name}: {found_line(self.found, 'source symbols')}", *notes]
        self.notes = [*notes, *pairs.notes()]
        use_pairs(self, pairs)

    def _read(self, part: Part, split: Split) -> pyarrow.Table:
        """Both columns of a split; of the library's feature `translation` both languages."""
        rows = _with_columns(lambda columns: part.read(columns, text=False).table, self.columns)
        if rows.column_names == [FEATURE]:
            rows = rows.flatten().rename_columns([name.rpartition(".")[2] for name in rows.flatten().column_names])
            if missing := [name for name in self.columns if name not in rows.column_names]:
                raise DataError(f"{self.place.name}: no language {missing[0]!r}; there are: {', '.join(rows.column_names)}")
        rows = rows.select(list(self.columns))
        check_text(rows, f"{self.place.name}: split {split!r}", self.columns, numbers=True)
        return check_sound(rows, f"{self.place.name}: split {split!r}")

    def _make(self, folder: Path, tables: Mapping[Split, pyarrow.Table]) -> None:
        parts = {}
        for split, rows in tables.items():
            texts = [[self._cased(str(text)) for text in rows[column].to_pylist()] for column in self.columns]
            sides = [
                [cut(text, kind)[: self.max_length] for text in side] for side, kind in zip(texts, self.kinds, strict=True)
            ]
            for side, column in zip(sides, self.columns, strict=True):
                none_empty({split: side}, f"{self.name}: column {column!r}")
            parts[split] = PairPart(sides[0], sides[1], texts[1] if split != "train" else [])
        write_pairs(folder, parts, self.min_frequency, self.max_vocabulary)
        pairs = Pairs(folder)
        guess = most_bleu(pairs.targets["train"])
        tests = range(len(pairs.references["test"]))
        facts = {"guess": guess, "floor": self._bleu_of(pairs, [guess for _ in tests])}
        if self.kinds == ("words", "words"):
            likeliest, source = dictionary(pairs), pairs.sources["test"]
            words = numpy.split(likeliest[source.values], source.offsets[1:-1])
            facts["word_by_word_bleu"] = self._bleu_of(pairs, [row.tolist() for row in words])
        save_facts(folder, facts)

    def _cased(self, text: str) -> str:
        return text.lower() if self.lowercase else text

    def _joined(self, symbols: Sequence[str]) -> str:
        texts = [NOT_KNOWN if symbol == "<unk>" else symbol for symbol in symbols]
        return (" " if self.kinds[1] == "words" else "").join(texts)

    def _bleu_of(self, pairs: Pairs, written: Iterable[Sequence[int]]) -> float:
        """BLEU of these symbols over the test split, row by row."""
        texts = [self._joined(pairs.written.decode(row)) for row in written]
        rows = [(text, [one]) for text, one in zip(texts, pairs.references["test"], strict=True)]
        return bleu_scores(dict(zip(COUNTED, bleu_counts(rows, self.tokenizer).tolist(), strict=True)))["bleu"]

    def score_written(self, written: Tensor, batch: Batch) -> Sums:
        texts = map(self._joined, self.dataset.symbols(written))
        own = map(self._joined, self.dataset.symbols(batch.targets))  # for training rows, whose texts are not kept
        found = zip(texts, self.dataset.references_of(batch), own, asked_rows(batch), strict=True)
        counted = [(text, known or [target]) for text, known, target, counts in found if counts]
        return sums(dict(zip(COUNTED, bleu_counts(counted, self.tokenizer).tolist(), strict=True)), written)

    def finish(self, sums: Totals) -> dict[str, float]:
        return bleu_scores(sums) | super().finish(sums)

    def encode(self, text: str) -> list[int]:
        """The numbers that are read for a text to translate."""
        return self.dataset.read.encode(cut(self._cased(text), self.kinds[0])[: self.max_length])

    def decode(self, tokens: list[int]) -> str:
        """The text that was written."""
        return self._joined(self.dataset.written.decode(tokens[: tokens.index(0)] if 0 in tokens else tokens))

    def keep(self) -> Kept:
        return self.dataset.keep()

    def restore(self, kept: Kept) -> None:
        use_pairs(self, Pairs.restored(kept))

    def ask(self, text: str) -> Batch:
        return self.dataset.ask(self.encode(text))

    def answered(self, batch: Batch, written: Tensor) -> list[dict[str, str]]:
        return self.dataset.answered(batch, written, self.decode, " " if self.kinds[0] == "words" else "")

    def about(self) -> Facts:
        baseline = {name: value for name, value in self.dataset.facts.items() if name == "word_by_word_bleu"}
        signature = f"tokenize {self.tokenizer}, {'lower case' if self.lowercase else 'cased'}"
        licence = LICENCES.get(self.name, "that of your data")
        found = {"found": self.found} if self.found else {}
        return {"sha256": self.sha256, "licence": licence, "bleu_of": signature, **baseline, **self.dataset.about(), **found}


def _with_columns(read: Callable[[Sequence[str]], Found], columns: Sequence[str]) -> Found:
    """What `read` gives of both columns, or of the column `translation` where these are missing."""
    try:
        return read(columns)
    except DataError as error:
        try:
            return read([FEATURE])
        except DataError:
            raise error from None


class PairTable:
    """The pairs of a split, split as texts are: by what is read."""

    def __init__(self, rows: pyarrow.Table):
        self.rows = rows

    def __len__(self) -> int:
        return int(self.rows.num_rows)

    @property
    def keys(self) -> numpy.ndarray:
        """(rows,) uint64: the same for rows whose first text differs in white space or case only."""
        return text_keys(map(str, self.rows.column(0).to_pylist()))

    def take(self, rows: numpy.ndarray) -> PairTable:
        return PairTable(self.rows.take(rows.nonzero()[0]))


def all_splits(tables: Mapping[Split, pyarrow.Table]) -> dict[Split, pyarrow.Table]:
    """All three splits: those that are not there are taken from the training pairs."""
    return {split: part.rows for split, part in completed({split: PairTable(rows) for split, rows in tables.items()}).items()}


def cut(text: str, kind: str) -> list[str]:
    """The symbols of a text; words are those of sacrebleu's tokenizer 13a."""
    if kind == "characters":
        return characters(text.strip())
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

    return Tokenizer13a()(text.strip()).split()


def _lines(folder: Path, split: str, columns: Sequence[str]) -> pyarrow.Table:
    """The lines of `<split>.<column>` as the columns of a table."""
    import pyarrow

    sides: dict[str, list[str]] = {}
    for column in columns:
        with text_file(path := folder / f"{split}.{column}", str(path), newline=None) as file:
            sides[column] = file.read().split("\n")
    sides = {column: lines[:-1] if lines[-1] == "" else lines for column, lines in sides.items()}
    first, second = map(len, sides.values())
    if first != second or not first:
        raise DataError(f"{folder}: split {split!r} has {first} lines of {columns[0]} and {second} of {columns[1]}")
    return pyarrow.table(sides)
