"""The cache of downloads and of what is prepared from data: entries that are complete or absent, and arrays in them.

It is `RNNBENCH_CACHE`, or `rnnbench` in XDG_CACHE_HOME or ~/.cache.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy

from .tables import DataError
from .user_files import expanded

STALE = 24 * 3600  # seconds after which an unfinished preparation is taken to be dead


def cache_folder() -> Path:
    """The cache folder; it need not exist yet."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return expanded(os.environ.get("RNNBENCH_CACHE") or str(home / "rnnbench"))


def cache_entry(kind: str, key: Mapping[str, object], make: Callable[[Path], None]) -> Path:
    """The cache folder of what `key` describes; `make(folder)` fills it the first time.

    `key` holds all that the content depends on: hash of the data, options, version.
    """
    text = json.dumps(key, sort_keys=True, ensure_ascii=False)
    return complete_entry(cache_folder() / kind / hashlib.sha256(text.encode()).hexdigest()[:32], make)


def complete_entry(folder: Path, make: Callable[[Path], None]) -> Path:
    """`folder`, filled by `make` unless it exists: whole or not at all, whatever dies in between.

    It is made beside its place and renamed; of two processes that make it at once, the first wins.
    """
    if folder.is_dir():
        return folder
    part = folder.with_name(f".part-{uuid.uuid4().hex}")
    try:
        part.mkdir(parents=True)
    except OSError as error:
        raise DataError(
            f"cannot write the cache {cache_folder()}: {error.strerror}; set RNNBENCH_CACHE to another folder"
        ) from None
    for other in folder.parent.glob(f".part-{'[0-9a-f]' * 32}"):  # by the whole name: another may be somebody's
        with contextlib.suppress(OSError):  # another process may sweep at the same moment
            if time.time() - other.lstat().st_mtime > STALE:  # of a link, rmtree removes nothing
                shutil.rmtree(other)
    try:
        make(part)
        for path in [*part.rglob("*"), part]:
            _sync(path)
        try:
            part.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
        _sync(folder.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


Column = numpy.ndarray | tuple[numpy.ndarray, numpy.ndarray]  # one number a row, or ragged rows as (values, offsets)


def write_arrays(path: Path, columns: Mapping[str, Column]) -> None:
    """Columns of equally many rows as an Arrow IPC file."""
    import pyarrow

    arrays = [
        pyarrow.LargeListArray.from_arrays(pyarrow.array(column[1]), pyarrow.array(column[0]))
        if isinstance(column, tuple)
        else pyarrow.array(column)
        for column in columns.values()
    ]
    batch = pyarrow.record_batch(arrays, names=list(columns))
    with pyarrow.OSFile(str(path), "wb") as sink, pyarrow.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)


def write_stream(path: Path, name: str, kind: type, length: int, chunks: Iterable[numpy.ndarray]) -> None:
    """A column of `length` numbers as `write_arrays` writes it, from `chunks` of them that are never all in memory."""
    import pyarrow

    write_arrays(path, {name: numpy.zeros(length, kind)})  # zeros that nobody writes to take no memory
    whole = pyarrow.memory_map(str(path)).read_buffer()
    column = pyarrow.ipc.open_file(whole).get_batch(0).column(0)
    with open(path, "r+b") as file:
        file.seek(column.buffers()[1].address - whole.address)
        for chunk in chunks:
            file.write(chunk.astype(kind).tobytes())


def read_arrays(path: Path) -> dict[str, Column]:
    """What `write_arrays` wrote, as read-only arrays over the mapped file: nothing is copied."""
    import pyarrow

    batch = pyarrow.ipc.open_file(pyarrow.memory_map(str(path))).get_batch(0)
    return {
        name: (column.values.to_numpy(), column.offsets.to_numpy())
        if isinstance(column, pyarrow.LargeListArray)
        else column.to_numpy()
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
    }
