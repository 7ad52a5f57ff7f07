"""What processes need of the system, and what happens where it is not there: servers die, files and memory are short."""

from __future__ import annotations

import os
import pwd
import resource
import signal
import subprocess
import sys
import tempfile
import threading
from collections import namedtuple
from multiprocessing import forkserver
from pathlib import Path

import pytest

from rnnbench import console
from rnnbench.cli.main import ensure_home, main
from rnnbench.config.compose import compose_jobs
from rnnbench.console import counted
from rnnbench.launch import capacity, pool, sweep, worker
from rnnbench.launch.capacity import most_workers
from rnnbench.launch.manifest import Job
from rnnbench.launch.pool import Pool
from rnnbench.launch.worker import NoProcess, WorkerProcess, call_in_process
from rnnbench.store.run_folder import RunFolder
from rnnbench.training import loader as loading
from rnnbench.training.loader import EvaluationBatches, loader
from tests.support.faults import SMALL, results

QUICK = [*SMALL, "train.steps=2", "model=lstm"]


def killed_starting(monkeypatch, times: int) -> None:
    """The server is killed `times` times while it starts a process."""
    real, left = worker.fork_process, [times]

    def fork(given):
        if left[0]:
            left[0] -= 1
            worker.start_server()
            server = forkserver._forkserver._forkserver_pid
            os.kill(server, signal.SIGSTOP)
            threading.Timer(0.3, os.kill, (server, signal.SIGKILL)).start()
        return real(given)

    monkeypatch.setattr(worker, "fork_process", fork)


def test_a_server_that_dies_while_a_process_starts_is_replaced(monkeypatch, capfd):
    assert call_in_process("look_up", []) == [] and capfd.readouterr()  # a server that an earlier test has killed is gone
    killed_starting(monkeypatch, 1)
    assert call_in_process("look_up", []) == []
    assert capfd.readouterr().err.count("a new one is started") == 1


def test_a_sweep_outlives_its_server(monkeypatch, capfd):
    killed_starting(monkeypatch, 2)
    assert main(["train", "-m", *QUICK, "seed=0,1", "hydra.launcher.workers=2"]) == 0
    out, err = capfd.readouterr()
    assert "2 of 2 runs recorded" in out and 1 <= err.count("a new one is started") <= 2 and "Traceback" not in err
    assert len(results("runs")) == 2


@pytest.mark.parametrize(
    "error, tries, said",
    [
        (EOFError(), worker.SERVERS, "died 3 times"),
        (ConnectionRefusedError(111, "refused"), worker.SERVERS, "died 3 times"),
        (OSError(24, "Too many open files"), 1, "Too many open files"),
        (OSError(12, "Cannot allocate memory"), 1, "Cannot allocate memory"),
    ],
)
def test_starting_is_tried_a_bounded_number_of_times(error, tries, said, monkeypatch):
    tried = []

    def fork(given):
        tried.append(given)
        raise error

    monkeypatch.setattr(worker, "fork_process", fork)
    with pytest.raises(NoProcess, match=said):
        WorkerProcess("look_up", [])
    assert len(tried) == tries


def job(seed: int) -> Job:
    (settings,) = compose_jobs(["task=adding", "model=lstm", f"seed={seed}", "sweep=s", "trainer=cpu"], sweep=False)
    return Job(settings, f"seed={seed}", RunFolder(Path(f"runs/adding/lstm/s{seed}-x")), f"x{seed}", "x", 10)


def test_where_no_process_can_be_started_the_job_waits_for_one_that_runs(monkeypatch, capfd):
    def none(*_):
        raise NoProcess("no process can be started: Too many open files")

    monkeypatch.setattr(pool, "WorkerProcess", none)
    full = Pool([job(0), job(1)], workers=30, retries=2, keep_going=True)
    full.running["other"] = job(2), None
    assert not full.begin(job(0), {})
    assert (full.workers, [one.id for one in full.queue], full.failed) == (1, ["x0"], {})
    full.running.clear()
    assert not full.begin(job(1), {})
    assert list(full.failed) == ["x1"] and full.stopping and not full.queue
    assert "failed: adding/lstm/s1-x: no process can be started" in capfd.readouterr().err


@pytest.mark.parametrize(
    "files, free, most, why",
    [
        (1024, 10**12, 246, "ulimit -n 1024"),
        (64, 10**12, 6, "ulimit -n 64"),
        (16, 10**12, 1, "ulimit -n 16"),
        (resource.RLIM_INFINITY, 10**9, 5, "1.0 GB of memory"),
        (1024, 0, 1, "0.0 GB of memory"),
    ],
)
def test_files_and_memory_bound_the_workers(files, free, most, why, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    monkeypatch.setattr(capacity, "free_memory", lambda: free)
    found, said = most_workers()
    assert found == most and why in said


def test_memory_is_read_from_the_system():
    assert 10**6 < capacity.free_memory() < 10**15


def test_a_sweep_completes_with_few_open_files():
    words = " ".join([*QUICK, "seed=0,1,2", "hydra.launcher.workers=30"])
    command = f"ulimit -n 48; exec {sys.executable} -m rnnbench train -m {words}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "2 at a time in place of 30: no more files may be open (ulimit -n 48)" in done.stdout
    assert "3 of 3 runs recorded" in done.stdout


# shared memory


@pytest.mark.parametrize("words", [["train", *QUICK], ["train", "-m", *QUICK, "seed=0,1"]])
def test_shared_memory_too_small_for_workers_is_refused(words, monkeypatch, capfd):
    usage = namedtuple("usage", "total used free")(65536, 0, 65536)
    monkeypatch.setattr(sweep, "SHARED", Path("/"))
    monkeypatch.setattr(sweep.shutil, "disk_usage", lambda _: usage)
    assert main([*words, "trainer.workers=2"]) == 2
    err = capfd.readouterr().err
    assert "trainer.workers=2 needs 256 kB of shared memory, and / has 64 kB free; allowed: trainer.workers=0" in err
    assert not Path("runs").exists()


def test_workers_send_no_tensor(monkeypatch):
    from rnnbench.run.plan import make_task

    (settings,) = compose_jobs(["task=adding", "model=lstm", "task.length=6"], sweep=False)
    task = make_task(settings)
    task.prepare()
    batches = EvaluationBatches(task, "validation", 100, (0, 1))
    expected = next(iter(loader(batches, 0)))
    info = namedtuple("info", "id num_workers")(0, 1)
    monkeypatch.setattr(loading, "get_worker_info", lambda: info)
    sent = next(iter(batches))
    assert {type(part).__name__ for part in sent if part is not None} == {"ndarray"}
    received = next(iter(loader(batches, 0)))  # which makes tensors of them
    for ours, theirs in zip(received, expected, strict=True):
        assert (ours is None) == (theirs is None)
        assert ours is None or (ours.dtype == theirs.dtype and ours.equal(theirs))


# home


@pytest.fixture
def homeless(monkeypatch, tmp_path):
    def nobody(*_):
        raise KeyError("getpwuid(): uid not found")

    for name in ("HOME", "LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"rnnbench-{os.getuid()}"


def test_a_user_without_an_entry_and_a_home_can_train(homeless, capfd):
    assert main(["train", *QUICK, "tracker=auto"]) == 0
    assert Path.home() == homeless and homeless.stat().st_mode & 0o777 == 0o700
    assert os.environ["LOGNAME"] == str(os.getuid())


def test_a_home_of_somebody_elses_is_not_used(homeless, tmp_path):
    (tmp_path / "theirs").mkdir()
    homeless.symlink_to(tmp_path / "theirs")
    ensure_home()
    assert Path.home() != homeless and Path.home().is_dir() and not any((tmp_path / "theirs").iterdir())


# planning


def test_long_planning_says_how_far_it_is(monkeypatch, capfd):
    assert list(counted(range(3), "of 3 runs checked")) == [0, 1, 2]
    assert capfd.readouterr().out == ""
    monkeypatch.setattr(console, "FIRST", -1)
    assert list(counted(range(3), "of 3 runs checked")) == [0, 1, 2]
    assert capfd.readouterr().out == "0 of 3 runs checked\n"


def test_a_long_answer_is_announced(monkeypatch, capfd):
    monkeypatch.setattr(worker, "FIRST", 0.0)
    assert call_in_process("look_up", [], "planning 0 runs") == []
    assert capfd.readouterr().out.startswith("planning 0 runs, 0 s so far\n")
