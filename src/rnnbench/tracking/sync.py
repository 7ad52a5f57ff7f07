"""`rnnbench sync`: brings W&B level with the local records, whatever happened on the way there.

Each run is read from the server and compared: rows, config and summary. Where something is missing it is sent; where rows
are there that are not here (two offline parts synced by hand, say), the run is written anew and the old one removed there.
Then it is read again: only what was found to be equal is called level.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..store.lease import Held
from ..store.log import LogRow
from ..store.record import Config, DamagedRecord
from ..store.run_folder import RunFolder
from .tracker import SUMMARY, MirrorRow, Run, TrackerUnavailable, finite, is_table
from .wandb_tracker import Copy, WandbTracker, noted_place, read_copy, remove_replaced, renew_id, why_silent

PATIENCE = 60.0  # seconds for the server to take a run, and as long again for every RATE rows
RATE = 6000
LAG = (0.0, 1.0, 3.0, 6.0)  # seconds between looks: a server may show late what it has taken
PRIVATE = ("runs", "accept_changes", "id", "setting")  # of config.yaml: never shown


@dataclass(frozen=True)
class Local:
    """What W&B should hold of one run."""

    about: Run
    place: dict[str, Any]  # project, entity, tags
    rows: list[dict[str, Any]]
    timed: set[str]  # columns that hold seconds, speeds and memory
    results: dict[str, Any]
    status: str

    @property
    def summary(self) -> LogRow:
        """The last value of each column, and the results."""
        latest = {key: value for row in self.rows for key, value in row.items()}
        return needs_checking({**latest, **self.results, "status": self.status})

    def differs(self, there: Copy | None) -> str:
        """What is not level, in a word; nothing where all is.

        Of a row that was made again after an interruption, W&B keeps the seconds and speeds of the first time.
        """
        if there is None:
            return "missing"
        here, rows = ([self.made(row) for row in rows] for rows in (self.rows, there.rows))
        if rows != here:
            return "some rows" if rows == here[: len(rows)] else "rows"
        if there.config != finite(self.about.config):
            return "config"
        return "" if there.summary == self.summary else "summary"

    def made(self, row: MirrorRow) -> LogRow:
        """The deterministic part of a row."""
        return {key: value for key, value in needs_checking(row).items() if key not in self.timed}


def needs_checking(row: MirrorRow) -> LogRow:
    """A row without its empty places, and without tables of texts, of which W&B makes files."""
    return {key: value for key, value in finite(row).items() if value is not None and not is_table(value)}


def read_local(folder: RunFolder, project: str | None, entity: str | None) -> Local:
    """What the files of a run say; DamagedRecord where they cannot be trusted."""
    try:
        return _read_local(folder, project, entity)
    except (KeyError, TypeError, AttributeError) as error:
        raise DamagedRecord(f"{folder.path}/config.yaml: no settings of a run ({type(error).__name__}: {error})") from None


def _read_local(folder: RunFolder, project: str | None, entity: str | None) -> Local:
    record = folder.record()
    config: Config = record["config"] if record else folder.config()
    public = {key: value for key, value in config.items() if key not in PRIVATE}
    identity = record["id"] if record else config["id"]
    name = f"{config['task']['name']}/{config['model']['name']}/s{config['seed']}"
    about = Run(identity[:16], name, folder.path, public, config.get("sweep"))
    mirrored = config["tracker"]["name"] != "none"
    place = {
        "project": project or (config["tracker"]["project"] if mirrored else "rnnbench"),
        "entity": entity or (config["tracker"]["entity"] if mirrored else None),
        "tags": tuple(config["tracker"]["tags"] if mirrored else ()),
    }
    about, place = noted_place(about, place)
    rows = folder.rows()
    timed = {key for row in rows for key in row} - {key for row in folder.metrics() for key in row}
    if record:
        return Local(about, place, rows, timed, {key: record[key] for key in SUMMARY}, record["status"])
    return Local(about, place, rows, timed, {}, "failed" if folder.failure() else "interrupted")


def make_level(folder: RunFolder, project: str | None, entity: str | None) -> str:
    """Brings the server level with the run in `folder`; says what that took, nothing where it was level.

    ConnectionError where it could not be, DamagedRecord where the files cannot be trusted.
    """
    run = read_local(folder, project, entity)
    there = read_copy(run.about, run.place)
    differs, did = run.differs(there), ""
    for trial in range(2):
        if differs == "rows" or (differs and trial):  # nothing can be added to what is there
            renew_id(run.about)
            run, there, did = read_local(folder, project, entity), None, f"written anew, as {differs} there differed; "
        if differs:
            before = len(there.rows) if there else 0
            did += f"{len(run.rows) - before} rows sent" if before < len(run.rows) else f"{differs} sent"
            tracker = WandbTracker("online", **run.place)
            tracker.patience = PATIENCE * (1 + len(run.rows) / RATE)
            tracker.start(run.about, run.rows)
            tracker.finish(run.summary, run.status)
        for pause in LAG if differs else ():
            time.sleep(pause)
            differs = run.differs(read_copy(run.about, run.place))
            if not differs:
                break
    if differs:
        raise ConnectionError(f"still not level: {differs}")
    remove_replaced(run.about, run.place)
    return did


def sync_runs(members: Sequence[tuple[str, RunFolder]], project: str | None, entity: str | None) -> Iterator[tuple[bool, str]]:
    """(whether that is well, a line to print) for each run, and in the end for all. Ends where the server is gone."""
    counts = {"level before": 0, "sent": 0, "left alone": 0, "not level": 0}
    for name, folder in members:
        try:
            if not (folder.path / "config.yaml").exists():
                continue
            with folder.lease():
                did = make_level(folder, project, entity)
            counts["sent" if did else "level before"] += 1
            if did:
                yield True, f"  {name}  {did}"
        except Held as held:
            counts["left alone"] += 1
            yield True, f"  {name}  left alone: {held}"
        except (DamagedRecord, OSError, TrackerUnavailable) as error:
            counts["not level"] += 1
            yield False, f"  {name}  {error}"
            if gone := why_silent():
                yield False, f"{gone}; the same command goes on from there"
                break
    told = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    yield not counts["not level"], f"{sum(counts.values())} of {len(members)} runs: {told or 'none'}"
