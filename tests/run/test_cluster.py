"""Variables of schedulers and launchers: with one process they change nothing; with several they must fit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rnnbench.cli.main import main
from rnnbench.groups import TrainerSettings
from rnnbench.options import BadOption
from rnnbench.run.cluster import _first_host, alone, launched_environment, process_environment, replaced_environment
from rnnbench.store.run_folder import RunFolder

QUICK = ["task=adding", "task.length=6", "model=gru", "model.hidden_size=4", "train.steps=4", "train.batch_size=4"]
QUICK += ["task.sequences=20", "tracker=none"]

SLURM = {"SLURM_JOB_ID": "17", "SLURM_NNODES": "1", "SLURM_NODELIST": "node1", "SLURM_JOB_NAME": "train"}
SRUN = {**SLURM, "SLURM_NTASKS": "2", "SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_ID": "0", "SLURM_LOCALID": "1"}
TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "TORCHELASTIC_USE_AGENT_STORE": "True", "RANK": "1", "LOCAL_RANK": "1"}
TORCHRUN |= {"WORLD_SIZE": "2", "GROUP_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
SURROUNDINGS: dict[str, dict[str, str]] = {
    "salloc -n 4": {**SLURM, "SLURM_JOB_NAME": "interactive", "SLURM_NTASKS": "4"},
    "sbatch -n 4, no srun": {**SLURM, "SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0"},
    "srun -n 2, task 1": {**SRUN, "SLURM_PROCID": "1", "SLURM_NODEID": "0"},
    "srun on two machines, task 1": {**SRUN, "SLURM_NNODES": "2", "SLURM_PROCID": "1", "SLURM_NODEID": "1"},
    "PBS": {"PBS_JOBID": "1.head", "PBS_NODEFILE": "/var/spool/pbs", "PBS_NP": "4", "PBS_ENVIRONMENT": "PBS_BATCH"},
    "LSF": {"LSB_JOBID": "3", "LSB_HOSTS": "a b", "LSB_DJOB_NUMPROC": "2", "LSB_DJOB_RANKFILE": "/none"},
    "LSF, jsrun": {"LSB_JOBID": "3", "JSM_NAMESPACE_RANK": "1", "JSM_NAMESPACE_LOCAL_RANK": "1", "JSM_NAMESPACE_SIZE": "2"},
    "torchrun, left over": TORCHRUN,
    "torchrun, no number": {**TORCHRUN, "RANK": "x", "LOCAL_RANK": ""},
    "mpirun": {"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", "PMI_RANK": "1", "PMI_SIZE": "2"},
    "Kubernetes": {
        "KUBERNETES_PORT": "tcp://10.0.0.1:443",
        "MASTER_ADDR": "m",
        "MASTER_PORT": "9",
        "WORLD_SIZE": "2",
        "RANK": "1",
    },
    "Lightning": {"PL_TRAINER_MAX_STEPS": "1", "PL_TRAINER_FAST_DEV_RUN": "1", "PL_TRAINER_LIMIT_TRAIN_BATCHES": "1"},
}


Numbers = tuple[str, object, list[dict[str, object]]]


def numbers(runs: str) -> Numbers:
    (path,) = Path(runs).glob("*/*/*/record.json")
    record = RunFolder(path.parent).record() or {}
    return str(record["id"]), record["scores"], RunFolder(path.parent).metrics()


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Numbers:
    runs = str(tmp_path_factory.mktemp("bare"))
    assert main(["train", *QUICK, f"runs={runs}"]) == 0
    return numbers(runs)


@pytest.mark.parametrize("surroundings", SURROUNDINGS.values(), ids=SURROUNDINGS)
def test_one_process_trains_as_in_a_bare_shell(
    surroundings: dict[str, str], bare: Numbers, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in surroundings.items():
        monkeypatch.setenv(name, value)
    assert main(["train", *QUICK, "runs=there"]) == 0
    assert numbers("there") == bare
    assert {name: os.environ.get(name) for name in surroundings} == surroundings


@pytest.mark.parametrize("name", ["srun -n 2, task 1", "torchrun, no number"])
@pytest.mark.parametrize("verb", [["train"], ["train", "-m"], ["estimate"]], ids=" ".join)
def test_every_verb_that_trains_works_in_a_fresh_process(name: str, verb: list[str]) -> None:
    words = [sys.executable, "-m", "rnnbench", *verb, *QUICK]
    environment = {**os.environ, **SURROUNDINGS[name]}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(Path("runs").rglob("record.json"))) == (verb != ["estimate"])


@pytest.mark.parametrize("verb", [["train"], ["train", "-m", "seed=0,1"], ["estimate", "seed=0,1"]], ids=" ".join)
def test_a_trainer_of_the_environment_is_named_once(
    verb: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PL_TRAINER_MAX_STEPS", "1")
    with process_environment(TrainerSettings()) as rank:
        assert rank is None and "PL_TRAINER_MAX_STEPS" not in os.environ
    assert main([*verb, *QUICK]) == 0
    assert capfd.readouterr().out.count("PL_TRAINER_MAX_STEPS in the environment has no effect") == 1


@pytest.mark.parametrize("devices, nodes, environment, rank", [
    (2, 1, TORCHRUN, 1),
    (1, 2, {**TORCHRUN, "LOCAL_RANK": "0", "GROUP_RANK": "1"}, 1),
    (2, 1, {**SRUN, "SLURM_PROCID": "1", "SLURM_NODEID": "0"}, 1),
    (2, 2, {**SRUN, "SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "3", "SLURM_NODEID": "1"}, 3),
    (2, 1, SURROUNDINGS["sbatch -n 4, no srun"], None),
    (4, 1, SURROUNDINGS["sbatch -n 4, no srun"], None),
    (4, 1, SURROUNDINGS["salloc -n 4"], None),
    (2, 1, SURROUNDINGS["mpirun"], None),
    (2, 1, {}, None),
])  # fmt: skip
def test_several_processes_are_those_that_were_started(
    devices: int, nodes: int, environment: dict[str, str], rank: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with process_environment(TrainerSettings(devices=devices, nodes=nodes)) as found:
        assert found == rank
        assert ("LOCAL_RANK" in os.environ) == (rank is not None) == ("MASTER_ADDR" in os.environ)
        assert rank is not None or "TORCHELASTIC_USE_AGENT_STORE" not in os.environ


@pytest.mark.parametrize(
    "trainer, environment, said",
    [
        (["trainer.nodes=2"], {}, "nothing has started more than this one"),
        (["trainer.nodes=2"], {**SRUN, "SLURM_STEP_NUM_TASKS": "3", "SLURM_PROCID": "0"}, "srun has started 3"),
        (["trainer.devices=3"], TORCHRUN, "torchrun has started 2 processes"),
        (["trainer.nodes=2"], {**SURROUNDINGS["sbatch -n 4, no srun"], "SLURM_NTASKS": "2"}, "nothing has started more"),
        (
            ["trainer.devices=1", "trainer.nodes=2"],
            {**SRUN, "SLURM_PROCID": "1", "SLURM_NODEID": "0"},
            "process 1 of machine 0",
        ),
        (["trainer.devices=2"], {**TORCHRUN, "LOCAL_RANK": "0", "GROUP_RANK": "1"}, "this is process 0 of machine 1"),
        (["trainer.devices=2"], {**TORCHRUN, "LOCAL_RANK": "x"}, "LOCAL_RANK='x'"),
        (["trainer.devices=2"], {**TORCHRUN, "WORLD_SIZE": ""}, "WORLD_SIZE=''"),
    ],
)
def test_processes_that_do_not_fit_are_refused(
    trainer: list[str],
    environment: dict[str, str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main(["train", *QUICK, "trainer=ddp", *trainer]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and len(error) < 400
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    "hosts, first",
    [
        ("node1", "node1"),
        ("a,b", "a"),
        ("node[03-05,9],x", "node03"),
        ("n[7]", "n7"),
        ("a,n[1-2]", "a"),
        ("127.0.0.1", "127.0.0.1"),
        ("node[1-2]-ib", "node1-ib"),
        ("n[01,03]r[2-4].lan,other", "n01r2.lan"),
        ("rack-a-[2,4]", "rack-a-2"),
    ],
)
def test_the_first_host_of_a_list(hosts: str, first: str) -> None:
    assert _first_host({"SLURM_NODELIST": hosts}) == first
    assert _first_host({"SLURM_NODELIST": "", "SLURM_JOB_NODELIST": hosts}) == first


@pytest.mark.parametrize("hosts", ["", " ", ",a", "n[", "[]", "()"])
def test_a_list_without_a_first_host_is_refused(hosts: str) -> None:
    srun = {**SRUN, "SLURM_PROCID": "1", "SLURM_NODEID": "0", "SLURM_NODELIST": hosts}
    with pytest.raises(BadOption, match="names no machine; srun sets it, or set MASTER_ADDR"):
        launched_environment(TrainerSettings(devices=2), srun)
    assert launched_environment(TrainerSettings(devices=2), {**srun, "MASTER_ADDR": "a"})


def test_only_what_differs_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other threads may read the environment while a run is set up: in a bare shell nothing is written."""
    for name in os.environ.keys() - alone(os.environ).keys():
        monkeypatch.delenv(name)
    touched: list[str] = []
    monkeypatch.setattr(type(os.environ), "__setitem__", lambda _, name, value: touched.append(name))
    monkeypatch.setattr(type(os.environ), "__delitem__", lambda _, name: touched.append(name))
    with process_environment(TrainerSettings()):
        assert not touched
    with replaced_environment({**os.environ, "ADDED": "1"}):
        assert touched == ["ADDED"]


@pytest.mark.parametrize(
    "words",
    [
        ["train", "-m", *QUICK, "trainer.nodes=1,2"],
        ["train", "-m", *QUICK, "trainer.nodes=2", "hydra/launcher=basic"],
        ["sweep", "runs.yaml", "trainer.nodes=2"],
        ["tune", "adding", "gru", "--trials", "1", "trainer.nodes=2"],
    ],
    ids=["train", "train by Hydra's launcher", "sweep", "tune"],
)
def test_a_sweep_on_several_machines_is_refused_before_it_starts(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    Path("runs.yaml").write_text(f"runs: ['{' '.join(QUICK[:-1])}']", encoding="utf-8")
    assert main(words) == 2
    out, error = capfd.readouterr()
    assert "trainer.nodes=2" in error and error.count("\n") == 1 and len(error) <= 401 and out == ""
    assert not Path("runs").exists() and not Path("searches").exists()


def test_a_job_of_a_sweep_starts_its_own_devices() -> None:
    """Its launcher is one of two that srun has started; the job itself is not."""
    with pytest.raises(BadOption, match="nothing has started"):
        launched_environment(TrainerSettings(nodes=2), {"SLURM_JOB_ID": "17"})
