"""Names of columns, settings and results in a mirror: every column of every model, known answers, and the layout of 0.1."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from rnnbench.config.compose import compose_jobs
from rnnbench.config.schema import choice_names
from rnnbench.run.plan import make_task, new_network
from rnnbench.tracking.columns import SECTIONS, shown_key
from rnnbench.tracking.layout import Presenter, floor_closed, gradient_horizon
from rnnbench.tracking.tracker import Histogram, Run
from rnnbench.training.learner import Learner
from rnnbench.training.trainer import fit

MOST = 24  # columns outside the sections of details
SHOWN = {
    "step": "step",
    "validation/mse": "validation/mse",
    "train/loss": "train/loss",
    "train/gradient_norm": "train/gradient_norm",
    "train/learning_rate": "train/learning_rate",
    "steps_per_second": "speed/steps_per_second",
    "seconds": "speed/seconds",
    "peak_memory_bytes": "speed/peak_memory_bytes",
    "train/update_ratio": "gradient/update_ratio",
    "train/clipped": "gradient/clipped",
    "validation/samples": "samples/validation",
    "train/gradient_norm_clipped": "z gradient norm/all after clipping",
    "train/gradient_norm_clipped/readout": None,
    "train/gradient_norm/readout": "z gradient norm/readout",
    "train/gradient_norm/core.layers.0.1": "z gradient norm/layer 1 backward",
    "train/gradient_norm/core.layers.1.0.cell": "z gradient norm/layer 2 forward",  # zoneout stands around it
    "train/gradient_norm/reader.layers.0.0": "z gradient norm/reader layer 1 forward",
    "train/gradient_norm/codec.embedding": "z gradient norm/codec embedding",
    "train/state_gradient/core.0.0/h": None,
    "train/horizon/core.0.1/c": "z gradient horizon/layer 1 backward c",
    "train/blow_up/writer.2.0/h": "z gradient blow-up/writer layer 3 forward h",
    "validation/gates/core.0.0/i/mean": "z gates/layer 1 forward i mean",
    "validation/gates/core.0.0/i/below_.1": "z gates/layer 1 forward i closed",
    "validation/gates/core.1.1/f/above_.9": "z gates/layer 2 backward f open",
    "validation/state/core.0.0/dead": "z states/layer 1 forward dead",
    "validation/spectral_radius/core.0.0/g": "z spectral radius/layer 1 forward g",
    "validation/of_a_task_to_come": "validation/of_a_task_to_come",
}


@pytest.mark.parametrize("name", SHOWN)
def test_a_column_is_called(name: str) -> None:
    assert shown_key(name) == SHOWN[name]


def test_two_forward_directions_are_not_called_backward() -> None:
    assert shown_key("validation/state/core.0.1/norm", two_forward=True) == "z states/layer 1 forward again norm"


def test_names_are_apart_and_details_sort_last() -> None:
    shown = [key for key in SHOWN.values() if key]
    assert len(set(shown)) == len(shown) and not [key for key in shown if "." in key]
    details = [key for key in shown if key.partition("/")[0] not in SECTIONS]
    assert min(details) > max(key for key in shown if key not in details)


class Rows:
    """A recorder that keeps rows as the log would hold them."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def row(self, step: int, metrics: dict[str, Any], timings: dict[str, float]) -> None:
        self.rows.append({"step": step, **metrics, **timings})

    def save(self, step: int, checkpoint: object) -> None:
        pass


@pytest.mark.parametrize("model", choice_names("model"))
def test_few_columns_outside_the_details_for_any_model(model: str, tmp_path: Path) -> None:
    words = ["task=reverse", "network.kind=encoder_decoder", f"model={model}", "model.hidden_size=4", "task.sequences=4"]
    words += ["train.batch_size=2", "train.steps=1", "train.log_every=1", "train.eval_every=1", "tracker=none"]
    (settings,) = compose_jobs(words, sweep=False)
    task = make_task(settings)
    recorder = Rows()
    fit(Learner(new_network(settings, task)[0], task, recorder, 0, settings.train), settings.trainer, None, False)
    run = Run("x", "x", tmp_path, settings.plain(), headline=task.headline, direction=task.direction)
    (row,) = (Presenter(run).row(row) for row in recorder.rows)
    outside = [key for key in row if not key.startswith("z ")]
    assert len(outside) <= MOST and list(row)[: len(outside)] == outside, outside
    assert all(value is not None for value in row.values())
    assert {key.partition("/")[0] for key in outside} <= set(SECTIONS)


def about(**train: Any) -> Run:
    config = {"model": {"name": "lstm"}, "train": train, "task": {"name": "adding"}}
    return Run("x", "x", Path(), config, None, {"setting": "s", "departures": {}, "data": ""}, "mse", "min")


LOG: list[dict[str, Any]] = [
    {"step": 1, "train/loss": 1.0, "train/horizon/core.0.0/h": None, "validation/mse": 0.5, "nothing": None},
    {"step": 2, "train/loss": math.nan, "validation/mse": 0.2},
    {"step": 3, "train/loss": 0.5, "validation/mse": 0.3},
]


def test_the_headline_in_the_summary_is_that_of_the_weights_that_are_tested() -> None:
    for options, expected in (({}, 0.2), ({"select": "last"}, 0.3)):
        presenter = Presenter(about(**options))
        rows = [presenter.row(row) for row in LOG]
        whole = ["step", "validation/mse", "train/loss"]
        assert [list(row) for row in rows] == [whole, ["step", "validation/mse"], whole]
        assert presenter.summary({}) == {"step": 3, "validation/mse": expected, "train/loss": 0.5}


def test_layout_1_is_that_of_version_0_1() -> None:
    presenter = Presenter(about(), layout=1)
    assert [presenter.row(row) for row in LOG] == [LOG[0], {**LOG[1], "train/loss": None}, LOG[2]]
    assert presenter.config() == about().config
    results = {"scores": {"test": {"mse": 1.0}}, "steps": 3, "solved_step": None, "best_step": 2}
    assert presenter.summary(results) == {**LOG[0], **LOG[2], "scores": {"test": {"mse": 1.0}}, "steps": 3, "solved_step": None}
    assert Presenter(about()).config() == {**about().config, "setting": "s", "departures": {}, "data": "", "layout": 2}


@pytest.mark.parametrize(
    ("headline", "direction", "unit", "floor", "score", "share"),
    [
        ("mse", "min", "", 0.2, 0.05, 0.75),
        ("mse", "min", "", 0.2, 0.4, -1.0),
        ("accuracy", "max", "share of queries", 0.5, 0.75, 0.5),
        ("bleu", "max", "of 100", 0.0, 30.0, 0.3),
        ("perplexity", "min", "", 101.0, 1.0, 1.0),
        ("mse", "min", "", None, 0.1, None),
        ("mse", "min", "", 0.0, 0.1, None),
    ],
)
def test_the_share_of_the_floor_that_is_closed(
    headline: str, direction: str, unit: str, floor: float | None, score: float, share: float | None
) -> None:
    task = {"headline": headline, "direction": direction, "unit": unit, "floor": floor}
    assert floor_closed(task, score) == (share if share is None else pytest.approx(share))
    assert floor_closed(task, None) is None


def test_the_horizon_is_the_longest_of_all_ways_back() -> None:
    row = {
        "train/state_gradient/core.0.0/h": [0.0, 0.001, 1.0],
        "train/horizon/core.0.0/h": 1,
        "train/state_gradient/core.0.0/c": [0.5, 0.7, 1.0],
        "train/horizon/core.0.0/c": None,  # falls nowhere to 1 %
        "train/state_gradient/core.1.0/h": [1.0, 1.0, 0.0],
        "train/horizon/core.1.0/h": None,  # the last norm is 0: there is none
    }
    assert gradient_horizon(row) == 3
    assert gradient_horizon({key: row[key] for key in list(row)[:2]}) == 1
    assert gradient_horizon({}) is None


def test_gates_as_histograms_keep_their_shares() -> None:
    shares = {"mean": 0.4, "below_.1": 0.25, "above_.9": 0.5}
    row = {f"validation/gates/core.0.0/i/{what}": value for what, value in shares.items()}
    shown = Presenter(about(), histograms=True).row({"step": 1, **row})
    assert shown.pop("step") == 1
    ((key, value),) = shown.items()
    assert (key, value) == ("z gates/layer 1 forward i", Histogram((0.25, 0.25, 0.5), (0.0, 0.1, 0.9, 1.0)))
