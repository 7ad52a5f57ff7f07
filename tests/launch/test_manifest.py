"""A sweep's manifest: copies of others lose nobody's runs, and a sweep continues by the command lines that it keeps."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from rnnbench.cli.main import main
from rnnbench.config.run_lists import listed_runs
from rnnbench.launch import manifest
from rnnbench.launch.manifest import read_manifest, whole_manifest, write_manifest
from rnnbench.launch.resume import Resumed, resumed_commands, words_for_manifest
from rnnbench.options import BadOption
from rnnbench.store.own_files import MANIFEST_COPY, own_files
from rnnbench.store.record import DamagedRecord
from tests.launch.test_jobs import stand_in

FOLDER = Path("runs/sweeps/s")
QUICK = ["task=adding", "task.length=6", "task.sequences=40", "model.hidden_size=4", "train.steps=1", "tracker=none"]


def copy_over(source: Path, target: Path) -> None:
    shutil.copytree(source, target, dirs_exist_ok=True)


def copy_missing(source: Path, target: Path) -> None:
    """As `cp -rn`."""
    for path in source.rglob("*"):
        place = target / path.relative_to(source)
        if path.is_file() and not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)


def names(*numbers: int) -> set[str]:
    return {stand_in(number, "x").name for number in numbers}


@pytest.mark.parametrize("copy", [copy_over, copy_missing])
@pytest.mark.parametrize("again", [False, True], ids=["once", "and back"])
def test_a_copy_of_another_store_loses_nobodys_runs(copy: Callable[[Path, Path], None], again: bool) -> None:
    write_manifest(Path("runs"), "s", [stand_in(1, "x"), stand_in(2, "x")], ["-m", "seed=1,2"])
    write_manifest(Path("theirs"), "s", [stand_in(2, "x"), stand_in(3, "x")], ["-m", "seed=2,3"])
    copy(Path("theirs"), Path("runs"))
    assert set(read_manifest(FOLDER)) == names(1, 2, 3)
    if again:
        copy(Path("runs"), Path("theirs"))
        assert set(read_manifest(Path("theirs/sweeps/s"))) == names(1, 2, 3)
    write_manifest(Path("runs"), "s", [stand_in(4, "x")])
    assert set(read_manifest(FOLDER)) == names(1, 2, 3, 4)
    assert sorted(whole_manifest(FOLDER).commands) == [["-m", "seed=1,2"], ["-m", "seed=2,3"]]
    assert len(own_files(FOLDER, MANIFEST_COPY)) == 1  # those that it stands for are gone


@pytest.mark.parametrize("copy", [copy_over, copy_missing])
def test_a_manifest_of_an_earlier_version_is_kept_once_a_command_has_met_it(copy: Callable[[Path, Path], None]) -> None:
    """Also where that command adds nothing."""
    for store, number in ((Path("runs"), 1), (Path("theirs"), 2)):
        (store / "sweeps/s").mkdir(parents=True)
        about = {stand_in(number, "x").name: {"id": f"x{number}", "words": f"steps={number}"}}
        (store / "sweeps/s/manifest.json").write_text(json.dumps({"schema": 1, "runs": about}))
    write_manifest(Path("runs"), "s", [stand_in(1, "x")])
    copy(Path("theirs"), Path("runs"))
    assert set(read_manifest(FOLDER)) == names(1, 2) if copy is copy_over else names(1)


def test_three_stores_are_one() -> None:
    for number, store in enumerate(("a", "b", "runs")):
        write_manifest(Path(store), "s", [stand_in(number, "x")])
    for store in ("a", "b"):
        copy_over(Path(store), Path("runs"))
    assert set(read_manifest(FOLDER)) == names(0, 1, 2)


def test_a_manifest_that_is_not_there_is_read_from_its_copy(capfd: pytest.CaptureFixture[str]) -> None:
    write_manifest(Path("runs"), "s", [stand_in(1, "x")])
    (FOLDER / "manifest.json").write_bytes(b"[]")
    assert main(["status", "s"]) == 2
    assert capfd.readouterr().err.count("\n") == 1
    write_manifest(Path("runs"), "s", [stand_in(2, "x")])
    assert set(read_manifest(FOLDER)) == names(1, 2)


@pytest.mark.parametrize("commands", ['"x"', "[[]]", "[1]", '[["a", 1]]', "{}"])
def test_odd_commands_are_no_manifest(commands: str, capfd: pytest.CaptureFixture[str]) -> None:
    FOLDER.mkdir(parents=True)
    (FOLDER / "manifest.json").write_text(f'{{"schema": 1, "runs": {{}}, "commands": {commands}}}')
    assert main(["train", "--resume", "s"]) == 2
    error = capfd.readouterr().err
    assert error.count("\n") == 1 and "no lists of words" in error


def test_a_manifest_is_read_while_it_is_written() -> None:
    """A reader meets copies that are gone by the time that it opens them."""
    write_manifest(Path("runs"), "s", [stand_in(0, "x")])
    jobs = [stand_in(number, "x") for number in range(1, 60)]
    writer = threading.Thread(target=lambda: [write_manifest(Path("runs"), "s", [job]) for job in jobs])
    writer.start()
    seen = [0]
    while writer.is_alive():
        seen.append(len(read_manifest(FOLDER)))
    writer.join()
    assert seen == sorted(seen) and len(read_manifest(FOLDER)) == 60


@pytest.mark.parametrize("gone", [1, 2, 5])
def test_a_copy_that_is_gone_is_not_missed(gone: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a writer removes it between the listing and the reading, once or several times."""
    write_manifest(Path("runs"), "s", [stand_in(1, "x")])
    left, listing = [gone], manifest._files

    def late(folder: Path) -> list[Path]:
        left[0] -= 1
        return [folder / f"manifest-{'0' * 16}.json"] if left[0] >= 0 else listing(folder)

    monkeypatch.setattr(manifest, "_files", late)
    assert set(read_manifest(FOLDER)) == names(1)


def test_a_manifest_that_is_not_there_is_said() -> None:
    FOLDER.mkdir(parents=True)
    (FOLDER / "manifest.json").symlink_to("nowhere")
    with pytest.raises(DamagedRecord, match="FileNotFoundError"):
        read_manifest(FOLDER)


# continuing


def test_a_sweep_goes_on_by_its_name(capfd: pytest.CaptureFixture[str]) -> None:
    words = ["train", "-m", *QUICK, "model=lstm,gru", "seed=0,1", "sweep=s", "hydra.launcher.workers=1"]
    assert main(words) == 0
    assert whole_manifest(FOLDER).commands == [[word for word in words[1:] if word != "sweep=s"]]
    (gone,) = Path("runs/adding/gru").glob("s0-*")
    shutil.rmtree(gone)
    Path("runs").rename("moved")
    capfd.readouterr()
    assert main(["train", "--resume", "s", "runs=moved"]) == 0
    out = capfd.readouterr().out
    assert "4 runs, 3 recorded before" in out and "4 of 4 runs recorded" in out
    assert out.startswith("rnnbench train -m task=adding") and "runs=moved sweep=s\n" in out
    assert len(list(Path("moved").glob("adding/*/*/record.json"))) == 4 and not Path("runs").exists()
    assert len(whole_manifest(Path("moved/sweeps/s")).commands) == 1
    assert main(["train", "--resume", "moved/sweeps/s", "hydra.launcher.workers=2"]) == 0
    assert "4 recorded before" in capfd.readouterr().out
    assert whole_manifest(Path("moved/sweeps/s")).commands[0][-1] == "hydra.launcher.workers=2"


def test_two_commands_of_one_sweep_both_go_on() -> None:
    write_manifest(Path("runs"), "s", [stand_in(1, "x")], ["-m", "task=adding", "seed=0"])
    write_manifest(Path("runs"), "s", [stand_in(2, "x")], ["-m", "task=adding", "seed=1"])
    write_manifest(Path("runs"), "s", [stand_in(2, "x")], ["-m", "task=adding", "seed=1", "hydra.launcher.workers=3"])
    placed = ["runs=runs", "sweep=s"]
    commands, resumed = resumed_commands(["--resume", "s", "hydra.launcher.workers=4"])
    assert set(resumed.folders) == {stand_in(1, "x").id, stand_in(2, "x").id}
    assert commands == [
        ["-m", "task=adding", "seed=0", "hydra.launcher.workers=4", *placed],
        ["-m", "task=adding", "seed=1", "hydra.launcher.workers=4", *placed],
    ]


def test_no_password_is_kept() -> None:
    words = ["-m", "sweep=x", "++runs=a", "hydra.launcher.ray.init._redis_password=SECRET", "hydra.launcher.workers=2"]
    assert words_for_manifest([*words, "task.file=https://me:SECRET@host/x"]) == [
        "-m",
        "hydra.launcher.workers=2",
        "task.file=https://me:***@host/x",
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--resume"], "missing value"),
        (["--resume", "-m"], "missing value"),
        (["--resume", "nowhere"], "no sweep or folder 'nowhere'; sweeps in runs: old"),
        (["--resume", "runs"], "no sweep; its name"),
        (["--resume", "old"], "keeps no command"),
        (["--resume", "old", "task=adding"], "what is run is declared"),
        (["--resume", "old", "seed=3"], "what is run is declared"),
    ],
)
def test_what_cannot_go_on_is_one_line(words: list[str], said: str, capfd: pytest.CaptureFixture[str]) -> None:
    write_manifest(Path("runs"), "old", [stand_in(1, "x")])
    assert main(["train", *words]) == 2
    error = capfd.readouterr().err
    assert error.count("\n") == 1 and len(error) <= 401 and said in error
    with pytest.raises(BadOption):
        resumed_commands(words)


def file_of_runs(*runs: str) -> None:
    Path("two.yaml").write_text(json.dumps({"shared": " ".join(QUICK), "runs": runs}))


def test_a_file_of_command_lines_is_resumed(capfd: pytest.CaptureFixture[str]) -> None:
    """From another folder, where the store was moved, and with more workers."""
    file, folder = Path("two.yaml").absolute(), Path("moved/sweeps/two")
    file_of_runs("model=lstm,gru seed=0,1")
    assert main(["sweep", "two.yaml", "hydra.launcher.workers=1"]) == 0
    assert whole_manifest(Path("runs/sweeps/two")).commands == [["sweep", str(file), "hydra.launcher.workers=1"]]
    (gone,) = Path("runs/adding/gru").glob("s0-*")
    shutil.rmtree(gone)
    Path("runs").rename("moved")
    capfd.readouterr()
    assert main(["train", "--resume", str(folder), "hydra.launcher.workers=2"]) == 0
    out = capfd.readouterr().out
    assert out.startswith(f"rnnbench sweep {file} hydra.launcher.workers=2 runs=moved\n")
    assert "4 runs, 3 recorded before" in out and "4 of 4 runs recorded" in out
    assert len(list(Path("moved").glob("adding/*/*/record.json"))) == 4 and not Path("runs").exists()
    assert whole_manifest(folder).commands == [["sweep", str(file), "hydra.launcher.workers=2"]]


@pytest.mark.parametrize(
    ("now", "code", "said"),
    [
        (["model=lstm seed=0,1", "model=gru"], 2, "1 of 3 runs are none that the sweep lists"),
        (["model=lstm"], 1, "asked for by none of the sweep's commands any more: 1 of 2 runs, runs/adding/lstm/s1-"),
        ([], 2, "two.yaml: `runs:`, a list of command lines"),
        (None, 2, "is not there ({file}); put it back"),
    ],
    ids=["more", "fewer", "none", "gone"],
)
def test_a_file_that_was_edited_makes_no_other_sweep(
    now: list[str] | None, code: int, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    file_of_runs("model=lstm seed=0,1")
    assert main(["sweep", "two.yaml", "hydra.launcher.workers=1"]) == 0
    (gone,) = Path("runs/adding/lstm").glob("s1-*")
    shutil.rmtree(gone)
    before = set(read_manifest(Path("runs/sweeps/two")))
    Path("two.yaml").unlink()
    if now is not None:
        file_of_runs(*now)
    capfd.readouterr()
    assert main(["train", "--resume", "two"]) == code
    told = "".join(capfd.readouterr())
    assert said.format(file=Path("two.yaml").absolute()) in told
    assert set(read_manifest(Path("runs/sweeps/two"))) == before and not gone.exists()


def test_a_run_that_is_recorded_under_another_name_was_asked_for() -> None:
    """Of two names of one run in merged manifests one has a record."""
    one = stand_in(1, "x")
    resumed = Resumed({one.id: Path("runs/adding/lstm/other-name"), "f" * 32: Path("runs/adding/lstm/s0-ffffffff")})
    assert resumed.jobs([one]) == [one]
    assert resumed.not_asked() == [Path("runs/adding/lstm/s0-ffffffff")]
    Path("runs/adding/lstm/s0-ffffffff").mkdir(parents=True)
    Path("runs/adding/lstm/s0-ffffffff/record.json").touch()
    assert resumed.not_asked() == []


TEXTS = "\n".join(["text,label", *(f"{word} film {n},{n % 2}" for n, word in enumerate(("good", "bad") * 20))])


@pytest.mark.parametrize(("begun", "file"), [("", "a/data.csv"), ("a", "data.csv"), ("elsewhere", "../a/data.csv")])
def test_paths_in_a_file_hold_from_where_it_was_first_given(
    begun: str, file: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    here = Path.cwd()
    for name in ("a", "elsewhere", "third"):
        Path(name).mkdir()
    Path("a/data.csv").write_text(TEXTS)
    Path("a/two.yaml").write_text(
        json.dumps(
            {
                "shared": "tracker=none model.hidden_size=2 network.embedding=2 train.steps=2 train.eval_every=2",
                "runs": [f"task=text_classification task.file={file} model=rnn seed=0,1"],
            }
        )
    )
    monkeypatch.chdir(here / begun)
    assert main(["sweep", str(here / "a/two.yaml"), f"runs={here}/runs"]) == 0
    (gone,) = here.glob("runs/text_classification/rnn/s1-*")
    kept = whole_manifest(here / "runs/sweeps/two").commands
    assert kept == [["sweep", f"{here}/a/two.yaml", f"--from={here / begun}"]]
    (gone / "record.json").unlink()
    monkeypatch.chdir(here / "third")
    Path("data.csv").write_text("another file")
    capfd.readouterr()
    assert main(["train", "--resume", str(here / "runs/sweeps/two")]) == 0
    assert "2 runs, 1 recorded before" in capfd.readouterr().out
    assert whole_manifest(here / "runs/sweeps/two").commands == kept


@pytest.mark.parametrize("place", ["--from=a", "--from=~"])
def test_a_manifest_whose_folder_is_none_is_refused(place: str, capfd: pytest.CaptureFixture[str]) -> None:
    file_of_runs("model=lstm")
    write_manifest(Path("runs"), "s", [stand_in(1, "x")], ["sweep", str(Path("two.yaml").absolute()), place])
    assert main(["train", "--resume", "s"]) == 2
    error = capfd.readouterr().err
    assert error.count("\n") == 1 and "its manifest" in error


@pytest.mark.parametrize(
    ("runs", "number", "whole"),
    [
        ("[task=adding model=lstm,gru]", 1, '"task=adding model=lstm,gru"'),
        ("[task=adding model=lstm seed=0,1, task=parity model=rnn]", 1, '"task=adding model=lstm seed=0,1"'),
        ("[task=parity model=rnn, task=adding model=lstm,gru seed=0,1,2]", 2, '"task=adding model=lstm,gru seed=0,1,2"'),
        ("\n- task=adding model=lstm\n- gru", 1, '"task=adding model=lstm,gru"'),
    ],
)
def test_a_line_that_is_cut_at_its_comma_is_shown_in_quotes(
    runs: str, number: int, whole: str, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("two.yaml").write_text(f"runs: {runs}\n")
    assert main(["sweep", "two.yaml"]) == 2
    error = capfd.readouterr().err
    assert error.count("\n") == 1 and error.startswith(f"rnnbench: two.yaml: run {number} is cut at a comma, and ")
    assert f"put the line in quotes: {whole}" in error
    Path("two.yaml").write_text(f"runs: [{whole}]\n")
    assert all(len(line) >= 2 for line in listed_runs(Path("two.yaml")))


def test_lines_of_a_file_may_begin_with_a_space_or_leave_an_option_out(capfd: pytest.CaptureFixture[str]) -> None:
    Path("two.yaml").write_text("runs:\n- ' task=adding model=lstm'\n- '~train.clip task=adding model=gru'\n")
    assert listed_runs(Path("two.yaml")) == [["task=adding", "model=lstm"], ["train.clip=null", "task=adding", "model=gru"]]
    Path("two.yaml").write_text("runs: [null, 3]\n")
    assert main(["sweep", "two.yaml"]) == 2
    assert capfd.readouterr().err == (
        "rnnbench: two.yaml: run 1: 'None' is no command line, such as 'task=adding model=lstm,gru'\n"
    )
    Path("two.yaml").write_text("runs:\n- task=adding model=lstm\n- task=adding model=gru 'seed=0,1\n")
    assert main(["sweep", "two.yaml"]) == 2
    assert capfd.readouterr().err == "rnnbench: two.yaml: run 2: No closing quotation\n"
    Path("two.yaml").write_text("runs:\n- task=adding model=lstm\n- task=adding model=gru train.steps=interval(1,2)\n")
    assert main(["sweep", "two.yaml"]) == 2
    assert capfd.readouterr().err.startswith("rnnbench: two.yaml: run 2: train.steps=interval(1,2): an interval has no list")


def test_a_word_without_a_value_is_refused_beside_resume(capfd: pytest.CaptureFixture[str]) -> None:
    write_manifest(Path("runs"), "s", [stand_in(1, "x")], ["-m", *QUICK, "model=lstm"])
    assert main(["train", "--resume", "s", "trainer.devices"]) == 2
    assert capfd.readouterr().err == "rnnbench: trainer.devices: expected OPTION=VALUE\n"


@pytest.mark.parametrize("words", [["seed=0,1"], ["seed=0,1", "again=true"]], ids=["once", "again"])
def test_a_complete_sweep_makes_no_other_run(words: list[str]) -> None:
    asked = ["train", "-m", *QUICK, "model=lstm", *words, "sweep=s", "hydra.launcher.workers=1"]
    assert main(asked) == 0
    before = sorted(Path("runs").glob("*/*/*/record.json"))
    assert main(["train", "--resume", "s"]) == 0
    assert sorted(Path("runs").glob("*/*/*/record.json")) == before
    before[0].unlink()
    assert main(["train", "--resume", "s"]) == 0
    assert sorted(Path("runs").glob("*/*/*/record.json")) == before


def test_seeds_that_a_condition_leaves_out_are_not_missing(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-m", *QUICK, "model=lstm", "seed=0,1,2", "sweep=s", "hydra.launcher.workers=1"]) == 0
    (gone,) = Path("runs").glob("adding/lstm/s2-*")
    shutil.rmtree(gone)
    capfd.readouterr()
    assert main(["compare", "--where", "seed == 0"]) == 0
    assert "seed 2 missing" in capfd.readouterr().out
    assert main(["compare", "--where", "seed < 3"]) == 0
    assert "seed 2 missing" in capfd.readouterr().out


def test_a_command_that_would_make_other_runs_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    write_manifest(Path("runs"), "s", [stand_in(1, "x")], ["-m", *QUICK, "model=lstm", "seed=0,1"])
    assert main(["train", "--resume", "s"]) == 2
    error = capfd.readouterr().err.splitlines()[-1]
    assert "2 of 2 runs are none that the sweep lists" in error and len(error) <= 400
    assert not list(Path("runs").glob("adding/*/*/config.yaml")) and len(read_manifest(FOLDER)) == 1


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (["model=./a.py:A"], ["model={here}/a.py:A"]),
        (["model=a.py:A,lstm,../b.py:B"], ["model={here}/a.py:A,lstm,{above}/b.py:B"]),
        (["task='sub/a.py:A'"], ["task='{here}/sub/a.py:A'"]),
        (["model=./a.py\\:A"], ["model={here}/a.py\\:A"]),
        (["model=/x/a.py:A", "task=adding", "train.steps=1"], ["model=/x/a.py:A", "task=adding", "train.steps=1"]),
        (["--config-dir", "conf", "conf"], ["--config-dir", "{here}/conf", "conf"]),
        (["--config-dir=./conf"], ["--config-dir={here}/conf"]),
        (["-cd", "../conf"], ["-cd", "{above}/conf"]),
    ],
)
def test_paths_of_code_and_settings_are_kept_absolute(words: list[str], kept: list[str]) -> None:
    here = Path.cwd()
    assert words_for_manifest(words) == [word.format(here=here, above=here.parent) for word in kept]


@pytest.mark.parametrize("word", ["task.text=https://u:p@host/x", "task.text=https://host/x?password=p"])
def test_a_command_without_its_password_is_refused(word: str, capfd: pytest.CaptureFixture[str]) -> None:
    write_manifest(Path("runs"), "s", [stand_in(1, "x")], words_for_manifest(["-m", "task=char_lm", word]))
    assert main(["train", "--resume", "s"]) == 2
    error = capfd.readouterr().err
    assert error.count("\n") == 1 and "its password was not kept" in error


# whom it trusts

EVIL = "from pathlib import Path\nPath('executed').touch()\n"


@pytest.mark.parametrize(
    "words",
    [
        ["task=adding", "model={file}:MGU"],
        ["task=adding", "model=lstm,{file}:MGU"],
        ["task={file}:Ones", "model=lstm"],
        ["task=adding,{file}:Ones", "model=lstm", "seed=range(0,2)"],
        ["task=adding", "model={file}:MGU", "--config-dir", "{folder}"],
    ],
)
def test_a_manifest_names_no_code_that_was_never_named_here(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    folder = Path("theirs").absolute()
    (folder / "model").mkdir(parents=True)
    (folder / "evil.py").write_text(EVIL)
    command = ["-m", *(word.format(file=folder / "evil.py", folder=folder) for word in words)]
    write_manifest(Path("runs"), "s", [stand_in(1, "x")], command)
    assert main(["train", "--resume", "s"]) == 2
    error = capfd.readouterr().err
    assert error.count("\n") == 1 and "Traceback" not in error
    assert not Path("executed").exists()
    assert "a file is code" in error
    assert main(["train", *command]) == 2  # typed, it is imported, and found to be no model
    assert Path("executed").exists()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["-m", "--config-dir", "theirs"], "--config-dir theirs"),
        (["-m", "--config-dir=./theirs"], "--config-dir ./theirs"),
        (["-m", "-cd", "../theirs"], "--config-dir ../theirs"),
        (["-m", "--config-path", "/theirs"], "config_path"),
        (["-m", "--experimental-rerun", "/theirs/job.pickle"], "experimental_rerun"),
        (["-m", "--help"], "help"),
        (["-m", "--cfg", "job"], "cfg"),
        ([], "no -m"),
        (["-m", "--again", "runs/adding"], "--again"),
        (["-m", "--resume", "other"], "--resume"),
        (["sweep"], "no whole path"),
        (["sweep", "two.yaml"], "no whole path"),
        (["sweep", "/dev/zero"], "is not there (/dev/zero)"),
        (["sweep", "{file}", "--estimate"], "--estimate: what is run is declared"),
        (["sweep", "{file}"], "task=adding: what is run is declared"),
    ],
)
def test_flags_of_a_manifest_are_refused(flags: list[str], said: str, capfd: pytest.CaptureFixture[str]) -> None:
    Path("theirs").mkdir()
    file_of_runs("model=lstm")
    kept = [flag.format(file=Path("two.yaml").absolute()) for flag in flags]
    write_manifest(Path("runs"), "s", [stand_in(1, "x")], [*kept, *QUICK, "model=lstm"])
    assert main(["train", "--resume", "s"]) == 2
    told = capfd.readouterr()
    assert told.err.count("\n") == 1 and said in told.err and len(told.err) <= 401 and not told.out
