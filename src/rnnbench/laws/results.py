"""What came of each law: tried one by one, so that one that is broken hides no other."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from ..models.mechanism import Mechanism
from .cells import CELL_LAWS, D, H, tried

Tested = TypeVar("Tested")


@dataclass(frozen=True)
class LawResult:
    """A law by its name and in a sentence; `broken` is a line that says what does not hold, empty where it holds."""

    name: str
    says: str
    broken: str


def try_laws(make: Callable[[], Tested], laws: Iterable[Callable[[Tested], object]]) -> list[LawResult]:
    """The result of each law, tried on what `make` makes anew for it. An exception breaks a law, too."""
    found = []
    for law in laws:
        name, broken = law.__name__.strip("_"), ""
        try:
            law(make())
        except AssertionError as error:
            broken = " ".join(str(error).split())
        except Exception as error:
            broken = f"{name}: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
        found.append(LawResult(name, (law.__doc__ or "").strip().splitlines()[0], broken))
    return found


def cell_results(cell: type[Mechanism], **options: Any) -> list[LawResult]:
    """The result of each law of mechanisms for a cell that is made with `options`."""
    if "hidden_size" in inspect.signature(cell).parameters:
        options = {"hidden_size": H, **options}

    def make() -> Mechanism:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return tried(cell(D, **options))

    return try_laws(make, (_saved, *CELL_LAWS))


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
