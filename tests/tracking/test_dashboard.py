"""A sweep of 24 runs as a person finds it at W&B; `make dashboard` prints the same, with pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import dashboard
from tests.support.wandb_server import Server
from tests.tracking.test_layout import MOST
from tests.tracking.test_sync import level, runs


@pytest.mark.slow
def test_24_runs_are_there_as_they_are_here(clean: None) -> None:
    """One run there for one here, all of it equal; a name each; few columns outside the details."""
    folder = Path.cwd()
    with Server() as server:
        there = dashboard.run_sweep(folder, server)
        here = runs()
        assert len(there) == 24 and set(here) == set(server.runs) and not server.unknown
        for name, run in here.items():
            level(server.runs[name], run)
            assert server.runs[name].group == "dash"
        assert len({run.display_name for run in there}) == 24
        for run in there:
            keys = {key for row in run.rows() for key in row}
            assert len([key for key in keys if not key.startswith("z ")]) <= MOST
            classified = run.settings()["task"]["name"] == "temporal_order"
            assert ("test/confusion_table" in keys) == classified
            headline = "accuracy" if classified else "mse"
            told = {f"test/{headline}", f"validation/{headline}", "floor", "floor_closed", "parameters", "best_step", "minutes"}
            assert told <= set(run.results())
        said = dashboard.rnnbench(folder, dashboard.environment(folder, server.url), "sync")
    assert said.splitlines()[-1] == "24 of 24 runs: 24 level before"
    assert len(list(Path("wandb").glob("run-*"))) == 24
