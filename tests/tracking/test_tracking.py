"""The mirrors of the record, with the real W&B client: offline against the file it writes, online against loopback."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rnnbench.options import BadOption
from rnnbench.signatures import read_class
from rnnbench.tracking import wandb_tracker
from rnnbench.tracking.make import TRACKERS, make_tracker
from rnnbench.tracking.mirror import Mirror
from rnnbench.tracking.tracker import LATEST, NoTracker, Run, Tracker, TrackerUnavailable
from rnnbench.tracking.wandb_account import has_key, wandb_settings
from rnnbench.tracking.wandb_tracker import WandbTracker
from tests.support import wandb_log
from tests.support.wandb_server import Server

FINISH = 8.0  # seconds that the end may take
CANARY = "canary" + "0123456789" * 4
CONFIG = {
    "model": {"name": "lstm", "hidden_size": 128, "dropout": None},
    "task": {"name": "adding"},
    "seed": 3,
    "betas": [0.9, 0.99],
}
SUMMARY = {"test": {"mse": 0.01}, "parameters": 1234}
SHOWN = {**CONFIG, "layout": LATEST}


def log(count: int, first: int = 0) -> list[dict[str, Any]]:
    """Rows as the local log holds them: columns come and go, a score is null, numbers do not round."""
    rows = []
    for i in range(first, count):
        row = {"step": 10 * (i + 1), "loss": 1 / (i + 3), "grad_norm/layer.0": math.pi * 10.0 ** (i % 9 - 4), "clipped": i % 2}
        rows.append(row | ({"validation/mse": 0.1 / (i + 1)} if i % 5 == 4 else {}) | ({"gate": None} if i == 3 else {}))
    return rows


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of our own, no key, no server and no way out; the run's folder."""
    for name in [name for name in os.environ if name.startswith("WANDB")] + ["NETRC", "http_proxy", "HTTP_PROXY"]:
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
        (tmp_path / "home" / name).mkdir(parents=True)
        monkeypatch.setenv(name, str(tmp_path / "home" / name))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.chdir(tmp_path / "home")
    folder = tmp_path / "run"
    folder.mkdir()
    yield folder
    end_process()


@pytest.fixture
def server(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with Server() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", CANARY)
        yield server
        assert not server.unknown


def about(folder: Path, id: str = "a1b2c3d4", **more: Any) -> Run:
    return Run(id, "adding/lstm/s3", folder, CONFIG, **{"group": "adding-sweep", **more})


def started(tracker: Tracker, run: Run, rows: list[dict[str, Any]]) -> None:
    tracker.start(run)
    for row in rows:
        tracker.row(row)


def mirror(folder: Path, rows: list[dict[str, Any]], before: int = 0, status: str = "completed", **given: Any) -> None:
    """One process's attempt at a run: the first `before` rows are in the local log already."""
    tracker = WandbTracker(**{"tags": ("first",), **given})
    tracker.start(about(folder))
    for row in rows:  # the first `before` of them once more
        tracker.row(row)
    tracker.finish(SUMMARY, status)
    end_process()


def end_process() -> None:
    """What the client does when its process ends: only then is an offline file surely whole, and the environment forgotten."""
    if sys.modules.get("wandb"):
        sys.modules["wandb"].teardown()


def segment(folder: Path) -> Path:
    """The `.wandb` file; there is one only."""
    (path,) = folder.glob("wandb/*run-*/*.wandb")
    return path


# offline


def test_offline_holds_what_was_logged(place: Path) -> None:
    rows = log(40)
    mirror(place, rows, mode="offline")
    run = wandb_log.read(segment(place))
    assert run["rows"] == rows
    assert run["steps"] == list(range(40))
    assert run["config"] == SHOWN
    assert {key: run["summary"][key] for key in SUMMARY} == SUMMARY
    assert run["summary"]["status"] == "completed" and run["exit"] == 0
    assert (run["id"], run["name"], run["group"], run["job_type"]) == ("a1b2c3d4", "adding/lstm/s3", "adding-sweep", "train")
    assert (run["project"], run["tags"], run["host"]) == ("rnnbench", ["first"], "")


def test_numbers_that_are_not_finite_become_null(place: Path) -> None:
    mirror = Mirror({"wandb": WandbTracker(mode="offline")})
    mirror.start(about(place), [{"step": 1, "loss": math.nan, "norm": math.inf, "count": 2}])
    mirror.finish({"scores": {"test": {"mse": math.nan, "mae": 7}}}, "diverged")
    end_process()
    run = wandb_log.read(segment(place))
    assert run["summary"]["test/mae"] == 7 and "test/mse" not in run["summary"]
    assert run["rows"] == [{"step": 1, "count": 2}]  # no column that is null in all rows
    assert run["summary"]["status"] == "diverged" and run["exit"] == 0


def test_an_offline_restart_replaces_its_beginning_and_leaves_others_alone(place: Path) -> None:
    rows = log(30)
    mirror(place, rows[:20], mode="offline", status="interrupted")
    assert wandb_log.read(segment(place))["exit"] == 1
    other = place / "wandb" / "offline-run-20260101_000000-another"
    other.mkdir()
    mirror(place, rows, before=15, mode="offline")  # the checkpoint was at row 15
    assert wandb_log.read(segment(place))["rows"] == rows
    assert other.exists()


def test_one_sync_of_a_restarted_run_gives_the_whole_run(place: Path, server: Server) -> None:
    rows = log(30)
    mirror(place, rows[:20], mode="offline", status="interrupted")
    mirror(place, rows, before=15, mode="offline")
    command = [sys.executable, "-m", "wandb", "sync", *map(str, place.glob("wandb/offline-run-*"))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert list(server.runs) == ["a1b2c3d4"]
    assert server.runs["a1b2c3d4"].rows() == rows
    assert server.runs["a1b2c3d4"].results()["status"] == "completed"


# online


def test_online_the_server_holds_what_was_logged(place: Path, server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    rows = log(60)
    mirror(place, rows)
    run = server.runs["a1b2c3d4"]
    assert run.rows() == rows
    assert run.sent == list(range(60))
    assert run.settings() == SHOWN
    latest = {key: value for row in rows for key, value in row.items() if value is not None}
    assert run.results() == {**latest, **SUMMARY, "status": "completed"}
    axis, *all_others = [
        {key: metric[key] for key in metric.keys() & set("125")} for metric in run.config["_wandb"]["value"]["m"]
    ]
    assert axis == {"1": "step"} and all_others == [{"2": "*", "5": 1}]  # the first metric is the x axis of all
    assert (run.display_name, run.group, run.job_type, run.tags) == ("adding/lstm/s3", "adding-sweep", "train", ["first"])
    assert (run.project, run.state, run.host) == ("rnnbench", "finished", None)
    out, err = capfd.readouterr()
    assert out == "" and err.splitlines() == [f"W&B: {server.url}/me/rnnbench/runs/a1b2c3d4"]


@pytest.mark.parametrize("there", [0, 25, 40, 50])
def test_a_resumed_run_sends_no_step_twice(place: Path, server: Server, there: int) -> None:
    """The local log was cut to its checkpoint, row 40; the server lost a tail, or has rows that are made again."""
    rows = log(60)
    if there:
        mirror(place, rows[:there], status="interrupted")
        assert server.runs["a1b2c3d4"].state == "failed"
    mirror(place, rows, before=40)
    run = server.runs["a1b2c3d4"]
    assert run.rows() == rows
    assert run.sent == list(range(60))
    assert list(server.runs) == ["a1b2c3d4"] and run.state == "finished"


def test_offline_first_and_online_later(place: Path, server: Server) -> None:
    rows = log(30)
    mirror(place, rows[:20], mode="offline", status="interrupted")
    mirror(place, rows, before=15, mode="online")
    assert server.runs["a1b2c3d4"].rows() == rows
    assert not list(place.glob("wandb/offline-run-*"))


def test_two_runs_of_one_process_are_two_runs(tmp_path: Path, server: Server) -> None:
    """Also where a run of the user's own is open."""
    import wandb

    own = wandb.init(id="own", mode="offline", dir=tmp_path, settings=wandb.Settings(silent=True))
    for seed in (1, 2):
        folder = tmp_path / f"s{seed}"
        folder.mkdir()
        tracker = WandbTracker(mode="online")
        tracker.start(about(folder, f"run-{seed}"))
        for row in log(10 * seed):
            tracker.row(row)
        tracker.finish({}, "completed")
    assert {name: run.rows() for name, run in server.runs.items()} == {"run-1": log(10), "run-2": log(20)}
    own.finish()


def test_the_key_and_the_machine_stay_here(tmp_path: Path, server: Server) -> None:
    for mode in ("online", "offline"):
        (tmp_path / mode).mkdir()
        print("said in between")
        mirror(tmp_path / mode, log(5), mode=mode)
    assert sorted(server.files) == ["a1b2c3d4/config.yaml", "a1b2c3d4/wandb-summary.json"]  # no console, code or packages
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 8
    assert not [path for path in files if CANARY.encode() in path.read_bytes()]
    sent = "\n".join(server.bodies)
    assert "adding/lstm/s3" in sent
    assert not [word for word in (CANARY, str(tmp_path), os.uname().nodename, sys.executable, sys.argv[0]) if word in sent]


# choosing


def test_auto_without_a_key_is_no_tracker(capfd: pytest.CaptureFixture[str]) -> None:
    assert isinstance(make_tracker("auto", {"mode": "auto"}), NoTracker)
    assert capfd.readouterr() == ("", "")


def test_a_mode_asked_for_is_not_ignored_by_auto() -> None:
    tracker = make_tracker("auto", {"mode": "offline", "project": "mine"})
    assert isinstance(tracker, WandbTracker) and tracker.mode == "offline"


def test_auto_with_a_key_and_a_server_is_online(server: Server) -> None:
    tracker = make_tracker("auto", {})
    assert isinstance(tracker, WandbTracker) and tracker.mode == "online"


@pytest.mark.parametrize("dead", ["refused", "500", "silent"])
def test_auto_with_a_key_and_no_server_is_offline_and_says_so(
    server: Server, dead: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if dead == "refused":
        monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    server.status, server.delay = (500 if dead == "500" else 200), (30.0 if dead == "silent" else 0.0)
    begin = time.monotonic()
    tracker = make_tracker("auto", {})
    assert time.monotonic() - begin < 15
    assert isinstance(tracker, WandbTracker) and tracker.mode == "offline"
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("W&B offline: http://127.0.0.1:")
    server.delay = 0.0


def test_wandb_without_a_key_is_offline_and_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    assert make_tracker("wandb", {}).mode == "offline"  # type: ignore[attr-defined]
    assert capfd.readouterr().err == "W&B offline: no API key (`wandb login`, or WANDB_API_KEY)\n"


def test_online_that_cannot_be_is_an_error_at_once(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TrackerUnavailable, match="no API key"):
        make_tracker("wandb", {"mode": "online"})
    monkeypatch.setenv("WANDB_API_KEY", CANARY)
    begin = time.monotonic()
    with pytest.raises(TrackerUnavailable, match="does not answer") as error:
        make_tracker("wandb", {"mode": "online"})
    assert time.monotonic() - begin < 15
    assert "\n" not in str(error.value) and CANARY not in str(error.value)
    assert not list(place.iterdir())


@pytest.mark.parametrize("mode", ["online", "auto"])
def test_a_server_that_answers_but_takes_no_run(
    place: Path, server: Server, mode: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wandb_tracker, "START", 1.0)
    tracker = WandbTracker(mode=mode)  # type: ignore[arg-type]
    server.status = 500
    if mode == "online":
        with pytest.raises(TrackerUnavailable, match="cannot be online"):
            tracker.start(about(place))
        return
    tracker.start(about(place))
    tracker.row({"step": 1, "loss": 0.5})
    tracker.finish({}, "completed")
    end_process()
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("W&B offline: ")
    (path,) = place.glob("wandb/offline-run-*/*.wandb")
    assert wandb_log.read(path)["rows"] == [{"step": 1, "loss": 0.5}]


def test_a_key_that_is_none_is_an_error_that_does_not_show_it(
    place: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "tooshort")
    with pytest.raises(TrackerUnavailable) as error:
        WandbTracker(mode="online").start(about(place))
    assert "tooshort" not in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("where", ["environment", "netrc", "settings", "nowhere"])
def test_where_a_key_may_be(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if where == "environment":
        monkeypatch.setenv("WANDB_API_KEY", CANARY)
    if where == "netrc":
        Path(os.environ["HOME"], ".netrc").write_text(f"machine 127.0.0.1:9\n  login user\n  password {CANARY}\n")
    if where == "settings":
        Path(os.environ["WANDB_CONFIG_DIR"], "settings").write_text(f"[default]\napi_key = {CANARY}\n")
    if where == "nowhere":
        Path(os.environ["HOME"], ".netrc").write_text(f"machine elsewhere.org\n  login user\n  password {CANARY}\n")
    assert has_key(wandb_settings()) == (where != "nowhere")


def test_wandb_offline_of_the_user_is_heeded(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert make_tracker("auto", {}).mode == "offline"  # type: ignore[attr-defined]
    assert make_tracker("wandb", {"mode": "online"}).mode == "online"  # type: ignore[attr-defined]


def test_disabled_does_nothing(place: Path) -> None:
    mirror(place, log(3), mode="disabled")
    assert not list(place.iterdir())


def test_without_the_package(place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    for name in ("none", "auto"):
        tracker = make_tracker(name, {})
        tracker.start(about(place))
        tracker.row({"step": 1})
        tracker.finish({}, "completed")
    assert capfd.readouterr() == ("", "") and not list(place.iterdir())
    with pytest.raises(TrackerUnavailable, match="pip install 'wandb"):
        make_tracker("wandb", {})
    monkeypatch.setenv("WANDB_API_KEY", CANARY)
    assert isinstance(make_tracker("auto", {}), NoTracker)
    assert "pip install 'wandb" in capfd.readouterr().err


def test_choosing_imports_nothing_heavy() -> None:
    code = "import sys, json; from rnnbench.tracking.make import make_tracker; "
    code += "make_tracker('auto', {}); print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"wandb", "torch", "urllib.request", "ssl"} & set(json.loads(done.stdout))


def test_the_options_stand_in_the_signature() -> None:
    source = Path(wandb_tracker.__file__)
    signature = read_class(source, name="WandbTracker")
    assert signature.options["tags"].check(["a", "b"], "tracker.tags") == ["a", "b"]
    with pytest.raises(BadOption, match="'onlin' is not allowed"):
        signature.options["mode"].check("onlin", "tracker.mode")
    folder = Path(str(importlib.util.find_spec("rnnbench.conf").submodule_search_locations[0]), "tracker")  # type: ignore[union-attr, index]
    assert {path.stem for path in folder.glob("*.yaml")} == set(TRACKERS)


# faults

CHILD = """
import sys, time
from pathlib import Path
from rnnbench.tracking import wandb_tracker
from rnnbench.tracking.tracker import Run
from rnnbench.tracking.wandb_tracker import WandbTracker
tracker = WandbTracker(mode="online", finish_seconds=float(sys.argv[2]))
tracker.start(Run("victim", "t/m/s0", Path(sys.argv[1]), {}))
for i in range(400):
    if i == 200:
        from wandb.sdk import wandb_setup
        print(wandb_setup.singleton().assert_service()._proc._process.pid, flush=True)
        sys.stdin.readline()
        begin = time.monotonic()
    tracker.row({"step": i, "loss": 1 / (i + 1)})
print("rows", time.monotonic() - begin, flush=True)
begin = time.monotonic()
tracker.finish({"score": 1}, "completed")
print("finish", time.monotonic() - begin, flush=True)
"""


@pytest.mark.parametrize(("fault", "patience"), [("gone", FINISH), ("500", 2.0), ("silent", 2.0), ("service killed", FINISH)])
def test_training_outlives_its_mirror(place: Path, server: Server, fault: str, patience: float) -> None:
    """The server or the client's own service goes in the middle: rows cost as before, the end comes within 10 s."""
    command = [sys.executable, "-c", CHILD, str(place), str(patience)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as child:  # type: ignore[call-overload]
        watch = threading.Timer(25, child.kill)
        watch.start()
        service = int(child.stdout.readline())
        if fault == "gone":
            server.down()
        if fault == "service killed":
            os.kill(service, signal.SIGKILL)
        server.status, server.delay = (500 if fault == "500" else 200), (30.0 if fault == "silent" else 0.0)
        child.stdin.write("\n")
        child.stdin.flush()
        rows, finish = (float(child.stdout.readline().split()[1]) for _ in range(2))
        begin = time.monotonic()
        assert child.wait(timeout=30) == 0
        leaving = time.monotonic() - begin
        said = child.stderr.read().splitlines()
        watch.cancel()
    assert rows < 10.0 and finish + leaving < patience + 6.0
    assert len(said) == 2 and "the local record is whole" in said[1]


def test_the_run_after_a_lost_one_is_mirrored(place: Path, server: Server) -> None:
    from wandb.sdk import wandb_setup

    tracker = WandbTracker(mode="online")
    started(tracker, about(place, "lost"), log(5))
    os.kill(wandb_setup.singleton().assert_service()._proc._process.pid, signal.SIGKILL)
    for row in log(50, 5):
        tracker.row(row)
    tracker.finish(SUMMARY, "completed")
    started(tracker, about(place, "next"), log(50))
    tracker.finish(SUMMARY, "completed")
    assert server.runs["next"].rows() == log(50)
    started(tracker, about(place, "lost"), log(50))  # and the lost one can be brought level
    tracker.finish(SUMMARY, "completed")
    assert server.runs["lost"].rows() == log(50) and server.runs["lost"].sent == list(range(50))


def test_samples_are_a_table_there(place: Path) -> None:
    texts = [{"read": "zwei hunde", "written": "two dogs"}, {"read": "ein mann", "written": "a man ."}]
    mirror(place, [{"step": 1, "loss": 0.5, "validation/samples": texts}, {"step": 2, "loss": 0.4}], mode="offline")
    (row, _) = wandb_log.read(segment(place))["rows"]
    assert row["validation/samples"]["_type"] == "table-file" and row["loss"] == 0.5
    (file,) = place.rglob("*.table.json")
    table = json.loads(file.read_text())
    assert table["columns"] == ["read", "written"] and table["data"] == [list(text.values()) for text in texts]
