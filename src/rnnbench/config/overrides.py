"""Overrides of the command line by Hydra's grammar: parsed, and split into the jobs of a sweep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override
from hydra.errors import HydraException
from omegaconf import OmegaConf

from ..options import BadOption
from ..store.record import Config
from .checks import CODE
from .plain_overrides import HYDRA_GROUPS, Word, plain_words
from .schema import CHOICES, choice_names


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


def hydra_words(lines: Sequence[str]) -> list[Word]:
    """The overrides of one job, as Hydra reads them."""
    return [
        Word(override.input_line or "", override.key_or_group, override.value(), override.package)
        for override in parse_overrides(lines)
    ]


def named_options(lines: Sequence[str]) -> set[str]:
    """The options and choices that overrides give a value to."""
    return {override.key_or_group for override in parse_overrides(lines)}


def split_sweep(overrides: Sequence[str], sweep: bool) -> Iterator[list[str]]:
    """The overrides of each job of a sweep, by Hydra's own rules."""
    if not sweep and plain_words(overrides) is not None:
        yield list(overrides)
        return
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


def with_overrides(settings: Config, overrides: Sequence[str]) -> dict[str, Any]:
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
