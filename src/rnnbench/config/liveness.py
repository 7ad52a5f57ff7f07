"""Which options have an effect beside the others: `train.momentum` has none with adam.

What an option needs stands in its signature (options.Needs). An option without effect is no part of a run's id, a single run
that names one is refused, and a sweep leaves it out.
"""

from __future__ import annotations

from ..options import Needs, Option, plain_text
from ..store.record import Config
from .schema import HASHED, NAMING, UNNAMED, group_options, read_signature, task_reference

TASKS = {  # class attributes of tasks in words
    "task.carries": "whose rows go on from batch to batch",
    "task.generates": "that writes",
    "task.answers": "that writes",
    "task.structure": "that answers once a row",
}


class Liveness:
    """The options of plain settings, as config.yaml and records hold them, and which of them have an effect."""

    def __init__(self, config: Config):
        self._config = config
        self._options: dict[str, dict[str, Option]] = {}
        for group in dict.fromkeys((*HASHED, *UNNAMED)):
            own = config.get(group) or {}
            self._options[group] = group_options(group, {key: own[key] for key in NAMING.get(group, ()) if key in own})

    def effectless(self) -> dict[str, Needs]:
        """What differs from its default and has no effect, by dotted name, with what it would need."""
        return {
            f"{group}.{name}": lacking
            for group, options in self._options.items()
            for name, option in options.items()
            if name in (own := self._config.get(group) or {}) and own[name] != plain_default(option)
            if (lacking := self.lacking(group, name))
        }

    def draws(self) -> bool:
        """Whether training draws numbers besides its batches: dropout and noise of any kind, a writer fed its own symbols."""
        chances = [
            self._value(group, name)
            for group in ("model", "network")
            for name in self._options[group]
            if name.endswith(("dropout", "zoneout"))
        ]
        noise = self._value("train", "weight_noise")
        return bool(noise) or any(chances) or any(self._value("train", name) != 1 for name in ("forcing", "forcing_end"))

    def default(self, group: str, name: str) -> object:
        return plain_default(self._options[group][name])

    def values(self, group: str) -> dict[str, object]:
        """The options of a group that have an effect; what is absent is as by default."""
        own = self._config.get(group) or {}
        known = self._options[group].items()
        return {name: own.get(name, plain_default(option)) for name, option in known if not self.lacking(group, name)}

    def is_idle(self, group: str, name: str) -> bool:
        """Whether the option is known here and has no effect."""
        return name in self._options.get(group, ()) and self.lacking(group, name) is not None

    def lacking(self, group: str, name: str) -> Needs | None:
        """The first need of an option that is not met; None where it has an effect."""
        for needs in self._options[group][name].needs:
            if not any(self._value(*self._place(group, other)) in needs for other in needs.options):
                return needs
        return None

    def said(self, group: str, needs: Needs) -> str:
        """`model.layers of at least 2; got model.layers=1`."""
        places = [self._place(group, name) for name in needs.options]
        if kinds := [TASKS[".".join(place)] for place in places if ".".join(place) in TASKS]:
            return f"a task {' or '.join(dict.fromkeys(kinds))}, and task={self._config['task']['name']} is none"
        full = Needs(*(".".join(place) for place in places), values=needs.values, besides=needs.besides, least=needs.least)
        present = (f"{'.'.join(place)}={plain_text(self._value(*place))}" for place in places)
        return f"{full}; got {' and '.join(present)}"

    def _place(self, group: str, name: str) -> tuple[str, str]:
        first, dot, rest = name.partition(".")
        return (first, rest) if dot else (group, name)

    def _value(self, group: str, name: str) -> object:
        """What counts: the default where the option itself has no effect; of a task also its class attributes."""
        option = self._options[group].get(name)
        if option is None:
            return read_signature("task", task_reference(self._config["task"])).constants.get(name)
        return plain_default(option) if self.lacking(group, name) else (self._config.get(group) or {}).get(name, option.default)


def plain_default(option: Option) -> object:
    """The default as YAML holds it."""
    return list(option.default) if isinstance(option.default, tuple) else option.default
