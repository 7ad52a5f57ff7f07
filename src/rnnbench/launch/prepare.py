"""A sweep before it starts: its jobs and what they will take."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, overload

from ..analysis.formatting import format_duration
from ..config.settings import Settings
from ..console import counted, say
from ..options import amount
from ..run.recorded import survey_recorded
from ..run.survey import Survey
from ..store.record import digest
from .capacity import usable_cores
from .costs import recorded_costs, typical
from .manifest import Job
from .worker import Work, call_in_process, start_server


def prepare_sweep(
    every: Sequence[Settings], overrides: Sequence[Sequence[str]], sweep: str, missing: Counter[str] | None = None
) -> list[Job]:
    """The jobs of a sweep from their checked settings, each with the run that it is; none is composed again.

    Two ways of saying one run are one job, the first. BadOption with one line where a task's data cannot be had; where
    `missing` is given, such a job is left out and its line counted there. Torch is imported by a process of its own, and only
    where a run is not recorded.
    """
    found = survey_jobs(every, leave_out=missing is not None)
    say_notes([survey for survey in found if isinstance(survey, Survey)])
    jobs: dict[str, Job] = {}
    shown, without = varying(overrides), Counter[str]()
    for settings, words, given, survey in zip(every, shown, overrides, found, strict=True):
        if isinstance(survey, str):
            without[survey] += 1
            continue
        job = Job.of(replace(settings, sweep=sweep), words, survey, list(given))
        jobs.setdefault(survey.id, job).replaces.add(Path(survey.in_0_1))
    if len(jobs) < (asked := len(every) - without.total()):
        say(f"{asked} combinations are {amount(len(jobs), 'run')}: the others are the same runs again")
    if missing is not None:
        missing.update(without)
    return list(jobs.values())


def say_notes(found: Sequence[Survey]) -> None:
    """Says what is odd about the data and settings of the runs, each note once."""
    for note, jobs in Counter(note for survey in found for note in survey.notes).items():
        say(note if jobs == len(found) else f"{note}  (in {jobs} of {amount(len(found), 'job')})")


@overload
def survey_jobs(every: Sequence[Settings], leave_out: Literal[False] = False) -> list[Survey]: ...
@overload
def survey_jobs(every: Sequence[Settings], leave_out: bool) -> list[Survey | str]: ...
def survey_jobs(every: Sequence[Settings], leave_out: bool = False) -> Sequence[Survey | str]:
    """The survey of each job: of those that are recorded by their settings alone, of the others by a process.

    With `leave_out` a line that says why in place of a survey where a task's data cannot be had; without it BadOption.
    """
    recorded, others = [], []
    for settings, survey in zip(
        every, survey_recorded(counted(every, f"of {amount(len(every), 'run')} looked up")), strict=True
    ):
        recorded.append(survey)
        if survey is None:
            others.append(settings)
            start_server()  # imports beside what follows
    work: Work = "look_up_at_hand" if leave_out else "look_up"
    about = f"planning {amount(len(others), 'run')}: their data and sizes"
    found = iter(call_in_process(work, others, about) if others else ())
    return [survey or next(found) for survey in recorded]


def estimate_lines(jobs: Sequence[Job], workers: int) -> Iterator[str]:
    """What the prepared sweep will take, from recorded runs of the same settings, else from a few steps made now."""
    todo = [job for job in jobs if not (job.folder.path / "record.json").exists()]
    yield f"{amount(len(jobs), 'run')}, {len(jobs) - len(todo)} recorded before"
    by_setting, _, _ = recorded_costs({job.folder.path.parent for job in todo})
    costs: dict[str, dict[str, float]] = {}
    kept = 0.0
    for job in todo:
        train, plain = job.settings.train, job.settings.plain()
        parts = {name: plain[name] for name in ("task", "model", "network", "budget", "trainer")}
        of_training = {name: plain["train"][name] for name in ("batch_size", "precision", "rule", "log_every")}
        like = digest({**parts, "train": of_training})
        if like not in costs:
            costs[like] = call_in_process("try_out", job.settings)
        cost = costs[like]
        steps, most = train.steps * job.share, float(train.steps)
        seconds, longest = steps * cost["step"], most * cost["step"]
        if spent := by_setting.get(job.setting):  # they may have ended sooner
            seconds, steps = longest, most = typical(spent)
        job.expected = seconds + _evaluated(steps, train.eval_every, cost)
        job.most = longest + _evaluated(most, train.eval_every, cost)
        kept += cost["kept"] + steps * cost["logged"]
    if not todo:
        return
    known = sum(job.setting in by_setting for job in todo)
    end, computing = _end((job.expected for job in todo), workers), sum(job.expected for job in todo)
    yield f"  time  about {format_duration(end)} with {workers} at a time, {format_duration(computing)} of computing"
    yield f"        {known} by recorded runs of the same settings, {len(todo) - known} by {len(costs)} short trials just now"
    if ends := sum(job.settings.train.rule != "batch" and job.setting not in by_setting for job in todo):
        yield f"        {ends} at most: they end when their task is solved"
    if shared := sum(job.share != 1 and job.setting not in by_setting for job in todo):
        whole = format_duration(_end((job.most for job in todo), workers))
        yield f"        {shared} by the steps that other models made; about {whole} if they make all their steps"
    gpu = [job.expected * job.settings.trainer.devices for job in todo if job.settings.trainer.accelerator != "cpu"]
    if gpu:
        yield f"  GPU   about {sum(gpu) / 3600:.2f} hours"
    checkpoints = 2 * workers * max(cost["checkpoint"] for cost in costs.values())
    yield f"  disk  about {kept / 1e6:.1f} MB, and {checkpoints / 1e6:.1f} MB of checkpoints while it runs"


def _end(seconds: Iterable[float], workers: int) -> float:
    """When the last of some jobs ends: longest first, each to the worker that is free first."""
    ends = [0.0] * workers
    for each in sorted(seconds, reverse=True):
        ends.sort()
        ends[0] += each
    return max(ends)


def _evaluated(steps: float, every: int, cost: Mapping[str, float]) -> float:
    """Seconds of the evaluations of so many steps."""
    return (math.ceil(steps / every) + 1) * cost["evaluation"]


def varying(overrides: Sequence[Sequence[str]]) -> list[str]:
    """Of each job the overrides that not all jobs share, in one line; all of them where there is one job."""
    common = set.intersection(*map(set, overrides)) if len(overrides) > 1 else set()
    return [" ".join(word for word in words if word not in common and not word.startswith("hydra")) for words in overrides]


def print_estimate(jobs: Sequence[Job], words: Sequence[str]) -> int:
    """Prints what the jobs of a sweep would take with the workers that `words` ask for."""
    workers = [word.partition("=")[2] for word in words if word.startswith("hydra.launcher.workers=")]
    for line in estimate_lines(jobs, int(workers[-1]) if workers and workers[-1].isdigit() else usable_cores()):
        say(line)
    return 0
