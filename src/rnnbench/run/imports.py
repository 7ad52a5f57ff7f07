"""Imports what training needs as fast as it can be."""

from __future__ import annotations

import atexit
import contextlib
import gc
from collections.abc import Iterator

from ..store.collector import without_collecting


@contextlib.contextmanager
def quick_imports() -> Iterator[None]:
    """Cycles are not collected while the context lasts: an import makes half a million objects that stay.

    Nor are these looked through by later collections, which also keeps their pages shared among forked processes.
    """
    before = gc.get_freeze_count()
    with without_collecting():
        yield
    gc.freeze()
    if not before:
        atexit.register(gc.unfreeze)  # or libraries that count what is left at the end complain of it
