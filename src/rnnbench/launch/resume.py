"""The command lines of a sweep: what its manifest keeps of one, and how they are given again."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..config.overrides import quoted
from ..config.places import absolute_path
from ..config.schema import find_option
from ..console import MASK, masked, say
from ..options import BadOption, amount, shortened
from ..store.record import DamagedRecord
from .manifest import Job, named_folder, whole_manifest

PLACED = ("runs", "sweep")  # options that say where a sweep lies: it may have been moved or copied
SECRET = re.compile(r"pass|secret|token|key", re.IGNORECASE)  # in the name of a launcher's option
LISTED = "sweep"  # the first word of a command that is `rnnbench sweep FILE`; those of `rnnbench train` begin otherwise
FROM = "--from="  # its next word but one, where the paths in FILE depend on the folder that the command was given in
CONFIG_DIR = ("--config-dir", "-cd")
CLASS_FILE = re.compile(r"(?<=[=,'\"\s])[^=,'\"\s]+\.py(?=\\?:)")  # ./my_cell.py of model=./my_cell.py:MGU,lstm
PLAIN = re.compile(r"[\w./-]+", re.ASCII)


def words_for_manifest(words: Sequence[str]) -> list[str]:
    """The words of a command line that a manifest keeps: without where the sweep lies, and without passwords.

    Files with a class, those of the data and the folder of --config-dir are absolute there, as it may be resumed from another
    folder.
    """
    kept = [masked(word) for word in words if _key(word) not in PLACED and not _is_secret(word)]
    return absolute_words(kept)


def absolute_words(words: Sequence[str], folder: str = "") -> list[str]:
    """The words of a command line that was given in `folder`, by default the current one, as they hold from any folder."""
    tasks = [name for word in words if _key(word) == "task" for name in word.partition("=")[2].split(",")]
    return [_absolute(word, before, tasks, folder) for before, word in zip(["", *words], words, strict=False)]


def _absolute(word: str, before: str, tasks: Sequence[str], folder: str) -> str:
    def absolute(path: str) -> str:
        return os.path.abspath(os.path.join(folder, os.path.expanduser(path)))

    options = (find_option(_key(word), {"task": task}) for task in tasks if _key(word).startswith("task."))
    if any(option and option.where and option.where.path for option in options):
        key, _, values = word.partition("=")
        name = key.rpartition(".")[2]
        return f"{key}={','.join(_absolute_value(name, value, folder) for value in values.split(','))}"
    if before in CONFIG_DIR:
        return absolute(word)
    if word.startswith("--config-dir="):
        return f"--config-dir={absolute(word.partition('=')[2])}"
    if _key(word) in ("task", "model"):
        return CLASS_FILE.sub(lambda found: absolute(found[0]), word)
    return word


def _absolute_value(name: str, value: str, folder: str) -> str:
    plain = value.strip("'\"")
    path = absolute_path(name, plain, folder)
    return value if path == plain else _value(path)


@dataclass
class Resumed:
    """The runs that a resumed sweep lists: their folders by their ids, and the ids of those that its commands ask for."""

    folders: dict[str, Path]
    asked: set[str] = field(default_factory=set)

    def jobs(self, jobs: Sequence[Job]) -> list[Job]:
        """Those of a command's jobs that the sweep lists.

        A job of again=true that it does not list would be one more repeat: those that it lists are recorded. BadOption for
        others.
        """
        others = [job for job in jobs if job.id not in self.folders]
        if strange := [job for job in others if not job.settings.again]:
            raise BadOption(
                f"--resume: {len(strange)} of {len(jobs)} runs are none that the sweep lists ({shortened(strange[0].name)}): "
                "files, data or versions have changed, or it was begun in another folder; give the command itself again"
            )
        if others:
            say(f"recorded of again=true: {len(others)} of {amount(len(jobs), 'run')}; the command itself makes one more")
        listed = [job for job in jobs if job.id in self.folders]
        self.asked |= {job.id for job in listed}
        return listed

    def not_asked(self) -> list[Path]:
        """The folders of runs that no command has asked for and that are not recorded."""
        others = (folder for run, folder in self.folders.items() if run not in self.asked)
        return [folder for folder in others if not os.path.lexists(folder / "record.json")]


def resumed_commands(words: Sequence[str]) -> tuple[list[list[str]], Resumed]:
    """Of `train --resume SWEEP [LAUNCHING ...]` the command lines that the sweep was begun with, with `launching` in place of
    what they said of the same options; and the runs that the sweep lists.

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
    return resumed, Resumed({about["id"]: store / run for run, about in manifest.runs.items()})


LAUNCHING = "trainer.*, tracker.*, runs=, accept_changes=, hydra/launcher=, hydra.launcher.*"


def launching_words(words: Sequence[str]) -> list[str]:
    """`words`, which stand beside declared runs; BadOption for one that says what is run."""
    for word in words:
        if "=" not in word and not word.startswith("-"):
            raise BadOption(f"{word}: expected OPTION=VALUE")
        if not word.startswith(
            ("trainer.", "trainer=", "tracker.", "tracker=", "runs=", "accept_changes=", "hydra/launcher=", "hydra.launcher.")
        ):
            raise BadOption(f"{word}: what is run is declared and stays as it is; allowed: {LAUNCHING}")
    return list(words)


def words_of_runs(launching: Iterable[str]) -> list[str]:
    """Those of `launching_words` that are options of the runs, not of the launcher."""
    return [word for word in launching if not word.startswith("hydra")]


def _key(word: str) -> str:
    return word.partition("=")[0].lstrip("+~") if "=" in word else ""


def _is_secret(word: str) -> bool:
    return _key(word).startswith("hydra") and bool(SECRET.search(_key(word)))


def _value(text: object) -> str:
    return str(text) if PLAIN.fullmatch(str(text)) else quoted(text)
