"""Who holds a run: one process of one host, and who was taken over writes no more."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from rnnbench.cli.main import main
from rnnbench.config.winners import add_winners
from rnnbench.launch.manifest import write_manifest
from rnnbench.store import lease
from rnnbench.store.lease import Held, Lease, Lost, Watch, take
from rnnbench.store.run_folder import RunFolder
from tests.launch.test_jobs import stand_in

RUN = Path("run")


@pytest.fixture(autouse=True)
def quick(clean, monkeypatch) -> None:
    RUN.mkdir()
    monkeypatch.setattr(lease, "BEAT", 0.05)
    monkeypatch.setattr(lease, "SILENCE", 0.6)


@contextlib.contextmanager
def another_host(name: str = "elsewhere"):
    before, lease.HOST = lease.HOST, name
    try:
        yield
    finally:
        lease.HOST = before


def holder(*, host: str = "", lines: str = "time.sleep(60)") -> subprocess.Popen:
    """A process that holds RUN and then does `lines`."""
    code = f"""
import pathlib, sys, time
from rnnbench.store import lease
lease.BEAT = 0.05
lease.HOST = {host!r} or lease.HOST
held = lease.take(pathlib.Path({str(RUN)!r}))
print("held", flush=True)
{lines}
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_one_holds_and_a_generation_never_comes_again():
    first = take(RUN)
    assert Watch(RUN).holder() == f"process {os.getpid()} on {lease.HOST.partition('/')[0]}"
    with pytest.raises(Held, match=f"process {os.getpid()}"):
        take(RUN)
    first.check()
    first.release()
    assert Watch(RUN).holder() is None
    second = take(RUN)
    assert (first.generation, second.generation) == (1, 2)
    assert [path.name for path in RUN.iterdir()] == ["lease-2"]
    second.release()
    assert (RUN / "lease-2").read_bytes() == b""


def test_the_count_rises():
    held = take(RUN)
    counts = set()
    for _ in range(30):
        counts.add(json.loads((RUN / "lease-1").read_text())["count"])
        time.sleep(0.02)
    assert len(counts) > 2
    held.release()


def test_a_killed_holder_of_this_host_is_followed_at_once():
    process = holder()
    with pytest.raises(Held, match=str(process.pid)):
        take(RUN)
    process.kill()
    process.communicate()
    said: list[str] = []
    take(RUN, said.append).release()
    assert not said  # nobody was waited for


def test_a_childs_copy_of_the_lock_does_not_outlive_the_holder():
    process = holder(
        lines="import os\nif os.fork() == 0:\n    print(os.getpid(), flush=True)\n    time.sleep(30)\ntime.sleep(30)"
    )
    assert process.stdout is not None
    child = int(process.stdout.readline())
    process.kill()
    process.wait()
    take(RUN).release()
    os.kill(child, signal.SIGKILL)


def test_another_host_waits_for_silence_and_only_then_takes_over():
    process = holder()
    with another_host():
        with pytest.raises(Held, match=str(process.pid)):  # its count rises
            take(RUN)
        process.send_signal(signal.SIGSTOP)
        said: list[str] = []
        began = time.monotonic()
        held = take(RUN, said.append)
        assert 0.5 < time.monotonic() - began < 5
        assert len(said) == 1 and "taken over unless" in said[0]
    process.kill()
    process.communicate()
    held.check()
    held.release()


def test_a_dead_holder_elsewhere_whose_lock_was_never_seen():
    with another_host():
        process = holder(host="elsewhere")
    process.kill()
    process.communicate()
    began = time.monotonic()
    take(RUN).release()
    assert 0.5 < time.monotonic() - began < 5


def test_whoever_was_taken_over_writes_nothing_more():
    folder = RunFolder(RUN)
    (RUN / "checkpoints").mkdir()
    with folder.lease() as late:
        log = late.open_log()
        log.append(1, {"loss": 1.0}, {})
        late.hold._over.set()  # asleep: its count stands still
        with another_host(), folder.lease() as new:
            again = new.open_log(log.offsets())
            for write in (
                lambda: late.save_checkpoint(2, b""),
                lambda: late.finish({}),
                lambda: late.save_weights(b""),
                lambda: late.start({}),
                lambda: log.append(2, {"loss": 2.0}, {}),
            ):
                with pytest.raises(Lost):
                    write()
            log._files[0].write(b"what was under way between the check and the write\n")
            log.close()
            again.append(2, {"loss": 3.0}, {})
            new.finish({"seed": 0})
            again.close()
        with pytest.raises(Lost):  # also after the other has let go
            late.check()
    assert folder.metrics() == [{"step": 1, "loss": 1.0}, {"step": 2, "loss": 3.0}]


def test_a_removed_folder_is_noticed():
    with RunFolder(RUN).lease() as held:
        for path in RUN.iterdir():
            path.unlink()
        with pytest.raises(Lost):
            held.check()


def test_a_checkpoint_whose_half_was_tidied_away_is_a_run_lost_not_a_failure(monkeypatch):
    def taken_over(path, data, once):
        late.hold._over.set()  # asleep between the check and the write
        with another_host(), folder.lease():
            raise FileNotFoundError(path)

    folder = RunFolder(RUN)
    with folder.lease() as late:
        monkeypatch.setattr("rnnbench.store.run_folder.write_atomically", taken_over)
        with pytest.raises(Lost):
            late.save_checkpoint(2, b"")


def test_of_many_that_try_at_once_one_has_it():
    taken: list[Lease] = []
    barrier = threading.Barrier(8)

    def race() -> None:
        barrier.wait()
        with contextlib.suppress(Held):
            taken.append(take(RUN))

    for _ in range(20):
        threads = [threading.Thread(target=race) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(taken) == 1
        taken.pop().release()


@pytest.mark.parametrize("broken", ["no locks", "locks without effect"])
def test_a_folder_whose_locks_do_not_work_is_refused(broken, monkeypatch, capfd):
    def flock(file: int, how: int) -> None:
        if broken == "no locks":
            raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    RUN.rmdir()
    assert main(["train", "task=adding", "model=lstm", "tracker=none"]) == 2
    err = capfd.readouterr().err
    assert "lock" in err and "runs=" in err and err.count("\n") == 1
    assert list(Path().iterdir()) == []


def test_nfs_locks_files_that_are_open_for_writing(monkeypatch):
    """There an exclusive lock of a file that is open for reading alone, such as a folder, is refused, flock(2)."""
    locks = fcntl.flock

    def flock(file: int, how: int) -> None:
        if how & fcntl.LOCK_EX and fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        locks(file, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    lease.try_locks(Path())
    held = take(RUN)
    assert Watch(RUN).holder()
    held.release()
    assert Watch(RUN).holder() is None
    add_winners(Path("winners.yaml"), {"adding": {"gru": {"train.clip": 1.0}}})
    write_manifest(Path("runs"), "s", [stand_in(1, "x")])
