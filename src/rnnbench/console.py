"""Lines on the terminal."""

from __future__ import annotations

import os
import sys
from typing import TextIO


def say(line: str, file: TextIO | None = None) -> None:
    """Prints a line to `file`, by default standard output. A reader that has gone away, as in `| head`, is no error."""
    file = file or sys.stdout
    try:
        print(line, file=file, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())
