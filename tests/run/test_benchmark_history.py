"""Marks of `rnnbench benchmark`, what --save keeps, and what `benchmark history` calls a rise."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from rnnbench.benchmarks import history, overhead
from rnnbench.benchmarks.history import Measured, history_lines, read_saved, rises, save, summary
from rnnbench.benchmarks.kernels import KernelRow
from rnnbench.cli.main import main

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
        f"0 of 1 rows keep their must; missed: x ({value:g}, must 0.75)" if misses else "1 of 1 rows keep their must"
    )
    assert ("misses its must" in str(KernelRow("x", (1, 2, 3), value, (0.75, None)))) == (value > 0.75)
    assert Measured("x", math.nan, must=1.0).misses


def test_saving_and_its_refusals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def measured(quick: bool = False, words: Sequence[str] = ()) -> list[Measured]:
        return [Measured("ratio", 0.9, must=0.95, higher=True)]

    monkeypatch.setattr(overhead, "main", measured)
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert main(["benchmark", "overhead", "--quick", "--save"]) == 0
    assert "0 of 1 rows keep their must; missed: ratio" in capsys.readouterr().out
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
