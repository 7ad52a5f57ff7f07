"""The command lines of a sweep: what its manifest keeps of one, and how they are given again."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from ..config.overrides import quoted
from ..config.places import absolute_path
from ..config.schema import find_option
from ..console import MASK, masked, say
from ..options import BadOption, shortened
from ..store.record import DamagedRecord
from .manifest import Job, named_folder, whole_manifest

PLACED = ("runs", "sweep")  # options that say where a sweep lies: it may have been moved or copied
SECRET = re.compile(r"pass|secret|token|key", re.IGNORECASE)  # in the name of a launcher's option
LISTED = "sweep"  # the first word of a command that is `rnnbench sweep FILE`; those of `rnnbench train` begin otherwise
CONFIG_DIR = ("--config-dir", "-cd")
CLASS_FILE = re.compile(r"(?<=[=,'\"\s])[^=,'\"\s]+\.py(?=\\?:)")  # ./my_cell.py of model=./my_cell.py:MGU,lstm
PLAIN = re.compile(r"[\w./-]+", re.ASCII)


def words_for_manifest(words: Sequence[str]) -> list[str]:
    """The words of a command line that a manifest keeps: without where the sweep lies, and without passwords.

    Files with a class, those of the data and the folder of --config-dir are absolute there, as it may be resumed from another
    folder.
    """
    kept = [masked(word) for word in words if _key(word) not in PLACED and not _is_secret(word)]
    tasks = [name for word in kept if _key(word) == "task" for name in word.partition("=")[2].split(",")]
    return [_absolute(word, before, tasks) for before, word in zip(["", *kept], kept, strict=False)]


def _absolute(word: str, before: str, tasks: Sequence[str]) -> str:
    options = (find_option(_key(word), {"task": task}) for task in tasks if _key(word).startswith("task."))
    if any(option and option.where and option.where.path for option in options):
        key, _, values = word.partition("=")
        name = key.rpartition(".")[2]
        return f"{key}={','.join(_absolute_value(name, value) for value in values.split(','))}"
    if before in CONFIG_DIR:
        return os.path.abspath(word)
    if word.startswith("--config-dir="):
        return f"--config-dir={os.path.abspath(word.partition('=')[2])}"
    if _key(word) in ("task", "model"):
        return CLASS_FILE.sub(lambda found: os.path.abspath(os.path.expanduser(found[0])), word)
    return word


def _absolute_value(name: str, value: str) -> str:
    plain = value.strip("'\"")
    path = absolute_path(name, plain)
    return value if path == plain else _value(path)


def resumed_commands(words: Sequence[str]) -> tuple[list[list[str]], dict[str, Path]]:
    """Of `train --resume SWEEP [LAUNCHING ...]` the command lines that the sweep was begun with, with `launching` in place of
    what they said of the same options; and by their ids the folders of the runs that the sweep lists.

    BadOption where there is no such sweep, or its manifest keeps no command, or one without its password.
    """
    place = words.index("--resume")
    name = words[place + 1] if len(words) > place + 1 else ""
    if not name or name.startswith("-"):
        raise BadOption("missing value: --resume SWEEP, the name of a sweep or its folder")
    given = launching_words([*words[:place], *words[place + 2 :]])
    runs = next((word.partition("=")[2] for word in reversed(given) if word.startswith("runs=")), "runs")
    try:
        folder, is_sweep = named_folder(name, Path(runs))
        if not is_sweep:
            raise BadOption(f"--resume {name}: no sweep; its name or its folder in runs/sweeps is needed")
        manifest = whole_manifest(folder)
    except (OSError, DamagedRecord) as error:
        raise BadOption(f"--resume {name}: {error}") from None
    commands = manifest.commands
    if not commands:
        raise BadOption(
            f"--resume {name}: its manifest keeps no command: an earlier version made it, or `rnnbench reproduce` or `card`; "
            "give that command again: what is recorded is not run again"
        )
    if hidden := next((word for command in commands for word in command if "://" in word and MASK in word), ""):
        raise BadOption(f"--resume {name}: {shortened(hidden)}: its password was not kept; give the command itself again")
    store = folder.parent.parent
    placed = [f"runs={_value(store)}", f"sweep={_value(folder.resolve().name)}"]
    others = [word for word in given if _key(word) != "runs"]
    said = {_key(word) for word in others}
    resumed = [[*(word for word in command if _key(word) not in said), *others, *placed] for command in commands]
    return resumed, {about["id"]: store / run for run, about in manifest.runs.items()}


def resumed_jobs(jobs: Sequence[Job], kept: Collection[str]) -> list[Job]:
    """Those of a resumed command's jobs that its sweep lists, whose ids are `kept`.

    A job of again=true that it does not list would be one more repeat: those that it lists are recorded. BadOption for others.
    """
    others = [job for job in jobs if job.id not in kept]
    if strange := [job for job in others if not job.settings.again]:
        raise BadOption(
            f"--resume: {len(strange)} of {len(jobs)} runs are none that the sweep lists ({shortened(strange[0].name)}): "
            "files, data or versions have changed, or it was begun in another folder; give the command itself again"
        )
    if others:
        say(f"{len(others)} of {len(jobs)} runs of again=true are recorded; the command itself makes one more of each")
    return [job for job in jobs if job.id in kept]


def launching_words(words: Sequence[str]) -> list[str]:
    """`words`, which stand beside declared runs; BadOption for one that says what is run."""
    for word in words:
        if not word.startswith(
            ("trainer.", "trainer=", "tracker.", "tracker=", "runs=", "accept_changes=", "hydra/launcher=", "hydra.launcher.")
        ):
            raise BadOption(
                f"{word}: what is run is declared and stays as it is; allowed: trainer.*, tracker.*, runs=, accept_changes=, "
                "hydra/launcher=, hydra.launcher.*"
            )
    return list(words)


def _key(word: str) -> str:
    return word.partition("=")[0].lstrip("+~") if "=" in word else ""


def _is_secret(word: str) -> bool:
    return _key(word).startswith("hydra") and bool(SECRET.search(_key(word)))


def _value(text: object) -> str:
    return str(text) if PLAIN.fullmatch(str(text)) else quoted(text)
