"""Figures for a paper: the right width, fonts inside, lines as lines, told apart without colour, and their data as CSV."""

from __future__ import annotations

import csv
import itertools
import json
import re
from pathlib import Path

import pytest

from rnnbench.analysis.charts import COLOURS, SHAPES
from rnnbench.analysis.figures import DASHES, KINDS, OPEN, POINT, Figure, _spec, figure_spec, make_figure, save_figure
from rnnbench.analysis.grouping import group_runs
from rnnbench.analysis.heatmaps import gradient_picture, save_picture
from rnnbench.cli.figure import parse_width
from rnnbench.cli.main import main
from rnnbench.cli.parser import FIGURES
from rnnbench.console import visible
from rnnbench.options import BadOption
from rnnbench.store.find import find_runs
from tests.analysis.test_tables import write

RUNS = Path("runs")


@pytest.fixture
def runs() -> None:
    for (number, model), seed in itertools.product(enumerate(("rnn", "lstm", "gru")), range(2)):
        for length in (50, 100):
            path = write(RUNS, model=model, seed=seed, score=0.001 * 9**number + 0.0001 * seed, task_options={"length": length})
            add_gradients(path, [10.0 ** -(number * t) for t in range(5)])


def add_gradients(path: Path, norms: list[float]) -> None:
    for name, row in (("metrics", {"train/state_gradient/core.0.0/h": norms}), ("timings", {})):
        with open(path / f"{name}.jsonl", "a") as file:
            file.write(json.dumps({"step": 2000, **row}) + "\n")


def figure(kind: str, length: int = 100):
    blocks, _ = group_runs(*find_runs([RUNS]))
    return make_figure(kind, [block for block in blocks if kind == "length" or block.options["length"] == length])


def test_the_verb_has_every_kind():
    assert tuple(KINDS) == FIGURES


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_drawn_with_its_data_beside_it(kind, runs, capfd):
    words = [] if kind == "length" else ["--task", "adding-T100"]
    assert main(["figure", kind, "runs", "-o", "x.pdf", *words]) == 0
    assert capfd.readouterr().out == "x.pdf\nx.pdf.csv\n"
    data = Path("x.pdf").read_bytes()
    (box,) = re.findall(rb"/MediaBox ?\[0 0 ([\d.]+) [\d.]+\]", data)
    assert abs(float(box) / POINT - 8) < 0.02  # cm
    fonts = set(re.findall(rb"/BaseFont ?/(\S+)", data))
    assert fonts and len(re.findall(rb"/FontFile[23]?\b", data)) >= len(fonts) and b"/Subtype /Image" not in data
    rows = list(csv.DictReader(Path("x.pdf.csv").read_text().splitlines()))
    assert {row["label"] for row in rows} == {"rnn", "lstm", "gru"}
    assert rows == [{key: "" if row.get(key) is None else str(row[key]) for key in rows[0]} for row in figure(kind).rows]


@pytest.mark.parametrize("width", ["8cm", "120mm", "3.5in", "400pt"])
@pytest.mark.parametrize("suffix", ["pdf", "svg", "png"])
def test_a_figure_is_as_wide_as_asked(width, suffix, runs):
    words = ["figure", "speed", "runs", "--task", "adding-T50", "-o", f"x.{suffix}", "--width", width]
    assert main(words) == 0
    data, points = Path(f"x.{suffix}").read_bytes(), parse_width(width) * POINT
    if suffix == "pdf":
        (found,) = re.findall(rb"/MediaBox ?\[0 0 ([\d.]+)", data)
    elif suffix == "svg":
        (found,) = re.findall(rb'^<svg [^>]*? width="([\d.]+)pt"', data)
    else:
        found = int.from_bytes(data[16:20]) * 72 / 300  # of IHDR
    assert abs(float(found) - points) < 0.6


def test_the_values_are_those_of_the_runs(runs):
    rows = figure("parameters").rows
    assert {row["label"]: round(row["value"], 5) for row in rows} == {"rnn": 0.00105, "lstm": 0.00905, "gru": 0.08105}
    gradient = [row["value"] for row in figure("gradients").rows if row["label"] == "lstm"]
    assert gradient == pytest.approx([1, 0.1, 0.01, 0.001, 0.0001])
    points = [(row["step"], row["value"]) for row in figure("solved").rows if row["label"] == "rnn"]
    assert points == [(0, 0.0), (1000, 0.5), (1000, 1.0), (2000, 1.0)]
    assert [row["value"] for row in figure("solved").rows if row["label"] == "gru"] == [0.0, 0.0]
    assert {(row["label"], row["length"]) for row in figure("length").rows} == {
        *itertools.product(("rnn", "lstm", "gru"), (50, 100))
    }
    ends = [row for row in figure("learning").rows if row["step"] == 2000]
    assert len(ends) == 3 and all(row["low"] <= row["value"] <= row["high"] and row["seeds"] == 2 for row in ends)


def test_lines_are_told_apart_without_colour():
    assert len(DASHES) == len(COLOURS) == len(set(map(tuple, DASHES)))
    looks = [(DASHES[k % len(DASHES)], SHAPES[k % len(SHAPES)]) for k in range(len(DASHES) * len(SHAPES))]
    assert len(set(map(str, looks))) == len(looks)


@pytest.mark.parametrize("count", [6, 7, 2 * len(SHAPES)])
def test_markers_are_told_apart_without_colour(count):
    """By shape, and by being open or filled."""
    rows = [{"label": f"m{number:02}", "x": number, "value": number} for number in range(count)]
    for part in _spec(Figure(rows, "x", "value", "x", "y", lines=False), 200)["vconcat"]:
        channels = next(layer["encoding"] for layer in part["layer"] if "shape" in layer["encoding"])
        fills, shapes, strokes = (channels[name]["scale"]["range"] for name in ("fill", "shape", "stroke"))
        assert len({(shape, fill == OPEN) for shape, fill in zip(shapes, fills, strict=True)}) == count
        assert OPEN not in strokes and [fill for fill in fills if fill != OPEN] == strokes[: len(SHAPES)]


@pytest.mark.parametrize("kind", KINDS)
def test_each_line_has_its_dash_and_marker_in_the_figure_and_below_it(kind, runs):
    found = figure(kind)
    plot, legend = _spec(found, 200)["vconcat"]
    for part in (plot, legend):
        channels = [channel for layer in part["layer"] for channel in layer["encoding"]]
        assert "shape" in channels and ("strokeDash" in channels) == found.lines
    assert [row["label"] for row in legend["data"]["values"]] == ["gru", "lstm", "rnn"]


@pytest.mark.parametrize("count", [1, 3, 20])
def test_all_labels_stand_below_in_their_own_places(count):
    for number in range(count):
        write(RUNS, model="lstm", model_options={"hidden_size": 8 + number}, rows=3)
    _, legend = figure_spec(figure("learning"), 8 * POINT)["vconcat"]
    places = {(row["from"], row["y"]) for row in legend["data"]["values"]}
    assert len(places) == count and max(y for _, y in places) <= legend["height"]


BAD = {
    "another kind": (["learn", "-o", "x.pdf"], "did you mean 'learning'"),
    "no output": (["learning"], "-o"),
    "a page": (["learning", "-o", "x.html"], ".pdf, .svg or .png"),
    "no width": (["learning", "-o", "x.pdf", "--width", "8"], "such as 8cm"),
    "too narrow": (["learning", "-o", "x.pdf", "--width", "1cm"], "4cm to 50cm"),
    "too wide": (["learning", "-o", "x.pdf", "--width", "1e9cm"], "4cm to 50cm"),
    "two settings": (["learning", "-o", "x.pdf"], "--task 'adding-T50'"),
    "no such task": (["learning", "-o", "x.pdf", "--task", "adding-T5"], "did you mean 'adding-T50'"),
    "one length": (["length", "-o", "x.pdf", "--task", "adding-T50"], "one task setting there; needed"),
    "no such folder": (["speed", "-o", "no/x.pdf", "--task", "adding-T50"], "no/x.pdf"),
    "no runs": (["learning", "nowhere", "-o", "x.pdf"], "nowhere"),
}


@pytest.mark.parametrize(("words", "said"), BAD.values(), ids=BAD)
def test_what_cannot_be_drawn_is_one_line(words, said, runs, capfd):
    try:
        code = main(["figure", *words])
    except SystemExit as end:
        code = end.code
    error = capfd.readouterr().err
    assert code == 2 and error.count("\n") == 1 and len(error) <= 401 and said in error
    assert not list(Path().glob("x.*"))


def test_several_tasks_on_an_axis_of_lengths(runs):
    write(RUNS, task="copy_memory", task_options={"length": 10})
    with pytest.raises(BadOption, match="--task adding"):
        make_figure("length", group_runs(*find_runs([RUNS]))[0])


@pytest.mark.parametrize(("kind", "needs"), [("gradients", "train.instruments"), ("learning", "logs of finished runs")])
def test_nothing_to_draw_says_what_is_needed(kind, needs):
    write(RUNS, record=kind != "learning")
    with pytest.raises(BadOption, match=needs):
        make_figure(kind, group_runs(*find_runs([RUNS]))[0])


@pytest.mark.parametrize("suffix", ["pdf", "svg", "png"])
def test_a_report_as_a_picture_names_the_verb_that_draws_one(suffix, capfd):
    assert main(["report", "--output", f"x.{suffix}"]) == 2
    error = capfd.readouterr().err
    assert error.count("\n") == 1 and f"rnnbench figure learning -o x.{suffix}" in error


ODD = [
    "a\x1b[2J",
    "a\0b",
    "a\ud800",
    "\ufffe\uffff",
    "\\ufffe",
    "C:\\x1b",
    "\u202eb",
    "<b>&amp;'\"",
    "=cmd",
    "</svg><script>x</script>",
]


@pytest.mark.parametrize("kind", ["learning", "gradients"])
def test_a_damaged_log_costs_its_run_alone(kind, runs, capfd):
    """It is said; a file of the user's that stands beside the figure stays."""
    damaged = next(RUNS.rglob("adding/lstm/*0*/metrics.jsonl"))
    damaged.write_bytes(b"\x00\xff{\n" + damaged.read_bytes())
    Path("x.csv").write_text("mine")
    whole = figure(kind, 50), figure(kind, 100)
    assert main(["figure", kind, "runs", "-o", "x.svg", "--task", "adding-T100"]) == 0
    assert main(["figure", kind, "runs", "-o", "x.svg", "--task", "adding-T50"]) == 0
    assert f"{damaged.parent}: its log cannot be read" in capfd.readouterr().err
    assert {row["label"] for one in whole for row in one.rows} == {"rnn", "lstm", "gru"}
    assert Path("x.csv").read_text() == "mine"


@pytest.mark.parametrize("text", ODD, ids=ascii)
def test_a_text_of_others_is_drawn_and_ends_nothing(text):
    """The renderer ends the process at a sign that XML cannot hold."""
    labels = [text, f"{text} 2"]
    rows: list[dict] = [{"label": label, "speed": number + 1.0, "value": 0.1} for number, label in enumerate(labels)]
    found = Figure(rows, "speed", "value", text, text, lines=False)
    for suffix in ("pdf", "svg", "png"):
        save_figure(found, Path(f"x.{suffix}"), 8)
        save_picture(gradient_picture({text: ({"at initialisation": {"a/h": [0.1, 0.2]}}, {})}), Path("y.svg"))
    assert "<script" not in Path("x.svg").read_text()
    for row in csv.reader(Path(f"x.{suffix}.csv").read_text().splitlines()[1:]):
        assert visible(row[0]) == row[0] and row[0][0] != "="
