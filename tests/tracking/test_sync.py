"""W&B brought level with the local records, with the real client and a server on loopback that comes and goes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from rnnbench.cli.main import main
from rnnbench.run.tracked_run import describe_run
from rnnbench.store.run_folder import RunFolder
from rnnbench.tracking import sync
from rnnbench.tracking.layout import Presenter, shown_results
from rnnbench.tracking.tracker import STOPPED
from tests.support.wandb_server import Run, Server
from tests.tracking.test_tracking import CANARY, end_process

SMALL = ["task=adding", "task.length=6", "task.sequences=40", "train.batch_size=8", "model.hidden_size=8"]
QUICK = [*SMALL, "train.steps=40", "train.log_every=4", "train.eval_every=20"]


@pytest.fixture
def server(clean: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("HOME", "WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
        (tmp_path / "home" / name).mkdir(parents=True)
        monkeypatch.setenv(name, str(tmp_path / "home" / name))
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.setattr(sync, "LAG", (0.0, 0.5))
    with Server() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", CANARY)
        yield server
        assert not server.unknown
    end_process()


def runs() -> dict[str, RunFolder]:
    """The recorded runs by their ids there."""
    folders = [RunFolder(path.parent) for path in Path("runs").glob("*/*/*/record.json")]
    return {str((folder.record() or {})["id"])[:16]: folder for folder in folders}


def level(there: Run, folder: RunFolder) -> None:
    """Rows, config and summary there equal the local ones: everything but the seconds of rows that were made again."""
    record, rows = folder.record(), folder.rows()
    assert record is not None
    run = describe_run(folder, record["config"], record)
    presenter = Presenter(run, there.settings().get("layout", 1))
    shown = [presenter.row(row) for row in rows]
    assert [untimed(row) for row in there.rows()] == [untimed(row) for row in shown]
    chart = {f"{split}/confusion_table" for split in ("validation", "test")}  # joins the last row when a run ends
    assert [set(row) - chart for row in there.rows()] == [set(row) for row in shown]
    facts = {"setting": record["setting"], "data": record["task"]["fingerprint"], "layout": 2}
    assert there.settings() == {**record["config"], **facts, "departures": run.facts["departures"]}
    results = {**presenter.latest, **shown_results(record), **chosen(record), "status": record["status"]}
    assert untimed(there.results()) == untimed(results) and set(there.results()) - chart == set(results)
    assert there.state == ("failed" if record["status"] in STOPPED else "finished") and there.display_name == run.name


def untimed(row: dict[str, Any]) -> dict[str, Any]:
    """Without seconds and speeds, and without media, of which the server has files."""
    plain = {key: value for key, value in row.items() if isinstance(value, bool | int | float | str | None)}
    return {key: value for key, value in plain.items() if not key.startswith("speed/")}


def chosen(record: Mapping[str, Any]) -> dict[str, float]:
    """The headline on validation of the weights that were tested: what a sweep of W&B's optimises."""
    headline = record["task"]["headline"]
    return {f"validation/{headline}": record["scores"]["validation"][headline]}


def one(*words: str) -> tuple[str, RunFolder]:
    assert main(["train", *QUICK, "model=gru", *words]) == 0
    ((name, folder),) = runs().items()
    return name, folder


def test_what_was_mirrored_live_is_level_and_nothing_is_sent(server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    name, folder = one("sweep=mine", "tracker.project=p")
    sent = list(server.runs[name].sent)
    assert main(["sync"]) == 0
    assert capfd.readouterr().out.splitlines()[-1] == "1 of 1 run: 1 level before"
    assert server.runs[name].sent == sent and server.runs[name].group == "mine" and server.runs[name].project == "p"
    level(server.runs[name], folder)


@pytest.mark.parametrize("how", [[], ["tracker=none"]])
def test_texts_that_were_written_are_tables_there(how: list[str], server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    Path("text.txt").write_text("the cat sat on the mat .\n" * 400)
    words = ["task=char_lm", "task.text=text.txt", "model=gru", "model.hidden_size=8", "train.batch_size=4"]
    assert main(["train", *words, "train.steps=20", "train.log_every=5", "train.eval_every=10", *how]) == 0
    for _ in range(2):
        assert main(["sync", "--all"]) == 0
    assert "1 level before" in capfd.readouterr().out.splitlines()[-1]
    ((name, _),) = runs().items()
    written = [row["samples/validation"] for row in server.runs[name].rows() if row.get("samples/validation")]
    assert len(written) == 2 and all(one["_type"] == "table-file" and one["nrows"] == 3 for one in written)


@pytest.mark.parametrize("was", ["none", "offline"])
def test_what_the_server_never_saw(was: str, server: Server) -> None:
    name, folder = one("tracker=none" if was == "none" else "tracker.mode=offline")
    assert not server.runs
    assert main(["sync", "runs/adding", "--project", "other"]) == 0
    assert list(server.runs) == [name] and server.runs[name].project == "other"
    level(server.runs[name], folder)


def test_two_parts_synced_by_hand_are_written_anew_under_one_name(server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    name, folder = one()
    there = server.runs[name]
    there.history += [{**row, "_step": index + len(there.history)} for index, row in enumerate(there.history[:3])]
    for said in (f"written anew as {name}-2, as rows there differed; 10 rows sent", "1 level before"):
        assert main(["sync"]) == 0
        assert said in capfd.readouterr().out
        assert list(server.runs) == [f"{name}-2"]
        level(server.runs[f"{name}-2"], folder)


def test_a_damaged_record_and_a_wrong_summary(server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    name, folder = one()
    server.runs[name].summary["status"] = "running"
    del server.runs[name].config["seed"]
    assert main(["sync"]) == 0
    level(server.runs[name], folder)
    capfd.readouterr()
    path = folder.path / "record.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    assert main(["sync"]) == 1
    assert "checksum" in capfd.readouterr().err


def test_a_killed_run_is_sent_as_far_as_it_came_and_then_whole(server: Server) -> None:
    words = [*QUICK, "model=gru", "train.steps=4000", "train.stop_when_solved=false", "trainer.save_seconds=0.1"]
    command = [sys.executable, "-m", "rnnbench", "train", *words]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        deadline = time.monotonic() + 60
        while not list(Path("runs").rglob("*.pt")) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert main(["sync"]) == 0  # somebody runs it: left alone
        child.send_signal(signal.SIGKILL)
    assert main(["sync"]) == 0
    ((name, there),) = server.runs.items()
    assert there.results()["status"] == "interrupted"
    assert main(["train", *words]) == 0
    assert main(["sync"]) == 0
    assert list(server.runs) == [name]
    level(there, runs()[name])


def test_a_server_lost_half_way_through_a_sweep(server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    """12 runs; the server is killed and started again; sync twice: all level, nothing sent the second time."""
    command = [sys.executable, "-m", "rnnbench", "train", "-m", *QUICK, "model=lstm,gru,rnn", "seed=0,1,2,3", "sweep=s"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        deadline = time.monotonic() + 200
        while len(runs()) < 4 and time.monotonic() < deadline:
            time.sleep(0.05)
        server.down()
        out, err = child.communicate(timeout=300)
    assert child.returncode == 0, out + err
    assert len(runs()) == 12 and len(server.runs) < 12
    assert main(["sync", "s"]) == 1  # nobody there: said at once
    assert "does not answer" in capfd.readouterr().err
    server.up()
    for time_ in (1, 2):
        sent = {name: list(run.sent) for name, run in server.runs.items()}
        assert main(["sync", "s"]) == 0
        assert set(server.runs) == set(runs())  # one run there for one here
        for name, folder in runs().items():
            level(server.runs[name], folder)
            assert server.runs[name].group == "s"
        assert (sent == {name: run.sent for name, run in server.runs.items()}) == (time_ == 2)
    assert "12 of 12 runs: 12 level before" in capfd.readouterr().out


@pytest.mark.slow
def test_each_job_on_two_devices_is_one_run_there(server: Server) -> None:
    words = ["train", "-m", *QUICK, "model=lstm", "seed=0,1", "trainer=ddp", "trainer.devices=2", "sweep=s"]
    assert main(words) == 0
    assert len(runs()) == 2 and set(server.runs) == set(runs())
    for name, folder in runs().items():
        level(server.runs[name], folder)


def test_without_a_key_nothing_is_tried(clean: None, capfd: pytest.CaptureFixture[str]) -> None:
    os.mkdir("runs")
    assert main(["sync"]) == 2
    assert "no API key" in capfd.readouterr().err
