"""The linear recurrence h_t = a_t * h_{t-1} + b_t, over all steps at once.

Written in linear space: (a_2, b_2) after (a_1, b_1) is (a_2 a_1, a_2 b_1 + b_2), so log2 T rounds, each reaching twice as far
back, make every state (Hillis & Steele 1986). On a CPU a loop of one fused operation a step does less work and is faster.
The gradient is the same recurrence backward in time, δ_t = ∂L/∂h_t = ∂L/∂y_t + a_{t+1} * δ_{t+1}, so the total gradient of
every state is at hand.

Source: Hillis & Steele 1986, Data parallel algorithms; Martin & Cundy 2018, arXiv:1709.04057.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..kernels.recurrence import Context, GradientSink


def scan(
    a: Tensor, b: Tensor, h: Tensor, lengths: Tensor | None = None, backend: str = "auto", sink: GradientSink | None = None
) -> tuple[Tensor, Tensor]:
    """(all states (T, B, H), h (B, H) after each row's last valid step) from a, b (T, B, H) and the initial h (B, H).

    `backend` is doubling, loop, or auto: doubling on a GPU. `sink` receives the norms of ∂L/∂h_t.
    Raises ValueError for another back end.
    """
    if backend not in ("auto", "doubling", "loop"):
        raise ValueError(f"no back end {backend!r}; there are: auto, doubling, loop")
    ended = None
    if lengths is not None:  # a row that has ended keeps its state
        ended = torch.arange(len(a), device=a.device).view(-1, 1, 1) >= lengths.view(1, -1, 1)
        a, b = a.masked_fill(ended, 1), b.masked_fill(ended, 0)
    doubling = backend == "doubling" or (backend == "auto" and a.is_cuda)
    states = Scan.apply(a, b, h.to(b.dtype), ended, doubling, sink)
    return states, states[-1]


class ScanContext(Context, Protocol):
    doubling: bool
    sink: GradientSink | None


class Scan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: ScanContext, a: Tensor, b: Tensor, h: Tensor, ended: Tensor | None, doubling: bool, sink: GradientSink | None
    ) -> Tensor:
        states = (by_doubling if doubling else by_steps)(a, b, h)
        ctx.save_for_backward(a, h, states, ended)
        ctx.doubling, ctx.sink = doubling, sink
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: ScanContext, gy: Tensor) -> tuple[Tensor | None, ...]:
        a, h, states, ended = ctx.saved_tensors
        later = torch.cat([a[1:], torch.zeros_like(a[:1])]).flip(0)  # what carries a gradient one step back
        totals = (by_doubling if ctx.doubling else by_steps)(later, gy.flip(0), torch.zeros_like(h)).flip(0)
        if ctx.sink is not None:
            valid = totals if ended is None else totals.masked_fill(ended, 0)
            ctx.sink.h = torch.linalg.vector_norm(valid, dim=(1, 2))
        da = totals * torch.cat([h.unsqueeze(0), states[:-1]])
        return da, totals, a[0] * totals[0], None, None, None


def by_steps(a: Tensor, b: Tensor, h: Tensor) -> Tensor:
    states = torch.empty_like(b)
    for a_t, b_t, h_t in zip(a.unbind(0), b.unbind(0), states.unbind(0), strict=True):
        torch.addcmul(b_t, a_t, h, out=h_t)
        h = h_t
    return states


def by_doubling(a: Tensor, b: Tensor, h: Tensor) -> Tensor:
    states, a, reach = b.clone(), a.clone(), 1
    states[0].addcmul_(a[0], h)
    while reach < len(b):
        states[reach:] += a[reach:] * states[:-reach]
        a[reach:] = a[reach:] * a[:-reach]
        reach *= 2
    return states
