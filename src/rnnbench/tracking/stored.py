"""Runs as their folders hold them, one after the other, each under its lease: what `rnnbench sync` goes through."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..options import amount, shortened
from ..store.lease import Held
from ..store.record import Config, DamagedRecord, Record
from ..store.run_folder import RunFolder
from .tracker import Run, TrackerUnavailable

Members = Sequence[tuple[str, RunFolder]]
DescribeRun = Callable[[RunFolder, Config, Record | None], Run]  # as training describes it to trackers: run/tracked_run.py


@dataclass(frozen=True)
class Stored:
    """A run as its folder holds it."""

    folder: RunFolder
    run: Run
    record: Record | None
    tracker: Mapping[str, Any]  # settings of its tracker

    @property
    def status(self) -> str:
        return self.record["status"] if self.record else "failed" if self.folder.failure() else "interrupted"

    @property
    def results(self) -> Mapping[str, Any]:
        """Its record, and beside it its confusion matrix; nothing where it has not ended."""
        return {**self.record, "confusion": self.folder.confusion()} if self.record else {}


def read_stored(folder: RunFolder, describe: DescribeRun) -> Stored:
    """What the files of a run say; DamagedRecord where they cannot be trusted."""
    try:
        record = folder.record()
        config: Config = record["config"] if record else folder.config()
        return Stored(folder, describe(folder, config, record), record, config["tracker"])
    except (KeyError, TypeError, AttributeError) as error:
        raise DamagedRecord(f"{folder.path}/config.yaml: no settings of a run ({type(error).__name__}: {error})") from None


@dataclass(frozen=True)
class Outcome:
    """What was done to a run: the kind by which it is counted, and what is printed of it, if anything."""

    kind: str
    line: str = ""


def each_run(
    members: Members,
    describe: DescribeRun,
    act: Callable[[Stored], Outcome],
    kinds: Sequence[str],
    gone: Callable[[], str] = lambda: "",
) -> Iterator[tuple[bool, str]]:
    """(whether that is well, a line to print) for each run of which `act` has one, and in the end for all.

    `kinds` are counted, in this order; the last is that of runs which could not be dealt with. After such a one `gone` says
    why no other can be either, which ends the loop, or nothing.
    """
    counts = dict.fromkeys(kinds, 0)
    failed = kinds[-1]
    for name, folder in members:
        try:
            if not (folder.path / "config.yaml").exists():
                continue
            with folder.lease():
                done = act(read_stored(folder, describe))
        except Held as held:
            done = Outcome("left alone", f"left alone: {held}")
        except (DamagedRecord, OSError, TrackerUnavailable) as error:
            done = Outcome(failed, str(error))
        except Exception as error:  # whatever is odd about one run, the others are sent
            done = Outcome(failed, f"{folder.path}: {type(error).__name__}: {shortened(str(error), 200)}")
        counts[done.kind] += 1
        if done.line:
            yield done.kind != failed, f"  {name}  {done.line}"
        if done.kind == failed and (why := gone()):
            yield False, f"{why}; the same command continues from there"
            break
    told = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    yield not counts[failed], f"{sum(counts.values())} of {amount(len(members), 'run')}: {told or 'none'}"
