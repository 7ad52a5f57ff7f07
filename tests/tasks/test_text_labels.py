"""Several labels a text: every form of them, scores that scikit-learn gives too, the best constant answer, and refusals."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Callable
from pathlib import Path

import datasets
import numpy
import pyarrow
import pyarrow.parquet
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, log_loss, precision_recall_fscore_support

from rnnbench.baselines.fit import run_baselines
from rnnbench.cli.main import main
from rnnbench.data.tables import DataError
from rnnbench.run.load import load_run
from rnnbench.tasks import load
from rnnbench.tasks.task import LABELS as SCORING
from rnnbench.tasks.task import SPLITS, Batch, Task, totals
from rnnbench.training.confusion import label_counts

LABELS = ("screen", "battery", "sound")
WORDS = {"screen": "cracked", "battery": "drains", "sound": "buzzes"}
ROWS = [
    (f"phone {n} is {' '.join(WORDS[label] for label in found) or 'fine'}", found)
    for n in range(60)
    for found in [[label for bit, label in enumerate(LABELS) if n % 5 & 2**bit]]
]


@pytest.fixture(autouse=True)
def here(clean, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def made(**options: object) -> Task:
    task = load("text_labels", **{"min_frequency": 1, **options})
    task.prepare()
    return task


def as_csv(between: str, separator: str = ",") -> str:
    with open("a.csv", "w", newline="") as file:
        csv.writer(file, delimiter=separator).writerows([("text", "label"), *((text, between.join(row)) for text, row in ROWS)])
    return "a.csv"


def as_json(name: str, write: Callable[[list], str]) -> str:
    Path(name).write_text(write([{"text": text, "label": labels} for text, labels in ROWS]))
    return name


def as_parquet(kind: pyarrow.DataType) -> str:
    columns = {"text": [text for text, _ in ROWS], "label": pyarrow.array([labels for _, labels in ROWS], kind)}
    pyarrow.parquet.write_table(pyarrow.table(columns), "a.parquet")
    return "a.parquet"


def joined(row: dict) -> dict:
    return {**row, "label": ";".join(row["label"])}


FORMS: dict[str, Callable[[], dict[str, str]]] = {
    "csv": lambda: {"file": as_csv(";")},
    "csv with a bar": lambda: {"file": as_csv("|"), "label_separator": "bar"},
    "csv with commas": lambda: {"file": as_csv(", "), "label_separator": "comma"},
    "csv between semicolons": lambda: {"file": as_csv(" + ", ";"), "separator": "semicolon", "label_separator": "+"},
    "json": lambda: {"file": as_json("a.json", json.dumps)},
    "jsonl": lambda: {"file": as_json("a.jsonl", lambda rows: "\n".join(map(json.dumps, rows)))},
    "jsonl, text": lambda: {"file": as_json("b.jsonl", lambda rows: "\n".join(json.dumps(joined(row)) for row in rows))},
    "parquet": lambda: {"file": as_parquet(pyarrow.list_(pyarrow.string()))},
    "parquet, large": lambda: {"file": as_parquet(pyarrow.large_list(pyarrow.large_string()))},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_one_data_set(form: str):
    task = made(**FORMS[form]())
    assert task.fingerprint == made(file=as_csv(";")).fingerprint and task.classes == sorted(LABELS)
    assert task.found["labels"] == {label: sum(label in row for _, row in ROWS) for label in sorted(LABELS)}
    assert "3 labels: battery 24, screen 24, sound 12; 1 labels a row" in task.notes[0]
    for split in SPLITS:
        batch = task.batch(split, 0, 100 if split != "train" else len(task.dataset.tokens["train"]), 0)
        for row, target in zip(batch.inputs.tolist(), batch.targets[:, 0].tolist(), strict=True):
            words = task.vocabulary.decode(row)
            assert target == [float(WORDS[label] in words) for label in sorted(LABELS)]


@pytest.mark.parametrize("values", [([10], [2, 10], []), (10, 2, 2)])
def test_numbers_sort_as_numbers(values: tuple):
    Path("a.jsonl").write_text("\n".join(json.dumps({"text": f"w{n} w", "label": values[n % 3]}) for n in range(60)))
    Path("a.csv").write_text("text,label\n" + "".join(f"w{n} w,{['10', '2;10', ''][n % 3]}\n" for n in range(60)))
    assert made(file="a.jsonl").classes == made(file="a.csv").classes == ["2", "10"]


def test_scores_are_those_of_scikit_learn():
    task, random = made(file=as_csv(";")), numpy.random.default_rng(0)
    wanted, logits = random.random((50, 3)) < 0.4, random.normal(size=(50, 3))
    true, ones = torch.ones(50, 1, dtype=torch.bool), torch.ones(50, dtype=torch.int64)
    batch = Batch(torch.zeros(50, 1, dtype=torch.int64), torch.from_numpy(wanted).float().unsqueeze(1), true, ones, true[:, 0])
    sums = task.score(torch.from_numpy(logits).unsqueeze(1), batch)
    found = task.finish({name: value if value.ndim else float(value) for name, value in sums.items()})
    chances = 1 / (1 + numpy.exp(-logits))
    assert found == {
        "micro_f1": pytest.approx(f1_score(wanted, logits > 0, average="micro")),
        "macro_f1": pytest.approx(f1_score(wanted, logits > 0, average="macro")),
        "exact": pytest.approx(accuracy_score(wanted, logits > 0)),
        "loss": pytest.approx(sum(log_loss(wanted[:, label], chances[:, label]) for label in range(3))),
    }


@pytest.mark.parametrize("shares", [(0.9, 0.5, 0.1), (0.3, 0.3, 0.3), (0.05, 0.0, 0.6), (1.0, 0.34, 0.33)])
def test_the_floor_is_the_best_constant_answer(shares: tuple[float, ...]):
    random = numpy.random.default_rng(1)
    rows = [[label for label, share in zip(LABELS, shares, strict=True) if random.random() < share] for _ in range(200)]
    Path("a.jsonl").write_text("\n".join(json.dumps({"text": f"w{n}", "label": row}) for n, row in enumerate(rows)))
    task = made(file="a.jsonl", max_vocabulary=10)
    batch = task.batch("train", 0, len(task.dataset.tokens["train"]), 0)
    wanted = batch.targets[:, 0].numpy()

    def micro(answer: tuple[bool, ...]) -> float:
        return f1_score(wanted, numpy.tile(answer, (len(wanted), 1)), average="micro", zero_division=0)

    best = max(map(micro, itertools.product((False, True), repeat=len(task.classes))))
    assert micro(tuple((task.floor_guess(batch)[0, 0] > 0).tolist())) == pytest.approx(best)


REFUSED = {
    '{"text": "a", "label": [1, "b"]}': "line 1 has [1, 'b'] for 'label', not of one type with",
    '{"text": "a", "label": [["b"]]}': "line 1 has ['b'] for a label; allowed: texts or whole numbers",
    '{"text": "a", "label": [0.5]}': "line 1 has 0.5 for a label",
    '{"text": "a", "label": [true]}': "line 1 has True for a label",
    '{"text": "a", "label": ["b", null]}': "line 1 has an empty label",
    '{"text": "a", "label": ["b", ""]}': "line 1 has an empty label",
    '{"text": "a", "label": ["b;c"]}': "line 1 has the label 'b;c', which holds ';'",
    '{"text": "a", "label": 0.5}': "column 'label' holds double; allowed: lists of texts",
    '{"text": "a", "label": {"b": 1}}': "column 'label' holds struct<b: int64>; allowed: lists of texts",
    '{"text": "a", "label": null}': "line 1 has no 'label'",
    '{"text": "a", "label": []}': "no training text has a label",
    '{"text": "a", "label": "b;;c"}': "line 1 has an empty label",
    "text,label\na,b;\n": "line 2 has an empty label",
    "text,label\na,\n": "no training text has a label",
    "text,label\n,b\n": "line 2: a text without a word",
}


@pytest.mark.parametrize("content", REFUSED)
def test_what_is_no_set_of_labels_is_refused_in_one_line(content: str, capfd: pytest.CaptureFixture):
    name = "a.jsonl" if content.startswith("{") else "a.csv"
    Path(name).write_text(content if name == "a.jsonl" else content + "".join(f"x{n},\n" for n in range(9)))
    assert main(["train", "task=text_labels", f"task.file={name}", "model=gru", "tracker=none"]) == 2
    err = capfd.readouterr().err
    assert REFUSED[content] in err and err.count("\n") == 1 and len(err) < 400, err


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (["new"], "line 1: split 'test' has the label 'new', which no training text has"),
        ([1], "line 1: labels are text in 'train' and whole numbers in 'test'; make both the same"),
        ([], ""),
    ],
)
def test_labels_of_a_later_split(second: list, said: str):
    as_json("a.jsonl", lambda rows: "\n".join(map(json.dumps, rows)))
    Path("b.jsonl").write_text(json.dumps({"text": "a phone", "label": second}))
    if said:
        with pytest.raises(ValueError, match=said):
            made(train="a.jsonl", test="b.jsonl")
        return
    task = made(train="a.jsonl", test="b.jsonl")
    assert task.floor == 0 and task.batch("test", 0, 1, 0).targets.sum() == 0


def test_odd_rows_are_said():
    Path("a.csv").write_text("text,label\n" + "".join(f"film {n % 20},{['a;b', 'A'][n % 3 % 2]}\n" for n in range(90)))
    notes = "\n".join(made(file="a.csv").notes)
    assert "20 texts have different labels, first line 3 and line 23: no model" in notes and "'A', 'a' differ in" in notes


def test_a_lone_set_of_labels_is_no_lone_class():
    """Each text of test has b and c: two of three labels, whose sets have numbers of their own."""
    Path("a.csv").write_text("text,label\n" + "".join(f"film {n},{['a', 'a;b', 'c', 'b;c'][n % 4]}\n" for n in range(80)))
    Path("b.csv").write_text("text,label\n" + "".join(f"other {n},b;c\n" for n in range(8)))
    assert not any("scores there say nothing" in note for note in made(train="a.csv", test="b.csv").notes)


def test_empty_rows_can_be_dropped():
    lines = [f"{text},{';'.join(labels)}" for text, labels in ROWS]
    Path("b.csv").write_text("text,label\n" + "\n".join(["  ,screen", *lines]))
    assert made(file="b.csv", drop_empty=True).fingerprint == made(file=as_csv(";")).fingerprint


def test_a_bag_of_words_tells_the_labels():
    floor, *others = run_baselines(made(file=as_csv(";")))
    assert floor.test < 0.8 and [one.test for one in others[:2]] == [1.0, 1.0]


@pytest.mark.parametrize("seed", range(3))
def test_the_macro_f1_counts_every_label_of_the_task(seed: int):
    random = numpy.random.default_rng(seed)
    wanted, answered = random.random((2, 40, 5)) < 0.3
    wanted[:, 2:] = False  # in the test split there are two labels
    answered[:, 3:] = False
    true, ones = torch.ones(40, 1, dtype=torch.bool), torch.ones(40, dtype=torch.int64)
    batch = Batch(torch.zeros(40, 1, dtype=torch.int64), torch.from_numpy(wanted).float().unsqueeze(1), true, ones, true[:, 0])
    sums = SCORING.score(torch.from_numpy(numpy.where(answered, 1.0, -1.0)).unsqueeze(1), batch)
    found = SCORING.finish(totals(sums))["macro_f1"]
    assert found == pytest.approx(f1_score(wanted, answered, average="macro", zero_division=0)) and found > 0


def test_a_label_may_not_hold_the_text_between_labels():
    features = {"text": datasets.Value("string"), "label": datasets.Sequence(datasets.ClassLabel(names=["a;b", "c"]))}
    rows = {"text": [text for text, _ in ROWS], "label": [[n % 2] for n in range(60)]}
    datasets.Dataset.from_dict(rows, features=datasets.Features(features)).to_parquet("a.parquet")
    with pytest.raises(DataError, match=r"a\.parquet: the label 'a;b' holds ';', the text between labels; task\."):
        made(file="a.parquet")
    assert made(file="a.parquet", label_separator="bar").classes == ["a;b", "c"]


def numbers_of(row: list[str]) -> list[int]:
    return [LABELS.index(label) for label in row]


@pytest.mark.parametrize("between", [";", "; "])
def test_numbered_labels_of_a_text_file_have_the_test_score(between: str, capfd: pytest.CaptureFixture):
    """The run knows the labels by the names of the library; the new file, by their numbers."""
    feature = datasets.Sequence(datasets.ClassLabel(names=list(LABELS)))
    features = datasets.Features({"text": datasets.Value("string"), "label": feature})
    for name, rows in (("train", ROWS[:40]), ("test", ROWS[40:])):
        table = {"text": [text for text, _ in rows], "label": [numbers_of(row) for _, row in rows]}
        datasets.Dataset.from_dict(table, features=features).to_parquet(f"{name}.parquet")
    lines = [(text, between.join(map(str, numbers_of(row)))) for text, row in ROWS[40:]]
    with open("new.csv", "w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *lines])
    words = ["task=text_labels", "task.train=train.parquet", "task.test=test.parquet", "task.min_frequency=1"]
    quick = ["model=gru", "model.hidden_size=4", "network.embedding=4", "train.steps=20", "train.eval_every=10"]
    quick += ["train.batch_size=10", "train.learning_rate=0.03", "tracker=none"]
    assert main(["train", *words, *quick]) == 0
    (run,) = Path("runs/text_labels/gru").iterdir()
    score = json.loads((run / "record.json").read_text())["scores"]["test"]
    capfd.readouterr()
    for file in ("new.csv", "test.parquet"):
        assert main(["predict", str(run), file, "-o", "out.csv"]) == 0
        out = capfd.readouterr().out
        assert score["micro_f1"] > 0 and f"micro-F1 {score['micro_f1']:.4g}, exact {score['exact']:.4g} over 20 rows" in out


@pytest.mark.parametrize("test", [True, False])
def test_each_label_has_its_scores_in_the_record(test: bool):
    as_csv(";")
    words = ["task=text_labels", "task.file=a.csv", "task.min_frequency=1", "keep_predictions=true"]
    words = words if test else [*words[:-1], "test=false", f"seed={2**31}"]
    quick = ["model=gru", "model.hidden_size=4", "network.embedding=4", "train.steps=20", "train.eval_every=10"]
    assert main(["train", *words, *quick, "train.learning_rate=0.03", "tracker=none"]) == 0
    (run,) = Path("runs/text_labels/gru").iterdir()
    found = json.loads((run / "record.json").read_text())["by_class"]
    assert list(found) == sorted(LABELS)
    if not test:
        return
    kept = list(csv.DictReader((run / "predictions.csv").read_text().splitlines()))
    sides = [[[label in row[side].split(";") for label in found] for row in kept] for side in ("right", "answer")]
    wanted = precision_recall_fscore_support(*map(numpy.array, sides), zero_division=numpy.nan)
    for number, scores in enumerate(found.values()):
        for name, values in zip(("precision", "recall", "f1", "rows"), wanted, strict=True):
            assert scores[name] == pytest.approx(values[number]) if scores[name] is not None else numpy.isnan(values[number])


def test_the_rarest_of_many_labels_are_counted_together():
    counts = torch.arange(3 * 60).reshape(3, 60).double()
    names, found = label_counts([f"label {n}" for n in range(60)], counts)
    assert names == [*(f"label {n}" for n in range(10, 60)), "10 others"]
    assert found[0] == (10, 70, 130) and found[-1] == tuple(counts[:, :10].sum(1).tolist())


def test_predictions_have_the_test_score(capfd: pytest.CaptureFixture):
    as_csv(";")
    lines = Path("a.csv").read_text().splitlines(keepends=True)
    Path("train.csv").write_text("".join(lines[:41]))
    Path("test.csv").write_text(lines[0] + "".join(lines[41:]))
    words = ["task=text_labels", "task.train=train.csv", "task.test=test.csv", "task.min_frequency=1"]
    quick = ["model=gru", "model.hidden_size=4", "network.embedding=4", "train.steps=20", "train.eval_every=10"]
    quick += ["train.batch_size=10", "train.learning_rate=0.03", "tracker=none", "keep_predictions=true"]
    assert main(["train", *words, *quick, "train.log_every=10", "train.patience=0"]) == 0
    (run,) = Path("runs/text_labels/gru").iterdir()
    score = json.loads((run / "record.json").read_text())["scores"]["test"]
    Path("train.csv").unlink()
    capfd.readouterr()
    assert main(["predict", str(run), "test.csv", "-o", "out.csv"]) == 0
    out = capfd.readouterr().out
    assert f"micro-F1 {score['micro_f1']:.4g}, exact {score['exact']:.4g} over 20 rows with labels" in out
    rows, kept = (list(csv.DictReader(Path(path).read_text().splitlines())) for path in ("out.csv", run / "predictions.csv"))
    assert list(rows[0]) == ["input", "answer", *(f"p({label})" for label in sorted(LABELS))]
    for one, other in zip(rows, kept, strict=True):
        likely = [label for label in sorted(LABELS) if float(one[f"p({label})"]) > 0.5]
        assert one["answer"] == other["answer"] == ";".join(likely)
        assert float(one["p(screen)"]) == pytest.approx(float(other["p(screen)"]), abs=1e-5)
    assert [row["right"].split(";") for row in kept] == [sorted(labels) or [""] for _, labels in ROWS[40:]]
    assert load_run(run, with_data=False).task.classes == sorted(LABELS)
