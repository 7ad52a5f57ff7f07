"""What the server holds of a run, read back; and how a copy that contradicts the record is replaced by another."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .tracker import Run
from .wandb_account import client, error_text, stop_service, why_silent
from .wandb_note import read_note, write_note
from .wandb_tracker import START


@dataclass(frozen=True)
class Copy:
    """What the server holds of a run, W&B's own entries, media and empty places left out."""

    name: str
    tags: list[str]
    notes: str
    rows: list[dict[str, Any]]
    config: dict[str, Any]
    summary: dict[str, Any]

    @property
    def layout(self) -> int | None:
        """The one with which it was first made; None where the settings there do not say: version 0.1, or a killed client."""
        found = self.config.get("layout")
        return found if type(found) is int else None


def read_copy(run: Run, place: Mapping[str, Any]) -> Copy | None:
    """What is there of `run`, None where it is not there at all."""

    def ours(entries: Mapping[str, Any]) -> dict[str, Any]:
        def kept(value: Any) -> bool:
            return value is not None and not (isinstance(value, Mapping) and "_type" in value)

        return {key: value for key, value in entries.items() if not key.startswith("_") and kept(value)}

    there = _find(run, place)
    if there is None:
        return None
    with _asking():
        rows = [ours(row) for row in there.scan_history(use_cache=False)]
        return Copy(there.name, list(there.tags), there.notes or "", rows, there.config, ours(there.summary_metrics))


def _find(run: Run, place: Mapping[str, Any]) -> Any:
    """W&B's own handle of the run there, or None."""
    if gone := why_silent():
        raise ConnectionError(gone)
    with _asking(), client() as wandb:
        api = wandb.Api(timeout=int(START))
        try:
            return api.run(f"{place['entity'] or api.default_entity}/{place['project']}/{run.id}")
        except wandb.errors.CommError as error:
            if "Could not find run" in str(error):
                return None
            raise


@contextlib.contextmanager
def _asking() -> Iterator[None]:
    """ConnectionError with one line where the server does not answer as it should."""
    try:
        yield
    except Exception as error:
        stop_service()
        raise ConnectionError(f"W&B does not say what it holds ({error_text(error)})") from None


def renew_id(run: Run, delete: bool) -> str:
    """Gives `run` a new id there, under which the next start writes it whole; `remove_replaced` then removes the old one where
    `delete` says so."""
    stem, _, number = run.id.rpartition("-")
    new = f"{stem}-{int(number) + 1}" if stem and number.isdigit() else f"{run.id}-2"
    note = {key: value for key, value in read_note(run).items() if key not in ("online", "layout")}
    write_note(run, {**note, "run_id": new, "replaced": [*note.get("replaced", []), *([run.id] if delete else [])]})
    return new


def remove_replaced(run: Run, place: Mapping[str, Any]) -> None:
    """Removes what `renew_id` has replaced there; once it is gone, the note forgets it."""
    note = read_note(run)
    for old in note.get("replaced", []):
        found = _find(replace(run, id=old), place)
        if found is not None:
            found.delete()
    if note.pop("replaced", []):
        write_note(run, note)
