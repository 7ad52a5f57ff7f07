"""Callbacks of other packages, by name: entry points `rnnbench.callbacks`, classes derived from Lightning's `Callback`."""

from __future__ import annotations

from collections.abc import Sequence

from ..options import MISSING, BadOption, unknown
from .classes import read_plugin
from .references import Plugin, usable


def find_callback(name: str) -> Plugin:
    """The callback of an installed package that `trainer.callbacks` names; BadOption where there is none."""
    there = usable("callback", ())
    if name not in there:
        raise (
            unknown("callback", name, there)
            if there
            else BadOption(f"no callback {name!r}: no installed package has one; it needs an entry point `rnnbench.callbacks`")
        )
    return there[name]


def check_callbacks(names: Sequence[str]) -> None:
    """BadOption where one of `names` is no callback, stands twice, or is made with arguments, which none gives."""
    for number, name in enumerate(names):
        plugin = find_callback(name)
        if name in names[:number]:
            raise BadOption(f"trainer.callbacks has {name} twice; allowed: each once")
        needed = [option.name for option in read_plugin(plugin).signature.options.values() if option.default == MISSING]
        if needed:
            raise BadOption(f"{plugin.said} is made with {', '.join(needed)}; allowed: parameters with defaults only")


def callback_digests(names: Sequence[str]) -> dict[str, str]:
    """The digest of the code of each: what a callback does may change numbers."""
    return {f"callback {name}": read_plugin(find_callback(name)).code[:32] for name in names}
