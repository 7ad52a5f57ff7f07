"""What is measured of a network while it trains: norms of gradients, speed, memory."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from .models.mechanism import leaves
from .models.stack import Stack


def layers(network: nn.Module) -> dict[str, list[nn.Parameter]]:
    """The trained parameters by the module that owns them: `core.layers.0.0`, `readout`."""
    found: dict[str, list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            found.setdefault(name.rpartition(".")[0], []).append(parameter)
    return found


def gradient_norm(parameters: Iterable[nn.Parameter]) -> Tensor:
    """The 2-norm of all gradients together, a scalar on their device; parameters without one count as zero."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not gradients:
        return torch.zeros(())
    return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))


def gradient_norms(network: nn.Module) -> dict[str, float]:
    """The 2-norm of each layer's gradient. One synchronisation with the device for all of them."""
    by_layer = layers(network)
    norms = torch.stack([gradient_norm(parameters) for parameters in by_layer.values()]).tolist()
    return dict(zip(by_layer, norms, strict=True))


def state_size(network: Any) -> int:
    """Numbers that a row carries from step to step: of the core, or of the reader and the writer together."""
    cores = [module for module in network.children() if isinstance(module, Stack)]
    return sum(leaf.numel() for core in cores for leaf in leaves(core.initial_state(1)))


def multiply_adds(network: nn.Module) -> int:
    """Products a token: every weight matrix but an embedding table is used once a step.

    Pointwise work is not counted, nor what grows with the length (attention); a read-out that answers once is counted too.
    """
    tables = {id(module.weight) for module in network.modules() if isinstance(module, nn.Embedding)}
    return sum(p.numel() for p in network.parameters() if p.dim() > 1 and id(p) not in tables)


def peak_memory(device: torch.device) -> int:
    """Bytes: the most that this process has held so far, on the GPU if it trains there."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, Linux KiB
