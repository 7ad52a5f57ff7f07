"""Character language model: the next character, from all that came before.

    inputs   T o   b e ,   o r   n o      (window = 10)
    targets  o   b e ,   o r   n o t      (each step is scored)

`text` is `python_reference` (the reference topics that every Python carries: nothing to download, but they differ between
versions of Python), `tiny_shakespeare` or `ptb` (published splits; ptb is the Penn Treebank with its words cut to the
commonest 10,000, a sentence a line, 5,017,482 characters to train on, 50 of them different), or the path of a UTF-8 file. A
text without published splits is cut in the order it stands: train, then `held_out` of it for validation, then as much for
test, each of at most `held_out_limit` characters. Line ends are characters too. A file is never held in memory, and is
mapped from the cache, a byte or two a character.

`hub`, `file`, `train`, `validation` and `test` name texts in place of `text`: the column `text_column` of any set of the hub
or of your tables, as for text_classification, or .txt files (`task.train=train.txt task.test=test.txt`). Their splits are
used. A split that is missing is cut from the end of the training text; a validation split alone is the test. A row
that does not end with a line end gets one.

Training cuts the text into one row a sequence of the batch and walks them side by side, a window at a time; the state is
carried from batch to batch, and gradients stop at a window's edge (truncated back-propagation). Where the rows begin moves
with the seed and the epoch; a row begins anew, without a state, after `stretch` windows at most, as evaluation does. Validation
and test are walked in 10 rows, whatever the batch size, so that the score does not depend on it; a part of more than 500,000
characters in 100 rows. Test is read whole: every character but the first is scored once. So is validation, up to
`validation_limit` characters (100,000 where it has more than 500,000); of a longer part the beginning of each row is read,
evenly spaced stretches that never change.

The vocabulary is made of the training part: `<unk>`, then its characters, the most frequent first.

Floor: bits a character of the training part's character frequencies (one added to each count), over the test part.

Best: ptb 1.27 (Zoneout, Krueger et al. 2017, arXiv:1606.01305), an LSTM 1.36 (Bai et al. 2018, arXiv:1803.01271).

Source: Sutskever, Martens & Hinton 2011; Graves 2013, arXiv:1308.0850; tiny_shakespeare: Karpathy 2015, char-rnn; ptb: Marcus
et al. 1993 as prepared by Mikolov et al. 2012.

Data: python_reference, inside Python; tiny_shakespeare and ptb, from the hub; any file.

Licence: PSF-2.0 (python_reference); public domain (tiny_shakespeare); LDC user agreement (ptb).

Needs: nothing.

Group: text.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy

from rnnbench.data.cache import cache_entry
from rnnbench.data.hub import check_columns, read_split
from rnnbench.data.sets import Place
from rnnbench.data.table_files import Reading
from rnnbench.data.tables import DataError
from rnnbench.data.text import UNKNOWN, Vocabulary, count_characters, encode_characters
from rnnbench.data.user_files import content_digest, expanded, not_utf8, user_file
from rnnbench.options import AtLeastZero, Count, Needs, Positive, Range, Where, nearest

from .shared.own_texts import own_place, own_texts, read_facts, read_notes
from .shared.rows import completed_in_order
from .shared.streams import CHUNK, Streams, long_enough, read_streams, write_streams
from .task import SPLITS, Facts, Split, Task, Tokens, Totals

LICENCES = {
    "python_reference": "PSF-2.0",
    "tiny_shakespeare": "public domain",
    "ptb": "LDC user agreement (this part is distributed for research)",
}


class PublishedText(NamedTuple):
    hub: str  # id
    column: str
    config: str | None
    end: str  # put after each row


PUBLISHED = {
    "tiny_shakespeare": PublishedText("karpathy/tiny_shakespeare", "text", None, ""),
    "ptb": PublishedText("ptb-text-only/ptb_text_only", "sentence", "penn_treebank", "\n"),
}


class CharLM(Task):
    version = 2
    structure = "N->N"
    causal = True
    headline = "bpc"
    direction = "min"
    unit = "bits a character"
    generates = True
    carries = True

    dataset: Streams

    def __init__(
        self,
        text: Annotated[
            str, Where(besides=("python_reference", "tiny_shakespeare", "ptb"))
        ] = "python_reference",  # python_reference, tiny_shakespeare or ptb (from the hub), or the path of a UTF-8 file
        window: Positive = 100,  # characters per window of truncated backpropagation
        held_out: Annotated[
            float, Range(0, 0.5, open_low=True, open_high=True), Needs("text", besides=("tiny_shakespeare", "ptb"))
        ] = 0.05,  # share of the text for validation, and the same for test
        held_out_limit: Annotated[Count, Needs("text", besides=("tiny_shakespeare", "ptb"))] = (
            2_000_000  # largest number of characters for validation, and the same for test; 0: no limit
        ),
        validation_limit: Count = 0,  # largest number of characters read for validation; 0: 100,000 of a part above 500,000
        stretch: Count = 100,  # windows between resets of the state in training; 0: once per epoch
        hub: Annotated[str | None, Where()] = None,  # texts of a set: id on the Hugging Face hub, or a folder
        file: Annotated[str | None, Where()] = None,  # texts of a CSV, TSV, JSON, parquet or .txt file, a pattern, or a folder
        config: Annotated[str | None, Where(path=False), Needs("hub")] = None,  # of the hub's data set, where it has several
        revision: Annotated[str | None, Needs("hub")] = None,  # of the hub's data set
        train: Annotated[str | None, Where()] = None,  # split, rows of it, or file for training
        validation: Annotated[str | None, Where()] = None,  # split, rows of it, or file for validation
        test: Annotated[str | None, Where()] = None,  # split, rows of it, or file for the test
        separator: Annotated[
            str, Where(path=False), Needs("file", "train")
        ] = "auto",  # of a table in a text file: comma, tab, semicolon, bar, space or a character; auto: by its name
        header: Annotated[
            bool, Where(path=False), Needs("file", "train")
        ] = True,  # the first line of such a file names the columns
        encoding: Annotated[str, Where(path=False), Needs("file", "train")] = "utf-8",  # encoding of a text file
        text_column: Annotated[str, Where(path=False), Needs("hub", "file", "train")] = "text",  # column of the texts
        solved_below: AtLeastZero = 0.0,  # bits per character that count as solved; 0: never
    ):
        self.text, self.window, self.held_out, self.solved_below = text, window, held_out, solved_below
        self.held_out_limit, self.validation_limit, self.stretch = held_out_limit, validation_limit, stretch
        reading, named = Reading(separator, header, encoding), (train, validation, test)
        given = None if text == "python_reference" else text
        self.place = own_place("char_lm", given, hub, file, config, revision, named, reading)
        self.column, self.name = text_column, self.place.name if self.place else f"text={text}"
        if text in PUBLISHED:
            check_columns(PUBLISHED[text].hub, SPLITS, [PUBLISHED[text].column], PUBLISHED[text].config)

    def look(self) -> None:
        if self.place:
            self.place.check([self.column])

    def prepare(self) -> None:
        if hasattr(self, "inputs"):
            return
        texts = self._own(self.place) if self.place else self._texts()
        if not self.place:
            self.sha256 = hashlib.sha256("".join(texts.values()).encode()).hexdigest() if texts else _digest(self.text)
        cut = None if self.text in PUBLISHED else [self.held_out, self.held_out_limit]
        key = {"version": self.version, "data": self.sha256, "held_out": cut}
        folder = cache_entry("char_lm", key, lambda part: self._make(part, texts))
        self.vocabulary = Vocabulary.load(folder / "vocabulary.json")
        self.inputs = self.targets = Tokens(len(self.vocabulary))
        self.dataset = read_streams(folder, self.window, self.name, "characters", self.validation_limit, self.stretch)

    @property
    def fingerprint(self) -> str:
        """A digest of the text; where `held_out_limit` cuts it elsewhere than the share alone would, of that cut too."""
        tokens = self.dataset.tokens
        by_share = int(sum(map(len, tokens.values())) * self.held_out)
        limited = self.text not in PUBLISHED and not self.place and 0 < self.held_out_limit < by_share
        return hashlib.sha256(f"{self.sha256} {self.held_out_limit}".encode()).hexdigest() if limited else self.sha256

    def _own(self, place: Place) -> dict[Split, str]:
        """The text of each split of a set of the user's, or of any of the hub's."""
        found, rows = own_texts(place, self.column)
        published = {split: "".join(row if row.endswith("\n") else row + "\n" for row in side) for split, side in rows.items()}
        self.sha256 = hashlib.sha256(json.dumps(list(published.items())).encode()).hexdigest()
        texts = completed_in_order(published, self._held(len(published["train"])))
        self.found = read_facts(found, rows, {split: len(text) for split, text in texts.items()}, "characters")
        self.notes = read_notes(place, found, self.found, "characters")
        return texts

    def _held(self, characters: int) -> int:
        """How many characters are cut off for validation, and for the test."""
        return min(int(characters * self.held_out), self.held_out_limit or characters)

    def _texts(self) -> dict[Split, str]:
        """The text of each split, where it comes from the hub or from Python; of a file, which may be large, none."""
        if self.text == "python_reference":
            whole = _topics()
            return {split: whole[begin:end] for split, (begin, end) in self._cuts(len(whole)).items()}
        if self.text not in PUBLISHED:
            return {}
        name, column, config, end = PUBLISHED[self.text]
        rows = {split: read_split(name, split, [column], config, "refs/convert/parquet") for split in SPLITS}
        return {split: "".join(line + end for line in rows[split][column].to_pylist()) for split in SPLITS}

    def _cuts(self, characters: int) -> dict[Split, tuple[int, int]]:
        """Where each split of a text begins and ends."""
        held_out = self._held(characters)
        edges = (0, characters - 2 * held_out, characters - held_out, characters)
        return {split: (edges[i], edges[i + 1]) for i, split in enumerate(SPLITS)}

    def _make(self, folder: Path, texts: Mapping[Split, str]) -> None:
        """Goes through a file several times, a few megabytes at a time, and never holds it."""
        if texts:
            lengths = {split: len(text) for split, text in texts.items()}
            pieces: dict[Split, Callable[[], Iterable[str]]] = {split: partial(iter, [text]) for split, text in texts.items()}
        else:
            cuts = self._cuts(sum(map(len, _pieces(self.text))))
            lengths = {split: end - begin for split, (begin, end) in cuts.items()}
            pieces = {split: partial(_pieces, self.text, *cut) for split, cut in cuts.items()}
        long_enough(lengths, self.window, self.name, "characters")
        counts: Counter[str] = Counter()
        for piece in pieces["train"]():
            counts.update(count_characters(piece))
        vocabulary = Vocabulary.build(counts, specials=(UNKNOWN,))
        vocabulary.save(folder / "vocabulary.json")

        def tokens(split: Split) -> Iterator[numpy.ndarray]:
            return (encode_characters(piece, vocabulary) for piece in pieces[split]())

        write_streams(folder, {split: (lengths[split], partial(tokens, split)) for split in SPLITS}, len(vocabulary))

    @property
    def floor(self) -> float:
        return self.dataset.floor / math.log(2)

    def finish(self, sums: Totals) -> dict[str, float]:
        scores = super().finish(sums)
        return {"bpc": scores["loss"] / math.log(2), "accuracy": scores["accuracy"]}

    def about(self) -> Facts:
        facts = {f"{split}_characters": len(tokens) for split, tokens in self.dataset.tokens.items()}
        licence = "that of your data" if self.place else LICENCES.get(self.text, "that of your file")
        facts["validation_characters_read"] = self.dataset.read_in_validation()
        own = {"found": self.found} if self.place else {}
        return {"sha256": self.sha256, "licence": licence, "vocabulary": len(self.vocabulary), **facts, **own}

    def encode(self, text: str) -> list[int]:
        return self.vocabulary.encode(text, strict=True)

    def decode(self, tokens: list[int]) -> str:
        return "".join("\N{REPLACEMENT CHARACTER}" if s == UNKNOWN else s for s in self.vocabulary.decode(tokens))


def _topics() -> str:
    from pydoc_data.topics import topics

    return "".join(topics[name] for name in sorted(topics))


def _digest(text: str) -> str:
    """The sha256 of a file; DataError, one line, where there is none that can be read."""
    allowed = f"{nearest(text, LICENCES)}; allowed: {', '.join(LICENCES)}, or the path of a UTF-8 file"
    path = user_file(text, f"text={text}", allowed)
    if not path.stat().st_size:
        raise DataError(f"text={text} is empty; allowed: a UTF-8 file of more than a window of characters a split")
    try:
        return content_digest(path)
    except OSError as error:
        raise DataError(f"text={text} cannot be read: {error.strerror}") from None


def _pieces(text: str, begin: int = 0, end: int | None = None) -> Iterator[str]:
    """Characters `begin` to `end` of a file, without its byte order mark, line ends as they are; DataError for no UTF-8."""
    decoder, at = codecs.getincrementaldecoder("utf-8-sig")(), 0
    with open(expanded(text), "rb") as file:
        while block := file.read(CHUNK):
            try:
                piece = decoder.decode(block, final=len(block) < CHUNK)
            except UnicodeDecodeError:
                file.seek(0)
                raise not_utf8(f"text={text}", file) from None
            yield piece[max(0, begin - at) : None if end is None else max(0, end - at)]
            at += len(piece)
            if end is not None and at >= end:
                return
