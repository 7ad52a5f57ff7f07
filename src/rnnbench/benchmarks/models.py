"""What a training step of each model costs beside PyTorch's LSTM of the same width: `rnnbench benchmark models`.

The time of a model is that of a forward and a backward pass over sequences of random numbers, on one thread, by the back end
that training takes. Each model is timed in turn with `torch.nn.LSTM`; the ratio is that of the medians of CPU time. Both sides
have the process settings of a run. The gallery in docs/ shows the ratios that were saved in docs/benchmarks.jsonl.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ..config.schema import choice_names, choice_settings
from ..models.details import model_stack
from ..run.process_settings import configure_process
from .history import Measured
from .kernels import interleaved

STEPS, ROWS, WIDTH = 100, 64, 128  # T, B, H


def main(quick: bool = False, words: Sequence[str] = ()) -> list[Measured]:
    """Prints and returns, for each model at hidden_size = 128, its time over that of `torch.nn.LSTM`.

    `quick` takes fewer rounds.
    """
    configure_process()
    rounds = 3 if quick else 9
    library = training_pass(nn.LSTM(WIDTH, WIDTH, batch_first=True))
    print(
        f"T={STEPS}, B={ROWS}, H={WIDTH}; forward and backward, one thread\n{'model':24} {'ms':>8} {'LSTM ms':>8} {'ratio':>6}"
    )
    rows = []
    for name in choice_names("model"):
        ours = training_pass(model_stack(name, choice_settings("model", name), WIDTH))
        times = interleaved({"ours": ours, "library": library}, rounds)
        ratio = times["ours"] / times["library"]
        print(f"{name:24} {1e3 * times['ours']:8.1f} {1e3 * times['library']:8.1f} {ratio:6.2f}", flush=True)
        rows.append(Measured(name, ratio))
    return rows


def training_pass(module: nn.Module, steps: int = STEPS, rows: int = ROWS, width: int = WIDTH) -> Callable[[], None]:
    """A function that does one forward and backward pass of `module`, which maps (B, T, H) to an output and a state."""
    x = torch.randn(rows, steps, width, requires_grad=True)
    weights: Tensor | None = None

    def one_pass() -> None:
        nonlocal weights
        module.zero_grad()
        x.grad = None
        y = module(x)[0]
        weights = torch.randn_like(y) if weights is None else weights
        y.backward(weights)

    return one_pass
