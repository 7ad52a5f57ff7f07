"""What users met around sweeps and folders of runs: each is answered in one line, and nothing that counts is lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rnnbench.cli.main import main
from rnnbench.config.compose import compose_jobs
from rnnbench.launch.manifest import read_manifest, write_manifest
from rnnbench.launch.pool import Pool
from rnnbench.run import memory
from rnnbench.run.plan import plan_run
from rnnbench.run.survey import Survey
from rnnbench.store.run_folder import RunFolder
from tests.analysis.test_tables import write
from tests.launch.test_jobs import begin, stand_in
from tests.launch.test_surroundings import REFUSABLE
from tests.support.faults import LONG, SMALL, children, command, results, start, until

QUICK = [*SMALL, "train.steps=2", "model=lstm"]
RUNNING = [sys.executable, "-m", "rnnbench"]
HEX = "0123456789abcdef"


def one_line(capfd: pytest.CaptureFixture[str]) -> str:
    """What was said on standard error: one line of bounded length."""
    error = capfd.readouterr().err
    assert error.count("\n") == 1 and len(error) <= 401 and "Traceback" not in error, error
    return error


# the manifest of a sweep


@pytest.mark.parametrize(
    "text", [b"", b"\xff", b"[]", b'{"runs": {"a": 1}}', b'{"schema": 1, "runs": {"../x": {}}}', b"[" * 9999]
)
def test_a_manifest_that_holds_none_is_set_aside_once(text: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    folder = Path("runs/sweeps/s")
    write_manifest(Path("runs"), "s", [stand_in(1, "a")])
    (folder / "manifest.json").write_bytes(text)
    for _ in range(2):
        write_manifest(Path("runs"), "s", [stand_in(2, "b")])
    assert list(read_manifest(folder)) == ["adding/lstm/s1-a", "adding/lstm/s2-b"]  # the first from the other file
    assert (folder / "manifest.unusable").read_bytes() == text
    assert capfd.readouterr().out.count("set aside as manifest.unusable") == 1


def test_a_manifest_behind_a_link_stays(capfd: pytest.CaptureFixture[str]) -> None:
    Path("theirs.json").write_text("{}")
    Path("runs/sweeps/s").mkdir(parents=True)
    Path("runs/sweeps/s/manifest.json").symlink_to(Path("theirs.json").absolute())
    assert main(["train", "-m", *QUICK, "sweep=s"]) == 1
    assert "manifest.json: no manifest of a sweep" in one_line(capfd)
    assert Path("theirs.json").read_text() == "{}" and not results()


def test_a_run_that_now_is_another_leaves_the_manifest_unless_it_was_begun() -> None:
    """As 0.1 named it: with an option that has no effect."""
    old, begun, kept = stand_in(1, "old"), stand_in(2, "begun"), stand_in(3, "kept")
    begin(begun)
    write_manifest(Path("runs"), "s", [old, begun, kept])
    now = stand_in(4, "now")
    now.replaces |= {old.folder.path, begun.folder.path, now.folder.path}
    write_manifest(Path("runs"), "s", [now, kept])
    assert set(read_manifest(Path("runs/sweeps/s"))) == {job.name for job in (begun, kept, now)}


def test_a_sweep_that_0_1_began_is_whole_once_it_completes(capfd: pytest.CaptureFixture[str]) -> None:
    """Then each of `model.dropout=0,0.5`, which has no effect with one layer, was a run of its own."""
    folder, named = Path("runs/sweeps/half"), {}
    for dropout in (0, 0.5):
        for seed in (0, 1):
            (settings,) = compose_jobs([*QUICK, f"model.dropout={dropout}", f"seed={seed}"], sweep=False)
            planned = plan_run(settings)
            named[planned.name_in_0_1] = {"id": planned.id, "words": f"model.dropout={dropout} seed={seed}"}
    assert len(named) == 4
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"schema": 1, "runs": named}))
    assert main(["train", *QUICK, "seed=0"]) == 0
    assert main(["status", "half"]) == 0
    assert "4 runs: 1 recorded, 3 missing" in capfd.readouterr().out
    assert main(["train", "-m", *QUICK, "model.dropout=0,0.5", "seed=0,1", "sweep=half"]) == 0
    assert main(["status", "half"]) == 0
    assert capfd.readouterr().out.splitlines()[-1] == "sweep half: 2 runs: 2 recorded"


def test_a_folder_of_several_sweeps_gets_an_overview(capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("first", "second"):
        write_manifest(Path("there"), name, [stand_in(1, name)])
    assert main(["status", "there"]) == 0
    lines = capfd.readouterr().out.splitlines()
    counts = "1 run, 0 recorded, 1 missing"
    assert lines == ["there: 0 runs", f"sweep first: {counts}", f"sweep second: {counts}"]


def test_sweeps_in_a_folder_below_are_pointed_to(capfd: pytest.CaptureFixture[str]) -> None:
    write_manifest(Path("runs/cell"), "cmp", [stand_in(1, "cmp")])
    assert main(["status"]) == 0
    assert "sweep cmp: `rnnbench status cmp --runs runs/cell`" in capfd.readouterr().out
    for words in (["status", "cmp"], ["train", "--resume", "cmp"]):
        assert main(words) == 2
        assert "it is in runs/cell" in capfd.readouterr().err


@pytest.mark.parametrize("most", [5000, 0])
def test_the_overview_checks_records_where_they_are_few(
    run: Path, most: int, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rnnbench.launch.status.CHECKED", most)
    record = run / "record.json"
    record.write_text(record.read_text().replace('"seed": 0', '"seed": 1'))
    assert main(["status"]) == 0
    out = capfd.readouterr().out
    assert ("runs of no sweep: 1, 0 recorded, 1 damaged" in out) == bool(most) and ("counted, not checked" in out) != bool(most)


# runs of others


def test_runs_that_others_hold_are_named_once(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnbench.launch.pool.LOOK", 0.05)
    jobs = [stand_in(number, "held") for number in range(5)]
    for job in jobs:
        begin(job)
    pool = Pool(jobs, 2, 0, True)
    leases = [job.folder.lease() for job in jobs]
    for lease in leases:
        lease.__enter__()
    pool.total = len(jobs)
    pool.queue.extend(jobs)
    pool.fill()
    for _ in range(3):
        time.sleep(0.1)
        pool.look()
    for lease in leases:
        lease.__exit__(None, None, None)
    (line,) = capfd.readouterr().out.splitlines()
    assert line.startswith("sweep s: waits for 5 runs that others hold: adding/lstm/s0-held by process ")
    assert line.endswith(", and 2 more") and line.count(f"by process {os.getpid()} on ") == 3


# folders


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("trained") / "runs"
    assert main(["train", *QUICK, f"runs={runs}"]) == 0
    return runs


@pytest.fixture
def run(trained: Path) -> Path:
    """A finished run in ./runs."""
    shutil.copytree(trained, "runs")
    (path,) = Path("runs").glob("*/*/s*")
    return path


@pytest.mark.parametrize("there", ["/", "/usr", "/proc", "empty", "empty/below"])
def test_prune_refuses_what_is_no_folder_of_runs(there: str, capfd: pytest.CaptureFixture[str]) -> None:
    Path("empty/below").mkdir(parents=True)
    (Path("empty") / f".lease-{HEX}").write_text("x")
    began = time.monotonic()
    assert main(["prune", "--days", "0", there]) == 2
    assert f"{there}: no runs there" in one_line(capfd) and time.monotonic() - began < 20
    assert (Path("empty") / f".lease-{HEX}").exists()


def test_prune_and_again_say_what_lies_nearby(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for place in (".", "runs", run.parents[1], run.parent, run):
        assert main(["prune", "--dry-run", str(place)]) == 0, place
    capfd.readouterr()
    for place in (run.parent, run.parents[1], Path("runs"), Path(), run / "checkpoints"):
        assert main(["train", "--again", str(place)]) == 2
        assert str(run) in one_line(capfd), place


def test_what_prune_may_not_read_is_named(run: Path) -> None:
    if REFUSABLE and not shutil.which("setpriv"):
        pytest.skip("root can read everything, and there is no setpriv to make it less")
    Path("runs/closed").mkdir(mode=0)
    words = [*(word.replace("override", "override,-dac_read_search") for word in REFUSABLE), *RUNNING, "prune", "runs"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert "unreadable   runs/closed: Permission denied" in done.stdout


def test_prune_takes_the_litter_of_studies(capfd: pytest.CaptureFixture[str]) -> None:
    study = Path("searches/adding-lstm-12345678")
    places = [Path("searches"), study, study / "trials/0", study / "trials/11"]
    for place in places:
        place.mkdir(parents=True, exist_ok=True)
        for name in (f".search.json.{HEX}", f".lease-{HEX}", "notes.txt", f".notes.{HEX}"):
            (place / name).write_text("x")
            os.utime(place / name, (0, 0))
        (place / f".lease-{HEX[::-1]}").write_text("just now")
    (study / "search.json").write_text("{}")
    Path("theirs").mkdir()
    (Path("theirs") / f".lease-{HEX}").write_text("x")
    os.utime(Path("theirs") / f".lease-{HEX}", (0, 0))
    (study / "trials/linked").symlink_to(Path("theirs").absolute())
    assert main(["prune", "searches"]) == 0
    for place in places:
        assert {path.name for path in place.iterdir() if path.name.startswith(".")} == {f".notes.{HEX}", f".lease-{HEX[::-1]}"}
    assert list(Path("theirs").iterdir())


def test_an_edited_config_is_said_with_what_differs(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("steps: 2\n", "steps: 3\n").replace("\nseed: 0", "\nseed: 1"))
    assert main(["train", "--again", str(run)]) == 2
    assert "was edited: train.steps is 3 and was 2, seed is 1 and was 0; undo that" in one_line(capfd)
    (run / "record.json").unlink()
    assert main(["train", "--again", str(run)]) == 2
    assert "its config.yaml was edited: its settings are those of run " in one_line(capfd)
    assert len(list(Path("runs").glob("*/*/s*"))) == 1


@pytest.mark.slow
def test_recorded_runs_answer_from_a_folder_that_is_read_only(capfd: pytest.CaptureFixture[str]) -> None:
    if REFUSABLE and not shutil.which("setpriv"):
        pytest.skip("root can write everywhere, and there is no setpriv to make it less")
    sweep = ["-m", *QUICK, "seed=0,1", "sweep=s"]
    assert main(["train", *sweep]) == 0
    folders = [path for path in [Path("runs"), *Path("runs").rglob("*")] if path.is_dir()]
    for folder in folders:
        folder.chmod(0o555)

    def train(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*REFUSABLE, *RUNNING, "train", *words], capture_output=True, text=True, check=False, timeout=120)

    try:
        alone, again, other = train(*QUICK, "seed=1"), train(*sweep), train(*QUICK, "seed=2")
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert (alone.returncode, alone.stderr) == (0, "") and "recorded before" in alone.stdout
    assert (again.returncode, again.stderr) == (0, "") and "2 of 2 runs recorded" in again.stdout
    assert other.returncode == 2 and "no folder can be written there" in other.stderr and other.stderr.count("\n") == 1


def test_a_failed_run_is_compared_as_failed(capfd: pytest.CaptureFixture[str]) -> None:
    for seed, why in ((0, "out of memory"), (1, "out of memory"), (2, "")):
        path = write(Path("runs"), seed=seed, record=False)
        if why:
            RunFolder(path).fail(why)
    assert main(["compare"]) == 0
    out = capfd.readouterr().out
    assert "lstm: seeds 0, 1 failed: out of memory" in out or "lstm: seeds 0–1 failed: out of memory" in out, out
    assert "lstm: seed 2 unfinished" in out


# notes of the data


def test_a_note_of_the_data_is_said_once_a_sweep(capfd: pytest.CaptureFixture[str]) -> None:
    rows = (f"word {number % 7} and {number % 5},{('NA', 'b')[number % 2]}\n" for number in range(60))
    Path("odd.csv").write_text("text,label\n" + "".join(rows))
    words = ["task=text_classification", "task.file=odd.csv", "model=rnn,gru", "model.hidden_size=4", "train.steps=2"]
    assert main(["prepare", "text_classification", "task.file=odd.csv"]) == 0
    notes = capfd.readouterr().out.splitlines()[:-1]
    assert any("not read as missing" in note for note in notes)
    assert main(["train", "-m", *words, "tracker=none", "seed=0,1"]) == 0
    out = capfd.readouterr().out
    assert [out.count(note) for note in notes] == [1] * len(notes)
    assert main(["train", *words[:2], "model=rnn", *words[3:], "tracker=none", "seed=7"]) == 0
    out = capfd.readouterr().out
    assert [out.count(note) for note in notes] == [1] * len(notes)


def test_a_note_of_some_jobs_says_of_how_many(capfd: pytest.CaptureFixture[str]) -> None:
    from rnnbench.launch.prepare import say_notes

    say_notes([Survey("", "", "", 1, "", notes) for notes in (("a", "b"), ("a",), ("a",))])
    assert capfd.readouterr().out == "a\nb  (in 1 of 3 jobs)\n"


# memory


@pytest.mark.parametrize(
    "words, said",
    [
        (["task=adding", "train.batch_size=1000000000"], "train.batch_size=1000000000: a batch takes "),
        (["-m", "seed=0,1", "task=adding", "train.batch_size=1000000000"], "train.batch_size=1000000000: a batch takes "),
        (["task=adding", f"train.batch_size={2**62}"], f"train.batch_size={2**62}: a batch takes "),
        (["task=adding", f"task.length={2**60}"], f"task.length={2**60}: a sequence takes more than "),
        (["task=copy_memory", f"task.delay={2**50}"], f"task.delay={2**50}: a sequence takes"),
        (["task=reverse", f"task.length={2**55}"], f"task.length={2**55}: a sequence takes"),
        (["task=selective_copy", f"task.length={2**50}"], f"task.length={2**50}: a sequence takes"),
    ],
)
def test_what_exceeds_all_memory_is_refused(words: list[str], said: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *words, "model=lstm", "tracker=none"]) == 2
    error = one_line(capfd)
    assert said in error and "GB" in error and "choose less" in error
    assert not list(Path().rglob("config.yaml"))


def test_a_row_is_bounded_by_the_memory_that_is_free(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """An allocation that the system would grant, and whose use it would answer by killing."""
    monkeypatch.setattr(memory, "free_memory", lambda: 400_000_000)
    assert main(["train", "task=adding", "model=lstm", "task.length=50000000", "tracker=none"]) == 2
    assert "task.length=50000000: a sequence takes more than 0.3 GB while it is made, and 0.4 GB of memory" in one_line(capfd)
    assert main(["train", "task=adding", "model=lstm", "task.length=1000", "tracker=none", "train.batch_size=1000"]) == 2
    assert "train.batch_size=1000: a batch takes 0.5 GB at least, and 0.4 GB" in one_line(capfd)
    assert main(["train", *QUICK]) == 0


# outputs


@pytest.mark.parametrize(
    "verb", [["compare"], ["status"], ["status", "runs"], ["report"], ["list", "tasks"], ["table", "le2015"]]
)
def test_an_output_that_cannot_be_written_ends_in_one_line(verb: list[str], run: Path) -> None:
    line = f"{' '.join([*RUNNING, *verb])} > /dev/full"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False, timeout=60)
    said = "rnnbench: could not write the output: No space left on device\n"
    assert (done.returncode, done.stderr, done.stdout) == (1, said, "")


@pytest.mark.slow
def test_a_sweep_whose_output_cannot_be_written_is_recorded_all_the_same() -> None:
    line = f"{' '.join(command(*QUICK, 'seed=0,1'))} > /dev/full"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "could not write the output" in done.stderr
    assert len(results()) == 2


@pytest.mark.parametrize(
    "number, code, said",
    [(28, 1, "No space left on device"), (5, 1, "Input/output error"), (13, 2, "Permission denied"), (30, 2, "Read-only")],
)
@pytest.mark.parametrize("words", [["report", "--output", "x.html"], ["gradients", "runs", "--output", "x.svg"]], ids=" ".join)
def test_a_page_that_cannot_be_written_is_named(
    words: list[str],
    number: int,
    code: int,
    said: str,
    run: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def full(file: int) -> None:
        raise OSError(number, os.strerror(number), f".x.{HEX}")

    monkeypatch.setattr("os.fsync", full)
    assert main(words) == code
    error = one_line(capfd)
    assert said in error and words[-1] in error and HEX not in error
    assert not list(Path().glob(".x*")) and not Path(words[-1]).exists()


# W&B


def test_sync_without_a_key_says_what_to_set(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    assert main(["sync"]) == 2
    assert "WANDB_API_KEY" in one_line(capfd) and time.monotonic() - began < 20


# interrupts


@pytest.mark.parametrize(
    "module", ["rnnbench.cli.main", "rnnbench.cli.train", "hydra", "torch", "omegaconf", "pytorch_lightning"]
)
def test_an_interrupted_start_is_one_line(module: str, tmp_path: Path) -> None:
    """Ctrl-C while `module` is imported."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}:\n"
        "            sys.meta_path.remove(self)\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupt())\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    words = [*RUNNING, "train", *QUICK, *(["-m"] if module == "hydra" else [])]  # a plain run goes without Hydra
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (130, "rnnbench: interrupted\n")
    assert not list(Path().rglob("record.json"))


def test_an_interrupt_that_a_library_makes_an_error_of_is_one(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def compose(*_: object, **_more: object) -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        except KeyboardInterrupt:
            raise AttributeError("'NoneType' object") from None

    monkeypatch.setattr("rnnbench.cli.train.compose_jobs", compose)
    before = signal.getsignal(signal.SIGINT)
    assert main(["train", *QUICK]) == 130
    assert one_line(capfd) == "rnnbench: interrupted\n" and signal.getsignal(signal.SIGINT) is before


# the server of jobs; weights; homes


@pytest.mark.slow
def test_the_server_is_killed_while_jobs_run() -> None:
    """Its jobs run on; others are started by a new server; the same command finds all recorded."""
    words = [*LONG, "model=lstm", "seed=0,1,2", "sweep=s", "hydra.launcher.workers=2"]
    sweep = start(*words)
    until(lambda: list(Path("runs").glob("*/*/*/checkpoints/*.pt")), sweep)
    for child in children(sweep.pid):
        if b"forkserver" in Path(f"/proc/{child}/cmdline").read_bytes():
            os.kill(child, signal.SIGKILL)
            break
    else:
        pytest.fail("there is no server")
    out, err = sweep.communicate(timeout=120)
    assert "Traceback" not in out + err, out + err
    done = subprocess.run(command(*words), capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0 and "3 of 3 runs recorded" in done.stdout, done.stdout + done.stderr
    assert len(results()) == 3


@pytest.mark.parametrize("verb", [["sample"], ["probe"]], ids=" ".join)
def test_weights_that_do_not_fit_are_refused(verb: list[str], run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (run / "model.safetensors").write_bytes(b"\0" * 100)
    assert main([*verb, str(run)]) == 2
    assert "weights" in one_line(capfd)


@pytest.mark.slow
@pytest.mark.parametrize("home", ["/", None], ids=str)
def test_any_home_will_do(home: str | None) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("HOME", "RNNBENCH_CACHE")}
    environment |= {"HOME": home} if home else {}
    done = subprocess.run(
        [*RUNNING, "train", *QUICK], env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "") and len(results()) == 1
