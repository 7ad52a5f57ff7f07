"""Sweeps by the engines of clusters, on this machine: preempted and queued again, a node lost."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rnnbench.cli.main import main
from rnnbench.launch import launcher
from rnnbench.store.run_folder import RunFolder
from tests.support.faults import LONG, SMALL, holders, kill, results, undisturbed

QUICK = [*SMALL, "train.steps=3"]
SLURM = pytest.mark.skipif(not importlib.util.find_spec("submitit"), reason="extra slurm")
RAY = pytest.mark.skipif(not importlib.util.find_spec("ray"), reason="extra ray")


def sweep(*words: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "rnnbench", "train", "-m", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait(condition: Callable[[], object], process: subprocess.Popen, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.05)


def under_way() -> dict[str, int]:
    """Processes whose training has begun: before that, submitit lets SIGTERM pass by."""
    return {name: pid for name, pid in holders().items() if list((Path("runs") / name).rglob("*.pt"))}


@pytest.mark.slow
@SLURM
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2])
def test_a_preempted_job_saves_and_is_queued_again(number, clean, tmp_path):
    expected = undisturbed(tmp_path / "undisturbed")
    words = [*LONG, "model=lstm,gru", "seed=0,1", "sweep=s", "hydra/launcher=submitit_local"]
    process = sweep(*words)
    try:
        wait(under_way, process)
        name, pid = next(iter(under_way().items()))
        assert kill(pid, number)
        out, _ = process.communicate(timeout=200)
    finally:
        process.kill()
    assert process.returncode == 0, out
    assert "sweep s: 4 of 4 runs recorded" in out
    assert results("runs") == expected
    logs = "".join(path.read_text() for path in Path("runs/sweeps/s/.submitit").rglob("*_log.*"))
    assert f"{name}: interrupted at step" in logs and "Requeued job" in logs and f"{name}  " in logs
    assert "continues from step" in logs
    again = sweep(*words)
    out, _ = again.communicate(timeout=100)
    assert again.returncode == 0 and "4 recorded before" in out


@pytest.mark.slow
@SLURM
def test_a_job_that_fails_there_is_named(clean, capfd):
    words = ["train", "-m", *QUICK, "model=lstm", "model.hidden_size=8,5000000", "hydra/launcher=submitit_local"]
    assert main(words) == 1
    out, err = capfd.readouterr()
    assert "1 of 2 runs failed" in err and "out of memory" in err and "1 of 2 runs recorded" in out


@RAY
def test_a_ray_node_is_lost_and_its_jobs_are_finished_elsewhere(clean, tmp_path):
    """16 jobs on two nodes of this machine, each a raylet of its own; one is killed with all its workers."""
    from ray.cluster_utils import Cluster

    expected = undisturbed(tmp_path / "undisturbed")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        second = cluster.add_node(num_cpus=1)
        words = [*LONG, "model=lstm,gru,rnn,peephole_lstm", "seed=0,1,2,3", "sweep=s", "hydra/launcher=ray"]
        process = sweep(*words, f"hydra.launcher.ray.init.address={cluster.address}")
        try:
            wait(lambda: len(list(Path("runs").rglob("record.json"))) > 1 and list(Path("runs").rglob("*.pt")), process, 200)
            cluster.remove_node(second, allow_graceful=False)
            out, _ = process.communicate(timeout=400)
        finally:
            process.kill()
    finally:
        cluster.shutdown()
    assert process.returncode == 0, out
    assert "sweep s: 16 of 16 runs recorded" in out
    found = results("runs")
    assert len(found) == 16 and {run: found[run] for run in expected} == expected
    assert all(RunFolder(Path("runs") / run).record() for run in found)


@pytest.mark.parametrize(
    "words, said",
    [
        (["hydra/launcher=slurm", "hydra.launcher.setup=[reboot]"], "no option 'hydra.launcher.setup'"),
        (["hydra/launcher=slurm", "+hydra.launcher.setup=[reboot]"], "no option 'hydra.launcher.setup'"),
        (["hydra/launcher=slurm", "hydra.launcher.partitoin=gpu"], "did you mean 'hydra.launcher.partition'"),
        (
            ["hydra/launcher=ray", "hydra.launcher.ray.remote.runtime_env=x"],
            "no option 'hydra.launcher.ray.remote.runtime_env'",
        ),
        (["hydra/launcher=ray", "hydra.launcher._target_=os.system"], "code"),
        (["hydra/launcher=ray_aws"], "ray_aws"),
    ],
)
def test_what_would_run_a_command_is_refused(words, said, clean, capfd):
    assert main(["train", "-m", *QUICK, "model=lstm", "seed=0,1", *words]) == 2
    err = capfd.readouterr().err
    assert said in err and err.count("\n") == 1
    assert not Path("runs").exists()


@SLURM
def test_slurm_is_not_asked_for_where_it_is_not(clean, capfd, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert main(["train", "-m", *QUICK, "model=lstm", "seed=0,1", "hydra/launcher=slurm"]) == 2
    err = capfd.readouterr().err
    assert "no srun" in err and err.count("\n") == 1


def test_without_the_extra_it_is_named(clean, capfd, monkeypatch):
    monkeypatch.setattr(launcher.importlib.util, "find_spec", lambda name: None)
    assert main(["train", "-m", *QUICK, "model=lstm", "seed=0,1", "hydra/launcher=slurm"]) == 2
    assert "pip install 'rnnbench[slurm]'" in capfd.readouterr().err
