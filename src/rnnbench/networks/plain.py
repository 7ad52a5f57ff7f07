"""From a task's streams to its outputs: codec, core, read-out. The sizes come from the task.

A plain network has one core: where there is a source, the core reads it first and writes from the state it then has. An
encoder-decoder (encoder_decoder.py) has a core that reads and another that writes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnbench.tasks.task import Batch, Task

from ..models.mechanism import State, at_last, detach, reset
from ..models.stack import Stack
from .codec import Codec, tied_weight
from .trainable import TrainableNetwork


class Network(TrainableNetwork):
    """A core between a codec and a linear read-out.

    Where the task answers once, the read-out sees one summary of the row: `last`, what each direction had when it had read
    the whole row, or the `mean` or `max` over the valid steps. Where every step is answered, it sees every step. `rectified`
    puts a relu before it (the code of Deletang et al. 2023, arXiv:2207.02098). `direct` shows it the inputs, too; `logistic`
    puts σ behind it, `bias` is whether it has one, its weights begin in ±`spread`, 0 being as PyTorch has them (Hochreiter &
    Schmidhuber 1997).
    """

    def __init__(
        self,
        task: Task,
        build_core: Callable[[int], Stack],
        embedding: int,
        read: str,
        dropout: float,
        tied: bool,
        rectified: bool = False,
        logistic: bool = False,
        bias: bool = True,
        spread: float = 0.0,
        direct: bool = False,
    ):
        super().__init__()
        self.rectified, self.logistic, self.direct = rectified, logistic, direct
        self.once, self.read, self.dropout = task.structure == "N->1", read, dropout
        self.codec = Codec(task.inputs, embedding)
        self.source = Codec(task.source, embedding, self.codec.size) if task.source else None
        self.core = build_core(self.codec.size)
        self.readout = nn.Linear(self.core.output_size + direct * self.codec.size, task.targets.size, bias)
        if spread:
            for parameter in self.readout.parameters():
                nn.init.uniform_(parameter, -spread, spread)
        if tied:
            self.readout.weight = tied_weight(self.codec, self.readout)

    def forward(self, batch: Batch, state: State | None = None) -> tuple[Tensor, State]:
        """(outputs (B, S, size of the target stream), state after each row's last valid step)."""
        if self.source is not None:
            state = self.begin(batch)
        x = self._drop(self.codec(batch.inputs, self.readout.weight.dtype))
        y, state = self.core(x, state, batch.lengths)
        if self.once:
            y, x = self.summary(y, batch.lengths).unsqueeze(1), at_last(x, batch.lengths).unsqueeze(1)
        return self.answer(self._drop(y), x), state

    def answer(self, y: Tensor, x: Tensor) -> Tensor:
        """The outputs from what the core made of x, (..., D) to (..., size of the target stream)."""
        y = torch.relu(y) if self.rectified else y
        y = self.readout(torch.cat([y, x], -1) if self.direct else y)
        return torch.sigmoid(y) if self.logistic else y

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
        x = self.codec(symbols, self.readout.weight.dtype)
        y, memory = self.core.step(x, memory)
        return self.answer(y, x), memory
