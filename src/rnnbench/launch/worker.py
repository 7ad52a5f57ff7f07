"""The processes of a sweep: what each does, how it is started, and how it is heard.

Each is forked from a server that has imported what jobs need, so that it starts at once. It has a session of its own and
writes its record itself; what it prints and how it ended comes to the launcher by two pipes, and goes nowhere without one.
"""

from __future__ import annotations

import contextlib
import errno
import io
import multiprocessing
import os
import signal
import sys
import time
import types
from collections.abc import Iterator, Mapping
from importlib import import_module
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, Literal

from ..console import FIRST, NEXT, say
from ..options import BadOption
from ..run.cluster import alone, replaced_environment
from ..store.record import Record, headline_score

SERVERS = 3  # that may die while one process starts
REAPED = 0.2  # seconds until a server that has died no longer counts as alive
LACKING = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN)  # the system has no more files, memory or processes
PRELOADED = ["rnnbench.launch.server"]  # torch and Lightning

# What a process does


class Outlet(io.RawIOBase):
    """Standard output that a job can write to for ever: where nobody reads any more, what it says is dropped."""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        left = memoryview(data)
        with contextlib.suppress(OSError):
            while left:
                left = left[os.write(1, left) :]
        return len(data)


def settle_worker(environment: Mapping[str, str], output: Connection) -> None:
    """A session, an environment, an output and signals of its own."""
    os.setsid()  # Ctrl-C and a closed terminal reach the launcher only, which tells the jobs what to do
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which the server ignores
    for number in (signal.SIGTERM, signal.SIGUSR1):  # until training begins, which saves a checkpoint first
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    os.environ.clear()
    os.environ.update(environment)
    for descriptor in (1, 2):
        os.dup2(output.fileno(), descriptor)
    output.close()
    sys.stdout = sys.stderr = io.TextIOWrapper(io.BufferedWriter(Outlet()), "utf-8", "backslashreplace", line_buffering=True)


Work = Literal["run_job", "look_up", "look_up_at_hand", "try_out"]  # functions of jobs.py


def start_work(answer: Connection, output: Connection, environment: Mapping[str, str], work: Work, argument: Any) -> None:
    """What a new process does: it settles, then does its work."""
    settle_worker(environment, output)
    jobs = import_module(".jobs", __package__)  # imports torch, which the launcher never does
    getattr(jobs, work)(answer, argument)


def job_score(record: Record | None) -> float | None:
    """What Hydra gets as a job's value."""
    return headline_score(record) if record else None


# Starting processes


def start_server() -> None:
    """Starts the server, which imports while its first process is not asked for yet; what was validated is to be run."""
    multiprocessing.set_forkserver_preload(PRELOADED)
    with nameless(), replaced_environment(alone(os.environ)):
        forkserver.ensure_running()


def fork_process(given: tuple[Any, ...]) -> tuple[ForkServerProcess, Connection, Connection]:
    """A process that does `start_work(answer, output, *given)`, and the ends of both pipes that are read.

    EOFError or OSError where the server has died, or where the system lacks something; then nothing stays open.
    """
    context = multiprocessing.get_context("forkserver")
    start_server()
    with contextlib.ExitStack() as opened:
        pipes = []
        for _ in range(2):
            pipes.append(context.Pipe(duplex=False))
            for end in pipes[-1]:
                opened.callback(end.close)
        (answers, answer), (outputs, output) = pipes
        with nameless():
            process = context.Process(target=start_work, args=(answer, output, *given))
            process.start()
        opened.pop_all()
    answer.close()
    output.close()
    return process, answers, outputs


class NoProcess(RuntimeError):
    """No process can be started: the system has no more of what one needs, or the server dies each time."""


class WorkerProcess:
    """A process forked from the server: its answer, its output line by line, and the most memory that it had.

    A server that dies while the process starts is replaced, at most SERVERS - 1 times; then NoProcess is raised.
    """

    def __init__(self, work: Work, argument: Any, environment: Mapping[str, str] | None = None):
        given = alone({**os.environ, **(environment or {})}), work, argument
        for left in reversed(range(SERVERS)):
            try:
                self.process, self.answer, self.output = fork_process(given)
                break
            except (EOFError, OSError) as error:
                if isinstance(error, OSError) and error.errno in LACKING:
                    raise NoProcess(f"no process can be started: {error.strerror}") from None
                if not left:
                    raise NoProcess(f"no process can be started: the server that forks them died {SERVERS} times") from None
                say("the server that jobs are forked from died; a new one is started", sys.stderr)
                time.sleep(REAPED)
        os.set_blocking(self.output.fileno(), False)
        self.started, self.peak, self._rest = time.monotonic(), 0.0, b""

    def lines(self) -> Iterator[str]:
        """What it has printed since the last call."""
        try:
            while data := os.read(self.output.fileno(), 1 << 16):
                *whole, self._rest = (self._rest + data).split(b"\n")
                yield from (line.decode("utf-8", "replace") for line in whole)
        except (BlockingIOError, OSError):
            return

    def outcome(self) -> Any:
        """What it answered; None where it ended without."""
        with contextlib.suppress(EOFError, OSError):
            if self.answer.poll():
                return self.answer.recv()
        return None

    def measure(self) -> None:
        self.peak = max(self.peak, peak_megabytes(self.process.pid))

    def signal(self, number: int) -> None:
        """Sends `number` to the job; SIGKILL to all that it has started, too."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if number == signal.SIGKILL:
                os.killpg(self.process.pid or 0, number)
            os.kill(self.process.pid or 0, number)

    def end(self) -> int | None:
        self.process.join()
        code = self.process.exitcode
        self.answer.close()
        self.output.close()
        self.process.close()
        return code


def peak_megabytes(pid: int | None) -> float:
    """What a process had at most so far, in MB; 0 where the system does not tell."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return 0.0


@contextlib.contextmanager
def nameless() -> Iterator[None]:
    """Hides the main module, which multiprocessing would otherwise run again in every job."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def call_in_process(work: Work, argument: Any, about: str = "") -> Any:
    """What a process answers to `argument`; BadOption where that is a line that says why not.

    Where it takes long, a line says `about`. (Standard error is for what is wrong: a refusal is its only line.)
    """
    try:
        process = WorkerProcess(work, argument)
    except NoProcess as error:
        raise BadOption(str(error)) from None
    try:
        pause = FIRST
        while not wait([process.answer, process.process.sentinel], pause if about else None):
            say(f"{about}, {time.monotonic() - process.started:.0f} s so far")
            pause = NEXT
    except BaseException:
        process.signal(signal.SIGKILL)
        raise
    found, said = process.outcome(), list(process.lines())
    process.end()
    if found is None or isinstance(found, str):
        raise BadOption(found or f"{work}: {said[-1] if said else 'the process died'}")
    return found
