"""How large a model is, and what can compute it: known by building it, without running it on data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ..plugins.classes import signature_of
from ..signatures import Signature, read_class
from .mechanism import Mechanism, leaves
from .registry import find_mechanism, mechanism_class, mechanism_files
from .stack import Stack


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
    return [_details(name, given, width) for name, given in (settings or {name: {} for name in mechanism_files()}).items()]


def model_stack(name: str, given: Mapping[str, Any], width: int) -> Stack:
    """The stack of the model `name` that reads `width` inputs into `width` units; `given` as in `mechanism_details`."""
    options = {key: value for key, value in given.items() if key not in ("name", "mechanism", "class")}
    mechanism = _mechanism_of(name, given)
    known = read_class(Path(__file__).parent / "stack.py", name="Stack").options
    around = {key: options.pop(key) for key in tuple(options) if key in known}
    if "hidden_size" in _signature(mechanism).options:
        options["hidden_size"] = width
    return Stack(lambda size: mechanism_class(mechanism)(size, **options), width, **around)


def _mechanism_of(name: str, given: Mapping[str, Any]) -> str:
    return str(given.get("class", given.get("mechanism", name)))


def _signature(mechanism: str) -> Signature:
    return signature_of(find_mechanism(mechanism), "Mechanism")


def _details(name: str, given: Mapping[str, Any], width: int) -> MechanismDetails:
    stack = model_stack(name, given, width)
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
        _signature(_mechanism_of(name, given)).doc_line("Source"),
        sum(parameter.numel() for parameter in stack.parameters()),
        sum(leaf.numel() for leaf in leaves(stack.initial_state(1)) if leaf.is_floating_point()),
        tuple(able),
    )
