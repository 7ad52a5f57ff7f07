"""Records in, tables out: one block a task setting, one row a model setting, its seeds in one cell.

    adding length=200
    model    #    mse                       floor 0.167  solved          seeds
    gru      1–2  0.0021 [0.0012, 0.0030]   below        3/3 [.44, 1]    3
    lstm     1–2  0.0024 [0.0010, 0.0038]   below        2/2 [.34, 1]    2/3
    lstm: seed 1 is missing

Runs stand in one row only where nothing but the seed differs. What is missing, unfinished, diverged or
refused is named under the table; a diverged run is in no mean and counts as not solved. A rank is a range
where intervals overlap: the best and the worst place that these runs allow (Goldstein & Spiegelhalter 1996).
Pure functions of what `records.find` returns; torch is never imported.
"""

from __future__ import annotations

import csv
import html
import io
import json
import math
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from .options import BadOption
from .records import Stored, canonical
from .statistics import ENOUGH, Estimate, bootstrap, student, wilson

NEAR = 0.1  # of the floor: an interval that holds the floor and stays this close to it is at the floor
Value = str | int | float | None


class NoRuns(BadOption):
    """There is nothing to put in a table; the message says what to run first."""


# What was run: blocks of entries


@dataclass
class Entry:
    """One model setting on one task setting, and what became of each of its seeds."""

    model: str
    setting: str
    config: dict[str, Any]
    label: str = ""
    finished: list[Stored] = field(default_factory=list)
    diverged: list[Stored] = field(default_factory=list)
    unfinished: list[Stored] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)  # seeds whose records disagree or hold no score

    @property
    def recorded(self) -> list[Stored]:
        return self.finished + self.diverged

    @property
    def seeds(self) -> set[int]:
        return {run.config["seed"] for run in self.recorded + self.unfinished} | set(self.refused)


@dataclass
class Block:
    """One task setting with the entries that were run on it. `task` is None until a run of it is recorded."""

    name: str
    options: dict[str, Any]
    task: dict[str, Any] | None
    entries: list[Entry] = field(default_factory=list)
    label: str = ""

    @property
    def headline(self) -> str:
        return self.task["headline"] if self.task else "score"

    @property
    def lower_is_better(self) -> bool:
        return self.task is not None and self.task["direction"] == "min"

    @property
    def seeds(self) -> set[int]:
        return set().union(*(entry.seeds for entry in self.entries))

    def score(self, run: Stored) -> float | None:
        """The headline on test."""
        return ((run.record or {}).get("scores", {}).get("test") or {}).get(self.headline)


def blocks(stored: Iterable[Stored], complaints: Iterable[str]) -> tuple[list[Block], list[str]]:
    """The runs in blocks by task setting, and the complaints with those found here added.

    A run found twice counts once. Records that disagree about one setting and seed are refused, all of them.
    Raises NoRuns where nothing is left.
    """
    complaints = list(complaints)
    runs = _by_setting_and_seed(stored, complaints)
    if not runs:
        first = f" ({len(complaints)} refused; the first: {complaints[0]})" if complaints else ""
        raise NoRuns(f"no run found{first}; run one first: rnnbench train task=adding model=lstm")
    found: dict[str, Block] = {}
    recorded: dict[str, str] = {}  # the block of a task's settings as they stand in a config
    for key, same in sorted(runs.items(), key=lambda item: item[1][0].record is None):  # recorded ones first
        config, record = same[0].config, same[0].record
        asked = canonical(config["task"])
        if record:
            about = record["task"]
            place = recorded[asked] = canonical([about[part] for part in ("name", "version", "options", "fingerprint")])
            block = found.setdefault(place, Block(about["name"], about["options"], about))
        else:
            options = {option: value for option, value in config["task"].items() if option != "name"}
            block = found.setdefault(recorded.get(asked, asked), Block(config["task"]["name"], options, None))
        _add(block, key, same, complaints)
    _label(found.values())
    return sorted(found.values(), key=lambda block: _natural(block.label)), complaints


def _by_setting_and_seed(stored: Iterable[Stored], complaints: list[str]) -> dict[tuple[str, int], list[Stored]]:
    """One run a setting and seed, or all the records that disagree about it."""
    runs: dict[tuple[str, int], list[Stored]] = {}
    for run in stored:
        source: Any = run.record or run.config
        try:
            key = (str(source["setting"]), int(source["seed"]))
            _ = run.config["task"]["name"], run.config["model"]["name"], run.config["seed"]
        except (KeyError, TypeError, ValueError):
            complaints.append(f"{run.path}: no run's settings")
            continue
        runs.setdefault(key, []).append(run)
    for key, same in runs.items():
        same.sort(key=lambda run: (run.record is None, not run.path.is_dir()))  # a folder first: it has the log
        results = {_result(run.record): run for run in reversed(same) if run.record}
        runs[key] = list(results.values()) if len(results) > 1 else same[:1]
    return runs


def _result(record: Mapping[str, Any]) -> str:
    """What two copies of one record share, even where one was scrubbed of its host."""
    return canonical([record[part] for part in ("id", "status", "steps", "scores")])


def _add(block: Block, key: tuple[str, int], same: list[Stored], complaints: list[str]) -> None:
    """Puts a seed where it belongs in its entry."""
    setting, seed = key
    run = same[0]
    entry = next((entry for entry in block.entries if entry.setting == setting), None)
    if entry is None:
        entry = Entry(run.config["model"]["name"], setting, run.config)
        block.entries.append(entry)
    if len(same) > 1:
        where = ", ".join(f"'{run.path}'" for run in same)
        complaints.append(f"{block.name} {entry.model} seed {seed}: {len(same)} records disagree; none counts: {where}")
        entry.refused.append(seed)
    elif run.record is None:
        entry.unfinished.append(run)
    elif run.record["status"] == "diverged":
        entry.diverged.append(run)
    elif block.score(run) is None:
        complaints.append(f"{block.name} {entry.model} seed {seed}: finished without a test {block.headline}: {run.path}")
        entry.refused.append(seed)
    else:
        entry.finished.append(run)


def _label(found: Iterable[Block]) -> None:
    """Names blocks, and the entries of each, by what tells them apart."""
    found = list(found)
    tasks = [block.options | ({"version": block.task["version"]} if block.task else {}) for block in found]
    prints = [str(block.task["fingerprint"])[:8] if block.task else "unfinished" for block in found]
    for block, label in zip(found, _tell_apart([block.name for block in found], tasks, prints), strict=True):
        block.label = label
    for block in found:
        for entry in block.entries:
            for runs in (entry.finished, entry.diverged, entry.unfinished):
                runs.sort(key=lambda run: run.config["seed"])
        options = [_chosen(entry) for entry in block.entries]
        names = [entry.model for entry in block.entries]
        short = [entry.setting[:8] for entry in block.entries]
        for entry, label in zip(block.entries, _tell_apart(names, options, short), strict=True):
            entry.label = label


def _chosen(entry: Entry) -> dict[str, Any]:
    """What makes an entry's setting, flat; the model's own options without their room."""
    options = flat({room: entry.config[room] for room in ("model", "network", "train", "budget") if room in entry.config})
    options = {key.removeprefix("model."): value for key, value in options.items()}
    record = entry.recorded[0].record if entry.recorded else None
    return options | ({"version": record["model"]["version"]} if record else {})


def _tell_apart(names: list[str], options: list[dict[str, Any]], last_resort: list[str]) -> list[str]:
    """Each name, and after it the options in which its namesakes differ; `last_resort` where that is not enough."""
    labels = []
    for name, own in zip(names, options, strict=True):
        namesakes = [other for namesake, other in zip(names, options, strict=True) if namesake == name]
        differ = [key for key in own if len({canonical(other[key]) for other in namesakes if key in other}) > 1]
        labels.append(" ".join([name, *(f"{key}={text(own[key])}" for key in differ)]))
    return [
        label if labels.count(label) == 1 else f"{label} {more}".strip()
        for label, more in zip(labels, last_resort, strict=True)
    ]


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested options as `{"model.hidden_size": 64}`."""
    if not isinstance(value, Mapping):
        return {prefix: value}
    below = (flat(item, f"{prefix}.{key}" if prefix else key) for key, item in value.items())
    return {name: leaf for part in below for name, leaf in part.items()}


# Words and numbers for readers


def text(value: Any) -> str:
    """An option's value as one would type it; of a path only the last part."""
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, str):
        return f"…/{value.rstrip('/').rpartition('/')[2]}" if value.startswith(("/", "~")) else value
    return json.dumps(value, ensure_ascii=False)


def _natural(words: str) -> list[Any]:
    """Sorts length=200 before length=1000."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", words)]


def _number(value: float, decimals: int | None = None) -> str:
    """Three significant digits, or so many decimals; a true minus sign."""
    shown = f"{value:.3g}" if decimals is None else f"{round(value, decimals) + 0.0:.{decimals}f}"  # + 0.0: no −0.00
    mantissa, _, exponent = shown.partition("e")
    shown = f"{mantissa}e{int(exponent)}" if exponent else shown
    return shown.replace("-", "−")


def interval(estimate: Estimate) -> str:
    """`0.0123 [0.0103, 0.0143]`, to the place of which the half-width holds 3.55 to 35.5.

    Never more than four digits of the number. Source: the rounding rule of the Particle Data Group's Review.
    """
    if estimate.low is None or estimate.high is None:
        return _number(estimate.value)
    largest = max(abs(estimate.low), abs(estimate.high))
    if largest < 1e-3 or largest >= 1e6:
        return f"{_number(estimate.value)} [{_number(estimate.low)}, {_number(estimate.high)}]"
    half = (estimate.high - estimate.low) / 2
    most = 3 - math.floor(math.log10(largest))
    decimals = max(0, min(most, -math.floor(math.log10(half / 3.55)) if half > 0 else most))
    return "{} [{}, {}]".format(*(_number(value, decimals) for value in (estimate.value, estimate.low, estimate.high)))


def _share(value: float) -> str:
    """0.4385 as .44"""
    return f"{value:.0f}" if value in (0, 1) else f"{value:.2f}".lstrip("0")


def compact(value: float) -> str:
    """12345 as 12.3k."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size * 0.9995:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def duration(seconds: float) -> str:
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"


def listed(seeds: Iterable[int]) -> str:
    """`seed 1`, `seeds 0, 2`."""
    numbers = sorted(seeds)
    return f"seed{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


# The table and its parts


@dataclass(frozen=True)
class Column:
    """A column: its title for readers, the names of its values for machines."""

    title: str
    names: tuple[str, ...]
    left: bool = False  # aligned to the left
    spare: int = 0  # left out of a narrow terminal, the highest first; 0 never


@dataclass(frozen=True)
class Cell:
    """What a reader sees, and the raw values behind it, one for each of the column's names."""

    text: str
    values: tuple[Value, ...]
    tone: str = ""  # good, poor or warn


@dataclass(frozen=True)
class Table:
    """Rows of cells; `about` is what all rows share, `gaps` what is not there, `notes` how to read it."""

    title: str
    caption: str
    about: Mapping[str, Value]
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    gaps: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def shown(self) -> list[int]:
        """The columns in which any row has something to read."""
        return [index for index in range(len(self.columns)) if any(row[index].text for row in self.rows)]


def compare(stored: Iterable[Stored], complaints: Iterable[str]) -> list[Table]:
    """A table for each task setting, and a last one without rows where something was refused. Raises NoRuns."""
    found, refusals = blocks(stored, complaints)
    tables = [tabulate(block) for block in found]
    if refusals:
        gaps = tuple(" ".join(refusal.split()) for refusal in refusals)
        tables.append(Table("Refused", "", {}, (), (), gaps))
    return tables


def tabulate(block: Block) -> Table:
    """The table of one task setting, best first."""
    task = block.task or {"version": None, "fingerprint": "", "headline": None, "direction": None, "floor": None, "unit": ""}
    most = min((len(entry.finished) for entry in block.entries if entry.finished), default=0)
    estimates = _estimates(block, robust=most >= ENOUGH)
    order = sorted(block.entries, key=lambda entry: _place(entry, estimates, block.lower_is_better))
    floor, arrow = task["floor"], {"min": " ↓", "max": " ↑"}.get(task["direction"], "")
    columns = (
        Column("model", ("model", "row", "setting"), left=True),
        Column("#", ("rank_best", "rank_worst"), spare=2),
        Column(f"{block.headline}{arrow}", ("estimator", "value", "low", "high"), left=True),
        Column("floor" if floor is None else f"floor {_number(floor)}", ("against_floor",), left=True),
        Column("solved", ("solved", "solved_of", "solved_low", "solved_high"), left=True),
        Column("to solve", ("seconds_to_solved",), spare=4),
        Column("parameters", ("parameters",), spare=3),
        Column("steps/s", ("steps_per_second",), spare=5),
        Column("tokens/s", ("tokens_per_second",), spare=6),
        Column("seeds", ("seeds", "missing", "unfinished", "diverged", "refused")),
    )
    rows = tuple(_row(block, entry, estimates) for entry in order)
    about = {
        "task": block.name,
        "task_version": task["version"],
        "task_options": canonical(block.options),
        "fingerprint": task["fingerprint"],
        "score": task["headline"],
        "direction": task["direction"],
        "floor": floor,
    }
    gaps = [gap for entry in order for gap in _gaps(block, entry)]
    hardware = {canonical(run.record["hardware"]) for entry in order for run in entry.recorded if run.record}
    if len(hardware) > 1:
        gaps.append(f"run on {len(hardware)} kinds of hardware: do not compare their speeds")
    return Table(block.label, _caption(block), about, columns, rows, tuple(gaps), tuple(_notes(block, rows, estimates)))


def _estimates(block: Block, robust: bool) -> dict[str, Estimate]:
    """Each entry's score over its finished seeds; one estimator for the whole block."""
    estimator: Callable[[Sequence[float]], Estimate] = bootstrap if robust else student
    scores = {entry.label: [block.score(run) for run in entry.finished] for entry in block.entries if entry.finished}
    return {label: estimator([score for score in values if score is not None]) for label, values in scores.items()}


def _place(entry: Entry, estimates: Mapping[str, Estimate], lower_is_better: bool) -> tuple[bool, float, list[Any]]:
    """Sorts the best first, and what has no score last."""
    value = estimates[entry.label].value if entry.label in estimates else 0.0
    return entry.label not in estimates, value if lower_is_better else -value, _natural(entry.label)


def _ranks(label: str, estimates: Mapping[str, Estimate], lower_is_better: bool) -> tuple[int, int]:
    """The best and the worst place that the intervals allow `label`."""
    own = estimates[label]
    apart = [other for other in estimates.values() if not own.overlaps(other)]
    better = sum((other.value < own.value) == lower_is_better for other in apart)
    return 1 + better, len(estimates) - (len(apart) - better)


def against_floor(estimate: Estimate, floor: float | None) -> str:
    """below, above: the interval excludes the floor. at: it holds it and stays within NEAR of it. Else undecided."""
    if floor is None:
        return ""
    if estimate.low is None or estimate.high is None:
        return "undecided"
    if not estimate.low <= floor <= estimate.high:
        return "below" if estimate.high < floor else "above"
    return "at" if max(floor - estimate.low, estimate.high - floor) <= NEAR * abs(floor) else "undecided"


def _row(block: Block, entry: Entry, estimates: Mapping[str, Estimate]) -> tuple[Cell, ...]:
    estimate = estimates.get(entry.label)
    records = [run.record for run in entry.recorded if run.record]
    cells = [Cell(entry.label, (entry.model, entry.label, entry.setting))]
    if estimate:
        best, worst = _ranks(entry.label, estimates, block.lower_is_better)
        place = str(best) if best == worst else f"{best}–{worst}"
        cells.append(Cell(place if len(estimates) > 1 else "", (best, worst)))
        cells.append(Cell(interval(estimate), (estimate.estimator, estimate.value, estimate.low, estimate.high)))
        verdict = against_floor(estimate, block.task["floor"] if block.task else None)
        good = "below" if block.lower_is_better else "above"
        cells.append(Cell(verdict, (verdict,), {good: "good", "undecided": "warn"}.get(verdict, "poor")))
    else:
        cells.append(Cell("", (None, None)))
        word, tone = ("diverged", "poor") if entry.diverged else ("–", "warn")
        cells.append(Cell(word, (None, None, None, None), tone))
        cells.append(Cell("", (None,)))
    solved = sum(bool(record["solved"]) for record in records)
    if any(record["solved"] is not None for record in records):
        share = wilson(solved, len(records))
        low, high = share.low or 0.0, share.high or 0.0
        cells.append(Cell(f"{solved}/{len(records)} [{_share(low)}, {_share(high)}]", (solved, len(records), low, high)))
    else:
        cells.append(Cell("", (None, None, None, None)))
    cells.append(_median((record["seconds_to_solved"] for record in records if record["solved"]), duration))
    parameters = records[0]["model"]["parameters"] if records else None
    cells.append(Cell("" if parameters is None else compact(parameters), (parameters,)))
    for speed in ("steps_per_second", "tokens_per_second"):
        cells.append(_median((run.record["speed"].get(speed) for run in entry.finished if run.record), compact))
    done, wanted = len(entry.finished), len(block.seeds)
    lists = [
        {run.config["seed"] for run in entry.finished},
        block.seeds - entry.seeds,
        {run.config["seed"] for run in entry.unfinished},
        {run.config["seed"] for run in entry.diverged},
        set(entry.refused),
    ]
    values = tuple(" ".join(map(str, sorted(seeds))) for seeds in lists)
    cells.append(Cell(f"{done}" if done == wanted else f"{done}/{wanted}", values, "" if done == wanted else "warn"))
    return tuple(cells)


def _median(values: Iterable[float | None], shown: Callable[[float], str]) -> Cell:
    known = [value for value in values if value is not None]
    return Cell(shown(median(known)), (median(known),)) if known else Cell("", (None,))


def _caption(block: Block) -> str:
    if block.task is None:
        return f"no run has finished yet · {_options(block.options)}".strip(" ·")
    unit = f" ({block.task['unit']})" if block.task["unit"] else ""
    better = "lower" if block.lower_is_better else "higher"
    records = [run.record for entry in block.entries for run in entry.recorded if run.record]
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


def _options(options: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={text(value)}" for key, value in options.items())


def _gaps(block: Block, entry: Entry) -> Iterable[str]:
    """What this entry lacks, in words."""
    if missing := block.seeds - entry.seeds:
        yield f"{entry.label}: {listed(missing)} missing"
    if entry.unfinished:
        yield f"{entry.label}: {listed(run.config['seed'] for run in entry.unfinished)} unfinished"
    for run in entry.diverged:
        step = run.record["diverged_step"] if run.record else None
        yield f"{entry.label}: seed {run.config['seed']} diverged{'' if step is None else f' at step {step}'}"
    if entry.refused:
        yield f"{entry.label}: {listed(entry.refused)} refused"


def legend(tables: Iterable[Table]) -> list[str]:
    """The notes of all tables, each once."""
    return list(dict.fromkeys(note for table in tables for note in table.notes))


def _notes(block: Block, rows: Sequence[Sequence[Cell]], estimates: Mapping[str, Estimate]) -> Iterable[str]:
    """How to read this table: only what applies to it."""
    records = [run.record for entry in block.entries for run in entry.recorded if run.record]
    verdicts = {row[3].text for row in rows}
    estimators = {estimate.estimator for estimate in estimates.values()}
    if "mean" in estimators:
        yield "[ ] is a 95 % interval: Student's t over seeds; Wilson's for the share solved."
    if "interquartile mean" in estimators:
        yield f"Scores are interquartile means with 95 % BCa bootstrap intervals ({ENOUGH} seeds or more in every row)."
    if "one seed" in estimators:
        yield "A score without an interval is one seed: it settles nothing."
    if any("–" in row[1].text for row in rows):
        yield "Sorted by score; the rank (#) is a range where intervals overlap: these runs do not settle the order."
    if "at" in verdicts:
        yield f"at: the interval holds the floor and stays within {100 * NEAR:.0f} % of it."
    if "undecided" in verdicts:
        yield "undecided: the interval does not exclude the floor, or there is none."
    if any(entry.diverged for entry in block.entries):
        yield "A diverged run is in no mean; it counts as not solved."
    if 0 < sum(bool(record["solved"]) for record in records) < len(records):
        yield "to solve: the median of the seeds that solved it."


# Renderers


def to_terminal(tables: Sequence[Table], width: int | None = None, colour: bool = False) -> str:
    """For a terminal of `width` columns, where spare columns are left out and said so; None: as wide as it is."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as Grid
    from rich.text import Text

    tones = {"good": "green", "poor": "red", "warn": "yellow", "": ""}
    file = io.StringIO()
    console = Console(file=file, width=width or 10_000, force_terminal=colour, no_color=not colour, highlight=False)
    spare = _spare(tables, width)
    for table in tables:
        console.print(Text(table.title, style="bold"))
        if table.caption:
            console.print(Text(table.caption, style="dim"))
        if table.rows:
            grid = Grid(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
            chosen = [index for index in table.shown() if table.columns[index].spare <= spare]
            for index in chosen:
                column = table.columns[index]
                grid.add_column(column.title, justify="left" if column.left else "right", no_wrap=index > 0, overflow="fold")
            for row in table.rows:
                grid.add_row(*(Text(row[index].text, style=tones[row[index].tone]) for index in chosen))
            console.print(grid)
        for gap in table.gaps:
            console.print(Text(gap, style="yellow"))
        console.print()
    notes = legend(tables)
    shown = {table.columns[index] for table in tables for index in table.shown()}
    if titles := sorted({column.title for column in shown if column.spare > spare}):
        notes.append(f"Left out: {', '.join(titles)}; a wider terminal or --format csv shows all.")
    for note in notes:
        console.print(Text(note, style="dim"))
    return "\n".join(line.rstrip() for line in file.getvalue().rstrip().split("\n")) + "\n"


def _spare(tables: Sequence[Table], width: int | None) -> int:
    """How spare a column may be and still stand in every table, so that all fit into `width`."""
    most = max((column.spare for table in tables for column in table.columns), default=0)
    for spare in range(most, 0, -1):
        if width is None or all(_width(table, spare) <= width for table in tables):
            return spare
    return 0


def _width(table: Table, spare: int) -> int:
    chosen = [index for index in table.shown() if table.columns[index].spare <= spare]
    widest = [max(len(table.columns[index].title), *(len(row[index].text) for row in table.rows)) for index in chosen]
    return sum(widest) + 2 * (len(widest) - 1)


def to_csv(tables: Sequence[Table]) -> str:
    """Raw values, one line a row, under one header; lists of seeds are parted by spaces. Gaps are columns, not notes."""
    full = [table for table in tables if table.rows]
    headers = {(*table.about, *(name for column in table.columns for name in column.names)) for table in full}
    if len(headers) > 1:
        raise ValueError("these tables have different columns; write them one by one")
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerows(headers)
    for table in full:
        for row in table.rows:
            writer.writerow([*table.about.values(), *(value for cell in row for value in cell.values)])
    return file.getvalue()


def to_markdown(tables: Sequence[Table]) -> str:
    """GitHub's tables, with gaps and notes as lists."""
    lines: list[str] = []
    for table in tables:
        shown = table.shown()
        lines += [f"### {_marked(table.title)}", ""]
        lines += [_marked(table.caption), ""] if table.caption else []
        if table.rows:
            lines.append(f"| {' | '.join(_marked(table.columns[index].title) for index in shown)} |")
            lines.append(f"|{'|'.join(':--' if table.columns[index].left else '--:' for index in shown)}|")
            lines += [f"| {' | '.join(_marked(row[index].text) for index in shown)} |" for row in table.rows]
            lines.append("")
        lines += [*(f"- {_marked(gap)}" for gap in table.gaps), ""]
    lines += [f"{_marked(note)}  " for note in legend(tables)]
    return "\n".join(lines).rstrip() + "\n"


def _marked(words: str) -> str:
    """`words` with what Markdown would read as markup made plain."""
    return re.sub(r"[\\`*<>|]|^#|(?<!\w)_|_(?!\w)|\](?=[\[(])", r"\\\g<0>", words)


def to_html(table: Table, marks: Mapping[str, str] | None = None) -> str:
    """A fragment: the table and its gaps. `marks` holds ready HTML to stand before a row's name."""
    shown, lines = table.shown(), ['<div class="scroll"><table>']
    side = {index: ' class="left"' if table.columns[index].left else "" for index in shown}
    heads = (f'<th scope="col"{side[index]}>{html.escape(table.columns[index].title)}</th>' for index in shown)
    lines.append(f"<thead><tr>{''.join(heads)}</tr></thead><tbody>")
    for row in table.rows:
        cells = []
        for index in shown:
            words = html.escape(row[index].text)
            if index == 0:
                cells.append(f'<th scope="row">{(marks or {}).get(row[index].text, "")}{words}</th>')
            else:
                tone = f'<span class="{row[index].tone}">{words}</span>' if row[index].tone and words else words
                cells.append(f"<td{side[index]}>{tone}</td>")
        lines.append(f"<tr>{''.join(cells)}</tr>")
    lines.append("</tbody></table></div>")
    if table.gaps:
        lines.append(f'<ul class="gaps">{"".join(f"<li>{html.escape(gap)}</li>" for gap in table.gaps)}</ul>')
    return "\n".join(lines)


FORMATS: tuple[str, ...] = ("terminal", "csv", "markdown")


def export(tables: Sequence[Table], format: str = "terminal") -> str:
    """`tables` as text in one of FORMATS, ready to print. A terminal's width and colours are those of standard output."""
    if format == "csv":
        return to_csv(tables).rstrip("\n")
    if format == "markdown":
        return to_markdown(tables).rstrip("\n")
    if format != "terminal":
        raise ValueError(f"no format '{format}'; there are: {', '.join(FORMATS)}")
    if not sys.stdout.isatty():
        return to_terminal(tables).rstrip("\n")
    from rich.console import Console

    console = Console()
    return to_terminal(tables, console.width, colour=console.color_system is not None and not console.no_color).rstrip("\n")
