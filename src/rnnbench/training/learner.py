"""The LightningModule and its Trainer: the only file that imports Lightning.

Steps are the only clock. One Lightning epoch is the stretch from one evaluation to the next, so that validation, resuming
and stopping all meet at its end; what the training batches are is a function of the step alone.
"""

from __future__ import annotations

import logging
import math
import signal
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, Literal, Protocol

import pytorch_lightning as lightning
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_value_, clip_grads_with_norm_, get_total_norm

from rnnbench.tasks.task import Batch, Task, totals

from ..models.mechanism import State, detach, tree_map
from ..networks.decoding import examples, write_greedily
from ..networks.instruments import PROBED, GradientNorms, StateGradients, activity, flat_parameters, peak_memory, update_ratio
from ..options import AboveZero, AtLeastZero, Count, Positive, Rate, Share
from .loader import interleave
from .optimizer import make_optimizer

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)  # each asks for a checkpoint and an end
VERSION = 1  # raised when the numbers that training makes change

for package in ("pytorch_lightning", "lightning_fabric"):
    logging.getLogger(package).setLevel(logging.WARNING)
warnings.filterwarnings("ignore", module="pytorch_lightning")  # advice on workers and loggers that are as they are on purpose


class Recorder(Protocol):
    """Where training reports to. It knows nothing of files."""

    def row(self, step: int, metrics: dict[str, Any], timings: dict[str, float]) -> None: ...

    def save(self, step: int, checkpoint: dict[str, Any]) -> None: ...


class Diverged(Exception):
    """The loss or its gradient stopped being a finite number at `step`."""

    def __init__(self, step: int):
        super().__init__(f"diverged at step {step}")
        self.step = step


class Interrupted(Exception):
    """Signal number `signal` asked for an end; a checkpoint was written at `step`."""

    def __init__(self, step: int, signal: int = signal.SIGTERM):
        super().__init__(f"interrupted at step {step}")
        self.step, self.signal = step, signal


class Learner(lightning.LightningModule):
    """Trains a network on a task: one optimiser step a batch, validation in between, the best weights kept.

    `journal` receives a row every `log_every` steps and at each evaluation, and a checkpoint at each evaluation, every
    `save_seconds`, and when a signal asks for an end; from a checkpoint, `resume` goes on to the same numbers.
    """

    def __init__(
        self,
        network: Any,  # a Network or an EncoderDecoder
        task: Task,
        journal: Recorder,
        seed: int,
        steps: Positive = 2000,  # optimiser steps
        batch_size: Positive = 50,  # rows of a batch, over all devices
        optimizer: Literal["adam", "adamw", "rmsprop", "sgd"] = "adam",
        learning_rate: AboveZero = 0.001,
        weight_decay: AtLeastZero = 0.0,  # decoupled for adamw, added to the gradient otherwise
        momentum: Rate = 0.0,  # of sgd and rmsprop
        clip: AboveZero | None = 1.0,  # bound on the gradient; null for none
        clip_by: Literal["norm", "value"] = "norm",  # the bound is on the whole gradient's norm, or on each entry
        forcing: Share = 1.0,  # encoder_decoder: share of true symbols fed, at the start of training
        forcing_end: Share = 1.0,  # and at its end; it falls linearly (scheduled sampling, Bengio et al. 2015)
        schedule: Literal["constant", "linear", "cosine", "plateau"] = "constant",  # of the learning rate, after the warm-up
        warmup: Count = 0,  # steps over which the learning rate rises linearly
        decay: AboveZero = 0.5,  # schedule=plateau: factor on the rate after an evaluation that was no better
        eval_every: Positive = 200,  # steps between evaluations
        log_every: Positive = 50,  # steps between logged rows
        patience: Count = 0,  # evaluations without a better score before training ends; 0 waits for ever
        beam: Positive = 1,  # likeliest beginnings kept where an evaluation writes from a source; 1 is greedy
        length_penalty: AtLeastZero = 0.0,  # of beam search: 0 favours short answers, 1 the likeliest symbol by symbol
        samples: Count = 3,  # texts written and kept at each evaluation, where a task writes any
        stop_when_solved: bool = True,  # training ends when validation says solved
        carry: bool = True,  # the state of rows that go on is carried from batch to batch; else each begins anew
        instruments: bool = True,  # gradients through time, gates, states and update sizes are measured and logged
        precision: Literal["32", "64", "bf16"] = "32",  # bits of a number; bf16: products only, weights stay 32
    ):
        super().__init__()
        self.network, self.task, self.journal, self.seed = network, task, journal, seed
        self.steps, self.batch_size, self.optimizer_name = steps, batch_size, optimizer
        self.learning_rate, self.weight_decay, self.momentum = learning_rate, weight_decay, momentum
        self.clip, self.clip_by = clip, clip_by
        self.forcing, self.forcing_end = forcing, forcing_end
        self.beam, self.length_penalty, self.samples = beam, length_penalty, samples
        self.schedule, self.warmup, self.decay = schedule, warmup, decay
        self.eval_every, self.log_every = eval_every, log_every
        self.instruments = StateGradients() if instruments else None
        self._norms = GradientNorms(network)
        self.carries = carry and task.carries
        self.patience, self.stop_when_solved, self.precision = patience, stop_when_solved, precision

        self.step = 0  # optimiser steps done, also before a restart
        self.stopped = False  # early, on patience or because solved
        self.best: dict[str, Any] = {}  # step, score, scores and weights of the best evaluation
        self.stale = 0  # evaluations since then
        self.reductions = 0  # of the learning rate, by schedule=plateau
        self.solved_step: int | None = None
        self.seconds_to_solved: float | None = None
        self.seconds = 0.0  # of training, evaluations not counted
        self.asked: list[int] = []  # numbers of the signals that asked for an end
        self.save_seconds = math.inf  # between checkpoints, where evaluations are rarer
        self.totals = [0, 0]  # sequences and tokens trained on
        self.scores: dict[str, float] = {}  # of the evaluation made last

        self._state: State | None = None  # carried from batch to batch
        self._window: list[tuple[Tensor, ...]] = []  # (loss, gradient norm) of each step since the last row
        self._work = [0, 0]  # sequences and tokens since the last row
        self._pending: dict[str, Any] = {}  # a row that waits for its evaluation
        self._sums: dict[str, Tensor] = {}
        self.characters_per_second: float | None = None  # of the texts written last
        self._resume: Mapping[str, Any] | None = None
        self._since: float | None = None  # when the clock of training was started; None while it stands
        self._saved_at, self._saved_step = time.monotonic(), 0
        self._row_at, self._row_step = 0.0, 0  # seconds of training and steps at the last row
        self.trains_on = torch.device("cpu")  # Lightning moves the network back to the CPU at the end, `device` with it
        self._evaluated_state: State | None = None

    # one step

    def configure_optimizers(self) -> torch.optim.Optimizer:
        self._optimizer = make_optimizer(self)
        if self._resume:
            self._optimizer.load_state_dict(self._resume["optimizer"])
        return self._optimizer

    @property
    def pace(self) -> float:
        """Steps a second of all rows that were written, evaluations not counted."""
        return self._row_step / (self.seconds or math.nan)

    def rate(self) -> float:
        """The learning rate of the coming step: a function of the step (and of the evaluations, for `plateau`)."""
        if self.step < self.warmup:
            return self.learning_rate * (self.step + 1) / self.warmup
        done = (self.step - self.warmup) / max(1, self.steps - self.warmup)
        factors = {
            "constant": 1.0,
            "linear": 1 - done,
            "cosine": (1 + math.cos(math.pi * done)) / 2,
            "plateau": self.decay**self.reductions,
        }
        return self.learning_rate * factors[self.schedule]

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        self.network.forcing = self.forcing + (self.forcing_end - self.forcing) * self.step / self.steps
        for group in self._optimizer.param_groups:
            group["lr"] = self.rate()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        state = self.network.carry(self._state, batch.fresh) if self.carries else None
        if self.instruments and self._logs_after(self.step + 1):
            self.instruments.begin(self.network)
        outputs, state = self.network(batch, state)
        if self.carries:
            self._state = state
        total, count = self.task.loss(outputs, batch)
        count = self._over_devices(count)
        self._window.append((total.detach() / count,))
        self._work[0] += len(batch.lengths)
        self._work[1] += int(batch.lengths.sum())
        return total * self.trainer.world_size / count  # gradients are averaged over devices

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        """Called between backward and the optimiser's step: measures, then clips."""
        logged = self._logs_after(self.step + 1)
        if self.clip is not None:
            gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
            measured = get_total_norm(gradients, 2.0 if self.clip_by == "norm" else math.inf)
            self._window[-1] += (measured,)
        norms = self._norms() if logged else {}
        self._pending |= {_named("train/gradient_norm", name): norm for name, norm in norms.items()}
        if self.clip is not None:
            if self.clip_by == "norm":
                clip_grads_with_norm_(self.network.parameters(), self.clip, measured)
                share = min(1.0, self.clip / (norms.get("", 0.0) + 1e-6))  # what torch has multiplied each gradient by
                norms = {name: norm * share for name, norm in norms.items()}
            else:
                clip_grad_value_(self.network.parameters(), self.clip)
                norms = self._norms() if logged else {}
        self._pending |= {_named("train/gradient_norm_clipped", name): norm for name, norm in norms.items()}
        if logged:
            self._pending["train/learning_rate"] = self.rate()
        if logged and self.instruments:
            self._pending |= {
                f"train/{name}": value
                for name, value in self.instruments.end(self._over_devices, self.trainer.world_size).items()
            }
            self._before = flat_parameters(self.network)

    def _logs_after(self, step: int) -> bool:
        return step % self.log_every == 0 or self._evaluates_after(step)

    def _evaluates_after(self, step: int) -> bool:
        return step % self.eval_every == 0 or step == self.steps

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        self.step += 1
        asked, overdue = self._agree(bool(self.asked), time.monotonic() - self._saved_at > self.save_seconds)
        if self._logs_after(self.step):
            if self.instruments:
                self._pending["train/update_ratio"] = update_ratio(self._before, flat_parameters(self.network))
            self._take_stock()
        if self._evaluates_after(self.step):
            return  # the row and the checkpoint wait for the evaluation
        if self._pending:
            self._write()
        if asked or overdue:
            self._save()
        if asked:
            raise Interrupted(self._saved_step, *self.asked[:1])

    def _take_stock(self) -> None:
        """Adds to the pending row what the steps since the last row were; raises Diverged at the first that is not finite."""
        measured = [self._over_devices(torch.stack([step[0] for step in self._window]))]
        if self.clip is not None:  # the gradient is that of all devices already
            measured.append(torch.stack([step[1] for step in self._window]))
        steps = torch.stack(measured, 1).tolist()
        for index, values in enumerate(steps):
            if not all(map(math.isfinite, values)):
                raise Diverged(self.step - len(steps) + 1 + index)
        self._pending["train/loss"] = sum(step[0] for step in steps) / len(steps)
        if self.clip is not None:
            self._pending["train/clipped"] = sum(step[1] > self.clip for step in steps) / len(steps)
        self._window.clear()

    def _write(self) -> None:
        """Hands the pending row to the journal, with the speed since the last one."""
        self._read_clock()
        passed = max(self.seconds - self._row_at, 1e-9)
        sequences, tokens = self._over_devices(torch.tensor(self._work, device=self.device)).tolist()
        self.totals = [self.totals[0] + sequences, self.totals[1] + tokens]
        timings = {
            "seconds": self.seconds,
            "steps_per_second": (self.step - self._row_step) / passed,
            "sequences_per_second": sequences / passed,
            "tokens_per_second": tokens / passed,
        }
        if self._evaluates_after(self.step):  # asking the system takes as long as writing a row
            timings["peak_memory_bytes"] = peak_memory(self.device)
        if "validation/samples" in self._pending and self.characters_per_second is not None:
            timings["characters_per_second"] = self.characters_per_second  # written, the state carried
        self.journal.row(self.step, self._pending, timings)
        self._pending, self._work = {}, [0, 0]
        self._row_at, self._row_step = self.seconds, self.step

    def _start_clock(self) -> None:
        self._since = time.monotonic()

    def _read_clock(self) -> None:
        """Adds to `seconds` what has passed, if the clock is running; it goes on."""
        if self._since is not None:
            self._stop_clock()
            self._start_clock()

    def _stop_clock(self) -> None:
        if self._since is not None:
            self.seconds += time.monotonic() - self._since
        self._since = None

    def on_train_epoch_start(self) -> None:
        self._start_clock()

    # evaluation

    def on_validation_epoch_start(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        self._stop_clock()
        self._sums, self._evaluated_state = {}, None
        self._activity: dict[str, float] = {}
        if self.instruments and not self.trainer.testing:
            probed = self.task.batch("validation", 0, PROBED, 0).to(self.device)
            self._activity = activity(self.network, probed)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        state = self.network.carry(self._evaluated_state, batch.fresh) if self.carries else None
        outputs, self._evaluated_state = self.network(batch, state)
        sums = self.task.score(outputs, batch)
        if self.task.source is not None:
            sums |= self.task.score_written(
                write_greedily(self.network, self.task, batch, self.beam, self.length_penalty), batch
            )
        for name, value in sums.items():
            self._sums[name] = self._sums.get(name, 0) + value

    def _finish_scores(self) -> dict[str, float]:
        return self.task.finish(totals({name: self._over_devices(value) for name, value in sorted(self._sums.items())}))

    def on_validation_epoch_end(self) -> None:
        self.scores = self._finish_scores()
        score = self.scores[self.task.headline]
        if not math.isfinite(score):
            raise Diverged(self.step)
        sign = -1 if self.task.direction == "max" else 1
        if not self.best or sign * score < sign * self.best["score"]:
            weights = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
            self.best = {"step": self.step, "score": score, "scores": self.scores, "weights": weights}
            self.stale = 0
        else:
            self.stale += 1
            self.reductions += self.schedule == "plateau"
        if self.solved_step is None and self.task.solved(self.scores):
            self.solved_step, self.seconds_to_solved = self.step, self.seconds
        self.stopped = bool((self.stop_when_solved and self.solved_step) or (self.patience and self.stale >= self.patience))
        self._pending |= {f"validation/{name}": value for name, value in (self._activity | self.scores).items()}
        if self.samples and (self.task.generates or self.task.answers):
            texts, characters, seconds = examples(self.network, self.task, self.samples, self.beam, self.length_penalty)
            self._pending["validation/samples"] = texts
            self.characters_per_second = characters / seconds
        self._write()
        self._save()
        self.trainer.should_stop = self.stopped
        if self._agree(bool(self.asked))[0]:
            raise Interrupted(self._saved_step, *self.asked[:1])

    on_test_epoch_start = on_validation_epoch_start
    test_step = validation_step

    def on_test_epoch_end(self) -> None:
        self.scores = self._finish_scores()

    def _over_devices(self, value: Tensor) -> Tensor:
        """The sum of `value` over all devices."""
        return self.trainer.strategy.reduce(value, reduce_op="sum")

    def _agree(self, *mine: bool) -> list[bool]:
        """Whether any device says so, for each of `mine`; all devices get one answer."""
        if self.trainer.world_size == 1:
            return list(mine)
        return [bool(said) for said in self._over_devices(torch.tensor(mine, dtype=torch.int64, device=self.device)).tolist()]

    # checkpoints

    def _save(self) -> None:
        if self._window and not all(bool(torch.isfinite(value).all()) for step in self._window for value in step):
            return  # the next row will say where it diverged; a checkpoint from here would be of no use
        self._read_clock()
        random = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            random["cuda"] = torch.cuda.get_rng_state(self.device)
        mine = {
            "random": random,
            "state": None if self._state is None else detach(self._state),
            "window": self._window,
            "work": self._work,
        }
        every = [mine]
        if self.trainer.world_size > 1:
            every = [mine] * self.trainer.world_size
            torch.distributed.all_gather_object(every, mine)
        checkpoint = {
            "kept": {name: getattr(self, name) for name in KEPT},
            "network": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "random": [one["random"] for one in every],
            "state": None if self._state is None else tree_map(interleave, *(one["state"] for one in every)),
            "window": [(sum(losses), *rest) for losses, *rest in _across(every)],
            "work": [sum(counts) for counts in zip(*(one["work"] for one in every), strict=True)],
        }
        self.journal.save(self.step, checkpoint)
        self._saved_at, self._saved_step = time.monotonic(), self.step

    def resume(self, checkpoint: Mapping[str, Any]) -> None:
        """Goes on from what `_save` wrote, to the same numbers."""
        for name in KEPT:
            setattr(self, name, checkpoint["kept"][name])
        self.network.load_state_dict(checkpoint["network"])
        self._resume, self._saved_step = checkpoint, self.step

    def on_train_start(self) -> None:
        self._saved_at = time.monotonic()
        rank, world = self.global_rank, self.trainer.world_size
        if rank:
            torch.manual_seed(self.seed + (rank << 32) + (self.step << 42))  # dropout differs from device to device
        if self._resume:
            if self._resume["state"] is not None:
                self._state = tree_map(lambda part: part[rank::world].to(self.device), self._resume["state"])
            if rank == 0:
                self._window = [tuple(value.to(self.device) for value in step) for step in self._resume["window"]]
                self._work = list(self._resume["work"])
            else:
                self._window = [(torch.zeros_like(loss), *rest) for loss, *rest in self._resume["window"]]
            if rank < len(self._resume["random"]):
                random = self._resume["random"][rank]
                torch.set_rng_state(random["cpu"])
                if "cuda" in random and self.device.type == "cuda":
                    torch.cuda.set_rng_state(random["cuda"], self.device)
            self._resume = None
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:  # only now: Lightning has just set its own, which would end the step in its middle
                signal.signal(number, self._ask)

    def _ask(self, number: int, _frame: Any) -> None:
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt  # the second time: now
        self.asked.append(number)


# What of a Learner a checkpoint holds besides weights, optimiser and random numbers.
KEPT = (
    "step",
    "stopped",
    "best",
    "stale",
    "reductions",
    "solved_step",
    "seconds_to_solved",
    "seconds",
    "scores",
    "characters_per_second",
    "totals",
    "_row_at",
    "_row_step",
)


def _named(quantity: str, layer: str) -> str:
    return f"{quantity}/{layer}" if layer else quantity


def _across(every: list[dict[str, Any]]) -> Iterator[tuple[list[Tensor], Any]]:
    """For each step of the window: the devices' losses, then what is the same on all of them."""
    for steps in zip(*(one["window"] for one in every), strict=True):
        yield ([step[0].cpu() for step in steps], *(value.cpu() for value in steps[0][1:]))
