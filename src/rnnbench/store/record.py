"""The record of a run: its type, its check, its text and digests, and readers of every schema. Torch is never imported."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import math
import os
import secrets
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NotRequired, cast

from typing_extensions import TypedDict

from .bounds import DEEPEST, nested_too_deeply

if TYPE_CHECKING:
    from pydantic import TypeAdapter

SCHEMA = 1
Config = Mapping[str, Any]  # settings as nested plain dicts: `task`, `model`, `network`, `train`, `seed`, ...
Scores = Mapping[str, float | None]  # by name, in the unit of each; null where the number is not finite


# What a record holds. A key is required where every run writes it and committed records keep it. Others are NotRequired,
# with the reason; keys that are not named here are allowed, and kept.


class TaskRecord(TypedDict):
    """The task of a run: its definition, its data and what its scores are held against."""

    name: str
    version: int
    options: dict[str, Any]
    structure: str
    headline: str  # the score that tables show
    direction: Literal["min", "max"]  # of the headline: which way is better
    unit: str
    fingerprint: str  # digest of the data; empty where they are generated
    floor: float | None  # the headline of the best guess that ignores the past, on the test split
    expected_floor: float | None  # the same of sequences without end, where they are generated
    about: dict[str, Any]
    vectors: NotRequired[dict[str, int]]  # only with a pretrained embedding: its symbols, and those that have a vector


class ModelRecord(TypedDict):
    name: str
    mechanism: str
    version: int
    options: NotRequired[dict[str, Any]]  # committed records hold them in `config` only
    parameters: int
    state_size: int  # numbers carried from step to step
    multiply_adds: int  # a step


class ScoresRecord(TypedDict):
    """The scores of the chosen weights on each split."""

    validation: Scores | None  # null: diverged before the first evaluation
    test: Scores | None  # null: diverged, or a search's trial, which does not read the test split


class SpeedRecord(TypedDict):
    """Of the whole training, evaluations not counted; null where it ended before the first row was logged."""

    seconds: float | None
    steps_per_second: float | None
    sequences_per_second: float | None
    tokens_per_second: float | None
    peak_memory_bytes: float | None
    characters_per_second: NotRequired[float | None]  # only of tasks that write


class HardwareRecord(TypedDict):
    """What a run was computed on. Only the device is read; the rest tells of a machine, and may have been taken out."""

    system: NotRequired[str]
    machine: NotRequired[str]
    processor: NotRequired[str]
    device: str  # cpu or cuda
    gpu: NotRequired[str]  # on a GPU


class ChangeRecord(TypedDict):
    """What changed under a run that continued from a checkpoint with accept_changes=true."""

    step: int
    changed: list[str]


class NamedSettings(TypedDict):
    """A choice by its name; its options stand beside the name."""

    name: str


class ModelSettings(NamedSettings):
    mechanism: str


class SettingsRecord(TypedDict):
    """What the run was started with; in committed records without options that are as by default."""

    task: NamedSettings
    model: ModelSettings
    network: dict[str, Any]
    train: dict[str, Any]
    budget: dict[str, Any]
    trainer: dict[str, Any]
    tracker: dict[str, Any]
    seed: int
    sweep: str | None
    test: bool  # whether the test split was read
    experiment_name: NotRequired[str | None]  # what `+experiment=NAME` named


class RecordBody(TypedDict):
    """The result of a run, as it is handed to `RunFolder.finish`."""

    id: str
    setting: str  # the id that it shares with other seeds
    status: Literal["finished", "diverged"]
    seed: int
    sweep: str | None
    task: TaskRecord
    model: ModelRecord
    network: NotRequired[dict[str, Any]]  # committed records hold it in `config` only
    train: NotRequired[dict[str, Any]]  # likewise
    config: SettingsRecord
    departures: dict[str, Any]  # settings that are not as by default, by dotted name
    steps: int
    best_step: int | None  # at which validation was best; null: diverged before the first evaluation
    diverged_step: int | None
    scores: ScoresRecord
    weights: str | None  # sha256 of model.safetensors; null where the run diverged
    solved: bool | None  # by validation; null where the task's threshold cannot be passed
    solved_on_test: bool
    solved_step: int | None
    seconds_to_solved: float | None
    speed: SpeedRecord
    versions: dict[str, str]
    commit: str | None  # null: not run from a repository
    hardware: HardwareRecord
    process: dict[str, Any]
    changes: list[ChangeRecord]
    code: NotRequired[dict[str, str]]  # digests of the code of what is not ours: task, model, writer
    by_class: NotRequired[dict[str, Any]]  # of classes and labels: precision, recall, F1 of each, on the split read last
    repeat: NotRequired[int]  # only of a run that was made again (again=true): which time
    started: str  # ISO 8601, UTC
    ended: str


class Record(RecordBody):
    """A record as it is read. What is not required here is added when a run is collected into a table's results.jsonl."""

    schema: int
    checksum: str  # sha256 of the canonical text of all else
    measures: NotRequired[dict[str, float | None]]  # metrics of its log, by name
    declared: NotRequired[dict[str, str]]  # digests of the rows that it was collected for
    sealed_before: NotRequired[str]  # the checksum in its run folder


class DamagedRecord(ValueError):
    """A record whose checksum does not fit its content, whose schema is not ours, or which lacks a field or its type."""


CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical(value: object) -> str:
    """One text for one value: keys sorted, no spaces, no NaN."""
    return CANONICAL.encode(value)


def digest(value: object) -> str:
    """sha256 of the canonical text, in hex."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def plain(value: object) -> Any:
    """`value` as JSON can hold it: numbers that are not finite become null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_atomically(path: Path, data: bytes | Iterable[bytes], once: bool = False) -> None:
    """`data`, or its pieces, at `path`, whole or not at all, on the disk when this returns.

    FileExistsError if `once` and it exists.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")  # own_files.py knows it by this name
    try:
        with open(temporary, "xb") as file:
            file.writelines([data] if isinstance(data, bytes) else data)
            file.flush()
            os.fsync(file.fileno())
        if once:
            os.link(temporary, path)  # a link never overwrites
        else:
            temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):  # the next start of the run, or `rnnbench prune`, removes it
            temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def record_text(record: Mapping[str, Any]) -> str:
    """The text of a record.json, with a line for each value."""
    return json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


Parsed = tuple[dict[str, Any], object, str]  # a record without its checksum, the checksum, the digest of that record


def parse_record(text: str | bytes) -> Parsed:
    """What stands in `text`, not checked. ValueError, KeyError, TypeError or AttributeError where it is no record."""
    record = json.loads(text)
    checksum = record.pop("checksum")
    return record, checksum, digest(record)


def verified(text: str | bytes, where: str, parse: Callable[[str | bytes], Parsed] = parse_record) -> Record:
    """The record in `text`, checked; DamagedRecord says in one line, which begins with `where`, what is wrong with it."""
    try:
        record, checksum, own_digest = parse(text)
        fits = own_digest == checksum
        raw = text.encode() if isinstance(text, str) else text
        deep = raw.count(b"[") + raw.count(b"{") > DEEPEST and nested_too_deeply(record)  # a level takes a bracket
    except RecursionError:
        fits = deep = True
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        said = "not JSON" if isinstance(error, ValueError) else "not an object with a checksum"
        raise DamagedRecord(f"{where}: no record ({said})") from None
    if not fits:
        raise DamagedRecord(f"{where}: the checksum does not fit; the record was changed or damaged")
    if deep:
        raise DamagedRecord(f"{where}: no record (nested more than {DEEPEST} levels deep)")
    schema = record.get("schema")
    if type(schema) is not int or schema not in READERS:
        raise DamagedRecord(f"{where}: schema {schema!r:.60} is not known to this version (knows {sorted(READERS)})")
    record = READERS[schema]({**record, "checksum": checksum})
    if problem := wrong_field(record):
        raise DamagedRecord(f"{where}: {problem}")
    return cast(Record, record)


EXPECTED = {  # by pydantic's type of error
    "missing": "missing",
    "float_type": "a number expected",
    "int_type": "a whole number expected",
    "string_type": "a text expected",
    "bool_type": "true or false expected",
    "list_type": "a list expected",
    "dict_type": "names with values expected",
    "mapping_type": "names with values expected",
}


@functools.cache
def _shape() -> TypeAdapter[Record]:
    from pydantic import TypeAdapter  # takes longer to import than all else here, and is needed only where a record is read

    return TypeAdapter(Record)


def wrong_field(record: object) -> str:
    """The first field of `record` that is missing or not of its type in Record, in a line; empty where all fit.

    Nothing is converted: a number is an int or a float, never a text or a truth value.
    """
    from pydantic import ValidationError

    try:
        _shape().validate_python(record, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = " ".join(".".join(map(str, first["loc"])).split())
        said = EXPECTED.get(first["type"]) or first["msg"].removeprefix("Input should be ") + " expected"
        return f"{field}: {said}" + (f" (got {first['input']!r:.60})" if first["type"] != "missing" else "")
    return ""


def headline_score(record: Record) -> float | None:
    """The headline on the test split; None where the run has none (it diverged, did not read test, or is not finite)."""
    scores = record["scores"]["test"]
    return scores.get(record["task"]["headline"]) if scores else None


# A record of an earlier schema is read by a function that brings it to the present one.
READERS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: lambda record: record}
