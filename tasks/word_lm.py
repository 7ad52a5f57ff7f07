"""Word language model: the next word, from all that came before.

    inputs   no it was n't black monday <eos> but      (window = 8)
    targets  it was n't black monday <eos> but while   (each step is scored)

`text` is `ptb` (929,589 words to train on, 10,000 of them different), `wikitext2` (2,088,628 and 33,278), both with their
published splits, or the path of a UTF-8 file, which is cut in the order it stands: train, then `held_out` of its lines for
validation, then as many for test. A line ends with `<eos>`; a word that training text lacks is `<unk>`, and is scored as
that. PTB is lower case without punctuation, its numbers are `N`, and its rare words were `<unk>` before anybody saw them.

Training cuts the text into one row a sequence of the batch and walks them side by side, a window at a time; the state is
carried from batch to batch, and gradients stop at a window's edge. A row begins anew, without a state, after `stretch` windows
at most, with `stretch=0` at the beginning of each epoch only, as in the code of Zaremba et al. 2014. Validation and test are
walked in 10 rows, whatever the batch size; a part of more than 500,000 words in 100 rows. Test is read whole: every word but
the first is scored once, `<eos>` among them. So is validation, up to `validation_limit` words (100,000 where it has more than
500,000); of a longer part the beginning of each row is read, evenly spaced stretches that never change. Perplexity is exp of
the mean nats a word.

`hub`, `file`, `train`, `validation` and `test` name texts in place of `text`: the column `text_column` of any set of the hub
or of your tables, as for text_classification, or .txt files (`task.train=train.txt task.test=test.txt`). Their splits are
used. A split that is missing is cut from the end of the training text; a validation split alone is the test. Each
line of a row ends with `<eos>`.

Floor: perplexity of the training part's word frequencies (one added to each count), over the test part.

Best: ptb 56.5 for an LSTM (AWD-LSTM, Merity et al. 2017, arXiv:1708.02182); 115 for the small one of Zaremba et al.

Source: Mikolov et al. 2010; Zaremba, Sutskever & Vinyals 2014, arXiv:1409.2329 (PTB: Marcus et al. 1993, LDC); Merity et al.
2016, arXiv:1609.07843 (WikiText-2, CC BY-SA 3.0).

Data: ptb and wikitext2, from the hub; any file.

Licence: LDC user agreement (ptb); CC BY-SA 3.0 (wikitext2); that of your file.

Needs: nothing; jieba the extra zh.

Group: text.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy

from rnnbench.data.cache import cache_entry
from rnnbench.data.hub import check_columns, read_split
from rnnbench.data.sets import Place
from rnnbench.data.table_files import Reading
from rnnbench.data.tables import DataError
from rnnbench.data.text import UNKNOWN, Vocabulary, tokenizer
from rnnbench.data.user_files import content_digest, cut_before, opened, text_file, text_lines, user_file
from rnnbench.options import AtLeastZero, Count, Needs, Positive, Range, Where, amount, nearest

from .shared.own_texts import own_place, own_texts, read_facts, read_notes
from .shared.rows import completed_in_order
from .shared.streams import CHUNK, Streams, long_enough, read_streams, write_streams
from .shared.vectors import Vectors
from .shared.words import WrittenVocabulary, chosen_vocabulary, vocabulary_key, vocabulary_notes
from .task import LANGUAGE, SPLITS, Facts, Split, Task, Tokens

END = "<eos>"


class PublishedWords(NamedTuple):
    hub: str  # id
    column: str
    config: str
    revision: str | None
    licence: str


PUBLISHED = {
    "ptb": PublishedWords(
        "ptb-text-only/ptb_text_only",
        "sentence",
        "penn_treebank",
        "refs/convert/parquet",
        "LDC user agreement (this part is distributed for research)",
    ),
    "wikitext2": PublishedWords("Salesforce/wikitext", "text", "wikitext-2-v1", None, "CC BY-SA 3.0"),
}


class WordLM(Task):
    version = 1
    structure = "N->N"
    causal = True
    headline = "perplexity"
    direction = "min"
    generates = True
    carries = True

    scoring = LANGUAGE
    dataset: Streams

    def __init__(
        self,
        text: Annotated[
            str, Where(besides=("ptb", "wikitext2"))
        ] = "ptb",  # ptb or wikitext2 (from the hub), or the path of a UTF-8 file
        tokenizer: Literal[  # tokenizer of a file; published texts are tokenized already; jieba needs the extra zh
            "whitespace", "basic_english", "characters", "jieba"
        ] = "whitespace",
        window: Positive = 35,  # words per window of truncated backpropagation
        min_frequency: Annotated[Positive, Needs("vocabulary", values=(None,))] = 1,  # smallest number of occurrences of a word
        max_vocabulary: Annotated[int, Range(2), Needs("vocabulary", values=(None,))] = 50000,  # words, special ones included
        vocabulary: Annotated[
            str | None, Where()
        ] = None,  # vocabulary in place of the training text's: a file with a token a line, or a JSON list of them
        vectors: Annotated[
            str | None, Where()
        ] = None,  # file of pretrained word vectors (GloVe, text); network.embedding is their size
        held_out: Annotated[
            float, Range(0, 0.5, open_low=True, open_high=True), Needs("text", besides=("ptb", "wikitext2"))
        ] = 0.05,  # share of a file for validation, and the same for test
        validation_limit: Count = 0,  # largest number of words read for validation; 0: 100,000 of a part above 500,000
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
        solved_below: AtLeastZero = 0.0,  # perplexity that counts as solved; 0: never
    ):
        self.text, self.tokenizer, self.window, self.held_out = text, tokenizer, window, held_out
        self.min_frequency, self.max_vocabulary, self.solved_below = min_frequency, max_vocabulary, solved_below
        self.validation_limit, self.stretch = validation_limit, stretch
        self.vectors = Vectors(vectors) if vectors else None
        self.own_vocabulary = WrittenVocabulary(vocabulary, (UNKNOWN, END)) if vocabulary else None
        reading, named = Reading(separator, header, encoding), (train, validation, test)
        self.place = own_place("word_lm", None if text == "ptb" else text, hub, file, config, revision, named, reading)
        self.column, self.name = text_column, self.place.name if self.place else f"text={text}"
        if text in PUBLISHED and not self.place:
            check_columns(PUBLISHED[text].hub, SPLITS, [PUBLISHED[text].column], PUBLISHED[text].config)

    def look(self) -> None:
        if self.place:
            self.place.check([self.column])

    def prepare(self) -> None:
        if hasattr(self, "inputs"):
            return
        own = self._own(self.place) if self.place else {}
        published = own or self._published()
        if own:
            self.sha256 = hashlib.sha256(json.dumps(list(own.items())).encode()).hexdigest()
        elif published:
            texts = "\0".join("\n".join(rows) for rows in published.values())
            self.sha256 = hashlib.sha256(texts.encode()).hexdigest()
        else:
            self.sha256 = self._digest()
        key = {"version": self.version, "data": self.sha256, "cut": [self.tokenizer, self.min_frequency, self.max_vocabulary]}
        key |= {"held_out": None if published and not own else self.held_out}
        key |= vocabulary_key(self.own_vocabulary)
        folder = cache_entry("word_lm", key, lambda part: self._make(part, published))
        self.vocabulary = Vocabulary.load(folder / "vocabulary.json")
        self.inputs = self.targets = Tokens(len(self.vocabulary))
        self.dataset = read_streams(folder, self.window, self.name, "words", self.validation_limit, self.stretch)
        if self.place:
            sizes = {split: len(part) for split, part in self.dataset.tokens.items()}
            self.found = read_facts(self._read, self._rows, sizes, "words")
            self.notes = read_notes(self.place, self._read, self.found, "words")
        counts = self.dataset.counts["train"]
        self.notes = [*self.notes, *vocabulary_notes(self.own_vocabulary, self.vocabulary, counts)]

    def _own(self, place: Place) -> dict[Split, list[str]]:
        """The lines of each split of a set of the user's, or of any of the hub's."""
        self._read, self._rows = own_texts(place, self.column)
        lines = {split: [line for row in side for line in text_lines(row) or [""]] for split, side in self._rows.items()}
        return completed_in_order(lines, int(len(lines["train"]) * self.held_out))

    def _published(self) -> dict[Split, list[str]]:
        """The lines of each split, from the hub; of a file, which may be large, none."""
        if self.text not in PUBLISHED:
            return {}
        name, column, config, revision, _ = PUBLISHED[self.text]
        return {split: read_split(name, split, [column], config, revision)[column].to_pylist() for split in SPLITS}

    def _digest(self) -> str:
        """The sha256 of the file; DataError, one line, where there is none that can be read."""
        allowed = f"{nearest(self.text, PUBLISHED)}; allowed: {', '.join(PUBLISHED)}, or the path of a UTF-8 file"
        path = user_file(self.text, f"text={self.text}", allowed)
        try:
            digest = content_digest(path)
            with opened(path, self.name) as content:
                return hashlib.sha256(f"{digest} lines".encode()).hexdigest() if cut_before(content) else digest
        except OSError as error:
            raise DataError(f"text={self.text} cannot be read: {error.strerror}") from None

    def _lines(self, begin: int = 0, end: int | None = None) -> Iterator[str]:
        """Lines `begin` to `end` of the file, one at a time."""
        with text_file(self.text, f"text={self.text}", newline=None) as file:
            yield from islice((line.removesuffix("\n") for line in file), begin, end)

    def _make(self, folder: Path, published: Mapping[Split, list[str]]) -> None:
        """Goes through a file several times, line by line, and never holds it."""
        lines: dict[Split, Callable[[], Iterable[str]]] = {split: partial(iter, rows) for split, rows in published.items()}
        if not lines:
            total = sum(1 for _ in self._lines())
            held = int(total * self.held_out)
            if not held:
                raise DataError(f"text={self.text} has {amount(total, 'line')}; held_out={self.held_out} of them are none")
            edges = (0, total - 2 * held, total - held, total)
            lines = {split: partial(self._lines, edges[i], edges[i + 1]) for i, split in enumerate(SPLITS)}
        cut, counts, lengths = tokenizer(self.tokenizer), Counter[str](), dict.fromkeys(SPLITS, 0)
        for split in SPLITS:
            for line in lines[split]():
                words = (*cut(line), END)
                lengths[split] += len(words)
                if split == "train":
                    counts.update(words)
        limits = self.min_frequency, self.max_vocabulary
        vocabulary = chosen_vocabulary(self.own_vocabulary, counts, *limits, (UNKNOWN,))
        vocabulary.save(folder / "vocabulary.json")

        def tokens(split: Split) -> Iterator[numpy.ndarray]:
            words = (word for line in lines[split]() for word in (*cut(line), END))
            while chunk := vocabulary.encode(islice(words, CHUNK)):
                yield numpy.array(chunk)

        long_enough(lengths, self.window, self.name, "words")
        write_streams(folder, {split: (lengths[split], partial(tokens, split)) for split in SPLITS}, len(vocabulary))

    @property
    def floor(self) -> float:
        return math.exp(self.dataset.floor)

    def about(self) -> Facts:
        facts = {f"{split}_words": len(tokens) for split, tokens in self.dataset.tokens.items()}
        licence = PUBLISHED[self.text].licence if self.text in PUBLISHED else "that of your file"
        licence = "that of your data" if self.place else licence
        facts["validation_words_read"] = self.dataset.read_in_validation()
        own = {"found": self.found} if self.place else {}
        return {"sha256": self.sha256, "licence": licence, "vocabulary": len(self.vocabulary), **facts, **own}

    def encode(self, text: str) -> list[int]:
        return self.vocabulary.encode(tokenizer(self.tokenizer)(text), strict=True)

    def decode(self, tokens: list[int]) -> str:
        between = "" if self.tokenizer in ("characters", "jieba") else " "
        return "".join("\n" if word == END else between + word for word in self.vocabulary.decode(tokens))
