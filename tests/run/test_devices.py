"""One run on several devices and machines: one record, one run of W&B's, and the numbers of one device."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rnnbench.cli.main import main
from rnnbench.run.ranks import free_port
from rnnbench.store.run_folder import RunFolder
from tests.run.test_kept import REVIEWS
from tests.support.wandb_server import Server
from tests.tracking.test_sync import level, server  # noqa: F401 - a fixture

ADDING = ["task=adding", "task.length=12", "task.sequences=40", "train.batch_size=10", "train.learning_rate=0.01"]
RAGGED = ["task=text_classification", "task.file=reviews.csv", "network.embedding=8", "train.batch_size=7"]
STEPS = ["model=gru", "model.hidden_size=16", "network.dropout=0", "train.steps=100", "train.eval_every=50"]
STEPS += ["train.log_every=10", "train.stop_when_solved=false"]


def only(root: str) -> RunFolder:
    (path,) = Path(root).glob("*/*/*/record.json")
    return RunFolder(path.parent)


def apart(one: str, two: str) -> float:
    """The largest relative difference of a logged number or a score of two runs; what is less than 1e-3 counts as that."""

    def numbers(root: str) -> dict[str, float]:
        record, found = only(root).record() or {}, {}
        for index, row in enumerate(only(root).metrics()):
            found |= {f"{index} {key}": value for key, value in row.items() if isinstance(value, int | float)}
        for split, scores in record["scores"].items():
            found |= {f"{split} {key}": value for key, value in scores.items() if isinstance(value, int | float)}
        return found

    left, right = numbers(one), numbers(two)
    assert set(left) == set(right) and len(left) > 50
    assert all(map(math.isfinite, left.values()))
    return max(abs(left[key] - right[key]) / max(abs(left[key]), 1e-3) for key in left)


@pytest.mark.parametrize(("precision", "bound"), [("64", 1e-9), ("32", 1e-4)])
@pytest.mark.parametrize("task", [ADDING, RAGGED], ids=["adding", "ragged text"])
def test_two_devices_are_as_one(task: list[str], precision: str, bound: float) -> None:
    Path("reviews.csv").write_text(ragged())
    words = ["train", *task, *STEPS, "tracker=none", f"train.precision='{precision}'"]
    assert main([*words, "runs=one"]) == 0
    assert main([*words, "runs=two", "trainer=ddp", "trainer.devices=2"]) == 0
    difference = apart("one", "two")
    print(f"{task[0]} in float{precision}: after 100 steps two devices differ from one by {difference:.1e} at most")
    assert difference < bound


def ragged() -> str:
    """Reviews of one to nine words before the one that tells."""
    head, *lines = REVIEWS.splitlines()
    return "\n".join([head, *("so " * (number * 5 % 9) + line for number, line in enumerate(lines))])


def as_slurm(rank: int, port: int) -> tuple[dict[str, str], list[str]]:
    """The environment that srun gives process `rank` of two on two machines, here of one name."""
    slurm = {"NTASKS": 2, "PROCID": rank, "LOCALID": 0, "NODEID": rank, "NNODES": 2, "STEP_NUM_TASKS": 2}
    slurm |= {"JOB_ID": 12345, "JOB_NAME": "sweep", "NODELIST": "127.0.0.1"}  # type: ignore[dict-item]
    environment = {f"SLURM_{name}": str(value) for name, value in slurm.items()}
    return {**environment, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}, ["-m", "rnnbench"]


def as_torchrun(rank: int, port: int) -> tuple[dict[str, str], list[str]]:
    """The command that is given on machine `rank` of two."""
    where = [f"--node-rank={rank}", "--master-addr=127.0.0.1", f"--master-port={port}"]
    return {}, ["-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1", *where, "-m", "rnnbench"]


@pytest.mark.parametrize("start", [as_slurm, pytest.param(as_torchrun, marks=pytest.mark.slow)])
def test_two_machines_make_one_run(start, server: Server) -> None:  # noqa: F811
    words = ["train", *ADDING, *STEPS, "train.precision='64'"]
    port, machines = free_port(), []
    for rank in range(2):
        environment, python = start(rank, port)
        command = [sys.executable, *python, *words, "trainer=ddp", "trainer.devices=1", "trainer.nodes=2", "runs=two"]
        machines.append(
            subprocess.Popen(
                command, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
        )
    try:
        said = [machine.communicate(timeout=240)[0] for machine in machines]
    finally:
        for machine in machines:
            machine.kill()
    assert [machine.returncode for machine in machines] == [0, 0], said
    assert [("parameters, floor" in text) for text in said] == [True, False], said  # the first alone speaks
    assert len(list(Path("two").glob("*/*/*"))) == 1
    ((_, there),) = server.runs.items()
    level(there, only("two"))
    assert main([*words, "runs=one", "tracker=none"]) == 0
    assert apart("one", "two") < 1e-9


@pytest.mark.slow
def test_each_job_on_two_devices_is_one_run_there(server: Server) -> None:  # noqa: F811
    words = ["-m", *ADDING, *STEPS, "model=lstm,gru", "train.steps=10", "train.eval_every=5", "sweep=s"]
    words.remove("model=gru")
    assert main(["train", *words, "trainer=ddp", "trainer.devices=2"]) == 0
    folders = {path.name: RunFolder(path) for path in Path("runs/adding").glob("*/*")}
    assert len(folders) == 2 and len(server.runs) == 2
    for folder in folders.values():
        level(server.runs[str((folder.record() or {})["id"])[:16]], folder)
    assert {run.group for run in server.runs.values()} == {"s"}
