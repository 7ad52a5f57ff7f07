"""A record of the wrong shape under a valid checksum is one refused row that names its file and field, and stops nobody."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rnnbench.cli.main import main
from rnnbench.launch.costs import recorded_costs
from rnnbench.reproduction.declaration import load_declaration
from rnnbench.store.find import find_runs
from rnnbench.store.record import DamagedRecord, canonical, digest, verified
from tests.analysis.test_tables import write
from tests.reproduction.test_declared import GRID
from tests.reproduction.test_declared import write as write_table
from tests.reproduction.test_reproductions import record as run_record
from tests.support.records import filled

Change = Callable[[dict[str, Any]], None]


def put(value: Any, *path: str) -> Change:
    """Sets a field of a record."""

    def change(record: dict[str, Any]) -> None:
        functools.reduce(dict.__getitem__, path[:-1], record)[path[-1]] = value

    return change


def nested(depth: int) -> list[Any]:
    return functools.reduce(lambda inner, _: [inner], range(depth), [])


WRONG: dict[str, tuple[Change, str]] = {
    "a text for a number": (put("fast", "speed", "steps_per_second"), "speed.steps_per_second: a number expected (got 'fast')"),
    "a truth value for a number": (put(True, "steps"), "steps: a whole number expected (got True)"),
    "a list for options": (put([], "task", "options"), "task.options: names with values expected (got [])"),
    "a seed that is a text": (put("0", "seed"), "seed: a whole number expected (got '0')"),
    "an unknown status": (put("done", "status"), "status: 'finished' or 'diverged' expected (got 'done')"),
    "a schema that is a list": (put([1], "schema"), "schema [1] is not known to this version"),
    "deep nesting": (put(nested(200), "process", "a"), "no record (nested more than 50 levels deep)"),
    "a missing field": (lambda record: record.pop("departures"), "departures: missing"),
    "a missing field below": (lambda record: record["config"]["model"].pop("name"), "config.model.name: missing"),
}
cases = pytest.mark.parametrize("name", WRONG)


def spoiled(body: dict[str, Any], change: Change) -> str:
    """The text of a changed record, sealed anew."""
    body = {key: value for key, value in copy.deepcopy(body).items() if key != "checksum"}
    change(body)
    return json.dumps({**body, "checksum": digest(body)})


def spoil(folder: Path, name: str) -> Path:
    path = folder / "record.json"
    path.write_text(spoiled(json.loads(path.read_text()), WRONG[name][0]))
    return path


@cases
def test_it_is_named_by_file_and_field(name: str) -> None:
    change, said = WRONG[name]
    with pytest.raises(DamagedRecord) as error:
        verified(spoiled(filled({"schema": 1}), change), "here/record.json")
    assert str(error.value).startswith(f"here/record.json: {said}") and "\n" not in str(error.value)


def test_nesting_that_no_parser_gets_through_is_damage() -> None:
    with pytest.raises(DamagedRecord, match=r"here: no record \(nested"):
        verified('{"checksum": "", "a": ' + "[" * 100_000 + "]" * 100_000 + "}", "here")


@pytest.mark.parametrize(
    ("text", "said"), [("{", "not JSON"), ("[]", "not an object with a checksum"), ("{}", "not an object with a checksum")]
)
def test_what_is_no_record_is_said(text: str, said: str) -> None:
    with pytest.raises(DamagedRecord, match=rf"^here: no record \({said}\)$"):
        verified(text, "here")


@cases
def test_compare_report_and_status_go_on(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "runs", seed=0)
    path, said = spoil(write(tmp_path / "runs", seed=1), name), WRONG[name][1]
    assert main(["compare", str(tmp_path / "runs"), "--format", "csv"]) == 0
    out, refused = capsys.readouterr()
    assert out.count("\n") == 2 and refused.startswith(f"{path}: {said}") and refused.count("\n") == 1
    assert main(["report", str(tmp_path / "runs"), "--output", str(tmp_path / "report.html")]) == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count(f"{path.parent.name}/record.json: ") == 1
    capsys.readouterr()
    assert main(["status", str(tmp_path / "runs")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "2 runs: 1 recorded, 1 damaged" in lines[0]
    assert len(lines) == 2 and f"{path}: {said}" in lines[1]
    seconds, _, _ = recorded_costs([path.parents[1]])
    assert sum(map(len, seconds.values())) == 1


@cases
def test_a_table_goes_on(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change, said = WRONG[name]
    table = load_declaration(str(write_table(tmp_path / "trial", GRID)))
    path, words = table.folder / "results.jsonl", table.cell("adding", "lstm", "paper").words
    path.write_text(canonical(run_record(words, 0, 0.1)) + "\n" + spoiled(run_record(words, 1, 0.1), change) + "\n")
    assert main(["table", str(table.folder), "--format", "csv"]) == 0
    out, gaps = capsys.readouterr()
    assert "0.1" in out
    assert [line for line in gaps.splitlines() if "refused" in line and f"{path}:2: {said}" in line]
    assert gaps.count("refused") == 1


def test_what_is_read_is_what_was_written() -> None:
    """Numbers keep their types, and keys that are not known here stay."""
    body = filled({"schema": 1, "later": {"x": [1, 2.0]}, "speed": {"seconds": 50, "joules": 3}})
    found = verified(spoiled(body, lambda record: None), "here")
    assert {**body, "checksum": found["checksum"]} == found
    assert type(found["speed"]["seconds"]) is int and type(found["speed"]["steps_per_second"]) is float


def test_committed_records_fit() -> None:
    paths = sorted(Path(__file__).parents[2].glob("sweeps/*/results.jsonl"))
    runs, complaints = find_runs(paths)
    assert runs and not complaints
