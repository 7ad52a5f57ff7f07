"""What is removed: only what rnnbench wrote, by name, never a run that is held, nothing behind a link, nobody else's runs."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from rnnbench.cli.main import main
from rnnbench.launch.manifest import Job, read_manifest, write_manifest
from tests.analysis.test_tables import write
from tests.conftest import everything
from tests.launch.test_jobs import begin, record, stand_in

STORE = Path("runs")


def made(*numbers: int, sweep: str = "s") -> list[Path]:
    """Runs with every file that a run can have, as one sweep."""
    jobs = [stand_in(number, f"{number:08x}") for number in numbers]
    for job in jobs:
        if job.folder.path.exists():
            continue
        begin(job, step=40)
        log = job.folder.open_log()
        log.append(1, {"a": 1}, {})
        log.close()
        job.folder.save_weights(b"weights")
        job.folder.keep({"words": ["a"]})
        job.folder.fail("out of memory")
        with job.folder.lease():
            pass
        (job.folder.place / f"{9:09}-{'0' * 64}.unusable").touch()
        (job.folder.path / f".record.json.{'0' * 16}").touch()
        (job.folder.path / "wandb").mkdir()
        (job.folder.path / "wandb/note.json").write_text("{}")
        job.folder.finish({**record("x"), "sweep": sweep})
    write_manifest(STORE, sweep, jobs, ["-m", "seed=0"])
    return [job.folder.path for job in jobs]


def one_line(capfd: pytest.CaptureFixture[str]) -> str:
    error = capfd.readouterr().err
    assert error.count("\n") == 1 and len(error) <= 401 and "Traceback" not in error, error
    return error


def test_a_sweep_goes_whole() -> None:
    made(1, 2)
    assert main(["remove", "s", "--yes"]) == 0
    assert everything(STORE) == []


@pytest.mark.parametrize("word", ["{}", "{}/", "adding/lstm/{.name}", "{.name}"])
def test_a_run_goes_by_folder_and_by_name(word: str) -> None:
    one, other = made(1, 2)
    assert main(["remove", word.format(one), "--yes"]) == 0
    assert not one.exists() and other.exists() and set(read_manifest(STORE / "sweeps/s")) > set()


def test_before_it_is_removed_it_is_said(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    made(1)
    before = everything(STORE)
    assert main(["remove", "s", "--dry-run"]) == 0
    out = capfd.readouterr().out
    assert "runs/adding/lstm/s1-00000001  recorded" in out and "1 run and 1 sweep (s)" in out
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert main(["remove", "s"]) == 2
    assert "--yes" in one_line(capfd)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    for answer in ("", "\n", "n\n", "Yes, no\n"):
        terminal = io.StringIO(answer)
        terminal.isatty = lambda: True  # type: ignore[method-assign]
        monkeypatch.setattr("sys.stdin", terminal)
        assert main(["remove", "s"]) == 0
        assert "nothing was removed" in capfd.readouterr().out and everything(STORE) == before
    terminal = io.StringIO("y\n")
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stdin", terminal)
    assert main(["remove", "s"]) == 0
    assert everything(STORE) == []


def test_what_rnnbench_did_not_write_stays(capfd: pytest.CaptureFixture[str]) -> None:
    (run,) = made(1)
    theirs = [
        run / "notes.txt",
        run / "checkpoints/best.pt",
        STORE / "sweeps/s/plot.png",
        run / "wandb/theirs",
        run / "lease-x",
    ]
    for path in theirs:
        path.write_text("mine")
    assert main(["remove", "s", "--yes"]) == 0
    assert sorted(path for path in everything(STORE) if path.is_file()) == sorted(theirs)
    assert "what rnnbench did not write stays there" in capfd.readouterr().out


def test_a_run_that_is_held_stays_and_its_sweep(capfd: pytest.CaptureFixture[str]) -> None:
    held, free = made(1, 2)
    with stand_in(1, f"{1:08x}").folder.lease():
        files = {path: path.read_bytes() for path in held.rglob("*") if path.is_file() and not path.name.startswith("lease")}
        assert main(["remove", "s", "--yes"]) == 0
        out = capfd.readouterr().out
        assert f"held by process {os.getpid()}" in out and "sweep s  stays" in out
        assert main(["remove", str(held), "--yes"]) == 0
        assert files == {path: path.read_bytes() for path in files}
    assert not free.exists() and len(read_manifest(STORE / "sweeps/s")) == 2
    assert main(["remove", "s", "--yes"]) == 0
    assert everything(STORE) == []


def test_a_run_that_another_sweep_lists_stays(capfd: pytest.CaptureFixture[str]) -> None:
    made(1, 2)
    _, shared = made(1, 2, sweep="s")
    made(2, 3, sweep="t")
    assert main(["remove", "s", "--yes"]) == 0
    assert "stays: sweep t lists it too" in capfd.readouterr().out
    assert shared.exists() and not (STORE / "sweeps/s").exists()
    assert main(["remove", "t", "--yes"]) == 0
    assert "stays: sweep s made it" in capfd.readouterr().out
    assert [path for path in everything(STORE) if path.name == "record.json"] == [shared / "record.json"]
    assert main(["remove", str(shared), "--yes"]) == 0
    assert everything(STORE) == []


@pytest.mark.parametrize("maker", [None, "other", "../s", ""])
@pytest.mark.parametrize("recorded", [True, False])
def test_a_run_that_the_sweep_did_not_make_stays(maker: str | None, recorded: bool, capfd: pytest.CaptureFixture[str]) -> None:
    """As when a sweep was answered from the record of a single run."""
    job = stand_in(7, f"{7:08x}")
    job.folder.start({"task": {"name": "adding"}, "model": {"name": "lstm"}, "sweep": maker})  # type: ignore[typeddict-item]
    if recorded:
        job.folder.finish({**record("x"), "sweep": maker})
    write_manifest(STORE, "s", [job], ["-m", "seed=0"])
    (own,) = made(1)
    assert main(["remove", "s", "--yes"]) == 0
    out = capfd.readouterr().out
    assert f"{job.folder.path}  stays: " in out and "made it; it goes when it is named itself" in out
    assert (job.folder.path / ("record.json" if recorded else "config.yaml")).exists() and not own.exists()
    assert not (STORE / "sweeps").exists()
    assert main(["remove", str(job.folder.path), "--yes"]) == 0
    assert everything(STORE) == []


@pytest.mark.parametrize("place", ["runs/old/s", "runs/old/sweep/s", "s-copy", "runs/s"])
def test_a_copy_of_a_sweep_removes_no_run(place: str, capfd: pytest.CaptureFixture[str]) -> None:
    made(1, 2)
    shutil.copytree(STORE / "sweeps/s", place)
    before = everything(Path())
    assert main(["remove", place, "--yes"]) == 2
    assert "a copy of a sweep; allowed: the folder runs/sweeps/" in one_line(capfd)
    assert everything(Path()) == before


@pytest.mark.parametrize("place", ["runs/old/sweeps/s", "runs/sweeps/copy", "elsewhere/sweeps/s"])
def test_a_copy_among_sweeps_has_no_run_of_its_own(place: str) -> None:
    runs = made(1, 2)
    shutil.copytree(STORE / "sweeps/s", place)
    assert main(["remove", place, "--yes"]) == 0
    assert not Path(place).exists() and all((run / "record.json").exists() for run in runs)


class Asked(io.StringIO):
    """A terminal where something happens before `y` is answered."""

    def __init__(self, happens: Callable[[], object]):
        super().__init__("y\n")
        self.happens = happens

    def isatty(self) -> bool:
        return True

    def readline(self, size: int | None = -1, /) -> str:
        self.happens()
        return super().readline()


def unfinished() -> Job:
    """An interrupted run of sweep s."""
    job = stand_in(8, f"{8:08x}")
    job.folder.start({"task": {"name": "adding"}, "model": {"name": "lstm"}, "sweep": "s"})  # type: ignore[typeddict-item]
    job.folder.save_checkpoint(40, b"weights")
    return job


@pytest.mark.parametrize(
    ("happens", "said"),
    [
        (lambda job: write_manifest(STORE, "t", [job]), "stays: sweep t lists it too"),
        (lambda job: job.folder.finish({**record("x"), "sweep": "s"}), "stays: it has changed since"),
        (lambda job: job.folder.save_checkpoint(80, b"more"), "stays: it has changed since"),
        (lambda job: job.folder.fail("out of memory"), "stays: it has changed since"),
        (lambda job: job.folder.save_weights(b"best"), "stays: it has changed since"),
        (lambda job: (STORE / "sweeps/t").mkdir() or (STORE / "sweeps/t/manifest.json").write_text("[]"), "no manifest"),
    ],
    ids=["listed", "recorded", "further", "failed", "weights", "unreadable"],
)
@pytest.mark.parametrize("named", [False, True], ids=["by its sweep", "by itself"])
def test_a_run_that_changed_since_it_was_asked_stays(
    happens: Callable[[Job], object],
    said: str,
    named: bool,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    job = unfinished()
    write_manifest(STORE, "s", [job], ["-m", "seed=0"])
    made(*([] if named else [1]))
    monkeypatch.setattr("sys.stdin", Asked(lambda: happens(job)))
    goes = named and ("listed" in request.node.name or "unreadable" in request.node.name)  # it was named, whoever lists it
    assert main(["remove", str(job.folder.path) if named else "s"]) == (0 if goes else 1)
    out = capfd.readouterr().out
    if goes:
        assert not job.folder.path.exists()
        return
    assert said in out and (job.folder.path / "config.yaml").exists() and job.folder.checkpoint_files()
    assert read_manifest(STORE / "sweeps/s")
    if not named:
        assert "sweep s  stays, with what stays of it: " in out


def test_a_sweep_that_gained_a_run_keeps_its_manifest(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    made(1)
    monkeypatch.setattr("sys.stdin", Asked(lambda: made(2)))
    assert main(["remove", "s"]) == 0
    assert "sweep s  stays: its manifest has changed" in capfd.readouterr().out
    assert stand_in(2, f"{2:08x}").folder.record() and stand_in(2, f"{2:08x}").name in read_manifest(STORE / "sweeps/s")


def test_two_sweeps_that_go_together_leave_nothing() -> None:
    made(1, 2)
    made(2, 3, sweep="t")
    assert main(["remove", "s", "runs/sweeps/t", "--yes"]) == 0
    assert everything(STORE) == []


def test_a_shared_run_that_is_named_goes() -> None:
    made(1, 2)
    made(2, 3, sweep="t")
    shared = stand_in(2, f"{2:08x}").folder.path
    assert main(["remove", "s", str(shared), "--yes"]) == 0
    assert not shared.exists()


def test_another_manifest_that_cannot_be_read_stops_it(capfd: pytest.CaptureFixture[str]) -> None:
    made(1)
    (STORE / "sweeps/t").mkdir()
    (STORE / "sweeps/t/manifest.json").write_text("[]")
    before = everything(STORE)
    assert main(["remove", "s", "--yes"]) == 2
    assert "nothing is removed" in one_line(capfd) and everything(STORE) == before


@pytest.mark.parametrize("place", ["runs/adding", "runs/adding/lstm", "runs/adding/lstm/s1-00000001"])
def test_nothing_behind_a_link_is_removed(place: str, capfd: pytest.CaptureFixture[str]) -> None:
    made(1)
    Path(place).rename("theirs")
    Path(place).symlink_to(Path("theirs").absolute())
    before = everything(Path("theirs"))
    assert main(["remove", "s", "--yes"]) == 0
    assert "there is a link on the way" in capfd.readouterr().out
    assert everything(Path("theirs")) == before


def test_linked_files_and_checkpoints_stay_where_they_lead() -> None:
    (run,) = made(1)
    (run / "checkpoints").rename("theirs")
    (run / "checkpoints").symlink_to(Path("theirs").absolute())
    (run / "model.safetensors").rename("weights")
    (run / "model.safetensors").symlink_to(Path("weights").absolute())
    before = everything(Path("theirs"))
    assert main(["remove", str(run), "--yes"]) == 0
    assert everything(Path("theirs")) == before and Path("weights").read_bytes() == b"weights"
    assert {path.name for path in run.iterdir()} == {"checkpoints", "model.safetensors"}


@pytest.mark.parametrize("words", [["nowhere"], ["../.."], ["s0"], [""]])
def test_what_is_no_run_is_one_line(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    Path("a/b").mkdir(parents=True)
    os.chdir("a/b")
    assert main(["remove", *words, "--yes"]) == 2
    one_line(capfd)


def test_a_removal_that_is_cut_off_can_be_given_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """config.yaml, by which a run is found, goes last."""
    run = write(STORE, record=False)
    removed = []

    def unlink(path: Path, missing_ok: bool = False) -> None:
        if path.name == "config.yaml":
            raise OSError("cut off")
        removed.append(path.name)
        os.unlink(path)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", unlink)
        assert main(["remove", str(run), "--yes"]) == 1
    assert (run / "config.yaml").exists() and "metrics.jsonl" in removed
    assert main(["remove", run.name, "--yes"]) == 0
    assert everything(STORE) == []
