"""Networks without numbers, to know their sizes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ..options import BadOption

Made = TypeVar("Made")
FILLS = {"normal_", "uniform_", "log_", "neg_", "add_"}  # functions that write numbers, for which PyTorch imports its compiler


class _Unfilled(TorchFunctionMode):
    """Leaves tensors without numbers as they are where numbers are to be written.

    Else PyTorch imports its compiler for some of these functions, and for a norm, which takes more than a second.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        first = args[0] if args else kwargs.get("tensor")
        if func is torch.eye and "out" in kwargs and kwargs["out"].is_meta:
            return kwargs["out"]
        if isinstance(first, Tensor) and first.is_meta:
            if getattr(func, "__name__", "") in FILLS:
                return first
            if func is torch.norm_except_dim and len(args) == 3:  # (weight, power, dimension)
                return first.new_empty([size if at == args[2] else 1 for at, size in enumerate(first.shape)])
        return func(*args, **kwargs)


@contextlib.contextmanager
def without_numbers() -> Iterator[None]:
    """What is made within has shapes and types, and no numbers: neither memory nor time for them."""
    with torch.device("meta"), _Unfilled():
        yield


def made_for_size(make: Callable[[], Made]) -> Made:
    """What `make` makes, to know its size: without numbers, or with them where a constructor reads numbers of its tensors."""
    with torch.random.fork_rng(devices=[]):
        try:
            with without_numbers():
                return make()
        except BadOption:
            raise
        except Exception:
            return make()
