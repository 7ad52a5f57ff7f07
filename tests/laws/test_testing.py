"""The public laws: what is right passes; what breaks a law is told in one line, and by no other name."""

from __future__ import annotations

import numpy
import pytest
import torch
from torch import Tensor

from rnnbench.models.cells.gru import GRU
from rnnbench.models.cells.rnn import RNN
from rnnbench.models.cells.tcn import TCN
from rnnbench.models.mechanism import Mechanism, State, Step
from rnnbench.tasks.adding import Adding
from rnnbench.tasks.task import Batch
from rnnbench.tasks.temporal_order import TemporalOrder
from rnnbench.testing import check_cell, check_task


class Doubled(torch.autograd.Function):
    """tanh, with twice its gradient."""

    @staticmethod
    def forward(ctx, a: Tensor) -> Tensor:
        ctx.save_for_backward(y := a.tanh())
        return y

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return 2 * gradient * (1 - y * y)


class Plain(Mechanism):
    """h_t = tanh(W x_t + R h_{t-1})"""

    def __init__(self, input_size: int, hidden_size: int = 8):
        super().__init__()
        self.input_size, self.output_size = input_size, hidden_size
        self.W = torch.nn.Parameter(torch.randn(hidden_size, input_size))
        self.R = torch.nn.Parameter(0.5 * torch.randn(hidden_size, hidden_size))

    def initial_state(self, batch_size: int) -> Tensor:
        return self.R.new_zeros(batch_size, self.output_size)

    def step(self, x: Tensor, state: State, seen: Tensor | None = None) -> Step:
        h = self.act(x @ self.W.t() + (state if seen is None else seen) @ self.R.t())
        return h, h, {}

    def act(self, a: Tensor) -> Tensor:
        return a.tanh()


class WrongGradient(Plain):
    def act(self, a):
        return Doubled.apply(a)


class ReadsTheFuture(Plain):
    def unroll(self, x, state, lengths=None):
        return super().unroll(x + x.mean(0), state, lengths)


class MixesRows(Plain):
    def act(self, a):
        return (a - a.mean(0)).tanh()


class IgnoresLengths(Plain):
    def unroll(self, x, state, lengths=None):
        return super().unroll(x, state)


class ForgetsTheState(Plain):
    def unroll(self, x, state, lengths=None):
        return super().unroll(x, self.initial_state(x.shape[1]), lengths)


class AnotherOutput(Plain):
    def step(self, x, state, seen=None):
        y, state, gates = super().step(x, state, seen)
        return 2 * y, state, gates


class WildGate(Plain):
    def step(self, x, state, seen=None):
        y, state, _ = super().step(x, state, seen)
        return y, state, {"z": y * 3}


class Noisy(Plain):
    def act(self, a):
        return (a + torch.randn_like(a)).tanh()


class Overflows(Plain):
    def act(self, a):
        e = torch.exp(60 * a)
        return 2 * e / (1 + e) - 1


class OverflowsLater(Overflows):
    def act(self, a):
        return super().act(a / 10)


class NotANumber(Plain):
    def act(self, a):
        return super().act(a).log()


class TwoValues(Plain):
    def step(self, x, state, seen=None):
        return super().step(x, state, seen)[:2]


class GatesInAList(Plain):
    def step(self, x, state, seen=None):
        y, state, _ = super().step(x, state, seen)
        return y, state, [y]


class Unsaved(Plain):
    """Learns what no state_dict holds."""

    def __init__(self, input_size: int, hidden_size: int = 8):
        super().__init__(input_size, hidden_size)
        self.hidden = [torch.nn.Parameter(torch.randn(hidden_size, dtype=torch.double))]

    def parameters(self, recurse: bool = True):
        return [*super().parameters(recurse), *self.hidden]

    def act(self, a):
        return (a + self.hidden[0]).tanh()


@pytest.mark.parametrize("cell", [Plain, RNN, GRU, TCN], ids=lambda cell: cell.__name__)
def test_what_is_right_passes(cell):
    before = torch.get_rng_state()
    check_cell(cell)
    assert torch.equal(torch.get_rng_state(), before)


BROKEN = {
    WrongGradient: "a wrong gradient: it does not agree with finite differences",
    ReadsTheFuture: "reads the future: outputs before step 1 change with inputs from there on",
    MixesRows: "a row's output depends on the other rows of its batch",
    IgnoresLengths: "the state is not that after each row's last valid step",
    ForgetsTheState: "outputs of chunks of 1 steps, the state carried, are not those of the whole",
    AnotherOutput: "the last valid output is not the first tensor of the state",
    WildGate: "gate z is not between 0 and 1",
    Unsaved: "saved weights, loaded again, give other outputs",
    Overflows: "in float32, outputs are not finite",
    OverflowsLater: "in float32, outputs for inputs up to 30 are not finite",
    NotANumber: "outputs are not finite",
    TwoValues: "step returns the output, the state after it and its gates by name; got 2 values",
    GatesInAList: "gates are tensors by name; got list",
    Noisy: "in evaluation mode, the same input gives another output",
}


@pytest.mark.parametrize("cell", BROKEN, ids=lambda cell: cell.__name__)
def test_what_is_broken_is_said(cell):
    with pytest.raises(AssertionError) as failed:
        check_cell(cell)
    lines = str(failed.value).splitlines()
    assert all(line.startswith(f"{cell.__name__}: ") for line in lines)
    assert any(BROKEN[cell] in line for line in lines), lines
    if cell in (NotANumber, TwoValues, GatesInAList):
        assert BROKEN[cell] in lines[0]  # the first says what is wrong, not what comes of it
    if cell in (WrongGradient, AnotherOutput, WildGate):
        assert len(lines) == 1, lines


def test_an_error_in_a_cell_is_a_line():
    class Raises(Plain):
        def step(self, x, state, seen=None):
            raise RuntimeError("no\nluck")

    with pytest.raises(AssertionError, match=r"^Raises: test_testing\.py:\d+: RuntimeError: no luck$"):
        check_cell(Raises)


def test_an_assertion_of_the_cell_itself_breaks_a_law():
    class Asserts(Plain):
        def step(self, x, state, seen=None):
            assert len(x) < 0
            return super().step(x, state, seen)

    with pytest.raises(AssertionError, match=r"^Asserts: test_testing\.py:\d+: AssertionError"):
        check_cell(Asserts)


class Remembers(Adding):
    """Draws from a generator of its own, so that a batch depends on what was drawn before."""

    def __init__(self, length: int = 10, sequences: int = 100):
        super().__init__(length=length, sequences=sequences)
        self.own = numpy.random.default_rng(0)

    def draw(self, random, rows):
        return super().draw(self.own, rows)


class WrongFloor(Adding):
    floor = 0.3


class CountsAll(Adding):
    def loss(self, outputs, batch):
        total, count = super().loss(outputs, batch)
        return total, count + 1


class Integers(Adding):
    def draw(self, random, rows) -> Batch:
        batch = super().draw(random, rows)
        return batch._replace(targets=batch.targets.long())


class OneSeed(Adding):
    def batch(self, split, index, batch_size, seed):
        return super().batch(split, index, batch_size, 0)


class ThreeClasses(TemporalOrder):
    def __init__(self, length: int = 10, sequences: int = 100):
        super().__init__(length=length, sequences=sequences)
        self.classes = ["neg", "pos", "other"]


class Numbered(ThreeClasses):
    def class_names(self):
        return list(range(4))


class NamedNumbers(Adding):
    def class_names(self):
        return ["a sum"]


WRONG = {
    ThreeClasses: "`classes` has 3 names; the targets are Tokens(size=4)",
    Numbered: "a name in `classes` is no text",
    NamedNumbers: "`classes` has 1 names; the targets are Reals(size=1)",
    Remembers: "batches of train depend on what was drawn before",
    WrongFloor: "`floor` is 0.3, and `floor_guess` scores 0.1",
    CountsAll: "steps, of which 6 are scored",
    Integers: "`targets` is torch.int64 (4, 1, 1); expected torch.float32 (4, 1, 1) for Reals(size=1)",
    OneSeed: "another seed gives the same training batches",
}


@pytest.mark.parametrize("task", WRONG, ids=lambda task: task.__name__)
def test_what_is_wrong_with_a_task_is_said(task):
    check_task(Adding, length=10, sequences=100)
    with pytest.raises(AssertionError) as failed:
        check_task(task, length=10, sequences=100)
    assert any(WRONG[task] in line for line in str(failed.value).splitlines()), str(failed.value)
