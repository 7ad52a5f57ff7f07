"""Sequential digits: which digit is it, read one pixel at a time?

    inputs   0 0 5 13 9 1 0 0  0 0 13 15 10 ...     (8 x 8 pixels, row after row, each divided by 16)
    target                                     0     (answered once, after the last pixel)

`data=digits`: the 1,797 pictures of 8 x 8 pixels that come with scikit-learn, 64 steps, nothing to download; there is no
published split: a fixed shuffle makes 1,297 for training, 250 for validation, 250 for test. `data=mnist`: 28 x 28 pixels, 784
steps, divided by 255, from the hub; the last 10,000 training pictures are validation, the test split is the published one.

`order=permuted` feeds all pictures in one fixed random order of pixels (that of sha256 over their places; part of the version).
The orders of other papers are drawn anew by each, some of them without a seed: an accuracy holds for the order it was got with,
and `permutation=1`, 2 and so on are other orders.

`validation=test` holds nothing out, as the code of Bai et al. 2018: training has all pictures but those of the test, and what
is called validation is the test split. Nothing may be chosen by it then: `train.select=last`, no patience, no stop when solved.
`scale=standard`: pixels less the mean of the training pictures, over their standard deviation (mnist: .1307 and .3081).

`pool=2` averages squares of 2 x 2 pixels into one, `pool=4` of 4 x 4: a quarter and a sixteenth of the steps (mnist: 196, 49).

Floor: accuracy on the test split of always answering the digit that is the most frequent in training (mnist: .1135).

Best: mnist .994 to .995 in order and .966 permuted (coRNN, LEM), LSTM .989 and .902 to .93 (Cooijmans et al. 2016 and others).

Source: Le, Jaitly & Hinton 2015, arXiv:1504.00941; mnist: LeCun et al. 1998; digits: Alpaydin & Kaynak 1998 (UCI, test part).

Data: digits, inside scikit-learn (1,797 pictures); mnist, from the hub (70,000).

Licence: CC BY 4.0 (digits); CC BY-SA 3.0 (mnist).

Needs: the extra digits.

Group: pictures.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
from importlib.util import find_spec
from typing import Annotated, Any, Literal

import numpy
import torch
from torch import Tensor

from rnnbench.data.cache import cache_entry, read_arrays, write_arrays
from rnnbench.data.hub import check_columns, read_split
from rnnbench.data.tables import DataError
from rnnbench.options import Count, Needs, Share, amount

from .task import (
    SPLITS,
    Batch,
    Facts,
    Reals,
    Split,
    Task,
    Tokens,
    certain,
    generator,
)

HUB = "ylecun/mnist"
NEEDS = {"digits": ("sklearn", "scikit-learn"), "mnist": ("PIL", "pillow")}  # module and package
SIDE = {"digits": 8, "mnist": 28}  # pixels
BRIGHTEST = {"digits": 16, "mnist": 255}
LICENCES = {"digits": "CC BY 4.0", "mnist": "CC BY-SA 3.0"}


class SequentialDigits(Task):
    version = 1
    structure = "N->1"
    causal = False
    headline = "accuracy"
    direction = "max"

    inputs = Reals(1)
    targets = Tokens(10)

    def __init__(
        self,
        data: Literal["digits", "mnist"] = "digits",  # scikit-learn's 8 x 8 digits, or MNIST's 28 x 28 from the hub
        order: Literal["rows", "permuted"] = "rows",  # order of the pixels: line by line, or a fixed random permutation
        permutation: Annotated[Count, Needs("order", values=("permuted",))] = 0,  # random seed of the permutation
        pool: Literal[1, 2, 4] = 1,  # average pooling over squares of this side
        solved_above: Share = 0.99,  # accuracy that counts as solved
        validation: Literal["held_out", "test"] = "held_out",  # validate on held-out training pictures, or on the test split
        scale: Literal["unit", "standard"] = "unit",  # pixels from 0 to 1, or standardized by training mean and deviation
    ):
        self.data, self.order, self.pool, self.solved_above = data, order, pool, solved_above
        self.permutation = permutation
        self.validation, self.scale = validation, scale
        module, package = NEEDS[data]
        if find_spec(module) is None:
            raise ValueError(f"task.data={data} needs {package}, which is not installed: pip install 'rnnbench[digits]'")
        if data == "mnist":
            check_columns(HUB, ["train", "test"], ["image", "label"], "mnist")

    def prepare(self) -> None:
        if self.sha256:
            return
        pixels, labels, sizes = digits() if self.data == "digits" else mnist()
        self.sha256 = hashlib.sha256(pixels.tobytes() + labels.tobytes()).hexdigest()
        if self.pool > 1:
            side = SIDE[self.data] // self.pool
            squares = pixels.reshape(-1, side, self.pool, side, self.pool)
            pixels = squares.sum((2, 4), dtype=numpy.uint16).reshape(-1, side * side)
        if self.order == "permuted":
            before = f"{self.permutation} " if self.permutation else ""
            places = range(pixels.shape[1])
            pixels = pixels[:, sorted(places, key=lambda place: hashlib.sha256(f"{before}{place}".encode()).digest())]
        ends = numpy.cumsum((0, *sizes))
        self._parts = {split: slice(ends[i], ends[i + 1]) for i, split in enumerate(SPLITS)}
        if self.validation == "test":
            self._parts |= {"train": slice(0, ends[2]), "validation": self._parts["test"]}
        self._pixels, self._labels = pixels, labels.astype(numpy.int64)
        if self.scale == "standard":
            pictures = pixels[self._parts["train"]]
            squares = numpy.mean([numpy.square(picture, dtype=float).mean() for picture in pictures])
            self._centre, self._spread = (numpy.float32(n) for n in (pictures.mean(), (squares - pictures.mean() ** 2) ** 0.5))
        self._common = int(numpy.bincount(self._labels[self._parts["train"]]).argmax())
        self._epoch: tuple[tuple[object, ...], numpy.ndarray] = (
            (),
            numpy.empty(0),
        )  # the order of the last epoch, with its key

    @property
    def floor(self) -> float:
        return float((self._labels[self._parts["test"]] == self._common).mean())

    def batches(self, split: Split, batch_size: int) -> int:
        pictures = self._parts[split].stop - self._parts[split].start
        if split != "train":
            return -(-pictures // batch_size)
        if pictures < batch_size:
            raise ValueError(f"task.data={self.data} has {pictures} training pictures, less than train.batch_size={batch_size}")
        return pictures // batch_size  # the rest takes part in another epoch

    def batch(self, split: Split, index: int, batch_size: int, seed: int) -> Batch:
        part = self._parts[split]
        if split == "train":
            epoch, index = divmod(index, self.batches(split, batch_size))
            if self._epoch[0] != (epoch, seed):
                self._epoch = (epoch, seed), generator(SPLITS.index(split), epoch, seed).permutation(part.stop)
            rows = self._epoch[1][index * batch_size : (index + 1) * batch_size]
        else:
            rows = numpy.arange(part.start, part.stop)[index * batch_size : (index + 1) * batch_size]
        pixels = self._pixels[rows].astype(numpy.float32)
        if self.scale == "standard":
            pixels = (pixels - self._centre) / self._spread
        else:
            pixels /= BRIGHTEST[self.data] * self.pool**2
        return Batch(
            torch.from_numpy(pixels).unsqueeze(-1),
            torch.from_numpy(self._labels[rows]).view(-1, 1),
            scored=torch.ones(len(rows), 1, dtype=torch.bool),
            lengths=torch.full((len(rows),), pixels.shape[1]),
            fresh=torch.ones(len(rows), dtype=torch.bool),
        )

    def floor_guess(self, batch: Batch) -> Tensor:
        return certain(self._common, 10, batch)

    def about(self) -> Facts:
        sizes = {f"{split}_pictures": part.stop - part.start for split, part in self._parts.items()}
        return {"sha256": self.sha256, "licence": LICENCES[self.data], **{key: int(size) for key, size in sizes.items()}}


def digits() -> tuple[numpy.ndarray, numpy.ndarray, tuple[int, int, int]]:
    """(1797, 64) pixels, labels, and how many are for each split; the file that `sklearn.datasets.load_digits` reads."""
    path = importlib.metadata.distribution("scikit-learn").locate_file("sklearn/datasets/data/digits.csv.gz")
    rows = numpy.loadtxt(str(path), delimiter=",", dtype=numpy.uint8)
    # shuffled by content of the place, not by a generator, whose stream may differ between versions of NumPy
    rows = rows[sorted(range(len(rows)), key=lambda row: hashlib.sha256(f"row {row}".encode()).digest())]
    return rows[:, :-1], rows[:, -1], (1297, 250, 250)


def mnist() -> tuple[numpy.ndarray, numpy.ndarray, tuple[int, int, int]]:
    """(70000, 784) pixels, labels, and how many are for each split; decoded once, into the cache."""
    parts = [read_split(HUB, split, ["image", "label"], "mnist") for split in ("train", "test")]
    total = hashlib.sha256()
    for part in parts:
        for image in part["image"].to_pylist():
            total.update(image["bytes"])
        total.update(part["label"].to_numpy().astype("<i8").tobytes())

    def make(folder: Any) -> None:
        from PIL import Image

        images = [Image.open(io.BytesIO(image["bytes"])).convert("L") for part in parts for image in part["image"].to_pylist()]
        labels = numpy.concatenate([part["label"].to_numpy() for part in parts])
        if any(image.size != (28, 28) for image in images) or labels.min() < 0 or labels.max() > 9:
            raise DataError(f"{HUB}: pictures of 28 x 28 pixels with labels 0 to 9 were expected")
        write_arrays(folder / "pixels.arrow", {"pixel": numpy.concatenate([numpy.asarray(i).ravel() for i in images])})
        write_arrays(folder / "labels.arrow", {"label": labels})

    folder = cache_entry("sequential_digits", {"version": 1, "sha256": total.hexdigest()}, make)
    pixels = numpy.asarray(read_arrays(folder / "pixels.arrow")["pixel"]).reshape(-1, 784)
    labels = numpy.asarray(read_arrays(folder / "labels.arrow")["label"])
    test = parts[1].num_rows
    held_out = min(10000, len(labels) - test - 1)
    if held_out < 1:
        raise DataError(
            f"{HUB}: {amount(len(labels) - test, 'picture')} to train on; at least 2 are needed, one of them for validation"
        )
    return pixels, labels, (len(labels) - test - held_out, held_out, test)
