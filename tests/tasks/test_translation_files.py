"""Pairs of texts in files of one's own: two columns, or the feature `translation` of datasets."""

from __future__ import annotations

import json
from pathlib import Path

import datasets
import pyarrow
import pyarrow.parquet
import pytest

from rnnbench.tasks import load
from rnnbench.tasks.task import SPLITS, Task

PAIRS = [(f"hund {n % 9} rennt", f"dog {n % 9} runs") for n in range(90)]
COLUMNS = {"de": [first for first, _ in PAIRS], "en": [second for _, second in PAIRS]}
BOTH = [{"de": first, "en": second} for first, second in PAIRS]


@pytest.fixture(autouse=True)
def cache(clean, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNBENCH_CACHE", str(tmp_path / "cache"))


def made(**options: object) -> Task:
    task = load("translation", min_frequency=1, **options)
    task.prepare()
    return task


def test_forms_of_pairs_give_one_task(tmp_path: Path):
    (tmp_path / "a.csv").write_text("id,de,en\n" + "".join(f"{n},{a},{b}\n" for n, (a, b) in enumerate(PAIRS)))
    (tmp_path / "a.tsv").write_text("en\tde\n" + "".join(f"{b}\t{a}\n" for a, b in PAIRS))
    (tmp_path / "b.jsonl").write_text("".join(json.dumps({"translation": one}) + "\n" for one in BOTH))
    pyarrow.parquet.write_table(pyarrow.table({"translation": BOTH}), tmp_path / "a.parquet")
    pyarrow.parquet.write_table(pyarrow.table(COLUMNS), tmp_path / "b.parquet")
    tasks = [made(file=str(path)) for path in sorted(tmp_path.glob("?.*"))]
    datasets.Dataset(pyarrow.table({"translation": BOTH})).save_to_disk(str(tmp_path / "saved"))
    tasks.append(made(hub=str(tmp_path / "saved")))
    assert len(tasks) == 6 and len({task.fingerprint for task in tasks}) == 1
    sizes = [len(tasks[0].dataset.sources[split]) for split in SPLITS]
    assert sum(sizes) == 90 and min(sizes) == 10  # one of nine sources, which stand together
    assert tasks[0].about()["licence"] == "that of your data"


def test_named_files_are_the_splits(tmp_path: Path):
    for split, rows in (("a", PAIRS[:50]), ("b", PAIRS[50:70]), ("c", PAIRS[70:])):
        (tmp_path / f"{split}.csv").write_text("de,en\n" + "".join(f"{a},{b}\n" for a, b in rows))
    task = made(train=f"{tmp_path}/a.csv", validation=f"{tmp_path}/b.csv", test=f"{tmp_path}/c.csv")
    assert [len(task.dataset.sources[split]) for split in SPLITS] == [50, 20, 20]
    assert (
        "90 rows: train 50 (a.csv), validation 20 (b.csv), test 20 (c.csv); 0 rows dropped; source symbols a row"
        in task.notes[0]
    )
    (tmp_path / "whole.csv").write_text("de,en\n" + "".join(f"{a},{b}\n" for a, b in PAIRS))
    slices = made(file=f"{tmp_path}/whole.csv", train="train[:50]", validation="train[50:70]", test="train[70:]")
    assert slices.fingerprint == task.fingerprint and "train 50 (whole.csv: train[:50])" in slices.notes[0]


def test_a_language_that_is_missing_is_named(tmp_path: Path):
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"translation": {"fr": "a", "en": "b"}}) + "\n" for _ in range(9)))
    with pytest.raises(ValueError, match="no language 'de'; there are: "):
        made(file=f"{tmp_path}/a.jsonl")
    (tmp_path / "b.csv").write_text("fr,en\na,b\n")
    with pytest.raises(ValueError, match="no column 'de'; "):
        made(file=f"{tmp_path}/b.csv")
