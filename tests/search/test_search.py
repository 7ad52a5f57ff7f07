"""Searches: equal for every model, several workers on one study, nothing lost with a worker, test never read."""

from __future__ import annotations

import itertools
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rnnbench.analysis.intervals import expected_best
from rnnbench.cli.main import main
from rnnbench.config.schema import TUNING
from rnnbench.options import BadOption
from rnnbench.search.space import Dimension, search_dimensions
from rnnbench.store.run_folder import RunFolder
from rnnbench.training.loader import EvaluationBatches

optuna = pytest.importorskip("optuna")
SHORT = ["task.length=6", "task.sequences=40", "train.batch_size=8", "model.hidden_size=8", "tracker=none"]
QUICK = ["adding", *SHORT, "train.steps=40", "train.eval_every=10"]
LONG = ["adding", *SHORT, "train.steps=600", "train.eval_every=100", "train.stop_when_solved=false", "trainer.save_seconds=0.1"]


def searches() -> dict[str, dict]:
    return {
        path.parent.name.rpartition("-")[0]: json.loads(path.read_text()) for path in Path("searches").glob("*/search.json")
    }


def test_a_search_is_recorded_whole_and_the_same_for_each_model(capfd):
    words = ["tune", QUICK[0], "lstm", "gru", *QUICK[1:], "--trials", "5", "--sampler", "random"]
    assert main([*words, "--workers", "2"]) == 0
    found = searches()
    assert set(found) == {"adding-lstm", "adding-gru"}
    lstm, gru = found["adding-lstm"], found["adding-gru"]
    assert [t["params"] for t in lstm["trials"]] == [t["params"] for t in gru["trials"]]  # random: the very same points
    assert len({str(t["params"]) for t in lstm["trials"]}) == 5
    for name, search in found.items():
        assert [trial["number"] for trial in search["trials"]] == list(range(5))
        assert search["trials"][search["best"]]["value"] == min(
            t["value"] for t in search["trials"] if t["state"] == "complete"
        )
        assert len(search["expected_best"]) == 5
        for trial in search["trials"]:
            (path,) = Path("searches").glob(f"{name}-*/{trial['run']}")
            record = RunFolder(path).record()
            if record is None:
                assert trial["state"] == "pruned"
                continue
            assert record["seed"] == TUNING and record["scores"]["test"] is None
            assert record["scores"]["validation"]["mse"] == trial["value"]
            assert record["train"]["learning_rate"] == trial["params"]["train.learning_rate"]
    before = Path("searches").rglob("record.json")
    stamps = {path: path.stat().st_mtime_ns for path in before}
    capfd.readouterr()
    assert main(words) == 0  # answered from what is there
    assert "5 trials" in capfd.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in Path("searches").rglob("record.json")} == stamps
    words[words.index("5")] = "6"  # and continued
    assert main(words) == 0
    assert [len(search["trials"]) for search in searches().values()] == [6, 6]


def test_the_test_split_is_never_read(monkeypatch, capfd):
    real = EvaluationBatches.__init__

    def reads(self, task, split, *rest, **more):
        assert split != "test"
        real(self, task, split, *rest, **more)

    monkeypatch.setattr(EvaluationBatches, "__init__", reads)
    job = ["train", "task=adding", "model=lstm", *SHORT, "train.steps=10", f"seed={TUNING}", "test=false"]
    assert main(job) == 0
    assert "test not read" in capfd.readouterr().out
    with pytest.raises(AssertionError):
        monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
        EvaluationBatches(None, "test", 1, (0, 1))


@pytest.mark.parametrize("words", [[f"seed={TUNING}"], ["test=false"], ["test=false", "seed=7"]])
def test_a_seed_is_for_searches_or_for_reports(words, capfd):
    assert main(["train", "task=adding", "model=lstm", "tracker=none", *words]) == 2
    assert "those of searches" in capfd.readouterr().err
    assert not Path("runs").exists()


@pytest.mark.slow
def test_two_workers_start_together_and_one_is_killed():
    """Two models, 8 trials each: two workers on each fresh study; one of them, or it and its job, is killed."""
    command = [sys.executable, "-m", "rnnbench", "tune", LONG[0], "lstm", "gru", *LONG[1:], "--trials", "8", "--no-prune"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    workers = [subprocess.Popen(command, **pipes) for _ in range(2)]
    try:
        deadline = time.monotonic() + 120
        while len(list(Path("searches").rglob("*.pt"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(random.random())
        workers[0].send_signal(signal.SIGKILL)
        out, _ = workers[1].communicate(timeout=400)
        assert workers[1].returncode == 0, out
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
    assert "taken over" in out
    for search in searches().values():
        assert [trial["number"] for trial in search["trials"]] == list(range(8))
        assert {trial["state"] for trial in search["trials"]} == {"complete"}
        assert len({trial["run"] for trial in search["trials"]}) == 8
    assert len(list(Path("searches").glob("*/*/*/*/record.json"))) == 16


def test_ctrl_c_says_how_to_go_on_and_the_same_command_does(capfd):
    """The trial that ran is taken over from its checkpoint."""
    words = ["tune", LONG[0], "lstm", *LONG[1:], "--trials", "1", "--no-prune"]
    worker = subprocess.Popen([sys.executable, "-m", "rnnbench", *words], stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 120
        while not list(Path("searches").rglob("*.pt")) and time.monotonic() < deadline:
            time.sleep(0.05)
        worker.send_signal(signal.SIGINT)
        _, said = worker.communicate(timeout=60)
    finally:
        worker.kill()
        worker.communicate()
    assert (worker.returncode, said) == (130, "rnnbench: interrupted; the same command continues with the rest\n")
    assert main(words) == 0
    assert "trial 0 taken over" in capfd.readouterr().out


def test_a_hopeless_trial_is_stopped_and_kept(monkeypatch):
    from rnnbench.search.study import Study

    place = Path("searches/s")
    given = ["task=adding", "model=gru", *SHORT, "train.steps=3000", "train.eval_every=100", "train.stop_when_solved=false"]
    words = [*given, f"seed={TUNING}", "test=false"]
    study = Study(place, words, [Dimension("train.learning_rate", choices=(1e-3,))], "min")
    for _ in range(4):  # that were far better
        better = optuna.trial.create_trial(
            params={"train.learning_rate": 1e-3},
            distributions={"train.learning_rate": optuna.distributions.CategoricalDistribution((1e-3,))},
            value=1e-9,
            intermediate_values=dict.fromkeys(range(100, 3001, 100), 1e-9),
        )
        study.study.add_trial(better)
    study.run(trials=5, workers=1)
    last = study.results()["trials"][-1]
    assert last["state"] == "pruned" and last["value"] == last["validation"][-1][1]
    assert last["validation"][-1][0] < 3000


def test_expected_best_against_drawing():
    values = [0.5, None, 0.1, 0.9, 0.3]
    exact = expected_best(values, "min")
    drawn = random.Random(0)
    filled = [0.9 if value is None else value for value in values]
    for n in (1, 2, 5):
        mean = sum(min(drawn.choices(filled, k=n)) for _ in range(40_000)) / 40_000
        assert math.isclose(exact[n - 1], mean, abs_tol=0.006)
    assert expected_best([1.0, 3.0], "max") == [2.0, 2.5]
    scores = [0.2, 0.9, 0.4]
    for direction, best in (("max", max), ("min", min)):
        for n in (1, 2, 3):
            draws = [best(draw) for draw in itertools.product(scores, repeat=n)]
            assert math.isclose(expected_best(scores, direction)[n - 1], sum(draws) / len(draws))
    assert expected_best([None], "min") == []


@pytest.mark.parametrize(
    "dimension, value, edge",
    [
        (Dimension("a", 1e-4, 1e-1, log=True), 1.2e-4, "lower end"),
        (Dimension("a", 1e-4, 1e-1, log=True), 9e-2, "upper end"),
        (Dimension("a", 1e-4, 1e-1, log=True), 5e-3, ""),
        (Dimension("a", 0.0, 1.0), 0.97, "upper end"),
        (Dimension("a", choices=(16, 32, 64)), 64, "highest"),
        (Dimension("a", choices=(16, 32, 64)), 32, ""),
        (Dimension("a", choices=("adam", "sgd", "rmsprop")), "adam", ""),
    ],
)
def test_a_winner_at_an_end_is_flagged(dimension, value, edge):
    assert dimension.edge(value) == edge


LSTM = [{"task": "adding", "model": "lstm"}]


@pytest.mark.parametrize(
    ("key", "rule", "whole"),
    [
        ("train.weight_decay", {"low": 0, "high": 1}, False),
        ("train.clip", {"low": 1, "high": 100, "log": True}, False),  # a number or null
        ("train.batch_size", {"low": 1, "high": 64}, True),
        ("model.hidden_size", {"low": 8, "high": 64, "log": True}, True),
    ],
)
def test_a_range_is_of_whole_numbers_where_the_option_takes_no_others(key, rule, whole):
    (dimension,) = search_dimensions({key: rule}, LSTM)
    drawn = [dimension.suggest(optuna.create_study().ask()) for _ in range(5)]
    assert {type(value) for value in drawn} == {int if whole else float}
    assert all(value == int(value) for value in drawn) == whole


@pytest.mark.parametrize(
    "rules, said",
    [
        ({}, "empty"),
        ({"train.learning_rat": [0.1]}, "did you mean 'train.learning_rate'"),
        ({"train.learning_rate": {"low": 0.1}}, "low: 0.1"),
        ({"train.learning_rate": {"low": 1, "high": 0.1}}, "low < high"),
        ({"train.learning_rate": {"low": 0, "high": 0.1, "log": True}}, "above 0"),
        ({"train.batch_size": {"low": 0, "high": 8}}, "at least 1"),
        ({"train.optimizer": ["adam", "adamm"]}, "adamm"),
        ({"model.peepholes": ["none"]}, ""),
    ],
)
def test_rules_are_checked(rules, said):
    if not said:
        search_dimensions(rules, LSTM)
        with pytest.raises(BadOption, match=r"model=gru: no option 'model\.peepholes'"):
            search_dimensions(rules, [*LSTM, {"task": "adding", "model": "gru"}])
        return
    with pytest.raises(BadOption, match=said):
        search_dimensions(rules, LSTM)


@pytest.mark.parametrize(
    "words, said",
    [
        (["adding", "lstmm", "--trials", "2"], "did you mean 'lstm'"),
        (["addin", "lstm", "--trials", "2"], "did you mean 'adding'"),
        (["adding", "task.length=6", "--trials", "2"], "missing value: MODEL"),
        (["adding", "lstm", "seed=1", "--trials", "2"], "the search sets that"),
        (["adding", "lstm", "train.clip=1", "--trials", "2"], "the search sets that"),
        (["adding", "lstm", "--trials", "0"], "1 or more"),
        (["adding", "lstm", "--trials", "2", "--space", "defautl"], "did you mean 'default'"),
        (["adding", "lstm", "--trials", "2", "--sampler", "tp"], "tpe"),
    ],
)
def test_bad_words_are_refused(words, said, capfd):
    assert main(["tune", *words]) == 2
    err = capfd.readouterr().err
    assert said in err and err.count("\n") == 1
    assert not os.listdir()


def test_it_fails_where_no_trial_came_to_its_end(capfd):
    words = [*QUICK[1:], "train.learning_rate=1e30", "train.optimizer=sgd"]
    Path("space.yaml").write_text("train.clip: [1.0e+30]\n")
    assert main(["tune", "adding", "relu_rnn", *words, "--trials", "1", "--space", "space.yaml"]) == 1
    assert "1 trial (1 fail)\n  no trial came to its end" in capfd.readouterr().out


def test_a_study_in_a_data_base(capfd):
    words = ["tune", QUICK[0], "gru", *QUICK[1:], "--trials", "3", "--sampler", "qmc", "--storage", "sqlite:///study.db"]
    assert main(words) == 0
    assert "3 trials" in capfd.readouterr().out and not list(Path("searches").rglob("journal.log"))
