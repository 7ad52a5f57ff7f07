"""The LightningModule that trains a network.

Steps are the only clock. One Lightning epoch is the stretch from one evaluation to the next, so that validation, resuming
and stopping all meet at its end; what the training batches are is a function of the step alone.
"""

from __future__ import annotations

import logging
import math
import warnings
from operator import itemgetter

import pytorch_lightning as lightning
import torch
from pytorch_lightning.utilities.types import STEP_OUTPUT
from torch import Tensor

from rnnbench.tasks.task import Batch, Task

from ..groups import TrainSettings
from ..models.mechanism import State, detach, tree_map
from ..networks.trainable import TrainableNetwork
from .checkpoint import Checkpoint, device_part, make_checkpoint, restore_values, set_random_state, split_checkpoint
from .clock import Clock
from .confusion import ClassCounts
from .devices import Devices
from .endings import Diverged, Interrupted
from .evaluation import Evaluation
from .loader import micro_batches
from .measures import StepMeasures
from .optimizer import make_optimizer
from .recorder import Recorder, Reporter
from .schedule import forcing_share, is_evaluated, is_logged, learning_rate
from .selection import Selection
from .signals import collect_signals
from .weight_noise import WeightNoise

for package in ("pytorch_lightning", "lightning_fabric"):
    logging.getLogger(package).setLevel(logging.WARNING)
warnings.filterwarnings("ignore", module="pytorch_lightning")  # advice on workers and loggers that are as they are on purpose

CORES = ("core", "reader", "writer")  # parts of a network that are recurrences


class Learner(lightning.LightningModule):
    """Trains a network on a task: one optimizer step a batch, validation in between, the best weights kept.

    `journal` receives a row every `log_every` steps and at each evaluation, and a checkpoint at each evaluation, every
    `save_seconds`, and when a signal asks for an end; from a checkpoint, `resume` continues to the same numbers.
    """

    def __init__(
        self,
        network: TrainableNetwork,
        task: Task,
        journal: Recorder,
        seed: int,
        settings: TrainSettings,
    ):
        super().__init__()
        self.options = settings
        self.network, self.task, self.seed = network, task, seed
        self.clock, self.selection = Clock(), Selection(task, self.options)
        self.measures, self.reporter = StepMeasures(network, self.options), Reporter(journal, self.clock)
        cores = [part for name, part in network.named_children() if name in CORES]
        self.noise = WeightNoise([p for core in cores for p in core.parameters()], settings.weight_noise)
        self.micro_batches = 1  # slices that this device takes its rows of a batch in
        self.step = 0  # optimizer steps done, also before a restart
        self.scores: dict[str, float] = {}  # of the last evaluation
        self.confusion: tuple[list[str], list[list[int]]] | None = None  # of the chosen weights, on the split read last
        self.by_class: ClassCounts | None = None  # the same of each class or label
        self.profile = ""  # what `trainer.profiler` has found
        self.asked: list[int] = []  # numbers of the signals that asked for an end
        self.trains_on = torch.device("cpu")  # Lightning moves the network back to the CPU at the end, `device` with it
        self._divisor = 1.0  # of the gradient of a step in micro batches
        self._state: State | None = None  # carried from batch to batch
        self._resumed: Checkpoint | None = None  # until training starts

    @property
    def devices(self) -> Devices:
        return Devices(self.trainer, self.device)

    def resume(self, checkpoint: Checkpoint) -> None:
        """Goes on from `checkpoint`, to the same numbers."""
        restore_values(self, checkpoint["kept"])
        self.network.load_state_dict(checkpoint["network"])
        self._resumed, self.reporter.saved_step = checkpoint, self.step

    def take_resumed(self) -> Checkpoint | None:
        """What `resume` was given; None the second time."""
        resumed, self._resumed = self._resumed, None
        return resumed

    # one step

    def configure_optimizers(self) -> torch.optim.Optimizer:
        self._optimizer = make_optimizer(self.network.parameters(), self.options)
        if self._resumed:
            self._optimizer.load_state_dict(self._resumed["optimizer"])
        return self._optimizer

    def on_train_start(self) -> None:
        devices = self.devices
        self.reporter.start()
        if devices.rank:
            torch.manual_seed(self.seed + (devices.rank << 32) + (self.step << 42))  # dropout differs from device to device
        if self._resumed:
            random, self._state, self.measures.window, self.clock.work = split_checkpoint(self._resumed, devices)
            if random:
                set_random_state(random, self.device)
            self._resumed = None
        collect_signals(self.asked)  # only now: Lightning has just set its own handlers, which would end a step halfway

    def on_train_epoch_start(self) -> None:
        self.clock.start()

    def optimizer_zero_grad(self, *_: object) -> None:
        """Nothing: Lightning calls this after `training_step`, whose micro batches have left their gradients by then."""

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        self._optimizer.zero_grad()
        self.network.forcing = forcing_share(self.options, self.step)
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate(self.options, self.step, self.selection.reductions)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss whose backward pass Lightning makes: of the whole batch, or of the last of its micro batches.

        How many answers a whole batch has is known when the last micro batch is read: their losses are differentiated as
        sums, and `configure_gradient_clipping` divides the gradient. Of one micro batch the loss itself is divided.
        """
        self.noise.add()
        *others, last = micro_batches(len(batch.lengths), self.micro_batches)
        done = [self._forward(batch, rows, differentiated=True) for rows in others]
        done.append(self._forward(batch, last))
        states, losses, counts = zip(*done, strict=True)
        self._state = None if states[0] is None else tree_map(lambda *parts: torch.cat(parts), *states)
        count = self.devices.sum(torch.stack(counts).sum())
        self.measures.add_loss(torch.stack(losses).detach().sum() / count)
        self.clock.count(batch)
        if self.options.mean_over == "rows":
            count = self.devices.sum(count.new_tensor(len(batch.scored)))
        if self.micro_batches > 1:
            self._divisor = float(count) / self.trainer.world_size
            return losses[-1]
        return losses[-1] * self.trainer.world_size / count  # gradients are averaged over devices

    def _forward(self, batch: Batch, rows: slice, differentiated: bool = False) -> tuple[State | None, Tensor, Tensor]:
        """Reads `rows` of `batch`: (their states where these are carried, the sum of their losses, how many these are).

        Where `differentiated`, the gradient of that sum is added to the parameters'.
        """
        carries = self.options.carry and self.task.carries
        before = None if self._state is None else tree_map(itemgetter(rows), self._state)
        batch = batch.map(itemgetter(rows))
        if is_logged(self.options, self.step + 1):
            self.measures.begin()
        outputs, state = self.network(batch, self.network.carry(before, batch.fresh) if carries else None)
        total, count = self.task.loss(outputs, batch)
        if differentiated:
            with torch.autocast(self.device.type, enabled=False):  # as Lightning has it for the last one
                total.backward()
            total = total.detach()
        return detach(state) if carries else None, total, count

    def configure_gradient_clipping(self, optimizer: torch.optim.Optimizer, *_: object, **__: object) -> None:
        """Measures and clips, between the backward pass and the optimizer's step."""
        self.noise.remove()
        if self._divisor != 1:
            torch._foreach_div_([p.grad for p in self.network.parameters() if p.grad is not None], self._divisor)
        logged = is_logged(self.options, self.step + 1)
        self.reporter.row |= self.measures.clip(logged)
        if logged:
            self.reporter.row["train/learning_rate"] = learning_rate(self.options, self.step, self.selection.reductions)
            self.reporter.row |= self.measures.state_gradients(self.devices, self._divisor * self.devices.count)

    def on_train_batch_end(self, outputs: STEP_OUTPUT, batch: Batch, batch_idx: int) -> None:
        self.step += 1
        asked, overdue = self.devices.any(bool(self.asked), self.reporter.is_overdue())
        if is_logged(self.options, self.step):
            self.reporter.row |= self.measures.end_row(self.step, self.devices)
        if is_evaluated(self.options, self.step):
            return  # the row and the checkpoint wait for the evaluation
        if self.reporter.row:
            self.reporter.write(self.step, self.devices, evaluated=False)
        if asked or overdue:
            self._save()
        if asked:
            raise Interrupted(self.reporter.saved_step, *self.asked[:1])

    # evaluation

    def on_validation_epoch_start(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        self.clock.stop()
        self._evaluation = Evaluation(self.network, self.task, self.options, counts_classes=self.trainer.testing)
        if not self.trainer.testing:
            found = self._evaluation.activity(self.device)
            self.reporter.row |= {f"validation/{name}": value for name, value in found.items()}

    def validation_step(self, batches: list[Batch], batch_idx: int) -> None:
        for batch in batches:
            self._evaluation.add(batch)

    def on_validation_epoch_end(self) -> None:
        self.scores = self._evaluation.scores(self.devices)
        if not math.isfinite(self.scores[self.task.headline]):
            raise Diverged(self.step)
        self.selection.consider(self.step, self.clock.seconds, self.scores, self.network.state_dict())
        row = self.reporter.row
        row |= {f"validation/{name}": value for name, value in self.scores.items()}
        if texts := self._evaluation.texts():
            row["validation/samples"], self.reporter.characters_per_second = texts
        self.reporter.write(self.step, self.devices, evaluated=True)
        self._save()
        self.trainer.should_stop = self.selection.stopped
        if self.devices.any(bool(self.asked))[0]:
            raise Interrupted(self.reporter.saved_step, *self.asked[:1])

    on_test_epoch_start = on_validation_epoch_start
    test_step = validation_step

    def on_test_epoch_end(self) -> None:
        self.scores = self._evaluation.scores(self.devices)
        self.confusion = self._evaluation.confusion(self.devices)
        self.by_class = self._evaluation.by_class(self.devices)

    def _save(self) -> None:
        """Hands a checkpoint to the journal; none once a loss or gradient is not finite, which the next row reports."""
        if not self.measures.is_finite():
            return
        self.clock.read()
        part = device_part(self._state, self.measures.window, self.clock.work, self.device)
        checkpoint = make_checkpoint(self, self.network, self._optimizer, self.devices.gather(part))
        self.reporter.save(self.step, checkpoint)
