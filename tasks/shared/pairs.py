"""Rows of something read and of something written from it: the dataset of tasks N->M, and what tasks 1->N share with them.

Number 0 of the written symbols is the end; it is fed first, too, and fills up: one vocabulary is fed and wanted, so that the
weights of both can be tied.
"""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy
import torch
from torch import Tensor

from rnnbench.data.cache import read_arrays, write_arrays
from rnnbench.data.text import UNKNOWN, Ragged, Vocabulary, batches_of, rows_of

from ..task import Task
from .batch import SPLITS, Batch, Dataset, Split, Tokens
from .facts import Facts, Kept, kept_size, kept_words
from .scoring import Sums
from .words import built_vocabulary, little_covered

END = "<end>"
Side = list[list[str]]  # the symbols of each row
Decode = Callable[[list[int]], str]
NO_PICTURE = "a picture cannot be typed; without --prompt some of the validation split are described"


class PairPart(NamedTuple):
    """The rows of a split, with what each is scored against in the end: its texts, say, as they were before they were cut."""

    sources: Side
    targets: Side
    references: list[Any]  # plain values; empty for the training rows


def to_write(targets: Ragged, rows: numpy.ndarray) -> Batch:
    """The `rows` of `targets` as a batch that has no source yet: S is the longest of them and the end."""
    symbols, lengths = targets.padded(rows, pad=0)
    end = numpy.zeros((len(rows), 1), numpy.int64)
    inputs, wanted = numpy.concatenate([end, symbols], 1), numpy.concatenate([symbols, end], 1)
    scored = numpy.arange(wanted.shape[1]) <= lengths[:, None]
    return Batch(*map(torch.from_numpy, (inputs, wanted, scored, lengths + 1, numpy.ones(len(rows), bool))))


def cut_at_end(written: Tensor) -> list[list[int]]:
    """The symbols of each row before its first end."""
    return [row[: row.index(0)] if 0 in row else row for row in written.tolist()]


def asked_rows(batch: Batch) -> list[bool]:
    """Which rows count; one that only fills a batch up does not."""
    return batch.scored.any(1).tolist()


def always(symbols: Sequence[int], longest: int, batch: Batch) -> Tensor:
    """(B, longest): the same `symbols`, whatever was read."""
    guess = torch.zeros(len(batch.lengths), longest, dtype=torch.int64, device=batch.inputs.device)
    guess[:, : len(symbols)] = torch.tensor(symbols, dtype=torch.int64, device=guess.device)
    return guess


def show_answers(read: Sequence[str], batch: Batch, written: Tensor, decode: Decode) -> list[dict[str, str]]:
    """See `Task.answered`; `read` is the source of each row, as text."""
    sides = [list(map(decode, side.tolist())) for side in (written, batch.targets)]
    return [dict(zip(("read", "written", "wanted"), row, strict=True)) for row in zip(read, *sides, strict=True)]


def show_pictures(batch: Batch, written: Tensor, decode: Decode) -> list[dict[str, str]]:
    """`show_answers` where pictures are read."""
    return show_answers(["(a picture)"] * len(batch.lengths), batch, written, decode)


def sums(values: Mapping[str, float], like: Tensor) -> Sums:
    return {name: torch.tensor(float(value), dtype=torch.float64, device=like.device) for name, value in values.items()}


def write_pairs(folder: Path, parts: Mapping[Split, PairPart], min_frequency: int = 1, max_vocabulary: int = 10**9) -> None:
    """Vocabularies of the training rows, every split's rows as numbers, and the references; `Pairs(folder)` reads them."""
    train = parts["train"]
    counts = [Counter(symbol for row in side for symbol in row) for side in (train.sources, train.targets)]
    read = built_vocabulary(counts[0], min_frequency, max_vocabulary)
    written = built_vocabulary(counts[1], min_frequency, max_vocabulary, (END, UNKNOWN))
    read.save(folder / "read.json")
    written.save(folder / "written.json")
    for split, part in parts.items():
        sides = {"sources": Ragged.of(list(map(read.encode, part.sources)))}
        sides["targets"] = Ragged.of(list(map(written.encode, part.targets)))
        write_arrays(folder / f"{split}.arrow", {name: (side.values, side.offsets) for name, side in sides.items()})
    references = {split: part.references for split, part in parts.items()}
    (folder / "references.json").write_text(json.dumps(references, ensure_ascii=False), encoding="utf-8")


class Pairs(Dataset):
    """Rows of a source and a target, as numbers below the sizes of the vocabularies `read` and `written`."""

    def __init__(self, folder: Path, facts: Mapping[str, Any] | None = None):
        """What `write_pairs` left in `folder`, mapped, not read. `facts` are the `floor`, and the `guess` that has it."""
        self.facts = facts or {}
        self.read, self.written = Vocabulary.load(folder / "read.json"), Vocabulary.load(folder / "written.json")
        arrays = {split: read_arrays(folder / f"{split}.arrow") for split in SPLITS}
        self.sources = {split: Ragged(*arrays[split]["sources"]) for split in SPLITS}
        self.targets = {split: Ragged(*arrays[split]["targets"]) for split in SPLITS}
        self.references = json.loads((folder / "references.json").read_text(encoding="utf-8"))
        self.longest = 1 + max(int(self.targets[split].lengths.max()) for split in ("train", "validation"))

    def keep(self) -> Kept:
        return {"read": self.read.symbols, "written": self.written.symbols, "longest": self.longest}

    @classmethod
    def restored(cls, kept: Kept) -> Pairs:
        """From what `keep` gave: the vocabularies, and no rows."""
        pairs = cls.__new__(cls)
        pairs.read, pairs.written = kept_words(kept, "read"), kept_words(kept, "written")
        pairs.longest = kept_size(kept, "longest")
        return pairs

    def notes(self) -> list[str]:
        """Which side has a vocabulary that covers little of its training text."""
        sides = ((self.read, self.sources["train"].values), (self.written, self.targets["train"].values))
        return [
            line
            for vocabulary, symbols in sides
            for line in little_covered(vocabulary, numpy.bincount(symbols, minlength=len(vocabulary)))
        ]

    @property
    def floor(self) -> float:
        return self.facts["floor"]

    def floor_guess(self, batch: Batch) -> Tensor:
        """What is written, (B, longest): one and the same row."""
        return always(self.facts["guess"], self.longest, batch)

    def batches(self, split: Split, batch_size: int) -> int:
        return batches_of(self.sources[split], split, batch_size)

    def batch(self, split: Split, index: int, batch_size: int, seed: int) -> Batch:
        """Rows whose sources have similar lengths; see `Task.batch`."""
        sources = self.sources[split]
        rows = rows_of(sources, split, index, batch_size, seed)
        source, lengths = map(torch.from_numpy, sources.padded(rows, pad=0))
        return to_write(self.targets[split], rows)._replace(source=source, source_lengths=lengths)

    def symbols(self, written: Tensor) -> Side:
        """What stands in each row before the end."""
        return [self.written.decode(row) for row in cut_at_end(written)]

    def references_of(self, batch: Batch) -> list[list[Any] | None]:
        """For each row the references of all rows that are this one once their rare symbols are `<unk>`; None in training.

        Mostly that is one. A batch does not say which of several it has: the mean over them makes the sum of all rows exact.
        """
        assert batch.source is not None and batch.source_lengths is not None
        found: list[list[Any] | None] = []
        sides = (batch.source, batch.source_lengths, batch.targets, batch.lengths - 1)
        for source, read, target, wrote in zip(*(side.tolist() for side in sides), strict=True):
            found.append(self._known.get((*source[:read], -1, *target[:wrote])))
        return found

    @functools.cached_property
    def _known(self) -> dict[tuple[int, ...], list[Any]]:
        """The references of the rows that are evaluated on, by their numbers; the test split's first."""
        known: dict[tuple[int, ...], list[Any]] = {}
        for split in ("test", "validation"):
            own: dict[tuple[int, ...], list[Any]] = {}
            sides = [[side[split].values.tolist(), side[split].offsets.tolist()] for side in (self.sources, self.targets)]
            for row, reference in enumerate(self.references[split]):
                source, target = (values[offsets[row] : offsets[row + 1]] for values, offsets in sides)
                own.setdefault((*source, -1, *target), []).append(reference)
            known = own | known
        return known

    def ask(self, tokens: list[int]) -> Batch:
        """One row that reads `tokens`; what it should write is not known. ValueError where there is none."""
        if not tokens:
            raise ValueError("an empty prompt; there is nothing to read")
        one, true = torch.zeros(1, 1, dtype=torch.int64), torch.ones(1, 1, dtype=torch.bool)
        source, length = torch.tensor([tokens]), torch.tensor([len(tokens)])
        return Batch(one, one, true, torch.ones(1, dtype=torch.int64), true[0], source, length)

    def answered(self, batch: Batch, written: Tensor, decode: Decode, between: str) -> list[dict[str, str]]:
        """See `Task.answered`; `between` stands between the symbols of a source."""
        assert batch.source is not None and batch.source_lengths is not None
        read = [row[:length] for row, length in zip(batch.source.tolist(), batch.source_lengths.tolist(), strict=True)]
        return show_answers([between.join(self.read.decode(row)) for row in read], batch, written, decode)

    def about(self) -> Facts:
        sizes = {f"{split}_rows": len(rows) for split, rows in self.sources.items()}
        return {"source_vocabulary": len(self.read), "target_vocabulary": len(self.written), **sizes}


def use_pairs(task: Task, pairs: Pairs) -> None:
    """Makes `pairs` the dataset of `task`, with the streams and the end that go with them."""
    task.dataset, task.start, task.end, task.longest = pairs, 0, 0, pairs.longest
    task.source, task.inputs = Tokens(len(pairs.read)), Tokens(len(pairs.written))
    task.targets = task.inputs
