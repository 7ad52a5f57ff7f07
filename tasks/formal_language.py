"""Formal language: short strings to learn from, longer ones to be tested on.

    parity              inputs  1 0 1 1          target  1, at the end: is the number of ones odd?
    modular_arithmetic  inputs  1 + 2 * 3        target  2, at the end: the value modulo 5, * before + and -
    even_pairs          inputs  1 0 1 1          target  0, at the end: is the number of 01 and 10 together odd?
    cycle_navigation    inputs  > > = <          target  1, at the end: the place on a circle of 5, begun at 0
    dyck                inputs  ( [ ] ) (        each step: which brackets may come next; after "( [": ( [ ]
    anbn                inputs  S a a b b        each step: what may come next; a, ab, ab, b, T (the end)
    anbncn              inputs  S a a b b c c    each step: what may come next; a, ab, ab, b, c, c, T

A row's length is uniform, 1 to `longest` in training and validation, `test_shortest` to `test_longest` in test, before it is
cut to what the language allows: odd (modular_arithmetic), 2 n (dyck, anbn) or 3 n (anbncn), n at least 1. Dyck words are
uniform among the words of their length; `kinds` says how many kinds of brackets there are. A row is right where all its
answers are.

Where Deletang et al. (2023) ask once, so do parity, modular_arithmetic, even_pairs and cycle_navigation here: with the last
symbol, or, with `answer=blank`, as in their code, with a symbol more that is put after each string. With `lengths=batch` all
strings of a training batch have one length, as there. That every step says what may come next is the
way of Gers & Schmidhuber (2001) for the counting languages and of Suzgun et al. (2019) for Dyck words.

Floor: accuracy of the best guess that sees the present symbol only: for length 2 and more, 1/2 (parity, even_pairs); the most
likely value given the last digit (modular_arithmetic), the most likely place given the last move (cycle_navigation), both
computed exactly, and given nothing with answer=blank; 1 over the Catalan number of n, for words that are ( ) ( ) ( ) ...
(dyck); the share of n = 1 (anbn, anbncn). Averaged over the lengths of the test.

Best: 1; RNNs and LSTMs reach it on lengths to 500 in the four languages of Deletang et al. (2023, best of 10 seeds).

Source: Deletang et al. 2023, arXiv:2207.02098; Gers & Schmidhuber 2001; Suzgun et al. 2019, arXiv:1911.03329.

Group: memory probes.
"""

from __future__ import annotations

import functools
import math
from typing import Annotated, Literal

import numpy
import torch
from torch import Tensor
from torch.nn import functional

from rnnbench.options import Needs, Positive, Share

from .task import (
    SPLITS,
    Batch,
    Bits,
    Generated,
    Split,
    Stream,
    Sums,
    Task,
    Tokens,
    Totals,
    bits_cross_entropy,
    correct,
    cross_entropy,
)

MODULUS = 5
PLUS, MINUS, TIMES = 5, 6, 7  # tokens after the digits
PLACES = 5  # on the circle; moves are 0 (left), 1 (stay), 2 (right)
ONCE = ("parity", "modular_arithmetic", "even_pairs", "cycle_navigation")  # languages that ask once


class FormalLanguage(Task):
    version = 1
    structure = "N->N"
    causal = True
    headline = "accuracy"
    direction = "max"
    unit = "share of strings"

    def __init__(
        self,
        language: Literal[
            "parity", "modular_arithmetic", "even_pairs", "cycle_navigation", "dyck", "anbn", "anbncn"
        ] = "parity",  # the language; see above
        kinds: Annotated[Positive, Needs("language", values=("dyck",))] = 2,  # kinds of brackets
        longest: Positive = 40,  # largest length in training and validation
        test_shortest: Positive = 41,  # smallest length in test
        test_longest: Positive = 500,  # largest length in test
        sequences: Positive = 1000,  # strings in the validation set, and in the test set
        solved_above: Share = 0.99,  # accuracy that counts as solved
        answer: Annotated[
            Literal["last", "blank"],
            Needs("language", values=("parity", "modular_arithmetic", "even_pairs", "cycle_navigation")),
        ] = "last",  # step of the answer: the last symbol, or a blank after it
        lengths: Literal["row", "batch"] = "row",  # in training, a random length per sequence, or per batch
    ):
        if test_shortest > test_longest:
            raise ValueError(f"task.test_shortest={test_shortest} is more than task.test_longest={test_longest}")
        self.language, self.kinds, self.sequences, self.solved_above = language, kinds, sequences, solved_above
        self.blank, self.one_length = answer == "blank" and language in ONCE, lengths == "batch"
        self.lengths = dict.fromkeys(SPLITS, (1, longest)) | {"test": (test_shortest, test_longest)}
        streams: dict[str, tuple[Stream, Stream]] = {
            "parity": (Tokens(2), Tokens(2)),
            "modular_arithmetic": (Tokens(MODULUS + 3), Tokens(MODULUS)),
            "even_pairs": (Tokens(2), Tokens(2)),
            "cycle_navigation": (Tokens(3), Tokens(PLACES)),
            "dyck": (Tokens(2 * kinds), Bits(2 * kinds)),
            "anbn": (Tokens(3), Bits(3)),
            "anbncn": (Tokens(4), Bits(4)),
        }
        self.inputs, self.targets = streams[language]
        if self.blank:
            self.inputs = Tokens(self.inputs.size + 1)
        self.dataset = Generated(self._draw, sequences)

    @functools.cached_property
    def floor(self) -> float:
        shortest, longest = self.lengths["test"]
        lengths = numpy.arange(shortest, longest + 1)
        if self.language == "parity" and not self.blank:
            return float(numpy.where(lengths > 1, 0.5, 1).mean())
        if self.language in ONCE:
            return float(self._answers.max(1).mean())
        repeats = numpy.maximum(lengths // (3 if self.language == "anbncn" else 2), 1).tolist()
        if self.language == "dyck":
            return sum((n + 1) / math.comb(2 * n, n) for n in repeats) / len(repeats)
        return sum(n == 1 for n in repeats) / len(repeats)

    @functools.cached_property
    def _answers(self) -> numpy.ndarray:
        """(symbol, answer): how likely each answer is over the lengths of the test, given the symbol with which it is asked."""
        shortest, longest = self.lengths["test"]
        lengths = numpy.arange(shortest, longest + 1)
        if self.language == "modular_arithmetic":
            found = values_given_last_digit((lengths + 1) // 2)
        elif self.language == "cycle_navigation":
            found = numpy.mean([places_given_last_move(length) for length in lengths.tolist()], 0)
        else:
            alone = numpy.eye(2) if self.language == "parity" else numpy.array([[1.0, 0.0]] * 2)  # a string of one symbol
            found = (lengths == 1).mean() * alone + (lengths > 1).mean() / 2
        return found.mean(0, keepdims=True) if self.blank else found

    def _draw(self, random: numpy.random.Generator, rows: int, split: Split) -> Batch:
        shortest, longest = self.lengths[split]
        lengths = random.integers(shortest, longest + 1, rows)
        if self.one_length and split == "train":
            lengths[:] = lengths[0]
        if self.language in DRAWN:
            inputs, targets = DRAWN[self.language](random, lengths)
        elif self.language == "modular_arithmetic":
            lengths -= lengths % 2 == 0
            inputs, targets = modular_arithmetic(random, lengths)
        elif self.language == "dyck":
            lengths = numpy.maximum(lengths // 2, 1) * 2
            inputs, targets = dyck(random, lengths, self.kinds)
        else:
            letters = self.inputs.size - 1
            repeats = numpy.maximum(lengths // letters, 1)
            lengths = repeats * letters + 1
            inputs, targets = counting(repeats, letters)
        if self.blank:
            inputs, targets = (numpy.pad(part, ((0, 0), (0, 1))) for part in (inputs, targets))
            inputs[numpy.arange(rows), lengths] = self.inputs.size - 1
            targets[numpy.arange(rows), lengths] = targets[numpy.arange(rows), lengths - 1]
            lengths = lengths + 1
        steps = numpy.arange(inputs.shape[1])
        valid = steps < lengths[:, None]
        scored = valid if isinstance(self.targets, Bits) else steps == lengths[:, None] - 1
        mask = scored[..., None] if isinstance(self.targets, Bits) else scored
        return Batch(
            torch.from_numpy(numpy.where(valid, inputs, 0)),
            torch.from_numpy(numpy.where(mask, targets, 0)),
            scored=torch.from_numpy(scored),
            lengths=torch.from_numpy(lengths),
            fresh=torch.ones(rows, dtype=torch.bool),
        )

    def loss(self, outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        return (cross_entropy if isinstance(self.targets, Tokens) else bits_cross_entropy)(outputs, batch)

    def score(self, outputs: Tensor, batch: Batch) -> Sums:
        total, count = self.loss(outputs.double(), batch)
        if isinstance(self.targets, Tokens):
            right = correct(outputs, batch)
        else:
            right = ((outputs > 0) == (batch.targets > 0)).all(-1) & batch.scored
        asked = batch.scored.any(1)
        return {
            "nats": total,
            "steps": count.double(),
            "right": right.sum().double(),
            "correct": ((right == batch.scored).all(1) & asked).sum().double(),
            "strings": asked.sum().double(),
        }

    def finish(self, sums: Totals) -> dict[str, float]:
        scores = {"accuracy": sums["correct"] / sums["strings"], "loss": sums["nats"] / sums["steps"]}
        return {**scores, "steps_right": sums["right"] / sums["steps"]}

    def floor_guess(self, batch: Batch) -> Tensor:
        present = batch.inputs
        if self.language == "parity" and not self.blank:
            return functional.one_hot(present, 2).float()
        if self.language in ONCE:
            return torch.from_numpy(self._answers).to(present.device)[present.clamp(max=len(self._answers) - 1)]
        size = self.targets.size
        allowed = torch.zeros(self.inputs.size, size, device=present.device)
        if self.language == "dyck":
            allowed[:, : self.kinds] = 1
            allowed[: self.kinds, self.kinds :] = torch.eye(self.kinds, device=present.device)
        else:  # S: a; a: a or b; b: the next letter, or the end
            allowed[range(size), range(size)] = 1
            allowed[1, 0] = 1
        return 2 * allowed[present] - 1


def parity(random: numpy.random.Generator, lengths: numpy.ndarray) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Bits, and at each step whether the ones so far are odd."""
    bits = random.integers(0, 2, (len(lengths), lengths.max()))
    return bits, bits.cumsum(1) % 2


def even_pairs(random: numpy.random.Generator, lengths: numpy.ndarray) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Bits, and at each step whether neighbours differed an odd number of times so far."""
    bits = random.integers(0, 2, (len(lengths), lengths.max()))
    return bits, (numpy.diff(bits, axis=1, prepend=bits[:, :1]) != 0).cumsum(1) % 2


def cycle_navigation(random: numpy.random.Generator, lengths: numpy.ndarray) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Moves, and at each step the place after them."""
    moves = random.integers(0, 3, (len(lengths), lengths.max()))
    return moves, (moves - 1).cumsum(1) % PLACES


DRAWN = {"parity": parity, "even_pairs": even_pairs, "cycle_navigation": cycle_navigation}  # strings of any length


def places_given_last_move(length: int) -> numpy.ndarray:
    """(move, place): how likely each place is after `length` moves where the last one is known."""
    before = numpy.eye(PLACES)[0]
    for _ in range(length - 1):
        before = (numpy.roll(before, -1) + before + numpy.roll(before, 1)) / 3
    return numpy.array([numpy.roll(before, move - 1) for move in range(3)])


def modular_arithmetic(random: numpy.random.Generator, lengths: numpy.ndarray) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Digits and signs by turns, and at each digit the value so far."""
    tokens = random.integers(0, MODULUS, (len(lengths), lengths.max()))
    tokens[:, 1::2] = random.integers(PLUS, TIMES + 1, tokens[:, 1::2].shape)
    values = numpy.zeros_like(tokens)
    total, product = numpy.zeros(len(tokens), int), tokens[:, 0]
    values[:, 0] = product
    for step in range(2, tokens.shape[1], 2):
        sign, digit = tokens[:, step - 1], tokens[:, step]
        total = numpy.where(sign == TIMES, total, total + product)
        product = numpy.where(sign == TIMES, product * digit, numpy.where(sign == PLUS, digit, -digit)) % MODULUS
        values[:, step] = (total + product) % MODULUS
    return tokens, values


def values_given_last_digit(terms: numpy.ndarray) -> numpy.ndarray:
    """(digit, value): how likely each value is where the last digit is known, over expressions of so many terms."""
    digits = numpy.arange(MODULUS)
    total, product, digit = numpy.meshgrid(digits, digits, digits, indexing="ij")
    shares = numpy.zeros((MODULUS, MODULUS))  # of (total, product) so far
    shares[0] = 1 / MODULUS
    by_terms = {1: numpy.eye(MODULUS)}
    for count in range(2, int(terms.max()) + 1):
        table, following = numpy.zeros((MODULUS, MODULUS)), numpy.zeros((MODULUS, MODULUS))
        weight = shares[total, product] / 3  # of each of three signs, for each digit
        for new_total, new_product in ((total + product, digit), (total + product, -digit), (total, product * digit)):
            numpy.add.at(table, (digit, (new_total + new_product) % MODULUS), weight)
            numpy.add.at(following, (new_total % MODULUS, new_product % MODULUS), weight / MODULUS)
        shares, by_terms[count] = following, table
    return numpy.mean([by_terms[count] for count in terms.tolist()], 0)


def dyck(random: numpy.random.Generator, lengths: numpy.ndarray, kinds: int) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Uniform words, opening brackets 0 to kinds - 1 and their closing ones after them, and what may come next."""
    rows, steps = len(lengths), int(lengths.max())
    row, step = numpy.arange(rows), numpy.arange(steps + 1)
    # one more down than up in random order: just one rotation, that from after the first lowest point, is a word and a down
    order = numpy.where(step <= lengths[:, None], random.random((rows, steps + 1)), 2).argsort(1).argsort(1)
    move = numpy.where(order < lengths[:, None] // 2, 1, -1)
    height = numpy.where(step <= lengths[:, None], move.cumsum(1), steps)
    begin = height.argmin(1)[:, None] + 1
    move = numpy.take_along_axis(move, (begin + step) % (lengths[:, None] + 1), 1)[:, :steps]
    opens, depth = move > 0, numpy.maximum(move.cumsum(1), 0)  # padding may close what is not open
    level = depth + ~opens  # of the bracket that is read
    kind = random.integers(0, kinds, (rows, steps))
    opened, top = numpy.zeros((rows, steps + 2), int), numpy.zeros((rows, steps), int)
    for now in range(steps):
        kind[:, now] = opened[row, level[:, now]] = numpy.where(opens[:, now], kind[:, now], opened[row, level[:, now]])
        top[:, now] = opened[row, depth[:, now]]
    nexts = numpy.zeros((rows, steps, 2 * kinds), numpy.float32)
    nexts[..., :kinds] = 1
    numpy.put_along_axis(nexts, kinds + top[..., None], (depth > 0)[..., None], 2)
    return kind + kinds * ~opens, nexts


def counting(repeats: numpy.ndarray, letters: int) -> tuple[numpy.ndarray, numpy.ndarray]:
    """S and each letter as often as `repeats` says, and what may come next: the letters and the end."""
    steps = numpy.arange(repeats.max() * letters + 1)
    letter = (steps + repeats[:, None] - 1) // repeats[:, None]  # 0 is S
    follows = (steps + repeats[:, None]) // repeats[:, None]  # the letter of the next step
    follows[:, 0] = 1
    nexts = numpy.zeros((len(repeats), len(steps), letters + 1), numpy.float32)
    numpy.put_along_axis(nexts, numpy.minimum(follows - 1, letters)[..., None], 1, 2)
    nexts[letter == 1, :2] = 1  # where the letters a end is not known
    return numpy.minimum(letter, letters), nexts
