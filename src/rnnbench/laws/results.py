"""What came of each law: tried one by one, so that one that is broken hides no other."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from ..models.mechanism import Mechanism
from .cells import CELL_LAWS, D, H, output_shape, tried

Tested = TypeVar("Tested")


@dataclass(frozen=True)
class LawResult:
    """A law by its name and in a sentence; `broken` is a line that says what does not hold, empty where it holds."""

    name: str
    says: str
    broken: str


def try_laws(
    make: Callable[[], Tested], laws: Iterable[Callable[[Tested], object]], tested: type | None = None
) -> list[LawResult]:
    """The result of each law, tried on what `make` makes anew for it. An exception breaks a law, too.

    Of an exception in the file of the class `tested` the line is said.
    """
    found = []
    for law in laws:
        name, broken = law.__name__.strip("_"), ""
        try:
            law(make())
        except Exception as error:
            place, said = _line_in_file(error, tested), " ".join(str(error).split())[:300]
            ours = isinstance(error, AssertionError) and not place and said
            broken = said if ours else f"{place or name}: {type(error).__name__}{f': {said}' if said else ''}"
        found.append(LawResult(name, (law.__doc__ or "").strip().splitlines()[0], broken))
    return found


def _line_in_file(error: Exception, tested: type | None) -> str:
    """`FILE:LINE` of the last line in the file of a class that `error` went through; empty where there is none."""
    try:
        file = inspect.getfile(tested) if tested else ""
    except (OSError, TypeError):  # of a class that was made elsewhere than in a file
        return ""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if file and frame.filename == file]
    return f"{Path(file).name}:{lines[-1]}" if lines else ""


def cell_results(cell: type[Mechanism], **options: Any) -> list[LawResult]:
    """The result of each law of mechanisms for a cell that is made with `options`."""
    if "hidden_size" in inspect.signature(cell).parameters:
        options = {"hidden_size": H, **options}

    def make() -> Mechanism:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return tried(cell(D, **options))

    return try_laws(make, (output_shape, *CELL_LAWS, _saved), cell)


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
