"""The vanilla recurrent network.

    h_t = phi(W x_t + b_i + R h_{t-1} + b_h)        phi = tanh or relu

The named setting `irnn` is phi = relu with R the identity (Le, Jaitly & Hinton 2015, arXiv:1504.00941).

Source: Elman 1990, Finding structure in time.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from rnnbench.options import AboveZero, Positive

from .initial import fill
from .mechanism import Mechanism, State, at_last


class RNN(Mechanism):
    version = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: Positive = 128,  # units
        nonlinearity: Literal["tanh", "relu"] = "tanh",  # phi
        recurrent_init: Literal["uniform", "orthogonal", "identity", "glorot"] = "uniform",  # of R
        input_init: Literal["uniform", "glorot", "small"] = "uniform",  # of W
        gain: AboveZero = 1.0,  # factor on the initial R
        zero_bias: bool = False,  # biases start at zero instead of as the weights do
    ):
        super().__init__()
        self.input_size, self.output_size, self.nonlinearity = input_size, hidden_size, nonlinearity
        self.W = nn.Parameter(torch.empty(hidden_size, input_size))
        self.R = nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.b_i = nn.Parameter(torch.zeros(hidden_size))
        self.b_h = nn.Parameter(torch.zeros(hidden_size))
        fill(self.W, input_init)
        fill(self.R, recurrent_init, gain)
        if not zero_bias:
            bound = hidden_size**-0.5
            nn.init.uniform_(self.b_i, -bound, bound)
            nn.init.uniform_(self.b_h, -bound, bound)

    def initial_state(self, batch_size: int) -> Tensor:
        return self.R.new_zeros(batch_size, self.output_size)

    def forward(self, x: Tensor, state: State | None = None, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        h = self.initial_state(len(x)) if state is None else state
        layer = torch.rnn_tanh if self.nonlinearity == "tanh" else torch.rnn_relu
        weights = (self.W, self.R, self.b_i, self.b_h)
        y, _ = layer(x, h.unsqueeze(0), weights, True, 1, 0.0, self.training, False, True)
        return y, at_last(y, lengths)
