"""The charts of a report, as Vega-Lite specifications: learning curves, gradient norms, speed against score, gradients.

A label has one colour (and, past the palette, one dash) on every chart.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

from .curves import Curve, Logs, logged_series, mean_curve, packed_curve, short_number
from .grouping import TaskResults
from .heatmaps import Rows, Spec, heat_map, logged_gradients, shared_scale

# Okabe & Ito 2008 less black and yellow, told apart under every common colour blindness, on white and on black.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c8c8c")
DASHES: tuple[list[int], ...] = ([1, 0], [6, 3], [2, 2])
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")  # one fewer than colours: pairs repeat late
THIN = 400  # lines of single seeds on a chart, or one of each label where there are more labels
WIDE = 50  # a largest value this many times the smallest asks for a logarithmic axis
STEPS = {"labelExpr": "format(datum.value, '~s')", "tickCount": 6}  # 500, 1k, 1.5k
SCORES = {"format": "~g", "tickCount": 6}


class Styles:
    """Which colour, dash and shape a label has, on every chart of the page."""

    def __init__(self, labels: Sequence[str]):
        dashes = [dash for dash in DASHES for _ in COLOURS]
        looks = zip(itertools.cycle(COLOURS), itertools.cycle(dashes), itertools.cycle(SHAPES))
        self.of = dict(zip(labels, looks, strict=False))  # looks are endless

    def encoding(self, labels: Sequence[str], *channels: str) -> Spec:
        """The encoding of some channels by label; no legend, since the page has its own."""
        place = {"color": 0, "strokeDash": 1, "shape": 2}
        return {
            channel: {
                "field": "label",
                "type": "nominal",
                "scale": {"domain": list(labels), "range": [self.of[label][place[channel]] for label in labels]},
                "legend": None,
            }
            for channel in channels
        }

    def mark(self, label: str) -> str:
        """A sample of the label's line, as SVG."""
        colour, dash, _ = self.of[label]
        dashes = f' stroke-dasharray="{dash[0]} {dash[1]}"' if dash[1] else ""
        line = f'<line x1="0" y1="5" x2="18" y2="5" stroke="{colour}" stroke-width="3"{dashes}/>'
        return f'<svg class="mark" width="18" height="10" aria-hidden="true">{line}</svg>'


def task_charts(block: TaskResults, logs: Logs, styles: Styles) -> list[Spec]:
    """The charts of one block that have something to show: title, a line that explains it, specification."""
    if block.task is None:
        return []
    name = block.headline
    unit = f", {block.task['unit']}" if block.task["unit"] else ""
    better, corner = ("lower", "bottom") if block.lower_is_better else ("higher", "top")
    score = f"{name} ({better} is better{unit})"
    thin = max(1, THIN // max(1, len(block.entries)))  # of each label
    learning = _curves(block, logged_series(logs, f"validation/{name}"), styles, f"validation {score}", thin)
    gradient = _curves(block, logged_series(logs, "train/gradient_norm"), styles, "gradient norm", thin, geometric=True)
    seeds = (
        "each seed"
        if all(len(log) <= thin for log in logs.values())
        else f"the {'lowest seed' if thin == 1 else f'{thin} lowest seeds'} of each"
    )
    found = (
        (
            "Learning",
            f"Validation {name}. Thick: mean of the finished seeds, as far as all of them go; thin: {seeds}.",
            learning,
        ),
        ("Gradient norm", f"Before clipping. Thick: geometric mean of seeds; thin: {seeds}.", gradient),
        (
            "Speed against score",
            f"One point a finished run, scored on test. Better and faster: {corner} right.",
            _speed_against_score(block, styles, f"test {score}"),
        ),
    )
    drawn = [
        {"title": title, "says": says, "renderer": "svg", "spec": {"description": f"{title}, {block.label}", "layer": layers}}
        for title, says, layers in found
        if layers
    ]
    return drawn + _through_time(block, logs)


def _through_time(block: TaskResults, logs: Logs) -> list[Spec]:
    """A heat map of ‖∂L/∂state_t‖ for each label, layer, direction and state, of the lowest seed that logged one."""
    found: dict[tuple[str, int, str], Rows] = {}
    for label, seeds in logs.items():
        for seed, log in sorted(seeds.items()):
            if states := logged_gradients(log):
                found |= {(label, seed, state): norms for state, norms in states.items()}
                break
    low, high = shared_scale(norms for rows in found.values() for _, norms in rows)
    drawn = []
    for (label, seed, state), rows in found.items():
        place, _, name = state.rpartition("/")
        drawn.append(
            {
                "title": f"Gradient through time: {label}, {name}",
                "says": f"‖∂L/∂{name}_t‖ of the logged batches; {place}, seed {seed}. Darkest: 1e{low:.0f} or less.",
                "renderer": "canvas",  # thousands of cells
                "spec": {"description": f"Gradient through time, {label}, {state}", **heat_map(rows, low, high)},
            }
        )
    return drawn


def _curves(
    block: TaskResults, curves: Mapping[tuple[str, int], Curve], styles: Styles, axis: str, most: int, geometric: bool = False
) -> list[Spec]:
    """Layers: thin lines under the mean line of each label, with the floor; no floor where `geometric`.

    There is a thin line for each seed of a label, of the `most` lowest at most.
    """
    if geometric:
        positive = {key: [point for point in curve if point[1] > 0] for key, curve in curves.items()}
        curves = {key: curve for key, curve in positive.items() if curve}
    if not curves:
        return []
    floor = None if geometric or block.task is None else block.task["floor"]
    values = [value for curve in curves.values() for _, value in curve] + ([] if floor is None else [floor])
    logarithmic = geometric or is_wide(values)
    means = {}
    for entry in block.entries:
        finished = [(entry.label, run.config["seed"]) for run in entry.finished]
        if mean := mean_curve([curves[key] for key in finished if key in curves], geometric):
            means[entry.label] = mean
    labels = list(dict.fromkeys(label for label, _ in curves))
    lowest = {own: sorted(seed for label, seed in curves if label == own)[:most] for own in labels}
    curves = {(own, seed): curve for (own, seed), curve in curves.items() if seed in lowest[own]}
    x = {
        "field": "step",
        "type": "quantitative",
        "title": "training steps",
        "axis": STEPS,
        "scale": {"zero": True, "nice": False},
    }
    y = {
        "field": "value",
        "type": "quantitative",
        "title": axis,
        "scale": {"type": "log" if logarithmic else "linear", "zero": False, "nice": not logarithmic},
        "axis": SCORES,
    }
    line = styles.encoding(labels, "color", "strokeDash")
    tooltip = [{"field": "label", "title": "model"}]
    thin: list[Spec] = [
        {"label": own, "seed": seed, **packed_curve(curve, len(curves))} for (own, seed), curve in curves.items()
    ]
    thick: list[Spec] = [{"label": label, **packed_curve(curve, len(means))} for label, curve in means.items()]
    layers: list[Spec] = []
    for style, series, detail in (("seed", thin, ["seed"]), ("mean", thick, [])):
        if series:
            few = max(len(one["step"]) for one in series) < 3  # a line of one point is not seen
            layers.append(
                {
                    "data": {"values": series},
                    "transform": [{"flatten": ["step", "value"]}],
                    "mark": {"type": "line", "style": style, **({"point": {"filled": True, "size": 40}} if few else {})},
                    "encoding": {
                        "x": x,
                        "y": y,
                        **line,
                        **({"detail": {"field": "seed"}} if detail else {}),
                        "tooltip": tooltip + [{"field": field} for field in detail],
                    },
                }
            )
    layers[0]["mark"]["opacity"] = max(0.12, min(0.6, 8 / len(curves)))
    return layers + _floor(floor, block.lower_is_better)


def _speed_against_score(block: TaskResults, styles: Styles, axis: str) -> list[Spec]:
    """Layers: one point a finished run, and the floor."""
    points: list[Spec] = []
    for entry in block.entries:
        there = [
            (run.config["seed"], short_number(block.score(run) or 0.0), short_number(speed))
            for run in entry.finished
            if run.record and (speed := run.record["speed"]["sequences_per_second"])
        ]
        if there:
            seeds, scores, speeds = map(list, zip(*there, strict=True))
            points.append({"label": entry.label, "seed": seeds, "score": scores, "speed": speeds})
    if not points:
        return []
    labels = [str(one["label"]) for one in points]
    floor = block.task["floor"] if block.task else None
    all_speeds, all_scores = ([value for one in points for value in one[field]] for field in ("speed", "score"))
    scales = {
        "speed": "log" if is_wide(all_speeds, 8) else "linear",
        "score": "log" if is_wide(all_scores + ([] if floor is None else [floor])) else "linear",
    }
    encoding = {
        channel: {
            "field": field,
            "type": "quantitative",
            "title": title,
            "scale": {"type": scales[field], "zero": False, "nice": scales[field] == "linear", "padding": 12},
            "axis": STEPS if field == "speed" else SCORES,
        }
        for channel, field, title in (("x", "speed", "training speed (sequences/s)"), ("y", "score", axis))
    }
    tooltip = [{"field": "label", "title": "model"}, {"field": "seed"}, {"field": "score", "title": block.headline}]
    layer = {
        "data": {"values": points},
        "transform": [{"flatten": ["seed", "score", "speed"]}],
        "mark": {"type": "point", "filled": True, "size": 80, "opacity": 0.85},
        "encoding": {
            **encoding,
            **styles.encoding(labels, "color", "shape"),
            "tooltip": [*tooltip, {"field": "speed", "title": "sequences/s"}],
        },
    }
    return [layer, *_floor(floor, block.lower_is_better)]


def _floor(floor: float | None, lower_is_better: bool) -> list[Spec]:
    """A dashed rule with its word, on the side where no curve begins."""
    if floor is None:
        return []
    data = {"values": [{"floor": floor}]}
    y = {"y": {"field": "floor", "type": "quantitative"}}
    words = {"text": {"value": f"floor {floor:.3g}"}, "x": {"value": 0}}
    return [
        {"data": data, "mark": {"type": "rule", "style": "floor"}, "encoding": y},
        {
            "data": data,
            "mark": {"type": "text", "style": "floor-word", "dy": 9 if lower_is_better else -7},
            "encoding": {**y, **words},
        },
    ]


def is_wide(values: Iterable[float], ratio: float = WIDE) -> bool:
    """Whether the values are all positive, and the largest is more than `ratio` times the smallest."""
    values = list(values)
    return min(values) > 0 and max(values) / min(values) > ratio
