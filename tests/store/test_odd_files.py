"""Files of others that are odd inside stop nobody: each is one refused line that names the file, beside what is good."""

from __future__ import annotations

import copy
import json
import os
import tracemalloc
from pathlib import Path

import pytest

import rnnbench
from rnnbench.cli.main import main
from rnnbench.launch.manifest import read_manifest
from rnnbench.reproduction.declaration import load_declaration
from rnnbench.store import run_folder
from rnnbench.store.find import find_runs
from rnnbench.store.log import file_pieces
from rnnbench.store.record import DamagedRecord
from rnnbench.store.run_folder import RunFolder
from rnnbench.store.yaml_files import parse_yaml
from rnnbench.tracking.mirror import Mirror
from rnnbench.tracking.sync import sync_runs
from rnnbench.tracking.tracker import NoTracker, Run
from tests.analysis.test_tables import write
from tests.reproduction.test_declared import GRID
from tests.reproduction.test_declared import write as write_table
from tests.reproduction.test_reproductions import record as run_record
from tests.support.records import RECORD, filled

GOOD = "id: x\nsetting: y\nseed: 3\ntask: {name: adding, length: 9}\nmodel: {name: lstm, mechanism: lstm}\n"
LAUGH = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9 if n else ['x'] * 9)}]\n" for n in range(12))
CONFIGS = {
    "a seed that is infinite": GOOD.replace("seed: 3", "seed: .inf"),
    "a seed that is a list": GOOD.replace("seed: 3", "seed: [1]"),
    "a seed that is text": GOOD.replace("seed: 3", "seed: '3'"),
    "a seed of 5,000 digits": GOOD.replace("seed: 3", "seed: " + "9" * 5000),
    "a setting that is a list": GOOD.replace("setting: y", "setting: []"),
    "a sweep that is a number": GOOD + "sweep: 3\n",
    "a task that is text": "id: x\ntask: adding\nmodel: {name: lstm}\n",
    "a name that is a number": GOOD.replace("name: adding", "name: 3"),
    "options that are infinite": GOOD.replace("length: 9", "length: .nan"),
    "options that are a date": GOOD.replace("length: 9", "length: 2020-01-01"),
    "a date that cannot be": GOOD.replace("length: 9", "length: 2020-99-99"),
    "options that are bytes": GOOD.replace("length: 9", "length: !!binary aGk="),
    "names that are numbers": GOOD.replace("length: 9", "3: 9"),
    "training that is a list": GOOD + "train: [1]\n",
    "a trainer that is text": GOOD + "trainer: foo\n",
    "a budget that is a list": GOOD + "budget: [1]\n",
    "an option beyond 64 bits": GOOD.replace("length: 9", f"length: {2**63}"),
    "a list beyond 64 bits": GOOD.replace("length: 9", f"length: [{-(2**63) - 1}]"),
    "nested a little": GOOD.replace("length: 9", "length: " + "[" * 60 + "]" * 60),
    "nested": GOOD.replace("length: 9", "length: " + "[" * 100_000 + "]" * 100_000),
    "a billion laughs": GOOD + LAUGH,
    "an endless value": GOOD.replace("length: 9", "length: &a [*a]"),
    "code": GOOD.replace("length: 9", "length: !!python/object/apply:os.mkdir [made]"),
    "no YAML": GOOD + "{",
    "bytes": "id: \udcff",
    "two documents": GOOD + "---\n" + GOOD,
    "huge": GOOD + "#" * 2_000_000,
    "empty": "",
}
configs = pytest.mark.parametrize("text", CONFIGS.values(), ids=CONFIGS)


def odd_run(root: Path, text: str) -> Path:
    path = root / "adding/lstm/s3-odd/config.yaml"
    path.parent.mkdir(parents=True)
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    return path


@configs
def test_odd_settings_are_one_refused_line(text, clean, capsys):
    write(Path("runs"), seed=0)
    path = odd_run(Path("runs"), text)
    assert main(["compare", "--format", "csv"]) == 0
    out, refused = capsys.readouterr()
    assert out.count("\n") == 2 and refused.count("\n") == 1 and str(path) in refused and len(refused) < 400
    assert main(["report"]) == 0
    assert Path("report.html").read_text(encoding="utf-8").count("s3-odd/config.yaml") == 1
    capsys.readouterr()
    assert main(["status", "runs"]) == 0
    assert "2 runs: 1 recorded, 1 interrupted" in capsys.readouterr().out
    assert main(["prune"]) == 0 and main(["estimate", "task=adding", "model=nobody"]) == 2
    assert not Path("made").exists()


@configs
def test_an_odd_run_costs_its_own_line_in_python_and_in_show(text, clean, capsys):
    good, path = write(Path("runs"), seed=0), odd_run(Path("runs"), text)
    with pytest.warns(UserWarning, match=r"s3-odd/config\.yaml") as said:
        table = rnnbench.runs("runs")
    assert table.column("path").to_pylist() == [str(good)] and len(said) == 1
    capsys.readouterr()
    assert main(["show", str(path.parent)]) == 2
    refused = capsys.readouterr().err
    assert refused.count("\n") == 1 and str(path) in refused and len(refused) <= 401
    assert main(["show", str(good)]) == 0


@configs
def test_a_table_and_sync_go_on_too(text, clean, capsys, monkeypatch):
    path = odd_run(Path("runs"), text)
    table = load_declaration(str(write_table(Path("trial").absolute(), GRID)))
    assert main(["table", str(table.folder)]) == 0
    monkeypatch.setattr("rnnbench.tracking.sync.why_silent", lambda: "")
    (_, line), (well, told) = sync_runs([("odd", RunFolder(path.parent))], None, None)
    assert str(path) in line and "1 not level" in told and not well


@pytest.mark.parametrize("name", ["id", "seed", "tracker", "tracker.name", "tracker.project", "model.name"])
def test_settings_that_lack_something_are_not_synced(name, clean, monkeypatch):
    settings = {"id": "x" * 32, "seed": 0, "task": {"name": "adding"}, "model": {"name": "lstm"}, "tracker": {"name": "wandb"}}
    settings["tracker"] |= {"project": "p", "entity": None, "tags": []}
    part, _, key = name.rpartition(".")
    del (settings[part] if part else settings)[key]
    folder = RunFolder(Path("run"))
    folder.start(settings)
    monkeypatch.setattr("rnnbench.tracking.sync.why_silent", lambda: "")
    (_, line), (well, _) = sync_runs([("odd", folder)], None, None)
    assert "run/config.yaml: no settings of a run" in line and not well


def test_what_a_run_writes_is_read_back():
    settings = {**RECORD["config"], "id": "x", "setting": "y", "text": "a: [b]\n\x1b", "number": 1e-9, "list": [[1.5, None]]}
    folder = RunFolder(Path("run"))
    folder.start(settings)
    assert folder.config() == settings
    path = Path("x.yaml")
    path.write_text("[" * 51 + "]" * 51)
    with pytest.raises(ValueError, match="deep"):
        parse_yaml(path)
    path.write_text("[" * 50 + "]" * 50)
    assert parse_yaml(path)


def test_a_record_that_cannot_be_read_is_named(clean, capsys):
    for name in ("folder", "link to nowhere"):
        path = write(Path("runs"), seed=len(name)) / "record.json"
        path.unlink()
        path.mkdir() if name == "folder" else path.symlink_to("nowhere")
    write(Path("runs"), seed=0)
    assert main(["compare", "--format", "csv"]) == 0
    assert capsys.readouterr().err.count("record.json") >= 1
    assert main(["status", "runs"]) == 0
    assert "2 damaged" in capsys.readouterr().out


# manifests

MANIFESTS = {
    "a list": "[]",
    "nested": "[" * 100_000,
    "runs that are a list": '{"runs": [1]}',
    "a run that is text": '{"runs": {"a/b/c": "x"}}',
    "words that are a list": '{"runs": {"a/b/c": {"id": "x", "words": []}}}',
    "no words": '{"runs": {"a/b/c": {"id": "x"}}}',
    "a name that cannot be printed": '{"runs": {"a/b/c\\u001b[2J": {"id": "x", "words": ""}}}',
    "a name of half a character": '{"runs": {"a/b/c\\ud800": {"id": "x", "words": ""}}}',
    "a name that is too long": json.dumps({"runs": {"a/b/" + "c" * 300: {"id": "x", "words": ""}}}),
    "a number of 5,000 digits": '{"runs": {"a/b/c": ' + "9" * 5000 + "}}",
}


@pytest.mark.parametrize("text", MANIFESTS.values(), ids=MANIFESTS)
def test_an_odd_manifest_is_one_line(text, clean, capfd):
    for name, content in (("odd", text), ("good", '{"runs": {"a/b/c": {"id": "x", "words": "seed=1"}}}')):
        place = Path("runs/sweeps") / name
        place.mkdir(parents=True)
        (place / "manifest.json").write_text(content)
    with pytest.raises(DamagedRecord):
        read_manifest(Path("runs/sweeps/odd"))
    assert main(["status"]) == 0
    out = capfd.readouterr().out.splitlines()
    assert len(out) == 2 and sum("runs/sweeps/odd/manifest.json" in line for line in out) == 1
    for verb in ("status", "prune", "sync"):
        assert main([verb, "odd"]) == 2
        assert capfd.readouterr().err.count("\n") == 1


def test_an_odd_manifest_is_set_aside_once_and_its_sweep_goes_on(clean, capfd):
    Path("runs/sweeps/odd").mkdir(parents=True)
    Path("runs/sweeps/odd/manifest.json").write_text("[]")
    words = ["task=adding", "task.length=6", "model.hidden_size=4", "train.steps=1", "tracker=none", "sweep=odd"]
    for said in (1, 0):
        assert main(["train", "-m", *words, "model=lstm,gru"]) == 0
        assert capfd.readouterr().out.count("set aside as manifest.unusable") == said
    assert Path("runs/sweeps/odd/manifest.unusable").read_text() == "[]" and len(read_manifest(Path("runs/sweeps/odd"))) == 2


# logs

ROWS = {
    "text for a step": '{"step": "1"}',
    "no step": '{"train/loss": 1.0}',
    "a list": "[1]",
    "a number": "1",
    "nested": "[" * 100_000,
    "gradients that are text": '{"step": 1, "train/state_gradient/core.0.0/h": ["a"]}',
    "gradients that are nested": '{"step": 1, "train/state_gradient/core.0.0/h": [[1]]}',
    "gradients of no step": '{"step": 1, "train/state_gradient/core.0.0/h": []}',
    "gradients that are a number": '{"step": 1, "train/state_gradient/core.0.0/h": 1}',
    "a number beyond all": '{"step": 1, "validation/mse": 1' + "0" * 400 + "}",
    "samples that are text": '{"step": 1, "validation/samples": "x"}',
    "samples that are numbers": '{"step": 1, "validation/samples": [1]}',
    "a value with names": '{"step": 1, "train/loss": {"a": 1}}',
    "samples of several columns": '{"step": 1, "validation/samples": [{"a": "x"}, {"b": "x"}]}',
    "samples that are lists": '{"step": 1, "validation/samples": [{"a": ["x"]}]}',
    "no JSON": "{",
    "bytes": "\udcff",
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_an_odd_log_is_named_by_file_and_line(row, clean, capsys):
    write(Path("runs"), seed=0)
    path = write(Path("runs"), seed=1) / "metrics.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], row.encode("utf-8", "surrogateescape") + b"\n", *lines[2:]]))
    with pytest.raises(DamagedRecord, match=r"metrics.jsonl:3: no row of a log"):
        RunFolder(path.parent).metrics()
    assert main(["report"]) == 0
    assert Path("report.html").read_text(encoding="utf-8").count("its log cannot be read") == 1
    assert main(["compare"]) == 0
    runs, complaints = find_runs([Path("runs")])
    assert len(runs) == 2 and not complaints


def test_what_a_log_may_hold_is_shown(clean):
    """Null for what was not finite, also in gradients; half a character, that no file can hold, as its escape."""
    path = write(Path("runs"), seed=0) / "metrics.jsonl"
    row = {"step": 1, "train/loss": None, "train/state_gradient/core.0.0/h": [0.1, None], "validation/samples": []}
    row2 = {"step": 2, "validation/samples": [{"read": "a", "written": "b\ud800"}], "list": [1, 2.5, None], "text": "x"}
    path.write_text(json.dumps(row) + "\n" + json.dumps(row2) + "\n")
    assert main(["report"]) == 0
    page = Path("report.html").read_text(encoding="utf-8")
    assert "cannot be read" not in page and "b\\ud800" in page and "Gradient through time" in page


def test_a_table_names_an_odd_log_and_goes_on(clean, capsys):
    """Of the cells of a row whose metric is read from logs."""
    grid = copy.deepcopy(GRID)
    grid["rows"]["adding"] |= {"metric": "last.train/loss", "better": "less"}
    table = load_declaration(str(write_table(Path("trial").absolute(), grid)))
    words = table.cell("adding", "lstm", "paper").words
    for seed in range(3):
        folder = RunFolder(Path(f"runs/adding/lstm/s{seed}-{seed}"))
        folder.start({"task": {"name": "adding"}, "model": {"name": "lstm"}, "seed": seed})
        (folder.path / "record.json").write_text(json.dumps(run_record(words, seed, 0.1)))
        row = '{"step": [1]}' if seed == 1 else '{"step": 1, "train/loss": 0.625}'
        (folder.path / "metrics.jsonl").write_text(row + "\n")
    assert main(["table", str(table.folder)]) == 0
    out = capsys.readouterr().out
    assert out.count("s1-1/metrics.jsonl:1: no row of a log") == 1 and "0.625" in out
    assert main(["table", str(table.folder), "--collect"]) == 0
    assert capsys.readouterr().err.count("s1-1/metrics.jsonl:1: no row of a log") == 1


def long_log(rows: int) -> RunFolder:
    folder = RunFolder(Path("run"))
    folder.start({"task": {"name": "adding"}, "model": {"name": "lstm"}})
    for name in ("metrics.jsonl", "timings.jsonl"):
        with open(folder.path / name, "w") as file:
            file.writelines(f'{{"step": {step}, "{name[0]}": 0.123456789, "other": 0.12345678}}\n' for step in range(rows))
    return folder


def test_a_long_log_is_never_held(clean):
    """A log of 8 MB is cut to its checkpoint, and mirrored row by row, in less than 3 MB."""
    folder = long_log(75_000)
    sizes = tuple((folder.path / name).stat().st_size for name in ("metrics.jsonl", "timings.jsonl"))
    assert sum(sizes) > 8e6
    tracemalloc.start()
    log = folder.open_log(sizes)
    assert log.offsets() == sizes
    log.close()
    cut, _ = tracemalloc.get_traced_memory()[1], tracemalloc.reset_peak()
    for number, row in enumerate(folder.each_row()):  # noqa: B007
        if number == 20_000:
            break
    mirrored = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert max(cut, mirrored) < 3e6
    assert row == {"step": 20_000, "m": 0.123456789, "t": 0.123456789, "other": 0.12345678}


def test_without_a_mirror_no_row_is_read(clean, monkeypatch):
    folder = long_log(3)
    monkeypatch.setattr(run_folder, "logged_rows", lambda *_: pytest.fail("a log was read"))
    Mirror({"none": NoTracker()}).start(Run("x", "x", folder.path, {}), folder.each_row())


@pytest.mark.parametrize("length", [0, 1, 9, 10, 11, 25])
def test_pieces_are_the_beginning_of_a_file(length):
    Path("file").write_bytes(bytes(range(25)))
    pieces = list(file_pieces(Path("file"), length, piece=10))
    assert b"".join(pieces) == bytes(range(length)) and all(0 < len(piece) <= 10 for piece in pieces)
    assert list(file_pieces(Path("nowhere"), 0)) == []


def test_a_log_is_cut_between_rows_only(clean):
    folder = long_log(3)
    whole = (folder.path / "metrics.jsonl").read_bytes()
    end = whole.index(b"\n") + 1
    for offset in (1, end - 1, end + 1):
        with pytest.raises(DamagedRecord, match="no row that ends where the checkpoint says"):
            folder.open_log((offset, 0))
    assert (folder.path / "metrics.jsonl").read_bytes() == whole
    log = folder.open_log((end, 0))
    log.close()
    assert (folder.path / "metrics.jsonl").read_bytes() == whole[:end]


# the last step


def test_a_record_that_stands_there_whole_is_written(monkeypatch):
    """The folder cannot be brought to the disk, the half-written file cannot be removed: the record is there all the same."""
    real = os.fsync

    def fails(file: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{file}"):
            raise OSError(5, "Input/output error")
        real(file)

    folder = RunFolder(Path("run"))
    folder.start({"task": {"name": "adding"}, "model": {"name": "lstm"}})
    monkeypatch.setattr(os, "fsync", fails)
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    assert folder.finish(filled({"seed": 0})) == folder.record()
    with pytest.raises(FileExistsError):
        folder.finish(filled({"seed": 1}))


@pytest.mark.parametrize("kind", ["a link to itself", "a link to nothing", "a pipe", "a folder"])
def test_a_record_that_is_no_file_is_one_refused_line(kind, clean, capsys):
    place, other = Path("runs/adding/lstm/s0-12345678"), Path("runs/adding/lstm/s1-12345678")
    other.mkdir(parents=True)
    place.mkdir(parents=True)
    (place / "config.yaml").write_text(GOOD)
    (other / "config.yaml").write_text(GOOD)
    path = place / "record.json"
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a folder":
        path.mkdir()
    else:
        path.symlink_to("record.json" if kind == "a link to itself" else "nowhere")
    with pytest.raises(DamagedRecord, match="no file"):
        RunFolder(place).record()
    found, complaints = find_runs([Path("runs")])
    assert [run.path for run in found] == [other] and len(complaints) == 1 and "no file" in complaints[0]
    for verb in ("compare", "status"):
        assert main([verb]) in (0, 2)
        assert "Traceback" not in capsys.readouterr().err
