"""What was measured for the cells of a table: records matched to what was declared, and the numbers in them.

A record belongs to a cell where nothing that makes its numbers differs from what the cell's words ask for. It is refused, by
name, where it is not what it says: its settings, versions and seed must give its ids, its data those that the row declares,
and two records of one seed must agree. Torch is never imported.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from ..analysis.formatting import format_interval, format_seeds
from ..analysis.grouping import result_key, trained_with
from ..analysis.intervals import LEVEL, OFF_FLOOR, RANGES, Estimate, gains_over_floor, is_bimodal, off_floor
from ..analysis.significance import against_margin, difference
from ..config.budget import parse_count
from ..config.identity import departures, setting_identity
from ..config.labels import UNKNOWN
from ..config.liveness import Liveness
from ..config.schema import TUNING
from ..groups import BudgetSettings
from ..options import BadOption, amount
from ..store.find import FoundRun
from ..store.record import DamagedRecord, Record, canonical, digest
from .declaration import CellSpec, Declaration, OpenChoice, cell_settings
from .metrics import metric_value, nearly_equal, time_per_step

SHARED_OUT = ("trainer.devices", "trainer.micro_batches")  # departures that make no other run of a cell
EQUIVALENT_AT = 1 - LEVEL  # the level at which runs that were made again are shown to be the same


@dataclass(frozen=True)
class Learned:
    """Of each run, whether it learned: what that means here, in words that follow a number of runs."""

    runs: list[bool]
    how: str = "solved"

    @property
    def in_part(self) -> bool:
        """Whether some runs did and others did not, so that a mean over them describes neither."""
        return is_bimodal(self.runs)

    def __str__(self) -> str:
        return f"{sum(self.runs)}/{len(self.runs)} {self.how}"


@dataclass
class CellRuns:
    """The runs of one cell by their seeds, and what was refused of them."""

    cell: CellSpec
    runs: dict[int, FoundRun] = field(default_factory=dict)
    folders: dict[int, Path] = field(default_factory=dict)  # where a run's log lies, if it does
    repeats: dict[int, FoundRun] = field(default_factory=dict)  # what was run again of seeds whose record is committed
    refused: list[str] = field(default_factory=list)

    def first_seeds(self) -> int:
        """How many seeds, from 0, are there without a hole."""
        return next(seed for seed in itertools.count() if seed not in self.runs)

    def of(self, seeds: int) -> CellRuns:
        """The first `seeds` seeds only."""
        return replace(self, runs={seed: run for seed, run in self.runs.items() if seed < seeds})

    def repeated(self, metric: str, margin: float | None = None) -> Iterator[str]:
        """What came of running committed seeds again: a line, if any was.

        Times of a step are never alike: there the score is held against the committed one. `margin`: of the row; where some
        seeds gave another number, the means are held against each other within it.
        """
        metric = "score" if metric == "seconds_per_step" else metric
        other, pairs, same = [], [], 0
        for seed, run in sorted(self.repeats.items()):
            try:
                made = metric_value(run, metric, run.path)
            except (DamagedRecord, OSError):
                other.append(f"seed {seed}: its log cannot be read")
                continue
            kept = self.value(seed, metric)
            pairs.append((made, kept))
            same += made == kept and weights_of(run) == weights_of(self.runs[seed])
            if not nearly_equal(made, kept):
                a, b = ("none" if value is None else f"{value:.6g}" for value in (made, kept))
                other.append(f"seed {seed}: {a}, committed {b}")
        if self.repeats:
            total = len(self.repeats)
            alike = f"{total - len(other)} of {total} gave the committed {metric}, {same} of {total} bitwise, weights too"
            more = [_equivalence(pairs, margin, self._why())] if same < total else []
            yield "; ".join([f"{self.cell.name} at {self.cell.scale} scale: {alike}", *more, *other])

    def _why(self) -> str:
        """Why runs made again may differ from the committed ones."""
        made = {is_compiled(run) for run in self.repeats.values()}
        kept = {is_compiled(self.runs[seed]) for seed in self.repeats if seed in self.runs}
        if made != kept:
            return "machine code rounds otherwise: " + (NO_MACHINE_CODE if True in kept else "only these were made with it")
        return "another processor or version of a library rounds otherwise, and training makes small differences large"

    @property
    def records(self) -> list[Record]:
        """Of its runs, by seed."""
        return [run.record for _, run in sorted(self.runs.items()) if run.record]

    @property
    def finished(self) -> list[Record]:
        return [record for record in self.records if record["status"] == "finished"]

    @property
    def diverged(self) -> list[Record]:
        return [record for record in self.records if record["status"] == "diverged"]

    @property
    def seconds(self) -> float:
        """What its runs took together."""
        return sum(record["speed"]["seconds"] or 0.0 for record in self.records)

    def missing(self) -> list[int]:
        """Seeds of the first look that have no run."""
        return [seed for seed in range(self.cell.seeds.first) if seed not in self.runs]

    def value(self, seed: int, metric: str) -> float | None:
        """The metric of one run; None where it has none. A log that cannot be read is refused, once."""
        try:
            return metric_value(self.runs[seed], metric, self.folders.get(seed))
        except (DamagedRecord, OSError) as error:
            line = f"{self.cell.name} seed {seed}: {error}"
            self.refused += [] if line in self.refused else [line]
            return None

    def by_seed(self, metric: str) -> dict[int, float]:
        """The metric of every run that has one. No score of a diverged run, nor one that is not finite, is one."""
        found = {seed: self.value(seed, metric) for seed in sorted(self.runs)}
        return {seed: value for seed, value in found.items() if value is not None and math.isfinite(value)}

    def values(self, metric: str) -> list[float]:
        return list(self.by_seed(metric).values())

    def headline(self, metric: str) -> str:
        """The metric by its own name: `score` is the headline of the task."""
        return self.records[0]["task"]["headline"] if metric == "score" and self.records else metric

    def solved(self, metric: str) -> list[bool]:
        """Of each run that has the metric, whether it solved its task; none for a metric that is not a score on its data, and
        where the task cannot be solved."""
        if metric != "score" and not metric.startswith(("test.", "validation.")):
            return []
        records = {seed: self.runs[seed].record for seed in self.by_seed(metric)}
        if any(record is None or record["solved"] is None for record in records.values()):
            return []
        return [bool(record and record["solved"]) for record in records.values()]

    def learned(self, metric: str) -> Learned:
        """Which of the runs that have the metric solved their task; where none did, which left the floor, if some did not."""
        solved, task = self.solved(metric), self.records[0]["task"] if self.records else None
        if is_bimodal(solved) or metric != "score" or task is None or task["floor"] is None or any(solved):
            return Learned(solved)
        way = self._way(metric)
        off = off_floor(self.values(metric), *way) if way else []
        return Learned(off, "off the floor") if is_bimodal(off) else Learned(solved)

    def _way(self, metric: str) -> tuple[float, float] | None:
        """(the floor, the best score) of the metric; None where they are not known."""
        task = self.records[0]["task"] if self.records else None
        if metric != "score" or task is None or task["floor"] is None:
            return None
        if task["direction"] == "max" and task["headline"] not in RANGES:
            return None
        return task["floor"], 0.0 if task["direction"] == "min" else RANGES[task["headline"]][1]

    def at_floor(self, metric: str) -> bool:
        """Whether no run has come a tenth of the way from the floor to the best score."""
        way = self._way(metric)
        gains = gains_over_floor(self.values(metric), *way) if way else []
        return bool(gains) and max(gains) < OFF_FLOOR

    def lost(self, metric: str) -> int:
        """Runs without the metric: a mean over the others says nothing of the cell."""
        return len(self.runs) - len(self.by_seed(metric))

    def times(self, metric: str) -> tuple[list[float], list[bool]]:
        """(times, whether solved then). A run that did not solve its task was watched for as long as it trained; one that
        diverged never would have, and was given all its steps.

        ValueError where the task cannot be solved.
        """
        if any(record["solved"] is None for record in self.records):
            raise ValueError(f"{self.cell.name}: its task says of nothing that it is solved")
        ends = [r["steps"] if r["status"] == "finished" else trained_with(r, "steps") for r in self.records]
        times = [(r["solved_step"] or end) * time_per_step(r, metric) for r, end in zip(self.records, ends, strict=True)]
        return [float(time) for time in times], [record["solved_step"] is not None for record in self.records]


NO_MACHINE_CODE = (
    "the committed runs were made with it (numba), which is not in use here: pip install -c constraints.txt -e '.[compiled]'"
)


def seconds_spent(cells: Iterable[CellRuns]) -> dict[tuple[tuple[str, ...], int], float]:
    """Seconds of training by words and seed; a run may serve several cells."""
    return {
        (one.cell.words_of(seed), seed): run.record["speed"]["seconds"] or 0.0
        for one in cells
        for seed, run in one.runs.items()
        if run.record
    }


def weights_of(run: FoundRun) -> str | None:
    """The digest of its weights; None where it has none."""
    return run.record["weights"] if run.record else None


def is_compiled(run: FoundRun) -> bool:
    """Whether the run was made with machine code."""
    return bool(run.record and run.record.get("process", {}).get("compiled"))


def _equivalence(pairs: Sequence[tuple[float | None, float | None]], margin: float | None, why: str) -> str:
    """Whether runs made again and committed ones have one mean within the margin, and why they may differ at all."""
    made, kept = ([value for value in side if value is not None] for side in zip(*pairs, strict=True)) if pairs else ([], [])
    if margin is None:
        return f"the row declares no margin for their means ({why})"
    try:
        p, _ = against_margin(made, kept, margin)
        found = difference(made, kept, level=1 - 2 * EQUIVALENT_AT)
    except ValueError as error:
        return f"{error} ({why})"
    word = "the same" if p < EQUIVALENT_AT else "not shown to be the same"
    away = format_interval(Estimate(found.value, found.low, found.high, "difference"))
    return f"means {word} within the margin of {margin:g}: they differ by {away} ({why})"


# Whose record is it?


def setting_keys(name: str, words: tuple[str, ...]) -> tuple[str, str, BudgetSettings]:
    """(with the width, without it, the budget) of what the words of the cell `name` ask for."""
    try:
        wanted = cell_settings(words)
    except BadOption as error:
        raise BadOption(f"{name}: {error}") from None
    parts = [wanted.task.name, wanted.model.name, wanted.departures]
    return canonical(parts), canonical(_without_width(parts)), wanted.budget


def _without_width(parts: Sequence[Any]) -> list[Any]:
    return [*parts[:-1], {key: value for key, value in parts[-1].items() if key != "model.hidden_size"}]


def match_runs(table: Declaration, cells: Iterable[CellSpec], stored: Iterable[FoundRun]) -> dict[tuple[str, str], CellRuns]:
    """What was measured of each of `cells`, by place; a record that no cell asks for is none of the table's."""
    by_setting: dict[tuple[str, str], list[FoundRun]] = {}
    for run in stored:
        if run.record is None or run.record["config"].get("test") is False or run.record["config"].get("test_seed"):
            continue  # unfinished, a search's trial, or tested on rows of its own
        if (parts := _parts(run.record)) is None:
            continue  # no cell can ask for it
        for key in (("width", canonical(parts)), ("any width", canonical(_without_width(parts)))):
            by_setting.setdefault(key, []).append(run)
    found, cells = {}, list(cells)
    limits: dict[tuple[str, ...], int] = {}  # cells of other rows may share runs, under rules of their own
    for cell in cells:
        for words in cell.settings:
            limits[words] = max(limits.get(words, 0), cell.seeds.looks[-1])
    for cell in cells:
        measured = found[cell.place] = CellRuns(cell)
        same: dict[int, list[FoundRun]] = {}
        for words in cell.settings:
            with_width, without, budget_asked = setting_keys(cell.name, words)
            budgeted = budget_asked.is_set
            for run in by_setting.get(("any width", without) if budgeted else ("width", with_width), []):
                assert run.record is not None
                if (budgeted and not _within(budget_asked, run.record)) or cell.words_of(run.record["seed"]) != words:
                    continue
                if why := _wrong(run.record, table.grid.rows[cell.row].data):
                    measured.refused.append(f"{cell.name} seed {run.record['seed']}: {why}: {run.path}")
                else:
                    same.setdefault(run.record["seed"], []).append(run)
        if outside := [seed for seed in sorted(same) if seed >= limits[cell.words_of(seed)]]:
            measured.refused.append(f"{cell.name}: {format_seeds(outside)} outside its stopping rule; not counted")
        for seed, runs in sorted(same.items()):
            if seed < cell.seeds.looks[-1]:
                measured.refused += _take(measured, seed, runs)
        prints = {record["task"]["fingerprint"] for record in measured.records}
        if len(prints) > 1:
            measured.refused.append(f"{cell.name}: its runs are of {len(prints)} different data; none counts")
            measured.runs.clear()
            measured.repeats.clear()
    return found


def choice_text(choice: OpenChoice, stored: Iterable[FoundRun]) -> str:
    """What validation says of what a choice is among: each with its score, the best one first; those without a score last."""
    found: dict[str, tuple[float, bool]] = {}
    for run in stored:
        if run.record and run.record["config"].get("test") is False and run.record["seed"] == TUNING:
            about = run.record["task"]
            parts = _parts(run.record)
            score = (run.record["scores"].get("validation") or {}).get(about["headline"])
            if parts is not None and score is not None:
                found[canonical(parts)] = score, about["direction"] == "max"
    tried = zip(choice.tried, (found.get(setting_keys(choice.cell.name, words)[0]) for words in choice.runs), strict=True)
    ranked = sorted(tried, key=lambda one: math.inf if one[1] is None else -one[1][0] if one[1][1] else one[1][0])
    return "; ".join(f"{' '.join(words)}: {'no score' if one is None else format(one[0], '.6g')}" for words, one in ranked)


def _parts(record: Record) -> list[Any] | None:
    """Task, mechanism and departures of a run, as a cell's words say them; None where its code or settings are not known here.

    On how many devices it was trained, and in how many micro batches, is no part of that, nor what had no effect, which records
    of 0.1 hold.
    """
    try:
        without = Liveness(record["config"]).effectless()
    except UNKNOWN:
        return None
    departures = {key: value for key, value in record["departures"].items() if key not in {*SHARED_OUT, *without}}
    return [record["task"]["name"], record["config"]["model"]["mechanism"], departures]


def _take(measured: CellRuns, seed: int, runs: Sequence[FoundRun]) -> list[str]:
    """Puts the run of `seed` where it belongs; complaints. What is committed comes before what was run again elsewhere."""
    results = {id(run): result_key(run.record) for run in runs if run.record}
    committed = [run for run in runs if not run.path.is_dir()]
    kinds = {results[id(run)] for run in committed or runs}
    if len(kinds) > 1:
        where = ", ".join(sorted({str(run.path) for run in runs}))
        return [f"{measured.cell.name} seed {seed}: {amount(len(kinds), 'record')} disagree; none counts: {where}"]
    counts = measured.runs[seed] = [*committed, *runs][0]
    sealed_before = counts.record.get("sealed_before") if counts.record else None
    for run in (run for run in runs if run.path.is_dir()):
        if results[id(run)] == results[id(counts)]:
            measured.folders[seed] = run.path
        if committed and run.record and run.record["checksum"] != sealed_before:
            before = measured.repeats.get(seed)  # of several, one that gave something else
            if before is None or results[id(before)] == results[id(counts)]:
                measured.repeats[seed] = run
    return []


def _within(wanted: BudgetSettings, record: Record) -> bool:
    """Whether a run's width is the one that the budget gives."""
    if {**asdict(BudgetSettings()), **record["config"]["budget"]} == asdict(wanted):
        return True
    if wanted.match:
        return False
    target = parse_count(wanted.params)
    return abs(record["model"]["parameters"] - target) <= wanted.tolerance * target and wanted.embeddings


def _wrong(record: Record, data: str) -> str:
    """Why the record is not what it says, or not of the row's data; empty where it is."""
    about, own = record["task"], record["config"]
    if record.get("repeat"):
        return "made again (again=true): the first run of its setting and seed is what counts"
    try:
        now = setting_identity(own, about["fingerprint"])
        said = departures(own)
    except (BadOption, KeyError, OSError) as error:
        return f"its settings are not known to this version ({error})"
    part: Literal["task", "model"]
    for part, version in (("task", now["versions"]["task"]), ("model", now["versions"]["model"])):
        if record[part]["version"] != version:
            return f"{part} {record[part]['name']} version {record[part]['version']}, and this is version {version}"
    if digest(now)[:32] != record["setting"]:
        now = setting_identity(own, about["fingerprint"], with_places=True)
    if digest(now)[:32] != record["setting"]:
        now = setting_identity(own, about["fingerprint"], as_in_0_1=True)
        said = now["departures"]
    if digest(now)[:32] != record["setting"] or said != record["departures"]:
        return "its settings and versions do not give its setting: made by another version of training or network, or changed"
    if digest([now, record["seed"]])[:32] != record["id"] or own["seed"] != record["seed"]:
        return "its seed does not give its id"
    if data and not about["fingerprint"].startswith(data):
        return f"of other data or another split ({about['fingerprint'][:16]}) than the row declares ({data})"
    return ""
