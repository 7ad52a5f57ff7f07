"""What must hold of every task, as functions of one, prepared, that raise AssertionError: a line that says what does not."""

from __future__ import annotations

import math
import pickle
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from rnnbench.tasks.task import SPLITS, Batch, Bits, Reals, Task, Tokens

KINDS = {Tokens: torch.int64, Reals: torch.float32, Bits: torch.float32}
Outputs = Callable[[Task, Batch], Tensor]


def same(a: Batch, b: Batch) -> bool:
    return all(
        x is y if x is None or y is None else x.dtype == y.dtype and torch.equal(x, y) for x, y in zip(a, b, strict=True)
    )


def part(batch: Batch, rows: slice) -> Batch:
    return Batch(*(None if x is None else x[rows] for x in batch))


def oracle(task: Task, batch: Batch) -> Tensor:
    """The outputs of a network that knows the targets."""
    if isinstance(task.targets, Tokens):
        likeliest = torch.nn.functional.one_hot(batch.targets, task.targets.size)
        return likeliest.float() if task.right_within else 100.0 * likeliest
    return batch.targets if isinstance(task.targets, Reals) or task.right_within else 200 * batch.targets - 100


def added(*sums: dict[str, Tensor]) -> dict[str, Any]:
    """The sums, added up: a float where they are scalars, else a tensor."""
    return {
        name: sum(one[name].double() for one in sums) if value.ndim else math.fsum(float(one[name]) for one in sums)
        for name, value in sums[0].items()
    }


def sums_of(task: Task, outputs: Tensor, batch: Batch, written: Tensor | None = None) -> dict[str, Tensor]:
    """The sums of a network with these outputs; where a task has a source, it writes `written`, or their likeliest symbols."""
    if task.source is None:
        return dict(task.score(outputs, batch))
    likeliest = torch.nn.functional.pad(outputs.argmax(-1), (0, task.longest - outputs.shape[1]), value=task.end)
    return {**task.score(outputs, batch), **task.score_written(likeliest if written is None else written, batch)}


def one_pass(task: Task, split: str, batch_size: int) -> list[Batch]:
    """One pass over `split`."""
    return [task.batch(split, index, batch_size, 0) for index in range(task.batches(split, batch_size))]


# The laws


def pure_batches(task: Task, other: Task | None = None) -> None:
    """A batch is a function of split, index, size and seed alone, for a copy of the task and in any order."""
    if other is None:
        other = pickle.loads(pickle.dumps(task))  # noqa: S301 - what was pickled here
    for split in SPLITS:
        indices = range(min(4, task.batches(split, 4)))
        forward = [task.batch(split, index, 4, 3) for index in indices]
        backward = [other.batch(split, index, 4, 3) for index in reversed(indices)][::-1]
        assert all(map(same, forward, backward)), f"batches of {split} depend on what was drawn before"


def contract(task: Task) -> None:
    """Shapes, types and ranges of batches are those of `inputs`, `targets` and `structure`."""
    for split in SPLITS:
        for batch in (task.batch(split, index, 4, 0) for index in (0, task.batches(split, 4) - 1)):
            rows, steps = batch.inputs.shape[:2]
            answers = 1 if task.structure == "N->1" else steps
            _check_stream("inputs", task.inputs, batch.inputs, (rows, steps))
            _check_stream("targets", task.targets, batch.targets, (rows, answers))
            for name, tensor, kind, shape in (
                ("scored", batch.scored, torch.bool, (rows, answers)),
                ("lengths", batch.lengths, torch.int64, (rows,)),
                ("fresh", batch.fresh, torch.bool, (rows,)),
            ):
                found = f"{tensor.dtype} {tuple(tensor.shape)}"
                assert tensor.dtype == kind and tensor.shape == shape, f"`{name}` is {found}; expected {kind} {shape}"
            assert batch.lengths.min() >= 1 and batch.lengths.max() == steps, "`lengths` go from 1 to the number of steps"
            assert batch.scored.any(), f"no step of {split} is scored"
            if answers == steps:
                assert not (batch.scored & (torch.arange(steps) >= batch.lengths[:, None])).any(), "padding is scored"
            assert task.carries or batch.fresh.all(), "a row is not fresh, and the task does not say carries = True"
    assert len(task.batch("train", 0, 4, 0).inputs) == 4, "a batch of training has another number of rows than was asked for"


def _check_stream(name: str, stream: Tokens | Reals | Bits, values: Tensor, shape: tuple[int, int]) -> None:
    kind = KINDS[type(stream)]
    expected = shape if isinstance(stream, Tokens) else (*shape, stream.size)
    found = f"{values.dtype} {tuple(values.shape)}"
    assert values.dtype == kind and values.shape == expected, f"`{name}` is {found}; expected {kind} {expected} for {stream}"
    if isinstance(stream, Tokens):
        within = values.min() >= 0 and values.max() < stream.size
        assert within, (
            f"`{name}` has tokens from {int(values.min())} to {int(values.max())}; {stream} has 0 to {stream.size - 1}"
        )


def classes(task: Task) -> None:
    """Where the classes have names, each class of the targets has one."""
    if names := list(task.class_names()):
        fits = isinstance(task.targets, Tokens) and len(names) == task.targets.size
        assert fits, f"`classes` has {len(names)} names; the targets are {task.targets}"
        assert all(isinstance(name, str) for name in names), "a name in `classes` is no text"


def fresh_starts(task: Task) -> None:
    """The first batch of a split begins anew."""
    assert all(task.batch(split, 0, 4, 0).fresh.all() for split in SPLITS), "rows of the first batch of a split are not fresh"


def seeds(task: Task) -> None:
    """The seed moves training only, and the splits have other rows."""
    first = task.batch("train", 0, 4, 0)  # four rows of a few symbols may be alike by chance, but not four times
    moved = not all(same(first, task.batch("train", 0, 4, seed)) for seed in range(1, 5))
    assert moved, "another seed gives the same training batches"
    moved = not all(same(first, task.batch("train", index, 4, 0)) for index in range(1, 5))
    assert moved, "every training batch is the same"
    for split in SPLITS[1:]:
        assert same(task.batch(split, 0, 4, 0), task.batch(split, 0, 4, 1)), (
            f"the seed moves {split}, on which runs are compared"
        )
    differ = not same(task.batch("validation", 0, 30, 0), task.batch("test", 0, 30, 0))
    assert differ, "validation and test have the same rows"


FEW = 10  # batches, or sequences, below which a standard error says little


def floor(task: Task) -> None:
    """`floor` is what `floor_guess` scores on the test split: exactly of a set of data, else within 5 standard errors."""
    size = 20 if task.fingerprint else max(1, min(20, task.batches("test", 1) // FEW))  # enough batches for a standard error
    guesses = [(task.floor_guess(batch), batch) for batch in one_pass(task, "test", size)]
    sums = [sums_of(task, oracle(task, batch).float() if task.source else guess, batch, guess) for guess, batch in guesses]
    score = task.finish(added(*sums))[task.headline]
    away = 1e-6 * abs(task.floor)
    if not task.fingerprint:
        scores = torch.tensor([task.finish(added(one))[task.headline] for one in sums], dtype=torch.float64)
        away += 5 * float(scores.std(correction=0)) / math.sqrt(len(scores))
    assert abs(score - task.floor) <= away, f"`floor` is {task.floor:.6g}, and `floor_guess` scores {score:.6g}"


def whole_passes(task: Task) -> None:
    """A pass over validation or test has every row once, whatever the size of a batch."""
    for split in SPLITS[1:]:
        passes = [one_pass(task, split, batch_size) for batch_size in (7, 16)]
        counts = [sum(int(batch.scored.sum()) for batch in batches) for batches in passes]
        assert len(set(counts)) == 1, (
            f"a pass over {split} has {counts[0]} scored steps in batches of 7, {counts[1]} in batches of 16"
        )
        counts = [sum(len(batch.inputs) for batch in batches) for batches in passes]
        same_rows = task.carries or len(set(counts)) == 1
        assert same_rows, f"a pass over {split} has {counts[0]} rows in batches of 7, {counts[1]} in batches of 16"
        first, second = (
            Counter(
                (*row[:length].flatten().tolist(), *target[scored].flatten().tolist())
                for batch in batches
                for row, length, target, scored in zip(batch.inputs, batch.lengths, batch.targets, batch.scored, strict=True)
            )
            for batches in passes
        )
        assert first == second, f"a pass over {split} has other rows for another batch size"


def sums_add_up(task: Task) -> None:
    """Scores and losses are sums over rows: two parts of a batch add up to the whole."""
    batch = task.batch("train", 1, 6, 0)
    outputs = (oracle(task, batch) / 100 if task.source else task.floor_guess(batch)) + torch.linspace(0, 1, 6).view(6, 1, 1)
    outputs[:, -1, 0] = 0.3
    halves = (slice(0, 2), slice(2, 6))
    found = sums_of(task, outputs, batch)
    odd = [name for name, value in found.items() if value.dtype != torch.float64]
    assert not odd, f"`score` gives float64; these are none: {', '.join(odd)}"
    whole, parts = added(found), added(*(sums_of(task, outputs[rows], part(batch, rows)) for rows in halves))
    pairs = {name: (torch.as_tensor(whole[name]).double(), torch.as_tensor(parts[name]).double()) for name in whole}
    off = [name for name, pair in pairs.items() if not torch.allclose(*pair, rtol=1e-9, atol=1e-12)]
    assert not off, f"sums of `score` over parts of a batch do not add up: {', '.join(off)}"
    losses = [task.loss(outputs[rows].float(), part(batch, rows)) for rows in halves]
    total, count = task.loss(outputs.float(), batch)
    both = float(losses[0][0] + losses[1][0])
    assert math.isclose(both, float(total), rel_tol=1e-5, abs_tol=1e-12), "`loss` over parts of a batch does not add up"
    scored = int(batch.scored.sum())
    said = f"`loss` counts {int(count)} steps, of which {scored} are scored"
    assert int(losses[0][1] + losses[1][1]) == int(count) == scored, said


def unscored_steps(task: Task) -> None:
    """Steps that are not scored do not count."""
    batch = task.batch("train", 0, 4, 0)
    scored = batch.scored.clone()
    scored[0, -1] = False  # as padding would be
    batch = batch._replace(scored=scored)
    outputs = oracle(task, batch).double()
    changed = outputs.clone()
    changed[0, -1] = changed[0, -1].flip(0) - 5
    assert torch.equal(task.loss(outputs, batch)[0], task.loss(changed, batch)[0]), "a step that is not scored changes the loss"
    assert int(task.loss(outputs, batch)[1]) == int(scored.sum()), "`loss` counts steps that are not scored"


def targets_beat_the_floor(task: Task, outputs: Outputs = oracle) -> dict[str, float]:
    """Whoever knows the targets scores better than the floor; these scores."""
    batches = one_pass(task, "test", 50)[:3]
    scores = task.finish(added(*(sums_of(task, outputs(task, batch), batch) for batch in batches)))
    assert task.headline in scores, f"`finish` gives no {task.headline}, the headline"
    found = scores[task.headline]
    better = found < task.floor if task.direction == "min" else found > task.floor
    assert better and math.isfinite(task.floor), (
        f"knowing the targets scores {found:.6g}, no better than the floor {task.floor:.6g}"
    )
    return scores


def solved_threshold(task: Task) -> None:
    """There is a score that counts as solved: `solved_above`, or `solved_below` where lower is better."""
    name = "solved_below" if task.direction == "min" else "solved_above"
    replaced = type(task).solved is not Task.solved
    assert replaced or isinstance(getattr(task, name, None), int | float), (
        f"`{name}`, the {task.headline} of a solved task, is missing"
    )


TASK_LAWS: tuple[Callable[[Task], object], ...] = (
    pure_batches,
    contract,
    classes,
    fresh_starts,
    seeds,
    floor,
    whole_passes,
    sums_add_up,
    unscored_steps,
    targets_beat_the_floor,
    solved_threshold,
)
