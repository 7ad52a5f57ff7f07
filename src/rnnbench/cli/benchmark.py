"""The verb benchmark: measures this machine."""

from __future__ import annotations

import argparse
import importlib

from ..options import BadOption


def benchmark_command(options: argparse.Namespace) -> int:
    if options.words and options.what not in ("data", "tasks"):
        raise BadOption(
            f"{' '.join(options.words)}: `benchmark {options.what}` takes no words; allowed: those of data and tasks"
        )
    importlib.import_module(f"..benchmarks.{options.what}", __package__).main(options.quick, options.words)
    return 0
