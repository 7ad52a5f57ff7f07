"""What comes with a suite: its records, conf/card/<name>.jsonl, its searches, <name>.searches.jsonl, and their cards."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from ..config.schema import CONF
from ..config.winners import changed_settings, option_word, options_of
from ..options import BadOption, amount
from ..reproduction.collect import record_line, scrubbed_record
from ..store.find import find_runs
from ..store.record import Record, write_atomically
from .page import Card, add_runs
from .runs import KEPT_REACH, CardRun, Entrants, Line, card_lines, find_card_runs, reach_of, source_digest
from .suite import Suite, load_suite
from .tuning import Search, search_plan, winners_of

CELLS = ("lstm", "gru", "rnn", "peephole_lstm", "min_gru", "min_lstm")  # whose cards come with the program; opponents first

MAKES = "`make cards` makes them, those of --full with FULL_HOURS=9"


def committed_path(name: str) -> Path:
    """Of the records that come with the suite of that name."""
    return CONF / "card" / f"{name}.jsonl"


def searches_path(name: str) -> Path:
    """Of the searches that come with the suite of that name."""
    return CONF / "card" / f"{name}.searches.jsonl"


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


def committed_searches(name: str, suite: Suite) -> list[Search]:
    """The searches that come with a suite, those left out that have another plan, or other settings or versions."""
    path = searches_path(name)
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [one for one in (Search(**json.loads(line)) for line in lines) if one.task in suite.tasks and _holds(suite, one)]


def _holds(suite: Suite, search: Search) -> bool:
    chosen = [option_word(key, value) for key, value in options_of(search.winner).items()]
    if suite.tuning is None or search.plan != search_plan(suite, search.task):
        return False
    try:
        return not changed_settings(search.winner, [*suite.setting(search.task, search.model), *chosen])
    except BadOption:  # an option that there is no more
        return False


def write_searches(name: str, searches: Iterable[Search]) -> None:
    """Writes searches as those that come with the suite, in place of all that are there."""
    lines = sorted(json.dumps(one._asdict(), sort_keys=True, ensure_ascii=False) for one in searches)
    write_atomically(searches_path(name), "".join(f"{line}\n" for line in lines).encode())


def _committed_suite(name: str) -> Suite:
    """The suite of that name with the tasks whose data come with the program: those alone have committed records."""
    suite = load_suite(name)
    return suite.model_copy(update={"tasks": {key: task for key, task in suite.tasks.items() if not task.needs}})


def own_entrants(name: str, cell: str) -> Entrants:
    """One of our cells and the opponents of a suite."""
    return Entrants(cell, {model: model for model in (cell, *load_suite(name).opponents)})


def committed_lines(name: str) -> list[Line]:
    """Every run of the cards of `CELLS`, once; of a suite with a search, of the tasks and models whose search is committed."""
    suite = _committed_suite(name)
    winners = winners_of(committed_searches(name, suite)) if suite.tuning else None
    lines = (line for cell in CELLS for line in card_lines(suite, own_entrants(name, cell), winners))
    return list(dict.fromkeys(line for line in lines if winners is None or line.model in winners.get(line.task, {})))


def committed_card(name: str, cell: str) -> Card:
    """The card of one of `CELLS`, from what comes with the suite; without laws and costs.

    LookupError where a record or a search is missing, as after a new version of a task or model.
    """
    suite, entrants = _committed_suite(name), own_entrants(name, cell)
    searches = [one for one in committed_searches(name, suite) if one.model in entrants.models] if suite.tuning else []
    if suite.tuning and len(searches) < len(suite.here) * len(entrants.models):
        raise LookupError(f"{searches_path(name).name} lacks a search of {cell} or an opponent: {MAKES}")
    lines = card_lines(suite, entrants, winners_of(searches) if suite.tuning else None)
    runs = find_card_runs(lines, committed_records(name), ())
    if missing := [run.line for run in runs if run.record is None or run.folder]:
        raise LookupError(f"{committed_path(name).name} lacks {amount(len(missing), 'run')} of {cell}: {MAKES}")
    size = {"quick": "--quick", "card": "--full"}[name]
    card = Card(cell, suite, source_digest(entrants, entrants.cell), f"rnnbench card {cell} {size}")
    card.tuned, card.tuning = bool(searches), [one.row for one in searches]
    add_runs(card, runs)
    return card


def complete_cards(name: str) -> list[Card]:
    """The cards of those of `CELLS` of which everything comes with the suite."""
    cards = []
    for cell in CELLS:
        with suppress(LookupError):
            cards.append(committed_card(name, cell))
    return cards
