"""What the fused recurrences share: the choice of a back end, what is asked of one, compiled steps, gradients of the state.

A fused recurrence is an autograd function written by hand. It goes through time in chunks of steps. For a chunk, one product
makes the input's share of all pre-activations; each step then costs one product with R and a few operations in place. The
backward pass computes for a chunk, at once, every factor that does not depend on the recurrence, which leaves two to five
operations a step; the gradients of the weights are one product a chunk. Chunks keep the buffers of the backward pass small.
The total gradient of the loss with respect to the state is known at every step. Where a kernel makes all of a step but its
product (`lstm_steps`, `gru_steps`), such factors are made with the step: it is one pass through memory either way.

So there are three forms of each: by tensor operations, anywhere; a kernel a step, where there is machine code; and where the
matrices are small, too, a whole sequence as one call of it (`lstm_sequence`, `gru_sequence`, `RNNSequence`), since a step's
products then cost less than calling a library for them.

tanh(x) is written 2 sigmoid(2x) - 1, at a third of the time of PyTorch's tanh on a CPU; the error is absolute, half a unit
in the last place of 1, as that of any value near 1.

Letters: T steps, B rows, I inputs, H units, G gates. Everything is time-major: x (T, B, I), y (T, B, H).
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple, ParamSpec, Protocol, TypeVar

import torch
from torch import Tensor

from .lengths import outputs

sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input  # (d, y): d y (1 - y)
tanh_backward = torch.ops.aten.tanh_backward.grad_input  # (d, y): d (1 - y²)

_compiled = True  # the process setting: whether Numba, where it is installed, compiles what a step does besides its product

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@dataclass
class GradientSink:
    """Asks a fused recurrence for ‖∂L/∂h_t‖ and ‖∂L/∂c_t‖: hand one to it, and read it after the backward pass.

    The norms are over rows and units. The gradients are totals: h_t acts through y_t and through all later steps, c_t also
    through h_t. Padded steps have none.
    """

    h: Tensor | None = None  # (T,)
    c: Tensor | None = None  # (T,), where the mechanism has a cell


class Request(NamedTuple):
    """What a fused recurrence is asked for, besides its tensors."""

    lengths: Tensor | None  # (B,) valid steps; None where every row has all T
    keep: bool  # whether a backward pass may follow
    sink: GradientSink | None = None
    kernel: ModuleType | None = None  # the set of kernels that makes the steps, where it is not tensor operations


class Context(Protocol):
    """What PyTorch gives to both passes of an autograd function, with the attribute that ours leave there."""

    saved_tensors: tuple[Any, ...]  # what `save_for_backward` got: tensors, and None
    needs_input_grad: tuple[bool, ...]
    request: Request

    def save_for_backward(self, *tensors: Tensor | None) -> None: ...


def finish_forward(ctx: Context, request: Request, hs: Tensor, *saved: Tensor | None) -> tuple[Tensor, Tensor]:
    """(y (T, B, H), the final state (B, H)) from all states hs (T + 1, B, H); keeps `saved` and the lengths where asked to."""
    if request.keep:
        ctx.save_for_backward(*saved, request.lengths)
        ctx.request = request
    return outputs(hs, request.lengths)


def choose_backend(backend: str, in_library: bool, library_is_faster: bool, sink: GradientSink | None) -> str:
    """`library` or `fused`: what was asked for, or for `auto` the library's layer where it exists and is the faster one.

    Raises ValueError for an unknown name, and where the library cannot do what is asked for.
    """
    if backend == "auto":
        return "library" if in_library and library_is_faster and sink is None else "fused"
    if backend not in ("library", "fused"):
        raise ValueError(f"no back end {backend!r}; there are: auto, library, fused")
    if backend == "library" and not in_library:
        raise ValueError("the library has no such recurrence; backend=fused has it")
    if backend == "library" and sink is not None:
        raise ValueError("the library does not show the gradient of every step; backend=fused does")
    return backend


def library_is_faster(x: Tensor, R: Tensor) -> bool:
    """Of the layers other than the LSTM: on a GPU, and on a CPU in bf16 once products outweigh the rest of a step."""
    return x.is_cuda or (x.device.type == "cpu" and torch.is_autocast_enabled("cpu") and R.shape[1] >= 256)


def compile_steps(on: bool) -> bool:
    """Sets whether steps are machine code, where they can be; returns whether they are."""
    global _compiled
    _compiled = on
    return steps_are_compiled()


def steps_are_compiled() -> bool:
    return _compiled and _by_numba() is not None


def machine_code(x: Tensor) -> ModuleType | None:
    """The module `compiled`, or None where its kernels are switched off, cannot be, or are not for such an x.

    Nor are they while operations are recorded (`torch.jit.trace`, `torch.export`, `torch.compile`): their results would be
    constants.
    """
    if torch.jit.is_tracing() or torch.compiler.is_compiling():
        return None
    return _by_numba() if _compiled and x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64) else None


def compiled_or_plain(name: str, plain: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """The function `name` of the module `compiled`, which does what `plain` does; `plain` where there is no machine code."""
    kernels = _by_numba() if _compiled else None
    return plain if kernels is None else getattr(kernels, name)


@functools.cache
def _by_numba() -> ModuleType | None:
    try:
        return importlib.import_module(".compiled", __package__)
    except Exception:  # Numba is missing, refuses this NumPy, is told not to compile, or its library does not load
        return None


def only_once(backward: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """A backward pass that refuses to be differentiated itself, instead of leaving itself out of the second gradient."""

    @functools.wraps(backward)
    def first(*arguments: Arguments.args, **named: Arguments.kwargs) -> Result:
        if torch.is_grad_enabled():
            raise RuntimeError("a fused recurrence can be differentiated once; create_graph=True asks for more")
        return backward(*arguments, **named)

    return first
