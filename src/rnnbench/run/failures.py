"""How a run can end without a record."""

from __future__ import annotations


class RunFailed(RuntimeError):
    """A run that could not continue; the message is one line, and what was recorded before is intact."""


class RunLost(RunFailed):
    """A run that another process took over, or whose folder was removed, while this one had it."""


class Stopped(Exception):
    """A run that was asked to end, and did so after a checkpoint; `code` is the exit code that says by what."""

    def __init__(self, message: str, signal_number: int):
        super().__init__(message)
        self.code = 128 + signal_number
