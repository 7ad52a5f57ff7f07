"""Tables of declared cells from synthetic records: what matches, what is refused, verdicts, and pages without torch."""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rnnbench.analysis.grouping import stopped_when_solved
from rnnbench.analysis.render import to_csv, to_markdown
from rnnbench.cli import reproduce
from rnnbench.cli.main import main
from rnnbench.config.compose import compose_jobs
from rnnbench.config.identity import setting_identity
from rnnbench.launch.sweep import NothingAtHand, sweep_word
from rnnbench.reproduction.claim_table import claims_table, contrasts_table
from rnnbench.reproduction.collect import collect_runs, record_line, scrubbed_record
from rnnbench.reproduction.declaration import SWEEPS, Declaration, contrast_looks, load_declaration, table_names
from rnnbench.reproduction.evaluate import Results, evaluate_table, measure_table
from rnnbench.reproduction.ladder_table import ladder_tables
from rnnbench.reproduction.matching import CellRuns, seconds_spent
from rnnbench.reproduction.metrics import derived_values
from rnnbench.reproduction.overview import AS_STATED, OWN_CHOICE, count_table
from rnnbench.reproduction.readme import all_tables, overview_page, table_details, table_pages
from rnnbench.reproduction.verdict_table import cells_table, summary_text
from rnnbench.store.find import FoundRun
from rnnbench.store.record import digest
from rnnbench.store.run_folder import RunFolder
from tests.reproduction.test_declared import GRID, REPORTED, edited, write
from tests.support.records import filled


def record(words: tuple[str, ...], seed: int, score: float, /, **changes: Any) -> dict[str, Any]:
    """A record such as a run of `words` leaves behind."""
    (settings,) = compose_jobs([*words, f"seed={seed}", "tracker=none"], sweep=False)
    own = {key: value for key, value in settings.plain().items() if key not in ("runs", "accept_changes")}
    setting = setting_identity(own, "")
    version = setting["versions"]
    body = {
        "schema": 1,
        "id": digest([setting, seed])[:32],
        "setting": digest(setting)[:32],
        "status": "finished",
        "seed": seed,
        "sweep": None,
        "task": {
            "name": own["task"]["name"],
            "version": version["task"],
            "options": {key: value for key, value in own["task"].items() if key != "name"},
            "structure": "N->1",
            "headline": "mse",
            "direction": "min",
            "unit": "",
            "fingerprint": "",
            "floor": 0.1667,
        },
        "model": {
            "name": own["model"]["name"],
            "mechanism": own["model"]["mechanism"],
            "version": version["model"],
            "options": {},
            "parameters": {"lstm": 400, "gru": 300}[own["model"]["name"]],
            "state_size": 8,
            "multiply_adds": 100,
        },
        "network": own["network"],
        "train": own["train"],
        "config": own,
        "departures": setting["departures"],
        "steps": own["train"]["steps"],
        "scores": {"validation": {"mse": score}, "test": {"mse": score}},
        "solved": score < 0.01,
        "solved_step": 3 if score < 0.01 else None,
        "speed": {"seconds": 1.0, "steps_per_second": 100.0},
        "hardware": {"device": "cpu"},
        "process": {},
    }
    for key, value in changes.items():
        part, _, name = key.partition("__")
        body[part] = {**body[part], name: value} if name else value
    return sealed(filled(body))


def sealed(body: dict[str, Any]) -> dict[str, Any]:
    body = {key: value for key, value in body.items() if key != "checksum"}
    return {**body, "checksum": digest(body)}


def lines(path: Path, found: list[dict[str, Any]]) -> None:
    path.write_text("".join(record_line(one) + "\n" for one in found))


@pytest.fixture
def table(tmp_path) -> Declaration:
    return load_declaration(str(write(tmp_path / "trial")))


def scored(table: Declaration, scale: str = "paper", **by_column: list[float]) -> list[dict[str, Any]]:
    return [
        record(table.cell("adding", column, scale).words, seed, score)
        for column, scores in by_column.items()
        for seed, score in enumerate(scores)
    ]


def judge(table: Declaration, scale: str | None = None) -> Results:
    return measure_table(table, None, scale)


def ranks(own: Results) -> dict[str, tuple[int, int]]:
    return {cell.runs.cell.name: cell.rank for cell in own.cells["adding"] if cell.rank}


def rows(own: Results) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(to_csv([cells_table(own)]))))


def test_a_table_without_runs_is_one_of_holes(table):
    own = judge(table)
    found = rows(own)
    assert [row["verdict"] for row in found] == ["missing", "missing"]
    assert claims_table(own).rows[0][1].values[1] == "missing"
    assert "0 of 2 cells measured" in summary_text(own)


def test_cells_contrasts_and_claims(table):
    lines(table.folder / "results.jsonl", scored(table, lstm=[0.1, 0.101, 0.099], gru=[0.05, 0.052, 0.049]))
    own = judge(table)
    lstm, gru = rows(own)
    assert (lstm["verdict"], lstm["scale"], lstm["seeds"], lstm["against_floor"]) == ("reproduced", "paper", "0 1 2", "below")
    assert (lstm["rank"], gru["rank"]) == ("2", "1")
    assert gru["reported"] == ""
    asked = own.contrasts[("adding", "larger")]
    assert asked.verdict.word == "undecided" and asked.answer.shows == (400, 300)
    assert own.contrasts[("adding", "third")].verdict.word == "holds"
    assert claims_table(own).rows[0][1].values[1] == "undecided"


def test_a_cell_at_its_floor_has_no_rank(tmp_path):
    scales = {"paper": {"seeds": {"first": 5}}, "laptop": {"reduction": "less"}}
    table = load_declaration(str(write(tmp_path / "t", edited(scales=scales))))
    lines(
        table.folder / "results.jsonl",
        scored(table, lstm=[0.1, 0.101, 0.099, 0.102, 0.098], gru=[0.01, 0.02, 0.015, 0.012, 0.018]),
    )
    assert ranks(judge(table)) == {"adding/lstm": (2, 2), "adding/gru": (1, 1)}
    lines(table.folder / "results.jsonl", scored(table, lstm=[0.167, 0.166, 0.168], gru=[0.01, 0.02, 0.015]))
    assert ranks(judge(table)) == {}


def test_a_reduced_scale_is_not_held_against_the_paper(table):
    lines(table.folder / "results.jsonl", scored(table, "laptop", lstm=[0.1, 0.101, 0.099]))
    (found, _) = rows(judge(table))
    assert (found["verdict"], found["why"], found["scale"]) == ("not comparable", "laptop scale", "laptop")
    assert "adding at laptop scale: 4 of 6 steps" in cells_table(judge(table)).gaps


def test_the_paper_scale_is_shown_before_the_laptop_scale(table):
    both = scored(table, "laptop", lstm=[0.3, 0.3]) + scored(table, lstm=[0.1, 0.1])
    lines(table.folder / "results.jsonl", both)
    assert rows(judge(table))[0]["scale"] == "paper"
    assert float(rows(judge(table, "laptop"))[0]["value"]) == pytest.approx(0.3)


def test_a_scale_that_a_row_lacks_leaves_the_row_out(tmp_path):
    more = {**GRID["rows"]["adding"], "scales": {"paper": {"words": ["train.steps=6"]}}, "ladder": None, "contrasts": {}}
    table = load_declaration(str(write(tmp_path / "t", {**GRID, "rows": {**GRID["rows"], "long": more}})))
    assert {row["row"] for row in rows(judge(table, "laptop"))} == {"adding"}
    assert {row["row"] for row in rows(judge(table, "smoke"))} == {"adding", "long"}
    assert {row["row"] for row in rows(judge(table))} == {"adding", "long"}
    assert len(all_tables(judge(table, "laptop"))) == 4


def test_which_way_is_better_may_be_said(tmp_path):
    table = load_declaration(str(write(tmp_path / "t", edited(better="more"))))
    lines(table.folder / "results.jsonl", scored(table, lstm=[0.2, 0.201, 0.199]))
    assert rows(judge(table))[0]["verdict"] == "better"


def diverged(words: tuple[str, ...], seed: int) -> dict[str, Any]:
    return record(words, seed, 9.0, status="diverged", scores={"validation": None, "test": None}, solved=False)


def test_a_cell_of_which_a_run_diverged_is_neither_judged_nor_ranked_by_the_others(tmp_path):
    contrasts = {"better": {"says": "", "a": "lstm", "b": "gru", "expect": "less"}}
    table = load_declaration(str(write(tmp_path / "t", edited(contrasts=contrasts))))
    good = scored(table, lstm=[0.1, 0.1002], gru=[0.2, 0.21, 0.22])
    lines(table.folder / "results.jsonl", [*good, diverged(table.cell("adding", "lstm", "paper").words, 2)])
    own = judge(table)
    assert rows(own)[0]["verdict"] == "open" and "1 of 3 runs diverged" in rows(own)[0]["why"]
    assert own.contrasts[("adding", "better")].verdict.word == "undecided"
    assert "1 of 3 runs" in own.contrasts[("adding", "better")].verdict.why
    assert ranks(own) == {}
    endless = record(table.cell("adding", "lstm", "paper").words, 2, 0.1, scores={"validation": {}, "test": {"mse": None}})
    lines(table.folder / "results.jsonl", [*good, endless])
    assert rows(judge(table))[0]["verdict"] == "open", "a score that is not finite is none"


def test_runs_that_do_not_answer_are_not_replaced_by_those_of_another_scale(tmp_path):
    contrasts = {"better": {"says": "", "a": "lstm", "b": "gru", "expect": "less"}}
    table = load_declaration(str(write(tmp_path / "t", edited(contrasts=contrasts))))
    laptop = scored(table, "laptop", lstm=[0.1, 0.101, 0.102], gru=[0.2, 0.21, 0.22])
    paper = [
        *scored(table, lstm=[0.1, 0.1002], gru=[0.2, 0.21, 0.22]),
        diverged(table.cell("adding", "lstm", "paper").words, 2),
    ]
    lines(table.folder / "results.jsonl", [*laptop, *paper])
    asked = judge(table).contrasts[("adding", "better")]
    assert (asked.scale, asked.verdict.word, asked.answer) == ("paper", "undecided", None)
    assert all_tables(judge(table))


def test_sameness_of_runs_that_stopped_when_solved_says_so(tmp_path):
    contrasts = {"alike": {"says": "", "a": "lstm", "b": "gru", "expect": "same", "margin": 0.01}}
    table = load_declaration(str(write(tmp_path / "t", edited(contrasts=contrasts))))
    found = scored(table, lstm=[0.001, 0.0011, 0.0012], gru=[0.001, 0.0011, 0.0013])
    for solved_step, said in ((found[0]["steps"], True), (1, False)):
        for one in found:
            one |= {"solved": True, "solved_step": solved_step}
        lines(table.folder / "results.jsonl", [sealed(one) for one in found])
        verdict = judge(table).contrasts[("adding", "alike")].verdict
        assert verdict.word == "holds" and ("stopped when it had solved" in verdict.why) == said


def test_times_are_of_all_steps_where_a_run_did_not_solve(tmp_path):
    contrasts = {"sooner": {"says": "", "a": "lstm", "b": "gru", "expect": "less"}}
    table = load_declaration(str(write(tmp_path / "t", edited(metric="steps_to_solve", contrasts=contrasts))))
    words = table.cell("adding", "lstm", "paper").words
    found = [record(words, 0, 0.001), {**diverged(words, 1), "steps": 1}, {**diverged(words, 2), "steps": 1}]
    for one in found[1:]:
        one["checksum"] = digest({key: value for key, value in one.items() if key != "checksum"})
    lines(table.folder / "results.jsonl", [*found, *scored(table, gru=[0.5, 0.5, 0.5])])
    own = judge(table)
    assert own.runs.shown("adding", "lstm").times("steps_to_solve") == ([3.0, 6.0, 6.0], [True, False, False])
    assert rows(own)[0]["value"] == "inf" and rows(own)[0]["verdict"] == "open"
    assert own.contrasts[("adding", "sooner")].answer.sign == -1


def test_a_run_that_patience_ended_was_watched_until_then(tmp_path):
    table = load_declaration(str(write(tmp_path / "t", edited(metric="steps_to_solve", contrasts={}))))
    words = table.cell("adding", "lstm", "paper").words
    lines(table.folder / "results.jsonl", [record(words, 0, 0.5, steps=2), record(words, 1, 0.001)])
    assert judge(table).runs.shown("adding", "lstm").times("steps_to_solve") == ([2.0, 3.0], [False, True])
    lines(table.folder / "results.jsonl", [record(words, 0, 0.5, solved=None), record(words, 1, 0.5, solved=None)])
    assert "–" in table_details(judge(table), to_markdown), "its task cannot be solved: a hole, and no traceback"


def test_what_is_not_finite_is_no_number_of_a_run(tmp_path):
    contrasts = {"bursts": {"says": "", "a": "lstm", "b": "gru", "metric": "max.train/gradient_norm", "expect": "more"}}
    table = load_declaration(str(write(tmp_path / "t", edited(contrasts=contrasts))))
    found = scored(table, lstm=[0.1, 0.1, 0.1], gru=[0.2, 0.2, 0.2])
    for seed, one in enumerate(found):
        one["measures"] = {"max.train/gradient_norm": float(seed) if seed else math.inf}
    stored = [FoundRun(tmp_path / "results.jsonl", one["config"], one) for one in found]
    own = evaluate_table(table, stored)
    assert own.contrasts[("adding", "bursts")].verdict.word == "undecided"
    assert "1 of 3 runs" in own.contrasts[("adding", "bursts")].verdict.why


def test_a_look_has_its_share_of_the_level_whichever_side_is_looked_at_more_often(tmp_path):
    row = {**GRID["rows"]["adding"], "ladder": None, "contrasts": {}}
    across = {"far": {"says": "", "a": "lstm", "b": "long/lstm", "expect": "less"}}
    once = {**row, "scales": {"paper": {"seeds": {"first": 9}}}, "contrasts": across}
    often = {
        **row,
        "words": f"{row['words']} task.length=10",
        "scales": {"paper": {"seeds": {"first": 3, "more": 3, "most": 9}}},
    }
    table = load_declaration(str(write(tmp_path / "t", {**GRID, "rows": {"adding": once, "long": often}})))
    looks = contrast_looks(table, "adding", table.grid.rows["adding"].contrasts["far"], "paper")
    assert [seeds for seeds, _ in looks] == [3, 6, 9]
    assert [level for _, level in looks] == pytest.approx([0.05 / 3] * 3)


LOOKS = {"paper": {"words": ["train.steps=6"], "seeds": {"first": 5, "more": 5, "most": 10}}}
DIFFER = {"differ": {"says": "", "a": "lstm", "b": "gru", "expect": "less"}}


def looked(tmp_path, contrasts=DIFFER, reported=REPORTED, scales=LOOKS, **row) -> Declaration:
    return load_declaration(
        str(write(tmp_path / "t", edited(scales=scales, contrasts=contrasts, ladder=None, **row), reported))
    )


def test_a_verdict_that_is_reached_stays(tmp_path):
    """Five seeds lie wholly apart (p = 2 / 252, level .025); five more would undo it."""
    table = looked(tmp_path)
    lstm, gru = [0.11, 0.12, 0.13, 0.14, 0.15], [0.21, 0.22, 0.23, 0.24, 0.25]
    lines(table.folder / "results.jsonl", scored(table, lstm=lstm + gru, gru=gru + lstm))
    found = judge(table).contrasts["adding", "differ"]
    assert (found.verdict.word, found.answer.counts, found.p) == ("holds", (5, 5), pytest.approx(2 / 252))
    assert found.answer.confidence == pytest.approx(0.975), "the interval is at the verdict's level"


def test_a_value_that_is_reproduced_stays(tmp_path):
    table = looked(tmp_path)
    near = [0.1, 0.101, 0.099, 0.1, 0.1]
    lines(table.folder / "results.jsonl", scored(table, lstm=[*near, 0.15, 0.16, 0.17, 0.15, 0.16]))
    (row, _) = rows(judge(table))
    assert row["verdict"] == "reproduced" and float(row["least_margin"]) < 0.01
    s, t = 0.0007071067811865, 2.776445105  # t(4) at .975: two looks share .05
    assert float(row["least_margin"]) == pytest.approx(t * s / math.sqrt(5), rel=1e-6)
    assert float(row["margin"]) == 0.01 and row["own_choice"] == "0"


def test_a_look_that_was_added_has_what_those_before_it_left(tmp_path):
    """Nothing, where one look was planned: it took all of the level. More seeds are shown and not judged."""
    table = looked(tmp_path, scales={"paper": {"words": ["train.steps=6"], "seeds": {"first": 5, "added": [10]}}})
    near, apart = [0.11, 0.25, 0.13, 0.14, 0.15], [0.21, 0.12, 0.23, 0.24, 0.22]
    lines(table.folder / "results.jsonl", scored(table, lstm=near + [0.11] * 5, gru=apart + [0.9] * 5))
    found = judge(table).contrasts["adding", "differ"]
    assert (found.verdict.word, found.answer.counts) == ("undecided", (5, 5))
    assert rows(judge(table))[0]["seeds"] == "0 1 2 3 4 5 6 7 8 9"


def test_holms_correction_is_over_the_row_and_over_what_is_open_at_the_look(tmp_path):
    """Three of a row at 5 seeds (p = 2 / 252 each) hold at .05 / 3; nine of other rows do not count."""
    three = {f"c{k}": {**DIFFER["differ"], "says": str(k)} for k in range(3)}
    once = {"paper": {"words": ["train.steps=6"], "seeds": {"first": 5}}}
    other = {**GRID["rows"]["adding"], "words": "task=adding task.length=9", "ladder": None, "scales": once}
    row = {**edited(scales=once, ladder=None, contrasts=three)["rows"]["adding"]}
    more = {f"more{k}": {**other, "contrasts": {f"d{j}": DIFFER["differ"] for j in range(3)}} for k in range(3)}
    table = load_declaration(str(write(tmp_path / "t", {**GRID, "rows": {"adding": row, **more}})))
    lines(table.folder / "results.jsonl", scored(table, lstm=[0.11, 0.12, 0.13, 0.14, 0.15], gru=[0.2, 0.21, 0.22, 0.23, 0.24]))
    found = [judge(table).contrasts["adding", name] for name in three]
    assert [one.verdict.word for one in found] == ["holds"] * 3 and found[0].p == pytest.approx(3 * 2 / 252)
    assert 12 * 2 / 252 > 0.05, "over the whole table none would hold"


def test_rows_that_make_one_claim_are_one_family(tmp_path):
    """Two rows of one contrast each: at .05, p = 2 / 70 holds by itself, and does not among two."""
    once = {"paper": {"words": ["train.steps=6"], "seeds": {"first": 4}}}
    found = {}
    for family in ("", "both"):
        row = {**edited(scales=once, ladder=None, contrasts=DIFFER, family=family)["rows"]["adding"]}
        more = {**row, "words": f"{row['words']} task.length=9"}
        table = load_declaration(str(write(tmp_path / family / "t", {**GRID, "rows": {"adding": row, "more": more}})))
        lines(table.folder / "results.jsonl", scored(table, lstm=[0.11, 0.12, 0.13, 0.14], gru=[0.2, 0.21, 0.22, 0.23]))
        found[family] = judge(table).contrasts["adding", "differ"]
    assert [found[family].p for family in ("", "both")] == [pytest.approx(2 / 70), pytest.approx(4 / 70)]
    assert [found[family].verdict.word for family in ("", "both")] == ["holds", "undecided"]


def test_what_is_settled_leaves_the_family(tmp_path):
    """At look two the open one is alone: its p stands as it is, where two contrasts would double it."""
    contrasts = {"larger": {"says": "", "a": "lstm", "b": "gru", "metric": "parameters", "expect": "more"}, **DIFFER}
    table = looked(tmp_path, contrasts)
    lstm, gru = [0.11, 0.12, 0.13, 0.14, 0.25], [0.21, 0.22, 0.23, 0.24, 0.15]
    lines(table.folder / "results.jsonl", scored(table, lstm=lstm + [0.1] * 5, gru=gru + [0.3] * 5))
    own = judge(table)
    larger, found = own.contrasts["adding", "larger"], own.contrasts["adding", "differ"]
    assert (larger.verdict.word, larger.answer.counts, larger.p) == ("holds", (5, 5), pytest.approx(2 * 2 / 252))
    assert found.answer.counts == (10, 10) and found.p == found.answer.p


def reports(**more) -> dict:
    return {**REPORTED, "values": {"adding/lstm": [{**REPORTED["values"]["adding/lstm"][0], **more}]}}


TRIED = ["model.hidden_size=2", "model.hidden_size=4", "model.hidden_size=8"]


@pytest.mark.parametrize(
    ("differs", "value", "verdict"),
    [
        ("another loss", 0.1, "not comparable"),
        ({"kind": "other", "says": "another loss"}, 0.1, "not comparable"),
        ({"kind": "scale", "says": "a tenth of the data"}, 0.1, "not comparable"),
        ({"kind": "unknown", "says": "the width", "tried": TRIED, "chosen": True}, 0.1, "reached"),
        ({"kind": "unknown", "says": "the width", "tried": TRIED, "chosen": True}, 0.2, "reached"),  # better is reached, too
        ({"kind": "unknown", "says": "the width", "tried": TRIED, "chosen": True}, 0.05, "not reached"),
        ("", 0.05, "worse"),
    ],
)
def test_how_a_setting_differs_decides_what_is_said_of_it(tmp_path, differs, value, verdict):
    table = looked(tmp_path, reported=reports(differs=differs, value=value))
    lines(table.folder / "results.jsonl", scored(table, lstm=[0.1, 0.101, 0.099, 0.1, 0.1]))
    (row, _) = rows(judge(table))
    assert row["verdict"] == verdict and row["own_choice"] == str(int(isinstance(differs, dict) and "tried" in differs))
    counts = count_table(judge(table))
    assert counts.judged == (
        {OWN_CHOICE: 1} if isinstance(differs, dict) and "tried" in differs else {} if differs else {AS_STATED: 1}
    )
    assert counts.verdicts == ({verdict: 1} if counts.judged else {})


def test_a_cell_that_is_solved_in_part_says_so_first_and_its_mean_is_not_judged(tmp_path):
    table = looked(tmp_path, reported=reports(value=0.001))
    lines(table.folder / "results.jsonl", scored(table, lstm=[0.001, 0.002, 0.003, 0.5, 0.6], gru=[0.1] * 5))
    own = judge(table)
    (row, _) = rows(own)
    assert (row["estimator"], row["value"], row["low"]) == ("median of solved", "0.002", "")
    assert (row["verdict"], row["why"]) == ("open", "3/5 solved: a mean over them says nothing")
    assert "3/5 solved [.20, .90], their median 0.002" in table_details(own, to_markdown)  # Wilson's, at the look's 97.5 %


@pytest.mark.parametrize(
    ("solved", "runs", "own", "word"),
    [
        (30, 30, 1, "worse"),  # p of 1 of 5 against 30 of 30 is .0004
        (0, 30, 4, "better"),
        (4, 5, 2, "open"),
        (None, 30, 1, "open"),  # the source does not say how many solved it
    ],
)
def test_where_runs_do_not_solve_a_task_the_share_is_held_against_that_of_the_source(tmp_path, solved, runs, own, word):
    table = looked(tmp_path, {}, reports(value=3.0, estimator="mean", seeds=runs, solved=solved), metric="steps_to_solve")
    lines(table.folder / "results.jsonl", scored(table, lstm=[0.001] * own + [0.5] * (5 - own), gru=[0.1] * 5))
    (row, _) = rows(judge(table))
    said = f"{own} of 5 runs solve it, where {solved} of {runs} did (Fisher's test)"
    assert row["verdict"] == word and (row["why"] == said) == (word != "open")


def test_only_seeds_of_complete_looks_are_asked(table):
    lstm, gru = [400.0] * 4, [300.0] * 4
    found = scored(table, "laptop", lstm=lstm, gru=gru)
    lines(table.folder / "results.jsonl", found)
    assert judge(table).contrasts[("adding", "larger")].answer.counts == (3, 3), "the look of five is not complete"
    lines(table.folder / "results.jsonl", found[:2] + found[4:])
    own = judge(table)
    assert own.contrasts[("adding", "larger")].verdict.why == "the first look is not complete"
    stranger = record(table.cell("adding", "lstm", "laptop").words, 1000, 0.1)
    lines(table.folder / "results.jsonl", [*found, stranger])
    assert "seed 1000 outside its stopping rule" in judge(table).runs.complaints[0]


def test_a_contrast_says_its_scale_and_never_mixes_two(table):
    lines(table.folder / "results.jsonl", scored(table, lstm=[0.1] * 3) + scored(table, "laptop", gru=[0.1] * 3))
    assert judge(table).contrasts[("adding", "larger")].verdict.word == "undecided"
    lines(table.folder / "results.jsonl", scored(table, "laptop", lstm=[0.1] * 3, gru=[0.1] * 3))
    shown = contrasts_table(judge(table))
    assert [row[1].text for row in shown.rows] == ["laptop", "laptop"]


def test_a_run_made_again_elsewhere_does_not_unseat_the_committed_one(table, tmp_path):
    lines(table.folder / "results.jsonl", scored(table, lstm=[0.1, 0.2, 0.3]))
    body = record(table.cell("adding", "lstm", "paper").words, 0, 0.1 + 1e-9)
    folder = RunFolder(tmp_path / "runs/adding/lstm/s0-x")
    folder.start({**body["config"], "id": body["id"], "setting": body["setting"]})
    folder.finish({key: value for key, value in body.items() if key not in ("checksum", "schema")})
    own = measure_table(table, tmp_path / "runs")
    assert own.runs.shown("adding", "lstm").values("score") == [0.1, 0.2, 0.3]
    assert not own.runs.complaints
    (said,) = [gap for gap in cells_table(own).gaps if gap.startswith("run again")]
    assert said.startswith(
        "run again: adding/lstm at paper scale: 1 of 1 gave the committed score, 0 of 1 bitwise, weights too; "
    )
    other = record(table.cell("adding", "lstm", "paper").words, 1, 0.25)
    folder = RunFolder(tmp_path / "runs/adding/lstm/s1-x")
    folder.start({**other["config"], "id": other["id"], "setting": other["setting"]})
    folder.finish({key: value for key, value in other.items() if key not in ("checksum", "schema")})
    (said,) = [gap for gap in cells_table(measure_table(table, tmp_path / "runs")).gaps if gap.startswith("run again")]
    assert (
        "1 of 2 gave the committed score, 0 of 2 bitwise, weights too; means not shown to be the same within the margin of 0.01"
        in said
    )
    assert "rounds otherwise" in said and said.endswith("seed 1: 0.25, committed 0.2")


@pytest.mark.parametrize(
    ("made", "margin", "said"),
    [
        ([0.1, 0.11, 0.12], 0.01, "3 of 3 gave the committed score, 3 of 3 bitwise"),
        ([0.1, 0.11, 0.12], None, "3 of 3 gave the committed score, 3 of 3 bitwise"),
        (
            [0.1, 0.111, 0.119],
            0.05,
            "1 of 3 gave the committed score, 1 of 3 bitwise, weights too; means the same within the margin of 0.05",
        ),
        ([0.1, 0.111, 0.119], 0.01, "not shown to be the same within the margin of 0.01"),  # t(.95, 4) .0081 = .017
        ([0.1, 0.111, 0.119], None, "the row declares no margin"),
        ([0.2], 0.01, "1 and 1 values allow no difference"),
    ],
)
def test_what_was_run_again_is_held_against_the_margin_beside_the_bits(table, made, margin, said):
    """Seeds diverge on another processor, so that the means are compared, and why is said."""
    words = table.cell("adding", "lstm", "paper").words
    committed = [record(words, seed, score) for seed, score in enumerate([0.1, 0.11, 0.12])]
    runs = {one["seed"]: FoundRun(Path("results.jsonl"), one["config"], one) for one in committed}
    again = [record(words, seed, score) for seed, score in enumerate(made)]
    repeats = {one["seed"]: FoundRun(Path("runs"), one["config"], one) for one in again}
    (line,) = CellRuns(table.cell("adding", "lstm", "paper"), runs, {}, repeats).repeated("score", margin)
    assert said in line and ("rounds otherwise" in line) == (made != [0.1, 0.11, 0.12])


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"weights": 64 * "f"}, "1 of 1 gave the committed score, 0 of 1 bitwise, weights too; 1 and 1 values"),
        ({"process": {"compiled": False}}, "1 of 1 bitwise, weights too"),
        ({"weights": 64 * "f", "process": {"compiled": False}}, "which is not in use here: pip install"),
    ],
)
def test_equal_scores_of_other_weights_are_not_bitwise_and_machine_code_is_named(table, changed, said):
    words = table.cell("adding", "lstm", "paper").words
    kept = {**record(words, 0, 0.1), "process": {"compiled": True}}
    runs = {0: FoundRun(Path("results.jsonl"), kept["config"], kept)}
    repeats = {0: FoundRun(Path("runs"), kept["config"], {**kept, **changed})}
    (line,) = CellRuns(table.cell("adding", "lstm", "paper"), runs, {}, repeats).repeated("score", 0.01)
    assert said in line


def test_a_run_made_again_with_a_damaged_log_is_named_and_no_more(tmp_path):
    table = load_declaration(str(write(tmp_path / "t", edited(metric="last.train/loss", better="less"))))
    body = record(table.cell("adding", "lstm", "paper").words, 0, 0.1)
    lines(table.folder / "results.jsonl", [scrubbed_record(body, {"last.train/loss": 0.5}, {})])
    folder = RunFolder(tmp_path / "runs/adding/lstm/s0-x")
    folder.start({**body["config"], "id": body["id"], "setting": body["setting"]})
    folder.finish({key: value for key, value in body.items() if key not in ("checksum", "schema")} | {"steps": 1})
    (folder.path / "metrics.jsonl").write_text("garbage\n")
    own = measure_table(table, tmp_path / "runs")
    assert any("seed 0: its log cannot be read" in gap for gap in cells_table(own).gaps)
    assert own.runs.shown("adding", "lstm").values("last.train/loss") == [0.5]


def test_what_ends_at_its_last_step_did_not_stop_early():
    solved = {"solved": True, "solved_step": 6, "steps": 6}
    assert stopped_when_solved({**solved, "departures": {}})
    assert not stopped_when_solved({**solved, "departures": {"train.stop_when_solved": False}})
    assert not stopped_when_solved({**solved, "solved_step": 3, "departures": {}})


def test_a_margin_that_is_moved_afterwards_is_seen(tmp_path):
    table = load_declaration(str(write(tmp_path / "t")))
    body = record(table.cell("adding", "lstm", "laptop").words, 0, 0.1)
    before = table.digest("adding")
    kept = scrubbed_record(body, {}, {"t/adding": before})
    lines(table.folder / "results.jsonl", [kept])
    assert contrasts_table(judge(table)).rows[0][-1].text == before
    moved = load_declaration(str(write(tmp_path / "t", edited(margin=0.5))))
    assert contrasts_table(judge(moved)).rows[0][-1].text == f"{moved.digest('adding')} (was {before})"


def test_each_collected_run_keeps_the_digest_that_it_was_collected_under(tmp_path):
    table = load_declaration(str(write(tmp_path / "t")))
    bodies = [record(table.cell("adding", "lstm", "laptop").words, seed, 0.1) for seed in (0, 1)]
    for body in bodies:
        folder = RunFolder(tmp_path / f"runs/adding/lstm/s{body['seed']}-x")
        folder.start({**body["config"], "id": body["id"], "setting": body["setting"]})
        folder.finish({key: value for key, value in body.items() if key not in ("checksum", "schema")})
    kept = scrubbed_record(RunFolder(tmp_path / "runs/adding/lstm/s0-x").record(), {}, {"t/adding": "before"})
    lines(table.folder / "results.jsonl", [kept])
    collect_runs(table, tmp_path / "runs", lambda folder: 0.0)
    found = map(json.loads, (table.folder / "results.jsonl").read_text().splitlines())
    assert {one["seed"]: one["declared"]["t/adding"] for one in found} == {0: "before", 1: table.digest("adding")}


def test_a_diverged_run_is_in_no_mean_and_counts_as_not_solved(table):
    found = scored(table, lstm=[0.001, 0.002])
    found.append(
        record(
            table.cell("adding", "lstm", "paper").words,
            2,
            9.0,
            status="diverged",
            scores={"validation": None, "test": None},
            solved=False,
        )
    )
    lines(table.folder / "results.jsonl", found)
    (row, _) = rows(judge(table))
    assert float(row["value"]) == pytest.approx(math.sqrt(0.001 * 0.002)), "the geometric mean"
    assert (row["diverged"], row["solved"], row["solved_of"]) == ("1", "2", "3")


WRONG = {
    "task version": ({"task__version": 99}, "task adding version 99"),
    "model version": ({"model__version": 99}, "model lstm version 99"),
    "other settings": ({"setting": "0" * 32}, "do not give its setting"),
    "other seed": ({"seed": 7}, "its seed does not give its id"),
    "nothing of its speed": ({"speed": None}, "results.jsonl:2: speed: missing"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_record_is_refused_by_name(table, name):
    changes, said = WRONG[name]
    bad = record(table.cell("adding", "lstm", "paper").words, 1, 0.5, **changes)
    if changes.get("speed", 0) is None:
        body = {key: value for key, value in bad.items() if key not in ("speed", "checksum")}
        bad = {**body, "checksum": digest(body)}
    lines(table.folder / "results.jsonl", [*scored(table, lstm=[0.1]), bad])
    own = judge(table)
    assert any(said in complaint for complaint in own.runs.complaints), own.runs.complaints
    assert rows(own)[0]["seeds"] == "0", "the good one stays"
    assert any("refused" in gap for gap in cells_table(own).gaps)


def test_a_changed_number_is_refused_by_its_checksum(table):
    good = scored(table, lstm=[0.1, 0.2])
    path = table.folder / "results.jsonl"
    lines(path, good)
    path.write_text(path.read_text().replace("0.2", "0.0002", 1))
    own = judge(table)
    assert len(own.runs.complaints) == 1 and "checksum" in own.runs.complaints[0]


def test_other_data_are_refused(tmp_path):
    table = load_declaration(str(write(tmp_path / "t", edited(data="0123456789abcdef"))))
    lines(table.folder / "results.jsonl", scored(table, lstm=[0.1]))
    assert "another split" in judge(table).runs.complaints[0]


def test_two_records_of_one_seed_that_disagree_are_both_refused(table):
    words = table.cell("adding", "lstm", "paper").words
    good = record(words, 0, 0.1)
    lines(table.folder / "results.jsonl", [good, record(words, 0, 0.2), record(words, 1, 0.1)])
    own = judge(table)
    assert "2 records disagree" in own.runs.complaints[0] and rows(own)[0]["seeds"] == "1"
    lines(table.folder / "results.jsonl", [good, good])
    own = judge(table)
    assert not own.runs.complaints and rows(own)[0]["seeds"] == "0", "the same record twice counts once"


def test_the_default_width_is_no_other_width(tmp_path):
    """A cell that asks for the width by default, and so names none, is not given the run of another width."""
    table = load_declaration(str(write(tmp_path / "t", edited(words="task=adding task.length=8 task.sequences=20"))))
    words = table.cell("adding", "lstm", "paper").words
    usual, wide = record((*words, "model.hidden_size=128"), 0, 0.1), record((*words, "model.hidden_size=223"), 0, 0.2)
    lines(table.folder / "results.jsonl", [usual, wide, record((*words, "model.hidden_size=223"), 1, 0.2)])
    own = judge(table)
    assert not own.runs.complaints and rows(own)[0]["seeds"] == "0"


def test_a_budget_is_matched_by_what_was_asked(tmp_path):
    grid = edited(words="task=adding task.length=8 task.sequences=20 budget.params=400")
    table = load_declaration(str(write(tmp_path / "t", grid)))
    cell = table.cell("adding", "lstm", "paper")
    solved = record((*cell.words, "model.hidden_size=7"), 0, 0.1)
    by_hand = record((*[w for w in cell.words if not w.startswith("budget")], "model.hidden_size=7"), 1, 0.1)
    other = record(
        (*[w for w in cell.words if not w.startswith("budget")], "model.hidden_size=9"), 2, 0.1, model__parameters=700
    )
    lines(table.folder / "results.jsonl", [solved, by_hand, other])
    assert rows(judge(table))[0]["seeds"] == "0 1"


def test_the_gradient_through_time_as_two_numbers():
    norms = [10.0 ** (t - 9) for t in range(10)]
    found = derived_values({"train/state_gradient/core.0.0/h": norms})
    assert found["train/fall/core.0.0"] == pytest.approx(-9)
    assert found["train/decay/core.0.0"] == pytest.approx(-2.302585)
    both = derived_values({f"train/state_gradient/core.0.0/{part}": [3.0 if part == "h" else 4.0, 1.0] for part in "hc"})
    assert both["train/fall/core.0.0"] == pytest.approx(0.5 * math.log10(25 / 2))
    assert derived_values({"train/state_gradient/core.0.0/h": [0.0, 1.0]}) == {}


def test_a_ladder_prices_each_quirk(table):
    (rungs,) = table.rungs("adding")
    found = [record(cell.words, seed, 0.1 * (3 - k) + 0.001 * seed) for k, cell in enumerate(rungs) for seed in range(3)]
    lines(table.folder / "results.jsonl", found)
    (ladder,) = ladder_tables(judge(table))
    assert [row[0].text for row in ladder.rows] == ["published", "without anywhere", "fair"]
    assert [row[4].text[:5] for row in ladder.rows] == ["", "−0.10", "−0.10"]
    assert ladder.rows[0][5].text == "0.3", "the best seed beside the mean"


def test_collected_records_are_scrubbed_and_go_on_counting(table, tmp_path, monkeypatch):
    cell = table.cell("adding", "lstm", "paper")
    folder = RunFolder(tmp_path / "runs/adding/lstm/s0-x")
    body = {key: value for key, value in record(cell.words, 0, 0.1).items() if key not in ("checksum", "schema")}
    body["config"] = {**body["config"], "tracker": {"name": "wandb", "entity": "somebody"}}
    folder.start({**body["config"], "id": body["id"], "setting": body["setting"]})
    log = folder.open_log()
    log.append(1, {"train/state_gradient/core.0.0/h": [0.01, 1.0], "train/loss": 3.0}, {})
    log.close()
    folder.finish(body)
    assert main(["table", str(table.folder), "--runs", str(tmp_path / "runs"), "--collect"]) == 0
    text = (table.folder / "results.jsonl").read_text()
    assert "somebody" not in text and len(text.splitlines()) == 1
    assert json.loads(text)["sealed_before"] == folder.record()["checksum"]
    assert rows(judge(table))[0]["seeds"] == "0"
    assert main(["table", str(table.folder), "--runs", str(tmp_path / "runs"), "--collect"]) == 0
    assert (table.folder / "results.jsonl").read_text() == text, "collecting twice changes nothing"


def later(line: str) -> str:
    body = {**json.loads(line), "schema": 2}
    del body["checksum"]
    return json.dumps({**body, "checksum": digest(body)})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (later, "schema 2 is not known to this version"),
        (lambda line: line[:-300], "no record"),
        (lambda line: line.replace("0.1", "0.2"), "checksum"),
    ],
    ids=["a later version", "cut", "changed"],
)
def test_a_line_that_cannot_be_read_is_not_lost(table, capsys, change, said):
    path = table.folder / "results.jsonl"
    lines(path, [*scored(table, lstm=[0.1]), *scored(table, gru=[0.2])])
    first, rest = path.read_text().split("\n", 1)
    path.write_text(change(first) + "\n" + rest)
    before = path.read_bytes()
    assert main(["table", str(table.folder), "--collect"]) == 2
    assert said in (error := capsys.readouterr().err) and error.count("\n") == 1
    assert path.read_bytes() == before


def test_what_contrasts_read_of_logs_is_collected(tmp_path):
    contrasts = {"falls": {"says": "", "a": "lstm", "b": "gru", "metric": "first.train/fall/core.0.0", "expect": "more"}}
    table = load_declaration(str(write(tmp_path / "t", edited(contrasts=contrasts))))
    folder = RunFolder(tmp_path / "runs/adding/lstm/s0-x")
    body = {
        k: v for k, v in record(table.cell("adding", "lstm", "laptop").words, 0, 0.1).items() if k not in ("checksum", "schema")
    }
    folder.start({**body["config"], "id": body["id"], "setting": body["setting"]})
    log = folder.open_log()
    log.append(1, {"train/state_gradient/core.0.0/h": [0.01, 1.0]}, {})
    log.close()
    folder.finish(body)
    assert main(["table", str(table.folder), "--runs", str(tmp_path / "runs"), "--collect"]) == 0
    (kept,) = map(json.loads, (table.folder / "results.jsonl").read_text().splitlines())
    assert kept["measures"] == {"first.train/fall/core.0.0": pytest.approx(-2)}


def test_settings_that_name_a_path_are_not_collected():
    body = {"config": {"task": {"name": "char_lm", "text": "/home/me/book.txt"}}, "checksum": ""}
    with pytest.raises(ValueError, match="a path of one machine"):
        scrubbed_record(body, {}, {})


NO_TORCH = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "pytorch_lightning", "wandb", "datasets"):
            raise ImportError(name + " is blocked")
sys.meta_path.insert(0, Refuse())
from rnnbench.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def without_torch(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", NO_TORCH, *words], capture_output=True, text=True, check=False, timeout=120)


def test_committed_pages_are_what_the_committed_results_give():
    """As `make tables` makes them, torch and its kin blocked; nothing is written where nothing has changed."""
    tables = [measure_table(load_declaration(name), None) for name in table_names()]
    for own in tables:
        for name, page in table_pages(own, to_markdown).items():
            assert page == (own.table.folder / name).read_text(encoding="utf-8"), f"rnnbench table {own.table.name} --write"
    assert overview_page(tables, to_markdown) == (SWEEPS / "README.md").read_text(encoding="utf-8"), (
        "rnnbench table all --write"
    )


@pytest.mark.parametrize("format", ["terminal", "md", "latex", "html", "csv"])
def test_every_format_without_torch(table, format):
    lines(table.folder / "results.jsonl", scored(table, lstm=[0.1, 0.101, 0.099], gru=[0.05, 0.052, 0.049]))
    done = without_torch("table", str(table.folder), "--format", format)
    assert done.returncode == 0, done.stderr
    assert "reproduced" in done.stdout and "0.1" in done.stdout
    if format == "latex":
        assert done.stdout.count(r"\begin{longtable}") == done.stdout.count(r"\end{longtable}") == 4
        assert not set(done.stdout) - set(map(chr, range(128))), "plain TeX reads it"


def test_a_page_is_written_without_torch_and_the_same_twice(table):
    lines(table.folder / "results.jsonl", scored(table, lstm=[0.1, 0.101, 0.099]))
    written = []
    for _ in range(2):
        done = without_torch("table", str(table.folder), "--write")
        assert done.returncode == 0, done.stderr
        written.append([(table.folder / name).read_text() for name in ("README.md", "DETAILS.md")])
    assert written[0] == written[1]
    readme, details = written[0]
    assert f"`rnnbench reproduce {table.folder} --rows adding --columns lstm --scale paper --again`" in details
    assert "(DETAILS.md#adding)" in readme and '<a id="adding"></a>' in details


def run(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "rnnbench", *words], capture_output=True, text=True, check=False, timeout=300)


def test_reproduce_runs_what_is_missing_and_more_where_a_verdict_is_open(table):
    """Three seeds leave `larger` open; the rule adds two at a time up to eight, where exact permutation settles it."""
    done = run("reproduce", str(table.folder), "tracker=none")
    assert done.returncode == 0, done.stderr
    assert "6 runs" in done.stdout and "10 runs" in done.stdout
    own = measure_table(table, Path("runs"))
    assert own.contrasts[("adding", "larger")].verdict.word == "holds"
    assert len(own.runs.shown("adding", "lstm").runs) in (5, 7, 8)
    ladder = run("reproduce", str(table.folder), "--as", "published", "tracker=none", "--rows", "adding")
    assert ladder.returncode == 0 and "without anywhere" in ladder.stdout, ladder.stderr
    assert "6 runs" in ladder.stdout, "the fair rung was run before"


@pytest.mark.slow
def test_hours_are_spent_on_what_is_open_until_nothing_is(table):
    """Six runs at a time; what is settled, and what ran before, is not asked again; the plan is said without a run."""
    plan = run("reproduce", str(table.folder), "--hours", "1", "--estimate", "--scale", "laptop")
    assert plan.returncode == 0 and "a chance of 0.50" in plan.stdout and not Path("runs").exists(), plan.stderr
    words = ["reproduce", str(table.folder), "--hours", "1", "--scale", "laptop", "tracker=none", "hydra.launcher.workers=6"]
    done = run(*words)
    assert done.returncode == 0, done.stderr
    assert "h left" in done.stdout and "nothing is open that more seeds may settle" in done.stdout
    own = measure_table(table, Path("runs"))
    assert own.contrasts[("adding", "larger")].verdict.word == "holds"
    before = len(list(Path("runs").glob("adding/*/*/record.json")))
    again = run(*words)
    assert again.returncode == 0 and "h left" not in again.stdout, again.stdout + again.stderr
    assert len(list(Path("runs").glob("adding/*/*/record.json"))) == before


def test_what_is_committed_is_made_here_again_where_that_is_asked_for(table):
    """The command that a page gives for a cell: same numbers, from runs of this machine."""
    words = ["reproduce", str(table.folder), "--rows", "adding", "--columns", "lstm", "--scale", "laptop", "tracker=none"]
    assert run(*words).returncode == 0
    assert main(["table", str(table.folder), "--collect"]) == 0
    shutil.rmtree("runs")
    idle = run(*words)
    assert idle.returncode == 0 and "--again makes it here once more" in idle.stdout and not Path("runs").exists()
    done = run(*words, "--again")
    assert done.returncode == 0 and "8 of 8 runs recorded" in done.stdout, done.stdout + done.stderr
    assert "run again: adding/lstm at laptop scale: 8 of 8 gave the committed score" in " ".join(done.stdout.split())


@pytest.mark.parametrize("name", ["README.md", "DETAILS.md"])
def test_a_page_written_by_hand_is_not_written_over(table, capfd, name):
    page = table.folder / name
    page.write_text("# my own notes\n")
    assert main(["table", str(table.folder), "--write"]) == 2
    assert "written by hand" in capfd.readouterr().err and page.read_text() == "# my own notes\n"
    assert [path.name for path in table.folder.glob("*.md")] == [name], "none is written"
    page.unlink()
    assert main(["table", str(table.folder), "--write"]) == main(["table", str(table.folder), "--write"]) == 0


def test_a_scale_that_a_row_lacks_leaves_its_runs_out(tmp_path):
    more = {**GRID["rows"]["adding"], "scales": {"laptop": {"words": ["train.steps=2"]}}, "ladder": None, "contrasts": {}}
    few = {**more, "scales": {"paper": {"words": ["train.steps=2"], "seeds": {"first": 1}}}}
    write(tmp_path / "t", {**GRID, "rows": {"adding": few, "long": more}})
    done = run("reproduce", str(tmp_path / "t"), "--scale", "paper", "tracker=none")
    assert done.returncode == 0, done.stderr
    assert "2 of 2 runs recorded" in done.stdout and "open" in done.stdout


def test_a_row_whose_data_cannot_be_had_leaves_the_others_alone(tmp_path, monkeypatch):
    """They run, or are estimated, and 1 is returned; where no other is asked for, it is one line and 2."""
    monkeypatch.setenv("RNNBENCH_DATA", str(tmp_path / "nothing"))
    (tmp_path / "nothing").mkdir()
    own = {**GRID["rows"]["adding"], "scales": {"paper": {"words": ["train.steps=2"], "seeds": {"first": 1}}}}
    own |= {"ladder": None, "contrasts": {}}
    music = {**own, "words": ["task=music", "task.data=jsb_chorales"], "metric": "score"}
    for rank in (1, 2):
        table = tmp_path / f"t{rank}"
        write(table, {**GRID, "rows": {"adding": own, "jsb": {**music, "priority": rank}}})
        plan = run("reproduce", str(table), "tracker=none", "--estimate")
        done = run("reproduce", str(table), "tracker=none", f"runs=runs{rank}")
        assert plan.returncode == done.returncode == 1
        assert "2 runs, 0 recorded before" in plan.stdout and "2 of 2 runs recorded" in done.stdout
        for said in (plan.stderr, done.stderr):
            assert said.count("\n") == 1 and "2 runs left out: local/jsb_chorales is not on the hub; set RNNBENCH_DATA" in said
    both = tmp_path / "both"
    write(both, {**GRID, "rows": {"adding": {**music, "priority": 1}, "jsb": {**music, "priority": 2}}})
    for words in ([str(both)], [str(both), "--estimate"]):
        nothing = run("reproduce", *words, "tracker=none")
        assert nothing.returncode == 2 and nothing.stderr.count("\n") == 1
    alone = run("reproduce", str(table), "--rows", "jsb", "tracker=none")
    assert alone.returncode == 2 and alone.stderr.startswith("rnnbench: local/jsb_chorales") and alone.stderr.count("\n") == 1


def test_where_data_are_gone_when_more_seeds_are_asked_the_table_is_shown(table, monkeypatch, capfd):
    def gone(*_: Any, **__: Any) -> int:
        raise NothingAtHand("x.csv: there is no such file")

    lines(table.folder / "results.jsonl", scored(table, "laptop", lstm=[0.1, 0.2, 0.3], gru=[0.2, 0.3, 0.4]))
    monkeypatch.setattr(reproduce, "launch_sweep", gone)
    assert main(["reproduce", str(table.folder), "--scale", "laptop", "tracker=none"]) == 1
    out, err = capfd.readouterr()
    assert "left out: x.csv: there is no such file" in err and "Cells" in out


def test_a_sweep_of_a_file_of_lines():
    Path("mine.yaml").write_text(
        "shared: task.length=6 task.sequences=20 model.hidden_size=4 train.steps=2\n"
        "runs:\n  - task=adding model=lstm,gru\n  - task=adding model=rnn seed=3\n"
    )
    done = run("sweep", "mine.yaml", "tracker=none")
    assert done.returncode == 0, done.stderr
    assert len(list(Path("runs").glob("adding/*/*/record.json"))) == 3
    assert "sweep mine: 3 runs" in done.stdout


def test_two_names_are_two_sweeps():
    names = ["mine", "my_runs-2.1", "实验", "поиск", "été", "ôtô", "a b", "a-b", ".a", "-a", "x" * 99, "x" * 120, "sweep"]
    words = [sweep_word(name) for name in names]
    assert len(set(words)) == len(names) and words[:2] == names[:2] and words[2].startswith("sweep-")
    for word in words:
        compose_jobs(["task=adding", "model=lstm", f"sweep={word}"], sweep=False)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["table", "bai2019"], "no table or folder 'bai2019'"),
        (["reproduce", "TABLE", "--rows", "addin"], "no row 'addin'; did you mean 'adding'?"),
        (["reproduce", "TABLE", "--columns", "lstn"], "no column 'lstn'; did you mean 'lstm'?"),
        (["reproduce", "TABLE", "--scale", "big"], "no scale 'big'"),
        (["reproduce", "TABLE", "model=gru"], "model=gru: what is run is declared"),
        (["reproduce", "TABLE", "--hours", "0"], "--hours 0: more than 0"),
        (["reproduce", "TABLE", "--hours", "nan"], "--hours nan: more than 0"),
        (["reproduce", "TABLE", "--hours", "1", "--columns", "lstm"], "without --columns"),
        (["reproduce", "all", "--hours", "1", "--rows", "adding"], "--rows: for one table"),
        (["reproduce", "all"], "all: with --hours"),
        (["table", "TABLE", "--rows", "addin"], "no row 'addin'"),
        (["table", "all"], "--write"),
        (["sweep", "none.yaml"], "sweep none.yaml: there is no such file"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(table, capsys, words, said):
    assert main([str(table.folder) if word == "TABLE" else word for word in words]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("gers2000 tracker=wandbb", "no tracker 'wandbb'; did you mean 'wandb'?"),
        ("gers2000 trainer.acelerator=cpu", "did you mean 'trainer.accelerator'?"),
        ("gers2000 hydra.launcher.workers=zero", "whole number, at least 1"),
        ("hochreiter1997 --rows experiment_6a --columns gru", "no column 'gru' in experiment_6a; there: lstm_1997"),
        ("hochreiter1997 --rows experiment_6a --scale laptop", "experiment_6a has no scale 'laptop'; it has: paper, smoke"),
        ("hochreiter1997 --rows=", "no row ''"),
        ("gers2000 --hours 1 --estimate tracker=wandbb", "no tracker 'wandbb'"),
        ("bai2018 --as choices --columns=", "no column ''"),
        ("bai2018 --as choices tracker=wandbb", "no tracker 'wandbb'"),
        ("hochreiter1997 --columns=", "no column ''"),
    ],
)
def test_what_is_wrong_is_said_though_all_is_recorded(capfd, words, said):
    assert main(["reproduce", *words.split()]) == 2
    found = capfd.readouterr().err.strip()
    assert said in found and "\n" not in found and not Path("runs").exists()


def test_a_run_that_serves_several_cells_is_spent_once():
    results = measure_table(load_declaration("gers2000"), None)
    cells = list(results.runs.cells.values())
    records = {record["id"]: record for cell in cells for record in cell.records}
    spent = seconds_spent(cells)
    assert len(spent) == len(records) == 80 < sum(len(cell.runs) for cell in cells)
    assert sum(spent.values()) == pytest.approx(sum(record["speed"]["seconds"] for record in records.values()))


def test_no_page_is_written_of_results_that_cannot_be_read(tmp_path, capfd):
    folder = write(tmp_path / "t", GRID)
    (folder / "results.jsonl").write_text('{"half')
    assert main(["table", str(folder), "--write"]) == 2
    assert "nothing is written: " in capfd.readouterr().err and not (folder / "README.md").exists()
