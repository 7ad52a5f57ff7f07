"""The progress bar over the steps of a whole run."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as lightning
from pytorch_lightning.callbacks import RichProgressBar
from pytorch_lightning.callbacks.progress.rich_progress import RichProgressBarTheme
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from .learner import Learner
from .loader import EVALUATED_ROWS


class Progress(RichProgressBar):
    """The library's bar over the steps of the whole run, with the last loss and score."""

    def __init__(self, name: str, shown: Mapping[str, float]):
        super().__init__(refresh_rate=10, theme=RichProgressBarTheme(metrics_format=".3g"))
        self.name, self.shown, self._drawn_at = name, shown, 0.0

    @property
    def total_train_batches(self) -> int:
        learner = self.trainer.lightning_module
        assert isinstance(learner, Learner)
        return learner.steps

    @property
    def total_val_batches_current_dataloader(self) -> int:
        learner = self.trainer.lightning_module
        assert isinstance(learner, Learner)
        return learner.task.batches("validation", EVALUATED_ROWS)

    @property
    def total_test_batches_current_dataloader(self) -> int:
        learner = self.trainer.lightning_module
        assert isinstance(learner, Learner)
        return learner.task.batches("test", EVALUATED_ROWS)

    def configure_columns(self, trainer: lightning.Trainer) -> list[Any]:
        """What fits beside a name and two numbers into 80 columns."""
        return [TextColumn("{task.description}"), BarColumn(10), MofNCompleteColumn(), TimeRemainingColumn(compact=True)]

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        if self.train_progress_bar_id is None:  # later epochs go on with the same bar
            super().on_train_epoch_start(trainer, pl_module)

    def _get_train_description(self, current_epoch: int) -> str:
        return self.name

    def get_metrics(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> dict[str, Any]:
        return {name.rpartition("/")[2]: value for name, value in self.shown.items()}

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if time.monotonic() - self._drawn_at > 0.1:  # seconds; drawing costs more than a small step
            self._drawn_at = time.monotonic()
            super().on_train_batch_end(trainer, pl_module, outputs, batch, pl_module.step - 1)
