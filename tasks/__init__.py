"""The tasks, a file each; those of others join through entry points `rnnbench.tasks`, or as a file."""

from __future__ import annotations

import functools
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from rnnbench.options import unknown
from rnnbench.plugins.classes import Registry, every_class, load_class, signature_of
from rnnbench.plugins.references import Plugin, find_class, usable

if TYPE_CHECKING:
    from .task import Task


@functools.cache
def task_files() -> dict[str, Path]:
    """The file of each task of ours by its name."""
    here = Path(__file__).parent
    return {path.stem: path for path in sorted(here.glob("*.py")) if path.stem not in ("__init__", "task")}


@functools.cache
def task_plugins() -> dict[str, Plugin]:
    """The tasks of other packages by name. Nothing of theirs is imported."""
    return usable("task", task_files())


def task_names() -> tuple[str, ...]:
    """Every task there is by name."""
    return (*task_files(), *task_plugins())


def find_task(reference: str) -> Path | Plugin:
    """Where the task is that a name, or a file with a class, names; BadOption where there is none."""
    return find_class("task", reference, task_files(), task_plugins(), "task")


def task_class(reference: str) -> type[Task]:
    """The class of one task; no other is imported. BadOption where there is none, or it cannot be used."""
    place = find_task(reference)
    if isinstance(place, Plugin):
        return cast("type[Task]", load_class(place))
    return cast("type[Task]", getattr(import_module(f"{__name__}.{reference}"), signature_of(place, "Task").class_name))


def load(name: str, **options: Any) -> Task:
    """The task `name`, or of a file as in `./my_task.py:Ones`, with `options`, held against the ranges of its signature; its
    data were looked for.

    ValueError where an option cannot be, or there are no such data.
    """
    task = unlooked(name, **options)
    task.look()
    return task


def unlooked(name: str, **options: Any) -> Task:
    """The same without a look at its data, which may be gone."""
    known = signature_of(find_task(name), "Task").options
    for key, value in options.items():
        if key not in known:
            raise unknown("option", f"task.{key}", [f"task.{option}" for option in known])
        options[key] = known[key].check(value, f"task.{key}")
    return task_class(name)(**{key: value for key, value in options.items() if value != known[key].default})


def __getattr__(name: str) -> dict[str, type[Task]]:
    """TASKS: the class of each task by its name. Built when first asked for, since it imports torch."""
    if name == "TASKS":
        return _tasks()
    raise AttributeError(name)


@functools.cache
def _tasks() -> dict[str, type[Task]]:
    return Registry("task", {name: task_class(name) for name in task_files()} | every_class(task_plugins()))
