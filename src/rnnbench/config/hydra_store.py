"""Puts our settings into Hydra's ConfigStore."""

from __future__ import annotations

import functools
from pathlib import Path

from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult

from .schema import LAUNCHERS, SWEEPER, UNNAMED, all_choices, base_file, default_settings, file_departures, load_yaml


class StrictFiles(FileConfigSource):
    """The files of --config-dir, each read by our rules before Hydra reads it: it would unfold aliases without end."""

    def load_config(self, config_path: str) -> ConfigResult:
        path = Path(self.path, self._normalize_file_name(config_path))
        if path.exists():
            load_yaml(path)
        return super().load_config(config_path)


def read_files_by(source: type[FileConfigSource]) -> None:
    """Has Hydra read the files of --config-dir by `source`."""
    SourcesRegistry.instance().types[source.scheme()] = source


def register_config() -> None:
    """Puts the whole schema into Hydra's ConfigStore; every command that composes calls it first."""
    Plugins.instance()  # registers Hydra's own reader of files
    read_files_by(StrictFiles)
    _fill_store()


@functools.cache
def _fill_store() -> None:
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
