"""The verbs train (one run, a sweep, or either again) and estimate (what a sweep would take)."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shlex
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import NoReturn

from ..config.checks import resolve
from ..config.compose import compose_jobs
from ..config.experiments import KEYS as EXPERIMENT
from ..config.experiments import with_experiment
from ..config.overrides import named_options, split_sweep, sweep_overrides, with_overrides
from ..config.plain_overrides import plain_words
from ..config.schema import CHOICES, UNNAMED
from ..config.settings import Settings
from ..console import say, show
from ..launch.prepare import prepare_sweep, print_estimate
from ..launch.resume import FROM, LISTED, Resumed, launching_words, resumed_commands, words_for_manifest
from ..launch.sweep import (
    answer,
    check_data,
    check_effects,
    check_launcher,
    check_locks,
    check_one_folder,
    check_processes,
    check_tracker,
    check_workers,
    launch_file,
    run_alone,
    run_by_hydra,
    sweep_name,
    sweep_words,
)
from ..options import BadOption, amount, plain_text, shortened, unknown
from ..run.cluster import say_ignored
from ..run.recorded import changed_code, survey_recorded
from ..store.find import nearby_runs
from ..store.record import DamagedRecord
from ..store.run_folder import RunFolder
from .listing import terminal_width
from .train_help import train_help

SHOWN = 3  # run folders that a message names


def train_command(words: list[str]) -> int:
    if "--again" in words:
        return train_again(words)
    return resume_sweep(words) if "--resume" in words else train_runs(words, [])


def train_runs(words: list[str], folders: list[str], resumed: Resumed | None = None) -> int:
    """Checks everything that is asked for; runs it, or hands a sweep over to Hydra. `folders` gets those of the runs.

    `resumed`: of words that stand in a sweep's manifest, the runs that it lists. Such words may name no class of a file that
    was never named here, and ask for no other run.
    """
    asked = parse_words(words)
    flags = [word for word in words if word not in asked.overrides]
    check_flags(asked)
    overrides = with_experiment(asked.overrides, asked.config_dir)
    if asked.help:
        show(f"{train_help(overrides, asked.config_dir, terminal_width())}\n")
        return 0
    shown = asked.hydra_help or asked.cfg or asked.info
    if shown or asked.multirun or asked.config_dir or plain_words(overrides) is None:  # a plain run goes without Hydra
        from ..config.hydra_store import register_config
        from ..launch.launcher import register_plugins

        register_config()
        register_plugins()
    if asked.hydra_help:
        return shown_by_hydra(flags)
    jobs = compose_jobs(overrides, asked.multirun, asked.config_dir, declared=resumed is not None)
    if asked.cfg or asked.info:
        from ..config.hydra_store import stored_choice

        return shown_by_hydra([*map(stored_choice, sweep_overrides(overrides)), *flags])
    if asked.multirun:
        check_one_folder(jobs)
    elif launching := [word for word in overrides if word.lstrip("+~").startswith("hydra")]:
        raise BadOption(f"{launching[0]}: how a sweep is launched; add -m, or leave it out")
    typed = [word for word in asked.overrides if word.partition("=")[0] not in EXPERIMENT]
    check_effects(jobs, named_options(typed), asked.multirun or bool(os.environ.get("WANDB_SWEEP_ID")))
    check_locks(jobs)
    check_workers(jobs)
    check_tracker(jobs)
    if asked.multirun:
        from ..launch.launcher import Prepared

        launching = prepared_sweep(overrides, jobs, words_for_manifest(words))
        if resumed is not None:
            Prepared.jobs = resumed.jobs(Prepared.jobs)
            if not Prepared.jobs:
                return 0
        folders += [str(job.folder.path) for job in Prepared.jobs]
        return run_by_hydra([*launching, *flags])
    check_processes(jobs[0])
    if answered := answer(jobs[0]):
        folders.append(str(answered.path))
        return 0
    surveys = check_data(jobs)
    folders += [survey.folder for survey in surveys if not jobs[0].trainer.fast_dev_run]  # which leaves none
    return run_alone(jobs[0])


def shown_by_hydra(words: list[str]) -> int:
    """Has Hydra show settings or itself. It prints in its own ways; what cannot be written is said in one line, by `show`."""
    with contextlib.redirect_stdout(io.StringIO()) as text:
        code = run_by_hydra(words)
    show(text.getvalue())
    return code


FLAGS = ("help", "hydra_help", "cfg", "info", "run", "multirun", "experimental_rerun", "shell_completion", "resolve")
VALUES = ("config_dir", "config_path", "config_name", "package")


def parse_words(words: list[str]) -> argparse.Namespace:
    """`words` as Hydra parses them. Where there is no flag it is not asked: its import takes longer than all else here."""
    if not any(word.startswith("-") for word in words):
        return argparse.Namespace(overrides=list(words), **dict.fromkeys(FLAGS, False), **dict.fromkeys(VALUES))
    from hydra._internal.utils import get_args_parser

    hydra = get_args_parser()
    hydra.prog = "rnnbench train"
    hydra.error = hydra_parser_error  # type: ignore[method-assign]
    return hydra.parse_intermixed_args(words)


def check_flags(asked: argparse.Namespace) -> None:
    """BadOption for flags of Hydra's that are not allowed, or not beside each other."""
    if asked.experimental_rerun or asked.config_path or asked.config_name:
        raise BadOption(
            "--experimental-rerun, --config-path and --config-name are not allowed; --config-dir adds settings of yours"
        )
    if asked.shell_completion:
        raise BadOption('--shell-completion is not allowed; completion for a shell: eval "$(rnnbench completion bash)"')
    ways = {
        "-m": asked.multirun,
        "--run": asked.run,
        "--cfg": asked.cfg,
        "--info": asked.info,
        "--hydra-help": asked.hydra_help,
    }
    if len(given := [flag for flag, there in ways.items() if there]) > 1:
        raise BadOption(f"{' with '.join(given)}: one of them at a time")
    if (asked.resolve or asked.package) and not asked.cfg:
        raise BadOption("--resolve and --package say how --cfg shows the settings; add --cfg job")
    if asked.package and asked.package not in (there := (*CHOICES, *UNNAMED, *([] if asked.cfg == "job" else ["hydra"]))):
        raise unknown("package", asked.package, there)
    if asked.config_dir is not None and not Path(asked.config_dir).is_dir():
        raise BadOption(f"--config-dir {asked.config_dir}: no such folder")


def prepared_sweep(overrides: list[str], jobs: Sequence[Settings], command: Sequence[str]) -> list[str]:
    """Prepares the sweep's jobs for the launcher; returns the words by which Hydra launches them.

    `command` is what the sweep's manifest keeps.
    """
    from ..config.hydra_store import stored_choice
    from ..launch.launcher import Prepared

    if os.environ.get("WANDB_SWEEP_ID"):
        raise BadOption("-m: an agent of a W&B sweep asks for one run at a time; leave -m out of its command")
    check_launcher(overrides, jobs)
    common = sweep_words(overrides, jobs)
    lines = [job + common for job in split_sweep(overrides, sweep=True)]
    Prepared.jobs, Prepared.command = prepare_sweep(jobs, lines, sweep_name(overrides, jobs)), command
    return [*map(stored_choice, sweep_overrides(overrides)), *common]


def train_again(words: list[str]) -> int:
    """`train --again RUN`: the run with the settings in its folder; where and how it is watched may be changed."""
    place = words.index("--again")
    path, overrides = words[place + 1] if len(words) > place + 1 else "", words[:place] + words[place + 2 :]
    if not path:
        raise BadOption("missing value: --again RUN, a run folder")
    for word in overrides:
        if not word.startswith(("trainer.", "tracker.", "accept_changes=", "again=")):
            raise BadOption(
                f"{word}: --again RUN takes the run's own settings; with it stand trainer.*, tracker.*, accept_changes, again"
            )
    try:
        kept = RunFolder(Path(path)).config()
    except DamagedRecord as error:
        raise BadOption(f"--again {path}: no run folder ({error})") from None
    except OSError as error:
        near = [str(run) for run in islice(nearby_runs(Path(path)), SHOWN + 1)]
        there = f"; run folders nearby: {', '.join(near[:SHOWN])}{', ...' if len(near) > SHOWN else ''}" if near else ""
        raise BadOption(f"--again {path}: no run folder ({error.strerror}: its config.yaml){there}") from None
    given = with_overrides(
        {key: value for key, value in kept.items() if key not in ("id", "setting", "code", "again")}, overrides
    )
    asked = resolve({**given, "runs": str(Path(os.path.abspath(Path(path, "../../.."))))})  # runs/task/model/run
    settings = replace(asked, again=False)
    say_ignored(os.environ)
    check_processes(settings)
    check_locks([settings])
    check_workers([settings])
    check_tracker([settings])
    found = next(survey_recorded([settings])) or check_data([settings])[0]
    if Path(found.folder).resolve() != Path(path).resolve():
        if Path(found.folder).name != (name := Path(path).resolve().name) and kept.get("id", "")[:8] == name[-8:]:
            if kept.get("code") and (changed := changed_code(settings, kept)):
                raise BadOption(f"--again {path}: the code of {changed} has changed since: another code is another run")
            raise BadOption(f"--again {path}: {edited(RunFolder(Path(path)), settings, found.id)}")
        raise BadOption(f"--again {path}: the run of its settings lies in {found.folder}; a copy cannot be continued")
    return 0 if not asked.again and answer(settings) else run_alone(asked)


def resume_sweep(words: list[str]) -> int:
    """`train --resume SWEEP`: gives again the command lines that the sweep's manifest keeps, one after another."""
    code = 0
    commands, resumed = resumed_commands(words)
    for command in commands:
        check = check_kept_file if command[0] == LISTED else check_kept_flags
        check(command)
    for command in commands:
        if command[0] == LISTED:
            file, folder, launching, sweep = parse_listed(command)
            place = f"  (given in {folder})" if folder else ""
            say(shlex.join(["rnnbench", LISTED, file, *launching]) + place)
            ended = launch_file(Path(file), sweep, launching, resumed=resumed, folder=folder)
        else:
            say(shlex.join(["rnnbench", "train", *command]))
            ended = train_runs(command, [], resumed)
        code = max(code, ended)
        if code > 1:
            break
    left = resumed.not_asked()
    if left and not code:  # of a file that was edited
        runs = f"{len(left)} of {amount(len(resumed.folders), 'run')}"
        say(f"rnnbench: asked for by none of the sweep's commands any more: {runs}, {left[0]} for one")
    return int(code or bool(left))


def parse_listed(command: Sequence[str]) -> tuple[str, str, list[str], str]:
    """(the file, the folder that its paths hold from or "", words for all its runs, the sweep's name) of `sweep FILE`."""
    _, file, *launching, sweep = command
    folder = launching.pop(0).removeprefix(FROM) if launching[:1] and launching[0].startswith(FROM) else ""
    return file, folder, launching, sweep.removeprefix("sweep=")


def check_kept_file(command: list[str]) -> None:
    """BadOption where a manifest's `sweep FILE` names no file that is there, by its whole path, or more than is declared."""
    file = next((word for word in command[1:2] if os.path.isabs(word)), "")
    if not os.path.isfile(file):
        raise BadOption(
            f"--resume: the file of command lines that its manifest names is not there ({shortened(file) or 'no whole path'}); "
            "put it back, or give `rnnbench sweep FILE` again"
        )
    _, folder, launching, _ = parse_listed(command)
    if folder and not os.path.isabs(folder):
        raise BadOption(
            f"--resume: {FROM}{shortened(folder)} of its manifest is no whole path; give `rnnbench sweep FILE` again"
        )
    launching_words(launching)


def check_kept_flags(command: list[str]) -> None:
    """BadOption for flags in a manifest's command line that no sweep is begun with: a file is not trusted as a user is."""
    asked = parse_words(command)
    given = [name for name in (*FLAGS, *VALUES) if getattr(asked, name) and name not in ("multirun", "config_dir")]
    relative = asked.config_dir and not Path(asked.config_dir).is_absolute()
    if given or relative or not asked.multirun:
        got = f"--config-dir {shortened(asked.config_dir)}" if relative else ", ".join(given) or "no -m"
        raise BadOption(
            f"--resume: a command line of its manifest has {got}; allowed there: -m, and --config-dir with an absolute folder; "
            "give the command itself again"
        )


def edited(folder: RunFolder, settings: Settings, now: str) -> str:
    """What to say of a config.yaml whose `settings` are those of another run, `now`: what differs, where a record tells."""
    changed = f"its settings are those of run {now[:8]}"
    with contextlib.suppress(DamagedRecord, OSError):
        if record := folder.record():
            then, there = (
                {**one, "seed": seed}
                for one, seed in ((record["departures"], record["seed"]), (settings.departures, settings.seed))
            )
            keys = [key for key in {**then, **there} if then.get(key) != there.get(key)]
            values = ((key, *(plain_text(one[key]) if key in one else "the default" for one in (there, then))) for key in keys)
            changed = ", ".join(f"{key} is {new} and was {old}" for key, new, old in values) or changed
    return f"its config.yaml was edited: {changed}; undo that, or train the new settings by a command with their options"


def hydra_parser_error(message: str) -> NoReturn:
    """What Hydra's parser calls."""
    raise BadOption(f"{message} (try rnnbench train --help)")


def estimate_command(words: list[str]) -> int:
    words = with_experiment([word for word in words if word not in ("-m", "--multirun")])
    jobs = compose_jobs(words, sweep=True)
    check_effects(jobs, named_options(words), sweep=True)
    return print_estimate(prepare_sweep(jobs, list(split_sweep(words, sweep=True)), sweep_name(words, jobs)), words)
