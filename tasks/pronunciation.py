"""Pronunciation: read how a word is written, then write how it is spoken.

    source   k n i g h t            一 不 小 心
    inputs   $ N AY T               $ y í _ b ù _ x i ǎ o _ x ī n      ($ starts; while training, the true symbols are fed)
    targets  N AY T $               y í _ b ù _ x i ǎ o _ x ī n $      ($ ends)

`data=cmudict`: the 126,052 words of CMUdict, inside the package of that name (extra `g2p`), and their phonemes: 39, and with
`stress` each vowel with its stress, of which the papers have none. `data=pypinyin`: the 47,111 phrases inside the package
pypinyin (extra `zh`), to letters that bear their tones; _ is a space, a symbol like the others. 10 % of the words are the test,
5 % select, the same for every run; all pronunciations of a word stand in one split. Each of them is a row to train on; a word
that is tested is one row.

`phoneme_error_rate`: insertions, deletions and replacements, divided by the symbols of the references; `word_error_rate`: words
that are not right as a whole. Where a word has several pronunciations, the one with the fewest edits is the reference, the
first of equals. Papers use an older CMUdict and other splits: near, not the same (Yao & Zweig 2015, arXiv:1506.00196, report
.0545 and .2355).

Floor: phoneme error rate on the test split of always writing one string; single edits, the best each time, lead to it from the
empty one, by the edits to 400 training rows.

Best: cmudict, older and split otherwise: .0469 (Toshniwal & Livescu 2016), .0545 (Yao & Zweig 2015).

Source: CMUdict, Carnegie Mellon University (BSD; the package around it, GPL 3, is not imported); pypinyin, phrases_dict.json
(MIT).

Data: CMUdict, inside the package cmudict (126,052 words); pypinyin's phrases (47,111); a file in CMUdict's form.

Licence: BSD (CMUdict); MIT (pypinyin).

Needs: the extra g2p (cmudict) or zh (pypinyin).

Group: text.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Annotated

import numpy
from torch import Tensor

from rnnbench.data.cache import cache_entry
from rnnbench.data.tables import DataError
from rnnbench.data.user_files import BYTE_ORDER_MARK, cut_before, not_utf8, text_lines, user_file
from rnnbench.options import Needs, Share, amount, nearest, shortened

from .shared.facts import load_facts, save_facts
from .shared.floors import edits, fewest_edits
from .shared.pairs import PairPart, Pairs, Side, asked_rows, sums, use_pairs, write_pairs
from .shared.rows import HELD_OUT, held_out
from .task import WRITING, Batch, Facts, Kept, Split, Sums, Task, Totals

FILES = {"cmudict": "cmudict/data/cmudict.dict", "pypinyin": "pypinyin/phrases_dict.json"}
EXTRAS = {"cmudict": "g2p", "pypinyin": "zh"}
LICENCES = {"cmudict": "BSD (Carnegie Mellon University)", "pypinyin": "MIT"}
COUNTED = ("edits", "phonemes", "wrong", "words")
Spoken = dict[str, Side]  # the pronunciations of each word


class Pronunciation(Task):
    version = 1
    structure = "N->M"
    causal = False
    answers = True
    headline = "phoneme_error_rate"
    direction = "min"

    scoring = WRITING
    dataset: Pairs

    def __init__(
        self,
        data: str = "cmudict",  # cmudict: English, extra g2p; pypinyin: Chinese, extra zh; or a file in CMUdict's form
        stress: Annotated[bool, Needs("data", besides=("pypinyin",))] = False,  # vowels with stress marks, such as AH0 and AH1
        solved_below: Share = 0.0,  # phoneme error rate that counts as solved; 0: never
    ):
        self.data, self.stress, self.solved_below = data, stress, solved_below
        allowed = f"{nearest(data, FILES)}; allowed: {', '.join(FILES)}, or a file"
        self._path = user_file(str(_inside(data)) if data in FILES else data, f"data={data}", allowed)

    def prepare(self) -> None:
        if hasattr(self, "inputs"):
            return
        content = self._path.read_bytes() if self.data == "pypinyin" else without_remarks(self._path.read_bytes())
        self.sha256 = hashlib.sha256(content).hexdigest()
        if self.data != "pypinyin" and cut_before(io.BytesIO(content)):
            self.sha256 = hashlib.sha256(f"{self.sha256} lines".encode()).hexdigest()
        key = {"version": self.version, "data": self.sha256, "phrases": self.data == "pypinyin", "stress": self.stress}
        folder = cache_entry("pronunciation", key, lambda part: self._make(part, content))
        use_pairs(self, Pairs(folder, load_facts(folder)))

    def _make(self, folder: Path, content: bytes) -> None:
        spoken = (
            chinese_phrases(json.loads(content)) if self.data == "pypinyin" else english_words(content, self.stress, self.data)
        )
        if len(spoken) < 3:
            raise DataError(f"{self.data} has {amount(len(spoken), 'word')}; at least 3 are needed")
        texts = numpy.array(sorted(spoken))
        test = held_out(texts.tolist(), 0.1)
        rest = texts[~test]
        selects = held_out(rest.tolist(), HELD_OUT / 0.9)
        parts: dict[Split, PairPart] = {}
        for split, chosen in (("train", rest[~selects]), ("validation", rest[selects]), ("test", texts[test])):
            rows = [(list(word), one) for word in chosen.tolist() for one in spoken[word][: None if split == "train" else 1]]
            references = [spoken[word] for word in chosen.tolist()] if split != "train" else []
            parts[split] = PairPart([word for word, _ in rows], [one for _, one in rows], references)  # type: ignore[index]
        write_pairs(folder, parts)
        pairs = Pairs(folder)
        guess = fewest_edits(pairs.targets["train"])
        symbols = pairs.written.decode(guess)
        wrong, phonemes, *_ = numpy.sum([counted(symbols, several) for several in pairs.references["test"]], 0)
        save_facts(folder, {"guess": guess, "floor": wrong / phonemes})

    def score_written(self, written: Tensor, batch: Batch) -> Sums:
        own = self.dataset.symbols(batch.targets)  # of training rows, which have no other reference
        found = zip(self.dataset.symbols(written), self.dataset.references_of(batch), own, asked_rows(batch), strict=True)
        total = numpy.zeros(len(COUNTED))
        for symbols, known, target, counts in found:
            if counts:
                total += numpy.mean([counted(symbols, several) for several in known or [[target]]], 0)
        return sums(dict(zip(COUNTED, total.tolist(), strict=True)), written)

    def finish(self, sums: Totals) -> dict[str, float]:
        return {
            "phoneme_error_rate": sums["edits"] / sums["phonemes"],
            "word_error_rate": sums["wrong"] / sums["words"],
            **super().finish(sums),
        }

    def encode(self, text: str) -> list[int]:
        """The numbers that are read for a word."""
        return self.dataset.read.encode(text.lower())

    def decode(self, tokens: list[int]) -> str:
        """What was written."""
        symbols = self.dataset.written.decode(tokens[: tokens.index(0)] if 0 in tokens else tokens)
        return ("" if self.data == "pypinyin" else " ").join(symbols)

    def keep(self) -> Kept:
        return self.dataset.keep()

    def restore(self, kept: Kept) -> None:
        use_pairs(self, Pairs.restored(kept))

    def ask(self, text: str) -> Batch:
        return self.dataset.ask(self.encode(text))

    def answered(self, batch: Batch, written: Tensor) -> list[dict[str, str]]:
        return self.dataset.answered(batch, written, self.decode, "")

    def about(self) -> Facts:
        return {"sha256": self.sha256, "licence": LICENCES.get(self.data, "that of your data"), **self.dataset.about()}


def counted(written: list[str], pronunciations: Sequence[list[str]]) -> tuple[int, int, int, int]:
    """(edits to the nearest pronunciation, its symbols, whether there are any edits, 1)."""
    wrong, phonemes = min(((edits(written, one), len(one)) for one in pronunciations), key=lambda found: found[0])
    return wrong, phonemes, int(wrong > 0), 1


def _inside(package: str) -> Path:
    """The file with the pronunciations in an installed package."""
    try:
        return Path(str(distribution(package).locate_file(FILES[package])))
    except PackageNotFoundError:
        raise DataError(f"{package} is not installed; pip install 'rnnbench[{EXTRAS[package]}]'") from None


def without_remarks(content: bytes) -> bytes:
    """A file in CMUdict's form without its byte order mark; a line that begins with `;;;` is a remark and becomes empty."""
    return re.sub(rb"(?<![^\r\n]);;;[^\r\n]*", b"", content.removeprefix(BYTE_ORDER_MARK))


def english_words(content: bytes, stress: bool, where: str) -> Spoken:
    """The words of CMUdict: `either(2) IY1 DH ER0 # a remark` is another pronunciation of `either`."""
    try:
        lines = text_lines(content.decode("utf-8"))
    except UnicodeDecodeError:
        raise not_utf8(where, content.split(b"\n")) from None
    spoken: Spoken = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        word, *phonemes = line.split(" #")[0].split() or [""]
        if not phonemes:
            raise DataError(
                f"{where}: line {number} has a word and no phoneme: {shortened(line)!r}; expected WORD PHONEME PHONEME ..., "
                "or a remark that begins with ;;;"
            )
        one = phonemes if stress else [phoneme.rstrip("012") for phoneme in phonemes]
        several = spoken.setdefault(re.sub(r"\(\d+\)$", "", word), [])
        if one not in several:
            several.append(one)
    return spoken


def chinese_phrases(content: Mapping[str, list[list[str]]]) -> Spoken:
    """The phrases of pypinyin, in letters; where a character has two readings, the phrase has both."""
    return {phrase: [list(" ".join(one)) for one in itertools.product(*syllables)] for phrase, syllables in content.items()}
