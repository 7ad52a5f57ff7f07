"""Data sets of the Hugging Face hub: where their parquet files are, on disk or on the hub.

The files of `org/name` are looked for in this order:

1. `RNNBENCH_DATA`: a folder that holds `<org>/<name>/<config or data>/<split>-*.parquet`, or several, as in PATH;
2. the cache, where an earlier download was left in the same layout, that of a named revision in `<org>/<name>@<revision>`;
   folders of 1. may have these, too;
3. the hub, once, through `datasets`; where it does not answer, or is not to be asked (HF_HUB_OFFLINE, HF_DATASETS_OFFLINE),
   what `datasets` or `huggingface_hub` kept of it on this machine. Of several revisions the newest is read, and named.

A name that begins with `.`, `/` or `~` is a folder itself, with the files in it or in `<config or data>`; `local/<name>` is a
set that the hub does not have, and is looked for on disk only. Files of other kinds: see user_files.py.
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..options import shortened
from .cache import cache_folder, complete_entry
from .readme_configs import listed_names
from .tables import DataError, check_parquet, check_sound, class_names, parquet_table
from .user_files import expanded

if TYPE_CHECKING:
    import pyarrow


OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")
PATIENCE = 3.0  # seconds to wait for the hub's first answer
CONVERTED = "refs/convert/parquet"  # the revision of the hub's own conversion
UNCERTAIN = "revision.txt"  # in a folder of the cache: a line for a set whose revision is not certain
INFO = "dataset_info.json"  # what `datasets` writes last into a folder of its cache
UNFINISHED = ".incomplete"  # behind the name of such a folder while it is written; one that was cut off stays, without INFO
PART = re.compile(r".*?-(\d+)-of-(\d+)")  # of the name of a split's file


def check_columns(
    name: str, splits: Iterable[str], columns: Iterable[str], config: str | None = None, revision: str | None = None
) -> bool:
    """Whether data set `name` is on disk. DataError where it is, but lacks one of the splits or columns.

    Only file names and parquet footers are read.
    """
    folder = _local(name, config, revision)
    if folder is None:
        return False
    for split in splits:
        _check(folder, split, columns)
    return True


def splits(name: str, config: str | None = None, revision: str | None = None, fetch: bool = False) -> list[str]:
    """The splits of `name` that are on disk, or, with `fetch`, that the hub has; none where it is neither."""
    folder = _local(name, config, revision) or (_download(name, config, revision) if fetch else None)
    return _splits(folder) if folder else []


def read_split(
    name: str, split: str, columns: Sequence[str], config: str | None = None, revision: str | None = None, sound: bool = True
) -> pyarrow.Table:
    """The `columns` of one split, from disk if it is there, else from the hub; unless `sound` it may lack values.

    Raises DataError, one line: neither on disk nor reachable, or without the split, a column, or a value.
    """
    folder = _local(name, config, revision) or _download(name, config, revision)
    table = parquet_table(_check(folder, split, columns), columns)
    return check_sound(table, f"{folder}: split {split!r}") if sound else table


def read_class_names(
    name: str, split: str, columns: Sequence[str], config: str | None = None, revision: str | None = None
) -> dict[str, list[str]]:
    """The names of the classes of numbered columns of a split, which its files say."""
    import pyarrow.parquet

    folder = _local(name, config, revision) or _download(name, config, revision)
    return class_names(pyarrow.parquet.read_schema(_check(folder, split, columns)[0]), columns)


def readme_class_names(name: str, config: str | None = None, revision: str | None = None) -> dict[str, list[str]]:
    """The names of classes that the README.md above the folder of `name` says; DataError, one line, where it cannot be read."""
    folder = _local(name, config, revision) or _download(name, config, revision)
    return listed_names(folder.parent, config)


def uncertain_revision(name: str, config: str | None, revision: str | None) -> str:
    """A line for a set on disk that may be of another revision than was asked for: of a mirror whose path does not say which it
    has, or what `datasets` kept where the hub could not be asked. Empty for others.
    """
    folder = _local(name, config, revision)
    if folder and not str(folder).endswith(f"/{_place(name, config, revision)}"):
        return f"{folder} does not say its revision; it is read for task.revision={revision}"
    said = folder / UNCERTAIN if folder else None
    return said.read_text(encoding="utf-8") if said and said.is_file() else ""


def _local(name: str, config: str | None, revision: str | None) -> Path | None:
    """The folder with the parquet files of `name`, if they are on disk. Of a mirror also one that does not say its revision."""
    if name[:1] in (".", "/", "~"):
        folder = expanded(name)
        if not folder.is_dir():
            raise DataError(f"{name}: there is no such folder")
        within = folder / (config or "data")
        return within if within.is_dir() else folder
    mirrors = [expanded(mirror) for mirror in os.environ.get("RNNBENCH_DATA", "").split(os.pathsep) if mirror]
    for mirror in mirrors:
        if not mirror.is_dir():
            raise DataError(f"RNNBENCH_DATA={mirror} is no folder; it should hold <org>/<name>/data/<split>-*.parquet")
    place = _place(name, config, revision)
    there = [root / place for root in (*mirrors, cache_folder() / "hub")] + [
        root / _place(name, config, None) for root in mirrors
    ]
    return next((folder for folder in there if folder.is_dir()), None)


def _place(name: str, config: str | None, revision: str | None) -> Path:
    """Where a set lies in a mirror and in the cache. The hub's own conversion of a set is no other content."""
    named = "" if revision in (None, CONVERTED) else f"@{urllib.parse.quote(revision, safe='')}"
    return Path(name + named, config or "data")


def _splits(folder: Path) -> list[str]:
    return sorted({path.name.split("-")[0] for path in folder.glob("*-*.parquet")})


def _check(folder: Path, split: str, columns: Iterable[str]) -> list[Path]:
    """The files of a split, in order, once all of them are there and each has been seen to have the columns."""
    paths = sorted(folder.glob(f"{split}-*.parquet"))
    if not paths:
        raise DataError(f"{folder}: no split {split!r}; there are: {', '.join(_splits(folder)) or 'none'}")
    check_parts(folder, split, [path.name for path in paths])
    for path in paths:
        check_parquet(path, columns)
    return paths


def check_parts(folder: Path, split: str, names: Sequence[str]) -> None:
    """DataError where the names of a split's files, `train-00000-of-00002.parquet`, say that one is missing or there twice."""
    parts = [tuple(map(int, found.groups())) for name in names if (found := PART.match(name))]
    total = max((of for _, of in parts), default=0)
    for number in range(total if len(parts) == len(names) else 0):
        if parts.count((number, total)) != 1 or len(parts) != total:
            raise DataError(
                f"{folder}: split {split!r} has the files {shortened(', '.join(names), 150)}; expected each of {total} parts "
                "once: fetch those that are missing, remove those of another version"
            )


def _download(name: str, config: str | None, revision: str | None) -> Path:
    """Every split of `name` from the hub, into the cache; the folder with the files."""
    if name.startswith("local/"):
        raise DataError(f"{name} is not on the hub; set RNNBENCH_DATA to a folder that holds {name}/data/<split>-*.parquet")
    offline = [name for name in OFFLINE if os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE")]
    # asked first, because the hub's own client tries an unreachable one again for half a minute
    reason = f"{offline[0]} is set" if offline else "" if _reachable() else "the hub does not answer"

    def write(folder: Path) -> None:
        with tempfile.TemporaryDirectory() as place:
            found, said = _published(name, config, revision, reason, place)
            for split, rows in found.items():
                rows.to_parquet(folder / f"{split}-00000-of-00001.parquet")
            if said:
                (folder / UNCERTAIN).write_text(said, encoding="utf-8")

    return complete_entry(cache_folder() / "hub" / _place(name, config, revision), write)


def _published(name: str, config: str | None, revision: str | None, offline: str, place: str) -> tuple[dict[str, Any], str]:
    """(the splits of `name`, as `datasets` has them, and a line where their revision may not be the one that was asked for).

    Where `offline` says why the hub is not asked, those kept on this machine. `place` is a folder for what is unpacked
    meanwhile. DataError, one line, where they cannot be had.
    """
    import datasets
    import huggingface_hub
    from datasets.packaged_modules.cache.cache import Cache

    datasets.logging.set_verbosity_error()
    errors = (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError)
    kept: dict[str, Path] = {}  # what an earlier `load_dataset` left, by its revision
    with _kept_from_the_network(bool(offline)):
        try:
            builder = datasets.load_dataset_builder(name, config, revision=revision)
            if not isinstance(builder, Cache):
                builder.download_and_prepare()
                return dict(builder.as_dataset()), ""
            kept, reason = _kept_revisions(name, builder.config.name), offline or "the hub does not answer"
        except errors as error:
            reason = offline or (str(error).splitlines() or [type(error).__name__])[0]
            if isinstance(error, FileNotFoundError) and str(error.filename).endswith(f"{UNFINISHED}/{INFO}"):
                kept, reason = _kept_revisions(name, config), offline or "the hub does not answer"
        commit = revision or ""
        with contextlib.suppress(*errors):  # fetched by hf download, but never loaded
            snapshot = huggingface_hub.snapshot_download(name, repo_type="dataset", revision=revision, local_files_only=True)
            commit = Path(snapshot).name
            if commit not in kept:
                return dict(datasets.load_dataset(snapshot, config, cache_dir=place)), ""
        said = ""
        if kept and commit not in kept and revision in (None, CONVERTED):
            commit = list(kept)[-1]
            of = "" if config else f" of configuration {kept[commit].parts[-3]}"
            said = f"revision {commit}{of} is read, the newest of {len(kept)} that datasets keeps on this machine ({reason})"
        if commit in kept:
            of, version, _ = kept[commit].parts[-3:]
            names = {"dataset_name": name.split("/")[-1], "repo_id": name, "config_name": of}
            return dict(Cache(**names, version=version, hash=commit).as_dataset()), said
        if kept:
            reason += f"; datasets keeps the revisions {shortened(', '.join(kept), 100)} on this machine, not {revision}"
    raise DataError(_unavailable(name, config, reason))


def _kept_revisions(name: str, config: str | None) -> dict[str, Path]:
    """The folders `<configuration>/<version>/<revision>` that `datasets` keeps of a set, the newest last. None where no
    configuration is named and there are several.
    """
    import datasets

    *owner, last = name.split("/")
    root = Path(datasets.config.HF_DATASETS_CACHE, "___".join([*owner, datasets.naming.camelcase_to_snakecase(last)]))
    there = [path.parent for path in root.glob(f"{glob.escape(config) if config else '*'}/*/*/{INFO}")]
    there = [folder for folder in there if not folder.name.endswith(UNFINISHED)]
    if len({folder.parts[-3] for folder in there}) > 1:
        return {}
    return {folder.name: folder for folder in sorted(there, key=lambda folder: folder.stat().st_mtime)}


@contextlib.contextmanager
def _kept_from_the_network(offline: bool) -> Iterator[None]:
    """While it lasts, and if `offline`, `datasets` and `huggingface_hub` look on this machine only."""
    import datasets
    import huggingface_hub

    switches: list[Any] = [datasets.config, huggingface_hub.constants]
    before = [switch.HF_HUB_OFFLINE for switch in switches]
    try:
        for switch, was in zip(switches, before, strict=True):
            switch.HF_HUB_OFFLINE = offline or was
        yield
    finally:
        for switch, was in zip(switches, before, strict=True):
            switch.HF_HUB_OFFLINE = was


def _reachable() -> bool:
    address = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    try:
        with urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=PATIENCE):
            return True
    except urllib.error.HTTPError:
        return True  # it answered; what it says to the real request counts
    except (OSError, ValueError):
        return False


def _unavailable(name: str, config: str | None, reason: str) -> str:
    return (
        f"{name} cannot be loaded ({reason}); connect to the network once, "
        f"or set RNNBENCH_DATA to a folder that holds {name}/{config or 'data'}/<split>-*.parquet"
    )
