"""`python -m tests.support.cards RUNS [HOURS [CELL,...]]`: the cards of our cells, or of these, and the records into conf/card.

First `rnnbench card --quick` of each cell, whose pages stand in build/cards; then, where HOURS are given, for so long what is
missing of the suite of `--full`: cell by cell and task by task the search, and the runs under what it chose. What is recorded
in the folder RUNS, or comes with a suite, is not run again.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rnnbench.card.committed import (
    CELLS,
    committed_lines,
    committed_path,
    committed_records,
    committed_searches,
    own_entrants,
    write_committed,
    write_searches,
)
from rnnbench.card.runs import find_card_runs
from rnnbench.card.suite import load_suite
from rnnbench.card.tuning import choose_winners, search_trials
from rnnbench.cli.main import main as rnnbench
from rnnbench.launch.sweep import launch_sweep

QUICK, FULL = "quick", "card"


def main(runs: Path, hours: float = 0, cells: Sequence[str] = CELLS) -> int:
    """Runs what is missing of `cells`, and writes the records of all that are there; the exit code."""
    own = [f"runs={runs}", "tracker=none"]
    for cell in cells:
        if code := rnnbench(["card", cell, "--quick", *own, "-o", f"build/cards/{cell}"]):
            return code
    keep_records(QUICK, own)
    return full_cards([*own, "hydra.launcher.workers=1"], time.time() + 3600 * hours, cells)


def full_cards(own: list[str], end: float, cells: Sequence[str]) -> int:
    """Runs what is missing of the suite of --full, until all is there or the time is over; the exit code."""
    suite = load_suite(FULL)
    for cell in cells:
        entrants = own_entrants(FULL, cell)
        for task in suite.here:
            if time.time() > end:
                return 0
            searches = committed_searches(FULL, suite)
            if (task, cell) not in {(one.task, one.model) for one in searches}:
                trials = [one for one in search_trials(suite, entrants) if (one.task, one.model) == (task, cell)]
                lines = [line for trial in trials for line in trial.lines]
                if code := launch_sweep([list(line.words) for line in lines], f"search-{cell}-{task}", own):
                    return code
                found = find_card_runs(lines, {}, own)
                write_searches(FULL, [*searches, *choose_winners(suite, entrants, trials, found)])
            wanted = [line for line in committed_lines(FULL) if (line.task, line.model) == (task, cell)]
            left = [run.line for run in find_card_runs(wanted, committed_records(FULL), own) if run.folder]
            if left and (code := launch_sweep([list(line.words) for line in left], f"card-{cell}-{task}", own)):
                return code
            keep_records(FULL, own)
    return 0


def keep_records(name: str, own: list[str]) -> None:
    """Writes the records that are there into those that come with the suite."""
    found = find_card_runs(committed_lines(name), committed_records(name), own)
    print(f"{committed_path(name)}: {write_committed(name, found)} records", flush=True)


if __name__ == "__main__":
    folder, *rest = sys.argv[1:]
    named = rest[1].split(",") if rest[1:] else CELLS
    if strange := [cell for cell in named if cell not in CELLS]:
        sys.exit(f"cells: {', '.join(strange)}; there are: {', '.join(CELLS)}")
    sys.exit(main(Path(folder), float(rest[0]) if rest else 0, named))
