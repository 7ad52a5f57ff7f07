"""Sweeps through real processes and real signals: what is killed continues, and every number is as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from rnnbench.cli.main import main
from rnnbench.config.compose import compose_jobs
from rnnbench.config.schema import CONF, load_yaml
from rnnbench.config.settings import Settings
from rnnbench.groups import TrainerSettings
from rnnbench.launch import pool
from rnnbench.launch.gpus import Packing, gpu_memory, visible_gpus
from rnnbench.launch.manifest import Job, read_manifest
from rnnbench.launch.pool import Pool
from rnnbench.run import training_run
from rnnbench.run.provenance import provenance
from rnnbench.store.lease import newest
from rnnbench.store.own_files import MANIFEST_COPY
from rnnbench.store.run_folder import RunFolder
from tests.support import faults
from tests.support.faults import LONG, SMALL, SWEEP, checkpoints, command, holders, kill, results, until
from tests.support.records import filled

QUICK = [*SMALL, "train.steps=3"]
STARTED: list[subprocess.Popen] = []


def on_gpus(devices: int) -> Settings:
    (settings,) = compose_jobs(["task=adding", "model=lstm", "train.steps=1", "sweep=s"], sweep=False)
    return replace(settings, trainer=TrainerSettings(accelerator="gpu", devices=devices))


def start(*words: str) -> subprocess.Popen:
    STARTED.append(faults.start(*words))
    return STARTED[-1]


@pytest.fixture(autouse=True)
def nothing_runs_on(clean):
    yield
    for process in STARTED:
        process.kill()
    for pid in holders().values():  # a job that a test suspended holds its launcher's output open
        kill(pid)
    for process in STARTED:
        process.communicate()
    STARTED.clear()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> faults.Results:
    found = faults.undisturbed(tmp_path_factory.mktemp("undisturbed"))
    assert len(found) == 4
    return found


@pytest.mark.parametrize("fault", faults.SHORT)
def test_a_fault_costs_nothing_but_time(fault, undisturbed):
    faults.play(fault, undisturbed)


@pytest.mark.parametrize("test", faults.TESTED.values())
def test_the_table_of_faults_names_tests_that_there_are(test):
    file, _, name = test.partition("::")
    assert f"\ndef {name}(" in (Path(__file__).parents[1] / file).read_text(encoding="utf-8")


def test_a_sweep_is_recorded_and_then_answered_without_a_process(capfd, monkeypatch):
    words = ["train", "-m", *QUICK, *SWEEP, "hydra.launcher.workers=2"]
    assert main(words) == 0
    out = capfd.readouterr().out
    assert "sweep s: 4 runs, 0 recorded before, 2 at a time" in out and "4 of 4 runs recorded" in out
    assert len(results("runs")) == 4
    there = sorted(path.name for path in Path("runs/sweeps/s").iterdir())
    assert len(there) == 3 and there[::2] == [".lock", "manifest.json"] and MANIFEST_COPY.fullmatch(there[1])
    manifest = read_manifest(Path("runs/sweeps/s"))
    assert {about["words"] for about in manifest.values()} == {
        f"model={model} seed={seed}" for model in ("lstm", "gru") for seed in (0, 1)
    }
    assert set(manifest) == set(results("runs"))
    monkeypatch.setattr(pool, "WorkerProcess", None)
    assert main(words) == 0
    assert "4 recorded before" in capfd.readouterr().out
    assert not holders()


@pytest.mark.parametrize("launching", ["processes", "basic"])
def test_two_ways_of_saying_one_run_are_one_run(launching, capfd):
    irnn = load_yaml(CONF / "model/irnn.yaml")
    said = [f"model.{key}={json.dumps(value)}" for key, value in irnn.items() if key != "mechanism"]
    lines = ["model=irnn", " ".join(["model=rnn", *said])]
    Path("two.yaml").write_text(json.dumps({"shared": " ".join(QUICK), "runs": lines}))
    assert main(["sweep", "two.yaml", f"hydra/launcher={launching}"]) == 0
    assert "1 of 1 run recorded" in capfd.readouterr().out
    assert main(["status", "two"]) == 0
    assert capfd.readouterr().out == "sweep two: 1 run: 1 recorded\n"
    assert [name.split("/")[1] for name in results("runs")] == ["irnn"]


def test_one_that_fails_by_its_own_error_is_named_and_the_rest_goes_on(capfd):
    assert main(["train", "-m", *QUICK, "model=lstm", "model.hidden_size=8,5000000", "seed=0,1", "sweep=s", "runs=others"]) == 1
    out, err = capfd.readouterr()
    assert len(results("others")) == 2
    assert "2 of 4 runs failed, said above; `rnnbench status s --runs others` names them" in err and "Traceback" not in err
    for seed in (0, 1):
        (line,) = (line for line in err.splitlines() if f"[model.hidden_size=5000000 seed={seed}]" in line)
        assert line.count(f"adding/lstm/s{seed}-") == 1
    assert "out of memory, after a peak of" in err
    assert "started again" not in out
    failures = [message for path in Path("others").glob("*/*/s*") if (message := RunFolder(path).failure())]
    assert len(failures) == 2 and all(message.startswith("out of memory") for message in failures)  # `status` names the run


def test_it_stops_at_the_first_failure_where_asked(capfd):
    words = ["model=lstm", "model.hidden_size=5000000,8", "seed=0,1,2"]
    assert main(["train", "-m", *QUICK, *words, "hydra.launcher.keep_going=false", "hydra.launcher.workers=1"]) == 1
    assert "1 of 6 runs failed" in capfd.readouterr().err


def test_hydras_own_launcher_still_works(capfd):
    assert main(["train", "-m", *QUICK, *SWEEP, "hydra/launcher=basic"]) == 0
    assert len(results("runs")) == 4


def test_of_another_launcher_held_runs_and_damaged_records_are_named_and_the_rest_goes_on(capfd):
    words = ["train", "-m", *QUICK, *SWEEP, "hydra/launcher=basic"]
    assert main(words) == 0
    held, damaged, lost = (Path("runs") / name for name in sorted(results("runs"))[:3])
    for path in (held, lost):
        (path / "record.json").unlink()
    (damaged / "record.json").write_text("{}")
    capfd.readouterr()
    with RunFolder(held).lease():
        assert main(words) == 1
    out, err = capfd.readouterr()
    assert "4 runs, 1 recorded before" in out and "2 of 4 runs recorded" in out and "Traceback" not in err
    assert f"1 of 4 runs failed:\n  {damaged}/record.json: no record" in err
    assert f"1 of 4 runs are not recorded; the same command asks again:\n  {'/'.join(held.parts[1:])}  running" in err
    assert f"by process {os.getpid()}" in err
    assert main(words) == 1
    out, err = capfd.readouterr()
    assert "3 of 4 runs recorded" in out and "1 of 4 runs failed" in err and "not recorded" not in err
    assert main(words) == 1


@pytest.mark.parametrize(
    "word, said",
    [
        ("hydra.launcher.workers=0", "at least 1"),
        ("hydra.launcher.wrokers=2", "did you mean 'hydra.launcher.workers'"),
        ("hydra.launcher.keep_going=perhaps", "true or false"),
        ("hydra/launcher=proceses", "processes"),
    ],
)
def test_bad_options_are_refused(word, said, capfd):
    assert main(["train", "-m", *QUICK, *SWEEP, word]) == 2
    err = capfd.readouterr().err
    assert said in err and err.count("\n") == 1
    assert not Path("runs").exists()


def test_the_killed_launchers_jobs_run_on_and_are_waited_for(undisturbed):
    sweep = start(*LONG, *SWEEP, "hydra.launcher.workers=2")
    until(lambda: len(holders()) == 2 and checkpoints(), sweep)
    orphans = holders()
    sweep.kill()
    sweep.communicate()
    done = subprocess.run(command(*LONG, *SWEEP), capture_output=True, text=True, check=True)
    assert results("runs") == undisturbed
    for name in orphans:  # nobody else ran them
        assert newest(Path("runs") / name) == 1
        assert f"{name}  continues" not in done.stdout


def test_asked_to_stop_it_saves_and_the_same_command_goes_on(undisturbed):
    sweep = start(*LONG, *SWEEP)
    until(checkpoints, sweep)
    sweep.send_signal(signal.SIGINT)
    out, err = sweep.communicate(timeout=30)
    assert sweep.returncode == 128 + signal.SIGINT, out + err
    assert "save a checkpoint" in err and "Traceback" not in err
    assert not holders()
    done = subprocess.run(command(*LONG, *SWEEP), capture_output=True, text=True, check=True)
    assert "continues from step" in done.stdout
    assert results("runs") == undisturbed


def test_asked_twice_it_stops_now():
    sweep = start(*LONG, *SWEEP, "train.steps=2000000", "hydra.launcher.workers=2")
    until(lambda: len(holders()) == 2, sweep)
    pids = list(holders().values())
    for pid in pids:
        kill(pid, signal.SIGSTOP)  # cannot save anything
    sweep.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert sweep.poll() is None
    sweep.send_signal(signal.SIGINT)
    sweep.communicate(timeout=20)
    assert sweep.returncode == 130
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_job_that_dies_without_getting_further_is_given_up(capfd):
    (settings,) = compose_jobs(["task=adding", "model=lstm"], sweep=False)
    job = Job(settings, "seed=0", RunFolder(Path("runs/adding/lstm/s0-x")), "x", "x", 10)
    (job.folder.path / "checkpoints").mkdir(parents=True)
    doomed = Pool([job], workers=1, retries=2, keep_going=True)
    for step in (0, 0, 5, 5, 5):  # dies, but gets from 0 to 5 between
        if step:
            (job.folder.path / f"checkpoints/{step:09d}-{'0' * 64}.pt").touch()
        assert not doomed.failed
        doomed.again(job, -9, 812.0, stopped=False)
    assert list(doomed.failed.values()) == [
        f"{job.name}: was killed by SIGKILL after a peak of 812 MB, 3 times without getting further than step 5  [seed=0]"
    ]
    assert job.folder.failure()


def test_a_checkpoint_made_by_other_code_is_refused_or_accepted_on_record(monkeypatch, capfd):
    from rnnbench.training.learner import Learner

    words = ["train", *LONG, "model=lstm", "train.steps=60", "train.eval_every=20"]
    real = Learner.on_train_batch_end

    class Killed(BaseException):
        pass

    def dies(self, *arguments):
        real(self, *arguments)
        if self.step == 30:
            raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Learner, "on_train_batch_end", dies)
        main(words)
    monkeypatch.setattr(training_run, "provenance", lambda settings: {**provenance(settings), "torch": "9.9"})
    capfd.readouterr()
    assert main(words) == 1
    err = capfd.readouterr().err
    assert "torch:" in err and "-> 9.9" in err and "accept_changes=true" in err and "Traceback" not in err
    assert main([*words, "accept_changes=true"]) == 0
    (record,) = [RunFolder(path.parent).record() for path in Path("runs").rglob("record.json")]
    assert record["changes"][0]["step"] <= 30 and "9.9" in record["changes"][0]["changed"][0]


def test_gpus_are_shared_out_and_jobs_wait_for_one(monkeypatch):
    """Three jobs of one GPU and one of two, on two GPUs; no GPU is needed: processes only tell what they may see."""

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a,3")
    assert visible_gpus() == ["GPU-a", "3"]
    packing = Packing(["0", "1"], 2)
    assert [packing.take(1) for _ in range(4)] == [["0"], ["1"], ["0"], ["1"]] and packing.take(1) is None
    packing.give(["1"])
    assert packing.take(2) is None and packing.take(1) == ["1"]

    started: list[tuple[str, dict]] = []
    made = []
    for number, devices in enumerate((1, 1, 1, 2)):
        made.append(Job(on_gpus(devices), "", RunFolder(Path(f"runs/t/m/s{number}")), str(number), "x", 1))
    full = Pool(made, workers=8, retries=0, keep_going=True)
    full.queue.extend(made)
    monkeypatch.setattr(pool, "WorkerProcess", lambda work, config, environment: started.append(environment))
    full.fill()
    assert started == [{"CUDA_VISIBLE_DEVICES": "GPU-a"}, {"CUDA_VISIBLE_DEVICES": "3"}]
    full.running.popitem()
    full.packing.give(full.gpus.pop("1"))
    full.fill()
    assert started[2:] == [{"CUDA_VISIBLE_DEVICES": "3"}]
    for job in ("0", "2"):
        full.running.pop(job)
        full.packing.give(full.gpus.pop(job))
    full.fill()
    assert started[3:] == [{"CUDA_VISIBLE_DEVICES": "GPU-a,3"}]


def test_a_job_waits_for_memory_that_others_have_on_the_gpu(monkeypatch, tmp_path):
    """Of two GPUs of 10 GB, four runs on each: jobs of 6 GB share one with what fits beside them, and one too large may try."""

    tool = tmp_path / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho '0, GPU-a, 10240'\necho '1, GPU-b, 10240'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a,1")
    assert gpu_memory(visible_gpus()) == {"GPU-a": 10 * 2**30, "1": 10 * 2**30}
    packing = Packing(["0", "1"], 4, {"0": 10, "1": 10})
    assert [packing.take(1, 6) for _ in range(3)] == [["0"], ["1"], None]
    assert packing.take(1, 4) == ["0"] and packing.take(1, 4) == ["1"] and packing.take(1, 1) is None
    assert packing.take(1) == ["0"]  # nothing is known of it
    for gpu, needed in (("1", 6), ("1", 4)):
        packing.give([gpu], needed)
    assert packing.take(1, 12) == ["1"] and packing.take(1, 6) is None

    made = []
    for number in range(3):
        made.append(Job(on_gpus(1), "", RunFolder(Path(f"runs/t/m/s{number}")), str(number), "x", 1))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a")
    full = Pool(made, workers=8, retries=0, keep_going=True, runs_per_gpu=2)
    record = filled({"setting": "x", "hardware": {"device": "cuda"}, "speed": {"peak_memory_bytes": 6 * 2**30}})
    first = made[0]
    first.folder.path.mkdir(parents=True)
    first.folder.finish(record)
    full.queue.extend(made[1:])
    started: list[dict] = []
    monkeypatch.setattr(pool, "WorkerProcess", lambda work, config, environment: started.append(environment))
    full.learn(first)
    full.fill()
    assert started == [{"CUDA_VISIBLE_DEVICES": "GPU-a"}] and [job.id for job in full.queue] == [
        "2"
    ]  # waits, though there is a place
    full.running.popitem()
    full.packing.give(full.gpus.pop("1"), made[1].needed)
    full.fill()
    assert len(started) == 2 and not full.queue


def test_a_loss_that_is_no_number_is_recorded_and_not_retried(capfd):
    words = ["train", "-m", *SMALL, "train.steps=30", "model=relu_rnn,gru", "train.optimizer=sgd", "train.clip=null"]
    assert main([*words, "train.learning_rate=1e30"]) == 0
    out = capfd.readouterr().out
    assert "diverged at step" in out and "started again" not in out
    folders = [path.parent for path in Path("runs").rglob("record.json")]
    assert len(folders) == 2 and {newest(path) for path in folders} == {1}
    statuses = {path: (RunFolder(path).record() or {})["status"] for path in folders}
    assert "diverged" in statuses.values()
    assert main([*words, "train.learning_rate=1e30"]) == 0
    assert "2 recorded before" in capfd.readouterr().out


def test_no_decision_depends_on_the_time_of_day():
    """A clock that jumps changes nothing: but for the age of old files and what is shown, clocks are monotonic."""
    import rnnbench

    asked = {
        path.stem
        for path in Path(rnnbench.__file__).parent.rglob("*.py")
        if "time.time()" in path.read_text(encoding="utf-8") or "localtime" in path.read_text(encoding="utf-8")
    }
    # how old checkpoints are that `prune` removes; what a dead download, and a killed write, left; a tracker that was silent
    assert asked == {"status", "cache", "own_files", "wandb_note"}


@pytest.mark.slow
def test_each_job_on_two_devices_has_one_folder(capfd):
    words = ["train", "-m", *SMALL, "train.steps=4", "model=lstm,gru", "trainer=ddp", "trainer.devices=2", "sweep=s"]
    assert main([*words, "train.precision='64'", "network.dropout=0"]) == 0
    two = results("runs")
    assert len(two) == 2 and len(list(Path("runs").glob("adding/*/*"))) == 2
    assert len(list(Path("runs/sweeps").iterdir())) == 1 and os.listdir() == ["runs"]
    single = [word for word in words if "trainer" not in word]
    assert main([*single, "train.precision='64'", "network.dropout=0", "runs=one"]) == 0
    for name, (rows, _) in results("one").items():
        for row, other in zip(rows, two[name][0], strict=True):
            for key, value in row.items():
                if key in ("train/loss", "validation/mse"):
                    assert other[key] == pytest.approx(value, rel=1e-5), key


def test_torchrun_starts_the_devices_itself(capfd):
    words = [*LONG, "model=gru", "train.steps=60", "train.eval_every=30", "train.precision='64'", "network.dropout=0"]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "rnnbench", "train"]
    both = [*launch, *words, "trainer=ddp", "trainer.devices=2"]
    for said in ("parameters", "recorded before"):
        done = subprocess.run(both, capture_output=True, text=True, check=False, timeout=200)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.count(said) == 1  # one of them speaks
    assert main(["train", *words, "runs=one"]) == 0
    ((name, (rows, _)),) = results("one").items()
    ((other, (others, _)),) = results("runs").items()
    assert name == other
    for row, twin in zip(rows, others, strict=True):
        assert twin["train/loss"] == pytest.approx(row["train/loss"], rel=1e-9)


@pytest.mark.slow
def test_a_sweep_on_two_devices_is_stopped_and_goes_on():
    words = [*LONG, "model=gru", "seed=0,1", "sweep=s", "trainer=ddp", "trainer.devices=2", "train.steps=200"]
    sweep = start(*words)
    until(holders, sweep)
    time.sleep(2)  # while its ranks start
    sweep.send_signal(signal.SIGINT)
    out, err = sweep.communicate(timeout=60)
    assert sweep.returncode in (128 + signal.SIGINT, 0), out + err
    assert not holders() and "Traceback" not in err
    done = subprocess.run(command(*words), capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(results("runs")) == 2
