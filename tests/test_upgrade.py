"""The upgrade law: what version 0.1 left behind (fixtures/v0_1) is read, answered from and continued by the present code.

Only the command line, `rnnbench.load` and the files themselves are used, so that it does not matter in which module what lies.
Numbers are held to 1e-6 where libraries and processor are those that made them, and weights to the bit; elsewhere, where single
precision rounds otherwise, losses and scores are held to 1e-3. A name of a processor without a number is that of many.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from math import isfinite, nan
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.wandb_server import Run, Server

KEPT = Path(__file__).parent / "fixtures" / "v0_1"
EXPECTED = json.loads((KEPT / "expected.json").read_text(encoding="utf-8"))
RUNS, SWEEP, ENDS = EXPECTED["runs"], EXPECTED["sweep"], EXPECTED["ends"]
FOLDERS = {**{name: run["folder"] for name, run in RUNS.items()}, **SWEEP["folders"]}
FINISHED = ["adding_lstm", "adding_peephole", "offline", "online", "char_lm", "pronunciation"]
INTERRUPTED = ["asked_to_end", "killed_with_dropout", "killed_with_state"]
LIBRARIES = ("python", "torch", "numpy", "pytorch-lightning", "numba")
ACCEPT = "accept_changes=true"  # the code is another than that which made the checkpoint, and is said to be


def rnnbench(*words: str) -> int:
    """The exit code of a command; the one place that knows where the command line lies."""
    try:
        from rnnbench.cli.main import main  # type: ignore[import-not-found, unused-ignore]
    except ModuleNotFoundError:
        from rnnbench.cli import main
    return int(main(list(words)))


@pytest.fixture(autouse=True)
def kept(clean: None) -> None:
    """All of it in the current folder, as 0.1 left it."""
    for path in KEPT.iterdir():
        if path.is_dir():
            shutil.copytree(path, "runs" if path.name == "store" else path.name)
        else:
            shutil.copy(path, ".")


def content(*places: str) -> dict[Path, bytes]:
    return {path: path.read_bytes() for place in places for path in Path(place).rglob("*") if path.is_file()}


def record_of(folder: str | Path) -> dict[str, Any]:
    return json.loads((Path(folder) / "record.json").read_text(encoding="utf-8"))


def rows_of(folder: str | Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def surroundings(record: dict[str, Any]) -> Any:
    """What rounding depends on."""
    return [record["versions"].get(name) for name in LIBRARIES], record["hardware"], record["process"]


def near(found: Any, expected: Any, relative: float) -> bool:
    """Whether `found` holds all that `expected` does, its numbers as near as `relative`; what it holds besides may be new."""
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(key in found and near(found[key], expected[key], relative) for key in expected)
    if isinstance(expected, list):
        return len(found) == len(expected) and all(near(*pair, relative) for pair in zip(found, expected, strict=True))
    if isinstance(expected, float) and isinstance(found, int | float):
        return found == pytest.approx(expected, rel=relative, abs=1e-12)
    return bool(found == expected)


def coarse(row: dict[str, Any]) -> dict[str, Any]:
    """What of a row is held against another machine's."""
    names = ("step", "train/loss", "train/learning_rate")
    return {key: v for key, v in row.items() if key in names or (key.startswith("validation/") and isinstance(v, float))}


def holds(folder: str | Path, expected: dict[str, Any]) -> None:
    """The run in `folder` is the one of `expected`, and came to the same numbers."""
    record, rows = record_of(folder), rows_of(folder)
    kept = record_of(KEPT / "store" / Path(FOLDERS["adding_lstm"]).relative_to("runs"))
    same = surroundings(record) == surroundings(kept) and any(map(str.isdigit, kept["hardware"]["processor"]))
    assert record["status"] == "finished"
    for part in ("id", "setting", "departures", "steps"):
        assert record[part] == expected[part], part
    relative = 1e-6 if same else 1e-3
    assert near(record["scores"], expected["scores"], relative)
    wanted = [row if same else coarse(row) for row in expected["rows"]]
    for row, one in zip(rows, wanted, strict=True):
        assert near(row, one, relative), (row, one)
    if same:
        assert (record["weights"], record["best_step"]) == (expected["weights"], expected["best_step"])


def rescored(trained: Any) -> dict[str, float]:
    """The scores of a loaded network on the test split, as far as they do not need what it writes by itself."""
    sums: dict[str, float] = defaultdict(lambda: nan)
    state = None
    with torch.inference_mode():
        for index in range(trained.task.batches("test", 20)):
            batch = trained.task.batch("test", index, 20, 0)
            carried = trained.network.carry(state, batch.fresh) if trained.task.carries else None
            outputs, state = trained.network(batch, carried)
            for name, value in trained.task.score(outputs, batch).items():
                sums[name] = sums.get(name, 0.0) + value.item()
    return {name: score for name, score in trained.task.finish(sums).items() if isfinite(score)}


# What is finished


@pytest.mark.parametrize("name", [*FINISHED, "sweep_lstm", "sweep_gru"])
def test_a_finished_run_is_loaded_and_scores_what_was_recorded(name: str) -> None:
    import rnnbench as package

    trained = package.load(FOLDERS[name])
    recorded, again = record_of(FOLDERS[name])["scores"]["test"], rescored(trained)
    assert trained.metrics == recorded and trained.record["id"].startswith(Path(FOLDERS[name]).name.partition("-")[2])
    assert again and near({key: recorded[key] for key in again}, again, 1e-6)
    assert [row["step"] for row in trained.rows] == [10, 20, 30, 40]


@pytest.mark.parametrize("name", [*FINISHED, "diverged"])
def test_the_same_command_answers_from_the_record_and_changes_no_byte(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    before = content("runs")
    assert rnnbench("train", *RUNS[name]["words"]) == 0
    assert "recorded before" in capfd.readouterr().out
    assert content("runs") == before


@pytest.mark.parametrize("name", FINISHED)
def test_a_run_made_anew_has_the_ids_and_the_numbers_of_then(name: str) -> None:
    """But for the id of a run on a file of one's own, which was of the file's name, too, and is of its content alone now."""
    words = [word for word in RUNS[name]["words"] if not word.startswith("tracker")]
    assert rnnbench("train", *words, "tracker=none", "runs=anew") == 0
    then, (path,) = record_of(FOLDERS[name]), Path("anew").glob("*/*/*/record.json")
    if name == "char_lm":
        now = record_of(path.parent)
        assert now["id"] != then["id"] and {**now["departures"], "task.text": "text.txt"} == then["departures"]
        then |= {part: now[part] for part in ("id", "setting", "departures")}
    else:
        assert path.parent == Path("anew") / Path(FOLDERS[name]).relative_to("runs")
    holds(path.parent, {**then, "rows": rows_of(FOLDERS[name])})


def test_a_diverged_run_made_anew_has_the_id_of_then_and_diverges() -> None:
    assert rnnbench("train", *RUNS["diverged"]["words"], "runs=anew") == 0
    then, now = (record_of(Path(root) / Path(FOLDERS["diverged"]).relative_to("runs")) for root in ("runs", "anew"))
    assert all(now[part] == then[part] for part in ("id", "setting", "status", "diverged_step"))


# What is asked of runs


def test_compare_shows_each_finished_run_and_complains_of_none(capfd: pytest.CaptureFixture[str]) -> None:
    assert rnnbench("compare", "--format", "csv") == 0
    out, err = capfd.readouterr()
    assert all(name in out for name in ("lstm", "peephole_lstm", "gru", "rnn", "relu_rnn", "char_lm", "pronunciation"))
    assert "checksum" not in err and "record.json" not in err


def test_a_report_is_written() -> None:
    assert rnnbench("report", "--output", "report.html") == 0
    assert Path("report.html").stat().st_size > 100_000


def test_status_counts_what_is_there(capfd: pytest.CaptureFixture[str]) -> None:
    assert rnnbench("status", "runs") == 0
    out = capfd.readouterr().out
    assert "14 runs: 9 recorded (1 diverged), 4 interrupted, 1 failed" in out and "No space left on device" in out
    for name in (*INTERRUPTED, "sweep_interrupted"):
        (line,) = (line for line in out.splitlines() if Path(FOLDERS[name]).name in line)
        assert f"at step {EXPECTED['checkpoints'][name]}" in line
    assert rnnbench("status", "half") == 0
    assert "4 runs: 2 recorded, 1 interrupted, 1 missing" in capfd.readouterr().out


def test_a_dry_prune_names_the_checkpoints_and_removes_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    before = content("runs")
    assert rnnbench("prune", "--dry-run", "--days", "0") == 0
    out = capfd.readouterr().out
    assert content("runs") == before
    assert all(f"was at step {EXPECTED['checkpoints'][name]}" in out for name in INTERRUPTED)


def test_gradients_are_drawn() -> None:
    assert rnnbench("gradients", FOLDERS["adding_lstm"], FOLDERS["char_lm"], "--output", "gradients.svg") == 0
    assert Path("gradients.svg").stat().st_size > 10_000


def test_a_probe_reads_the_states(capfd: pytest.CaptureFixture[str]) -> None:
    assert rnnbench("probe", FOLDERS["adding_peephole"], "--lags", "1,3") == 0
    assert len(capfd.readouterr().out.splitlines()) > 2


@pytest.mark.parametrize("name", EXPECTED["samples"])
def test_a_sample_reads_as_it_did(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert rnnbench("sample", FOLDERS[name], *EXPECTED["samples"][name]) == 0
    assert capfd.readouterr().out == EXPECTED["written"][name]


# What is unfinished


@pytest.mark.parametrize("again", [False, True], ids=["by its command", "by --again"])
@pytest.mark.parametrize("name", INTERRUPTED)
def test_an_interrupted_run_goes_on_from_its_step_to_the_same_end(
    name: str, again: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    step, before = EXPECTED["checkpoints"][name], rows_of(FOLDERS[name])
    words = ["--again", FOLDERS[name]] if again else RUNS[name]["words"]
    assert rnnbench("train", *words, ACCEPT) == 0
    out, _ = capfd.readouterr()
    assert f"continues from step {step}" in out and "left out" not in out
    holds(FOLDERS[name], ENDS[name])
    until = [row for row in before if row["step"] <= step]
    assert until and rows_of(FOLDERS[name])[: len(until)] == until
    assert all(change["step"] == step for change in record_of(FOLDERS[name])["changes"])


def test_a_failed_run_is_run_again(capfd: pytest.CaptureFixture[str]) -> None:
    assert (Path(FOLDERS["failed"]) / "failure.json").exists()
    assert rnnbench("train", *RUNS["failed"]["words"]) == 0
    assert not (Path(FOLDERS["failed"]) / "failure.json").exists()
    holds(FOLDERS["failed"], ENDS["failed"])


def test_half_a_sweep_is_completed_by_its_command(capfd: pytest.CaptureFixture[str]) -> None:
    recorded = content(FOLDERS["sweep_lstm"], FOLDERS["sweep_gru"])
    manifest = json.loads(Path("runs/sweeps/half/manifest.json").read_bytes())
    assert rnnbench("train", *SWEEP["words"], ACCEPT) == 0
    out = capfd.readouterr().out
    assert "2 recorded before" in out and f"continues from step {EXPECTED['checkpoints']['sweep_interrupted']}" in out
    assert content(FOLDERS["sweep_lstm"], FOLDERS["sweep_gru"]) == recorded
    now = json.loads(Path("runs/sweeps/half/manifest.json").read_bytes())
    assert now.pop("commands") and now == manifest  # which now keeps its command
    for name in ("sweep_interrupted", "sweep_missing"):
        holds(FOLDERS[name], ENDS[name])


def test_a_study_goes_on_and_keeps_its_trials() -> None:
    pytest.importorskip("optuna")
    (path,) = Path("searches").glob("*/search.json")
    before, trials = json.loads(path.read_text(encoding="utf-8")), content("searches/" + path.parent.name + "/adding")
    assert len(before["trials"]) == 3
    assert rnnbench(*EXPECTED["tune"], "--trials", "5") == 0
    assert [one.parent for one in Path("searches").glob("*/search.json")] == [path.parent]
    after = json.loads(path.read_text(encoding="utf-8"))
    assert len(after["trials"]) == 5 and after["trials"][:3] == before["trials"]
    assert trials.items() <= content("searches").items()


# W&B


@pytest.fixture
def server(kept: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("HOME", "WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
        (tmp_path / "home" / name).mkdir(parents=True)
        monkeypatch.setenv(name, str(tmp_path / "home" / name))
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    with Server() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", "0123456789" * 4)
        yield server
        assert not server.unknown
    if sys.modules.get("wandb"):
        sys.modules["wandb"].teardown()


def test_sync_finds_the_run_that_was_mirrored_online_level(server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    held = json.loads((KEPT / "server.json").read_text(encoding="utf-8"))
    server.runs |= {name: Run(**run) for name, run in held.items()}
    assert rnnbench("sync", FOLDERS["online"]) == 0
    assert "1 level before" in capfd.readouterr().out
    found = {name: asdict(run) for name, run in server.runs.items()}
    assert {name: {key: run[key] for key in held[name]} for name, run in found.items()} == held


def test_sync_sends_the_run_that_was_mirrored_offline_whole(server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    folder = Path(FOLDERS["offline"])
    assert list(folder.glob("wandb/offline-run-*/*.wandb"))
    assert rnnbench("sync", str(folder)) == 0
    ((name, there),) = server.runs.items()
    record, rows = record_of(folder), rows_of(folder)
    assert name == record["id"][:16] and there.state == "finished" and there.results()["status"] == "finished"
    assert there.settings() == record["config"]
    assert [{key: row[key] for key in one if key in row} for row, one in zip(there.rows(), rows, strict=True)] == rows
    assert rnnbench("sync", str(folder)) == 0
    assert "1 level before" in capfd.readouterr().out


# Tables


def test_a_table_reads_its_collected_records(capfd: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree("runs")
    assert rnnbench("table", "table", "--format", "csv") == 0
    out, err = capfd.readouterr()
    found = list(csv.DictReader(io.StringIO(out)))
    assert [(row["column"], row["seeds"]) for row in found] == [("lstm", "0 1 2"), ("gru", "0 1 2")] and err == ""
    assert rnnbench("table", "table") == 0
    out, err = capfd.readouterr()
    assert "2 of 2 cells measured" in out and "refused" not in out and err == ""
    assert rnnbench("compare", "table/results.jsonl") == 0
