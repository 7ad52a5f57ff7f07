"""Character language model: the next character, from all that came before.

    inputs   T o   b e ,   o r   n o      (window = 10)
    targets  o   b e ,   o r   n o t      (each step is scored)

`text` is `python_reference` (the reference topics that every Python carries: nothing to download, but they differ between
versions of Python), `tiny_shakespeare` or `ptb` (published splits; ptb is the Penn Treebank with its words cut to the
commonest 10,000, a sentence a line, 5,017,482 characters to train on, 50 of them different), or the path of a UTF-8 file. A
text without published splits is cut in the order it stands: train, then `held_out` of it for validation, then as much for
test. Line ends are characters too.

Training cuts the text into one row a sequence of the batch and walks them side by side, a window at a time; the state is
carried from batch to batch, and gradients stop at a window's edge (truncated back-propagation). Where the rows begin moves
with the seed and the epoch; a row begins anew, without a state, after 100 windows at most, as evaluation does. Validation and
test are always walked in 10 rows, whatever the batch size, so that the score does not depend on it; every character but the
first is scored once.

The vocabulary is made of the training part: `<unk>`, then its characters, the most frequent first.

Floor: bits a character of the training part's character frequencies (one added to each count), over the test part.

Best: ptb 1.27 (Zoneout, Krueger et al. 2017, arXiv:1606.01305), an LSTM 1.36 (Bai et al. 2018, arXiv:1803.01271).

Source: Sutskever, Martens & Hinton 2011; Graves 2013, arXiv:1308.0850; tiny_shakespeare: Karpathy 2015, char-rnn; ptb: Marcus
et al. 1993 as prepared by Mikolov et al. 2012.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from torch import Tensor

from rnnbench.hub import look, table
from rnnbench.options import AtLeastZero, Positive, Range, nearest
from rnnbench.text import UNKNOWN, Vocabulary, count_characters, encode_characters

from .streams import ROWS, Streams
from .task import SPLITS, Batch, Split, Sums, Task, Tokens, correct, cross_entropy

LICENCES = {
    "python_reference": "PSF-2.0",
    "tiny_shakespeare": "public domain",
    "ptb": "LDC user agreement (this part is distributed for research)",
}


class Published(NamedTuple):
    hub: str  # id
    column: str
    config: str | None
    end: str  # put after each row


PUBLISHED = {
    "tiny_shakespeare": Published("karpathy/tiny_shakespeare", "text", None, ""),
    "ptb": Published("ptb-text-only/ptb_text_only", "sentence", "penn_treebank", "\n"),
}


class CharLM(Task):
    version = 2
    structure = "N->N"
    causal = True
    headline = "bpc"
    direction = "min"
    unit = "bits a character"
    generates = True
    carries = True

    def __init__(
        self,
        text: str = "python_reference",  # or tiny_shakespeare or ptb (from the hub), or the path of a UTF-8 file
        window: Positive = 100,  # characters a row is fed at once; gradients reach no further
        held_out: Annotated[float, Range(0, 0.5, open_low=True, open_high=True)] = 0.05,  # share for validation, same for test
        solved_below: AtLeastZero = 0.0,  # bits a character that count as solved; 0 = never: a text's true entropy is unknown
    ):
        self.text, self.window, self.held_out, self.solved_below = text, window, held_out, solved_below
        self._parts: dict[Split, str] = {}
        if text in PUBLISHED:
            look(PUBLISHED[text].hub, SPLITS, [PUBLISHED[text].column], PUBLISHED[text].config)
        else:
            self._parts = self._cut(_topics() if text == "python_reference" else _read(text))

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
            name, column, config, end = PUBLISHED[self.text]
            rows = {split: table(name, split, [column], config, "refs/convert/parquet") for split in SPLITS}
            texts = {split: "".join(line + end for line in rows[split][column].to_pylist()) for split in SPLITS}
            self._parts = self._long_enough(texts)
        self._sha256 = hashlib.sha256("".join(self._parts.values()).encode()).hexdigest()
        self.vocabulary = Vocabulary.build(count_characters(self._parts["train"]), specials=(UNKNOWN,))
        tokens = {split: encode_characters(part, self.vocabulary) for split, part in self._parts.items()}
        self._parts = {}
        self.streams = Streams(tokens, self.window, len(self.vocabulary), f"text={self.text}")
        self.inputs = self.targets = Tokens(len(self.vocabulary))

    @property
    def fingerprint(self) -> str:
        return self._sha256

    @property
    def floor(self) -> float:
        return self.streams.floor / math.log(2)

    def floor_guess(self, batch: Batch) -> Tensor:
        return self.streams.floor_guess(batch)

    def solved(self, scores: Mapping[str, float]) -> bool:
        return scores["bpc"] < self.solved_below

    def batches(self, split: Split, batch_size: int) -> int:
        return self.streams.batches(split, batch_size)

    def batch(self, split: Split, index: int, batch_size: int, seed: int) -> Batch:
        return self.streams.batch(split, index, batch_size, seed)

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
        facts = {f"{split}_characters": len(tokens) for split, tokens in self.streams.tokens.items()}
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
