"""W&B sweeps with the real `wandb sweep` and `wandb agent`, against the server on loopback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import rnnbench.sweeps
from rnnbench.cli.main import main
from rnnbench.config.compose import compose_jobs
from rnnbench.config.schema import read_signature
from rnnbench.tracking.make import TRACKERS
from tests.support.wandb_server import Server
from tests.tracking.test_sync import level, runs, server  # noqa: F401 - a fixture

FILES = sorted(Path(rnnbench.sweeps.__file__).parent.glob("*.wandb.yaml"))
QUICK = {"task.length": 6, "task.sequences": 40, "train.batch_size": 8, "model.hidden_size": 8, "train.steps": 20}


def wandb(*words: str) -> str:
    done = subprocess.run([sys.executable, "-m", "wandb", *words], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def begin(tmp_path: Path, name: str = "grid", cap: int | None = None) -> None:
    """A sweep of the repository, at sizes of a test, by this interpreter; `cap` jobs of one that is no grid."""
    (path,) = (path for path in FILES if path.name == f"{name}.wandb.yaml")
    sweep = yaml.safe_load(path.read_text())
    sweep["parameters"] |= {key: {"value": value} for key, value in QUICK.items()}
    sweep["command"][:1] = [sys.executable, "-m", "rnnbench"]
    sweep |= {"run_cap": cap} if cap else {}
    file = tmp_path / "sweep.yaml"
    file.write_text(yaml.safe_dump(sweep))
    wandb("sweep", "--project", "p", str(file))


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_AGENT_REPORT_INTERVAL", "1")


@pytest.mark.slow
def test_an_agent_runs_a_grid_of_six(
    server: Server,  # noqa: F811
    tmp_path: Path,
    fast: None,
    capfd: pytest.CaptureFixture[str],
) -> None:
    begin(tmp_path)
    wandb("agent", "me/p/grid0000")
    assert sorted(server.runs) == [f"job{number}" for number in range(6)]  # the agent's own, no second one
    local = {record["id"]: folder for folder in runs().values() if (record := folder.record())}
    assert len(local) == 6
    capfd.readouterr()
    assert main(["sync"]) == 0  # which looks for them where the agent put them
    assert "6 level before" in capfd.readouterr().out and len(server.runs) == 6
    for folder in local.values():
        record = folder.record()
        (there,) = [
            run
            for run in server.runs.values()
            if run.settings()["model"]["name"] == record["model"]["name"] and run.settings()["seed"] == record["seed"]
        ]
        assert (there.group, there.sweep, there.project) == ("grid0000", "grid0000", "p")
        settings = there.settings()
        assert settings["model"]["name"] == record["model"]["name"] and settings["seed"] == record["seed"]  # not `model: lstm`
        assert settings["task.length"] == 6  # where the sweep looks for it
        there.config = {key: value for key, value in there.config.items() if "." not in key}
        level(there, folder)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["random", "bayes"])
def test_an_agent_runs_what_is_drawn_for_it(
    name: str,
    server: Server,  # noqa: F811
    tmp_path: Path,
    fast: None,
) -> None:
    begin(tmp_path, name, cap=2)
    wandb("agent", f"me/p/{name}0000")
    assert sorted(server.runs) == ["job0", "job1"]
    (first, second) = runs().values()
    for folder in (first, second):
        record = folder.record() or {}
        rate, clip = record["train"]["learning_rate"], record["train"]["clip"]
        assert 1e-4 <= rate <= 0.1 <= clip <= 100 and record["scores"]["test"] is None and record["seed"] == 2**31
        (there,) = [run for run in server.runs.values() if run.settings()["train"]["learning_rate"] == rate]
        assert there.settings()["train.clip"] == clip and there.sweep == f"{name}0000" and there.state == "finished"
        assert len(there.rows()) == len(folder.rows()) and f"validation/{record['task']['headline']}" in there.rows()[-1]
    assert first.path.parent == second.path.parent


def test_what_is_recorded_already_is_sent_to_the_agents_run(server: Server, tmp_path: Path, fast: None) -> None:  # noqa: F811
    words = ["task=adding_short", *(f"{key}={value}" for key, value in QUICK.items()), "model=lstm", "seed=0", "tracker=none"]
    assert main(["train", *words]) == 0
    (before,) = runs().values()
    stamp = (before.path / "record.json").stat().st_mtime_ns
    begin(tmp_path)
    wandb("agent", "--count", "1", "me/p/grid0000")
    ((name, there),) = server.runs.items()
    assert name == "job5" and len(there.rows()) == len(before.rows()) and there.state == "finished"
    assert (there.project, there.entity) == ("p", "me")
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
        (job,) = compose_jobs([*fixed, *words], sweep=False)
    headline = read_signature("task", job.task.name).constants["headline"]
    assert sweep["metric"]["name"] == f"validation/{headline}"
    assert job.tracker.name in TRACKERS
