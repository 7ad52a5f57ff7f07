"""Data sets of the Hugging Face hub as parquet files on disk, and the cache of what is prepared from them.

The files of `org/name` are looked for in this order:

1. `RNNBENCH_DATA`: a folder that holds `<org>/<name>/<config or data>/<split>-*.parquet`, or several, as in PATH;
2. the cache, where an earlier download was left in the same layout;
3. the hub, once, through `datasets`.

A name that begins with `.`, `/` or `~` is a folder itself, with the files in it or in `<config or data>`; `local/<name>` is a
set that the hub does not have, and is looked for on disk only. Files of other kinds: see user_files.py.

The cache is `RNNBENCH_CACHE`, or `rnnbench` in XDG_CACHE_HOME or ~/.cache. An entry is complete or absent.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy

if TYPE_CHECKING:
    import pyarrow


PATIENCE = 3.0  # seconds to wait for the hub's first answer
STALE = 24 * 3600  # seconds after which an unfinished preparation is taken to be dead
BATCH = 1024  # rows of a parquet file that are unpacked together
LEAST_BOUND = 2**29  # bytes that any parquet file may have in memory
MOST_GROWTH = 100  # times its size on disk that a larger one may have in memory
PART = re.compile(r".*?-(\d+)-of-(\d+)")  # of the name of a split's file


class DataError(ValueError):
    """Data that cannot be had, or that are not what they should be; the message is one line."""


def cache_folder() -> Path:
    """The cache folder; it need not exist yet."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("RNNBENCH_CACHE") or home / "rnnbench").expanduser()


def check_columns(name: str, splits: Iterable[str], columns: Iterable[str], config: str | None = None) -> bool:
    """Whether data set `name` is on disk. DataError where it is, but lacks one of the splits or columns.

    Only file names and parquet footers are read.
    """
    folder = _local(name, config)
    if folder is None:
        return False
    for split in splits:
        _check(folder, split, columns)
    return True


def splits(name: str, config: str | None = None, revision: str | None = None, fetch: bool = False) -> list[str]:
    """The splits of `name` that are on disk, or, with `fetch`, that the hub has; none where it is neither."""
    folder = _local(name, config) or (_download(name, config, revision) if fetch else None)
    return _splits(folder) if folder else []


def read_split(
    name: str, split: str, columns: Sequence[str], config: str | None = None, revision: str | None = None
) -> pyarrow.Table:
    """The `columns` of one split, from disk if it is there, else from the hub.

    Raises DataError, one line: neither on disk nor reachable, or without the split, a column, or a value.
    """
    folder = _local(name, config) or _download(name, config, revision)
    return check_sound(parquet_table(_check(folder, split, columns), columns), f"{folder}: split {split!r}")


def parquet_table(paths: Sequence[Path], columns: Sequence[str]) -> pyarrow.Table:
    """The `columns` of parquet files, one after the other, in batches. Columns that are coded as dictionaries are decoded.

    Raises DataError, one line: a file that cannot be read, or would be far larger in memory than on disk; files whose columns
    are of different types.
    """
    import pyarrow

    tables: list[pyarrow.Table] = []
    for path in paths:
        tables.append(_parquet_rows(path, columns))
        try:
            pyarrow.concat_tables([tables[0].slice(0, 0), tables[-1].slice(0, 0)], promote_options="permissive")
        except (pyarrow.ArrowTypeError, pyarrow.ArrowInvalid):
            types = [", ".join(f"{field.name} {field.type}" for field in table.schema) for table in (tables[-1], tables[0])]
            raise DataError(
                f"{path} has {brief(types[0], 80)} where {paths[0].name} has {brief(types[1], 80)}; "
                "write both with the same types"
            ) from None
    return pyarrow.concat_tables(tables, promote_options="permissive")


def _parquet_rows(path: Path, columns: Sequence[str]) -> pyarrow.Table:
    """The `columns` of one file; DataError where they outgrow what a file of its size may hold."""
    import pyarrow
    import pyarrow.parquet

    most = max(LEAST_BOUND, MOST_GROWTH * path.stat().st_size)
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            total, batches = _declared(file.metadata, columns), []
            if total <= most:
                total = 0
                for batch in file.iter_batches(BATCH, columns=list(columns)):
                    batches.append(_decoded(batch))
                    total += batches[-1].nbytes
                    if total > most:
                        break
            if total > most:
                raise DataError(
                    f"{path} is a file of {path.stat().st_size:,} bytes with more than {most:,} bytes of data in {columns}; "
                    f"allowed: {MOST_GROWTH} times its size, at least {LEAST_BOUND:,}"
                )
            fields = [file.schema_arrow.field(column) for column in columns]
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read as parquet: {brief(str(error).splitlines()[0])}") from None
    if not batches:
        kinds = [field.type.value_type if pyarrow.types.is_dictionary(field.type) else field.type for field in fields]
        return pyarrow.schema(list(zip(columns, kinds, strict=True))).empty_table()
    rows = pyarrow.Table.from_batches(batches)
    return rows.select(list(columns)).replace_schema_metadata(None)


def _declared(metadata: pyarrow.parquet.FileMetaData, columns: Sequence[str]) -> int:
    """The bytes that the file says `columns` have once they are unpacked."""
    groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    chunks = (group.column(number) for group in groups for number in range(group.num_columns))
    return sum(chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema.split(".")[0] in columns)


def _decoded(batch: pyarrow.RecordBatch) -> pyarrow.RecordBatch:
    import pyarrow

    whole = [column.dictionary_decode() if pyarrow.types.is_dictionary(column.type) else column for column in batch.columns]
    return pyarrow.RecordBatch.from_arrays(whole, names=batch.schema.names)


def check_sound(rows: pyarrow.Table, where: str) -> pyarrow.Table:
    """`rows`, once they have been seen to be there, whole, and in UTF-8."""
    import pyarrow
    import pyarrow.compute

    if not rows.num_rows:
        raise DataError(f"{where} has no rows")
    for column in rows.column_names:
        if empty := rows[column].null_count:
            first = 1 + pyarrow.compute.index(rows[column].is_null(), True).as_py()
            raise DataError(
                f"{where}: column {column!r} has {empty} empty values, the first in row {first}; fill them in, or leave the "
                "rows out"
            )
        try:
            rows[column].validate(full=True)
        except pyarrow.ArrowInvalid:
            raise DataError(f"{where}: column {column!r} is not UTF-8") from None
    return rows


def brief(text: str, most: int = 60) -> str:
    """`text` in one line, cut off after `most` characters."""
    line = " ".join(text[: 4 * most].split())
    return line if len(line) <= most and len(text) <= 4 * most else line[:most] + "…"


def check_text(rows: pyarrow.Table, where: str, columns: Iterable[str], numbers: bool = False) -> None:
    """DataError where one of the columns holds something else than text, or, with `numbers`, than text and whole numbers."""
    from pyarrow import types

    for column in columns:
        kind = rows.schema.field(column).type
        if not (types.is_string(kind) or types.is_large_string(kind) or (numbers and types.is_integer(kind))):
            raise DataError(
                f"{where}: column {column!r} holds {kind}; allowed: {'whole numbers or text' if numbers else 'text'}"
            )


def table_digest(*tables: pyarrow.Table) -> str:
    """The sha256 of the tables' contents; the same from a mirror and from the hub, however the files were cut.

    Columns hold whole numbers or texts.
    """
    import pyarrow

    total = hashlib.sha256()
    for rows in tables:
        for column, values in zip(rows.column_names, rows.columns, strict=True):
            if pyarrow.types.is_integer(values.type):
                numbers, content = values.to_numpy(), b""
            else:
                texts = [text.encode() for text in values.to_pylist()]
                numbers, content = numpy.array([len(text) for text in texts]), b"".join(texts)
            total.update(f"{column} {len(numbers)} ".encode())
            total.update(numbers.astype("<i8").tobytes())
            total.update(content)
    return total.hexdigest()


def _local(name: str, config: str | None) -> Path | None:
    """The folder with the parquet files of `name`, if they are on disk."""
    if name[:1] in (".", "/", "~"):
        folder = Path(name).expanduser()
        if not folder.is_dir():
            raise DataError(f"{name}: there is no such folder")
        within = folder / (config or "data")
        return within if within.is_dir() else folder
    mirrors = [Path(mirror) for mirror in os.environ.get("RNNBENCH_DATA", "").split(os.pathsep) if mirror]
    for mirror in mirrors:
        if not mirror.is_dir():
            raise DataError(f"RNNBENCH_DATA={mirror} is no folder; it should hold <org>/<name>/data/<split>-*.parquet")
    for root in [*mirrors, cache_folder() / "hub"]:
        if (root / name / (config or "data")).is_dir():
            return root / name / (config or "data")
    return None


def _splits(folder: Path) -> list[str]:
    return sorted({path.name.split("-")[0] for path in folder.glob("*-*.parquet")})


def _check(folder: Path, split: str, columns: Iterable[str]) -> list[Path]:
    """The files of a split, in order, once all of them are there and each has been seen to have the columns."""
    paths = sorted(folder.glob(f"{split}-*.parquet"))
    if not paths:
        raise DataError(f"{folder}: no split {split!r}; there are: {', '.join(_splits(folder)) or 'none'}")
    _check_parts(folder, split, [path.name for path in paths])
    for path in paths:
        check_parquet(path, columns)
    return paths


def _check_parts(folder: Path, split: str, names: Sequence[str]) -> None:
    """DataError where the names of a split's files, `train-00000-of-00002.parquet`, say that one is missing or there twice."""
    parts = [tuple(map(int, found.groups())) for name in names if (found := PART.match(name))]
    total = max((of for _, of in parts), default=0)
    for number in range(total if len(parts) == len(names) else 0):
        if parts.count((number, total)) != 1 or len(parts) != total:
            raise DataError(
                f"{folder}: split {split!r} has the files {brief(', '.join(names), 150)}; expected each of {total} parts once: "
                "fetch those that are missing, remove those of another version"
            )


def check_parquet(path: Path, columns: Iterable[str]) -> None:
    """DataError where `path` is no parquet file, or does not have each of `columns` once. Its footer is read."""
    import pyarrow
    import pyarrow.parquet

    try:
        there = pyarrow.parquet.read_schema(path).names
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read as parquet: {brief(str(error).splitlines()[0])}") from None
    for column in columns:
        if column not in there:
            raise DataError(f"{path}: no column {column!r}; there are: {brief(', '.join(there), 150)}")
        if there.count(column) > 1:
            raise DataError(f"{path}: {there.count(column)} columns are called {column!r}; rename all but one")


def _download(name: str, config: str | None, revision: str | None) -> Path:
    """Every split of `name` from the hub, into the cache; the folder with the files."""
    if name.startswith("local/"):
        raise DataError(f"{name} is not on the hub; set RNNBENCH_DATA to a folder that holds {name}/data/<split>-*.parquet")
    offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
    # asked first, because the hub's own client tries an unreachable one again for half a minute
    if not offline and not _reachable():
        raise DataError(_unavailable(name, config, "the hub does not answer"))

    import datasets

    try:
        splits = datasets.load_dataset(name, config, revision=revision)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        reason = "HF_HUB_OFFLINE is set" if offline else (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(_unavailable(name, config, reason)) from None

    def write(folder: Path) -> None:
        for split, rows in splits.items():
            rows.to_parquet(folder / f"{split}-00000-of-00001.parquet")

    return complete_entry(cache_folder() / "hub" / name / (config or "data"), write)


def _reachable() -> bool:
    address = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    try:
        with urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=PATIENCE):
            return True
    except urllib.error.HTTPError:
        return True  # it answered; what it says to the real request counts
    except (OSError, ValueError):
        return False


def _unavailable(name: str, config: str | None, reason: str) -> str:
    return (
        f"{name} cannot be loaded ({reason}); connect to the network once, "
        f"or set RNNBENCH_DATA to a folder that holds {name}/{config or 'data'}/<split>-*.parquet"
    )


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
