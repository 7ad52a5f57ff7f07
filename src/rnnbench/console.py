"""Lines on the terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TextIO, TypeVar

FIRST, NEXT = 1.5, 10.0  # seconds until a line says how far something is, and from one to the next
Item = TypeVar("Item")


def say(line: str, file: TextIO | None = None) -> None:
    """Prints a line to `file`, by default standard output. A reader that has gone away, as in `| head`, is no error."""
    file = file or sys.stdout
    try:
        print(line, file=file, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())


def counted(items: Iterable[Item], what: str) -> Iterator[Item]:
    """`items`, one after another; where that takes long, a line on standard error says of how many `what` is true."""
    due = time.monotonic() + FIRST
    for count, item in enumerate(items):
        if time.monotonic() > due:
            say(f"{count} {what}", sys.stderr)
            due = time.monotonic() + NEXT
        yield item
