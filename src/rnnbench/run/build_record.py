"""The record of a run: what was planned, what training came to, and what it ran on."""

from __future__ import annotations

import datetime
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

import torch

from rnnbench.tasks.task import Task

from ..config.identity import code_digests
from ..models.registry import mechanism_class
from ..networks.cost import multiply_adds, peak_memory, state_size
from ..store.confusion import class_scores
from ..store.record import (
    ChangeRecord,
    Config,
    ModelRecord,
    RecordBody,
    ScoresRecord,
    SettingsRecord,
    SpeedRecord,
    TaskRecord,
)
from .plan import Plan
from .provenance import surroundings

if TYPE_CHECKING:
    from ..training.learner import Learner  # imports Lightning, which an answer from the record does not need


def build_record(
    planned: Plan,
    network: torch.nn.Module,
    learner: Learner,
    *,
    config: Config,  # the settings, without folders of this machine
    pretrained: dict[str, int] | None,
    floor: float,
    scores: ScoresRecord,
    weights: bytes | None,
    diverged_step: int | None,
    process: Mapping[str, Any],
    changes: Sequence[ChangeRecord],
    started: datetime.datetime,
    ended: datetime.datetime,
) -> RecordBody:
    """The record of a run that finished, or diverged at `diverged_step`; keys are in the order of record.json."""
    about, settings, selection = surroundings(learner.trains_on), planned.settings, learner.selection
    record: RecordBody = {
        "id": planned.id,
        "setting": planned.setting,
        "status": "finished" if diverged_step is None else "diverged",
        "seed": settings.seed,
        "sweep": settings.sweep,
        "task": task_record(planned, floor, pretrained),
        "model": model_record(planned, network),
        "network": asdict(settings.network),
        "train": asdict(settings.train),
        "config": cast(SettingsRecord, config),  # checked by `resolve` before the run
        "departures": settings.departures,
        "steps": learner.step,
        "best_step": selection.best.get("step"),
        "diverged_step": diverged_step,
        "scores": scores,
        "weights": hashlib.sha256(weights).hexdigest() if weights else None,
        "solved": None if never_solved(planned.task) else selection.solved_step is not None,  # on validation
        "solved_on_test": scores["test"] is not None and planned.task.solved(scores["test"]),
        "solved_step": selection.solved_step,
        "seconds_to_solved": selection.seconds_to_solved,
        "speed": speed(learner),
        "versions": about["versions"],
        "commit": about["commit"],
        "hardware": about["hardware"],
        "process": dict(process),
        "changes": list(changes),
        "started": started.isoformat(timespec="seconds"),
        "ended": ended.isoformat(timespec="seconds"),
    }
    if code := code_digests(settings.plain()):
        record["code"] = code
    if learner.by_class and weights:
        record["by_class"] = dict(class_scores(*learner.by_class))
    if settings.repeat:
        record["repeat"] = settings.repeat
    return record


def task_record(planned: Plan, floor: float, pretrained: dict[str, int] | None) -> TaskRecord:
    """The task of `planned`; `floor` is that of its test split."""
    task, chosen = planned.task, planned.settings.task
    found: TaskRecord = {
        "name": chosen.name,
        "version": task.version,
        "options": dict(chosen.options),
        "structure": task.structure,
        "headline": task.headline,
        "direction": task.direction,
        "unit": task.unit,
        "fingerprint": task.fingerprint,
        "floor": floor,
        "expected_floor": task.floor,
        "about": task.about(),
    }
    if pretrained:
        found["vectors"] = pretrained
    return found


def model_record(planned: Plan, network: torch.nn.Module) -> ModelRecord:
    """The model of `planned`, and the size of its network."""
    settings = planned.settings
    return {
        "name": settings.setting,
        "mechanism": settings.model.name,
        "version": mechanism_class(settings.model.reference).version,
        "options": {**settings.stack, **settings.model.options},
        "parameters": sum(p.numel() for p in network.parameters()),
        "state_size": state_size(network),
        "multiply_adds": multiply_adds(network),
    }


def never_solved(task: Task) -> bool:
    """Whether the task's bound on `solved` is one that nothing passes, as where there is no solution."""
    return getattr(task, "solved_below", None) == 0 or getattr(task, "solved_above", None) == task.most


def speed(learner: Learner) -> SpeedRecord:
    """Of the whole training, evaluations not counted; null where it ended before the first row was logged."""
    seconds = learner.clock.seconds or math.nan
    sequences, tokens = learner.clock.totals
    found: SpeedRecord = {
        "seconds": learner.clock.seconds,
        "steps_per_second": learner.clock.pace,
        "sequences_per_second": sequences / seconds,
        "tokens_per_second": tokens / seconds,
        "peak_memory_bytes": peak_memory(learner.trains_on),
    }
    if written := learner.reporter.characters_per_second:
        found["characters_per_second"] = written
    return found
