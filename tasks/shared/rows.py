"""Rows of tokens with an answer a row or an answer a token: the dataset of the tasks that read short texts."""

from __future__ import annotations

import functools
import hashlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, Self, TypeVar

import numpy
import torch
from torch import Tensor

from rnnbench.console import counted
from rnnbench.data.cache import read_arrays, write_arrays
from rnnbench.data.tables import DataError
from rnnbench.data.text import UNKNOWN, Ragged, Vocabulary, batches_of, evaluation_rows, rows_of, tokenizer
from rnnbench.options import amount

from ..task import Task
from .batch import SPLITS, Batch, Dataset, NewRows, Split, Tokens, generator
from .facts import Facts
from .words import WrittenVocabulary, built_vocabulary, chosen_vocabulary, vocabulary_notes

Answers = numpy.ndarray | Ragged  # (rows,), one for each row; or one for each token
HELD_OUT = 0.05  # share of the training texts that selects, where the published validation split is the test, or there is none


class Texts:
    """The texts of a split, each with its label."""

    def __init__(self, texts: list[str], labels: numpy.ndarray):
        """`labels` (texts,) int64."""
        self.texts, self.labels = texts, labels

    def __len__(self) -> int:
        return len(self.texts)

    @functools.cached_property
    def keys(self) -> numpy.ndarray:
        """(texts,) uint64: the same for texts that differ in white space or case only."""
        return text_keys(self.texts)

    def take(self, rows: numpy.ndarray) -> Texts:
        found = Texts([self.texts[row] for row in rows.nonzero()[0]], self.labels[rows])
        found.keys = self.keys[rows]
        return found


class Cut(NamedTuple):
    """How texts become tokens."""

    tokenizer: str
    min_frequency: int
    max_vocabulary: int
    max_length: int

    def encoded(
        self,
        texts: Mapping[Split, Sequence[str]],
        where: Callable[[str], str] | None = None,
        written: WrittenVocabulary | None = None,
    ) -> tuple[Vocabulary, dict[Split, Ragged], dict[Split, numpy.ndarray]]:
        """(the vocabulary, the first `max_length` tokens of each text as numbers, and how many tokens each text has in all).

        A tokenizer that learns, learns from the training texts; the vocabulary is that of the training texts, unless one is
        `written`. Each text is cut once, and of its tokens numbers are held. A
        text without tokens becomes `<unk>`; DataError, one line, if `where` says where a text stands.
        """
        cut = tokenizer(self.tokenizer, texts["train"], self.max_vocabulary)
        numbers: dict[str, int] = {}
        values = {split: array("i") for split in texts}
        lengths: dict[Split, list[int]] = {split: [] for split in texts}
        total = sum(map(len, texts.values()))
        every = ((side, text) for side, rows in texts.items() for text in rows)
        for split, text in counted(every, f"of {amount(total, 'text')} cut"):
            tokens = cut(text)
            lengths[split].append(len(tokens))
            values[split].extend([numbers.setdefault(token, len(numbers)) for token in tokens[: self.max_length] or [UNKNOWN]])
        if where and (empty := [texts[split][row] for split in texts for row, size in enumerate(lengths[split]) if not size]):
            raise DataError(f"{where(empty[0])}: a text without a word, one of {len(empty)}; leave their rows out")
        seen = numpy.bincount(numpy.frombuffer(values["train"], numpy.int32), minlength=len(numbers)).tolist()
        counts = {token: count for token, count in zip(numbers, seen, strict=True) if count}
        vocabulary = chosen_vocabulary(written, counts, self.min_frequency, self.max_vocabulary)
        final = numpy.array([vocabulary.numbers.get(token, vocabulary.unknown) for token in numbers], numpy.int32)
        whole = {split: numpy.array(lengths[split]) for split in texts}
        ends = {split: numpy.cumsum(whole[split].clip(1, self.max_length)) for split in texts}
        numbered = {split: final[numpy.frombuffer(values[split], numpy.int32)] for split in texts}
        return vocabulary, {split: Ragged(numbered[split], numpy.r_[0, ends[split]]) for split in texts}, whole

    def vocabulary(self, rows: Sequence[Sequence[str]]) -> Vocabulary:
        counts = Counter(token for row in rows for token in row)
        return built_vocabulary(counts, self.min_frequency, self.max_vocabulary)


def alike(text: str) -> str:
    """What texts that differ in white space or case only have in common."""
    return " ".join(text.split()).casefold()


def text_keys(texts: Iterable[str]) -> numpy.ndarray:
    """(texts,) uint64: the same for texts that differ in white space or case only."""
    found = bytearray()
    for text in texts:
        found += hashlib.blake2b(alike(text).encode(errors="surrogatepass"), digest_size=8).digest()
    return numpy.frombuffer(bytes(found), numpy.uint64)


def held_out(texts: Sequence[str], share: float = HELD_OUT) -> numpy.ndarray:
    """(texts,) bool: a seeded share of them. Texts that differ in white space or case only stay together."""
    return held_out_keys(text_keys(texts), share)


def held_out_keys(keys: numpy.ndarray, share: float) -> numpy.ndarray:
    """The same of texts by their `text_keys`."""
    _, first, inverse = numpy.unique(keys, return_index=True, return_inverse=True)
    groups = numpy.argsort(numpy.argsort(first))[inverse]  # numbered as they come
    chosen = generator(0).permutation(len(first))[: max(1, round(share * len(first)))]
    return numpy.isin(groups, chosen)


class Splittable(Protocol):
    """The rows of a split that can be cut in two."""

    @property
    def keys(self) -> numpy.ndarray:
        """(rows,) uint64: the same for rows that stay together."""

    def __len__(self) -> int: ...

    def take(self, rows: numpy.ndarray) -> Self:
        """The rows where `rows` (rows,) bool is true."""


Series = TypeVar("Series", str, list[str], numpy.ndarray)  # characters, lines or steps
SomeRows = TypeVar("SomeRows", bound=Splittable)


def completed(
    published: Mapping[Split, SomeRows], share: float = HELD_OUT, alone: tuple[float, float] = (0.1, 1 / 9)
) -> dict[Split, SomeRows]:
    """All three splits. Where no test split is published, the published validation split is the test; where validation is then
    missing, `share` of the training rows select; where nothing but one set is published, `alone[0]` of it are the test, and
    `alone[1]` of the rest select."""
    parts: dict[Split, SomeRows] = dict(published)
    one = parts.keys() == {"train"}
    if "test" not in parts and not one:
        parts["test"] = parts.pop("validation")
    for split in SPLITS[:0:-1]:
        if split not in parts:
            whole = parts["train"]
            held = held_out_keys(whole.keys, share if not one else alone[0] if split == "test" else alone[1])
            parts[split], parts["train"] = whole.take(held), whole.take(~held)
            if not len(parts["train"]):
                few = f"{amount(len(held), 'text')} {'is' if len(held) == 1 else 'are'} too few"
                raise DataError(f"{few} for {split} to be taken from them")
    return {split: parts[split] for split in SPLITS}


def completed_in_order(published: Mapping[Split, Series], held: int) -> dict[Split, Series]:
    """All three splits of what stands in an order: those that are missing are the last `held` of train. A validation split
    without a test split is the test.
    """
    parts = dict(published)
    if "test" not in parts and "validation" in parts:
        parts["test"] = parts.pop("validation")
    for split in SPLITS[:0:-1]:
        if split not in parts:
            whole = parts["train"]
            parts[split], parts["train"] = whole[len(whole) - held :], whole[: len(whole) - held]
    return {split: parts[split] for split in SPLITS}


def none_empty(texts: Mapping[Split, Sequence[Sequence[str]]], where: str) -> None:
    """DataError, one line, where a text has no token."""
    for split, rows in texts.items():
        if empty := [number for number, row in enumerate(rows, 1) if not row]:
            raise DataError(
                f"{where}: split {split!r} has {amount(len(empty), 'text')} without a word, the first in row {empty[0]}"
            )


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
    tokens = {split: Ragged.of([vocabulary.encode(row or [UNKNOWN]) for row in texts[split]]) for split in SPLITS}
    _write(folder, vocabulary, tokens, answers, marks)


def _write(
    folder: Path,
    vocabulary: Vocabulary,
    tokens: Mapping[Split, Ragged],
    answers: Mapping[Split, Answers],
    marks: Mapping[Split, Ragged] | None = None,
) -> None:
    vocabulary.save(folder / "vocabulary.json")
    for split in SPLITS:
        answer = answers[split]
        column = (answer.values, answer.offsets) if isinstance(answer, Ragged) else answer.astype(numpy.int32)
        marked = {"marks": (marks[split].values, marks[split].offsets)} if marks else {}
        texts = tokens[split]
        write_arrays(folder / f"{split}.arrow", {"tokens": (texts.values, texts.offsets), "answers": column, **marked})


def write_texts(
    folder: Path,
    kept: Cut,
    parts: Mapping[Split, Texts],
    where: Callable[[str], str] | None = None,
    written: WrittenVocabulary | None = None,
) -> dict[Split, numpy.ndarray]:
    """`write_rows` for texts with an answer each; how many tokens each text has, those that are cut off too. `written`: see
    `Cut.encoded`.

    DataError for a text without a token, if `where` says where a text stands.
    """
    vocabulary, tokens, lengths = kept.encoded({split: part.texts for split, part in parts.items()}, where, written)
    _write(folder, vocabulary, tokens, {split: part.labels for split, part in parts.items()})
    return lengths


def new_texts(
    cut: Cut, vocabulary: Vocabulary, chunks: Iterable[tuple[list[str], list[str | None]]], batch_size: int = 100
) -> Iterator[NewRows]:
    """New texts, with their labels where they have them, as batches for a network with this vocabulary.

    ValueError for a tokenizer that learnt from the training texts, which a run does not keep.
    """
    if cut.tokenizer == "bpe":
        raise DataError("tokenizer=bpe learnt from training texts, which a run does not keep; new texts are not read")
    words = tokenizer(cut.tokenizer)
    for texts, labels in chunks:
        tokens = [words(text)[: cut.max_length] for text in texts]
        rows, batches = Ragged.of([vocabulary.encode(one or [UNKNOWN]) for one in tokens]), []
        for index in range(batches_of(rows, "test", batch_size)):
            places = evaluation_rows(rows, index, batch_size)
            batches.append((places, answered_once(*rows.padded(places, pad=0))))
        yield NewRows(texts, labels, batches, sum(not one for one in tokens))


def answered_once(inputs: numpy.ndarray, lengths: numpy.ndarray, targets: numpy.ndarray | None = None) -> Batch:
    """A batch of rows that are answered once: `targets` (B, 1) or (B, 1, D), or classes that are not known."""
    rows = len(lengths)
    wanted = numpy.zeros((rows, 1), numpy.int64) if targets is None else targets
    return Batch(*map(torch.from_numpy, (inputs, wanted, numpy.ones((rows, 1), bool), lengths, numpy.ones(rows, bool))))


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

    def row_numbers(self, split: Split, index: int, batch_size: int) -> numpy.ndarray:
        return evaluation_rows(self.tokens[split], index, batch_size)

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
    task.notes = [*task.notes, *vocabulary_notes(task.own_vocabulary, rows.vocabulary, counts)]
    return rows.vocabulary
