"""Equal state and equal time a step: the width of the cell at which it equals an opponent.

The opponent stays as it is at equal parameters, so that its runs count here too, committed ones on any machine. The cell has

- for equal state the width at which as many numbers are carried from step to step,
- for equal time the width at which a training step takes as long: forward, backward and the optimizer's step over one batch of
  the task, on one thread; the two are timed in turn, and the median over rounds of their ratio in CPU time counts. The width
  that a search by bisection finds is timed anew, and that ratio counts: of many noisy ones the nearest to 1 would look better
  than it is. Where it is not close enough, the next width is timed so, up to six of them, until one is.

A width counts where the two differ by no more than budget.tolerance. What was measured is kept beside the page, so that the
same command finds its runs again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

import torch

from rnnbench.tasks.task import Task

from ..benchmarks.kernels import Closure, timed_rounds
from ..config.budget import UnmetBudget, nearest_width
from ..config.compose import compose_jobs
from ..config.settings import Settings
from ..networks.cost import state_size
from ..networks.shapes import made_for_size
from ..options import BadOption
from ..run.plan import make_network, make_task, within_budget
from ..run.process_settings import configure_process
from ..run.provenance import processor_name
from ..store.record import digest, write_atomically
from ..training.optimizer import make_optimizer
from .runs import Entrants, EqualWidth, setting_words, source_digest
from .suite import Suite

Ratio = Callable[[int, int], float]  # of the times of cell and opponent, by the cell's width; over so many times the rounds
WIDTHS = "widths.json"  # in the folder of the page
ROUNDS = 21  # that a width is timed for in the search, and MORE times as many when it is timed anew
MORE = 4
WIDEST = 64  # times the width at equal parameters: how far a width is looked for
AGAIN = 6  # widths that are timed anew until one counts


def equal_widths(suite: Suite, entrants: Entrants, rounds: int = ROUNDS) -> list[EqualWidth]:
    """For each task of the suite's `besides`, and each opponent, the widths of the cell of equal state and equal time."""
    configure_process()
    found = []
    for name in (name for name in suite.besides if name in suite.here):
        for opponent in entrants.opponents:
            own, other = (_settings(suite, name, entrants, model) for model in (entrants.cell, opponent))
            task = make_task(other)
            task.prepare()
            own, other = (within_budget(settings, task) for settings in (own, other))
            start, tolerance = own.model.options["hidden_size"], own.budget.tolerance
            width, ratio = width_of_state(own, other, task)
            found.append(EqualWidth(name, opponent, "state", width, ratio, abs(ratio - 1) <= tolerance))
            width, ratio = width_of_time(time_ratio(own, other, task, rounds), start, tolerance)
            found.append(EqualWidth(name, opponent, "time", width, ratio, abs(ratio - 1) <= tolerance))
    return found


def check_budget(suite: Suite, entrants: Entrants) -> None:
    """BadOption where no width of one of the models has the parameters that the suite's budget asks for on a task."""
    for name in suite.here:
        wanted = {model: _settings(suite, name, entrants, model) for model in entrants.models}
        task = make_task(wanted[entrants.cell])
        task.prepare()
        for model, settings in wanted.items():
            try:
                within_budget(settings, task)
            except UnmetBudget as error:
                raise BadOption(f"{suite.version} cannot compare {model} on {name}: {error.said}") from None


def _settings(suite: Suite, task: str, entrants: Entrants, model: str) -> Settings:
    words = setting_words(suite, task, entrants, model, None)
    (settings,) = compose_jobs([word for word in words if not word.startswith("test_seed=")], sweep=False, declared=True)
    return settings


def width_of_state(own: Settings, other: Settings, task: Task) -> tuple[int, float]:
    """The width of `own` whose state is the nearest in size to that of `other`, and the ratio of the two."""

    def count(settings: Settings) -> int:
        return state_size(made_for_size(lambda: make_network(settings, task)))

    def count_of(width: int) -> int:
        return count(own.with_width(width))

    wanted, widest = count(other), WIDEST * own.model.options["hidden_size"]
    if not wanted or count_of(widest) < wanted:  # a cell whose state does not grow with its width, or is none
        return widest, count_of(widest) / wanted if wanted else math.inf
    width = nearest_width(count_of, wanted)
    return width, count_of(width) / wanted


def time_ratio(own: Settings, other: Settings, task: Task, rounds: int) -> Ratio:
    """Of a training step of `own` and `other`."""
    opponent = training_step(other, task)

    def ratio(width: int, times: int = 1) -> float:
        taken = timed_rounds({"own": training_step(own.with_width(width), task), "other": opponent}, times * rounds)
        return median(one / two for one, two in zip(taken["own"], taken["other"], strict=True))

    return ratio


def training_step(settings: Settings, task: Task) -> Closure:
    """A training step of the settings' network, over and over the same batch."""
    torch.manual_seed(0)
    network = make_network(settings, task)
    optimizer = make_optimizer(network.parameters(), settings.train)
    batch = task.batch("train", 0, settings.train.batch_size, 0)

    def step() -> None:
        outputs, _ = network(batch)
        total, count = task.loss(outputs, batch)
        optimizer.zero_grad()
        (total / count).backward()
        optimizer.step()

    return step


def width_of_time(ratio: Ratio, start: int, tolerance: float) -> tuple[int, float]:
    """(the width at which `ratio` is 1 within `tolerance`, else the nearest that was found; its ratio, measured anew)."""
    found: dict[int, float] = {}

    def timed(width: int) -> float:
        if width not in found:
            found[width] = ratio(width, 1)
        return found[width]

    low = high = start
    while timed(high) < 1 and high < WIDEST * start:
        low, high = high, 2 * high
    while timed(low) > 1 and low > 1:
        low, high = max(1, low // 2), low
    while high - low > max(1, round(tolerance * low / 4)):
        middle = (low + high) // 2
        low, high = (middle, high) if timed(middle) < 1 else (low, middle)
    width = min(found, key=lambda one: abs(math.log(found[one])))
    anew: dict[int, float] = {}
    while len(anew) < AGAIN and width not in anew:
        anew[width] = ratio(width, MORE)
        if abs(anew[width] - 1) <= tolerance:
            return width, anew[width]
        change = max(1, round(abs(1 - 1 / anew[width]) * width))
        width = width + change if anew[width] < 1 else max(1, width - change)
    best = min(anew, key=lambda one: abs(math.log(anew[one])))
    return best, anew[best]


def _about(suite: Suite, entrants: Entrants) -> str:
    """What the widths depend on: the suite, the sources of the models, and the PyTorch and the processor that timed them."""
    models = [(label, source_digest(entrants, label)) for label in entrants.models]
    return digest([suite.version, suite.besides, models, torch.__version__, processor_name()])


def kept_widths(suite: Suite, entrants: Entrants, folder: Path) -> list[EqualWidth] | None:
    """The widths that an earlier card of this cell left in the folder of its page; None where there are none.

    BadOption where the file is none that was written there.
    """
    path = folder / WIDTHS
    if not path.exists():
        return None
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        widths = [EqualWidth(**{**one, "ratio": math.inf if one["ratio"] is None else one["ratio"]}) for one in kept["widths"]]
        return widths if kept["about"] == _about(suite, entrants) else None
    except (OSError, ValueError, TypeError, KeyError):
        raise BadOption(f"{path}: no widths of a card; remove it, and they are measured anew") from None


def keep_widths(suite: Suite, entrants: Entrants, folder: Path, widths: Sequence[EqualWidth]) -> None:
    """Writes the widths into the folder of the page."""
    rows = [{**asdict(one), "ratio": one.ratio if math.isfinite(one.ratio) else None} for one in widths]
    whole = {"about": _about(suite, entrants), "widths": rows}
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / WIDTHS, (json.dumps(whole, indent=1, allow_nan=False) + "\n").encode())
