"""Runs a Learner in Lightning's Trainer: devices, precision, signals, the one reading of the test split."""

from __future__ import annotations

import datetime
import signal
import threading
from typing import Any, Literal

import pytorch_lightning as lightning
from pytorch_lightning.strategies import DDPStrategy

from ..options import AboveZero, Count, Positive
from .learner import SIGNALS, Learner
from .loader import EVALUATED_ROWS, EvaluationBatches, TrainingBatches, loader
from .progress import Progress


def train(
    learner: Learner,
    accelerator: Literal["cpu", "gpu", "auto"] = "cpu",
    devices: Positive = 1,  # on each machine
    nodes: Positive = 1,  # machines, whose processes torchrun or SLURM starts
    workers: Count = 0,  # processes that make batches; 0 makes them between steps
    save_seconds: AboveZero = 120.0,  # between checkpoints, where evaluations are rarer
    progress: Progress | None = None,
    test: bool = True,
) -> dict[str, dict[str, float] | None]:
    """Trains, then reads the test split once with the weights that validation chose, unless `test` says not to.

    Returns {"validation": scores, "test": scores or None}. Raises Diverged or Interrupted.
    """
    learner.save_seconds = save_seconds
    trainer = lightning.Trainer(
        accelerator=accelerator,
        devices=devices,
        num_nodes=nodes,
        strategy=DDPStrategy(timeout=datetime.timedelta(seconds=JOIN)) if devices * nodes > 1 else "auto",
        precision=PRECISIONS[learner.precision],
        max_steps=learner.steps - learner.step,
        max_epochs=-1,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=progress is not None,
        callbacks=[progress] if progress else [],
        use_distributed_sampler=False,
    )
    learner.trains_on = trainer.strategy.root_device
    share = trainer.global_rank, trainer.world_size
    on_main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        if learner.step < learner.steps and not learner.stopped:
            clock = learner.step, learner.steps, learner.eval_every
            stretches = TrainingBatches(learner.task, learner.batch_size, share, learner.seed, *clock)
            validation = EvaluationBatches(learner.task, "validation", EVALUATED_ROWS, share)
            trainer.fit(learner, loader(stretches, workers), loader(validation, workers))
        learner.network.load_state_dict(learner.best["weights"])
        if test:
            trainer.test(
                learner, loader(EvaluationBatches(learner.task, "test", EVALUATED_ROWS, share), workers), verbose=False
            )
    except SystemExit:
        raise KeyboardInterrupt from None  # that is what Lightning makes of one
    finally:
        if on_main:
            for number, handler in before.items():
                signal.signal(number, handler)
    return {"validation": learner.best["scores"], "test": learner.scores if test else None}


JOIN = 120  # seconds for all devices to be there, and for the slowest of them at each step
PRECISIONS: dict[str, Any] = {"32": "32-true", "64": "64-true", "bf16": "bf16-mixed"}
