"""The products of a fused recurrence, each on the faster of the two libraries of a CPU, and their gradients.

Products are written in their out= form only: autocast leaves that alone, so a fused recurrence computes in the type of R.
"""

from __future__ import annotations

import functools
import timeit
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

SMALL_PRODUCT = 2.5e6  # floating-point operations below which oneDNN's set-up costs more than MKL's slower product
BY_HAND = 1e7  # operations of a step's product with R below which machine code of ours beats a call of either library
TIMED = 256  # rows and columns of the product whose time is taken
COPY_FROM = 8  # products with a matrix from which a copy of it pays
LARGE_MATRIX = 2**18  # elements from which a matrix leaves the inner caches


def multiplying(M: Tensor, rows: int, steps: int) -> Callable[[Tensor], Tensor]:
    """A function (a) that returns a M, valid until its next call; a is (rows, K), M (K, N); it is called `steps` times."""
    if _onednn(M) and M.numel() >= LARGE_MATRIX and _can_pack():  # else oneDNN would rearrange M at every step
        packed = torch.ops.mkldnn._reorder_linear_weight(M.t().contiguous(), rows)
        linear = torch.ops.mkldnn._linear_pointwise
        return lambda a: linear(a, packed, None, "none", [], "")
    product, M = M.new_empty(rows, M.shape[1]), in_order(M, rows, steps)
    return lambda a: torch.mm(a, M, out=product)


def adding(M: Tensor, rows: int, steps: int) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """A function (base, a, out) that writes base + a M to `out`; a is (rows, K), M (K, N); it is called `steps` times."""
    if not _onednn(M) or _flops(M, rows) < SMALL_PRODUCT:
        M = in_order(M, rows, steps)
        return lambda base, a, out: torch.addmm(base, a, M, out=out)
    # oneDNN is faster at a product into a small buffer and an addition than at a product that adds to memory out of cache.
    multiply = multiplying(M, rows, steps)
    return lambda base, a, out: torch.add(base, multiply(a), out=out)


def in_order(M: Tensor, rows: int, steps: int) -> Tensor:
    """M, as a copy row by row where it is a transposed view: MKL takes up to twice as long for a view.

    Not where the copy would take longer than what it saves, nor where another library multiplies.
    """
    by_mkl = M.device.type == "cpu" and (not _onednn(M) or _flops(M, rows) < SMALL_PRODUCT)
    return M.contiguous() if by_mkl and steps >= COPY_FROM else M


def by_hand(kernel: ModuleType | None, rows: int, R: Tensor, *others: Tensor | None) -> bool:
    """Whether a sequence is one call of machine code, products included: where it can be, and these are small.

    `others` are W, and what a step multiplies besides R; None for one that there is not.
    """
    matrices = [R, *(M for M in others if M is not None)]
    small = _flops(R, rows) < BY_HAND and max(M.numel() for M in matrices) < LARGE_MATRIX
    return small and getattr(kernel, "BY_HAND", False)


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
    """Around the steps of a chunk: keeps small products with R off oneDNN."""
    if not _onednn(R) or _flops(R, rows) >= SMALL_PRODUCT:
        yield
        return
    products: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    products.fp32_precision = "none"
    try:
        yield
    finally:
        products.fp32_precision = "bf16"


def bf16_over_float32() -> float:
    """How long this processor takes for a product in bf16, in times of the same in float32; above 1 where it has no fast one.

    Timed here, in some milliseconds: of what a processor can do, its name and flags say nothing of the library's speed.
    """
    seconds = []
    for dtype in (torch.bfloat16, torch.float32):
        a, M = torch.ones(TIMED, TIMED, dtype=dtype), torch.ones(TIMED, TIMED, dtype=dtype)
        seconds.append(min(timeit.repeat(functools.partial(torch.mm, a, M), number=1, repeat=7)))
    return seconds[0] / seconds[1]


def _onednn(M: Tensor) -> bool:
    """Whether products with M go to oneDNN by the process setting `fast_matmul`."""
    products = getattr(torch.backends.mkldnn, "matmul", None)
    return M.dtype == torch.float32 and M.device.type == "cpu" and products is not None and products.fp32_precision == "bf16"


def _flops(M: Tensor, rows: int) -> int:
    return 2 * rows * M.numel()


def transposed(M: Tensor | None) -> Tensor | None:
    """Mᵀ row by row; None for None."""
    return None if M is None else M.detach().t().contiguous()


def biases(R: Tensor, b_i: Tensor | None, b_h: Tensor | None) -> Tensor:
    """(2, G H): the bias of the input's and of the state's product, zero where there is none."""
    both = torch.stack([R.new_zeros(len(R)) if b is None else b for b in (b_i, b_h)])
    # The product gives each bias a gradient of its own: through the sum alone, both would get one tensor, and whoever scales
    # gradients in place (clipping does) would scale it twice.
    return both * 1


def bias(R: Tensor, b_i: Tensor | None, b_h: Tensor | None) -> Tensor:
    """(G H): the sum of the two biases; zero where there is none."""
    given = [b for b in (b_i, b_h) if b is not None]
    return given[0] if len(given) == 1 else biases(R, b_i, b_h).sum(0)


def read_input(x: Tensor, W_t: Tensor, b: Tensor, out: Tensor) -> None:
    """The input's share of the pre-activations, x Wᵀ + b, for the steps of a chunk: x (steps, B, I) to out (steps, B, G H)."""
    torch.mm(x.flatten(0, 1), W_t, out=out.flatten(0, 1)).add_(b)


class InputGradients:
    """The gradients of a = x Wᵀ + b with respect to x, W and b, summed over chunks; dx is None unless `wanted`."""

    def __init__(self, x: Tensor, W: Tensor, wanted: bool):
        self.x, self.W = x, W
        self.dx = torch.empty_like(x) if wanted else None
        self.dW, self.db = torch.zeros_like(W), W.new_zeros(len(W))

    def add(self, d: Tensor, start: int, stop: int) -> None:
        """The steps of a chunk, from d (steps, B, G H) = ∂L/∂a there."""
        d = d.flatten(0, 1)
        self.dW.addmm_(d.t(), self.x[start:stop].flatten(0, 1))
        self.db.add_(d.sum(0))
        if self.dx is not None:
            torch.mm(d, self.W, out=self.dx[start:stop].flatten(0, 1))


def add_outer(dM: Tensor, d: Tensor, a: Tensor) -> None:
    """Adds to dM the gradient of a product M a over the steps of a chunk, from d = ∂L/∂(M a); d and a are (steps, B, ...)."""
    dM.addmm_(d.flatten(0, 1).t(), a.flatten(0, 1))
