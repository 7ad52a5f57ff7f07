"""How long this process has waited for machine code to be compiled, or read: no part of what a step takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

_seconds = 0.0


def compile_seconds() -> float:
    """Seconds up to now."""
    return _seconds


@contextmanager
def counted_as_compiling() -> Iterator[None]:
    """Inside, time counts."""
    global _seconds
    began = time.monotonic()
    try:
        yield
    finally:
        _seconds += time.monotonic() - began
