"""The records that come with a suite, conf/card/<name>.jsonl, and the cards that they make."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..config.schema import CONF
from ..options import BadOption, amount
from ..reproduction.collect import record_line, scrubbed_record
from ..store.find import find_runs
from ..store.record import Record, write_atomically
from .page import Card, add_runs
from .runs import KEPT_REACH, CardRun, Entrants, Line, card_lines, find_card_runs, reach_of, source_digest
from .suite import load_suite

CELLS = ("rnn", "lstm", "peephole_lstm", "gru", "min_gru", "min_lstm")  # whose cards come with the program


def committed_path(name: str) -> Path:
    """Of the records that come with the suite of that name."""
    return CONF / "card" / f"{name}.jsonl"


def committed_records(name: str) -> dict[str, Record]:
    """The records that come with the suite of that name, by the runs' ids. BadOption where one is damaged."""
    path = committed_path(name)
    if not path.exists():
        return {}
    found, complaints = find_runs([path])
    if complaints:
        raise BadOption(complaints[0])
    return {run.record["id"]: run.record for run in found if run.record}


def write_committed(name: str, runs: Iterable[CardRun]) -> int:
    """Writes the records of runs, scrubbed of accounts and folders, as those that come with the suite; their number."""
    kept = {}
    for run in runs:
        if run.record:
            measures = {} if (reach := reach_of(run)) is None else {KEPT_REACH: float(reach)}
            kept[run.record["id"]] = scrubbed_record(run.record, measures, {})
    text = "".join(f"{line}\n" for line in sorted(map(record_line, kept.values())))
    write_atomically(committed_path(name), text.encode())
    return len(kept)


def own_entrants(name: str, cell: str) -> Entrants:
    """One of our cells and the opponents of a suite."""
    return Entrants(cell, {model: model for model in (cell, *load_suite(name).opponents)})


def committed_lines(name: str) -> list[Line]:
    """Every run of the cards of `CELLS`, once."""
    suite = load_suite(name)
    return list(dict.fromkeys(line for cell in CELLS for line in card_lines(suite, own_entrants(name, cell), None)))


def committed_card(name: str, cell: str) -> Card:
    """The card of one of `CELLS`, from the records that come with the suite; without laws and costs.

    LookupError where a record is missing, as after a new version of a task or model.
    """
    suite, entrants = load_suite(name), own_entrants(name, cell)
    runs = find_card_runs(card_lines(suite, entrants, None), committed_records(name), ())
    if missing := [run.line for run in runs if run.record is None or run.folder]:
        raise LookupError(f"{committed_path(name).name} lacks {amount(len(missing), 'run')} of {cell}: `make cards` makes them")
    card = Card(cell, suite, source_digest(entrants), f"rnnbench card {cell} --quick")
    add_runs(card, runs)
    return card
