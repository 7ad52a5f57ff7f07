"""What is tried of a user's own task and cell before training, and where in their code an error was raised.

Only classes of others are tried: ours have tests. What is tried takes a tenth of a second; `rnnbench.testing` tries all laws.
"""

from __future__ import annotations

import contextlib
import functools
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from rnnbench.tasks.task import Task

from ..config.schema import plugin_facts
from ..config.settings import Settings
from ..laws.cells import output_shape
from ..laws.tasks import contract, floor, solved_threshold, targets_beat_the_floor
from ..models.mechanism import Mechanism
from ..options import BadOption, plain_text, shortened

MOST_BATCHES = 100  # of 20 sequences, in a test split whose floor is computed before training
OWN = ("task.", "model.")  # options that a user's own class is made with
LEAST_BATCHES = 10  # of generated sequences, whose scores say how far chance reaches
WIDTH = 3  # of the inputs that a cell is tried with


def user_files(settings: Settings) -> dict[str, tuple[Path, ...]]:
    """The files of each class of others that `settings` name, by what names it, such as `model=./my_cell.py:MGU`."""
    named = [("task", "task", settings.task.reference), ("model", "mechanism", settings.model.reference)]
    if writer := settings.network.writer:
        named.append(("network.writer", "mechanism", writer))
    facts = {f"{key}={reference}": plugin_facts(group, reference) for key, group, reference in named}
    return {said: one.files for said, one in facts.items() if one is not None}


def user_frame(error: BaseException | None, settings: Settings) -> str:
    """`FILE:LINE` of the last line of the user's code that `error` went through; empty where there is none."""
    try:
        files = {str(file) for several in user_files(settings).values() for file in several}
    except BadOption:  # their code has gone since
        return ""
    while files and error is not None:
        frames = traceback.extract_tb(error.__traceback__)
        for frame in reversed(frames):
            if str(Path(frame.filename).resolve()) in files:
                return f"{frame.filename}:{frame.lineno}"
        error = error.__cause__ or error.__context__
    return ""


@contextlib.contextmanager
def named_errors(settings: Settings) -> Iterator[None]:
    """Makes BadOption, with file and line, of an error that was raised in a user's own task or cell."""
    try:
        yield
    except BadOption:
        raise
    except Exception as error:
        place, said = user_frame(error, settings), shortened(" ".join(str(error).split()), 200)
        if isinstance(error, NotImplementedError) and user_files(settings):
            raise BadOption(f"{', '.join(user_files(settings))}: {said or 'a method is not implemented'}") from error
        if not place:
            raise
        given = [f"{key}={plain_text(value)}" for key, value in settings.departures.items() if key.startswith(OWN)]
        options = f"; it was made with {shortened(' '.join(given), 80)}" if given else ""
        raise BadOption(f"{place}: {type(error).__name__}{f': {said}' if said else ''}{options}") from error


def try_task(settings: Settings, task: Task) -> None:
    """BadOption, one line, where a user's own task breaks a law: shapes and types of its batches, its floor, its direction."""
    said = f"task={settings.task.reference}"
    if said not in user_files(settings):
        return
    laws: list[Callable[[Task], object]] = [contract]
    batches = task.batches("test", 20)
    if batches <= MOST_BATCHES and (task.fingerprint or batches >= LEAST_BATCHES):
        laws.append(floor)
    for law in (*laws, targets_beat_the_floor, solved_threshold):
        _hold(said, "check_task", functools.partial(law, task))


def try_cell(settings: Settings, make: Callable[[int], Mechanism]) -> None:
    """BadOption, one line, where a user's own cell, which `make` makes for a width of inputs, gives other shapes."""
    said = f"model={settings.model.reference}"
    if said not in user_files(settings):
        return
    with torch.random.fork_rng(devices=[]):
        _hold(said, "check_cell", lambda: output_shape(make(WIDTH)))


def _hold(said: str, test: str, law: Callable[[], object]) -> None:
    try:
        law()
    except AssertionError as error:
        broken = shortened(" ".join(str(error).split()) or "a law of rnnbench does not hold", 220)
        raise BadOption(f"{said}: {broken} (rnnbench.testing.{test} tries all that must hold)") from error
