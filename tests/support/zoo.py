"""Every mechanism with its options, and how many parameters each has: what the laws of models run over."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

from rnnbench.laws.cells import LENGTHS, VALID, B, D, H, T, real, states_of_a_loop, tried  # noqa: F401 - for those who import this
from rnnbench.models import registry
from rnnbench.models.dropout import RecurrentDropout, Zoneout
from rnnbench.models.mechanism import Mechanism, leaves
from rnnbench.plugins.classes import load_class
from rnnbench.plugins.references import Plugin
from tests.support.plugins import CELL


def plugin() -> type[Mechanism]:
    """The class of a plug-in's mechanism, as an entry point of an installed package gives it."""
    folder = Path(tempfile.mkdtemp())
    (folder / "leaky_package.py").write_text(CELL)
    sys.path.insert(0, str(folder))
    try:
        return load_class(Plugin("model", "leaky", "leaky-package", "leaky_package", "Leaky", str(folder)))
    finally:
        sys.path.remove(str(folder))


MODELS: dict[str, Callable[..., Mechanism]] = {
    **registry.MODELS,
    "leaky": plugin(),
    "zoneout": lambda size, hidden_size, **options: Zoneout(registry.MODELS["lstm"](size, hidden_size, **options), 0.3, 0.6),
    "recurrent dropout": lambda size, hidden_size, **options: RecurrentDropout(registry.MODELS["gru"](size, hidden_size), 0.5),
}
OPTIONS: dict[str, list[dict]] = {
    "rnn": [
        {},
        {"nonlinearity": "relu", "recurrent_init": "identity", "input_init": "small", "zero_bias": True},
        {"nonlinearity": "sigmoid", "recurrent_init": "glorot", "gain": 1.5},
        {"nonlinearity": "sigmoid_4x", "biases": 1},
        {"nonlinearity": "sigmoid", "biases": 0},
        {"nonlinearity": "linear", "recurrent_init": "orthogonal", "gain": 0.75},
        {"nonlinearity": "sigmoid_4x_centred", "input_init": "glorot"},
        {"nonlinearity": "half_tanh_2x", "recurrent_init": "orthogonal"},
    ],
    "gru": [{}, {"reset": "before"}, {"update_bias": 2.0, "biases": 1}, {"chrono": 9, "reset": "before", "biases": 1}],
    "lstm": [
        {},
        {"forget_bias": 5.0, "recurrent_init": "orthogonal", "biases": 1},
        {"chrono": 9, "zero_bias": True},
        {"proj_size": 2},
        {"peepholes": "diagonal"},
        {"peepholes": "diagonal", "proj_size": 2, "biases": 1},
        {"peepholes": "output_matrix", "recurrent_init": "glorot", "input_init": "glorot"},
        *({"peepholes": "diagonal", name: True} for name in ("NIG", "NFG", "NOG", "NIAF", "NOAF", "CIFG", "FGR")),
        *({name: True} for name in ("NIG", "NFG", "NOG", "CIFG", "FGR")),
        {"NIG": True, "NFG": True, "NOG": True, "NIAF": True, "NOAF": True},
        {"FGR": True, "proj_size": 2},
    ],
    "lstm_1997": [
        {},
        {"truncated": False},
        {"truncated": False, "block_size": 2, "input_bias": [-1.0, -2.0], "output_bias": [-1.0, 0.5], "bias_spread": True},
        {"truncated": False, "block_size": 4, "g": "1", "h": "2", "begin": "half", "biased": "gates"},
        {"truncated": False, "block_size": 2, "biased": "none", "g": "logistic", "h": "linear"},
        {"feedback": False, "output_gate": False, "biased": "none", "g": "logistic", "h": "linear"},
        {"truncated": False, "block_size": 2, "forget_gate": True, "forget_bias": [0.5, 1.0], "gates_seen": False},
        {"truncated": False, "block_size": 4, "forget_gate": True, "output_gate": False, "biased": "gates"},
    ],
    "min_gru": [{}, {"positive": True, "update_bias": 1.0}],
    "min_lstm": [{}, {"positive": True, "forget_bias": 1.0}],
    "tcn": [{"levels": 2, "kernel": 3}, {"levels": 1, "kernel": 2, "init": "uniform"}],
    "transformer": [{"heads": 2, "context": 3}, {"heads": 1, "blocks": 1, "context": 20}, {"heads": 3, "context": 4}],
}
CASES = [(name, options) for name in MODELS for options in OPTIONS.get(name, [{}])]


def count(name: str, options: dict) -> int:
    """The number of parameters, from the equations."""
    biases = options.get("biases", 2)
    if name in ("rnn", "gru", "recurrent dropout"):
        return {"rnn": 1}.get(name, 3) * (H * D + H * H + biases * H)
    if name in ("lstm", "zoneout"):
        P, missing = options.get("proj_size", H), sum(options.get(gate, False) for gate in ("NIG", "NFG", "NOG", "CIFG"))
        gates = 4 - missing
        peepholes = {"none": 0, "diagonal": (gates - 1) * H, "output_matrix": H * H}[options.get("peepholes", "none")]
        projection, recurrence = P * H * ("proj_size" in options), 9 * H * H * options.get("FGR", False)
        return gates * (H * D + H * P + biases * H) + peepholes + projection + recurrence
    if name == "lstm_1997":
        gates = H // options.get("block_size", 1) * (1 + options.get("output_gate", True) + options.get("forget_gate", False))
        biased = {"none": 0, "gates": gates, "all": H + gates}[options.get("biased", "all")]
        seen = (H + gates * options.get("gates_seen", True)) * options.get("feedback", True)
        return (H + gates) * (D + seen) + biased
    if name == "tcn":
        k, levels = options["kernel"], options["levels"]
        convolutions = (D + H) * H * k + (levels - 1) * 2 * H * H * k
        return convolutions + levels * 2 * 2 * H + D * H + H  # with gains and biases; the way around the first block
    if name == "transformer":
        attended = H + -H % (2 * options["heads"])
        return D * H + H + options.get("blocks", 2) * (12 * H * H + 12 * H + attended) + 2 * H
    return {"min_gru": 2 * (H * D + H), "min_lstm": 3 * (H * D + H), "leaky": H * D}[name]


def make(name: str, options: dict, size: int = D) -> Mechanism:
    """In float64 and in evaluation mode, all biases and weights away from zero."""
    torch.manual_seed(0)
    return tried(MODELS[name](size, hidden_size=H, **options))


def close(a, b, tolerance: float = 1e-12) -> None:
    for one, other in zip(leaves(a), leaves(b), strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)
