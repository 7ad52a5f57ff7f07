"""Laws over `tasks.NAMES`, and known answers of each task. Nothing here needs a network."""

from __future__ import annotations

import json
import math
import os
import pickle
import time
from collections import Counter
from pathlib import Path

import numpy
import pyarrow
import pyarrow.parquet
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from rnnbench import options, tasks
from rnnbench.hub import DataError
from rnnbench.tasks.task import SPLITS, Batch, Bits, Reals, Task, Tokens

SMALL = {  # options that make a task quick; a task that is not named here is tested as it is
    "adding": {"length": 12, "sequences": 1000},
    "copy_memory": {"delay": 5, "symbols": 3, "sequences": 1000},
    "char_lm": {"window": 17},
    "sentiment": {"min_frequency": 1},
}
KINDS = {Tokens: torch.int64, Reals: torch.float32, Bits: torch.float32}
REAL = os.environ.get("RNNBENCH_DATA")  # a mirror of the real data sets; read here, as tests do not see it
SST2 = "stanfordnlp/sst2"


def write_mirror(root: Path, name: str, splits: dict[str, dict[str, list]]) -> None:
    folder = root / name / "data"
    folder.mkdir(parents=True)
    for split, columns in splits.items():
        pyarrow.parquet.write_table(pyarrow.table(columns), folder / f"{split}-00000-of-00001.parquet")


def sst2(rows: int, seed: int = 0) -> dict[str, list]:
    """Texts of 1 to 12 words in the hub's columns; every third is there twice, once in capitals."""
    random = numpy.random.default_rng(seed)
    words = ["bad", "good", "film", "a", "the", "very", "not", "dull", "fine", "."]
    texts = [" ".join(random.choice(words, random.integers(1, 13))) + " " for _ in range(rows)]
    for row in range(2, rows, 3):
        texts[row] = texts[row - 1].upper()
    return {"idx": list(range(rows)), "sentence": texts, "label": [int(x) for x in random.integers(0, 2, rows)]}


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("mirror")
    test = sst2(9) | {"label": [-1] * 9}
    write_mirror(root, SST2, {"train": sst2(200), "validation": sst2(37, seed=1), "test": test})
    return root


@pytest.fixture(autouse=True)
def at_hand(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNBENCH_DATA", str(mirror))
    monkeypatch.setenv("RNNBENCH_CACHE", str(mirror / "cache"))


@pytest.fixture(scope="module", params=tasks.NAMES)
def task(request: pytest.FixtureRequest, mirror: Path) -> Task:
    with pytest.MonkeyPatch.context() as patch:  # made once, before a test's own environment is there
        patch.setenv("RNNBENCH_DATA", str(mirror))
        patch.setenv("RNNBENCH_CACHE", str(mirror / "cache"))
        made = tasks.load(request.param, **SMALL.get(request.param, {}))
        made.prepare()
    return made


def same(a: Batch, b: Batch) -> bool:
    return all(
        x is y if x is None or y is None else x.dtype == y.dtype and torch.equal(x, y) for x, y in zip(a, b, strict=True)
    )


def part(batch: Batch, rows: slice) -> Batch:
    return Batch(*(None if x is None else x[rows] for x in batch))


def oracle(task: Task, batch: Batch) -> torch.Tensor:
    """The outputs of a network that knows the targets."""
    if isinstance(task.targets, Tokens):
        return 100.0 * torch.nn.functional.one_hot(batch.targets, task.targets.size)
    return batch.targets if isinstance(task.targets, Reals) else 200 * batch.targets - 100


def added(*sums: dict[str, torch.Tensor]) -> dict[str, float]:
    return {name: math.fsum(float(one[name]) for one in sums) for name in sums[0]}


def walk(task: Task, split: str, batch_size: int) -> list[Batch]:
    return [task.batch(split, index, batch_size, 0) for index in range(task.batches(split, batch_size))]


def name_of(task: Task) -> str:
    return type(task).__module__.rsplit(".", 1)[-1]


class Batches(Dataset):
    def __init__(self, task: Task):
        self.task = task

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> Batch:
        return self.task.batch("train", index, 4, 7)


# --- laws


@pytest.mark.parametrize("split", SPLITS)
def test_batch_is_a_pure_function(task: Task, split: str):
    indices = range(min(4, task.batches(split, 4)))
    forward = [task.batch(split, index, 4, 3) for index in indices]
    other = tasks.load(name_of(task), **SMALL.get(name_of(task), {}))
    other.prepare()
    backward = [other.batch(split, index, 4, 3) for index in reversed(indices)][::-1]
    assert all(map(same, forward, backward))
    assert all(map(same, forward, [pickle.loads(pickle.dumps(task)).batch(split, index, 4, 3) for index in indices]))  # noqa: S301


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_change_nothing(task: Task, workers: int):
    loader = DataLoader(Batches(task), batch_size=None, num_workers=workers)
    assert all(same(got, task.batch("train", index, 4, 7)) for index, got in enumerate(loader))


@pytest.mark.parametrize("split", SPLITS)
def test_batch_keeps_the_contract(task: Task, split: str):
    for batch in (task.batch(split, index, 4, 0) for index in (0, task.batches(split, 4) - 1)):
        rows, steps = batch.inputs.shape[:2]
        answers = 1 if task.structure == "N->1" else steps
        for stream, values, length in ((task.inputs, batch.inputs, steps), (task.targets, batch.targets, answers)):
            assert values.dtype == KINDS[type(stream)]
            tail = () if isinstance(stream, Tokens) else (stream.size,)
            assert values.shape == (rows, length, *tail)
            if isinstance(stream, Tokens):
                assert values.min() >= 0 and values.max() < stream.size
        assert batch.scored.dtype == torch.bool and batch.scored.shape == (rows, answers)
        assert batch.lengths.dtype == torch.int64 and batch.lengths.shape == (rows,)
        assert batch.fresh.dtype == torch.bool and batch.fresh.shape == (rows,)
        assert batch.lengths.min() >= 1 and batch.lengths.max() == steps
        assert batch.scored.any()
        if answers == steps:
            assert not (batch.scored & (torch.arange(steps) >= batch.lengths[:, None])).any()
        if not task.carries:
            assert batch.fresh.all()
    if split == "train":
        assert len(task.batch(split, 0, 4, 0).inputs) == 4


def test_first_batch_of_a_split_is_fresh(task: Task):
    assert all(task.batch(split, 0, 4, 0).fresh.all() for split in SPLITS)


def test_seed_moves_training_only(task: Task):
    assert not same(task.batch("train", 0, 4, 0), task.batch("train", 0, 4, 1))
    assert not same(task.batch("train", 0, 4, 0), task.batch("train", 1, 4, 0))
    for split in SPLITS[1:]:
        assert same(task.batch(split, 0, 4, 0), task.batch(split, 0, 4, 1))
    assert not same(task.batch("validation", 0, 4, 0), task.batch("test", 0, 4, 0))


def test_floor_is_what_its_guess_scores(task: Task):
    sums = [task.score(task.floor_guess(batch), batch) for batch in walk(task, "test", 20)]
    score = task.finish(added(*sums))[task.headline]
    if task.fingerprint:
        assert score == pytest.approx(task.floor, rel=1e-6)
    else:  # generated: within 5 standard errors
        scores = [task.finish(added(one))[task.headline] for one in sums]
        assert abs(score - task.floor) < 5 * numpy.std(scores) / math.sqrt(len(scores)) + 1e-6 * abs(task.floor)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_pass_has_every_row_once(task: Task, split: str):
    passes = [walk(task, split, batch_size) for batch_size in (7, 16)]
    assert len({sum(int(batch.scored.sum()) for batch in batches) for batches in passes}) == 1
    if not task.carries:
        assert len({sum(len(batch.inputs) for batch in batches) for batches in passes}) == 1
    first, second = (
        Counter(
            (*row[:length].flatten().tolist(), *target.flatten().tolist())
            for batch in batches
            for row, length, target in zip(batch.inputs, batch.lengths, batch.targets, strict=True)
        )
        for batches in passes
    )
    assert first == second


def test_sums_add_up_over_rows(task: Task):
    batch = task.batch("train", 1, 6, 0)
    outputs = task.floor_guess(batch).clone() + torch.linspace(0, 1, 6).view(6, 1, 1)
    outputs[:, -1, 0] = 0.3
    halves = (slice(0, 2), slice(2, 6))
    whole = added(task.score(outputs, batch))
    assert all(value.dtype == torch.float64 and value.ndim == 0 for value in task.score(outputs, batch).values())
    assert added(*(task.score(outputs[rows], part(batch, rows)) for rows in halves)) == pytest.approx(whole, rel=1e-9)
    losses = [task.loss(outputs[rows].float(), part(batch, rows)) for rows in halves]
    total, count = task.loss(outputs.float(), batch)
    assert float(losses[0][0] + losses[1][0]) == pytest.approx(float(total), rel=1e-5)
    assert int(losses[0][1] + losses[1][1]) == int(count) == int(batch.scored.sum())


def test_steps_that_are_not_scored_do_not_count(task: Task):
    batch = task.batch("train", 0, 4, 0)
    scored = batch.scored.clone()
    scored[0, -1] = False  # as padding would be
    batch = batch._replace(scored=scored)
    outputs = oracle(task, batch).double()
    changed = outputs.clone()
    changed[0, -1] = changed[0, -1].flip(0) - 5
    assert torch.equal(task.loss(outputs, batch)[0], task.loss(changed, batch)[0])
    assert not torch.equal(changed, outputs)
    assert int(task.loss(outputs, batch)[1]) == int(scored.sum())


def test_knowing_the_targets_is_perfect(task: Task):
    batches = walk(task, "test", 50)[:3]
    scores = task.finish(added(*(task.score(oracle(task, batch), batch) for batch in batches)))
    assert scores[task.headline] == pytest.approx(0 if task.direction == "min" else 1, abs=1e-6)
    better = scores[task.headline] < task.floor if task.direction == "min" else scores[task.headline] > task.floor
    assert better and math.isfinite(task.floor)


@pytest.mark.parametrize("name", tasks.NAMES)
def test_source_says_it_all(name: str):
    signature = options.read(tasks.sources()[name], base="Task")
    assert signature.doc_line("Floor") and signature.doc_line("Source")
    assert {"version", "structure", "causal", "headline", "direction"} <= signature.constants.keys()
    for option in signature.options.values():
        assert option.comment, f"{name}.{option.name} has no unit or meaning"
        assert option.check(option.default, option.name) == option.default


def test_facts_are_plain(task: Task):
    assert json.loads(json.dumps(task.about())) == task.about()


def test_unknown_task_is_named():
    with pytest.raises(ValueError, match="did you mean 'copy_memory'"):
        tasks.load("copi_memory")


# --- copy memory, adding


def test_copy_memory_is_laid_out_as_arjovsky_et_al():
    task = tasks.load("copy_memory", delay=4, symbols=3)
    batch = task.batch("train", 0, 5, 0)
    symbols = batch.inputs[:, :3]
    assert ((symbols >= 1) & (symbols <= 8)).all()
    assert batch.inputs[:, 3:].tolist() == [[0, 0, 0, 9, 0, 0, 0]] * 5
    assert torch.equal(batch.targets, torch.cat([torch.zeros(5, 7, dtype=torch.int64), symbols], 1))
    assert batch.scored.all() and task.inputs == Tokens(10) and task.targets == Tokens(9)
    assert tasks.load("copy_memory").floor == pytest.approx(10 * math.log(8) / 120)


def test_copy_memory_is_laid_out_as_bai_et_al():
    batch = tasks.load("copy_memory", delay=4, symbols=3, form="bai").batch("train", 0, 5, 0)
    assert batch.inputs.shape == (5, 10, 1) and batch.inputs.dtype == torch.float32
    assert batch.inputs[:, 3:, 0].tolist() == [[0, 0, 0, 9, 9, 9, 9]] * 5
    assert torch.equal(batch.targets[:, -3:], batch.inputs[:, :3, 0].long()) and not batch.targets[:, :-3].any()


def test_adding_asks_for_the_sum_of_the_marked():
    batch = tasks.load("adding", length=10).batch("train", 0, 500, 0)
    numbers, marks = batch.inputs.unbind(-1)
    assert (numbers >= 0).all() and (numbers < 1).all()
    assert (marks[:, :5].sum(1) == 1).all() and (marks[:, 5:].sum(1) == 1).all()
    for row in range(500):
        assert float(batch.targets[row]) == pytest.approx(float(numbers[row][marks[row] == 1].sum()))
    anywhere = tasks.load("adding", length=10, marks="anywhere").batch("train", 0, 500, 0).inputs[..., 1]
    assert (anywhere.sum(1) == 2).all() and (anywhere[:, :5].sum(1) == 2).any()


# --- characters


def char_lm(path: Path, text: str, **more):
    path.write_text(text, encoding="utf-8", newline="")
    task = tasks.load("char_lm", text=str(path), **more)
    task.prepare()
    return task


def sample(characters: int) -> str:
    return "".join(numpy.random.default_rng(0).choice(list("abcdé \n"), characters))


@pytest.mark.parametrize("characters", [211, 220, 221, 230, 1000])  # rows of 21 (and a bit), 22, ... 100 characters
def test_char_lm_evaluates_each_character_once(tmp_path: Path, characters: int):
    text = sample(characters * 10)
    task = char_lm(tmp_path / "text", text, window=11, held_out=0.1)
    batches = walk(task, "test", 4)
    assert [bool(batch.fresh.all()) for batch in batches] == [True] + [False] * (len(batches) - 1)
    assert not any(batch.fresh.any() for batch in batches[1:]) and all(len(batch.inputs) == 10 for batch in batches)
    rows, read = [""] * 10, [""] * 10
    for batch in batches:
        for row in range(10):
            rows[row] += task.decode(batch.targets[row][batch.scored[row]].tolist())
            read[row] += task.decode(batch.inputs[row][: batch.lengths[row]].tolist())
    assert "".join(rows) == text[-characters + 1 :]
    assert "".join(read) == text[-characters:-1]
    assert max(map(len, rows)) - min(map(len, rows)) <= 1


def test_char_lm_rows_continue(tmp_path: Path):
    text = sample(5000)
    task = char_lm(tmp_path / "text", text, window=20)
    windows = task.batches("train", 8)
    assert windows == (4500 - 1 - 20) // (8 * 20)
    epochs = set()
    for epoch in range(3):
        batches = [task.batch("train", epoch * windows + place, 8, 1) for place in range(windows)]
        assert [bool(batch.fresh.all()) for batch in batches] == [True] + [False] * (windows - 1)
        assert all(torch.equal(batch.inputs[:, 1:], batch.targets[:, :-1]) and batch.scored.all() for batch in batches)
        walked = task.decode(torch.cat([batch.inputs for batch in batches], 1).flatten().tolist())
        assert walked in text[:4500]  # the rows are neighbours, and each goes on where it was left
        following = task.decode(torch.cat([batch.targets for batch in batches], 1).flatten().tolist())
        assert following in text[:4500] and following[:-1] == walked[1:]
        epochs.add(text.index(walked))
    assert len(epochs) == 3  # each epoch begins elsewhere


def test_char_lm_knows_training_characters_only(tmp_path: Path):
    task = char_lm(tmp_path / "text", "ab" * 400 + "a" * 100 + "b" * 50 + "ü" * 50, window=10)
    assert task.vocabulary.symbols == ("<unk>", "a", "b") and task.inputs == task.targets == Tokens(3)
    assert all((batch.targets[batch.scored] == 0).all() for batch in walk(task, "test", 4))
    assert task.floor == pytest.approx(-math.log2(1 / (900 + 3)))
    assert task.decode(task.encode("abba")) == "abba"
    with pytest.raises(ValueError, match=r"'ü' is not in the vocabulary of 3 symbols"):
        task.encode("abü")


def test_char_lm_keeps_line_ends(tmp_path: Path):
    task = char_lm(tmp_path / "text", "a\r\n" * 500, window=10)
    assert set(task.vocabulary.symbols) == {"<unk>", "a", "\r", "\n"}


def test_python_reference_is_embedded():
    from pydoc_data.topics import topics

    task = tasks.load("char_lm")
    task.prepare()
    facts = task.about()
    total = sum(map(len, topics.values()))
    assert sum(facts[f"{split}_characters"] for split in SPLITS) == total
    assert facts["test_characters"] == facts["validation_characters"] == int(total * 0.05)
    assert facts["sha256"] == task.fingerprint and len(task.fingerprint) == 64


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file"),
        ("folder", "is a folder"),
        (b"", "is empty"),
        (b"abc\xff" * 1000, "is not UTF-8: byte 3 is 0xff"),
        (b"a" * 2000, r"100 characters for validation; window=100 needs at least 101"),
    ],
)
def test_char_lm_refuses_in_one_line(tmp_path: Path, content: bytes | str | None, message: str):
    path = tmp_path / "text"
    if content == "folder":
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        tasks.load("char_lm", text=str(path))
    assert "\n" not in str(error.value) and str(path) in str(error.value)


def test_char_lm_refuses_more_rows_than_the_text_has(tmp_path: Path):
    task = char_lm(tmp_path / "text", sample(3000), window=50)
    assert task.batches("train", 53) == 1 and task.batch("train", 9, 53, 0).scored.all()
    with pytest.raises(ValueError, match="batch_size=54 rows of window=50 need at least 2701"):
        task.batch("train", 0, 54, 0)


def test_char_lm_names_the_nearest_text():
    with pytest.raises(ValueError, match="did you mean 'tiny_shakespeare'"):
        tasks.load("char_lm", text="tiny_shakespear")


# --- sentiment


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RNNBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("RNNBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody answers there
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def texts_of(task: Task, split: str) -> Counter:
    """(text, label) pairs of an evaluation split, or of one training epoch."""
    return Counter(
        (" ".join(task.vocabulary.decode(row[:length].tolist())), int(label))
        for batch in walk(task, split, 1)
        for row, length, label in zip(batch.inputs, batch.lengths, batch.targets, strict=True)
    )


def test_sst2_is_tested_on_its_validation_split(data: Path):
    train, validation = sst2(200), sst2(20, seed=1)
    train["sentence"][:3] = ["", "  ", "bad\n"]
    write_mirror(data, SST2, {"train": train, "validation": validation})
    task = tasks.load("sentiment", min_frequency=1)
    task.prepare()
    got = {split: texts_of(task, split) for split in SPLITS}

    def as_words(columns: dict[str, list]) -> Counter:
        return Counter((" ".join(t.split()) or "<unk>", y) for t, y in zip(columns["sentence"], columns["label"], strict=True))

    known = set(task.vocabulary.symbols)
    cut = Counter()
    for (text, label), count in as_words(validation).items():
        cut[" ".join(word if word in known else "<unk>" for word in text.split()), label] += count
    assert got["test"] == cut
    assert got["train"].total() + got["validation"].total() == 200
    groups = {" ".join(text.split()).casefold() for text in train["sentence"]}
    # a word of validation that training lacks is <unk>, so only texts without it can be compared
    selected = {text.casefold() for text, _ in got["validation"] if "<unk>" not in text}
    assert len(groups) * 0.02 < len({text.casefold() for text, _ in got["validation"]}) < len(groups) * 0.1
    assert not selected & {text.casefold() for text, _ in got["train"]}
    majority = max((0, 1), key=lambda label: sum(n for (_, y), n in got["train"].items() if y == label))
    assert task.floor == sum(y == majority for y in validation["label"]) / 20
    assert task.about()["test_texts"] == 20


def test_sentiment_selects_the_same_texts_whatever_the_tokenizer(data: Path):
    write_mirror(data, SST2, {"train": sst2(100), "validation": sst2(20, seed=1)})
    sizes = set()
    for tokenizer in ("whitespace", "basic_english", "characters"):
        task = tasks.load("sentiment", tokenizer=tokenizer)
        task.prepare()
        labels = torch.cat([batch.targets for batch in walk(task, "validation", 1)]).sum()
        sizes.add((task.batches("validation", 1), int(labels)))
    assert len(sizes) == 1


def test_sentiment_cuts_words_and_texts(data: Path):
    rows = {"text": ["a a b c", "b a", "", "z z z z"], "label": [0, 1, 0, 1]}
    other = {"text": ["new new"] * 9, "label": [0] * 9}  # counts for nothing: words are counted in training text only
    write_mirror(
        data, "SetFit/sst2", {"train": rows, "validation": other, "test": rows | {"text": ["a a", "b a", "", "new z"]}}
    )
    task = tasks.load("sentiment", hub="SetFit/sst2", max_vocabulary=4, max_length=2)
    task.prepare()
    # counted after the cut to two words: a 3, z 2, b 1
    assert task.vocabulary.symbols == ("<pad>", "<unk>", "a", "z")
    batch = task.batch("test", 0, 10, 0)
    assert batch.inputs.tolist() == [[1, 0], [2, 2], [1, 2], [1, 3]] and batch.lengths.tolist() == [1, 2, 2, 2]
    assert batch.targets.tolist() == [[0], [0], [1], [1]]


def test_sentiment_prepares_once(data: Path):
    write_mirror(data, SST2, {"train": sst2(100), "validation": sst2(20, seed=1)})
    for _ in range(2):
        tasks.load("sentiment").prepare()
    (folder,) = (data.parent / "cache" / "sentiment").iterdir()
    made = folder.stat().st_mtime_ns
    tasks.load("sentiment", min_frequency=3).prepare()
    assert len(list(folder.parent.iterdir())) == 2 and folder.stat().st_mtime_ns == made


def test_changed_data_are_prepared_anew(data: Path):
    fingerprints = []
    for seed in (0, 5):
        path = data / SST2
        write_mirror(data / str(seed), SST2, {"train": sst2(100, seed), "validation": sst2(20, seed=1)})
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(data / str(seed) / SST2)
        task = tasks.load("sentiment")
        task.prepare()
        fingerprints.append((task.fingerprint, tuple(sorted(texts_of(task, "train")))))
    assert fingerprints[0][0] != fingerprints[1][0] and fingerprints[0][1] != fingerprints[1][1]


def test_sentiment_refuses_in_one_line(data: Path):
    with pytest.raises(ValueError, match="did you mean 'stanfordnlp/sst2'"):
        tasks.load("sentiment", hub="stanfordnlp/sst")
    with pytest.raises(ValueError, match="whitespace, basic_english, characters"):
        tasks.load("sentiment", tokenizer="basic")
    write_mirror(data, SST2, {"train": {"text": ["a"], "label": [0]}, "validation": sst2(20)})
    with pytest.raises(DataError, match="no column 'sentence'; there are: text, label"):
        tasks.load("sentiment")
    rows = {"text": ["a", "b"], "label": [0, -1]}
    write_mirror(data, "SetFit/sst2", {"train": rows, "validation": rows})
    with pytest.raises(DataError, match="no split 'test'; there are: train, validation"):
        tasks.load("sentiment", hub="SetFit/sst2")
    write_mirror(data, "cornell-movie-review-data/rotten_tomatoes", dict.fromkeys(SPLITS, rows))
    with pytest.raises(DataError, match="split 'train' has the label -1; allowed: 0 and 1"):
        tasks.load("sentiment", hub="cornell-movie-review-data/rotten_tomatoes").prepare()
    assert not list((data.parent / "cache" / "sentiment").iterdir())


@pytest.mark.parametrize("offline", ["0", "1"])
def test_without_network_it_says_so_at_once(data: Path, monkeypatch: pytest.MonkeyPatch, offline: str):
    monkeypatch.setenv("HF_HUB_OFFLINE", offline)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", offline == "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", offline == "1")
    task = tasks.load("sentiment")
    began = time.monotonic()
    with pytest.raises(DataError, match="connect to the network once, or set RNNBENCH_DATA") as error:
        task.prepare()
    assert time.monotonic() - began < 5
    assert "\n" not in str(error.value) and "stanfordnlp/sst2/data/<split>-*.parquet" in str(error.value)


# --- the real sets, where they are at hand


@pytest.fixture
def real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not REAL:
        pytest.skip("RNNBENCH_DATA names no mirror of the real data sets")
    monkeypatch.setenv("RNNBENCH_DATA", REAL)
    monkeypatch.setenv("RNNBENCH_CACHE", str(tmp_path))


@pytest.mark.realdata
@pytest.mark.usefixtures("real")
def test_real_sst2():
    task = tasks.load("sentiment")
    task.prepare()
    facts = task.about()
    assert facts["train_texts"] + facts["validation_texts"] == 67349 and facts["test_texts"] == 872
    assert 0.04 < facts["validation_texts"] / 67349 < 0.06
    assert task.floor == pytest.approx(444 / 872)
    batches = walk(task, "train", 64)
    assert sum(int(b.lengths.sum()) for b in batches) > 0.95 * sum(b.inputs.numel() for b in batches)


@pytest.mark.realdata
@pytest.mark.usefixtures("real")
@pytest.mark.parametrize(
    ("name", "sizes"),
    [("SetFit/sst2", (6920, 872, 1821)), ("cornell-movie-review-data/rotten_tomatoes", (8530, 1066, 1066))],
)
def test_real_published_splits(name: str, sizes: tuple[int, ...]):
    task = tasks.load("sentiment", hub=name)
    task.prepare()
    assert tuple(task.about()[f"{split}_texts"] for split in SPLITS) == sizes


@pytest.mark.realdata
@pytest.mark.usefixtures("real")
def test_real_tiny_shakespeare():
    task = tasks.load("char_lm", text="tiny_shakespeare")
    task.prepare()
    facts = task.about()
    assert tuple(facts[f"{split}_characters"] for split in SPLITS) == (1003854, 55770, 55770)
    assert facts["vocabulary"] == 66  # its 65 characters, and <unk>
    assert (
        facts["sha256"] == "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
    )  # of the file all versions come from
