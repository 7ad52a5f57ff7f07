"""What a task is composed of: a dataset, a scoring, and the methods that a task of another package writes by itself."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from rnnbench.config.compose import compose_jobs
from rnnbench.options import BadOption
from rnnbench.run.execute import execute
from rnnbench.run.plan import make_task, plan_run, survey_runs
from rnnbench.tasks import load
from rnnbench.tasks.shared.scoring import (
    BLOCK,
    MANY,
    SEARCHED,
    asked_sums,
    classification_sums,
    first_greatest,
    judged,
    symbol_sums,
)
from rnnbench.tasks.task import SPLITS, Batch, Sums, Task, Tokens, Totals, add_up, correct, cross_entropy
from rnnbench.tasks.temporal_order import TemporalOrder


class Small(Task):
    """Is the one token 0, 1 or 2? Nothing but what is its own."""

    version = 1
    structure = "N->1"
    causal = False
    headline = "accuracy"
    direction = "max"

    inputs = targets = Tokens(3)
    floor = 1 / 3
    sequences = 10
    solved_above = 0.9

    def draw(self, random: numpy.random.Generator, rows: int) -> Batch:
        tokens, ones = torch.from_numpy(random.integers(0, 3, (rows, 1))), torch.ones(rows, 1)
        return Batch(tokens, tokens, ones.bool(), ones[:, 0].long(), ones[:, 0].bool())

    def floor_guess(self, batch: Batch) -> Tensor:
        return torch.nn.functional.one_hot(torch.zeros_like(batch.targets), 3).float()


def confusion(self: Task, outputs: Tensor, batch: Batch) -> Sums:
    """The sums of a classification, and (wanted, given) how often each class was taken for each."""
    size = self.targets.size
    cells = (batch.targets * size + outputs.argmax(-1))[batch.scored]
    return Task.score(self, outputs, batch) | {"confusion": cells.bincount(minlength=size**2).double().view(size, size)}


def recall(self: Task, sums: Totals) -> dict[str, float]:
    table = sums["confusion"]
    return Task.finish(self, sums) | {"recall": (table.diag() / table.sum(1).clamp(min=1)).mean().item()}


class Confused(Small):
    score, finish = confusion, recall


class Foreign(Small):
    """As tasks were written before there were parts: every method its own, and sums are numbers."""

    def batches(self, split, batch_size):
        return 2

    def batch(self, split, index, batch_size, seed):
        tokens = torch.tensor([[index], [2]])
        return Batch(tokens, tokens, tokens >= 0, torch.tensor([1, 1]), torch.tensor([True, True]))

    def loss(self, outputs, batch):
        return cross_entropy(outputs, batch)

    def score(self, outputs, batch):
        total, count = self.loss(outputs.double(), batch)
        return {"nats": total, "right": correct(outputs, batch).sum(), "all": count}

    def finish(self, sums: Mapping[str, float]) -> dict[str, float]:
        assert all(isinstance(value, int | float) for value in sums.values())
        return {"accuracy": round(sums["right"]) / max(1, sums["all"]), "perplexity": math.exp(sums["nats"] / sums["all"])}

    def solved(self, scores):
        return scores["accuracy"] == 1


def test_sums_may_be_tables():
    task = Confused()
    batches = [task.batch("test", index, 5, 0) for index in range(task.batches("test", 5))]
    assert len(batches) == 2
    wrong = [torch.nn.functional.one_hot(batch.targets.clamp(min=1), 3).float() for batch in batches]  # 0 is taken for 1
    sums = add_up(task.score(outputs, batch) for outputs, batch in zip(wrong, batches, strict=True))
    counts = torch.cat([batch.targets for batch in batches]).flatten().bincount(minlength=3)
    assert counts.min() > 0
    table = torch.zeros(3, 3, dtype=torch.float64)
    table[0, 1], table[1, 1], table[2, 2] = counts.double()
    assert sums["confusion"].equal(table) and sums["answers"] == 10.0 and isinstance(sums["answers"], float)
    scores = task.finish(sums)
    assert scores["recall"] == pytest.approx(2 / 3) and scores["accuracy"] == 1 - counts[0].item() / 10
    assert task.floor_on_test(3) == counts[0].item() / 10


def test_tables_are_added_up_in_training(monkeypatch):
    monkeypatch.setattr(TemporalOrder, "score", confusion)
    monkeypatch.setattr(TemporalOrder, "finish", recall)
    words = ["task=temporal_order", "task.length=10", "task.sequences=150", "model=gru", "model.hidden_size=4", "tracker=none"]
    (job,) = compose_jobs([*words, "train.steps=2", "train.eval_every=2", "train.batch_size=8"], sweep=False)
    scores = execute(job)["scores"]["test"]  # of two batches
    assert set(scores) == {"accuracy", "loss", "recall"} and 0 <= scores["recall"] <= 1


def test_a_task_may_write_its_methods_itself():
    task = Foreign()
    assert task.floor_on_test() == 0.25
    assert task.solved({"accuracy": 1}) and not task.solved({"accuracy": 0.95})
    assert task.fingerprint == ""


def test_the_headline_is_held_against_the_bound():
    assert Small().solved({"accuracy": 0.95}) and not Small().solved({"accuracy": 0.9})
    higher = load("reverse")
    assert higher.solved({"exact": 1.0}) and not higher.solved({"exact": higher.solved_above})
    assert load("char_lm", solved_below=2.0).solved({"bpc": 1.9}) and not load("char_lm").solved({"bpc": 0.0})


# --- what logits cost


def logits_and_batch(rows: int, steps: int, classes: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Batch]:
    """Random logits, every third target of them almost certain, every fifth step not scored."""
    random = torch.Generator().manual_seed(0)
    outputs = 3 * torch.randn(rows, steps, classes, generator=random)
    targets = torch.randint(classes, (rows, steps), generator=random)
    number = torch.arange(rows * steps).view(rows, steps)
    certain = (number % 3 == 0).unsqueeze(-1) * 30.0
    outputs.scatter_add_(-1, targets.unsqueeze(-1), certain)
    lengths, fresh = torch.full((rows,), steps), torch.ones(rows, dtype=torch.bool)
    return outputs.to(dtype), Batch(targets, targets, number % 5 > 0, lengths, fresh)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize(
    ("rows", "steps", "classes"), [(7, 1, 2), (3, 11, 97), (2, 5, BLOCK // 3), (1, 2, BLOCK + 1), (4, 6, 1)]
)
def test_logits_are_judged_as_in_float64(rows: int, steps: int, classes: int, dtype: torch.dtype):
    outputs, batch = logits_and_batch(rows, steps, classes, dtype)
    exact = torch.where(
        batch.scored,
        torch.logsumexp(outputs.double(), -1) - outputs.double().gather(-1, batch.targets.unsqueeze(-1))[..., 0],
        0.0,
    )
    nats, right = judged(outputs, batch)
    assert nats.dtype == torch.float64 and torch.equal(right, correct(outputs, batch))
    torch.testing.assert_close(nats, exact, rtol=3e-6, atol=1e-14)  # logsumexp rounds at 1e-15
    total, count = cross_entropy(outputs.double(), batch)
    sums = classification_sums(outputs, batch)
    assert sums["nats"].item() == pytest.approx(total.item(), rel=1e-7) and sums["answers"] == count
    assert sums["correct"] == right.sum()


def test_a_step_that_is_almost_certain_keeps_its_loss():
    outputs = torch.tensor([[[0.0, -20.0, -30.0], [0.0, 0.0, -100.0], [5.0, -torch.inf, 5.0]]])
    ones = torch.ones(1, 3, dtype=torch.bool)
    batch = Batch(*[torch.zeros(1, 3, dtype=torch.long)] * 2, ones, torch.tensor([3]), torch.tensor([True]))
    nats, right = judged(outputs, batch)
    assert nats[0, 0].item() == pytest.approx(math.log1p(math.exp(-20) + math.exp(-30)), rel=1e-6, abs=0)
    assert nats[0, 1:].tolist() == pytest.approx([math.log(2), math.log(2)], rel=1e-7)
    assert right.all()  # of several that are likeliest, the first
    assert not judged(outputs, batch._replace(targets=torch.full((1, 3), 2)))[1].any()
    assert judged(torch.full((1, 3, 3), torch.nan), batch)[0].isnan().all()


@pytest.mark.parametrize("classes", [1, MANY - 1, MANY, MANY + 1, 32 * SEARCHED, 32 * SEARCHED + SEARCHED - 1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_first_greatest_logit_is_that_of_a_plain_search(classes: int, dtype: torch.dtype):
    """Where several are the greatest, too, and where some are infinite or no numbers."""
    random = torch.Generator().manual_seed(classes)
    logits = torch.randint(9, (12, classes), generator=random).to(dtype)
    logits[0, -1] = logits[1, classes // 2] = 9
    logits[2], logits[3, classes // 3], logits[4, classes // 4 :] = -torch.inf, torch.inf, torch.nan
    for ours, plain in zip(first_greatest(logits), logits.max(-1, keepdim=True), strict=True):
        torch.testing.assert_close(ours, plain, rtol=0, atol=0, equal_nan=True)


class Sizes(TorchDispatchMode):
    """Notes the numbers in the largest tensor that an operation makes, views left out."""

    largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        given = [part.untyped_storage().data_ptr() for part in args if isinstance(part, Tensor)]
        for part in made if isinstance(made, tuple | list) else [made]:
            if isinstance(part, Tensor) and part.untyped_storage().data_ptr() not in given:
                self.largest = max(self.largest, part.numel())
        return made


@pytest.mark.parametrize("sums", [classification_sums, symbol_sums, lambda o, b: asked_sums(o, b, lambda batch: batch.scored)])
def test_no_copy_of_all_logits_is_made(sums):
    outputs, batch = logits_and_batch(10, 35, 10_000)
    with Sizes() as sizes:
        sums(outputs, batch)
    assert 0 < sizes.largest <= BLOCK < outputs.numel() / 20
    with Sizes() as sizes:
        outputs.double()
    assert sizes.largest == outputs.numel()


def first_rows(words: list[str], split: str) -> Tensor:
    (settings,) = compose_jobs(["model=lstm", *words], sweep=False)
    return make_task(settings).batch(split, 0, 5, 0).inputs


DRAWN = [
    *("adding", "arithmetic", "associative_recall", "copy_memory", "formal_language", "multiplication"),
    *("noise_free_lag", "reverse", "selective_copy", "temporal_order", "timing", "two_sequences"),
]


@pytest.mark.parametrize("name", DRAWN)
def test_a_test_seed_draws_other_test_rows_and_nothing_else(name: str) -> None:
    rows = {seed: {split: first_rows([f"task={name}", *seed], split) for split in SPLITS} for seed in ((), ("test_seed=7",))}
    for split in SPLITS:
        one, other = (found[split] for found in rows.values())
        assert (one.shape == other.shape and torch.equal(one, other)) == (split != "test")


@pytest.mark.parametrize("words", [["task=char_lm"], ["task=embedded_reber"], ["task=sequential_digits"]])
def test_a_test_seed_is_refused_where_test_rows_are_fixed(words: list[str]) -> None:
    with pytest.raises(BadOption, match=r"test_seed=7: the test rows of .* are fixed.*allowed: test_seed=0"):
        first_rows([*words, "test_seed=7"], "test")


def test_a_test_seed_of_one_job_of_a_sweep_is_refused_before_any_runs() -> None:
    with pytest.raises(BadOption, match="test_seed=7: the test rows"):
        survey_runs(compose_jobs(["task=char_lm", "model=gru", "test_seed=0,7"], sweep=True))


def test_a_test_seed_makes_another_run() -> None:
    ids = [
        plan_run(*compose_jobs(["task=adding", "model=lstm", *more], sweep=False)).id
        for more in ([], ["test_seed=0"], ["test_seed=1"])
    ]
    assert ids[0] == ids[1] != ids[2]
