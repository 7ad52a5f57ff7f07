"""Laws of what stands around a mechanism: depth, direction, dropout, the first state, and what is recorded of it."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from rnnbench.models.dropout import RecurrentDropout, Zoneout
from rnnbench.models.mechanism import at_last, flip, leaves, tree_map
from rnnbench.models.stack import Stack, recording
from tests.support.zoo import LENGTHS, MODELS, OPTIONS, VALID, B, D, H, T, close, make

NAMES = [name for name in MODELS if name not in ("zoneout", "recurrent dropout")]
FORMS = {
    "one": {},
    "two layers": {"layers": 2},
    "both directions": {"bidirectional": True},
    "interleaved": {"layers": 2, "bidirectional": True},
    "separate": {"layers": 2, "bidirectional": True, "depth_form": "separate"},
    "tied": {"layers": 2, "bidirectional": True, "tied_directions": True},
    "two forward": {"layers": 2, "two_forward": True},
    "zoneout, dropout": {"layers": 2, "zoneout": 0.2, "recurrent_dropout": 0.3, "dropout": 0.5},
    "learned": {"layers": 2, "bidirectional": True, "initial_state": "learned"},
}
NEEDS_RECURRENCE = ("zoneout, dropout", "learned")


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(B, T, D, dtype=torch.double, generator=torch.Generator().manual_seed(1))


def build(name: str, **form) -> Stack:
    torch.manual_seed(0)
    options = OPTIONS.get(name, [{}])[0]
    stack = Stack(lambda size: MODELS[name](size, hidden_size=H, **options), D, **form).double().eval()
    if stack.initial is not None:
        with torch.no_grad():
            for leaf in stack.initial:
                leaf.normal_()
    return stack


def fits(name: str, form: str) -> bool:
    recurrent = name not in ("tcn", "transformer")
    return recurrent if form == "learned" else name in ("rnn", "gru", "lstm") or form not in NEEDS_RECURRENCE


ALL = [(name, form) for name, form in itertools.product(NAMES, FORMS) if fits(name, form)]


@pytest.mark.parametrize(("name", "form"), ALL)
def test_a_stack_pads_rightly_and_resumes(name, form, x):
    stack = build(name, **FORMS[form])
    y, state = stack(x, None, LENGTHS)
    directions = 1 + ("bidirectional" in FORMS[form] or form == "two forward")
    assert y.shape == (B, T, stack.output_size) == (B, T, H * directions)
    assert len(state) == len(stack.layers) and all(len(layer) == directions for layer in state)
    for row, length in enumerate(LENGTHS.tolist()):
        one, end = stack(x[row : row + 1, :length])
        close(y[row, :length], one[0])
        close([leaf[row] for leaf in leaves(state)], [leaf[0] for leaf in leaves(end)])
        close(stack.last(y, LENGTHS)[row], stack.last(one, None)[0])
    twin, _ = stack.unroll(x.transpose(0, 1), stack.initial_state(B), LENGTHS)
    assert torch.equal(twin.transpose(0, 1), y)
    if "bidirectional" not in FORMS[form]:
        first, carried = stack(x[:, :3])
        rest, _ = stack(x[:, 3:], carried)
        close(torch.cat([first, rest], 1), stack(x)[0])


NOISE = {"recurrent dropout": {"recurrent_dropout": 0.5}, "zoneout": {"zoneout": 0.3}, "dropout": {"layers": 2, "dropout": 0.5}}


@pytest.mark.parametrize(("name", "form"), [*ALL, *(("gru", form) for form in NOISE)])
@pytest.mark.parametrize("gradients", [True, False])
def test_a_stack_goes_on_step_by_step(name, form, gradients, x):
    stack = build(name, **{**FORMS, **NOISE}[form])
    with torch.set_grad_enabled(gradients):
        if stack.bidirectional:  # reads a row of one step, as `forward` does
            close(stack.step(x[:, 0], stack.initial_state(B))[0], stack(x[:, :1])[0][:, 0])
            return
        expected, end = stack(x)
        state, outputs = stack.initial_state(B), []
        for x_t in x.unbind(1):
            y, state = stack.step(x_t, state)
            outputs.append(y)
    close(torch.stack(outputs, 1), expected)
    close(state, end)


@pytest.mark.parametrize("form", list(NOISE))
def test_a_step_in_training_has_noise(form, x):
    stack = build("gru", **NOISE[form]).train()
    torch.manual_seed(1)
    y, _ = stack.step(x[:, 0], tree_map(torch.ones_like, stack.initial_state(B)))
    torch.manual_seed(1)
    expected, _ = stack(x[:, :1], tree_map(torch.ones_like, stack.initial_state(B)))
    assert torch.equal(y, expected[:, 0])
    assert not torch.allclose(y, stack.eval().step(x[:, 0], tree_map(torch.ones_like, stack.initial_state(B)))[0])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", ["both directions", "separate", "tied"])
def test_every_token_reaches_a_bidirectional_summary(name, form, x):
    stack = build(name, **FORMS[form])
    with torch.no_grad():
        for bias in [parameter for parameter in stack.parameters() if name == "tcn" and parameter.dim() == 1]:
            bias.add_(5)  # every rectified unit is open
    summary = stack.last(stack(x, None, LENGTHS)[0], LENGTHS)
    context = 3 if name == "transformer" and form == "both directions" else T
    for row, length in enumerate(LENGTHS.tolist()):
        for step in range(length):
            changed = x.clone()
            changed[row, step] += torch.tensor([1, 0.5, -1])  # not a shift of all, which a norm would remove
            other = stack.last(stack(changed, None, LENGTHS)[0], LENGTHS)
            if length - 1 - step <= context:
                assert (other[row, :H] != summary[row, :H]).any()
            if step <= context:
                assert (other[row, H:] != summary[row, H:]).any()


@pytest.mark.parametrize("kind", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_stack_equals_the_library(kind, bidirectional, x):
    library = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[kind](D, H, 2, bidirectional=bidirectional, batch_first=True)
    stack = build(kind, layers=2, bidirectional=bidirectional)
    with torch.no_grad():
        for ours, theirs in zip(stack.parameters(), library.double().parameters(), strict=True):
            ours.copy_(theirs)
    y, state = stack(x)
    expected, end = library(x)
    close(y, expected)
    ends = end if kind == "lstm" else (end,)
    for part, whole in enumerate(ends):
        close([leaves(cell)[part] for layer in state for cell in layer], list(whole))
    packed = nn.utils.rnn.pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
    ragged, _ = nn.utils.rnn.pad_packed_sequence(library(packed)[0], batch_first=True)
    close(stack(x, None, LENGTHS)[0][VALID], ragged[VALID])


def test_separate_stacks_never_meet(x):
    stack = build("lstm", **FORMS["separate"])
    y, _ = stack(x, None, LENGTHS)
    one, other = build("lstm", layers=2), build("lstm", layers=2)
    for depth, layer in enumerate(stack.layers):
        one.layers[depth][0].load_state_dict(layer[0].state_dict())
        other.layers[depth][0].load_state_dict(layer[1].state_dict())
    backward = other(flip(x.transpose(0, 1), LENGTHS).transpose(0, 1), None, LENGTHS)[0]
    close(y[VALID][:, :H], one(x, None, LENGTHS)[0][VALID])
    close(y[VALID][:, H:], flip(backward.transpose(0, 1), LENGTHS).transpose(0, 1)[VALID])


def test_tied_directions_halve_the_parameters_and_make_a_palindrome_symmetric(x):
    tied, free = build("lstm", **FORMS["tied"]), build("lstm", **FORMS["interleaved"])
    assert 2 * sum(p.numel() for p in tied.parameters()) == sum(p.numel() for p in free.parameters())
    assert len(tied.state_dict()) * 2 == len(free.state_dict())
    palindrome = torch.cat([x, x.flip(1)], 1)
    y, _ = build("lstm", bidirectional=True, tied_directions=True)(palindrome)
    forward, backward = y.chunk(2, -1)
    close(forward, backward.flip(1))


def test_two_forward_networks_cost_what_both_directions_cost_and_see_no_future(x):
    control, both = build("gru", layers=2, two_forward=True), build("gru", layers=2, bidirectional=True)
    assert sum(p.numel() for p in control.parameters()) == sum(p.numel() for p in both.parameters())
    assert control.output_size == both.output_size
    changed = x.clone()
    changed[:, 4] += 1
    same = (control(changed)[0] == control(x)[0]).all(-1)
    assert same[:, :4].all() and not same[:, 4:].any()
    y, _ = control(x, None, LENGTHS)
    close(control.last(y, LENGTHS), at_last(y, LENGTHS))
    assert not torch.equal(*control(x)[0].chunk(2, -1))


@pytest.mark.parametrize(
    ("name", "form", "said"),
    [
        ("gru", {"bidirectional": True, "two_forward": True}, "exclude each other"),
        ("gru", {"tied_directions": True}, "needs model.bidirectional"),
        ("tcn", {"initial_state": "learned"}, "starts from nothing"),
        ("transformer", {"zoneout": 0.1}, "needs a recurrent state"),
        ("min_gru", {"recurrent_dropout": 0.1}, "needs a recurrent matrix"),
    ],
)
def test_what_cannot_be_is_refused(name, form, said):
    with pytest.raises(ValueError, match=said):
        build(name, **form)


def test_flip_reverses_the_valid_steps_and_is_its_own_inverse(x):
    x = x.transpose(0, 1)
    there = flip(x, LENGTHS)
    assert torch.equal(there[:3, 1], x[:3, 1].flip(0))
    assert torch.equal(there[3:, 1], x[3:, 1])
    assert torch.equal(flip(there, LENGTHS), x)


# the first state


@pytest.mark.parametrize("name", [name for name in NAMES if fits(name, "learned")])
def test_a_learned_first_state_starts_at_zero_acts_and_is_trained(name, x):
    torch.manual_seed(0)
    options = OPTIONS.get(name, [{}])[0]
    learned = Stack(lambda size: MODELS[name](size, hidden_size=H, **options), D, 2, True, initial_state="learned").double()
    zero = build(name, layers=2, bidirectional=True)
    close(learned.initial_state(B), zero.initial_state(B))
    assert {"initial.0", "initial.3"} <= set(learned.state_dict())
    y, _ = learned(x, None, LENGTHS)
    y[VALID].sum().backward()
    reached = [leaf for leaf in learned.initial if leaf.grad is not None]
    assert len(reached) == len(learned.initial) / (3 if name == "lstm_1997" else 1)  # there only the way through c is not cut
    assert all(leaf.grad.abs().min() > 0 for leaf in reached)
    expected = tree_map(lambda leaf: leaf.detach().clone().requires_grad_(), zero.initial_state(B))
    zero.load_state_dict({key: value for key, value in learned.state_dict().items() if not key.startswith("initial.")})
    zero(x, expected, LENGTHS)[0][VALID].sum().backward()
    close([leaf.grad for leaf in reached], [leaf.grad.sum(0) for leaf in leaves(expected) if leaf.grad is not None], 1e-9)


# dropout, by place


def test_dropout_stands_between_layers_only():
    x = torch.randn(B, T, D, dtype=torch.double)
    shallow, deep = build("gru", dropout=0.9).train(), build("gru", layers=2, dropout=0.9).train()
    assert torch.equal(shallow(x)[0], shallow(x)[0])
    assert not torch.equal(deep(x)[0], deep(x)[0])
    assert torch.equal(deep.eval()(x)[0], deep(x)[0])


@pytest.mark.parametrize("mask", ["step", "sequence"])
def test_dropout_between_layers_keeps_its_mask_as_asked(mask):
    stack = build("leaky", layers=2, dropout=0.5, dropout_mask=mask).train()
    for layer in stack.layers:
        layer[0].rate = 0.0  # nothing is carried: each output shows its own step's mask
    with torch.no_grad():
        stack.layers[1][0].W.copy_(torch.eye(H))
    dropped = stack(torch.randn(200, T, D, dtype=torch.double))[0] == 0
    assert 0.45 < dropped.double().mean() < 0.55
    assert (dropped == dropped[:, :1]).all().item() == (mask == "sequence")


def test_recurrent_dropout_masks_what_matrices_read_and_nothing_else(x, monkeypatch):
    """With everything dropped, R is as good as zero; what a GRU carries past its matrices stays."""
    for name in ("rnn", "gru", "lstm"):
        cell = make(name, {})
        dropped = RecurrentDropout(cell, 0.5).train()
        monkeypatch.setattr(nn.functional, "dropout", lambda ones, *_, **__: torch.zeros_like(ones))
        y, state = dropped(x, None, LENGTHS)
        monkeypatch.undo()
        with torch.no_grad():
            cell.R.zero_()
        expected, end = cell(x, None, LENGTHS)
        close(y[VALID], expected[VALID])
        close(state, end)


def test_recurrent_dropout_draws_one_mask_a_row():
    cell = MODELS["rnn"](D, hidden_size=100, recurrent_init="identity", nonlinearity="relu", zero_bias=True).double()
    noisy = RecurrentDropout(cell, 0.25).train()
    start = torch.ones(50, 100, dtype=torch.double)
    y, _ = noisy(torch.zeros(50, 3, D, dtype=torch.double), start)
    kept = y[:, 0] != 0
    assert 0.72 < kept.double().mean() < 0.78
    close(y, kept.unsqueeze(1) * (4 / 3) ** torch.arange(1.0, 4, dtype=torch.double).view(1, 3, 1))
    assert not (kept[0] == kept[1]).all()


def test_zoneout_keeps_that_share_of_units_and_is_the_mean_in_evaluation():
    cell = MODELS["lstm"](D, hidden_size=100).double()
    x, state = torch.randn(200, 1, D, dtype=torch.double), tuple(torch.randn(2, 200, 100, dtype=torch.double))
    _, new = cell(x, state)
    zoneout = Zoneout(cell, 0.1, 0.6).train()
    _, (h, c) = zoneout(x, state)
    for got, rate, before, after in zip((h, c), (0.1, 0.6), state, new, strict=True):
        kept = got == before
        assert abs(kept.double().mean() - rate) < 0.01
        close(got[~kept], after[~kept])
    y, (h, c) = zoneout.eval()(x, state)
    close(h, 0.1 * state[0] + 0.9 * new[0])
    close(c, 0.6 * state[1] + 0.4 * new[1])
    assert torch.equal(y[:, 0], h)


# what is recorded


@pytest.mark.parametrize(("name", "form"), ALL)
def test_recording_sees_every_layer_and_direction(name, form, x):
    stack = build(name, **FORMS[form])
    plain, _ = stack(x, None, LENGTHS)
    with recording(stack) as found:
        y, _ = stack(x, None, LENGTHS)
        y[VALID].square().sum().backward()
    close(y, plain)
    directions = stack.directions
    assert set(found) == {f"{depth}.{direction}" for depth in range(len(stack.layers)) for direction in range(directions)}
    for gradients in found.values():
        if name in ("tcn", "transformer"):
            assert gradients.h is None
        else:
            assert gradients.h.shape == (T,) and (gradients.h[:3] > 0).all()
            assert (gradients.c is None) == (name not in ("lstm", "lstm_1997"))
    top = found[f"{len(stack.layers) - 1}.0"].h
    if top is not None:  # the last step of a row acts through its own output only; one row is that long
        close(top[-1], (2 * y[0, -1, :H]).norm().detach())
    with torch.no_grad(), recording(stack) as found:
        stack(x)
    assert all(gradients.h is None for gradients in found.values())


@pytest.mark.parametrize("tied", [False, True])
def test_recording_tells_directions_apart(tied, x):
    stack = build("lstm", bidirectional=True, tied_directions=tied)
    with recording(stack) as found:
        stack(x)[0][..., :H].sum().backward()
    assert found["0.0"].h.all() and not found["0.1"].h.any()


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm", "min_gru", "leaky"])
def test_recording_of_several_calls_is_that_of_one(name, x):
    stack = build(name, layers=2)
    with recording(stack) as whole:
        stack(x)[0].square().sum().backward()
    with recording(stack) as parts:
        state, outputs = None, []
        for chunk in x.split(3, 1):
            y, state = stack(chunk, state)
            outputs.append(y)
        torch.cat(outputs, 1).square().sum().backward()
    for key, gradients in whole.items():
        close(parts[key].h, gradients.h)
        if gradients.c is not None:
            close(parts[key].c, gradients.c)


def test_activity_and_matrices_by_layer_direction_and_gate(x):
    stack = build("lstm", layers=2, bidirectional=True)
    found = stack.activity(x, None, LENGTHS)
    assert set(found) == {f"{depth}.{turn}/{part}" for depth in (0, 1) for turn in (0, 1) for part in "hifo"}
    assert all(values.shape == (LENGTHS.sum(), H) for values in found.values())
    y, _ = stack(x, None, LENGTHS)
    close(found["1.0/h"], y[VALID][:, :H])
    one, _ = build("lstm")(x)
    first = build("lstm").activity(x)
    gates = build("lstm").layers[0][0].gates(x)
    close(first["0.0/h"], one.flatten(0, 1))
    close(first["0.0/f"], gates["f"].flatten(0, 1))
    assert list(stack.recurrent_matrices())[:5] == ["0.0/i", "0.0/f", "0.0/g", "0.0/o", "0.1/i"]
    close(stack.recurrent_matrices()["1.1/o"], stack.layers[1][1].R[3 * H :].detach())
