"""Files of the user's: text in UTF-8, and tables in CSV, TSV, JSON or parquet. Messages name the file, and its line or row.

a.csv     text,label               fields between commas; quotes around a field that holds a comma, a quote or a line break
a.tsv     text<tab>label           fields between tabs; where every line has as many tabs as the head, a line is a row
a.jsonl   {"text": "good", ...}    an object a line
a.json    [{"text": "good", ...}]  a list of objects, or an object a line
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from ..options import fits_64_bits, nearest, shortened
from .file_kinds import HEAD, kind_of
from .tables import DataError, check_parquet, check_sound, parquet_table

if TYPE_CHECKING:
    import pyarrow


FILES = (".csv", ".tsv", ".json", ".jsonl", ".parquet")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
SEPARATORS = {",": "a comma", "\t": "a tab", ";": "a semicolon", "|": "a bar"}
JSON = re.compile(r'\s*(\[\s*)?\{\s*"')  # how a file of objects begins
HALF = re.compile("[\ud800-\udfff]")  # of a character; an escape of JSON can name one
IN_QUOTES = re.compile(r'"(?:[^"]|"")*"')
LONGEST_FIELD = 2**31 - 1  # bytes; Python's own limit for a field of a CSV file is 128 kB
STREAMS = ("/dev/std", "/dev/fd/", "/proc/")  # what other programs send, though it may be a file
KINDS = {str: "text", bool: "true or false", int: "a whole number", float: "a number", list: "a list", dict: "an object"}


def expanded(path: str) -> Path:
    """`path` with the home folder in place of `~` or `~user`; DataError where nobody is called so."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        user = path.split("/")[0]
        raise DataError(f"{path}: {user} is nobody's home folder; write the path in full, or ./{user} for a name") from None


def user_file(path: str, name: str = "", allowed: str = "") -> Path:
    """The file at `path`, which can be read again and again.

    Raises DataError, one line from `name`, or the path, to `allowed`: there is no file, or it is a folder, a pipe, a device, or
    what another program sends.
    """
    file, name = expanded(path), name or path
    try:
        mode = file.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise DataError(f"{name}: there is no such file{allowed}") from None
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror}") from None
    if stat.S_ISDIR(mode):
        raise DataError(f"{name} is a folder{allowed or '; expected a file'}")
    if not stat.S_ISREG(mode) or str(file).startswith(STREAMS):
        raise DataError(f"{name} is a pipe or a device, which cannot be read twice; save what it gives as a file")
    return file


@contextlib.contextmanager
def text_file(path: str | Path, name: str = "", newline: str | None = "") -> Iterator[TextIO]:
    """`path`, open as UTF-8, without its byte order mark; `newline` is that of `open`.

    Raises DataError, one line that begins with `name`, or the path, where the file cannot be read, or a line is not UTF-8.
    """
    file, name = user_file(str(path), name), name or str(path)
    try:
        with open(file, "rb") as content:
            if kind := kind_of(content.read(HEAD)):
                raise DataError(f"{name} is not UTF-8 text but {kind}")
        with open(file, encoding="utf-8-sig", newline=newline) as text:
            yield text
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        with open(file, "rb") as lines:
            raise not_utf8(name, lines) from None


def not_utf8(name: str, lines: Iterable[bytes]) -> DataError:
    """The refusal of what has these lines: it says what they are, or where the first byte stands that is no UTF-8."""
    for number, line in enumerate(lines, 1):
        if number == 1 and (kind := kind_of(line[:HEAD])):
            return DataError(f"{name} is not UTF-8 text but {kind}")
        try:
            line.decode()
        except UnicodeDecodeError as error:
            return DataError(f"{name} is not UTF-8: line {number} has the byte 0x{line[error.start]:02x}; save it as UTF-8")
    return DataError(f"{name} is not UTF-8; save it as UTF-8")


def content_digest(path: Path) -> str:
    """The sha256 of a file, but for a byte order mark at its beginning."""
    with open(path, "rb") as file:
        if file.read(3) != BYTE_ORDER_MARK:
            file.seek(0)
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_table(path: str, text: str, others: Sequence[str] = ()) -> pyarrow.Table:
    """The column `text` and the columns `others` of a CSV, TSV, JSON or parquet file.

    All columns of a CSV or TSV file are text, as it stands there. Raises DataError, one line, for a file that cannot be read,
    that lacks a column or a value, or that is not UTF-8.
    """
    import pyarrow

    file, columns = user_file(path), [text, *others]
    kind = file.suffix.lower()
    if kind not in FILES:
        raise DataError(f"{path}: a file of an unknown kind; allowed: {', '.join(FILES)}")
    if kind == ".parquet":
        check_parquet(file, columns)
        return check_sound(parquet_table([file], columns), path)
    if kind in (".json", ".jsonl"):
        return _json_table(path, columns)
    values = _csv_columns(path, columns)
    if not values[0]:
        raise DataError(f"{path} has no rows")
    return pyarrow.table([pyarrow.array(column, pyarrow.string()) for column in values], names=columns)


def place(path: str, row: int) -> str:
    """What a message calls row `row`, from 0, of a file: `reviews.csv: line 52`."""
    kind = Path(path).suffix.lower()
    if kind == ".parquet":
        return f"{path}: row {row + 1}"
    rows = _json_rows(path) if kind in (".json", ".jsonl") else islice(_csv_rows(path), 1, None)
    return f"{path}: {next(islice(rows, row, None))[0]}"


def _csv_columns(path: str, columns: Sequence[str]) -> list[list[str]]:
    """The fields of each of `columns`."""
    rows = _csv_rows(path)
    _, head = next(rows, ("", []))
    if not head:
        raise DataError(f"{path} cannot be read: it is empty; expected a line of names, {', '.join(columns)} among them")
    for column in columns:
        if column not in head:
            raise DataError(f"{path}: {_no_column(column, head)}{_other_separator(path, column, head)}")
        if head.count(column) > 1:
            raise DataError(f"{path}: {head.count(column)} columns are called {column!r}; rename all but one")
    wanted = [head.index(column) for column in columns]
    found: list[list[str]] = [[] for _ in columns]
    for line, fields in rows:
        if len(fields) != len(head):
            raise DataError(
                f"{path}: {line} has {len(fields)} fields where the head line has {len(head)}: {shortened(str(fields))}; "
                f"expected {SEPARATORS[_separator(path)]} between fields, and quotes around a field that holds one"
            )
        for column, values, number in zip(columns, found, wanted, strict=True):
            if not fields[number].strip() and column != columns[0]:
                raise DataError(f"{path}: {line} has no {column!r}; fill it in, or leave the row out")
            values.append(fields[number])
    return found


def _no_column(column: str, there: Sequence[str]) -> str:
    return f"no column {column!r}{nearest(column, there) or ';'} there are: {shortened(', '.join(there), 150) or 'none'}"


def _other_separator(path: str, column: str, head: Sequence[str]) -> str:
    """What to do where the names of the head line stand between other separators than the file's ending says."""
    for other, name in SEPARATORS.items():
        if other != _separator(path) and column in _separator(path).join(head).split(other):
            return f". Its separator is {name}; a .csv file needs a comma, a .tsv file a tab: convert or rename it"
    return ". Its first line is taken as the names of its columns; if it has none, add a line of names"


def _separator(path: str) -> str:
    return "\t" if path.lower().endswith(".tsv") else ","


def _csv_rows(path: str) -> Iterator[tuple[str, list[str]]]:
    """(`line 52`, the fields) of each row of a CSV or TSV file, the head line first; empty lines are left out."""
    if _separator(path) == "\t" and _a_row_a_line(path):
        yield from ((line, [_unquoted(field) for field in fields]) for line, fields in _tab_lines(path))
        return
    csv.field_size_limit(LONGEST_FIELD)
    reader, begin = csv.reader(_lines(path), delimiter=_separator(path), strict=True), 1
    try:
        for fields in reader:
            if any("\n" in field and "\t" in field for field in fields) and _separator(path) == "\t":
                raise DataError(
                    f"{path}: line {begin}: a quote opens a field there that ends in line {reader.line_num}, over line "
                    "breaks and tabs; if it belongs to the text, double it and put the text in quotes; else save as .csv"
                )
            if fields:
                yield f"line {begin}", fields
            begin = reader.line_num + 1
    except csv.Error:
        raise DataError(
            f"{path}: line {begin}: a quote opens a field there, and does not close at the end of a field"
            f"{f' (line {reader.line_num})' if reader.line_num > begin else ''}; a field in quotes has each quote of its "
            'own doubled: "he said ""no"""'
        ) from None


def _lines(path: str) -> Iterator[str]:
    """The lines of a CSV or TSV file, with their ends."""
    with text_file(path) as file:
        for number, line in enumerate(file, 1):
            if "\0" in line:
                raise DataError(f"{path}: line {number} has the byte 0x00, which is no text; remove it, or leave the row out")
            if number == 1 and JSON.match(line):
                raise DataError(f"{path} is JSON; give it the ending .json, or .jsonl with an object a line")
            yield line


def _tab_lines(path: str) -> Iterator[tuple[str, list[str]]]:
    """(`line 52`, what stands between its tabs) of each line that is not empty."""
    for number, line in enumerate(_lines(path), 1):
        if line := line.rstrip("\r\n"):
            yield f"line {number}", line.split("\t")


def _a_row_a_line(path: str) -> bool:
    """Whether every line has as many tabs: then no field holds a line break, and a quote that stands alone is a character."""
    return len({len(fields) for _, fields in _tab_lines(path)}) == 1


def _unquoted(field: str) -> str:
    """`field` without the quotes around it, if it stands in quotes as a whole."""
    return field[1:-1].replace('""', '"') if IN_QUOTES.fullmatch(field) else field


def _json_rows(path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(`line 52`, or `object 51` in a list, and the object) of each row of a JSON file."""
    with text_file(path) as file:
        content = file.read()
    if content.lstrip().startswith("["):
        rows = iter([(f"object {n}", value) for n, value in enumerate(_parsed(content, path, 0), 1)])
    else:
        end = "\n" if "\n" in content else "\r"
        lines = ((n, line) for n, line in enumerate(content.split(end), 1) if line.strip())
        rows = ((f"line {n}", _parsed(line, path, n)) for n, line in lines)
    for where, value in rows:
        if not isinstance(value, dict):
            raise DataError(
                f"{path}: {where} is {KINDS.get(type(value), 'null')}; expected an object with a value for each column"
            )
        yield where, value


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


def _json_table(path: str, columns: Sequence[str]) -> pyarrow.Table:
    """The `columns` of a JSON file, each with values of one kind; the first holds text."""
    import pyarrow

    found: dict[str, list[Any]] = {column: [] for column in columns}
    first: dict[str, tuple[str, type]] = {columns[0]: ("", str)}  # where the first value of a column stands, and its type
    names: set[str] = set()
    lacking: dict[str, str] = {}  # where a column has its first gap
    for where, row in _json_rows(path):
        names |= row.keys()
        for column in columns:
            value = row.get(column)
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
    for column, where in lacking.items():
        if column not in names:
            raise DataError(f"{path}: {_no_column(column, sorted(names))}")
        raise DataError(f"{path}: {where} has no {column!r}; fill it in, or leave the row out")
    return check_sound(pyarrow.table(found), path)
