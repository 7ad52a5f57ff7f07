"""Intent: what does a request ask for?

    text     how would you say fly in italian
    tokens   19 33 7 41 1 12 215
    target   61                    (translate; answered once, after the last word)

`clinc/clinc_oos` (the configuration plus) has 150 intents and requests outside all of them, a class of its own: in test nearly
one of five. Its accuracy is over all requests; `in_scope_accuracy` and `oos_recall` are the two numbers of its paper. Published
splits are used; the others publish no validation split, so 5 % of their training texts, the same for every run, select. In ATIS
some test intents stand in no training text: they are classes of their own, which nothing is trained for.

Floor: accuracy on the test split of always answering the class that is the most frequent in training.

Best: none quoted for a network that is not pre-trained; tf-idf and a linear layer reach .816 (clinc) and .979 (snips).

Source: Larson et al. 2019, arXiv:1909.02027 (CLINC150, CC BY 3.0); Coucke et al. 2018, arXiv:1805.10190 (Snips); Casanueva et
al. 2020, arXiv:2003.04807 (Banking77, CC BY 4.0); Hemphill et al. 1990 (ATIS).

Data: CLINC150, Snips, Banking77, ATIS, from the hub.

Licence: CC BY 3.0 (CLINC150); none stated (Snips: CC0); CC BY 4.0 (Banking77); LDC (ATIS).

Needs: nothing; bpe the extra tokenizers, torchtext_basic_english the extra torchtext.

Group: text.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from torch import Tensor

from rnnbench.data.cache import cache_entry
from rnnbench.data.hub import check_columns, read_split
from rnnbench.data.tables import table_digest
from rnnbench.options import Positive, Range, Share, Where

from .shared.facts import load_facts, save_facts
from .shared.labels import first_place, numbered, split_row
from .shared.rows import Cut, Rows, Texts, completed, use_rows, write_texts
from .shared.vectors import Vectors
from .task import SPLITS, Batch, Facts, Split, Sums, Task, Totals, correct

if TYPE_CHECKING:
    import pyarrow


class IntentSource(NamedTuple):
    label: str  # column
    licence: str
    published: tuple[Split, ...] = ("train", "test")
    config: str | None = None
    outside: str | None = None  # the class of requests outside all intents


SOURCES = {
    "clinc/clinc_oos": IntentSource("intent", "CC BY 3.0", SPLITS, "plus", "42"),
    "benayas/snips": IntentSource("category", "none stated (Snips: CC0)"),
    "mteb/banking77": IntentSource("label", "CC BY 4.0"),
    "tuetschek/atis": IntentSource("intent", "LDC (distributed for research)"),
}


class Intent(Task):
    version = 1
    structure = "N->1"
    causal = False
    headline = "accuracy"
    direction = "max"

    def __init__(
        self,
        hub: Literal[  # id on the Hugging Face hub
            "clinc/clinc_oos", "benayas/snips", "mteb/banking77", "tuetschek/atis"
        ] = "clinc/clinc_oos",
        tokenizer: Literal[  # tokenizer; bpe and torchtext_basic_english need an extra
            "basic_english", "whitespace", "characters", "bytes", "bpe", "torchtext_basic_english"
        ] = "basic_english",
        min_frequency: Positive = 2,  # smallest number of occurrences of a word in the vocabulary
        max_vocabulary: Annotated[int, Range(3)] = 30000,  # largest vocabulary, <pad> and <unk> included
        max_length: Positive = 100,  # largest number of words; longer texts are cut
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
        check_columns(hub, self._source.published, ["text", self._source.label], self._source.config)

    def prepare(self) -> None:
        if hasattr(self, "inputs"):
            return
        source = self._source
        tables = {split: read_split(self.hub, split, ["text", source.label], source.config) for split in source.published}
        self.sha256 = table_digest(*tables.values())
        key = {"version": self.version, "data": self.sha256, "published": list(tables), "cut": list(self.cut)}
        folder = cache_entry("intent", key, lambda part: self._make(part, tables))
        self.classes = load_facts(folder)["classes"]
        self._outside = self.classes.index(source.outside) if source.outside in self.classes else -1
        self.vocabulary = use_rows(self, Rows(folder, len(self.classes), self.order == "shuffled"))

    def _make(self, folder: Path, tables: Mapping[Split, pyarrow.Table]) -> None:
        columns = {split: rows[self._source.label].to_pylist() for split, rows in tables.items()}
        texts = {split: rows["text"].to_pylist() for split, rows in tables.items()}
        where = partial(split_row, self.hub)
        classes, labels = numbered(columns, where, strangers=True)
        parts = completed({split: Texts(texts[split], labels[split]) for split in tables})
        write_texts(folder, self.cut, parts, lambda text: first_place(text, texts, where))
        save_facts(folder, {"classes": classes})

    def score(self, outputs: Tensor, batch: Batch) -> Sums:
        outside = (batch.targets == self._outside) & batch.scored
        found = (outside & correct(outputs, batch)).sum()
        counts = {"outside": outside.sum().double(), "outside_correct": found.double()}
        return super().score(outputs, batch) | counts

    def finish(self, sums: Totals) -> dict[str, float]:
        scores = super().finish(sums)
        if sums["outside"]:
            inside = sums["answers"] - sums["outside"]
            scores["in_scope_accuracy"] = (sums["correct"] - sums["outside_correct"]) / inside if inside else 0.0
            scores["oos_recall"] = sums["outside_correct"] / sums["outside"]
        return scores

    def about(self) -> Facts:
        facts = {"sha256": self.sha256, "licence": self._source.licence, "classes": len(self.classes)}
        return {**facts, **self.dataset.about()}
