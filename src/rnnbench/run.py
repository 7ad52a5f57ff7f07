"""One run, from settings to record: the only place where the rooms meet.

Starting a run is idempotent: recorded, it answers from the record; with a checkpoint, it goes on to the same numbers;
held by a live process, it is left alone; else it trains.
"""

from __future__ import annotations

import contextlib
import datetime
import importlib.metadata
import io
import math
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from . import config as configuration
from . import budget, devices, instruments, models, process, tasks, tracking  # type: ignore[attr-defined]  # tasks lies beside src
from .models.stack import Stack
from .network import build
from .records import DamagedRecord, Held, Log, Row, RunFolder, digest
from .tasks.task import Task


class RunFailed(RuntimeError):
    """A run that could not go on; the message is one line, and what was recorded before is intact."""


class Stopped(Exception):
    """A run that was asked to end, and did so after a checkpoint; `code` is the exit code that says by what."""

    def __init__(self, message: str, signal_number: int):
        super().__init__(message)
        self.code = 128 + signal_number


@dataclass(frozen=True)
class Trained:
    """A finished run: the network with the weights that validation chose, its task, record and logged rows."""

    network: Any  # a Network or an EncoderDecoder
    task: Task
    record: dict[str, Any]
    rows: list[Row]

    @property
    def metrics(self) -> dict[str, float]:
        """The scores on the test split."""
        return self.record["scores"]["test"]


def load(run: str | Path) -> Trained:
    """The trained network of the run folder `run`. FileNotFoundError where no finished run is."""
    folder = RunFolder(Path(run))
    record = folder.record()
    if record is None or not folder.weights.exists():
        raise FileNotFoundError(f"no finished run in {run}")
    task = make_task(record["config"])
    task.prepare()
    network = make_network(record["config"], task)
    network.load_state_dict(safetensors.torch.load_file(folder.weights))
    return Trained(network.eval(), task, record, folder.rows())


def make_task(config: Mapping[str, Any]) -> Task:
    """The task that the settings name; ValueError or OSError where it cannot be."""
    options = dict(config["task"])
    return tasks.load(options.pop("name"), **options)


def make_network(config: Mapping[str, Any], task: Task) -> Any:
    """The network that the settings describe, its weights drawn from torch's generator."""
    model = {key: value for key, value in config["model"].items() if key not in ("name", "mechanism")}
    around = {key: model.pop(key) for key in configuration.schema("stack", {})}
    mechanism = models.MODELS[config["model"]["mechanism"]]

    def build_core(input_size: int) -> Stack:
        return Stack(lambda size: mechanism(size, **model), input_size, **around)

    writer = config["network"]["writer"] or config["model"]["mechanism"]
    known = configuration.signature("mechanism", writer).options

    def build_writer(input_size: int) -> Stack:
        options = {key: value for key, value in model.items() if key in known}
        one_way = {**around, "bidirectional": False}
        return Stack(lambda size: models.MODELS[writer](size, **options), input_size, **one_way)

    options = {key: value for key, value in config["network"].items() if key != "writer"}
    network = build(task, build_core, build_writer, **options)
    return network.double() if config["train"]["precision"] == "64" else network


def within_budget(config: Mapping[str, Any], task: Task) -> Mapping[str, Any]:
    """`config` with the width that its budget asks for; as it is where there is no budget."""
    wanted = config["budget"]
    if not wanted["params"] and not wanted["match"]:
        return config

    def count(width: int, model: Mapping[str, Any] = config["model"]) -> int:
        with torch.device("meta"):
            network = make_network({**config, "model": {**model, "hidden_size": width}}, task)
        tables = {id(m.weight) for m in network.modules() if isinstance(m, torch.nn.Embedding) and not wanted["embeddings"]}
        return sum(p.numel() for p in network.parameters() if id(p) not in tables)

    if wanted["match"]:
        matched = configuration.nodes()["model", wanted["match"]]
        target = count(wanted["width"], matched)
    else:
        target = budget.number(wanted["params"])
    width = budget.solve(count, target)
    say(f"budget {target:,}: {config['model']['name']} hidden_size={width} has {count(width):,} parameters")
    return {**config, "model": {**config["model"], "hidden_size": width}}


def execute(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Runs `config` (as config.resolve gives it) to its record; None where another live process holds the run.

    Raises RunFailed with one line, Stopped after a signal.
    """
    settings = process.settle()
    task = make_task(config)
    task.prepare()
    config = within_budget(config, task)
    try:
        tracker = tracking.make(config["tracker"])
    except tracking.TrackerUnavailable as error:
        raise RunFailed(str(error)) from None
    setting = configuration.setting(config, task.fingerprint)
    identity = {"setting": digest(setting)[:32], "id": digest([setting, config["seed"]])[:32]}
    name = f"{config['task']['name']}/{config['model']['name']}/s{config['seed']}-{identity['id'][:8]}"
    folder = RunFolder(Path(config["runs"]) / name)
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
        with folder.lease():
            record = folder.record()
            if record is not None:
                say(f"{name}  recorded before: {scored(record)}")
                return record
            facts = {**identity, "departures": setting["departures"], "process": settings}
            return _train(config, task, tracker, folder, name, facts)
    except Held as held:
        say(f"{name}  left alone: {held}")
        return None
    except DamagedRecord as error:
        raise RunFailed(str(error)) from None
    except OSError as error:
        raise RunFailed(f"{name}: {error}; what was written before is intact, and the same command goes on") from None


def _train(
    config: Mapping[str, Any], task: Task, tracker: tracking.Tracker, folder: RunFolder, name: str, facts: dict[str, Any]
) -> dict[str, Any]:
    from . import training  # imports Lightning, which an answer from the record does not need

    folder.start({**config, **{key: facts[key] for key in ("id", "setting")}})
    torch.manual_seed(config["seed"])
    network = make_network(config, task)
    parameters = sum(p.numel() for p in network.parameters())
    started = now()
    checkpoint, log, place = _restore(folder, facts["id"])
    if checkpoint:
        started = datetime.datetime.fromisoformat(checkpoint["started"])
    journal = Journal(facts["id"], name, folder, log, tracker, task, config["train"]["steps"], started)
    learner = training.Learner(network, task, journal, config["seed"], **config["train"])
    if checkpoint:
        learner.resume(checkpoint["learner"])
    again = f"  goes on from step {learner.step}" if checkpoint else ""
    say(f"{name}  {parameters:,} parameters, floor {task.headline} {task.floor:.4g}{again}")
    scores: dict[str, Any] = {"validation": learner.best.get("scores"), "test": None}
    status, diverged, ending = "finished", None, "failed"
    told = {key: value for key, value in config.items() if key != "runs"}  # where the folder lies is nobody else's
    try:
        about = tracking.Run(facts["id"][:16], name.rpartition("-")[0], folder.path, told, config["sweep"])
        tracker.start(about, folder.rows())
        progress = training.Progress(name, journal.shown) if sys.stdout.isatty() else None
        try:
            with devices.others(config, place):
                scores = training.train(learner, progress=progress, **config["trainer"])
            safetensors.torch.save_file(learner.best["weights"], folder.weights)
        except training.Diverged as error:
            status, diverged = "diverged", error.step
            scores["validation"] = learner.best.get("scores")
        record = {
            **{key: facts[key] for key in ("id", "setting")},
            "status": status,
            "seed": config["seed"],
            "sweep": config["sweep"],
            "task": {
                "name": config["task"]["name"],
                "version": task.version,
                "options": {key: value for key, value in config["task"].items() if key != "name"},
                **{key: getattr(task, key) for key in ("structure", "headline", "direction", "unit", "floor", "fingerprint")},
                "about": task.about(),
            },
            "model": {
                "name": config["model"]["name"],
                "mechanism": config["model"]["mechanism"],
                "version": models.MODELS[config["model"]["mechanism"]].version,
                "options": {key: value for key, value in config["model"].items() if key not in ("name", "mechanism")},
                "parameters": parameters,
                "state_size": instruments.state_size(network),
                "multiply_adds": instruments.multiply_adds(network),
            },
            "network": config["network"],
            "train": config["train"],
            "config": told,
            "departures": facts["departures"],
            "steps": learner.step,
            "best_step": learner.best.get("step"),
            "diverged_step": diverged,
            "scores": scores,
            "solved": scores["test"] is not None and task.solved(scores["test"]),
            "solved_step": learner.solved_step,
            "seconds_to_solved": learner.seconds_to_solved,
            "speed": speed(learner),
            **surroundings(learner.device),
            "process": facts["process"],
            "started": started.isoformat(timespec="seconds"),
            "ended": now().isoformat(timespec="seconds"),
        }
        record = folder.finish(record)
        folder.drop_checkpoints()
        ending = status
        say(f"{name}  {scored(record)}")
        return record
    except tracking.TrackerUnavailable as error:
        raise RunFailed(str(error)) from None
    except training.Interrupted as error:
        ending = "interrupted"
        raise Stopped(f"{name}: {error}", error.signal) from None
    except KeyboardInterrupt:
        ending = "interrupted"
        raise
    finally:
        log.close()
        tracker.finish({"scores": scores, "steps": learner.step, "solved_step": learner.solved_step}, ending)


class Journal:
    """Where training reports to: the local log first, then its mirror; and the checkpoints."""

    def __init__(
        self,
        run: str,
        name: str,
        folder: RunFolder,
        log: Log,
        tracker: tracking.Tracker,
        task: Task,
        steps: int,
        started: datetime.datetime | None = None,
    ):
        self.run, self.name, self.folder, self.log, self.tracker = run, name, folder, log, tracker
        self.task, self.steps, self.started = task, steps, started or now()
        self.shown: dict[str, float] = {}  # what the progress bar shows
        self._said_at = time.monotonic()

    def row(self, step: int, metrics: dict[str, float], timings: dict[str, float]) -> None:
        self.log.append(step, metrics, timings)
        self.tracker.row({"step": step, **metrics, **timings})
        score = f"validation/{self.task.headline}"
        self.shown |= {key: metrics[key] for key in ("train/loss", score) if key in metrics}
        if score in metrics and not sys.stdout.isatty() and time.monotonic() - self._said_at > 10:  # seconds
            self._said_at = time.monotonic()
            say(
                f"{self.name}  step {step}/{self.steps}  loss {metrics['train/loss']:.4g}  validation {self.task.headline} "
                f"{metrics[score]:.4g}  {timings['steps_per_second']:.3g} steps/s"
            )

    def save(self, step: int, checkpoint: dict[str, Any]) -> None:
        buffer = io.BytesIO()
        about = {"run": self.run, "offsets": self.log.offsets(), "started": self.started.isoformat()}
        torch.save({**about, "learner": checkpoint}, buffer)
        self.folder.save_checkpoint(step, buffer.getvalue())


def follow(config: Mapping[str, Any], checkpoint: str | None) -> None:
    """What the other devices of a run do: train as the first one does, from the same start, and write nothing."""
    from . import training

    process.settle()
    task = make_task(config)
    task.prepare()
    torch.manual_seed(config["seed"])
    learner = training.Learner(make_network(config, task), task, Silence(), config["seed"], **config["train"])
    if checkpoint:
        learner.resume(torch.load(checkpoint, map_location="cpu", weights_only=True)["learner"])
    with contextlib.suppress(training.Diverged, training.Interrupted):
        training.train(learner, **config["trainer"])


class Silence:
    """A journal that keeps nothing."""

    def row(self, step: int, metrics: dict[str, float], timings: dict[str, float]) -> None:
        pass

    def save(self, step: int, checkpoint: dict[str, Any]) -> None:
        pass


def _restore(folder: RunFolder, run: str) -> tuple[dict[str, Any] | None, Log, Path | None]:
    """(checkpoint, log cut to where it was, its file) of the newest that can be trusted; (None, empty log, None) without."""
    for path, data in folder.checkpoints():
        if data is None:
            say(f"{path}: left out: its content does not fit its checksum")
            continue
        try:
            checkpoint = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
            if checkpoint["run"] != run:
                raise ValueError("it belongs to another run")
            return checkpoint, Log(folder, tuple(checkpoint["offsets"])), path
        except Exception as error:  # whatever a foreign file holds: it is left out, and nothing of it was run
            say(f"{path}: left out: {str(error).splitlines()[0]}")
    return None, Log(folder), None


def speed(learner: Any) -> dict[str, float | None]:
    """Of the whole training, evaluations not counted; null where it ended before the first row was logged."""
    seconds = learner.seconds or math.nan
    sequences, tokens = learner.totals
    return {
        "seconds": learner.seconds,
        "steps_per_second": learner.step / seconds,
        "sequences_per_second": sequences / seconds,
        "tokens_per_second": tokens / seconds,
        "peak_memory_bytes": instruments.peak_memory(learner.device),
    }


def surroundings(device: torch.device) -> dict[str, Any]:
    """Versions, commit and hardware: recorded, never hashed. No host name and no path."""
    packages = ("rnnbench", "torch", "pytorch-lightning", "hydra-core", "numpy", "wandb", "datasets")
    versions = {"python": platform.python_version()}
    for package in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    hardware = {"system": platform.system(), "machine": platform.machine(), "processor": processor(), "device": device.type}
    if device.type == "cuda":
        hardware["gpu"] = torch.cuda.get_device_name(device)
    return {"versions": versions, "commit": commit(), "hardware": hardware}


def processor() -> str:
    """The processor's name."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def commit() -> str | None:
    """The commit of this code, with + where files differ from it; None where it was not run from its repository."""
    here = ["git", "-C", str(Path(__file__).parent)]
    try:
        known = subprocess.run([*here, "ls-files", "--error-unmatch", "run.py"], capture_output=True, timeout=5, check=False)
        if known.returncode:
            return None
        head = subprocess.run(
            [*here, "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=True
        ).stdout.strip()
        dirty = subprocess.run([*here, "diff", "--quiet", "HEAD"], capture_output=True, timeout=5, check=False).returncode
    except (OSError, subprocess.SubprocessError):
        return None
    return head + "+" * bool(dirty)


def scored(record: Mapping[str, Any]) -> str:
    """The result in a few words."""
    task, speed = record["task"], record["speed"]
    if record["status"] == "diverged":
        return f"diverged at step {record['diverged_step']}"
    score = record["scores"]["test"][task["headline"]]
    solved = f", solved at step {record['solved_step']}" if record["solved_step"] else ""
    return (
        f"test {task['headline']} {score:.4g} (floor {task['floor']:.4g}){solved}; "
        f"{record['steps']} steps in {speed['seconds']:.0f} s, {speed['steps_per_second']:.3g} steps/s"
    )


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def say(line: str) -> None:
    """A line for whoever listens; that nobody does (`| head` has had enough) is no reason to stop training."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
