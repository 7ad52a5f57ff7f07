"""One run, from settings to record: the only place where the rooms meet.

Starting a run is idempotent: recorded, it answers from the record; with a checkpoint, it goes on to the same numbers;
held by a live process, it is left alone; else it trains.
"""

from __future__ import annotations

import contextlib
import datetime
import io
import math
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import safetensors.torch
import torch

from rnnbench.tasks.task import Task

from ..config.settings import Choice, Settings
from ..console import say
from ..networks.cost import forget_peak, peak_memory
from ..store.lease import Held, Lost
from ..store.record import ChangeRecord, DamagedRecord, Record, ScoresRecord, SpeedRecord
from ..store.run_folder import RunFolder
from ..tracking.make import make_tracker
from ..tracking.tracker import SUMMARY, Run, Tracker, TrackerUnavailable
from .build_record import build_record
from .failures import RunFailed, RunLost, Stopped
from .imports import quick_imports
from .journal import Journal, restore_checkpoint, trusted_checkpoint
from .plan import Plan, new_network, plan_run
from .process_settings import configure_process
from .provenance import provenance
from .ranks import follow, following_ranks, launched_rank

if TYPE_CHECKING:
    from ..training.learner import Learner


def execute(settings: Settings) -> Record | None:
    """Runs `settings` to their record; None where another live process holds the run.

    Raises RunFailed with one line, RunLost where another took the run over, Stopped after a signal.
    """
    process = configure_process()
    planned = plan_run(settings)
    name, folder = planned.name, planned.folder
    if launched_rank():  # not the first
        record = folder.record()
        if record is None:
            _, place = trusted_checkpoint(folder, planned.id)
            follow(planned.settings, str(place) if place else None)
        return record
    try:
        record = folder.record()
        if record is None:
            folder.path.mkdir(parents=True, exist_ok=True)
            with folder.lease(say) as folder:
                record = folder.record()
                if record is None:
                    return _train(planned, tracker_of(planned), folder, process)
        say(f"{name}  recorded before: {result_text(record)}")
        if os.environ.get("WANDB_SWEEP_ID"):  # the agent waits for a run of its own
            tracker = tracker_of(planned)
            tracker.start(_shown(planned), folder.rows())
            tracker.finish({key: record[key] for key in SUMMARY}, record["status"])
        return record
    except Held as held:
        say(f"{name}  left alone: {held}")
        return None
    except Lost as lost:
        raise RunLost(f"{name}: {lost}") from None
    except Stopped:
        raise
    except Exception as error:
        message = f"{name}: {describe_error(error)}"
        folder.fail(message)
        raise RunFailed(message) from error


def measure_cost(settings: Settings, steps: int = 8) -> dict[str, float]:
    """What a run of `settings` takes: seconds of a step and of an evaluation, bytes of what stays and of a checkpoint."""
    rows = max(1, settings.train.steps // settings.train.log_every)
    with tempfile.TemporaryDirectory() as place:
        train = replace(settings.train, steps=steps, eval_every=steps, log_every=steps // 2, warmup=0)
        short = replace(settings, runs=place, sweep=None, tracker=Choice("none", {}), train=train)
        with contextlib.redirect_stdout(io.StringIO()):
            began = time.monotonic()
            record = execute(short)
            took = time.monotonic() - began
        folder = plan_run(short).folder
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


def describe_error(error: Exception) -> str:
    """What went wrong, in one line; with a hint or a number where that helps."""
    first = " ".join((str(error).strip() or type(error).__name__).splitlines()[0].split())
    if isinstance(error, MemoryError) or "allocate memory" in str(error) or "out of memory" in str(error):
        peak = peak_memory(torch.device("cpu")) / 2**20
        return f"out of memory, after a peak of {peak:,.0f} MB: {first}"
    if isinstance(error, OSError):
        return f"{first}; what was written before is intact, and the same command goes on"
    plain = isinstance(error, (RunFailed, DamagedRecord, TrackerUnavailable))
    return first if plain else f"{type(error).__name__}: {first}"


def _train(planned: Plan, tracker: Tracker, folder: RunFolder, process: Mapping[str, Any]) -> Record:
    with quick_imports():  # Lightning, which an answer from the record does not need
        from ..training.endings import Diverged, Interrupted
        from ..training.learner import Learner
        from ..training.progress import Progress
        from ..training.trainer import train
    settings, task, name = planned.settings, planned.task, planned.name
    config = settings.plain()
    identity = {"id": planned.id, "setting": planned.setting}
    folder.start({**config, **identity})
    folder.keep(task.keep())
    network, pretrained = new_network(settings, task)
    parameters = sum(p.numel() for p in network.parameters())
    started = now()
    checkpoint, log, place = restore_checkpoint(folder, planned.id)
    made_by, changes = provenance(settings), []
    if checkpoint:
        changes = changes_since(checkpoint, made_by, settings.accept_changes)
        started = datetime.datetime.fromisoformat(checkpoint["started"])
    about = {"run": planned.id, "started": started.isoformat(), "made_by": made_by, "changes": changes}
    journal = Journal(about, name, folder, log, tracker, task, settings.train.steps)
    learner = Learner(network, task, journal, settings.seed, settings.train)
    if checkpoint:
        learner.resume(checkpoint["learner"])
    again = f"  goes on from step {learner.step}" if checkpoint else ""
    floor = task.floor if task.fingerprint else task.floor_on_test()  # of a set of data, the two are one
    width = f"hidden_size={settings.model.options['hidden_size']}, " if settings.budget.set else ""
    say(f"{name}  {width}{parameters:,} parameters, floor {task.headline} {floor:.4g}{again}")
    scores: ScoresRecord = {"validation": learner.selection.best.get("scores"), "test": None}
    status, diverged, ending = "finished", None, "failed"
    shown = _shown(planned)
    try:
        tracker.start(shown, folder.rows())
        progress = Progress(name, journal.shown) if sys.stdout.isatty() else None
        weights = None
        forget_peak()
        try:
            with following_ranks(settings, place):
                trained = train(learner, settings.trainer, progress, settings.test)
                scores = {"validation": trained["validation"], "test": trained["test"]}
            weights = safetensors.torch.save(learner.selection.best["weights"])
            folder.save_weights(weights)
        except Diverged as error:
            status, diverged = "diverged", error.step
            scores["validation"] = learner.selection.best.get("scores")
        body = build_record(
            planned,
            network,
            learner,
            config=shown.config,
            pretrained=pretrained,
            floor=floor,
            scores=scores,
            weights=weights,
            diverged_step=diverged,
            solvable=not never_solved(task),
            speed=speed(learner),
            process=process,
            changes=changes,
            started=started,
            ended=now(),
        )
        record = folder.finish(body)
        folder.drop_checkpoints()
        ending = status
        say(f"{name}  {result_text(record)}")
        return record
    except Interrupted as error:
        ending = "interrupted"
        raise Stopped(f"{name}: {error}", error.signal) from None
    except KeyboardInterrupt:
        ending = "interrupted"
        raise
    finally:
        log.close()
        tracker.finish({"scores": scores, "steps": learner.step, "solved_step": learner.selection.solved_step}, ending)


def tracker_of(planned: Plan) -> Tracker:
    """The tracker that a run's settings name; TrackerUnavailable where it cannot be had."""
    return make_tracker(planned.settings.tracker.name, planned.settings.tracker.options)


def _shown(planned: Plan) -> Run:
    """A run as mirrors see it: where its folder lies is nobody else's, and what was accepted stands under `changes`."""
    public = {key: value for key, value in planned.settings.plain().items() if key not in ("runs", "accept_changes")}
    return Run(planned.id[:16], planned.name.rpartition("-")[0], planned.folder.path, public, planned.settings.sweep)


def changes_since(checkpoint: Mapping[str, Any], present: Mapping[str, str], accepted: bool) -> list[ChangeRecord]:
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


def result_text(record: Record) -> str:
    """The result in a few words."""
    task, speed = record["task"], record["speed"]
    if record["status"] == "diverged":
        return f"diverged at step {record['diverged_step']}"
    headline, scores = task["headline"], record["scores"]
    if scores["test"] is None:
        validation = (scores["validation"] or {}).get(headline)
        return f"validation {headline} {math.nan if validation is None else validation:.4g}, test not read"
    score = scores["test"][headline]
    solved = f", solved at step {record['solved_step']}" if record["solved_step"] else ""
    return (
        f"test {headline} {score:.4g} (floor {task['floor']:.4g}){solved}; "
        f"{record['steps']} steps in {speed['seconds']:.0f} s, {speed['steps_per_second']:.3g} steps/s"
    )


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
