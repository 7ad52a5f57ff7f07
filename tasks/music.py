"""Polyphonic music: which of the 88 keys sound at the next step, from all steps before.

    notes    60 64 67 | 60 64 67 | 62 65 69    (MIDI pitches that sound, three steps)
    inputs   key 39 43 46 | 39 43 46           (88 zeros and ones a step; key 0 is pitch 21, the lowest of a piano)
    targets  key 39 43 46 | 41 44 48           (each step is scored)

`data` is `jsb_chorales` (229 pieces to train on) or `nottingham` (694), looked for as `local/<name>`; or a folder that holds
`<split>-*.parquet` with a column `notes`, which lists for each step the pitches that sound; or one of the `.mat` files in which
both come with the code of Bai et al.; or `bach_chorales`, the 350 inside music21 (extra `music`), a quarter note a step, cut
in three, the same for every run. Splits are otherwise the published ones. Pieces are fed whole, those of similar length
together.

The score is the negative log-likelihood of a step in nats: summed over the keys, each a zero or one by itself, and divided by
the number of steps of the whole split, the first step of a piece being given. `accuracy` is the keys that are rightly on,
over those that are on in either.

Floor: nats a step of each key's share of the training steps (one added to its ons and offs), over the test split.

Best: jsb_chorales 8.10, nottingham 3.07 (a TCN, Bai et al. 2018); their LSTM 8.45 and 3.29.

Source: Boulanger-Lewandowski, Bengio & Vincent 2012, arXiv:1206.6392 (its piano rolls; no licence stated); this score: Bai,
Kolter & Koltun 2018, arXiv:1803.01271.

Data: jsb_chorales and nottingham, from a mirror; bach_chorales, inside music21; a folder or a .mat file.

Licence: none stated (piano rolls); BSD-3-Clause (music21; the chorales are in the public domain).

Needs: nothing; bach_chorales the extra music.

Group: music.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy
import torch
from torch import Tensor

from rnnbench.data.cache import cache_entry, read_arrays, write_arrays
from rnnbench.data.hub import check_columns, read_split
from rnnbench.data.tables import DataError
from rnnbench.data.text import Ragged, batches_of, rows_of
from rnnbench.data.user_files import expanded, user_file
from rnnbench.options import AtLeastZero, amount, nearest

from .shared.chorales import KEYS, LOWEST, look_for_chorales, rolls
from .task import SPLITS, Batch, Bits, Facts, Split, Sums, Task, Totals, bits_cross_entropy

if TYPE_CHECKING:
    import pyarrow


NAMES = ("jsb_chorales", "nottingham")
BACH = "bach_chorales"
MAT = {"train": "traindata", "validation": "validdata", "test": "testdata"}
Rolls = tuple[numpy.ndarray, numpy.ndarray]  # (steps, 88) bool of all pieces, end to end; (pieces,) their lengths


class Music(Task):
    version = 1
    structure = "N->N"
    causal = True
    headline = "nll"
    direction = "min"
    unit = "nats a step"

    inputs = targets = Bits(KEYS)

    def __init__(
        self,
        data: str = "jsb_chorales",  # jsb_chorales, nottingham, bach_chorales (extra music), a .mat file, a folder with parquet
        solved_below: AtLeastZero = 0.0,  # nats per step that count as solved; 0: never
    ):
        self.data, self.solved_below = data, solved_below
        self.name = f"local/{data}" if data in NAMES else data
        self._file = user_file(data, f"data={data}") if data.endswith(".mat") else None
        if data == BACH:
            look_for_chorales()
        elif not self._file and data not in NAMES and not expanded(data).is_dir():
            raise DataError(
                f"data={data}: there is no such folder{nearest(data, (*NAMES, BACH))}; "
                f"allowed: {', '.join((*NAMES, BACH))}, a folder or a .mat file"
            )
        elif not self._file:
            self.name = self.name if data in NAMES else str(expanded(data).absolute())
            check_columns(self.name, SPLITS, ["notes"])

    def prepare(self) -> None:
        if hasattr(self, "_pieces"):
            return
        rolls = self._rolls()
        total = hashlib.sha256()
        for on, lengths in rolls.values():
            total.update(numpy.packbits(on, axis=1).tobytes() + lengths.astype("<i8").tobytes())
        self.sha256 = total.hexdigest()
        folder = cache_entry(
            "music", {"version": self.version, "data": self.sha256, "kept": "ends"}, lambda part: _make(part, rolls)
        )
        self._on, self._pieces = {}, {}
        for split in SPLITS:
            packed: Any = read_arrays(folder / f"{split}_steps.arrow")["keys"]
            ends: Any = read_arrays(folder / f"{split}_ends.arrow")["ends"]
            self._on[split] = numpy.unpackbits(packed.reshape(-1, KEYS // 8), axis=1)
            self._pieces[split] = Ragged(numpy.arange(len(self._on[split])), numpy.concatenate([[0], ends]))
        steps = self._on["train"]
        self._log_odds = numpy.log((steps.sum(0) + 1) / (len(steps) - steps.sum(0, dtype=numpy.int64) + 1))

    def _rolls(self) -> dict[Split, Rolls]:
        if self.data == BACH:
            return rolls()
        if not self._file:
            return {split: _roll(read_split(self.name, split, ["notes"]), f"{self.data}: split {split!r}") for split in SPLITS}
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError

        try:
            content = loadmat(self._file)
            pieces = {split: [numpy.asarray(piece) for piece in content[MAT[split]].ravel()] for split in SPLITS}
        except (OSError, ValueError, TypeError, KeyError, NotImplementedError, MatReadError) as error:
            raise DataError(f"data={self.data} cannot be read: {str(error).splitlines()[0]}") from None
        for split in SPLITS:
            if not pieces[split] or any(piece.ndim != 2 or piece.shape[1] != KEYS or len(piece) < 2 for piece in pieces[split]):
                raise DataError(f"data={self.data}: split {split!r} should hold matrices of 2 steps or more by {KEYS} keys")
        return {split: (numpy.concatenate(rows) > 0, numpy.array([len(row) for row in rows])) for split, rows in pieces.items()}

    @property
    def floor(self) -> float:
        pieces = self._pieces["test"]
        first = numpy.zeros(len(self._on["test"]), bool)
        first[pieces.offsets[:-1]] = True
        odds = self._log_odds
        # -log sigmoid(odds) where a key is on, -log sigmoid(-odds) where it is off
        return float((numpy.logaddexp(0, odds) - self._on["test"][~first] * odds).sum(1).mean())

    def floor_guess(self, batch: Batch) -> Tensor:
        return torch.from_numpy(self._log_odds).to(batch.targets.device).expand(batch.targets.shape)

    def batches(self, split: Split, batch_size: int) -> int:
        return batches_of(self._pieces[split], split, batch_size)

    def batch(self, split: Split, index: int, batch_size: int, seed: int) -> Batch:
        pieces = self._pieces[split]
        rows = rows_of(pieces, split, index, batch_size, seed)
        steps, lengths = pieces.padded(rows, pad=0)
        lengths = lengths - 1
        scored = numpy.arange(steps.shape[1] - 1) < lengths[:, None]
        on = torch.from_numpy(self._on[split][steps]).float()
        valid = torch.from_numpy(scored)
        return Batch(
            inputs=on[:, :-1] * valid.unsqueeze(-1),
            targets=on[:, 1:] * valid.unsqueeze(-1),
            scored=valid,
            lengths=torch.from_numpy(lengths),
            fresh=torch.ones(len(rows), dtype=torch.bool),
        )

    def loss(self, outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        return bits_cross_entropy(outputs, batch)

    def score(self, outputs: Tensor, batch: Batch) -> Sums:
        total, count = self.loss(outputs.double(), batch)
        on, wanted, scored = outputs > 0, batch.targets > 0, batch.scored.unsqueeze(-1)
        hits, either = (on & wanted & scored).sum(), ((on | wanted) & scored).sum()
        return {"nats": total, "steps": count.double(), "hits": hits.double(), "either": either.double()}

    def finish(self, sums: Totals) -> dict[str, float]:
        return {"nll": sums["nats"] / sums["steps"], "accuracy": sums["hits"] / sums["either"] if sums["either"] else 1.0}

    def about(self) -> Facts:
        facts = {f"{split}_pieces": len(pieces) for split, pieces in self._pieces.items()}
        steps = {f"{split}_steps": len(on) for split, on in self._on.items()}
        licence = "BSD-3-Clause (music21)" if self.data == BACH else "none stated (Boulanger-Lewandowski et al. 2012)"
        return {"sha256": self.sha256, "licence": licence, **facts, **steps}


def _roll(rows: pyarrow.Table, where: str) -> Rolls:
    """The piano roll of the lists of pitches; DataError, one line, for what is none."""
    import pyarrow
    import pyarrow.compute

    pieces = rows["notes"].combine_chunks()
    kind = pieces.type
    if not (
        pyarrow.types.is_list(kind)
        and pyarrow.types.is_list(kind.value_type)
        and pyarrow.types.is_integer(kind.value_type.value_type)
    ):
        raise DataError(f"{where}: column 'notes' holds {kind}; allowed: lists (steps) of lists of MIDI pitches")
    lengths = pyarrow.compute.list_value_length(pieces).to_numpy(zero_copy_only=False)
    steps = pieces.flatten()
    sounding = pyarrow.compute.list_value_length(steps).to_numpy(zero_copy_only=False)
    pitches = steps.flatten().to_numpy(zero_copy_only=False).astype(numpy.int64)
    if lengths.min() < 2:
        raise DataError(
            f"{where}: piece {int(lengths.argmin()) + 1} has {amount(int(lengths.min()), 'step')}; allowed: at least 2"
        )
    if len(pitches) and not LOWEST <= pitches.min() <= pitches.max() < LOWEST + KEYS:
        raise DataError(f"{where}: pitches from {pitches.min()} to {pitches.max()}; allowed: {LOWEST} to {LOWEST + KEYS - 1}")
    on = numpy.zeros((len(steps), KEYS), bool)
    on[numpy.repeat(numpy.arange(len(steps)), sounding), pitches - LOWEST] = True
    return on, lengths


def _make(folder: Path, rolls: Mapping[Split, Rolls]) -> None:
    for split, (on, lengths) in rolls.items():
        write_arrays(folder / f"{split}_steps.arrow", {"keys": numpy.packbits(on, axis=1).ravel()})
        write_arrays(folder / f"{split}_ends.arrow", {"ends": numpy.cumsum(lengths)})
