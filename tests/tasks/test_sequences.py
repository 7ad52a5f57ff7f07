"""Sequences of numbers: what is read of each form, known answers of both tasks, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy
import pyarrow
import pyarrow.parquet
import pytest
import torch
from sklearn.metrics import f1_score, precision_recall_fscore_support

from rnnbench.baselines.fit import run_baselines
from rnnbench.data.series import read_series
from rnnbench.data.table_files import Reading
from rnnbench.store.confusion import class_scores
from rnnbench.tasks import load
from rnnbench.tasks.shared.scoring import class_counts, macro_f1
from rnnbench.tasks.task import SPLITS, Batch, Task

HEAD = "# waves\n@problemName Waves\n@timestamps false\n@univariate true\n@classLabel true fast slow\n@data\n"
ROWS = [([1, 2.5, -3], "fast"), ([0.5, 4], "slow")]


@pytest.fixture(autouse=True)
def cache(clean, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNBENCH_CACHE", str(tmp_path / "cache"))


def made(name: str, **options: object) -> Task:
    task = load(name, **options)
    task.prepare()
    return task


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.ts", HEAD + "1,2.5,-3:fast\n0.5,4:slow\n"),
        ("a.ts", HEAD.upper().replace("TRUE FAST SLOW", "true fast slow") + "1,2.5,-3:fast\n\n0.5,4:slow"),
        ("a.csv", "label,t0,t1,t2\nfast,1,2.5,-3\nslow,0.5,4,\n"),
        ("a.csv", "t0,t1,label,t2\n1,2.5,fast,-3\n0.5,4,slow,\n"),
        ("a.tsv", "label\t0\t1\t2\nfast\t1\t2.5\t-3\nslow\t0.5\t4\t\n"),
    ],
)
def test_a_row_is_a_sequence(tmp_path: Path, name: str, content: str):
    (tmp_path / name).write_text(content)
    found = read_series(str(tmp_path / name), "label", Reading())
    assert found.labels == ["fast", "slow"] and found.offsets.tolist() == [0, 3, 5]
    assert found.values.tolist() == [[1], [2.5], [-3], [0.5], [4]]


def test_dimensions_stand_side_by_side(tmp_path: Path):
    (tmp_path / "a.ts").write_text(HEAD + "1,2:3,4:fast\n5:6:slow\n")
    assert read_series(f"{tmp_path}/a.ts", "label", Reading()).values.tolist() == [[1, 3], [2, 4], [5, 6]]


BAD = {
    "missing": ("1,?:fast\n", "line 7: step 2 has no value; expected numbers"),
    "no number": ("1,x:fast\n", "line 7: step 2 has 'x'"),
    "not finite": ("1,inf:fast\n", "line 7: step 2 has 'inf'"),
    "too large": ("1,1e39:fast\n", "line 7: step 2 has '1e39'"),
    "other class": ("1,2:odd\n", "line 7 has the class 'odd'; @classLabel names fast, slow"),
    "no class": ("1,2\n", "line 7 has no colon"),
    "ragged": ("1,2:3:fast\n", "line 7 has dimensions of 1 and 2 steps"),
    "dimensions": ("1:2:fast\n1:slow\n", "line 8 has 1 dimensions where"),
    "no rows": ("", "has no rows"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_sequence_is_named_with_its_line(tmp_path: Path, case: str):
    content, said = BAD[case]
    (tmp_path / "a.ts").write_text(HEAD + content)
    with pytest.raises(ValueError, match=r"a\.ts") as error:
        read_series(f"{tmp_path}/a.ts", "label", Reading())
    assert said in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("@timestamps true\n@data\n", "time stamps are not read"),
        ("@classLabel false\n@data\n", "its rows have no classes"),
        ("1,2:a\n", "before @data"),
        ("@univariate true\n", "has no @data"),
    ],
)
def test_a_head_that_is_not_read_is_refused(tmp_path: Path, head: str, said: str):
    (tmp_path / "a.ts").write_text(head)
    with pytest.raises(ValueError, match=said):
        read_series(f"{tmp_path}/a.ts", "label", Reading())


def waves(rows: int, seed: int = 0) -> list[tuple[list[float], str]]:
    random = numpy.random.default_rng(seed)
    return [(random.normal(size=random.integers(3, 6)).round(3).tolist(), "ab"[row % 2]) for row in range(rows)]


def write_wave_files(folder: Path) -> None:
    for split, rows in (("TRAIN", 20), ("TEST", 10)):
        lines = [",".join(map(str, steps)) + f":{label}" for steps, label in waves(rows, rows)]
        (folder / f"Waves_{split}.ts").write_text("@classLabel true a b\n@data\n" + "\n".join(lines))


def test_forms_of_sequences_give_one_task(tmp_path: Path):
    rows = waves(30)
    (tmp_path / "a.ts").write_text("@data\n" + "\n".join(",".join(map(str, steps)) + f":{label}" for steps, label in rows))
    lines = [",".join([label, *map(str, steps), *[""] * (5 - len(steps))]) for steps, label in rows]
    (tmp_path / "a.csv").write_text("label,0,1,2,3,4\n" + "\n".join(lines))
    columns = {"values": [steps for steps, _ in rows], "label": [label for _, label in rows]}
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"values": steps, "label": label}) for steps, label in rows))
    tasks = [made("sequence_classification", file=str(path)) for path in sorted(tmp_path.glob("a.*"))]
    assert len(tasks) == 4 and len({task.fingerprint for task in tasks}) == 1
    assert [len(tasks[0].dataset.labels[split]) for split in SPLITS] == [18, 6, 6]


def test_a_folder_of_the_archive(tmp_path: Path):
    write_wave_files(tmp_path)
    task = made("sequence_classification", file=str(tmp_path))
    assert [len(task.dataset.labels[split]) for split in SPLITS] == [16, 4, 10] and task.classes == ["a", "b"]
    assert (
        "train 16 (Waves_TRAIN.ts), validation 4 (from train), test 10 (Waves_TEST.ts); 2 classes: a 15, b 15" in task.notes[0]
    )
    steps = torch.cat([batch.inputs[row, :size] for batch in whole(task) for row, size in enumerate(batch.lengths)])
    assert steps.mean().abs() < 1e-5 and steps.std(correction=0) == pytest.approx(1, abs=1e-5)
    plain = made("sequence_classification", file=str(tmp_path), scale="none")
    assert plain.fingerprint == task.fingerprint and plain.dataset.steps["test"].values.tolist() != steps.tolist()


def whole(task: Task) -> list[Batch]:
    return [task.batch("train", index, 4, 0) for index in range(task.batches("train", 4))]


def series_file(folder: Path, values: list[float], name: str = "a.csv") -> str:
    (folder / name).write_text("day,value\n" + "\n".join(f"{day},{value}" for day, value in enumerate(values)))
    return str(folder / name)


def test_forecasts_ask_for_the_next_value_once(tmp_path: Path):
    values = numpy.random.default_rng(0).normal(size=200).round(4)
    task = made("forecasting", file=series_file(tmp_path, values.tolist()), window=7, held_out=0.2)
    train = values[:120]
    scaled = ((values - train.mean()) / train.std()).astype(numpy.float32)
    found = []
    for index in range(task.batches("test", 3)):
        batch = task.batch("test", index, 3, 0)
        for row in range(len(batch.lengths)):
            found += batch.targets[row][batch.scored[row]].flatten().tolist()
            assert torch.equal(batch.inputs[row, 1:], batch.targets[row, :-1])
    assert found == scaled[161:].tolist()  # each step of test but the first, in order
    assert task.floor == pytest.approx(float(numpy.square(numpy.diff(scaled[160:])).mean()), rel=1e-6)


def test_forecasts_are_scored_beside_persistence(tmp_path: Path):
    task = made("forecasting", file=series_file(tmp_path, [0, 1, 0, 3] * 40), window=8)
    batch = task.batch("test", 0, 5, 0)
    still = task.finish({name: float(value) for name, value in task.score(batch.inputs, batch).items()})
    perfect = task.finish({name: float(value) for name, value in task.score(batch.targets, batch).items()})
    assert still["skill"] == pytest.approx(0) and perfect == {"mse": 0, "mae": 0, "skill": 1}
    off = (batch.inputs - batch.targets)[batch.scored]
    assert still["mse"] == pytest.approx(float(off.square().mean())) and still["mae"] == pytest.approx(float(off.abs().mean()))


def test_series_by_split_and_their_refusals(tmp_path: Path):
    files = {split: series_file(tmp_path, list(range(30 + n)), f"{split}.csv") for n, split in enumerate(SPLITS)}
    task = made("forecasting", **files, window=9)
    assert task.found["rows"] == {"train": 30, "validation": 31, "test": 32}
    for options, said in (
        ({"window": 31}, "train has 30 steps, and task.window=31 needs more"),
        ({"columns": "none"}, "no column 'none'"),
        ({"columns": "value,value"}, "expected names of columns between commas, each once"),
    ):
        with pytest.raises(ValueError, match=said):
            made("forecasting", **{**files, **options})
    Path(files["test"]).write_text("value\n1\nx\n")
    with pytest.raises(ValueError, match=r"test\.csv: line 3 has 'x'; expected numbers"):
        made("forecasting", **files, window=4)


@pytest.mark.parametrize("seed", range(3))
def test_scores_of_classes_are_those_of_scikit_learn(seed: int):
    random = numpy.random.default_rng(seed)
    right, answered = random.integers(0, 4, (2, 60))
    answered[answered == 3] = 0  # one class is never answered
    outputs = torch.nn.functional.one_hot(torch.from_numpy(answered), 5).float().unsqueeze(1)  # and one is not there
    rows = len(right)
    ones = torch.ones(rows, dtype=torch.bool)
    batch = Batch(
        torch.zeros(rows, 1), torch.from_numpy(right)[:, None], ones[:, None], torch.ones(rows, dtype=torch.int64), ones
    )
    counts = class_counts(outputs, batch)
    assert macro_f1(counts) == pytest.approx(f1_score(right, answered, average="macro", zero_division=0))
    matrix = numpy.zeros((5, 5), int)
    numpy.add.at(matrix, (right, answered), 1)
    found = class_scores(list("abcde"), matrix.tolist())
    expected = precision_recall_fscore_support(right, answered, labels=range(4), zero_division=numpy.nan)
    for number, name in enumerate("abcd"):
        for score, values in zip(("precision", "recall", "rows"), (expected[0], expected[1], expected[3]), strict=True):
            value = found[name][score]
            assert value == pytest.approx(values[number]) if value is not None else numpy.isnan(values[number])
    assert found["e"] == {"precision": None, "recall": None, "f1": None, "rows": 0}


def test_baselines_of_sequences_and_series(tmp_path: Path):
    rows = [f"{'ab'[n % 2]},{n % 2},{n % 5},{n % 3 if n % 4 else ''}" for n in range(100)]
    (tmp_path / "rows.csv").write_text("label,0,1,2\n" + "\n".join(rows))
    floor, linear = run_baselines(made("sequence_classification", file=f"{tmp_path}/rows.csv"))
    assert linear.test == 1 > floor.test
    values = [0.0, 1.0]
    for _ in range(300):
        values.append(round(1.8 * values[-1] - 0.99 * values[-2], 9))  # the next value needs two steps
    floor, linear = run_baselines(made("forecasting", file=series_file(tmp_path, values), window=20))
    assert linear.chosen != "1 steps" and linear.test < 0.1 * floor.test


def test_numbers_of_texts(tmp_path: Path):
    words = {"poor": 1.0, "fine": 4.0, "great": 5.5}
    rows = [(f"film {n} was {word}", value + n % 2 / 4) for n in range(40) for word, value in words.items()]
    (tmp_path / "a.csv").write_text("text,value\n" + "\n".join(f"{text},{value}" for text, value in rows))
    task = made("text_regression", file=f"{tmp_path}/a.csv")
    assert sorted(len(task.dataset.answers[split]) for split in SPLITS) == [12, 12, 96]
    batch = task.batch("test", 0, 50, 0)
    own = batch.targets[:, 0, 0].numpy() * task.dataset.deviation + task.dataset.mean
    answered = torch.from_numpy(numpy.random.default_rng(0).normal(size=own.shape)).view(-1, 1, 1)
    found = task.finish({name: float(value) for name, value in task.score(answered, batch).items()})
    guess = answered[:, 0, 0].numpy() * task.dataset.deviation + task.dataset.mean
    assert found["rmse"] == pytest.approx(numpy.sqrt(numpy.square(guess - own).mean()), rel=1e-5)
    assert found["mae"] == pytest.approx(numpy.abs(guess - own).mean(), rel=1e-5)
    assert found["pearson"] == pytest.approx(numpy.corrcoef(guess, own)[0, 1], rel=1e-5)
    floor, linear = run_baselines(task)
    assert floor.test == pytest.approx(task.floor) and linear.test < 0.1 * floor.test
    for content, said in (
        ("text,value\na,1\nb,x\n", r"a\.csv: line 3 has 'x'; expected numbers"),
        ("text,value\na,1\nb,\n", r"a\.csv: line 3 has no 'value'"),
        ("text,value\n" + "".join(f"a w{n},1\n" for n in range(30)), "every training text has the value 1"),
    ):
        (tmp_path / "a.csv").write_text(content)
        with pytest.raises(ValueError, match=said):
            made("text_regression", file=f"{tmp_path}/a.csv", min_frequency=1)
