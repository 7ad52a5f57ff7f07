"""Imports what training needs as fast as it can be."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator

from ..store.collector import without_collecting


@contextlib.contextmanager
def quick_imports() -> Iterator[None]:
    """Cycles are not collected while the context lasts: an import makes half a million objects that stay.

    Nor does a later collection look through these, which also keeps their pages shared among forked processes; nor the last
    one, at the end of the process, where taking all of it apart took half as long as importing it had.
    """
    before = len(sys.modules)
    with without_collecting():
        yield
        if len(sys.modules) > before:  # else what earlier runs of this process left would stay for ever
            gc.freeze()  # while collecting is off: the next object would have all of them looked through
