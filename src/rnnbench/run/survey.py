"""What is known of a run before it starts. Torch is not imported, so that a launcher can read what a process found out."""

from __future__ import annotations

from typing import NamedTuple


class Survey(NamedTuple):
    """Where a run lies, and what makes it this run."""

    folder: str
    id: str
    setting: str  # the id that it shares with other seeds
    length: int  # steps of a sequence
