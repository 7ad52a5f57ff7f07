"""Options as they stand in constructor signatures: types, ranges, and the refusals that name what is allowed.

A default is written once, in the signature of what it configures, with its range in the annotation and its unit in the comment
of its line:

    def __init__(self, delay: Positive = 100,  # blank steps
"""

from __future__ import annotations

import contextlib
import difflib
import enum
import errno
import functools
import inspect
import math
import sys
import types
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from .console import has_control

MISSING = "???"
SHOWN = 100  # characters of a value that a message shows
PLAIN = bool | int | float | str | None | list[Any]  # what may stand where anything may
LARGEST = 2**63 - 1  # whole number that an option may be: what PyTorch and files of others hold


@dataclass(frozen=True)
class Range:
    """The numbers from `low` to `high`; an end is included unless `open_low`, `open_high` leave it out."""

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: float) -> bool:
        above = value > self.low if self.open_low else value >= self.low
        below = value < self.high if self.open_high else value <= self.high
        return above and below

    def __str__(self) -> str:
        low = "" if self.low == -math.inf else f"{'more than' if self.open_low else 'at least'} {self.low:.10g}"
        high = "" if self.high == math.inf else f"{'less than' if self.open_high else 'at most'} {self.high:.10g}"
        return " and ".join(part for part in (low, high) if part)


@dataclass(frozen=True)
class Needs:
    """Where an option has an effect: where one of `options` is one of `values`, or none of `besides`, or is at least `least`.

    With none of these it is to be set, to anything but null, 0, false and an empty text. An option is named as its own
    signature does, or by its dotted key; `task.structure` and the like are class attributes of the task. Of several Needs, all
    are to hold:

        decay: Annotated[AboveZero, Needs("schedule", values=("plateau",))] = 0.5
    """

    options: tuple[str, ...]
    values: tuple[Any, ...] = ()
    besides: tuple[Any, ...] = ()
    least: float | None = None

    def __init__(
        self, *options: str, values: Iterable[Any] = (), besides: Iterable[Any] = (), least: float | None = None
    ) -> None:
        for name, value in (("options", options), ("values", tuple(values)), ("besides", tuple(besides)), ("least", least)):
            object.__setattr__(self, name, value)

    def __contains__(self, value: object) -> bool:
        """Whether `value` of one of the options is enough."""
        if self.values or self.besides:
            return value in self.values or (not self.values and value not in self.besides)
        if self.least is not None:
            return isinstance(value, int | float) and value >= self.least
        return bool(value)

    def __str__(self) -> str:
        names = " or ".join(self.options)
        if self.values:
            return f"{names}={' or '.join(map(plain_text, self.values))}"
        if self.besides:
            return f"{names} other than {', '.join(map(str, self.besides))}"
        return f"{names} of at least {self.least:g}" if self.least is not None else f"{names} to be set"


@dataclass(frozen=True)
class Where:
    """Marks an option that says only where data lie, or how they are read: what they are says the data's fingerprint.

    It is no part of a run's id. Values `besides` name sets of ours, and are part of it:

        text: Annotated[str, Where(besides=("ptb",))] = "ptb"

    `path`: whether the value may be a path, which is kept as an absolute one. The name of a column never is.
    """

    besides: tuple[Any, ...] = ()
    path: bool = True

    def __init__(self, *, besides: Iterable[Any] = (), path: bool = True) -> None:
        object.__setattr__(self, "besides", tuple(besides))
        object.__setattr__(self, "path", path)

    def __contains__(self, value: object) -> bool:
        """Whether `value` says where data lie."""
        return value not in self.besides


Count = Annotated[int, Range(0)]
Seed = Annotated[int, Range(0, 2**32 - 1)]  # what every generator can be seeded with
Positive = Annotated[int, Range(1)]
Rate = Annotated[float, Range(0, 1, open_high=True)]  # the share that dropout sets to zero
Share = Annotated[float, Range(0, 1)]
AtLeastZero = Annotated[float, Range(0)]
AboveZero = Annotated[float, Range(0, open_low=True)]


class BadOption(ValueError):
    """What a user asked for cannot be; the message is one line: what was got, what is allowed."""


class Failed(RuntimeError):
    """What was asked for rightly could not be done; the message is one line."""


def output_error(option: str, error: OSError) -> BadOption | Failed:
    """The error for a file, named by `option`, that could not be written: the user's where another place would do."""
    why = f"{option}: {'there is no such folder' if error.errno == errno.ENOENT else error.strerror or error}"
    return Failed(why) if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG) else BadOption(why)


@dataclass(frozen=True)
class Option:
    """One parameter of a constructor: its name, type (as annotated), default and the comment on its line."""

    name: str
    annotation: Any
    default: Any
    comment: str = ""
    needs: tuple[Needs, ...] = ()  # what must hold of other options, so that this one has an effect
    where: Where | None = None  # of an option that says where data lie

    def says_where(self, value: object) -> bool:
        """Whether `value` says only where data lie."""
        return self.where is not None and value in self.where

    def check(self, value: object, key: str) -> Any:
        """`value`, as the annotated type; raises BadOption naming `key`, what was got and what is allowed."""
        if isinstance(value, str) and value == MISSING and self.default == MISSING:
            raise BadOption(f"missing value: {key} ({describe(self.annotation)})")
        try:
            return convert(value, self.annotation)
        except ValueError:
            near = nearest(str(value)[:SHOWN], map(str, typing.get_args(self.annotation)))
            got = "null" if value is None else shortened(repr(value))
            allowed = describe(self.annotation)
            if isinstance(value, int) and not fits_64_bits(value):
                allowed += f", at most {LARGEST}"
            elif isinstance(value, str) and has_control(value):
                allowed += ", in one line without control characters"
            raise BadOption(f"{key}={got} is not allowed{near or ';'} allowed: {allowed}") from None


def checking_options(init: Callable[..., None]) -> Callable[..., None]:
    """A constructor that refuses, with a BadOption, what the annotations of its parameters do not allow.

    A default is always allowed. Parameters with other annotations than options have are not looked at, nor are those that
    take any number of values.
    """
    signature = inspect.signature(init)

    @functools.wraps(init)
    def checked(self: object, *arguments: Any, **named: Any) -> None:
        try:
            given = signature.bind(self, *arguments, **named).arguments
        except TypeError:  # of names and numbers of arguments the constructor itself speaks
            given = {}
        for name, value in given.items():
            option = _options_of(init).get(name)
            if option and value is not option.default:
                option.check(_plain_value(value), name)
        init(self, *arguments, **named)

    return checked


@functools.cache
def _options_of(init: Callable[..., None]) -> dict[str, Option]:
    found = {}
    for name, parameter in inspect.signature(init).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) or parameter.annotation is parameter.empty:
            continue
        holder = types.SimpleNamespace(__annotations__={name: parameter.annotation})
        try:
            annotation = typing.get_type_hints(holder, vars(sys.modules[init.__module__]), include_extras=True)[name]
        except Exception:  # a name that only a type checker knows, or words that are no type
            continue
        if _is_plain(annotation := apart(annotation)[0]):
            found[name] = Option(name, annotation, parameter.default)
    return found


def _is_plain(annotation: Any) -> bool:
    """Whether `convert` knows what such an annotation allows."""
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return _is_plain(parts[0]) and all(isinstance(part, Range) for part in parts[1:])
    if origin is list or (origin is tuple and parts[1:] == (...,)):
        return _is_plain(parts[0])
    if origin in (typing.Union, types.UnionType):
        return all(map(_is_plain, parts))
    return origin is Literal or annotation in (bool, int, float, str, None, type(None))


def _plain_value(value: object) -> object:
    """A number of NumPy or PyTorch as one of Python, and a member of an enumeration as what it stands for."""
    if isinstance(value, list | tuple):
        return [_plain_value(part) for part in value]
    if getattr(value, "shape", None) == () and getattr(value, "device", None) != "meta":
        with contextlib.suppress(Exception):
            return value.item()  # type: ignore[attr-defined]
    if isinstance(value, enum.Enum):
        return value.value
    return value


def fits_64_bits(value: int) -> bool:
    """Whether PyTorch and Arrow can hold a whole number."""
    return -LARGEST - 1 <= value <= LARGEST


def shortened(text: str, most: int = SHOWN) -> str:
    """`text` in one line, or where that is longer than `most` characters its beginning and its end."""
    line = " ".join(text.splitlines())
    half = (most - len(" ... ")) // 2
    return line if len(line) <= most else f"{line[:half]} ... {line[-half:]}"


def apart(annotation: Any) -> tuple[Any, tuple[Needs, ...], Where | None]:
    """(the annotation without what the option needs, what it needs, how it says where data lie)."""
    if typing.get_origin(annotation) is not Annotated:
        return annotation, (), None
    base, *others = typing.get_args(annotation)
    needs = tuple(part for part in others if isinstance(part, Needs))
    where = next((part for part in others if isinstance(part, Where)), None)
    ranges = [part for part in others if not isinstance(part, Needs | Where)]
    return Annotated[base, *ranges] if ranges else base, needs, where


def convert(value: object, annotation: object) -> Any:
    """`value` as `annotation` asks; ValueError where it cannot be. A whole float is no int, a bool no number."""
    origin = typing.get_origin(annotation)
    if annotation is Any:
        return convert(value, PLAIN)
    if origin is Annotated:
        base, *ranges = typing.get_args(annotation)
        value = convert(value, base)
        if not all(value in range_ for range_ in ranges):
            raise ValueError
        return value
    if origin in (typing.Union, types.UnionType):
        for choice in typing.get_args(annotation):
            try:
                return convert(value, choice)
            except ValueError:
                continue
        raise ValueError
    if origin is Literal:
        for choice in typing.get_args(annotation):
            same = value == choice or (isinstance(choice, str) and str(value) == choice)  # 64 for '64'
            if same and isinstance(value, bool) == isinstance(choice, bool):
                return choice
        raise ValueError
    if origin in (list, tuple):
        if not isinstance(value, list | tuple):
            raise ValueError
        return [convert(item, typing.get_args(annotation)[0]) for item in value]
    if annotation is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise ValueError from None
    if annotation is str and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)  # a column may be called 0
    if annotation is None or annotation is type(None):
        if value is None:
            return None
        raise ValueError
    if type(value) is not annotation or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError
    if (isinstance(value, int) and not fits_64_bits(value)) or (isinstance(value, str) and has_control(value)):
        raise ValueError
    return value


def plain_text(value: object) -> str:
    """A value as it stands in YAML and on a command line: `null`, `true`, `0.5`."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def takes_fractions(annotation: object) -> bool:
    """Whether a number that is not whole may stand there."""
    if typing.get_origin(annotation) in (Annotated, typing.Union, types.UnionType):
        return any(map(takes_fractions, typing.get_args(annotation)))
    return annotation is float


def describe(annotation: object) -> str:
    """The annotation in a user's words: `whole number, at least 1`."""
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return ", ".join([describe(parts[0]), *(str(part) for part in parts[1:])])
    if origin in (typing.Union, types.UnionType):
        return " or ".join(describe(part) for part in parts)
    if origin is Literal:
        return ", ".join(str(part) for part in parts)
    if origin in (list, tuple):
        return f"list of: {describe(parts[0])}"
    names: dict[object, str] = {int: "whole number", float: "number", bool: "true or false", str: "text", type(None): "null"}
    names[Any] = "number, true or false, text, null or a list of these"
    return names.get(annotation, str(annotation))


def amount(count: int, noun: str) -> str:
    """`1 run`, `2 runs`, `1 class`, `2 classes`, `0 batches`, `1,200 rows`: the one place where a plural is made."""
    ending = "es" if noun.endswith(("s", "x", "ch", "sh")) else "s"
    return f"{count:,} {noun}{ending * (count != 1)}"


def near_names(word: str, words: Iterable[str]) -> list[str]:
    """Those of `words` that `word` may stand for: the same in other capitals; else the most similar one, and those of which it
    is a part, at most three. A group that all have, such as `train.`, does not count as similar."""
    there = {one.casefold(): one for one in words}
    given = word.casefold()
    if given in there:
        return [there[given]]
    group = given[: given.rfind(".") + 1]
    if group and all(one.startswith(group) for one in there):
        there = {one.removeprefix(group): name for one, name in there.items()}
        given = given.removeprefix(group)
    close = difflib.get_close_matches(given, list(there), n=1, cutoff=0.6)
    parts = [one for one in there if f"_{given}_" in f"_{one}_"]
    return [there[one] for one in dict.fromkeys([*close, *parts])][:3]


def nearest(word: str, words: Iterable[str]) -> str:
    """`; did you mean 'copy_memory'?`, or nothing where no word is near."""
    near = near_names(word, words)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""


def unknown(kind: str, word: str, words: Iterable[str]) -> BadOption:
    """The error for a name that is none of `words`: the nearest of them; and all, where none is near or they are few."""
    words = sorted(words)
    near, every = nearest(word, words), ", ".join(words)
    if near and len(every) > SHOWN:
        return BadOption(f"no {kind} {shortened(word)!r}{near}")
    return BadOption(f"no {kind} {shortened(word)!r}{near or ';'} there are: {every}")


def named(kind: str, words: str | None, there: Iterable[str]) -> list[str]:
    """The names in `words`, parted by commas, or all that are there; BadOption for one that is not."""
    known = list(dict.fromkeys(there))
    names = known if words is None else words.split(",")
    for name in names:
        if name not in known:
            raise unknown(kind, name, known)
    return names
