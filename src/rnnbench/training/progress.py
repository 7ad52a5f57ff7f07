"""The progress bar over the steps of a whole run."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytorch_lightning as lightning
from pytorch_lightning.callbacks import RichProgressBar
from pytorch_lightning.callbacks.progress.rich_progress import RichProgressBarTheme
from pytorch_lightning.utilities.types import STEP_OUTPUT
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TextColumn, TimeRemainingColumn


class Progress(RichProgressBar):
    """Lightning's bar over the steps of the whole run, with the values of `shown`, such as the last loss and score."""

    def __init__(self, name: str, shown: Mapping[str, float]):
        super().__init__(refresh_rate=10, theme=RichProgressBarTheme(metrics_format=".3g"))
        self.name, self.shown, self._drawn_at = name, shown, 0.0
        self.begin(0, 0, 0, 0)

    def begin(self, done: int, steps: int, validation: int, test: int) -> None:
        """Says how far to count: `steps` of training, of which `done` are done, and groups of batches of both evaluations."""
        self._done, self._steps, self._validation, self._test = done, steps, validation, test

    @property
    def total_train_batches(self) -> int:
        return self._steps

    @property
    def total_val_batches_current_dataloader(self) -> int:
        return self._validation

    @property
    def total_test_batches_current_dataloader(self) -> int:
        return self._test

    def configure_columns(self, trainer: lightning.Trainer) -> list[ProgressColumn]:
        """What fits beside a name and two numbers into 80 columns."""
        return [TextColumn("{task.description}"), BarColumn(10), MofNCompleteColumn(), TimeRemainingColumn(compact=True)]

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if self.train_progress_bar_id is None:  # later epochs go on with the same bar
            super().on_train_epoch_start(trainer, pl_module)

    def _get_train_description(self, current_epoch: int) -> str:
        return self.name

    def get_metrics(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        return {name.rpartition("/")[2]: value for name, value in self.shown.items()}

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: STEP_OUTPUT,
        batch: object,
        batch_idx: int,
    ) -> None:
        if time.monotonic() - self._drawn_at > 0.1:  # seconds; drawing costs more than a small step
            self._drawn_at = time.monotonic()
            super().on_train_batch_end(trainer, pl_module, outputs, batch, self._done + trainer.global_step - 1)
