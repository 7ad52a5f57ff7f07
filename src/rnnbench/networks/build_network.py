"""Builds the network that a task and its settings ask for."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from rnnbench.tasks.task import Task

from ..groups import NetworkSettings
from ..models.mechanism import Mechanism
from ..models.stack import Stack
from .encoder_decoder import EncoderDecoder
from .plain import Network
from .trainable import TrainableNetwork


def build_network(
    task: Task, build_core: Callable[[int], Stack], build_writer: Callable[[int], Stack], settings: NetworkSettings
) -> TrainableNetwork:
    """The network that the settings describe; its weights are drawn from torch's generator.

    `build_core` and `build_writer` make the core and, for an encoder-decoder, the core that writes, of an input size.
    ValueError where options exclude each other.
    """
    network: TrainableNetwork
    before = torch.get_rng_state()
    if settings.kind == "plain":
        logistic = settings.output == "logistic"
        if logistic and task.right_within is None:
            raise ValueError("network.output=logistic needs a task with squared errors: task.error=squared, where it has that")
        how = (settings.embedding, settings.read, settings.dropout, settings.tied, settings.rectified, logistic)
        network = Network(task, build_core, *how, settings.output_bias, settings.output_spread, settings.direct)
    else:
        network = EncoderDecoder(
            task, build_core, build_writer, settings.embedding, settings.dropout, settings.tied, settings.attention
        )
    if settings.spread:
        torch.set_rng_state(before)  # what the layers drew for themselves leaves no trace
        for parameter in network.parameters():
            nn.init.uniform_(parameter, -settings.spread, settings.spread)
    compute_by(network, settings.backend)
    return network


def compute_by(network: nn.Module, backend: str) -> None:
    """Sets the back end of every recurrence; ValueError where one of them does not have it, or not in the form that it has.

    A wrapper's own cell keeps its own: noise goes through it step by step, whatever it has.
    """
    cells = [part for part in network.modules() if isinstance(part, Mechanism)]
    wrapped = {id(part) for cell in cells for part in cell.modules() if part is not cell}
    for cell in cells:
        if backend != "auto" and id(cell) not in wrapped:
            if backend not in cell.backends:
                raise ValueError(f"network.backend={backend}: {type(cell).__name__} has {', '.join(('auto', *cell.backends))}")
            cell.backend = backend
            if backend == "library":
                cell.unroll(torch.zeros(1, 1, cell.input_size), cell.initial_state(1))
