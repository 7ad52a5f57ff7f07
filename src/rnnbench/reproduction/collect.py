"""Copies finished runs into a table's results.jsonl, scrubbed of accounts and folders."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..config.schema import HASHED, NAMING
from ..options import BadOption, amount, output_error
from ..store.find import find_runs
from ..store.record import Record, digest, plain, write_atomically
from .declaration import Declaration, metric_of, places_of
from .grid import FROM_LOGS
from .metrics import logged_values
from .table_runs import find_table_runs

DOUBLED = {"model": ("options",)}  # parts of a record that stand in its config too
KEPT_OUT = ("network", "train")


def wanted_metrics(table: Declaration) -> dict[str, set[str]]:
    """By row: the metrics that its cells and contrasts read from logs."""
    found: dict[str, set[str]] = {row: {about.metric} for row, about in table.grid.rows.items()}
    for (row, _), one in table.contrasts.items():
        for place, _ in places_of(table, row, one):
            found[place].add(metric_of(table, row, one))
    return {row: {m for m in metrics if m.startswith(FROM_LOGS) or m == "recall_lag"} for row, metrics in found.items()}


def measure_metric(folder: Path, metric: str, recall_lag: Callable[[Path], float]) -> float | None:
    """A metric that the record of a run does not hold, from its log, or from its weights. ValueError where it cannot be had."""
    if metric != "recall_lag":
        return logged_values(folder).get(metric)
    return float(recall_lag(folder))


def scrubbed_record(record: Record, measures: Mapping[str, float | None], declared: Mapping[str, str]) -> Record:
    """A record to be shown to all: nothing of accounts or folders, nothing twice, no option that is as it is by default; with
    numbers from its log and the digests of the rows that it was taken for (`declared`), sealed anew.

    ValueError where its settings name a path: those cannot be changed without making another run of it.
    """
    own: dict[str, Any] = {**record["config"], "tracker": {"name": "none"}}
    for key, value in own["task"].items():
        if isinstance(value, str) and value.startswith(("/", "~", ".")):
            raise ValueError(f"task.{key}={value}: a path of one machine; name data by what is known everywhere")
    if "class" in own["model"]:
        raise ValueError(f"model.class={own['model']['class']}: a file of one machine; install its class as a package")
    for group in HASHED:
        named = {key: own[group][key] for key in NAMING.get(group, ()) if key in own[group]}
        own[group] = named | {key: own[group][key] for key in own[group] if f"{group}.{key}" in record["departures"]}
    kept: dict[str, Any] = {key: value for key, value in record.items() if key not in (*KEPT_OUT, "checksum")}
    kept |= {part: {k: v for k, v in kept[part].items() if k not in keys} for part, keys in DOUBLED.items()}
    kept |= {"config": own, "measures": dict(sorted(measures.items())), "declared": {**record.get("declared", {}), **declared}}
    kept["sealed_before"] = record.get("sealed_before", record["checksum"])
    body: Any = plain(kept)
    body["checksum"] = digest(body)
    return body


def record_line(record: Record) -> str:
    return json.dumps(record, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def write_page(path: Path, text: str) -> None:
    """Writes `text` whole or not at all; BadOption or Failed where it cannot be."""
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise output_error(str(path), error) from None


def collect_runs(table: Declaration, runs: Path, recall_lag: Callable[[Path], float]) -> tuple[str, list[str]]:
    """Copies finished runs of the cells into the table's results.jsonl, scrubbed; what is there stays.

    Returns what was done in a line, and complaints. `recall_lag` measures that metric of a run folder, from its weights.

    BadOption where a line there is damaged, or of a schema that is not known here: it is not to be lost without a word.
    """

    own, path, refused = find_table_runs(table, runs), table.folder / "results.jsonl", []
    kept: dict[str, list[Record]] = {}
    there, damaged = find_runs([path]) if path.exists() else ([], [])
    if damaged:
        raise BadOption(f"{damaged[0]}; nothing is collected until that line is mended or removed")
    for run in there:
        if run.record:
            kept.setdefault(run.record["id"], []).append(run.record)
    before, wanted = sum(map(len, kept.values())), wanted_metrics(table)
    for found in own.cells.values():
        now = {f"{table.name}/{found.cell.row}": table.digest(found.cell.row)}
        for seed, folder in found.folders.items():
            record = found.runs[seed].record
            assert record is not None  # a cell has recorded runs only
            old = kept.get(record["id"], [])
            if len(old) > 1:
                continue  # they disagree, and are refused
            numbers = dict(old[0].get("measures", {})) if old else {}
            declared = {**now, **old[0].get("declared", {})} if old else now  # what stood first stays
            try:
                for metric in wanted[found.cell.row] - set(numbers):
                    numbers[metric] = measure_metric(folder, metric, recall_lag)
                numbers = {metric: value for metric, value in numbers.items() if value is not None}
                if not old or numbers != old[0].get("measures") or declared != old[0].get("declared"):
                    kept[record["id"]] = [scrubbed_record(record, numbers, declared)]
            except (ValueError, OSError) as error:
                refused.append(f"{folder}: {error}")
    records = [record for same in kept.values() for record in same]
    if records:
        write_page(path, "".join(f"{line}\n" for line in sorted(map(record_line, records))))
    complaints = [*own.complaints, *refused]
    return (
        f"{path}: {amount(len(records), 'record')}, {len(records) - before} of them new, "
        f"{amount(len(complaints), 'complaint')}",
        complaints,
    )
