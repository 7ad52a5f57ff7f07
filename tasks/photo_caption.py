"""Photo caption: look at a photograph, then write a sentence about it.

    source   32 steps, each a row of 32 pixels in three colours
    inputs   $ a dog runs in the snow .       ($ starts; while training, the true words are fed)
    targets  a dog runs in the snow . $       ($ ends)

Each photograph has five captions. In training each of them is a row; a photograph that is tested is one row, whose `loss` is
of its first caption, and whose BLEU is by all five: what stands in any of them is right. Photographs are made `side` pixels
wide and high, once, and are never trained on as they came: nothing pre-trained looks at them, so that BLEU stays far below
that of papers. Words are in lower case, cut at white space and at punctuation.

Floor: BLEU on the test split of always writing the training caption that has the highest BLEU over the training rows.

Best: none quoted: no paper looks at photographs without a network that was trained on others.

Source: Hodosh, Young & Hockenmaier 2013 (Flickr8k), as jxie/flickr8k; 1->N as in Vinyals et al. 2015, arXiv:1411.4555.

Data: flickr8k, from the hub: 6,000, 1,000 and 1,000 photographs, published splits; any set with such columns.

Licence: none stated (Flickr8k: research use).

Needs: the extra pictures.

Group: pictures.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy
import torch
from torch import Tensor

from rnnbench.data.cache import cache_entry, read_arrays, write_arrays
from rnnbench.data.hub import check_columns, read_split
from rnnbench.data.tables import DataError
from rnnbench.data.text import UNKNOWN, Ragged, Vocabulary, basic_english, batches_of, need, rows_of
from rnnbench.options import AtLeastZero, Positive

from .shared.bleu import COUNTED, bleu_counts, bleu_scores
from .shared.facts import load_facts, save_facts
from .shared.floors import most_bleu
from .shared.pairs import END, NO_PICTURE, always, asked_rows, cut_at_end, show_pictures, sums, to_write
from .shared.words import built_vocabulary, little_covered
from .task import SPLITS, WRITING, Batch, Facts, Reals, Split, Sums, Task, Tokens, Totals

if TYPE_CHECKING:
    import pyarrow


CAPTIONS = tuple(f"caption_{number}" for number in range(5))  # columns
COLUMNS = ["image", *CAPTIONS]


class PhotoCaption(Task):
    version = 2
    structure = "1->N"
    causal = False
    answers = True
    headline = "bleu"
    direction = "max"
    most = 100.0
    unit = "of 100"

    scoring = WRITING

    def __init__(
        self,
        hub: str = "jxie/flickr8k",  # id on the hub, or a folder, with the columns image and caption_0 to caption_4
        side: Positive = 32,  # width and height in pixels that photographs are scaled to
        min_frequency: Positive = 4,  # smallest number of occurrences of a word in the vocabulary
        max_length: Positive = 30,  # largest number of words that are written
        solved_above: AtLeastZero = 100.0,  # BLEU that counts as solved; 100: never
    ):
        self.hub, self.side, self.min_frequency = hub, side, min_frequency
        self.max_length, self.solved_above = max_length, solved_above
        need("PIL", "pictures")
        need("sacrebleu", "pictures")
        check_columns(hub, SPLITS, COLUMNS)
        self.source = Reals(3 * side)

    def prepare(self) -> None:
        from pyarrow import types

        if hasattr(self, "_captions"):
            return
        tables = {split: read_split(self.hub, split, COLUMNS) for split in SPLITS}
        for split, photographs in tables.items():
            kind = photographs.schema.field("image").type
            if not types.is_struct(kind) or kind.get_field_index("bytes") < 0:
                raise DataError(f"{self.hub}: split {split!r}: column 'image' holds {kind}; allowed: structs with bytes")
        total = hashlib.sha256()
        for photographs in tables.values():
            for image, *five in zip(*(photographs[column].to_pylist() for column in COLUMNS), strict=True):
                total.update(image["bytes"] + json.dumps(five).encode())
        self.sha256 = total.hexdigest()
        cut = [self.side, self.min_frequency, self.max_length]
        key = {"version": self.version, "data": self.sha256, "cut": cut}
        folder = cache_entry("photo_caption", key, lambda part: self._make(part, tables))
        self._use(Vocabulary.load(folder / "written.json"))
        self._pixels, self._captions = {}, {}
        for split in SPLITS:
            pixels: Any = read_arrays(folder / f"{split}_pixels.arrow")["pixels"]
            rows: Any = read_arrays(folder / f"{split}.arrow")["captions"]
            self._pixels[split] = pixels.reshape(-1, self.side, 3 * self.side)
            self._captions[split] = Ragged(*rows)
        self._facts = load_facts(folder)
        words = self._captions["train"].values
        self.notes = little_covered(self.written, numpy.bincount(words, minlength=len(self.written)))
        self.longest = 1 + max(int(self._captions[split].lengths.max()) for split in ("train", "validation"))
        # a batch does not say which photograph a row is: its pixels do
        self._known = {
            pixels.tobytes(): references
            for split in ("validation", "test")
            for pixels, references in zip(self._pixels[split], self._facts["references"][split], strict=True)
        }

    def _use(self, written: Vocabulary) -> None:
        self.written, self.start, self.end, self.longest = written, 0, 0, self.max_length + 1
        self.inputs = self.targets = Tokens(len(written))

    def _make(self, folder: Path, tables: Mapping[Split, pyarrow.Table]) -> None:
        texts = {
            split: list(zip(*(rows[column].to_pylist() for column in CAPTIONS), strict=True)) for split, rows in tables.items()
        }
        cut = {split: [[basic_english(text) for text in five] for five in rows] for split, rows in texts.items()}
        for split, rows in cut.items():
            if empty := [number for number, five in enumerate(rows, 1) if not all(five)]:
                raise DataError(f"{self.hub}: split {split!r} has a caption without a word, the first in row {empty[0]}")
        counts = Counter(word for five in cut["train"] for words in five for word in words)
        written = built_vocabulary(counts, self.min_frequency, specials=(END, UNKNOWN))
        written.save(folder / "written.json")
        kept = {}
        for split, rows in cut.items():
            chosen = [words for five in rows for words in (five if split == "train" else five[:1])]
            kept[split] = Ragged.of([written.encode(words[: self.max_length]) for words in chosen])
            write_arrays(folder / f"{split}.arrow", {"captions": (kept[split].values, kept[split].offsets)})
            pixels = [self._look(image["bytes"], split) for image in tables[split]["image"].to_pylist()]
            write_arrays(folder / f"{split}_pixels.arrow", {"pixels": numpy.concatenate(pixels).ravel()})
        references = {split: [[" ".join(words) for words in five] for five in cut[split]] for split in SPLITS[1:]}
        guess = most_bleu(kept["train"])
        always_so = [(" ".join(written.decode(guess)), five) for five in references["test"]]
        floor = bleu_scores(dict(zip(COUNTED, bleu_counts(always_so, "none", together=True).tolist(), strict=True)))["bleu"]
        save_facts(folder, {"guess": guess, "floor": floor, "references": references})

    def _look(self, content: bytes, split: str) -> numpy.ndarray:
        """(side, 3 * side) uint8 of a picture's file."""
        from PIL import Image, UnidentifiedImageError

        try:
            picture = Image.open(io.BytesIO(content)).convert("RGB").resize((self.side, self.side))
        except (UnidentifiedImageError, OSError):
            raise DataError(f"{self.hub}: split {split!r} has a picture that cannot be read") from None
        return numpy.asarray(picture).reshape(self.side, -1)

    @property
    def floor(self) -> float:
        return self._facts["floor"]

    def floor_guess(self, batch: Batch) -> Tensor:
        """What is written, (B, longest): one and the same caption."""
        return always(self._facts["guess"], self.longest, batch)

    def batches(self, split: Split, batch_size: int) -> int:
        return batches_of(self._captions[split], split, batch_size)

    def batch(self, split: Split, index: int, batch_size: int, seed: int) -> Batch:
        captions = self._captions[split]
        rows = rows_of(captions, split, index, batch_size, seed)
        pixels = self._pixels[split][rows // len(CAPTIONS) if split == "train" else rows]
        source = torch.from_numpy(pixels.astype(numpy.float32) / 255)
        return to_write(captions, rows)._replace(source=source, source_lengths=torch.full((len(rows),), self.side))

    def score_written(self, written: Tensor, batch: Batch) -> Sums:
        assert batch.source is not None
        seen = (batch.source * 255).round().to(torch.uint8).cpu().numpy()
        sides = zip(self._texts(written), self._texts(batch.targets), seen, asked_rows(batch), strict=True)
        pairs = [(text, self._known.get(pixels.tobytes(), [own])) for text, own, pixels, counts in sides if counts]
        return sums(dict(zip(COUNTED, bleu_counts(pairs, "none", together=True).tolist(), strict=True)), written)

    def _texts(self, symbols: Tensor) -> list[str]:
        return [" ".join(self.written.decode(row)) for row in cut_at_end(symbols)]

    def finish(self, sums: Totals) -> dict[str, float]:
        return bleu_scores(sums) | super().finish(sums)

    def decode(self, tokens: list[int]) -> str:
        return self._texts(torch.tensor([tokens]))[0]

    def ask(self, text: str) -> Batch:
        raise ValueError(NO_PICTURE)

    def answered(self, batch: Batch, written: Tensor) -> list[dict[str, str]]:
        return show_pictures(batch, written, self.decode)

    def about(self) -> Facts:
        sizes = {f"{split}_captions": len(captions) for split, captions in self._captions.items()}
        return {
            "sha256": self.sha256,
            "licence": "none stated (Flickr8k: research use)",
            "vocabulary": len(self.written),
            **sizes,
        }
