"""What a run begins with and keeps: vectors of a file, vocabularies that a fresh process reads where the data are gone."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy
import pytest

import rnnbench
from rnnbench.cli.main import main
from rnnbench.config.compose import compose_jobs
from rnnbench.tasks import load

REVIEWS = "text,label\n" + "\n".join(f"{word} film {number % 7},{word}" for number in range(60) for word in ("good", "bad"))
QUICK = ["model=gru", "model.hidden_size=8", "train.steps=20", "train.eval_every=10", "train.batch_size=8", "tracker=none"]


@pytest.fixture(autouse=True)
def files(clean, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNBENCH_CACHE", str(tmp_path / "cache"))
    Path("reviews.csv").write_text(REVIEWS)
    Path("glove.txt").write_text("good 1 2 3\nbad -1 -2 -3\nnever 7 8 9\n")


def reviews(*more: str) -> list[str]:
    return ["train", "task=text_classification", "task.file=reviews.csv", "network.embedding=3", *QUICK, *more]


def only() -> Path:
    (record,) = Path("runs").rglob("record.json")
    return record.parent


def test_the_embedding_begins_with_the_vectors():
    from rnnbench.run.execute import execute
    from rnnbench.run.plan import make_task, new_network

    (job,) = compose_jobs([*reviews("task.vectors=glove.txt", "train.learning_rate=1e-12")[1:]], sweep=False)
    task = make_task(job)
    task.prepare()
    network, coverage = new_network(job, task)
    symbols = task.vocabulary.symbols
    weight = network.codec.embedding.weight.detach()
    assert weight[symbols.index("good")].tolist() == [1, 2, 3] and weight[symbols.index("bad")].tolist() == [-1, -2, -3]
    assert coverage == {"symbols": len(symbols), "found": 2}
    assert weight[symbols.index("film")].abs().sum() > 0  # a word that the file lacks
    record = execute(job)
    assert record["task"]["vectors"] == coverage
    trained = rnnbench.load(only())
    assert numpy.allclose(trained.network.codec.embedding.weight[symbols.index("good")].detach(), [1, 2, 3], atol=1e-3)


def test_other_vectors_are_another_run():
    plain = load("text_classification", file="reviews.csv")
    plain.prepare()
    found = {plain.fingerprint}
    for text in ("good 1 2 3\n", "good 1 2 4\n"):
        Path("glove.txt").write_text(text)
        task = load("text_classification", file="reviews.csv", vectors="glove.txt")
        task.prepare()
        found.add(task.fingerprint)
    assert len(found) == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["task.vectors=glove.txt", "network.embedding=100"], "line 1 has a vector of 3 numbers; the embedding is 100 wide"),
        (["task.vectors=glove.txt", "network.embedding=0"], "network.embedding=0 feeds one-hot vectors"),
        (["task.vectors=nowhere.txt"], "task.vectors=nowhere.txt: there is no such file"),
        (["task.vectors=reviews.csv"], "the embedding is 3 wide"),
    ],
)
def test_vectors_that_do_not_fit_are_refused(words: list[str], message: str, capfd):
    assert main(reviews(*words)) == 2
    out, err = capfd.readouterr()
    assert out == "" and err.count("\n") == 1 and message in err, err
    assert not Path("runs").exists()


def fresh(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_fresh_process_writes_without_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    Path("text.txt").write_text("the cat sat on the mat. " * 500)
    assert main(["train", "task=char_lm", "task.text=text.txt", "task.window=20", *QUICK]) == 0
    symbols = json.loads((only() / "vocabulary.json").read_text())["vocabulary"]
    assert sorted(symbols) == sorted({*"the cat sat on the mat. ", "<unk>"})
    write = f"from rnnbench.cli.main import main; main(['sample', {str(only())!r}, '--prompt', 'the ', '--length', '20'])"
    before = fresh(write)
    assert before.startswith("the ") and len(before) == 25
    Path("text.txt").unlink()
    monkeypatch.setenv("RNNBENCH_CACHE", str(tmp_path / "another"))
    assert fresh(write) == before
    (only() / "vocabulary.json").unlink()
    assert main(["sample", str(only())]) == 2


def test_a_kept_vocabulary_is_no_licence_to_change_the_data():
    Path("text.txt").write_text("the cat sat on the mat. " * 500)
    assert main(["train", "task=char_lm", "task.text=text.txt", "task.window=20", *QUICK]) == 0
    Path("text.txt").write_text("the dog sat on the mat. " * 500)
    with pytest.raises(ValueError, match="the data there is not that of the record"):
        rnnbench.load(only())


def test_a_long_text_is_never_held():
    """Ninety megabytes are prepared and read, and the process grows by Arrow and a few pieces; held, they would take 700."""
    if not Path("/proc/self/status").exists():
        pytest.skip("Linux says how much memory a process had at most")
    with open("long.txt", "w") as file:
        for number in range(100):
            file.write(f"line {number} of a text that is long\n" * (1_000_000 // 33))
    code = """
import re
from rnnbench import tasks
from rnnbench.tasks.task import SPLITS  # torch is there before anything is measured
task = tasks.load("char_lm", text="long.txt")
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])  # kilobytes
before = peak()
task.prepare()
task.batch("train", 0, 32, 0), task.batch("validation", 0, 32, 0), task.floor
print((peak() - before) // 1024, task.about()["train_characters"])
"""
    grown, characters = map(int, fresh(code).split())
    assert characters > 80_000_000 and grown < 150, f"{grown} MB"


def test_torchtext_cuts_numbers_and_embeds_in_a_run():
    if find_spec("torchtext") is None:
        pytest.skip("the extra torchtext")
    assert main(reviews("task.tokenizer=torchtext_basic_english", "task.vectors=glove.txt", "train.learning_rate=1e-12")) == 0
    code = f"""
import json, numpy, rnnbench
from rnnbench.data import text, torchtext_bridge
trained = rnnbench.load({str(only())!r})
kept = json.load(open({str(only() / "vocabulary.json")!r}))["vocabulary"]
theirs = torchtext_bridge.torchtext_vocabulary(kept, kept.index("<unk>"))
line = "A GOOD film!"
cut = torchtext_bridge.torchtext_tokenizer("basic_english")(line)
assert theirs(cut) == trained.task.vocabulary.encode(cut) and theirs.get_itos() == list(trained.task.vocabulary.symbols)
vectors = torchtext_bridge.vectors_by_name("glove.txt", ["good", "bad"], "torchtext_cache")
weight = trained.network.codec.embedding.weight.detach().numpy()
assert numpy.allclose(weight[theirs(["good", "bad"])], vectors, atol=1e-3)
print(theirs(cut))
"""
    assert fresh(code).startswith("[")


class Killed(BaseException):
    pass


@pytest.mark.parametrize("kind", ["text_classification", "char_lm"])
def test_workers_and_a_resume_change_nothing(kind: str, monkeypatch: pytest.MonkeyPatch):
    """0, 1 and 4 processes that make batches, and 4 with the run killed and begun again: the same rows, weights and scores."""
    from rnnbench.run.execute import execute
    from rnnbench.training.learner import Learner

    Path("text.txt").write_text("the cat sat on the mat. " * 500)
    words = reviews()[1:] if kind == "text_classification" else ["task=char_lm", "task.text=text.txt", "task.window=20", *QUICK]

    def end_of(root: str, workers: int) -> tuple:
        (job,) = compose_jobs([*words, "network.dropout=0.2", f"trainer.workers={workers}", f"runs={root}"], sweep=False)
        record = execute(job)
        (path,) = Path(root).rglob("metrics.jsonl")
        return path.read_text(), record["scores"], record["weights"]

    alone = end_of("alone", 0)
    assert end_of("one", 1) == alone and end_of("four", 4) == alone
    stepped = Learner.on_train_batch_end

    def dies(self, *arguments) -> None:
        stepped(self, *arguments)
        if self.step == 13:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Learner, "on_train_batch_end", dies)
        with pytest.raises(Killed):
            end_of("killed", 4)
    assert end_of("killed", 4) == alone


def test_a_killed_preparation_leaves_nothing_that_is_used(tmp_path: Path):
    Path("long.txt").write_text("the cat sat on the mat .\n" * 400_000)
    prepare = [sys.executable, "-m", "rnnbench", "prepare", "word_lm", "task.text=long.txt"]
    cache = tmp_path / "cache/word_lm"
    process = subprocess.Popen(prepare, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not list(cache.glob(".part-*/train.arrow")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert [path.name[:6] for path in cache.iterdir()] == [".part-"]  # a name that nothing looks for
    done = subprocess.run(prepare, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "train_words 2880000" in done.stdout, done.stdout + done.stderr
    assert sorted(path.name[0] for path in cache.iterdir())[0] == "." and len(list(cache.iterdir())) == 2


def test_the_data_benchmark_counts_padding(capfd):
    from rnnbench.benchmarks.data import measure

    real, share = measure(quick=True, words=[*reviews()[1:-1]])
    assert 0.9 < real <= 1 and share > 0  # all reviews are three words long
    made_up, share = measure(quick=True)
    assert made_up > 0.95 and share > 0  # how small the share is, is the benchmark's own judgement
    out = capfd.readouterr().out
    assert "real tokens: 100.0% with buckets (at least 95 % wanted), 100.0% without" in out


def test_a_folder_is_loaded_where_one_finished_run_lies_below(capfd):
    assert main(reviews()) == 0
    assert rnnbench.load("runs/text_classification").record["id"] == rnnbench.load(only()).record["id"]
    assert main(reviews("seed=1")) == 0
    with pytest.raises(ValueError, match="2 finished runs there; name one, such as"):
        rnnbench.load("runs")
    Path("empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no finished run"):
        rnnbench.load("empty")


def test_a_run_that_diverged_is_not_the_finished_one(capfd):
    assert main(reviews()) == 0
    good = only()
    shutil.move(good, "good")
    wild = reviews("seed=1", "train.learning_rate=1e30", "train.clip=null", "train.optimizer=sgd")
    assert main(wild) == 0 and json.loads((only() / "record.json").read_text())["status"] == "diverged"
    with pytest.raises(FileNotFoundError, match=f"runs: no finished runs there, 1 that diverged, such as {only()}; one is"):
        rnnbench.load("runs")
    capfd.readouterr()
    for path in ("runs", str(only())):
        assert main(["sample", path]) == 2
        assert "1 that diverged" in capfd.readouterr().err
    shutil.move("good", good)
    assert rnnbench.load("runs").record["id"] == rnnbench.load(good).record["id"]
