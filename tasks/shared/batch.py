"""Batches: the kinds of streams, the tensors of a batch, and the dataset that a task takes its batches from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy
import torch
from torch import Tensor

from .facts import Facts


class Tokens(NamedTuple):
    """A stream of whole numbers below `size`: (B, T) int64."""

    size: int


class Reals(NamedTuple):
    """A stream of real vectors of `size` numbers: (B, T, size) float32."""

    size: int


class Bits(NamedTuple):
    """A stream of vectors of `size` independent zeros and ones: (B, T, size) float32."""

    size: int


Stream = Tokens | Reals | Bits


class Batch(NamedTuple):
    """B rows of T steps; S = T where every step is answered, 1 where the task answers once.

    `source` (B, R) or (B, R, D) is what is read before writing starts (N->M, 1->N), with its own kind.
    """

    inputs: Tensor  # (B, T) int64 tokens, or (B, T, D) float32
    targets: Tensor  # (B, S) int64, or (B, S, D) float32
    scored: Tensor  # (B, S) bool: the steps that count; padding never
    lengths: Tensor  # (B,) int64: valid steps; padding stands only at the end
    fresh: Tensor  # (B,) bool: False = this row continues the same row of the previous batch
    source: Tensor | None = None
    source_lengths: Tensor | None = None
    marked: Tensor | None = None  # (B, S) bool: what the task counts apart besides

    def map(self, function: Callable[[Tensor], Tensor]) -> Batch:
        """`function` on every tensor."""
        optional = [None if part is None else function(part) for part in self[5:]]
        return Batch(*map(function, self[:5]), *optional)

    def to(self, device: torch.device) -> Batch:
        return self.map(lambda part: part.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        return self.map(Tensor.pin_memory)


Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
STREAMS = 0x7A5C  # the first word of every key here


def generator(*key: int) -> numpy.random.Generator:
    """A counter-based generator that is a pure function of `key`: seed, split and index, say.

    Keys of different lengths, and those that text.py draws epochs by, never meet: a sequence of seeds is filled up with zeros.
    """
    return numpy.random.Generator(numpy.random.Philox(numpy.random.SeedSequence((STREAMS, len(key), *key))))


class NewRows(NamedTuple):
    """Some rows of a new file: what each is shown as, its class where the file has one, and batches with the numbers of their
    rows among these; and how many have no word, and are answered as an unknown one."""

    shown: list[str]
    labels: list[str | None]
    batches: list[tuple[numpy.ndarray, Batch]]
    wordless: int = 0


class Dataset(ABC):
    """The batches of a task, and the best guess that the data by themselves allow, where they have one."""

    @abstractmethod
    def batches(self, split: Split, batch_size: int) -> int:
        """See `Task.batches`."""

    @abstractmethod
    def batch(self, split: Split, index: int, batch_size: int, seed: int) -> Batch:
        """See `Task.batch`."""

    def row_numbers(self, split: Split, index: int, batch_size: int) -> numpy.ndarray:
        """(B,) the numbers of the rows of an evaluation batch in their split, from 0; here as they come."""
        return numpy.arange(index * batch_size, index * batch_size + len(self.batch(split, index, batch_size, 0).lengths))

    @property
    def floor(self) -> float:
        """See `Task.floor`."""
        raise NotImplementedError(f"{type(self).__name__} has no floor; the task must define `floor`")

    def floor_guess(self, batch: Batch) -> Tensor:
        """See `Task.floor_guess`."""
        raise NotImplementedError(f"{type(self).__name__} has no guess; the task must define `floor_guess`")

    def about(self) -> Facts:
        """How much there is of what, for `Task.about`."""
        return {}


class Generated(Dataset):
    """Sequences that are drawn: new ones for each training batch, the same `sequences` for validation, and for test."""

    def __init__(self, draw: Callable[[numpy.random.Generator, int, Split], Batch], sequences: int):
        """`draw` gives so many rows for a split."""
        self.draw, self.sequences, self.test_seed = draw, sequences, 0
        self._sets: dict[Split, Batch] = {}

    def batches(self, split: Split, batch_size: int) -> int:
        return -(-self.sequences // batch_size)

    def batch(self, split: Split, index: int, batch_size: int, seed: int) -> Batch:
        if split == "train":
            return self.draw(generator(SPLITS.index(split), index, seed), batch_size, split)
        if split not in self._sets:
            key = (SPLITS.index(split), *([self.test_seed] if split == "test" and self.test_seed else []))
            self._sets[split] = self.draw(generator(*key), self.sequences, split)
        rows = slice(index * batch_size, (index + 1) * batch_size)
        batch = self._sets[split].map(lambda part: part[rows])
        every_step = batch.scored.shape[1] == batch.inputs.shape[1]
        steps = int(batch.lengths.max())  # the set is as wide as its longest row
        batch = batch._replace(inputs=batch.inputs[:, :steps])
        if not every_step:
            return batch
        return batch._replace(targets=batch.targets[:, :steps], scored=batch.scored[:, :steps])
