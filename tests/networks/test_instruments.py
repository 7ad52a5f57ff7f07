"""Gradients through time against autograd, gates and states against known values, and what they cost in words."""

from __future__ import annotations

import contextlib
import math
from dataclasses import replace

import pytest
import torch

from rnnbench.benchmarks import instruments as cost
from rnnbench.benchmarks.instruments import _logged, measure
from rnnbench.config.compose import compose_jobs
from rnnbench.models.mechanism import tree_map
from rnnbench.models.registry import MODELS
from rnnbench.models.stack import Stack, recording
from rnnbench.networks.cost import multiply_adds, state_size
from rnnbench.networks.instruments import (
    StateGradients,
    activity,
    horizon,
    recurrent_cores,
    spectral_radius,
    update_ratio,
)
from rnnbench.run.execute import execute
from rnnbench.run.plan import make_network, make_task
from rnnbench.tasks import load
from tests.run.test_run import only, settings


def network_of(*overrides: str):
    (job,) = compose_jobs(["task=adding", "task.length=9", "model.hidden_size=6", *overrides], sweep=False)
    task = make_task(job)
    torch.manual_seed(0)
    return make_network(job, task).double(), task


RECURRENT = [name for name, cls in MODELS.items() if cls.recurrent]


@pytest.mark.parametrize("model", [name for name in RECURRENT if name != "lstm_1997"])  # whose gradients are cut
def test_state_gradients_are_totals(model):
    """Against the definition: the gradient of the loss with respect to the state after each step, the rest run from there."""
    network, task = network_of(f"model={model}")
    batch = task.batch("train", 0, 5, 0)
    total, count = task.loss(network(batch)[0], batch)
    measured = StateGradients()
    measured.begin(network)
    total, count = task.loss(network(batch)[0], batch)
    (total / count).backward()
    rows = measured.end(lambda tensor: tensor, 1)
    x = network.codec(batch.inputs, torch.float64)
    for t in (1, 4, 8):
        _, state = network.core(x[:, :t])
        start = [leaf.detach().requires_grad_() for leaf in state[0][0]] if isinstance(state[0][0], tuple) else None
        start = start or [state[0][0].detach().requires_grad_()]
        begin = ((tuple(start),),) if isinstance(state[0][0], tuple) else ((start[0],),)
        y, _ = network.core(x[:, t:], begin)
        loss, _ = task.loss(network.readout(network.core.last(y, None)).unsqueeze(1), batch)
        gradients = torch.autograd.grad(loss / count, start)
        if len(start) == 2:  # the cell acts through h, too: h = o tanh(c), where o may see c
            cell, c = network.core.layers[0][0], start[1].detach()
            o = cell.gates(x[:, :t])["o"][:, -1]
            see = getattr(cell, "p", None)
            slope = o * (1 - c.tanh() ** 2) + (0 if see is None else c.tanh() * o * (1 - o) * see[2])
            gradients = (gradients[0], gradients[1] + gradients[0] * slope)
        for name, gradient in zip(("h", "c"), gradients, strict=False):
            found = rows[f"state_gradient/core.0.0/{name}"][t - 1]
            assert found == pytest.approx(gradient.norm().item(), rel=1e-3), (t, name)


def test_the_horizon_and_its_counterpart():
    assert horizon([0.001, 0.01, 0.1, 1.0]) == (2, None)
    assert horizon([300.0, 10.0, 1.0]) == (None, 2)
    assert horizon([1.0, 1.0]) == (None, None)
    assert horizon([1.0, 0.0]) == (None, None)
    assert horizon([1.0]) == (None, None)


def test_gates_and_states_of_a_network_whose_weights_are_known():
    network, task = network_of("model=lstm")
    with torch.no_grad():
        for parameter in network.core.parameters():
            parameter.zero_()
        network.core.layers[0][0].b_i[6:12] = 20.0  # the forget gate is open, the others half so; g is 0, so h is 0
    found = activity(network, task.batch("validation", 0, 4, 0))
    assert found["gates/core.0.0/f/mean"] == pytest.approx(1)
    assert found["gates/core.0.0/f/above_.9"] == 1
    assert found["gates/core.0.0/i/mean"] == pytest.approx(0.5)
    assert found["gates/core.0.0/i/below_.1"] == found["gates/core.0.0/i/above_.9"] == 0
    assert found["state/core.0.0/norm"] == 0
    assert found["state/core.0.0/dead"] == 1
    assert {value for name, value in found.items() if name.startswith("spectral_radius")} == {0.0}


@pytest.mark.parametrize("size", [1, 5, 64])
def test_the_spectral_radius_is_the_largest_eigenvalue(size):
    torch.manual_seed(size)
    for matrix in (torch.randn(size, size), torch.eye(size), torch.randn(size, size) / 100):
        exact = torch.linalg.eigvals(matrix.double()).abs().max().item()
        assert exact <= spectral_radius(matrix) * (1 + 1e-9)
        assert spectral_radius(matrix) == pytest.approx(exact, rel=0.02)
    assert spectral_radius(torch.zeros(3, 3)) == 0
    assert spectral_radius(torch.tensor([[0.0, 1.0], [0.0, 0.0]])) == 0


def test_update_ratio_state_size_and_multiply_adds():
    assert update_ratio(torch.tensor([3.0, 0.0, 4.0]), torch.tensor([3.0, 0.5, 4.0])) == pytest.approx(0.1)
    network, _ = network_of("model=lstm")
    assert state_size(network) == 12
    products = 4 * 6 * (2 + 6)
    assert multiply_adds(network) == products + 6
    assert multiply_adds(network_of("model=peephole_lstm")[0]) == products + 6, "peepholes are pointwise"
    for tied in ("true", "false"):  # the same work with one set of weights
        both, _ = network_of("model=lstm", "model.bidirectional=true", f"model.tied_directions={tied}")
        assert multiply_adds(both) == 2 * products + 12
    tcn = network_of("model=tcn", "model.levels=1", "model.kernel=3")[0]
    assert multiply_adds(tcn) == 3 * 6 * 2 + 3 * 6 * 6 + 6 * 2 + 6, "gains are pointwise"
    (job,) = compose_jobs(["task=char_lm", "model=gru", "model.hidden_size=6", "network.embedding=3"], sweep=False)
    task = make_task(job)
    task.prepare()
    tied = make_network(replace(job, network=replace(job.network, tied=True, embedding=6)), task)
    assert multiply_adds(tied) == 2 * 3 * 6 * 6 + 6 * task.targets.size, "the read-out's products are there, tied or not"
    network = make_network(job, task)
    assert multiply_adds(network) == 3 * 6 * (3 + 6) + 6 * task.targets.size
    assert list(recurrent_cores(network)) == ["core"]


def test_everything_is_logged_and_nothing_without():
    execute(settings("runs=with"))
    rows = only("with").rows()
    assert {"train/horizon/core.0.0/h", "train/blow_up/core.0.0/c", "train/update_ratio"} <= set(rows[0])
    assert len(rows[0]["train/state_gradient/core.0.0/h"]) == 6
    evaluated = [row for row in rows if "validation/mse" in row]
    assert all("validation/gates/core.0.0/f/mean" in row for row in evaluated)
    assert all(math.isfinite(row["train/update_ratio"]) for row in rows)
    execute(settings("runs=without", "train.instruments=false"))
    assert not any("state_gradient" in name or "gates" in name for row in only("without").rows() for name in row)


def test_a_reader_and_a_writer_are_both_measured():
    task = load("reverse", length=4, shortest=3, symbols=3)
    (job,) = compose_jobs(["task=reverse", "model=lstm", "model.hidden_size=5", "network.embedding=0"], sweep=False)
    network = make_network(job, task)
    measured, batch = StateGradients(), task.batch("train", 0, 4, 0)
    measured.begin(network)
    total, _ = task.loss(network(batch)[0], batch)
    total.backward()
    rows = measured.end(lambda tensor: tensor, 1)
    assert len(rows["state_gradient/reader.0.0/h"]) == 4
    assert len(rows["state_gradient/writer.0.0/h"]) == 5
    assert set(activity(network, batch)) >= {"state/reader.0.0/norm"}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("recorded", [False, True])
def test_no_two_parameters_share_a_gradient(name, recorded):
    """What scales gradients in place, as clipping does, must scale each once."""
    stack = Stack(lambda size: MODELS[name](size, hidden_size=4), 3)
    with recording(stack) if recorded else contextlib.nullcontext():
        stack(torch.randn(2, 5, 3))[0].sum().backward()
    places = [p.grad.data_ptr() for p in stack.parameters() if p.grad is not None]
    assert len(set(places)) == len(places)


@pytest.mark.parametrize(
    "options", [{}, {"peepholes": "diagonal"}, {"peepholes": "output_matrix"}, {"FGR": True}, {"CIFG": True}]
)
@pytest.mark.parametrize("name", RECURRENT)
def test_gates_at_once_are_the_gates_step_by_step(name, options):
    if options and name != "lstm":
        pytest.skip("options of the LSTM")
    torch.manual_seed(0)
    cell, x = MODELS[name](3, hidden_size=4, **options).double(), torch.randn(5, 7, 3, dtype=torch.float64)
    start = tree_map(torch.randn_like, cell.initial_state(5))
    slow, fast = cell.gates(x, start), cell.gates(x, start, cell(x, start)[0])
    assert list(slow) == list(fast)
    for gate, values in slow.items():
        torch.testing.assert_close(fast[gate], values)
    alone = cell.seen_by_gates(x.new_zeros(1, 4)) is not None
    assert alone == (options in ({}, {"CIFG": True}) and name != "lstm_1997")  # gates of which see those of the step before


def test_the_cost_of_instruments_in_percent(monkeypatch, capsys):
    monkeypatch.setattr(cost, "_logged", lambda model, steps: (0.010, 0.011, 0.020))
    found = measure(quick=True)
    assert found["gru"] == pytest.approx((0.001 / 50 / 0.010 + 0.020 / 200 / 0.010, 0.1))
    rows = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()}
    assert rows["gru"] == ["10.00", "11.00", "20.00", "1.20%", "10.0%"]
    assert rows["lstm"][3:] == ["1.20%", "other", "kernel"]


def test_every_second_step_is_logged_and_timed():
    plain, logged, evaluated = _logged("rnn", 14)
    assert 0 < plain < 10 and 0 < logged < 10 and 0 < evaluated < 10
