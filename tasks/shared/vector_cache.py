"""Where word vectors lie: at a path, or in torchtext's cache `.vector_cache/`, by the name of their file or by torchtext's.

glove.6B.100d.txt   glove.6B.100d   fasttext.en.300d
"""

from __future__ import annotations

import os

CACHE = ".vector_cache"
FILES = {"fasttext.en.300d": "wiki.en.vec", "fasttext.simple.300d": "wiki.simple.vec", "charngram.100d": "charNgram.txt"}


def vector_file(name: str, folder: str = "") -> str:
    """The path of the file of vectors called `name` in torchtext's cache, in `folder` or the current one; `name` itself where
    none is there, and of a path."""
    if os.path.exists(os.path.join(folder, os.path.expanduser(name))) or os.path.basename(name) != name:
        return name
    there = (os.path.join(folder, CACHE, one) for one in (name, f"{name}.txt", FILES.get(name.lower(), name)))
    return next((path for path in there if os.path.isfile(path)), name)
