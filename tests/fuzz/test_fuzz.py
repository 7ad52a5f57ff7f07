"""A short part of the fuzzing with a fixed seed. `make fuzz MINUTES=20` goes on from other seeds."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz.kinds import KINDS, finished_run, unchanged
from tests.fuzz.law import run

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
    for name, (words, files) in unchanged().items():
        place = tmp_path / name
        for path, content in files.items():
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            (place / path).write_bytes(content)
        place.mkdir(exist_ok=True)
        code, _, err = run(words, place, seconds=60)
        assert code == 0, (name, err)
