"""Numbers and options as a reader sees them: three digits, intervals to the place that they settle, short units."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from .intervals import Estimate

NUMBERS = re.compile(r"(\d*\.?\d+)")


def natural_key(words: str) -> list[str | float]:
    """Sorts length=200 before length=1000, and lr=.001 before lr=.01."""
    return [float(part) if number % 2 else part for number, part in enumerate(NUMBERS.split(words))]


def format_number(value: float, decimals: int | None = None) -> str:
    """Three significant digits, or so many decimals; a true minus sign."""
    shown = f"{value:.3g}" if decimals is None else f"{round(value, decimals) + 0.0:.{decimals}f}"  # + 0.0: no −0.00
    mantissa, _, exponent = shown.partition("e")
    shown = f"{mantissa}e{int(exponent)}" if exponent else shown
    return shown.replace("-", "−")


def format_interval(estimate: Estimate) -> str:
    """`0.0123 [0.0103, 0.0143]`, to the place of which the half-width holds 3.55 to 35.5.

    Never more than four digits of the number. Of a geometric mean, or a ratio of two, whose lower bound would be rounded to 0,
    three digits each.
    Source: the rounding rule of the Particle Data Group's Review.
    """
    if estimate.low is None or estimate.high is None:
        return format_number(estimate.value)
    decimals = _interval_decimals(estimate.low, estimate.high)
    if decimals is not None and "geometric mean" in estimate.estimator and round(estimate.low, decimals) == 0:
        decimals = None
    return "{} [{}, {}]".format(*(format_number(value, decimals) for value in (estimate.value, estimate.low, estimate.high)))


def format_plus_minus(estimate: Estimate) -> str:
    """`0.0123 ± 0.0020`, to the same place; as `format_interval` has it where it is seen not to be symmetric."""
    if estimate.low is None or estimate.high is None:
        return format_number(estimate.value)
    half, decimals = (estimate.high - estimate.low) / 2, _interval_decimals(estimate.low, estimate.high)
    if decimals is None or abs(estimate.low + half - estimate.value) > 0.5 * 10**-decimals:
        return format_interval(estimate)
    shown = format_number(half, decimals) if round(half, decimals) or not half else format_number(float(f"{half:.1g}"))
    return f"{format_number(estimate.value, decimals)} ± {shown}"


def _interval_decimals(low: float, high: float) -> int | None:
    """The place to which an interval is shown; None: three digits each, where it is very small or large."""
    largest, half = max(abs(low), abs(high)), (high - low) / 2
    if largest < 1e-3 or largest >= 1e6:
        return None
    most = 3 - math.floor(math.log10(largest))
    return max(0, min(most, -math.floor(math.log10(half / 3.55)) if half > 0 else most))


def format_share(value: float) -> str:
    """0.4385 as .44"""
    return f"{value:.0f}" if value in (0, 1) else f"{value:.2f}".lstrip("0")


def format_compact(value: float) -> str:
    """12345 as 12.3k."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size * 0.9995:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def format_brief(value: float) -> str:
    """Three digits, 12345 as 12.3k; `never` for a time that is infinite."""
    return "never" if value == math.inf else format_compact(value) if abs(value) >= 1000 else format_number(value)


def format_duration(seconds: float) -> str:
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"


def format_seeds(seeds: Iterable[int]) -> str:
    """`seed 1`, `seeds 0, 2`."""
    numbers = sorted(seeds)
    return f"seed{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
