"""Language models of a set of one's own: the rows of a column or the lines of files, with the splits that are there."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import datasets
import numpy
import pyarrow
import pyarrow.parquet
import pytest

from rnnbench.cli.main import main
from rnnbench.data.column_files import read_columns
from rnnbench.data.table_files import Reading, read_rows
from rnnbench.data.text import read_vectors, read_vocabulary
from rnnbench.data.user_files import OTHER_ENDS, text_lines
from rnnbench.tasks import load
from rnnbench.tasks.task import SPLITS, Task

QUICK = ["model=gru", "model.hidden_size=4", "network.embedding=4", "train.steps=4", "train.eval_every=2", "train.batch_size=2"]
QUICK += ["tracker=none", "task.window=11"]


def lines(rows: int, seed: int = 0) -> list[str]:
    random = numpy.random.default_rng(seed)
    return [" ".join(random.choice(["the", "film", "was", "dull", ","], random.integers(1, 9))) for _ in range(rows)]


ROWS = {"train": lines(80), "validation": lines(30, 1), "test": lines(31, 2)}


@pytest.fixture(autouse=True)
def here(clean, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.chdir(tmp_path)
    Path("set").mkdir()


def made(name: str, **options: object) -> Task:
    task = load(name, **{"window": 11, **options})
    task.prepare()
    return task


def as_csv() -> dict[str, str]:
    Path("tables").mkdir(exist_ok=True)
    for split, rows in ROWS.items():
        with open(f"tables/{split}.csv", "w", newline="") as file:
            csv.writer(file).writerows([("n", "text"), *enumerate(rows)])
    return {"file": "tables"}


def as_text() -> dict[str, str]:
    for split, rows in ROWS.items():
        Path(f"set/ptb.{split}.txt").write_text("\n".join(rows) + "\n")
    return {"file": "set"}


def as_named_text() -> dict[str, str]:
    as_text()
    return {split: f"set/ptb.{split}.txt" for split in SPLITS}


def as_json() -> dict[str, str]:
    for split, rows in ROWS.items():
        Path(f"set/{split}.jsonl").write_text("\n".join(json.dumps({"body": row}) for row in rows))
    return {"hub": "./set", "text_column": "body"}


def as_saved() -> dict[str, str]:
    splits = {split: datasets.Dataset.from_dict({"text": rows}) for split, rows in ROWS.items()}
    datasets.DatasetDict(splits).save_to_disk("saved")
    return {"hub": "./saved"}


def as_published() -> dict[str, str]:
    Path("mirror/some/films/plain").mkdir(parents=True)
    for split, rows in ROWS.items():
        pyarrow.parquet.write_table(pyarrow.table({"text": rows}), f"mirror/some/films/plain/{split}-00000-of-00001.parquet")
    return {"hub": "some/films", "config": "plain"}


FORMS: list[Callable[[], dict[str, str]]] = [as_csv, as_text, as_named_text, as_json, as_saved, as_published]


@pytest.mark.parametrize("name", ["char_lm", "word_lm"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_one_text(form: Callable, name: str, monkeypatch: pytest.MonkeyPatch):
    Path("mirror").mkdir()
    monkeypatch.setenv("RNNBENCH_DATA", "mirror")
    task = made(name, **form())
    end = "\n" if name == "char_lm" else "<eos>"
    for split, rows in ROWS.items():
        tokens = task.vocabulary.decode(task.dataset.tokens[split].tolist())
        words = [one for row in rows for one in (row if name == "char_lm" else row.split())]
        assert [one for one in tokens if one != end] == words and tokens.count(end) == len(rows)
    assert task.found["rows"] == {"train": 80, "validation": 30, "test": 31}
    assert task.fingerprint == made(name, **as_csv()).fingerprint
    size = len(task.dataset.tokens["train"])
    said = f"141 rows: train 80, validation 30, test 31; {'characters' if name == 'char_lm' else 'words'}: train {size:,} ("
    assert said in task.notes[0]


@pytest.mark.parametrize(
    ("splits", "sizes"),
    [
        (["train"], [72, 4, 4]),  # a twentieth each, from the end
        (["train", "test"], [76, 4, 31]),
        (["train", "validation"], [76, 4, 30]),
        (["train", "validation", "test"], [80, 30, 31]),
    ],
)
def test_a_split_that_is_missing_is_the_end_of_train(splits: list[str], sizes: list[int]):
    as_text()
    task = made("word_lm", window=5, **{split: f"set/ptb.{split}.txt" for split in splits})
    ends = [int((task.dataset.tokens[split] == task.vocabulary.numbers["<eos>"]).sum()) for split in SPLITS]
    assert ends == sizes
    assert ("(from train)" in task.notes[0]) == (len(splits) < 3)
    held = len("".join(row + "\n" for row in ROWS["train"])) // 20
    task = made("char_lm", window=5, **{split: f"set/ptb.{split}.txt" for split in splits})
    found = ["".join(task.vocabulary.decode(task.dataset.tokens[split].tolist())) for split in SPLITS]
    wanted = "".join("".join(row + "\n" for row in ROWS[split]) for split in splits)
    assert sum(map(len, found)) == len(wanted)
    assert len(found[1]) == (held if len(splits) < 3 else len("\n".join(ROWS["validation"])) + 1)
    if splits == ["train"]:
        assert "".join(found) == wanted


def test_rows_of_several_lines_and_empty_ones():
    rows = ["one\ntwo\n", "", "three"] * 40
    Path("a.jsonl").write_text("\n".join(json.dumps({"text": row}) for row in rows))
    task = made("char_lm", file="a.jsonl")
    whole = "".join(symbol for split in SPLITS for symbol in task.vocabulary.decode(task.dataset.tokens[split].tolist()))
    assert whole == "one\ntwo\n\nthree\n" * 40
    task = made("word_lm", file="a.jsonl")
    words = [word for split in SPLITS for word in task.vocabulary.decode(task.dataset.tokens[split].tolist())]
    assert words == ["one", "<eos>", "two", "<eos>", "<eos>", "three", "<eos>"] * 40


@pytest.mark.parametrize("name", ["char_lm", "word_lm"])
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["task.file=tables", "task.text=other.txt"],
            "needs one of task.text=other.txt and task.hub=, task.file= or task.train=",
        ),
        (["task.file=tables", "task.text_column=body"], "no column 'body'; there are: n, text"),
        (["task.file=none"], "none: there is no such file"),
        (["task.test=tables/test.csv"], "task.train=PATH"),
        (["task.file=short.txt"], "short.txt"),
        (["task.file=a.pdf"], "a.pdf: a file of an unknown kind"),
    ],
)
def test_what_cannot_be_read_is_one_line(name: str, words: list[str], said: str, capfd: pytest.CaptureFixture):
    as_csv()
    Path("short.txt").write_text("a\n")
    Path("a.pdf").write_text("a\n")
    assert main(["train", f"task={name}", *words, *QUICK]) == 2
    err = capfd.readouterr().err
    assert said in err and err.count("\n") == 1 and len(err) <= 400, err


@pytest.mark.parametrize("name", ["char_lm", "word_lm"])
def test_a_run_is_the_same_from_every_form_and_can_be_sampled(name: str, capfd: pytest.CaptureFixture):
    for form in (as_csv, as_saved):
        words = [f"task.{key}={value}" for key, value in form().items()]
        assert main(["train", f"task={name}", *words, *QUICK]) == 0
    assert "recorded before" in capfd.readouterr().out
    (run,) = Path(f"runs/{name}/gru").iterdir()
    record = json.loads((run / "record.json").read_text())
    assert record["task"]["about"]["found"]["rows"] == {"train": 80, "validation": 30, "test": 31}
    assert main(["sample", str(run), "--prompt", "the", "--length", "5"]) == 0


def test_a_text_file_is_cut_as_the_option_text_cuts_it():
    Path("a.txt").write_text("".join(f"{row}\n" for row in ROWS["train"]))
    task, other = made("char_lm", text="a.txt"), made("char_lm", file="a.txt")
    for split in SPLITS:
        assert task.dataset.tokens[split].tolist() == other.dataset.tokens[split].tolist()


# Ends of lines


@pytest.mark.parametrize("sign", OTHER_ENDS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("option", ["text", "file", "rows"])
def test_other_signs_end_no_line_of_a_text(option: str, end: str, sign: str):
    """`str.splitlines` also cuts at these; as white space they stand between words."""
    content = f"one{sign}two{end}three{end}" * 100
    file = "a.jsonl" if option == "rows" else "a.txt"
    Path(file).write_text(json.dumps({"text": content}) if option == "rows" else content, encoding="utf-8", newline="")
    task = made("word_lm", **{"file" if option == "rows" else option: file}, **({"held_out": 0.1} if option != "rows" else {}))
    words = [word for split in SPLITS for word in task.vocabulary.decode(task.dataset.tokens[split].tolist())]
    assert words == ["one", "two", "<eos>", "three", "<eos>"] * 100


def test_a_text_whose_lines_were_others_has_another_fingerprint():
    """0.1 cut a line at a form feed: what was trained then is another setting."""
    for name, between in (("a", " "), ("b", "\f"), ("c", "\u2028")):
        Path(f"{name}.txt").write_text(f"one{between}two\n" * 300, encoding="utf-8")
        Path(f"{name}.dict").write_text("".join(f"w{n} A{between}B\n" for n in range(100)), encoding="utf-8")
    for name, option, ending in (("word_lm", "text", "txt"), ("pronunciation", "data", "dict")):
        tasks = [load(name, **{option: f"{one}.{ending}"}) for one in "abc"]
        for task in tasks:
            task.prepare()
        found = [task.sha256 for task in tasks]
        files = [hashlib.sha256(Path(f"{one}.{ending}").read_bytes()).hexdigest() for one in "abc"]
        assert found[0] == files[0] and found[1] != files[1] and found[2] != files[2]


def table(name: str, **options: object) -> list[str]:
    return read_rows(name, ["text"], Reading(**options)).table.column(0).to_pylist()


def tokens(name: str) -> list[str]:
    return read_columns(name, 0, -1)[0][0]


READERS: dict[str, tuple[str, Callable[[str], list[str]]]] = {  # content of the file, and its words
    "a.csv": ("text,n\nWORD,1\nlast,2\n", table),
    "a.tsv": ("text\tn\nWORD\t1\nlast\t2\n", table),
    "b.csv": ("text,n\nWORD,1\nlast,2\n", lambda name: table(name, quote="none")),
    "a.jsonl": ('{"text": "WORD"}\n{"text": "last"}\n', table),
    "a.txt": ("WORD\nlast\n", table),
    "a.conll": ("WORD\tX\nlast\tX\n", tokens),
    "b.conll": ("WORD  X\nlast X\n", tokens),
    "a.vocab": ("WORD\nlast\n", lambda name: list(read_vocabulary(name, ()).symbols)),
    "a.vec": ("WORD 1 2\nlast 1 2\n", lambda name: [word for word in WORDS if read_vectors(name, [word, "last"], 2)[1].all()]),
    "b.txt": ("WORD\nlast\n", lambda name: text_lines(Path(name).read_text(encoding="utf-8"))),
}
WORDS = [f"wo{sign}rd" for sign in OTHER_ENDS]


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("word", WORDS)
def test_other_signs_end_no_line_of_a_file(name: str, word: str):
    content, read = READERS[name]
    Path(name).write_text(content.replace("WORD", json.dumps(word)[1:-1] if name == "a.jsonl" and word[2] < " " else word))
    found = read(name)
    assert found == ([word, "last"] if name != "a.vec" else [word])
