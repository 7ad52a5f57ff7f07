"""Embedded Reber grammar: predict the next symbol; the second symbol comes back near the end, whatever lay in between.

    string   B T  B T S X X T V V E  T E        (B, T or P; a string of the Reber grammar; T or P as before; E)
    inputs   B T  B T S X X T V V E  T
    targets  T B  T S X X T V V E T  E          (the T after the inner E is the one that takes memory)

The Reber grammar is an automaton in which every fork is taken one way or the other with probability 1/2. `form=once`: a row is
one string, from its B to its E. `form=continual` (Gers et al. 2000): strings follow one another without a mark, in streams of
windows * window symbols (2000 tests on 10 streams of 100,000) that are read a window at a time with the state carried over;
nothing resets a network in between.

The headline is the accuracy on the second outer symbol, which a guess gets right half of the time; `loss` is over all steps.
In 1997 a string counted where each of its steps was within .5 on all outputs; 2000 counts symbols up to the first error.

Floor: accuracy 1/2 on the second outer symbol.

Best: accuracy 1; loss 7 ln 2 / 11 = .441 nats a step (once) and 7 ln 2 / 12 = .404 (continual), what 7 coin tosses in a string
of 12 symbols leave open on average. LSTM without a forget gate fails on the continual form (Gers et al. 2000).

Source: Hochreiter & Schmidhuber 1997, experiment 1; Gers, Schmidhuber & Cummins 2000; the grammar: Smith & Zipser
1989; Cleeremans et al. 1989.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy
import torch
from torch import Tensor

from rnnbench.options import Needs, Positive, Share

from .shared.streams import Drawn
from .task import Batch, Task, Tokens, asked_steps, certain

SYMBOLS = "BTPSXVE"
FORKS = ("BB", "TP", "SX", "TV", "XS", "PV", "EE")  # what the automaton may write in each state
NEXT = ((1, 1), (2, 3), (2, 4), (3, 5), (3, 6), (4, 6), (7, 7), (7, 7))  # and where it goes; 7 is the end
T, P, E = (SYMBOLS.index(symbol) for symbol in "TPE")


def second_outer(batch: Batch) -> Tensor:
    """(B, S) bool: the steps that ask for the second outer symbol."""
    return (batch.inputs == E) & ((batch.targets == T) | (batch.targets == P))


class EmbeddedReber(Task):
    version = 1
    structure = "N->N"
    causal = True
    headline = "accuracy"
    direction = "max"
    unit = "share of second outer symbols"
    carries = True

    scoring = asked_steps(second_outer)
    inputs = Tokens(7)
    targets = Tokens(7)
    floor = 1 / 2

    def __init__(
        self,
        form: Literal["once", "continual"] = "once",  # a row is one string; or a stream of them, without resets
        window: Annotated[
            Positive, Needs("form", values=("continual",))
        ] = 100,  # continual: symbols a row is fed at once; gradients reach no further
        windows: Annotated[Positive, Needs("form", values=("continual",))] = 100,  # continual: windows in a stream
        streams: Annotated[
            Positive, Needs("form", values=("continual",))
        ] = 10,  # continual: in the validation set, and in the test set
        sequences: Annotated[
            Positive, Needs("form", values=("once",))
        ] = 1000,  # once: strings in the validation set, and in the test set
        solved_above: Share = 0.99,  # accuracy that counts as solved
    ):
        self.form, self.window, self.windows, self.streams = form, window, windows, streams
        self.sequences, self.solved_above = sequences, solved_above
        self.carries = form == "continual"  # type: ignore[misc]  # the class says what may be, the task what is
        if self.carries:
            self.dataset = Drawn(self._make_streams, window, windows, streams)

    def _make_streams(self, random: numpy.random.Generator, rows: int) -> numpy.ndarray:
        """(rows, symbols): each begins with a string and goes on with whole ones until it is cut."""
        symbols = self.windows * self.window + 1
        text, lengths = strings(random, rows * (symbols // 9 + 1))  # no string has less than 9 symbols
        ends = lengths.reshape(rows, -1).cumsum(1)
        begins = numpy.concatenate([[0], ends[:, -1].cumsum()[:-1]])
        whole = text[numpy.arange(text.shape[1]) < lengths[:, None]]
        return whole[begins[:, None] + numpy.arange(symbols)]

    def draw(self, random: numpy.random.Generator, rows: int) -> Batch:
        text, lengths = strings(random, rows)
        scored = numpy.arange(text.shape[1] - 1) < lengths[:, None] - 1
        return Batch(
            inputs=torch.from_numpy(numpy.where(scored, text[:, :-1], 0)),
            targets=torch.from_numpy(numpy.where(scored, text[:, 1:], 0)),
            scored=torch.from_numpy(scored),
            lengths=torch.from_numpy(lengths - 1),
            fresh=torch.ones(rows, dtype=torch.bool),
        )

    def floor_guess(self, batch: Batch) -> Tensor:
        return certain(T, 7, batch)


def strings(random: numpy.random.Generator, count: int) -> tuple[numpy.ndarray, numpy.ndarray]:
    """(count, L) symbols of embedded strings, zeros after each end, and their lengths."""
    written = numpy.array([[SYMBOLS.index(symbol) for symbol in fork] for fork in (*FORKS, "BB")])
    following = numpy.array(NEXT)
    state, inner = numpy.zeros(count, int), []
    while (state < 7).any():
        side = random.integers(0, 2, count)
        inner.append(numpy.where(state < 7, written[state, side], -1))
        state = following[state, side]
    middle = numpy.stack(inner, 1)
    outer = random.integers(T, P + 1, count)
    lengths = (middle >= 0).sum(1) + 4
    text = numpy.concatenate([numpy.zeros((count, 1), int), outer[:, None], numpy.maximum(middle, 0)], 1)
    text = numpy.concatenate([text, numpy.zeros((count, 2), int)], 1)
    text[numpy.arange(count), lengths - 2] = outer
    text[numpy.arange(count), lengths - 1] = E
    return text, lengths
