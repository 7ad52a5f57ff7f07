"""The vanilla recurrence, of any squashing function.

    h_t = φ(W x_t + b_i + R h_{t-1} + b_h)

φ is `relu`, `linear` (φ(a) = a) or one of the sigmoids, φ(a) = scale σ(gain a), less scale / 2 where it is centred at zero.
Its slope follows from the output y alone: φ'(a) = gain / scale (scale² / 4 - y²) if centred, and gain y (1 - y / scale) if not.

Source: Elman 1990, Finding structure in time; by hand after Werbos 1990, Backpropagation through time.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from .chunks import backwards, before, cached, chunks, earlier
from .lengths import arriving, check_shapes, cut_to_lengths, enter, outside, ragged
from .products import InputGradients, add_outer, adding, bias, biases, by_hand, read_input, stepping
from .recurrence import (
    Context,
    GradientSink,
    Request,
    choose_backend,
    finish_forward,
    library_is_faster,
    machine_code,
    only_once,
)


class Sigmoid(NamedTuple):
    """φ(a) = scale σ(gain a) - (scale / 2 if centred). The gain is a power of two: weights carry it without rounding."""

    gain: float
    scale: float
    centred: bool


class Straight(NamedTuple):
    """φ(a) = a, or max(0, a) where it is rectified."""

    rectified: bool


Activation = Sigmoid | Straight
ACTIVATIONS: dict[str, Activation] = {
    "tanh": Sigmoid(2, 2, True),
    "relu": Straight(rectified=True),
    "linear": Straight(rectified=False),
    "sigmoid": Sigmoid(1, 1, False),
    "sigmoid_4x": Sigmoid(4, 1, False),  # σ(4x): the slope of tanh
    "sigmoid_4x_centred": Sigmoid(4, 1, True),  # σ(4x) - ½: and its centre
    "half_tanh_2x": Sigmoid(4, 1, True),  # ½ tanh(2x), which is the same function
}
LIBRARY = {"tanh": torch.rnn_tanh, "relu": torch.rnn_relu}


def rnn(
    x: Tensor,
    h: Tensor,
    W: Tensor,
    R: Tensor,
    b_i: Tensor | None = None,
    b_h: Tensor | None = None,
    *,
    activation: str = "tanh",
    lengths: Tensor | None = None,
    backend: str = "auto",
    sink: GradientSink | None = None,
) -> tuple[Tensor, Tensor]:
    """(y (T, B, H), h (B, H) after each row's last valid step) from x (T, B, I) and the initial state h (B, H).

    W (H, I), R (H, H), b_i and b_h (H) or None. `lengths` (B,) counts valid steps; y is zero at padding.
    `backend` is auto, library or fused; `sink` receives the norms of ∂L/∂h_t from the fused one.
    Raises ValueError for an unknown activation or back end, one that cannot do what is asked for, and other shapes.
    """
    if activation not in ACTIVATIONS:
        raise ValueError(f"no activation {activation!r}; there are: {', '.join(ACTIVATIONS)}")
    (T, B, inputs), H = x.shape, len(R)
    check_shapes(W=(W, (H, inputs)), R=(R, (H, H)), b_i=(b_i, (H,)), b_h=(b_h, (H,)), h=(h, (B, H)), lengths=(lengths, (B,)))
    lengths = ragged(lengths, T)
    x = enter(x, R, lengths)
    if choose_backend(backend, activation in LIBRARY, library_is_faster(x, R), sink) == "library":
        return library_rnn(x, h, W, R, b_i, b_h, activation, lengths)
    fused = RNNSequence if by_hand(machine_code(x), B, R, W) else FusedRNN
    request = Request(lengths, torch.is_grad_enabled(), sink, machine_code(x))
    return fused.apply(x, h.to(R.dtype), W.contiguous(), R.contiguous(), bias(R, b_i, b_h), ACTIVATIONS[activation], request)


def library_rnn(
    x: Tensor, h: Tensor, W: Tensor, R: Tensor, b_i: Tensor | None, b_h: Tensor | None, activation: str, lengths: Tensor | None
) -> tuple[Tensor, Tensor]:
    weights = (W, R, *biases(R, b_i, b_h))
    y, h_T = LIBRARY[activation](x, h.unsqueeze(0), weights, True, 1, 0.0, torch.is_grad_enabled(), False, False)
    return (y, h_T[0]) if lengths is None else cut_to_lengths(y, h, lengths)


class ActivationContext(Context, Protocol):
    activation: Activation


class FusedRNN(torch.autograd.Function):
    """h_t = φ(W x_t + b + R h_{t-1}); for the conventions see `recurrence`."""

    @staticmethod
    def forward(
        ctx: ActivationContext, x: Tensor, h: Tensor, W: Tensor, R: Tensor, b: Tensor, activation: Activation, request: Request
    ) -> tuple[Tensor, Tensor]:
        (T, B, _), H = x.shape, len(R)
        gain, scale, centred = activation if isinstance(activation, Sigmoid) else (1, 1, False)
        W_t, R_t, b = W.t() * gain, R.t() * gain, b * gain
        centre = x.new_full((B, H), -scale / 2)
        hs = x.new_empty(T + 1, B, H)
        hs[0] = h
        h, add_product = hs[0], adding(R_t, B, T)
        for start, stop in chunks(T, B, 1, x):
            a = hs[start + 1 : stop + 1]
            read_input(x[start:stop], W_t, b, out=a)
            with stepping(R, B):
                for h_t in a.unbind(0):
                    add_product(h_t, h, h_t)
                    if isinstance(activation, Straight):
                        if activation.rectified:
                            h_t.relu_()
                    else:
                        h_t.sigmoid_()
                        if centred:
                            torch.add(centre, h_t, alpha=scale, out=h_t)
                    h = h_t
        ctx.activation = activation
        return finish_forward(ctx, request, hs, x, W, R, hs)

    @staticmethod
    @only_once
    def backward(ctx: ActivationContext, gy: Tensor, gh: Tensor) -> tuple[Tensor | None, ...]:
        x, W, R, hs, lengths = ctx.saved_tensors
        T, B, H = gy.shape
        gy, dh, g0 = outside(gy, gh, lengths)
        of_input, dR = InputGradients(x, W, ctx.needs_input_grad[0]), torch.zeros_like(R)
        sink = ctx.request.sink
        norms = None if sink is None else gy.new_empty(T)
        pieces, add_product = chunks(T, B, 1, x), adding(R, B, T)
        every_total = gy.new_empty(pieces[0][1], B, H)  # ∂L/∂h_t
        for start, stop in reversed(pieces):
            d, totals = slope(hs[start + 1 : stop + 1], ctx.activation), every_total[: stop - start]
            totals[-1] = dh
            with stepping(R, B):
                for (d_t, total), total_before, g in zip(
                    backwards(d, totals), earlier(totals, dh), before(gy, g0, start, stop), strict=True
                ):
                    d_t.mul_(total)  # ∂L/∂a_t
                    add_product(g, d_t, total_before)
            if norms is not None:
                torch.linalg.vector_norm(totals, dim=(1, 2), out=norms[start:stop])
            of_input.add(d, start, stop)
            add_outer(dR, d, hs[start:stop])
        if sink is not None:
            sink.h = norms
        return of_input.dx, dh, of_input.dW, dR, of_input.db, None, None


class RNNSequence(torch.autograd.Function):
    """As `FusedRNN`, where products are small: a sequence as one call of machine code, by the request's kernels.

        rnn_forward_whole(flags, factors, x, W_t, b, R_t, hs, product)
        rnn_backward_whole(steps, flags, factors, gy, x, W, R, hs, product, dh, d, norms, dx, dW, dR, db)

    hs (T + 1, B, H) is written from its second row on; product (B, H) is room for one, and backward ∂L/∂h of the last state,
    which becomes that of the initial one; dh (B, H) and d (steps, B, H) are room for ∂L/∂h_t and for ∂L/∂a of a chunk. norms
    (T), if it has any, becomes ‖∂L/∂h_t‖; dx is set, if it has steps; dW, dR and db are added to.
    """

    @staticmethod
    def forward(
        ctx: ActivationContext, x: Tensor, h: Tensor, W: Tensor, R: Tensor, b: Tensor, activation: Activation, request: Request
    ) -> tuple[Tensor, Tensor]:
        (T, B, _), H, kernel = x.shape, len(R), request.kernel
        assert kernel is not None
        gain = activation.gain if isinstance(activation, Sigmoid) else 1
        hs, factors = x.new_empty(T + 1, B, H), activation_factors(activation, x)
        hs[0] = h
        matrices = (W.t() * gain).contiguous(), b * gain, (R.t() * gain).contiguous()
        kernel.rnn_forward_whole(*factors, x, *matrices, hs, x.new_empty(B, H))
        ctx.activation = activation
        return finish_forward(ctx, request, hs, x, W, R, hs)

    @staticmethod
    @only_once
    def backward(ctx: ActivationContext, gy: Tensor, gh: Tensor) -> tuple[Tensor | None, ...]:
        x, W, R, hs, lengths = ctx.saved_tensors
        (T, B, H), sink, kernel = gy.shape, ctx.request.sink, ctx.request.kernel
        assert kernel is not None
        gy, product, g0 = arriving(gy, gh, lengths)
        steps, factors = cached(T, B, H), activation_factors(ctx.activation, x)
        dh, d, norms = gy.new_empty(B, H), gy.new_empty(steps, B, H), gy.new_empty(0 if sink is None else T)
        dx = torch.empty_like(x) if ctx.needs_input_grad[0] else x[:0]
        dW, dR, db = torch.zeros_like(W), torch.zeros_like(R), gy.new_zeros(H)
        kernel.rnn_backward_whole(steps, *factors, gy, x, W, R, hs, product, dh, d, norms, dx, dW, dR, db)
        if sink is not None:
            sink.h = norms
        return dx if ctx.needs_input_grad[0] else None, product + g0, dW, dR, db, None, None


def activation_factors(activation: Activation, like: Tensor) -> tuple[tuple[bool | None, ...], Tensor]:
    """φ as machine code takes it: whether it squashes and rectifies, None for no; and (5) numbers.

    These are scale and centre in φ(a) = scale σ(gain a) + centre, and u, v, w in φ' = u + v y + w y².
    """
    if isinstance(activation, Straight):
        return (None, activation.rectified or None), like.new_tensor([1, 0, 1, 0, 0])
    gain, scale, centred = activation
    u, v = (gain * scale / 4, 0) if centred else (0, gain)
    return (True, None), like.new_tensor([scale, -scale / 2 if centred else 0, u, v, -gain / scale])


def slope(y: Tensor, activation: Activation) -> Tensor:
    """φ'(a), from y = φ(a)."""
    if isinstance(activation, Straight):
        return (y > 0).to(y.dtype) if activation.rectified else torch.ones_like(y)
    gain, scale, centred = activation
    return torch.addcmul(y.new_tensor(gain * scale / 4) if centred else gain * y, y, y, value=-gain / scale)
