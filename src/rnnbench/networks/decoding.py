"""What a trained network writes: text, one symbol at a time with the state carried; answers to a source, by beam search."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy
import torch
from torch import Tensor

from rnnbench.tasks.task import Batch, Task

from ..models.mechanism import State, tree_map
from .trainable import TrainableNetwork


def generate(
    network: TrainableNetwork,
    task: Task,
    prompt: list[int],
    length: int,
    temperature: float = 1.0,
    seed: int = 0,
    top_k: int = 0,
    top_p: float = 1.0,
) -> Iterator[str]:
    """`length` symbols that follow `prompt`, each as it is drawn; `temperature` 0 takes the most likely one.

    Of the symbols the `top_k` likeliest are drawn from (0: all), and of these the likeliest that have `top_p` of the chance
    together (Holtzman et al. 2020, arXiv:1904.09751). The prompt is read once; after it every symbol costs one step.
    ValueError for a prompt of no symbol.
    """
    network.eval()
    random = torch.Generator().manual_seed(seed)
    if not prompt:
        raise ValueError("an empty prompt; at least one symbol is needed to begin")
    with torch.inference_mode():
        logits, memory = _read(network, prompt)
    for _ in range(length):
        token = draw_symbol(logits[0], temperature, top_k, top_p, random)
        yield task.decode([token])
        with torch.inference_mode():  # around each step, not the generator: entering that costs ten times as much
            logits, memory = network.step(torch.tensor([token], device=logits.device), memory)


def draw_symbol(logits: Tensor, temperature: float, top_k: int, top_p: float, random: torch.Generator) -> int:
    """A symbol by the chances of `logits` (symbols,).

    The symbol with the largest share of its chance to an exponential variable is drawn, as torch.multinomial does; of a
    vocabulary of characters NumPy takes a third of its time.
    """
    if temperature == 0:
        return int(logits.argmax())
    values = logits.double().numpy(force=True)
    with numpy.errstate(over="ignore"):  # at a temperature near zero
        chances = numpy.exp((values - values.max()) / temperature)
    chances /= chances.sum()
    symbols = numpy.argsort(-chances, kind="stable")
    chances = chances[symbols]
    if top_k:
        chances = chances[:top_k]
    if top_p < 1:
        before = chances.cumsum() - chances
        chances = numpy.where(before < top_p * chances.sum(), chances, 0.0)  # the likeliest always stays
    noise = torch.empty(len(chances), dtype=torch.float64).exponential_(generator=random).numpy()
    return int(symbols[(chances / noise).argmax()])


LENGTH, BEGINNING = 200, 10  # symbols that an example has, and that it begins with


def beginning(task: Task) -> list[int]:
    """How the validation split begins: a prompt that fits, whatever the text."""
    batch = task.batch("validation", 0, 1, 0)
    return batch.inputs[0, : min(BEGINNING, int(batch.lengths[0]))].tolist()


@torch.no_grad()
def examples(
    network: TrainableNetwork, task: Task, count: int, beam: int = 1, penalty: float = 0.0
) -> tuple[list[dict[str, str]], int, float]:
    """(`count` texts that the network writes on the validation split, their characters, seconds that writing them took).

    Of a task that generates, what follows the split's beginning, at temperature 0.8; else answers to rows of middle length.
    """
    network.eval()
    began = time.perf_counter()
    if task.generates:
        prompt = beginning(task)
        texts = ["".join(generate(network, task, prompt, LENGTH, 0.8, seed)) for seed in range(count)]
        rows = [{"read": task.decode(prompt), "written": text} for text in texts]
    else:
        batch = task.batch("validation", (task.batches("validation", count) - 1) // 2, count, 0).to(_device(network))
        rows = task.answered(batch, written_answers(network, task, batch, beam, penalty))
    return rows, sum(len(row["written"]) for row in rows), time.perf_counter() - began


@torch.no_grad()
def written_answers(network: TrainableNetwork, task: Task, batch: Batch, beam: int = 1, penalty: float = 0.0) -> Tensor:
    """(B, S) int64: what is written for each row, from its source, or else the likeliest symbol under each that is read."""
    if task.source is not None:
        return write_greedily(network, task, batch, beam, penalty)
    return network(batch)[0].argmax(-1)


@torch.no_grad()
def write_greedily(network: TrainableNetwork, task: Task, batch: Batch, beam: int = 1, penalty: float = 0.0) -> Tensor:
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


def _read(network: TrainableNetwork, tokens: list[int]) -> tuple[Tensor, State]:
    """(logits of the next token (1, symbols), memory) after `tokens`."""
    inputs = torch.tensor([tokens])
    ones = torch.ones(1, dtype=torch.bool)
    batch = Batch(inputs, inputs, ones.expand_as(inputs), torch.tensor([len(tokens)]), fresh=~ones).to(_device(network))
    outputs, memory = network(batch)
    return outputs[:, -1], memory


def _device(network: TrainableNetwork) -> torch.device:
    return next(network.parameters()).device
