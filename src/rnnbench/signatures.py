"""Signatures, read from the source text: options with types, defaults, ranges, and the comments on their lines.

Nothing is imported for it, so that help, completion and the refusal of a typo cost milliseconds; importing the same file would
import torch. This is for our own files, which are written to be read so; classes of others are imported (plugins/live.py).
"""

from __future__ import annotations

import ast
import builtins
import dataclasses
import functools
import inspect
import io
import math
import operator
import textwrap
import tokenize
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from .options import MISSING, AboveZero, AtLeastZero, Count, Needs, Option, Positive, Range, Rate, Seed, Share, Where, apart


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


@functools.cache
def read_class(path: Path, base: str | None = None, name: str | None = None) -> Signature:
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
    comments, defaults = _comments(source, parameters, arguments), _defaults(arguments)
    options = {}
    for argument in parameters:
        if argument.annotation is None:
            raise LookupError(f"{argument.arg} has no annotation")
        default = defaults.get(argument.arg)
        annotation, needs, where = apart(_annotated_type(argument.annotation))
        options[argument.arg] = Option(
            argument.arg,
            annotation,
            MISSING if default is None else ast.literal_eval(default),
            _comment_of(argument, default, comments),
            needs,
            where,
        )
    return options


def _defaults(arguments: ast.arguments) -> dict[str, ast.expr | None]:
    """The default of each parameter that has one."""
    first = len(arguments.args) - len(arguments.defaults)  # defaults belong to the last arguments
    by_place = zip(arguments.args[first:], arguments.defaults, strict=True)
    by_name = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return {argument.arg: default for argument, default in [*by_place, *by_name]}


def _comment_of(argument: ast.arg, default: ast.expr | None, comments: Mapping[int, str]) -> str:
    """The comment on a parameter's first line or, where it takes several, on the last."""
    last = (default or argument).end_lineno or argument.lineno
    return comments.get(argument.lineno) or comments.get(last, "")


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


def parameter_comments(source: str) -> dict[str, str]:
    """The comment on the line of each parameter of the function in `source`, or on the last where it takes several."""
    (node,) = ast.parse(source).body
    assert isinstance(node, ast.FunctionDef)
    parameters = [*node.args.args[1:], *node.args.kwonlyargs]
    comments, defaults = _comments(source, parameters, node.args), _defaults(node.args)
    return {one.arg: _comment_of(one, defaults.get(one.arg), comments) for one in parameters}


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
    options = {}
    for one in dataclasses.fields(kind):
        annotation, needs, where = apart(types_[one.name])
        options[one.name] = Option(one.name, annotation, one.default, said[one.name], needs, where)
    return options


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
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
}


def parse_annotation(source: str) -> tuple[Any, tuple[Needs, ...], Where | None]:
    """(the type, what the option needs, how it says where data lie) that an annotation writes; LookupError where it is not that
    of an option."""
    return apart(_type(ast.parse(source, mode="eval").body))


def source_of_annotation(annotation: Any, needs: tuple[Needs, ...] = (), where: Where | None = None) -> str:
    """What `parse_annotation` reads as `annotation`, `needs` and `where`."""
    if conditions := (*needs, *([where] if where else [])):
        return source_of_annotation(Annotated[(annotation, *conditions)])
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return f"Annotated[{source_of_annotation(parts[0])}, {', '.join(map(_written_condition, parts[1:]))}]"
    if origin in (typing.Union, types.UnionType):
        return f"Union[{', '.join(map(source_of_annotation, parts))}]"
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, parts))}]"
    if origin in (list, tuple):
        return f"{origin.__name__}[{', '.join(map(source_of_annotation, parts))}]"
    if annotation is Any or annotation is Ellipsis or annotation is type(None):
        return {Any: "Any", Ellipsis: "..."}.get(annotation, "None")
    return str(annotation.__name__)


def _written_condition(condition: Range | Needs | Where) -> str:
    if isinstance(condition, Range | Where):
        return repr(condition)
    named = (f"{name}={getattr(condition, name)!r}" for name in ("values", "besides", "least"))
    return f"Needs({', '.join([*map(repr, condition.options), *named])})"


def _annotated_type(annotation: ast.expr) -> Any:
    """The type that an annotation writes; its source where it is not that of an option, such as `Task`."""
    try:
        return _type(annotation)
    except LookupError:
        return ast.unparse(annotation)


def _type(node: ast.expr) -> Any:
    """A name of TYPES, unions, Literal, list, tuple, Annotated with Range, Needs and Where; LookupError for anything else."""
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
        case ast.Subscript(ast.Name("Annotated"), ast.Tuple([base, *conditions])):
            return Annotated[_type(base), *map(_condition, conditions)]
        case ast.Subscript(ast.Name("list" | "tuple" as name), items):
            each = items.elts if isinstance(items, ast.Tuple) else [items]
            return TYPES[name][tuple(map(_type, each))]
    raise LookupError(ast.unparse(node))


def _values(node: ast.expr) -> Any:
    """A literal, as the choices of a Literal are; LookupError where it is computed."""
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise LookupError(ast.unparse(node)) from None


def _condition(node: ast.expr) -> Range | Needs | Where:
    match node:
        case ast.Call(ast.Name("Range"), numbers, named):
            return Range(*map(_number, numbers), **{str(one.arg): _number(one.value) for one in named})
        case ast.Call(ast.Name("Needs"), names, named):
            return Needs(*map(_values, names), **{str(one.arg): _values(one.value) for one in named})
        case ast.Call(ast.Name("Where"), [], named):
            return Where(**{str(one.arg): _values(one.value) for one in named})
    raise LookupError(ast.unparse(node))


def _number(node: ast.expr) -> Any:
    """A number, or true or false; sums, products and powers of numbers."""
    match node:
        case ast.Constant(int() | float() as number):
            return number
        case ast.Name("inf"):
            return math.inf
        case ast.UnaryOp(ast.UAdd(), operand):
            return _number(operand)
        case ast.UnaryOp(ast.USub(), operand):
            return -_number(operand)
        case ast.BinOp(left, operation, right) if type(operation) in ARITHMETIC:
            return ARITHMETIC[type(operation)](_number(left), _number(right))
    raise LookupError(ast.unparse(node))
