"""Tagging: a tag for every token, from the whole row.

    inputs   一    不   小     心         which   flights   to   boston
    targets  yí    bù   xiǎo   xīn        O       O         O    B-toloc.city_name       (each step is scored)

`data` is `pypinyin`: the 47,111 phrases inside the package of that name (extra `zh`), each character with the syllable it is
read as there; 80, 10 and 10 % of the phrases, the same for every run. The tags are all syllables that the package knows. Most
characters have one reading only: `accuracy_ambiguous` is over those that the package gives several. Or it is `atis`: the
words of requests with their slots, published splits, 5 % of the training requests, the same for every run, to select; `f1` is
then over whole slots. Test tags that no training row has are tags of their own, which nothing is trained for.

With `data=own` the data are yours: `file`, `hub`, `train`, `validation` and `test` name files or a folder, as for
text_classification. A file has a token a line, as CoNLL's have (`token_column` and `tag_column` number its columns, an
empty line ends a sentence), or it is JSON or parquet with two columns of lists (`tokens` and `tags`). Where all tags are
`O` or begin with B-, I-, E- or S-, `f1` is over whole entities, as in conlleval, `precision` and `recall` with it;
`macro_f1` is the mean over tags.

    rnnbench train task=tagging task.data=own task.train=a.conll task.test=b.conll model=bilstm

Floor: accuracy on the test split of each token's commonest tag in training; the commonest of all for a token that training
lacks. (For pypinyin this is better than the reading that its own table puts first, which is in the record as
`default_reading`.)

Best: none known for pypinyin, whose split is our own.

Source: pypinyin, phrases_dict.json (MIT); ATIS: Hemphill et al. 1990 (LDC), with the slots of Tur et al. 2010, as
tuetschek/atis.

Data: pypinyin's phrases, inside that package (47,111); ATIS, from the hub.

Licence: MIT (pypinyin); LDC (ATIS).

Needs: the extra zh (pypinyin); nothing (atis).

Group: text.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy
import torch
from torch import Tensor

from rnnbench.data.cache import cache_entry
from rnnbench.data.column_files import Tagged, read_columns
from rnnbench.data.hub import check_columns, read_split
from rnnbench.data.sets import Files, Part, Place, Sliced, Splits
from rnnbench.data.table_files import Reading, file_kind
from rnnbench.data.tables import DataError, table_digest
from rnnbench.data.text import Ragged
from rnnbench.options import Needs, Positive, Range, Share, Where, amount

from .shared.facts import load_facts, save_facts
from .shared.found import found_line, length_facts, named_splits, odd_splits, one_place, row_facts
from .shared.labels import named_classes, untrained_note
from .shared.rows import HELD_OUT, Cut, Rows, completed, held_out, text_keys, use_rows, write_rows
from .shared.scoring import class_counts, macro_f1
from .shared.vectors import Vectors
from .task import SPLITS, Batch, Facts, Split, Sums, Task, Totals, classification_sums

ATIS = "tuetschek/atis"
LICENCES = {"pypinyin": "MIT", "atis": "LDC (distributed for research)", "own": "that of your data"}
KINDS = (".conll", ".conllu", ".bio", ".iob", ".txt", ".tsv", ".json", ".jsonl", ".parquet")
ENTITY = re.compile("O|[BIES]-.+", re.DOTALL)  # a tag of entities


class Tagging(Task):
    version = 2
    structure = "N->N"
    causal = False
    headline = "accuracy"
    direction = "max"

    dataset: Rows

    def __init__(
        self,
        data: Literal["pypinyin", "atis", "own"] = "pypinyin",  # pypinyin (extra zh), atis from the hub, or own
        hub: Annotated[str | None, Where(), Needs("data", values=("own",))] = None,  # data=own: id on the hub, or a folder
        file: Annotated[str | None, Where(), Needs("data", values=("own",))] = None,  # data=own: a file, a pattern, or a folder
        config: Annotated[
            str | None, Where(path=False), Needs("hub")
        ] = None,  # configuration of the hub's data set, where it has several
        revision: Annotated[str | None, Needs("hub")] = None,  # revision of the hub's data set
        train: Annotated[str | None, Where(), Needs("data", values=("own",))] = None,  # split or file for training
        validation: Annotated[str | None, Where(), Needs("data", values=("own",))] = None,  # split or file for validation
        test: Annotated[str | None, Where(), Needs("data", values=("own",))] = None,  # split or file for the test
        encoding: Annotated[
            str, Where(path=False), Needs("file", "train")
        ] = "utf-8",  # encoding of a file with a token per line
        token_column: Annotated[
            int, Where(path=False), Needs("file", "train")
        ] = 0,  # column of the tokens in such a file; -1: the last
        tag_column: Annotated[
            int, Where(path=False), Needs("file", "train")
        ] = -1,  # column of the tags in such a file; -1: the last
        tokens: Annotated[str, Where(path=False), Needs("data", values=("own",))] = "tokens",  # column of the lists of tokens
        tags: Annotated[
            str, Where(path=False), Needs("data", values=("own",))
        ] = "tags",  # column of the lists of tags: texts or numbers
        min_frequency: Positive = 1,  # smallest number of occurrences of a token in the vocabulary
        max_vocabulary: Annotated[int, Range(3)] = 30000,  # largest vocabulary, <pad> and <unk> included
        vectors: Annotated[
            str | None, Where()
        ] = None,  # file of pretrained word vectors (GloVe, text); network.embedding is their size
        solved_above: Share = 1.0,  # accuracy that counts as solved; 1: never
    ):
        self.data, self.solved_above = data, solved_above
        self.cut = Cut("whitespace", min_frequency, max_vocabulary, 10**6)
        self.vectors = Vectors(vectors) if vectors else None
        named = named_splits(train, validation, test)
        self.reading, self.lists, self.numbers = Reading(encoding=encoding), [tokens, tags], (token_column, tag_column)
        where = hub, file, config, revision, named, self.reading, KINDS
        self.place = one_place("tagging", *where, others=True) if data == "own" else None

    def look(self) -> None:
        if self.data == "atis":
            check_columns(ATIS, ["train", "test"], ["text", "slots"])
        if self.place:
            self.place.parts()

    def prepare(self) -> None:
        if hasattr(self, "inputs"):
            return
        tables, content = {}, []
        own: dict[Split, Tagged] = {}
        if self.data == "atis":
            tables = {split: read_split(ATIS, split, ["text", "slots"]) for split in ("train", "test")}
            self.sha256 = table_digest(*tables.values())
        elif self.place:
            own = self._own(self.place)
        else:
            content = [_inside(name) for name in ("phrases_dict", "pinyin_dict")]
            self.sha256 = hashlib.sha256(b"".join(content)).hexdigest()

        def make(part: Path) -> None:
            if self.place:
                self._make(part, *_tagged(own))
                return
            columns = {split: rows.to_pydict() for split, rows in tables.items()} if self.data == "atis" else {}
            self._make(part, *(_atis(columns) if columns else _pypinyin(*map(json.loads, content))))

        key = {"version": self.version, "data": self.sha256, "of": self.data, "cut": list(self.cut)}
        folder = cache_entry("tagging", key, make)
        self._facts = load_facts(folder)
        names = self.names if self.place else []
        self.tags = named_classes(self._facts["tags"], names)
        self.entities = self.data == "atis" or (self.data == "own" and all(map(ENTITY.fullmatch, self.tags)))
        self.vocabulary = use_rows(self, Rows(folder, len(self.tags)))
        if self.place:
            lengths = {split: rows.lengths for split, rows in self.dataset.tokens.items()}
            self.found |= {**row_facts({split: len(rows) for split, rows in lengths.items()}), **length_facts(lengths)}
            counts = self._facts["counts"]
            self.found["classes"] = dict(zip(named_classes(list(counts), names), counts.values(), strict=True))
            untrained = named_classes(list(self._facts["untrained"]), names)
            said = (found_line(self.found, "tokens"), *odd_splits(self.splits), *untrained_note(untrained, "token"))
            self.notes = [*(f"{self.place.name}: {line}" for line in said), *self.notes]

    def _own(self, place: Place) -> dict[Split, Tagged]:
        """The sentences of each split that is there."""
        self.splits = Splits(*place.parts(fetch=True))
        parts = {split: self._read(self.splits.parts[split]) for split in SPLITS if split in self.splits.parts}
        self.sha256 = hashlib.sha256(json.dumps(list(parts.items()), ensure_ascii=False).encode()).hexdigest()
        self.names = self.splits.names(self.lists[1])
        self.found = self.splits.facts()
        return parts

    def _read(self, part: Part) -> Tagged:
        if isinstance(part, Sliced):
            rows = part.pick(lambda one: list(zip(*self._read(one), strict=True)))
            return [words for words, _ in rows], [labels for _, labels in rows]
        if isinstance(part, Files) and file_kind(part.files[0]) not in (".json", ".jsonl", ".parquet"):
            several = [read_columns(path, *self.numbers, encoding=self.reading.encoding) for path in part.files]
            part.sizes = [len(tokens) for tokens, _ in several]
            return [row for tokens, _ in several for row in tokens], [row for _, tags in several for row in tags]
        table = part.read(self.lists, text=False).table
        tokens, tags = (table.column(place).to_pylist() for place in (0, 1))
        for row, (words, labels) in enumerate(zip(tokens, tags, strict=True)):
            good = isinstance(words, list) and isinstance(labels, list) and len(words) == len(labels) > 0
            if not good or None in words or None in labels:
                raise DataError(
                    f"{part.where(row)} has {_count(words)} tokens and {_count(labels)} tags; expected lists as long"
                )
        return [list(map(str, words)) for words in tokens], [list(map(str, labels)) for labels in tags]

    def _make(
        self, folder: Path, parts: dict[Split, Tagged], tags: list[str], ambiguous: set[str], facts: Mapping[str, Any]
    ) -> None:
        numbers = {tag: number for number, tag in enumerate(tags)}
        answers = {split: Ragged.of([[numbers[tag] for tag in row] for row in rows]) for split, (_, rows) in parts.items()}
        texts = {split: tokens for split, (tokens, _) in parts.items()}
        marks = {split: Ragged.of([[token in ambiguous for token in row] for row in rows]) for split, rows in texts.items()}
        write_rows(folder, self.cut, texts, answers, marks)
        save_facts(folder, {"tags": tags, **facts})

    def score(self, outputs: Tensor, batch: Batch) -> Sums:
        sums = classification_sums(outputs, batch)
        guessed = outputs.argmax(-1)
        if self.data == "own":
            sums |= {"classes": class_counts(outputs, batch)}
        if not self.entities and self.data == "own":
            return sums
        if self.data == "pypinyin":
            assert batch.marked is not None
            several = batch.marked & batch.scored
            right = several & (guessed == batch.targets)
            return sums | {"ambiguous": several.sum().double(), "ambiguous_correct": right.sum().double()}
        found = wanted = both = 0
        for row, target, scored in zip(guessed.tolist(), batch.targets.tolist(), batch.scored.tolist(), strict=True):
            ours, theirs = (
                slots([self.tags[tag] for tag, counts in zip(tags, scored, strict=True) if counts]) for tags in (row, target)
            )
            found, wanted, both = found + len(ours), wanted + len(theirs), both + len(ours & theirs)
        counts = {"found": found, "wanted": wanted, "both": both}
        return sums | {
            name: torch.tensor(float(count), dtype=torch.float64, device=outputs.device) for name, count in counts.items()
        }

    def finish(self, sums: Totals) -> dict[str, float]:
        scores = super().finish(sums)
        if self.data == "own":
            scores["macro_f1"] = macro_f1(sums["classes"])
        if self.entities:
            total, both = sums["found"] + sums["wanted"], sums["both"]
            scores["f1"] = 2 * both / total if total else 1.0
            if self.data == "own":
                scores["precision"] = both / sums["found"] if sums["found"] else 0.0
                scores["recall"] = both / sums["wanted"] if sums["wanted"] else 0.0
        if self.data != "pypinyin":
            return scores
        return scores | {"accuracy_ambiguous": sums["ambiguous_correct"] / sums["ambiguous"] if sums["ambiguous"] else 1.0}

    def class_names(self) -> Sequence[str]:
        return self.tags

    def about(self) -> Facts:
        facts = {"sha256": self.sha256, "licence": LICENCES[self.data], "tags": len(self.tags)}
        if self.place:
            return {**facts, **self.dataset.about(), "found": self.found}
        if self.data == "pypinyin":
            facts["default_reading"] = self._facts["default_reading"]
        return {**facts, **self.dataset.about()}


def slots(tags: Sequence[str]) -> set[tuple[int, int, str]]:
    """(begin, end, kind) of each slot in B-, I- and O, or in B-, I-, E-, S- and O; an I- or E- that continues nothing begins a
    slot, as in conlleval."""
    found, begin, kind, last = set(), 0, "", ""
    for place, tag in enumerate([*tags, "O"]):
        prefix, _, name = tag.partition("-")
        if kind and (prefix not in ("I", "E") or name != kind or last in ("E", "S")):
            found.add((begin, place, kind))
            kind = ""
        if prefix in ("B", "I", "E", "S") and not kind:
            begin, kind = place, name
        last = prefix
    return found


def _count(row: object) -> int:
    return len(row) if isinstance(row, list) else 0


def _tagged(parts: dict[Split, Tagged]) -> tuple[dict[Split, Tagged], list[str], set[str], dict[str, Any]]:
    """All three splits of sentences of the user's, their tags, and how often each tag stands there."""
    published = {split: Sentences(*rows) for split, rows in parts.items()}
    whole = {split: (rows.tokens, rows.tags) for split, rows in completed(published).items()}
    counts = Counter(tag for _, rows in parts.values() for row in rows for tag in row)
    trained = {tag for row in whole["train"][1] for tag in row}
    facts: dict[str, Any] = {"counts": {tag: counts[tag] for tag in sorted(counts)}, "untrained": sorted(set(counts) - trained)}
    return whole, sorted(counts), set(), facts


class Sentences:
    """The sentences of a split, split as texts are."""

    def __init__(self, tokens: list[list[str]], tags: list[list[str]]):
        self.tokens, self.tags = tokens, tags

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def keys(self) -> numpy.ndarray:
        """(sentences,) uint64: the same for those that differ in case only."""
        return text_keys(" ".join(row) for row in self.tokens)

    def take(self, rows: numpy.ndarray) -> Sentences:
        kept = rows.nonzero()[0].tolist()
        return Sentences([self.tokens[row] for row in kept], [self.tags[row] for row in kept])


def _selected(rows: Tagged, held: Sequence[bool]) -> tuple[Tagged, Tagged]:
    """(rows that are not held out, rows that are)."""
    parts = [
        tuple([row for row, out in zip(side, held, strict=True) if out is wanted] for side in rows) for wanted in (False, True)
    ]
    return parts[0], parts[1]  # type: ignore[return-value]


def _atis(columns: Mapping[str, Mapping[str, list[str]]]) -> tuple[dict[Split, Tagged], list[str], set[str], dict[str, Any]]:
    parts: dict[str, Tagged] = {}
    for split, rows in columns.items():
        parts[split] = [text.split() for text in rows["text"]], [row.split() for row in rows["slots"]]
        for number, (words, tags) in enumerate(zip(*parts[split], strict=True), 1):
            if len(words) != len(tags) or not words:
                raise DataError(
                    f"{ATIS}: split {split!r} row {number} has {amount(len(words), 'word')} and {amount(len(tags), 'slot')}"
                )
    train, validation = _selected(parts["train"], held_out(columns["train"]["text"], HELD_OUT).tolist())
    tags = sorted({tag for _, rows in parts.values() for row in rows for tag in row})
    return {"train": train, "validation": validation, "test": parts["test"]}, tags, set(), {}


def _inside(name: str) -> bytes:
    """A table inside the package pypinyin."""
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        return Path(str(distribution("pypinyin").locate_file(f"pypinyin/{name}.json"))).read_bytes()
    except PackageNotFoundError:
        raise DataError("pypinyin is not installed; pip install 'rnnbench[zh]'") from None
    except OSError as error:
        raise DataError(f"pypinyin has no {name}.json: {error.strerror}; pip install 'rnnbench[zh]'") from None


def _pypinyin(
    phrases: dict[str, list[list[str]]], table: dict[str, str]
) -> tuple[dict[Split, Tagged], list[str], set[str], dict[str, Any]]:
    """The phrases, cut in three; where one has two readings, the first."""
    readings = {chr(int(point)): syllables.split(",") for point, syllables in table.items()}
    texts = sorted(phrases)
    whole: Tagged = [list(text) for text in texts], [[syllables[0] for syllables in phrases[text]] for text in texts]
    rest, test = _selected(whole, held_out(texts, 0.1).tolist())
    train, validation = _selected(rest, held_out(["".join(row) for row in rest[0]], 1 / 9).tolist())
    tags = sorted({syllable for row in (*whole[1], *readings.values()) for syllable in row})
    pairs = [pair for row in zip(*test, strict=True) for pair in zip(*row, strict=True)]
    right = sum(readings.get(symbol, [""])[0] == syllable for symbol, syllable in pairs)
    ambiguous = {symbol for symbol, several in readings.items() if len(several) > 1}
    return dict(zip(SPLITS, (train, validation, test), strict=True)), tags, ambiguous, {"default_reading": right / len(pairs)}
