"""The contract of a network: what training, decoding, instruments and probes use of it."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from rnnbench.tasks.task import Batch

from ..models.mechanism import State
from .codec import Codec


class TrainableNetwork(nn.Module, ABC):
    """A network from a task's streams to its outputs. Its recurrent parts are children of type Stack.

    `forward` reads whole rows at once. `begin` and `step` write symbol by symbol and give the same outputs.
    """

    codec: Codec  # reads the input stream
    forcing: float = 1.0  # share of true symbols that a writer is fed while training; training sets it before each step

    @abstractmethod
    def forward(self, batch: Batch, state: State | None = None) -> tuple[Tensor, State]:
        """(outputs (B, S, size of the target stream), state after each row's last valid step)."""

    @abstractmethod
    def carry(self, state: State | None, fresh: Tensor) -> State | None:
        """The state that the next batch starts from, detached; rows with `fresh` (B,) True start from the initial state.

        None where nothing is carried from batch to batch.
        """

    @abstractmethod
    def read_by(self, batch: Batch) -> dict[str, tuple[Tensor, Tensor]]:
        """The vectors (B, T, D) and lengths (B,) that recurrent parts read of `batch`, by the part's name."""

    @abstractmethod
    def begin(self, batch: Batch) -> State:
        """The memory that `step` starts from, a tree of tensors whose first axis is the batch."""

    @abstractmethod
    def step(self, symbols: Tensor, memory: State) -> tuple[Tensor, State]:
        """(outputs (B, size of the target stream) after `symbols` (B,) or (B, D), memory after them)."""
