"""Makes a card: tries the laws, measures costs, runs the suite as a sweep, judges, and writes the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean

from ..analysis.grouping import trained_with
from ..config.schema import GIVEN, mechanism_reference, read_signature
from ..config.winners import add_winners, read_winners
from ..console import say
from ..launch.sweep import launch_sweep, sweep_word
from ..laws.results import LawResult, cell_results
from ..models.registry import mechanism_class
from ..options import Failed, amount
from ..run.plan import check_accelerator
from ..run.process_settings import configure_process
from ..store.record import Record
from .committed import committed_records, committed_searches
from .cost import measure_costs
from .page import Card, add_runs, write_card
from .request import CardRequest
from .runs import CardRun, Entrants, EqualWidth, Line, besides_lines, card_lines, find_card_runs, source_digest
from .sizes import check_budget, equal_widths, keep_widths, kept_widths
from .tuning import Search, Trial, choose_winners, search_trials, winners_of

WINNERS = "winners.yaml"  # in the folder of the page


def estimate_card(request: CardRequest) -> int:
    """Says how many runs are left and what they take; the exit code. Failed where the cell breaks a law."""
    if (card := _tried(request)).broken:
        raise Failed(_broken(card))
    _check_opponents(request)
    known, trials = _searches(request)
    planned, shares = _planned(request, known, trials, _widths(request, keep=False), committed_records(request.suite_name))
    return _estimate(request, planned, shares)


def make_card(request: CardRequest) -> int:
    """Makes all of it; the exit code. Where the cell breaks a law, the page has the laws alone, and Failed is raised."""
    card = _tried(request)
    if card.broken:
        raise Failed(f"{_broken(card)}: see {write_card(card, request.output)[0]}")
    _check_opponents(request)
    widths = _widths(request)
    card.unmet = [one for one in widths if not one.met]
    known, trials = _searches(request)
    suite, committed = request.suite, committed_records(request.suite_name)
    planned, shares = _planned(request, known, trials, widths, committed)
    if planned and suite.minutes:
        minutes = math.ceil(suite.minutes * len(planned) / (suite.seeds * len(suite.here)))
        say(f"{suite.version}: about {amount(minutes, 'minute')} or less on 2 free cores")
    elif planned and (code := _estimate(request, planned, shares)):
        return code
    winners = request.winners
    if request.full:
        if code := _tune(request, card, known, trials):
            return code
        winners = read_winners(request.output / WINNERS)
    lines = [*card_lines(suite, request.entrants, winners), *besides_lines(suite, request.entrants, winners, widths)]
    say(f"{suite.version}: what {', '.join(request.entrants.models)} cost")
    card.costs = measure_costs({label: request.entrants.settings(label) for label in request.entrants.models})
    return _compare(request, card, lines, committed)


def _tried(request: CardRequest) -> Card:
    """The card with the laws alone, which are tried on the cell. BadOption where the runs ask for a GPU that is not there."""
    suite, entrants = request.suite, request.entrants
    check_accelerator(request.launched)
    card = Card(entrants.cell, suite, source_digest(entrants, entrants.cell), request.command)
    card.tuned, card.tuned_elsewhere = request.winners is not None, request.elsewhere
    card.left_out = [f"{task.title}: {task.needs} is not installed" for task in suite.tasks.values() if not task.is_here]
    configure_process()
    card.file = entrants.file
    card.laws = _laws_of(entrants, entrants.cell)
    card.sources = {label: facts.code for label in entrants.opponents if (facts := entrants.facts(label))}
    if not card.broken:
        say(f"{suite.version}: {amount(len(card.laws), 'law')} hold of {entrants.cell}")
    return card


def _laws_of(entrants: Entrants, label: str) -> Sequence[LawResult]:
    """The laws of cells, tried on one of the entrants with its options."""
    settings = entrants.settings(label)
    reference = mechanism_reference(settings)
    own = [name for name in read_signature("mechanism", reference).options if name not in (*GIVEN, "hidden_size")]
    return cell_results(mechanism_class(reference), **{name: settings[name] for name in own})


def _check_opponents(request: CardRequest) -> None:
    """BadOption where a model does not meet the suite's budget; Failed where an opponent from a file breaks a law.

    To be ahead of such a one says nothing. Tests hold our own to the laws.
    """
    check_budget(request.suite, request.entrants)
    for label in request.entrants.opponents:
        if request.entrants.facts(label):
            broken = [law.broken for law in _laws_of(request.entrants, label) if law.broken]
            if broken:
                raise Failed(f"--against {label}: {broken[0]}; an opponent has to keep the laws of cells, too")


def _broken(card: Card) -> str:
    """What a card says that stopped at the laws."""
    return f"{card.cell}: {card.broken[0]}; {len(card.broken)} of {len(card.laws)} laws do not hold"


def _widths(request: CardRequest, keep: bool = True) -> list[EqualWidth]:
    """The widths of equal state and equal time: those that are kept beside the page, else measured now, and kept there."""
    suite, entrants = request.suite, request.entrants
    if not suite.besides:
        return []
    kept = kept_widths(suite, entrants, request.output)
    if kept is not None:
        return kept
    say(f"{suite.version}: the widths at which {entrants.cell} has the state, and the time a step, of its opponents")
    widths = equal_widths(suite, entrants)
    if keep:
        keep_widths(suite, entrants, request.output, widths)
    return widths


def _searches(request: CardRequest) -> tuple[list[Search], list[Trial]]:
    """(the searches that come with the suite, the trials of those that are to be made); none without --full.

    Those that come with it are of models of the card with their settings and no others.
    """
    suite, entrants = request.suite, request.entrants
    if not request.full:
        return [], []
    plain = [label for label in entrants.models if entrants.named(label) == (label,)]
    known = [one for one in committed_searches(request.suite_name, suite) if one.model in plain and one.task in suite.here]
    return known, search_trials(suite, entrants, {(one.task, one.model) for one in known})


def _planned(
    request: CardRequest,
    known: Sequence[Search],
    trials: Sequence[Trial],
    widths: Sequence[EqualWidth],
    committed: Mapping[str, Record],
) -> tuple[list[Line], list[float]]:
    """(the runs of the card that have no record, of each the share of its steps that it may make).

    What a search will choose is not known yet.
    """
    suite, entrants, winners = request.suite, request.entrants, request.winners
    kinds = {
        "of the search": [line for trial in trials for line in trial.lines],
        "at equal parameters": card_lines(suite, entrants, winners_of(known) if request.full else winners),
        "at equal state or time": besides_lines(suite, entrants, winners, widths),
    }
    found = find_card_runs([line for lines in kinds.values() for line in lines], committed, request.launching)
    come = [(run.line.task, run.record) for run in found if run.record and not run.folder]
    planned = [run.line for run in found if run.record is None]
    wanted = set(planned)
    parts = [f"{sum(line in wanted for line in lines)} {kind}" for kind, lines in kinds.items() if lines]
    recorded = len(found) - len(come) - len(planned)
    more = [f"{count} {what}" for count, what in ((len(come), "come with the program"), (recorded, "are recorded")) if count]
    say("; ".join((f"{suite.version}: runs to make: {', '.join(parts)}", *more)))
    return planned, _shares(planned, come)


def _shares(planned: Sequence[Line], come: Sequence[tuple[str, Record]]) -> list[float]:
    """Of each run that is planned the share of its steps that those of its task made that come with the program, as a mean."""
    made: dict[str, list[float]] = {}
    for task, record in come:
        if record["status"] == "diverged":  # which tells nothing of one that does not
            continue
        made.setdefault(task, []).append(record["steps"] / trained_with(record, "steps"))
    return [fmean(made.get(line.task, [1.0])) for line in planned]


def _tune(request: CardRequest, card: Card, known: Sequence[Search], trials: Sequence[Trial]) -> int:
    """Runs the search, and writes the winners, those of the `known` searches among them; the exit code."""
    suite, entrants = request.suite, request.entrants
    lines = [line for trial in trials for line in trial.lines]
    if lines and (code := _launch(request, lines)):
        return code
    searches = [*known, *choose_winners(suite, entrants, trials, _recorded(request, lines, {}))]
    tasks, models = list(suite.tasks), list(entrants.models)
    searches.sort(key=lambda one: (tasks.index(one.task), models.index(one.model)))
    card.tuning, card.tuned = [one.row for one in searches], True
    add_winners(request.output / WINNERS, winners_of(searches))
    say(str(request.output / WINNERS))
    return 0


def _compare(request: CardRequest, card: Card, lines: Sequence[Line], committed: Mapping[str, Record]) -> int:
    """Runs what is not recorded, judges, and writes the page; the exit code."""
    if code := _launch(request, _left(request, lines, committed)):
        return code
    add_runs(card, _recorded(request, lines, committed))
    say(card.says)
    for path in write_card(card, request.output):
        say(str(path))
    return 0


def _launch(request: CardRequest, lines: Sequence[Line]) -> int:
    return launch_sweep([list(line.words) for line in lines], _sweep(request), request.launching)


def _estimate(request: CardRequest, lines: Sequence[Line], shares: Sequence[float]) -> int:
    """Says what the runs take."""
    words = [list(line.words) for line in lines]
    return launch_sweep(words, _sweep(request), request.launching, estimated=True, shares=shares)


def _sweep(request: CardRequest) -> str:
    """The name of the sweep; of a cell from a file with its source: other code makes other runs."""
    entrants = request.entrants
    name = f"card-{request.suite.version.replace('/', '-')}-{entrants.cell}"
    own = entrants.facts(entrants.cell)
    return sweep_word(f"{name}-{own.code[:8]}" if own else name)


def _left(request: CardRequest, lines: Sequence[Line], committed: Mapping[str, Record]) -> Sequence[Line]:
    """The lines whose run does not come with the suite; those of the cell are among them."""
    return [run.line for run in find_card_runs(lines, committed, request.launching) if run.folder] if committed else lines


def _recorded(request: CardRequest, lines: Sequence[Line], committed: Mapping[str, Record]) -> list[CardRun]:
    """The runs of lines, each of which has a record; Failed where one has none."""
    runs = find_card_runs(lines, committed, request.launching)
    if left := [run.line for run in runs if run.record is None]:
        raise Failed(f"{len(left)} of {len(runs)} runs are not recorded; the same command continues with them")
    return runs
