"""Fair, tracked, repeatable comparisons of recurrent networks on sequence tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from .run import Trained

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def load(run: str | Path) -> Trained:
    """The trained network of a run folder, with its task, record and metrics. FileNotFoundError where there is none."""
    from .run import load  # torch is imported only now

    return load(run)
