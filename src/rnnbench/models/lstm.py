"""Long short-term memory with a forget gate.

    i = sigmoid(W_i x_t + R_i h_{t-1} + b_i)
    f = sigmoid(W_f x_t + R_f h_{t-1} + b_f)
    g = tanh(W_g x_t + R_g h_{t-1} + b_g)
    o = sigmoid(W_o x_t + R_o h_{t-1} + b_o)
    c_t = f * c_{t-1} + i * g
    h_t = o * tanh(c_t)

Rows of W, R and the two biases stand in the order i, f, g, o. The forget gate starts at bias `forget_bias`
in all (the two biases of the library add up; the second starts at zero there).

Source: Hochreiter & Schmidhuber 1997; the forget gate: Gers, Schmidhuber & Cummins 2000; its bias: Jozefowicz et al. 2015.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from rnnbench.options import Positive

from .initial import fill
from .mechanism import Mechanism, State, at_last

SATURATED = 1e4  # a gate's pre-activation whose sigmoid is exactly 0 or 1


class LSTM(Mechanism):
    version = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: Positive = 128,  # units
        forget_bias: float = 1.0,  # initial bias of the forget gate
        recurrent_init: Literal["uniform", "orthogonal", "glorot"] = "uniform",  # of each gate's R
    ):
        super().__init__()
        self.input_size, self.output_size = input_size, hidden_size
        self.W, self.R, self.b_i, self.b_h = lstm_weights(input_size, hidden_size, forget_bias, recurrent_init)

    def initial_state(self, batch_size: int) -> tuple[Tensor, Tensor]:
        zeros = self.R.new_zeros(batch_size, self.output_size)
        return zeros, zeros

    def forward(self, x: Tensor, state: State | None = None, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        h, c = self.initial_state(len(x)) if state is None else state
        W: Tensor = self.W
        if lengths is not None and bool((lengths < x.shape[1]).any()):
            # At padding the gates are shut: f = 1 and i = 0 carry c through unchanged, and the fused call stays usable.
            padding = torch.arange(x.shape[1], device=x.device) >= lengths.unsqueeze(1)
            x = torch.cat([x, padding.unsqueeze(-1).to(x.dtype)], -1)
            shut = W.new_tensor([-SATURATED, SATURATED, 0, 0]).repeat_interleave(self.output_size)
            W = torch.cat([W, shut.unsqueeze(1)], 1)
        weights = (W, self.R, self.b_i, self.b_h)
        y, _, c = torch.lstm(x, (h.unsqueeze(0), c.unsqueeze(0)), weights, True, 1, 0.0, self.training, False, True)
        return y, (at_last(y, lengths), c[0])


def lstm_weights(input_size: int, hidden_size: int, forget_bias: float, recurrent_init: str) -> list[nn.Parameter]:
    """W (4H, I), R (4H, H), b_i and b_h (4H), filled; the order of rows is i, f, g, o."""
    W = torch.empty(4 * hidden_size, input_size)
    R = torch.empty(4 * hidden_size, hidden_size)
    fill(W, "uniform", gates=4)
    fill(R, recurrent_init, gates=4)
    bound = hidden_size**-0.5
    b_i, b_h = (torch.empty(4 * hidden_size).uniform_(-bound, bound) for _ in range(2))
    b_i[hidden_size : 2 * hidden_size] = forget_bias
    b_h[hidden_size : 2 * hidden_size] = 0
    return [nn.Parameter(weight) for weight in (W, R, b_i, b_h)]
