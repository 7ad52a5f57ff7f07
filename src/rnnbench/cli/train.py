"""The verbs train (one run, a sweep, or a run again) and estimate (what a sweep would take)."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

from ..config.checks import resolve
from ..config.compose import compose_jobs
from ..config.hydra_store import register_config
from ..config.overrides import named_options, split_sweep, sweep_overrides, with_overrides
from ..console import say, show
from ..launch.prepare import prepare_sweep, print_estimate
from ..launch.sweep import (
    check_data,
    check_effects,
    check_launcher,
    check_locks,
    check_processes,
    check_tracker,
    execute_or_exit,
    run_by_hydra,
    sweep_name,
    sweep_words,
)
from ..launch.worker import start_server
from ..options import BadOption
from ..run.failures import RunFailed
from ..store.record import DamagedRecord
from ..store.run_folder import RunFolder
from .listing import train_help


def train_command(words: list[str]) -> int:
    """Checks everything that is asked for, then hands over to Hydra."""
    if "--again" in words:
        return train_again(words)
    from hydra._internal.utils import get_args_parser

    from ..launch.launcher import Prepared, register_plugins

    hydra = get_args_parser()
    hydra.prog = "rnnbench train"
    hydra.error = hydra_parser_error  # type: ignore[method-assign]
    asked = hydra.parse_intermixed_args(words)
    flags = [word for word in words if word not in asked.overrides]
    overrides = list(asked.overrides)
    if asked.experimental_rerun or asked.config_path or asked.config_name:
        raise BadOption(
            "--experimental-rerun, --config-path and --config-name are not allowed; --config-dir adds settings of yours"
        )
    if asked.help:
        show(f"{train_help(overrides, asked.config_dir)}\n")
        return 0
    register_config()
    register_plugins()
    shown = asked.hydra_help or asked.cfg or asked.info or asked.shell_completion
    if not asked.hydra_help and not asked.shell_completion:
        jobs = compose_jobs(overrides, asked.multirun, asked.config_dir)
        if asked.multirun and not shown:
            start_server()  # imports beside what follows
        if not shown:
            check_effects(jobs, named_options(overrides), asked.multirun or bool(os.environ.get("WANDB_SWEEP_ID")))
            check_locks(jobs)
            check_tracker(jobs)
        if not shown and asked.multirun:
            if os.environ.get("WANDB_SWEEP_ID"):
                raise BadOption("-m: an agent of a W&B sweep asks for one run at a time; leave -m out of its command")
            check_launcher(overrides)
            common = sweep_words(overrides, jobs)
            lines = [job + common for job in split_sweep(overrides, sweep=True)]
            Prepared.jobs = prepare_sweep(jobs, lines, sweep_name(overrides, jobs))
            overrides = sweep_overrides(overrides) + common
        elif not shown:
            check_processes(jobs[0])
            check_data(jobs)
    return run_by_hydra([*overrides, *flags], asked.multirun)


def train_again(words: list[str]) -> int:
    """`train --again RUN`: the run with the settings in its folder; where and how it is watched may be changed."""
    place = words.index("--again")
    path, overrides = words[place + 1] if len(words) > place + 1 else "", words[:place] + words[place + 2 :]
    if not path:
        raise BadOption("missing value: --again RUN, a run folder")
    for word in overrides:
        if not word.startswith(("trainer.", "tracker.", "accept_changes=")):
            raise BadOption(
                f"{word}: --again RUN takes the run's own settings; with it stand trainer.*, tracker.*, accept_changes"
            )
    try:
        kept = RunFolder(Path(path)).config()
    except (DamagedRecord, OSError) as error:
        raise BadOption(f"--again {path}: no run folder ({error})") from None
    given = with_overrides({key: value for key, value in kept.items() if key not in ("id", "setting")}, overrides)
    settings = resolve({**given, "runs": str(Path(os.path.abspath(Path(path, "../../.."))))})  # runs/task/model/run
    check_processes(settings)
    check_locks([settings])
    check_tracker([settings])
    (found,) = check_data([settings])
    if Path(found.folder).resolve() != Path(path).resolve():
        raise BadOption(f"--again {path}: the run of its settings lies in {found.folder}; a copy is not gone on with")
    try:
        execute_or_exit(settings)
    except RunFailed as error:
        say(f"rnnbench: {error}", sys.stderr)
        return 1
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def hydra_parser_error(message: str) -> NoReturn:
    """What Hydra's parser calls."""
    raise BadOption(f"{message} (try rnnbench train --help)")


def estimate_command(words: list[str]) -> int:
    words = [word for word in words if word not in ("-m", "--multirun")]
    jobs = compose_jobs(words, sweep=True)
    check_effects(jobs, named_options(words), sweep=True)
    return print_estimate(prepare_sweep(jobs, list(split_sweep(words, sweep=True)), sweep_name(words, jobs)), words)
