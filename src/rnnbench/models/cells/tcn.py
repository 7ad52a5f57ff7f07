"""Temporal convolutional network, for comparison.

    u = drop(relu(V_1 *_d x)),  v = drop(relu(V_2 *_d u)),  y = relu(v + x)        a block; *_d looks back in strides of d
    V = g V' / |V'|                                                                 weight norm, for each output channel

Blocks of dilated causal convolutions, without recurrence. The dilation d doubles from block to block. Where widths differ, x in
the sum is a linear map of x. The state is what each convolution has yet to look at again: (kernel - 1) d steps.

Source: Bai, Kolter & Koltun 2018, arXiv:1803.01271; weight norm: Salimans & Kingma 2016, arXiv:1602.07868.

Group: fixed context, without recurrence.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...options import Needs, Positive, Rate
from ..mechanism import Mechanism, State, Step
from ..recompute import recomputed
from ..window import extended


class TCN(Mechanism):
    version = 1
    recurrent = False
    backends = ("library",)

    def __init__(
        self,
        input_size: Positive,
        hidden_size: Positive = 128,  # channels of each convolution
        levels: Positive = 4,  # residual blocks; they see 2 (kernel - 1) (2^levels - 1) steps back
        kernel: Positive = 7,  # kernel size of the convolutions
        block_dropout: Rate = 0.0,  # dropout probability after each convolution
        init: Annotated[
            Literal["normal", "uniform"], Needs("network.spread", values=(0,))
        ] = "normal",  # initialization: N(0, 0.01) as in the paper, or uniform as in effect in its code
    ):
        super().__init__()
        self.input_size, self.output_size = input_size, hidden_size
        widths = [input_size, *[hidden_size] * levels]
        blocks = [
            TCNBlock(widths[level], hidden_size, kernel, 2**level, block_dropout, init == "normal") for level in range(levels)
        ]
        self.blocks = nn.ModuleList(blocks)

    def initial_state(self, batch_size: int) -> State:
        return tuple(block.initial_state(batch_size) for block in self.blocks)  # type: ignore[operator]

    def step(self, x: Tensor, state: State, seen: Tensor | None = None) -> Step:
        y, state = self.unroll(x.unsqueeze(0), state)
        return y[0], state, {}

    def unroll(self, x: Tensor, state: State, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        y, ends = x.transpose(0, 1), []
        for block, windows in zip(self.blocks, state, strict=True):
            y, end = recomputed(self.recompute and block is not self.blocks[-1], block, y, windows, lengths, around=self)
            ends.append(end)
        return y.transpose(0, 1), tuple(ends)


class TCNBlock(nn.Module):
    """Two convolutions and the way around them; x (B, T, D) to y (B, T, H)."""

    def __init__(self, input_size: Positive, size: int, kernel: int, dilation: int, dropout: float, normal: bool):
        super().__init__()
        self.dilation, self.dropout, self.back = dilation, dropout, (kernel - 1) * dilation
        convolutions = [nn.Conv1d(width, size, kernel, dilation=dilation) for width in (input_size, size)]
        self.around = nn.Linear(input_size, size) if input_size != size else None
        if self.around:
            nn.init.normal_(self.around.weight, std=0.01)
        for layer in convolutions if normal else ():
            nn.init.normal_(layer.weight, std=0.01)
        self.convolutions = nn.ModuleList(nn.utils.parametrizations.weight_norm(layer) for layer in convolutions)

    def initial_state(self, batch_size: int) -> State:
        some = self.convolutions[0].bias
        return tuple(some.new_zeros(batch_size, self.back, layer.in_channels) for layer in self.convolutions)  # type: ignore

    def forward(self, x: Tensor, windows: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        y, ends = x, []
        for layer, window in zip(self.convolutions, windows, strict=True):
            whole, end = extended(window, y, lengths)
            y = torch.relu(layer(whole.transpose(1, 2))).transpose(1, 2)
            y = functional.dropout(y, self.dropout, self.training)
            ends.append(end)
        return torch.relu(y + (self.around(x) if self.around else x)), tuple(ends)
