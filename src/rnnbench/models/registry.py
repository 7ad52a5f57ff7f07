"""The zoo: a file of cells/ is a mechanism; those of other packages join through the entry point group `rnnbench.models`."""

from __future__ import annotations

import functools
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

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
