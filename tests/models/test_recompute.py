"""`trainer.recompute` changes no number: of any model, with what is drawn at random, recorded or carried; it saves memory."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from rnnbench.benchmarks.recompute import last_output_pass, live_bytes
from rnnbench.config.compose import compose_jobs
from rnnbench.config.schema import choice_names, choice_settings
from rnnbench.models.details import model_stack
from rnnbench.models.mechanism import leaves
from rnnbench.models.recompute import set_recompute
from rnnbench.models.stack import recording
from rnnbench.options import BadOption
from tests.training.test_micro_batches import ADDING, KINDS, SHORT, assert_equal, trained

B, T, D = 3, 11, 4
LENGTHS = torch.tensor([11, 1, 6])
AROUND: dict[str, dict[str, Any]] = {
    "two layers, dropout": {"layers": 2, "dropout": 0.5},
    "one mask a sequence": {"layers": 2, "dropout": 0.5, "dropout_mask": "sequence", "recurrent_dropout": 0.5},
    "zoneout": {"zoneout": 0.5},
    "both directions": {"bidirectional": True, "layers": 2},
    "tied directions": {"bidirectional": True, "tied_directions": True},
    "tied directions, two stacks": {"bidirectional": True, "tied_directions": True, "layers": 2, "depth_form": "separate"},
    "learned beginning": {"initial_state": "learned"},
}
CASES = [(model, {}) for model in choice_names("model")]
CASES += [(model, options) for model in ("lstm", "gru", "min_gru") for options in AROUND.values()]
CASES += [("tcn", {"levels": 3, "block_dropout": 0.5, "layers": 2}), ("transformer", {"blocks": 3, "block_dropout": 0.5})]


def passed(model: str, options: dict[str, Any], lengths: torch.Tensor | None, on: bool) -> list[torch.Tensor]:
    """What two passes, the state carried, give: outputs, states, gradients, recorded ones too, and the next random number."""
    torch.manual_seed(0)
    stack = model_stack(model, {**choice_settings("model", model), **options}, D).double()
    set_recompute(stack, on)
    x = torch.randn(B, T, D, dtype=torch.double, requires_grad=True)
    with recording(stack) as sinks:
        y, state = stack(x, None, lengths)
        again, state = stack(x, state, lengths)
        valid = torch.arange(T) < (torch.full((B,), T) if lengths is None else lengths).unsqueeze(1)
        floats = [leaf for leaf in leaves(state) if leaf.is_floating_point()]
        (y[valid].square().sum() + again[valid].pow(3).sum() + sum(leaf.sum() for leaf in floats)).backward()
    gradients = [p.grad for p in (x, *stack.parameters()) if p.grad is not None]
    norms = [norm for sink in sinks.values() for norm in (sink.h, sink.c) if norm is not None]
    return [y[valid], again[valid], *leaves(state), *gradients, *norms, torch.rand(1)]


@pytest.mark.parametrize(("model", "options"), CASES, ids=str)
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "ragged"])
def test_every_number_is_the_same(model: str, options: dict[str, Any], lengths: torch.Tensor | None) -> None:
    if options.get("recurrent_dropout") and model == "min_gru":
        options = {**options, "recurrent_dropout": 0.0}  # it has no recurrent matrix
    without, with_it = (passed(model, options, lengths, on) for on in (False, True))
    assert len(without) == len(with_it) > 4
    for one, other in zip(without, with_it, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-9, atol=1e-12)


RUNS = KINDS | {
    "dropout": [*ADDING, "model=deep_gru", "model.dropout=0.5", "model.recurrent_dropout=0.3"],
    "micro batches": [*ADDING, "model=lstm", "trainer.micro_batches=2"],
    "two devices": [*ADDING, "model=gru", "trainer.devices=2"],
}


@pytest.mark.parametrize("kind", RUNS)
def test_a_run_is_the_same_run(kind: str) -> None:
    """Its id, every logged number with gradients through time, scores and weights."""
    (whole, record), (again, other) = (
        trained([*RUNS[kind], *SHORT, f"trainer.recompute={on}"], f"recompute_{on}") for on in ("false", "true")
    )
    assert_equal(whole, again, 1e-10)
    assert other["id"] == record["id"] and other["config"]["trainer"]["recompute"] is True


def test_in_bf16_too() -> None:
    words = [*KINDS["ragged text"], *SHORT, "train.precision=bf16"]
    assert_equal(trained(words, "whole")[0], trained([*words, "trainer.recompute=true"], "again")[0], 0.05)


@pytest.mark.parametrize("model", ["lstm", "peephole_lstm", "gru", "tcn"])
def test_it_saves_memory(model: str) -> None:
    """At full size, `rnnbench benchmark recompute` measures how much."""
    (kept, peak), (kept_with_it, peak_with_it) = (live_bytes(*last_output_pass(model, on, steps=200)) for on in (False, True))
    assert kept_with_it < 0.5 * kept < kept < peak and kept_with_it < peak_with_it < 0.75 * peak


def test_a_sequence_of_ten_thousand_steps() -> None:
    words = ["task=adding", "task.length=10000", "task.sequences=2", "model=gru", "model.hidden_size=8", "train.batch_size=2"]
    _, record = trained([*words, "train.steps=1", "trainer.recompute=true", "tracker=none"], "long")
    assert record["status"] == "finished" and record["steps"] == 1


def test_the_loop_of_1997_keeps_no_activations() -> None:
    words = ["task=embedded_reber", "model=lstm_1997", "network.output=logistic", "train.rule=online", "train.batch_size=1"]
    with pytest.raises(BadOption, match=r"recompute=true beside train\.rule=online is not allowed; allowed: false"):
        compose_jobs([*words, "train.precision='64'", "trainer.recompute=true"], sweep=False)
