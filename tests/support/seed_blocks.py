"""`python -m tests.support.seed_blocks RUNS [BLOCKS]`: one model under two names, in cards of disjoint seeds.

Of each block of seeds a card of --quick is made, of the LSTM against the LSTM: once against the runs that come with the suite,
as everybody's card is, and once against the block after it. A card that calls them different is wrong; 1 in 20 may be.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from rnnbench.card.committed import committed_records
from rnnbench.card.outcomes import Sample, judge, sample_of
from rnnbench.card.runs import Entrants, Line, find_card_runs, setting_words
from rnnbench.card.suite import Suite, load_suite
from rnnbench.launch.sweep import launch_sweep

QUICK, MODEL, AGAIN = "quick", "lstm", "again"
ENTRANTS = Entrants(AGAIN, {AGAIN: MODEL, MODEL: MODEL})
Samples = dict[str, Sample]  # by task


def main(runs: Path, blocks: int = 20) -> int:
    """Runs what is missing, and prints a line for each card; the exit code."""
    suite, own = load_suite(QUICK), [f"runs={runs}", "tracker=none"]
    first = suite.opponent_seeds  # those before it are seeds of the runs that come with the suite
    whole = range(first, first + blocks * suite.seeds)
    lines = [line for task in suite.here for line in task_lines(suite, task, AGAIN, whole)]
    if code := launch_sweep([list(line.words) for line in lines], "seed-blocks", [*own, "hydra.launcher.workers=1"]):
        return code
    committed = samples_of(suite, MODEL, range(first), own)
    found = [samples_of(suite, AGAIN, whole[at : at + suite.seeds], own) for at in range(0, len(whole), suite.seeds)]
    cards = [(block, committed) for block in found]
    for name, pairs in (
        ("the runs of the suite", cards),
        ("the block after it", list(zip(found[::2], found[1::2], strict=True))),
    ):
        told = [number for number, pair in enumerate(pairs) if differs(suite, *pair)]
        print(f"against {name}: {len(told)} of {len(pairs)} cards call them different{told or ''}")
    return 0


def task_lines(suite: Suite, task: str, model: str, seeds: Iterable[int]) -> list[Line]:
    words = setting_words(suite, task, ENTRANTS, model, None)
    return [Line(task, model, (*words, f"seed={seed}")) for seed in seeds]


def samples_of(suite: Suite, model: str, seeds: Iterable[int], own: list[str]) -> Samples:
    """The runs of a model under these seeds."""
    found = {}
    for task in suite.here:
        runs = find_card_runs(task_lines(suite, task, model, seeds), committed_records(QUICK), own)
        found[task] = sample_of(model, [run.record for run in runs if run.record])
        assert len(found[task].outcomes) == len(runs)
    return found


def differs(suite: Suite, one: Samples, other: Samples) -> bool:
    """Whether the card of `one` against `other` says ahead or behind somewhere."""
    verdicts = judge(suite, {task: {AGAIN: one[task], MODEL: other[task]} for task in one}, AGAIN)
    words = " ".join(f"{verdict.task}: {verdict.word} (p = {verdict.p:.3f})" for verdict in verdicts)
    print(words, flush=True)
    return any(verdict.word in ("ahead", "behind") for verdict in verdicts)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *map(int, sys.argv[2:])))
