"""The gated recurrent unit, with the reset gate after or before the product.

    r = σ(W_r x_t + b_r + R_r h_{t-1})
    z = σ(W_z x_t + b_z + R_z h_{t-1})
    n = tanh(W_n x_t + b_n + r * (R_n h_{t-1} + b_hn))      after the product (the library's form)
    n = tanh(W_n x_t + b_n + R_n (r * h_{t-1}))             before it; here b_hn joins b_n
    h_t = (1 - z) * n + z * h_{t-1}

Rows of W, R and the biases stand in the order r, z, n. z keeps the old state; in Cho et al. it stands for 1 - z in some
equations and z in others, which changes names, not the function.

Source: Cho et al. 2014, arXiv:1406.1078, reset before the product (its first version); after: Chung et al. 2014 and cuDNN.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .gru_reset_after import ResetAfter
from .gru_reset_before import ResetBefore
from .gru_sequence import GRUBeforeSequence, GRUSequence
from .gru_steps import GRUSteps
from .lengths import check_shapes, cut_to_lengths, enter, ragged
from .products import biases, by_hand
from .recurrence import GradientSink, Request, choose_backend, library_is_faster, machine_code

# By `reset`: with machine code where products are small, with it elsewhere, and without it.
FUSED: dict[str, tuple[type[torch.autograd.Function], ...]] = {
    "after": (GRUSequence, GRUSteps, ResetAfter),
    "before": (GRUBeforeSequence, ResetBefore, ResetBefore),
}


def gru(
    x: Tensor,
    h: Tensor,
    W: Tensor,
    R: Tensor,
    b_i: Tensor | None = None,
    b_h: Tensor | None = None,
    *,
    reset: str = "after",
    lengths: Tensor | None = None,
    backend: str = "auto",
    sink: GradientSink | None = None,
) -> tuple[Tensor, Tensor]:
    """(y (T, B, H), h (B, H) after each row's last valid step) from x (T, B, I) and the initial state h (B, H).

    W (3H, I), R (3H, H), b_i and b_h (3H) or None. `lengths` (B,) counts valid steps; y is zero at padding.
    `reset` is after or before the product; `backend` is auto, library or fused; `sink` receives the norms of ∂L/∂h_t from
    the fused one. Raises ValueError for an unknown form or back end, one that cannot do what is asked for, and
    other shapes.
    """
    if reset not in FUSED:
        raise ValueError(f"no reset {reset!r}; there are: {', '.join(FUSED)}")
    (T, B, inputs), H = x.shape, R.shape[1]
    vectors = {"b_i": (b_i, (3 * H,)), "b_h": (b_h, (3 * H,)), "h": (h, (B, H)), "lengths": (lengths, (B,))}
    check_shapes(W=(W, (3 * H, inputs)), R=(R, (3 * H, H)), **vectors)
    lengths = ragged(lengths, T)
    x = enter(x, R, lengths)
    b_i, b_h = biases(R, b_i, b_h)
    if choose_backend(backend, reset == "after", library_is_faster(x, R), sink) == "library":
        return library_gru(x, h, W, R, b_i, b_h, lengths)
    kernel = machine_code(x)
    small, in_steps, in_operations = FUSED[reset]
    if by_hand(kernel, B, R, W):
        fused, W, R = small, W.contiguous(), R.contiguous()
    else:
        fused = in_operations if kernel is None else in_steps
    return fused.apply(x, h.to(R.dtype), W, R, b_i, b_h, Request(lengths, torch.is_grad_enabled(), sink, kernel))


def library_gru(
    x: Tensor, h: Tensor, W: Tensor, R: Tensor, b_i: Tensor, b_h: Tensor, lengths: Tensor | None
) -> tuple[Tensor, Tensor]:
    y, h_T = torch.gru(x, h.unsqueeze(0), (W, R, b_i, b_h), True, 1, 0.0, torch.is_grad_enabled(), False, False)
    return (y, h_T[0]) if lengths is None else cut_to_lengths(y, h, lengths)
