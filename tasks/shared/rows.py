"""Rows of tokens with an answer a row or an answer a token: the dataset of the tasks that read short texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy
import torch
from torch import Tensor

from rnnbench.data.cache import read_arrays, write_arrays
from rnnbench.data.tables import DataError
from rnnbench.data.text import Ragged, Vocabulary, batches_of, rows_of, tokenizer

from ..task import Task
from .batch import SPLITS, Batch, Dataset, Split, Tokens, generator
from .facts import Facts
from .words import built_vocabulary, little_covered

Answers = numpy.ndarray | Ragged  # (rows,), one for each row; or one for each token
HELD_OUT = 0.05  # share of the training texts that selects, where the published validation split is the test, or there is none


class Texts(NamedTuple):
    """The texts of a split, each with its label."""

    texts: list[str]
    labels: numpy.ndarray  # (texts,) int64

    def take(self, rows: numpy.ndarray) -> Texts:
        return Texts([self.texts[row] for row in rows.nonzero()[0]], self.labels[rows])


class Cut(NamedTuple):
    """How texts become tokens."""

    tokenizer: str
    min_frequency: int
    max_vocabulary: int
    max_length: int

    def tokens(self, texts: Mapping[Split, Sequence[str]]) -> dict[Split, list[list[str]]]:
        """The first `max_length` tokens of each text; a tokenizer that learns, learns from the training texts."""
        cut = tokenizer(self.tokenizer, texts["train"], self.max_vocabulary)
        return {split: [cut(text)[: self.max_length] for text in rows] for split, rows in texts.items()}

    def vocabulary(self, rows: Sequence[Sequence[str]]) -> Vocabulary:
        counts = Counter(token for row in rows for token in row)
        return built_vocabulary(counts, self.min_frequency, self.max_vocabulary)


def alike(text: str) -> str:
    """What texts that differ in white space or case only have in common."""
    return " ".join(text.split()).casefold()


def held_out(texts: Sequence[str], share: float = HELD_OUT) -> numpy.ndarray:
    """(texts,) bool: a seeded share of them. Texts that differ in white space or case only stay together."""
    numbers: dict[str, int] = {}
    groups = numpy.array([numbers.setdefault(alike(text), len(numbers)) for text in texts])
    chosen = generator(0).permutation(len(numbers))[: max(1, round(share * len(numbers)))]
    return numpy.isin(groups, chosen)


def completed(published: Mapping[Split, Texts]) -> dict[Split, Texts]:
    """All three splits. Where no test split is published, the published validation split is the test; where validation is then
    missing, 5 % of the training texts select; where nothing but one set is published, 10 % of it are the test, 10 % select."""
    parts: dict[Split, Texts] = dict(published)
    alone = parts.keys() == {"train"}
    if "test" not in parts and not alone:
        parts["test"] = parts.pop("validation")
    for split in SPLITS[:0:-1]:
        if split not in parts:
            held = held_out(parts["train"].texts, HELD_OUT if not alone else 0.1 if split == "test" else 1 / 9)
            parts[split], parts["train"] = parts["train"].take(held), parts["train"].take(~held)
            if not len(parts["train"].texts):
                raise DataError(f"{len(held)} texts are too few for {split} to be taken from them")
    return {split: parts[split] for split in SPLITS}


def none_empty(texts: Mapping[Split, Sequence[Sequence[str]]], where: str) -> None:
    """DataError, one line, where a text has no token."""
    for split, rows in texts.items():
        if empty := [number for number, row in enumerate(rows, 1) if not row]:
            raise DataError(f"{where}: split {split!r} has {len(empty)} texts without a word, the first in row {empty[0]}")


def write_rows(
    folder: Path,
    kept: Cut,
    texts: Mapping[Split, Sequence[Sequence[str]]],
    answers: Mapping[Split, Answers],
    marks: Mapping[Split, Ragged] | None = None,
) -> None:
    """The vocabulary of the training rows, and each split's tokens and answers, into `folder`; `Rows(folder)` reads them.

    `answers` is (rows,) for an answer a row, a Ragged for an answer a token; `marks` are 1 where a token is `Batch.marked`. A
    row without tokens becomes `<unk>`.
    """
    vocabulary = kept.vocabulary(texts["train"])
    vocabulary.save(folder / "vocabulary.json")
    for split in SPLITS:
        tokens = Ragged.of([vocabulary.encode(row or ["<unk>"]) for row in texts[split]])
        answer = answers[split]
        column = (answer.values, answer.offsets) if isinstance(answer, Ragged) else answer.astype(numpy.int32)
        marked = {"marks": (marks[split].values, marks[split].offsets)} if marks else {}
        write_arrays(folder / f"{split}.arrow", {"tokens": (tokens.values, tokens.offsets), "answers": column, **marked})


def write_texts(folder: Path, kept: Cut, parts: Mapping[Split, Texts], where: Callable[[str], str] | None = None) -> None:
    """`write_rows` for texts with an answer each; DataError for a text without a token, if `where` says where a text stands."""
    tokens = kept.tokens({split: part.texts for split, part in parts.items()})
    empty = [part.texts[row] for split, part in parts.items() for row, cut in enumerate(tokens[split]) if not cut]
    if empty and where:
        raise DataError(f"{where(empty[0])}: a text without a word, one of {len(empty)}; leave their rows out")
    write_rows(folder, kept, tokens, {split: part.labels for split, part in parts.items()})


def _shuffled(tokens: Ragged, key: int) -> Ragged:
    row = numpy.repeat(numpy.arange(len(tokens)), tokens.lengths)
    return Ragged(tokens.values[numpy.lexsort((generator(1, key).random(len(row)), row))], tokens.offsets)


class Rows(Dataset):
    """Rows of tokens with their answers: a class for each row, or one for each token."""

    def __init__(self, folder: Path, classes: int, shuffled: bool = False):
        """What `write` left in `folder`, mapped, not read; `shuffled` puts the tokens of each row in a random, fixed order."""
        self.classes = classes
        self.vocabulary = Vocabulary.load(folder / "vocabulary.json")
        arrays = {split: read_arrays(folder / f"{split}.arrow") for split in SPLITS}
        self.tokens = {split: Ragged(*arrays[split]["tokens"]) for split in SPLITS}
        self.answers: dict[Split, Answers] = {
            split: Ragged(*answers) if isinstance(answers := arrays[split]["answers"], tuple) else answers for split in SPLITS
        }
        self.marks = {split: Ragged(*arrays[split]["marks"]) for split in SPLITS if "marks" in arrays[split]}
        if shuffled:
            self.tokens = {split: _shuffled(tokens, SPLITS.index(split)) for split, tokens in self.tokens.items()}
        self.guess = self._guess()

    def _guess(self) -> numpy.ndarray:
        """(vocabulary,) the commonest training answer to each token; to all of them alike where a row has one answer."""
        answers, size = self.answers["train"], len(self.vocabulary)
        if not isinstance(answers, Ragged):
            return numpy.full(size, numpy.bincount(answers, minlength=self.classes).argmax())
        commonest = numpy.full(size, numpy.bincount(answers.values, minlength=self.classes).argmax())
        pairs, counts = numpy.unique(
            self.tokens["train"].values.astype(numpy.int64) * self.classes + answers.values, return_counts=True
        )
        order = numpy.argsort(counts, kind="stable")  # the commonest is written last
        commonest[pairs[order] // self.classes] = pairs[order] % self.classes
        return commonest

    @property
    def floor(self) -> float:
        """The share of the test answers that the guess gets right."""
        answers = self.answers["test"]
        if isinstance(answers, Ragged):
            return float(numpy.mean(self.guess[self.tokens["test"].values] == answers.values))
        return float(numpy.mean(answers == self.guess[0]))

    def token_answers(self, split: Split) -> Ragged:
        """The answers of a split, where each token has one."""
        answers = self.answers[split]
        assert isinstance(answers, Ragged)
        return answers

    def floor_guess(self, batch: Batch) -> Tensor:
        """(B, S, classes) with one at the guess."""
        tokens = batch.inputs[:, : batch.targets.shape[1]]
        return torch.nn.functional.one_hot(torch.from_numpy(self.guess).to(tokens.device)[tokens], self.classes).float()

    def batches(self, split: Split, batch_size: int) -> int:
        return batches_of(self.tokens[split], split, batch_size)

    def batch(self, split: Split, index: int, batch_size: int, seed: int) -> Batch:
        """Rows of similar length; see `Task.batch`."""
        texts, answers = self.tokens[split], self.answers[split]
        rows = rows_of(texts, split, index, batch_size, seed)
        tokens, lengths = texts.padded(rows, pad=0)
        if isinstance(answers, Ragged):
            targets, scored = answers.padded(rows, pad=0)[0], numpy.arange(tokens.shape[1]) < lengths[:, None]
        else:
            targets, scored = answers[rows].astype(numpy.int64)[:, None], numpy.ones((len(rows), 1), bool)
        parts = (tokens, targets, scored, lengths, numpy.ones(len(rows), bool))
        batch = Batch(*map(torch.from_numpy, parts))
        return batch._replace(marked=torch.from_numpy(self.marks[split].padded(rows, pad=0)[0] > 0)) if self.marks else batch

    def about(self) -> Facts:
        return {"vocabulary": len(self.vocabulary), **{f"{split}_texts": len(texts) for split, texts in self.tokens.items()}}


def use_rows(task: Task, rows: Rows) -> Vocabulary:
    """Makes `rows` the dataset of `task`, with the streams that go with them; their vocabulary."""
    task.dataset, task.inputs, task.targets = rows, Tokens(len(rows.vocabulary)), Tokens(rows.classes)
    counts = numpy.bincount(rows.tokens["train"].values, minlength=len(rows.vocabulary))
    task.notes = [*task.notes, *little_covered(rows.vocabulary, counts)]
    return rows.vocabulary
