"""Width from a parameter budget, so that models are compared at equal size.

What counts is the same for every model: all parameters of the network, core, embedding tables and read-out. With
budget.embeddings=false, embedding tables are left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

from ..groups import BudgetSettings
from ..options import BadOption

Counter = Callable[[int], int]  # parameters of a network by its width; it grows with the width
TOLERANCE = BudgetSettings.tolerance
FARTHEST = 100  # times a budget: how far a budget is looked for that several models can meet


def parse_count(text: str) -> int:
    """`70k` as 70000; BadOption for what is no positive count."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([kKmM]?)", text)
    value = round(float(found[1]) * {"": 1, "k": 1e3, "m": 1e6}[found[2].lower()]) if found else 0
    if value < 1:
        raise BadOption(f"budget.params={text!r} is not allowed; allowed: a count such as 70000, 70k, 1.5M")
    return value


class UnmetBudget(BadOption):
    """No width comes near enough to the budget `wanted`. `said` is why, without what could be met."""

    def __init__(self, said: str, wanted: int, nearest: int):
        super().__init__(f"{said}; the nearest budget that can be met is budget.params={nearest}")
        self.said, self.wanted = said, wanted


def nearest_width(count: Counter, wanted: int) -> int:
    """The width whose `count` of parameters is nearest to `wanted`. `count` must grow with the width."""
    low, high = 1, 2
    while count(high) < wanted:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) < wanted else (low, middle)
    return min((low, high), key=lambda width: abs(count(width) - wanted))


def solve_width(count: Counter, wanted: int, model: str, tolerance: float = TOLERANCE) -> int:
    """The width whose `count` is nearest to `wanted`; UnmetBudget, with the counts around it, where none is near enough.

    The count may differ from the budget by the share `tolerance` of it.
    """
    best = nearest_width(count, wanted)
    if abs(count(best) - wanted) > tolerance * wanted:
        low = best if count(best) < wanted or best == 1 else best - 1
        said = (
            f"no width of {model} comes within {100 * tolerance:g} % of {wanted:,} parameters: "
            f"hidden_size={low} has {count(low):,}, {low + 1} has {count(low + 1):,}"
        )
        raise UnmetBudget(said, wanted, count(best))
    return best


def shared_budgets(counts: Sequence[Counter], wanted: int, tolerance: float) -> list[int]:
    """The budgets nearest to `wanted` that some width of each of `counts` meets: the largest below it, the smallest above it.

    Fewer where there is none between 1 parameter and FARTHEST times `wanted`.
    """
    found = []
    for upwards in (False, True):
        budget, before = wanted, 0
        while budget != before and 0 < budget <= FARTHEST * wanted:
            before = budget
            for count in counts:
                budget = _next_met(count, budget, tolerance, upwards)
        if 0 < budget <= FARTHEST * wanted:
            found.append(budget)
    return list(dict.fromkeys(found))


def _next_met(count: Counter, budget: int, tolerance: float, upwards: bool) -> int:
    """The first budget from `budget` on that some width meets; 0 where there is none below it."""
    if budget < 1:
        return 0
    best = nearest_width(count, budget)
    if abs(count(best) - budget) <= tolerance * budget:
        return budget
    above = best if count(best) > budget else best + 1  # the first width with more parameters
    if upwards:
        return max(budget + 1, math.ceil(count(above) / (1 + tolerance)))
    return min(budget - 1, math.floor(count(above - 1) / (1 - tolerance))) if above > 1 else 0


def needed_tolerance(counts: Sequence[Counter], wanted: int) -> float:
    """The least budget.tolerance, rounded up to three digits after the point, with which each of `counts` meets `wanted`."""
    missed = max(abs(count(nearest_width(count, wanted)) / wanted - 1) for count in counts)
    return math.ceil(round(1000 * missed, 9)) / 1000
