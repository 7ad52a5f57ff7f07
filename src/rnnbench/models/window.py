"""States that are a window: the last steps of what a layer without recurrence has read."""

from __future__ import annotations

import torch
from torch import Tensor


def extended(window: Tensor, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
    """((B, P + T, D) the window (B, P, D) and then x (B, T, D); the P steps that end at each row's last valid one)."""
    whole = torch.cat([window.to(x.dtype), x], 1)
    size = window.shape[1]
    if lengths is None:
        return whole, whole[:, x.shape[1] :]
    index = lengths.unsqueeze(1) + torch.arange(size, device=x.device)
    return whole, whole.gather(1, index.unsqueeze(-1).expand(-1, -1, x.shape[2]))
