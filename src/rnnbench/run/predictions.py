"""What a trained network answers: the classes of rows with their probabilities, as CSV, batch by batch."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

import numpy
import torch

from rnnbench.tasks.task import CLASSES, CLASSIFICATION, Batch, NewRows, Split, Task

from ..networks.trainable import TrainableNetwork
from ..options import BadOption

BATCH = 100  # rows that are answered at once; a number of rows changes speed only


def check_predicts(task: Task, name: str) -> Sequence[str]:
    """The names of the classes; BadOption where the task's answers are none."""
    names = task.class_names()
    if task.scoring not in (CLASSIFICATION, CLASSES) or task.structure != "N->1" or not names:
        raise BadOption(f"{name}: predict takes tasks with one class a row only")
    return names


def probabilities(network: TrainableNetwork, batch: Batch) -> numpy.ndarray:
    """(rows, classes) float64: the chance that the network gives each class, in evaluation mode."""
    network.eval()
    with torch.inference_mode():
        outputs, _ = network(batch.to(next(network.parameters()).device), None)
        return outputs[:, -1].double().softmax(-1).cpu().numpy()


def split_lines(network: TrainableNetwork, task: Task, split: Split) -> Iterator[bytes]:
    """CSV of a split: row, right class, answered class, probability of each class; in the order of its rows."""
    names = list(task.class_names())
    found: list[tuple[int, int, numpy.ndarray]] = []
    for index in range(task.batches(split, BATCH)):
        batch = task.batch(split, index, BATCH, 0)
        rows = task.dataset.row_numbers(split, index, BATCH)
        chances = probabilities(network, batch)
        found += zip(rows.tolist(), batch.targets[:, 0].tolist(), chances, strict=True)
    found.sort(key=lambda one: one[0])
    yield csv_lines([["row", "right", "answer", *chance_names(names)]])
    for number, right, chances in found:
        yield csv_lines([[number + 1, names[right], names[int(chances.argmax())], *map(six_digits, chances)]])


class Count:
    """How many rows were answered, and how many of those that say their class rightly."""

    def __init__(self) -> None:
        self.rows = self.labelled = self.right = 0

    def add(self, answers: Sequence[str], labels: Sequence[str | None]) -> None:
        self.rows += len(answers)
        self.labelled += sum(label is not None for label in labels)
        self.right += sum(answer == label for answer, label in zip(answers, labels, strict=True))


def new_lines(network: TrainableNetwork, task: Task, chunks: Iterable[NewRows], count: Count) -> Iterator[bytes]:
    """CSV of new rows, chunk by chunk: what was read, the answered class, its probability, and that of each class; `count` is
    added to.
    """
    names = list(task.class_names())
    yield csv_lines([["input", "answer", "probability", *chance_names(names)]])
    for chunk in chunks:
        chances = numpy.empty((len(chunk.shown), len(names)))
        for places, batch in chunk.batches:
            chances[places] = probabilities(network, batch)
        answers = [names[number] for number in chances.argmax(1).tolist()]
        count.add(answers, chunk.labels)
        yield csv_lines(
            [text, answer, six_digits(row.max()), *map(six_digits, row)]
            for text, answer, row in zip(chunk.shown, answers, chances, strict=True)
        )


def chance_names(classes: Sequence[str]) -> list[str]:
    """The names of the columns of probabilities."""
    return [f"p({name})" for name in classes]


def six_digits(chance: float) -> str:
    return f"{chance:.6f}"


def csv_lines(rows: Iterable[Sequence[object]]) -> bytes:
    """Rows as the text of a CSV file."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
