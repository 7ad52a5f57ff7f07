"""The verb show: one run whole, or what differs between two."""

from __future__ import annotations

import argparse
import json
import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..analysis.grouping import stopped_when_solved
from ..analysis.run_details import Details, details_lines, difference_lines, differences, run_details
from ..config.compose import compose_jobs
from ..config.repeat import repeat_words
from ..console import say, show
from ..launch.status import run_state
from ..options import BadOption, amount
from ..run.recorded import Identities
from ..store.find import FoundRun, find_runs
from ..store.named_runs import one_run
from ..store.record import Config
from ..store.run_folder import RunFolder

MOST = 2  # runs that are held against each other


def show_command(options: argparse.Namespace) -> int:
    if len(options.run) > MOST:
        raise BadOption(
            f"{amount(len(options.run), 'run')}; one is shown whole, of two what differs; `rnnbench compare` takes any number"
        )
    found = [run_with_commands(one_run(word, options.runs)) for word in options.run]
    if len(found) == 1:
        (details,) = found
        lines, shown = [*details_lines(details), "", *command_lines(details)], details
    else:
        shown = differences(*found)
        lines = list(difference_lines(shown))
    if options.format == "json":
        show(f"{json.dumps(shown, indent=1, ensure_ascii=True)}\n")
        return 0
    for line in lines:
        say(line)
    return 0


def run_with_commands(path: Path) -> Details:
    """The details of the run in `path`, with the commands that concern it. BadOption where its files cannot be trusted."""
    found, complaints = find_runs([path])
    if not found:
        raise BadOption(complaints[0] if complaints else f"{path}: no run there")
    run = found[0]
    state = run_state(RunFolder(run.path))
    details = run_details(run, f"{state.kind} {state.about}".rstrip() if state.kind != "failed" else state.kind)
    return details | {"commands": commands(run)}


def commands(run: FoundRun) -> dict[str, str]:
    """By what each is for: the command line, or why there is none."""
    again = shlex.join(["rnnbench", "train", "--again", str(run.path)])
    config = run.record["config"] if run.record else run.config
    try:
        words = repeat_words(config)
        why = why_another(words, run)
    except (BadOption, KeyError, TypeError, AttributeError) as error:
        words, why = [], f"{error}" if isinstance(error, BadOption) else "its settings are of another version"
    repeat = shlex.join(["rnnbench", "train", *words])
    if why and not run.record:
        return {"continue": again}
    if why and _files_are_here(config):
        return {"train it once more, while the code in the file is the same": f"{again} again=true"}
    if why:
        return {"no command repeats it here": why}
    steps = int(config["train"].get("steps", 0))
    longer = [word for word in words if not word.startswith("train.steps=")]
    if run.record and stopped_when_solved(run.record):
        if config["train"].get("rule") == "guess":
            return {"repeat": repeat}  # a guess that is right is the end
        longer = [*(word for word in words if not word.startswith("train.stop_when_solved=")), "train.stop_when_solved=false"]
    else:
        longer.append(f"train.steps={2 * steps}")
    more = shlex.join(["rnnbench", "train", *longer])
    if not run.record:
        return {"continue": again, "the same elsewhere": repeat}
    return {"repeat": repeat, "more steps": more}


def _files_are_here(config: Config) -> bool:
    """Whether a run is of classes in files, and these are still there."""
    groups = [group for group in (config.get("task"), config.get("model")) if isinstance(group, Mapping)]
    files = [str(group["class"]).rpartition(":")[0] for group in groups if group.get("class")]
    return bool(files) and all(map(os.path.isfile, files))


def why_another(words: list[str], run: FoundRun) -> str:
    """Why `words` ask for another run than `run`; empty where they ask for it."""
    source: Config = run.record or run.config
    (settings,) = compose_jobs(words, sweep=False)
    fingerprint = run.record["task"]["fingerprint"] if run.record else None
    if fingerprint is None:  # not known before the run is recorded
        return ""
    now = Identities().of(settings, fingerprint).id
    return "" if now == source.get("id") else f"its settings are those of run {now[:8]} in this version"


def command_lines(details: Details) -> Iterator[str]:
    """What to type, for a terminal."""
    told = details["commands"]
    if "repeat" in told:
        yield "to repeat it (where it is recorded, its record answers; runs=FOLDER repeats it there)"
        yield f"  {told['repeat']}"
        if "more steps" not in told:
            return
        ended = "it ended when its task was solved; " if details["stopped_when_solved"] else ""
        yield f"for more steps ({ended}another run, from step 0; this one stays)"
        yield f"  {told['more steps']}"
        return
    for what, line in told.items():
        yield f"to {what}" if what == "continue" else what
        yield f"  {line}"
