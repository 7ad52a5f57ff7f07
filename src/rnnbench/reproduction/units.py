"""Numbers in the unit in which the sources of a row print them: shares as per cent, where they do."""

from __future__ import annotations

import math
from dataclasses import replace

from ..analysis.intervals import Estimate
from .declaration import Declaration
from .grid import Reported


def printed_text(value: Reported) -> str:
    """A reported value as its source prints it."""
    if value.printed:
        return value.printed.replace("e-", "e−")
    thousands = "," if abs(value.value) >= 10_000 else ""
    return f"{value.value:{thousands}.15g}".replace("-", "−")


def in_percent(table: Declaration, row: str) -> bool:
    """Whether all that is reported for a row is printed in hundredths of our unit."""
    values = [value for place, those in table.reports.values.items() if place.partition("/")[0] == row for value in those]
    return bool(values) and all(_printed_in_percent(value) for value in values)


def _printed_in_percent(value: Reported) -> bool:
    try:
        return math.isclose(float(value.printed), 100 * value.value)
    except ValueError:
        return False


def to_unit(estimate: Estimate, percent: bool) -> Estimate:
    """The estimate in per cent, or as it is."""
    if not percent:
        return estimate
    low, high = (None if bound is None else 100 * bound for bound in (estimate.low, estimate.high))
    return replace(estimate, value=100 * estimate.value, low=low, high=high)
