"""`rnnbench sync`: brings W&B level with the local records, whatever happened on the way there.

Each run is read from the server and compared: the local rows, settings and results are to be contained in what is there. What
somebody added, by hand or from a script, stays. What is missing is sent. Where rows there contradict those here (two offline
parts synced by hand, say), the run is written anew beside the old one, which is removed only where nobody added to it. Then it
is read again: only what was found to be equal is called level.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..options import amount
from ..store.log import LogRow
from .layout import Presenter
from .stored import DescribeRun, Members, Outcome, Stored, each_run
from .tracker import LATEST, WANDB, MirrorRow, Run, finite, is_table
from .wandb_account import why_silent
from .wandb_copy import Copy, read_copy, remove_replaced, renew_id
from .wandb_note import first_layout, placed_run
from .wandb_tracker import WandbTracker

PATIENCE = 60.0  # seconds for the server to take a run, and as long again for every RATE rows
RATE = 6000
LAG = (0.0, 1.0, 3.0, 6.0)  # seconds between looks: a server may show late what it has taken
PLACE = ("project", "entity", "tags", "group", "job_type", "notes")  # of the settings of a tracker
NOT_MEANT = "made without W&B, which --all sends"
KINDS = ("level before", "sent", "left alone", NOT_MEANT, "not level")


@dataclass(frozen=True)
class Local:
    """What W&B should hold of one run, in one layout."""

    about: Run
    config: dict[str, Any]
    rows: list[dict[str, Any]]
    timed: set[str]  # columns that hold seconds, speeds and memory
    summary: LogRow

    def differs(self, there: Copy | None) -> str:
        """What is not level, in a word; nothing where all that is here is there.

        Of a row that was made again after an interruption, W&B keeps the seconds and speeds of the first time.
        """
        if there is None:
            return "missing"
        if self.contradicts(there):
            return "rows"
        if self.missing_rows(there):
            return "some rows"
        if not contains(there.config, self.config):
            return "config"
        return "" if contains(there.summary, needs_checking(self.summary)) else "summary"

    def contradicts(self, there: Copy) -> bool:
        """Whether a row there holds columns of ours that no row here does, or is there twice."""
        here = {row["step"]: self.made(row) for row in self.rows}
        steps = Counter(row.get("step") for row in self._ours(there))
        return any(count > 1 for count in steps.values()) or any(
            row["step"] not in here or not contains(row, here[row["step"]]) for row in self._ours(there)
        )

    def missing_rows(self, there: Copy) -> list[dict[str, Any]]:
        """The rows here whose step no row there has."""
        steps = {row.get("step") for row in self._ours(there)}
        return [row for row in self.rows if row["step"] not in steps]

    def _ours(self, there: Copy) -> list[dict[str, Any]]:
        """The rows there that hold a column of ours beside the step; others somebody added."""
        columns = {key for row in self.rows for key in row} - {"step"}
        return [row for row in there.rows if "step" in row and columns & set(row)]

    def made(self, row: MirrorRow) -> LogRow:
        """The deterministic part of a row."""
        return {key: value for key, value in needs_checking(row).items() if key not in self.timed}

    def added(self, there: Copy) -> list[str]:
        """What is there that is not from here: by somebody's hand or script."""
        found = {
            "another name": there.name != self.about.name,
            "a note": bool(there.notes),
            "tags": bool(there.tags),
            "rows": len(self._ours(there)) < len(there.rows),
            "settings": bool(set(there.config) - set(self.config)),
            "results": bool(set(there.summary) - set(self.summary)),
        }
        return [what for what, is_there in found.items() if is_there]


def contains(there: Any, here: Any) -> bool:
    """Whether all of `here` is in `there`; nested settings may hold more."""
    if isinstance(here, Mapping):
        return isinstance(there, Mapping) and all(key in there and contains(there[key], here[key]) for key in here)
    return bool(there == here)


def needs_checking(row: MirrorRow) -> LogRow:
    """A row without its empty places, and without tables of texts and media, of which W&B makes files."""
    plain = (bool, int, float, str, list, dict)
    return {key: value for key, value in finite(row).items() if isinstance(value, plain) and not is_table(value)}


def local_copy(stored: Stored, about: Run, layout: int) -> Local:
    """What a mirror in `layout` should hold of a run that is called `about` there."""
    presenter = Presenter(about, layout)
    logged = stored.folder.rows()
    rows = [presenter.row(row) for row in logged]
    made = {key for row in stored.folder.metrics() for key in row}
    timed = dict.fromkeys({key for row in logged for key in row} - made, 0.0)
    times = set(Presenter(about, layout).row({"step": 0, **timed})) - {"step"}
    return Local(about, presenter.config(), rows, times, {**presenter.summary(stored.results), "status": stored.status})


def is_mirrored(tracker: Mapping[str, Any]) -> bool:
    """Whether a run with these settings of its tracker was meant for W&B."""
    return any(name in WANDB for name in (tracker.get("name"), *(tracker.get("also") or [])))


def make_level(stored: Stored, asked: Mapping[str, Any]) -> str:
    """Brings the server level with a run; says what that took, nothing where it was level.

    ConnectionError where it could not be, DamagedRecord where the files cannot be trusted.
    """
    recorded = {key: stored.tracker.get(key) for key in PLACE} if is_mirrored(stored.tracker) else {}
    about, note = placed_run(stored.run, asked, recorded)
    there = read_copy(about, note)
    layout = (there.layout if there else None) or first_layout(about, note, bool(there and there.rows))
    local = local_copy(stored, about, layout)
    differs, did = local.differs(there), ""
    if there is not None and differs == "rows":  # nothing can be added to what is there
        added = local.added(there)
        new = renew_id(about, delete=not added)
        kept = f"; {about.id} stays, as somebody gave it {', '.join(added)}" if added else ""
        did = f"written anew as {new}, as rows there differed{kept}; "
        about, note = placed_run(stored.run, asked, recorded)
        local, there, differs = local_copy(stored, about, LATEST), None, "missing"
    if differs:
        missing = local.missing_rows(there) if there else local.rows
        did += f"{amount(len(missing), 'row')} sent" if missing else f"{differs} sent"
        _send(stored, asked, recorded, local, missing, len(there.rows) if there else 0)
        about, note = placed_run(stored.run, asked, recorded)  # now with the key's own entity
    for pause in LAG if differs else ():
        time.sleep(pause)
        differs = local.differs(read_copy(about, note))
        if not differs:
            break
    if differs:
        raise ConnectionError(f"still not level: {differs}")
    remove_replaced(about, note)
    return did


def _send(
    stored: Stored,
    asked: Mapping[str, Any],
    recorded: Mapping[str, Any],
    local: Local,
    missing: list[dict[str, Any]],
    added_at: int,
) -> None:
    """Sends rows that are missing after the `added_at` that are there, the settings and the results; what is there stays."""
    patience = PATIENCE * (1 + len(local.rows) / RATE)
    keeps_best = is_mirrored(stored.tracker) and stored.tracker.get("artifacts") == "best"
    tracker = WandbTracker(
        "online",
        asked.get("project"),
        asked.get("entity"),
        finish_seconds=patience,
        artifacts="best" if keeps_best else "none",
    )
    tracker.recorded = dict(recorded)
    tracker.start(replace(stored.run, sweep_folder=None))  # what its jobs found then is no news of the server
    if missing == local.rows[added_at:]:  # by their numbers, so that none is there twice where a killed client still sends
        for row in local.rows:
            tracker.row(row)
    else:
        for row in missing:
            tracker.append(row)
    ended = stored.record is not None  # else its last picture would stay in a row that is not its last
    tracker.finish(local.summary if ended else needs_checking(local.summary), stored.status)


def sync_runs(
    members: Members, describe: DescribeRun, asked: Mapping[str, Any], everything: bool = True
) -> Iterator[tuple[bool, str]]:
    """(whether that is well, a line to print) for each run, and in the end for all. Ends where the server is gone.

    Runs that were not meant for W&B are left out, and counted, unless `everything` is asked for.
    """

    def bring_level(stored: Stored) -> Outcome:
        if not everything and not is_mirrored(stored.tracker):
            return Outcome(NOT_MEANT)
        did = make_level(stored, asked)
        return Outcome("sent" if did else "level before", did)

    return each_run(members, describe, bring_level, KINDS, why_silent)
