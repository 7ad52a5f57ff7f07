"""Pictures of the gradient through time: ‖∂L/∂state_t‖ over t, and over the steps of training as a heat map.

Specifications of Vega-Lite in words and numbers, drawn from logged rows alone. The scale is logarithmic; its colours
(viridis: van der Walt & Smith 2015) grow evenly in lightness, so that no colour blindness hides them. What is 0, or more than
8 decades below the largest, has the darkest.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..store.log import LogRow
from ..store.record import write_atomically
from .drawing import chart_page, drawable

Spec = dict[str, Any]  # of Vega-Lite
Norms = list[float]  # of steps 1, 2, ...
Rows = list[tuple[int, Norms]]  # (training step, its norms), in order
DECADES = 8  # of the scale at most
TALL, LONG = 50, 80  # cells of a heat map at most: logged rows, and steps of the sequence
LABELS = 5  # of the colour bar at most
SUBTITLE = [
    "Curves: {loss}, first validation rows, before training and with the weights that validation chose.",
    "Heat maps: the batches that were logged in training. 2-norm over rows and units; logarithmic scales, the same throughout.",
]
TICKS = {"labelExpr": "format(datum.value, '~s')", "tickCount": 5, "grid": False}  # 200, 1k
COLOURS = {"at initialisation": "#d55e00", "after training": "#0072b2"}  # Okabe & Ito 2008
MeasuredGradients = tuple[
    Mapping[str, Mapping[str, Norms]], Mapping[str, Rows]
]  # curves by moment and state, logged rows by state


def logged_gradients(log: Iterable[LogRow]) -> dict[str, Rows]:
    """The norms that a run's log holds, by state: `core.0.0/h`, layer 0 in direction 0 of the core."""
    found: dict[str, Rows] = {}
    for row in log:
        for name, norms in row.items():
            if name.startswith("train/state_gradient/"):
                finite = [math.nan if norm is None else norm for norm in norms]
                found.setdefault(name.removeprefix("train/state_gradient/"), []).append((row["step"], finite))
    return found


def shared_scale(every: Iterable[Iterable[float]]) -> tuple[float, float]:
    """(lowest, highest) logarithm that is shown of several lists of norms: whole, and without a hundredth at either end."""
    logs = sorted(math.log10(norm) for norms in every for norm in norms if 0 < norm < math.inf)
    if not logs:
        return -1.0, 0.0
    high = math.ceil(logs[int(0.99 * (len(logs) - 1))])
    return float(max(math.floor(logs[int(0.01 * (len(logs) - 1))]), high - DECADES)), float(high)


def heat_map(rows: Rows, low: float, high: float) -> Spec:
    """A heat map: steps of the sequence to the right, training steps upward, logarithms of norms as colours."""
    kept = [rows[-1 - (len(rows) - 1) * k // max(1, TALL - 1)] for k in range(TALL)] if len(rows) > TALL else rows[::-1]
    cells, before = [], 0
    for step, norms in reversed(kept):
        edges = [len(norms) * k // min(LONG, len(norms)) for k in range(min(LONG, len(norms)) + 1)]
        shown = [min(max(_mean_log(norms[a:b], low), low), high) for a, b in itertools.pairwise(edges)]
        cells.append({"from": before, "to": step, "a": edges[:-1], "b": edges[1:], "v": [round(v, 2) for v in shown]})
        before = step
    colour = {
        "field": "v",
        "type": "quantitative",
        "scale": {"scheme": "viridis", "domain": [low, high]},
        "legend": {"type": "gradient", "title": "log10 of the norm", "values": whole_ticks(low, high), "format": ".0f"},
    }
    return {
        "data": {"values": cells},
        "transform": [{"flatten": ["a", "b", "v"]}],
        "mark": {"type": "rect", "x2Offset": 0.6, "y2Offset": -0.6},  # pixels that close the seams between cells
        "encoding": {
            "x": {**_steps("a", "step t of the sequence"), "scale": {"nice": False, "domainMin": 0}},
            "x2": {"field": "b"},
            "y": {**_steps("from", "training step"), "scale": {"nice": False}},
            "y2": {"field": "to"},
            "color": colour,
            "tooltip": [
                {"field": "b", "title": "t"},
                {"field": "to", "title": "training step"},
                {"field": "v", "title": "log10"},
            ],
        },
    }


def whole_ticks(low: float, high: float) -> list[int]:
    """Whole numbers from `low` to `high`, equally far apart, at most LABELS of them."""
    apart = math.ceil((high - low) / (LABELS - 1)) or 1
    return list(range(math.ceil(low), math.floor(high) + 1, apart))


def _steps(field: str, title: str) -> Spec:
    return {"field": field, "type": "quantitative", "title": title, "axis": TICKS}


def _mean_log(norms: Sequence[float], low: float) -> float:
    """Of the norms in one cell; `low` stands for 0."""
    return sum(math.log10(norm) if 0 < norm < math.inf else low for norm in norms) / len(norms)


def gradient_picture(runs: Mapping[str, MeasuredGradients], loss: str = "the loss as trained on") -> Spec:
    """A row of charts for each layer and direction of each run: curves at initialisation and after training, and heat maps of
    h, and of c where there is one, as training went.

    `runs` holds what was measured, by title; `loss` says of what loss the curves are.
    """
    every = [norms for curves, _ in runs.values() for states in curves.values() for norms in states.values()]
    low, high = shared_scale([*every, *(norms for _, log in runs.values() for rows in log.values() for _, norms in rows)])
    apart = {"scale": dict.fromkeys(("color", "strokeDash"), "independent")}  # else legends move to the edge
    rows: list[Spec] = []
    for title, (curves, log) in runs.items():
        places = list(dict.fromkeys(name.rpartition("/")[0] for states in curves.values() for name in states))
        for place in places:
            maps = [(name, log[f"{place}/{name}"]) for name in "hc" if f"{place}/{name}" in log]
            here = title if len(places) == 1 else f"{title}, {place}"
            charts = [{"title": here, "width": 280, "height": 150, **_curves(curves, place, low, high, legend=not rows)}]
            for name, of_state in maps:
                drawn = heat_map(of_state, low, high)
                if rows or name != maps[-1][0]:  # one legend for all
                    drawn["encoding"]["color"]["legend"] = None
                charts.append({"title": f"{name}, as training went", "width": 250, "height": 150, **drawn})
            rows.append({"hconcat": charts, "spacing": 24, "resolve": apart})
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "title": {
            "text": "Gradient of the loss with respect to the state after each step",
            "subtitle": [line.format(loss=loss) for line in SUBTITLE],
            "anchor": "start",
        },
        "vconcat": rows,
        "resolve": apart,
        "spacing": 18,
        "background": "white",
        "config": {
            "font": "sans-serif",
            "title": {"fontSize": 12, "anchor": "start"},
            "axis": {"labelFontSize": 10, "titleFontSize": 10, "titleFontWeight": "normal", "gridOpacity": 0.5},
            "legend": {"labelFontSize": 10, "titleFontSize": 10, "titleFontWeight": "normal", "gradientLength": 110},
            "view": {"stroke": "#cccccc"},
        },
    }


def _curves(curves: Mapping[str, Mapping[str, Norms]], place: str, low: float, high: float, legend: bool) -> Spec:
    values = [
        {"t": t, "norm": norm, "moment": moment, "state": name.rpartition("/")[2]}
        for moment, states in curves.items()
        for name, norms in states.items()
        if name.rpartition("/")[0] == place
        for t, norm in enumerate(norms, 1)
        if 0 < norm < math.inf
    ]
    named = {"title": None, "orient": "bottom"} if legend else None
    moments = {"domain": list(COLOURS), "range": list(COLOURS.values())}
    dashes = {"domain": ["h", "c"], "range": [[1, 0], [4, 3]]}
    return {
        "data": {"values": values},
        "mark": {"type": "line", "strokeWidth": 1.8, "clip": True},
        "encoding": {
            "x": {**_steps("t", "step t of the sequence"), "scale": {"nice": False, "domainMin": 0}},
            "y": {
                "field": "norm",
                "type": "quantitative",
                "title": "‖∂L/∂state‖",
                "scale": {"type": "log", "domain": [10**low, 10**high]},
                "axis": {"format": ".0e", "values": [10**k for k in range(int(low), int(high) + 1, 2)]},
            },
            "color": {"field": "moment", "type": "nominal", "scale": moments, "legend": named},
            "strokeDash": {"field": "state", "type": "nominal", "scale": dashes, "legend": named},
        },
    }


def save_picture(spec: Spec, output: Path) -> None:
    """Draws to a .png, .svg or .html file, whole or not at all; nothing is asked of the network."""
    import vl_convert

    if output.suffix == ".png":
        data = vl_convert.vegalite_to_png(drawable(spec), scale=2, allowed_base_urls=[])
    elif output.suffix == ".svg":
        data = vl_convert.vegalite_to_svg(drawable(spec), allowed_base_urls=[]).encode()
    else:
        data = chart_page(spec, "Gradient through time").encode()
    write_atomically(output, data)
