"""What evaluations decide: the best weights, the end of training, reductions of the learning rate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

from torch import Tensor

from rnnbench.tasks.task import Task

from ..groups import TrainSettings


class Best(TypedDict, total=False):
    """The evaluation whose weights are kept: that with the best headline so far, or the last one; empty before the first."""

    step: int
    score: float  # the headline
    scores: dict[str, float]
    weights: dict[str, Tensor]


class Selection:
    """Keeps the weights of the best evaluation, or of the last one, and decides whether training stops."""

    def __init__(self, task: Task, options: TrainSettings):
        self._task, self._options = task, options
        self.best: Best = {}
        self.stale = 0  # evaluations since the best one
        self.past: list[float] = []  # headlines of all evaluations
        self.reductions = 0  # of the learning rate, with schedule=plateau
        self.solved_step: int | None = None  # of the first evaluation whose scores solve the task
        self.seconds_to_solved: float | None = None
        self.stopped = False  # before the last step: out of patience, or solved

    def consider(
        self, step: int, seconds: float, scores: dict[str, float], weights: Mapping[str, Tensor], solved: bool | None = None
    ) -> None:
        """Takes an evaluation into account that was made after `step` steps and `seconds` of training.

        `solved`: whether the task is, where training knows; None asks the task about the scores.
        """
        score, options = scores[self._task.headline], self._options
        better = all(self._is_better(score, before) for before in self._known())
        self.reductions += self._lowers_rate(score, better)
        if better or options.select == "last":
            copies = {name: value.detach().clone() for name, value in weights.items()}
            self.best = {"step": step, "score": score, "scores": scores, "weights": copies}
        self.stale = 0 if better else self.stale + 1
        self.past.append(score)
        if self.solved_step is None and (self._task.solved(scores) if solved is None else solved):
            self.solved_step, self.seconds_to_solved = step, seconds
        patience = options.patience
        self.stopped = bool((options.stop_when_solved and self.solved_step) or (patience and self.stale >= patience))

    def _is_better(self, score: float, other: float) -> bool:
        return score > other if self._task.direction == "max" else score < other

    def _known(self) -> list[float]:
        """Headlines before; of a run that continues from a checkpoint of version 0.1 the best one only."""
        return [*self.past, self.best["score"]] if self.best else []

    def _lowers_rate(self, score: float, better: bool) -> bool:
        """Whether the learning rate falls after an evaluation with this `score`, `better` than all before it or not.

        With a window it falls where `score` is worse than each of the last ones, as in the code of Bai, Kolter & Koltun 2018.
        """
        options = self._options
        if options.schedule != "plateau" or not self._known() or len(self.past) < options.decay_after:
            return False
        return (
            not better
            if not options.decay_window
            else all(self._is_better(before, score) for before in self.past[-options.decay_window :])
        )
