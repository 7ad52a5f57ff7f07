"""What a folder's README.md says in its head, as the library `datasets` reads it: the files of each split, under `configs:`,
and the names of classes, under `dataset_info:`.

---
configs:
- config_name: default
  data_files:
  - split: train
    path: old/*.csv
dataset_info:
  features:
  - name: label
    dtype:
      class_label:
        names:
          '0': neg
          '1': pos
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
from .tables import DataError, class_names

HEAD = re.compile(rb"\s*---[\r\n]+([\S\s]*?)[\r\n]+---(\r\n|\n|$)")  # as huggingface_hub finds it
README = "README.md"
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
    readme = folder / README
    if not _says(readme, b"configs"):
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


def listed_names(folder: Path, config: str | None) -> dict[str, list[str]]:
    """The names of the classes of each column that README.md says them for, in the configuration, or the default or only one.

    DataError, one line, where the library cannot read its `dataset_info`.
    """
    readme = folder / README
    if not _says(readme, b"dataset_info"):
        return {}
    import datasets.info
    import huggingface_hub

    try:
        card: Any = huggingface_hub.DatasetCard.load(readme).data
        known = datasets.info.DatasetInfosDict.from_dataset_card_data(card)
        default = next((one["config_name"] for one in card.get("configs") or [] if one.get("default")), "default")
        features = {name: info.features or {} for name, info in known.items()}
    except Exception as error:  # of what stands there, any
        reason = shortened((str(error).splitlines() or [type(error).__name__])[0], 200)
        raise DataError(f"{readme}: its dataset_info cannot be read: {reason}") from None
    found = features.get(config or default) or (next(iter(features.values())) if len(features) == 1 else {})
    return class_names(datasets.Features(found).arrow_schema, found)


def _says(readme: Path, key: bytes) -> bool:
    """Whether the head of a README.md has a `key`."""
    if not readme.is_file():
        return False
    with open(readme, "rb") as file:
        head = HEAD.match(file.read(LONGEST))
    return head is not None and re.search(rb"^%s\s*:" % key, head[1], re.MULTILINE) is not None
