"""W&B sweeps with the real `wandb sweep` and `wandb agent`, against the server on loopback."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

import rnnbench.sweeps
from rnnbench import config, tracking
from rnnbench.cli import main
from rnnbench.records import RunFolder
from tests.test_sync import level, runs, server  # noqa: F401 - a fixture
from tests.wandb_server import Server

FILES = sorted(Path(rnnbench.sweeps.__file__).parent.glob("*.wandb.yaml"))
QUICK = {"task.length": 6, "task.sequences": 40, "train.batch_size": 8, "model.hidden_size": 8, "train.steps": 20}


def wandb(*words: str) -> str:
    done = subprocess.run([sys.executable, "-m", "wandb", *words], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def begin(tmp_path: Path, name: str = "grid") -> None:
    """The grid of the repository, at sizes of a test, by this interpreter."""
    (path,) = (path for path in FILES if path.name == f"{name}.wandb.yaml")
    sweep = yaml.safe_load(path.read_text())
    sweep["parameters"] |= {key: {"value": value} for key, value in QUICK.items()}
    sweep["command"][:1] = [sys.executable, "-m", "rnnbench"]
    file = tmp_path / "sweep.yaml"
    file.write_text(yaml.safe_dump(sweep))
    wandb("sweep", "--project", "p", str(file))


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_AGENT_REPORT_INTERVAL", "1")


def test_an_agent_runs_a_grid_of_six(server: Server, tmp_path: Path, fast: None) -> None:  # noqa: F811
    begin(tmp_path)
    began = time.monotonic()
    wandb("agent", "me/p/grid0000")
    print(f"6 jobs in {time.monotonic() - began:.0f} s")
    assert sorted(server.runs) == [f"job{number}" for number in range(6)]  # the agent's own, no second one
    local = {record["id"]: folder for folder in runs().values() if (record := folder.record())}
    assert len(local) == 6
    for folder in local.values():
        record = folder.record()
        (there,) = [run for run in server.runs.values() if run.display_name == tracked(folder)]
        assert (there.group, there.sweep, there.project) == ("grid0000", "grid0000", "p")
        settings = there.settings()
        assert settings["model"]["name"] == record["model"]["name"] and settings["seed"] == record["seed"]  # not `model: lstm`
        assert settings["task.length"] == 6  # where the sweep looks for it
        there.config = {key: value for key, value in there.config.items() if "." not in key}
        level(there, folder)
    for run in server.runs.values():
        run.history.clear()
    # with what the sweep added to them, all can be brought level again
    assert main(["sync"]) == 0
    assert sorted(server.runs) == sorted(server.runs)


def tracked(folder: RunFolder) -> str:
    task, model, name = folder.path.parts[-3:]
    return f"{task}/{model}/{name.partition('-')[0]}"


def test_what_is_recorded_already_is_sent_to_the_agents_run(server: Server, tmp_path: Path, fast: None) -> None:  # noqa: F811
    words = ["task=adding_short", *(f"{key}={value}" for key, value in QUICK.items()), "model=lstm", "seed=0", "tracker=none"]
    assert main(["train", *words]) == 0
    (before,) = runs().values()
    stamp = (before.path / "record.json").stat().st_mtime_ns
    begin(tmp_path)
    wandb("agent", "--count", "1", "me/p/grid0000")
    ((name, there),) = server.runs.items()
    assert name == "job5" and there.rows() == before.rows() and there.state == "finished"
    assert (before.path / "record.json").stat().st_mtime_ns == stamp


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_combination_is_one_that_train_takes(path: Path, clean: None) -> None:
    sweep = yaml.safe_load(path.read_text(encoding="utf-8"))
    fixed = [word for word in sweep["command"] if "=" in word]
    low, high = [], []
    for key, rule in sweep["parameters"].items():
        values = rule.get("values") or [rule.get("value", rule.get("min")), rule.get("value", rule.get("max"))]
        low.append(f"{key}={values[0]}")
        high.append(f"{key}={values[-1]}")
    for words in (low, high):
        (job,) = config.jobs([*fixed, *words], sweep=False)
    headline = config.signature("task", job["task"]["name"]).constants["headline"]
    assert sweep["metric"]["name"] == f"validation/{headline}"
    assert job["tracker"]["name"] in tracking.TRACKERS
