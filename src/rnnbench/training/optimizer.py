"""The optimisers, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from .learner import Learner


def make_optimizer(learner: Learner) -> torch.optim.Optimizer:
    """The optimiser by its name, in its fused form where there is one."""
    parameters, rate, decay = learner.network.parameters(), learner.learning_rate, learner.weight_decay
    match learner.optimizer_name:
        case "adam":
            return torch.optim.Adam(parameters, rate, weight_decay=decay, fused=True)
        case "adamw":
            return torch.optim.AdamW(parameters, rate, weight_decay=decay, fused=True)
        case "rmsprop":
            return torch.optim.RMSprop(parameters, rate, alpha=0.9, momentum=learner.momentum, weight_decay=decay, foreach=True)
        case _:
            return torch.optim.SGD(parameters, rate, momentum=learner.momentum, weight_decay=decay, fused=True)
