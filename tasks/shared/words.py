"""The vocabulary of training text: refused where it has no word of the text, and what is said where it covers little."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import numpy

from rnnbench.data.tables import DataError
from rnnbench.data.text import PAD, UNKNOWN, Vocabulary, read_vocabulary
from rnnbench.data.user_files import content_digest, expanded, user_file
from rnnbench.options import amount, shortened

ENOUGH = 0.5  # share of the training text that a vocabulary should cover


class WrittenVocabulary:
    """A vocabulary of the user's, in a file with a token a line or a JSON list: see `read_vocabulary`."""

    def __init__(self, path: str, specials: Sequence[str] = (UNKNOWN,)):
        """`specials` are tokens that it has in any case. DataError, one line, where there is no such file."""
        self.path, self._specials = path, specials
        user_file(path, f"task.vocabulary={path}")

    @functools.cached_property
    def sha256(self) -> str:
        return content_digest(expanded(self.path))

    @functools.cached_property
    def content(self) -> Vocabulary:
        return read_vocabulary(self.path, self._specials)

    def note(self, counts: numpy.ndarray) -> str:
        """How much of it stands in the training text; `counts` (size,) is how often each symbol does."""
        return (
            f"task.vocabulary={self.path}: {amount(len(counts), 'symbol')}, {(counts > 0).sum():,} of them in the training text"
        )


def chosen_vocabulary(
    written: WrittenVocabulary | None,
    counts: Mapping[str, int],
    min_frequency: int,
    max_size: int | None,
    specials: Sequence[str] = (PAD, UNKNOWN),
) -> Vocabulary:
    """The vocabulary that is `written`, else that of the training text: see `built_vocabulary`."""
    return written.content if written else built_vocabulary(counts, min_frequency, max_size, specials)


def vocabulary_key(written: WrittenVocabulary | None) -> dict[str, str]:
    """What a written vocabulary adds to the key of a cache entry."""
    return {"vocabulary": written.sha256} if written else {}


def vocabulary_notes(written: WrittenVocabulary | None, vocabulary: Vocabulary, counts: numpy.ndarray) -> list[str]:
    """What is said of a vocabulary: see `WrittenVocabulary.note` and `little_covered`."""
    return [*([written.note(counts)] if written else []), *little_covered(vocabulary, counts)]


def built_vocabulary(
    counts: Mapping[str, int], min_frequency: int, max_size: int | None = None, specials: Sequence[str] = (PAD, UNKNOWN)
) -> Vocabulary:
    """`Vocabulary.build`; DataError, one line, where it leaves no symbol of the training text but the specials."""
    vocabulary = Vocabulary.build(counts, min_frequency, max_size, specials)
    words = {symbol: count for symbol, count in counts.items() if symbol not in specials}
    if len(vocabulary) > len(specials) or not words:
        return vocabulary
    common = max(words, key=lambda word: (words[word], word))
    raise DataError(
        f"task.min_frequency={min_frequency} leaves no symbol of the training text: the commonest, {shortened(common)!r}, "
        f"stands there {words[common]} times; allowed: at most that"
    )


def little_covered(vocabulary: Vocabulary, counts: numpy.ndarray) -> list[str]:
    """A line where more than half of the training text is unknown; `counts` (size,) is how often each symbol stands there."""
    total, unknown = int(counts.sum()), int(counts[vocabulary.unknown])
    if unknown <= (1 - ENOUGH) * total:
        return []
    return [
        f"a vocabulary of {amount(len(vocabulary), 'symbol')} covers {1 - unknown / total:.0%} of the training text, the "
        "rest is <unk>: see how the task cuts text, and what it keeps (tokenizer, min_frequency, max_vocabulary)"
    ]
