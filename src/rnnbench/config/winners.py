"""winners.yaml: the settings that a search chose, by task and model. `rnnbench tune` writes it; sweeps and cards read it.

adding:
  lstm: {train.learning_rate: 0.003, train.clip: 1.0}
  ../my_cell.py:MGU: {train.learning_rate: 0.01}      (a path from the folder of the file)
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from ..options import BadOption, unknown
from ..plugins.references import is_file
from ..store.lease import locked
from ..store.record import write_atomically
from ..store.yaml_files import read_yaml
from .schema import dump_yaml
from .settings import Value

Winners = dict[str, dict[str, dict[str, Value]]]  # by task, then by model: options by their dotted names
HEAD = "# The settings that a search chose, by task and model; `rnnbench tune` and `rnnbench card --full` write it.\n"


def read_winners(path: Path) -> Winners:
    """The winners in a file; BadOption, in one line, where it cannot be read or holds something else."""
    found = read_yaml(path)
    if not isinstance(found, dict) or not all(map(_is_of_models, found.values())):
        expected = "`task: {model: {train.learning_rate: 0.003}}`, as `rnnbench tune` writes it"
        raise BadOption(f"{path}: no winners of a search; expected: {expected}")
    return {str(task): _renamed(models, partial(_from_folder, path.parent)) for task, models in found.items()}


def _renamed(models: Mapping[str, Mapping[str, Value]], name: Callable[[str], str]) -> dict[str, dict[str, Value]]:
    return {name(model) if is_file(model) else model: dict(options) for model, options in models.items()}


def _from_folder(folder: Path, reference: str) -> str:
    """FILE.py:CLASS with the absolute path of a file that is named from `folder`."""
    return os.path.abspath(folder / os.path.expanduser(reference))


def _is_of_models(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(options, dict)
        and all("." in str(key) and isinstance(item, str | int | float | None) for key, item in options.items())
        for options in value.values()
    )


def add_winners(path: Path, found: Mapping[str, Mapping[str, Mapping[str, Value]]]) -> list[str]:
    """Writes winners to a file, beside those of other tasks and models there, also while other processes do.

    Returns which winners took the place of others, each as `task/model`. BadOption where the file holds something else.
    """
    replaced = []
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_name(f".{path.name}.lock")):
        kept = read_winners(path) if path.exists() else {}
        for task, models in found.items():
            there = kept.setdefault(task, {})
            replaced += [f"{task}/{model}" for model, options in models.items() if there.get(model, options) != options]
            there |= {model: dict(options) for model, options in models.items()}
        shown = {task: _renamed(models, partial(os.path.relpath, start=path.parent)) for task, models in kept.items()}
        write_atomically(path, (HEAD + dump_yaml(shown)).encode())
    return replaced


def option_word(key: str, value: Value) -> str:
    """An option as a word of a command line."""
    return f"{key}={value if isinstance(value, str) else json.dumps(value)}"


def winning_words(winners: Winners, task: str, model: str) -> list[str]:
    """The words of the winner of a task and model, which may be FILE.py:CLASS; BadOption where there is none."""
    model = _from_folder(Path(), model) if is_file(model) else model
    for kind, name, there in (("task", task, winners), ("model", model, winners.get(task, {}))):
        if name not in there:
            raise BadOption(f"winners: {unknown(kind, name, sorted(there))}; `rnnbench tune {task} {model}` finds one")
    return [option_word(key, value) for key, value in winners[task][model].items()]


def words_of_winner(winners: Winners, words: Iterable[str]) -> list[str]:
    """The words of the winner for a command line that names its task and model.

    BadOption where there is no winner, and where the command line sets an option that the winner sets, too.
    """
    given = dict(word.split("=", 1) for word in words if "=" in word)
    if lacking := {"task", "model"} - set(given):
        raise BadOption(f"winners are for a task and a model; missing: {' and '.join(f'{one}=' for one in sorted(lacking))}")
    chosen = winning_words(winners, given["task"], given["model"])
    if both := sorted(set(given) & {word.partition("=")[0] for word in chosen}):
        raise BadOption(
            f"{both[0]}={given[both[0]]} and the winner of {given['task']} and {given['model']}: one of them sets it"
        )
    return chosen
