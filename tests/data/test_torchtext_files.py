"""What torchtext leaves behind: the tokens of a vocabulary, written out, and vectors in its cache. Nothing is unpickled."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rnnbench.cli.main import main
from rnnbench.data.text import read_vocabulary
from rnnbench.tasks import load
from rnnbench.tasks.task import Task

TOKENS = ["<unk>", "<pad>", "film", "fine", "poor", "unheard", "'", "\t"]
ROWS = [(f"film {n} was {['poor', 'fine'][n % 2]}", f"{n % 2}") for n in range(40)]
QUICK = ["model=gru", "model.hidden_size=4", "train.steps=4", "train.eval_every=2", "train.batch_size=2", "tracker=none"]


@pytest.fixture(autouse=True)
def here(clean, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in ROWS))
    Path("a.txt").write_text("".join(f"{text}\n" for text, _ in ROWS))
    Path("vocab.json").write_text(json.dumps(TOKENS))


def made(name: str, **options: object) -> Task:
    task = load(name, **options)
    task.prepare()
    return task


TASKS = {
    "text_classification": {"file": "a.csv"},
    "text_labels": {"file": "a.csv"},
    "text_regression": {"file": "a.csv", "value_column": "label"},
    "word_lm": {"file": "a.txt", "window": 3, "held_out": 0.2},
}


@pytest.mark.parametrize("name", TASKS)
def test_a_vocabulary_that_was_brought_numbers_the_words(name: str):
    end = ("<eos>",) if name == "word_lm" else ()
    task, own = (made(name, **TASKS[name], **more) for more in ({"vocabulary": "vocab.json"}, {}))
    assert task.vocabulary.symbols == (*TOKENS, *end) and task.inputs.size == len(TOKENS) + len(end)
    tokens = task.dataset.tokens["train"]
    words = task.vocabulary.decode((tokens if name == "word_lm" else tokens.values).tolist())
    assert set(words) == {"film", "fine", "poor", "<unk>", *end} and words.count("film") == words.count("<unk>") / 2
    assert f"task.vocabulary=vocab.json: {len(TOKENS) + len(end)} symbols, {len(set(words))} of them in the" in "\n".join(
        task.notes
    )
    assert task.fingerprint != own.fingerprint and task.sha256 == own.sha256
    Path("moved.json").write_text(json.dumps(TOKENS))
    Path("other.json").write_text(json.dumps(TOKENS[::-1]))
    found = [made(name, **TASKS[name], vocabulary=f"{file}.json").fingerprint for file in ("moved", "other")]
    assert found[0] == task.fingerprint != found[1]


@pytest.mark.parametrize("content", ["\n".join(TOKENS[:7]), "\n".join(TOKENS[:7]) + "\n", "\ufeff" + "\r\n".join(TOKENS[:7])])
def test_a_token_a_line(content: str):
    Path("vocab.txt").write_text(content, newline="")
    assert read_vocabulary("vocab.txt").symbols == tuple(TOKENS[:7])
    Path("vocab.txt").write_text("a\nb\n")
    assert read_vocabulary("vocab.txt").symbols == ("a", "b", "<unk>")


REFUSED = {
    "vocab.pt": "PK",
    "vocab.pth": "",
    "vocab.pkl": "\x80",
    "a.json": "{",
    "b.json": '{"a": 0}',
    "c.json": '["a", 1]',
    "d.json": "[]",
    "e.json": '["a", "a"]',
    "f.json": '["a", ""]',
    "a.txt": "a\n\nb\n",
    "b.txt": "",
}
SAID = {
    ".pt": 'json.dump(vocab.get_itos(), open("vocab.json", "w"))',
    "a.json": "a.json cannot be read: ",
    "e.json": "has 'a' twice",
    "f.json": "token 2 is empty",
    "a.txt": "token 2 is empty",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_vocabulary_is_refused(name: str, capfd: pytest.CaptureFixture):
    Path(name).write_text(REFUSED[name])
    words = ["train", "task=text_classification", "task.file=a.csv", f"task.vocabulary={name}", *QUICK]
    assert main(words) == 2
    err = capfd.readouterr().err
    said = SAID[".pt"] if name.startswith("vocab.p") else SAID.get(name, f"{name} is no vocabulary; expected a token a line")
    assert said in err and err.count("\n") == 1 and len(err) <= 400, err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["task.vocabulary=none.json"], "task.vocabulary=none.json: there is no such file"),
        (["task.vocabulary=vocab.json", "task.min_frequency=3"], "task.min_frequency"),
        (["task.vocabulary=vocab.json", "task.max_vocabulary=30"], "task.max_vocabulary"),
        (["task.vocabulary=vocab.json", "task.tokenizer=bpe"], "task.vocabulary"),
    ],
)
def test_options_that_do_not_go_together(words: list[str], said: str, capfd: pytest.CaptureFixture):
    assert main(["train", "task=text_classification", "task.file=a.csv", *words, *QUICK]) == 2
    err = capfd.readouterr().err
    assert said in err and err.count("\n") == 1 and len(err) <= 400, err


NAMES = {
    "glove.6B.100d.txt": "glove.6B.100d.txt",
    "glove.6B.100d": "glove.6B.100d.txt",
    "fasttext.simple.300d": "wiki.simple.vec",
    "charngram.100d": "charNgram.txt",
}


@pytest.mark.parametrize("name", NAMES)
def test_vectors_are_found_in_the_cache_of_torchtext(name: str):
    Path(".vector_cache").mkdir()
    lines = [f"{word} 1 2 3" for word in ("film", "fine", "was")]
    Path(".vector_cache", NAMES[name]).write_text("\n".join(lines))
    Path(".vector_cache", f"{NAMES[name]}.pt").write_text("never read")
    Path("mine.txt").write_text("\n".join(lines))
    task, other = (made("text_classification", file="a.csv", vectors=file) for file in (name, "mine.txt"))
    assert task.fingerprint == other.fingerprint and task.pretrained(3)[1].sum() == 3
    Path(name).write_text("film 4 5 6\n")  # a path goes first
    assert made("text_classification", file="a.csv", vectors=name).fingerprint != task.fingerprint


@pytest.mark.parametrize("name", ["glove.6B.100d", "glove.6B.100d.txt.pt", ".vector_cache/glove.6B.100d.txt.pt"])
def test_vectors_that_are_pickled_alone_are_refused(name: str, capfd: pytest.CaptureFixture):
    Path(".vector_cache").mkdir()
    Path(".vector_cache/glove.6B.100d.txt.pt").write_text("never read")
    words = ["train", "task=text_classification", "task.file=a.csv", f"task.vectors={name}", *QUICK, "network.embedding=3"]
    assert main(words) == 2
    err = capfd.readouterr().err
    assert err.count("\n") == 1 and ("is pickled" if name.endswith(".pt") else "or the name of one in .vector_cache/") in err
