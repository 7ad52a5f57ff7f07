"""Random weight guessing: its compiled loop against independent forward passes, its end, how it goes on, what it refuses."""

from __future__ import annotations

import math

import numpy
import pytest
import safetensors.torch
import torch

from rnnbench.cli.main import main
from rnnbench.config.compose import compose_jobs
from rnnbench.config.settings import Settings
from rnnbench.kernels.guessing import Goal, Guesses, guess_sequences, put_in
from rnnbench.kernels.lstm_1997 import NetworkWeights
from rnnbench.kernels.recurrence import compile_steps
from rnnbench.run.execute import execute
from rnnbench.run.plan import make_task, new_network, plan_run
from rnnbench.training.guessing import Guessing
from rnnbench.training.online import Done, Stream, as_rows, online_view, write_back
from tests.training.test_online import READINGS, goes_on, loss_with_fed, made, short

GUESS = ["model=lstm_1997", "network.output=logistic", "train.rule=guess", "train.batch_size=1", "train.precision=64"]
GUESS += ["train.window=9", "train.select=last", "tracker=none"]
BLOCKS = [
    "task=two_sequences",
    "task.length=12",
    "task.form=3c",
    "task.sequences=20",
    "model.hidden_size=4",
    "model.block_size=2",
]
RUN = ["train.steps=20000", "train.eval_every=900", "train.guess_spread=1.5", "train.window_error=0.05"]


def guessed(*words: str) -> Settings:
    (found,) = compose_jobs([*GUESS, *words], sweep=False)
    return found


def of_vector(guess: numpy.ndarray) -> NetworkWeights:
    """The weights of a network of one input, two blocks of two cells and one output, all biased."""
    W, R, b, V, c = numpy.split(guess, numpy.cumsum([8, 64, 8, 4]))
    return NetworkWeights(W.reshape(8, 1), R.reshape(8, 8), b, V.reshape(1, 4), numpy.zeros((1, 0)), c)


def by_hand(settings: Settings, seed: int) -> tuple[int, int, NetworkWeights]:
    """(rows read, guesses, the last of them): a loop over rows of experiment 3c, with the plain equations in float64."""
    task, train = make_task(settings), settings.train
    block, guesses, wrong = Stream(task, seed).block, 0, True
    for row in range(train.steps):
        if wrong:
            if guesses % 1000 == 0:
                key = numpy.random.SeedSequence((0x6E55, seed, guesses // 1000))
                drawn = numpy.random.Generator(numpy.random.Philox(key)).uniform(-1, 1, (1000, 85)) * train.guess_spread
            weights, errors, guesses = of_vector(drawn[guesses % 1000]), [], guesses + 1
        batch = task.batch("train", row // block, block, seed)
        x = batch.inputs[row % block, : int(batch.lengths[row % block])].double().numpy()
        target = numpy.float32(0.2 if x[0, 0] > 0 else 0.8)
        errors.append(math.sqrt(2 * loss_with_fed(weights, 4, x, target, None)[0]))
        full = len(errors) == train.window
        wrong = errors[-1] >= 0.1 or (full and sum(errors) / len(errors) >= train.window_error)
        if full and not wrong:
            return row + 1, guesses, weights
    return train.steps, guesses, weights


@pytest.mark.parametrize("seed", [3, 5])
def test_a_run_reads_as_many_rows_as_a_plain_loop(seed: int, tmp_path):
    settings = guessed(*BLOCKS, *RUN, f"seed={seed}", f"runs={tmp_path}")
    rows, guesses, weights = by_hand(settings, seed)
    assert 900 < rows < 20000 and guesses > 1000, "more than one stretch, and more than one block of guesses"
    record = execute(settings)
    assert record is not None and record["solved"] and record["steps"] == record["solved_step"] == rows
    *_, before, last = plan_run(settings).folder.metrics()
    assert last["train/guesses"] == guesses and last["train/right"] == 9 > before["train/right"]
    assert last["validation/correct"] == record["scores"]["validation"]["correct"]
    found = safetensors.torch.load(plan_run(settings).folder.weights.read_bytes())
    for name, wanted in (("W", weights.W), ("R", weights.R), ("b", weights.b)):
        (part,) = (value for key, value in found.items() if key.endswith(f".{name}"))
        numpy.testing.assert_allclose(part.numpy(), wanted, rtol=1e-14)
    numpy.testing.assert_allclose(found["readout.weight"].numpy(), weights.V, rtol=1e-14)
    numpy.testing.assert_allclose(found["readout.bias"].numpy(), weights.c, rtol=1e-14)


def test_a_run_that_never_ends_stops_at_its_last_row(tmp_path):
    record = execute(guessed(*BLOCKS, *RUN, "train.guess_spread=0.001", "train.steps=50", f"runs={tmp_path}"))
    assert record is not None and not record["solved"] and record["steps"] == 50


@pytest.mark.parametrize("name", READINGS)
def test_machine_code_plain_python_and_the_network_agree(name: str):
    """Nothing is right within 0, so that each row is read by a guess of its own."""
    words, rows = short(READINGS[name]), 12
    network, task = made(words)
    batch = task.batch("train", 0, rows, 0)
    data, found = as_rows(task, batch), []
    size = sum(part.size for part in online_view(network).weights)
    assert size == sum(parameter.numel() for parameter in network.parameters())
    drawn = numpy.random.default_rng(0).uniform(-2, 2, (rows, size))
    for compiled in (True, False):
        online, (counts, error) = online_view(network), Guesses.none_yet()
        compile_steps(compiled)
        try:
            read, total = guess_sequences(*online, data, Guesses(drawn, 0, counts, error), Goal(rows, 1.0, 0.0))
        finally:
            compile_steps(True)
        assert read == rows and counts.tolist() == [rows, -1]
        found.append((total, [part.copy() for part in online.weights]))
    assert found[0][0] == found[1][0] > 0
    assert all(numpy.array_equal(one, other) for one, other in zip(found[0][1], found[1][1], strict=True))
    online, slow = online_view(network), 0.0
    for row in range(rows):
        put_in(online.weights, drawn[row])
        write_back(network, online)
        one = batch.map(lambda part, row=row: part[row : row + 1])
        with torch.no_grad():
            slow += task.loss(network(one)[0], one)[0].item()
    assert found[0][0] == pytest.approx(slow, rel=1e-10)


def test_large_weights_are_read_to_the_same_bits_by_machine_code_and_plain_python():
    """Where a rounding error would grow from step to step."""
    settings = guessed(*BLOCKS, "task.length=60")
    task = make_task(settings)
    online = online_view(new_network(settings, task)[0])
    data, totals = as_rows(task, task.batch("train", 0, 60, 0)), []
    drawn = numpy.random.default_rng(1).uniform(-30, 30, (60, 85))
    for compiled in (True, False):
        compile_steps(compiled)
        try:
            totals.append(guess_sequences(*online, data, Guesses(drawn, 0, *Guesses.none_yet()), Goal(60, 1.0, 0.0)))
        finally:
            compile_steps(True)
    assert totals[0] == totals[1]


def test_rows_and_guesses_in_parts_are_counted_as_in_one():
    settings = guessed(*BLOCKS, "task.form=3a")
    task = make_task(settings)
    data = as_rows(task, task.batch("train", 0, 300, 0))
    drawn, ends = numpy.random.default_rng(2).uniform(-4, 4, (300, 85)), []
    for rows_at_once, guesses_at_once in ((300, 300), (7, 300), (300, 11), (5, 3)):
        online, (counts, error), step = online_view(new_network(settings, task)[0]), Guesses.none_yet(), 0
        while step < 300 and counts[1] < 4:
            rows = type(data)(*(part[step : step + rows_at_once] for part in data))
            first = int(counts[0]) // guesses_at_once * guesses_at_once
            guesses = Guesses(drawn[first : first + guesses_at_once], first, counts, error)
            step += guess_sequences(*online, rows, guesses, Goal(4, 0.15, 0.2))[0]
        ends.append((step, counts.tolist(), error.tolist()))
    assert ends[0][1][1] == 4 and ends[0][0] < 300
    assert all(end == ends[0] for end in ends)


def test_a_run_that_is_asked_to_stop_as_it_ends_has_ended(monkeypatch, tmp_path):
    """A checkpoint of that moment would go on without an end."""
    read, ends = Guessing.read, []

    def asked(self: Guessing, end: int) -> Done:
        done = read(self, end)
        if done.ended:
            ends.append(self.learner.step + done.rows)
            self.learner.asked.append(15)
        return done

    monkeypatch.setattr(Guessing, "read", asked)
    record = execute(guessed(*BLOCKS, *RUN, "seed=3", f"runs={tmp_path}"))
    assert record is not None and record["status"] == "finished" and [record["solved_step"]] == ends


def test_a_run_goes_on_from_its_checkpoint_to_the_same_numbers(monkeypatch):
    settings = guessed(*BLOCKS, *RUN, "train.steps=400", "train.eval_every=70", "train.window=100")
    rows = goes_on(settings, [70, 350], monkeypatch)
    assert [step for step, _ in rows] == [70, 140, 210, 280, 350, 400]
    counts = [row["train/guesses"] for _, row in rows]
    assert counts == sorted(set(counts))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("train.window=0", "train.window=0 beside train.rule=guess is not allowed; allowed: 256 (or another number of rows)"),
        ("model.spread=0.2", "model.spread=0.2 beside train.rule=guess is not allowed; allowed: 0.1"),
        ("model.input_bias=[1,1]", "model.input_bias=[1.0, 1.0] beside train.rule=guess is not allowed; allowed: []"),
        ("network.output_spread=1", "network.output_spread=1.0 beside train.rule=guess is not allowed; allowed: 0.0"),
        ("train.stop_when_solved=false", "train.stop_when_solved=false beside train.rule=guess is not allowed; allowed: true"),
        ("train.precision=32", "train.precision=32 beside train.rule=guess is not allowed; allowed: 64"),
        ("train.learning_rate=0.5", "train.learning_rate=0.5 has no effect: it needs train.rule other than guess"),
        ("train.window_wrong=1", "train.window_wrong=1 has no effect: it needs train.rule=online; got train.rule=guess"),
        ("train.each_step=true", "train.each_step=true has no effect: it needs train.rule=online; got train.rule=guess"),
        ("train.clip=2", "train.clip=2.0 has no effect: it needs train.rule=batch; got train.rule=guess"),
        ("train.guess_spread=0", "train.guess_spread=0 is not allowed; allowed: number, more than 0"),
        ("model=lstm", "train.rule=guess trains lstm_1997; got model.mechanism=lstm"),
    ],
)
def test_what_has_no_effect_on_guesses_is_refused(words: str, said: str, capfd):
    kept = [word for word in [*GUESS, *BLOCKS] if not word.startswith(words.split("=")[0] + "=")]
    kept = [word for word in kept if words != "model=lstm" or not word.startswith("model.block")]
    assert main(["train", *kept, words]) == 2
    (line,) = [line for line in capfd.readouterr().err.splitlines() if line]
    assert said in line
