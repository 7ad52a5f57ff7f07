"""The settings of a run, checked: what is trained, how, where, and how it is watched.

settings = resolve({"task": {"name": "adding"}, "model": {"name": "gru", "mechanism": "gru"}, "seed": 1})
settings.train.steps, settings.model.options["hidden_size"]     # typed groups; options of chosen classes by name
settings.departures, settings.identity("")                      # what differs from the defaults; what makes the run's id
settings.plain()                                                # as config.yaml and a record hold it
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..groups import BudgetSettings, NetworkSettings, TrainerSettings, TrainSettings
from ..options import BadOption
from ..store.record import Config
from .identity import departures, setting_identity

Value = str | int | float | bool | list[Any] | None
Options = Mapping[str, Any]  # checked values of the options of one signature
Plain = dict[str, Any]  # nested: strings, numbers, lists and dicts


@dataclass(frozen=True)
class Choice:
    """A class that was chosen by name, and the options of its constructor, in whose signature their defaults stand."""

    name: str
    options: Options
    file: str = ""  # with the class, `/home/me/my_cell.py:MGU`, where it is no installed package's

    @property
    def reference(self) -> str:
        """What the class is found by."""
        return self.file or self.name

    @property
    def naming(self) -> Options:
        """Where the class is, as plain settings hold it; nothing where the name says it."""
        return {"class": self.file} if self.file else {}


@dataclass(frozen=True)
class Settings:
    """All settings of one run."""

    task: Choice
    setting: str  # model.name: the file in conf/model, or the mechanism; its folder and label, no part of its id
    model: Choice  # the mechanism of one layer and direction
    stack: Options  # layers, directions and dropout around it
    network: NetworkSettings
    train: TrainSettings
    budget: BudgetSettings
    trainer: TrainerSettings
    tracker: Choice
    seed: int = 0
    runs: str = "runs"
    sweep: str | None = None
    experiment_name: str | None = None  # of the file that the settings were taken from; no part of a run's id
    accept_changes: bool = False
    again: bool = False
    repeat: int = 0
    keep_predictions: bool = False
    test: bool = True
    test_seed: int = 0

    @property
    def departures(self) -> dict[str, object]:
        """What differs from the defaults and changes numbers, by dotted name. A new option with a neutral default is none."""
        return departures(self.plain())

    def identity(self, data: str, as_in_0_1: bool = False, with_places: bool = False) -> Config:
        """All that determines a run's numbers but the seed, `data` being their fingerprint; its digest is the setting's id."""
        return setting_identity(self.plain(), data, as_in_0_1, with_places)

    def plain(self) -> Plain:
        """As nested dicts, from which `resolve` makes the same settings."""
        return {
            "task": {"name": self.task.name, **self.task.naming, **self.task.options},
            "model": {
                "name": self.setting,
                "mechanism": self.model.name,
                **self.model.naming,
                **self.stack,
                **self.model.options,
            },
            **{group: dict(vars(getattr(self, group))) for group in ("network", "train", "budget", "trainer")},
            "tracker": {"name": self.tracker.name, **self.tracker.options},
            "seed": self.seed,
            "runs": self.runs,
            "sweep": self.sweep,
            "experiment_name": self.experiment_name,
            "accept_changes": self.accept_changes,
            "again": self.again,
            "repeat": self.repeat,
            "keep_predictions": self.keep_predictions,
            "test": self.test,
            "test_seed": self.test_seed,
        }

    def with_width(self, hidden_size: int) -> Settings:
        """The same with another number of units. BadOption for a model without the option `hidden_size`."""
        if "hidden_size" not in self.model.options:
            raise BadOption(f"{self.setting}: a budget sets model.hidden_size, which this model does not have")
        return dataclasses.replace(
            self, model=dataclasses.replace(self.model, options={**self.model.options, "hidden_size": hidden_size})
        )

    def with_seed(self, seed: int) -> Settings:
        """The same with another seed."""
        return self if seed == self.seed else dataclasses.replace(self, seed=seed)
