"""Tables in files of the user's: CSV, TSV, JSON or parquet, packed ones too. Messages name the file, and its line or row.

a.csv     text,label               fields between commas; quotes around a field that holds a comma, a quote or a line break
a.tsv     text<tab>label           fields between tabs; where every line has as many tabs as the head, a line is a row
a.jsonl   {"text": "good", ...}    an object a line
a.json    [{"text": "good", ...}]  a list of objects, or an object a line
a.csv.gz                           the same, packed by gzip, bzip2 (.bz2) or xz (.xz)
"""

from __future__ import annotations

import bisect
import csv
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy

from ..console import counted
from ..options import amount, fits_64_bits, nearest, shortened
from .tables import DataError, check_parquet, check_sound, parquet_table
from .user_files import PACKED, check_encoding, text_file, user_file

if TYPE_CHECKING:
    import pyarrow


FILES = (".csv", ".tsv", ".json", ".jsonl", ".parquet")
SEPARATORS = {",": "a comma", "\t": "a tab", ";": "a semicolon", "|": "a bar", " ": "a space"}
NAMED = {"comma": ",", "tab": "\t", "semicolon": ";", "bar": "|", "space": " "}
QUOTES = {"auto": '"', "double": '"', "single": "'", "none": ""}
JSON = re.compile(r'\s*(\[\s*)?\{\s*"')  # how a file of objects begins
HALF = re.compile("[\ud800-\udfff]")  # of a character; an escape of JSON can name one
IN_QUOTES = re.compile(r'"(?:[^"]|"")*"')
LONGEST_FIELD = 2**31 - 1  # bytes; Python's own limit for a field of a CSV file is 128 kB
BETWEEN = " <sep> "  # the texts of a pair
STREAMED = 1024  # rows of a new file that are answered at once
TOGETHER = 100_000  # rows of a text file that are put into columns at once
KINDS = {str: "text", bool: "true or false", int: "a whole number", float: "a number", list: "a list", dict: "an object"}


@dataclass(frozen=True)
class Reading:
    """How text files with a table are read; `drop_empty` also counts for others."""

    separator: str = "auto"  # auto: a tab in .tsv, else a comma; else a word of NAMED or one character
    header: bool = True  # whether the first line names the columns; without names they are called 0, 1, ...
    encoding: str = "utf-8"
    quote: str = "auto"  # a word of QUOTES
    drop_empty: bool = False  # rows that lack a value are left out; else they are refused
    may_be_empty: str = ""  # the column of a text file whose empty fields are values like others

    def __post_init__(self) -> None:
        """DataError, one line, for what cannot be."""
        object.__setattr__(self, "encoding", check_encoding(self.encoding))
        one = len(self.separator) == 1 and self.separator not in "\"'\r\n"
        if self.separator != "auto" and self.separator not in NAMED and not one:
            raise DataError(
                f"task.separator={self.separator!r} is not allowed; allowed: auto, {', '.join(NAMED)}, or a character, no quote"
            )

    def between(self, path: str) -> str:
        """The separator of a file."""
        if self.separator == "auto":
            return "\t" if file_kind(path) == ".tsv" else ","
        return NAMED.get(self.separator, self.separator)


PLAIN = Reading()


class FileRows(NamedTuple):
    """What was read of a file: its rows, and where rows were left out the numbers of those that stayed."""

    table: pyarrow.Table
    kept: numpy.ndarray | None = None
    dropped: int = 0


def file_kind(path: str | Path) -> str:
    """`.csv` of reviews.CSV and of reviews.csv.gz."""
    name = Path(path)
    return (Path(name.stem) if name.suffix.lower() in PACKED else name).suffix.lower()


def is_text(path: str | Path) -> bool:
    """Whether the labels of a file are text, whatever they look like."""
    return file_kind(path) in (".csv", ".tsv")


def check_kind(path: str | Path, kinds: Sequence[str] = FILES) -> str:
    """The kind of a file; DataError where it is none of `kinds`."""
    kind = file_kind(path)
    if kind not in kinds:
        raise DataError(f"{path}: a file of an unknown kind; allowed: {', '.join(kinds)}, and text with .gz behind")
    return kind


def file_table(path: str, text: str, others: Sequence[str] = ()) -> pyarrow.Table:
    """The column `text` and the columns `others` of a file; see `read_rows`."""
    return read_rows(path, [text, *others]).table


def read_rows(path: str, columns: Sequence[str], reading: Reading = PLAIN, text: bool = True) -> FileRows:
    """The `columns` of a CSV, TSV, JSON or parquet file; `text`: the first of them is to hold text.

    All columns of a CSV or TSV file are text, as it stands there; one column of a .txt file is its lines. Raises DataError, one
    line, for a file that cannot be read, that lacks a column or a value, or that is not of its encoding.
    """
    import pyarrow

    if file_kind(path) == ".txt" and len(columns) == 1:
        return _line_table(path, columns[0], reading)
    file, kind = user_file(path), check_kind(path)
    if kind == ".parquet":
        check_parquet(file, columns)
        return whole_rows(parquet_table([file], columns), path, reading)
    if kind in (".json", ".jsonl"):
        return _json_table(path, columns, reading, text)
    kept: list[int] = []
    chunks, rows = [], 0
    for values, numbers, rows in _csv_chunks(path, columns, reading):  # noqa: B007 - the last count is that of all
        chunks.append([pyarrow.array(column, pyarrow.string()) for column in values])
        kept += numbers
    if not chunks:
        raise DataError(f"{path} has no rows")
    whole = [pyarrow.chunked_array(side, pyarrow.string()) for side in zip(*chunks, strict=True)]
    return _read(pyarrow.table(whole, names=list(columns)), kept, rows, path)


def _line_table(path: str, column: str, reading: Reading) -> FileRows:
    """The lines of a text file."""
    import pyarrow

    with text_file(path, newline=None, encoding=reading.encoding) as file:
        lines = [line.rstrip("\n") for line in counted(file, f"lines of {path} read")]
    if not lines:
        raise DataError(f"{path} has no lines")
    return FileRows(pyarrow.table({column: pyarrow.array(lines, pyarrow.string())}))


def _read(table: pyarrow.Table, kept: Sequence[int], rows: int, path: str) -> FileRows:
    if not len(table):
        raise DataError(f"{path}: each of its {rows} rows lacks a value")
    return FileRows(table, numpy.array(kept) if len(table) < rows else None, rows - len(table))


def whole_rows(table: pyarrow.Table, path: str, reading: Reading) -> FileRows:
    """The rows of a table, once they are seen to be sound; without those that lack a value, where these are to be left out."""
    import pyarrow
    import pyarrow.compute

    if not reading.drop_empty:
        return FileRows(check_sound(table, path))
    whole = pyarrow.array(numpy.ones(len(table), bool))
    for name, column in zip(table.column_names, table.columns, strict=True):
        whole = pyarrow.compute.and_(whole, pyarrow.compute.is_valid(column).combine_chunks())
        text = pyarrow.types.is_string(column.type) or pyarrow.types.is_large_string(column.type)
        if text and name != reading.may_be_empty:
            blank = pyarrow.compute.equal(pyarrow.compute.utf8_trim_whitespace(column), "").combine_chunks()
            whole = pyarrow.compute.and_not(whole, blank.fill_null(True))
    kept = whole.to_numpy(zero_copy_only=False).nonzero()[0]
    return _read(check_sound(table.filter(whole), path) if len(kept) else table.slice(0, 0), kept.tolist(), len(table), path)


def place(path: str, row: int, reading: Reading = PLAIN) -> str:
    """What a message calls row `row`, from 0, of a file: `reviews.csv: line 52`."""
    kind = file_kind(path)
    if kind in (".parquet", ".txt"):
        return f"{path}: {'row' if kind == '.parquet' else 'line'} {row + 1}"
    if kind in (".json", ".jsonl"):
        return f"{path}: {next(islice(_json_rows(path, reading), row, None))[0]}"
    rows = csv_rows(path, reading)
    return f"{path}: {next(islice(rows, row + reading.header, None))[0]}"


def label_text(value: Any) -> str | None:
    """A label as the name of its class; None where it is missing."""
    if isinstance(value, bool):
        return str(value).lower()
    return None if value is None or value == "" else str(value)


def streamed(
    path: str,
    texts: Sequence[str],
    label: str,
    reading: Reading = PLAIN,
    as_label: Callable[[Any], str | None] = label_text,
) -> Iterator[tuple[list[str], list[str | None]]]:
    """(texts, labels) of a file, some rows at a time; a label is None where the file has none. What is empty stays. Texts of
    several columns are joined by BETWEEN; `as_label` makes a label of its value.

    DataError, one line, where the file cannot be read, or a text is none.
    """
    kind, there = check_kind(path), columns_of(path, reading)
    for column in texts:
        if column not in there:
            raise DataError(f"{path}: {_no_column(column, there)}")
    wanted = [*texts, label] if label in there else list(texts)
    rows = _parquet_stream(path, wanted) if kind == ".parquet" else _text_stream(path, kind, wanted, there, reading)
    while chunk := list(islice(rows, STREAMED)):
        for where, values in chunk:
            for column, value in zip(texts, values, strict=False):
                if not isinstance(value, str):
                    raise DataError(f"{path}: {where} has {KINDS.get(type(value), 'null')} for {column!r}; expected text")
            if len(values) > len(texts) and isinstance(values[-1], float):
                raise DataError(f"{path}: {where} has {values[-1]} for {label!r}; allowed: whole numbers or text")
        labels = [as_label(values[-1]) if len(values) > len(texts) else None for _, values in chunk]
        yield [BETWEEN.join(values[: len(texts)]) for _, values in chunk], labels


def _text_stream(
    path: str, kind: str, wanted: Sequence[str], there: Sequence[str], reading: Reading
) -> Iterator[tuple[str, list[Any]]]:
    if kind in (".json", ".jsonl"):
        yield from ((where, [row.get(name) for name in wanted]) for where, row in _json_rows(path, reading))
        return
    places = [there.index(name) for name in wanted]
    for line, fields in islice(csv_rows(path, reading), int(reading.header), None):
        if len(fields) != len(there):
            raise DataError(f"{path}: {line} has {amount(len(fields), 'field')} where the first line has {len(there)}")
        yield line, [fields[place] for place in places]


def _parquet_stream(path: str, wanted: Sequence[str]) -> Iterator[tuple[str, list[Any]]]:
    import pyarrow.parquet

    check_parquet(user_file(path), wanted)
    number = 0
    with pyarrow.parquet.ParquetFile(user_file(path)) as file:
        for batch in file.iter_batches(STREAMED, columns=list(wanted)):
            for row in batch.to_pylist():
                number += 1
                yield f"row {number}", [row[name] for name in wanted]


def columns_of(path: str, reading: Reading = PLAIN) -> list[str]:
    """The names of a file's columns, as its first row says them."""
    import pyarrow.parquet

    kind = check_kind(path)
    if kind == ".parquet":
        check_parquet(user_file(path), [])
        return list(pyarrow.parquet.read_schema(user_file(path)).names)
    if kind in (".json", ".jsonl"):
        return list(next(_json_rows(path, reading), ("", {}))[1])
    return head_names(path, next(csv_rows(path, reading), ("", []))[1], reading)


def head_names(path: str, first: Sequence[str], reading: Reading) -> list[str]:
    """The names of the columns of a text file whose first row is `first`."""
    if not first:
        raise DataError(f"{path} cannot be read: it is empty; expected a line of names")
    return list(first) if reading.header else [str(number) for number in range(len(first))]


def _csv_chunks(path: str, columns: Sequence[str], reading: Reading) -> Iterator[tuple[list[list[str]], list[int], int]]:
    """(the fields of each of `columns`, the numbers of their rows, how many rows there were) of some rows at a time."""
    rows = csv_rows(path, reading)
    begin, first = next(rows, ("", []))
    if not first:
        raise DataError(f"{path} cannot be read: it is empty; expected a line of names, {', '.join(columns)} among them")
    head = head_names(path, first, reading)
    for column in columns:
        if column not in head:
            raise DataError(f"{path}: {_no_column(column, head)}{_other_separator(path, column, head, reading)}")
        if head.count(column) > 1:
            raise DataError(f"{path}: {head.count(column)} columns are called {column!r}; rename all but one")
    wanted = [head.index(column) for column in columns]
    needed = {*columns} - {reading.may_be_empty}
    found: list[list[str]] = [[] for _ in columns]
    kept: list[int] = []
    rows, number = rows if reading.header else chain([(begin, first)], rows), -1
    for number, (line, fields) in enumerate(counted(rows, f"rows of {path} read")):
        if len(fields) != len(head):
            raise DataError(
                f"{path}: {line} has {amount(len(fields), 'field')} where the head line has {len(head)}: "
                f"{shortened(str(fields))}; "
                f"expected {_called(reading.between(path))} between fields, and quotes around a field that holds one"
            )
        values = [fields[one] for one in wanted]
        if reading.drop_empty and not all(value.strip() for name, value in zip(columns, values, strict=True) if name in needed):
            continue
        for column, value, side in zip(columns, values, found, strict=True):
            if not value.strip() and column not in (columns[0], reading.may_be_empty):
                raise DataError(f"{path}: {line} has no {column!r}; fill it in, or leave the row out (task.drop_empty=true)")
            side.append(value)
        kept.append(number)
        if len(kept) == TOGETHER:
            yield found, kept, number + 1
            found, kept = [[] for _ in columns], []
    if kept or number >= 0:
        yield found, kept, number + 1


def _called(separator: str) -> str:
    return SEPARATORS.get(separator, repr(separator))


def _no_column(column: str, there: Sequence[str]) -> str:
    names = ", ".join(repr(name) if "," in name else name for name in there)
    return f"no column {column!r}{nearest(column, there) or ';'} there are: {shortened(names, 150) or 'none'}"


def _other_separator(path: str, column: str, head: Sequence[str], reading: Reading) -> str:
    """What to do where the names of the head line stand between other separators than were expected."""
    between = reading.between(path)
    for word, other in NAMED.items():
        if other != between and column in between.join(head).split(other):
            return f". Its separator is {SEPARATORS[other]}: task.separator={word} reads it"
    if reading.header:
        return ". Its first line is taken as the names of its columns; task.header=false reads a file without names"
    return ""


def csv_rows(path: str, reading: Reading) -> Iterator[tuple[str, list[str]]]:
    """(`line 52`, the fields) of each row of a CSV or TSV file, the head line first.

    Empty lines are left out, unless the file has one column: there one before the last row is a row with an empty field.
    """
    columns, empty = 0, list[str]()
    for line, fields in _field_rows(path, reading):
        if fields:
            yield from ((one, [""]) for one in empty)
            columns, empty = columns or len(fields), []
            yield line, fields
        elif columns == 1:
            empty.append(line)


def _field_rows(path: str, reading: Reading) -> Iterator[tuple[str, list[str]]]:
    """The same with empty lines, which have no fields."""
    between = reading.between(path)
    plain = reading.quote == "auto" and between == "\t" and _a_row_a_line(path, reading)
    if reading.quote == "none" or plain:
        for line, fields in _split_lines(path, reading):
            yield line, [_unquoted(field) for field in fields] if plain else fields
        return
    csv.field_size_limit(LONGEST_FIELD)
    quote = QUOTES[reading.quote]
    reader, begin = csv.reader(_lines(path, reading), delimiter=between, quotechar=quote, strict=True), 1
    try:
        for fields in reader:
            if between == "\t" and any("\n" in field and "\t" in field for field in fields):
                raise DataError(
                    f"{path}: line {begin}: a quote opens a field there that ends in line {reader.line_num}, over line "
                    "breaks and tabs; if it belongs to the text, double it and put the text in quotes; else save as .csv"
                )
            yield f"line {begin}", fields
            begin = reader.line_num + 1
    except csv.Error:
        raise DataError(
            f"{path}: line {begin}: a quote opens a field there, and does not close at the end of a field"
            f"{f' (line {reader.line_num})' if reader.line_num > begin else ''}; a field in quotes has each quote of its "
            f'own doubled: "he said ""no"""'
        ) from None


def _lines(path: str, reading: Reading) -> Iterator[str]:
    """The lines of a CSV or TSV file, with their ends."""
    with text_file(path, encoding=reading.encoding) as file:
        for number, line in enumerate(file, 1):
            if "\0" in line:
                raise DataError(f"{path}: line {number} has the byte 0x00, which is no text; remove it, or leave the row out")
            if number == 1 and JSON.match(line):
                raise DataError(f"{path} is JSON; give it the ending .json, or .jsonl with an object a line")
            yield line


def _split_lines(path: str, reading: Reading) -> Iterator[tuple[str, list[str]]]:
    """(`line 52`, what stands between its separators) of each line; nothing of an empty one."""
    between = reading.between(path)
    for number, line in enumerate(_lines(path, reading), 1):
        line = line.rstrip("\r\n")
        yield f"line {number}", line.split(between) if line else []


def _a_row_a_line(path: str, reading: Reading) -> bool:
    """Whether every line has as many tabs: then no field holds a line break, and a quote that stands alone is a character."""
    return len({len(fields) for _, fields in _split_lines(path, reading) if fields}) == 1


def _unquoted(field: str) -> str:
    """`field` without the quotes around it, if it stands in quotes as a whole."""
    return field[1:-1].replace('""', '"') if IN_QUOTES.fullmatch(field) else field


def _json_rows(path: str, reading: Reading) -> Iterator[tuple[str, dict[str, Any]]]:
    """(`line 52`, or `object 51` in a list, and the object) of each row of a JSON file."""
    for where, value in _json_values(path, reading):
        if not isinstance(value, dict):
            raise DataError(
                f"{path}: {where} is {KINDS.get(type(value), 'null')}; expected an object with a value for each column"
            )
        yield where, value


def _json_values(path: str, reading: Reading) -> Iterator[tuple[str, Any]]:
    """The same of whatever stands there: the objects of a list, or a value a line, read line by line."""
    with text_file(path, newline="\n", encoding=reading.encoding) as file:
        begun, begin = "", ""  # the lines up to the first sign, and that line
        for begin in file:
            if begin.strip():
                break
            begun += begin
        if begin.lstrip().startswith("["):
            whole = _parsed(begun + begin + file.read(), path, 0)
            yield from ((f"object {number}", value) for number, value in enumerate(whole, 1))
            return
        line = begun.count("\n")
        for number, text in enumerate([begin] if begin.endswith("\n") else begin.split("\r"), line + 1):
            if text.strip():
                yield f"line {number}", _parsed(text.rstrip("\n"), path, number)
        for number, text in enumerate(file, line + 2):
            if text.strip():
                yield f"line {number}", _parsed(text.rstrip("\n"), path, number)


def _parsed(text: str, path: str, line: int) -> Any:
    """The value of a JSON text: of line `line`, or of the whole file if that is 0."""
    where = f"line {line}" if line else "its list"
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        where, reason = f"line {line or error.lineno} column {error.colno}", error.msg
    except RecursionError:
        reason = "nested too deeply"
    except DataError as error:
        reason = str(error)
    except ValueError:  # Python's limit for the digits of a number
        reason = "a number of too many digits"
    raise DataError(f"{path} cannot be read: {where}: {reason}; expected a list of objects, or an object a line")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these names and values; DataError where a name stands twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise DataError(f"an object has {shortened(next(name for name in names if names.count(name) > 1))!r} twice")
    return found


def _json_table(path: str, columns: Sequence[str], reading: Reading, text: bool) -> FileRows:
    """The `columns` of a JSON file, each with values of one kind; `text`: the first holds text."""
    import pyarrow

    found: dict[str, list[Any]] = {column: [] for column in columns}
    first: dict[str, tuple[str, type]] = (
        {columns[0]: ("", str)} if text else {}
    )  # where the first value of a column stands, and its type
    names: set[str] = set()
    lacking: dict[str, str] = {}  # where a column has its first gap
    kept: list[int] = []
    number = -1
    for number, (where, row) in enumerate(counted(_json_rows(path, reading), f"rows of {path} read")):
        names |= row.keys()
        values = [row.get(column) for column in columns]
        blank = [column for column, value in zip(columns, values, strict=True) if isinstance(value, str) and not value.strip()]
        if reading.drop_empty and (None in values or any(column != reading.may_be_empty for column in blank)):
            continue
        kept.append(number)
        for column, value in zip(columns, values, strict=True):
            if value is None:
                lacking.setdefault(column, where)
                continue
            begun, kind = first.setdefault(column, (where, type(value)))
            if type(value) is not kind and {kind, type(value)} != {int, float}:
                expected = f"text{f', as in {begun}' if begun else ''}" if kind is str else f"{KINDS[kind]}, as in {begun}"
                raise DataError(f"{path}: {where} has {KINDS[type(value)]} for {column!r}; expected {expected}")
            if isinstance(value, int) and not fits_64_bits(value):
                raise DataError(f"{path}: {where} has a whole number of more than 64 bits for {column!r}; write it as text")
            if isinstance(value, str) and HALF.search(value):
                raise DataError(f"{path}: {where} has an escape of half a character in {column!r}; write both halves")
            found[column].append(value)
    if not names and not lacking:
        raise DataError(f"{path} has no rows")
    for column in columns:
        if column not in names:
            raise DataError(f"{path}: {_no_column(column, sorted(names))}")
    for column, where in lacking.items():
        raise DataError(f"{path}: {where} has no {column!r}; fill it in, or leave the row out (task.drop_empty=true)")
    if not kept:
        return _read(pyarrow.table({column: [] for column in columns}), kept, number + 1, path)
    arrays = {column: _array(values, column, lambda row: place(path, kept[row], reading)) for column, values in found.items()}
    return _read(check_sound(pyarrow.table(arrays), path), kept, number + 1, path)


def _array(values: Sequence[Any], name: str, where: Callable[[int], str]) -> pyarrow.Array:
    """Values of JSON as the column `name`; DataError where lists hold what does not belong together. `where(r)` is what a
    message calls row r.
    """
    import pyarrow

    def refusal(rows: int) -> Exception | None:
        """Why the first rows are no column."""
        try:
            pyarrow.array(values[:rows])
        except (pyarrow.ArrowException, OverflowError, UnicodeError) as error:
            return error
        return None

    if error := refusal(len(values)):
        row = bisect.bisect_left(range(len(values)), True, key=lambda row: refusal(row + 1) is not None)
        reason = shortened(str(error).splitlines()[0], 120)
        raise DataError(
            f"{where(row)} has {shortened(str(values[row]), 60)} for {name!r}, not of one type with the values before it: "
            f"{reason}; expected lists of texts, or of numbers"
        )
    return pyarrow.array(values)
