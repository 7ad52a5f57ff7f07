"""`rnnbench sync --to NAME`: the runs of folders, whenever they were made, written whole into any tracker."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .mirror import Mirror
from .stored import DescribeRun, Members, Outcome, Stored, each_run
from .tracker import Tracker

KINDS = ("written", "left alone", "not written")


def replay_runs(members: Members, describe: DescribeRun, name: str, make: Callable[[], Tracker]) -> Iterator[tuple[bool, str]]:
    """(whether that is well, a line to print) for each run that is not well, and in the end for all."""

    def write(stored: Stored) -> Outcome:
        mirror = Mirror({name: make()})
        mirror.start(stored.run, stored.folder.each_row())
        mirror.finish(stored.results, stored.status)
        return Outcome("not written", "not written") if mirror.lost else Outcome("written")

    return each_run(members, describe, write, KINDS)
