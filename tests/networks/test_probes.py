"""Probes with known answers: a delay line, the gradients of one step; and pictures that say what was logged."""

from __future__ import annotations

import itertools
import json
import math
import shutil
from pathlib import Path

import pytest
import torch

from rnnbench.analysis.heatmaps import LONG, TALL, heat_map, shared_scale
from rnnbench.cli.examine import ROWS, run_titles
from rnnbench.cli.main import main
from rnnbench.config.compose import compose_jobs
from rnnbench.models.stack import Stack
from rnnbench.networks.plain import Network
from rnnbench.networks.probes import gradient_by_lag, recall, state_gradients
from rnnbench.run.execute import execute
from rnnbench.run.load import initial_network, load_run
from rnnbench.run.plan import plan_run
from rnnbench.store.find import find_runs
from rnnbench.tasks import load
from tests.analysis.test_tables import write
from tests.models.test_models import MODELS


def linear(task, matrix: torch.Tensor, into: torch.Tensor, bias: float = 0) -> Network:
    """h_t = matrix h_{t-1} + into x_t + bias, exactly: a rectified recurrence that is fed nothing negative."""
    cell = MODELS["rnn"]
    network = Network(
        task, lambda size: Stack(lambda n: cell(n, hidden_size=len(matrix), nonlinearity="relu"), size), 0, "last", 0.0, False
    )
    with torch.no_grad():
        for name, parameter in network.core.named_parameters():
            parameter.zero_()
            parameter.copy_(
                {"W": into, "R": matrix, "b_i": torch.full((len(matrix),), bias)}.get(
                    name.rpartition(".")[2], torch.zeros_like(parameter)
                )
            )
    return network.eval()


def delay_line(task, inputs: int, delay: int) -> Network:
    """A state that holds the last `delay` + 1 inputs: each step moves them on by one place."""
    size = inputs * (delay + 1)
    matrix, into = torch.zeros(size, size), torch.zeros(size, inputs)
    into[:inputs] = torch.eye(inputs)
    matrix[inputs:, :-inputs] = torch.eye(size - inputs)
    return linear(task, matrix, into)


def test_a_delay_line_holds_its_delay_and_no_more():
    task = load("adding", length=30, sequences=300)
    found = recall(delay_line(task, 2, 4), task, [0, 1, 3, 4, 5, 8], rows=300)
    for one in found:
        if one.lag <= 4:
            assert one.r2 == pytest.approx(1, abs=1e-4), one
        else:  # the marks are not wholly independent: two of thirty
            assert one.r2 < 0.05, one
        assert one.accuracy is None


def test_symbols_are_told_from_a_delay_line_and_guessed_beyond_it():
    task = load("copy_memory", delay=3, symbols=12, sequences=300)
    near, far = recall(delay_line(task, task.inputs.size, 2), task, [2, 10], rows=300)
    assert near.r2 == pytest.approx(1, abs=1e-4) and near.accuracy == 1
    assert far.r2 < 0.2 and far.accuracy < 0.5
    assert near.commonest == pytest.approx(12 / 25, abs=0.1)  # blanks


def test_the_gradient_of_one_step_is_that_steps_own():
    """h_t = a h_{t-1} + x_t + 1: from the loss of step s, ∂L/∂h_{s-k} is a^k of ∂L/∂h_s, and nothing comes to later steps."""
    task = load("copy_memory", delay=3, symbols=2)
    network = linear(task, 0.5 * torch.eye(10), torch.eye(10), bias=1.0)
    batch = task.batch("validation", 0, 6, 0)
    found = state_gradients(network, task, batch, step=5)
    (norms,) = found.values()
    assert len(norms) == 7 and norms[5:] == [0, 0]
    assert [norms[4 - k] / norms[4] for k in range(5)] == pytest.approx([0.5**k for k in range(5)], rel=1e-3)
    assert gradient_by_lag(network, task, batch, [0, 1, 3], 5) == pytest.approx([1, 0.5, 0.125], rel=1e-3)
    (whole,) = state_gradients(network, task, batch).values()
    assert whole[6] > 0
    outputs = network(batch)[0].detach().requires_grad_()
    loss = torch.nn.functional.cross_entropy(outputs[:, 4], batch.targets[:, 4])
    (expected,) = torch.autograd.grad(loss, outputs)
    assert norms[4] == pytest.approx((expected[:, 4] @ network.readout.weight).norm().item(), rel=1e-3)
    assert all(parameter.grad is None for parameter in network.parameters())
    adding = load("adding", length=5)
    with pytest.raises(ValueError, match="answers once"):
        gradient_by_lag(delay_line(adding, 2, 1), adding, adding.batch("validation", 0, 6, 0), [1], 3)
    with pytest.raises(ValueError, match="no step lies 5 before"):
        gradient_by_lag(network, task, batch, [5], 5)


def test_rows_that_end_early_do_not_count_as_lags():
    task = load("copy_memory", delay=9, symbols=2, shortest=2)
    network = linear(task, torch.eye(10), torch.eye(10), bias=1.0)
    flows = gradient_by_lag(network, task, task.batch("validation", 0, 40, 0), [0, 4], None)
    assert flows == pytest.approx([1, 1], rel=1e-3)
    with pytest.raises(ValueError, match="lag 99"):
        recall(network, task, [99], rows=20)


def trained(*words: str) -> Path:
    (job,) = compose_jobs(
        ["task=copy_memory", "task.delay=3", "task.symbols=2", "task.sequences=60", "model.hidden_size=6", "train.batch_size=5",
         "train.steps=4", "train.eval_every=2", "train.log_every=1", "train.clip=null", "tracker=none", *words],
        sweep=False,
    )  # fmt: skip
    execute(job)
    return plan_run(job).folder.path


@pytest.fixture
def clean(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_initial_network_is_the_one_that_training_began_with(clean):
    found = load_run(trained("model=gru", "seed=3"))
    batch = found.task.batch("train", 0, 5, 3)
    (norms,) = state_gradients(initial_network(found), found.task, batch).values()
    assert norms == pytest.approx(found.rows[0]["train/state_gradient/core.0.0/h"], rel=1e-3)


def test_a_heat_map_shows_what_was_logged():
    rows = [(50, [1e-3, 0.0, 1.0]), (75, [1e-9, 10.0, 1e3])]
    spec = heat_map(rows, -4.0, 2.0)
    cells = spec["data"]["values"]
    assert [(cell["from"], cell["to"]) for cell in cells] == [(0, 50), (50, 75)]
    assert [cell["v"] for cell in cells] == [[-3, -4, 0], [-4, 1, 2]]  # what is outside the scale has its end's colour
    assert cells[0]["a"] == [0, 1, 2] and cells[0]["b"] == [1, 2, 3]
    long = heat_map([(k, [10 ** (-k / 10)] * 1000) for k in range(1, 500)], -50.0, 0.0)["data"]["values"]
    assert len(long) == TALL and {len(cell["v"]) for cell in long} == {LONG}
    assert long[0]["from"] == 0 and long[-1]["to"] == 499
    assert all(before["to"] == after["from"] for before, after in itertools.pairwise(long))
    assert all(cell["v"] == [round(-cell["to"] / 10, 2)] * LONG for cell in long)


def test_the_scale_leaves_out_what_is_far_below():
    assert shared_scale([[1e-3] * 100, [1e-1] * 100]) == (-3, -1)
    assert shared_scale([[1e-30] * 100, [0.5] * 100]) == (-8, 0)
    assert shared_scale([[0.0, math.nan]]) == (-1, 0)


@pytest.mark.parametrize("name", ["picture.png", "picture.svg", "picture.html"])
def test_a_picture_of_runs(clean, name, capsys):
    folders = [trained(f"model={model}") for model in ("rnn", "peephole_lstm")]
    assert main(["gradients", *map(str, folders), "--output", name]) == 0
    data = Path(name).read_bytes()
    if name.endswith("png"):
        assert data.startswith(b"\x89PNG")
        return
    text = data.decode()
    assert "peephole_lstm on copy_memory, seed 0" in text and "after training" in text
    assert "c, as training went" in text
    assert "http" not in text.replace("http://www.w3.org", "").replace("https://vega.github.io/schema", "") or name.endswith(
        "html"
    )


def test_curves_of_a_picture_are_the_norms(clean, monkeypatch):
    folder = trained("model=lstm")
    drawn = []
    monkeypatch.setattr("rnnbench.cli.examine.save_picture", lambda spec, output: drawn.append(spec))
    assert main(["gradients", str(folder)]) == 0
    (row,) = drawn[0]["vconcat"]
    curves, heat_h, heat_c = row["hconcat"]
    found = load_run(folder)
    expected = state_gradients(found.network, found.task, found.task.batch("validation", 0, ROWS, 0))
    for state in "hc":
        points = [p["norm"] for p in curves["data"]["values"] if p["moment"] == "after training" and p["state"] == state]
        assert points == expected[f"core.0.0/{state}"]
    assert main(["gradients", str(folder), "--step", "2"]) == 0
    later = [p["norm"] for p in drawn[1]["vconcat"][0]["hconcat"][0]["data"]["values"] if p["t"] > 2]
    assert later == [] and "step 2 alone" in drawn[1]["title"]["subtitle"][0]
    for chart, state in ((heat_h, "h"), (heat_c, "c")):
        logged = found.rows[0][f"train/state_gradient/core.0.0/{state}"]
        cells = chart["data"]["values"][0]["v"]
        low = chart["encoding"]["color"]["scale"]["domain"][0]
        shown = [(math.log10(norm), cell) for norm, cell in zip(logged, cells, strict=True) if cell > low]
        assert shown and all(abs(norm - cell) < 0.01 or cell < norm for norm, cell in shown)


def test_titles_of_a_picture_say_what_differs(tmp_path):
    for width, seed in ((8, 0), (8, 1), (16, 0)):
        write(tmp_path, seed=seed, model_options={"hidden_size": width}, rows=1)
    write(tmp_path, model="gru", model_options={"hidden_size": 16}, rows=1)
    copy = shutil.copytree(next((tmp_path / "adding/gru").iterdir()), tmp_path / "copy/adding/gru/s0-0123abcd")
    runs, _ = find_runs([tmp_path])
    titles = ["gru-16 on adding, seed 0", "lstm-16 on adding, seed 0", "lstm-8 on adding, seed 0", "lstm-8 on adding, seed 1"]
    assert sorted(run_titles([run for run in runs if run.path != copy]).values()) == titles
    assert len(set(run_titles(runs).values())) == len(runs) == 5  # a copy, which counts once elsewhere, has its own title


def test_the_report_has_a_heat_map_a_state(clean):
    trained("model=lstm")
    trained("model=tcn", "model.levels=1", "model.kernel=2")
    assert main(["report"]) == 0
    page = Path("report.html").read_text()
    assert page.count('data-renderer="canvas"') == 2
    assert "Gradient through time: lstm, c" in page
    specs = [json.loads(part.partition("</script>")[0]) for part in page.split('class="spec">')[1:]]
    assert sum("Gradient through time" in spec["description"] for spec in specs) == 2


def test_the_table_of_a_probe(clean, capsys):
    folder = trained("model=gru")
    assert main(["probe", str(folder), "--lags", "4,0,1"]) == 0
    lines = capsys.readouterr().out.splitlines()[-5:]
    assert lines[0].startswith("gru on copy_memory, seed 0")
    assert [line.split()[0] for line in lines[2:]] == ["0", "1", "4"]
    found = load_run(folder)
    recalled = recall(found.network, found.task, [4])[0]
    assert lines[4].split()[1] == f"{recalled.r2:.3f}" and lines[4].split()[-2] == f"{recalled.accuracy:.3f}"
    assert "1.00e+00" in lines[2]


def test_a_window_is_read_and_has_no_gradient_through_time(clean, capsys):
    assert main(["probe", str(trained("model=tcn", "model.levels=1", "model.kernel=3")), "--lags", "0,2"]) == 0
    assert all("nan" in line for line in capsys.readouterr().out.splitlines()[-2:])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["gradients", "nowhere"], "nowhere"),
        (["gradients", "runs", "--output", "x.gif"], ".png, .svg or .html"),
        (["gradients", "runs"], "no state is carried"),
        (["gradients", "runs", "--step", "8"], "allowed: 1 to 7"),
        (["probe", "nowhere"], "nowhere"),
        (["probe", "runs", "--lags", "1,x"], "steps back"),
        (["probe", "runs", "--lags", "50"], "50"),
        (["probe", "runs", "--step", "99"], "step 99 of"),
    ],
)
def test_refusals_of_probes(clean, capfd, words, said):
    trained("model=transformer") if words == ["gradients", "runs"] else trained("model=gru")
    capfd.readouterr()
    before = sorted(Path().rglob("*"))
    assert main(words) == 2
    out, err = capfd.readouterr()
    assert err.startswith("rnnbench: ") and err.count("\n") == 1 and said in err and out == ""
    assert sorted(Path().rglob("*")) == before
