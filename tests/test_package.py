"""The wheel: built, installed elsewhere, run from another folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import rnnbench

ROOT = Path(rnnbench.__file__).parents[2]


@pytest.mark.skipif(not (ROOT / "pyproject.toml").exists(), reason="not run from the repository")
def test_the_wheel_runs_from_anywhere(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for name in ("src", "tasks", "conf", "sweeps"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    built = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path), str(source)]
    subprocess.run([*pip, *built], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"rnnbench", f"rnnbench-{rnnbench.__version__}.dist-info"}, tops  # nothing generic called tasks or conf
    for name in (
        "rnnbench/conf/config.yaml",
        "rnnbench/tasks/copy_memory.py",
        "rnnbench/analysis/report.html.j2",
        "rnnbench/py.typed",
    ):
        assert name in names
    place = tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(place)
    environment = {**os.environ, "PYTHONPATH": str(place)}
    where = [sys.executable, "-c", "import rnnbench.tasks; print(rnnbench.tasks.__file__)"]
    assert str(place) in subprocess.run(where, env=environment, capture_output=True, text=True, check=True).stdout
    command = [sys.executable, "-m", "rnnbench", "train", "-m", "task=adding,copy_memory", "model=irnn", "train.steps=1"]
    subprocess.run([*command, "task.sequences=5", "tracker=none"], env=environment, check=True, capture_output=True)
    done = subprocess.run(
        [sys.executable, "-m", "rnnbench", "compare"], env=environment, check=True, capture_output=True, text=True
    )
    assert "irnn" in done.stdout
