"""One-line facts about recurrent layers where texts err or leave doubt, of the library's layers and of ours.

Notation: B rows, T steps, I inputs, H units; weights are random and in float64, so that equal means equal to rounding.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from rnnbench.models.registry import MODELS
from rnnbench.models.stack import Stack
from tests.support.zoo import B, D, H, T, close, leaves, make

P = 2  # units of a projection
LIBRARY = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
CELLS = {"rnn": nn.RNNCell, "gru": nn.GRUCell, "lstm": nn.LSTMCell}
GATED = sorted(LIBRARY)


def library(name: str, **options) -> nn.Module:
    torch.manual_seed(0)
    return LIBRARY[name](D, H, batch_first=True, **options).double()


def stack(name: str, bidirectional: bool = False, layers: int = 1, **options) -> Stack:
    torch.manual_seed(0)
    return Stack(lambda size: MODELS[name](size, hidden_size=H, **options), D, layers, bidirectional).double()


def copied(source: nn.Module, target: nn.Module) -> None:
    """Gives `target` the values of `source`, parameter by parameter."""
    with torch.no_grad():
        for ours, theirs in zip(target.parameters(), source.parameters(), strict=True):
            ours.copy_(theirs)


@pytest.fixture
def x():
    torch.manual_seed(1)
    return torch.randn(B, T, D, dtype=torch.double)


@pytest.mark.parametrize("name", GATED)
def test_two_directions_need_no_second_layer(name, x):
    """One layer reads both ways: its halves are two networks of one direction, the second on the reversed sequence."""
    for layer in (library(name, bidirectional=True), stack(name, bidirectional=True)):
        one, other = (library(name) if isinstance(layer, nn.RNNBase) else stack(name) for _ in range(2))
        weights = list(layer.parameters())
        with torch.no_grad():
            for half, cell in zip((weights[: len(weights) // 2], weights[len(weights) // 2 :]), (one, other), strict=True):
                for mine, theirs in zip(cell.parameters(), half, strict=True):
                    mine.copy_(theirs)
        y = layer(x)[0]
        assert y.shape == (B, T, 2 * H)
        close(y[..., :H], one(x)[0])
        close(y[..., H:], other(x.flip(1))[0].flip(1))


@pytest.mark.parametrize("name", GATED)
def test_inputs_need_not_be_three_dimensional(name, x):
    """A sequence alone, (T, I), goes through the library's layers; a row alone, (I,), through its cells."""
    layer, cell = library(name), CELLS[name](D, H).double()
    close(layer(x[0])[0], layer(x[:1])[0][0])
    alone, batch = (leaves(cell(row))[0] for row in (x[0, 0], x[:1, 0]))
    close(alone, batch[0])
    with pytest.raises((RuntimeError, ValueError)):
        layer(x[0, 0])


def test_inputs_may_be_tokens_of_two_dimensions():
    """Ours are fed one-hot vectors of (B, T) tokens: the product with W picks a column of it."""
    tokens = torch.tensor([[0, 2, 1]])
    cell = make("rnn", {}, size=D)
    y, _ = cell(nn.functional.one_hot(tokens, D).double())
    first = torch.tanh(cell.W[:, 0] + cell.b_i + cell.b_h)
    close(y[0, 0], first)


def test_projected_widths(x):
    """With proj_size=P both directions together are 2 P wide, h has P numbers a direction and c has H."""
    y, (h, c) = library("lstm", bidirectional=True, proj_size=P)(x)
    assert (y.shape, h.shape, c.shape) == ((B, T, 2 * P), (2, B, P), (2, B, H))
    y, ((forward, backward),) = stack("lstm", bidirectional=True, proj_size=P)(x)
    assert y.shape == (B, T, 2 * P)
    for h, c in (forward, backward):
        assert (h.shape, c.shape) == ((B, P), (B, H))


def test_it_is_the_lstm_whose_cell_differs_from_its_output(x):
    """The GRU's state is its output; the LSTM's cell is no output, and may leave [-1, 1], where every output stays."""
    y, state = make("gru", {}, size=D)(x)
    close(state, y[:, -1])
    y, (h, c) = make("lstm", {}, size=D)(x)
    close(h, y[:, -1])
    assert (h - c).abs().max() > 0.01
    y, end = library("gru")(x)
    close(end[0], y[:, -1])
    y, (h, c) = library("lstm")(x)
    close(h[0], y[:, -1])
    assert (h - c).abs().max() > 0.01
    for cell in (make("lstm", {"forget_bias": 50.0}, size=D), library("lstm")):
        names = dict(cell.named_parameters())
        bias = names["b_i"] if "b_i" in names else names["bias_ih_l0"]
        with torch.no_grad():
            bias[:] = 50.0  # all gates open: c counts steps
        y, end = cell(x)
        assert leaves(end)[1].max() > T - 1 and y.abs().max() <= 1


@pytest.mark.parametrize("name", GATED)
@pytest.mark.parametrize("layers", [1, 2])
def test_the_last_output_is_the_final_state(name, layers, x):
    """One way, whatever the depth: output[-1] = h_n[-1]. Both ways it is not: the second half ends at the first step."""
    y, end = library(name, num_layers=layers)(x)
    close(y[:, -1], leaves(end)[0][-1])
    y, end = stack(name, layers=layers)(x)
    close(y[:, -1], leaves(end[-1][0])[0])

    y, end = library(name, num_layers=layers, bidirectional=True)(x)
    backward = leaves(end)[0][-1]
    close(y[:, 0, H:], backward)
    assert not torch.allclose(y[:, -1, H:], backward)
    y, end = stack(name, bidirectional=True, layers=layers)(x)
    close(y[:, 0, H:], leaves(end[-1][1])[0])
    assert not torch.allclose(y[:, -1, H:], leaves(end[-1][1])[0])


@pytest.mark.parametrize("name", GATED)
def test_a_loop_over_the_cell_is_the_layer(name, x):
    layer, cell = library(name), CELLS[name](D, H).double()
    copied(layer, cell)
    state, outputs = None, []
    for x_t in x.unbind(1):
        state = cell(x_t, state)
        outputs.append(leaves(state)[0])
    close(torch.stack(outputs, 1), layer(x)[0])

    ours = make(name, {}, size=D)
    state, outputs = ours.initial_state(B), []
    for x_t in x.unbind(1):
        y, state, _ = ours.step(x_t, state)
        outputs.append(y)
    whole, end = ours(x)
    close(torch.stack(outputs, 1), whole)
    close(state, end)


@pytest.mark.parametrize("name", GATED)
def test_time_major_and_batch_major_agree(name, x):
    batch_major = library(name)
    time_major = LIBRARY[name](D, H).double()
    copied(batch_major, time_major)
    (y, end), (twin, same_end) = batch_major(x), time_major(x.transpose(0, 1))
    close(twin.transpose(0, 1), y)
    close(end, same_end)

    ours = make(name, {}, size=D)
    (y, end), (twin, same_end) = ours(x), ours.unroll(x.transpose(0, 1), ours.initial_state(B))
    close(twin.transpose(0, 1), y)
    close(end, same_end)


def test_the_rows_of_the_weights_hold_i_f_g_o_in_that_order(x):
    """(4H, I): one step written out with the four blocks in that order, of the library's layer and of ours, is the layer."""
    layer, ours = library("lstm"), make("lstm", {}, size=D)
    for cell, (W, R, b_i, b_h) in ((layer, layer.parameters()), (ours, (ours.W, ours.R, ours.b_i, ours.b_h))):
        assert W.shape == (4 * H, D) and R.shape == (4 * H, H)
        blocks = dict(zip("ifgo", (x[:, 0] @ W.t() + b_i + b_h).chunk(4, 1), strict=True))  # from h = c = 0
        c = torch.sigmoid(blocks["i"]) * torch.tanh(blocks["g"])
        h = torch.sigmoid(blocks["o"]) * torch.tanh(c)
        first = x[:, :1]
        end = leaves(cell(first)[1])
        close([end[0].reshape(B, H), end[1].reshape(B, H)], [h, c])

    with torch.no_grad():  # f is the second block: with its bias far below, what the cell held is gone
        ours.b_i[H : 2 * H] = -50.0
    held = (torch.zeros(B, H, dtype=torch.double), torch.full((B, H), 7.0, dtype=torch.double))
    empty = (torch.zeros(B, H, dtype=torch.double), torch.zeros(B, H, dtype=torch.double))
    close(ours(x[:, :1], held)[0], ours(x[:, :1], empty)[0])


@pytest.mark.parametrize("z", [0.0, 1.0])
def test_z_of_the_gru_keeps_the_old_state(z, x):
    """h' = (1 - z) n + z h in PyTorch's form, and ours; h' = (1 - z) h + z n in the other one, and in minGRU's paper.

    So with z at 1 the first form keeps h, and the second takes n; with z at 0 it is the other way round.
    """
    old = torch.full((B, H), 0.5, dtype=torch.double)
    far = 100.0 * (2 * z - 1)
    layer, ours = nn.GRUCell(D, H).double(), make("gru", {}, size=D)
    for cell, b_i, after in (
        (layer, layer.bias_ih, lambda: layer(x[:, 0], old)),
        (ours, ours.b_i, lambda: ours.step(x[:, 0], old)[0]),
    ):
        W, R = (layer.weight_ih, layer.weight_hh) if cell is layer else (ours.W, ours.R)
        b_h = layer.bias_hh if cell is layer else ours.b_h
        with torch.no_grad():
            b_i[H : 2 * H] = far
        r = torch.sigmoid((x[:, 0] @ W.t() + b_i + old @ R.t() + b_h)[:, :H])
        n = torch.tanh((x[:, 0] @ W.t() + b_i)[:, 2 * H :] + r * (old @ R.t() + b_h)[:, 2 * H :])
        close(after(), old if z else n)
        in_other_form = (1 - z) * old + z * n
        assert (after() - in_other_form).abs().max() > 0.01

    minimal = make("min_gru", {}, size=D)
    with torch.no_grad():
        minimal.b[:H] = far
    n = (x[:, 0] @ minimal.W.t() + minimal.b)[:, H:]
    close(minimal.step(x[:, 0], old)[0], n if z else old)
