"""Runs a Learner in Lightning's Trainer: devices, precision, signals, the one reading of the test split."""

from __future__ import annotations

import contextlib
import datetime
import functools
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytorch_lightning as lightning
from pytorch_lightning.plugins.environments import LightningEnvironment
from pytorch_lightning.profilers import Profiler, PyTorchProfiler, SimpleProfiler
from pytorch_lightning.strategies import DDPStrategy

from rnnbench.tasks.task import SPLITS, Split

from ..groups import TrainerSettings
from ..models.recompute import set_recompute
from .callbacks import attributed, make_callbacks
from .guessing import Guessing
from .learner import Learner
from .loader import EVALUATED_ROWS, GROUP, EvaluationBatches, Grouped, TrainingBatches, loader
from .online import Descent, Loop
from .progress import Progress
from .signals import restored_signals
from .streams import StreamLoop, streams_of

ONE_CPU = TrainerSettings()
JOIN = 120  # seconds for all devices to be there, and for the slowest of them at each step
PRECISIONS: dict[str, Literal["32-true", "64-true", "bf16-mixed"]] = {"32": "32-true", "64": "64-true", "bf16": "bf16-mixed"}

BY_ROW: dict[str, type[Loop]] = {"online": Descent, "guess": Guessing}
PROFILERS: dict[str, Callable[..., Profiler]] = {
    "simple": SimpleProfiler,
    "pytorch": functools.partial(PyTorchProfiler, export_to_chrome=False),
}


@contextlib.contextmanager
def profiled(learner: Learner, name: str) -> Iterator[Profiler | None]:
    """The profiler `name` of Lightning's, or None; when training and test have ended, `learner.profile` is what it found."""
    if name == "none":
        yield None
        return
    warnings.filterwarnings("ignore", "Warning: Profiler clears events")  # PyTorch's: it keeps those of the last steps
    with tempfile.TemporaryDirectory() as place:
        yield PROFILERS[name](dirpath=place, filename="profile")
        found = "\n".join(path.read_text(encoding="utf-8") for path in sorted(Path(place).glob("*.txt")))
        learner.profile = found or "Nothing: there were too few steps.\n"


def fit(
    learner: Learner,
    settings: TrainerSettings = ONE_CPU,
    progress: Progress | None = None,
    test: bool = True,
) -> dict[str, dict[str, float] | None]:
    """Trains, then reads the test split once with the weights that validation chose, unless `test` is false.

    Of a task whose answers are classes, `learner.confusion` then holds how often each was answered where which was right, and
    `learner.by_class`, also of labels, how often each was answered and right: on the test split, or else on validation.
    Returns {"validation": scores, "test": scores or None}. Raises Diverged or Interrupted.
    """
    if learner.options.rule in BY_ROW:
        loop = StreamLoop if streams_of(learner.task) else BY_ROW[learner.options.rule]
        return loop(learner, 1 if settings.fast_dev_run else None).train(settings, test)
    learner.reporter.save_seconds, learner.micro_batches = settings.save_seconds, settings.micro_batches
    set_recompute(learner.network, settings.recompute)
    callbacks = make_callbacks(settings.callbacks)
    with attributed(callbacks), profiled(learner, settings.profiler) as profiler:
        trainer = make_trainer(learner, settings, [*([progress] if progress else []), *callbacks.values()], profiler)
        _train_and_test(trainer, learner, settings, progress, test)
    return {"validation": learner.selection.best["scores"], "test": learner.scores if test else None}


def make_trainer(
    learner: Learner, settings: TrainerSettings, callbacks: list[lightning.Callback], profiler: Profiler | None
) -> lightning.Trainer:
    """Lightning's Trainer for the steps that `learner` has before it."""
    options = learner.options
    return lightning.Trainer(
        accelerator=settings.accelerator,
        devices=settings.devices,
        num_nodes=settings.nodes,
        strategy=DDPStrategy(timeout=datetime.timedelta(seconds=JOIN)) if settings.devices * settings.nodes > 1 else "auto",
        plugins=[LightningEnvironment()],  # run/cluster.py has set what it reads; no scheduler is asked
        precision=PRECISIONS[options.precision],
        max_steps=options.steps - learner.step,
        max_epochs=-1,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=any(isinstance(callback, Progress) for callback in callbacks),
        callbacks=callbacks,
        profiler=profiler,
        use_distributed_sampler=False,
    )


def _train_and_test(
    trainer: lightning.Trainer, learner: Learner, settings: TrainerSettings, progress: Progress | None, test: bool
) -> None:
    """What `fit` does, by its `trainer`."""
    task, options, selection = learner.task, learner.options, learner.selection
    learner.trains_on = trainer.strategy.root_device
    share = trainer.global_rank, trainer.world_size
    if progress:
        validation, held_out = (-(-task.batches(split, EVALUATED_ROWS) // GROUP) for split in SPLITS[1:])
        progress.begin(learner.step, options.steps, validation, held_out)

    def evaluated(split: Split) -> Grouped:
        batches = EvaluationBatches(task, split, EVALUATED_ROWS, share, most=1 if settings.fast_dev_run else None)
        return Grouped(loader(batches, settings.workers))

    with restored_signals():
        try:
            if learner.step < options.steps and not selection.stopped:
                clock = learner.step, options.steps, options.eval_every
                batches = TrainingBatches(task, options.batch_size, share, learner.seed, *clock)
                trainer.fit(learner, loader(batches, settings.workers), evaluated("validation"))
            learner.network.load_state_dict(selection.best["weights"])
            if test or task.class_names() or task.label_separator:  # whose classes are then counted on validation
                trainer.test(learner, evaluated("test" if test else "validation"), verbose=False)
        except SystemExit:
            raise KeyboardInterrupt from None  # Lightning turns a KeyboardInterrupt into one
