"""Files of the user's: where they are, their text, line by line, and their digest. Messages name the file and its line."""

from __future__ import annotations

import bz2
import codecs
import contextlib
import gzip
import hashlib
import io
import lzma
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, TextIO, cast

from .file_kinds import HEAD, kind_of
from .tables import LEAST_BOUND, MOST_GROWTH, DataError

OTHER_ENDS = "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"  # that `str.splitlines` takes for ends of lines
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
STREAMS = ("/dev/std", "/dev/fd/", "/proc/")  # what other programs send, though it may be a file
PACKED: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}  # by the last ending


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


class _Unpacked(io.RawIOBase):
    """The content of a packed file; DataError where it is far larger than the file, or damaged."""

    def __init__(self, file: Path, name: str):
        self._content, self._name, self._read = PACKED[file.suffix.lower()](file, "rb"), name, 0
        self._most = max(LEAST_BOUND, MOST_GROWTH * file.stat().st_size)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            count = self._content.readinto(buffer)
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            raise DataError(f"{self._name} cannot be unpacked: {error}") from None
        self._read += count
        if self._read > self._most:
            raise DataError(f"{self._name} holds more than {self._most:,} bytes: unpack it, and name the unpacked file")
        return int(count)

    def close(self) -> None:
        self._content.close()
        super().close()


def opened(file: Path, name: str) -> io.BufferedReader:
    """The bytes of `file`; of one that ends with .gz, .bz2 or .xz those that are packed in it."""
    if file.suffix.lower() in PACKED:
        return io.BufferedReader(_Unpacked(file, name), 2**20)
    return open(file, "rb")


def check_encoding(encoding: str) -> str:
    """Python's name of a text encoding; DataError where there is none."""
    try:
        found = codecs.lookup(encoding)
    except (LookupError, ValueError):
        found = None
    if found is None or not getattr(found, "_is_text_encoding", True):
        raise DataError(f"task.encoding={encoding}: no such encoding; allowed: utf-8, utf-16, latin-1, cp1252, gb18030, ...")
    return found.name


@contextlib.contextmanager
def text_file(path: str | Path, name: str = "", newline: str | None = "", encoding: str = "utf-8") -> Iterator[TextIO]:
    """`path`, open as text, without its byte order mark; `newline` is that of `open`. A packed file is unpacked.

    Raises DataError, one line that begins with `name`, or the path, where the file cannot be read, or a line is of another
    encoding.
    """
    file, name = user_file(str(path), name), name or str(path)
    utf8 = encoding == "utf-8"
    try:
        with opened(file, name) as content:
            if utf8 and (kind := kind_of(content.peek(HEAD)[:HEAD])):
                raise DataError(f"{name} is not UTF-8 text but {kind}")
            yield cast(TextIO, io.TextIOWrapper(content, "utf-8-sig" if utf8 else encoding, newline=newline))
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror}") from None
    except UnicodeError as error:
        if not utf8:
            raise DataError(f"{name} is not {encoding}: {error}; task.encoding= names another") from None
        with opened(file, name) as lines:
            raise not_utf8(name, lines) from None


REMEDY = "save it as UTF-8; where the task has the option task.encoding, that may name another"


def not_utf8(name: str, lines: Iterable[bytes]) -> DataError:
    """The refusal of what has these lines: it says what they are, or where the first byte stands that is no UTF-8."""
    for number, line in enumerate(lines, 1):
        if number == 1 and (kind := kind_of(line[:HEAD])):
            return DataError(f"{name} is not UTF-8 text but {kind}")
        try:
            line.decode()
        except UnicodeDecodeError as error:
            return DataError(f"{name} is not UTF-8: line {number} has the byte 0x{line[error.start]:02x}; {REMEDY}")
    return DataError(f"{name} is not UTF-8; {REMEDY}")


def text_lines(text: str) -> list[str]:
    """The lines of a text without their ends, as those of a file: \\n, \\r\\n and \\r end one, and nothing else does."""
    return [line.removesuffix("\n") for line in io.StringIO(text, newline=None)]


def cut_before(content: IO[bytes]) -> bool:
    """Whether UTF-8 text has a character that ended a line in 0.1, by `str.splitlines`: then its lines are others now."""
    signs, before = [sign.encode() for sign in OTHER_ENDS], b""
    while piece := content.read(2**20):
        there = before + piece
        if any(sign in there for sign in signs):
            return True
        before = piece[-2:]
    return False


def content_digest(path: Path) -> str:
    """The sha256 of a file, but for a byte order mark at its beginning."""
    with open(path, "rb") as file:
        if file.read(3) != BYTE_ORDER_MARK:
            file.seek(0)
        return hashlib.file_digest(file, "sha256").hexdigest()
