"""The other processes of a run on several devices, each started with the resolved settings.

The run's own process is rank 0: it holds the lease, writes and reports. The others are started by it and compute: they never
read the command line again, so there is one folder and one mirror however many devices there are. Where torchrun or srun has
started all of them (LOCAL_RANK is set, see cluster.py), none is started here.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from ..config.checks import resolve
from ..config.schema import trust_classes
from ..config.settings import Settings
from .journal import SilentRecorder
from .plan import make_task, new_network
from .process_settings import configure_process


def follow(settings: Settings, checkpoint: str | None) -> None:
    """What the other devices of a run do: train as the first one does, from the same start, and write nothing."""
    from ..training.endings import Diverged, Interrupted
    from ..training.learner import Learner
    from ..training.trainer import fit

    configure_process()
    task = make_task(settings)
    task.prepare()
    learner = Learner(new_network(settings, task)[0], task, SilentRecorder(), settings.seed, settings.train)
    if checkpoint:
        learner.resume(torch.load(checkpoint, map_location="cpu", weights_only=True)["learner"])
    with contextlib.suppress(Diverged, Interrupted):
        fit(learner, settings.trainer, test=settings.test)


@contextlib.contextmanager
def following_ranks(settings: Settings, checkpoint: Path | None) -> Iterator[None]:
    """Runs ranks 1 to trainer.devices - 1 beside this process while the context lasts, from the same checkpoint."""
    count = settings.trainer.devices
    if count == 1 or "LOCAL_RANK" in os.environ:
        yield
        return
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "NODE_RANK": "0", "WORLD_SIZE": str(count)}
    told = json.dumps({"settings": settings.plain(), "checkpoint": str(checkpoint) if checkpoint else None}).encode()
    before = {name: os.environ.get(name) for name in (*shared, "LOCAL_RANK")}
    processes = []
    try:
        for rank in range(1, count):
            environment = {**os.environ, **shared, "LOCAL_RANK": str(rank)}
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "rnnbench.run.ranks"],
                stdin=subprocess.PIPE,
                env=environment,
                start_new_session=True,
            )
            processes.append(process)
            assert process.stdin is not None
            process.stdin.write(told)
            process.stdin.close()
        os.environ.update(shared, LOCAL_RANK="0")
        yield
        for process in processes:
            process.wait(30)
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()  # the next job of this process makes its own
        for process in processes:
            process.kill()
            process.wait()
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    request = json.load(sys.stdin)
    trust_classes(request["settings"])
    follow(resolve(request["settings"]), request["checkpoint"])
