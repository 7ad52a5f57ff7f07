"""`compare --where`: what a condition chooses, and what it must not be."""

from __future__ import annotations

import time
from typing import Any

import pytest

from rnnbench.analysis.condition import LONGEST, Condition
from rnnbench.options import BadOption

ROWS: list[dict[str, Any]] = [
    {"model": "lstm", "model.name": "lstm", "model.forget_bias": 1, "train.learning_rate": 0.001, "seed": 0, "score": 0.5},
    {"model": "gru", "model.name": "gru", "train.learning_rate": 0.01, "seed": 1, "score": None},
    {"model": "rnn", "model.name": "rnn", "train.learning_rate": 0.1, "seed": 2, "status": "failed"},
]
KNOWN = sorted({name for row in ROWS for name in row})
CHOSEN = {
    "train.learning_rate > .001 and model.name in ('lstm', 'gru')": [1],
    "train.learning_rate >= 10 ** -2": [1, 2],
    "train.learning_rate * 10 == .1": [1],
    "model.forget_bias == 1": [0],
    "model.forget_bias > 0": [0],
    "model.forget_bias < 9 or seed == 2": [0, 2],
    "model.forget_bias is None": [1, 2],
    "score < 1": [0],
    "not score < 1": [1, 2],
    "model != 'lstm'": [1, 2],
    "seed not in [0, 1]": [2],
    "0 < seed < 2": [1],
    "-seed == -2": [2],
    "status == 'failed'": [2],
    "True": [0, 1, 2],
    " seed == 0 ": [0],
}


@pytest.mark.parametrize(("text", "expected"), CHOSEN.items(), ids=CHOSEN)
def test_what_is_chosen(text: str, expected: list[int]) -> None:
    condition = Condition(text, KNOWN)
    assert [number for number, row in enumerate(ROWS) if condition.holds(row)] == expected


REFUSED = {
    "train.lerning_rate > 1": "did you mean 'train.learning_rate'",
    "modell == 'gru'": "did you mean 'model'",
    "seed == 0 and nothing.like.it": "no option 'nothing.like.it'",
    "": "no condition",
    "seed =": "no condition; = is no comparison, == is;",
    "seed = 0": "no condition; = is no comparison, == is;",
    "seed == 0; seed == 1": "no condition; expected",
    "import os": "no condition",
    "len(model) == 3": "'len(model)' is not allowed",
    "model.upper() == 'GRU'": "is not allowed",
    "'a'.__class__": "is not allowed",
    "model.__class__": "no option 'model.__class__'",
    "__import__('os').system('true')": "is not allowed",
    "(lambda: 1)()": "is not allowed",
    "[one for one in 'ab']": "is not allowed",
    "model[0] == 'g'": "is not allowed",
    "f'{seed}' == '0'": "is not allowed",
    "b'a' == model": "is not allowed",
    "1j == seed": "is not allowed",
    "(seed := 1)": "is not allowed",
    "seed << 99 > 1": "is not allowed",
    "seed == 0 if 1 else 2": "is not allowed",
    "{1: 2}": "is not allowed",
    "9**9**9 > 1": "",
    "9.9**999 > 1": "",
    "'a' * 1000000000 == model": "is no number",
    "model + 'x' == 'grux'": "is no number",
    "train.learning_rate > 'a'": "and 'a' have no order; == and != compare them",
    "1 / 0 > seed": "division by zero",
    "seed in 3": "not iterable",
    "(" * 400 + "1" + ")" * 90: "no condition",
    "-" * 490 + "1 == seed": "",
    "not " * 120 + "seed": "",
    f"seed == {'1' * LONGEST}": f"at most {LONGEST}",
}


@pytest.mark.parametrize(("text", "says"), REFUSED.items(), ids=[text[:30] for text in REFUSED])
def test_what_is_refused_in_a_line_and_at_once(text: str, says: str) -> None:
    """Where nothing need be said, an answer is as good as a refusal, if it comes at once."""
    begun = time.process_time()
    try:
        found = [Condition(text, KNOWN).holds(row) for row in ROWS]
    except BadOption as error:
        message = str(error)
        assert says in message and "\n" not in message and len(message) <= 400
    else:
        assert not says and all(isinstance(one, bool) for one in found)
    assert time.process_time() - begun < 2
