"""`rnnbench status` without a name: how all runs of a store stand, those of no sweep too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rnnbench.cli.main import main
from rnnbench.store.run_folder import RunFolder
from tests.analysis.test_tables import list_sweep, write

KINDS = ("finished", "diverged", "interrupted", "running", "failed")


def make(root: Path, seed: int, kind: str, sweep: str | None) -> Path:
    score, status = (None, "diverged") if kind == "diverged" else (0.1, "finished")
    there = kind in ("finished", "diverged")
    path = write(root, seed=seed, score=score, status=status, record=there, sweep=sweep, rows=1)
    if kind == "failed":
        (path / "failure.json").write_text(json.dumps({"message": "out of memory"}), encoding="utf-8")
    return path


WORDS = {"finished": "1 recorded", "diverged": "1 recorded (1 diverged)"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sweep", ["s", None])
def test_every_state_is_counted(kind: str, sweep: str | None, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = make(tmp_path, 0, kind, sweep)
    if sweep:
        list_sweep(tmp_path, sweep, {"task=adding model=lstm": (0, 1)})
    if kind == "running":
        with RunFolder(path).lease():
            assert main(["status", "--runs", str(tmp_path)]) == 0
    else:
        assert main(["status", "--runs", str(tmp_path)]) == 0
    first = capfd.readouterr().out.splitlines()[0]
    begun = "sweep s: 2 runs, " if sweep else "runs of no sweep: 1, "
    missing = ", 1 missing" if sweep else ""  # seed 1, which nobody has begun
    assert first == begun + WORDS.get(kind, f"0 recorded, 1 {kind}") + missing


def test_a_run_is_counted_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    make(tmp_path, 0, "finished", "s")
    list_sweep(tmp_path, "s", {"task=adding model=lstm": (0,)})
    assert main(["status", "--runs", str(tmp_path)]) == 0
    assert capfd.readouterr().out == "sweep s: 1 run, 1 recorded\n"


def test_runs_of_a_sweep_further_down_are_of_no_other(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    make(tmp_path / "one", 0, "finished", "s")
    list_sweep(tmp_path / "one", "s", {"task=adding model=lstm": (0,)})
    assert main(["status", "--runs", str(tmp_path)]) == 0
    assert capfd.readouterr().out == f"sweep s: `rnnbench status s --runs {tmp_path / 'one'}`\n"
