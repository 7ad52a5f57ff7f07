"""Character language model: the next character, from all that came before.

    inputs   T o   b e ,   o r   n o      (window = 10)
    targets  o   b e ,   o r   n o t      (each step is scored)

`text` is `python_reference` (the reference topics that every Python carries: nothing to download, but they differ between
versions of Python), `tiny_shakespeare` (published splits), or the path of a UTF-8 file. A text without published splits is
cut in the order it stands: train, then `held_out` of it for validation, then as much for test. Line ends are characters too.

Training cuts the text into one row a sequence of the batch and walks them side by side, a window at a time; the state is
carried from batch to batch, and gradients stop at a window's edge (truncated back-propagation). Where the rows begin moves with
the seed and the epoch. Validation and test are always walked in 10 rows, whatever the batch size, so that the score does not
depend on it; every character but the first is scored once.

The vocabulary is made of the training part: `<unk>`, then its characters, the most frequent first.

Floor: bits a character of the training part's character frequencies (one added to each count), over the test part.

Source: Sutskever, Martens & Hinton 2011; Graves 2013, arXiv:1308.0850; tiny_shakespeare: Karpathy 2015, char-rnn.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy
import torch
from torch import Tensor

from rnnbench.hub import look, table
from rnnbench.options import AtLeastZero, Positive, Range, nearest
from rnnbench.text import UNKNOWN, Vocabulary, count_characters, encode_characters

from .task import SPLITS, Batch, Split, Sums, Task, Tokens, correct, cross_entropy, generator

ROWS = 10  # rows that validation and test are walked in
LICENCES = {"python_reference": "PSF-2.0", "tiny_shakespeare": "public domain"}
HUB = "karpathy/tiny_shakespeare"


class CharLM(Task):
    version = 1
    structure = "N->N"
    causal = True
    headline = "bpc"
    direction = "min"
    unit = "bits a character"
    generates = True
    carries = True

    def __init__(
        self,
        text: str = "python_reference",  # or tiny_shakespeare (from the hub), or the path of a UTF-8 file
        window: Positive = 100,  # characters a row is fed at once; gradients reach no further
        held_out: Annotated[float, Range(0, 0.5, open_low=True, open_high=True)] = 0.05,  # share for validation, same for test
        solved_below: AtLeastZero = 0.0,  # bits a character that count as solved; 0 = never: a text's true entropy is unknown
    ):
        self.text, self.window, self.held_out, self.solved_below = text, window, held_out, solved_below
        self._parts: dict[Split, str] = {}
        if text != "tiny_shakespeare":
            self._parts = self._cut(_topics() if text == "python_reference" else _read(text))
        else:
            look(HUB, SPLITS, ["text"])

    def _cut(self, whole: str) -> dict[Split, str]:
        held_out = int(len(whole) * self.held_out)
        train = len(whole) - 2 * held_out
        parts = whole[:train], whole[train : train + held_out], whole[train + held_out :]
        return self._long_enough(dict(zip(SPLITS, parts, strict=True)))

    def _long_enough(self, parts: dict[Split, str]) -> dict[Split, str]:
        needed = 1 + max(self.window, ROWS)
        for split, part in parts.items():
            if len(part) < needed:
                raise ValueError(
                    f"text={self.text}: {len(part)} characters for {split}; window={self.window} needs at least {needed}"
                )
        return parts

    def prepare(self) -> None:
        if hasattr(self, "inputs"):
            return
        if not self._parts:
            rows = {split: table(HUB, split, ["text"], revision="refs/convert/parquet") for split in SPLITS}
            self._parts = self._long_enough({split: "".join(rows[split]["text"].to_pylist()) for split in SPLITS})
        self._sha256 = hashlib.sha256("".join(self._parts.values()).encode()).hexdigest()
        self.vocabulary = Vocabulary.build(count_characters(self._parts["train"]), specials=(UNKNOWN,))
        self._tokens = {split: encode_characters(part, self.vocabulary) for split, part in self._parts.items()}
        self._parts = {}
        size = len(self.vocabulary)
        counts = numpy.bincount(self._tokens["train"], minlength=size) + 1.0
        self._log_shares = numpy.log(counts / counts.sum())
        self.inputs = self.targets = Tokens(size)

    @property
    def fingerprint(self) -> str:
        return self._sha256

    @property
    def floor(self) -> float:
        return float(-self._log_shares[self._tokens["test"][1:]].mean() / math.log(2))

    def floor_guess(self, batch: Batch) -> Tensor:
        shares = torch.from_numpy(self._log_shares).to(batch.targets.device)
        return shares.expand(*batch.targets.shape, -1)

    def solved(self, scores: Mapping[str, float]) -> bool:
        return scores["bpc"] < self.solved_below

    def batches(self, split: Split, batch_size: int) -> int:
        """Windows in one walk over the text; ValueError where the text is too short for `batch_size` rows."""
        characters = len(self._tokens[split]) - 1
        if split != "train":
            return -(-(characters // ROWS) // self.window)
        if characters < batch_size * self.window:
            raise ValueError(
                f"text={self.text}: {characters + 1} characters for training; "
                f"batch_size={batch_size} rows of window={self.window} need at least {batch_size * self.window + 1}"
            )
        # up to a window is left over, so that the rows can begin elsewhere in each epoch
        return max(1, (characters - self.window) // (batch_size * self.window))

    def batch(self, split: Split, index: int, batch_size: int, seed: int) -> Batch:
        tokens, windows = self._tokens[split], self.batches(split, batch_size)
        epoch, place = divmod(index, windows)
        if split == "train":
            row = windows * self.window  # characters
            offset = generator(SPLITS.index(split), epoch, seed).integers(len(tokens) - batch_size * row)
            begin = offset + numpy.arange(batch_size) * row + place * self.window
            lengths = numpy.full(batch_size, self.window)
        else:
            edges = (len(tokens) - 1) * numpy.arange(ROWS + 1) // ROWS
            begin = edges[:-1] + place * self.window
            # rows differ by a character at most, and the last window takes it in, so no row of it is empty
            lengths = edges[1:] - begin if place == windows - 1 else numpy.full(ROWS, self.window)
        steps = numpy.arange(lengths.max())
        scored = steps < lengths[:, None]
        places = numpy.where(scored, begin[:, None] + steps, 0)
        return Batch(
            inputs=torch.from_numpy(numpy.where(scored, tokens[places], 0).astype(numpy.int64)),
            targets=torch.from_numpy(numpy.where(scored, tokens[places + 1], 0).astype(numpy.int64)),
            scored=torch.from_numpy(scored),
            lengths=torch.from_numpy(lengths),
            fresh=torch.full((len(lengths),), place == 0),
        )

    def loss(self, outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        return cross_entropy(outputs, batch)

    def score(self, outputs: Tensor, batch: Batch) -> Sums:
        total, count = cross_entropy(outputs.double(), batch)
        return {"nats": total, "characters": count.double(), "correct": correct(outputs, batch).sum().double()}

    def finish(self, sums: Mapping[str, float]) -> dict[str, float]:
        return {
            "bpc": sums["nats"] / sums["characters"] / math.log(2),
            "accuracy": sums["correct"] / sums["characters"],
        }

    def about(self) -> dict[str, Any]:
        facts = {f"{split}_characters": len(tokens) for split, tokens in self._tokens.items()}
        licence = LICENCES.get(self.text, "that of your file")
        return {"sha256": self._sha256, "licence": licence, "vocabulary": len(self.vocabulary), **facts}

    def encode(self, text: str) -> list[int]:
        return self.vocabulary.encode(text, strict=True)

    def decode(self, tokens: list[int]) -> str:
        return "".join("\N{REPLACEMENT CHARACTER}" if s == UNKNOWN else s for s in self.vocabulary.decode(tokens))


def _topics() -> str:
    from pydoc_data.topics import topics

    return "".join(topics[name] for name in sorted(topics))


def _read(text: str) -> str:
    """The text of a file; ValueError, one line, where there is none, or not UTF-8."""
    path = Path(text).expanduser()
    if path.is_dir():
        raise ValueError(f"text={text} is a folder; allowed: {', '.join(LICENCES)}, or the path of a UTF-8 file")
    if not path.is_file():
        raise ValueError(
            f"text={text}: there is no such file{nearest(text, LICENCES)}; "
            f"allowed: {', '.join(LICENCES)}, or the path of a UTF-8 file"
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"text={text} cannot be read: {error.strerror}") from None
    if not content:
        raise ValueError(f"text={text} is empty; allowed: a UTF-8 file of more than a window of characters a split")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"text={text} is not UTF-8: byte {error.start} is 0x{content[error.start]:02x}") from None
