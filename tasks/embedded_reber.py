"""Embedded Reber grammar: predict the next symbol; the second symbol comes back near the end, whatever lay in between.

    string   B T  B T S X X T V V E  T E        (B, T or P; a string of the Reber grammar; T or P as before; E)
    inputs   B T  B T S X X T V V E  T
    targets  T B  T S X X T V V E T  E          (the T after the inner E is the one that takes memory)

The Reber grammar is an automaton in which every fork is taken one way or the other with probability 1/2. `form=once`: a row is
one string, from its B to its E. `form=continual` (Gers et al. 2000): strings follow one another without a mark, in streams of
windows * window symbols (2000 tests on 10 streams of 100,000) that are read a window at a time with the state carried over;
nothing resets a network in between.

`form=sets` (1997): 256 strings to train on and 256 others, each drawn by itself; a training row is any of the first 256,
validation reads both sets, test the second. `pair` numbers the pair of sets.

`form=streams` (2000, for train.rule=online): a row is a stream of `length` symbols, strings that follow one another, and a
training row ends at its first wrong prediction. Outputs are to be one at all symbols that may come next, else zero; a
prediction is right where each is less than .49 off. Solved is when all of 10 streams are right to their end. `symbols` is the
mean number of symbols before the first wrong prediction. With `reset`, every string begins with no state, as if its beginning
were marked.

The headline is the accuracy on the second outer symbol, which a guess gets right half of the time; `loss` is over all steps.
`error=squared` (1997): outputs are to be one at the next symbol, else zero, or with `aim=possible` one at all that may come;
the headline is then the share of strings at each of whose steps the symbols that may come next are the most active outputs.
Of streams it is the share that is right to the end.

Floor: accuracy 1/2, on the second outer symbol and, where all else is right, of whole strings; of streams 0.

Best: accuracy 1; loss 7 ln 2 / 11 = .441 nats a step (once) and 7 ln 2 / 12 = .404 (continual), what 7 coin tosses in a string
of 12 symbols leave open on average. LSTM without a forget gate fails on the continual form (Gers et al. 2000).

Source: Hochreiter & Schmidhuber 1997, experiment 1; Gers, Schmidhuber & Cummins 2000; the grammar: Smith & Zipser
1989; Cleeremans et al. 1989.

Group: memory probes.
"""

from __future__ import annotations

import functools
from typing import Annotated, Literal

import numpy
import torch
from torch import Tensor

from rnnbench.options import Count, Needs, Positive, Share

from .shared.batch import generator
from .shared.streams import Drawn, Pieces
from .task import Batch, Bits, Dataset, Split, Task, Tokens, asked_steps, certain, error_free, units

SYMBOLS = "BTPSXVE"
FORKS = ("BB", "TP", "SX", "TV", "XS", "PV", "EE")  # what the automaton may write in each state
NEXT = ((1, 1), (2, 3), (2, 4), (3, 5), (3, 6), (4, 6), (7, 7), (7, 7))  # and where it goes; 7 is the end
B, T, P, E = (SYMBOLS.index(symbol) for symbol in "BTPE")


def second_outer(batch: Batch) -> Tensor:
    """(B, S) bool: the steps that ask for the second outer symbol."""
    if batch.targets.dim() == 3:  # after the other E comes B, if it is read
        return (batch.inputs == E) & batch.scored & (batch.targets[..., B] == 0)
    return (batch.inputs == E) & ((batch.targets == T) | (batch.targets == P))


AFTER, DONE, FIRST, SECOND = 7, 8, 9, 10  # after the inner string, after the outer symbol; after the first and second of all
AFTER_T, AFTER_P = 11, 12  # after the inner string, by the outer symbol
READ = [[NEXT[state][symbol == FORKS[state][1]] for symbol in SYMBOLS] for state in range(7)]  # the state after a symbol
READ += [[DONE] * 7, [SECOND] * 7, [SECOND] * 7, READ[0]]
NOTHING = AFTER  # no symbol comes in it
MAY = [[symbol in text for symbol in SYMBOLS] for text in (*FORKS, "", "E", "TP", "B", "T", "P")]  # come next in a state


def states(batch: Batch) -> Tensor:
    """(B, S) the state of the automaton after each symbol of rows that begin with a string."""
    read, now, found = torch.tensor(READ, device=batch.inputs.device), torch.full_like(batch.inputs[:, 0], FIRST), []
    for symbol in batch.inputs.unbind(1)[1:]:
        found.append(now)
        now = read.take(7 * now + symbol)
    after = torch.stack([*found, now], 1)
    return torch.where(after == AFTER, torch.where(batch.inputs[:, 1:2] == T, AFTER_T, AFTER_P), after)


def possible(batch: Batch) -> Tensor:
    """(B, S, 7) bool: the symbols that may come next."""
    return torch.tensor(MAY, device=batch.inputs.device)[states(batch)]


def most_active(outputs: Tensor, batch: Batch) -> Tensor:
    """(B, S) bool: steps at which each symbol that may come next has a larger output than all that may not."""
    may = possible(batch)
    return outputs.masked_fill(~may, torch.inf).amin(-1) > outputs.masked_fill(may, -torch.inf).amax(-1)


class EmbeddedReber(Task):
    version = 1
    structure = "N->N"
    causal = True
    headline = "accuracy"
    direction = "max"
    unit = "share of second outer symbols"
    carries = True
    streams_form = "streams"  # read stream by stream, by train.rule=online

    scoring = asked_steps(second_outer)
    inputs = Tokens(7)
    targets: Tokens | Bits = Tokens(7)
    floor = 1 / 2

    def __init__(
        self,
        form: Literal[
            "once", "continual", "sets", "streams"
        ] = "once",  # once: one string each; continual: a stream without resets; sets: of a fixed set; streams: up to an error
        window: Annotated[
            Positive, Needs("form", values=("continual",))
        ] = 100,  # symbols per window of truncated backpropagation
        windows: Annotated[Positive, Needs("form", values=("continual",))] = 100,  # windows in a stream
        streams: Annotated[
            Positive, Needs("form", values=("continual", "streams"))
        ] = 10,  # streams in the validation set, and in the test set
        sequences: Annotated[
            Positive, Needs("form", values=("once",))
        ] = 1000,  # strings in the validation set, and in the test set
        solved_above: Annotated[
            Share, Needs("form", besides=("streams",))
        ] = 0.99,  # accuracy that counts as solved; streams: 1
        error: Annotated[
            Literal["cross_entropy", "squared"], Needs("form", values=("once", "sets"))
        ] = "cross_entropy",  # loss: cross-entropy, or squared error of outputs from 0 to 1 (1997)
        aim: Annotated[
            Literal["next", "possible"], Needs("error", values=("squared",))
        ] = "next",  # target outputs: the next symbol, or all symbols that may come next
        strings: Annotated[Positive, Needs("form", values=("sets",))] = 256,  # strings in each of the two sets
        pair: Annotated[Count, Needs("form", values=("sets",))] = 0,  # number of the pair of sets
        distinct: Annotated[bool, Needs("form", values=("sets",))] = False,  # no string is in a set twice
        length: Annotated[Positive, Needs("form", values=("streams",))] = 100_000,  # symbols in a stream
        train_length: Annotated[
            Count, Needs("form", values=("streams",))
        ] = 0,  # symbols after which a stream of training ends; 0: length
        reset: Annotated[bool, Needs("form", values=("streams",))] = False,  # each string of a stream begins with no state
    ):
        self.form, self.window, self.windows, self.streams = form, window, windows, streams
        self.sequences, self.solved_above = sequences, solved_above
        self.carries = form == "continual"  # type: ignore[misc]  # the class says what may be, the task what is
        if error == "squared" and form in ("once", "sets"):
            self.right_within, self.scoring, self.aim = 0.5, units(most_active), aim
            self.unit = "share of strings"  # type: ignore[misc]
            if aim == "possible":
                self.targets = Bits(7)
        if form == "streams":
            self.right_within, self.targets, self.floor = 0.49, Bits(7), 0.0
            self.scoring, self.unit = error_free(self.right_within), "share of streams"  # type: ignore[misc]
            self.solved_above = 1 - 1 / (2 * streams)  # all of them
            self.dataset = Pieces(linked_strings, length, train_length or length, streams, reset)
        if form == "sets":
            self.dataset = PairOfSets(strings, pair, distinct)
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
        return as_batch(*strings(random, rows))

    def batch(self, split: Split, index: int, batch_size: int, seed: int) -> Batch:
        batch = super().batch(split, index, batch_size, seed)
        if isinstance(self.targets, Bits) and batch.targets.dim() == 2:
            batch = batch._replace(targets=possible(batch).float() * batch.scored.unsqueeze(-1))
        return batch

    def floor_guess(self, batch: Batch) -> Tensor:
        if self.right_within is None:
            return certain(T, 7, batch)
        guess = torch.nn.functional.one_hot(torch.full_like(batch.inputs, T), 7).float()
        may = batch.targets if isinstance(self.targets, Bits) else possible(batch).float()
        return torch.where(second_outer(batch).unsqueeze(-1), guess, may)


class PairOfSets(Dataset):
    """A set of strings to train on, and one of others; see above."""

    def __init__(self, size: int, pair: int, distinct: bool):
        self.size, self.pair, self.distinct = size, pair, distinct

    @functools.cached_property
    def sets(self) -> dict[Split, list[bytes]]:
        """The strings that are read of each split, as bytes."""
        random, train, test = generator(1997, self.pair), list[bytes](), list[bytes]()
        while len(test) < self.size:
            text, lengths = strings(random, 1)
            string = text[0, : lengths[0]].astype(numpy.uint8).tobytes()
            if len(train) < self.size:
                if not self.distinct or string not in train:
                    train.append(string)
            elif string not in train and (not self.distinct or string not in test):
                test.append(string)
        return {"train": train, "validation": train + test, "test": test}

    def batches(self, split: Split, batch_size: int) -> int:
        return -(-len(self.sets[split]) // batch_size)

    def batch(self, split: Split, index: int, batch_size: int, seed: int) -> Batch:
        chosen = self.sets[split][index * batch_size : (index + 1) * batch_size]
        if split == "train":
            chosen = [self.sets[split][at] for at in generator(index, seed).integers(0, self.size, batch_size)]
        lengths = numpy.array([len(string) for string in chosen])
        text = numpy.zeros((len(chosen), lengths.max()), int)
        for row, string in enumerate(chosen):
            text[row, : len(string)] = numpy.frombuffer(string, numpy.uint8)
        return as_batch(text, lengths)


def as_batch(text: numpy.ndarray, lengths: numpy.ndarray) -> Batch:
    """(rows, L) strings with their lengths: each symbol is read, the one after it is asked for."""
    scored = numpy.arange(text.shape[1] - 1) < lengths[:, None] - 1
    return Batch(
        inputs=torch.from_numpy(numpy.where(scored, text[:, :-1], 0)),
        targets=torch.from_numpy(numpy.where(scored, text[:, 1:], 0)),
        scored=torch.from_numpy(scored),
        lengths=torch.from_numpy(lengths - 1),
        fresh=torch.ones(len(text), dtype=torch.bool),
    )


def linked_strings(random: numpy.random.Generator, rows: int) -> Batch:
    """Strings that follow one another: after the last E of each comes the B of the next. Targets are all that may come."""
    text, lengths = strings(random, rows)
    batch = as_batch(numpy.pad(text, ((0, 0), (0, 1)), constant_values=B), lengths + 1)
    return batch._replace(targets=torch.tensor(MAY).float()[torch.where(batch.scored, states(batch), NOTHING)])


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
