"""The log of a run: what a row may hold, reading the rows one by one, and appending to them.

It is two files, a row a line in both: metrics.jsonl holds what every run of these settings logs, timings.jsonl what differs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..options import fits_64_bits
from .record import DamagedRecord, plain, write_atomically

METRICS = "metrics.jsonl"
LOGS = (METRICS, "timings.jsonl")
LogRow = dict[str, Any]


def logged_rows(path: Path) -> Iterator[LogRow]:
    """The rows of one file of a log, but for a last line that was cut off; DamagedRecord names the first line that is none."""
    if not path.exists():
        return
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                yield checked_row(json.loads(line))
            except (ValueError, TypeError, RecursionError):
                raise DamagedRecord(f"{path}:{number}: no row of a log") from None


def checked_row(row: object) -> LogRow:
    """`row`, where it is one of a log: its step, and numbers, lists of numbers and tables of texts by name; else ValueError."""
    if not isinstance(row, dict) or type(row.get("step")) is not int:
        raise ValueError("no step")
    for name, value in row.items():
        if name == "validation/samples":
            good = _is_table(value)
        elif name.startswith("train/state_gradient/"):
            good = bool(value) and _is_numbers(value)
        else:
            good = _is_number(value) or isinstance(value, str) or _is_numbers(value) or _is_table(value)
        if not good:
            raise ValueError("neither a number, a list of numbers, nor a table of texts")
    return row


def _is_number(value: object) -> bool:
    return value is None or isinstance(value, float) or (isinstance(value, int) and fits_64_bits(value))


def _is_numbers(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_number, value))


def _is_table(value: object) -> bool:
    """Whether `value` is rows of texts with the same columns."""
    if not isinstance(value, list) or not all(isinstance(row, dict) and list(row) == list(value[0]) for row in value):
        return False
    return all(isinstance(text, str | int | float | None) for row in value for text in row.values())


def check_log(folder: Path, offsets: tuple[int, int]) -> None:
    """DamagedRecord where a log does not reach as far as a checkpoint says, or has no end of a line there."""
    for name, offset in zip(LOGS, offsets, strict=True):
        path = folder / name
        if (path.stat().st_size if path.exists() else 0) < offset:
            raise DamagedRecord(f"{path} is shorter than the checkpoint says")
        if offset:
            with open(path, "rb") as file:
                file.seek(offset - 1)
                if file.read(1) != b"\n":
                    raise DamagedRecord(f"{path} has no row that ends where the checkpoint says")


def file_pieces(path: Path, length: int, piece: int = 1 << 20) -> Iterator[bytes]:
    """The first `length` bytes of a file, of which never more than a piece is in memory."""
    if length:
        with open(path, "rb") as file:
            while length and (data := file.read(min(piece, length))):
                length -= len(data)
                yield data


class Log:
    """The open log of a run in progress: appends rows, and knows the offsets that a checkpoint keeps."""

    def __init__(self, folder: Path, check: Callable[[], None], offsets: tuple[int, int] = (0, 0)):
        """Opens the log in `folder`; `check` raises where another process may write there."""
        check_log(folder, offsets)
        self._check = check
        self._files = []
        for name, offset in zip(LOGS, offsets, strict=True):
            path = folder / name
            kept = file_pieces(path, offset)  # rows after the checkpoint are made again
            write_atomically(path, kept)  # a new file: one who held the run before can no longer write into it
            self._files.append(open(path, "ab"))  # noqa: SIM115 - closed by close()

    def append(self, step: int, metrics: LogRow, timings: LogRow) -> None:
        self._check()
        for file, row in zip(self._files, (metrics, timings), strict=True):
            row = {"step": step, **row}
            try:
                text = json.dumps(row, ensure_ascii=False, allow_nan=False)
            except ValueError:  # a number that is not finite: rare, and looking for one takes as long as writing
                text = json.dumps(plain(row), ensure_ascii=False)
            file.write(text.encode() + b"\n")
            file.flush()

    def offsets(self) -> tuple[int, int]:
        """Where the logs end, after they are on the disk."""
        for file in self._files:
            file.flush()
            os.fsync(file.fileno())
        metrics, timings = (file.tell() for file in self._files)
        return metrics, timings

    def close(self) -> None:
        for file in self._files:
            file.close()
