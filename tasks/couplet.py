"""Couplet: the second line of a couplet, from the first, character under character.

    inputs   清 洛 平 分 兩 岸 沙
    targets  沙 邊 水 色 近 人 家      (each step is scored)

A line of a Chinese couplet answers the one above it in every place: as long, a noun under a noun, and its characters its own.
A step sees the whole first line, and the second line's characters are guessed each by itself: this is the aligned form, not a
language model. `data` is `tang_couplets` (212,876 couplets of 5 or 7 characters a line to train on), looked for as
`local/<name>`, or a folder that holds `<split>-*.parquet` with the columns `first` and `second`.

Beside perplexity and accuracy, the lines of the likeliest characters are held against the rules: `repeats` is the share of
them that use a character twice, `borrows` the share that use one of the first line's, each where the real line does not;
`rhymes` (with `rhymes=true`; extra `zh`) is the share whose last character has the rhyme of the real one, in today's
Mandarin.

Floor: perplexity of the characters of the training second lines by their shares (one added to each count), over the test split.

Best: none known: the pairs and their split are our own.

Source: the poems of 全唐詩 as in chinese-poetry (MIT; the poems are in the public domain), lines X，Y。 of equal length.

Data: tang_couplets, 229,708 couplets, from a mirror; a folder of parquet files.

Licence: MIT (chinese-poetry); the poems are in the public domain.

Needs: nothing; rhymes the extra zh.

Group: text.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy
import torch
from torch import Tensor

from rnnbench.data.cache import cache_entry
from rnnbench.data.hub import check_columns, read_split
from rnnbench.data.tables import DataError, check_text, table_digest
from rnnbench.data.text import UNKNOWN, Ragged, Vocabulary, need
from rnnbench.data.user_files import expanded
from rnnbench.options import AtLeastZero, Positive, Range, amount, nearest

from .shared.facts import kept_words, load_facts, save_facts
from .shared.rows import Cut, Rows, use_rows, write_rows
from .shared.words import built_vocabulary
from .task import LANGUAGE, SPLITS, Batch, Facts, Kept, Split, Sums, Task, Tokens, Totals

if TYPE_CHECKING:
    import pyarrow


NAMES = ("tang_couplets",)
LICENCE = "MIT (chinese-poetry); the poems are in the public domain"


class Couplet(Task):
    version = 1
    structure = "N->N"
    causal = False
    answers = True
    headline = "perplexity"
    direction = "min"

    scoring = LANGUAGE

    def __init__(
        self,
        data: str = "tang_couplets",  # tang_couplets, or a folder of parquet files with the columns first and second
        min_frequency: Positive = 2,  # smallest number of occurrences of a character in the vocabulary
        max_vocabulary: Annotated[int, Range(3)] = 30000,  # largest vocabulary, <pad> and <unk> included
        rhymes: bool = False,  # also score rhymes; needs the extra zh
        solved_below: AtLeastZero = 0.0,  # perplexity that counts as solved; 0: never: there is no one second line
    ):
        self.data, self.rhymes, self.solved_below = data, rhymes, solved_below
        self.cut = Cut("characters", min_frequency, max_vocabulary, 10**6)
        if data not in NAMES and not expanded(data).is_dir():
            raise DataError(
                f"data={data}: there is no such folder{nearest(data, NAMES)}; allowed: {', '.join(NAMES)}, or a folder"
            )
        self.name = f"local/{data}" if data in NAMES else str(expanded(data).absolute())
        check_columns(self.name, SPLITS, ["first", "second"])

    def prepare(self) -> None:
        if hasattr(self, "inputs"):
            return
        tables = {split: read_split(self.name, split, ["first", "second"]) for split in SPLITS}
        for split, lines in tables.items():
            check_text(lines, f"{self.data}: split {split!r}", ["first", "second"])
        self.sha256 = table_digest(*tables.values())
        key = {"version": self.version, "data": self.sha256, "cut": list(self.cut), "rhymes": self.rhymes}
        folder = cache_entry("couplet", key, lambda part: self._make(part, tables))
        facts = load_facts(folder)
        self.characters = Vocabulary(facts["characters"])  # of second lines
        self._log_shares = numpy.log(numpy.array(facts["counts"]) / sum(facts["counts"]))
        rows = Rows(folder, len(self.characters))
        self.vocabulary = use_rows(self, rows)
        numbers = [self.characters.numbers.get(symbol, -1) for symbol in self.vocabulary.symbols]
        self._above = torch.tensor(numbers)  # a first line's, as a second's
        self._floor = math.exp(-self._log_shares[rows.token_answers("test").values].mean())
        self._rhyme = torch.tensor(facts["rhymes"]) if self.rhymes else None

    def _make(self, folder: Path, tables: Mapping[Split, pyarrow.Table]) -> None:
        lines = {split: [rows[column].to_pylist() for column in ("first", "second")] for split, rows in tables.items()}
        for split, pairs in lines.items():
            for number, (first, second) in enumerate(zip(*pairs, strict=True), 1):
                if len(first) != len(second) or not first:
                    raise DataError(
                        f"{self.data}: split {split!r} row {number} has lines of {len(first)} and "
                        f"{amount(len(second), 'character')}; allowed: equally many, at least 1"
                    )
        counts = Counter("".join(lines["train"][1]))
        kept = built_vocabulary(counts, self.cut.min_frequency, self.cut.max_vocabulary, (UNKNOWN,))
        answers = {split: Ragged.of([kept.encode(line) for line in pairs[1]]) for split, pairs in lines.items()}
        write_rows(folder, self.cut, {split: [list(line) for line in pairs[0]] for split, pairs in lines.items()}, answers)
        seen = numpy.bincount(answers["train"].values, minlength=len(kept)) + 1
        rhymes = _rhymes(kept.symbols) if self.rhymes else []
        save_facts(folder, {"characters": kept.symbols, "counts": seen.tolist(), "rhymes": rhymes})

    @property
    def floor(self) -> float:
        return self._floor

    def floor_guess(self, batch: Batch) -> Tensor:
        return torch.from_numpy(self._log_shares).to(batch.targets.device).expand(*batch.targets.shape, -1)

    def score(self, outputs: Tensor, batch: Batch) -> Sums:
        guessed, scored = outputs.argmax(-1), batch.scored
        above = self._above.to(guessed.device)[batch.inputs]
        borrows = _meets(guessed, above, scored) & ~_meets(batch.targets, above, scored)
        sums = {
            "lines": scored.any(1).sum(),
            "repeats": (_repeats(guessed, scored) & ~_repeats(batch.targets, scored)).sum(),
            "borrows": borrows.sum(),
        }
        if self._rhyme is not None:
            rhyme = self._rhyme.to(guessed.device)
            last = (batch.lengths - 1).unsqueeze(1)
            ours, theirs = (rhyme[line.gather(1, last)] for line in (guessed, batch.targets))
            sums["rhymes"] = ((ours == theirs) & (theirs >= 0) & scored.gather(1, last)).sum()
        return super().score(outputs, batch) | {name: count.double() for name, count in sums.items()}

    def finish(self, sums: Totals) -> dict[str, float]:
        shares = {name: sums[name] / sums["lines"] for name in ("repeats", "borrows", "rhymes") if name in sums}
        return super().finish(sums) | shares

    def keep(self) -> Kept:
        return {"above": self.vocabulary.symbols, "below": self.characters.symbols}

    def restore(self, kept: Kept) -> None:
        self.vocabulary, self.characters = kept_words(kept, "above"), kept_words(kept, "below")
        self.inputs, self.targets = Tokens(len(self.vocabulary)), Tokens(len(self.characters))

    def ask(self, text: str) -> Batch:
        line = text.strip()
        if not line:
            raise ValueError("an empty prompt; there is no line to answer")
        above, true = torch.tensor([self.vocabulary.encode(line)]), torch.ones(1, len(line), dtype=torch.bool)
        return Batch(above, torch.zeros_like(above), true, torch.tensor([len(line)]), true[0, :1])

    def answered(self, batch: Batch, written: Tensor) -> list[dict[str, str]]:
        found = []
        sides = (batch.inputs, written, batch.targets)
        for above, ours, theirs, length in zip(*(side.tolist() for side in sides), batch.lengths.tolist(), strict=True):
            read = self.vocabulary.decode(above[:length])
            wrote, wanted = (self.characters.decode(side[:length]) for side in (ours, theirs))
            found.append({"read": "".join(read), "written": "".join(wrote), "wanted": "".join(wanted)})
        return found

    def about(self) -> Facts:
        licence = LICENCE if self.data in NAMES else "that of your data"
        return {"sha256": self.sha256, "licence": licence, "characters": len(self.characters), **self.dataset.about()}


def _repeats(lines: Tensor, scored: Tensor) -> Tensor:
    """(B,) bool: lines with a character in two places."""
    same = (lines.unsqueeze(1) == lines.unsqueeze(2)) & scored.unsqueeze(1) & scored.unsqueeze(2)
    return same.sum((1, 2)) > scored.sum(1)


def _meets(lines: Tensor, others: Tensor, scored: Tensor) -> Tensor:
    """(B,) bool: lines with a character that the other line has, anywhere."""
    same = lines.unsqueeze(1) == others.unsqueeze(2)
    return (same & scored.unsqueeze(1) & scored.unsqueeze(2)).any(-1).any(-1)


def _rhymes(characters: tuple[str, ...]) -> list[int]:
    """A number for each character's rhyme, its final in today's Mandarin; -1 where it has none."""
    pypinyin = need("pypinyin", "zh")
    numbers: dict[str, int] = {"": -1}
    finals = [pypinyin.pinyin(c, style=pypinyin.Style.FINALS, errors="ignore") if len(c) == 1 else [] for c in characters]
    return [numbers.setdefault(final[0][0] if final else "", len(numbers)) for final in finals]
