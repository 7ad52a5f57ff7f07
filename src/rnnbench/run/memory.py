"""How much memory there is, and what a run is known to need of it before it starts. Torch is not imported."""

from __future__ import annotations

import contextlib
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

from ..config.settings import Settings
from ..options import BadOption

SHARE, LEAST = 0.1, 256_000_000  # of the free memory, and bytes at least, that one row may take while it is made
SIGNS = ("allocate", "out of memory", "too big", "dimension exceeded")  # of what numpy and PyTorch say


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


@contextlib.contextmanager
def bounded_memory(settings: Settings) -> Iterator[None]:
    """Bounds what this process may add to its memory while one row is made: an error, where the kernel would kill.

    Training takes many times that. The error becomes a BadOption, which names the largest number among the task's options.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    free = free_memory()
    bound = max(LEAST, int(SHARE * free))
    limits = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
    with contextlib.suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
        used = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:"))
        resource.setrlimit(resource.RLIMIT_DATA, (min(used + bound, *limits, sys.maxsize), hard))
    try:
        yield
    except (MemoryError, RuntimeError, ValueError, OverflowError) as error:
        said = " ".join(str(error).split())
        if not isinstance(error, MemoryError) and not any(sign in said for sign in SIGNS):
            raise
        counts = {name: value for name, value in settings.task.options.items() if type(value) is int}
        largest = max(counts, key=lambda name: counts[name], default="")
        option = f"task.{largest}={counts[largest]}" if largest else f"task={settings.task.name}"
        raise BadOption(
            f"{option}: a sequence takes more than {bound / 1e9:.1f} GB while it is made, and {free / 1e9:.1f} GB of memory "
            f"are free, of which training takes many times that ({said:.120}); choose less"
        ) from None
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def check_batch(settings: Settings, row: int, steps: int) -> None:
    """BadOption where a batch of rows of `row` bytes, and the states that training keeps of each of its `steps`, exceed memory.

    That is less than a run takes: what passes may still be too large.
    """
    on_cpu = settings.trainer.accelerator == "cpu"
    states = 4 * steps * int(settings.model.options.get("hidden_size") or 0) * int(settings.stack.get("layers") or 1)
    rows = settings.train.batch_size / settings.trainer.nodes
    needed, free = rows * (row + (states / settings.trainer.micro_batches if on_cpu else 0)), free_memory()
    if needed > free:
        raise BadOption(
            f"train.batch_size={settings.train.batch_size}: a batch takes {needed / 1e9:,.1f} GB at least, and "
            f"{free / 1e9:.1f} GB of memory are free; choose less"
        )
