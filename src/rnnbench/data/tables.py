"""Tables of data: read from parquet files within bounds, checked for what tasks need, and their digest."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy

from ..options import shortened
from .file_kinds import HEAD, kind_of

if TYPE_CHECKING:
    import pyarrow


BATCH = 1024  # rows of a parquet file that are unpacked together
LEAST_BOUND = 2**29  # bytes that any parquet file may have in memory
MOST_GROWTH = 100  # times its size on disk that a larger one may have in memory


class DataError(ValueError):
    """Data that cannot be had, or that are not what they should be; the message is one line."""


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
                f"{path} has {shortened(types[0], 80)} where {paths[0].name} has {shortened(types[1], 80)}; "
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
        raise DataError(f"{path} cannot be read as parquet: {shortened(str(error).splitlines()[0])}") from None
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
    import pyarrow.compute

    total = hashlib.sha256()
    for rows in tables:
        for column, values in zip(rows.column_names, rows.columns, strict=True):
            if pyarrow.types.is_integer(values.type):
                numbers, contents = values.to_numpy(), []
            else:
                binary = values.cast(pyarrow.large_binary())
                numbers, contents = pyarrow.compute.binary_length(binary).to_numpy(), binary.chunks
            total.update(f"{column} {len(numbers)} ".encode())
            total.update(numbers.astype("<i8").tobytes())
            for chunk in contents:
                first, last = chunk.offset, chunk.offset + len(chunk)
                ends = numpy.frombuffer(chunk.buffers()[1], numpy.int64)
                if chunk.buffers()[2] is not None:
                    total.update(memoryview(chunk.buffers()[2])[ends[first] : ends[last]])
    return total.hexdigest()


def class_names(schema: pyarrow.Schema, columns: Iterable[str]) -> dict[str, list[str]]:
    """The names of the classes of each column that `datasets` numbered (ClassLabel), as it keeps them beside the table."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        found = {column: _names(features[column]) for column in columns if column in features}
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):  # others wrote something else there
        return {}
    return {column: names for column, names in found.items() if names}


def _names(feature: Any) -> list[str]:
    """The names of a ClassLabel, or of lists of it."""
    if isinstance(feature, list) and feature:
        return _names(feature[0])
    if "feature" in feature:
        return _names(feature["feature"])
    return list(map(str, feature["names"])) if feature.get("_type") == "ClassLabel" else []


def check_parquet(path: Path, columns: Iterable[str]) -> None:
    """DataError where `path` is no parquet file, or does not have each of `columns` once. Its footer is read."""
    import pyarrow
    import pyarrow.parquet

    try:
        there = pyarrow.parquet.read_schema(path).names
    except (pyarrow.ArrowException, OSError) as error:
        with contextlib.suppress(OSError), open(path, "rb") as file:
            if kind := kind_of(file.read(HEAD)):
                raise DataError(f"{path} is not parquet but {kind}") from None
        raise DataError(f"{path} cannot be read as parquet: {shortened(str(error).splitlines()[0])}") from None
    for column in columns:
        if column not in there:
            raise DataError(f"{path}: no column {column!r}; there are: {shortened(', '.join(there), 150)}")
        if there.count(column) > 1:
            raise DataError(f"{path}: {there.count(column)} columns are called {column!r}; rename all but one")
