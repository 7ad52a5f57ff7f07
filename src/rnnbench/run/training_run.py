"""Trains a run, from its plan or from its checkpoint, to its record. Imports Lightning."""

from __future__ import annotations

import contextlib
import datetime
import functools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import safetensors.torch
import torch

from ..config.identity import code_digests
from ..config.places import with_absolute_places
from ..console import say
from ..groups import TrainSettings
from ..kernels.products import bf16_over_float32
from ..networks.cost import forget_peak
from ..networks.trainable import TrainableNetwork
from ..store.log import Log
from ..store.record import ChangeRecord, Record, ScoresRecord
from ..store.run_folder import RunFolder
from ..tracking.mirror import Mirror
from ..training.checkpoint import Checkpoint, check_checkpoint
from ..training.endings import Diverged, Interrupted
from ..training.learner import Learner
from ..training.progress import Progress
from ..training.trainer import fit
from .build_record import build_record
from .failures import RunFailed, Stopped
from .journal import Journal, restore_checkpoint
from .plan import Plan, mirrored_run, new_network
from .predictions import split_lines
from .provenance import provenance
from .ranks import following_ranks
from .recorded import compared_to_first, other_code, result_text


@dataclass(frozen=True)
class Begun:
    """A run that is ready to train."""

    network: TrainableNetwork
    learner: Learner
    journal: Journal
    log: Log
    checkpoint: Path | None  # the file that it continues from
    pretrained: dict[str, int] | None
    floor: float  # on the test split
    changes: Sequence[ChangeRecord]
    started: datetime.datetime


def train_run(planned: Plan, mirror: Mirror, folder: RunFolder, process: Mapping[str, Any]) -> Record:
    """The record of the run, which `folder` holds the lease of. Raises RunFailed, or Stopped after a signal."""
    begun = begin(planned, mirror, folder)
    learner, name = begun.learner, planned.name
    process = {**process, **checked_bf16(planned)}
    scores: ScoresRecord = {"validation": learner.selection.best.get("scores"), "test": None}
    weights, diverged, ending = None, None, "failed"
    shown = mirrored_run(planned)
    results: Mapping[str, Any] = {}
    try:
        mirror.start(shown, folder.each_row())
        progress = Progress(name, begun.journal.shown) if sys.stdout.isatty() else None
        forget_peak()
        try:
            with following_ranks(planned.settings, begun.checkpoint):
                trained = fit(learner, planned.settings.trainer, progress, planned.settings.test)
            scores = {"validation": trained["validation"], "test": trained["test"]}
            weights = safetensors.torch.save(learner.selection.best["weights"])
            folder.save_weights(weights)
            if learner.profile:
                say(f"{name}  profile: {folder.save_profile(learner.profile)}")
            if planned.settings.keep_predictions:
                folder.save_predictions(b"".join(split_lines(learner.network, planned.task, "test")))
            if learner.confusion:
                classes, counts = learner.confusion
                split: Literal["validation", "test"] = "test" if planned.settings.test else "validation"
                folder.save_confusion({"split": split, "classes": classes, "counts": counts})
        except Diverged as error:
            diverged = error.step
            scores["validation"] = learner.selection.best.get("scores")
        body = build_record(
            planned,
            begun.network,
            learner,
            config=shown.config,
            pretrained=begun.pretrained,
            floor=begun.floor,
            scores=scores,
            weights=weights,
            diverged_step=diverged,
            process=process,
            changes=begun.changes,
            started=begun.started,
            ended=now(),
        )
        record = folder.finish(body)
        ending, results = record["status"], {**record, "confusion": folder.confusion()}
        with behind_record(name):
            folder.drop_checkpoints()
        with behind_record(name):
            say(f"{name}  {result_text(record)}")
            if line := compared_to_first(planned, record):
                say(f"{name}  {line}")
        return record
    except Interrupted as error:
        ending = "interrupted"
        raise Stopped(f"{name}: {error}", error.signal) from None
    except KeyboardInterrupt:
        ending = "interrupted"
        raise
    finally:
        with contextlib.suppress(OSError):  # its rows are written, each when it was made
            begun.log.close()
        reached = {"scores": scores, "steps": learner.step, "solved_step": learner.selection.solved_step}
        mirror.finish(results or reached, ending)


def checked_bf16(planned: Plan) -> dict[str, float]:
    """Of a run in bf16 on a CPU, for its record: how long a product takes over one in float32; says so where it is longer."""
    settings = planned.settings
    gpu = settings.trainer.accelerator != "cpu" and torch.cuda.is_available()
    if settings.train.precision != "bf16" or gpu:
        return {}
    ratio = bf16_over_float32()
    if ratio > 1:
        say(f"{planned.name}  train.precision=bf16 is slow here: a product takes {ratio:.1f} times as long as in float32")
    return {"bf16_over_float32": round(ratio, 2)}


def check_against(network: TrainableNetwork, options: TrainSettings) -> Callable[[Checkpoint], None]:
    """What raises where `network` could not be trained on from a checkpoint."""
    return functools.partial(check_checkpoint, network=network, options=options)


@contextlib.contextmanager
def behind_record(name: str) -> Iterator[None]:
    """What comes after the record: an OSError of it is no failure of the run, and is said."""
    try:
        yield
    except OSError as error:
        with contextlib.suppress(OSError):
            why = error.strerror or str(error)
            say(f"{name}  recorded; what was left to do failed ({why}): `rnnbench prune` removes what is left", sys.stderr)


def begin(planned: Plan, mirror: Mirror, folder: RunFolder) -> Begun:
    """The run at its start, or where its newest checkpoint left it; says so in a line."""
    settings, task, name = planned.settings, planned.task, planned.name
    code = code_digests(settings.plain())
    plain = with_absolute_places(settings.plain())  # it may be continued from another folder
    folder.start({**plain, "id": planned.id, "setting": planned.setting, **({"code": code} if code else {})})
    folder.keep(task.keep())
    if folder.place.is_symlink():
        say(f"{name}  {folder.place} is a link: nothing behind it is deleted, old checkpoints neither")
    network, pretrained = new_network(settings, task)
    started = now()
    checkpoint, log, place = restore_checkpoint(folder, planned.id, check_against(network, settings.train))
    made_by, changes = provenance(settings), []
    if checkpoint:
        changes = changes_since(checkpoint, made_by, settings.accept_changes)
        started = datetime.datetime.fromisoformat(checkpoint["started"])
    about = {"run": planned.id, "started": started.isoformat(), "made_by": made_by, "changes": changes}
    journal = Journal(about, name, folder, log, mirror, task, settings.train.steps)
    learner = Learner(network, task, journal, settings.seed, settings.train)
    if checkpoint:
        learner.resume(checkpoint["learner"])
    again = f"  continues from step {learner.step}" if checkpoint else ""
    if line := other_code(planned):
        say(f"{name}  {line}")
    if pretrained:
        share = pretrained["found"] / pretrained["symbols"]
        say(f"{name}  {pretrained['found']:,} of {pretrained['symbols']:,} words have a vector ({share:.0%})")
    floor = task.floor if task.fingerprint else task.floor_on_test()  # of a set of data, the two are one
    width = f"hidden_size={settings.model.options['hidden_size']}, " if settings.budget.is_set else ""
    parameters = sum(p.numel() for p in network.parameters())
    say(f"{name}  {width}{parameters:,} parameters, floor {task.headline} {floor:.4g}{again}")
    return Begun(network, learner, journal, log, place, pretrained, floor, changes, started)


def changes_since(checkpoint: Mapping[str, Any], present: Mapping[str, str], accepted: bool) -> list[ChangeRecord]:
    """What changed under a run since it began; RunFailed where its checkpoint was made by others, and that is not accepted."""
    before = checkpoint["made_by"]
    differing = [f"{name}: {before.get(name)} -> {present[name]}" for name in present if before.get(name) != present[name]]
    if not differing:
        return list(checkpoint["changes"])
    step = checkpoint["learner"]["kept"]["step"]
    if not accepted:
        raise RunFailed(
            f"changed since its checkpoint, of step {step}: {'; '.join(differing)}; accept_changes=true "
            "continues and records the change; without its folder checkpoints/ the run starts again from step 0"
        )
    say(f"continues although changed since step {step}: {'; '.join(differing)}")
    return [*checkpoint["changes"], {"step": step, "changed": differing}]


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
