"""Conditions on runs, as `compare --where` takes them: `train.learning_rate > .001 and model.name in ('lstm', 'gru')`.

simpleeval evaluates them: no Python is run. Options by their dotted names, constants, comparisons, `and`, `or`, `not`, `in` and
arithmetic of bounded size; no functions, no attributes, no indices.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from simpleeval import InvalidExpression, SimpleEval

from ..options import BadOption, amount, nearest, shortened

LONGEST = 500  # characters of a condition
ALONE = re.compile(r"(?<![=<>!])=(?!=)")
EXAMPLE = "\"train.learning_rate > .001 and model.name in ('lstm', 'gru')\""
PARTS = (
    *(ast.Expr, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.UAdd, ast.Compare, ast.Constant, ast.Load),
    *(ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn, ast.Is, ast.IsNot, ast.Tuple, ast.List),
    *(ast.Name, ast.Attribute, ast.BinOp, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow),
)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r:.40} is no number")
    return float(value)


def _arithmetic(compute: Callable[[float, float], float]) -> Callable[[Any, Any], float]:
    """Of numbers as floats, whose size is bounded, unlike that of whole numbers and texts."""
    return lambda one, other: compute(_number(one), _number(other))


def _order(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """False where there is no value to compare: a run that has no such option is not chosen."""

    def ordered(one: Any, other: Any) -> bool:
        if one is None or other is None:
            return False
        try:
            return compare(one, other)
        except TypeError:
            raise TypeError(f"{one!r:.40} and {other!r:.40} have no order; == and != compare them") from None

    return ordered


OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Not: operator.not_,
    ast.USub: lambda value: -_number(value),
    ast.UAdd: _number,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: _order(operator.lt),
    ast.LtE: _order(operator.le),
    ast.Gt: _order(operator.gt),
    ast.GtE: _order(operator.ge),
    ast.In: lambda one, several: one in several,
    ast.NotIn: lambda one, several: one not in several,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.Add: _arithmetic(operator.add),
    ast.Sub: _arithmetic(operator.sub),
    ast.Mult: _arithmetic(operator.mul),
    ast.Div: _arithmetic(operator.truediv),
    ast.Pow: _arithmetic(math.pow),
}


class Condition:
    """A condition that holds of a row or not; a row is the values of a run by name. BadOption where it cannot be read.

    `known` holds the names that there are; `flag` is the option that the condition was given with.
    """

    def __init__(self, text: str, known: Collection[str], flag: str = "--where"):
        self.said = f"{flag} {shortened(text, 60)}"
        if len(text) > LONGEST:
            raise BadOption(f"{self.said}: {amount(len(text), 'character')}; allowed: at most {LONGEST}")
        self._text = text
        try:
            parsed = ast.parse(text.strip(), mode="exec").body
            if len(parsed) != 1 or not isinstance(parsed[0], ast.Expr):
                raise SyntaxError("one condition")
            self._check(parsed[0])
            for name in _names(parsed[0]):
                if name not in known:
                    raise BadOption(f"{self.said}: no option {name!r}{nearest(name, known) or f'; such as {EXAMPLE}'}")
        except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
            if isinstance(error, BadOption):
                raise
            equals = "; = is no comparison, == is" if ALONE.search(text) else ""
            raise BadOption(
                f"{self.said}: no condition{equals}; expected: options, numbers and texts, such as {EXAMPLE}"
            ) from None
        self._parsed = parsed[0]
        self._row: Mapping[str, Any] = {}
        self._evaluator = SimpleEval(operators=OPERATORS, functions={}, names={})
        several = (ast.Tuple, ast.List)
        nodes = self._evaluator.nodes
        nodes.clear()  # what is not named here cannot be evaluated
        nodes.update({ast.Expr: self._evaluator._eval_expr, ast.Constant: self._evaluator._eval_constant})
        nodes.update({ast.UnaryOp: self._evaluator._eval_unaryop, ast.BinOp: self._evaluator._eval_binop})
        nodes.update({ast.BoolOp: self._evaluator._eval_boolop, ast.Compare: self._evaluator._eval_compare})
        nodes.update(dict.fromkeys((ast.Name, ast.Attribute), lambda node: self._row.get(ast.unparse(node))))
        nodes.update(dict.fromkeys(several, lambda node: tuple(map(self._evaluator._eval, node.elts))))

    def _check(self, parsed: ast.AST) -> None:
        for node in ast.walk(parsed):
            simple = isinstance(getattr(node, "value", None), int | float | str | None) or not isinstance(node, ast.Constant)
            if not isinstance(node, PARTS) or not simple or (isinstance(node, ast.Attribute) and not _is_dotted(node)):
                raise BadOption(
                    f"{self.said}: {shortened(ast.unparse(node), 40)!r} is not allowed; allowed: options, numbers, texts, "
                    "lists, comparisons, and, or, not, in, + - * / **"
                )

    def holds(self, row: Mapping[str, Any]) -> bool:
        """Whether it holds of `row`. BadOption where its values cannot be compared."""
        self._row = row
        try:
            return bool(self._evaluator.eval(self._text, previously_parsed=self._parsed))
        except (TypeError, ArithmeticError, ValueError, InvalidExpression, RecursionError) as error:
            raise BadOption(f"{self.said}: {shortened(str(error))} ({row.get('path', '')})") from None


def _is_dotted(node: ast.expr) -> bool:
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name)


def _names(parsed: ast.AST) -> Iterator[str]:
    """The dotted names in a condition, each whole."""
    if isinstance(parsed, ast.Name | ast.Attribute):
        yield ast.unparse(parsed)
        return
    for child in ast.iter_child_nodes(parsed):
        yield from _names(child)
