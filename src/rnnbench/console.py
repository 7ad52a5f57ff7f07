"""TODO doc."""

from __future__ import annotations

import os
import sys
from typing import Any


def say(line: str, file: Any = None) -> None:
    """A line for whoever listens; that nobody does (`| head` has had enough) is no reason to stop what is under way."""
    file = file or sys.stdout
    try:
        print(line, file=file, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())
