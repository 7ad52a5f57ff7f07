"""What is known of a run before it starts. Torch is not imported, so that a launcher can read what a process found out."""

from __future__ import annotations

from typing import NamedTuple


class Survey(NamedTuple):
    """Where a run lies, and what makes it this run."""

    folder: str
    id: str
    setting: str  # the id that it shares with other seeds
    length: int  # steps of a sequence
    in_0_1: str  # the folder that version 0.1 gave it
    notes: tuple[str, ...] = ()  # what is odd about its data, and what its settings never come to
