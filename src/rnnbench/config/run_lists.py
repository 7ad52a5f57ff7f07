"""A file of command lines, which `rnnbench sweep FILE` runs as one sweep.

shared: train.steps=500 seed=0,1
runs: [task=adding model=lstm, task=copy_memory model=gru train.clip=10]
winners: winners.yaml
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ..console import say
from ..options import BadOption, shortened, unknown
from .overrides import split_sweep
from .schema import load_yaml
from .winners import read_winners, winner_notes, words_of_winner

KEYS = ("runs", "shared", "winners")


def listed_runs(path: Path, placed: Callable[[Sequence[str]], Sequence[str]] = list) -> list[list[str]]:
    """The words of each run that the file lists, each line as `placed` has it. BadOption, in one line, where the file holds
    something else.

    Says which of its winners were found under other settings.
    """
    listed = load_yaml(path)
    if others := sorted(set(listed) - set(KEYS)):
        raise BadOption(f"{path}: {unknown('key', others[0], KEYS)}")
    if not isinstance(listed.get("runs"), list) or not listed["runs"]:
        raise BadOption(f"{path}: `runs:`, a list of command lines such as `task=adding model=lstm,gru`, and `shared:`")
    try:
        _refuse_cut(listed["runs"])
        shared = shlex.split(str(listed.get("shared", "")))
        given = [job for number, line in enumerate(listed["runs"], 1) for job in _jobs(number, str(line), shared)]
        lines = [list(placed(line)) for line in given]
        if "winners" in listed:
            winners = read_winners(path.parent / str(listed["winners"]))
            lines = [[*line, *words_of_winner(winners, line)] for line in lines]
            for note in winner_notes(winners, lines):
                say(f"{path}: {note}")
    except (BadOption, ValueError) as error:
        raise BadOption(f"{path}: {error}") from None
    return lines


def _jobs(number: int, line: str, shared: Sequence[str]) -> Iterator[list[str]]:
    """The words of each job of a line of `runs:`; BadOption, which says its number, where it cannot be read."""
    try:
        yield from split_sweep([*shlex.split(line), *shared], sweep=True)
    except (BadOption, ValueError) as error:
        raise BadOption(f"run {number}: {error}") from None


def _refuse_cut(runs: Sequence[object]) -> None:
    """BadOption where a line begins with no option: the rest of a line that YAML has cut at a comma within brackets."""
    lines: list[list[str]] = []
    for number, item in enumerate(map(str, runs), 1):
        word = item.split()[0] if item.strip() else ""
        if "=" in word or word.startswith("~"):
            lines.append([item])
        elif lines:
            lines[-1].append(item)
        else:
            raise BadOption(f"run {number}: {shortened(item)!r} is no command line, such as 'task=adding model=lstm,gru'")
    for number, (first, *rest) in enumerate(lines, 1):  # those before it are whole
        if rest:
            whole = json.dumps(",".join((first, *rest)), ensure_ascii=False)
            raise BadOption(
                f"run {number} is cut at a comma, and {shortened(rest[0])!r} is no command line; in [ ] a comma ends a line: "
                f"put the line in quotes: {whole}"
            )
