"""Caption: look at a picture of a digit, then write its name, letter by letter.

    source   one step of 64 pixels          (`steps=rows`: 8 steps of 8 pixels)
    inputs   $ s e v e n                    ($ starts; while training, the true letters are fed)
    targets  s e v e n $                    ($ ends)

`data=digits`: the 1,797 pictures of 8 x 8 pixels that come with scikit-learn (extra `digits`); `data=mnist`: 28 x 28 pixels,
from the hub (extra `digits`, too). Both have the pixels and the splits of the task sequential_digits. Pictures with whole
sentences (flickr8k) are not here.

`exact` is the share of names without a mistake: a letter wrong, missing, or too many is one.

Floor: `exact` on the test split of always writing the commonest name of the training split.

Best: 1 is possible; names are as sure as the digit.

Source: 1->N as in Vinyals et al. 2015, arXiv:1411.4555. digits: Alpaydin & Kaynak 1998 (UCI, CC BY 4.0); mnist: LeCun et al.
1998 (CC BY-SA 3.0).

Data: digits, inside scikit-learn (1,797 pictures); mnist, from the hub (70,000).

Licence: CC BY 4.0 (digits); CC BY-SA 3.0 (mnist).

Needs: the extra digits.

Group: pictures.
"""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from typing import Literal

import numpy
import torch
from torch import Tensor

from rnnbench.data.hub import check_columns
from rnnbench.data.text import Ragged, Vocabulary, batches_of, rows_of
from rnnbench.options import Share

from .sequential_digits import BRIGHTEST, HUB, LICENCES, NEEDS, SIDE, digits, mnist
from .shared.pairs import END, NO_PICTURE, always, asked_rows, cut_at_end, show_pictures, sums, to_write
from .task import SPLITS, WRITING, Batch, Facts, Reals, Split, Sums, Task, Tokens, Totals

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LETTERS = Vocabulary([END, *sorted(set("".join(NAMES)))])
SPELLED = [LETTERS.encode(name) for name in NAMES]


class Caption(Task):
    version = 2
    structure = "1->N"
    causal = False
    answers = True
    headline = "exact"
    direction = "max"
    unit = "share of names written without a mistake"

    scoring = WRITING
    start = end = 0
    longest = 6
    inputs = targets = Tokens(len(LETTERS))

    def __init__(
        self,
        data: Literal["digits", "mnist"] = "digits",  # scikit-learn's 8 x 8 digits, or MNIST's 28 x 28 from the hub
        steps: Literal["one", "rows"] = "one",  # the picture in one step, or one line of pixels per step
        solved_above: Share = 0.99,  # share of exact names that counts as solved
    ):
        self.data, self.steps, self.solved_above = data, steps, solved_above
        module, package = NEEDS[data]
        if find_spec(module) is None:
            raise ValueError(f"task.data={data} needs {package}, which is not installed: pip install 'rnnbench[digits]'")
        if data == "mnist":
            check_columns(HUB, ["train", "test"], ["image", "label"], "mnist")
        self._width = SIDE[data] if steps == "rows" else SIDE[data] ** 2
        self.source = Reals(self._width)

    def prepare(self) -> None:
        if self.sha256:
            return
        self._pixels, labels, sizes = digits() if self.data == "digits" else mnist()
        self.sha256 = hashlib.sha256(self._pixels.tobytes() + labels.tobytes()).hexdigest()
        ends = numpy.cumsum((0, *sizes)).tolist()
        self._labels = {split: labels[ends[i] : ends[i + 1]].astype(numpy.int64) for i, split in enumerate(SPLITS)}
        self._names = {split: Ragged.of([SPELLED[label] for label in own]) for split, own in self._labels.items()}
        # rows of one picture each: batches by the length of the names would hold three or four digits
        places = zip(SPLITS, ends, ends[1:], strict=False)
        self._pictures = {split: Ragged(numpy.arange(a, b), numpy.arange(b - a + 1)) for split, a, b in places}
        self._common = int(numpy.bincount(self._labels["train"]).argmax())

    @property
    def floor(self) -> float:
        return float((self._labels["test"] == self._common).mean())

    def floor_guess(self, batch: Batch) -> Tensor:
        """What is written, (B, longest): one and the same name."""
        return always(SPELLED[self._common], self.longest, batch)

    def batches(self, split: Split, batch_size: int) -> int:
        return batches_of(self._pictures[split], split, batch_size)

    def batch(self, split: Split, index: int, batch_size: int, seed: int) -> Batch:
        pictures = self._pictures[split]
        rows = rows_of(pictures, split, index, batch_size, seed)
        pixels = self._pixels[pictures.values[rows]].astype(numpy.float32) / BRIGHTEST[self.data]
        source = torch.from_numpy(pixels.reshape(len(rows), -1, self._width))
        batch, steps = to_write(self._names[split], rows), torch.full((len(rows),), source.shape[1])
        return batch._replace(source=source, source_lengths=steps)

    def score_written(self, written: Tensor, batch: Batch) -> Sums:
        found = zip(cut_at_end(written), cut_at_end(batch.targets), asked_rows(batch), strict=True)
        right = [ours == theirs for ours, theirs, counts in found if counts]
        return sums({"exact": sum(right), "names": len(right)}, written)

    def finish(self, sums: Totals) -> dict[str, float]:
        return {"exact": sums["exact"] / sums["names"]} | super().finish(sums)

    def decode(self, tokens: list[int]) -> str:
        """The name that was written."""
        return "".join(LETTERS.decode(tokens[: tokens.index(0)] if 0 in tokens else tokens))

    def ask(self, text: str) -> Batch:
        raise ValueError(NO_PICTURE)

    def answered(self, batch: Batch, written: Tensor) -> list[dict[str, str]]:
        return show_pictures(batch, written, self.decode)

    def about(self) -> Facts:
        sizes = {f"{split}_pictures": len(own) for split, own in self._labels.items()}
        return {"sha256": self.sha256, "licence": LICENCES[self.data], **sizes}
