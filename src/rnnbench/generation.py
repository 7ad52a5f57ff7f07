"""What a trained network writes: text, one symbol at a time with the state carried; answers to a source, by beam search."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from rnnbench.tasks.task import Batch, Task

from .models.mechanism import State, tree_map
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


@torch.no_grad()
def write(network: Any, task: Task, batch: Batch, beam: int = 1, penalty: float = 0.0) -> Tensor:
    """(B, task.longest) int64: what the network writes from each row's source; after `task.end` only `task.end`.

    Beam search keeps the `beam` likeliest beginnings; at the end the one with the best log p / ((5 + length) / 6) ** penalty
    is taken (Wu et al. 2016, arXiv:1609.08144, without its coverage term). A beam of 1 is greedy.
    """
    rows = len(batch.lengths)
    memory = tree_map(lambda leaf: leaf.repeat_interleave(beam, 0), network.begin(batch))
    symbols = torch.full((rows * beam,), task.start, device=batch.inputs.device)
    written = symbols.new_zeros(rows * beam, 0)
    # at first all beams of a row are one: only the first of them may go on
    scores = torch.full((rows, beam), -torch.inf, device=symbols.device, dtype=torch.float64)
    scores[:, 0] = 0
    ended = torch.zeros_like(symbols, dtype=torch.bool)
    lengths = torch.zeros_like(symbols)
    for _ in range(task.longest):
        outputs, memory = network.step(symbols, memory)
        chances = outputs.double().log_softmax(-1)
        closed = torch.full_like(chances, -torch.inf)
        closed[:, task.end] = 0
        chances = torch.where(ended.unsqueeze(1), closed, chances)
        kinds = chances.shape[-1]
        scores, best = (scores.unsqueeze(-1) + chances.view(rows, beam, kinds)).view(rows, -1).topk(beam)
        origin = (best // kinds + beam * torch.arange(rows, device=best.device).unsqueeze(1)).flatten()
        symbols = (best % kinds).flatten()
        memory = tree_map(lambda leaf, origin=origin: leaf[origin], memory)
        written = torch.cat([written[origin], symbols.unsqueeze(1)], 1)
        lengths = lengths[origin] + ~ended[origin]
        ended = ended[origin] | (symbols == task.end)
        if ended.all():
            break
    rest = written.new_full((len(written), task.longest - written.shape[1]), task.end)
    fair = scores / ((5 + lengths.view(rows, beam)) / 6) ** penalty
    choice = fair.argmax(1) + beam * torch.arange(rows, device=fair.device)
    return torch.cat([written, rest], 1)[choice]


def _read(network: Network, tokens: list[int], state: State | None) -> tuple[Tensor, State]:
    """(logits of the next token, state) after `tokens`."""
    inputs = torch.tensor([tokens])
    ones = torch.ones(1, dtype=torch.bool)
    batch = Batch(inputs, inputs, ones.expand_as(inputs), torch.tensor([len(tokens)]), fresh=~ones)
    outputs, state = network(batch, state)
    return outputs[0, -1], state
