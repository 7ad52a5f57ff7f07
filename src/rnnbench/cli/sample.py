"""The verb sample: text from a trained run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..options import BadOption
from ..store.find import only_finished_run

if TYPE_CHECKING:
    pass


def named_run(path: Path) -> Path:
    """The folder of the one finished run at or below `path`; BadOption where there is none, or more than one."""
    try:
        return only_finished_run(path)
    except (FileNotFoundError, ValueError) as error:
        raise BadOption(str(error)) from None


def sample_command(options: argparse.Namespace) -> int:
    for name, good, allowed in (
        ("length", options.length >= 1, "at least 1"),
        ("temperature", options.temperature >= 0, "at least 0"),
        ("top_k", options.top_k >= 0, "at least 0"),
        ("top_p", 0 < options.top_p <= 1, "more than 0 and at most 1"),
        ("beam", options.beam is None or options.beam >= 1, "at least 1"),
        ("length_penalty", options.length_penalty is None or options.length_penalty >= 0, "at least 0"),
    ):
        if not good:
            raise BadOption(f"--{name.replace('_', '-')} {getattr(options, name)}: {allowed}")
    path = named_run(options.run)
    from .sample_output import load_run, print_answer, print_continuation  # imports torch

    try:
        trained = load_run(path)
    except (ValueError, OSError) as error:
        raise BadOption(str(error)) from None
    if not trained.task.generates and not trained.task.answers:
        raise BadOption(f"{options.run}: task {trained.record['task']['name']} does not write text")
    if options.prompt is None and not trained.at_hand:
        raise BadOption(f"{options.run}: its data are not at hand; --prompt TEXT says what to begin with")
    if trained.task.generates and (options.beam is not None or options.length_penalty is not None):
        raise BadOption(f"--beam and --length-penalty are for answers; task {trained.record['task']['name']} continues a text")
    try:
        (print_continuation if trained.task.generates else print_answer)(trained, options)
    except ValueError as error:
        raise BadOption(str(error)) from None
    return 0
