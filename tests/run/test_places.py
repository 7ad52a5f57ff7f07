"""Where data lie is no part of a run's id: what they are says their fingerprint. Runs under ids that said it are found."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rnnbench.analysis.grouping import group_runs
from rnnbench.cli.main import main
from rnnbench.config.compose import compose_jobs
from rnnbench.config.identity import setting_identity
from rnnbench.config.places import ROWS, SPLITS, absolute_path, places, with_absolute_places, without_places
from rnnbench.config.schema import read_signature
from rnnbench.data.split_names import NAMES, instructed
from rnnbench.launch.resume import words_for_manifest
from rnnbench.store.find import find_runs
from rnnbench.store.record import digest
from rnnbench.store.run_folder import RunFolder
from rnnbench.tasks import task_names

FIXTURE = Path(__file__).parents[1] / "fixtures/places"  # made when task.file was part of the id
RUN = "text_classification/gru/s0-dd011bfd"
WORDS = ["train", "task=text_classification", "model=gru", "model.hidden_size=2", "network.embedding=2", "train.steps=4"]
WORDS += ["train.eval_every=2", "train.log_every=2", "tracker=none"]


@pytest.fixture(autouse=True)
def here(clean, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RNNBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    shutil.copy(FIXTURE / "reviews.csv", tmp_path)
    return tmp_path


SPELLINGS = ["reviews.csv", "./reviews.csv", "{here}/reviews.csv", "{here}/other/same.csv"]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_run_under_its_old_id_answers(here: Path, spelling: str, capfd):
    shutil.copytree(FIXTURE / "store", here / "runs")
    (here / "other").mkdir()
    shutil.copy(here / "reviews.csv", here / "other/same.csv")
    assert main([*WORDS, f"task.file={spelling.format(here=here)}"]) == 0
    assert f"{RUN}  recorded before: test accuracy 0.6667" in capfd.readouterr().out
    assert [path.name for path in (here / "runs/text_classification/gru").iterdir()] == [Path(RUN).name]


def test_other_content_is_another_run(here: Path, capfd):
    shutil.copytree(FIXTURE / "store", here / "runs")
    text = (here / "reviews.csv").read_text()
    (here / "reviews.csv").write_text(text.replace("film 3", "show 3"))
    assert main([*WORDS, "task.file=reviews.csv"]) == 0
    assert "recorded before" not in capfd.readouterr().out
    assert len(list((here / "runs/text_classification/gru").iterdir())) == 2


def config(**options: object) -> dict:
    words = [f"task.{name}={value}" for name, value in options.items()]
    (job,) = compose_jobs(["task=text_classification", "model=gru", *words], sweep=False)
    return job.plain()


def test_one_setting_however_the_file_is_named():
    alike = [config(file="a.csv"), config(file="/x/a.csv"), config(hub="org/name"), config(train="a.csv", separator="tab")]
    assert len({digest(setting_identity(one, "print")) for one in alike}) == 1
    assert len({digest(setting_identity(one, "print", with_places=True)) for one in alike}) == 4
    assert len({digest(setting_identity(alike[0], data)) for data in ("print", "other")}) == 2
    assert digest(setting_identity(config(file="a.csv", order="shuffled"), "print")) != digest(
        setting_identity(alike[0], "print")
    )


def test_a_named_revision_is_another_setting():
    alike = [config(hub="org/name"), config(hub="org/other"), config(file="a.csv"), config(file="a.csv", revision="v1")]
    others = [config(hub="org/name", revision=revision) for revision in ("v1", "v2")]
    assert [len({digest(setting_identity(one, "print")) for one in side}) for side in (alike, others)] == [1, 2]
    assert len({digest(setting_identity(one, "print")) for one in (*alike, *others)}) == 3


@pytest.mark.parametrize("name", task_names())
def test_a_revision_is_no_place(name: str):
    revision = read_signature("task", name).options.get("revision")
    assert revision is None or not revision.says_where("v1")


def test_places_are_told_apart_from_options():
    task = config(file="a.csv", order="shuffled")["task"]
    assert places({"task": task}) == {"file": "a.csv"}
    assert "file" not in without_places(task) and without_places(task)["order"] == "shuffled"
    assert without_places({"name": "nosuch", "file": "a.csv"}) == {"name": "nosuch", "file": "a.csv"}


def test_settings_on_disk_hold_from_another_folder(here: Path, monkeypatch: pytest.MonkeyPatch, capfd):
    assert main([*WORDS, "task.file=reviews.csv"]) == 0
    (run,) = (here / "runs/text_classification/gru").iterdir()
    assert f"file: {here}/reviews.csv\n" in (run / "config.yaml").read_text()
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")
    assert main(["train", "--again", str(run)]) == 0
    assert "recorded before" in capfd.readouterr().out


def test_a_sweep_goes_on_from_another_folder(here: Path, monkeypatch: pytest.MonkeyPatch):
    (here / "my data").mkdir()
    shutil.copy(here / "reviews.csv", here / "my data/b.csv")
    words = ["-m", "task=text_classification", "task.file=reviews.csv,'my data/b.csv'", "task.order=kept", "model=gru,rnn"]
    kept = words_for_manifest(words)
    assert kept == [*words[:2], f"task.file={here}/reviews.csv,'{here}/my data/b.csv'", *words[3:]]
    assert words_for_manifest(["task=char_lm", "task.text=ptb"]) == ["task=char_lm", "task.text=ptb"]
    (here / "org/name").mkdir(parents=True)
    for word in ("task.file=none.csv", "task.hub=org/name"):
        assert words_for_manifest(["task=text_classification", word])[1] == word


def test_vectors_of_the_cache_of_torchtext_are_those_of_the_folder_that_is_asked(tmp_path: Path) -> None:
    file = tmp_path / "below" / ".vector_cache" / "my4.txt"
    file.parent.mkdir(parents=True)
    file.write_text("film 1 2\n")
    assert absolute_path("vectors", "my4", str(tmp_path / "below")) == str(file)
    assert absolute_path("vectors", "my4") == "my4"


@pytest.mark.parametrize("name", ["glove.6B.2d", "glove.6B.2d.txt", "fasttext.en.300d"])
def test_vectors_of_the_cache_of_torchtext_are_found_from_another_folder(
    here: Path, name: str, monkeypatch: pytest.MonkeyPatch, capfd
):
    file = here / ".vector_cache" / ("wiki.en.vec" if name.startswith("fasttext") else "glove.6B.2d.txt")
    file.parent.mkdir()
    file.write_text("film 1 2\nfine 3 4\n")
    words = [*WORDS, "task.file=reviews.csv", f"task.vectors={name}"]
    assert f"task.vectors={file}" in words_for_manifest(words)
    assert main(["train", "-m", *words[1:], "seed=0,1", "sweep=two"]) == 0
    run = next((here / "runs/text_classification/gru").iterdir())
    assert f"vectors: {file}\n" in (run / "config.yaml").read_text()
    shutil.rmtree(run)
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")
    capfd.readouterr()
    assert main(["train", "--resume", str(here / "runs/sweeps/two")]) == 0
    assert (run / "record.json").is_file(), capfd.readouterr()


def test_names_of_splits_are_no_paths(here: Path):
    (here / "test").mkdir()
    (here / "org/name").mkdir(parents=True)
    task = with_absolute_places(config(hub="org/name", test="test"))["task"]
    assert task["hub"] == "org/name" and task["test"] == "test"
    for name in ("test", "train[:80%]", "train+dev", "test[5:]"):
        (here / "train8").write_text("")  # which `train[:80%]` is a pattern of
        task = with_absolute_places(config(file="reviews.csv", test=name))["task"]
        assert task["test"] == name and task["file"] == f"{here}/reviews.csv"
    assert with_absolute_places(config(file="reviews.csv"))["task"]["file"] == f"{here}/reviews.csv"


@pytest.mark.parametrize("value", ["train[:80%]", "dev[5:]", "train[:10]+dev[10:]", "train[0:100%](pct1_dropremainder)"])
def test_config_and_data_call_the_same_texts_splits(value: str) -> None:
    assert tuple(NAMES) == SPLITS and ROWS.search(value) and instructed(value)
    assert not any(ROWS.search(name) or instructed(name) for name in ("train", "a/train.csv", "train[12].csv", "*.csv"))


@pytest.mark.parametrize(("file", "blocks"), [("reviews.csv", 1), ("others.csv", 2)])
def test_an_unfinished_run_stands_with_the_runs_of_its_data(here: Path, file: str, blocks: int):
    shutil.copytree(FIXTURE / "store", here / "runs")
    ((run,), _) = find_runs([here / "runs"])
    begun = {**run.config, "task": {**run.config["task"], "file": run.config["task"]["file"].replace("reviews.csv", file)}}
    RunFolder(here / "runs/text_classification/rnn/s0-01234567").start({**begun, "id": "0" * 32, "setting": "1" * 32})
    found, complaints = group_runs(*find_runs([here / "runs"]))
    assert len(found) == blocks and not complaints


@pytest.mark.parametrize("word", ["task.columns=data", "task.separator=data", "task.config=data"])
def test_how_data_are_read_is_no_path(here: Path, word: str):
    """A column may be called as a folder is that lies there."""
    (here / "data").mkdir()
    words = ["task=forecasting", "task.hub=./data", word]
    (job,) = compose_jobs([*words, "model=gru"], sweep=False)
    key, _, value = word.removeprefix("task.").partition("=")
    assert with_absolute_places(job.plain())["task"][key] == value
    assert words_for_manifest(words) == [words[0], f"task.hub={here}/data", word]
