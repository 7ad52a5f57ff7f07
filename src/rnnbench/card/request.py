"""What `rnnbench card` is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..config.settings import Settings
from ..config.winners import Winners
from .runs import Entrants
from .suite import Suite


@dataclass(frozen=True)
class CardRequest:
    """A card that is to be made."""

    suite_name: str  # of its file: quick or card
    suite: Suite
    entrants: Entrants
    command: str  # as the page says it
    launching: Sequence[str]  # words of the command line that say where and how the runs are made
    launched: Settings  # of one of them
    output: Path
    full: bool = False  # whether winners are searched
    winners: Winners | None = None  # that are given
    elsewhere: Sequence[str] = ()  # tasks and models of whose winner the other settings are not known
