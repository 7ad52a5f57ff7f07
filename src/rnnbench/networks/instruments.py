"""What is measured of a network while it trains: gradients, also through time; gates and states."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import torch
from torch import Tensor, nn

from rnnbench.tasks.task import Batch

from ..kernels.recurrence import GradientSink
from ..models.stack import Stack, recording
from .trainable import TrainableNetwork

Measured = float | list[float] | None  # a value of a logged row


def layers(network: nn.Module) -> dict[str, list[nn.Parameter]]:
    """The trained parameters by the module that owns them: `core.layers.0.0`, `readout`."""
    found: dict[str, list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            found.setdefault(name.rpartition(".")[0], []).append(parameter)
    return found


class GradientNorms:
    """The 2-norm of each layer's gradient, and of all together; parameters without a gradient count as zero."""

    def __init__(self, network: nn.Module):
        self.layers = layers(network)

    def __call__(self) -> dict[str, float]:
        """Norms by layer, and the whole under the empty name. One synchronisation with the device for all of them."""
        owned = [(name, p.grad) for name, parameters in self.layers.items() for p in parameters if p.grad is not None]
        squares = dict.fromkeys(self.layers, 0.0)
        if owned:
            norms = torch.stack(torch._foreach_norm([gradient for _, gradient in owned])).tolist()
            for (name, _), norm in zip(owned, norms, strict=True):
                squares[name] += norm**2
        return {name: math.sqrt(square) for name, square in {**squares, "": sum(squares.values())}.items()}


def flat_parameters(network: nn.Module) -> Tensor:
    """A copy of all weights, in one vector."""
    return nn.utils.parameters_to_vector(network.parameters()).detach()


def update_ratio(before: Tensor, after: Tensor) -> float:
    """‖what a step changed‖ / ‖weights before it‖, of two vectors of all weights."""
    return (torch.dist(after, before) / before.norm()).item()


def recurrent_cores(network: nn.Module) -> dict[str, Stack]:
    """The recurrent parts of a network by name: `core`, or `reader` and `writer`."""
    return {name: module for name, module in network.named_children() if isinstance(module, Stack)}


class StateGradients:
    """Around forward and backward passes: ‖∂L/∂state_t‖ for every step, layer and direction; true totals.

    `begin` before each forward pass, which its backward pass follows; `end` after the last of these gives rows for the log, of
    the rows of all passes: the norms themselves, (steps,) rounded to 4 digits, the `horizon`, and the `blow_up`.
    """

    def __init__(self) -> None:
        self._open = ExitStack()
        self._passes: list[dict[str, dict[str, GradientSink]]] = []  # by core and layer; filled when `_open` is closed

    def begin(self, network: nn.Module) -> None:
        self._open.close()
        self._passes.append(
            {name: self._open.enter_context(recording(core)) for name, core in recurrent_cores(network).items()}
        )

    def end(self, over_devices: Callable[[Tensor], Tensor], times: float) -> dict[str, Measured]:
        """`over_devices` sums a tensor over devices, each of which has differentiated `times` its part of the loss."""
        self._open.close()
        rows: dict[str, Measured] = {}
        for core, layers_ in self._passes[0].items():
            for layer in layers_:
                for name in ("h", "c"):
                    every = [getattr(one[core][layer], name) for one in self._passes]
                    squares = [norms.square() for norms in every if norms is not None and len(norms)]
                    if not squares:
                        continue
                    values = (over_devices(torch.stack(squares).sum(0)).sqrt() / times).tolist()
                    rows[f"state_gradient/{core}.{layer}/{name}"] = [float(f"{value:.4g}") for value in values]
                    fallen, risen = horizon(values)
                    rows[f"horizon/{core}.{layer}/{name}"] = fallen
                    rows[f"blow_up/{core}.{layer}/{name}"] = risen
        self._passes.clear()
        return rows


def horizon(norms: Sequence[float]) -> tuple[int | None, int | None]:
    """(steps back from the last until the norm has fallen to 1 % of what it is there, steps until it has risen to 100 times).

    None where that happens nowhere in the sequence, or the last norm is zero.
    """
    last, *earlier = list(norms)[::-1]
    fallen = next((back for back, norm in enumerate(earlier, 1) if norm <= 0.01 * last), None)
    risen = next((back for back, norm in enumerate(earlier, 1) if norm >= 100 * last), None)
    return (fallen, risen) if last > 0 else (None, None)


PROBED = 16  # validation rows whose gates and states are looked at


@torch.no_grad()
def activity(network: TrainableNetwork, batch: Batch) -> dict[str, float]:
    """Of each layer and direction, reading `batch`: the mean of each gate, and its shares below .1 and above .9; the mean norm
    of h; the share of units that are zero throughout; and the spectral radius of each recurrent matrix."""
    found: dict[str, float] = {}
    for core, (x, lengths) in network.read_by(batch).items():
        stack = recurrent_cores(network)[core]
        for name, values in stack.activity(x, None, lengths).items():
            place, gate = name.split("/")
            if gate == "h":
                found[f"state/{core}.{place}/norm"] = values.norm(dim=-1).mean().item()
                found[f"state/{core}.{place}/dead"] = (values == 0).all(0).float().mean().item()
            else:
                found[f"gates/{core}.{name}/mean"] = values.mean().item()
                found[f"gates/{core}.{name}/below_.1"] = (values < 0.1).float().mean().item()
                found[f"gates/{core}.{name}/above_.9"] = (values > 0.9).float().mean().item()
        for name, matrix in stack.recurrent_matrices().items():
            found[f"spectral_radius/{core}.{name}"] = spectral_radius(matrix)
    return found


def spectral_radius(matrix: Tensor, squarings: int = 10) -> float:
    """The largest |eigenvalue| of a square matrix, as ‖A^n‖^(1/n) with n = 1024 (Gelfand 1941): a fraction of a percent too
    large, and as fast as ten products."""
    power, logarithm = matrix.double(), 0.0
    for _ in range(squarings):
        norm = power.norm().item()
        if norm == 0:
            return 0.0
        power = power / norm
        power, logarithm = power @ power, 2 * (logarithm + math.log(norm))
    norm = power.norm().item()
    return math.exp((logarithm + math.log(norm)) / 2**squarings) if norm else 0.0
