"""`rnnbench tune`: which settings a model does best with, found the same way for every model.

    searches/<study>/                        study: <task>-<model>-<id>, the id of what is searched and how
        journal.log                          Optuna's study, unless it lies in a data base
        trials/<number>/lease-<n>            who works on a trial
        <task>/<model>/<run>/                the trials' runs: ordinary ones, whose test split is never read
        search.json                          the whole search: each trial, the best, the ends that it lies at

Any number of workers, on any machines that share the folder, take trials of one study. A worker that dies lets go of its
trial, and another continues it: same number, same settings, from the run's checkpoint. Validation alone is looked at, the
seed is none that a reported run can have, and rules, trials and seed are the same for every model.

Sources: Akiba et al. 2019 (Optuna), arXiv:1907.10902; Dodge et al. 2019 (expected best of n), arXiv:1909.03004.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import signal
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypedDict
from urllib.parse import unquote, unquote_plus

import optuna
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock
from optuna.trial import FrozenTrial, TrialState

from ..analysis.intervals import expected_best
from ..config.compose import compose_jobs
from ..config.schema import read_signature
from ..config.settings import Value
from ..config.winners import option_word
from ..console import MASK, masked, say
from ..launch.manifest import Job
from ..launch.status import last_step
from ..launch.worker import NoProcess, WorkerProcess, call_in_process
from ..options import BadOption, amount
from ..store.lease import Lease, Watch, take
from ..store.own_files import remove_files, stale_files
from ..store.record import Record, digest, write_atomically
from ..version import __version__
from .space import Dimension

LOOK = 0.3  # seconds between two looks at running trials
RETRIES = 2  # more starts of a job that died without getting further
optuna.logging.set_verbosity(optuna.logging.WARNING)


class FileLock(BaseJournalFileLock):
    """The kernel's lock of a file: gone with its holder, however that ends. (Optuna's own outlives one by 30 s.)"""

    def __init__(self, path: Path):
        self.path = path
        self._file: Any = None

    def acquire(self) -> bool:
        self._file = open(self.path, "a")  # noqa: SIM115 - closed by release()
        fcntl.flock(self._file, fcntl.LOCK_EX)
        return True

    def release(self) -> None:
        self._file.close()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


@dataclass
class Running:
    """A trial that this worker is at."""

    trial: optuna.Trial
    job: Job
    lease: Lease
    headline: str
    process: WorkerProcess | None = None
    watch: Watch | None = None  # of a run that an orphan of a dead worker still trains
    pruned: bool = False
    reported: int = 0  # rows looked at
    deaths: tuple[int, int] = (0, -1)  # how often, and at which step
    seen: list[int] = field(default_factory=list)  # steps reported to the study


class TrialResult(TypedDict):
    """A trial that came to an end; `value` is that of a pruned one where it was stopped."""

    number: int
    state: str  # complete, pruned or fail
    why: str
    params: dict[str, Value]
    value: float | None
    validation: list[tuple[int, float]]  # (step, score)
    run: str | None


class SearchResult(TypedDict):
    """A whole search, as search.json holds it."""

    schema: int
    words: list[str]
    space: list[dict[str, Value]]
    sampler: str
    pruner: str
    seed: int
    direction: str
    versions: dict[str, str]
    trials: list[TrialResult]
    best: int | None
    edges: dict[str, str]
    expected_best: list[float]


@dataclass
class Study:
    """What is searched for one model, and how."""

    folder: Path
    words: Sequence[str]  # task=..., model=..., and the overrides that all trials share
    space: Sequence[Dimension]
    direction: str  # min or max
    sampler: str = "tpe"
    prune: bool = True
    seed: int = 0
    storage: str | None = None  # of a data base; null for a journal in the folder
    label: str = ""  # before each line

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.lock = FileLock(self.folder / ".lock")
        self.running: dict[int, Running] = {}
        self.watches: dict[int, Watch] = {}
        steps = compose_jobs(self.words, sweep=False)[0].train.steps
        pruner = optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=steps // 4)
        with contextlib.suppress(OSError):
            remove_files(stale_files(self.folder))
        with self.lock:
            storage: Any = self.storage
            if storage is None:
                backend = JournalFileBackend(str(self.folder / "journal.log"), FileLock(self.folder / ".journal"))
                storage = optuna.storages.JournalStorage(backend)
            self.study = optuna.create_study(
                study_name=self.folder.name,
                storage=storage,
                direction="minimize" if self.direction == "min" else "maximize",
                pruner=pruner if self.prune else optuna.pruners.NopPruner(),
                load_if_exists=True,
            )

    # trials come and go

    def run(self, trials: int, workers: int) -> None:
        """Works until the study has `trials` trials and none of them is running, here or elsewhere."""
        try:
            while True:
                while len(self.running) < workers and self.begin(trials):
                    pass
                for running in list(self.running.values()):
                    self.look(running)
                there = self.trials()
                if not self.running and len(there) >= trials and all(trial.state.is_finished() for trial in there):
                    return
                time.sleep(LOOK)
        finally:  # what runs is left to the next worker, its checkpoint saved
            for running in self.running.values():
                if running.process:
                    running.process.signal(signal.SIGTERM)
            for running in self.running.values():
                if running.process:
                    running.process.end()
                running.lease.release()

    def say(self, line: str) -> None:
        say(f"{self.label}  {line}".strip())

    def trials(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False)

    def begin(self, trials: int) -> bool:
        """Takes over the trial of a worker that died, or begins a new one; False where there is neither."""
        with self.lock:
            there = self.trials()
            left = [trial for trial in there if not trial.state.is_finished() and trial.number not in self.running]
            number = next((trial.number for trial in left if self.free(trial.number)), None)
            if number is None and len(there) >= trials:
                return False
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what is experimental
                self.study.sampler = self.make_sampler(len(there) if number is None else number)
                trial = self.study.ask() if number is None else optuna.Trial(self.study, there[number]._trial_id)
                values = {dimension.key: dimension.suggest(trial) for dimension in self.space}
            place = self.folder / "trials" / str(trial.number)
            place.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(OSError):
                remove_files(stale_files(place))
            held = take(place)
        job, headline = self.job(values)
        self.running[trial.number] = Running(trial, job, held, headline, seen=list(self.frozen(trial).intermediate_values))
        self.say(f"trial {trial.number}{'' if number is None else ' taken over'}: {job.words}")
        return True

    def free(self, number: int) -> bool:
        watch = self.watches.setdefault(number, Watch(self.folder / "trials" / str(number)))
        return watch.holder() is None

    def frozen(self, trial: optuna.Trial) -> FrozenTrial:
        return self.trials()[trial.number]

    def make_sampler(self, number: int) -> optuna.samplers.BaseSampler:
        """One for the trial `number`: what it draws does not depend on which worker asks."""
        if self.sampler == "qmc":
            return optuna.samplers.QMCSampler(scramble=True, seed=self.seed)
        seed = int(digest([self.seed, number])[:8], 16)
        if self.sampler == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        return optuna.samplers.TPESampler(seed=seed, constant_liar=True)

    def job(self, values: dict[str, Value]) -> tuple[Job, str]:
        """The run of a trial, and the name of its validation score."""
        given = [option_word(key, value) for key, value in values.items()]
        (settings,) = compose_jobs([*self.words, *given], sweep=False)
        settings = replace(settings, runs=str(self.folder), sweep=self.folder.name)
        (survey,) = call_in_process("look_up", [settings])
        headline = read_signature("task", settings.task.reference).constants["headline"]
        return Job.of(settings, " ".join(given), survey), f"validation/{headline}"

    def look(self, running: Running) -> None:
        """Starts, hears, prunes and takes leave of a trial's job."""
        folder = running.job.folder
        record = folder.record()
        self.report(running)
        if running.process is None:
            if record is not None:
                self.tell(running, record)
            elif running.pruned:
                self.end(running, TrialState.PRUNED, "pruned")
            elif not (running.watch and running.watch.holder()):
                try:
                    running.process, running.watch = WorkerProcess("run_job", running.job.settings), None
                except NoProcess as error:
                    self.end(running, TrialState.FAIL, str(error))
            return
        for _ in running.process.lines():
            pass
        if running.process.process.exitcode is None:
            return
        outcome = running.process.outcome()
        running.process.end()
        running.process = None
        self.report(running)
        if outcome and outcome[0] == "failed":
            self.end(running, TrialState.FAIL, outcome[1])
        elif outcome and outcome[0] in ("held", "lost"):
            running.watch = Watch(folder.path)
        elif not outcome and not running.pruned:
            step = last_step(folder)
            running.deaths = (1 if step > running.deaths[1] else running.deaths[0] + 1), step
            if running.deaths[0] > RETRIES:
                self.end(running, TrialState.FAIL, f"its process died {running.deaths[0]} times at step {step}")

    def report(self, running: Running) -> None:
        """Tells the study the validation scores that are new, and asks whether the trial is worth continuing."""
        rows = running.job.folder.metrics()
        for row in rows[running.reported :]:
            score, step = row.get(running.headline), row["step"]
            if score is not None and step not in running.seen:
                running.trial.report(score, step)
                running.seen.append(step)
                if running.trial.should_prune() and not running.pruned:
                    running.pruned = True
                    if running.process:
                        running.process.signal(signal.SIGTERM)
        running.reported = min(len(rows), running.reported) if running.process is None else len(rows)

    def tell(self, running: Running, record: Record) -> None:
        assert record["scores"]["test"] is None, "a trial read the test split"
        if running.pruned:
            self.end(running, TrialState.PRUNED, "pruned")
        elif record["status"] == "diverged":
            state = TrialState.PRUNED if running.seen else TrialState.FAIL
            self.end(running, state, f"diverged at step {record['diverged_step']}")
        else:
            self.end(running, TrialState.COMPLETE, "", (record["scores"]["validation"] or {})[record["task"]["headline"]])

    def end(self, running: Running, state: TrialState, why: str, value: float | None = None) -> None:
        with self.lock:
            running.trial.set_user_attr("run", running.job.name)
            running.trial.set_user_attr("why", masked(why))
            self.study.tell(running.trial, value, state=state)
        running.lease.release()
        del self.running[running.trial.number]
        reached = self.frozen(running.trial).value
        self.say(f"trial {running.trial.number}: {'-' if reached is None else f'{reached:.4g}'}{f' ({why})' if why else ''}")

    # what came out

    def reached(self, trial: TrialResult) -> float | None:
        """The best validation of a trial, of a pruned one as far as it went; None of one that failed."""
        if trial["state"] == "complete":
            return trial["value"]
        values = [value for _, value in trial["validation"] if value is not None]
        return (min if self.direction == "min" else max)(values) if values and trial["state"] == "pruned" else None

    def results(self) -> SearchResult:
        """The whole search, plain."""
        trials: list[TrialResult] = [
            {
                "number": trial.number,
                "state": trial.state.name.lower(),
                "why": trial.user_attrs.get("why", ""),
                "params": trial.params,
                "value": trial.value,  # of a pruned one, where it was stopped
                "validation": sorted(trial.intermediate_values.items()),
                "run": trial.user_attrs.get("run"),
            }
            for trial in self.trials()
        ]
        complete = [trial for trial in trials if trial["state"] == "complete"]
        sign = 1 if self.direction == "min" else -1
        best = min(complete, key=lambda trial: (sign * (trial["value"] or 0.0), trial["number"]), default=None)
        edges = {d.key: edge for d in self.space if best and (edge := d.edge(best["params"][d.key]))}
        return {
            "schema": 1,
            "words": list(self.words),
            "space": [vars(dimension) for dimension in self.space],
            "sampler": self.sampler,
            "pruner": "median" if self.prune else "none",
            "seed": self.seed,
            "direction": self.direction,
            "versions": {"rnnbench": __version__, "optuna": optuna.__version__},
            "trials": trials,
            "best": best["number"] if best else None,
            "edges": edges,
            "expected_best": expected_best([self.reached(trial) for trial in trials], self.direction),
        }

    def save(self) -> SearchResult:
        found = self.results()
        with self.lock:
            write_atomically(self.folder / "search.json", (json.dumps(found, indent=1, ensure_ascii=False) + "\n").encode())
        return found


def study_lines(name: str, found: SearchResult) -> Iterator[str]:
    """A finished search in a few lines."""
    states = [trial["state"] for trial in found["trials"]]
    kinds = ", ".join(f"{states.count(kind)} {kind}" for kind in ("complete", "pruned", "fail") if kind in states)
    yield f"{name}: {amount(len(states), 'trial')} ({kinds})"
    if found["best"] is None:
        yield "  no trial came to its end"
        return
    best = found["trials"][found["best"]]
    chosen = [f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}" for key, value in best["params"].items()]
    yield f"  best validation {best['value']:.4g} by trial {best['number']}: {' '.join(chosen)}"
    for key, edge in found["edges"].items():
        yield f"  {key} is at the {edge} of its range: the best may lie beyond; widen the space"
    curve = found["expected_best"]
    shown = [n for n in (1, 2, 4, 8, 16, 32, 64, 128, 256) if n < len(curve)] + [len(curve)]
    yield "  expected best of n trials: " + ", ".join(f"{n}: {curve[n - 1]:.4g}" for n in shown)
    if found["sampler"] != "random":
        yield f"  (trials of {found['sampler']} depend on each other: this only describes them; --sampler random estimates)"
    words = [word for word in found["words"] if not word.startswith(("seed=", "test="))]
    words += [f"{key}={value}" for key, value in best["params"].items()]
    yield f"  to report it: rnnbench train -m {' '.join(words)} seed=0,1,2,3,4"


def check_storage(url: str) -> None:
    """BadOption where no study can be kept at `url`; its password is not in the message."""
    try:
        optuna.storages.RDBStorage(url)
    except Exception as error:
        shown, said = without_password(url, (str(error) or type(error).__name__).splitlines()[0])
        raise BadOption(f"--storage {shown:.80}: no data base there ({said:.200}); one is, say, sqlite:///search.db") from None


def without_password(url: str, said: str) -> tuple[str, str]:
    """`url` of a data base and what was `said` of it, both without its password, as it stands there or decoded."""
    before, at, host = url.rpartition("@")
    scheme, _, login = before.partition("://")
    user, _, password = login.partition(":")
    for secret in filter(None, (password, unquote(password), unquote_plus(password))):
        said = said.replace(secret, MASK)
    return masked(f"{scheme}://{user}:{MASK}@{host}" if at and password else url), masked(said)
