"""Noise on weights while a gradient is taken.

Source: Graves 2011, Practical variational inference for neural networks; as a fixed deviation: Chung et al. 2014,
arXiv:1412.3555.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class WeightNoise:
    """Normal noise of deviation `spread` on `parameters`, from `add` to `remove`; nothing where it is 0."""

    def __init__(self, parameters: Sequence[nn.Parameter], spread: float):
        self.parameters, self.spread = parameters if spread else (), spread
        self._clean: list[Tensor] = []

    @torch.no_grad()
    def add(self) -> None:
        """Draws the noise anew."""
        self._clean = [parameter.detach().clone() for parameter in self.parameters]
        for parameter in self.parameters:
            parameter.add_(torch.randn_like(parameter), alpha=self.spread)

    @torch.no_grad()
    def remove(self) -> None:
        """Puts the weights back as they were, to the bit."""
        for parameter, clean in zip(self.parameters, self._clean, strict=False):
            parameter.copy_(clean)
        self._clean = []
