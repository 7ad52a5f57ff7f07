"""What was measured for the cells of a table: records matched to what was declared, and the numbers in them.

A record belongs to a cell where nothing that makes its numbers differs from what the cell's words ask for. It is refused, by
name, where it is not what it says: its settings, versions and seed must give its ids, its data those that the row declares,
and two records of one seed must agree. Torch is never imported.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from . import budget, config
from .declared import FROM_LOGS, TIMES, Cell, Table, metric_of, places_of, settings
from .entries import PARTS, result, trained_with
from .options import BadOption
from .records import DamagedRecord, Row, RunFolder, Stored, canonical, digest, plain
from .wording import listed

DOUBLED = {"model": ("options",)}  # parts of a record that stand in its config too
KEPT_OUT = ("network", "train")
BOUNDLESS = ("train/gradient_norm", "train/loss")


@dataclass
class Measured:
    """The runs of one cell by their seeds, and what was refused of them."""

    cell: Cell
    runs: dict[int, Stored] = field(default_factory=dict)
    folders: dict[int, Path] = field(default_factory=dict)  # where a run's log lies, if it does
    repeats: dict[int, Stored] = field(default_factory=dict)  # what was run again of seeds whose record is committed
    refused: list[str] = field(default_factory=list)

    def look(self) -> int:
        """Seeds of the largest look of the stopping rule that is complete; 0 where the first is not."""
        return max((look for look in self.cell.seeds.looks if all(seed in self.runs for seed in range(look))), default=0)

    def of(self, seeds: int) -> Measured:
        """The first `seeds` seeds only."""
        return replace(self, runs={seed: run for seed, run in self.runs.items() if seed < seeds})

    def repeated(self, metric: str) -> Iterator[str]:
        """What came of running committed seeds again: a line, if any was.

        Times of a step are never alike: there the score is held against the committed one.
        """
        metric = "score" if metric == "seconds_per_step" else metric
        other = []
        for seed, run in sorted(self.repeats.items()):
            try:
                made = number(run, metric, run.path)
            except (DamagedRecord, OSError):
                other.append(f"seed {seed}: its log cannot be read")
                continue
            kept = number(self.runs[seed], metric, self.folders.get(seed))
            if not _alike(made, kept):
                a, b = ("none" if value is None else f"{value:.6g}" for value in (made, kept))
                other.append(f"seed {seed}: {a}, committed {b}")
        if self.repeats:
            alike = f"{len(self.repeats) - len(other)} of {len(self.repeats)} gave the committed {metric}"
            yield "; ".join([f"{self.cell.name} at {self.cell.scale} scale: {alike}", *other])

    @property
    def records(self) -> list[dict[str, Any]]:
        """Of its runs, by seed."""
        return [run.record for _, run in sorted(self.runs.items()) if run.record]

    @property
    def finished(self) -> list[dict[str, Any]]:
        return [record for record in self.records if record["status"] == "finished"]

    @property
    def diverged(self) -> list[dict[str, Any]]:
        return [record for record in self.records if record["status"] == "diverged"]

    @property
    def seconds(self) -> float:
        """What its runs took together."""
        return sum(record["speed"]["seconds"] or 0.0 for record in self.records)

    def missing(self) -> list[int]:
        """Seeds of the first look that have no run."""
        return [seed for seed in range(self.cell.seeds.first) if seed not in self.runs]

    def by_seed(self, metric: str) -> dict[int, float]:
        """The metric of every run that has one. No score of a diverged run, nor one that is not finite, is one."""
        found = {seed: number(run, metric, self.folders.get(seed)) for seed, run in sorted(self.runs.items())}
        return {seed: value for seed, value in found.items() if value is not None and math.isfinite(value)}

    def values(self, metric: str) -> list[float]:
        return list(self.by_seed(metric).values())

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
        times = [(r["solved_step"] or end) * _in_a_step(r, metric) for r, end in zip(self.records, ends, strict=True)]
        return [float(time) for time in times], [record["solved_step"] is not None for record in self.records]


def _alike(one: float | None, other: float | None) -> bool:
    """Whether two runs of one setting and seed gave one number, to what rounding may change on another machine."""
    return one == other or (one is not None and other is not None and math.isclose(one, other, rel_tol=1e-4))


def _in_a_step(record: Mapping[str, Any], metric: str) -> int:
    """What one of TIMES counts in a step."""
    return int(trained_with(record, "batch_size")) if metric == "sequences_to_solve" else 1


def number(run: Stored, metric: str, folder: Path | None = None) -> float | None:
    """The metric of a run, whose log lies in `folder`; None where it has none."""
    record = run.record
    assert record is not None
    if metric == "diverged":
        return float(record["status"] == "diverged")
    if metric == "solved":
        return None if record["solved"] is None else float(record["solved"])
    if metric in ("parameters", "multiply_adds", "state_size"):
        return float(record["model"][metric])
    if metric.startswith(FROM_LOGS) or metric == "recall_lag":
        kept = record.get("measures", {})
        if metric in kept or metric == "recall_lag" or folder is None:
            return kept.get(metric)
        return logged(folder).get(metric)
    if record["status"] == "diverged":
        return None
    if metric == "seconds_per_step":
        speed = record["speed"]["steps_per_second"]
        return 1 / speed if speed else None
    if metric in TIMES:
        return None if record["solved_step"] is None else float(record["solved_step"] * _in_a_step(record, metric))
    split, _, name = metric.partition(".")
    scores = record["scores"]["validation" if split == "validation" else "test"] or {}
    return scores.get(name or record["task"]["headline"])


# The log of a run, as a few numbers


@functools.lru_cache(maxsize=4096)
def logged(folder: Path) -> Mapping[str, float]:
    """`first.KEY`, `last.KEY`, `max.KEY` and `mean.KEY` of every number in the log, and of what `derived` makes of its rows."""
    columns: dict[str, list[float]] = {}
    for row in RunFolder(folder).metrics():
        for key, value in {**row, **derived(row)}.items():
            if value is None and key.startswith(BOUNDLESS):
                value = math.inf  # a log holds null for what is not finite
            if isinstance(value, int | float) and key != "step":
                columns.setdefault(key, []).append(float(value))
    found: dict[str, float] = {}
    for key, values in columns.items():
        found |= {f"first.{key}": values[0], f"last.{key}": values[-1], f"max.{key}": max(values)}
        found[f"mean.{key}"] = math.fsum(values) / len(values)
    return found


def derived(row: Row) -> dict[str, float]:
    """Of each layer's full state, h and c together, in steps back from the last one:

    `train/fall/PLACE`, log10 of the gradient's norm at the first step over that at the last; and `train/decay/PLACE`, the slope
    of its natural logarithm per step back by least squares. Absent where the gradient is zero.
    """
    curves: dict[str, list[list[float]]] = {}
    for key, value in row.items():
        if key.startswith("train/state_gradient/"):
            curves.setdefault(key.split("/")[2], []).append(value)
    found = {}
    for place, parts in curves.items():
        norms = [math.sqrt(sum((value or 0.0) ** 2 for value in step)) for step in zip(*parts, strict=True)]
        if len(norms) < 2 or min(norms) <= 0:
            continue
        found[f"train/fall/{place}"] = math.log10(norms[0] / norms[-1])
        back = range(len(norms))[::-1]
        mean = (len(norms) - 1) / 2
        logs = [math.log(norm) for norm in norms]
        spread = sum((lag - mean) ** 2 for lag in back)
        found[f"train/decay/{place}"] = sum((lag - mean) * log for lag, log in zip(back, logs, strict=True)) / spread
    return found


# Whose record is it?


def asked(cell: Cell) -> tuple[str, str, Mapping[str, Any]]:
    """(with the width, without it, the budget) of what the cell's words ask for."""
    try:
        wanted = settings(cell.words)
    except BadOption as error:
        raise BadOption(f"{cell.name}: {error}") from None
    parts = [wanted["task"]["name"], wanted["model"]["mechanism"], config.departures(wanted)]
    return canonical(parts), canonical(_without_width(parts)), wanted["budget"]


def _without_width(parts: Sequence[Any]) -> list[Any]:
    return [*parts[:-1], {key: value for key, value in parts[-1].items() if key != "model.hidden_size"}]


def match(table: Table, cells: Iterable[Cell], stored: Iterable[Stored]) -> tuple[dict[tuple[str, str], Measured], list[str]]:
    """(what was measured of each of `cells`, by place; complaints about records that no cell can use)."""
    complaints: list[str] = []
    by_setting: dict[tuple[str, str], list[Stored]] = {}
    for run in stored:
        if run.record is None or run.record["config"].get("test") is False:
            continue  # unfinished, or a search's trial
        if lacking := _lacking(run.record):
            complaints.append(f"{run.path}: its record lacks {', '.join(lacking)}")
            continue
        parts = [run.record["task"]["name"], run.record["config"]["model"]["mechanism"], run.record["departures"]]
        for key in (("width", canonical(parts)), ("any width", canonical(_without_width(parts)))):
            by_setting.setdefault(key, []).append(run)
    found, cells = {}, list(cells)
    limits: dict[tuple[str, ...], int] = {}  # cells of other rows may share runs, under rules of their own
    for cell in cells:
        limits[cell.words] = max(limits.get(cell.words, 0), cell.seeds.looks[-1])
    for cell in cells:
        with_width, without, budget_asked = asked(cell)
        measured = found[cell.place] = Measured(cell)
        budgeted = bool(budget_asked["params"] or budget_asked["match"])
        candidates = by_setting.get(("any width", without) if budgeted else ("width", with_width), [])
        same: dict[int, list[Stored]] = {}
        for run in candidates:
            assert run.record is not None
            if budgeted and not _within(budget_asked, run.record):
                continue
            if why := _wrong(run.record, table.grid.rows[cell.row].data):
                measured.refused.append(f"{cell.name} seed {run.record['seed']}: {why}: {run.path}")
            else:
                same.setdefault(run.record["seed"], []).append(run)
        if outside := [seed for seed in sorted(same) if seed >= limits[cell.words]]:
            measured.refused.append(f"{cell.name}: {listed(outside)} outside its stopping rule; not counted")
        for seed, runs in sorted(same.items()):
            if seed < cell.seeds.looks[-1]:
                measured.refused += _take(measured, seed, runs)
        prints = {record["task"]["fingerprint"] for record in measured.records}
        if len(prints) > 1:
            measured.refused.append(f"{cell.name}: its runs are of {len(prints)} different data; none counts")
            measured.runs.clear()
            measured.repeats.clear()
    return found, complaints


def _take(measured: Measured, seed: int, runs: Sequence[Stored]) -> list[str]:
    """Puts the run of `seed` where it belongs; complaints. What is committed comes before what was run again elsewhere."""
    committed = [run for run in runs if not run.path.is_dir()]
    kinds = {result(run.record or {}) for run in committed or runs}
    if len(kinds) > 1:
        where = ", ".join(sorted({str(run.path) for run in runs}))
        return [f"{measured.cell.name} seed {seed}: {len(kinds)} records disagree; none counts: {where}"]
    counts = measured.runs[seed] = [*committed, *runs][0]
    for run in (run for run in runs if run.path.is_dir()):
        if result(run.record or {}) == result(counts.record or {}):
            measured.folders[seed] = run.path
        if committed and (run.record or {}).get("checksum") != (counts.record or {}).get("sealed_before"):
            before = measured.repeats.get(seed)  # of several, one that gave something else
            if before is None or result(before.record or {}) == result(counts.record or {}):
                measured.repeats[seed] = run
    return []


def _lacking(record: Mapping[str, Any]) -> list[str]:
    """Parts that a table reads and the record does not have."""
    lacking = PARTS - set(record)
    inside = {"task": ("headline", "direction", "floor", "fingerprint"), "model": ("parameters",), "speed": ("seconds",)}
    inside |= {"scores": ("test",)}
    for part, names in inside.items():
        if part not in lacking:
            lacking |= {f"{part}.{name}" for name in names if not isinstance(record[part], dict) or name not in record[part]}
    if record.get("status") not in ("finished", "diverged"):
        lacking.add("status")
    return sorted(lacking)


def _within(wanted: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
    """Whether a run's width is the one that the budget gives."""
    if record["config"]["budget"] == wanted:
        return True
    if wanted["match"]:
        return False
    target = budget.number(wanted["params"])
    return abs(record["model"]["parameters"] - target) <= budget.TOLERANCE * target and wanted["embeddings"]


def _wrong(record: Mapping[str, Any], data: str) -> str:
    """Why the record is not what it says, or not of the row's data; empty where it is."""
    about, own = record["task"], record["config"]
    try:
        now = config.setting(own, about["fingerprint"])
    except (KeyError, OSError) as error:
        return f"its settings are not known to this version ({error})"
    for part, version in (("task", now["versions"]["task"]), ("model", now["versions"]["model"])):
        if record[part]["version"] != version:
            return f"{part} {record[part]['name']} version {record[part]['version']}, and this is version {version}"
    if digest(now)[:32] != record["setting"] or now["departures"] != record["departures"]:
        return "its settings and versions do not give its setting: made by another version of training or network, or changed"
    if digest([now, record["seed"]])[:32] != record["id"] or own["seed"] != record["seed"]:
        return "its seed does not give its id"
    if data and not about["fingerprint"].startswith(data):
        return f"of other data or another split ({about['fingerprint'][:16]}) than the row declares ({data})"
    return ""


# Collecting


def wanted(table: Table) -> dict[str, set[str]]:
    """By row: the metrics that its cells and contrasts read from logs."""
    found: dict[str, set[str]] = {row: {about.metric} for row, about in table.grid.rows.items()}
    for (row, _), one in table.contrasts.items():
        for place, _ in places_of(table, row, one):
            found[place].add(metric_of(table, row, one))
    return {row: {m for m in metrics if m.startswith(FROM_LOGS) or m == "recall_lag"} for row, metrics in found.items()}


def measure(folder: Path, metric: str) -> float | None:
    """A metric that the record of a run does not hold, from its log, or from its weights. ValueError where it cannot be had."""
    if metric != "recall_lag":
        return logged(folder).get(metric)
    from . import examine

    return float(examine.recall_lag(folder))


def scrubbed(record: Mapping[str, Any], measures: Mapping[str, float], declared: Mapping[str, str]) -> dict[str, Any]:
    """A record to be shown to all: nothing of accounts or folders, nothing twice, no option that is as it is by default; with
    numbers from its log and the digests of the rows that it was taken for (`declared`), sealed anew.

    ValueError where its settings name a path: those cannot be changed without making another run of it.
    """
    own = {**record["config"], "tracker": {"name": "none"}}
    for key, value in own["task"].items():
        if isinstance(value, str) and value.startswith(("/", "~", ".")):
            raise ValueError(f"task.{key}={value}: a path of one machine; name data by what is known everywhere")
    for group in config.HASHED:
        named = {key: own[group][key] for key in config.NAMING.get(group, ())}
        own[group] = named | {key: own[group][key] for key in own[group] if f"{group}.{key}" in record["departures"]}
    kept = {key: value for key, value in record.items() if key not in (*KEPT_OUT, "checksum")}
    kept |= {part: {k: v for k, v in kept[part].items() if k not in keys} for part, keys in DOUBLED.items()}
    kept |= {"config": own, "measures": dict(sorted(measures.items())), "declared": {**record.get("declared", {}), **declared}}
    kept["sealed_before"] = record.get("sealed_before", record["checksum"])
    body: dict[str, Any] = plain(kept)
    body["checksum"] = digest(body)
    return body


def line(record: Mapping[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
