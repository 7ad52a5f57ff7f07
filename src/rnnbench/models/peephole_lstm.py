"""LSTM whose gates see the cell, through diagonal weights.

    i = sigmoid(W_i x_t + R_i h_{t-1} + p_i * c_{t-1} + b_i)
    f = sigmoid(W_f x_t + R_f h_{t-1} + p_f * c_{t-1} + b_f)
    g = tanh(W_g x_t + R_g h_{t-1} + b_g)
    c_t = f * c_{t-1} + i * g
    o = sigmoid(W_o x_t + R_o h_{t-1} + p_o * c_t + b_o)      the output gate sees the new cell
    h_t = o * tanh(c_t)

Rows of W, R and the biases stand in the order i, f, g, o; those of p in the order i, f, o.

Source: Gers, Schraudolph & Schmidhuber 2002, Learning precise timing with LSTM recurrent networks.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from rnnbench.options import Positive

from .lstm import lstm_weights
from .mechanism import Mechanism, State


class PeepholeLSTM(Mechanism):
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
        bound = hidden_size**-0.5
        self.p = nn.Parameter(torch.empty(3, hidden_size).uniform_(-bound, bound))

    def initial_state(self, batch_size: int) -> tuple[Tensor, Tensor]:
        zeros = self.R.new_zeros(batch_size, self.output_size)
        return zeros, zeros

    def forward(self, x: Tensor, state: State | None = None, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        h, c = self.initial_state(len(x)) if state is None else state
        p_i, p_f, p_o = self.p
        projected = x @ self.W.t() + (self.b_i + self.b_h)
        outputs = []
        for t in range(x.shape[1]):
            old_h, old_c = h, c
            i, f, g, o = torch.addmm(projected[:, t], h, self.R.t()).chunk(4, 1)
            i = torch.sigmoid(i + p_i * c)
            f = torch.sigmoid(f + p_f * c)
            c = f * c + i * torch.tanh(g)
            o = torch.sigmoid(o + p_o * c)
            h = o * torch.tanh(c)
            outputs.append(h)
            if lengths is not None:
                valid = (t < lengths).unsqueeze(1)
                h, c = torch.where(valid, h, old_h), torch.where(valid, c, old_c)
        return torch.stack(outputs, 1), (h, c)
