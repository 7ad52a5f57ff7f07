"""The laws that rnnbench's own cells and tasks are tested by, for your own test suite.

from rnnbench.testing import check_cell, check_task

def test_my_cell():
    check_cell(MGU)

def test_my_task():
    check_task(Ones, length=10)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rnnbench.tasks.task import Task

from .laws.results import LawResult, cell_results, try_laws
from .laws.tasks import TASK_LAWS
from .models.mechanism import Mechanism

__all__ = ["check_cell", "check_task"]


def check_cell(cell: type[Mechanism], **options: Any) -> None:
    """Tries a cell, made with `options`, by every law of mechanisms.

    They are: shapes of outputs and state; outputs and gradients are finite in float32; no output depends on later inputs, or on
    other rows; a whole sequence, its chunks and its steps agree; padding changes nothing; gradients agree with finite
    differences and between back ends; the last output is the state; gates lie between 0 and 1; saved weights
    give the same outputs.

    AssertionError with one line for each law that does not hold.
    """
    _raise_broken(cell.__name__, cell_results(cell, **options))


def check_task(task: type[Task], **options: Any) -> None:
    """Tries a task, made with `options` and prepared, by every law of tasks.

    They are: batches are a pure function of split, index, size and seed; their shapes and types are those of `inputs`,
    `targets` and `structure`; the seed moves training only; `floor` is what `floor_guess` scores; a pass has every row once;
    scores and losses add up over rows; steps that are not scored do not count; who knows the targets beats the floor.

    AssertionError with one line for each law that does not hold.
    """

    def make() -> Task:
        made = task(**options)
        made.prepare()
        return made

    _raise_broken(task.__name__, try_laws(make, TASK_LAWS))


def _raise_broken(name: str, results: Iterable[LawResult]) -> None:
    if broken := dict.fromkeys(result.broken for result in results if result.broken):
        raise AssertionError("\n".join(f"{name}: {line}" for line in broken))
