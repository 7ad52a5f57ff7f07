"""Counts how often each class was answered where which was right, and each of several labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from rnnbench.tasks.task import Batch

from ..options import shortened
from .devices import Devices

MOST = 50  # classes with a row of their own: the most frequent; all others share one
LONGEST = 40  # characters of a name
ClassCounts = tuple[list[str], list[tuple[int, int, int]]]  # names, and how often answered rightly, answered, and right


class Confusion:
    """Counts over a split, batch by batch, on this device; only pairs that occur take memory."""

    def __init__(self, classes: Sequence[str]):
        self._classes = classes
        self._pairs: Counter[tuple[int, int]] = Counter()  # (right, answered)

    def add(self, outputs: Tensor, batch: Batch) -> None:
        """Counts the scored answers; outputs (B, S, classes)."""
        size = len(self._classes)
        codes = (batch.targets * size + outputs.argmax(-1))[batch.scored]
        found, counts = torch.unique(codes, return_counts=True)
        for code, count in zip(found.tolist(), counts.tolist(), strict=True):
            self._pairs[divmod(code, size)] += count

    def matrix(self, devices: Devices) -> tuple[list[str], list[list[int]]]:
        """(names, counts[right][answered]) over all devices.

        Of more than MOST classes those that are right most often stay, in their order; the others are one class, the last.
        """
        size = len(self._classes)
        place = torch.arange(size)
        kept = list(range(size))
        if size > MOST:
            right = torch.zeros(size, dtype=torch.int64)
            for (target, _), count in self._pairs.items():
                right[target] += count
            kept = most_frequent(devices.sum(right.to(devices.device)).cpu())
            place = torch.full((size,), MOST)
            place[kept] = torch.arange(MOST)
        names = kept_names(self._classes, kept)
        counts = torch.zeros(len(names), len(names), dtype=torch.int64)
        for (target, answer), count in self._pairs.items():
            counts[place[target], place[answer]] += count
        return names, devices.sum(counts.to(devices.device)).tolist()


def matrix_counts(matrix: Sequence[Sequence[int]]) -> list[tuple[int, int, int]]:
    """(times that it was answered rightly, was answered, was right) of each class of a confusion matrix."""
    return [(row[one], sum(other[one] for other in matrix), sum(row)) for one, row in enumerate(matrix)]


def label_counts(labels: Sequence[str], counts: Tensor) -> ClassCounts:
    """Names and counts of labels, as `Confusion.matrix` keeps them; `counts` (3, labels) as `labels_sums` has them, of all
    devices."""
    counts = counts.cpu().to(torch.int64)
    kept = most_frequent(counts[2])
    columns = counts[:, kept].T.tolist()
    if len(kept) < len(labels):
        columns.append((counts.sum(1) - counts[:, kept].sum(1)).tolist())
    return kept_names(labels, kept), [(right, answered, wanted) for right, answered, wanted in columns]


def most_frequent(right: Tensor) -> list[int]:
    """The MOST classes that are right most often, (classes,) times, in their order."""
    return sorted(right.argsort(descending=True, stable=True)[:MOST].tolist())


def kept_names(classes: Sequence[str], kept: Sequence[int]) -> list[str]:
    """The names of the classes that are kept, and of the others together."""
    others = [f"{len(classes) - len(kept)} others"] if len(kept) < len(classes) else []
    return distinct_names([*(classes[number] for number in kept), *others])


def distinct_names(names: Sequence[str]) -> list[str]:
    """The names in at most LONGEST characters; where two are then the same, each with its number."""
    short = [shortened(name, LONGEST) for name in names]
    return short if len(set(short)) == len(short) else [f"{name} ({number})" for number, name in enumerate(short)]
