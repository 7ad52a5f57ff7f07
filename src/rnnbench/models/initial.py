"""Initialisation by name, for the weights of mechanisms."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


@torch.no_grad()
def fill(weight: Tensor, how: str, gain: float = 1.0, gates: int = 1) -> None:
    """Fills `weight` (gates * H, columns) gate by gate.

    `uniform`: U(-1/sqrt(H), 1/sqrt(H)), the library's default; `orthogonal` (Saxe, McClelland & Ganguli 2014);
    `glorot` (Glorot & Bengio 2010); `identity` where the block is square, and `small`, N(0, 0.001) (both of Le, Jaitly &
    Hinton 2015). All times `gain`.
    """
    for block in weight.chunk(gates):
        if how == "uniform":
            bound = 1 / math.sqrt(len(block))
            nn.init.uniform_(block, -bound, bound)
        elif how == "orthogonal":
            nn.init.orthogonal_(block)
        elif how == "glorot":
            nn.init.xavier_uniform_(block)
        elif how == "small":
            nn.init.normal_(block, std=0.001)
        elif how == "identity":
            nn.init.eye_(block)
        else:
            raise ValueError(f"no initialisation {how!r}; there are: uniform, orthogonal, glorot, small, identity")
        block.mul_(gain)
