"""winners.yaml: the settings that a search chose, by task and model. `rnnbench tune` writes it; sweeps and cards read it.

adding:
  lstm: {train.learning_rate: 0.003, train.clip: 1.0, under: {task.length: 10, task.version: 1}}
  ../my_cell.py:MGU: {train.learning_rate: 0.01}      (a path from the folder of the file)

`under`: the other settings of the search, as departures from the defaults, and the versions of what was trained. Where they are
others than those of a run that takes the winner, that is said, and a card refuses it. A file written by hand need not have it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..options import BadOption, plain_text, unknown
from ..plugins.references import is_file
from ..store.lease import locked
from ..store.record import write_atomically
from ..store.yaml_files import read_yaml
from .compose import compose_jobs
from .schema import GROUPS, dump_yaml
from .settings import Value

Winner = dict[str, Any]  # options by their dotted names, and `under`
Winners = dict[str, dict[str, Winner]]  # by task, then by model
UNDER = "under"
HEAD = "# The settings that a search chose, by task and model; `rnnbench tune` and `rnnbench card --full` write it.\n"


def read_winners(path: Path) -> Winners:
    """The winners in a file; BadOption, in one line, where it cannot be read or holds something else."""
    found = read_yaml(path)
    if not isinstance(found, dict) or not all(map(_is_of_models, found.values())):
        expected = "`task: {model: {train.learning_rate: 0.003}}`, as `rnnbench tune` writes it"
        raise BadOption(f"{path}: no winners of a search; expected: {expected}")
    return {str(task): _renamed(models, partial(_from_folder, path.parent)) for task, models in found.items()}


def options_of(winner: Mapping[str, Any]) -> dict[str, Value]:
    """The options that a search chose."""
    return {key: value for key, value in winner.items() if key != UNDER}


def _renamed(models: Mapping[str, Mapping[str, Any]], name: Callable[[str], str]) -> dict[str, Winner]:
    return {name(model) if is_file(model) else model: dict(options) for model, options in models.items()}


def _from_folder(folder: Path, reference: str) -> str:
    """FILE.py:CLASS with the absolute path of a file that is named from `folder`."""
    return os.path.abspath(folder / os.path.expanduser(reference))


def _is_of_models(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(options, dict)
        and all("." in str(key) and isinstance(item, str | int | float | None) for key, item in options_of(options).items())
        and isinstance(options.get(UNDER, {}), dict)
        for options in value.values()
    )


def winner_of_search(words: Sequence[str], options: Mapping[str, Value]) -> Winner:
    """The winner of a search with the command line `words`, to which a trial added `options`."""
    whole = [*words, *(option_word(key, value) for key, value in options.items())]
    return {**options, UNDER: _other_settings(whole, options)}


def _other_settings(words: Sequence[str], options: Iterable[str]) -> dict[str, Value]:
    """All but `options` that makes a command line's setting what it is, apart from the data."""
    (job,) = compose_jobs(words, sweep=False, declared=True)
    whole, budget = job.identity(""), job.plain()["budget"]
    default = vars(GROUPS["budget"]())
    found = {
        **whole["departures"],
        **{f"budget.{name}": value for name, value in budget.items() if value != default[name]},
        **{f"{part}.version": number for part, number in whole["versions"].items()},
        **{f"{part}.code": code for part, code in whole.get("code", {}).items()},
    }
    kept: dict[str, Value] = json.loads(json.dumps({key: value for key, value in found.items() if key not in options}))
    return kept


def changed_settings(winner: Mapping[str, Any], words: Sequence[str]) -> list[str]:
    """What is another in a command line with a winner than it was in the search; nothing where that is not known."""
    if UNDER not in winner:
        return []
    then, now = winner[UNDER], _other_settings(words, options_of(winner))
    unsaid = {key for key in now if key not in then and key.endswith((".version", ".code"))}  # in a file written by hand
    keys = [key for key in {**then, **now} if then.get(key) != now.get(key) and key not in unsaid]
    said = [[plain_text(side[key]) if key in side else "the default" for side in (then, now)] for key in keys]
    return [f"{key}={before} (here {here})" for key, (before, here) in zip(keys, said, strict=True)]


def found_under(changed: Sequence[str]) -> str:
    """What `changed_settings` has found, as the end of a sentence about a winner."""
    return f"was found under {changed[0]}" + (f" and {len(changed) - 1} more" if len(changed) > 1 else "")


def winner_notes(winners: Winners, lines: Iterable[Sequence[str]]) -> list[str]:
    """A line for each winner that stands in one of the command lines and was found under other settings."""
    notes: dict[str, None] = {}
    settings: dict[tuple[str, ...], Sequence[str]] = {}
    for line in lines:
        settings.setdefault(tuple(word for word in line if not word.startswith("seed=")), line)
    for line in settings.values():
        given = dict(word.split("=", 1) for word in line if "=" in word)
        if found := changed_settings(find_winner(winners, given["task"], given["model"]), line):
            notes[f"the winner of {given['task']} and {given['model']} {found_under(found)}"] = None
    return list(notes)


def add_winners(path: Path, found: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[str]:
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
    """The words of the winner of a task and model, as `find_winner` finds it."""
    return [option_word(key, value) for key, value in options_of(find_winner(winners, task, model)).items()]


def find_winner(winners: Winners, task: str, model: str) -> Winner:
    """The winner of a task and model, which may be FILE.py:CLASS; BadOption where there is none."""
    model = _from_folder(Path(), model) if is_file(model) else model
    for kind, name, there in (("task", task, winners), ("model", model, winners.get(task, {}))):
        if name not in there:
            raise BadOption(f"winners: {unknown(kind, name, sorted(there))}; `rnnbench tune {task} {model}` finds one")
    return winners[task][model]


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
