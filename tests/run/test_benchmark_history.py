"""Marks of `rnnbench benchmark`, what --save keeps, and what `benchmark history` calls a rise."""

from __future__ import annotations

import importlib
import json
import math
import types
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from rnnbench.benchmarks import evaluation, history, kernels, overhead
from rnnbench.benchmarks.history import Measured, history_lines, noise_of, read_saved, rises, save, summary
from rnnbench.benchmarks.kernels import KernelRow
from rnnbench.cli.benchmark import UNSAVED
from rnnbench.cli.main import main
from rnnbench.cli.parser import BENCHMARKS
from rnnbench.models.stack import Stack
from rnnbench.networks.plain import Network
from rnnbench.tasks.shared import scoring

NOISE = (0.0, 0.03, -0.02, 0.01, -0.03)  # of logarithms, over the saves of one commit


def saved(path: Path, factors: dict[str, float], times: int = 5, monkeypatch: pytest.MonkeyPatch | None = None) -> Path:
    """A file in which each commit was measured so many times, its rows as many times what they are at the first."""
    assert monkeypatch is not None
    for at, (commit, factor) in enumerate(factors.items()):
        for number in range(times):
            noise = math.exp(NOISE[(number + at) % len(NOISE)])
            monkeypatch.setattr("rnnbench.run.provenance.code_commit", lambda commit=commit: commit)
            rows = [Measured("LSTM", 0.7 * noise * factor, must=0.75), Measured("steps/s", 0.98 * noise / factor, higher=True)]
            save([*rows, Measured("GRU", 0.6 * noise)], "kernels", quick=False, path=path)
    return path


@pytest.mark.parametrize(
    ("factors", "times", "worse"),
    [
        ({"aaaa": 1.0, "bbbb": 1.3}, 5, ["LSTM", "steps/s"]),  # deliberately slowed
        ({"aaaa": 1.0, "bbbb": 1.0}, 5, []),  # only noise
        ({"aaaa": 1.0, "bbbb": 1.02}, 5, []),
        ({"aaaa": 1.3, "bbbb": 1.0}, 5, []),  # faster
        ({"aaaa": 1.0, "bbbb": 1.0, "cccc": 1.2, "dddd": 1.2}, 3, ["LSTM", "steps/s"]),  # once, where it happened
        ({"aaaa": 1.0, "bbbb": 1.1}, 1, []),  # once each: nothing is known of noise
        ({"aaaa": 1.0, "bbbb": 1.5}, 1, ["LSTM", "steps/s"]),
    ],
)
def test_history_names_a_rise_beyond_noise(
    factors: dict[str, float], times: int, worse: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = list(history_lines(read_saved(saved(tmp_path / "b.jsonl", factors, times, monkeypatch))))
    (at,) = [number for number, line in enumerate(lines) if "got worse" in line]
    assert lines[at].startswith(f"{len(worse)} rows")
    assert [line.split(": ")[1] for line in lines[at + 1 :]] == worse
    assert all(commit in lines[1] for commit in factors)
    if "cccc" in factors:
        assert all("from bbbb to cccc" in line for line in lines[at + 1 :])


def test_a_rise_is_the_same_in_every_order_of_saves_and_unit() -> None:
    one, other = [1.0, 1.02, 0.99], [1.25, 1.2, 1.22]
    found = rises({"a": one, "b": other})
    assert found == rises({"a": one[::-1], "b": other[1:] + other[:1]}) == ["1.000 -> 1.220 (1.22 times) from a to b"]
    assert len(rises({"a": [5 * v for v in one], "b": [5 * v for v in other]})) == 1
    assert rises({"b": other, "a": one}) == [] and len(rises({"b": other, "a": one}, higher=True)) == 1


@pytest.mark.parametrize(
    ("value", "higher", "misses"), [(0.8, False, True), (0.7, False, False), (0.8, True, False), (0.7, True, True)]
)
def test_a_row_that_misses_its_must_is_marked(value: float, higher: bool, misses: bool) -> None:
    row = Measured("x", value, must=0.75, higher=higher)
    assert (row.misses, bool(row.mark)) == (misses, misses)
    assert summary([row, Measured("y", 9.0)]) == (
        f"0 of 1 rows that have a must keep it; missed: x ({value:g}, must 0.75)"
        if misses
        else "1 of 1 rows that have a must keep it"
    )
    assert ("misses its must" in str(KernelRow("x", (1, 2, 3), value, (0.75, None)))) == (value > 0.75)
    assert Measured("x", math.nan, must=1.0).misses


@pytest.mark.parametrize("what", BENCHMARKS)
def test_a_benchmark_returns_rows_or_nothing_to_save(what: str) -> None:
    home = importlib.import_module(f"rnnbench.benchmarks.{what}")
    assert typing.get_type_hints(home.main)["return"] == (types.NoneType if what in UNSAVED else list[Measured])


def test_saving_and_its_refusals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def measured(quick: bool = False, words: Sequence[str] = ()) -> list[Measured]:
        return [Measured("ratio", 0.9, must=0.95, higher=True)]

    monkeypatch.setattr(overhead, "main", measured)
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert main(["benchmark", "overhead", "--quick", "--save"]) == 0
    assert "0 of 1 rows that have a must keep it; missed: ratio" in capsys.readouterr().out
    lines = [json.loads(line) for line in Path(history.FILE).read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 2 and {"commit", "processor", "when"} < set(lines[0])
    assert lines[0]["rows"] == {"ratio": {"value": 0.9, "higher": True}} and lines[0]["quick"]
    assert main(["benchmark", "history"]) == 0
    assert "overhead --quick" in (said := capsys.readouterr().out) and "0 rows have got worse" in said
    Path("bad.jsonl").write_text('{"commit": 1}\n', encoding="utf-8")
    for words in (["history", "none.jsonl"], ["history", "bad.jsonl"], ["history", "a", "b"], ["tasks", "--save"]):
        assert main(["benchmark", *words]) == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert main(["benchmark", "overhead", "--save", "none/b.jsonl"]) == 2


@pytest.mark.parametrize(
    ("noise", "rise", "worse"),
    [
        (None, 1.2, 0),  # once each, and nothing is known of noise
        (0.0, 1.2, 1),  # the rounds of each measurement agree
        (0.03, 1.2, 1),
        (0.03, 1.1, 0),
        (0.1, 1.2, 0),  # they do not
        (0.1, 1.6, 1),
    ],
)
def test_the_rounds_of_a_measurement_tell_its_noise(noise: float | None, rise: float, worse: int, tmp_path: Path) -> None:
    path = tmp_path / "b.jsonl"
    for commit, value in (("aaaa", 1.0), ("bbbb", rise)):
        row = {"value": value, "higher": False, **({} if noise is None else {"noise": noise})}
        line = {"commit": commit, "processor": "x", "what": "evaluation", "rows": {"LSTM": row}}
        with path.open("a") as file:
            file.write(json.dumps(line) + "\n")
    *_, hint, found = list(history_lines(read_saved(path)))[: -worse or None]
    assert found.startswith("1 row has got worse" if worse == 1 else f"{worse} rows have got worse")
    least = float(hint.partition(": ")[2].partition(" ")[0])
    assert hint.startswith("1 row was measured once at each commit") and (rise > least) == bool(worse)


def test_noise_is_that_of_a_median_of_normal_values() -> None:
    random = numpy.random.default_rng(0)
    medians = [numpy.median(random.normal(0, 0.1, 7)) for _ in range(4000)]
    told = [noise_of(numpy.exp(random.normal(0, 0.1, 7)).tolist()) for _ in range(4000)]
    assert numpy.sqrt(numpy.square(told).mean()) == pytest.approx(numpy.std(medians), rel=0.1)
    assert noise_of([1.0]) is None


class Operations(TorchDispatchMode):
    """A clock that counts what PyTorch is asked to do, in place of seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += 1
        return function(*args, **(kwargs or {}))


def slowed(work: Callable[..., Any], share: float, when: Callable[[], bool]) -> Callable[..., Any]:
    """`work`, which takes a share more of what it asks of PyTorch where `when` says so."""

    def call(*args: Any, **named: Any) -> Any:
        with Operations() as clock:
            found = work(*args, **named)
        for _ in range(round(share * clock.count) if when() else 0):
            torch.ones(1)
        return found

    return call


SLOWED = {
    "stack": (Stack, "unroll", 1.0),
    "scores": (scoring, "judged", 9.0),
    "network": (Network, "forward", 1.0),
}


@pytest.mark.parametrize("what", SLOWED)
@pytest.mark.parametrize("where", ["evaluation", "training"])
def test_a_commit_that_slows_evaluation_is_named(
    what: str, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two commits the second takes longer under torch.inference_mode, or else only where there are gradients."""
    owner, name, more = SLOWED[what]
    for commit, share in (("aaaa", 0.0), ("bbbb", more)):
        with monkeypatch.context() as patch:
            work = slowed(getattr(owner, name), share, lambda: torch.is_inference_mode_enabled() == (where == "evaluation"))
            patch.setattr(owner, name, work)
            with Operations() as clock:
                patch.setattr(kernels.time, "process_time", lambda: clock.count)
                rows = [evaluation.evaluation(4000, model, 2).measured() for model in evaluation.BARE]
            patch.setattr("rnnbench.run.provenance.code_commit", lambda commit=commit: commit)
            save(rows, "evaluation", quick=True, path=tmp_path / "b.jsonl")
    found = list(history_lines(read_saved(tmp_path / "b.jsonl")))
    worse = [line for line in found if "from aaaa to bbbb" in line]
    assert len(worse) == (len(rows) if where == "evaluation" else 0), found
    assert all(line.startswith("  evaluation: evaluation of 4,000 tokens") for line in worse)
