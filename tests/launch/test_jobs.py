"""How far a sweep has come, what it will take, and what can be removed: read from plain files."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from rnnbench.analysis.formatting import format_duration
from rnnbench.cli.main import main
from rnnbench.config.compose import compose_jobs
from rnnbench.launch import prepare
from rnnbench.launch.costs import Pace, expect_costs
from rnnbench.launch.manifest import Job, read_manifest, write_manifest
from rnnbench.launch.pool import Pool
from rnnbench.launch.status import KINDS
from rnnbench.store.run_folder import RunFolder
from tests.support.records import filled

TINY = ["task=adding", "task.length=6", "task.sequences=40", "train.batch_size=8", "model.hidden_size=8", "tracker=none"]


SETTINGS = compose_jobs(["task=adding", "model=lstm", "sweep=s"], sweep=False)[0]


def stand_in(steps: int, setting: str, length: int = 10, model: str = "lstm") -> Job:
    folder = RunFolder(Path(f"runs/adding/{model}/s{steps}-{setting}"))
    settings = replace(SETTINGS, train=replace(SETTINGS.train, steps=steps))
    return Job(settings, f"steps={steps}", folder, f"{setting}{steps}", setting, length)


def record(setting: str, steps: int = 100, seconds: float = 50.0) -> dict:
    speed = {"seconds": seconds}
    return filled({"setting": setting, "steps": steps, "speed": speed})


def begin(job: Job, step: int = 0) -> None:
    job.folder.start({"task": {"name": "adding"}, "model": {"name": "lstm"}})
    if step:
        job.folder.save_checkpoint(step, b"weights")


def test_what_jobs_are_expected_to_take():
    done = stand_in(7, "done")
    begin(done)
    done.folder.finish(record("known"))
    sister, cousin = stand_in(100, "known"), stand_in(400, "other")
    stranger = stand_in(100, "far", length=40, model="gru")
    assert expect_costs([sister, cousin, stranger]) == 2
    assert [job.expected for job in (sister, cousin, stranger)] == [50, 200, 200]


def test_what_is_left_goes_by_jobs_of_the_same_task_and_model():
    slow, other, unknown = stand_in(10, "a", model="gru"), stand_in(10, "b"), stand_in(10, "c", model="rnn")
    for job in (slow, other, unknown):
        job.expected = 2.0
    pace = Pace()
    assert pace.expects(slow) is None
    pace.took(slow, 10.0)
    assert [pace.expects(job) for job in (slow, other)] == [10.0, 10.0]
    pace.took(other, 2.0)
    assert [pace.expects(job) for job in (slow, other, unknown)] == [10.0, 2.0, 6.0]
    pool = Pool([], workers=2, retries=0, keep_going=True)
    assert pool._seconds_left(0.0) is None  # nothing is left, or only others are waited for
    pool.queue.extend([slow, other])
    assert pool._seconds_left(0.0) is None
    pool._pace = pace
    assert pool._seconds_left(0.0) == 6.0


@pytest.fixture
def sweep() -> dict[str, Job]:
    """One run of each kind."""
    made = {kind: stand_in(number, kind) for number, kind in enumerate(KINDS, start=1)}
    for kind in ("recorded", "running", "interrupted", "failed", "damaged"):
        begin(made[kind], step=0 if kind == "failed" else 40)
    made["recorded"].folder.finish(record("x"))
    made["failed"].folder.fail("out of memory")
    (made["damaged"].folder.path / "record.json").write_bytes(b"\xff")
    write_manifest(Path("runs"), "s", made.values())
    return made


def test_status_names_every_run_that_is_not_recorded(sweep, capfd):
    with sweep["running"].folder.lease():
        assert main(["status", "s"]) == 0
        out = capfd.readouterr().out.splitlines()
    assert out[0] == "sweep s: 6 runs: 1 recorded, 1 running, 1 interrupted, 1 failed, 1 damaged, 1 missing"
    assert out[1:3] == ["  1 failed: out of memory", f"    {sweep['failed'].folder.path}  steps=4"]  # trouble first
    assert [line.split()[0] for line in out[3:]] == ["damaged", "interrupted", "running", "missing"]
    assert f"at step 40, by process {os.getpid()}" in out[5]
    assert "no record" in out[3] and "at step 40" in out[4] and "steps=6" in out[6]
    assert main(["status", "runs/adding"]) == 0  # what has a folder
    assert "5 runs: 1 recorded, 2 interrupted, 1 failed, 1 damaged" in capfd.readouterr().out
    assert main(["status"]) == 0
    assert capfd.readouterr().out == "sweep s: 6 runs, 1 recorded, 1 failed, 1 damaged, 2 interrupted, 1 missing\n"


def test_status_counts_what_diverged_and_groups_failures_by_reason(capfd):
    jobs = [stand_in(number, "x") for number in range(7)]
    for number, job in enumerate(jobs):
        begin(job)
        if number < 4:
            odd = {"status": "diverged", "diverged_step": 7} if number < 3 else {}
            job.folder.finish(filled({"setting": "x", **odd}))
        else:
            of_run = f"{job.name}: " if number == 5 else ""  # which a reason may begin with
            job.folder.fail(f"{of_run}out of memory, after a peak of {number} MB: [x]" if number < 6 else "no space")
    write_manifest(Path("runs"), "s", jobs)
    assert main(["status", "s"]) == 0
    places = [str(job.folder.path) for job in jobs]
    assert capfd.readouterr().out.splitlines() == [
        "sweep s: 7 runs: 4 recorded (3 diverged), 3 failed",
        "  2 failed: out of memory",
        *(f"    {places[number]}  after a peak of {number} MB: [x]  steps={number}" for number in (4, 5)),
        "  1 failed: no space",
        f"    {places[6]}  steps=6",
        *(f"  diverged     {places[number]}  at step 7  steps={number}" for number in (0, 1, 2)),
    ]
    assert main(["status"]) == 0
    assert capfd.readouterr().out == "sweep s: 7 runs, 4 recorded (3 diverged), 3 failed\n"


def test_two_commands_of_one_name_are_one_sweep(sweep):
    write_manifest(Path("runs"), "s", [stand_in(9, "another")])
    assert len(read_manifest(Path("runs/sweeps/s"))) == 7


def add_each_by_itself(setting: str) -> None:
    for number in range(20):
        write_manifest(Path("runs"), "s", [stand_in(number, setting)])


def test_commands_of_one_name_at_one_time_lose_no_run():
    with multiprocessing.get_context("fork").Pool(4) as writers:
        writers.map(add_each_by_itself, "abcd", chunksize=1)
    assert len(read_manifest(Path("runs/sweeps/s"))) == 80


def test_prune_frees_old_checkpoints_of_what_nobody_runs_and_never_a_record(sweep, capfd):
    def left() -> set[str]:
        return {kind for kind, job in sweep.items() if list(job.folder.path.glob("checkpoints/*.pt"))}

    assert main(["prune", "s"]) == 0  # only what a recorded run no longer needs is old
    assert left() == {"running", "interrupted"}
    for job in sweep.values():
        for path in job.folder.path.glob("checkpoints/*.pt"):
            os.utime(path, (time.time() - 40 * 86400,) * 2)
    with sweep["running"].folder.lease():
        assert main(["prune", "--dry-run"]) == 0
        assert "would free" in capfd.readouterr().out and "interrupted" in left()
        assert main(["prune"]) == 0
    assert left() == {"running"}
    assert "was at step 40" in capfd.readouterr().out
    assert sweep["recorded"].folder.record()


def test_again_runs_what_the_folder_says(capfd):
    assert main(["train", *TINY, "model=gru", "train.steps=3", "runs=there", "seed=5"]) == 0
    (path,) = Path("there").glob("*/*/*/record.json")
    text = path.read_text()
    path.unlink()
    assert main(["train", "--again", str(path.parent), "trainer.save_seconds=9"]) == 0
    again, before = json.loads(path.read_text()), json.loads(text)
    assert again["id"] == before["id"] and again["scores"] == before["scores"]
    assert main(["train", "--again", str(path.parent)]) == 0
    assert "recorded before" in capfd.readouterr().out


def test_a_copy_is_not_gone_on_with(capfd):
    assert main(["train", *TINY, "model=gru", "train.steps=3", "runs=there"]) == 0
    (path,) = Path("there").glob("*/*/*/record.json")
    path.parent.rename("copy")
    assert main(["train", "--again", "copy"]) == 2
    assert "the run of its settings lies in" in capfd.readouterr().err
    assert not (Path.cwd().parent / "adding").exists()


def test_the_estimate_of_a_sweep_writes_nothing(capfd):
    assert main(["estimate", *TINY, "model=lstm,gru", "seed=0,1", "train.steps=10"]) == 0
    out = capfd.readouterr().out
    assert out.startswith("4 runs, 0 recorded before\n")
    assert "0 by recorded runs of the same settings, 4 by 2 short trials just now" in out and "disk  about" in out
    assert not Path("runs").exists()


def test_the_estimate_goes_by_the_steps_that_recorded_runs_made(monkeypatch):
    """Runs that end once they have solved their task: neither their evaluations nor their logs are those of all steps."""
    cost = {"step": 1.0, "evaluation": 60.0, "kept": 5e5, "logged": 1e4, "checkpoint": 0.0}
    monkeypatch.setattr(prepare, "call_in_process", lambda work, settings: cost)
    ended, job = stand_in(100, "a"), stand_in(5000, "a")
    begin(ended)
    ended.folder.finish(record("a", steps=100, seconds=50))
    evaluations = 2 + 100 // job.settings.train.eval_every
    lines = list(prepare.estimate_lines([job], 1))
    assert f"about {format_duration(50 + 60 * evaluations)} with 1 at a time" in lines[1] and "1 by recorded runs" in lines[2]
    assert "about 1.5 MB" in lines[3]
    (ended.folder.path / "record.json").unlink()
    assert "about 50.5 MB" in list(prepare.estimate_lines([job], 1))[3]
    whole, job.share = job.expected, 0.5
    _, shorter, _, shared, _ = prepare.estimate_lines([job], 1)
    evaluations = 1 + math.ceil(2500 / job.settings.train.eval_every)
    assert f"about {format_duration(2500 + 60 * evaluations)} with 1 at a time" in shorter
    assert prepare._end([50, 500, 30], 2) == 500 and prepare._end([50, 500, 30], 1) == 580
    assert f"1 by the steps that other models made; about {format_duration(whole)} if they make all their steps" in shared


def test_status_costs_what_the_sweep_costs_and_not_the_store(sweep, capfd):
    """Many runs in the store; a sweep of two hundred."""
    place = Path("runs/adding/lstm")
    for number in range(20_000):
        os.mkdir(place / f"s{number}-x")
    write_manifest(Path("runs"), "big", [stand_in(number, "x") for number in range(200)])
    began = time.monotonic()
    assert main(["status", "big"]) == 0
    expect_costs([stand_in(number, "x") for number in range(200)])
    assert time.monotonic() - began < 2  # seconds
