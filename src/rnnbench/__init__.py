"""Fair, tracked, repeatable comparisons of recurrent networks on sequence tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .version import __version__ as __version__

if TYPE_CHECKING:
    from pathlib import Path

    from .run.load import Trained

__all__ = ["MODELS", "__version__", "load"]


def load(run: str | Path) -> Trained:
    """The trained network of a run folder, with its task, record and metrics. FileNotFoundError where there is none."""
    from .run.load import load_run  # torch is imported only now

    return load_run(run)


def __getattr__(name: str) -> Any:
    """MODELS: the class of each cell by its name."""
    if name == "MODELS":
        from .models.registry import MODELS  # torch is imported only now

        return MODELS
    raise AttributeError(f"module 'rnnbench' has no attribute {name!r}")
