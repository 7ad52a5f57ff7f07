"""The files that W&B's client writes of a run, a folder each time it is opened, and how `wandb leet` finds them."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from .tracker import Run

SEGMENT = r"(offline-)?run-\d{8}_\d{6}-"  # and the run's id


def own_segments(run: Run, folder: Path) -> list[Path]:
    """The folders of parts that W&B's client wrote for `run` below `folder`; none behind a link."""
    place, name = folder / "wandb", re.compile(SEGMENT + re.escape(run.id))
    if place.is_symlink() or not place.is_dir():
        return []
    return [path for path in place.iterdir() if name.fullmatch(path.name) and path.is_dir() and not path.is_symlink()]


def link_segment(segment: Path) -> None:
    """Links `segment` in `wandb/` of the current folder, where `wandb leet` and the client's other commands look.

    Links there whose run is gone are removed. Without WANDB_DIR only: it says itself where they look. A folder that takes no
    link is no reason to stop.
    """
    place = Path("wandb")
    if os.environ.get("WANDB_DIR") or place.is_symlink():
        return
    with contextlib.suppress(OSError):
        place.mkdir(exist_ok=True)
        for path in place.iterdir():
            if re.match(SEGMENT, path.name) and path.is_symlink() and not path.exists():
                path.unlink(missing_ok=True)
        (place / segment.name).symlink_to(os.path.relpath(segment, place))
