"""From a task's streams to its outputs: codec, core, read-out. The sizes come from the task.

Two kinds share one interface. A plain network has one core: where there is a source, the core reads it first and writes from
the state it then has. An encoder-decoder (encoder_decoder.py) has a core that reads and another that writes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnbench.tasks.task import Batch, Stream, Task, Tokens

from .models.mechanism import Mechanism, State, detach, reset
from .models.stack import Stack
from .options import Count, Rate

VERSION = 1  # raised when the numbers that a network makes change


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
        """(B, T) tokens or (B, T, D) vectors to (B, T, size)."""
        if self.embedding:
            values = self.embedding(values)
        elif self.one_hot:
            values = functional.one_hot(values, self.one_hot)
        values = values.to(dtype)
        return self.map(values) if self.map else values


class Network(nn.Module):
    """A core between a codec and a linear read-out.

    Where the task answers once, the read-out sees one summary of the row: `last`, what each direction had when it had read
    the whole row, or the `mean` or `max` over the valid steps. Where every step is answered, it sees every step.
    """

    def __init__(self, task: Task, build_core: Callable[[int], Stack], embedding: int, read: str, dropout: float, tied: bool):
        super().__init__()
        self.once, self.read, self.dropout = task.structure == "N->1", read, dropout
        self.codec = Codec(task.inputs, embedding)
        self.source = Codec(task.source, embedding, self.codec.size) if task.source else None
        self.core = build_core(self.codec.size)
        self.readout = nn.Linear(self.core.output_size, task.targets.size)
        if tied:
            self.readout.weight = tied_weight(self.codec, self.readout)

    def forward(self, batch: Batch, state: State | None = None) -> tuple[Tensor, State]:
        """(outputs (B, S, size of the target stream), state after each row's last valid step)."""
        if self.source is not None:
            state = self.begin(batch)
        x = self._drop(self.codec(batch.inputs, self.readout.weight.dtype))
        y, state = self.core(x, state, batch.lengths)
        if self.once:
            y = self.summary(y, batch.lengths).unsqueeze(1)
        return self.readout(self._drop(y)), state

    def _drop(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.dropout, self.training)

    def summary(self, y: Tensor, lengths: Tensor) -> Tensor:
        """(B, D) from (B, T, D); padding does not count."""
        if self.read == "last":
            return self.core.last(y, lengths)
        padding = (torch.arange(y.shape[1], device=y.device) >= lengths.unsqueeze(1)).unsqueeze(-1)
        if self.read == "mean":
            return y.masked_fill(padding, 0).sum(1) / lengths.unsqueeze(1)
        return y.masked_fill(padding, -torch.inf).amax(1)

    def read_by(self, batch: Batch) -> dict[str, tuple[Tensor, Tensor]]:
        """What the core reads of `batch`: its vectors (B, T, D) and lengths. Of a row with a source, that."""
        if self.source is not None and batch.source is not None and batch.source_lengths is not None:
            return {"core": (self.source(batch.source, self.readout.weight.dtype), batch.source_lengths)}
        return {"core": (self.codec(batch.inputs, self.readout.weight.dtype), batch.lengths)}

    def carry(self, state: State | None, fresh: Tensor) -> State | None:
        """The state that the next batch starts from: cut from the past's graph, rows that begin anew put back."""
        if state is None:
            return None
        return reset(detach(state), fresh, self.core.initial_state(len(fresh)))

    # writing by itself, step by step

    def begin(self, batch: Batch) -> State:
        """What `step` starts from: the state after the source, if there is one."""
        if self.source is None or batch.source is None:
            return self.core.initial_state(len(batch.lengths))
        x = self._drop(self.source(batch.source, self.readout.weight.dtype))
        return self.core(x, None, batch.source_lengths)[1]

    def step(self, symbols: Tensor, memory: State) -> tuple[Tensor, State]:
        """(outputs (B, size of the target stream) after `symbols` (B,) or (B, D), memory); causal cores only."""
        y, memory = self.core(self.codec(symbols.unsqueeze(1), self.readout.weight.dtype), memory)
        return self.readout(y[:, 0]), memory


def tied_weight(codec: Codec, readout: nn.Linear) -> Any:
    """The embedding's weights as the read-out's (Press & Wolf 2017); ValueError where their shapes differ."""
    if codec.embedding is None or codec.embedding.weight.shape != readout.weight.shape:
        got = "no embedding" if codec.embedding is None else f"an embedding of {tuple(codec.embedding.weight.shape)}"
        raise ValueError(
            f"network.tied=true needs an embedding of {tuple(readout.weight.shape)}, the read-out's shape; got {got}"
        )
    return codec.embedding.weight


def build(
    task: Task,
    build_core: Callable[[int], Stack],
    build_writer: Callable[[int], Stack],
    kind: Literal["plain", "encoder_decoder"] = "plain",  # one core; or one that reads the source and one that writes
    embedding: Count = 0,  # width of the token embedding; 0 feeds one-hot vectors
    read: Literal["last", "mean", "max"] = "last",  # the summary where a task answers once
    dropout: Rate = 0.0,  # share zeroed on the embedded inputs and on what the read-out sees
    tied: bool = False,  # the read-out's weights are the embedding's (Press & Wolf 2017, arXiv:1608.05859)
    attention: Literal[
        "none", "additive", "multiplicative"
    ] = "none",  # encoder_decoder: Bahdanau et al. 2015; Luong et al. 2015
    writer: str = "",  # encoder_decoder: the mechanism that writes; empty: the one that reads
    backend: Literal[
        "auto", "library", "fused", "doubling", "loop"
    ] = "auto",  # what computes the recurrences, for comparisons of time; auto: the fastest; a scan has doubling and loop
) -> Any:
    """The network that the options describe; its weights are drawn from torch's generator.

    ValueError where options exclude each other.
    """
    network: Any
    if kind == "plain":
        network = Network(task, build_core, embedding, read, dropout, tied)
    else:
        from .encoder_decoder import EncoderDecoder

        network = EncoderDecoder(task, build_core, build_writer, embedding, dropout, tied, attention)
    compute_by(network, backend)
    return network


def compute_by(network: nn.Module, backend: str) -> None:
    """Sets the back end of every recurrence; ValueError where one of them does not have it, or not in the form that it has.

    A wrapper's own cell keeps its own: noise goes through it step by step, whatever it has.
    """
    cells = [part for part in network.modules() if isinstance(part, Mechanism)]
    wrapped = {id(part) for cell in cells for part in cell.modules() if part is not cell}
    for cell in cells:
        if backend != "auto" and id(cell) not in wrapped:
            if backend not in cell.backends:
                raise ValueError(f"network.backend={backend}: {type(cell).__name__} has {', '.join(('auto', *cell.backends))}")
            cell.backend = backend
            if backend == "library":
                cell.unroll(torch.zeros(1, 1, cell.input_size), cell.initial_state(1))
