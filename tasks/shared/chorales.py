"""Bach's chorales as music21 carries them: piano rolls, a quarter note a step.

A step has the pitches that sound at its beginning, in any part; one that began before it sounds on. 60, 20 and 20 % of the
pieces train, select and test, the same for every run. music21 takes the better part of a minute to read them; after that
they come from the cache.

Source: music21 (Cuthbert & Ariza 2010; BSD-3-Clause), `corpus.chorales`: the 371 numbers of
Riemenschneider's edition, of which some are one piece: 350 are left.
"""

from __future__ import annotations

import hashlib
import math
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy

from rnnbench.data.cache import cache_entry, read_arrays, write_arrays
from rnnbench.data.tables import DataError

from .batch import SPLITS, Split, generator

KEYS, LOWEST = 88, 21
VERSION = 1  # raised when other steps come of the same files


def look_for_chorales() -> None:
    """DataError, one line, where music21 is not installed."""
    if find_spec("music21") is None:
        raise DataError("music21 is not installed; pip install 'rnnbench[music]'")


def files() -> list[Path]:
    """The file of each chorale, in the order of the edition; each once."""
    from music21 import corpus

    found: dict[Path, None] = {}
    for name in map(str, corpus.chorales.Iterator(returnType="filename")):
        works = corpus.getWork(name, fileExtensions=[".mxl", ".xml", ".musicxml"])
        several = list(works) if isinstance(works, list) else [works]  # bwv245.3 is the beginning of bwv245.37, too
        exact = [path for path in several if Path(str(path)).stem == name.rpartition("/")[2]]
        found[Path(str((exact or several)[0]))] = None
    return list(found)


def rolls() -> dict[Split, tuple[numpy.ndarray, numpy.ndarray]]:
    """For each split (steps, 88) bool of all its pieces, end to end, and (pieces,) their lengths."""
    paths = files()
    read = hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()

    def make(folder: Path) -> None:
        pieces = [piece(path) for path in paths]
        write_arrays(folder / "keys.arrow", {"keys": numpy.packbits(numpy.concatenate(pieces), axis=1).ravel()})
        write_arrays(folder / "lengths.arrow", {"lengths": numpy.array([len(one) for one in pieces])})

    folder = cache_entry("chorales", {"version": VERSION, "files": read}, make)
    packed: Any = read_arrays(folder / "keys.arrow")["keys"]
    lengths: Any = read_arrays(folder / "lengths.arrow")["lengths"]
    on = numpy.split(numpy.unpackbits(packed.reshape(-1, KEYS // 8), axis=1).astype(bool), numpy.cumsum(lengths)[:-1])
    order = generator(0).permutation(len(on))
    held = max(1, len(on) // 5)
    parts = numpy.split(order, [len(on) - 2 * held, len(on) - held])
    return {
        split: (numpy.concatenate([on[row] for row in rows]), lengths[rows]) for split, rows in zip(SPLITS, parts, strict=True)
    }


def piece(path: Path) -> numpy.ndarray:
    """(steps, 88) bool of one score."""
    from music21 import converter

    score: Any = converter.parse(path, forceSource=True, storePickle=False)
    notes = [
        (float(note.offset), float(note.offset + note.quarterLength), pitch.midi)
        for part in score.parts
        for note in part.flatten().notes
        for pitch in note.pitches
    ]
    roll = numpy.zeros((math.ceil(max(end for _, end, _ in notes)), KEYS), bool)
    for begin, end, pitch in notes:
        roll[math.ceil(begin - 1e-6) : math.ceil(end - 1e-6), pitch - LOWEST] = True
    return roll
