"""What the processes of a run, one a device, tell each other."""

from __future__ import annotations

from typing import TypeVar

import pytorch_lightning as lightning
import torch
from torch import Tensor

T = TypeVar("T")


class Devices:
    """The `count` devices of a run, seen from number `rank`."""

    def __init__(self, trainer: lightning.Trainer, device: torch.device):
        self.rank, self.count, self.device, self._strategy = trainer.global_rank, trainer.world_size, device, trainer.strategy

    def sum(self, value: Tensor) -> Tensor:
        """The sum of `value` over all devices."""
        return self._strategy.reduce(value, reduce_op="sum")

    def any(self, *mine: bool) -> list[bool]:
        """For each of `mine`, whether it is true on any device; the same on all of them."""
        if self.count == 1:
            return list(mine)
        return [bool(count) for count in self.sum(torch.tensor(mine, dtype=torch.int64, device=self.device)).tolist()]

    def gather(self, mine: T) -> list[T]:
        """What each device hands in, by rank."""
        every = [mine] * self.count
        if self.count > 1:
            torch.distributed.all_gather_object(every, mine)
        return every
