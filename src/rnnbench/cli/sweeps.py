"""The verbs about sweeps as they stand: status, prune, sync."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ..console import say
from ..launch.manifest import member_runs, named_folder, read_manifest
from ..launch.status import overview_lines, prune_lines, status_lines
from ..options import BadOption
from ..run.tracked_run import describe_run
from ..store.record import DamagedRecord
from ..store.run_folder import RunFolder
from ..tracking.sync import sync_runs
from ..tracking.tracker import TrackerUnavailable
from ..tracking.wandb_account import check_limits
from ..tracking.wandb_tracker import WandbTracker


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
    lines = list(overview_lines(options.runs)) if not options.what else []
    for folder, is_sweep in chosen_folders(options):
        lines += status_lines(folder, is_sweep)
    for line in lines:
        say(line)
    return 0


def prune_command(options: argparse.Namespace) -> int:
    if not options.what:
        options.what = [str(options.runs)]
    if not options.days >= 0:  # nan neither
        raise BadOption(f"--days {options.days:g}: at least 0")
    for folder, is_sweep in chosen_folders(options):
        for line in prune_lines(folder, is_sweep, options.days, options.dry_run):
            say(line)
    return 0


def sync_command(options: argparse.Namespace) -> int:
    named = bool(options.what)
    if not options.what:
        options.what = [str(options.runs)]
    asked = {"project": options.project, "entity": options.entity}
    check_limits(asked, "--")
    found = folders_to_sync(chosen_folders(options))
    try:
        WandbTracker("online")
    except TrackerUnavailable as error:
        say(f"rnnbench: {error}", sys.stderr)
        return 1
    well = True
    for good, line in sync_runs(found, describe_run, asked, named or options.all):
        say(line, sys.stdout if good else sys.stderr)
        well = well and good
    return int(not well)
