"""What a network costs: numbers of its state, multiplications a token, memory of the process."""

from __future__ import annotations

import contextlib
import resource
import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn.utils.parametrize import ParametrizationList

from ..models.mechanism import leaves
from ..models.stack import Stack
from .instruments import recurrent_cores


def state_size(network: nn.Module) -> int:
    """Numbers that a row carries from step to step: of the core, or of the reader and the writer together."""
    states = (leaf for core in recurrent_cores(network).values() for leaf in leaves(core.initial_state(1)))
    return sum(leaf.numel() for leaf in states if leaf.is_floating_point())


def multiply_adds(network: nn.Module) -> int:
    """Products a token: every weight matrix is used once a step, one that both directions share twice.

    Not counted: looking up an embedding, pointwise work (peepholes, gains), and what grows with the length (attention). A
    read-out that answers once is counted.
    """
    directions = {  # of tied directions one cell is called for each
        id(part): stack.directions // len(layer)
        for stack in network.modules()
        if isinstance(stack, Stack)
        for layer in stack.layers
        for part in layer.modules()
    }
    return sum(directions.get(id(part), 1) * _products(part) for part in network.modules())


def _products(module: nn.Module) -> int:
    """Multiplications of a token with the matrices that `module` itself holds."""
    if isinstance(module, nn.Embedding):
        return 0
    if isinstance(module, ParametrizationList):  # a gain and a direction; the matrix is what both make
        return int(module().numel())
    pointwise = getattr(module, "pointwise", ())
    owned = module.named_parameters(recurse=False)
    return sum(p.numel() for name, p in owned if p.dim() > 1 and name not in pointwise)


def forget_peak() -> None:
    """Lets `peak_memory` begin anew, where the system can: a process may run one job after another."""
    if torch.cuda.is_initialized():
        torch.cuda.reset_peak_memory_stats()
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


def peak_memory(device: torch.device) -> int:
    """Bytes: the most that this process has held since `forget_peak`, on the GPU if it trains there."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    with contextlib.suppress(OSError):
        _, found, rest = Path("/proc/self/status").read_bytes().partition(b"VmHWM:")
        if found:
            return int(rest.split(maxsplit=1)[0]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, Linux KiB
