"""What was run: runs found on the disk, in blocks by task setting, an entry a model setting, its seeds in one entry.

Runs stand in one entry only where nothing but the seed differs. A run found twice counts once; records that disagree
about one setting and seed are refused, all of them. Pure functions of what `find_runs` returns.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..config.identity import versions
from ..config.labels import UNKNOWN
from ..config.liveness import Liveness
from ..config.places import without_places
from ..config.schema import group_options
from ..options import BadOption, amount
from ..store.find import FoundRun
from ..store.record import Config, Record, TaskRecord, canonical, headline_score
from .formatting import natural_key
from .naming import Named, all_options, make_labels, matching_labels, unequal_line, usual_options, with_budget


class NoRuns(BadOption):
    """There is nothing to put in a table; the message says what to run first."""


@dataclass
class ModelResults:
    """One model setting on one task setting, and what became of each of its seeds."""

    model: str
    setting: str
    config: Config
    label: str = ""
    finished: list[FoundRun] = field(default_factory=list)
    diverged: list[FoundRun] = field(default_factory=list)
    unfinished: list[FoundRun] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)  # seeds whose records disagree or hold no score
    asked: set[int] = field(default_factory=set)  # the seeds that the sweeps of its runs list for this setting

    @property
    def recorded(self) -> list[FoundRun]:
        return self.finished + self.diverged

    @property
    def records(self) -> list[Record]:
        """Of its finished runs, then of those that diverged."""
        return [run.record for run in self.recorded if run.record]

    @property
    def record(self) -> Record | None:
        """One of its records, which have one setting; None where no run is recorded."""
        return self.recorded[0].record if self.recorded else None

    @property
    def seeds(self) -> set[int]:
        return {run.config["seed"] for run in self.recorded + self.unfinished} | set(self.refused)

    @property
    def missing(self) -> set[int]:
        """The seeds that a sweep was asked for, and of which there is no run."""
        return self.asked - self.seeds


SHARES_SOLVED = ("correct", "accuracy")  # what a task with an error as its headline calls the share that says solved


@dataclass
class TaskResults:
    """One task setting with the entries that were run on it. `task` is None until a run of it is recorded."""

    name: str
    options: dict[str, Any]
    task: TaskRecord | None
    entries: list[ModelResults] = field(default_factory=list)
    label: str = ""
    unequal: str = ""  # in what the entries differ besides their labels, in a line

    @property
    def headline(self) -> str:
        return self.task["headline"] if self.task else "score"

    @property
    def lower_is_better(self) -> bool:
        return self.task is not None and self.task["direction"] == "min"

    @property
    def floor(self) -> float | None:
        return self.task["floor"] if self.task else None

    def floor_of(self, entry: ModelResults) -> float | None:
        """The floor of the test rows of an entry: with a test_seed they are others."""
        return entry.record["task"]["floor"] if entry.record else self.floor

    @property
    def one_floor(self) -> bool:
        """Whether all entries have one floor."""
        return len({self.floor_of(entry) for entry in self.entries}) < 2

    @functools.cached_property
    def solved_by(self) -> str | None:
        """The metric that says solved, where it is not the headline: of a task whose own bound is of the other direction."""
        config = next((entry.config for entry in self.entries if entry.records), None)
        option = solved_option(config) if config else None
        if self.task is None or option is None or option == ("solved_below" if self.lower_is_better else "solved_above"):
            return None
        there = {name for entry in self.entries for run in entry.records for name in run["scores"]["test"] or ()}
        return next((name for name in SHARES_SOLVED if name in there), None)

    def score(self, run: FoundRun) -> float | None:
        """The headline on test."""
        return headline_score(run.record) if run.record else None

    def scores(self, entry: ModelResults) -> list[float]:
        """The headline on test of its finished runs."""
        return [score for run in entry.finished if (score := self.score(run)) is not None]

    def solved(self, entry: ModelResults) -> list[bool]:
        """Of each of its `scores`, whether the run solved the task; none where the task cannot be solved."""
        records = [run.record for run in entry.finished if run.record and self.score(run) is not None]
        return [] if any(record["solved"] is None for record in records) else [bool(record["solved"]) for record in records]


Asked = Mapping[Path, Collection[int]]  # by the folder of a run, the seeds that its sweep lists for its setting


def solved_option(config: Config) -> str | None:
    """The option of the task that says from which score on it counts as solved, where it has an effect; None where unknown."""
    with contextlib.suppress(*UNKNOWN):
        return next((name for name in Liveness(config).values("task") if name.startswith("solved_")), None)
    return None


def group_runs(
    stored: Iterable[FoundRun], complaints: Iterable[str], asked: Asked | None = None
) -> tuple[list[TaskResults], list[str]]:
    """The runs in blocks by task setting, and the complaints with those found here added.

    A run found twice counts once. Records that disagree about one setting and seed are refused, all of them. A seed is missing
    where it was `asked` for. Raises NoRuns where nothing is left.
    """
    complaints = list(complaints)
    runs = _by_setting_and_seed(stored, complaints)
    if not runs:
        first = f" ({len(complaints)} refused; the first: {complaints[0]})" if complaints else ""
        raise NoRuns(f"no run found{first}; run one first: rnnbench train task=adding model=lstm")
    found: dict[str, TaskResults] = {}
    entries: dict[tuple[int, str], ModelResults] = {}  # by block and setting
    recorded: dict[str, str] = {}  # the block of a task's settings as they stand in a config
    seeds = asked or {}
    for key, same in sorted(runs.items(), key=lambda item: item[1][0].record is None):  # recorded ones first
        config, record = same[0].config, same[0].record
        told = canonical(config["task"])
        if record:
            about = record["task"]
            options = without_places({**config["task"], **about["options"]})
            parts = [about["name"], about["version"], options, about["fingerprint"], _code(record, "task")]
            place = recorded[told] = canonical(parts)
            block = found.setdefault(place, TaskResults(about["name"], about["options"], about))
        else:
            options = {option: value for option, value in config["task"].items() if option != "name"}
            block = found.setdefault(recorded.get(told, told), TaskResults(config["task"]["name"], options, None))
        setting, seed = key
        entry = entries.get((id(block), setting))
        if entry is None:
            entry = entries[id(block), setting] = ModelResults(config["model"]["name"], setting, config)
            block.entries.append(entry)
        entry.asked.update(*(seeds.get(run.path, ()) for run in same))
        _add(block, entry, seed, same, complaints)
    _label(found.values())
    return sorted(found.values(), key=lambda block: natural_key(block.label)), complaints


def _by_setting_and_seed(stored: Iterable[FoundRun], complaints: list[str]) -> dict[tuple[str, int], list[FoundRun]]:
    """One run a setting and seed, or all the records that disagree about it."""
    runs: dict[tuple[str, int], list[FoundRun]] = {}
    for run in stored:
        source = run.record or run.config
        setting, seed = source.get("setting"), source.get("seed")
        if not isinstance(setting, str) or type(seed) is not int or type(run.config.get("seed")) is not int:
            complaints.append(f"{run.path}: no run's settings")
            continue
        runs.setdefault((setting, seed), []).append(run)
    for key, same in runs.items():
        if len(same) > 1:
            same.sort(key=lambda run: (run.record is None, not run.path.is_dir()))  # a folder first: it has the log
            same = _without_repeats(same, complaints)
            results = {result_key(run.record): run for run in reversed(same) if run.record}
            runs[key] = list(results.values()) if len(results) > 1 else same[:1]
    return runs


def _without_repeats(same: list[FoundRun], complaints: list[str]) -> list[FoundRun]:
    """Of runs of one setting and seed the first of those that were made again (again=true); what gave others is a complaint."""
    if len({_repeat(run) for run in same}) == 1:
        return same
    recorded = [run for run in same if run.record] or same
    first = min(map(_repeat, recorded))
    counted = [run for run in recorded if _repeat(run) == first]
    for run in recorded:
        if run.record and counted[0].record and _result(run.record) != _result(counted[0].record):
            complaints.append(f"{run.path}: made again, with other scores than {counted[0].path}, which counts")
    return counted


def _repeat(run: FoundRun) -> int:
    return int((run.record or run.config).get("repeat") or 0)


def _result(record: Record) -> str:
    return canonical([record["status"], record["steps"], record["scores"]])


def _code(record: Record | None, of: Literal["task", "model"]) -> str:
    """The digest of the code of a task or model that is not ours; empty of ours."""
    return record.get("code", {}).get(of, "") if record else ""


def stopped_when_solved(record: Record) -> bool:
    """Whether the run ended because its task was solved: how good it might have become was not asked."""
    ends = trained_with(record, "stop_when_solved")
    return bool(ends and record["solved"]) and record["solved_step"] == record["steps"]


def trained_with(record: Record, name: str) -> Any:
    """train.`name` of a record, whose config may lack what is as it is by default."""
    return record["departures"].get(f"train.{name}", group_options("train", {})[name].default)


def result_key(record: Record) -> str:
    """What two copies of one record share, even where one was scrubbed of its host."""
    return canonical([record["id"], _result(record)])


def _add(block: TaskResults, entry: ModelResults, seed: int, same: list[FoundRun], complaints: list[str]) -> None:
    """Puts a seed where it belongs in its entry."""
    run = same[0]
    if len(same) > 1:
        where = ", ".join(f"'{run.path}'" for run in same)
        complaints.append(
            f"{block.name} {entry.model} seed {seed}: {amount(len(same), 'record')} disagree; none counts: {where}"
        )
        entry.refused.append(seed)
    elif run.record is None:
        entry.unfinished.append(run)
    elif run.record["status"] == "diverged":
        entry.diverged.append(run)
    elif block.score(run) is None:
        why = "a search's trial, whose test split is not read" if run.config.get("test") is False else "finished without it"
        complaints.append(f"{block.name} {entry.model} seed {seed}: no test {block.headline}, {why}: {run.path}")
        entry.refused.append(seed)
    else:
        entry.finished.append(run)


def _label(found: Iterable[TaskResults]) -> None:
    """Names blocks, and the entries of each, by what tells them apart."""
    found = list(found)
    words = _code_words([(block.name, block.entries[0], "task") for block in found])
    tasks = [
        Named(
            block.name,
            block.options | {"version": _version("task", block.entries[0])},
            str(block.task["fingerprint"])[:8] if block.task else "unfinished",
            {},
            word,
        )
        for block, word in zip(found, words, strict=True)
    ]
    for block, label in zip(found, make_labels(tasks), strict=True):
        block.label = label
    for block in found:
        for entry in block.entries:
            for runs in (entry.finished, entry.diverged, entry.unfinished):
                runs.sort(key=lambda run: run.config["seed"])
        name_entries([block])


def name_entries(blocks: Sequence[TaskResults]) -> None:
    """Gives each entry its label, one setting the same in all of these blocks, and each block what is unequal in it besides."""
    named = []
    for block in blocks:
        words = _code_words([(entry.model, entry, "model") for entry in block.entries])
        named.append([_named_entry(entry, word) for entry, word in zip(block.entries, words, strict=True)])
    for block, settings, labels in zip(blocks, named, matching_labels(named), strict=True):
        for entry, label in zip(block.entries, labels, strict=True):
            entry.label = label
        block.unequal = unequal_line(settings, labels)


def _named_entry(entry: ModelResults, word: str = "") -> Named:
    """An entry with all its options, for a label."""
    options = with_budget(all_options(entry.config), entry.config)
    if entry.record:  # the number of devices, where it is part of a setting
        options |= {key: value for key, value in entry.record["departures"].items() if key.startswith("trainer.")}
    if version := _version("model", entry):
        options["version"] = version
    return Named(entry.model, options, entry.setting[:8], usual_options(entry.config), word)


def _version(of: Literal["task", "model"], entry: ModelResults) -> int:
    """The version of the task or model that its runs were recorded with, or now run with; 0 where it is not here."""
    try:
        return int(entry.record[of]["version"] if entry.record else versions(entry.config)[of])
    except UNKNOWN:
        return 0


def _code_words(places: Sequence[tuple[str, ModelResults, Literal["task", "model"]]]) -> list[str]:
    """`other code` for what was recorded with other code than the newest run of its name; numbered where there are several."""
    newest: dict[str, dict[str, str]] = {}  # by name and code
    for name, entry, of in places:
        if code := _code(entry.record, of):
            seen = newest.setdefault(name, {})
            seen[code] = max(seen.get(code, ""), *(record["ended"] for record in entry.records))
    words = []
    for name, entry, of in places:
        others = sorted(newest.get(name, {}), key=lambda code, name=name: newest[name][code])[:-1]  # type: ignore[misc]
        code = _code(entry.record, of)
        number = f" {others.index(code) + 1}" if code in others and len(others) > 1 else ""
        words.append(f"other code{number}" if code in others else "")
    return words


def flatten_options(value: object, prefix: str = "") -> dict[str, object]:
    """Nested options as `{"model.hidden_size": 64}`."""
    if not isinstance(value, Mapping):
        return {prefix: value}
    below = (flatten_options(item, f"{prefix}.{key}" if prefix else key) for key, item in value.items())
    return {name: leaf for part in below for name, leaf in part.items()}
