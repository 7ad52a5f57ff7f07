"""Streams of 2000: the traces of forget gates against autograd, where a stream ends, when a net has solved the task."""

from __future__ import annotations

import math
from typing import Any

import numpy
import pytest
import torch
from torch import Tensor

from rnnbench.config.compose import compose_jobs
from rnnbench.config.settings import Settings
from rnnbench.kernels.lstm_1997 import StreamWork, train_piece
from rnnbench.kernels.recurrence import compile_steps
from rnnbench.models.cells.lstm_1997 import LSTM1997
from rnnbench.networks.plain import Network
from rnnbench.options import BadOption
from rnnbench.run.execute import execute
from rnnbench.run.plan import make_task, new_network
from rnnbench.tasks.shared import streams
from rnnbench.tasks.task import Batch, Task, totals
from rnnbench.training.learner import Learner
from rnnbench.training.online import Online, as_rows, online_view, write_back
from rnnbench.training.streams import StreamLoop
from rnnbench.training.trainer import fit
from tests.training.test_online import ONLINE, Kept, goes_on

GERS = [
    *("task=embedded_reber", "task.form=streams", "model.hidden_size=8", "model.block_size=2", "model.gates_seen=false"),
    *("model.biased=gates", "network.direct=true", "train.each_step=true", "train.learning_rate=0.5", "train.select=last"),
    *ONLINE,
]
FORGETS = ["model.forget_gate=true", "model.forget_bias=[0.5,1,1.5,2]", "train.step_decay=0.99"]
SHORT = ["task.length=40", "task.streams=3"]


def settings_of(*more: str) -> Settings:
    (found,) = compose_jobs([*GERS, *more], sweep=False)
    return found


def made(*more: str) -> tuple[Network, Task]:
    """A network with weights that matter, and its task."""
    settings = settings_of("model.spread=0.7", "network.output_spread=0.7", *more)
    task = make_task(settings)
    network, _ = new_network(settings, task)
    assert isinstance(network, Network)
    return network, task


def view(network: Network, settings: Settings) -> Online:
    return online_view(network, each_step=True, step_decay=settings.train.step_decay)


def pieces_of(task: Task, index: int = 0) -> list[Batch]:
    assert isinstance(task.dataset, streams.Pieces)
    return list(task.dataset.pieces("train", index, 0))


def train(online: Online, task: Task, index: int, tolerance: float) -> list[int]:
    """Trains on a stream; how many steps were read of each of its pieces."""
    begun, read = StreamWork.begin(*online, 0.5), []
    for piece in pieces_of(task, index):
        steps, total, is_wrong = train_piece(*online, as_rows(task, piece), piece.fresh.numpy(), tolerance, begun)
        assert total > 0
        read.append(steps)
        if is_wrong:
            break
    return read


class Slow:
    """Real-time recurrent learning with the cut gradient: what autograd finds of a step, and a state that fades by its gate.

    With S = ds/dw: S(t) = y_f S(t-1) + what w does within step t, and dE/dw = what w does within step t, through the state and
    beside it, + dE/ds(t) y_f S(t-1).
    """

    def __init__(self, network: Network, decay: float):
        self.network, self.decay, self.rate = network, decay, 0.5
        cell = network.core.layers[0][0]
        assert isinstance(cell, LSTM1997)
        self.cell, self.parameters = cell, list(network.parameters())
        self.begin()

    def begin(self) -> None:
        self.state = tuple(part.detach() for part in self.cell.initial_state(1))
        self.traces = [torch.zeros(self.cell.output_size, *p.shape, dtype=torch.float64) for p in self.parameters]

    def gradient(self, of: Tensor) -> list[Tensor]:
        found = torch.autograd.grad(of, self.parameters, retain_graph=True, allow_unused=True)
        return [torch.zeros_like(p) if one is None else one for p, one in zip(self.parameters, found, strict=True)]

    def step(self, symbol: Tensor, target: Tensor) -> None:
        x = torch.nn.functional.one_hot(symbol, 7).double().unsqueeze(0)
        y, state, gates = self.cell.step(x, self.state)
        keep = gates["f"][0].detach() if "f" in gates else torch.ones(self.cell.output_size, dtype=torch.float64)
        error = (target - self.network.answer(y, x)[0]).square().sum() / 2
        (by_state,) = torch.autograd.grad(error, state[1], retain_graph=True)
        faded = [torch.einsum("v,v...->v...", keep, trace) for trace in self.traces]
        whole = [
            one + torch.einsum("v,v...->...", by_state[0], trace)
            for one, trace in zip(self.gradient(error), faded, strict=True)
        ]
        local = [torch.stack(rows) for rows in zip(*(self.gradient(one) for one in state[1][0]), strict=True)]
        self.traces = [trace + one for trace, one in zip(faded, local, strict=True)]
        self.state = tuple(part.detach() for part in state)
        with torch.no_grad():
            for parameter, one in zip(self.parameters, whole, strict=True):
                parameter -= self.rate * one
        self.rate *= self.decay


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "plain"])
@pytest.mark.parametrize(
    "words",
    [FORGETS, [], [*FORGETS, "task.reset=true"], [*FORGETS, "model.gates_seen=true", "model.output_gate=false"]],
    ids=["forget gates", "none", "reset", "no output gates"],
)
def test_a_stream_is_descent_by_traces_that_autograd_gives(words: list[str], compiled: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(streams, "FIRST_PIECE", 1)  # several pieces
    settings = settings_of(*SHORT, *words)
    network, task = made(*SHORT, *words)
    online = view(network, settings)
    compile_steps(compiled)
    try:
        assert sum(train(online, task, 0, math.inf)) == 40
    finally:
        compile_steps(True)
    write_back(network, online)
    other, _ = made(*SHORT, *words)
    slow, before = Slow(other, settings.train.step_decay), [p.detach().clone() for p in other.parameters()]
    assert len(pieces_of(task)) > 1
    for piece in pieces_of(task):
        for row, length in enumerate(piece.lengths.tolist()):
            if piece.fresh[row]:
                slow.begin()
            for step in range(length):
                slow.step(piece.inputs[row, step], piece.targets[row, step].double())
    for start, one, two in zip(before, network.parameters(), other.parameters(), strict=True):
        assert (start - two).abs().max() > 1e-3
        torch.testing.assert_close(one, two, rtol=1e-10, atol=1e-12)


def test_an_open_forget_gate_forgets_nothing():
    with_gates, without = LSTM1997(3, 4, block_size=2, forget_gate=True).double(), LSTM1997(3, 4, block_size=2).double()
    with torch.no_grad():
        assert with_gates.R is not None and without.R is not None and with_gates.b is not None and without.b is not None
        for mine, theirs in ((without.W, with_gates.W), (without.b, with_gates.b)):
            mine.copy_(theirs[:8])
        without.R.copy_(with_gates.R[:8, :8])
        with_gates.R[:, 8:] = 0
        with_gates.b[8:] = 50
        x = torch.randn(30, 2, 3, dtype=torch.float64)
        for one, two in zip(with_gates(x), without(x), strict=False):
            torch.testing.assert_close(
                one if isinstance(one, Tensor) else one[1], two if isinstance(two, Tensor) else two[1], rtol=0, atol=1e-12
            )


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "plain"])
def test_a_stream_ends_with_the_first_wrong_prediction_and_learns_of_it(compiled: bool):
    """Of a network that hardly learns the errors are those of a forward pass, and each as tolerance ends the stream there."""
    words, settings = [*SHORT, *FORGETS], settings_of(*FORGETS)
    network, task = made(*words)
    (piece,) = pieces_of(task)
    with torch.no_grad():
        errors = (network(piece)[0] - piece.targets).abs().amax(-1)[0].numpy()
    compile_steps(compiled)
    try:
        for last in (0, 5, 23):
            tolerance = errors[: last + 1].max()
            first = int((errors >= tolerance).argmax())
            rows = as_rows(task, piece)
            begun = StreamWork.begin(*view(network, settings), 1e-12)
            read = train_piece(*view(network, settings), rows, piece.fresh.numpy(), tolerance - 1e-9, begun)
            assert read[0] == first + 1 and read[2]
            cut, whole = view(made(*words)[0], settings), view(made(*words)[0], settings)
            fresh, ended = piece.fresh.numpy(), StreamWork.begin(*whole, 0.5)
            steps, _, _ = train_piece(*whole, rows, fresh, tolerance, ended)
            shorter = rows._replace(lengths=numpy.array([steps]))
            assert train_piece(*cut, shorter, fresh, math.inf, StreamWork.begin(*cut, 0.5))[0] == steps
            assert all(numpy.array_equal(one, two) for one, two in zip(cut.weights, whole.weights, strict=True))
            assert not numpy.array_equal(whole.weights.W, view(network, settings).weights.W)
            assert ended.rate[0] == pytest.approx(0.5 * 0.99**steps)
    finally:
        compile_steps(True)


@pytest.mark.parametrize("reset", ["false", "true"])
def test_an_evaluation_reads_streams_as_one_row_and_ends_at_the_same_place(reset: str, monkeypatch):
    network, task = made("task.length=300", "task.streams=4", f"task.reset={reset}", *FORGETS)
    learner = Learner(network, task, Kept(), 0, settings_of(*FORGETS).train)
    reader = StreamLoop(learner)
    batch, found = task.batch("validation", 0, 4, 0), set()
    if reset == "true":
        begins = torch.nn.functional.pad((batch.inputs[:, 1:] == 0) & (batch.inputs[:, :-1] == 6), (1, 0), value=True)
        outputs = []
        for row, marks in zip(batch.inputs, begins, strict=True):
            parts = row.tensor_split(marks.nonzero()[1:, 0].tolist())
            plain = [
                Batch(p[None], p[None], torch.ones(1, len(p)).bool(), torch.tensor([len(p)]), torch.ones(1).bool())
                for p in parts
            ]
            outputs.append(torch.cat([network(one)[0][0] for one in plain]))
        answered = torch.stack(outputs).detach()
    else:
        answered = network(batch)[0].detach()
    for tolerance in (0.5, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0):
        monkeypatch.setattr(reader.learner.task, "right_within", tolerance)
        wrong = ((answered - batch.targets).abs() >= tolerance).any(-1)
        first = [int(row.int().argmax()) if row.any() else 300 for row in wrong]
        assert [reader.right("validation", index) for index in range(4)] == first
        found |= set(first)
        assert reader.evaluate("validation") == {"accuracy": first.count(300) / 4, "symbols": sum(first) / 4}
    assert len(found) > 5 and 300 in found


RUN = ["train.steps=60", "train.eval_every=20", *SHORT, *FORGETS, "model.spread=0.2", "network.output_spread=0.2"]


def test_a_run_goes_on_from_its_checkpoint_to_the_same_numbers(monkeypatch: pytest.MonkeyPatch):
    assert [step for step, _ in goes_on(settings_of(*RUN), [40], monkeypatch)] == [20, 40, 60]


def test_a_run_in_plain_python_gives_the_numbers_of_machine_code():
    settings, networks = settings_of(*RUN), []
    for compiled in (True, False):
        compile_steps(compiled)
        try:
            task = make_task(settings)
            network, _ = new_network(settings, task)
            fit(Learner(network, task, Kept(), 0, settings.train), settings.trainer)
        finally:
            compile_steps(True)
        networks.append(network)
    for one, two in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-11)


def test_a_run_ends_at_the_first_stream_after_which_all_validation_streams_are_right(tmp_path: Any):
    """Streams of the first two symbols, which are learnt soon; found again by hand."""
    words = ["task.length=2", "task.streams=3", *FORGETS, "train.steps=5000", "train.eval_every=5000"]
    settings = settings_of(*words, f"runs={tmp_path}")
    record = execute(settings)
    assert record is not None and record["solved"] and record["solved_step"] == record["steps"] < 5000
    assert record["scores"]["test"] == {"accuracy": 1.0, "symbols": 2.0}
    task = make_task(settings)
    network, _ = new_network(settings, task)
    assert isinstance(network, Network)
    online, validation = view(network, settings), task.batch("validation", 0, 3, 0)
    solved = []
    for index in range(record["solved_step"]):
        train(online, task, index, 0.49)
        write_back(network, online)
        with torch.no_grad():
            solved.append(task.solved(task.finish(totals(task.score(network(validation)[0], validation)))))
    assert solved == [False] * (len(solved) - 1) + [True]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("train.rule=batch", "train.rule=batch beside task.form=streams is not allowed; allowed: online"),
        ("train.each_step=false", "train.each_step=false beside task.form=streams is not allowed; allowed: true"),
        ("train.batch_size=9 train.each_step=false", "task.form=streams needs train.batch_size=1 train.each_step=true; got"),
        ("train.window=9 train.window_wrong=1", "train.window=9 beside task.form=streams is not allowed; allowed: 0"),
        ("train.step_decay=1.1", "train.step_decay=1.1 is not allowed; allowed: number, at least 0 and at most 1"),
    ],
)
def test_what_streams_are_not_trained_by_is_refused(words: str, said: str):
    own = words.split()
    kept = [word for word in GERS if word.partition("=")[0] not in [one.partition("=")[0] for one in own]]
    with pytest.raises(BadOption) as refused:
        compose_jobs([*kept, *own], sweep=False)
    assert said in str(refused.value)


@pytest.mark.parametrize("model", ["lstm", "rnn"])
def test_streams_name_the_model_that_they_train_first(model: str):
    with pytest.raises(BadOption, match=f"task.form=streams trains lstm_1997; got model.mechanism={model}"):
        compose_jobs(["task=embedded_reber", "task.form=streams", f"model={model}"], sweep=False)


def test_as_many_forget_biases_as_blocks():
    with pytest.raises(ValueError, match=r"model\.forget_bias=\[1\.0, 1\.0\]: there are 4 blocks"):
        LSTM1997(7, 8, block_size=2, forget_gate=True, forget_bias=(1.0, 1.0))
    biases = LSTM1997(
        7, 8, block_size=2, biased="gates", forget_gate=True, forget_bias=(0.5, 1, 1.5, 2), input_bias=(-1,) * 4
    ).b
    assert biases is not None and biases[8:].tolist() == [0.5, 1, 1.5, 2] and biases[:4].tolist() == [-1] * 4
