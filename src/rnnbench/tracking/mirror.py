"""What a run reports to: its trackers, each in its own layout and behind a guard, so that none can stop the run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from ..console import say
from .layout import Presenter
from .tracker import MirrorRow, NoTracker, Run, Tracker, TrackerUnavailable


@dataclass
class _Open:
    """A tracker that has been started."""

    name: str
    tracker: Tracker
    presenter: Presenter


class Mirror:
    """The trackers of one run, by name; with none it does nothing. It is told rows as the log holds them."""

    def __init__(self, trackers: Mapping[str, Tracker] | None = None):
        self._trackers = {name: one for name, one in (trackers or {}).items() if type(one) is not NoTracker}
        self._open: list[_Open] = []
        self.lost: list[str] = []  # trackers that have failed

    def start(self, run: Run, rows: Iterable[MirrorRow] = ()) -> None:
        """Opens every tracker and brings it level with `rows`, the log so far.

        Raises TrackerUnavailable where the user insisted on one that cannot be had.
        """
        self._open = []
        for name, tracker in self._trackers.items():
            with self._guarded(name):
                tracker.start(run)
                self._open.append(_Open(name, tracker, Presenter(run, tracker.layout, tracker.histograms)))
        if self._open:
            for row in rows:
                self.row(row)

    def row(self, values: MirrorRow) -> None:
        """The next row of the log."""
        self._each(lambda one: one.tracker.row(one.presenter.row(values)))

    def finish(self, results: MirrorRow, status: str) -> None:
        """The end: `results` is the record, or as much of it as there is."""
        self._each(lambda one: one.tracker.finish(one.presenter.summary(results), status))
        self._open = []

    def _each(self, tell: Callable[[_Open], None]) -> None:
        for one in list(self._open):
            with self._guarded(one.name, one):
                tell(one)

    @contextmanager
    def _guarded(self, name: str, one: _Open | None = None) -> Iterator[None]:
        """Whatever goes wrong inside ends that mirror, in a line, and nothing else."""
        try:
            yield
        except Exception as error:
            if one is None and isinstance(error, TrackerUnavailable):
                raise
            self.lost.append(name)
            if one in self._open:
                self._open.remove(one)
            first = (str(error).splitlines() or [""])[0]
            say(f"tracker {name} has lost this run ({type(error).__name__}: {first}); the local record is whole", sys.stderr)
