"""Networks without numbers, to know their sizes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

FILLS = {
    "normal_",
    "uniform_",
    "mul_",
    "add_",
    "copy_",
    "log_",
    "neg_",
    "fill_",
    "zero_",
}  # write numbers


class _Unfilled(TorchFunctionMode):
    """Leaves tensors without numbers as they are where numbers are to be written.

    For some of these functions, and for a norm, PyTorch imports its compiler, which takes more than a second.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is torch.norm_except_dim and args[0].is_meta:  # (weight, power, dimension)
            return args[0].new_empty([size if at == args[2] else 1 for at, size in enumerate(args[0].shape)])
        fills = getattr(func, "__name__", "") in FILLS
        target = kwargs.get("out", kwargs.get("tensor", args[0] if args else None) if fills else None)
        return target if isinstance(target, Tensor) and target.is_meta else func(*args, **kwargs)


@contextlib.contextmanager
def without_numbers() -> Iterator[None]:
    """What is made within has shapes and types, and no numbers: neither memory nor time for them."""
    with torch.device("meta"), _Unfilled():
        yield
