"""Which files rnnbench wrote, told by their whole names: no other is ever deleted, and none through a link.

000000500-<sha256>.pt, .unusable           checkpoints (run_folder.py)
manifest-<16 hex digits>.json              what belongs to a sweep (launch/manifest.py)
.<name>.<16 hex digits>, .lease-<16>       half-written files of a process that was killed (record.py, lease.py)
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterable
from pathlib import Path

STALE = 60.0  # seconds after which a small file that no lease protects is not being written any more
STEP = r"\d{9,}"
CHECKPOINT = re.compile(rf"{STEP}-[0-9a-f]{{64}}\.pt")
SET_ASIDE = re.compile(rf"{STEP}-[0-9a-f]{{64}}\.unusable")
WRITTEN = (
    *("config.yaml", "metrics.jsonl", "timings.jsonl", "failure.json", "vocabulary.json", "model.safetensors", "record.json"),
    *("confusion.json", "predictions.csv", "profile.txt", "manifest.json", "search.json"),
)
RUN_FILE = re.compile("|".join(re.escape(name) for name in WRITTEN if name not in ("manifest.json", "search.json")))
LEASE = re.compile(r"lease-\d+")
SWEEP_FILE = re.compile(r"manifest\.json|manifest(-[0-9a-f]{16})?\.unusable|wandb-silent\.json|\.lock")
MANIFEST_COPY = re.compile(r"manifest-[0-9a-f]{16}\.json")
NAMES = "|".join([*map(re.escape, WRITTEN), CHECKPOINT.pattern, MANIFEST_COPY.pattern])
HALF_WRITTEN = re.compile(rf"\.(?:lease-|(?:{NAMES})\.)[0-9a-f]{{16}}")


def own_files(folder: Path, *names: re.Pattern[str]) -> list[Path]:
    """The files in `folder` whose whole name fits one of `names`, sorted. A link is none of ours."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        return sorted(
            Path(entry.path)
            for entry in entries
            if any(name.fullmatch(entry.name) for name in names) and entry.is_file(follow_symlinks=False)
        )
    return []


def stale_files(folder: Path) -> list[Path]:
    """Half-written files in a folder that is no run's, old enough to belong to no living process."""
    limit, found = time.time() - STALE, []
    for path in own_files(folder, HALF_WRITTEN):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < limit:
                found.append(path)
    return found


def remove_files(files: Iterable[Path]) -> None:
    """Removes all of `files` that can be removed, then raises the first OSError of the others. In a linked folder all stay."""
    wrong: OSError | None = None
    for path in files:
        try:
            if not path.parent.is_symlink():
                path.unlink(missing_ok=True)
        except OSError as error:
            wrong = wrong or error
    if wrong:
        raise wrong
