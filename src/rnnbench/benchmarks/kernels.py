"""What the kernels cost on this machine: `rnnbench benchmark kernels`.

Every comparison runs both sides in turn in one process, on one thread, and takes the ratio of the medians of CPU time
(forward and backward), which a neighbour on the same core does not enter. Both sides have the process settings. Where oneDNN's
products are one of them, RNN and GRU are timed with these and with PyTorch's default products, on both sides each time, and
with ours as it is set against the library's as it comes. `GEMM` is the share of our time that the matrix products take on their
own, each at the faster of PyTorch's two ways to multiply; `least` is the ratio if there were nothing else in it. Small products
of ours are machine code, which may be faster than both. `must` and `aim` are upper bounds on the ratio.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ..kernels.gru import gru
from ..kernels.lstm import lstm
from ..kernels.recurrence import compile_steps
from ..kernels.rnn import rnn
from ..models.registry import MODELS
from ..models.stack import Stack
from ..run.process_settings import configure_process
from .history import Measured, noise_of

Shape = tuple[int, int, int]
Size = tuple[int, int]  # rows and columns of a matrix
Closure = Callable[[], object]
Pair = tuple[float, float]  # of ours and theirs
Bounds = tuple[float | None, float | None]  # must, aim

SHAPES: list[Shape] = [(100, 64, 128), (600, 32, 128), (256, 64, 512)]  # T steps, B rows, H units and inputs
# Bounds by shape.
PEEPHOLES: list[Bounds] = [(1.6, 1.3), (1.9, 1.5), (1.25, 1.15)]
GRUS: list[Bounds] = [(0.65, 0.45), (0.65, 0.45), (0.55, 0.45)]
RNNS: list[Bounds] = [(0.75, 0.5), (0.8, 0.5), (0.6, 0.5)]
SETTINGS: list[Bounds] = [(0.75, None), (0.75, None), (0.85, None)]
BF16: Bounds = (0.65, None)


class KernelRow(NamedTuple):
    """One comparison: ours over theirs."""

    name: str
    shape: Shape
    ratio: float
    bounds: Bounds
    seconds: Pair | None = None  # None where it is not time that is compared
    limit: float | None = None  # seconds of its matrix products
    noise: float | None = None  # of the ratio, see `history.noise_of`

    def __str__(self) -> str:
        seconds = " ".join(" " * 9 if part is None else f"{1e3 * part:9.1f}" for part in self.seconds or (None, None))
        bounds = " ".join("     " if part is None else f"{part:5.2f}" for part in self.bounds)
        share = ""
        if self.limit is not None and self.seconds is not None:
            ours, theirs = self.seconds
            share = f"{self.limit / ours:6.0%} {self.limit / theirs:6.2f}"
        shape = ",".join(map(str, self.shape))
        mark = self.measured().mark
        return f"{self.name:44s} {shape:>11s} {seconds} {self.ratio:7.3f}  {bounds}  {share}{mark}"

    def measured(self) -> Measured:
        """The row as it is judged and saved."""
        return Measured(f"{self.name.strip()} {','.join(map(str, self.shape))}", self.ratio, *self.bounds, False, self.noise)


def timed_row(name: str, shape: Shape, seconds: Pair, limit: float | None, bounds: Bounds = (None, None)) -> KernelRow:
    ours, theirs = seconds
    return KernelRow(name, shape, ours / theirs, bounds, seconds, limit)


def main(quick: bool = False, words: Sequence[str] = ()) -> list[Measured]:
    """Prints and returns each kernel's time against the library's, and against what this machine's matrix products allow.

    `quick` takes fewer rounds and leaves the largest shapes out.
    """
    settings = configure_process()
    print("settings:", ", ".join(f"{name} {value}" for name, value in settings.items()))
    print_heading()
    rows = list(shown(measurements(SHAPES[:2] if quick else SHAPES, 3 if quick else 9, settings["fast_matmul"])))
    for shape in SHAPES[:1] if quick else SHAPES:
        rows += shown(bidirectional(shape, 3 if quick or shape[2] > 128 else 7))
    return rows


def print_heading() -> None:
    print("ratio: ours over PyTorch's layer. must, aim: upper bounds on it. GEMM: PyTorch's time for the products alone, as a")
    print(
        "share of ours, above 100 % where our products are faster. least: the ratio if there were nothing but these products."
    )
    times = f"{'T,B,H':>11s} {'ours ms':>9s} {'theirs ms':>9s} {'ratio':>7s}"
    print(f"{'':44s} {times}  {'must':>5s} {'aim':>5s}  {'GEMM':>6s} {'least':>6s}")


def shown(rows: Iterable[KernelRow]) -> Iterator[Measured]:
    """Prints each row as soon as it is measured."""
    for row in rows:
        print(row, flush=True)
        yield row.measured()


# The comparisons


def measurements(shapes: list[Shape], rounds: int, fast: bool) -> Iterator[KernelRow]:
    """The rows of one direction; `fast` says whether oneDNN's products are among the process settings."""
    for k, shape in enumerate(shapes):
        few = rounds if shape[2] < 512 else max(3, rounds // 3)
        of_lstm = product_seconds(shape, 4)
        yield from of_peepholes(shape, few, of_lstm, PEEPHOLES[k])
        yield from of_gru_or_rnn("GRU", shape, few, product_seconds(shape, 3), GRUS[k], fast)
        yield from of_gru_or_rnn("RNN", shape, few, product_seconds(shape, 1), RNNS[k], fast)
        _, theirs = passes("lstm", shape)
        yield in_bf16("LSTM in bf16 / fp32", shape, theirs, theirs, few, 4, BF16)
        pairs = [(fresh(shape, settled=True), fresh(shape, settled=False)) for _ in range(max(1, few // 3))]
        settled, as_it_comes = (statistics.median(side) for side in zip(*pairs, strict=True))
        yield timed_row("nn.LSTM with process settings / without", shape, (settled, as_it_comes), of_lstm, SETTINGS[k])


def of_peepholes(shape: Shape, rounds: int, limit: float, bounds: Bounds) -> Iterator[KernelRow]:
    """The LSTM with peepholes against the library's without."""
    ours, theirs = passes("lstm", shape, peepholes=True)
    times = interleaved({"ours": ours, "theirs": theirs}, rounds)
    yield timed_row("peephole LSTM / nn.LSTM", shape, (times["ours"], times["theirs"]), limit, bounds)
    memory = saved_bytes(ours) / saved_bytes(theirs)
    yield KernelRow("  its memory kept for the backward pass", shape, memory, (1.3, 1.0))
    yield from steps_compiled(shape, ours, rounds, limit)


def of_gru_or_rnn(name: str, shape: Shape, rounds: int, limit: float, bounds: Bounds, fast: bool) -> Iterator[KernelRow]:
    ours, theirs = passes(name.lower(), shape)
    sides = {"ours, default": with_default_products(ours), "theirs, default": with_default_products(theirs)}
    if fast:
        sides |= {"ours": ours, "theirs": theirs}
    times = interleaved(sides, rounds)
    both = times["ours, default"], times["theirs, default"]
    yield timed_row(f"{name} / nn.{name}, default products", shape, both, limit, bounds)
    if fast:
        yield timed_row(f"{name} / nn.{name}, oneDNN's products", shape, (times["ours"], times["theirs"]), limit, bounds)
        so = times["ours"], times["theirs, default"]
        yield timed_row(f"  {name} so / nn.{name} as it comes", shape, so, limit)
    if name == "GRU":
        yield from steps_compiled(shape, ours, rounds, limit)
        yield in_bf16("GRU in bf16 / fp32", shape, theirs, ours, rounds, 3)


def in_bf16(
    name: str, shape: Shape, side: Closure, against: Closure, rounds: int, gates: int, bounds: Bounds = (None, None)
) -> KernelRow:
    """`side` under autocast to bf16 over `against` in fp32."""
    times = interleaved({"bf16": autocast(side), "fp32": against}, rounds)
    return timed_row(name, shape, (times["bf16"], times["fp32"]), product_seconds(shape, gates, torch.bfloat16), bounds)


def steps_compiled(shape: Shape, side: Closure, rounds: int, limit: float) -> Iterator[KernelRow]:
    """What machine code saves of `side`, where it is in force."""

    def by_operations() -> None:
        compile_steps(False)
        try:
            side()
        finally:
            compile_steps(True)

    if compile_steps(True):
        times = interleaved({"compiled": side, "operations": by_operations}, rounds)
        both = times["compiled"], times["operations"]
        yield timed_row("  its steps as machine code / operations", shape, both, limit)


def bidirectional(shape: Shape, rounds: int) -> Iterator[KernelRow]:
    """A bidirectional LSTM of lengths from T / 2 to T, exact.

    Against the same without lengths, which reads padding and is wrong, and against the library's packed sequences.
    """
    T, B, H = shape
    lengths = torch.linspace(T // 2, T, B).long()
    ours, theirs = Stack(lambda size: MODELS["lstm"](size, H), H, bidirectional=True), nn.LSTM(H, H, bidirectional=True)
    x, weights = torch.randn(B, T, H), torch.randn(B, T, 2 * H)
    valid = (torch.arange(T) < lengths.unsqueeze(1)).unsqueeze(2)

    def packed() -> Tensor:
        y, _ = theirs(pack_padded_sequence(x.transpose(0, 1), lengths, enforce_sorted=False))
        return pad_packed_sequence(y, total_length=T)[0].transpose(0, 1)

    def trained(output: Callable[[], Tensor]) -> Closure:
        def one_pass() -> None:
            for parameter in (*ours.parameters(), *theirs.parameters()):
                parameter.grad = None
            (output() * weights).masked_fill(~valid, 0).sum().backward()

        return one_pass

    sides = {"exact": trained(lambda: ours(x, None, lengths)[0]), "padded": trained(lambda: ours(x)[0])}
    times = interleaved(sides, rounds)
    name, limit = "bidirectional LSTM with lengths", 2 * product_seconds(shape, 4)
    yield timed_row(f"{name} / padded", shape, (times["exact"], times["padded"]), limit, (1.15, 1.0))
    times = interleaved({"exact": sides["exact"], "packed": trained(packed)}, min(rounds, 3))
    yield timed_row(f"{name} / packed", shape, (times["exact"], times["packed"]), limit, (0.2, None))


# What is timed


def passes(name: str, shape: Shape, peepholes: bool = False) -> tuple[Closure, Closure]:
    """Forward and backward passes of one layer with I = H: our fused back end's and the library module's."""
    T, B, H = shape
    module = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}[name](H, H)
    weights = list(module.parameters())
    p = torch.zeros(3, H, requires_grad=True) if peepholes else None
    x, gy, zeros = torch.randn(T, B, H, requires_grad=True), torch.randn(T, B, H), torch.zeros(B, H)

    def forward() -> Tensor:
        if name == "lstm":
            return lstm(x, (zeros, zeros), *weights, peepholes=p, backend="fused")[0]
        function: Callable[..., tuple[Tensor, Any]] = rnn if name == "rnn" else gru
        return function(x, zeros, *weights, backend="fused")[0]

    def trained(output: Callable[[], Tensor]) -> Closure:
        def one_pass() -> None:
            for tensor in (x, *weights, *([] if p is None else [p])):
                tensor.grad = None
            y = output()
            y.backward(gy.to(y.dtype))

        return one_pass

    return trained(forward), trained(lambda: module(x)[0])


@contextmanager
def default_products() -> Iterator[None]:
    """Inside, fp32 products are PyTorch's default, whatever the process settings."""
    products: Any = getattr(torch.backends.mkldnn, "matmul", None)
    if products is None:  # PyTorch before 2.9
        yield
        return
    before, products.fp32_precision = products.fp32_precision, "none"
    try:
        yield
    finally:
        products.fp32_precision = before


def with_default_products(side: Closure) -> Closure:
    def run() -> None:
        with default_products():
            side()

    return run


def autocast(side: Closure) -> Closure:
    def run() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            side()

    return run


# How it is measured


def interleaved(sides: Mapping[str, Closure], rounds: int) -> dict[str, float]:
    """Median CPU seconds of each, taken in turn after two rounds to warm up, in which memory still grows."""
    return {name: statistics.median(taken) for name, taken in timed_rounds(sides, rounds).items()}


def timed_rounds(sides: Mapping[str, Closure], rounds: int) -> dict[str, list[float]]:
    """CPU seconds of each side in each round but the first two."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds + 2):
        for name, side in sides.items():
            start = time.process_time()
            side()
            times[name].append(time.process_time() - start)
    return {name: taken[2:] for name, taken in times.items()}


def compared(name: str, shape: Shape, ours: Closure, theirs: Closure, rounds: int, bounds: Bounds, times: int = 1) -> KernelRow:
    """The ratio of medians of two sides, each of which does `times` times what the row is about."""
    taken = timed_rounds({"ours": ours, "theirs": theirs}, rounds)
    own, other = (statistics.median(side) / times for side in taken.values())
    noise = noise_of([one / two for one, two in zip(*taken.values(), strict=True)])
    return KernelRow(name, shape, own / other, bounds, (own, other), noise=noise)


def fresh(shape: Shape, settled: bool) -> float:
    """Seconds of a pass of nn.LSTM in a process of its own, on one thread."""
    arguments = {"threads": 1} if settled else {"threads": 1, "allocator": False, "fast_matmul": False}
    code = (
        "import json, sys\n"
        "from rnnbench.benchmarks.kernels import interleaved, passes\n"
        "from rnnbench.run.process_settings import configure_process\n"
        "shape, arguments = json.loads(sys.argv[1]); configure_process(**arguments)\n"
        "print(interleaved({'lstm': passes('lstm', shape)[1]}, 7)['lstm'])"
    )
    command = [sys.executable, "-c", code, json.dumps([shape, arguments])]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def saved_bytes(side: Closure) -> int:
    """Bytes of the distinct tensors that the forward pass keeps for the backward pass, weights included."""
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        side()
    return sum(kept.values())


def product_seconds(shape: Shape, gates: int, dtype: torch.dtype = torch.float32) -> float:
    """Seconds that the products with W and R (gates * H, H) take on their own, in a forward and a backward pass."""
    (T, B, H), N = shape, gates * shape[2]
    return seconds_of_products(T, B, (N, H), [(N, H)], dtype)


def seconds_of_products(T: int, B: int, of_input: Size, of_steps: Iterable[Size], dtype: torch.dtype = torch.float32) -> float:
    """As `product_seconds`: one matrix (N, K) takes all inputs at once, the others have a product at every step."""
    seconds = sum(both_ways(T * B, of_input, dtype, 3)) + gradient_of_matrix(T * B, of_input, dtype)
    for size in of_steps:
        seconds += T * sum(both_ways(B, size, dtype, 50)) + gradient_of_matrix(T * B, size, dtype)
    return seconds


def both_ways(rows: int, size: Size, dtype: torch.dtype, times: int) -> tuple[float, float]:
    """Seconds of a Mᵀ, and of its gradient with respect to a."""
    N, K = size
    a, d, M = (torch.randn(*shape).to(dtype) for shape in ((rows, K), (rows, N), (N, K)))
    to_a, to_d = torch.empty_like(a), torch.empty_like(d)
    return fastest(lambda: torch.mm(a, M.t(), out=to_d), times), fastest(lambda: torch.mm(d, M, out=to_a), times)


def gradient_of_matrix(rows: int, size: Size, dtype: torch.dtype) -> float:
    N, K = size
    a, d = (torch.randn(rows, width).to(dtype) for width in (K, N))
    to_M = torch.empty(N, K, dtype=dtype)
    return fastest(lambda: torch.mm(d.t(), a, out=to_M), 3)


def fastest(product: Closure, times: int) -> float:
    """Seconds of one call, at the faster of the two ways to multiply."""

    def repeated() -> None:
        for _ in range(times):
            product()

    return min(interleaved({"fast": repeated, "plain": with_default_products(repeated)}, 3).values()) / times
