"""The tables of sizes against networks that are built and counted."""

from __future__ import annotations

import pytest
import torch

from rnnbench.cli import choices
from rnnbench.cli.main import main
from rnnbench.cli.sizes import widths_within
from rnnbench.config.compose import compose_jobs
from rnnbench.config.schema import choice_names
from rnnbench.models.details import mechanism_details
from rnnbench.models.registry import MODELS
from rnnbench.models.stack import Stack
from rnnbench.run.plan import make_network, make_task


def rows(text: str) -> dict[str, list[str]]:
    return {line.split()[0]: line.split() for line in text.splitlines()[1:]}


def test_details_of_every_model(capsys):
    assert main(["list", "models", "--details"]) == 0
    text = capsys.readouterr().out
    found = rows(text)
    assert tuple(found) == choice_names("model")
    lstm = sum(p.numel() for p in torch.nn.LSTM(128, 128).parameters())
    assert found["lstm"][1:5] == [f"{lstm:,}", "256", "library,", "fused"]
    assert found["peephole_lstm"][1] == f"{lstm + 3 * 128:,}"
    both = sum(p.numel() for p in torch.nn.LSTM(128, 128, 2, bidirectional=True).parameters())
    assert found["deep_bilstm"][1:3] == [f"{both:,}", "1,024"]
    assert found["gru"][1:3] == [f"{3 * (2 * 128 * 128 + 2 * 128):,}", "128"]
    lines = {line.split()[0]: line for line in text.splitlines()}
    assert "Le, Jaitly & Hinton 2015" in lines["irnn"]
    assert "GRU, two layers" in lines["deep_gru"] and "Cho et al. 2014" in lines["deep_gru"]


@pytest.mark.parametrize("backend", ["library", "fused"])
def test_a_back_end_that_is_named_is_one_that_runs(backend):
    for one in mechanism_details():
        if backend in one.backends:
            stack = Stack(lambda size, name=one.name: MODELS[name](size), 3)
            stack.layers[0][0].backend = backend
            assert stack(torch.zeros(2, 4, 3))[0].shape[:2] == (2, 4)


def test_widths_within_a_budget(monkeypatch):
    monkeypatch.setattr(choices, "choice_names", lambda group: ["gru", "lstm", "tcn"] if group == "model" else ["adding"])
    found = rows(widths_within("70k"))
    assert found["lstm"][1:4] == ["130", "69,811", "-0.27%"]
    assert found["tcn"][4:] == ["no", "width", "is", "within", "1", "%"]
    for name, (_, width, count, *_) in found.items():
        (job,) = compose_jobs(["task=adding", f"model={name}", f"model.hidden_size={width.replace(',', '')}"], sweep=False)
        network = make_network(job, make_task(job))
        assert sum(p.numel() for p in network.parameters()) == int(count.replace(",", ""))
