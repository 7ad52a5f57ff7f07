"""The Hydra launcher `processes`: the jobs of `-m` in a pool of processes."""

from __future__ import annotations

import importlib.util
import shlex
import shutil
import sys
import types
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from ..config.hydra_store import read_files_by, register_launchers, stored_choice
from ..config.schema import LAUNCHERS, RAY, SUBMITIT
from ..console import say
from ..options import BadOption, Count, Positive, amount
from ..store.record import DamagedRecord
from .capacity import usable_cores
from .manifest import Job, write_manifest
from .pool import Pool
from .status import run_state

Plugins.instance()  # makes the classes of Hydra's own plugins anew, so it comes before one of them is built upon
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper  # noqa: E402


class Prepared:
    """The jobs of the sweep that is about to be launched, in Hydra's order. They stand here since Hydra makes both plugins."""

    jobs: ClassVar[Sequence[Job]] = ()
    command: ClassVar[Sequence[str]] = ()  # the words of `rnnbench train` that its manifest keeps; none of another verb


# What Hydra sees


class Processes(Launcher):
    """hydra/launcher=processes, which `-m` uses."""

    def __init__(
        self,
        workers: Positive | None = None,  # jobs at a time; null: as many as cores
        retries: Count = 2,  # restarts of a job whose process died without progress
        keep_going: bool = True,  # go on with other jobs when one fails
        runs_per_gpu: Positive = 1,  # jobs per GPU
    ):
        self.workers = workers or usable_cores()
        self.retries, self.keep_going, self.runs_per_gpu = retries, keep_going, runs_per_gpu

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        pass  # the jobs' settings are composed and checked already

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Runs the prepared jobs, one for each of `job_overrides`; ends the program where any failed or a signal asked."""
        setup_globals()
        jobs = list(Prepared.jobs)
        assert len(jobs) == len(job_overrides), "another sweep was prepared"
        settings = jobs[0].settings
        try:
            write_manifest(Path(settings.runs), settings.sweep, jobs, Prepared.command)
        except (OSError, DamagedRecord) as error:
            say(f"rnnbench: {error}; nothing was started, and what was recorded is intact", sys.stderr)
            sys.exit(1)
        pool = Pool(jobs, self.workers, self.retries, self.keep_going, self.runs_per_gpu)
        pool.run()
        if pool.asked:
            sys.exit(128 + pool.asked[0])
        if pool.failed:
            place = "" if settings.runs == "runs" else f" --runs {shlex.quote(settings.runs)}"
            again = f"`rnnbench status {settings.sweep}{place}` names them"
            say(f"rnnbench: {len(pool.failed)} of {amount(pool.total, 'run')} failed, said above; {again}", sys.stderr)
            sys.exit(1)
        returns = []
        for job, words in zip(jobs, job_overrides, strict=True):
            done = JobReturn(overrides=list(words), status=JobStatus.COMPLETED)
            done.return_value = pool.recorded.get(job.id)
            returns.append(done)
        return returns


class Checked(BasicSweeper):
    """Hydra's own sweeper, less the composing of every job, which is done before, and its file: there is a manifest."""

    def __init__(self) -> None:
        super().__init__(max_batch_size=None)

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        assert self.launcher is not None
        if isinstance(self.launcher, Processes):
            return [self.launcher.launch([job.overrides for job in Prepared.jobs], initial_job_idx=0)]
        return [launch_elsewhere(self.launcher)]


def launch_elsewhere(launcher: Launcher) -> Sequence[JobReturn]:
    """Runs what is not recorded by a launcher that is not ours; ends the program where a job failed or has no record."""
    jobs, settings = Prepared.jobs, Prepared.jobs[0].settings
    write_manifest(Path(settings.runs), settings.sweep, jobs, Prepared.command)
    recorded, failed = recorded_and_damaged(jobs)
    todo = [job for job in jobs if job.id not in recorded | failed.keys()]
    say(f"sweep {settings.sweep}: {amount(len(jobs), 'run')}, {len(recorded)} recorded before")
    results: Sequence[JobReturn] = []
    if todo:
        forget_plugins()
        try:
            results = launcher.launch(
                [[*map(stored_choice, job.overrides), f"++model.name={job.settings.setting}"] for job in todo],
                initial_job_idx=0,
            )
        finally:
            recorded, failed = recorded_and_damaged(jobs)
            say(f"sweep {settings.sweep}: {len(recorded)} of {amount(len(jobs), 'run')} recorded")
    for job, result in zip(todo, results, strict=False):
        if result.status is JobStatus.FAILED:
            failed[job.id] = str(result._return_value)
    left = [job for job in jobs if job.id not in recorded | failed.keys()]  # held by another process, say
    if failed:
        say(f"rnnbench: {len(failed)} of {amount(len(jobs), 'run')} failed:", sys.stderr)
        for line in failed.values():
            say(f"  {line}", sys.stderr)
    if left:
        say(f"rnnbench: {len(left)} of {len(jobs)} runs are not recorded; the same command asks again:", sys.stderr)
        for job in left:
            found = run_state(job.folder, job.words)
            say(f"  {job.name}  {found.kind}  {found.about}".rstrip(), sys.stderr)
    if failed or left:
        sys.exit(1)
    return results


def recorded_and_damaged(jobs: Iterable[Job]) -> tuple[set[str], dict[str, str]]:
    """Of `jobs` by id: which runs are recorded; and what is wrong with the records that are damaged."""
    recorded, damaged = set(), {}
    for job in jobs:
        try:
            if job.folder.record() is not None:
                recorded.add(job.id)
        except DamagedRecord as error:
            damaged[job.id] = str(error)
    return recorded, damaged


def forget_plugins() -> None:
    """Takes our classes out of what Hydra knows: a launcher sends all that to its jobs, which could not import them."""
    known = Plugins.instance()
    read_files_by(FileConfigSource)  # they are checked already
    for plugin in (Processes, Checked):
        for classes in known.plugin_type_to_subclass_list.values():
            classes[:] = [one for one in classes if one is not plugin]
        known.class_name_to_class.pop(f"hydra_plugins.rnnbench.{plugin.__name__}", None)


def check_extra(name: str) -> None:
    """BadOption where the launcher `name` needs a package that is not there."""
    package = LAUNCHERS.get(name, "").rpartition(".")[0].rpartition(".")[0]
    if package in (SUBMITIT, RAY) and importlib.util.find_spec(package) is None:
        extra = "ray" if package == RAY else "slurm"
        raise BadOption(f"hydra/launcher={name} needs a package more: pip install 'rnnbench[{extra}]'")
    if name == "slurm" and shutil.which("srun") is None:
        raise BadOption(f"hydra/launcher={name}: there is no srun on this machine: start it where SLURM takes jobs")


def register_plugins() -> None:
    """Makes Hydra know both classes.

    It takes plugins from the package hydra_plugins only, and would import what lies there into every program that uses it;
    so this module goes there under a second name, in this process.
    """
    try:
        package = importlib.import_module("hydra_plugins")  # where other plugins are installed
    except ImportError:
        package = sys.modules["hydra_plugins"] = types.ModuleType("hydra_plugins")
        package.__path__ = []
    package.rnnbench = sys.modules["hydra_plugins.rnnbench"] = sys.modules[__name__]  # type: ignore[attr-defined]
    for plugin in (Processes, Checked):
        plugin.__module__ = "hydra_plugins.rnnbench"
        Plugins.instance().register(plugin)
    register_launchers()
