"""What evaluations decide: the best weights, the end of training, reductions of the learning rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

from torch import Tensor

from rnnbench.tasks.task import Task

from ..groups import TrainSettings


class Best(TypedDict, total=False):
    """The evaluation with the best headline score so far; empty before the first."""

    step: int
    score: float  # the headline
    scores: dict[str, float]
    weights: dict[str, Tensor]


class Selection:
    """Keeps the weights of the best evaluation and decides whether training stops."""

    def __init__(self, task: Task, options: TrainSettings):
        self._task, self._options = task, options
        self.best: Best = {}
        self.stale = 0  # evaluations since the best one
        self.past: list[float] = []  # headlines of all evaluations
        self.reductions = 0  # of the learning rate, with schedule=plateau
        self.solved_step: int | None = None  # of the first evaluation whose scores solve the task
        self.seconds_to_solved: float | None = None
        self.stopped = False  # before the last step: out of patience, or solved

    def consider(self, step: int, seconds: float, scores: dict[str, float], weights: Mapping[str, Tensor]) -> None:
        """Takes an evaluation into account that was made after `step` steps and `seconds` of training."""
        score = scores[self._task.headline]
        sign = -1 if self._task.direction == "max" else 1
        self.reductions += self._lowers_rate(sign * score, [sign * before for before in self.past])
        self.past.append(score)
        if not self.best or sign * score < sign * self.best["score"]:
            copies = {name: value.detach().clone() for name, value in weights.items()}
            self.best = {"step": step, "score": score, "scores": scores, "weights": copies}
            self.stale = 0
        else:
            self.stale += 1
        if self.solved_step is None and self._task.solved(scores):
            self.solved_step, self.seconds_to_solved = step, seconds
        patience = self._options.patience
        self.stopped = bool((self._options.stop_when_solved and self.solved_step) or (patience and self.stale >= patience))

    def _lowers_rate(self, score: float, past: Sequence[float]) -> bool:
        """Whether the learning rate falls after an evaluation with `score`, lower being better, that follows those of `past`.

        With a window it falls where `score` is worse than each of the last ones, as in the code of Bai, Kolter & Koltun 2018.
        """
        options = self._options
        if options.schedule != "plateau" or not past or len(past) < options.decay_after:
            return False
        return score > max(past[-options.decay_window :]) if options.decay_window else score >= min(past)
