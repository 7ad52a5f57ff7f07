"""The environment of a run's processes: what torchrun, srun and other schedulers have left in it, and what counts of that.

It counts only where the settings ask for more than one process, trainer.devices x trainer.nodes. With one, a shell inside
`salloc`, `srun -n 2 rnnbench train ... seed=$SLURM_PROCID` and what is left over of torchrun change nothing.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping

from ..console import say
from ..groups import TrainerSettings
from ..options import BadOption

# What tells PyTorch or Lightning that a process is one of several, or how a Trainer is set.
PREFIXES = ("TORCHELASTIC_", "JSM_NAMESPACE_", "PL_TRAINER_")
NAMES = ("RANK", "LOCAL_RANK", "GROUP_RANK", "NODE_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
SLURM = ("SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID", "SLURM_NTASKS", "SLURM_STEP_NUM_TASKS")


def alone(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` as a process finds it that no launcher has started as one of several."""
    return {
        name: value for name, value in environment.items() if name not in (*NAMES, *SLURM) and not name.startswith(PREFIXES)
    }


@contextlib.contextmanager
def process_environment(settings: TrainerSettings) -> Iterator[int | None]:
    """Sets the environment for one run while the context lasts, so that only what counts for it is there.

    Gives this process's rank among those that torchrun or srun has started for the run; None where the run starts its own,
    or needs no others. BadOption where the processes that there are do not fit trainer.devices and trainer.nodes.
    """
    before = dict(os.environ)
    ranked = launched_environment(settings, before)
    with replaced_environment({**alone(before), **(ranked or {})}):
        yield None if ranked is None else int(ranked["NODE_RANK"]) * settings.devices + int(ranked["LOCAL_RANK"])


def say_ignored(environment: Mapping[str, str]) -> None:
    """Says which variables of `environment` would set a Trainer of Lightning's, and have no effect here."""
    for name in environment:
        if name.startswith("PL_TRAINER_"):
            say(f"{name} in the environment has no effect: the options trainer.* and train.* set the Trainer")


@contextlib.contextmanager
def replaced_environment(environment: Mapping[str, str]) -> Iterator[None]:
    """`environment` in place of this process's own while the context lasts.

    Other threads must not read it meanwhile where it differs. Only what differs is touched: where no launcher has left
    anything, that is nothing.
    """

    def become(wanted: Mapping[str, str]) -> None:
        for name in [name for name in os.environ if name not in wanted]:
            del os.environ[name]
        os.environ.update({name: value for name, value in wanted.items() if os.environ.get(name) != value})

    before = dict(os.environ)
    become(environment)
    try:
        yield
    finally:
        become(before)


def launched_environment(settings: TrainerSettings, environment: Mapping[str, str]) -> dict[str, str] | None:
    """The variables by which a process that torchrun or srun has started finds the others of its run; None without others."""
    wanted = settings.devices * settings.nodes
    asked = f"trainer.devices={settings.devices} with trainer.nodes={settings.nodes} needs {wanted}"
    if wanted == 1:
        return None
    if "TORCHELASTIC_RUN_ID" in environment:
        if (started := _number(environment, "WORLD_SIZE")) != wanted:
            raise BadOption(f"torchrun has started {started} processes, and {asked} (TORCHELASTIC_RUN_ID says torchrun)")
        names = ("MASTER_PORT", "WORLD_SIZE", "RANK")
        others = {name: value for name, value in environment.items() if name.startswith("TORCHELASTIC_")}
        return {
            **others,
            **{name: str(_number(environment, name)) for name in names},
            **_place(settings, environment, "LOCAL_RANK", "GROUP_RANK"),
            "MASTER_ADDR": environment.get("MASTER_ADDR", "127.0.0.1"),
        }
    # The script of sbatch has a rank as well, and starts no others; srun sets the number of its own tasks.
    tasks = environment.get("SLURM_STEP_NUM_TASKS")
    if tasks == str(wanted) and "SLURM_PROCID" in environment:
        return {
            **_place(settings, environment, "SLURM_LOCALID", "SLURM_NODEID"),
            "MASTER_ADDR": environment.get("MASTER_ADDR") or _first_host(environment),
            "MASTER_PORT": environment.get("MASTER_PORT") or str(15000 + _number(environment, "SLURM_JOB_ID") % 10000),
        }
    if settings.nodes > 1:
        found = f"srun has started {tasks}" if tasks else "nothing has started more than this one"
        raise BadOption(f"{asked} processes, one command on all machines by torchrun or srun; {found}")
    return None


def _place(settings: TrainerSettings, environment: Mapping[str, str], local: str, node: str) -> dict[str, str]:
    """Which device of which machine this process is, from the variables `local` and `node`."""
    device, machine = _number(environment, local), _number(environment, node)
    if device >= settings.devices or machine >= settings.nodes:
        raise BadOption(
            f"this is process {device} of machine {machine} ({local}, {node}), both from 0, and trainer.devices="
            f"{settings.devices} with trainer.nodes={settings.nodes} has no such one"
        )
    return {"LOCAL_RANK": str(device), "NODE_RANK": str(machine)}


def _number(environment: Mapping[str, str], name: str) -> int:
    value = environment.get(name, "")
    if not value.isdecimal():
        raise BadOption(f"{name}={value!r} in the environment is no whole number; torchrun and srun set one")
    return int(value)


def _first_host(environment: Mapping[str, str]) -> str:
    """The first of SLURM's short list of hosts: `node[03-05,9]-ib,other` begins with node03-ib."""
    hosts = (environment.get("SLURM_NODELIST") or environment.get("SLURM_JOB_NODELIST") or "").strip()
    first = re.fullmatch(r"((?:[^,\[\]]|\[[^\[\]]*\])*)(?:,.*)?", hosts)  # a comma in brackets parts no hosts
    name = re.sub(r"\[([^\],-]*)[^\]]*\]", r"\1", first[1]) if first else ""
    if not re.fullmatch(r"[\w.:-]+", name):
        raise BadOption(f"SLURM_NODELIST={hosts!r:.100} in the environment names no machine; srun sets it, or set MASTER_ADDR")
    return name
