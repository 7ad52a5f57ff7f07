"""Width from a parameter budget, so that models are compared at equal size."""

from __future__ import annotations

import re
from collections.abc import Callable

from ..options import BadOption

TOLERANCE = 0.01  # share by which the count may miss the budget


def parse_count(text: str) -> int:
    """`70k` as 70000; BadOption for what is no positive count."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([kKmM]?)", text)
    value = round(float(found[1]) * {"": 1, "k": 1e3, "m": 1e6}[found[2].lower()]) if found else 0
    if value < 1:
        raise BadOption(f"budget.params={text!r} is not allowed; allowed: a count such as 70000, 70k, 1.5M")
    return value


def nearest_width(count: Callable[[int], int], wanted: int) -> int:
    """The width whose `count` of parameters is nearest to `wanted`. `count` must grow with the width."""
    low, high = 1, 2
    while count(high) < wanted:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) < wanted else (low, middle)
    return min((low, high), key=lambda width: abs(count(width) - wanted))


def solve_width(count: Callable[[int], int], wanted: int, model: str) -> int:
    """The width whose `count` is nearest to `wanted`; BadOption, with the counts around it, where none comes within 1 %."""
    best = nearest_width(count, wanted)
    if abs(count(best) - wanted) > TOLERANCE * wanted:
        low = best if count(best) < wanted or best == 1 else best - 1
        raise BadOption(
            f"no width of {model} comes within 1 % of {wanted:,} parameters: "
            f"hidden_size={low} has {count(low):,}, {low + 1} has {count(low + 1):,}; "
            f"the nearest budget that can be met is budget.params={count(best)}"
        )
    return best
