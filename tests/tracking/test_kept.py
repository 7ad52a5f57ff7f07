"""What somebody added to a run at W&B stays; W&B's variables and limits; a server that hangs or refuses the key."""

from __future__ import annotations

import copy
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rnnbench.cli.main import main
from rnnbench.tracking import wandb_tracker
from rnnbench.tracking.make import make_tracker
from rnnbench.tracking.tracker import NoTracker
from rnnbench.tracking.wandb_account import VARIABLES
from rnnbench.tracking.wandb_artifacts import keep_artifacts
from tests.support.wandb_server import Run, Server
from tests.tracking.test_sync import QUICK, level, one, runs, server  # noqa: F401 - a fixture
from tests.tracking.test_tracking import end_process


def add_a_row(run: Run) -> None:
    run.history.append({"_step": len(run.history), "mine": 2.5})


ADDED: dict[str, Callable[[Run], object]] = {
    "a result": lambda run: run.summary.update(mine=1),
    "a setting": lambda run: run.config.update(mine={"value": 3}),
    "a nested setting": lambda run: run.config["task"]["value"].update(mine=3),
    "tags": lambda run: setattr(run, "tags", ["mine"]),
    "a note": lambda run: setattr(run, "notes", "hello"),
    "a name": lambda run: setattr(run, "display_name", "renamed"),
    "a group": lambda run: setattr(run, "group", "moved"),
    "a row": add_a_row,
}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of runs with one that was recorded without a tracker."""
    place = tmp_path_factory.mktemp("recorded") / "runs"
    assert main(["train", *QUICK, "model=gru", "tracker=none", f"runs={place}"]) == 0
    return place


@pytest.fixture
def sent(recorded: Path, server: Server) -> Run:  # noqa: F811
    """The run as `sync` has sent it."""
    shutil.copytree(recorded, "runs")
    assert main(["sync", "--all"]) == 0
    (run,) = server.runs.values()
    return run


def test_what_somebody_added_stays(sent: Run, server: Server, capfd: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    """Level with it; and where something of ours is missing besides, that alone is sent."""
    for add in ADDED.values():
        add(sent)
    before = copy.deepcopy(sent)
    assert main(["sync", "--all"]) == 0
    assert "1 level before" in capfd.readouterr().out and sent == before
    del sent.summary["floor"], sent.config["seed"], sent.history[3]
    assert main(["sync", "--all"]) == 0
    assert "1 row sent" in capfd.readouterr().out and list(server.runs) == [sent.id]
    assert (sent.tags, sent.notes, sent.display_name, sent.group) == (["mine"], "hello", "renamed", "moved")
    assert (
        sent.summary["mine"] == 1 and sent.config["mine"] == {"value": 3} and sent.summary["floor"] == before.summary["floor"]
    )
    assert sorted(row["step"] for row in sent.rows() if "step" in row) == list(range(4, 41, 4))
    assert [row for row in sent.rows() if "mine" in row] == [{"mine": 2.5}]
    assert main(["sync", "--all"]) == 0
    assert "1 level before" in capfd.readouterr().out


@pytest.mark.parametrize("what", ["a result", "tags", "a note", "a name"])
def test_a_run_that_must_be_written_anew_stays_where_somebody_added_to_it(
    what: str,
    sent: Run,
    server: Server,  # noqa: F811
    capfd: pytest.CaptureFixture[str],
) -> None:
    ADDED[what](sent)
    sent.history.append({**sent.history[0], "_step": len(sent.history)})
    assert main(["sync", "--all"]) == 0
    assert f"{sent.id} stays" in capfd.readouterr().out and list(server.runs) == [sent.id, f"{sent.id}-2"]
    (folder,) = runs().values()
    level(server.runs[f"{sent.id}-2"], folder)


def test_runs_without_wandb_are_sent_only_when_asked_for(
    recorded: Path,
    server: Server,  # noqa: F811
    capfd: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(recorded, "runs")
    assert main(["sync"]) == 0
    assert "1 made without W&B, which --all sends" in capfd.readouterr().out and not server.runs
    assert main(["sync", "runs", "--project", "p"]) == 0
    assert [run.project for run in server.runs.values()] == ["p"]


def test_a_recorded_run_goes_to_the_project_asked_for(recorded: Path, server: Server) -> None:  # noqa: F811
    shutil.copytree(recorded, "runs")
    for project in ("first", "first", "second"):
        assert main(["train", *QUICK, "model=gru", f"tracker.project={project}"]) == 0
    assert [run.project for run in server.runs.values()] == ["first", "second"]
    (folder,) = runs().values()
    for run in server.runs.values():
        level(run, folder)
        assert run.sent == list(range(10))
    assert main(["train", *QUICK, "model=gru"]) == 0 and len(server.runs) == 2


SAID = {
    "project": ("proj", "proj"),
    "entity": ("team", "team"),
    "tags": ("a, b", ["a", "b"]),
    "group": ("grp", "grp"),
    "name": ("my name", "my name"),
    "job_type": ("jt", "jt"),
    "notes": ("a note", "a note"),
}
SHOWN = {"name": "display_name"}


def test_variables_decide_where_an_option_is_unset(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """And `sync` finds the run where they are unset again."""
    for name, (said, _) in SAID.items():
        monkeypatch.setenv(VARIABLES[name], said)
    one("tracker.group=mine")
    ((name, there),) = server.runs.items()
    for key, (_, expected) in SAID.items():
        assert getattr(there, SHOWN.get(key, key)) == ("mine" if key == "group" else expected), key
    for key in SAID:
        monkeypatch.delenv(VARIABLES[key])
    before = copy.deepcopy(there)
    assert main(["sync"]) == 0
    assert list(server.runs) == [name] and there == before


def test_the_folder_that_wandb_dir_says(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    Path("elsewhere").mkdir()
    monkeypatch.setenv("WANDB_DIR", "elsewhere")
    monkeypatch.setenv("WANDB_MODE", "dryrun")
    _, folder = one()
    assert not server.runs and len(list(Path("elsewhere/wandb").glob("offline-run-*"))) == 1
    assert not list(folder.path.glob("wandb/*run-*"))


MODES = {  # variables, whether there is a key -> the mode, or none; what the line begins with
    "offline": ({"WANDB_MODE": "offline"}, "offline", "W&B offline: WANDB_MODE=offline"),
    "dryrun": ({"WANDB_MODE": "dryrun"}, "offline", "W&B offline: WANDB_MODE=dryrun"),
    "online without a key": ({"WANDB_MODE": "online"}, None, "no tracker: WANDB_MODE=online, and there is no API key"),
    "disabled": ({"WANDB_DISABLED": "true", "WANDB_API_KEY": "0" * 40}, "disabled", ""),
    "disabled by mode": ({"WANDB_MODE": "disabled", "WANDB_API_KEY": "0" * 40}, "disabled", ""),
    "nothing": ({}, None, ""),
}


@pytest.mark.parametrize("name", MODES)
def test_a_mode_without_a_key_says_a_line(
    name: str, clean: None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    variables, mode, line = MODES[name]
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    tracker = make_tracker("auto", {})
    assert getattr(tracker, "mode", None) == mode and isinstance(tracker, NoTracker) == (mode is None)
    assert capfd.readouterr().err.startswith(line) and bool(line) == bool(line)


LIMITS = {
    "a long tag": ["tracker.tags=[" + "x" * 65 + "]"],
    "an empty tag": ['tracker.tags=[""]'],
    "a slash in the project": ["tracker.project=a/b"],
    "a slash in the entity": ["tracker.entity=a/b"],
    "a long project": ["tracker.project=" + "x" * 129],
    "a long group": ["tracker.group=" + "x" * 129],
    "a long job type": ["tracker.job_type=" + "x" * 65],
    "WANDB_NAME": [],
    "WANDB_TAGS": [],
    "WANDB_PROJECT": [],
    "WANDB_MODE": [],
}


@pytest.mark.parametrize("case", LIMITS)
def test_limits_are_said_before_anything_starts(
    case: str, clean: None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    if case.startswith("WANDB"):
        monkeypatch.setenv(case, "x/" * 100)
    assert main(["train", *QUICK, "model=gru", *LIMITS[case]]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    named = case if case.startswith("WANDB") else LIMITS[case][0].partition("=")[0]
    assert named in line and "allowed:" in line and len(line) <= 400 and not list(Path().iterdir())


def test_a_refused_key_is_called_that(server: Server, capfd: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    server.status = 401
    one()
    (line,) = capfd.readouterr().err.splitlines()
    assert line == "W&B offline: key refused (`wandb login` stores another, or WANDB_API_KEY)"
    server.status = 200


def test_a_hung_server_costs_a_sweep_its_time_once(
    server: Server,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """It says that it is well, and takes no run."""
    monkeypatch.setattr(wandb_tracker, "START", 1.0)
    server.hung = 6.0
    Path("runs/sweeps/s").mkdir(parents=True)
    for seed in (0, 1):
        assert main(["train", *QUICK, "model=gru", f"seed={seed}", "sweep=s"]) == 0
    first, second = (line for line in capfd.readouterr().err.splitlines() if line.startswith("W&B"))
    assert first == "W&B offline: the server takes no run within 1 s"
    assert second == f"{first}, as another job of the sweep found"
    server.hung = 0.0


def test_the_headline_there_is_that_of_the_weights_that_were_tested(
    server: Server,  # noqa: F811
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Also where an evaluation before the last was best: the last row must not stand over it."""
    words = ["task=adding", "task.length=30", "task.sequences=40", "train.batch_size=8", "model=lstm", "model.hidden_size=8"]
    words += ["train.learning_rate=0.01", "train.steps=40", "train.log_every=10", "train.eval_every=20"]
    assert main(["train", *words]) == 0
    ((_, folder),) = runs().items()
    (there,) = server.runs.values()
    first, last = (row["validation/mse"] for row in there.rows() if "validation/mse" in row)
    assert first < last and there.results()["validation/mse"] == first
    level(there, folder)
    assert main(["sync"]) == 0
    assert "1 level before" in capfd.readouterr().out


TEXT = ["task=char_lm", "task.text=text.txt", "model=gru", "model.hidden_size=8", "train.batch_size=4"]
TEXT += ["train.steps=10", "train.log_every=5", "train.eval_every=10", "tracker.artifacts=best"]


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_the_best_weights_and_the_data_are_kept_there_when_asked_for(
    mode: str,
    server: Server,  # noqa: F811
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Two runs on the same data name one input; offline `rnnbench sync` declares it."""
    Path("text.txt").write_text("the cat sat on the mat .\n" * 400)
    for seed in (0, 1):
        assert main(["train", *TEXT, f"tracker.mode={mode}", f"seed={seed}"]) == 0
    if mode == "offline":
        assert not server.artifacts and main(["sync"]) == 0
    fingerprint = {(folder.record() or {})["task"]["fingerprint"] for folder in runs().values()}.pop()
    made = [artifact["input"] for artifact in server.artifacts]
    names = [one["artifactCollectionName"] for one in made if one["artifactTypeName"] in ("dataset", "model")]
    data = f"data-{fingerprint}"
    assert sorted(names) == sorted([data, data, *(f"best-{name}" for name in server.runs)])
    assert server.used == [(name, data) for name in server.runs]
    assert all(fingerprint in one["metadata"] for one in made if one["artifactCollectionName"] in names)
    for there in server.runs.values():
        assert there.state == "finished" and there.results()["status"] == "finished"
    out, err = capfd.readouterr()
    assert not [line for line in err.splitlines() if not line.startswith("W&B")] and "artifact" not in out + err


def test_generated_data_are_no_input(server: Server) -> None:  # noqa: F811
    one("tracker.artifacts=best")
    assert not server.used and len(server.artifacts) == 1


def test_a_server_that_takes_no_artifact_costs_no_more_than_the_end_may(
    server: Server,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """It hangs from the end of training on: half of `finish_seconds` for the artifacts, then as long as always."""
    Path("text.txt").write_text("the cat sat on the mat .\n" * 400)
    began: list[float] = []

    def keep(*given: Any) -> str:
        server.hung = 60.0
        began.append(time.monotonic())
        return keep_artifacts(*given)

    monkeypatch.setattr(wandb_tracker, "keep_artifacts", keep)
    assert main(["train", *TEXT, "tracker.finish_seconds=2"]) == 0
    assert time.monotonic() - began[0] < server.hung / 2
    server.hung = 0.0
    said = capfd.readouterr().err
    assert (
        "W&B has not taken the artifacts (no answer within 1 s)" in said
        and "the local record is whole" in said
        and len(runs()) == 1
    )


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_leet_finds_the_runs_from_the_project_folder(mode: str, server: Server) -> None:  # noqa: F811
    """Without a word or a variable more: links to what lies in the folders of the runs; those whose run is gone are removed."""
    for seed in (0, 1):
        assert main(["train", *QUICK, "model=gru", f"tracker.mode={mode}", f"seed={seed}"]) == 0
    end_process()
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--summary", "--json"]
    for link in sorted(Path("wandb").glob("*run-*")):
        assert link.is_symlink() and Path("runs").absolute() in link.resolve().parents
        said = subprocess.run([*command, str(link)], capture_output=True, text=True, timeout=60, check=True).stdout
        assert link.name.rpartition("-")[2] in said and "validation/mse" in said
    assert len(list(Path("wandb").glob("*run-*"))) == 2
    shutil.rmtree("runs/adding/gru")
    assert main(["train", *QUICK, "model=lstm", f"tracker.mode={mode}"]) == 0
    (link,) = Path("wandb").glob("*run-*")
    assert "/lstm/" in str(link.resolve())


@pytest.mark.parametrize("what", ["a file", "a link", "read only", "WANDB_DIR"])
def test_a_folder_that_takes_no_links_stops_no_run(what: str, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    place = Path("wandb")
    if what == "a file":
        place.write_text("mine")
    elif what == "a link":
        Path("elsewhere").mkdir()
        place.symlink_to("elsewhere")
    elif what == "read only":
        place.mkdir()
        monkeypatch.setattr(Path, "symlink_to", no_link)
    else:
        Path("said").mkdir()
        monkeypatch.setenv("WANDB_DIR", "said")
    one("tracker.mode=offline")
    assert not place.is_dir() or not list(place.iterdir())


def no_link(*_: object) -> None:
    raise PermissionError(13, "Permission denied")
