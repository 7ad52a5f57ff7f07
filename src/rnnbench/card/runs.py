"""The runs of a card: command lines of one sweep, and their records, found by the runs' ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..analysis.heatmaps import logged_gradients
from ..config.compose import compose_jobs
from ..config.schema import choice_settings, every_choice, mechanism_reference, plugin_facts, read_signature
from ..config.winners import UNDER, Winner, Winners, changed_settings, find_winner, found_under, option_word, options_of
from ..launch.prepare import survey_jobs
from ..launch.resume import words_of_runs
from ..options import BadOption, unknown
from ..plugins.classes import PluginFacts
from ..plugins.references import is_file
from ..store.log import LogRow
from ..store.record import Record, digest
from ..store.run_folder import RunFolder
from ..tracking.layout import gradient_horizon
from .fading import fading_of, mean_fading
from .suite import Suite

SEEDS = 2**32 - 1  # of test rows: 1 to this
KEPT_REACH = "gradient_reach"  # in the measures of a committed record


@dataclass(frozen=True)
class Entrants:
    """The cell and its opponents: labels, and what stands after `model=`."""

    cell: str
    models: Mapping[str, str]  # the cell among them, first
    options: tuple[str, ...] = ()  # of the cell: words `model.x=1`

    @property
    def opponents(self) -> list[str]:
        return [name for name in self.models if name != self.cell]

    @property
    def file(self) -> str:
        """The name of the cell's file; empty for one of ours."""
        reference = self.models[self.cell]
        return Path(reference.rpartition(":")[0]).name if is_file(reference) else ""

    def named(self, label: str) -> tuple[str, ...]:
        """What stands after `model=`, and the words of its options."""
        return self.models[label], *(self.options if label == self.cell else ())

    def facts(self, label: str) -> PluginFacts | None:
        """What is known of the class of a model that is not ours."""
        return plugin_facts("mechanism", mechanism_reference(self.settings(label)))

    def settings(self, label: str) -> Mapping[str, Any]:
        """The settings of a model; those of its options that are not given are the defaults."""
        reference, *options = self.named(label)
        if not options:
            return choice_settings("model", reference)
        (job,) = compose_jobs(["task=adding", f"model={reference}", *options], sweep=False, declared=True)
        return dict(job.plain()["model"])


@dataclass(frozen=True)
class EqualWidth:
    """The width of the cell at which it equals an opponent on a task: in the size of its state, or in its time a step."""

    task: str
    opponent: str
    equal: Literal["state", "time"]
    width: int
    ratio: float  # of the cell to the opponent
    met: bool  # whether it is 1 within the suite's budget.tolerance; else the cell is not compared


@dataclass(frozen=True)
class Line:
    """One run: the task of the suite, the model's label, and the words of the command line."""

    task: str
    model: str
    words: tuple[str, ...]
    equal: EqualWidth | None = None  # of a run of the cell at another width than that of equal parameters


def source_digest(entrants: Entrants, label: str) -> str:
    """A digest that changes with the source of a model of others, with the version of one of ours, and with its options.

    It does not change with the folder of a model's file.
    """
    settings, facts = entrants.settings(label), entrants.facts(label)
    _, *options = entrants.named(label)
    if facts:
        return digest([facts.code, sorted(options)]) if options else facts.code
    return digest([settings, read_signature("mechanism", mechanism_reference(settings)).constants["version"]])


def own_test_seed(suite: Suite, entrants: Entrants) -> int:
    """Of the cell's test rows: by its source and the suite's version, so that they change whenever its source does."""
    return 1 + int(digest([suite.version, source_digest(entrants, entrants.cell)])[:12], 16) % SEEDS


def setting_words(suite: Suite, task: str, entrants: Entrants, model: str, winners: Winners | None) -> list[str]:
    """The words of one task and model of the card, without seed: the suite's, the winner's, and the cell's own test rows.

    Without a winner of the task and model, the suite's own setting stands.
    """
    words = suite.setting(task, *entrants.named(model))
    if winners and (winner := _winner(suite, task, entrants, model, winners)):
        words += [option_word(key, value) for key, value in options_of(winner).items()]
    if model == entrants.cell and suite.tasks[task].draws:
        words.append(f"test_seed={own_test_seed(suite, entrants)}")
    return words


def _winner(suite: Suite, task: str, entrants: Entrants, model: str, winners: Winners) -> Winner | None:
    """A search names a class in a file by its path, and a card by its label, too."""
    models = winners.get(task, winners.get(suite.tasks[task].reference, {}))
    return models.get(model, models.get(entrants.models[model]))


def check_winners(suite: Suite, entrants: Entrants, winners: Winners) -> list[str]:
    """BadOption where a winner was found under settings that are not those of the suite; says of which that is not known."""
    elsewhere = []
    named = [*suite.tasks, *(task.reference for task in suite.tasks.values()), *every_choice("task")]
    if strange := [task for task in winners if task not in named and not is_file(task)]:
        raise BadOption(f"winners: {unknown('task', strange[0], named)}")
    for task in suite.here:
        for model in entrants.models:
            winner = _winner(suite, task, entrants, model, winners)
            if winner is None:
                key = task if task in winners else suite.tasks[task].reference
                winner = find_winner(winners, key, entrants.models[model])  # says which is missing
            if found := changed_settings(winner, setting_words(suite, task, entrants, model, winners)):
                how = f"{suite.version}{', as --full does' if suite.tuning else ''}"
                raise BadOption(f"winners: that of {task} and {model} {found_under(found)}; search under the settings of {how}")
            if UNDER not in winner:
                elsewhere.append(f"{task} and {model}")
    return elsewhere


def card_lines(suite: Suite, entrants: Entrants, winners: Winners | None) -> list[Line]:
    """Every run of the card whose test rows are read, those of one seed of all models side by side."""
    lines = []
    for task in suite.here:
        for model in entrants.models:
            words = setting_words(suite, task, entrants, model, winners)
            seeds = suite.seeds if model == entrants.cell else suite.opponent_seeds
            lines += [Line(task, model, (*words, f"seed={seed}")) for seed in range(seeds)]
    return lines


def besides_lines(suite: Suite, entrants: Entrants, winners: Winners | None, widths: Iterable[EqualWidth]) -> list[Line]:
    """Every run of the cell at equal state and at equal time: at that width, else as at equal parameters."""
    lines = []
    for one in widths:
        words = setting_words(suite, one.task, entrants, entrants.cell, winners)
        words = [*(word for word in words if not word.startswith("budget.")), f"model.hidden_size={one.width}"]
        if one.met:
            lines += [Line(one.task, entrants.cell, (*words, f"seed={seed}"), one) for seed in range(suite.seeds)]
    return lines


@dataclass(frozen=True)
class CardRun:
    """A run of the card: its record, or None, and its folder, where a committed record has none."""

    line: Line
    record: Record | None
    folder: RunFolder | None


def find_card_runs(lines: Sequence[Line], committed: Mapping[str, Record], launching: Iterable[str]) -> list[CardRun]:
    """The run of each line: the committed one where there is one, else that of its folder, recorded or not.

    A run's id holds the versions of task, model, network and training, and the fingerprint of the data: where one of them is
    another here, a committed record is of another run.
    """
    own = words_of_runs(launching)
    jobs = [compose_jobs([*line.words, *own], sweep=False, declared=True)[0] for line in lines]
    found = []
    for line, survey in zip(lines, survey_jobs(jobs), strict=True):
        if survey.id in committed:
            found.append(CardRun(line, committed[survey.id], None))
        else:
            folder = RunFolder(Path(survey.folder))
            found.append(CardRun(line, folder.record(), folder))
    return found


def reach_after_training(runs: Iterable[CardRun]) -> dict[str, dict[str, list[int]]]:
    """By task and model how many steps back the gradient reaches in the last row of each run's log that says so."""
    found: dict[str, dict[str, list[int]]] = {}
    for run in runs:
        of_model = found.setdefault(run.line.task, {}).setdefault(run.line.model, [])
        if (reached := reach_of(run)) is not None:
            of_model.append(reached)
    return found


def fading_after_training(runs: Iterable[CardRun]) -> dict[str, tuple[float, ...]]:
    """By task the gradient 0, 1, 2 ... steps before the last, as a share of that at the last: the geometric mean over runs.

    From the last row of each run's log that has it; of the runs that come with the program there is none.
    """
    found: dict[str, list[tuple[float, ...]]] = {}
    for run in runs:
        rows = list(run.folder.metrics()) if run.folder else []
        if fading := next((one for row in reversed(rows) if (one := fading_of(_norms(row)))), ()):
            found.setdefault(run.line.task, []).append(fading)
    return {task: mean_fading(several) for task, several in found.items()}


def _norms(row: LogRow) -> list[list[float]]:
    """The gradient through time in a row of a log, of each state."""
    return [norms for ((_, norms),) in logged_gradients([row]).values()]


def reach_of(run: CardRun) -> int | None:
    """How many steps back the gradient reaches in the last row of a run's log that says so, or as a committed record says."""
    if run.folder is None:
        kept = run.record.get("measures", {}).get(KEPT_REACH) if run.record else None
        return None if kept is None else int(kept)
    reached = [steps for row in run.folder.metrics() if (steps := gradient_horizon(row)) is not None]
    return reached[-1] if reached else None
