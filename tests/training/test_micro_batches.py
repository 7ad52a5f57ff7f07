"""A batch in micro batches gives the numbers of the whole batch: their gradients add up, and are divided once."""

from __future__ import annotations

import random
from itertools import chain
from pathlib import Path

import pytest
import torch

from rnnbench.config.checks import resolve
from rnnbench.config.compose import compose_jobs
from rnnbench.config.repeat import repeat_words
from rnnbench.options import BadOption
from rnnbench.run.execute import execute
from rnnbench.run.plan import plan_run
from rnnbench.store.record import Record
from rnnbench.store.run_folder import RunFolder
from rnnbench.training.learner import Learner
from rnnbench.training.loader import micro_batches
from tests.config.test_live_options import DRAWING
from tests.run.test_devices import ragged

SHORT = ["model.hidden_size=4", "train.steps=4", "train.eval_every=4", "train.log_every=2", "train.batch_size=7"]
SHORT += ["train.learning_rate=0.05", "tracker=none", "train.precision='64'"]
ADDING = ["task=adding", "task.length=5", "task.sequences=20"]
TEXT = ["task=char_lm", "task.text=text.txt", "task.window=6"]
REVERSE = ["task=reverse", "task.length=4", "task.shortest=2", "task.symbols=3", "task.sequences=20"]
CARRIED = ["task=continual_reber", "task.window=7", "task.windows=5", "task.streams=7"]
RAGGED = ["task=text_classification", "task.file=reviews.csv", "network.embedding=4", "network.dropout=0"]
KINDS = {
    "adding": [*ADDING, "model=lstm"],
    "ragged text": [*RAGGED, "model=gru"],
    "ragged, both directions": [*RAGGED, "model=deep_bilstm", "network.read=mean"],
    "carried state": [*TEXT, "model=lstm"],
    "carried state, rows that begin anew": [*CARRIED, "model=deep_gru", "train.mean_over=rows"],
    "carried state, a learnt beginning": [*CARRIED, "model=lstm", "model.initial_state=learned"],
    "carried window": [*TEXT, "model=tcn", "model.levels=2", "model.kernel=2"],
    "plain, with a source": [*REVERSE, "model=gru", "network.kind=plain", "network.attention=none"],
    "encoder-decoder": [*REVERSE, "model=rnn", "network.kind=encoder_decoder"],
    "attention step by step": [*REVERSE, "model=lstm", "network.kind=encoder_decoder", "network.attention=additive"],
    "clipped by norm": [*ADDING, "model=rnn", "train.clip=0.01", "train.optimizer=sgd"],
    "clipped by value": [*ADDING, "model=rnn", "train.clip=0.001", "train.clip_by=value", "train.optimizer=sgd"],
    "noise on weights": [*ADDING, "model=lstm", "train.weight_noise=0.1"],
    "scan": [*ADDING, "model=min_gru"],
}


def trained(words: list[str], place: str) -> tuple[RunFolder, Record]:
    """The run of `words` below `place`, from its files."""
    Path("reviews.csv").write_text(ragged(), encoding="utf-8")
    Path("text.txt").write_text("".join(random.Random(0).choices("abcde ", k=2000)), encoding="utf-8")
    (job,) = compose_jobs([*words, f"runs={place}"], sweep=False)
    record = execute(job)
    assert record is not None and record["status"] == "finished"
    return plan_run(job).folder, record


def assert_equal(folder: RunFolder, other: RunFolder, bound: float) -> None:
    """Metrics, scores and weights agree to `bound`, relative; norms through time are logged in four digits."""
    compared = 0
    for row, others in zip(folder.metrics(), other.metrics(), strict=True):
        assert row.keys() == others.keys()
        for name, value in row.items():
            if value is None or name == "validation/samples":
                assert value == others[name], name
                continue
            compared += 1
            within = max(bound, 2e-3) if isinstance(value, list) else bound
            assert others[name] == pytest.approx(value, rel=within, abs=bound), name
    assert compared > 10
    one, two = ((found.record() or {})["scores"] for found in (folder, other))
    for split in ("validation", "test"):
        assert two[split] == pytest.approx(one[split], rel=bound)


@pytest.mark.parametrize("kind", KINDS)
def test_micro_batches_change_no_number(kind: str) -> None:
    """Three do not divide the seven rows."""
    whole, record = trained([*KINDS[kind], *SHORT], "whole")
    for count in (2, 3):
        parts, other = trained([*KINDS[kind], *SHORT, f"trainer.micro_batches={count}"], f"in{count}")
        assert_equal(whole, parts, 1e-10)
        assert other["config"]["trainer"]["micro_batches"] == count
        assert (other["id"] == record["id"]) == (kind != "noise on weights")  # which several devices draw apart


@pytest.mark.parametrize("kind", ["ragged text", "carried state"])
def test_devices_and_micro_batches_change_no_number(kind: str) -> None:
    whole, _ = trained([*KINDS[kind], *SHORT], "whole")
    parts, _ = trained([*KINDS[kind], *SHORT, "trainer.micro_batches=2", "trainer.devices=2"], "in2")
    assert_equal(whole, parts, 1e-10)


@pytest.mark.parametrize(("precision", "bound"), [("32", 1e-4), ("bf16", 0.05)])
def test_micro_batches_in_other_precisions(precision: str, bound: float) -> None:
    words = [*KINDS["ragged text"], *SHORT, f"train.precision='{precision}'"]
    assert_equal(trained(words, "whole")[0], trained([*words, "trainer.micro_batches=3"], "in3")[0], bound)


def test_the_backward_passes_are_those_of_one_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """In bf16 Lightning's own backward pass is outside of autocast, and so are those of the other micro batches."""
    seen = []
    backward = torch.Tensor.backward

    def watched(self: torch.Tensor, *arguments: object, **named: object) -> None:
        seen.append(torch.is_autocast_enabled("cpu"))
        backward(self, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(torch.Tensor, "backward", watched)
    trained([*KINDS["adding"], *SHORT, "train.precision=bf16", "trainer.micro_batches=3"], "in3")
    assert seen == [False] * 12


def test_what_is_differentiated_at_a_time_is_a_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slice's graph is gone before the next is read: so it takes the memory of a slice."""
    read, forward = [], Learner._forward

    def watched(self: Learner, batch: object, rows: slice, differentiated: bool = False) -> tuple:
        read.append((rows.start, differentiated))
        found = forward(self, batch, rows, differentiated)  # type: ignore[arg-type]
        assert found[1].requires_grad != differentiated
        return found

    monkeypatch.setattr(Learner, "_forward", watched)
    trained([*KINDS["adding"], *SHORT, "train.steps=1", "trainer.micro_batches=3"], "in3")
    assert read == [(0, True), (3, True), (6, False)]


@pytest.mark.parametrize(
    ("rows", "count", "sizes"),
    [(7, 1, [7]), (7, 2, [4, 3]), (7, 3, [3, 3, 1]), (6, 3, [2, 2, 2]), (1, 3, [1]), (4, 3, [2, 2]), (3, 3, [1, 1, 1])],
)
def test_the_slices_of_a_batch(rows: int, count: int, sizes: list[int]) -> None:
    found = [list(range(rows))[part] for part in micro_batches(rows, count)]
    assert [len(part) for part in found] == sizes and [*chain(*found)] == list(range(rows))


@pytest.mark.parametrize("words", [*DRAWING, []], ids=" ".join)
def test_micro_batches_are_part_of_the_id_where_training_draws_numbers(words: list[str]) -> None:
    model = [] if any(word.startswith("model=") for word in words) else ["model=gru"]
    task = [] if any(word.startswith("task=") for word in words) else ADDING
    one, two = (compose_jobs([*task, *model, *words, *more], sweep=False)[0] for more in ([], ["trainer.micro_batches=2"]))
    draws = bool(words)
    assert (two.identity("") != one.identity("")) == draws
    assert two.departures.get("trainer.micro_batches") == (2 if draws else None)
    assert "trainer.micro_batches=2" in repeat_words(two.plain()) and resolve(two.plain()) == two


ONLINE = ["train.rule=online", "train.batch_size=1", "train.precision='64'"]
REFUSED = {
    "online": (
        ["task=embedded_reber", "model=lstm_1997", "network.output=logistic", *ONLINE],
        "trainer.micro_batches=2 beside train.rule=online is not allowed; allowed: 1",
    ),
    "too few rows": ([*ADDING, "model=gru", "train.batch_size=1"], "each micro batch needs at least one sequence"),
    "too few rows on devices": (
        [*ADDING, "model=gru", "train.batch_size=3", "trainer.devices=2"],
        "train.batch_size=3 has too few rows for trainer.micro_batches=2 on 2 devices",
    ),
    "none": ([*ADDING, "model=gru", "trainer.micro_batches=0"], "trainer.micro_batches=0"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_micro_batches_that_are_refused(why: str) -> None:
    words, said = REFUSED[why]
    with pytest.raises(BadOption) as refused:
        compose_jobs([*["trainer.micro_batches=2"] * (why != "none"), *words], sweep=False)
    assert said in str(refused.value) and len(str(refused.value)) <= 400 and "\n" not in str(refused.value)
