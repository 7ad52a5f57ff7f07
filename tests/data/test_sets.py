"""Sets of data in every form: which splits are found by the names of files, as the library has them, and what is read."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import datasets
import pyarrow
import pyarrow.parquet
import pytest
from datasets.data_files import FILES_TO_IGNORE, get_data_patterns, resolve_pattern

from rnnbench.data import hub
from rnnbench.data.sets import LIBRARY, Place, load_set
from rnnbench.data.split_names import chosen_splits, sorted_files
from rnnbench.data.table_files import Reading
from rnnbench.data.tables import DataError
from rnnbench.data.user_files import PACKED
from rnnbench.tasks import load

COLUMNS = ["text", "label"]
ROWS = [(f"text {number}", f"label {number % 2}") for number in range(6)]
TABLE = pyarrow.table({"text": [text for text, _ in ROWS], "label": [label for _, label in ROWS]})

LAYOUTS = [
    ["train.csv", "dev.csv", "test.csv"],
    ["train.csv", "val.csv", "eval.csv"],
    ["training.csv", "valid.csv", "testing.csv"],
    ["my_train.csv", "my-validation.csv", "my test 1.csv", "other.csv"],
    ["train.csv", "Test.csv", "latest.csv", "strained.csv"],
    ["a.csv"],
    ["a.csv", "b.csv"],
    ["Train.csv", "Dev.csv"],
    ["train/0000.parquet", "validation/0000.parquet", "test/0000.parquet"],
    ["x/train-1/a.csv", "x/dev/a.csv", "b.csv"],
    ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet", "data/dev-00000-of-00001.parquet", "a.csv"],
    ["data/unsupervised-00000-of-00001.parquet", "data/train-00000-of-00001.parquet"],
    ["train-1.csv", "train-2.csv", "test.csv"],
    ["train_test.csv", "dev.csv"],
]


@pytest.mark.parametrize("names", LAYOUTS)
def test_splits_are_found_as_the_library_finds_them(tmp_path: Path, names: list[str]):
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")

    def resolved(pattern: str) -> list[str]:
        try:
            return [os.path.relpath(path, tmp_path) for path in resolve_pattern(pattern, str(tmp_path))]
        except FileNotFoundError:
            return []

    patterns = get_data_patterns(str(tmp_path))
    theirs = {str(split): {path for pattern in several for path in resolved(pattern)} for split, several in patterns.items()}
    ours = sorted_files(sorted(names))
    assert {split: set(paths) for split, paths in ours.splits.items()} == theirs
    assert set(ours.unread) == set(names) - {path for paths in theirs.values() for path in paths}


def test_a_split_of_each_name():
    assert chosen_splits(["dev", "train", "unsupervised", "eval"]) == {"train": "train", "validation": "dev", "test": "eval"}
    assert chosen_splits(["dev", "validation", "training"]) == {"train": "training", "validation": "validation"}


def csv_text(rows: list[tuple[str, str]] = ROWS, between: str = ",", head: bool = True) -> str:
    lines = [*(["text" + between + "label"] if head else []), *(between.join(row) for row in rows)]
    return "\n".join(lines) + "\n"


def saved_dict(folder: Path) -> dict[str, str]:
    half = datasets.Dataset(TABLE).select(range(2, 6))  # of which rows are picked by indices
    datasets.DatasetDict({"train": half, "dev": datasets.Dataset(TABLE)}).save_to_disk(str(folder / "saved"))
    return {"hub": str(folder / "saved")}


def saved(folder: Path) -> dict[str, str]:
    datasets.Dataset(TABLE).save_to_disk(str(folder / "saved"))
    return {"file": str(folder / "saved")}


def by_folder(folder: Path) -> dict[str, str]:
    for split in ("train", "test"):
        (folder / split).mkdir()
        pyarrow.parquet.write_table(TABLE, folder / split / "0000.parquet")
    return {"hub": str(folder)}


def by_name(folder: Path) -> dict[str, str]:
    pyarrow.parquet.write_table(TABLE, folder / "train.parquet")
    (folder / "dev.jsonl").write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in ROWS))
    (folder / "README.md").write_text("about")
    return {"file": str(folder)}


def pattern(folder: Path) -> dict[str, str]:
    for number in (1, 2):
        (folder / f"part{number}.csv").write_text(csv_text(ROWS[3 * number - 3 : 3 * number]))
    return {"file": f"{folder}/part*.csv"}


def named(folder: Path) -> dict[str, object]:
    (folder / "a.csv").write_text(csv_text())
    (folder / "b.tsv").write_text(csv_text(between="\t"))
    return {"named": {"train": f"{folder}/a.csv", "test": f"{folder}/b.tsv"}}


def beside(folder: Path) -> dict[str, object]:
    for name in ("train", "dev", "test"):
        (folder / f"{name}.csv").write_text(csv_text())
    return {"file": str(folder), "named": {"test": "validation"}}


FORMS: dict[str, tuple[Callable[[Path], dict], dict[str, int], list[str]]] = {
    "save_to_disk of splits": (saved_dict, {"train": 4, "validation": 6}, []),
    "save_to_disk": (saved, {"train": 6}, []),
    "a folder a split": (by_folder, {"train": 6, "test": 6}, []),
    "a file a split": (by_name, {"train": 6, "validation": 6}, []),
    "a pattern": (pattern, {"train": 6}, []),
    "files by name": (named, {"train": 6, "test": 6}, []),
    "validation is the test": (beside, {"train": 6, "test": 6}, ["test"]),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_its_rows(tmp_path: Path, form: str):
    make, rows, unread = FORMS[form]
    found = load_set(Place(**make(tmp_path)), COLUMNS)
    assert {split: len(table) for split, table in found.tables.items()} == rows and found.unread == unread
    for split, table in found.tables.items():
        assert [tuple(row.values()) for row in table.to_pylist()] == ROWS[6 - rows[split] :]
        assert found.where(split, 1).startswith(str(tmp_path)) and len(found.facts()["files"][split]) >= 1


@pytest.mark.parametrize("ending", PACKED)
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_packed_files_are_unpacked(tmp_path: Path, ending: str, kind: str):
    text = csv_text() if kind == "csv" else "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in ROWS)
    pack = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}[ending]
    path = tmp_path / f"a.{kind}{ending}"
    path.write_bytes(pack(text.encode()))
    assert load_set(Place(file=str(path)), COLUMNS).tables["train"].equals(TABLE)
    path.write_bytes(pack(text.encode())[:-20])
    assert refusal(file=str(path)).startswith(f"{path} cannot be unpacked: ")


def test_a_packed_file_may_not_be_far_larger_than_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("rnnbench.data.user_files.LEAST_BOUND", 1000)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(csv_text([("a" * 99, "b")] * 99999).encode()))
    assert "holds more than" in refusal(file=f"{tmp_path}/a.csv.gz")


READ: dict[str, tuple[dict, bytes, list[str]]] = {
    "separator by word": ({"separator": "semicolon"}, csv_text(between=";").encode(), COLUMNS),
    "separator by sign": ({"separator": "~"}, csv_text(between="~").encode(), COLUMNS),
    "bar": ({"separator": "bar"}, csv_text(between="|").encode(), COLUMNS),
    "no head": ({"header": False}, csv_text(head=False).encode(), ["0", "1"]),
    "latin-1": ({"encoding": "latin-1"}, csv_text().encode("latin-1"), COLUMNS),
    "UTF-16": ({"encoding": "utf-16"}, csv_text().encode("utf-16"), COLUMNS),
    "single quotes": ({"quote": "single"}, csv_text([(f"'{text}'", label) for text, label in ROWS]).encode(), COLUMNS),
    "empty rows dropped": ({"drop_empty": True}, csv_text([*ROWS[:3], ("", "x"), ("a", " "), *ROWS[3:]]).encode(), COLUMNS),
}


@pytest.mark.parametrize("case", READ)
def test_options_of_reading(tmp_path: Path, case: str):
    options, content, columns = READ[case]
    (tmp_path / "a.csv").write_bytes(content)
    found = load_set(Place(file=f"{tmp_path}/a.csv", reading=Reading(**options)), columns)
    assert [tuple(row.values()) for row in found.tables["train"].to_pylist()] == ROWS
    assert found.dropped == (2 if case == "empty rows dropped" else 0)
    assert found.where("train", 3) == f"{tmp_path}/a.csv: line {4 if case == 'no head' else 7 if found.dropped else 5}"


def test_quotes_are_signs_where_none_are_asked_for(tmp_path: Path):
    (tmp_path / "a.csv").write_text('text,label\n"not good,neg\n')
    rows = load_set(Place(file=f"{tmp_path}/a.csv", reading=Reading(quote="none")), COLUMNS).tables["train"].to_pylist()
    assert rows == [{"text": '"not good', "label": "neg"}]


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "saved"])
def test_rows_without_a_value_are_dropped_where_asked(tmp_path: Path, kind: str):
    columns = {"text": ["a", None, "b", " ", "c"], "label": ["x", "y", None, "z", "w"]}
    path = tmp_path / f"a.{kind}"
    if kind == "parquet":
        pyarrow.parquet.write_table(pyarrow.table(columns), path)
    elif kind == "jsonl":
        rows = zip(*columns.values(), strict=True)
        path.write_text("".join(json.dumps(dict(zip(columns, row, strict=True))) + "\n" for row in rows))
    else:
        datasets.Dataset(pyarrow.table(columns)).save_to_disk(str(path))
    found = load_set(Place(file=str(path), reading=Reading(drop_empty=True)), COLUMNS)
    assert found.tables["train"].to_pylist() == [{"text": "a", "label": "x"}, {"text": "c", "label": "w"}]
    assert found.dropped == 3 and any(sign in found.where("train", 1) for sign in ("row 5", "line 5"))
    assert "'text'" in refusal(file=str(path)) or "'label'" in refusal(file=str(path))


def refusal(columns: list[str] = COLUMNS, **place: object) -> str:
    with pytest.raises(DataError) as error:
        load_set(Place(**place), columns)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_cannot_be_is_refused_in_one_line(tmp_path: Path):
    for name in ("train.csv", "train.tsv", "other.txt"):
        (tmp_path / name).write_text(csv_text())
    two = refusal(file=str(tmp_path))
    assert "has two files for train: train.csv, train.tsv, of two kinds" in two and "task.train=" in two
    (tmp_path / "train.tsv").write_text(csv_text(between="\t"))
    named_by = Place(file=str(tmp_path / "train.csv"), named={"test": str(tmp_path / "train.tsv")})
    assert list(load_set(named_by, ["text"]).tables) == ["train", "test"]
    (tmp_path / "train.tsv").unlink()
    assert load_set(Place(file=str(tmp_path)), COLUMNS).unread == ["other.txt"]
    assert "no file fits" in refusal(file=f"{tmp_path}/none*.csv")
    assert "there is no such file" in refusal(file=str(tmp_path), named={"test": "none.csv"})
    assert "no split 'train'; there are: dev" in refusal(hub=str(only_dev(tmp_path)))
    for name, value, said in (
        ("encoding", "none", "task.encoding=none: no such encoding"),
        ("encoding", "base64", "task.encoding=base64: no such encoding"),
        ("separator", "::", "task.separator='::' is not allowed; allowed: auto, comma"),
        ("separator", '"', "is not allowed"),
    ):
        with pytest.raises(DataError, match=said.replace("(", r"\(")):
            Reading(**{name: value})


@pytest.mark.parametrize("name", ["forecasting", "text_classification", "text_labels", "text_regression", "translation"])
@pytest.mark.parametrize("option", ["file", "train"])
@pytest.mark.parametrize("ending", ["txt", "ts", "conll", "txt.gz", "dat"])
def test_a_file_of_another_kind_is_refused_before_it_is_read(tmp_path: Path, name: str, option: str, ending: str):
    path = tmp_path / f"a.{ending}"
    path.write_text("value\n1\n")
    with pytest.raises(DataError, match=r"a file of an unknown kind; allowed: \.csv, \.tsv, \.json, \.jsonl, \.parquet, and"):
        load(name, **{option: str(path)})


def only_dev(folder: Path) -> Path:
    made = folder / "only"
    datasets.DatasetDict({"dev": datasets.Dataset(TABLE)}).save_to_disk(str(made))
    return made


def kept_by_datasets(cache: Path, revision: str, table: pyarrow.Table, seconds: int) -> None:
    """What `load_dataset` leaves of a revision; `seconds` say when that was."""
    folder = cache / "org___reviews/default/0.0.0" / revision
    folder.mkdir(parents=True)
    datasets.Dataset(table).save_to_disk(str(cache / "saved"))
    (arrow,) = (cache / "saved").glob("*.arrow")
    arrow.rename(folder / "reviews-train.arrow")
    split = {"name": "train", "num_bytes": 1, "num_examples": len(table), "dataset_name": "reviews"}
    info = {"features": datasets.Dataset(table).features.to_dict(), "splits": {"train": split}, "version": "0.0.0"}
    info |= {"builder_name": "parquet", "dataset_name": "reviews", "config_name": "default"}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    os.utime(folder, (seconds, seconds))


def kept_by_the_hub(cache: Path, revision: str, table: pyarrow.Table | None, branch: str) -> None:
    """What `hf download` leaves of a revision, or, without a table, of its README.md alone."""
    place = cache / "datasets--org--reviews"
    (place / "snapshots" / revision / "data").mkdir(parents=True)
    (place / "refs").mkdir(exist_ok=True)
    (place / "refs" / branch).write_text(revision)
    (place / "snapshots" / revision / "README.md").write_text("# Reviews\n")
    if table is not None:
        pyarrow.parquet.write_table(table, place / "snapshots" / revision / "data/train-00000-of-00001.parquet")


KEPT = {  # (revisions that datasets kept, the newest last; of the hub; asked for; read; whether it is said)
    "the newest": (["a", "b"], {}, None, "b", True),
    "the newest by its time": (["b", "a"], {}, None, "a", True),
    "the default one": (["a", "b"], {"main": ("a", False)}, None, "a", False),
    "one that only the hub's client has": (["a", "b"], {"main": ("c", True)}, None, "c", False),
    "one whose data are not there": (["a", "b"], {"main": ("c", False)}, None, "b", True),
    "a named one": (["a", "b"], {}, "a", "a", False),
    "a named branch": (["a", "b"], {"v1": ("a", False)}, "v1", "a", False),
    "a named branch of the hub's client": (["b"], {"v1": ("a", True)}, "v1", "a", False),
    "a named one that is not there": (["a", "b"], {}, "v1", None, False),
    "the hub's conversion": (["a", "b"], {}, hub.CONVERTED, "b", True),
}


@pytest.mark.parametrize("case", KEPT)
def test_of_several_revisions_that_were_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str):
    entries, snapshots, revision, read, said = KEPT[case]
    for name in hub.OFFLINE:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RNNBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(hub, "_reachable", lambda: False)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))

    def table(name: str) -> pyarrow.Table:
        return pyarrow.table({"text": [f"of {name}"] * 3, "label": ["x", "y", "x"]})

    for seconds, name in enumerate(entries, 1):
        kept_by_datasets(tmp_path / "datasets", name, table(name), seconds)
    for branch, (name, whole) in snapshots.items():
        kept_by_the_hub(tmp_path / "hub", name, table(name) if whole else None, branch)
    place = Place(hub="org/reviews", revision=revision)
    if read is None:
        with pytest.raises(
            DataError, match=r"the hub does not answer; datasets keeps the revisions a, b on this machine, not v1"
        ):
            load_set(place, COLUMNS)
        return
    for _ in range(2):  # as well from our own cache
        found = load_set(place, COLUMNS)
        assert found.tables["train"]["text"][0].as_py() == f"of {read}"
        line = f"revision {read} of configuration default is read, the newest of 2 that datasets keeps on this machine"
        line += " (the hub does not answer)"
        assert [part.note for part in found.parts.values()] == [line if said else ""]


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", None])
@pytest.mark.parametrize(
    "kept", ["by datasets", "by huggingface_hub", "by datasets, and cut off", "by huggingface_hub, and cut off"]
)
def test_what_the_library_kept_needs_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str | None, kept: str
):
    monkeypatch.setenv("RNNBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("RNNBENCH_DATA", str(tmp_path))  # a mirror without the set
    monkeypatch.setattr(hub, "_reachable", lambda: False)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
    for name in hub.OFFLINE:
        monkeypatch.delenv(name, raising=False)
    if variable:
        monkeypatch.setenv(variable, "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    if "cut off" in kept:  # a later `load_dataset` that was stopped
        (tmp_path / "datasets/org___reviews/default/0.0.0/def.incomplete").mkdir(parents=True)
    if "by datasets" in kept:
        kept_by_datasets(tmp_path / "datasets", "abc", TABLE, 1)
    else:
        kept_by_the_hub(tmp_path / "hub", "123", TABLE, "main")
    assert load_set(Place(hub="org/reviews"), COLUMNS).tables["train"].to_pylist() == TABLE.to_pylist()
    said = refusal(hub="org/other")
    assert said.startswith(f"org/other cannot be loaded ({f'{variable} is set' if variable else 'the hub does not answer'});")


@pytest.mark.parametrize(
    ("named", "same"),
    [
        ({"validation": "test"}, []),  # then the split has one name
        ({"train": "[to]*.csv", "test": "test.csv"}, []),  # one of several files
        ({"validation": "test", "test": "test"}, [("validation", "test")]),
        ({"validation": "{folder}/test.csv", "test": "{folder}/test.csv"}, [("validation", "test")]),
        ({"validation": "{folder}/./test.csv", "test": "test"}, [("validation", "test")]),
        ({"validation": "copy.csv"}, [("validation", "test")]),
        ({"validation": "link.csv"}, [("validation", "test")]),
        ({"validation": "other.csv"}, []),
        ({"test": "{folder}/train.csv"}, [("train", "test")]),
        (
            {"test": "{folder}/train.csv", "validation": "{folder}/train.csv"},
            [("train", "validation"), ("train", "test"), ("validation", "test")],
        ),
    ],
)
def test_splits_of_the_same_rows_are_known(tmp_path: Path, named: dict[str, str], same: list[tuple[str, str]]):
    for number, name in enumerate(("train", "test", "other")):
        (tmp_path / f"{name}.csv").write_text(csv_text(ROWS[number:]))
    (tmp_path / "copy.csv").write_text(csv_text(ROWS[1:]))
    (tmp_path / "link.csv").symlink_to(tmp_path / "test.csv")
    named = {split: value.format(folder=tmp_path) for split, value in named.items()}
    found = load_set(Place(file=str(tmp_path), named=named), COLUMNS).shared
    assert [pair for pair, both in found.items() if both.whole] == same and (found or not same)


def of_files(folder: Path) -> dict[str, str]:
    (folder / "set").mkdir()
    for name, rows in (("train", ROWS), ("dev", ROWS[:3])):
        (folder / "set" / f"{name}.csv").write_text(csv_text(rows))
    return {"file": str(folder / "set")}


def of_saved(folder: Path) -> dict[str, str]:
    both = {"train": datasets.Dataset(TABLE), "validation": datasets.Dataset(TABLE).select(range(3))}
    datasets.DatasetDict(both).save_to_disk(str(folder / "saved"))
    return {"file": str(folder / "saved")}


def of_a_mirror(folder: Path) -> dict[str, str]:
    (folder / "org/films/data").mkdir(parents=True)
    for split, rows in (("train", TABLE), ("validation", TABLE.slice(0, 3))):
        pyarrow.parquet.write_table(rows, folder / f"org/films/data/{split}-00000-of-00001.parquet")
    return {"hub": "org/films"}


OVERLAPS = [  # rows of train are 0 to 5, of validation 0 to 2
    ("train[:4]", "train[3:5]", "train[4:]", {"train and validation": 1, "validation and test": 1}),
    ("train[:4]", "train[4:5]", "train[5:]", {}),
    ("train[:80%]", "train[60%:]", "train[70%:]", {"train and validation": 1, "train and test": 1, "validation and test": 2}),
    ("train[:2]+train[4:]", "train[1:3]", "train[3:5]", {"train and validation": 1, "train and test": 1}),
    ("train[:4]+train[:4]", "validation", "train[2:]", {"train and test": 2}),
    ("train", "validation", "train[5:]+validation[1:]", {"train and test": 1, "validation and test": 2}),
]


@pytest.mark.parametrize("form", [of_files, of_saved, of_a_mirror])
@pytest.mark.parametrize(("train", "validation", "test", "shared"), OVERLAPS)
def test_rows_of_two_splits_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: Callable, train: str, validation: str, test: str, shared: dict
):
    monkeypatch.setenv("RNNBENCH_DATA", str(tmp_path))
    named = {"train": train, "validation": validation, "test": test}
    found = load_set(Place(**form(tmp_path), named=named), COLUMNS)
    assert found.facts().get("shared", {}) == shared


@pytest.mark.parametrize(
    ("named", "rows"),
    [
        ({"train": "train.csv", "test": "train[4:]"}, 2),  # a file, and rows of it
        ({"train": "copy.csv", "test": "train[4:]"}, 2),
        ({"train": "[tc]*.csv", "test": "test.csv"}, 3),  # several files, and one of them
        ({"train": "[tc]*.csv", "test": "train.csv"}, 6),
    ],
)
def test_rows_of_a_file_are_known_by_its_content(tmp_path: Path, named: dict[str, str], rows: int):
    for name, content in (("train", ROWS), ("copy", ROWS), ("test", ROWS[3:])):
        (tmp_path / f"{name}.csv").write_text(csv_text(content))
    found = load_set(Place(file=str(tmp_path), named=named), COLUMNS)
    assert found.facts()["shared"] == {"train and test": rows} and not found.shared["train", "test"].whole


def test_rows_that_were_dropped_are_in_no_split(tmp_path: Path):
    (tmp_path / "a.csv").write_text(csv_text([*ROWS[:3], ("", "label 1"), *ROWS[3:]]))
    place = {"file": f"{tmp_path}/a.csv", "reading": Reading(drop_empty=True)}
    found = load_set(Place(**place, named={"train": "train[:5]", "test": "train[2:]"}), COLUMNS)
    assert found.facts()["shared"] == {"train and test": 2}


@pytest.mark.parametrize(
    ("names", "order"),
    [
        ([f"month{n}.csv" for n in range(1, 13)], list(range(1, 13))),
        (["a1.csv", "a.csv", "a02.csv"], [2, 1, 3]),
        (["2024-9.csv", "2023-10.csv", "2024-10.csv"], [2, 1, 3]),
        (["2024-01-02.csv", "2024-01-10.csv", "2023-12-31.csv"], [3, 1, 2]),
    ],
)
def test_files_in_time_are_read_in_the_order_of_their_numbers(tmp_path: Path, names: list[str], order: list[int]):
    for number, name in enumerate(names, 1):
        (tmp_path / f"x{name}").write_text(f"value\n{number}\n")
    (tmp_path / "folder").mkdir()
    for number, name in enumerate(names, 1):
        (tmp_path / "folder" / f"train-{name}").write_text(f"value\n{number}\n")
    for place in ({"file": f"{tmp_path}/x*.csv"}, {"named": {"train": f"{tmp_path}/x*.csv"}}, {"file": f"{tmp_path}/folder"}):
        found = load_set(Place(**place, in_time=True), ["value"]).tables["train"].column(0).to_pylist()
        assert list(map(int, found)) == order
    texts = load_set(Place(file=f"{tmp_path}/x*.csv"), ["value"]).tables["train"].column(0).to_pylist()
    assert list(map(int, texts)) == [names.index(name) + 1 for name in sorted(names)]  # as before: the order is in fingerprints


@pytest.mark.parametrize(
    ("name", "unread"),
    [
        ("config.csv", True),
        ("config.yaml", True),
        ("readme.csv", True),
        ("dataset_info.csv", True),
        ("notes.txt", True),
        ("old.ts", True),
        ("README.md", False),
        ("readme.txt", False),
        ("LICENSE", False),
        ("config.json", False),
        ("dataset_infos.json", False),
        (".gitattributes", False),
    ],
)
def test_what_is_not_read_is_named(tmp_path: Path, name: str, unread: bool):
    (tmp_path / "train.csv").write_text(csv_text())
    (tmp_path / name).write_text("text,label\na,b\n")
    found = load_set(Place(file=str(tmp_path)), COLUMNS)
    assert len(found.tables["train"]) == 6 and found.unread == ([name] if unread else [])


def test_what_the_library_takes_for_no_data_is_not_named():
    assert set(LIBRARY) == set(FILES_TO_IGNORE)
