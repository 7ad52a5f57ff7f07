"""How many processes this machine has room for: its cores, the files that may be open, and the memory that is free."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
from pathlib import Path

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


def free_memory() -> int:
    """Bytes that new processes can have, here and in this container; a large number where the system does not tell."""
    found = [sys.maxsize]
    with contextlib.suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        found.append(next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")))
    with contextlib.suppress(OSError, StopIteration, ValueError):
        group = Path("/sys/fs/cgroup")
        used = int((group / "memory.current").read_text(encoding="ascii"))
        lines = (group / "memory.stat").read_text(encoding="ascii").splitlines()
        cached = next(int(line.split()[1]) for line in lines if line.startswith("inactive_file "))
        found.append(int((group / "memory.max").read_text(encoding="ascii")) - used + cached)
    return max(0, min(found))


def usable_cores() -> int:
    """Those that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1
