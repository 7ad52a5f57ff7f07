"""Signals that ask training to save a checkpoint and to end."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


def collect_signals(asked: list[int]) -> None:
    """From now on appends the number of each of SIGNALS to `asked`; a second SIGINT raises KeyboardInterrupt.

    Only the main thread can set handlers; in another one nothing happens.
    """

    def ask(number: int, _frame: FrameType | None) -> None:
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.append(number)

    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            signal.signal(number, ask)


@contextlib.contextmanager
def restored_signals() -> Iterator[None]:
    """Puts the handlers of SIGNALS back at the end of the context."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)
