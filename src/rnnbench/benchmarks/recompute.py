"""What `trainer.recompute` saves of memory, and what it costs of time: `rnnbench benchmark recompute`.

A forward and a backward pass, to the inputs, over T = 1000 steps, B = 32 rows and H = 128 units and inputs, with the last
output read, on one thread: CPU time with and without in turn, the bytes of tensors that the forward pass leaves for the
backward pass, outputs included, and the most bytes that a pass has at a time, gradients included. The vanilla RNN leaves
nothing but what it read and its outputs, and of the transformer's two blocks the last is never computed again: their memory
has no bound.
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
TIME, MEMORY = 1.35, 0.5  # upper bounds on the ratios of time and of what is left for the backward pass
UNBOUNDED = ("rnn", "transformer")


def main(quick: bool = False, words: Sequence[str] = ()) -> list[Measured]:
    """Prints and returns the ratios, with over without, of time and of peak memory.

    `quick` takes fewer rounds, and one model.
    """
    configure_process()
    print("T={}, B={}, H={}; forward and backward, one thread".format(*SHAPE))
    of_bytes = " ".join(f"{f'{name} MB':>8} {'with':>7} {'ratio':>6}" for name in ("kept", "peak"))
    print(f"{'model':16} {'ms':>7} {'with':>7} {'ratio':>6} {of_bytes}")
    rows = []
    for model in RECOMPUTED[:1] if quick else RECOMPUTED:
        passes = [last_output_pass(model, on) for on in (False, True)]
        rounds = 3 if quick or model in SLOW else 9
        without, with_it = (one_pass for one_pass, _ in passes)
        seconds = [*interleaved({"without": without, "with": with_it}, rounds).values()]
        kept, peaks = zip(*(live_bytes(*one) for one in passes), strict=True)
        ratios = [after / before for before, after in (seconds, kept, peaks)]
        of_bytes = " ".join(f"{a / 1e6:8.1f} {b / 1e6:7.1f} {b / a:6.2f}" for a, b in (kept, peaks))
        print(f"{model:16} {1e3 * seconds[0]:7.1f} {1e3 * seconds[1]:7.1f} {ratios[0]:6.2f} {of_bytes}", flush=True)
        rows += [
            Measured(f"{model}: time with recompute / without", ratios[0], must=TIME),
            Measured(f"{model}: memory kept with recompute / without", ratios[1], must=None if model in UNBOUNDED else MEMORY),
            Measured(f"{model}: peak memory with recompute / without", ratios[2]),
        ]
    return rows


def last_output_pass(model: str, on: bool, steps: int = SHAPE[0]) -> tuple[Callable[[], None], Callable[[], Tensor]]:
    """Two functions of a new `model`: one pass, and its forward pass, which returns the last output."""
    _, rows, width = SHAPE
    stack = model_stack(model, choice_settings("model", model), width)
    set_recompute(stack, on)
    x, weights = torch.randn(rows, steps, width, requires_grad=True), torch.randn(rows, width)

    def forward() -> Tensor:
        return stack(x)[0][:, -1]

    def run() -> None:
        x.grad = None
        stack.zero_grad()
        forward().backward(weights)

    return run, forward


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


def live_bytes(run: Callable[[], None], forward: Callable[[], Tensor]) -> tuple[int, int]:
    """Bytes of tensors besides those that were there before: what `forward` leaves, and the most that `run` has at a time."""
    gc.collect()
    with LiveBytes() as kept:
        output = forward()
        left = kept.now
    del output
    with LiveBytes() as live:
        run()
    return left, live.peak
