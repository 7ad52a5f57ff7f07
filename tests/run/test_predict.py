"""What a run answers for the rows of a file: as on the test split, with probabilities, and where its data are gone."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet
import pytest

from rnnbench.cli.main import main
from rnnbench.run.load import load_run

QUICK = ["model=gru", "model.hidden_size=4", "train.steps=20", "train.eval_every=10", "train.log_every=10", "train.patience=0"]
QUICK += ["tracker=none", "train.learning_rate=0.02", "train.batch_size=10"]


@pytest.fixture(autouse=True)
def here(clean, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RNNBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for name, rows in (("train", 80), ("test", 37)):
        texts = [f"film {n % 9} was {['poor', 'fine'][n % 2]} {'x ' * random.Random(n).randint(0, 5)}" for n in range(rows)]
        lines = [f"{text}!,{['bad', 'good'][n % 3 % 2]}" for n, text in enumerate(texts)]
        (tmp_path / f"{name}.csv").write_text("text,label\n" + "\n".join(lines) + "\n")
    return tmp_path


def trained(*more: str) -> Path:
    words = ["train", "task=text_classification", "task.train=train.csv", "task.test=test.csv", "network.embedding=4", *QUICK]
    assert main([*words, *more]) == 0
    (run,) = Path("runs/text_classification/gru").iterdir()
    return run


def answers(path: str = "out.csv") -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_predictions_on_the_test_split_have_its_score(here: Path, capfd):
    run = trained("keep_predictions=true")
    score = json.loads((run / "record.json").read_text())["scores"]["test"]
    assert main(["predict", str(run), "test.csv", "-o", "out.csv"]) == 0
    assert f"accuracy {score['accuracy']:.4g} over 37 rows with a class" in capfd.readouterr().out
    rows, kept = answers(), answers(str(run / "predictions.csv"))
    with open("test.csv", newline="") as file:
        right = [row["label"] for row in csv.DictReader(file)]
    assert [row["right"] for row in kept] == right and [int(row["row"]) for row in kept] == list(range(1, 38))
    assert sum(row["answer"] == row["right"] for row in kept) / 37 == pytest.approx(score["accuracy"])
    for one, other in zip(rows, kept, strict=True):
        assert one["answer"] == other["answer"] and float(one["p(bad)"]) == pytest.approx(float(other["p(bad)"]), abs=1e-5)
        assert float(one["p(bad)"]) + float(one["p(good)"]) == pytest.approx(1, abs=2e-6)
        assert float(one["probability"]) == max(float(one["p(bad)"]), float(one["p(good)"]))


def test_every_form_of_new_rows_and_no_data_at_hand(here: Path):
    run = trained()
    table = pyarrow.csv.read_csv("test.csv")
    pyarrow.parquet.write_table(table.select(["text"]), "new.parquet")
    Path("new.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in table["text"].to_pylist()))
    Path("train.csv").unlink()
    found = []
    for name in ("test.csv", "new.parquet", "new.jsonl"):
        assert main(["predict", str(run), name, "-o", "out.csv"]) == 0
        found.append([(row["input"], row["answer"], row["p(bad)"]) for row in answers()])
    assert found[0] == found[1] == found[2] and len(found[0]) == 37
    assert load_run(run, with_data=False).task.classes == ["bad", "good"]


def test_a_row_without_a_word_is_answered_and_said(here: Path, capfd):
    run = trained()
    Path("new.csv").write_text('text\n""\n"  "\nunheard of\n')
    capfd.readouterr()
    assert main(["predict", str(run), "new.csv", "-o", "out.csv"]) == 0
    assert capfd.readouterr().err == "new.csv: 2 rows without a word, answered as one unknown word (<unk>)\n"
    empty, blank, _ = answers()
    assert empty["p(bad)"] == blank["p(bad)"]


def test_a_class_that_training_did_not_have_is_said(here: Path, capfd):
    run = trained()
    Path("new.csv").write_text('text,label\nfilm 1,bad\nfilm 2,ugly\nfilm 3,odd\nfilm 4,ugly\n"",\n')
    capfd.readouterr()
    assert main(["predict", str(run), "new.csv", "-o", "out.csv"]) == 0
    out, err = capfd.readouterr()
    assert "over 4 rows with a class" in out and err == (
        "new.csv: 1 row without a word, answered as one unknown word (<unk>); 3 rows with a class that training did not have "
        "('ugly', 'odd'), which no answer can be: counted as wrong\n"
    )
    assert main(["predict", str(run), "test.csv", "-o", "out.csv"]) == 0 and not capfd.readouterr().err


def test_what_cannot_be_predicted_is_one_line(here: Path, capfd):
    run = str(trained())
    Path("other.csv").write_text("body\na\n")
    Path("late.csv").write_text("text\n" + "a\n" * 3000 + "a,b\n")
    capfd.readouterr()
    for words, said in (
        ([run, "none.csv", "-o", "out.csv"], "none.csv: there is no such file"),
        ([run, "other.csv", "-o", "out.csv"], "no column 'text'; there are: body"),
        ([run, "late.csv", "-o", "out.csv"], "late.csv: line 3002 has 2 fields"),
        ([run, "test.csv", "-o", "no/out.csv"], "its folder is not there"),
        ([run, "test.csv", "-o", "runs"], "a folder"),
        ([run, "test.csv", "-o", "./test.csv"], "is the file that is read"),
        ([run, "test.csv", "-o", f"{run}/model.safetensors"], "is there, and holds no answers of such a run"),
        ([run, "test.csv", "-o", "train.csv"], "is there, and holds no answers of such a run"),
        (["nothing", "test.csv", "-o", "out.csv"], "nothing"),
    ):
        assert main(["predict", *words]) == 2
        out, err = capfd.readouterr()
        assert out == "" and said in err and err.count("\n") == 1 and not Path("out.csv").exists(), err
    assert [path.name for path in here.iterdir() if path.name.startswith(".")] == []


def test_predictions_are_kept_of_classes_only(here: Path, capfd):
    for words in (["task=adding_short"], ["task=text_classification", "task.file=train.csv", "test=false", f"seed={2**31}"]):
        assert main(["train", *words, *QUICK, "keep_predictions=true"]) == 2
        assert capfd.readouterr().err.startswith("rnnbench: keep_predictions=true")


def test_kept_predictions_are_no_part_of_the_id(here: Path, capfd):
    run = trained()
    assert trained("keep_predictions=true") == run and not (run / "predictions.csv").exists()
    assert "its predictions were not kept; `rnnbench predict` gives those for a file" in capfd.readouterr().out


def test_sequences_are_predicted(here: Path, capfd):
    rows = [f"{n % 2},{n % 2 + 0.1 * (n % 7)},{n % 5},{n % 3}" for n in range(60)]
    for name, lines in (("a.csv", rows[:40]), ("b.csv", rows[40:])):
        Path(name).write_text("label,t0,t1,t2\n" + "\n".join(lines))
    assert main(["train", "task=sequence_classification", "task.train=a.csv", "task.test=b.csv", *QUICK]) == 0
    (run,) = Path("runs/sequence_classification/gru").iterdir()
    score = json.loads((run / "record.json").read_text())["scores"]["test"]["accuracy"]
    Path("a.csv").unlink()
    capfd.readouterr()
    assert main(["predict", str(run), "b.csv", "-o", "out.csv"]) == 0
    assert f"accuracy {score:.4g} over 20 rows with a class" in capfd.readouterr().out


@pytest.mark.parametrize("ending", ["csv", "tsv", "ts", "jsonl", "parquet"])
def test_new_sequences_need_no_class(here: Path, capfd, ending: str):
    rows = [([n % 2 + 0.1 * (n % 7), n % 5, n % 3], f"{n % 2}") for n in range(60)]
    columns = {"values": [steps for steps, _ in rows], "label": [label for _, label in rows]}
    pyarrow.parquet.write_table(pyarrow.table(columns), "a.parquet")
    assert main(["train", "task=sequence_classification", "task.file=a.parquet", *QUICK]) == 0
    (run,) = Path("runs/sequence_classification/gru").iterdir()
    assert main(["predict", str(run), "a.parquet", "-o", "out.csv"]) == 0
    expected, said = answers(), capfd.readouterr().out
    between = "\t" if ending == "tsv" else ","
    lines = [between.join(map(str, steps)) for steps, _ in rows]
    if ending == "parquet":
        pyarrow.parquet.write_table(pyarrow.table(columns).select(["values"]), "new.parquet")
    elif ending == "jsonl":
        Path("new.jsonl").write_text("".join(json.dumps({"values": steps}) + "\n" for steps, _ in rows))
    else:
        head = "@classLabel false\n@data" if ending == "ts" else between.join(["t0", "t1", "t2"])
        Path(f"new.{ending}").write_text("\n".join([head, *lines]))
    assert main(["predict", str(run), f"new.{ending}", "-o", "out.csv"]) == 0
    assert answers() == expected and "accuracy" in said and "accuracy" not in capfd.readouterr().out


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_a_class_that_training_refuses_is_refused_of_new_rows(here: Path, capfd, ending: str):
    run = trained()
    labels = {"text": ["a", "b"], "label": [1.0, 2.0]}
    Path("new.jsonl").write_text(
        "".join(json.dumps(dict(zip(labels, row, strict=True))) + "\n" for row in zip(*labels.values(), strict=True))
    )
    pyarrow.parquet.write_table(pyarrow.table(labels), "new.parquet")
    place = "line 1" if ending == "jsonl" else "row 1"
    for words in (
        ["predict", str(run), f"new.{ending}", "-o", "out.csv"],
        ["train", "task=text_classification", f"task.file=new.{ending}"],
    ):
        capfd.readouterr()
        assert main([*words, *(QUICK if words[0] == "train" else [])]) == 2
        assert f"new.{ending}: {place} has 1.0 for 'label'; allowed: whole numbers or text" in capfd.readouterr().err
    assert not Path("out.csv").exists()


def test_pairs_of_texts_are_read_as_one(here: Path, capfd):
    rows = [(f"film {n % 5}", f"film {n % 3}", ["other", "same"][n % 5 == n % 3]) for n in range(90)]
    Path("pairs.csv").write_text("text,second,label\n" + "\n".join(map(",".join, rows)))
    words = ["task=text_classification", "task.file=pairs.csv", "task.pair_column=second", "network.embedding=4", *QUICK]
    assert main(["train", *words]) == 0
    (run,) = Path("runs/text_classification/gru").iterdir()
    trained = load_run(run)
    assert trained.task.vocabulary.decode(trained.task.batch("test", 0, 1, 0).inputs[0].tolist())[2] == "<sep>"
    assert "median 5, longest 5" in capfd.readouterr().out
    assert main(["predict", str(run), "pairs.csv", "-o", "out.csv"]) == 0
    assert [row["input"] for row in answers()] == [f"{first} <sep> {second}" for first, second, _ in rows]
    assert main(["train", *words, "task.pair_column=label"]) == 2
    assert "task.pair_column='label' is one of the other two columns" in capfd.readouterr().err
