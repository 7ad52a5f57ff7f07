"""Which GPUs there are, and which of them a job may see. Torch is not asked: it would take memory on each."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

DRIVER = Path("/proc/driver/nvidia/gpus")  # a folder for each, where NVIDIA's driver is loaded


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip() not in ("", "-1")]
    try:
        return [str(number) for number, _ in enumerate(DRIVER.iterdir())]
    except OSError:
        return []


def gpu_memory(gpus: list[str]) -> dict[str, int]:
    """Bytes of memory of each of `gpus`, as far as the driver's own tool tells."""
    asked = ["nvidia-smi", "--query-gpu=index,uuid,memory.total", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=True).stdout
        rows = [line.split(", ") for line in said.splitlines()]
        total = {name: int(megabytes) * 2**20 for index, uuid, megabytes in rows for name in (index, uuid)}
    except (OSError, subprocess.SubprocessError, ValueError):
        return {}
    return {gpu: total[gpu] for gpu in gpus if gpu in total}


class Packing:
    """Shares `gpus` out among jobs, at most `runs` at a time on each; the least busy first.

    Where the memory of a GPU is known, the jobs on it may not need more of it together; one that has a GPU for itself may
    try. A job of which nothing is known takes a place and no memory.
    """

    def __init__(self, gpus: list[str], runs: int, memory: Mapping[str, int] | None = None):
        self.free = dict.fromkeys(gpus, runs)
        self.runs, self.memory = runs, dict(memory or {})

    def take(self, count: int, needed: int = 0) -> list[str] | None:
        """The names of `count` GPUs with a place and `needed` bytes; None where there are not so many now."""

        def has_room(gpu: str) -> bool:
            alone = self.free[gpu] == self.runs
            return self.free[gpu] > 0 and (alone or needed <= self.memory.get(gpu, needed))

        with_room = sorted(filter(has_room, self.free), key=lambda gpu: -self.free[gpu])
        if len(with_room) < count:
            return None
        for gpu in with_room[:count]:
            self.free[gpu] -= 1
            if gpu in self.memory:
                self.memory[gpu] -= needed
        return with_room[:count]

    def give(self, gpus: list[str], needed: int = 0) -> None:
        """Takes back what a job had."""
        for gpu in gpus:
            self.free[gpu] += 1
            if gpu in self.memory:
                self.memory[gpu] += needed
