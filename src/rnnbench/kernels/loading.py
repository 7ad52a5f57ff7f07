"""Loads what there is of machine code before a process is forked, so that each job finds it there."""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import Tensor

from ..console import say
from .compile_time import compile_seconds
from .gru_sequence import GRUSequence
from .gru_steps import GRUSteps
from .lstm_fused import Form
from .lstm_sequence import LSTMSequence
from .lstm_steps import LSTMSteps
from .minimal import MinimalSteps
from .recurrence import Request, machine_code
from .rnn import ACTIVATIONS, RNNSequence

LONG = 2.0  # seconds that kernels of earlier processes never take to read


class Passes:
    """What an autograd function keeps from its forward for its backward pass, without autograd, which may start threads."""

    needs_input_grad = (True,)

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        self.saved_tensors = tensors


@torch.no_grad()
def load_kernels() -> None:
    """Makes one step, forward and backward, of the recurrences that have machine code. Says so where they must be compiled."""
    x, h = torch.zeros(1, 1, 1), torch.zeros(1, 1)
    kernel = machine_code(x)
    if kernel is None:
        return
    one, two, three, four = ((torch.zeros(G, 1), torch.zeros(G, 1), torch.zeros(G)) for G in (1, 2, 3, 4))
    request, peepholes = Request(None, True, None, kernel), torch.zeros(3, 1)
    arguments: list[tuple[Any, ...]] = [
        (LSTMSequence, x, h, h, None, *four, peepholes, None, None, None, Form(), request),
        (LSTMSteps, x, h, h, *four, peepholes, Form(), request),
        (GRUSequence, x, h, *three, three[2], request),
        (GRUSteps, x, h, *three, three[2], request),
        (RNNSequence, x, h, *one, ACTIVATIONS["tanh"], request),
        (MinimalSteps, x, h, two[0], two[2], False, request),
        (MinimalSteps, x, h, three[0], three[2], False, request),
    ]
    began, said = compile_seconds(), False
    for function, *given in arguments:
        if not said and compile_seconds() - began > LONG:
            say("compiling the kernels for this machine; it takes some 20 seconds", sys.stderr)
            said = True
        context = Passes()
        outputs = function.forward(context, *given)
        function.backward(context, *(None if part is None else torch.zeros_like(part) for part in outputs))
