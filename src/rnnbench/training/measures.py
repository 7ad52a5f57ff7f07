"""What is measured of training steps, and the clipping of their gradients."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_value_, clip_grads_with_norm_, get_total_norm

from ..groups import TrainSettings
from ..networks.instruments import GradientNorms, StateGradients, flat_parameters, update_ratio
from ..networks.trainable import TrainableNetwork
from .checkpoint import Window
from .devices import Devices
from .endings import Diverged
from .recorder import Row


class StepMeasures:
    """Losses and gradient norms of every step; of logged steps also norms by layer, gradients through time, the update's size.

    A step calls `begin` where it is logged, `add_loss`, `clip`, `state_gradients` where it is logged. `end_row` sums up.
    Values stay on the device until a row is logged.
    """

    def __init__(self, network: TrainableNetwork, options: TrainSettings):
        self.window: Window = []
        self._network, self._options = network, options
        self._norms = GradientNorms(network)
        self._state_gradients = StateGradients() if options.instruments else None
        self._before: Tensor | None = None  # all weights before the step that is logged

    def begin(self) -> None:
        """Starts recording gradients through time, before the forward pass of each micro batch."""
        if self._state_gradients:
            self._state_gradients.begin(self._network)

    def add_loss(self, loss: Tensor) -> None:
        """Takes this device's part of the step's mean loss, a scalar."""
        self.window.append((loss,))

    def clip(self, logged: bool) -> Row:
        """Clips the gradient, after the backward pass; where `logged`, returns the norms by layer before and after."""
        options, parameters = self._options, list(self._network.parameters())
        norms = clipped = self._norms() if logged else {}
        if options.clip is not None and options.clip_by == "norm":
            whole = self._add_norm(parameters, 2.0)
            clip_grads_with_norm_(parameters, options.clip, whole)
            share = min(1.0, options.clip / (norms.get("", 0.0) + 1e-6))  # the factor that torch has applied
            clipped = {name: norm * share for name, norm in norms.items()}
        elif options.clip is not None:
            self._add_norm(parameters, math.inf)
            clip_grad_value_(parameters, options.clip)
            clipped = self._norms() if logged else {}
        return _by_layer("train/gradient_norm", norms) | _by_layer("train/gradient_norm_clipped", clipped)

    def _add_norm(self, parameters: list[torch.nn.Parameter], order: float) -> Tensor:
        norm = get_total_norm([p.grad for p in parameters if p.grad is not None], order)
        self.window[-1] += (norm,)
        return norm

    def state_gradients(self, devices: Devices, times: float) -> Row:
        """Gradients through time of the backward passes that are done; empty without instruments.

        `times`: how many times its part of the loss each device has differentiated.
        """
        if self._state_gradients is None:
            return {}
        self._before = flat_parameters(self._network)
        measured = self._state_gradients.end(devices.sum, times)
        return {f"train/{name}": value for name, value in measured.items()}

    def is_finite(self) -> bool:
        """Whether all losses and gradient norms since the last row are finite."""
        return all(bool(torch.isfinite(value).all()) for step in self.window for value in step)

    def end_row(self, step: int, devices: Devices) -> Row:
        """The update's size, the mean loss and the share of clipped steps since the last row, which ends after `step` steps.

        Raises Diverged at the first step whose loss or gradient norm is not finite.
        """
        row: Row = {}
        if self._before is not None:
            row["train/update_ratio"] = update_ratio(self._before, flat_parameters(self._network))
        clip = self._options.clip
        measured = [devices.sum(torch.stack([losses[0] for losses in self.window]))]
        if clip is not None:  # the gradient is that of all devices already
            measured.append(torch.stack([values[1] for values in self.window]))
        steps = torch.stack(measured, 1).tolist()
        for index, values in enumerate(steps):
            if not all(map(math.isfinite, values)):
                raise Diverged(step - len(steps) + 1 + index)
        row["train/loss"] = sum(values[0] for values in steps) / len(steps)
        if clip is not None:
            row["train/clipped"] = sum(values[1] > clip for values in steps) / len(steps)
        self.window.clear()
        return row


def _by_layer(quantity: str, norms: dict[str, float]) -> Row:
    return {f"{quantity}/{layer}" if layer else quantity: norm for layer, norm in norms.items()}
