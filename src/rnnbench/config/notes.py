"""What settings ask for and a run never comes to: it may be meant, as in a short trial, and is said in a line each."""

from __future__ import annotations

from ..groups import TrainSettings
from ..options import amount
from .settings import Settings


def setting_notes(settings: Settings) -> list[str]:
    """A line for each option that cannot act beside the others, though it is part of the run's id; names all of them."""
    train, steps = settings.train, f"train.steps={settings.train.steps}"
    evaluations = -(-train.steps // train.eval_every)
    ends = f"{steps} with train.eval_every={train.eval_every} has {amount(evaluations, 'evaluation')}"
    found = []
    if train.warmup > train.steps:
        found.append(f"train.warmup={train.warmup} is longer than {steps}: train.learning_rate is never reached")
    for name, left in (
        ("eval_every", "the last step alone is evaluated"),
        ("log_every", "evaluations alone are logged"),
    ):
        if (every := getattr(train, name)) > train.steps and every != getattr(TrainSettings, name):
            found.append(f"train.{name}={every} is more than {steps}: {left}")
    if train.patience and train.patience + 1 >= evaluations:
        found.append(f"train.patience={train.patience} never ends training: {ends}")
    first = {"plateau": max(2, train.decay_after + 1), "step": train.decay_after + 1}  # evaluation that may lower the rate
    if first.get(train.schedule, 0) >= evaluations:  # the last one lowers nothing any more
        found.append(
            f"train.schedule={train.schedule} never lowers the learning rate: {ends}, and train.decay_after={train.decay_after}"
        )
    if settings.task.options.get("validation") == "test" and (train.select == "best" or train.patience):
        chosen = "train.select=best" if train.select == "best" else f"train.patience={train.patience}"
        found.append(f"{chosen} chooses by the test split, as task.validation=test: the score is no estimate for new data")
    return found
