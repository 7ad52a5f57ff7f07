"""The zoo: a file of cells/ is a mechanism; those of others join through entry points `rnnbench.models`, or as a file."""

from __future__ import annotations

import functools
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ..console import say
from ..options import unknown
from ..plugins.classes import load_class, working
from ..plugins.references import Plugin, file_plugin, is_file, usable
from ..signatures import read_class

if TYPE_CHECKING:
    from .mechanism import Mechanism


CELLS = Path(__file__).parent / "cells"


@functools.cache
def mechanism_files() -> dict[str, Path]:
    """The file of each mechanism of ours by its name."""
    return {path.stem: path for path in sorted(CELLS.glob("[a-z]*.py"))}


@functools.cache
def mechanism_plugins() -> dict[str, Plugin]:
    """The mechanisms of other packages by name. Nothing of theirs is imported."""
    return usable("model", mechanism_files())


def mechanism_names() -> list[str]:
    """Every mechanism there is by name."""
    return [*mechanism_files(), *mechanism_plugins()]


def find_mechanism(reference: str) -> Path | Plugin:
    """Where the mechanism is that a name, or a file with a class, names; BadOption where there is none."""
    if reference in mechanism_files():
        return mechanism_files()[reference]
    if is_file(reference):
        return file_plugin("model", reference)
    if reference not in mechanism_plugins():
        raise unknown("mechanism", reference, mechanism_names())
    return mechanism_plugins()[reference]


def mechanism_class(reference: str) -> type[Mechanism]:
    """The class of one mechanism; no other is imported. BadOption where there is none, or it cannot be used."""
    place = find_mechanism(reference)
    if isinstance(place, Plugin):
        return cast("type[Mechanism]", load_class(place))
    module = import_module(f".cells.{place.stem}", __package__)
    return cast("type[Mechanism]", getattr(module, read_class(place, base="Mechanism").class_name))


def __getattr__(name: str) -> dict[str, type[Mechanism]]:
    """MODELS: the class of each mechanism by its name. Built when first asked for, since it imports torch."""
    if name == "MODELS":
        return _models()
    raise AttributeError(name)


@functools.cache
def _models() -> dict[str, type[Mechanism]]:
    """Of other packages, those that work; a line on standard error says what is wrong with the others."""
    theirs = working(mechanism_plugins(), load_class, lambda line: say(f"rnnbench: {line}", sys.stderr))
    return {name: mechanism_class(name) for name in mechanism_files()} | dict(theirs)
