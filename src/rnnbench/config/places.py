"""Options that say where data lie (options.Where): without them, and with paths that hold from any folder."""

from __future__ import annotations

import glob
import os
import re

from rnnbench.tasks.shared.vector_cache import vector_file

from ..options import BadOption, Option
from ..store.record import Config
from .liveness import plain_default
from .schema import NAMING, group_options

SPLITS = ("train", "validation", "test")  # options that name a split, or a file
ROWS = re.compile(r"\[[^\]]*:[^\]]*\]")  # the end of `train[:80%]`


def places(config: Config) -> dict[str, object]:
    """The task's options that say where data lie, or how they are read, and are not as by default."""
    return {key: value for key, (value, _) in _given(config).items()}


def _given(config: Config) -> dict[str, tuple[object, Option]]:
    known = group_options("task", {key: config["task"][key] for key in NAMING["task"] if key in config["task"]})
    given = {key: value for key, value in config["task"].items() if key in known and value != plain_default(known[key])}
    return {key: (value, known[key]) for key, value in given.items() if known[key].says_where(value)}


def without_places(task: Config) -> Config:
    """A task's settings without where its data lie, the same for every way to say it; as they are where the task is unknown."""
    try:
        found = places({"task": task})
    except (BadOption, KeyError, LookupError):
        return task
    return {key: value for key, value in task.items() if key not in found}


def with_absolute_places(config: Config) -> Config:
    """The settings with absolute paths of the task's data, so that they hold from another folder. Names of sets and of splits
    stay."""
    found = _given(config)
    named = {key: value for key, (value, option) in found.items() if option.where and option.where.path}
    splits = SPLITS if "hub" in found else ()
    paths = {key: absolute_path(key, value) for key, value in named.items() if isinstance(value, str) and key not in splits}
    return {**config, "task": {**config["task"], **paths}}


def absolute_path(name: str, value: str, folder: str = "") -> str:
    """The absolute path of a file, a folder or a pattern of files that the option `name` names, seen from `folder`, by default
    the current one, also of vectors by the name that torchtext has for them; any other text as it is."""
    if name == "hub" and value[:1] not in (".", "~", "/"):  # an id
        return value
    path = os.path.join(folder, os.path.expanduser(vector_file(value, folder) if name == "vectors" else value))
    if name in SPLITS and (ROWS.search(value) or os.path.isdir(path)):  # a split, or rows of it
        return value
    is_path = os.path.exists(path) or (glob.has_magic(path) and glob.glob(path, recursive=True))
    return os.path.abspath(path) if is_path else value
