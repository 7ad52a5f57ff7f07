"""A small table whose setting can be read in two ways, run and judged: as stated, and within the span of its text."""

from __future__ import annotations

import os

import pytest
import yaml

from rnnbench.analysis.render import to_markdown
from rnnbench.cli.main import main
from rnnbench.reproduction import cell_results
from rnnbench.reproduction.declaration import load_declaration
from rnnbench.reproduction.evaluate import Results, measure_table
from rnnbench.reproduction.grid import Reported
from rnnbench.reproduction.matching import CellRuns
from rnnbench.reproduction.readme import table_details

ROW = {
    "title": "Order",
    "words": "task=temporal_order task.length=12 task.error=squared task.sequences=5 model.hidden_size=2",
    "metric": "sequences_to_solve",
    "ratio": 1.5,
    "columns": {
        "lstm_1997": {
            "words": "model=lstm_1997 network.output=logistic train.rule=online train.batch_size=1 train.precision=64 "
            "train.select=last"
        }
    },
    "scales": {
        "paper": {
            "words": "train.steps=40 train.eval_every=40 train.window=5 train.window_wrong=40 train.window_error=0.99",
            "seeds": {"first": 10},  # as a bootstrap takes
            "minutes": 0.1,
        }
    },
    "readings": {"columns": ["lstm_1997"]},  # three runs each, told apart from ten at .0035
    "quirks": {  # every row is right enough, so that a window is full after as many rows as it has
        "ten": {"detail": "window", "words": "train.window=10", "says": "the last ten"},
        "fifteen": {"detail": "window", "words": "train.window=15", "says": "the last fifteen"},
        "none": {"detail": "window", "says": "no window", "struck": "5 is printed"},
    },
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A table's folder, its runs beside it."""
    here = tmp_path_factory.mktemp("readings")
    grid = {"title": "Trial", "about": "Small.", "rows": {"order": ROW}}
    (here / "grid.yaml").write_text(yaml.safe_dump(grid, sort_keys=False))
    before = os.getcwd()
    os.chdir(here)
    try:
        assert main(["reproduce", str(here), "tracker=none", "hydra.launcher.workers=1"]) == 0
        assert main(["reproduce", str(here), "--as", "readings", "tracker=none", "hydra.launcher.workers=1"]) == 0
    finally:
        os.chdir(before)
    return here


def judged(folder, *printed: float) -> Results:
    source = {"title": "A paper", "authors": "Somebody", "year": 1997, "where": "here"}
    values = [{"value": one, "source": "one", "at": "T", "sure": "seen", "estimator": "mean", "seeds": 3} for one in printed]
    (folder / "reported.yaml").write_text(yaml.safe_dump({"sources": {"one": source}, "values": {"order/lstm_1997": values}}))
    return measure_table(load_declaration(str(folder)), folder / "runs")


def test_verdicts_are_of_the_setting_as_stated_and_else_of_the_span(folder):
    """Its runs end after 5 rows, those of the readings after 10 and 15."""
    results = judged(folder, 5, 7, 8, 12, 40)
    ((cell,),) = (results.cells["order"],)
    assert [[one["solved_step"] for one in runs.records] for runs in results.runs.cells.values()] == [
        [5] * 10,
        [10] * 3,
        [15] * 3,
    ]
    words = [one.verdict.word for one in cell.reported]
    assert words == ["reproduced", "reproduced", "within the text's span", "within the text's span", "better"]
    assert "of 2 other readings 2 are told apart from it" in cell.reported[3].verdict.why
    assert "2 of 3 within a factor of 1.5" in cell.reported[3].verdict.why  # 10 and 15 of 12
    assert "outside of the text's span" in cell.reported[4].verdict.why


def test_the_page_shows_each_reading_and_what_strikes_the_others(folder):
    page = table_details(judged(folder, 8), to_markdown)
    assert "### Readings: Order, lstm_1997\n" in page
    assert "no window (struck: 5 is printed)" in page
    assert "--as readings" in page
    assert "3 combinations of readings, 3 of them run; every run solves it in 3 of these, whose means go from 5 to 15\n" in page


@pytest.mark.parametrize(
    ("their_solved", "slowest", "expected"),
    [
        (3, 0, "worse"),  # all of theirs solved it
        (None, 0, "open"),  # theirs may be those that did: ours took as long
        (None, 9, "worse"),  # nor those of ours that did
        (2, 9, "open"),  # theirs is of those that did, which Fisher's test does not tell from ours
    ],
)
def test_a_mean_of_runs_of_which_some_are_lost(folder, monkeypatch, their_solved, slowest, expected):
    """Twelve runs that solve it, and eight that do not until they are stopped."""
    times, solved = [100.0 + slowest * 100 + seed for seed in range(12)] + [100000.0] * 8, [True] * 12 + [False] * 8
    runs = CellRuns(load_declaration(str(folder)).cell("order", "lstm_1997", "paper"))
    monkeypatch.setattr(CellRuns, "times", lambda *_: (times, solved))
    reported = Reported(value=100, source="one", at="T", sure="seen", estimator="mean", seeds=3, solved=their_solved)
    found = cell_results._judge_bound(runs, "sequences_to_solve", 1.5, reported, 0.05)
    assert (found.word if found else "open") == expected
