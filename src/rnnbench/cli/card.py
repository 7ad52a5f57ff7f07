"""The verb card: what a cell is worth, on one page."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..card.committed import committed_records, committed_searches
from ..card.cost import measure_costs
from ..card.page import Card, add_runs, write_card
from ..card.runs import (
    CardRun,
    Entrants,
    EqualWidth,
    Line,
    besides_lines,
    card_lines,
    check_winners,
    find_card_runs,
    source_digest,
)
from ..card.sizes import equal_widths, keep_widths, kept_widths
from ..card.suite import Suite, check_opponents, load_suite
from ..card.tuning import Search, Trial, choose_winners, search_trials, winners_of
from ..config.checks import writable_folder
from ..config.compose import compose_jobs
from ..config.overrides import named_options
from ..config.schema import GIVEN, every_choice, is_choice, mechanism_reference, read_signature, trust_choice
from ..config.winners import add_winners, read_winners
from ..console import say
from ..launch.resume import launching_words
from ..launch.sweep import launch_sweep, sweep_word, without_effect
from ..laws.results import cell_results
from ..models.registry import mechanism_class
from ..options import BadOption, Failed, amount, unknown
from ..plugins.references import file_plugin, is_file
from ..run.process_settings import configure_process
from ..store.record import Record
from .tune import absolute_choice

WINNERS = "winners.yaml"  # in the folder of the page


def card_command(options: argparse.Namespace) -> int:
    """Tries the laws, measures costs, runs the suite as a sweep, and writes the page."""
    if options.full and options.winners:
        raise BadOption("--full searches winners, --winners FILE has them: one of the two")
    suite_name = "quick" if options.quick else "card"
    suite = load_suite(suite_name)
    entrants = _entrants(options, suite)
    launching = launching_words([word for word in options.overrides if word not in entrants.options])
    writable_folder(str(options.output), "--output ")
    winners = read_winners(options.winners) if options.winners else None
    card = Card(entrants.cell, suite, source_digest(entrants), _command(options, entrants))
    card.tuned = winners is not None
    if winners is not None:
        card.tuned_elsewhere = check_winners(suite, entrants, winners)
        if card.tuned_elsewhere:
            say(f"{options.winners}: under which settings it was found is not known of: {', '.join(card.tuned_elsewhere)}")
    card.left_out = [f"{task.title}: {task.needs} is not installed" for task in suite.tasks.values() if not task.is_here]
    known = _known_searches(suite_name, suite, entrants) if options.full else []
    trials = search_trials(suite, entrants, {(one.task, one.model) for one in known}) if options.full else []
    lines = card_lines(suite, entrants, winners_of(known) if options.full else winners)
    committed = committed_records(suite_name)
    whole = [*(line for trial in trials for line in trial.lines), *_left(lines, committed, launching)]
    if options.estimate:
        widths = _widths(suite, entrants, options.output)
        whole += besides_lines(suite, entrants, winners, widths)
        return _launch(whole, suite, entrants, launching, estimated=True)
    _try_laws(card, entrants, options.output)
    widths = _widths(suite, entrants, options.output)
    card.unmet = [one for one in widths if not one.met]
    whole += besides_lines(suite, entrants, winners, widths)
    if whole and suite.minutes:
        say(f"{suite.version}: {amount(len(lines), 'run')}, about {suite.minutes:g} minutes on 2 free cores")
    elif whole and (code := _launch(whole, suite, entrants, launching, estimated=True)):
        return code
    if options.full:
        if code := _tune(card, trials, known, entrants, launching, options.output):
            return code
        winners = read_winners(options.output / WINNERS)
        lines = card_lines(suite, entrants, winners)
    lines = [*lines, *besides_lines(suite, entrants, winners, widths)]
    say(f"{suite.version}: what {', '.join(entrants.models)} cost")
    card.costs = measure_costs({label: entrants.settings(label) for label in entrants.models})
    return _compare(card, lines, entrants, launching, options.output, committed)


def _widths(suite: Suite, entrants: Entrants, output: Path) -> list[EqualWidth]:
    """The widths of equal state and equal time: those that are kept beside the page, else measured now, and kept there."""
    if not suite.besides:
        return []
    kept = kept_widths(suite, entrants, output)
    if kept is not None:
        return kept
    say(f"{suite.version}: the widths at which {entrants.cell} has the state, and the time a step, of its opponents")
    widths = equal_widths(suite, entrants)
    keep_widths(suite, entrants, output, widths)
    return widths


def _known_searches(name: str, suite: Suite, entrants: Entrants) -> list[Search]:
    """The searches that come with the suite, of models of the card with their settings and no others."""
    plain = [label for label in entrants.models if entrants.named(label) == (label,)]
    return [one for one in committed_searches(name, suite) if one.model in plain and one.task in suite.here]


def _tune(
    card: Card,
    trials: Sequence[Trial],
    known: Sequence[Search],
    entrants: Entrants,
    launching: Sequence[str],
    output: Path,
) -> int:
    """Runs the search, and writes the winners, those of the `known` searches among them; the exit code."""
    lines = [line for trial in trials for line in trial.lines]
    if lines and (code := _launch(lines, card.suite, entrants, launching)):
        return code
    searches = [*known, *choose_winners(card.suite, entrants, trials, _recorded(lines, {}, launching))]
    tasks, models = list(card.suite.tasks), list(entrants.models)
    searches.sort(key=lambda one: (tasks.index(one.task), models.index(one.model)))
    card.tuning, card.tuned = [one.row for one in searches], True
    add_winners(output / WINNERS, winners_of(searches))
    say(str(output / WINNERS))
    return 0


def _entrants(asked: argparse.Namespace, suite: Suite) -> Entrants:
    """The cell with its options and its opponents, each checked; BadOption for one that is none."""
    cell, against = asked.cell, asked.against
    options = tuple(word for word in asked.overrides if word.startswith("model."))
    opponents = list(dict.fromkeys(against.split(","))) if against is not None else list(suite.opponents)
    models: dict[str, str] = {}
    for name in [cell, *opponents]:
        if not name:
            raise BadOption("--against: a name is empty; write --against lstm,gru, say")
        if not is_choice("model", name):
            module, _, kind = name.partition(":")
            if kind and Path(f"{module}.py").exists():
                raise BadOption(f"no model {name!r}; a class in a file is FILE.py:CLASS, here ./{module}.py:{kind}")
            raise unknown("model", name, every_choice("model"))
        trust_choice("model", name)
        reference = absolute_choice("model", name)
        label = file_plugin("model", name).name if is_file(name) else name
        if reference in list(models.values())[bool(options) :]:
            if against is None:
                continue  # the cell is one of the suite's opponents
            raise BadOption(f"--against {name}: the cell itself, or named twice; name other models, --against gru, say")
        if not models and options:
            label = " ".join((label, *(word.removeprefix("model.") for word in options)))
        models[f"{label} (2)" if label in models else label] = reference
    if len(models) < 2:
        raise BadOption(f"{cell}: no opponent is left; --against names some, --against lstm,gru, say")
    check_opponents(suite, list(models)[1:])
    entrants = Entrants(next(iter(models)), models, options)
    _check_options(suite, entrants)
    return entrants


def _check_options(suite: Suite, entrants: Entrants) -> None:
    """BadOption for an option of the cell that there is not, or that has no effect in a task of the suite."""
    for task in suite.here if entrants.options else ():
        (job,) = compose_jobs(suite.setting(task, *entrants.named(entrants.cell)), sweep=False, declared=True)
        named = named_options(entrants.options)
        if "model.hidden_size" in named:
            raise BadOption("model.hidden_size: the suite's budget of parameters sets the width; leave it out")
        without = without_effect(job, named)
        if idle := sorted(named & set(without)):
            raise BadOption(without[idle[0]])


def _command(options: argparse.Namespace, entrants: Entrants) -> str:
    flags = [f"--{name}" for name in ("quick", "full") if getattr(options, name)]
    flags += ["--against", options.against] if options.against else []
    flags += ["--winners", str(options.winners)] if options.winners else []
    cell = Path(options.cell).name if is_file(options.cell) else options.cell
    return shlex.join(["rnnbench", "card", cell, *entrants.options, *flags])


def _try_laws(card: Card, entrants: Entrants, output: Path) -> None:
    """Tries the laws of cells; where one is broken, writes the page with the laws alone and raises Failed."""
    configure_process()
    settings = entrants.settings(entrants.cell)
    reference = mechanism_reference(settings)
    own = [name for name in read_signature("mechanism", reference).options if name not in (*GIVEN, "hidden_size")]
    card.laws = cell_results(mechanism_class(reference), **{name: settings[name] for name in own})
    if card.broken:
        page = write_card(card, output)[0]
        raise Failed(f"{card.cell}: {card.broken[0]}; {len(card.broken)} of {len(card.laws)} laws do not hold: see {page}")
    say(f"{card.suite.version}: {amount(len(card.laws), 'law')} hold of {card.cell}")


def _launch(lines: Sequence[Line], suite: Suite, entrants: Entrants, launching: Sequence[str], estimated: bool = False) -> int:
    name = sweep_word(f"card-{suite.version.replace('/', '-')}-{entrants.cell}")
    return launch_sweep([list(line.words) for line in lines], name, launching, estimated)


def _compare(
    card: Card,
    lines: Sequence[Line],
    entrants: Entrants,
    launching: Sequence[str],
    output: Path,
    committed: Mapping[str, Record],
) -> int:
    """Runs what is not recorded, judges, and writes the page; the exit code."""
    if code := _launch(_left(lines, committed, launching), card.suite, entrants, launching):
        return code
    add_runs(card, _recorded(lines, committed, launching))
    say(card.says)
    for path in write_card(card, output):
        say(str(path))
    return 0


def _left(lines: Sequence[Line], committed: Mapping[str, Record], launching: Sequence[str]) -> Sequence[Line]:
    """The lines whose run is not committed; those of the cell are among them."""
    return [run.line for run in find_card_runs(lines, committed, launching) if run.folder] if committed else lines


def _recorded(lines: Sequence[Line], committed: Mapping[str, Record], launching: Sequence[str]) -> list[CardRun]:
    """The runs of lines, each of which has a record; Failed where one has none."""
    runs = find_card_runs(lines, committed, launching)
    if left := [run.line for run in runs if run.record is None]:
        raise Failed(f"{len(left)} of {len(runs)} runs are not recorded; the same command continues with them")
    return runs
