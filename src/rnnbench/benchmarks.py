"""Measurements of this machine: ratios in one process, interleaved, medians, one thread."""

from __future__ import annotations

import contextlib
import io
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy
import torch

from . import config, process, run, sweeps, training  # type: ignore[attr-defined]  # sweeps lies beside src
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
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as place, contextlib.redirect_stdout(io.StringIO()):
        folder = RunFolder(Path(place) / "run")
        folder.start(settings)
        journal = run.Journal({}, "benchmark", folder, Log(folder), NoTracker(), task, settings["train"]["steps"])
        learner = training.Learner(run.make_network(settings, task), task, journal, 0, **settings["train"])
        training.train(learner, **settings["trainer"])
        journal.log.close()
    return learner.step / learner.seconds


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
