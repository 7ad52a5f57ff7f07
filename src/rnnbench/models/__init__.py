"""The zoo: one file a mechanism; a mechanism of another package joins through the entry point group `rnnbench.models`."""

from __future__ import annotations

import functools
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .mechanism import Mechanism

CONTRACT = ("__init__", "mechanism", "initial", "stack")  # files here that hold no mechanism


@functools.cache
def sources() -> dict[str, Path]:
    """The file of each mechanism by its name. Nothing is imported."""
    found = {path.stem: path for path in sorted(Path(__file__).parent.glob("*.py")) if path.stem not in CONTRACT}
    for entry in metadata.entry_points(group="rnnbench.models"):
        spec = find_spec(entry.module)
        if spec and spec.origin:
            found.setdefault(entry.name, Path(spec.origin))
    return found


def __getattr__(name: str) -> dict[str, type[Mechanism]]:
    """MODELS: the class of each mechanism by its name. Built when first asked for, since it imports torch."""
    if name == "MODELS":
        return _models()
    raise AttributeError(name)


@functools.cache
def _models() -> dict[str, type[Mechanism]]:
    from .gru import GRU
    from .lstm import LSTM
    from .peephole_lstm import PeepholeLSTM
    from .rnn import RNN

    ours: dict[str, type[Mechanism]] = {"rnn": RNN, "lstm": LSTM, "peephole_lstm": PeepholeLSTM, "gru": GRU}
    theirs = {entry.name: entry.load() for entry in metadata.entry_points(group="rnnbench.models") if entry.name not in ours}
    return ours | theirs
