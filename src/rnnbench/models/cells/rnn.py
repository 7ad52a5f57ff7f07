"""Vanilla recurrent network, tanh by default.

    h_t = φ(W x_t + b_i + R h_{t-1} + b_h)

φ is tanh, relu, linear (φ(a) = a), σ, or one of the forms between σ and tanh: σ(4a), with the slope of tanh at zero;
σ(4a) - ½, also with its centre; ½ tanh(2a), which is the same function.

`train.rule=online` trains one of σ without biases by real-time recurrent learning, with the whole gradient.

Source: Elman 1990, Finding structure in time.

Group: RNN.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from ...kernels.rnn import rnn
from ...options import AboveZero, Needs, Positive
from ..initial import make_biases, make_weight
from ..mechanism import Mechanism, State, Step

SQUASH = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "linear": lambda a: a,
    "sigmoid": torch.sigmoid,
    "sigmoid_4x": lambda a: torch.sigmoid(4 * a),
    "sigmoid_4x_centred": lambda a: torch.sigmoid(4 * a) - 0.5,
    "half_tanh_2x": lambda a: 0.5 * torch.tanh(2 * a),
}
LIBRARY_CELLS = {"tanh": torch.rnn_tanh_cell, "relu": torch.rnn_relu_cell}


class RNN(Mechanism):
    version = 1
    backends = ("library", "fused")
    row_rules = ("online",)  # how it can be trained row by row

    def __init__(
        self,
        input_size: Positive,
        hidden_size: Positive = 128,  # number of units
        nonlinearity: Literal[
            "tanh", "relu", "linear", "sigmoid", "sigmoid_4x", "sigmoid_4x_centred", "half_tanh_2x"
        ] = "tanh",  # activation; sigmoid_4x is σ(4a), sigmoid_4x_centred σ(4a) - ½, half_tanh ½ tanh(2a)
        recurrent_init: Annotated[
            Literal["uniform", "orthogonal", "identity", "glorot", "truncated"], Needs("network.spread", values=(0,))
        ] = "uniform",  # initialization of the recurrent matrix R
        input_init: Annotated[
            Literal["uniform", "glorot", "small", "truncated"], Needs("network.spread", values=(0,))
        ] = "uniform",  # initialization of the input matrix W
        gain: Annotated[AboveZero, Needs("network.spread", values=(0,))] = 1.0,  # factor on the initial recurrent matrix R
        zero_bias: Annotated[
            bool, Needs("network.spread", values=(0,)), Needs("biases", least=1)
        ] = False,  # biases start at zero
        biases: Literal[0, 1, 2] = 2,  # none, 1, or 2 (b_ih and b_hh, as torch.nn.RNN)
    ):
        super().__init__()
        self.input_size, self.output_size, self.nonlinearity = input_size, hidden_size, nonlinearity
        self.W = make_weight(1, hidden_size, input_size, input_init)
        self.R = make_weight(1, hidden_size, hidden_size, recurrent_init, gain)
        self.b_i: nn.Parameter | None = None
        self.b_h: nn.Parameter | None = None
        if biases:
            self.b_i, self.b_h = make_biases(hidden_size, biases, 0 if zero_bias else hidden_size**-0.5)

    def initial_state(self, batch_size: int) -> Tensor:
        return self.R.new_zeros(batch_size, self.output_size)

    def step(self, x: Tensor, state: State, seen: Tensor | None = None) -> Step:
        h = state if seen is None else seen
        b = sum(b for b in (self.b_i, self.b_h) if b is not None)
        h = SQUASH[self.nonlinearity](x @ self.W.t() + h @ self.R.t() + b)
        return h, h, {}

    def advance(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        if self.nonlinearity not in LIBRARY_CELLS:
            return super().advance(x, state)
        h = LIBRARY_CELLS[self.nonlinearity](x, state, self.W, self.R, self.b_i, self.b_h)
        return h, h

    def unroll(self, x: Tensor, state: State, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        how = {"activation": self.nonlinearity, "backend": self.backend}
        return rnn(x, state, self.W, self.R, self.b_i, self.b_h, lengths=lengths, sink=self.sink(), **how)

    def recurrent_matrices(self) -> dict[str, Tensor]:
        return {"h": self.R.detach()}
