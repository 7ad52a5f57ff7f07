"""The record of a run: canonical text, digests, checksums and readers of every schema. Torch is never imported."""

from __future__ import annotations

import hashlib
import json
import math
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SCHEMA = 1


class DamagedRecord(ValueError):
    """A record whose checksum does not fit its content, or whose schema is not ours."""


def canonical(value: Any) -> str:
    """One text for one value: keys sorted, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any) -> str:
    """sha256 of the canonical text, in hex."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def plain(value: Any) -> Any:
    """`value` as JSON can hold it: numbers that are not finite become null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_atomically(path: Path, data: bytes, once: bool = False) -> None:
    """`data` at `path`, whole or not at all, on the disk when this returns; FileExistsError if `once` and it exists."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if once:
            os.link(temporary, path)  # a link never overwrites
        else:
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def verified(text: str | bytes, where: str) -> dict[str, Any]:
    """The record in `text`, checked; DamagedRecord says what is wrong with it."""
    try:
        record = json.loads(text)
        checksum = record.pop("checksum")
        fits = digest(record) == checksum
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedRecord(f"{where}: no record ({type(error).__name__})") from None
    if not fits:
        raise DamagedRecord(f"{where}: the checksum does not fit; the record was changed or damaged")
    if record.get("schema") not in READERS:
        raise DamagedRecord(f"{where}: schema {record.get('schema')!r} is not known to this version (knows {sorted(READERS)})")
    return READERS[record["schema"]]({**record, "checksum": checksum})


# A record of an earlier schema is read by a function that brings it to the present one.
READERS = {1: lambda record: record}
