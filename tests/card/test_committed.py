"""The records that come with the suite of --quick: all that the cards of our cells need, and nothing else."""

from __future__ import annotations

import pytest

from rnnbench.card.committed import CELLS, committed_card, committed_lines, committed_records
from rnnbench.card.runs import find_card_runs


@pytest.mark.parametrize(
    "cell", [cell if cell in ("rnn", "gru") else pytest.param(cell, marks=pytest.mark.slow) for cell in CELLS]
)
def test_a_card_is_made_of_committed_records_alone(cell: str) -> None:
    card = committed_card("quick", cell)
    opponents = [name for name in card.suite.opponents if name != cell]
    assert {(one.task, one.opponent) for one in card.verdicts} == {
        (task, name) for task in card.suite.tasks for name in opponents
    }
    assert card.committed == sum(len(sample.outcomes) for models in card.samples.values() for sample in models.values())
    assert all(len(sample.outcomes) == card.suite.seeds for models in card.samples.values() for sample in models.values())
    assert all(reached for models in card.reaches.values() for reached in models.values())


@pytest.mark.parametrize("name", ["quick", "card"])
def test_no_committed_record_is_of_another_run(name: str) -> None:
    committed = committed_records(name)
    assert {run.record["id"] for run in find_card_runs(committed_lines(name), committed, ()) if run.record} == set(committed)


def test_a_card_that_lacks_records_says_how_to_make_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnbench.card.committed.committed_records", lambda name: {})
    with pytest.raises(LookupError, match="make cards"):
        committed_card("quick", "lstm")
