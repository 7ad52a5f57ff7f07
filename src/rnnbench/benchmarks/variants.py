"""What every option of a recurrence costs against PyTorch's layer: `rnnbench benchmark variants`.

Forward and backward passes of one layer, ours and PyTorch's in turn, as `benchmark kernels` measures them; our own kernels are
timed, also where `network.backend=auto` would take PyTorch's. `least` is the ratio if there were nothing in it but its matrix
products, made by PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from ..models.registry import MODELS
from ..run.process_settings import configure_process
from .history import Measured
from .kernels import (
    Bounds,
    Closure,
    KernelRow,
    Shape,
    Size,
    interleaved,
    print_heading,
    saved_bytes,
    seconds_of_products,
    shown,
    timed_row,
)

SHAPES: list[Shape] = [(50, 16, 32), (1000, 1, 64), (100, 64, 128), (600, 32, 128)]  # T steps, B rows, H units and inputs
LAYERS: dict[str, Callable[..., nn.Module]] = {"LSTM": nn.LSTM, "GRU": nn.GRU, "RNN": nn.RNN}
NOTHING: Bounds = (None, None)
SMALL: list[Bounds] = [(1.4, 1.1), NOTHING, (1.1, 1.0), NOTHING]  # of an LSTM with a gate or a squashing function less


class Variant(NamedTuple):
    """A model with options, PyTorch's layer to hold it against, and bounds by shape."""

    model: str
    options: dict[str, Any]
    against: str
    bounds: Sequence[Bounds] = (NOTHING,) * 4

    @property
    def name(self) -> str:
        return " ".join([self.model, *(name if value is True else f"{name}={value}" for name, value in self.options.items())])


VARIANTS = [
    Variant("lstm", {}, "LSTM"),
    Variant("lstm", {"peepholes": "diagonal"}, "LSTM", [(1.25, 1.0), (1.4, 1.0), (1.6, 1.3), (1.9, 1.5)]),
    *(Variant("lstm", {name: True}, "LSTM", SMALL) for name in ("NIG", "NFG", "NOG", "CIFG")),
    *(Variant("lstm", {name: True}, "LSTM", SMALL) for name in ("NIAF", "NOAF")),
    Variant("lstm", {"FGR": True}, "LSTM", [NOTHING, NOTHING, (2.1, None), NOTHING]),
    Variant("lstm", {"peepholes": "output_matrix"}, "LSTM", [NOTHING, NOTHING, (1.2, None), NOTHING]),
    Variant("lstm", {"proj_size": 16}, "LSTM"),
    Variant("gru", {}, "GRU"),
    Variant("gru", {"reset": "before"}, "GRU"),
    Variant("rnn", {}, "RNN"),
    Variant("rnn", {"nonlinearity": "relu"}, "RNN"),
    Variant("min_gru", {}, "GRU"),
    Variant("min_lstm", {}, "LSTM"),
]


def main(quick: bool = False, words: Sequence[str] = ()) -> list[Measured]:
    """Prints and returns the ratio of each variant at each shape; `quick` takes fewer rounds and the small shapes alone."""
    settings = configure_process()
    print("settings:", ", ".join(f"{name} {value}" for name, value in settings.items()))
    print_heading()
    return list(shown(variant_rows(SHAPES[:2] if quick else SHAPES, 5 if quick else 15)))


def variant_rows(shapes: Sequence[Shape], rounds: int) -> Iterator[KernelRow]:
    limits: dict[Any, float] = {}  # by shape and matrices: most variants have those of another
    for k, shape in enumerate(shapes):
        T, B, H = shape
        for variant in VARIANTS:
            cell = make_cell(variant, H)
            products = products_of(cell)
            if (shape, products) not in limits:
                limits[shape, products] = seconds_of_products(T, B, *products)
            ours, theirs = both_passes(cell, variant.against, shape)
            times = interleaved({"ours": ours, "theirs": theirs}, rounds)
            both = times["ours"], times["theirs"]
            yield timed_row(f"{variant.name} / nn.{variant.against}", shape, both, limits[shape, products], variant.bounds[k])
            if variant.model.startswith("min_"):
                yield KernelRow(
                    "  its memory kept for the backward pass", shape, saved_bytes(ours) / saved_bytes(theirs), NOTHING
                )


def make_cell(variant: Variant, H: int) -> Any:
    cell = MODELS[variant.model](H, H, **variant.options)
    cell.backend = "fused" if "fused" in cell.backends else "auto"
    return cell


def products_of(cell: Any) -> tuple[Size, tuple[Size, ...]]:
    """The sizes of the matrix that multiplies every input, W, and of those that multiply at every step."""
    of_steps = (getattr(cell, name, None) for name in "RVMQ")
    return tuple(cell.W.shape), tuple(tuple(M.shape) for M in of_steps if M is not None)


def both_passes(cell: Any, against: str, shape: Shape) -> tuple[Closure, Closure]:
    """Forward and backward passes of one layer with I = H: ours and PyTorch's."""
    T, B, H = shape
    layer, state = LAYERS[against](H, H), cell.initial_state(B)
    x = torch.randn(T, B, H, requires_grad=True)
    gy, theirs_gy = torch.randn(T, B, cell.output_size), torch.randn(T, B, H)

    def ours() -> None:
        x.grad = None
        cell.zero_grad()
        cell.unroll(x, state)[0].backward(gy)

    def theirs() -> None:
        x.grad = None
        layer.zero_grad()
        layer(x)[0].backward(theirs_gy)

    return ours, theirs
