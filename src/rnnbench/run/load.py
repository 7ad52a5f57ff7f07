"""Loads the trained network of a run folder."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch

from rnnbench.tasks.task import Task

from ..config.checks import resolve
from ..config.identity import code_digests, versions
from ..config.settings import Settings
from ..networks.trainable import TrainableNetwork
from ..store.find import only_finished_run
from ..store.log import LogRow
from ..store.record import Record, Scores
from ..store.run_folder import RunFolder
from .plan import make_kept_task, make_network, make_task, new_network


@dataclass(frozen=True)
class Trained:
    """A finished run: the network with the weights that validation chose, its task, record and logged rows."""

    network: TrainableNetwork
    task: Task
    record: Record
    rows: list[LogRow]
    at_hand: bool = True  # its data; without them the task has no batches

    @property
    def metrics(self) -> Scores | None:
        """The scores on the test split; None where it was not read."""
        return self.record["scores"]["test"]


def load_run(run: str | Path, with_data: bool = True) -> Trained:
    """The trained network of the run folder `run`, or of the one finished run below it.

    Where its data cannot be had, or if not `with_data` and the run kept enough, the task is what the run kept of it: enough to
    encode, decode and predict, without batches. FileNotFoundError where no finished run is; ValueError where there are several,
    and where data, code or weights are no longer those of the record.
    """
    folder = RunFolder(Path(run))
    record = folder.record()
    if record is None:
        below = only_finished_run(Path(run))
        if below == Path(run):  # a results.jsonl
            raise FileNotFoundError(f"no finished run in {run}: no record")
        return load_run(below, with_data)
    if record["status"] == "diverged":
        raise FileNotFoundError(f"no trained network in {run}: the run diverged at step {record['diverged_step']}")
    if not folder.weights.exists():
        raise FileNotFoundError(f"no finished run in {run}: its weights are missing")
    settings = _settings(record)
    kept = folder.kept()
    as_kept = not with_data and kept is not None and "classes" in kept
    task = make_kept_task(settings) if as_kept else make_task(settings)
    recorded_data = record["task"]["fingerprint"]
    data, at_hand = recorded_data, False
    try:
        if kept and as_kept:
            task.restore(kept)
        else:
            task.prepare()
            data, at_hand = task.fingerprint, True
    except (ValueError, OSError):
        if kept is None:
            raise
        task.restore(kept)
    weights = folder.weights.read_bytes()
    now_there: dict[str, tuple[object, object]] = {
        "data": (data, recorded_data),
        "version of the task": (task.version, record["task"]["version"]),
        "version of the model": (versions(settings.plain())["model"], record["model"]["version"]),
        "weights": (hashlib.sha256(weights).hexdigest(), record["weights"]),
    }
    if "code" in record:  # before it was part of the id, it was not recorded
        code = {part: value for part, value in record["code"].items() if not part.startswith("callback ")}
        now_there["code of the plug-in"] = code_digests(settings.plain()), code
    for what, (found, recorded) in now_there.items():
        if found != recorded:
            raise ValueError(f"{run}: the {what} there is not that of the record ({_told(found)} now, {_told(recorded)} then)")
    with torch.random.fork_rng(devices=[]):  # the weights that are drawn are not those that stay
        network = make_network(settings, task)
    try:
        network.load_state_dict(safetensors.torch.load(weights))
    except (RuntimeError, safetensors.SafetensorError) as error:  # RuntimeError where a name or a shape is another
        first = " ".join(str(error).split())[:150]
        raise ValueError(f"{folder.weights}: the weights do not fit the network of the record ({first} ...)") from None
    return Trained(network.eval(), task, record, folder.rows(), at_hand)


def _settings(record: Record) -> Settings:
    """The settings of a run to be loaded: the callbacks that it was trained with need not be there."""
    config = record["config"]
    return resolve({**config, "runs": ".", "trainer": {**(config.get("trainer") or {}), "callbacks": []}})


def _told(found: object) -> str:
    """What was found in words; of code its parts, each with the first digits of its digest."""
    if not isinstance(found, dict):
        return str(found)
    return ", ".join(f"{part} {digest[:8]}" for part, digest in found.items()) or "none"


def initial_network(trained: Trained) -> TrainableNetwork:
    """The network as it was before its first training step, in evaluation mode."""
    settings = _settings(trained.record)
    before = torch.get_rng_state()
    network, _ = new_network(settings, trained.task)
    torch.set_rng_state(before)
    return network.eval()
