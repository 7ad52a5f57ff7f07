"""Only what rnnbench wrote is deleted, by its whole name, never through a link; what killed writes left is taken later."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from rnnbench.cli.main import main
from rnnbench.data.cache import complete_entry
from rnnbench.launch.status import last_step
from rnnbench.store.lease import Held, take, try_locks
from rnnbench.store.own_files import CHECKPOINT, HALF_WRITTEN, SET_ASIDE, own_files
from rnnbench.store.run_folder import RunFolder
from rnnbench.tracking.tracker import Run
from rnnbench.tracking.wandb_folder import own_segments
from rnnbench.tracking.wandb_note import NOTE, read_note
from tests.support.records import filled

SHA, HEX = "0123456789abcdef" * 4, "0123456789abcdef"
CONFIG = {"task": {"name": "adding"}, "model": {"name": "lstm"}, "seed": 0}
OURS = [
    f"000000005-{SHA}.pt",
    f"1234567890-{SHA}.pt",
    f"000000005-{SHA}.unusable",
    f".000000005-{SHA}.pt.{HEX}",
]
HALF = [f".record.json.{HEX}", f".metrics.jsonl.{HEX}", f".config.yaml.{HEX}", f".model.safetensors.{HEX}", f".lease-{HEX}"]
THEIRS = [
    "notes.txt",
    "best.pt",
    "000000005.pt",
    f"5-{SHA}.pt",
    f"000000005-{SHA}.pt.bak",
    f"000000005-{SHA[:-1]}.pt",
    f"my-000000005-{SHA}.pt",
    ".gitignore",
    ".nfs000000000001",
    ".record.json.swp",
    f".notes.txt.{HEX}",
    f".lease-{HEX}.txt",
    f".lease-{HEX[:-1]}",
    "lease-notes",
]


@pytest.fixture
def folder() -> RunFolder:
    folder = RunFolder(Path("runs/adding/lstm/s0-12345678"))
    folder.start(CONFIG)
    return folder


def put(place: Path, names: list[str]) -> None:
    place.mkdir(parents=True, exist_ok=True)
    for name in names:
        (place / name).write_text("x")


def old(*folders: Path) -> None:
    """Makes all below `folders` forty days old."""
    for path in (path for folder in folders for path in folder.rglob("*")):
        os.utime(path, (time.time() - 40 * 86400,) * 2, follow_symlinks=False)


def test_a_file_is_ours_by_its_whole_name():
    put(Path("place"), [*OURS, *HALF, *THEIRS])
    Path(f"place/000000007-{SHA}.pt").mkdir()
    Path(f"place/000000008-{SHA}.pt").symlink_to("notes.txt")
    found = own_files(Path("place"), CHECKPOINT, SET_ASIDE, HALF_WRITTEN)
    assert sorted(path.name for path in found) == sorted([*OURS, *HALF])
    assert own_files(Path("nowhere"), CHECKPOINT) == own_files(Path("place/notes.txt"), CHECKPOINT) == []


def drop(folder: RunFolder) -> None:
    folder.drop_checkpoints()


def save(folder: RunFolder) -> None:
    for step in (10, 11, 12):
        folder.save_checkpoint(step, b"weights")


def prune_all(folder: RunFolder) -> None:
    folder.finish(filled(CONFIG))
    assert main(["prune"]) == 0


def begin_again(folder: RunFolder) -> None:
    folder.start(CONFIG)


WAYS = {"a run ends": drop, "checkpoints are saved": save, "prune": prune_all, "a run is started again": begin_again}
deleting = pytest.mark.parametrize("way", WAYS)


@deleting
def test_what_is_not_ours_stays(way, folder, clean):
    for place in (folder.path, folder.place):
        put(place, [*THEIRS])
        put(place / f"000000009-{SHA}.pt", ["inside"])
    put(folder.place, OURS)
    WAYS[way](folder)
    for place in (folder.path, folder.place):
        assert {*THEIRS, f"000000009-{SHA}.pt"} <= set(os.listdir(place))
        assert (place / f"000000009-{SHA}.pt/inside").exists()
    gone = {"a run ends": OURS, "checkpoints are saved": OURS[:1], "prune": OURS, "a run is started again": OURS[3:]}
    assert not {*gone[way]} & set(os.listdir(folder.place))


@deleting
def test_nothing_behind_a_link_is_deleted(way, folder, clean):
    put(Path("scratch/mine"), [*OURS, *HALF, *THEIRS])
    old(Path("scratch"))
    folder.place.rmdir()
    folder.place.symlink_to(Path("scratch/mine").absolute())
    before = set(os.listdir("scratch/mine"))
    WAYS[way](folder)
    assert before <= set(os.listdir("scratch/mine")) and folder.place.is_symlink()


def test_behind_a_link_no_checkpoint_is_renamed(folder):
    put(Path("scratch"), OURS)
    folder.place.rmdir()
    folder.place.symlink_to(Path("scratch").absolute())
    folder.set_aside(next(folder.checkpoints())[0])
    assert set(os.listdir("scratch")) == set(OURS)


@pytest.mark.parametrize("level", ["runs/linked", "runs/adding/linked", "runs/adding/lstm/s1-linked"])
def test_prune_leaves_alone_what_a_link_leads_to(level, clean, capfd):
    """A colleague's store, put beside one's own to compare with."""
    target = Path("theirs", *Path(level).parts[1:])
    run = RunFolder(target / Path("adding/lstm/s1-0")) if level == "runs/linked" else RunFolder(target / "s1-0")
    run = RunFolder(target) if level.endswith("s1-linked") else run
    run.start(CONFIG)
    run.save_checkpoint(5, b"weights")
    put(run.path, HALF)
    old(Path("theirs"))
    Path(level).parent.mkdir(parents=True, exist_ok=True)
    Path(level).symlink_to(target.absolute())
    before = sorted(Path("theirs").rglob("*"))
    assert main(["prune"]) == 0
    assert "left alone: there is a link on the way to it" in capfd.readouterr().out
    assert sorted(Path("theirs").rglob("*")) == before
    Path("store").symlink_to(Path("theirs").absolute())
    assert main(["prune", "store"]) == 0  # named by its user: the folder of runs itself may be a link
    assert not list(Path("theirs").rglob("*.pt"))


def test_of_checkpoints_the_step_counts_and_not_the_digits(folder):
    for step in (999_999_998, 999_999_999, 1_000_000_000):
        folder.save_checkpoint(step, b"weights %d" % step)
    assert [int(path.name.partition("-")[0]) for path, _ in folder.checkpoints()] == [1_000_000_000, 999_999_999]
    put(folder.place, ["9000000000.pt", "x.pt", "-.pt"])
    assert last_step(folder) == 1_000_000_000


# litter of killed writes


def test_the_next_start_takes_what_a_killed_one_left(folder):
    put(folder.path, HALF)
    put(folder.place, OURS[3:])
    with folder.lease() as held:
        held.start(CONFIG)
    assert {path.name for path in folder.path.iterdir()} == {"config.yaml", "checkpoints", "lease-1"}
    assert not list(folder.place.iterdir())


def test_prune_takes_it_too(folder, clean, capfd):
    """At once from a run that nobody runs; from the folders around it once it is not being written any more."""
    put(folder.path, HALF)
    put(folder.place, OURS[3:])
    around = [Path("runs"), Path("runs/sweeps/s")]
    for place in around:
        put(place, [f".manifest.json.{HEX}", f".lease-{HEX}", "notes.txt"])
    old(*around)
    put(Path("runs"), [f".lease-{HEX[::-1]}"])  # just now
    assert main(["prune", "--dry-run"]) == 0
    assert set(HALF) <= set(os.listdir(folder.path))
    assert main(["prune"]) == 0
    assert {path.name for path in folder.path.iterdir()} == {"config.yaml", "checkpoints", "lease-1"}
    assert not list(folder.place.iterdir())
    assert sorted(os.listdir("runs")) == sorted([f".lease-{HEX[::-1]}", "adding", "notes.txt", "sweeps"])
    assert os.listdir("runs/sweeps/s") == ["notes.txt"]


def test_a_held_run_keeps_what_it_is_writing(folder, clean):
    put(folder.path, HALF)
    with folder.lease():
        assert main(["prune", "--days", "0"]) == 0
    assert set(HALF) <= set(os.listdir(folder.path))


def test_trying_locks_takes_what_killed_tries_left(clean):
    put(Path("runs"), [f".lease-{HEX}", "notes.txt"])
    old(Path("runs"))
    put(Path("runs"), [f".lease-{HEX[::-1]}"])  # another command, at this moment
    try_locks(Path("runs"))
    assert sorted(os.listdir("runs")) == [f".lease-{HEX[::-1]}", "notes.txt"]


def test_who_is_tidied_up_by_a_faster_holder_is_told_so(folder, monkeypatch):
    link = os.link

    def overtaken(source, target):
        monkeypatch.setattr(os, "link", link)
        faster.append(take(folder.path))
        RunFolder(folder.path, faster[0]).start(CONFIG)
        link(source, target)

    faster: list = []
    monkeypatch.setattr(os, "link", overtaken)
    with pytest.raises(Held):
        take(folder.path)
    faster[0].check()
    faster[0].release()


# elsewhere


def test_the_cache_removes_its_own_parts_only(clean):
    ours, theirs = f".part-{SHA[:32]}", [".part-mine", f".part-{SHA[:31]}", f".part-{SHA[:32]}.txt"]
    for name in (ours, *theirs):
        put(Path("cache") / name, ["file"])
    put(Path("elsewhere"), ["file"])
    Path("cache", f".part-{SHA[:31]}0").symlink_to(Path("elsewhere").absolute())
    old(Path("cache"))
    complete_entry(Path("cache/entry"), lambda folder: (folder / "made").touch())
    assert set(os.listdir("cache")) == {"entry", *theirs, f".part-{SHA[:31]}0"} - {ours}
    assert Path("elsewhere/file").exists()


@pytest.mark.parametrize("note", ['{"run_id": "/../../victim"}', '{"run_id": "*"}', "[1]", "[" * 100_000, '{"replaced": 1}'])
def test_of_offline_parts_only_those_of_this_run_are_replaced(note, clean):
    ours = ["offline-run-20260101_000000-abc", "run-20260101_000000-abc"]
    theirs = ["offline-run-20260101_000000-other", "offline-run-20260101_000000-x-abc", "my-run-1-abc", "latest-run"]
    for name in (*ours, *theirs):
        put(Path("wandb") / name, ["file"])
    Path("wandb/run-20260101_000001-abc").symlink_to(Path("wandb/latest-run").absolute())
    Path(NOTE).write_text(note)
    run = Run("abc", "adding/lstm/s0", Path(), {})
    assert sorted(path.name for path in own_segments(run, run.folder)) == ours
    assert read_note(run).get("run_id") in (None, "*") and read_note(run).get("replaced", []) == []
    Path("wandb").rename("real")
    Path("wandb").symlink_to("real")
    assert own_segments(run, run.folder) == []
