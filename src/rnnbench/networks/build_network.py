"""Builds the network that a task and its settings ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import nn

from rnnbench.tasks.task import Task

from ..models.mechanism import Mechanism
from ..models.stack import Stack
from ..options import Count, Rate
from .encoder_decoder import EncoderDecoder
from .plain import Network
from .trainable import TrainableNetwork

VERSION = 1  # raised when the numbers that a network makes change


def build_network(
    task: Task,
    build_core: Callable[[int], Stack],
    build_writer: Callable[[int], Stack],
    kind: Literal["plain", "encoder_decoder"] = "plain",  # one core; or one that reads the source and one that writes
    embedding: Count = 0,  # width of the token embedding; 0 feeds one-hot vectors
    read: Literal["last", "mean", "max"] = "last",  # the summary where a task answers once
    dropout: Rate = 0.0,  # share zeroed on the embedded inputs and on what the read-out sees
    tied: bool = False,  # the read-out's weights are the embedding's (Press & Wolf 2017, arXiv:1608.05859)
    attention: Literal[
        "none", "additive", "multiplicative"
    ] = "none",  # encoder_decoder: Bahdanau et al. 2015; Luong et al. 2015
    writer: str = "",  # encoder_decoder: the mechanism that writes; empty: the one that reads
    backend: Literal[
        "auto", "library", "fused", "doubling", "loop"
    ] = "auto",  # what computes the recurrences, for comparisons of time; auto: the fastest; a scan has doubling and loop
) -> TrainableNetwork:
    """The network that the options describe; its weights are drawn from torch's generator.

    ValueError where options exclude each other.
    """
    network: TrainableNetwork
    if kind == "plain":
        network = Network(task, build_core, embedding, read, dropout, tied)
    else:
        network = EncoderDecoder(task, build_core, build_writer, embedding, dropout, tied, attention)
    compute_by(network, backend)
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
