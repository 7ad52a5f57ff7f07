"""Files that nothing can half-write, and records that notice when they were changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rnnbench.store.find import find_runs
from rnnbench.store.lease import Held
from rnnbench.store.record import DamagedRecord, canonical, digest, plain, verified, write_atomically
from rnnbench.store.run_folder import RunFolder
from tests.support.records import filled


@pytest.fixture
def folder() -> RunFolder:
    folder = RunFolder(Path("runs/adding/lstm/s0-12345678"))
    folder.start({"task": {"name": "adding"}, "model": {"name": "lstm"}, "seed": 0})
    return folder


def test_canonical_text_is_one_for_one_value():
    assert canonical({"b": 1, "a": [1.5, None]}) == '{"a":[1.5,null],"b":1}'
    assert digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical(float("nan"))
    assert plain({"a": [float("inf"), 1.0]}) == {"a": [None, 1.0]}


def test_writing_is_whole_or_not_at_all(monkeypatch):
    path = Path("file")
    write_atomically(path, b"old")

    def fails(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fails)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(Path().iterdir()) == [path]


def test_a_record_is_written_once(folder):
    folder.finish(filled({"seed": 0, "scores": {"validation": None, "test": {"mse": float("nan")}}}))
    before = (folder.path / "record.json").read_bytes()
    with pytest.raises(FileExistsError):
        folder.finish(filled({"seed": 1}))
    assert (folder.path / "record.json").read_bytes() == before
    assert folder.record()["scores"]["test"] == {"mse": None}


@pytest.mark.parametrize(
    "change", [lambda t: t.replace('"seed": 0', '"seed": 1'), lambda t: t[: len(t) // 2], lambda t: "[]", lambda t: ""]
)
def test_a_changed_record_is_noticed(folder, change):
    folder.finish(filled({"seed": 0}))
    path = folder.path / "record.json"
    path.write_text(change(path.read_text()))
    with pytest.raises(DamagedRecord):
        folder.record()
    runs, complaints = find_runs([Path("runs")])
    assert runs == [] and len(complaints) == 1 and str(path) in complaints[0]


def test_a_later_schema_is_not_guessed_at():
    body = {"schema": 99, "seed": 0}
    with pytest.raises(DamagedRecord, match="schema 99"):
        verified(json.dumps({**body, "checksum": digest(body)}), "here")


def test_rows_are_cut_to_the_checkpoint(folder):
    log = folder.open_log()
    log.append(1, {"loss": 1.0}, {"seconds": 0.5})
    offsets = log.offsets()
    log.append(2, {"loss": float("nan")}, {"seconds": 1.0})
    log.close()
    assert folder.rows() == [{"step": 1, "loss": 1.0, "seconds": 0.5}, {"step": 2, "loss": None, "seconds": 1.0}]
    log = folder.open_log(offsets)
    log.append(2, {"loss": 2.0}, {"seconds": 1.5})
    log.close()
    assert [row["loss"] for row in folder.rows()] == [1.0, 2.0]


def test_a_line_cut_off_is_left_out(folder):
    log = folder.open_log()
    log.append(1, {"loss": 1.0}, {})
    log.close()
    with open(folder.path / "metrics.jsonl", "a") as file:
        file.write('{"step": 2, "lo')
    assert len(folder.rows()) == 1


def test_a_log_shorter_than_its_checkpoint_is_not_gone_on_with(folder):
    with pytest.raises(DamagedRecord, match="shorter"):
        folder.open_log((10, 0))


def test_checkpoints_carry_their_checksum(folder):
    for step in (1, 2, 3):
        folder.save_checkpoint(step, b"weights %d" % step)
    names = [path.name[:9] for path, _ in folder.checkpoints()]
    assert names == ["000000003", "000000002"]
    newest = next(folder.checkpoints())[0]
    newest.write_bytes(b"weights 4")
    assert [data for _, data in folder.checkpoints()] == [None, b"weights 2"]
    (folder.path / "checkpoints/foreign.pt").write_bytes(b"x")
    assert next(folder.checkpoints())[1] is None


def test_a_run_is_held_by_one(folder):
    with folder.lease(), pytest.raises(Held, match="process"), folder.lease():
        pass
    with folder.lease():
        pass


def test_finding_runs(folder):
    folder.finish(filled({"seed": 0}))
    other = RunFolder(Path("runs/adding/lstm/s1-12345678"))
    other.start({"task": {"name": "adding"}, "model": {"name": "gru"}, "seed": 1})
    results = Path("results.jsonl")
    results.write_text(json.dumps(folder.record()) + "\n" + json.dumps({"schema": 1, "checksum": "0"}) + "\n")
    runs, complaints = find_runs([Path("runs"), results])
    assert [(run.config["seed"], run.record is not None) for run in runs] == [(0, True), (1, False), (0, True)]
    assert len(complaints) == 1 and "results.jsonl:2" in complaints[0]
    with pytest.raises(FileNotFoundError):
        find_runs([Path("nowhere")])
    Path("strange").mkdir()
    Path("strange/config.yaml").write_text("[1, 2]")
    assert find_runs([Path("strange")]) == ([], ["strange/config.yaml: no settings of a run"])
