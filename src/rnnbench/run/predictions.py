"""What a trained network answers: the classes of rows with their probabilities, as CSV, batch by batch."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

import numpy
import torch

from rnnbench.tasks.task import CLASSES, CLASSIFICATION, LABELS, Batch, NewRows, Split, Task

from ..data.text import UNKNOWN
from ..networks.trainable import TrainableNetwork
from ..options import BadOption, amount, shortened

BATCH = 100  # rows that are answered at once; a number of rows changes speed only


def check_predicts(task: Task, name: str) -> Sequence[str]:
    """The names of the classes or labels; BadOption where the task's answers are none."""
    names = task.classes if task.scoring == LABELS else task.class_names()
    if task.scoring not in (CLASSIFICATION, CLASSES, LABELS) or task.structure != "N->1" or not names:
        raise BadOption(f"{name}: predict takes tasks with one class, or several labels, a row only")
    return names


def probabilities(network: TrainableNetwork, task: Task, batch: Batch) -> numpy.ndarray:
    """(rows, classes) float64: the chance that the network gives each class, or each label, in evaluation mode."""
    network.eval()
    with torch.inference_mode():
        outputs, _ = network(batch.to(next(network.parameters()).device), None)
        logits = outputs[:, -1].double()
        return (logits.sigmoid() if task.label_separator else logits.softmax(-1)).cpu().numpy()


def answers_of(task: Task, chances: numpy.ndarray) -> list[str]:
    """The likeliest class of each row; or the labels that are likelier than not, with the separator between them."""
    names = list(check_predicts(task, "predictions"))
    if not task.label_separator:
        return [names[number] for number in chances.argmax(1).tolist()]
    return [task.label_separator.join(names[number] for number in row.nonzero()[0]) for row in chances > 0.5]


def split_lines(network: TrainableNetwork, task: Task, split: Split) -> Iterator[bytes]:
    """CSV of a split: row, right answer, answer, probability of each class or label; in the order of its rows."""
    names = list(check_predicts(task, "predictions"))
    found: list[tuple[int, str, str, numpy.ndarray]] = []
    for index in range(task.batches(split, BATCH)):
        batch = task.batch(split, index, BATCH, 0)
        chances, targets = probabilities(network, task, batch), batch.targets[:, 0]
        certain = targets if task.label_separator else torch.nn.functional.one_hot(targets, len(names))
        sides = (answers_of(task, certain.numpy()), answers_of(task, chances), chances)
        found += zip(task.dataset.row_numbers(split, index, BATCH).tolist(), *sides, strict=True)
    found.sort(key=lambda one: one[0])
    yield csv_lines([["row", "right", "answer", *chance_names(names)]])
    for number, right, answer, row in found:
        yield csv_lines([[number + 1, right, answer, *map(six_digits, row)]])


class Count:
    """How many rows were answered, how many of those that say their class, or their labels, rightly, and what is odd about
    them."""

    def __init__(self, names: Sequence[str]) -> None:
        """`names` of the classes or labels that the run knows."""
        self._names = frozenset(names)
        self.rows = self.labelled = self.right = self.wordless = 0
        self._strangers: dict[str, int] = {}  # rows by the first of their classes or labels that the run does not know
        self._hits = self._labels = 0  # labels that are right and answered; that are right, and that are answered, added up
        self._several = False

    def add(self, answers: Sequence[str], labels: Sequence[str | None], separator: str) -> None:
        """`separator`: see `Task.label_separator`."""
        self._several = bool(separator)
        self.rows += len(answers)
        for answer, label in zip(answers, labels, strict=True):
            if label is None:
                continue
            answered, wanted = ({one} if not separator else _labels(one, separator) for one in (answer, label))
            self.labelled += 1
            if new := sorted(wanted - self._names):
                self._strangers[new[0]] = self._strangers.get(new[0], 0) + 1
            self.right += answered == wanted
            self._hits += len(answered & wanted)
            self._labels += len(answered) + len(wanted)

    def scores(self) -> str:
        """`accuracy 0.9 over 100 rows with a class`; empty where no row says it."""
        if not self.labelled:
            return ""
        share = f"{self.right / self.labelled:.4g} over {amount(self.labelled, 'row')} with"
        micro_f1 = 2 * self._hits / self._labels if self._hits else 0.0
        return f"micro-F1 {micro_f1:.4g}, exact {share} labels" if self._several else f"accuracy {share} a class"

    def oddities(self) -> str:
        """What is odd about the rows, with counts: rows without a word, classes that the run does not know. Empty for none."""
        said = []
        if self.wordless:
            said.append(f"{amount(self.wordless, 'row')} without a word, answered as one unknown word ({UNKNOWN})")
        if self._strangers:
            kind = "label" if self._several else "class"
            names = shortened(", ".join(map(repr, self._strangers)), 100)
            said.append(
                f"{amount(sum(self._strangers.values()), 'row')} with a {kind} that training did not have ({names}), which "
                "no answer can be: counted as wrong"
            )
        return "; ".join(said)


def _labels(text: str, separator: str) -> set[str]:
    return {label.strip() for label in text.split(separator)} - {""}


def new_lines(network: TrainableNetwork, task: Task, chunks: Iterable[NewRows], count: Count) -> Iterator[bytes]:
    """CSV of new rows, chunk by chunk: what was read, the answered class and its probability, or the answered labels, and the
    probability of each; `count` is added to.
    """
    names, one = list(check_predicts(task, "predictions")), not task.label_separator
    yield csv_lines([["input", "answer", *(["probability"] if one else []), *chance_names(names)]])
    for chunk in chunks:
        chances = numpy.empty((len(chunk.shown), len(names)))
        for places, batch in chunk.batches:
            chances[places] = probabilities(network, task, batch)
        answers = answers_of(task, chances)
        count.add(answers, chunk.labels, task.label_separator)
        count.wordless += chunk.wordless
        yield csv_lines(
            [text, answer, *([six_digits(row.max())] if one else []), *map(six_digits, row)]
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
