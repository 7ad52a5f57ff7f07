"""TensorBoard: `tensorboard --logdir runs` shows the runs of a folder."""

from __future__ import annotations

import importlib.util
import io
import itertools
from typing import Any

from .layout import Presenter
from .tracker import Histogram, MirrorRow, NotSetUp, Picture, Run, Tracker, TrackerUnavailable, is_table, numbers_of

PLACE = "tensorboard"  # in a run's folder


class TensorboardTracker(Tracker):
    """TensorBoard's event files in `tensorboard/` of a run's folder; a restart replaces what earlier starts wrote there."""

    def __init__(self) -> None:
        if importlib.util.find_spec("tensorboard") is None:
            raise NotSetUp("tracker tensorboard needs its package: pip install 'rnnbench[tensorboard]'")
        self._writer: Any = None
        self._step = 0

    def start(self, run: Run) -> None:
        from torch.utils.tensorboard import SummaryWriter

        place = run.folder / PLACE
        if place.is_symlink():
            raise TrackerUnavailable(f"tracker tensorboard: {place} is a link: nothing behind it is deleted or written")
        for path in place.glob("events.out.tfevents.*"):
            path.unlink()
        self._writer = SummaryWriter(str(place))
        self._writer.add_text("settings", as_text(Presenter(run).config()))

    def row(self, values: MirrorRow) -> None:
        self._step = values["step"]
        for key, value in values.items():
            if isinstance(value, Picture):
                self._writer.add_image(key, as_array(value), self._step, dataformats="HWC")
            elif isinstance(value, Histogram):
                self._add_histogram(key, value)
            elif is_table(value):
                self._writer.add_text(key, as_markdown(value), self._step)
            elif key in numbers_of({key: value}) and key != "step":
                self._writer.add_scalar(key, value, self._step)
        self._writer.flush()

    def _add_histogram(self, key: str, value: Histogram) -> None:
        middles = [(a + b) / 2 for a, b in itertools.pairwise(value.edges)]
        mean = sum(share * middle for share, middle in zip(value.shares, middles, strict=True))
        squares = sum(share * middle**2 for share, middle in zip(value.shares, middles, strict=True))
        ends = {"min": value.edges[0], "max": value.edges[-1], "num": 1, "sum": mean, "sum_squares": squares}
        self._writer.add_histogram_raw(
            key, **ends, bucket_limits=list(value.edges[1:]), bucket_counts=list(value.shares), global_step=self._step
        )

    def finish(self, summary: MirrorRow, status: str) -> None:
        """Results that no row has stand at the last step."""
        shown = {key: value for key, value in summary.items() if not isinstance(value, Picture | Histogram | list)}
        self._writer.add_text("results", as_text({**shown, "status": status}), self._step)
        for key, value in numbers_of(shown).items():
            if key.startswith("test/") or ("/" not in key and key != "step"):
                self._writer.add_scalar(key if "/" in key else f"result/{key}", value, self._step)
        for key, value in summary.items():
            if isinstance(value, Picture):
                self._writer.add_image(key, as_array(value), self._step, dataformats="HWC")
        self._writer.close()


def as_text(values: Any) -> str:
    """Nested values as a block of YAML in Markdown."""
    import yaml

    return f"```\n{yaml.safe_dump(values, sort_keys=False, allow_unicode=True)}\n```"


def as_markdown(table: list[dict[str, Any]]) -> str:
    """Rows of texts as a Markdown table; a bar inside a text is escaped."""
    columns = list(table[0])
    rows = [columns, ["---"] * len(columns), *([str(row[column]) for column in columns] for row in table)]
    return "\n".join("| " + " | ".join(text.replace("|", "\\|").replace("\n", " ") for text in row) + " |" for row in rows)


def as_array(picture: Picture) -> Any:
    """The pixels of a picture: height, width, three colours."""
    import numpy
    from PIL import Image

    return numpy.asarray(Image.open(io.BytesIO(picture.draw())).convert("RGB"))
