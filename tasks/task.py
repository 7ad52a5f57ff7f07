"""The contract of a task: where batches come from, what a prediction costs, and what it scores.

A task owns meaning. It says what it feeds and what it wants (`Tokens`, `Reals`, `Bits`); the sizes
flow from here to the network, and no config repeats them. One task is one file: its docstring holds
a worked example and the lines `Floor:` and `Source:`.

A task is composed of two parts:

    scoring    a `Scoring`: what `loss`, `score` and `finish` do; by default those of a classification (shared/scoring.py)
    dataset    a `Dataset`: what `batches` and `batch` do; by default sequences by `draw` (shared/batch.py)

Each method may be overridden instead; `super().score(outputs, batch) | {...}` adds to what the part gives.
"""

from __future__ import annotations

import functools
import math
from abc import ABC
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Literal

import numpy
from torch import Tensor

from rnnbench.data.text import Vocabulary

from .shared.batch import (  # noqa: F401
    SPLITS,
    Batch,
    Bits,
    Dataset,
    Generated,
    NewRows,
    Reals,
    Split,
    Stream,
    Tokens,
    generator,
)
from .shared.facts import Facts, Kept, kept_size, kept_words
from .shared.scoring import (  # noqa: F401 - tasks import from here what most of them need
    CLASSES,
    CLASSIFICATION,
    LABELS,
    LANGUAGE,
    REGRESSION,
    WRITING,
    Scoring,
    Sums,
    Totals,
    accuracy,
    add_up,
    asked_steps,
    bits_cross_entropy,
    certain,
    classification_sums,
    correct,
    cross_entropy,
    error_free,
    regression,
    squared_error,
    totals,
    units,
    within,
)
from .shared.vectors import Vectors, joined
from .shared.words import WrittenVocabulary


class Task(ABC):
    """One task with its options. Construction is cheap: it looks at files and columns and reads no data.

    Options are the constructor's parameters, with ranges in their annotations and units in comments.
    The class attributes are literals, so that they can be read without importing the file.
    """

    version: ClassVar[int] = 1  # raised when the numbers that the task makes change
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

    # What is known of the data.

    sha256: str = ""  # of the data; empty where they are generated
    notes: Sequence[str] = ()  # what is odd about the data, a line each; said when a run begins
    vectors: Vectors | None = None  # of the words that are fed, learnt elsewhere, to begin an embedding with
    own_vocabulary: WrittenVocabulary | None = None  # a vocabulary of the user's, in place of one of the training text
    sequences: int  # in the validation set, and in the test set, of a task that generates its data

    def look(self) -> None:  # noqa: B027 - nothing to look for where data are generated
        """Looks at the files and columns of a user's data; reads no rows. ValueError, one line, where there are none."""

    def prepare(self) -> None:  # noqa: B027 - nothing to do for data that are generated
        """Downloads, tokenises and counts once, into a cache that is either complete or absent; idempotent.

        After it, `inputs`, `targets`, `batch`, `floor` and `fingerprint` may be used.
        """

    @property
    def fingerprint(self) -> str:
        """What the data are, in a few characters (a sha256 of them); empty where they are generated."""
        return joined(self.sha256, self.vectors, self.own_vocabulary) if self.sha256 else ""

    def about(self) -> Facts:
        """Facts of the data worth keeping in the record (sizes, licence, sha256); plain values only."""
        return {}

    # Batches.

    @functools.cached_property
    def dataset(self) -> Dataset:
        """Where the batches come from: sequences by `draw`, unless `prepare` or the constructor sets another."""
        return Generated(self._draw_for, self.sequences)

    def _draw_for(self, random: numpy.random.Generator, rows: int, split: Split) -> Batch:
        return self.draw(random, rows)

    def draw(self, random: numpy.random.Generator, rows: int) -> Batch:
        """`rows` sequences from `random`."""
        raise NotImplementedError(
            f"{type(self).__name__} has no `draw`; a task defines draw(random, rows), which returns a Batch, or sets `dataset`"
        )

    def batches(self, split: Split, batch_size: int) -> int:
        """How many batches one pass over `split` has; generated training data go on for ever all the same."""
        return self.dataset.batches(split, batch_size)

    def batch(self, split: Split, index: int, batch_size: int, seed: int) -> Batch:
        """Batch `index` of `split`: a pure function of its arguments and the options.

        Epoch, permutation and bucket are functions of `index`, so workers, devices and resuming change
        nothing, and two models with one seed see one stream. `seed` moves the training stream only:
        every run is validated and tested on the same sequences, whatever the batch size. (Of a task
        that draws its sequences, test_seed has other test sequences drawn.)
        """
        return self.dataset.batch(split, index, batch_size, seed)

    # Scores.

    classes: Sequence[str] = ()  # what the classes of the answers are called, where they have names
    label_separator: str = ""  # between the labels of an answer that may be several of `classes`; empty: it is one of them

    def class_names(self) -> Sequence[str]:
        """The classes of the answers, in order, of a task whose answers are classes of what was read; else none.

        Of these tasks a run keeps how often each class was answered where which was right.
        """
        if self.structure != "N->1" or not isinstance(self.targets, Tokens):
            return ()
        return self.classes or [str(number) for number in range(self.targets.size)]

    def noise_free(self, batch: Batch) -> Batch:
        """A training batch with the targets by which answers are right or wrong, where noise is added to those trained on."""
        return batch

    def validation_at(self, step: int, seed: int) -> Batch | None:
        """The rows to validate on after `step` rows of training with `seed`, where they are drawn anew each time.

        None: those of the split, every time.
        """
        return None

    scoring: Scoring = CLASSIFICATION
    solved_above: float  # option: the headline that counts as solved, where higher is better
    solved_below: float  # option: the same, where lower is better
    right_within: float | None = None  # of a task whose errors are squared: outputs nearer to their targets than this are right

    def loss(self, outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """(sum of losses over scored steps, their number); training divides once, over all devices."""
        return self.scoring.loss(outputs, batch)

    def score(self, outputs: Tensor, batch: Batch) -> Sums:
        """Sums that add up over batches; `outputs` (B, S, size of the target stream) as the network gives them."""
        return self.scoring.score(outputs, batch)

    def finish(self, sums: Totals) -> dict[str, float]:
        """Scores from the added-up sums: the one place where anything is divided. Always has the headline.

        A sum that is a scalar in `score` is a float here; any other is a tensor of the same shape, a confusion matrix, say.
        """
        return self.scoring.finish(sums)

    def solved(self, scores: Mapping[str, float]) -> bool:
        """Whether these scores count as the task solved."""
        score = scores[self.headline]
        return score > self.solved_above if self.direction == "max" else score < self.solved_below

    @property
    def floor(self) -> float:
        """The best headline of a guess that ignores the past, on the reported (test) split."""
        return self.dataset.floor

    def floor_guess(self, batch: Batch) -> Tensor:
        """The outputs of that guess for `batch`; scoring them on the test split gives `floor`."""
        return self.dataset.floor_guess(batch)

    def floor_on_test(self, batch_size: int = 100) -> float:
        """The headline that the floor's guess really has on the test split.

        `floor` is what it has on average; generated sequences are a sample, whose own floor lies a little beside that.
        A run is held against this one.
        """
        score = self.score if self.source is None else self.score_written
        batches = (self.batch("test", index, batch_size, 0) for index in range(self.batches("test", batch_size)))
        sums = add_up(score(self.floor_guess(batch), batch) for batch in batches)
        return self.finish(defaultdict(lambda: math.nan, sums))[self.headline]

    # An embedding that begins with vectors learnt elsewhere, of a task whose inputs are words.

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

    def keep(self) -> Kept:
        """The vocabularies and sizes that `restore` needs, as plain values; empty where there is nothing to keep."""
        words = self._words()
        return {"vocabulary": words.symbols, "targets": self.targets.size} if len(words) else {}

    def restore(self, kept: Kept) -> None:
        """In place of `prepare`, from what `keep` gave: enough for a network, to encode and to decode; there are no batches."""
        words = vars(self)["vocabulary"] = kept_words(kept, "vocabulary")
        self.inputs, self.targets = Tokens(len(words)), Tokens(kept_size(kept, "targets"))

    def new_rows(self, path: str) -> Iterator[NewRows]:
        """The rows of a new file, some at a time, once the task is prepared or restored; `rnnbench predict` calls it.

        ValueError, one line, where the file cannot be read, or the task reads no rows of files.
        """
        raise ValueError(f"task {type(self).__name__} reads no rows of new files")

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
