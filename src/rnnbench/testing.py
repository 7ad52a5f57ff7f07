"""The laws that rnnbench's own cells and tasks are tested by, for your own test suite.

from rnnbench.testing import check_cell, check_task

def test_my_cell():
    check_cell(MGU)

def test_my_task():
    check_task(Ones, length=10)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import torch

from rnnbench.tasks.task import Task

from .laws.cells import CELL_LAWS, D, H, tried
from .laws.tasks import TASK_LAWS
from .models.mechanism import Mechanism

__all__ = ["check_cell", "check_task"]
Tested = TypeVar("Tested")


def check_cell(cell: type[Mechanism], **options: Any) -> None:
    """Tries a cell, made with `options`, by every law of mechanisms.

    They are: shapes of outputs and state; no output depends on later inputs, or on other rows; a whole sequence, its chunks and
    its steps agree; padding changes nothing; gradients agree with finite differences and between back ends; the last output is
    the state; gates lie between 0 and 1; saved weights give the same outputs.

    AssertionError with one line for each law that does not hold.
    """
    if "hidden_size" in inspect.signature(cell).parameters:
        options = {"hidden_size": H, **options}

    def make() -> Mechanism:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return tried(cell(D, **options))

    _try_all(cell.__name__, make, (_saved, *CELL_LAWS))


def _saved(cell: Mechanism) -> None:
    """Weights that were saved and loaded give the same outputs."""
    x = torch.linspace(-1, 1, 2 * 5 * cell.input_size, dtype=torch.double).view(2, 5, -1)
    before = {name: value.clone() for name, value in cell.state_dict().items()}
    y, _ = cell(x)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.add_(1)
    cell.load_state_dict(before)
    assert torch.equal(cell(x)[0], y), "saved weights, loaded again, give other outputs"
    assert list(cell.parameters()), "there is no parameter to train"


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

    _try_all(task.__name__, make, TASK_LAWS)


def _try_all(name: str, make: Callable[[], Tested], laws: Iterable[Callable[[Tested], object]]) -> None:
    broken = []
    for law in laws:
        try:
            law(make())
        except AssertionError as error:
            broken.append(" ".join(str(error).split()))
        except Exception as error:
            broken.append(f"{law.__name__.strip('_')}: {type(error).__name__}: {' '.join(str(error).split())[:300]}")
    if broken:
        raise AssertionError("\n".join(f"{name}: {line}" for line in broken))
