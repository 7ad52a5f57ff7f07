"""What the fused recurrences share: the choice of a back end, chunks of steps, products, lengths, gradients of the state.

A fused recurrence is an autograd function written by hand. It goes through time in chunks of steps. For a chunk, one product
makes the input's share of all pre-activations; each step then costs one product with R and a few operations in place. The
backward pass computes for a chunk, at once, every factor that does not depend on the recurrence, which leaves two to five
operations a step; the gradients of the weights are one product a chunk. Chunks keep what the backward pass needs besides small.
The total gradient of the loss with respect to the state is at hand at every step. Where a kernel makes all of a step but its
product (`lstm_steps`, `gru_steps`), such factors are made with the step: it is one pass through memory either way.

Products are written in their out= form only: autocast leaves that alone, so a fused recurrence computes in the type of R.
tanh(x) is written 2 sigmoid(2x) - 1, at a third of the time of PyTorch's tanh on a CPU; the error is absolute, half a unit
in the last place of 1, as that of any value near 1.

Letters: T steps, B rows, I inputs, H units, G gates. Everything is time-major: x (T, B, I), y (T, B, H).
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input  # (d, y): d y (1 - y)
tanh_backward = torch.ops.aten.tanh_backward.grad_input  # (d, y): d (1 - y²)

SMALL_PRODUCT = 2.5e6  # floating-point operations below which oneDNN's set-up costs more than MKL's slower product
LARGE_MATRIX = 2**18  # elements from which a matrix leaves the inner caches


_compiled = True  # the process setting: whether Numba, where it is installed, compiles what a step does besides its product


@dataclass
class GradientSink:
    """Asks a fused recurrence for ‖∂L/∂h_t‖ and ‖∂L/∂c_t‖: hand one to it, and read it after the backward pass.

    The norms are over rows and units. The gradients are totals: h_t acts through y_t and through all later steps, c_t also
    through h_t. Padded steps have none.
    """

    h: Tensor | None = None  # (T,)
    c: Tensor | None = None  # (T,), where the mechanism has a cell


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


def machine_code(x: Tensor) -> Any:
    """The module `compiled`, or None where its kernels are switched off, cannot be, or are not for such an x."""
    return _by_numba() if _compiled and x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64) else None


def load_kernels() -> None:
    """Loads what there is of machine code, for the processes that are forked from this one."""
    kernels = _by_numba()
    if kernels is not None:
        kernels.load_compiled()


@functools.cache
def _by_numba() -> Any:
    try:
        return importlib.import_module(".compiled", __package__)
    except Exception:  # Numba is missing, refuses this NumPy, is told not to compile, or its library does not load
        return None


def only_once(backward: Callable[..., Any]) -> Callable[..., Any]:
    """A backward pass that refuses to be differentiated itself, instead of leaving itself out of the second gradient."""

    @functools.wraps(backward)
    def first(ctx: Any, *gradients: Tensor | None) -> Any:
        if torch.is_grad_enabled():
            raise RuntimeError("a fused recurrence can be differentiated once; create_graph=True asks for more")
        return backward(ctx, *gradients)

    return first


# Chunks and products


def chunks(steps: int, rows: int, gates: int, like: Tensor) -> list[tuple[int, int]]:
    """(start, stop) of consecutive chunks; on a GPU, where launches are what costs, there is one."""
    length = steps if like.is_cuda else chunk_length(rows, gates)
    return [(start, min(start + length, steps)) for start in range(0, steps, length)]


def chunk_length(rows: int, gates: int) -> int:
    """Steps in a chunk: enough rows for a fast product; what a chunk of gates holds besides should stay near the cache."""
    return max(1, (2**15 if gates == 1 else 2**12) // rows)


def multiplying(M: Tensor, rows: int) -> Callable[[Tensor], Tensor]:
    """A function (a) that returns a M, valid until its next call; a is (rows, K), M (K, N)."""
    if _onednn(M) and M.numel() >= LARGE_MATRIX and _can_pack():  # else oneDNN would rearrange M at every step
        packed = torch.ops.mkldnn._reorder_linear_weight(M.t().contiguous(), rows)
        linear = torch.ops.mkldnn._linear_pointwise
        return lambda a: linear(a, packed, None, "none", [], "")
    product = M.new_empty(rows, M.shape[1])
    return lambda a: torch.mm(a, M, out=product)


def adding(M: Tensor, rows: int) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """A function (base, a, out) that writes base + a M to `out`; a is (rows, K), M (K, N)."""
    if not _onednn(M) or _flops(M, rows) < SMALL_PRODUCT:
        return lambda base, a, out: torch.addmm(base, a, M, out=out)
    # oneDNN is faster at a product into a small buffer and an addition than at a product that adds to memory out of cache.
    multiply = multiplying(M, rows)
    return lambda base, a, out: torch.add(base, multiply(a), out=out)


@functools.cache
def _can_pack() -> bool:
    """Whether this PyTorch has the products with packed weights that its compiler uses, in the form known here."""
    a, M = torch.randn(2, 4, 4, generator=torch.Generator().manual_seed(0))
    try:
        packed = torch.ops.mkldnn._reorder_linear_weight(M.t().contiguous(), 4)
        product = torch.ops.mkldnn._linear_pointwise(a, packed, None, "none", [], "")
    except (AttributeError, RuntimeError, TypeError):
        return False
    return torch.allclose(product, a @ M, atol=1e-5)


@contextmanager
def stepping(R: Tensor, rows: int) -> Iterator[None]:
    """Around the steps of a chunk: keeps products with R that are small off oneDNN."""
    if not _onednn(R) or _flops(R, rows) >= SMALL_PRODUCT:
        yield
        return
    products: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    products.fp32_precision = "none"
    try:
        yield
    finally:
        products.fp32_precision = "bf16"


def _onednn(M: Tensor) -> bool:
    """Whether products with M go to oneDNN by the process setting `fast_matmul`."""
    products = getattr(torch.backends.mkldnn, "matmul", None)
    return M.dtype == torch.float32 and M.device.type == "cpu" and products is not None and products.fp32_precision == "bf16"


def _flops(M: Tensor, rows: int) -> int:
    return 2 * rows * M.numel()


def biases(R: Tensor, b_i: Tensor | None, b_h: Tensor | None) -> Tensor:
    """(2, G H): the bias of the input's and of the state's product, zero where there is none."""
    both = torch.stack([R.new_zeros(len(R)) if b is None else b for b in (b_i, b_h)])
    # The product gives each bias a gradient of its own: through the sum alone, both would get one tensor, and whoever scales
    # gradients in place (clipping does) would scale it twice.
    return both * 1


def add_gradients(d: Tensor, x: Tensor, W: Tensor, dx: Tensor | None, dW: Tensor, db: Tensor, start: int, stop: int) -> None:
    """The gradients of a = W x + b over the steps of a chunk, from d = ∂L/∂a there: dx is written, dW and db grow."""
    d = d.flatten(0, 1)
    dW.addmm_(d.t(), x[start:stop].flatten(0, 1))
    db.add_(d.sum(0))
    if dx is not None:
        torch.mm(d, W, out=dx[start:stop].flatten(0, 1))


def before(gy: Tensor, g0: Tensor, start: int, stop: int) -> Iterator[Tensor]:
    """What reaches the state before each step of a chunk from outside, last step first: gy of the step before, at last g0."""
    yield from reversed(gy[max(start - 1, 0) : stop - 1].contiguous().unbind(0))
    if start == 0:
        yield g0


def steps(*chunked: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The steps of several (steps, ...) tensors. Made for a chunk at a time: thousands of views at once wake the collector."""
    return zip(*(tensor.unbind(0) for tensor in chunked), strict=True)


def backwards(*chunked: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The steps of several (steps, ...) tensors, last step first."""
    return zip(*(reversed(tensor.unbind(0)) for tensor in chunked), strict=True)


def earlier(totals: Tensor, first: Tensor) -> Iterator[Tensor]:
    """For each step of a chunk, last step first, where the step before has its total gradient: at last `first`."""
    yield from reversed(totals[:-1].unbind(0))
    yield first


# Lengths


def ragged(lengths: Tensor | None, steps: int) -> Tensor | None:
    """`lengths` where some row ends early, else None. On a GPU always `lengths`: to look would wait for the device."""
    if lengths is None or (lengths.device.type == "cpu" and bool((lengths >= steps).all())):
        return None
    return lengths


def enter(x: Tensor, R: Tensor, lengths: Tensor | None) -> Tensor:
    """x as a recurrence reads it: of R's type, whatever stood at padding zero."""
    x = x.to(R.dtype).contiguous()
    return x if lengths is None else x.masked_fill(padding(lengths, len(x)), 0)


def padding(lengths: Tensor, steps: int) -> Tensor:
    """(T, B, 1) bool: the steps after a row's last."""
    return torch.arange(steps, device=lengths.device).view(-1, 1, 1) >= lengths.view(1, -1, 1)


def last(lengths: Tensor, steps: int, like: Tensor) -> Tensor:
    """(T, B, 1): 1 at each row's last valid step, else 0."""
    at = torch.arange(steps, device=lengths.device).view(-1, 1, 1) == lengths.view(1, -1, 1) - 1
    return at.to(like.dtype)


def final(states: Tensor, lengths: Tensor | None) -> Tensor:
    """(B, H) out of (T + 1, B, H): the state after each row's last valid step; the initial one where there is none."""
    if lengths is None:
        return states[-1].clone()
    return states[lengths, torch.arange(len(lengths), device=lengths.device)]


def outside(gy: Tensor, gh: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """What reaches the states from outside the recurrence: (gy (T, B, H), all of it at the last step, at the initial state).

    The final state's gradient gh joins the step that made that state; what stands at padding is dropped.
    """
    if lengths is None:
        return gy, gy[-1] + gh, torch.zeros_like(gh)
    gy = gy.masked_fill(padding(lengths, len(gy)), 0)
    gy.addcmul_(last(lengths, len(gy), gy), gh)
    return gy, gy[-1].clone(), gh * (lengths == 0).unsqueeze(1)
