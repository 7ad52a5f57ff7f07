"""The Hydra launcher `processes`: a sweep's jobs in a bounded pool, one process each, and nothing that can take them all down.

Each job is forked from a server that has imported what jobs need, so that it starts at once; it has a session of its own, holds
its run by the lease, and writes its record itself. So the launcher keeps nothing that could be lost: killed, it leaves its
jobs to run to their end, and the same command finds what they did and waits for what they still do.
"""

from __future__ import annotations

import collections
import contextlib
import importlib
import io
import multiprocessing
import os
import signal
import statistics
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from .jobs import Job, clock, expect, last_step, measured, write_manifest
from .lease import Watch
from .options import BadOption, Count, Positive
from .records import DamagedRecord, RunFolder, digest

PRELOADED = ["torch", "pytorch_lightning", "rnnbench.run", "rnnbench.training", "rnnbench.launcher"]
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)  # each asks the launcher to stop
LOOK = 0.5  # seconds between two looks at runs that others hold
TELL = 10.0  # seconds between two lines of progress where there is no terminal
CHECKED: list[Job] = []  # the jobs of the sweep that is about to be launched, in Hydra's order

Plugins.instance()  # makes the classes of Hydra's own plugins anew, so it comes before one of them is built upon
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper  # noqa: E402

# What a job's process does


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


def settle(environment: Mapping[str, str], output: Connection) -> None:
    """A session, an environment, an output and signals of its own."""
    os.setsid()  # Ctrl-C and a closed terminal reach the launcher only, which tells the jobs what to do
    for number in (signal.SIGTERM, signal.SIGUSR1):  # until training begins, which saves a checkpoint first
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    os.environ.clear()
    os.environ.update(environment)
    for descriptor in (1, 2):
        os.dup2(output.fileno(), descriptor)
    output.close()
    sys.stdout = sys.stderr = io.TextIOWrapper(io.BufferedWriter(Outlet()), "utf-8", "backslashreplace", line_buffering=True)


def work(answer: Connection, output: Connection, environment: Mapping[str, str], config: Mapping[str, Any]) -> None:
    """Runs one job and sends (how it ended, what there is to say)."""
    settle(environment, output)
    from . import run

    try:
        record = run.execute(config)
        outcome: tuple[str, Any] = ("recorded" if record else "held", score(record))
    except run.Stopped as error:
        outcome = ("stopped", str(error))
    except (KeyboardInterrupt, SystemExit):
        outcome = ("stopped", "")
    except run.RunLost as error:
        outcome = ("lost", str(error))
    except Exception as error:
        outcome = ("failed", run.told(error))
    with contextlib.suppress(OSError):  # the launcher may be gone
        answer.send(outcome)


def look_up(answer: Connection, output: Connection, environment: Mapping[str, str], configs: Sequence[Any]) -> None:
    """Prepares the data of the jobs' tasks and sends run.survey(configs), or one line that says why it cannot be."""
    settle(environment, output)
    from . import run

    try:
        with contextlib.redirect_stdout(io.StringIO()):  # the jobs will say it again
            answer.send(run.survey(configs))
    except Exception as error:
        answer.send(str(error) if isinstance(error, ValueError | OSError) else run.told(error))


def try_out(answer: Connection, output: Connection, environment: Mapping[str, str], config: Mapping[str, Any]) -> None:
    """Sends run.measure(config), or one line that says why it cannot be."""
    settle(environment, output)
    from . import run

    try:
        answer.send(run.measure(config))
    except Exception as error:
        answer.send(run.told(error))


def score(record: Mapping[str, Any] | None) -> float | None:
    """What Hydra gets as a job's value."""
    return record["scores"]["test"][record["task"]["headline"]] if record and record["scores"]["test"] else None


# Starting processes


class Process:
    """A process forked from the server: its answer, its output line by line, and the most memory that it had."""

    def __init__(self, target: Callable[..., None], argument: Any):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        self.answer, answer = context.Pipe(duplex=False)
        self.output, output = context.Pipe(duplex=False)
        os.set_blocking(self.output.fileno(), False)
        with nameless():
            self.process = context.Process(target=target, args=(answer, output, dict(os.environ), argument))
            self.process.start()
        answer.close()
        output.close()
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
        with contextlib.suppress(OSError, StopIteration, ValueError):
            status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
            line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
            self.peak = int(line.split()[1]) / 1024  # MB

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


@contextlib.contextmanager
def nameless() -> Iterator[None]:
    """Hides the main module, which multiprocessing would otherwise run again in every job."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


# Before Hydra starts


def prepare(configs: Sequence[dict[str, Any]], overrides: Sequence[Sequence[str]], sweep: str) -> None:
    """Takes the checked settings of a sweep's jobs, so that none is composed again, and finds out which runs they are.

    BadOption with one line where a task's data cannot be had. Torch is imported by a process of its own.
    """
    found = asked(look_up, list(configs))
    CHECKED.clear()
    shown = varying(overrides)
    for config, words, facts in zip(configs, shown, found, strict=True):
        folder = RunFolder(Path(facts.pop("folder")))
        CHECKED.append(Job({**config, "sweep": sweep}, words, folder, **facts))


def asked(target: Callable[..., None], argument: Any) -> Any:
    """What a process answers to `argument`; BadOption where that is a line that says why not."""
    process = Process(target, argument)
    try:
        wait([process.answer, process.process.sentinel])
    except BaseException:
        process.signal(signal.SIGKILL)
        raise
    found, said = process.outcome(), list(process.lines())
    process.end()
    if found is None or isinstance(found, str):
        raise BadOption(found or f"{target.__name__}: {said[-1] if said else 'the process died'}")
    return found


def estimate(workers: int) -> Iterator[str]:
    """What the prepared sweep will take, from recorded runs of the same settings, else from a few steps made now."""
    todo = [job for job in CHECKED if not (job.folder.path / "record.json").exists()]
    yield f"{len(CHECKED)} runs, {len(CHECKED) - len(todo)} recorded before"
    by_setting, _ = measured({job.folder.path.parent for job in todo})
    costs: dict[str, dict[str, float]] = {}
    for job in todo:
        train = job.config["train"]
        parts = {name: job.config[name] for name in ("task", "model", "network", "budget", "trainer")}
        like = digest({**parts, "rows": train["batch_size"], "precision": train["precision"]})
        if like not in costs:
            costs[like] = asked(try_out, job.config)
        cost = costs[like]
        evaluations = -(-train["steps"] // train["eval_every"]) + 1
        job.expected = train["steps"] * cost["step"] + evaluations * cost["evaluation"]
        if seconds := by_setting.get(job.setting):
            job.expected = statistics.median(seconds) + evaluations * cost["evaluation"]
    if not todo:
        return
    ends = [0.0] * workers  # longest first, each to the worker that is free first
    for job in sorted(todo, key=lambda job: -job.expected):
        ends.sort()
        ends[0] += job.expected
    known = sum(job.setting in by_setting for job in todo)
    yield f"  time  about {clock(max(ends))} with {workers} at a time, {clock(sum(job.expected for job in todo))} of computing"
    yield f"        {known} by recorded runs of the same settings, {len(todo) - known} by {len(costs)} measured just now"
    gpu = [job.expected * job.config["trainer"]["devices"] for job in todo if job.config["trainer"]["accelerator"] != "cpu"]
    if gpu:
        yield f"  GPU   about {sum(gpu) / 3600:.2f} hours"
    kept = sum(cost["kept"] for cost in costs.values()) / len(costs) * len(todo)
    checkpoints = 2 * workers * max(cost["checkpoint"] for cost in costs.values())
    yield f"  disk  about {kept / 1e6:.1f} MB, and {checkpoints / 1e6:.1f} MB of checkpoints while it runs"


def varying(overrides: Sequence[Sequence[str]]) -> list[str]:
    """Of each job the overrides that not all jobs share, in one line; all of them where there is one job."""
    common = set.intersection(*map(set, overrides)) if len(overrides) > 1 else set()
    return [" ".join(word for word in words if word not in common and not word.startswith("hydra")) for words in overrides]


# The pool


class Pool:
    """Runs jobs, `workers` at a time, until each is recorded or has failed.

    Runs that another process holds are waited for. A job that died is started again, from its checkpoint, unless it has
    died `retries` times more without getting further; one that failed by its own error is not.
    """

    def __init__(self, jobs: Sequence[Job], workers: int, retries: int, keep_going: bool):
        self.jobs, self.workers, self.retries, self.keep_going = jobs, workers, retries, keep_going
        self.queue: collections.deque[Job] = collections.deque()
        self.waiting: dict[str, tuple[Job, Watch]] = {}  # by the id of the run
        self.running: dict[str, tuple[Job, Process]] = {}
        self.deaths: dict[str, tuple[int, int]] = {}  # how often, and at which step
        self.recorded: dict[str, float | None] = {}
        self.failed: dict[str, str] = {}
        self.asked: list[int] = []
        self.stopping = False
        self.terminal = sys.stderr.isatty()
        self._told_at = self._looked_at = self._measured_at = time.monotonic()
        self._drawn = ""
        self._took = [0.0, 0.0]  # seconds of jobs that ended here, and what had been expected

    def run(self) -> None:
        started = time.monotonic()
        known = {job.id: job for job in self.jobs}  # two ways of saying one run are one run
        for job in known.values():
            if not self.answered(job):
                self.queue.append(job)
        before = len(self.recorded)
        todo = list(self.queue)
        expect(todo)
        self.queue = collections.deque(sorted(todo, key=lambda job: -job.expected))
        self.total = len(known)
        workers = f", {self.workers} at a time" if todo else ""
        self.say(f"{self.total} runs, {before} recorded before{workers}")
        with self.signals():
            while self.queue or self.waiting or self.running:
                self.fill()
                self.listen()
                self.look()
                self.heed()
                self.progress()
        self.draw("")
        self.say(f"{len(self.recorded)} of {self.total} runs recorded, in {clock(time.monotonic() - started)}")

    # jobs come and go

    def answered(self, job: Job) -> bool:
        """Whether the run needs no process: recorded, or its record is damaged."""
        try:
            record = job.folder.record()
        except DamagedRecord as error:
            self.fail(job, str(error))
            return True
        if record is not None:
            self.recorded[job.id] = score(record)
        return record is not None

    def fill(self) -> None:
        """Starts jobs while there is room for them."""
        while self.queue and not self.stopping:
            job = self.queue[0]
            busy = sum(places(job) for job, _ in self.running.values())
            if self.running and busy + places(job) > self.workers:
                return
            self.queue.popleft()
            if self.answered(job):
                continue
            watch = Watch(job.folder.path)
            if watch.holder() and watch.sure:
                self.waiting[job.id] = job, watch
            else:
                self.running[job.id] = job, Process(work, job.config)

    def listen(self) -> None:
        """Passes on what jobs print, and takes leave of those that have ended; returns after a moment at most."""
        ends = [process.process.sentinel for _, process in self.running.values()]
        outputs: list[Any] = [process.output for _, process in self.running.values()]
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
            if outcome and outcome[0] == "recorded":
                self.recorded[job.id] = outcome[1]
                self._took = [self._took[0] + took, self._took[1] + job.expected]
            elif outcome and outcome[0] == "failed":
                self.fail(job, outcome[1])
            elif self.stopping:
                continue
            elif outcome and outcome[0] in ("held", "lost"):
                self.waiting[job.id] = job, Watch(job.folder.path)
            else:
                self.again(job, code, peak, stopped=bool(outcome))

    def again(self, job: Job, code: int | None, peak: float, stopped: bool) -> None:
        """Puts a job that was killed, or asked to stop by somebody else, back into the queue."""
        times, before = self.deaths.get(job.id, (0, -1))
        step = last_step(job.folder)
        times = 1 if step > before else times + 1
        self.deaths[job.id] = times, step
        how = "was stopped" if stopped else ended(code) + f" after a peak of {peak:,.0f} MB" * bool(peak)
        if times > self.retries and not stopped:
            message = f"{job.name}: {how}, {times} times without getting further than step {step}"
            job.folder.fail(message)
            self.fail(job, message)
            return
        self.print(f"{job.name}  {how}; started again" + f" from step {step}" * bool(step))
        self.queue.appendleft(job)

    def fail(self, job: Job, message: str) -> None:
        self.failed[job.id] = f"{message}  [{job.words}]" if job.words else message
        self.print(f"failed: {self.failed[job.id]}", sys.stderr)
        if not self.keep_going:
            self.stop("hydra.launcher.keep_going=false")

    def look(self) -> None:
        """Looks at the runs that others hold: recorded meanwhile, or free."""
        if time.monotonic() - self._looked_at < LOOK:
            return
        self._looked_at = time.monotonic()
        for job, watch in list(self.waiting.values()):
            if self.answered(job):
                del self.waiting[job.id]
            elif not watch.holder():
                del self.waiting[job.id]
                self.queue.append(job)

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
        sweep = self.jobs[0].config["sweep"] if self.jobs else ""
        self.print(f"sweep {sweep}: {line}")

    def print(self, line: str, file: Any = None) -> None:
        drawn = self._drawn
        self.draw("")
        print(line, file=file or sys.stdout, flush=True)
        self.draw(drawn)

    def draw(self, line: str) -> None:
        """The line of progress at the foot of a terminal."""
        if self.terminal and line != self._drawn:
            with contextlib.suppress(OSError):
                print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
            self._drawn = line

    def progress(self) -> None:
        now = time.monotonic()
        if now - self._measured_at > 1:  # seconds
            self._measured_at = now
            for _, process in self.running.values():
                process.measure()
        parts = [f"{len(self.recorded)}/{self.total} recorded", f"{len(self.running)} running"]
        parts += [f"{len(self.waiting)} elsewhere"] * bool(self.waiting) + [f"{len(self.failed)} failed"] * bool(self.failed)
        if self._took[1]:
            slower = self._took[0] / self._took[1]
            left = sum(job.expected * slower for job in self.queue)
            left += sum(max(0.0, job.expected * slower - (now - one.started)) for job, one in self.running.values())
            parts.append(f"about {clock(left / self.workers)} left")
        if self.terminal:
            self.draw("  ".join(parts))
        elif now - self._told_at > TELL:
            self._told_at = now
            self.say(", ".join(parts))


def places(job: Job) -> int:
    """How many of the pool's places a job takes: one a process of its own."""
    return int(job.config["trainer"]["devices"])


def ended(code: int | None) -> str:
    """How a process without an answer ended, in words."""
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            return f"was killed by {signal.Signals(-code).name}"
    return f"died with exit code {code}"


def cores() -> int:
    """Those that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1


# What Hydra sees


class Processes(Launcher):
    """hydra/launcher=processes, which `-m` uses."""

    def __init__(
        self,
        workers: Positive | None = None,  # jobs at a time; null for as many as there are cores
        retries: Count = 2,  # more starts of a job that died and dies again without getting further
        keep_going: bool = True,  # false: stop at the first job that fails
    ):
        self.workers = workers or cores()
        self.retries, self.keep_going = retries, keep_going

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        pass  # the jobs' settings are composed and checked already

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Runs CHECKED, which has a job for each of `job_overrides`; ends the program where any failed or a signal asked."""
        setup_globals()
        jobs = list(CHECKED)
        assert len(jobs) == len(job_overrides), "prepare() was called for another sweep"
        config = jobs[0].config
        write_manifest(Path(config["runs"]), config["sweep"], jobs)
        pool = Pool(jobs, self.workers, self.retries, self.keep_going)
        pool.run()
        if pool.asked:
            sys.exit(128 + pool.asked[0])
        if pool.failed:
            print(f"rnnbench: {len(pool.failed)} of {pool.total} runs failed:", file=sys.stderr)
            print(*(f"  {line}" for line in pool.failed.values()), sep="\n", file=sys.stderr, flush=True)
            sys.exit(1)
        returns = []
        for job, words in zip(jobs, job_overrides, strict=True):
            done = JobReturn(overrides=list(words), status=JobStatus.COMPLETED)
            done.return_value = pool.recorded.get(job.id)
            returns.append(done)
        return returns


class Checked(BasicSweeper):
    """Hydra's own sweeper, less the composing of every job: that is done, and better, before Hydra starts."""

    def __init__(self) -> None:
        super().__init__(max_batch_size=None)

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        pass


def register() -> None:
    """Makes Hydra know both classes.

    It takes plugins from the package hydra_plugins only, and would import what lies there into every program that uses it;
    so this module goes there under a second name, in this process.
    """
    try:
        package = importlib.import_module("hydra_plugins")  # where other plugins are installed
    except ImportError:
        package = sys.modules["hydra_plugins"] = types.ModuleType("hydra_plugins")
        package.__path__ = []
    package.rnnbench = sys.modules["hydra_plugins.rnnbench"] = sys.modules[__name__]  # type: ignore[attr-defined]
    for plugin in (Processes, Checked):
        plugin.__module__ = "hydra_plugins.rnnbench"
        Plugins.instance().register(plugin)
