"""What a network's states pass back and what they hold: the gradient of a loss through time, and the past read from a state.

A gradient is not a memory: a state may hold what no gradient asks for, and a gradient may reach a step whose input is lost.
So both are measured by lag, side by side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from rnnbench.tasks.task import Batch, Split, Task, Tokens

from .instruments import StateGradients, recurrent_cores
from .trainable import TrainableNetwork

RIDGE = 1e-6  # share of the states' mean variance that is added to each of their variances
READ = 100  # rows of a batch of sequences that are read


def state_gradients(network: TrainableNetwork, task: Task, batch: Batch, step: int | None = None) -> dict[str, list[float]]:
    """‖∂L/∂state_t‖ for t = 1, 2, ... by `core.0.0/h` and so on, of a network in evaluation mode, over the rows of `batch`.

    L is the loss as trained on, a mean over scored steps; with `step` (from 1), the mean over rows of that step's loss alone,
    whether or not the task scores it.
    """
    if step is not None:
        scored = torch.zeros_like(batch.scored)
        scored[:, step - 1] = True if task.structure == "N->1" else batch.lengths >= step
        batch = batch._replace(scored=scored)
    measured = StateGradients()
    network.zero_grad()
    measured.begin(network)
    total, count = task.loss(network(batch)[0], batch)
    (total / count).backward()
    rows = measured.end(lambda norms: norms, 1)
    network.zero_grad()
    return {name.removeprefix("state_gradient/"): norms for name, norms in rows.items() if isinstance(norms, list)}


class Recalled(NamedTuple):
    """How well a linear map of the state after step t gives back the input of step t - lag, where it was not fitted."""

    lag: int
    r2: float  # share of the input's variance that is explained; 0 is a guess of the mean
    accuracy: float | None  # of the likeliest symbol, where inputs are symbols
    commonest: float | None  # what a guess of the commonest symbol scores there


@torch.no_grad()
def recall(network: TrainableNetwork, task: Task, lags: Sequence[int], rows: int = 400, seed: int = 0) -> list[Recalled]:
    """A linear read-out of x_{t-lag} from h_t, for each of `lags`, by ridge regression.

    h_t is what the last layer gives at step t, in all its directions; symbols count as one-hot vectors. Fitted on the
    first `rows` training sequences under `seed`, scored on the first `rows` of validation, over all valid t > lag. For tasks
    without a source. ValueError where no sequence is longer than a lag.
    """
    fitted, held_out = (_read(network, task, split, rows, seed) for split in ("train", "validation"))
    return [_recalled(fitted, held_out, lag, isinstance(task.inputs, Tokens)) for lag in lags]


def gradient_by_lag(network: TrainableNetwork, task: Task, batch: Batch, lags: Sequence[int], step: int | None) -> list[float]:
    """‖∂L/∂h_{s-lag}‖ / ‖∂L/∂h_s‖ of the last layer, L being the loss of step s alone: `step` (from 1), or the last one.

    Rows shorter than the longest are left out, so that a lag means one step. Of a task that answers once, L is that answer's
    loss. Not a number where no state is carried. ValueError where s has not so many steps before it.
    """
    steps = int(batch.lengths.max())
    last = steps if step is None else step
    if not 1 <= last <= steps or max(lags) >= last:
        raise ValueError(f"step {last} of {steps}: no step lies {max(lags)} before it")
    once = task.structure == "N->1"
    if once and last < steps:
        raise ValueError(f"step {last} of {steps}: the task answers once, after the last")
    full = batch.map(lambda part: part[batch.lengths == steps])
    found = state_gradients(network, task, full, None if once else last)
    forward = [found[name] for name in found if name.endswith(".0/h")]  # of each layer, read forward
    norms = forward[-1] if forward else [math.nan] * steps
    return [norms[last - 1 - lag] / norms[last - 1] if norms[last - 1] else math.nan for lag in lags]


Reading = list[tuple[Tensor, Tensor, Tensor]]  # of each batch: inputs (B, T, D), states (B, T, H), lengths (B,)


def _read(network: TrainableNetwork, task: Task, split: Split, rows: int, seed: int) -> Reading:
    found: Reading = []
    size = min(READ, rows)
    for index in range(min(-(-rows // size), task.batches(split, size))):
        batch = task.batch(split, index, size, seed)
        ((core, (x, lengths)),) = network.read_by(batch).items()
        states = recurrent_cores(network)[core](x, None, lengths)[0]
        values = functional.one_hot(batch.inputs, task.inputs.size) if isinstance(task.inputs, Tokens) else batch.inputs
        found.append((values.double(), states.double(), lengths))
    return found


def _pairs(reading: Reading, lag: int) -> tuple[Tensor, Tensor]:
    """(states with a 1 beside them (N, H + 1), inputs `lag` steps before (N, D)) at all valid steps after the first `lag`."""
    states, inputs = [], []
    for x, h, lengths in reading:
        steps = x.shape[1] - lag
        if steps > 0:
            valid = torch.arange(lag, x.shape[1]) < lengths.unsqueeze(1)
            states.append(h[:, lag:][valid])
            inputs.append(x[:, :steps][valid])
    if not states or not sum(map(len, states)):
        raise ValueError(f"lag {lag}: no sequence has so many steps before another")
    h = torch.cat(states)
    return torch.cat([h, h.new_ones(len(h), 1)], 1), torch.cat(inputs)


def _recalled(fitted: Reading, held_out: Reading, lag: int, symbols: bool) -> Recalled:
    h, x = _pairs(fitted, lag)
    gram = h.t() @ h
    gram[:-1, :-1].diagonal().add_(RIDGE * len(h) * h[:, :-1].var(0).mean() + 1e-12)
    weights = torch.linalg.solve(gram, h.t() @ x)
    h, x = _pairs(held_out, lag)
    guess = h @ weights
    spread = (x - x.mean(0)).square().sum().item()
    r2 = 1 - (guess - x).square().sum().item() / spread if spread else math.nan
    if not symbols:
        return Recalled(lag, r2, None, None)
    accuracy = (guess.argmax(1) == x.argmax(1)).double().mean().item()
    return Recalled(lag, r2, accuracy, x.mean(0).max().item())
