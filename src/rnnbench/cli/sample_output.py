"""What `rnnbench sample` prints of a trained run. Imports torch, so the verb checks its flags first."""

from __future__ import annotations

import argparse
import itertools

from ..console import show, visible
from ..networks.decoding import beginning, examples, generate, written_answers
from ..run.load import Trained, load_run

WRITTEN = "\n\t"  # what a text is written with
__all__ = ["load_run", "print_answer", "print_continuation"]


def print_continuation(trained: Trained, options: argparse.Namespace) -> None:
    """Prints the prompt, and what follows it, symbol by symbol."""
    task = trained.task
    tokens = beginning(task) if options.prompt is None else task.encode(options.prompt)
    drawn = (options.temperature, options.seed, options.top_k, options.top_p)
    symbols = generate(trained.network, task, tokens, options.length, *drawn)
    first = next(symbols)  # a prompt that cannot be is refused before anything is printed
    show(visible(task.decode(tokens) if options.prompt is None else options.prompt, WRITTEN))
    for symbol in itertools.chain([first], symbols):
        show(visible(symbol, WRITTEN))
    show("\n")


def print_answer(trained: Trained, options: argparse.Namespace) -> None:
    """Prints the answer to the prompt; without one, some rows of the validation split with what was written and wanted."""
    trains = trained.record["train"]
    beam = trains["beam"] if options.beam is None else options.beam
    penalty = trains["length_penalty"] if options.length_penalty is None else options.length_penalty
    if options.prompt is None:
        for row in examples(trained.network, trained.task, 5, beam, penalty)[0]:
            show("".join(f"{name:<8}{visible(str(text), WRITTEN)}\n" for name, text in row.items()) + "\n")
        return
    batch = trained.task.ask(options.prompt)
    (row,) = trained.task.answered(batch, written_answers(trained.network, trained.task, batch, beam, penalty))
    show(visible(row["written"], WRITTEN) + "\n")
