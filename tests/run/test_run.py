"""From a command to a record: training, continuing after any end, and what is left behind."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import rnnbench
from rnnbench.cli.main import main
from rnnbench.config.checks import writable_folder
from rnnbench.config.compose import compose_jobs
from rnnbench.config.schema import read_signature
from rnnbench.launch.status import last_step
from rnnbench.run.build_record import never_solved
from rnnbench.run.execute import execute
from rnnbench.run.failures import Stopped
from rnnbench.run.load import initial_network
from rnnbench.store.find import find_runs
from rnnbench.store.log import Log
from rnnbench.store.run_folder import RunFolder
from rnnbench.tasks import load

SMALL = ["task=adding", "task.length=6", "task.sequences=40", "train.batch_size=8", "train.learning_rate=0.01"]
TINY = [*SMALL, "model.hidden_size=8", "train.steps=60", "train.eval_every=20", "train.log_every=7", "network.dropout=0.2"]


def settings(*overrides: str) -> dict:
    (job,) = compose_jobs([*TINY, "model=lstm", "tracker=none", *overrides], sweep=False)
    return job


def only(root: str = "runs") -> RunFolder:
    (found,) = [path.parent for path in Path(root).rglob("config.yaml")]
    return RunFolder(found)


def test_one_line_trains_and_records(capfd):
    assert main(["train", *TINY, "model=gru"]) == 0
    folder = only()
    record = folder.record()
    assert folder.path.name == f"s0-{record['id'][:8]}"
    assert record["status"] == "finished" and record["steps"] == 60
    assert record["task"]["expected_floor"] == 1 / 6
    assert record["model"]["parameters"] == 3 * (8 * 2 + 8 * 8 + 2 * 8) + 9
    assert set(record["scores"]) == {"validation", "test"}
    rows = folder.rows()
    assert [row["step"] for row in rows] == [7, 14, 20, 21, 28, 35, 40, 42, 49, 56, 60]
    assert [row["step"] for row in rows if "validation/mse" in row] == [20, 40, 60]
    best = min((row for row in rows if "validation/mse" in row), key=lambda row: row["validation/mse"])
    assert record["best_step"] == best["step"]
    assert record["scores"]["validation"] == {"mse": best["validation/mse"]}
    for row in rows:
        names = {"train/loss", "train/gradient_norm", "train/gradient_norm_clipped", "train/clipped", "train/learning_rate"}
        assert names | {"train/gradient_norm/readout", "train/gradient_norm/core.layers.0.0"} <= set(row)
        assert {"seconds", "steps_per_second", "sequences_per_second", "tokens_per_second"} <= set(row)
        assert ("peak_memory_bytes" in row) == ("validation/mse" in row)
        parts = [value for name, value in row.items() if name.startswith("train/gradient_norm/")]
        assert sum(part**2 for part in parts) ** 0.5 == pytest.approx(row["train/gradient_norm"], rel=1e-5)
        clipped = [value for name, value in row.items() if name.startswith("train/gradient_norm_clipped/")]
        assert sum(part**2 for part in clipped) ** 0.5 == pytest.approx(row["train/gradient_norm_clipped"], rel=1e-5)
        assert row["train/gradient_norm_clipped"] <= min(row["train/gradient_norm"], 1) * 1.00001
    assert {path.name for path in folder.path.iterdir()} == {
        *("config.yaml", "metrics.jsonl", "timings.jsonl", "model.safetensors", "record.json", "checkpoints", "lease-1")
    }
    assert {path.name for path in Path().iterdir()} == {"runs"}
    assert "recorded before" not in capfd.readouterr().out
    assert main(["train", *TINY, "model=gru"]) == 0
    assert "recorded before" in capfd.readouterr().out


def test_the_loaded_network_scores_what_was_recorded():
    execute(settings())
    before = torch.get_rng_state()
    trained = rnnbench.load(only().path)
    assert torch.equal(torch.get_rng_state(), before)
    sums: dict[str, float] = {}
    with torch.inference_mode():
        for index in range(trained.task.batches("test", 16)):
            batch = trained.task.batch("test", index, 16, 0)
            for name, value in trained.task.score(trained.network(batch)[0], batch).items():
                sums[name] = sums.get(name, 0) + value.item()
    assert trained.task.finish(sums)["mse"] == pytest.approx(trained.metrics["mse"], rel=1e-6)
    with pytest.raises(FileNotFoundError):
        rnnbench.load("nowhere")


@pytest.mark.parametrize("overrides", [[], ["task.length=100", "task.sequences=1000"]])
def test_the_recorded_floor_is_that_of_the_test_split(overrides):
    record = execute(settings(*overrides, "train.steps=1"))
    task = rnnbench.load(only().path).task
    batch = task.batch("test", 0, task.sequences, 0)
    assert record["task"]["floor"] == pytest.approx((batch.targets - 1).square().mean().item(), rel=1e-5)
    assert record["task"]["floor"] != record["task"]["expected_floor"] == 1 / 6


def test_loading_asks_for_no_folder_to_write_in(monkeypatch):
    execute(settings("train.steps=1"))
    place = only().path.absolute()
    monkeypatch.setattr(os, "access", lambda *_: False)
    trained = rnnbench.load(place)
    assert initial_network(trained) is not None
    with pytest.raises(ValueError, match="no folder can be written"):
        writable_folder("runs")


def test_what_does_not_belong_to_the_record_is_not_loaded(capfd):
    text = Path("text.txt")
    text.write_text("ab cd ef " * 3000)
    words = ["task=char_lm", f"task.text={text}", "task.window=10", "model=rnn", "model.hidden_size=8", "train.batch_size=4"]
    assert main(["train", *words, "train.steps=3", "tracker=none"]) == 0
    folder = only().path
    text.write_text("ba dc fe " * 3000)
    capfd.readouterr()
    assert main(["sample", str(folder), "--prompt", "a"]) == 2
    assert "the data there is not that of the record" in capfd.readouterr().err
    text.write_text("ab cd ef " * 3000)
    weights = folder / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(ValueError, match="the weights there"):
        rnnbench.load(folder)


def test_solved_is_what_validation_says_and_stops():
    record = execute(settings("task.solved_below=0.2", "train.steps=400", "network.dropout=0"))
    assert record["solved"] is True and record["solved_step"] == record["steps"]
    assert execute(settings("task.solved_below=0.0000001", "runs=never"))["solved"] is False


def test_a_bound_that_nothing_passes_says_that_there_is_no_solution():
    assert never_solved(load("reverse", solved_above=1.0)) and not never_solved(load("reverse"))
    assert never_solved(load("char_lm", solved_below=0.0)) and not never_solved(load("adding"))
    for name in ("translation", "photo_caption"):
        options = read_signature("task", name)
        assert options.options["solved_above"].default == options.constants.get("most", 1) == 100


class Killed(BaseException):
    pass


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, tuple[list, dict]]:
    """Metrics and weights of runs that nothing happened to, one a kind of task and optimiser."""
    found = {}
    for kind, overrides in KINDS.items():
        root = tmp_path_factory.mktemp("undisturbed")
        execute(settings(*overrides, f"runs={root}"))
        found[kind] = end_of(root)
    return found


def end_of(root: Path | str) -> tuple[list, bytes]:
    folder = only(str(root))
    return folder.metrics(), folder.weights.read_bytes()


TEXT = ["task=char_lm", "train.batch_size=4", "task.window=10", "train.steps=40"]
KINDS = {
    "adam": [],
    "plateau, sgd, momentum": ["train.optimizer=sgd", "train.momentum=0.5", "train.schedule=plateau", "train.clip_by=value"],
    "64 bits": ["train.precision='64'"],
    "rmsprop, cosine, warm-up": ["train.optimizer=rmsprop", "train.schedule=cosine", "train.warmup=9", "train.clip=null"],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("killed_at", [1, 7, 19, 20, 21, 59, 60])
def test_killed_at_any_step_it_goes_on_to_the_same_numbers(kind, killed_at, undisturbed, monkeypatch):
    from rnnbench.training.learner import Learner

    real = Learner.on_train_batch_end

    def dies(self, *arguments):
        real(self, *arguments)
        if self.step == killed_at and not Path("died").exists():
            Path("died").touch()
            raise Killed

    monkeypatch.setattr(Learner, "on_train_batch_end", dies)
    # a checkpoint at every step: each is a place to continue from
    (job,) = [settings(*KINDS[kind], "trainer.save_seconds=0.000001")]
    with pytest.raises(Killed):
        execute(job)
    execute(job)
    assert end_of("runs") == undisturbed[kind]


def test_the_carried_state_survives_too(tmp_path):
    text = Path("text.txt")
    text.write_text("".join(random.Random(0).choices("abcde ", k=20000)))
    overrides = ["task=char_lm", f"task.text={text.absolute()}", "task.window=10", "model=lstm", "model.hidden_size=8"]
    overrides += ["train.batch_size=4", "train.steps=30", "train.eval_every=20", "train.log_every=4", "network.embedding=4"]
    (whole,) = compose_jobs([*overrides, "tracker=none", "runs=whole"], sweep=False)
    execute(whole)
    (parts,) = compose_jobs([*overrides, "tracker=none", "runs=parts", "trainer.save_seconds=0.000001"], sweep=False)
    from rnnbench.training.learner import Learner

    real = Learner.on_train_batch_end
    with pytest.MonkeyPatch.context() as patch:

        def dies(self, *arguments):
            real(self, *arguments)
            if self.step == 11:
                raise Killed

        patch.setattr(Learner, "on_train_batch_end", dies)
        with pytest.raises(Killed):
            execute(parts)
    execute(parts)
    assert end_of("parts") == end_of("whole")


def test_workers_change_nothing(undisturbed):
    for workers in (1, 4):
        execute(settings(f"trainer.workers={workers}", f"runs=w{workers}"))
        assert end_of(f"w{workers}") == undisturbed["adam"]


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "rnnbench", "train", *TINY, "model=lstm", "tracker=none", *words]


LONG = ["train.steps=1200", "train.eval_every=200", "train.stop_when_solved=false", "trainer.save_seconds=0.05"]


def wait_for_a_checkpoint(process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 60
    while not list(Path("runs").glob("*/*/*/checkpoints/*.pt")):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.01)


def test_killed_for_real(tmp_path):
    """kill -9 from outside, three times, then left to finish."""
    subprocess.run(command(*LONG, f"runs={tmp_path / 'whole'}"), check=True, capture_output=True)
    for _ in range(3):
        process = subprocess.Popen(command(*LONG), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        wait_for_a_checkpoint(process)
        time.sleep(random.random() / 2)
        process.kill()
        process.communicate()
    subprocess.run(command(*LONG), check=True, capture_output=True)
    assert end_of("runs") == end_of(tmp_path / "whole")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_end_it_saves_and_goes_on(number):
    process = subprocess.Popen(command(*LONG), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for_a_checkpoint(process)
    process.send_signal(number)
    _out, err = process.communicate(timeout=30)
    assert process.returncode == 128 + number, err
    assert "interrupted at step" in err and "the same command continues" in err and err.count("\n") == 1
    assert only().record() is None
    done = subprocess.run(command(*LONG), check=True, capture_output=True, text=True)
    assert "continues from step" in done.stdout
    assert only().record()["steps"] == 1200


def test_a_run_that_diverges_is_recorded_and_the_sweep_goes_on(capfd):
    words = ["-m", *TINY, "model=rnn", "model.nonlinearity=relu", "train.clip=null", "train.optimizer=sgd"]
    assert main(["train", *words, "train.learning_rate=1e30,0.001", "tracker=none"]) == 0
    runs, _ = find_runs([Path("runs")])
    by_status = {stored.record["status"]: stored.record for stored in runs}
    assert set(by_status) == {"diverged", "finished"}
    diverged = by_status["diverged"]
    assert 1 <= diverged["diverged_step"] <= 3
    assert diverged["scores"]["test"] is None and diverged["solved"] is False
    assert f"diverged at step {diverged['diverged_step']}" in capfd.readouterr().out


def test_the_seconds_before_an_interruption_count(monkeypatch):
    from rnnbench.training.learner import Learner

    slow, end = Learner.training_step, Learner.on_train_batch_end

    def step(self, *arguments):
        time.sleep(0.01)
        return slow(self, *arguments)

    def ask(self, *arguments):
        if self.step == 39:
            self.asked.append(signal.SIGTERM)
        end(self, *arguments)

    words = ["train.log_every=60", "train.eval_every=60"]
    monkeypatch.setattr(Learner, "training_step", step)
    with monkeypatch.context() as patch, pytest.raises(Stopped, match="interrupted at step 40"):
        patch.setattr(Learner, "on_train_batch_end", ask)
        execute(settings(*words))
    record = execute(settings(*words))
    assert record["steps"] == 60 and record["speed"]["seconds"] > 0.6
    assert record["speed"]["steps_per_second"] < 100
    assert only().rows()[0]["steps_per_second"] < 100


def test_damaged_and_foreign_checkpoints_are_left_out(undisturbed, monkeypatch, capfd):
    from rnnbench.training.learner import Learner

    real = Learner.on_train_batch_end

    def dies(self, *arguments):
        real(self, *arguments)
        if self.step == 45:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Learner, "on_train_batch_end", dies)
        with pytest.raises(Killed):
            execute(settings())
    folder = only()
    newest, *_ = sorted((folder.path / "checkpoints").glob("*.pt"), reverse=True)
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(data)

    class Evil:
        def __reduce__(self):
            return (os.mkdir, ("unpickled",))

    torch.save({"run": only().config()["id"], "x": Evil()}, "evil.pt")
    folder.save_checkpoint(46, Path("evil.pt").read_bytes())
    torch.save({"run": "another", "offsets": (0, 0)}, "other.pt")
    for step in (47, 90000, 80000):
        shutil.copy("other.pt", folder.path / f"checkpoints/{step:09d}-{'0' * 64}.pt")
    shutil.copy("other.pt", folder.path / "checkpoints/000070000-0.pt")  # not a name of ours: somebody's file
    seen = []

    def looks(self, *arguments):
        real(self, *arguments)
        seen.append(last_step(folder))

    with monkeypatch.context() as patch:
        patch.setattr(Learner, "on_train_batch_end", looks)
        execute(settings())
    out = capfd.readouterr().out
    assert out.count("left out") >= 4
    assert max(seen) <= 60 and os.listdir(folder.path / "checkpoints") == ["000070000-0.pt"]
    assert not Path("unpickled").exists()
    assert end_of("runs") == undisturbed["adam"]


def test_a_full_disk_is_one_line_and_loses_nothing(capfd, monkeypatch, undisturbed):
    assert main(["train", *TINY, "model=gru", "tracker=none"]) == 0
    real = Log.append

    def full(self, step, metrics, timings):
        if step > 30:
            raise OSError(28, "No space left on device")
        real(self, step, metrics, timings)

    with monkeypatch.context() as patch:
        patch.setattr(Log, "append", full)
        capfd.readouterr()
        assert main(["train", *TINY, "model=lstm", "tracker=none"]) == 1
        err = capfd.readouterr().err
        assert "No space left on device" in err and "Traceback" not in err
    finished = [stored for stored in find_runs([Path("runs")])[0] if stored.record]
    assert [stored.record["model"]["name"] for stored in finished] == ["gru"]
    assert main(["train", *TINY, "model=lstm", "tracker=none", "runs=runs"]) == 0
    (lstm,) = [stored for stored in find_runs([Path("runs")])[0] if stored.record["model"]["name"] == "lstm"]
    assert RunFolder(lstm.path).metrics() == undisturbed["adam"][0]


def test_a_run_that_another_process_holds_is_left_alone(capfd):
    job = settings()
    execute(job)
    folder = only()
    (folder.path / "record.json").unlink()
    with folder.lease():
        assert execute(job) is None
    assert "left alone" in capfd.readouterr().out


def test_without_wandb_installed():
    code = f"""
import sys
sys.modules["wandb"] = None
from rnnbench.cli.main import main
sys.exit(main({["train", *TINY, "model=rnn", "train.steps=3"]!r}))
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert only().record()["status"] == "finished"


def test_nothing_of_the_machine_or_a_key_is_in_the_record(monkeypatch):
    import socket

    monkeypatch.setenv("WANDB_API_KEY", "canary" * 7)
    execute(settings("runs=here"))
    text = "".join(path.read_text() for path in only("here").path.rglob("*") if path.suffix in (".json", ".jsonl", ".yaml"))
    assert "canary" not in text
    assert socket.gethostname() not in text
    assert str(Path(rnnbench.__file__).parent) not in text


def test_text_is_sampled_and_repeats(capfd):
    text = Path("text.txt")
    text.write_text("The cat sat on the mat. " * 2000)
    words = ["task=char_lm", f"task.text={text}", "task.window=20", "model=gru", "model.hidden_size=32", "network.embedding=8"]
    words += ["train.batch_size=8", "train.steps=150", "train.learning_rate=0.01", "train.log_every=50", "tracker=none"]
    assert main(["train", *words]) == 0
    capfd.readouterr()
    folder = str(only().path)
    outputs = []
    for seed in ("1", "1", "2"):
        assert main(["sample", folder, "--prompt", "The ", "--length", "48", "--temperature", "0.5", "--seed", seed]) == 0
        outputs.append(capfd.readouterr().out)
    assert outputs[0] == outputs[1]
    assert len(outputs[0]) == 4 + 48 + 1
    assert "cat sat on the mat" in outputs[0]
    assert main(["sample", folder, "--prompt", "Ω"]) == 2
    assert "Ω" in capfd.readouterr().err
    record = json.loads((Path(folder) / "record.json").read_text())
    assert record["scores"]["test"]["bpc"] < record["task"]["floor"] / 2


def test_a_task_that_does_not_write_cannot_be_sampled(capfd):
    execute(settings())
    assert main(["sample", str(only().path)]) == 2
    assert "does not write" in capfd.readouterr().err


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_run_on_a_gpu_says_so():
    """At the end Lightning moves the network to the CPU; the record says where it trained, and what that memory held."""
    record = execute(settings("trainer.accelerator=gpu", "train.steps=3"))
    assert record["hardware"]["device"] == "cuda" and record["hardware"]["gpu"] == torch.cuda.get_device_name()
    assert record["speed"]["peak_memory_bytes"] < torch.cuda.mem_get_info()[1]
