"""Sets of data in any form: the hub's, folders that `datasets` saved, folders of files, single files, several by a pattern.

    hub=org/name, config=plus          the hub's, by its id and configuration
    hub=saved/, file=saved/            what `Dataset.save_to_disk` wrote
    hub=folder/, file=folder/          train.csv and dev.csv, train/0000.parquet, ...: see split_names.py
    file=reviews.csv, file="part*.csv" one split
    test=validation, test=new.csv      a split of the set by its name, or a file, in place of the one that is called so
    train="train[:80%]"                rows of a split, as the library takes them

Nothing is read before rows are asked for; of what is on disk, file names and parquet footers are looked at.
"""

from __future__ import annotations

import filecmp
import glob
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy

from ..options import amount, nearest, shortened
from .hub import check_columns, check_parts, read_class_names, read_split, readme_class_names, splits, uncertain_revision
from .readme_configs import README, Listed, listed_files, listed_names
from .split_names import NAMES, by_number, chosen_splits, instructed, sorted_files, splits_by_name
from .table_files import FILES, PLAIN, FileRows, Reading, check_kind, file_kind, is_text, place, read_rows, whole_rows
from .tables import DataError, check_parquet, class_names
from .user_files import expanded, user_file

if TYPE_CHECKING:
    import pyarrow

SAVED = ("dataset_dict.json", "state.json")  # one of them stands in a folder that `save_to_disk` wrote
ABOUT = ("readme", "license", "licence", "citation", "changelog")  # names of files about the data
NO_DATA = (*ABOUT, "dataset_info", "dataset_infos", "config", "dummy_data")  # names of files that are not read
# What `datasets` takes for no data:
LIBRARY = ("README.md", "config.json", "dataset_info.json", "dataset_infos.json", "dataset_dict.json", "dummy_data.zip")
WILD = "*?["
Row = TypeVar("Row")
ClassNames = Mapping[str, list[str]]  # of the classes of columns, by the columns' names
Source = tuple[str, str]  # a file and nothing, or a set and the name of a split of it


class Span(NamedTuple):
    """Rows of one source that a split takes, by their numbers among those that were read."""

    source: Source
    first: int
    size: int


class Shared(NamedTuple):
    """The rows that two splits have in common."""

    rows: int
    whole: bool  # whether these are all rows of both
    sliced: bool  # whether one of the splits is rows of a split


class Part:
    """One split before it is read: the names of its files, its rows, and what a message calls a row that was read."""

    name: str = ""  # of the split, where the set has names for them
    files: Sequence[str]
    text_labels = False  # whether its values are text, whatever they look like
    note: str = ""  # what is odd about where it lies
    sizes: Sequence[int] = ()  # rows of each of `files`; known once they are read

    @property
    def names(self) -> ClassNames:
        """Of the classes of columns that hold their numbers, once it is read. A README.md is looked at when they are asked for:
        what says no class needs none. DataError, one line, where it cannot be read, or files disagree."""
        return {}

    @property
    def bases(self) -> Sequence[Part]:
        """The splits whose rows these are: itself, unless it takes rows of others."""
        return [self]

    @property
    def spans(self) -> list[Span]:
        """Where its rows lie, once they are read."""
        return [Span((file, self.name), 0, size) for file, size in zip(self.files, self.sizes, strict=True)]

    @property
    def key(self) -> str:
        """What tells it from the other splits of its set: several may have the same `files`."""
        return self.name or self.files[0]

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

    def __init__(self, paths: Sequence[str], reading: Reading, listed: Callable[[], ClassNames] = dict):
        """`listed` gives the names of classes that the files themselves do not say."""
        self.files, self._reading, self._listed = paths, reading, listed
        self.text_labels = is_text(paths[0])
        self._read: list[FileRows] = []
        self._own: dict[str, ClassNames] = {}  # the names of classes that each of the files says

    @property
    def names(self) -> ClassNames:
        return agreed({README: self._listed(), **self._own})

    def check(self, columns: Sequence[str]) -> None:
        for path in self.files:
            if file_kind(path) == ".parquet":
                check_parquet(user_file(path), columns)

    def read(self, columns: Sequence[str], text: bool = True) -> FileRows:
        import pyarrow.parquet

        self._read = [read_rows(path, columns, self._reading, text) for path in self.files]
        tables, dropped = [rows.table for rows in self._read], sum(rows.dropped for rows in self._read)
        self.sizes = list(map(len, tables))
        if file_kind(self.files[0]) == ".parquet":
            schemas = [pyarrow.parquet.read_schema(user_file(path)) for path in self.files]
            self._own = {path: class_names(one, columns) for path, one in zip(self.files, schemas, strict=True)}
        return FileRows(concatenated(tables, self.files), self._kept() if dropped else None, dropped)

    def _kept(self) -> numpy.ndarray:
        """The numbers of the rows that were kept, among the rows of all files."""
        sizes = [len(rows.table) + rows.dropped for rows in self._read]
        kept = [numpy.arange(size) if rows.kept is None else rows.kept for size, rows in zip(sizes, self._read, strict=True)]
        return numpy.concatenate([one + sum(sizes[:number]) for number, one in enumerate(kept)])

    def where(self, row: int) -> str:
        for path, rows in zip(self.files, self._read, strict=True):
            if row < len(rows.table):
                return place(path, row if rows.kept is None else int(rows.kept[row]), self._reading)
            row -= len(rows.table)
        raise IndexError(row)


class Published(Part):
    """A split of a set of the hub, by its id."""

    def __init__(
        self,
        hub: str,
        split: str,
        config: str | None,
        revision: str | None,
        reading: Reading,
        listed: Callable[[], ClassNames],
    ):
        """`listed`: see `Files`."""
        self.files, self.name, self._hub, self._reading = [hub], split, hub, reading
        self._config, self._revision, self._listed = config, revision, listed
        self._own: ClassNames = {}
        self._kept: numpy.ndarray | None = None

    def shown(self, file: str) -> str:
        return f"{file}/{self.name}"

    @property
    def names(self) -> ClassNames:
        return {**self._listed(), **self._own}

    @property
    def note(self) -> str:  # type: ignore[override]
        return uncertain_revision(self._hub, self._config, self._revision)

    def check(self, columns: Sequence[str]) -> None:
        check_columns(self._hub, [self.name], columns, self._config, self._revision)

    def read(self, columns: Sequence[str], text: bool = True) -> FileRows:
        sound = not self._reading.drop_empty
        table = read_split(self._hub, self.name, columns, self._config, self._revision, sound)
        self._own = read_class_names(self._hub, self.name, columns, self._config, self._revision)
        rows = FileRows(table) if sound else whole_rows(table, f"{self._hub}: split {self.name!r}", self._reading)
        self._kept, self.sizes = rows.kept, [len(rows.table)]
        return rows

    def where(self, row: int) -> str:
        number = row if self._kept is None else int(self._kept[row])
        return f"{self._hub}: split {self.name!r} row {number + 1}"


class Saved(Part):
    """A split of what `Dataset.save_to_disk` or `DatasetDict.save_to_disk` wrote."""

    def __init__(self, folder: Path, split: str, alone: bool, reading: Reading):
        self.files, self.name, self._folder, self._alone, self._reading = [f"{folder}/"], split, folder, alone, reading
        self._kept: numpy.ndarray | None = None
        self._own: ClassNames = {}

    @property
    def names(self) -> ClassNames:
        return self._own

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
            self._own = class_names(rows.features.arrow_schema, columns)
            table = rows.select_columns(list(columns)).with_format("arrow")[:].select(list(columns))
        except DataError:
            raise
        except Exception as error:  # of a damaged folder, any
            raise DataError(f"{where} cannot be read: {shortened(str(error).splitlines()[0])}") from None
        found = whole_rows(table.replace_schema_metadata(None), where, self._reading)
        self._kept, self.sizes = found.kept, [len(found.table)]
        return found

    def where(self, row: int) -> str:
        number = row if self._kept is None else int(self._kept[row])
        return f"{self._folder}: split {self.name!r} row {number + 1}"


class Sliced(Part):
    """Rows of splits that an instruction of the library picks: `train[:80%]`, `train[1000:]+dev`."""

    def __init__(self, instruction: str, parts: Mapping[str, Part], read: dict[str, FileRows]):
        """`read`: what was read of each split, shared by all that take rows of it."""
        self.name, self._parts, self._rows = instruction, parts, read
        self.files = [file for part in parts.values() for file in part.files]
        self.text_labels = all(part.text_labels for part in parts.values())
        self._places: list[tuple[Part, int, int]] = []  # (split, its first row of these, how many)

    @property
    def names(self) -> ClassNames:
        return agreed({part.key: part.names for part in self.bases})

    @property
    def bases(self) -> Sequence[Part]:
        return list(self._parts.values())

    @property
    def spans(self) -> list[Span]:
        return [one for part, first, size in self._places for one in _within(part.spans, first, size)]

    def shown(self, file: str) -> str:
        part = next(part for part in self.bases if file in part.files)
        return f"{part.shown(file)}: {self.name}"

    def check(self, columns: Sequence[str]) -> None:
        for part in self.bases:
            part.check(columns)

    def read(self, columns: Sequence[str], text: bool = True) -> FileRows:
        for name, part in self._parts.items():
            if name not in self._rows:
                self._rows[name] = part.read(columns, text)
        tables, asked = [], 0
        self._places = []
        for name, begin, end in self.picks({name: len(rows.table) + rows.dropped for name, rows in self._rows.items()}):
            rows = self._rows[name]
            first, last = (begin, end) if rows.kept is None else numpy.searchsorted(rows.kept, [begin, end]).tolist()
            tables.append(rows.table.slice(first, last - first))
            self._places.append((self._parts[name], first, last - first))
            asked += end - begin
        found = concatenated(tables, [self.name] * len(tables))
        if not len(found):
            raise DataError(f"{self.name}: each of its {asked} rows lacks a value")
        return FileRows(found, dropped=asked - len(found))

    def picks(self, rows: Mapping[str, int]) -> list[tuple[str, int, int]]:
        """(split, first row, row behind the last) of what the instruction picks of splits that have so many `rows`."""
        from datasets import ReadInstruction

        try:
            picked = ReadInstruction.from_spec(self.name).to_absolute(dict(rows))
        except (ValueError, AssertionError) as error:
            raise self._refusal(rows, f": {shortened(str(error).splitlines()[0], 150)}") from None
        found = [(one.splitname, one.from_, one.to) for one in picked if one.from_ < one.to]
        if not found:
            raise self._refusal(rows, " takes no rows")
        return found

    def pick(self, read: Callable[[Part], Sequence[Row]]) -> list[Row]:
        """The rows that are picked of those that `read` gives of a split."""
        rows = {name: read(part) for name, part in self._parts.items()}
        picks = self.picks({name: len(side) for name, side in rows.items()})
        self._places = [(self._parts[name], begin, end - begin) for name, begin, end in picks]
        return [row for name, begin, end in picks for row in rows[name][begin:end]]

    def _refusal(self, rows: Mapping[str, int], said: str) -> DataError:
        return DataError(
            f"{self.name}{said}; there are: " + ", ".join(f"{amount(size, 'row')} of {name}" for name, size in rows.items())
        )

    def where(self, row: int) -> str:
        for part, first, size in self._places:
            if row < size:
                return part.where(first + row)
            row -= size
        raise IndexError(row)


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
    others: bool = False  # whether a file that is named outright may have any other ending
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
        read: dict[str, FileRows] = {}
        wanted: dict[str, Part] = {split: self._named(split, value, there, read) for split, value in self.named.items()}
        used = {id(base) for part in wanted.values() for base in part.bases}
        for split, name in chosen_splits([name for name, part in there.items() if id(part) not in used]).items():
            wanted.setdefault(split, there[name])
        if "train" not in wanted and "train" in there:
            raise DataError(
                f"{self.name}: {' and '.join(f'task.{split}' for split in self.named)} takes its split 'train'; name what is "
                'left to train on: task.train="train[:80%]", or a file'
            )
        if "train" not in wanted:
            raise DataError(
                f"{self.name}: no split 'train'; there are: {shortened(', '.join(there) or ', '.join(beside), 150) or 'none'}; "
                "task.train= names one, or a file"
            )
        used = {id(base) for part in wanted.values() for base in part.bases}
        unused = [name for name, part in there.items() if id(part) not in used]
        return {split: wanted[split] for split in NAMES if split in wanted}, [*unused, *beside]

    def check(self, columns: Sequence[str]) -> None:
        """DataError where a split that is read lacks one of `columns`; of a set that is not on disk nothing is asked."""
        for part in self.parts()[0].values():
            part.check(columns)

    def _named(self, split: str, value: str, there: Mapping[str, Part], read: dict[str, FileRows]) -> Part:
        """The split called `value`, the rows of splits that it picks, or the files that it names."""
        if value in there:
            return there[value]
        names = instructed(value)
        if names and not set(names) - set(there):
            return Sliced(value, {name: there[name] for name in names}, read)
        if names and "[" in value and not expanded(value).exists():
            new = next(name for name in names if name not in there)
            known = f"no split {new!r}{nearest(new, there) or ';'} there are: {', '.join(there)}"
            raise DataError(
                f"task.{split}={value}: {known if there else 'rows of no split; task.file= or task.hub= names the data'}"
            )
        if self.id:
            near = nearest(value, there) or ";"
            raise DataError(f"task.{split}={value}: {self.hub} has no such split{near} there are: {', '.join(there) or 'none'}")
        folder = expanded(self.hub or self.file or ".")
        within = str(folder / value) if folder.is_dir() and not expanded(value).exists() else value
        return self._files(self._matching(within, f"task.{split}={value}"))

    def _files(self, paths: Sequence[str], reading: Reading | None = None) -> Files:
        return Files(sorted(paths, key=by_number) if self.in_time else paths, reading or self.reading, self._class_names)

    def _class_names(self) -> ClassNames:
        """`_names`, as a function that a task may hold and that can be sent to another process."""
        return self._names

    @cached_property
    def _names(self) -> ClassNames:
        """The names of classes that the README.md of the set says; it is read once, for all splits."""
        if self.id:
            return readme_class_names(self.id, self.config, self.revision)
        folder = expanded(self.hub or self.file or ".")
        return listed_names(folder, self.config) if (self.hub or self.file) and folder.is_dir() else {}

    def _there(self, fetch: bool) -> tuple[dict[str, Part], list[str]]:
        """The splits by their names, and what is beside them."""
        if self.id:
            names = splits(self.id, self.config, self.revision, fetch)
            about = (self.config, self.revision, self.reading, self._class_names)
            return {name: Published(self.id, name, *about) for name in names}, []
        path = self.hub or self.file
        if path is None:
            return {}, []
        folder = expanded(path)
        if folder.is_dir():
            within = folder / (self.config or "")
            listed = None if self.config and within.is_dir() else listed_files(folder, self.config)
            return self._listed(folder, listed) if listed else self._folder(within)
        if self.hub:
            raise DataError(f"{self.hub}: there is no such folder")
        return {"train": self._files(self._matching(path, path))}, []

    def _matching(self, path: str, name: str) -> list[str]:
        """The file at `path`, or those that it is a pattern of, all of one kind."""
        if any(sign in path for sign in WILD) and not expanded(path).exists():
            found = sorted(one for one in glob.glob(str(expanded(path)), recursive=True) if file_kind(one) in self.kinds)
            if not found:
                raise DataError(f"{name}: no file fits; allowed: a pattern of {', '.join(self.kinds)} files")
            if len(there := {file_kind(one) for one in found}) > 1:
                raise DataError(
                    f"{name} fits files of {len(there)} kinds: {', '.join(sorted(there))}; allowed: files of one kind"
                )
            return found
        user_file(path, name if name != path else "")
        if not self.others:
            check_kind(path, self.kinds)
        return [path]

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
        if not tables:
            raise DataError(
                f"{folder} has no train{{{','.join(self.kinds)}}}; there are: {shortened(', '.join(shown), 150) or 'none'}"
            )
        others = [name for name in shown if name not in tables and not self._is_about_data(Path(name))]
        return self._in_folder(folder, found, self.reading), [*beside, *others]

    def _listed(self, folder: Path, listed: Listed) -> tuple[dict[str, Part], list[str]]:
        """The files that the folder's README.md lists, and the others of their kinds."""
        every = {str(path.relative_to(folder)) for path in folder.rglob("*") if file_kind(path) in self.kinds}
        said = listed.separator if self.reading.separator == "auto" else None
        reading = replace(self.reading, separator=said) if said else self.reading
        used = {name for names in listed.files.values() for name in names}
        return self._in_folder(folder, listed.files, reading), sorted(every - used)

    def _in_folder(self, folder: Path, found: Mapping[str, Sequence[str]], reading: Reading) -> dict[str, Part]:
        """The splits of these files, by their paths in the folder."""
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
            parts[split] = self._files([str(folder / name) for name in names], reading)
        return parts


@dataclass(frozen=True)
class Splits:
    """The splits of a set, and what is said of them."""

    parts: Mapping[str, Part]
    unread: Sequence[str]
    dropped: int = 0

    def names(self, column: str) -> list[str]:
        """The names of the classes of a column that holds their numbers; none where they have none."""
        return agreed({part.key: part.names for part in self.parts.values()}).get(column, [])

    def where(self, split: str, row: int) -> str:
        """What a message calls row `row`, from 0, of a split."""
        return self.parts[split].where(row)

    @property
    def shared(self) -> dict[tuple[str, str], Shared]:
        """What the pairs of splits have in common that have rows of the same files or splits; known once they are read."""
        spans = {split: part.spans for split, part in self.parts.items()}
        names = _by_content({one.source for side in spans.values() for one in side})
        taken = {split: _taken(side, names) for split, side in spans.items()}
        found = {}
        for one, other in combinations(self.parts, 2):
            rows = sum(_both(taken[one][name], taken[other][name]) for name in taken[one].keys() & taken[other].keys())
            whole = all(sum(map(numpy.count_nonzero, taken[split].values())) == rows for split in (one, other))
            if rows:
                sliced = any(isinstance(self.parts[split], Sliced) for split in (one, other))
                found[one, other] = Shared(rows, whole, sliced)
        return found

    @property
    def text_labels(self) -> list[str]:
        """The splits whose values are text, whatever they look like."""
        return [split for split, part in self.parts.items() if part.text_labels]

    def facts(self) -> dict[str, Any]:
        """For the record: the files of each split, by their names."""
        named = {split: [part.shown(name) for name in part.files] for split, part in self.parts.items()}
        shared = {f"{one} and {other}": both.rows for (one, other), both in self.shared.items()}
        return {"files": named, "dropped": self.dropped, **({"shared": shared} if shared else {})}


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
    found = Loaded(parts, unread, sum(one.dropped for one in rows.values()), tables)
    if where.in_time:
        _check_in_time(where, found)
    return found


def _check_in_time(where: Place, found: Splits) -> None:
    """DataError where rows in the order of time stand in train and in test, unless these are all rows of both: one file or
    split that was named for both, or a copy of it."""
    test = "test" if "test" in found.parts else "validation"  # then validation is the test
    both = found.shared.get(("train", test))
    if both and (both.sliced or not both.whole):
        named = " and ".join(f"task.{split}={where.named[split]}" for split in ("train", test) if split in where.named)
        common = f"{amount(both.rows, 'row')} in common"
        raise DataError(
            f"{where.name}: train and {test} have {common} ({named}): what is reported was trained on; "
            'expected rows of time that do not overlap, such as task.train="train[:80%]" task.test="train[80%:]"'
        )


def _within(spans: Iterable[Span], first: int, size: int) -> Iterator[Span]:
    """The rows `first` to `first + size` of those of `spans`, which lie end to end."""
    for source, begin, count in spans:
        low, high = max(first, 0), min(first + size, count)
        if low < high:
            yield Span(source, begin + low, high - low)
        first -= count


def _by_content(sources: Iterable[Source]) -> dict[Source, Source]:
    """Each source with the first of those that have its content: a file may have a second name, or a copy."""
    found: dict[Source, Source] = {}
    alike: dict[object, list[Source]] = {}
    for source in sorted(sources):
        path, split = source
        others = alike.setdefault(source if split else expanded(path).stat().st_size, [])
        same = (one for one in others if split or filecmp.cmp(expanded(one[0]), expanded(path), shallow=False))
        found[source] = next(same, source)
        others.append(source)
    return found


def _taken(spans: Iterable[Span], names: Mapping[Source, Source]) -> dict[Source, numpy.ndarray]:
    """(rows,) bool of each source: which of its rows, up to the last of them, are taken."""
    found: dict[Source, numpy.ndarray] = {}
    for source, first, size in spans:
        before = found.get(names[source], numpy.zeros(0, bool))
        found[names[source]] = rows = numpy.zeros(max(len(before), first + size), bool)
        rows[: len(before)] = before
        rows[first : first + size] = True
    return found


def _both(one: numpy.ndarray, other: numpy.ndarray) -> int:
    size = min(len(one), len(other))
    return int(numpy.count_nonzero(one[:size] & other[:size]))


def agreed(named: Mapping[str, ClassNames]) -> dict[str, list[str]]:
    """The names of the classes of columns, where all files that have them have the same; DataError where they do not."""
    found: dict[str, list[str]] = {}
    for file, columns in named.items():
        for column, names in columns.items():
            if found.setdefault(column, names) != names:
                raise DataError(
                    f"{file}: the classes of {column!r} are {shortened(str(names), 80)}, where another file of the set has "
                    f"{shortened(str(found[column]), 80)}; write all with the same ClassLabel"
                )
    return found


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


def _saved_splits(folder: Path) -> list[str]:
    try:
        names = json.loads((folder / "dataset_dict.json").read_text(encoding="utf-8"))["splits"]
        return [str(name) for name in names]
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(f"{folder}/dataset_dict.json does not list splits; save the set again by save_to_disk") from None
