"""Tables, pictures, charts and histograms as W&B takes them."""

from __future__ import annotations

import io
from typing import Any

from .tracker import ConfusionPicture, Histogram, Picture, is_table

CONFUSION_CHART, CONFUSION_COLUMNS = "wandb/confusion_matrix/v1", ("Actual", "Predicted", "nPredictions")  # W&B's own names


def is_media(value: object) -> bool:
    """Whether W&B makes a file of `value`."""
    return is_table(value) or isinstance(value, Picture | Histogram)


def as_media(value: Any) -> Any:
    """A value as one of the dashboard's; numbers and texts as they are."""
    if not is_media(value):
        return value
    import wandb

    if isinstance(value, ConfusionPicture):
        return _confusion_chart(wandb, value)
    if isinstance(value, Picture):
        from PIL import Image

        return wandb.Image(Image.open(io.BytesIO(value.draw())), caption=value.caption)
    if isinstance(value, Histogram):
        import numpy

        return wandb.Histogram(np_histogram=(numpy.array(value.shares), numpy.array(value.edges)))
    columns = list(value[0])
    return wandb.Table(columns=columns, data=[[row[column] for column in columns] for row in value])


def _confusion_chart(wandb: Any, matrix: ConfusionPicture) -> Any:
    """The chart that `wandb.plot.confusion_matrix` makes, from counts instead of single answers."""
    rows = [
        [right, answered, count]
        for right, row in zip(matrix.classes, matrix.counts, strict=True)
        for answered, count in zip(matrix.classes, row, strict=True)
    ]
    table = wandb.Table(columns=list(CONFUSION_COLUMNS), data=rows)
    fields = {column: column for column in CONFUSION_COLUMNS}
    return wandb.plot_table(CONFUSION_CHART, table, fields, {"title": matrix.caption})
