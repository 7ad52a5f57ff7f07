"""What the processes of a sweep do, each once: they import torch, which the launcher never does.

Each sends one answer: what it found, or a line that says why not.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

from ..config.schema import trust_classes
from ..config.settings import Settings
from ..run.execute import describe_error, execute, measure_cost
from ..run.failures import RunLost, Stopped
from ..run.plan import survey_runs, survey_runs_at_hand
from .worker import job_score


def run_job(answer: Connection, settings: Settings) -> None:
    """Runs one job and sends (how it ended, what there is to say)."""
    trust_classes(settings.plain())
    try:
        record = execute(settings)
        outcome: tuple[str, Any] = ("recorded" if record else "held", job_score(record))
    except Stopped as error:
        outcome = ("stopped", str(error))
    except (KeyboardInterrupt, SystemExit):
        outcome = ("stopped", "")
    except RunLost as error:
        outcome = ("lost", str(error))
    except Exception as error:
        outcome = ("failed", describe_error(error))
    with contextlib.suppress(OSError):  # the launcher may be gone
        answer.send(outcome)


def look_up(answer: Connection, every: Sequence[Settings]) -> None:
    """Prepares the data of the jobs' tasks and sends their surveys, or one line that says why it cannot be."""
    _survey(answer, survey_runs, every)


def look_up_at_hand(answer: Connection, every: Sequence[Settings]) -> None:
    """The same, and of each job whose data cannot be had one line that says why in place of its survey."""
    _survey(answer, survey_runs_at_hand, every)


def _survey(answer: Connection, survey: Callable[[Sequence[Settings]], Any], every: Sequence[Settings]) -> None:
    for settings in every:
        trust_classes(settings.plain())
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # the jobs will say it again
            answer.send(survey(every))
    except Exception as error:
        answer.send(str(error) if isinstance(error, ValueError | OSError) else describe_error(error))


def try_out(answer: Connection, settings: Settings) -> None:
    """Sends what a run takes, or one line that says why it cannot be."""
    trust_classes(settings.plain())
    try:
        answer.send(measure_cost(settings))
    except Exception as error:
        answer.send(describe_error(error))
