"""The optimizers by name."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable
from typing import Any

import torch

from ..groups import TrainSettings


def make_optimizer(parameters: Iterable[torch.nn.Parameter], options: TrainSettings) -> torch.optim.Optimizer:
    """The optimizer that the options name, fused over all parameters where torch has such a form, else per list of tensors."""
    rate, decay = options.learning_rate, options.weight_decay
    match options.optimizer:
        case "adam":
            return without_compiler(torch.optim.Adam)(parameters, rate, weight_decay=decay, fused=True)
        case "adamw":
            return without_compiler(torch.optim.AdamW)(parameters, rate, weight_decay=decay, fused=True)
        case "rmsprop":
            return without_compiler(torch.optim.RMSprop)(
                parameters, rate, options.averaging, 1e-8, decay, options.momentum, foreach=True
            )
        case _:
            return without_compiler(torch.optim.SGD)(
                parameters, rate, momentum=options.momentum, weight_decay=decay, fused=True
            )


MARKED = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")  # methods that are not to be compiled


@functools.cache
def without_compiler(kind: type[torch.optim.Optimizer]) -> type[Any]:
    """The optimizer `kind` with its methods as they were before PyTorch marked them for `torch.compile`.

    The marks import the compiler at the first call, which takes as long as importing PyTorch. No optimizer is compiled here.
    """
    plain = {name: inspect.unwrap(getattr(kind, name)) for name in MARKED}
    step = torch.no_grad()(inspect.unwrap(kind.step))  # the mark switches gradients off as well
    return type(kind.__name__, (kind,), {"__module__": kind.__module__, "__doc__": kind.__doc__, **plain, "step": step})
