"""A digest of what Python files do: comments, docstrings and layout are left out."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..data.cache import cache_folder
from ..store.record import digest, write_atomically

DIGEST = re.compile("[0-9a-f]{64}")


def code_digest(files: Iterable[Path]) -> str:
    """A digest of what the files do. Each file counts once.

    Taking syntax trees apart takes half a second, so what it came to is kept in the cache, by what the files say to the letter.
    """
    sources = [path.read_bytes() for path in dict.fromkeys(files)]
    letters = [hashlib.sha256(source).hexdigest() for source in (Path(__file__).read_bytes(), *sources)]
    kept = cache_folder() / "code" / digest([sys.version, letters])
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if DIGEST.fullmatch(text := kept.read_text(encoding="utf-8")):
            return text
    found = digest([_shape(ast.parse(source)) for source in sources])
    with contextlib.suppress(OSError):  # it is found again
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(kept, found.encode())
    return found


def _shape(node: Any) -> Any:
    """A syntax tree as nested lists, without docstrings and empty fields, so that it is the same for every Python."""
    if isinstance(node, list):
        return [_shape(item) for item in node]
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = dict(ast.iter_fields(node))
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(node):
        fields["body"] = node.body[1:]
    return [type(node).__name__, *([name, _shape(value)] for name, value in sorted(fields.items()) if value not in (None, []))]
