"""The verbs about sweeps as they stand: status, prune, remove, sync."""

from __future__ import annotations

import argparse
import glob
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from rnnbench.tasks import task_names

from ..config.schema import read_signature
from ..console import say, show
from ..launch.manifest import is_ours, member_runs, named_folder, read_manifest, sweep_folder
from ..launch.removal import plan_removal, planned_lines, remove_planned
from ..launch.status import overview_lines, prune_lines, status_lines
from ..launch.watching import watch
from ..options import BadOption, Failed, unknown
from ..run.tracked_run import describe_run
from ..store.find import find_runs
from ..store.named_runs import one_run
from ..store.record import DamagedRecord
from ..store.run_folder import RunFolder
from ..tracking.make import check_package, make_tracker, tracker_names
from ..tracking.replay import replay_runs
from ..tracking.sync import sync_runs
from ..tracking.tracker import NotSetUp, Tracker, TrackerUnavailable
from ..tracking.wandb_account import check_limits, from_variable, unavailable, why_silent
from ..tracking.wandb_tracker import WandbTracker
from ..tracking.workspace import make_workspace, save_workspace, workspace_json


def folders_to_sync(paths: Sequence[tuple[Path, bool]]) -> list[tuple[str, RunFolder]]:
    """The runs of sweeps and folders, each once."""
    found = {run.path.absolute(): (name, run) for path, is_sweep in paths for name, run, _ in member_runs(path, is_sweep)}
    return list(found.values())


def chosen_folders(options: argparse.Namespace) -> list[tuple[Path, bool]]:
    """The sweeps and folders that the words name; BadOption for one that is neither."""
    try:
        found = [named_folder(word, options.runs) for word in options.what]
        for folder, is_sweep in found:
            if is_sweep:
                read_manifest(folder)
    except (FileNotFoundError, PermissionError, DamagedRecord) as error:
        raise BadOption(str(error)) from None
    return found


# sweeps as they stand


def status_command(options: argparse.Namespace) -> int:
    if options.watch:
        return _watch(options)
    lines = list(overview_lines(options.runs)) if not options.what else []
    for folder, is_sweep in chosen_folders(options):
        lines += status_lines(folder, is_sweep)
        if not is_sweep and glob.glob("sweeps/*/manifest.json", root_dir=folder):
            lines += overview_lines(folder)
    for line in lines:
        say(line)
    return 0


def _watch(options: argparse.Namespace) -> int:
    """Watches one sweep or folder; the sweep that was touched last where none is named."""
    if len(options.what) > 1:
        raise BadOption(f"--watch: one sweep or folder at a time (got {len(options.what)})")
    if not options.what:
        found = sorted(options.runs.glob("sweeps/*/manifest.json"), key=lambda path: path.lstat().st_mtime)
        if not found:
            raise BadOption(f"--watch: no sweep in {options.runs}; `rnnbench train -m ...` makes one")
        options.what = [str(found[-1].parent)]
    ((folder, is_sweep),) = chosen_folders(options)
    watch(folder, is_sweep)
    return 0


def prune_command(options: argparse.Namespace) -> int:
    if not options.days >= 0:  # nan neither
        raise BadOption(f"--days {options.days:g}: at least 0")
    chosen = chosen_folders(options)
    for folder, is_sweep in chosen:
        if not is_sweep and not is_ours(folder):
            near = f"; did you mean {folder / 'runs'}?" if (folder / "runs").is_dir() else ";"
            raise BadOption(f"{folder}: no runs there{near} allowed: a sweep, a run, a folder of runs or searches")
    if not options.what:
        options.what = [str(options.runs)]
        chosen = chosen_folders(options)
    for folder, is_sweep in chosen:
        for line in prune_lines(folder, is_sweep, options.days, options.dry_run):
            say(line)
    return 0


def remove_command(options: argparse.Namespace) -> int:
    """Says what would go, asks, and removes it."""
    sweeps: list[Path] = []
    runs: list[Path] = []
    for word in options.what:
        if folder := sweep_folder(word, options.runs):
            sweeps.append(folder)
        else:
            runs.append(one_run(word, options.runs))
    try:
        planned = plan_removal(sweeps, runs)
    except DamagedRecord as error:
        raise BadOption(f"{error}; which runs it lists is not known, so nothing is removed") from None
    for line in planned_lines(planned):
        say(line)
    if options.dry_run or not (planned.runs or planned.sweeps):
        return 0
    if not options.yes:
        if not sys.stdin.isatty():
            raise BadOption("remove: no terminal to confirm in; --yes removes what is said above, --dry-run only says it")
        show("Remove this? It cannot be undone. [y/N] ")
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            say("nothing was removed")
            return 0
    stayed: list[Path] = []
    for line in remove_planned(planned, stayed):
        say(line)
    return int(bool(stayed))


def sync_command(options: argparse.Namespace) -> int:
    named = bool(options.what)
    if options.to is not None and (options.to not in tracker_names() or options.to in ("auto", "none")):
        raise unknown("tracker", options.to, {*tracker_names()} - {"auto", "none"})
    if not options.what:
        options.what = [str(options.runs)]
    asked = {"project": options.project, "entity": options.entity}
    check_limits(asked, "--")
    found = folders_to_sync(chosen_folders(options))
    try:
        if options.to in (None, "wandb"):
            WandbTracker("online")
        else:
            check_package(options.to)
    except TrackerUnavailable as error:
        raise refusal(error) from None
    if options.to not in (None, "wandb"):
        return print_outcome(replay_runs(found, describe_run, options.to, lambda: make_by_name(options.to, options.project)))
    return print_outcome(sync_runs(found, describe_run, asked, named or options.all))


def wandb_workspace_command(options: argparse.Namespace) -> int:
    check_limits({"project": options.project, "entity": options.entity}, "")
    if options.task is not None and options.task not in task_names():
        raise unknown("task", options.task, task_names())
    here = find_runs([options.runs])[0] if not options.task and options.runs.exists() else []
    found = {options.task} if options.task else {run.config["task"]["name"] for run in here}
    headlines = {}
    for name in sorted(found & set(task_names())):
        constants = read_signature("task", name).constants
        headlines[constants["headline"]] = constants["direction"]
    if not headlines:
        raise BadOption(f"no run in {options.runs} says which scores to show; give --task TASK")
    entity = options.entity or from_variable("entity")
    try:
        if options.dry_run:
            show(f"{workspace_json(make_workspace(options.project, entity or 'ENTITY', headlines, options.task))}\n")
            return 0
        if gone := why_silent():
            raise unavailable(f"the workspace cannot be saved: {gone}; --dry-run prints it")
        say(save_workspace(options.project, entity, headlines, options.task))
    except TrackerUnavailable as error:
        raise refusal(error) from None
    return 0


def refusal(error: TrackerUnavailable) -> BadOption | Failed:
    """Of a tracker: the user's error where a package or key is missing, else that of the server that was tried."""
    return BadOption(str(error)) if isinstance(error, NotSetUp) else Failed(str(error))


def print_outcome(lines: Iterable[tuple[bool, str]]) -> int:
    """Prints lines, those of what is not well on the error stream; the exit code."""
    well = True
    for good, line in lines:
        say(line, sys.stdout if good else sys.stderr)
        well = well and good
    return int(not well)


def make_by_name(name: str, project: str | None) -> Tracker:
    """The tracker `name` with its defaults, in `project` where it has such an option."""
    known = read_signature("tracker", name).options
    return make_tracker(name, {"project": project} if project and "project" in known else {})
