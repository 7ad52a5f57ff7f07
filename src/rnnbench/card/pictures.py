"""The gradient through time as pictures: of all models before training, and of the cell on each task after it."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping

from ..analysis.figures import POINT, Figure, Row, figure_bytes, figure_spec
from .fading import Fading

WIDE = 11.0  # centimetres
LEAST = 1e-8  # of the gradient at the last step: what is less is not drawn


def fading_picture(curves: Mapping[str, Fading]) -> bytes:
    """An SVG with a line for each of `curves`, by label; empty where there is nothing to draw."""
    rows: list[Row] = [
        {"label": label, "back": back, "value": share}
        for label, fading in curves.items()
        for back, share in enumerate(fading)
        if LEAST <= share < float("inf")
    ]
    if not rows:
        return b""
    title = "|∂L/∂h|, relative to the last step"
    figure = Figure(rows, "back", "value", "steps back from the last", title, log_y=True)
    return figure_bytes(figure_spec(figure, WIDE * POINT), ".svg")


def picture_html(curves: Mapping[str, Fading], caption: str) -> str:
    """The picture with its caption, in a page; empty where there is nothing to draw."""
    if not (drawn := fading_picture(curves)):
        return ""
    source = f"data:image/svg+xml;base64,{base64.b64encode(drawn).decode()}"
    words = html.escape(caption)
    return f'<figure><img src="{source}" alt="{words}"><figcaption>{words}</figcaption></figure>'
