"""Which split a file belongs to, by its name: the rules of Hugging Face `datasets`, without importing it.

In this order, where any file fits: `data/<split>-00000-of-00001.*`, a folder called as a split (`train/0000.parquet`), a file
called as a split (`my_dev.csv`, `train.parquet`), and otherwise all files are for training. A name is a word between signs of
`SIGNS`, and case counts. Source: datasets.data_files, whose function `get_data_patterns` the tests compare this with.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import NamedTuple

NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}
SIGNS = "[-._ 0-9]"
ROWS_OF = re.compile(r"(\w+(?:\.\w+)*)(\[(?:-?[0-9_]+%?)?:(?:-?[0-9_]+%?)?\](?:\([^)]*\))?)?")
SHARD = re.compile(r"data/([^/]+)-[0-9]{5}-of-[0-9]{5}[^/]*\.[^/]*")


class Sorted(NamedTuple):
    """The files of each split by its name, and what is beside them."""

    splits: dict[str, list[str]]
    unread: list[str]


def sorted_files(files: Sequence[str]) -> Sorted:
    """The split of each of `files`, paths relative to the folder of the data set, in the order of the files.

    A file whose name holds the words of two splits stands in both, as in the library.
    """
    for rule in (_by_shard, _by_folder, splits_by_name):
        found = [(rule(name), name) for name in files]
        if any(splits for splits, _ in found):
            sides: dict[str, list[str]] = {}
            for splits, name in found:
                for split in splits:
                    sides.setdefault(split, []).append(name)
            return Sorted(sides, [name for splits, name in found if not splits])
    return Sorted({"train": list(files)} if files else {}, [])


def chosen_splits(there: Sequence[str]) -> dict[str, str]:
    """Which of the splits that are `there` is for training, validation and test, by its name: `dev` is for validation."""
    found = {split: next((name for name in names if name in there), None) for split, names in NAMES.items()}
    return {split: name for split, name in found.items() if name}


def instructed(value: str) -> list[str]:
    """The splits that an instruction of the library takes rows of: `train[:80%]`, `train[1000:]+dev`; none of anything else."""
    pieces = [ROWS_OF.fullmatch(piece.strip()) for piece in value.split("+")]
    found = [piece for piece in pieces if piece]
    return [piece[1] for piece in found] if len(found) == len(pieces) and (len(found) > 1 or found[0][2]) else []


def by_number(name: str) -> tuple[list[tuple[str, int]], str]:
    """What files are sorted by where their rows are in the order of time: month2 before month10, else as text."""
    pieces = re.findall("[0-9]+|[^0-9]", name, re.DOTALL)
    return [("0", int(piece)) if piece.isdecimal() else (piece, 0) for piece in pieces], name


def _by_shard(name: str) -> list[str]:
    found = SHARD.fullmatch(name)
    return [found[1]] if found else []


def _by_folder(name: str) -> list[str]:
    folders = PurePath(name).parent.parts
    return [split for split in NAMES if any(_is_called(split, folder, end=True) for folder in folders)]


def splits_by_name(name: str) -> list[str]:
    """The splits that a file is for by its own name."""
    return [split for split in NAMES if _is_called(split, PurePath(name).name, end=False)]


def _is_called(split: str, name: str, end: bool) -> bool:
    """Whether one of the split's words stands in `name`; `end`: the word may be its end. Of .ts files case does not count."""
    name = name.lower() if name.endswith(".ts") else name
    words = "|".join(NAMES[split])
    return re.fullmatch(f"(?:.*{SIGNS})?(?:{words}){f'(?:{SIGNS}.*)?' if end else f'{SIGNS}.*'}", name, re.DOTALL) is not None
