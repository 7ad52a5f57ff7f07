"""Initialisation by name, for the weights of mechanisms."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


@torch.no_grad()
def fill(weight: Tensor, how: str, gain: float = 1.0, gates: int = 1, inputs: int = 0) -> None:
    """Fills `weight` (gates * H, columns) gate by gate.

    `uniform`: U(-1/sqrt(H), 1/sqrt(H)), the library's default; `orthogonal` (Saxe, McClelland & Ganguli 2014);
    `glorot` (Glorot & Bengio 2010); `identity` where the block is square, and `small`, N(0, 0.001) (both of Le, Jaitly &
    Hinton 2015); `truncated`: normal with deviation 1/sqrt(inputs), cut at two deviations, the default of Haiku's layers, of
    which `inputs` are the columns of one of them (0: of this weight). All times `gain`.
    """
    for block in weight.chunk(gates):
        if how == "uniform":
            bound = 1 / math.sqrt(len(block))
            nn.init.uniform_(block, -bound, bound)
        elif how == "orthogonal":
            nn.init.orthogonal_(block)
        elif how == "glorot":
            nn.init.xavier_uniform_(block)
        elif how == "truncated":
            spread = 1 / math.sqrt(inputs or weight.shape[1])
            nn.init.trunc_normal_(block, std=spread, a=-2 * spread, b=2 * spread)
        elif how == "small":
            nn.init.normal_(block, std=0.001)
        elif how == "identity":
            nn.init.eye_(block)
        else:
            raise ValueError(f"no initialisation {how!r}; there are: uniform, orthogonal, glorot, small, identity, truncated")
        block.mul_(gain)


def make_weight(gates: int, size: int, columns: int, how: str = "uniform", gain: float = 1.0, inputs: int = 0) -> nn.Parameter:
    """A weight (gates * size, columns), filled by `fill`."""
    weight = nn.Parameter(torch.empty(gates * size, columns))
    fill(weight, how, gain, gates, inputs)
    return weight


def make_biases(size: int, number: int, bound: float) -> tuple[nn.Parameter, nn.Parameter | None]:
    """b_i and b_h (size), uniform in ±bound; None for b_h where the `number` is 1."""
    b_i, b_h = (torch.zeros(size) for _ in range(2))
    for bias in (b_i, b_h)[: number if bound else 0]:
        nn.init.uniform_(bias, -bound, bound)
    return nn.Parameter(b_i), nn.Parameter(b_h) if number == 2 else None


def remembering(hidden_size: int, longest: int) -> Tensor:
    """(H): biases log u with u ~ U(1, longest - 1), with which a gate that keeps the state forgets after about u steps.

    Source: Tallec & Ollivier 2018, Can recurrent neural networks warp time?, arXiv:1804.11188 (chrono initialisation).
    """
    return torch.empty(hidden_size).uniform_(1, max(longest - 1, 1)).log_()  # in place: see networks/shapes.py
