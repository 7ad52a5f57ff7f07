"""What every process that trains imports, imported as fast as it can be: half of the start of a sweep of small jobs.

Two things are left out while it lasts, and are as before when it is over. Cycles are not collected: an import makes half a
million objects that stay. And torchmetrics, which Lightning imports whole, imports scipy.signal, a sixth of all, to see
whether one name is there; it is told so. What has been imported is no longer looked through by later collections, which
also keeps its pages shared among the processes that are forked from this one.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import sys
import types
from collections.abc import Iterator
from typing import Any

SIGNAL = "scipy.signal"


class Later(types.ModuleType):
    """Stands for scipy.signal, which is imported when something of it is asked for."""

    hamming = None  # what torchmetrics looks for

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(SIGNAL) is self:
            del sys.modules[SIGNAL]
        return getattr(importlib.import_module(SIGNAL), name)


@contextlib.contextmanager
def spared() -> Iterator[None]:
    """Imports nothing of scipy.signal that is not used, and collects no cycles."""
    collects, later = gc.isenabled(), Later(SIGNAL)
    gc.disable()
    if SIGNAL not in sys.modules:
        sys.modules[SIGNAL] = later
    try:
        yield
    finally:
        if sys.modules.get(SIGNAL) is later:
            del sys.modules[SIGNAL]
        if collects:
            gc.enable()


with spared():
    from . import run as run
    from . import training as training
    from . import worker as worker

gc.freeze()
atexit.register(gc.unfreeze)  # or libraries that count what is left at the end complain of it
