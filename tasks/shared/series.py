"""Sequences of real vectors: rows of different lengths as batches, and the rows of a split with a class each."""

from __future__ import annotations

import functools
import hashlib

import numpy
import torch
from torch import Tensor

from rnnbench.data.series import Series
from rnnbench.data.text import Ragged, batches_of, evaluation_rows, rows_of

from .batch import SPLITS, Batch, Dataset, Split
from .facts import Facts
from .rows import answered_once


class RealRows(Ragged):
    """Rows of real vectors, end to end: `values` (steps, dimensions)."""

    def padded(self, rows: numpy.ndarray, pad: int) -> tuple[numpy.ndarray, numpy.ndarray]:
        """The `rows` as one (B, T, D) float32 array filled up with `pad`, and their lengths (B,)."""
        lengths = self.lengths[rows]
        steps = numpy.arange(lengths.max(initial=0))
        inside = steps < lengths[:, None]
        found = numpy.full((*inside.shape, self.values.shape[1]), pad, numpy.float32)
        found[inside] = self.values[(self.offsets[rows][:, None] + steps)[inside]]
        return found, lengths


class LabelledSequences:
    """The sequences of a split, each with its class; split as texts are."""

    def __init__(self, rows: list[numpy.ndarray], labels: numpy.ndarray):
        self.rows, self.labels = rows, labels

    @classmethod
    def of(cls, series: Series, labels: numpy.ndarray) -> LabelledSequences:
        return cls(numpy.split(series.values, series.offsets[1:-1]), labels)

    def __len__(self) -> int:
        return len(self.rows)

    @functools.cached_property
    def keys(self) -> numpy.ndarray:
        """(sequences,) uint64: the same for equal sequences."""
        digests = [hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in self.rows]
        return numpy.frombuffer(b"".join(digests), numpy.uint64)

    def take(self, rows: numpy.ndarray) -> LabelledSequences:
        return LabelledSequences([self.rows[row] for row in rows.nonzero()[0]], self.labels[rows])

    def ragged(self) -> RealRows:
        offsets = numpy.concatenate([[0], numpy.cumsum([len(row) for row in self.rows])])
        return RealRows(numpy.concatenate(self.rows), offsets)


class ClassifiedSequences(Dataset):
    """Sequences with a class each; the guess is the class that is the most frequent in training."""

    def __init__(self, parts: dict[Split, LabelledSequences], classes: int):
        self.classes = classes
        self.steps = {split: parts[split].ragged() for split in SPLITS}
        self.labels = {split: parts[split].labels for split in SPLITS}
        self.guess = int(numpy.bincount(self.labels["train"], minlength=classes).argmax())

    @property
    def floor(self) -> float:
        """The share of the test sequences whose class is the guess."""
        return float(numpy.mean(self.labels["test"] == self.guess))

    def floor_guess(self, batch: Batch) -> Tensor:
        guess = torch.zeros(*batch.targets.shape, self.classes, device=batch.targets.device)
        guess[..., self.guess] = 1
        return guess

    def row_numbers(self, split: Split, index: int, batch_size: int) -> numpy.ndarray:
        return evaluation_rows(self.steps[split], index, batch_size)

    def batches(self, split: Split, batch_size: int) -> int:
        return batches_of(self.steps[split], split, batch_size)

    def batch(self, split: Split, index: int, batch_size: int, seed: int) -> Batch:
        """Rows of similar length; see `Task.batch`."""
        rows = rows_of(self.steps[split], split, index, batch_size, seed)
        return answered_once(*self.steps[split].padded(rows, pad=0), self.labels[split][rows].astype(numpy.int64)[:, None])

    def about(self) -> Facts:
        return {f"{split}_sequences": len(rows) for split, rows in self.steps.items()}
