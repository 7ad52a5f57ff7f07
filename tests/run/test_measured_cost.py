"""What a run will take, from a few steps of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnnbench.config.compose import compose_jobs
from rnnbench.config.settings import Settings
from rnnbench.run import execute
from rnnbench.store.run_folder import RunFolder

RUN = ["task=adding", "task.length=6", "task.sequences=20", "model=rnn", "model.hidden_size=4", "train.batch_size=4"]
BEGINS, EVALUATES = 2.0, 0.01  # seconds of a clock that is a function


@pytest.mark.parametrize(("every", "wanted", "calls"), [(10, EVALUATES, 3), (10**7, BEGINS / 2 + EVALUATES, 1)])
def test_what_a_run_begins_with_is_no_evaluation_where_these_are_many(
    every: int, wanted: float, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed, made = execute._timed, []

    def by_function(settings: Settings, runs: str, steps: int, eval_every: int) -> tuple[RunFolder, float]:
        made.append(runs)
        folder, _ = timed(settings, runs, steps, eval_every)
        assert len([row for row in folder.metrics() if "validation/mse" in row]) == steps // eval_every
        return folder, (BEGINS if len(made) == 1 else 0.1) + (steps // eval_every + 1) * EVALUATES

    monkeypatch.setattr(execute, "_timed", by_function)
    monkeypatch.setattr(execute, "SLOW", 10.0)
    (settings,) = compose_jobs([*RUN, "train.steps=1000", f"train.eval_every={every}"], sweep=False)
    cost = execute.measure_cost(settings)
    assert cost["evaluation"] == pytest.approx(wanted) and len(set(made)) == len(made) == calls
    assert cost["step"] > 0 and not any(Path(runs).exists() for runs in made)
