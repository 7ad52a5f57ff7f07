"""The files of a folder that its README.md lists, under `configs:` in its head, as the library `datasets` reads it.

---
configs:
- config_name: default
  data_files:
  - split: train
    path: old/*.csv
---
"""

from __future__ import annotations

import dataclasses
import os
import re
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from ..options import shortened
from .tables import DataError

HEAD = re.compile(rb"\s*---[\r\n]+([\S\s]*?)[\r\n]+---(\r\n|\n|$)")  # as huggingface_hub finds it
LONGEST = 2**20  # bytes of a head
KNOWN = ("name", "version", "data_dir", "data_files", "description", "sep", "delimiter")


class Listed(NamedTuple):
    """The files of each split, by their paths in the folder, and what stands between fields where the README.md says it."""

    files: dict[str, list[str]]
    separator: str | None


def listed_files(folder: Path, config: str | None) -> Listed | None:
    """What README.md lists for the configuration, or for the only or default one; None where it lists nothing.

    DataError, one line, where the library finds no such configuration or file, or one says more than which files there are.
    """
    readme = folder / "README.md"
    if not readme.is_file():
        return None
    with open(readme, "rb") as file:
        head = HEAD.match(file.read(LONGEST))
    if not head or not re.search(rb"^configs\s*:", head[1], re.MULTILINE):
        return None
    import datasets

    try:
        with tempfile.TemporaryDirectory() as place:
            found: Any = datasets.load_dataset_builder(str(folder), config, cache_dir=place).config
    except Exception as error:  # of what stands there, any
        raise DataError(f"{readme}: its configs cannot be read: {shortened(str(error).splitlines()[0], 200)}") from None
    plain = type(found)()
    fields = [field.name for field in dataclasses.fields(found) if field.name not in KNOWN]
    if odd := [name for name in fields if getattr(found, name) != getattr(plain, name)]:
        raise DataError(f"{readme}: its configs set {', '.join(odd)}, which is not read; task.train= and task.test= name files")
    root = folder.resolve()
    files = {str(split): [os.path.relpath(path, root) for path in paths] for split, paths in found.data_files.items()}
    return Listed(files, getattr(found, "sep", None))
