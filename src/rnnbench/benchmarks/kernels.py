"""The kernels against the library, and against what matrix products allow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ..kernels.benchmark import SHAPES, Row, interleaved, limit
from ..kernels.benchmark import main as kernel_table
from ..kernels.benchmark import row as compared
from ..models import MODELS
from ..models.stack import Stack


def main(quick: bool = False, words: Sequence[str] = ()) -> None:
    """Prints each kernel's time against the library's, and against what this machine's matrix products allow."""
    kernel_table(quick=quick)
    for shape in SHAPES[:1] if quick else SHAPES:
        for row in bidirectional(shape, 3 if quick or shape[2] > 128 else 7):
            print(row, flush=True)


def bidirectional(shape: tuple[int, int, int], rounds: int) -> Iterator[Row]:
    """A bidirectional LSTM of lengths from T / 2 to T, exact: against the same without lengths, which reads padding and is
    wrong, and against packed sequences, as the library has it."""
    T, B, H = shape
    lengths = torch.linspace(T // 2, T, B).long()
    ours, theirs = Stack(lambda size: MODELS["lstm"](size, H), H, bidirectional=True), nn.LSTM(H, H, bidirectional=True)
    x, weights = torch.randn(B, T, H), torch.randn(B, T, 2 * H)
    valid = (torch.arange(T) < lengths.unsqueeze(1)).unsqueeze(2)

    def packed() -> Tensor:
        y, _ = theirs(pack_padded_sequence(x.transpose(0, 1), lengths, enforce_sorted=False))
        return pad_packed_sequence(y, total_length=T)[0].transpose(0, 1)

    def trained(output: Callable[[], Tensor]) -> Callable[[], None]:
        def one_pass() -> None:
            for parameter in (*ours.parameters(), *theirs.parameters()):
                parameter.grad = None
            (output() * weights).masked_fill(~valid, 0).sum().backward()

        return one_pass

    sides = {"exact": trained(lambda: ours(x, None, lengths)[0]), "padded": trained(lambda: ours(x)[0])}
    times = interleaved(sides, rounds)
    name, least = "bidirectional LSTM with lengths", 2 * limit(shape, 4)
    yield compared(f"{name} / padded", shape, times["exact"], times["padded"], 1.15, 1.0, least)
    times = interleaved({"exact": sides["exact"], "packed": trained(packed)}, min(rounds, 3))
    yield compared(f"{name} / packed", shape, times["exact"], times["packed"], 0.2, limit=least)
