"""A run before it starts: its task, its network, its width, its id and folder."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from rnnbench.tasks import load
from rnnbench.tasks.task import Batch, Task, Tokens

from ..config.budget import parse_count, solve_width
from ..config.checks import with_effect, with_model
from ..config.notes import setting_notes
from ..config.schema import choice_settings, read_signature
from ..config.settings import Settings
from ..groups import TrainerSettings
from ..models.registry import MODELS
from ..models.stack import Stack
from ..networks.build_network import build_network
from ..networks.trainable import TrainableNetwork
from ..store.record import Config, DamagedRecord, digest
from ..store.run_folder import RunFolder
from ..tracking.tracker import Run
from .memory import bounded_memory, check_batch
from .survey import Survey
from .tracked_run import run_of


def make_task(settings: Settings) -> Task:
    """The task that the settings name; ValueError or OSError where it cannot be."""
    return load(settings.task.name, **settings.task.options)


def make_network(settings: Settings, task: Task) -> TrainableNetwork:
    """The network that the settings describe, its weights drawn from torch's generator."""
    mechanism, options, stack = MODELS[settings.model.name], settings.model.options, settings.stack

    def build_core(input_size: int) -> Stack:
        return Stack(lambda size: mechanism(size, **options), input_size, **stack)

    writer = settings.network.writer or settings.model.name
    known = read_signature("mechanism", writer).options

    def build_writer(input_size: int) -> Stack:
        shared = {key: value for key, value in options.items() if key in known}
        one_way = {**stack, "bidirectional": False, "two_forward": False, "tied_directions": False}
        return Stack(lambda size: MODELS[writer](size, **shared), input_size, **one_way)

    network = build_network(task, build_core, build_writer, settings.network)
    return network.double() if settings.train.precision == "64" else network


def new_network(settings: Settings, task: Task) -> tuple[TrainableNetwork, dict[str, int] | None]:
    """(the network that training begins with, of its embedding: the symbols, and those that have a pretrained vector)."""
    torch.manual_seed(settings.seed)
    network = make_network(settings, task)
    pretrained = task.pretrained(settings.network.embedding)
    if pretrained is None:
        return network, None
    vectors, found = map(torch.tensor, pretrained)
    network.codec.begin_with(vectors, found)
    return network, {"symbols": len(found), "found": int(found.sum())}


def within_budget(settings: Settings, task: Task) -> Settings:
    """`settings` with the width that its budget asks for; as they are where there is no budget."""
    budget = settings.budget
    if not budget.is_set:
        return settings
    if budget.match:
        matched = with_model(settings, choice_settings("model", budget.match))
        target = parameter_counter(matched, task)(budget.width)
    else:
        target = parse_count(budget.params)
    return settings.with_width(solve_width(parameter_counter(settings, task), target))


def parameter_counter(settings: Settings, task: Task) -> Callable[[int], int]:
    """A function of the width that counts the network's parameters as the budget counts them; none is given numbers."""

    def count(width: int) -> int:
        with torch.device("meta"):
            network = make_network(settings.with_width(width), task)
        embeddings = (m.weight for m in network.modules() if isinstance(m, torch.nn.Embedding))
        tables = set() if settings.budget.embeddings else set(map(id, embeddings))
        return sum(p.numel() for p in network.parameters() if id(p) not in tables)

    return count


def check_network(settings: Settings, task: Task) -> None:
    """ValueError where options of the network exclude each other."""
    with contextlib.suppress(RuntimeError), torch.device("meta"):  # what cannot be made without numbers is made when it trains
        make_network(settings, task)


@dataclass(frozen=True)
class Plan:
    """A run before it starts: its settings with the width solved, its task prepared, and what makes it this run."""

    settings: Settings
    task: Task
    setting: str  # the id that it shares with other seeds
    id: str
    name_in_0_1: str = ""

    @property
    def name(self) -> str:
        return f"{self.task_and_model}/s{self.settings.seed}-{self.id[:8]}"

    @property
    def task_and_model(self) -> str:
        return f"{self.settings.task.name}/{self.settings.setting}"

    @property
    def folder(self) -> RunFolder:
        return RunFolder(Path(self.settings.runs) / self.name)


def mirrored_run(planned: Plan) -> Run:
    """The run as its trackers see it."""
    settings = planned.settings
    facts = {"setting": planned.setting, "departures": settings.departures, "data": planned.task.fingerprint}
    return run_of(planned.folder, settings.plain(), planned.id, facts)


def plan_run(settings: Settings, task: Task | None = None) -> Plan:
    """What `settings` ask for. ValueError where options exclude each other; it or OSError where the data cannot be had."""
    if task is None:
        task = make_task(settings)
        task.prepare()
    settings = within_budget(settings, task)
    check_network(settings, task)
    live = with_effect(settings)
    planned = _plan(live, task, live.identity(task.fingerprint))
    earlier = _plan(settings, task, settings.identity(task.fingerprint, as_in_0_1=True))
    chosen = earlier if earlier.id != planned.id and _begun_on(earlier.folder, settings.trainer) else planned
    return replace(chosen, name_in_0_1=earlier.name)


def _begun_on(folder: RunFolder, trainer: TrainerSettings) -> bool:
    """Whether `folder` holds a run that was begun on as many devices, of all machines."""
    try:
        begun = folder.config().get("trainer") or {}
        return bool(begun.get("devices", 1) * begun.get("nodes", 1) == trainer.devices * trainer.nodes)
    except (DamagedRecord, OSError):
        return False


def _plan(settings: Settings, task: Task, identity: Config) -> Plan:
    return Plan(settings, task, digest(identity)[:32], digest([identity, settings.seed])[:32])


def survey_runs(every: Sequence[Settings]) -> list[Survey]:
    """The survey of each of `every`. Prepares the data of their tasks, each once.

    ValueError or OSError where something that they ask for cannot be had.
    """
    found = []
    prepared: dict[str, tuple[Task, Batch]] = {}
    for settings in every:
        if settings.trainer.accelerator == "gpu" and not torch.cuda.is_available():
            raise ValueError("trainer.accelerator=gpu: PyTorch finds no GPU on this machine; allowed here: cpu")
        key = digest([settings.task.name, settings.task.options])
        if key not in prepared:
            task = make_task(settings)
            task.prepare()
            with contextlib.nullcontext() if task.sha256 else bounded_memory(settings):  # a set of data may be read whole
                prepared[key] = task, task.batch("train", 0, 1, 0)
        task, row = prepared[key]
        length = row.inputs.shape[1]
        task.batches("train", settings.train.batch_size)  # may say that there are too few rows
        embedding = settings.network.embedding
        task.pretrained(embedding)
        reads_tokens = any(isinstance(stream, Tokens) for stream in (task.inputs, task.source))
        if embedding and not reads_tokens:
            raise ValueError(f"network.embedding={embedding}: task={settings.task.name} reads numbers, which have no embedding")
        planned = plan_run(settings, task)
        if not task.sha256:  # of other data one row says little of the others
            check_batch(planned.settings, sum(part.nbytes for part in row if isinstance(part, torch.Tensor)), length)
        earlier = str(Path(settings.runs) / planned.name_in_0_1)
        notes = (*task.notes, *setting_notes(settings))
        found.append(Survey(str(planned.folder.path), planned.id, planned.setting, length, earlier, notes))
    return found
