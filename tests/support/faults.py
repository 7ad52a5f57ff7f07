"""What a sweep must survive, with real processes and real signals. `make faults` plays each many times and prints a table.

A round starts a sweep, lets the fault happen at a random moment, gives the same command again until it ends well, and then
asks for one record a run, with every logged number and every weight bitwise those of a sweep that nothing happened to.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rnnbench.launch.manifest import read_manifest
from rnnbench.store.lease import newest
from rnnbench.store.run_folder import RunFolder

SMALL = ["task=adding", "task.length=6", "task.sequences=40", "train.batch_size=8", "model.hidden_size=8", "tracker=none"]
LONG = [*SMALL, "train.steps=500", "train.eval_every=250", "train.stop_when_solved=false", "trainer.save_seconds=0.2"]
SWEEP = ["model=lstm,gru", "seed=0,1", "sweep=s"]
Results = dict[str, tuple[list, bytes]]


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "rnnbench", "train", "-m", *words]


def start(*words: str, limit: int = 0) -> subprocess.Popen:
    """The sweep, with files of at most `limit` bytes."""

    def before() -> None:
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

    return subprocess.Popen(command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=before)


def kill(pid: int, number: int = signal.SIGKILL) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def holders() -> dict[str, int]:
    """The processes that hold runs, by the runs' names; only living ones that were started here: a number may come again."""
    here = str(Path.cwd())
    return {name: pid for name, pid in begun().items() if place_of(pid) == here}


def place_of(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return ""


def begun() -> dict[str, int]:
    """The processes that hold unfinished runs, or held them when they died, by the runs' names."""
    found = {}
    for path in Path("runs").glob("*/*/s*"):
        try:
            text = (path / f"lease-{newest(path)}").read_text()
        except FileNotFoundError:
            continue
        if text and not (path / "record.json").exists():
            found["/".join(path.parts[-3:])] = int(json.loads(text)["pid"])
    return found


def results(root: Path | str = "runs") -> Results:
    """Metrics and weights of every recorded run; a record that is damaged raises."""
    folders = [RunFolder(path.parent) for path in Path(root).glob("*/*/*/record.json")]
    return {"/".join(f.path.parts[-3:]): (f.metrics(), f.weights.read_bytes()) for f in folders if f.record()}


def until(condition: Callable[[], object], process: subprocess.Popen, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()  # else its output would never end
            raise AssertionError(process.communicate())
        time.sleep(0.01)


def checkpoints() -> list[Path]:
    return sorted(Path("runs").glob("*/*/*/checkpoints/*.pt"), reverse=True)


# The faults: each is done to a sweep that runs


def one_job(sweep: subprocess.Popen) -> None:
    kill(next(iter(holders().values())))


def all_jobs(sweep: subprocess.Popen) -> None:
    for pid in holders().values():
        kill(pid)


def the_launcher(sweep: subprocess.Popen) -> None:
    sweep.kill()


def everything(sweep: subprocess.Popen) -> None:
    sweep.send_signal(signal.SIGSTOP)  # so that it starts nothing meanwhile
    for pid in [*children(sweep.pid), *holders().values(), sweep.pid]:
        kill(pid)
    all_jobs(sweep)


def children(pid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == pid:
            found += [int(path.parent.name), *children(int(path.parent.name))]
    return found


def terminated(sweep: subprocess.Popen) -> None:
    sweep.send_signal(signal.SIGTERM)


def preempted(sweep: subprocess.Popen) -> None:
    for pid in holders().values():
        kill(pid, signal.SIGUSR1)


def two_launchers(sweep: subprocess.Popen) -> None:
    other = start(*LONG, *SWEEP)
    _, err = other.communicate(timeout=300)
    assert other.returncode == 0, err


def bit_flipped(sweep: subprocess.Popen) -> None:
    everything(sweep)
    for path in checkpoints()[::2]:
        data = bytearray(path.read_bytes())
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
        path.write_bytes(data)


def truncated(sweep: subprocess.Popen) -> None:
    everything(sweep)
    for path in checkpoints()[::2]:
        os.truncate(path, random.randrange(path.stat().st_size))


def log_cut(sweep: subprocess.Popen) -> None:
    everything(sweep)
    for name in begun():
        path = Path("runs") / name / random.choice(("metrics.jsonl", "timings.jsonl"))
        if path.exists():
            os.truncate(path, random.randint(0, path.stat().st_size))


def folder_removed(sweep: subprocess.Popen) -> None:
    shutil.rmtree(Path("runs") / random.choice(list(holders())), ignore_errors=True)


ELSEWHERE = """
import sys
from rnnbench.store import lease
lease.HOST, lease.SILENCE = "elsewhere/0", 1.5
from rnnbench.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def suspended(sweep: subprocess.Popen) -> None:
    """A holder sleeps, another host takes its run over, the holder wakes up."""
    name, pid = random.choice(list(holders().items()))
    words = read_manifest(Path("runs/sweeps/s"))[name]["words"].split()
    if not kill(pid, signal.SIGSTOP):
        return
    other = [sys.executable, "-c", ELSEWHERE, "train", *LONG, *words, "sweep=s"]
    taker = subprocess.Popen(other, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(random.choice((4, 8)))
    kill(pid, signal.SIGCONT)  # while the other trains, or after
    out, err = taker.communicate(timeout=120)
    assert taker.returncode == 0, err
    assert "taken over unless" in out or "recorded before" in out, out


FAULTS: dict[str, Callable[[subprocess.Popen], None]] = {
    "kill -9 a job": one_job,
    "kill -9 several jobs": all_jobs,
    "kill -9 the launcher alone": the_launcher,
    "kill -9 everything": everything,
    "SIGTERM to the launcher": terminated,
    "SIGUSR1 to the jobs": preempted,
    "two launchers at once": two_launchers,
    "bit flipped in checkpoints": bit_flipped,
    "checkpoints truncated": truncated,
    "logs cut": log_cut,
    "run folder removed": folder_removed,
    "suspended, taken over, woken": suspended,
    "disk full": lambda sweep: None,  # from its start
}
# What needs more than a sweep and a signal is a test of its own.
TESTED = {
    "out of memory in one job": "launch/test_launcher.py::test_one_that_fails_by_its_own_error_is_named_and_the_rest_goes_on",
    "a loss that is no number": "launch/test_launcher.py::test_a_loss_that_is_no_number_is_recorded_and_not_retried",
    "clocks jump by hours": "launch/test_surroundings.py::test_clocks_that_jump_by_hours_change_nothing",
    "folder turns read-only": "launch/test_surroundings.py::test_a_folder_turns_read_only_in_the_middle_of_a_sweep",
    "preempted: seconds to save": "launch/test_surroundings.py::test_asked_to_end_its_checkpoint_is_there_within_two_seconds",
    "code or torch changed": "launch/test_launcher.py::test_a_checkpoint_made_by_other_code_is_refused_or_accepted_on_record",
    "W&B gone, 500, slow, killed": "tracking/test_tracking.py::test_training_outlives_its_mirror",
    "W&B lost in a sweep": "tracking/test_sync.py::test_a_server_lost_half_way_through_a_sweep",
    "worker of a search killed": "search/test_search.py::test_two_workers_start_together_and_one_is_killed",
    "SLURM preempts (submitit)": "launch/test_clusters.py::test_a_preempted_job_saves_and_is_queued_again",
    "a Ray node killed": "launch/test_clusters.py::test_a_ray_node_is_lost_and_its_jobs_are_finished_elsewhere",
    "no folder, or none to write": "cli/test_bad_input.py::test_refused_in_one_line",
}
# What the tests play, once.
SHORT = ("kill -9 several jobs", "two launchers at once", "logs cut")
GOES_ON = {one_job, all_jobs, preempted, two_launchers, folder_removed, suspended}  # the launcher itself ends well


def undisturbed(root: Path | str) -> Results:
    subprocess.run(command(*LONG, *SWEEP, f"runs={root}"), check=True, capture_output=True)
    return results(root)


def play(name: str, expected: Results) -> None:
    """One round in the current folder, which is empty. AssertionError where it went wrong."""
    full = name == "disk full"
    sweep = start(*LONG, *SWEEP, limit=random.choice((200, 3000, 30000)) if full else 0)
    try:
        if not full:
            until(holders, sweep)
            time.sleep(random.random() * 3)
            if holders() and sweep.poll() is None:
                FAULTS[name](sweep)
        _, err = sweep.communicate(timeout=300)
        if full:
            assert sweep.returncode == 1 and "File too large" in err and "Traceback" not in err, err
        if FAULTS[name] in GOES_ON:
            assert sweep.returncode == 0, err
        done = subprocess.run(command(*LONG, *SWEEP), capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
    finally:
        sweep.kill()
        sweep.communicate()
    found = results()
    assert set(found) == set(expected), "records missing"
    for run, numbers in expected.items():
        assert found[run] == numbers, f"{run}: other numbers than undisturbed"


def main(rounds: int, names: Sequence[str]) -> int:
    """Every fault `rounds` times."""
    home, wrong = Path.cwd(), 0
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        expected = undisturbed("undisturbed")
        print(f"{'fault':30} {'rounds':>6} {'right':>6} {'seconds a round':>16}   (4 runs each, compared bitwise)")
        for name in names:
            right, seconds, said = 0, [], set()
            for number in range(rounds):
                folder = Path(place, f"{name}-{number}".replace(" ", "_"))
                folder.mkdir()
                os.chdir(folder)
                began = time.monotonic()
                try:
                    play(name, expected)
                    right += 1
                except (AssertionError, subprocess.TimeoutExpired) as error:
                    said.add(" ".join(str(error).split())[-300:])
                seconds.append(time.monotonic() - began)
                for pid in holders().values():
                    kill(pid)
                os.chdir(place)
                shutil.rmtree(folder)
            wrong += rounds - right
            print(f"{name:30} {rounds:6} {right:6} {sum(seconds) / rounds:16.1f}   {'; '.join(said)}", flush=True)
    print(*(f"{name:30} tests/{test}" for name, test in TESTED.items()), sep="\n")
    os.chdir(home)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:] or list(FAULTS)))
