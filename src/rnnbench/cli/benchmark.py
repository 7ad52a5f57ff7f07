"""The verb benchmark: measures this machine."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from ..benchmarks.history import check_file, save, summary
from ..console import say
from ..options import BadOption

WORDY = ("data", "history", "tasks")  # benchmarks that take words
UNSAVED = ("history", "launcher", "tasks")  # they return no rows: what they print are no ratios with bounds


def benchmark_command(options: argparse.Namespace) -> int:
    """Measures, and says which rows miss their must; with --save appends them to a file."""
    what = options.what
    if options.words and what not in WORDY:
        raise BadOption(
            f"{' '.join(options.words)}: `benchmark {what}` takes no arguments; allowed: those of {', '.join(WORDY)}"
        )
    if what == "history" and len(options.words) > 1:
        raise BadOption(f"{' '.join(options.words)}: `benchmark history` takes one file")
    if options.save and what in UNSAVED:
        raise BadOption(f"--save: `benchmark {what}` has no ratios to save; allowed: with the benchmarks of ratios")
    if options.save:
        check_file(Path(options.save))
    rows = importlib.import_module(f"..benchmarks.{what}", __package__).main(options.quick, options.words)
    if not rows:
        return 0
    say(summary(rows))
    if options.save:
        save(rows, what, options.quick, Path(options.save))
        say(f"saved in {options.save}; `rnnbench benchmark history` shows what was saved over commits")
    return 0
