"""The steps of a sequence in chunks, forward and backward in time."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

CACHED = 2**16  # numbers of which several arrays stay in a processor's second cache


def chunks(steps: int, rows: int, gates: int, like: Tensor) -> list[tuple[int, int]]:
    """(start, stop) of consecutive chunks; on a GPU, where launches are what costs, there is one."""
    length = steps if like.is_cuda else chunk_length(rows, gates)
    return [(start, min(start + length, steps)) for start in range(0, steps, length)]


def chunk_length(rows: int, gates: int) -> int:
    """Steps in a chunk: enough rows for a fast product, and buffers that stay near the cache."""
    return max(1, (2**15 if gates == 1 else 2**12) // max(rows, 1))


def longest(pieces: list[tuple[int, int]]) -> int:
    """Steps of the longest of some chunks, the first one; 0 where there is none."""
    return pieces[0][1] if pieces else 0


def cached(steps: int, rows: int, width: int) -> int:
    """Steps of a chunk of (steps, rows, width) that stays in a processor's cache: at least 1, no more than `steps`."""
    return max(1, min(steps, cached_length(rows, width)))


def cached_length(rows: int, width: int) -> int:
    return CACHED // max(rows * width, 1)


def steps(*chunked: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The steps of several (steps, ...) tensors. Made for a chunk at a time: thousands of views at once wake the collector."""
    return zip(*(tensor.unbind(0) for tensor in chunked), strict=True)


def backwards(*chunked: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The steps of several (steps, ...) tensors, last step first."""
    return zip(*(reversed(tensor.unbind(0)) for tensor in chunked), strict=True)


def before(gy: Tensor, g0: Tensor, start: int, stop: int) -> Iterator[Tensor]:
    """The outside gradient at the state before each step of a chunk, last step first: gy of the step before, at last g0."""
    yield from reversed(gy[max(start - 1, 0) : stop - 1].contiguous().unbind(0))
    if start == 0:
        yield g0


def earlier(totals: Tensor, first: Tensor) -> Iterator[Tensor]:
    """For each step of a chunk, last step first, where the step before has its total gradient: at last `first`."""
    yield from reversed(totals[:-1].unbind(0))
    yield first
