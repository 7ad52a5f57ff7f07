"""`rnnbench sync --to NAME`: the runs of folders, whenever they were made, written whole into any tracker."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..store.lease import Held
from ..store.record import DamagedRecord
from .mirror import Mirror
from .sync import DescribeRun, Members, read_stored
from .tracker import Tracker, TrackerUnavailable


def replay_runs(members: Members, describe: DescribeRun, name: str, make: Callable[[], Tracker]) -> Iterator[tuple[bool, str]]:
    """(whether that is well, a line to print) for each run that is not well, and in the end for all."""
    counts = {"written": 0, "left alone": 0, "not written": 0}
    for label, folder in members:
        try:
            if not (folder.path / "config.yaml").exists():
                continue
            with folder.lease():
                stored = read_stored(folder, describe)
                mirror = Mirror({name: make()})
                mirror.start(stored.run, folder.each_row())
                mirror.finish(stored.record or {}, stored.status)
            counts["not written" if mirror.lost else "written"] += 1
            if mirror.lost:
                yield False, f"  {label}  not written"
        except Held as held:
            counts["left alone"] += 1
            yield True, f"  {label}  left alone: {held}"
        except (DamagedRecord, OSError, TrackerUnavailable) as error:
            counts["not written"] += 1
            yield False, f"  {label}  {error}"
    told = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    yield not counts["not written"], f"{sum(counts.values())} of {len(members)} runs: {told or 'none'}"
