"""The key is nowhere, and no name leads out of the folder of runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from rnnbench.cli.main import main
from rnnbench.config.checks import resolve
from rnnbench.config.compose import compose_jobs
from rnnbench.options import BadOption
from rnnbench.tracking.wandb_account import error_text
from tests.conftest import everything
from tests.support.wandb_server import Server
from tests.tracking.test_sync import server  # noqa: F401 - a fixture
from tests.tracking.test_tracking import CANARY

SMALL = [
    "task.length=6",
    "task.sequences=40",
    "train.batch_size=8",
    "model.hidden_size=8",
    "train.steps=12",
    "train.log_every=4",
]


def command_lines(seen: set[bytes], over: threading.Event) -> None:
    """Collects the command line of every process that there is, again and again."""
    while not over.wait(0.02):
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                seen.add(path.read_bytes())
            except OSError:
                continue


def test_the_key_is_nowhere(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """A sweep with all that goes wrong, a search and a sync; then a look into everything that was written and said."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    words = {
        "a sweep": ["train", "-m", "task=adding", "model=lstm,gru", *SMALL],
        "devices": ["train", "task=adding", "model=lstm", *SMALL, "trainer=ddp", "trainer.devices=2", "seed=3"],
        "a failure": ["train", "task=adding", "model=lstm", *SMALL, "model.hidden_size=5000000"],
        "a search": ["tune", "adding", "gru", *SMALL, "--trials", "1"],
        "a sync": ["sync"],
        "an error": ["train", "task=adding", "model=rnn", *SMALL, "tracker.mode=online"],
        "an error of sync": ["sync"],
    }
    seen: set[bytes] = set()
    said: list[str] = []
    over = threading.Event()
    watch = threading.Thread(target=command_lines, args=(seen, over))
    watch.start()
    for what, line in words.items():
        server.status = 500 if what.startswith("an error") else 200
        done = subprocess.run(
            [sys.executable, "-m", "rnnbench", *line], capture_output=True, text=True, timeout=120, check=False
        )
        said += [done.stdout, done.stderr]
        assert (done.returncode == 0) == (what not in ("a failure", "an error", "an error of sync")), (what, done.stderr)
    over.set()
    watch.join()
    assert any(b"rnnbench.run.ranks" in line for line in seen) and any(b"forkserver" in line for line in seen)
    assert len(server.runs) >= 4  # so that it was used
    files = [path for path in tmp_path.rglob("*") if path.is_file() and not path.is_symlink()]
    assert len(files) > 40
    assert not [path for path in files if CANARY.encode() in path.read_bytes()]
    assert not [line for line in seen if CANARY.encode() in line]
    assert not [text for text in said if CANARY in text]
    assert not [body for body in server.bodies if CANARY in body]


def test_an_error_that_holds_the_key_is_told_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", CANARY)
    assert error_text(ValueError(f"500 for {CANARY} at once")) == "ValueError: 500 for (the key) at once"
    assert error_text(ValueError(f"401 for {CANARY} at once")).startswith("key refused")


LEAVING = [
    "../out",
    "..",
    ".",
    "/abs",
    "a/b",
    "a\0b",
    "x" * 300,
    "ｓweep",
    "s\u2215x",
    "s\u202ex",
    "\u0430dding",
    "-rf",
    "s\n",
    "",
]


@pytest.mark.parametrize("name", LEAVING, ids=ascii)
@pytest.mark.parametrize("key", ["sweep", "model.name", "task.name"])
def test_no_name_leads_out(key: str, name: str, clean: None, capfd: pytest.CaptureFixture[str]) -> None:
    job = compose_jobs(["task=adding", "model=lstm", *SMALL, "tracker=none"], sweep=False)[0].plain()
    group, _, option = key.rpartition(".")
    if group:
        job[group] |= {option: name}
    else:
        job[key] = name
    with pytest.raises(BadOption):
        resolve(job)
    assert main(["train", "task=adding", "model=lstm", *SMALL, "tracker=none", f"{key}='{name}'"]) in (1, 2)
    err = capfd.readouterr().err
    assert err.count("\n") == 1 and "Traceback" not in err
    assert not everything(Path())


@pytest.mark.parametrize("runs", ["a\0b", "x" * 300], ids=ascii)
def test_no_folder_of_runs_that_cannot_be(runs: str, clean: None, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "task=adding", "model=lstm", *SMALL, "tracker=none", f"runs='{runs}'"]) == 2
    assert capfd.readouterr().err.count("\n") == 1 and not everything(Path())


@pytest.mark.parametrize("name", ["../../victim", "/victim"])
def test_a_manifest_cannot_name_what_is_not_of_its_store(name: str, clean: None, capfd: pytest.CaptureFixture[str]) -> None:
    victim = Path("victim/checkpoints/000000001-x.pt")
    victim.parent.mkdir(parents=True)
    victim.touch()
    os.utime(victim, (time.time() - 90 * 86400,) * 2)
    Path("store/runs/sweeps/s").mkdir(parents=True)
    text = json.dumps({"schema": 1, "runs": {name: {"id": "x", "words": ""}}})
    Path("store/runs/sweeps/s/manifest.json").write_text(text)
    for verb in ("prune", "status", "sync"):
        assert main([verb, "s", "--runs", "store/runs"]) == 2
        assert "is no run of this store" in capfd.readouterr().err
    assert victim.exists()
