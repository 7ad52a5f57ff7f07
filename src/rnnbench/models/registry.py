"""The zoo: a file of cells/ is a mechanism; those of others join through entry points `rnnbench.models`, or as a file."""

from __future__ import annotations

import functools
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ..plugins.classes import Registry, every_class, load_class, signature_of
from ..plugins.references import Plugin, find_class, usable

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
    return find_class("model", reference, mechanism_files(), mechanism_plugins(), "mechanism")


def mechanism_class(reference: str) -> type[Mechanism]:
    """The class of one mechanism; no other is imported. BadOption where there is none, or it cannot be used."""
    place = find_mechanism(reference)
    if isinstance(place, Plugin):
        return cast("type[Mechanism]", load_class(place))
    module = import_module(f".cells.{place.stem}", __package__)
    return cast("type[Mechanism]", getattr(module, signature_of(place, "Mechanism").class_name))


def __getattr__(name: str) -> dict[str, type[Mechanism]]:
    """MODELS: the class of each mechanism by its name. Built when first asked for, since it imports torch."""
    if name == "MODELS":
        return _models()
    raise AttributeError(name)


@functools.cache
def _models() -> dict[str, type[Mechanism]]:
    return Registry("model", {name: mechanism_class(name) for name in mechanism_files()} | every_class(mechanism_plugins()))
