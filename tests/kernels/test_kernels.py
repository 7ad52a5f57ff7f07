"""Laws over every recurrence, option and back end, against a step written in plain autograd."""

from __future__ import annotations

import importlib.util
import inspect
import itertools
import os
import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from rnnbench.benchmarks import kernels as benchmark
from rnnbench.benchmarks import variants
from rnnbench.benchmarks.kernels import bidirectional, measurements, passes, saved_bytes
from rnnbench.kernels import chunks, loading, minimal, products
from rnnbench.kernels.gru import gru
from rnnbench.kernels.lstm import lstm
from rnnbench.kernels.products import COPY_FROM
from rnnbench.kernels.recurrence import GradientSink, choose_backend, compile_steps, machine_code
from rnnbench.kernels.rnn import rnn
from rnnbench.models.registry import MODELS
from rnnbench.run.process_settings import configure_process

T, B, D, H, P = 7, 3, 4, 5, 2  # steps, rows, inputs, units, projected units
SQUASH = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "sigmoid_4x": lambda a: torch.sigmoid(4 * a),
    "sigmoid_4x_centred": lambda a: torch.sigmoid(4 * a) - 0.5,
    "half_tanh_2x": lambda a: 0.5 * torch.tanh(2 * a),
}


def rnn_step(x, state, w, activation="tanh"):
    (h,) = state
    return (SQUASH[activation](x @ w["W"].t() + w["b_i"] + h @ w["R"].t() + w["b_h"]),)


def gru_step(x, state, w, reset="after"):
    (h,) = state
    (a_r, a_z, a_n), (R_r, R_z, R_n) = (x @ w["W"].t() + w["b_i"]).chunk(3, -1), w["R"].chunk(3)
    b_r, b_z, b_n = w["b_h"].chunk(3)
    r, z = torch.sigmoid(a_r + h @ R_r.t() + b_r), torch.sigmoid(a_z + h @ R_z.t() + b_z)
    n = torch.tanh(a_n + r * (h @ R_n.t() + b_n)) if reset == "after" else torch.tanh(a_n + (r * h) @ R_n.t() + b_n)
    return ((1 - z) * n + z * h,)


def lstm_step(x, state, w, gates="ifgo", coupled=False, squash_input=True, squash_output=True):
    h, c, *old = state
    a = dict(zip(gates, (x @ w["W"].t() + w["b_i"] + h @ w["R"].t() + w["b_h"]).chunk(len(gates), -1), strict=True))
    p = dict(zip(gates.replace("g", ""), w.get("peepholes", ()), strict=False))
    if old:
        for gate, more in zip("ifo", (old[0] @ w["gate_recurrence"].t()).chunk(3, -1), strict=True):
            a[gate] = a[gate] + more
    i = torch.sigmoid(a["i"] + p.get("i", 0) * c) if "i" in gates else 1
    f = torch.sigmoid(a["f"] + p.get("f", 0) * c) if "f" in gates else 1 - i if coupled else 1
    c = f * c + i * (torch.tanh(a["g"]) if squash_input else a["g"])
    seen = c @ w["cell_to_output"].t() if "cell_to_output" in w else p.get("o", 0) * c
    o = torch.sigmoid(a["o"] + seen) if "o" in gates else 1
    h = o * (torch.tanh(c) if squash_output else c)
    h = h @ w["projection"].t() if "projection" in w else h
    return (h, c, torch.cat([i, f, o], -1)) if old else (h, c)


STEPS = {"rnn": rnn_step, "gru": gru_step, "lstm": lstm_step}
GATES = {"rnn": 1, "gru": 3, "lstm": 4}
OURS = ["fused", "steps", "operations"]  # as it comes, products by a library, and without machine code
CASES = [  # mechanism, options, the extra weights by name and shape, back ends
    *(("rnn", {"activation": name}, {}, ["library", "fused", "operations"][name not in ("tanh", "relu") :]) for name in SQUASH),
    ("gru", {"reset": "after"}, {}, ["library", *OURS]),
    ("gru", {"reset": "before"}, {}, ["fused", "operations"]),
    ("lstm", {}, {}, ["library", *OURS]),
    ("lstm", {}, {"peepholes": (3, H)}, OURS),
    ("lstm", {"gates": "fgo"}, {"peepholes": (2, H)}, OURS),
    ("lstm", {"gates": "igo"}, {"peepholes": (2, H)}, OURS),
    ("lstm", {"gates": "ifg"}, {"peepholes": (2, H)}, OURS),
    ("lstm", {"gates": "g"}, {}, OURS),
    ("lstm", {"gates": "igo", "coupled": True}, {"peepholes": (2, H)}, OURS),
    ("lstm", {"squash_input": False}, {"peepholes": (3, H)}, OURS),
    ("lstm", {"squash_output": False}, {"peepholes": (3, H)}, OURS),
    ("lstm", {}, {"cell_to_output": (H, H)}, ["fused", "operations"]),
    ("lstm", {}, {"cell_to_output": (H, H), "peepholes": (2, H)}, ["fused", "operations"]),
    ("lstm", {}, {"projection": (P, H)}, ["library", "fused", "operations"]),
    ("lstm", {"gates": "ifg"}, {"projection": (P, H), "peepholes": (2, H)}, ["fused"]),
    ("lstm", {}, {"projection": (P, H), "cell_to_output": (H, H), "peepholes": (2, H)}, ["fused"]),
    ("lstm", {}, {"projection": (P, H), "gate_recurrence": (3 * H, 3 * H)}, ["fused"]),
    ("lstm", {}, {"projection": (P, H), "peepholes": (3, H)}, ["fused", "operations"]),
    ("lstm", {}, {"gate_recurrence": (3 * H, 3 * H), "peepholes": (3, H)}, ["fused", "operations"]),
    ("lstm", {}, {"gate_recurrence": (3 * H, 3 * H)}, ["fused", "operations"]),
]
SMALL = [case[:3] for case in CASES if "fused" in case[3] and case[1].get("activation") in (None, "tanh", "relu")]
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
ALL = [
    pytest.param(
        *case, backend, id="-".join([case[0], *(f"{name}={value}" for name, value in case[1].items()), *case[2], backend])
    )
    for *case, backends in CASES
    for backend in backends
]
laws = pytest.mark.parametrize(("mechanism", "options", "extra", "backend"), ALL)


def make(mechanism, options, extra, dtype=torch.float64, steps=T, rows=B, inputs=D, seed=0):
    """(x, the initial state, the weights by name), all asking for gradients."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return (torch.rand(*shape, generator=generator, dtype=torch.float64) * 1.4 - 0.7).to(dtype).requires_grad_()

    G, out = len(options.get("gates", " " * GATES[mechanism])), P if "projection" in extra else H
    weights = {"W": draw(G * H, inputs), "R": draw(G * H, out), "b_i": draw(G * H), "b_h": draw(G * H)}
    weights |= {name: draw(*shape) for name, shape in extra.items()}
    state = (draw(rows, out), draw(rows, H)) if mechanism == "lstm" else (draw(rows, H),)
    if "gate_recurrence" in extra:
        state = (*state, draw(rows, 3 * H))
    return draw(steps, rows, inputs), state, weights


def run(mechanism, x, state, weights, backend="auto", **options):
    """y and the final state as a tuple, by the kernels."""
    options["backend"] = "fused" if backend in OURS else backend
    before = products.BY_HAND
    try:
        compile_steps(backend != "operations")
        products.BY_HAND = 0 if backend == "steps" else before
        y, final = {"rnn": rnn, "gru": gru, "lstm": lstm}[mechanism](
            x, state if mechanism == "lstm" else state[0], **weights, **options
        )
    finally:
        compile_steps(True)
        products.BY_HAND = before
    return y, final if isinstance(final, tuple) else (final,)


def loop(mechanism, x, state, weights, lengths=None, states=None, **options):
    """The same, step by step; `states` collects every state on the way."""
    outputs = []
    for t, x_t in enumerate(x):
        new = STEPS[mechanism](x_t, state, weights, **options)
        if states is not None:
            states.append(new)
        if lengths is not None:
            valid = (t < lengths).unsqueeze(1)
            new = tuple(torch.where(valid, after, before) for after, before in zip(new, state, strict=True))
        state = new
        outputs.append(state[0] if lengths is None else torch.where(valid, state[0], 0))
    return torch.stack(outputs), state


def objective(y, state):
    """A number that every output and every part of the final state acts on."""
    weight = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)
    return (weight * y).sum() + sum((k + 2) * (part * part.detach().cos()).sum() for k, part in enumerate(state))


def gradients(x, state, weights, y, final):
    inputs = [x, *state, *weights.values()]
    return torch.autograd.grad(objective(y, final), inputs)


def agree(ours, theirs, tolerance):
    for mine, other in zip(ours, theirs, strict=True):
        scale = other.abs().max().clamp(min=1e-3)
        assert mine.shape == other.shape
        assert (mine - other).abs().max() <= tolerance * scale, ((mine - other).abs().max() / scale).item()


@laws
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)], ids=["f64", "f32"])
@pytest.mark.parametrize("lengths", [None, (4, 7, 1), (0, 3, 2)], ids=["whole", "ragged", "empty row"])
@pytest.mark.parametrize("chunked", [False, True], ids=["one chunk", "chunks"])
def test_values_and_gradients_equal_a_loop(mechanism, options, extra, backend, dtype, tolerance, lengths, chunked, monkeypatch):
    if chunked and backend != "library":
        monkeypatch.setattr(chunks, "chunk_length", lambda rows, units: 2)
        monkeypatch.setattr(chunks, "cached_length", lambda rows, width: 2)
    x, state, weights = make(mechanism, options, extra, dtype)
    lengths = None if lengths is None else torch.tensor(lengths)
    y, final = run(mechanism, x, state, weights, lengths=lengths, backend=backend, **options)
    y_loop, final_loop = loop(mechanism, x, state, weights, lengths, **options)
    agree([y, *final], [y_loop, *final_loop], tolerance)
    ours, theirs = gradients(x, state, weights, y, final), gradients(x, state, weights, y_loop, final_loop)
    agree(ours, theirs, tolerance)


class Products(TorchDispatchMode):
    """Counts the products of (rows, K) with a matrix that is a transposed view, and the other ones."""

    def __init__(self, rows: int):
        super().__init__()
        self.rows, self.views, self.others = rows, 0, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket in (torch.ops.aten.mm, torch.ops.aten.addmm):
            *_, a, matrix = args
            if len(a) == self.rows:
                self.views, self.others = self.views + (not matrix.is_contiguous()), self.others + matrix.is_contiguous()
        return func(*args, **(kwargs or {}))


@laws
@pytest.mark.parametrize(("steps", "copied"), [(COPY_FROM, True), (COPY_FROM - 1, False)])
def test_many_steps_multiply_by_no_transposed_view(mechanism, options, extra, backend, steps, copied):
    if backend == "library" or (backend == "fused" and compile_steps(True)):
        pytest.skip("its products are PyTorch's, or machine code")
    x, state, weights = make(mechanism, options, extra, steps=steps)
    with Products(B) as forward:
        y, final = run(mechanism, x, state, weights, backend=backend, **options)
    with Products(B) as backward:
        ours = gradients(x, state, weights, y, final)
    assert bool(forward.views) == (not copied) and forward.views + forward.others >= steps
    assert bool(backward.views) <= (not copied) and backward.views + backward.others >= steps
    y_loop, final_loop = loop(mechanism, x, state, weights, **options)
    agree([y, *final, *ours], [y_loop, *final_loop, *gradients(x, state, weights, y_loop, final_loop)], 1e-10)


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm"])
def test_memory_for_the_backward_pass(name):
    ours, theirs = passes(name, (20, 8, 64), peepholes=name == "lstm")
    assert saved_bytes(ours) <= 1.3 * saved_bytes(theirs)


def test_the_benchmark_measures_every_row(monkeypatch):
    monkeypatch.setattr(benchmark, "fresh", lambda shape, settled: 1.0 if settled else 2.0)
    rows = list(measurements([(3, 2, 8)], rounds=1, fast=False))
    assert {row.name.split()[0] for row in rows} == {"peephole", "its", "GRU", "RNN", "LSTM", "nn.LSTM"}
    assert all(row.ratio > 0 for row in rows) and rows[-1].ratio == 0.5
    assert all((row.limit or 0) > 0 for row in rows if "memory" not in row.name)
    fast = [row.name for row in measurements([(3, 2, 8)], rounds=1, fast=True)]
    assert [name for name in fast if "GRU / nn.GRU" in name] == [
        "GRU / nn.GRU, default products",
        "GRU / nn.GRU, oneDNN's products",
    ]


def test_the_benchmark_of_variants_measures_every_option():
    rows = list(variants.variant_rows([(3, 2, 8)], rounds=1))
    timed = [row for row in rows if "memory" not in row.name]
    assert [row.name.partition(" / ")[0] for row in timed] == [variant.name for variant in variants.VARIANTS]
    assert all(row.ratio > 0 for row in rows)
    named = {name for variant in variants.VARIANTS for name in variant.options}
    lstm = {name for name in inspect.signature(MODELS["lstm"]).parameters if name.isupper()}
    assert lstm <= named and {"peepholes", "proj_size", "reset", "nonlinearity"} <= named


def test_the_rows_of_two_directions():
    rows = list(bidirectional((6, 4, 8), rounds=1))
    assert [row.name.rpartition("/ ")[2] for row in rows] == ["padded", "packed"]
    assert [row.bounds[0] for row in rows] == [1.15, 0.2] and all(row.ratio > 0 for row in rows)


@laws
def test_without_gradients_the_values_are_the_same(mechanism, options, extra, backend, monkeypatch):
    x, state, weights = make(mechanism, options, extra)
    y, final = run(mechanism, x, state, weights, backend=backend, **options)
    monkeypatch.setattr(chunks, "chunk_length", lambda rows, units: 2)
    monkeypatch.setattr(chunks, "cached_length", lambda rows, width: 2)
    with torch.no_grad():
        again = run(mechanism, x, state, weights, backend=backend, **options)
    agree([again[0], *again[1]], [y, *final], 1e-13)
    assert not again[0].requires_grad


@laws
def test_padding_changes_nothing(mechanism, options, extra, backend):
    """Each row is as if run alone at its own length, whatever stands at padding and whatever gradient arrives there."""
    x, state, weights = make(mechanism, options, extra)
    lengths = torch.tensor([3, 7, 5])
    garbage = torch.where((torch.arange(T).view(-1, 1, 1) >= lengths.view(1, -1, 1)), 1e30, x.detach()).requires_grad_()
    inputs = [garbage, *state, *weights.values()]
    y, final = run(mechanism, garbage, state, weights, lengths=lengths, backend=backend, **options)
    padding = (torch.arange(T).view(-1, 1, 1) >= lengths.view(1, -1, 1)).expand_as(y)
    assert not y[padding].any()
    weight = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)
    total = torch.autograd.grad((weight * y).sum() + sum(part.sum() for part in final), inputs)
    assert not total[0][padding[..., :1].expand_as(total[0])].any()
    alone = [torch.zeros_like(part) for part in inputs]
    for row, length in enumerate(lengths.tolist()):
        one = [x[:length, row : row + 1], *(part[row : row + 1] for part in state)]
        y_row, final_row = run(mechanism, one[0], tuple(one[1:]), weights, backend=backend, **options)
        agree([y[:length, row : row + 1], *(part[row : row + 1] for part in final)], [y_row, *final_row], 1e-12)
        loss = (weight[:length, row : row + 1] * y_row).sum() + sum(part.sum() for part in final_row)
        for sum_, part in zip(alone, torch.autograd.grad(loss, [x, *state, *weights.values()]), strict=True):
            sum_ += part
    agree(total, alone, 1e-11)


@laws
def test_two_chunks_are_the_whole(mechanism, options, extra, backend):
    x, state, weights = make(mechanism, options, extra)
    lengths = torch.tensor([2, 7, 5])
    y, final = run(mechanism, x, state, weights, lengths=lengths, backend=backend, **options)
    first, middle = run(mechanism, x[:3], state, weights, lengths=lengths.clamp(max=3), backend=backend, **options)
    rest = (lengths - 3).clamp(min=0)
    second, last = run(mechanism, x[3:], middle, weights, lengths=rest, backend=backend, **options)
    agree([torch.cat([first, second]), *last], [y, *final], 1e-12)
    ours = gradients(x, state, weights, torch.cat([first, second]), last)
    agree(ours, gradients(x, state, weights, y, final), 1e-11)


@laws
@pytest.mark.parametrize(("steps", "rows"), [(1, 1), (1, 3), (6, 1)])
def test_one_step_and_one_row(mechanism, options, extra, backend, steps, rows):
    x, state, weights = make(mechanism, options, extra, steps=steps, rows=rows)
    y, final = run(mechanism, x, state, weights, backend=backend, **options)
    y_loop, final_loop = loop(mechanism, x, state, weights, **options)
    agree([y, *final], [y_loop, *final_loop], 1e-12)
    agree(gradients(x, state, weights, y, final), gradients(x, state, weights, y_loop, final_loop), 1e-11)


FUSED = [case for case in ALL if case.values[3] != "library"]
fused_laws = pytest.mark.parametrize(("mechanism", "options", "extra", "backend"), FUSED)


@fused_laws
def test_gradients_by_finite_differences(mechanism, options, extra, backend):
    x, state, weights = make(mechanism, options, extra, steps=3, rows=2, inputs=2)
    names, lengths = list(weights), torch.tensor([3, 2])

    def outputs(x, *tensors):
        state_, weights_ = tensors[: len(state)], dict(zip(names, tensors[len(state) :], strict=True))
        y, final = run(mechanism, x, state_, weights_, lengths=lengths, backend=backend, **options)
        return y, *final

    assert torch.autograd.gradcheck(outputs, (x, *state, *weights.values()), fast_mode=True)


@fused_laws
@pytest.mark.parametrize("lengths", [None, (4, 7, 1)], ids=["whole", "ragged"])
def test_the_gradient_of_every_state(mechanism, options, extra, backend, lengths):
    x, state, weights = make(mechanism, options, extra)
    lengths, sink = None if lengths is None else torch.tensor(lengths), GradientSink()
    y, final = run(mechanism, x, state, weights, lengths=lengths, backend=backend, sink=sink, **options)
    objective(y, final).backward()
    states = []
    y_loop, final_loop = loop(mechanism, x, state, weights, lengths, states, **options)
    kinds = [("h", 0), ("c", 1)][: 2 if mechanism == "lstm" else 1]
    for name, part in kinds:
        every = torch.autograd.grad(objective(y_loop, final_loop), [s[part] for s in states], retain_graph=True)
        agree([getattr(sink, name)], [torch.stack(every).norm(dim=(1, 2))], 1e-11)


@fused_laws
def test_differentiating_twice_is_refused(mechanism, options, extra, backend):
    x, state, weights = make(mechanism, options, extra)
    y, final = run(mechanism, x, state, weights, backend=backend, **options)
    with pytest.raises(RuntimeError, match="can be differentiated once"):
        torch.autograd.grad(objective(y, final), [x], create_graph=True)


@fused_laws
def test_under_autocast_the_fused_back_end_keeps_its_type(mechanism, options, extra, backend):
    x, state, weights = make(mechanism, options, extra, torch.float32)
    y, final = run(mechanism, x, state, weights, backend=backend, **options)
    with torch.autocast("cpu", torch.bfloat16):
        y_cast, final_cast = run(mechanism, x, state, weights, backend=backend, **options)
    agree([y_cast, *final_cast], [y, *final], 0)
    agree(gradients(x, state, weights, y_cast, final_cast), gradients(x, state, weights, y, final), 0)


@pytest.mark.parametrize("lengths", [None, (4, 7, 1)], ids=["whole", "ragged"])
@pytest.mark.parametrize("mechanism", ["rnn", "gru", "lstm"])
def test_autocast_trains_in_bf16(mechanism, lengths):
    x, state, weights = make(mechanism, {}, {}, torch.float32)
    lengths = None if lengths is None else torch.tensor(lengths)
    exact = run(mechanism, x, state, weights, lengths=lengths)
    with torch.autocast("cpu", torch.bfloat16):
        y, final = run(mechanism, x.bfloat16(), state, weights, lengths=lengths)
    agree([y.float()], exact[:1], 0.05)
    torch.autograd.backward([y.float().sum() + sum(part.float().sum() for part in final)])
    assert all(weight.grad.isfinite().all() for weight in weights.values())


LAYERS = [
    ("rnn", {"activation": "tanh"}, nn.RNN, {"nonlinearity": "tanh"}),
    ("rnn", {"activation": "relu"}, nn.RNN, {"nonlinearity": "relu"}),
    ("gru", {}, nn.GRU, {}),
    ("lstm", {}, nn.LSTM, {}),
    ("lstm", {}, nn.LSTM, {"proj_size": P}),
]


@pytest.mark.parametrize("backend", ["auto", "library", "fused"])
@pytest.mark.parametrize(("mechanism", "options", "layer", "arguments"), LAYERS)
def test_parity_with_the_library_modules(mechanism, options, layer, arguments, backend):
    torch.manual_seed(0)
    module = layer(D, H, **arguments, dtype=torch.float64)
    W, R, b_i, b_h, *projection = module.parameters()
    weights = {"W": W, "R": R, "b_i": b_i, "b_h": b_h} | dict(zip(["projection"], projection, strict=False))
    x = torch.randn(T, B, D, dtype=torch.float64, requires_grad=True)
    state = [torch.randn(B, len(R[0]), dtype=torch.float64, requires_grad=True)]
    if mechanism == "lstm":
        state.append(torch.randn(B, H, dtype=torch.float64, requires_grad=True))
    y, final = run(mechanism, x, tuple(state), weights, backend=backend, **options)
    given = tuple(part.unsqueeze(0) for part in state)
    y_module, final_module = module(x, given if mechanism == "lstm" else given[0])
    final_module = [part[0] for part in (final_module if mechanism == "lstm" else [final_module])]
    agree([y, *final], [y_module, *final_module], 1e-12)
    agree(gradients(x, state, weights, y, final), gradients(x, state, weights, y_module, final_module), 1e-11)


@pytest.mark.parametrize("missing", ["b_i", "b_h", "both"])
@pytest.mark.parametrize("mechanism", ["rnn", "gru", "lstm"])
def test_a_missing_bias_is_zero(mechanism, missing):
    x, state, weights = make(mechanism, {}, {})
    absent = ["b_i", "b_h"] if missing == "both" else [missing]
    zero = weights | {name: torch.zeros_like(weights[name]) for name in absent}
    without = {name: weight for name, weight in weights.items() if name not in absent}
    for backend in ("library", "fused"):
        agree([run(mechanism, x, state, without, backend=backend)[0]], [run(mechanism, x, state, zero)[0]], 1e-12)


def test_the_peephole_lstm_of_keras():
    """A value published with Keras's own test of its peephole cell: weights one, forget bias one, one-hot input."""
    b = torch.zeros(20)
    b[5:10] = 1
    x = torch.eye(4)[:1].unsqueeze(0)
    state = (torch.zeros(1, 5), torch.zeros(1, 5))
    y, _ = lstm(x, state, torch.ones(20, 4), torch.ones(20, 5), b, peepholes=torch.ones(3, 5))
    torch.testing.assert_close(y, torch.full((1, 1, 5), 0.417551), atol=5e-7, rtol=0)


def test_zero_peepholes_are_none():
    x, state, weights = make("lstm", {}, {})
    y, _ = run("lstm", x, state, weights | {"peepholes": torch.zeros(3, H, dtype=x.dtype)})
    agree([y], [run("lstm", x, state, weights, backend="library")[0]], 1e-12)


@pytest.mark.parametrize(("size", "rows"), [(48, 8), (48, 600), (640, 64)], ids=["small", "plain", "packed"])
@pytest.mark.parametrize("mechanism", ["rnn", "gru", "lstm"])
def test_fast_products_change_rounding_only(mechanism, size, rows):
    products = getattr(torch.backends.mkldnn, "matmul", None)
    if products is None:
        pytest.skip("this PyTorch has no switch")
    before, threads = products.fp32_precision, torch.get_num_threads()
    torch.manual_seed(0)
    module = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}[mechanism](size, size)
    x = torch.randn(3, rows, size)
    state = (torch.zeros(rows, size),) * (2 if mechanism == "lstm" else 1)
    weights = dict(zip(["W", "R", "b_i", "b_h"], module.parameters(), strict=True))
    results = []
    try:
        for fast in (False, True):
            if configure_process(threads=0, allocator=False, fast_matmul=fast)["fast_matmul"] is not fast:
                pytest.skip("fast products are not used on this processor")
            y, final = run(mechanism, x, state, weights, backend="fused")
            results.append([y, *torch.autograd.grad(objective(y, final), list(weights.values()))])
            assert products.fp32_precision == ("bf16" if fast else "none")
    finally:
        products.fp32_precision = before
        torch.set_num_threads(threads)
    agree(results[1], results[0], 1e-5)


needs_numba = pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="numba is not installed")


@needs_numba
@pytest.mark.parametrize("mechanism", ["gru", "lstm"])
def test_machine_code_saturates_and_shows_what_is_no_number(mechanism):
    """At the ends of float32 the values are those of PyTorch's operations, and NaN stays NaN, so that divergence is seen."""
    x, state, weights = make(mechanism, {}, {"peepholes": (3, 21)} if mechanism == "lstm" else {}, torch.float32)
    G = GATES[mechanism]
    weights |= {
        "W": torch.ones(G * 21, 1),
        "R": torch.zeros(G * 21, 21),
        "b_i": torch.zeros(G * 21),
        "b_h": torch.zeros(G * 21),
    }
    ends = torch.tensor([0, 1e-30, -20, 20, -90, 90, -1e4, 1e4, -1e38, 1e38, float("-inf"), float("inf"), float("nan")])
    x, state = ends.view(1, -1, 1), tuple(torch.zeros(len(ends), 21) for _ in state)
    compiled, operations = (run(mechanism, x, state, weights, backend=name)[0] for name in ("fused", "operations"))
    assert machine_code(x) is not None
    torch.testing.assert_close(compiled, operations, atol=2e-7, rtol=0, equal_nan=True)
    assert compiled[0, -1].isnan().all() and not compiled[0, :-1].isnan().any()


@needs_numba
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_products_by_hand_equal_those_of_the_library(dtype):
    """Of whole blocks, of what is left of rows and columns, and of less than a block."""
    import numba

    from rnnbench.kernels import compiled

    @numba.njit
    def multiply(a, M, out, start):
        compiled.multiply(a, M, out, start)

    @numba.njit
    def multiply_transposed(a, M, out, start):
        compiled.multiply(a.T, M, out, start)

    for rows, K, N in itertools.product((1, 3, 4, 9), (1, 3, 4, 33), (1, 8, 16, 17, 40)):
        a, M, bias = (torch.randn(*shape, dtype=dtype) for shape in ((rows, K), (K, N), (N,)))
        for start in (None, bias):
            out = torch.full((rows, N), torch.nan, dtype=dtype)
            multiply(a.numpy(), M.numpy(), out.numpy(), None if start is None else start.numpy())
            torch.testing.assert_close(out, a @ M if start is None else a @ M + bias)
        multiply_transposed(a.t().contiguous().numpy(), M.numpy(), out.numpy(), out.numpy())
        torch.testing.assert_close(out, 2 * (a @ M) + bias)


@needs_numba
@pytest.mark.parametrize("lengths", [None, (4, 7, 1)], ids=["whole", "ragged"])
@pytest.mark.parametrize("backend", ["fused", "steps"])
@pytest.mark.parametrize("mechanism", ["gru", "lstm"])
def test_machine_code_is_what_runs_on_contiguous_arrays(mechanism, backend, lengths, monkeypatch):
    """With gradients and without, in one chunk and several: another layout of an array would be compiled, slow, again."""
    x, state, weights = make(mechanism, {}, {"peepholes": (3, H)} if mechanism == "lstm" else {}, torch.float32)
    lengths = None if lengths is None else torch.tensor(lengths)
    y, final = run(mechanism, x, state, weights, backend=backend, lengths=lengths)
    assert ("Sequence" if backend == "fused" else "Steps") in type(y.grad_fn).__name__
    (y.sum() + final[0].sum()).backward()
    monkeypatch.setattr(chunks, "chunk_length", lambda rows, units: 2)
    monkeypatch.setattr(chunks, "cached_length", lambda rows, width: 2)
    with torch.no_grad():
        run(mechanism, x, state, weights, backend=backend, lengths=lengths)
    for name in (f"{mechanism}_forward", f"{mechanism}_backward"):
        kernels = machine_code(x)
        kernel = getattr(kernels, f"{name}_whole") if backend == "fused" else getattr(kernels, name).__self__
        forms = kernel.compiled.signatures
        assert forms and all(array.layout == "C" for form in forms for array in form if hasattr(array, "layout")), forms


CACHE = """
import sys, torch
from rnnbench.kernels.gru import gru
from rnnbench.run.process_settings import configure_process
assert configure_process()["compiled"]
x, h, W, R = torch.ones(2, 1, 3), torch.zeros(1, 5), torch.ones(15, 3), torch.ones(15, 5)
print(gru(x, h, W, R)[0].sum().item())
"""


@pytest.mark.slow
@needs_numba
def test_machine_code_is_kept_and_what_is_damaged_or_cannot_be_kept_is_compiled(tmp_path):
    def ran(folder) -> str:
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder)}
        done = subprocess.run([sys.executable, "-c", CACHE], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    first, kept = ran(tmp_path / "cache"), sorted((tmp_path / "cache").rglob("*.nb?"))
    assert [path.suffix for path in kept] == [".nbc", ".nbi"]
    assert ran(tmp_path / "cache") == first
    for path in kept:
        path.write_bytes(b"damaged")
    assert ran(tmp_path / "cache") == first
    (tmp_path / "file").touch()
    assert ran(tmp_path / "file") == first
    off = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run([sys.executable, "-c", CACHE], capture_output=True, text=True, env=off)
    assert done.returncode == 1 and "AssertionError" in done.stderr  # not in force, and not said to be


def test_auto_follows_the_rule():
    rule = choose_backend
    assert rule("auto", True, True, None) == "library"
    assert rule("auto", True, False, None) == "fused"
    assert rule("auto", False, True, None) == "fused"
    assert rule("auto", True, True, GradientSink()) == "fused"
    with pytest.raises(ValueError, match="the library has no such recurrence"):
        rule("library", False, True, None)
    with pytest.raises(ValueError, match="does not show the gradient"):
        rule("library", True, True, GradientSink())
    with pytest.raises(ValueError, match="no back end 'fast'; there are: auto, library, fused"):
        rule("fast", True, True, None)


@pytest.mark.parametrize(
    ("mechanism", "options", "extra", "message"),
    [
        ("rnn", {"activation": "tan"}, {}, "no activation 'tan'; there are: tanh, relu"),
        ("gru", {"reset": "never"}, {}, "no reset 'never'; there are: after, before"),
        ("lstm", {"gates": "ofgi"}, {}, "gates='ofgi' is not allowed"),
        ("lstm", {"coupled": True}, {}, "coupled gates have an i and no f"),
        ("lstm", {"gates": "ifg"}, {"cell_to_output": (H, H)}, "lacks a gate"),
        ("lstm", {"gates": "ifg"}, {"peepholes": (3, H)}, "peepholes has 3 rows; 2 of"),
    ],
)
def test_what_cannot_be_is_refused(mechanism, options, extra, message):
    x, state, weights = make(mechanism, {"gates": options.get("gates", "ifgo")} if mechanism == "lstm" else {}, extra)
    with pytest.raises(ValueError, match=message):
        run(mechanism, x, state, weights, **options)


@laws
@pytest.mark.parametrize("lengths", [None, (4, 7, 1)], ids=["whole", "ragged"])
def test_gradients_may_come_in_any_layout(mechanism, options, extra, backend, lengths):
    """Of outputs and of the final state, column by column too."""
    x, state, weights = make(mechanism, options, extra, rows=B)
    lengths = None if lengths is None else torch.tensor(lengths)

    def found(y, final):
        parts = [torch.cat([part.transpose(0, -1), part.transpose(0, -1)]).sin() for part in (y, *final)]
        return torch.autograd.grad(sum(part.sum() for part in parts), [x, *state, *weights.values()])

    ours = found(*run(mechanism, x, state, weights, backend=backend, lengths=lengths, **options))
    agree(ours, found(*loop(mechanism, x, state, weights, lengths, **options)), 1e-9)


@laws
def test_other_shapes_are_refused(mechanism, options, extra, backend):
    """Machine code reads what it is told to: a row too few would be memory of others."""
    x, state, weights = make(mechanism, options, extra)
    for name in weights:
        for short in (weights[name][:-1], weights[name][..., :-1], torch.cat([weights[name], weights[name]])):
            with pytest.raises((ValueError, RuntimeError), match=r"shape|peepholes has"):
                run(mechanism, x, state, weights | {name: short}, backend=backend, **options)
    for k, part in enumerate(state):
        for short in (part[:-1], part[:, :-1]):
            with pytest.raises(ValueError, match="has the shape"):
                run(mechanism, x, (*state[:k], short, *state[k + 1 :]), weights, backend=backend, **options)
    with pytest.raises(ValueError, match="lengths has the shape"):
        run(mechanism, x, state, weights, backend=backend, lengths=torch.tensor([1, 3]), **options)


@needs_numba
@pytest.mark.parametrize("name", ["W", "R", "b_i"])
@pytest.mark.parametrize(("mechanism", "options"), [("rnn", {}), ("gru", {}), ("gru", {"reset": "before"}), ("lstm", {})])
def test_machine_code_refuses_numbers_of_two_types(mechanism, options, name):
    """It would read and write numbers of another width. A state and an input become those of R."""
    x, state, weights = make(mechanism, options, {}, torch.float32)
    with pytest.raises(ValueError, match=r"of one type, got torch\.float32, torch\.float64"):
        run(mechanism, x if name != "R" else x.double(), state, weights | {name: weights[name].double()}, "fused", **options)


@needs_numba
@pytest.mark.parametrize(("mechanism", "options", "extra"), SMALL)
def test_a_sequence_by_blocks_equals_operations(mechanism, options, extra, monkeypatch):
    """Of blocks of columns and rows and a rest, in chunks, of rows that end early; and of no rows or steps."""
    monkeypatch.setattr(sys.modules[__name__], "H", 33)
    monkeypatch.setattr(chunks, "cached_length", lambda rows, width: 2)
    extra = {name: tuple(33 if size == 5 else 99 if size == 15 else size for size in shape) for name, shape in extra.items()}
    x, state, weights = make(mechanism, options, extra, rows=5)
    found = []
    for backend in ("fused", "operations"):
        sink = GradientSink()
        lengths = torch.tensor([7, 0, 3, 7, 1])
        y, final = run(mechanism, x, state, weights, backend, lengths=lengths, sink=sink, **options)
        assert ("Sequence" in type(y.grad_fn).__name__) == (backend == "fused")
        norms = [norm for norm in (*gradients(x, state, weights, y, final), sink.h, sink.c) if norm is not None]
        found.append([y, *final, *norms])
    agree(*found, 1e-10)
    for steps, rows in ((0, 2), (2, 0)):
        x, state, weights = make(mechanism, options, extra, steps=steps, rows=rows)
        y, final = run(mechanism, x, state, weights, "fused", **options)
        assert y.shape[:2] == (steps, rows)
        first, *_ = torch.autograd.grad(y.sum() + sum(part.sum() for part in final), state)
        assert first.eq(steps == 0).all() or not first.numel()


@needs_numba
@pytest.mark.parametrize("each", [0.1, 5.0])
def test_who_waits_for_kernels_to_be_compiled_is_told_so_once(each, monkeypatch, capsys):
    seconds = itertools.count(0.0, each)
    monkeypatch.setattr(loading, "compile_seconds", lambda: next(seconds))
    loading.load_kernels()
    assert capsys.readouterr().err.count("compiling the kernels for this machine") == (each > 1)


@needs_numba
@pytest.mark.parametrize("name", ["min_gru", "min_lstm"])
def test_minimal_cells_read_no_memory_of_others(name):
    cell, x = MODELS[name](D, hidden_size=H).double(), torch.randn(T, B, D, dtype=torch.float64, requires_grad=True)
    with pytest.raises(ValueError, match="lengths has the shape"):
        cell.unroll(x, cell.initial_state(B), torch.tensor([1, 3]))
    with pytest.raises(ValueError, match="h has the shape"):
        cell.unroll(x, cell.initial_state(B - 1), None)
    own, other = {"min_gru": (3, 2), "min_lstm": (2, 3)}[name]  # the other cell with these weights would have such a state
    with pytest.raises(ValueError, match="W has the shape"):
        MODELS[name](D, hidden_size=own).double().unroll(x, torch.zeros(B, other, dtype=torch.float64), None)
    lengths = torch.tensor([4, 7, 1])
    y, _ = cell.unroll(x, cell.initial_state(B), lengths)
    lengths.fill_(7)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()
    for steps, rows in ((0, B), (T, 0)):
        for keep in (True, False):
            with torch.set_grad_enabled(keep):
                y, h = cell.unroll(torch.zeros(steps, rows, D, dtype=torch.float64), cell.initial_state(rows))
            assert y.shape == (steps, rows, H) and h.shape == (rows, H)


@needs_numba
@pytest.mark.parametrize("options", [{}, {"positive": True}], ids=str)
@pytest.mark.parametrize("large", [False, True], ids=["products in the cache", "the library's products"])
@pytest.mark.parametrize("name", ["min_gru", "min_lstm"])
def test_minimal_cells_in_chunks(name, options, large, monkeypatch):
    """Several chunks, of steps and of what the cache holds, against the scan: states, gradients and their norms."""
    monkeypatch.setattr(chunks, "cached_length", lambda rows, width: 2)
    monkeypatch.setattr(chunks, "chunk_length", lambda rows, gates: 3)
    monkeypatch.setattr(minimal, "products_in_cache", lambda W: not large)
    cell, x = MODELS[name](5, hidden_size=33, **options).double(), torch.randn(7, 5, 5, dtype=torch.float64)
    lengths, gy = torch.tensor([7, 0, 3, 7, 1]), torch.randn(7, 5, 33, dtype=torch.float64)
    found = []
    for backend in ("compiled", "loop"):
        cell.backend, cell.sinks = backend, []
        first, inputs = torch.full((5, 33), 0.3, dtype=torch.float64, requires_grad=True), x.clone().requires_grad_()
        y, h = cell.unroll(inputs, first, lengths)
        valid = torch.arange(7).view(-1, 1, 1) < lengths.view(1, -1, 1)
        of_all = torch.autograd.grad((y * gy * valid).sum() + h.square().sum(), [inputs, first, *cell.parameters()])
        found.append([y * valid, h, *of_all, cell.sinks[0].h])
    agree(*found, 1e-10)


@needs_numba
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(
    ("f", "i", "share"),
    [(-200, -199, 0.2689414), (-199, -200, 0.7310586), (-300, 5, 0), (5, -300, 1), (500, 500, 0.5), (-60, -60, 0.5)],
)
def test_the_shares_of_min_lstm_are_those_of_its_gates_however_small_they_are(f, i, share, dtype):
    """f / (f + i), where both may be too small for the type."""
    cell, state = MODELS["min_lstm"](1, hidden_size=3).to(dtype), torch.ones(1, 3, dtype=dtype, requires_grad=True)
    with torch.no_grad():
        cell.W.zero_()
        cell.b.copy_(torch.tensor([f, i, 0.0]).repeat_interleave(3))
    y, _ = cell.unroll(torch.zeros(1, 1, 1, dtype=dtype), state, None)
    assert y.tolist() == [[[pytest.approx(share, abs=1e-7)] * 3]]
    gradients = torch.autograd.grad(y.sum(), [state, *cell.parameters()])
    cell.backend = "loop"
    y, _ = cell.unroll(torch.zeros(1, 1, 1, dtype=dtype), state, None)
    for ours, theirs in zip(gradients, torch.autograd.grad(y.sum(), [state, *cell.parameters()]), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-7)


STEPS_BY_A_KERNEL = """
import torch
from rnnbench.kernels import {kernel} as kernel, recurrence
from rnnbench.kernels.lstm import lstm
from rnnbench.kernels.lstm_fused import Form
from rnnbench.kernels.lstm_steps import LSTMSteps

recurrence.compile_steps(False)  # the reference is made of operations
device, tolerance = {device!r}, 2e-6
torch.manual_seed(0)
T, B, D, H = 5, 6, 4, 50  # B H is no multiple of a block
shapes = (T, B, D), (B, H), (B, H), (4 * H, D), (4 * H, H), (4 * H,), (3, H)
for lengths in (None, torch.tensor([5, 1, 0, 3, 5, 4])):
    ours = [(torch.rand(shape) - 0.5).to(device).requires_grad_() for shape in shapes]
    theirs = [tensor.detach().double().cpu().requires_grad_() for tensor in ours]
    x, h, c, W, R, b, p = theirs
    asked, sink = recurrence.GradientSink(), recurrence.GradientSink()
    y, state = lstm(x, (h, c), W, R, b, peepholes=p, lengths=lengths, backend="fused", sink=asked)
    at = lengths if lengths is None else lengths.to(device)
    if device == "cpu":
        padded = at is not None and torch.arange(T).view(-1, 1, 1) >= at.view(1, -1, 1)
        inputs = [ours[0].masked_fill(padded, 0) if at is not None else ours[0], *ours[1:]]
        results = LSTMSteps.apply(*inputs, Form(), recurrence.Request(at, True, sink, kernel))
    else:
        x_, h_, c_, W_, R_, b_, p_ = ours
        y_, (h_, c_) = lstm(x_, (h_, c_), W_, R_, b_, peepholes=p_, lengths=at, sink=sink)
        assert "Steps" in type(y_.grad_fn).__name__
        results = y_, h_, c_
    for mine, other in zip(results, (y, *state), strict=True):
        assert (mine.cpu() - other).abs().max() < tolerance, (mine.cpu() - other).abs().max()
    sum((k + 1) * (part * part).sum() for k, part in enumerate(results)).backward()
    sum((k + 1) * (part * part).sum() for k, part in enumerate((y, *state))).backward()
    pairs = [(mine.grad.cpu(), other.grad) for mine, other in zip(ours, theirs, strict=True)]
    for mine, other in [*pairs, (sink.h.cpu(), asked.h), (sink.c.cpu(), asked.c)]:
        error = (mine - other).abs().max() / other.abs().max()
        assert error < tolerance, error
"""


def triton_agrees(device: str, **environment: str) -> None:
    if importlib.util.find_spec("triton") is None:
        pytest.skip("triton is not installed")
    kernel_agrees("lstm_triton", device, **environment)


def kernel_agrees(kernel: str, device: str, **environment: str) -> None:
    command = [sys.executable, "-c", STEPS_BY_A_KERNEL.format(kernel=kernel, device=device)]
    ran = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})
    assert ran.returncode == 0, ran.stderr


@needs_numba
def test_steps_by_a_kernel_agree():
    """As the two below, which need Triton or a GPU."""
    kernel_agrees("compiled", "cpu")


def test_the_gpu_kernel_in_the_interpreter():
    triton_agrees("cpu", TRITON_INTERPRET="1")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_the_gpu_kernel_on_a_gpu():
    triton_agrees("cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@laws
def test_on_a_gpu_as_on_a_cpu(mechanism, options, extra, backend):
    x, state, weights = make(mechanism, options, extra)
    lengths = torch.tensor([3, 7, 5])
    y, final = run(mechanism, x, state, weights, lengths=lengths, backend=backend, **options)
    theirs = gradients(x, state, weights, y, final)
    x, *state = (part.detach().cuda().requires_grad_() for part in (x, *state))
    weights = {name: weight.detach().cuda().requires_grad_() for name, weight in weights.items()}
    y_gpu, final_gpu = run(mechanism, x, tuple(state), weights, lengths=lengths.cuda(), backend=backend, **options)
    agree([part.cpu() for part in (y_gpu, *final_gpu)], [y, *final], 1e-10)
    agree([part.cpu() for part in gradients(x, tuple(state), weights, y_gpu, final_gpu)], theirs, 1e-10)
