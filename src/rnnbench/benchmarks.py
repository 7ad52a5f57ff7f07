"""Measurements of this machine: ratios in one process, interleaved, medians, one thread."""

from __future__ import annotations

import contextlib
import io
import math
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy
import torch

from . import config, process, run, sweeps, training  # type: ignore[attr-defined]  # sweeps lies beside src
from .instruments import PROBED, activity
from .records import Log, RunFolder
from .tracking import NoTracker

SHAPE = ["task=adding", "model=lstm", "model.hidden_size=128", "task.length=100", "train.batch_size=50", "task.sequences=100"]


def overhead(quick: bool = False, words: Sequence[str] = ()) -> float:
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
        folder = RunFolder(Path(place) / "run")
        folder.start(settings)
        journal = run.Journal({}, "benchmark", folder, Log(folder), NoTracker(), task, settings["train"]["steps"])
        learner = kind(run.make_network(settings, task), task, journal, 0, **settings["train"])
        training.train(learner, **settings["trainer"])
        journal.log.close()
    return learner


INSTRUMENTED = ("rnn", "gru", "peephole_lstm", "lstm")


def instruments(quick: bool = False, words: Sequence[str] = ()) -> dict[str, tuple[float, float]]:
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


def data(quick: bool = False, words: Sequence[str] = ()) -> tuple[float, float]:
    """Prints and returns (share of an epoch's tokens that are real, what making a batch takes, over what training on it takes).

    `words` are a task and model of `rnnbench train`; without them, 20,000 texts made up with SST-2's lengths.
    """
    process.settle()
    with tempfile.TemporaryDirectory() as place:
        if not words:
            words = [f"task.file={_texts(Path(place))}", "task=text_classification", "model=lstm"]
        (settings,) = config.jobs([*words, "tracker=none"], sweep=False)
        task, rows = run.make_task(settings), settings["train"]["batch_size"]
        task.prepare()
        steps, count = (40, 200) if quick else (200, 1000)
        batches = range(min(task.batches("train", rows), count))
        task.batch("train", 0, rows, 0)
        began = time.perf_counter()
        made = [task.batch("train", index, rows, 0) for index in batches]
        seconds = (time.perf_counter() - began) / len(made)
    read = [batch.lengths if batch.source_lengths is None else batch.source_lengths for batch in made]
    lengths = torch.cat(read)
    mixed = lengths[torch.randperm(len(lengths), generator=torch.Generator().manual_seed(0))].split(rows)
    tokens = float(lengths.sum())
    real, unsorted = (tokens / sum(len(part) * int(part.max()) for part in parts) for parts in (read, mixed))
    torch.manual_seed(0)
    network = run.make_network(settings, task)
    optimizer = torch.optim.Adam(network.parameters(), settings["train"]["learning_rate"])
    times = []
    for batch in (made[index % len(made)] for index in range(steps)):
        began = time.perf_counter()
        outputs, _ = network(batch)
        total, counted = task.loss(outputs, batch)
        optimizer.zero_grad()
        (total / counted).backward()
        optimizer.step()
        times.append(time.perf_counter() - began)
    step = statistics.mean(times)
    each = tokens / len(made)  # tokens of a batch
    print(f"{settings['task']['name']}, {settings['model']['name']} {settings['model']['hidden_size']}, batches of {rows}:")
    print(f"real tokens: {real:.1%} with buckets (at least 95 % wanted), {unsorted:.1%} without")
    print(f"pipeline {each / seconds:,.0f} tokens/s, {1e3 * seconds:.2f} ms a batch")
    print(f"model {each / step:,.0f} tokens/s, {1e3 * step:.2f} ms a step")
    print(f"data take {seconds / step:.1%} of the step (at most 10 % wanted)")
    return real, seconds / step


def _texts(folder: Path) -> Path:
    """20,000 texts with the lengths that the phrases of SST-2 have: 9.4 words on average, a third of them 3 or fewer."""
    random = numpy.random.default_rng(0)
    lengths = numpy.clip(random.lognormal(1.85, 0.9, 20_000), 1, 52).astype(int)
    lines = (" ".join(f"w{word}" for word in random.zipf(1.3, length) % 5000) for length in lengths)
    path = folder / "texts.csv"
    path.write_text("text,label\n" + "".join(f"{line},{number % 2}\n" for number, line in enumerate(lines)))
    return path


def tasks(quick: bool = False, words: Sequence[str] = ()) -> None:
    """Runs what sweeps/tasks/runs.yaml lists (of the tasks that `words` name, if they do), and prints a row for each run.

    Runs are kept in runs/, so that a second call answers from their records. `quick` leaves out baselines that are fitted.
    """
    from . import baselines

    print("| task | model | headline | floor | simple baseline | test score | seconds |\n|---|---|---|---|---|---|---|")
    for line in small_runs():
        options = line.split()
        name = options[0].removeprefix("task=")
        if words and name not in words:
            continue
        (settings,) = config.jobs([*options, "tracker=none", "train.instruments=false"], sweep=False)
        label = " ".join([name, *(word.removeprefix("task.") for word in options if word.startswith("task."))])
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                record = run.execute(settings)
        except run.RunFailed as error:
            print(f"| {label} | | not run: {str(error).partition(': ')[2]} | | | | |", flush=True)
            continue
        if record is None:
            continue
        about, baseline = record["task"], "the floor"
        if "word_by_word_bleu" in about["about"]:
            baseline = f"{about['about']['word_by_word_bleu']:.4g} (word by word)"
        elif about["fingerprint"] and not quick:
            task = run.make_task(settings)
            task.prepare()
            with contextlib.suppress(ValueError):
                found = [one for one in baselines.run(task) if not one.name.startswith("floor")]
                best = (max if about["direction"] == "max" else min)(found, key=lambda one: one.validation)
                baseline = f"{best.test:.4g} ({best.name})"
        score, seconds = record["scores"]["test"][about["headline"]], record["speed"]["seconds"]
        model = f"{record['model']['name']} {settings['model']['hidden_size']}"
        row = (label, model, about["headline"], f"{about['floor']:.4g}", baseline, f"{score:.4g}", f"{seconds:.0f}")
        print(f"| {' | '.join(row)} |", flush=True)


def small_runs() -> list[str]:
    """The command lines of sweeps/tasks/runs.yaml."""
    listed = config.load_yaml(Path(str(sweeps.__file__)).parent / "tasks/runs.yaml")
    return [f"{line} {listed['shared']}" for line in listed["generated"]] + listed["real"]


def kernels(quick: bool = False, words: Sequence[str] = ()) -> None:
    """Prints each kernel's time against the library's, and against what this machine's matrix products allow."""
    from .kernels.benchmark import main

    main(quick=quick)
