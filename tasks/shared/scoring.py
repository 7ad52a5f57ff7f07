"""Losses and scores of the usual answers, as parts that a task holds.

    scoring = CLASSIFICATION       the class of a row, or of each step: accuracy and loss; the default
    scoring = CLASSES              the same, and the macro-averaged F1
    scoring = LABELS               several labels of a row: micro-F1, macro-F1, exact, and loss
    scoring = LANGUAGE             the next word: perplexity, loss and accuracy
    scoring = WRITING              texts that are written: the loss; the task scores what was written
    scoring = REGRESSION           real numbers: mse
    scoring = regression(.04)      and the share within .04
    scoring = asked_steps(asked)   every step is trained on, `asked(batch)` are scored: accuracy and loss
    scoring = units(right)         classes as outputs that are one or zero, with squared errors, as in 1997
    scoring = error_free(.49)      the same, of rows that are read up to their first wrong step: accuracy and symbols

What a task counts besides, its own `score` and `finish` add to these. A scoring is made of module-level functions,
so that a task can be pickled for the processes that load its batches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from .batch import Batch

Sums = dict[str, Tensor]  # float64, a scalar or of any shape; each adds up over batches and over devices
MANY, SEARCHED = 2000, 128  # classes from which on these are searched in groups, and how many are in a group
BLOCK = 2**17  # logits that are scored at once: they stay in a processor's inner caches
Totals = Mapping[str, Any]  # sums of a whole split: a float where `Sums` has a scalar, else the tensor


class Scoring(NamedTuple):
    """What outputs cost and what they score; see the methods of `Task` with these names."""

    loss: Callable[[Tensor, Batch], tuple[Tensor, Tensor]]
    score: Callable[[Tensor, Batch], Sums]
    finish: Callable[[Totals], dict[str, float]]


def totals(sums: Sums) -> Totals:
    """What `Task.finish` gets, from sums that are added up."""
    return {name: value.item() if value.dim() == 0 else value for name, value in sums.items()}


def add_up(parts: Iterable[Sums]) -> Totals:
    """What `Task.finish` gets, from the sums of each batch."""
    found: Sums = {}
    for part in parts:
        for name, value in part.items():
            found[name] = found[name] + value.double() if name in found else value.double()
    return totals(found)


def cross_entropy(outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """(sum, count) of -log p(target) in nats over the scored steps; outputs (B, S, classes) are logits."""
    losses = functional.cross_entropy(outputs.flatten(0, 1), batch.targets.flatten(), reduction="none")
    scored = batch.scored.flatten()
    return torch.where(scored, losses, 0.0).sum(), scored.sum()


def squared_error(outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """(sum, count) of squared errors over the scored steps; outputs and targets are (B, S, D)."""
    errors = (outputs - batch.targets).square().sum(-1)
    return torch.where(batch.scored, errors, 0.0).sum(), batch.scored.sum()


def bits_cross_entropy(outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """(sum, count) of -log p(target) in nats over the scored steps; outputs (B, S, bits) are logits of independent bits."""
    losses = functional.binary_cross_entropy_with_logits(outputs, batch.targets.to(outputs.dtype), reduction="none")
    return torch.where(batch.scored, losses.sum(-1), 0.0).sum(), batch.scored.sum()


def correct(outputs: Tensor, batch: Batch) -> Tensor:
    """(B, S) bool: scored steps whose most likely class is the target."""
    return (outputs.argmax(-1) == batch.targets) & batch.scored


def judged(outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """((B, S) float64: -log p(target) in nats, (B, S) bool: as `correct`) of the scored steps; 0 and False elsewhere.

    Outputs (B, S, classes) are logits. They are read a few steps at a time: where there are many classes, a copy of all costs
    more than what is computed. With m the largest logit of a step, -log p is m - target + log(1 + the others' sum of
    exp(logit - m)); only that sum is in float32, so that nothing is lost where a step is almost certain.
    """
    logits, targets = outputs.flatten(0, 1), batch.targets.flatten().unsqueeze(-1)
    most, likeliest = first_greatest(logits)
    others, precise = [], torch.promote_types(logits.dtype, torch.float32)
    rows = max(1, BLOCK // logits.shape[1])
    for part, peak, place in zip(logits.split(rows), most.split(rows), likeliest.split(rows), strict=True):
        others.append((part.to(precise) - peak).exp_().scatter_(-1, place, 0).sum(-1))
    nats = (most.double() - logits.gather(-1, targets)).squeeze(-1) + torch.cat(others).double().log1p()
    known, right = batch.scored, (likeliest == targets).view_as(batch.scored)
    return torch.where(known, nats.view_as(known), 0.0), right & known


def first_greatest(logits: Tensor) -> tuple[Tensor, Tensor]:
    """(the greatest of each row of (N, classes), the first class that has it), (N, 1) each: `logits.max(-1, keepdim=True)`.

    On a CPU that takes nearly as long as the exponential of all, the greatest alone a tenth of it: where there are many
    classes, the place is looked for only in the group of them that holds the greatest.
    """
    classes = logits.shape[1]
    if classes < MANY or logits.device.type != "cpu":
        greatest, place = logits.max(-1, keepdim=True)
        return greatest, place
    whole = classes // SEARCHED * SEARCHED
    tops = logits[:, :whole].unflatten(1, (-1, SEARCHED)).amax(-1)
    if whole < classes:
        tops = torch.cat([tops, logits[:, whole:].amax(-1, keepdim=True)], 1)
    begin = tops.argmax(1, keepdim=True) * SEARCHED
    group = (begin + torch.arange(SEARCHED)).clamp_(max=classes - 1)
    place = begin + logits.gather(1, group).argmax(1, keepdim=True)
    return logits.gather(1, place), place


def certain(kind: int, kinds: int, batch: Batch) -> Tensor:
    """(B, S, kinds) outputs: the same `kind` everywhere."""
    guess = torch.zeros(*batch.targets.shape, kinds, device=batch.targets.device)
    guess[..., kind] = 1
    return guess


def classification_sums(outputs: Tensor, batch: Batch) -> Sums:
    """Sums over the scored answers: nats, the right ones, and how many there are."""
    nats, right = judged(outputs, batch)
    return {"nats": nats.sum(), "correct": right.sum().double(), "answers": batch.scored.sum().double()}


def accuracy(sums: Totals) -> dict[str, float]:
    """The scores of `classification_sums`."""
    return {"accuracy": sums["correct"] / sums["answers"], "loss": sums["nats"] / sums["answers"]}


def class_counts(outputs: Tensor, batch: Batch) -> Tensor:
    """(3, classes) float64: how often each class was answered rightly, was answered, and was right, over the scored answers."""
    classes, scored = outputs.shape[-1], batch.scored
    answered, wanted = outputs.argmax(-1)[scored], batch.targets[scored]
    found = (wanted[answered == wanted], answered, wanted)
    return torch.stack([torch.bincount(one, minlength=classes).double() for one in found])


def macro_f1(counts: Tensor, every: bool = False) -> float:
    """The mean over classes of F1, from added-up `class_counts`. Classes that are neither answered nor right are left out, or,
    with `every`, count 0; scikit-learn does the one for classes, the other for several labels a row.
    """
    right, answered, wanted = counts
    there = answered + wanted > 0
    total = (2 * right[there] / (answered + wanted)[there]).sum()
    return float(total / (len(there) if every else there.sum()))


def perplexity(sums: Totals) -> dict[str, float]:
    """The scores of `classification_sums`, the loss also as a perplexity."""
    nats = sums["nats"] / sums["answers"]
    return {"perplexity": math.exp(min(nats, 700)), "loss": nats, "accuracy": sums["correct"] / sums["answers"]}


def symbol_sums(outputs: Tensor, batch: Batch) -> Sums:
    """Sums over the true symbols, each given those before it."""
    return {"nats": judged(outputs, batch)[0].sum(), "symbols": batch.scored.sum().double()}


def symbol_loss(sums: Totals) -> dict[str, float]:
    """The scores of `symbol_sums`."""
    return {"loss": sums["nats"] / sums["symbols"]}


def near_sums(outputs: Tensor, batch: Batch, tolerance: float) -> Sums:
    """`error_sums`, and the answers whose one number is less than `tolerance` off."""
    near = (outputs - batch.targets).abs().squeeze(-1) < tolerance
    return error_sums(outputs, batch) | {"correct": (near & batch.scored).sum().double()}


def error_sums(outputs: Tensor, batch: Batch) -> Sums:
    """Sums over the scored answers: squared errors, and how many answers there are."""
    total, count = squared_error(outputs.double(), batch)
    return {"squared_error": total, "answers": count.double()}


def mean_squared_error(sums: Totals) -> dict[str, float]:
    """The scores of `error_sums` and `near_sums`."""
    scores = {"mse": sums["squared_error"] / sums["answers"]}
    return {**scores, "correct": sums["correct"] / sums["answers"]} if "correct" in sums else scores


def asked_sums(outputs: Tensor, batch: Batch, asked: Callable[[Batch], Tensor]) -> Sums:
    """Sums over the scored steps, nats and steps, and over those that are asked for: the right ones, and how many there are."""
    nats, right = judged(outputs, batch)
    answers, steps = asked(batch) & batch.scored, batch.scored.sum()
    found = {"nats": nats.sum(), "steps": steps, "correct": (right & answers).sum(), "answers": answers.sum()}
    return {name: value.double() for name, value in found.items()}


def asked_accuracy(sums: Totals) -> dict[str, float]:
    """The scores of `asked_sums`."""
    return {"accuracy": sums["correct"] / sums["answers"], "loss": sums["nats"] / sums["steps"]}


def one_hot(outputs: Tensor, batch: Batch) -> Tensor:
    """(B, S, classes), as `outputs`: one at the target, or at all of them where `targets` has several."""
    if batch.targets.dim() == 3:
        return batch.targets.to(outputs.dtype)
    return functional.one_hot(batch.targets, outputs.shape[-1]).to(outputs.dtype)


def unit_error(outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """(sum, count) over the scored steps of the squared errors of outputs (B, S, classes) that are to be one at the target,
    else zero."""
    errors = (outputs - one_hot(outputs, batch)).square().sum(-1)
    return torch.where(batch.scored, errors, 0.0).sum(), batch.scored.sum()


def unit_sums(outputs: Tensor, batch: Batch, right: Callable[[Tensor, Batch], Tensor]) -> Sums:
    """Sums over the scored steps, of squared errors and steps, and over rows: the right ones, and how many there are."""
    total, count = unit_error(outputs.double(), batch)
    rows = (right(outputs, batch) | ~batch.scored).all(1) & batch.scored.any(1)
    return {
        "squared_error": total,
        "steps": count.double(),
        "correct": rows.sum().double(),
        "rows": batch.scored.any(1).sum().double(),
    }


def unit_accuracy(sums: Totals) -> dict[str, float]:
    """The scores of `unit_sums`."""
    return {"accuracy": sums["correct"] / sums["rows"], "loss": sums["squared_error"] / sums["steps"]}


def within(outputs: Tensor, batch: Batch, tolerance: float) -> Tensor:
    """(B, S) bool: steps whose outputs are all less than `tolerance` off."""
    return ((outputs - one_hot(outputs, batch)).abs() < tolerance).all(-1)


def right_rows(outputs: Tensor, batch: Batch, tolerance: float) -> Sums:
    """Sums over rows: those that are right at all steps, steps before the first wrong one, and how many there are."""
    wrong = ~within(outputs, batch, tolerance) & batch.scored
    right = torch.where(wrong.any(1), wrong.int().argmax(1), batch.lengths)
    found = {"correct": (~wrong.any(1)).sum(), "symbols": right.sum(), "rows": torch.tensor(len(right))}
    return {name: value.double() for name, value in found.items()}


def right_scores(sums: Totals) -> dict[str, float]:
    """The scores of `right_rows`."""
    return {"accuracy": sums["correct"] / sums["rows"], "symbols": sums["symbols"] / sums["rows"]}


def classes_sums(outputs: Tensor, batch: Batch) -> Sums:
    """`classification_sums`, and `class_counts`."""
    return classification_sums(outputs, batch) | {"classes": class_counts(outputs, batch)}


def classes_scores(sums: Totals) -> dict[str, float]:
    """The scores of `classes_sums`: those of a classification, and the macro-averaged F1."""
    return accuracy(sums) | {"macro_f1": macro_f1(sums["classes"])}


def labels_sums(outputs: Tensor, batch: Batch) -> Sums:
    """Sums over the scored answers, whose labels are independent bits: nats, the answers whose labels are all right, how many
    answers there are, and how often each label was answered rightly, was answered, and was right, (3, labels).
    """
    total, count = bits_cross_entropy(outputs.double(), batch)
    answered, wanted, scored = outputs > 0, batch.targets > 0, batch.scored.unsqueeze(-1)
    counts = torch.stack([(one & scored).flatten(0, 1).sum(0) for one in (answered & wanted, answered, wanted)])
    exact = (answered == wanted).all(-1) & batch.scored
    return {"nats": total, "exact": exact.sum().double(), "answers": count.double(), "labels": counts.double()}


def labels_scores(sums: Totals) -> dict[str, float]:
    """The scores of `labels_sums`. F1 is 0 where no label is right."""
    right, answered, wanted = sums["labels"].sum(1).tolist()
    return {
        "micro_f1": 2 * right / (answered + wanted) if right else 0.0,
        "macro_f1": macro_f1(sums["labels"], every=True),
        "exact": sums["exact"] / sums["answers"],
        "loss": sums["nats"] / sums["answers"],
    }


CLASSIFICATION = Scoring(cross_entropy, classification_sums, accuracy)
CLASSES = Scoring(cross_entropy, classes_sums, classes_scores)
LABELS = Scoring(bits_cross_entropy, labels_sums, labels_scores)
LANGUAGE = Scoring(cross_entropy, classification_sums, perplexity)
WRITING = Scoring(cross_entropy, symbol_sums, symbol_loss)
REGRESSION = Scoring(squared_error, error_sums, mean_squared_error)


def regression(tolerance: float) -> Scoring:
    """The mean squared error, and the share of answers whose one number is less than `tolerance` off."""
    return Scoring(squared_error, partial(near_sums, tolerance=tolerance), mean_squared_error)


def units(right: Callable[[Tensor, Batch], Tensor]) -> Scoring:
    """The squared error of all outputs, and the share of rows whose scored steps are all right, by `right` (B, S)."""
    return Scoring(unit_error, partial(unit_sums, right=right), unit_accuracy)


def error_free(tolerance: float) -> Scoring:
    """The share of rows whose outputs are at each step less than `tolerance` off, and the mean of steps before the first that
    is not."""
    return Scoring(unit_error, partial(right_rows, tolerance=tolerance), right_scores)


def asked_steps(asked: Callable[[Batch], Tensor]) -> Scoring:
    """The accuracy of the scored steps that `asked` (B, S) picks, beside the loss of all scored steps."""
    return Scoring(cross_entropy, partial(asked_sums, asked=asked), asked_accuracy)
