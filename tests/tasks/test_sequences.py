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
from rnnbench.cli.main import main
from rnnbench.data.series import deviations, read_series
from rnnbench.data.table_files import Reading, read_rows
from rnnbench.data.tables import DataError
from rnnbench.store.confusion import class_scores
from rnnbench.tasks import load
from rnnbench.tasks.shared.scoring import class_counts, macro_f1
from rnnbench.tasks.task import SPLITS, Batch, Task
from rnnbench.training.confusion import matrix_counts

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


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "ts"])
@pytest.mark.parametrize("value", [1e39, -1e39, float("inf"), float("nan"), 3.5e38])
def test_a_value_that_float32_does_not_hold_is_refused(tmp_path: Path, ending: str, value: float):
    path, rows = tmp_path / f"a.{ending}", [[1.0, 2.0], [value, 2.0]]
    if ending in ("csv", "ts"):
        lines = [f"{one},{other}{',' if ending == 'csv' else ':'}a" for one, other in rows]
        path.write_text(("0,1,label\n" if ending == "csv" else "@data\n") + "\n".join(lines))
    elif ending == "jsonl":
        path.write_text("".join(json.dumps({"values": row, "label": "a"}) + "\n" for row in rows))
    else:
        pyarrow.parquet.write_table(pyarrow.table({"values": rows, "label": ["a", "a"]}), path)
    with pytest.raises(DataError, match=f"^{path}: (line 2|line 3|row 2)[ :]"):
        made("sequence_classification", file=str(path))


@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize("whole", [False, True])
def test_text_among_numbers_is_named_with_its_row(tmp_path: Path, whole: bool, drop: bool):
    rows = [{"values": [1.5, 2], "label": n % 2} for n in range(300)]
    rows[3]["label"] = None if drop else 1
    rows[200]["values"] = [1, "x"]
    file = tmp_path / f"a.json{'' if whole else 'l'}"
    file.write_text(json.dumps(rows) if whole else "\n".join(map(json.dumps, rows)))
    with pytest.raises(DataError) as error:
        read_rows(str(file), ["values", "label"], Reading(drop_empty=drop), text=False)
    place = f"{file}: {'object' if whole else 'line'} 201 has [1, 'x'] for 'values', not of one type with the values before it"
    assert str(error.value).startswith(place)


@pytest.mark.parametrize("values", ["[[1], [2, 3]]", "[]", "[[], []]", "5", '["x"]', "[[[1]]]"])
def test_a_list_that_is_no_sequence_is_named_with_its_line(tmp_path: Path, values: str):
    (tmp_path / "a.jsonl").write_text(f'{{"values": {values}, "label": "a"}}\n' * 2)
    with pytest.raises(DataError, match=r"a\.jsonl: line 1 has ") as error:
        made("sequence_classification", file=f"{tmp_path}/a.jsonl")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a.csv": "label,0\na,1\nb,2\n", "b.csv": "label,0\na,3\n,4\n"}, "b.csv: line 3 has no class"),
        ({"a.ts": "@data\n1:a\n", "b.ts": "@data\n1:a\n2:3:a\n"}, "b.ts: line 3 has 2 dimensions where {0}/b.ts: line 2 has 1"),
        ({"a.ts": "@data\n1:a\n", "b.ts": "@data\n2:3:a\n"}, "b.ts: line 2 has 2 dimensions where {0}/a.ts: line 2 has 1"),
        (
            {"a.jsonl": '{"values": [1], "label": "a"}\n', "b.jsonl": '\n{"values": [], "label": "a"}\n'},
            "b.jsonl: line 2 has no values",
        ),
    ],
)
def test_a_row_of_several_files_is_named_by_its_own(tmp_path: Path, files: dict[str, str], said: str):
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(DataError) as error:
        made("sequence_classification", file=f"{tmp_path}/*.*")
    assert str(error.value).startswith(f"{tmp_path}/{said.format(tmp_path)}")


def test_a_class_that_training_lacks_is_refused_or_said(tmp_path: Path):
    rows = [f"{'ab'[n % 2]},{n},{n + 1}" for n in range(60)]
    (tmp_path / "train.csv").write_text("\n".join(["label,0,1", *rows]))
    for number in (1, 2):
        (tmp_path / f"part{number}.csv").write_text(f"label,0,1\na,1,2\n{'ac'[number - 1]},3,4\n")
    with pytest.raises(DataError) as error:
        made("sequence_classification", train=f"{tmp_path}/train.csv", test=f"{tmp_path}/part*.csv")
    assert str(error.value).startswith(
        f"{tmp_path}/part2.csv: line 3: split 'test' has the label 'c', which no training sequence"
    )
    (tmp_path / "train.csv").write_text("\n".join(["label,0,1", *rows, *(f"{n},{n},5" for n in range(20))]))
    task = made("sequence_classification", file=f"{tmp_path}/train.csv")
    trained = {task.classes[number] for number in task.dataset.labels["train"].tolist()}
    lacking = ", ".join(repr(name) for name in task.classes if name not in trained)
    said = f"{tmp_path}/train.csv: no training sequence has the labels {lacking}: nothing is trained for them"
    assert lacking and task.notes[1:] == [said]


@pytest.mark.parametrize("value", [0.1, 0.7, 1e-9, 123.456, 0.0, -3.3])
def test_a_column_that_is_constant_in_training_is_not_scaled(tmp_path: Path, value: float):
    steps = [f"{n % 7},{value if n < 80 else value + 0.1}" for n in range(100)]
    (tmp_path / "a.csv").write_text("value,flag\n" + "\n".join(steps))
    task = made("forecasting", file=f"{tmp_path}/a.csv", columns="value,flag", window=8)
    assert task.batch("test", 0, 9, 0).inputs[..., 1].max() == pytest.approx(0.1, rel=1e-5)
    for split, flag in (("train", value), ("test", value + 0.1)):
        columns = {"values": [[[n % 7, flag], [n, flag]] for n in range(30)], "label": ["a", "b"] * 15}
        pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / f"{split}.parquet")
    task = made("sequence_classification", train=f"{tmp_path}/train.parquet", test=f"{tmp_path}/test.parquet")
    assert task.batch("test", 0, 9, 0).inputs[..., 1].max() == pytest.approx(0.1, abs=1e-5)
    rows = "".join(f"text {n},{value}\n" for n in range(100))
    (tmp_path / "t.csv").write_text(f"text,value\n{rows}")
    with pytest.raises(DataError, match="every training text has the value"):
        made("text_regression", file=f"{tmp_path}/t.csv", min_frequency=1)


def test_deviations_that_are_real_are_numpys():
    values = numpy.random.default_rng(0).normal(size=(99, 3)) * [1, 1e-6, 1e6] + [0, 5, -5]
    assert deviations(values).tolist() == values.std(0).tolist()
    assert deviations(numpy.array([[0.0], [1e-200]])).tolist() == [1]  # its square is 0


@pytest.mark.parametrize(
    "name", ["forecasting", "sequence_classification", "text_classification", "text_regression", "tagging"]
)
def test_a_folder_has_no_revision(tmp_path: Path, name: str):
    options = {"hub": str(tmp_path), "revision": "v1", **({"data": "own"} if name == "tagging" else {})}
    with pytest.raises(DataError, match=f"task.revision=v1 is of a set of the hub, and task.hub={tmp_path} is a folder"):
        load(name, **options)


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


@pytest.mark.parametrize(
    ("name", "gap", "line"),
    [
        ("a.csv", "", 6),
        ("a.csv", '""', 6),
        ("a.csv", "   ", 6),
        ("a.tsv", "", 6),
        ("a.csv", "\r", 6),
        ("a.csv", "\n\n", 6),
    ],
)
def test_a_value_that_is_missing_among_steps_is_refused(tmp_path: Path, name: str, gap: str, line: int):
    (tmp_path / name).write_text("\n".join(["value", *"1234", gap, *"56789" * 9]))
    with pytest.raises(DataError, match=rf"{name}: line {line} has no value; expected numbers"):
        made("forecasting", file=f"{tmp_path}/{name}", window=4)
    (tmp_path / name).write_text("\n".join(["", "value", *"123456789" * 9, "", "", ""]))
    assert sum(made("forecasting", file=f"{tmp_path}/{name}", window=4).found["rows"].values()) == 81
    (tmp_path / name).write_text(
        "\n\n".join(
            [
                "value\tother".replace("\t", "\t" if name == "a.tsv" else ","),
                *(f"{n}{chr(9) if name == 'a.tsv' else ','}1" for n in range(81)),
            ]
        )
    )
    assert sum(made("forecasting", file=f"{tmp_path}/{name}", window=4).found["rows"].values()) == 81


def test_a_forecast_says_its_files_and_their_order(tmp_path: Path):
    for month in range(1, 13):
        series_file(tmp_path, [100 * month + day for day in range(20)], f"month{month}.csv")
    task = made("forecasting", file=f"{tmp_path}/month*.csv", window=9)
    values = numpy.concatenate([task.dataset._values[split] for split in SPLITS])
    assert (numpy.diff(values[:, 0]) > 0).all() and len(values) == 240
    assert "train 192 (month1.csv and 11 more), validation 24 (from train), test 24 (from train)" in task.notes[0]
    assert task.notes[1].endswith("in this order: " + ", ".join(f"month{month}.csv" for month in range(1, 13)))
    test = made("forecasting", train=f"{tmp_path}/month?.csv", validation=f"{tmp_path}/month1?.csv", window=9)
    assert (
        "validation 18 (from train), test 60 (month10.csv and 2 more)" in test.notes[0]
    )  # a validation split alone is the test


def test_forecasts_of_the_same_steps_are_said(tmp_path: Path):
    one, other = series_file(tmp_path, list(range(50))), series_file(tmp_path, list(range(1, 51)), "b.csv")
    lines = [
        f"{one}: train and validation are the same 50 rows: what selects was trained on",
        f"{one}: train and test are the same 50 rows: what is reported was trained on",
        f"{one}: validation and test are the same 50 rows: what is reported was selected on",
    ]
    taken = [f"{one}: train and test are the same 50 rows: what is reported was trained or selected on"]  # train validates
    for named, said in (
        ({"validation": one, "test": one}, lines),
        ({"validation": one}, taken),
        ({"test": one}, taken),
        ({"validation": one, "test": other}, lines[:1]),
        ({"validation": other, "test": other}, lines[2:]),
        ({"test": other}, []),
    ):
        assert made("forecasting", train=one, **named, window=4).notes[1:] == said


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (
            {"train": "train[:80%]", "test": "train[70%:]"},
            r"10 rows in common \(task.train=train\[:80%\] and ",
        ),
        (
            {"train": "train[:80%]", "validation": "train[70%:]"},
            "train and validation have 10 rows in common",
        ),  # it is the test
        ({"train": "train[:]", "test": "train[0:]"}, "train and test have 100 rows in common"),
        ({"train": "{file}", "test": "train[90:]"}, "10 rows in common"),
        ({"train": "train[:80%]", "validation": "train[70%:85%]", "test": "train[85%:]"}, None),
        ({"train": "train[:80%]", "validation": "train[80%:]", "test": "train[80%:]"}, None),
    ],
)
def test_no_step_of_the_test_is_trained_on(tmp_path: Path, named: dict[str, str], said: str | None):
    file = series_file(tmp_path, list(range(100)))
    named = {split: name.format(file=file) for split, name in named.items()}
    if said is None:
        task = made("forecasting", file=file, window=9, **named)
        ((pair, rows),) = task.found["shared"].items()
        assert any(f": {pair} " in note and f" {rows} rows" in note for note in task.notes[1:]), task.notes
        return
    with pytest.raises(DataError, match=said) as error:
        made("forecasting", file=file, window=9, **named)
    assert "what is reported was trained on; expected rows of time that do not overlap" in str(error.value)


def test_forecasts_are_scored_beside_persistence(tmp_path: Path):
    task = made("forecasting", file=series_file(tmp_path, [0, 1, 0, 3] * 40), window=8)
    batch = task.batch("test", 0, 5, 0)
    still = task.finish({name: float(value) for name, value in task.score(batch.inputs, batch).items()})
    perfect = task.finish({name: float(value) for name, value in task.score(batch.targets, batch).items()})
    assert still["skill"] == pytest.approx(0) and perfect == {"mse": 0, "mae": 0, "skill": 1}
    off = (batch.inputs - batch.targets)[batch.scored]
    assert still["mse"] == pytest.approx(float(off.square().mean()))
    assert still["mae"] == pytest.approx((8 * 1 + 7 * 3) / 15)  # in units of the data: 0 1 0 3 0 1 ...


def test_the_mean_absolute_error_of_several_columns_is_in_their_units(tmp_path: Path):
    steps = "\n".join(f"{n % 2},{1000 * (n % 2)}" for n in range(200))
    (tmp_path / "a.csv").write_text(f"one,other\n{steps}")
    task = made("forecasting", file=f"{tmp_path}/a.csv", columns="one,other", window=8)
    batch = task.batch("test", 0, 5, 0)
    sums = {name: float(value) for name, value in task.score(batch.inputs, batch).items()}
    assert task.finish(sums)["mae"] == pytest.approx((1 + 1000) / 2)


@pytest.mark.parametrize("written", ["[degrees,'wind, m/s']", '["degrees","wind, m/s"]'])
def test_a_column_whose_name_has_a_comma_is_given_in_a_list(tmp_path: Path, monkeypatch, capfd, written: str):
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text('day,degrees,"wind, m/s"\n' + "".join(f"{n},{n % 5},{n % 3}\n" for n in range(200)))
    small = ["model=gru", "model.hidden_size=2", "train.steps=2", "train.eval_every=2", "task.window=8", "tracker=none"]
    assert main(["train", "task=forecasting", "task.file=a.csv", f"task.columns={written}", *small]) == 0
    assert "; columns: degrees, 'wind, m/s'\n" in capfd.readouterr().out
    (run,) = Path("runs/forecasting/gru").iterdir()
    record = json.loads((run / "record.json").read_text())
    assert record["task"]["about"]["found"]["columns"] == ["degrees", "wind, m/s"]
    assert main(["train", "--again", str(run)]) == 0 and "recorded before" in capfd.readouterr().out


def test_the_name_of_one_column_may_have_a_comma(tmp_path: Path):
    """Its quotes are taken by the shell, or by Hydra."""
    (tmp_path / "a.csv").write_text('day,"wind, m/s"\n' + "".join(f"{n},{n % 3}\n" for n in range(200)))
    task = made("forecasting", file=str(tmp_path / "a.csv"), window=8, columns="wind, m/s")
    assert task.found["columns"] == ["wind, m/s"]
    with pytest.raises(ValueError, match=r"no column 'wind'; did you mean 'wind, m/s'\? there are: day, 'wind, m/s'"):
        made("forecasting", file=str(tmp_path / "a.csv"), window=8, columns="wind, rain, m/s")


def test_series_by_split_and_their_refusals(tmp_path: Path):
    files = {split: series_file(tmp_path, list(range(30 + n)), f"{split}.csv") for n, split in enumerate(SPLITS)}
    task = made("forecasting", **files, window=9)
    assert task.found["rows"] == {"train": 30, "validation": 31, "test": 32}
    for options, said in (
        ({"window": 31}, "train has 30 steps, and task.window=31 needs more"),
        ({"columns": "none"}, "no column 'none'"),
        ({"columns": "value,value"}, "expected names of columns, each once: "),
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
    found = class_scores(list("abcde"), matrix_counts(matrix.tolist()))
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
