"""What sets of Hugging Face say besides their rows: names of classes, slices of splits, configurations in README.md."""

from __future__ import annotations

import csv
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import datasets
import numpy
import pyarrow
import pyarrow.parquet
import pytest

from rnnbench.cli.main import main
from rnnbench.data import sets
from rnnbench.data.readme_configs import listed_names
from rnnbench.data.sets import Place, load_set
from rnnbench.data.split_names import instructed
from rnnbench.data.table_files import Reading
from rnnbench.data.tables import DataError
from rnnbench.tasks import load
from rnnbench.tasks.task import SPLITS, Task

NAMES = ["neg", "pos", "none"]
ROWS = [(f"film {n} was {['poor', 'fine', 'there'][n % 3]}", n % 3) for n in range(60)]
NUMBERED = pyarrow.table({"text": [text for text, _ in ROWS], "label": [label for _, label in ROWS]})
LABEL = datasets.ClassLabel(names=NAMES)
QUICK = ["model=gru", "model.hidden_size=4", "network.embedding=4", "train.steps=10", "train.eval_every=10", "tracker=none"]


@pytest.fixture(autouse=True)
def here(clean, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.chdir(tmp_path)


def made(name: str, **options: object) -> Task:
    task = load(name, **options)
    task.prepare()
    return task


def named(feature: object = LABEL, table: pyarrow.Table = NUMBERED, column: str = "label") -> datasets.Dataset:
    found = datasets.Dataset(table)
    return found.cast(datasets.Features({**found.features, column: feature}))


# Names of classes


def saved(rows: datasets.Dataset) -> dict[str, str]:
    rows.save_to_disk("saved")
    return {"file": "saved"}


def as_parquet(rows: datasets.Dataset) -> dict[str, str]:
    rows.to_parquet("a.parquet")
    return {"file": "a.parquet"}


def mirrored(rows: datasets.Dataset) -> dict[str, str]:
    Path("mirror/own/films/data").mkdir(parents=True)
    rows.to_parquet("mirror/own/films/data/train-00000-of-00001.parquet")
    return {"hub": "own/films"}


@pytest.mark.parametrize("form", [saved, as_parquet, mirrored])
def test_numbered_classes_have_their_names(form: Callable, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RNNBENCH_DATA", "mirror")
    Path("mirror").mkdir()
    task = made("text_classification", **form(named()))
    assert task.classes == NAMES and task.found["classes"] == dict.fromkeys(NAMES, 20)
    assert "3 classes: neg 20, pos 20, none 20" in task.notes[0]
    pyarrow.parquet.write_table(NUMBERED, "plain.parquet")  # the numbers alone: the same data, and the same run
    plain = made("text_classification", file="plain.parquet")
    assert plain.classes == ["0", "1", "2"] and plain.fingerprint == task.fingerprint
    for split in SPLITS:
        one, other = (each.batch(split, 0, 3, 0) for each in (task, plain))
        assert one.inputs.equal(other.inputs) and one.targets.equal(other.targets)


LISTS = [[label for label in range(3) if n % 7 & 2**label] for n in range(60)]


def test_labels_tags_and_sequences_have_their_names():
    several = pyarrow.table({"text": NUMBERED["text"], "label": LISTS})
    as_parquet(named(datasets.List(LABEL), several))
    task = made("text_labels", file="a.parquet")
    assert task.classes == NAMES and task.batch("test", 0, 1, 0).targets.shape[2] == 3
    tags = pyarrow.table(
        {"tokens": [[f"w{n}", "b", "c"] for n in range(60)], "tags": [[n % 3, (n + 1) % 3, 2] for n in range(60)]}
    )
    feature = datasets.List(datasets.ClassLabel(names=["O", "B-thing", "I-thing"]))
    as_parquet(named(feature, tags, "tags"))
    pyarrow.parquet.write_table(tags, "plain.parquet")
    task, plain = (made("tagging", data="own", file=file) for file in ("a.parquet", "plain.parquet"))
    assert task.tags == ["O", "B-thing", "I-thing"] and plain.tags == ["0", "1", "2"]
    assert task.fingerprint == plain.fingerprint and task.entities and not plain.entities
    waves = pyarrow.table({"values": [[float(n % 3), 1.0, n / 60] for n in range(60)], "label": NUMBERED["label"]})
    as_parquet(named(LABEL, waves))
    assert made("sequence_classification", file="a.parquet").classes == NAMES


INFO = """---
dataset_info:
  features:
  - name: text
    dtype: string
  - name: label
    dtype:
      class_label:
        names:
          '0': neg
          '1': pos
          '2': none
  splits:
  - name: train
    num_bytes: 1
    num_examples: 60
---
# Films
"""
SEVERAL = """---
configs:
- config_name: small
  data_files: other.csv
- config_name: films
  default: true
  data_files:
  - split: train
    path: train.*
dataset_info:
- config_name: small
  features:
  - name: label
    dtype:
      class_label:
        names:
          '0': wrong
- config_name: films
  features:
  - name: text
    dtype: string
  - name: label
    dtype:
      class_label:
        names:
          '0': neg
          '1': pos
          '2': none
---
"""


def csv_rows() -> str:
    return "text,label\n" + "".join(f"{text},{label}\n" for text, label in ROWS)


@pytest.mark.parametrize("readme", [INFO, SEVERAL])
@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("option", ["hub", "file", "config", "test"])
def test_names_of_classes_are_those_of_a_readme(readme: str, kind: str, option: str):
    Path("set").mkdir()
    Path("set/README.md").write_text(readme)
    Path("set/other.csv").write_text(csv_rows())
    if kind == "parquet":
        pyarrow.parquet.write_table(NUMBERED, "set/train.parquet")
    else:
        lines = "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in ROWS)
        Path(f"set/train.{kind}").write_text(csv_rows() if kind == "csv" else lines)
    options = {
        "config": {"hub": "./set", "config": "films" if readme == SEVERAL else None},
        "test": {"file": "set", "test": f"set/train.{kind}"},
    }
    task = made("text_classification", **options.get(option, {option: "./set"}))
    assert task.classes == NAMES and "neg 20, pos 20, none 20" in task.notes[0].replace("40", "20")


def test_names_of_labels_tags_and_sequences_are_those_of_a_readme(monkeypatch: pytest.MonkeyPatch):
    listed = INFO.replace("dtype:\n      class_label", "sequence:\n      class_label")
    Path("many").mkdir()
    Path("many/README.md").write_text(listed)
    Path("many/train.jsonl").write_text("".join(json.dumps({"text": t, "label": [n]}) + "\n" for t, n in ROWS))
    assert made("text_labels", file="many").classes == NAMES
    Path("tags").mkdir()
    Path("tags/README.md").write_text(listed.replace("label", "tags", 1))
    rows = ({"tokens": t.split(), "tags": [n] * len(t.split())} for t, n in ROWS)
    Path("tags/train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert made("tagging", data="own", file="tags").tags == NAMES
    Path("waves").mkdir()
    Path("waves/README.md").write_text(INFO)
    Path("waves/train.csv").write_text("label,0,1\n" + "".join(f"{n % 3},{n},1\n" for n in range(60)))
    assert made("sequence_classification", file="waves").classes == NAMES
    folder = Path("mirror/own/films")
    (folder / "data").mkdir(parents=True)
    (folder / "README.md").write_text(INFO)
    pyarrow.parquet.write_table(NUMBERED, folder / "data/train-00000-of-00001.parquet")
    monkeypatch.setenv("RNNBENCH_DATA", "mirror")
    assert made("text_classification", hub="own/films").classes == NAMES


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("class_label:", "class_labels:"), "README.md: its dataset_info cannot be read: "),
        (("features:", "features: ["), "README.md: its dataset_info cannot be read: "),
        (("'1': pos", "'3': pos"), "README.md: its dataset_info cannot be read: "),
        (("'1': pos", "'1': neg"), "README.md: its dataset_info cannot be read: "),
    ],
)
def test_names_that_cannot_be_read_are_refused(change: tuple[str, str], said: str):
    Path("set").mkdir()
    Path("set/README.md").write_text(INFO.replace(*change))
    Path("set/train.csv").write_text(csv_rows())
    found = load_set(Place(file="set"), ["text", "label"])  # what needs no names is read
    with pytest.raises(DataError, match=said) as error:
        found.names("label")
    assert "\n" not in str(error.value) and len(str(error.value)) < 400


def test_files_that_name_the_classes_otherwise_than_the_readme_are_refused():
    Path("set").mkdir()
    Path("set/README.md").write_text(INFO)
    named(datasets.ClassLabel(names=NAMES[::-1])).to_parquet("set/train.parquet")
    found = load_set(Place(file="set"), ["text", "label"])
    with pytest.raises(DataError, match=r"set/train\.parquet: the classes of 'label' are"):
        found.names("label")


def test_a_readme_is_read_once_and_where_classes_are_needed_only(monkeypatch: pytest.MonkeyPatch):
    read = []
    monkeypatch.setattr(sets, "listed_names", lambda folder, config: read.append(folder) or listed_names(folder, config))
    for place, readme in (("good", INFO), ("broken", INFO.replace("'1': pos", "'3': pos"))):
        Path(place).mkdir()
        Path(place, "README.md").write_text(readme)
        for split in ("train", "validation", "test"):
            Path(place, f"{split}.csv").write_text("text,label,value\n" + "".join(f"{t} {split},{n},{n}.5\n" for t, n in ROWS))
    for name, options in (("text_regression", {}), ("forecasting", {"columns": "value", "window": 8})):
        assert made(name, file="broken", **options).found["rows"]["test"] == len(ROWS)
    assert not read
    assert made("text_classification", file="good").classes == NAMES and len(read) == 1
    sent = pickle.loads(pickle.dumps(load_set(Place(file="good"), ["text", "label"])))  # noqa: S301 - as to a process that makes batches
    assert sent.names("label") == NAMES
    with pytest.raises(DataError, match=r"broken/README\.md: its dataset_info cannot be read"):
        made("text_classification", file="broken")


def test_answers_have_the_names_and_are_held_against_numbers(capfd: pytest.CaptureFixture):
    words = ["task=text_classification", "task.file=a.parquet", *QUICK, "train.learning_rate=0.02"]
    as_parquet(named())
    assert main(["train", *words]) == 0
    (run,) = Path("runs/text_classification/gru").iterdir()
    Path("named.csv").write_text("text,label\n" + "".join(f"{text},{NAMES[label]}\n" for text, label in ROWS))
    Path("numbers.csv").write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in ROWS))
    said = []
    for file in ("a.parquet", "named.csv", "numbers.csv"):
        capfd.readouterr()
        assert main(["predict", str(run), file, "-o", "out.csv"]) == 0
        said.append(capfd.readouterr().out.split("; accuracy ")[1])
        rows = list(csv.DictReader(Path("out.csv").read_text().splitlines()))
        right = sum(row["answer"] == NAMES[label] for row, (_, label) in zip(rows, ROWS, strict=True))
        assert said[-1] == f"{right / 60:.4g} over 60 rows with a class\n"
    assert list(rows[0])[3:] == [f"p({name})" for name in NAMES] and len(set(said)) == 1


def test_splits_with_other_names_are_refused():
    Path("set").mkdir()
    named().to_parquet("set/train.parquet")
    named(datasets.ClassLabel(names=["pos", "neg", "none"])).to_parquet("set/test.parquet")
    with pytest.raises(DataError, match=r"test\.parquet: the classes of 'label' are \['pos', 'neg', 'none'\], where another"):
        made("text_classification", file="set")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"{}",
        b'{"info": {"features": 3}}',
        b"{" * 9,
        b'{"info": {"features": []}}',
        b'{"info": {"features": {"label": "x"}}}',
    ],
)
def test_what_is_no_list_of_names_is_left(content: bytes):
    pyarrow.parquet.write_table(NUMBERED.replace_schema_metadata({b"huggingface": content}), "a.parquet")
    assert made("text_classification", file="a.parquet").classes == ["0", "1", "2"]


# Slices of splits

SLICES = [
    "train[:80%]",
    "train[80%:]",
    "train[10:]",
    "train[-7:]",
    "train[:-7]",
    "train[25%:75%]",
    "train[33%:36%]",
    "train[:999]",
    "train[:10%]+train[-10%:]",
    "train[:5]+dev",
    "dev[1:3]",
    "train+dev",
]


def two_splits() -> datasets.DatasetDict:
    Path("set").mkdir()
    both = datasets.DatasetDict({"train": named(), "dev": named().select(range(11))})
    for split, rows in both.items():
        rows.to_parquet(f"set/{split}.parquet")
    both.save_to_disk("saved")
    return both


@pytest.mark.parametrize("file", ["set", "saved"])
@pytest.mark.parametrize("instruction", SLICES)
def test_rows_are_picked_as_the_library_picks_them(instruction: str, file: str):
    two_splits()
    instruction = instruction.replace("dev", "validation") if file == "set" else instruction  # as its file is for
    files = {"train": "set/train.parquet", "validation": "set/dev.parquet"}
    theirs = datasets.load_dataset("parquet", data_files=files, split=instruction.replace("dev", "validation"))
    found = load_set(Place(file=file, named={"train": "train", "test": instruction}), ["text", "label"])
    assert found.tables["test"].to_pydict() == theirs.to_dict()
    last = len(theirs) - 1
    number = [text for text, _ in ROWS].index(theirs["text"][last])
    assert found.where("test", last).endswith(f"row {number + 1}")


@pytest.mark.parametrize(
    "value", ["train", "a.csv", "part[0-9].csv", "x/train[:5]", "train[5]", "train[a:]", "+", "train[:5]+", "a-b[:5]"]
)
def test_what_is_no_instruction(value: str):
    assert not instructed(value)


def test_rows_that_were_dropped_count_in_a_slice():
    Path("a.csv").write_text("text,label\n" + "".join(f"{'' if n % 4 == 1 else f'text {n}'},{n % 2}\n" for n in range(40)))
    place = Place(file="a.csv", named={"train": "train[:50%]", "test": "train[50%:]"}, reading=Reading(drop_empty=True))
    found = load_set(place, ["text", "label"])
    assert found.tables["train"]["text"].to_pylist() == [f"text {n}" for n in range(20) if n % 4 != 1]
    assert found.tables["test"]["text"].to_pylist() == [f"text {n}" for n in range(20, 40) if n % 4 != 1]
    assert found.dropped == 10 and found.where("test", 1) == "a.csv: line 24"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["task.train=train[:9]", "task.test=train[:120%]"], "train[:120%]: "),
        (["task.test=trian[:5]"], "task.test=trian[:5]: no split 'trian'; did you mean 'train'? there are: "),
        (["task.train=train[60:]"], "train[60:] takes no rows; there are: 60 rows of train"),
        (["task.train=train[:10]+validation[9:]", "task.test=train[30:20]"], "train[30:20] takes no rows"),
        (
            ["task.validation=train[:5]"],
            "task.validation takes its split 'train'; name what is left to train on: task.train=\"train[:80%]\"",
        ),
        (["task.train=train[:50%](pct1_dropremainder)"], "pct1_dropremainder"),
    ],
)
def test_a_slice_that_cannot_be(words: list[str], said: str, capfd: pytest.CaptureFixture):
    two_splits()
    capfd.readouterr()
    quoted = [f"{word.partition('=')[0]}='{word.partition('=')[2]}'" for word in words]
    assert main(["train", "task=text_classification", "task.file=set", *quoted, *QUICK]) == 2
    err = capfd.readouterr().err
    assert said in err and err.count("\n") == 1 and len(err) <= 400, err


def test_a_slice_without_a_set_is_told(capfd: pytest.CaptureFixture):
    assert main(["train", "task=text_classification", "task.train=train[:80%]", *QUICK]) == 2
    assert "rows of no split; task.file= or task.hub= names the data" in capfd.readouterr().err


def test_slices_of_a_file_are_one_set_by_their_rows(capfd: pytest.CaptureFixture):
    lines = [f"{text},{label}\n" for text, label in ROWS]
    for name, part in (("a", lines), ("b", lines[:48]), ("c", lines[48:54]), ("d", lines[54:])):
        Path(f"{name}.csv").write_text("text,label\n" + "".join(part))
    whole = ["task.file=a.csv", "task.train=train[:80%]", "task.validation=train[80%:90%]", "task.test=train[90%:]"]
    for words in (whole, ["task.train=b.csv", "task.validation=c.csv", "task.test=d.csv"]):
        assert main(["train", "task=text_classification", *words, *QUICK]) == 0
    assert len(list(Path("runs/text_classification/gru").iterdir())) == 1
    assert "60 rows: train 48 (a.csv: train[:80%]), validation 6 (a.csv: train[80%:90%]), test 6 (" in capfd.readouterr().out


TABLES = {
    "text_classification": ("a.csv", "text,label\n" + "".join(f"{text},{label}\n" for text, label in ROWS)),
    "text_labels": ("a.csv", "text,label\n" + "".join(f"{text},{label}\n" for text, label in ROWS)),
    "text_regression": ("a.csv", "text,score\n" + "".join(f"{text},{label}.5\n" for text, label in ROWS)),
    "tagging": ("a.conll", "".join(f"{text} X\nend O\n\n" for text in range(60))),
    "sequence_classification": ("a.csv", "label,0,1\n" + "".join(f"{n % 3},{n},{n % 2}\n" for n in range(60))),
    "translation": ("a.jsonl", "".join(json.dumps({"de": text, "en": text}) + "\n" for text, _ in ROWS)),
}


@pytest.mark.parametrize("name", TABLES)
def test_slices_that_overlap_are_said_and_recorded(name: str):
    file, content = TABLES[name]
    Path(file).write_text(content)
    named = {"train": "train[:80%]", "validation": "train[60%:]", "test": "train[70%:]"}
    options = {"tagging": {"data": "own"}, "text_regression": {"value_column": "score"}}.get(name, {})
    task = made(name, file=file, **named, **options)
    assert task.about()["found"]["shared"] == {"train and validation": 12, "train and test": 6, "validation and test": 18}
    said = [note.removeprefix(f"{file}: ") for note in task.notes]
    assert said[1:4] == [
        "train and validation have 12 rows in common: what selects was trained on",
        "train and test have 6 rows in common: what is reported was trained on",
        "validation and test have 18 rows in common: what is reported was selected on",
    ]


@pytest.mark.parametrize("name", ["text_classification", "text_labels", "text_regression", "sequence_classification"])
def test_test_rows_in_the_validation_that_is_taken_from_train_are_counted(name: str):
    file, content = TABLES[name]
    Path(file).write_text(content)
    options = {"text_regression": {"value_column": "score"}}.get(name, {})
    task = made(name, file=file, train="train[:80%]", test="train[:80%]", **options)
    seen, rows = task.about()["found"]["seen"], task.about()["found"]["rows"]
    assert rows == {"train": 48 - rows["validation"], "validation": rows["validation"], "test": 48}
    assert seen == {"validation": 0, "test": rows["train"], "test_in_validation": rows["validation"]}
    assert f"; {rows['train']} test rows also in train, {rows['validation']} in validation; " in task.notes[0]
    assert task.notes[1] == f"{file}: train and test are the same 48 rows: what is reported was trained or selected on"


@pytest.mark.parametrize("name", ["char_lm", "word_lm"])
def test_slices_of_a_text_may_not_overlap_the_test(name: str):
    Path("a.txt").write_text("".join(f"{text}\n" for text, _ in ROWS))
    named = {"train": "train[:80%]", "validation": "train[60%:]", "test": "train[70%:]"}
    with pytest.raises(DataError, match=r"a\.txt: train and test have 6 rows in common"):
        made(name, file="a.txt", window=5, **named)


def test_slices_of_tokens_and_of_sequences():
    Path("a.conll").write_text("".join(f"word{n} X\nend O\n\n" for n in range(50)))
    task = made("tagging", data="own", file="a.conll", train="train[:40]", test="train[40:]")
    words = {task.vocabulary.decode(row)[0] for row in task.dataset.tokens["train"].padded(numpy.arange(38), 0)[0].tolist()}
    with pytest.raises(DataError, match=r"train\[60:\] takes no rows; there are: 50 rows of train"):
        made("tagging", data="own", file="a.conll", train="train[:40]", test="train[60:]")
    assert len(task.dataset.tokens["test"]) == 10 and "word39" in words | {"<unk>"} and "word40" not in words
    Path("a.csv").write_text("label,0,1\n" + "".join(f"{'ab'[n % 2]},{n},{n % 2}\n" for n in range(50)))
    task = made("sequence_classification", file="a.csv", train="train[:40]", test="train[40:]", scale="none")
    assert sorted(row[0, 0] for row in numpy.split(task.dataset.steps["test"].values, 10)) == list(range(40, 50))


# Configurations in README.md

LISTED = """---
license: mit
configs:
- config_name: all
  default: true
  data_files:
  - split: train
    path: "old/*.csv"
  - split: test
    path: new.csv
- config_name: small
  data_files:
  - split: train
    path: ["old/1.csv"]
  sep: ";"
- config_name: odd
  data_files: new.csv
  skiprows: 2
---
# Films
"""


def listed() -> None:
    Path("set/old").mkdir(parents=True)
    Path("set/README.md").write_text(LISTED)
    for name, rows in (("old/1", ROWS[:20]), ("old/2", ROWS[20:40]), ("new", ROWS[40:]), ("test", ROWS[:1])):
        Path(f"set/{name}.csv").write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))


def test_the_files_that_a_readme_lists():
    listed()
    found = load_set(Place(file="set"), ["text", "label"])
    theirs = datasets.load_dataset("set")
    assert {split: table["text"].to_pylist() for split, table in found.tables.items()} == {
        split: list(rows["text"]) for split, rows in theirs.items()
    }
    assert found.facts()["files"] == {"train": ["1.csv", "2.csv"], "test": ["new.csv"]} and list(found.unread) == ["test.csv"]
    Path("set/old/1.csv").write_text("text;label\na;b\n")
    assert load_set(Place(hub="./set", config="small"), ["text", "label"]).tables["train"].to_pylist() == [
        {"text": "a", "label": "b"}
    ]


@pytest.mark.parametrize(
    ("change", "config", "said"),
    [
        ((), "other", "README.md: its configs cannot be read: .*'other'"),
        ((), "odd", "README.md: its configs set skiprows, which is not read; task.train="),
        (("new.csv", "gone.csv"), "all", "README.md: its configs cannot be read: Unable to find"),
        (("default: true", "default: false"), None, "README.md: its configs cannot be read: Config name is missing"),
        (("configs:", "configs: 3"), None, "README.md: its configs cannot be read"),
    ],
)
def test_configurations_that_cannot_be_read(change: tuple[str, ...], config: str | None, said: str):
    listed()
    if change:
        Path("set/README.md").write_text(LISTED.replace(*change))
    with pytest.raises(DataError, match=said) as error:
        load_set(Place(hub="./set", config=config), ["text", "label"])
    assert len(str(error.value)) < 400 and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text", ["", "# Films\n", "---\nlicense: mit\n---\nconfigs:\n---\n", "---\nno_configs: 1\n---\n", "configs:\n- a\n"]
)
def test_a_readme_without_configurations_changes_nothing(text: str):
    listed()
    Path("set/README.md").write_text(f"{text}caf\xe9", encoding="latin-1")
    Path("set/train.jsonl").write_text(json.dumps({"text": "a", "label": "b"}) + "\n")
    found = load_set(Place(file="set"), ["text", "label"])
    assert found.facts()["files"] == {"train": ["train.jsonl"], "test": ["test.csv"]}


def test_a_saved_set_whose_splits_number_the_classes_otherwise_is_refused():
    """Its splits have one folder, so that a folder does not tell them apart."""
    import datasets

    def split(names: list[str]) -> datasets.Dataset:
        features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=names)})
        return datasets.Dataset.from_dict({"text": [f"text {n}" for n in range(12)], "label": [0, 1] * 6}, features=features)

    datasets.DatasetDict({"train": split(["neg", "pos"]), "test": split(["pos", "neg"])}).save_to_disk("swapped")
    found = load_set(Place(hub="./swapped"), ["text", "label"])
    with pytest.raises(DataError, match="the classes of 'label' are"):
        found.names("label")
