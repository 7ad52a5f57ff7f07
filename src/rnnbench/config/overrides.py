"""Overrides of the command line by Hydra's grammar: parsed, and split into the jobs of a sweep."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from itertools import accumulate, islice
from typing import TYPE_CHECKING, Any

from ..options import LARGEST, BadOption, shortened
from ..store.record import Config
from .checks import CODE
from .plain_overrides import HYDRA_GROUPS, KEY, LONGEST, Word, plain_words
from .schema import CHOICES, choice_names

if TYPE_CHECKING:
    from hydra.core.override_parser.overrides_parser import OverridesParser  # Hydra is imported where its grammar is needed
    from hydra.core.override_parser.types import Override

DIGITS = re.compile(rf"[0-9_.]{{{LONGEST},}}")
DEEPEST = 20  # brackets within brackets of an override
MOST_JOBS = 100_000  # of a sweep


def parse_overrides(overrides: Sequence[str]) -> list[Override]:
    """The overrides as Hydra's grammar reads them; BadOption for one that cannot be read, or that takes an option away.

    `~KEY`, which takes a key away in Hydra, is read as KEY=null: no option can be away. A value that the grammar has no form
    for, such as `~/x (1)#.txt`, is a text; the override's `input_line` then has it in quotes.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    parser, found = OverridesParser.create(), []
    for line in overrides:
        depths = accumulate((sign in "[{(") - (sign in ")}]") for sign in line)
        if max(depths, default=0) > DEEPEST:
            raise BadOption(f"{shortened(line)}: brackets {DEEPEST} deep at most; no option needs more than one")
        key, _, value = line.partition("=")
        if number := DIGITS.search(value):
            digits = sum(sign.isdigit() for sign in number[0])
            raise BadOption(f"{shortened(key)}: a number of {digits:,} digits; a whole number has at most {len(str(LARGEST))}")
        try:
            (override,) = _parsed(line, parser)
            if override.is_delete():
                key = override.key_or_group
                if "=" in line or "." not in key:
                    raise BadOption(f"{shortened(line)}: nothing can be taken away; OPTION=null unsets what may be null")
                (override,) = parser.parse_overrides([f"{key}=null"])
        except (HydraException, ValueError) as error:
            if isinstance(error, BadOption):
                raise
            if line.startswith("-"):
                raise BadOption(str(error).splitlines()[0]) from None
            if "=" not in line:
                shown = shortened(repr(line))
                raise BadOption(f"{shown}: OPTION=VALUE is allowed, such as task=adding or train.steps=500") from None
            raise BadOption(
                f"{shortened(line)}: cannot be read; a value with spaces or signs stands in quotes: \"KEY='VALUE'\""
            ) from None
        found.append(override)
    return found


def _parsed(line: str, parser: OverridesParser) -> list[Override]:
    """`line` by the grammar, or where that fails with its value, or each of several parted by commas, as a text.

    A value that begins with a quote or bracket was meant for the grammar, and fails.
    """
    from hydra.errors import HydraException

    try:
        return parser.parse_overrides([line])
    except HydraException:
        key, equals, value = line.partition("=")
        if not equals or not value or value[0] in "'\"[{" or not KEY.fullmatch(key.lstrip("+")):
            raise
        return parser.parse_overrides([f"{key}={','.join(map(quoted, value.split(',')))}"])


def hydra_words(lines: Sequence[str]) -> list[Word]:
    """The overrides of one job, as Hydra reads them."""
    return [
        Word(override.input_line or "", override.key_or_group, override.value(), override.package)
        for override in parse_overrides(lines)
    ]


def named_options(lines: Sequence[str]) -> set[str]:
    """The options and choices that overrides give a value to."""
    words = plain_words(lines)
    return {word.key for word in (hydra_words(lines) if words is None else words)}


def split_sweep(overrides: Sequence[str], sweep: bool) -> Iterator[list[str]]:
    """The overrides of each job of a sweep, by Hydra's own rules."""
    if not sweep and plain_words(overrides) is not None:
        yield list(overrides)
        return
    parsed = parse_overrides(overrides)
    if not sweep:
        for override in parsed:
            _refuse_interval(override)
            if override.is_sweep_override():
                line = override.input_line or ""
                key, _, value = line.partition("=")
                one = f"; a value with a comma stands in quotes: '{key}=\"{value}\"'" if os.path.exists(value) else ""
                raise BadOption(f"{shortened(line)}: several values make a sweep; add -m (in Python: rnnbench.sweep){one}")
        yield list(overrides)
        return
    _check_sweep(parsed)
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    for batch in BasicSweeper.split_arguments(parsed, max_batch_size=None):
        for job in batch:  # `\\:` is how Hydra writes the colon of ./my_cell.py:MGU
            yield [line.replace("\\:", ":") if line.startswith(("task=", "model=")) else line for line in job]


def _refuse_interval(override: Override) -> None:
    """BadOption for an interval, which has no list of values: a search takes one."""
    from hydra.core.override_parser.types import IntervalSweep

    if isinstance(override._value, IntervalSweep):
        raise BadOption(
            f"{shortened(override.input_line or '')}: an interval has no list of values; a sweep takes a,b,c or range(0,10); "
            f"`rnnbench tune TASK MODEL --space FILE` searches one: {override.key_or_group}: {{low: ..., high: ...}} in FILE"
        )


def _check_sweep(parsed: Sequence[Override]) -> None:
    """BadOption where the values of a sweep have no list, or make more jobs than a sweep may have."""
    from hydra.core.override_parser.types import ChoiceSweep, Glob, RangeSweep
    from hydra.errors import HydraException

    jobs = 1
    for override in parsed:
        line, value = shortened(override.input_line or ""), override._value
        if isinstance(value, Glob):
            raise BadOption(f"{line}: name the values; there are: {', '.join(choice_names(override.key_or_group))}")
        _refuse_interval(override)
        try:
            values = (
                value.range() if isinstance(value, RangeSweep) else value.list if isinstance(value, ChoiceSweep) else [value]
            )
            jobs *= sum(1 for _ in islice(values, MOST_JOBS + 1))
        except (HydraException, ValueError, TypeError, ZeroDivisionError) as error:
            raise BadOption(f"{line}: no values of a sweep: {' '.join(str(error).split())}") from None
        if jobs > MOST_JOBS:
            raise BadOption(f"{line}: the sweep would have more than {MOST_JOBS} jobs, as many as one may have")


def with_overrides(settings: Config, overrides: Sequence[str]) -> dict[str, Any]:
    """`settings` with the values that `overrides` give to some of them."""
    from omegaconf import OmegaConf

    cfg = OmegaConf.create(dict(settings))
    for override in parse_overrides(overrides):
        line = override.input_line or ""
        if override.is_sweep_override() or CODE.search(line) or "$" in line:
            raise BadOption(f"{line}: one value, a text or a number")
        OmegaConf.update(cfg, override.key_or_group, override.value(), force_add=True)
    found = OmegaConf.to_container(cfg)
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}


def quoted(value: object) -> str:
    """A text as the value of an override, whatever signs are in it."""
    from hydra.core.override_parser.types import Quote, QuotedString

    return QuotedString(str(value), Quote.single).with_quotes()


def sweep_overrides(overrides: Sequence[str]) -> list[str]:
    """The overrides of a sweep as Hydra must be told them.

    It applies single values also to the settings from which the sweep starts, where no task and no model is chosen yet and
    so none of their options is known: `++` sets them there too.
    """
    return [
        line
        if override.is_sweep_override() or line.startswith("+") or override.key_or_group in (*CHOICES, *HYDRA_GROUPS)
        else f"++{line}"
        for override in parse_overrides(overrides)
        if (line := override.input_line)
    ]
