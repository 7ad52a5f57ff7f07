"""The names of version 0.1 for what is now in `rnnbench.data`, for tasks of other packages. Goes with the next version."""

from __future__ import annotations

import warnings

from .data.cache import STALE, Column, read_arrays, write_arrays, write_stream
from .data.cache import cache_entry as entry
from .data.cache import cache_folder as cache
from .data.cache import complete_entry as complete
from .data.hub import PATIENCE, splits
from .data.hub import check_columns as look
from .data.hub import read_split as table
from .data.table_files import FILES, file_table
from .data.tables import DataError
from .data.tables import table_digest as digest

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

warnings.warn(
    "rnnbench.hub is now rnnbench.data.hub, data.cache and data.tables, with some other names", DeprecationWarning, stacklevel=2
)
