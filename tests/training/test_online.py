"""The LSTM of 1997: its compiled loop against autograd and finite differences, its sizes, when training ends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy
import pytest
import safetensors.torch
import torch

from rnnbench.config.compose import compose_jobs
from rnnbench.config.settings import Settings
from rnnbench.kernels import lstm_1997
from rnnbench.kernels.lstm_1997 import Recent, Rule
from rnnbench.kernels.recurrence import compile_steps
from rnnbench.models.cells.lstm_1997 import LSTM1997
from rnnbench.networks.trainable import TrainableNetwork
from rnnbench.options import BadOption
from rnnbench.run.execute import execute
from rnnbench.run.plan import make_task, new_network, plan_run
from rnnbench.tasks.task import Task
from rnnbench.training import online as loop
from rnnbench.training.learner import Learner
from rnnbench.training.online import Stream, as_rows, online_view, write_back
from rnnbench.training.trainer import fit
from tests.support.zoo import OPTIONS, close, make

ONLINE = [
    "model=lstm_1997",
    "network.output=logistic",
    "train.rule=online",
    "train.batch_size=1",
    "train.precision=64",
    "tracker=none",
]
EXPERIMENTS = {  # as the paper describes them: words, and the weights that it prints
    "1, 4 blocks": ("task=embedded_reber model.hidden_size=4 model.biased=gates network.output_bias=false", 264),
    "1, 3 blocks": (
        "task=embedded_reber model.hidden_size=6 model.block_size=2 model.biased=gates network.output_bias=false",
        276,
    ),
    "2a": (
        "task=noise_free_lag task.lag=100 model.hidden_size=1 model.output_gate=false model.feedback=false model.biased=none "
        "network.direct=true network.output_bias=false model.g=logistic model.h=linear",
        10504,
    ),
    "2c": (
        "task=noise_free_lag task.form=2c task.lag=50 model.hidden_size=2 model.biased=none network.output_bias=false",
        364,
    ),
    "3": (
        "task=two_sequences model.hidden_size=3 network.output_bias=false model.input_bias=[-1,-3,-5] "
        "model.output_bias=[-2,-4,-6]",
        102,
    ),
    "4": ("task=adding task.form=hochreiter model.hidden_size=4 model.block_size=2 model.input_bias=[-3,-6]", 93),
    "5": ("task=multiplication model.hidden_size=4 model.block_size=2", 93),
    "6a": ("task=temporal_order model.hidden_size=4 model.block_size=2 model.input_bias=[-2,-4]", 156),
    "6b": ("task=temporal_order task.form=6b model.hidden_size=6 model.block_size=2 model.input_bias=[-2,-4,-6]", 308),
    "2000, as strings": (  # with forget gates
        "task=embedded_reber task.aim=possible model.hidden_size=8 model.block_size=2 model.forget_gate=true "
        "model.gates_seen=false model.biased=gates network.direct=true",
        424,
    ),
}
LONGER = {"2c": " task.lag={q} task.symbols={p}"}
EXCLUDED = [  # readings that a printed number of weights excludes: experiment, words, what they would give
    ("1, 4 blocks", "model.biased=all", 268),
    ("1, 4 blocks", "model.feedback=false", 120),
    ("2a", "model.feedback=true", 10508),
    ("2c", "model.biased=gates", 368),
    ("2c", "model.biased=all", 370),
    ("3", "network.output_bias=true", 103),
    ("3", "model.biased=gates", 99),
    ("3", "model.feedback=false", 21),
    ("4", "network.output_bias=false", 92),
    ("6a", "model.biased=gates", 152),
    ("2000, as strings", "model.gates_seen=true", 664),
    ("2000, as strings", "model.biased=all", 432),
    ("2000, as strings", "network.direct=false", 375),
    ("2000, as strings", "network.output_bias=false", 417),
]
READINGS = {  # forms that the loop is held against autograd in
    **{name: words for name, (words, _) in EXPERIMENTS.items()},
    "other ranges": EXPERIMENTS["6a"][0] + " model.g=1 model.h=2 model.begin=half model.bias_spread=true",
    "biased gates, no output bias": EXPERIMENTS["4"][0] + " model.biased=gates network.output_bias=false",
    "direct, answered once": EXPERIMENTS["6a"][0] + " network.direct=true",
    "1, all that may come": EXPERIMENTS["1, 4 blocks"][0] + " task.aim=possible",
    "3c": EXPERIMENTS["3"][0] + " task.form=3c",
    "forget gates": EXPERIMENTS["6a"][0] + " model.forget_gate=true model.forget_bias=[0.5,1]",
    "forget gates, no output gates": EXPERIMENTS["4"][0] + " model.forget_gate=true model.output_gate=false model.h=linear",
    "forget gates, inputs only": EXPERIMENTS["2a"][0] + " model.forget_gate=true model.biased=gates",
    "gates feed nothing": EXPERIMENTS["6a"][0] + " model.gates_seen=false",
    "one block": EXPERIMENTS["6a"][0] + " model.block_size=4 model.input_bias=[]",
}
SHORT = dict.fromkeys(("temporal_order", "adding", "multiplication", "two_sequences"), "task.length=12")


def settings_of(words: str, *more: str) -> Settings:
    task = words.split()[0].removeprefix("task=")
    squared = ["task.error=squared"] if task in ("temporal_order", "noise_free_lag", "embedded_reber") else []
    (found,) = compose_jobs([*words.split(), *squared, *ONLINE, *more], sweep=False)
    return found


def made(words: str, *more: str) -> tuple[TrainableNetwork, Task]:
    """A network with weights that matter, and its task."""
    settings = settings_of(words, "model.spread=0.7", "network.output_spread=0.7", *more)
    task = make_task(settings)
    return new_network(settings, task)[0], task


def short(words: str) -> str:
    task = words.split()[0].removeprefix("task=")
    lag = " task.lag=6" if task == "noise_free_lag" else ""
    return f"{words} {SHORT.get(task, '')}{lag}".strip()


def descend(network: TrainableNetwork, task: Task, rows: range, block: int, rate: float) -> None:
    """The slow way: for each row a forward pass, half its squared error, autograd, plain gradient descent."""
    optimizer = torch.optim.SGD(network.parameters(), rate)
    for row in rows:
        batch = task.batch("train", row // block, block, 0).map(lambda part, at=row % block: part[at : at + 1])
        optimizer.zero_grad()
        total, _ = task.loss(network(batch)[0], batch)
        (total / 2).backward()
        optimizer.step()


# the forward pass of an evaluation


@pytest.mark.parametrize("lengths", [None, [7, 0, 3, 5]], ids=["whole", "ragged"])
@pytest.mark.parametrize("own_state", [False, True])
@pytest.mark.parametrize("options", OPTIONS["lstm_1997"], ids=str)
def test_without_gradients_machine_code_reads_as_the_loop(options: dict, own_state: bool, lengths: list[int] | None) -> None:
    cell, x = make("lstm_1997", options, 3), torch.randn(7, 4, 3, dtype=torch.float64)
    assert isinstance(cell, LSTM1997)
    state = cell.initial_state(4)
    if own_state:
        state = tuple(torch.randn_like(part) for part in state)
    given, kept = torch.tensor(lengths) if lengths else None, [part.clone() for part in state]
    with torch.no_grad():
        close(cell.unroll(x, state, given), cell.loop(x, state, given), 1e-13)
        close(cell.unroll(x[:0], state, None), (x.new_zeros(0, 4, cell.output_size), state), 0.0)
    close(state, tuple(kept), 0.0)
    assert cell.unroll(x, state, given)[0].requires_grad, "a pass that is differentiated is the loop's"


def test_machine_code_reads_no_other_memory() -> None:
    """Lengths beyond the last step are cut, as in the loop; other shapes are refused."""
    cell, x = make("lstm_1997", {}, 3), torch.randn(5, 2, 3, dtype=torch.float64)
    state = cell.initial_state(2)
    with torch.no_grad():
        close(cell.unroll(x, state, torch.tensor([5000, 3])), cell.loop(x, state, torch.tensor([5000, 3])), 1e-13)
        for lengths in ([5], [5, 5, 5]):
            with pytest.raises(ValueError, match="lengths has the shape"):
                cell.unroll(x, state, torch.tensor(lengths))
        for other in (cell.initial_state(1), tuple(part.repeat(1, 2) for part in state)):
            with pytest.raises(ValueError, match="y has the shape"):
                cell.unroll(x, other)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("name", ["rnn", "gru", "lstm", "lstm_1997", "min_gru"])
def test_what_is_recorded_of_a_model_reads_other_inputs(name: str) -> None:
    """A trace holds operations, not the results of machine code as constants."""
    cell, x = make(name, {}, 3), torch.randn(2, 5, 3, dtype=torch.float64)
    with torch.no_grad():
        traced = torch.jit.trace(cell, x, check_trace=False)
        close(traced(x + 1)[0], cell(x + 1)[0])


# gradients


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "plain"])
@pytest.mark.parametrize("name", READINGS)
def test_the_loop_is_gradient_descent_with_the_cut_gradient_of_autograd(name: str, compiled: bool):
    words, rows, rate = short(READINGS[name]), 8, 0.5
    network, task = made(words)
    online = online_view(network)
    compile_steps(compiled)
    try:
        data = as_rows(task, task.batch("train", 0, rows, 0))
        done, total = lstm_1997.train_sequences(*online, data, rate, Recent.empty(0), Rule(0, 1.0, 0.3))
    finally:
        compile_steps(True)
    assert done == rows and total > 0
    write_back(network, online)
    slow, _ = made(words)
    before = [parameter.detach().clone() for parameter in slow.parameters()]
    descend(slow, task, range(rows), rows, rate)
    for start, one, other in zip(before, network.parameters(), slow.parameters(), strict=True):
        assert (start - other).abs().max() > 1e-6
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-13)


def test_evaluations_that_follow_at_once_share_a_checkpoint(monkeypatch):
    monkeypatch.setattr(loop, "BETWEEN", math.inf)
    settings = settings_of(EASY, *RUN, *WINDOW, "train.window_error=0.01")
    task, journal = make_task(settings), Kept()
    fit(Learner(new_network(settings, task)[0], task, journal, 0, settings.train), settings.trainer)
    assert len(journal.rows) == 3 and not journal.saved


def test_cutting_changes_the_gradient():
    words = short(EXPERIMENTS["6a"][0])
    network, task = made(words)
    batch, gradients = task.batch("train", 0, 1, 0), []
    for truncated in (True, False):
        network.core.layers[0][0].truncated = truncated
        network.zero_grad()
        task.loss(network(batch)[0], batch)[0].backward()
        gradients.append(network.core.layers[0][0].R.grad.clone())
    assert (gradients[0] - gradients[1]).abs().max() > 1e-4 * gradients[0].abs().max()


def loss_with_fed(
    weights: lstm_1997.NetworkWeights, cells: int, x: numpy.ndarray, target: numpy.ndarray, fed: numpy.ndarray
) -> Any:
    """(half the squared error at the end, hidden activations of each step) of the plain equations, with blocks of two cells.

    What hidden units read of the step before is `fed`, where that is given.
    """

    def f(a: numpy.ndarray) -> numpy.ndarray:
        return 1 / (1 + numpy.exp(-a))

    W, R, b, V, _, c = weights
    y, s, seen = numpy.zeros(len(W)), numpy.zeros(cells), []
    for t, x_t in enumerate(x):
        seen.append(y)
        net = W @ x_t + R @ (y if fed is None else fed[t]) + b
        y_in, y_out = f(net[cells:]).reshape(2, -1).repeat(2, axis=1)
        s = s + y_in * (4 * f(net[:cells]) - 2)
        y = numpy.concatenate([y_out * (2 * f(s) - 1), f(net[cells:])])
    return 0.5 * ((target - f(V @ y[:cells] + c)) ** 2).sum(), numpy.array(seen)


def test_the_cut_gradient_by_finite_differences():
    """It is the whole gradient of a network that is fed, as constants, what its hidden units were at the step before."""
    network, task = made(short(EXPERIMENTS["6a"][0]))
    online = online_view(network)
    batch = task.batch("train", 0, 1, 0)
    x = numpy.eye(8)[batch.inputs[0].numpy()]
    target = numpy.eye(4)[batch.targets[0, 0].item()]
    before = lstm_1997.NetworkWeights(*(part.copy() for part in online.weights))
    _, fed = loss_with_fed(before, 4, x, target, None)
    rate, width = 1e-3, 1e-6
    lstm_1997.train_sequences(*online, as_rows(task, batch), rate, Recent.empty(0), Rule(0, 1.0, 0.3))
    for name in ("W", "R", "b", "V", "c"):
        start, moved = getattr(before, name), getattr(online.weights, name)
        for place in numpy.ndindex(start.shape):
            ends = []
            for side in (1, -1):
                shifted = start.copy()
                shifted[place] += side * width
                ends.append(loss_with_fed(before._replace(**{name: shifted}), 4, x, target, fed)[0])
            assert (start - moved)[place] / rate == pytest.approx((ends[0] - ends[1]) / (2 * width), rel=1e-5, abs=1e-9)


def test_updates_at_each_step_are_others_and_equal_where_there_is_one_step():
    words = short(EXPERIMENTS["1, 4 blocks"][0])
    found = []
    for each_step in (True, False):
        network, task = made(words)
        online = online_view(network, each_step)
        data = as_rows(task, task.batch("train", 0, 4, 0))
        one = data._replace(lengths=numpy.ones_like(data.lengths))
        lstm_1997.train_sequences(*online, one, 0.5, Recent.empty(0), Rule(0, 1.0, 0.3))
        first = online.weights.W.copy()
        lstm_1997.train_sequences(*online, data, 0.5, Recent.empty(0), Rule(0, 1.0, 0.3))
        found.append((first, online.weights.W.copy()))
    numpy.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-12)
    assert abs(found[0][1] - found[1][1]).max() > 1e-6


@pytest.mark.parametrize(
    "words", [[], ["model.gates_seen=false"], ["model.output_gate=false"]], ids=["as stated", "cells", "no output gate"]
)
def test_updates_at_each_step_are_those_of_a_stream_whose_rows_begin_anew(words: list[str]):
    """`test_streams` holds these against autograd."""
    found = []
    for rows_of in ("sequences", "piece"):
        network, task = made(short(EXPERIMENTS["1, 4 blocks"][0]), *words)
        online = online_view(network, each_step=True)
        data = as_rows(task, task.batch("train", 0, 4, 0))
        if rows_of == "piece":
            begun = lstm_1997.StreamWork.begin(*online, 0.5)
            lstm_1997.train_piece(*online, data, numpy.ones(4, bool), math.inf, begun)
        else:
            lstm_1997.train_sequences(*online, data, 0.5, Recent.empty(0), Rule(0, 1.0, 0.3))
        found.append(online.weights)
    for one, other in zip(*found, strict=True):
        numpy.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)


# sizes


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_weights_are_as_many_as_the_paper_prints(name: str):
    words, printed = EXPERIMENTS[name]
    settings = settings_of(words)
    network, _ = new_network(settings, make_task(settings))
    assert sum(parameter.numel() for parameter in network.parameters()) == printed


@pytest.mark.parametrize(("p", "printed"), [(50, 364), (100, 664), (200, 1264), (500, 3064), (1000, 6064)])
def test_weights_of_2c_by_kinds_of_distractors(p: int, printed: int):
    settings = settings_of(EXPERIMENTS["2c"][0], f"task.symbols={p}", "task.lag=1000")
    network, _ = new_network(settings, make_task(settings))
    assert sum(parameter.numel() for parameter in network.parameters()) == printed


@pytest.mark.parametrize(("name", "words", "would_be"), EXCLUDED)
def test_readings_that_a_number_of_weights_excludes(name: str, words: str, would_be: int):
    settings = settings_of(EXPERIMENTS[name][0], *words.split())
    network, _ = new_network(settings, make_task(settings))
    weights = sum(parameter.numel() for parameter in network.parameters())
    assert weights == would_be != EXPERIMENTS[name][1]


# the end


def test_the_rule_looks_at_the_last_rows_only():
    random = numpy.random.default_rng(0)
    for window, most_wrong, bound in [(1, 0, 0.5), (5, 0, 1.0), (5, 1, 0.3), (7, 7, 0.2)]:
        errors, wrong = random.random(300) * 0.8, random.random(300) < 0.2
        recent, rule = Recent.empty(window), Rule(most_wrong, bound, 0.3)
        for row in range(300):
            last = slice(row + 1 - window, row + 1)
            holds = row + 1 >= window and wrong[last].sum() <= most_wrong and errors[last].mean() < bound
            assert lstm_1997.is_end(recent, rule, errors[row], bool(wrong[row])) == holds
    assert not lstm_1997.is_end(Recent.empty(0), Rule(0, 1.0, 0.3), 0.0, False)


EASY = short(EXPERIMENTS["6a"][0]).replace("[-2,-4]", "[]")
RUN = ["train.steps=120", "train.eval_every=40", "train.learning_rate=0.5", "task.sequences=20", "train.select=last"]
WINDOW = ["train.window=5", "train.window_wrong=5"]  # of which any may be wrong: the error decides


@pytest.mark.parametrize("name", ["1, 4 blocks", "2a", "4", "6a"])
def test_a_run_is_the_slow_way(name: str, tmp_path):
    words = short(EXPERIMENTS[name][0])
    settings = settings_of(words, *RUN, "train.stop_when_solved=false", f"runs={tmp_path}")
    record = execute(settings)
    assert record is not None and record["steps"] == 120 and record["train"]["rule"] == "online"
    weights = safetensors.torch.load(plan_run(settings).folder.weights.read_bytes())
    task = make_task(settings)
    slow, _ = new_network(settings, task)
    descend(slow, task, range(120), Stream(task, 0).block, 0.5)
    for key, value in slow.state_dict().items():
        torch.testing.assert_close(weights[key], value, rtol=1e-9, atol=1e-11)


def test_validation_rows_that_are_drawn_anew_are_those_of_the_seed_and_the_step(tmp_path):
    words = EXPERIMENTS["3"][0] + " task.form=3c task.length=12 task.sequences=40 task.redrawn=true"
    settings = settings_of(words, "train.steps=30", "train.eval_every=10", "seed=3", f"runs={tmp_path}")
    task = make_task(settings)
    drawn = [task.validation_at(*at) for at in ((20, 3), (30, 3), (30, 4))]
    assert not any(torch.equal(one.inputs, drawn[1].inputs) for one in (drawn[0], drawn[2], task.batch("train", 30, 40, 3)))
    assert set(drawn[1].targets.flatten().tolist()) == {float(numpy.float32(target)) for target in (0.2, 0.8)}, "no noise"
    record = execute(settings)
    network = new_network(settings, task)[0]
    network.load_state_dict(safetensors.torch.load(plan_run(settings).folder.weights.read_bytes()))
    with torch.no_grad():
        errors = network(drawn[1])[0] - drawn[1].targets
    assert record["scores"]["validation"]["mse"] == pytest.approx(float((errors**2).mean()), rel=1e-6)
    assert make_task(settings_of(words.replace("task.redrawn=true", ""))).validation_at(30, 3) is None


def test_a_run_ends_at_the_first_row_after_which_the_rule_holds(tmp_path):
    """Every error is below .99, so that the window alone decides: it is full after five rows."""
    record = execute(settings_of(EASY, *RUN, *WINDOW, "train.window_error=0.99", f"runs={tmp_path}"))
    assert record is not None
    assert record["solved"] and record["solved_step"] == record["steps"] == 5


def test_a_run_that_goes_on_after_it_is_solved_is_evaluated_as_before(tmp_path):
    more = ["train.stop_when_solved=false", "train.window_error=0.99", f"runs={tmp_path}"]
    settings = settings_of(EASY, *RUN, *WINDOW, *more)
    record = execute(settings)
    assert record is not None and record["solved_step"] == 5 and record["steps"] == 120
    assert [row["step"] for row in plan_run(settings).folder.metrics()] == [5, 40, 80, 120]


class Kept:
    """A journal in memory."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, dict]] = []
        self.saved: dict[int, Any] = {}

    def row(self, step: int, metrics: dict[str, Any], timings: dict[str, float]) -> None:
        self.rows.append((step, metrics))

    def save(self, step: int, checkpoint: Any) -> None:
        copy = {name: part.clone() for name, part in checkpoint["network"].items()}
        self.saved[step] = {**checkpoint, "network": copy}


def goes_on(settings: Settings, starts: Sequence[int], monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, dict[str, Any]]]:
    """The log of a run, which has gone on from its checkpoints at `starts` to the same numbers."""
    monkeypatch.setattr(loop, "BETWEEN", -1.0)
    task, whole, networks = make_task(settings), Kept(), []
    for start in (0, *starts):
        network, _ = new_network(settings, task)
        journal = Kept() if start else whole
        learner = Learner(network, task, journal, 0, settings.train)
        if start:
            learner.resume(whole.saved[start])
        fit(learner, settings.trainer)
        networks.append(network)
        assert journal.rows == [row for row in whole.rows if row[0] > start]
        for one, other in zip(networks[0].parameters(), network.parameters(), strict=True):
            assert torch.equal(one, other)
    return whole.rows


def test_a_run_goes_on_from_its_checkpoint_to_the_same_numbers(monkeypatch):
    rows = goes_on(settings_of(EASY, *RUN, *WINDOW, "train.window_error=0.01"), [40], monkeypatch)
    assert [step for step, _ in rows] == [40, 80, 120]
    assert all(math.isfinite(row["train/loss"]) and 0 <= row["train/wrong"] <= 1 for _, row in rows)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("model=lstm", "train.rule=online trains lstm_1997, rnn; got model.mechanism=lstm"),
        ("train.batch_size=2", "train.batch_size=2 beside train.rule=online is not allowed; allowed: 1"),
        (
            "train.batch_size=2 model.layers=2",
            "train.rule=online needs train.batch_size=1 model.layers=1; got train.batch_size=2 model.layers=2",
        ),
        ("train.window=9 train.window_wrong=9", "train.window_wrong=9 beside train.window=9: every window ends training"),
        ("train.precision=32", "train.precision=32 beside train.rule=online is not allowed; allowed: 64"),
        ("network.output=linear", "network.output=linear beside train.rule=online is not allowed; allowed: logistic"),
        ("model.layers=2", "model.layers=2 beside train.rule=online is not allowed; allowed: 1"),
        ("model.truncated=false", "model.truncated=false beside train.rule=online is not allowed; allowed: true"),
    ],
)
def test_what_the_loop_does_not_train_is_refused(words: str, said: str):
    own = words.split()
    kept = [word for word in ONLINE if word.partition("=")[0] not in [one.partition("=")[0] for one in own]]
    base = ["task=temporal_order", "task.error=squared", "model.hidden_size=4"]
    if "model=lstm" in own:
        base.pop()
    with pytest.raises(BadOption) as refused:
        compose_jobs([*base, *kept, *own], sweep=False)
    assert said in str(refused.value)


def test_options_of_the_other_rule_have_no_effect():
    for words in (
        ["train.clip=0.5"],
        ["train.optimizer=sgd", "train.momentum=0.5"],
        ["train.schedule=linear", "train.warmup=3"],
    ):
        assert settings_of(EASY, *words).departures == settings_of(EASY).departures
    (batch,) = compose_jobs(
        ["task=adding", "model=gru", "train.window=5", "train.window_wrong=1", "train.each_step=true"], sweep=False
    )
    assert not {key for key in batch.departures if "window" in key or key == "train.each_step"}


def test_logistic_outputs_need_squared_errors():
    settings = settings_of(EASY)
    (plain,) = compose_jobs(["task=temporal_order", "model=gru", "network.output=logistic"], sweep=False)
    plan_run(settings)
    with pytest.raises(ValueError, match=r"network\.output=logistic needs a task with squared errors"):
        plan_run(plain)
