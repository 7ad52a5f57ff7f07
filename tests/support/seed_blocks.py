"""`python -m tests.support.seed_blocks RUNS [BLOCKS]`: cards that compare a model with itself, over disjoint blocks of seeds.

Each block is a card of --quick of the LSTM under another name, against the LSTM and the GRU. A card is wrong where it says that
the LSTM is ahead of itself, or behind. First all cards are held against the runs that come with the suite, as everybody's card
is: these share the opponent's five runs. Then every second block is held against the one after it: of these, which share
nothing, 1 in 20 may be wrong.
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

QUICK, MODEL, OTHER, AGAIN = "quick", "lstm", "gru", "again"
ENTRANTS = Entrants(AGAIN, {AGAIN: MODEL, MODEL: MODEL, OTHER: OTHER})
Samples = dict[str, Sample]  # by task


def main(runs: Path, blocks: int = 20) -> int:
    """Runs what is missing, and prints a line for each card; the exit code."""
    if blocks < 2 or blocks % 2:
        print(f"BLOCKS {blocks}: an even number, of at least 2")
        return 2
    suite, own = load_suite(QUICK), [f"runs={runs}", "tracker=none"]
    first = suite.opponent_seeds  # those before it are seeds of the runs that come with the suite
    whole = range(first, first + blocks * suite.seeds)
    lines = [line for task in suite.here for line in task_lines(suite, task, AGAIN, whole)]
    if code := launch_sweep([list(line.words) for line in lines], "seed-blocks", [*own, "hydra.launcher.workers=1"]):
        return code
    lstm, gru = (samples_of(suite, model, range(first), own) for model in (MODEL, OTHER))
    found = [samples_of(suite, AGAIN, whole[at : at + suite.seeds], own) for at in range(0, len(whole), suite.seeds)]
    pairs = list(zip(found[::2], found[1::2], strict=True))
    for name, cards in (("the runs of the suite", [(block, lstm) for block in found]), ("the block after it", pairs)):
        wrong = [number for number, (one, other) in enumerate(cards) if differs(suite, one, other, gru)]
        print(f"against {name}: {len(wrong)} of {len(cards)} cards tell the LSTM from itself{f': {wrong}' if wrong else ''}")
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


def differs(suite: Suite, one: Samples, other: Samples, gru: Samples) -> bool:
    """Whether the card of `one` against `other` and the GRU says ahead or behind of `other` somewhere."""
    models = {task: {AGAIN: one[task], MODEL: other[task], OTHER: gru[task]} for task in one}
    verdicts = [verdict for verdict in judge(suite, models, AGAIN) if verdict.opponent != OTHER]
    print(" ".join(f"{verdict.task}: {verdict.word} (p = {verdict.p:.3f})" for verdict in verdicts), flush=True)
    return any(verdict.word in ("ahead", "behind") for verdict in verdicts)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *map(int, sys.argv[2:])))
