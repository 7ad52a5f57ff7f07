"""The cells of a table for readers: what was measured, what was reported, and the verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import isfinite
from statistics import fmean

from ..analysis.comparison import rank_cell
from ..analysis.comparison_text import RANKED
from ..analysis.formatting import format_brief, format_compact, format_duration, format_interval, format_number, format_share
from ..analysis.intervals import wilson
from ..analysis.table import Cell, Column, Table
from .cell_results import CellResult, ReportedResult, row_results
from .evaluate import Results
from .grid import RATES, SCALES, TIMES
from .overview import missing_hours, missing_seconds
from .units import in_percent, printed_text, to_unit
from .verdicts import NEWLY, NEWLY_NOTE

SECONDARY_NOTE = "secondary: the value was read in another text than its source."
MARKS = {"seen": "", "secondary": " (secondary)"}
CELLS = (
    Column("row", ("row", "title"), left=True, words=True),
    Column("column", ("column",), left=True, words=True),
    Column("scale", ("scale",), left=True),
    Column("measured", ("metric", "estimator", "value", "low", "high"), left=True),
    Column("floor", ("floor", "against_floor"), left=True, spare=2),
    Column("solved", ("solved", "solved_of"), left=True, spare=3),
    Column("#", ("rank",), spare=4),
    Column("reported", ("reported", "source", "sure", "theirs", "selection", "ours_by_theirs"), left=True, words=True),
    Column("verdict", ("verdict", "why", "own_choice"), left=True, words=True),
    Column("m* (margin)", ("least_margin", "margin", "apart", "apart_low", "apart_high"), left=True, spare=1),
    Column("parameters", ("parameters",), spare=5),
    Column("seeds", ("seeds", "missing", "diverged")),
    Column("cost", ("core_hours", "core_hours_missing"), spare=1),
)
INTERVAL_NOTE = (
    "[ ] is an interval over seeds, on the scale of the metric: Student's t of the logarithms of errors, perplexities and "
    "times a step (beside their geometric mean), plain for all others, cut to the range of the metric; Wilson's for a "
    "share. It is at 95 %, or where a row has several looks at 1 − the level of the look. Where some runs solve their task "
    "and others do not, the share solved stands first, then the median of those that did."
)
AT_LEAST = "≥: a run that did not solve the task counts as it was stopped"
TIMES_NOTE = "median of all: of all runs, where a run that does not solve the task counts as longer than all that do."
RANK_NOTE = (
    f"{RANKED} Where a row has several looks, each has its share of the 5 %. Ranks take scores to be about normal, "
    "contrasts do not: where the two disagree, the contrast counts."
)
REPORTED_NOTE = (
    "reported: the value as its source prints it, then its estimator (of runs), then which evaluation of a run it is of, where "
    "that is known. Where sources print per cent, ours and the margins are in per cent too."
)
VERDICT_NOTE = (
    "Verdicts are of d, our mean less the printed value, with its interval at the level of the look (two one-sided tests). "
    "reproduced: the interval lies within the margin. better, worse: it lies wholly outside, and the printed value outside of "
    "what the source's estimator would give of our runs; or the share of our runs that solve the task differs "
    "from the source's (Fisher's test). compatible: neither, and the printed value inside of that. open: else."
)
MARGIN_NOTES = (
    "m*: the least margin at which the value would be reproduced. The margin is a third of the gap that the source itself "
    "calls a difference in the row, not below the printed digit; where it calls none so, it is as declared. Of errors near "
    "zero the gap is a factor, too: its cube root is the margin where that is less.",
    "Of settings whose mean is the printed value 80 % at least are reproduced at the seeds of a first look, of those that are "
    "off by the margin 5 % at most (simulated for normal values with standard deviations of .3 to 1.5 margins). Where the "
    "printed value is one run of such a setting, 82 % are at a deviation of .3 margins, 56 % at .5, 37 % at 1: one run of "
    "theirs seldom settles more.",
)
RATIO_NOTE = (
    "Where the margin is a factor, d is the logarithm of our mean over the printed one, with a bootstrap interval, and m* is a "
    "factor, too: times to solve a task have long tails."
)
WORD_NOTES = {  # by words of the verdicts that they explain
    ("reproduced", "better", "worse", "compatible", "open"): VERDICT_NOTE,
    ("reached", "not reached"): "reached, not reached: the source does not say a part of the setting; three values of it at "
    "least were tried, and validation chose among them. Such values are counted apart.",
    (NEWLY,): NEWLY_NOTE,
    ("not comparable",): "not comparable: the source says that it measured in another setting, which is named; or our scale is "
    "smaller.",
    ("within the text's span", "the text does not settle it"): "within the text's span: the setting as stated does not "
    "reproduce the value, which lies between those of other readings of the text. the text does not settle it: its readings "
    "differ by more than a factor of 3, or another of them has the source's share of runs that solve the task. Neither is a "
    "reproduction. A reading counts where its runs are told apart from those as stated (log-rank, Holm's correction).",
}
REPORTED = (7, 8, 9)  # columns of CELLS that differ between the lines of one cell


def scale_text(scale: str) -> str:
    return "at the paper's scale" if scale == "paper" else f"at {scale} scale"


def cell_text(cell: CellResult, percent: bool = False) -> str:
    """The value of a cell in a few words; `percent`: a score in per cent."""
    found = cell.estimate
    if found is None:
        return "diverged" if cell.runs.diverged else "–"
    if cell.metric in TIMES:
        solved, runs = cell.solved_in_time, len(cell.runs.records)
        middle = f", median{' of all' * (solved < runs)} {format_brief(found.value)}" if isfinite(found.value) else ""
        return f"{solved}/{runs} solved{middle}"
    if cell.metric in RATES:
        if percent:
            return f"{100 * found.value:.0f} [{100 * (found.low or 0):.0f}, {100 * (found.high or 0):.0f}]"
        return f"{format_share(found.value)} [{format_share(found.low or 0)}, {format_share(found.high or 0)}]"
    if found.estimator == "median of solved":
        rate = wilson(sum(cell.learned.runs), len(cell.learned.runs), 1 - cell.level)
        share = f"{cell.learned} [{format_share(rate.low or 0)}, {format_share(rate.high or 0)}]"
        return f"{share}, their median {format_number(to_unit(found, percent).value)}"
    return format_interval(to_unit(found, percent))


def cells_tables(results: Results, rows: Sequence[str] | None = None) -> list[Table]:
    """A table for each scale, of the rows that are shown at it; gaps and notes stand below the last."""
    everything, found = cells_table(results, rows), list[Table]()
    for scale in SCALES:
        lines: list[tuple[Cell, ...]] = []
        for row in rows or results.rows:
            if scale in _shown_scales(results, row):
                for cell in row_results(results.runs, row, scale):
                    lines += _lines(results, cell if scale == "paper" else replace(cell, reported=()))
        if lines:
            hidden = tuple((*line[:2], Cell("", line[2].values), *line[3:]) for line in lines)  # the title says the scale
            found.append(Table(f"Cells {scale_text(scale)}", "", everything.about, CELLS, hidden))
    if found:
        found[0] = replace(found[0], caption=everything.caption)
        found[-1] = replace(found[-1], gaps=everything.gaps, notes=everything.notes)
    return found


def _shown_scales(results: Results, row: str) -> list[str]:
    """The scales at which a row is shown: where anything was run or, at the paper's, reported; else its first."""
    found = [
        scale
        for scale in results.runs.scales(row)
        if any(runs.runs for runs in results.runs.of_row(row, scale))
        or (scale == "paper" and any(place.partition("/")[0] == row for place in results.table.reports.values))
    ]
    return found or results.runs.scales(row)[:1]


def cells_table(results: Results, rows: Sequence[str] | None = None) -> Table:
    """A line a cell, and a reported value."""
    shown = list(rows or results.rows)
    lines = [line for row in shown for cell in results.cells[row] for line in _lines(results, cell)]
    gaps = tuple(dict.fromkeys(_gaps(results, shown)))
    notes = _notes(lines, any(results.table.grid.rows[row].ratio for row in shown))
    return Table(
        results.table.grid.title, summary_text(results), {"table": results.table.name}, CELLS, tuple(lines), gaps, tuple(notes)
    )


def _notes(lines: Sequence[Sequence[Cell]], ratio: bool) -> Iterator[str]:
    """What explains the lines, and no more; `ratio`: a margin of theirs is a factor."""
    has = {column.title: any(line[place].text not in ("", "–") for line in lines) for place, column in enumerate(CELLS)}
    if has["measured"]:
        yield INTERVAL_NOTE
    if any("median of all" in cell.text for line in lines for cell in line):
        yield TIMES_NOTE
    if has["#"]:
        yield RANK_NOTE
    if has["reported"]:
        yield REPORTED_NOTE
    if any(MARKS["secondary"] in cell.text for line in lines for cell in line):
        yield SECONDARY_NOTE
    place = [column.title for column in CELLS].index("verdict")
    said = {part for line in lines for word, why, _ in [line[place].values] for part in (word, *str(why).split(", "))}
    for words, note in WORD_NOTES.items():
        if said & set(words):
            yield note
    if has["m* (margin)"]:
        yield from MARGIN_NOTES
        if ratio:
            yield RATIO_NOTE


def _lines(results: Results, cell: CellResult) -> Iterator[tuple[Cell, ...]]:
    """A line for each reported value; one where none is reported. The cell's own numbers stand in the first only."""
    for index, reported in enumerate(cell.reported or (None,)):
        line = (*_measured_cells(results, cell), *_reported_cells(results, cell, reported), *_run_cells(cell))
        yield (
            line
            if not index
            else tuple(Cell(one.text if place in REPORTED else "", one.values, one.tone) for place, one in enumerate(line))
        )


def _measured_cells(results: Results, cell: CellResult) -> tuple[Cell, ...]:
    about, found, records = cell.runs.cell, cell.estimate, cell.runs.records
    raw = (found.estimator, found.value, found.low, found.high) if found else ("", None, None, None)
    rank, percent = rank_cell(cell.rank), in_percent(results.table, about.row)
    return (
        Cell(about.row, (about.row, results.table.grid.rows[about.row].title)),
        Cell(results.table.columns(about.row)[about.column].title or about.column, (about.column,)),
        Cell(about.scale if records else "", (about.scale,)),
        Cell(cell_text(cell, percent), (cell.metric, *raw), "" if found else "warn"),
        Cell(
            "" if cell.floor is None else f"{format_number(cell.floor * (100 if percent else 1))} {cell.against_floor}".strip(),
            (cell.floor, cell.against_floor),
        ),
        Cell(
            f"{cell.solved}/{cell.solved_of}" if cell.solved_of else "",
            (cell.solved if cell.solved_of else None, cell.solved_of or None),
        ),
        Cell(rank, (rank,)),
    )


def _reported_cells(results: Results, cell: CellResult, reported: ReportedResult | None) -> tuple[Cell, Cell, Cell]:
    """What was reported, the verdict, and the least margin at which it would be reproduced."""
    if reported is None:
        word = "" if cell.runs.records else "missing"
        return Cell("", (None,) * 6), Cell(word, (word, "", None)), Cell("", (None,) * 5)
    about, verdict, test = reported.about, reported.verdict, reported.test
    row = cell.runs.cell.row
    about_row = results.table.grid.rows[row]
    margin = about_row.ratio or about_row.margin_at(about.value)
    unit = 100 if in_percent(results.table, row) else 1
    by = (
        f", ours {format_number(test.ours * unit)} by {test.estimator}"
        if test and test.estimator not in ("mean", "share")
        else ""
    )
    selection = f", {about.selection}" if about.selection != "unknown" else ""
    words = f"{printed_text(about)} {about.estimator}{selection}{MARKS[about.sure]}{by}"
    source, ours = f"{about.source}, {about.at}", test.ours if test else None
    least = (test.least_margin, margin, test.apart.value, test.apart.low, test.apart.high) if test else (None,) * 5
    return (
        Cell(words, (about.value, source, about.sure, about.estimator, about.selection, ours)),
        Cell(
            verdict.word + (f": {verdict.why}" if verdict.why else ""),
            (verdict.word, verdict.why, int(reported.own_choice)),
            verdict.tone,
        ),
        Cell(f"{format_number(test.least_margin * unit)} ({format_number(margin * unit)})" if test and margin else "", least),
    )


def _run_cells(cell: CellResult) -> tuple[Cell, Cell, Cell]:
    """Parameters, seeds and cost."""
    runs, about = cell.runs, cell.runs.cell
    missing, diverged = runs.missing(), len(runs.diverged)
    parameters = runs.records[0]["model"]["parameters"] if runs.records else None
    seeds = f"{len(runs.finished)}" + (f" + {diverged} diverged" if diverged else "")
    numbers = (" ".join(map(str, sorted(runs.runs))), " ".join(map(str, missing)), diverged)
    hours = len(missing) * (about.minutes or 0) / 60
    took = format_duration(runs.seconds) if runs.records else (f"about {format_duration(hours * 3600)}" if hours else "")
    return (
        Cell(format_compact(parameters) if parameters else "", (parameters,)),
        Cell(seeds if not missing else f"{seeds}/{about.seeds.first}", numbers, "warn" if missing else ""),
        Cell(took, (round(runs.seconds / 3600, 4), round(hours, 4))),
    )


def _gaps(results: Results, shown: Sequence[str]) -> Iterator[str]:
    """Reductions of what is shown, what came of running it again, and what was refused."""
    for cell in (cell.runs.cell for row in shown for cell in results.cells[row] if cell.runs.runs):
        scale = results.table.grid.rows[cell.row].scales.get(cell.scale)  # type: ignore[call-overload]
        if scale and scale.reduction:
            yield f"{cell.row} at {cell.scale} scale: {scale.reduction}"
    every = results.runs.cells.values()
    for runs in (runs for runs in every if runs.cell.row in shown):
        about = results.table.grid.rows[runs.cell.row]
        values = runs.values(about.metric) if runs.repeats else []
        margin = about.margin_at(fmean(values)) if values and about.value_margin else None
        yield from (f"run again: {line}" for line in runs.repeated(about.metric, margin))
    others = {line for runs in every if runs.cell.row not in shown for line in runs.refused}
    yield from (f"refused: {line}" for line in results.runs.complaints if line not in others)


def summary_text(results: Results) -> str:
    """How much of the table there is: cells by scale, seeds, hours, and what is missing."""
    there = [m for m in results.runs.measured if m.runs]
    scales = Counter(m.cell.scale for m in there)
    counted = ", ".join(f"{scales[scale]} at {scale} scale" for scale in ("paper", "laptop", "smoke") if scales[scale])
    seconds = {record["id"]: record["speed"]["seconds"] or 0.0 for m in results.runs.cells.values() for record in m.records}
    words = (
        f"{len(there)} of {len(results.runs.measured)} cells measured{f' ({counted})' if counted else ''}, {len(seconds)} runs"
    )
    words += f", {format_duration(sum(seconds.values()))} of training" if seconds else ""
    left = missing_hours(missing_seconds(results))
    return words + (f"; what is missing takes about {left}, on one core" if left else "")
