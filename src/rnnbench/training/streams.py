"""Training on streams, as in 2000: a step is a stream, which ends at its first wrong prediction.

Weights change after each step of a stream; the learning rate begins anew with each, and is multiplied by `train.step_decay` at
each step. After every stream the validation streams are read up to the first wrong prediction: where there is none, the task is
solved. The mean number of symbols before it is measured at evaluations only.

Source: Gers, Schmidhuber & Cummins 2000, Learning to forget, section 4.
"""

from __future__ import annotations

import torch

from rnnbench.tasks.shared.streams import Pieces
from rnnbench.tasks.task import Split, Task, within

from ..kernels.lstm_1997 import NetworkForm, StreamWork, train_piece
from .learner import Learner
from .online import Done, Loop, as_rows, write_back


def streams_of(task: Task) -> Pieces | None:
    """The streams of a task that is read by them; None for any other."""
    return task.dataset if isinstance(task.dataset, Pieces) else None


class StreamLoop(Loop):
    """Trains on streams, and reads them in evaluations: those of a split, or the first `most`."""

    def __init__(self, learner: Learner, most: int | None = None):
        super().__init__(learner, most)
        streams = streams_of(learner.task)
        assert streams is not None
        self.streams, self.evaluated = streams, range(min(streams.streams, most or streams.streams))
        self.known = [0] * streams.streams  # symbols before the first error of each validation stream, as last read

    def read(self, end: int) -> Done:
        """Trains on one stream, up to its first wrong prediction."""
        learner, steps, total = self.learner, 0, 0.0
        weights, form = self.online
        assert isinstance(form, NetworkForm)
        begun = StreamWork.begin(weights, form, self.options.learning_rate)
        for piece in self.streams.pieces("train", learner.step, learner.seed):
            rows = as_rows(learner.task, piece)
            read, error, is_wrong = train_piece(weights, form, rows, piece.fresh.numpy(), self.tolerance, begun)
            steps, total = steps + read, total + error
            if is_wrong:
                break
        return Done(1, total, steps, self._solves())

    def _solves(self) -> bool:
        """Whether all validation streams are now right to their end, unless they were before."""
        if self.learner.selection.solved_step is not None:
            return False
        write_back(self.learner.network, self.online)
        for index in sorted(self.evaluated, key=self.known.__getitem__):  # first what soon was wrong, and will be so again
            self.known[index] = self.right("validation", index)
            if self.known[index] < self.streams.length:
                return False
        return True

    @torch.no_grad()
    def right(self, split: Split, index: int) -> int:
        """Symbols of a stream before its first wrong prediction."""
        state, found = None, 0
        for piece in self.streams.pieces(split, index, 0):
            outputs, state = self.learner.network(piece, None if piece.fresh[0] else state)
            is_right = within(outputs, piece, self.tolerance)[piece.scored]
            if not is_right.all():
                return found + int(is_right.int().argmin())
            found += len(is_right)
        return found

    def evaluate(self, split: Split, last: bool = False) -> dict[str, float]:
        rights = [self.right(split, index) for index in self.evaluated]
        whole = sum(right == self.streams.length for right in rights)
        return self.learner.task.finish({"correct": whole, "symbols": sum(rights), "rows": len(rights)})
