"""From a task's streams to its outputs: codec, core, read-out. The sizes come from the task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnbench.tasks.task import Batch, Stream, Task, Tokens

from .models.mechanism import State, detach, reset
from .models.stack import Stack
from .options import Count, Rate

VERSION = 1  # raised when the numbers that a network makes change


class Codec(nn.Module):
    """A stream as vectors: tokens through an embedding, or one-hot where `width` is 0; real vectors as they are."""

    def __init__(self, stream: Stream, width: int):
        super().__init__()
        self.one_hot = stream.size if isinstance(stream, Tokens) and not width else 0
        self.embedding = nn.Embedding(stream.size, width) if isinstance(stream, Tokens) and width else None
        self.size = width if self.embedding else stream.size

    def forward(self, values: Tensor) -> Tensor:
        """(B, T) tokens or (B, T, D) vectors to (B, T, size); one-hot vectors are whole numbers still."""
        if self.embedding:
            return self.embedding(values)
        if self.one_hot:
            return functional.one_hot(values, self.one_hot)
        return values


class Network(nn.Module):
    """A core between a codec and a linear read-out.

    Where the task answers once, the read-out sees one summary of the row: `last`, what each direction had when it had read
    the whole row, or the `mean` or `max` over the valid steps. Where every step is answered, it sees every step.
    """

    def __init__(
        self,
        task: Task,
        build_core: Callable[[int], Stack],
        embedding: Count = 0,  # width of the token embedding; 0 feeds one-hot vectors
        read: Literal["last", "mean", "max"] = "last",  # the summary where a task answers once
        dropout: Rate = 0.0,  # share zeroed on the embedded inputs and on what the read-out sees
    ):
        super().__init__()
        self.once, self.read, self.dropout = task.structure == "N->1", read, dropout
        self.codec = Codec(task.inputs, embedding)
        self.core = build_core(self.codec.size)
        self.readout = nn.Linear(self.core.output_size, task.targets.size)

    def forward(self, batch: Batch, state: State | None = None) -> tuple[Tensor, State]:
        """(outputs (B, S, size of the target stream), state after each row's last valid step)."""
        x = self.codec(batch.inputs).to(self.readout.weight.dtype)
        x = functional.dropout(x, self.dropout, self.training)
        y, state = self.core(x, state, batch.lengths)
        if self.once:
            y = self.summary(y, batch.lengths).unsqueeze(1)
        y = functional.dropout(y, self.dropout, self.training)
        return self.readout(y), state

    def summary(self, y: Tensor, lengths: Tensor) -> Tensor:
        """(B, D) from (B, T, D); padding does not count."""
        if self.read == "last":
            return self.core.last(y, lengths)
        padding = (torch.arange(y.shape[1], device=y.device) >= lengths.unsqueeze(1)).unsqueeze(-1)
        if self.read == "mean":
            return y.masked_fill(padding, 0).sum(1) / lengths.unsqueeze(1)
        return y.masked_fill(padding, -torch.inf).amax(1)

    def carry(self, state: State | None, fresh: Tensor) -> State | None:
        """The state that the next batch starts from: cut from the past's graph, rows that begin anew put back."""
        if state is None:
            return None
        return reset(detach(state), fresh, self.core.initial_state(len(fresh)))
