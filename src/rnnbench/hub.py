"""The names of version 0.1 for `rnnbench.data.hub`, for tasks of other packages. Goes with the next version."""

from __future__ import annotations

import warnings

from .data.hub import PATIENCE, STALE, Column, DataError, read_arrays, splits, write_arrays, write_stream
from .data.hub import cache_entry as entry
from .data.hub import cache_folder as cache
from .data.hub import check_columns as look
from .data.hub import complete_entry as complete
from .data.hub import read_split as table
from .data.hub import table_digest as digest
from .data.user_files import FILES, file_table

__all__ = [
    "FILES",
    "PATIENCE",
    "STALE",
    "Column",
    "DataError",
    "cache",
    "complete",
    "digest",
    "entry",
    "file_table",
    "look",
    "read_arrays",
    "splits",
    "table",
    "write_arrays",
    "write_stream",
]

warnings.warn("rnnbench.hub is now rnnbench.data.hub, with some other names", DeprecationWarning, stacklevel=2)
