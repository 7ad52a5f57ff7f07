"""The files that a class's code stands in: its own, those of its bases, and modules of the same package that these import."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

OURS = "rnnbench"
LIBRARIES = {"torch", "numpy", "pytorch_lightning", "builtins", *sys.stdlib_module_names}  # recorded by their versions


def files_of(found: type) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """(the files of others, ours) that the code of an imported class stands in.

    A package's modules count where the class's module imports them, directly or by others of that package.
    """
    theirs: dict[str, Path] = {}
    ours: dict[str, Path] = {}
    for base in found.__mro__:
        module = sys.modules.get(base.__module__)
        top = base.__module__.split(".")[0]
        if module is None or top in LIBRARIES:
            continue
        if top == OURS:
            ours |= _file_of(module)
        else:
            _follow(module, theirs)
    return tuple(theirs.values()), tuple(ours.values())


def _file_of(module: ModuleType) -> dict[str, Path]:
    file = getattr(module, "__file__", None)
    return {module.__name__: Path(file).resolve()} if file and file.endswith(".py") else {}


def _follow(module: ModuleType, found: dict[str, Path]) -> None:
    """Adds the file of `module` to `found`, and those of the modules of its package that it imports."""
    if module.__name__ in found or not (own := _file_of(module)):
        return
    found |= own
    top = module.__name__.split(".")[0]
    tree = ast.parse(inspect.getsource(module))
    for name in _imported(tree, module.__package__ or ""):
        if name.split(".")[0] != top or name == module.__name__:
            continue
        if name in sys.modules:
            _follow(sys.modules[name], found)
            continue
        try:
            spec = importlib.util.find_spec(name)  # not imported yet: in a function, say
        except (ImportError, ValueError, AttributeError):
            continue
        if spec and spec.origin and spec.origin.endswith(".py"):
            found[name] = Path(spec.origin).resolve()


def _imported(tree: ast.Module, package: str) -> Iterator[str]:
    """The names of modules that a module may import; what is imported from a module may be one, too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package) if node.level else node.module
            yield str(base)
            yield from (f"{base}.{alias.name}" for alias in node.names)
