"""Figures for a paper: all models of one task on one axis, as PDF, SVG or PNG, with their data as CSV.

Specifications of Vega-Lite, as in charts.py, and its colours and shapes. A model is told by its dash or its shape as well as by
its colour, so that a print in grey can be read. A PDF holds its fonts, and lines as lines.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..options import BadOption, amount
from ..store.log import LogRow
from ..store.record import canonical, write_atomically
from .charts import COLOURS, SCORES, SHAPES, STEPS, is_wide
from .curves import Curve, logged_series, mean_curve, read_log, thinned
from .drawing import drawable
from .formatting import format_number, natural_key
from .grouping import ModelResults, TaskResults
from .heatmaps import Spec, logged_gradients
from .intervals import summarize
from .render import cell_value

DASHES: tuple[list[int], ...] = ([], [6, 2], [2, 2], [8, 2, 2, 2], [4, 4], [10, 3], [1, 3])  # as many as colours
POINT = 72 / 2.54  # of a PDF, to a centimetre; a pixel of Vega is one
TALL = 0.72  # height of a figure, to its width
DOTS = 300  # of a PNG, to an inch
MARKERS = 5  # of a line
POINTS = 200  # of a line at most
ROOM = 45.0  # points beside the axes, as a first guess
SAMPLE, LETTER, LINE_HEIGHT = 26, 4.3, 12  # points: what stands for what
LINE: Spec = {"strokeWidth": 1.2}
MARKER: Spec = {"type": "point", "size": 24, "strokeWidth": 1, "opacity": 1}
OPEN = "#ffffff"  # within markers of every second round of shapes
SIZE = re.compile(r'width="([\d.]+)" height="([\d.]+)"')
Row = dict[str, str | float | int | None]


@dataclass(frozen=True)
class Figure:
    """What is drawn: rows of `label`, x, y and, where there are several seeds, low and high; titles and kinds of axes."""

    rows: list[Row]
    x: str
    y: str
    x_title: str
    y_title: str
    lines: bool = True  # else points
    step: bool = False  # lines go straight on until they change
    log_x: bool = False
    log_y: bool = False
    share: bool = False  # y is between 0 and 1
    floor: float | None = None
    floor_of: str = ""  # the split that the floor is of, where the figure shows another one
    unread: Sequence[str] = ()  # a line for each log that could not be read


# what is drawn


def learning_figure(blocks: Sequence[TaskResults]) -> Figure:
    """Validation score over training steps: the mean of the finished seeds, as far as all of them go, and their range."""
    block, unread = _only(blocks), list[str]()
    logs = _logs(block, unread)
    curves = {label: logged_series({label: seeds}, f"validation/{block.headline}") for label, seeds in logs.items()}
    rows = [row for label, seeds in curves.items() for row in _mean_rows(label, "step", list(seeds.values()))]
    values = [float(row["value"] or 0.0) for row in rows]
    floor = _needed(block.floor, rows)
    logarithmic = bool(rows) and is_wide([*values, *([] if floor is None else [floor])])
    title = f"validation {block.headline}{_unit(block)}"
    return Figure(
        rows, "step", "value", "training steps", title, log_y=logarithmic, floor=floor, floor_of="test", unread=unread
    )


def gradients_figure(blocks: Sequence[TaskResults]) -> Figure:
    """The gradient through time, ‖∂L/∂h_t‖ over t, of the last logged batch: geometric mean of seeds, and their range."""
    block, rows, unread = _only(blocks), list[Row](), list[str]()
    for label, seeds in _logs(block, unread).items():
        curves: list[Curve] = []
        for log in seeds.values():
            states = {name: norms for name, norms in logged_gradients(log).items() if name.endswith("/h")}
            if states:
                _, norms = next(iter(states.values()))[-1]
                curves.append([(t, norm) for t, norm in enumerate(norms, 1) if 0 < norm < math.inf])
        rows += _mean_rows(label, "step", [curve for curve in curves if curve], geometric=True)
    title = "|∂L/∂h|, first layer"
    return Figure(rows, "step", "value", "step t of the sequence", title, log_y=True, unread=unread)


def speed_figure(blocks: Sequence[TaskResults]) -> Figure:
    """Test score over training speed, a point a finished run."""
    block = _only(blocks)
    rows: list[Row] = [
        {"label": entry.label, "seed": run.config["seed"], "speed": pace, "value": block.score(run)}
        for entry in block.entries
        for run in entry.finished
        if run.record and (pace := run.record["speed"]["sequences_per_second"])
    ]
    return _scattered(block, rows, "speed", "training speed (sequences/s)")


def parameters_figure(blocks: Sequence[TaskResults]) -> Figure:
    """Test score over the number of parameters, with its 95 % interval."""
    block = _only(blocks)
    rows = [
        {**row, "parameters": entry.record["model"]["parameters"]}
        for entry in block.entries
        if entry.record
        for row in _estimate_rows(block, entry)
    ]
    return _scattered(block, rows, "parameters", "parameters")


def length_figure(blocks: Sequence[TaskResults]) -> Figure:
    """Test score over the length of sequences, with its 95 % interval: one task, in settings that differ in `length`, or in the
    one other number that they differ in."""
    names = {block.name for block in blocks}
    if len(names) > 1:
        raise BadOption(
            f"{amount(len(names), 'task')} there: {', '.join(sorted(names))}; one axis shows one: --task {min(names)}"
        )
    option = _differing(blocks)
    rows: list[Row] = []
    for block in blocks:
        rows += [{**row, option: block.options[option]} for entry in block.entries for row in _estimate_rows(block, entry)]
    rows.sort(key=lambda row: (natural_key(str(row["label"])), float(row[option] or 0)))
    values = [float(row["value"] or 0.0) for row in rows]
    title = f"test {blocks[0].headline}{_unit(blocks[0])}"
    wide = [float(row[option] or 0) for row in rows]
    return Figure(rows, option, "value", option.replace("_", " "), title, log_x=is_wide(wide, 8), log_y=is_wide(values))


def solved_figure(blocks: Sequence[TaskResults]) -> Figure:
    """The share of recorded seeds that have solved the task, by training steps."""
    block, rows = _only(blocks), list[Row]()
    for entry in block.entries:
        records = [record for record in entry.records if record["solved"] is not None]
        if not records:
            continue
        steps = sorted(record["solved_step"] for record in records if record["solved_step"] is not None)
        ends = max(record["steps"] for other in block.entries for record in other.records)
        points = [(0, 0), *((step, count) for count, step in enumerate(steps, 1)), (ends, len(steps))]
        rows += [
            {"label": entry.label, "step": step, "value": count / len(records), "solved": count, "of": len(records)}
            for step, count in points
        ]
    title = "share of seeds that solved it"
    return Figure(rows, "step", "value", "training steps", title, step=True, share=True)


KINDS: dict[str, Callable[[Sequence[TaskResults]], Figure]] = {
    "learning": learning_figure,
    "gradients": gradients_figure,
    "speed": speed_figure,
    "parameters": parameters_figure,
    "length": length_figure,
    "solved": solved_figure,
}
NEEDS = {  # what there has to be, where there is nothing to draw
    "learning": "the logs of finished runs in their folders",
    "gradients": "finished runs in their folders that logged train.instruments, of a model with a state h",
    "speed": "finished runs",
    "parameters": "finished runs",
    "length": "finished runs",
    "solved": "recorded runs of a task that can be solved",
}


def make_figure(kind: str, blocks: Sequence[TaskResults]) -> Figure:
    """The figure `kind` of these task settings; BadOption where there is nothing to draw, or more than one axis shows."""
    found = KINDS[kind](blocks)
    if not found.rows:
        why = f" ({found.unread[0]})" if found.unread else ""
        raise BadOption(f"figure {kind}: nothing to draw; it needs {NEEDS[kind]}{why}")
    return found


def _only(blocks: Sequence[TaskResults]) -> TaskResults:
    if len(blocks) > 1:
        labels = ", ".join(repr(block.label) for block in blocks)
        raise BadOption(f"{len(blocks)} task settings there: {labels}; one axis shows one: --task {blocks[0].label!r}")
    return blocks[0]


def _unit(block: TaskResults) -> str:
    return f" ({block.task['unit']})" if block.task and block.task["unit"] else ""


def _needed(floor: float | None, rows: Sequence[Row]) -> float | None:
    return floor if rows else None


def _logs(block: TaskResults, unread: list[str]) -> dict[str, dict[int, list[LogRow]]]:
    """The logs of the finished runs whose folder is there, by label and seed; what cannot be read is added to `unread`."""
    logs: dict[str, dict[int, list[LogRow]]] = {}
    for entry in block.entries:
        read = {run.config["seed"]: read_log(run, unread) for run in entry.finished if run.path.is_dir()}
        logs[entry.label] = {seed: rows for seed, rows in read.items() if rows}
    return logs


def _mean_rows(label: str, x: str, curves: Sequence[Curve], geometric: bool = False) -> list[Row]:
    """The mean of curves where all of them have a value, with the lowest and the highest of them."""
    by_place = [dict(curve) for curve in curves]
    mean = thinned(mean_curve(curves, geometric), POINTS)
    return [
        {
            "label": label,
            x: place,
            "value": value,
            "low": min(values[place] for values in by_place),
            "high": max(values[place] for values in by_place),
            "seeds": len(curves),
        }
        for place, value in mean
    ]


def _estimate_rows(block: TaskResults, entry: ModelResults) -> list[Row]:
    """The score of an entry with its interval; none where no run is finished."""
    if not entry.finished:
        return []
    found = summarize(block.scores(entry), block.headline, solved=block.solved(entry))
    about: Row = {"label": entry.label, "value": found.value, "low": found.low, "high": found.high}
    return [about | {"seeds": len(entry.finished), "estimator": found.estimator}]


def _scattered(block: TaskResults, rows: list[Row], x: str, title: str) -> Figure:
    floor = _needed(block.floor, rows)
    places = [float(row[x] or 0) for row in rows]
    values = [float(row["value"] or 0) for row in rows] + ([] if floor is None else [floor])
    wide = bool(rows) and is_wide(values)
    name = f"test {block.headline}{_unit(block)}"
    return Figure(rows, x, "value", title, name, lines=False, log_x=bool(rows) and is_wide(places, 8), log_y=wide, floor=floor)


def _differing(blocks: Sequence[TaskResults]) -> str:
    """The option in which the settings of one task differ."""
    keys = dict.fromkeys(key for block in blocks for key in block.options)
    numbers = [
        key
        for key in keys
        if len({canonical(block.options.get(key)) for block in blocks}) > 1
        and all(isinstance(block.options.get(key), int | float) for block in blocks)
    ]
    if "length" in numbers or len(numbers) == 1:
        return "length" if "length" in numbers else numbers[0]
    told = f"they differ in {', '.join(numbers)}" if numbers else "they differ in no number"
    there = "one task setting there" if len(blocks) == 1 else f"{len(blocks)} task settings there, {told}"
    raise BadOption(f"figure length: {there}; needed: runs that differ in one number, such as task.length=10,20")


# how it is drawn


def figure_spec(figure: Figure, width: float) -> Spec:
    """The specification of a figure that is `width` points wide, its axes and titles included."""
    inner = width - ROOM
    for _ in range(2):  # how wide an axis with its numbers is shows only when it is drawn
        inner += width - _drawn_width(_spec(figure, inner))
    return _spec(figure, inner)


def _drawn_width(spec: Spec) -> float:
    import vl_convert

    found = SIZE.search(vl_convert.vegalite_to_svg(spec, allowed_base_urls=[]))
    assert found
    return float(found[1])


def _spec(figure: Figure, inner: float) -> Spec:
    """The figure with axes that are `inner` points wide, and what stands for what below them."""
    labels = sorted({str(row["label"]) for row in figure.rows}, key=natural_key)
    looks = {
        "color": [COLOURS[number % len(COLOURS)] for number in range(len(labels))],
        "strokeDash": [DASHES[number % len(DASHES)] for number in range(len(labels))],
        "shape": [SHAPES[number % len(SHAPES)] for number in range(len(labels))],
        "fill": [OPEN if number // len(SHAPES) % 2 else COLOURS[number % len(COLOURS)] for number in range(len(labels))],
        "stroke": [COLOURS[number % len(COLOURS)] for number in range(len(labels))],
    }

    def by_label(*channels: str) -> Spec:
        return {
            channel: {
                "field": "label",
                "type": "nominal",
                "scale": {"domain": labels, "range": looks[channel]},
                "legend": None,
            }
            for channel in channels
        }

    place = {"zero": False, "nice": False, "padding": 0 if figure.lines else 8}
    x = {
        "field": figure.x,
        "type": "quantitative",
        "title": figure.x_title,
        "scale": {**place, "type": "log"} if figure.log_x else place,
        "axis": {**STEPS, "tickCount": 5, "grid": False},
    }
    scale: Spec = {"type": "log" if figure.log_y else "linear", "zero": False}
    y = {
        "field": figure.y,
        "type": "quantitative",
        "title": figure.y_title,
        "scale": scale | ({"domain": [0, 1]} if figure.share else {}),
        "axis": {**SCORES, "tickCount": 5, "grid": not figure.log_y, **({"format": ".0e"} if _is_tiny(figure) else {})},
    }
    plot = {
        "width": inner,
        "height": round(inner * TALL),
        "data": {"values": figure.rows},
        "layer": _layers(figure, x, y, by_label),
    }
    small = {"labelFontSize": 8, "titleFontSize": 8, "titleFontWeight": "normal"}
    spec = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "vconcat": [plot, _legend(labels, inner, figure.lines, by_label)],
        "spacing": 6,
        "padding": 2,
        "background": "white",
        "config": {
            "font": "Liberation Sans, Arial, Helvetica, sans-serif",
            "axis": {**small, "titlePadding": 4, "titleLimit": inner, "gridOpacity": 0.4, "labelOverlap": True},
            "view": {"stroke": "#888888"},
        },
    }
    return dict(drawable(spec))


def _layers(figure: Figure, x: Spec, y: Spec, by_label: Callable[..., Spec]) -> list[Spec]:
    several = any(row.get("low") is not None and row["low"] != row["high"] for row in figure.rows)
    layers: list[Spec] = []
    ends = {"y": {**y, "field": "low"}, "y2": {"field": "high"}}
    if several:
        mark = {"type": "area", "opacity": 0.14, "clip": True} if figure.lines else {"type": "rule", "strokeWidth": 1}
        layers.append({"mark": mark, "encoding": {"x": x, **ends, **by_label("color")}})
    if figure.lines:
        line = {**LINE, "type": "line", "clip": True, **({"interpolate": "step-after"} if figure.step else {})}
        layers.append({"mark": line, "encoding": {"x": x, "y": y, **by_label("color", "strokeDash")}})
    layers.append(
        {
            "data": {"values": _marked(figure)},
            "mark": MARKER,
            "encoding": {"x": x, "y": y, **by_label("fill", "stroke", "shape")},
        }
    )
    if figure.floor is not None:
        rule = {"data": {"values": [{"floor": figure.floor}]}}
        place = {"y": {"field": "floor", "type": "quantitative"}}
        layers.append({**rule, "mark": {"type": "rule", "stroke": "#444444", "strokeWidth": 0.7}, "encoding": place})
        word = {"type": "text", "align": "right", "baseline": "bottom", "dx": -2, "dy": -2, "fontSize": 7, "fill": "#444444"}
        text = {"text": {"value": f"{figure.floor_of} floor {format_number(figure.floor)}".strip()}, "x": {"value": "width"}}
        halo = {**word, "stroke": "#ffffff", "strokeWidth": 3}  # lines behind it stay off the letters
        layers += [{**rule, "mark": mark, "encoding": {**place, **text}} for mark in (halo, word)]
    return layers


def _legend(labels: Sequence[str], inner: float, lines: bool, by_label: Callable[..., Spec]) -> Spec:
    """A sample of each label's line with its marker, and its name, in as many columns as there is room for."""
    columns = max(1, min(len(labels), int(inner / (SAMPLE + 8 + LETTER * max(map(len, labels))))))
    rows = [
        {"label": label, "from": left, "middle": left + SAMPLE / 2, "to": left + SAMPLE, "word": left + SAMPLE + 4, "y": top}
        for number, label in enumerate(labels)
        for left, top in [(number % columns * inner / columns, 6 + LINE_HEIGHT * (number // columns))]
    ]

    def at(field: str) -> Spec:
        return {"field": field, "type": "quantitative", "scale": None, "axis": None}

    y = {"y": at("y")}
    sample = {"mark": {**LINE, "type": "rule"}, "encoding": {"x": at("from"), "x2": {"field": "to"}, **y}}
    sample["encoding"] |= by_label("color", "strokeDash")
    word = {"type": "text", "align": "left", "baseline": "middle", "fontSize": 8, "limit": inner / columns - SAMPLE - 6}
    return {
        "width": inner,
        "height": LINE_HEIGHT * -(-len(labels) // columns),
        "view": {"stroke": None},
        "data": {"values": rows},
        "layer": [
            *([sample] if lines else []),
            {"mark": MARKER, "encoding": {"x": at("middle"), **y, **by_label("fill", "stroke", "shape")}},
            {"mark": word, "encoding": {"x": at("word"), **y, "text": {"field": "label"}}},
        ],
    }


def _marked(figure: Figure) -> list[Row]:
    """The rows that bear a marker: all points; of a line a few, at other places than those of the next line."""
    if not figure.lines:
        return figure.rows
    by_label: dict[str, list[Row]] = {}
    for row in figure.rows:
        by_label.setdefault(str(row["label"]), []).append(row)
    found = []
    for number, rows in enumerate(by_label.values()):
        every = max(1, len(rows) // MARKERS)
        found += rows[min(len(rows) - 1, number * every // len(by_label)) :: every]
    return found


def _is_tiny(figure: Figure) -> bool:
    return figure.log_y and min(float(row["value"] or 1) for row in figure.rows) < 1e-3


# files


def figure_bytes(spec: Spec, suffix: str) -> bytes:
    """The figure as `.pdf`, `.svg` or `.png`; nothing is asked of the network."""
    import vl_convert

    if suffix == ".pdf":
        return bytes(vl_convert.vegalite_to_pdf(spec, allowed_base_urls=[]))
    if suffix == ".png":
        return bytes(vl_convert.vegalite_to_png(spec, ppi=DOTS, allowed_base_urls=[]))
    text = str(vl_convert.vegalite_to_svg(spec, allowed_base_urls=[]))
    return SIZE.sub(r'width="\1pt" height="\2pt"', text, count=1).encode()  # as wide on paper as it says


def figure_csv(rows: Iterable[Row]) -> bytes:
    """The data of a figure, a row a point."""
    rows, file = list(rows), io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([cell_value(row.get(name)) for name in names] for row in rows)
    return file.getvalue().encode("utf-8", "backslashreplace")


def save_figure(figure: Figure, output: Path, width: float) -> list[Path]:
    """Draws to `output`, `width` centimetres wide, and writes the data to that name with .csv added; the paths."""
    data = figure_bytes(figure_spec(figure, width * POINT), output.suffix)
    table = output.with_name(f"{output.name}.csv")  # x.csv may be the user's
    write_atomically(output, data)
    write_atomically(table, figure_csv(figure.rows))
    return [output, table]
