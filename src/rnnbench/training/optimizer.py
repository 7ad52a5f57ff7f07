"""The optimizers by name."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from ..groups import TrainSettings


def make_optimizer(parameters: Iterable[torch.nn.Parameter], options: TrainSettings) -> torch.optim.Optimizer:
    """The optimizer that the options name, fused over all parameters where torch has such a form, else per list of tensors."""
    rate, decay = options.learning_rate, options.weight_decay
    match options.optimizer:
        case "adam":
            return torch.optim.Adam(parameters, rate, weight_decay=decay, fused=True)
        case "adamw":
            return torch.optim.AdamW(parameters, rate, weight_decay=decay, fused=True)
        case "rmsprop":
            return torch.optim.RMSprop(parameters, rate, options.averaging, 1e-8, decay, options.momentum, foreach=True)
        case _:
            return torch.optim.SGD(parameters, rate, momentum=options.momentum, weight_decay=decay, fused=True)
