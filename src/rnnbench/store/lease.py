"""Who runs what: of any number of processes on any number of machines that share a folder, one holds a run.

    runs/<task>/<model>/<run>/lease-7        {"host": ..., "pid": ..., "count": ...}; empty after a release

Each taking makes the file of the next generation, by a hard link that only one can make. While it is held, the file is
locked, and a thread raises its count. On the holder's own host the lock decides: it dies with the process, and no clock is
asked. Elsewhere a lock may not be seen: there, a holder is dead when its count has stood still for a while on the observer's
own clock. A holder that was only asleep finds, before it writes anything, that its generation is over.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .own_files import remove_files, stale_files

BEAT = 10.0  # seconds between two raises of the count
SILENCE = 60.0  # seconds of the same count after which a holder on another host is dead
PATIENCE = 0.3  # seconds: somebody who only looks may have the lock for an instant


def this_host() -> str:
    """The host's name, with what tells two hosts of one name apart."""
    with contextlib.suppress(OSError):
        return f"{socket.gethostname()}/{Path('/proc/sys/kernel/random/boot_id').read_text(encoding='utf-8')[:8]}"
    return socket.gethostname()


HOST = this_host()


class Held(RuntimeError):
    """A live process holds this run."""


class Lost(RuntimeError):
    """This process held the run until another took it over, or its folder was removed; it may write no more."""


def newest(folder: Path) -> int:
    """The generation that counts; 0 where the folder was never held, or is not there."""
    with contextlib.suppress(FileNotFoundError):
        return max((int(name[6:]) for name in os.listdir(folder) if name[:6] == "lease-" and name[6:].isdigit()), default=0)
    return 0


def _locked(file: int, kind: int = fcntl.LOCK_EX) -> bool:
    """Takes the lock of an open file, if it is free. NFS gives an exclusive one only of a file that is open for writing."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _content(file: int) -> dict[str, Any]:
    try:
        return dict(json.loads(os.pread(file, 1000, 0)))
    except ValueError:
        return {}  # released, or caught in the middle of a write


class Watch:
    """An observer of the lease of `folder`, which remembers on its own clock since when the count has not moved."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.sure = True  # whether `holder` is certain, or only not yet known to be dead
        self.generation = 0  # that was looked at last
        self._seen: Any = None
        self._since = 0.0

    def holder(self) -> str | None:
        """Who holds the run, in words; None where nobody living does."""
        self.sure = True
        self.generation = newest(self.folder)
        try:
            file = os.open(self.folder / f"lease-{self.generation}", os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            free, content = _locked(file, fcntl.LOCK_SH), _content(file)  # closing unlocks
        finally:
            os.close(file)
        host = content.get("host")
        if free and host in (None, HOST):
            return None
        who = f"process {content.get('pid')} on {host.partition('/')[0]}" if host else "another process"
        if host in (None, HOST):
            return who
        seen, now = (self.generation, content.get("count")), time.monotonic()
        if self._seen is None or seen != self._seen:
            self.sure = self._seen is not None  # the count has moved: it lives
            self._seen, self._since = seen, now
            return who
        self.sure = False
        return who if now - self._since < SILENCE else None


class Lease:
    """What a holder has: the right to write into the folder for as long as `check` does not raise."""

    def __init__(self, folder: Path, generation: int, file: int):
        self.folder, self.generation, self._file = folder, generation, file
        self._count = 0
        self._over = threading.Event()
        OPEN.add(file)
        self._thread = threading.Thread(target=self._beat, daemon=True, name="lease")
        self._thread.start()

    def _beat(self) -> None:
        while not self._over.wait(BEAT):
            self._count += 1
            with contextlib.suppress(OSError):  # a full disk, say; if it lasts, another may take over, and `check` will tell
                os.pwrite(self._file, _told(self._count), 0)

    def check(self) -> None:
        """Raises Lost where this generation is over."""
        try:
            there, mine = os.stat(self.folder / f"lease-{self.generation}"), os.fstat(self._file)
            over = (there.st_dev, there.st_ino) != (mine.st_dev, mine.st_ino)
        except FileNotFoundError:
            over = True
        if over or (self.folder / f"lease-{self.generation + 1}").exists():
            raise Lost(f"{self.folder} was taken over or removed while this process held it; it writes no more there")

    def release(self) -> None:
        """The file stays, empty: generations never begin again."""
        self._over.set()
        self._thread.join()
        with contextlib.suppress(OSError):
            os.ftruncate(self._file, 0)
        OPEN.discard(self._file)
        with contextlib.suppress(OSError):  # of a disk that fails: it is closed all the same
            os.close(self._file)


def _told(count: int) -> bytes:
    told = {"host": HOST, "pid": os.getpid(), "count": count}
    return json.dumps(told).ljust(200).encode() + b"\n"  # of one length: written over in place


OPEN: set[int] = set()  # the files of this process's leases


def _forget() -> None:
    for file in OPEN:  # a loader's worker outlives its killed parent by seconds: the lock must not
        os.close(file)
    OPEN.clear()


os.register_at_fork(after_in_child=_forget)


def take(folder: Path, say: Callable[[str], None] = lambda _: None) -> Lease:
    """The lease of `folder`; raises Held where another process has it. Waits at most for a silent one of another host."""
    watch = Watch(folder)
    deadline, told = time.monotonic() + PATIENCE, False
    while holder := watch.holder():
        if watch.sure and time.monotonic() > deadline:
            raise Held(f"{folder} is being run by {holder}")
        if not watch.sure and not told:
            say(f"{folder}  {holder} had it: taken over unless it gives a sign within {SILENCE:g} s")
            told = True
        time.sleep(0.02 if watch.sure else min(1.0, SILENCE / 20))
    before = watch.generation  # found free; if there is a later one by now, the link or what follows it fails
    path, temporary = folder / f"lease-{before + 1}", folder / f".lease-{secrets.token_hex(8)}"
    file = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # locked before anybody can see it
        os.pwrite(file, _told(0), 0)
        os.link(temporary, path)  # of those that try, one succeeds
        if newest(folder) != before + 1:  # somebody was faster by more than one generation
            path.unlink(missing_ok=True)
            raise FileExistsError
        for old in sorted(range(max(1, before - 8), before + 1)):
            (folder / f"lease-{old}").unlink(missing_ok=True)
    except BaseException as error:
        os.close(file)
        tidied = isinstance(error, FileNotFoundError) and newest(folder) > before  # by who was faster, as half-written
        if isinstance(error, FileExistsError) or tidied:
            raise Held(f"{folder} is being run by another process") from None
        raise
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return Lease(folder, before + 1, file)


@contextlib.contextmanager
def held(folder: Path, say: Callable[[str], None] = lambda _: None) -> Iterator[Lease]:
    """Holds the run in `folder` while the context lasts."""
    lease = take(folder, say)
    try:
        yield lease
    finally:
        lease.release()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Waits for the kernel's lock of a file, which is made and stays, and has it while the context lasts.

    It is gone with its holder, however that ends.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def try_locks(folder: Path) -> None:
    """OSError with one line where files in `folder` cannot be locked, or where their locks hold nobody off.

    Removes what earlier calls left that were killed.
    """
    with contextlib.suppress(OSError):
        remove_files(stale_files(folder))
    path = folder / f".lease-{secrets.token_hex(8)}"
    first = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        second = os.open(path, os.O_RDWR)
        try:
            works = _locked(first) and not _locked(second)
        finally:
            os.close(second)
    except OSError as error:
        raise OSError(f"{folder}: files cannot be locked there ({error.strerror}); choose another place with runs=") from None
    finally:
        os.close(first)
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
    if not works:
        raise OSError(f"{folder}: locks of files have no effect there; choose another place with runs=")
