"""What making batches costs, and how much of them is real."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy
import torch

from ..config.compose import compose_jobs
from ..run.plan import make_network, make_task
from ..run.process_settings import configure_process
from .history import Measured


def main(quick: bool = False, words: Sequence[str] = ()) -> list[Measured]:
    """What `measure` returns, as it is judged and saved."""
    real, share = measure(quick, words)
    about = " ".join(words) or "made-up texts"
    return [
        Measured(f"{about}: share of tokens that are real", real, must=0.95, higher=True),
        Measured(f"{about}: making a batch / a step", share, must=0.1),
    ]


def measure(quick: bool = False, words: Sequence[str] = ()) -> tuple[float, float]:
    """Prints and returns (share of an epoch's tokens that are real, what making a batch takes, over what training on it takes).

    `words` are a task and model of `rnnbench train`; without them, 20,000 texts made up with SST-2's lengths.
    """
    configure_process()
    with tempfile.TemporaryDirectory() as place:
        if not words:
            words = [f"task.file={_texts(Path(place))}", "task=text_classification", "model=lstm"]
        (settings,) = compose_jobs([*words, "tracker=none"], sweep=False)
        task, rows = make_task(settings), settings.train.batch_size
        task.prepare()
        steps, count = (40, 200) if quick else (200, 1000)
        batches = range(min(task.batches("train", rows), count))
        task.batch("train", 0, rows, 0)
        made, waits = [], []
        for index in batches:
            began = time.perf_counter()
            made.append(task.batch("train", index, rows, 0))
            waits.append(time.perf_counter() - began)
    seconds = statistics.median(waits)
    read = [batch.lengths if batch.source_lengths is None else batch.source_lengths for batch in made]
    lengths = torch.cat(read)
    mixed = lengths[torch.randperm(len(lengths), generator=torch.Generator().manual_seed(0))].split(rows)
    tokens = float(lengths.sum())
    real, unsorted = (tokens / sum(len(part) * int(part.max()) for part in parts) for parts in (read, mixed))
    torch.manual_seed(0)
    network = make_network(settings, task)
    optimizer = torch.optim.Adam(network.parameters(), settings.train.learning_rate)
    times = []
    for batch in (made[index % len(made)] for index in range(steps)):
        began = time.perf_counter()
        outputs, _ = network(batch)
        total, counted = task.loss(outputs, batch)
        optimizer.zero_grad()
        (total / counted).backward()
        optimizer.step()
        times.append(time.perf_counter() - began)
    step = statistics.median(times)
    each = tokens / len(made)  # tokens of a batch
    print(f"{settings.task.name}, {settings.setting} {settings.model.options['hidden_size']}, batches of {rows}:")
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
