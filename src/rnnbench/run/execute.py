"""One run, from settings to record: the only place where the packages meet.

Starting a run is idempotent: recorded, it answers from the record; with a checkpoint, it continues to the same numbers;
held by a live process, it is left alone; else it trains.
"""

from __future__ import annotations

import contextlib
import io
import math
import tempfile
import time
from dataclasses import replace

import torch

from ..config.settings import Choice, Settings
from ..console import say
from ..networks.cost import peak_memory
from ..options import BadOption, Failed
from ..store.lease import Held, Lost
from ..store.record import DamagedRecord, Record
from ..store.run_folder import RunFolder
from ..tracking.make import is_wanted_elsewhere, make_mirror
from ..tracking.tracker import TrackerUnavailable
from .cluster import process_environment
from .failures import RunFailed, RunLost, Stopped
from .imports import quick_imports
from .journal import trusted_checkpoint
from .plan import new_network, plan_run
from .plugin_checks import user_frame
from .process_settings import configure_process
from .ranks import follow
from .recorded import recorded_line
from .tracked_run import describe_run


def execute(settings: Settings) -> Record | None:
    """Runs `settings` to their record; None where another live process holds the run, and of a
    `fast_dev_run`.

    Raises RunFailed with one line, RunLost where another took the run over, Stopped after a signal.
    """
    with process_environment(settings.trainer) as rank:
        if settings.trainer.fast_dev_run:
            _try(settings, rank)
            return None
        return _execute(settings, rank)


def _try(settings: Settings, rank: int | None) -> None:
    """One step, one batch of validation and one of test, in a folder that is gone afterwards; RunFailed where they fail."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        train = replace(settings.train, steps=1, eval_every=1, log_every=1)
        short = replace(settings, runs=place, sweep=None, again=False, tracker=Choice("none", {}), train=train)
        with contextlib.redirect_stdout(io.StringIO()):  # scores of a batch are no result
            record = _execute(short, rank)
    if rank:
        return
    name = f"{settings.task.name}/{settings.setting}"
    if record is None or record["status"] != "finished":
        raise RunFailed(f"{name}: fast_dev_run: the only step diverged")
    batches = "one batch of validation and one of test" if settings.test else "one batch of validation"
    took = time.monotonic() - began
    say(f"{name}  fast_dev_run passed: one step, {batches} in {took:.1f} s; no record and no folder is kept")


def _execute(settings: Settings, rank: int | None) -> Record | None:
    process = configure_process()
    planned = plan_run(settings)
    name, folder = planned.name, planned.folder
    if rank:  # not the first of several processes that a launcher has started
        record = folder.record()
        if record is None:
            from .training_run import check_against  # imports Lightning

            network, _ = new_network(planned.settings, planned.task)
            _, place = trusted_checkpoint(folder, planned.id, check_against(network, planned.settings.train))
            follow(planned.settings, str(place) if place else None)
        return record
    try:
        record = folder.record()
        if record is None:
            folder.path.mkdir(parents=True, exist_ok=True)
            with folder.lease(say) as folder:
                record = folder.record()
                if record is None:
                    with quick_imports():
                        from ..training.light_lightning import import_lightning

                        import_lightning()
                        from .training_run import train_run
                    return train_run(planned, make_mirror(settings.tracker.name, settings.tracker.options), folder, process)
        say(recorded_line(name, record))
        if settings.keep_predictions and not folder.predictions.exists():
            say(
                f"{name}  its predictions were not kept; `rnnbench predict` gives those for a file, again=true trains once more"
            )
        tracker = settings.tracker
        run = describe_run(folder, record["config"], record)
        if is_wanted_elsewhere(run, tracker.name, tracker.options, record["config"]["tracker"]):
            mirror = make_mirror(tracker.name, tracker.options)
            mirror.start(run, folder.each_row())
            mirror.finish({**record, "confusion": folder.confusion()}, record["status"])
        return record
    except Held as held:
        say(f"{name}  left alone: {held}")
        return None
    except Lost as lost:
        raise RunLost(f"{name}: {lost}") from None
    except Stopped:
        raise
    except Exception as error:
        line = user_frame(error, settings)
        message = f"{line}: {describe_error(error)}" if line else describe_error(error)
        folder.fail(message)
        raise RunFailed(f"{name}: {message}") from error


TRIED = {"batch": 8, "online": 1000, "guess": 1000}  # steps that `measure_cost` makes, by train.rule
SLOW = 1.0  # seconds of an evaluation beside which what a run begins and ends with is little
MATTERS = 0.1  # of the seconds of training: what all evaluations take is then worth two more short runs


def measure_cost(settings: Settings) -> dict[str, float]:
    """What a run of `settings` takes: seconds of a step and of an evaluation; bytes of what stays, of what a step adds to it,
    and of a checkpoint.

    An evaluation is first taken for half of all that is not training, which is too much by half of what a run begins and ends
    with. Where so many are made that this matters, it is what some more of them add.
    """
    steps = TRIED[settings.train.rule]
    with tempfile.TemporaryDirectory() as place:
        folder, seconds = _timed(settings, f"{place}/first", steps, steps)
        weights = folder.weights.stat().st_size if folder.weights.exists() else 0
        logs = sum((folder.path / name).stat().st_size for name in ("metrics.jsonl", "timings.jsonl"))
        logged = folder.rows() or [{"steps_per_second": math.nan}]
        others = sum(path.stat().st_size for path in folder.path.glob("*.*")) - weights - logs
        step, evaluation = 1 / logged[-1]["steps_per_second"], seconds / 2  # validation and test
        every = settings.train.eval_every
        if evaluation < SLOW and evaluation > MATTERS * step * every:
            few, many = (_timed(settings, f"{place}/{apart}", steps, apart)[1] for apart in (steps, steps // 8))
            evaluation = min(evaluation, max(0.0, many - few) / 7)
    return {
        "step": step,
        "evaluation": evaluation,
        "kept": float(weights + others),
        "logged": logs / len(logged) / settings.train.log_every,
        "checkpoint": 4.0 * weights,  # weights now and at their best, and two moments of each
    }


def _timed(settings: Settings, runs: str, steps: int, eval_every: int) -> tuple[RunFolder, float]:
    """A run of so many steps in the folder `runs`, and the seconds that it took besides training."""
    train = replace(settings.train, steps=steps, eval_every=eval_every, log_every=steps // 2, warmup=0)
    short = replace(settings, runs=runs, sweep=None, tracker=Choice("none", {}), train=train)
    with contextlib.redirect_stdout(io.StringIO()):
        began = time.monotonic()
        record = execute(short)
        took = time.monotonic() - began
    assert record is not None
    return plan_run(short).folder, max(0.0, took - (record["speed"]["seconds"] or 0))


def describe_error(error: Exception) -> str:
    """What went wrong, in one line; with a hint or a number where that helps."""
    first = " ".join((str(error).strip() or type(error).__name__).splitlines()[0].split())
    if isinstance(error, MemoryError) or "allocate memory" in str(error) or "out of memory" in str(error):
        peak = peak_memory(torch.device("cpu")) / 2**20
        return f"out of memory, after a peak of {peak:,.0f} MB: {first}"
    if isinstance(error, OSError):
        return f"{first}; what was written before is intact; the same command continues"
    plain = isinstance(error, (BadOption, Failed, RunFailed, DamagedRecord, TrackerUnavailable))
    return first if plain else f"{type(error).__name__}: {first}"
