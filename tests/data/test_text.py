"""Text as numbers, batches of similar length, files of the hub, and a cache that is complete or absent."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import sys
from collections import Counter
from pathlib import Path

import datasets
import numpy
import pyarrow
import pyarrow.parquet
import pytest

from rnnbench.data import hub
from rnnbench.data.cache import cache_entry, cache_folder, read_arrays, write_arrays
from rnnbench.data.hub import check_columns, read_split
from rnnbench.data.sets import Place, load_set
from rnnbench.data.tables import DataError, table_digest
from rnnbench.data.text import (
    TOKENIZERS,
    Ragged,
    Vocabulary,
    _epoch,
    basic_english,
    characters,
    count_characters,
    encode_characters,
    evaluation_rows,
    training_batches,
    training_rows,
    whitespace,
)


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RNNBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("RNNBENCH_DATA", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return tmp_path


def phrases(rows: int) -> Ragged:
    """Rows as long as the phrases of SST-2: 9 words on average, 1 to 50."""
    lengths = numpy.random.default_rng(0).lognormal(1.85, 0.9, rows).astype(int).clip(1, 50)
    return Ragged(numpy.arange(lengths.sum(), dtype=numpy.int32), numpy.concatenate([[0], lengths.cumsum()]))


# --- tokenizers


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("It's a 'Test'; (really)!", "it ' s a ' test ' ( really ) !"),
        ('"Quoted" text:  two  spaces.', "quoted text two spaces ."),
        ("one<br /><br />two<BR />three", "one two three"),
        ("1,000.50 e-mails?\tYes\n", "1 , 000 . 50 e-mails ? yes"),
        ('mid"word and <br>', "midword and <br>"),
        ("", ""),
    ],
)
def test_basic_english_is_torchtexts(line: str, words: str):
    assert basic_english(line) == words.split()


def test_whitespace_and_characters():
    assert whitespace(" Two  words\n") == ["Two", "words"]
    assert characters("né e") == ["n", "é", " ", "e"]
    assert all(tokenizer.__name__ == name for name, tokenizer in TOKENIZERS.items())


# --- vocabulary


def test_vocabulary_goes_by_frequency_then_text():
    counts = Counter(["b", "b", "b", "a", "c", "c", "a", "d", "<unk>", "<unk>"])
    assert Vocabulary.build(counts).symbols == ("<pad>", "<unk>", "b", "a", "c", "d")
    assert Vocabulary.build(dict(reversed(counts.items()))) == Vocabulary.build(counts)
    assert Vocabulary.build(counts, min_frequency=2).symbols == ("<pad>", "<unk>", "b", "a", "c")
    assert Vocabulary.build(counts, max_size=4).symbols == ("<pad>", "<unk>", "b", "a")
    assert Vocabulary.build({"a": 1}, specials=()).symbols == ("a",)


def test_vocabulary_round_trip(tmp_path: Path):
    vocabulary = Vocabulary.build(Counter(["naïve", '"x"', "\\", "\n", "中", "<br", "/>", ""]))
    vocabulary.save(tmp_path / "vocabulary.json")
    assert Vocabulary.load(tmp_path / "vocabulary.json") == vocabulary
    assert vocabulary.decode(vocabulary.encode(["中", "new", "<pad>"])) == ["中", "<unk>", "<pad>"]


def test_vocabulary_names_what_is_wrong(tmp_path: Path):
    with pytest.raises(ValueError, match="'new' is not in the vocabulary of 3 symbols"):
        Vocabulary.build({"a": 1}).encode(["a", "new"], strict=True)
    with pytest.raises(ValueError, match="'new' is not in the vocabulary of 1 symbols"):
        Vocabulary(["a"]).encode(["new"])
    with pytest.raises(ValueError, match="'a' twice"):
        Vocabulary(["b", "a", "a"])
    (tmp_path / "other.json").write_text('{"a": 1}')
    with pytest.raises(ValueError, match="no vocabulary; allowed: a JSON list"):
        Vocabulary.load(tmp_path / "other.json")


def test_characters_are_counted_and_numbered():
    counts = count_characters("banana 🍌")
    assert counts == Counter("banana 🍌")
    vocabulary = Vocabulary.build(counts, specials=("<unk>",))
    numbers = encode_characters("nab🍌z", vocabulary)
    assert numbers.tolist() == vocabulary.encode("nab🍌z") and numbers[-1] == 0
    assert count_characters("") == {}


# --- ragged rows and buckets


def test_rows_are_padded_at_the_end():
    rows = Ragged.of([[5, 6, 7], [], [8], [9, 9]])
    matrix, lengths = rows.padded(numpy.array([2, 0, 1, 3]), pad=0)
    assert matrix.tolist() == [[8, 0, 0], [5, 6, 7], [0, 0, 0], [9, 9, 0]] and lengths.tolist() == [1, 3, 0, 2]
    assert matrix.dtype == lengths.dtype == numpy.int64
    assert len(rows) == 4 and rows.lengths.tolist() == [3, 0, 1, 2] and rows.by_length.tolist() == [1, 2, 3, 0]


def test_training_batches_are_pure_and_cover():
    rows, size = phrases(2030), 20
    batches = training_batches(len(rows), size)
    assert batches == 101
    epochs = [[training_rows(rows, epoch * batches + i, size, 3) for i in range(batches)] for epoch in range(2)]
    _epoch.cache_clear()
    for index in reversed(range(2 * batches)):  # another order, and nothing remembered
        again = training_rows(rows, index, size, 3)
        assert numpy.array_equal(again, epochs[index // batches][index % batches])
    seen = [numpy.concatenate(epoch) for epoch in epochs]
    for epoch in seen:
        assert len(set(epoch.tolist())) == len(epoch) == batches * size  # nothing twice; 10 rows sit out
    assert set(seen[0].tolist()) != set(seen[1].tolist())  # not the same ones
    assert not numpy.array_equal(training_rows(rows, 0, size, 3), training_rows(rows, 0, size, 4))


def test_batches_come_in_no_order_of_length():
    rows, size = phrases(60_000), 64
    means = [rows.lengths[training_rows(rows, index, size, 0)].mean() for index in range(900)]
    assert abs(numpy.corrcoef(means, numpy.arange(900))[0, 1]) < 0.15
    assert abs(numpy.corrcoef(means[1:], means[:-1])[0, 1]) < 0.15


@pytest.mark.parametrize("rows", [20_000, 67_000])
def test_batches_are_nearly_all_text(rows: int):
    phrase = phrases(rows)
    real = padded = 0
    for index in range(training_batches(rows, 64)):
        lengths = phrase.lengths[training_rows(phrase, index, 64, 0)]
        real, padded = real + lengths.sum(), padded + lengths.max() * 64
    assert real > 0.95 * padded


def test_few_rows_make_one_batch():
    rows = phrases(5)
    assert training_batches(5, 64) == 1
    assert all(sorted(training_rows(rows, index, 64, 0)) == [0, 1, 2, 3, 4] for index in range(3))


def test_evaluation_has_each_row_once_by_length():
    rows = phrases(103)
    walked = numpy.concatenate([evaluation_rows(rows, index, 10) for index in range(11)])
    assert sorted(walked) == list(range(103)) and (numpy.diff(rows.lengths[walked]) >= 0).all()
    assert len(evaluation_rows(rows, 10, 10)) == 3
    assert Ragged.of([[1], [1, 1]] * 250).by_length.tolist() == [*range(0, 500, 2), *range(1, 500, 2)]


# --- files of the hub


def write(root: Path, name: str, **splits: list[dict[str, list]]) -> None:
    for split, files in splits.items():
        for number, columns in enumerate(files):
            path = root / name / "data" / f"{split}-{number:05}-of-{len(files):05}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pyarrow.parquet.write_table(pyarrow.table(columns), path)


def test_mirror_is_read_in_order(folders: Path, monkeypatch: pytest.MonkeyPatch):
    write(folders / "m", "org/set", train=[{"t": ["a", "b"], "n": [1, 2]}, {"t": ["c"], "n": [3]}])
    assert not check_columns("org/set", ["train"], ["t"])
    monkeypatch.setenv("RNNBENCH_DATA", str(folders / "m"))
    assert check_columns("org/set", ["train"], ["t"])
    assert read_split("org/set", "train", ["n", "t"]).to_pydict() == {"n": [1, 2, 3], "t": ["a", "b", "c"]}


def test_digest_is_of_the_content(folders: Path, monkeypatch: pytest.MonkeyPatch):
    digests = []
    for name, files in {
        "whole": [{"t": ["ab", "c"], "n": [1, 2]}],
        "cut": [{"t": ["ab"], "n": [1], "more": [0]}, {"t": ["c"], "n": [2], "more": [0]}],
        "typed": [{"t": pyarrow.array(["ab", "c"], pyarrow.large_string()), "n": pyarrow.array([1, 2], pyarrow.int8())}],
        "text": [{"t": ["a", "bc"], "n": [1, 2]}],
        "number": [{"t": ["ab", "c"], "n": [1, 3]}],
    }.items():
        write(folders / name, "org/set", train=files)
        monkeypatch.setenv("RNNBENCH_DATA", str(folders / name))
        digests.append(table_digest(read_split("org/set", "train", ["t", "n"])))
    assert digests[0] == digests[1] == digests[2] and len(set(digests)) == 3


def test_wrong_mirrors_are_named_in_one_line(folders: Path, monkeypatch: pytest.MonkeyPatch):
    mirror = folders / "m"
    monkeypatch.setenv("RNNBENCH_DATA", str(mirror))

    def message(*arguments: object) -> str:
        with pytest.raises(DataError) as error:
            read_split("org/set", *arguments)
        assert "\n" not in str(error.value)
        return str(error.value)

    assert "is no folder; it should hold <org>/<name>/data/<split>-*.parquet" in message("train", ["t"])
    write(mirror, "org/set", train=[{"t": ["a", None]}], validation=[{"t": ["a"]}], test=[{"t": pyarrow.array([], "string")}])
    assert "no split 'dev'; there are: test, train, validation" in message("dev", ["t"])
    assert "no column 'label'; there are: t" in message("train", ["t", "label"])
    assert "split 'train': column 't' has 1 empty values" in message("train", ["t"])
    assert "split 'test' has no rows" in message("test", ["t"])
    (mirror / "org/set/data/train-00000-of-00001.parquet").write_bytes(b"no parquet, but long enough")
    assert "cannot be read as parquet" in message("train", ["t"])


class Built(dict):
    """What `datasets.load_dataset_builder` gives: the splits, once they are asked for."""

    def download_and_prepare(self) -> None:
        pass

    def as_dataset(self) -> dict[str, datasets.Dataset]:
        return self


def test_the_hub_is_asked_once(folders: Path, monkeypatch: pytest.MonkeyPatch):
    asked = []

    def builder(*arguments: object, **named: object) -> Built:
        asked.append((arguments, named))
        parts = {"train": {"t": ["a", "b"], "label": [0, 1]}, "test": {"t": ["c"], "label": [1]}}
        return Built({split: datasets.Dataset.from_dict(columns) for split, columns in parts.items()})

    monkeypatch.setattr(datasets, "load_dataset_builder", builder)
    monkeypatch.setattr(hub, "_reachable", lambda: True)
    for split, texts in (("train", ["a", "b"]), ("test", ["c"]), ("train", ["a", "b"])):
        assert read_split("org/set", split, ["t"], config="plus", revision="r")["t"].to_pylist() == texts
    assert asked == [(("org/set", "plus"), {"revision": "r"})]

    def away(*arguments: object, **named: object) -> None:
        raise ConnectionError("no network")

    monkeypatch.setattr(datasets, "load_dataset_builder", away)
    monkeypatch.setattr(hub, "_reachable", lambda: False)
    assert check_columns("org/set", ["train", "test"], ["t", "label"], config="plus", revision="r")
    with pytest.raises(DataError, match=r"org/set cannot be loaded \(the hub does not answer\)"):
        read_split("org/set", "train", ["t"])  # another configuration


def test_a_named_revision_has_a_place_of_its_own(folders: Path, monkeypatch: pytest.MonkeyPatch):
    asked = []

    def builder(name: str, config: object, revision: str | None) -> Built:
        asked.append(revision)
        return Built({"train": datasets.Dataset.from_dict({"t": [f"of {revision}"]})})

    monkeypatch.setattr(datasets, "load_dataset_builder", builder)
    monkeypatch.setattr(hub, "_reachable", lambda: True)
    revisions = [None, "v1", "v2", "pr/7", "../..", None, "v2", "pr/7", hub.CONVERTED]
    found = [read_split("org/set", "train", ["t"], revision=revision)["t"].to_pylist() for revision in revisions]
    assert found == [[f"of {None if revision == hub.CONVERTED else revision}"] for revision in revisions]
    assert asked == [None, "v1", "v2", "pr/7", "../.."]  # each once; the hub's own conversion is of the same content


@pytest.mark.parametrize(
    ("there", "revision", "read", "said"),
    [
        (["org/set"], None, "org/set", False),
        (["org/set"], "v1", "org/set", True),
        (["org/set"], hub.CONVERTED, "org/set", False),
        (["org/set", "org/set@v1"], "v1", "org/set@v1", False),
        (["org/set", "org/set@v1"], None, "org/set", False),
        (["org/set", "org/set@v1"], "v2", "org/set", True),
        (["org/set@a%2Fb"], "a/b", "org/set@a%2Fb", False),
    ],
)
def test_a_mirror_that_does_not_say_its_revision_is_named(
    folders: Path, monkeypatch: pytest.MonkeyPatch, there: list[str], revision: str | None, read: str, said: bool
):
    monkeypatch.setenv("RNNBENCH_DATA", str(folders / "mirror"))
    for name in there:
        write(folders / "mirror", name, train=[{"t": [name], "label": ["a"]}])
    found = load_set(Place(hub="org/set", revision=revision), ["t", "label"])
    assert found.tables["train"]["t"].to_pylist() == [read]
    expected = [f"{folders}/mirror/org/set/data does not say its revision; it is read for task.revision={revision}"]
    assert [part.note for part in found.parts.values() if part.note] == (expected if said else [])


def test_what_the_hub_refuses_is_told(monkeypatch: pytest.MonkeyPatch):
    def builder(*arguments: object, **named: object) -> None:
        raise datasets.exceptions.DatasetNotFoundError("no such set\nand more")

    monkeypatch.setattr(datasets, "load_dataset_builder", builder)
    monkeypatch.setattr(hub, "_reachable", lambda: True)
    with pytest.raises(DataError, match=r"\(no such set\); connect to the network once, or set RNNBENCH_DATA"):
        read_split("org/set", "train", ["t"])


# --- the cache


def test_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/there")
    assert cache_folder() == Path(os.environ["RNNBENCH_CACHE"])
    monkeypatch.delenv("RNNBENCH_CACHE")
    assert cache_folder() == Path("/there/rnnbench")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "rnnbench"


def fill(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "one").write_text("1")
    (folder / "two").write_text("2")


def test_entry_is_made_once_a_key():
    made = []
    folders = [cache_entry("kind", key, lambda part: made.append(fill(part))) for key in ({"a": 1, "b": 2}, {"b": 2, "a": 1})]
    assert folders[0] == folders[1] and len(made) == 1
    assert (folders[0] / "sub" / "one").read_text() == "1"
    assert cache_entry("kind", {"a": 1, "b": 3}, fill) != folders[0] != cache_entry("other", {"a": 1, "b": 2}, fill)


def test_failed_preparation_leaves_nothing():
    def fail(folder: Path) -> None:
        fill(folder)
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        cache_entry("kind", {}, fail)
    assert not list((cache_folder() / "kind").iterdir())
    assert (cache_entry("kind", {}, fill) / "two").exists()


def killed(folder: Path) -> None:
    fill(folder)
    os.kill(os.getpid(), signal.SIGKILL)


def test_killed_preparation_leaves_nothing_usable():
    process = multiprocessing.get_context("fork").Process(target=cache_entry, args=("kind", {}, killed))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    (part,) = (cache_folder() / "kind").iterdir()  # what it had begun, under a name that nothing looks for
    assert part.name.startswith(".part-")
    folder = cache_entry("kind", {}, fill)
    assert (folder / "two").read_text() == "2" and part.exists()  # it may be another process's, still at work
    os.utime(part, (0, 0))
    cache_entry("kind", {"other": 1}, fill)
    assert not part.exists() and folder.exists()


def test_first_of_two_wins():
    def slow(folder: Path) -> None:
        cache_entry("kind", {}, fill)  # another process is quicker
        (folder / "late").write_text("")

    folder = cache_entry("kind", {}, slow)
    assert not (folder / "late").exists() and (folder / "two").exists()
    assert list(folder.parent.iterdir()) == [folder]


def test_unwritable_cache_is_named(folders: Path, monkeypatch: pytest.MonkeyPatch):
    (folders / "file").write_text("")
    monkeypatch.setenv("RNNBENCH_CACHE", str(folders / "file"))
    with pytest.raises(DataError, match="set RNNBENCH_CACHE to another folder"):
        cache_entry("kind", {}, fill)


def test_arrays_are_mapped_not_copied(tmp_path: Path):
    rows = Ragged.of([[1, 2], [], [3]])
    labels = numpy.array([0, 1, 1], numpy.int8)
    write_arrays(tmp_path / "a.arrow", {"tokens": (rows.values, rows.offsets), "labels": labels})
    read = read_arrays(tmp_path / "a.arrow")
    values, offsets = read["tokens"]
    assert values.tolist() == [1, 2, 3] and offsets.tolist() == [0, 2, 2, 3] and read["labels"].tolist() == [0, 1, 1]
    assert values.dtype == numpy.int32 and offsets.dtype == numpy.int64 and read["labels"].dtype == numpy.int8
    before = pyarrow.total_allocated_bytes()
    big = numpy.zeros(1_000_000, numpy.int32)
    write_arrays(tmp_path / "b.arrow", {"tokens": (big, numpy.array([0, len(big)]))})
    kept = read_arrays(tmp_path / "b.arrow")
    assert pyarrow.total_allocated_bytes() - before < 100_000 and len(kept["tokens"][0]) == len(big)
    assert not kept["tokens"][0].flags.owndata and not kept["tokens"][0].flags.writeable


def test_keys_are_plain_values():
    with pytest.raises(TypeError):
        cache_entry("kind", {"path": Path("x")}, fill)


# --- the places of version 0.1


@pytest.mark.parametrize("name", ["hub", "text"])
def test_names_of_version_0_1_can_be_imported_and_warn(name: str):
    """Each public name that a module of version 0.1 defined."""
    sys.modules.pop(f"rnnbench.{name}", None)
    with pytest.warns(DeprecationWarning, match=f"rnnbench.{name} is now rnnbench.data.{name}"):
        old = importlib.import_module(f"rnnbench.{name}")
    assert set(old.__all__) == set(OLD_NAMES[name].split())
    for each in old.__all__:
        new = importlib.import_module(f"rnnbench.data.{MOVED.get(each, name)}")
        assert getattr(old, each) is getattr(new, RENAMED.get(each, each))


OLD_NAMES = {
    "hub": "PATIENCE STALE DataError FILES Column cache look splits table file_table digest entry complete write_arrays "
    "write_stream read_arrays",
    "text": "PAD UNKNOWN POOL characters whitespace basic_english Tokenizer TOKENIZERS utf8_bytes tokenizer need byte_pairs "
    "Vocabulary read_vectors torchtext_vectors count_characters encode_characters Ragged training_batches training_rows "
    "evaluation_rows batches_of rows_of",
}
MOVED = {
    **dict.fromkeys(("FILES", "file_table"), "table_files"),
    **dict.fromkeys(("DataError", "digest"), "tables"),
    **dict.fromkeys(("STALE", "Column", "cache", "entry", "complete", "write_arrays", "write_stream", "read_arrays"), "cache"),
}
RENAMED = {
    "cache": "cache_folder",
    "look": "check_columns",
    "table": "read_split",
    "digest": "table_digest",
    "entry": "cache_entry",
    "complete": "complete_entry",
}
