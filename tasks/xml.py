"""XML: the next character of a text of nested tags; each name comes back when its tag is closed.

    inputs   < k d > < p e r > < / p e r > < / k d
    targets  k d > < p e r > < / p e r > < / k d >      (every step is scored; after "</" the past says it all)

A document opens a tag; then, with probability 1/2 or after 50 tags, the tag opened last is closed, or the document ends where
none is open; else a new tag is opened. Names have 2 to 10 letters, their number and the letters uniform. Documents follow one
another without a mark. (Taken to the letter, the recipe of 2015 makes every other document empty; those change nothing.)
Rows are streams of windows * window characters that are read a window at a time with the state carried over; 2015 has 35.

Floor: accuracy on the test split of always answering ">", near 2/17: a tag has one among 8.5 characters.

Best: about .65 (an opening tag of 8 characters lets 2.04 be known, a closing one of 9 all); the best of Jozefowicz et al. is
.475 (MUT1), their GRU has .460, their LSTM with a forget bias of 1 .444.

Source: Jozefowicz, Zaremba & Sutskever 2015, section 3.5.

Group: memory probes.
"""

from __future__ import annotations

import functools

import numpy
import torch
from torch import Tensor

from rnnbench.options import Positive, Share

from .shared.streams import Drawn
from .task import Batch, Task, Tokens, certain

SYMBOLS = "<>/abcdefghijklmnopqrstuvwxyz"
CODES = numpy.zeros(128, int)
CODES[[ord(symbol) for symbol in SYMBOLS]] = range(len(SYMBOLS))
LONGEST = 50  # tags after which a document only closes


class Xml(Task):
    version = 1
    structure = "N->N"
    causal = True
    headline = "accuracy"
    direction = "max"
    unit = "share of characters"
    generates = True
    carries = True

    inputs = Tokens(29)
    targets = Tokens(29)

    def __init__(
        self,
        window: Positive = 35,  # characters per window of truncated backpropagation
        windows: Positive = 100,  # windows in a stream
        streams: Positive = 20,  # streams in the validation set, and in the test set
        solved_above: Share = 0.64,  # accuracy that counts as solved; .65 is about the most there is
    ):
        self.window, self.windows, self.streams, self.solved_above = window, windows, streams, solved_above
        self.dataset = Drawn(self._make_streams, window, windows, streams)

    @functools.cached_property
    def floor(self) -> float:
        batches = [self.batch("test", index, self.streams, 0) for index in range(self.windows)]
        return float(torch.cat([batch.targets == SYMBOLS.index(">") for batch in batches]).double().mean())

    def _make_streams(self, random: numpy.random.Generator, rows: int) -> numpy.ndarray:
        """(rows, characters)."""
        characters = self.windows * self.window + 1
        text = "".join(document_stream(random, characters) for _ in range(rows))
        return CODES[numpy.frombuffer(text.encode(), numpy.uint8)].reshape(rows, characters)

    def floor_guess(self, batch: Batch) -> Tensor:
        return certain(SYMBOLS.index(">"), len(SYMBOLS), batch)

    def encode(self, text: str) -> list[int]:
        for symbol in text:
            if symbol not in SYMBOLS:
                raise ValueError(f"{symbol!r} is not in the vocabulary of {len(SYMBOLS)} symbols")
        return [SYMBOLS.index(symbol) for symbol in text]

    def decode(self, tokens: list[int]) -> str:
        return "".join(SYMBOLS[token] for token in tokens)


def document_stream(random: numpy.random.Generator, characters: int) -> str:
    """The first `characters` of documents one after another."""
    most = characters // 2 + 1  # tosses; those that make a tag make at least 4 characters, and a document has two tags
    closing = (random.random(most) < 0.5).tolist()
    sizes = random.integers(2, 11, most)
    letters = random.integers(ord("a"), ord("z") + 1, sizes.sum(), dtype=numpy.uint8).tobytes().decode()
    ends = sizes.cumsum().tolist()
    parts: list[str] = []
    opened: list[str] = []
    made = tags = 0
    for toss, end, size in zip(closing, ends, sizes.tolist(), strict=True):
        if tags and not opened and (toss or tags >= LONGEST):
            tags = 0
            continue
        if tags and opened and (toss or tags >= LONGEST):
            part = f"</{opened.pop()}>"
        else:
            opened.append(letters[end - size : end])
            part = f"<{opened[-1]}>"
        tags += 1
        parts.append(part)
        made += len(part)
        if made >= characters:
            break
    return "".join(parts)[:characters]
