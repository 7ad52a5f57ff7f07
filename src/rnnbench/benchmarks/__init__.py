"""Measurements of this machine: ratios in one process, interleaved, medians, one thread. A file each; `main` prints them."""

from __future__ import annotations

NAMES = ("overhead", "instruments", "kernels", "data", "tasks", "launcher", "tracking")
