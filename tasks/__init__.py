"""The tasks, a file each; those of other packages join through the entry point group `rnnbench.tasks`."""

from __future__ import annotations

import functools
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnbench.options import unknown
from rnnbench.signatures import read_class

if TYPE_CHECKING:
    from .task import Task


@functools.cache
def task_files() -> dict[str, Path]:
    """The file of each task by its name. Nothing is imported."""
    here = Path(__file__).parent
    found = {path.stem: path for path in sorted(here.glob("*.py")) if path.stem not in ("__init__", "task")}
    for entry in metadata.entry_points(group="rnnbench.tasks"):
        spec = find_spec(entry.module)
        if spec and spec.origin:
            found.setdefault(entry.name, Path(spec.origin))
    return found


NAMES: tuple[str, ...] = tuple(task_files())


def load(name: str, **options: Any) -> Task:
    """The task `name` with `options`, held against the ranges of its signature; ValueError where one cannot be."""
    from .task import Task

    if name not in NAMES:
        raise unknown("task", name, NAMES)
    known = read_class(task_files()[name], base="Task").options
    for key, value in options.items():
        if key not in known:
            raise unknown("option", f"task.{key}", [f"task.{option}" for option in known])
        options[key] = known[key].check(value, f"task.{key}")
    entries = {entry.name: entry.module for entry in metadata.entry_points(group="rnnbench.tasks")}
    here = Path(__file__).parent / f"{name}.py"
    module = import_module(f"{__name__}.{name}" if here.exists() else entries[name])
    classes = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Task) and value.__module__ == module.__name__
    ]
    (cls,) = classes
    return cls(**options)
