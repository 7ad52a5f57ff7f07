"""The verb: a tiny suite from the laws to the page; what stops it; suites that are none."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

from rnnbench.card import committed, cost, make
from rnnbench.card.fading import fading_of, reach_of_fading
from rnnbench.card.page import Card
from rnnbench.card.runs import Entrants, Line, check_winners, own_test_seed
from rnnbench.card.suite import load_suite, read_suite
from rnnbench.card.tuning import Search, rank_key, search_plan, search_points
from rnnbench.cli import card as verb
from rnnbench.cli.main import main
from rnnbench.config.compose import compose_jobs
from rnnbench.config.schema import CONF, choice_settings
from rnnbench.config.winners import UNDER, add_winners, read_winners, winner_of_search
from rnnbench.laws.results import LawResult, cell_results
from rnnbench.models.details import model_stack
from rnnbench.models.registry import mechanism_class
from rnnbench.options import BadOption
from rnnbench.run.plan import make_task, within_budget
from rnnbench.search.space import Dimension
from rnnbench.store.find import find_runs
from rnnbench.store.record import Record
from tests.support.documents import ROOT, code_blocks

TO_THE_END = "train.stop_when_solved=false"
SUITE = {
    "version": "tiny/1",
    "about": "For tests.",
    "words": "budget.params=200 budget.tolerance=0.5 task.sequences=8 "
    "train.learning_rate=0.01 train.batch_size=4 train.steps=4 train.eval_every=2",
    "opponents": ["rnn"],
    "seeds": 4,
    "opponent_seeds": 5,
    "tasks": {
        "adding": {"title": "Adding", "asks": "a", "words": "task=adding task.length=4", "measure": "steps_to_solve"},
        "parity": {
            "title": "Parity",
            "asks": "b",
            "words": "task=formal_language task.longest=4 task.test_shortest=5 task.test_longest=6 " + TO_THE_END,
            "measure": "score",
        },
        "music": {
            "title": "Music",
            "asks": "c",
            "words": f"task=music {TO_THE_END}",
            "measure": "score",
            "needs": "no_such_module",
        },
    },
    "tuning": {"trials": 2, "seeds": 3, "space": {"train.learning_rate": {"low": 0.002, "high": 0.1, "log": True}}},
}
(MGU,) = (block.text for block in code_blocks(ROOT / "docs/tutorials/cell.md") if block.file == "my_cell.py")
BROKEN = {
    "ReadsTheFuture": (
        "\n    def unroll(self, x, state, lengths=None):\n        return super().unroll(x + x.mean(0), state, lengths)\n"
    ),
    "WrongGradient": (
        "\n    def step(self, x, state, seen=None):\n        y, h, gates = super().step(x, state, seen)\n"
        "        y = y.detach() + 2 * (y - y.detach())\n        return y, y, gates\n"
    ),
}


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny suite in place of those that come with the program, and costs of one small shape."""
    Path("tiny.yaml").write_text(yaml.safe_dump(SUITE))
    Path("my_cell.py").write_text(MGU)
    monkeypatch.setattr(verb, "load_suite", lambda name: read_suite(Path("tiny.yaml")))
    monkeypatch.setattr(cost, "WIDTH", 8)
    monkeypatch.setattr(
        make, "measure_costs", lambda models: cost.measure_costs(models, rounds=1, shapes=((4, 2, 8), (3, 2, 8), (2, 2, 8)))
    )


CARD = ["card", "./my_cell.py:MGU", "tracker=none"]


def test_a_card_from_the_laws_to_the_page(tiny: None, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*CARD, "-o", "out"]) == 0
    said = capfd.readouterr().out
    assert "16 laws hold of MGU" in said and "about" in said  # the time, before anything is run
    card = json.loads(Path("out/card.json").read_text())
    assert {task: {name: len(found) for name, found in models.items()} for task, models in card["runs"].items()} == {
        task: {"MGU": 4, "rnn": 5} for task in ("adding", "parity")
    }
    assert [(one["task"], one["opponent"]) for one in card["verdicts"]] == [("adding", "rnn"), ("parity", "rnn")]
    assert {one["word"] for one in card["verdicts"]} <= {"ahead", "behind", "open"}
    assert card["left_out"] == ["Music: no_such_module is not installed"] and not card["stopped"]
    for name in ("card.html", "card.md"):
        page = Path("out", name).read_text()
        for part in ("Is it right?", "What does it cost?", "Where is it better?", "tiny/1", "the suite is public"):
            assert part in page
        assert not re.search("better cell", page, re.IGNORECASE) and str(Path.cwd()) not in page
    assert Path("out/card.html").read_text().count("<figure>") == 2  # the gradient through time, before training and after
    assert set(card["gradient_after_training"]) == {"adding", "parity"}
    assert card["gradient_after_training"]["adding"][0] == 1 and len(card["costs"][0]["fading"]) == 200
    found, _ = find_runs([Path("runs")])
    seeds = {(run.config["model"]["name"], run.config["test_seed"]) for run in found}
    (own,) = {seed for name, seed in seeds if name == "MGU"}
    assert own > 0 and {seed for name, seed in seeds if name == "rnn"} == {0}
    stamps = {run.path: (run.path / "record.json").stat().st_mtime_ns for run in found}
    capfd.readouterr()
    assert main([*CARD, "-o", "out"]) == 0  # answered from the records
    assert "tiny/1: runs to make: 0 at equal parameters; 18 are recorded\n" in capfd.readouterr().out
    assert {path: (path / "record.json").stat().st_mtime_ns for path in stamps} == stamps
    assert json.loads(Path("out/card.json").read_text())["verdicts"] == card["verdicts"]


def test_a_setting_of_a_cell_is_named_wherever_the_card_says_what_it_is_of(tiny: None) -> None:
    """Beside the same cell without it; its runs have an id of their own, and test rows of their own."""
    assert main(["card", "lstm", "model.CIFG=true", "--against", "lstm", "tracker=none", "-o", "out"]) == 0
    card = json.loads(Path("out/card.json").read_text())
    assert card["cell"] == card["row"]["cell"] == "lstm CIFG=true" and "lstm model.CIFG=true" in card["command"]
    assert {one["opponent"] for one in card["verdicts"]} == {"lstm"} == set(card["runs"]["adding"]) - {"lstm CIFG=true"}
    coupled, plain = card["costs"]
    assert (coupled["model"], plain["model"]) == ("lstm CIFG=true", "lstm") and coupled["parameters"] < plain["parameters"]
    assert "lstm CIFG=true: card tiny/1" in Path("out/card.md").read_text()
    found = {(run.config["model"]["CIFG"], run.config["test_seed"] > 0): run for run in find_runs([Path("runs")])[0]}
    assert set(found) == {(True, True), (False, False)} and len({run.path for run in found.values()}) == 2


FOUND = {"train.learning_rate": 0.02}


@pytest.mark.parametrize(
    ("model", "other", "said"),
    [
        ("rnn", [], ""),
        ("rnn", ["task.length=5"], "task.length=5 (here 4)"),
        ("gru", ["train.steps=9", "task.length=5"], "task.length=5 (here 4) and 1 more"),
        ("gru", ["budget.params=300"], "budget.params=300 (here 200)"),
        ("rnn", ["model.layers=2"], "model.layers=2 (here the default)"),
        ("rnn", ["version"], "task.version=7 (here 1)"),
    ],
)
def test_winners_of_a_search_under_other_settings_are_refused(tiny: None, model: str, other: list[str], said: str) -> None:
    suite, entrants = read_suite(Path("tiny.yaml")), Entrants("gru", {"gru": "gru", "rnn": "rnn"})
    winners = {
        task: {name: winner_of_search(suite.setting(task, name), FOUND) for name in entrants.models} for task in suite.here
    }
    if other == ["version"]:
        winners["adding"][model][UNDER]["task.version"] = 7
    elif other:
        winners["adding"][model] = winner_of_search([*suite.setting("adding", model), *other], FOUND)
    add_winners(Path("winners.yaml"), winners)
    found = read_winners(Path("winners.yaml"))
    assert found == winners
    if not said:
        assert check_winners(suite, entrants, found) == []
        return
    with pytest.raises(BadOption, match=re.escape(f"winners: that of adding and {model} was found under {said}")):
        check_winners(suite, entrants, found)


def test_winners_without_their_settings_are_taken_and_the_card_says_so(
    tiny: None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    add_winners(Path("winners.yaml"), {task: {"MGU": FOUND, "rnn": FOUND} for task in ("adding", "parity")})
    monkeypatch.setattr(make, "launch_sweep", lambda *_, **__: 3)  # as a sweep that was stopped
    cards: list[Card] = []
    tried = make._tried
    monkeypatch.setattr(make, "_tried", lambda request: cards.append(tried(request)) or cards[-1])
    assert main([*CARD, "--winners", "winners.yaml"]) == 3
    names = ["adding and MGU", "adding and rnn", "parity and MGU", "parity and rnn"]
    assert f"is not known of: {', '.join(names)}" in capfd.readouterr().out and cards[0].tuned_elsewhere == names


@pytest.mark.slow
def test_full_tunes_every_model_at_the_same_points(tiny: None, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*CARD, "--full", "-o", "out"]) == 0
    winners = read_winners(Path("out/winners.yaml"))
    assert {task: set(models) for task, models in winners.items()} == {"adding": {"MGU", "rnn"}, "parity": {"MGU", "rnn"}}
    records = [run.record for run in find_runs([Path("runs")])[0] if run.record]
    trials = [record for record in records if record["config"]["test"] is False]
    points = {
        name: {record["train"]["learning_rate"] for record in trials if record["model"]["name"] == name}
        for name in ("MGU", "rnn")
    }
    assert points["MGU"] == points["rnn"] and len(points["rnn"]) == 2
    assert len(trials) == 2 * 2 * 2 * 3 and all(record["scores"]["test"] is None for record in trials)
    card = json.loads(Path("out/card.json").read_text())
    assert card["tuned"] and len(card["tuning"]) == 4
    capfd.readouterr()
    assert main([*CARD, "--winners", "out/winners.yaml", "-o", "again"]) == 0  # nothing is run again
    assert "tiny/1" in capfd.readouterr().out and len(find_runs([Path("runs")])[0]) == len(records)
    again = json.loads(Path("again/card.json").read_text())
    assert again["verdicts"] == card["verdicts"] and again["tuned"]


def test_a_search_counts_only_where_it_is_the_one_that_would_be_made_here(
    tiny: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The same version, points and seeds, settings and versions of what is trained, and options that there are."""
    suite = read_suite(Path("tiny.yaml"))
    (tmp_path / "card").mkdir()
    monkeypatch.setattr(committed, "CONF", tmp_path)
    winner = winner_of_search(suite.setting("adding", "rnn"), FOUND)
    gone = {**winner, "model.gone": 1}
    older = {**winner, UNDER: {**winner[UNDER], "task.version": 7}}
    good = Search("adding", "rnn", winner, {}, search_plan(suite, "adding"))
    other_plan = [
        search_plan(suite.model_copy(update={"version": "tiny/2"}), "adding"),
        search_plan(suite.model_copy(update={"tuning": suite.tuning.model_copy(update={"seeds": 4})}), "adding"),
        search_plan(suite, "parity"),  # another measure
    ]
    bad = [good._replace(winner=one) for one in (gone, older)] + [good._replace(plan=plan) for plan in other_plan]
    committed.write_searches("card", [good, *bad])
    assert len(committed.searches_path("card").read_text().splitlines()) == 6
    assert committed.committed_searches("card", suite) == [good]


@pytest.mark.slow
def test_a_search_that_comes_with_the_suite_is_not_made_again(
    tiny: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Unless it was made under other settings; the page and winners.yaml are the same with it."""
    assert main([*CARD, "--full", "runs=before", "-o", "out"]) == 0
    card = json.loads(Path("out/card.json").read_text())
    winners = read_winners(Path("out/winners.yaml"))
    found = [
        Search(
            row["task"],
            row["model"],
            winners[row["task"]][row["model"]],
            row,
            search_plan(read_suite(Path("tiny.yaml")), row["task"]),
        )
        for row in card["tuning"]
        if row["model"] == "rnn"
    ]
    found[1].winner[UNDER]["task.version"] = 7  # of parity
    (tmp_path / "card").mkdir()
    monkeypatch.setattr(committed, "CONF", tmp_path)
    committed.write_searches("card", found)
    assert main([*CARD, "--full", "runs=after", "-o", "again"]) == 0
    runs = [run.config for run in find_runs([Path("after")])[0] if run.config["test"] is False]
    searched = {(run["task"]["name"], run["model"]["name"]) for run in runs}
    assert searched == {("adding", "MGU"), ("formal_language", "MGU"), ("formal_language", "rnn")}
    again = json.loads(Path("again/card.json").read_text())
    assert again["tuning"] == card["tuning"] and again["verdicts"] == card["verdicts"]


def trial(solved: int | None, status: str = "finished", validation: float | None = 0.1, steps: int = 5000) -> Record:
    about = {"headline": "mse", "direction": "min", "floor": None}
    scores = {"validation": {"mse": validation}, "test": None}
    return {"task": about, "status": status, "solved_step": solved, "steps": steps, "train": {"steps": 5000}, "scores": scores,
            "config": {"train": {"steps": 5000}}, "departures": {"train.steps": 5000}}  # fmt: skip


def test_a_setting_that_diverges_is_not_the_sooner_one() -> None:
    """Two of three seeds solve the task; the third is never solved, or is not to be trained at all."""
    solved = [trial(1000), trial(1000)]
    slow, diverged = rank_key("steps_to_solve", [*solved, trial(None)]), rank_key("steps_to_solve", [
        *solved, trial(None, "diverged", None, steps=12)])  # fmt: skip
    assert slow[:2] == diverged[:2] == (-2 / 3, 7000 / 3) and slow < diverged
    assert rank_key("score", [trial(None)]) < rank_key("score", [trial(None, "diverged")])


def test_of_settings_that_solve_as_often_the_one_whose_other_runs_score_better_is_chosen() -> None:
    """Where the share that solves is what counts. The score of a run that stopped at solved is none: then the sooner is."""
    better, sooner = [trial(1000), trial(None, validation=0.1)], [trial(500), trial(None, validation=0.9)]
    assert rank_key("solved", better) < rank_key("solved", sooner)
    assert rank_key("steps_to_solve", sooner) < rank_key("steps_to_solve", better)
    assert rank_key("solved", [trial(500, validation=0.9)]) < rank_key("solved", [trial(1000, validation=0.1)])


def test_the_estimate_goes_by_the_steps_that_other_models_made() -> None:
    planned = [Line("adding", "MGU", ()), Line("parity", "MGU", ()), Line("adding", "MGU", ("seed=1",))]
    come = [("adding", trial(1000, steps=1000)), ("adding", trial(2000, steps=2000))]
    assert make._shares(planned, come) == pytest.approx([0.3, 1.0, 0.3])


@pytest.mark.slow
def test_committed_records_of_opponents_count_where_the_run_is_the_same(
    tiny: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main([*CARD, "runs=before", "-o", "out"]) == 0
    kept = [run for run in find_runs([Path("before")])[0] if run.config["model"]["name"] == "rnn"]
    (tmp_path / "card").mkdir()
    lines = [json.dumps(json.loads((run.path / "record.json").read_text())) for run in kept]
    (tmp_path / "card/card.jsonl").write_text("\n".join(lines))
    monkeypatch.setattr(committed, "CONF", tmp_path)
    capfd.readouterr()
    assert main([*CARD, "--estimate"]) == 0
    said = capfd.readouterr().out
    assert "8 at equal parameters; 10 come with the program\n" in said and "8 runs, 0 recorded before" in said
    assert "by the steps that other models made" not in said  # they made all
    assert main([*CARD, "runs=after", "-o", "again"]) == 0
    assert {run.config["model"]["name"] for run in find_runs([Path("after")])[0]} == {"MGU"}
    one, other = (json.loads(Path(folder, "card.json").read_text()) for folder in ("out", "again"))
    assert other["verdicts"] == one["verdicts"] and other["committed_records"] == len(kept) == 10


def test_a_cell_may_read_numbers_of_its_own_tensors(tiny: None, capfd: pytest.CaptureFixture[str]) -> None:
    """Its size is found without numbers where that can be."""
    init = (
        "    def __init__(self, input_size: int, hidden_size: int = 128):\n        super().__init__(input_size, hidden_size)\n"
    )
    reads = "        self.scale = torch.log10(torch.tensor(9.0)).item()\n"
    Path("my_cell.py").write_text(f"{MGU}\n\nclass Slow(MGU):\n{init}{reads}")
    assert main(["card", "./my_cell.py:Slow", "tracker=none", "--estimate"]) == 0
    assert "16 laws hold of Slow" in capfd.readouterr().out


def test_the_card_of_another_cell_is_not_written_over(
    tiny: None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(make, "make_card", lambda request: 0)
    Path("out").mkdir()
    Path("other.py").write_text(MGU)
    Path("out/card.json").write_text(json.dumps({"cell": "MGU", "file": "my_cell.py"}))
    assert main([*CARD, "-o", "out"]) == 0  # its own, of other code perhaps
    for cell in ("gru", "./other.py:MGU"):
        assert main(["card", cell, "tracker=none", "-o", "out"]) == 2
        assert "out has the card of MGU of my_cell.py; name another folder" in capfd.readouterr().err
        assert main(["card", cell, "tracker=none", "-o", "elsewhere"]) == 0


def test_a_card_of_other_code_is_replaced_and_a_folder_that_takes_none_is_refused_first(
    tiny: None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(make, "make_card", lambda request: 0)
    Path("out").mkdir()
    for source, said in (("0" * 64, "out has a card of other code of MGU, which is replaced\n"), (None, "")):
        Path("out/card.json").write_text(json.dumps({"cell": "MGU", "file": "my_cell.py", "source": source}))
        assert main([*CARD, "-o", "out"]) == 0
        assert capfd.readouterr().out == said
    if Path("/proc/self").exists():  # where rights say nothing
        assert main([*CARD, "-o", "/proc/card"]) == 2
        assert "--output '/proc/card': no folder can be written there" in capfd.readouterr().err


def test_winners_of_a_task_that_there_is_not_are_named(tiny: None, capfd: pytest.CaptureFixture[str]) -> None:
    Path("winners.yaml").write_text("addng: {MGU: {train.clip: 1.0}}\n")
    assert main([*CARD, "--winners", "winners.yaml", "--estimate"]) == 2
    assert "winners: no task 'addng'; did you mean 'adding'" in capfd.readouterr().err


def test_a_gpu_that_is_not_there_is_refused_before_the_laws(tiny: None, capfd: pytest.CaptureFixture[str]) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    assert main([*CARD, "trainer.accelerator=gpu", "-o", "out"]) == 2
    found = capfd.readouterr()
    assert "PyTorch finds no GPU" in found.err and "laws" not in found.out and not Path("out").exists()


def test_classes_of_one_name_have_labels_of_their_own(tiny: None, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    monkeypatch.setattr(make, "make_card", lambda request: found.append(request) or 0)
    Path("other.py").write_text(MGU)
    assert main([*CARD, "--against", "./other.py:MGU"]) == 0
    Path("gru.py").write_text(MGU.replace("class MGU", "class gru"))
    assert main(["card", "./gru.py:gru", "--against", "gru", "tracker=none"]) == 0
    first, second = (request.entrants for request in found)
    assert verb._free_label("MGU", "./sub/other.py:MGU", first.models) == "./sub/other.py:MGU"
    assert list(first.models) == ["MGU", "other.py:MGU"] and list(second.models) == ["gru", "gru (2)"]
    Path("sub").mkdir()
    Path("sub/my_cell.py").write_text(MGU)
    assert main([*CARD, "--against", "./sub/my_cell.py:MGU"]) == 0
    assert list(found[2].entrants.models)[1] == "./sub/my_cell.py:MGU" and found[2].command.endswith(
        " --against ./sub/my_cell.py:MGU"
    )
    assert second.file == "gru.py" and second.models["gru (2)"] == "gru"


def test_a_card_whose_runs_all_come_with_the_program_has_nothing_to_run(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["card", "peephole_lstm", "--quick", "--against", "gru", "--estimate"]) == 0
    laws, come, nothing = capfd.readouterr().out.splitlines()
    assert (
        "laws hold of peephole_lstm" in laws
        and come == "quick/1: runs to make: 0 at equal parameters; 30 come with the program"
    )
    assert nothing == "sweep card-quick-1-peephole_lstm: nothing to run, all is recorded"


@pytest.mark.parametrize(("name", "said"), [("ReadsTheFuture", "reads the future"), ("WrongGradient", "wrong gradient")])
def test_a_cell_that_breaks_a_law_stops_before_anything_is_run(
    tiny: None, name: str, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("my_cell.py").write_text(f"{MGU}\n\nclass {name}(MGU):{BROKEN[name]}")
    assert main(["card", f"./my_cell.py:{name}", "--estimate", "-o", "out"]) == 1
    assert said in capfd.readouterr().err and not Path("out").exists()
    assert main([*CARD, "--against", f"./my_cell.py:{name}", "-o", "out"]) == 1  # nor is a cell ahead of such a one
    error = capfd.readouterr().err
    assert said in error and f"--against {name}" in error and error.count("\n") == 1
    assert not Path("out").exists() and not Path("runs").exists()
    assert main(["card", f"./my_cell.py:{name}", "tracker=none", "-o", "out"]) == 1
    error = capfd.readouterr().err
    assert error.count("\n") == 1 and len(error) <= 401 and "out/card.html" in error
    assert not Path("runs").exists()
    card = json.loads(Path("out/card.json").read_text())
    assert card["stopped"] and not card["verdicts"]
    assert any(said in law["broken"] for law in card["laws"])
    assert said in Path("out/card.md").read_text()


@pytest.mark.parametrize("name", ["irnn", "min_gru", "lstm_no_forget"])
def test_the_laws_are_tried_on_the_setting_that_was_named(tiny: None, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, object] = {}

    def stop(cell: type, **options: object) -> list[LawResult]:
        given.update(options)
        return [LawResult("a", "A.", "stop here")]

    monkeypatch.setattr(make, "cell_results", stop)
    assert main(["card", name, "tracker=none"]) == 1
    settings = choice_settings("model", name)
    assert given == {key: settings[key] for key in given} and "hidden_size" not in given
    assert not any(law.broken for law in cell_results(mechanism_class(settings["mechanism"]), **given))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["grü"], "no model 'grü'"),
        (["./my_cell.py:MGO"], "no class MGO"),
        (["./none.py:MGU"], "none.py"),
        (["./my_cell.py:MGU", "--against", "lstn"], "no model 'lstn'; did you mean 'lstm'"),
        (["./my_cell.py:MGU", "--against", ""], "--against: a name is empty"),
        (["my_cell:MGU"], "a class in a file is FILE.py:CLASS, here ./my_cell.py:MGU"),
        (["./my_cell.py:MGU", "--against", "rnn,./my_cell.py:MGU"], "the cell itself"),
        (["rnn"], "no opponent is left"),
        (["./my_cell.py:MGU", "--against", "rnn,gru,lstm,tcn,min_gru,min_lstm"], "compares with"),
        (["./my_cell.py:MGU", "--winners", "none.yaml"], "none.yaml"),
        (["./my_cell.py:MGU", "--winners", "tiny.yaml"], "no winners of a search"),
        (["./my_cell.py:MGU", "--winners", "tiny.yaml", "--full"], "one of the two"),
        (["./my_cell.py:MGU", "--quick", "--full"], "not allowed with"),
        (["./my_cell.py:MGU", "task=adding"], "task=adding: the suite sets it; allowed: model.* of the cell"),
        (["./my_cell.py:MGU", "train.learning_rate=0.1"], "train.learning_rate=0.1: the suite sets it"),
        (["./my_cell.py:MGU", "gru", "--against", "rnn"], "--against rnn,gru"),
        (["./my_cell.py:MGU", "nonsense"], "nonsense: expected OPTION=VALUE"),
        (["./my_cell.py:MGU", "trainer.nope=1"], "no option 'trainer.nope'"),
        (["./my_cell.py:MGU", "-o", "tiny.yaml"], "--output"),
        (["lstm", "model.CIFF=true"], "no option 'model.CIFF'; did you mean 'model.CIFG'"),
        (["lstm", "model.CIFG=7"], "allowed: true or false"),
        (["lstm", "model.dropout=0.3"], "model.dropout=0.3 has no effect: it needs model.layers"),
        (["lstm", "model.hidden_size=3"], "budget of parameters sets the width"),
        (["lstm", "model.layers=2", "--against", "./my_cell.py:MGU,my_cell.py:MGU"], "named twice"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_begun(
    tiny: None, words: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(make, "cell_results", lambda cell: pytest.fail("begun"))
        try:
            assert main(["card", *words]) == 2
        except SystemExit as end:  # what argparse refuses
            assert end.code == 2
    error = capfd.readouterr().err
    assert said in error and error.count("\n") == 1 and len(error) <= 401
    assert not Path("runs").exists() and not Path("card").exists()


# The suites


@pytest.mark.parametrize("name", [path.stem for path in (CONF / "card").glob("*.yaml")])
def test_each_suite_is_as_declared_and_its_opponents_meet_its_budget(name: str) -> None:
    suite = load_suite(name)
    for task, about in suite.tasks.items():
        settings = compose_jobs([*suite.setting(task, "rnn"), "tracker=none"], sweep=False, declared=True)[0]
        assert settings.train.stop_when_solved == (about.measure != "score")
        if not about.draws:
            continue  # its data take longer
        made = make_task(settings)
        for model in (*suite.opponents, "rnn"):
            (settings,) = compose_jobs([*suite.setting(task, model), "tracker=none"], sweep=False, declared=True)
            within_budget(settings, made)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": "quick"}, "version: "),
        ({"seeds": 3, "opponent_seeds": 3}, "seeds: 3 and 3 reach p = 0.1 at best"),
        ({"words": "train.steps=3"}, "a budget is missing"),
        ({"words": "budget.params=1k runs=a"}, "runs=a: words of a suite are"),
        ({"words": "budget.params=1k model=gru"}, "model=gru: words of a suite are"),
        ({"opponents": []}, "opponents: "),
        ({"task": {}}, "no such key; did you mean 'tasks'"),
        (
            {"tasks": {"a": {"title": "A", "asks": "a", "words": "task.length=4", "measure": "solved"}}},
            "tasks.a: words: task= is missing",
        ),
        ({"tasks": {"a": {"title": "A", "asks": "a", "words": "task=adding", "measure": "score"}}}, "stop_when_solved=false"),
        ({"tasks": {"a": {"title": "A", "asks": "a", "words": "task=adding", "measure": "speed"}}}, "measure: "),
        ({"tuning": {"trials": 2, "seeds": 1, "space": {"train.clip": [1]}}}, "tuning.seeds: "),
        ({"besides": ["addin"]}, "besides: no task 'addin'; did you mean 'adding'?"),
        ({"besides": ["adding"] * 40}, "seeds: 4 and 5 reach p"),
    ],
)
def test_what_is_no_suite_is_refused_in_one_line(change: dict[str, object], said: str) -> None:
    Path("mine.yaml").write_text(yaml.safe_dump({**SUITE, **change}))
    with pytest.raises(BadOption) as refused:
        read_suite(Path("mine.yaml"))
    assert said in str(refused.value) and "\n" not in str(refused.value)


def alone(model: str, *options: str) -> Entrants:
    return Entrants(model, {model: model}, options)


def test_test_rows_change_with_the_source_and_the_suite() -> None:
    quick, full = load_suite("quick"), load_suite("card")
    cells = [alone("rnn"), alone("gru"), alone("gru", "model.layers=2")]
    seeds = [own_test_seed(suite, cell) for suite in (quick, full) for cell in cells]
    assert len(set(seeds)) == 6 and seeds[0] == own_test_seed(quick, alone("rnn")) and min(seeds) > 0


def test_test_rows_are_those_of_the_source_wherever_its_file_is(tiny: None, capfd: pytest.CaptureFixture[str]) -> None:
    for folder in ("here", "there"):
        Path(folder).mkdir()
        Path(folder, "my_cell.py").write_text(MGU)
        assert main(["card", f"./{folder}/my_cell.py:MGU", "model.layers=2", "tracker=none", "-o", f"{folder}/out"]) == 0
    one, other = (json.loads(Path(folder, "out/card.json").read_text()) for folder in ("here", "there"))
    assert one["source"] == other["source"] and one["runs"] == other["runs"]
    assert one["command"] == "rnnbench card ./here/my_cell.py:MGU model.layers=2"  # from here: no folder of this machine


def test_the_points_of_a_search_depend_on_no_model_and_begin_with_the_suites_own() -> None:
    suite = load_suite("card")
    found = [search_points(suite, Entrants("a", {"a": model, "b": "rnn"})) for model in ("lstm", "gru")]
    assert found[0] == found[1] and found[0][0] == {}
    assert len({str(point) for point in found[0]}) == suite.tuning.trials == len(found[0])
    for point in found[0][1:]:
        assert 1e-3 <= point["train.learning_rate"] <= 3e-2 and 0.1 <= point["train.clip"] <= 10


@pytest.mark.parametrize(
    ("dimension", "values"),
    [
        (Dimension("train.clip", 0.1, 10, log=True), [0.1, 1, 9.99]),
        (Dimension("train.clip", 1, 3), [1, 2, 3]),
        (Dimension("train.batch_size", 10, 20, whole=True), [10, 15, 20]),
        (Dimension("train.batch_size", choices=(8, 32)), [8, 32, 32]),
    ],
)
def test_a_share_of_a_dimension_is_a_value_in_it(dimension: Dimension, values: list[object]) -> None:
    assert [dimension.at(share) for share in (0, 0.5, 0.9999)] == pytest.approx(values, rel=1e-3)


# What a cell costs


@pytest.mark.parametrize("scale", [0.5, 0.9, 1.0])
def test_the_reach_of_a_linear_recurrence_is_what_arithmetic_gives(scale: float) -> None:
    """h_t = x_t + a h_{t-1} has a gradient of a**k, k steps back: 1 % after log(0.01) / log(a) steps."""
    stack = model_stack("rnn", {}, cost.WIDTH)
    cell = stack.layers[0][0]
    with torch.no_grad():
        for name, parameter in cell.named_parameters():
            parameter.zero_()
            if name.startswith("R"):
                parameter.copy_(scale * torch.eye(cost.WIDTH))
    assert reach_of_fading(fading_of(cost.gradient_norms(stack, steps=60))) == {0.5: 7, 0.9: 44, 1.0: None}[scale]


def test_kept_bytes_of_a_product() -> None:
    """A linear layer keeps its input, 5 steps of 3 rows of WIDTH floats; weights are not counted."""

    class Product(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(cost.WIDTH, 2)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, None]:
            return self.linear(x), None

    assert cost.kept_bytes(Product(), steps=5, rows=3) == 4 * 5 * 3 * cost.WIDTH
