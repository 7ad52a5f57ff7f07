"""Training as in 1997: plain gradient descent, an update after each row, all rows of a stretch in one compiled call.

The network is one layer of lstm_1997, with its cut gradient, or one of logistic rnn units, by real-time recurrent learning.

A step is a row. Rows are drawn in blocks; row n is row n % size of the task's training batch n // size. The errors are squared
and halved, so that `train.learning_rate` is the paper's. `train.window` ends training as the paper does: after each row the
last `window` rows are looked at, how many of them were wrong and how large the mean absolute error of their outputs was. With
`train.cells_after` the hidden layer is silent and does not learn until it joins (`late_cells`).
"""

from __future__ import annotations

import functools
import math
from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy
import pytorch_lightning as lightning
import torch
from torch import Tensor

from rnnbench.tasks.task import Batch, Bits, Reals, Split, Task, Tokens

from ..groups import TrainerSettings
from ..kernels import lstm_1997, rtrl
from ..kernels.lstm_1997 import Array, NetworkForm, NetworkWeights, Recent, Rule, Sequences
from ..models.cells.lstm_1997 import LSTM1997
from ..models.cells.rnn import RNN
from ..models.mechanism import Mechanism
from ..networks.plain import Network
from ..networks.trainable import TrainableNetwork
from .checkpoint import device_part, make_checkpoint
from .devices import Devices
from .endings import Diverged, Interrupted
from .evaluation import Evaluation
from .late_cells import LateCells
from .learner import Learner
from .loader import EVALUATED_ROWS, EvaluationBatches
from .optimizer import make_optimizer
from .signals import collect_signals, restored_signals

BETWEEN = 1.0  # seconds at least between checkpoints of evaluations: 100 rows take a millisecond, a checkpoint ten
BLOCK = 1000  # rows that are drawn together; fewer where a row is long
PRODUCTS = 10**9  # of one call, a second or so: meanwhile nothing can interrupt it


class Online(NamedTuple):
    """A network as the compiled loop sees it."""

    weights: NetworkWeights  # the network's own numbers
    form: NetworkForm | rtrl.RTRLForm

    def train(self, rows: Sequences, rate: float, recent: Recent, rule: Rule) -> tuple[int, float]:
        """`lstm_1997.train_sequences`, or that of `rtrl`."""
        if isinstance(self.form, rtrl.RTRLForm):
            return rtrl.train_rtrl(self.weights, self.form, rows, rate, recent, rule)
        return lstm_1997.train_sequences(self.weights, self.form, rows, rate, recent, rule)

    def products(self) -> int:
        """About how many products a step takes."""
        H, inputs = self.weights.W.shape
        return H**3 * (H + inputs) if isinstance(self.form, rtrl.RTRLForm) else 4 * H * (H + inputs)

    def silent(self) -> Online:
        """The same network without its hidden layer; the outputs' own weights are shared."""
        weights = self.weights
        none, b = numpy.zeros((0, 0)), numpy.zeros(0)
        return Online(weights._replace(W=weights.W[:0], R=none, b=b, V=weights.V[:, :0]), self.form)


def online_view(network: TrainableNetwork, each_step: bool = False, step_decay: float = 1.0) -> Online:
    """The weights of `network`, which training changes in place, and what it computes.

    ValueError where the loop has no such network: it has one layer of lstm_1997 or of logistic rnn units without biases, in
    float64, with logistic outputs.
    """
    cells = [part for part in network.modules() if isinstance(part, Mechanism)]
    cell = cells[0]
    fits = isinstance(cell, LSTM1997) or (isinstance(cell, RNN) and cell.nonlinearity == "sigmoid" and cell.b_i is None)
    if not isinstance(network, Network) or not fits or len(cells) > 1 or not network.logistic:
        raise ValueError(
            "train.rule=online and guess are of one layer of model=lstm_1997, online of model=rnn with "
            "model.nonlinearity=sigmoid and model.biases=0, too, in one direction and without dropout, with "
            "network.output=logistic"
        )
    assert isinstance(cell, LSTM1997 | RNN)
    if cell.W.dtype != torch.float64:
        raise ValueError("train.rule=online and guess compute in float64: train.precision=64")
    R = numpy.zeros((0, 0)) if cell.R is None else cell.R.detach().numpy()
    biases = cell.b if isinstance(cell, LSTM1997) else None
    b = numpy.zeros(0) if biases is None else biases.detach().numpy()
    bias: Tensor | None = network.readout.bias
    readout, C = network.readout.weight.detach(), cell.output_size
    V, D = (part.contiguous().numpy().copy() for part in (readout[:, :C], readout[:, C:]))
    c = numpy.zeros(0) if bias is None else bias.detach().numpy()
    form: NetworkForm | rtrl.RTRLForm = rtrl.RTRLForm(each_step, step_decay)
    if isinstance(cell, LSTM1997):
        form = cell.form._replace(each_step=each_step, step_decay=step_decay)
    return Online(NetworkWeights(cell.W.detach().numpy(), R, b, V, D, c), form)


def write_back(network: TrainableNetwork, online: Online, silent: bool = False) -> None:
    """Puts the read-out's weights, which the loop holds in two parts, into `network`; all others are its own.

    Of a hidden layer that is `silent` the read-out hears nothing.
    """
    assert isinstance(network, Network)
    V = numpy.zeros_like(online.weights.V) if silent else online.weights.V
    parts = [torch.from_numpy(part) for part in (V, online.weights.D)]
    with torch.no_grad():
        network.readout.weight.copy_(torch.cat(parts, 1))


def as_rows(task: Task, batch: Batch) -> Sequences:
    """A batch as the loop reads it."""
    N, S = batch.scored.shape
    if isinstance(task.inputs, Tokens):
        places = batch.inputs.unsqueeze(-1).numpy()
        values = numpy.ones(places.shape)
    else:
        values = batch.inputs.double().numpy()
        places = numpy.broadcast_to(numpy.arange(values.shape[2]), values.shape)
    if isinstance(task.targets, Reals | Bits):
        classes, targets = numpy.full((N, S), -1), batch.targets.double().numpy()
    else:
        classes, targets = batch.targets.numpy(), numpy.zeros((1, S, task.targets.size))
    parts = (places, values, classes, targets, batch.scored.numpy(), batch.lengths.numpy())
    return Sequences(*map(numpy.ascontiguousarray, parts))


class Stream:
    """The rows that are trained on, in order; where `noise_free`, without the noise of their targets."""

    def __init__(self, task: Task, seed: int, noise_free: bool = False):
        self._task, self._seed, self._noise_free = task, seed, noise_free
        shown = task.batch("train", 0, 2, seed).inputs.shape[1]
        self.shown, self.block = shown, max(1, min(BLOCK, 10**6 // shown))
        self._drawn = functools.lru_cache(1)(self._draw)

    def _draw(self, index: int) -> Sequences:
        batch = self._task.batch("train", index, self.block, self._seed)
        return as_rows(self._task, self._task.noise_free(batch) if self._noise_free else batch)

    def rows(self, first: int, end: int) -> Sequences:
        """The rows from number `first` on, up to `end` or the end of their block."""
        index, start = divmod(first, self.block)
        stop = min(self.block, start + end - first)
        return Sequences(*(part if len(part) == 1 else part[start:stop] for part in self._drawn(index)))


class Done(NamedTuple):
    """What was trained on in one call."""

    rows: int
    squares: float  # sum of their squared errors
    symbols: int  # steps of them that were read
    ended: bool  # whether training is at its end


class Loop(ABC):
    """Trains the network of a learner, whose clock, selection and reporter it uses.

    An evaluation reads all batches of a split, or the first `most`.
    """

    def __init__(self, learner: Learner, most: int | None = None):
        self.learner, self.options, self.most = learner, learner.options, most
        self.online = online_view(learner.network, self.options.each_step, self.options.step_decay)
        self.optimizer = make_optimizer(learner.network.parameters(), self.options)  # a checkpoint holds one
        trainer = lightning.Trainer(
            accelerator="cpu", devices=1, logger=False, enable_checkpointing=False, enable_progress_bar=False
        )
        self.devices = Devices(trainer, torch.device("cpu"))
        self.sums = numpy.zeros(2)  # squared errors since the last row of the log, and of how many rows

    @property
    def tolerance(self) -> float:
        """Below which errors are right."""
        tolerance = self.learner.task.right_within
        assert tolerance is not None  # else its network has no logistic outputs
        return tolerance

    @abstractmethod
    def read(self, end: int) -> Done:
        """Trains on the next rows, up to number `end` at most, or until training is at its end."""

    def kept(self) -> tuple[Array, ...]:
        """What training goes on from, besides the weights; a checkpoint is read into these."""
        return ()

    def measured(self) -> dict[str, float]:
        """What a row of the log says of the rows that were trained on last, besides their loss."""
        return {}

    def decides(self) -> bool:
        """Whether training is solved where it ends; else validation says so."""
        return True

    def is_silent(self) -> bool:
        """Whether the outputs do not hear the hidden layer yet."""
        return False

    def train(self, settings: TrainerSettings, test: bool = True) -> dict[str, dict[str, float] | None]:
        """As `trainer.fit`. Raises Diverged or Interrupted."""
        learner = self.learner
        learner.reporter.save_seconds = settings.save_seconds
        with restored_signals():
            self.begin()
            while learner.step < self.options.steps and not learner.selection.stopped:
                self.stretch()
            learner.network.load_state_dict(learner.selection.best["weights"])
            learner.scores = self.evaluate("test", last=True) if test else {}
            if not test and learner.task.class_names():
                self.evaluate("validation", last=True)
        return {"validation": learner.selection.best["scores"], "test": learner.scores if test else None}

    def begin(self) -> None:
        """Goes on from the checkpoint that the learner was given, if any."""
        learner = self.learner
        if resumed := learner.take_resumed():
            (kept,) = resumed["window"]
            for mine, theirs in zip((*self.kept(), self.sums), kept, strict=True):
                mine[:] = theirs.numpy()
            learner.clock.work = list(resumed["work"])
        learner.reporter.start()
        collect_signals(learner.asked)

    def stretch(self) -> None:
        """Trains up to the next evaluation, or to the end; then evaluates."""
        learner, options = self.learner, self.options
        end, ended = min(options.steps, (learner.step // options.eval_every + 1) * options.eval_every), False
        learner.clock.start()
        while learner.step < end:
            done = self.read(end)
            ended = done.ended
            learner.step += done.rows
            self.sums += done.squares, done.rows
            sequences, symbols = learner.clock.work
            learner.clock.work = [sequences + done.rows, symbols + done.symbols]
            if not math.isfinite(done.squares):
                raise Diverged(learner.step)
            if ended:
                break  # what a checkpoint made here would go on from has no end any more
            if learner.asked or learner.reporter.is_overdue():
                self._save()
            if learner.asked:
                raise Interrupted(learner.reporter.saved_step, *learner.asked[:1])
        learner.clock.stop()
        self._evaluate(ended)

    def _evaluate(self, ended: bool) -> None:
        """Validates, logs, saves, and stops where training is to end."""
        learner = self.learner
        write_back(learner.network, self.online, silent=self.is_silent())
        learner.scores = self.evaluate("validation")
        if not math.isfinite(learner.scores[learner.task.headline]):
            raise Diverged(learner.step)
        solved = ended if self.decides() else None
        learner.selection.consider(learner.step, learner.clock.seconds, learner.scores, learner.network.state_dict(), solved)
        row = learner.reporter.row
        row |= {"train/loss": float(self.sums[0] / self.sums[1])} | {
            f"validation/{name}": value for name, value in learner.scores.items()
        }
        row |= self.measured()
        self.sums[:] = 0
        learner.reporter.write(learner.step, self.devices, evaluated=True)
        if learner.reporter.is_overdue(BETWEEN):
            self._save()

    def evaluate(self, split: Split, last: bool = False) -> dict[str, float]:
        """The scores of the network on a split; the `last` time its answers are counted, too."""
        learner = self.learner
        learner.network.eval()
        evaluation = Evaluation(learner.network, learner.task, self.options, counts_classes=last)
        with torch.no_grad():
            redrawn = learner.task.validation_at(learner.step, learner.seed) if split == "validation" else None
            batches = EvaluationBatches(learner.task, split, EVALUATED_ROWS, (0, 1), most=self.most)
            for batch in batches if redrawn is None else (redrawn,):
                evaluation.add(batch)
        learner.confusion, learner.by_class = evaluation.confusion(self.devices), evaluation.by_class(self.devices)
        return evaluation.scores(self.devices)

    def _save(self) -> None:
        learner = self.learner
        write_back(learner.network, self.online)
        learner.clock.read()
        window = [tuple(torch.from_numpy(part.copy()) for part in (*self.kept(), self.sums))]
        part = device_part(None, window, learner.clock.work, torch.device("cpu"))
        learner.reporter.save(learner.step, make_checkpoint(learner, learner.network, self.optimizer, [part]))


class Descent(Loop):
    """The rule of 1997."""

    def __init__(self, learner: Learner, most: int | None = None):
        super().__init__(learner, most)
        self.recent, self.stream = Recent.empty(self.options.window), Stream(learner.task, learner.seed)
        self.rule = Rule(self.options.window_wrong, self.options.window_error, self.tolerance)
        direct = self.online.weights.D.shape[1] > 0  # else there is nothing to learn without the hidden layer
        self.silent, self.late = self.online.silent(), LateCells(self.options.cells_after if direct else 0)
        self.at_once = max(1, PRODUCTS // (self.stream.shown * self.online.products()))  # rows

    def decides(self) -> bool:
        return self.options.window > 0

    def is_silent(self) -> bool:
        return self.late.joined is None

    def read(self, end: int) -> Done:
        if self.learner.selection.solved_step is not None:
            self.rule = self.rule._replace(most_wrong=-1)  # it has held, and is not looked at again
        end = min(end, self.learner.step + self.at_once)
        rows = self.stream.rows(self.learner.step, self.late.stretch_end(self.learner.step, end))
        network = self.silent if self.is_silent() else self.online
        done, total = network.train(rows, self.options.learning_rate, self.recent, self.rule)
        self.late.add(total, self.learner.step + done)
        return Done(done, total, int(rows.lengths[:done].sum()), self._holds())

    def _holds(self) -> bool:
        """Whether the rule, where there is one, holds after the last row."""
        count, window = self.recent.sums, self.options.window
        return bool(
            window and count[0] >= window and count[1] <= self.rule.most_wrong and count[2] < self.rule.error_below * window
        )

    def kept(self) -> tuple[Array, ...]:
        return *self.recent, *([self.late.numbers] if self.late.every else [])

    def measured(self) -> dict[str, float]:
        found = {}
        if self.options.window:
            seen = min(self.recent.sums[0], self.options.window)
            found = {"train/wrong": float(self.recent.sums[1] / seen), "train/error": float(self.recent.sums[2] / seen)}
        if self.late.every:
            found["train/cells_joined"] = float(-1 if self.late.joined is None else self.late.joined)
        return found
