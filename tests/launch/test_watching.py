"""`rnnbench status --watch`: what is read of a sweep that runs, and how it is shown at any width."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import pytest
from rich.console import Console

from rnnbench.cli.main import main
from rnnbench.launch import watching
from rnnbench.launch.manifest import Job, write_manifest
from rnnbench.launch.status import RunState
from rnnbench.launch.watching import RunProgress, Watcher, best_so_far, is_done, seconds_left, view, watched_lines
from tests.launch.test_jobs import begin, stand_in
from tests.support.records import filled

CONFIG = {"task": {"name": "adding", "length": 10}, "model": {"name": "lstm", "mechanism": "lstm"}, "train": {"steps": 100}}


def progress(kind: str, step: int = 0, seconds: float = 0.0, score: float | None = None, model: str = "lstm", **task: object):
    config = {**CONFIG, "task": {**CONFIG["task"], **task}, "model": {"name": model, "mechanism": model}}
    name = f"adding/{model}/s{step}-{kind}-{len(task)}"
    state = RunState(kind, "out of memory" if kind == "failed" else "")
    begun = None if kind == "missing" else config
    return RunProgress(name, Path("runs") / name, state, begun, step, 100 if begun else 0, seconds, score)


# 2 s a step, measured; lines of known answers
LEFT = {
    "nothing known": ([progress("running"), progress("missing")], None),
    "nothing runs": ([progress("recorded", 100, 200), progress("missing")], None),
    "one runs": ([progress("recorded", 100, 200), progress("running", 40, 80)], 120),
    "one runs and one is to come": ([progress("recorded", 100, 200), progress("running", 40, 80), progress("missing")], 320),
    "two at a time": ([progress("running", 50, 100), progress("running", 10, 20), progress("missing")], 240),
    "as long as the slowest": ([progress("running", 99, 198), progress("running", 0, 0)], 200),
    "its own model's pace": ([progress("recorded", 100, 200), progress("running", 50, 25, model="gru")], 25),
    "failed ones take nothing": ([progress("recorded", 100, 200), progress("running", 40, 80), progress("failed", 3, 6)], 120),
}


@pytest.mark.parametrize(("runs", "left"), LEFT.values(), ids=LEFT)
def test_the_time_that_is_left(runs, left):
    assert seconds_left(runs) == left


@pytest.mark.parametrize("kind", ["recorded", "failed", "damaged", "running", "interrupted", "missing"])
def test_when_a_sweep_is_done(kind):
    assert is_done([progress("recorded"), progress(kind)]) == (kind in ("recorded", "failed", "damaged"))


def test_the_best_so_far_is_of_one_task_and_model():
    runs = [
        progress("recorded", score=0.2),
        progress("running", score=0.1),
        progress("recorded", score=0.3, length=20),
        progress("recorded", score=0.4, model="gru"),
        progress("interrupted", model="gru"),
        progress("missing"),
    ]
    found = [(one.task, one.model, one.metric, one.ended, one.of, one.score) for one in best_so_far(runs)]
    assert found == [
        ("adding-T10", "gru", "mse", 1, 2, 0.4),
        ("adding-T10", "lstm", "mse", 1, 2, 0.1),
        ("adding-T20", "lstm", "mse", 1, 1, 0.3),
    ]


MANY = [
    *(progress("running", 10 * number, 5, 0.1, note=number) for number in range(12)),
    *(progress("failed", number, model="a_model_with_a_name_that_is_long_" * 2) for number in range(12)),
    progress("missing"),
]


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("runs", [MANY, MANY[:1], [progress("missing")], []], ids=["many", "one", "none begun", "no run"])
def test_the_view_fits(runs, width):
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None, record=True)
    console.print(view("sweep s", runs))
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    if width >= 80:
        assert ("12 failed: out of memory" in map(str.strip, lines) and "and 9 more" in text) == (runs is MANY)
        assert "0 of" in text or "of 25" in text
    if runs is MANY and width >= 80:
        assert sum(line.endswith(("0 of 1", "12 of 12")) for line in map(str.rstrip, lines)) == 13  # no number is cut
        assert "running" in text and "40 of 100" in text and "mse 0.1" in text and "and 4 more are running" in text


@pytest.mark.parametrize("width", [80, 120])
def test_counts_and_time_stand_in_a_line_each(width):
    """Neither is broken, in a sweep of a usual name with runs of every kind."""
    kinds = {"recorded": 110, "running": 12, "interrupted": 3, "failed": 4, "missing": 1000}
    runs = [progress(kind, 40, 80) for kind, count in kinds.items() for _ in range(count)]
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    console.print(view("sweep sweep-0123abcd", runs))
    first, second, *_ = console.file.getvalue().splitlines()
    assert first.rstrip() == "sweep sweep-0123abcd: 114 of 1129 ended; about 2:00 left"
    assert second.rstrip() == "110 recorded, 12 running, 3 interrupted, 4 failed, 1000 missing"


def test_a_run_without_settings_yet_is_starting():
    run = progress("running")
    run.config, run.steps = None, 0
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    console.print(view("sweep s", [run]))
    assert "starting" in console.file.getvalue() and "0 of 0" not in console.file.getvalue()


def test_the_view_steers_no_terminal():
    run = progress("failed")
    run.state = RunState("failed", "a\x1b[2Jb\nc")
    run.name = "a/b/c\x1b[2J"
    odd = progress("running", model="[/red][bold]lstm\x1b[2J", note="[/x]")
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    console.print(view("sweep \x1b[2J", [run, odd]))
    assert "\x1b[2J" not in console.file.getvalue() and "[/red][bold]lstm" in console.file.getvalue()


@pytest.fixture
def sweep() -> list[Job]:
    jobs = [stand_in(number, "x") for number in range(1, 4)]
    write_manifest(Path("runs"), "s", jobs)
    return jobs


def test_without_a_terminal_lines_are_printed_until_all_have_ended(sweep, capsys, monkeypatch):
    """Each look finds the sweep a little further."""
    first, second, third = (job.folder for job in sweep)

    def begins() -> None:
        for job in sweep[:2]:
            begin(job)

    steps = iter(
        [
            begins,
            lambda: first.finish(filled({"scores": {"validation": {"mse": 0.125}, "test": {"mse": 0.1}}})),
            lambda: second.fail("out of memory"),
            lambda: (begin(sweep[2]), third.finish(filled({"status": "diverged", "diverged_step": 7}))),
        ]
    )
    monkeypatch.setattr(watching.time, "sleep", lambda _: next(steps)())
    assert main(["status", "--watch"]) == 0  # the one sweep that there is
    out = capsys.readouterr().out.splitlines()
    assert out == [
        "sweep s: 0 of 3 ended; none is running now: 3 missing",
        "sweep s: 0 of 3 ended; none is running now: 2 interrupted, 1 missing",
        f"{sweep[0].name}  recorded, validation mse 0.125",
        "sweep s: 1 of 3 ended; none is running now: 1 recorded, 1 interrupted, 1 missing",
        f"{sweep[1].name}  failed: out of memory  {second.path}",
        "sweep s: 2 of 3 ended; none is running now: 1 recorded, 1 failed, 1 missing",
        f"{sweep[2].name}  diverged at step 7, validation mse 0.1",
        "sweep s: 3 of 3 ended: 2 recorded (1 diverged), 1 failed",
    ]


def test_a_terminal_shows_the_last_view(sweep):
    for job in sweep:
        begin(job)
        job.folder.finish(filled({}))
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    watching.watch(Path("runs/sweeps/s"), True, console)
    assert "3 of 3 ended\n3 recorded" in console.file.getvalue()


def test_what_is_recorded_is_read_once(sweep, monkeypatch):
    begin(sweep[0])
    sweep[0].folder.finish(filled({}))
    watcher = Watcher(Path("runs/sweeps/s"), True)
    watcher.look()
    (sweep[0].folder.path / "record.json").unlink()
    assert watcher.look()[0].state.kind == "recorded"


def test_a_running_run_is_as_far_as_its_log(sweep):
    begin(sweep[0])
    folder = sweep[0].folder
    folder.start(CONFIG)
    log = folder.open_log()
    for step, score in ((10, 0.3), (20, 0.1), (30, 0.2)):
        log.append(step, {"validation/mse": score}, {"seconds": step / 10})
    log.close()
    with folder.lease():
        run = Watcher(Path("runs/sweeps/s"), True).look()[0]
    assert (run.state.kind, run.step, run.steps, run.seconds, run.score) == ("running", 30, 100, 3.0, 0.1)


@pytest.mark.parametrize("words", [["nowhere"], ["a", "b"], []])
def test_what_cannot_be_watched_is_one_line(words, capfd):
    assert main(["status", "--watch", *words]) == 2
    assert capfd.readouterr().err.count("\n") == 1


def test_lines_end_with_the_sweep(sweep):
    for job in sweep:
        begin(job)
        job.folder.fail("no")
    assert list(watched_lines(Watcher(Path("runs/sweeps/s"), True), "s")) == ["s: 3 of 3 ended: 3 failed"]


ODD = ["many", ".inf", ".nan", "[1]", "{a: 1}", "-5", "null", "'10'", "1e400", "true", "2026-01-01", "10.5"]
TASKS = ["{name: adding, length: many}", "{name: adding, length: [1, {a: b}]}", "{name: '../adding'}", "{name: ''}"]


@pytest.mark.parametrize(
    "text",
    [
        *(f"task: {{name: adding}}\nmodel: {{name: lstm}}\ntrain: {{steps: {value}}}\n" for value in ODD),
        *(f"task: {task}\nmodel: {{name: lstm}}\n" for task in TASKS),
        "task: {name: adding}\nmodel: {name: nobody}\ntrain: {steps: {}}\n",
        "- 1\n",
        "\xff: [",
    ],
)
@pytest.mark.parametrize("held", [False, True])
def test_one_odd_run_costs_only_its_own_line(text: str, held: bool):
    well, odd = stand_in(1, "x"), stand_in(2, "x")
    for job in (well, odd):
        begin(job, 40)
    well.folder.finish(filled({"steps": 100}))
    (odd.folder.path / "config.yaml").write_text(text, encoding="latin-1")
    write_manifest(Path("runs"), "s", [well, odd])
    with odd.folder.lease() if held else contextlib.nullcontext():
        first, second = Watcher(Path("runs/sweeps/s"), is_sweep=True).look()
        console = Console(file=io.StringIO(), width=100, force_terminal=True)
        console.print(view("sweep s", [first, second]))
        assert ("1 recorded, 1 " in console.file.getvalue() and seconds_left([first, second]) is None) or held
    assert (first.state.kind, first.steps) == ("recorded", 100)
    assert second.state.kind == ("running" if held else "interrupted")
