"""Puts our settings into Hydra's ConfigStore."""

from __future__ import annotations

import functools

from hydra.core.config_store import ConfigStore

from .schema import LAUNCHERS, SWEEPER, UNNAMED, all_choices, base_file, default_settings, file_departures


@functools.cache
def register_config() -> None:
    """Puts the whole schema into Hydra's ConfigStore; every command that composes calls it first."""
    store = ConfigStore.instance()
    for (group, name), whole in all_choices().items():
        store.store(name=name, group=group, node=whole, package="_global_" if group == "task" else group, provider="rnnbench")
    register_launchers()
    store.store(name="checked", group="hydra/sweeper", node={"_target_": SWEEPER})
    base = {**base_file(), **{group: default_settings(group, {}) for group in UNNAMED}}
    store.store(name="config", node=base, provider="rnnbench")


def register_launchers() -> None:
    """Puts our settings of launchers in the place of those that the plugins bring along."""
    for name, target in LAUNCHERS.items():
        own = default_settings("launcher", {}) if name == "processes" else {}
        node = {"_target_": target, **own, **file_departures("hydra/launcher", name)}
        ConfigStore.instance().store(name=name, group="hydra/launcher", node=node)
