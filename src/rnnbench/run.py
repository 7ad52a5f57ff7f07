"""One run, from settings to record: the only place where the rooms meet.

Starting a run is idempotent: recorded, it answers from the record; with a checkpoint, it goes on to the same numbers;
held by a live process, it is left alone; else it trains.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import importlib.metadata
import io
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from . import __version__, budget, devices, instruments, models, process, tasks, tracking  # type: ignore[attr-defined]  # tasks lies beside src
from . import config as configuration
from .kernels import recurrence
from .models.stack import Stack
from .network import build
from .records import DamagedRecord, Held, Log, Lost, Row, RunFolder, digest
from .tasks.task import Task, Tokens
from .wording import say


class RunFailed(RuntimeError):
    """A run that could not go on; the message is one line, and what was recorded before is intact."""


class RunLost(RunFailed):
    """A run that another process took over, or whose folder was removed, while this one had it."""


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
    at_hand: bool = True  # its data; without them the task has no batches

    @property
    def metrics(self) -> dict[str, float]:
        """The scores on the test split."""
        return self.record["scores"]["test"]


def load(run: str | Path) -> Trained:
    """The trained network of the run folder `run`.

    Where its data cannot be had, the task is what the run kept of it: enough to encode, decode and predict, without batches.
    FileNotFoundError where no finished run is; ValueError where data, code or weights are no longer those of its record.
    """
    folder = RunFolder(Path(run))
    record = folder.record()
    if record is None or not folder.weights.exists():
        raise FileNotFoundError(f"no finished run in {run}: " + ("its weights are missing" if record else "no record"))
    config = configuration.resolve({**record["config"], "runs": "."})
    task, kept = make_task(config), folder.kept()
    recorded_data = record["task"]["fingerprint"]
    try:
        task.prepare()
        data, at_hand = task.fingerprint, True
    except (ValueError, OSError):
        if kept is None:
            raise
        task.restore(kept)
        data, at_hand = recorded_data, False
    weights = folder.weights.read_bytes()
    now_there = {
        "data": (data, recorded_data),
        "version of the task": (task.version, record["task"]["version"]),
        "version of the model": (configuration.versions(config)["model"], record["model"]["version"]),
        "weights": (hashlib.sha256(weights).hexdigest(), record["weights"]),
    }
    for what, (found, recorded) in now_there.items():
        if found != recorded:
            raise ValueError(f"{run}: the {what} there is not that of the record ({found} now, {recorded} then)")
    with torch.random.fork_rng(devices=[]):  # the weights that are drawn are not those that stay
        network = make_network(config, task)
    network.load_state_dict(safetensors.torch.load(weights))
    return Trained(network.eval(), task, record, folder.rows(), at_hand)


def initial(trained: Trained) -> Any:
    """The network as it was before its first training step, in evaluation mode."""
    config = configuration.resolve({**trained.record["config"], "runs": "."})
    before = torch.get_rng_state()
    network, _ = new_network(config, trained.task)
    torch.set_rng_state(before)
    return network.eval()


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
        one_way = {**around, "bidirectional": False, "two_forward": False, "tied_directions": False}
        return Stack(lambda size: models.MODELS[writer](size, **options), input_size, **one_way)

    options = {key: value for key, value in config["network"].items() if key != "writer"}
    network = build(task, build_core, build_writer, **options)
    return network.double() if config["train"]["precision"] == "64" else network


def new_network(config: Mapping[str, Any], task: Task) -> tuple[Any, dict[str, int] | None]:
    """(the network that training begins with, of its embedding: the symbols, and those that have a pretrained vector)."""
    torch.manual_seed(config["seed"])
    network = make_network(config, task)
    pretrained = task.pretrained(config["network"]["embedding"])
    if pretrained is None:
        return network, None
    vectors, found = map(torch.tensor, pretrained)
    network.codec.begin_with(vectors, found)
    return network, {"symbols": len(found), "found": int(found.sum())}


def within_budget(config: Mapping[str, Any], task: Task) -> Mapping[str, Any]:
    """`config` with the width that its budget asks for; as it is where there is no budget."""
    wanted = config["budget"]
    if not wanted["params"] and not wanted["match"]:
        return config

    if wanted["match"]:
        matched = configuration.node("model", wanted["match"])
        target = counter({**config, "model": matched}, task)(wanted["width"])
    else:
        target = budget.number(wanted["params"])
    return {**config, "model": {**config["model"], "hidden_size": budget.solve(counter(config, task), target)}}


def counter(config: Mapping[str, Any], task: Task) -> Callable[[int], int]:
    """A function of the width that counts the network's parameters as the budget counts them; none is given numbers."""

    def count(width: int) -> int:
        with torch.device("meta"):
            network = make_network({**config, "model": {**config["model"], "hidden_size": width}}, task)
        embeddings = (m.weight for m in network.modules() if isinstance(m, torch.nn.Embedding))
        tables = set() if config["budget"]["embeddings"] else set(map(id, embeddings))
        return sum(p.numel() for p in network.parameters() if id(p) not in tables)

    return count


def check(config: Mapping[str, Any], task: Task) -> None:
    """ValueError where options of the network exclude each other."""
    with contextlib.suppress(RuntimeError), torch.device("meta"):  # what cannot be made without numbers is made when it trains
        make_network(config, task)


@dataclass(frozen=True)
class Plan:
    """A run before it starts: its settings with the width solved, its task prepared, and what makes it this run."""

    config: Mapping[str, Any]
    task: Task
    setting: str  # the id that it shares with other seeds
    id: str
    departures: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.task_and_model}/s{self.config['seed']}-{self.id[:8]}"

    @property
    def task_and_model(self) -> str:
        return f"{self.config['task']['name']}/{self.config['model']['name']}"

    @property
    def folder(self) -> RunFolder:
        return RunFolder(Path(self.config["runs"]) / self.name)


def plan(config: Mapping[str, Any], task: Task | None = None) -> Plan:
    """What `config` asks for. ValueError where options exclude each other; it or OSError where the data cannot be had."""
    if task is None:
        task = make_task(config)
        task.prepare()
    config = within_budget(config, task)
    check(config, task)
    setting = configuration.setting(config, task.fingerprint)
    return Plan(config, task, digest(setting)[:32], digest([setting, config["seed"]])[:32], setting["departures"])


def execute(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Runs `config` (as config.resolve gives it) to its record; None where another live process holds the run.

    Raises RunFailed with one line, RunLost where another took the run over, Stopped after a signal.
    """
    settings = process.settle()
    planned = plan(config)
    name, folder = planned.name, planned.folder
    if devices.started():  # not the first
        record = folder.record()
        if record is None:
            _, place = _trusted(folder, planned.id)
            follow(planned.config, str(place) if place else None)
        return record
    try:
        record = folder.record()
        if record is None:
            folder.path.mkdir(parents=True, exist_ok=True)
            with folder.lease(say) as folder:
                record = folder.record()
                if record is None:
                    return _train(planned, tracking.make(planned.config["tracker"]), folder, settings)
        say(f"{name}  recorded before: {scored(record)}")
        if os.environ.get("WANDB_SWEEP_ID"):  # the agent waits for a run of its own
            tracker = tracking.make(planned.config["tracker"])
            tracker.start(_shown(planned), folder.rows())
            tracker.finish({key: record[key] for key in tracking.SUMMARY}, record["status"])
        return record
    except Held as held:
        say(f"{name}  left alone: {held}")
        return None
    except Lost as lost:
        raise RunLost(f"{name}: {lost}") from None
    except Stopped:
        raise
    except Exception as error:
        message = f"{name}: {told(error)}"
        folder.fail(message)
        raise RunFailed(message) from error


def survey(configs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of each of `configs`: its run's folder and ids, and the steps of a sequence. Prepares the data of their tasks, each once.

    ValueError or OSError where something that it asks for cannot be had.
    """
    found = []
    prepared: dict[str, tuple[Task, int]] = {}
    for config in configs:
        if config["trainer"]["accelerator"] == "gpu" and not torch.cuda.is_available():
            raise ValueError("trainer.accelerator=gpu: PyTorch finds no GPU on this machine; allowed here: cpu")
        key = digest(config["task"])
        if key not in prepared:
            task = make_task(config)
            task.prepare()
            prepared[key] = task, task.batch("train", 0, 1, 0).inputs.shape[1]
        task, length = prepared[key]
        task.batches("train", config["train"]["batch_size"])  # may say that there are too few rows
        task.pretrained(config["network"]["embedding"])
        reads_tokens = any(isinstance(stream, Tokens) for stream in (task.inputs, task.source))
        if not reads_tokens and (embedding := configuration.departures(config).get("network.embedding")):
            raise ValueError(
                f"network.embedding={embedding}: task={config['task']['name']} reads numbers, which have no embedding"
            )
        planned = plan(config, task)
        found.append({"folder": str(planned.folder.path), "id": planned.id, "setting": planned.setting, "length": length})
    return found


def measure(config: Mapping[str, Any], steps: int = 8) -> dict[str, float]:
    """What a run like `config` takes: seconds of a step and of an evaluation, bytes of what stays and of a checkpoint."""
    rows = max(1, config["train"]["steps"] // config["train"]["log_every"])
    with tempfile.TemporaryDirectory() as place:
        train = {**config["train"], "steps": steps, "eval_every": steps, "log_every": steps // 2, "warmup": 0}
        short = {**config, "runs": place, "sweep": None, "tracker": {"name": "none"}, "train": train}
        with contextlib.redirect_stdout(io.StringIO()):
            began = time.monotonic()
            record = execute(short)
            took = time.monotonic() - began
        folder = plan(short).folder
        assert record is not None
        weights = folder.weights.stat().st_size if folder.weights.exists() else 0
        logs = sum((folder.path / name).stat().st_size for name in ("metrics.jsonl", "timings.jsonl"))
        logged = folder.rows() or [{"steps_per_second": math.nan}]
        others = sum(path.stat().st_size for path in folder.path.glob("*.*")) - weights - logs
    return {
        "step": 1 / logged[-1]["steps_per_second"],
        "evaluation": max(0.0, took - (record["speed"]["seconds"] or 0)) / 2,  # validation and test
        "kept": weights + others + rows * logs / len(logged),
        "checkpoint": 4.0 * weights,  # weights now and at their best, and two moments of each
    }


def told(error: Exception) -> str:
    """What went wrong, in one line; with a hint or a number where that helps."""
    first = " ".join((str(error).strip() or type(error).__name__).splitlines()[0].split())
    if isinstance(error, MemoryError) or "allocate memory" in str(error) or "out of memory" in str(error):
        peak = instruments.peak_memory(torch.device("cpu")) / 2**20
        return f"out of memory, after a peak of {peak:,.0f} MB: {first}"
    if isinstance(error, OSError):
        return f"{first}; what was written before is intact, and the same command goes on"
    plain = isinstance(error, (RunFailed, DamagedRecord, tracking.TrackerUnavailable))
    return first if plain else f"{type(error).__name__}: {first}"


def _train(planned: Plan, tracker: tracking.Tracker, folder: RunFolder, settings: Mapping[str, Any]) -> dict[str, Any]:
    from .preload import training  # imports Lightning, which an answer from the record does not need

    config, task, name = planned.config, planned.task, planned.name
    identity = {"id": planned.id, "setting": planned.setting}
    folder.start({**config, **identity})
    folder.keep(task.keep())
    network, pretrained = new_network(config, task)
    parameters = sum(p.numel() for p in network.parameters())
    started = now()
    checkpoint, log, place = _restore(folder, planned.id)
    made_by, changes = makers(config), []
    if checkpoint:
        changes = changed(checkpoint, made_by, config["accept_changes"])
        started = datetime.datetime.fromisoformat(checkpoint["started"])
    about = {"run": planned.id, "started": started.isoformat(), "made_by": made_by, "changes": changes}
    journal = Journal(about, name, folder, log, tracker, task, config["train"]["steps"])
    learner = training.Learner(network, task, journal, config["seed"], **config["train"])
    if checkpoint:
        learner.resume(checkpoint["learner"])
    again = f"  goes on from step {learner.step}" if checkpoint else ""
    floor = task.floor if task.fingerprint else task.floor_on_test()  # of a set of data, the two are one
    width = f"hidden_size={config['model']['hidden_size']}, " if config["budget"]["params"] or config["budget"]["match"] else ""
    say(f"{name}  {width}{parameters:,} parameters, floor {task.headline} {floor:.4g}{again}")
    scores: dict[str, Any] = {"validation": learner.best.get("scores"), "test": None}
    status, diverged, ending = "finished", None, "failed"
    shown = _shown(planned)
    try:
        tracker.start(shown, folder.rows())
        progress = training.Progress(name, journal.shown) if sys.stdout.isatty() else None
        weights = None
        instruments.forget_peak()
        try:
            with devices.others(config, place):
                scores = training.train(learner, progress=progress, test=config["test"], **config["trainer"])
            weights = safetensors.torch.save(learner.best["weights"])
            folder.save_weights(weights)
        except training.Diverged as error:
            status, diverged = "diverged", error.step
            scores["validation"] = learner.best.get("scores")
        record = {
            **identity,
            "status": status,
            "seed": config["seed"],
            "sweep": config["sweep"],
            "task": {
                "name": config["task"]["name"],
                "version": task.version,
                "options": {key: value for key, value in config["task"].items() if key != "name"},
                **{key: getattr(task, key) for key in ("structure", "headline", "direction", "unit", "fingerprint")},
                "floor": floor,  # on the test split, against which scores are held
                "expected_floor": task.floor,  # of sequences without end, where they are generated
                "about": task.about(),
                **({"vectors": pretrained} if pretrained else {}),  # how many of its symbols began with a pretrained one
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
            "config": shown.config,
            "departures": planned.departures,
            "steps": learner.step,
            "best_step": learner.best.get("step"),
            "diverged_step": diverged,
            "scores": scores,
            "weights": hashlib.sha256(weights).hexdigest() if weights else None,
            "solved": None if never_solved(task) else learner.solved_step is not None,  # on validation
            "solved_on_test": scores["test"] is not None and task.solved(scores["test"]),
            "solved_step": learner.solved_step,
            "seconds_to_solved": learner.seconds_to_solved,
            "speed": speed(learner),
            **surroundings(learner.trains_on),
            "process": dict(settings),
            "changes": changes,
            "started": started.isoformat(timespec="seconds"),
            "ended": now().isoformat(timespec="seconds"),
        }
        record = folder.finish(record)
        folder.drop_checkpoints()
        ending = status
        say(f"{name}  {scored(record)}")
        return record
    except training.Interrupted as error:
        ending = "interrupted"
        raise Stopped(f"{name}: {error}", error.signal) from None
    except KeyboardInterrupt:
        ending = "interrupted"
        raise
    finally:
        log.close()
        tracker.finish({"scores": scores, "steps": learner.step, "solved_step": learner.solved_step}, ending)


def _shown(planned: Plan) -> tracking.Run:
    """A run as mirrors see it: where its folder lies is nobody else's, and what was accepted stands under `changes`."""
    public = {key: value for key, value in planned.config.items() if key not in ("runs", "accept_changes")}
    return tracking.Run(planned.id[:16], planned.name.rpartition("-")[0], planned.folder.path, public, planned.config["sweep"])


class Journal:
    """Where training reports to: the local log first, then its mirror; and the checkpoints."""

    def __init__(
        self,
        about: Mapping[str, Any],  # stands in every checkpoint
        name: str,
        folder: RunFolder,
        log: Log,
        tracker: tracking.Tracker,
        task: Task,
        steps: int,
    ):
        self.about, self.name, self.folder, self.log, self.tracker = about, name, folder, log, tracker
        self.task, self.steps = task, steps
        self.shown: dict[str, float] = {}  # what the progress bar shows
        self._said_at = time.monotonic()

    def row(self, step: int, metrics: dict[str, Any], timings: dict[str, float]) -> None:
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
        torch.save({**self.about, "offsets": self.log.offsets(), "learner": checkpoint}, buffer)
        self.folder.save_checkpoint(step, buffer.getvalue())


def follow(config: Mapping[str, Any], checkpoint: str | None) -> None:
    """What the other devices of a run do: train as the first one does, from the same start, and write nothing."""
    from . import training

    process.settle()
    task = make_task(config)
    task.prepare()
    learner = training.Learner(new_network(config, task)[0], task, Silence(), config["seed"], **config["train"])
    if checkpoint:
        learner.resume(torch.load(checkpoint, map_location="cpu", weights_only=True)["learner"])
    with contextlib.suppress(training.Diverged, training.Interrupted):
        training.train(learner, test=config["test"], **config["trainer"])


class Silence:
    """A journal that keeps nothing."""

    def row(self, step: int, metrics: dict[str, Any], timings: dict[str, float]) -> None:
        pass

    def save(self, step: int, checkpoint: dict[str, Any]) -> None:
        pass


def _restore(folder: RunFolder, run: str) -> tuple[dict[str, Any] | None, Log, Path | None]:
    """(checkpoint, log cut to where it was, its file) of the newest that can be trusted; (None, empty log, None) without."""
    checkpoint, path = _trusted(folder, run, folder.set_aside)
    return checkpoint, Log(folder, tuple(checkpoint["offsets"]) if checkpoint else (0, 0)), path


def _trusted(
    folder: RunFolder, run: str, leave_out: Callable[[Path], None] = lambda _: None
) -> tuple[dict[str, Any] | None, Path | None]:
    """The newest checkpoint whose checksum fits, that is this run's and whose log is there; and its file.

    Those before it go to `leave_out`. What the machine cannot do just now (memory, disk) is no reason to leave one out.
    """
    for path, data in folder.checkpoints():
        if data is None:
            say(f"{path}: left out: its content does not fit its checksum")
            leave_out(path)
            continue
        try:
            checkpoint = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
            if checkpoint["run"] != run or "made_by" not in checkpoint:
                raise ValueError("it belongs to another run, or version")
            folder.check_log(tuple(checkpoint["offsets"]))
            return checkpoint, path
        except (MemoryError, OSError):
            raise
        except Exception as error:  # whatever a foreign file holds: it is left out, and nothing of it was run
            say(f"{path}: left out: {(str(error).splitlines() or [type(error).__name__])[0]}")
            leave_out(path)
    return None, None


# The files that make the numbers.
NUMBERS = ("training.py", "network.py", "encoder_decoder.py", "generation.py", "process.py", "text.py", "hub.py")
ROOMS = ("models", "kernels")  # and all that stands in these


def makers(config: Mapping[str, Any]) -> dict[str, str]:
    """What the numbers of a run depend on besides its settings: code, libraries, kind of device."""
    tasks_folder = Path(str(tasks.__file__)).parent
    here = configuration.HERE
    files = [*(here / name for name in NUMBERS), *(path for room in ROOMS for path in sorted((here / room).glob("*.py")))]
    files += [path for name in tasks.SHARED if (path := tasks_folder / f"{name}.py").exists()]
    files += [tasks.sources()[config["task"]["name"]], models.sources()[config["model"]["mechanism"]]]  # of other packages, too
    gpu = config["trainer"]["accelerator"] != "cpu" and torch.cuda.is_available()
    return {
        "rnnbench": f"{__version__}, code {digest([path.read_text(encoding='utf-8') for path in files])[:12]}",
        **{package: importlib.metadata.version(package) for package in ("torch", "numpy", "pytorch-lightning")},
        "machine code": f"by numba {installed('numba')}" if recurrence.steps_are_compiled() else "none",
        "device": torch.cuda.get_device_name() if gpu else "cpu",
    }


def changed(checkpoint: Mapping[str, Any], present: Mapping[str, str], accepted: bool) -> list[dict[str, Any]]:
    """What changed under a run since it began; RunFailed where its checkpoint was made by others, and that is not accepted."""
    before = checkpoint["made_by"]
    differing = [f"{name}: {before.get(name)} -> {present[name]}" for name in present if before.get(name) != present[name]]
    if not differing:
        return list(checkpoint["changes"])
    step = checkpoint["learner"]["kept"]["step"]
    if not accepted:
        raise RunFailed(
            f"changed since its checkpoint of step {step}: {'; '.join(differing)}; accept_changes=true goes on with that on "
            "record, and without its checkpoints/ the run begins again"
        )
    say(f"goes on although changed since step {step}: {'; '.join(differing)}")
    return [*checkpoint["changes"], {"step": step, "changed": differing}]


def never_solved(task: Task) -> bool:
    """Whether the task's bound on `solved` is one that nothing passes, as where there is no solution."""
    return getattr(task, "solved_below", None) == 0 or getattr(task, "solved_above", None) == task.most


def speed(learner: Any) -> dict[str, float | None]:
    """Of the whole training, evaluations not counted; null where it ended before the first row was logged."""
    seconds = learner.seconds or math.nan
    sequences, tokens = learner.totals
    return {
        "seconds": learner.seconds,
        "steps_per_second": learner.pace,
        "sequences_per_second": sequences / seconds,
        "tokens_per_second": tokens / seconds,
        "peak_memory_bytes": instruments.peak_memory(learner.trains_on),
        **({"characters_per_second": written} if (written := learner.characters_per_second) else {}),  # when it writes
    }


def surroundings(device: torch.device) -> dict[str, Any]:
    """Versions, commit and hardware: recorded, never hashed. No host name and no path."""
    packages = ("rnnbench", "torch", "pytorch-lightning", "hydra-core", "numpy", "numba", "wandb", "datasets")
    versions = {"python": platform.python_version(), **{name: version for name in packages if (version := installed(name))}}
    hardware = {"system": platform.system(), "machine": platform.machine(), "processor": processor(), "device": device.type}
    if device.type == "cuda":
        hardware["gpu"] = torch.cuda.get_device_name(device)
    return {"versions": versions, "commit": commit(), "hardware": hardware}


def installed(package: str) -> str | None:
    """Its version."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(package)
    return None


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
    if record["scores"]["test"] is None:
        return f"validation {task['headline']} {record['scores']['validation'][task['headline']]:.4g}, test not read"
    score = record["scores"]["test"][task["headline"]]
    solved = f", solved at step {record['solved_step']}" if record["solved_step"] else ""
    return (
        f"test {task['headline']} {score:.4g} (floor {task['floor']:.4g}){solved}; "
        f"{record['steps']} steps in {speed['seconds']:.0f} s, {speed['steps_per_second']:.3g} steps/s"
    )


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
