"""What the instruments cost."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence
from typing import Any

import torch

from ..config.compose import compose_jobs
from ..networks.instruments import PROBED, activity
from ..run.plan import make_network, make_task
from ..run.process_settings import configure_process
from ..training.learner import Learner
from .history import Measured
from .overhead import SHAPE, trained

INSTRUMENTED = ("rnn", "gru", "peephole_lstm", "lstm")


def main(quick: bool = False, words: Sequence[str] = ()) -> list[Measured]:
    """The shares of `measure` plus 1, as ratios that are judged and saved."""
    rows = []
    for model, (rare, often) in measure(quick).items():
        rows.append(Measured(f"{model}: with a row every 50 steps / with none", 1 + rare, must=1.02))
        if not math.isnan(often):
            rows.append(Measured(f"{model}: with a row every step / with none", 1 + often, must=1.1))
    return rows


def measure(quick: bool = False) -> dict[str, tuple[float, float]]:
    """Prints what it costs to measure and log everything, in percent of a training step that logs nothing.

    `adding`, T = 100, B = 50, H = 128, one thread, CPU time. Every second step of one run is logged, so that both kinds meet
    the same neighbours; medians of each. A logged step has every norm of gradients before and after clipping, the gradient
    through time, the update ratio and the row that is written; gates, states and spectral radii are measured at evaluations,
    every `train.eval_every` steps. Returns {model: (share with a row every 50 steps, share with a row every step)}; the
    second is for cells whose logged steps run on the same kernel as the others, which the library's LSTM does not.
    """
    configure_process()
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

    class Timed(Learner):
        def on_train_batch_start(self, *arguments: Any) -> None:
            self.began = time.process_time()
            super().on_train_batch_start(*arguments)

        def on_train_batch_end(self, *arguments: Any) -> None:
            super().on_train_batch_end(*arguments)
            times[self.step % 2 == 0].append(time.process_time() - self.began)

    words = [*SHAPE[:1], f"model={model}", *SHAPE[2:], f"train.steps={steps}", f"train.eval_every={steps}", "train.log_every=2"]
    (settings,) = compose_jobs([*words, "train.stop_when_solved=false", "tracker=none"], sweep=False)
    task = make_task(settings)
    trained(Timed, settings, task)
    torch.manual_seed(0)
    network = make_network(settings, task).eval()
    for _ in range(5):
        start = time.process_time()
        activity(network, task.batch("validation", 0, PROBED, 0))
        evaluations.append(time.process_time() - start)
    plain, logged = (statistics.median(times[kind][5:-1]) for kind in (False, True))  # the last step waits for an evaluation
    return plain, logged, statistics.median(evaluations)
