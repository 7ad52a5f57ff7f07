"""The command lines of a sweep: what its manifest keeps of one, and how they are given again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ..config.overrides import quoted
from ..console import masked
from ..options import BadOption
from ..store.record import DamagedRecord
from .manifest import named_folder, whole_manifest
from .sweep import launching_words

PLACED = ("runs", "sweep")  # options that say where a sweep lies: it may have been moved or copied
SECRET = re.compile(r"pass|secret|token|key", re.IGNORECASE)  # in the name of a launcher's option
PLAIN = re.compile(r"[\w./-]+", re.ASCII)


def words_for_manifest(words: Sequence[str]) -> list[str]:
    """The words of a command line that a manifest keeps: without where the sweep lies, and without passwords."""
    return [masked(word) for word in words if _key(word) not in PLACED and not _is_secret(word)]


def resumed_commands(words: Sequence[str]) -> list[list[str]]:
    """Of `train --resume SWEEP [LAUNCHING ...]` the command lines that the sweep was begun with, with `launching` in place of
    what they said of the same options. BadOption where there is no such sweep, or its manifest keeps none.
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
        commands = whole_manifest(folder).commands
    except (OSError, DamagedRecord) as error:
        raise BadOption(f"--resume {name}: {error}") from None
    if not commands:
        raise BadOption(
            f"--resume {name}: its manifest keeps no command of `rnnbench train`: an earlier version made it, or "
            "`rnnbench sweep` or `reproduce`; give that command again: what is recorded is not run again"
        )
    store = folder.parent.parent
    placed = [f"runs={_value(store)}", f"sweep={_value(folder.resolve().name)}"]
    others = [word for word in given if _key(word) != "runs"]
    said = {_key(word) for word in others}
    return [[*(word for word in command if _key(word) not in said), *others, *placed] for command in commands]


def _key(word: str) -> str:
    return word.partition("=")[0].lstrip("+~") if "=" in word else ""


def _is_secret(word: str) -> bool:
    return _key(word).startswith("hydra") and bool(SECRET.search(_key(word)))


def _value(text: object) -> str:
    return str(text) if PLAIN.fullmatch(str(text)) else quoted(text)
