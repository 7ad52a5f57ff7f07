"""What a search varies: rules that hold for every model alike, checked against the options of each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config.schema import CONF, choice_names, find_option, load_yaml, option_keys
from ..config.settings import Value
from ..options import BadOption, takes_fractions, unknown
from ..store.record import Config

if TYPE_CHECKING:
    from optuna.trial import Trial

EDGE = 0.05  # of a range, from an end


@dataclass(frozen=True)
class Dimension:
    """One option and the values that it may take: from `low` to `high`, whole ones only or any, or one of `choices`."""

    key: str
    low: float = 0
    high: float = 0
    log: bool = False
    choices: tuple[Any, ...] = ()
    whole: bool = False

    def suggest(self, trial: Trial) -> Value:
        """The value of an Optuna trial."""
        if self.choices:
            chosen: Value = trial.suggest_categorical(self.key, self.choices)
            return chosen
        if self.whole:
            return trial.suggest_int(self.key, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(self.key, self.low, self.high, log=self.log)

    def at(self, share: float) -> Value:
        """The value at a share, from 0 up to 1, of the way from one end to the other, or through the choices."""
        if self.choices:
            chosen: Value = self.choices[int(share * len(self.choices))]
            return chosen
        if self.log:
            value = math.exp(math.log(self.low) + share * (math.log(self.high) - math.log(self.low)))
        else:
            value = self.low + share * (self.high - self.low)
        return round(value) if self.whole else float(f"{value:.4g}")

    def edge(self, value: Any) -> str:
        """The end that `value` is at, in words; nothing where it is inside, or where the values have no order."""
        if self.choices:
            if len(self.choices) < 3 or not all(type(choice) in (int, float) for choice in self.choices):
                return ""
            return {min(self.choices): "lowest", max(self.choices): "highest"}.get(value, "")
        scale = math.log if self.log else float
        place = (scale(value) - scale(self.low)) / (scale(self.high) - scale(self.low))
        return "lower end" if place <= EDGE else "upper end" if place >= 1 - EDGE else ""


def load_space(name: str) -> Config:
    """The rules in conf/search/<name>.yaml, or in the file `name`; BadOption where they are none."""
    path = CONF / "search" / f"{name}.yaml"
    if not path.exists():
        path = Path(name)
    if not path.is_file():
        raise unknown("space", name, choice_names("search"))
    return load_yaml(path)


def search_dimensions(rules: Config, chosen: Sequence[Mapping[str, str]]) -> list[Dimension]:
    """`rules` for each of `chosen` ({"task": ..., "model": ...}); BadOption where one of them cannot take all the values."""
    if not rules:
        raise BadOption("the space is empty: `train.learning_rate: {low: 1.0e-4, high: 1.0e-1, log: true}`, say")
    found = []
    for dimension in [_dimension(key, rule) for key, rule in rules.items()]:
        fractions = True
        for choice in chosen:
            option = find_option(dimension.key, choice)
            if option is None or "." not in dimension.key:
                known = [key for key in option_keys(choice) if "." in key]
                raise BadOption(
                    f"model={choice['model']}: {unknown('option', dimension.key, known)}; every model has one space"
                )
            for value in dimension.choices or (dimension.low, dimension.high):
                option.check(value, dimension.key)
            fractions = fractions and takes_fractions(option.annotation)
        found.append(replace(dimension, whole=not fractions and type(dimension.low) is type(dimension.high) is int))
    return found


def _dimension(key: str, rule: Any) -> Dimension:
    said = f"{key}: {rule}: a space is {{low: 0.1, high: 1, log: true}}, or a list of values"
    if isinstance(rule, list) and rule and all(isinstance(item, str | int | float | None) for item in rule):
        return Dimension(key, choices=tuple(rule))
    if not isinstance(rule, dict) or not {"low", "high"} <= set(rule) <= {"low", "high", "log"}:
        raise BadOption(said)
    low, high, log = rule["low"], rule["high"], rule.get("log", False)
    if (
        not all(type(end) in (int, float) for end in (low, high))
        or not low < high
        or type(log) is not bool
        or (log and low <= 0)
    ):
        raise BadOption(f"{said}; low < high, and above 0 where log")
    return Dimension(key, low, high, log)
