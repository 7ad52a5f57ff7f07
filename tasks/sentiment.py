"""Sentiment: is a sentence from a film review for the film or against it?

    text     a gorgeous , witty film
    tokens   4 715 2 380 17
    target   1                     (0 = negative, 1 = positive; answered once, after the last word)

Words are tokens; those that training text shows fewer than `min_frequency` times are `<unk>`, and so is a text without
words. Batches hold texts of similar length. Splits are the published ones, and results are reported on the test split, but
for stanfordnlp/sst2: it publishes no test labels, so its validation split is our test, and 5 % of the training texts,
the same for every run, select; equal texts stand on one side. Its training texts are phrases of the sentences too.

Floor: accuracy on the test split of always answering the class that is the more frequent in training.

Source: Socher et al. 2013 (SST-2), as in GLUE: Wang et al. 2019, arXiv:1804.07461; Pang & Lee 2005, arXiv:cs/0506075.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy
import torch
from torch import Tensor

from rnnbench.hub import DataError, digest, entry, look, read_arrays, table, write_arrays
from rnnbench.options import Positive, Share
from rnnbench.text import TOKENIZERS, Ragged, Vocabulary, evaluation_rows, training_batches, training_rows

from .task import SPLITS, Batch, Split, Sums, Task, Tokens, correct, cross_entropy, generator

if TYPE_CHECKING:
    import pyarrow

VALIDATION = 0.05  # share of the training texts that selects, where the published validation split is the test


class Source(NamedTuple):
    text: str  # column
    label: str  # column; 0 or 1
    test_labels: bool
    licence: str


SOURCES = {
    "stanfordnlp/sst2": Source("sentence", "label", False, "none stated (research use)"),
    "SetFit/sst2": Source("text", "label", True, "none stated (research use)"),
    "cornell-movie-review-data/rotten_tomatoes": Source("text", "label", True, "none stated (distributed for research)"),
}


class Sentiment(Task):
    version = 1
    structure = "N->1"
    causal = False
    headline = "accuracy"
    direction = "max"

    targets = Tokens(2)

    def __init__(
        self,
        hub: Literal[  # id on the Hugging Face hub
            "stanfordnlp/sst2", "SetFit/sst2", "cornell-movie-review-data/rotten_tomatoes"
        ] = "stanfordnlp/sst2",
        tokenizer: Literal["whitespace", "basic_english", "characters"] = "whitespace",  # these sets are tokenised already
        min_frequency: Positive = 2,  # times a word must stand in training text to be a word of its own
        max_vocabulary: Positive = 30000,  # words in all, <pad> and <unk> included; the most frequent stay
        max_length: Positive = 200,  # words; the rest of a longer text is cut off
        solved_above: Share = 1.0,  # accuracy that counts as solved; 1 = never: people disagree about opinions
    ):
        self.hub, self.tokenizer, self.min_frequency = hub, tokenizer, min_frequency
        self.max_vocabulary, self.max_length, self.solved_above = max_vocabulary, max_length, solved_above
        self._source = SOURCES[hub]
        self._published = SPLITS if self._source.test_labels else SPLITS[:2]
        look(hub, self._published, [self._source.text, self._source.label])

    def prepare(self) -> None:
        if hasattr(self, "inputs"):
            return
        columns = [self._source.text, self._source.label]
        tables = {split: table(self.hub, split, columns) for split in self._published}
        self._sha256 = digest(*tables.values())
        key = {"version": self.version, "data": self._sha256, "published": len(tables), "tokenizer": self.tokenizer}
        key |= {"cut": [self.min_frequency, self.max_vocabulary, self.max_length]}
        folder = entry("sentiment", key, lambda part: self._make(part, tables))
        self.vocabulary = Vocabulary.load(folder / "vocabulary.json")
        arrays = {split: read_arrays(folder / f"{split}.arrow") for split in SPLITS}
        self._tokens = {split: Ragged(*arrays[split]["tokens"]) for split in SPLITS}
        self._labels = {split: arrays[split]["labels"] for split in SPLITS}
        self._majority = int(numpy.bincount(self._labels["train"], minlength=2).argmax())
        self.inputs = Tokens(len(self.vocabulary))

    def _make(self, folder: Path, tables: dict[Split, pyarrow.Table]) -> None:
        texts = {split: rows[self._source.text].to_pylist() for split, rows in tables.items()}
        labels = {split: rows[self._source.label].to_numpy() for split, rows in tables.items()}
        for split in tables:
            if wrong := set(labels[split].tolist()) - {0, 1}:
                raise DataError(f"{self.hub}: split {split!r} has the label {min(wrong)}; allowed: 0 and 1")
        if not self._source.test_labels:
            texts["test"], labels["test"] = texts["validation"], labels["validation"]
            held = _held_out(texts["train"])
            for split, rows in (("validation", held.nonzero()[0]), ("train", (~held).nonzero()[0])):
                labels[split] = labels["train"][rows]
                texts[split] = [texts["train"][row] for row in rows]
        cut = TOKENIZERS[self.tokenizer]
        words = {split: [cut(text)[: self.max_length] for text in texts[split]] for split in SPLITS}
        counts = Counter(word for row in words["train"] for word in row)
        vocabulary = Vocabulary.build(counts, self.min_frequency, max(2, self.max_vocabulary))
        vocabulary.save(folder / "vocabulary.json")
        for split in SPLITS:
            tokens = Ragged.of([vocabulary.encode(row or ["<unk>"]) for row in words[split]])
            write_arrays(
                folder / f"{split}.arrow",
                {"tokens": (tokens.values, tokens.offsets), "labels": labels[split].astype(numpy.int8)},
            )

    @property
    def fingerprint(self) -> str:
        return self._sha256

    @property
    def floor(self) -> float:
        return float(numpy.mean(self._labels["test"] == self._majority))

    def floor_guess(self, batch: Batch) -> Tensor:
        guess = torch.zeros(*batch.targets.shape, 2, device=batch.targets.device)
        guess[..., self._majority] = 1
        return guess

    def solved(self, scores: Mapping[str, float]) -> bool:
        return scores["accuracy"] > self.solved_above

    def batches(self, split: Split, batch_size: int) -> int:
        rows = len(self._tokens[split])
        return training_batches(rows, batch_size) if split == "train" else -(-rows // batch_size)

    def batch(self, split: Split, index: int, batch_size: int, seed: int) -> Batch:
        texts = self._tokens[split]
        train = split == "train"
        rows = training_rows(texts, index, batch_size, seed) if train else evaluation_rows(texts, index, batch_size)
        tokens, lengths = texts.padded(rows, pad=0)
        return Batch(
            inputs=torch.from_numpy(tokens),
            targets=torch.from_numpy(self._labels[split][rows].astype(numpy.int64)).unsqueeze(1),
            scored=torch.ones(len(rows), 1, dtype=torch.bool),
            lengths=torch.from_numpy(lengths),
            fresh=torch.ones(len(rows), dtype=torch.bool),
        )

    def loss(self, outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        return cross_entropy(outputs, batch)

    def score(self, outputs: Tensor, batch: Batch) -> Sums:
        total, count = cross_entropy(outputs.double(), batch)
        return {"nats": total, "correct": correct(outputs, batch).sum().double(), "texts": count.double()}

    def finish(self, sums: Mapping[str, float]) -> dict[str, float]:
        return {"accuracy": sums["correct"] / sums["texts"], "loss": sums["nats"] / sums["texts"]}

    def about(self) -> dict[str, Any]:
        facts = {f"{split}_texts": len(texts) for split, texts in self._tokens.items()}
        return {"sha256": self._sha256, "licence": self._source.licence, "vocabulary": len(self.vocabulary), **facts}


def _held_out(texts: list[str]) -> numpy.ndarray:
    """(texts,) bool: the seeded share that selects. Texts that differ in white space or case only stay together."""
    numbers: dict[str, int] = {}
    groups = numpy.array([numbers.setdefault(" ".join(text.split()).casefold(), len(numbers)) for text in texts])
    chosen = generator(0).permutation(len(numbers))[: max(1, round(VALIDATION * len(numbers)))]
    return numpy.isin(groups, chosen)
