"""The saved workspace: what would be sent, panel by panel; and that it is sent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rnnbench.cli.main import main
from rnnbench.tracking.columns import DETAILS
from tests.support.wandb_server import Server
from tests.tracking.test_sync import QUICK, server  # noqa: F401 - a fixture

pytest.importorskip("wandb_workspaces")


def emitted(capfd: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["wandb-workspace", "p", "--dry-run", *words]) == 0
    return dict(json.loads(capfd.readouterr().out))


def panels(spec: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    return {one["name"]: one["panels"] for one in spec["section"]["panelBankConfig"]["sections"]}


def test_sections_panels_keys_and_groupings(clean: None, capfd: pytest.CaptureFixture[str]) -> None:
    spec = emitted(capfd, "--task", "adding")
    sections = spec["section"]["panelBankConfig"]["sections"]
    names = ["Result", "Learning", "Gradients", "Samples", "Details"]
    assert [(one["name"], one["isOpen"]) for one in sections] == [(name, name != "Details") for name in names]
    bar, *scatters = panels(spec)["Result"]
    assert bar["viewType"] == "Bar Chart" and bar["config"]["metrics"] == ["test/mse"]
    by_model = {"groupBy": "model.value.name", "groupAgg": "mean", "groupArea": "stderr"}
    assert by_model.items() <= bar["config"].items()
    axes = [(one["config"]["xAxis"], one["config"]["yAxis"], one["config"]["yAxisLogScale"]) for one in scatters]
    assert axes == [
        ("summary:speed/steps_per_second", "summary:test/mse", True),
        ("summary:parameters", "summary:test/mse", True),
    ]
    lines = [one["config"] for one in panels(spec)["Learning"]]
    assert [(one["metrics"], one["xAxis"]) for one in lines] == [
        ([metric], x) for metric in ("validation/mse", "train/loss") for x in ("step", "speed/seconds")
    ]
    assert all(by_model.items() <= one.items() and one["yLogScale"] for one in lines)
    picture, *gradients = panels(spec)["Gradients"]
    assert picture["config"]["mediaKeys"] == ["gradient/through_time"]
    assert [one["config"]["metrics"] for one in gradients][:2] == [["train/gradient_norm"], ["gradient/horizon"]]
    details = [one["config"]["metricRegex"] for one in panels(spec)["Details"]]
    assert details == [f"^{section}/.*" for section in (*DETAILS, "speed")]
    (runs,) = spec["section"]["runSets"]
    assert runs["grouping"] == [{"section": "config", "name": "model.value.name"}]
    (only,) = runs["filters"]["filters"]
    assert (only["key"], only["value"]) == ({"section": "config", "name": "task.name"}, "adding")


def test_a_score_of_which_more_is_better_has_a_linear_axis(clean: None, capfd: pytest.CaptureFixture[str]) -> None:
    first, *_ = panels(emitted(capfd, "--task", "associative_recall"))["Learning"]
    assert first["config"]["metrics"] == ["validation/accuracy"] and not first["config"].get("yLogScale")


def test_a_task_of_classes_has_its_confusion_matrix(clean: None, capfd: pytest.CaptureFixture[str]) -> None:
    chart = panels(emitted(capfd, "--task", "intent"))["Result"][-1]
    assert chart["viewType"] == "Vega2" and chart["config"]["panelDefId"] == "wandb/confusion_matrix/v1"
    (runs,) = chart["config"]["userQuery"]["queryFields"]
    (table,) = [field for field in runs["fields"] if field["name"] == "summaryTable"]
    assert table["args"] == [{"name": "tableKey", "value": "test/confusion_table"}]
    assert chart["config"]["fieldSettings"] == {one: one for one in ("Actual", "Predicted", "nPredictions")}


def test_without_a_task_the_runs_here_say_what_is_shown(clean: None, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["wandb-workspace", "p", "--dry-run"]) == 2
    assert "give --task TASK" in capfd.readouterr().err
    assert main(["train", *QUICK, "model=gru", "tracker=none"]) == 0
    capfd.readouterr()
    spec = emitted(capfd)
    assert panels(spec)["Result"][0]["config"]["metrics"] == ["test/mse"]
    assert not spec["section"]["runSets"][0]["filters"].get("filters")


BAD = [(["--task", "addin"], "did you mean 'adding'?"), (["--entity", "a/b"], "entity='a/b'")]


@pytest.mark.parametrize(("words", "said"), BAD)
def test_bad_words_are_refused(words: list[str], said: str, clean: None, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["wandb-workspace", "p", "--dry-run", *words]) == 2
    assert said in capfd.readouterr().err


def test_it_is_saved_there(server: Server, capfd: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    assert main(["wandb-workspace", "p", "--task", "adding"]) == 0
    assert capfd.readouterr().out.startswith("saved: http")
    ((place, spec),) = server.views.items()
    assert place == ("me", "p", "rnnbench: adding") and next(iter(panels(spec))) == "Result"


def test_without_a_key_it_is_not(clean: None, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["wandb-workspace", "p", "--task", "adding"]) == 2
    assert "no API key" in capfd.readouterr().err
