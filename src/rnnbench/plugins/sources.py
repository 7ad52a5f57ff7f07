"""The files that a class's code stands in: its own, those of its bases, and modules of the user's that these import.

Imports are read from the source, also those within functions; what this process has imported so far plays no part.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType

OURS = "rnnbench"
FILE_MODULE = "rnnbench_file_"  # how the name of a module begins that was loaded from a file
LIBRARIES = {"torch", "numpy", "pytorch_lightning", "builtins", *sys.stdlib_module_names}  # recorded by their versions
INSTALLED = {"site-packages", "dist-packages"}  # folders of packages that are no part of the folder that they lie in
FindModule = Callable[[str], Path | None]


def files_of(found: type) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """(the files of others, ours) that the code of an imported class stands in.

    A package's modules count where the class's module imports them, directly or by others of that package. Of a class in a
    file, modules count whose files lie in the folder of that file, or below it.
    """
    theirs: dict[Path, None] = {}
    ours: dict[Path, None] = {}
    for base in found.__mro__:
        module = sys.modules.get(base.__module__)
        top = base.__module__.split(".")[0]
        if module is None or top in LIBRARIES or (file := _file_of(module)) is None:
            continue
        if top == OURS:
            ours[file.resolve()] = None
        else:
            find = _beside(file) if top.startswith(FILE_MODULE) else _within_package(top)
            _follow(file, module.__package__ or "", find, theirs)
    return tuple(theirs), tuple(ours)


def _file_of(module: ModuleType) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file) if file and file.endswith(".py") else None


def _follow(file: Path, package: str, find: FindModule, found: dict[Path, None]) -> None:
    """Adds `file`, a module of `package`, to `found`, and the files of modules that it imports and that `find` knows."""
    if file.resolve() in found:
        return
    found[file.resolve()] = None
    for name in _imported(ast.parse(file.read_bytes(), str(file)), package):
        if (other := find(name)) is not None:
            _follow(other, name if other.name == "__init__.py" else name.rpartition(".")[0], find, found)


def _within_package(top: str) -> FindModule:
    """Finds the modules of the package `top`, which is imported."""
    file, folders = _file_of(sys.modules[top]), [Path(folder) for folder in getattr(sys.modules[top], "__path__", ())]

    def find(name: str) -> Path | None:
        first, _, rest = name.partition(".")
        if first != top:
            return None
        return next(_module_files(rest, folders), None) if rest else file

    return find


def _beside(plugin: Path) -> FindModule:
    """Finds modules whose files lie in the folder of the file `plugin`, or below it."""
    home = plugin.parent

    def is_theirs(file: Path) -> bool:
        file = file.absolute()
        return home in file.parents and not INSTALLED.intersection(file.relative_to(home).parts)

    def find(name: str) -> Path | None:
        if name.split(".")[0] in {OURS, *LIBRARIES}:
            return None
        return next(filter(is_theirs, _module_files(name, (home, *map(Path, sys.path)))), None)

    return find


def _module_files(name: str, folders: Iterable[Path]) -> Iterator[Path]:
    """The files there are of the module `name`, which is looked for in `folders`."""
    place = Path(*name.split("."))
    for folder in folders:
        yield from filter(Path.is_file, (folder / place / "__init__.py", folder / place.with_suffix(".py")))


def _imported(tree: ast.Module, package: str) -> Iterator[str]:
    """The names of modules that a module of `package` may import; what is imported from a module may be one, too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            try:
                base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            except ImportError:  # there is no package as far up
                continue
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
