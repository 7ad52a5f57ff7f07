"""A run deletes what it wrote and nothing else; behind its record nothing fails it; no checkpoint stops it for ever."""

from __future__ import annotations

import copy
import functools
import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rnnbench.cli.main import main
from rnnbench.run.execute import execute
from rnnbench.run.journal import trusted_checkpoint
from rnnbench.run.plan import make_task, new_network
from rnnbench.run.training_run import check_against
from rnnbench.store import run_folder
from rnnbench.store.lease import take
from rnnbench.store.log import Log
from rnnbench.store.run_folder import RunFolder
from rnnbench.training.learner import Learner
from tests.run.test_run import TINY, Killed, end_of, only, settings

WORDS = ["train", *TINY, "model=lstm", "tracker=none"]


def end_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that dies after `step`."""
    real = Learner.on_train_batch_end

    def dies(self: Learner, *arguments: Any) -> None:
        real(self, *arguments)
        if self.step == step:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Learner, "on_train_batch_end", dies)
        with pytest.raises(Killed):
            execute(settings())


# what a run deletes


def test_a_run_ends_well_beside_files_of_others(monkeypatch, capfd):
    end_at(25, monkeypatch)
    place = only().place
    (place / "sub").mkdir()
    for name in ("notes.txt", "sub/best.pt", ".hidden"):
        (place / name).write_text("mine")
    assert main(WORDS) == 0
    assert "continues from step 20" in capfd.readouterr().out
    assert {path.relative_to(place).as_posix() for path in place.rglob("*")} == {"notes.txt", "sub", "sub/best.pt", ".hidden"}


def test_a_run_whose_checkpoints_lie_behind_a_link(monkeypatch, capfd):
    """It continues from them; nothing there is deleted, and that is said."""
    end_at(25, monkeypatch)
    place, mine = only().place, Path("scratch/mine").absolute()
    shutil.copytree(place, mine)
    (mine / "notes.txt").write_text("mine")
    shutil.rmtree(place)
    place.symlink_to(mine)
    before = set(os.listdir(mine))
    assert main(WORDS) == 0
    out = capfd.readouterr().out
    assert "continues from step 20" in out and out.count("is a link: nothing behind it is deleted") == 1
    assert before < set(os.listdir(mine)) and place.is_symlink()
    assert only().record()["steps"] == 60


# behind the record


def fails(number: int, words: str) -> Callable[..., Any]:
    def raises(*_: object, **__: object) -> None:
        raise OSError(number, words)

    return raises


def only_behind(place: Any, name: str, number: int, words: str) -> Callable[[pytest.MonkeyPatch], None]:
    """A change after which `place.name` fails once there is a record."""
    real = getattr(place, name)

    @functools.wraps(real)
    def checks(*arguments: Any, **given: Any) -> Any:
        if list(Path("runs").rglob("record.json")):
            raise OSError(number, words)
        return real(*arguments, **given)

    return lambda patch: patch.setattr(place, name, checks)


FULL, BROKEN = (28, "No space left on device"), (5, "Input/output error")
BEHIND = {
    "a checkpoint cannot be removed": only_behind(Path, "unlink", *BROKEN),
    "the folder cannot be listed": only_behind(run_folder, "own_files", *BROKEN),
    "nothing can be brought to the disk": only_behind(os, "fsync", *FULL),
    "the log cannot be closed": only_behind(Log, "close", *BROKEN),
    "the lease cannot be emptied": only_behind(os, "ftruncate", *FULL),
}


@pytest.mark.parametrize("what", BEHIND)
def test_what_fails_behind_the_record_fails_no_run(what, monkeypatch, capfd):
    with monkeypatch.context() as patch:
        BEHIND[what](patch)
        assert main(WORDS) == 0
    out, err = capfd.readouterr()
    assert "failed:" not in err and "Traceback" not in err and err.count("\n") <= 1
    assert ("checkpoint" in what or "listed" in what) == ("recorded; what was left to do failed" in err)
    assert "test mse" in out and only().record()["steps"] == 60
    assert only().failure() is None
    assert main(WORDS) == 0 and main(["prune"]) == 0
    assert not list(only().place.iterdir())


def test_what_fails_before_the_record_is_a_failure(monkeypatch, capfd):
    monkeypatch.setattr(RunFolder, "finish", fails(*FULL))
    assert main(WORDS) == 1
    assert "No space left on device" in capfd.readouterr().err and only().failure()


def test_a_full_disk_takes_the_line_and_not_the_run(monkeypatch):
    """Standard output is a file of that disk."""

    class Full(io.StringIO):
        def write(self, text: str) -> int:
            if list(Path("runs").rglob("record.json")):
                raise OSError(*FULL)
            return super().write(text)

    monkeypatch.setattr("sys.stdout", Full())
    record = execute(settings())
    assert record == only().record()


def test_a_lease_of_a_disk_that_fails_is_let_go(monkeypatch):
    folder, close = RunFolder(Path("run")), os.close
    folder.path.mkdir()

    def closes(file: int) -> None:
        close(file)
        raise OSError(*BROKEN)

    lease = take(folder.path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "close", closes)
        lease.release()
    take(folder.path).release()


# checkpoints that are wrong inside

Change = Callable[[dict[str, Any]], object]


def put(value: Any, *path: str) -> Change:
    def change(checkpoint: dict[str, Any]) -> None:
        functools.reduce(lambda part, key: part[key], path[:-1], checkpoint)[path[-1]] = value

    return change


def drop(*path: str) -> Change:
    return lambda checkpoint: functools.reduce(lambda part, key: part[key], path[:-1], checkpoint).pop(path[-1])


def first_weight(checkpoint: dict[str, Any], value: torch.Tensor) -> None:
    weights = checkpoint["learner"]["network"]
    weights[next(iter(weights))] = value


def first_moment(checkpoint: dict[str, Any]) -> None:
    next(iter(checkpoint["learner"]["optimizer"]["state"].values()))["exp_avg"] = torch.zeros(1, 2)


WRONG: dict[str, Change] = {
    "no learner": drop("learner"),
    "a learner that is a list": put([], "learner"),
    **{f"no {part}": drop("learner", part) for part in ("kept", "network", "optimizer", "random", "state", "window", "work")},
    "no step": drop("learner", "kept", "step"),
    "a step that is text": put("20", "learner", "kept", "step"),
    "another step": put(39, "learner", "kept", "step"),
    "seconds that are a list": put([], "learner", "kept", "seconds"),
    "best weights of another shape": put({}, "learner", "kept", "best", "weights"),
    "scores that are text": put({"mse": "x"}, "learner", "kept", "best", "scores"),
    "a weight of another shape": lambda checkpoint: first_weight(checkpoint, torch.zeros(1)),
    "a weight of another type": lambda checkpoint: first_weight(checkpoint, torch.zeros(8, 8, dtype=torch.int64)),
    "an empty optimizer": put({"state": {}, "param_groups": []}, "learner", "optimizer"),
    "an optimizer of another kind": lambda checkpoint: checkpoint["learner"]["optimizer"]["param_groups"][0].pop("betas"),
    "moments of another shape": first_moment,
    "a random state that is short": put([{"cpu": torch.zeros(3, dtype=torch.uint8)}], "learner", "random"),
    "losses that are numbers": put([(1.0,)], "learner", "window"),
    "counts that are fractions": put([0.5, 1], "learner", "work"),
    "offsets that are text": put(("0", "0"), "offsets"),
    "one offset": put((0,), "offsets"),
    "offsets below zero": put((-1, 0), "offsets"),
    "an offset inside a row": put((7, 0), "offsets"),
    "an offset beyond the log": put((10**9, 0), "offsets"),
    "no start": drop("started"),
    "a start that is no time": put("yesterday", "started"),
    "made by a list": put([], "made_by"),
    "changes that are text": put("none", "changes"),
    "another run": put("x", "run"),
}


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one run, interrupted after its checkpoints of steps 20 and 40."""
    root = tmp_path_factory.mktemp("interrupted")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        end_at(45, patch)
    return root / "runs"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[list, bytes]:
    root = tmp_path_factory.mktemp("undisturbed")
    execute(settings(f"runs={root}"))
    return end_of(root)


def spoil(folder: RunFolder, change: Change) -> Path:
    """Changes the newest checkpoint, under a checksum that fits."""
    newest = folder.checkpoint_files()[-1]
    checkpoint = copy.deepcopy(torch.load(newest, weights_only=True))
    change(checkpoint)
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    newest.unlink()
    folder.save_checkpoint(40, buffer.getvalue())
    return folder.checkpoint_files()[-1]


@pytest.mark.parametrize("what", WRONG)
def test_a_checkpoint_that_is_wrong_inside_is_set_aside(what, interrupted, capsys):
    """Before anything of it is used; the run continues from the one before it."""
    shutil.copytree(interrupted, "runs")
    folder, job = only(), settings()
    path = spoil(folder, WRONG[what])
    network, _ = new_network(job, make_task(job))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    checkpoint, chosen = trusted_checkpoint(folder, folder.config()["id"], check_against(network, job.train), folder.set_aside)
    assert checkpoint["learner"]["kept"]["step"] == 20 and chosen == folder.checkpoint_files()[-1]
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    out = capsys.readouterr().out
    assert out.startswith(f"{path}: left out: ") and out.count("\n") == 1 and len(out) < 400
    assert not path.exists() and path.with_suffix(".unusable").exists()
    assert trusted_checkpoint(folder, folder.config()["id"], check_against(network, job.train))[1] == chosen
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("what", ["a weight of another shape", "moments of another shape", "no learner"])
def test_it_is_left_out_once_and_the_numbers_stay(what, interrupted, undisturbed, monkeypatch, capsys):
    shutil.copytree(interrupted, "runs")
    spoil(only(), WRONG[what])
    end_at(35, monkeypatch)
    assert capsys.readouterr().out.count("left out") == 1
    execute(settings())
    assert "left out" not in capsys.readouterr().out
    assert end_of("runs") == undisturbed
    assert not list(only().place.iterdir())


def test_a_checkpoint_that_is_right_is_taken(interrupted):
    shutil.copytree(interrupted, "runs")
    folder, job = only(), settings()
    network, _ = new_network(job, make_task(job))
    checkpoint, chosen = trusted_checkpoint(folder, folder.config()["id"], check_against(network, job.train))
    assert checkpoint["learner"]["kept"]["step"] == 40 and chosen == folder.checkpoint_files()[-1]


def test_what_the_machine_cannot_do_just_now_sets_nothing_aside(interrupted, monkeypatch):
    shutil.copytree(interrupted, "runs")
    folder, job = only(), settings()
    network, _ = new_network(job, make_task(job))
    for error in (MemoryError(), OSError(*BROKEN)):
        with monkeypatch.context() as patch:
            patch.setattr(torch, "load", lambda *_, error=error, **__: (_ for _ in ()).throw(error))
            with pytest.raises(type(error)):
                trusted_checkpoint(folder, folder.config()["id"], check_against(network, job.train), folder.set_aside)
    assert len(folder.checkpoint_files()) == 2


def test_a_resume_without_a_mirror_reads_no_row(interrupted, undisturbed, monkeypatch):
    shutil.copytree(interrupted, "runs")
    with monkeypatch.context() as patch:
        patch.setattr(run_folder, "logged_rows", lambda *_: pytest.fail("a log was read"))
        execute(settings())
    assert end_of("runs") == undisturbed
