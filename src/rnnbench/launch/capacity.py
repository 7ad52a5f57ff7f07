"""How many processes this machine has room for: its cores, the files that may be open, and the memory that is free."""

from __future__ import annotations

import os
import resource
import sys

from ..run.memory import free_memory

FILES, SPARE_FILES = 4, 40  # open files of this process for each that it starts, and for all else
MEMORY = 200_000_000  # bytes that a process needs at least


def most_workers() -> tuple[int, str]:
    """How many processes the files that may be open and the memory allow, at least 1; and which of the two it is."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    by_files = (limit - SPARE_FILES) // FILES if limit != resource.RLIM_INFINITY else sys.maxsize
    by_memory = free_memory() // MEMORY
    if by_files <= by_memory:
        return max(1, by_files), f"no more files may be open (ulimit -n {limit})"
    return max(1, by_memory), f"{by_memory * MEMORY / 1e9:.1f} GB of memory are free"


def usable_cores() -> int:
    """Those that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1
