"""The contract of a task: where batches come from, what a prediction costs, and what it scores.

A task owns meaning. It says what it feeds and what it wants (`Tokens`, `Reals`, `Bits`); the sizes
flow from here to the network, and no config repeats them. One task is one file: its docstring holds
a worked example and the lines `Floor:` and `Source:`.
"""

from __future__ import annotations

import functools
import math
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import numpy
import torch
from torch import Tensor
from torch.nn import functional

from rnnbench.data.text import Vocabulary

if TYPE_CHECKING:
    from .shared.vectors import Vectors


class Tokens(NamedTuple):
    """A stream of whole numbers below `size`: (B, T) int64."""

    size: int


class Reals(NamedTuple):
    """A stream of real vectors of `size` numbers: (B, T, size) float32."""

    size: int


class Bits(NamedTuple):
    """A stream of vectors of `size` independent zeros and ones: (B, T, size) float32."""

    size: int


Stream = Tokens | Reals | Bits


class Batch(NamedTuple):
    """B rows of T steps; S = T where every step is answered, 1 where the task answers once.

    `source` (B, R) or (B, R, D) is what is read before writing starts (N->M, 1->N), with its own kind.
    """

    inputs: Tensor  # (B, T) int64 tokens, or (B, T, D) float32
    targets: Tensor  # (B, S) int64, or (B, S, D) float32
    scored: Tensor  # (B, S) bool: the steps that count; padding never
    lengths: Tensor  # (B,) int64: valid steps; padding stands only at the end
    fresh: Tensor  # (B,) bool: False = this row continues the same row of the previous batch
    source: Tensor | None = None
    source_lengths: Tensor | None = None
    marked: Tensor | None = None  # (B, S) bool: what the task counts apart besides

    def map(self, function: Callable[[Tensor], Tensor]) -> Batch:
        """`function` on every tensor."""
        parts: Any = (None if part is None else function(part) for part in self)
        return Batch(*parts)

    def to(self, device: torch.device) -> Batch:
        return self.map(lambda part: part.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        return self.map(Tensor.pin_memory)


Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
Sums = dict[str, Tensor]  # each a float64 scalar that adds up over batches and over devices


class Task(ABC):
    """One task with its options. Construction is cheap: it looks at files and columns and reads no data.

    Options are the constructor's parameters, with ranges in their annotations and units in comments.
    The class attributes are literals, so that they can be read without importing the file.
    """

    version: ClassVar[int]  # raised when the numbers that the task makes change
    structure: ClassVar[Literal["N->N", "N->1", "N->M", "1->N"]]
    causal: ClassVar[bool]  # True: a step's answer may depend on earlier steps only
    headline: ClassVar[str]  # the score that ranks models
    direction: ClassVar[Literal["min", "max"]]  # which way the headline is better
    most: ClassVar[float] = 1.0  # the headline's end, where higher is better
    unit: ClassVar[str] = ""  # of the headline
    generates: ClassVar[bool] = False  # can write on from a beginning, step by step
    answers: ClassVar[bool] = False  # writes a text for each row that it reads
    carries: ClassVar[bool] = False  # rows continue from batch to batch, with the state

    inputs: Stream
    targets: Stream
    source: Stream | None = None

    def prepare(self) -> None:  # noqa: B027 - nothing to do for data that are generated
        """Downloads, tokenises and counts once, into a cache that is either complete or absent; idempotent.

        After it, `inputs`, `targets`, `batch`, `floor` and `fingerprint` may be used.
        """

    @property
    def fingerprint(self) -> str:
        """What the data are, in a few characters (a sha256 of them); empty where they are generated."""
        return ""

    @property
    @abstractmethod
    def floor(self) -> float:
        """The best headline of a guess that ignores the past, on the reported (test) split."""

    @abstractmethod
    def floor_guess(self, batch: Batch) -> Tensor:
        """The outputs of that guess for `batch`; scoring them on the test split gives `floor`."""

    def floor_on_test(self, batch_size: int = 100) -> float:
        """The headline that the floor's guess really has on the test split.

        `floor` is what it has on average; generated sequences are a sample, whose own floor lies a little beside that.
        A run is held against this one.
        """
        sums: dict[str, float] = {}
        for index in range(self.batches("test", batch_size)):
            batch = self.batch("test", index, batch_size, 0)
            guess = self.floor_guess(batch)
            found = self.score(guess, batch) if self.source is None else self.score_written(guess, batch)
            for name, value in found.items():
                sums[name] = sums.get(name, 0.0) + value.item()
        return self.finish(defaultdict(lambda: math.nan, sums))[self.headline]

    @abstractmethod
    def solved(self, scores: Mapping[str, float]) -> bool:
        """Whether these scores count as the task solved."""

    def batches(self, split: Split, batch_size: int) -> int:
        """How many batches one pass over `split` has; generated training data go on for ever all the same."""
        return -(-self.sequences // batch_size)

    def batch(self, split: Split, index: int, batch_size: int, seed: int) -> Batch:
        """Batch `index` of `split`: a pure function of its arguments and the options.

        Epoch, permutation and bucket are functions of `index`, so workers, devices and resuming change
        nothing, and two models with one seed see one stream. `seed` moves the training stream only:
        every run is validated and tested on the same sequences, whatever the batch size.

        This one is for tasks that generate their data by `draw`; a task with data of its own writes its own.
        """
        if split == "train":
            return self.draw(generator(SPLITS.index(split), index, seed), batch_size)
        if split not in self._sets:
            self._sets[split] = self.draw(generator(SPLITS.index(split)), self.sequences)
        rows = slice(index * batch_size, (index + 1) * batch_size)
        batch = self._sets[split].map(lambda part: part[rows])
        steps = int(batch.lengths.max())  # the set is as wide as its longest row
        batch = batch._replace(inputs=batch.inputs[:, :steps])
        if self.structure == "N->1":
            return batch
        return batch._replace(targets=batch.targets[:, :steps], scored=batch.scored[:, :steps])

    sequences: int  # in the validation set, and in the test set, of a task that generates its data

    @functools.cached_property
    def _sets(self) -> dict[str, Batch]:
        return {}

    def draw(self, random: numpy.random.Generator, rows: int) -> Batch:
        """`rows` sequences from `random`."""
        raise NotImplementedError

    @abstractmethod
    def loss(self, outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """(sum of losses over scored steps, their number); training divides once, over all devices."""

    @abstractmethod
    def score(self, outputs: Tensor, batch: Batch) -> Sums:
        """Sums that add up over batches; `outputs` (B, S, size of the target stream) as the network gives them."""

    @abstractmethod
    def finish(self, sums: Mapping[str, float]) -> dict[str, float]:
        """Scores from the added-up sums: the one place where anything is divided. Always has the headline."""

    def about(self) -> dict[str, Any]:
        """Facts of the data worth keeping in the record (sizes, licence, sha256); plain values only."""
        return {}

    # What a task whose inputs are words may add: an embedding that begins with vectors learnt elsewhere.

    vectors: Vectors | None = None

    def pretrained(self, width: int) -> tuple[numpy.ndarray, numpy.ndarray] | None:
        """((size of inputs, width) float32 vectors, (size,) bool: which of them the file has); None where none are asked for.

        Raises ValueError, one line, for a file that cannot be read, or whose vectors are of another width.
        """
        return self.vectors.of(self._words().symbols, width) if self.vectors else None

    def _words(self) -> Vocabulary:
        """Of `inputs`: the attribute `vocabulary` of a task that reads text; an empty one for all others."""
        words = vars(self).get("vocabulary")
        return words if isinstance(words, Vocabulary) else Vocabulary(())

    # What a run keeps beside its weights, so that they can be used where the data are not.

    def keep(self) -> dict[str, Any]:
        """The vocabularies and sizes that `restore` needs, as plain values; empty where there is nothing to keep."""
        words = self._words()
        return {"vocabulary": words.symbols, "targets": self.targets.size} if len(words) else {}

    def restore(self, kept: Mapping[str, Any]) -> None:
        """In place of `prepare`, from what `keep` gave: enough for a network, to encode and to decode; there are no batches."""
        words = vars(self)["vocabulary"] = Vocabulary(kept["vocabulary"])
        self.inputs, self.targets = Tokens(len(words)), Tokens(kept["targets"])

    # What a task with a source (N->M, 1->N) adds: what is written ends with `end`, and `start` is fed first.

    start: int
    end: int
    longest: int  # symbols, `end` included

    def score_written(self, written: Tensor, batch: Batch) -> Sums:
        """Sums of what the network wrote by itself, (B, longest) with `end` after the end; joined to those of `score`."""
        raise NotImplementedError

    # What a task that generates by itself adds; `rnnbench sample` calls them.

    def encode(self, text: str) -> list[int]:
        """The tokens of a prompt. ValueError names a symbol that is not in the vocabulary."""
        raise NotImplementedError

    def decode(self, tokens: list[int]) -> str:
        """The text of tokens."""
        raise NotImplementedError

    # What a task that answers adds; `rnnbench sample` and every evaluation call them.

    def ask(self, text: str) -> Batch:
        """One row that asks for an answer to `text`. ValueError, one line, where it cannot be read."""
        raise NotImplementedError

    def answered(self, batch: Batch, written: Tensor) -> list[dict[str, str]]:
        """For each row what was `read`, what was `written`, (B, S) as targets are, and what was `wanted`, as text."""
        raise NotImplementedError


STREAMS = 0x7A5C  # the first word of every key here


def generator(*key: int) -> numpy.random.Generator:
    """A counter-based generator that is a pure function of `key`: seed, split and index, say.

    Keys of different lengths, and those that text.py draws epochs by, never meet: a sequence of seeds is filled up with zeros.
    """
    return numpy.random.Generator(numpy.random.Philox(numpy.random.SeedSequence((STREAMS, len(key), *key))))


def cross_entropy(outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """(sum, count) of -log p(target) in nats over the scored steps; outputs (B, S, classes) are logits."""
    losses = functional.cross_entropy(outputs.flatten(0, 1), batch.targets.flatten(), reduction="none")
    scored = batch.scored.flatten()
    return torch.where(scored, losses, 0.0).sum(), scored.sum()


def squared_error(outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """(sum, count) of squared errors over the scored steps; outputs and targets are (B, S, D)."""
    errors = (outputs - batch.targets).square().sum(-1)
    return torch.where(batch.scored, errors, 0.0).sum(), batch.scored.sum()


def correct(outputs: Tensor, batch: Batch) -> Tensor:
    """(B, S) bool: scored steps whose most likely class is the target."""
    return (outputs.argmax(-1) == batch.targets) & batch.scored


def classification_sums(outputs: Tensor, batch: Batch) -> Sums:
    """Sums over the scored answers: nats, the right ones, and how many there are."""
    total, count = cross_entropy(outputs.double(), batch)
    return {"nats": total, "correct": correct(outputs, batch).sum().double(), "answers": count.double()}


def accuracy(sums: Mapping[str, float]) -> dict[str, float]:
    """The scores of the sums of `answered`."""
    return {"accuracy": sums["correct"] / sums["answers"], "loss": sums["nats"] / sums["answers"]}


def certain(kind: int, kinds: int, batch: Batch) -> Tensor:
    """(B, S, kinds) outputs: the same `kind` everywhere."""
    guess = torch.zeros(*batch.targets.shape, kinds, device=batch.targets.device)
    guess[..., kind] = 1
    return guess
