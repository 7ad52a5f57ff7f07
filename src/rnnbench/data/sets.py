"""Sets of data in any form: the hub's, folders that `datasets` saved, folders of files, single files, several by a pattern.

    hub=org/name, config=plus          the hub's, by its id and configuration
    hub=saved/, file=saved/            what `Dataset.save_to_disk` wrote
    hub=folder/, file=folder/          train.csv and dev.csv, train/0000.parquet, ...: see split_names.py
    file=reviews.csv, file="part*.csv" one split
    test=validation, test=new.csv      a split of the set by its name, or a file, in place of the one that is called so

Nothing is read before rows are asked for; of what is on disk, file names and parquet footers are looked at.
"""

from __future__ import annotations

import filecmp
import glob
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..options import nearest, shortened
from .hub import check_columns, check_parts, mirror_without_revision, read_split, splits
from .split_names import NAMES, by_number, chosen_splits, sorted_files, splits_by_name
from .table_files import FILES, PLAIN, FileRows, Reading, file_kind, is_text, place, read_rows, whole_rows
from .tables import DataError, check_parquet
from .user_files import expanded, user_file

if TYPE_CHECKING:
    import numpy
    import pyarrow

SAVED = ("dataset_dict.json", "state.json")  # one of them stands in a folder that `save_to_disk` wrote
ABOUT = ("readme", "license", "licence", "citation", "changelog")  # names of files about the data
NO_DATA = (*ABOUT, "dataset_info", "dataset_infos", "config", "dummy_data")  # names of files that are not read
# What `datasets` takes for no data:
LIBRARY = ("README.md", "config.json", "dataset_info.json", "dataset_infos.json", "dataset_dict.json", "dummy_data.zip")
WILD = "*?["


class Part:
    """One split before it is read: the names of its files, its rows, and what a message calls a row that was read."""

    name: str = ""  # of the split, where the set has names for them
    files: Sequence[str]
    text_labels = False  # whether its values are text, whatever they look like
    note: str = ""  # what is odd about where it lies

    def same_rows(self, other: Part) -> bool:
        """Whether `other` is known to have the same rows, by its name or by the content of its files."""
        return (self.name, [*self.files]) == (other.name, [*other.files])

    def shown(self, file: str) -> str:
        """What the record calls one of `files`: without folders of this machine."""
        return os.path.basename(file.rstrip("/"))

    def check(self, columns: Sequence[str]) -> None:
        """DataError where it can be seen without reading rows that a column is missing."""

    def read(self, columns: Sequence[str], text: bool = True) -> FileRows:
        """The rows; `text`: the first column is to hold text. DataError, one line, where they cannot be had."""
        raise NotImplementedError

    def where(self, row: int) -> str:
        """What a message calls row `row`, from 0, of those that `read` gave."""
        raise NotImplementedError


class Files(Part):
    """A split that stands in files of one kind."""

    def __init__(self, paths: Sequence[str], reading: Reading):
        self.files, self._reading = paths, reading
        self.text_labels = is_text(paths[0])
        self._read: list[FileRows] = []

    def same_rows(self, other: Part) -> bool:
        if not isinstance(other, Files) or len(self.files) != len(other.files):
            return False
        pairs = zip(self.files, other.files, strict=True)
        return all(filecmp.cmp(expanded(one), expanded(same), shallow=False) for one, same in pairs)

    def check(self, columns: Sequence[str]) -> None:
        for path in self.files:
            if file_kind(path) == ".parquet":
                check_parquet(user_file(path), columns)

    def read(self, columns: Sequence[str], text: bool = True) -> FileRows:
        self._read = [read_rows(path, columns, self._reading, text) for path in self.files]
        tables, dropped = [rows.table for rows in self._read], sum(rows.dropped for rows in self._read)
        return FileRows(concatenated(tables, self.files), dropped=dropped)

    def where(self, row: int) -> str:
        for path, rows in zip(self.files, self._read, strict=True):
            if row < len(rows.table):
                return place(path, row if rows.kept is None else int(rows.kept[row]), self._reading)
            row -= len(rows.table)
        raise IndexError(row)


class Published(Part):
    """A split of a set of the hub, by its id."""

    def __init__(self, hub: str, split: str, config: str | None, revision: str | None, reading: Reading):
        self.files, self.name, self._hub, self._reading = [hub], split, hub, reading
        self._config, self._revision = config, revision
        self._kept: numpy.ndarray | None = None

    def shown(self, file: str) -> str:
        return f"{file}/{self.name}"

    @property
    def note(self) -> str:  # type: ignore[override]
        folder = mirror_without_revision(self._hub, self._config, self._revision)
        return f"{folder} does not say its revision; it is read for task.revision={self._revision}" if folder else ""

    def check(self, columns: Sequence[str]) -> None:
        check_columns(self._hub, [self.name], columns, self._config, self._revision)

    def read(self, columns: Sequence[str], text: bool = True) -> FileRows:
        sound = not self._reading.drop_empty
        table = read_split(self._hub, self.name, columns, self._config, self._revision, sound)
        rows = FileRows(table) if sound else whole_rows(table, f"{self._hub}: split {self.name!r}", self._reading)
        self._kept = rows.kept
        return rows

    def where(self, row: int) -> str:
        number = row if self._kept is None else int(self._kept[row])
        return f"{self._hub}: split {self.name!r} row {number + 1}"


class Saved(Part):
    """A split of what `Dataset.save_to_disk` or `DatasetDict.save_to_disk` wrote."""

    def __init__(self, folder: Path, split: str, alone: bool, reading: Reading):
        self.files, self.name, self._folder, self._alone, self._reading = [f"{folder}/"], split, folder, alone, reading
        self._kept: numpy.ndarray | None = None

    def read(self, columns: Sequence[str], text: bool = True) -> FileRows:
        import datasets

        where = f"{self._folder}: split {self.name!r}"
        try:
            loaded: Any = datasets.load_from_disk(str(self._folder))
            rows = loaded if self._alone else loaded[self.name]
            for column in columns:
                if column not in rows.column_names:
                    raise DataError(
                        f"{where}: no column {column!r}{nearest(column, rows.column_names) or ';'} there are: "
                        f"{shortened(', '.join(rows.column_names), 150)}"
                    )
            table = rows.select_columns(list(columns)).with_format("arrow")[:].select(list(columns))
        except DataError:
            raise
        except Exception as error:  # of a damaged folder, any
            raise DataError(f"{where} cannot be read: {shortened(str(error).splitlines()[0])}") from None
        found = whole_rows(table.replace_schema_metadata(None), where, self._reading)
        self._kept = found.kept
        return found

    def where(self, row: int) -> str:
        number = row if self._kept is None else int(self._kept[row])
        return f"{self._folder}: split {self.name!r} row {number + 1}"


@dataclass(frozen=True)
class Place:
    """Where data lie, as the options of a task say it, by their names; `reading` is how text files are read."""

    hub: str | None = None
    file: str | None = None
    config: str | None = None
    revision: str | None = None
    named: Mapping[str, str] = field(default_factory=dict)  # train, validation, test: a split of the set, or a file
    reading: Reading = PLAIN
    kinds: tuple[str, ...] = FILES  # endings of files that are data
    in_time: bool = False  # whether rows are in the order of time: then several files are read in that of their numbers

    @property
    def name(self) -> str:
        """What messages call the set."""
        return self.hub or self.file or self.named["train"]

    @property
    def id(self) -> str | None:
        """The id on the hub; None of folders and files."""
        return self.hub if self.hub and self.hub[:1] not in (".", "/", "~") else None

    def parts(self, fetch: bool = False) -> tuple[dict[str, Part], list[str]]:
        """(the split that trains, and perhaps those that validate and test; what lies there and is not read).

        Of a set of the hub that is not on disk: nothing, unless `fetch`. DataError, one line, where there is no such set, or
        nothing to train on.
        """
        there, beside = self._there(fetch)
        if not there and self.id and not fetch:
            return {}, []
        wanted: dict[str, Part] = {split: self._named(split, value, there) for split, value in self.named.items()}
        used = {id(part) for part in wanted.values()}
        for split, name in chosen_splits([name for name, part in there.items() if id(part) not in used]).items():
            wanted.setdefault(split, there[name])
        if "train" not in wanted:
            raise DataError(
                f"{self.name}: no split 'train'; there are: {shortened(', '.join(there) or ', '.join(beside), 150) or 'none'}; "
                "task.train= names one, or a file"
            )
        used = {id(part) for part in wanted.values()}
        unused = [name for name, part in there.items() if id(part) not in used]
        return {split: wanted[split] for split in NAMES if split in wanted}, [*unused, *beside]

    def check(self, columns: Sequence[str]) -> None:
        """DataError where a split that is read lacks one of `columns`; of a set that is not on disk nothing is asked."""
        for part in self.parts()[0].values():
            part.check(columns)

    def _named(self, split: str, value: str, there: Mapping[str, Part]) -> Part:
        """The split called `value`, or the files that it names."""
        if value in there:
            return there[value]
        if self.id:
            near = nearest(value, there) or ";"
            raise DataError(f"task.{split}={value}: {self.hub} has no such split{near} there are: {', '.join(there) or 'none'}")
        folder = expanded(self.hub or self.file or ".")
        within = str(folder / value) if folder.is_dir() and not expanded(value).exists() else value
        return self._files(_matching(within, f"task.{split}={value}", self.kinds))

    def _files(self, paths: Sequence[str]) -> Files:
        return Files(sorted(paths, key=by_number) if self.in_time else paths, self.reading)

    def _there(self, fetch: bool) -> tuple[dict[str, Part], list[str]]:
        """The splits by their names, and what is beside them."""
        if self.id:
            names = splits(self.id, self.config, self.revision, fetch)
            return {name: Published(self.id, name, self.config, self.revision, self.reading) for name in names}, []
        path = self.hub or self.file
        if path is None:
            return {}, []
        folder = expanded(path)
        if folder.is_dir():
            return self._folder(folder / self.config if self.config else folder)
        if self.hub:
            raise DataError(f"{self.hub}: there is no such folder")
        return {"train": self._files(_matching(path, path, self.kinds))}, []

    def _is_about_data(self, path: Path) -> bool:
        """Whether a file that is not read says what the data are, as the library or its readers know it."""
        return path.name in LIBRARY or (path.stem.lower() in ABOUT and file_kind(path) not in self.kinds)

    def _folder(self, folder: Path) -> tuple[dict[str, Part], list[str]]:
        if not folder.is_dir():
            raise DataError(f"{folder}: there is no such folder")
        if saved := next((name for name in SAVED if (folder / name).is_file()), ""):
            alone = saved == "state.json"
            names = ["train"] if alone else _saved_splits(folder)
            return {name: Saved(folder, name, alone, self.reading) for name in names}, []
        every = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
        shown = [name for name in every if not any(part.startswith((".", "__")) for part in Path(name).parts)]
        tables = [name for name in shown if file_kind(name) in self.kinds and Path(name).stem.lower() not in NO_DATA]
        here = [name for name in tables if "/" not in name]
        flat = any("train" in splits_by_name(name) for name in here)  # then those of folders below are beside
        found, beside = sorted_files(here if flat else tables)
        beside += [name for name in tables if flat and name not in here]
        parts: dict[str, Part] = {}
        for split, names in found.items():
            kinds = {file_kind(name) + Path(name).suffix for name in names}
            if len(kinds) > 1:
                first = [next(name for name in names if file_kind(name) + Path(name).suffix == kind) for kind in sorted(kinds)]
                raise DataError(
                    f"{folder} has two files for {split}: {', '.join(first[:2])}, of two kinds; keep one kind there, or name "
                    f"what is to be read: task.{split if split in NAMES else 'train'}="
                )
            check_parts(folder, split, [Path(name).name for name in names])
            parts[split] = self._files([str(folder / name) for name in names])
        if not tables:
            raise DataError(
                f"{folder} has no train{{{','.join(self.kinds)}}}; there are: {shortened(', '.join(shown), 150) or 'none'}"
            )
        others = [name for name in shown if name not in tables and not self._is_about_data(Path(name))]
        return parts, [*beside, *others]


@dataclass(frozen=True)
class Splits:
    """The splits of a set, and what is said of them."""

    parts: Mapping[str, Part]
    unread: Sequence[str]
    dropped: int = 0

    def where(self, split: str, row: int) -> str:
        """What a message calls row `row`, from 0, of a split."""
        return self.parts[split].where(row)

    @property
    def same_rows(self) -> list[tuple[str, str]]:
        """The pairs of splits that have the same rows."""
        return [pair for pair in combinations(self.parts, 2) if self.parts[pair[0]].same_rows(self.parts[pair[1]])]

    @property
    def text_labels(self) -> list[str]:
        """The splits whose values are text, whatever they look like."""
        return [split for split, part in self.parts.items() if part.text_labels]

    def facts(self) -> dict[str, Any]:
        """For the record: the files of each split, by their names."""
        named = {split: [part.shown(name) for name in part.files] for split, part in self.parts.items()}
        return {"files": named, "dropped": self.dropped}


@dataclass(frozen=True)
class Loaded(Splits):
    """The tables of the splits that were read."""

    tables: dict[str, pyarrow.Table] = field(default_factory=dict)


def load_set(where: Place, columns: Sequence[str], text: bool = True) -> Loaded:
    """The `columns` of every split that is there; `text`: the first is to hold text. DataError, one line, where they cannot be
    had.
    """
    parts, unread = where.parts(fetch=True)
    rows = {split: part.read(columns, text) for split, part in parts.items()}
    tables = {split: one.table for split, one in rows.items()}
    return Loaded(parts, unread, sum(one.dropped for one in rows.values()), tables)


def concatenated(tables: Sequence[pyarrow.Table], names: Sequence[str]) -> pyarrow.Table:
    """The rows of all tables; DataError where a column has two types."""
    import pyarrow

    for name, table in zip(names, tables, strict=True):
        if table.schema != tables[0].schema:
            kinds = [", ".join(f"{one.name} {one.type}" for one in table.schema) for table in (table, tables[0])]
            try:
                pyarrow.concat_tables([tables[0].slice(0, 0), table.slice(0, 0)], promote_options="permissive")
            except (pyarrow.ArrowTypeError, pyarrow.ArrowInvalid):
                raise DataError(
                    f"{name} has {shortened(kinds[0], 80)} where {os.path.basename(names[0])} has {shortened(kinds[1], 80)}; "
                    "write both with the same types"
                ) from None
    return pyarrow.concat_tables(tables, promote_options="permissive")


def _matching(path: str, name: str, kinds: Sequence[str]) -> list[str]:
    """The file at `path`, or those that it is a pattern of, all of one kind."""
    if any(sign in path for sign in WILD) and not expanded(path).exists():
        found = sorted(one for one in glob.glob(str(expanded(path)), recursive=True) if file_kind(one) in kinds)
        if not found:
            raise DataError(f"{name}: no file fits; allowed: a pattern of {', '.join(kinds)} files")
        if len(there := {file_kind(one) for one in found}) > 1:
            raise DataError(f"{name} fits files of {len(there)} kinds: {', '.join(sorted(there))}; allowed: files of one kind")
        return found
    user_file(path, name if name != path else "")
    return [path]


def _saved_splits(folder: Path) -> list[str]:
    try:
        names = json.loads((folder / "dataset_dict.json").read_text(encoding="utf-8"))["splits"]
        return [str(name) for name in names]
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(f"{folder}/dataset_dict.json does not list splits; save the set again by save_to_disk") from None
