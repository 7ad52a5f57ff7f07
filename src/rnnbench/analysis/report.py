"""The report: one HTML page that opens with no network, from records and logs alone.

A section a task setting: its table, learning curves, gradient norms, speed against score, gradients through time. Charts
are Vega-Lite specifications in words and numbers; the scripts that draw them stand in the page once. A model has one
colour (and, past the palette, one dash) throughout. Nothing of the machine's names or folders reaches the page.
"""

from __future__ import annotations

import functools
import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from statistics import fmean, geometric_mean
from typing import Any

from ..store.find import FoundRun
from ..store.record import write_atomically
from ..store.run_folder import RunFolder
from .comparison import tabulate
from .formatting import format_duration, option_text
from .grouping import ModelResults, TaskResults, flatten_options, group_runs
from .heatmaps import Rows, heat_map, logged_gradients, shared_scale
from .render import to_html
from .table import legend

# Okabe & Ito 2008 less black and yellow, told apart under every common colour blindness, on white and on black.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c8c8c")
DASHES: tuple[list[int], ...] = ([1, 0], [6, 3], [2, 2])
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")  # one fewer than colours: pairs repeat late
POINTS = 300  # of one curve at most
BUDGET = 12_000  # points of one chart, shared by its thin lines; as many again for its thick ones
WIDE = 50  # a largest value this many times the smallest asks for a logarithmic axis
STEPS = {"labelExpr": "format(datum.value, '~s')", "tickCount": 6}  # 500, 1k, 1.5k
SCORES = {"format": "~g", "tickCount": 6}
Curve = list[tuple[float, float]]


def write_report(stored: Iterable[FoundRun], complaints: Iterable[str], output: Path) -> Path:
    """Writes the page to `output`, whole or not at all, and returns the path. Raises entries.NoRuns, OSError."""
    write_atomically(output, report_page(stored, complaints).encode())
    return output


def report_page(stored: Iterable[FoundRun], complaints: Iterable[str]) -> str:
    """The page's HTML."""
    from jinja2 import Environment, StrictUndefined

    found, refusals = group_runs(stored, complaints)
    styles = Styles(sorted({entry.label for block in found for entry in block.entries}))
    sections: list[dict[str, Any]] = []
    unread: list[str] = []
    for number, block in enumerate(found, start=1):
        table = tabulate(block)
        logs = {entry.label: {run.config["seed"]: _log(run, unread) for run in _runs(entry)} for entry in block.entries}
        marks = {row[0].text: styles.mark(row[0].text) for row in table.rows}
        sections.append(
            {
                "anchor": f"task-{number}",
                "table": table,
                "html": to_html(table, marks),
                "marks": marks,
                "charts": task_charts(block, logs, styles),
                "written": written_samples(logs),
            }
        )
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["share"] = shared_text
    return environment.from_string(files("rnnbench.analysis").joinpath("report.html.j2").read_text(encoding="utf-8")).render(
        sections=sections,
        summary=report_summary(found),
        notes=legend(section["table"] for section in sections),
        refusals=[shared_text(" ".join(refusal.split())) for refusal in (*refusals, *unread)],
        origins=origins(found),
        script=_script(),
    )


def shared_text(words: str) -> str:
    """`words` with every absolute path cut to its end, so that a page can be shown to others."""

    def end(path: re.Match[str]) -> str:
        parts = path[0].split("/")
        return "…/" + "/".join(parts[-3:] if len(parts) > 6 else parts[-1:])  # <model>/<run>/<file> of a run folder

    return re.sub(r"(?<![\w.…/])(?:~|[A-Za-z]:)?(?:/[^/\n:'\"]+){2,}", end, words)


def _runs(entry: ModelResults) -> list[FoundRun]:
    return [run for run in entry.recorded + entry.unfinished if run.path.is_dir()]


def _log(run: FoundRun, unread: list[str]) -> list[dict[str, Any]]:
    """The deterministic rows of a run's log; none, and a complaint, where it cannot be read."""
    try:
        return [row for row in RunFolder(run.path).metrics() if isinstance(row["step"], int)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        unread.append(f"{run.path}: its log cannot be read ({type(error).__name__})")
        return []


def written_samples(logs: Mapping[str, Mapping[int, list[dict[str, Any]]]]) -> list[dict[str, Any]]:
    """What each model wrote at its last evaluation, by its first seed that wrote anything."""
    found = []
    for label, seeds in logs.items():
        for _, rows in sorted(seeds.items()):
            if last := [row for row in rows if row.get("validation/samples")][-1:]:
                found.append({"label": label, "step": last[0]["step"], "rows": last[0]["validation/samples"]})
                break
    return found


def report_summary(found: Sequence[TaskResults]) -> dict[str, Any]:
    """What was run, in numbers."""
    entries = [entry for block in found for entry in block.entries]
    records = [run.record for entry in entries for run in entry.recorded if run.record]
    days = sorted({str(record["ended"])[:10] for record in records})
    seconds = sum(record["speed"].get("seconds") or 0.0 for record in records)
    counts = {
        "finished run": sum(len(entry.finished) for entry in entries),
        "task": len(found),
        "model": len({entry.label for entry in entries}),
    }
    return {
        "counts": [(number, name if number == 1 else f"{name}s") for name, number in counts.items()],
        "other": [
            (word, number)
            for word in ("diverged", "unfinished", "refused")
            if (number := sum(len(getattr(entry, word)) for entry in entries))
        ],
        "missing": sum(len(block.wanted(entry) - entry.seeds) for block in found for entry in block.entries),
        "training": format_duration(seconds),
        "days": f"{days[0]} to {days[-1]}" if len(days) > 1 else "".join(days),
    }


PRIVATE = re.compile(r"host|node|user|path|folder|director|cwd|argv|command|pid|file", re.IGNORECASE)


def origins(found: Sequence[TaskResults]) -> list[tuple[str, str]]:
    """Versions, hardware and process settings of the recorded runs, each with all values it had; no names, no paths."""
    values: dict[str, dict[str, None]] = {}
    for record in (run.record for block in found for entry in block.entries for run in entry.recorded):
        if record is None:
            continue
        told = {**record["versions"], "commit": record["commit"], **record["hardware"], **record["process"]}
        for key, value in flatten_options(told).items():
            if value not in (None, "", []) and not PRIVATE.search(key):
                values.setdefault(key, {})[shared_text(option_text(value))] = None
    return [(key.replace("_", " "), ", ".join(several)) for key, several in values.items()]


# Colours


class Styles:
    """Which colour, dash and shape a label has, on every chart of the page."""

    def __init__(self, labels: Sequence[str]):
        dashes = [dash for dash in DASHES for _ in COLOURS]
        looks = zip(itertools.cycle(COLOURS), itertools.cycle(dashes), itertools.cycle(SHAPES))
        self.of = dict(zip(labels, looks, strict=False))  # looks are endless

    def encoding(self, labels: Sequence[str], *channels: str) -> dict[str, Any]:
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


# Charts


def task_charts(
    block: TaskResults, logs: Mapping[str, Mapping[int, list[dict[str, Any]]]], styles: Styles
) -> list[dict[str, Any]]:
    """The charts of one block that have something to show: title, a line that explains it, specification."""
    if block.task is None:
        return []
    name = block.headline
    unit = f", {block.task['unit']}" if block.task["unit"] else ""
    better, corner = ("lower", "bottom") if block.lower_is_better else ("higher", "top")
    score = f"{name} ({better} is better{unit})"
    learning = _curves(block, _series(logs, f"validation/{name}"), styles, f"validation {score}")
    gradient = _curves(block, _series(logs, "train/gradient_norm"), styles, "gradient norm", geometric=True)
    found = (
        (
            "Learning",
            f"Validation {name}. Thick: mean of the finished seeds, as far as all of them go; thin: each seed.",
            learning,
        ),
        ("Gradient norm", "Before clipping. Thick: geometric mean of seeds; thin: each seed.", gradient),
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


def _through_time(block: TaskResults, logs: Mapping[str, Mapping[int, list[dict[str, Any]]]]) -> list[dict[str, Any]]:
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


def _series(logs: Mapping[str, Mapping[int, list[dict[str, Any]]]], key: str) -> dict[tuple[str, int], Curve]:
    """A logged value over steps, one curve a label and seed; rows without a finite value are left out."""
    found = {}
    for label, seeds in logs.items():
        for seed, rows in seeds.items():
            curve = [(row["step"], row[key]) for row in rows if isinstance(row.get(key), int | float)]
            if curve := [(step, value) for step, value in curve if math.isfinite(value)]:
                found[label, seed] = curve
    return found


def _curves(
    block: TaskResults, curves: Mapping[tuple[str, int], Curve], styles: Styles, axis: str, geometric: bool = False
) -> list[dict[str, Any]]:
    """Layers: thin lines of seeds under the mean line of each label, with the floor; no floor where `geometric`."""
    if geometric:
        positive = {key: [point for point in curve if point[1] > 0] for key, curve in curves.items()}
        curves = {key: curve for key, curve in positive.items() if curve}
    if not curves:
        return []
    floor = None if geometric or block.task is None else block.task["floor"]
    values = [value for curve in curves.values() for _, value in curve] + ([] if floor is None else [floor])
    logarithmic = geometric or _wide(values)
    means = {}
    for entry in block.entries:
        finished = [(entry.label, run.config["seed"]) for run in entry.finished]
        if mean := _mean([curves[key] for key in finished if key in curves], geometric):
            means[entry.label] = mean
    labels = list(dict.fromkeys(label for label, _ in curves))
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
    thin: list[dict[str, Any]] = [
        {"label": own, "seed": seed, **_packed(curve, len(curves))} for (own, seed), curve in curves.items()
    ]
    thick: list[dict[str, Any]] = [{"label": label, **_packed(curve, len(means))} for label, curve in means.items()]
    layers: list[dict[str, Any]] = []
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


def _speed_against_score(block: TaskResults, styles: Styles, axis: str) -> list[dict[str, Any]]:
    """Layers: one point a finished run, and the floor."""
    points = [
        {
            "label": entry.label,
            "seed": run.config["seed"],
            "score": _short(block.score(run) or 0.0),
            "speed": _short(speed),
        }
        for entry in block.entries
        for run in entry.finished
        if run.record and (speed := run.record["speed"]["sequences_per_second"])
    ]
    if not points:
        return []
    labels = list(dict.fromkeys(str(point["label"]) for point in points))
    floor = block.task["floor"] if block.task else None
    speeds = [float(point["speed"]) for point in points]
    scores = [float(point["score"]) for point in points] + ([] if floor is None else [floor])
    scales = {"speed": "log" if _wide(speeds, 8) else "linear", "score": "log" if _wide(scores) else "linear"}
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
        "mark": {"type": "point", "filled": True, "size": 80, "opacity": 0.85},
        "encoding": {
            **encoding,
            **styles.encoding(labels, "color", "shape"),
            "tooltip": [*tooltip, {"field": "speed", "title": "sequences/s"}],
        },
    }
    return [layer, *_floor(floor, block.lower_is_better)]


def _floor(floor: float | None, lower_is_better: bool) -> list[dict[str, Any]]:
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


def _wide(values: Iterable[float], ratio: float = WIDE) -> bool:
    values = list(values)
    return min(values) > 0 and max(values) / min(values) > ratio


def _mean(curves: Sequence[Curve], geometric: bool) -> Curve:
    """The mean of curves at the steps that all of them have; it ends where the first of them ends."""
    if not curves:
        return []
    by_step = [dict(curve) for curve in curves]
    common = set.intersection(*(set(values) for values in by_step))
    mean = geometric_mean if geometric else fmean
    return [(step, mean([values[step] for values in by_step])) for step in sorted(common)]


def thinned(curve: Curve, points: int) -> Curve:
    """At most `points` points: both ends, and the lowest and the highest of each stretch between, so that spikes stay."""
    if len(curve) <= points:
        return curve
    inner, kept = curve[1:-1], [curve[0]]
    stretches = max(1, (points - 2) // 2)
    for stretch in range(stretches):
        piece = inner[len(inner) * stretch // stretches : len(inner) * (stretch + 1) // stretches]
        ends = {min(piece, key=lambda point: point[1]), max(piece, key=lambda point: point[1])}
        kept += sorted(ends)
    return [*kept, curve[-1]]


def _packed(curve: Curve, curves: int) -> dict[str, list[float]]:
    """A curve as two lists, thinned so that a chart of so many `curves` keeps to its budget."""
    kept = thinned(curve, max(30, min(POINTS, BUDGET // curves)))
    return {"step": [step for step, _ in kept], "value": [_short(value) for _, value in kept]}


def _short(value: float) -> float:
    """Four significant digits: what a pixel can show."""
    return float(f"{value:.4g}")


@functools.cache
def _script() -> str:
    """Vega, Vega-Lite and vega-embed in one script, which never asks the network for anything."""
    import vl_convert

    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")).replace("</script", "<\\/script")
