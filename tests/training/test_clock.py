"""What counts as seconds of training."""

from __future__ import annotations

import time

import pytest

from rnnbench.kernels.compile_time import counted_as_compiling
from rnnbench.training.clock import Clock


def test_compiling_is_no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    clock = Clock()
    with counted_as_compiling():  # before the clock starts
        now[0] += 5
    clock.start()
    now[0] += 1
    with counted_as_compiling():
        now[0] += 7
    assert clock.read() == pytest.approx(1)
    now[0] += 2
    clock.stop()
    assert clock.seconds == pytest.approx(3)
