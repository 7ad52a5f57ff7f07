"""The verbs about a task's data: prepare, baseline."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..config.compose import compose_jobs
from ..console import say
from ..options import BadOption

if TYPE_CHECKING:
    from rnnbench.tasks.task import Task


def prepared_task(options: argparse.Namespace) -> Task:
    """The task that the options name, its data at hand; BadOption where they cannot be had."""
    for word in options.options:
        if not word.startswith("task."):
            raise BadOption(f"{word}: options of the task only, task.OPTION=VALUE")
    (job,) = compose_jobs([f"task={options.task}", "model=rnn", *options.options], sweep=False)
    from ..run.plan import make_task
    from ..run.process_settings import configure_process

    configure_process()
    try:
        task = make_task(job)
        task.prepare()
    except (ValueError, OSError) as error:
        raise BadOption(str(error)) from None
    for line in task.notes:
        say(line)
    return task


def prepare_command(options: argparse.Namespace) -> int:
    task = prepared_task(options)
    about = {name: value for name, value in task.about().items() if name != "found"}  # which is said in a note
    facts = {"floor": f"{task.headline} {task.floor:.4g}", "data": task.fingerprint[:16] or "generated", **about}
    say(f"{options.task} is at hand: " + ", ".join(f"{name} {value}" for name, value in facts.items()))
    return 0


def baseline_command(options: argparse.Namespace) -> int:
    task = prepared_task(options)
    from ..baselines.fit import baseline_lines, run_baselines

    try:
        for line in baseline_lines(task, run_baselines(task)):
            say(line)
    except ValueError as error:
        raise BadOption(f"{options.task}: {error}") from None
    return 0
