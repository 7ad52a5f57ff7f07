"""The gradient through time as a picture: ‖∂L/∂state_t‖ by step of the sequence and step of training, drawn by Pillow.

The same map as that of `rnnbench gradients`, in milliseconds instead of a second. Colours are viridis (van der Walt & Smith
2015), which grow evenly in lightness; their scale is logarithmic and goes 8 decades below the largest.
"""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from .columns import readable
from .tracker import Picture

DECADES = 8
TALL, LONG = 50, 80  # cells at most: logged rows, and steps of the sequence
CELLS = (320, 150)  # pixels of one map
LEFT, TOP, GAP = 70, 24, 34  # pixels around it
VIRIDIS = ("440154", "482878", "3e4a89", "31688e", "26828e", "1f9e89", "35b779", "6dcd59", "b4de2c", "fde725")
STATE = "train/state_gradient/"
KEY = "gradient/through_time"


class GradientMap:
    """Gathers gradients through time from rows of a log, and gives a picture of them at each quarter of training."""

    def __init__(self, steps: int, two_forward: bool = False):
        self._steps, self._two_forward = steps, two_forward
        self._every = 1  # of the logged rows, one in so many is kept
        self._seen = 0
        self._quarter = 0
        self._drawn = 0  # rows in the last picture
        self._kept: list[tuple[int, dict[str, list[float]]]] = []  # (training step, logarithms by state)
        self._long = 0  # steps of the sequence

    def add(self, row: Mapping[str, Any]) -> Picture | None:
        """Takes a row; a picture where it completes a quarter of training."""
        norms = {name: values for name, values in row.items() if name.startswith(STATE) and values}
        if norms:
            if self._seen % self._every == 0:
                self._kept.append((row["step"], {name: _cells(values) for name, values in norms.items()}))
                self._long = max(self._long, *map(len, norms.values()))
            self._seen += 1
        if len(self._kept) > 2 * TALL:
            self._kept, self._every, self._drawn = self._kept[::2], 2 * self._every, self._drawn // 2
        quarter = 4 * row["step"] // self._steps
        if quarter <= self._quarter:
            return None
        self._quarter = quarter
        self._drawn = len(self._kept)
        return self.picture()

    def last_picture(self) -> Picture | None:
        """Of all rows; None where the last quarter's shows them."""
        return self.picture() if self._drawn < len(self._kept) else None

    def picture(self) -> Picture | None:
        """All rows so far; None where they hold no gradient through time."""
        if not self._kept:
            return None
        kept, long = list(self._kept), self._long
        caption = f"log10 of the gradient of the loss by the state, until training step {kept[-1][0]}"
        return Picture(lambda: draw_maps(kept, long, self._two_forward), caption)


def _cells(norms: Sequence[float | None]) -> list[float]:
    """Mean logarithms of the norms in at most LONG cells; -inf stands for 0."""
    count = min(LONG, len(norms))
    edges = [len(norms) * k // count for k in range(count + 1)]
    logs = [math.log10(norm) if norm and 0 < norm < math.inf else -math.inf for norm in norms]
    return [sum(logs[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]


def draw_maps(kept: Sequence[tuple[int, Mapping[str, list[float]]]], long: int, two_forward: bool = False) -> bytes:
    """A PNG with a map for each state, two beside each other; the scale is that of all of them."""
    from PIL import Image, ImageDraw

    names = list(dict.fromkeys(name for _, states in kept for name in states))
    finite = [value for _, states in kept for values in states.values() for value in values if value > -math.inf]
    high = math.ceil(max(finite, default=0.0))
    low = max(math.floor(min(finite, default=-1.0)), high - DECADES)
    wide, tall = CELLS
    columns = min(2, len(names))
    size = (columns * (LEFT + wide) + LEFT, -(-len(names) // columns) * (TOP + tall + GAP))
    image = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(image)
    for number, name in enumerate(names):
        x, y = LEFT + number % columns * (LEFT + wide), TOP + number // columns * (TOP + tall + GAP)
        rows = [(step, states[name]) for step, states in kept if name in states]
        map_ = Image.new("RGB", (len(rows[-1][1]), len(rows)))
        colours = [colour(value, low, high) for _, row in reversed(rows) for value in _as_long(row, len(rows[-1][1]))]
        map_.putdata(colours)
        image.paste(map_.resize(CELLS, Image.Resampling.NEAREST), (x, y))
        pen.text((x, y - 16), readable(name.removeprefix(STATE), two_forward), "black")
        pen.text((x, y + tall + 4), "step 1", "black")
        pen.text((x + wide, y + tall + 4), str(long), "black", anchor="ra")
        pen.text((x - 6, y), f"{rows[-1][0]:,}", "black", anchor="ra")
        pen.text((x - 6, y + tall), f"{rows[0][0]:,}", "black", anchor="rd")
    _draw_scale(pen, size[0] - LEFT + 16, low, high)
    output = io.BytesIO()
    image.save(output, "PNG")
    return output.getvalue()


def _as_long(row: list[float], count: int) -> list[float]:
    """`row` stretched to `count` cells: sequences of another batch may be shorter."""
    return [row[k * len(row) // count] for k in range(count)]


def _draw_scale(pen: Any, x: int, low: int, high: int) -> None:
    """The colours from `high` at the top to `low`, with their decades."""
    tall = CELLS[1]
    for y in range(tall):
        pen.line((x, TOP + y, x + 10, TOP + y), colour(high - (high - low) * y / (tall - 1), low, high))
    pen.text((x + 14, TOP - 4), f"1e{high}", "black")
    pen.text((x + 14, TOP + tall - 8), f"1e{low}", "black")


def colour(value: float, low: int, high: int) -> tuple[int, int, int]:
    """Of the logarithm `value` on the scale from `low` to `high`."""
    place = min(max((value - low) / max(high - low, 1), 0.0), 1.0) * (len(VIRIDIS) - 1)
    first = min(int(place), len(VIRIDIS) - 2)
    share = place - first
    ends = (bytes.fromhex(VIRIDIS[first]), bytes.fromhex(VIRIDIS[first + 1]))
    red, green, blue = (round(a + share * (b - a)) for a, b in zip(*ends, strict=True))
    return red, green, blue
