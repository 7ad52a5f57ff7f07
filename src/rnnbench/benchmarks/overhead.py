"""What the training loop costs over a bare one."""

from __future__ import annotations

import contextlib
import io
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from rnnbench.tasks.task import Task

from ..config.compose import compose_jobs
from ..config.settings import Settings
from ..run.journal import Journal
from ..run.plan import make_network, make_task
from ..run.process_settings import configure_process
from ..store.run_folder import RunFolder
from ..tracking.mirror import Mirror
from ..training.learner import Learner
from ..training.trainer import fit
from .history import Measured, noise_of

SHAPE = ["task=adding", "model=lstm", "model.hidden_size=128", "task.length=100", "train.batch_size=50", "task.sequences=100"]


def main(quick: bool = False, words: Sequence[str] = ()) -> list[Measured]:
    """The median of what `measure` returns, as it is judged and saved."""
    ratios = measure(quick)
    value = statistics.median(ratios)
    return [Measured("steps/s, rnnbench train / a bare loop", value, must=0.95, higher=True, noise=noise_of(ratios))]


def measure(quick: bool = False) -> list[float]:
    """Prints and returns the ratios of steps/s, `rnnbench train` over a bare PyTorch loop, of each round.

    Both make and use the same batches: LSTM(128), batch 50, T = 100 on `adding`, Adam, clipping at 1. Ours includes data
    generation, the default logging to files, and Lightning; the bare loop is forward, backward, clip, step.
    """
    rounds, steps = (3, 150) if quick else (11, 300)
    configure_process()
    (settings,) = compose_jobs([*SHAPE, f"train.steps={steps}", f"train.eval_every={steps}", "tracker=none"], sweep=False)
    task = make_task(settings)
    ratios = []
    print(f"{'round':>5}  {'bare steps/s':>12}  {'rnnbench steps/s':>16}  ratio")
    for index in range(rounds + 1):
        bare, ours = _bare(settings, task, steps), _ours(settings, task)
        if index:  # the first round warms up
            ratios.append(ours / bare)
            print(f"{index:>5}  {bare:>12.1f}  {ours:>16.1f}  {ours / bare:.3f}")
    ratio = statistics.median(ratios)
    print(f"median ratio {ratio:.3f} (at least 0.95 wanted), {min(ratios):.3f} to {max(ratios):.3f}")
    return ratios


def _bare(settings: Settings, task: Task, steps: int) -> float:
    """Steps a second of the plainest loop."""
    torch.manual_seed(0)
    network = make_network(settings, task)
    optimizer = torch.optim.Adam(network.parameters(), settings.train.learning_rate)
    started = time.perf_counter()
    for step in range(steps):
        batch = task.batch("train", step, settings.train.batch_size, 0)
        outputs, _ = network(batch)
        total, count = task.loss(outputs, batch)
        optimizer.zero_grad()
        (total / count).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    return steps / (time.perf_counter() - started)


def _ours(settings: Settings, task: Task) -> float:
    """Steps a second of the trainer that `rnnbench train` uses, its files written to a folder of its own."""
    learner = trained(Learner, settings, task)
    return learner.step / learner.clock.seconds


def trained(kind: type[Learner], settings: Settings, task: Task) -> Learner:
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as place, contextlib.redirect_stdout(io.StringIO()):
        folder = RunFolder(Path(place) / "run")
        folder.start(settings.plain())
        journal = Journal({}, "benchmark", folder, folder.open_log(), Mirror(), task, settings.train.steps)
        learner = kind(make_network(settings, task), task, journal, 0, settings.train)
        fit(learner, settings.trainer)
        journal.log.close()
    return learner
