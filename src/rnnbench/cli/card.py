"""The verb card: what a cell is worth, on one page."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shlex
from collections.abc import Collection
from pathlib import Path

from ..card.request import CardRequest
from ..card.runs import Entrants, check_winners, source_digest
from ..card.suite import Suite, check_opponents, load_suite
from ..config.checks import writable_folder
from ..config.compose import compose_jobs
from ..config.overrides import named_options
from ..config.schema import every_choice, is_choice, trust_choice
from ..config.winners import read_winners
from ..console import say
from ..launch.resume import LAUNCHING, launching_words, words_of_runs
from ..launch.sweep import without_effect
from ..options import BadOption, shortened, unknown
from ..plugins.references import file_plugin, is_file
from .tune import absolute_choice


def card_command(options: argparse.Namespace) -> int:
    """Checks what is asked for, then makes the card or its estimate."""
    request = _request(options)
    from ..card.make import estimate_card, make_card  # imports torch and scipy

    return (estimate_card if options.estimate else make_card)(request)


def _request(options: argparse.Namespace) -> CardRequest:
    """What is asked for, checked."""
    if options.full and options.winners:
        raise BadOption("--full searches winners, --winners FILE has them: one of the two")
    name = "quick" if options.quick else "card"
    suite = load_suite(name)
    entrants = _entrants(options, suite)
    _check_words(options)
    launching = launching_words([word for word in options.overrides if word not in entrants.options])
    writable_folder(str(options.output), "--output ")
    if not options.estimate:
        _check_output(options.output, entrants)
    winners, elsewhere = None, []
    if options.winners:
        winners = read_winners(options.winners)
        elsewhere = check_winners(suite, entrants, winners)
        if elsewhere:
            say(f"{options.winners}: under which settings it was found is not known of: {', '.join(elsewhere)}")
    first = suite.setting(next(iter(suite.here)), "lstm")
    (job,) = compose_jobs([*first, *words_of_runs(launching)], sweep=False, declared=True)  # refuses what is no option
    if not options.estimate:
        writable_folder(job.runs, "runs=")
    command = _command(options, entrants)
    return CardRequest(name, suite, entrants, command, launching, job, options.output, options.full, winners, elsewhere)


def _check_words(asked: argparse.Namespace) -> None:
    """BadOption for a model beside the others that --against names, and for an option that the suite sets."""
    for word in asked.overrides:
        if "=" not in word and is_choice("model", word):
            named = f"{asked.against},{word}" if asked.against else word
            raise BadOption(f"{word}: models are named by --against, with a comma between them: --against {named}")
        if word.startswith(("task=", "task.", "train.", "network.", "budget.", "model=", "seed=", "test=", "test_seed=")):
            raise BadOption(f"{word}: the suite sets it; allowed: model.* of the cell, {LAUNCHING}")


def _check_output(folder: Path, entrants: Entrants) -> None:
    """BadOption where `folder` has the card of another cell, which this one would replace; that of other code is named."""
    try:
        kept = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        cell, file = str(kept["cell"]), str(kept.get("file", entrants.file))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return
    if (cell, file) != (entrants.cell, entrants.file):
        before = " of ".join(filter(None, (shortened(cell), shortened(file))))
        raise BadOption(f"{folder} has the card of {before}; name another folder for that of {entrants.cell}: --output FOLDER")
    if kept.get("source") not in (None, source_digest(entrants, entrants.cell)):
        say(f"{folder} has a card of other code of {cell}, which is replaced")


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
            ours = unknown("model", name, every_choice("model"))
            raise BadOption(f"{ours}; a cell of yours is named by its file, ./my_cell.py:{name}") from None
        trust_choice("model", name)
        reference = absolute_choice("model", name)
        label = file_plugin("model", name).name if is_file(name) else name
        if reference in list(models.values())[bool(options) :]:
            if against is None:
                continue  # the cell is one of the suite's opponents
            raise BadOption(f"--against {name}: the cell itself, or named twice; name other models, --against gru, say")
        if not models and options:
            label = " ".join((label, *(word.removeprefix("model.") for word in options)))
        models[_free_label(label, name, models, list(models.values()))] = reference
    if len(models) < 2:
        raise BadOption(f"{cell}: no opponent is left; --against names some, --against lstm,gru, say")
    check_opponents(suite, list(models)[1:])
    entrants = Entrants(next(iter(models)), models, options)
    _check_options(suite, entrants)
    return entrants


def _free_label(label: str, name: str, taken: Collection[str], known: Collection[str] = ()) -> str:
    """`label`, where it is taken a longer one: files may have classes of one name, or of the name of a model of ours.

    `known`: the models named before; a file is called by its name where theirs have others.
    """
    longer = (f"{name} ({number})" for number in itertools.count(2))
    short = [Path(name).name] if all(Path(name).name != Path(one).name for one in known) else []
    return next(one for one in itertools.chain((label, *short, name), longer) if one not in taken)


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
    """The command as the page says it: files by their path from here, or by their name where they lie elsewhere."""

    def short(model: str) -> str:
        if not is_file(model):
            return model
        path = os.path.relpath(model)
        return f"./{Path(model).name if path.startswith(os.pardir) else path}"

    flags = [f"--{name}" for name in ("quick", "full") if getattr(options, name)]
    flags += ["--against", ",".join(map(short, options.against.split(",")))] if options.against else []
    flags += ["--winners", Path(options.winners).name] if options.winners else []
    return shlex.join(["rnnbench", "card", short(options.cell), *entrants.options, *flags])
