"""The gated recurrent unit, in the library's form: the reset gate acts after the product.

    r = sigmoid(W_r x_t + b_ir + R_r h_{t-1} + b_hr)
    z = sigmoid(W_z x_t + b_iz + R_z h_{t-1} + b_hz)
    n = tanh(W_n x_t + b_in + r * (R_n h_{t-1} + b_hn))
    h_t = (1 - z) * n + z * h_{t-1}                          z keeps the old state

Rows of W and R stand in the order r, z, n. Other texts write z for what takes the new state: 1 - z here.

Source: Cho et al. 2014, arXiv:1406.1078.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from rnnbench.options import Positive

from .initial import fill
from .mechanism import Mechanism, State, at_last


class GRU(Mechanism):
    version = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: Positive = 128,  # units
        recurrent_init: Literal["uniform", "orthogonal", "glorot"] = "uniform",  # of each gate's R
        update_bias: float = 0.0,  # added to the initial bias of z: the larger, the longer the memory
    ):
        super().__init__()
        self.input_size, self.output_size = input_size, hidden_size
        self.W = nn.Parameter(torch.empty(3 * hidden_size, input_size))
        self.R = nn.Parameter(torch.empty(3 * hidden_size, hidden_size))
        self.b_i = nn.Parameter(torch.empty(3 * hidden_size))
        self.b_h = nn.Parameter(torch.empty(3 * hidden_size))
        fill(self.W, "uniform", gates=3)
        fill(self.R, recurrent_init, gates=3)
        bound = hidden_size**-0.5
        for bias in (self.b_i, self.b_h):
            nn.init.uniform_(bias, -bound, bound)
        with torch.no_grad():
            self.b_i[hidden_size : 2 * hidden_size] += update_bias

    def initial_state(self, batch_size: int) -> Tensor:
        return self.R.new_zeros(batch_size, self.output_size)

    def forward(self, x: Tensor, state: State | None = None, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        h = self.initial_state(len(x)) if state is None else state
        weights = (self.W, self.R, self.b_i, self.b_h)
        y, _ = torch.gru(x, h.unsqueeze(0), weights, True, 1, 0.0, self.training, False, True)
        return y, at_last(y, lengths)
