"""Tags of one's own: a token a line as CoNLL's, lists in JSON and parquet; entities as conlleval counts them."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
import torch

from rnnbench.data.column_files import read_columns
from rnnbench.laws.tasks import TASK_LAWS
from rnnbench.tasks import load
from rnnbench.tasks.tagging import slots
from rnnbench.tasks.task import SPLITS, Task, totals

SENTENCES = [(["EU", "rejects", "German", "call"], ["B-ORG", "O", "B-MISC", "O"]), (["Peter", "Hall"], ["B-PER", "I-PER"])]


@pytest.fixture(autouse=True)
def cache(clean, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNBENCH_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("EU NNP B-ORG\nrejects VBZ O\nGerman JJ B-MISC\ncall NN O\n\nPeter NNP B-PER\nHall NNP I-PER\n", (0, -1)),
        ("-DOCSTART- -X- O\n\nEU B-ORG\nrejects O\nGerman B-MISC\ncall O\n\n\nPeter B-PER\nHall I-PER", (0, 1)),
        ("\ufeffB-ORG\tEU\r\nO\trejects\r\nB-MISC\tGerman\r\nO\tcall\r\n\r\nB-PER\tPeter\r\nI-PER\tHall\r\n", (1, 0)),
        (
            "# text = EU rejects\n1-2\tx\t_\n1\tEU\tB-ORG\n2\trejects\tO\n3\tGerman\tB-MISC\n4\tcall\tO\n\n"
            "# next\n1\tPeter\tB-PER\n1.1\tx\t_\n2\tHall\tI-PER\n",
            (1, -1),
        ),
    ],
)
def test_a_token_a_line(tmp_path: Path, content: str, columns: tuple[int, int]):
    (tmp_path / "a.conll").write_text(content, newline="")
    tokens, tags = read_columns(f"{tmp_path}/a.conll", *columns)
    assert list(zip(tokens, tags, strict=True)) == SENTENCES


@pytest.mark.parametrize(
    ("content", "tokens"),
    [
        ("We O\nwon O\n# O\n1 B-X\n", [["We", "won", "#", "1"]]),
        ("We P O\n# P O\n# P O\n", [["We", "#", "#"]]),
        ("We O\n\n# O\nwon O\n", [["We"], ["won"]]),  # before the first token of a sentence: a comment
        ("# id = 7\n# text = We won\nWe O\nwon O\n", [["We", "won"]]),
        ("We O\n# a comment of five\nwon O\n", [["We", "won"]]),
        ("We\tO\n# next\nwon\tO\n", [["We", "won"]]),  # between tabs a token has a tab behind it
        ("We\tO\n#\tO\nwon\tO\n", [["We", "#", "won"]]),
        ("#\tO\n#1 O\n", [["#", "#1"]]),
    ],
)
def test_a_hash_within_a_sentence_is_a_token(tmp_path: Path, content: str, tokens: list[list[str]]):
    (tmp_path / "a.conll").write_text(content)
    assert read_columns(f"{tmp_path}/a.conll", 0, -1)[0] == tokens


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("EU B-ORG\nrejects\n", "line 2 has one column, 'rejects'; expected a token and its tag"),
        ("\n\n", "has no sentence"),
        ("EU NNP B-ORG\nrejects O\n", "line 2 has 2 columns"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, content: str, said: str):
    (tmp_path / "a.conll").write_text(content)
    with pytest.raises(ValueError, match="a.conll".replace(".", r"\.")) as error:
        read_columns(f"{tmp_path}/a.conll", 0, 2 if "columns" in said else -1)
    assert said in str(error.value) and "\n" not in str(error.value)


ROWS = [([f"w{n % 7}", "met", f"name{n % 5}", "x"], ["O", "O", f"B-{'PL'[n % 2]}", f"I-{'PL'[n % 2]}"]) for n in range(60)]


def made(**options: object) -> Task:
    task = load("tagging", data="own", **options)
    task.prepare()
    return task


def write_forms(folder: Path) -> list[Path]:
    lines = "\n".join("".join(f"{word} {tag}\n" for word, tag in zip(*row, strict=True)) for row in ROWS)
    (folder / "a.conll").write_text(lines)
    columns = {"tokens": [words for words, _ in ROWS], "tags": [tags for _, tags in ROWS]}
    (folder / "a.jsonl").write_text("".join(json.dumps({"tokens": words, "tags": tags}) + "\n" for words, tags in ROWS))
    pyarrow.parquet.write_table(pyarrow.table(columns), folder / "a.parquet")
    return sorted(folder.glob("a.*"))


def test_forms_of_tags_give_one_task(tmp_path: Path):
    tasks = [made(file=str(path)) for path in write_forms(tmp_path)]
    assert len(tasks) == 3 and len({task.fingerprint for task in tasks}) == 1
    assert [len(tasks[0].dataset.tokens[split]) for split in SPLITS] == [48, 6, 6] or sum(
        len(tasks[0].dataset.tokens[split]) for split in SPLITS
    ) == 60
    assert tasks[0].tags == ["B-L", "B-P", "I-L", "I-P", "O"] and "5 classes: B-L 30, B-P 30, I-L 30" in tasks[0].notes[0]
    for law in TASK_LAWS:
        law(tasks[0])


def test_tags_and_splits_that_are_odd_are_named(tmp_path: Path):
    (tmp_path / "a.conll").write_text("EU B-ORG\nrejects O\n\n" * 9)
    (tmp_path / "b.conll").write_text("EU B-ORG\nrejects O\n\nPeter B-PER\n")
    train, other = f"{tmp_path}/a.conll", f"{tmp_path}/b.conll"
    untrained = f"{train}: no training token has the labels 'B-PER': nothing is trained for them"
    assert made(train=train, validation=train, test=other).notes[1:3] == [
        f"{train}: train and validation are the same 9 rows: what selects was trained on",
        untrained,
    ]
    assert made(train=train, validation=other, test=other).notes[1:3] == [
        f"{train}: validation and test are the same 2 rows: what is reported was selected on",
        untrained,
    ]
    (tmp_path / "c.conll").write_text("EU B-ORG\nPeter B-PER\nrejects O\n\n" * 2)
    assert len(made(train=f"{tmp_path}/c.conll", validation=other, test=train).notes) == 1


def test_lists_of_two_lengths_are_refused(tmp_path: Path):
    (tmp_path / "a.jsonl").write_text('{"tokens": ["a"], "tags": ["O"]}\n{"tokens": ["a", "b"], "tags": ["O"]}\n')
    with pytest.raises(ValueError, match=r"a\.jsonl: line 2 has 2 tokens and 1 tags"):
        made(file=f"{tmp_path}/a.jsonl")
    with pytest.raises(ValueError, match=r"one of task\.hub=ID and task\.file=PATH"):
        made()


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ("B-P I-P O B-L", {(0, 2, "P"), (3, 4, "L")}),
        ("I-P I-P O", {(0, 2, "P")}),
        ("B-P B-P I-L", {(0, 1, "P"), (1, 2, "P"), (2, 3, "L")}),
        ("S-P B-L I-L E-L O E-P", {(0, 1, "P"), (1, 4, "L"), (5, 6, "P")}),
        ("B-P E-P I-P S-P S-P", {(0, 2, "P"), (2, 3, "P"), (3, 4, "P"), (4, 5, "P")}),
        ("O O", set()),
    ],
)
def test_entities_are_found_whole(tags: str, found: set):
    assert slots(tags.split()) == found


def test_entities_are_scored_by_hand(tmp_path: Path):
    write_forms(tmp_path)
    task = made(file=f"{tmp_path}/a.conll")
    batch = task.batch("test", 0, 1, 0)
    wanted = batch.targets[0, :4].tolist()
    swapped = {"B-L": "B-P", "B-P": "B-L"}
    begun = task.tags.index(swapped[task.tags[wanted[2]]])
    for answered, scores in (
        (wanted, {"accuracy": 1, "f1": 1, "precision": 1, "recall": 1}),
        ([*wanted[:3], task.tags.index("O")], {"accuracy": 0.75, "f1": 0, "precision": 0, "recall": 0}),
        ([begun, *wanted[1:]], {"accuracy": 0.75, "f1": 2 / 3, "precision": 0.5, "recall": 1}),
    ):
        outputs = torch.nn.functional.one_hot(torch.tensor([answered]), len(task.tags)).float()
        found = task.finish(totals(task.score(outputs, batch)))
        assert {name: found[name] for name in scores} == pytest.approx(scores)


def test_tags_of_words_have_no_entities(tmp_path: Path):
    (tmp_path / "a.conll").write_text("a DET\ncat NOUN\n\n" * 30 + "".join(f"w{n} NOUN\n\n" for n in range(30)))
    task = made(file=f"{tmp_path}/a.conll")
    batch = task.batch("test", 0, 3, 0)
    found = task.finish(
        {name: float(v) if v.dim() == 0 else v for name, v in task.score(task.floor_guess(batch), batch).items()}
    )
    assert set(found) == {"accuracy", "loss", "macro_f1"}
