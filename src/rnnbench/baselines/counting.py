"""Baselines by counting: what followed each context, and how often each key of music stays on."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

import numpy

from rnnbench.tasks.task import Batch, Split, Sums, Task, add_up

from .scoring import Outputs, Result, walk


class Counts:
    """How often each answer came in each context of one order, discounted by Ney, Essen & Kneser's (1994) estimate."""

    def __init__(self, keys: numpy.ndarray, answers: numpy.ndarray, classes: int):
        """`keys` (N,) number the contexts, `answers` (N,) are what came there."""
        from scipy import sparse

        self.keys, rows = numpy.unique(keys, return_inverse=True)
        counts = sparse.csr_matrix((numpy.ones(len(rows)), (rows, answers)), (len(self.keys), classes))
        counts.sum_duplicates()
        once, twice = (counts.data == 1).sum(), (counts.data == 2).sum()
        discount = min(max(once / (once + 2 * twice), 0.1), 0.9) if once else 0.1
        totals = numpy.asarray(counts.sum(1)).ravel()
        self.left = discount * numpy.diff(counts.indptr) / totals  # (contexts,) the share that shorter contexts give out
        counts.data = (counts.data - discount) / numpy.repeat(totals, numpy.diff(counts.indptr))
        self.shares = counts

    def mixed(self, keys: numpy.ndarray, shorter: numpy.ndarray) -> numpy.ndarray:
        """(N, classes) shares of the answers, from those of the `shorter` contexts; these alone where a context is new."""
        places = numpy.searchsorted(self.keys, keys).clip(max=len(self.keys) - 1)
        known = self.keys[places] == keys
        mixed = shorter * numpy.where(known, self.left[places], 1.0)[:, None]
        mixed[known] += self.shares[places[known]].toarray()
        return mixed


def contexts(task: Task, batches: Iterable[Batch], longest: int) -> Iterator[tuple[Batch, list[numpy.ndarray]]]:
    """Each batch with the keys (B, T) of its contexts, one array an order.

    A language model's are the last 1, 2, ... tokens, across batches; otherwise they are the token, with the one before it,
    and with the one after it too.
    """
    last = None
    for batch in batches:
        tokens = batch.inputs.numpy().astype(numpy.uint64) + numpy.uint64(1)
        if task.carries:
            # the rows of a stream are equally long but for the last window, after which nothing follows
            if last is None or bool(batch.fresh.all()):
                last = numpy.zeros((len(tokens), longest - 1), numpy.uint64)
            whole = numpy.concatenate([last, tokens], axis=1)
            last = whole[:, whole.shape[1] - (longest - 1) :]
            shifted = [whole[:, longest - 1 - back : whole.shape[1] - back] for back in range(longest)]
        else:
            inside = numpy.arange(tokens.shape[1]) < batch.lengths.numpy()[:, None]
            edged = numpy.pad(tokens * inside.astype(numpy.uint64), ((0, 0), (1, 1)))
            shifted = [edged[:, 1:-1], edged[:, :-2], edged[:, 2:]]
        keys, found = numpy.zeros_like(tokens), []
        with numpy.errstate(over="ignore"):
            for order, part in enumerate(shifted):
                keys = (keys ^ (part + numpy.uint64(order << 32))) * numpy.uint64(0x9E3779B97F4A7C15)
                keys ^= keys >> numpy.uint64(29)
                found.append(keys)
        yield batch, found


def best_order(task: Task, name: str, longest: int) -> Result:
    """Interpolated counts of what followed each context; validation chooses how long contexts are."""
    import torch

    began = time.perf_counter()
    classes = int(task.targets.size)
    gathered: list[list[numpy.ndarray]] = [[] for _ in range(longest)]
    answers = []
    for batch, keys in contexts(task, walk(task, "train"), longest):
        scored = batch.scored.numpy()
        answers.append(batch.targets.numpy()[scored])
        for order, values in enumerate(keys):
            gathered[order].append(values[scored])
    answer = numpy.concatenate(answers)
    counted = [Counts(numpy.concatenate(values), answer, classes) for values in gathered]
    counts = numpy.bincount(answer, minlength=classes) + 1.0
    alone = counts / counts.sum()

    def scores(split: Split, orders: Iterable[int]) -> dict[int, float]:
        sums: dict[int, list[Sums]] = {order: [] for order in orders}
        for batch, keys in contexts(task, walk(task, split), longest):
            scored = batch.scored.numpy()
            shares = numpy.broadcast_to(alone, (int(scored.sum()), classes))
            for order in range(max(sums)):
                shares = counted[order].mixed(keys[order][scored], shares)
                if order + 1 in sums:
                    outputs = torch.zeros(*scored.shape, classes, dtype=torch.float64)
                    outputs[batch.scored] = torch.from_numpy(shares).log()
                    sums[order + 1].append(task.score(outputs, batch))
        return {order: task.finish(add_up(each))[task.headline] for order, each in sums.items()}

    validation = scores("validation", range(1, longest + 1))
    best = (max if task.direction == "max" else min)(validation, key=lambda order: validation[order])
    test = scores("test", [best])[best]
    return Result(name, f"{best} of {longest} tokens", validation[best], test, time.perf_counter() - began)


def same_key(task: Task) -> Outputs:
    """Each key's share of being on after it was off, and after it was on."""
    import torch

    on, total = torch.zeros(2, task.inputs.size), torch.zeros(2, task.inputs.size)
    for batch in walk(task, "train"):
        for was in (0, 1):
            there = (batch.inputs == was) & batch.scored.unsqueeze(-1)
            on[was] += (batch.targets * there).sum((0, 1))
            total[was] += there.sum((0, 1))
    odds = torch.log((on + 1) / (total - on + 1))
    return lambda batch: torch.where(batch.inputs > 0, odds[1], odds[0]).double()
