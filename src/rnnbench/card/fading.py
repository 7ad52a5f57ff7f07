"""How the gradient fades from the last step of a sequence back to the first. Without torch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

FALLEN = 0.01  # a share of the gradient at the last step: the gradient reaches as far back as this

Fading = Sequence[float]  # a share of the gradient at the last step, 0, 1, 2 ... steps before it


def fading_of(norms: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """The fading of the state whose gradient reaches farthest, from the norms of each over time; empty where there is none.

    It ends before the first norm that is not finite: nothing is known of what lies farther back.
    """
    known = [list(itertools.takewhile(math.isfinite, reversed(one))) for one in norms]
    fadings = [tuple(norm / one[0] for norm in one) for one in known if one and one[0] > 0]
    return max(fadings, key=lambda fading: math.inf if (back := reach_of_fading(fading)) is None else back, default=())


def reach_of_fading(fading: Fading) -> int | None:
    """Steps back from the last at which the gradient has fallen to 1 %; None where it has not, 0 where there is none."""
    return next((back for back, share in enumerate(fading) if share <= FALLEN), None) if fading else 0


def mean_fading(several: Sequence[Fading]) -> tuple[float, ...]:
    """The geometric mean at each step that one of `several` has, over those that have it; 0 where one of them is."""
    columns = ([one[back] for one in several if len(one) > back] for back in range(max(map(len, several), default=0)))
    return tuple(math.exp(math.fsum(map(math.log, column)) / len(column)) if min(column) > 0 else 0.0 for column in columns)
