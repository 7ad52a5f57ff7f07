"""Text from a trained network, one token at a time, the state carried."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from rnnbench.tasks.task import Batch, Task

from .models.mechanism import State
from .network import Network


@torch.inference_mode()
def generate(network: Network, task: Task, prompt: str, length: int, temperature: float = 1.0, seed: int = 0) -> Iterator[str]:
    """`length` symbols that follow `prompt`, each as it is drawn; `temperature` 0 takes the most likely one.

    The prompt is read once; after it every symbol costs one step. ValueError for a symbol that the vocabulary lacks.
    """
    network.eval()
    random = torch.Generator().manual_seed(seed)
    tokens = task.encode(prompt)
    if not tokens:
        raise ValueError("an empty prompt; at least one symbol is needed to begin")
    logits, state = _read(network, tokens, None)
    for _ in range(length):
        if temperature == 0:
            token = int(logits.argmax())
        else:
            token = int(torch.multinomial((logits.double() / temperature).softmax(-1), 1, generator=random))
        yield task.decode([token])
        logits, state = _read(network, [token], state)


def _read(network: Network, tokens: list[int], state: State | None) -> tuple[Tensor, State]:
    """(logits of the next token, state) after `tokens`."""
    inputs = torch.tensor([tokens])
    ones = torch.ones(1, dtype=torch.bool)
    batch = Batch(inputs, inputs, ones.expand_as(inputs), torch.tensor([len(tokens)]), fresh=~ones)
    outputs, state = network(batch, state)
    return outputs[0, -1], state
