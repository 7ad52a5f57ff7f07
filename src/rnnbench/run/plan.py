"""A run before it starts: its task, its network, its width, its id and folder."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from rnnbench.data.tables import DataError
from rnnbench.tasks import load, unlooked
from rnnbench.tasks.task import Batch, Generated, Task, Tokens

from ..config.budget import Counter, UnmetBudget, needed_tolerance, parse_count, shared_budgets, solve_width
from ..config.checks import check_rtrl_width, with_model
from ..config.liveness import plain_default
from ..config.notes import setting_notes
from ..config.schema import choice_settings, read_signature
from ..config.settings import Settings
from ..models.registry import mechanism_class
from ..models.stack import Stack
from ..networks.build_network import build_network
from ..networks.shapes import made_for_size
from ..networks.trainable import TrainableNetwork
from ..options import BadOption, shortened
from ..store.record import digest
from ..tracking.tracker import Run
from .memory import bounded_memory, check_batch
from .plugin_checks import named_errors, try_cell, try_task
from .predictions import check_predicts
from .recorded import Identities, RunIdentity, all_but_seed
from .survey import Survey
from .tracked_run import run_of


def make_task(settings: Settings) -> Task:
    """The task that the settings name; ValueError or OSError where it cannot be."""
    task = load(settings.task.reference, **settings.task.options)
    if settings.test_seed:
        if not draws_test(task):
            said = f"the test rows of task={settings.task.name} are fixed, as it does not draw them"
            raise BadOption(f"test_seed={settings.test_seed}: {said}; allowed: test_seed=0")
        task.dataset.test_seed = settings.test_seed
    return task


def draws_test(task: Task) -> bool:
    """Whether the test rows are drawn, so that test_seed has others drawn."""
    return type(task).batch is Task.batch and hasattr(task, "sequences") and isinstance(task.dataset, Generated)


def make_kept_task(settings: Settings) -> Task:
    """The same for a run whose data, and vectors of words, may be gone."""
    options = {name: value for name, value in settings.task.options.items() if name != "vectors"}
    return unlooked(settings.task.reference, **options)


def make_network(settings: Settings, task: Task) -> TrainableNetwork:
    """The network that the settings describe, its weights drawn from torch's generator."""
    options, stack = settings.model.options, settings.stack
    mechanism, given = mechanism_class(settings.model.reference), _departing(options, settings.model.reference)

    def build_core(input_size: int) -> Stack:
        return Stack(lambda size: mechanism(size, **given), input_size, **stack)

    writer = settings.network.writer or settings.model.reference
    writing, known = mechanism_class(writer), read_signature("mechanism", writer).options

    def build_writer(input_size: int) -> Stack:
        shared = _departing({key: value for key, value in options.items() if key in known}, writer)
        one_way = {**stack, "bidirectional": False, "two_forward": False, "tied_directions": False}
        return Stack(lambda size: writing(size, **shared), input_size, **one_way)

    network = build_network(task, build_core, build_writer, settings.network)
    return network.double() if settings.train.precision == "64" else network


def _departing(options: Mapping[str, Any], mechanism: str) -> dict[str, Any]:
    """The options that are not as by default: a constructor may hand on to another's what it sets itself."""
    known = read_signature("mechanism", mechanism).options
    return {key: value for key, value in options.items() if value != plain_default(known[key])}


def new_network(settings: Settings, task: Task) -> tuple[TrainableNetwork, dict[str, int] | None]:
    """(the network that training begins with, of its embedding: the symbols, and those that have a pretrained vector)."""
    torch.manual_seed(settings.seed)
    network = make_network(settings, task)
    pretrained = task.pretrained(settings.network.embedding)
    if pretrained is None:
        return network, None
    vectors, found = map(torch.tensor, pretrained)
    network.codec.begin_with(vectors, found)
    return network, {"symbols": len(found), "found": int(found.sum())}


def within_budget(settings: Settings, task: Task) -> Settings:
    """`settings` with the width that its budget asks for; as they are where there is no budget."""
    budget = settings.budget
    if not budget.is_set:
        return settings
    if budget.match:
        matched = with_model(settings, choice_settings("model", budget.match))
        target = parameter_counter(matched, task)(budget.width)
    else:
        target = parse_count(budget.params)
    met = settings.with_width(solve_width(parameter_counter(settings, task), target, settings.setting, budget.tolerance))
    check_rtrl_width(met)
    return met


def parameter_counter(settings: Settings, task: Task) -> Callable[[int], int]:
    """A function of the width that counts the network's parameters as the budget counts them; none is given numbers."""

    def count(width: int) -> int:
        network = made_for_size(lambda: make_network(settings.with_width(width), task))
        embeddings = (m.weight for m in network.modules() if isinstance(m, torch.nn.Embedding))
        tables = set() if settings.budget.embeddings else set(map(id, embeddings))
        return sum(p.numel() for p in network.parameters() if id(p) not in tables)

    return count


def check_network(settings: Settings, task: Task) -> None:
    """ValueError where options of the network exclude each other, or a user's own cell does not do what a cell must."""
    made_for_size(lambda: make_network(settings, task))
    options = _departing(settings.model.options, settings.model.reference)
    try_cell(settings, lambda size: mechanism_class(settings.model.reference)(size, **options))


def check_classes(task: Task) -> None:
    """BadOption where a task names its classes, and these are not as many names as its targets have classes."""
    names, targets = list(task.class_names()), task.targets
    fits = isinstance(targets, Tokens) and len(names) == targets.size and all(isinstance(name, str) for name in names)
    if names and not fits:
        raise BadOption(
            f"task {type(task).__name__} has {len(names)} `classes`: {shortened(str(names))}, and its targets are {targets}; "
            "expected: a text for each class of Tokens(size), or none"
        )


def check_accelerator(settings: Settings) -> None:
    """BadOption where a GPU is asked for and there is none."""
    if settings.trainer.accelerator == "gpu" and not torch.cuda.is_available():
        raise BadOption("trainer.accelerator=gpu: PyTorch finds no GPU on this machine; allowed here: cpu")


def check_kept(settings: Settings, task: Task) -> None:
    """BadOption where predictions are to be kept, and there are none."""
    if settings.keep_predictions:
        check_predicts(task, f"keep_predictions=true: task={settings.task.name}")
        if not settings.test:
            raise BadOption("keep_predictions=true with test=false: predictions are of the test split; leave one of them out")


@dataclass(frozen=True)
class Plan(RunIdentity):
    """A run before it starts: its settings with the width solved, what makes it this run, and its task, prepared."""

    task: Task


def mirrored_run(planned: Plan) -> Run:
    """The run as its trackers see it."""
    settings = planned.settings
    facts = {"setting": planned.setting, "departures": settings.departures, "data": planned.task.fingerprint}
    return run_of(planned.folder, settings.plain(), planned.id, facts, settings.repeat)


def plan_run(settings: Settings, task: Task | None = None) -> Plan:
    """What `settings` ask for. ValueError where options exclude each other; it or OSError where the data cannot be had."""
    if task is None:
        task = make_task(settings)
        task.prepare()
    check_classes(task)
    check_kept(settings, task)
    settings = within_budget(settings, task)
    check_network(settings, task)
    found = Identities().of(settings, task.fingerprint)
    return Plan(found.settings, found.setting, found.id, task, name_in_0_1=found.name_in_0_1)


@dataclass(frozen=True)
class PreparedTask:
    """A task whose data are prepared, and a batch of one row."""

    task: Task
    row: Batch

    @property
    def length(self) -> int:
        """Steps of the row."""
        return self.row.inputs.shape[1]

    @property
    def row_bytes(self) -> int:
        return sum(part.nbytes for part in self.row if isinstance(part, torch.Tensor))


class Surveyor:
    """Surveys many runs: prepares each task once, makes each network once, and looks at the seeds of a setting once."""

    def __init__(self) -> None:
        self._prepared: dict[str, PreparedTask | DataError] = {}
        self._widths: dict[str, int] = {}
        self._surveyed: dict[str, tuple[Settings, PreparedTask, tuple[str, ...]]] = {}
        self._identities = Identities()

    def survey(self, settings: Settings) -> Survey:
        """The survey of one run. ValueError or OSError where something that it asks for cannot be had."""
        key = all_but_seed(settings)
        if key not in self._surveyed:
            self._surveyed[key] = self._look_at(settings)
        sized, prepared, notes = self._surveyed[key]
        run = self._identities.of(sized.with_seed(settings.seed), prepared.task.fingerprint)
        return Survey(str(run.folder.path), run.id, run.setting, prepared.length, run.earlier, notes)

    def _look_at(self, settings: Settings) -> tuple[Settings, PreparedTask, tuple[str, ...]]:
        """The settings with the width solved, their task, and what is odd about both."""
        check_accelerator(settings)
        with named_errors(settings):
            return self._checked(settings)

    def _checked(self, settings: Settings) -> tuple[Settings, PreparedTask, tuple[str, ...]]:
        """The same; an error of a user's own task or cell as it was raised."""
        prepared = self._task(settings)
        task = prepared.task
        check_classes(task)
        check_kept(settings, task)
        task.batches("train", settings.train.batch_size)  # may say that there are too few rows
        embedding = settings.network.embedding
        task.pretrained(embedding)
        reads_tokens = any(isinstance(stream, Tokens) for stream in (task.inputs, task.source))
        if embedding and not reads_tokens:
            raise ValueError(f"network.embedding={embedding}: task={settings.task.name} reads numbers, which have no embedding")
        sized = self._sized(settings, task)
        if not task.sha256:  # of other data one row says little of the others
            check_batch(sized, prepared.row_bytes, prepared.length)
        return sized, prepared, (*task.notes, *setting_notes(settings))

    def _task(self, settings: Settings) -> PreparedTask:
        key = digest([settings.task.reference, settings.task.options, settings.test_seed])
        if key not in self._prepared:
            self._prepared[key] = _prepared_task(settings)
        if isinstance(found := self._prepared[key], DataError):
            raise found
        return found

    def _sized(self, settings: Settings, task: Task) -> Settings:
        """`settings` with the width that their budget asks for, once a network could be made of them."""
        plain = settings.plain()
        parts = {part: plain[part] for part in ("task", "model", "network", "budget")}
        key = digest({**parts, "precision": settings.train.precision})
        if key not in self._widths:
            sized = within_budget(settings, task)
            check_network(sized, task)
            self._widths[key] = sized.model.options.get("hidden_size", 0)
        return settings.with_width(self._widths[key]) if settings.budget.is_set else settings

    def unmet(self, error: UnmetBudget, every: Sequence[Settings], asked: Settings) -> BadOption:
        """`error` of `asked`, with the nearest budgets that all of `every` that share its budget can meet."""
        counts: dict[str, Counter] = {}
        for settings in every:
            if settings.budget == asked.budget:
                plain = settings.plain()
                key = digest([plain[part] for part in ("task", "model", "network")])
                with contextlib.suppress(DataError):  # of a task whose data cannot be read nothing is counted
                    counts.setdefault(key, functools.cache(parameter_counter(settings, self._task(settings).task)))
        if len(counts) == 1:
            return error
        several, tolerance = list(counts.values()), asked.budget.tolerance
        met = " or ".join(f"budget.params={budget}" for budget in shared_budgets(several, error.wanted, tolerance))
        wider = f"budget.tolerance={needed_tolerance(several, error.wanted):g}"
        said = f"the nearest that all {len(several)} models and tasks of this command can meet: {met or 'none'}; or {wider}"
        return BadOption(f"{error.said}; {said}")


def _prepared_task(settings: Settings) -> PreparedTask | DataError:
    """The task of `settings`, prepared, or why its data cannot be had."""
    task = make_task(settings)
    try:
        task.prepare()
    except DataError as error:
        return error
    with contextlib.nullcontext() if task.sha256 else bounded_memory(settings):  # a set of data may be read whole
        prepared = PreparedTask(task, task.batch("train", 0, 1, 0))
        try_task(settings, task)
    return prepared


def survey_runs(every: Iterable[Settings]) -> list[Survey]:
    """The survey of each of `every`; ValueError or OSError where something that they ask for cannot be had."""
    found = []
    for survey in _surveys(every):
        if isinstance(survey, DataError):
            raise survey
        found.append(survey)
    return found


def survey_runs_at_hand(every: Iterable[Settings]) -> list[Survey | str]:
    """The same, with a line that says why in place of the survey where the data of a run cannot be had."""
    return [str(survey) if isinstance(survey, DataError) else survey for survey in _surveys(every)]


def _surveys(every: Iterable[Settings]) -> Iterator[Survey | DataError]:
    surveyor, every = Surveyor(), list(every)
    for settings in every:
        try:
            yield surveyor.survey(settings)
        except DataError as error:
            yield error
        except UnmetBudget as error:
            raise surveyor.unmet(error, every, settings) from None
