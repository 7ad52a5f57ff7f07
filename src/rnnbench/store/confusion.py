"""The confusion matrix of a run: its type, and the check of one that is read."""

from __future__ import annotations

from collections.abc import Sequence
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


class ClassScores(TypedDict):
    """How well one class was told from the others; null where it was never answered, or never right."""

    precision: float | None
    recall: float | None
    f1: float | None
    rows: int  # in which it was right


def class_scores(classes: Sequence[str], counts: Sequence[tuple[int, int, int]]) -> dict[str, ClassScores]:
    """Precision, recall and F1 of each class, or of each of several labels a row, by its name.

    `counts` are how often it was answered rightly, was answered, and was right.
    """
    found: dict[str, ClassScores] = {}
    for name, (right, answered, wanted) in zip(classes, counts, strict=True):
        found[name] = {
            "precision": right / answered if answered else None,
            "recall": right / wanted if wanted else None,
            "f1": 2 * right / (answered + wanted) if answered + wanted else None,
            "rows": wanted,
        }
    return found


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
