"""The confusion matrix of a run: its type, and the check of one that is read."""

from __future__ import annotations

from typing import Any, Literal, cast

from typing_extensions import TypedDict

from ..options import fits_64_bits
from .record import DamagedRecord

LARGEST = 51  # classes that a file may hold: training/confusion.py gives 50 a row of their own, and the others one


class ConfusionMatrix(TypedDict):
    """How often each class was answered where which was right; `counts[right][answered]`."""

    split: Literal["validation", "test"]
    classes: list[str]  # names, all different
    counts: list[list[int]]


def checked_confusion(found: Any, where: str) -> ConfusionMatrix:
    """`found`, where it is such a matrix; else DamagedRecord, a line that begins with `where`."""

    def is_count(value: object) -> bool:
        return type(value) is int and value >= 0 and fits_64_bits(value)

    good = isinstance(found, dict) and found.get("split") in ("validation", "test")
    classes: Any = found.get("classes") if good else None
    counts: Any = found.get("counts") if good else None
    good = isinstance(classes, list) and all(isinstance(name, str) for name in classes) and 1 <= len(classes) <= LARGEST
    good = good and isinstance(counts, list) and len(counts) == len(classes) == len(set(classes))
    if not good or not all(isinstance(row, list) and len(row) == len(classes) and all(map(is_count, row)) for row in counts):
        raise DamagedRecord(f"{where}: no confusion matrix; without this file the run is shown without one")
    return cast(ConfusionMatrix, found)
