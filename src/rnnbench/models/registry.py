"""The zoo: a file of cells/ is a mechanism; those of other packages join through the entry point group `rnnbench.models`."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..signatures import read_class

if TYPE_CHECKING:
    from .mechanism import Mechanism


CELLS = Path(__file__).parent / "cells"


@functools.cache
def mechanism_files() -> dict[str, Path]:
    """The file of each mechanism by its name. Nothing is imported."""
    found = {path.stem: path for path in sorted(CELLS.glob("[a-z]*.py"))}
    for entry in metadata.entry_points(group="rnnbench.models"):
        spec = find_spec(entry.module)
        if spec and spec.origin:
            found.setdefault(entry.name, Path(spec.origin))
    return found


def __getattr__(name: str) -> dict[str, type[Mechanism]]:
    """MODELS: the class of each mechanism by its name. Built when first asked for, since it imports torch."""
    if name == "MODELS":
        return _models()
    raise AttributeError(name)


@functools.cache
def _models() -> dict[str, type[Mechanism]]:
    ours = {
        path.stem: getattr(import_module(f".cells.{path.stem}", __package__), read_class(path, base="Mechanism").class_name)
        for path in sorted(CELLS.glob("[a-z]*.py"))
    }
    theirs = {entry.name: entry.load() for entry in metadata.entry_points(group="rnnbench.models") if entry.name not in ours}
    return ours | theirs


class MechanismDetails(NamedTuple):
    """What there is to know of a model of a given width without running it."""

    name: str
    source: str
    parameters: int  # of the whole stack; no codec, no read-out
    state_size: int  # floats that are carried from one step to the next
    backends: tuple[str, ...]  # what can compute it


def mechanism_details(settings: Mapping[str, Mapping[str, Any]] | None = None, width: int = 128) -> list[MechanismDetails]:
    """Details of models that read `width` inputs into `width` units, by default of every mechanism.

    `settings` are options by name: `mechanism`, and those of the stack and of the mechanism that depart from their defaults.
    """
    return [
        _details(name, dict(given), width) for name, given in (settings or {name: {} for name in mechanism_files()}).items()
    ]


def _details(name: str, given: dict[str, Any], width: int) -> MechanismDetails:
    import torch

    from .mechanism import Mechanism, leaves
    from .stack import Stack

    given.pop("name", None)
    mechanism = given.pop("mechanism", name)
    known = read_class(Path(__file__).parent / "stack.py", name="Stack").options
    around = {key: given.pop(key) for key in tuple(given) if key in known}
    signature = read_class(mechanism_files()[mechanism], base="Mechanism")
    if "hidden_size" in signature.options:
        given["hidden_size"] = width
    stack = Stack(lambda size: _models()[mechanism](size, **given), width, **around)
    cells = [part for part in stack.modules() if isinstance(part, Mechanism)]
    able = []
    for backend in stack.layers[0][0].backends:
        for cell in cells:
            cell.backend = backend
        try:
            stack(torch.zeros(1, 1, width))
        except ValueError:
            continue
        able.append(backend)
    return MechanismDetails(
        name,
        signature.doc_line("Source"),
        sum(parameter.numel() for parameter in stack.parameters()),
        sum(leaf.numel() for leaf in leaves(stack.initial_state(1)) if leaf.is_floating_point()),
        tuple(able),
    )
