"""The law that inputs are fuzzed against: a verb ends with exit code 0, or with 2 and one line; and nothing else happens."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

from rnnbench.cli.main import main

LONGEST_LINE = 400  # characters of a refusal
SECONDS = 15.0  # of the processor that an answer may take; Hydra's own --hydra-help takes 5
WAITING = 12  # times as long by the clock: other work may keep the processor


class TooLong(BaseException):
    """The program did not answer in time; no `except Exception` of its own can hold it back."""


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    def stop(_number: int, _frame: FrameType | None) -> None:
        raise TooLong

    timers = {signal.SIGALRM: (signal.ITIMER_REAL, WAITING * seconds), signal.SIGPROF: (signal.ITIMER_PROF, seconds)}
    before = {number: signal.signal(number, stop) for number in timers}
    for timer, limit in timers.values():
        signal.setitimer(timer, limit)
    try:
        yield
    finally:
        for timer, _ in timers.values():
            signal.setitimer(timer, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def folder(place: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(place)
    try:
        yield
    finally:
        os.chdir(before)


# What must not happen while an input of somebody else's is read. An audit hook cannot be taken away, so it is switched.
FORBIDDEN = {"pickle.find_class", "os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "socket.connect"}
watched: list[str] | None = None


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    git = event == "subprocess.Popen" and arguments[0] == "git"  # a record names the commit
    if watched is not None and event in FORBIDDEN and not git:
        watched.append(f"{event} {arguments[:2]!r}"[:200])


sys.addaudithook(_audit)


@contextlib.contextmanager
def watching() -> Iterator[list[str]]:
    """What forbidden events there were while the context lasts."""
    global watched
    watched = found = []
    try:
        yield found
    finally:
        watched = None


def contents(place: Path) -> dict[str, bytes]:
    """What there is in a folder, by path."""
    return {str(path.relative_to(place)): path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file()}


def run(words: Sequence[str], place: Path, seconds: float = SECONDS) -> tuple[int, str, str]:
    """(exit code, standard output, standard error) of the program in the folder `place`."""
    out, err = io.StringIO(), io.StringIO()
    with folder(place), time_limit(seconds), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(list(words))
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
    return code, out.getvalue(), err.getvalue()


def check(words: Sequence[str], place: Path, codes: Sequence[int] = (0, 2), writes: bool = False) -> tuple[int, str, str]:
    """Runs `words` and holds the law; gives what `run` gives. With `writes`, an answer of 0 may leave files."""
    before = contents(place)
    with watching() as events:
        code, out, err = run(words, place)
    assert not events, f"{words}: {events}"
    assert code in codes, f"{words}: exit {code}: {err[-1000:]}"
    assert "Traceback" not in err and "Traceback" not in out, f"{words}: {err[-1000:]}"
    if code == 2:
        lines = err.splitlines()
        assert len(lines) == 1, f"{words}: {len(lines)} lines: {err[:1000]!r}"
        assert lines[0].startswith("rnnbench: ") and len(lines[0]) <= LONGEST_LINE, f"{words}: {len(lines[0])}: {lines[0]!r}"
    for text in (out, err):
        odd = {letter for letter in text if ord(letter) < 32 and letter not in "\n\t"} | ({"\x7f"} & set(text))
        assert not odd, f"{words}: control characters {odd!r} reach the terminal"
    if code != 0 or not writes:
        assert contents(place) == before, f"{words}: wrote {sorted(set(contents(place)) ^ set(before))}"
    return code, out, err
