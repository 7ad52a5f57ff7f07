"""Real-time recurrent learning against backpropagation through time, and hidden layers that join later (1997: 2a, 2b)."""

from __future__ import annotations

import math
from typing import Any

import numpy
import pytest
import torch

from rnnbench.cli.main import main
from rnnbench.config.compose import compose_jobs
from rnnbench.config.settings import Settings
from rnnbench.kernels import rtrl
from rnnbench.kernels.lstm_1997 import Recent, Rule, Sequences
from rnnbench.kernels.recurrence import compile_steps
from rnnbench.networks.trainable import TrainableNetwork
from rnnbench.options import BadOption
from rnnbench.run.plan import make_task, new_network
from rnnbench.tasks.task import Batch, Task
from rnnbench.training import online as loop
from rnnbench.training.late_cells import LateCells
from rnnbench.training.learner import Learner
from rnnbench.training.online import as_rows, online_view, write_back
from rnnbench.training.trainer import fit
from tests.training.test_online import EXPERIMENTS, ONLINE, Kept

CONTROL = [
    *(word for word in ONLINE if not word.startswith("model=")),
    *("model=rnn", "model.nonlinearity=sigmoid", "model.biases=0", "network.output_bias=false", "network.direct=true"),
]
OF_2B = ["task=noise_free_lag", "task.form=2b", "task.lag=7", "task.error=squared"]
ADDING = ["task=adding", "task.form=hochreiter", "task.length=12"]
OF_2A = ["task=noise_free_lag", "task.form=2a", "task.lag=4", "task.error=squared", "task.sequences=32"]
LSTM = [*EXPERIMENTS["2a"][0].split(), "task.lag=5", "task.error=squared", "task.sequences=20", *ONLINE]
RUN = ["train.steps=120", "train.eval_every=40", "train.learning_rate=0.5", "train.select=last"]
NO_RULE = Rule(0, 1.0, 0.3)


def settings_of(*words: str) -> Settings:
    (found,) = compose_jobs([*words], sweep=False)
    return found


def made(*words: str) -> tuple[TrainableNetwork, Task]:
    settings = settings_of(*words)
    task = make_task(settings)
    return new_network(settings, task)[0], task


# real-time recurrent learning


@pytest.mark.parametrize(("p", "printed"), [(4, 36), (10, 144), (100, 10404)])
def test_weights_are_as_many_as_the_paper_prints(p: int, printed: int) -> None:
    network, _ = made(*OF_2A, *CONTROL, "model.hidden_size=1", f"task.lag={p}")
    assert sum(parameter.numel() for parameter in network.parameters()) == printed


def ragged(task: Task, rows: int) -> Batch:
    """Rows of different lengths, of which some steps are not scored; the last one always is."""
    batch = task.batch("train", 0, rows, 0)
    random, T = numpy.random.default_rng(1), batch.scored.shape[1]
    lengths = torch.from_numpy(random.integers(1, T + 1, rows))
    scored = torch.from_numpy(random.random((rows, T)) < 0.7) & (torch.arange(T) < lengths[:, None])
    scored[torch.arange(rows), lengths - 1] = True
    return batch._replace(lengths=lengths, scored=scored)


def changes(network: TrainableNetwork, data: Sequences, rate: float) -> dict[str, torch.Tensor]:
    """What training on `data` asked for in all, over the rate."""
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    online = online_view(network)
    assert isinstance(online.form, rtrl.RTRLForm)
    done, total = online.train(data, rate, Recent.empty(0), NO_RULE)
    assert done == len(data.lengths) and total > 0
    write_back(network, online)
    return {name: (value.detach() - before[name]) / rate for name, value in network.named_parameters()}


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "plain"])
@pytest.mark.parametrize("bias", [True, False], ids=["output bias", "no bias"])
@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("inputs", ["tokens", "numbers"])
def test_an_update_is_the_whole_gradient_of_backpropagation(inputs: str, size: int, bias: bool, compiled: bool) -> None:
    own = [f"model.hidden_size={size}", f"network.output_bias={str(bias).lower()}", "network.spread=1.5"]
    network, task = made(*(OF_2B if inputs == "tokens" else ADDING), *CONTROL, *own)
    batch = ragged(task, 6) if inputs == "tokens" else task.batch("train", 0, 6, 0)
    largest = dict.fromkeys(dict(network.named_parameters()), 0.0)
    compile_steps(compiled)
    try:
        for row in range(len(batch.lengths)):
            one = batch.map(lambda part, at=row: part[at : at + 1])
            network.zero_grad()
            loss, _ = task.loss(network(one)[0], one)
            (loss / 2).backward()
            found = changes(network, as_rows(task, one), rate := 1e-3)
            for name, parameter in network.named_parameters():
                assert parameter.grad is not None
                largest[name] = max(largest[name], float(parameter.grad.abs().max()))
                torch.testing.assert_close(rate * found[name], -rate * parameter.grad, rtol=1e-10, atol=1e-13)
    finally:
        compile_steps(True)
    assert min(largest.values()) > 1e-4


def test_nothing_is_cut() -> None:
    """The gradient reaches the first step: a weight that only it reads changes, for an error at the last step alone."""
    network, task = made(*OF_2A, *CONTROL, "model.hidden_size=3", "network.spread=2", "task.lag=3")
    batch = task.batch("train", 0, 1, 0)
    last = torch.zeros_like(batch.scored)
    last[:, -1] = True
    found = changes(network, as_rows(task, batch._replace(scored=last)), 1.0)["core.layers.0.0.W"]
    assert found[:, batch.inputs[0, 0]].abs().max() > 1e-4


def test_updates_at_each_step_add_up_to_the_gradient_where_they_are_small() -> None:
    """They differ from one update at the end of the row by the square of the rate."""
    apart = []
    for rate in (1e-2, 1e-3):
        found = []
        for each_step in (True, False):
            network, task = made(*OF_2A, *CONTROL, "model.hidden_size=3", "network.spread=0.7")
            online = online_view(network, each_step)
            before = online.weights.W.copy()
            online.train(as_rows(task, task.batch("train", 0, 1, 0)), rate, Recent.empty(0), NO_RULE)
            found.append((online.weights.W - before) / rate)
        assert abs(found[1]).max() > 1e-3
        apart.append(abs(found[0] - found[1]).max())
    assert apart[0] > 1e-6 and apart[0] / apart[1] == pytest.approx(10, rel=0.05)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("model.nonlinearity=tanh", "model.nonlinearity=tanh beside train.rule=online is not allowed; allowed: sigmoid"),
        ("model.biases=1", "model.biases=1 beside train.rule=online is not allowed; allowed: 0"),
        ("train.cells_after=50 train.steps=100", "train.cells_after=50 beside train.steps=100: no cell is ever added"),
    ],
)
def test_what_the_loop_does_not_train_is_refused(words: str, said: str) -> None:
    own = words.split()
    kept = [word for word in CONTROL if word.partition("=")[0] not in [one.partition("=")[0] for one in own]]
    with pytest.raises(BadOption) as refused:
        settings_of(*OF_2A, *kept, "model.hidden_size=1", *own)
    assert said in str(refused.value) and "\n" not in str(refused.value)


# hidden layers that join later


def test_the_layer_joins_after_the_first_stretch_without_progress() -> None:
    late, errors, step = LateCells(3), [9.0, 5.0, 4.96, 4.0], 0
    for stretch, error in enumerate(errors):
        for _ in range(3):
            assert late.joined is None or stretch == 3
            assert late.stretch_end(step, 100) == (100 if stretch == 3 else 3 * stretch + 3) and late.stretch_end(step, 1) == 1
            step += 1
            late.add(error / 3, step)
    assert late.joined == 9  # 4.96 is not below .99 · 5
    assert LateCells(0).joined == 0 and LateCells(0).stretch_end(5, 100) == 100
    slow = LateCells(1)
    for step, error in enumerate([1.0, 0.98, 0.96], 1):
        slow.add(error, step)
    assert slow.joined is None


class Watched(Kept):
    """Keeps a checkpoint of every evaluation."""

    def joined(self) -> dict[int, float]:
        return {step: row["train/cells_joined"] for step, row in self.rows}


def run(words: list[str], monkeypatch: pytest.MonkeyPatch, resumed: object = None) -> tuple[Watched, TrainableNetwork, Task]:
    monkeypatch.setattr(loop, "BETWEEN", -1.0)
    settings, journal = settings_of(*words), Watched()
    task = make_task(settings)
    network, _ = new_network(settings, task)
    learner = Learner(network, task, journal, 0, settings.train)
    if resumed:
        learner.resume(resumed)  # type: ignore[arg-type]
    fit(learner, settings.trainer)
    return journal, network, task


@pytest.mark.parametrize("words", [LSTM, [*OF_2A, *CONTROL, "model.hidden_size=2"]], ids=["lstm_1997", "rnn"])
def test_before_it_joins_the_layer_does_not_learn_and_nothing_hears_it(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [*words, *RUN, "train.steps=80", "train.stop_when_solved=false"]
    first, task = made(*words)
    journal, network, _ = run([*words, "train.cells_after=39"], monkeypatch)  # of 80 rows, looks after 39 and 78
    assert journal.joined() == {40: -1, 80: -1}
    readout, C = network.readout.weight.detach(), network.core.output_size
    start = dict(first.named_parameters())
    for name, value in network.core.named_parameters():
        assert torch.equal(value, start[f"core.{name}"])
    kept = journal.saved[80]["network"]["readout.weight"]
    assert torch.equal(kept[:, :C], first.readout.weight[:, :C]) and not readout[:, :C].any()
    batch = task.batch("test", 0, 4, 0)
    x = torch.nn.functional.one_hot(batch.inputs, task.inputs.size).double()
    torch.testing.assert_close(network(batch)[0], torch.sigmoid(x @ kept[:, C:].t()), rtol=1e-12, atol=0)
    D = first.readout.weight.detach()[:, C:].clone()  # and the outputs learn as if they were alone
    for row in range(80):
        block = loop.Stream(task, 0).block
        one = task.batch("train", row // block, block, 0).map(lambda part, at=row % block: part[at : at + 1])
        x = torch.nn.functional.one_hot(one.inputs[0], task.inputs.size).double()
        y, t = torch.sigmoid(x @ D.t()), torch.nn.functional.one_hot(one.targets[0], task.targets.size)
        D += 0.5 * ((t - y) * y * (1 - y)).t() @ x
    torch.testing.assert_close(kept[:, C:], D, rtol=1e-9, atol=1e-12)


def test_a_width_that_would_take_for_ever_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *OF_2A, *CONTROL, "model.hidden_size=65"]) == 2
    assert "allowed: at most 64" in capfd.readouterr().err
    assert main(["train", *OF_2A, *CONTROL, "budget.params=40000"]) == 2  # of which the width is known once the budget is met
    assert "allowed: at most 64" in capfd.readouterr().err
    assert main(["train", *OF_2A, *CONTROL, "budget.params=1k", "budget.tolerance=0.3", "train.steps=9"]) == 0


def test_rows_of_a_call_are_as_many_as_take_a_second_or_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the numbers do not depend on them."""
    words = [*OF_2A, *CONTROL, "model.hidden_size=2", *RUN]
    found = []
    for products in (loop.PRODUCTS, 4 * 2**3 * 7 * 3):  # of three rows of four steps
        monkeypatch.setattr(loop, "PRODUCTS", products)
        read, calls = loop.Descent.read, []

        def counted(self: loop.Descent, end: int, read: Any = read, calls: list[int] = calls) -> loop.Done:
            calls.append((done := read(self, end)).rows)
            return done

        with monkeypatch.context() as patch:
            patch.setattr(loop.Descent, "read", counted)
            found.append((run(words, monkeypatch)[1], max(calls)))
    assert [most for _, most in found] == [40, 3]
    for one, other in zip(found[0][0].parameters(), found[1][0].parameters(), strict=True):
        assert torch.equal(one, other)


def test_evaluations_change_nothing_of_what_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a single output, too, whose weights lie one after another in the read-out."""
    words = ["task=two_sequences", "task.length=12", "task.sequences=20", "train.cells_after=39", "train.steps=90"]
    words = [
        *ONLINE,
        *words,
        "network.direct=true",
        "train.learning_rate=0.5",
        "train.select=last",
        "train.stop_when_solved=false",
    ]
    found = [run([*words, f"train.eval_every={every}"], monkeypatch)[1] for every in (90, 10)]
    for one, other in zip(*(network.parameters() for network in found), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("words", [LSTM, [*OF_2A, *CONTROL, "model.hidden_size=2"]], ids=["lstm_1997", "rnn"])
def test_a_run_goes_on_over_the_row_at_which_the_layer_joins(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its checkpoints lie before, within and after a stretch that is looked at, and all lead to the same numbers."""
    words = [*words, *RUN, "train.eval_every=10", "train.cells_after=4", "train.learning_rate=1", "train.steps=200"]
    words = [*words, "train.stop_when_solved=false"]
    journal, network, _ = run(words, monkeypatch)
    joined = journal.joined()
    assert joined[10] == -1 < 10 < joined[200] < 200 and len({*joined.values()}) == 2
    row = int(joined[200])
    assert row % 4 == 0
    silent = max(step for step, value in joined.items() if value < 0)
    for step in (10, silent, silent + 10, 190):
        again, other, _ = run(words, monkeypatch, journal.saved[step])
        assert again.rows == [(at, found) for at, found in journal.rows if at > step]
        for one, two in zip(network.parameters(), other.parameters(), strict=True):
            assert torch.equal(one, two)
    assert all(math.isfinite(row["train/loss"]) for _, row in journal.rows)
