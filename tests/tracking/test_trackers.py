"""Laws over the list of trackers, and a user's own: the MLflow example of the README."""

from __future__ import annotations

import importlib
import math
import re
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

import rnnbench.tracking
from rnnbench.cli.main import main
from rnnbench.config import schema
from rnnbench.tracking import make
from rnnbench.tracking.mirror import Mirror
from rnnbench.tracking.tracker import NoTracker, Picture, Run
from tests.support import wandb_log
from tests.tracking.test_sync import QUICK

README = Path(rnnbench.tracking.__file__).parent / "README.md"
CONFIG: dict[str, Any] = {"task": {"name": "adding"}, "model": {"name": "lstm"}, "train": {"steps": 40}, "seed": 0}
ROWS: list[dict[str, Any]] = [
    {"step": 4 * (i + 1), "train/loss": 1 / (i + 3), "train/gradient_norm": math.pi * 10.0 ** (i - 4)}
    | {"train/state_gradient/core.0.0/h": [0.001 * (i + 1), 0.1, 1.0], "train/horizon/core.0.0/h": 2}
    | ({"validation/mse": 0.1 / (i + 1), "validation/samples": [{"read": "a|b", "written": "c"}]} if i % 2 else {})
    for i in range(10)
]
RESULTS = {"scores": {"test": {"mse": 0.25}}, "steps": 40, "best_step": 40, "solved": False, "solved_step": None}


def read_wandb(folder: Path) -> list[dict[str, Any]]:
    sys.modules["wandb"].teardown()
    (path,) = folder.glob("wandb/offline-run-*/*.wandb")
    return list(wandb_log.read(path)["rows"])


def read_tensorboard(folder: Path) -> list[dict[str, Any]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    assert "gradient/through_time" in events.Tags()["images"] and "samples/validation/text_summary" in events.Tags()["tensors"]
    rows: dict[int, dict[str, Any]] = {}
    for key in events.Tags()["scalars"]:
        for event in events.Scalars(key):
            rows.setdefault(event.step, {"step": event.step})[key] = event.value
    return [rows[step] for step in sorted(rows)]


def read_trackio(folder: Path) -> list[dict[str, Any]]:
    import trackio

    (run,) = trackio.Api().runs("rnnbench")
    from trackio.sqlite_storage import SQLiteStorage

    logged = SQLiteStorage.get_logs("rnnbench", run.name, run_id=run.id)
    return [{**row, "step": row["step"]} for row in logged if "train/loss" in row]


READERS = {"wandb": read_wandb, "tensorboard": read_tensorboard, "trackio": read_trackio}
PACKAGES = {"wandb": "wandb", "tensorboard": "tensorboard", "trackio": "trackio"}
OPTIONS: dict[str, dict[str, Any]] = {"wandb": {"mode": "offline"}}


@pytest.fixture(autouse=True)
def place(clean: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("TRACKIO_DIR", str(Path("trackio").absolute()))
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    for name in [name for name in sys.modules if name.partition(".")[0] == "trackio"]:
        monkeypatch.delitem(sys.modules, name)  # it reads TRACKIO_DIR once
    folder = Path("run")
    folder.mkdir()
    yield folder.absolute()


def about(folder: Path) -> Run:
    return Run("a1b2c3d4", "adding / lstm / s0", folder, CONFIG, None, {"setting": "s"}, "mse", "min")


def tell(name: str, folder: Path, before: int, rows: int, status: str = "finished") -> Mirror:
    """One attempt at the run: `before` rows are in its log already."""
    mirror = Mirror({name: make.make_tracker(name, OPTIONS.get(name, {}))})
    mirror.start(about(folder), ROWS[:before])
    for row in ROWS[before:rows]:
        mirror.row(row)
    mirror.finish(RESULTS if status == "finished" else {}, status)
    return mirror


def test_every_tracker_is_read_here() -> None:
    assert {*READERS} == {*make.TRACKERS} - {"auto", "none"}


@pytest.mark.parametrize("name", READERS)
def test_every_row_is_there_once_and_in_order_also_of_a_resumed_run(name: str, place: Path) -> None:
    """The first attempt got to row 7, its checkpoint was at row 5."""
    pytest.importorskip(PACKAGES[name])
    assert not tell(name, place, 0, 7, "interrupted").lost
    assert not tell(name, place, 5, 10).lost
    found = READERS[name](place)
    assert [row["step"] for row in found] == [row["step"] for row in ROWS]
    for row, logged in zip(found, ROWS, strict=True):
        assert row["train/loss"] == pytest.approx(logged["train/loss"], rel=1e-6)
        assert row.get("validation/mse") == (
            pytest.approx(logged["validation/mse"], rel=1e-6) if "validation/mse" in logged else None
        )


@pytest.mark.parametrize("method", ["start", "row", "finish"])
def test_one_that_raises_stops_neither_the_run_nor_another(method: str, place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    class Broken(NoTracker):
        def _raise(self, *_: object) -> None:
            raise ValueError("on purpose\nwith a second line")

    class Good(NoTracker):
        def __init__(self) -> None:
            self.told: list[object] = []

        def row(self, values: object) -> None:
            self.told.append(values)

        def finish(self, *ending: object) -> None:
            self.told.append(ending)

    setattr(Broken, method, Broken._raise)
    good = Good()
    mirror = Mirror({"broken": Broken(), "good": good})
    mirror.start(about(place), ROWS[:3])
    for row in ROWS[3:]:
        mirror.row(row)
    mirror.finish(RESULTS, "finished")
    assert len(good.told) == len(ROWS) + 1 and mirror.lost == ["broken"]
    (line,) = capfd.readouterr().err.splitlines()
    assert line == "tracker broken has lost this run (ValueError: on purpose); the local record is whole"


def test_without_its_package_a_tracker_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    for name in ("wandb", "tensorboard", "trackio"):
        with pytest.raises(make.TrackerUnavailable, match="pip install '"):
            make.make_tracker(name, {"mode": "offline"} if name == "wandb" else {})


@pytest.mark.parametrize("name", ["wandb", "tensorboard", "trackio"])
def test_sync_without_the_package_is_refused_before_anything_is_tried(
    name: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    monkeypatch.setattr("importlib.util.find_spec", lambda *_: None)
    assert main(["sync", "--to", name]) == 2
    error = capfd.readouterr().err
    assert error.count("\n") == 1 and "pip install '" in error


def test_pictures_come_at_each_quarter_and_at_an_early_end(place: Path) -> None:
    pytest.importorskip("PIL")

    class Kept(NoTracker):
        def __init__(self) -> None:
            self.pictures: list[tuple[Any, Picture]] = []

        def row(self, values: Any) -> None:
            self.pictures += [(values["step"], value) for value in values.values() if isinstance(value, Picture)]

        def finish(self, summary: Any, status: str) -> None:
            self.pictures += [("end", value) for value in summary.values() if isinstance(value, Picture)]

    for count, steps in ((10, [12, 20, 32, 40]), (7, [12, 20, "end"])):
        kept = Kept()
        mirror = Mirror({"kept": kept})
        mirror.start(about(place), ROWS[:count])
        mirror.finish({}, "finished")
        assert [step for step, _ in kept.pictures] == steps
        assert all(picture.draw().startswith(b"\x89PNG") for _, picture in kept.pictures)


# a user's own


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    """The example of the README, as a package that names it among its entry points."""
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len([line for line in example.splitlines() if line.strip()]) <= 32
    Path("my_package.py").write_text(example, encoding="utf-8")
    monkeypatch.syspath_prepend(".")
    importlib.invalidate_caches()
    monkeypatch.delitem(sys.modules, "my_package", raising=False)
    entry = EntryPoint("mlflow", "my_package:MlflowTracker", "rnnbench.trackers")
    monkeypatch.setattr(make, "plugins", lambda: {"mlflow": entry})
    schema.choice_names.cache_clear()


def test_the_example_for_mlflow_mirrors_a_run_and_replays_an_old_one(mlflow: None, capfd: pytest.CaptureFixture[str]) -> None:
    package = pytest.importorskip("mlflow")
    assert main(["train", *QUICK, "model=gru", "tracker=mlflow", "tracker.experiment=mine"]) == 0
    assert main(["train", *QUICK, "model=gru", "seed=1", "tracker=none", "tracker.also=[mlflow]"]) == 0
    assert "lost" not in capfd.readouterr().err
    assert main(["sync", "--to", "mlflow"]) == 0
    assert "2 of 2 runs: 2 written" in capfd.readouterr().out
    client = package.MlflowClient("sqlite:///mlflow.db")
    for experiment, count in (("mine", 1), ("rnnbench", 2)):
        runs = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
        assert len(runs) == count
        for run in runs:
            losses = client.get_metric_history(run.info.run_id, "train/loss")
            assert sorted(metric.step for metric in losses) == list(range(4, 41, 4)) and run.info.status == "FINISHED"
            assert run.data.params["model.name"] == "gru" and "result/test/mse" in run.data.metrics


def test_a_tracker_of_another_package_has_its_own_options(mlflow: None, capfd: pytest.CaptureFixture[str]) -> None:
    """Known from its source: nothing is imported for a refusal."""
    for words, said in (
        (["tracker=mlflo"], "did you mean 'mlflow'?"),
        (["tracker=mlflow", "tracker.urk=x"], "did you mean 'tracker.uri'?"),
        (["tracker.also=[mlflo]"], "did you mean 'mlflow'?"),
        (["tracker=mlflow", "tracker.also=[mlflow]"], "no tracker for tracker.also"),
    ):
        assert main(["train", *QUICK, "model=gru", *words]) == 2
        assert said in capfd.readouterr().err
    assert "my_package" not in sys.modules


@pytest.mark.parametrize(
    ("value", "said"),
    [("collections:OrderedDict", "no class derived from rnnbench's Tracker"), ("nowhere:X", "cannot be imported")],
)
def test_what_is_no_tracker_is_said(value: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make, "plugins", lambda: {"odd": EntryPoint("odd", value, "rnnbench.trackers")})
    with pytest.raises(make.TrackerUnavailable, match=said):
        make.make_tracker("odd", {})
