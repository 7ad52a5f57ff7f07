"""Rows that go on from batch to batch: `Streams` of one long text a split, `Drawn` of rows that are generated.

`Pieces` are rows so long that few are read to their end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import Tensor

from rnnbench.data.cache import read_arrays, write_arrays, write_stream
from rnnbench.data.tables import DataError

from .batch import SPLITS, Batch, Dataset, Split, generator

ROWS, LONG_ROWS = 10, 100  # that the validation and test parts are walked in, and those of more than LONG tokens
LONG = 500_000  # wide rows for these parts: a product with 100 rows runs at the processor's speed, one with 10 does not
SHORTENED = 100_000  # tokens that validation reads of a long part, so that evaluations are a small share of a run
STRETCH = 100  # windows after which a training row begins anew, where a walk is longer; 0: never
CHUNK = 1 << 20  # tokens that are looked at together
FIRST_PIECE, LARGEST_PIECE = 8, 1024  # parts of a stream that are drawn together
SIDE_BY_SIDE = 128  # streams whose first pieces are drawn together: most are read no further

Chunks = Callable[[], Iterable[numpy.ndarray]]  # the tokens of a split, some at a time, as often as it is called


def write_streams(folder: Path, parts: Mapping[Split, tuple[int, Chunks]], size: int) -> None:
    """The tokens (below `size`) of each split, whose numbers are known, into `folder`, in the fewest bytes that hold them;
    and how often each token stands in each split."""
    kind = numpy.min_scalar_type(max(1, size - 1)).type
    for split, (length, chunks) in parts.items():
        counts = numpy.zeros(size, numpy.int64)

        def counted(chunks: Iterable[numpy.ndarray], counts: numpy.ndarray = counts) -> Iterator[numpy.ndarray]:
            for chunk in chunks:
                counts += numpy.bincount(chunk, minlength=size)
                yield chunk

        write_stream(folder / f"{split}.arrow", "tokens", kind, length, counted(chunks()))
        write_arrays(folder / f"{split}_counts.arrow", {"counts": counts})


def read_streams(folder: Path, window: int, name: str, unit: str, validation_limit: int = 0, stretch: int = STRETCH) -> Streams:
    """What `write_streams` left in `folder`, mapped, not read; DataError, one line, where a split is shorter than a window."""
    tokens: Any = {split: read_arrays(folder / f"{split}.arrow")["tokens"] for split in SPLITS}
    counts: Any = {split: read_arrays(folder / f"{split}_counts.arrow")["counts"] for split in SPLITS}
    long_enough({split: len(part) for split, part in tokens.items()}, window, name, unit)
    return Streams(tokens, counts, window, name, validation_limit, stretch)


def long_enough(lengths: Mapping[Split, int], window: int, name: str, unit: str) -> None:
    for split, length in lengths.items():
        if length < (needed := 1 + max(window, ROWS)):
            raise DataError(f"{name}: {length} {unit} for {split}; window={window} needs at least {needed}")


class Streams(Dataset):
    """Texts as numbers, in rows that are walked side by side, a window at a time, each row going on where it was left.

    Training cuts the text into as many rows as the batch has; where they begin moves with the seed and the epoch. An evaluation
    cuts a split into 10 rows of equal length, whatever the batch size, and one of more than 500,000 tokens into 100. Test reads
    them whole, so that every token but the first is scored once. Validation reads no more than `validation_limit` tokens, where
    0 stands for 100,000 of a split of more than 500,000: of a longer split the beginning of each row, which makes 10 or 100
    stretches, evenly spaced and the same at every evaluation.

    In training a row begins anew, with no state carried, after `stretch` windows at most, and the rows take turns at it. A
    state that is carried for ever drifts to where a walk that begins from nothing never comes: a GRU of 128 units had then 2.3
    bits a character in training and 16 in evaluation, after 1,000 windows of PTB.
    """

    def __init__(
        self,
        tokens: Mapping[Split, numpy.ndarray],
        counts: Mapping[Split, numpy.ndarray],
        window: int,
        name: str,
        validation_limit: int = 0,
        stretch: int = STRETCH,
    ):
        """`counts` (size,) is how often each token stands in a split."""
        self.tokens, self.counts, self.window, self.name = tokens, counts, window, name
        self.validation_limit, self.stretch = validation_limit, stretch
        shares = counts["train"] + 1.0
        self.log_shares = numpy.log(shares / shares.sum())

    @property
    def floor(self) -> float:
        """Nats a token of the test part, guessed from the training part's frequencies (one added to each count)."""
        counts = self.counts["test"].copy()
        counts[self.tokens["test"][0]] -= 1  # nothing is asked before the first
        return float(-(counts * self.log_shares).sum() / counts.sum())

    def floor_guess(self, batch: Batch) -> Tensor:
        return torch.from_numpy(self.log_shares).to(batch.targets.device).expand(*batch.targets.shape, -1)

    def evaluated_rows(self, split: Split) -> tuple[numpy.ndarray, numpy.ndarray]:
        """Where each row of an evaluation begins in the text, and where it ends."""
        steps = len(self.tokens[split]) - 1
        rows = ROWS if steps <= LONG else LONG_ROWS
        edges = steps * numpy.arange(rows + 1) // rows
        begins, ends = edges[:-1], edges[1:]
        limit = self.validation_limit or (SHORTENED if steps > LONG else steps)
        if split == "validation" and steps > limit:
            ends = numpy.minimum(ends, begins + max(1, limit // rows))
        return begins, ends

    def read_in_validation(self) -> int:
        """Tokens that an evaluation on the validation split scores."""
        begins, ends = self.evaluated_rows("validation")
        return int((ends - begins).sum())

    def batches(self, split: Split, batch_size: int) -> int:
        """Windows in one walk over the text; ValueError where it is too short for `batch_size` rows."""
        if split != "train":
            begins, ends = self.evaluated_rows(split)
            return -(-int((ends - begins).min()) // self.window)
        steps = len(self.tokens[split]) - 1
        if steps < batch_size * self.window:
            raise ValueError(
                f"{self.name}: {steps + 1} tokens for training; "
                f"batch_size={batch_size} rows of window={self.window} need at least {batch_size * self.window + 1}"
            )
        # up to a window is left over, so that the rows can begin elsewhere in each epoch
        return max(1, (steps - self.window) // (batch_size * self.window))

    def batch(self, split: Split, index: int, batch_size: int, seed: int) -> Batch:
        tokens, windows = self.tokens[split], self.batches(split, batch_size)
        epoch, place = divmod(index, windows)
        if split == "train":
            row = windows * self.window  # tokens
            offset = generator(SPLITS.index(split), epoch, seed).integers(len(tokens) - batch_size * row)
            begin = offset + numpy.arange(batch_size) * row + place * self.window
            lengths = numpy.full(batch_size, self.window)
        else:
            begins, ends = self.evaluated_rows(split)
            begin = begins + place * self.window
            # rows differ by a token at most, and the last window takes it in, so no row of it is empty
            lengths = ends - begin if place == windows - 1 else numpy.full(len(begin), self.window)
        anew = numpy.full(len(lengths), place == 0)
        if split == "train" and windows > self.stretch > 0:
            anew |= (place + numpy.arange(batch_size) * self.stretch // batch_size) % self.stretch == 0
        steps = numpy.arange(lengths.max())
        scored = steps < lengths[:, None]
        places = numpy.where(scored, begin[:, None] + steps, 0)
        return Batch(
            inputs=torch.from_numpy(numpy.where(scored, tokens[places], 0).astype(numpy.int64)),
            targets=torch.from_numpy(numpy.where(scored, tokens[places + 1], 0).astype(numpy.int64)),
            scored=torch.from_numpy(scored),
            lengths=torch.from_numpy(lengths),
            fresh=torch.from_numpy(anew),
        )


class Drawn(Dataset):
    """Rows of windows * window steps that are drawn anew in each epoch; `streams` of them validate, and test."""

    def __init__(self, draw: Callable[[numpy.random.Generator, int], numpy.ndarray], window: int, windows: int, streams: int):
        """`draw` gives so many rows, each one token longer than what is read of it."""
        self.draw, self.window, self.windows, self.streams = draw, window, windows, streams
        self._made: tuple[tuple[object, ...], numpy.ndarray] = ((), numpy.empty(0))  # those made last, with their key

    def batches(self, split: Split, batch_size: int) -> int:
        return self.windows

    def batch(self, split: Split, index: int, batch_size: int, seed: int) -> Batch:
        epoch, place = divmod(index, self.windows)
        key = (SPLITS.index(split), epoch, seed, batch_size) if split == "train" else (SPLITS.index(split), 0, 0, self.streams)
        if self._made[0] != key:
            self._made = key, self.draw(generator(*key[:3]), key[3])
        read = torch.from_numpy(self._made[1][:, place * self.window : (place + 1) * self.window + 1])
        return Batch(
            inputs=read[:, :-1],
            targets=read[:, 1:],
            scored=torch.ones(len(read), self.window, dtype=torch.bool),
            lengths=torch.full((len(read),), self.window),
            fresh=torch.full((len(read),), place == 0),
        )


class Pieces(Dataset):
    """Streams of `length` steps, made of parts that follow one another and are drawn 8, 16, ..., 1024 at a time.

    Stream n of a split is one row; row r of training batch i is stream i * batch_size + r. `streams` validate, and test; those
    of training have `train_length` steps. With `reset`, whoever reads the pieces of a stream begins every part anew; a batch
    does not say so.
    """

    def __init__(
        self,
        draw: Callable[[numpy.random.Generator, int], Batch],
        length: int,
        train_length: int,
        streams: int,
        reset: bool,
    ):
        """`draw` gives so many parts, each a row whose valid steps are all scored."""
        self.draw, self.length, self.train_length, self.streams, self.reset = draw, length, train_length, streams, reset
        self._evaluated: dict[tuple[int, ...], Batch] = {}
        self._first: tuple[tuple[int, ...], Batch] | None = None  # drawn last, with its key

    def pieces(self, split: Split, index: int, seed: int) -> Iterator[Batch]:
        """A stream, piece after piece: one row, fresh in the first piece only; with `reset` a row for each part, all fresh."""
        left, number = self.train_length if split == "train" else self.length, 0
        while left:
            parts = self._parts(split, index, seed, number)
            if (read := int(parts.lengths.sum())) > left:
                parts, read = first_steps(parts, left), left
            yield parts if self.reset else as_row(parts, fresh=number == 0)
            left, number = left - read, number + 1

    def _parts(self, split: Split, index: int, seed: int, number: int) -> Batch:
        part = SPLITS.index(split)
        if split == "train" and number == 0:
            block, place = divmod(index, SIDE_BY_SIDE)
            if self._first is None or self._first[0] != (block, seed):
                drawn = self.draw(generator(part, block, seed, 0), SIDE_BY_SIDE * FIRST_PIECE)
                self._first = (block, seed), drawn
            rows = slice(place * FIRST_PIECE, (place + 1) * FIRST_PIECE)
            return self._first[1].map(lambda tensor: tensor[rows])
        count = min(FIRST_PIECE << number, LARGEST_PIECE)
        if split == "train":
            return self.draw(generator(part, index, seed, number), count)
        key = part, index, number
        if key not in self._evaluated:
            self._evaluated[key] = self.draw(generator(*key), count)
        return self._evaluated[key]

    def batches(self, split: Split, batch_size: int) -> int:
        return -(-self.streams // batch_size)

    def batch(self, split: Split, index: int, batch_size: int, seed: int) -> Batch:
        end = (index + 1) * batch_size
        numbers = range(index * batch_size, end if split == "train" else min(end, self.streams))
        rows = []
        for stream in numbers:
            pieces = [piece if not self.reset else as_row(piece, fresh=True) for piece in self.pieces(split, stream, seed)]
            rows.append([torch.cat(parts, 1) for parts in zip(*(piece[:3] for piece in pieces), strict=True)])
        inputs, targets, scored = (torch.cat(parts) for parts in zip(*rows, strict=True))
        return Batch(inputs, targets, scored, scored.sum(1), torch.ones(len(inputs), dtype=torch.bool))


def as_row(parts: Batch, fresh: bool) -> Batch:
    """The valid steps of all rows, one row after another, as one row."""
    steps = parts.scored.flatten().nonzero()[:, 0]
    inputs, targets, scored = (part.flatten(0, 1)[steps].unsqueeze(0) for part in parts[:3])
    return Batch(inputs, targets, scored, parts.lengths.sum().unsqueeze(0), torch.tensor([fresh]))


def first_steps(parts: Batch, count: int) -> Batch:
    """The first `count` valid steps of all rows, in order; rows without any are left out."""
    kept = parts.scored & (parts.scored.flatten().cumsum(0).view_as(parts.scored) <= count)
    lengths = kept.sum(1)
    rows = lengths > 0
    return Batch(parts.inputs[rows], parts.targets[rows], kept[rows], lengths[rows], parts.fresh[rows])
