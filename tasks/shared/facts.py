"""Plain values: what is recorded of data, what a preparation leaves for the task, and what a run keeps beside its weights."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rnnbench.data.text import Vocabulary

Facts = Mapping[str, object]  # plain values by name
Kept = Mapping[str, Sequence[str] | int]  # vocabularies and sizes by name


def save_facts(folder: Path, facts: Facts) -> None:
    """Plain values of a preparation that a task wants back; `load_facts` reads them."""
    (folder / "facts.json").write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")


def load_facts(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "facts.json").read_text(encoding="utf-8"))


def kept_words(kept: Kept, name: str) -> Vocabulary:
    """The vocabulary `name` of what a task kept."""
    symbols = kept[name]
    assert not isinstance(symbols, int)
    return Vocabulary(symbols)


def kept_size(kept: Kept, name: str) -> int:
    """The size `name` of what a task kept."""
    size = kept[name]
    assert isinstance(size, int)
    return size
