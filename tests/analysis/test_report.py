"""The report as it is read: a sentence a task, what comes first, pages of many runs, and charts that fit."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import vl_convert

from rnnbench.analysis import report
from rnnbench.analysis.comparison import estimate_entries, find_ranks
from rnnbench.analysis.comparison_text import result_sentence
from rnnbench.analysis.drawing import DRAWING, chart_page
from rnnbench.analysis.grouping import group_runs
from rnnbench.analysis.heatmaps import gradient_picture, heat_map, whole_ticks
from rnnbench.analysis.report import report_page, write_report
from rnnbench.store.find import find_runs
from tests.analysis.test_tables import sweep, write

# by model the scores of its seeds (None: diverged; 0.1667 is the floor, below a fifth of it is solved), and the sentence
SENTENCES: dict[str, tuple[Mapping[str, Sequence[float | None]], str]] = {
    "one is best": (
        {"gru": (0.04, 0.041, 0.042), "lstm": (0.1, 0.101, 0.102), "rnn": (0.166, 0.167, 0.168)},
        "gru is best, significantly better than the 2 others (test mse 0.0410 [0.0386, 0.0436]). No run solved it. "
        "No better than the floor: rnn.",
    ),
    "of two": (
        {"gru": (0.04, 0.041, 0.042), "lstm": (0.1, 0.101, 0.102)},
        "gru is best, significantly better than the other (test mse 0.0410 [0.0386, 0.0436]). No run solved it.",
    ),
    "nobody is best": (
        {"gru": (0.04, 0.05, 0.06), "lstm": (0.041, 0.051, 0.061)},
        "No model is significantly best: gru and lstm may each be first. No run solved it.",
    ),
    "the best is one seed": (
        {"gru": (0.04,), "lstm": (0.1, 0.101)},
        "gru has the best score, but of a single seed: no confidence interval (test mse 0.04). No run solved it.",
    ),
    "one model": ({"gru": (0.01,)}, "gru: test mse 0.01, of one seed. Solved by every run of gru."),
    "solved by some": (
        {"gru": (0.001, 0.0011, 0.0012), "lstm": (0.001, 0.1, 0.1)},
        "No model is significantly best: gru and lstm may each be first. Solved by every run of gru and some runs of lstm.",
    ),
    "diverged": ({"gru": (None, None)}, "Every run diverged."),
}


@pytest.mark.parametrize(("scores", "sentence"), SENTENCES.values(), ids=SENTENCES)
def test_the_result_in_a_sentence(scores: Mapping[str, Sequence[float | None]], sentence: str, tmp_path: Path) -> None:
    for model, of_model in scores.items():
        for seed, score in enumerate(of_model):
            write(tmp_path, model=model, seed=seed, score=score, status="finished" if score else "diverged", rows=1)
    (block,), _ = group_runs(*find_runs([tmp_path]))
    estimates = estimate_entries(block)
    assert result_sentence(block, estimates, find_ranks(block, estimates, at_floor=True)) == sentence
    assert f'<p class="result">{sentence}</p>' in report_page(*find_runs([tmp_path]))


def test_what_comes_first(tmp_path: Path) -> None:
    """How to read it, all tasks with links to each, then the tasks."""
    sweep(tmp_path)
    page = report_page(*find_runs([tmp_path]))
    places = [
        page.index(text) for text in ("How to read this", "4 models on 2 tasks", "<h2>adding</h2>", "<h2>copy_memory</h2>")
    ]
    assert places == sorted(places)
    assert '<th scope="col"><a href="#task-1">adding ↓</a></th>' in page and 'id="task-1"' in page
    assert "actions: {export: true" in page


def test_many_runs_of_several_tasks_have_a_page_a_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages_of = tmp_path / "pages"
    pages_of.mkdir()
    sweep(tmp_path / "runs")
    one = write_report(*find_runs([tmp_path / "runs"]), pages_of / "one.html")
    monkeypatch.setattr(report, "MOST_RUNS", 9)
    top = write_report(*find_runs([tmp_path / "runs"]), pages_of / "many.html")
    assert sorted(path.name for path in pages_of.iterdir()) == ["many", "many.html", "one.html"]
    pages = {path.name: path.read_text(encoding="utf-8") for path in (pages_of / "many").iterdir()}
    assert sorted(pages) == ["task-1.html", "task-2.html"]
    listed = top.read_text(encoding="utf-8")
    links = set(re.findall(r'href="([^"#:]+)"', listed))
    assert links == {"many/task-1.html", "many/task-2.html"} and "<script>" not in listed
    for name, page in pages.items():
        assert re.findall(r'href="([^"#:]+)"', page) == ["../many.html"], name
        assert page.count('class="spec"') == 3 and page.count('<p class="result">') == 1
    assert sum(page.count('class="spec"') for page in pages.values()) == one.read_text(encoding="utf-8").count('class="spec"')


SCALES = {(-3.0, -2.0): [-3, -2], (-1.0, 0.0): [-1, 0], (-9.0, -1.0): [-9, -7, -5, -3, -1], (-8.0, 0.0): [-8, -6, -4, -2, 0]}


@pytest.mark.parametrize(("ends", "ticks"), SCALES.items())
def test_a_colour_bar_has_each_number_once(ends: tuple[float, float], ticks: list[int]) -> None:
    assert whole_ticks(*ends) == ticks
    drawn = vl_convert.vegalite_to_svg(heat_map([(1, [10 ** ends[0], 10 ** ends[1]])], *ends))
    labels = [str(tick).replace("-", "−") for tick in ticks]
    bar = drawn[drawn.index("legend") :]
    assert re.findall(r">(−?\d+)</text>", bar) == labels


def test_gradients_fit_a_telephone() -> None:
    """Charts below each other, as the page's script puts them on a narrow screen."""
    norms = {"core.0.0/h": [0.1, 0.2], "core.0.0/c": [0.01, 0.02]}
    curves = {"at initialisation": norms, "after training": norms}
    spec = gradient_picture({"lstm on adding, seed 0": (curves, {name: [(1, row), (2, row)] for name, row in norms.items()})})
    assert "row => row.hconcat ?? [row]" in DRAWING and 'name="viewport"' in chart_page(spec, "x")
    below = {**spec, "vconcat": [chart for row in spec["vconcat"] for chart in row.get("hconcat", [row])]}
    del below["title"]
    below["config"] = {**below["config"], "legend": {**below["config"]["legend"], "orient": "bottom"}}
    assert 'legend.orient = "bottom"' in DRAWING
    width = re.search(r'width="([\d.]+)"', vl_convert.vegalite_to_svg(below))
    assert width and len(below["vconcat"]) == 3 and float(width[1]) <= 390 - 2 * 8
