"""Measurements of this machine: ratios in one process, interleaved, medians, one thread."""

from __future__ import annotations

import contextlib
import io
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from . import config, process, run, training
from .instruments import PROBED, activity
from .kernels.benchmark import SHAPES, Row, interleaved, limit
from .kernels.benchmark import main as kernel_table
from .kernels.benchmark import row as compared
from .models import MODELS
from .models.stack import Stack
from .records import Log, RunFolder
from .tracking import NoTracker

SHAPE = ["task=adding", "model=lstm", "model.hidden_size=128", "task.length=100", "train.batch_size=50", "task.sequences=100"]


def overhead(quick: bool = False) -> float:
    """Prints and returns the median ratio of steps/s, `rnnbench train` over a bare PyTorch loop.

    Both make and use the same batches: LSTM(128), batch 50, T = 100 on `adding`, Adam, clipping at 1. Ours includes data
    generation, the default logging to files, and Lightning; the bare loop is forward, backward, clip, step.
    """
    rounds, steps = (3, 150) if quick else (11, 300)
    process.settle()
    (settings,) = config.jobs([*SHAPE, f"train.steps={steps}", f"train.eval_every={steps}", "tracker=none"], sweep=False)
    task = run.make_task(settings)
    ratios = []
    print(f"{'round':>5}  {'bare steps/s':>12}  {'rnnbench steps/s':>16}  ratio")
    for index in range(rounds + 1):
        bare, ours = _bare(settings, task, steps), _ours(settings, task)
        if index:  # the first round warms up
            ratios.append(ours / bare)
            print(f"{index:>5}  {bare:>12.1f}  {ours:>16.1f}  {ours / bare:.3f}")
    ratio = statistics.median(ratios)
    print(f"median ratio {ratio:.3f} (at least 0.95 wanted), {min(ratios):.3f} to {max(ratios):.3f}")
    return ratio


def _bare(settings: dict[str, Any], task: Any, steps: int) -> float:
    """Steps a second of the plainest loop."""
    torch.manual_seed(0)
    network = run.make_network(settings, task)
    optimizer = torch.optim.Adam(network.parameters(), settings["train"]["learning_rate"])
    started = time.perf_counter()
    for step in range(steps):
        batch = task.batch("train", step, settings["train"]["batch_size"], 0)
        outputs, _ = network(batch)
        total, count = task.loss(outputs, batch)
        optimizer.zero_grad()
        (total / count).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    return steps / (time.perf_counter() - started)


def _ours(settings: dict[str, Any], task: Any) -> float:
    """Steps a second of the trainer that `rnnbench train` uses, its files written to a folder of its own."""
    learner = _trained(training.Learner, settings, task)
    return learner.step / learner.seconds


def _trained(kind: type[training.Learner], settings: dict[str, Any], task: Any) -> training.Learner:
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as place, contextlib.redirect_stdout(io.StringIO()):
        folder = RunFolder(run.Path(place) / "run")
        folder.start(settings)
        journal = run.Journal({}, "benchmark", folder, Log(folder), NoTracker(), task, settings["train"]["steps"])
        learner = kind(run.make_network(settings, task), task, journal, 0, **settings["train"])
        training.train(learner, **settings["trainer"])
        journal.log.close()
    return learner


INSTRUMENTED = ("rnn", "gru", "peephole_lstm", "lstm")


def instruments(quick: bool = False) -> dict[str, tuple[float, float]]:
    """Prints what it costs to measure and log everything, in percent of a training step that logs nothing.

    `adding`, T = 100, B = 50, H = 128, one thread, CPU time. Every second step of one run is logged, so that both kinds meet
    the same neighbours; medians of each. A logged step has every norm of gradients before and after clipping, the gradient
    through time, the update ratio and the row that is written; gates, states and spectral radii are measured at evaluations,
    every `train.eval_every` steps. Returns {model: (share with a row every 50 steps, share with a row every step)}; the
    second is for cells whose logged steps run on the same kernel as the others, which the library's LSTM does not.
    """
    process.settle()
    found = {}
    print(f"{'model':<14} {'step ms':>8} {'logged ms':>10} {'at evaluation ms':>17} {'every 50 steps':>15} {'every step':>11}")
    print(f"{'wanted':<52} {'2.0% or less':>15} {'10% or less':>11}")
    for model in INSTRUMENTED:
        plain, logged, evaluated = _logged(model, 60 if quick else 300)
        rare = (logged - plain) / 50 / plain + evaluated / EVAL_EVERY / plain
        often = math.nan if model == "lstm" else logged / plain - 1
        found[model] = rare, often
        shown = "other kernel" if model == "lstm" else f"{often:.1%}"
        times = f"{1e3 * plain:>8.2f} {1e3 * logged:>10.2f} {1e3 * evaluated:>17.2f}"
        print(f"{model:<14} {times} {rare:>15.2%} {shown:>11}", flush=True)
    return found


EVAL_EVERY = 200  # steps, the default


def _logged(model: str, steps: int) -> tuple[float, float, float]:
    """Median CPU seconds of a step that is not logged, of one that is, and of what an evaluation adds."""
    times: dict[bool, list[float]] = {False: [], True: []}
    evaluations = []

    class Timed(training.Learner):
        def on_train_batch_start(self, *arguments: Any) -> None:
            self.began = time.process_time()
            super().on_train_batch_start(*arguments)

        def on_train_batch_end(self, *arguments: Any) -> None:
            super().on_train_batch_end(*arguments)
            times[self.step % 2 == 0].append(time.process_time() - self.began)

    words = [*SHAPE[:1], f"model={model}", *SHAPE[2:], f"train.steps={steps}", f"train.eval_every={steps}", "train.log_every=2"]
    (settings,) = config.jobs([*words, "train.stop_when_solved=false", "tracker=none"], sweep=False)
    task = run.make_task(settings)
    _trained(Timed, settings, task)
    torch.manual_seed(0)
    network = run.make_network(settings, task).eval()
    for _ in range(5):
        start = time.process_time()
        activity(network, task.batch("validation", 0, PROBED, 0))
        evaluations.append(time.process_time() - start)
    plain, logged = (statistics.median(times[kind][5:-1]) for kind in (False, True))  # the last step waits for an evaluation
    return plain, logged, statistics.median(evaluations)


def kernels(quick: bool = False) -> None:
    """Prints each kernel's time against the library's, and against what this machine's matrix products allow."""
    kernel_table(quick=quick)
    for shape in SHAPES[:1] if quick else SHAPES:
        for row in bidirectional(shape, 3 if quick or shape[2] > 128 else 7):
            print(row, flush=True)


def bidirectional(shape: tuple[int, int, int], rounds: int) -> Iterator[Row]:
    """A bidirectional LSTM of lengths from T / 2 to T, exact: against the same without lengths, which reads padding and is
    wrong, and against packed sequences, as the library has it."""
    T, B, H = shape
    lengths = torch.linspace(T // 2, T, B).long()
    ours, theirs = Stack(lambda size: MODELS["lstm"](size, H), H, bidirectional=True), nn.LSTM(H, H, bidirectional=True)
    x, weights = torch.randn(B, T, H), torch.randn(B, T, 2 * H)
    valid = (torch.arange(T) < lengths.unsqueeze(1)).unsqueeze(2)

    def packed() -> Tensor:
        y, _ = theirs(pack_padded_sequence(x.transpose(0, 1), lengths, enforce_sorted=False))
        return pad_packed_sequence(y, total_length=T)[0].transpose(0, 1)

    def trained(output: Callable[[], Tensor]) -> Callable[[], None]:
        def one_pass() -> None:
            for parameter in (*ours.parameters(), *theirs.parameters()):
                parameter.grad = None
            (output() * weights).masked_fill(~valid, 0).sum().backward()

        return one_pass

    sides = {"exact": trained(lambda: ours(x, None, lengths)[0]), "padded": trained(lambda: ours(x)[0])}
    times = interleaved(sides, rounds)
    name, least = "bidirectional LSTM with lengths", 2 * limit(shape, 4)
    yield compared(f"{name} / padded", shape, times["exact"], times["padded"], 1.15, 1.0, least)
    times = interleaved({"exact": sides["exact"], "packed": trained(packed)}, min(rounds, 3))
    yield compared(f"{name} / packed", shape, times["exact"], times["packed"], 0.2, limit=least)
