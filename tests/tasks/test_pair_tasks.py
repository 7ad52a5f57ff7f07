"""Known answers of the tasks that read something and then write: translation, pronunciation, caption; and what they refuse."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy
import pyarrow
import pyarrow.parquet
import pytest
import sacrebleu
import torch

from rnnbench.cli.main import main
from rnnbench.data.text import Ragged
from rnnbench.tasks import load
from rnnbench.tasks.shared.floors import _totals, dictionary, edits, fewest_edits, most_bleu
from rnnbench.tasks.task import SPLITS, Batch, Task
from tests.support.text_sets import photographs, write_split

REAL = os.environ.get("RNNBENCH_DATA")
GERMAN = {"ein": "a", "hund": "dog", "mann": "man", "rennt": "runs", "schläft": "sleeps", "im": "in", "gras": "grass", ".": "."}


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


def refusal(act, *arguments, **options) -> str:
    """The one line that `act` is refused with."""
    with pytest.raises(ValueError) as error:
        act(*arguments, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def sentences(rows: int, seed: int) -> dict[str, list[str]]:
    """German of three to eight words, and English word by word."""
    random = numpy.random.default_rng(seed)
    german = [[*random.choice(list(GERMAN)[:-1], random.integers(3, 9)), "."] for _ in range(rows)]
    return {"de": [" ".join(row) for row in german], "en": [" ".join(GERMAN[word] for word in row) for row in german]}


def hub(root: Path, splits: dict[str, dict[str, list[str]]], name: str = "bentrevett/multi30k") -> Path:
    folder = root / name / "data"
    folder.mkdir(parents=True)
    for split, columns in splits.items():
        pyarrow.parquet.write_table(pyarrow.table(columns), folder / f"{split}-00000-of-00001.parquet")
    return folder


def small(root: Path, rows: int = 60) -> dict[str, dict[str, list[str]]]:
    splits = {split: sentences(rows, seed) for seed, split in enumerate(SPLITS)}
    hub(root, splits)
    return splits


def scores(task: Task, split: str, batch_size: int, write) -> dict[str, float]:
    """The scores of what `write` makes of each batch, over a split."""
    total: dict[str, float] = {"nats": 0.0, "symbols": 1.0}
    for index in range(task.batches(split, batch_size)):
        batch = task.batch(split, index, batch_size, 0)
        for name, value in task.score_written(write(batch), batch).items():
            total[name] = total.get(name, 0.0) + float(value)
    return task.finish(total)


def filled(task: Task, rows: list[list[int]]) -> torch.Tensor:
    return torch.tensor([[*row, *[task.end] * (task.longest - len(row))] for row in rows])


def truth(task: Task):
    """Writes the targets."""
    return lambda batch: torch.nn.functional.pad(batch.targets, (0, task.longest - batch.targets.shape[1]))


# --- what is read and written


def test_a_batch_starts_and_ends_what_is_written(data: Path):
    rows = {"de": ["Ein Hund", "ein hund rennt im gras"], "en": ["A dog.", "a dog runs"]}
    hub(data, dict.fromkeys(SPLITS, rows))
    task = made("translation", min_frequency=1)
    batch = task.batch("test", 0, 5, 0)
    read, written = task.dataset.read, task.dataset.written
    assert read.symbols[:2] == ("<pad>", "<unk>") and written.symbols[:2] == ("<end>", "<unk>")
    assert read.decode(batch.source[0].tolist()) == ["ein", "hund", "<pad>", "<pad>", "<pad>"]
    assert batch.source_lengths.tolist() == [2, 5] and batch.lengths.tolist() == [4, 4]
    assert written.decode(batch.inputs[0].tolist()) == ["<end>", "a", "dog", "."]
    assert written.decode(batch.targets[0].tolist()) == ["a", "dog", ".", "<end>"]
    assert written.decode(batch.targets[1].tolist()) == ["a", "dog", "runs", "<end>"] and batch.scored.all()
    assert task.start == task.end == 0 and task.longest == 4 and task.inputs == task.targets
    assert task.decode(batch.targets[0].tolist()) == "a dog ." and read.decode(task.encode("Ein Gras ")) == ["ein", "gras"]


def test_rare_words_and_long_texts_are_cut_but_not_in_references(data: Path):
    splits = small(data)
    splits["test"] = {"de": ["ein Elefant rennt"] * 2, "en": ["a elephant runs now", "a camel runs now"]}
    hub(data, splits, "some/set")
    task = made("translation", hub="some/set", min_frequency=1, max_length=3)
    batch = task.batch("test", 0, 5, 0)
    assert task.dataset.written.decode(batch.targets[0].tolist()) == ["a", "<unk>", "runs", "<end>"] and task.longest == 4
    found = scores(task, "test", 1, truth(task))
    texts = ["a \u2047 runs"] * 2
    assert found["bleu"] == pytest.approx(sacrebleu.corpus_bleu(texts, [splits["test"]["en"]]).score)
    assert found["chrf"] == pytest.approx(sacrebleu.corpus_chrf(texts, [splits["test"]["en"]]).score)


@pytest.mark.parametrize("batch_size", [1, 7, 64])
@pytest.mark.parametrize("symbols", ["words", "characters"])
@pytest.mark.parametrize("lowercase", [True, False])
def test_bleu_and_chrf_are_sacrebleus(data: Path, batch_size: int, symbols: str, lowercase: bool):
    splits = small(data)
    for split in splits.values():
        split["en"] = [text.capitalize().replace(" .", ".").replace("dog", "dog's") for text in split["en"]]
    # equal once their rare words are <unk>, but not their references
    splits["test"]["de"][:4] = ["ein zebra schläft ."] * 4
    splits["test"]["en"][:4] = ["a zebra sleeps well.", "A donkey sleeps.", "a zebra sleeps.", "a kudu sleeps."]
    hub(data, splits, "some/set")
    task = made("translation", hub="some/set", target_symbols=symbols, lowercase=lowercase)
    texts: dict[str, str] = {}  # what is written for each source

    def write(batch: Batch) -> torch.Tensor:
        rows = []
        for source, length in zip(batch.source.tolist(), batch.source_lengths.tolist(), strict=True):
            random = numpy.random.default_rng(source[:length])
            rows.append(random.integers(1, task.targets.size, random.integers(0, task.longest)).tolist())
            texts[str(source[:length])] = task.decode(rows[-1])
        return filled(task, rows)

    found = scores(task, "test", batch_size, write)
    references = [text.lower() if lowercase else text for text in splits["test"]["en"]]
    written = [texts[str(task.encode(text))] for text in splits["test"]["de"]]
    assert found["bleu"] == pytest.approx(sacrebleu.corpus_bleu(written, [references], force=True).score)
    assert found["chrf"] == pytest.approx(sacrebleu.corpus_chrf(written, [references]).score)
    assert 0 < found["chrf"] < 90


def test_chinese_is_cut_by_sacrebleu(data: Path):
    rows = {"en": ["I am here", "he is there now"], "zh": ["我在这里。", "他现在在那儿。"]}
    hub(data, dict.fromkeys(SPLITS, rows), "local/tatoeba_en_zh")
    options = {"source_column": "en", "target_column": "zh", "target_symbols": "characters", "bleu": "zh", "min_frequency": 1}
    task = made("translation", hub="local/tatoeba_en_zh", **options)
    assert task.dataset.written.decode(task.batch("test", 0, 1, 0).targets[0].tolist()) == [*"我在这里。", "<end>"]
    assert scores(task, "test", 2, truth(task))["bleu"] == pytest.approx(100)
    half = scores(task, "test", 2, lambda batch: truth(task)(batch)[:, [*range(4), *[-1] * (task.longest - 4)]])
    assert half["bleu"] == pytest.approx(sacrebleu.corpus_bleu(["我在这里", "他现在在"], [rows["zh"]], tokenize="zh").score)


def test_text_files_are_the_same_as_parquet(data: Path, tmp_path: Path):
    splits = small(data)
    for split, columns in splits.items():
        for column, texts in columns.items():
            (tmp_path / f"{split}.{column}").write_text("\n".join(texts) + "\n", encoding="utf-8")
    ours, theirs = made("translation", hub=str(tmp_path)), made("translation")
    assert ours.fingerprint == theirs.fingerprint and ours.floor == theirs.floor
    assert torch.equal(ours.batch("train", 3, 5, 1).source, theirs.batch("train", 3, 5, 1).source)
    (tmp_path / "test.en").write_text("one line\n")
    assert "split 'test' has 60 lines of de and 1 of en" in refusal(made, "translation", hub=str(tmp_path))
    (tmp_path / "test.en").unlink()
    assert "there is no test.en" in refusal(load, "translation", hub=str(tmp_path))


# --- floors and the baseline


def test_the_constant_of_most_bleu_is_found():
    random = numpy.random.default_rng(0)
    rows = [random.integers(1, 6, random.integers(4, 12)).tolist() for _ in range(40)]
    texts = [" ".join("?" if symbol == 1 else str(symbol) for symbol in row) for row in rows]
    references = [text.replace("?", "!") for text in texts]  # what is not known is never right
    found = [sacrebleu.corpus_bleu([text] * 40, [references], tokenize="none", force=True).score for text in texts]
    guess = most_bleu(Ragged.of(rows))
    assert guess == rows[int(numpy.argmax(found))]
    assert len(set(found)) > 20


def test_word_by_word_is_right_where_words_stand_in_order(data: Path):
    small(data, 200)
    task = made("translation")
    likeliest = dictionary(task.dataset)
    for german, english in GERMAN.items():
        assert task.dataset.written.symbols[likeliest[task.dataset.read.numbers[german]]] == english
    assert task.about()["word_by_word_bleu"] == pytest.approx(100)
    assert scores(task, "test", 9, task.floor_guess)["bleu"] == pytest.approx(task.floor) and 0 < task.floor < 60


@pytest.mark.parametrize(
    ("first", "second", "fewest"),
    [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "", 3), ("flaw", "lawn", 2), ("abc", "abc", 0), ("ab", "ba", 2)],
)
def test_edits(first: str, second: str, fewest: int):
    assert edits(list(first), list(second)) == fewest


def test_the_string_of_fewest_edits_cannot_be_bettered_by_one():
    random = numpy.random.default_rng(1)
    rows = [random.integers(2, 6, random.integers(1, 8)).tolist() for _ in range(50)]

    def cost(text) -> int:
        return sum(edits(list(text), row) for row in rows)

    best = fewest_edits(Ragged.of(rows))
    near = [best[:at] + best[at + 1 :] for at in range(len(best))]
    for at, kind, over in itertools.product(range(len(best) + 1), range(2, 6), (0, 1)):
        near.append([*best[:at], kind, *best[at + over :]])
    assert best and cost(best) <= min(map(cost, near)) and cost(best) < cost([])
    wanted, lengths = Ragged.of(rows).padded(numpy.arange(50), pad=-1)
    texts = [tuple(text) for text in near]
    assert _totals(texts, wanted, lengths) == {text: cost(text) for text in texts}


# --- pronunciation


def spoken(path: Path) -> Path:
    """Words in CMUdict's form: each letter is one phoneme; every fifth word has another pronunciation, which ends otherwise."""
    lines = []
    for number, letters in enumerate(itertools.product("abcd", repeat=3)):
        word = "".join(letters) + "z" * (number // 8)
        lines.append(f"{word} {' '.join(letter.upper() + '1' for letter in word)}")
        if number % 5 == 0:
            lines.append(f"{word}(2) {' '.join(letter.upper() + '0' for letter in word)} T # foreign")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_words_and_their_pronunciations(tmp_path: Path):
    path = spoken(tmp_path / "some.dict")
    task, with_stress = made("pronunciation", data=str(path)), made("pronunciation", data=str(path), stress=True)
    assert {"A", "T"} <= set(task.dataset.written.symbols) and "A1" not in task.dataset.written.symbols
    assert {"A1", "A0"} <= set(with_stress.dataset.written.symbols)
    lines = [line.split()[0] for line in path.read_text().splitlines()]
    words = {line.split("(")[0] for line in lines}
    seen: dict[str, list[str]] = {}
    for split in SPLITS:
        rows = task.dataset.sources[split]
        seen[split] = ["".join(task.dataset.read.decode(rows.values[a:b])) for a, b in itertools.pairwise(rows.offsets)]
    assert sorted({word for split in SPLITS for word in seen[split]}) == sorted(words)
    assert not any(set(seen[a]) & set(seen[b]) for a, b in itertools.combinations(SPLITS, 2))
    assert len(seen["train"]) == sum(line.split("(")[0] in seen["train"] for line in lines)
    assert len(seen["test"]) == len(set(seen["test"])) == round(0.1 * len(words))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b";;; # CMUdict  --  Major Version: 0.07\n;;;\n", b""),
        (b"\xef\xbb\xbf", b""),
        (b"\xef\xbb\xbf;;; caf\xe9, in Latin-1\r\n", b""),
        (b"\n", b"\n\n"),
        (b"", b";;; the end"),
    ],
)
def test_remarks_of_cmudict_are_no_words(tmp_path: Path, before: bytes, after: bytes):
    plain = spoken(tmp_path / "plain.dict")
    (tmp_path / "more.dict").write_bytes(before + plain.read_bytes() + after)
    one, other = (made("pronunciation", data=str(tmp_path / name)) for name in ("plain.dict", "more.dict"))
    assert one.dataset.read == other.dataset.read and one.dataset.written == other.dataset.written
    assert {**one.about(), "sha256": ""} == {**other.about(), "sha256": ""}


def test_the_nearest_pronunciation_counts(tmp_path: Path):
    task = made("pronunciation", data=str(spoken(tmp_path / "some.dict")))
    assert scores(task, "test", 3, truth(task))["phoneme_error_rate"] == 0
    assert scores(task, "test", 3, task.floor_guess)["phoneme_error_rate"] == pytest.approx(task.floor)
    counted = sys.modules[type(task).__module__].counted
    assert counted(["A", "B"], [["A", "C", "D"], ["A", "B", "T"], ["B"]]) == (1, 3, 1, 1)  # the first of equals
    assert counted(["A"], [["B"], ["A"]]) == (0, 1, 0, 1)
    assert task.finish({"edits": 3, "phonemes": 12, "wrong": 1, "words": 4, "nats": 1, "symbols": 2}) == {
        "phoneme_error_rate": 0.25,
        "word_error_rate": 0.25,
        "loss": 0.5,
    }


def test_another_pronunciation_is_right_too(tmp_path: Path):
    lines = [f"{a}{b}{c} {a} {b} {c}\n{a}{b}{c}(2) {c} {c}" for a, b, c in itertools.product("abcd", repeat=3)]
    (tmp_path / "some.dict").write_text("\n".join(lines))
    task = made("pronunciation", data=str(tmp_path / "some.dict"))

    def second(batch: Batch) -> torch.Tensor:
        last = [task.dataset.written.numbers[task.dataset.read.symbols[row[2]]] for row in batch.source.tolist()]
        return filled(task, [[symbol, symbol] for symbol in last])

    assert scores(task, "test", 4, second) == {"phoneme_error_rate": 0, "word_error_rate": 0, "loss": 0}


def test_phrases_are_spelt_with_tones():
    task = made("pronunciation", data="pypinyin")
    facts = task.about()
    assert sum(facts[f"{split}_rows"] for split in SPLITS) in range(47111, 47114)  # two have two readings
    for batch in (task.batch("test", index, 64, 0) for index in range(10)):
        for row, target, length in zip(
            batch.source.tolist(), batch.targets.tolist(), batch.source_lengths.tolist(), strict=True
        ):
            assert task.decode(target).count(" ") == length - 1 and 0 not in row[:length]
    assert {"ǎ", "ǚ", " "} <= set(task.dataset.written.symbols) and 0.5 < task.floor < 0.9


# --- caption


def test_digits_are_spelt():
    task, rows = made("caption"), made("caption", steps="rows")
    path = distribution("scikit-learn").locate_file("sklearn/datasets/data/digits.csv.gz")
    names = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    with gzip.open(str(path), "rt") as file:
        known = {tuple(map(int, line.split(",")[:-1])): names[int(line.split(",")[-1])] for line in file}
    pictures = 0
    for split in SPLITS:
        for index in range(task.batches(split, 50)):
            batch, other = task.batch(split, index, 50, 3), rows.batch(split, index, 50, 3)
            assert batch.source.shape[1:] == (1, 64) and other.source.shape[1:] == (8, 8)
            assert torch.equal(batch.source.flatten(1), other.source.flatten(1)) and set(other.source_lengths.tolist()) == {8}
            for source, target in zip(batch.source, batch.targets.tolist(), strict=True):
                assert task.decode(target) == known[tuple((16 * source[0]).int().tolist())]
            pictures += len(batch.source)
    assert pictures == 1250 + 250 + 250  # the rest of the training pictures takes part in another epoch
    kinds = [len({tuple(row) for row in task.batch("train", index, 50, 0).targets.tolist()}) for index in range(25)]
    assert min(kinds) >= 8  # of the ten; names of all lengths stand in one batch


def test_a_name_is_right_as_a_whole():
    task = made("caption")
    assert scores(task, "test", 40, truth(task))["exact"] == 1
    assert scores(task, "test", 40, task.floor_guess)["exact"] == pytest.approx(task.floor) and task.floor < 0.15
    longer = scores(task, "test", 40, lambda batch: torch.where(truth(task)(batch) == 0, 1, truth(task)(batch)))
    assert longer["exact"] == 0  # never ends
    batch = task.batch("test", 0, 4, 0)
    gone = batch._replace(scored=batch.scored & torch.tensor([True, True, False, True]).view(4, 1))
    assert float(task.score_written(truth(task)(batch), gone)["names"]) == 3


# --- what is refused, and what is learnt


def test_photographs_have_five_captions(data: Path):
    write_split(data, "mine", "train", photographs(20, 0))
    for split in ("validation", "test"):
        write_split(data, "mine", split, photographs(6, 1))
    task = made("photo_caption", hub=str(data / "mine"), side=4, min_frequency=1)
    assert task.batches("train", 1) == 100 and task.batches("test", 1) == 6 and task.source.size == 12
    batch = task.batch("test", 0, 6, 0)
    for row, text in enumerate(task._texts(batch.targets)):
        colour = batch.source[row].mean(0).view(4, 3).mean(0).argmax()
        assert text == f"a {('red', 'green', 'blue')[colour]} thing ."
    own = batch.targets
    pixels = [(part * 255).round().to(torch.uint8).numpy().tobytes() for part in batch.source]
    five = [task._known[key] for key in pixels]
    for number in range(5):  # any of the five is right, whole
        texts = [references[number] for references in five]
        lines = [list(column) for column in zip(*five, strict=True)]
        expected = sacrebleu.corpus_bleu(texts, lines, tokenize="none", force=True).score
        written = torch.zeros(6, max(len(t.split()) for t in texts) + 1, dtype=torch.int64)
        for row, text in enumerate(texts):
            numbers = task.written.encode(text.split())
            written[row, : len(numbers)] = torch.tensor(numbers)
        if not (written == 1).any():  # <unk> is how a word is written that training lacks
            found = task.score_written(written, batch) | task.score(torch.zeros(*own.shape, task.targets.size), batch)
            assert task.finish({name: float(value) for name, value in found.items()})["bleu"] == pytest.approx(expected)
    write_split(data, "broken", "train", photographs(20, 0) | {"image": [{"bytes": b"none", "path": ""}] * 20})
    for split in ("validation", "test"):
        write_split(data, "broken", split, photographs(6, 1))
    assert "a picture that cannot be read" in refusal(made, "photo_caption", hub=str(data / "broken"))
    write_split(data, "few", "train", {"image": [1], "caption_0": ["a"]})
    assert "no column 'caption_1'" in refusal(load, "photo_caption", hub=str(data / "few"))
    for split in SPLITS:
        write_split(data, "paths", split, photographs(6, 1) | {"image": ["a.png"] * 6})
    assert "column 'image' holds string; allowed: structs with bytes" in refusal(made, "photo_caption", hub=str(data / "paths"))


def test_the_longest_caption_is_none_of_the_test_split(data: Path):
    for split, words in (("train", 3), ("validation", 5), ("test", 9)):
        rows = photographs(6, 0)
        write_split(data, "mine", split, rows | {f"caption_{number}": ["a " * words] * 6 for number in range(5)})
    assert made("photo_caption", hub=str(data / "mine"), side=4, min_frequency=1).longest == 5 + 1


def test_bad_data_are_refused_in_one_line(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    rows = sentences(4, 0)
    french = {"de": rows["de"], "fr": rows["en"]}
    hub(data, dict.fromkeys(SPLITS, french))
    assert "no column 'en'; there are: de, fr" in refusal(load, "translation")
    hub(data, {"validation": rows}, "dev/set")
    assert "no split 'train'; there are: validation" in refusal(load, "translation", hub="dev/set")
    empty = {"de": rows["de"], "en": ["a", " ", "", "b"]}
    hub(data, {"train": rows, "validation": rows, "test": empty}, "some/other")
    message = refusal(made, "translation", hub="some/other")
    assert "column 'en'" in message and "'test' has 2 texts without a word, the first in row 2" in message
    assert not list((tmp_path / "cache" / "translation").iterdir())
    for number, side in enumerate(([0.5] * 4, [["a"]] * 4)):
        hub(data, {split: {"de": rows["de"], "en": side} for split in SPLITS}, f"odd/{number}")
        said = refusal(made, "translation", hub=f"odd/{number}")
        assert f"odd/{number}: split 'train': column 'en' holds" in said
    assert "both 'de'" in refusal(load, "translation", target_column="de")
    assert "no such folder" in refusal(load, "translation", hub="./nowhere")
    assert "did you mean 'cmudict'" in refusal(load, "pronunciation", data="cmudct")
    for number, (content, message) in enumerate(
        [
            (b"a A\nb\n", "line 2 has a word and no phoneme"),
            (b"a A\n\xff A\n", "is not UTF-8: line 2 has the byte 0xff"),
            (b"a A\n", "has 1 word;"),
        ]
    ):
        (tmp_path / f"{number}.dict").write_bytes(content)
        assert message in refusal(made, "pronunciation", data=str(tmp_path / f"{number}.dict"))


def test_a_missing_extra_is_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    assert "pip install 'rnnbench[translation]'" in refusal(load, "translation")

    def none(name: str):
        raise PackageNotFoundError(name)

    made("caption")
    for name in ("pronunciation", "caption"):
        module = sys.modules[type(load(name)).__module__]
        monkeypatch.setattr(module, "distribution", none, raising=False)
        monkeypatch.setattr(module, "find_spec", lambda name: None, raising=False)
    assert "pip install 'rnnbench[g2p]'" in refusal(load, "pronunciation")
    assert "pip install 'rnnbench[zh]'" in refusal(load, "pronunciation", data="pypinyin")
    assert "pip install 'rnnbench[digits]'" in refusal(load, "caption")


@pytest.mark.parametrize("name", ["translation", "pronunciation", "caption"])
def test_each_task_is_learnt(data: Path, tmp_path: Path, name: str):
    small(data, 200)
    lines = [f"{''.join(word)} {' '.join(word).upper()}" for word in itertools.product("abcdefg", repeat=3)]
    (tmp_path / "some.dict").write_text("\n".join(lines))
    own = {
        "translation": ["network.tied=false", "train.warmup=0"],
        "pronunciation": [f"task.data={tmp_path / 'some.dict'}"],
        "caption": [],
    }
    small_ = ["network.embedding=16", "network.dropout=0", "train.batch_size=16", "train.learning_rate=0.01", "tracker=none"]
    words = ["model.hidden_size=32", "train.steps=150", "train.eval_every=75", *small_, *own[name]]
    assert main(["train", f"task={name}", "model=gru", *words]) == 0
    (record,) = Path("runs").rglob("record.json")
    found = json.loads(record.read_text())
    score, floor = found["scores"]["test"][found["task"]["headline"]], found["task"]["floor"]
    assert score < 0.6 * floor if found["task"]["direction"] == "min" else score > 2 * floor


@pytest.mark.realdata
def test_real_multi30k(monkeypatch: pytest.MonkeyPatch):
    if not REAL:
        pytest.skip("RNNBENCH_DATA names no mirror of the real data sets")
    monkeypatch.setenv("RNNBENCH_DATA", REAL)
    task = made("translation")
    facts = task.about()
    assert [facts[f"{split}_rows"] for split in SPLITS] == [29000, 1014, 1000]
    assert task.floor == pytest.approx(3.2959, abs=1e-3) and facts["word_by_word_bleu"] == pytest.approx(27.64, abs=0.01)


def test_cmudict_is_read_by_its_path():
    task = made("pronunciation")
    facts = task.about()
    assert facts["validation_rows"] + facts["test_rows"] > 18000 and facts["target_vocabulary"] == 39 + 2
    assert "cmudict" not in sys.modules and task.floor == pytest.approx(0.848, abs=0.01)
