"""One pass over a split: scores, what the states do, texts that the network writes."""

from __future__ import annotations

import torch
from torch import Tensor

from rnnbench.tasks.task import Batch, Task, totals

from ..groups import TrainSettings
from ..models.mechanism import State
from ..networks.decoding import examples, write_greedily
from ..networks.instruments import PROBED, activity
from ..networks.trainable import TrainableNetwork
from .confusion import ClassCounts, Confusion, label_counts, matrix_counts
from .devices import Devices


class Evaluation:
    """Adds up the sums that the task's scores are made of, batch by batch, on this device."""

    def __init__(self, network: TrainableNetwork, task: Task, options: TrainSettings, counts_classes: bool = False):
        self._network, self._task, self._options = network, task, options
        self._sums: dict[str, Tensor] = {}
        self._state: State | None = None  # carried from batch to batch
        self._counts_classes = counts_classes
        self._confusion = Confusion(task.class_names()) if counts_classes and task.class_names() else None

    def add(self, batch: Batch) -> None:
        """Adds a batch; of a task with a source also what the network writes for each row."""
        network, task, options = self._network, self._task, self._options
        state = network.carry(self._state, batch.fresh) if options.carry and task.carries else None
        outputs, self._state = network(batch, state)
        sums = task.score(outputs, batch)
        if task.source is not None:
            written = write_greedily(network, task, batch, options.beam, options.length_penalty)
            sums |= task.score_written(written, batch)
        if self._confusion:
            self._confusion.add(outputs, batch)
        for name, value in sums.items():
            self._sums[name] = self._sums.get(name, 0) + value

    def scores(self, devices: Devices) -> dict[str, float]:
        """The task's scores over the batches of all devices. TypeError for a score that is no number: no record can hold it."""
        sums = {name: devices.sum(value) for name, value in sorted(self._sums.items())}
        scores = self._task.finish(totals(sums))
        for name, score in scores.items():
            if not isinstance(score, int | float):
                raise TypeError(f"the task's finish gives a {type(score).__name__} for the score {name}; scores are numbers")
        return scores

    def confusion(self, devices: Devices) -> tuple[list[str], list[list[int]]] | None:
        """(names of the classes, counts[right][answered]) over the batches of all devices; None where they are not counted."""
        return self._confusion.matrix(devices) if self._confusion else None

    def by_class(self, devices: Devices) -> ClassCounts | None:
        """(names of the classes, or of several labels a row, and how often each was answered rightly, was answered, and was
        right) over the batches of all devices; None where they are not counted.
        """
        if found := self.confusion(devices):
            return found[0], matrix_counts(found[1])
        labels = self._sums.get("labels") if self._counts_classes and self._task.label_separator else None
        return None if labels is None else label_counts(self._task.classes, devices.sum(labels))

    def activity(self, device: torch.device) -> dict[str, float]:
        """Gates, states and spectral radii on the first validation rows; empty without instruments."""
        if not self._options.instruments:
            return {}
        return activity(self._network, self._task.batch("validation", 0, PROBED, 0).to(device))

    def texts(self) -> tuple[list[dict[str, str]], float] | None:
        """(texts written on the validation split, characters per second); None where none are asked, or the task has none."""
        options, task = self._options, self._task
        if not options.samples or not (task.generates or task.answers):
            return None
        texts, characters, seconds = examples(self._network, task, options.samples, options.beam, options.length_penalty)
        return texts, characters / seconds
