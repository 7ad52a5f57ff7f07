"""Docstrings as Markdown, reStructuredText and equations.

A docstring of ours is plain text: paragraphs, `code` between backticks, and blocks that are indented by four spaces. The first
such block of a cell is its equations, one a line, with remarks to their right.
"""

from __future__ import annotations

import html
import inspect
import re
from collections.abc import Callable
from typing import NamedTuple

from latex2mathml.converter import convert

INDENT = "    "
GAP = re.compile(r" {3,}")  # between an equation and what stands to its right
NAME = re.compile(r"(?P<name>[A-Za-z]+'?)(?:_(?P<below>\{[^}]*\}|[A-Za-z0-9]+))?|_\{[^}]*\}")
SIGNS = {" *_d": r" \ast_{d}", " * ": r" \odot ", "σ": r"\sigma ", "φ": r"\varphi ", "½": r"\tfrac{1}{2}"}


class Block(NamedTuple):
    """A paragraph, or an indented block without its indent."""

    lines: list[str]
    literal: bool


def split_blocks(docstring: str) -> list[Block]:
    """The paragraphs and the indented blocks of a docstring, in order."""
    found = []
    for part in re.split(r"\n\s*\n", inspect.cleandoc(docstring)):
        lines = part.splitlines()
        literal = all(line.startswith(INDENT) for line in lines)
        found.append(Block([line[len(INDENT) :] if literal else line for line in lines], literal))
    return found


def outside_code(text: str, change: Callable[[str], str], fence: str) -> str:
    """`text` with `change` applied to what stands outside backticks, and `fence` in place of each backtick."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # a backtick without a partner
        return change(text)
    return "".join(f"{fence}{part}{fence}" if index % 2 else change(part) for index, part in enumerate(parts))


def markdown_text(text: str) -> str:
    """One paragraph as Markdown that shows the same characters."""
    return outside_code(" ".join(text.split()), lambda part: re.sub(r"([\\*_\[\]<>|#$~])", r"\\\1", part), "`")


def markdown_cell(text: str) -> str:
    """The same for a cell of a table, where a bar is escaped inside code, too."""
    return re.sub(r"(?<!\\)\|", r"\\|", markdown_text(text))


def to_markdown(blocks: list[Block]) -> str:
    """Blocks as Markdown: paragraphs as text, indented ones as they are."""
    shown = ("\n".join(["```text", *b.lines, "```"]) if b.literal else markdown_text(" ".join(b.lines)) for b in blocks)
    return "\n\n".join(shown)


def to_rst(docstring: str) -> list[str]:
    """A docstring as lines of reStructuredText, for autodoc."""
    lines: list[str] = []
    for block in split_blocks(docstring):
        if block.literal:
            lines += ["::", "", *(INDENT + line for line in block.lines), ""]
        else:
            text = " ".join(line.strip() for line in block.lines)
            lines += [outside_code(text, lambda part: re.sub(r"([\\*_|])", r"\\\1", part), "``"), ""]
    return lines


def equations(lines: list[str]) -> str:
    """Equations as MathML, which browsers show without scripts, with the remarks to their right; HTML."""
    rows = []
    for line in lines:
        parts = [part.strip(" ,") for part in GAP.split(line.strip())]
        formulas = [formula for part in parts if " = " in part for formula in re.split(r",  ", part)]
        remarks = [html.escape(part) for part in parts if " = " not in part]
        shown = " ".join(convert(to_latex(formula)) for formula in formulas)
        rows.append(f"<tr><td>{shown}</td><td>{' '.join(remarks)}</td></tr>")
    return '<table class="equations">\n' + "\n".join(rows) + "\n</table>"


def to_latex(formula: str) -> str:
    r"""An equation of a docstring as LaTeX: `h_t = o * tanh(c_t)` as `h_{t} = o \odot \operatorname{tanh}(c_{t})`."""
    formula = re.sub(r"(?<=[\w})]) (?=[A-Za-z(])", r"\\,", formula)  # a product is written without a sign
    formula = NAME.sub(_latex_name, formula)
    for sign, latex in SIGNS.items():
        formula = formula.replace(sign, latex)
    return formula


def _latex_name(found: re.Match[str]) -> str:
    name, below = found["name"], found["below"]
    if not name:  # below a bracket
        return found[0]
    shown = name if len(name.rstrip("'")) == 1 else rf"\operatorname{{{name}}}"
    return shown + (f"_{{{below.strip('{}')}}}" if below else "")
