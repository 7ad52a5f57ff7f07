"""The gradient from the last step of a sequence back to the first, and its picture."""

from __future__ import annotations

import pytest

from rnnbench.card.fading import fading_of, mean_fading, reach_of_fading
from rnnbench.card.pictures import picture_html
from rnnbench.card.runs import _norms


def test_the_state_whose_gradient_reaches_farthest_is_followed_back_from_the_last_step() -> None:
    short, long, none = [1e-6, 1e-4, 4.0], [0.5, 1.0, 2.0], [0.0, 0.0, 0.0]
    assert fading_of([short, long, none]) == (1, 0.5, 0.25) and fading_of([short, none]) == (1, 2.5e-5, 2.5e-7)
    assert fading_of([none]) == fading_of([]) == ()
    assert reach_of_fading(fading_of([short])) == 1 and reach_of_fading(fading_of([short, long])) is None
    assert reach_of_fading(fading_of([none])) == 0


def test_norms_of_a_log_that_are_no_numbers_are_left_out() -> None:
    """Of a run that diverged the log has null."""
    row = {"step": 3, "train/state_gradient/core.0.0/h": [0.5, None, 1.0], "train/state_gradient/core.0.0/c": [1.0, 2.0, None]}
    assert _norms(row)[0] == pytest.approx([0.5, float("nan"), 1.0], nan_ok=True)
    assert fading_of(_norms(row)) == (1,) and fading_of([[0.1, float("inf"), 0.5, 1.0]]) == (1, 0.5)


def test_the_mean_is_over_those_that_are_as_long() -> None:
    assert mean_fading([(1, 0.1), (1, 0.001, 0.5), (1, 0.01)]) == pytest.approx((1, 0.01, 0.5))
    assert mean_fading([(1, 0.0), (1, 0.5)]) == (1, 0) and mean_fading([]) == ()
    assert mean_fading([fading_of([[float("nan"), 1.0]]), (1, 0.5)]) == mean_fading([(1, 0.5), (1,)]) == (1, 0.5)


def test_a_picture_stands_in_the_page_and_asks_for_no_file() -> None:
    drawn = picture_html({"lstm": (1, 0.5, 0.1), "a<b": (1, 0.0, float("inf"))}, "before & after")
    assert drawn.startswith('<figure><img src="data:image/svg+xml;base64,') and 'alt="before &amp; after"' in drawn
    assert (
        picture_html({}, "none")
        == picture_html({"gru": ()}, "none")
        == picture_html({"gru": (0.0, float("nan"))}, "none")
        == ""
    )
