"""What a comparison says in words: its captions, what is missing from it, and how to read it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..config.labels import option_text
from ..options import amount
from .formatting import format_interval, format_seeds
from .grouping import ModelResults, TaskResults, stopped_when_solved
from .intervals import NEAR, Estimate, against_floor, is_bimodal
from .table import Cell

MOST_LISTED = 4  # models that a sentence names
RANKED = (
    "#: rank, as the range of ranks consistent with pairwise Welch tests (Holm's correction, 5 %). Where only some seeds "
    "solved the task, the shares solved are compared first (Fisher's test). No rank: single seed, at the floor, diverged or "
    "refused."
)
INTERVALS = "[ ]: 95 % confidence interval over seeds (Student's t; of the share solved, Wilson's)."
TEST_ROWS_IN = {"train": "test", "validation": "test_in_validation"}  # what `seen` of a record counts
MEDIAN = "Where only some seeds solved the task, the score is the median of those that did."


def comparison_caption(block: TaskResults) -> str:
    if block.task is None:
        return f"no run has finished yet · {_options(block.options)}".strip(" ·")
    unit = f" ({block.task['unit']})" if block.task["unit"] else ""
    better = "lower" if block.lower_is_better else "higher"
    records = [record for entry in block.entries for record in entry.records]
    shared = (
        {
            key: value
            for key, value in records[0]["departures"].items()
            if not key.startswith("task.") and all(record["departures"].get(key) == value for record in records)
        }
        if records
        else {}
    )
    parts = [f"test {block.headline}{unit}, {better} is better", _options(block.options)]
    parts.append(f"every run: {_options(shared)}" if shared else "")
    return " · ".join(part for part in parts if part)


def result_sentence(block: TaskResults, estimates: Mapping[str, Estimate], ranks: Mapping[str, tuple[int, int]]) -> str:
    """What came out on one task, in words: who is best, who solved it, who is no better than the floor.

    `ranks`: by label the best and the worst place of each of several seeds, those at the floor too.
    """
    if not estimates:
        return "Every run diverged." if any(entry.diverged for entry in block.entries) else "No run has finished yet."
    told = [_who_is_best(block, estimates, ranks), _who_solved(block), _who_is_at_floor(block, estimates)]
    return " ".join(filter(None, told))


def _who_is_best(block: TaskResults, estimates: Mapping[str, Estimate], ranks: Mapping[str, tuple[int, int]]) -> str:
    order = (min if block.lower_is_better else max)(estimates, key=lambda label: estimates[label].value)
    score = f"test {block.headline} {format_interval(estimates[order])}"
    if len(estimates) == 1:
        return f"{order}: {score}{', of one seed' if estimates[order].estimator == 'one seed' else ''}."
    if estimates[order].estimator == "one seed":
        return f"{order} has the best score, but of a single seed: no confidence interval ({score})."
    first = [label for label, (best, _) in ranks.items() if best == 1]
    if first == [order] and len(ranks) > 1:
        others = len(ranks) - 1
        return f"{order} is best, significantly better than the {'other' if others == 1 else f'{others} others'} ({score})."
    if len(first) > 1:
        return f"No model is significantly best: {_listed(first)} may each be first."
    return f"{order} has the best score ({score}); no order is significant."


def _who_solved(block: TaskResults) -> str:
    by_share: dict[str, list[str]] = {"all": [], "some": []}
    known = [entry for entry in block.entries if any(record["solved"] is not None for record in entry.records)]
    for entry in known:
        solved = [bool(record["solved"]) for record in entry.records]
        if any(solved):
            by_share["all" if all(solved) else "some"].append(entry.label)
    if not known:
        return ""
    if not any(by_share.values()):
        return "No run solved it."
    told = [f"every run of {_listed(by_share['all'])}"] * bool(by_share["all"])
    told += [f"some runs of {_listed(by_share['some'])}"] * bool(by_share["some"])
    return f"Solved by {' and '.join(told)}."


def _who_is_at_floor(block: TaskResults, estimates: Mapping[str, Estimate]) -> str:
    better = "below" if block.lower_is_better else "above"
    floors = {entry.label: block.floor_of(entry) for entry in block.entries}
    verdicts = {label: against_floor(estimate, floors[label]) for label, estimate in estimates.items()}
    none = [label for label, verdict in verdicts.items() if verdict not in ("", "undecided", better)]
    return f"No better than the floor: {_listed(none)}." if none else ""


def _listed(labels: Sequence[str]) -> str:
    """`a, b and c`."""
    if len(labels) > MOST_LISTED:
        return f"{', '.join(labels[:MOST_LISTED])} and {len(labels) - MOST_LISTED} more"
    return " and ".join(filter(None, [", ".join(labels[:-1]), *labels[-1:]]))


def _options(options: Mapping[str, object]) -> str:
    return " ".join(f"{key}={option_text(value)}" for key, value in options.items())


def block_gaps(block: TaskResults, order: Sequence[ModelResults]) -> list[str]:
    """What one task setting lacks, or what is wrong with it, in words; its entries in `order`."""
    return [
        *filter(None, [block.unequal, block_overlap(block)]),
        *(gap for entry in order for gap in comparison_gaps(block, entry)),
    ]


def block_overlap(block: TaskResults) -> str:
    """`overlap_line` of the first of its records that has one."""
    lines = (overlap_line(record["task"]["about"]) for entry in block.entries for record in entry.records)
    return next(filter(None, lines), "")


def overlap_line(about: Mapping[str, object]) -> str:
    """The rows of the test split that the record of a user's data says stand in train or validation; empty for none."""
    found = about.get("found")
    if not isinstance(found, Mapping):
        return ""
    parts = [found.get(key) for key in ("files", "shared", "seen")]
    files, shared, texts = (part if isinstance(part, Mapping) else {} for part in parts)
    test = "test" if "test" in files else "validation"  # of a set without a test split validation is the test
    said = [
        f"{pair.partition(' and ')[0]} and test have {amount(rows, 'row')} in common"
        for pair, rows in shared.items()
        if pair.endswith(f" and {test}") and isinstance(rows, int) and rows
    ]
    if not said:
        seen = {split: many for split, name in TEST_ROWS_IN.items() if isinstance(many := texts.get(name), int) and many}
        whole = rows.get("test") if isinstance(rows := found.get("rows"), Mapping) else None
        of_all = "" if whole is None else f" of {whole:,}"
        said = [f"{amount(count, 'test row')}{of_all} also in {split}" for split, count in seen.items()]
    return f"{', '.join(said)}: these were trained or selected on" if said else ""


def comparison_gaps(block: TaskResults, entry: ModelResults) -> Iterable[str]:
    """What this entry of the block lacks, in words."""
    scores = block.scores(entry)
    if len(scores) > 1 and len(set(scores)) == 1 and not is_bimodal(block.solved(entry)):
        yield f"{entry.label}: all {amount(len(scores), 'seed')} gave the same value: no spread to estimate"
    if missing := entry.missing:
        yield f"{entry.label}: {format_seeds(missing)} missing"
    for failure in sorted({run.failure or "" for run in entry.unfinished}):
        seeds = format_seeds(run.config["seed"] for run in entry.unfinished if (run.failure or "") == failure)
        yield f"{entry.label}: {seeds} " + (f"failed: {failure}" if failure else "unfinished")
    for run in entry.diverged:
        step = run.record["diverged_step"] if run.record else None
        yield f"{entry.label}: seed {run.config['seed']} diverged{'' if step is None else f' at step {step}'}"
    if entry.refused:
        yield f"{entry.label}: {format_seeds(entry.refused)} refused"


def comparison_notes(block: TaskResults, rows: Sequence[Sequence[Cell]], estimates: Mapping[str, Estimate]) -> Iterable[str]:
    """How to read this table: only what applies to it."""
    records = [record for entry in block.entries for record in entry.records]
    verdicts = {row[3].text for row in rows}
    estimators = {estimate.estimator for estimate in estimates.values()}
    if estimators & {"mean", "geometric mean"}:
        yield INTERVALS
    if "geometric mean" in estimators:
        yield f"{block.headline}: geometric mean, with the interval of the logarithms."
    if "median of solved" in estimators:
        yield MEDIAN
    if "one seed" in estimators:
        yield "Single seed: no confidence interval."
    if len(rows) > 1:
        by_share = any(is_bimodal(block.solved(entry)) for entry in block.entries)
        yield f"Sorted by {'the share solved, then by ' * by_share}score."
    if any(row[1].text for row in rows):
        yield RANKED
    if any(verdict.startswith("barely") for verdict in verdicts):
        yield f"barely: the interval excludes the floor, and the score is within {100 * NEAR:.0f} % of it."
    if "at" in verdicts:
        yield f"at: the interval contains the floor and stays within {100 * NEAR:.0f} % of it."
    if "undecided" in verdicts:
        yield "undecided: the 95 % interval contains the floor, or there is no interval."
    if any(entry.diverged for entry in block.entries):
        yield "A diverged run counts as not solved, and is in no mean."
    if any(record["solved"] is not None for record in records):
        yield "solved: seeds whose validation score reached the task's threshold, or that ended by train.window."
    if any(stopped_when_solved(record) for record in records):
        yield "Training stops when solved: compare time to solve, not final scores."
    if 0 < sum(bool(record["solved"]) for record in records) < len(records):
        yield "to solve: median over the seeds that solved it."
