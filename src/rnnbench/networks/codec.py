"""The codec of a network: tokens or vectors in, outputs of the task's kind out."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnbench.tasks.task import Stream, Tokens


class Codec(nn.Module):
    """A stream as vectors: tokens through an embedding, or one-hot where `width` is 0; real vectors as they are.

    `size`, where given, is the width that must come out: a linear map is added if it would be another.
    """

    def __init__(self, stream: Stream, width: int, size: int | None = None):
        super().__init__()
        self.one_hot = stream.size if isinstance(stream, Tokens) and not width else 0
        self.embedding = nn.Embedding(stream.size, width) if isinstance(stream, Tokens) and width else None
        own = width if self.embedding else stream.size
        self.map = nn.Linear(own, size) if size not in (None, own) else None
        self.size = size or own

    @torch.no_grad()
    def begin_with(self, vectors: Tensor, found: Tensor) -> None:
        """Copies `vectors` (size, width) into the embedding where `found` (size,); the others keep their random ones, scaled
        to the spread of these."""
        assert self.embedding is not None
        weight = self.embedding.weight
        weight.mul_(vectors[found].std().to(weight.dtype))
        weight[found] = vectors[found].to(weight.dtype)

    def forward(self, values: Tensor, dtype: torch.dtype) -> Tensor:
        """(B, T) tokens or (B, T, D) vectors to (B, T, size); or of one step, without T."""
        if self.embedding:
            values = self.embedding(values)
        elif self.one_hot:
            values = functional.one_hot(values, self.one_hot)
        values = values.to(dtype)
        return self.map(values) if self.map else values


def tied_weight(codec: Codec, readout: nn.Linear) -> Tensor:
    """The embedding's weights as the read-out's (Press & Wolf 2017); ValueError where their shapes differ."""
    if codec.embedding is None or codec.embedding.weight.shape != readout.weight.shape:
        got = "no embedding" if codec.embedding is None else f"an embedding of {tuple(codec.embedding.weight.shape)}"
        raise ValueError(
            f"network.tied=true needs an embedding of {tuple(readout.weight.shape)}, the read-out's shape; got {got}"
        )
    return codec.embedding.weight
