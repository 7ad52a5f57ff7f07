"""Signatures of imported classes, as Python itself sees them: aliases, inherited constructors, any annotation or none."""

from __future__ import annotations

import contextlib
import inspect
import math
import textwrap
import types
import typing
from collections.abc import Callable
from typing import Annotated, Any, Literal

from ..options import MISSING, Needs, Option, Range, apart, convert
from ..signatures import Signature, parameter_comments

SIMPLE = (int, float, bool, str)
NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def class_signature(found: type, kind: str) -> Signature:
    """The options, class attributes and docstring of a class. Of a model, the first parameter is the size of its inputs.

    A parameter whose default is no number, text, true, false, null or list is no option: it stays as it is.
    """
    options = {}
    for place, (parameter, function) in enumerate(_parameters(found)):
        name = "input_size" if kind == "model" and place == 0 else parameter.name
        if (option := _option(name, parameter, function)) is not None:
            options[name] = option
    constants = {
        name: value
        for base in reversed(found.__mro__)
        for name, value in vars(base).items()
        if not name.startswith("_") and _is_plain(value)
    }
    module = inspect.getmodule(found)
    doc = vars(found).get("__doc__") or (module.__doc__ if module else "") or ""
    return Signature(options, constants, inspect.cleandoc(doc), found.__name__)


def _parameters(found: type) -> list[tuple[inspect.Parameter, Callable[..., Any]]]:
    """What the constructor takes by name, each with the function that it stands in; a base's where **options goes to it."""
    return list(_taken(found.__mro__).values())


def _taken(classes: tuple[type, ...]) -> dict[str, tuple[inspect.Parameter, Callable[..., Any]]]:
    place = next(number for number, one in enumerate(classes) if "__init__" in vars(one))
    function = vars(classes[place])["__init__"]
    if classes[place] is object:
        return {}
    given = list(inspect.signature(function).parameters.values())[1:]  # without self
    kinds = {one.kind for one in given}
    own = {one.name: (one, function) for one in given if one.kind in NAMED}
    if inspect.Parameter.VAR_KEYWORD not in kinds:
        return own
    others = {name: one for name, one in _taken(classes[place + 1 :]).items() if name not in own}
    return {**others, **own} if inspect.Parameter.VAR_POSITIONAL in kinds else {**own, **others}


def _option(name: str, parameter: inspect.Parameter, function: Callable[..., Any]) -> Option | None:
    default = MISSING if parameter.default is inspect.Parameter.empty else parameter.default
    if isinstance(default, tuple):
        default = list(default)
    if not _is_plain(default):
        return None
    hints = _hints(function)
    annotation, needs, where = apart(hints.get(parameter.name, _guessed(default)))
    annotation = _plain_annotation(annotation)
    if default != MISSING and not _takes(annotation, default):
        annotation = Any if isinstance(default, list) else typing.Union[annotation, type(default)]  # noqa: UP007 - as a value
    return Option(name, annotation, default, _comments(function).get(parameter.name, ""), needs, where)


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Annotations, evaluated; one that cannot be, as where its name is only for the type checker, is left out."""
    with contextlib.suppress(Exception):
        return typing.get_type_hints(function, include_extras=True)
    found: dict[str, Any] = {}
    for name, annotation in inspect.get_annotations(inspect.unwrap(function)).items():
        probe = types.SimpleNamespace(__annotations__={name: annotation})
        with contextlib.suppress(Exception):
            found |= typing.get_type_hints(probe, getattr(function, "__globals__", {}), include_extras=True)
    return found


def _comments(function: Callable[..., Any]) -> dict[str, str]:
    with contextlib.suppress(Exception):  # no source, as of a dataclass
        return parameter_comments(textwrap.dedent(inspect.getsource(function)))
    return {}


def _guessed(default: Any) -> Any:
    """What may stand in place of a default, where nothing else is known: of a number any number."""
    if default is None or isinstance(default, list) or default == MISSING:
        return Any
    return typing.Union[int, float] if type(default) is int else type(default)  # noqa: UP007 - as a value


def _takes(annotation: Any, default: Any) -> bool:
    try:
        return bool(convert(default, annotation) == default)
    except ValueError:
        return False


def _is_plain(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or (type(value) in SIMPLE and not (type(value) is float and not math.isfinite(value)))


def _plain_annotation(annotation: Any) -> Any:
    """`annotation` as options know them; Any in place of what is no type of an option."""
    annotation = getattr(annotation, "__value__", annotation)  # of `type Length = ...`
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        conditions = [part for part in parts[1:] if isinstance(part, Range | Needs)]
        base = _plain_annotation(parts[0])
        return Annotated[base, *conditions] if conditions and base is not Any else base
    if origin in (typing.Union, types.UnionType):
        choices = tuple(map(_plain_annotation, parts))
        return Any if Any in choices else typing.Union[choices]  # noqa: UP007 - as a value
    if origin is Literal:
        return annotation if all(map(_is_plain, parts)) else Any
    if origin in (list, tuple):
        return origin[tuple(part if part is Ellipsis else _plain_annotation(part) for part in parts)]
    return annotation if annotation in (*SIMPLE, type(None)) else type(None) if annotation is None else Any
