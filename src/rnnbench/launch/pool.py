"""A bounded pool of jobs that nothing can take down together: deaths, stops, other launchers and their runs.

The pool keeps nothing that could be lost. Killed, it leaves its jobs to run to their end, and the same command finds what
they did and waits for what they still do.
"""

from __future__ import annotations

import collections
import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import TextIO

from ..console import say
from ..options import amount
from ..store.lease import Watch
from ..store.record import DamagedRecord
from .capacity import most_workers
from .costs import Pace, expect_costs, format_clock, gpu_need
from .gpus import Packing, gpu_memory, visible_gpus
from .manifest import Job
from .status import last_step
from .worker import NoProcess, WorkerProcess, job_score

ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)  # each asks the pool to stop
UNKNOWN = 255  # the exit code of a process whose server died: it may run on
SHOWN = 3  # runs that a line names
LOOK = 0.5  # seconds between two looks at runs that others hold
TELL = 10.0  # seconds between two lines of progress where there is no terminal


class Pool:
    """Runs jobs, `workers` at a time, until each is recorded or has failed.

    Runs that another process holds are waited for. A job that died is started again, from its checkpoint, unless it has
    died `retries` times more without getting further; one that failed by its own error is not.
    """

    def __init__(self, jobs: Sequence[Job], workers: int, retries: int, keep_going: bool, runs_per_gpu: int = 1):
        self.jobs, self.workers, self.retries, self.keep_going = jobs, workers, retries, keep_going
        self.queue: collections.deque[Job] = collections.deque()
        self.waiting: dict[str, tuple[Job, Watch]] = {}  # by the id of the run
        self.told: set[str] = set()  # of them, those that were said to be waited for
        self.running: dict[str, tuple[Job, WorkerProcess]] = {}
        self.deaths: dict[str, tuple[int, int]] = {}  # how often, and at which step
        self.recorded: dict[str, float | None] = {}
        self.failed: dict[str, str] = {}
        gpus = visible_gpus() if any(map(on_gpus, jobs)) else []
        self.packing = Packing(gpus, runs_per_gpu, gpu_memory(gpus) if gpus and runs_per_gpu > 1 else {})
        self.gpus: dict[str, list[str]] = {}  # that running jobs have, by the id of the run
        self.asked: list[int] = []
        self.stopping = False
        self.terminal = sys.stderr.isatty()
        self._told_at = self._looked_at = self._measured_at = time.monotonic()
        self._drawn = ""
        self._pace = Pace()

    def run(self) -> None:
        started = time.monotonic()
        for job in self.jobs:
            if not self.answered(job):
                self.queue.append(job)
        before = len(self.recorded)
        todo = list(self.queue)
        expect_costs(todo)
        self.queue = collections.deque(sorted(todo, key=lambda job: -job.expected))
        self.total = len(self.jobs)
        most, why = most_workers()
        if todo and min(self.workers, len(todo)) > most:
            self.say(f"{most} at a time in place of {self.workers}: {why}")
            self.workers = most
        workers = f", {self.workers} at a time" if todo else ""
        self.say(f"{amount(self.total, 'run')}, {before} recorded before{workers}")
        with self.signals():
            while self.queue or self.waiting or self.running:
                self.fill()
                self.listen()
                self.look()
                self.heed()
                self.progress()
        self.draw("")
        again = "; the same command continues with the rest" if self.asked else ""
        self.say(
            f"{len(self.recorded)} of {amount(self.total, 'run')} recorded, in "
            f"{format_clock(time.monotonic() - started)}{again}"
        )

    # jobs come and go

    def answered(self, job: Job) -> bool:
        """Whether the run needs no process: recorded, or its record is damaged."""
        try:
            record = job.folder.record()
        except DamagedRecord as error:
            self.fail(job, str(error))
            return True
        if record is not None:
            self.recorded[job.id] = job_score(record)
        return record is not None

    def fill(self) -> None:
        """Starts jobs while there is room for them."""
        while self.queue and not self.stopping:
            job = self.queue[0]
            busy = sum(free_slots(job) for job, _ in self.running.values())
            if self.running and busy + free_slots(job) > self.workers:
                return
            gpus = self.packing.take(free_slots(job), job.needed) if self.packing.free and on_gpus(job) else []
            if gpus is None and self.running:
                return
            self.queue.popleft()
            self.gpus[job.id] = gpus or []
            watch = Watch(job.folder.path)
            if not self.answered(job) and not (watch.holder() and watch.sure):
                if self.begin(job, {"CUDA_VISIBLE_DEVICES": ",".join(gpus)} if gpus else {}):
                    continue
            elif job.id not in self.recorded and job.id not in self.failed:
                self.waiting[job.id] = job, watch
            self.packing.give(self.gpus.pop(job.id), job.needed)

    def begin(self, job: Job, environment: dict[str, str]) -> bool:
        """Starts a job's process, if one can be started; else the job waits for another to end, and fewer run at a time."""
        try:
            self.running[job.id] = job, WorkerProcess("run_job", job.settings, environment)
            return True
        except NoProcess as error:
            if self.running:
                self.workers = min(self.workers, sum(free_slots(one) for one, _ in self.running.values()))
                self.print(f"{error}; {self.workers} at a time from now on", sys.stderr)
                self.queue.appendleft(job)
            else:
                self.fail(job, f"{job.name}: {error}")
                self.stop(str(error))
            return False

    def listen(self) -> None:
        """Passes on what jobs print, and takes leave of those that have ended; returns after a moment at most."""
        ends = [process.process.sentinel for _, process in self.running.values()]
        outputs: list[Connection] = [process.output for _, process in self.running.values()]
        if not wait([*ends, *outputs], 0.2 if self.running else LOOK):
            return
        for job, process in list(self.running.values()):
            for line in process.lines():
                self.print(line)
            if process.process.exitcode is None:
                continue
            for line in process.lines():
                self.print(line)
            outcome, took, peak = process.outcome(), time.monotonic() - process.started, process.peak
            code = process.end()
            del self.running[job.id]
            self.packing.give(self.gpus.pop(job.id), job.needed)
            if outcome and outcome[0] == "recorded":
                self.recorded[job.id] = outcome[1]
                self._pace.took(job, took)
                self.learn(job)
            elif outcome and outcome[0] == "failed":
                self.fail(job, outcome[1])
            elif self.stopping:
                continue
            elif (outcome and outcome[0] in ("held", "lost")) or (code == UNKNOWN and Watch(job.folder.path).holder()):
                self.waiting[job.id] = job, Watch(job.folder.path)
            else:
                self.again(job, code, peak, stopped=bool(outcome))

    def learn(self, job: Job) -> None:
        """Those of its setting that wait need as much of a GPU as `job` did."""
        record = None
        if self.packing.memory:
            with contextlib.suppress(DamagedRecord, OSError):
                record = job.folder.record()
        for other in self.queue:
            if record and other.setting == job.setting:
                other.needed = max(other.needed, gpu_need(record))

    def again(self, job: Job, code: int | None, peak: float, stopped: bool) -> None:
        """Puts a job that was killed, or asked to stop by somebody else, back into the queue."""
        times, before = self.deaths.get(job.id, (0, -1))
        step = last_step(job.folder)
        times = 1 if step > before else times + 1
        self.deaths[job.id] = times, step
        how = "was stopped" if stopped else run_ended(code) + (f" after a peak of {peak:,.0f} MB" if peak else "")
        if times > self.retries and not stopped:
            message = f"{how}, {times} times without getting further than step {step}"
            job.folder.fail(message)
            self.fail(job, f"{job.name}: {message}")
            return
        self.print(f"{job.name}  {how}; started again" + (f" from step {step}" if step else ""))
        self.queue.appendleft(job)

    def fail(self, job: Job, message: str) -> None:
        """Notes and prints that a job failed; `message` names the run or a file of it."""
        self.failed[job.id] = f"{message}  [{job.words}]" if job.words else message
        self.print(f"failed: {self.failed[job.id]}", sys.stderr)
        if not self.keep_going:
            self.stop("hydra.launcher.keep_going=false")

    def look(self) -> None:
        """Looks at the runs that others hold: recorded meanwhile, or free."""
        if time.monotonic() - self._looked_at < LOOK:
            return
        self._looked_at = time.monotonic()
        held = []
        for job, watch in list(self.waiting.values()):
            if self.answered(job):
                del self.waiting[job.id]
            elif not (holder := watch.holder()):
                del self.waiting[job.id]
                self.queue.append(job)
            elif job.id not in self.told:
                held.append(f"{job.name} by {holder}")
                self.told.add(job.id)
        if held:
            more = f", and {len(held) - SHOWN} more" if len(held) > SHOWN else ""
            self.say(f"waits for {amount(len(held), 'run')} that others hold: {', '.join(held[:SHOWN])}{more}")

    # stopping

    @contextlib.contextmanager
    def signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in ENDS}
        for number, handler in before.items():
            if handler != signal.SIG_IGN:  # nohup
                signal.signal(number, lambda number, _: self.asked.append(number))
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def heed(self) -> None:
        """Does what signals asked for: the first stops with checkpoints, the second at once."""
        if self.asked and not self.stopping:
            self.stop(signal.Signals(self.asked[0]).name)
        if len(self.asked) > 1:
            for _, process in self.running.values():
                process.signal(signal.SIGKILL)

    def stop(self, why: str) -> None:
        if not self.stopping:
            self.stopping = True
            self.queue.clear()
            self.waiting.clear()
            for _, process in self.running.values():
                process.signal(signal.SIGTERM)
            if self.running:
                self.print(f"{why}: {len(self.running)} running jobs save a checkpoint; once more ends them now", sys.stderr)

    # what is seen

    def say(self, line: str) -> None:
        sweep = self.jobs[0].settings.sweep if self.jobs else ""
        self.print(f"sweep {sweep}: {line}")

    def print(self, line: str, file: TextIO | None = None) -> None:
        drawn = self._drawn
        self.draw("")
        say(line, file)
        self.draw(drawn)

    def draw(self, line: str) -> None:
        """The line of progress at the foot of a terminal."""
        if self.terminal and line != self._drawn:
            with contextlib.suppress(OSError):
                print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
            self._drawn = line

    def _seconds_left(self, now: float) -> float | None:
        """None before any job has ended here, and where only others are waited for."""
        begun = [(job, one.started) for job, one in self.running.values()]
        left = [(self._pace.expects(job), now - at) for job, at in [*begun, *((job, now) for job in self.queue)]]
        known = [max(0.0, seconds - spent) for seconds, spent in left if seconds is not None]
        return sum(known) / self.workers if known else None

    def progress(self) -> None:
        now = time.monotonic()
        if now - self._measured_at > 1:  # seconds
            self._measured_at = now
            for _, process in self.running.values():
                process.measure()
        parts = [f"{len(self.recorded)}/{self.total} recorded", f"{len(self.running)} running"]
        if self.waiting:
            parts.append(f"{len(self.waiting)} elsewhere")
        if self.failed:
            parts.append(f"{len(self.failed)} failed")
        if (left := self._seconds_left(now)) is not None:
            parts.append(f"about {format_clock(left)} left" if left >= 1 else "longer than expected")
        if self.terminal:
            self.draw("  ".join(parts))
        elif now - self._told_at > TELL:
            self._told_at = now
            self.say(", ".join(parts))


def free_slots(job: Job) -> int:
    """How many of the pool's places a job takes: one a process of its own."""
    return job.settings.trainer.devices


def on_gpus(job: Job) -> bool:
    return job.settings.trainer.accelerator != "cpu"


def run_ended(code: int | None) -> str:
    """How a process without an answer ended, in words."""
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            return f"was killed by {signal.Signals(-code).name}"
    return f"died with exit code {code}"
