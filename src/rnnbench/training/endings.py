"""What ends training before its last step, other than an evaluation."""

from __future__ import annotations

import signal


class Diverged(Exception):
    """The loss or its gradient stopped being a finite number at `step`."""

    def __init__(self, step: int):
        super().__init__(f"diverged at step {step}")
        self.step = step


class Interrupted(Exception):
    """Signal number `signal` asked for an end; a checkpoint was written at `step`."""

    def __init__(self, step: int, signal: int = signal.SIGTERM):
        super().__init__(f"interrupted at step {step}")
        self.step, self.signal = step, signal
