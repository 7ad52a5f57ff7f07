"""Vectors of words learnt elsewhere, from a text file of the user's: what an embedding can begin with.

    the 0.418 0.24968 -0.41242 ...          a word and its numbers a line (GloVe; word2vec's text form has a head line more)

Such a file is read once for a vocabulary, and then mapped from the cache. Nothing is downloaded.

Source: Pennington, Socher & Manning 2014 (GloVe; its published vectors are in the public domain, PDDL 1.0).
"""

from __future__ import annotations

import functools
import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy

from rnnbench.data.cache import cache_entry, read_arrays, write_arrays
from rnnbench.data.tables import DataError
from rnnbench.data.text import PICKLED, read_vectors, torchtext_vectors
from rnnbench.data.user_files import content_digest, expanded, user_file

from .vector_cache import CACHE, vector_file
from .words import WrittenVocabulary


class Vectors:
    """The vectors of one file."""

    def __init__(self, path: str, torchtext: bool = False):
        """`torchtext`: that package reads the file (extra torchtext). DataError, one line, where there is no such file."""
        self.path, self.torchtext = vector_file(path), torchtext
        if self.path.lower().endswith(PICKLED):
            raise DataError(f"task.vectors={path} is pickled, which can run code: name the text file beside it")
        user_file(self.path, f"task.vectors={path}", f"; allowed: a text file of vectors, or the name of one in {CACHE}/")

    @functools.cached_property
    def sha256(self) -> str:
        return content_digest(expanded(self.path))

    def of(self, symbols: Sequence[str], width: int) -> tuple[numpy.ndarray, numpy.ndarray]:
        """((symbols, width) float32, zeros where the file has no such word, and (symbols,) bool: whether it has).

        Raises ValueError, one line, where vectors are not `width` wide, and for a file that is none of vectors.
        """
        if not width:
            raise DataError(f"task.vectors={self.path}: network.embedding=0 feeds one-hot vectors; it must be as wide as these")

        def make(folder: Path) -> None:
            vectors, found = read_vectors(self.path, symbols, width)
            if self.torchtext:
                with tempfile.TemporaryDirectory() as copy:
                    vectors = torchtext_vectors(str(expanded(self.path)), symbols, copy)
            write_arrays(folder / "vectors.arrow", {"values": vectors.ravel()})
            write_arrays(folder / "found.arrow", {"found": found.astype(numpy.int8)})

        named = hashlib.sha256("\0".join(symbols).encode()).hexdigest()
        folder = cache_entry("vectors", {"file": self.sha256, "symbols": named, "width": width, "by": self.torchtext}, make)
        values: Any = read_arrays(folder / "vectors.arrow")["values"]
        found: Any = read_arrays(folder / "found.arrow")["found"]
        return values.reshape(len(symbols), width), found.astype(bool)


def joined(data: str, *files: Vectors | WrittenVocabulary | None) -> str:
    """The fingerprint of data and of the vectors and the vocabulary that are read with them."""
    for file in files:
        data = hashlib.sha256(f"{data} {file.sha256}".encode()).hexdigest() if file else data
    return data
