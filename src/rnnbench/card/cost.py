"""What a cell costs: parameters, state, products, time, memory, and how far its gradient reaches before any training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..benchmarks.kernels import Closure, interleaved
from ..benchmarks.models import training_pass
from ..models.details import mechanism_details, model_stack
from ..models.stack import recording
from ..networks.cost import multiply_adds
from ..run.process_settings import configure_process
from .fading import fading_of, reach_of_fading

WIDTH = 128  # units, and inputs
SHAPES = ((100, 1, 64), (100, 32, 128), (25, 128, 256))  # steps, rows, units
ROUNDS = 5
REACH = (200, 16)  # steps and rows of the sequences whose gradient is followed


@dataclass(frozen=True)
class CellCost:
    """Of one model, at WIDTH units unless said otherwise. `times` and `memory` are as shares of nn.LSTM's."""

    model: str
    parameters: int
    state: int
    products: int  # a token
    times: tuple[float, ...]  # of a forward and backward pass, by shape
    memory: float  # bytes kept for the backward pass, at the second shape
    reach: int | None  # steps until the gradient has fallen to 1 % of what it is at the last step; None: further than REACH
    fading: tuple[float, ...] = ()  # the gradient 0, 1, 2 ... steps before the last, as a share of that at the last


def measure_costs(
    models: Mapping[str, Mapping[str, Any]], rounds: int = ROUNDS, shapes: Sequence[tuple[int, int, int]] = SHAPES
) -> list[CellCost]:
    """The cost of each of `models`, labels with settings of a model. On one thread; times are medians of CPU time."""
    configure_process()
    torch.manual_seed(0)
    details = {one.name: one for one in mechanism_details(models, WIDTH)}
    found = []
    for label, given in models.items():
        times = []
        for steps, rows, width in shapes:
            sides = {"cell": model_stack(label, given, width), "library": nn.LSTM(width, width, batch_first=True)}
            passes: dict[str, Closure] = {name: training_pass(module, steps, rows, width) for name, module in sides.items()}
            taken = interleaved(passes, rounds)
            times.append(taken["cell"] / taken["library"])
        stack = model_stack(label, given, WIDTH)
        memory = kept_bytes(stack) / kept_bytes(nn.LSTM(WIDTH, WIDTH, batch_first=True))
        about = details[label]
        products = multiply_adds(stack)
        fading = fading_of(gradient_norms(stack))
        sizes = about.parameters, about.state_size, products, tuple(times), memory
        found.append(CellCost(label, *sizes, reach_of_fading(fading), fading))
    return found


def kept_bytes(module: nn.Module, steps: int = 100, rows: int = 32) -> int:
    """Bytes that a forward pass of `module` over WIDTH inputs keeps for the backward pass, parameters left out."""
    own = {parameter.untyped_storage().data_ptr() for parameter in module.parameters()}
    kept: dict[int, int] = {}
    with counted_storages(kept):
        module(torch.randn(rows, steps, WIDTH, requires_grad=True))
    return sum(size for place, size in kept.items() if place not in own)


@contextmanager
def counted_storages(kept: dict[int, int]) -> Iterator[None]:
    """Adds to `kept` the size of each storage, by its address, that is kept for a backward pass. None is freed meanwhile."""
    held: list[Any] = []

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        held.append(storage)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield


def gradient_norms(stack: Any, steps: int = REACH[0], rows: int = REACH[1]) -> list[list[float]]:
    """The norms of the gradient of the last output by the state after each step, for every state.

    The inputs are normal; the loss is a random sum of the last outputs.
    """
    random = torch.Generator().manual_seed(0)
    x = torch.randn(rows, steps, WIDTH, generator=random)
    with recording(stack) as sinks:
        y, _ = stack(x)
        (y[:, -1] * torch.randn(y[:, -1].shape, generator=random)).sum().backward()
    stack.zero_grad()
    return [part.tolist() for sink in sinks.values() for part in (sink.h, sink.c) if part is not None and len(part)]
