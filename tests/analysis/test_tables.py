"""Tables and the report page from synthetic run folders: known answers, and nothing dropped in silence."""

from __future__ import annotations

import csv
import io
import json
import math
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import vl_convert

from rnnbench.analysis.charts import Styles
from rnnbench.analysis.comparison import compare_runs, estimate_entries, floor_cell
from rnnbench.analysis.comparison_text import RANKED, result_sentence
from rnnbench.analysis.curves import Curve, mean_curve, thinned
from rnnbench.analysis.drawing import drawing_script
from rnnbench.analysis.formatting import format_compact, format_duration, format_interval
from rnnbench.analysis.grouping import NoRuns, group_runs
from rnnbench.analysis.intervals import Estimate, against_floor, summarize
from rnnbench.analysis.model_matrix import model_matrix
from rnnbench.analysis.render import export, to_csv, to_html, to_markdown, to_terminal
from rnnbench.analysis.report import _logs, report_page, write_report
from rnnbench.analysis.table import Cell, Column, Table
from rnnbench.config.labels import option_text
from rnnbench.launch.status import asked_seeds
from rnnbench.store.find import FoundRun, find_runs
from rnnbench.store.record import canonical, digest
from rnnbench.store.run_folder import RunFolder
from tests.support.records import filled

FLOORS = {"adding": 0.1667, "copy_memory": 0.0945, "char_lm": 4.58}
SCORES = {"adding": ("mse", "min", ""), "copy_memory": ("cross_entropy", "min", "nats"), "char_lm": ("bpc", "min", "bits")}
SPEEDS = {"rnn": 2100.0, "lstm": 1250.0, "peephole_lstm": 410.0, "gru": 1380.0}  # sequences a second


def write(
    root: Path,
    task: str = "adding",
    model: str = "lstm",
    seed: int = 0,
    score: float | None = 0.01,
    *,
    task_options: Mapping[str, Any] = {"length": 100},
    model_options: Mapping[str, Any] = {"hidden_size": 128},
    steps: int = 2000,
    rows: int = 20,
    status: str = "finished",
    record: bool = True,
    sweep: str | None = None,
    **changes: Any,
) -> Path:
    """One run folder that ends at `score`; without `record` it is unfinished."""
    headline, direction, unit = SCORES[task]
    config = {
        "task": {"name": task, **task_options},
        "model": {"name": model, "mechanism": model, **model_options},
        "network": {"read": "last"},
        "train": {"steps": steps, "batch_size": 50, "learning_rate": 0.001},
        "trainer": {"accelerator": "cpu"},
        "tracker": {"name": "none"},
        "seed": seed,
        "sweep": sweep,
    }
    setting = digest([task, model, dict(task_options), dict(model_options)])[:32]
    run = digest([setting, seed])[:32]
    folder = RunFolder(root / task / model / f"s{seed}-{run[:8]}")
    folder.start({**config, "id": run, "setting": setting})
    chance, floor, speed = random.Random(run), FLOORS[task], SPEEDS.get(model, 800.0)
    log = folder.open_log()
    for number in range(1, rows + 1):
        step, left = round(steps * number / rows), 1 / (1 + math.exp(10 * (number / rows - 0.45 - 0.1 * chance.random())))
        curve = (floor if score is None else score) * math.exp(left * math.log(floor * 1.4 / (score or floor)))
        metrics = {
            "train/loss": curve,
            "train/gradient_norm": 3 * curve**0.5 * chance.lognormvariate(0, 0.3) * SPEEDS["lstm"] / speed,
        }
        metrics[f"validation/{headline}"] = curve * chance.lognormvariate(0, 0.03)
        log.append(step, metrics, {"seconds": step / speed, "steps_per_second": speed / 50})
    log.close()
    if not record:
        return folder.path
    solved = score is not None and score < floor / 5 and status == "finished"
    body = {
        "id": run,
        "setting": setting,
        "status": status,
        "seed": seed,
        "task": {
            "name": task,
            "version": 1,
            "options": dict(task_options),
            "structure": "N->1",
            "headline": headline,
            "direction": direction,
            "unit": unit,
            "floor": floor,
            "fingerprint": "",
            "about": {},
        },
        "model": {"name": model, "mechanism": model, "version": 1, "options": dict(model_options), "parameters": 12_345},
        "network": config["network"],
        "train": config["train"],
        "config": config,
        "departures": {
            "train.steps": steps,
            **{f"task.{key}": value for key, value in task_options.items()},
            **{f"model.{key}": value for key, value in model_options.items()},
        },
        "steps": steps,
        "best_step": steps,
        "diverged_step": 400 if status == "diverged" else None,
        "scores": {"validation": {headline: score}, "test": None if status == "diverged" else {headline: score}},
        "solved": solved,
        "solved_step": steps // 2 if solved else None,
        "seconds_to_solved": steps / 2 / speed * 50 if solved else None,
        "speed": {
            "seconds": steps / speed * 50,
            "steps_per_second": speed / 50 * chance.uniform(0.95, 1.05),
            "sequences_per_second": speed * chance.uniform(0.95, 1.05),
            "tokens_per_second": speed * 100,
            "peak_memory_bytes": 9 << 20,
        },
        "versions": {"python": "3.12.3", "torch": "2.6.0", "rnnbench": "0.1.0"},
        "commit": None,
        "hardware": {"device": "cpu", "processor": "a processor", "system": "Linux"},
        "process": {"threads": 1},
        "started": f"2025-03-01T10:0{seed % 10}:00+00:00",
        "ended": f"2025-03-01T10:1{seed % 10}:00+00:00",
        "sweep": sweep,
    }
    folder.finish(filled({**body, **changes}))
    return folder.path


def sweep(root: Path) -> None:
    """4 models, 2 tasks, 3 seeds; one seed missing, one unfinished, one diverged."""
    ends = {
        "adding": {"rnn": 0.166, "lstm": 0.004, "peephole_lstm": 0.0034, "gru": 0.0011},
        "copy_memory": {"rnn": 0.0951, "lstm": 0.031, "peephole_lstm": 0.022, "gru": 0.0052},
    }
    chance = random.Random(0)
    for task, models in ends.items():
        for model, end in models.items():
            for seed in range(3):
                if (task, model, seed) == ("adding", "lstm", 1):
                    continue
                score = end * chance.lognormvariate(0, 0.004 if model == "rnn" else 0.25)
                options = {"length": 200} if task == "adding" else {"delay": 200, "solved_above": 0.99}
                diverged = (task, model, seed) == ("copy_memory", "rnn", 2)
                kept = (task, model, seed) != ("copy_memory", "peephole_lstm", 0)
                write(
                    *(root, task, model, seed, score),
                    task_options=options,
                    rows=8 if diverged else 40,
                    status="diverged" if diverged else "finished",
                    record=kept,
                    sweep="all",
                )
    list_sweep(root, "all", {f"task={task} model={model}": range(3) for task, models in ends.items() for model in models})


def list_sweep(root: Path, name: str, asked: Mapping[str, Iterable[int]]) -> None:
    """A manifest of sweep `name`: for the words of each setting, such as `task=adding model=lstm`, the seeds asked for."""
    runs = {}
    for words, seeds in asked.items():
        task, model = (part.partition("=")[2] for part in words.split()[:2])
        there = {path.name.partition("-")[0]: path.name for path in (root / task / model).glob("s*")}
        for seed in seeds:
            runs[f"{task}/{model}/{there.get(f's{seed}', f's{seed}-ffff')}"] = {"id": "", "words": f"{words} seed={seed}"}
    (root / "sweeps" / name).mkdir(parents=True)
    (root / "sweeps" / name / "manifest.json").write_text(json.dumps({"schema": 1, "runs": runs}), encoding="utf-8")


def load(*paths: Path) -> list[Table]:
    runs, complaints = find_runs(paths)
    return compare_runs(runs, complaints, asked_seeds(runs))


def values(table: Table, row: int) -> dict[str, Any]:
    """A row's raw values by name."""
    names = [name for column in table.columns for name in column.names]
    return dict(zip(names, [value for cell in table.rows[row] for value in cell.values], strict=True))


def labels(table: Table) -> list[str]:
    return [row[0].text for row in table.rows]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("swept")
    sweep(root)
    return root


# What is in a table


def test_a_row_by_hand(tmp_path: Path) -> None:
    for seed, score in enumerate((0.01, 0.02, 0.06)):
        write(tmp_path, seed=seed, score=score)
    (table,) = load(tmp_path)
    row = values(table, 0)
    assert (row["estimator"], row["value"], row["low"]) == ("median of solved", pytest.approx(0.015), None)
    assert (row["solved"], row["solved_of"]) == (2, 3)  # solved is below a fifth of the floor here
    assert (row["solved_low"], row["solved_high"]) == (pytest.approx(0.2077, abs=5e-5), pytest.approx(0.9385, abs=5e-5))
    assert (row["against_floor"], row["seeds"], row["missing"], row["parameters"]) == ("undecided", "0 1 2", "", 12_345)
    assert row["seconds_to_solved"] == pytest.approx(40.0) and row["tokens_per_second"] == 125_000
    assert [cell.text for cell in table.rows[0]][:3] == ["lstm", "", "0.015"]  # alone: no rank


def test_an_error_by_hand(tmp_path: Path) -> None:
    for seed, score in enumerate((0.04, 0.06, 0.09)):  # none solves it
        write(tmp_path, seed=seed, score=score)
    (table,) = load(tmp_path)
    row, factor = values(table, 0), math.exp(4.302652729911275 * math.log(1.5) / math.sqrt(3))  # t(2) at 0.975
    assert (row["estimator"], row["value"]) == ("geometric mean", pytest.approx(0.06))
    assert (row["low"], row["high"]) == (pytest.approx(0.06 / factor), pytest.approx(0.06 * factor))
    assert table.rows[0][2].text == "0.06 [0.02, 0.16]" and row["against_floor"] == "below"


def test_each_entry_is_held_against_the_floor_of_its_own_test_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for model, floor in (("gru", 0.2), ("lstm", 0.1)):
        monkeypatch.setitem(FLOORS, "adding", floor)
        for seed, score in enumerate((0.148, 0.15, 0.152)):
            write(tmp_path, model=model, seed=seed, score=score)
    (table,) = load(tmp_path)
    found = {row[0].text: row[3] for row in table.rows}
    assert table.columns[3].title == "floor"
    assert {name: (cell.text, cell.tone) for name, cell in found.items()} == {
        "gru": ("below 0.2", "good"),
        "lstm": ("above 0.1", "poor"),
    }
    (block,), _ = group_runs(*find_runs([tmp_path]))
    assert result_sentence(block, estimate_entries(block), {}).endswith("No better than the floor: lstm.")


def test_rows_of_which_one_is_solved_in_part_are_sorted_by_the_share_solved(tmp_path: Path) -> None:
    for model, scores in (("rnn", [0.05] * 3), ("lstm", [0.001, 0.001, 0.16]), ("gru", [0.02, 0.021, 0.022])):
        for seed, score in enumerate(scores):
            write(tmp_path, model=model, seed=seed, score=score)
    (table,) = load(tmp_path)
    assert labels(table) == ["gru", "lstm", "rnn"], "3 of 3, 2 of 3, none"
    assert any(note.startswith("Sorted by the share solved, then by score") for note in table.notes)


def test_gaps_are_named_everywhere(swept: Path) -> None:
    found = load(swept)
    gaps = {gap for table in found for gap in table.gaps}
    assert gaps == {"lstm: seed 1 missing", "peephole_lstm: seed 0 unfinished", "rnn: seed 2 diverged at step 400"}
    for rendered in (to_terminal(found, 80), to_markdown(found), "".join(map(to_html, found))):
        assert all(gap in rendered for gap in gaps) and "2/3" in rendered
    rows = {(line["task"], line["row"]): line for line in csv.DictReader(io.StringIO(to_csv(found)))}
    assert rows["adding", "lstm"]["missing"] == "1"
    assert rows["copy_memory", "peephole_lstm"]["unfinished"] == "0"
    assert rows["copy_memory", "rnn"]["diverged"] == "2"


def test_diverged_is_in_no_mean_and_not_solved(tmp_path: Path) -> None:
    for seed, score in enumerate((0.010, 0.012)):
        write(tmp_path, seed=seed, score=score)
    (before,) = load(tmp_path)
    write(tmp_path, seed=2, score=None, status="diverged")
    (after,) = load(tmp_path)
    for name in ("value", "low", "high", "solved", "seeds"):
        assert values(before, 0)[name] == values(after, 0)[name]
    assert (values(after, 0)["solved_of"], values(after, 0)["diverged"]) == (3, "2")
    assert values(after, 0)["solved_low"] == pytest.approx(0.2077, abs=5e-5)  # two of three, not two of two
    assert "lstm: seed 2 diverged at step 400" in after.gaps


def test_all_diverged(tmp_path: Path) -> None:
    write(tmp_path, "adding", "rnn", 0, None, status="diverged")
    write(tmp_path, "adding", "lstm", 0, 0.01)
    (table,) = load(tmp_path)
    assert labels(table) == ["lstm", "rnn"]  # last, and without a rank
    assert (values(table, 1)["value"], values(table, 1)["rank_best"], table.rows[1][2].text) == (None, None, "diverged")


def test_settings_that_differ_are_rows_of_their_own(tmp_path: Path) -> None:
    for hidden_size in (64, 128):
        for seed in (0, 1):
            write(tmp_path, seed=seed, score=1 / hidden_size, model_options={"hidden_size": hidden_size, "bias": True})
    write(tmp_path, model="gru", seed=0)
    (table,) = load(tmp_path)
    assert sorted(labels(table)) == ["gru-128", "lstm-128", "lstm-64"]
    assert not any("missing" in gap for gap in table.gaps), "nobody asked for seed 1 of gru"


def test_task_settings_are_blocks_of_their_own(tmp_path: Path) -> None:
    for length in (1000, 200):
        write(tmp_path, task_options={"length": length, "marks": "halves"})
    write(tmp_path, "copy_memory")
    assert [table.title for table in load(tmp_path)] == ["adding-T200", "adding-T1000", "copy_memory"]


def test_unfinished_runs_stand_with_their_task(tmp_path: Path) -> None:
    write(tmp_path, model="lstm", seed=0)
    write(tmp_path, model="gru", seed=0, record=False)
    write(tmp_path, model="lstm", seed=0, record=False, task_options={"length": 7})
    alone, together = load(tmp_path)
    assert (alone.title, together.title) == ("adding-T7", "adding-T100")
    assert alone.caption.startswith("no run has finished yet") and alone.gaps == ("lstm: seed 0 unfinished",)
    assert (labels(together), together.gaps) == (["lstm", "gru"], ("gru: seed 0 unfinished",))


def results(root: Path, target: Path, **changes: Any) -> Path:
    """The records under `root` as a results.jsonl."""
    lines = []
    for run in find_runs([root])[0]:
        body = {key: value for key, value in (run.record or {}).items() if key != "checksum"} | changes
        lines.append(canonical({**body, "checksum": digest(body)}) + "\n")
    target.write_text("".join(lines), encoding="utf-8")
    return target


def test_a_run_found_twice_counts_once(tmp_path: Path) -> None:
    for seed in range(3):
        write(tmp_path / "runs", seed=seed, score=0.01 + seed / 1000)
    once = load(tmp_path / "runs")
    scrubbed = results(tmp_path / "runs", tmp_path / "results.jsonl", hardware={"device": "cpu"})
    for paths in ([tmp_path / "runs", tmp_path / "runs"], [scrubbed, tmp_path / "runs"], [tmp_path / "runs", scrubbed]):
        assert load(*paths) == once


def test_records_that_disagree_are_refused(tmp_path: Path) -> None:
    for seed in range(3):
        write(tmp_path / "here", seed=seed, score=0.01)
    write(tmp_path / "there", seed=1, score=0.02)
    table, refused = load(tmp_path / "here", tmp_path / "there")
    assert (values(table, 0)["seeds"], values(table, 0)["refused"]) == ("0 2", "1")
    assert refused.title == "Refused" and "adding lstm seed 1: 2 records disagree; none counts" in refused.gaps[0]
    assert "here/" in refused.gaps[0] and "there/" in refused.gaps[0]


def test_a_damaged_record_is_a_complaint_and_no_row(tmp_path: Path) -> None:
    write(tmp_path, seed=0)
    path = write(tmp_path, seed=1, score=0.5) / "record.json"
    path.write_text(path.read_text().replace("0.5", "0.001"))
    table, refused = load(tmp_path)
    assert (values(table, 0)["seeds"], values(table, 0)["value"]) == ("0", 0.01)
    assert "checksum" in refused.gaps[0]
    assert "checksum" in to_terminal([table, refused]) and "checksum" in to_markdown([table, refused])
    assert "checksum" in report_page(*find_runs([tmp_path]))


def test_whatever_is_found_damaged_is_one_complaint(tmp_path: Path) -> None:
    write(tmp_path, seed=0)
    for seed, damage in ((1, b"\xff\xfe\x00"), (2, b"[]"), (3, b"null")):
        (write(tmp_path, seed=seed) / "record.json").write_bytes(damage)
    bare = RunFolder(tmp_path / "adding" / "lstm" / "bare")
    bare.path.mkdir()
    bare.finish({"seed": 9, "setting": "x", "config": {"task": {"name": "adding"}, "model": {"name": "lstm"}, "seed": 9}})
    (tmp_path / "back").symlink_to(tmp_path)
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    table, refused = load(tmp_path)
    assert values(table, 0)["seeds"] == "0"
    assert len(refused.gaps) == 4 and any("bare/record.json: id: missing" in gap for gap in refused.gaps)
    (bare.path / "metrics.jsonl").write_bytes(b"\xff\n")
    assert report_page(*find_runs([tmp_path]))


def test_a_file_of_others_hides_no_runs(tmp_path: Path) -> None:
    write(tmp_path, seed=0)
    (tmp_path / "config.yaml").write_text("a: 1\n")
    (table,) = load(tmp_path)
    assert values(table, 0)["seeds"] == "0"


def test_a_record_without_settings_is_a_complaint(tmp_path: Path) -> None:
    write(tmp_path, seed=0)
    bare = RunFolder(tmp_path / "bare")
    bare.path.mkdir()
    bare.finish({"seed": 9})
    _, refused = load(tmp_path)
    assert f"{bare.path / 'record.json'}: id: missing" in refused.gaps[0]


def test_a_record_file_may_be_named_itself(tmp_path: Path) -> None:
    path = write(tmp_path, seed=0)
    assert load(path / "record.json") == load(path)


def test_a_seed_is_missed_only_where_a_sweep_lists_it_for_that_setting(tmp_path: Path) -> None:
    """Not where another model of the sweep has it, as where a table adds seeds to what is undecided; nor of runs one by one."""
    for model, sweep, seeds in (("lstm", "a", (0, 1)), ("gru", "a", (0,)), ("rnn", "a", (0,)), ("irnn", None, (8,))):
        for seed in seeds:
            write(tmp_path, seed=seed, model=model, sweep=sweep)
    list_sweep(
        tmp_path, "a", {"task=adding model=lstm": (0, 1), "task=adding model=gru": (0, 1), "task=adding model=rnn": (0,)}
    )
    (table,) = load(tmp_path)
    missing = {values(table, row)["row"]: values(table, row)["missing"] for row in range(4)}
    assert missing == {"lstm": "", "gru": "1", "rnn": "", "irnn": ""}
    (tmp_path / "sweeps/a/manifest.json").write_text("[]")
    assert not any("missing" in gap for table in load(tmp_path) for gap in table.gaps), (
        "a list that cannot be read asks for none"
    )


def test_a_record_without_a_score_or_settings_is_refused(tmp_path: Path) -> None:
    write(tmp_path, seed=0)
    write(tmp_path, seed=1, scores={"validation": {}, "test": {"mse": math.nan}})
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.yaml").write_text("- a list\n")
    table, refused = load(tmp_path)
    assert (values(table, 0)["seeds"], values(table, 0)["refused"]) == ("0", "1")
    assert any("no test mse, finished without it" in line for line in refused.gaps)
    assert any("no settings of a run" in line for line in refused.gaps)


def test_order_of_finding_changes_nothing(swept: Path) -> None:
    stored, complaints = find_runs([swept])
    expected = compare_runs(stored, complaints)
    for number in range(5):
        random.Random(number).shuffle(stored)
        assert compare_runs(stored, complaints) == expected


def test_what_a_scrubbed_record_leaves_unsaid_tells_entries_apart(tmp_path: Path) -> None:
    """Options that are as by default stand in no scrubbed config; beside a run of one's own only what differs is named."""
    for forget_bias in (None, 5):
        folder = write(tmp_path, seed=0, score=0.01, model_options={"forget_bias": forget_bias} if forget_bias else {})
        if forget_bias is None:
            (record,) = [run.record for run in find_runs([folder])[0]]
            body = {key: value for key, value in record.items() if key != "checksum"}
            body["config"] = {**body["config"], "train": {}, "network": {}}
            (tmp_path / "results.jsonl").write_text(json.dumps({**body, "checksum": digest(body)}) + "\n")
            shutil.rmtree(folder)
    (table,) = compare_runs(*find_runs([tmp_path, tmp_path / "results.jsonl"]))
    assert sorted(labels(table)) == ["lstm forget_bias=1", "lstm forget_bias=5"]


def test_unfinished_runs_of_a_model_that_is_not_here_keep_their_names(tmp_path: Path) -> None:
    for width in (4, 8):
        write(tmp_path, model="of_another_package", record=False, model_options={"hidden_size": width})
    (table,) = load(tmp_path)
    assert sorted(labels(table)) == ["of_another_package-4", "of_another_package-8"]


def test_ranks_are_ranges_where_differences_are_not_significant(tmp_path: Path) -> None:
    """None for a model of which a run diverged, nor for one seed."""
    scores = {"gru": (0.010, 0.011, 0.012), "lstm": (0.0105, 0.0115, 0.0125), "rnn": (0.13, 0.131, 0.132)}
    for model, of_model in scores.items():
        for seed, score in enumerate(of_model):
            write(tmp_path, model=model, seed=seed, score=score)
    write(tmp_path, model="rnn", seed=0, score=0.001, model_options={"hidden_size": 9})
    for seed, status in enumerate(("finished", "finished", "diverged")):
        write(tmp_path, model="min_gru", seed=seed, score=0.02 + seed / 1000, status=status)
    (table,) = load(tmp_path)
    ranks = {row[0].text: row[1].text for row in table.rows}
    assert ranks == {"rnn-9": "", "gru-128": "1–2", "lstm-128": "1–2", "min_gru-128": "", "rnn-128": "3"}
    assert RANKED in table.notes


def test_higher_is_better(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCORES, "adding", ("accuracy", "max", ""))
    monkeypatch.setitem(FLOORS, "adding", 0.5)
    for model, score in (("rnn", 0.30), ("gru", 0.9), ("lstm", 0.7)):
        for seed in range(3):
            write(tmp_path, model=model, seed=seed, score=score + seed / 1000)
    (table,) = load(tmp_path)
    assert labels(table) == ["gru", "lstm", "rnn"]
    assert [(row[1].text, row[3].text, row[3].tone) for row in table.rows] == [
        ("1", "above", "good"),
        ("2", "above", "good"),
        ("3", "below", "poor"),
    ]
    assert table.columns[2].title == "accuracy ↑" and "higher is better" in table.caption


FLOOR_CELLS = {  # score, interval, floor: what is shown and its tone, where lower is better
    "far below": (0.10, 0.09, 0.11, 0.3, "below", "good"),
    "just more than a tenth": (0.269, 0.26, 0.28, 0.3, "below", "good"),
    "a tenth": (0.27, 0.26, 0.28, 0.3, "barely below", "warn"),
    "a hundredth": (0.297, 0.296, 0.298, 0.3, "barely below", "warn"),
    "one seed": (0.1, None, None, 0.3, "1 seed", "warn"),
    "above": (0.4, 0.39, 0.41, 0.3, "above", "poor"),
    "at": (0.3, 0.29, 0.31, 0.3, "at", "poor"),
    "no floor": (0.3, 0.29, 0.31, None, "", ""),
}


@pytest.mark.parametrize(("value", "low", "high", "floor", "text", "tone"), FLOOR_CELLS.values(), ids=FLOOR_CELLS)
@pytest.mark.parametrize("lower", [True, False])
def test_the_floor_in_words(value, low, high, floor, text, tone, lower) -> None:
    """Of a score for which more is better: the same, mirrored."""
    estimator = "one seed" if low is None else "mean"
    if not lower and floor is not None:
        value, low, high = (
            2 * floor - value,
            None if high is None else 2 * floor - high,
            None if low is None else 2 * floor - low,
        )
        text = {"below": "above", "above": "below", "barely below": "barely above"}.get(text, text)
    cell = floor_cell(Estimate(value, low, high, estimator), floor, lower)
    assert (cell.text, cell.tone) == (text, tone)


@pytest.mark.parametrize(
    ("low", "high", "floor", "verdict"),
    [
        (0.1, 0.2, 0.3, "below"),
        (0.4, 0.5, 0.3, "above"),
        (0.29, 0.32, 0.3, "at"),
        (0.1, 0.9, 0.3, "undecided"),
        (None, None, 0.3, "undecided"),
        (0.1, 0.2, None, ""),
    ],
)
def test_against_floor(low: float | None, high: float | None, floor: float | None, verdict: str) -> None:
    assert against_floor(Estimate(0.15, low, high, "mean"), floor) == verdict


def test_the_estimator_is_that_of_the_metric_whatever_the_number_of_seeds(tmp_path: Path) -> None:
    scores = [0.05 + seed / 200 for seed in range(12)]
    for seed, score in enumerate(scores):
        write(tmp_path, model="gru", seed=seed, score=score, rows=1)
        (table,) = load(tmp_path)
        found = summarize(scores[: seed + 1], "mse")
        assert values(table, 0)["estimator"] == ("geometric mean" if seed else "one seed")
        assert [values(table, 0)[name] for name in ("value", "low", "high")] == [found.value, found.low, found.high]
    assert any("geometric mean" in note for note in table.notes)


def test_different_hardware_is_said(tmp_path: Path) -> None:
    write(tmp_path, seed=0)
    write(tmp_path, seed=1, hardware={"device": "cuda"})
    assert "run on 2 kinds of hardware: do not compare their speeds" in load(tmp_path)[0].gaps


@pytest.mark.parametrize(
    ("value", "low", "high", "shown"),
    [
        (0.0123, 0.0103, 0.0143, "0.0123 [0.0103, 0.0143]"),
        (0.0573, -0.18, 0.2946, "0.06 [−0.18, 0.29]"),
        (123.44, 121.4, 125.5, "123.4 [121.4, 125.5]"),
        (0.5, 0.5, 0.5, "0.5000 [0.5000, 0.5000]"),
        (1.234e-5, 1.1e-5, 1.4e-5, "1.23e−5 [1.1e−5, 1.4e−5]"),
        (0.01, -0.0001, 0.05, "0.010 [0.000, 0.050]"),
        (0.0, 0.0, 0.0, "0 [0, 0]"),
        (0.012345, None, None, "0.0123"),
    ],
)
def test_interval_is_shown_to_the_digits_it_has(value: float, low: float | None, high: float | None, shown: str) -> None:
    assert format_interval(Estimate(value, low, high, "mean")) == shown


def test_a_geometric_mean_keeps_the_digits_of_a_bound_near_zero() -> None:
    found = (0.0273, 0.00129, 0.578)
    assert format_interval(Estimate(*found, "geometric mean")) == "0.0273 [0.00129, 0.578]"
    assert format_interval(Estimate(*found, "mean")) == "0.03 [0.00, 0.58]"
    assert format_interval(Estimate(0.06, 0.0219, 0.164, "geometric mean")) == "0.06 [0.02, 0.16]"


def test_numbers_for_readers() -> None:
    assert [format_compact(number) for number in (7, 999, 12_345, 999_960, 3_400_000)] == ["7", "999", "12.3k", "1M", "3.4M"]
    assert [format_duration(seconds) for seconds in (0.25, 36.2, 121, 7200)] == ["0.25 s", "36 s", "2.0 min", "2.0 h"]
    assert [option_text(option) for option in (True, None, 0.001, "/home/a/corpus.txt", [1, 2])] == [
        *("true", "null", "0.001", "…/corpus.txt", "[1, 2]")
    ]


# Renderers


def test_csv_round_trip(swept: Path) -> None:
    found = load(swept)
    lines = list(csv.DictReader(io.StringIO(to_csv(found))))
    expected = [{**table.about, **values(table, row)} for table in found for row in range(len(table.rows))]
    assert len(lines) == len(expected) == 8
    for line, row in zip(lines, expected, strict=True):
        assert list(line) == list(row)
        for name, value in row.items():
            read: Any = line[name]
            assert (float(read) if isinstance(value, float) else read) == (
                "" if value is None else value if isinstance(value, float) else str(value)
            )
    assert json.loads(lines[0]["task_options"]) == {"length": 200}


@pytest.mark.parametrize("width", [80, 100, 200])
def test_terminal_fits(swept: Path, width: int) -> None:
    shown = to_terminal(load(swept), width)
    assert max(map(len, shown.splitlines())) <= width
    assert ("Left out" in shown) == (width < 130)
    assert "…" not in shown and "[0.00096, 0.00114]" in shown and "\x1b" not in shown


def test_piped_is_plain_and_whole(swept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = export(load(swept))
    assert "Left out" not in shown and "tokens/s" in shown and "\x1b" not in shown
    assert "\x1b[" in to_terminal(load(swept), 100, colour=True)
    with pytest.raises(ValueError, match="no format 'xml'"):
        export([], "xml")


def test_markdown_is_a_table(swept: Path, tmp_path: Path) -> None:
    block = [line for line in to_markdown(load(swept)).splitlines() if line.startswith("|")]
    assert len(block) == 2 * (2 + 4) and len({line.count("|") for line in block}) == 1
    write(tmp_path, model_options={"kind": "a|b<i>"}, seed=0)
    write(tmp_path, model_options={"kind": "c"}, seed=0)
    assert "kind=a\\|b\\<i\\>" in to_markdown(load(tmp_path))


def test_nothing_to_show_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(NoRuns) as nothing:
        load(tmp_path)
    assert "rnnbench train" in str(nothing.value) and "\n" not in str(nothing.value)
    (tmp_path / "record.json").write_text("{}")
    with pytest.raises(NoRuns, match=r"1 refused; the first: .*no record"):
        load(tmp_path)


# The page


def specs(page: str) -> list[dict[str, Any]]:
    return [json.loads(text) for text in re.findall(r'<script type="application/json" class="spec">(.*?)</script>', page, re.S)]


def test_page_asks_the_network_for_nothing(swept: Path, tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    output = write_report(*find_runs([swept]), tmp_path / "pages" / "report.html")
    page = output.read_text(encoding="utf-8")
    own, script = re.sub(r"<script>.*?</script>", "", page, flags=re.S), re.findall(r"<script>(.*?)</script>", page, re.S)
    assert not re.search(r"https?:|//[a-z]|@import|url\(", own)
    assert not re.search(r"<(script|link|img|iframe)[^>]*\b(src|href)=[\"'](?!data:)", own)
    assert len(script) == 2 and len(script[0]) > 500_000  # the drawing scripts, once, and the few lines that call them
    assert len(page) < len(script[0]) + 100_000
    assert [path.name for path in output.parent.iterdir()] == ["report.html"]  # and no half of one


def test_charts_draw(swept: Path) -> None:
    import vl_convert

    found = specs(report_page(*find_runs([swept])))
    assert [spec["description"].partition(",")[0] for spec in found] == ["Learning", "Gradient norm", "Speed against score"] * 2
    for spec in found:
        drawn = vl_convert.vegalite_to_svg({**spec, "width": 400, "height": 280})
        assert "NaN" not in drawn and "Infinity" not in drawn
        assert ("floor 0." in drawn) == (not spec["description"].startswith("Gradient"))
    assert "lower is better" in drawn and "sequences/s" in drawn


def test_the_drawing_script_is_put_together_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And where no cache can be written, each time."""
    made: list[str] = []
    monkeypatch.setattr(vl_convert, "javascript_bundle", lambda exposed: made.append(exposed) or "draw</script>()")
    (tmp_path / "file").touch()
    for cache, times in ((tmp_path / "cache", 1), (tmp_path / "file" / "cache", 2)):
        monkeypatch.setenv("RNNBENCH_CACHE", str(cache))
        made.clear()
        assert [drawing_script.__wrapped__() for _ in range(2)] == [r"draw<\/script>()"] * 2
        assert len(made) == times
    monkeypatch.setenv("RNNBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(metadata, "version", lambda package: f"of another {package}")
    made.clear()
    drawing_script.__wrapped__()
    assert len(made) == 1


def test_a_model_has_one_colour(swept: Path) -> None:
    colours: dict[str, set[str]] = {}
    for spec in specs(report_page(*find_runs([swept]))):
        scale = spec["layer"][0]["encoding"]["color"]["scale"]
        for label, colour in zip(scale["domain"], scale["range"], strict=True):
            colours.setdefault(label, set()).add(colour)
    assert all(len(several) == 1 for several in colours.values())
    assert len(set.union(*colours.values())) == len(colours) == 4


def test_looks_differ_past_the_palette() -> None:
    styles = Styles([f"m{number}" for number in range(21)])
    assert len({str(look[:2]) for look in styles.of.values()}) == 21
    assert len({(look[0], look[2]) for look in styles.of.values()}) == 21


def test_page_is_escaped_and_private(tmp_path: Path) -> None:
    evil = "<img src=x onerror=alert(1)>"
    options = {"length": 100, "text": "/home/somebody/texts/corpus.txt"}
    write(tmp_path, model=evil, task_options=options, hardware={"host": "secret-host", "device": "<b>cpu</b>"})
    page = report_page(*find_runs([tmp_path]))
    complaint = f"{tmp_path}/adding/lstm/s0-1/record.json: damaged </script><script>alert(2)</script>"
    page = report_page(find_runs([tmp_path])[0], [complaint])
    assert evil not in page and "<b>cpu" not in page and "<script>alert(2)" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert not any(secret in page for secret in ("somebody", "secret-host", str(tmp_path)))
    assert "…/corpus.txt" in page and "lstm/s0-1/record.json: damaged" in page


def test_page_of_odd_runs(tmp_path: Path) -> None:
    """No rows, one row, a log that cannot be read, all diverged, nothing finished, records without folders."""
    write(tmp_path / "a", "adding", "rnn", rows=0)
    write(tmp_path / "b", "char_lm", "lstm", score=1.7, rows=1)
    write(tmp_path / "c", "copy_memory", "gru", score=None, status="diverged", rows=0)
    write(tmp_path / "d", "char_lm", "gru", record=False, task_options={"window": 3})
    (write(tmp_path / "e", "copy_memory", "lstm", score=0.01) / "metrics.jsonl").write_text("not json\n")
    page = report_page(*find_runs([tmp_path]))
    titles = [spec["description"] for spec in specs(page)]
    assert any(title.startswith("Learning, char_lm") for title in titles)
    assert "Speed against score, adding" in titles and "Learning, adding" not in titles
    assert "its log cannot be read" in page and "no run has finished yet" in page
    lines = results(tmp_path / "b", tmp_path / "results.jsonl")
    assert [spec["description"] for spec in specs(report_page(*find_runs([lines])))] == ["Speed against score, char_lm"]
    with pytest.raises(NoRuns):
        write_report([], [], tmp_path / "never.html")
    assert not (tmp_path / "never.html").exists()


def test_a_long_log_is_thinned_and_keeps_its_spikes() -> None:
    curve = [(step, 1.0) for step in range(10_000)]
    curve[4321], curve[8765] = (4321, 900.0), (8765, 0.001)
    kept = thinned(curve, 300)
    assert len(kept) <= 300 and kept == sorted(set(kept))
    assert {curve[0], curve[4321], curve[8765], curve[-1]} <= set(kept)
    assert thinned(curve[:300], 300) == curve[:300]


def test_the_mean_line_goes_as_far_as_every_seed(tmp_path: Path) -> None:
    curves: Iterable[Curve] = [[(1, 1.0), (2, 4.0), (3, 9.0)], [(1, 4.0), (2, 16.0)]]
    assert mean_curve(list(curves), geometric=False) == [(1, 2.5), (2, 10.0)]
    assert mean_curve(list(curves), geometric=True) == [(1, pytest.approx(2.0)), (2, pytest.approx(8.0))]
    write(tmp_path, seed=0, rows=10)
    write(tmp_path, seed=1, score=None, status="diverged", rows=3)
    learning = specs(report_page(*find_runs([tmp_path])))[0]
    seeds, mean = (layer["data"]["values"] for layer in learning["layer"][:2])
    assert len(seeds) == 2 and len(mean) == 1 and len(mean[0]["step"]) == 10  # the diverged seed is drawn, not averaged


def test_a_hundred_runs_stay_small(tmp_path: Path) -> None:
    stored = []
    for model in SPEEDS:
        for seed in range(5):
            write(tmp_path, model=model, seed=seed, rows=600)
    stored, complaints = find_runs([tmp_path])
    data = sum(len(json.dumps(spec)) for spec in specs(report_page(stored * 5, complaints)))
    assert data < 400_000


def test_a_page_grows_by_a_few_bytes_a_record(tmp_path: Path) -> None:
    """Of 1,500 seeds 400 have a thin line, which the page says; each seed is in the mean and has its point."""
    write(tmp_path, rows=10)
    (run,), _ = find_runs([tmp_path])
    assert run.record
    pages = []
    for number in (750, 1500):
        seeds = range(number)
        runs = [
            FoundRun(run.path, {**run.config, "seed": seed}, {**run.record, "seed": seed, "id": f"{seed:032}"})
            for seed in seeds
        ]
        pages.append(report_page(runs, []))
    assert len(pages[1]) - len(pages[0]) < 750 * 60
    learning, _, speed = specs(pages[1])
    thin, mean = (layer["data"]["values"] for layer in learning["layer"][:2])
    assert [one["seed"] for one in thin] == list(range(400)) and len(mean) == 1
    assert [len(one["score"]) for one in speed["layer"][0]["data"]["values"]] == [1500]
    assert "thin: the 400 lowest seeds of each." in pages[1]


def test_a_log_is_kept_as_far_as_it_is_shown(tmp_path: Path) -> None:
    """Curves of every seed; gradients through time and samples of the lowest seed that has them."""
    for seed in (0, 1, 2):
        path = write(tmp_path, seed=seed, rows=2) / "metrics.jsonl"
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for row in rows:
            row |= {"train/learning_rate": 0.1}
            row |= {"train/state_gradient/core.0.0/h": [1.0, 0.5], "validation/samples": [{"text": "a"}]} if seed else {}
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (block,), _ = group_runs(*find_runs([tmp_path]))
    logs = _logs(block.entries[0], "mse", [])
    curves = {"step", "validation/mse", "train/gradient_norm"}
    more = {"train/state_gradient/core.0.0/h", "validation/samples"}
    assert [set().union(*rows) for rows in logs.values()] == [curves, curves | more, curves]


def test_torch_is_never_imported(swept: Path, tmp_path: Path) -> None:
    code = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "pandas", "lightning", "pytorch_lightning", "wandb", "altair"):
            raise ImportError(name + " is blocked")
sys.meta_path.insert(0, Refuse())
from pathlib import Path
from rnnbench.analysis import comparison, render, report
from rnnbench.store.find import FoundRun, find_runs
stored, complaints = find_runs([Path(sys.argv[1])])
assert not {"scipy", "numpy", "rich", "jinja2", "vl_convert"} & set(sys.modules)
for format in render.FORMATS:
    assert render.export(comparison.compare_runs(stored, complaints), format)
report.write_report(stored, complaints, Path(sys.argv[2]))
"""
    subprocess.run([sys.executable, "-c", code, str(swept), str(tmp_path / "report.html")], check=True)


def test_a_number_is_never_cut_and_words_stand_in_several_lines():
    columns = (Column("says", ("says",), left=True, words=True), Column("value", ("value",), left=True))
    rows = ((Cell("many words of a claim that goes on and on", ("",)), Cell("0.123456 [0.111111, 0.222222]", (0.1,))),)
    shown = to_terminal([Table("t", "", {}, columns, rows)], width=40)
    assert "0.123456 [0.111111, 0.222222]" in shown and max(map(len, shown.split("\n"))) <= 20 + 2 + 29
    assert " ".join(shown.split()).count("goes on and") == 1


@pytest.mark.parametrize("scores", [(0.01, 0.01, 0.01), (0.5, 0.5)])
def test_seeds_of_the_same_value_are_said_to_have_no_spread(tmp_path: Path, scores: tuple[float, ...]):
    for seed, score in enumerate(scores):
        write(tmp_path, seed=seed, score=score)
        write(tmp_path, model="gru", seed=seed, score=score + seed / 1000)
    write(tmp_path, model="rnn", score=0.02)
    (table,) = compare_runs(*find_runs([tmp_path]))
    line = f"lstm: all {len(scores)} seeds gave the same value: no spread to estimate"
    assert [gap for gap in table.gaps if "spread" in gap] == [line]
    assert line in to_terminal([table]) and line in report_page(*find_runs([tmp_path]))


OVERLAPS = {  # (what a record says was found, what a table says of it)
    "none": ({"files": {"train": ["a"], "test": ["b"]}, "seen": {"validation": 3, "test": 0}}, ""),
    "rows": (
        {"files": {"train": ["a"], "test": ["a"]}, "shared": {"train and test": 6}, "seen": {"test": 9}},
        "train and test have 6 rows in common",
    ),
    "two pairs": (
        {
            "files": {split: ["a"] for split in ("train", "validation", "test")},
            "shared": {"train and validation": 2, "train and test": 1, "validation and test": 4},
        },
        "train and test have 1 row in common, validation and test have 4 rows in common",
    ),
    "validation is the test": (
        {"files": {"train": ["a"], "validation": ["a"]}, "shared": {"train and validation": 2}},
        "train and test have 2 rows in common",
    ),
    "texts": (
        {
            "files": {"train": ["a"], "test": ["b"]},
            "rows": {"train": 9, "validation": 8, "test": 25_000},
            "seen": {"validation": 0, "test": 1, "test_in_validation": 2},
        },
        "1 test row of 25,000 also in train, 2 test rows of 25,000 also in validation",
    ),
    "something else": ("found", ""),
    "of a plug-in": ({"files": 3, "shared": [1], "seen": {"test": "many"}}, ""),
}


@pytest.mark.parametrize("case", OVERLAPS)
def test_test_rows_that_were_trained_on_are_said_of_each_task(tmp_path: Path, case: str):
    found, said = OVERLAPS[case]
    for model in ("lstm", "gru"):
        path = write(tmp_path, model=model)
        record = json.loads((path / "record.json").read_text())
        record["task"]["about"] = {"found": found}
        (path / "record.json").unlink()
        del record["checksum"]
        RunFolder(path).finish(record)
    write(tmp_path, task="char_lm", task_options={"text": "tiny"})
    runs, complaints = find_runs([tmp_path])
    assert not complaints
    line = f"{said}: these were trained or selected on"
    adding, other = compare_runs(runs, complaints)
    assert [gap for gap in adding.gaps if "selected on" in gap] == ([line] if said else []) and not other.gaps
    blocks, _ = group_runs(runs, complaints)
    matrix = model_matrix(blocks)
    assert [gap for gap in matrix.gaps if "selected on" in gap] == ([f"{adding.title}: {line}"] if said else [])
