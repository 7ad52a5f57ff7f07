"""Overrides of the command line: parsed by Hydra's grammar, split into the jobs of a sweep, and checked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override
from hydra.errors import HydraException
from omegaconf import OmegaConf

from ..options import BadOption, unknown
from .checks import CODE, PLAIN
from .schema import CHOICES, LAUNCHERS, choice_names, group_options, launcher_keys, option_keys

# Parts of Hydra's own settings that a command line may change, and values that may not stand anywhere.
HYDRA_KEYS = re.compile(r"hydra\.(run\.dir|sweep\.(dir|subdir)|verbose|job\.(name|num)|launcher\..*|mode)")
HYDRA_GROUPS = ("hydra/launcher",)


def check_override(override: Override, job: Sequence[Override], own_files: bool) -> None:
    """Refuses what names code, and what is no option; says which is near."""
    line, key = override.input_line or "", override.key_or_group
    if CODE.search(line) or "${" in PLAIN.sub("", line):
        raise BadOption(f"{line}: settings are words and numbers; code and resolvers are not allowed")
    if "@" in key or override.package:
        raise BadOption(f"{line}: a choice stands in its own group; packages (@) are not allowed")
    if key.startswith("hydra"):
        if not HYDRA_KEYS.fullmatch(key) and key not in HYDRA_GROUPS:
            raise BadOption(
                f"{line}: of Hydra's own settings these can be changed: hydra.run.dir, hydra.sweep.dir, "
                "hydra.launcher.*, hydra.verbose, hydra/launcher"
            )
        if key == "hydra/launcher" and not own_files and str(override.value()) not in (allowed := [*LAUNCHERS, "basic"]):
            raise unknown("launcher", str(override.value()), allowed)
        if key.startswith("hydra.launcher."):
            chosen = str(next((o.value() for o in reversed(job) if o.key_or_group == "hydra/launcher"), "processes"))
            known = launcher_keys(chosen)
            if key not in known:
                raise unknown("option", key, known)
            if chosen == "processes":
                group_options("launcher", {})[key.removeprefix("hydra.launcher.")].check(override.value(), key)
        return
    if own_files:
        return  # names may come from the user's files; what they make is checked when composed
    if key in CHOICES:
        value = override.value()
        if value is None or value == "":
            raise BadOption(f"missing value: {key}=...; there are: {', '.join(choice_names(key))}")
        if value not in choice_names(key):
            raise unknown(key, str(value), choice_names(key))
        return
    known = option_keys({o.key_or_group: o.value() for o in job if o.key_or_group in CHOICES})
    if key not in known:
        group = key.partition(".")[0] + "."
        near = [name for name in known if name.startswith(group)]
        raise unknown("option", key, near or {name.partition(".")[0] + ".*" * ("." in name) for name in known})
    if line.endswith("="):
        raise BadOption(f"missing value: {key}")


def parse_overrides(overrides: Sequence[str]) -> list[Override]:
    parser, found = OverridesParser.create(), []
    for line in overrides:
        try:
            found += parser.parse_overrides([line])
        except HydraException as error:
            if line.startswith("-"):
                raise BadOption(str(error).splitlines()[0]) from None
            if "=" not in line:
                raise BadOption(f"{line!r}: OPTION=VALUE is allowed, such as task=adding or train.steps=500") from None
            raise BadOption(f"{line}: cannot be read; a value with spaces or signs stands in quotes: \"KEY='VALUE'\"") from None
    return found


def split_sweep(overrides: Sequence[str], sweep: bool) -> Iterator[list[str]]:
    """The overrides of each job of a sweep, by Hydra's own rules."""
    parsed = parse_overrides(overrides)
    if not sweep:
        for override in parsed:
            if override.is_sweep_override():
                raise BadOption(f"{override.input_line}: several values make a sweep; add -m")
        yield list(overrides)
        return
    for override in parsed:
        if isinstance(override._value, Glob):
            raise BadOption(
                f"{override.input_line}: name the values; there are: {', '.join(choice_names(override.key_or_group))}"
            )
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    for batch in BasicSweeper.split_arguments(parsed, max_batch_size=None):
        yield from (list(job) for job in batch)


def with_overrides(settings: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """`settings` with the values that `overrides` give to some of them."""
    cfg = OmegaConf.create(dict(settings))
    for override in parse_overrides(overrides):
        line = override.input_line or ""
        if override.is_sweep_override() or CODE.search(line) or "$" in line:
            raise BadOption(f"{line}: one value, a word or a number")
        OmegaConf.update(cfg, override.key_or_group, override.value(), force_add=True)
    found = OmegaConf.to_container(cfg)
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}


def sweep_overrides(overrides: Sequence[str]) -> list[str]:
    """The overrides of a sweep as Hydra must be told them.

    It applies single values also to the settings from which the sweep starts, where no task and no model is chosen yet and
    so none of their options is known: `++` sets them there too.
    """
    return [
        line
        if override.is_sweep_override() or line.startswith("+") or override.key_or_group in (*CHOICES, *HYDRA_GROUPS)
        else f"++{line}"
        for line, override in zip(overrides, parse_overrides(overrides), strict=True)
    ]
