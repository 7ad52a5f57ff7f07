"""Files of the current folder are data: no process of ours takes one for a module."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.run.test_cluster import QUICK

NAMES = ["random", "string", "logging", "token", "queue", "statistics", "numbers", "secrets", "select", "numpy", "torch"]
NAMES += ["rnnbench", "hydra", "yaml", "sitecustomize", "usercustomize", "multiprocessing", "pickle", "socket", "json", "ssl"]
CANARY = "from pathlib import Path\nPath(__file__).with_suffix('.ran').touch()\nraise SystemExit(f'{__file__} was executed')\n"
SMALL = [word for word in QUICK if not word.startswith(("task=", "model=", "tracker="))]
PROGRAM = [str(Path(sys.executable).parent / "rnnbench")]
MODULE = [sys.executable, "-m", "rnnbench"]
SUBMITIT = pytest.mark.skipif(not importlib.util.find_spec("submitit"), reason="extra slurm")


@pytest.mark.parametrize(
    "program, words",
    [
        (PROGRAM, ["train", "-m", *QUICK, "seed=0,1"]),
        pytest.param(PROGRAM, ["train", *QUICK, "trainer=ddp"], marks=pytest.mark.slow),
        (PROGRAM, ["train", *QUICK, "trainer.workers=1"]),
        pytest.param(PROGRAM, ["tune", "adding", "gru", *SMALL, "--trials", "1"], marks=pytest.mark.slow),
        (PROGRAM, ["estimate", *QUICK]),
        (MODULE, ["train", "-m", *QUICK, "seed=0,1"]),
        pytest.param(
            PROGRAM, ["train", "-m", *QUICK, "seed=0,1", "hydra/launcher=submitit_local"], marks=[SUBMITIT, pytest.mark.slow]
        ),
    ],
    ids=["sweep", "devices", "workers", "tune", "estimate", "module", "submitit"],
)
def test_a_file_of_the_current_folder_is_never_executed(program: list[str], words: list[str]) -> None:
    names = [name for name in NAMES if program is PROGRAM or name != "rnnbench"]  # python -m would run that one itself
    for name in names:
        Path(f"{name}.py").write_text(CANARY, encoding="utf-8")
    done = subprocess.run([*program, *words], capture_output=True, text=True, timeout=200, check=False)
    assert not list(Path().glob("*.ran")), done.stdout + done.stderr
    assert done.returncode == 0, done.stdout + done.stderr
