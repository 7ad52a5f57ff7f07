"""A short part of the fuzzing with a fixed seed. `make fuzz MINUTES=20` goes on from other seeds."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz.kinds import KINDS, UNCHANGED, finished_record, finished_run

EXAMPLES = 6


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


def test_what_is_not_changed_is_right(tmp_path: Path) -> None:
    """Else every change of it would be refused for something else."""
    finished_run()
    for name, inputs in {**UNCHANGED, "results": [json.dumps(finished_record()).encode()]}.items():
        for number, value in enumerate(inputs):
            place = tmp_path / f"{name} {number}"
            place.mkdir()
            assert KINDS[name][1](place, value) == 0, (name, value)
