"""What every job's process is set to before it computes: allocator, threads, matrix products, machine code.

These settings of the process weigh more than any kernel on a CPU. None changes what is computed; matrix products and
machine code differ in rounding only, so what was set belongs in the record of a run.
"""

from __future__ import annotations

import ctypes
import platform
from pathlib import Path
from typing import Any

import torch

from ..kernels.recurrence import compile_steps

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1  # glibc's M_MMAP_THRESHOLD and M_TRIM_THRESHOLD, <malloc.h>


def configure_process(
    threads: int = 1, allocator: bool = True, fast_matmul: bool = True, compiled: bool = True
) -> dict[str, Any]:
    """Sets this process up and returns what is in force, by the names of the arguments.

    threads: of PyTorch inside this process, 0 for its own choice. A recurrence is a chain of small products: a second
        thread gains less than a second process does, and waits at every step for a neighbour on the same core.
    allocator: keep freed memory instead of returning it to the system. The buffers of a backward pass are
        otherwise mapped, and each of their pages faulted in, again at every training step. glibc only.
    fast_matmul: fp32 products by oneDNN where MKL runs at half the processor's speed. The result stays fp32, which
        is checked here; without that, or where switched off, products are PyTorch's default.
    compiled: recurrences as machine code by Numba, where that is installed (the extra `compiled`): what a step does
        besides its product is one pass through memory in place of ten; of small matrices, a sequence is one call.
        Numba's own NUMBA_DISABLE_JIT=1 switches it off, too.
    """
    if threads:
        torch.set_num_threads(threads)
    return {
        "threads": torch.get_num_threads(),
        "allocator": allocator and _keep_freed_memory(),
        "fast_matmul": _choose_matmul(fast_matmul),
        "compiled": compile_steps(compiled),
    }


def _keep_freed_memory() -> bool:
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    # Both or none: either call alone ends glibc's own adaptation of the other threshold, and is slower than nothing.
    return bool(mallopt(MMAP_THRESHOLD, 1 << 30)) and bool(mallopt(TRIM_THRESHOLD, (1 << 31) - 1))


def _choose_matmul(fast: bool) -> bool:
    products = getattr(torch.backends.mkldnn, "matmul", None)  # PyTorch 2.9 and later
    if products is None:
        return False
    # "bf16" allows bf16, and thereby hands fp32 products to oneDNN; a processor that has no bf16 tiles keeps fp32.
    products.fp32_precision = "bf16" if fast and _mkl_is_slow() else "none"
    if products.fp32_precision == "bf16" and not _matmul_is_fp32():
        products.fp32_precision = "none"
    return bool(products.fp32_precision == "bf16")


def _mkl_is_slow() -> bool:
    """Whether this is an x86 processor not of Intel's make, without the tiles on which oneDNN would round to bf16."""
    cpuinfo = Path("/proc/cpuinfo")
    if platform.machine() != "x86_64" or not cpuinfo.exists() or not torch.backends.mkldnn.is_available():
        return False
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return "GenuineIntel" not in cpuinfo.read_text() and not capabilities.get("amx_bf16", True)


def _matmul_is_fp32(size: int = 256, tolerance: float = 1e-6) -> bool:
    generator = torch.Generator().manual_seed(0)  # its own: the stream of the job is not touched
    a, b = torch.rand(2, size, size, generator=generator, dtype=torch.float64).float()
    exact = a.double() @ b.double()
    return bool(((a @ b).double() - exact).abs().max() < tolerance * exact.abs().max())
