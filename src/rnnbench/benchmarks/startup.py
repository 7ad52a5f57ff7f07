"""What a user waits for besides training: `rnnbench benchmark startup`.

Every row is CPU time of whole commands in fresh processes, over that of a process that imports PyTorch, which is taken in turn
with it: medians of the rounds. The last rows are the memory and the page of the report over what they must keep below.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from ..config.compose import compose_jobs
from ..run.execute import execute
from ..run.recorded import Identities, RunIdentity
from ..store.record import Record, digest, plain, record_text
from .history import Measured, noise_of
from .launcher import QUIET, TRIVIAL, command

WORDS = [*TRIVIAL, *QUIET, "model=lstm"]
IMPORTS = [sys.executable, "-c", "import torch"]
PLANS = """
import sys
from rnnbench.config.compose import compose_jobs
from rnnbench.run.plan import survey_runs
print(len(survey_runs(compose_jobs(sys.argv[1:], sweep=True))))
"""
PEAK = """
import os
from rnnbench.cli.main import main
from rnnbench.launch.worker import peak_megabytes
assert main(["report", "runs"]) == 0
print(peak_megabytes(os.getpid()))
"""


class Wait(NamedTuple):
    """A command that is waited for: its words, anew for each round, its folder, and bounds on its ratio."""

    name: str
    words: Callable[[], Sequence[str]]
    place: Path
    must: float
    aim: float
    of_size: bool = True  # the bounds are for the number of records or jobs that a benchmark without --quick takes


def main(quick: bool = False, words: Sequence[str] = ()) -> list[Measured]:
    """Prints and returns a row for each thing that is waited for."""
    rounds, many, models = (3, 1_000, 20) if quick else (5, 10_000, 100)
    rows = []
    print(f"{'':52} {'seconds':>9} {'ratio':>7}  {'must':>5} {'aim':>5}")
    with tempfile.TemporaryDirectory() as folder:
        for wait in _waits(Path(folder), many, models):
            seconds, ratios = _against_import(wait, rounds)
            bounds = (None, None) if quick and wait.of_size else (wait.must, wait.aim)
            name, value = f"{wait.name} / importing PyTorch", statistics.median(ratios)
            rows.append(Measured(name, value, must=bounds[0], aim=bounds[1], noise=noise_of(ratios)))
            _show(rows[-1], f"{seconds:9.2f}")
        large = Path(folder, "large")
        done = subprocess.run([sys.executable, "-c", PEAK], cwd=large, capture_output=True, text=True, check=True)
        memory, page = float(done.stdout.split()[-1]), (large / "report.html").stat().st_size
        for name, value in (("memory / 400 MB", memory / 400), ("page / 5 MB", page / 5e6)):
            rows.append(Measured(f"report of {many:,} records: {name}", value, must=None if quick else 1.0))
            _show(rows[-1])
    return rows


def _show(row: Measured, seconds: str = " " * 9) -> None:
    bounds = " ".join(" " * 5 if bound is None else f"{bound:5.2f}" for bound in (row.must, row.aim))
    print(f"{row.name:52} {seconds} {row.value:7.3f}  {bounds}{row.mark}", flush=True)


def _waits(place: Path, many: int, models: int) -> Iterator[Wait]:
    """What is waited for, in folders below `place`; the large store is in `large`."""
    sample = _sample(place / "sample")
    sweep = _made_up(place / "sweep", sample, 1, many // 10)
    fresh, seeds = count(), f"seed=range({many // 10})"
    yield Wait("a new run of one step", lambda: command("train", *WORDS, f"runs=new{next(fresh)}"), place, 1.5, 1.2, False)
    yield Wait("an answer from a record", lambda: command("train", *WORDS), sweep, 0.4, 0.2, False)
    again = command("train", "-m", *WORDS, seeds, "sweep=again")
    yield Wait(f"a finished sweep of {many // 10:,} jobs again", lambda: again, sweep, 1.2, 0.6)
    rates = ",".join(f"{0.001 + number / 1e6:.6f}" for number in range(many // 100))
    grid = [sys.executable, "-c", PLANS, *WORDS, f"train.learning_rate={rates}", "seed=range(100)"]
    yield Wait(f"planning {many:,} jobs", lambda: grid, place, 6.0, 3.2)
    large = _made_up(place / "large", sample, models, many // models)
    yield Wait(f"compare of {many:,} records", lambda: command("compare", "runs"), large, 2.0, 1.0)
    small = _made_up(place / "small", sample, models, 5)
    yield Wait(f"compare of {models} models in one block", lambda: command("compare", "runs"), small, 0.4, 0.2)
    yield Wait(f"report of {many:,} records", lambda: command("report", "runs"), large, 3.2, 1.6)


def _against_import(wait: Wait, rounds: int) -> tuple[float, list[float]]:
    """(median CPU seconds of a command, its ratio to an import of PyTorch in each round), after one round to warm up."""
    pairs = [(_seconds(wait.words(), wait.place), _seconds(IMPORTS, wait.place)) for _ in range(rounds + 1)][1:]
    return statistics.median(ours for ours, _ in pairs), [ours / theirs for ours, theirs in pairs]


def _seconds(words: Sequence[str], cwd: Path) -> float:
    """CPU seconds of a process with those that it waits for. RuntimeError where it fails."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # with it our files, unlike PyTorch's, would be compiled each time
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)[:200]}: {(done.stderr or done.stdout)[-500:]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _sample(place: Path) -> Record:
    """The record of a real run."""
    (settings,) = compose_jobs([*WORDS, f"runs={place}"], sweep=False)
    with contextlib.redirect_stdout(io.StringIO()):
        record = execute(settings)
    assert record is not None
    return record


def _made_up(place: Path, sample: Record, models: int, seeds: int) -> Path:
    """`place` with runs/, in which that many models have that many finished runs, each with a log of ten rows."""
    identities = Identities()
    for model in range(models):
        (settings,) = compose_jobs([*WORDS, f"model.hidden_size={4 + model}"], sweep=False)
        for seed in range(seeds):
            run = identities.of(settings.with_seed(seed), "")
            score = (1 + model / 100) * (1 + (seed * 7919 % 101 - 50) / 500)
            body = _record_of(run, sample, score)
            rows = [{"step": step, "validation/mse": score / step, "train/gradient_norm": score} for step in range(1, 11)]
            folder = place / run.folder.path
            folder.mkdir(parents=True)
            (folder / "record.json").write_text(record_text({**body, "checksum": digest(body)}), encoding="utf-8")
            for name, kept in (("metrics.jsonl", rows), ("timings.jsonl", [{"step": row["step"]} for row in rows])):
                (folder / name).write_text("".join(f"{json.dumps(row)}\n" for row in kept), encoding="utf-8")
    return place


def _record_of(run: RunIdentity, sample: Record, score: float) -> dict[str, Any]:
    """The sample's record as that of another run, without its checksum."""
    config = run.settings.plain()
    body: dict[str, Any] = {**copy.deepcopy(sample), "id": run.id, "setting": run.setting, "seed": run.settings.seed}
    body["config"] = {name: config[name] for name in body["config"]}
    body["departures"] = run.settings.departures
    body["scores"] = {split: {"mse": score} for split in body["scores"]}
    del body["checksum"]
    return dict(plain(body))
