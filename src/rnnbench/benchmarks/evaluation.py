"""What an evaluation, its scores and a sampled symbol cost on this machine: `rnnbench benchmark evaluation`.

Both sides of a comparison run in turn in one process, on one thread; the ratio is that of the medians of CPU time. The
other side is PyTorch's own: nothing of ours that becomes slower makes both sides slower.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

import numpy
import torch
from torch import nn
from torch.nn import functional

from rnnbench.tasks.shared.scoring import classification_sums
from rnnbench.tasks.shared.streams import Streams
from rnnbench.tasks.task import SPLITS, Batch, Task

from ..config.compose import compose_jobs
from ..models.mechanism import State
from ..networks.decoding import generate
from ..run.plan import make_network, make_task
from ..run.process_settings import configure_process
from ..training.learner import Learner
from ..training.recorder import Recorder
from ..training.trainer import fit
from .history import Measured
from .kernels import Closure, KernelRow, compared, shown

WORDS = ["task=char_lm", "model.hidden_size=128", "train.samples=0", "train.instruments=false", "tracker=none"]
WORD_MODEL = (10, 35, 10_000)  # rows, steps, words


def main(quick: bool = False, words: Sequence[str] = ()) -> list[Measured]:
    """Prints and returns a row for each comparison, with the upper bounds that its ratio must and shall keep."""
    configure_process()
    rounds = 3 if quick else 7
    print(f"{'':44s} {'B,T,V':>11s} {'ours ms':>9s} {'theirs ms':>9s} {'ratio':>7s}  {'must':>5s} {'aim':>5s}")
    asked: list[Callable[[int], KernelRow]] = [
        *(partial(evaluation, tokens, "lstm") for tokens in (100_000, 600_000)),
        *(partial(evaluation, 100_000, model) for model in ("gru", "rnn")),
        scores,
        sampling,
    ]
    return list(shown(measure(rounds) for measure in asked))


BARE: dict[str, Callable[..., nn.RNNBase]] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


def evaluation(tokens: int, model: str, rounds: int) -> KernelRow:
    """The test of a model of 128 units on a text of so many tokens, over the bare forward passes of the same batches."""
    (settings,) = compose_jobs([*WORDS, f"model={model}", "train.steps=1"], sweep=False)
    task = make_task(settings)
    task.prepare()
    task.dataset = _random_text(tokens, task.inputs.size)
    network = make_network(settings, task)
    batches = [task.batch("test", index, 1, 0) for index in range(task.batches("test", 1))]
    shape = (*batches[0].inputs.shape, task.inputs.size)
    bare, readout = BARE[model](task.inputs.size, 128, batch_first=True), nn.Linear(128, task.inputs.size)

    @torch.no_grad()
    def forward() -> None:
        state = None
        for batch in batches:
            y, state = bare(functional.one_hot(batch.inputs, task.inputs.size).float(), state)
            readout(y)

    def test() -> None:
        learner = Learner(network, task, cast(Recorder, None), 0, settings.train)
        learner.step, learner.selection.best = 1, {"weights": network.state_dict(), "scores": {}}
        fit(learner)

    name = f"evaluation of {tokens:,} tokens / bare forward" + (f", {model}" if model != "lstm" else "")
    return compared(name, shape, test, forward, rounds, (1.4, 1.1))


def _random_text(tokens: int, size: int) -> Streams:
    drawn = numpy.random.default_rng(0).integers(0, size, tokens)
    counts = numpy.bincount(drawn, minlength=size)
    return Streams(dict.fromkeys(SPLITS, drawn), dict.fromkeys(SPLITS, counts), 100, "random")


def scores(rounds: int) -> KernelRow:
    """The scores of a word model's batch, over those by a float64 copy of its logits and a search in all of them."""
    B, T, V = WORD_MODEL
    outputs, targets = torch.randn(B, T, V), torch.randint(V, (B, T))
    ones = torch.ones(B, T, dtype=torch.bool)
    classes = outputs.flatten(0, 1)
    batch = Batch(targets, targets, ones, torch.full((B,), T), ones[:, 0])

    def plainly() -> None:
        losses = functional.cross_entropy(classes.double(), targets.flatten(), reduction="none")
        torch.where(ones.flatten(), losses, 0.0).sum()
        ((outputs.argmax(-1) == targets) & ones).sum()

    name = "scores of a word model / in float64"
    return compared(name, WORD_MODEL, lambda: classification_sums(outputs, batch), plainly, rounds, (0.5, 0.25))


SYMBOLS = 300  # that are sampled at once


def sampling(rounds: int) -> KernelRow:
    """A symbol sampled by an LSTM(128), over the plainest loop of an LSTMCell with the same weights."""
    (settings,) = compose_jobs([*WORDS, "model=lstm"], sweep=False)
    task = make_task(settings)
    task.prepare()
    network = make_network(settings, task)
    prompt = task.encode("The ")

    def ours() -> None:
        for _ in generate(network, task, prompt, SYMBOLS, 0.8, 0):
            pass

    shape, name = (1, 1, task.inputs.size), "sampling a symbol / an LSTMCell loop"
    return compared(name, shape, ours, bare_sampling(task, prompt), rounds, (2.0, 1.3), SYMBOLS)


def bare_sampling(task: Task, prompt: list[int]) -> Closure:
    """One-hot vector, LSTMCell, read-out, softmax and a draw, symbol by symbol."""
    size = task.inputs.size
    cell, readout = nn.LSTMCell(size, 128), nn.Linear(128, size)
    random = torch.Generator().manual_seed(0)

    @torch.inference_mode()
    def loop() -> None:
        state: State = None
        token = torch.tensor(prompt[-1:])
        for _ in range(SYMBOLS):
            state = cell(functional.one_hot(token, size).float(), state)
            chances = (readout(state[0]) / 0.8).softmax(-1)
            token = torch.multinomial(chances, 1, generator=random)[0]
            token.item()

    return loop
