"""minLSTM: gates see the input only.

    f = σ(W_f x_t + b_f)
    i = σ(W_i x_t + b_i)
    n = W_n x_t + b_n
    h_t = f / (f + i) * h_{t-1} + i / (f + i) * n            the two shares add up to one

The LSTM without its recurrent products, cell and output gate, so that a sequence is computed by a scan over time.

With `positive`, n is kept above zero as in min_gru; likewise computed in linear space from h_0 = 0. Rows of W stand in the
order f, i, n.

Source: Feng et al. 2024, Were RNNs all we needed?, arXiv:2410.01201.

Group: minimal, by a parallel scan.
"""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from ...kernels.minimal import minimal, minimal_kernel
from ...options import Needs, Positive
from ..initial import make_biases, make_weight
from ..mechanism import Mechanism, State, Step
from ..scan import scan
from .min_gru import positive


class MinLSTM(Mechanism):
    version = 1
    backends = ("compiled", "doubling", "loop")

    def __init__(
        self,
        input_size: Positive,
        hidden_size: Positive = 128,  # number of units
        positive: bool = False,  # positive candidates, as in the paper's log-space form
        forget_bias: Annotated[
            float, Needs("network.spread", values=(0,))
        ] = 0.0,  # added to the initial bias of the forget gate
    ):
        super().__init__()
        self.input_size, self.output_size, self.positive = input_size, hidden_size, positive
        self.W = make_weight(3, hidden_size, input_size)
        self.b, _ = make_biases(3 * hidden_size, 1, hidden_size**-0.5)
        with torch.no_grad():
            self.b[:hidden_size] += forget_bias

    def initial_state(self, batch_size: int) -> Tensor:
        return self.W.new_zeros(batch_size, self.output_size)

    def gate(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """f / (f + i), i / (f + i) and n (..., H) from x (..., D)."""
        a_f, a_i, a_n = nn.functional.linear(x, self.W, self.b).to(self.W.dtype).chunk(3, -1)
        f = torch.sigmoid(logsigmoid(a_f) - logsigmoid(a_i))  # f / (f + i), also where both are too small to divide
        return f, 1 - f, positive(a_n) if self.positive else a_n

    def step(self, x: Tensor, state: State, seen: Tensor | None = None) -> Step:
        f, i, n = self.gate(x)
        h = f * state + i * n
        return h, h, {"f": f, "i": i}

    def unroll(self, x: Tensor, state: State, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        kernel = minimal_kernel(self.W, self.backend)
        if kernel is not None:
            return minimal(3, x, state, self.W, self.b, self.positive, lengths, self.sink(), kernel)
        f, i, n = self.gate(x)
        return scan(f, i * n, state, lengths, self.backend, self.sink())
