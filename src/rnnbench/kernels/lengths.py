"""Shapes, and rows of different lengths: what a recurrence reads, gives and receives at padding and each row's last step."""

from __future__ import annotations

import torch
from torch import Tensor


def check_shapes(**named: tuple[Tensor | None, tuple[int, ...]]) -> None:
    """Raises ValueError where a tensor has not the shape beside it: machine code would read memory of others."""
    for name, (tensor, shape) in named.items():
        if tensor is not None and tensor.shape != shape:
            raise ValueError(f"{name} has the shape {tuple(tensor.shape)}; expected {shape}")


def ragged(lengths: Tensor | None, steps: int) -> Tensor | None:
    """`lengths` where some row ends early, else None. On a GPU always `lengths`: to look would wait for the device."""
    if lengths is None or (lengths.device.type == "cpu" and bool((lengths >= steps).all())):
        return None
    return lengths


def shortest(lengths: Tensor, steps: int) -> int:
    """Steps before the first row ends. 0 on a GPU, where to look would wait for the device, and where a program is recorded."""
    recorded = torch.jit.is_tracing() or torch.compiler.is_compiling()
    if recorded or not len(lengths) or lengths.device.type != "cpu":
        return 0
    return int(lengths.clamp(0, steps).min())


def enter(x: Tensor, R: Tensor, lengths: Tensor | None) -> Tensor:
    """x as a recurrence reads it: of R's type, and zero at padding."""
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


def outputs(hs: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
    """(y (T, B, H), the final state (B, H)) from all states hs (T + 1, B, H), of which padding becomes zero in place."""
    h_T = final(hs, lengths)
    if lengths is not None:
        hs[1:].masked_fill_(padding(lengths, len(hs) - 1), 0)
    return hs[1:], h_T


def cut_to_lengths(y: Tensor, h: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """(y with zeros at padding, the final state (B, H)) from outputs y (T, B, H) that went on, and the initial h (B, H)."""
    return y.masked_fill(padding(lengths, len(y)), 0), final(torch.cat([h.unsqueeze(0).to(y.dtype), y]), lengths)


def arriving(gy: Tensor, gh: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients at the states from outside: (gy (T, B, H) row by row, at the final state, at the initial state).

    As `outside`, with the final state's gradient apart from gy where no row ends early.
    """
    if lengths is None:
        return gy.contiguous(), gh.clone(memory_format=torch.contiguous_format), torch.zeros_like(gh)
    gy, _, g0 = outside(gy, gh, lengths)
    return gy.contiguous(), torch.zeros_like(gh, memory_format=torch.contiguous_format), g0


def outside(gy: Tensor, gh: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients at the states from outside the recurrence: (gy (T, B, H), at the last step, at the initial state).

    The final state's gradient gh joins the step that made that state; gradients at padding are dropped.
    """
    if lengths is None:
        return gy, gy[-1] + gh, torch.zeros_like(gh)
    gy = gy.masked_fill(padding(lengths, len(gy)), 0)
    gy.addcmul_(last(lengths, len(gy), gy), gh)
    return gy, gy[-1].clone(), gh * (lengths == 0).unsqueeze(1)
