"""What depends on the step: the learning rate, the share of true symbols, when a row is logged, when an evaluation is made."""

from __future__ import annotations

import math

from ..groups import TrainSettings


def learning_rate(options: TrainSettings, step: int, reductions: int) -> float:
    """The learning rate of the step after `step` steps; `reductions` counts the evaluations that lowered it (plateau)."""
    if step < options.warmup:
        return options.learning_rate * (step + 1) / options.warmup
    done = (step - options.warmup) / max(1, options.steps - options.warmup)
    factors = {
        "constant": 1.0,
        "linear": 1 - done,
        "cosine": (1 + math.cos(math.pi * done)) / 2,
        "plateau": options.decay**reductions,
        "step": options.decay ** max(0, step // options.eval_every - options.decay_after),
    }
    return options.learning_rate * factors[options.schedule]


def forcing_share(options: TrainSettings, step: int) -> float:
    """The share of true symbols fed to a writer, linear in `step` (scheduled sampling, Bengio et al. 2015)."""
    return options.forcing + (options.forcing_end - options.forcing) * step / options.steps


def is_evaluated(options: TrainSettings, step: int) -> bool:
    """Whether an evaluation follows step number `step`, counted from 1."""
    return step % options.eval_every == 0 or step == options.steps


def is_logged(options: TrainSettings, step: int) -> bool:
    """Whether a row is logged after step number `step`, counted from 1."""
    return step % options.log_every == 0 or is_evaluated(options, step)
