"""Launches a sweep: its name, its checks, and the hand-over to Hydra."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from ..config.checks import refuse_fast_dev_run, resolve, writable_folder
from ..config.compose import compose_jobs
from ..config.labels import preset_options
from ..config.liveness import Liveness
from ..config.overrides import quoted
from ..config.run_lists import listed_runs
from ..config.schema import trust_classes
from ..config.settings import Settings
from ..console import say
from ..options import BadOption, amount, plain_text
from ..run.cluster import launched_environment, say_ignored
from ..run.failures import RunFailed, Stopped
from ..run.imports import quick_imports
from ..run.recorded import Identities, all_but_seed, recorded_line, recorded_run
from ..run.survey import Survey
from ..run.tracked_run import describe_run
from ..store.lease import try_locks
from ..store.record import Record, digest, headline_score
from ..store.run_folder import RunFolder
from ..tracking.make import check_package, is_wanted_elsewhere, make_tracker
from ..tracking.tracker import TrackerUnavailable
from ..tracking.wandb_account import check_limits, wanted_mode
from .prepare import prepare_sweep, print_estimate, say_notes
from .resume import FROM, LISTED, Resumed, absolute_words, words_for_manifest, words_of_runs
from .worker import call_in_process


class NothingAtHand(BadOption):
    """The data of no run of a sweep can be read; the message says why."""


SHARED = Path("/dev/shm")  # where Linux keeps shared memory
LOCKS = 2**17  # bytes there for the locks of one process that makes batches, a page each


def check_launcher(words: Sequence[str], jobs: Sequence[Settings]) -> None:
    """BadOption where the launcher that is asked for needs a package that is not there, or cannot start what `jobs` need."""
    from .launcher import check_extra

    asked = [word.partition("=")[2] for word in words if word.startswith("hydra/launcher=")]
    name = asked[-1] if asked else "processes"
    check_extra(name)
    check_machines(jobs, name)


def check_machines(jobs: Sequence[Settings], launcher: str = "processes") -> None:
    """BadOption where a job needs more machines than `launcher` gives it: all but slurm and Hydra's own start it on one."""
    for job in jobs:
        if launcher == "basic":
            check_processes(job)
        elif job.trainer.nodes > 1 and launcher != "slurm":
            raise BadOption(
                f"trainer.nodes={job.trainer.nodes}: hydra/launcher={launcher} starts a job on one machine; allowed: "
                "trainer.nodes=1, or hydra/launcher=slurm with as many nodes, or single runs by torchrun or srun"
            )


def check_data(jobs: Sequence[Settings]) -> list[Survey]:
    """Prepares the data of the jobs' tasks before the first starts; BadOption where they, or a network, cannot be had.

    Returns their surveys.
    """
    with quick_imports():
        from ..run.plan import survey_runs  # imports torch

    try:
        found = survey_runs(jobs)
    except (ValueError, OSError) as error:
        raise BadOption(str(error)) from None
    say_notes(found)
    return found


def check_processes(job: Settings) -> None:
    """BadOption where torchrun or srun has started other processes than the single run `job` needs."""
    launched_environment(job.trainer, os.environ)


def check_effects(jobs: Sequence[Settings], named: Collection[str], sweep: bool) -> None:
    """Says which options have no effect, and in how many of `jobs`; BadOption where a single run `named` one.

    Of what the file of a task or model sets and nobody `named`, nothing is said. Says, too, which variables of the environment
    have none.
    """
    say_ignored(os.environ)
    found: dict[str, list[str]] = {}
    told: dict[str, dict[str, str]] = {}
    for job in jobs:
        setting = all_but_seed(job)
        if setting not in told:
            told[setting] = without_effect(job, named)
        for key, said in told[setting].items():
            if key in named and not sweep:
                raise BadOption(said)
            found.setdefault(key, []).append(said)
        if job.budget.is_set and "model.hidden_size" in named:
            said = f"model.hidden_size={job.model.options['hidden_size']} has no effect: the budget sets the width"
            if not sweep:
                raise BadOption(said)
            found.setdefault("model.hidden_size", []).append(said)
    for lines in found.values():
        where = f", in {len(lines)} of {amount(len(jobs), 'job')}" if len(jobs) > 1 else ""
        say(f"{lines[0]}{where}; it is left out")


def without_effect(job: Settings, named: Collection[str]) -> dict[str, str]:
    """What differs from its default and has no effect in `job`, by dotted name: a line that says what it would need.

    What the file of the task or model sets is among them only where it is `named`.
    """
    plain = job.plain()
    liveness, preset, said = Liveness(plain), preset_options(plain), {}
    for key, needs in liveness.effectless().items():
        group, _, name = key.partition(".")
        if key in named or preset.get(key) != plain[group][name]:
            said[key] = f"{key}={plain_text(plain[group][name])} has no effect: it needs {liveness.said(group, needs)}"
    return said


def check_tracker(jobs: Sequence[Settings]) -> None:
    """BadOption where a tracker is not there, W&B would refuse a name or tag, or is asked to be online and cannot be."""
    for tracker in {str(job.tracker): job.tracker for job in jobs}.values():
        names = {tracker.name, *tracker.options.get("also", ())}
        if names & {"auto", "wandb"}:
            check_limits(tracker.options if tracker.name in ("auto", "wandb") else {})
            wanted_mode()
        try:
            for name in names - {"auto", "none", "wandb"}:
                check_package(name)
            if tracker.options.get("mode") == "online":
                make_tracker(tracker.name, tracker.options)
        except TrackerUnavailable as error:
            raise BadOption(str(error)) from None


def check_one_folder(jobs: Sequence[Settings]) -> None:
    """BadOption where the jobs of a sweep have several folders of runs: where a run lies makes no other run of it."""
    if len(folders := {job.runs: None for job in jobs}) > 1:
        raise BadOption(f"runs={','.join(folders)}: a sweep has one folder of runs; give the command once for each")


def check_locks(jobs: Sequence[Settings]) -> None:
    """BadOption where the folder of runs cannot be written to, or cannot keep two processes out of one run.

    Where all jobs are recorded there, it need not: their records answer.
    """
    for folder in {job.runs for job in jobs}:
        try:
            try_locks(writable_folder(folder))
        except (BadOption, OSError) as error:
            if not all_recorded(jobs):
                why = error.strerror if isinstance(error, OSError) else None
                raise BadOption(f"runs={folder!r}: no folder can be written there ({why})" if why else str(error)) from None


def all_recorded(jobs: Sequence[Settings]) -> bool:
    """Whether every one of `jobs` has a record; their data are prepared for that, by another process."""
    if not all(Path(job.runs).is_dir() for job in jobs):
        return False
    try:
        found = call_in_process("look_up", list(jobs))
    except BadOption:
        return False
    return all(os.path.exists(os.path.join(survey.folder, "record.json")) for survey in found)


def check_workers(jobs: Sequence[Settings]) -> None:
    """BadOption where the processes of trainer.workers cannot be had: their locks lie in shared memory."""
    most = max(job.trainer.workers * job.trainer.devices for job in jobs)
    if not most or not SHARED.is_dir():
        return
    free = shutil.disk_usage(SHARED).free
    if free < most * LOCKS:
        raise BadOption(
            f"trainer.workers={max(job.trainer.workers for job in jobs)} needs {most * LOCKS // 1024} kB of shared memory, and "
            f"{SHARED} has {free // 1024} kB free; allowed: trainer.workers=0, or a larger one (docker run --shm-size=1g)"
        )


def sweep_name(overrides: Sequence[str], jobs: Sequence[Settings]) -> str:
    """What the user called it, or a name that is the same when the same command is given again."""
    settings = sorted(word for word in overrides if not word.startswith("hydra"))
    return str(jobs[0].sweep or f"sweep-{digest(settings)[:8]}")


def sweep_words(overrides: Sequence[str], jobs: Sequence[Settings]) -> list[str]:
    """The sweep's name and Hydra's folder for it, where the user has not said them."""
    name = sweep_name(overrides, jobs)
    named = any(word.startswith("sweep=") for word in overrides)
    runs = Path(jobs[0].runs).absolute()  # a job may be run from another folder
    words = []
    if len({job.runs for job in jobs}) == 1:
        words.append(f"++runs={quoted(runs)}")
    if not named:
        words.append(f"sweep={name}")
    return [*words, f"hydra.sweep.dir={quoted(runs / 'sweeps' / name)}"]


def run_by_hydra(words: list[str]) -> int:
    """Hydra shows what it composes, or launches a sweep; a job that fails is one line, and the others go on."""
    import hydra

    def job(cfg: Any) -> float | None:
        from hydra.errors import CompactHydraException
        from omegaconf import OmegaConf

        composed: Any = OmegaConf.to_container(cfg, resolve=True)
        trust_classes(composed)  # they were checked before this was launched
        try:
            record = execute_or_exit(resolve(composed))
        except RunFailed as error:
            raise CompactHydraException(str(error)) from None
        return headline_score(record) if record else None

    before, sys.argv = sys.argv, ["rnnbench train", *words]
    try:
        hydra.main(version_base="1.3", config_path=None, config_name="config")(job)()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    finally:
        sys.argv = before
    return 0


def answer(settings: Settings) -> RunFolder | None:
    """Answers from the record, where there is one that the settings alone lead to; returns its folder, else None."""
    if not (found := recorded_run(settings, Identities())):
        return None
    (run, record), tracker = found, settings.tracker
    shown = describe_run(run.folder, record["config"], record)
    if is_wanted_elsewhere(shown, tracker.name, tracker.options, record["config"]["tracker"]):
        return None  # it is sent first
    say(recorded_line(run.name, record))
    return run.folder


def run_alone(settings: Settings) -> int:
    """Runs `settings` in this process; the exit code: 0 where the run is recorded, diverged too; 1 where another holds it."""
    try:
        record = execute_or_exit(settings)
    except RunFailed as error:
        if os.environ.get("HYDRA_FULL_ERROR"):
            raise
        say(f"rnnbench: {error}", sys.stderr)
        return 1
    except SystemExit as end:
        return int(end.code or 0)
    if settings.trainer.fast_dev_run:  # which leaves no record
        return 0
    rank = launched_environment(settings.trainer, os.environ) or {}
    if record is None and rank.get("NODE_RANK", "0") == rank.get("LOCAL_RANK", "0") == "0":  # others follow the first
        say("rnnbench: nothing was trained: another process holds the run; `rnnbench status` shows it", sys.stderr)
        return 1
    return 0


def execute_or_exit(settings: Settings) -> Record | None:
    """The run's record; ends the program where a signal asked for that."""
    from ..run.execute import execute

    try:
        return execute(settings)
    except Stopped as error:
        say(f"rnnbench: {error}; the same command continues from there", sys.stderr)
        if os.environ.get("SUBMITIT_EXECUTOR"):
            signal.raise_signal(signal.SIGUSR2)  # submitit puts the job into the queue again, and ends it
        sys.exit(error.code)


def launch_file(
    path: Path,
    sweep: str,
    launching: Sequence[str],
    estimated: bool = False,
    resumed: Resumed | None = None,
    folder: str = "",
) -> int:
    """Runs what a file lists as one sweep, as `launch_sweep` does; its manifest keeps the command, for `train --resume`.

    Relative paths in it hold from `folder`, by default the current one, which is kept where there are any.
    """
    moved = [bool(folder)]

    def placed(words: Sequence[str]) -> Sequence[str]:
        absolute = absolute_words(words, folder)
        moved.append(absolute != list(words))
        return absolute if folder else words

    lines = listed_runs(path, placed)
    place = [f"{FROM}{os.path.abspath(folder)}"] if any(moved) else []
    command = words_for_manifest([LISTED, str(path.absolute()), *place, *launching])
    return launch_sweep(lines, sweep, launching, estimated, command, resumed)


def check_launching(line: Sequence[str], launching: Sequence[str]) -> None:
    """BadOption where `launching` words beside the declared run `line` are none."""
    from ..config.hydra_store import register_config
    from .launcher import register_plugins

    register_config()
    register_plugins()
    compose_jobs([*line, *launching], sweep=False, declared=True)


def launch_sweep(
    lines: Sequence[Sequence[str]],
    sweep: str,
    launching: Sequence[str],
    estimated: bool = False,
    command: Sequence[str] = (),
    resumed: Resumed | None = None,
    leave_out: bool = False,
    shares: Sequence[float] = (),
) -> int:
    """Runs the jobs of `lines`, which need not share anything, as one sweep; with `estimated` only says what it would take.

    `launching` are words for all of them: of Hydra's launchers, trainer.*, tracker.*, runs=. `command` is what the sweep's
    manifest keeps. `resumed`: the runs that it lists, where it is resumed; BadOption where `lines` ask for another.
    `leave_out`: where the data of some runs cannot be read the others run, a line says so, and 1 is returned; NothingAtHand
    where the data of no run can be read. `shares`: for the estimate, of each line the share of its training steps that runs
    like it made before they ended.
    """
    from ..config.hydra_store import register_config, stored_choice
    from .launcher import Prepared, register_plugins

    if not lines:
        say(f"sweep {sweep}: nothing to run, all is recorded")
        return 0
    register_config()
    register_plugins()
    own = words_of_runs(launching)
    common = [*own, f"sweep={sweep}"]
    jobs = [compose_jobs([*line, *common], sweep=False, declared=True)[0] for line in lines]
    check_launching(lines[0], launching)
    refuse_fast_dev_run(jobs, "a sweep")
    check_effects(jobs, set(), sweep=True)
    if not estimated:
        check_locks(jobs[:1])
        check_workers(jobs)
        check_tracker(jobs[:1])
        check_launcher(launching, jobs)
    placed = [f"sweep={sweep}", *sweep_words([f"sweep={sweep}"], jobs)]
    elsewhere = [word for word in own if not word.startswith("runs=")]
    missing = Counter[str]()
    words = [[*line, *elsewhere, *placed] for line in lines]
    prepared = prepare_sweep(jobs, words, sweep, missing if leave_out else None)
    if missing and not prepared:
        raise NothingAtHand("; ".join(missing))
    for line, count in missing.items():
        say(f"{amount(count, 'run')} left out: {line}", sys.stderr)
    if estimated:
        share_of = dict(zip(map(tuple, words), shares, strict=True)) if shares else {}
        for job in prepared:
            job.share = share_of.get(tuple(job.overrides), 1.0)
        return max(print_estimate(prepared, launching), int(bool(missing)))
    if resumed is not None:
        prepared = resumed.jobs(prepared)
        if not prepared:
            return 0
    Prepared.jobs, Prepared.command = prepared, command
    kinds = [stored_choice(word) for word in lines[0] if word.startswith(("task=", "model="))]
    ended = run_by_hydra([*kinds, *(word for word in launching if word.startswith("hydra")), *placed, "--multirun"])
    return max(ended, int(bool(missing)))


def sweep_word(name: str) -> str:
    """`name` as a sweep may be called; with digits of its digest where it cannot stand as it is: two names are two sweeps."""
    word = re.sub(r"[^\w.-]", "-", name, flags=re.ASCII).lstrip(".-")[:90]
    return word if word == name else f"{word or 'sweep'}-{digest(name)[:8]}"
