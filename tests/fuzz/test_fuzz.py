"""A short part of the fuzzing with a fixed seed. `make fuzz MINUTES=20` goes on from other seeds."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz.kinds import KINDS, finished_run

EXAMPLES = 15


@pytest.mark.parametrize("name", KINDS)
def test_the_law_holds(name: str) -> None:
    strategy, check = KINDS[name]
    finished_run()  # imports what trains

    @seed(0)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def holds(data: st.DataObject) -> None:
        with tempfile.TemporaryDirectory() as place:
            check(Path(place), data.draw(strategy))

    holds()
