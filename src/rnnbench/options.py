"""Options as they stand in constructor signatures: ranges, and a reader that never imports.

A default is written once, in the signature of what it configures, with its range in the annotation
and its unit in the comment of its line:

    def __init__(self, delay: Positive = 100,  # blank steps

`read` takes that apart from the source text, so that help, completion and the refusal of a typo
cost milliseconds; importing the same file would import torch.
"""

from __future__ import annotations

import ast
import builtins
import dataclasses
import difflib
import functools
import inspect
import io
import math
import operator
import textwrap
import tokenize
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

MISSING = "???"


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
        low = "" if self.low == -math.inf else f"{'more than' if self.open_low else 'at least'} {self.low:g}"
        high = "" if self.high == math.inf else f"{'less than' if self.open_high else 'at most'} {self.high:g}"
        return " and ".join(part for part in (low, high) if part)


Count = Annotated[int, Range(0)]
Seed = Annotated[int, Range(0, 2**32 - 1)]  # what every generator can be seeded with
Positive = Annotated[int, Range(1)]
Rate = Annotated[float, Range(0, 1, open_high=True)]  # the share that dropout sets to zero
Share = Annotated[float, Range(0, 1)]
AtLeastZero = Annotated[float, Range(0)]
AboveZero = Annotated[float, Range(0, open_low=True)]


class BadOption(ValueError):
    """What a user asked for cannot be; the message is one line: what was got, what is allowed."""


@dataclass(frozen=True)
class Option:
    """One parameter of a constructor: its name, type (as annotated), default and the comment on its line."""

    name: str
    annotation: Any
    default: Any
    comment: str = ""

    def check(self, value: object, key: str) -> Any:
        """`value`, as the annotated type; raises BadOption naming `key`, what was got and what is allowed."""
        if value == MISSING and self.default == MISSING:
            raise BadOption(f"missing value: {key} ({describe(self.annotation)})")
        try:
            return convert(value, self.annotation)
        except ValueError:
            near = nearest(str(value), map(str, typing.get_args(self.annotation)))
            raise BadOption(f"{key}={value!r} is not allowed{near or ';'} allowed: {describe(self.annotation)}") from None


@dataclass(frozen=True)
class Signature:
    """What the source of one class says: its options, its literal class attributes and its docstring."""

    options: Mapping[str, Option]
    constants: Mapping[str, Any]
    doc: str
    class_name: str

    def defaults(self, *without: str) -> dict[str, Any]:
        return {name: option.default for name, option in self.options.items() if name not in without}

    def doc_line(self, label: str) -> str:
        """The docstring's paragraph that begins with `label:`, on one line; empty where there is none."""
        for paragraph in self.doc.split("\n\n"):
            if paragraph.strip().startswith(f"{label}:"):
                return " ".join(paragraph.split())[len(label) + 1 :].strip()
        return ""


def convert(value: object, annotation: object) -> Any:
    """`value` as `annotation` asks; ValueError where it cannot be. A whole float is no int, a bool no number."""
    origin = typing.get_origin(annotation)
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
        return float(value)
    if annotation is str and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)  # a column may be called 0
    if annotation is None or annotation is type(None):
        if value is None:
            return None
        raise ValueError
    if type(value) is not annotation or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError
    return value


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
    return names.get(annotation, str(annotation))


def nearest(word: str, words: Iterable[str]) -> str:
    """`; did you mean 'copy_memory'?`, or nothing where no word is near."""
    close = difflib.get_close_matches(word, list(words), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def unknown(kind: str, word: str, words: Iterable[str]) -> BadOption:
    """The error for a name that is none of `words`, with the nearest of them and the whole list."""
    words = sorted(words)
    return BadOption(f"no {kind} {word!r}{nearest(word, words) or ';'} there are: {', '.join(words)}")


def named(kind: str, words: str | None, there: Iterable[str]) -> list[str]:
    """The names in `words`, parted by commas, or all that are there; BadOption for one that is not."""
    known = list(dict.fromkeys(there))
    names = words.split(",") if words else known
    for name in names:
        if name not in known:
            raise unknown(kind, name, known)
    return names


@functools.cache
def read(path: Path, base: str | None = None, name: str | None = None) -> Signature:
    """The signature of the class or function in `path` that is called `name`, or of the class that derives from `base`.

    The docstring is the file's, which says what the class of a task or a mechanism is.
    """
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and (node.name == name or (base and base in map(ast.unparse, node.bases))):
            return _signature(node.name, node.body, source, ast.get_docstring(tree) or "")
        if isinstance(node, ast.FunctionDef) and node.name == name:
            parameters = [*node.args.args, *node.args.kwonlyargs]
            return Signature(_options(parameters, node.args, source), {}, ast.get_docstring(node) or "", name)
    raise LookupError(f"{path}: no class {name or 'of ' + str(base)}")


def _signature(name: str, body: list[ast.stmt], source: str, doc: str) -> Signature:
    constants = {}
    options: dict[str, Option] = {}
    for item in body:
        if isinstance(item, ast.Assign | ast.AnnAssign) and item.value is not None:
            target = item.targets[0] if isinstance(item, ast.Assign) else item.target
            try:
                constants[ast.unparse(target)] = ast.literal_eval(item.value)
            except ValueError:
                continue  # computed, so not a plain constant
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            parameters = [*item.args.args[1:], *item.args.kwonlyargs]  # without self
            options = _options(parameters, item.args, source)
    return Signature(options, constants, doc, name)


def _options(parameters: list[ast.arg], arguments: ast.arguments, source: str) -> dict[str, Option]:
    """The options that `parameters`, of all `arguments` of a function, stand for.

    An annotation may stand on several lines, its comment on the first or the last.
    """
    comments = _comments(source, parameters, arguments)
    first = len(arguments.args) - len(arguments.defaults)  # defaults belong to the last arguments
    defaults: dict[str, ast.expr | None] = {
        argument.arg: default for argument, default in zip(arguments.args[first:], arguments.defaults, strict=True)
    }
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        defaults[argument.arg] = default
    options = {}
    for argument in parameters:
        if argument.annotation is None:
            raise LookupError(f"{argument.arg} has no annotation")
        default = defaults.get(argument.arg)
        last = (default or argument).end_lineno or argument.lineno
        options[argument.arg] = Option(
            argument.arg,
            _annotated_type(argument.annotation),
            MISSING if default is None else ast.literal_eval(default),
            comments.get(argument.lineno) or comments.get(last, ""),
        )
    return options


def _comments(source: str, parameters: list[ast.arg], arguments: ast.arguments) -> dict[int, str]:
    """The comments on the lines of the parameters, by line; the rest of the file is not gone through."""
    if not parameters:
        return {}
    first = parameters[0].lineno
    defaults = [default for default in (*arguments.defaults, *arguments.kw_defaults) if default]
    last = max(end or first for end in [*(node.end_lineno for node in parameters), *(node.end_lineno for node in defaults)])
    lines = source.splitlines(keepends=True)[first - 1 : last]
    tokens = tokenize.generate_tokens(io.StringIO("(" + "".join(lines) + ")").readline)
    return {token.start[0] + first - 1: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}


@functools.cache
def dataclass_options(kind: type) -> Mapping[str, Option]:
    """The fields of a dataclass as options, each with the comment on its line, or on the last where it takes several."""
    source = textwrap.dedent(inspect.getsource(kind))
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}
    (node,) = ast.parse(source).body
    assert isinstance(node, ast.ClassDef)
    said = {
        ast.unparse(item.target): next((comments[line] for line in range(item.lineno, last + 1) if line in comments), "")
        for item in node.body
        if isinstance(item, ast.AnnAssign) and (last := item.end_lineno or item.lineno)
    }
    types_ = typing.get_type_hints(kind, include_extras=True)
    return {one.name: Option(one.name, types_[one.name], one.default, said[one.name]) for one in dataclasses.fields(kind)}


# Annotations: what may stand in them

TYPES: dict[str, Any] = {
    "int": int,
    "float": float,
    "bool": bool,
    "str": str,
    "list": list,
    "tuple": tuple,
    "dict": dict,
    "Any": Any,
    "Count": Count,
    "Seed": Seed,
    "Positive": Positive,
    "Rate": Rate,
    "Share": Share,
    "AtLeastZero": AtLeastZero,
    "AboveZero": AboveZero,
}
ARITHMETIC: dict[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Pow: operator.pow,
}


def _annotated_type(annotation: ast.expr) -> Any:
    """The type that an annotation writes; its source where it is not that of an option, such as `Task`."""
    try:
        return _type(annotation)
    except LookupError:
        return ast.unparse(annotation)


def _type(node: ast.expr) -> Any:
    """A name of TYPES, unions, Literal, list, tuple, and Annotated with ranges; LookupError for anything else."""
    match node:
        case ast.Constant(None):
            return None
        case ast.Constant(builtins.Ellipsis):
            return ...
        case ast.Name(name) if name in TYPES:
            return TYPES[name]
        case ast.BinOp(left, ast.BitOr(), right):
            return _type(left) | _type(right)
        case ast.Subscript(ast.Name("Optional"), part):
            return _type(part) | None
        case ast.Subscript(ast.Name("Union"), ast.Tuple(parts)):
            return functools.reduce(operator.or_, map(_type, parts))
        case ast.Subscript(ast.Name("Literal"), choices):
            return Literal[_values(choices)]
        case ast.Subscript(ast.Name("Annotated"), ast.Tuple([base, *ranges])):
            return Annotated[_type(base), *map(_range, ranges)]
        case ast.Subscript(ast.Name("list" | "tuple" as name), items):
            each = items.elts if isinstance(items, ast.Tuple) else [items]
            return TYPES[name][tuple(map(_type, each))]
    raise LookupError(ast.unparse(node))


def _values(node: ast.expr) -> Any:
    """The choices of a Literal; LookupError where they are computed."""
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise LookupError(ast.unparse(node)) from None


def _range(node: ast.expr) -> Range:
    match node:
        case ast.Call(ast.Name("Range"), numbers, named):
            return Range(*map(_number, numbers), **{str(one.arg): _number(one.value) for one in named})
    raise LookupError(ast.unparse(node))


def _number(node: ast.expr) -> Any:
    """A number, or true or false; sums, products and powers of numbers."""
    match node:
        case ast.Constant(int() | float() as number):
            return number
        case ast.UnaryOp(ast.USub(), operand):
            return -_number(operand)
        case ast.BinOp(left, operation, right) if type(operation) in ARITHMETIC:
            return ARITHMETIC[type(operation)](_number(left), _number(right))
    raise LookupError(ast.unparse(node))
