"""What a baseline gives, and how it is scored: through the batches, scores and floor of its task, as a network is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from rnnbench.tasks.task import Batch, Split, Task, add_up

if TYPE_CHECKING:
    from torch import Tensor

ROWS = 64  # of a batch
Outputs = Callable[[Batch], "Tensor"]  # (B, S, size of the target stream), as a network gives them


class Result(NamedTuple):
    """One baseline: its score on both splits by the task's headline, and the setting that validation chose."""

    name: str
    chosen: str
    validation: float
    test: float
    seconds: float


def choose_best(task: Task, name: str, settings: Iterable[tuple[str, Callable[[], Outputs]]]) -> Result:
    """Fits each setting, takes the one that validation likes best, and only then looks at test."""
    began = time.perf_counter()
    fitted = []
    for words, fit in settings:
        outputs = fit()
        fitted.append((evaluate(task, outputs, "validation"), words, outputs))
    validation, words, outputs = (max if task.direction == "max" else min)(fitted, key=lambda one: one[0])
    return Result(name, words, validation, evaluate(task, outputs, "test"), time.perf_counter() - began)


def evaluate(task: Task, outputs: Outputs, split: Split) -> float:
    """The headline over a split."""
    return task.finish(add_up(task.score(outputs(batch), batch) for batch in walk(task, split)))[task.headline]


def walk(task: Task, split: Split, rows: int = ROWS) -> Iterator[Batch]:
    """One pass; in training, one row at a time, so that none sits it out."""
    rows = 1 if split == "train" else rows
    for index in range(task.batches(split, rows)):
        yield task.batch(split, index, rows, 0)
