"""Puts our settings into Hydra's ConfigStore."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult

from ..plugins.references import is_file
from ..store.record import digest
from .schema import (
    LAUNCHERS,
    SWEEPER,
    UNNAMED,
    all_choices,
    base_file,
    choice_settings,
    default_settings,
    file_departures,
    is_plugin,
    load_yaml,
)


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
        _store_choice(group, name, whole)
    register_launchers()
    store.store(name="checked", group="hydra/sweeper", node={"_target_": SWEEPER})
    base = {**base_file(), **{group: default_settings(group, {}) for group in UNNAMED}}
    store.store(name="config", node=base, provider="rnnbench")


def stored_choice(line: str) -> str:
    """`line`, an override; of choices that are not ours Hydra then knows the whole settings, of a file under another name."""
    group, _, names = line.partition("=")
    if group not in ("task", "model", "tracker"):
        return line
    return f"{group}={','.join(_stored_name(group, name.strip()) for name in names.split(','))}"


def _stored_name(group: str, name: str) -> str:
    if not is_plugin(group, name.strip("'\"")):
        return name
    name = name.strip("'\"")
    settings = choice_settings(group, name)
    if is_file(name):
        part = settings["task"] if group == "task" else settings
        name = f"{part['name']}-{digest(part['class'])[:8]}"
    _store_choice(group, name, settings)
    return name


def _store_choice(group: str, name: str, settings: dict[str, Any]) -> None:
    package = "_global_" if group == "task" else group
    ConfigStore.instance().store(name=name, group=group, node=settings, package=package, provider="rnnbench")


def register_launchers() -> None:
    """Puts our settings of launchers in the place of those that the plugins bring along."""
    for name, target in LAUNCHERS.items():
        own = default_settings("launcher", {}) if name == "processes" else {}
        node = {"_target_": target, **own, **file_departures("hydra/launcher", name)}
        ConfigStore.instance().store(name=name, group="hydra/launcher", node=node)
