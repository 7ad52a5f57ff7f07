"""Reads the `.wandb` file of an offline run, with W&B's own record types: LevelDB's log format behind a 7-byte header."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

BLOCK = 32768
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def chunks(data: bytes) -> Iterator[bytes]:
    """The records' bytes; a tail that was cut off is left out."""
    if data[:7] != struct.pack("<4sHB", b":W&B", 0xBEE1, 0):
        raise ValueError("not a .wandb file")
    position, parts = 7, b""
    while position + 7 <= len(data):
        left = BLOCK - position % BLOCK
        if left < 7:
            position += left
            continue
        checksum, length, kind = struct.unpack("<IHB", data[position : position + 7])
        if (kind, length) == (0, 0):
            position += left
            continue
        body = data[position + 7 : position + 7 + length]
        if len(body) < length:
            return
        if zlib.crc32(bytes([kind]) + body) != checksum:
            raise ValueError(f"checksum at byte {position}")
        position += 7 + length
        parts = body if kind in (FULL, FIRST) else parts + body
        if kind in (FULL, LAST):
            yield parts


def nested(items: Iterable[Any]) -> dict[str, Any]:
    """Updates as one dict; W&B's own entries, which begin with `_`, are left out."""
    result: dict[str, Any] = {}
    for item in items:
        *path, last = list(item.nested_key) or [item.key]
        if (path or [last])[0].startswith("_"):
            continue
        inner = result
        for key in path:
            inner = inner.setdefault(key, {})
        inner[last] = json.loads(item.value_json)
    return result


def read(path: Path) -> dict[str, Any]:
    """id, name, group, job_type, tags, config, rows, steps, summary and exit code of the run in `path`."""
    from wandb.proto import wandb_internal_pb2

    run: dict[str, Any] = {"config": {}, "rows": [], "steps": [], "summary": {}, "exit": None}
    for data in chunks(path.read_bytes()):
        record = wandb_internal_pb2.Record.FromString(data)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            about = record.run
            run |= {"id": about.run_id, "name": about.display_name, "group": about.run_group, "project": about.project}
            run |= {"job_type": about.job_type, "tags": list(about.tags), "host": about.host}
            run["config"] |= nested(about.config.update)
        elif kind == "config":
            run["config"] |= nested(record.config.update)
        elif kind == "history":
            run["rows"].append(nested(record.history.item))
            run["steps"].append(record.history.step.num)
        elif kind == "summary":
            run["summary"] |= nested(record.summary.update)
        elif kind == "exit":
            run["exit"] = record.exit.exit_code
    return run
