"""What settings are called beside each other: their names, and the options in which they differ.

Pure functions of settings as records and config.yaml hold them: an option that is absent is as by default.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..config.labels import UNKNOWN, option_text, setting_label
from ..config.liveness import Liveness, plain_default
from ..config.schema import NAMING, file_departures, group_options
from ..groups import BudgetSettings
from ..store.record import Config, canonical

GROUPS = ("model", "network", "train")  # of the options in which settings of one task differ
OPTIONS = ("task", *GROUPS, "budget")  # that a table may have columns of
WIDTH = "model.hidden_size"
FEW = 3  # names that a line gives beside one value


@dataclass(frozen=True)
class Named:
    """A setting to be named: its options, those of them that its name stands for, and a word where its code is another.

    Options with a dot are those of all settings and are held against each other; others tell namesakes apart only.
    """

    name: str
    options: Mapping[str, Any]
    id: str  # its first digits stand at the end of a label where nothing else tells it apart
    usual: Mapping[str, Any]
    word: str = ""

    @cached_property
    def _texts(self) -> Mapping[str, str]:
        return {key: canonical(value) for key, value in self.options.items()}

    def told(self, key: str) -> str | None:
        """The value of an option as text; None where there is no such option."""
        return self._texts.get(key)

    def departs(self, key: str) -> bool:
        """Whether it has the option, and its name is known not to stand for the value."""
        return bool(self.usual) and key in self.options and self.options[key] != self.usual.get(key)


def all_options(config: Config, groups: Sequence[str] = GROUPS) -> dict[str, Any]:
    """Every option by its dotted name, with the defaults of those that are absent and without those that have no effect.

    Where the task or the model is not here, only what is said.
    """
    said = {
        f"{group}.{key}": value
        for group in groups
        for key, value in (config.get(group) or {}).items()
        if key not in NAMING.get(group, ())
    }
    try:
        liveness = Liveness(config)
    except UNKNOWN:
        return said
    known = {f"{group}.{name}": value for group in groups for name, value in liveness.values(group).items()}
    return {key: value for key, value in {**known, **said}.items() if key in known or not liveness.is_idle(*key.split(".", 1))}


def with_budget(options: Mapping[str, Any], config: Config) -> dict[str, Any]:
    """`options` with the parameter budget of `config` in place of the width, which follows from it on each task."""
    budget = {key: value for key, value in (config.get("budget") or {}).items() if key != "tolerance"}
    if not (budget.get("params") or budget.get("match")):
        return dict(options)
    usual = vars(BudgetSettings())
    named = {f"budget.{key}": value for key, value in budget.items() if value != usual[key]}
    return {key: value for key, value in options.items() if key != WIDTH} | named


def usual_options(config: Config) -> dict[str, Any]:
    """What the options of model, network and training are where only the model is named."""
    model = config["model"]
    found: dict[str, Any] = {}
    try:
        for group in GROUPS:
            known = group_options(group, {key: model[key] for key in NAMING["model"] if key in model})
            named = file_departures("model", model["name"]) if group == "model" else {}
            found |= {f"{group}.{name}": named.get(name, plain_default(option)) for name, option in known.items()}
    except UNKNOWN:
        return {}
    return found


def make_labels(settings: Sequence[Named]) -> list[str]:
    """A label for each setting: its name, and every option in which it differs from another of that name, defaults included.

    An option with a dot that tells settings of one name apart stands in the labels of all that have it. So does the width,
    where it differs at all.
    """
    return matching_labels([settings])[0]


def matching_labels(blocks: Sequence[Sequence[Named]]) -> list[list[str]]:
    """Labels by block, as `make_labels` has them: what tells settings apart in one block stands in the labels of all blocks."""
    apart = set().union(*map(_among_namesakes, blocks))
    shared = {key for _, key in apart if "." in key}
    if any(len({setting.told(WIDTH) for setting in settings} - {None}) > 1 for settings in blocks):
        shared.add(WIDTH)
    found = []
    for settings in blocks:
        labels = []
        for setting in settings:
            chosen = {
                key.removeprefix("model."): value
                for key, value in sorted(setting.options.items(), key=lambda item: item[0] != "train.learning_rate")
                if key in shared or (setting.name, key) in apart
            }
            labels.append(f"{setting_label(setting.name, chosen)} {setting.word}".strip())
        count = Counter(labels)
        found.append(
            [one if count[one] == 1 else f"{one} {each.id}".strip() for one, each in zip(labels, settings, strict=True)]
        )
    return found


def _among_namesakes(settings: Iterable[Named]) -> set[tuple[str, str]]:
    """(name, option) where the settings of that name have several values; one that has no such option is as usual."""
    by_name: dict[str, list[Named]] = {}
    for setting in settings:
        by_name.setdefault(setting.name, []).append(setting)
    found = set()
    for name, same in by_name.items():
        for key in dict.fromkeys(key for setting in same for key in setting.options) if len(same) > 1 else ():
            told = {setting.told(key) for setting in same}
            if None in told:
                told |= {canonical(setting.usual[key]) for setting in same if key in setting.usual}
                told -= {None} if any(key in setting.usual for setting in same) else set()
            if len(told) > 1:
                found.add((name, key))
    return found


def unequal_line(settings: Sequence[Named], labels: Sequence[str]) -> str:
    """`not equal: train.steps 100 (gru), 200 (lstm)`: what differs and stands in no label; empty where nothing does.

    What a model's name stands for is no such difference.
    """
    in_labels = {key for _, key in _among_namesakes(settings)} | {WIDTH}
    found = []
    for key in dict.fromkeys(key for setting in settings for key in setting.options if "." in key):
        told = {setting.told(key) for setting in settings}
        if key in in_labels or len(told) == 1 or not any(setting.departs(key) for setting in settings):
            continue
        by_value: dict[str, list[str]] = {}
        for setting, label in zip(settings, labels, strict=True):
            if key in setting.options:
                by_value.setdefault(option_text(setting.options[key]), []).append(label)
        found.append(f"{key} {', '.join(f'{value} ({_few(those)})' for value, those in by_value.items())}")
    return f"not equal: {'; '.join(found)}" if found else ""


def _few(labels: Sequence[str]) -> str:
    more = len(labels) - FEW
    return ", ".join(labels) if more <= 0 else f"{', '.join(labels[:FEW])} and {more} more"
