"""sweeps/queue.yaml and what works through it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rnnbench.options import BadOption, named
from rnnbench.reproduction.declaration import load_declaration
from tests.support.evidence import (
    Entry,
    alone,
    asked_hours,
    check_queue,
    git,
    load_queue,
    main,
    prepare_tree,
    work_through,
)

ENTRIES = load_queue()


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: " ".join(entry.words[1:]))
def test_every_entry_is_of_a_table_and_says_what_the_table_declares(entry):
    table = load_declaration(entry.table)
    minutes = 0.0
    for row in named("row", entry.rows, list(table.grid.rows)):
        if entry.arms == "choices":
            choices = [one for one in table.choices(row) if one.cell.column in (entry.columns or one.cell.column).split(",")]
            assert choices
            minutes += sum(choice.minutes for choice in choices)
            continue
        assert entry.scale in table.scales(row)
        columns = named("column", entry.columns or None, list(table.columns(row)))
        cells = [table.cell(row, column, entry.scale) for column in columns]
        if entry.arms:
            groups = {"readings": table.readings, "published": table.rungs}[entry.arms](row)
            cells = [cell for group in groups for cell in group if cell.quirks]
        assert cells
        for cell in cells:
            assert cell.minutes, f"{cell.name}: nobody can plan what has no cost"
            minutes += cell.seeds.first * cell.minutes
    assert entry.hours == pytest.approx(minutes / 60, rel=0.25, abs=0.1)


def test_no_cell_is_listed_twice():
    cells = [
        (entry.table, row, column, entry.scale, entry.arms)
        for entry in ENTRIES
        for row in entry.rows.split(",")
        for column in (entry.columns.split(",") if entry.columns else load_declaration(entry.table).columns(row))
    ]
    assert len(cells) == len(set(cells))


# Stands for rnnbench: `reproduce` makes a run that takes a second unless it is told to stop, `table` copies what is recorded.
PROGRAM = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.default_int_handler)
words = sys.argv[1:]
if words[0] == "table":
    if "--collect" in words:
        runs = pathlib.Path(words[words.index("--runs") + 1])
        text = "".join(sorted(path.read_text() for path in runs.glob("*/*/*/record.json")))
        (pathlib.Path("sweeps") / words[1] / "results.jsonl").write_text(text)
    if words[2:] == ["--write"]:
        folders = sorted(pathlib.Path("sweeps").glob("*/")) if words[1] == "all" else [pathlib.Path("sweeps") / words[1]]
        texts = [(folder / "results.jsonl").read_text() for folder in folders]
        for folder, text in zip(folders, texts):
            (folder / "README.md").write_text(text)
        if words[1] == "all":
            pathlib.Path("sweeps/README.md").write_text("".join(texts))
        if pathlib.Path("save").exists():  # somebody saves a file meanwhile
            pathlib.Path("sweeps/slow/results.jsonl").write_text("mine")
            pathlib.Path("sweeps/slow/findings.md").write_text("mine")
            sys.exit(int(pathlib.Path("save").read_text()))
    sys.exit()
runs = pathlib.Path(next(word for word in words if word.startswith("runs="))[5:])
for seed in range(3):
    folder = runs / "task" / words[1] / f"s{seed}"
    if (folder / "record.json").exists():
        continue
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    try:
        time.sleep(600 if words[1] == "slow" else 0.05)
    except KeyboardInterrupt:
        print("interrupted")
        sys.exit(130)
    (folder / "record.json").write_text(f"{words[1]} {seed}\\n")
sys.exit(3 if words[1] == "fails" else 0)
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    for table in ("quick", "slow", "fails"):
        (root / "sweeps" / table).mkdir(parents=True)
        (root / "sweeps" / table / "results.jsonl").touch()
    (root / "sweeps" / "README.md").touch()
    (root / ".gitignore").write_text(".evidence/\n")
    (root / "program.py").write_text(PROGRAM)
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    git(root, "config", "user.email", "a@example.org")
    git(root, "config", "user.name", "a")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "begin")
    return root


def worked(root: Path, hours: float, *tables: str) -> int:
    place, program = root / ".evidence", [sys.executable, str(root / "program.py")]
    entries = [Entry(table=table, rows="a", scale="paper", hours=1) for table in tables]
    prepare_tree(root, place)
    return work_through(entries, hours, root, place, program, program)


def test_what_is_recorded_is_collected_and_committed_and_nothing_twice(checkout):
    assert worked(checkout, 1, "quick") == 0
    assert (checkout / "sweeps/quick/results.jsonl").read_text() == "quick 0\nquick 1\nquick 2\n"
    assert (checkout / "sweeps/README.md").read_text() == "quick 0\nquick 1\nquick 2\n", "the page that sums up is made, too"
    assert git(checkout, "log", "--format=%s") == "quick: results of the queue\nbegin" and not git(checkout, "status", "-s")
    assert worked(checkout, 1, "quick") == 0
    assert "nothing new" in (checkout / ".evidence/log").read_text() and git(checkout, "rev-list", "--count", "HEAD") == "2"


def test_when_the_time_is_over_a_run_is_interrupted_and_its_worktree_stays_at_its_commit(checkout):
    assert worked(checkout, 3 / 3600, "quick", "slow", "quick") == 0
    assert "slow --rows a --scale paper: interrupted, continues next time" in (checkout / ".evidence/log").read_text()
    assert "interrupted" in (checkout / ".evidence/logs/01-slow.log").read_text()
    before = git(checkout / ".evidence/tree", "rev-parse", "HEAD")
    said = prepare_tree(checkout, checkout / ".evidence")
    assert said.startswith(before[:7]) and "which began" in said and "slow/s0 (to give that run up" in said
    assert git(checkout / ".evidence/tree", "rev-parse", "HEAD") == before != git(checkout, "rev-parse", "HEAD")
    (checkout / ".evidence/runs/task/slow/s0/record.json").touch()
    prepare_tree(checkout, checkout / ".evidence")
    assert git(checkout / ".evidence/tree", "rev-parse", "HEAD") == git(checkout, "rev-parse", "HEAD")


def test_one_that_fails_stops_no_other_and_edited_results_are_left_alone(checkout):
    (checkout / "sweeps/quick/results.jsonl").write_text("mine\n")
    assert worked(checkout, 1, "fails", "quick") == 1
    log = (checkout / ".evidence/log").read_text()
    assert "exit code 3, " in log and "changes that are not committed" in log
    assert (checkout / "sweeps/quick/results.jsonl").read_text() == "mine\n"


@pytest.mark.parametrize("how", ["hook", "lock"])
def test_where_git_refuses_nothing_is_left_half_done_and_the_next_time_commits(checkout, how):
    stop = checkout / ".git" / {"hook": "hooks/pre-commit", "lock": "index.lock"}[how]
    prepare_tree(checkout, checkout / ".evidence")
    stop.write_text("#!/bin/sh\necho not now >&2; exit 1\n")
    stop.chmod(0o755)
    place, program = checkout / ".evidence", [sys.executable, str(checkout / "program.py")]
    assert work_through([Entry(table="quick", rows="a", hours=1)], 1, checkout, place, program, program) == 0
    said = {"hook": "not committed: not now", "lock": "index.lock"}[how]
    assert said in (checkout / ".evidence/log").read_text()
    stop.unlink()
    assert not git(checkout, "status", "-s")
    assert worked(checkout, 1, "quick") == 0
    assert (checkout / "sweeps/quick/results.jsonl").read_text() == "quick 0\nquick 1\nquick 2\n"
    assert git(checkout, "rev-list", "--count", "HEAD") == "2" and not git(checkout, "status", "-s")


@pytest.mark.parametrize("code", [0, 1])
def test_what_somebody_saves_meanwhile_is_neither_taken_back_nor_committed(checkout, code):
    (checkout / ".git/info/exclude").write_text("save\n")
    (checkout / "save").write_text(str(code))
    assert worked(checkout, 1, "quick") == 0
    assert (checkout / "sweeps/slow/results.jsonl").read_text() == (checkout / "sweeps/slow/findings.md").read_text() == "mine"
    assert not git(checkout, "log", "--format=%h", "--", "sweeps/slow/findings.md")
    assert ("not collected" in (checkout / ".evidence/log").read_text()) == bool(code)


def test_while_somebody_edits_another_table_only_the_pages_of_the_own_one_are_made(checkout):
    (checkout / "sweeps/slow/results.jsonl").write_text("mine\n")
    (checkout / "sweeps/README.md").write_text("mine\n")
    assert worked(checkout, 1, "quick") == 0
    assert git(checkout, "show", "--name-only", "--format=", "HEAD").splitlines() == [
        "sweeps/quick/README.md",
        "sweeps/quick/results.jsonl",
    ]
    assert (checkout / "sweeps/README.md").read_text() == "mine\n" and not (checkout / "sweeps/slow/README.md").exists()


def test_a_second_queue_at_the_same_time_is_refused(tmp_path):
    with alone(tmp_path), pytest.raises(BadOption, match="already"), alone(tmp_path):
        pass
    with alone(tmp_path):
        pass


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[{table: hochreiter1997, row: experiment_6a, hours: 1}]", "0.row: no such key; did you mean 'rows'"),
        ("[{table: hochreiter1997, rows: experiment_6a, hours: -1}]", "0.hours: Input should be greater than 0 (got -1)"),
        ("[{table: hochreiter, rows: experiment_6a, hours: 1}]", "hochreiter1997"),
        ("[{table: hochreiter1997, rows: experiment_6, hours: 1}]", "did you mean 'experiment_6"),
        ("[{table: hochreiter1997, rows: experiment_6a, columns: lstm_97, hours: 1}]", "no column 'lstm_97'"),
    ],
)
def test_an_entry_that_is_none_is_named_before_anything_starts(tmp_path, text, said):
    (tmp_path / "queue.yaml").write_text(text)
    with pytest.raises(BadOption) as error:
        check_queue(load_queue(tmp_path / "queue.yaml"))
    assert said in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("words", [[], [""], ["two"], ["-1"], ["0"], ["nan"], ["1", "2"]])
def test_hours_that_are_none_are_refused_in_a_line(words, capsys):
    assert main(words) == 2
    assert capsys.readouterr().err.startswith("evidence: HOURS=") and asked_hours(["2.5"]) == 2.5
