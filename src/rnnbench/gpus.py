"""Which GPUs there are, and which of them a job may see. Torch is not asked: it would take memory on each."""

from __future__ import annotations

import os
from pathlib import Path

DRIVER = Path("/proc/driver/nvidia/gpus")  # a folder for each, where NVIDIA's driver is loaded


def visible() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip() not in ("", "-1")]
    try:
        return [str(number) for number, _ in enumerate(DRIVER.iterdir())]
    except OSError:
        return []


class Packing:
    """Shares `gpus` out among jobs, at most `runs` at a time on each; the least busy first."""

    def __init__(self, gpus: list[str], runs: int):
        self.free = dict.fromkeys(gpus, runs)

    def take(self, count: int) -> list[str] | None:
        """The names of `count` GPUs with room; None where there are not so many now."""
        with_room = sorted((gpu for gpu, room in self.free.items() if room), key=lambda gpu: -self.free[gpu])
        if len(with_room) < count:
            return None
        for gpu in with_room[:count]:
            self.free[gpu] -= 1
        return with_room[:count]

    def give(self, gpus: list[str]) -> None:
        """Takes back what a job had."""
        for gpu in gpus:
            self.free[gpu] += 1
