"""What can be written without a look at the source, or with a look at one word at a time: floors and a baseline.

They are found on training rows.
"""

from __future__ import annotations

import numpy

from rnnbench.data.text import Ragged

from .pairs import Pairs

ORDERS = range(1, 5)  # of BLEU's n-grams
MOST = 400_000  # training symbols that a dictionary is made from
ROWS = 400  # training rows that edits are counted against
KINDS = 20  # symbols, the commonest, that a string of few edits is made of


def most_bleu(targets: Ragged) -> list[int]:
    """The row that, written in place of each, has the highest BLEU; `<unk>`, number 1, is never right."""
    values, rows = targets.values.astype(numpy.int64), len(targets)
    row, end = numpy.repeat(numpy.arange(rows), targets.lengths), numpy.repeat(targets.offsets[1:], targets.lengths)
    places = numpy.arange(len(values))
    gram, known = numpy.zeros_like(places), numpy.ones(len(places), bool)
    logs = numpy.zeros(rows)
    for n in ORDERS:
        inside = places + n <= end[places]
        places, gram, known = places[inside], gram[inside], known[inside]
        new = values[places + n - 1]
        gram, known = numpy.unique(gram * (values.max() + 1) + new, return_inverse=True)[1], known & (new != 1)
        order = numpy.lexsort((gram, row[places]))
        ours, here, counts = row[places][order], gram[order], known[order]
        # the second "the" of a row is right in the rows that have two: an n-gram counts with how often it stood before
        begins = numpy.r_[True, (ours[1:] != ours[:-1]) | (here[1:] != here[:-1])][: len(ours)]
        number = numpy.arange(len(ours))
        before = number - numpy.maximum.accumulate(numpy.where(begins, number, 0))
        kinds = here * (before.max(initial=0) + 1) + before
        _, kind, in_rows = numpy.unique(kinds, return_inverse=True, return_counts=True)
        right = numpy.bincount(ours, in_rows[kind] * counts, minlength=rows)
        share = right / (numpy.maximum(targets.lengths - n + 1, 1) * rows)
        logs += numpy.log(numpy.maximum(share, 1e-9)) / len(ORDERS)
    brevity = numpy.minimum(0, 1 - targets.lengths.mean() / targets.lengths)
    best = int((logs + brevity).argmax())
    return values[targets.offsets[best] : targets.offsets[best + 1]].tolist()


def _some(side: Ragged, symbols: int) -> list[list[int]]:
    """The rows, or one of every so many where they have more than MOST `symbols` together."""
    rows = range(0, len(side), -(-symbols // MOST))
    return [side.values[side.offsets[row] : side.offsets[row + 1]].tolist() for row in rows]


def dictionary(pairs: Pairs, rounds: int = 8) -> numpy.ndarray:
    """(source vocabulary,) the likeliest word for each: IBM model 1, with an empty source word, after `rounds` of EM.

    Source: Brown et al. 1993, The Mathematics of Statistical Machine Translation.
    """
    sources, targets = (_some(side["train"], len(pairs.targets["train"].values)) for side in (pairs.sources, pairs.targets))
    empty, size = len(pairs.read), len(pairs.written)
    cells, words, word = [], [], 0  # each target word beside each word of its source, and the target word's own number
    for source, target in zip(sources, targets, strict=True):
        read = numpy.array([*source, empty])
        cells.append((read[:, None] * size + numpy.array(target)).ravel())
        words.append(numpy.tile(numpy.arange(word, word + len(target)), len(read)))
        word += len(target)
    kinds, cell = numpy.unique(numpy.concatenate(cells), return_inverse=True)
    of, chances = numpy.concatenate(words), numpy.ones(len(kinds))
    for _ in range(rounds):
        likely = chances[cell]
        expected = numpy.bincount(cell, likely / numpy.bincount(of, likely)[of])
        chances = expected / numpy.bincount(kinds // size, expected)[kinds // size]
    likeliest = numpy.ones(empty + 1, numpy.int64)  # <unk>
    order = numpy.argsort(chances, kind="stable")  # the likeliest is written last
    likeliest[kinds[order] // size] = kinds[order] % size
    return likeliest[:empty]


def edits(first: list[str], second: list[str]) -> int:
    """The fewest insertions, deletions and replacements that make one of the other (Levenshtein 1966)."""
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(second, 1):
            before, row[j] = row[j], min(before + (a != b), row[j] + 1, row[j - 1] + 1)
    return row[-1]


def fewest_edits(targets: Ragged) -> list[int]:
    """A string with few edits to the rows: single edits lead to it from the empty one, the best each time."""
    rows = numpy.arange(0, len(targets), -(-len(targets) // ROWS))
    wanted, lengths = targets.padded(rows, pad=-1)
    kinds = numpy.bincount(targets.values).argsort()[::-1][:KINDS].tolist()
    best: tuple[int, ...] = ()
    cost = int(lengths.sum())
    while True:
        near = {(*best[:at], kind, *best[at + over :]) for at in range(len(best) + 1) for kind in kinds for over in (0, 1)}
        near |= {best[:at] + best[at + 1 :] for at in range(len(best))}
        costs = _totals(sorted(near), wanted, lengths)
        found = min(costs, key=lambda text: (costs[text], text))
        if costs[found] >= cost:
            return list(best)
        best, cost = found, costs[found]


def _totals(texts: list[tuple[int, ...]], wanted: numpy.ndarray, lengths: numpy.ndarray) -> dict[tuple[int, ...], int]:
    """The edits from each text to all rows of `wanted` (N, R), as `edits` counts them, for texts of equal length together."""
    found: dict[tuple[int, ...], int] = {}
    for length in sorted({len(text) for text in texts}):
        alike = [text for text in texts if len(text) == length]
        symbols = numpy.array(alike, numpy.int16).reshape(len(alike), length)
        row = numpy.empty((wanted.shape[1] + 1, len(alike), len(wanted)), numpy.int16)
        row[:] = numpy.arange(len(row))[:, None, None]
        for i in range(length):
            before, row[0] = row[0].copy(), i + 1
            for j in range(1, len(row)):
                above = row[j].copy()
                replaced = before + (symbols[:, i, None] != wanted[:, j - 1])
                row[j] = numpy.minimum(numpy.minimum(above, row[j - 1]) + 1, replaced)
                before = above
        totals = row[lengths, :, numpy.arange(len(wanted))].sum(0, dtype=numpy.int64)
        found.update(zip(alike, totals.tolist(), strict=True))
    return found
