"""Models by tasks in one table: a row a model setting, a column a task setting, mean and interval in each cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..options import amount
from .comparison import estimate_entries, find_best
from .comparison_text import MEDIAN, block_gaps
from .formatting import format_compact, format_plus_minus, natural_key
from .grouping import ModelResults, TaskResults, name_entries
from .intervals import Estimate
from .table import Cell, Column, Table

HOLE = "·"


def model_matrix(blocks: Sequence[TaskResults]) -> Table:
    """The table of all blocks. In bold: `find_best`."""
    name_entries(blocks)
    labels = sorted({entry.label for block in blocks for entry in block.entries}, key=natural_key)
    found = [({entry.label: entry for entry in block.entries}, estimate_entries(block)) for block in blocks]
    bests = [find_best(block, estimates) for block, (_, estimates) in zip(blocks, found, strict=True)]
    rows = []
    for label in labels:
        cells = [
            _cell(block, entries.get(label), estimates.get(label), label == best)
            for block, (entries, estimates), best in zip(blocks, found, bests, strict=True)
        ]
        counts = {entry.record["model"]["parameters"] for entries, _ in found if (entry := entries.get(label)) and entry.record}
        rows.append((Cell(label, (label,)), _parameters(counts), *cells))
    columns = (
        Column("model", ("model",), left=True, words=True),
        Column("parameters", ("parameters_least", "parameters_most")),
        *(Column(head_of(block), tuple(f"{block.label} {name}" for name in ("value", "low", "high"))) for block in blocks),
    )
    means = [_geometric(estimates) for _, estimates in found]
    scores = ", ".join(
        dict.fromkeys(f"{block.headline} ({_better(block)} is better{mean})" for block, mean in zip(blocks, means, strict=True))
    )
    gaps = tuple(f"{block.label}: {gap}" for block in blocks for gap in block_gaps(block, block.entries))
    caption = f"Test {scores}, mean over seeds and 95 % interval"
    title = (
        f"{amount(len(labels), 'model')} on {amount(len(blocks), 'task')}"
        if len(blocks) > 1
        else f"{amount(len(labels), 'model')} on {blocks[0].label}"
    )
    return Table(title, caption, {}, columns, tuple(rows), gaps, tuple(_notes(rows)))


def _geometric(estimates: Mapping[str, Estimate | None]) -> str:
    """What a caption says of a task whose seeds have no plain mean."""
    estimators = {estimate.estimator for estimate in estimates.values() if estimate is not None}
    return "; geometric mean, interval of the logarithms" if "geometric mean" in estimators else ""


def _better(block: TaskResults) -> str:
    return "lower" if block.lower_is_better else "higher"


def head_of(block: TaskResults) -> str:
    """The title of its column."""
    return f"{block.label} {'↓' if block.lower_is_better else '↑'}"


def _cell(block: TaskResults, entry: ModelResults | None, estimate: Estimate | None, best: bool) -> Cell:
    if entry is None:
        return Cell(HOLE, (None, None, None))
    if estimate is None:
        return Cell("diverged" if entry.diverged else HOLE, (None, None, None), "poor" if entry.diverged else "")
    text = format_plus_minus(estimate)
    if estimate.estimator == "median of solved":
        solved = block.solved(entry)
        text += f" ({sum(solved)}/{len(solved)} solved)"
    return Cell(text, (estimate.value, estimate.low, estimate.high), strong=best)


def _parameters(counts: set[int]) -> Cell:
    if not counts:
        return Cell("", (None, None))
    least, most = min(counts), max(counts)
    text = "–".join(dict.fromkeys(map(format_compact, (least, most))))
    return Cell(text, (least, most))


def _notes(rows: Sequence[Sequence[Cell]]) -> list[str]:
    cells = [cell for row in rows for cell in row[2:]]
    notes = ["±, [ ]: 95 % confidence interval over seeds. Single seed: no confidence interval."]
    if any(cell.strong for cell in cells):
        notes.append("Bold: significantly better than each other with several seeds (Welch's test, Holm's correction, 5 %).")
    if any("solved)" in cell.text for cell in cells):
        notes.append(MEDIAN)
    if any(cell.text == HOLE for cell in cells):
        notes.append(f"{HOLE}: not run, or not finished.")
    return notes
