"""Lines on the terminal: the one place where anything is printed, so that nothing that others wrote can steer a terminal.

Labels, names, samples and reasons of failures come from other people's files. What a terminal would obey, or what hides or
reorders text, is shown as an escape such as `\\x1b`; a line that is said is one line. Passwords in addresses are masked.
"""

from __future__ import annotations

import os
import re
import sys
import time
import unicodedata
from collections.abc import Iterable, Iterator
from typing import TextIO, TypeVar

FIRST, NEXT = 1.5, 10.0  # seconds until a line says how far something is, and from one to the next
Item = TypeVar("Item")

CONTROL = {"Cc", "Cs", "Zl", "Zp"}  # categories: control, half a character, ends of lines
UNSEEN = {*CONTROL, "Cf"}  # and format, also from right to left
JOINERS = "\u200c\u200d"  # which scripts need inside words, and emoji
LOGIN = re.compile(r"(?<=://)([^\s:/@\[]*):(?!\d{1,5}[/?#])\S*@")  # user:password@ of an address; host:port/ is none
SECRET = re.compile(r"([?&;][\w-]*(?:pass|pwd|secret|token|key)[\w-]*=)[^\s&;'\"]+", re.IGNORECASE)
MASK = "***"
UNWRITTEN: list[str] = []  # why output could not be written; the program then ends with 1


def visible(text: str, kept: str = "") -> str:
    """`text` with each character that is not seen, but is obeyed or hides others, as its escape; those of `kept` stay."""
    if text.isprintable():
        return text
    return "".join(sign if sign in kept or not _is_unseen(sign) else ascii(sign)[1:-1] for sign in text)


def _is_unseen(sign: str) -> bool:
    return sign not in JOINERS and unicodedata.category(sign) in UNSEEN


def has_control(text: str) -> bool:
    """Whether there is a control character in `text`, an end of a line, or half a character."""
    return any(unicodedata.category(sign) in CONTROL for sign in text)


def masked(text: str) -> str:
    """`text` with the passwords of all addresses in it replaced: `scheme://user:***@host`, `?password=***`."""
    return SECRET.sub(rf"\1{MASK}", LOGIN.sub(rf"\1:{MASK}@", text)) if "://" in text else text


def say(line: str, file: TextIO | None = None) -> None:
    """Prints a line to `file`, by default standard output. A reader that has gone away, as in `| head`, is no error."""
    show(f"{visible(masked(line))}\n", file)


def show(text: str, file: TextIO | None = None) -> None:
    """Prints `text` as it is: of ours, or made `visible` already. A reader that has gone away is no error.

    Where it cannot be written (a full disk), nothing more is written there, what is done goes on, and UNWRITTEN tells why.
    """
    file = file or sys.stdout
    try:
        print(text, end="", file=file, flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())
        if not isinstance(error, BrokenPipeError):
            UNWRITTEN.append(error.strerror or str(error))


def counted(items: Iterable[Item], what: str) -> Iterator[Item]:
    """`items`, one after another; where that takes long, a line says of how many `what` is true."""
    due = time.monotonic() + FIRST
    for count, item in enumerate(items):
        if time.monotonic() > due:
            say(f"{count} {what}")
            due = time.monotonic() + NEXT
        yield item
