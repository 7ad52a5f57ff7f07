"""What a machine does to a sweep: a folder that turns read-only, clocks that jump, an end that is asked for in a hurry."""

from __future__ import annotations

import datetime
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rnnbench.cli.main import main
from rnnbench.store.run_folder import RunFolder
from tests.support import faults
from tests.support.faults import LONG, SWEEP, checkpoints, command, holders, kill, results, until

# Root writes into read-only folders by a capability; without it, it is as everybody else.
REFUSABLE = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"] if os.getuid() == 0 else []


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> faults.Results:
    return faults.undisturbed(tmp_path_factory.mktemp("undisturbed"))


@pytest.mark.slow
def test_a_folder_turns_read_only_in_the_middle_of_a_sweep(undisturbed: faults.Results) -> None:
    """One line a job, what was recorded stays as it is, and once it can be written again the same command continues."""
    if REFUSABLE and not shutil.which("setpriv"):
        pytest.skip("root can write everywhere, and there is no setpriv to make it less")
    words = [*REFUSABLE, *command(*LONG, *SWEEP, "hydra.launcher.workers=2")]
    sweep = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until(lambda: list(Path("runs").glob("*/*/*/record.json")), sweep)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in Path("runs").glob("*/*/*/record.json")}
    folders = [path for path in [Path("runs"), *Path("runs").rglob("*")] if path.is_dir()]
    for folder in folders:
        folder.chmod(0o555)
    out, err = sweep.communicate(timeout=120)
    assert sweep.returncode == 1 and "Permission denied" in err and "the same command continues" in err, out + err
    assert "Traceback" not in err and "started again" not in out
    for path, (text, stamp) in before.items():
        assert (path.read_bytes(), path.stat().st_mtime_ns) == (text, stamp)
    for folder in folders:
        folder.chmod(0o755)
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert results() == undisturbed


def test_what_only_reads_asks_for_no_folder_to_write_to(capfd: pytest.CaptureFixture[str]) -> None:
    Path("runs").write_text("a file")
    good = ["task=adding", "model=lstm"]
    for words in (
        ["table", "bai2018", "--rows", "adding_200"],
        ["reproduce", "bai2018", "--rows", "adding_200", "--columns", "lstm", "--scale", "laptop", "--estimate"],
        ["train", "--help"],
        ["train", *good, "--cfg", "job"],
        ["list", "models", "--budget", "70k"],
    ):
        assert main(words) == 0, (words, capfd.readouterr().err)
    for words in (["train", *good], ["train", "-m", *good], ["reproduce", "bai2018", "--rows", "adding_200"]):
        assert main(words) == 2, words
        assert "no folder can be written there" in capfd.readouterr().err


@pytest.mark.parametrize("shell", ["{} | head -1", "{} >&-", "PYTHONIOENCODING=ascii {}"])
@pytest.mark.parametrize(
    "words",
    [
        ["train", "-m", "task=adding", "model=rnn,gru", "task.length=6", "train.steps=3", "tracker=none"],
        ["train", "task=adding", "model=rnn", "task.length=6", "train.steps=3", "tracker=none"],
        ["table", "bai2018", "--rows", "jsb"],
    ],
)
def test_an_output_that_takes_less_is_no_reason_to_fail(words: list[str], shell: str) -> None:
    line = shell.format(" ".join([sys.executable, "-m", "rnnbench", *words]))
    done = subprocess.run(["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    if words[0] == "train":
        assert len(list(Path("runs").rglob("record.json"))) == (2 if "-m" in words else 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_asked_to_end_its_checkpoint_is_there_within_two_seconds(number: signal.Signals) -> None:
    """Of the step's end; the checkpoint would otherwise come after an hour."""
    words = [*LONG, "model=lstm", "train.steps=1000000", "train.eval_every=1000000", "trainer.save_seconds=3600"]
    words += ["model.hidden_size=256", "task.length=200"]
    process = subprocess.Popen(
        [sys.executable, "-m", "rnnbench", "train", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        until(lambda: [path for path in Path("runs").rglob("timings.jsonl") if path.stat().st_size], process)
        assert not checkpoints()
        began = time.monotonic()
        process.send_signal(number)
        until(checkpoints, process, 30)
        took = time.monotonic() - began
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    (path,) = Path("runs").glob("*/*/*")
    step = 1 / RunFolder(path).rows()[-1]["steps_per_second"]
    print(f"{number.name}: a checkpoint after {took:.2f} s; a step takes {step:.3f} s")
    assert took < step + 2.0
    assert process.returncode == 128 + number and "the same command continues from there" in err, out + err


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_signal_to_all_processes_of_a_terminal_leaves_no_job_running(number: signal.Signals) -> None:
    """The server that jobs are forked from gets it, too, and must not die of it: the launcher would lose sight of them."""
    words = [*command(*LONG, *SWEEP), "train.steps=100000", "hydra.launcher.workers=2", "trainer.save_seconds=1"]
    sweep = subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # a launcher ignores what nohup ignores
    )
    try:
        until(lambda: len(checkpoints()) > 1 and len(holders()) == 2, sweep)
        os.killpg(sweep.pid, number)
        out, err = sweep.communicate(timeout=60)
        assert "2 running jobs save a checkpoint" in out + err and sweep.returncode == 128 + number, out + err
        assert not holders()
    finally:
        sweep.kill()
        for pid in holders().values():
            kill(pid)


# Goes into every Python process that finds it: the time of day is off by up to two days, otherwise at every look.
CLOCKS = """
import datetime, random, time

chance, real, real_ns = random.Random(), time.time, time.time_ns
def jump():
    return chance.uniform(-48, 48) * 3600
time.time = lambda: real() + jump()
time.time_ns = lambda: real_ns() + int(jump() * 1e9)

class Jumping(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.fromtimestamp(time.time(), tz)

datetime.datetime = Jumping
"""


@pytest.mark.slow
def test_clocks_that_jump_by_hours_change_nothing(
    tmp_path: Path, undisturbed: faults.Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two launchers of one sweep, and a job that is killed: one record a run, each made once, with the usual numbers."""
    folder = tmp_path / "clocks"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(CLOCKS)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    both = [faults.start(*LONG, *SWEEP) for _ in range(2)]
    try:
        until(checkpoints, both[0])
        killed = next(iter(holders().values()), 0)
        assert not killed or kill(killed)
        said = [sweep.communicate(timeout=300) for sweep in both]
    finally:
        for sweep in both:
            sweep.kill()
    assert [sweep.returncode for sweep in both] == [0, 0], said
    out = said[0][0] + said[1][0]
    assert out.count(" steps in ") == 4 and "was killed by SIGKILL" in out, out
    assert results() == undisturbed
    records = [RunFolder(path.parent).record() or {} for path in Path("runs").glob("*/*/*/record.json")]
    began, ended = ([datetime.datetime.fromisoformat(record[key]) for record in records] for key in ("started", "ended"))
    off = [abs((end - begin).total_seconds()) for begin, end in zip(began, ended, strict=True)]
    assert max(off) > 3600  # they did jump
