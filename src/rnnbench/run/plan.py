"""A run before it starts: its task, its network, its width, its id and folder."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from rnnbench.tasks import load
from rnnbench.tasks.task import Task, Tokens

from ..config.budget import parse_count, solve_width
from ..config.identity import departures, setting_identity
from ..config.schema import choice_settings, group_options, read_signature
from ..models.registry import MODELS
from ..models.stack import Stack
from ..networks.build_network import build_network
from ..networks.trainable import TrainableNetwork
from ..store.record import digest
from ..store.run_folder import RunFolder


def make_task(config: Mapping[str, Any]) -> Task:
    """The task that the settings name; ValueError or OSError where it cannot be."""
    options = dict(config["task"])
    return load(options.pop("name"), **options)


def make_network(config: Mapping[str, Any], task: Task) -> TrainableNetwork:
    """The network that the settings describe, its weights drawn from torch's generator."""
    model = {key: value for key, value in config["model"].items() if key not in ("name", "mechanism")}
    around = {key: model.pop(key) for key in group_options("stack", {})}
    mechanism = MODELS[config["model"]["mechanism"]]

    def build_core(input_size: int) -> Stack:
        return Stack(lambda size: mechanism(size, **model), input_size, **around)

    writer = config["network"]["writer"] or config["model"]["mechanism"]
    known = read_signature("mechanism", writer).options

    def build_writer(input_size: int) -> Stack:
        options = {key: value for key, value in model.items() if key in known}
        one_way = {**around, "bidirectional": False, "two_forward": False, "tied_directions": False}
        return Stack(lambda size: MODELS[writer](size, **options), input_size, **one_way)

    options = {key: value for key, value in config["network"].items() if key != "writer"}
    network = build_network(task, build_core, build_writer, **options)
    return network.double() if config["train"]["precision"] == "64" else network


def new_network(config: Mapping[str, Any], task: Task) -> tuple[TrainableNetwork, dict[str, int] | None]:
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
        matched = choice_settings("model", wanted["match"])
        target = parameter_counter({**config, "model": matched}, task)(wanted["width"])
    else:
        target = parse_count(wanted["params"])
    return {**config, "model": {**config["model"], "hidden_size": solve_width(parameter_counter(config, task), target)}}


def parameter_counter(config: Mapping[str, Any], task: Task) -> Callable[[int], int]:
    """A function of the width that counts the network's parameters as the budget counts them; none is given numbers."""

    def count(width: int) -> int:
        with torch.device("meta"):
            network = make_network({**config, "model": {**config["model"], "hidden_size": width}}, task)
        embeddings = (m.weight for m in network.modules() if isinstance(m, torch.nn.Embedding))
        tables = set() if config["budget"]["embeddings"] else set(map(id, embeddings))
        return sum(p.numel() for p in network.parameters() if id(p) not in tables)

    return count


def check_network(config: Mapping[str, Any], task: Task) -> None:
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


def plan_run(config: Mapping[str, Any], task: Task | None = None) -> Plan:
    """What `config` asks for. ValueError where options exclude each other; it or OSError where the data cannot be had."""
    if task is None:
        task = make_task(config)
        task.prepare()
    config = within_budget(config, task)
    check_network(config, task)
    setting = setting_identity(config, task.fingerprint)
    return Plan(config, task, digest(setting)[:32], digest([setting, config["seed"]])[:32], setting["departures"])


def survey_runs(configs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
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
        if not reads_tokens and (embedding := departures(config).get("network.embedding")):
            raise ValueError(
                f"network.embedding={embedding}: task={config['task']['name']} reads numbers, which have no embedding"
            )
        planned = plan_run(config, task)
        found.append({"folder": str(planned.folder.path), "id": planned.id, "setting": planned.setting, "length": length})
    return found
