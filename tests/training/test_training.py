"""What one step does, what the learning rate is, when training ends, and that devices change nothing."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy
import pytest
import torch

from rnnbench.config.compose import compose_jobs
from rnnbench.groups import TrainSettings
from rnnbench.run.execute import execute
from rnnbench.run.journal import SilentRecorder
from rnnbench.run.load import load_run
from rnnbench.run.plan import make_network, make_task
from rnnbench.tasks.char_lm import CharLM
from rnnbench.tasks.shared.streams import Streams
from rnnbench.tasks.task import SPLITS, Batch
from rnnbench.training.evaluation import Evaluation
from rnnbench.training.learner import Learner
from rnnbench.training.loader import GROUP, shard
from rnnbench.training.schedule import learning_rate
from rnnbench.training.selection import Selection
from rnnbench.training.trainer import fit
from tests.run.test_run import TINY, only


def learner(*overrides: str, model: str = "lstm") -> tuple[Learner, list]:
    """A learner on the small adding task, and the rows that it hands to its journal."""
    (job,) = compose_jobs([*TINY, f"model={model}", "tracker=none", *overrides], sweep=False)
    rows: list = []

    class Journal(SilentRecorder):
        def row(self, step, metrics, timings):
            rows.append({"step": step, **metrics, **timings})

    task = make_task(job)
    torch.manual_seed(job.seed)
    return Learner(make_network(job, task), task, Journal(), job.seed, job.train), rows


def plain_loop(made: Learner, steps: int, clip) -> list[torch.Tensor]:
    """The same training by the plainest loop: its weights after `steps`."""
    network, task = made.network, made.task
    optimizer = torch.optim.SGD(network.parameters(), made.options.learning_rate)
    for step in range(steps):
        batch = task.batch("train", step, made.options.batch_size, made.seed)
        total, count = task.loss(network(batch)[0], batch)
        optimizer.zero_grad()
        (total / count).backward()
        clip(network.parameters())
        optimizer.step()
    return [parameter.detach().clone() for parameter in network.parameters()]


SGD = ["train.optimizer=sgd", "train.learning_rate=0.1", "train.steps=20", "train.stop_when_solved=false", "network.dropout=0"]
CLIPS = {
    "norm": (["train.clip=0.05"], lambda p: torch.nn.utils.clip_grad_norm_(p, 0.05)),
    "value": (["train.clip=0.01", "train.clip_by=value"], lambda p: torch.nn.utils.clip_grad_value_(p, 0.01)),
    "none": (["train.clip=null"], lambda p: None),
}


@pytest.mark.parametrize("how", CLIPS)
def test_the_step_is_that_of_the_plainest_loop(how):
    overrides, clip = CLIPS[how]
    ours, rows = learner(*SGD, *overrides)
    fit(ours)
    theirs, _ = learner(*SGD, *overrides)
    trained = [ours.selection.best["weights"][name] for name, _ in ours.network.named_parameters()]
    if ours.selection.best["step"] != 20:
        trained = [parameter.detach() for parameter in ours.network.parameters()]
    for one, other in zip(trained, plain_loop(theirs, ours.selection.best["step"], clip), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-7)
    if how == "norm":
        assert all(row["train/gradient_norm_clipped"] <= 0.05 * 1.0001 for row in rows)
        assert any(row["train/gradient_norm"] > 0.05 for row in rows)
        assert any(row["train/clipped"] > 0 for row in rows)
    if how == "none":
        assert all(row["train/gradient_norm"] == row["train/gradient_norm_clipped"] for row in rows)
        assert "train/clipped" not in rows[0]


SCHEDULES = {
    "constant": lambda step: 0.1,
    "linear": lambda step: 0.1 * (1 - (step - 1) / 60),
    "cosine": lambda step: 0.1 * (1 + math.cos(math.pi * (step - 1) / 60)) / 2,
}


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_learning_rate_moves_as_asked(schedule):
    made, rows = learner(f"train.schedule={schedule}", "train.learning_rate=0.1", "train.stop_when_solved=false")
    fit(made)
    for row in rows:
        assert row["train/learning_rate"] == pytest.approx(SCHEDULES[schedule](row["step"]))
    assert made._optimizer.param_groups[0]["lr"] == rows[-1]["train/learning_rate"]


def test_warm_up_and_plateau():
    made, rows = learner("train.warmup=10", "train.log_every=1", "train.learning_rate=0.1", "train.steps=20")
    fit(made)
    assert [row["train/learning_rate"] for row in rows[:11]] == pytest.approx([0.01 * (k + 1) for k in range(10)] + [0.1])
    made, rows = learner("train.schedule=plateau", "train.decay=0.1", "train.learning_rate=1e-30", "train.optimizer=sgd")
    fit(made)  # nothing is learnt, so each evaluation after the first is no better
    rates = {row["step"]: row["train/learning_rate"] for row in rows}
    assert rates[20] == rates[40] == 1e-30
    assert rates[60] == pytest.approx(1e-31)


def test_noise_on_weights_is_of_the_gradient_alone(monkeypatch):
    """The gradient is that of the noisy core; the step is taken from the weights without noise, the read-out has none."""
    made, _ = learner("train.weight_noise=0.5", "train.optimizer=sgd", "train.learning_rate=0.1", "train.clip=null")
    network, before = made.network, {name: value.clone() for name, value in made.network.state_dict().items()}
    batch = made.task.batch("train", 0, 4, 0)
    torch.manual_seed(3)
    made.noise.add()
    noisy = {name: value.clone() for name, value in network.state_dict().items()}
    outputs, _ = network(batch, None)
    total, count = made.task.loss(outputs, batch)
    (total / count).backward()
    gradients = {name: parameter.grad.clone() for name, parameter in network.named_parameters()}
    made.noise.remove()
    moved = torch.cat([(noisy[name] - before[name]).flatten() for name in before if name.startswith("core.")])
    assert 0.4 < moved.std() < 0.6 and abs(moved.mean()) < 0.1
    assert all(torch.equal(noisy[name], before[name]) for name in before if not name.startswith("core."))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    network.zero_grad()
    monkeypatch.setattr(Learner, "trainer", SimpleNamespace(world_size=1))
    monkeypatch.setattr(Learner, "devices", SimpleNamespace(sum=lambda value: value))
    torch.manual_seed(3)
    made.training_step(batch, 0).backward()
    for name, parameter in network.named_parameters():
        assert torch.allclose(parameter.grad, gradients[name], atol=1e-7), name
    made.noise.remove()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_the_step_schedule_is_that_of_zaremba_2014():
    """A rate of 1 that is halved after each pass beyond the fifth, as their code has it; the paper: beyond the fourth."""
    for decay_after, kept in ((4, 5), (3, 4)):
        options = TrainSettings(
            schedule="step", decay=0.5, decay_after=decay_after, learning_rate=1.0, steps=13 * 2323, eval_every=2323
        )
        rates = [learning_rate(options, step, 0) for step in range(options.steps)]
        assert [rates[2323 * k] for k in range(13)] == [1.0] * kept + [0.5**k for k in range(1, 14 - kept)]
        assert all(len(set(rates[2323 * k : 2323 * (k + 1)])) == 1 for k in range(13)), "it moves between passes only"


RULES = {  # headlines of evaluations, lower better, and how often the rate has fallen after each
    "no better than the best": ({}, [5, 4, 4.5, 4.5, 3, 3], [0, 0, 1, 2, 2, 3]),
    "no better than the best, after 3": ({"decay_after": 3}, [5, 4, 4.5, 4.5, 3, 3], [0, 0, 0, 1, 1, 2]),
    "worse than the last 3": ({"decay_window": 3}, [5, 6, 5.5, 5.8, 6.1, 6.1, 6.2], [0, 1, 1, 1, 2, 2, 3]),
    "worse than the last 3, after 5": ({"decay_window": 3, "decay_after": 5}, [5, 6, 5.5, 5.8, 6.1, 6.2], [0, 0, 0, 0, 0, 1]),
    "constant": ({"schedule": "constant"}, [5, 6, 7, 8], [0, 0, 0, 0]),
    "step": ({"schedule": "step"}, [5, 6, 7, 8], [0, 0, 0, 0]),  # it asks no score
}


@pytest.mark.parametrize("direction", ["min", "max"])
@pytest.mark.parametrize("rule", RULES)
def test_when_the_learning_rate_falls(rule, direction):
    how, headlines, fallen = RULES[rule]
    task = SimpleNamespace(headline="x", direction=direction, solved=lambda scores: False)
    selection = Selection(task, TrainSettings(**{"schedule": "plateau", **how}))
    found = []
    for step, headline in enumerate(headlines):
        selection.consider(step, 0.0, {"x": headline if direction == "min" else -headline}, {})
        found.append(selection.reductions)
    assert found == fallen


def test_the_rule_of_bai_2018_is_that_of_their_loop():
    """`if ep > 10 and vloss > max(vloss_list[-3:]): lr /= 10` of their poly_music/music_test.py, over random losses."""
    drawn, task = random.Random(0), SimpleNamespace(headline="x", direction="min", solved=lambda scores: False)
    selection = Selection(task, TrainSettings(schedule="plateau", decay_window=3, decay_after=10))
    past, fallen = [], 0
    for epoch in range(1, 101):
        loss = drawn.random()
        fallen += epoch > 10 and loss > max(past[-3:])
        past.append(loss)
        selection.consider(epoch, 0.0, {"x": loss}, {})
        assert selection.reductions == fallen
    assert fallen > 5


@pytest.mark.parametrize("direction", ["min", "max"])
@pytest.mark.parametrize("select, kept", [("best", 1), ("last", 4)])
def test_which_evaluation_is_tested(select, kept, direction):
    task = SimpleNamespace(headline="x", direction=direction, solved=lambda scores: False)
    selection = Selection(task, TrainSettings(select=select, patience=3))
    headlines = [5, 3, 4, 4, 6]
    for step, headline in enumerate(headlines):
        selection.consider(step, 0.0, {"x": headline if direction == "min" else -headline}, {"w": torch.tensor(step)})
        assert selection.stopped == (step == 4), "patience counts from the best one, whichever is kept"
    assert selection.best["step"] == selection.best["weights"]["w"] == kept


@pytest.mark.parametrize("mean_over", ["steps", "rows"])
def test_what_the_loss_is_averaged_over(mean_over):
    words = ["task=copy_memory", "task.delay=3", "task.symbols=2", "task.shortest=1", "task.sequences=8", "train.batch_size=4"]
    words += ["train.optimizer=sgd", "train.clip=null", "train.steps=1", "train.eval_every=1", "train.learning_rate=1"]
    (job,) = compose_jobs(
        [*words, "model=rnn", "model.hidden_size=3", "tracker=none", f"train.mean_over={mean_over}"], sweep=False
    )
    task = make_task(job)
    torch.manual_seed(0)
    made = Learner(make_network(job, task), task, SilentRecorder(), 0, job.train)
    before = [parameter.detach().clone() for parameter in made.network.parameters()]
    batch = task.batch("train", 0, 4, 0)
    total, count = task.loss(made.network(batch)[0], batch)
    gradients = torch.autograd.grad(total / (count if mean_over == "steps" else 4), list(made.network.parameters()))
    fit(made)
    for parameter, start, gradient in zip(made.network.parameters(), before, gradients, strict=True):
        torch.testing.assert_close(parameter.detach(), start - gradient)


def test_patience_and_solved_end_training():
    made, _ = learner("train.patience=2", "train.learning_rate=1e-30", "train.optimizer=sgd", "train.steps=1000")
    fit(made)
    assert made.step == 60 and made.selection.stopped
    made, rows = learner("task.solved_below=10", "train.steps=1000")
    fit(made)
    assert made.step == made.selection.solved_step == 20
    assert made.selection.seconds_to_solved == rows[-1]["seconds"]


@pytest.mark.parametrize("name", ["adam", "adamw", "rmsprop", "sgd"])
def test_every_optimizer_learns(name):
    made, rows = learner(f"train.optimizer={name}", "train.steps=200", "train.log_every=10", "network.dropout=0")
    fit(made)
    assert rows[-1]["train/loss"] < rows[0]["train/loss"]


@pytest.mark.parametrize("precision", ["64", "bf16"])
def test_precisions(precision):
    made, _rows = learner(f"train.precision='{precision}'", "train.steps=20")
    scores = fit(made)
    assert math.isfinite(scores["test"]["mse"])
    assert next(made.network.parameters()).dtype == (torch.float64 if precision == "64" else torch.float32)


def test_speed_counts_valid_steps_and_not_evaluations():
    made, rows = learner("train.steps=40")
    fit(made)
    assert made.clock.totals == [40 * 8, 40 * 8 * 6]
    assert sum(made.clock.totals) > 0 and made.clock.seconds == rows[-1]["seconds"]
    ratios = [row["tokens_per_second"] / row["steps_per_second"] for row in rows]
    assert ratios == pytest.approx([48] * len(ratios))


# evaluation


def long_text(window: int, limit: int) -> CharLM:
    """A task whose validation and test parts have 600,001 tokens of four kinds."""
    task = CharLM(text=text(), window=window)
    task.prepare()
    tokens = numpy.random.default_rng(0).integers(0, 4, 600_001)
    counts = numpy.bincount(tokens, minlength=task.inputs.size)
    task.dataset = Streams(dict.fromkeys(SPLITS, tokens), dict.fromkeys(SPLITS, counts), window, "text", limit)
    return task


@pytest.mark.parametrize(("limit", "read"), [(500_000, 500_000), (40_000, 40_000), (700_000, 600_000)])
def test_an_evaluation_reads_each_batch_once_in_wide_groups(limit, read, monkeypatch):
    task, steps, added = long_text(window=500, limit=limit), [], []
    (settings,) = compose_jobs(["task=char_lm", "model=rnn", "model.hidden_size=4", "train.samples=0"], sweep=False)
    options = replace(settings.train, steps=1, eval_every=1, batch_size=4, instruments=False)
    made = Learner(make_network(settings, task), task, SilentRecorder(), 0, options)
    real_step, real_add = Learner.validation_step, Evaluation.add

    def step(self: Learner, batches: list[Batch], index: int) -> None:
        steps.append(len(batches))
        real_step(self, batches, index)

    def add(self: Evaluation, batch: Batch) -> None:
        added.append(batch)
        real_add(self, batch)

    for owner, name, noted in ((Learner, "validation_step", step), (Learner, "test_step", step), (Evaluation, "add", add)):
        monkeypatch.setattr(owner, name, noted)
    fit(made)
    windows = math.ceil(read / 100 / 500)
    groups = [*[GROUP] * (windows // GROUP), *[windows % GROUP] * bool(windows % GROUP)]
    assert steps == [*groups, GROUP, 2] and len(added) == windows + 12  # the test part has 12 windows of 100 rows
    assert all(len(batch.lengths) == 100 for batch in added)
    assert [sum(int(batch.scored.sum()) for batch in part) for part in (added[:windows], added[windows:])] == [read, 600_000]
    assert task.dataset.read_in_validation() == read


def test_wide_batches_score_as_narrow_ones():
    task = long_text(window=500, limit=10_000)
    (settings,) = compose_jobs(["task=char_lm", "model=gru", "model.hidden_size=4"], sweep=False)
    network = make_network(settings, task).eval()
    batches = [task.batch("validation", index, 1, 0) for index in range(task.batches("validation", 1))]
    found = []
    for parts in (1, 10, 100):
        sums: Counter = Counter()
        for part in range(parts):
            evaluation = Evaluation(network, task, settings.train)
            with torch.no_grad():
                for batch in batches:
                    evaluation.add(shard(batch, part, parts))
            sums.update({name: float(value) for name, value in evaluation._sums.items()})
        assert sums["answers"] == 10_000
        found.append(task.finish(sums))
    assert found[1] == pytest.approx(found[0], rel=1e-6) == found[2]


# several devices


def text() -> str:
    Path("text.txt").write_text("".join(random.Random(0).choices("abcde ", k=20000)))
    return str(Path("text.txt").absolute())


def assert_close(row: dict, other: dict) -> None:
    """Every number of `row` is in `other` too, but for rounding; logged norms are rounded to four digits."""
    for name, value in row.items():
        if value is None or other[name] is None or name == "validation/samples":
            assert other[name] == value, name
        else:
            assert other[name] == pytest.approx(value, rel=1e-9 if isinstance(value, float) else 2e-3), name


DEVICES = {
    "adding": [*TINY, "model=deep_bilstm", "network.dropout=0", "train.steps=40", "train.batch_size=7"],
    "ragged": ["task=embedded_reber", "model=lstm", "model.hidden_size=8", "train.batch_size=5", "train.steps=40"],
    "carried state": [
        "task=char_lm",
        "task.window=10",
        "model=lstm",
        "model.hidden_size=8",
        "train.batch_size=5",
        "train.steps=40",
        "train.eval_every=20",
        "train.log_every=7",
        "network.embedding=4",
    ],
}


@pytest.mark.parametrize("kind", DEVICES)
def test_two_devices_give_the_numbers_of_one(kind):
    words = [*DEVICES[kind], "tracker=none", "train.precision='64'"] + [f"task.text={text()}"] * (kind == "carried state")
    found = {}
    for devices in (1, 2):
        (job,) = compose_jobs([*words, f"trainer.devices={devices}", f"runs=on{devices}"], sweep=False)
        record = execute(job)
        found[devices] = (only(f"on{devices}"), record)
        assert len(list(Path(f"on{devices}").rglob("record.json"))) == 1
    one, two = found[1][0].rows(), found[2][0].rows()
    assert [row["step"] for row in one] == [row["step"] for row in two]
    for a, b in zip(one, two, strict=True):
        assert_close({k: v for k, v in a.items() if k.startswith(("train", "validation"))}, b)
        assert b["tokens_per_second"] / b["steps_per_second"] == pytest.approx(a["tokens_per_second"] / a["steps_per_second"])
    assert found[2][1]["scores"]["test"] == pytest.approx(found[1][1]["scores"]["test"], rel=1e-9)
    assert found[1][1]["id"] == found[2][1]["id"]


def test_begun_on_two_devices_it_ends_on_one(monkeypatch):
    words = [*DEVICES["carried state"], f"task.text={text()}", "tracker=none", "train.precision='64'"]
    (whole,) = compose_jobs([*words, "runs=whole"], sweep=False)
    execute(whole)
    (two,) = compose_jobs([*words, "runs=parts", "trainer.devices=2", "trainer.save_seconds=0.000001"], sweep=False)
    real = Learner._save

    class Killed(BaseException):
        pass

    def dies(self):
        real(self)
        if self.step == 11:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Learner, "_save", dies)
        with pytest.raises(Killed):
            execute(two)
    (one,) = compose_jobs([*words, "runs=parts"], sweep=False)
    execute(one)
    for a, b in zip(only("whole").metrics(), only("parts").metrics(), strict=True):
        assert_close(a, b)


@pytest.mark.parametrize("carry", [True, False])
def test_rows_that_go_on_carry_their_state_or_begin_anew(carry):
    """What was scored at the end, repeated by hand: a window's state goes into the next one, or does not."""
    words = ["task=continual_reber", "task.window=7", "task.windows=5", "task.streams=4", "model=lstm", "model.hidden_size=6"]
    words += ["train.steps=30", "train.eval_every=30", "train.batch_size=4", "train.learning_rate=0.05", "tracker=none"]
    (job,) = compose_jobs([*words, f"train.carry={str(carry).lower()}"], sweep=False)
    record = execute(job)
    trained = load_run(only().path)
    scores = {}
    for carries in (True, False):
        sums, state = {}, None
        for index in range(trained.task.batches("test", 4)):
            batch = trained.task.batch("test", index, 4, 0)
            with torch.no_grad():
                outputs, state = trained.network(batch, trained.network.carry(state, batch.fresh) if carries else None)
            for name, value in trained.task.score(outputs, batch).items():
                sums[name] = sums.get(name, 0) + value
        scores[carries] = trained.task.finish({name: float(value) for name, value in sums.items()})
    assert record["scores"]["test"] == pytest.approx(scores[carry], rel=1e-5)
    assert record["scores"]["test"]["loss"] != pytest.approx(scores[not carry]["loss"], rel=1e-3)
