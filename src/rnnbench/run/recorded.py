"""Which run it is that settings ask for, and what is recorded of it. Torch is not imported.

A run's id needs the fingerprint of its data. Of data that are generated it is empty, so that such a run is found, and
answered from its record, by its settings alone.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..config.checks import with_effect
from ..config.identity import code_digests, setting_identity
from ..config.places import places, without_places
from ..config.settings import Settings
from ..groups import TrainerSettings
from ..options import amount
from ..store.record import Config, DamagedRecord, Record, canonical, digest
from ..store.run_folder import RunFolder
from .survey import Survey


@dataclass(frozen=True)
class RunIdentity:
    """A run by its settings, of which those without effect are as by default, its id, and that which other seeds share."""

    settings: Settings
    setting: str
    id: str
    name_in_0_1: str = field(default="", kw_only=True)

    @property
    def earlier(self) -> str:
        """The folder that version 0.1 gave it."""
        return str(Path(self.settings.runs) / self.name_in_0_1)

    @property
    def name(self) -> str:
        return f"{self.settings.task.name}/{self.settings.setting}/s{self.settings.seed}-{self.id[:8]}"

    @property
    def folder(self) -> RunFolder:
        return RunFolder(Path(self.settings.runs) / self.name)


class Identities:
    """The identities of many runs. What the seeds of one setting share is found out once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[Settings, Config, Config]] = {}
        self._begun: dict[Path, Config] = {}

    def of(self, settings: Settings, fingerprint: str) -> RunIdentity:
        """The run of `settings` on data with that fingerprint; their budget is solved for already.

        Where a run was begun under the id that an earlier version gave it, that one. Where data lie was part of these ids.
        """
        key = all_but_seed(settings), fingerprint
        if key not in self._known:
            live = with_effect(settings)
            self._known[key] = live, live.identity(fingerprint), settings.identity(fingerprint, as_in_0_1=True)
        live, now, before = self._known[key]
        if settings.again:
            return _not_recorded(live.with_seed(settings.seed), now)
        found = _identified(live.with_seed(settings.seed), now)
        earlier = _identified(settings, before)
        chosen = earlier if earlier.id != found.id and _begun_on(earlier.folder, settings.trainer) else found
        if chosen is found and places(settings.plain()) and not os.path.lexists(found.folder.path):
            chosen = self._named_by_place(found, fingerprint) or found
        return replace(chosen, name_in_0_1=earlier.name)

    def _named_by_place(self, found: RunIdentity, fingerprint: str) -> RunIdentity | None:
        """The run that was begun with these settings on these data when its id still said where they lay, however that was
        said."""
        settings = found.settings
        plain = settings.plain()
        for path in sorted(found.folder.path.parent.glob(f"s{settings.seed}-*")):
            if path not in self._begun:
                self._begun[path] = {}
                with contextlib.suppress(DamagedRecord, OSError):
                    self._begun[path] = RunFolder(path).config()
            begun = self._begun[path]
            if not begun or begun["task"]["name"] != settings.task.name:
                continue
            spelled = {**plain, "task": {**without_places(plain["task"]), **places(begun)}}
            for as_in_0_1 in (False, True):
                one = _identified(settings, setting_identity(spelled, fingerprint, as_in_0_1, with_places=True))
                if one.id == begun.get("id") and _begun_on(one.folder, settings.trainer):
                    return one
        return None


def all_but_seed(settings: Settings) -> str:
    """What the seeds of one setting share, as one text."""
    return canonical({**settings.plain(), "seed": None})


def _identified(settings: Settings, identity: Config) -> RunIdentity:
    unique = [identity, settings.seed, *([settings.repeat] if settings.repeat else [])]
    return RunIdentity(settings, digest(identity)[:32], digest(unique)[:32])


def _not_recorded(settings: Settings, identity: Config) -> RunIdentity:
    """The first of the run and its repeats, from `settings.repeat` on, that has no record."""
    while os.path.lexists((found := _identified(settings, identity)).folder.path / "record.json"):
        settings = replace(settings, repeat=settings.repeat + 1)
    return replace(found, name_in_0_1=found.name)


def _begun_on(folder: RunFolder, trainer: TrainerSettings) -> bool:
    """Whether `folder` holds a run that was begun on as many devices, of all machines, and with as many micro batches."""
    try:
        begun = folder.config().get("trainer") or {}
        same_devices = begun.get("devices", 1) * begun.get("nodes", 1) == trainer.devices * trainer.nodes
        return bool(same_devices and begun.get("micro_batches", 1) == trainer.micro_batches)
    except (DamagedRecord, OSError):
        return False


def recorded_run(settings: Settings, identities: Identities) -> tuple[RunIdentity, Record] | None:
    """The run of `settings` and its record, where its data are generated and it is recorded.

    None where that is not so, or takes more to know: the data, a network (for a budget), other devices, the record's damage;
    and where the run is to be tried, recorded or not.
    """
    trainer = settings.trainer
    elsewhere = trainer.accelerator == "gpu" or trainer.devices * trainer.nodes > 1
    if settings.budget.is_set or elsewhere or trainer.fast_dev_run:
        return None
    found = identities.of(settings, "")
    try:
        record = found.folder.record()
    except (DamagedRecord, OSError):
        return None
    return (found, record) if record and record["id"] == found.id else None


def survey_recorded(every: Iterable[Settings]) -> Iterator[Survey | None]:
    """The survey of each of `every` that `recorded_run` finds, None for the others. The length, of runs to come, is 0."""
    identities = Identities()
    for settings in every:
        found = recorded_run(settings, identities)
        yield Survey(str(found[0].folder.path), found[0].id, found[0].setting, 0, found[0].earlier) if found else None


def other_code(run: RunIdentity) -> str:
    """Of a run whose task or model is not ours: a line that names a recorded run that differs in their code alone."""
    settings = run.settings
    code = code_digests(settings.plain())
    for path in run.folder.path.parent.glob(f"s{settings.seed}-*/record.json") if code else ():
        with contextlib.suppress(DamagedRecord, OSError):
            record = RunFolder(path.parent).record()
            if record and record["departures"] == settings.departures and record["setting"] != run.setting:
                return f"is another run than {path.parent.name}: the code of {changed_code(settings, record)} is not the same"
    return ""


def changed_code(settings: Settings, before: Mapping[str, Any]) -> str:
    """What is not ours and has another code than a record or config.yaml holds, in words."""
    now, then = code_digests(settings.plain()), before.get("code") or {}
    named = {"task": settings.task.reference, "model": settings.model.reference, "writer": settings.network.writer}
    return " and ".join(f"{part} {named.get(part, '')}".rstrip() for part in now if now[part] != then.get(part))


def compared_to_first(run: RunIdentity, record: Record) -> str:
    """Of a run that was made again: a line that says whether the first gave the same; empty where that is not recorded."""
    settings = run.settings
    if not settings.repeat:
        return ""
    first = Identities().of(replace(settings, again=False, repeat=0), record["task"]["fingerprint"])
    with contextlib.suppress(DamagedRecord, OSError):
        if before := first.folder.record():
            same = all(before[part] == record[part] for part in ("status", "steps", "scores"))
            how = "gave the same scores, to the last digit" if same else f"gave other scores{_change(before, record)}"
            return f"is {first.folder.path.name} again, which {how}"
    return ""


def _change(before: Record, after: Record) -> str:
    """The largest relative change of a score, and what the first run gave, in words."""
    pairs = [
        (old[name], new[name])
        for old, new in ((before["scores"][split] or {}, after["scores"][split] or {}) for split in ("validation", "test"))
        for name in old.keys() & new.keys()
    ]
    numbers = [(one, other) for one, other in pairs if one is not None and other is not None and one != other]
    changes = [abs(one - other) / max(abs(one), abs(other)) for one, other in numbers]
    largest = f" (by up to {max(changes):.1g} of their value)" if changes and all(map(math.isfinite, changes)) else ""
    return f"{largest}: {result_text(before)}"


def recorded_line(name: str, record: Record) -> str:
    """What is said where a run is answered from its record."""
    return f"{name}  recorded before: {result_text(record)}"


def result_text(record: Record) -> str:
    """The result in a few words."""
    task, speed = record["task"], record["speed"]
    if record["status"] == "diverged":
        return f"diverged at step {record['diverged_step']}"
    headline, scores = task["headline"], record["scores"]
    if scores["test"] is None:
        validation = (scores["validation"] or {}).get(headline)
        return f"validation {headline} {math.nan if validation is None else validation:.4g}, test not read"
    score = scores["test"][headline]
    solved = f", solved at step {record['solved_step']}" if record["solved_step"] else ""
    return (
        f"test {headline} {score:.4g} (floor {task['floor']:.4g}){solved}; "
        f"{amount(record['steps'], 'step')} in {speed['seconds']:.0f} s, {speed['steps_per_second']:.3g} steps/s"
    )
