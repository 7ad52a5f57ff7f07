"""`rnnbench status --watch`: a sweep while it runs, read from plain files again and again, on any machine that sees the folder.

What is recorded is read once. In a terminal there is one view that is drawn anew; elsewhere a line for each run that ends.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..analysis.formatting import format_number
from ..config.labels import UNKNOWN, setting_label
from ..config.schema import read_signature
from ..console import say, visible
from ..store.log import logged_rows
from ..store.record import Config, DamagedRecord, canonical
from ..store.run_folder import RunFolder
from .costs import format_clock
from .manifest import member_runs
from .status import RunState, by_reason, count_text, last_step, run_state

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

LOOK = 1.0  # seconds between two looks, or three times as long as one takes
ENDED = ("recorded", "failed", "damaged")
MOST = 8  # running runs that are shown
SHOWN = 3  # folders of runs that failed for one reason


@dataclass
class RunProgress:
    """One run: how it stands, how far it is, and its best validation score so far."""

    name: str
    path: Path
    state: RunState
    config: Config | None = None
    step: int = 0
    steps: int = 0
    seconds: float = 0.0  # of training, up to `step`
    score: float | None = None

    @property
    def kind(self) -> tuple[str, str]:
        """(task, model)."""
        return (self.config["task"]["name"], self.config["model"]["name"]) if self.config else ("", "")


@dataclass
class Watcher:
    """Looks at the runs of a sweep or a folder; remembers those that are recorded."""

    folder: Path
    is_sweep: bool
    ended: dict[str, RunProgress] = field(default_factory=dict)

    def look(self) -> list[RunProgress]:
        """How every run stands now."""
        return [self._run(name, run, words) for name, run, words in member_runs(self.folder, self.is_sweep, [])]

    def _run(self, name: str, run: RunFolder, words: str) -> RunProgress:
        if name in self.ended:
            return self.ended[name]
        found = RunProgress(name, run.path, run_state(run, words))
        with contextlib.suppress(DamagedRecord, OSError, ValueError, OverflowError, *UNKNOWN):  # an odd run costs its own line
            record = run.record() if found.state.kind == "recorded" else None
            found.config = record["config"] if record else run.config()
            if record:
                found.step = found.steps = record["steps"]
                found.seconds = record["speed"]["seconds"] or 0.0
                found.score = (record["scores"]["validation"] or {}).get(record["task"]["headline"])
            else:
                _read_log(found, run)
        if found.state.kind == "recorded":
            self.ended[name] = found
        return found


def _read_log(found: RunProgress, run: RunFolder) -> None:
    """How far a run is by its log, which is ahead of its checkpoints."""
    assert found.config
    found.steps = int((found.config.get("train") or {}).get("steps", 0))
    found.step = last_step(run)
    name, lower = headline_of(found.config)
    scores: list[float] = []
    for row in logged_rows(run.path / "metrics.jsonl"):
        found.step = max(found.step, row["step"])
        if isinstance(score := row.get(f"validation/{name}"), int | float):
            scores.append(score)
    found.score = (min if lower else max)(scores, default=None)
    for row in logged_rows(run.path / "timings.jsonl"):
        if isinstance(seconds := row.get("seconds"), int | float):
            found.seconds = seconds


def headline_of(config: Config | None) -> tuple[str, bool]:
    """(the score of a run's task, whether lower is better); ("score", True) of a task that is not here."""
    with contextlib.suppress(*UNKNOWN):
        if config:
            constants = read_signature("task", config["task"]["name"]).constants
            return constants["headline"], constants["direction"] == "min"
    return "score", True


def is_done(runs: Sequence[RunProgress]) -> bool:
    """Whether every run is recorded, has failed or has a damaged record."""
    return all(run.state.kind in ENDED for run in runs)


def seconds_left(runs: Sequence[RunProgress]) -> float | None:
    """What the rest takes at most, by the seconds a step of runs of the same task and model, with as many at a time as now.

    None where nothing is known yet, or nothing runs.
    """
    rates: dict[tuple[str, str], list[float]] = {}
    for run in runs:
        if run.step and run.seconds:
            rates.setdefault(run.kind, []).append(run.seconds / run.step)
    running = [run for run in runs if run.state.kind == "running"]
    if not rates or not running:
        return None
    usual = statistics.median(rate for some in rates.values() for rate in some)
    steps = statistics.median(run.steps for run in runs if run.steps)
    left = {
        run.name: max(0, (run.steps or steps) - run.step) * statistics.median(rates.get(run.kind, [usual]))
        for run in runs
        if run.state.kind not in ENDED
    }
    return max(sum(left.values()) / len(running), max(left[run.name] for run in running))


@dataclass
class BestSoFar:
    """The runs of one task and model: how many have ended, and the best validation score so far."""

    task: str
    model: str
    metric: str
    ended: int
    of: int
    score: float | None


def best_so_far(runs: Sequence[RunProgress]) -> list[BestSoFar]:
    """By task, with the options in which tasks differ here, and model; of runs that have begun."""
    begun = [(run, run.config) for run in runs if run.config]
    seen: dict[tuple[str, str], set[str]] = {}
    for _, config in begun:
        for key, value in config["task"].items():
            seen.setdefault((config["task"]["name"], key), set()).add(canonical(value))
    groups: dict[tuple[str, str], list[RunProgress]] = {}
    for run, config in begun:
        name = config["task"]["name"]
        options = {key: value for key, value in config["task"].items() if len(seen[name, key]) > 1}
        groups.setdefault((setting_label(name, options), config["model"]["name"]), []).append(run)
    found = []
    for (task, model), some in sorted(groups.items()):
        metric, lower = headline_of(some[0].config)
        scores = [run.score for run in some if run.score is not None and not run.state.about.startswith("diverged")]
        ended = sum(run.state.kind in ENDED for run in some)
        found.append(BestSoFar(task, model, metric, ended, len(some), (min if lower else max)(scores, default=None)))
    return found


def summary_line(title: str, runs: Sequence[RunProgress]) -> str:
    """`sweep s: 3 of 12 ended; about 3:20 left`."""
    ended = sum(run.state.kind in ENDED for run in runs)
    left = seconds_left(runs)
    more = "" if left is None else f"; about {format_clock(left)} left"
    if not is_done(runs) and not any(run.state.kind == "running" for run in runs):
        more = "; none is running now"  # none was begun, or one has just ended and the next starts
    return f"{title}: {ended} of {len(runs)} ended{more}"


# what is seen


def watch(folder: Path, is_sweep: bool, console: Console | None = None) -> None:
    """Shows a sweep, or the runs of a folder, until every run is recorded or has failed."""
    from rich.console import Console
    from rich.live import Live

    watcher, title = Watcher(folder, is_sweep), f"{'sweep ' if is_sweep else ''}{folder.name}"
    console = console or Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        for line in watched_lines(watcher, title):
            say(line)
        return
    with Live(console=console, auto_refresh=False, vertical_overflow="ellipsis") as live:
        for runs in _looks(watcher):
            live.update(view(title, runs), refresh=True)


def _looks(watcher: Watcher) -> Iterator[list[RunProgress]]:
    """How the runs stand, again and again, until all have ended."""
    while True:
        began = time.monotonic()
        runs = watcher.look()
        yield runs
        if is_done(runs):
            return
        time.sleep(max(LOOK, 3 * (time.monotonic() - began)))


def watched_lines(watcher: Watcher, title: str) -> Iterator[str]:
    """A line for each run that ends, and one of counts where these change."""
    before: dict[str, str] = {}
    told = ""
    for runs in _looks(watcher):
        for run in runs:
            if before and run.state.kind in ENDED and before.get(run.name) != run.state.kind:
                yield f"{run.name}  {_ended_text(run)}"
        before = {run.name: run.state.kind for run in runs}
        counts = count_text([run.state for run in runs])
        if counts != told:
            told = counts
            yield ": ".join(filter(None, [summary_line(title, runs), counts]))


def _ended_text(run: RunProgress) -> str:
    if run.state.kind != "recorded":
        return f"{run.state.kind}: {run.state.about}  {run.path}"
    score = "" if run.score is None else f"validation {headline_of(run.config)[0]} {format_number(run.score)}"
    return ", ".join(filter(None, [run.state.about or "recorded", score]))


def view(title: str, runs: Sequence[RunProgress]) -> RenderableType:
    """The whole view: counts and time left, what went wrong, what runs, the best so far."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.text import Text

    ended = sum(run.state.kind in ENDED for run in runs)
    parts: list[Any] = [
        Text(visible(summary_line(title, runs)), style="bold"),
        Text(count_text([run.state for run in runs])),
        _grid([("", True)], [[ProgressBar(total=len(runs) or 1, completed=ended)]], bare=True),  # alone it ends no line
    ]
    for kind in ("failed", "damaged"):
        of_kind = [run for run in runs if run.state.kind == kind]
        for reason, group in by_reason(of_kind, lambda run: run.state.about).items():
            line = f"{len(group)} {kind}: {reason}"
            parts.append(Text(visible(line), style="red", no_wrap=True, overflow="ellipsis"))
            parts += [Text(visible(f"  {run.path}"), style="red") for run in group[:SHOWN]]
            if len(group) > SHOWN:
                parts.append(Text(f"  and {len(group) - SHOWN} more; `rnnbench status` names them", style="red"))
    return Group(*parts, *_running_table(runs), *_best_table(runs))


def _grid(columns: Sequence[tuple[str, bool]], rows: Sequence[Sequence[Any]], bare: bool = False) -> RenderableType:
    """A table without lines; of each column its title, and whether it holds text, which gives way to numbers.

    `bare`: without titles, as wide as the terminal.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    look = None if bare else box.SIMPLE_HEAD
    grid = Table(box=look, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0), show_header=not bare, expand=bare)
    for index, (name, words) in enumerate(columns):
        least = None if words else max(map(len, [name, *(row[index] for row in rows)]))
        justify: Literal["left", "right"] = "left" if words else "right"
        grid.add_column(name, justify=justify, no_wrap=not words, min_width=least)
    for row in rows:
        grid.add_row(
            *(Text(visible(cell), no_wrap=True, overflow="ellipsis") if isinstance(cell, str) else cell for cell in row)
        )
    return grid


def _running_table(runs: Sequence[RunProgress]) -> list[RenderableType]:
    from rich.progress_bar import ProgressBar

    running = [run for run in runs if run.state.kind == "running"]
    rows = [
        (
            run.name,
            ProgressBar(total=run.steps or 1, completed=min(run.step, run.steps or 1), width=12),
            f"{run.step:,} of {run.steps:,}" if run.steps else "starting",
            _score_text(headline_of(run.config)[0], run.score),
        )
        for run in running[:MOST]
    ]
    more = [f"and {len(running) - MOST} more are running"] if len(running) > MOST else []
    columns = [("running", True), ("", True), ("step", False), ("best so far", False)]
    return ["", _grid(columns, rows), *more] if rows else []


def _best_table(runs: Sequence[RunProgress]) -> list[RenderableType]:
    rows = [(one.task, one.model, _score_text(one.metric, one.score), f"{one.ended} of {one.of}") for one in best_so_far(runs)]
    columns = [("task", True), ("model", True), ("best validation", False), ("ended", False)]
    return ["", _grid(columns, rows)] if rows else []


def _score_text(metric: str, score: float | None) -> str:
    return "–" if score is None else f"{metric} {format_number(score)}"
