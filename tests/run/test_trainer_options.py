"""trainer.*: devices at hand, a trial run that leaves nothing, a profile, callbacks of other packages."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

import rnnbench
from rnnbench.cli.main import main
from rnnbench.config.checks import resolve
from rnnbench.config.compose import compose_jobs
from rnnbench.config.repeat import repeat_words
from rnnbench.options import BadOption
from rnnbench.run.execute import execute
from rnnbench.run.load import load_run
from rnnbench.run.plan import plan_run
from rnnbench.store.run_folder import RunFolder
from rnnbench.training.checkpoint import make_checkpoint
from rnnbench.training.learner import Learner
from tests.conftest import everything
from tests.plugins.conftest import site  # noqa: F401 - a fixture
from tests.run.test_devices import ragged
from tests.support.plugins import Site

ADDING = ["task=adding", "task.length=5", "task.sequences=250", "tracker=none"]
SHORT = [*ADDING, "model=gru", "model.hidden_size=4", "train.steps=4", "train.eval_every=2", "train.batch_size=4"]


def settings(*words: str, sweep: bool = False):
    return compose_jobs([*SHORT, *words], sweep=sweep)[0]


def only(root: str = "runs") -> RunFolder:
    (path,) = Path(root).glob("*/*/*/record.json")
    return RunFolder(path.parent)


def one_line(capfd: pytest.CaptureFixture[str], said: str) -> None:
    """What a refused command prints."""
    out, error = capfd.readouterr()
    assert said in error and error.count("\n") == 1 and len(error) <= 400
    assert not out.strip() or out.endswith(" runs checked\n")


# devices=auto


@pytest.mark.parametrize(
    ("accelerator", "there", "expected"), [("cpu", 4, 1), ("gpu", 4, 4), ("auto", 2, 2), ("gpu", 0, 1), ("auto", 0, 1)]
)
def test_auto_is_as_many_devices_as_are_at_hand(accelerator: str, there: int, expected: int, monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: there)
    found = settings("trainer.devices=auto", f"trainer.accelerator={accelerator}")
    assert found.trainer.devices == expected == found.plain()["trainer"]["devices"]
    assert found == settings(f"trainer.devices={expected}", f"trainer.accelerator={accelerator}")
    assert resolve(found.plain()) == found


def test_what_auto_came_to_is_recorded() -> None:
    execute(settings("trainer.devices=auto"))
    assert (only().record() or {})["config"]["trainer"]["devices"] == only().config()["trainer"]["devices"] == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trainer.devices=auto", "trainer.nodes=2"], "trainer.nodes=2 asks for others; say how many each machine has"),
        (["trainer.devices=all"], "trainer.devices='all' is not allowed; allowed: whole number, at least 1, or auto"),
        (["trainer.devices=0"], "trainer.devices=0 is not allowed"),
    ],
)
def test_devices_that_are_refused(words: list[str], said: str) -> None:
    with pytest.raises(BadOption) as refused:
        settings(*words)
    assert said in str(refused.value) and len(str(refused.value)) <= 400


# fast_dev_run

TRIED = {
    "generated": [*SHORT, "train.steps=1000000"],
    "of files": ["task=text_classification", "task.file=reviews.csv", "model=gru", "model.hidden_size=4", "tracker=none"],
    "validation only": [*SHORT, "test=false", f"seed={2**31}"],
    "carried": ["task=continual_reber", "task.window=7", "model=lstm", "model.hidden_size=4", "tracker=none"],
    "online": [
        *("task=embedded_reber", "task.error=squared", "model=lstm_1997", "model.hidden_size=2", "network.output=logistic"),
        *("train.rule=online", "train.batch_size=1", "train.precision='64'", "tracker=none"),
    ],
}


@pytest.mark.parametrize("kind", TRIED)
def test_a_trial_leaves_nothing(kind: str, capfd, monkeypatch) -> None:
    Path("reviews.csv").write_text(ragged(), encoding="utf-8")
    before, saved = everything(Path()), []
    monkeypatch.setattr("rnnbench.training.learner.make_checkpoint", lambda *a: saved.append(a[0].step) or make_checkpoint(*a))
    assert main(["train", *TRIED[kind], "trainer.fast_dev_run=true"]) == 0
    out, _ = capfd.readouterr()
    batches = "one batch of validation" + (" and one of test" if kind != "validation only" else "")
    assert f"fast_dev_run passed: one step, {batches} in " in out and out.rstrip().endswith("no folder is kept"), out
    assert everything(Path()) == before and "mse" not in out and "accuracy" not in out
    assert saved == ([] if kind == "online" else [1])


def test_a_trial_reads_one_batch_of_each_split(monkeypatch) -> None:
    read, step = [], Learner.validation_step

    def watched(self, batches, index):
        read.append((self.trainer.testing, [len(batch.lengths) for batch in batches]))
        step(self, batches, index)

    monkeypatch.setattr(Learner, "validation_step", watched)
    monkeypatch.setattr(Learner, "test_step", watched)
    execute(settings("trainer.fast_dev_run=true"))
    assert read == [(False, [100]), (True, [100])]


def test_a_trial_is_made_of_a_recorded_run_too(capfd) -> None:
    execute(settings())
    before = everything(Path())
    assert main(["train", *SHORT, "trainer.fast_dev_run=true"]) == 0
    assert "fast_dev_run passed" in capfd.readouterr()[0] and everything(Path()) == before


def test_a_trial_that_fails_says_so(capfd, monkeypatch) -> None:
    def fails(*_):
        raise ArithmeticError("too much")

    monkeypatch.setattr(Learner, "on_test_epoch_end", fails)
    assert main(["train", *SHORT, "trainer.fast_dev_run=true"]) == 1
    one_line(capfd, "ArithmeticError: too much")
    assert not Path("runs").exists()


@pytest.mark.parametrize("words", [["-m"], ["-m", "model=lstm,rnn"]], ids=" ".join)
def test_a_sweep_needs_records(words: list[str], capfd) -> None:
    assert main(["train", *[word for word in SHORT if word != "model=gru" or len(words) == 1], *words, TRY]) == 2
    one_line(capfd, "trainer.fast_dev_run=true leaves no record")
    assert not Path("runs").exists()


TRY = "trainer.fast_dev_run=true"


def test_estimates_and_searches_need_records(capfd) -> None:
    assert main(["estimate", *SHORT, TRY]) == 2
    one_line(capfd, "trainer.fast_dev_run=true leaves no record")
    assert main(["tune", "adding", "gru", TRY, "tracker=none", "--trials", "2"]) == 2
    one_line(capfd, "a search needs those of its runs")


def test_python_gets_no_run_of_a_trial() -> None:
    with pytest.raises(BadOption, match="leaves no run to load"):
        rnnbench.train(*SHORT, TRY)


# profiler


@pytest.mark.parametrize(("name", "holds"), [("simple", "run_training_batch"), ("pytorch", "Self CPU")])
def test_the_profile_lies_in_the_run_folder(name: str, holds: str, capfd) -> None:
    (plain, profiled) = (settings(*words) for words in ([], [f"trainer.profiler={name}"]))
    assert plan_run(plain).id == plan_run(profiled).id
    assert main(["train", *SHORT, f"trainer.profiler={name}"]) == 0
    place = only().path / "profile.txt"
    text = place.read_text(encoding="utf-8")
    assert (
        holds in text and "FIT Profiler Report" in text and ("TEST Profiler Report" in text) == (name == "simple")
    )  # of one step
    assert f"profile: {place}" in capfd.readouterr()[0]
    assert {path.name for path in Path().iterdir()} == {"runs"}
    with pytest.raises(BadOption, match=r"allowed: none, simple, pytorch"):
        settings("trainer.profiler=advanced")


# callbacks

CALLBACKS = '''
import pytorch_lightning
from .more import RATE


class Scales(pytorch_lightning.Callback):
    """Makes every gradient larger."""

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        for parameter in pl_module.network.parameters():
            parameter.grad *= RATE


class Raises(pytorch_lightning.Callback):
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.helps(pl_module)

    def helps(self, pl_module):
        raise LookupError("nothing")


class Unmade(pytorch_lightning.Callback):
    def __init__(self):
        raise OSError("no disk")


class Asks(pytorch_lightning.Callback):
    def __init__(self, size: int):
        pass


class Other:
    pass
'''
NAMES = ("Scales", "Raises", "Unmade", "Asks", "Other")


@pytest.fixture
def callbacks(site: Site) -> Site:  # noqa: F811
    entries = {"callbacks": {name.lower(): f"watching.hooks:{name}" for name in NAMES}}
    site.add(entries, {"watching/__init__.py": "", "watching/hooks.py": CALLBACKS, "watching/more.py": "RATE = 100.0\n"})
    return site


def test_a_callback_acts_and_is_part_of_the_run(callbacks: Site) -> None:
    plain, watched = (
        settings("train.clip=null", "train.optimizer=sgd"),
        settings("train.clip=null", "train.optimizer=sgd", "trainer.callbacks=[scales]"),
    )
    assert plain.identity("") == settings("train.clip=null", "train.optimizer=sgd", "trainer.callbacks=[]").identity("")
    one, two = execute(plain), execute(watched)
    assert one and two and one["id"] != two["id"] and one["scores"]["test"] != two["scores"]["test"]
    assert two["config"]["trainer"]["callbacks"] == two["departures"]["trainer.callbacks"] == ["scales"]
    assert list(two["code"]) == ["callback scales"] and "code" not in one
    assert "trainer.callbacks=[scales]" in repeat_words(watched.plain()) and resolve(watched.plain()) == watched


def test_another_code_of_a_callback_is_another_run(callbacks: Site) -> None:
    before = settings("trainer.callbacks=[scales]").identity("")
    path = callbacks.folder / "watching/more.py"
    for text, same in (("RATE = 100.0  # said better\n", True), ("RATE = 10.0\n", False)):
        path.write_text(text, encoding="utf-8")
        from tests.support.plugins import forget

        forget()
        assert (settings("trainer.callbacks=[scales]").identity("") == before) == same


def test_a_run_is_loaded_without_its_callbacks(callbacks: Site) -> None:
    execute(settings("trainer.callbacks=[scales]"))
    from tests.support.plugins import forget

    (callbacks.folder / "their_package-1.0.dist-info" / "entry_points.txt").unlink()
    forget()
    assert load_run(only().path).metrics is not None
    with pytest.raises(BadOption, match="no installed package has one"):
        settings("trainer.callbacks=[scales]")


REFUSED = {
    "[scale]": "no callback 'scale'; did you mean 'scales'? there are: asks, other, raises, scales, unmade",
    "[scales,scales]": "trainer.callbacks has scales twice; allowed: each once",
    "[asks]": "is made with size; allowed: parameters with defaults only",
    "[other]": "Other is no class derived from pytorch_lightning's Callback",
    "scales": "allowed: list of: text",
}


@pytest.mark.parametrize("given", REFUSED)
def test_callbacks_that_are_refused(given: str, callbacks: Site, capfd) -> None:
    assert main(["train", *SHORT, f"trainer.callbacks={given}"]) == 2
    one_line(capfd, REFUSED[given])
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("word", "said"),
    [("trainer.profiler=simple", "allowed: none"), ("trainer.callbacks=[scales]", "allowed: []")],
)
def test_the_compiled_loop_has_no_hooks(word: str, said: str) -> None:
    with pytest.raises(BadOption, match=r"beside train\.rule=online is not allowed") as refused:
        compose_jobs([*TRIED["online"], word], sweep=False)
    assert str(refused.value).endswith(said)


@pytest.mark.parametrize(
    ("name", "said"),
    [("raises", "callback raises raised LookupError: nothing ("), ("unmade", "callback unmade raised OSError: no disk (")],
)
def test_a_callback_that_raises_ends_the_run_by_its_name(name: str, said: str, callbacks: Site, capfd) -> None:
    assert main(["train", *SHORT, f"trainer.callbacks=[{name}]"]) == 1
    _, error = capfd.readouterr()
    place = callbacks.folder / "watching/hooks.py"
    assert said in error and f"({place}:" in error and error.count("\n") == 1 and len(error) <= 400 + len(str(place)), error
    line = int(error.rpartition(":")[2].rstrip(")\n"))
    assert ("raise LookupError" if name == "raises" else "raise OSError") in place.read_text().splitlines()[line - 1]
    assert not list(Path("runs").rglob("record.json"))


def test_no_callback_is_imported_before_it_is_asked_for(callbacks: Site) -> None:
    settings()
    assert not any(name.startswith("watching") for name in sys.modules)
