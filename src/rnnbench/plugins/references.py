"""Models, tasks and callbacks of others: what names them, and where they are. Nothing of theirs is imported here.

    model=NAME                  an entry point of an installed package, group `rnnbench.models` or `rnnbench.tasks`
    model=./my_cell.py:MGU      a class in a file, without a package
    trainer.callbacks=[NAME]    an entry point of an installed package, group `rnnbench.callbacks`

A file is code: only the command line and Python may name one. Settings that are read from a file (a record, config.yaml, YAML
of --config-dir) may name it where the user has named it before, in this process (`trust`) or on this machine (classes.py).
"""

from __future__ import annotations

import ast
import contextlib
import functools
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from ..options import BadOption, shortened, unknown

Kind = Literal["task", "model", "callback"]
GROUPS: dict[Kind, str] = {"task": "rnnbench.tasks", "model": "rnnbench.models", "callback": "rnnbench.callbacks"}
CONTRACTS: dict[Kind, tuple[str, str]] = {  # what their classes are derived from: package and name
    "task": ("rnnbench", "Task"),
    "model": ("rnnbench", "Mechanism"),
    "callback": ("pytorch_lightning", "Callback"),
}
NAME = re.compile(r"\w[\w-]{0,99}", re.ASCII)  # also the name of a folder of runs
FILE = re.compile(r"(?P<path>[^,]*\.py)(?::(?P<name>\w*))?")
TRUSTED: set[str] = set()  # files with a class that the user has named in this process


@dataclass(frozen=True)
class Plugin:
    """A class of others by its name: an entry point of a package, or a class in a file."""

    kind: Kind
    name: str
    package: str = ""  # distribution; empty of a file
    module: str = ""
    attribute: str = ""  # the class, perhaps in another; empty: the only one of the module
    place: str = ""  # the folder that the package is installed in, or the absolute path of the file

    @property
    def reference(self) -> str:
        """What names it wherever this is looked at from: its name, or the absolute file and the class."""
        return self.name if self.package else f"{self.place}:{self.attribute}"

    @property
    def said(self) -> str:
        return f"{self.kind} {self.name!r} of package {self.package}" if self.package else f"{self.kind}={self.reference}"


@functools.cache
def entry_points(kind: Kind) -> tuple[Plugin, ...]:
    """What installed packages name, usable or not, two of one name too."""
    found = (
        Plugin(
            kind,
            entry.name,
            entry.dist.name if entry.dist else "unknown",
            entry.module,
            entry.attr,
            str(entry.dist.locate_file("")) if entry.dist else "",
        )
        for entry in metadata.entry_points(group=GROUPS[kind])
    )
    return tuple(sorted(found, key=lambda plugin: (plugin.package, plugin.name)))


def usable(kind: Kind, ours: Iterable[str]) -> dict[str, Plugin]:
    """The entry points by name, without those whose name is taken or cannot be one."""
    found: dict[str, Plugin] = {}
    for plugin in entry_points(kind):
        if not why_unusable(plugin, ours, found):
            found[plugin.name] = plugin
    return found


def unusable(kind: Kind, ours: Iterable[str]) -> list[str]:
    """A line for each entry point that cannot be used because of its name."""
    found: dict[str, Plugin] = {}
    lines = []
    for plugin in entry_points(kind):
        if why := why_unusable(plugin, ours, found):
            lines.append(f"{plugin.said} is left out: {why}")
        else:
            found[plugin.name] = plugin
    return lines


def why_unusable(plugin: Plugin, ours: Iterable[str], others: dict[str, Plugin]) -> str:
    if not NAME.fullmatch(plugin.name):
        return "a name has letters, digits, _ and -"
    if plugin.name in ours:
        return "rnnbench itself has one of that name"
    if plugin.name in others:
        return f"package {others[plugin.name].package} has one of that name"
    return ""


def is_file(reference: object) -> bool:
    """Whether this names a class in a file, there or not."""
    return isinstance(reference, str) and FILE.fullmatch(reference) is not None


def file_plugin(kind: Kind, reference: str) -> Plugin:
    """The class that `./my_cell.py:MGU` names; BadOption where there is no such file, or no class is named."""
    found = FILE.fullmatch(reference)
    assert found
    path, name = Path(os.path.abspath(os.path.expanduser(found["path"]))), found["name"] or ""
    shown = f"{kind}={shortened(reference)}"
    if not path.is_file():
        raise BadOption(f"{shown}: there is no file {path}")
    if not name.isidentifier() or not NAME.fullmatch(name):
        raise BadOption(
            f"{shown}: name its class after a colon; allowed here: {', '.join(_classes(kind, found['path'], path))}"
        )
    return Plugin(kind, name, attribute=name, place=str(path))


def _classes(kind: Kind, written: str, path: Path) -> list[str]:
    """What may be written for each class in a file, as its text has them; an example where it has none."""
    names: list[str] = []
    with contextlib.suppress(OSError, SyntaxError, ValueError):
        names = [node.name for node in ast.parse(path.read_bytes()).body if isinstance(node, ast.ClassDef)]
    return [f"{written}:{name}" for name in names or ["MGU" if kind == "model" else "Ones"]]


def find_class(
    kind: Kind, reference: str, ours: Mapping[str, Path], theirs: Mapping[str, Plugin], called: str
) -> Path | Plugin:
    """Where the class is that a name, or a file with a class, names; BadOption, by what it is `called`, where there is none."""
    if reference in ours:
        return ours[reference]
    if is_file(reference):
        return file_plugin(kind, reference)
    if reference not in theirs:
        raise unknown(called, reference, [*ours, *theirs])
    return theirs[reference]


def trust(reference: str) -> None:
    """From now on, in this process, settings that were read from a file may name this class in a file."""
    TRUSTED.add(reference)
