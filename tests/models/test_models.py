"""Laws over every mechanism and its options, those of another package included."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from enum import Enum
from typing import Literal

import numpy
import pytest
import torch
from torch import nn

from rnnbench.config.schema import CONF, choice_names, choice_settings, file_departures, read_signature
from rnnbench.laws.cells import CELL_LAWS, gradients_are_right
from rnnbench.models import registry
from rnnbench.models.cells.rnn import RNN
from rnnbench.models.cells.transformer import rotate
from rnnbench.models.details import mechanism_details
from rnnbench.models.mechanism import Mechanism, leaves, reset
from rnnbench.models.registry import mechanism_files
from rnnbench.models.scan import scan
from rnnbench.models.stack import Stack
from tests.support.zoo import CASES, LENGTHS, MODELS, VALID, B, D, H, T, close, count, make

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
laws = pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join([case[0], *(f"{k}={v}" for k, v in case[1].items())]))


@pytest.fixture
def cell(case) -> Mechanism:
    return make(*case)


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(B, T, D, dtype=torch.double, generator=torch.Generator().manual_seed(1))


def test_every_mechanism_is_listed():
    assert set(registry.MODELS) == set(mechanism_files())
    for name, cls in registry.MODELS.items():
        assert read_signature("mechanism", name).class_name == cls.__name__
        assert read_signature("mechanism", name).doc_line("Source")


@laws
@pytest.mark.parametrize("law", CELL_LAWS, ids=lambda law: law.__name__)
def test_every_mechanism_keeps_the_law(cell, law):
    law(cell)


@laws
def test_padding_in_single_precision(cell, x):
    cell, x = cell.float(), x.float().requires_grad_()
    y, _ = cell(x, None, LENGTHS)
    inputs = [x, *cell.parameters()]
    gradients = torch.autograd.grad(y[VALID].square().sum(), inputs, allow_unused=True, materialize_grads=True)
    alone = [cell(x[row : row + 1, :length])[0][0] for row, length in enumerate(LENGTHS.tolist())]
    total = sum(one.square().sum() for one in alone)
    expected = torch.autograd.grad(total, inputs, allow_unused=True, materialize_grads=True)
    # Products of other shapes are added up in another order, which one depends on the processor: up to 16 roundings apart.
    tolerance = 16 * torch.finfo(torch.float32).eps
    for one, other in zip([y[VALID], *gradients], [torch.cat(alone), *expected], strict=True):
        assert (one - other).abs().max() <= tolerance * other.abs().max()


@laws
def test_gradients_that_are_cut_are_others(cell):
    if getattr(cell, "truncated", False):
        assert gradients_are_right(cell) == (cell.R is None)


@laws
def test_exact_number_of_parameters(case, cell):
    assert sum(parameter.numel() for parameter in cell.parameters()) == count(*case)


@laws
def test_gates_are_of_the_units(cell, x):
    assert all(values.shape == (B, T, H) for values in cell.gates(x).values())
    assert all(matrix.shape == (H, H) for matrix in cell.recurrent_matrices().values())


# known answers


def test_gates_by_name():
    names = {
        name: set(make(name, {}).gates(torch.randn(1, 1, D).double())) for name in ("rnn", "gru", "lstm", "min_gru", "min_lstm")
    }
    assert names == {"rnn": set(), "gru": {"r", "z"}, "lstm": {"i", "f", "o"}, "min_gru": {"z"}, "min_lstm": {"f", "i"}}
    assert set(make("lstm", {"NFG": True, "NOG": True}).gates(torch.randn(1, 1, D).double())) == {"i"}
    coupled = make("lstm", {"CIFG": True}).gates(torch.randn(2, 3, D).double())
    close(coupled["f"], 1 - coupled["i"])
    kept = MODELS["gru"](D, hidden_size=H, update_bias=50.0).double()
    close(kept.gates(torch.randn(1, 2, D).double())["z"], torch.ones(1, 2, H, dtype=torch.double))


def test_a_linear_network_adds_up_its_inputs(x):
    """h_T = sum_t R^(T - t) (W x_t + b), and dh_T/dh_0 is R^T: for an orthogonal R times g, an isometry times g^T."""
    cell = MODELS["rnn"](D, hidden_size=H, nonlinearity="linear", recurrent_init="orthogonal", gain=0.75).double()
    start = torch.randn(len(x), H, dtype=torch.double, requires_grad=True)
    y, _ = cell(x, start)
    inputs, power = x @ cell.W.t() + cell.b_i + cell.b_h, torch.eye(H, dtype=torch.double)
    expected = torch.zeros(len(x), H, dtype=torch.double)
    for t in range(x.shape[1] - 1, -1, -1):
        expected = expected + inputs[:, t] @ power.t()
        power = power @ cell.R
    close(y[:, -1], expected + start @ power.t())
    (gradient,) = torch.autograd.grad(y[:, -1, 0].sum(), start)
    close(gradient.norm(dim=1), torch.full((len(x),), 0.75 ** x.shape[1], dtype=torch.double), 1e-6)  # R was drawn in float32


def test_the_centred_steep_sigmoid_and_half_the_tanh_of_2x_are_one_function():
    """σ(4a) - 1/2 = tanh(2a) / 2, so that networks of the two with one set of weights give one output and one gradient."""
    cells = [MODELS["rnn"](D, hidden_size=H, nonlinearity=name).double() for name in ("sigmoid_4x_centred", "half_tanh_2x")]
    cells[1].load_state_dict(cells[0].state_dict())
    x = torch.randn(B, T, D, dtype=torch.float64)
    gradients = []
    for cell in cells:
        output, _ = cell(x)
        gradients.append([output, *torch.autograd.grad(output.square().sum(), list(cell.parameters()))])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["rnn", "lstm"])
def test_a_gain_is_a_factor_on_the_initial_recurrent_matrix(name):
    cells = {}
    for gain in (1.0, 2.0):
        torch.manual_seed(0)
        cells[gain] = MODELS[name](D, hidden_size=H, gain=gain)
    for (key, one), other in zip(cells[1.0].named_parameters(), cells[2.0].parameters(), strict=True):
        close(other, 2 * one if key == "R" else one)


GOLDEN = [  # of the first version: if a number changes, raise `version`
    ("rnn", {}, 31.486427457941),
    ("rnn", {"nonlinearity": "relu", "recurrent_init": "identity", "input_init": "small", "zero_bias": True}, 0.000787385631),
    ("lstm", {}, 5.750107951021),
    ("lstm", {"forget_bias": 5.0, "recurrent_init": "orthogonal"}, 9.336552111010),
    ("lstm", {"peepholes": "diagonal"}, 6.014037006631),
    ("gru", {}, 11.065318913273),
    ("gru", {"update_bias": 2.0}, 1.804559480033),
]


@pytest.mark.parametrize(("name", "options", "number"), GOLDEN)
def test_golden_numbers(name, options, number, x):
    torch.manual_seed(0)
    cell = MODELS[name](D, hidden_size=5, **options).double()
    assert cell.version == 1
    assert cell(x)[0].square().sum().item() == pytest.approx(number, rel=1e-6)


@pytest.mark.parametrize(("name", "options"), [("rnn", {}), ("lstm", {}), ("gru", {}), ("lstm", {"proj_size": 2})])
def test_parity_with_the_library(name, options, x):
    library = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[name](D, H, batch_first=True, **options).double()
    cell = make(name, options)
    with torch.no_grad():
        for ours, theirs in zip(cell.parameters(), library.parameters(), strict=True):
            ours.copy_(theirs)
    y, state = cell(x)
    expected, end = library(x)
    close(y, expected)
    close(leaves(state), [leaf[0] for leaf in leaves(end)])


@pytest.mark.parametrize(
    ("options", "extra"),
    [({"peepholes": "diagonal"}, "p"), ({"peepholes": "output_matrix"}, "V"), ({"FGR": True}, "Q"), ({"proj_size": H}, "M")],
)
def test_lstm_with_nothing_extra_is_the_plain_one(options, extra, x):
    plain, cell = make("lstm", {}), make("lstm", options)
    neutral = torch.eye(H) if extra == "M" else torch.zeros_like(getattr(cell, extra))
    cell.load_state_dict({**plain.state_dict(), extra: neutral})
    close(cell(x)[0], plain(x)[0])


def test_gru_forms_agree_where_the_reset_gate_is_open(x):
    after, before = make("gru", {}), make("gru", {"reset": "before"})
    with torch.no_grad():
        after.b_i[:H] = 50.0
    before.load_state_dict(after.state_dict())
    close(after(x)[0], before(x)[0])


def test_coupled_gates_are_a_forget_gate_tied_to_the_input_gate(x):
    """CIFG equals an LSTM whose f has the weights of i with the sign turned: σ(-a) = 1 - σ(a)."""
    cifg, plain = make("lstm", {"CIFG": True}), make("lstm", {})
    with torch.no_grad():
        for ours, theirs in ((plain.W, cifg.W), (plain.R, cifg.R), (plain.b_i, cifg.b_i), (plain.b_h, cifg.b_h)):
            i, g, o = theirs.chunk(3)
            ours.copy_(torch.cat([i, -i, g, o]))
    close(plain(x)[0], cifg(x)[0])


def test_peephole_reference_value():
    """The first output of a peephole LSTM of five units whose weights are all one, as a Keras-style reference gives it."""
    cell = MODELS["lstm"](4, hidden_size=5, peepholes="diagonal")
    with torch.no_grad():
        for weight in (cell.W, cell.R, cell.p):
            weight.fill_(1)
        cell.b_i.zero_(), cell.b_h.zero_()
        cell.b_i[5:10] = 1
    y, _ = cell(torch.eye(4)[:1].unsqueeze(0))
    torch.testing.assert_close(y, torch.full((1, 1, 5), 0.417551), rtol=0, atol=1e-6)


@pytest.mark.parametrize("biases", [1, 2])
def test_initial_biases_are_what_was_asked(biases):
    def bias(name, **options):
        cell = MODELS[name](D, hidden_size=200, biases=biases, **options)
        total = cell.b_i if cell.b_h is None else cell.b_i + cell.b_h
        return total.detach().chunk(3 if name == "gru" else len(cell.gate_order))

    assert torch.equal(bias("lstm", forget_bias=3.0)[1], torch.full((200,), 3.0))
    assert torch.equal(bias("lstm", CIFG=True)[0], torch.full((200,), -1.0))
    i, f, g, o = bias("lstm", chrono=100, zero_bias=True)
    assert torch.equal(i, -f) and not g.any() and not o.any()
    for memory in (f, bias("gru", chrono=100)[1]):
        assert memory.min() >= 0 and memory.max() <= torch.tensor(99.0).log()
        assert 40 < memory.exp().mean() < 60  # of U(1, 99)
    assert bias("gru", update_bias=7.0)[1].min() > 6


def test_initial_matrices_are_what_was_asked():
    R = RNN(D, 6, recurrent_init="orthogonal", gain=0.5).R.detach()
    close(R @ R.t(), 0.25 * torch.eye(6), 1e-6)
    assert torch.equal(RNN(D, 6, recurrent_init="identity").R.detach(), torch.eye(6))
    for block in MODELS["lstm"](D, 6, recurrent_init="orthogonal").R.detach().chunk(4):
        close(block @ block.t(), torch.eye(6), 1e-6)
    bound = (6 / 400) ** 0.5
    assert 0.95 * bound < RNN(D, 200, recurrent_init="glorot").R.abs().max() <= bound
    for weight, inputs in (
        (RNN(D, 200, recurrent_init="truncated").R, 200),
        (MODELS["lstm"](D, 200, recurrent_init="truncated").R, 200 + D),
        (MODELS["lstm"](90, 200, input_init="truncated").W, 290),
    ):  # a normal that is cut at two deviations has .8796 of its deviation
        assert weight.abs().max() <= 2 * inputs**-0.5
        assert weight.std().item() == pytest.approx(0.8796 * inputs**-0.5, rel=0.02)
    assert 0.0009 < RNN(D, 200, input_init="small").W.std() < 0.0011


def test_recurrent_matrices_are_those_that_act():
    plain, projected = make("lstm", {}), make("lstm", {"proj_size": 2})
    assert list(plain.recurrent_matrices()) == ["i", "f", "g", "o"]
    close(torch.cat(list(plain.recurrent_matrices().values())), plain.R.detach())
    close(projected.recurrent_matrices()["g"], (projected.R.chunk(4)[2] @ projected.M).detach())
    assert list(make("lstm", {"NFG": True}).recurrent_matrices()) == ["i", "g", "o"]


@pytest.mark.parametrize(
    "options",
    [
        {"CIFG": True, "NIG": True},
        {"CIFG": True, "NFG": True},
        {"FGR": True, "NOG": True},
        {"NOG": True, "peepholes": "output_matrix"},
    ],
)
def test_options_that_contradict_each_other_are_refused(options):
    with pytest.raises(ValueError, match="excludes"):
        MODELS["lstm"](D, **options)


def test_an_unknown_back_end_is_refused(x):
    for name in ("rnn", "min_gru"):
        cell = make(name, {})
        cell.backend = "magic"
        with pytest.raises(ValueError, match="no back end 'magic'"):
            cell(x)


@pytest.mark.parametrize("steps", [1, 2, 5, 4096])
def test_scans_agree_with_each_other_and_with_double_precision(steps):
    a, b = torch.rand(steps, 2, 3), torch.randn(steps, 2, 3)
    h = torch.randn(2, 3)
    exact, end = scan(a.double(), b.double(), h.double(), backend="loop")
    for backend in ("doubling", "loop"):
        found, last = scan(a, b, h, backend=backend)
        assert (found - exact).abs().max() < 2e-6 * exact.abs().max()
        assert torch.equal(last, found[-1])
    close(scan(a.double(), b.double(), h.double(), backend="doubling"), (exact, end))


@pytest.mark.parametrize("lengths", [[9] * 4, [9, 2, 5, 9], [9, 0, 3, 1]], ids=str)
@pytest.mark.parametrize("name", ["gru", "lstm"])
def test_a_loop_gives_the_bits_of_one_that_looks_at_every_step_for_rows_that_have_ended(name, lengths):
    """Gradients are added up in the same order before the first row ends."""
    cell, found = make(name, {}).float(), []
    ends, x = torch.tensor(lengths), torch.randn(9, 4, D)
    for at_every_step in (True, False):
        inputs, state = x.clone().requires_grad_(), cell.initial_state(4)
        if at_every_step:
            outputs = []
            for t, x_t in enumerate(inputs):
                y, new, _ = cell.step(x_t, state)
                outputs.append(reset(y, ends <= t, torch.zeros_like(y)))
                state = reset(new, ends <= t, state)
            y = torch.stack(outputs)
        else:
            y, state = cell.loop(inputs, state, ends)
        total = y.square().sum() + sum(leaf.sin().sum() for leaf in leaves(state))
        found.append([y, *leaves(state), *torch.autograd.grad(total, [inputs, *cell.parameters()])])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_a_loop_that_was_recorded_holds_for_other_lengths():
    cell = make("gru", {}).float().eval()
    for parameter in cell.parameters():
        parameter.requires_grad_(False)

    def run(x, lengths):
        return cell.loop(x, cell.initial_state(2), lengths)

    x, whole, other = torch.randn(6, 2, D), torch.tensor([6, 6]), torch.tensor([2, 6])
    recorded = torch.jit.trace(run, (x, whole))
    for one, two in zip(recorded(x, other), run(x, other), strict=True):
        torch.testing.assert_close(one, two)


def test_min_gru_in_the_papers_words(x):
    cell = make("min_gru", {"positive": True})
    W_z, W_n, b_z, b_n = *cell.W.chunk(2), *cell.b.chunk(2)
    h = torch.zeros(B, H, dtype=torch.double)
    for x_t in x.unbind(1):
        z, a = torch.sigmoid(x_t @ W_z.t() + b_z), x_t @ W_n.t() + b_n
        h = (1 - z) * h + z * torch.where(a >= 0, a + 0.5, a.sigmoid())
    close(cell(x)[0][:, -1], h)


def test_min_lstm_in_the_papers_words(x):
    cell = make("min_lstm", {})
    h = torch.zeros(B, H, dtype=torch.double)
    for x_t in x.unbind(1):
        a_f, a_i, n = (x_t @ cell.W.t() + cell.b).chunk(3, 1)
        f, i = a_f.sigmoid(), a_i.sigmoid()
        h = f / (f + i) * h + i / (f + i) * n
    close(cell(x)[0][:, -1], h)
    with torch.no_grad():
        cell.b[: 2 * H] = -800.0  # both gates are zero in floating point
    assert cell(x)[0].isfinite().all()


def reach(cell: Mechanism, steps: int) -> int:
    """How many steps after a change of the first input an output still changes."""
    x = torch.randn(1, steps, D, dtype=torch.double)
    changed = x.clone()
    changed[:, 0] += 1
    differs = (cell(x)[0] != cell(changed)[0]).any(-1)[0]
    return int(differs.nonzero().max())


def test_a_tcn_reaches_as_far_back_as_its_options_say():
    torch.manual_seed(0)
    cell = MODELS["tcn"](D, hidden_size=16, levels=3, kernel=3).double()
    assert reach(cell, 60) == 2 * (3 - 1) * (2**3 - 1)


def test_a_tcn_in_the_librarys_words(x):
    cell = make("tcn", {"levels": 2, "kernel": 3})
    y = x.transpose(1, 2)
    for level, block in enumerate(cell.blocks):
        inner = y
        for layer in block.convolutions:
            inner = nn.functional.pad(inner, (2 * 2**level, 0))
            inner = torch.relu(nn.functional.conv1d(inner, layer.weight, layer.bias, dilation=2**level))
        around = y if level else block.around(y.transpose(1, 2)).transpose(1, 2)
        y = torch.relu(inner + around)
    close(cell(x)[0], y.transpose(1, 2))


def test_a_transformer_sees_no_further_than_its_context():
    torch.manual_seed(0)
    assert reach(MODELS["transformer"](D, hidden_size=8, heads=2, blocks=2, context=5).double(), 30) == 10
    assert reach(MODELS["transformer"](D, hidden_size=8, heads=2, blocks=1, context=5).double(), 30) == 5


def test_rotation_makes_products_depend_on_distance_only():
    q, k = torch.randn(1, 1, 8, dtype=torch.double), torch.randn(1, 1, 8, dtype=torch.double)

    def product(at_q: int, at_k: int) -> torch.Tensor:
        return (rotate(q, torch.tensor([[at_q]]), 2) * rotate(k, torch.tensor([[at_k]]), 2)).sum()

    close(product(7, 3), product(104, 100), 1e-9)
    assert not torch.isclose(product(7, 3), product(7, 4))
    close(rotate(q, torch.tensor([[0]]), 2), q)


def test_details_of_mechanisms_and_of_settings():
    by_name = {row.name: row for row in mechanism_details()}
    assert set(by_name) == set(registry.MODELS)
    assert by_name["lstm"].parameters == 4 * (128 * 128 * 2 + 2 * 128)
    assert by_name["lstm"].state_size == 256 and by_name["lstm"].backends == ("library", "fused")
    assert all(row.source and row.backends for row in by_name.values())
    (row,) = mechanism_details({"mine": {"mechanism": "lstm", "peepholes": "diagonal", "bidirectional": True}}, width=10)
    assert row[2:] == (2 * (4 * (10 * 10 * 2 + 2 * 10) + 30), 40, ("fused",))


@pytest.mark.parametrize("name", choice_names("model"))
def test_every_named_setting_can_be_built_and_has_a_source(name):
    (row,) = mechanism_details({name: choice_settings("model", name)}, width=8)
    assert row.parameters > 0
    if file_departures("model", name):
        assert (CONF / f"model/{name}.yaml").read_text().startswith("# ")


def test_the_lstm_of_arjovsky_has_the_parameters_of_its_code():
    """Copying at 40 units: 10 symbols in, 9 out. 10 209 with the read-out."""
    setting = {**choice_settings("model", "arjovsky_lstm")}
    (row,) = mechanism_details({"arjovsky_lstm": setting}, width=40)
    assert row.parameters - 4 * 40 * (40 - 10) + 40 * 9 + 9 == 10209


@pytest.mark.parametrize("name", sorted(mechanism_files()))
@pytest.mark.parametrize("around", [lambda cell: cell, lambda cell: Stack(lambda size: cell, 8)], ids=["alone", "in a stack"])
def test_inputs_and_states_of_another_shape_are_refused(name, around):
    """Fused products read beyond the end of what is too short."""
    model = around(registry.MODELS[name](8))
    y, state = model(torch.randn(4, 5, 8))
    for shape in ((4, 5, 7), (4, 5, 9), (4, 5, 1), (4, 8)):
        with pytest.raises(ValueError, match="inputs of 3 dimensions, the last of 8"):
            model(torch.randn(shape))
    if leaves(state):
        for rows in (3, 9):
            with pytest.raises(ValueError, match="a state of"):
                model(torch.randn(rows, 5, 8), state)
    assert model(torch.randn(4, 2, 8), state)[0].shape == (4, 2, y.shape[2])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"proj_size": -3}, "proj_size=-3 is not allowed; allowed: whole number, at least 0"),
        ({"hidden_size": 0}, "hidden_size=0 is not allowed; allowed: whole number, at least 1"),
        ({"FGR": True, "CIFG": True}, "FGR needs all three gates: it excludes NIG, NFG, NOG and CIFG"),
        ({"NOG": True, "peepholes": "output_matrix"}, "peepholes=output_matrix excludes NOG"),
    ],
)
def test_an_lstm_that_cannot_be_is_refused_in_python_too(options: dict, said: str):
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        MODELS["lstm"](3, **options)


@pytest.mark.parametrize("name", sorted(registry.MODELS))
def test_an_option_of_another_value_is_refused_in_python_too(name: str):
    """Every option of every model: what the command line refuses, the constructor refuses in the same words."""
    tried, options = 0, read_signature("mechanism", name).options
    for option in options.values():
        for wrong in ("nonsense", -7, None, [1], 0.5):
            try:
                option.check(wrong, option.name)
            except ValueError as error:
                with pytest.raises(ValueError, match=f"^{re.escape(str(error))}$"):
                    MODELS[name](**{"input_size": 3, option.name: wrong})
                tried += 1
    assert tried


class Widths(Enum):
    SMALL = 4


def test_constructors_of_others_are_read_parameter_by_parameter():
    """What is no option, what nobody can resolve, defaults and numbers of other libraries are let through."""

    class Mine(RNN):
        def __init__(
            self,
            input_size: int,
            *sizes: int,
            hidden: Literal[4, 8] = 4,
            unknown: Nowhere = 1,  # noqa: F821
            words: "in units" = 1,  # noqa: F722
            pair: tuple[int, str] = (1, "a"),
            bare: list = [],  # noqa: B006
            rates: list[float] = [],  # noqa: B006
            clip: float = math.inf,
            width: int = None,  # noqa: RUF013
            hook: Callable[[int], int] | None = None,
            **more: bool,
        ):
            super().__init__(input_size, hidden_size=hidden)

    Mine(3, 1, 2, unknown="x", words=[1], pair=(1, "a"), bare=[1], clip=math.inf, width=None, hook=abs, other=True, third=False)
    Mine(numpy.int64(3), hidden=torch.tensor(8), rates=[numpy.float32(0.5), 1], width=Widths.SMALL, hook=3)
    for wrong, said in (
        ({"hidden": 5}, "hidden=5 is not allowed; allowed: 4, 8"),
        ({"rates": numpy.ones(2)}, "rates=array"),
        ({"rates": ["x"]}, "rates="),
        ({"width": torch.ones((), device="meta")}, "width="),
        ({"clip": "no"}, "clip='no'"),
    ):
        with pytest.raises(ValueError, match=re.escape(said)):
            Mine(3, **wrong)
    with pytest.raises(TypeError, match="required positional argument"):
        Mine()
