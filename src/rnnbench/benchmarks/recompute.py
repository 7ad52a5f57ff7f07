"""What `trainer.recompute` saves of memory, and what it costs of time: `rnnbench benchmark recompute`.

A forward and a backward pass over T = 1000 steps, B = 32 rows and H = 128 units and inputs, with the last output read, on one
thread: CPU time with and without in turn, and the most bytes of tensors that a pass has at a time.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ..config.schema import choice_settings
from ..models.details import model_stack
from ..models.recompute import set_recompute
from ..run.process_settings import configure_process
from .history import Measured
from .kernels import interleaved

SHAPE = (1000, 32, 128)  # T steps, B rows, H units and inputs
RECOMPUTED = ("lstm", "peephole_lstm", "gru", "rnn", "min_gru", "tcn", "transformer")
SLOW = ("tcn", "transformer")
TIME, MEMORY = 1.35, 0.5  # upper bounds on the ratios


def main(quick: bool = False, words: Sequence[str] = ()) -> list[Measured]:
    """Prints and returns the ratios, with over without, of time and of peak memory.

    `quick` takes fewer rounds, and one model.
    """
    configure_process()
    print("T={}, B={}, H={}; forward and backward, one thread".format(*SHAPE))
    print(f"{'model':16} {'ms':>7} {'with':>7} {'ratio':>6}  {'MB':>7} {'with':>7} {'ratio':>6}")
    rows = []
    for model in RECOMPUTED[:1] if quick else RECOMPUTED:
        without, with_it = (last_output_pass(model, on) for on in (False, True))
        rounds = 3 if quick or model in SLOW else 9
        seconds = [*interleaved({"without": without, "with": with_it}, rounds).values()]
        peaks = [peak_bytes(side) for side in (without, with_it)]
        time_ratio, memory_ratio = seconds[1] / seconds[0], peaks[1] / peaks[0]
        shown = f"{1e3 * seconds[0]:7.1f} {1e3 * seconds[1]:7.1f} {time_ratio:6.2f}"
        print(f"{model:16} {shown}  {peaks[0] / 1e6:7.1f} {peaks[1] / 1e6:7.1f} {memory_ratio:6.2f}", flush=True)
        rows += [
            Measured(f"{model}: time with recompute / without", time_ratio, must=TIME),
            Measured(f"{model}: memory with recompute / without", memory_ratio, must=MEMORY),
        ]
    return rows


def last_output_pass(model: str, on: bool, steps: int = SHAPE[0]) -> Callable[[], None]:
    """A function that does one pass of a new `model`."""
    _, rows, width = SHAPE
    stack = model_stack(model, choice_settings("model", model), width)
    set_recompute(stack, on)
    x, weights = torch.randn(rows, steps, width), torch.randn(rows, width)

    def run() -> None:
        stack.zero_grad()
        stack(x)[0][:, -1].backward(weights)

    return run


class LiveBytes(TorchDispatchMode):
    """Inside, counts the bytes of the tensors that operations make and that are still there; `peak` is the most of them."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        there = {id(leaf.untyped_storage()) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)} | self._known
        for leaf in tree_leaves(made):
            if isinstance(leaf, Tensor) and id(storage := leaf.untyped_storage()) not in there:
                self._count(id(storage), storage.nbytes())
                weakref.finalize(storage, self._count, id(storage), -storage.nbytes())
        return made

    def _count(self, storage: int, added: int) -> None:
        (self._known.add if added >= 0 else self._known.discard)(storage)
        self.now += added
        self.peak = max(self.peak, self.now)


def peak_bytes(run: Callable[[], None]) -> int:
    """Bytes of tensors that `run` has at a time at most, besides those that were there before."""
    gc.collect()
    with LiveBytes() as live:
        run()
    return live.peak
