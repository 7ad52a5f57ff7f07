"""The suite of a card: conf/card/<name>.yaml, checked. What is run, and the one measure by which each task is judged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ..config.schema import CONF, read_signature
from ..options import BadOption, amount, unknown
from ..reproduction.declaration import DECLARABLE, read_declared
from ..reproduction.grid import GridPart, Number, Whole, Words

Measure = Literal["steps_to_solve", "solved", "score"]


class TaskSpec(GridPart):
    """A task of the suite. `needs`: the module of a package without which the task is left out."""

    title: str
    asks: str  # what a cell needs for it, in words
    words: Words
    measure: Measure
    needs: str = ""

    @model_validator(mode="after")
    def whole_score(self) -> TaskSpec:
        if self.measure == "score" and "train.stop_when_solved=false" not in self.words:
            raise ValueError(
                "measure: score needs train.stop_when_solved=false: a score where training stopped at solved is none"
            )
        return self

    @property
    def reference(self) -> str:
        """The word after `task=`."""
        return next((word.partition("=")[2] for word in self.words if word.startswith("task=")), "")

    @property
    def draws(self) -> bool:
        """Whether the task draws its test rows, so that those of the cell are its own."""
        return "sequences" in read_signature("task", self.reference).options

    @property
    def is_here(self) -> bool:
        return not self.needs or find_spec(self.needs) is not None


class Tuning(GridPart):
    """Equal tuning: so many points for every model, the first of them the suite's own, and so many seeds a point."""

    trials: Annotated[Whole, Field(ge=2, le=64)]
    seeds: Annotated[Whole, Field(ge=3, le=20)]
    space: dict[str, Any] = Field(min_length=1)


class Suite(GridPart):
    """A fixed set of tasks with its version."""

    version: Annotated[str, Field(pattern=r"^[a-z]+/[1-9]\d*$")]
    about: str
    screening: bool = False  # says only ahead, behind, not seen
    words: Words
    opponents: tuple[str, ...] = Field(min_length=1)
    seeds: Annotated[Whole, Field(ge=3, le=100)]
    opponent_seeds: Annotated[Whole, Field(ge=3, le=100)]
    level: Annotated[Number, Field(gt=0, lt=0.5)] = 0.05
    minutes: Annotated[Number, Field(gt=0)] | None = None  # on 2 cores that are free
    tasks: dict[str, TaskSpec] = Field(min_length=1)
    besides: tuple[str, ...] = ()  # tasks that are compared at equal state and at equal time a step, too
    tuning: Tuning | None = None

    @model_validator(mode="after")
    def declared(self) -> Suite:
        for word in (word for words in (self.words, *(task.words for task in self.tasks.values())) for word in words):
            if not word.startswith(DECLARABLE) or word.startswith("model="):
                raise ValueError(f"{word}: words of a suite are {', '.join(DECLARABLE)}, without model=")
        if lacking := [name for name, task in self.tasks.items() if not task.reference]:
            raise ValueError(f"tasks.{lacking[0]}: words: task= is missing")
        if others := [name for name in self.besides if name not in self.tasks]:
            raise ValueError(f"besides: {unknown('task', others[0], self.tasks)}")
        if not any(word.startswith("budget.") for word in self.words):
            raise ValueError("words: a budget is missing, budget.params=20k, say: models are compared at equal parameters")
        return self

    @model_validator(mode="after")
    def reachable(self) -> Suite:
        """An exact test of too few seeds has no p small enough for so many questions."""
        least = least_p(self.seeds, self.opponent_seeds)
        if least * self.most_asked * len(self.opponents) > self.level:
            raise ValueError(
                f"seeds: {self.seeds} and {self.opponent_seeds} reach p = {least:.2g} at best, too large for "
                f"{amount(len(self.tasks), 'task')} and {amount(len(self.opponents), 'opponent')}"
            )
        return self

    @property
    def most_asked(self) -> int:
        """Of one opponent, the questions of the larger family: of the tasks, or of those that are compared besides, twice."""
        return max(len(self.tasks), 2 * len(self.besides))

    @property
    def here(self) -> dict[str, TaskSpec]:
        """The tasks whose data are at hand."""
        return {name: task for name, task in self.tasks.items() if task.is_here}

    def setting(self, task: str, *model: str) -> list[str]:
        """The words of a task and model, without seed; `model` is what stands after `model=`, and words of its options."""
        return [*self.words, *self.tasks[task].words, f"model={model[0]}", *model[1:]]


def least_p(seeds: int, others: int) -> float:
    """The least p of a two-sided permutation test of two samples of these sizes: all other labels but two are less extreme."""
    return 2 / math.comb(seeds + others, seeds)


def load_suite(name: str) -> Suite:
    """The suite in conf/card/<name>.yaml; BadOption where it is not as declared here."""
    return read_suite(CONF / "card" / f"{name}.yaml")


def read_suite(path: Path) -> Suite:
    """The suite in a file; BadOption where it is not as declared here."""
    return read_declared(path, Suite)


def check_opponents(suite: Suite, opponents: Sequence[str]) -> None:
    """BadOption where so many opponents cannot be told from the cell with the seeds of the suite."""
    least = least_p(suite.seeds, suite.opponent_seeds)
    most = math.floor(suite.level / least / suite.most_asked)
    if len(opponents) > most:
        raise BadOption(
            f"--against names {amount(len(opponents), 'model')}; {suite.version} compares with {most} at most: with its "
            f"{suite.seeds} and {suite.opponent_seeds} seeds p could not become small enough with more"
        )
