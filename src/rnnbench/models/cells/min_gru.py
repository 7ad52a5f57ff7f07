"""minGRU: gates see the input only.

    z = σ(W_z x_t + b_z)
    n = W_n x_t + b_n
    h_t = (1 - z) * h_{t-1} + z * n                          z takes the new state, as in the paper

The GRU without its recurrent products, so that a sequence is computed by a scan over time.

With `positive`, n = a + ½ where a = W_n x_t + b_n is positive, else σ(a), as the paper's log-space form has it; ours is
computed in linear space, which is exact at any length, and starts from h_0 = 0. Rows of W stand in the order z, n.

Source: Feng et al. 2024, Were RNNs all we needed?, arXiv:2410.01201.

Group: minimal, by a parallel scan.
"""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from ...kernels.minimal import minimal, minimal_kernel
from ...options import Needs, Positive
from ..initial import make_biases, make_weight
from ..mechanism import Mechanism, State, Step
from ..scan import scan


class MinGRU(Mechanism):
    version = 1
    backends = ("compiled", "doubling", "loop")

    def __init__(
        self,
        input_size: Positive,
        hidden_size: Positive = 128,  # number of units
        positive: bool = False,  # positive candidates, as in the paper's log-space form
        update_bias: Annotated[
            float, Needs("network.spread", values=(0,))
        ] = 0.0,  # subtracted from the initial bias of the gate z; larger: longer memory
    ):
        super().__init__()
        self.input_size, self.output_size, self.positive = input_size, hidden_size, positive
        self.W = make_weight(2, hidden_size, input_size)
        self.b, _ = make_biases(2 * hidden_size, 1, hidden_size**-0.5)
        with torch.no_grad():
            self.b[:hidden_size] -= update_bias

    def initial_state(self, batch_size: int) -> Tensor:
        return self.W.new_zeros(batch_size, self.output_size)

    def gate(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """z and n (..., H) from x (..., D)."""
        a_z, a_n = nn.functional.linear(x, self.W, self.b).to(self.W.dtype).chunk(2, -1)
        return torch.sigmoid(a_z), positive(a_n) if self.positive else a_n

    def step(self, x: Tensor, state: State, seen: Tensor | None = None) -> Step:
        z, n = self.gate(x)
        h = (1 - z) * state + z * n
        return h, h, {"z": z}

    def unroll(self, x: Tensor, state: State, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        kernel = minimal_kernel(self.W, self.backend)
        if kernel is not None:
            return minimal(2, x, state, self.W, self.b, self.positive, lengths, self.sink(), kernel)
        z, n = self.gate(x)
        return scan(1 - z, z * n, state, lengths, self.backend, self.sink())


def positive(a: Tensor) -> Tensor:
    """g of the paper: above zero, and continuous at it."""
    return torch.where(a >= 0, a + 0.5, torch.sigmoid(a))
