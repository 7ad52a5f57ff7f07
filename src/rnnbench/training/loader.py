"""The batches that a run trains on and is evaluated on, in order, and the share of each that a device takes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from rnnbench.tasks.task import Batch, Split, Task

EVALUATED_ROWS = 100  # rows of an evaluation batch; scores are sums over rows, so it changes speed only
HUNG = 600  # seconds in which a worker must have a batch: one that hangs ends the run, which continues from its checkpoint
GROUP = 10  # evaluation batches that Lightning hands over at once


class EvaluationBatches(IterableDataset[Batch]):
    """All batches of a split, once, or the first `most`; of each what device `share[0]` of `share[1]` takes."""

    def __init__(
        self, task: Task, split: Split, batch_size: int, share: tuple[int, int], seed: int = 0, most: int | None = None
    ):
        self.task, self.split, self.batch_size, self.share, self.seed = task, split, batch_size, share, seed
        self.most = most

    def numbers(self) -> range:
        return range(self.task.batches(self.split, self.batch_size))[: self.most]

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        first, stride = (worker.id, worker.num_workers) if worker else (0, 1)
        for number in self.numbers()[first::stride]:
            batch = shard(self.task.batch(self.split, number, self.batch_size, self.seed), *self.share)
            yield batch.map(Tensor.numpy) if worker else batch


class TrainingBatches(EvaluationBatches):
    """The training batches from `step` to the next evaluation; iterating again continues from there."""

    def __init__(self, task: Task, batch_size: int, share: tuple[int, int], seed: int, step: int, steps: int, eval_every: int):
        super().__init__(task, "train", batch_size, share, seed)
        self.step, self.steps, self.eval_every = step, steps, eval_every

    def numbers(self) -> range:
        begin = self.step
        self.step = min((begin // self.eval_every + 1) * self.eval_every, self.steps)
        return range(begin, self.step)


class Batches(DataLoader[Batch]):
    """A DataLoader whose workers send NumPy arrays, by a pipe.

    Tensors would pass through shared memory: /dev/shm is small in many containers, and where it is full the loader waits
    for ever.
    """

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        for batch in super().__iter__():
            yield batch.map(torch.as_tensor)


def loader(batches: EvaluationBatches, workers: int) -> DataLoader[Batch]:
    """Batches as they are, in order. The generator is the loader's own, so that making one draws nothing from training's."""
    return Batches(
        batches,
        batch_size=None,
        num_workers=workers,
        timeout=HUNG if workers else 0,
        collate_fn=_as_it_is,
        persistent_workers=workers > 0,
        generator=torch.Generator(),
    )


class Grouped:
    """The batches of a loader, GROUP at a time: what Lightning does around a step takes as long as a small batch."""

    def __init__(self, batches: DataLoader[Batch]):
        self.batches = batches

    def __iter__(self) -> Iterator[list[Batch]]:
        batches = iter(self.batches)
        while group := list(islice(batches, GROUP)):
            yield group


def _as_it_is(batch: Batch) -> Batch:
    return batch  # PyTorch's own would make tensors of arrays


def shard(batch: Batch, rank: int, world: int) -> Batch:
    """The rows of `batch` that device `rank` of `world` takes; one row that does not count where there are too few."""
    if world == 1:
        return batch
    if rank < len(batch.lengths):
        return batch.map(lambda part: part[rank::world])
    row = batch.map(lambda part: part[:1])
    return row._replace(scored=torch.zeros_like(row.scored))


def micro_batches(rows: int, count: int) -> list[slice]:
    """The rows of `count` slices of a batch of `rows`, in order, all but the last equally long; fewer where rows are few."""
    size = -(-rows // count)
    return [slice(begin, begin + size) for begin in range(0, rows, size)]


def interleave(*parts: Tensor) -> Tensor:
    """The rows that `shard` dealt out, together again."""
    whole = torch.empty((sum(map(len, parts)), *parts[0].shape[1:]), dtype=parts[0].dtype)
    for rank, part in enumerate(parts):
        whole[rank :: len(parts)] = part.cpu()
    return whole
