"""Gated recurrent unit.

    r = σ(W_r x_t + b_ir + R_r h_{t-1} + b_hr)
    z = σ(W_z x_t + b_iz + R_z h_{t-1} + b_hz)
    n = tanh(W_n x_t + b_in + r * (R_n h_{t-1} + b_hn))      reset after the product, as in the library
    n = tanh(W_n x_t + b_in + R_n (r * h_{t-1}) + b_hn)      reset before it
    h_t = (1 - z) * n + z * h_{t-1}                          z keeps the old state

Rows of W and R stand in the order r, z, n. Other texts write z for what takes the new state: 1 - z here.

Source: Cho et al. 2014, arXiv:1406.1078 (reset before the product: its first version); after: Chung et al. 2014,
arXiv:1412.3555, and cuDNN.

Group: GRU.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor

from ...kernels.gru import gru
from ...options import Count, Needs, Positive
from ..initial import make_biases, make_weight, remembering
from ..mechanism import Mechanism, State, Step


class GRU(Mechanism):
    version = 1
    backends = ("library", "fused")

    def __init__(
        self,
        input_size: Positive,
        hidden_size: Positive = 128,  # number of units
        reset: Literal["after", "before"] = "after",  # reset gate after the product with R_n (cuDNN), or before it (2014)
        recurrent_init: Annotated[
            Literal["uniform", "orthogonal", "glorot"], Needs("network.spread", values=(0,))
        ] = "uniform",  # initialization of the recurrent matrices R
        update_bias: Annotated[
            float, Needs("network.spread", values=(0,))
        ] = 0.0,  # added to the initial bias of the update gate; larger: longer memory
        chrono: Annotated[
            Count, Needs("network.spread", values=(0,))
        ] = 0,  # chrono initialization for dependencies of so many steps (Tallec & Ollivier 2018); 0: off
        biases: Literal[1, 2] = 2,  # 1, or 2 (b_ih and b_hh, as torch.nn.GRU)
    ):
        super().__init__()
        self.input_size, self.output_size, self.reset = input_size, hidden_size, reset
        self.W = make_weight(3, hidden_size, input_size)
        self.R = make_weight(3, hidden_size, hidden_size, recurrent_init)
        self.b_i, self.b_h = make_biases(3 * hidden_size, biases, hidden_size**-0.5)
        with torch.no_grad():
            z = slice(hidden_size, 2 * hidden_size)
            if chrono:
                self.b_i[z] = remembering(hidden_size, chrono)
                if self.b_h is not None:
                    self.b_h[z] = 0
            self.b_i[z] += update_bias

    def initial_state(self, batch_size: int) -> Tensor:
        return self.R.new_zeros(batch_size, self.output_size)

    def step(self, x: Tensor, state: State, seen: Tensor | None = None) -> Step:
        h = state if seen is None else seen
        R_r, R_z, R_n = self.R.chunk(3)
        a_r, a_z, a_n = (x @ self.W.t() + self.b_i).chunk(3, 1)
        b_r, b_z, b_n = (torch.zeros_like(self.b_i) if self.b_h is None else self.b_h).chunk(3)
        r = torch.sigmoid(a_r + h @ R_r.t() + b_r)
        z = torch.sigmoid(a_z + h @ R_z.t() + b_z)
        n = torch.tanh(a_n + (r * (h @ R_n.t() + b_n) if self.reset == "after" else (r * h) @ R_n.t() + b_n))
        h = (1 - z) * n + z * state
        return h, h, {"r": r, "z": z}

    def advance(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        if self.reset == "before":
            return super().advance(x, state)
        h = torch.gru_cell(x, state, self.W, self.R, self.b_i, self.b_h)
        return h, h

    def unroll(self, x: Tensor, state: State, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        how = {"reset": self.reset, "backend": self.backend}
        return gru(x, state, self.W, self.R, self.b_i, self.b_h, lengths=lengths, sink=self.sink(), **how)

    def recurrent_matrices(self) -> dict[str, Tensor]:
        return dict(zip("rzn", self.R.detach().chunk(3), strict=True))
