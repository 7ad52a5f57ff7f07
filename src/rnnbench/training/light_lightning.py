"""Imports Lightning without the two packages that it imports and we never use: PyTorch's compiler, and scipy's signals.

Together they take longer than PyTorch and Lightning themselves. While Lightning is imported, stand-ins are in their places:

    torch._dynamo    Lightning asks whether a module was made by `torch.compile`, and marks a method that is not to be compiled
    scipy.signal     torchmetrics gives it back a name, for a package that few have

Both stand-ins are gone when `import_lightning` returns, and whoever imports the real packages then, gets them. What Lightning
keeps of the first asks the real package once that is there. A package that was imported before stays as it is.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

COMPILER, SIGNALS = "torch._dynamo", "scipy.signal"


class _Asks(type):
    def __instancecheck__(cls, one: object) -> bool:
        real = sys.modules.get(COMPILER)
        return real is not None and isinstance(one, real.OptimizedModule)


class OptimizedModule(metaclass=_Asks):
    """What `torch.compile` makes of a module: its instances are those of the real class, and none before that is imported."""


def not_compiled(function: Callable[..., Any], *arguments: Any, **named: Any) -> Callable[..., Any]:
    """`torch._dynamo.disable`, which is asked for each time, and for nothing where no compiler is imported."""

    @functools.wraps(function)
    def call(*given: Any, **by_name: Any) -> Any:
        real = sys.modules.get(COMPILER)
        called = real.disable(function, *arguments, **named) if real else function
        return called(*given, **by_name)

    return call


STAND_INS: dict[str, dict[str, Any]] = {
    COMPILER: {"OptimizedModule": OptimizedModule, "disable": not_compiled},
    SIGNALS: {"hamming": None},  # so that torchmetrics finds what it would add
}


def import_lightning() -> None:
    """Imports Lightning as quickly as it can be. Where a stand-in lacks what it asks for, the next import is the plain one."""
    if "pytorch_lightning" in sys.modules:
        return
    with contextlib.suppress(ImportError, AttributeError), _stand_ins():
        importlib.import_module("pytorch_lightning")


@contextlib.contextmanager
def _stand_ins() -> Iterator[None]:
    made = {}
    for name, attributes in STAND_INS.items():
        importlib.import_module(name.partition(".")[0])  # the package around it, which may need the real one
        if name not in sys.modules:
            made[name] = sys.modules[name] = types.ModuleType(name)
            vars(made[name]).update(attributes)
    try:
        yield
    finally:
        for name, module in made.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]
