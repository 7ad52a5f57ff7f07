"""Laws over every mechanism, alone and stacked."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from rnnbench import config, models
from rnnbench.models import MODELS
from rnnbench.models.mechanism import Mechanism, at_last, flip, tree_map
from rnnbench.models.stack import Stack

OPTIONS: dict[str, list[dict]] = {
    "rnn": [{}, {"nonlinearity": "relu"}, {"nonlinearity": "relu", "recurrent_init": "identity", "input_init": "small"}],
    "lstm": [{}, {"forget_bias": 5.0, "recurrent_init": "orthogonal"}],
    "peephole_lstm": [{}, {"recurrent_init": "glorot"}],
    "gru": [{}, {"update_bias": 2.0}],
}
CASES = [(name, options) for name in MODELS for options in OPTIONS.get(name, [{}])]
B, T, D, H = 4, 7, 3, 5
LENGTHS = torch.tensor([7, 3, 1, 5])


@pytest.fixture(params=CASES, ids=lambda case: " ".join([case[0], *map(str, case[1].values())]))
def cell(request) -> Mechanism:
    torch.manual_seed(0)
    name, options = request.param
    return MODELS[name](D, hidden_size=H, **options).double().eval()


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(B, T, D, dtype=torch.double, generator=torch.Generator().manual_seed(1))


def leaves(state) -> list[torch.Tensor]:
    return [state] if isinstance(state, torch.Tensor) else [leaf for part in state for leaf in leaves(part)]


def close(a, b, tolerance=1e-12):
    for one, other in zip(leaves(a), leaves(b), strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


def test_every_mechanism_is_listed():
    assert set(MODELS) == set(models.sources())
    for name, cls in MODELS.items():
        assert config.signature("mechanism", name).class_name == cls.__name__
        assert config.signature("mechanism", name).doc_line("Source")


def test_whole_equals_chunks_equals_steps(cell, x):
    y, state = cell(x)
    for size in (1, 3):
        carried, parts = None, []
        for chunk in x.split(size, 1):
            part, carried = cell(chunk, carried)
            parts.append(part)
        close(torch.cat(parts, 1), y)
        close(carried, state)


def test_padding_changes_no_output_state_or_gradient(cell, x):
    x.requires_grad_()
    y, state = cell(x, None, LENGTHS)
    valid = torch.arange(T) < LENGTHS.unsqueeze(1)
    loss = y[valid].square().sum() + sum(leaf.pow(3).sum() for leaf in leaves(state))
    gradients = torch.autograd.grad(loss, [x, *cell.parameters()])
    alone = [cell(x[row : row + 1, :length]) for row, length in enumerate(LENGTHS.tolist())]
    for row, (one, end) in enumerate(alone):
        close(y[row, : LENGTHS[row]], one[0])
        close([leaf[row] for leaf in leaves(state)], [leaf[0] for leaf in leaves(end)])
    parts = [one.square().sum() + sum(leaf.pow(3).sum() for leaf in leaves(end)) for one, end in alone]
    expected = torch.autograd.grad(sum(parts), [x, *cell.parameters()])
    close(gradients, expected, 1e-9)
    assert not gradients[0][~valid].any()
    other = torch.where(valid.unsqueeze(-1), x, 100.0)
    changed, end = cell(other, None, LENGTHS)
    close(changed[valid], y[valid])
    close(end, state)


def test_gradients_agree_with_finite_differences(cell, x):
    x = x[:2, :3].clone().requires_grad_()
    state = tree_map(lambda leaf: torch.randn_like(leaf).requires_grad_(), cell.initial_state(2))
    parameters = list(cell.parameters())

    def run(x, *inputs):
        it = iter(inputs)
        start = tree_map(lambda _: next(it), state)
        y, end = cell(x, start)
        return (y, *leaves(end))

    assert torch.autograd.gradcheck(run, (x, *leaves(state)), atol=1e-6)
    del parameters


def test_last_output_is_the_final_state(cell, x):
    y, state = cell(x, None, LENGTHS)
    close(at_last(y, LENGTHS), leaves(state)[0])


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru"])
def test_parity_with_the_library_and_exact_count(name, x):
    library = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[name](D, H, batch_first=True).double()
    cell = MODELS[name](D, hidden_size=H).double()
    with torch.no_grad():
        for ours, theirs in zip((cell.W, cell.R, cell.b_i, cell.b_h), library.parameters(), strict=True):
            ours.copy_(theirs)
    close(cell(x)[0], library(x)[0])
    assert sum(p.numel() for p in cell.parameters()) == sum(p.numel() for p in library.parameters())
    gates = {"rnn": 1, "lstm": 4, "gru": 3}[name]
    assert sum(p.numel() for p in cell.parameters()) == gates * (H * D + H * H + 2 * H)


def test_peephole_with_no_peepholes_is_the_lstm(x):
    lstm, peephole = MODELS["lstm"](D, hidden_size=H).double(), MODELS["peephole_lstm"](D, hidden_size=H).double()
    peephole.load_state_dict({**lstm.state_dict(), "p": torch.zeros(3, H)})
    close(peephole(x)[0], lstm(x)[0])
    assert sum(p.numel() for p in peephole.parameters()) == sum(p.numel() for p in lstm.parameters()) + 3 * H


def test_peephole_reference_value():
    """The first output of a peephole LSTM of five units whose weights are all one, as a Keras-style reference gives it."""
    cell = MODELS["peephole_lstm"](4, hidden_size=5)
    with torch.no_grad():
        for weight in (cell.W, cell.R, cell.p):
            weight.fill_(1)
        cell.b_i.zero_(), cell.b_h.zero_()
        cell.b_i[5:10] = 1
    y, _ = cell(torch.eye(4)[:1].unsqueeze(0))
    torch.testing.assert_close(y, torch.full((1, 1, 5), 0.417551), rtol=0, atol=1e-6)


def test_forget_bias_is_what_was_asked():
    for name in ("lstm", "peephole_lstm"):
        cell = MODELS[name](D, hidden_size=H, forget_bias=3.0)
        assert torch.equal((cell.b_i + cell.b_h)[H : 2 * H], torch.full((H,), 3.0))


# around a mechanism

STACKS = list(itertools.product(MODELS, [1, 2], [False, True]))


@pytest.mark.parametrize(("name", "layers", "bidirectional"), STACKS)
def test_stack_pads_rightly_and_resumes(name, layers, bidirectional, x):
    torch.manual_seed(0)
    stack = Stack(lambda size: MODELS[name](size, hidden_size=H), D, layers, bidirectional).double().eval()
    y, state = stack(x, None, LENGTHS)
    assert y.shape == (B, T, stack.output_size) == (B, T, H * (1 + bidirectional))
    for row, length in enumerate(LENGTHS.tolist()):
        one, end = stack(x[row : row + 1, :length])
        close(y[row, :length], one[0])
        close([leaf[row] for leaf in leaves(state)], [leaf[0] for leaf in leaves(end)])
        close(stack.last(y, LENGTHS)[row], stack.last(one, None)[0])
    assert len(state) == layers
    close(tree_map(torch.zeros_like, state), stack.initial_state(B))
    if not bidirectional:
        first, carried = stack(x[:, :3])
        rest, _ = stack(x[:, 3:], carried)
        close(torch.cat([first, rest], 1), stack(x)[0])


@pytest.mark.parametrize("name", MODELS)
def test_every_token_reaches_a_bidirectional_summary(name, x):
    torch.manual_seed(0)
    stack = Stack(lambda size: MODELS[name](size, hidden_size=H), D, 1, True).double().eval()
    summary = stack.last(stack(x, None, LENGTHS)[0], LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        for step in range(length):
            changed = x.clone()
            changed[row, step] += 1
            other = stack.last(stack(changed, None, LENGTHS)[0], LENGTHS)
            assert (other[row, :H] != summary[row, :H]).any()
            assert (other[row, H:] != summary[row, H:]).any()


def test_bidirectional_stack_equals_the_library(x):
    library = nn.LSTM(D, H, num_layers=2, bidirectional=True, batch_first=True).double()
    stack = Stack(lambda size: MODELS["lstm"](size, hidden_size=H), D, 2, True).double()
    with torch.no_grad():
        for ours, theirs in zip(stack.parameters(), library.parameters(), strict=True):
            ours.copy_(theirs)
    close(stack(x)[0], library(x)[0])


def test_flip_reverses_the_valid_steps_and_is_its_own_inverse(x):
    there = flip(x, LENGTHS)
    assert torch.equal(there[1, :3], x[1, :3].flip(0))
    assert torch.equal(there[1, 3:], x[1, 3:])
    assert torch.equal(flip(there, LENGTHS), x)


def test_dropout_stands_between_layers_only():
    stack = Stack(lambda size: MODELS["gru"](size, hidden_size=H), D, 1, False, dropout=0.9).train()
    x = torch.randn(B, T, D)
    assert torch.equal(stack(x)[0], stack(x)[0])
    deep = Stack(lambda size: MODELS["gru"](size, hidden_size=H), D, 2, False, dropout=0.9).train()
    assert not torch.equal(deep(x)[0], deep(x)[0])
