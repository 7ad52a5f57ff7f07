"""`python -m tests.support.cards RUNS`: the cards of our cells by `rnnbench card --quick`, and their records into conf/card.

What is recorded in the folder RUNS, or comes with the suite, is not run again. The pages stand in build/cards.
"""

from __future__ import annotations

import sys
from pathlib import Path

from rnnbench.card.committed import CELLS, committed_lines, committed_path, committed_records, write_committed
from rnnbench.card.runs import find_card_runs
from rnnbench.cli.main import main as rnnbench

SUITE = "quick"


def main(runs: Path) -> int:
    """Runs what is missing, and writes the records of all; the exit code."""
    own = [f"runs={runs}", "tracker=none"]
    for cell in CELLS:
        if code := rnnbench(["card", cell, "--quick", *own, "-o", f"build/cards/{cell}"]):
            return code
    found = find_card_runs(committed_lines(SUITE), committed_records(SUITE), own)
    print(f"{committed_path(SUITE)}: {write_committed(SUITE, found)} records")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
